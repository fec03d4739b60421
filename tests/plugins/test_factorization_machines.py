"""The factorisation machine and DeepFM: the promises of the contract, their formulas, features, modes and accuracy."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.frozen_splits import final_split
from recsys_desktop.api import CannotFit, Dataset, DataShape, Query, RunContext, Source
from recsys_desktop.api.dataset import Float32
from recsys_desktop.api.testing import AlgorithmConformance, KitRun, made_data, naive
from recsys_desktop.toolkit import checkpoints
from recsys_desktop.toolkit.bias import fit_biases
from recsys_desktop.toolkit.features import FieldEncoder
from recsys_desktop.toolkit.torch_training import seeded
from recsys_neural.factorization_machine import DeepFm, FactorizationMachine
from recsys_neural.factorization_machine_specs import DEEP_FM, FACTORIZATION_MACHINE
from recsys_neural.factorization_network import EntityBags, FactorizationNetwork
from recsys_neural.factorization_training import Examples
from recsys_neural.feature_bags import FeatureBags, composed_sums_and_squares, sums_and_squares
from recsys_neural.interaction_sides import UNKNOWN_MOMENT, Side, entities_with_features, moment_codes, moments

SHAPES = (
    DataShape(2000, 800, 100_000, 4000, 0, 160_000),
    DataShape(8000, 1600, 400_000, 8000, 0, 320_000),
)
MONDAY = 1_704_067_200
"""2024-01-01 00:00 UTC, a Monday."""


class TestFactorizationMachine(AlgorithmConformance):
    spec = FACTORIZATION_MACHINE
    forecast_params = {"epochs": 1}
    forecast_shapes = SHAPES


class TestDeepFm(AlgorithmConformance):
    spec = DEEP_FM
    forecast_params = {"epochs": 1}
    forecast_shapes = SHAPES


def fitted(data: Dataset | None = None, deep: bool = False, **params: Any) -> FactorizationMachine:
    spec, implementation = (DEEP_FM, DeepFm) if deep else (FACTORIZATION_MACHINE, FactorizationMachine)
    train = made_data.communities().train if data is None else data
    model: FactorizationMachine = implementation(spec.params.parse(params))
    return model.fit(train, RunContext(3, threads=1, device="cpu"))


def sides_of(data: Dataset) -> list[Side]:
    assert data.timestamps is not None
    people, items = (
        entities_with_features(counts > 0, table, FieldEncoder.fit(table, 3, np.random.default_rng(0)), what)
        for what, counts, table in (
            ("person", data.user_counts, data.user_features),
            ("item", data.item_counts, data.item_features),
        )
    )
    return [people, moments(data.timestamps), items]


def features_of(side: Side, entity: int, offset: int) -> list[tuple[int, float]]:
    """Feature codes, after those of the sides before, and values of one entity."""
    bags = side.take(np.array([entity]))
    return [(offset + int(code), float(value)) for code, value in zip(bags.indices, bags.data, strict=True)]


def naive_machine(constant: float, tables: list[Float32], features: list[tuple[int, float]]) -> float:
    """Rendle's formula as it stands: every feature, then every pair of features."""
    weights = np.concatenate(tables).astype(np.float64)
    total = constant + sum(weights[code, 0] * value for code, value in features)
    for (one, x), (other, y) in combinations(features, 2):
        total += weights[one, 1:] @ weights[other, 1:] * x * y
    return float(total)


def test_the_network_is_the_formula() -> None:
    data = made_data.communities().train
    sides = sides_of(data)
    network = FactorizationNetwork(sides, 4, (), 0.0, 0.0, seeded(RunContext(), "any"))
    with torch.no_grad():
        network.constant.fill_(0.3)
        for table in network.tables:
            table.normal_(0, 0.5, generator=seeded(RunContext(), "weights"))
    people, when, items = np.array([3, 8, 3]), np.array([5, UNKNOWN_MOMENT, 100]), np.array([[0, 41], [7, 7], [12, 1]])
    bags = [EntityBags.of(side, codes, "cpu") for side, codes in zip(sides, (people, when, items), strict=True)]
    with torch.no_grad():
        scores, squares = network(bags)
    tables = [table.detach().numpy() for table in network.tables]
    offsets = np.cumsum([0, *(side.n_features for side in sides)])
    lengths = []
    for row, (person, moment) in enumerate(zip(people, when, strict=True)):
        for column, item in enumerate(items[row]):
            features = [
                feature
                for side, entity, offset in zip(sides, (person, moment, item), offsets, strict=False)
                for feature in features_of(side, int(entity), int(offset))
            ]
            assert float(scores[row, column]) == pytest.approx(naive_machine(0.3, tables, features), rel=1e-4, abs=1e-4)
            weights = np.concatenate(tables)
            lengths.append(sum(float(value**2 * (weights[code, 1:] ** 2).sum()) for code, value in features))
    assert float(squares) == pytest.approx(np.mean(lengths), rel=1e-4)


def test_compiled_bags_are_the_composed_ones() -> None:
    chance = torch.Generator().manual_seed(4)
    bags = FeatureBags(
        torch.randint(0, 7, (11,), generator=chance),
        torch.rand(11, generator=chance),
        torch.tensor([0, 3, 3, 5, 8, 11, 11]),
        2,
    )
    answers = []
    for implementation in (sums_and_squares, composed_sums_and_squares):
        table = torch.randn(7, 4, generator=torch.Generator().manual_seed(1)).requires_grad_()
        sums, squares = implementation(table, bags)
        sums = sums.reshape(6, 4)
        loss = (sums * torch.arange(24.0).view(6, 4)).sum() + (squares * torch.tensor([1.0, -2.0, 3.0])).sum()
        torch.autograd.backward(loss)
        answers.append([tensor.detach().numpy() for tensor in (sums, squares, table.grad)])
    for compiled, composed in zip(*answers, strict=True):
        np.testing.assert_allclose(compiled, composed, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("deep", "params"), [(False, {}), (True, {"layers": (7,)}), (True, {"layers": (6, 5, 3)})])
def test_scores_are_what_the_network_computes(deep: bool, params: dict[str, Any]) -> None:
    data = made_data.communities().train
    model = fitted(deep=deep, epochs=2, factors=5, **params)
    sides = [Side.of_state(state) for state in model.sides_]
    network = FactorizationNetwork(sides, 5, model._layers(), 0.0, 0.0, seeded(RunContext(), "any"))
    network.load_state_dict({name: torch.from_numpy(array) for name, array in model.weights_.items()})
    network.eval()
    people = np.arange(10)
    asked = MONDAY + 3600 * 5 * people
    codes = (people, moment_codes(asked), np.tile(np.arange(model.n_items), (10, 1)))
    with torch.no_grad():
        scores, _ = network([EntityBags.of(side, part, "cpu") for side, part in zip(sides, codes, strict=True)])
    query = replace(Query.of_users(data, people), as_of=asked)
    expected = scores.numpy() * model.spread_ + model.mean_
    np.testing.assert_allclose(model.score(query), expected, rtol=1e-4, atol=1e-4)


def test_moments_are_hours_and_days_in_utc() -> None:
    assert moment_codes(np.array([MONDAY, MONDAY + 3600 * 23 + 59, MONDAY + 86_400 * 6 + 7200])).tolist() == [
        0,
        23,
        146,
    ]
    side = moments(np.array([MONDAY, MONDAY + 60, MONDAY + 3600, MONDAY + 86_400]))
    assert [side.names[code] for code, _ in features_of(side, 146, 0)] == ["between 2:00 and 3:00 UTC", "on a Sunday"]
    average = dict(features_of(side, UNKNOWN_MOMENT, 0))
    assert average == {0: 0.75, 1: 0.25, 24: 0.75, 25: 0.25}


def evening_fans() -> Dataset:
    """30 people who rate 12 items 5 in the evening and 1 in the morning."""
    users, items = (array.ravel() for array in np.meshgrid(np.arange(30), np.arange(12), indexing="ij"))
    evening = np.random.default_rng(0).random(len(users)) < 0.5
    times = MONDAY + 86_400 * (users % 5) + np.where(evening, 20 * 3600, 8 * 3600)
    rows = list(zip(users.tolist(), items.tolist(), np.where(evening, 5.0, 1.0).tolist(), strict=True))
    return replace(made_data.table(rows, 30, 12), timestamps=times, item_features=None, user_features=None)


def test_the_moment_of_asking_matters() -> None:
    data = evening_fans()
    query = Query.of_users(data, np.arange(30))
    model = fitted(data, epochs=30, learning_rate=0.02, regularisation=0.3)
    morning, evening = (
        model.predict(replace(query, as_of=np.full(30, MONDAY + 3600 * hour))).mean() for hour in (8, 20)
    )
    assert evening > morning + 1
    assert morning < model.predict(query).mean() < evening
    without = fitted(data, epochs=5, moments=False)
    np.testing.assert_array_equal(without.score(query), without.score(replace(query, as_of=np.full(30, MONDAY))))


@pytest.mark.parametrize(
    ("deep", "params"),
    [
        (False, {"mode": "click"}),
        (False, {"mode": "click", "min_rating": 4.0}),
        (False, {"mode": "ranking"}),
        (False, {"mode": "ranking", "ranking_loss": "bpr"}),
        (False, {"mode": "ranking", "min_rating": 4.0}),
        (True, {"mode": "click"}),
        (True, {"mode": "ranking"}),
    ],
)
def test_other_modes_rank_well_and_predict_no_rating(deep: bool, params: dict[str, Any]) -> None:
    parts = made_data.communities()
    model = fitted(deep=deep, **params)
    query = Query.of_users(parts.train, np.arange(60))
    assert np.isnan(model.predict(query)).all()
    assert np.isfinite(model.score(query)).all()
    assert naive.mean_ndcg(model, parts.train, parts.test) > 0.25
    own = np.arange(42) % 2 == np.arange(60)[:, None] % 2
    scores = model.score(query)
    assert scores[own].mean() > scores[~own].mean()


def test_auto_predicts_ratings_where_there_are_any_and_ranks_otherwise() -> None:
    train = made_data.communities().train
    assert fitted(epochs=1).mode_ == "rating"
    assert fitted(made_data.without(train, "ratings"), epochs=1).mode_ == "ranking"
    with pytest.raises(CannotFit, match="choose another 'mode'"):
        fitted(made_data.without(train, "ratings"), mode="rating")
    with pytest.raises(CannotFit, match="min_rating"):
        fitted(mode="ranking", min_rating=9.0)


def test_training_begins_where_models_without_vectors_end() -> None:
    train = made_data.communities().train
    assert train.ratings is not None
    query = Query.of_users(train, np.arange(60))

    def first_scores(**params: Any) -> Float32:
        spec = FACTORIZATION_MACHINE
        model = FactorizationMachine(spec.params.parse({"moments": False, **params})).fit(
            train, KitRun(stop_after_checks=0)
        )
        scores: Float32 = model.score(query)[:, train.item_counts > 0]
        return scores

    chances = 1 / (1 + np.exp(-first_scores(mode="click", min_rating=4.0)))
    assert chances.mean() == pytest.approx(float(np.mean(train.ratings >= 4)), abs=0.02)
    liked = train.subset(train.ratings >= 4).item_counts[train.item_counts > 0]
    in_order = first_scores(mode="ranking", min_rating=4.0).mean(axis=0)
    assert np.corrcoef(in_order, np.log(np.maximum(liked, 0.5)))[0, 1] > 0.99
    biases = fit_biases(train, None, None, KitRun(stop_after_checks=0))
    expected = biases.mean + biases.users[:60, None] + biases.items[train.item_counts > 0]
    assert np.abs(first_scores(side_features=False) - expected).max() < 0.1


def test_drawn_items_are_never_ones_that_were_met() -> None:
    data = made_data.communities().train
    liked = data.subset(data.ratings >= 4)
    examples = Examples(liked, None, met=data, negatives=7, exponent=1.0, tells_moments=True)
    seen = set(zip(data.users.tolist(), data.items.tolist(), strict=True))
    chosen = set(zip(liked.users.tolist(), liked.items.tolist(), strict=True))
    rows = 0
    for batch in examples.batches(64, torch.device("cpu"), np.random.default_rng(0)).batches:
        for person, (first, *drawn) in zip(batch.people.tolist(), batch.items.tolist(), strict=True):
            assert (person, first) in chosen
            assert not seen & {(person, item) for item in drawn}
            rows += 1
    assert rows == len(liked)


def test_whoever_has_met_everything_still_has_something_to_learn_from() -> None:
    rows = [(user, item, 1.0) for user in range(6) for item in range(6) if user < 3 or (user + item) % 2]
    for params in ({"mode": "click"}, {"mode": "ranking"}, {"mode": "ranking", "ranking_loss": "bpr"}):
        model = fitted(made_data.table(rows, 6, 6), epochs=3, **params)
        assert np.isfinite(model.score(Query.of_users(made_data.table(rows, 6, 6), np.arange(6)))).all()


@pytest.mark.parametrize("deep", [False, True])
def test_new_items_score_by_their_features(deep: bool) -> None:
    """Items 40 and 41 have no interactions; they are of the communities 0 and 1."""
    data = made_data.communities().train
    predicted = fitted(deep=deep).predict(Query.of_users(data, np.arange(60)), [40, 41])
    own = np.where(np.arange(60) % 2 == 0, predicted[:, 0], predicted[:, 1])
    other = np.where(np.arange(60) % 2 == 0, predicted[:, 1], predicted[:, 0])
    assert np.mean(own > other) > 0.9
    assert own.mean() > other.mean() + 0.3


def test_new_items_without_features_score_nothing() -> None:
    data = made_data.communities().train
    model = fitted(epochs=1, side_features=False)
    scores = model.score(Query.of_users(data, [0]))
    np.testing.assert_array_equal(np.isnan(scores[0]), data.item_counts == 0)


def test_attributes_of_people_are_learnt_from() -> None:
    """People of the valley like what those of the shore do not; nobody has rated more than one item."""
    generator = np.random.default_rng(0)
    rows = [(user, item, 0.0) for user, item in enumerate(generator.integers(0, 6, 120).tolist())]
    data = made_data.table(rows, 120, 6)
    regions = made_data.CategoryColumn((np.arange(120) % 2).astype(np.int32), ("valley", "shore"))
    data = replace(
        data,
        ratings=np.where(data.users % 2 == data.items % 2, 5, 1),
        user_features=made_data.FeatureTable(120, {"region": regions}),
    )
    model = fitted(data, epochs=60, learning_rate=0.02, moments=False)
    predicted = model.predict(Query.of_users(data, np.arange(120)))
    own = np.arange(120)[:, None] % 2 == np.arange(6) % 2
    unrated = np.ones((120, 6), dtype=np.bool_)
    unrated[data.users, data.items] = False
    assert predicted[own & unrated].mean() > predicted[~own & unrated].mean() + 2


@pytest.mark.parametrize("params", [{}, {"mode": "ranking"}, {"mode": "click"}])
def test_newcomers_get_what_people_with_their_history_get(params: dict[str, Any]) -> None:
    parts = made_data.communities()
    model = fitted(**params)
    query = Query.of_users(parts.train, np.arange(60)).as_strangers()
    scores = model.score(query)
    own = np.arange(42) % 2 == np.arange(60)[:, None] % 2
    assert np.mean([row[mask].mean() > row[~mask].mean() for row, mask in zip(scores, own, strict=True)]) > 0.9
    nobody = model.score(Query.of_history([], ratings=[]))
    assert np.isnan(nobody).all()
    explanation = model.explain(query.take([0]), [6])[0]
    assert abs(explanation.residual) < 1e-3
    assert {"how often it is chosen", "how this item is rated"} & {part.label for part in explanation.contributions}


def test_a_newcomer_who_says_the_opposite_gets_the_opposite() -> None:
    model = fitted()
    items = list(range(10))
    loves_even, loves_odd = (
        model.predict(Query.of_history(items, [5.0 if item % 2 == parity else 1.0 for item in items]))[0]
        for parity in (0, 1)
    )
    even = np.arange(42) % 2 == 0
    assert (loves_even - loves_odd)[even].mean() > 0.3
    assert (loves_odd - loves_even)[~even].mean() > 0.3


@pytest.mark.parametrize("deep", [False, True])
def test_explanations_name_the_features_that_matter(deep: bool) -> None:
    data = made_data.communities().train
    model = fitted(deep=deep)
    query = Query.of_users(data, [0])
    items = [40, 41, 6, 7]
    explanations = dict(zip(items, model.explain(query, items), strict=True))
    for explanation in explanations.values():
        assert explanation.additive is not deep
        assert abs(explanation.residual) < 1e-3
    of_features = {
        item: sum(part.value for part in explanation.contributions if part.kind is Source.FEATURE)
        for item, explanation in explanations.items()
    }
    assert of_features[40] > of_features[41]
    kinds = {part.label: part.kind for part in explanations[6].contributions}
    assert kinds["how this person rates"] is kinds["how this item is rated"] is Source.BIAS
    assert kinds["kind: highland"] is kinds["region: valley with kind: highland"] is Source.FEATURE
    assert kinds["this person with this item"] is Source.MODEL
    assert not any("moment" in label for label in kinds)


@pytest.mark.parametrize("deep", [False, True])
def test_what_does_not_depend_on_the_person_is_a_bias_of_the_item(deep: bool) -> None:
    data = made_data.communities().train
    model = fitted(deep=deep, epochs=5)
    people = np.flatnonzero(model.known_users_)
    parts = {
        person: {
            explanation.item: {(part.kind, part.label): part.value for part in explanation.contributions}
            for explanation in model.explain(Query.of_users(data, [person]), [6, 9])
        }
        for person in people.tolist()
    }
    for item in (6, 9):
        own = {parts[person][item][Source.BIAS, "how this item is rated"] for person in people.tolist()}
        assert max(own) - min(own) < 1e-6
    if not deep:
        of_person = [
            sum(value for (kind, _), value in parts[person][6].items() if kind is not Source.BIAS)
            for person in people.tolist()
        ]
        assert np.mean(of_person) == pytest.approx(0, abs=1e-4), "what people have in common is no reason of one person"


@pytest.mark.parametrize("deep", [False, True])
def test_a_stated_moment_is_named_as_one_that_all_share(deep: bool) -> None:
    data = made_data.communities().train
    model = fitted(deep=deep, epochs=5)
    asked = replace(Query.of_users(data, [0]), as_of=np.array([13 * 3600 + 60], dtype=np.int64))
    explanation = model.explain(asked, [6])[0]
    assert abs(explanation.residual) < 1e-3
    of_moment = {part.label for part in explanation.contributions if part.kind is Source.BIAS}
    assert {"between 13:00 and 14:00 UTC", "on a Thursday"} <= of_moment


def test_the_items_that_are_chosen_most_have_a_bias_above_zero() -> None:
    data = made_data.communities().train
    model = fitted(mode="ranking", epochs=5)
    counts = np.where(data.item_counts > 0, data.item_counts, np.nan)
    often, seldom = int(np.nanargmax(counts)), int(np.nanargmin(counts))
    biases = [
        next(part.value for part in explanation.contributions if part.label == "how often it is chosen")
        for explanation in model.explain(Query.of_users(data, [0]), [often, seldom])
    ]
    assert biases[0] > 0 > biases[1]


def test_a_product_of_features_is_explained_as_it_is() -> None:
    data = made_data.communities().train
    model = fitted(factors=3, epochs=3)
    explanation = model.explain(Query.of_users(data, [4]), [9])[0]
    people, _, items = (Side.of_state(state) for state in model.sides_)
    tables = model.weights_["tables.0"], model.weights_["tables.2"]
    shore = people.first_named + people.names.index("region: valley")
    kind = items.first_named + items.names.index("kind: coast")
    expected = model.spread_ * float(tables[0][shore, 1:] @ tables[1][kind, 1:])
    part = next(part for part in explanation.contributions if part.label == "region: valley with kind: coast")
    assert part.value == pytest.approx(expected, rel=1e-4)


def test_a_killed_training_resumes_with_the_same_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "INTERVAL_SECONDS", 0.0)

    class Killed(Exception):
        pass

    class KilledRun(RunContext):
        def log(self, step: int, **values: float) -> None:
            if step == 3:
                raise Killed

    train = made_data.communities().train
    whole = fitted(deep=True, epochs=5)
    model = DeepFm(DEEP_FM.params.parse({"epochs": 5}))
    with pytest.raises(Killed):
        model.fit(train, KilledRun(3, threads=1, device="cpu", checkpoints=tmp_path))
    resumed = DeepFm(DEEP_FM.params.parse({"epochs": 5}))
    resumed.fit(train, RunContext(3, threads=1, device="cpu", checkpoints=tmp_path))
    query = Query.of_users(train, np.arange(20))
    np.testing.assert_array_equal(resumed.score(query), whole.score(query))


@pytest.mark.parametrize(("deep", "low", "high"), [(False, 0.84, 0.87), (True, 0.85, 0.875)])
def test_ratings_of_movielens_are_predicted_as_published(deep: bool, low: float, high: float) -> None:
    split = final_split("random")
    model = fitted(split.train, deep=deep)
    predicted = model.predict_pairs(
        Query.of_users(split.train, np.arange(split.train.n_users)), split.test.users, split.test.items
    )
    assert not np.isnan(predicted).any()
    assert low < float(np.sqrt(np.mean((predicted - split.test.ratings) ** 2))) < high
