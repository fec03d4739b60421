"""Checks of explanations, embeddings and similar items: parts that add up, removals that do what they say."""

from __future__ import annotations

import numpy as np

from recsys_desktop.api.errors import CannotServe, InvalidData
from recsys_desktop.api.explanation import Explanation, Source
from recsys_desktop.api.query import Query
from recsys_desktop.api.testing import naive
from recsys_desktop.api.testing.workbench import Workbench, concerns, hold, must_raise


class ExplanationChecks(Workbench):
    """Explanations have the promised parts; embeddings and similar items are what they are called."""

    def _asked(self) -> list[tuple[Query, list[int], list[Explanation]]]:
        """Explanations of the first items of a few people's lists, the last one of them for a stranger if served."""
        query = self.active()
        people = [query.take([person]) for person in (0, 1, 30)]
        stranger = query.take([2]).as_strangers()
        if not np.isnan(self.model.score(stranger)).all():
            people.append(stranger)
        found = []
        for person in people:
            items = naive.top_n(self.model.score(person)[0], set(person.items.tolist()), 4)[::-1]
            found.append((person, items, self.model.explain(person, items)))
        return found

    @concerns(lambda test: test.capabilities().explains)
    def test_explanations_have_the_promised_parts(self) -> None:
        for person, items, explanations in self._asked():
            scores = self.model.score(person, items)[0]
            hold(
                [part.item for part in explanations] == items,
                f"asked to explain items {items}, the model explained {[part.item for part in explanations]}",
            )
            for explanation, score in zip(explanations, scores, strict=True):
                hold(
                    abs(explanation.score - score) <= 1e-4 * max(1.0, abs(score)),
                    f"the explanation speaks of score {explanation.score:.5g}, `score` says {score:.5g}",
                )
                values = [part.value for part in explanation.contributions]
                hold(np.isfinite([*values, explanation.base]).all(), "an explanation holds numbers that are not finite")
                hold(values == sorted(values, key=abs, reverse=True), "contributions must come largest magnitude first")
                hold(explanation.method.strip(), "the explanation does not say how its numbers came about (`method`)")
                hold(
                    len(values) or abs(explanation.residual) <= 1e-4 * max(1.0, abs(score)),
                    "an explanation without any contribution leaves the score unexplained",
                )
                history = set(person.items.tolist())
                for part in explanation.contributions:
                    if part.kind is Source.HISTORY:
                        hold(
                            part.code in history,
                            f"a contribution comes from item {part.code}, which is not in the history",
                        )
                    elif part.kind is not Source.NEIGHBOUR:
                        hold(part.label, f"a contribution of kind '{part.kind}' has no label for the person to read")

    @concerns(lambda test: test.capabilities().explains)
    def test_contributions_add_up_as_declared(self) -> None:
        for _, _, explanations in self._asked():
            for explanation in explanations:
                total = explanation.base + sum(part.value for part in explanation.contributions)
                allowed = 1e-4 * max(1.0, abs(explanation.score), abs(explanation.base))
                hold(
                    abs(total + explanation.residual - explanation.score) <= allowed,
                    "base, contributions and residual do not sum to the score",
                )
                hold(
                    explanation.additive or not self.spec.capabilities.additive,
                    "`additive` is declared, but an explanation does not say so",
                )
                if explanation.additive:
                    hold(
                        abs(explanation.residual) <= allowed,
                        f"an explanation calls itself additive, but {explanation.residual:.4g} of the score "
                        f"{explanation.score:.4g} is left over",
                    )

    @concerns(lambda test: test.capabilities().explains)
    def test_removing_a_history_item_does_what_its_contribution_says(self) -> None:
        checked = 0
        for person, _, explanations in self._asked():
            for explanation in explanations:
                hold(
                    explanation.faithful_to_removal or not self.spec.capabilities.faithful_to_removal,
                    "`faithful_to_removal` is declared, but an explanation does not say so",
                )
                if not explanation.faithful_to_removal:
                    continue
                sources = {part.code: part.value for part in explanation.contributions if part.kind is Source.HISTORY}
                for item in dict.fromkeys(person.items.tolist()):
                    changed = self.model.score(person.without(0, [item]), [explanation.item])[0, 0]
                    lost = explanation.score - changed
                    hold(
                        abs(lost - sources.get(item, 0.0)) <= 1e-3 * max(1e-3, abs(explanation.score)) + 1e-6,
                        f"without item {item} the score falls by {lost:.5g}; its contribution says "
                        f"{sources.get(item, 0.0):.5g}",
                    )
                    checked += 1
        hold(
            checked or not self.spec.capabilities.faithful_to_removal,
            "`faithful_to_removal` is declared, but there was no history to take away from",
        )

    @concerns(lambda test: test.capabilities().explains)
    def test_what_has_no_score_is_not_explained(self) -> None:
        listable = self.model.scorable_items()
        person = self.active().take([0])
        for item in np.flatnonzero(~listable):
            must_raise(
                CannotServe,
                lambda code=int(item): self.model.explain(person, [code]),  # type: ignore[misc]
                "an item without a score was explained",
            )
        must_raise(
            InvalidData,
            lambda: self.model.explain(self.active().take([0, 1]), [0]),
            "an explanation is for one person, but two were accepted",
        )

    @concerns(lambda test: not test.capabilities().explains)
    def test_explaining_is_refused(self) -> None:
        must_raise(
            CannotServe,
            lambda: self.model.explain(self.active().take([0]), [0]),
            "`explain` answers though `explains` is not declared; it must raise CannotServe",
        )

    def test_item_embeddings_are_as_declared(self) -> None:
        if not self.spec.capabilities.item_embeddings:
            must_raise(
                CannotServe,
                self.model.item_embeddings,
                "`item_embeddings` answers though it is not declared; it must raise CannotServe",
            )
            return
        self._hold_embeddings(self.model.item_embeddings(), self.train.n_items, self.model.scorable_items(), "item")

    def test_user_embeddings_are_as_declared(self) -> None:
        if not self.spec.capabilities.user_embeddings:
            must_raise(
                CannotServe,
                self.model.user_embeddings,
                "`user_embeddings` answers though it is not declared; it must raise CannotServe",
            )
            return
        self._hold_embeddings(self.model.user_embeddings(), self.train.n_users, self.train.user_counts > 0, "user")

    def _hold_embeddings(
        self, embeddings: np.ndarray[tuple[int, ...], np.dtype[np.float32]], n: int, known: object, what: str
    ) -> None:
        hold(embeddings.dtype == np.float32, f"{what} embeddings are {embeddings.dtype}, not float32")
        hold(
            embeddings.ndim == 2 and embeddings.shape[0] == n and embeddings.shape[1] > 0,
            f"{what} embeddings have shape {embeddings.shape}; one row for each of {n} was due",
        )
        rows = np.asarray(known)
        hold(np.isfinite(embeddings[rows]).all(), f"embeddings of known {what}s hold NaN or infinite values")
        hold(np.isnan(embeddings[~rows]).all(), f"rows of unknown {what}s must be NaN")
        hold(np.ptp(embeddings[rows], axis=0).max(initial=0.0) > 0, f"all {what} embeddings are the same")
        declared = getattr(self.model.params, self.dimension, None) if self.dimension else None
        if declared is not None:
            due = min(declared, self.train.n_users, self.train.n_items)
            hold(
                due <= embeddings.shape[1] <= declared,
                f"{what} embeddings have {embeddings.shape[1]} dimensions; '{self.dimension}' says {declared}",
            )

    @concerns(lambda test: test.capabilities().similar_items)
    def test_similar_items_are_others_and_best_first(self) -> None:
        for item in (0, 1, 20):
            codes, similarities = self.model.similar_items(item, 8)
            hold(len(codes) == len(similarities) == 8, f"8 similar items were asked for, {len(codes)} came")
            hold(item not in codes, "an item is listed as similar to itself")
            hold(len(set(codes.tolist())) == len(codes), "a similar item is listed twice")
            hold(np.isfinite(similarities).all(), "a similarity is not finite")
            hold((np.diff(similarities) <= 0).all(), "similar items must come most similar first")
            hold(
                self.model.scorable_items()[codes].all(), "an item that the model knows nothing of is listed as similar"
            )
        hold(len(self.model.similar_items(0, 3)[0]) == 3, "3 similar items were asked for, another number came")

    @concerns(lambda test: test.capabilities().similar_items)
    def test_similar_items_are_of_the_same_community(self) -> None:
        items = np.flatnonzero(self.train.item_counts > 3)
        same = [np.mean(self.model.similar_items(int(item), 3)[0] % 2 == item % 2) for item in items]
        hold(
            np.mean(same) > 0.6,
            f"on two communities only {np.mean(same):.0%} of the three most similar items are of an item's own; "
            "chance is 49%",
        )

    @concerns(lambda test: not test.capabilities().similar_items)
    def test_similar_items_are_refused(self) -> None:
        must_raise(
            CannotServe,
            lambda: self.model.similar_items(0),
            "`similar_items` answers though it is not declared; it must raise CannotServe",
        )
