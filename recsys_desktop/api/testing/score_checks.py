"""Checks of `score`, `predict` and lists: shapes, NaN, batches, subsets, scale, and which columns are used."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np

from recsys_desktop.api.dataset import Dataset, Float32
from recsys_desktop.api.errors import CannotServe, InvalidData
from recsys_desktop.api.query import Query
from recsys_desktop.api.testing import made_data, naive
from recsys_desktop.api.testing.workbench import Workbench, concerns, differ, hold, must_raise


class ScoreChecks(Workbench):
    """Answers have the promised shape, depend on nothing but the query, and use exactly what is declared."""

    def test_scores_have_the_promised_form(self) -> None:
        scores = self.model.score(self.everyone())
        hold(scores.dtype == np.float32, f"scores are {scores.dtype}, not float32")
        hold(scores.shape == (self.train.n_users, self.train.n_items), f"scores have shape {scores.shape}")
        hold(not np.isinf(scores).any(), "some scores are infinite")

    def test_known_people_and_items_have_scores(self) -> None:
        scores = self.model.score(self.active())[:, self.train.item_counts > 0]
        hold(
            not np.isnan(scores).any(),
            f"{int(np.isnan(scores).sum())} scores of known users for known items are NaN; NaN is for what the model "
            "knows nothing of",
        )

    def test_items_without_interactions_are_scored_exactly_where_declared(self) -> None:
        unseen = np.flatnonzero(self.train.item_counts == 0)
        scores = self.model.score(self.active(), unseen)
        if self.spec.capabilities.scores_new_items:
            hold(
                not np.isnan(scores).any(),
                "`scores_new_items` is declared, but items with features and without interactions score NaN",
            )
        else:
            hold(
                np.isnan(scores).all(),
                "items without interactions have scores, but `scores_new_items` is not declared; they must be NaN",
            )

    def test_chosen_items_score_as_in_the_whole_row(self) -> None:
        query = self.everyone()
        whole = self.model.score(query)
        chosen = np.array([7, 3, 41, 3, 0])
        text = differ(whole[:, chosen], self.model.score(query, chosen), 1e-5)
        hold(not text, f"`score(query, items)` differs from those columns of `score(query)`: {text}")
        hold(
            self.model.score(query, []).shape == (len(query), 0),
            "`score(query, [])` must answer with no columns",
        )

    def test_one_person_scores_as_in_a_batch(self) -> None:
        query = self.active()
        batch = self.model.score(query)
        people = [0, 17, len(query) - 1]
        single = np.vstack([self.model.score(query.take([person])) for person in people])
        text = differ(batch[people], single, 1e-5)
        hold(not text, f"people asked for one by one get other scores than in a batch: {text}")
        turned = self.model.score(query.take(np.arange(len(query))[::-1]))[::-1]
        text = differ(batch, turned, 1e-5)
        hold(not text, f"the order of people in a batch changes their scores: {text}")
        hold(
            self.model.score(query.take([])).shape == (0, self.train.n_items),
            "a query of nobody must give no rows",
        )

    def test_answers_belong_to_the_one_who_asked(self) -> None:
        query = self.everyone()
        answer = self.model.score(query)
        before = answer.copy()
        answer.fill(0)
        hold(
            np.array_equal(self.model.score(query), before, equal_nan=True),
            "writing into the answer of `score` changes the model's next answer",
        )

    def test_codes_outside_the_vocabulary_are_refused(self) -> None:
        n_items = self.train.n_items
        must_raise(
            InvalidData,
            lambda: self.model.score(self.everyone(), [n_items]),
            "an item code beyond the vocabulary was accepted",
        )
        must_raise(
            InvalidData,
            lambda: self.model.score(Query.of_history([n_items], [5.0])),
            "a history with an item code beyond the vocabulary was accepted",
        )

    def test_four_threads_get_what_one_gets(self) -> None:
        query = self.active()
        queries = [query.take([person]) for person in range(0, len(query), 2)]
        serial = [self.model.score(part) for part in queries]
        with ThreadPoolExecutor(4) as pool:
            parallel = list(pool.map(self.model.score, queries * 3))
        for person, answer in enumerate(parallel):
            text = differ(serial[person % len(serial)], answer, 1e-5)
            hold(
                not text, f"four threads asking at once get other scores than one ({text}): an answer changes the model"
            )

    @concerns(lambda test: test.capabilities().ranks)
    def test_lists_hold_nothing_twice_nothing_seen_nothing_unknown(self) -> None:
        query = self.active()
        scores = self.model.score(query)
        listable = self.model.scorable_items()
        for person in range(len(query)):
            seen = set(query.history(person).tolist())
            listed = naive.top_n(scores[person], seen, 10)
            hold(
                len(listed) == len(set(listed)) == 10, f"the list of person {person} has {len(set(listed))} of 10 items"
            )
            hold(not seen & set(listed), f"the list of person {person} holds items that they have seen")
            hold(
                all(listable[code] for code in listed),
                f"the list of person {person} holds items that the model itself calls unknown",
            )

    @concerns(lambda test: test.capabilities().predicts_ratings)
    def test_predictions_stay_within_the_scale(self) -> None:
        predictions = self.model.predict(self.everyone())
        hold(predictions.dtype == np.float32, f"predictions are {predictions.dtype}, not float32")
        answered = predictions[~np.isnan(predictions)]
        low, high, _ = made_data.SCALE
        hold(len(answered), "no pair has a prediction")
        hold(
            low <= answered.min() and answered.max() <= high,
            f"predictions go from {answered.min():.2f} to {answered.max():.2f} on a scale from {low:g} to {high:g}",
        )

    @concerns(lambda test: test.capabilities().predicts_ratings)
    def test_pairs_are_predicted_as_in_the_whole_row(self) -> None:
        query = self.everyone()
        generator = np.random.default_rng(0)
        people = generator.integers(0, len(query), 200)
        items = generator.integers(0, self.train.n_items, 200)
        text = differ(self.model.predict(query)[people, items], self.model.predict_pairs(query, people, items), 1e-5)
        hold(not text, f"`predict_pairs` differs from `predict`: {text}")

    @concerns(lambda test: not test.capabilities().predicts_ratings)
    def test_predicting_ratings_is_refused(self) -> None:
        must_raise(
            CannotServe,
            lambda: self.model.predict(self.everyone()),
            "`predict` answers though `predicts_ratings` is not declared; it must raise CannotServe",
        )

    def test_ratings_are_used_exactly_as_declared(self) -> None:
        data = self.train
        assert data.ratings is not None
        turned = replace(data, ratings=6 - data.ratings)
        first = self._answers(self.model.score, data)
        second = self._answers(self.fit(turned).score, turned)
        if self.spec.capabilities.uses_ratings:
            hold(
                differ(first, second),
                "`uses_ratings` is declared, but turning every rating round changes no score",
            )
        else:
            text = differ(first, second)
            hold(
                not text,
                f"`uses_ratings` is not declared, but turning every rating round changes scores ({text}): treat every "
                "interaction as 1",
            )
            query = replace(self.everyone(), ratings=None)
            text = differ(first, self.model.score(query))
            hold(not text, f"`uses_ratings` is not declared, but a query without ratings scores differently: {text}")

    def test_item_content_is_used_exactly_as_declared(self) -> None:
        capabilities = self.spec.capabilities
        table = self.train.item_features
        shuffled = table.take(np.random.default_rng(3).permutation(len(table)))
        other = replace(self.train, item_features=shuffled)
        text = differ(self.model.score(self.everyone()), self.fit(other).score(self.everyone(other)))
        if capabilities.uses_text or capabilities.uses_features:
            hold(text, "`uses_text` or `uses_features` is declared, but exchanging the items' content changes no score")
        else:
            hold(
                not text,
                f"neither `uses_text` nor `uses_features` is declared, but item content changes scores ({text})",
            )

    @concerns(lambda test: test.capabilities().uses_timestamps)
    def test_timestamps_are_used_as_declared(self) -> None:
        data = self.train
        assert data.timestamps is not None
        turned = replace(data, timestamps=2 * made_data.START - data.timestamps)
        text = differ(self._answers(self.model.score, data), self._answers(self.fit(turned).score, turned))
        hold(text, "`uses_timestamps` is declared, but turning time round changes no score")

    def _answers(self, score: Callable[[Query], Float32], data: Dataset) -> Float32:
        return score(self.everyone(data))
