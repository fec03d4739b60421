"""implicit's Bayesian personalised ranking."""

from typing import Any

OURS = "bpr"
PACKAGES = ("implicit",)


def fit(train: Any, threads: int, seed: int) -> Any:
    """64 factors, as ours; its default learning rate, regularisation and 100 iterations."""
    from implicit.cpu.bpr import BayesianPersonalizedRanking

    model = BayesianPersonalizedRanking(factors=64, num_threads=threads, random_state=seed)
    model.fit(train.matrix(), show_progress=False)
    return model


def answers(model: Any, train: Any) -> Any:
    """Scores of everybody for everything."""
    return model.user_factors @ model.item_factors.T
