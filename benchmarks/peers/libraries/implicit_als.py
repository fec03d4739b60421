"""implicit's alternating least squares."""

from typing import Any

OURS = "ials"
OUR_PARAMS = {"factors": 64, "iterations": 15}
PACKAGES = ("implicit",)


def fit(train: Any, threads: int, seed: int) -> Any:
    """64 factors and 15 iterations, as ours here; regularisation 20 and α = 2, the best of a search on this data."""
    from implicit.cpu.als import AlternatingLeastSquares

    model = AlternatingLeastSquares(
        factors=64, regularization=20.0, alpha=2.0, iterations=15, num_threads=threads, random_state=seed
    )
    model.fit(train.matrix(), show_progress=False)
    return model


def answers(model: Any, train: Any) -> Any:
    """Scores of everybody for everything."""
    return model.user_factors @ model.item_factors.T
