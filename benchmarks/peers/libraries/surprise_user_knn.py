"""Surprise's KNNBaseline over users with Pearson-baseline similarities."""

from typing import Any

from surprise_exchange import predictions, trainset

OURS = "user-knn-rating"
PACKAGES = ("scikit-surprise",)


def fit(train: Any, threads: int, seed: int) -> Any:
    """Its default parameters."""
    from surprise import KNNBaseline

    options = {"name": "pearson_baseline", "user_based": True}
    model = KNNBaseline(sim_options=options, verbose=False)
    model.fit(trainset(train))
    return model


def answers(model: Any, train: Any) -> Any:
    """Predicted ratings of the test pairs."""
    return predictions(model, train)
