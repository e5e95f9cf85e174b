"""Settings of a training."""

from __future__ import annotations

import pytest
import torch

from lipforcing.distill.recipe import Recipe, changed
from lipforcing.errors import InputError

RECIPE = Recipe("line", iterations=60, learning_rate=0.05, seed=1, batch=8)


def test_settings_keep_their_kind():
    found = changed(RECIPE, ["iterations=9", "learning_rate=1e-3", "optimizer=adamw", "compile=true"])
    assert (found.iterations, found.learning_rate, found.optimizer, found.compile) == (9, 1e-3, "adamw", True)
    assert changed(RECIPE, []) == RECIPE


@pytest.mark.parametrize("setting", ["iteration=9", "iterations=many", "compile=9", "precision=half", "name=x", "seed"])
def test_wrong_settings_are_said(setting):
    with pytest.raises(InputError, match=setting.split("=")[0]):
        changed(RECIPE, [setting])


def test_policy():
    policy = changed(RECIPE, ["precision=bfloat16", "checkpointing=true"]).policy
    assert policy.dtype == torch.bfloat16 and policy.checkpointing and not policy.compile
