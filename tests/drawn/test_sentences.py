"""Random sentences."""

from lipforcing.drawn.sentences import random_sentence


def test_sentences_repeat_by_seed_and_vary():
    assert random_sentence(3) == random_sentence(3)
    assert len({random_sentence(seed) for seed in range(200)}) > 180


def test_sentences_begin_and_end_as_sentences_do():
    sentences = [random_sentence(seed) for seed in range(300)]
    assert all(one[0].isupper() and one[-1] in ".?!" for one in sentences)
    assert sum(one.endswith("?") for one in sentences) > 15
    assert 2 < sum(len(one.split()) for one in sentences) / 300 < 15
