"""Layers over every pair of a person and an item, by NumPy: for scoring all items without torch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from recsys_desktop.api.dataset import Float32

_NUMBERS_A_BLOCK = 2_000_000


def add_tower(
    scores: Float32, from_people: Float32, from_items: Float32, layers: Sequence[tuple[Float32, Float32]]
) -> None:
    """Add what layers make of each pair to its score, a few people at a time so that layers stay in the cache.

    a_1 = relu(p + q + c_1), a_{l+1} = relu(W_l a_l + c_{l+1}); the last W a is the answer.

    Parameters
    ----------
    scores: float32 (n, m), changed in place.
    from_people, from_items: float32 (n, width) and (m, width), what each adds to the first layer's sums, p and q.
    layers: for each its offset c (width,) and the kernel W (next width, width) that follows; the last has one row.
    """
    step = max(1, _NUMBERS_A_BLOCK // max(from_items.size, 1))
    for begin in range(0, len(from_people), step):
        values = from_people[begin : begin + step, None] + from_items
        for offset, kernel in layers:
            values += offset
            np.maximum(values, 0, out=values)
            values = values @ kernel.T
        scores[begin : begin + step] += values[..., 0]
