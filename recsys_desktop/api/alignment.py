"""AlignedModel: a fitted model asked and answering in the codes of whatever data it meets."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from recsys_desktop.api.dataset import Dataset, Float32, Int32
from recsys_desktop.api.errors import CannotServe
from recsys_desktop.api.explanation import Contribution, Counterfactual, Explanation, Source
from recsys_desktop.api.factor import Factor
from recsys_desktop.api.query import Query
from recsys_desktop.api.recommender import Recommender
from recsys_desktop.api.vocabulary import Vocabulary


class AlignedModel:
    """Wraps a model so that users and items are the codes of `users` and `items`, matched by external id.

    Items that the model lacks score NaN and drop out of histories; items that the data lacks are never listed.
    """

    def __init__(self, model: Recommender, users: Vocabulary, items: Vocabulary) -> None:
        self.model = model
        self.users = users
        self.items = items
        self._same = model.user_vocabulary == users and model.item_vocabulary == items
        self._user_to_model = users.mapping_to(model.user_vocabulary)
        self._item_to_model = items.mapping_to(model.item_vocabulary)
        self._item_from_model = model.item_vocabulary.mapping_to(items)
        self._user_from_model = model.user_vocabulary.mapping_to(users)

    @classmethod
    def to(cls, model: Recommender, dataset: Dataset) -> AlignedModel:
        """Align `model` with the vocabularies of `dataset`."""
        return cls(model, dataset.user_vocabulary, dataset.item_vocabulary)

    def query(self, query: Query) -> Query:
        """The query in the model's codes."""
        if self._same:
            return query
        users = np.full(len(query), -1, dtype=np.int32)
        known = (query.users >= 0) & (query.users < len(self.users))
        users[known] = self._user_to_model[query.users[known]]
        items = self._item_to_model[query.items]
        kept = query.keep_entries(items >= 0)
        return replace(kept, users=users, items=items[items >= 0])

    def score(self, query: Query, items: npt.NDArray[Any] | None = None) -> Float32:
        """As `Recommender.score`, float32 (n, len(self.items)) or (n, len(items))."""
        return self._spread(self.model.score, query, items)

    def predict(self, query: Query, items: npt.NDArray[Any] | None = None) -> Float32:
        """As `Recommender.predict`."""
        return self._spread(self.model.predict, query, items)

    def _spread(self, method: Any, query: Query, items: npt.NDArray[Any] | None) -> Float32:
        if self._same:
            answer: Float32 = method(query, items)
            return answer
        wanted = self._item_to_model if items is None else self._item_to_model[np.asarray(items, dtype=np.int64)]
        known = wanted >= 0
        out = np.full((len(query), len(wanted)), np.nan, dtype=np.float32)
        if known.any():
            out[:, known] = method(self.query(query), wanted[known])
        return out

    def predict_pairs(self, query: Query, people: npt.NDArray[Any], items: npt.NDArray[Any]) -> Float32:
        """As `Recommender.predict_pairs`."""
        wanted = self._item_to_model[items]
        known = wanted >= 0
        out = np.full(len(wanted), np.nan, dtype=np.float32)
        if known.any():
            out[known] = self.model.predict_pairs(self.query(query), people[known], wanted[known])
        return out

    def explain(self, query: Query, items: npt.NDArray[Any] | list[int]) -> list[Explanation]:
        """As `Recommender.explain`, with item and user codes of the data; -1 and the id as label where the data
        lacks one.

        Raises
        ------
        CannotServe: as there, or an item is unknown to the model.
        """
        if self._same:
            return self.model.explain(query, items)
        wanted = self._item_to_model[np.asarray(items, dtype=np.int64)]
        if (wanted < 0).any():
            raise CannotServe("the model has no score for an item that was added after it was trained")
        return [self._explanation(part) for part in self.model.explain(self.query(query), wanted)]

    def _explanation(self, explanation: Explanation) -> Explanation:
        counterfactual = explanation.counterfactual
        if counterfactual is not None:
            counterfactual = Counterfactual(
                tuple(int(self._item_from_model[code]) for code in counterfactual.removed),
                int(self._item_from_model[counterfactual.instead]),
                counterfactual.verified,
            )
        return replace(
            explanation,
            item=int(self._item_from_model[explanation.item]),
            contributions=tuple(self._contribution(part) for part in explanation.contributions),
            counterfactual=counterfactual,
        )

    def _contribution(self, part: Contribution) -> Contribution:
        if part.code < 0 or part.kind not in (Source.HISTORY, Source.NEIGHBOUR):
            return part
        is_item = part.kind is Source.HISTORY
        code = int((self._item_from_model if is_item else self._user_from_model)[part.code])
        ids = self.model.item_vocabulary if is_item else self.model.user_vocabulary
        return part._replace(code=code, label=part.label if code >= 0 else ids[part.code])

    def similar_items(self, item: int, n: int = 10) -> tuple[Int32, Float32]:
        """As `Recommender.similar_items`; items that the data lacks are left out."""
        code = int(self._item_to_model[item])
        if code < 0:
            raise CannotServe(f"the model does not know item '{self.items[item]}'")
        missing = int((self._item_from_model < 0).sum())
        codes, similarities = self.model.similar_items(code, n + missing)
        mapped = self._item_from_model[codes]
        kept = mapped >= 0
        return mapped[kept][:n], similarities[kept][:n]

    def factors(self) -> list[Factor]:
        """As `Recommender.factors`; items that the data lacks are left out."""
        found = []
        for factor in self.model.factors():
            kept = [
                (int(self._item_from_model[item]), weight)
                for item, weight in zip(factor.items, factor.weights, strict=True)
                if self._item_from_model[item] >= 0
            ]
            items, weights = tuple(item for item, _ in kept), tuple(weight for _, weight in kept)
            found.append(replace(factor, items=items, weights=weights))
        return found

    def item_embeddings(self) -> Float32:
        """As `Recommender.item_embeddings`, one row for each item of the data."""
        embeddings = self.model.item_embeddings()
        out = np.full((len(self.items), embeddings.shape[1]), np.nan, dtype=np.float32)
        known = self._item_to_model >= 0
        out[known] = embeddings[self._item_to_model[known]]
        return out
