"""Negative sampling: never a seen item, the promised probabilities, people who have met everything."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_desktop.toolkit.sampling import NegativeSampler


@given(seed=st.integers(0, 1000), exponent=st.sampled_from([0.0, 0.5, 1.0]), share=st.floats(0.05, 1.0))
def test_never_a_seen_item_and_never_one_that_does_not_occur(seed: int, exponent: float, share: float) -> None:
    generator = np.random.default_rng(seed)
    seen = generator.random((7, 11)) < share
    seen[0, 0] = True
    seen[:, 10] = False
    users, items = np.nonzero(seen)
    sampler = NegativeSampler(users, items, 11, exponent)
    everyone = np.arange(7)
    drawn = sampler.draw(everyone, 5, generator)
    assert drawn.shape == (7, 5)
    occurs = seen.any(axis=0)
    for user in everyone:
        possible = set(np.flatnonzero(occurs & ~seen[user]).tolist())
        assert set(drawn[user].tolist()) <= (possible or {-1})


def test_somebody_who_lacks_one_item_gets_that_one() -> None:
    n_items = 500
    users = np.concatenate([np.zeros(n_items - 1, dtype=int), [1]])
    items = np.concatenate([np.arange(1, n_items), [0]])
    sampler = NegativeSampler(users, items, n_items, 0.75)
    assert (sampler.draw(np.array([0]), 20, np.random.default_rng(0)) == 0).all()


@pytest.mark.parametrize("exponent", [0.0, 0.5, 1.0])
def test_items_are_drawn_as_often_as_their_popularity_says(exponent: float) -> None:
    counts = np.array([1, 2, 4, 8, 16])
    items = np.repeat(np.arange(5), counts)
    users = np.concatenate([np.arange(count) for count in counts])
    sampler = NegativeSampler(users, items, 6, exponent)
    newcomer = np.full(40_000, 99)
    found = np.bincount(sampler.draw(newcomer, 1, np.random.default_rng(1))[:, 0], minlength=6) / 40_000
    expected = counts**exponent / (counts**exponent).sum()
    np.testing.assert_allclose(found[:5], expected, atol=0.01)
    assert found[5] == 0
    np.testing.assert_allclose(np.exp(sampler.log_probabilities[:5]) / 5, expected, rtol=1e-5)


def test_the_generator_alone_decides() -> None:
    generator = np.random.default_rng(3)
    users, items = generator.integers(0, 20, 200), generator.integers(0, 50, 200)
    sampler = NegativeSampler(users, items, 50, 0.5)
    first = sampler.draw(users, 4, np.random.default_rng(8))
    np.testing.assert_array_equal(first, sampler.draw(users, 4, np.random.default_rng(8)))
    assert (first != sampler.draw(users, 4, np.random.default_rng(9))).any()
