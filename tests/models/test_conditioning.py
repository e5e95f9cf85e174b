"""Inputs as data: their channels, their spans."""

from __future__ import annotations

from dataclasses import replace

import torch

from lipforcing.models.conditioning import Conditioning, Inputs, Text, join, planes

from .helpers import random_inputs, small_model


def test_channels_stand_in_the_order_of_the_patch_embedding():
    inputs = random_inputs(small_model().config, 6, batch=2)
    channels = inputs.planes()
    assert channels.shape == (2, 49, 6, 4, 6)
    assert torch.equal(channels[:, :16, 4], inputs.ref_latent[:, :, 0])
    assert torch.equal(channels[:, 16:17, 5], inputs.mouth_mask[:, :, 0])
    assert torch.equal(channels[:, 17:33], inputs.masked_video) and torch.equal(channels[:, 33:], inputs.ref_sequence)
    parts = (inputs.ref_latent, inputs.mouth_mask, inputs.masked_video[:, :, :3], inputs.ref_sequence[:, :, :3])
    assert torch.equal(planes(*parts), channels[:, :, :3])


def test_channels_are_taken_apart_again():
    inputs = random_inputs(small_model().config, 3)
    again = Inputs.from_channels(inputs.planes(), inputs.audio, inputs.text)
    assert all(torch.equal(getattr(again, name), value) for name, value in vars(inputs).items())


def test_a_span_has_the_rows_of_its_frames():
    """Latent frame 0 is one video frame, every other four; reference and mask belong to all."""
    inputs = random_inputs(small_model().config, 9)
    first, second = inputs.span(0, 3), inputs.span(3, 9)
    assert torch.equal(first.audio, inputs.audio[:, :9]) and torch.equal(second.audio, inputs.audio[:, 9:33])
    assert torch.equal(second.masked_video, inputs.masked_video[:, :, 3:9])
    assert second.ref_latent is inputs.ref_latent and second.text is inputs.text


@torch.no_grad()
def test_spans_are_prepared_like_the_whole_and_join_to_it():
    model = small_model()
    inputs = random_inputs(model.config, 6)
    whole = model.prepare(inputs)
    halves = [model.prepare(inputs.span(0, 3)), model.prepare(inputs.span(3, 6))]
    both = join(*halves)
    torch.testing.assert_close(both.audio, whole.audio)
    assert torch.equal(both.planes, whole.planes)
    assert torch.equal(both.span(3, 6).planes, halves[1].planes) and both.text is halves[0].text


@torch.no_grad()
def test_the_negative_side_is_a_replacement():
    model = small_model()
    inputs = random_inputs(model.config, 3)
    negative = replace(inputs, audio=torch.zeros_like(inputs.audio), text=torch.zeros_like(inputs.text))
    positive, empty = model.prepare(inputs), model.prepare(negative)
    assert torch.equal(positive.planes, empty.planes) and not torch.allclose(positive.audio, empty.audio)


def test_a_layers_text_is_its_keys_values_and_the_bias():
    text = Text(((torch.zeros(1), torch.ones(1)), (torch.full((1,), 2.0), torch.full((1,), 3.0))), torch.zeros(4))
    assert [part.tolist() for part in text.layer(1)[:2]] == [[2], [3]] and text.layer(1)[2] is text.bias
    assert Conditioning(torch.zeros(1, 49, 3, 2, 2), torch.zeros(1, 3, 4), text).span(1, 2).audio.shape == (1, 1, 4)
