"""PureSVD and truncated SVD of ratings: conformance, dense decompositions as oracles, accuracy on the frozen split."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from benchmarks.frozen_splits import final_split
from recsys_desktop.api import AlgorithmSpec, CannotFit, Dataset, DataShape, Query, RatingScale, RunContext, Vocabulary
from recsys_desktop.api.testing import AlgorithmConformance, KitRun, made_data
from recsys_desktop.api.testing.measure import ALLOCATOR_NOISE, measure_fits
from recsys_desktop.evaluation import RANKING_METRICS, rank_test_users, rmse
from recsys_desktop.toolkit.products import SparseRows
from recsys_factorization.plugin import PURE_SVD, TRUNCATED_SVD
from recsys_factorization.randomised_svd import truncated_svd
from tests.plugins.damaged_states import hold_refuses_short_arrays, loaded_as_of_version_1


class TestPureSVDConforms(AlgorithmConformance):
    spec = PURE_SVD
    dimension = ""


class TestTruncatedSVDConforms(AlgorithmConformance):
    spec = TRUNCATED_SVD
    dimension = ""


def fitted(spec: AlgorithmSpec, data: Dataset, run: RunContext | None = None, **params: Any) -> Any:
    return spec.load()(spec.params(**params)).fit(data, run or RunContext(threads=1))


def everyone(data: Dataset) -> Query:
    return Query.of_users(data, np.arange(data.n_users))


@pytest.mark.parametrize("shape", [(300, 120), (90, 400), (40, 8)])
@pytest.mark.parametrize("rank", [1, 6, 30])
def test_singular_values_and_projections_are_those_of_the_dense_decomposition(
    shape: tuple[int, int], rank: int
) -> None:
    generator = np.random.default_rng(rank)
    dense = (generator.random(shape) < 0.2) * generator.standard_normal(shape)
    dense[:, 3] = 0
    rows = SparseRows.of(csr_matrix(dense.astype(np.float32)))
    found = truncated_svd(rows, shape[1], rank, RunContext(threads=2), "test")
    left, values, right = np.linalg.svd(dense, full_matrices=False)
    rank = min(rank, *shape)
    assert np.allclose(found.values, values[:rank], rtol=1e-4, atol=1e-4)
    assert np.allclose(found.explained, np.cumsum(values[:rank] ** 2) / (dense**2).sum(), atol=1e-5)
    assert np.allclose(found.vectors.T @ found.vectors, np.eye(rank), atol=1e-4) or values[rank - 1] < 1e-6
    # The best approximation is worse by at most what a gap between close singular values leaves open.
    error = np.linalg.norm(dense - dense @ found.vectors @ found.vectors.T)
    assert error <= np.linalg.norm(dense - left[:, :rank] * values[:rank] @ right[:rank]) * (1 + 1e-4) + 1e-4


def test_pure_svd_is_the_projection_of_the_dense_matrix() -> None:
    data = made_data.communities().train
    dense = data.matrix().toarray().astype(np.float64)
    _, _, right = np.linalg.svd(dense / np.maximum(dense.sum(axis=1), 1)[:, None] ** 0.25, full_matrices=False)
    expected = dense @ right[:5].T @ right[:5]
    scores = fitted(PURE_SVD, data, rank=5).score(everyone(data))
    served = ~np.isnan(scores)
    assert np.allclose(scores[served], expected[served], atol=2e-3)


def test_a_missing_rating_is_imputed_by_the_biases() -> None:
    data = made_data.communities().train
    model = fitted(TRUNCATED_SVD, data, rank=4, history_exponent=0.0, noise_floor=0.0)
    biases = model.biases_
    rated = data.matrix("rating").toarray() > 0
    levels = biases["mean"] + biases["users"][:, None] + biases["items"][None, :]
    residuals = np.where(rated, data.matrix("rating").toarray() - levels, 0).astype(np.float64)
    _, _, right = np.linalg.svd(residuals, full_matrices=False)
    expected = levels + residuals @ right[:4].T @ right[:4]
    scores = model.score(everyone(data))
    served = ~np.isnan(scores)
    assert np.allclose(scores[served], expected[served], atol=5e-3)


@pytest.mark.parametrize(("spec", "params"), [(PURE_SVD, {}), (TRUNCATED_SVD, {"noise_floor": 0.0})])
def test_what_every_rank_explains_is_logged(spec: AlgorithmSpec, params: dict[str, float]) -> None:
    run = KitRun()
    model = fitted(spec, made_data.communities().train, run, rank=7, **params)
    assert [step for step, _ in run.logged] == list(range(1, 8))
    shares = [values["explained_share"] for _, values in run.logged]
    errors = [values["reconstruction_error"] for _, values in run.logged]
    assert shares == sorted(shares)
    assert 0 < shares[0] < shares[-1] < 1
    assert errors == pytest.approx(list(np.sqrt(1 - np.array(shares))))
    assert model.singular_values_.shape == (7,)


def test_patterns_of_mere_chance_are_left_out() -> None:
    """Two communities are two patterns of choices; in ratings drawn at random there are none, and one vector stays."""
    assert fitted(PURE_SVD, made_data.communities().train).singular_values_.shape == (2,)
    generator = np.random.default_rng(5)
    users, items = np.nonzero(generator.random((200, 100)) < 0.1)
    people, things = (Vocabulary(f"{code}" for code in range(size)) for size in (200, 100))
    ratings = generator.integers(1, 6, len(users)).astype(np.float32)
    scattered = Dataset(people, things, users, items, ratings, rating_scale=RatingScale(1, 5))
    assert fitted(TRUNCATED_SVD, scattered).singular_values_.shape == (1,)


def test_interactions_below_the_lowest_rating_do_not_count() -> None:
    data = made_data.communities().train
    assert data.ratings is not None
    high = data.subset(data.ratings >= 4)
    model, expected = fitted(PURE_SVD, data, min_rating=4.0, rank=3), fitted(PURE_SVD, high, rank=3)
    assert np.allclose(model.score(everyone(data)), expected.score(everyone(high)), atol=1e-4, equal_nan=True)
    with pytest.raises(CannotFit, match="lower 'min_rating'"):
        fitted(PURE_SVD, data, min_rating=9.0)


@pytest.mark.parametrize("spec", [PURE_SVD, TRUNCATED_SVD])
def test_a_state_that_does_not_fit_together_is_refused(spec: AlgorithmSpec, tmp_path) -> None:
    hold_refuses_short_arrays(fitted(spec, made_data.communities().train, rank=3), tmp_path)


def test_a_pure_svd_saved_with_a_noise_floor_loads(tmp_path) -> None:
    data = made_data.communities().train
    model = fitted(PURE_SVD, data, rank=3)
    params = {**model.params.to_dict(), "rank": 24, "noise_floor": 1.15}
    loaded = loaded_as_of_version_1(model, tmp_path, params, ("chosen_",))
    assert np.array_equal(loaded.score(everyone(data)), model.score(everyone(data)), equal_nan=True)


def test_the_forecast_holds_where_people_are_many_and_items_few() -> None:
    (found,) = measure_fits(PURE_SVD, [DataShape(60_000, 300, 300_000)], {}, steady_heap=True)
    assert found.peak_bytes - ALLOCATOR_NOISE <= found.forecast.memory_bytes <= 2 * found.peak_bytes


def test_embeddings_multiply_to_the_score() -> None:
    data = made_data.communities().train
    model = fitted(PURE_SVD, data, rank=5)
    products = model.user_embeddings() @ model.item_embeddings().T
    assert np.allclose(products, model.score(everyone(data)), atol=1e-4, equal_nan=True)


def test_pure_svd_ranks_movielens_as_well_as_it_should() -> None:
    split = final_split("random")
    ranked, _ = rank_test_users(fitted(PURE_SVD, split.train).score, split.train, split.test, 10)
    assert 0.245 <= np.nanmean(RANKING_METRICS["ndcg"].compute(ranked)) <= 0.265


def test_truncated_svd_predicts_movielens_better_than_the_biases_it_starts_from() -> None:
    split = final_split("random")
    assert split.test.ratings is not None
    predictions = fitted(TRUNCATED_SVD, split.train).predict_pairs(
        everyone(split.train), split.test.users, split.test.items
    )
    assert 0.86 <= rmse(predictions, split.test.ratings) <= 0.88
