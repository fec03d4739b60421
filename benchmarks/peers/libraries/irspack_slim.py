"""irspack's SLIM."""

from typing import Any

OURS = "slim"
PACKAGES = ("irspack",)


def fit(train: Any, threads: int, seed: int) -> Any:
    """α = 0.1, share of the absolute penalty 0.05: the best of a search on this data."""
    from irspack import SLIMRecommender

    return SLIMRecommender(train.matrix(), alpha=0.1, l1_ratio=0.05, n_threads=threads).learn()


def answers(model: Any, train: Any) -> Any:
    """Scores of everybody for everything."""
    import numpy as np

    return model.get_score(np.arange(train.n_users))
