"""The mistakes that the tests are tried with can still be made, and a test that they name is there."""

from __future__ import annotations

import pytest

from tools.mutations import ROOT, Mistake, mistakes


@pytest.mark.parametrize("mistake", mistakes(), ids=lambda mistake: mistake.name)
def test_a_mistake_can_be_made(mistake):
    right = (ROOT / "lipforcing" / mistake.module).read_text(encoding="utf-8")
    compile(mistake.broken(right), mistake.module, "exec")
    assert mistake.broken(right) != right
    assert mistake.tests and all((ROOT / test).is_file() for test in mistake.tests)


def test_a_place_that_is_gone_is_said():
    with pytest.raises(SystemExit, match="write it anew"):
        Mistake("name", "module.py", [], "what was there", "").broken("what is there")
