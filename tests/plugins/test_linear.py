"""The linear item models: conformance, oracles, and figures on the frozen split."""

from __future__ import annotations

from recsys_desktop.api.testing import AlgorithmConformance
from recsys_linear.plugin import EASE, RP3BETA, SLIM


class TestEaseConformance(AlgorithmConformance):
    spec = EASE


class TestSlimConformance(AlgorithmConformance):
    spec = SLIM


class TestRp3BetaConformance(AlgorithmConformance):
    spec = RP3BETA
