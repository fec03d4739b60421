"""The baselines: conformance, known answers, and figures on the frozen split."""

from __future__ import annotations

import numpy as np

from recsys_baselines.plugin import (
    BIAS,
    GLOBAL_MEAN,
    ITEM_MEAN,
    POPULARITY,
    RANDOM,
    RECENT_POPULARITY,
    USER_MEAN,
)
from recsys_desktop.api.testing import AlgorithmConformance


class TestPopularityConformance(AlgorithmConformance):
    spec = POPULARITY


class TestRecentPopularityConformance(AlgorithmConformance):
    spec = RECENT_POPULARITY


class TestGlobalMeanConformance(AlgorithmConformance):
    spec = GLOBAL_MEAN


class TestItemMeanConformance(AlgorithmConformance):
    spec = ITEM_MEAN


class TestUserMeanConformance(AlgorithmConformance):
    spec = USER_MEAN
    personalised = False


class TestBiasConformance(AlgorithmConformance):
    spec = BIAS
    personalised = False


class TestRandomConformance(AlgorithmConformance):
    """Chance is no better than chance, nor does it know the checkerboard."""

    spec = RANDOM
    test_lists_are_better_than_chance = None
    test_checkerboard_has_its_known_answer = None

    def test_every_item_comes_first_equally_often(self) -> None:
        model = self.model
        first = np.nanargmax(
            np.vstack([self.fit(self.train, seed=seed).score(self.active()) for seed in range(20)]), axis=1
        )
        counts = np.bincount(first, minlength=self.train.n_items)[model.known_items_]
        expected = len(first) / model.known_items_.sum()
        assert np.abs(counts - expected).max() < 5 * np.sqrt(expected)
