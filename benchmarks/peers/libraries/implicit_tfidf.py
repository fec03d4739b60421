"""implicit's item neighbours with TF-IDF weights, as many neighbours as ours keeps."""

from typing import Any

OURS = "item-knn"
PACKAGES = ("implicit",)


def fit(train: Any, threads: int, seed: int) -> Any:
    """K = 200."""
    from implicit.nearest_neighbours import TFIDFRecommender

    model = TFIDFRecommender(K=200, num_threads=threads)
    model.fit(train.matrix(), show_progress=False)
    return model


def answers(model: Any, train: Any) -> Any:
    """Scores of everybody for everything: the sum of similarities that it ranks by."""
    return (train.matrix() @ model.similarity).toarray()
