"""Factorisations: the conformance kit, oracles, and accuracy on the frozen split."""

from __future__ import annotations

from recsys_desktop.api.testing import AlgorithmConformance
from recsys_factorization.plugin import ALS, BAYESIAN_FM, BPR, IMPLICIT_ALS, SVD, SVDPP


class TestImplicitALSConforms(AlgorithmConformance):
    spec = IMPLICIT_ALS


class TestSVDConforms(AlgorithmConformance):
    spec = SVD


class TestALSConforms(AlgorithmConformance):
    spec = ALS


class TestBPRConforms(AlgorithmConformance):
    spec = BPR


class TestBayesianFMConforms(AlgorithmConformance):
    spec = BAYESIAN_FM
    params = {"sweeps": 40, "kept_draws": 10}


class TestSVDPlusPlusConforms(AlgorithmConformance):
    spec = SVDPP
