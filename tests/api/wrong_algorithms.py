"""Algorithms that each break one promise, and the check that has to catch them.

`WRONG` holds, for each, the class, the check, and settings of the test class. Each is a right algorithm with one fault.
"""

from __future__ import annotations

import copy
import pickle
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from recsys_desktop.api import (
    CannotFit,
    DataShape,
    Explanation,
    Forecast,
    Needs,
    Params,
    Recommender,
    Serves,
    TuningRange,
    param,
)
from tests.api.right_algorithms import Biases, Content, Factors, Fold, Neighbours, Popular
from tests.api.right_specifications import NEIGHBOURS, NeighboursParams

SMALL_SHAPES = (DataShape(1000, 1000, 50_000), DataShape(2000, 2000, 100_000))


class Wrong(NamedTuple):
    """A faulty algorithm, the check that has to catch it, settings of its test class, and words of the failure text."""

    algorithm: type[Recommender]
    check: str
    settings: dict[str, Any]
    says: str


WRONG: list[Wrong] = []


def breaks(
    check: str,
    says: str,
    *,
    declares: dict[str, Any] | None = None,
    settings: dict[str, Any] | None = None,
    **changes: Any,
) -> Callable[[type[Recommender]], type[Recommender]]:
    """Register a faulty class. declares: capabilities that differ; changes: other fields of the spec that differ."""

    def register(cls: type[Recommender]) -> type[Recommender]:
        capabilities = replace(cls.spec.capabilities, **(declares or {}))
        cls.spec = replace(
            cls.spec, implementation=f"{cls.__module__}:{cls.__name__}", capabilities=capabilities, **changes
        )
        WRONG.append(Wrong(cls, check, settings or {}, says))
        return cls

    return register


# Specification and parameters


@breaks("test_specification_loads_its_implementation", "one line", summary="")
class SaysNothingOfItself(Neighbours):
    pass


@breaks("test_specification_loads_its_implementation", "another spec")
class CarriesAnotherSpec(Neighbours):
    pass


CarriesAnotherSpec.spec = replace(NEIGHBOURS, implementation=CarriesAnotherSpec.spec.implementation, paper="another")
WRONG[-1] = WRONG[-1]._replace(settings={"spec": replace(CarriesAnotherSpec.spec, paper="")})


@breaks("test_capabilities_are_consistent", "`explains` is not declared", declares={"explains": False})
class AddsUpWhatItDoesNotExplain(Neighbours):
    pass


@breaks("test_capabilities_are_consistent", "answers nothing", declares={"ranks": False})
class AnswersNothing(Neighbours):
    pass


class WithoutHelp(Params):
    strength: float = param(1.0, help="", ge=0)


@breaks("test_parameters_have_help_and_valid_defaults", "'strength' has no help", params=WithoutHelp)
class HasNoHelp(Popular):
    pass


class WithoutBounds(Params):
    strength: float = param(1.0, help="Raise it for a stronger effect.")


@breaks("test_parameters_have_help_and_valid_defaults", "'strength' has no bounds", params=WithoutBounds)
class HasNoBounds(Popular):
    pass


class Clamping(Params):
    strength: int = param(1, help="Raise it for a stronger effect.", ge=0, le=10)

    @classmethod
    def parse(cls, values):
        kept = {name: min(max(value, 0), 10) if isinstance(value, int) else value for name, value in values.items()}
        return super().parse(kept)


@breaks("test_values_out_of_bounds_are_refused_by_name", "accepted -1", params=Clamping)
class ClampsInSilence(Popular):
    pass


class Forgiving(Params):
    @classmethod
    def parse(cls, values):
        return super().parse({name: value for name, value in values.items() if name in cls.model_fields})


@breaks("test_unknown_parameters_are_refused_by_name", "does not exist was accepted", params=Forgiving)
class IgnoresUnknownParameters(Popular):
    pass


class BadTuning(Params):
    strength: float = param(1.0, help="Raise it for a stronger effect.", ge=0, le=10, tune=TuningRange(0, 5, log=True))


@breaks("test_tuning_ranges_lie_inside_the_validity_range", "must begin above 0", params=BadTuning)
class TunesFromZeroInProportion(Popular):
    pass


class WideTuning(Params):
    strength: float = param(1.0, help="Raise it for a stronger effect.", ge=0, le=10, tune=TuningRange(1, 50))


@breaks("test_tuning_ranges_lie_inside_the_validity_range", "tuning tries 50", params=WideTuning)
class TunesBeyondItsBounds(Popular):
    pass


class Forgetful(NeighboursParams):
    def to_dict(self):
        return {"power": self.power}


@breaks(
    "test_parameters_survive_being_written_and_read",
    "does not give the same parameters",
    settings={"params": {"shrinkage": 3.0}},
    params=Forgetful,
)
class ForgetsAParameter(Neighbours):
    pass


# fit


@breaks("test_an_unfitted_model_says_so", "never fitted")
class AnswersUnfitted(Popular):
    def score(self, query, items=None):
        if not self.is_fitted:
            return np.zeros((len(query), 1), dtype=np.float32)
        return super().score(query, items)


@breaks("test_fit_returns_itself_and_leaves_what_it_promises", "return the model itself")
class ReturnsACopy(Neighbours):
    def fit(self, train, run=None):
        super().fit(train, run)
        return copy.copy(self)


@breaks("test_fit_returns_itself_and_leaves_what_it_promises", "known_users_")
class CallsEveryoneKnown(Neighbours):
    def _fit(self, train, run):
        super()._fit(train, run)
        self.known_users_ = np.ones(self.n_users, dtype=np.bool_)


@breaks("test_fit_returns_itself_and_leaves_what_it_promises", "no attribute that ends in '_'")
class KeepsNothingToSave(Neighbours):
    def _fit(self, train, run):
        self.learnt = train.item_counts.astype(np.float32)

    def _score(self, query, items):
        return np.tile(self.learnt, (len(query), 1))


@breaks("test_fit_leaves_the_data_alone", "changed the training data")
class WritesIntoTheData(Popular):
    def _fit(self, train, run):
        super()._fit(train, run)
        train.item_features.columns["year"].values[:] = 0


@breaks("test_fitting_again_forgets_the_first_data", "something of the first fit is left")
class RemembersTheFirstFit(Popular):
    def _fit(self, train, run):
        super()._fit(train, run)
        self.largest = max(getattr(self, "largest", 0.0), 1000.0 / len(train))
        self.counts_ = self.counts_ * self.largest


@breaks("test_same_seed_same_bits", "different bits")
class DrawsFromTheGlobalGenerator(Popular):
    def _fit(self, train, run):
        super()._fit(train, run)
        self.counts_ = self.counts_ + np.random.default_rng().random(self.n_items).astype(np.float32)


@breaks("test_another_seed_matters_exactly_where_declared", "declare `randomised`")
class HidesItsDraws(Popular):
    def _fit(self, train, run):
        super()._fit(train, run)
        self.counts_ = self.counts_ + run.generator().random(self.n_items).astype(np.float32)


@breaks("test_another_seed_matters_exactly_where_declared", "seed is not used", declares={"randomised": True})
class ClaimsToDraw(Popular):
    pass


@breaks("test_another_number_of_threads_gives_the_same_scores", "two threads give other scores")
class DependsOnThreads(Popular):
    def _fit(self, train, run):
        super()._fit(train, run)
        self.counts_ = self.counts_ + 0.01 * run.threads * np.arange(self.n_items, dtype=np.float32)


@breaks("test_progress_never_falls", "falling fractions")
class GoesBackwards(Popular):
    def _fit(self, train, run):
        run.progress(0.9)
        super()._fit(train, run)
        run.progress(0.1)


@breaks("test_progress_never_falls", "not finite")
class LogsNonsense(Popular):
    def _fit(self, train, run):
        super()._fit(train, run)
        run.log(1, loss=float("nan"))


@breaks("test_stops_at_once_when_asked", "no score at all")
class StopsWithNothing(Popular):
    def _fit(self, train, run):
        super()._fit(train, run)
        if run.should_stop:
            self.counts_ = np.full(self.n_items, np.nan, dtype=np.float32)


@breaks("test_stops_between_epochs_and_keeps_the_model", "never reads `run.should_stop`")
class NeverLooksUp(Factors):
    def _fit(self, train, run):
        super()._fit(train, _Deaf(run))


@breaks("test_stops_between_epochs_and_keeps_the_model", "training went on to 60")
class LooksUpAndGoesOn(Factors):
    def _fit(self, train, run):
        assert run.should_stop in (True, False)
        super()._fit(train, _Deaf(run))


class _Deaf:
    """A run whose wish to stop is not heard."""

    should_stop = False

    def __init__(self, run):
        self._run = run

    def __getattr__(self, name):
        return getattr(self._run, name)


@breaks("test_epochs_of_the_run_are_honoured", "`run.epochs` is 3")
class CountsItsOwnEpochs(Factors):
    def _fit(self, train, run):
        run.epochs = None
        super()._fit(train, run)


@breaks("test_epochs_of_the_run_are_honoured", "must not validate")
class ValidatesAnyway(Factors):
    def _fit(self, train, run):
        super()._fit(train, run)
        run.validate(self)


@breaks("test_validation_finds_the_best_epoch_and_keeps_it", "never called `run.validate")
class NeverValidates(Factors):
    def _fit(self, train, run):
        run.epochs = self.params.epochs
        super()._fit(train, run)


@breaks("test_validation_finds_the_best_epoch_and_keeps_it", "its best epoch had")
class KeepsTheLastEpoch(Factors):
    def _fit(self, train, run):
        super()._fit(train, run)
        self.users_ = np.roll(self.users_, 1, axis=0)


@breaks("test_fits_with_no_more_than_it_needs", "which `needs` does not name, `fit` raised AttributeError")
class NeedsMoreThanItSays(Popular):
    def _fit(self, train, run):
        super()._fit(train, run)
        self.latest_ = int(train.timestamps.max())


@breaks("test_refuses_data_that_lacks_what_it_needs", "names ratings", needs=Needs(ratings=True))
class TakesWhatItCannotUse(Popular):
    def fit(self, train, run=None):
        if train.ratings is None:
            train = replace(train, ratings=np.ones(len(train)))
        return super().fit(train, run)


@breaks("test_weighted_events_are_welcome", "on weighted events")
class StumblesOverWeights(Popular):
    def _fit(self, train, run):
        super()._fit(train, run)
        if train.weights is not None:
            self.counts_ = np.full(self.n_items, np.inf, dtype=np.float32)


@breaks("test_degenerate_data_is_fitted_or_refused", "all ratings alike: `fit` raised ZeroDivisionError")
class DividesByTheSpread(Popular):
    def _fit(self, train, run):
        super()._fit(train, run)
        self.spread_ = 1 / float(np.ptp(train.ratings))


@breaks("test_degenerate_data_is_fitted_or_refused", "only for data on which the model is undefined")
class RefusesTooMuch(Popular):
    def _fit(self, train, run):
        if len(train) < 20:
            raise CannotFit("too little data for my taste")
        super()._fit(train, run)


@breaks("test_fits_the_smallest_data_that_it_needs", "on 2 users and 2 items")
class NeedsMorePeopleThanItSays(Popular):
    def _fit(self, train, run):
        super()._fit(train, run)
        self.tenth_ = int(np.flatnonzero(train.user_counts)[9])


@breaks("test_leaves_no_thread_behind", "left threads running: straggler")
class LeavesAThread(Popular):
    def _fit(self, train, run):
        super()._fit(train, run)
        threading.Thread(target=time.sleep, args=(5,), name="straggler", daemon=True).start()


@breaks("test_lists_are_better_than_chance", "shuffled lists reach")
class ListsTheWorstFirst(Neighbours):
    def _score(self, query, items):
        return -super()._score(query, items)


@breaks("test_predictions_are_no_worse_than_the_mean", "the mean rating alone")
class PredictsTheLowest(Factors):
    def _predict(self, query, items):
        return np.ones_like(self._score(query, items))


@breaks("test_checkerboard_has_its_known_answer", "the missing item is first for only")
class TurnsTheBoardRound(Neighbours):
    def _score(self, query, items):
        return -super()._score(query, items)


@breaks("test_orders_items_alike_for_all_as_the_test_class_says", "but they do not", settings={"personalised": False})
class OrdersItemsForEachPerson(Neighbours):
    pass


# score, predict, lists


@breaks("test_scores_have_the_promised_form", "float64")
class AnswersInDoublePrecision(Popular):
    def score(self, query, items=None):
        return super().score(query, items).astype(np.float64)


@breaks("test_scores_have_the_promised_form", "infinite")
class ScoresInfinitely(Popular):
    def _score(self, query, items):
        scores = super()._score(query, items)
        scores[:, :1] = np.inf
        return scores


@breaks("test_known_people_and_items_have_scores", "are NaN")
class KnowsLessThanItShould(Neighbours):
    def _score(self, query, items):
        scores = np.asarray(super()._score(query, items))
        return np.where(scores < 0.5, np.nan, scores)


@breaks("test_items_without_interactions_are_scored_exactly_where_declared", "`scores_new_items` is not declared")
class ScoresWhatNobodyHas(Popular):
    def scorable_items(self):
        return np.ones(self.n_items, dtype=np.bool_)


@breaks("test_items_without_interactions_are_scored_exactly_where_declared", "score NaN")
class CannotScoreNewItems(Content):
    def scorable_items(self):
        return self.known_items_


@breaks("test_chosen_items_score_as_in_the_whole_row", "differs from those columns")
class SortsTheChosenItems(Popular):
    def _score(self, query, items):
        return super()._score(query, None if items is None else np.sort(items))


@breaks("test_one_person_scores_as_in_a_batch", "one by one")
class ComparesPeopleInABatch(Neighbours):
    def _score(self, query, items):
        scores = np.asarray(super()._score(query, items))
        return scores - scores.mean(axis=0)


@breaks("test_answers_belong_to_the_one_who_asked", "changes the model's next answer")
class HandsOutItsOwnArray(Popular):
    def score(self, query, items=None):
        if not hasattr(self, "_answer_kept"):
            self._answer_kept = super().score(query, items)
        return self._answer_kept


@breaks("test_codes_outside_the_vocabulary_are_refused", "beyond the vocabulary was accepted")
class CutsCodesToSize(Popular):
    def _item_codes(self, items):
        return np.clip(np.asarray(items, dtype=np.int32), 0, self.n_items - 1)


@breaks("test_four_threads_get_what_one_gets", "an answer changes the model")
class KeepsTheQueryInTheModel(Neighbours):
    def _score(self, query, items):
        self._asked = query
        time.sleep(0.002)
        return super()._score(self._asked, items)


@breaks("test_lists_hold_nothing_twice_nothing_seen_nothing_unknown", "of 10 items")
class ListsFiveItems(Popular):
    def _score(self, query, items):
        scores = super()._score(query, items)
        return np.where(scores >= np.sort(self.counts_)[-5], scores, np.nan)


@breaks("test_predictions_stay_within_the_scale", "on a scale from 1 to 5")
class LeavesTheScale(Biases):
    def predict(self, query, items=None):
        return 2 * super().predict(query, items)


@breaks("test_pairs_are_predicted_as_in_the_whole_row", "`predict_pairs` differs")
class MixesPairsUp(Biases):
    def predict_pairs(self, query, people, items):
        return super().predict_pairs(query, people, items)[::-1]


@breaks("test_predicting_ratings_is_refused", "`predicts_ratings` is not declared")
class PredictsUnasked(Popular):
    def predict(self, query, items=None):
        return self.score(query, items)


@breaks("test_ratings_are_used_exactly_as_declared", "treat every interaction as 1")
class UsesRatingsInSecret(Popular):
    def _fit(self, train, run):
        weights = None if train.ratings is None else train.ratings
        self.counts_ = np.bincount(train.items, weights=weights, minlength=self.n_items).astype(np.float32)


@breaks("test_ratings_are_used_exactly_as_declared", "changes no score", declares={"uses_ratings": True})
class ClaimsToUseRatings(Popular):
    pass


@breaks("test_item_content_is_used_exactly_as_declared", "item content changes scores")
class UsesContentInSecret(Popular):
    def _fit(self, train, run):
        super()._fit(train, run)
        if "year" in train.item_features.columns:
            self.counts_ = self.counts_ + train.item_features.columns["year"].values


@breaks("test_item_content_is_used_exactly_as_declared", "changes no score", declares={"uses_text": True})
class ClaimsToReadTexts(Popular):
    pass


@breaks("test_timestamps_are_used_as_declared", "changes no score", declares={"uses_timestamps": True})
class ClaimsToKnowTheTime(Popular):
    pass


# Whom it serves


@breaks("test_everyone_gets_the_same", "people get different scores")
class PrefersSomePeople(Popular):
    def _score(self, query, items):
        return super()._score(query, items) + query.users[:, None]


@breaks("test_the_user_is_the_history", "a stranger with the same history")
class KnowsPeopleByName(Neighbours):
    def _score(self, query, items):
        return np.asarray(super()._score(query, items)) * (1 + (query.users[:, None] >= 0))


@breaks("test_somebody_without_a_history_is_not_served", "somebody without a history has scores")
class ServesNobody(Neighbours):
    def _serves(self, query):
        return np.ones(len(query), dtype=np.bool_)


@breaks("test_strangers_with_a_history_are_folded_in", "hardly agree")
class FoldsInBackwards(Fold):
    def _score(self, query, items):
        scores = super()._score(query, items)
        return np.where(self._known_people(query)[:, None], scores, -scores)


@breaks("test_only_known_users_are_served", "strangers have scores")
class ServesStrangersAsUserZero(Factors):
    def _serves(self, query):
        return np.ones(len(query), dtype=np.bool_)


@breaks("test_users_without_interactions_are_unknown", "had no interaction")
class KnowsTheWholeVocabulary(Factors):
    def _known_people(self, query):
        return query.users >= 0


@breaks("test_a_bare_history_is_answered", "may be None")
class InsistsOnTimestamps(Neighbours):
    def _score(self, query, items):
        assert query.timestamps.shape == query.items.shape
        return super()._score(query, items)


@breaks("test_a_history_of_unknown_items_does_no_harm", "takes away the scores")
class SpoiltByAnUnknownItem(Neighbours):
    def _score(self, query, items):
        scores = np.asarray(super()._score(query, items))
        spoilt = np.bincount(query.owner, weights=~self.known_items_[query.items], minlength=len(query)) > 0
        return np.where(spoilt[:, None], np.nan, scores)


@breaks("test_what_a_person_did_changes_what_they_get", "changes no score", declares={"serves": Serves.HISTORY})
class IgnoresTheHistory(Popular):
    pass


# Saving, loading, aligning


@breaks("test_a_loaded_model_answers_the_same", "not in an attribute that ends in '_'")
class LosesWhatItLearnt(Popular):
    factor = 1.0

    def _fit(self, train, run):
        super()._fit(train, run)
        self.factor = 2.0

    def _score(self, query, items):
        return self.factor * super()._score(query, items)


@breaks("test_a_loaded_model_explains_the_same", "explanations differ")
class LosesItsReasons(Neighbours):
    reason = "no reason"

    def _fit(self, train, run):
        super()._fit(train, run)
        self.reason = "items had together"

    def _explain(self, query, items, scores):
        return [replace(part, method=self.reason) for part in super()._explain(query, items, scores)]


@breaks("test_a_loaded_model_can_be_saved_again", "loaded and saved again")
class SavesOnlyOnce(Popular):
    fresh = False
    factor_ = 1.0

    def _fit(self, train, run):
        super()._fit(train, run)
        self.fresh, self.factor_ = True, 2.0

    def fitted_state(self):
        found = super().fitted_state()
        if not self.fresh:
            del found["factor_"]
        return found

    def _score(self, query, items):
        return self.factor_ * super()._score(query, items)


@breaks("test_files_are_a_manifest_and_arrays_without_pickle", "`save` left")
class SavesAPickleToo(Popular):
    def save(self, folder, include_users=True):
        super().save(folder, include_users)
        (folder / "model.pkl").write_bytes(pickle.dumps(self.counts_))


@breaks("test_files_are_a_manifest_and_arrays_without_pickle", "holds a pickle")
class HidesAPickleInAnArray(Popular):
    def _fit(self, train, run):
        super()._fit(train, run)
        self.hidden_ = np.frombuffer(pickle.dumps(list(range(100)), protocol=4), dtype=np.uint8)


@breaks("test_a_model_saved_without_user_ids_knows_nobody_by_name", "histories score differently")
class CountsItsUsers(Neighbours):
    def _score(self, query, items):
        return np.asarray(super()._score(query, items)) + self.n_users


class _DependsOnHowItIsAsked(Popular):
    def _score(self, query, items):
        scores = super()._score(query, items)
        return scores if items is None else scores + 1


@breaks("test_aligns_with_a_vocabulary_that_has_grown", "grown by a user and an item")
class CannotStandGrowth(_DependsOnHowItIsAsked):
    pass


@breaks("test_aligns_with_a_vocabulary_in_another_order", "in another order")
class CannotStandAnotherOrder(_DependsOnHowItIsAsked):
    pass


@breaks("test_items_removed_from_the_data_are_never_listed", "without three items")
class CannotStandLosses(_DependsOnHowItIsAsked):
    pass


@breaks("test_explanations_speak_in_the_codes_of_the_data", "about other items")
class ExplainsTheFirstItem(Neighbours):
    def _explain(self, query, items, scores):
        return [replace(part, item=0) for part in super()._explain(query, items, scores)]


# Explanations, embeddings, similar items


@breaks("test_explanations_have_the_promised_parts", "asked to explain items")
class ExplainsInItsOwnOrder(Neighbours):
    def _explain(self, query, items, scores):
        return super()._explain(query, items, scores)[::-1]


@breaks("test_explanations_have_the_promised_parts", "is not in the history")
class NamesWhatWasNeverSeen(Neighbours):
    def _explain(self, query, items, scores):
        return [
            replace(part, contributions=tuple(each._replace(code=part.item) for each in part.contributions))
            for part in super()._explain(query, items, scores)
        ]


@breaks("test_explanations_have_the_promised_parts", "largest magnitude first")
class ListsSmallReasonsFirst(Neighbours):
    def _explain(self, query, items, scores):
        return [
            replace(part, contributions=part.contributions[::-1]) for part in super()._explain(query, items, scores)
        ]


@breaks("test_contributions_add_up_as_declared", "is left over")
class LeavesSomethingOut(Neighbours):
    def _explain(self, query, items, scores):
        return [
            Explanation.of(
                part.item,
                part.score,
                list(part.contributions[1:]),
                additive=True,
                faithful_to_removal=True,
                method=part.method,
            )
            for part in super()._explain(query, items, scores)
        ]


@breaks("test_contributions_add_up_as_declared", "do not sum to the score")
class MiscountsTheResidual(Neighbours):
    def _explain(self, query, items, scores):
        return [replace(part, base=part.base + 1) for part in super()._explain(query, items, scores)]


@breaks("test_removing_a_history_item_does_what_its_contribution_says", "its contribution says")
class SharesTheCreditEvenly(Neighbours):
    def _explain(self, query, items, scores):
        return [
            replace(
                part,
                contributions=tuple(
                    each._replace(value=part.score / len(part.contributions)) for each in part.contributions
                ),
            )
            for part in super()._explain(query, items, scores)
        ]


@breaks("test_what_has_no_score_is_not_explained", "without a score was explained")
class ExplainsTheUnknown(Neighbours):
    def explain(self, query, items):
        return self._explain(query, np.asarray(items), np.zeros(len(items)))


@breaks(
    "test_explaining_is_refused",
    "`explains` is not declared",
    declares={"explains": False, "additive": False, "faithful_to_removal": False},
)
class ExplainsUnasked(Neighbours):
    def explain(self, query, items):
        return self._explain(query, np.asarray(items), np.zeros(len(items)))


@breaks("test_item_embeddings_are_as_declared", "must be NaN")
class EmbedsTheUnknown(Fold):
    def item_embeddings(self):
        return self.items_


@breaks("test_item_embeddings_are_as_declared", "answers though it is not declared")
class EmbedsItemsUnasked(Popular):
    def item_embeddings(self):
        return self.counts_[:, None]


@breaks("test_item_embeddings_are_as_declared", "'factors' says 4")
class EmbedsInTooManyDimensions(Factors):
    def item_embeddings(self):
        return np.hstack([super().item_embeddings()] * 2)


@breaks("test_user_embeddings_are_as_declared", "one row for each of 62 was due")
class EmbedsTheOtherSide(Factors):
    def user_embeddings(self):
        return self.item_embeddings()


@breaks("test_user_embeddings_are_as_declared", "answers though it is not declared")
class EmbedsUsersUnasked(Popular):
    def user_embeddings(self):
        return self.counts_[:, None]


@breaks("test_similar_items_are_others_and_best_first", "similar to itself")
class IsMostLikeItself(Neighbours):
    def similar_items(self, item, n=10):
        codes, similarities = super().similar_items(item, n)
        codes[0] = item
        return codes, similarities


@breaks("test_similar_items_are_others_and_best_first", "most similar first")
class ListsTheLeastSimilarFirst(Neighbours):
    def similar_items(self, item, n=10):
        codes, similarities = super().similar_items(item, n)
        return codes[::-1], similarities[::-1]


@breaks("test_similar_items_are_of_the_same_community", "of an item's own")
class FindsOpposites(Neighbours):
    def _item_similarities(self, item):
        return -super()._item_similarities(item)


@breaks("test_similar_items_are_refused", "`similar_items` answers though", declares={"similar_items": False})
class ComparesUnasked(Neighbours):
    def similar_items(self, item, n=10):
        return np.arange(n, dtype=np.int32), np.ones(n, dtype=np.float32)


# Learning live


@breaks("test_updating_is_refused", "`updates_live` is not declared", declares={"updates_live": False})
class LearnsUnasked(Popular):
    def updated(self, additions):
        return self


@breaks("test_an_update_leaves_the_old_model_alone", "changed the model that it was called on")
class WritesIntoSharedArrays(Popular):
    def _updated(self, additions):
        shared = self.counts_
        super()._updated(additions)
        shared += 1


@breaks("test_an_update_leaves_the_old_model_alone", "must return a new model")
class UpdatesItself(Popular):
    def updated(self, additions):
        return self


@breaks("test_an_update_changes_that_persons_scores", "changes nothing")
class LearnsNothing(Popular):
    def _updated(self, additions):
        grown = np.zeros(self.n_items, dtype=np.float32)
        grown[: len(self.counts_)] = self.counts_
        self.counts_ = grown


@breaks("test_an_update_goes_where_a_refit_goes", "away from where a refit")
class LearnsBackwards(Popular):
    def _updated(self, additions):
        grown = -additions.item_counts.astype(np.float32)
        grown[: len(self.counts_)] += self.counts_
        self.counts_ = grown


@breaks("test_an_update_takes_in_new_people_and_items", "new item that was rated is not known")
class OverlooksNewItems(Popular):
    def _updated(self, additions):
        before = len(self.counts_)
        super()._updated(additions)
        self.known_items_ = np.arange(self.n_items) < before - 2


@breaks("test_an_updated_model_can_be_updated_saved_and_asked_again", "updated twice")
class LearnsOnce(Popular):
    def _updated(self, additions):
        super()._updated(additions)
        self.counts_ = self.counts_ if len(additions) > 1 else np.full(self.n_items, np.inf, dtype=np.float32)


@breaks("test_an_update_without_interactions_changes_no_score", "changes scores between the others")
class CountsWhoHasNothing(Popular):
    def _updated(self, additions):
        super()._updated(additions)
        self.counts_ = self.counts_ + np.arange(self.n_items) * (additions.user_counts == 0).any()


@breaks("test_a_vocabulary_that_does_not_continue_is_refused", "mean other items were accepted")
class TakesAnyVocabulary(Popular):
    def updated(self, additions):
        return copy.copy(self)


# What it takes and touches


@breaks("test_the_forecast_is_made_without_allocating", "`estimate` allocated")
class AllocatesToForecast(Popular):
    def estimate(self, shape):
        return super().estimate(shape._replace(n_users=len(np.zeros(shape.n_users, dtype=np.int8))))


@breaks("test_the_forecast_is_made_without_allocating", "no other algorithm's id")
class NamesItselfAsCheaper(Popular):
    def estimate(self, shape):
        return super().estimate(shape)._replace(cheaper="popular")


@breaks("test_the_forecast_grows_with_the_data", "no more memory")
class ForecastsAConstant(Popular):
    def estimate(self, shape):
        return Forecast(10**8, 1.0)


@breaks(
    "test_the_forecast_is_at_least_the_peak_and_at_most_twice_it",
    "promises too little",
    settings={"forecast_shapes": SMALL_SHAPES},
)
class ForecastsTooLittle(Neighbours):
    def estimate(self, shape):
        return Forecast(super().estimate(shape).memory_bytes // 4, 1.0)


@breaks(
    "test_the_forecast_is_at_least_the_peak_and_at_most_twice_it",
    "more than twice",
    settings={"forecast_shapes": SMALL_SHAPES},
)
class ForecastsTooMuch(Neighbours):
    def estimate(self, shape):
        return Forecast(super().estimate(shape).memory_bytes * 4, 1.0)


@breaks("test_the_network_is_left_alone", "tried to reach models.example.org")
class CallsHome(Popular):
    def _fit(self, train, run):
        super()._fit(train, run)
        try:
            socket.create_connection(("models.example.org", 443), timeout=1).close()
        except OSError:
            self.offline_ = True


@breaks("test_listing_it_imports_nothing_heavy", "imports scipy", settings={"spec_module": __name__})
class IsHeavyToList(Popular):
    pass


@breaks("test_fitting_it_imports_no_qt", "imports PySide6")
class ShowsAWindow(Popular):
    def _fit(self, train, run):
        import PySide6.QtCore

        super()._fit(train, run)
        self.version_ = str(PySide6.QtCore.qVersion())
