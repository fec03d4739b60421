"""Surprise's NMF."""

from typing import Any

from surprise_exchange import predictions, trainset

OURS = "nmf"
PACKAGES = ("scikit-surprise",)


def fit(train: Any, threads: int, seed: int) -> Any:
    """Its default parameters: 15 factors, 50 epochs."""
    from surprise import NMF

    model = NMF(random_state=seed)
    model.fit(trainset(train))
    return model


def answers(model: Any, train: Any) -> Any:
    """Predicted ratings of the test pairs."""
    return predictions(model, train)
