from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from lipforcing.report.page import WIDTH, bars, curve, timeline


def test_what_was_passed_on_lies_where_it_was_in_time():
    drawing = ElementTree.fromstring(timeline([{"start": 1.0, "end": 1.5, "reason": "a < b"}], 4.0))
    whole, passed = drawing.iter("rect")
    assert float(whole.get("width")) == WIDTH
    assert (float(passed.get("x")), float(passed.get("width"))) == (WIDTH / 4, WIDTH / 8)
    assert passed.find("title").text == "1.00 to 1.50 s: a < b"


def test_bars_are_as_long_as_their_seconds():
    drawing = ElementTree.fromstring(bars({"read": 1.0, "denoise": 4.0, "write": 0.0}))
    lengths = [float(bar.get("width")) for bar in drawing.iter("rect")]
    assert lengths == pytest.approx([lengths[1] / 4, lengths[1], 0]) and lengths[1] > WIDTH / 2
    assert ElementTree.fromstring(bars({})) is not None


def test_the_curve_of_confidence():
    drawing = ElementTree.fromstring(curve([0.0, 2.0, 4.0], 4 / 25))
    points = [tuple(map(float, pair.split(","))) for pair in drawing.find("polyline").get("points").split()]
    across, down = zip(*points)
    assert across == pytest.approx([WIDTH * (n + 2.5) / 4 for n in range(3)], abs=0.1)
    assert down[0] - down[1] == pytest.approx(down[1] - down[2]) and down[0] > down[2]
    assert re.search(r"at most 4\.0", curve([0.0, 4.0], 1.0))
