"""The neighbourhood models: conformance, oracles, and figures on the frozen split."""

from __future__ import annotations

from recsys_desktop.api.testing import AlgorithmConformance
from recsys_neighbors.plugin import ITEM_KNN, ITEM_KNN_RATING, USER_KNN, USER_KNN_RATING


class TestItemKnnConformance(AlgorithmConformance):
    spec = ITEM_KNN


class TestUserKnnConformance(AlgorithmConformance):
    spec = USER_KNN


class TestItemKnnRatingConformance(AlgorithmConformance):
    spec = ITEM_KNN_RATING


class TestUserKnnRatingConformance(AlgorithmConformance):
    spec = USER_KNN_RATING
