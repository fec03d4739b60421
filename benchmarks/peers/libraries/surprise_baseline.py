"""Surprise's BaselineOnly."""

from typing import Any

from surprise_exchange import predictions, trainset

OURS = "bias"
PACKAGES = ("scikit-surprise",)


def fit(train: Any, threads: int, seed: int) -> Any:
    """Its default parameters."""
    from surprise import BaselineOnly

    model = BaselineOnly(verbose=False)
    model.fit(trainset(train))
    return model


def answers(model: Any, train: Any) -> Any:
    """Predicted ratings of the test pairs."""
    return predictions(model, train)
