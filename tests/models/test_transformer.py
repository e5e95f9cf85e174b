"""The transformer against the reference implementation (tests/data/goldens/README.md, 3.1 to 3.3)."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from lipforcing.models import Geometry, Inputs, Past, Rolling
from lipforcing.models.window import KeysValues, Span, Whole
from lipforcing.sampling.flow import forward_process, velocity_to_x0
from lipforcing.sampling.guidance import guide

from .helpers import inputs_of, model_of

STUDENT, AUDIO, TEACHER, GUIDED = 2e-5, 1e-5, 2e-5, 1e-4


class Growing:
    """The unlimited window of ``student_fullattn``: the whole past at absolute positions."""

    def __init__(self, geometry: Geometry, past: Past, frames: int = 3) -> None:
        self.past = past
        self.rotary = geometry.at(range(past.frames, past.frames + frames))
        self.frames = past.frames + frames

    def layer(self, index: int):
        return Span(self.rotary, self.past.layer(index))

    def next(self, own: list[KeysValues]) -> Past:
        layers = []
        for i, (k, v) in enumerate(own):
            past = self.past.layer(i)
            k = self.rotary(k)
            layers.append((k, v) if past is None else (torch.cat((past[0], k), 1), torch.cat((past[1], v), 1)))
        return Past(tuple(layers), self.frames)


def run_student(parity, name, data, model, window_of, check_past) -> None:
    size, count = data.config["chunk_size"], data["noise/renoise"].shape[0]
    conditioning = model.prepare(inputs_of(data))
    geometry = model.geometry(data["cond/ref_latent"], size * count)
    times = data["schedule/t_list"].tolist()
    table = model.embed_times((*times, 0.0), data["cond/ref_latent"])
    past = Past()
    for c in range(count):
        chunk = conditioning.span(size * c, size * (c + 1))
        window = window_of(geometry, past)
        x = data["noise/init"][:, :, size * c : size * (c + 1)]
        for s, (t, t_next) in enumerate(pairwise(times)):
            parity(name, "x_t", x, data[f"chunk{c}/call{s}/x_t"], STUDENT)
            flow = model.forward_chunk(x, table[t], chunk, window)
            x0 = velocity_to_x0(x, flow, t)
            parity(name, "flow", flow, data[f"chunk{c}/call{s}/flow"], STUDENT)
            parity(name, "x0", x0, data[f"chunk{c}/call{s}/x0"], STUDENT)
            if t_next > 0:
                x = forward_process(x0, data["noise/renoise"][c, s], t_next)
        parity(name, "chunk", x0, data[f"chunk{c}/x0"], STUDENT)
        store = model.forward_chunk(x0, table[0.0], chunk, window)
        parity(name, "store flow", store, data[f"chunk{c}/store/flow"], STUDENT)
        past = model.cache_write(x0, table[0.0], chunk, window)
        check_past(c, past, geometry)


def test_student_with_rolling_window(golden, parity):
    """Every denoising call, and the past: keys are kept rotated at the slot they will be read from."""
    data = golden("student_ar")
    model = model_of(data)
    tokens = data.config["tokens_per_frame"]

    def check(chunk: int, past: Past, geometry: Geometry) -> None:
        held = data[f"chunk{chunk}/cache/frames"].tolist()
        kept = [0, 1, 2] if chunk == 0 else [0, *range(3 * chunk, 3 * chunk + 3)]
        assert past.frames == len(kept)
        rows = torch.cat([torch.arange(tokens) + tokens * held.index(frame) for frame in kept])
        rotary = geometry.at(range(len(kept)))
        for layer in (0, model.config.num_layers - 1):
            keys, values = past.layer(layer)
            stored = data[f"chunk{chunk}/cache/layer{layer}/k"][:, rows]
            parity("student_ar", "cache k", keys, rotary(stored), STUDENT)
            parity("student_ar", "cache v", values, data[f"chunk{chunk}/cache/layer{layer}/v"][:, rows], STUDENT)

    run_student(parity, "student_ar", data, model, Rolling, check)


def test_student_with_full_attention(golden, parity):
    data, weights = golden("student_fullattn"), golden("student_ar")
    model = model_of(weights)

    def check(chunk: int, past: Past, _) -> None:
        for layer in (0, model.config.num_layers - 1):
            keys, values = past.layer(layer)
            parity("student_fullattn", "cache k", keys, data[f"chunk{chunk}/cache/layer{layer}/k"], STUDENT)
            parity("student_fullattn", "cache v", values, data[f"chunk{chunk}/cache/layer{layer}/v"], STUDENT)

    run_student(parity, "student_fullattn", data, model, Growing, check)


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
    pieces = [model.embed_audio(rows[:, :9]), model.embed_audio(rows[:, 9:])]
    parity("student_ar", "audio pack, streamed", torch.cat(pieces, dim=1), packed, AUDIO)


def test_intermediate_values(golden, parity):
    """Conditioning channels, embeddings and the residual stream of one call."""
    data = golden("student_ar")
    if "debug/chunk1_y" not in data:
        pytest.skip("this golden set has no intermediate values")
    model = model_of(data)
    inputs = inputs_of(data)
    parity("student_ar", "conditioning", inputs.span(3, 6).planes(), data["debug/chunk1_y"], 0.0)
    captured = {}
    for i, block in enumerate(model.blocks):
        block.register_forward_hook(lambda _m, _a, out, i=i: captured.update({f"block{i}_out": out[0].flatten(1, 2)}))
        block.self_attn.register_forward_hook(lambda _m, _a, out, i=i: captured.update({f"block{i}_self_attn": out[0]}))
        block.cross_attn.register_forward_hook(lambda _m, _a, out, i=i: captured.update({f"block{i}_cross_attn": out}))
    model.time_embedding.register_forward_hook(lambda _m, _a, out: captured.update(time_embedding=out[:, 0]))
    model.time_projection.register_forward_hook(lambda _m, _a, out: captured.update(time_projection=out[:, 0]))
    model.patch_embedding.register_forward_hook(lambda _m, _a, out: captured.update(patch_embedding=out))
    model.head.register_forward_hook(lambda _m, _a, out: captured.update(head=out))
    x, t = data["chunk0/call0/x_t"], data["schedule/t_list"][:1]
    model(x, t, model.prepare(inputs.span(0, 3)))  # a first chunk sees what a clip of its length sees
    for name, value in captured.items():
        parity("student_ar", f"debug {name.split('_')[-1]}", value, data[f"debug/chunk0_call0/{name}"], STUDENT)
    text = model.text_embedding(data["cond/text_embeds"])
    parity("student_ar", "debug text_embedding", text, data["debug/chunk0_call0/text_embedding"], STUDENT)
    assert len(captured) > 3 * len(model.blocks)


def test_padding_of_the_prompt_may_be_left_out(golden, parity):
    """The zeros at a prompt's end take part in attention, written out or not."""
    data = golden("student_ar")
    model = model_of(data)
    inputs = inputs_of(data)
    used = int((inputs.text != 0).any(-1)[0].nonzero().max()) + 1
    assert used + 1 < inputs.text.shape[1]
    short = Inputs(**{**vars(inputs), "text": inputs.text[:, :used]}).span(0, 3)
    assert len(model.embed_text(short.text).bias) == used + 1
    flow = model(data["chunk0/call0/x_t"], data["schedule/t_list"][:1], model.prepare(short))
    parity("student_ar", "flow, prompt without padding", flow, data["chunk0/call0/flow"], STUDENT)
    with pytest.raises(ValueError, match="positions"):
        model.embed_text(torch.zeros(1, model.config.text_len + 1, model.config.text_dim))


def test_teacher_with_guidance(golden, parity):
    data = golden("teacher_bidir")
    model = model_of(data)
    x_t, t = data["inputs/x_t"], data["inputs/t"]
    noised = forward_process(data["inputs/x0"], data["inputs/eps"], t.item())
    parity("teacher_bidir", "x_t", noised, x_t, 1e-6)
    silence = torch.zeros_like(data["cond/audio_emb"])
    branches = {
        "cond": inputs_of(data),
        "zero_audio": inputs_of(data, audio=silence),
        "neg_joint": inputs_of(data, text="cond/neg_text_embeds", audio=silence),
    }
    x0 = {}
    for name, inputs in branches.items():
        flow = model(x_t, t, model.prepare(inputs))
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
    x_t = data["inputs/x_t"]
    window = Rolling(model.geometry(x_t), Past(), x_t.shape[2])
    time = model.embed_time(data["inputs/t"], x_t)
    flow = model.forward_chunk(x_t, time, model.prepare(inputs_of(data)), window)
    parity("teacher_bidir", "as one causal chunk", flow, data["outputs/cond_flow"], TEACHER)


@pytest.mark.parametrize("levels", ["per clip", "per frame"])
def test_noise_level_per_frame(golden, parity, levels):
    """The same level given per clip or per latent frame is the same thing."""
    data = golden("teacher_bidir")
    model = model_of(data)
    sigma = data["inputs/t"] if levels == "per clip" else data["inputs/t"].expand(1, data["inputs/x_t"].shape[2])
    flow = model(data["inputs/x_t"], sigma, model.prepare(inputs_of(data)))
    parity("teacher_bidir", "per-frame levels", flow, data["outputs/cond_flow"], TEACHER)


def test_windows_are_the_references(golden):
    """The window table of the reference, as positions and as what is kept."""
    data = golden("student_ar")
    geometry = model_of(data).geometry(data["cond/ref_latent"])
    past = Past()
    for c in range(data["noise/renoise"].shape[0]):
        window = Rolling(geometry, past)
        assert list(window.positions) == data[f"chunk{c}/window/rope_queries"].tolist()
        assert past.frames + 3 == len(data[f"chunk{c}/window/frames"])
        past = Past((), window.slots.stop)


def test_whole_is_every_position():
    geometry = Geometry.of(12, 5, 2, 3, "cpu")
    assert Whole(geometry.at(range(5))).layer(0).rotary.cos.shape == (30, 1, 6)
