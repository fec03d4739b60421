"""Fitting: what is measured, what a model must be able to do to be kept, and which figure tells how good it is."""

from __future__ import annotations

import logging
import time
from dataclasses import replace

import numpy as np
import pytest

from recsys_desktop.api import InvalidParameter, Query
from recsys_desktop.api.testing import made_data
from recsys_desktop.engine import Engine, EvaluateRequest, TrainingFailed, TrainRequest, fitting, warming
from recsys_desktop.engine.fitting import set_aside
from recsys_desktop.engine.plugins import Registry
from recsys_neighbors.plugin import USER_KNN_RATING
from tests.engine import toys


def test_what_a_process_pays_once_is_not_measured_whatever_the_order(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    fit = toys.ToyPopular._fit

    def slow_at_first(self, train, run):
        if not sizes:
            time.sleep(0.5)
        sizes.append(train.n_users)
        fit(self, train, run)

    monkeypatch.setattr(warming, "_done", set())
    monkeypatch.setattr(toys.ToyPopular, "_fit", slow_at_first)
    for _ in range(2):
        row = engine.evaluate(EvaluateRequest(["toy-popular"], data="toy")).rows[0]
        assert row.fit_seconds is not None and row.fit_seconds < 0.4
    assert sizes == [warming.EXCERPT_USERS, 60, 60]


def test_a_failed_warm_up_costs_nothing(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    fit = toys.ToyPopular._fit

    def not_on_so_little(self, train, run):
        if train.n_users < 60:
            raise ValueError("too little")
        fit(self, train, run)

    monkeypatch.setattr(warming, "_done", set())
    monkeypatch.setattr(toys.ToyPopular, "_fit", not_on_so_little)
    assert engine.evaluate(EvaluateRequest(["toy-popular"], data="toy")).rows[0].state == "done"


def test_the_excerpt_is_small_and_says_what_the_data_says(engine: Engine) -> None:
    data = engine.dataset("toy")
    part = warming.excerpt(data)
    assert (part.n_users, part.n_items) == (warming.EXCERPT_USERS, data.n_items)
    whole = {
        (data.user_vocabulary[user], data.item_vocabulary[item]): rating
        for user, item, rating in zip(data.users.tolist(), data.items.tolist(), data.ratings, strict=True)
    }
    assert len(part) > 100
    for user, item, rating in zip(part.users.tolist(), part.items.tolist(), part.ratings, strict=True):
        assert whole[part.user_vocabulary[user], part.item_vocabulary[item]] == rating
    assert part.item_features.describe(3) == data.item_features.describe(
        data.item_vocabulary.code(part.item_vocabulary[3])
    )


@pytest.mark.parametrize("goes_by_order", [False, True])
def test_what_is_set_aside_for_an_algorithm_that_goes_by_order_is_the_latest(
    engine: Engine, goes_by_order: bool
) -> None:
    data = engine.dataset("toy")
    capabilities = replace(toys.TOGETHER.capabilities, uses_timestamps=goes_by_order)
    assert capabilities.is_sequential == goes_by_order
    kept, held_out = set_aside(replace(toys.TOGETHER, capabilities=capabilities), data, 5)
    assert len(kept) + len(held_out) == len(data)
    assert (held_out.user_counts > 0).sum() == (data.user_counts > 1).sum()
    in_order = [
        kept.timestamps[kept.users == user].max() <= held_out.timestamps[held_out.users == user].min()
        for user in np.flatnonzero(held_out.user_counts)
    ]
    assert np.mean(in_order) == 1 if goes_by_order else np.mean(in_order) < 0.5


def test_the_shipped_algorithms_that_go_by_order_are_those_that_tell_what_comes_next() -> None:
    algorithms = Registry.discover(safe_mode=True).algorithms.values()
    sequential = {spec.id for spec in algorithms if spec.capabilities.is_sequential}
    assert {"sasrec", "gru", "lstm"} <= sequential
    assert not {spec.id for spec in algorithms if spec.capabilities.predicts_ratings} & sequential


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_model_without_a_finite_score_is_never_saved(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, value: float
) -> None:
    def scoreless(self, query, items):
        return np.full((len(query), self.n_items), value)

    monkeypatch.setattr(toys.ToyPopular, "_score", scoreless)
    monkeypatch.setattr(toys.ToyEpochs, "_score", scoreless)
    said = "only NaN or infinite scores to each of the 60 people it was tried on: "
    with pytest.raises(TrainingFailed, match=said + "no score could be computed from these data$"):
        engine.train(TrainRequest("toy-popular", "toy"))
    with pytest.raises(TrainingFailed, match=said + "its training may have diverged; try other parameters$"):
        engine.train(TrainRequest("toy-epochs", "toy"))
    assert engine.models() == []


def test_a_model_that_knows_some_people_only_is_saved(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    def last_person_only(self, query, items):
        scores = np.full((len(query), self.n_items), np.nan)
        scores[query.users == self.n_users - 1] = 1.0
        return scores

    monkeypatch.setattr(toys.ToyPopular, "_score", last_person_only)
    assert engine.train(TrainRequest("toy-popular", "toy", calibrate=False)).version == 1


def test_a_failure_is_logged_with_its_traceback_and_says_where_it_was(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO), pytest.raises(TrainingFailed, match="'toy-raises' failed: ZeroDivisionError"):
        engine.train(TrainRequest("toy-raises", "toy"))
    assert 'raise ZeroDivisionError("toys break")' in caplog.text
    monkeypatch.setattr(toys.ToyLater, "broken", True)
    with pytest.raises(TrainingFailed, match="'toy-later' was fitted, but failed in score: RuntimeError: no answer"):
        engine.train(TrainRequest("toy-later", "toy"))


def test_the_figure_of_a_model_that_predicts_ratings_is_its_error(engine: Engine) -> None:
    for algorithm, name in (("bias", "rmse"), ("toy-mean", "rmse"), ("popularity", "ndcg@10")):
        validation = engine.train(TrainRequest(algorithm, "toy")).metrics["validation"]
        assert validation["name"] == name and validation["larger_is_better"] is (name != "rmse")


def test_a_member_that_is_no_algorithm_is_a_wrong_parameter_before_anything_runs(engine: Engine) -> None:
    runs = len(engine.runs())
    wrong = {"members": "popularity,eese"}
    for ask in (
        lambda: engine.train(TrainRequest("weighted-hybrid", "toy", wrong)),
        lambda: engine.evaluate(EvaluateRequest(["weighted-hybrid"], data="toy", params={"weighted-hybrid": wrong})),
    ):
        with pytest.raises(InvalidParameter, match="'members': there is no algorithm 'eese'; did you mean 'ease'"):
            ask()
    assert len(engine.runs()) == runs


def test_what_was_computed_before_a_run_was_killed_counts_with_hybrids_too(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit_together = toys.ToyTogether._fit

    def taken_up(self, train, run):
        run.earlier_seconds += 1000.0
        fit_together(self, train, run)

    monkeypatch.setattr(toys.ToyTogether, "_fit", taken_up)
    assert 1000 <= engine.train(TrainRequest("toy-together", "toy")).fit_seconds < 1100
    assert 1000 <= engine.train(TrainRequest("toy-blend", "toy")).fit_seconds < 1100


def test_ratings_of_many_are_predicted_from_the_histories_of_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A block asks for its own people alone: neighbourhoods compare everybody whom they are asked about."""
    data = made_data.communities().train
    everyone = Query.of_users(data, np.arange(data.n_users))
    generator = np.random.default_rng(0)
    people, items = generator.integers(0, data.n_users, 300), generator.integers(0, data.n_items, 300)
    model = USER_KNN_RATING.load()().fit(data)
    whole = model.predict_pairs(everyone, people, items)
    asked, checks = [], []
    predict_pairs = model.predict_pairs

    def counted(query, people, items):
        asked.append(len(query))
        return predict_pairs(query, people, items)

    monkeypatch.setattr(model, "predict_pairs", counted)
    monkeypatch.setattr(fitting, "PEOPLE_AT_ONCE", 7)
    found = fitting.predicted_pairs(model, everyone, people, items, lambda: checks.append(1))
    assert np.allclose(found, whole, atol=1e-5, equal_nan=True)
    assert len(checks) == -(-data.n_users // 7)
    assert max(asked) <= 7
