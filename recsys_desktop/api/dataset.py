"""Dataset: the interactions and side tables that every algorithm is fitted to."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from recsys_desktop.api.errors import InvalidData
from recsys_desktop.api.features import CategoryColumn, FeatureTable, NumericColumn, TagsColumn, TextColumn
from recsys_desktop.api.roles import Feedback
from recsys_desktop.api.vocabulary import Vocabulary

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Int32: TypeAlias = npt.NDArray[np.int32]
Int64: TypeAlias = npt.NDArray[np.int64]
Float32: TypeAlias = npt.NDArray[np.float32]
Bool: TypeAlias = npt.NDArray[np.bool_]


_FAR_MORE = 1.5
_FEWEST_HELD_OUT = 200


class RatingScale(NamedTuple):
    """The ratings that a person can give: from `minimum` to `maximum`; `step` is 0 where the scale is continuous."""

    minimum: float
    maximum: float
    step: float = 0.0

    @property
    def middle(self) -> float:
        """The centre of the scale."""
        return (self.minimum + self.maximum) / 2


class DataShape(NamedTuple):
    """The sizes that memory and time depend on; a forecast is made from these alone.

    item_values and user_values count the stored feature values (one a category, tag or number);
    text_characters counts the characters of all item texts and titles.
    """

    n_users: int
    n_items: int
    n_interactions: int
    item_values: int = 0
    user_values: int = 0
    text_characters: int = 0
    longest_history: int = 0

    @property
    def co_occurrences(self) -> float:
        """About how many pairs of interactions are of one person, Σ n_u²: all have equally many, and one the most."""
        even = self.n_interactions * max(self.n_interactions / max(self.n_users, 1), 1)
        return even + float(self.longest_history) ** 2


class Histories(NamedTuple):
    """What each user did, in time order (file order among ties): a ragged array.

    indptr: int64 (n_users + 1,). items: int32 (n,). ratings, weights: float32 (n,) or None. timestamps: int64 (n,)
    or None, in seconds. rows: int64 (n,), the positions in the Dataset's arrays.
    """

    indptr: Int64
    items: Int32
    ratings: Float32 | None
    weights: Float32 | None
    timestamps: Int64 | None
    rows: Int64


def _frozen(array: npt.NDArray[Any] | None, dtype: npt.DTypeLike) -> Any:
    if array is None:
        return None
    view = np.ascontiguousarray(array, dtype=dtype).view()
    view.setflags(write=False)
    return view


@dataclass(frozen=True, eq=False)
class Dataset:
    """Immutable interactions between users and items, with side tables, in one shared vocabulary.

    Interactions are parallel arrays in file order, at most one for each user-item pair (cleaning keeps the latest
    rating and sums events). The parts of a split are Datasets over the same vocabularies, so that codes mean the
    same in all of them; a user or item without an interaction in a part is unknown to a model fitted on it.

    Parameters
    ----------
    user_vocabulary, item_vocabulary: external ids in code order.
    users, items: int32 (n,), codes.
    ratings: float32 (n,), finite, or None for implicit feedback.
    weights: float32 (n,), positive strengths of implicit events, or None where every interaction counts 1.
    timestamps: int64 (n,), seconds since 1970-01-01 UTC, or None.
    events: int32 (n,), codes into `event_names`, or None.
    user_features, item_features: rows follow the vocabularies; None means no columns.
    rating_scale: given exactly when `ratings` is.
    provenance: what was done to the file (roles, cleaning), part of the fingerprint.
    name: what the person calls the data; not part of the fingerprint.

    Raises
    ------
    InvalidData: lengths, codes or values do not fit.
    """

    user_vocabulary: Vocabulary
    item_vocabulary: Vocabulary
    users: Int32
    items: Int32
    ratings: Float32 | None = None
    weights: Float32 | None = None
    timestamps: Int64 | None = None
    events: Int32 | None = None
    event_names: tuple[str, ...] = ()
    user_features: FeatureTable = None  # type: ignore[assignment]
    item_features: FeatureTable = None  # type: ignore[assignment]
    rating_scale: RatingScale | None = None
    provenance: Mapping[str, str] = field(default_factory=dict)
    name: str = ""

    def __post_init__(self) -> None:
        put = object.__setattr__
        put(self, "users", _frozen(self.users, np.int32))
        put(self, "items", _frozen(self.items, np.int32))
        put(self, "ratings", _frozen(self.ratings, np.float32))
        put(self, "weights", _frozen(self.weights, np.float32))
        put(self, "timestamps", _frozen(self.timestamps, np.int64))
        put(self, "events", _frozen(self.events, np.int32))
        if self.user_features is None:
            put(self, "user_features", FeatureTable(self.n_users))
        if self.item_features is None:
            put(self, "item_features", FeatureTable(self.n_items))
        if self.ratings is not None and self.rating_scale is None:
            low, high = (float(self.ratings.min()), float(self.ratings.max())) if len(self.ratings) else (0.0, 0.0)
            put(self, "rating_scale", RatingScale(low, high))
        self._check()

    def _check(self) -> None:
        n = len(self.users)
        for label in ("items", "ratings", "weights", "timestamps", "events"):
            array = getattr(self, label)
            if array is not None and len(array) != n:
                raise InvalidData(f"{label} has {len(array)} values where users has {n}")
        for label, codes, size in (("users", self.users, self.n_users), ("items", self.items, self.n_items)):
            if n and (codes.min() < 0 or codes.max() >= size):
                raise InvalidData(f"{label} holds codes outside 0 to {size - 1}")
        if self.ratings is not None and not np.isfinite(self.ratings).all():
            raise InvalidData("ratings holds NaN or infinite values")
        if self.weights is not None and not (np.isfinite(self.weights).all() and (self.weights > 0).all()):
            raise InvalidData("weights must be finite and positive")
        for label, table, size in (
            ("user_features", self.user_features, self.n_users),
            ("item_features", self.item_features, self.n_items),
        ):
            if len(table) != size:
                raise InvalidData(f"{label} has {len(table)} rows where {size} were expected")

    def __len__(self) -> int:
        return len(self.users)

    def __repr__(self) -> str:
        return (
            f"Dataset({self.name or 'unnamed'}: {self.n_users} users, {self.n_items} items, {len(self)} interactions)"
        )

    @property
    def n_users(self) -> int:
        """Size of the user vocabulary."""
        return len(self.user_vocabulary)

    @property
    def n_items(self) -> int:
        """Size of the item vocabulary, items without interactions included."""
        return len(self.item_vocabulary)

    @property
    def feedback(self) -> Feedback:
        """Explicit where there are ratings that differ; a constant rating column means implicit feedback."""
        if self.ratings is None or len(self) == 0 or self.ratings.min() == self.ratings.max():
            return Feedback.IMPLICIT
        return Feedback.EXPLICIT

    @cached_property
    def shape(self) -> DataShape:
        """The sizes a forecast needs."""

        def values(table: FeatureTable) -> int:
            return sum(
                len(column.indices) if isinstance(column, TagsColumn) else len(column)
                for column in table.columns.values()
                if not isinstance(column, TextColumn)
            )

        characters = sum(
            sum(map(len, column.values))
            for column in self.item_features.columns.values()
            if isinstance(column, TextColumn)
        )
        longest = int(self.user_counts.max()) if self.n_users and len(self) else 0
        return DataShape(
            self.n_users,
            self.n_items,
            len(self),
            values(self.item_features),
            values(self.user_features),
            characters,
            longest,
        )

    @cached_property
    def user_counts(self) -> Int64:
        """int64 (n_users,): interactions of each user."""
        return np.bincount(self.users, minlength=self.n_users).astype(np.int64)

    @cached_property
    def item_counts(self) -> Int64:
        """int64 (n_items,): interactions with each item."""
        return np.bincount(self.items, minlength=self.n_items).astype(np.int64)

    @cached_property
    def _row_order(self) -> Int64:
        """Rows by user, then time, then file order."""
        if self.timestamps is None:
            return np.argsort(self.users, kind="stable").astype(np.int64)
        by_time = np.argsort(self.timestamps, kind="stable")
        return by_time[np.argsort(self.users[by_time], kind="stable")].astype(np.int64)

    @cached_property
    def histories(self) -> Histories:
        """Each user's interactions in time order; ties keep file order."""
        rows = self._row_order
        indptr = np.concatenate(([0], np.cumsum(self.user_counts))).astype(np.int64)
        return Histories(
            indptr,
            self.items[rows],
            None if self.ratings is None else self.ratings[rows],
            None if self.weights is None else self.weights[rows],
            None if self.timestamps is None else self.timestamps[rows],
            rows,
        )

    def matrix(self, values: str = "one", min_rating: float | None = None) -> csr_matrix:
        """Users by items, CSR float32 (n_users, n_items), column indices sorted; cached, so do not change it.

        values: "one" (every interaction is 1), "rating", or "weight" (the strength of events; 1 where none is given).
        min_rating: interactions rated lower are left out.
        """
        key = (values, min_rating)
        cache: dict[tuple[str, float | None], csr_matrix] = self.__dict__.setdefault("_matrices", {})
        if key not in cache:
            cache[key] = self._build_matrix(values, min_rating)
        return cache[key]

    def _build_matrix(self, values: str, min_rating: float | None) -> csr_matrix:
        from scipy.sparse import csr_matrix

        if values == "rating":
            if self.ratings is None:
                raise InvalidData("this data has no ratings")
            data = self.ratings
        elif values == "weight" and self.weights is not None:
            data = self.weights
        elif values in ("one", "weight"):
            data = np.ones(len(self), dtype=np.float32)
        else:
            raise InvalidData(f"values is 'one', 'rating' or 'weight', not {values!r}")
        users, items = self.users, self.items
        if min_rating is not None and self.ratings is not None:
            chosen = self.ratings >= min_rating
            data, users, items = data[chosen], users[chosen], items[chosen]
        by_item = np.argsort(items, kind="stable")
        order = by_item[np.argsort(users[by_item], kind="stable")]
        indptr = np.concatenate(([0], np.cumsum(np.bincount(users, minlength=self.n_users))))
        result = csr_matrix(
            (data[order].astype(np.float32), items[order], indptr.astype(np.int64)),
            shape=(self.n_users, self.n_items),
        )
        result.has_sorted_indices = True
        return result

    def subset(self, rows: Int64 | Bool, name: str | None = None) -> Dataset:
        """The interactions named by `rows` (positions, or a mask over them) in the same vocabulary and tables."""
        chosen = np.asarray(rows)
        if chosen.dtype == np.bool_:
            chosen = np.flatnonzero(chosen)

        def pick(array: Any) -> Any:
            return None if array is None else array[chosen]

        return replace(
            self,
            users=self.users[chosen],
            items=self.items[chosen],
            ratings=pick(self.ratings),
            weights=pick(self.weights),
            timestamps=pick(self.timestamps),
            events=pick(self.events),
            name=self.name if name is None else name,
        )

    def hold_out(
        self,
        fraction: float,
        generator: np.random.Generator,
        minimum: int = 2,
        latest: bool = False,
        within_fraction: bool = False,
    ) -> tuple[Dataset, Dataset]:
        """Set aside a share of each user's interactions: (kept, held out), in the same vocabulary.

        fraction: share of each user's interactions, rounded half up, at least 1 and never all of them.
        generator: draws which ones, where `latest` is false, and whose, where `within_fraction` holds some back.
        minimum: users with fewer interactions keep them all.
        latest: take the latest interactions instead of random ones.
        within_fraction: where users have so few interactions that one of each is far more than the fraction of all,
        only some users, drawn by the generator, set any aside (200 at least), so that enough is kept to learn from.
        """
        histories = self.histories
        counts = self.user_counts
        held = np.floor(counts * fraction + 0.5).astype(np.int64)
        held = np.where(counts >= max(minimum, 2), np.clip(held, 1, np.maximum(counts - 1, 0)), 0)
        if within_fraction and held.sum() > _FAR_MORE * fraction * len(self):
            people = generator.permutation(np.flatnonzero(held))
            enough = int(np.searchsorted(np.cumsum(held[people]), fraction * len(self))) + 1
            held[people[max(enough, _FEWEST_HELD_OUT) :]] = 0
        owner = np.repeat(np.arange(self.n_users), counts)
        if latest:
            rank = np.arange(len(self)) - histories.indptr[owner]
        else:
            order = np.lexsort((generator.random(len(self)), owner))
            rank = np.empty(len(self), dtype=np.int64)
            rank[order] = np.arange(len(self)) - histories.indptr[owner]
        mask = np.zeros(len(self), dtype=np.bool_)
        mask[histories.rows] = rank >= (counts - held)[owner]
        return self.subset(~mask), self.subset(mask)

    @cached_property
    def fingerprint(self) -> str:
        """Hexadecimal hash of typed columns in file order, side tables, roles and cleaning; never of file bytes."""
        state: Any = hashlib.blake2b(digest_size=16)

        def add(label: str, payload: bytes | memoryview) -> None:
            state.update(f"\x00{label}\x00".encode())
            state.update(payload)

        def add_array(label: str, array: npt.NDArray[Any] | None) -> None:
            if array is not None:
                data = np.ascontiguousarray(array)
                add(f"{label}:{data.dtype.str}:{len(data)}", data.data if data.size else b"")

        def add_text(label: str, values: Any) -> None:
            joined = "".join(f"{len(value)}:{value}" for value in values)
            add(label, joined.encode("utf-8", "surrogatepass"))

        add("users", self.user_vocabulary.digest.encode())
        add("items", self.item_vocabulary.digest.encode())
        for label in ("users", "items", "ratings", "weights", "timestamps", "events"):
            add_array(label, getattr(self, label))
        add_text("event names", self.event_names)
        add("scale", repr(self.rating_scale and tuple(map(float, self.rating_scale))).encode())
        for prefix, table in (("user", self.user_features), ("item", self.item_features)):
            for name, column in table.columns.items():
                label = f"{prefix}:{name}:{column.role}"
                if isinstance(column, TextColumn):
                    add_text(label, column.values)
                elif isinstance(column, CategoryColumn):
                    add_array(label, column.codes)
                    add_text(label, column.categories)
                elif isinstance(column, TagsColumn):
                    add_array(label + ":indptr", column.indptr)
                    add_array(label, column.indices)
                    add_text(label, column.categories)
                elif isinstance(column, NumericColumn):
                    add_array(label, column.values)
        for key in sorted(self.provenance):
            add_text(f"provenance:{key}", [self.provenance[key]])
        return str(state.hexdigest())
