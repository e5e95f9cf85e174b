"""The student in bfloat16: no further from the reference than the reference's own bfloat16 run."""

from __future__ import annotations

import pytest
import torch

from lipforcing.sampling.causal import denoise_chunk

from .helpers import inputs_of, model_of, spans, stream_of

LARGEST, MEAN = 0.052, 0.009  # of x0, measured on the reference itself (goldens README, section 1.1)


@torch.no_grad()
def test_bfloat16_is_as_near_as_the_references_own(golden, parity):
    data = golden("student_ar")
    model = model_of(data).bfloat16()
    inputs = inputs_of(data)
    inputs = type(inputs)(*(value.bfloat16() for value in vars(inputs).values()))
    sigmas = data["schedule/t_list"].tolist()
    stream = stream_of(model, inputs, sigmas)
    first = data["noise/init"].bfloat16().split(3, dim=2)
    errors = []
    for c, chunk in enumerate(spans(model.prepare(inputs), 3 * len(first))):
        noise = torch.cat((first[c][None], data["noise/renoise"][c].bfloat16()))
        x0 = denoise_chunk(lambda x, sigma, chunk=chunk: stream(x, sigma, chunk), noise, sigmas)
        assert x0.dtype == torch.bfloat16
        errors.append((x0.double() - data[f"chunk{c}/x0"].double()).abs())
        stream.cache_write(x0, chunk)
    error = torch.cat(errors)
    print(f"bfloat16: largest error {error.max():.4f}, mean {error.mean():.4f}")
    assert error.max() <= LARGEST and error.mean() <= MEAN
    assert error.mean() == pytest.approx(MEAN, rel=0.5)  # it did run in bfloat16
