"""Checks of whom a model serves: strangers, people without a history, people under another's code."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from recsys_desktop.api.algorithm import Serves
from recsys_desktop.api.query import Query
from recsys_desktop.api.testing.workbench import Workbench, concerns, differ, hold


class ServingChecks(Workbench):
    """The model serves exactly those whom `serves` promises, and answers NaN for the others."""

    def _nobody(self) -> Query:
        """Somebody new of whom nothing is known."""
        return Query.of_history([], ratings=[], timestamps=[])

    @concerns(lambda test: test.capabilities().serves is Serves.EVERYONE)
    def test_everyone_gets_the_same(self) -> None:
        known = self.model.score(self.everyone())
        stranger = self.model.score(self._nobody())
        text = differ(np.repeat(stranger, len(known), axis=0), known)
        hold(not text, f"`serves` is EVERYONE, but people get different scores, or some none: {text}")

    @concerns(lambda test: test.capabilities().serves is Serves.HISTORY)
    def test_the_user_is_the_history(self) -> None:
        query = self.active()
        known = self.model.score(query)
        text = differ(known, self.model.score(query.as_strangers()))
        hold(not text, f"`serves` is HISTORY, but a stranger with the same history gets other scores: {text}")
        exchanged = replace(query, users=query.users[::-1])
        text = differ(known, self.model.score(exchanged))
        hold(not text, f"`serves` is HISTORY, but the same history under another user's code gets other scores: {text}")

    @concerns(lambda test: test.capabilities().serves is Serves.HISTORY)
    def test_somebody_without_a_history_is_not_served(self) -> None:
        hold(
            np.isnan(self.model.score(self._nobody())).all(),
            "`serves` is HISTORY, but somebody without a history has scores; the fallback is to answer (NaN)",
        )
        emptied = self.active().take([0])
        emptied = emptied.keep_entries(np.zeros(len(emptied.items), dtype=np.bool_))
        hold(
            np.isnan(self.model.score(emptied)).all(),
            "`serves` is HISTORY, but a known user whose history was emptied still has scores",
        )

    @concerns(lambda test: test.capabilities().serves is Serves.FOLD_IN)
    def test_strangers_with_a_history_are_folded_in(self) -> None:
        query = self.active()
        known, folded = self.model.score(query), self.model.score(query.as_strangers())
        hold(
            not np.isnan(folded[:, self.train.item_counts > 0]).any(),
            "`serves` is FOLD_IN, but strangers with a history have no scores",
        )
        scorable = self.model.scorable_items()
        agreement = [
            np.corrcoef(known[person, scorable], folded[person, scorable])[0, 1] for person in range(len(query))
        ]
        hold(
            np.nanmean(agreement) > 0.3,
            f"`serves` is FOLD_IN, but strangers' scores hardly agree with those of known users with the same history "
            f"(mean correlation {np.nanmean(agreement):.2f})",
        )
        hold(
            np.isnan(self.model.score(self._nobody())).all(),
            "`serves` is FOLD_IN, but a stranger without a history has scores; the fallback is to answer (NaN)",
        )

    @concerns(lambda test: test.capabilities().serves is Serves.KNOWN_USERS)
    def test_only_known_users_are_served(self) -> None:
        hold(
            np.isnan(self.model.score(self.active().as_strangers())).all(),
            "`serves` is KNOWN_USERS, but strangers have scores; they must be NaN so that the fallback answers",
        )

    @concerns(lambda test: test.capabilities().serves is not Serves.EVERYONE)
    def test_users_without_interactions_are_unknown(self) -> None:
        idle = np.flatnonzero(self.train.user_counts == 0)
        hold(
            np.isnan(self.model.score(Query.of_users(self.train, idle))).all(),
            "users of the vocabulary who had no interaction in the training data have scores; they must be NaN",
        )

    @concerns(lambda test: test.capabilities().serves in (Serves.HISTORY, Serves.FOLD_IN))
    def test_a_bare_history_is_answered(self) -> None:
        bare = replace(self.active().as_strangers(), ratings=None, timestamps=None, attributes=None)
        try:
            scores = self.model.score(bare)
        except Exception as error:
            raise AssertionError(
                f"a history of items alone, as somebody new gives it, made `score` raise {error!r}; ratings, "
                "timestamps and attributes of a query may be None (NaN says that ratings are needed)"
            ) from error
        hold(
            self.spec.needs.ratings or not np.isnan(scores[:, self.train.item_counts > 0]).any(),
            "a history of items alone, without ratings, timestamps and attributes, has no scores, though the algorithm "
            "does not need ratings",
        )

    def test_a_history_of_unknown_items_does_no_harm(self) -> None:
        unseen = np.flatnonzero(self.train.item_counts == 0)
        scores = self.model.score(Query.of_history(unseen, [5.0] * len(unseen), [self._later()] * len(unseen)))
        hold(not np.isinf(scores).any(), "a history of items without interactions gives infinite scores")
        query = self.active().take([0])
        mixed = Query.of_history(
            [*query.items, unseen[0]],
            None if query.ratings is None else [*query.ratings, 5.0],
            None if query.timestamps is None else [*query.timestamps, self._later()],
            user=int(query.users[0]),
        )
        known = self.train.item_counts > 0
        hold(
            not np.isnan(self.model.score(mixed)[:, known]).any(),
            "one unknown item in a history takes away the scores of the known ones",
        )

    @concerns(lambda test: test.capabilities().serves is Serves.HISTORY and test.is_personalised())
    def test_what_a_person_did_changes_what_they_get(self) -> None:
        query = self.active()
        half = query.keep_entries(np.arange(len(query.items)) % 2 == 0)
        served = half.lengths > 0
        before, after = self.model.score(query)[served], self.model.score(half)[served]
        hold(differ(before, after), "`serves` is HISTORY, but taking half of everybody's history away changes no score")

    def _later(self) -> int:
        assert self.train.timestamps is not None
        return int(self.train.timestamps.max()) + 3600
