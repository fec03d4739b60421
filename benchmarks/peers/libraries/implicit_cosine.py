"""implicit's item neighbours by cosine."""

from typing import Any

OURS = "item-knn"
OUR_PARAMS = {"weighting": "none", "asymmetry": 0.5, "shrinkage": 0.0, "neighbours": 50}
PACKAGES = ("implicit",)


def fit(train: Any, threads: int, seed: int) -> Any:
    """K = 50, the best of a search on this data; the same as ours here."""
    from implicit.nearest_neighbours import CosineRecommender

    model = CosineRecommender(K=50, num_threads=threads)
    model.fit(train.matrix(), show_progress=False)
    return model


def answers(model: Any, train: Any) -> Any:
    """Scores of everybody for everything: the sum of similarities that it ranks by."""
    return (train.matrix() @ model.similarity).toarray()
