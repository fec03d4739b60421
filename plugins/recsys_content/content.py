"""Content-based recommendation: items whose features are those of the person's history."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from recsys_content.plugin import CONTENT
from recsys_desktop.api import (
    CannotFit,
    Contribution,
    Dataset,
    DataShape,
    Explanation,
    Forecast,
    Query,
    Recommender,
    RunContext,
    Source,
)
from recsys_desktop.api.dataset import Bool, Float32, Int32
from recsys_desktop.toolkit.features import GroupWeights, ItemEncoder
from recsys_desktop.toolkit.products import SparseRows, sparse_times_dense

_PEOPLE_AT_ONCE = 64
_FEATURES_NAMED = 3
_CONTRIBUTIONS_NAMED = 10


class ContentBased(Recommender):
    """Similarity of features, summed over the history (a profile after Rocchio, without negative examples).

    With x_i the feature vector of item i (see `ItemEncoder`: x_i · x_j is a weighted mean of the cosines of title
    words, text words, categories and tags, and numbers), h the items of the history and c_i how many people chose i:

        score(i) = prior_i Σ_{j ∈ h} x_i · x_j
        prior_i = ((1 + log(1 + c_i)) / (1 + log(1 + c_max))) ^ popularity

    So a score is at most the number of items in the history. An item that nobody has met has the prior of the median
    item, for nothing is known of its popularity. The profile Σ x_j
    is made from the history when asked, so it is as new as the history. A stated interest adds the vector of its words,
    `interest_weight` times. Each history item's part is exact, and is what its removal would take away.

    People whose history has no features have no score. Without any interaction the model still compares items and
    serves histories typed in.

    Fitted: `encoder_`, the groups of features; `vectors_` CSR float32 (n_items, features); `item_counts_` int64
    (n_items,).
    """

    spec = CONTENT

    encoder_: list[dict[str, Any]]
    vectors_: Any
    item_counts_: npt.NDArray[np.int64]

    def estimate(self, shape: DataShape) -> Forecast:
        """The words and names while they are counted; what the interactions need while items are counted."""
        words = shape.text_characters / 5 + shape.item_values + 2 * shape.n_items
        memory = 60 * words + 9 * shape.n_interactions + 40 * (shape.n_users + shape.n_items)
        return Forecast(int(memory) + 4_000_000, 0.1 + words * 3e-6 + shape.n_interactions * 2e-8)

    def _fit(self, train: Dataset, run: RunContext) -> None:
        params = self.params
        weights = GroupWeights(params.title_weight, params.text_weight, params.category_weight, params.number_weight)
        run.progress(0.1, "reading item features")
        encoder = ItemEncoder.fit(train.item_features, weights)
        if encoder.width == 0:
            raise CannotFit(
                "'content' found no feature that two items share in "
                f"{', '.join(train.item_features.columns)}: give it titles, texts, categories or tags with some weight"
            )
        run.progress(0.6, f"comparing by {encoder.width:,} features")
        self.encoder_ = encoder.to_state()
        self.vectors_ = encoder.encode(train.item_features)
        self.item_counts_ = self._counts(train)

    def _counts(self, data: Dataset) -> npt.NDArray[np.int64]:
        least = self.params.min_rating
        if least is None or data.ratings is None:
            return data.item_counts
        return np.bincount(data.items[data.ratings >= least], minlength=data.n_items).astype(np.int64)

    def _updated(self, additions: Dataset) -> None:
        counts = self._counts(additions)
        counts = counts + np.pad(self.item_counts_, (0, len(counts) - len(self.item_counts_)))
        self.item_counts_ = counts
        self.vectors_ = ItemEncoder.of_state(self.encoder_).encode(additions.item_features)

    @property
    def _encoder(self) -> ItemEncoder:
        if "_the_encoder" not in vars(self):
            self._the_encoder = ItemEncoder.of_state(self.encoder_)
        return self._the_encoder

    @property
    def _prior(self) -> Float32:
        """float32 (n_items,): how much popularity multiplies a score."""
        if "_the_prior" not in vars(self):
            counts = self.item_counts_
            levels = 1 + np.log1p(counts)
            if (counts > 0).any():
                levels[counts == 0] = np.median(levels[counts > 0])
            prior: Float32 = ((levels / levels.max(initial=1)) ** self.params.popularity).astype(np.float32)
            self._the_prior = prior
        return self._the_prior

    def _serves(self, query: Query) -> Bool:
        return (query.lengths > 0) | self._interested(query)

    def _interested(self, query: Query) -> Bool:
        """bool (n,): the people who state an interest."""
        if not query.interests:
            return np.zeros(len(query), dtype=np.bool_)
        return np.array([bool(phrases) for phrases in query.interests], dtype=np.bool_)

    def _profiles(self, query: Query) -> Any:
        """The sum of each person's feature vectors: CSR float32 (n, features)."""
        profiles = query.matrix(self.n_items, "one", self.params.min_rating) @ self.vectors_
        interested = np.flatnonzero(self._interested(query))
        if not len(interested):
            return profiles
        from scipy.sparse import csr_matrix

        phrases = [(person, phrase) for person in interested.tolist() for phrase in query.interests[person]]
        people = np.array([person for person, _ in phrases], dtype=np.int64)
        weights = np.full(len(phrases), self.params.interest_weight, dtype=np.float32)
        of_people = csr_matrix((weights, (people, np.arange(len(phrases)))), shape=(len(query), len(phrases)))
        return profiles + of_people @ self._encoder.encode_phrases([phrase for _, phrase in phrases])

    def _score(self, query: Query, items: Int32 | None) -> npt.NDArray[Any]:
        vectors = SparseRows.of(self.vectors_)
        prior = self._prior
        if items is not None:
            vectors, prior = vectors.take(items), prior[items]
        profiles = self._profiles(query)
        scores = np.empty((len(query), vectors.n_rows), dtype=np.float32)
        for begin in range(0, len(query), _PEOPLE_AT_ONCE):
            block = np.ascontiguousarray(profiles[begin : begin + _PEOPLE_AT_ONCE].toarray().T, dtype=np.float32)
            scores[begin : begin + _PEOPLE_AT_ONCE] = sparse_times_dense(vectors, block).T
        scores *= prior
        scores[np.diff(profiles.indptr) == 0] = np.nan
        return scores

    def _explain(self, query: Query, items: Int32, scores: Float32) -> list[Explanation]:
        history = query.matrix(self.n_items, "one", self.params.min_rating).indices
        phrases = list(query.interests[0]) if query.interests else []
        of_history = self.vectors_[history]
        of_phrases = (
            self._encoder.encode_phrases(phrases) * np.float32(self.params.interest_weight) if phrases else None
        )
        vectors = self.vectors_[items].toarray()
        explanations = []
        for item, score, vector in zip(items.tolist(), scores.tolist(), vectors, strict=True):
            prior = float(self._prior[item])
            parts = (of_history @ vector) * prior
            named = set(np.argsort(-parts)[:_CONTRIBUTIONS_NAMED].tolist())
            contributions = [
                Contribution(Source.HISTORY, part, code, self._shared(of_history, row, vector) if row in named else "")
                for row, (code, part) in enumerate(zip(history.tolist(), parts.tolist(), strict=True))
            ]
            if of_phrases is not None:
                stated = (of_phrases @ vector) * prior
                contributions += [
                    Contribution(Source.FEATURE, part, label=f"interest in {phrase}")
                    for phrase, part in zip(phrases, stated.tolist(), strict=True)
                ]
            explanations.append(
                Explanation.of(
                    item,
                    score,
                    contributions,
                    additive=True,
                    faithful_to_removal=True,
                    method="features in common with each item of the history"
                    + (", times the item's popularity" if self.params.popularity else ""),
                )
            )
        return explanations

    def _shared(self, rows: Any, row: int, vector: Float32) -> str:
        """The features that make one of the rows (CSR) and a vector similar, the strongest first."""
        place = slice(rows.indptr[row], rows.indptr[row + 1])
        features = rows.indices[place]
        products = rows.data[place] * vector[features]
        strongest = np.argsort(-products, kind="stable")[:_FEATURES_NAMED]
        return ", ".join(self._encoder.name(int(features[feature])) for feature in strongest if products[feature] > 0)

    def _item_similarities(self, item: int) -> npt.NDArray[Any]:
        """Cosine of feature vectors."""
        vector = np.ascontiguousarray(self.vectors_[[item]].toarray().T, dtype=np.float32)
        products = sparse_times_dense(SparseRows.of(self.vectors_), vector)[:, 0]
        lengths = np.sqrt(np.asarray(self.vectors_.multiply(self.vectors_).sum(axis=1))).ravel()
        with np.errstate(divide="ignore", invalid="ignore"):
            cosine: npt.NDArray[Any] = products / (lengths * lengths[item])
        return cosine
