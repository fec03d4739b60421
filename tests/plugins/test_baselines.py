"""The baselines: conformance, known answers, and figures on the frozen split."""

from __future__ import annotations

from recsys_baselines.plugin import BIAS, POPULARITY
from recsys_desktop.api.testing import AlgorithmConformance


class TestPopularityConformance(AlgorithmConformance):
    spec = POPULARITY


class TestBiasConformance(AlgorithmConformance):
    spec = BIAS
    personalised = False
