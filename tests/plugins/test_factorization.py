"""Factorisations: the conformance kit, damaged states, steps that diverge, stops, kernels that are compiled first."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recsys_desktop.api import AlgorithmSpec, CannotFit, DataShape, Query, RunContext
from recsys_desktop.api.testing import AlgorithmConformance, made_data
from recsys_desktop.toolkit.bias import fit_biases
from recsys_factorization.plugin import ALS, BAYESIAN_FM, BPR, IMPLICIT_ALS, NMF, PURE_SVD, SVD, SVDPP, TRUNCATED_SVD
from recsys_factorization.temporal import TemporalBiases
from tests.plugins.damaged_states import hold_refuses_short_arrays, loaded_as_of_version_1


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


@pytest.mark.parametrize(("spec", "settings"), [(IMPLICIT_ALS, {"factors": 4}), (PURE_SVD, {"rank": 3})])
def test_a_model_saved_before_popularity_counted_loads(
    spec: AlgorithmSpec, settings: dict[str, Any], tmp_path: Path
) -> None:
    data = made_data.communities().train
    model = spec.load()(spec.params(**settings, popularity=0.0)).fit(data, RunContext(threads=1))
    params = {name: value for name, value in model.params.to_dict().items() if name != "popularity"}
    loaded = loaded_as_of_version_1(model, tmp_path, params, ("bases_", "chosen_"))
    everybody = Query.of_users(data, np.arange(data.n_users))
    assert np.array_equal(loaded.score(everybody), model.score(everybody), equal_nan=True)


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


def test_svdpp_fits_a_persons_drift_once_for_a_list(monkeypatch: pytest.MonkeyPatch) -> None:
    data = made_data.communities().train
    model = SVDPP.load()(SVDPP.params(factors=4, epochs=2)).fit(data, RunContext(threads=1))
    assert data.timestamps is not None
    asked = replace(Query.of_users(data, [3, 4]), as_of=np.repeat(data.timestamps.max(), 2))
    fits: list[int] = []
    fit_lines = TemporalBiases.static

    def counted(biases: TemporalBiases, *given: Any) -> Any:
        fits.append(len(fits))
        return fit_lines(biases, *given)

    monkeypatch.setattr(TemporalBiases, "static", counted)
    assert not np.isnan(model.score(asked)[:, data.item_counts > 0]).any()
    assert len(fits) == 1


@pytest.mark.parametrize("spec", [SVD, SVDPP], ids=lambda spec: spec.id)
@pytest.mark.parametrize("penalty", ["factor_shrinkage", "bias_shrinkage", "regularisation"])
def test_the_strongest_penalties_leave_the_averages(spec: AlgorithmSpec, penalty: str) -> None:
    """A step against a penalty that would overshoot 0 many times over must not."""
    data = made_data.communities().train
    largest = spec.params.describe()
    strength = next(field.maximum for field in largest if field.name == penalty)
    model = spec.load()(spec.params(**{penalty: strength})).fit(data, RunContext(threads=1))
    scores = model.score(Query.of_users(data, np.arange(data.n_users)))
    assert data.ratings is not None
    known = ~np.isnan(scores)
    assert known.any()
    held = model.user_biases_ if penalty == "bias_shrinkage" else model.user_factors_
    assert np.abs(held).max() < 0.05
    assert np.abs(scores[known] - data.ratings.mean()).max() < 4


@pytest.mark.parametrize(
    ("spec", "params"),
    [(SVD, {"learning_rate": 0.5}), (BPR, {"learning_rate": 1.0, "regularisation": 0.0, "epochs": 200})],
    ids=lambda value: value.id if isinstance(value, AlgorithmSpec) else "",
)
def test_steps_that_diverge_are_told(spec: AlgorithmSpec, params: dict[str, Any]) -> None:
    generator = np.random.default_rng(2)
    users, items = np.nonzero(generator.random((300, 120)) < 0.1)
    ratings = generator.integers(1, 6, len(users))
    data = made_data.table(list(zip(users.tolist(), items.tolist(), ratings.tolist(), strict=True)), 300, 120)
    with pytest.raises(CannotFit, match="diverged: lower 'learning_rate'"):
        spec.load()(spec.params(**params)).fit(data, RunContext(threads=1))


class StoppedWhilePeopleAreLearnt(RunContext):
    """Asks to stop a little after BPR has begun to fold everybody in."""

    asked = 0

    @property
    def should_stop(self) -> bool:
        self.asked += bool(self.asked)
        return self.asked > 2

    def progress(self, fraction: float, text: str = "") -> None:
        if text == "people":
            self.asked = 1


def test_bpr_stopped_while_people_are_folded_in_serves_everybody_as_if_it_had_not_been() -> None:
    data = made_data.of_shape(DataShape(400, 60, 6000), False)
    stopped, whole = (
        BPR.load()(BPR.params(candidates=1, factors=8)).fit(data, run)
        for run in (StoppedWhilePeopleAreLearnt(threads=1), RunContext(threads=1))
    )
    assert 0 < stopped.fresh_users_.sum() < data.n_users
    assert whole.fresh_users_.all()
    everybody = Query.of_users(data, np.arange(data.n_users))
    assert np.array_equal(stopped.score(everybody), whole.score(everybody), equal_nan=True)
    assert np.isfinite(stopped.user_embeddings()[stopped.known_users_]).all()


@pytest.mark.parametrize("params", [{}, {"candidates": 1}, {"learning_rate": 1.0, "regularisation": 1.0}])
def test_bpr_explains_a_score_as_a_sum_of_what_each_item_taught(params: dict[str, Any]) -> None:
    data = made_data.communities().train
    model = BPR.load()(BPR.params(**params)).fit(data, RunContext(threads=1))
    for user in (0, 7, 31):
        person = Query.of_users(data, [user])
        for asked in (person, person.as_strangers()):
            for explanation in model.explain(asked, [0, 3, 11]):
                assert explanation.additive
                assert explanation.base == pytest.approx(float(model.item_biases_[explanation.item]))
                assert abs(explanation.residual) < 1e-4


def test_in_bpr_items_of_a_community_speak_for_their_own() -> None:
    """The even items are those of one community, the odd those of the other; this person has four of each."""
    data = made_data.communities().train
    model = BPR.load()(BPR.params()).fit(data, RunContext(threads=1))
    mixed = Query(users=np.array([-1]), indptr=np.array([0, 8]), items=np.arange(8))
    for explanation in model.explain(mixed, [20, 21, 22, 23]):
        own = [part.value for part in explanation.contributions if (part.code - explanation.item) % 2 == 0]
        other = [part.value for part in explanation.contributions if (part.code - explanation.item) % 2 == 1]
        assert np.mean(own) > 0 > np.mean(other)


KERNELS_COMPILED_LATE = """
import sys
import numba
from recsys_desktop.api import RunContext
from recsys_desktop.api.testing import made_data
from recsys_factorization.plugin import recsys_desktop_algorithms

def signatures():
    found = {}
    for name, module in list(sys.modules.items()):
        if name.startswith("recsys_"):
            for value in vars(module).values():
                if isinstance(value, numba.core.dispatcher.Dispatcher):
                    found[f"{value.py_func.__module__}.{value.py_func.__name__}"] = len(value.signatures)
    return found

class Run(RunContext):
    before = None
    def progress(self, fraction, text=""):
        if self.before is None and text != "compiling, once":
            self.before = signatures()

spec = {spec.id: spec for spec in recsys_desktop_algorithms()}[sys.argv[1]]
run = Run(threads=1)
spec.load()(spec.params()).fit(made_data.communities().train, run)
late = {name: count for name, count in signatures().items() if count > run.before.get(name, 0)}
print(late)
"""


@pytest.mark.parametrize("spec", [IMPLICIT_ALS, BPR, PURE_SVD, SVD, SVDPP, ALS, NMF, TRUNCATED_SVD], ids=lambda s: s.id)
def test_no_kernel_is_compiled_while_another_step_is_shown(spec: AlgorithmSpec) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KERNELS_COMPILED_LATE, spec.id], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "{}"
