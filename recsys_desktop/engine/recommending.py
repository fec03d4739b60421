"""Recommending: ranked lists for one or for all, predicted ratings for pairs, items like an item."""

from __future__ import annotations

import csv
import logging
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from recsys_desktop.api.errors import CannotServe
from recsys_desktop.api.explanation import Explanation
from recsys_desktop.api.extensions import ReaderSpec
from recsys_desktop.api.query import Query
from recsys_desktop.api.roles import Role
from recsys_desktop.data.texts import counted
from recsys_desktop.engine.catalogue import allowed_items, attributes, item_code, title
from recsys_desktop.engine.errors import Misuse, ServingFailed
from recsys_desktop.engine.explaining import explanations, fallback_view, own_view, predicted_ratings
from recsys_desktop.engine.fallback import POPULARITY, RatingSource
from recsys_desktop.engine.plain import plain
from recsys_desktop.engine.requests import HistoryEntry, RecommendRequest
from recsys_desktop.engine.results import (
    ExplanationView,
    FactorItem,
    FactorView,
    Recommendation,
    RecommendationList,
    SimilarItem,
    WrittenLists,
    WrittenPredictions,
)
from recsys_desktop.engine.runs import EngineRun
from recsys_desktop.engine.sentences import chips
from recsys_desktop.engine.serving import Asked, Ranking, ServedModel
from recsys_desktop.engine.session import Session
from recsys_desktop.engine.tables import number, read_history, read_pairs

logger = logging.getLogger(__name__)

_USERS_AT_ONCE = 512


def recommend(session: Session, request: RecommendRequest, run: EngineRun) -> RecommendationList:
    """As `Engine.recommend`."""
    if request.n < 1:
        raise Misuse(f"a list has at least one item, not {request.n}")
    start = time.perf_counter()
    served = session.served(request.model)
    key = repr(plain(request))
    made: list[bool] = []

    def answer() -> RecommendationList:
        made.append(True)
        return _answer(served, request, run)

    result = served.answers.get(key, answer)
    return replace(result, seconds=time.perf_counter() - start, cached=not made)


def _answer(served: ServedModel, request: RecommendRequest, run: EngineRun) -> RecommendationList:
    asked = served.ask(request.user, request.history, request.interests, request.as_of)
    allowed = allowed_items(served.dataset, request.filters)
    ranking = served.rank(asked.query, request.n, request.exclude_seen, allowed)
    run.check()
    notices = [*served.notices, *asked.notices]
    if request.interests and _without_effect(served, asked.query):
        notices.append(f"the stated interests change nothing: {served.spec.name} does not use them, or knows none")
    reason = ranking.reasons[0]
    if reason and (ranking.items[0] >= 0).any():
        filled = int(((ranking.items[0] >= 0) & ~ranking.own[0]).sum())
        if filled:
            come = "item comes" if filled == 1 else "items come"
            notices.append(f"{filled} {come} from popularity: {reason}")
    if not served.ranks:
        notices.append(
            f"{served.spec.name} predicts ratings; a list in the order of predicted ratings is no better than that"
        )
    if not (ranking.items[0] >= 0).any():
        notices.append("nothing is left to recommend: everything that may be listed has been seen, or was filtered out")
    views, notice = _views(served, asked, ranking, request.explain, run)
    if notice:
        notices.append(notice)
    items = tuple(
        _recommendation(served, asked, ranking, position, views[position])
        for position in range(request.n)
        if ranking.items[0, position] >= 0
    )
    if not request.explain:
        items = tuple(replace(item, explanation=None) for item in items)
    return RecommendationList(items, asked.person, served.label, served.spec.id, tuple(notices))


def _without_effect(served: ServedModel, query: Query) -> bool:
    """Whether the model scores a person with stated interests as it does without them."""
    told, untold = served.score(query)[0], served.score(replace(query, interests=()))[0]
    return bool(np.array_equal(told, untold, equal_nan=True))


def _views(
    served: ServedModel, asked: Asked, ranking: Ranking, measured: bool, run: EngineRun
) -> tuple[dict[int, ExplanationView], str]:
    """The explanation of each place. Measured ones, which take longer, only where they are asked for."""
    query, reason = asked.query, ranking.reasons[0]
    own = np.flatnonzero(ranking.own[0])
    views = {
        int(position): fallback_view(served, query, int(ranking.items[0, position]), reason)
        for position in np.flatnonzero((ranking.items[0] >= 0) & ~ranking.own[0])
    }
    if not len(own):
        return views, ""
    items, scores = ranking.items[0, own], ranking.scores[0, own]
    notice = ""
    if served.spec.capabilities.explains or measured:
        found, notice = explanations(served, query, items, scores)
        run.check()
    else:
        found = [_unexplained(item, score) for item, score in zip(items.tolist(), scores.tolist(), strict=True)]
    predicted = predicted_ratings(served, query, items.tolist())
    for position, explanation, rating in zip(own.tolist(), found, predicted, strict=True):
        views[position] = own_view(served, query, explanation, rating, rated=asked.rated, with_parts=measured)
    return views, notice


def _unexplained(item: int, score: float) -> Explanation:
    """What can be said at once of a model without explanations of its own."""
    return Explanation.of(
        item, score, [], additive=False, faithful_to_removal=False, method="not measured: ask for the explanation"
    )


def _recommendation(
    served: ServedModel, asked: Asked, ranking: Ranking, position: int, view: ExplanationView
) -> Recommendation:
    item = int(ranking.items[0, position])
    own = bool(ranking.own[0, position])
    fallback = "" if own else ranking.reasons[0]
    strongest = max(view.parts, key=lambda part: part.value, default=None)
    return Recommendation(
        rank=position + 1,
        item=view.item,
        title=view.title,
        attributes=attributes(served.dataset, item),
        score=float(ranking.scores[0, position]),
        confidence=view.confidence,
        confidence_interval=view.confidence_interval,
        served_by=served.label if own else POPULARITY,
        fallback=fallback,
        sentence=view.sentence,
        chips=tuple(chips(served.dataset, asked.query, item, strongest, fallback)),
        predicted_rating=view.predicted_rating,
        explanation=view,
    )


def recommend_all(
    session: Session, reference: str, out: Path, n: int, exclude_seen: bool, run: EngineRun
) -> WrittenLists:
    """As `Engine.recommend_all`."""
    if n < 1:
        raise Misuse(f"a list has at least one item, not {n}")
    served = session.served(reference)
    served.require_data("there is nobody to list for")
    dataset = served.dataset
    if not dataset.n_users:
        raise Misuse(f"'{dataset.name}' has no users to list for: give a history, or interests where they are used")
    rows = from_fallback = 0
    notices = list(served.notices)
    with _replaced(out) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("user", "item", "rank", "score"))
        for begin in range(0, dataset.n_users, _USERS_AT_ONCE):
            run.check()
            users = np.arange(begin, min(begin + _USERS_AT_ONCE, dataset.n_users), dtype=np.int32)
            ranking = served.rank(Query.of_users(dataset, users), n, exclude_seen)
            rows += write_lists(writer, dataset, users, ranking)
            from_fallback += int((~ranking.own[:, 0]).sum())
            run.progress(users[-1] / dataset.n_users, f"Lists for {users[-1] + 1:,} of {dataset.n_users:,} people")
    if from_fallback:
        people = "person" if from_fallback == 1 else "people"
        notices.append(f"popularity answers for {from_fallback:,} {people}: {served.spec.name} could not")
    run.progress(1.0, f"Wrote {out}")
    run.flush()
    return WrittenLists(out, dataset.n_users, rows, from_fallback, tuple(notices))


def write_lists(writer: Any, dataset: Any, users: Any, ranking: Ranking) -> int:
    """Write user,item,rank,score rows; the score of a place that popularity filled is left empty. Returns the rows."""
    rows = 0
    for person, user in enumerate(users.tolist()):
        for position in np.flatnonzero(ranking.items[person] >= 0).tolist():
            score = repr(float(ranking.scores[person, position])) if ranking.own[person, position] else ""
            item = dataset.item_vocabulary[int(ranking.items[person, position])]
            writer.writerow((dataset.user_vocabulary[user], item, position + 1, score))
            rows += 1
    return rows


class _replaced:  # noqa: N801 - reads as a verb in a `with` statement
    """A file written beside its place and renamed into it at the end; an error leaves what was there before."""

    def __init__(self, path: Path) -> None:
        if path.is_dir() or not path.name:
            raise Misuse(f"{path} is a folder: name the file to write")
        if not path.parent.is_dir():
            raise Misuse(f"there is no folder {path.parent} to write {path.name} to: create it or choose another")
        self._path = path
        self._partial = path.with_name(f".{path.name}.partial")

    def __enter__(self) -> Path:
        return self._partial

    def __exit__(self, kind: type[BaseException] | None, *_: Any) -> None:
        if kind is None:
            self._partial.replace(self._path)
        else:
            self._partial.unlink(missing_ok=True)


def history_from(session: Session, reference: str, path: Path) -> list[HistoryEntry]:
    """As `Engine.read_history`."""
    scale = session.served(reference).dataset.rating_scale
    return read_history(path, *_reading(session, reference), scale)


def _reading(session: Session, reference: str) -> tuple[dict[str, Role], list[ReaderSpec]]:
    """The roles of the columns in the data of a model, and the readers there are."""
    fingerprint = session.workspace.resolve_model(reference).dataset_fingerprint
    return session.roles_of(fingerprint), list(session.registry.readers.values())


def predict(session: Session, reference: str, pairs: Path, out: Path, run: EngineRun) -> WrittenPredictions:
    """As `Engine.predict`."""
    served = session.served(reference)
    dataset = served.dataset
    if not served.spec.capabilities.predicts_ratings:
        raise Misuse(
            f"{served.label} ranks items but predicts no ratings: train an algorithm that does "
            "(see: recsys-desktop algorithms)"
        )
    users, items, ratings = read_pairs(pairs, *_reading(session, reference))
    user_codes, item_codes = dataset.user_vocabulary.codes(users), dataset.item_vocabulary.codes(items)
    present, people = np.unique(user_codes, return_inverse=True)
    known = present[present >= 0]
    query = Query.of_users(dataset, known)
    if len(known) < len(present):
        nobody = np.concatenate(([0], query.indptr))
        users_and_nobody = np.concatenate(([-1], query.users)).astype(np.int32)
        query = replace(query, users=users_and_nobody, indptr=nobody, attributes=None)
    predictions = np.full(len(users), np.nan, dtype=np.float32)
    in_data = np.flatnonzero(item_codes >= 0)
    notices = list(served.notices)
    try:
        predictions[in_data] = served.aligned.predict_pairs(query, people[in_data], item_codes[in_data])
    except Exception as error:
        logger.warning("%s failed to predict", served.label, exc_info=True)
        notices.append(f"{served.spec.name} failed ({error}); means answer instead")
    run.check()
    predictions, sources = served.fallback.fill(predictions, query, people, item_codes)
    filled = int((sources != RatingSource.MODEL).sum())
    if users and filled == len(users):
        raise ServingFailed(
            f"{served.label} predicts none of the {counted(len(users), 'row')} of {pairs}, so nothing was written: "
            + "; ".join([*notices, "are these people and items those of its data?"])
        )
    for source in RatingSource:
        count = int((sources == source).sum())
        if not count or source is RatingSource.MODEL:
            continue
        verb = "is" if count == 1 else "are"
        what = "missing" if source is RatingSource.NOBODY else f"the {source.label}"
        notices.append(f"{count:,} of {len(users):,} predictions {verb} {what}")
    names = {source: source.label for source in RatingSource} | {
        RatingSource.MODEL: served.label,
        RatingSource.NOBODY: "",
    }
    with _replaced(out) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("user", "item", "rating", "prediction", "source"))
        rows = zip(users, items, ratings, predictions.tolist(), sources.tolist(), strict=True)
        for user, item, rating, prediction, source in rows:
            text = "" if np.isnan(prediction) else repr(prediction)
            writer.writerow((user, item, rating, text, names[RatingSource(source)]))
    run.progress(1.0, f"Wrote {out}")
    run.flush()
    rmse, mae = _errors(predictions, ratings)
    return WrittenPredictions(out, len(users), filled, rmse, mae, tuple(notices))


def _errors(predictions: Any, ratings: list[str]) -> tuple[float | None, float | None]:
    from recsys_desktop.evaluation import mae, rmse

    given = np.array([number(text) for text in ratings], dtype=np.float64)
    both = ~np.isnan(given) & ~np.isnan(predictions)
    if not both.any():
        return None, None
    return rmse(predictions[both], given[both]), mae(predictions[both], given[both])


def similar_items(session: Session, reference: str, item: str, n: int) -> list[SimilarItem]:
    """As `Engine.similar_items`."""
    served = session.served(reference)
    dataset = served.dataset
    code = item_code(dataset, item)
    method = served.spec.name
    try:
        codes, similarities = served.aligned.similar_items(code, n)
    except CannotServe:
        codes, similarities = _chosen_together(served, code, n)
        method = "people in common"
    return [
        SimilarItem(dataset.item_vocabulary[other], title(dataset, other), float(similarity), method)
        for other, similarity in zip(codes.tolist(), similarities.tolist(), strict=True)
    ]


def factors(session: Session, reference: str) -> list[FactorView]:
    """As `Engine.factors`."""
    served = session.served(reference)
    dataset = served.dataset
    return [
        FactorView(
            found.name,
            found.share,
            tuple(
                FactorItem(dataset.item_vocabulary[item], title(dataset, item), weight)
                for item, weight in zip(found.items, found.weights, strict=True)
            ),
            found.categories,
        )
        for found in served.aligned.factors()
    ]


def _chosen_together(served: ServedModel, item: int, n: int) -> tuple[Any, Any]:
    """Items by the cosine of who chose them: people in common / sqrt(people of one × people of the other)."""
    from recsys_desktop.evaluation import top_k

    dataset = served.dataset
    matrix = dataset.matrix()
    whose = np.unique(dataset.users[dataset.items == item])
    common = np.asarray(matrix[whose].sum(axis=0), dtype=np.float64).ravel()
    counts = dataset.item_counts.astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        cosine = common / np.sqrt(counts * counts[item])
    cosine[item] = np.nan
    cosine[~(common > 0)] = np.nan
    best = top_k(cosine[None, :].astype(np.float32), n)
    listed = best.items[0] >= 0
    return best.items[0][listed], best.scores[0][listed]
