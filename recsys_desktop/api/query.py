"""Query: the people to serve, known, new or imagined."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from recsys_desktop.api.dataset import Dataset, Float32, Int32, Int64
from recsys_desktop.api.errors import InvalidData
from recsys_desktop.api.features import FeatureTable

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

ConstraintValue = str | float | Sequence[str] | tuple[float | None, float | None]


@dataclass(frozen=True, eq=False)
class Query:
    """n people, each with a history; a known user, a person built on screen and a what-if copy are all queries.

    Histories are ragged and in time order: the items of person i are `items[indptr[i]:indptr[i + 1]]`.

    Parameters
    ----------
    users: int32 (n,), the user's code, or -1 for somebody who is not in the vocabulary.
    indptr: int64 (n + 1,). items: int32 (m,), codes.
    ratings: float32 (m,), or None. weights: float32 (m,), strengths of implicit events, or None.
    timestamps: int64 (m,), seconds, or None.
    as_of: int64 (n,), the moment of asking in seconds, or None for "now, after the history".
    attributes: user features, one row a person, or None.
    interests: stated interests, one tuple of phrases a person, or empty.
    constraints: per person, item column -> allowed value, set of values or (low, high); empty for none.
    """

    users: Int32
    indptr: Int64
    items: Int32
    ratings: Float32 | None = None
    weights: Float32 | None = None
    timestamps: Int64 | None = None
    as_of: Int64 | None = None
    attributes: FeatureTable | None = None
    interests: tuple[tuple[str, ...], ...] = ()
    constraints: tuple[Mapping[str, ConstraintValue], ...] = field(default=())

    def __post_init__(self) -> None:
        for name, dtype in (
            ("users", np.int32),
            ("indptr", np.int64),
            ("items", np.int32),
            ("ratings", np.float32),
            ("weights", np.float32),
            ("timestamps", np.int64),
            ("as_of", np.int64),
        ):
            array = getattr(self, name)
            if array is not None:
                object.__setattr__(self, name, np.ascontiguousarray(array, dtype=dtype))
        n, m = len(self.users), len(self.items)
        if len(self.indptr) != n + 1 or self.indptr[0] != 0 or self.indptr[-1] != m or (np.diff(self.indptr) < 0).any():
            raise InvalidData(f"indptr does not divide {m} items among {n} people")
        for name in ("ratings", "weights", "timestamps"):
            array = getattr(self, name)
            if array is not None and len(array) != m:
                raise InvalidData(f"{name} has {len(array)} values where items has {m}")
        if m and self.items.min() < 0:
            raise InvalidData("items holds negative codes; leave unknown items out of a history")
        for name in ("as_of", "attributes"):
            value = getattr(self, name)
            if value is not None and len(value) != n:
                raise InvalidData(f"{name} has {len(value)} rows for {n} people")
        for name in ("interests", "constraints"):
            value = getattr(self, name)
            if value and len(value) != n:
                raise InvalidData(f"{name} is given for {len(value)} of {n} people")

    def __len__(self) -> int:
        return len(self.users)

    @classmethod
    def of_users(cls, dataset: Dataset, users: Sequence[int] | npt.NDArray[Any]) -> Query:
        """Known users with the histories that they have in `dataset`; users: (n,) codes."""
        codes = np.asarray(users, dtype=np.int32)
        histories = dataset.histories
        lengths = dataset.user_counts[codes]
        indptr = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
        rows = np.repeat(histories.indptr[codes] - indptr[:-1], lengths) + np.arange(indptr[-1])

        def pick(array: Any) -> Any:
            return None if array is None else array[rows]

        return cls(
            codes,
            indptr,
            histories.items[rows],
            pick(histories.ratings),
            pick(histories.weights),
            pick(histories.timestamps),
            attributes=dataset.user_features.take(codes) if dataset.user_features.columns else None,
        )

    @classmethod
    def of_history(
        cls,
        items: Sequence[int] | npt.NDArray[Any],
        ratings: Sequence[float] | npt.NDArray[Any] | None = None,
        timestamps: Sequence[int] | npt.NDArray[Any] | None = None,
        user: int = -1,
        **more: Any,
    ) -> Query:
        """One person with this history, oldest first; `more` are further fields of a Query."""
        codes = np.asarray(items, dtype=np.int32)
        return cls(
            np.array([user], dtype=np.int32),
            np.array([0, len(codes)], dtype=np.int64),
            codes,
            None if ratings is None else np.asarray(ratings, dtype=np.float32),
            timestamps=None if timestamps is None else np.asarray(timestamps, dtype=np.int64),
            **more,
        )

    @cached_property
    def owner(self) -> Int64:
        """int64 (m,): the person to whom each history entry belongs."""
        return np.repeat(np.arange(len(self), dtype=np.int64), np.diff(self.indptr))

    @cached_property
    def lengths(self) -> Int64:
        """int64 (n,): the length of each history."""
        return np.diff(self.indptr)

    def history(self, person: int) -> Int32:
        """int32: the items of one person's history."""
        return self.items[self.indptr[person] : self.indptr[person + 1]]

    def matrix(self, n_items: int, values: str = "one", min_rating: float | None = None) -> csr_matrix:
        """The histories as CSR float32 (n, n_items) with sorted indices; arguments as `Dataset.matrix`.

        Entries for items at or beyond `n_items` are left out; an item repeated in a history counts once, by its latest
        value.
        """
        from scipy.sparse import csr_matrix

        if values == "rating":
            if self.ratings is None:
                raise InvalidData("this query has no ratings")
            data = self.ratings
        elif values == "weight" and self.weights is not None:
            data = self.weights
        elif values in ("one", "weight"):
            data = np.ones(len(self.items), dtype=np.float32)
        else:
            raise InvalidData(f"values is 'one', 'rating' or 'weight', not {values!r}")
        keep = self.items < n_items
        if min_rating is not None and self.ratings is not None:
            keep &= self.ratings >= min_rating
        people, items, data = self.owner[keep], self.items[keep], data[keep]
        order = np.lexsort((np.arange(len(items)), items, people))
        people, items, data = people[order], items[order], data[order]
        if len(items):
            last = np.append((people[1:] != people[:-1]) | (items[1:] != items[:-1]), True)
            people, items, data = people[last], items[last], data[last]
        indptr = np.concatenate(([0], np.cumsum(np.bincount(people, minlength=len(self)))))
        result = csr_matrix((data.astype(np.float32), items, indptr.astype(np.int64)), shape=(len(self), n_items))
        result.has_sorted_indices = True
        return result

    def take(self, people: Sequence[int] | npt.NDArray[Any]) -> Query:
        """The people named by `people` (positions in this query), in that order."""
        chosen = np.asarray(people, dtype=np.int64)
        lengths = self.lengths[chosen]
        indptr = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
        rows = np.repeat(self.indptr[chosen] - indptr[:-1], lengths) + np.arange(indptr[-1])

        def pick(array: Any, by: npt.NDArray[Any] = rows) -> Any:
            return None if array is None else array[by]

        return Query(
            self.users[chosen],
            indptr,
            self.items[rows],
            pick(self.ratings),
            pick(self.weights),
            pick(self.timestamps),
            pick(self.as_of, chosen),
            None if self.attributes is None else self.attributes.take(chosen),
            tuple(self.interests[person] for person in chosen) if self.interests else (),
            tuple(self.constraints[person] for person in chosen) if self.constraints else (),
        )

    def keep_entries(self, mask: npt.NDArray[np.bool_]) -> Query:
        """The same people with only the history entries for which `mask` (bool (m,)) is true."""
        indptr = np.concatenate(([0], np.cumsum(np.bincount(self.owner[mask], minlength=len(self))))).astype(np.int64)

        def pick(array: Any) -> Any:
            return None if array is None else array[mask]

        return replace(
            self,
            indptr=indptr,
            items=self.items[mask],
            ratings=pick(self.ratings),
            weights=pick(self.weights),
            timestamps=pick(self.timestamps),
        )

    def without(self, person: int, items: Sequence[int]) -> Query:
        """A what-if copy in which one person's history lacks `items` (codes)."""
        return self.keep_entries(~((self.owner == person) & np.isin(self.items, items)))

    def as_strangers(self) -> Query:
        """The same histories with no user codes: every person is new."""
        return replace(self, users=np.full(len(self), -1, dtype=np.int32))
