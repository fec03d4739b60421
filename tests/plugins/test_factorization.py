"""Factorisations: the conformance kit, oracles, and accuracy on the frozen split."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from recsys_desktop.api import AlgorithmSpec, RunContext
from recsys_desktop.api.testing import AlgorithmConformance, made_data
from recsys_factorization.plugin import ALS, BAYESIAN_FM, BPR, IMPLICIT_ALS, NMF, SVD, SVDPP
from tests.plugins.damaged_states import hold_refuses_short_arrays


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


@pytest.mark.parametrize(
    ("spec", "params"),
    [
        (IMPLICIT_ALS, {"factors": 4}),
        (BPR, {"factors": 4, "epochs": 2}),
        (SVD, {"factors": 4, "epochs": 2}),
        (SVDPP, {"factors": 4, "epochs": 2}),
        (ALS, {"factors": 4, "iterations": 2}),
        (NMF, {"factors": 4, "iterations": 2}),
        (BAYESIAN_FM, {"sweeps": 4, "factors": 2}),
        (BAYESIAN_FM, {"sweeps": 4, "factors": 2, "implicit_sets": False, "side_features": False}),
    ],
    ids=lambda value: value.id if isinstance(value, AlgorithmSpec) else "",
)
def test_a_state_that_does_not_fit_together_is_refused(
    spec: AlgorithmSpec, params: dict[str, Any], tmp_path: Path
) -> None:
    model = spec.load()(spec.params(**params)).fit(made_data.communities().train, RunContext(threads=1))
    hold_refuses_short_arrays(model, tmp_path)
