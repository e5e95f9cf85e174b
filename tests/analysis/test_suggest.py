"""Suggestions, on the published figures of the paper's own teacher."""

from __future__ import annotations

import numpy as np

from lipforcing.analysis.probes import GUIDED, PLAIN
from lipforcing.analysis.suggest import guidance_window, interval, landing_step, suggest

STEPS = (10, 15, 20, 25, 28, 30, 33, 35, 40, 49)
SYNC = {
    (GUIDED, GUIDED): np.array([7.242, 7.443, 7.620, 7.777, 7.928, 7.911, 7.907, 7.778, 7.626, 7.357]),
    (PLAIN, GUIDED): np.array([7.183, 7.197, 7.343, 7.466, 7.357, 7.284, 7.122, 6.967, 6.721, 6.358]),
    (PLAIN, PLAIN): np.array([6.508, 6.487, 6.552, 6.484, 6.468, 6.398, 6.379, 6.397, 6.342, 6.363]),
    (GUIDED, PLAIN): np.array([6.810, 7.082, 7.266, 7.504, 7.615, 7.603, 7.587, 7.532, 7.522, 7.330]),
}
ERROR = {
    (GUIDED, GUIDED): np.array([0.1128, 0.1054, 0.1000, 0.0966, 0.0962, 0.0967, 0.0981, 0.1005, 0.1076, 0.1268]),
    (PLAIN, GUIDED): np.array([0.1142, 0.1072, 0.1007, 0.0931, 0.0889, 0.0869, 0.0846, 0.0841, 0.0869, 0.1013]),
    (PLAIN, PLAIN): np.array([0.0922, 0.0890, 0.0866, 0.0850, 0.0842, 0.0841, 0.0841, 0.0845, 0.0876, 0.1017]),
    (GUIDED, PLAIN): np.array([0.0923, 0.0894, 0.0884, 0.0893, 0.0909, 0.0925, 0.0957, 0.0981, 0.1057, 0.1271]),
}


def test_the_papers_figures_suggest_what_the_paper_chose():
    """It landed at step 30 and guided from 20 to 40."""
    assert landing_step(STEPS, SYNC, ERROR) == 30
    assert guidance_window(STEPS, SYNC) == (20, 33)


def test_guidance_that_gains_nothing_has_no_window():
    worse = {**SYNC, (PLAIN, GUIDED): SYNC[PLAIN, PLAIN] - 0.1}
    assert guidance_window(STEPS, worse) is None
    found = suggest(STEPS, *({key: np.stack([v] * 3) for key, v in figures.items()} for figures in (worse, ERROR)))
    assert found.window is None and found.window_low is None and found.landing in STEPS


def test_intervals_are_over_clips():
    """Equal clips leave no doubt; clips that disagree do."""
    sync, error = ({key: np.stack([v] * 4) for key, v in figures.items()} for figures in (SYNC, ERROR))
    sure = suggest(STEPS, sync, error)
    assert sure.landing_interval == (sure.landing, sure.landing) and sure.window_low == (20, 20)
    for values in sync.values():
        values += 0.5 * np.random.default_rng(1).standard_normal(values.shape)
    unsure = suggest(STEPS, sync, error)
    assert unsure.landing_interval[0] < unsure.landing_interval[1]
    assert suggest(STEPS, sync, error) == unsure
    assert interval(range(101)) == (2, 98)


def test_a_teacher_that_guidance_spoils():
    """Even then the landing is where there is most sync for the error, here the last step."""
    spoilt = {(PLAIN, PLAIN): [1.4, 1.4, 1.4], (PLAIN, GUIDED): [0.5, 0.6, 1.3], (GUIDED, PLAIN): [1.4, 1.2, 0.5]}
    wrong = {(PLAIN, PLAIN): [1.7, 1.6, 1.6], (PLAIN, GUIDED): [5.6, 5.1, 2.0], (GUIDED, PLAIN): [1.7, 2.2, 4.6]}
    both = (
        {**table, (GUIDED, GUIDED): values} for table, values in ((spoilt, [0.5, 0.7, 0.5]), (wrong, [5.6, 5.7, 5.2]))
    )
    sync, error = ({key: np.array(values) for key, values in table.items()} for table in both)
    assert landing_step((0, 30, 49), sync, error) == 49 and guidance_window((0, 30, 49), sync) is None
