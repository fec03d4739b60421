"""Tiny algorithms, written as a plugin would write them, that train in milliseconds; some are broken on purpose."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from recsys_desktop.api import (
    AlgorithmSpec,
    CannotFit,
    Capabilities,
    Contribution,
    Dataset,
    DataShape,
    Explanation,
    Family,
    Forecast,
    Needs,
    Params,
    Query,
    Recommender,
    RunContext,
    Serves,
    Source,
    hookimpl,
    param,
)


class NoParams(Params):
    """No parameters."""


class TogetherParams(Params):
    """Parameters of the co-occurrence toy."""

    weight: float = param(1.0, gt=0, le=10, help="Multiplies every score.")
    memory: float = param(0.0, ge=0, help="Bytes that the forecast claims.")


def _toy(name: str, capabilities: Capabilities, params: type[Params] = NoParams, needs: Needs | None = None):
    return AlgorithmSpec(
        id=f"toy-{name}",
        name=f"Toy {name}",
        family=Family.BASELINE,
        summary=f"A toy: {name}.",
        implementation=f"{__name__}:Toy{name.title().replace('-', '')}",
        params=params,
        capabilities=capabilities,
        needs=needs or Needs(),
    )


class Toy(Recommender):
    """Common to the toys."""

    spec = None  # type: ignore[assignment]

    def estimate(self, shape: DataShape) -> Forecast:
        """A few arrays."""
        return Forecast(64 * (shape.n_items**2 + shape.n_interactions) + 1_000_000, 0.01, cheaper="toy-popular")


POPULAR = _toy("popular", Capabilities(Serves.EVERYONE))


class ToyPopular(Toy):
    """How many people chose an item."""

    spec = POPULAR

    def _fit(self, train: Dataset, run: RunContext) -> None:
        self.counts_ = train.item_counts.astype(np.float32)

    def _score(self, query: Query, items):
        scores = self.counts_ if items is None else self.counts_[items]
        return np.repeat(scores[None, :], len(query), axis=0)


TOGETHER = _toy(
    "together",
    Capabilities(Serves.HISTORY, explains=True, additive=True, faithful_to_removal=True, similar_items=True),
    TogetherParams,
)


class ToyTogether(Toy):
    """How often an item was chosen together with those of the history."""

    spec = TOGETHER

    def _fit(self, train: Dataset, run: RunContext) -> None:
        matrix = train.matrix()
        counts = np.asarray((matrix.T @ matrix).todense(), dtype=np.float32)
        np.fill_diagonal(counts, 0)
        self.weights_ = counts * np.float32(self.params.weight / max(train.n_users, 1))

    def _score(self, query: Query, items):
        weights = self.weights_ if items is None else self.weights_[:, items]
        return np.asarray(query.matrix(self.n_items) @ weights)

    def _explain(self, query: Query, items, scores) -> list[Explanation]:
        history = np.unique(query.history(0))
        return [
            Explanation.of(
                int(item),
                float(score),
                [Contribution(Source.HISTORY, float(self.weights_[other, item]), int(other)) for other in history],
                additive=True,
                faithful_to_removal=True,
                method="co-occurrence",
            )
            for item, score in zip(items, scores, strict=True)
        ]

    def _item_similarities(self, item: int):
        return self.weights_[item]

    def estimate(self, shape: DataShape) -> Forecast:
        """What the parameter claims, or a square matrix."""
        return Forecast(int(max(self.params.memory, 8 * shape.n_items**2)), 0.01, cheaper="toy-popular")


SILENT = _toy("silent", Capabilities(Serves.HISTORY))


class ToySilent(ToyTogether):
    """The same scores without an explanation of its own."""

    spec = SILENT
    params: NoParams

    def _fit(self, train: Dataset, run: RunContext) -> None:
        matrix = train.matrix()
        counts = np.asarray((matrix.T @ matrix).todense(), dtype=np.float32)
        np.fill_diagonal(counts, 0)
        self.weights_ = counts

    def estimate(self, shape: DataShape) -> Forecast:
        """A square matrix."""
        return Forecast(8 * shape.n_items**2, 0.01)


MEAN = _toy(
    "mean",
    Capabilities(Serves.EVERYONE, ranks=False, predicts_ratings=True, uses_ratings=True),
    needs=Needs(ratings=True),
)


class ToyMean(Toy):
    """The mean rating of an item."""

    spec = MEAN

    def _fit(self, train: Dataset, run: RunContext) -> None:
        sums = np.bincount(train.items, weights=train.ratings, minlength=train.n_items)
        self.means_ = (sums / np.maximum(train.item_counts, 1)).astype(np.float32)

    def _score(self, query: Query, items):
        means = self.means_ if items is None else self.means_[items]
        return np.repeat(means[None, :], len(query), axis=0)


CONSTANT = _toy(
    "constant",
    Capabilities(Serves.EVERYONE, ranks=False, predicts_ratings=True, uses_ratings=True),
    needs=Needs(ratings=True),
)


class ToyConstant(ToyMean):
    """The lowest rating for every item."""

    spec = CONSTANT

    def _fit(self, train: Dataset, run: RunContext) -> None:
        self.means_ = np.full(train.n_items, train.ratings.min(), dtype=np.float32)


LISTING = _toy(
    "listing",
    Capabilities(Serves.EVERYONE, predicts_ratings=True, uses_ratings=True),
    needs=Needs(ratings=True),
)


class ToyListing(ToyMean):
    """The mean rating of an item, which orders lists too."""

    spec = LISTING


class EpochParams(Params):
    """Parameters of the toy that trains in epochs."""

    epochs: int = param(6, ge=1, help="The most epochs.")
    pause: float = param(0.0, ge=0, help="Seconds that each epoch takes.")
    best: int = param(3, ge=1, help="The epoch at which it is best; after it, it gets worse.")
    noise: float | None = param(
        None, ge=0, empty="auto", help="How much the noise blurs; about 40 where it is left open."
    )
    whole_refit: bool = param(False, help="Whether a refit that is stopped leaves no model.")


EPOCHS = _toy("epochs", Capabilities(Serves.KNOWN_USERS, trains_in_epochs=True, randomised=True), EpochParams)


class ToyEpochs(Toy):
    """Popularity blurred by noise that is least at the best epoch; known users only."""

    spec = EPOCHS

    def _fit(self, train: Dataset, run: RunContext) -> None:
        noise = run.generator("noise").standard_normal(train.n_items)
        best_figure, best_scores = None, None
        if self.setting("noise") is None:
            self.chosen_ = {"noise": 40.0 + len(train) / 1e6}
        self.epochs_trained_ = 0
        for epoch in range(1, (run.epochs or self.params.epochs) + 1):
            time.sleep(self.params.pause)
            distance = abs(epoch - self.params.best)
            self.scores_ = (train.item_counts + self.setting("noise") * distance * noise).astype(np.float32)
            self.epochs_trained_ = epoch
            run.log(epoch, loss=1.0 / epoch)
            run.progress(epoch / self.params.epochs, f"epoch {epoch}")
            figure = run.validate(self) if run.validates else None
            if figure is not None:
                run.log(epoch, **{figure.name: figure.value})
                if figure.better_than(best_figure):
                    best_figure, best_scores, self.best_epoch_ = figure, self.scores_, epoch
            if run.should_stop and self.params.whole_refit and run.epochs is not None:
                raise CannotFit("stopped before there was a model to keep")
            if run.should_stop:
                break
        if best_scores is not None:
            self.scores_ = best_scores
        elif run.epochs is not None:
            self.best_epoch_ = run.epochs

    def _score(self, query: Query, items):
        scores = self.scores_ if items is None else self.scores_[items]
        return np.repeat(scores[None, :], len(query), axis=0)


TRYING = _toy("trying", Capabilities(Serves.EVERYONE))


class ToyTrying(ToyPopular):
    """Tries settings for a second, and has no model when it is stopped meanwhile."""

    spec = TRYING

    def _fit(self, train: Dataset, run: RunContext) -> None:
        for step in range(100):
            run.progress(step / 100, "trying settings")
            if run.should_stop:
                raise CannotFit("stopped before there was a model to keep")
            time.sleep(0.01)
        super()._fit(train, run)


RAISES = _toy("raises", Capabilities(Serves.EVERYONE))


class ToyRaises(ToyPopular):
    """Fails while it is fitted."""

    spec = RAISES

    def _fit(self, train: Dataset, run: RunContext) -> None:
        raise ZeroDivisionError("toys break")


class LaterParams(Params):
    """Parameters of the toy that breaks later."""


LATER = _toy("later", Capabilities(Serves.EVERYONE))


class ToyLater(ToyPopular):
    """Answers while it is trained, and raises once `broken` is set."""

    spec = LATER
    broken = False

    def _score(self, query: Query, items):
        if ToyLater.broken:
            raise RuntimeError("no answer today")
        return super()._score(query, items)


SHAPE = _toy("shape", Capabilities(Serves.EVERYONE))


class ToyShape(ToyPopular):
    """Answers with one column too few."""

    spec = SHAPE

    def _score(self, query: Query, items):
        return super()._score(query, items)[:, :-1]


BLEND = _toy("blend", Capabilities(Serves.HISTORY))


class ToyBlend(Toy):
    """A hybrid: one member fitted by the engine, another that breaks and is left out."""

    spec = BLEND

    def _fit(self, train: Dataset, run: RunContext) -> None:
        run.progress(0.5, "half of the members")
        self.member_ = run.fit("toy-together", {"weight": 2.0}, train)
        try:
            run.fit("toy-raises", {}, train)
        except CannotFit as error:
            self.left_out_ = str(error)

    def _score(self, query: Query, items):
        return self.member_.score(query, items)


SPECS = (POPULAR, TOGETHER, SILENT, MEAN, CONSTANT, LISTING, EPOCHS, TRYING, RAISES, LATER, SHAPE, BLEND)


@hookimpl
def recsys_desktop_algorithms() -> Sequence[AlgorithmSpec]:
    """The toys."""
    return SPECS
