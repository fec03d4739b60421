"""The hybrids: conformance, what the weights learn, explanations, and figures on the frozen split."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from benchmarks.frozen_splits import final_split
from benchmarks.headless_run import fit, installed_algorithms
from recsys_baselines.plugin import RANDOM
from recsys_desktop.api import (
    AlgorithmSpec,
    CannotFit,
    CannotServe,
    Capabilities,
    Dataset,
    DataShape,
    Family,
    Forecast,
    InvalidParameter,
    Params,
    Query,
    Recommender,
    RunContext,
    Serves,
    Source,
)
from recsys_desktop.api.dataset import Int32
from recsys_desktop.api.testing import AlgorithmConformance, KitRun, made_data, naive
from recsys_desktop.evaluation import RANKING_METRICS, rank_test_users
from recsys_factorization.plugin import IMPLICIT_ALS
from recsys_hybrid.combining import standardised, weighted_mean
from recsys_hybrid.plugin import WEIGHTED_HYBRID, WeightedHybridParams
from recsys_hybrid.weight_search import gather_candidates, lattice, undistinguished_mean
from recsys_hybrid.weighted import WeightedHybrid
from recsys_linear.plugin import EASE
from recsys_neighbors.plugin import ITEM_KNN

TRAIN, TEST = made_data.communities()


class NoParams(Params):
    """No parameters."""


def _toy(name: str, class_name: str) -> AlgorithmSpec:
    capabilities = Capabilities(Serves.EVERYONE)
    return AlgorithmSpec(name, name, Family.BASELINE, "A toy.", f"{__name__}:{class_name}", NoParams, capabilities)


EVEN_ITEMS, REFUSES = _toy("even-items", "EvenItems"), _toy("refuses", "Refuses")
MEMBERS = (EASE, IMPLICIT_ALS, ITEM_KNN, RANDOM, EVEN_ITEMS, REFUSES, WEIGHTED_HYBRID)


class EvenItems(Recommender):
    """Serves everyone, but scores only items of even code: the higher the code, the better."""

    spec = EVEN_ITEMS

    def estimate(self, shape: DataShape) -> Forecast:
        return Forecast(1, 0.0)

    def _fit(self, train: Dataset, run: RunContext) -> None:
        self.codes_ = np.arange(train.n_items, dtype=np.float32)
        self.codes_[1::2] = np.nan

    def _score(self, query: Query, items: Int32 | None) -> npt.NDArray[Any]:
        return np.repeat(self.codes_[None] if items is None else self.codes_[None, items], len(query), axis=0)


class Refuses(EvenItems):
    """Cannot be fitted to anything."""

    spec = REFUSES

    def _fit(self, train: Dataset, run: RunContext) -> None:
        raise CannotFit("the moon is in the wrong house")


class TellingRun(KitRun):
    """Keeps what progress says too."""

    def __init__(self, **options: Any) -> None:
        super().__init__(members=MEMBERS, **options)
        self.texts: list[str] = []

    def progress(self, fraction: float, text: str = "") -> None:
        super().progress(fraction, text)
        self.texts.append(text)


def hybrid(members: Sequence[str], run: KitRun | None = None, data: Dataset = TRAIN, **params: Any) -> WeightedHybrid:
    """A hybrid of these members, by default fitted to the two communities."""
    values = WEIGHTED_HYBRID.params.parse({"members": tuple(members), **params})
    return WeightedHybrid(values).fit(data, TellingRun() if run is None else run)


@cache
def four_tastes() -> made_data.Parts:
    """400 users and 120 items of four tastes; everybody has 20 items, nine in ten of them of their own taste."""
    generator = np.random.default_rng(40)
    own = np.arange(400)[:, None] % 4 == np.arange(120) % 4
    keys = np.log(generator.random(own.shape)) / np.where(own, 0.9 / 30, 0.1 / 90)
    chosen = np.argsort(-keys, axis=1)[:, :20]
    rows = [(user, item, 4.0) for user, items in enumerate(chosen.tolist()) for item in items]
    return made_data.Parts(*made_data.table(rows, 400, 120).hold_out(0.2, generator))


def everybody() -> Query:
    return Query.of_users(TRAIN, np.flatnonzero(TRAIN.user_counts))


class TestWeightedHybridConformance(AlgorithmConformance):
    spec = WEIGHTED_HYBRID
    members = (EASE, IMPLICIT_ALS, ITEM_KNN)


def test_standardised_rows_have_mean_0_and_deviation_1_over_what_was_scored() -> None:
    scores = np.random.default_rng(0).normal(5, 3, (4, 50)).astype(np.float32)
    scores[1, ::2] = np.nan
    scores[2], scores[3] = 0.1, np.nan
    values, mean, deviation = standardised(scores)
    np.testing.assert_allclose(np.nanmean(values[:2], axis=1), 0, atol=1e-5)
    np.testing.assert_allclose(np.nanstd(values[:2], axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(values[1] * deviation[1] + mean[1], scores[1], rtol=1e-4)
    assert (values[2] == 0).all()
    assert np.isnan(values[3]).all()
    assert deviation[2:].tolist() == [0, 0]
    assert (np.isnan(values) == np.isnan(scores)).all()


def test_the_weighted_mean_is_over_what_was_scored() -> None:
    first = np.array([[1, np.nan, 4, np.nan]], dtype=np.float32)
    second = np.array([[5, 2, np.nan, np.nan]], dtype=np.float32)
    mean, together = weighted_mean([(0.75, first), (0.25, second)])
    np.testing.assert_allclose(mean, [[2, 2, 4, np.nan]])
    np.testing.assert_allclose(together, [[1, 0.25, 0.75, np.nan]])
    mean, _ = weighted_mean([(1.0, first), (0.0, second)])
    np.testing.assert_allclose(mean, [[1, np.nan, 4, np.nan]])


@pytest.mark.parametrize("n_members", [1, 2, 3, 5, 9, 40])
def test_the_lattice_covers_the_simplex(n_members: int) -> None:
    tried = lattice(n_members)
    np.testing.assert_allclose(tried.sum(axis=1), 1)
    assert (tried >= 0).all()
    assert len(tried) <= 101
    rows = {tuple(row) for row in tried.tolist()}
    assert all(tuple(alone) in rows for alone in np.eye(n_members).tolist())
    assert tuple([1 / n_members] * n_members) in rows


def test_weights_that_are_clearly_worse_do_not_count() -> None:
    generator = np.random.default_rng(1)
    people = generator.random(400)
    figures = np.stack([people, people + generator.normal(0, 0.01, 400), people - 0.2, people - 0.3])
    weights = np.array([[1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0], [0.5, 0.5, 0]])
    np.testing.assert_allclose(undistinguished_mean(weights, figures), [0.5, 0.5, 0])
    figures[1] -= 0.1
    np.testing.assert_allclose(undistinguished_mean(weights, figures), [1, 0, 0])


def test_candidates_are_judged_as_the_hybrid_itself_would_be() -> None:
    model = hybrid(["ease", "even-items", "item-knn"], weights=(3, 1, 2))
    people = np.flatnonzero(TEST.user_counts)
    candidates = gather_candidates(model.members_, TRAIN, TEST, people, lambda fraction: True)
    assert candidates is not None
    reached = candidates.ndcg(model.weights_).mean()
    assert reached == pytest.approx(naive.mean_ndcg(model, TRAIN, TEST), abs=1e-6)
    assert candidates.ndcg(np.array([0.0, 1.0, 0.0])).mean() < reached


def test_learns_to_trust_the_good_member_and_not_the_useless_one() -> None:
    train, test = four_tastes()
    run = TellingRun()
    model = hybrid(["random", "ease"], run, train)
    weights = {member.spec.id: weight for member, weight in zip(model.members_, model.weights_, strict=True)}
    assert weights["ease"] > 0.75
    assert model.weights_.sum() == pytest.approx(1)
    assert model.held_out_ndcg_ is not None
    assert run.logged[-1][1]["weight of ease"] == pytest.approx(weights["ease"])
    equal = hybrid(["random", "ease"], data=train, weights=(1, 1))
    assert naive.mean_ndcg(model, train, test) > naive.mean_ndcg(equal, train, test)
    assert equal.held_out_ndcg_ is None


def test_given_weights_are_taken_in_proportion() -> None:
    model = hybrid(["ease", "random", "item-knn"], weights="6,0,2")
    assert [member.spec.id for member in model.members_] == ["ease", "item-knn"]
    np.testing.assert_allclose(model.weights_, [0.75, 0.25])


def test_with_too_few_people_to_learn_from_members_weigh_the_same_and_that_is_said() -> None:
    run = TellingRun()
    model = WeightedHybrid().fit(made_data.smallest(6, 6), run)
    np.testing.assert_allclose(model.weights_, 1 / 3)
    assert any("members equal" in text for text in run.texts)
    assert run.logged[-1][1] == {f"weight of {member}": pytest.approx(1 / 3) for member in model.params.members}


def test_members_are_asked_only_for_what_they_score() -> None:
    model = hybrid(["ease", "even-items"], weights=(3, 1))
    ease, even = (standardised(member.score(everybody())).values for member in model.members_)
    scores = model.score(everybody())
    np.testing.assert_allclose(scores[:, 1::2], ease[:, 1::2], rtol=1e-5)
    np.testing.assert_allclose(scores[:, ::2], 0.75 * ease[:, ::2] + 0.25 * even[:, ::2], rtol=1e-4, atol=1e-5)
    nobody = model.score(Query.of_history([]))
    np.testing.assert_allclose(nobody[:, ::2], even[:1, ::2], rtol=1e-5)
    assert np.isnan(nobody[:, 1::2]).all()


def test_a_member_that_cannot_be_fitted_is_left_out_and_that_is_said() -> None:
    run = TellingRun()
    model = hybrid(["refuses", "ease", "item-knn"], run)
    assert "moon" in model.left_out_["refuses"]
    assert {member.spec.id for member in model.members_} <= {"ease", "item-knn"}
    assert model.weights_.sum() == pytest.approx(1)
    assert any("refuses is left out (the moon is in the wrong house)" in text for text in run.texts)


@pytest.mark.parametrize("weights", [(), (1,)])
def test_without_any_member_it_cannot_be_fitted(weights: tuple[int, ...]) -> None:
    with pytest.raises(CannotFit, match="refuses: the moon"):
        hybrid(["refuses"], weights=weights)


def test_without_the_engine_it_says_that_it_has_no_members() -> None:
    with pytest.raises(CannotServe, match="without the engine"):
        WeightedHybrid().fit(TRAIN)


def test_parameters_of_members_reach_them() -> None:
    model = hybrid(["ease", "item-knn"], weights=(1, 1), member_params="ease.regularisation=7, item-knn.neighbours=3")
    assert model.members_[0].params.regularisation == 7
    assert model.members_[1].params.neighbours == 3


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("members", (), "at least one"),
        ("members", ("ease", "ease"), "twice"),
        ("members", ("Ease!",), "not the id"),
        ("member_params", ("ease.regularisation",), "member.parameter=value"),
        ("member_params", ("slim.penalty=1",), "no member"),
        ("weights", (1, 2), "each of the 3 members"),
        ("weights", (1, -1, 1), "0 or more"),
        ("weights", (0, 0, 0), "above 0"),
    ],
)
def test_parameters_that_make_no_sense_are_refused_by_name(name: str, value: tuple[Any, ...], reason: str) -> None:
    with pytest.raises(InvalidParameter, match=reason) as refusal:
        WeightedHybridParams.parse({name: value})
    assert refusal.value.name == name


def test_a_wrong_parameter_of_a_member_is_refused_by_name() -> None:
    with pytest.raises(InvalidParameter, match=r"'ease\.regularisation'") as refusal:
        hybrid(["ease"], member_params="ease.regularisation=-1")
    assert refusal.value.name == "member_params"


def test_stopped_from_the_start_it_keeps_the_first_member() -> None:
    model = hybrid(["ease", "item-knn"], TellingRun(stop_after_checks=0))
    assert [member.spec.id for member in model.members_] == ["ease"]
    assert model.weights_.tolist() == [1]


def test_stopped_after_learning_it_keeps_the_members_and_what_was_learnt() -> None:
    train = four_tastes().train
    model = hybrid(["random", "ease"], TellingRun(stop_after_steps=1), train)
    whole = hybrid(["random", "ease"], data=train)
    np.testing.assert_array_equal(model.weights_, whole.weights_)
    assert model.weights_[-1] > 0.75
    query = Query.of_users(train, np.arange(50))
    assert (model.members_[-1].score(query) != whole.members_[-1].score(query)).any()


def test_explanations_add_up_over_history_and_members_without_an_explanation() -> None:
    model = hybrid(["ease", "even-items", "ials"], weights=(3, 1, 2))
    person = everybody().take([0])
    for explanation in model.explain(person, [2, 3]):
        parts = explanation.contributions
        assert explanation.base + sum(part.value for part in parts) == pytest.approx(explanation.score, abs=1e-4)
        named = [part.label for part in parts if part.kind is Source.MODEL]
        assert named == (["even-items"] if explanation.item == 2 else [])
        codes = [part.code for part in parts if part.kind is Source.HISTORY]
        assert len(codes) == len(set(codes)) == len(person.items)
        assert "EASE" in explanation.method
        assert "Implicit ALS" in explanation.method


def test_the_history_of_an_explanation_is_what_the_member_says_in_its_own_deviations() -> None:
    model = hybrid(["ease"])
    person = everybody().take([4])
    theirs = model.members_[0].explain(person, [1])[0]
    deviation = float(standardised(model.members_[0].score(person)).deviation[0])
    ours = {part.code: part.value for part in model.explain(person, [1])[0].contributions}
    assert ours == {part.code: pytest.approx(part.value / deviation) for part in theirs.contributions}


def test_nested_members_are_saved_with_it(tmp_path: Path) -> None:
    model = hybrid(["refuses", "ease", "weighted-hybrid"], member_params="weighted-hybrid.members=item-knn")
    model.save(tmp_path)
    loaded = Recommender.load(tmp_path, {spec.id: spec for spec in MEMBERS}.__getitem__)
    assert isinstance(loaded, WeightedHybrid)
    assert [member.spec.id for member in loaded.members_] == [member.spec.id for member in model.members_]
    assert loaded.left_out_ == model.left_out_
    np.testing.assert_array_equal(loaded.weights_, model.weights_)
    np.testing.assert_array_equal(loaded.score(everybody()), model.score(everybody()))


@pytest.mark.slow
def test_on_the_frozen_split_it_is_no_worse_than_its_best_member() -> None:
    split = final_split("random")

    def figures(algorithm: str) -> npt.NDArray[np.float64]:
        model = fit(installed_algorithms()[algorithm], {}, split.train, threads=1)
        ranked, _ = rank_test_users(model.score, split.train, split.test, 10)
        return RANKING_METRICS["ndcg"].compute(ranked)

    reached = figures("weighted-hybrid")
    best = max((figures(member) for member in WeightedHybridParams().members), key=np.mean)
    gain = reached - best
    assert gain.mean() > -1.96 * gain.std() / np.sqrt(len(gain))
    assert reached.mean() > 0.255
