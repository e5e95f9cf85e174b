"""Golden sets of other sizes, computed by the oracle in float64: what was tuned to the committed sizes fails on them.

    python -m tools.make_goldens FOLDER [--seed N]
    LIPFORCING_GOLDENS=FOLDER python -m pytest tests/models tests/sampling

writes the transformer's three sets (tests/data/goldens/README.md, 3.1 to 3.3) without intermediate values: of another
width, with other numbers of heads, layers, chunks and steps, on a grid that is not square. The oracle
(``tests/models/oracle.py``) knows the formulas and nothing of the engine, from which only the names and shapes of the
weights are taken. The committed sets come from the reference; these are as good as the oracle, which is held to them.
"""

from __future__ import annotations

import argparse
import itertools
import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from lipforcing.models import WanConfig, WanTransformer
from tests.models.oracle import CausalOracle, Clip, Oracle, bidirectional, causal_window

ROOT = Path(__file__).parent.parent
CONFIG = WanConfig(
    dim=72, ffn_dim=100, num_heads=3, num_layers=8, text_dim=24, text_len=11, freq_dim=40, audio_dim=20, audio_hidden=6
)
GRID = (6, 10)  # height and width of the latents
TIMES = (0.97, 0.8, 0.45, 0.0)
CHUNKS, FULL_CHUNKS, TEACHER_FRAMES = 5, 3, 5
WORDS = 4  # positions of the prompt that are not padding
GUIDED_AT, SCALE = 0.61, 3.0


class Draws:
    """Random tensors [...] in float64, each a value that float32 has."""

    def __init__(self, seed: int) -> None:
        self.generator = torch.Generator().manual_seed(seed)

    def __call__(self, *shape: int) -> Tensor:
        return torch.randn(shape, generator=self.generator).double()


def weights(draw: Draws) -> dict[str, Tensor]:
    """Not trivial anywhere; of the scales that the committed sets have."""
    made = {}
    for name, value in WanTransformer(CONFIG, device="meta").state_dict().items():
        noise = draw(*value.shape)
        if "norm" in name and name.endswith("weight"):
            made[name] = 1 + 0.3 * noise
        elif name.endswith("bias"):
            made[name] = 0.1 * noise
        elif name.endswith("modulation"):
            made[name] = 0.3 * noise
        else:
            made[name] = noise / value[0].numel() ** 0.5
    return {name: value.float().double() for name, value in made.items()}


def clip(draw: Draws, latents: int) -> Clip:
    """A clip's inputs; the prompt ends with padding."""
    text = draw(1, CONFIG.text_len, CONFIG.text_dim)
    text[:, WORDS:] = 0
    return Clip(
        draw(1, 16, 1, *GRID),
        (draw(1, 1, 1, *GRID) > 0).double(),
        draw(1, 16, latents, *GRID),
        draw(1, 16, latents, *GRID),
        draw(1, 4 * latents - 3, CONFIG.audio_dim),
        text,
    )


def conditions(made: Clip) -> dict[str, Tensor]:
    """As the sets store them; the reference's mask is 1 where the source is kept."""
    return {
        "cond/ref_latent": made.ref_latent,
        "cond/mask": 1 - made.mouth_mask[0, 0, 0],
        "cond/masked_video": made.masked_video,
        "cond/ref_sequence": made.ref_sequence,
        "cond/audio_emb": made.audio,
        "cond/text_embeds": made.text,
    }


class FullOracle(CausalOracle):
    """The student with an unlimited window at absolute positions."""

    def _run(self, x: Tensor, t: float):
        level = torch.full((1, x.shape[2]), t, dtype=torch.float64)
        window = [(frame, frame) for frame in range(3 * self.chunk + 3)]
        return self.oracle.velocity(x, level, self.clip, 3 * self.chunk, window, self.past)


def student(run: CausalOracle, noise: Tensor, renoise: Tensor, rotated: bool) -> dict[str, Tensor]:
    """Every call of every chunk, and what is kept; ``rotated``: keys as they stand at their absolute positions."""
    found = {"noise/init": noise, "noise/renoise": renoise, "schedule/t_list": torch.tensor(TIMES, dtype=torch.float64)}
    grid = (GRID[0] // 2, GRID[1] // 2)
    for c, x in enumerate(noise.split(3, dim=2)):
        for s, (t, t_next) in enumerate(itertools.pairwise(TIMES)):
            flow = run.velocity(x, t)
            x0 = x - t * flow
            found |= {f"chunk{c}/call{s}/x_t": x, f"chunk{c}/call{s}/flow": flow, f"chunk{c}/call{s}/x0": x0}
            x = (1 - t_next) * x0 + t_next * renoise[c, s] if t_next > 0 else x0
        found |= {f"chunk{c}/x0": x, f"chunk{c}/store/flow": run.velocity(x, 0.0)}
        run.write(x)
        window = [(frame, frame) for frame in range(3 * c + 3)] if rotated else causal_window(c)
        frames = torch.tensor([frame for frame, _ in window])
        positions = torch.tensor([position for _, position in window])
        found |= {f"chunk{c}/window/frames": frames, f"chunk{c}/window/rope_keys": positions}
        found |= {f"chunk{c}/window/rope_queries": positions[-3:].clone(), f"chunk{c}/cache/frames": frames.clone()}
        for layer in (0, CONFIG.num_layers - 1):
            kept = run.past[layer]
            keys = [run.oracle.rotate(kept[f][0], f, grid) if rotated else kept[f][0] for f in frames.tolist()]
            found[f"chunk{c}/cache/layer{layer}/k"] = torch.cat(keys, 1)
            found[f"chunk{c}/cache/layer{layer}/v"] = torch.cat([kept[f][1] for f in frames.tolist()], 1)
    return found


def audio(oracle: Oracle, made: Clip) -> dict[str, Tensor]:
    """Packed audio, its projections, and the blocks that get them."""
    packed = oracle.audio(made.audio)[..., None, None, :]
    blocks = torch.arange(2, CONFIG.num_layers // 2 + 1)
    projected = [oracle.linear(f"audio_cond_projs.{i}", packed) for i in range(len(blocks))]
    return {
        "audio/proj_out": packed,
        "audio/cond_out": torch.stack(projected, dim=1),
        "audio/inject_blocks": blocks,
        "audio/inject_proj_index": blocks - 2,
    }


def teacher(oracle: Oracle, draw: Draws) -> dict[str, Tensor]:
    """One guided call of the bidirectional network."""
    made = clip(draw, TEACHER_FRAMES)
    x0, eps = draw(1, 16, TEACHER_FRAMES, *GRID), draw(1, 16, TEACHER_FRAMES, *GRID)
    negative = torch.zeros_like(made.text)
    negative[:, :1] = draw(1, 1, CONFIG.text_dim)
    x_t = ((1 - GUIDED_AT) * x0 + GUIDED_AT * eps).float().double()
    found = {"inputs/x0": x0, "inputs/eps": eps, "inputs/x_t": x_t, "cond/neg_text_embeds": negative}
    branches = {"cond": (made.audio, made.text)}
    branches["zero_audio"] = torch.zeros_like(made.audio), made.text
    branches["neg_joint"] = torch.zeros_like(made.audio), negative
    level = torch.full((1, TEACHER_FRAMES), GUIDED_AT, dtype=torch.float64)
    for name, (rows, text) in branches.items():
        flow = bidirectional(oracle, x_t, level, Clip(**{**vars(made), "audio": rows, "text": text}))
        found |= {f"outputs/{name}_flow": flow, f"outputs/{name}_x0": x_t - GUIDED_AT * flow}
    for result, name in (("cfg_zero_audio_x0", "zero_audio"), ("cfg_joint_x0", "neg_joint")):
        good, bad = found["outputs/cond_x0"], found[f"outputs/{name}_x0"]
        found[f"outputs/{result}"] = good + (SCALE - 1) * (good - bad)
    return found | conditions(made)


def write(path: Path, seed: int, tensors: dict[str, Tensor], exact: dict[str, Tensor]) -> None:
    """``tensors`` in float32 (integers as they are), ``exact`` in float64, and what the tests read of the sizes."""
    config = {
        name: getattr(CONFIG, name) for name in ("dim", "ffn_dim", "num_heads", "num_layers", "in_dim", "out_dim")
    }
    config |= {name: getattr(CONFIG, name) for name in ("text_dim", "text_len", "freq_dim", "eps", "audio_hidden")}
    config |= {"audio_in": CONFIG.audio_dim, "chunk_size": 3, "tokens_per_frame": GRID[0] * GRID[1] // 4}
    stored = {name: value.float() if value.is_floating_point() else value for name, value in tensors.items()}
    stored = {name: value.contiguous() for name, value in (stored | exact).items()}
    meta = {"kind": path.stem, "set": f"oracle, seed {seed}", "compute": "float64", "config": config}
    save_file(stored, path, {"golden": json.dumps(meta)})


@torch.no_grad()
def make(folder: Path, seed: int) -> None:
    """Write the three sets into ``folder``."""
    draw = Draws(seed)
    state, made = weights(draw), clip(draw, 3 * CHUNKS)
    oracle, named = Oracle(state, CONFIG.num_heads), {f"weights/{name}": value for name, value in state.items()}
    noise, renoise = draw(1, 16, 3 * CHUNKS, *GRID), draw(CHUNKS, len(TIMES) - 2, 1, 16, 3, *GRID)
    times = {"schedule/t_list": torch.tensor(TIMES, dtype=torch.float64)}
    rolling = student(CausalOracle(oracle, made), noise, renoise, rotated=False)
    write(folder / "student_ar.safetensors", seed, named | rolling | conditions(made) | audio(oracle, made), times)
    part = 3 * FULL_CHUNKS
    short = Clip(
        made.ref_latent,
        made.mouth_mask,
        made.masked_video[:, :, :part],
        made.ref_sequence[:, :, :part],
        made.audio[:, : 4 * part - 3],
        made.text,
    )
    full = student(FullOracle(oracle, short), noise[:, :, :part], renoise[:FULL_CHUNKS], rotated=True)
    write(folder / "student_fullattn.safetensors", seed, full | conditions(short), times)
    state = weights(draw)
    guided = teacher(Oracle(state, CONFIG.num_heads), draw) | {
        f"weights/{name}": value for name, value in state.items()
    }
    exact = {"inputs/t": torch.tensor([GUIDED_AT], dtype=torch.float64)}
    exact["inputs/cfg_scale"] = torch.tensor(SCALE, dtype=torch.float64)
    write(folder / "teacher_bidir.safetensors", seed, guided, exact)


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="tools.make_goldens", description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    make(arguments.folder, arguments.seed)


if __name__ == "__main__":
    main()
