"""Factorisations: the conformance kit, oracles, and accuracy on the frozen split."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recsys_desktop.api import AlgorithmSpec, Query, RunContext
from recsys_desktop.api.testing import AlgorithmConformance, made_data
from recsys_desktop.toolkit.bias import fit_biases
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


def test_svdpp_learns_from_a_few_hundred_ratings():
    generator = np.random.default_rng(0)
    users, items = np.divmod(generator.permutation(60 * 40)[:900], 40)
    tastes, kinds = generator.standard_normal((60, 2)), generator.standard_normal((40, 2))
    ratings = np.clip(np.round(3 + np.einsum("nf,nf->n", tastes[users], kinds[items])), 1, 5)
    data = made_data.table(list(zip(users.tolist(), items.tolist(), ratings.tolist(), strict=True)), 60, 40)
    train, test = data.subset(np.arange(900) % 5 > 0), data.subset(np.arange(900) % 5 == 0)
    model = SVDPP.load()().fit(train)
    known = Query.of_users(train, np.arange(60))
    errors = model.predict_pairs(known, test.users, test.items) - test.ratings
    biases = fit_biases(train, None, None, RunContext())
    of_biases = biases.mean + biases.users[test.users] + biases.items[test.items] - test.ratings
    assert np.nanmean(errors**2) ** 0.5 < 0.9 * np.nanmean(of_biases**2) ** 0.5
