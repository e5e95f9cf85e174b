"""The transformer against the reference implementation (tests/data/goldens/README.md, 3.1 to 3.3)."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from lipforcing.models import CausalStream, FullKVCache, RollingKVCache
from lipforcing.models.rotary import Rotary
from lipforcing.sampling.flow import forward_process, velocity_to_x0
from lipforcing.sampling.guidance import guide

from .helpers import conditioning_of, model_of

STUDENT, AUDIO, TEACHER, GUIDED = 2e-5, 1e-5, 2e-5, 1e-4


def run_student(parity, name, golden_set, model, cache_type, check_cache) -> None:
    conditioning = conditioning_of(golden_set, model)
    stream = CausalStream(model, cache_type)
    size = golden_set.config["chunk_size"]
    times = golden_set["schedule/t_list"].tolist()
    for c in range(golden_set["noise/renoise"].shape[0]):
        chunk = conditioning.span(size * c, size * (c + 1))
        x = golden_set["noise/init"][:, :, size * c : size * (c + 1)]
        for s, (t, t_next) in enumerate(pairwise(times)):
            parity(name, "x_t", x, golden_set[f"chunk{c}/call{s}/x_t"], STUDENT)
            flow = stream(x, t, chunk)
            x0 = velocity_to_x0(x, flow, t)
            parity(name, "flow", flow, golden_set[f"chunk{c}/call{s}/flow"], STUDENT)
            parity(name, "x0", x0, golden_set[f"chunk{c}/call{s}/x0"], STUDENT)
            if t_next > 0:
                x = forward_process(x0, golden_set["noise/renoise"][c, s], t_next)
        parity(name, "chunk", x0, golden_set[f"chunk{c}/x0"], STUDENT)
        parity(name, "store flow", stream(x0, 0.0, chunk), golden_set[f"chunk{c}/store/flow"], STUDENT)
        stream.remember(x0, chunk)
        check_cache(c, stream.cache)


def test_student_with_rolling_window(golden, parity):
    """Every denoising call, and the cache: keys are stored rotated at the slot they will be read from."""
    data = golden("student_ar")
    model = model_of(data)
    heads, tokens = data.config["head_dim"], data.config["tokens_per_frame"]
    height, width = data.config["lat_h"] // 2, data.config["lat_w"] // 2

    def check(chunk: int, cache: RollingKVCache) -> None:
        held = data[f"chunk{chunk}/cache/frames"].tolist()
        kept = [0, 1, 2] if chunk == 0 else [0, *range(3 * chunk, 3 * chunk + 3)]
        assert cache.frames == len(kept)
        rows = torch.cat([torch.arange(tokens) + tokens * held.index(frame) for frame in kept])
        rotary = Rotary.at(range(len(kept)), height, width, heads, torch.device("cpu"))
        for layer in (0, model.config.num_layers - 1):
            keys, values = cache.read(layer)
            stored = data[f"chunk{chunk}/cache/layer{layer}/k"][:, rows]
            parity("student_ar", "cache k", keys, rotary(stored), STUDENT)
            parity("student_ar", "cache v", values, data[f"chunk{chunk}/cache/layer{layer}/v"][:, rows], STUDENT)

    run_student(parity, "student_ar", data, model, RollingKVCache, check)


def test_student_with_full_attention(golden, parity):
    data, weights = golden("student_fullattn"), golden("student_ar")
    model = model_of(weights)

    def check(chunk: int, cache: FullKVCache) -> None:
        for layer in (0, model.config.num_layers - 1):
            keys, values = cache.read(layer)
            parity("student_fullattn", "cache k", keys, data[f"chunk{chunk}/cache/layer{layer}/k"], STUDENT)
            parity("student_fullattn", "cache v", values, data[f"chunk{chunk}/cache/layer{layer}/v"], STUDENT)

    run_student(parity, "student_fullattn", data, model, FullKVCache, check)


def test_audio_adapter(golden, parity):
    data = golden("student_ar")
    model = model_of(data)
    packed = model.embed_audio(data["cond/audio_emb"])
    parity("student_ar", "audio pack", packed, data["audio/proj_out"].flatten(2), AUDIO)
    projected = torch.stack([project(packed) for project in model.audio_cond_projs], dim=1)
    parity("student_ar", "audio projections", projected, data["audio/cond_out"].flatten(3), AUDIO)
    assert list(model.config.audio_blocks) == data["audio/inject_blocks"].tolist()
    # a stream packs the first latent frame alone and four rows for every later one
    rows = data["cond/audio_emb"]
    pieces = [model.embed_audio(rows[:, :9]), model.embed_audio(rows[:, 9:], first=False)]
    parity("student_ar", "audio pack, streamed", torch.cat(pieces, dim=1), packed, AUDIO)


def test_intermediate_values(golden, parity):
    """Conditioning channels, embeddings and the residual stream of one call."""
    data = golden("student_ar")
    model = model_of(data)
    conditioning = conditioning_of(data, model).span(0, 3)
    parity(
        "student_ar", "conditioning", conditioning_of(data, model).span(3, 6).channels(), data["debug/chunk1_y"], 0.0
    )
    captured = {}
    for i, block in enumerate(model.blocks):
        block.register_forward_hook(lambda _m, _a, out, i=i: captured.update({f"block{i}_out": out.flatten(1, 2)}))
        for part in ("self_attn", "cross_attn"):
            getattr(block, part).register_forward_hook(
                lambda _m, _a, out, key=f"block{i}_{part}": captured.update({key: out})
            )
    model.time_embedding.register_forward_hook(lambda _m, _a, out: captured.update(time_embedding=out[:, 0]))
    model.time_projection.register_forward_hook(lambda _m, _a, out: captured.update(time_projection=out[:, 0]))
    model.patch_embedding.register_forward_hook(lambda _m, _a, out: captured.update(patch_embedding=out))
    model.head.register_forward_hook(lambda _m, _a, out: captured.update(head=out))
    CausalStream(model)(data["chunk0/call0/x_t"], data["schedule/t_list"][0].item(), conditioning)
    for name, value in captured.items():
        if f"debug/chunk0_call0/{name}" in data:
            parity("student_ar", f"debug {name.split('_')[-1]}", value, data[f"debug/chunk0_call0/{name}"], STUDENT)
    text = model.text_embedding(data["cond/text_embeds"])
    parity("student_ar", "debug text_embedding", text, data["debug/chunk0_call0/text_embedding"], STUDENT)


def test_teacher_with_guidance(golden, parity):
    data = golden("teacher_bidir")
    model = model_of(data)
    x_t, t = data["inputs/x_t"], data["inputs/t"]
    noised = forward_process(data["inputs/x0"], data["inputs/eps"], t.item())
    parity("teacher_bidir", "x_t", noised, x_t, 1e-6)
    silence = torch.zeros_like(data["cond/audio_emb"])
    branches = {
        "cond": conditioning_of(data, model),
        "zero_audio": conditioning_of(data, model, audio=silence),
        "neg_joint": conditioning_of(data, model, text="cond/neg_text_embeds", audio=silence),
    }
    x0 = {}
    for name, conditioning in branches.items():
        flow = model(x_t, t, conditioning)
        x0[name] = velocity_to_x0(x_t, flow, t.item())
        parity("teacher_bidir", "flow", flow, data[f"outputs/{name}_flow"], TEACHER)
        parity("teacher_bidir", "x0", x0[name], data[f"outputs/{name}_x0"], TEACHER)
    scale = data["inputs/cfg_scale"].item()
    for result, negative in (("cfg_zero_audio_x0", "zero_audio"), ("cfg_joint_x0", "neg_joint")):
        guided = guide(x0["cond"], x0[negative], scale)
        parity("teacher_bidir", "guided x0", guided, data[f"outputs/{result}"], GUIDED)


def test_teacher_equals_student_with_one_chunk(golden, parity):
    """A first chunk that holds the whole clip sees what the bidirectional network sees."""
    data = golden("teacher_bidir")
    model = model_of(data)
    flow = CausalStream(model)(data["inputs/x_t"], data["inputs/t"].item(), conditioning_of(data, model))
    parity("teacher_bidir", "as one causal chunk", flow, data["outputs/cond_flow"], TEACHER)


@pytest.mark.parametrize("levels", ["per clip", "per frame"])
def test_noise_level_per_frame(golden, parity, levels):
    """The same level given per clip or per latent frame is the same thing."""
    data = golden("teacher_bidir")
    model = model_of(data)
    sigma = data["inputs/t"] if levels == "per clip" else data["inputs/t"].expand(1, data["inputs/x_t"].shape[2])
    flow = model(data["inputs/x_t"], sigma, conditioning_of(data, model))
    parity("teacher_bidir", "per-frame levels", flow, data["outputs/cond_flow"], TEACHER)
