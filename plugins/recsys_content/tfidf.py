"""TF-IDF content: items like those of the history, by titles, texts, categories, tags and numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
    Role,
    RunContext,
    Source,
)
from recsys_desktop.toolkit.item_content import WORD, encode_items

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

_PROFILE_BLOCK = 8_000_000
_SHOWN_TERMS = 3


class ContentRecommender(Recommender):
    """Content-based recommendation with tf-idf profiles (Lops et al. 2011, section 3.3.1).

        s(u, i) = (1 + c_i)^γ · ⟨x_i, Σ_{j in history} x_j + Σ_{t in interests} x_t⟩

    x_i is the item's content (see `toolkit.item_content`): each kind of content is a unit vector times the square
    root of its weight, so that ⟨x_i, x_j⟩ is the weighted sum of cosines. c_i counts the people who chose i in
    training, γ is `popularity_exponent`. A person is their history, and stated interests where given: phrases are
    matched word by word, and as a whole to tags and categories. Every entry's part of the score is its own summand.

    Items without any content score NaN, as does everything for somebody whose history has no content.

    Fitted: `content_` CSR float32 (n_items, n_terms); `terms_` list of text (n_terms,); `scales_` float32
    (n_terms,), the weight of a term in an interest; `popularity_` float32 (n_items,), (1 + c_i)^γ.
    """

    spec = CONTENT

    content_: csr_matrix
    terms_: list[str]
    scales_: npt.NDArray[np.float32]
    popularity_: npt.NDArray[np.float32]

    def estimate(self, shape: DataShape) -> Forecast:
        """Counting words keeps each token a few times over; the matrix is made once by group and once joined."""
        tokens = shape.text_characters / 6.5
        memory = 52 * tokens + 60 * shape.item_values + 60 * shape.n_items + 9 * shape.n_interactions + 2_000_000
        return Forecast(int(memory), 0.2 + tokens * 1.5e-6 + shape.item_values * 2e-7)

    def _fit(self, train: Dataset, run: RunContext) -> None:
        params = self.params
        run.progress(0.0, "Reading the items' content")
        weights = {
            Role.TAGS: params.tags_weight,
            Role.CATEGORY: params.tags_weight,
            Role.TITLE: params.title_weight,
            Role.TEXT: params.text_weight,
            Role.NUMERIC: params.numeric_weight,
        }
        content = encode_items(train.item_features, weights, params.min_items, params.max_terms)
        if content.matrix.nnz == 0:
            raise CannotFit(
                "'content' finds nothing that two items share: the data needs titles, texts, categories or tags, and "
                "at least one of their weights above 0"
            )
        self.content_, self.terms_, self.scales_ = content.matrix, content.terms, content.scales
        counts = train.item_counts
        if params.min_rating is not None and train.ratings is not None:
            counts = np.bincount(train.items[train.ratings >= params.min_rating], minlength=train.n_items)
        self.popularity_ = ((1.0 + counts) ** params.popularity_exponent).astype(np.float32)
        run.progress(1.0, f"{len(self.terms_):,} terms")

    def scorable_items(self) -> npt.NDArray[np.bool_]:
        """bool (n_items,): the items that have any content."""
        filled: npt.NDArray[np.bool_] = np.diff(self.content_.indptr) > 0
        return filled

    def _serves(self, query: Query) -> npt.NDArray[np.bool_]:
        filled: npt.NDArray[np.bool_] = np.diff(self._profiles(query).indptr) > 0
        return filled

    def _score(self, query: Query, items: npt.NDArray[np.int32] | None) -> npt.NDArray[Any]:
        content = self.content_ if items is None else self.content_[items]
        popularity = self.popularity_ if items is None else self.popularity_[items]
        profiles = self._profiles(query)
        out = np.empty((len(query), content.shape[0]), dtype=np.float32)
        step = max(1, _PROFILE_BLOCK // max(profiles.shape[1], 1))
        for begin in range(0, len(query), step):
            dense = profiles[begin : begin + step].toarray()
            out[begin : begin + step] = (content @ np.ascontiguousarray(dense.T)).T
        out *= popularity
        return out

    def _profiles(self, query: Query) -> csr_matrix:
        """CSR float32 (n, n_terms): the sum of the content of each history, and of stated interests."""
        history = query.matrix(self.n_items, "one", self.params.min_rating)
        profiles = history @ self.content_
        if query.interests:
            profiles = profiles + self._interest_profiles(query)
        return profiles.tocsr()

    def _interest_profiles(self, query: Query) -> csr_matrix:
        from scipy.sparse import csr_matrix

        places = [
            (person, term)
            for person, phrases in enumerate(query.interests)
            for phrase in phrases
            for term in self._matching_terms(phrase)
        ]
        people = [person for person, _ in places]
        terms = [term for _, term in places]
        shape = (len(query), len(self.terms_))
        return csr_matrix((self.scales_[terms], (people, terms)), shape=shape, dtype=np.float32)

    def _matching_terms(self, phrase: str) -> list[int]:
        """The columns that a phrase names: its words, and tags or categories that are the whole phrase."""
        import re

        columns = self.__dict__.get("_columns")
        if columns is None:
            columns = {}
            for column, term in enumerate(self.terms_):
                columns.setdefault(term.casefold(), []).append(column)
            self._columns = columns
        whole = phrase.casefold().strip()
        words = dict.fromkeys([whole, *re.findall(WORD, whole)])
        return [column for word in words for column in columns.get(word, ())]

    def _explain(
        self, query: Query, items: npt.NDArray[np.int32], scores: npt.NDArray[np.float32]
    ) -> list[Explanation]:
        history = query.matrix(self.n_items, "one", self.params.min_rating).indices
        seen = self.content_[history]
        interests = query.interests[0] if query.interests else ()
        vectors = [self._interest_profiles(Query.of_history([], interests=((phrase,),))) for phrase in interests]
        explanations = []
        for item, score in zip(items.tolist(), scores.tolist(), strict=True):
            wanted = self.content_[[item]] * self.popularity_[item]
            shares = np.asarray((seen @ wanted.T).todense(), dtype=np.float64).ravel()
            parts = [
                Contribution(Source.HISTORY, float(share), int(code), self._shared_terms(item, int(code)))
                for code, share in zip(history.tolist(), shares.tolist(), strict=True)
                if share
            ]
            parts += [
                Contribution(Source.FEATURE, float((wanted @ vector.T).sum()), label=phrase)
                for phrase, vector in zip(interests, vectors, strict=True)
            ]
            explanations.append(
                Explanation.of(
                    item,
                    score,
                    parts,
                    additive=True,
                    faithful_to_removal=True,
                    method="each item of the history adds its similarity in content",
                )
            )
        return explanations

    def _shared_terms(self, item: int, other: int) -> str:
        """The terms that make two items alike, the weightiest first."""
        shared = self.content_[[item]].multiply(self.content_[[other]]).tocsr()
        best = shared.indices[np.lexsort((shared.indices, -shared.data))][:_SHOWN_TERMS]
        return ", ".join(dict.fromkeys(self.terms_[column] for column in best))

    def _item_similarities(self, item: int) -> npt.NDArray[Any]:
        """Cosine of the content of every item with that of one: float32 (n_items,), NaN where there is none."""
        lengths = np.sqrt(np.asarray(self.content_.multiply(self.content_).sum(axis=1)).ravel())
        products = np.asarray((self.content_ @ self.content_[[item]].T).todense()).ravel()
        with np.errstate(divide="ignore", invalid="ignore"):
            similarities: npt.NDArray[Any] = np.where(
                self.scorable_items(), products / (lengths * lengths[item]), np.nan
            )
        return similarities
