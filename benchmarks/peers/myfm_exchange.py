"""Exchanged data as myFM takes it: blocks of users and of items; shared by its library files."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

SWEEPS = 300
RANK = 8


class Blocks(NamedTuple):
    """A fitted regressor and the features of all users and all items, CSR."""

    model: Any
    of_users: Any
    of_items: Any


def fit(train: Any, seed: int, implicit_sets: bool) -> Blocks:
    """Ratings from ids, and with `implicit_sets` from the set of items of a user and of users of an item, 1/sqrt(n)."""
    from myfm import MyFMRegressor
    from scipy.sparse import diags, hstack, identity

    of_users, of_items = identity(train.n_users, format="csr"), identity(train.n_items, format="csr")
    groups = [train.n_users, train.n_items]
    if implicit_sets:
        matrix = train.matrix()
        users, items = (np.asarray(matrix.sum(axis=axis)).ravel() for axis in (1, 0))
        of_users = hstack((of_users, diags(1 / np.sqrt(np.maximum(users, 1))) @ matrix), format="csr")
        of_items = hstack((of_items, diags(1 / np.sqrt(np.maximum(items, 1))) @ matrix.T), format="csr")
        groups = [train.n_users, train.n_items, train.n_items, train.n_users]
    model = MyFMRegressor(rank=RANK, random_seed=seed)
    blocks = _relations(of_users, of_items, train.users, train.items)
    ratings = train.ratings.astype(np.float64)
    model.fit(None, ratings, X_rel=blocks, n_iter=SWEEPS, n_kept_samples=SWEEPS * 4 // 5, group_shapes=groups)
    return Blocks(model, of_users, of_items)


def predictions(fitted: Blocks, train: Any) -> Any:
    """Predicted ratings of the test pairs, within the scale."""
    blocks = _relations(fitted.of_users, fitted.of_items, train.test_users, train.test_items)
    return np.clip(fitted.model.predict(None, blocks), 0.5, 5)


def _relations(of_users: Any, of_items: Any, users: Any, items: Any) -> list[Any]:
    """Each distinct row once, and which of them every rating has."""
    from myfm import RelationBlock

    found = []
    for features, codes in ((of_users, users), (of_items, items)):
        found.append(RelationBlock(codes.astype(np.int64), features.astype(np.float64)))
    return found
