"""irspack's RP3β."""

from typing import Any

OURS = "rp3beta"
PACKAGES = ("irspack",)


def fit(train: Any, threads: int, seed: int) -> Any:
    """With the parameters of ours."""
    from irspack import RP3betaRecommender

    return RP3betaRecommender(train.matrix(), alpha=0.4, beta=0.3, top_k=200, n_threads=threads).learn()


def answers(model: Any, train: Any) -> Any:
    """Scores of everybody for everything."""
    import numpy as np

    return model.get_score(np.arange(train.n_users))
