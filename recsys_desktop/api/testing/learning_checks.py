"""Checks of `updated`: a new model that has taken in what is new, while the old one stays as it was."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from recsys_desktop.api.algorithm import Serves
from recsys_desktop.api.dataset import Dataset
from recsys_desktop.api.errors import CannotServe, InvalidData
from recsys_desktop.api.query import Query
from recsys_desktop.api.testing.workbench import Workbench, concerns, differ, hold, must_raise
from recsys_desktop.api.vocabulary import Vocabulary

N_LEARNERS = 12


class LearningChecks(Workbench):
    """New interactions, people and items reach the updated model, in the direction of a refit."""

    @concerns(lambda test: not test.capabilities().updates_live)
    def test_updating_is_refused(self) -> None:
        must_raise(
            CannotServe,
            lambda: self.model.updated(self._additions()),
            "`updated` answers though `updates_live` is not declared; it must raise CannotServe",
        )

    @concerns(lambda test: test.capabilities().updates_live)
    def test_an_update_leaves_the_old_model_alone(self) -> None:
        model = self.fit(self.train)
        before = model.score(self.everyone())
        users, items = len(model.user_vocabulary), len(model.item_vocabulary)
        updated = model.updated(self._additions())
        hold(updated is not model, "`updated` must return a new model")
        hold(
            np.array_equal(before, model.score(self.everyone()), equal_nan=True)
            and (users, items) == (len(model.user_vocabulary), len(model.item_vocabulary)),
            "`updated` changed the model that it was called on; readers would see half an update",
        )

    @concerns(lambda test: test.capabilities().updates_live)
    def test_an_update_changes_that_persons_scores(self) -> None:
        additions = self._additions(new_people=False)
        updated = self.model.updated(additions)
        after = self._combined(additions)
        for user in range(N_LEARNERS):
            old = self.model.score(Query.of_users(self.train, [user]))
            new = updated.score(Query.of_users(after, [user]))
            hold(differ(old, new, 1e-6), f"one more rating changes nothing for user {user}")

    @concerns(lambda test: test.capabilities().updates_live)
    def test_an_update_goes_where_a_refit_goes(self) -> None:
        additions = self._additions(new_people=False)
        after = self._combined(additions)
        learners = np.arange(N_LEARNERS)
        old = self.model.score(Query.of_users(self.train, learners))
        new = self.model.updated(additions).score(Query.of_users(after, learners))
        refit = self.fit(after).score(Query.of_users(after, learners))
        shared = ~(np.isnan(old) | np.isnan(new) | np.isnan(refit))
        step, way = (new - old)[shared].astype(np.float64), (refit - old)[shared].astype(np.float64)
        lengths = float(np.linalg.norm(step)) * float(np.linalg.norm(way))
        agreement = float(step @ way) / max(lengths, 1e-30)
        hold(
            agreement > 0,
            f"an update moves scores away from where a refit on the same data moves them (cosine {agreement:.2f})",
        )

    @concerns(lambda test: test.capabilities().updates_live)
    def test_an_update_takes_in_new_people_and_items(self) -> None:
        additions = self._additions()
        updated = self.model.updated(additions)
        hold(
            updated.user_vocabulary == additions.user_vocabulary
            and updated.item_vocabulary == additions.item_vocabulary,
            "the updated model does not have the vocabularies of the additions",
        )
        after = self._combined(additions)
        newcomer = len(self.train.user_vocabulary)
        known = updated.scorable_items()
        hold(known[len(self.train.item_vocabulary)], "a new item that was rated is not known to the updated model")
        scores = updated.score(Query.of_users(after, [newcomer]))
        hold(
            scores.shape == (1, after.n_items) and not np.isnan(scores[:, known]).any(),
            "a new person has no scores from the updated model",
        )
        old = updated.score(Query.of_users(after, np.arange(N_LEARNERS)))
        hold(not np.isnan(old[:, known]).any(), "known people have no score for a new item from the updated model")
        if self.spec.capabilities.serves is not Serves.EVERYONE:
            hold(updated.known_users_[newcomer], "a new person is not known to the updated model")

    @concerns(lambda test: test.capabilities().updates_live)
    def test_an_updated_model_can_be_updated_saved_and_asked_again(self) -> None:
        additions = self._additions()
        once = self.model.updated(additions)
        twice = once.updated(self._second(additions))
        after = self._combined(additions)
        scores = twice.score(Query.of_users(after, np.arange(N_LEARNERS)))
        hold(
            not np.isinf(scores).any() and not np.isnan(scores).all(),
            "a model that was updated twice has no usable scores",
        )

    @concerns(lambda test: test.capabilities().updates_live)
    def test_an_update_without_interactions_changes_no_score(self) -> None:
        """A person and an item are added, of whom nothing is known yet."""
        additions = self._additions().subset(np.empty(0, dtype=np.int64))
        updated = self.model.updated(additions)
        learners, items = np.arange(N_LEARNERS), np.arange(self.train.n_items)
        old = self.model.score(Query.of_users(self.train, learners), items)
        new = updated.score(Query.of_users(self._combined(additions), learners), items)
        hold(
            not differ(old, new, 1e-4),
            "an update that brings a person and an item without interactions changes scores between the others",
        )

    @concerns(lambda test: test.capabilities().updates_live)
    def test_a_vocabulary_that_does_not_continue_is_refused(self) -> None:
        turned = Vocabulary(list(self.train.item_vocabulary)[::-1])
        additions = replace(self._additions(new_people=False), item_vocabulary=turned)
        must_raise(
            InvalidData,
            lambda: self.model.updated(additions),
            "additions whose item codes mean other items were accepted",
        )

    def _additions(self, new_people: bool = True) -> Dataset:
        """One more interaction for some users, with the most popular item they lack; one new person and one new item.

        The new item has the content of item 0.
        """
        data = self.train
        users, items = data.user_vocabulary, data.item_vocabulary
        seen = data.matrix()
        by_popularity = np.argsort(-data.item_counts, kind="stable")
        rows = [
            (user, next(int(item) for item in by_popularity if seen[user, item] == 0), 5.0)
            for user in range(N_LEARNERS)
        ]
        if new_people:
            users, items = users.extended(["newcomer"]), items.extended(["novelty"])
            newcomer, novelty = len(users) - 1, len(items) - 1
            rows += [(newcomer, 0, 5.0), (newcomer, 2, 4.0), (newcomer, novelty, 5.0), (0, novelty, 4.0)]
        assert data.timestamps is not None
        return replace(
            data,
            user_vocabulary=users,
            item_vocabulary=items,
            users=np.array([user for user, _, _ in rows]),
            items=np.array([item for _, item, _ in rows]),
            ratings=np.array([rating for _, _, rating in rows]),
            timestamps=int(data.timestamps.max()) + 60 * (1 + np.arange(len(rows))),
            item_features=data.item_features.take([*range(data.n_items), *[0] * (len(items) - data.n_items)]),
            user_features=data.user_features.take([*range(data.n_users), *[-1] * (len(users) - data.n_users)]),
        )

    def _second(self, additions: Dataset) -> Dataset:
        """Another update in the same vocabularies: one interaction that is not in the data yet."""
        assert additions.timestamps is not None
        return replace(
            additions,
            users=np.array([N_LEARNERS]),
            items=np.array([additions.n_items - 1]),
            ratings=np.array([3.0]),
            timestamps=additions.timestamps[-1:] + 60,
        )

    def _combined(self, additions: Dataset) -> Dataset:
        """The training data and the additions together, in the additions' vocabularies."""
        data = self.train
        assert data.ratings is not None
        assert data.timestamps is not None
        assert additions.ratings is not None
        assert additions.timestamps is not None
        return replace(
            additions,
            users=np.concatenate((data.users, additions.users)),
            items=np.concatenate((data.items, additions.items)),
            ratings=np.concatenate((data.ratings, additions.ratings)),
            timestamps=np.concatenate((data.timestamps, additions.timestamps)),
        )
