"""Made interactions of any size: popularity bias, latent tastes that drift, ratings; or an order that is planted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from recsys_desktop.api.dataset import Dataset, RatingScale
from recsys_desktop.api.errors import InvalidParameter
from recsys_desktop.api.features import CategoryColumn, FeatureTable
from recsys_desktop.api.params import Params, param
from recsys_desktop.api.run import RunContext
from recsys_desktop.api.vocabulary import Vocabulary
from recsys_desktop.data.table import check_stop

_BLOCK_ROWS = 1 << 21
_ROUNDS = 6
_MOST_OF_CATALOGUE = 0.5
_DAY = 86_400
_PLANTED_START = 1_262_304_000


class SyntheticParams(Params):
    """What the made data is like."""

    users: int = param(1000, ge=1, label="People", help="How many people there are.")
    items: int = param(500, ge=2, label="Items", help="How many items there are.")
    interactions: int = param(
        20_000, ge=1, label="Interactions", help="How many distinct user-item pairs; at most half of all pairs."
    )
    categories: int = param(12, ge=1, le=1000, label="Categories", help="Each item has one; tastes are about them.")
    popularity_exponent: float = param(
        0.9,
        ge=0,
        le=3,
        label="Popularity bias",
        help="The r-th most popular item is chosen in proportion to r to -this.",
    )
    taste_strength: float = param(
        0.75,
        ge=0,
        le=1,
        label="Taste",
        help="Share of choices that follow a person's taste; the rest follow the crowd.",
    )
    taste_concentration: float = param(
        0.15, gt=0, le=100, label="Breadth of taste", help="Small: people like few categories; large: all alike."
    )
    drift: float = param(
        0.3, ge=0, le=1, label="Drift", help="How far tastes change over time, and how much new items are favoured."
    )
    rating_noise: float = param(0.7, ge=0, le=5, label="Rating noise", help="Standard deviation, in stars.")
    first_time: int = param(1_262_304_000, label="First moment", help="Seconds since 1970 UTC.")
    days: int = param(2000, ge=1, label="Days", help="How long the interactions go on.")


@dataclass(frozen=True)
class World:
    """The people and items behind made data, which a learner should find again.

    tastes, later_tastes: float32 (n_users, n_categories), the chance of choosing each category at the first and the
    last moment. user_bias: float32 (n_users,), in stars. categories: int32 (n_items,). popularity: float64 (n_items,),
    chances that sum to 1. quality: float32 (n_items,), in stars. released: int64 (n_items,), seconds.
    """

    tastes: npt.NDArray[np.float32]
    later_tastes: npt.NDArray[np.float32]
    user_bias: npt.NDArray[np.float32]
    categories: npt.NDArray[np.int32]
    popularity: npt.NDArray[np.float64]
    quality: npt.NDArray[np.float32]
    released: npt.NDArray[np.int64]


@dataclass(frozen=True)
class MadeInteractions:
    """Made interactions, user after user, each in time order.

    users, items: int32 (n,), distinct pairs. ratings: float32 (n,), half stars from .5 to 5. timestamps: int64 (n,).
    affinity: float32 (n,), how well an item fits its person's taste, 0 to 1.
    """

    users: npt.NDArray[np.int32]
    items: npt.NDArray[np.int32]
    ratings: npt.NDArray[np.float32]
    timestamps: npt.NDArray[np.int64]
    affinity: npt.NDArray[np.float32]


def make_world(params: SyntheticParams, seed: int, categories: npt.NDArray[np.int32] | None = None) -> World:
    """Draw people and items. categories: int32 (items,), where they are not to be drawn."""
    generator = np.random.default_rng([seed, 0])
    n_categories = params.categories
    if categories is None:
        sizes = generator.dirichlet(np.full(n_categories, 3.0))
        categories = generator.choice(n_categories, params.items, p=sizes).astype(np.int32)
    ranks = generator.permutation(params.items) + 1.0
    popularity = np.asarray(ranks**-params.popularity_exponent, dtype=np.float64)
    popularity /= popularity.sum()
    share = np.bincount(categories, weights=popularity, minlength=n_categories)
    prior = np.maximum(share * n_categories, 0.05) * params.taste_concentration
    tastes = _dirichlet(generator, prior, params.users)
    moved = _dirichlet(generator, prior, params.users)
    later = ((1 - params.drift) * tastes + params.drift * moved).astype(np.float32)
    first, length = params.first_time, params.days * _DAY
    early = generator.random(params.items) < 0.4
    released = np.where(early, first, first + (generator.random(params.items) * 0.9 * length)).astype(np.int64)
    if params.drift == 0:
        released[:] = first
    return World(
        tastes,
        later,
        generator.normal(0, 0.35, params.users).astype(np.float32),
        categories,
        popularity,
        generator.normal(0, 0.4, params.items).astype(np.float32),
        released,
    )


def _dirichlet(generator: np.random.Generator, prior: npt.NDArray[np.float64], size: int) -> npt.NDArray[np.float32]:
    draws = generator.standard_gamma(prior, (size, len(prior))).astype(np.float32) + np.float32(1e-6)
    return np.asarray(draws / draws.sum(axis=1, keepdims=True), dtype=np.float32)


def make_interactions(
    params: SyntheticParams, seed: int, run: RunContext | None = None, world: World | None = None
) -> MadeInteractions:
    """Draw interactions of a world; the same parameters and seed give the same ones.

    Raises
    ------
    InvalidParameter: more than half of all pairs are asked for. ReadingStopped: the run was asked to stop.
    """
    blocks = list(interaction_blocks(params, seed, run, world))
    return MadeInteractions(
        np.concatenate([block.users for block in blocks]),
        np.concatenate([block.items for block in blocks]),
        np.concatenate([block.ratings for block in blocks]),
        np.concatenate([block.timestamps for block in blocks]),
        np.concatenate([block.affinity for block in blocks]),
    )


def interaction_blocks(
    params: SyntheticParams, seed: int, run: RunContext | None = None, world: World | None = None
) -> Iterator[MadeInteractions]:
    """As `make_interactions`, in blocks of about two million, so that any size fits into memory."""
    run = run or RunContext()
    counts = _activity(params, np.random.default_rng([seed, 1]))
    world = world or make_world(params, seed)
    shelves = _Shelves.of(world)
    block_of = (np.cumsum(counts) - 1) // _BLOCK_ROWS
    done = 0
    for number in range(int(block_of[-1]) + 1):
        check_stop(run)
        people = np.flatnonzero(block_of == number).astype(np.int32)
        generator = np.random.default_rng([seed, 2, number])
        block = _block(params, world, shelves, people, counts[people], generator)
        done += len(block.users)
        run.progress(done / params.interactions, f"Made {done:,} interactions")
        yield block


def _activity(params: SyntheticParams, generator: np.random.Generator) -> npt.NDArray[np.int64]:
    """Interactions of each person: log-normal, at least one, at most half of the catalogue, with the exact sum."""
    most = max(1, int(params.items * _MOST_OF_CATALOGUE))
    if not params.users <= params.interactions <= params.users * most:
        raise InvalidParameter(
            "interactions",
            f"{params.interactions:,} is not between one a person ({params.users:,}) and half of all pairs "
            f"({params.users * most:,})",
        )
    weights = generator.lognormal(0, 1, params.users)
    counts = np.clip(np.floor(weights / weights.sum() * params.interactions), 1, most).astype(np.int64)
    while (missing := params.interactions - int(counts.sum())) != 0:
        free = np.flatnonzero(counts < most) if missing > 0 else np.flatnonzero(counts > 1)
        chosen = generator.permutation(free)[: abs(missing)]
        counts[chosen] += 1 if missing > 0 else -1
    return np.asarray(counts, dtype=np.int64)


@dataclass(frozen=True)
class _Shelves:
    """Items sorted so that a draw is a binary search: by category and popularity, by popularity alone, by release."""

    by_category: npt.NDArray[np.int32]
    edges: npt.NDArray[np.float64]
    everything: npt.NDArray[np.float64]
    by_release: npt.NDArray[np.int32]
    release_times: npt.NDArray[np.int64]
    filled: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, world: World) -> _Shelves:
        n_categories = world.tastes.shape[1]
        by_category = np.argsort(world.categories, kind="stable").astype(np.int32)
        sorted_categories = world.categories[by_category]
        weights = world.popularity[by_category]
        totals = np.bincount(sorted_categories, weights=weights, minlength=n_categories)
        within = np.cumsum(weights / np.maximum(totals[sorted_categories], 1e-300))
        by_release = np.argsort(world.released, kind="stable").astype(np.int32)
        filled = np.bincount(world.categories, minlength=n_categories) > 0
        return cls(by_category, within, np.cumsum(world.popularity), by_release, world.released[by_release], filled)

    def of_category(self, categories: npt.NDArray[np.int64], draws: npt.NDArray[np.float64]) -> npt.NDArray[np.int32]:
        """An item of each category by popularity; `draws` are uniform in 0..1."""
        before = np.cumsum(self.filled)[categories] - 1
        place = np.searchsorted(self.edges, before + draws, side="right")
        return np.asarray(self.by_category[np.minimum(place, len(self.by_category) - 1)], dtype=np.int32)

    def popular(self, draws: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
        """An item by popularity."""
        places = np.searchsorted(self.everything, draws, side="right")
        return np.asarray(np.minimum(places, len(self.everything) - 1), dtype=np.int64)

    def recent(self, moments: npt.NDArray[np.int64], draws: npt.NDArray[np.float64]) -> npt.NDArray[np.int32]:
        """One of the items released last before each moment, newer ones likelier."""
        known = np.maximum(np.searchsorted(self.release_times, moments, side="right"), 1)
        back = (draws**3 * known).astype(np.int64)
        return self.by_release[known - 1 - back]


def _block(
    params: SyntheticParams,
    world: World,
    shelves: _Shelves,
    people: npt.NDArray[np.int32],
    counts: npt.NDArray[np.int64],
    generator: np.random.Generator,
) -> MadeInteractions:
    users = np.repeat(people, counts)
    length = params.days * _DAY
    begins = params.first_time + (generator.random(len(people)) ** 0.7 * 0.9 * length).astype(np.int64)
    remaining = params.first_time + length - begins
    stay = np.maximum(remaining * generator.random(len(people)), _DAY)
    times = np.repeat(begins, counts) + (np.repeat(stay, counts) * generator.random(len(users))).astype(np.int64)
    items = np.full(len(users), -1, dtype=np.int32)
    open_rows = np.arange(len(users))
    for _ in range(_ROUNDS):
        items[open_rows] = _choices(params, world, shelves, users[open_rows], times[open_rows], generator)
        open_rows = _repeats(users, items, params.items)
        if not len(open_rows):
            break
    _fill(users, items, open_rows, params.items, generator)
    order = np.lexsort((times, users))
    users, items, times = users[order], items[order], times[order]
    affinity = _affinity(params, world, users, items, times)
    stars = (
        3.0
        + world.user_bias[users]
        + world.quality[items]
        + 1.4 * affinity
        + generator.normal(0, params.rating_noise, len(users))
    )
    ratings = np.clip(np.round(stars * 2) / 2, 0.5, 5.0).astype(np.float32)
    return MadeInteractions(users, items, ratings, times, affinity)


def _phase(params: SyntheticParams, times: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    return ((times - params.first_time) / (params.days * _DAY)).astype(np.float32)


def _choices(
    params: SyntheticParams,
    world: World,
    shelves: _Shelves,
    users: npt.NDArray[np.int32],
    times: npt.NDArray[np.int64],
    generator: np.random.Generator,
) -> npt.NDArray[np.int32]:
    """One item for each row: by taste, or by popularity, or because it is new."""
    n = len(users)
    later = generator.random(n) < _phase(params, times)
    categories = np.empty(n, dtype=np.int64)
    for begin in range(0, n, 1 << 18):
        part = slice(begin, begin + (1 << 18))
        chances = np.where(later[part, None], world.later_tastes[users[part]], world.tastes[users[part]])
        chances = np.cumsum(np.where(shelves.filled, chances, 0), axis=1)
        draws = generator.random((len(chances), 1)) * chances[:, -1:]
        categories[part] = np.minimum((draws >= chances).sum(axis=1), len(shelves.filled) - 1)
    items = shelves.of_category(categories, generator.random(n))
    crowd = generator.random(n) >= params.taste_strength
    items[crowd] = shelves.popular(generator.random(int(crowd.sum())))
    unreleased = world.released[items] > times
    unreleased |= generator.random(n) < 0.2 * params.drift
    items[unreleased] = shelves.recent(times[unreleased], generator.random(int(unreleased.sum())))
    return items


def _repeats(users: npt.NDArray[np.int32], items: npt.NDArray[np.int32], n_items: int) -> npt.NDArray[np.int64]:
    """Rows whose pair already stands in an earlier row."""
    keys = users.astype(np.int64) * n_items + items
    order = np.argsort(keys, kind="stable")
    return np.sort(order[1:][np.diff(keys[order]) == 0])


def _fill(
    users: npt.NDArray[np.int32],
    items: npt.NDArray[np.int32],
    rows: npt.NDArray[np.int64],
    n_items: int,
    generator: np.random.Generator,
) -> None:
    """Give the rows that chance left with a repeated pair an item that their person does not have yet."""
    if not len(rows):
        return
    needing, needed = np.unique(users[rows], return_counts=True)
    begins = np.searchsorted(users, needing)
    ends = np.searchsorted(users, needing, side="right")
    row_begins = np.searchsorted(users[rows], needing)
    for begin, end, row_begin, count in zip(begins, ends, row_begins, needed, strict=True):
        unused = np.ones(n_items, dtype=np.bool_)
        unused[items[begin:end]] = False
        free = np.flatnonzero(unused)
        items[rows[row_begin : row_begin + count]] = generator.choice(free, count, replace=False)


def _affinity(
    params: SyntheticParams,
    world: World,
    users: npt.NDArray[np.int32],
    items: npt.NDArray[np.int32],
    times: npt.NDArray[np.int64],
) -> npt.NDArray[np.float32]:
    phase = _phase(params, times)
    categories = world.categories[items]
    chance = (1 - phase) * world.tastes[users, categories] + phase * world.later_tastes[users, categories]
    return np.sqrt(chance).astype(np.float32)


def make_dataset(params: SyntheticParams, seed: int = 0, run: RunContext | None = None) -> Dataset:
    """Made data as a Dataset with half-star ratings, times and item categories."""
    world = make_world(params, seed)
    made = make_interactions(params, seed, run, world)
    categories = tuple(f"category {number + 1}" for number in range(params.categories))
    return Dataset(
        Vocabulary([f"user {number + 1}" for number in range(params.users)]),
        Vocabulary([f"item {number + 1}" for number in range(params.items)]),
        made.users,
        made.items,
        made.ratings,
        timestamps=made.timestamps,
        item_features=FeatureTable(params.items, {"category": CategoryColumn(world.categories, categories)}),
        rating_scale=RatingScale(0.5, 5.0, 0.5),
        provenance={"made": f"seed {seed}, {params.to_dict()}"},
        name="Synthetic",
    )


def write_ratings_csv(path: Path, params: SyntheticParams, seed: int = 0, run: RunContext | None = None) -> None:
    """Write made ratings as userId,movieId,rating,timestamp, the way MovieLens does; any size, block by block."""
    import pyarrow as pa
    from pyarrow import csv

    names = ("userId", "movieId", "rating", "timestamp")
    with path.open("wb") as file:
        file.write((",".join(names) + "\n").encode())
        for block in interaction_blocks(params, seed, run):
            stars = pa.array([f"{half / 2:.1f}" for half in range(11)])
            ratings = stars.take(pa.array((block.ratings * 2).astype(np.int8)))
            rows = pa.table([block.users + 1, block.items + 1, ratings, block.timestamps], names=list(names))
            csv.write_csv(rows, file, csv.WriteOptions(include_header=False, quoting_style="none"))


class PlantedOrderParams(Params):
    """What data with a planted order is like."""

    users: int = param(1000, ge=1, label="People", help="How many people there are.")
    clusters: int = param(20, ge=1, label="Clusters", help="How many groups the items form; a person visits each once.")
    cluster_size: int = param(5, ge=3, le=97, label="Items a cluster", help="How many items a group has; a prime.")
    visits: int = param(8, ge=1, label="Visits", help="How many clusters a person visits, one after the other.")
    visit_length: int = param(3, ge=1, label="Items a visit", help="How many items of a cluster a visit takes.")


def make_planted_order(params: PlantedOrderParams, seed: int = 0) -> Dataset:
    """Data in which the order of the last two items says which one comes next, and nothing else does.

    The items of a cluster have hidden places 0 … p - 1, p prime. A visit begins at any place a with any step s from 1
    to p - 1, each equally likely, and goes on to a + s, a + 2s, … modulo p: from its third item on, each follows from
    the two before it. Within a cluster every item is as popular as any other, and every pair of items is as often in
    the same history as any other pair, so that popularity and co-occurrence tell the cluster and no more.

    Raises
    ------
    InvalidParameter: the size of a cluster is no prime, or a visit or a person would need more items than there are.
    """
    size = params.cluster_size
    if any(size % divisor == 0 for divisor in range(2, size)):
        raise InvalidParameter("cluster_size", f"{size} is no prime, so that some steps would come back too early")
    if params.visit_length > size:
        raise InvalidParameter("visit_length", f"{params.visit_length} is more than the {size} items of a cluster")
    if params.visits > params.clusters:
        raise InvalidParameter("visits", f"{params.visits} is more than the {params.clusters} clusters there are")
    generator = np.random.default_rng([seed, 3])
    clusters = np.argsort(generator.random((params.users, params.clusters)), axis=1)[:, : params.visits, None]
    begins = generator.integers(0, size, (params.users, params.visits, 1))
    steps = generator.integers(1, size, (params.users, params.visits, 1))
    places = (begins + steps * np.arange(params.visit_length)) % size
    codes = generator.permutation(params.clusters * size).astype(np.int32)
    items = codes[clusters * size + places].reshape(params.users, -1)
    moments = _PLANTED_START + _DAY * generator.integers(0, 1000, (params.users, 1)) + 60 * np.arange(items.shape[1])
    return Dataset(
        Vocabulary([f"user {number + 1}" for number in range(params.users)]),
        Vocabulary([f"item {number + 1}" for number in range(params.clusters * size)]),
        np.repeat(np.arange(params.users, dtype=np.int32), items.shape[1]),
        items.ravel(),
        timestamps=moments.ravel(),
        provenance={"made": f"planted order, seed {seed}, {params.to_dict()}"},
        name="Planted order",
    )
