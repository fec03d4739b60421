"""The linear item models: conformance, oracles, and figures on the frozen split."""

from __future__ import annotations

from recsys_desktop.api.testing import AlgorithmConformance
from recsys_linear.plugin import EASE


class TestEaseConformance(AlgorithmConformance):
    spec = EASE
