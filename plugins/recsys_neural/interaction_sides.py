"""The sides of an interaction as bags of features: people, items and moments, encoded once for all mini-batches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from recsys_desktop.api import FeatureTable
from recsys_desktop.api.dataset import Bool, Int64
from recsys_desktop.toolkit.features import FieldEncoder
from recsys_desktop.toolkit.products import SparseRows

HOURS, DAYS = 24, 7
_DAY_NAMES = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_DAY_OF_EPOCH = 3
"""1970-01-01 was a Thursday."""


@dataclass(frozen=True, eq=False)
class Side:
    """One side of interactions: n entities, each with one bag of weighted features for each of F fields.

    bags: SparseRows (n * F, n_features), those of entity e are the rows e * F to e * F + F - 1. fields: their names.
    names: what each feature from `first_named` on is called; the ones before are ids.
    """

    bags: SparseRows
    fields: list[str]
    names: list[str]
    first_named: int

    @property
    def n_entities(self) -> int:
        """How many people, items or moments."""
        return self.bags.n_rows // len(self.fields)

    @property
    def n_features(self) -> int:
        """How many features, ids among them."""
        return self.first_named + len(self.names)

    def take(self, entities: npt.NDArray[Any]) -> SparseRows:
        """The bags of some entities (int (m,)), in this order: (m * F, n_features)."""
        width = len(self.fields)
        rows = (entities.astype(np.int64)[:, None] * width + np.arange(width)).ravel()
        return self.bags.take(rows)

    def has_features(self) -> Bool:
        """bool (n,): of whom or what anything is known, an id or a value."""
        known: Bool = np.diff(self.bags.indptr[:: len(self.fields)]) > 0
        return known

    def name(self, feature: int) -> str:
        """What a feature is called for a person; "" for an id."""
        return self.names[feature - self.first_named] if feature >= self.first_named else ""

    def to_state(self) -> dict[str, Any]:
        """As plain values and arrays."""
        indptr, features, values = self.bags
        return {
            "indptr": indptr,
            "features": features,
            "values": values,
            "fields": self.fields,
            "names": self.names,
            "first_named": self.first_named,
        }

    @classmethod
    def of_state(cls, state: dict[str, Any]) -> Side:
        """What `to_state` gave."""
        bags = SparseRows(state["indptr"], state["features"], state["values"])
        return cls(bags, state["fields"], state["names"], state["first_named"])


def entities_with_features(known: Bool, table: FeatureTable, encoder: FieldEncoder, what: str) -> Side:
    """People or items: a field for the id of those that are `known` (bool (n,)), and one for each encoded column."""
    size = len(known)
    id_indptr = np.concatenate(([0], np.cumsum(known))).astype(np.int64)
    blocks = [SparseRows(id_indptr, np.flatnonzero(known).astype(np.int32), np.ones(int(known.sum()), np.float32))]
    names: list[str] = []
    for field, rows in zip(encoder.fields, encoder.encode(table), strict=True):
        block = SparseRows.of(rows)
        blocks.append(block._replace(indices=block.indices + np.int32(size + len(names))))
        names += [field.name(feature) for feature in range(field.width)]
    return Side(_interleaved(blocks), [what, *(field.column for field in encoder.fields)], names, size)


def moments(timestamps: Int64) -> Side:
    """Every hour of the week (in UTC), as an hour of the day and a day of the week, and last a moment not known.

    Of the latter every hour and day is as likely as it is among `timestamps` (int64 (n,), seconds).
    """
    codes = moment_codes(timestamps)
    hours = np.tile(np.arange(HOURS), DAYS)
    days = np.repeat(np.arange(DAYS), HOURS)
    blocks = []
    for first, of_moment, count in ((0, hours, HOURS), (HOURS, days, DAYS)):
        shares = np.bincount(of_moment[codes], minlength=count) / max(len(codes), 1)
        there = np.flatnonzero(shares)
        blocks.append(
            SparseRows(
                np.append(np.arange(HOURS * DAYS + 1), HOURS * DAYS + len(there)).astype(np.int64),
                (first + np.concatenate((of_moment, there))).astype(np.int32),
                np.concatenate((np.ones(HOURS * DAYS), shares[there])).astype(np.float32),
            )
        )
    names = [f"between {hour}:00 and {hour + 1}:00 UTC" for hour in range(HOURS)]
    return Side(_interleaved(blocks), ["hour", "day"], [*names, *(f"on a {name}" for name in _DAY_NAMES)], 0)


def moment_codes(timestamps: Int64) -> Int64:
    """The code of each moment (int64 (n,), seconds since 1970-01-01 UTC) among `moments`: day * 24 + hour."""
    days = (timestamps // 86_400 + _DAY_OF_EPOCH) % DAYS
    codes: Int64 = days * HOURS + timestamps // 3600 % HOURS
    return codes


UNKNOWN_MOMENT = HOURS * DAYS


def _interleaved(blocks: list[SparseRows]) -> SparseRows:
    """Blocks of n rows each as one of n * len(blocks): the first row of every block, then the second, and so on."""
    starts = np.cumsum([0, *(len(block.indices) for block in blocks)])
    indptr = np.concatenate(
        [[0], *(start + block.indptr[1:] for start, block in zip(starts[:-1], blocks, strict=True))]
    )
    together = SparseRows(
        indptr.astype(np.int64),
        np.concatenate([block.indices for block in blocks]),
        np.concatenate([block.data for block in blocks]),
    )
    order = np.arange(len(blocks) * blocks[0].n_rows).reshape(len(blocks), -1).T.ravel()
    return together.take(order.astype(np.int64))
