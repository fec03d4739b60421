"""Recommender: the base class of every algorithm."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from recsys_desktop.api import state
from recsys_desktop.api.algorithm import AlgorithmSpec, Serves
from recsys_desktop.api.dataset import Bool, Dataset, DataShape, Float32, Int32, RatingScale
from recsys_desktop.api.errors import CannotFit, CannotServe, InvalidData, NotFitted
from recsys_desktop.api.explanation import Explanation
from recsys_desktop.api.factor import Factor
from recsys_desktop.api.forecast import Forecast
from recsys_desktop.api.params import InteractionParams, Params
from recsys_desktop.api.query import Query
from recsys_desktop.api.run import RunContext
from recsys_desktop.api.state_checks import require_array
from recsys_desktop.api.vocabulary import Vocabulary

_PAIR_BLOCK = 4_000_000


def _counted(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"


class Recommender(ABC):
    """One algorithm: parameters, `fit`, and answers to queries.

    An author declares `spec` and writes `_fit`, `_score` and `estimate`, and where the spec's capabilities say so
    `_predict`, `_explain`, `_updated`, `item_embeddings` and `user_embeddings`. The public verbs check what goes in and
    out, so that an author need not.

    Fitted state is the attributes whose names end in `_`; they are saved and restored as they are (see `state`).
    Attributes whose names begin with `_` are caches: neither saved nor copied. `fit` also leaves
    `user_vocabulary`, `item_vocabulary`, `known_users_` (bool (n_users,)), `known_items_` (bool (n_items,)) and
    `rating_scale_`. A model that trains in epochs sets `best_epoch_`. One with parameters that may be left open sets
    `chosen_`, what it took for each of those by name, and asks `setting` for their values; those that the run brings
    (`RunContext.chosen`) are there when `_fit` begins.

    A fitted model is never changed by an answer, so that several threads may ask at once.
    """

    spec: ClassVar[AlgorithmSpec]
    state_version: ClassVar[int] = 1

    user_vocabulary: Vocabulary
    item_vocabulary: Vocabulary
    known_users_: Bool
    known_items_: Bool
    rating_scale_: tuple[float, float, float] | None
    best_epoch_: int | None
    chosen_: dict[str, Any] | None = None

    def __init__(self, params: Params | None = None) -> None:
        self.params: Any = self.spec.params() if params is None else params
        if not isinstance(self.params, self.spec.params):
            raise TypeError(f"'{self.spec.id}' takes {self.spec.params.__name__}, not {type(params).__name__}")

    @abstractmethod
    def _fit(self, train: Dataset, run: RunContext) -> None:
        """Set the fitted attributes from `train`, which has passed the checks of `fit`."""

    @abstractmethod
    def _score(self, query: Query, items: Int32 | None) -> npt.NDArray[Any]:
        """Scores (n, n_items), or (n, len(items)); the base class turns those of unknown users and items into NaN."""

    @abstractmethod
    def estimate(self, shape: DataShape) -> Forecast:
        """What fitting data of this shape with these parameters will need, without allocating anything."""

    def _predict(self, query: Query, items: Int32 | None) -> npt.NDArray[Any]:
        """Ratings (n, n_items) or (n, len(items)) before clipping to the scale; by default the scores themselves."""
        return self._score(query, items)

    def _explain(self, query: Query, items: Int32, scores: Float32) -> list[Explanation]:
        """An explanation for each of `items` for the one person in `query`; scores (len(items),) are theirs."""
        raise CannotServe(f"'{self.spec.id}' declares no explanation of its own")

    def _updated(self, additions: Dataset) -> None:
        """Take `additions` into this copy; replace fitted attributes, never write into their arrays."""
        raise CannotServe(f"'{self.spec.id}' does not learn live")

    def _serves(self, query: Query) -> Bool:
        """bool (n,): the people this model can score; by default what `serves` declares."""
        serves = self.spec.capabilities.serves
        if serves is Serves.EVERYONE:
            return np.ones(len(query), dtype=np.bool_)
        known = self._known_people(query)
        if serves is Serves.KNOWN_USERS:
            return known
        has_history = query.lengths > 0
        return has_history if serves is Serves.HISTORY else known | has_history

    def _known_people(self, query: Query) -> Bool:
        """bool (n,): the people of a query who had an interaction in `fit`."""
        valid = (query.users >= 0) & (query.users < self.n_users)
        known = np.zeros(len(query), dtype=np.bool_)
        known[valid] = self.known_users_[query.users[valid]]
        return known

    @classmethod
    def migrate_params(cls, params: dict[str, Any], version: int) -> dict[str, Any]:
        """Bring parameters saved with `state_version` = version to the present ones; by default they are the same."""
        return params

    def migrate_state(self, fitted: dict[str, Any], version: int) -> dict[str, Any]:
        """Bring a state saved with `state_version` = version to the present one."""
        raise NotImplementedError(f"'{self.spec.id}' has no migration from state version {version}")

    def check_state(self) -> None:
        """Refuse a restored state whose parts do not fit together, so that no answer reads beyond an array.

        Called after a state was loaded. A model whose kernels index its arrays extends this with the functions of
        `state_checks`.

        Raises
        ------
        StateError: an attribute has another shape or type than the rest asks for.
        """
        # A model saved without user ids has an empty vocabulary of users.
        require_array("known_users_", self.known_users_, (self.n_users or None,), np.bool_)
        require_array("known_items_", self.known_items_, (self.n_items,), np.bool_)

    @property
    def n_users(self) -> int:
        """Size of the user vocabulary the model was fitted with."""
        return len(self.user_vocabulary)

    @property
    def n_items(self) -> int:
        """Size of the item vocabulary the model was fitted with."""
        return len(self.item_vocabulary)

    @property
    def is_fitted(self) -> bool:
        """Whether `fit` has run, or a state was loaded."""
        return "known_items_" in vars(self)

    @property
    def rating_scale(self) -> RatingScale | None:
        """The rating scale of the training data, or None for implicit feedback."""
        scale = self.rating_scale_
        return None if scale is None else RatingScale(*scale)

    def fitted_state(self) -> dict[str, Any]:
        """The attributes whose names end in `_`, by name."""
        return {name: value for name, value in vars(self).items() if name.endswith("_") and not name.startswith("_")}

    def fit(self, train: Dataset, run: RunContext | None = None) -> Self:
        """Learn from `train`; returns self.

        Raises
        ------
        CannotFit: the model is undefined on this data; the message says why.
        """
        needs = self.spec.needs
        self._require_counted(train)
        users, items = int((train.user_counts > 0).sum()), int((train.item_counts > 0).sum())
        if needs.interactions and (users < needs.users or items < needs.items):
            raise CannotFit(
                f"'{self.spec.id}' needs interactions of at least {needs.users} users with {needs.items} items; "
                f"what it is to be trained on has those of {_counted(users, 'user')} with {_counted(items, 'item')}"
            )
        if needs.ratings and train.ratings is None:
            raise CannotFit(f"'{self.spec.id}' needs ratings; the data has none")
        if needs.timestamps and train.timestamps is None:
            raise CannotFit(f"'{self.spec.id}' needs timestamps; the data has none")
        if needs.item_content and not train.item_features.columns:
            raise CannotFit(f"'{self.spec.id}' needs item titles, texts, categories or tags; the data has none")
        self._forget()
        self.user_vocabulary, self.item_vocabulary = train.user_vocabulary, train.item_vocabulary
        self.known_users_ = train.user_counts > 0
        self.known_items_ = train.item_counts > 0
        scale = train.rating_scale
        self.rating_scale_ = None if scale is None else (float(scale[0]), float(scale[1]), float(scale[2]))
        self.best_epoch_ = None
        run = RunContext() if run is None else run
        open_ = {name: value for name, value in run.chosen.items() if getattr(self.params, name, "") is None}
        self.chosen_ = open_ or None
        self._fit(train, run)
        return self

    def _require_counted(self, train: Dataset) -> None:
        """Refuse data in which the ratings that count are of fewer people or items than the algorithm needs."""
        lowest = self.params.min_rating if isinstance(self.params, InteractionParams) else None
        if lowest is None or train.ratings is None or not self.spec.needs.interactions:
            return
        counted = train.ratings >= lowest
        users, items = len(np.unique(train.users[counted])), len(np.unique(train.items[counted]))
        if users < self.spec.needs.users or items < self.spec.needs.items:
            raise CannotFit(
                f"ratings of at least {lowest:g} are those of {_counted(users, 'user')} with "
                f"{_counted(items, 'item')}: lower 'min_rating'"
            )

    def setting(self, name: str) -> Any:
        """The value of a parameter; of one that was left open what `fit` chose for it."""
        value = getattr(self.params, name)
        return (self.chosen_ or {}).get(name) if value is None else value

    def _forget(self) -> None:
        for name in [name for name in vars(self) if name.endswith("_") or name.startswith("_")]:
            delattr(self, name)

    def score(self, query: Query, items: Sequence[int] | npt.NDArray[Any] | None = None) -> Float32:
        """Scores by which to rank, float32 (n, n_items) or (n, len(items)); larger is better.

        NaN marks what the model knows nothing of: unknown users, unknown items.

        Raises
        ------
        NotFitted. InvalidData: the query or `items` hold codes outside the model's vocabulary.
        """
        return self._answer(self._score, query, items, self.scorable_items)

    def predict(self, query: Query, items: Sequence[int] | npt.NDArray[Any] | None = None) -> Float32:
        """Predicted ratings in rating units, within the scale, float32 (n, n_items) or (n, len(items)); NaN as `score`.

        Raises
        ------
        CannotServe: the algorithm predicts no ratings.
        """
        if not self.spec.capabilities.predicts_ratings:
            raise CannotServe(f"'{self.spec.id}' ranks items but predicts no ratings")
        out = self._answer(self._predict, query, items, self.predictable_items)
        if self.rating_scale_ is not None:
            np.clip(out, self.rating_scale_[0], self.rating_scale_[1], out=out)
        return out

    def predict_pairs(self, query: Query, people: npt.NDArray[Any], items: npt.NDArray[Any]) -> Float32:
        """Predicted ratings of single pairs: float32 (m,).

        people: int (m,), positions in the query. items: int (m,), codes.
        """
        order = np.argsort(people, kind="stable")
        out = np.empty(len(order), dtype=np.float32)
        step = max(1, _PAIR_BLOCK // max(self.n_items, 1))
        present, starts = np.unique(people[order], return_index=True)
        bounds = np.append(starts, len(order))
        for begin in range(0, len(present), step):
            end = min(begin + step, len(present))
            rows = order[bounds[begin] : bounds[end]]
            wanted, column = np.unique(items[rows], return_inverse=True)
            block = self.predict(query.take(present[begin:end]), wanted)
            out[rows] = block[np.searchsorted(present[begin:end], people[rows]), column]
        return out

    def _answer(self, method: Any, query: Query, items: Any, answerable: Callable[[], Bool]) -> Float32:
        self._require_fitted()
        self._require_known_codes(query)
        codes = None if items is None else self._item_codes(items)
        width = self.n_items if codes is None else len(codes)
        raw = np.asarray(method(query, codes))
        if raw.shape != (len(query), width):
            raise InvalidData(f"'{self.spec.id}' answered with shape {raw.shape} where {(len(query), width)} was due")
        out = np.array(raw, dtype=np.float32, order="C", copy=None)
        if not out.flags.writeable:
            out = out.copy()
        scorable = answerable()
        if codes is not None:
            scorable = scorable[codes]
        if not scorable.all():
            out[:, ~scorable] = np.nan
        served = self._serves(query)
        if not served.all():
            out[~served] = np.nan
        return out

    def _item_codes(self, items: Any) -> Int32:
        codes = np.asarray(items, dtype=np.int32)
        if codes.ndim != 1 or (len(codes) and (codes.min() < 0 or codes.max() >= self.n_items)):
            raise InvalidData(f"items must be codes from 0 to {self.n_items - 1}")
        return codes

    def _require_known_codes(self, query: Query) -> None:
        if len(query.items) and int(query.items.max()) >= self.n_items:
            raise InvalidData("the query's history holds item codes outside the model's vocabulary: align it first")

    def _require_fitted(self) -> None:
        if not self.is_fitted:
            raise NotFitted(f"'{self.spec.id}' has not been fitted")

    def scorable_items(self) -> Bool:
        """bool (n_items,): the items that can be listed: those with interactions, or all where features suffice."""
        if self.spec.capabilities.scores_new_items:
            return np.ones(self.n_items, dtype=np.bool_)
        return self.known_items_

    def predictable_items(self) -> Bool:
        """bool (n_items,): the items whose rating `predict` estimates; by default those that can be listed."""
        return self.scorable_items()

    def explain(self, query: Query, items: Sequence[int] | npt.NDArray[Any]) -> list[Explanation]:
        """Why each of `items` (codes) got its score for the one person in `query`, in the order of `items`.

        Raises
        ------
        CannotServe: the algorithm has no explanation of its own, or the person or an item has no score.
        """
        if len(query) != 1:
            raise InvalidData(f"an explanation is for one person, not for {len(query)}")
        if not self.spec.capabilities.explains:
            raise CannotServe(f"'{self.spec.id}' declares no explanation of its own")
        self._require_fitted()
        codes = self._item_codes(items)
        scores = self.score(query, codes)[0]
        if np.isnan(scores).any():
            missing = self.item_vocabulary[int(codes[np.flatnonzero(np.isnan(scores))[0]])]
            raise CannotServe(f"'{self.spec.id}' has no score for item '{missing}' to explain")
        return self._explain(query, codes, scores)

    def item_embeddings(self) -> Float32:
        """float32 (n_items, dimensions); rows of unknown items are NaN."""
        raise CannotServe(f"'{self.spec.id}' has no item embeddings")

    def user_embeddings(self) -> Float32:
        """float32 (n_users, dimensions); rows of unknown users are NaN."""
        raise CannotServe(f"'{self.spec.id}' has no user embeddings")

    def factors(self) -> list[Factor]:
        """What the dimensions of the model stand for, the weightiest first.

        Optional: only models whose dimensions can be read on their own (those that only add) answer.

        Raises
        ------
        CannotServe: the algorithm has no dimensions that can be read.
        """
        raise CannotServe(f"'{self.spec.id}' has no factors that can be read")

    def similar_items(self, item: int, n: int = 10) -> tuple[Int32, Float32]:
        """The n items most like `item` (code): int32 (m,) and similarities float32 (m,), m <= n, best first, never
        itself.

        By default the cosine of item embeddings.
        """
        if not self.spec.capabilities.similar_items:
            raise CannotServe(f"'{self.spec.id}' does not compare items")
        self._require_fitted()
        self._item_codes([item])
        similarities = np.asarray(self._item_similarities(item), dtype=np.float32).copy()
        similarities[item] = np.nan
        candidates = np.flatnonzero(~np.isnan(similarities))
        order = candidates[np.lexsort((candidates, -similarities[candidates]))][:n]
        return order.astype(np.int32), similarities[order]

    def _item_similarities(self, item: int) -> npt.NDArray[Any]:
        """Similarity of every item to `item`: (n_items,), NaN where there is none."""
        embeddings = self.item_embeddings()
        norms = np.linalg.norm(embeddings, axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            cosine: npt.NDArray[Any] = embeddings @ embeddings[item] / (norms * norms[item])
        return cosine

    def updated(self, additions: Dataset) -> Self:
        """A new model that has taken in new interactions, people and items; this one stays as it is.

        additions: only what is new. Its vocabularies begin with the model's and may go on; its features cover them
        whole.

        Raises
        ------
        CannotServe: the algorithm does not learn live. InvalidData: the vocabularies do not continue the model's.
        """
        self._require_fitted()
        if not self.spec.capabilities.updates_live:
            raise CannotServe(f"'{self.spec.id}' does not learn live")
        for mine, theirs, what in (
            (self.user_vocabulary, additions.user_vocabulary, "user"),
            (self.item_vocabulary, additions.item_vocabulary, "item"),
        ):
            if len(theirs) < len(mine) or not np.array_equal(theirs.ids[: len(mine)], mine.ids):
                raise InvalidData(f"the {what} vocabulary of the additions does not continue the model's")
        model = copy.copy(self)
        for name in [name for name in vars(model) if name.startswith("_")]:
            delattr(model, name)
        model.user_vocabulary, model.item_vocabulary = additions.user_vocabulary, additions.item_vocabulary
        model.known_users_ = additions.user_counts > 0
        model.known_users_[: self.n_users] |= self.known_users_
        model.known_items_ = additions.item_counts > 0
        model.known_items_[: self.n_items] |= self.known_items_
        model._updated(additions)
        return model

    def save(self, folder: Path, include_users: bool = True) -> None:
        """Write the fitted model into an existing folder (see `state.save`)."""
        self._require_fitted()
        state.save(self, folder, include_users)

    @staticmethod
    def load(folder: Path, resolve: state.Resolve) -> Recommender:
        """Read a model back (see `state.load`)."""
        return state.load(folder, resolve)
