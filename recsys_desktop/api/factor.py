"""Factor: what one dimension of a model stands for, in words that a person can read."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Factor:
    """One readable dimension of a factorisation.

    name: suggested from what its items have in common, no two alike in a model. items: codes of the items that stand
    for it most, best first; weights: how far each of them does, positive, descending. categories: the categories and
    tags that its items have more often than others do; lifts: by how much more often, a difference of shares, in the
    same order. share: its part of what all factors together add to the scores of training, 0 to 1.
    """

    name: str
    items: tuple[int, ...]
    weights: tuple[float, ...]
    categories: tuple[str, ...]
    lifts: tuple[float, ...]
    share: float
