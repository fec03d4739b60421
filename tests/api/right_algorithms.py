"""Small algorithms that keep every promise, one for each way of serving and learning; the kit must pass them all."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix

from recsys_desktop.api import CannotFit, Contribution, Explanation, Forecast, Query, Recommender, Source, TagsColumn
from tests.api.right_specifications import BIASES, BLEND, CONTENT, FACTORS, FOLD, NEIGHBOURS, POPULAR


class Neighbours(Recommender):
    """Items had together: shrunk cosine, summed over the history."""

    spec = NEIGHBOURS

    def estimate(self, shape):
        overlaps = min(shape.n_items**2, shape.n_interactions**2 // max(shape.n_users, 1))
        memory = 12 * overlaps + 14 * shape.n_items**2 + 60 * shape.n_interactions
        return Forecast(memory + 2**20, 1e-8 * memory, cheaper="popular")

    def _fit(self, train, run):
        run.progress(0.1, "counting")
        self.interactions_ = train.matrix().astype(np.float32)
        self.weights_ = self._weigh(self.interactions_)
        run.progress(1.0)

    def _weigh(self, interactions):
        together = (interactions.T @ interactions).toarray()
        size = np.sqrt(np.diagonal(together) + self.params.shrinkage)
        together /= size
        together /= size[:, None]
        np.fill_diagonal(together, 0)
        return np.power(together, self.params.power, out=together)

    def _score(self, query, items):
        weights = self.weights_ if items is None else self.weights_[:, items]
        return query.matrix(self.n_items) @ weights

    def _explain(self, query, items, scores):
        history = np.unique(query.items)
        return [
            Explanation.of(
                item,
                score,
                [Contribution(Source.HISTORY, float(self.weights_[code, item]), int(code)) for code in history],
                additive=True,
                faithful_to_removal=True,
                method="items had together",
            )
            for item, score in zip(items, scores, strict=True)
        ]

    def _item_similarities(self, item):
        return np.where(self.known_items_, self.weights_[item], np.nan)

    def _updated(self, additions):
        grown = self.interactions_.copy()
        grown.resize((self.n_users, self.n_items))
        self.interactions_ = csr_matrix(grown + additions.matrix())
        self.weights_ = self._weigh(self.interactions_)


class Popular(Recommender):
    """How many have an item."""

    spec = POPULAR

    def estimate(self, shape):
        return Forecast(10 * shape.n_interactions + 16 * shape.n_items + 2**20, 1e-8 * shape.n_interactions)

    def _fit(self, train, run):
        self.counts_ = train.item_counts.astype(np.float32)

    def _score(self, query, items):
        return np.tile(self.counts_ if items is None else self.counts_[items], (len(query), 1))

    def _updated(self, additions):
        grown = additions.item_counts.astype(np.float32)
        grown[: len(self.counts_)] += self.counts_
        self.counts_ = grown


class Factors(Recommender):
    """Regularised factors of ratings, by alternating gradient steps with all data at once."""

    spec = FACTORS

    def estimate(self, shape):
        memory = 26 * shape.n_interactions + 12 * self.params.factors * (shape.n_users + shape.n_items)
        return Forecast(memory + 2**20, 3e-7 * self.params.epochs * shape.n_interactions, cheaper="popular")

    def _fit(self, train, run):
        generator = run.generator()
        self.mean_ = float(train.ratings.mean())
        self.users_ = generator.normal(0, 0.3, (self.n_users, self.params.factors)).astype(np.float32)
        self.items_ = generator.normal(0, 0.3, (self.n_items, self.params.factors)).astype(np.float32)
        centred = csr_matrix((train.ratings - self.mean_, (train.users, train.items)), (self.n_users, self.n_items))
        best, kept = None, None
        epochs = run.epochs or self.params.epochs
        for epoch in range(1, epochs + 1):
            self._solve(centred, self.items_, self.users_)
            self._solve(centred.T.tocsr(), self.users_, self.items_)
            run.log(epoch, loss=float(np.square(self.users_).mean()))
            run.progress(epoch / epochs)
            figure = run.validate(self) if run.validates and run.epochs is None else None
            if figure is None or figure.better_than(best):
                best, kept = figure or best, (epoch, self.users_.copy(), self.items_.copy())
            if run.should_stop:
                break
        self.best_epoch_, self.users_, self.items_ = kept

    def _solve(self, ratings, fixed, free):
        ridge = 2.0 * np.eye(fixed.shape[1], dtype=np.float32)
        for row in np.flatnonzero(np.diff(ratings.indptr)):
            entries = slice(ratings.indptr[row], ratings.indptr[row + 1])
            part = fixed[ratings.indices[entries]]
            free[row] = np.linalg.solve(part.T @ part + ridge, part.T @ ratings.data[entries])

    def _score(self, query, items):
        factors = self.items_ if items is None else self.items_[items]
        valid = (query.users >= 0) & (query.users < len(self.users_))
        return self.mean_ + self.users_[np.where(valid, query.users, 0)] @ factors.T

    def item_embeddings(self):
        return np.where(self.known_items_[:, None], self.items_, np.float32(np.nan))

    def user_embeddings(self):
        return np.where(self.known_users_[:, None], self.users_, np.float32(np.nan))


class Content(Recommender):
    """Tags in common with the history, what was done last counting most."""

    spec = CONTENT

    def estimate(self, shape):
        memory = 12 * shape.item_values + 8 * shape.n_items + 17 * shape.n_interactions
        return Forecast(memory + 2**20, 1e-8 * memory)

    def _fit(self, train, run):
        columns = [column for column in train.item_features.columns.values() if isinstance(column, TagsColumn)]
        if not columns:
            raise CannotFit("'content' needs a column of tags")
        column = columns[0]
        ones = np.ones(len(column.indices), dtype=np.float32)
        self.tags_ = csr_matrix((ones, column.indices, column.indptr), (self.n_items, len(column.categories)))

    def _score(self, query, items):
        age = query.indptr[query.owner + 1] - 1 - np.arange(len(query.items))
        weights = (0.9**age).astype(np.float32)
        history = csr_matrix((weights, query.items, query.indptr), (len(query), self.n_items))
        tags = self.tags_ if items is None else self.tags_[items]
        return ((history @ self.tags_) @ tags.T).toarray()


class Fold(Recommender):
    """The three strongest directions of the interactions; strangers are projected on them, a little shrunk."""

    spec = FOLD

    def estimate(self, shape):
        overlaps = min(shape.n_items**2, shape.n_interactions**2 // max(shape.n_users, 1))
        return Forecast(12 * overlaps + 46 * shape.n_items**2 + 40 * shape.n_interactions + 2**20, 1.0)

    def _fit(self, train, run):
        interactions = train.matrix()
        _, vectors = np.linalg.eigh((interactions.T @ interactions).toarray())
        largest = vectors[:, -3:] * np.sign(vectors[:, -3:].sum(axis=0))
        self.items_ = largest.astype(np.float32)
        self.users_ = (interactions @ self.items_).astype(np.float32)

    def _score(self, query, items):
        factors = self.items_ if items is None else self.items_[items]
        people = 0.9 * (query.matrix(self.n_items) @ self.items_)
        known = self._known_people(query)
        people[known] = self.users_[query.users[known]]
        return people @ factors.T

    def item_embeddings(self):
        return np.where(self.known_items_[:, None], self.items_, np.float32(np.nan))


class Biases(Recommender):
    """How far an item's and then a person's ratings lie from the mean."""

    spec = BIASES

    def estimate(self, shape):
        return Forecast(18 * shape.n_interactions + 40 * shape.n_items + 2**20, 1e-8 * shape.n_interactions)

    def _fit(self, train, run):
        self.mean_ = float(train.ratings.mean())
        sums = np.bincount(train.items, weights=train.ratings - self.mean_, minlength=self.n_items)
        self.items_ = (sums / (train.item_counts + 3)).astype(np.float32)

    def _score(self, query, items):
        known = self.mean_ + self.items_[query.items]
        given = known if query.ratings is None else query.ratings
        sums = np.bincount(query.owner, weights=given - known, minlength=len(query))
        people = sums / (query.lengths + 3)
        return self.mean_ + people[:, None] + (self.items_ if items is None else self.items_[items])


class Blend(Recommender):
    """The mean of its members' scores, each on its own scale."""

    spec = BLEND

    def estimate(self, shape):
        overlaps = min(shape.n_items**2, shape.n_interactions**2 // max(shape.n_users, 1))
        return Forecast(12 * overlaps + 50 * shape.n_items**2 + 80 * shape.n_interactions + 2**20, 1.0)

    def _fit(self, train, run):
        self.members_ = [run.fit(name, {}, train) for name in self.params.members]
        query = train.subset(np.arange(len(train)))
        self.scales_ = [self._spread(member, query) for member in self.members_]

    def _spread(self, member, data):
        users = np.flatnonzero(data.user_counts > 0)[:50]
        return float(np.nanstd(member.score(Query.of_users(data, users)))) or 1.0

    def _score(self, query, items):
        parts = [member.score(query, items) / scale for member, scale in zip(self.members_, self.scales_, strict=True)]
        return np.mean(parts, axis=0)
