"""Explanation: why an item got its score, in numbers that can be checked."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class Source(StrEnum):
    """What a contribution comes from."""

    HISTORY = "history"
    FEATURE = "feature"
    NEIGHBOUR = "neighbour"
    FACTOR = "factor"
    MODEL = "model"
    BIAS = "bias"


class Contribution(NamedTuple):
    """One summand of a score.

    kind: what it comes from. value: in the score's own unit, positive speaks for the item. code: the item (HISTORY) or
    user (NEIGHBOUR) code, else -1. label: a name for everything else (a feature, a factor, a member model, a bias);
    of a HISTORY item, what it has in common with the explained one, parts joined by ", ", where the model can tell.
    """

    kind: Source
    value: float
    code: int = -1
    label: str = ""


@dataclass(frozen=True)
class Counterfactual:
    """What would have to be different: without `removed` the list would begin with `instead`; verified by re-scoring.

    removed: item codes of history entries. instead: the item code that would be first. verified: re-scoring
    confirmed it.
    """

    removed: tuple[int, ...]
    instead: int
    verified: bool = False


@dataclass(frozen=True)
class Explanation:
    """Why one item got its score for one person.

    item: code. score: as `Recommender.score` gives it. base: the part that no contribution claims. contributions:
    largest magnitude first. residual: score - base - sum of contributions; 0 (to rounding) where `additive`.
    additive: the parts add up to the score by construction. faithful_to_removal: taking a history entry away changes
    the score by its contribution. method: how the numbers came about, in a few words.
    """

    item: int
    score: float
    base: float
    contributions: tuple[Contribution, ...]
    residual: float
    additive: bool
    faithful_to_removal: bool
    method: str
    counterfactual: Counterfactual | None = None

    @classmethod
    def of(
        cls,
        item: int,
        score: float,
        contributions: list[Contribution],
        *,
        base: float = 0.0,
        additive: bool,
        faithful_to_removal: bool,
        method: str,
    ) -> Explanation:
        """Order the contributions by magnitude and state the residual; zero contributions are left out."""
        kept = sorted((part for part in contributions if part.value != 0), key=lambda part: -abs(part.value))
        residual = float(score) - base - sum(part.value for part in kept)
        return cls(int(item), float(score), float(base), tuple(kept), residual, additive, faithful_to_removal, method)
