"""Exchanged data as Surprise takes it, and its answers; shared by its library files, which run beside this one."""

from __future__ import annotations

from typing import Any


def trainset(train: Any) -> Any:
    """All training ratings as Surprise's own structure."""
    import pandas as pd
    from surprise import Dataset, Reader

    frame = pd.DataFrame({"user": train.users, "item": train.items, "rating": train.ratings})
    return Dataset.load_from_df(frame, Reader(rating_scale=(0.5, 5))).build_full_trainset()


def predictions(model: Any, train: Any) -> list[float]:
    """Predicted ratings of the test pairs."""
    return [
        model.predict(int(user), int(item)).est for user, item in zip(train.test_users, train.test_items, strict=True)
    ]
