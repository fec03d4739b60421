"""The hybrids: conformance, what the weights learn, explanations, and figures on the frozen split."""

from __future__ import annotations

from recsys_desktop.api.testing import AlgorithmConformance
from recsys_factorization.plugin import IMPLICIT_ALS
from recsys_hybrid.plugin import WEIGHTED_HYBRID
from recsys_linear.plugin import EASE
from recsys_neighbors.plugin import ITEM_KNN


class TestWeightedHybridConformance(AlgorithmConformance):
    spec = WEIGHTED_HYBRID
    members = (EASE, IMPLICIT_ALS, ITEM_KNN)
