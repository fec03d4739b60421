"""Surprise's KNNBaseline over items with Pearson-baseline similarities."""

from typing import Any

OURS = "item-knn-rating"
PACKAGES = ("scikit-surprise",)


def fit(train: Any, threads: int, seed: int) -> Any:
    """Its default parameters."""
    from surprise import KNNBaseline

    options = {"name": "pearson_baseline", "user_based": False}
    model = KNNBaseline(sim_options=options, verbose=False)
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
