"""Chosen together: recommends what the same people chose."""

import numpy as np

from recsys_desktop.api import (
    AlgorithmSpec,
    Capabilities,
    Contribution,
    Explanation,
    Family,
    Forecast,
    Params,
    Recommender,
    Serves,
    Source,
    TuningRange,
    hookimpl,
    param,
)


class TogetherParams(Params):
    damping: float = param(
        1.0,
        help="Raise it to trust items that few people chose less.",
        unit="people",
        ge=0,
        le=1000,
        tune=TuningRange(0, 50),
    )


TOGETHER = AlgorithmSpec(
    id="together",
    name="Chosen together",
    family=Family.NEIGHBOURS,
    summary="Recommends what the people who chose the same items chose as well.",
    implementation=f"{__name__}:Together",
    params=TogetherParams,
    capabilities=Capabilities(serves=Serves.HISTORY, explains=True, additive=True, faithful_to_removal=True),
)


class Together(Recommender):
    spec = TOGETHER

    def estimate(self, shape):
        pairs = min(shape.n_items**2, shape.n_interactions * max(shape.longest_history, 1))
        return Forecast(memory_bytes=34 * pairs + 60 * shape.n_interactions, seconds=pairs * 1e-8)

    def _fit(self, train, run):
        chosen = train.matrix()  # CSR, users by items, every interaction is 1
        together = (chosen.T @ chosen).tocsr()
        together.setdiag(0)
        together.eliminate_zeros()
        share = 1 / (train.item_counts + self.params.damping)
        self.weights_ = together.multiply(share[:, None]).tocsr().astype(np.float32)

    def _score(self, query, items):
        scores = (query.matrix(self.n_items) @ self.weights_).toarray()
        return scores if items is None else scores[:, items]

    def _explain(self, query, items, scores):
        history = np.unique(query.items)
        parts = self.weights_[history][:, items].toarray()
        return [
            Explanation.of(
                item,
                score,
                [
                    Contribution(Source.HISTORY, float(part), code=int(code))
                    for code, part in zip(history, parts[:, column], strict=True)
                ],
                additive=True,
                faithful_to_removal=True,
                method="each item of the history adds how often both are chosen by the same people",
            )
            for column, (item, score) in enumerate(zip(items, scores, strict=True))
        ]


@hookimpl
def recsys_desktop_algorithms():
    return [TOGETHER]
