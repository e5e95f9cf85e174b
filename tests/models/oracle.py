"""The transformer written once more, as plainly as it can be said: the yardstick of everything that is done to ours.

It knows a state dict by its names and the formulas (those of docs/model.md). It imports nothing from ``lipforcing``.
There is no cache: every key and value that was ever written is kept unrotated by its latent frame, and a call spells
out which frames it sees and where they stand.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

Window = list[tuple[int, int]]  # (latent frame, temporal position), in the order of the keys
Past = list[dict[int, tuple[Tensor, Tensor]]]  # per block: latent frame -> keys before rotation, values


def causal_window(chunk: int) -> Window:
    """What chunk 0, 1, 2, ... sees, written out: the sink, the previous chunk and itself."""
    own = [3 * chunk, 3 * chunk + 1, 3 * chunk + 2]
    if chunk == 0:
        return [(0, 0), (1, 1), (2, 2)]
    if chunk == 1:
        return [(0, 0), (1, 1), (2, 2), (3, 3), (4, 4), (5, 5)]
    previous = [3 * chunk - 3, 3 * chunk - 2, 3 * chunk - 1]
    return list(zip([0, *previous, *own], range(7)))


@dataclass(frozen=True)
class Clip:
    """Everything but the noisy latent, for a whole clip of f latent frames.

    ref_latent [B, 16, 1, h, w]; mouth_mask [B, 1, 1, h, w], 1 where the mouth is generated; masked_video and
    ref_sequence [B, 16, f, h, w]; audio [B, 4 f - 3, D]; text [B, L, T].
    """

    ref_latent: Tensor
    mouth_mask: Tensor
    masked_video: Tensor
    ref_sequence: Tensor
    audio: Tensor
    text: Tensor


class Oracle:
    """``weights``: the state dict (parameters, if gradients are wanted); ``heads``: attention heads."""

    def __init__(self, weights: dict[str, Tensor], heads: int) -> None:
        self.weights = weights
        self.heads = heads
        self.blocks = 1 + max(int(name.split(".")[1]) for name in weights if name.startswith("blocks."))

    def velocity(self, x_t: Tensor, t: Tensor, clip: Clip, first: int, window: Window, past: Past | None = None):
        """Run latent frames ``first``, ``first + 1``, ... of a clip.

        Args:
            x_t: [B, 16, n, h, w].
            t: [B, n], flow time per latent frame.
            window: what every token sees; frames before ``first`` are taken from ``past``.

        Returns:
            velocity [B, 16, n, h, w], and per block the span's own keys and values by latent frame.
        """
        frames = range(first, first + x_t.shape[2])
        at = slice(first, frames.stop)
        n = len(frames)
        planes = [
            x_t,
            clip.ref_latent.repeat(1, 1, n, 1, 1),
            clip.mouth_mask.repeat(1, 1, n, 1, 1),
            clip.masked_video[:, :, at],
            clip.ref_sequence[:, :, at],
        ]
        x = F.conv3d(torch.cat(planes, 1), self["patch_embedding.weight"], self["patch_embedding.bias"], (1, 2, 2))
        grid = x.shape[-2:]
        x = x.permute(0, 2, 3, 4, 1).flatten(2, 3)  # [B, n, S, d], tokens row by row

        time = self.linear("time_embedding.2", F.silu(self.linear("time_embedding.0", self.sinusoids(t).to(x))))
        six = self.linear("time_projection.1", F.silu(time)).unflatten(-1, (6, -1))
        text = self.linear("text_embedding.2", F.gelu(self.linear("text_embedding.0", clip.text), approximate="tanh"))
        audio = self.audio(clip.audio)[:, at]

        own: Past = []
        for i in range(self.blocks):
            if 1 < i <= self.blocks // 2:
                x = x + self.linear(f"audio_cond_projs.{i - 2}", audio)[:, :, None]
            x, keys_values = self.block(f"blocks.{i}", x, six, text, grid, frames, window, past[i] if past else {})
            own.append(keys_values)

        shift, scale = (self["head.modulation"][:, None] + time[:, :, None])[:, :, :, None].unbind(2)
        x = self.linear("head.head", self.norm(x) * (1 + scale) + shift)  # 64 = (row, column, channel) of a patch
        x = x.unflatten(2, grid).unflatten(-1, (2, 2, -1))  # B n h w p q c
        return x.permute(0, 6, 1, 2, 4, 3, 5).flatten(5, 6).flatten(3, 4), own

    def block(self, name, x, six, text, grid, frames, window, past):
        e = (self[f"{name}.modulation"][:, None] + six)[:, :, :, None].unbind(2)

        inner = (self.norm(x) * (1 + e[1]) + e[0]).flatten(1, 2)
        q, k, v = self.queries(f"{name}.self_attn", inner), *self.keys_values(f"{name}.self_attn", inner)
        tokens = grid[0] * grid[1]
        own = {f: (a, b) for f, a, b in zip(frames, k.split(tokens, 1), v.split(tokens, 1))}
        seen = {**past, **own}
        place = dict(window)
        q = torch.cat([self.rotate(part, place[f], grid) for f, part in zip(frames, q.split(tokens, 1))], 1)
        keys = torch.cat([self.rotate(seen[f][0], position, grid) for f, position in window], 1)
        values = torch.cat([seen[f][1] for f, _ in window], 1)
        x = x + e[2] * self.linear(f"{name}.self_attn.o", self.attend(q, keys, values)).view_as(x)

        inner = self.norm(x, self[f"{name}.norm3.weight"], self[f"{name}.norm3.bias"]).flatten(1, 2)
        crossed = self.attend(self.queries(f"{name}.cross_attn", inner), *self.keys_values(f"{name}.cross_attn", text))
        x = x + self.linear(f"{name}.cross_attn.o", crossed).view_as(x)

        inner = self.linear(f"{name}.ffn.0", self.norm(x) * (1 + e[4]) + e[3])
        return x + e[5] * self.linear(f"{name}.ffn.2", F.gelu(inner, approximate="tanh")), own

    def attend(self, q, k, v):
        scores = torch.einsum("bqhd,bkhd->bhqk", q, k) / math.sqrt(q.shape[-1])
        return torch.einsum("bhqk,bkhd->bqhd", scores.softmax(-1), v).flatten(2)

    def queries(self, name, x):
        return self.rms_norm(self.linear(f"{name}.q", x), self[f"{name}.norm_q.weight"]).unflatten(-1, (self.heads, -1))

    def keys_values(self, name, x):
        k = self.rms_norm(self.linear(f"{name}.k", x), self[f"{name}.norm_k.weight"])
        return k.unflatten(-1, (self.heads, -1)), self.linear(f"{name}.v", x).unflatten(-1, (self.heads, -1))

    def audio(self, rows):
        """[B, 4 f - 3, D] -> [B, f, audio_hidden]: row 0 four times, then four rows for every latent frame."""
        rows = torch.cat([rows[:, :1]] * 3 + [rows], 1)
        grouped = rows.reshape(rows.shape[0], -1, 4 * rows.shape[2])
        weight, bias = self["audio_proj.norm_out.weight"], self["audio_proj.norm_out.bias"]
        return self.norm(self.linear("audio_proj.proj", grouped), weight, bias, eps=1e-5)

    def sinusoids(self, t):
        half = self["time_embedding.0.weight"].shape[1] // 2
        frequencies = torch.tensor([10000 ** (-i / half) for i in range(half)], dtype=torch.float64)
        angles = 1000 * t.double()[..., None] * frequencies
        return torch.cat([angles.cos(), angles.sin()], -1)

    def rotate(self, x, frame, grid):
        """Turn pairs (2m, 2m + 1) of one frame's tokens [B, S, heads, D] by its (frame, row, column) position."""
        dim = x.shape[-1]
        side = 2 * (dim // 2 // 3)  # whole pairs
        rows = torch.arange(grid[0]).repeat_interleave(grid[1])
        columns = torch.arange(grid[1]).repeat(grid[0])
        angles = []
        for positions, size in ((torch.full_like(rows, frame), dim - 2 * side), (rows, side), (columns, side)):
            steps = torch.arange(0, size, 2, dtype=torch.float64) / size
            angles.append(positions[:, None].double() * 10000.0**-steps)
        turn = torch.polar(torch.ones(1, dtype=torch.float64), torch.cat(angles, 1))[:, None]
        pairs = torch.view_as_complex(x.double().unflatten(-1, (-1, 2)).contiguous())
        return torch.view_as_real(pairs * turn).flatten(-2).to(x.dtype)

    def __getitem__(self, name: str) -> Tensor:
        return self.weights[name]

    def linear(self, name, x):
        return F.linear(x, self[f"{name}.weight"], self[f"{name}.bias"])

    def norm(self, x, weight=None, bias=None, eps=1e-6):
        return F.layer_norm(x, x.shape[-1:], weight, bias, eps)

    def rms_norm(self, x, weight, eps=1e-6):
        return (x.double() / torch.sqrt(x.double().square().mean(-1, keepdim=True) + eps)).to(x.dtype) * weight


class CausalOracle:
    """A run of the causal student over the oracle: keeps all that was written, sees what ``causal_window`` says."""

    def __init__(self, oracle: Oracle, clip: Clip) -> None:
        self.oracle = oracle
        self.clip = clip
        self.chunk = 0
        self.past: Past = [{} for _ in range(oracle.blocks)]

    def velocity(self, x_t: Tensor, t: float) -> Tensor:
        """Velocity [B, 16, 3, h, w] of the current chunk."""
        return self._run(x_t, t)[0]

    def x0(self, x_t: Tensor, t: float) -> Tensor:
        """Clean estimate of the current chunk."""
        return x_t - t * self.velocity(x_t, t)

    def write(self, x0: Tensor) -> None:
        """Keep the clean chunk and go on to the next one."""
        for kept, new in zip(self.past, self._run(x0, 0.0)[1]):
            kept.update(new)
        self.chunk += 1

    def _run(self, x: Tensor, t: float):
        level = torch.full((x.shape[0], x.shape[2]), t, dtype=torch.float64)
        return self.oracle.velocity(x, level, self.clip, 3 * self.chunk, causal_window(self.chunk), self.past)


def bidirectional(oracle: Oracle, x_t: Tensor, t: Tensor, clip: Clip) -> Tensor:
    """Velocity of a whole clip [B, 16, f, h, w] at ``t`` [B, f]: every frame sees every other, at its own number."""
    return oracle.velocity(x_t, t, clip, 0, [(f, f) for f in range(x_t.shape[2])])[0]


def causal_samples(run: CausalOracle, noise: Tensor, times: list[float]) -> list[Tensor]:
    """Chunk after chunk by the few-step sampler: ``noise`` [chunks, steps, B, 16, 3, h, w]."""
    chunks = []
    for draws in noise:
        x = draws[0]
        for step, (t, t_next) in enumerate(itertools.pairwise(times)):
            x0 = run.x0(x, t)
            x = (1 - t_next) * x0 + t_next * draws[step + 1] if t_next > 0 else x0
        run.write(x)
        chunks.append(x)
    return chunks
