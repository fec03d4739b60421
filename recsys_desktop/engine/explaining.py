"""Explaining: contributions, the model's own or measured, a sentence from them, and a verified counterfactual."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from recsys_desktop.api.algorithm import Family, Serves
from recsys_desktop.api.dataset import Bool, Float32
from recsys_desktop.api.explanation import Contribution, Explanation, Source
from recsys_desktop.api.query import Query
from recsys_desktop.engine.catalogue import allowed_items, item_code, title
from recsys_desktop.engine.fallback import DAMPING, POPULARITY
from recsys_desktop.engine.requests import ExplainRequest
from recsys_desktop.engine.results import CounterfactualView, ExplanationPart, ExplanationView
from recsys_desktop.engine.runs import EngineRun
from recsys_desktop.engine.sentences import ItemFacts, Telling, phrase, sentence
from recsys_desktop.engine.serving import ServedModel
from recsys_desktop.engine.session import Session

logger = logging.getLogger(__name__)

MOST_OCCLUDED = 200
"""The latest history entries that are left out one by one; earlier ones count into the residual."""

MOST_REMOVED = 8
"""The most history entries that a counterfactual takes away."""

_WHAT_IFS_AT_ONCE = 64


class Explained(NamedTuple):
    """Explanations of several items for one person, in data codes, and what must be said about them."""

    explanations: list[Explanation]
    notice: str = ""


def explain(session: Session, request: ExplainRequest, run: EngineRun) -> ExplanationView:
    """As `Engine.explain`."""
    served = session.served(request.model)
    asked = served.ask(request.user, request.history, request.interests, request.as_of)
    item = item_code(served.dataset, request.item)
    allowed = allowed_items(served.dataset, request.filters)
    query = asked.query
    scores, failure = served.score(query)
    score = float(scores[0, item])
    notices = [*served.notices, *asked.notices]
    if np.isnan(score):
        reason = failure or f"{served.spec.name} has no score for it here"
        return replace(fallback_view(served, query, item, reason), notices=tuple(notices))
    run.check()
    explained = explanations(served, query, np.array([item], dtype=np.int32), scores[0, [item]])
    run.check()
    if explained.notice:
        notices.append(explained.notice)
    explanation = explained.explanations[0]
    favoured = bool(score >= np.nanmedian(scores[0]))
    predicted = predicted_ratings(served, query, [item])[0]
    view = own_view(served, query, explanation, predicted, rated=asked.rated, favoured=favoured)
    if item in query.items:
        notices.append(f"{view.title} is among the choices already, so no list has it and its score has no confidence")
        view = replace(view, confidence=None, confidence_interval=None)
    if request.counterfactual:
        view = replace(view, counterfactual=counterfactual(served, query, explanation, scores[0], allowed))
    return replace(view, notices=tuple(notices))


def explanations(served: ServedModel, query: Query, items: npt.NDArray[np.int32], scores: Float32) -> Explained:
    """The model's own explanations of items it has scored, or what leaving out history entries changes."""
    notice = ""
    if served.spec.capabilities.explains:
        try:
            return Explained(served.aligned.explain(query, items))
        except Exception as error:
            logger.warning("%s failed to explain", served.label, exc_info=True)
            notice = f"{served.spec.name} could not explain itself ({error}); its scores were measured instead"
    return Explained(occlusion(served, query, items, scores), notice)


def occlusion(served: ServedModel, query: Query, items: npt.NDArray[np.int32], scores: Float32) -> list[Explanation]:
    """How much the score of each item falls when one history entry is left out, by re-scoring what-if copies.

    Approximate: entries that only count together show up in the residual.
    """
    capabilities = served.spec.capabilities
    effects, entries = _effects(served, query, items, scores)
    method = "measured: the score's change when the entry is left out"
    if capabilities.serves is Serves.FOLD_IN and query.users[0] >= 0 and not effects.any():
        stranger = query.as_strangers()
        as_stranger, _ = served.score(stranger, items)
        effects, entries = _effects(served, stranger, items, as_stranger[0])
        method = "measured on a newcomer with the same history: the score's change when the entry is left out"
    if len(entries) == 0 or not effects.any():
        method = "none: the score does not depend on single entries of the history"
    history = query.history(0)
    return [
        Explanation.of(
            int(item),
            float(scores[column]),
            [
                Contribution(Source.HISTORY, float(effects[row, column]), int(history[entry]))
                for row, entry in enumerate(entries.tolist())
            ],
            additive=False,
            faithful_to_removal=capabilities.serves is not Serves.KNOWN_USERS,
            method=method,
        )
        for column, item in enumerate(items.tolist())
    ]


def _effects(
    served: ServedModel, query: Query, items: npt.NDArray[np.int32], scores: Float32
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Score minus score without an entry: float64 (entries, len(items)), and the positions of those entries.

    Where the model has no score without the entry, the whole score is its effect.
    """
    length = int(query.lengths[0])
    entries = np.arange(max(0, length - MOST_OCCLUDED), length, dtype=np.int64)
    without = np.empty((len(entries), len(items)), dtype=np.float64)
    for begin in range(0, len(entries), _WHAT_IFS_AT_ONCE):
        block = entries[begin : begin + _WHAT_IFS_AT_ONCE]
        copies = query.take(np.zeros(len(block), dtype=np.int64))
        kept = np.ones(len(copies.items), dtype=np.bool_)
        kept[copies.indptr[:-1] + block] = False
        without[begin : begin + len(block)] = served.score(copies.keep_entries(kept), items)[0]
    return scores.astype(np.float64) - np.nan_to_num(without), entries


def predicted_ratings(served: ServedModel, query: Query, items: Sequence[int]) -> list[float | None]:
    """The predicted rating of each item (codes) for the one person; None where the model predicts none."""
    predicted = served.predict(query, np.asarray(items, dtype=np.int32))
    if predicted is None:
        return [None] * len(items)
    return [None if np.isnan(value) else float(value) for value in predicted[0]]


def own_view(
    served: ServedModel,
    query: Query,
    explanation: Explanation,
    predicted_rating: float | None,
    *,
    rated: bool,
    with_parts: bool = True,
    favoured: bool = True,
) -> ExplanationView:
    """An explanation in titles and ids, with its sentence and the confidence of its score.

    rated: the person gave ratings; where not, those of `query` are averages that stand in for them. with_parts: false
    leaves all parts out but the one that speaks most for the item, which is much quicker for people with long
    histories. favoured: the item does not stand in the lower half for this person.
    """
    ratings = _ratings(query) if rated else {}

    def part(contribution: Contribution) -> ExplanationPart:
        return _part(served, ratings, contribution)

    contributions = explanation.contributions
    if not with_parts:
        contributions = tuple(sorted(contributions, key=lambda one: -one.value)[:1])
    confidence = served.confidence(explanation.score, own=True)
    words = sentence(
        explanation.contributions,
        explanation.score,
        _telling(served, query, explanation, rated, favoured),
        part,
    )
    return ExplanationView(
        item=served.dataset.item_vocabulary[explanation.item],
        title=title(served.dataset, explanation.item),
        score=explanation.score,
        base=explanation.base,
        parts=tuple(map(part, contributions)),
        residual=explanation.residual,
        exact=explanation.additive,
        faithful_to_removal=explanation.faithful_to_removal,
        method=explanation.method,
        sentence=words,
        served_by=served.label,
        confidence=None if confidence is None else confidence.value,
        confidence_interval=None if confidence is None else (confidence.low, confidence.high),
        predicted_rating=predicted_rating,
    )


def _telling(served: ServedModel, query: Query, explanation: Explanation, rated: bool, favoured: bool) -> Telling:
    capabilities = served.spec.capabilities
    # Parts that neither add up nor say what a removal changes are an account of the vectors alone, not of ratings.
    estimated = not (explanation.additive or explanation.faithful_to_removal)
    return Telling(
        served.spec.name,
        item_facts(served, explanation.item),
        exact=explanation.additive,
        rating_aware=capabilities.uses_ratings and not estimated,
        predicts_ratings=capabilities.predicts_ratings,
        for_everybody=capabilities.serves is Serves.EVERYONE,
        blends=served.spec.family is Family.HYBRID,
        has_choices=bool(query.lengths[0]),
        favoured=favoured,
        residual=explanation.residual if estimated else 0.0,
        base=explanation.base if explanation.additive and not capabilities.predicts_ratings else 0.0,
        has_ratings=rated,
    )


def item_facts(served: ServedModel, item: int) -> ItemFacts:
    """How many people chose the item (a code) and how they rate it, without the ratings that the fallback mixes in."""
    fallback = served.fallback
    people = fallback.popularity[item]
    if np.isnan(people):
        return ItemFacts(0, overall=fallback.global_mean)
    damped, overall = float(fallback.item_means[item]), fallback.global_mean
    return ItemFacts(int(people), damped + DAMPING * (damped - overall) / float(people), overall)


def _ratings(query: Query) -> dict[int, float]:
    """What the person gave each item of the history, the latest where it is there twice."""
    if query.ratings is None:
        return {}
    return dict(zip(query.items.tolist(), query.ratings.tolist(), strict=True))


def _part(served: ServedModel, ratings: dict[int, float], contribution: Contribution) -> ExplanationPart:
    kind, value = contribution.kind.value, contribution.value
    if contribution.kind is Source.HISTORY and contribution.code >= 0:
        item = contribution.code
        ids = served.dataset.item_vocabulary
        return ExplanationPart(
            title(served.dataset, item), value, kind, ids[item], ratings.get(item), contribution.label
        )
    if contribution.kind is Source.NEIGHBOUR and contribution.code >= 0:
        return ExplanationPart(f"person {served.dataset.user_vocabulary[contribution.code]}", value, kind)
    return ExplanationPart(contribution.label or kind, value, kind)


def fallback_view(served: ServedModel, query: Query, item: int, reason: str) -> ExplanationView:
    """Why popularity lists an item that the model has no score for."""
    count = item_facts(served, item).people
    part = ExplanationPart("people who chose it", float(count), Source.BIAS.value)
    return ExplanationView(
        item=served.dataset.item_vocabulary[item],
        title=title(served.dataset, item),
        score=float(count),
        base=0.0,
        parts=(part,) if count else (),
        residual=0.0,
        exact=True,
        faithful_to_removal=False,
        method="popularity: how many people chose the item",
        sentence=phrase("because-popular", people=count, reason=reason),
        served_by=POPULARITY,
    )


def counterfactual(
    served: ServedModel, query: Query, explanation: Explanation, scores: Float32, allowed: Bool | None
) -> CounterfactualView | None:
    """The fewest entries, taken away greedily by their contribution, without which another item has the item's place.

    scores: float32 (n_items,), the person's. Every candidate set is verified by re-scoring the whole list; entries
    taken away stay out of the list, as they are known. None where no set of at most `MOST_REMOVED` entries does it.
    """
    item = explanation.item
    candidates = _listable(served, query, scores, allowed)
    place = _place(candidates, item)
    if place is None:
        return None
    reasons = [
        part.code
        for part in sorted(explanation.contributions, key=lambda part: -part.value)
        if part.kind is Source.HISTORY and part.value > 0 and part.code >= 0
    ][:MOST_REMOVED]
    if not reasons:
        return None
    copies = query.take(np.zeros(len(reasons), dtype=np.int64))
    kept = np.ones(len(copies.items), dtype=np.bool_)
    for row in range(len(reasons)):
        kept &= ~((copies.owner == row) & np.isin(copies.items, reasons[: row + 1]))
    rescored, failure = served.score(copies.keep_entries(kept))
    if failure:
        return None
    for row in range(len(reasons)):
        changed = _listable(served, query, rescored[row], allowed)
        instead = _at_place(changed, place)
        if instead is not None and instead != item and _place(changed, item) != place:
            return _counterfactual_view(served, reasons[: row + 1], instead, place)
    return None


def _listable(served: ServedModel, query: Query, scores: Float32, allowed: Bool | None) -> Float32:
    """Scores with NaN for what the person has seen and what the filters leave out."""
    candidates = scores.copy()
    candidates[query.items] = np.nan
    if allowed is not None:
        candidates[~allowed] = np.nan
    return candidates


def _place(scores: Float32, item: int) -> int | None:
    """How many items stand before this one (ties by code), or None where it is not listed."""
    own = scores[item]
    if np.isnan(own):
        return None
    with np.errstate(invalid="ignore"):
        before = (scores > own) | ((scores == own) & (np.arange(len(scores)) < item))
    return int(before.sum())


def _at_place(scores: Float32, place: int) -> int | None:
    from recsys_desktop.evaluation import top_k

    item = int(top_k(scores[None, :], place + 1).items[0, place])
    return item if item >= 0 else None


def _counterfactual_view(served: ServedModel, removed: Sequence[int], instead: int, place: int) -> CounterfactualView:
    titles = [title(served.dataset, code) for code in removed]
    return CounterfactualView(
        removed=tuple(served.dataset.item_vocabulary[code] for code in removed),
        removed_titles=tuple(titles),
        instead=served.dataset.item_vocabulary[instead],
        instead_title=title(served.dataset, instead),
        verified=True,
        sentence=phrase("counterfactual", place=place + 1, removed=titles, instead=title(served.dataset, instead)),
    )
