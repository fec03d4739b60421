"""The neighbourhood models: conformance, oracles, and figures on the frozen split."""

from __future__ import annotations

from recsys_desktop.api.testing import AlgorithmConformance
from recsys_neighbors.plugin import ITEM_KNN


class TestItemKnnConformance(AlgorithmConformance):
    spec = ITEM_KNN
