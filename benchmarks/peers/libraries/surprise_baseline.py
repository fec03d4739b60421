"""Surprise's BaselineOnly."""

from typing import Any

OURS = "bias"
PACKAGES = ("scikit-surprise",)


def fit(train: Any, threads: int, seed: int) -> Any:
    """Its default parameters."""
    from surprise import BaselineOnly

    model = BaselineOnly(verbose=False)
    model.fit(_trainset(train))
    return model


def _trainset(train: Any) -> Any:
    import pandas as pd
    from surprise import Dataset, Reader

    frame = pd.DataFrame({"user": train.users, "item": train.items, "rating": train.ratings})
    return Dataset.load_from_df(frame, Reader(rating_scale=(0.5, 5))).build_full_trainset()


def answers(model: Any, train: Any) -> Any:
    """Predicted ratings of the test pairs."""
    return [
        model.predict(int(user), int(item)).est for user, item in zip(train.test_users, train.test_items, strict=True)
    ]
