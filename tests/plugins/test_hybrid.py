"""The weighted hybrid: the promises of the contract, its weights, and how it gets by without a member."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from recsys_baselines.plugin import POPULARITY
from recsys_content.plugin import CONTENT
from recsys_desktop.api import (
    CannotFit,
    Dataset,
    DataShape,
    InvalidParameter,
    Query,
    Recommender,
    Source,
    Validation,
)
from recsys_desktop.api.testing import AlgorithmConformance, KitRun, made_data
from recsys_factorization.plugin import IMPLICIT_ALS
from recsys_hybrid.plugin import WEIGHTED_HYBRID
from recsys_hybrid.weighted import WeightedHybrid, best_weights
from recsys_linear.plugin import EASE

MEMBERS = (EASE, IMPLICIT_ALS, CONTENT, POPULARITY)
for member in MEMBERS:
    member.load()  # What the kit measures of `estimate` is then its own memory, not that of importing members.
TRAIN, TEST = made_data.communities()
EVERYONE = Query.of_users(TRAIN, np.arange(60))


class TestWeightedHybrid(AlgorithmConformance):
    spec = WEIGHTED_HYBRID
    members = MEMBERS
    params = {"members": ("ease", "content")}
    forecast_shapes = (
        DataShape(2000, 1500, 60_000, 6000, 0, 200_000),
        DataShape(4000, 3500, 120_000, 15_000, 0, 600_000),
    )


class TestWithGivenWeights(AlgorithmConformance):
    spec = WEIGHTED_HYBRID
    members = MEMBERS
    params = {"weights": ("0.5", "0.3", "0.2"), "normalisation": "rank", "explain_by": "history"}
    forecast_params = {"weights": ("0.5", "0.5"), "members": ("ease", "ials")}
    forecast_shapes = (DataShape(2000, 1500, 60_000), DataShape(4000, 3500, 120_000))


def run(**options: Any) -> KitRun:
    return KitRun(members=MEMBERS, **options)


def fitted(data: Dataset = TRAIN, context: KitRun | None = None, **params: Any) -> WeightedHybrid:
    return WeightedHybrid(WEIGHTED_HYBRID.params.parse(params)).fit(data, context or run())


def z_scores(model: Recommender, query: Query) -> npt.NDArray[Any]:
    """A naive z-score over what each person has not met."""
    scores = model.score(query).astype(np.float64)
    for person in range(len(query)):
        others = scores[person].copy()
        others[query.history(person)] = np.nan
        scores[person] = (scores[person] - np.nanmean(others)) / np.nanstd(others)
    return scores


def test_scores_are_the_weighted_mean_of_z_scores() -> None:
    model = fitted(members=("ease", "content"), weights=("3", "1"))
    ease, content = (z_scores(member, EVERYONE) for member in model.members_)
    np.testing.assert_allclose(model.weights_, [0.75, 0.25])
    expected = np.where(np.isnan(ease), content, 0.75 * ease + 0.25 * content)
    np.testing.assert_allclose(model.score(EVERYONE), expected, atol=2e-4)
    assert np.isnan(ease[:, -1]).all()
    assert not np.isnan(model.score(EVERYONE)[:, -1]).any(), "an item that one member lacks is scored by the other"


def test_places_count_where_asked() -> None:
    model = fitted(members=("ease",), weights=("1",), normalisation="rank")
    query = EVERYONE.take([5])
    scores, own = model.score(query)[0], model.members_[0].score(query)[0]
    own[query.items] = np.nan
    listed = [int(code) for code in np.argsort(-own, kind="stable") if not np.isnan(own[code])]
    np.testing.assert_allclose(scores[listed[:3]], -np.log2([2, 3, 4]), atol=1e-5)


def test_weights_are_learnt_where_one_member_is_worthless() -> None:
    model = fitted(members=("popularity", "ease"))
    assert model.weights_[1] > 0.6
    assert model.weights_.sum() == pytest.approx(1)


def test_the_mix_is_about_as_good_as_its_best_member() -> None:
    history, held_out = TRAIN, TEST
    context = run(history=history, held_out=held_out)
    model = fitted(members=("ease", "ials", "content"))
    figures = [context.validate(one) for one in (model, *model.members_)]
    values = [figure.value for figure in figures if figure is not None]
    assert len(values) == 4
    assert values[0] > max(values[1:]) - 0.03


def test_settings_reach_their_members() -> None:
    model = fitted(members=("ease", "content"), weights=("1", "1"), member_settings=("ease.regularisation=7",))
    assert model.members_[0].params.regularisation == 7


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"members": ()}, "members"),
        ({"members": ("ease", "ease")}, "members"),
        ({"members": ("weighted-hybrid", "ease")}, "members"),
        ({"weights": ("much", "1", "1")}, "weights"),
        ({"weights": ("-1", "1", "1")}, "weights"),
        ({"weights": ("0", "0", "0")}, "weights"),
        ({"member_settings": ("ease regularisation 7",)}, "member_settings"),
    ],
)
def test_wrong_parameters_are_named(values: Mapping[str, Any], name: str) -> None:
    with pytest.raises(InvalidParameter) as error:
        WEIGHTED_HYBRID.params.parse(values)
    assert error.value.name == name


def test_parameters_that_do_not_go_together_are_refused() -> None:
    with pytest.raises(InvalidParameter, match="2 weights are given for 3 members"):
        WEIGHTED_HYBRID.params.parse({"weights": "1,1"})
    with pytest.raises(InvalidParameter, match="'bpr', which is no member"):
        WEIGHTED_HYBRID.params.parse({"member_settings": "bpr.factors=3"})


def test_a_member_that_cannot_be_fitted_is_left_out_and_named() -> None:
    told: list[str] = []

    class Told(KitRun):
        def progress(self, fraction: float, text: str = "") -> None:
            super().progress(fraction, text)
            told.append(text)

    data = made_data.without(TRAIN, "item_features")
    model = fitted(data, Told(members=MEMBERS), members=("ease", "content"))
    assert [member.spec.id for member in model.members_] == ["ease"]
    assert model.weights_.tolist() == [1]
    assert model.left_out_[0].startswith("content: ")
    assert any("goes on without content" in text for text in told)
    assert not model.scorable_items()[-1]


def test_it_is_refused_where_no_member_can_be_fitted() -> None:
    with pytest.raises(CannotFit, match=r"no member of the hybrid could be fitted: content: .*titles"):
        fitted(made_data.without(TRAIN, "item_features"), members=("content",))


def test_the_explanation_gives_each_member_its_part() -> None:
    model = fitted(members=("ease", "content"), weights=("0.6", "0.4"), explain_by="members")
    query = EVERYONE.take([3])
    (explanation,) = model.explain(query, [1])
    parts = {part.label: part.value for part in explanation.contributions}
    ease, content = (z_scores(member, query)[0, 1] for member in model.members_)
    assert parts == pytest.approx({"EASE": 0.6 * ease, "Content-based": 0.4 * content}, abs=1e-3)
    assert all(part.kind is Source.MODEL for part in explanation.contributions)
    assert "60% EASE, 40% Content-based" in explanation.method


def test_the_explanation_reaches_through_to_the_history_where_asked() -> None:
    model = fitted(members=("ease", "content", "ials"), weights=("5", "3", "2"), explain_by="history")
    query = EVERYONE.take([3])
    item = int(np.nanargmax(np.where(np.isin(np.arange(model.n_items), query.items), np.nan, model.score(query)[0])))
    (explanation,) = model.explain(query, [item])
    codes = [part.code for part in explanation.contributions if part.kind is Source.HISTORY]
    assert set(codes) <= set(query.items.tolist())
    assert len(codes) == len(set(codes)) > 3
    total = explanation.base + sum(part.value for part in explanation.contributions)
    assert total == pytest.approx(explanation.score, abs=1e-4)


def test_somebody_new_is_served_as_far_as_members_serve_them() -> None:
    model = fitted(members=("ease", "content"), weights=("1", "1"))
    stranger = EVERYONE.take([7]).as_strangers()
    np.testing.assert_allclose(model.score(stranger), model.score(EVERYONE.take([7])), atol=1e-4)
    only_new = Query.of_history([TRAIN.n_items - 1])
    assert not np.isnan(model.score(only_new)[:, 0]).any(), "content knows an item that EASE does not"


def test_best_weights_climbs_to_the_best_and_takes_the_middle_of_a_plateau() -> None:
    target = np.array([0.7, 0.3, 0.0])

    def figure(weights: npt.NDArray[np.float64]) -> Validation:
        return Validation("ndcg@10", 1 - float(np.square(weights - target).sum()))

    found = best_weights(3, figure, lambda: False)
    assert found is not None
    np.testing.assert_allclose(found, target, atol=0.08)
    assert found.sum() == pytest.approx(1)

    def flat(weights: npt.NDArray[np.float64]) -> Validation:
        return Validation("ndcg@10", 0.5)

    np.testing.assert_allclose(best_weights(3, flat, lambda: False), np.full(3, 1 / 3), atol=0.01)  # type: ignore[arg-type]

    def error(weights: npt.NDArray[np.float64]) -> Validation:
        return Validation("rmse", float(np.abs(weights - [0, 0, 1]).sum()), larger_is_better=False)

    np.testing.assert_allclose(best_weights(3, error, lambda: False), [0, 0, 1], atol=1e-6)  # type: ignore[arg-type]
    assert best_weights(3, lambda _: None, lambda: False) is None
    assert best_weights(3, flat, lambda: True) is None
