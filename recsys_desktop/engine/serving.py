"""Serving: a saved model together with its data, its calibration and its fallback, ready to rank for anybody."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from recsys_desktop.api.algorithm import AlgorithmSpec, Serves
from recsys_desktop.api.alignment import AlignedModel
from recsys_desktop.api.dataset import Bool, Dataset, Float32, Int32
from recsys_desktop.api.errors import RecSysError
from recsys_desktop.api.query import Query
from recsys_desktop.api.recommender import Recommender
from recsys_desktop.engine.calibration import Calibration, Confidence
from recsys_desktop.engine.catalogue import user_code
from recsys_desktop.engine.errors import Misuse, ServingFailed
from recsys_desktop.engine.fallback import Fallback
from recsys_desktop.engine.requests import HistoryEntry
from recsys_desktop.engine.results import Person, RecommendationList
from recsys_desktop.workspace import ArtifactDamaged, ModelRecord, RecordNotFound

if TYPE_CHECKING:
    from recsys_desktop.engine.session import RecentlyUsed, Session

logger = logging.getLogger(__name__)

CALIBRATION_FILE = "calibration.json"

_KEPT_ANSWERS = 256
_BLOCK_BYTES = 64 * 2**20
_BYTES_PER_SCORE = 32


class Asked(NamedTuple):
    """A person turned into a query of one.

    notices: what of the request could not be used as given. rated: the person gave ratings; where not, those of the
    query are averages that stand in for them.
    """

    query: Query
    person: Person
    notices: tuple[str, ...]
    rated: bool


@dataclass(frozen=True, eq=False)
class Ranking:
    """Ranked items for each person of a query.

    items: int32 (n, k), -1 where there is nothing more. scores: float32 (n, k), the model's score, or the number of
    people who chose the item where the fallback filled the place. own: bool (n, k), places that the model filled.
    reasons: why the model did not fill all places, one text a person, empty where it did.
    """

    items: Int32
    scores: Float32
    own: Bool
    reasons: tuple[str, ...]


class ServedModel:
    """A fitted model that answers in the codes of its data set.

    Attributes
    ----------
    label: how it is named to the person. spec, model, aligned, dataset, fallback. calibration: None where there is
    none, and calibration_note says why. notices: what the person should know whenever it answers. has_data: whether
    the data that it was trained on is here; where not, `dataset` holds its ids without any interaction.
    """

    def __init__(
        self,
        label: str,
        model: Recommender,
        dataset: Dataset,
        *,
        calibration: Calibration | None = None,
        calibration_note: str = "",
        notices: Sequence[str] = (),
        has_data: bool = True,
    ) -> None:
        from recsys_desktop.engine.session import RecentlyUsed

        self.label = label
        self.model = model
        self.spec: AlgorithmSpec = model.spec
        self.dataset = dataset
        self.aligned = AlignedModel.to(model, dataset)
        self.calibration = calibration
        self.calibration_note = calibration_note
        self.notices = tuple(notices)
        self.has_data = has_data
        self.answers: RecentlyUsed[RecommendationList] = RecentlyUsed(_KEPT_ANSWERS)

    @cached_property
    def fallback(self) -> Fallback:
        """What the data alone says."""
        return Fallback.of(self.dataset)

    @property
    def ranks(self) -> bool:
        """Whether the model's own scores order a list; otherwise predicted ratings do."""
        return self.spec.capabilities.ranks

    # Asking

    def ask(
        self,
        user: str | None,
        history: Sequence[HistoryEntry] | None,
        interests: Sequence[str] = (),
        as_of: int | None = None,
    ) -> Asked:
        """The query for a user of the data, for somebody with a history, or for a user with another history.

        Raises
        ------
        UnknownName: the user is not in the data. Misuse: neither user nor history is given, or a rating of the history
        is outside the scale of the data. ServingFailed: a user is asked for whose history is not in this workspace.
        """
        if user is None and history is None and not interests:
            raise Misuse("say for whom: give a user of the data, or a history")
        if user is not None and history is None:
            self.require_data(f"what '{user}' has seen is not known")
        code = -1 if user is None else user_code(self.dataset, user)
        notices: list[str] = []
        if history is None and code >= 0:
            query = Query.of_users(self.dataset, [code])
            rated = query.ratings is not None
        else:
            query = self._history_query(history or (), code, notices)
            rated = any(rating is not None for _, rating, _ in history or ())
        if interests:
            query = replace(query, interests=(tuple(interests),))
        if as_of is not None:
            query = replace(query, as_of=np.array([as_of], dtype=np.int64))
        known = code >= 0 and bool(self.model._known_people(self.aligned.query(query))[0])
        return Asked(query, Person(user, known, int(query.lengths[0])), tuple(notices), rated)

    def require_data(self, consequence: str) -> None:
        """Raise `ServingFailed` where the data of the model is not here; consequence: what is missing for it."""
        if not self.has_data:
            raise ServingFailed(
                f"the data that {self.label} was trained on is not in this workspace, so {consequence}: import the "
                "data again, or give a history"
            )

    def _history_query(self, history: Sequence[HistoryEntry], code: int, notices: list[str]) -> Query:
        """The latest entry for each item, oldest first; unknown items are left out and named."""
        latest: dict[str, HistoryEntry] = {}
        for entry in history:
            item = str(entry[0]).strip()
            before = latest.pop(item, None)
            if before is not None and before[2] is not None and entry[2] is not None and before[2] > entry[2]:
                entry = before
            latest[item] = entry
        known = [(self.dataset.item_vocabulary.code(item), entry) for item, entry in latest.items()]
        unknown = [item for item in latest if item not in self.dataset.item_vocabulary]
        if unknown:
            shown = ", ".join(unknown[:5]) + (f" and {len(unknown) - 5} more" if len(unknown) > 5 else "")
            notices.append(f"{len(unknown)} of {len(latest)} items of the history are not in the data: {shown}")
        entries = [(item, entry) for item, entry in known if item >= 0]
        if entries and all(entry[2] is not None for _, entry in entries):
            entries.sort(key=lambda pair: int(pair[1][2] or 0))
            timestamps: list[int] | None = [int(entry[2] or 0) for _, entry in entries]
        else:
            timestamps = None
        return Query.of_history([item for item, _ in entries], self._ratings(entries, notices), timestamps, user=code)

    def _ratings(self, entries: Sequence[tuple[int, HistoryEntry]], notices: list[str]) -> list[float] | None:
        if self.dataset.ratings is None:
            return None
        scale = self.dataset.rating_scale
        for item, (_, rating, _) in entries:
            if scale is not None and rating is not None and not scale.minimum <= rating <= scale.maximum:
                raise Misuse(
                    f"the history rates '{self.dataset.item_vocabulary[item]}' with {rating:g}; the ratings of the "
                    f"data run from {scale.minimum:g} to {scale.maximum:g}"
                )
        mean = self.fallback.global_mean
        missing = sum(entry[1] is None for _, entry in entries)
        if missing and self.spec.capabilities.uses_ratings:
            notices.append(f"{missing} items of the history have no rating; they count as the average, {mean:.2g}")
        return [mean if entry[1] is None else float(entry[1]) for _, entry in entries]

    # Answering

    def score(self, query: Query, items: npt.NDArray[Any] | None = None) -> tuple[Float32, str]:
        """The model's scores by which to rank, and why there are none: float32 (n, n_items) or (n, len(items)).

        A model that fails gives NaN for everything, and the reason.
        """
        method = self.aligned.score if self.ranks else self.aligned.predict
        return self._guarded(method, query, items)

    def predict(self, query: Query, items: npt.NDArray[Any]) -> Float32 | None:
        """Predicted ratings float32 (n, len(items)), or None where the model predicts none or fails."""
        if not self.spec.capabilities.predicts_ratings:
            return None
        answer, reason = self._guarded(self.aligned.predict, query, items)
        return None if reason else answer

    def _guarded(self, method: Any, query: Query, items: npt.NDArray[Any] | None) -> tuple[Float32, str]:
        try:
            return method(query, items), ""
        except RecSysError as error:
            reason = str(error)
        except Exception as error:
            logger.warning("%s failed while serving", self.label, exc_info=True)
            reason = f"{type(error).__name__}: {error}"
        width = self.dataset.n_items if items is None else len(items)
        return np.full((len(query), width), np.nan, dtype=np.float32), f"the model failed ({reason})"

    def rank(self, query: Query, n: int, exclude_seen: bool = True, allowed: Bool | None = None) -> Ranking:
        """The n best items of each person; what the model cannot fill, popularity does.

        allowed: bool (n_items,), or None for all. Ties break by item code; NaN is never listed.
        """
        step = max(1, _BLOCK_BYTES // (_BYTES_PER_SCORE * max(self.dataset.n_items, 1)))
        if len(query) <= step:
            return self._rank_block(query, n, exclude_seen, allowed)
        blocks = [
            self._rank_block(query.take(np.arange(begin, min(begin + step, len(query)))), n, exclude_seen, allowed)
            for begin in range(0, len(query), step)
        ]
        return Ranking(
            np.concatenate([block.items for block in blocks]),
            np.concatenate([block.scores for block in blocks]),
            np.concatenate([block.own for block in blocks]),
            tuple(reason for block in blocks for reason in block.reasons),
        )

    def _rank_block(self, query: Query, n: int, exclude_seen: bool, allowed: Bool | None) -> Ranking:
        from recsys_desktop.evaluation import top_k

        scores, failure = self.score(query)
        work = np.array(scores, dtype=np.float32, order="C")
        answered = np.atleast_1d(~np.isnan(work).all(axis=1))
        self._leave_out(work, query, exclude_seen, allowed)
        best = top_k(work, n)
        items, listed_scores = best.items, best.scores
        own: Bool = np.asarray(items >= 0)
        short = np.flatnonzero(~own[:, -1]) if n else np.zeros(0, dtype=np.int64)
        reasons = [""] * len(query)
        if len(short):
            spare = np.repeat(self.fallback.popularity[None, :], len(short), axis=0)
            self._leave_out(spare, query.take(short), exclude_seen, allowed)
            places = np.nonzero(own[short])
            spare[places[0], items[short][places]] = np.nan
            more = top_k(spare, n)
            first = own[short].sum(axis=1)
            position = np.arange(n)[None, :] - first[:, None]
            taken = np.maximum(position, 0)
            fill = position >= 0
            items[short] = np.where(fill, np.take_along_axis(more.items, taken, axis=1), items[short])
            listed_scores[short] = np.where(fill, np.take_along_axis(more.scores, taken, axis=1), listed_scores[short])
            for row, filled in zip(short.tolist(), first.tolist(), strict=True):
                reasons[row] = failure or self._why_short(query, row, bool(answered[row]), filled)
        return Ranking(items, listed_scores, own, tuple(reasons))

    def _leave_out(self, scores: Float32, query: Query, exclude_seen: bool, allowed: Bool | None) -> None:
        if exclude_seen:
            scores[query.owner, query.items] = np.nan
        if allowed is not None:
            scores[:, ~allowed] = np.nan

    def _why_short(self, query: Query, row: int, answered: bool, filled: int) -> str:
        if answered:
            return f"{self.spec.name} has a score for only {filled} of the items that may be listed"
        serves = self.spec.capabilities.serves
        if serves is Serves.KNOWN_USERS:
            return f"{self.spec.name} knows only the people it was trained on"
        if query.lengths[row] == 0:
            return "there is no history to go by"
        history = self.aligned.query(query.take(np.array([row]))).items
        if not self.model.scorable_items()[history].any():
            return f"{self.spec.name} knows none of the items in the history"
        return f"{self.spec.name} gives no score to any item for this history"

    def confidence(self, score: float, own: bool) -> Confidence | None:
        """The calibrated probability of a listed score, or None: not calibrated, or not the model's score."""
        return self.calibration.confidence(score) if self.calibration is not None and own else None


def load_served(session: Session, record: ModelRecord, any_version: bool = True) -> ServedModel:
    """Load a version with its data; where it is damaged, the last good version of its name, which says so.

    any_version: whether another version may answer; False where this one was asked for by its number or id.

    Raises
    ------
    ServingFailed: no version of the name can be loaded, or the only one that was wanted cannot.
    """
    try:
        return _load(session, record, ())
    except (ArtifactDamaged, RecSysError) as error:
        first = error
        logger.warning("%s cannot be loaded: %s", record.label, error)
    others = [other for other in session.workspace.good_versions(record.name) if other.id != record.id]
    because = str(first).rstrip(".")
    if not any_version:
        advice = f": {because}"
        if others:
            advice += f". Ask {others[0].label}, or '{record.name}' for the last version that works"
        raise ServingFailed(f"{record.label} cannot be used{advice}") from first
    for other in others:
        try:
            notice = f"{record.label} cannot be used ({because}); {other.label} answers instead"
            return _load(session, other, (notice,))
        except (ArtifactDamaged, RecSysError) as error:
            logger.warning("%s cannot be loaded either: %s", other.label, error)
    raise ServingFailed(
        f"{record.label} cannot be used and there is no other version to fall back on: {because}"
    ) from first


def _load(session: Session, record: ModelRecord, notices: tuple[str, ...]) -> ServedModel:
    session.workspace.verify(record)
    folder = session.workspace.folder_of(record)
    model = Recommender.load(folder, session.registry.spec)
    calibration, note = _read_calibration(folder)
    has_data = True
    try:
        if record.dataset_fingerprint is None:
            raise RecordNotFound("the model does not say which data it was trained on")
        dataset = session.dataset(record.dataset_fingerprint)
    except RecordNotFound:
        has_data = False
        nobody = np.zeros(0, dtype=np.int32)
        dataset = Dataset(model.user_vocabulary, model.item_vocabulary, nobody, nobody)
        notices = (
            *notices,
            f"the data that {record.label} was trained on is not in this workspace: items have no titles, and nobody "
            "has a history (give one)",
        )
    return ServedModel(
        record.label,
        model,
        dataset,
        calibration=calibration,
        calibration_note=note,
        notices=notices,
        has_data=has_data,
    )


def _read_calibration(folder: Path) -> tuple[Calibration | None, str]:
    file = folder / CALIBRATION_FILE
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        if "reason" in content:
            return None, str(content["reason"])
        return Calibration.from_dict(content), ""
    except FileNotFoundError:
        return None, "the model was not calibrated"
    except (OSError, ValueError, KeyError, TypeError) as error:
        logger.warning("%s cannot be read: %s", file, error)
        return None, f"{file} cannot be read ({error})"
