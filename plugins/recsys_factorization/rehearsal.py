"""A fit to very little data, by which every kernel that a fit calls gets compiled or loaded."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from recsys_desktop.api import Dataset, Query, RatingScale, Recommender, RunContext, Vocabulary
from recsys_desktop.toolkit.parallel import rehearse

_PEOPLE, _ITEMS, _EACH = 40, 12, 5
_LEAST: dict[str, Any] = {
    "factors": 2,
    "epochs": 2,
    "iterations": 1,
    "sweeps": 2,
    "kept_draws": 1,
    "min_rating": None,
}


def compile_kernels(model: Recommender, run: RunContext) -> None:
    """Show a step while the kernels of a fit are compiled or loaded, by a fit of the same algorithm and an answer.

    There are as many people as a choice on held-out data asks for, so that its kernels are called as well.
    """

    def work(silent: RunContext) -> None:
        given = {name: value for name, value in _LEAST.items() if name in type(model.params).model_fields}
        fitted = type(model)(model.params.model_copy(update=given)).fit(_little_data(), silent)
        fitted.score(Query.of_users(_little_data(), [0]).as_strangers())

    rehearse(run, model.spec.id, work)


@cache
def _little_data() -> Dataset:
    users = np.repeat(np.arange(_PEOPLE, dtype=np.int32), _EACH)
    places = np.tile(np.arange(_EACH, dtype=np.int32), _PEOPLE)
    items = (users + places * (1 + users % 2)) % _ITEMS
    return Dataset(
        Vocabulary(f"u{code}" for code in range(_PEOPLE)),
        Vocabulary(f"i{code}" for code in range(_ITEMS)),
        users,
        items,
        (1 + (users + items) % 5).astype(np.float32),
        timestamps=1_500_000_000 + 86_400 * np.arange(len(users)),
        rating_scale=RatingScale(1, 5),
    )
