"""Data made for the conformance kit: small, seeded, with answers that are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from recsys_desktop.api.dataset import Dataset, DataShape, RatingScale
from recsys_desktop.api.features import CategoryColumn, Column, FeatureTable, NumericColumn, TagsColumn, TextColumn
from recsys_desktop.api.roles import Role
from recsys_desktop.api.vocabulary import Vocabulary

SCALE = RatingScale(1.0, 5.0, 1.0)
START = 1_500_000_000
GROUP_TAGS = (("mountain", "snow", "climbing"), ("harbour", "sailing", "fish"))
GROUP_NAMES = ("Alpine", "Harbour")


class Parts(NamedTuple):
    """Train and test part of one Dataset."""

    train: Dataset
    test: Dataset


def tags_column(rows: Sequence[Sequence[str]]) -> TagsColumn:
    """A tags column from the tags of each row."""
    categories = tuple(sorted({tag for row in rows for tag in row}))
    codes = {tag: code for code, tag in enumerate(categories)}
    indptr = np.concatenate(([0], np.cumsum([len(row) for row in rows]))).astype(np.int64)
    return TagsColumn(indptr, np.array([codes[tag] for row in rows for tag in row], dtype=np.int32), categories)


def text_column(values: Sequence[str], role: Role = Role.TEXT) -> TextColumn:
    """A text column."""
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return TextColumn(array, role)


def group_features(n_items: int, generator: np.random.Generator) -> FeatureTable:
    """Title, text, tags, category and year of items whose group is their code modulo 2; groups share few words."""
    rows = [
        [*generator.permutation(GROUP_TAGS[item % 2])[:2].tolist(), f"place{generator.integers(6)}"]
        for item in range(n_items)
    ]
    columns: dict[str, Column] = {
        "title": text_column([f"{GROUP_NAMES[item % 2]} story {item}" for item in range(n_items)], Role.TITLE),
        "about": text_column([f"A story of {' and '.join(row)}." for row in rows]),
        "tags": tags_column(rows),
        "kind": CategoryColumn((np.arange(n_items) % 2).astype(np.int32), ("highland", "coast")),
        "year": NumericColumn((1980 + generator.integers(0, 40, n_items)).astype(np.float32), "year"),
    }
    return FeatureTable(n_items, columns)


@cache
def communities() -> Parts:
    """Two groups of 30 users and 20 items each, who mostly like what is their own, with every kind of column.

    The group of a user or item is its code modulo 2. About 14 interactions a user, 85 % of them within the group; own
    items are rated 4 or 5, others 1 to 3. The last two users have no interaction at all and the last two items none
    either, though they have features. A quarter of each user's interactions is the test part.
    """
    generator = np.random.default_rng(20)
    n_users, n_items = 60, 40
    popularity = 1 / (1 + np.arange(n_items) / 10)
    users, items = [], []
    for user in range(n_users):
        chance = popularity * np.where(np.arange(n_items) % 2 == user % 2, 0.85, 0.15)
        chosen = generator.choice(n_items, size=int(generator.integers(11, 18)), replace=False, p=chance / chance.sum())
        users.extend([user] * len(chosen))
        items.extend(chosen.tolist())
    order = generator.permutation(len(users))
    user_codes, item_codes = np.array(users)[order], np.array(items)[order]
    own = user_codes % 2 == item_codes % 2
    ratings = np.where(own, generator.integers(4, 6, len(order)), generator.integers(1, 4, len(order)))
    regions = (np.arange(n_users + 2) % 2).astype(np.int32)
    data = Dataset(
        Vocabulary(f"user-{code}" for code in range(n_users + 2)),
        Vocabulary(f"item-{code}" for code in range(n_items + 2)),
        user_codes.astype(np.int32),
        item_codes.astype(np.int32),
        ratings.astype(np.float32),
        timestamps=START + 3600 * generator.integers(0, 400, len(order)),
        item_features=group_features(n_items + 2, generator),
        user_features=FeatureTable(n_users + 2, {"region": CategoryColumn(regions, ("valley", "shore"))}),
        rating_scale=SCALE,
        name="two communities",
    )
    return Parts(*data.hold_out(0.25, np.random.default_rng(21)))


@cache
def generous_and_strict() -> Parts:
    """Ratings that differ by how generous each of 50 users and how good each of 30 items is, and by nothing else.

    They are whole numbers from 1 to 5 with a little noise; a quarter of each user's is the test part.
    """
    generator = np.random.default_rng(30)
    n_users, n_items = 50, 30
    users, items = np.nonzero(generator.random((n_users, n_items)) < 0.5)
    generosity, quality = generator.normal(0, 0.8, n_users), generator.normal(0, 0.8, n_items)
    ratings = 3 + generosity[users] + quality[items] + generator.normal(0, 0.3, len(users))
    rated = np.clip(np.rint(ratings), 1, 5)
    rows = list(zip(users.tolist(), items.tolist(), rated.tolist(), strict=True))
    data = table(rows, n_users, n_items, "generous and strict users")
    return Parts(*data.hold_out(0.25, np.random.default_rng(31)))


def without(data: Dataset, *columns: str) -> Dataset:
    """The data without some of "ratings", "timestamps", "item_features", "user_features"."""
    changes: dict[str, Any] = dict.fromkeys(columns)
    if "ratings" in columns:
        changes["rating_scale"] = None
    return replace(data, **changes)


@cache
def checkerboard(rated: bool) -> Dataset:
    """20 users and 20 items in two colours; every user has all items of their colour but the one with their own code.

    So the item with a user's own code is the best that can be recommended to them. rated: they have rated their own
    colour 5 or 4 and the other colour 1 or 2, except two items of the other colour that they have not met; without
    ratings they have nothing of the other colour.
    """
    size = 20
    user, item = np.meshgrid(np.arange(size), np.arange(size), indexing="ij")
    same = (user + item) % 2 == 0
    met = same & (user != item)
    if rated:
        met |= ~same & ((item - user) % size != 1) & ((item - user) % size != 11)
    users, items = np.nonzero(met)
    high = 4 + (users + 2 * items) % 3 // 2
    low = 1 + (users + 2 * items) % 3 // 2
    return Dataset(
        Vocabulary(f"u{code}" for code in range(size)),
        Vocabulary(f"i{code}" for code in range(size)),
        users.astype(np.int32),
        items.astype(np.int32),
        np.where(same[users, items], high, low).astype(np.float32) if rated else None,
        timestamps=START + 60 * np.arange(len(users)),
        item_features=group_features(size, np.random.default_rng(5)),
        rating_scale=SCALE if rated else None,
        name="checkerboard",
    )


def table(pairs: Sequence[tuple[int, int, float]], n_users: int, n_items: int, name: str = "") -> Dataset:
    """Data with the given (user, item, rating) rows and every kind of column."""
    return Dataset(
        Vocabulary(f"u{code}" for code in range(n_users)),
        Vocabulary(f"i{code}" for code in range(n_items)),
        np.array([user for user, _, _ in pairs], dtype=np.int32),
        np.array([item for _, item, _ in pairs], dtype=np.int32),
        np.array([rating for _, _, rating in pairs], dtype=np.float32),
        timestamps=START + np.arange(len(pairs), dtype=np.int64),
        item_features=group_features(n_items, np.random.default_rng(6)),
        rating_scale=SCALE,
        name=name,
    )


@cache
def degenerate() -> dict[str, Dataset]:
    """Data at and beyond the edge of what a model is defined on, by what is odd about it."""
    one_user = [(0, item, 1.0 + item) for item in range(4)]
    one_item = [(user, 0, 1.0 + user) for user in range(4)]
    return {
        "nothing at all": table([], 0, 0),
        "users and items but no interaction": table([], 3, 3),
        "one user": table(one_user, 1, 4),
        "one item": table(one_item, 4, 1),
        "one active user among three": table(one_user, 3, 4),
        "a single interaction": table([(0, 0, 5.0)], 2, 2),
        "two users who share nothing": table([(0, 0, 5.0), (1, 1, 2.0)], 2, 2),
        "two users, two items, three ratings": table([(0, 0, 5.0), (0, 1, 2.0), (1, 0, 4.0)], 2, 2),
        "everybody has everything": table([(u, i, 1.0 + (u + i) % 5) for u in range(4) for i in range(4)], 4, 4),
        "all ratings alike": table([(u, i, 3.0) for u in range(6) for i in range(6) if (u + i) % 3], 6, 6),
        "one user has everything, the others one item": table(
            [*((0, item, 4.0) for item in range(6)), *((user, user, 2.0) for user in range(1, 6))], 6, 6
        ),
    }


def smallest(n_users: int, n_items: int) -> Dataset:
    """The smallest data that a model needing so many users and items must be able to fit."""
    pairs = [
        (u, i, 1.0 + (2 * u + i) % 5) for u in range(n_users) for i in range(n_items) if (u, i) != (0, n_items - 1)
    ]
    return table(pairs, n_users, n_items)


def of_shape(shape: DataShape, features: bool, seed: int = 0) -> Dataset:
    """Random data of about this shape, with a long tail of items and of user activity; its own `shape` says exactly.

    features: make item features too, as many values and characters as the shape says.
    """
    generator = np.random.default_rng(seed)
    n_users, n_items = shape.n_users, shape.n_items
    activity = generator.lognormal(0.0, 0.8, n_users)
    counts = np.clip(np.rint(activity / activity.mean() * shape.n_interactions / n_users), 1, n_items).astype(np.int64)
    users = np.repeat(np.arange(n_users, dtype=np.int64), counts)
    popularity = np.cumsum(1 / (np.arange(n_items) + 20.0) ** 0.7)
    ranks = np.searchsorted(popularity, generator.random(len(users)) * popularity[-1])
    items = generator.permutation(n_items)[np.minimum(ranks, n_items - 1)]
    pairs = np.sort(users * n_items + items)
    pairs = generator.permutation(pairs[np.append(True, pairs[1:] != pairs[:-1])])
    ratings = np.clip(np.rint(generator.normal(3.5, 1.1, len(pairs))), 1, 5)
    return Dataset(
        Vocabulary(f"u{code}" for code in range(n_users)),
        Vocabulary(f"i{code}" for code in range(n_items)),
        (pairs // n_items).astype(np.int32),
        (pairs % n_items).astype(np.int32),
        ratings.astype(np.float32),
        timestamps=START + generator.integers(0, 10**8, len(pairs)),
        item_features=_features_of_shape(shape, generator) if features else None,  # type: ignore[arg-type]
        rating_scale=SCALE,
    )


def _features_of_shape(shape: DataShape, generator: np.random.Generator) -> FeatureTable:
    n_items = shape.n_items
    tags_each = max(1, shape.item_values // n_items)
    tags = generator.integers(0, 200, (n_items, tags_each)).astype(np.int32)
    words = np.array([f"word{code}" for code in range(5000)], dtype=object)
    words_each = max(1, shape.text_characters // n_items // 9)
    drawn: npt.NDArray[np.int64] = (generator.random((n_items, words_each)) ** 3 * len(words)).astype(np.int64)
    return FeatureTable(
        n_items,
        {
            "title": text_column([f"Item {code}" for code in range(n_items)], Role.TITLE),
            "about": text_column([" ".join(words[row]) for row in drawn]),
            "tags": TagsColumn(
                np.arange(n_items + 1, dtype=np.int64) * tags_each,
                tags.ravel(),
                tuple(f"tag{code}" for code in range(200)),
            ),
        },
    )
