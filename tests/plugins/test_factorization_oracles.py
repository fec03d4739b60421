"""Factorisations against naive NumPy: the equations that each solves, one gradient step of each, what each predicts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy.sparse import csr_matrix

from recsys_desktop.api import AlgorithmSpec, Dataset, Query, RatingScale, RunContext, Vocabulary
from recsys_desktop.toolkit.products import SparseRows
from recsys_factorization.arrays import with_additions
from recsys_factorization.bpr_kernels import fold_in_pairs, learn_pairs
from recsys_factorization.least_squares_kernels import LONGEST_DUAL, observed_errors, solve_implicit_rows
from recsys_factorization.plugin import ALS, IMPLICIT_ALS, NMF, PURE_SVD, SVD, SVDPP
from recsys_factorization.ridge_kernels import solve_ridge_rows
from recsys_factorization.sgd_kernels import descend_on_ratings
from recsys_factorization.svdpp_kernels import descend_with_sets, sum_sets

Array = npt.NDArray[Any]


def rated_data(n_users: int = 120, n_items: int = 50, share: float = 0.2) -> Dataset:
    """Ratings of two tastes, by people of whom the last has none, of items of which the last has none."""
    generator = np.random.default_rng(3)
    chosen = generator.random((n_users, n_items)) < share
    chosen[-1] = chosen[:, -1] = False
    users, items = np.nonzero(chosen)
    tastes, kinds = generator.standard_normal((n_users, 2)), generator.standard_normal((n_items, 2))
    ratings = np.clip(np.round(3.2 + np.einsum("nf,nf->n", tastes[users], kinds[items])), 1, 5)
    people, things = (Vocabulary(f"{code}" for code in range(size)) for size in (n_users, n_items))
    return Dataset(people, things, users, items, ratings.astype(np.float32), rating_scale=RatingScale(1, 5))


DATA = rated_data()


def fitted(spec: AlgorithmSpec, **params: Any) -> Any:
    return spec.load()(spec.params(**params)).fit(DATA, RunContext(threads=1))


def everybody() -> Query:
    return Query.of_users(DATA, np.arange(DATA.n_users))


def agree(scores: Array, expected: Array, atol: float = 1e-4) -> bool:
    """Equal wherever the model has a score, which is so for whoever and whatever has ratings."""
    served = ~np.isnan(scores)
    assert served[np.ix_(DATA.user_counts > 0, DATA.item_counts > 0)].all()
    return np.allclose(scores[served], expected[served], atol=atol)


def random_rows(generator: np.random.Generator, lengths: list[int], n_columns: int) -> tuple[Array, Array]:
    indptr = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
    columns = [np.sort(generator.choice(n_columns, length, replace=False)) for length in lengths]
    return indptr, np.concatenate(columns).astype(np.int32)


def single(generator: np.random.Generator, *shape: int) -> Array:
    return generator.standard_normal(shape).astype(np.float32)


def test_rows_of_implicit_least_squares_solve_their_normal_equations() -> None:
    generator = np.random.default_rng(0)
    indptr, columns = random_rows(generator, [0, 1, 5, LONGEST_DUAL, LONGEST_DUAL + 1, 60], 80)
    factors, spectrum = single(generator, 80, 7), generator.random(7).astype(np.float32)
    regularisation = (0.1 + generator.random(6)).astype(np.float32)
    solution = single(generator, 6, 7)
    solve_implicit_rows(0, 6, indptr, columns, factors, spectrum, regularisation, solution, 100, 1e-6)
    errors = np.zeros(6)
    observed_errors(0, 6, indptr, columns, factors, solution, errors)
    for row in range(6):
        own = factors[columns[indptr[row] : indptr[row + 1]]].astype(np.float64)
        matrix = np.diag(spectrum + regularisation[row]) + own.T @ own
        expected = np.linalg.solve(matrix, own.sum(axis=0))
        assert np.allclose(solution[row], expected, atol=2e-4)
        assert errors[row] == pytest.approx(((1 - own @ expected) ** 2).sum(), abs=1e-3)


IALS_SETTINGS: list[dict[str, Any]] = [
    {},
    {"frequency_exponent": 1.0, "factors": 9},
    {"frequency_exponent": 0.0, "factors": 7, "regularisation": 0.5, "unobserved_weight": 3.0},
    {"min_rating": 3.0, "factors": 60, "popularity": 2.0},
]


@pytest.mark.parametrize("params", IALS_SETTINGS, ids=str)
def test_ials_minimises_its_objective(params: dict[str, Any]) -> None:
    """Everybody's factors are those of the weighted normal equations, and after many sweeps so are the items'."""
    model = fitted(IMPLICIT_ALS, **params, iterations=200)
    chosen = DATA.matrix("one", model.params.min_rating).toarray().astype(np.float64)
    users, items = chosen.sum(axis=1) > 0, chosen.sum(axis=0) > 0
    n, m, pairs = users.sum(), items.sum(), chosen.sum()
    unobserved = model.params.unobserved_weight * pairs / (n * m)
    exponent = model.params.frequency_exponent
    scales = []
    for lengths, active, others in ((chosen.sum(axis=1), users, m), (chosen.sum(axis=0), items, n)):
        frequency = lengths + unobserved * others
        scales.append(frequency**exponent * frequency[active].mean() ** (1 - exponent))
    scaled = chosen / np.sqrt(np.outer(*scales))
    caution = np.clip(4 / np.sqrt(pairs / n), 0.4, 1)
    chance = np.linalg.norm(scaled) * (n**-0.5 + m**-0.5)
    level = model.params.regularisation * caution * chance
    of_users, of_items = model.user_factors_.astype(np.float64), model.item_factors_.astype(np.float64)

    def solved(rows: Array, active: Array, fixed: Array, scale: Array) -> Array:
        out = np.zeros((len(rows), fixed.shape[1]))
        for row in np.flatnonzero(active):
            own = fixed[rows[row] > 0]
            matrix = own.T @ own + unobserved * fixed.T @ fixed + level * scale[row] * np.eye(fixed.shape[1])
            out[row] = np.linalg.solve(matrix, own.sum(axis=0))
        return out

    assert np.allclose(of_users, solved(chosen, users, of_items, scales[0]), atol=1e-4)
    again = solved(chosen.T, items, of_users, scales[1])
    assert np.abs(of_users @ (again - of_items).T).max() < 5e-3
    popular = model.setting("popularity") * chosen.sum(axis=0) / n
    assert agree(model.score(everybody()), of_users @ of_items.T + popular)


def test_rows_of_ridge_regression_solve_their_normal_equations() -> None:
    generator = np.random.default_rng(1)
    indptr, columns = random_rows(generator, [0, 1, 5, 6, 7, 40], 50)
    features = np.hstack((np.ones((50, 1), dtype=np.float32), single(generator, 50, 5)))
    targets, penalty = single(generator, len(columns)), (0.2 + generator.random((6, 2))).astype(np.float32)
    solution = single(generator, 6, 6)
    solve_ridge_rows(0, 6, indptr, columns, targets, features, penalty, solution)
    for row in range(6):
        part = slice(indptr[row], indptr[row + 1])
        own = features[columns[part]].astype(np.float64)
        matrix = own.T @ own + np.diag([penalty[row, 0], *[penalty[row, 1]] * 5])
        assert np.allclose(solution[row], np.linalg.solve(matrix, own.T @ targets[part]), atol=1e-4)


def person_systems(model: Any, features: Array) -> list[tuple[int, Array, Array, Array]]:
    """For each person with ratings: the code, rows (1, features), deviations of the ratings, and the penalties."""
    rated, params, found = DATA.matrix("rating"), model.params, []
    for user in np.flatnonzero(DATA.user_counts):
        row = rated[user]
        own = np.column_stack((np.ones(row.nnz), features[row.indices])).astype(np.float64)
        deviations = (row.data - model.mean_) / model.spread_ - model.item_biases_[row.indices]
        held = params.regularisation * row.nnz + params.factor_shrinkage
        found.append((int(user), own, deviations, np.array([params.bias_shrinkage, *[held] * params.factors])))
    return found


def predicted(model: Any) -> Array:
    """mean + spread (b_u + b_i + p_u.q_i)."""
    of_biases = model.user_biases_[:, None] + model.item_biases_
    return model.mean_ + model.spread_ * (of_biases + model.user_factors_ @ model.item_factors_.T)


@pytest.mark.parametrize("spec", [SVD, ALS], ids=lambda spec: spec.id)
def test_people_are_ridge_regressions_and_predictions_follow_the_formula(spec: AlgorithmSpec) -> None:
    model = fitted(spec, factors=6)
    assert model.mean_ == pytest.approx(DATA.ratings.mean(), abs=1e-5)
    assert model.spread_ == pytest.approx(DATA.ratings.std(), abs=1e-5)
    for user, own, deviations, penalty in person_systems(model, model.item_factors_):
        expected = np.linalg.solve(own.T @ own + np.diag(penalty), own.T @ deviations)
        assert np.allclose(expected, [model.user_biases_[user], *model.user_factors_[user]], atol=1e-4)
    assert agree(model.score(everybody()), predicted(model))


def test_als_ends_where_the_items_are_ridge_regressions_as_well() -> None:
    model = fitted(ALS, factors=3, iterations=200)
    rated, params = DATA.matrix("rating").tocsc(), model.params
    for item in np.flatnonzero(DATA.item_counts):
        column = rated[:, item]
        own = np.column_stack((np.ones(column.nnz), model.user_factors_[column.indices])).astype(np.float64)
        deviations = (column.data - model.mean_) / model.spread_ - model.user_biases_[column.indices]
        held = params.regularisation * column.nnz + params.factor_shrinkage
        penalty = np.diag([params.bias_shrinkage, *[held] * params.factors])
        expected = np.linalg.solve(own.T @ own + penalty, own.T @ deviations)
        assert np.allclose(expected, [model.item_biases_[item], *model.item_factors_[item]], atol=2e-3)


def test_people_of_nmf_fulfil_the_conditions_of_a_bounded_minimum() -> None:
    """Karush, Kuhn, Tucker: where a factor is above 0 the gradient is 0, where it is 0 the gradient is not negative."""
    model = fitted(NMF, factors=6, factor_shrinkage=0.5)
    at_bound = 0
    for user, own, deviations, penalty in person_systems(model, model.item_factors_):
        weights = np.array([model.user_biases_[user], *model.user_factors_[user]], dtype=np.float64)
        gradient = (own.T @ own + np.diag(penalty)) @ weights - own.T @ deviations
        is_free = np.append(True, weights[1:] > 0)
        assert (weights[1:] >= 0).all()
        assert np.abs(gradient[is_free]).max() < 2e-3
        assert gradient[~is_free].min(initial=0) > -2e-3
        at_bound += (~is_free).sum()
    assert at_bound > 0
    assert agree(model.score(everybody()), predicted(model))


@pytest.mark.parametrize("popularity", [0.0, 2.0])
def test_pure_svd_projects_histories_and_adds_popularity(popularity: float) -> None:
    model = fitted(PURE_SVD, rank=4, popularity=popularity)
    chosen, vectors = DATA.matrix("one").toarray(), model.item_factors_.astype(np.float64)
    shares = DATA.item_counts / (DATA.user_counts > 0).sum()
    assert agree(model.score(everybody()), chosen @ vectors @ vectors.T + popularity * shares)
    _, values, right = np.linalg.svd(chosen / np.maximum(chosen.sum(axis=1), 1)[:, None] ** 0.25, full_matrices=False)
    assert np.allclose(model.singular_values_, values[:4], rtol=1e-4)
    assert np.allclose(np.abs(np.linalg.svd(right[:4] @ vectors)[1]), 1, atol=1e-3)


def test_people_of_svdpp_are_ridge_regressions_around_their_sets() -> None:
    """s_u is summed from y_j; t_i, from z_v, lacks the person's own expected part in the history; see the class."""
    model = fitted(SVDPP, factors=5, temporal_dynamics=False)
    pattern = DATA.matrix("one").toarray()
    counts = np.maximum(DATA.item_counts, 1)
    sets_of_items = (pattern.T @ model.user_set_factors_) / np.sqrt(counts)[:, None]
    assert np.allclose(model.item_sets_, sets_of_items, atol=1e-4)
    assert np.abs(model.item_sets_).max() > 1e-4
    features = model.item_factors_ - model.item_sets_ / counts[:, None]
    for user, own, deviations, penalty in person_systems(model, features):
        own_set = pattern[user] @ model.set_factors_ / np.sqrt(pattern[user].sum())
        targets = deviations - own[:, 1:] @ own_set
        expected = np.linalg.solve(own.T @ own + np.diag(penalty), own.T @ targets) + np.append(0, own_set)
        assert np.allclose(expected, [model.user_biases_[user], *model.user_factors_[user]], atol=1e-4)
    assert agree(model.score(everybody()), predicted(model))


def test_sums_of_sets() -> None:
    generator = np.random.default_rng(5)
    indptr, columns = random_rows(generator, [3, 0, 6], 10)
    members, shares, out = single(generator, 10, 4), single(generator, 3), single(generator, 3, 4)
    sum_sets(0, 3, indptr, columns, members, shares, out)
    for row in range(3):
        own = members[columns[indptr[row] : indptr[row + 1]]]
        assert np.allclose(out[row], shares[row] * own.sum(axis=0), atol=1e-5)


def downhill(loss: Callable[[dict[str, Array]], float], at: dict[str, Array], names: tuple[str, ...]) -> Any:
    """The negative gradient of a loss in some of its arrays, by central differences in float64."""
    found = {}
    for name in names:
        slopes = np.zeros(at[name].shape)
        for place in np.ndindex(slopes.shape):
            values = []
            for step in (1e-5, -1e-5):
                moved = {key: value.astype(np.float64) for key, value in at.items()}
                moved[name][place] += step
                values.append(loss(moved))
            slopes[place] = (values[1] - values[0]) / 2e-5
        found[name] = slopes
    return found


RATE = 1e-3


def hold_steps_go_downhill(
    before: dict[str, Array], after: dict[str, Array], loss: Callable[[dict[str, Array]], float], names: tuple[str, ...]
) -> None:
    """Arrays moved by about RATE times the negative gradient."""
    for name, slopes in downhill(loss, before, names).items():
        step = (after[name].astype(np.float64) - before[name]) / RATE
        assert np.abs(slopes).max() > 0.1
        assert np.allclose(step, slopes, atol=0.01 * np.abs(slopes).max()), name


def test_a_step_of_svd_goes_down_the_gradient_of_its_objective() -> None:
    generator = np.random.default_rng(7)
    users, items = np.array([0, 1, 2], dtype=np.int32), np.array([2, 0, 1], dtype=np.int32)
    targets = single(generator, 3)
    penalties = {"p": generator.random((3, 2)).astype(np.float32), "q": generator.random((3, 2)).astype(np.float32)}
    before = {
        "user_biases": single(generator, 3),
        "item_biases": single(generator, 3),
        "user_factors": single(generator, 3, 4),
        "item_factors": single(generator, 3, 4),
    }

    def loss(at: dict[str, Array]) -> float:
        total = 0.0
        for user, item, target in zip(users, items, targets, strict=True):
            error = target - at["user_biases"][user] - at["item_biases"][item]
            error -= at["user_factors"][user] @ at["item_factors"][item]
            total += error**2
            for side, row in (("user", user), ("item", item)):
                weights = penalties["p" if side == "user" else "q"][row]
                total += weights[0] * at[f"{side}_biases"][row] ** 2
                total += weights[1] * (at[f"{side}_factors"][row] ** 2).sum()
        return total / 2

    after = {name: value.copy() for name, value in before.items()}
    squared = descend_on_ratings(0, 3, users, items, targets, *after.values(), penalties["p"], penalties["q"], RATE)
    hold_steps_go_downhill(before, after, loss, tuple(before))
    errors = targets - before["user_biases"][users] - before["item_biases"][items]
    errors -= np.einsum("nf,nf->n", before["user_factors"][users], before["item_factors"][items])
    assert squared == pytest.approx((errors**2).sum(), rel=1e-4)


def test_a_step_of_svdpp_goes_down_the_gradient_of_its_objective() -> None:
    """A visit of one row: its bias and factors, those of its columns, and the members that make up the row's set."""
    generator = np.random.default_rng(8)
    columns, n = np.array([0, 2, 3], dtype=np.int32), 4
    targets, share = single(generator, 3), np.float32(1 / np.sqrt(3))
    column_shares = generator.random(n).astype(np.float32)
    column_sets, own_part = single(generator, n, 3), single(generator, 1, 3)
    row_penalty, column_penalty = (generator.random((size, 2)).astype(np.float32) for size in (1, n))
    member_penalty = generator.random(n).astype(np.float32)
    before = {
        "row_biases": single(generator, 1),
        "column_biases": single(generator, n),
        "row_factors": single(generator, 1, 3),
        "column_factors": single(generator, n, 3),
        "members": single(generator, n, 3),
    }

    def loss(at: dict[str, Array]) -> float:
        total = 0.0
        for column, target in zip(columns, targets, strict=True):
            others = [other for other in columns if other != column]
            left = at["row_factors"][0] + share * at["members"][others].sum(axis=0)
            right = at["column_factors"][column] + column_sets[column] - column_shares[column] * own_part[0]
            error = target - at["row_biases"][0] - at["column_biases"][column] - left @ right
            total += error**2
            for weights, bias, factors in (
                (row_penalty[0], at["row_biases"][0], at["row_factors"][0]),
                (column_penalty[column], at["column_biases"][column], at["column_factors"][column]),
            ):
                total += weights[0] * bias**2 + weights[1] * (factors**2).sum()
            total += member_penalty[column] * (at["members"][column] ** 2).sum()
        return total / 2

    after = {name: value.copy() for name, value in before.items()}
    descend_with_sets(
        0,
        1,
        np.array([0]),
        np.array([0, 3]),
        columns,
        targets,
        after["row_biases"],
        after["column_biases"],
        after["row_factors"],
        after["column_factors"],
        column_sets,
        after["members"],
        own_part,
        np.array([share]),
        column_shares,
        row_penalty,
        column_penalty,
        member_penalty,
        RATE,
    )
    hold_steps_go_downhill(before, after, loss, tuple(before))


def test_a_step_of_bpr_goes_down_the_gradient_of_its_objective() -> None:
    """One person with one item; of the items to draw from that they lack, the highest scoring is taken."""
    generator = np.random.default_rng(9)
    regularisation, n = 0.3, 5
    before = {
        "users": single(generator, 1, 4),
        "items": single(generator, n, 4),
        "biases": single(generator, n),
    }
    catalogue = np.array([0, 1, 3, 4], dtype=np.int32)
    scores = before["items"] @ before["users"][0] + before["biases"]
    other = max(catalogue[1:], key=lambda item: scores[item])

    def loss(at: dict[str, Array]) -> float:
        margin = (at["items"][0] - at["items"][other]) @ at["users"][0] + at["biases"][0] - at["biases"][other]
        squares = (at["users"][0] ** 2).sum() + (at["items"][[0, other]] ** 2).sum()
        squares += (at["biases"][[0, other]] ** 2).sum()
        return float(np.log1p(np.exp(-margin)) + regularisation / 2 * squares)

    after = {name: value.copy() for name, value in before.items()}
    met = learn_pairs(
        np.array([0]),
        np.array([0, 1]),
        np.array([0], dtype=np.int32),
        catalogue,
        *after.values(),
        RATE,
        regularisation,
        200,
        11,
    )
    hold_steps_go_downhill(before, after, loss, tuple(before))
    at = {name: value.astype(np.float64) for name, value in before.items()}
    bare = loss(at) - regularisation / 2 * sum(
        (part**2).sum() for part in (at["users"], at["items"][[0, other]], at["biases"][[0, other]])
    )
    assert met == pytest.approx(bare, rel=1e-4)


def test_people_of_bpr_take_the_same_steps_from_0_with_the_items_held_fixed() -> None:
    generator = np.random.default_rng(10)
    items, biases = single(generator, 6, 3), single(generator, 6)
    own, rate, regularisation, epochs = [1, 4], 0.5, 0.2, 3
    solution = single(generator, 2, 3)
    others, pushes = np.full((epochs, 3), -1, dtype=np.int32), np.zeros((epochs, 3), dtype=np.float32)
    indptr, columns = np.array([0, 2, 3]), np.array([*own, 2], dtype=np.int32)
    catalogue = np.array([2], dtype=np.int32)
    fold_in_pairs(
        0, 2, indptr, columns, catalogue, items, biases, rate, regularisation, 1, epochs, 5, solution, others, pushes
    )
    person, taken = np.zeros(3), np.zeros((epochs, 3))
    for epoch in range(epochs):
        now = rate * (1 - epoch / epochs)
        for place, item in enumerate(own):
            margin = (items[item] - items[2]) @ person + biases[item] - biases[2]
            taken[epoch, place] = now / (1 + np.exp(margin))
            person = (1 - now * regularisation) * person + taken[epoch, place] * (items[item] - items[2])
    assert np.allclose(solution[0], person, atol=1e-5)
    assert np.allclose(pushes, taken, atol=1e-6)
    assert np.array_equal(others, [[2, 2, -1]] * epochs)
    assert (solution[1] == 0).all()


@pytest.mark.parametrize("lowest", [None, 3.0])
def test_additions_are_those_of_a_table_of_pairs(lowest: float | None) -> None:
    """The later rating of a pair holds, and what is below the lowest counts for nothing, also where it did before."""
    generator = np.random.default_rng(13)
    for _ in range(60):
        counted = {(int(user), int(item)) for user, item in generator.integers(0, 5, (8, 2))}
        pairs = np.array(sorted(counted))
        had = SparseRows.of(csr_matrix((np.ones(len(pairs)), pairs.T), shape=(5, 5)))
        more = np.unique(generator.integers(0, 7, (generator.integers(0, 6), 2)), axis=0)
        ratings = generator.integers(1, 6, len(more)).astype(np.float32)
        people, things = (Vocabulary(f"{code}" for code in range(7)) for _ in range(2))
        additions = Dataset(people, things, more[:, 0], more[:, 1], ratings, rating_scale=RatingScale(1, 5))
        found = with_additions(had, additions, lowest)
        before, touched = set(counted), set()
        for (user, item), rating in zip(more.tolist(), ratings, strict=True):
            counts = lowest is None or rating >= lowest
            if counts or (user, item) in before:
                touched.add((user, item))
            (counted.add if counts else counted.discard)((user, item))
        assert [(user, item) for user, item in zip(*found.rows.to_csr(7).nonzero(), strict=True)] == sorted(counted)
        assert found.rows.n_rows == 7
        assert found.users.tolist() == sorted({user for user, _ in touched})
        assert found.items.tolist() == sorted({item for _, item in touched})
