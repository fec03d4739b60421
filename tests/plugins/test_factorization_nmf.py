"""Non-negative factorisation: conformance, a least-squares oracle, readable factors, accuracy on the frozen split."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import nnls

from benchmarks.frozen_splits import final_split
from recsys_desktop.api import AlignedModel, CannotServe, FeatureTable, Query, RunContext, Source, Vocabulary
from recsys_desktop.api.testing import AlgorithmConformance, made_data
from recsys_desktop.evaluation import rmse
from recsys_factorization.nmf import NonNegativeFactorisation
from recsys_factorization.nonnegative_kernels import solve_nonnegative_rows
from recsys_factorization.plugin import ALS, NMF, NMFParams
from recsys_factorization.readable_factors import describe_factors


class TestNMFConforms(AlgorithmConformance):
    spec = NMF


def fitted(data, **params) -> NonNegativeFactorisation:
    model = NonNegativeFactorisation(NMFParams(**params))
    return model.fit(data, RunContext(threads=1))


@pytest.mark.parametrize("length", [1, 3, 40])
def test_a_row_is_the_bounded_ridge_regression(length: int) -> None:
    generator = np.random.default_rng(length)
    features = np.ones((60, 6), dtype=np.float32)
    features[:, 1:] = generator.random((60, 5))
    columns = generator.choice(60, length, replace=False).astype(np.int32)
    targets = generator.standard_normal(length).astype(np.float32)
    penalty = np.array([[0.5, 0.2]], dtype=np.float32)
    solution = np.zeros((1, 6), dtype=np.float32)
    solve_nonnegative_rows(0, 1, np.array([0, length]), columns, targets, features, penalty, solution)
    rows = features[columns].astype(np.float64)
    held_back = np.diag(np.sqrt([0.5, 0.2, 0.2, 0.2, 0.2, 0.2]))
    system = np.vstack((rows, held_back))
    expected, _ = nnls(np.column_stack((system, -system[:, 0])), np.append(targets.astype(np.float64), np.zeros(6)))
    expected[0] -= expected[6]
    assert np.allclose(solution[0], expected[:6], atol=1e-3)
    assert (solution[0, 1:] >= 0).all()


def test_factors_only_add_and_explanations_name_them() -> None:
    data = made_data.communities().train
    model = fitted(data, factors=4)
    assert (model.item_factors_ >= 0).all()
    assert (model.user_factors_ >= 0).all()
    names = {factor.name for factor in model.factors()}
    person = Query.of_users(data, [3])
    for explanation in model.explain(person, [0, 1]):
        tastes = [part for part in explanation.contributions if part.kind is Source.FACTOR]
        assert all(part.value > 0 and part.label in names for part in tastes)
        together = explanation.base + sum(part.value for part in explanation.contributions)
        assert together == pytest.approx(explanation.score, abs=1e-4)


def test_factors_are_named_by_what_their_items_have_in_common() -> None:
    data = made_data.communities().train
    factors = fitted(data, factors=4, factor_shrinkage=0.5).factors()
    assert len({factor.name for factor in factors}) == 4
    shares = [factor.share for factor in factors]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(1)
    strongest = factors[0]
    group = strongest.items[0] % 2
    kinds = ("highland", "coast")
    assert np.mean([item % 2 == group for item in strongest.items]) > 0.7
    assert strongest.categories[0] in (kinds[group], *made_data.GROUP_TAGS[group])
    assert strongest.categories[0] in strongest.name
    assert list(strongest.lifts) == sorted(strongest.lifts, reverse=True)
    assert all(lift > 0 for lift in strongest.lifts)


def test_without_categories_factors_are_named_after_items() -> None:
    data = replace(made_data.communities().train, item_features=FeatureTable(42))
    factors = fitted(data, factors=3, factor_shrinkage=0.5).factors()
    assert all(factor.categories == () for factor in factors)
    assert factors[0].name == f"as in {data.item_vocabulary[factors[0].items[0]]}"


def test_items_that_few_have_rated_do_not_lead() -> None:
    """Item 1, with all its weight in the factor but a single rating, comes after item 0, which 40 people have rated."""
    data = made_data.table([*((user, 0, 4.0) for user in range(40)), (0, 1, 5.0), (1, 2, 1.0)], 40, 3)
    factors = np.array([[0.8, 0.1], [1.0, 0.0], [0.0, 1.0]], dtype=np.float32)
    first, second = describe_factors(factors, np.array([0.6, 0.4]), data)
    assert first.items == (0, 1)
    assert first.weights == pytest.approx((0.8 * 0.8 / 0.9 * 40 / 50, 1.0 * 1 / 11))
    assert second.items == (2, 0)


def test_factors_survive_saving_and_are_aligned_by_id(tmp_path) -> None:
    data = made_data.communities().train
    model = fitted(data, factors=3)
    model.save(tmp_path)
    loaded = NonNegativeFactorisation.load(tmp_path, lambda name: NMF)
    assert loaded.factors() == model.factors()
    lost = model.factors()[0].items[0]
    turned = [item for item in reversed(list(data.item_vocabulary)) if item != data.item_vocabulary[lost]]
    aligned = AlignedModel(model, data.user_vocabulary, Vocabulary(turned)).factors()[0]
    expected = [data.item_vocabulary[item] for item in model.factors()[0].items[1:]]
    assert [turned[item] for item in aligned.items] == expected
    assert aligned.weights == model.factors()[0].weights[1:]


def test_a_model_whose_factors_cannot_be_read_says_so() -> None:
    model = ALS.load()().fit(made_data.communities().train, RunContext(threads=1))
    with pytest.raises(CannotServe, match="'als' has no factors that can be read"):
        model.factors()


def test_predicts_movielens_as_well_as_it_should() -> None:
    split = final_split("random")
    assert split.test.ratings is not None
    model = fitted(split.train)
    everyone = Query.of_users(split.train, np.arange(split.train.n_users))
    predictions = model.predict_pairs(everyone, split.test.users, split.test.items)
    assert 0.86 <= rmse(predictions, split.test.ratings) <= 0.885
    genres = {"Action", "Adventure", "Children", "Comedy", "Crime", "Drama", "Horror", "Romance", "Sci-Fi", "Thriller"}
    named = [factor for factor in model.factors() if set(factor.categories) & genres]
    assert len(named) >= 12
    ratings = [np.median(split.train.item_counts[list(factor.items)]) for factor in model.factors()]
    assert np.median(ratings) >= 20
