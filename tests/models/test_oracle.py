"""The oracle itself against the reference's numbers: only then may it judge our network."""

from __future__ import annotations

import torch

from .oracle import CausalOracle, Clip, Oracle, bidirectional, causal_samples

LIMIT = 2e-5


def clip_of(data, text="cond/text_embeds", audio=None) -> Clip:
    mask = 1 - data["cond/mask"]  # the reference's polarity is 1 = keep
    return Clip(
        data["cond/ref_latent"],
        mask[None, None, None],
        data["cond/masked_video"],
        data["cond/ref_sequence"],
        data["cond/audio_emb"] if audio is None else audio,
        data[text],
    )


def test_causal_oracle_gives_the_references_chunks(golden, parity):
    data = golden("student_ar")
    run = CausalOracle(Oracle(data.group("weights"), data.config["num_heads"]), clip_of(data))
    first = data["noise/init"].unflatten(2, (-1, 3)).movedim(2, 0)
    noise = torch.cat((first[:, None], data["noise/renoise"]), dim=1)
    for c, x0 in enumerate(causal_samples(run, noise, data["schedule/t_list"].tolist())):
        parity("student_ar", "oracle chunk", x0, data[f"chunk{c}/x0"], LIMIT)


def test_bidirectional_oracle_gives_the_references_velocity(golden, parity):
    data = golden("teacher_bidir")
    oracle = Oracle(data.group("weights"), data.config["num_heads"])
    x_t = data["inputs/x_t"]
    t = data["inputs/t"][:, None].expand(1, x_t.shape[2])
    silence = torch.zeros_like(data["cond/audio_emb"])
    for name, clip in (
        ("cond", clip_of(data)),
        ("zero_audio", clip_of(data, audio=silence)),
        ("neg_joint", clip_of(data, "cond/neg_text_embeds", silence)),
    ):
        parity("teacher_bidir", "oracle flow", bidirectional(oracle, x_t, t, clip), data[f"outputs/{name}_flow"], LIMIT)
