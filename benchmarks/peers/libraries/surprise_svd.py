"""Surprise's SVD."""

from typing import Any

from surprise_exchange import predictions, trainset

OURS = "svd"
PACKAGES = ("scikit-surprise",)


def fit(train: Any, threads: int, seed: int) -> Any:
    """Its default parameters: 100 factors, 20 epochs."""
    from surprise import SVD

    model = SVD(random_state=seed)
    model.fit(trainset(train))
    return model


def answers(model: Any, train: Any) -> Any:
    """Predicted ratings of the test pairs."""
    return predictions(model, train)
