"""Random: a shuffled list for every history."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from recsys_baselines.plugin import RANDOM
from recsys_desktop.api import (
    Contribution,
    Dataset,
    DataShape,
    Explanation,
    Forecast,
    Query,
    Recommender,
    RunContext,
    Source,
)
from recsys_desktop.api.dataset import Float32, Int32


class RandomOrder(Recommender):
    """Scores are uniform in [0, 1), drawn by hashing the seed, the items of the history, and the item (splitmix64).

    The same history always gets the same list, whoever has it; another history, or another seed, gets another.

    Fitted: `seed_`, a whole number below 2⁶³.
    """

    spec = RANDOM

    seed_: int

    def estimate(self, shape: DataShape) -> Forecast:
        """Next to nothing."""
        return Forecast(1_000_000 + 8 * shape.n_interactions + 16 * (shape.n_users + shape.n_items), 0.01)

    def _fit(self, train: Dataset, run: RunContext) -> None:
        self.seed_ = int(run.generator("order").integers(2**63))

    def _score(self, query: Query, items: Int32 | None) -> npt.NDArray[Any]:
        wanted = np.arange(self.n_items) if items is None else items
        of_entries = _mixed(query.items.astype(np.uint64))
        people = np.full(len(query), self.seed_, dtype=np.uint64)
        np.add.at(people, query.owner, of_entries)
        bits = _mixed(_mixed(people)[:, None] + wanted.astype(np.uint64))
        return (bits >> np.uint64(40)).astype(np.float32) / np.float32(2**24)

    def _explain(self, query: Query, items: Int32, scores: Float32) -> list[Explanation]:
        return [
            Explanation.of(
                int(item),
                float(score),
                [Contribution(Source.BIAS, float(score), label="chance")],
                additive=True,
                faithful_to_removal=False,
                method="drawn at random",
            )
            for item, score in zip(items, scores, strict=True)
        ]


def _mixed(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """splitmix64 (Steele et al., Fast Splittable Pseudorandom Number Generators, OOPSLA 2014)."""
    mixed = values + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
