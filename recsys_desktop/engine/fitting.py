"""Fitting: one model from start to end: validation, early stopping, refitting, members of hybrids, measurement."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from recsys_desktop.api.algorithm import AlgorithmSpec
from recsys_desktop.api.dataset import Dataset, Float32
from recsys_desktop.api.errors import CannotFit, InvalidParameter
from recsys_desktop.api.params import Params
from recsys_desktop.api.query import Query
from recsys_desktop.api.recommender import Recommender
from recsys_desktop.api.roles import Feedback
from recsys_desktop.api.run import RunContext, Validation
from recsys_desktop.engine.errors import Cancelled, NothingToKeep, TrainingFailed, UnknownName
from recsys_desktop.engine.memory import PeakMemory, limited_threads
from recsys_desktop.engine.plugins import Registry
from recsys_desktop.engine.runs import EngineRun, LogEntry, RunPart
from recsys_desktop.engine.warming import warm_up

logger = logging.getLogger(__name__)

HELD_OUT_SHARE = 0.1
"""Share of each user's interactions that is set aside where no validation part is given (see `set_aside`)."""

VALIDATION_USERS = 2000
"""The most users that one validation looks at; the same ones in each epoch, drawn by the seed."""

VALIDATION_LENGTH = 10

PEOPLE_AT_ONCE = 500
"""People whose ratings are predicted between two looks at whether to stop."""

TRIED_PEOPLE = 200
"""The most people whom a fitted model is asked for a finite score."""


@dataclass(frozen=True)
class FitJob:
    """What to fit and how.

    registry: for members of hybrids. seed, threads, device: as `RunContext`. checkpoints: a folder in which each fit
    that trains in epochs gets one of its own to resume from; where None, all have the run's, if it has one.
    """

    registry: Registry
    spec: AlgorithmSpec
    params: Params
    seed: int
    threads: int
    checkpoints: Path | None = None
    device: str = "auto"


@dataclass(frozen=True)
class Fitted:
    """A fitted model with what was measured.

    trial: the model fitted without the held-out part, where there was one; held_out: that part; history: what `trial`
    was fitted on. fit_seconds, peak_memory_bytes: of the last fit alone, see `_measured`. epochs: how many it trained,
    where it trains in epochs. validation: the trial's figure on the held-out part. stopped_early: the person asked to
    stop and keep.
    """

    model: Recommender
    fit_seconds: float
    peak_memory_bytes: int
    epochs: int | None = None
    validation: Validation | None = None
    trial: Recommender | None = None
    held_out: Dataset | None = None
    history: Dataset | None = None
    stopped_early: bool = False


def checked_params(registry: Registry, spec: AlgorithmSpec, values: Mapping[str, Any]) -> Params:
    """The parameters of an algorithm, with every algorithm that its `members` name known to the registry.

    Raises
    ------
    InvalidParameter: as `Params.parse`, or a member is no algorithm.
    """
    params = spec.params.parse(values)
    if any(field.name == "members" and field.kind == "texts" for field in spec.params.describe()):
        for member in params.to_dict()["members"]:
            try:
                registry.spec(member)
            except UnknownName as error:
                raise InvalidParameter("members", str(error)) from None
    return params


class Learnt(NamedTuple):
    """What a fit found out by held-out data, for the fit to everything: the best number of epochs, chosen settings."""

    epochs: int | None
    chosen: dict[str, Any] | None

    @classmethod
    def of(cls, model: Recommender) -> Learnt:
        """What this model learnt."""
        return cls(model.best_epoch_, model.chosen_)


class FitContext(RunPart):
    """What a running algorithm may ask of the engine: validation, members, seed, threads, stopping.

    held_out, history: the validation part and what the model is fitted on; None where there is no validation.
    learnt: what an earlier fit of the same model without the held-out part learnt, which this one keeps. members: the
    same of each member of a hybrid, filled in as they are fitted.
    """

    def __init__(
        self,
        job: FitJob,
        run: EngineRun,
        span: tuple[float, float],
        *,
        phase: str,
        held_out: Dataset | None = None,
        history: Dataset | None = None,
        learnt: Learnt | None = None,
        members: dict[str, Learnt] | None = None,
    ) -> None:
        super().__init__(
            run,
            *span,
            seed=job.seed,
            threads=job.threads,
            device=run.device_or(job.device),
            epochs=None if learnt is None else learnt.epochs,
            checkpoints=run.checkpoints,
            chosen=None if learnt is None else learnt.chosen,
        )
        self.job = job
        self.phase = phase
        self._held_out = held_out
        self._history = history
        self._reached = span[0]
        self._members = {} if members is None else members

    @property
    def validates(self) -> bool:
        """As `RunContext.validates`."""
        return self._held_out is not None

    def progress(self, fraction: float, text: str = "") -> None:
        """As `RunContext.progress`, within this stretch."""
        super().progress(fraction, text)
        self._reached = self._start + (self._end - self._start) * min(max(float(fraction), 0.0), 1.0)

    def keep_checkpoints_of(self, train: Dataset) -> None:
        """Choose the folder of a fit to this data.

        It is named after everything that decides the result, so that a fit meets no checkpoint but its own, and a fit
        that was over when its run was killed is over at once when the run is resumed.
        """
        if self.job.checkpoints is None or not self.job.spec.capabilities.trains_in_epochs:
            return
        data = [None if part is None else part.fingerprint for part in (train, self._held_out)]
        params = self.job.params.to_dict()
        decides = [
            self.job.spec.id,
            params,
            self.seed,
            self.threads,
            self.device,
            self.phase,
            self.epochs,
            self.chosen,
            *data,
        ]
        name = hashlib.blake2b(json.dumps(decides, sort_keys=True).encode(), digest_size=8).hexdigest()
        self.checkpoints = self.job.checkpoints / name
        try:
            self.checkpoints.mkdir(exist_ok=True)
        except OSError as error:
            logger.warning("%s cannot be made (%s): this run cannot be resumed", self.checkpoints, error)
            self.checkpoints = None

    def log(self, step: int, **values: float) -> None:
        """As `RunContext.log`, marked with the phase of the run."""
        self.run.log_entry(LogEntry(int(step), {name: float(value) for name, value in values.items()}, self.phase))

    def validate(
        self, model: Recommender, held_out: Dataset | None = None, history: Dataset | None = None
    ) -> Validation | None:
        """RMSE where the model predicts ratings and the data has some, else NDCG@10; for up to `VALIDATION_USERS`."""
        held_out = self._held_out if held_out is None else held_out
        history = self._history if history is None else history
        if held_out is None or history is None:
            return None
        return validation_figure(model, held_out, history, self)

    def fit(self, algorithm: str, params: Mapping[str, Any], train: Dataset) -> Recommender:
        """Fit a member of a hybrid, with the same seed and, where it trains in epochs, as many as were best.

        Raises
        ------
        CannotFit: the member cannot be fitted or failed, with its reason; the hybrid may go on without it.
        """
        try:
            return self._fit_member(algorithm, params, train)
        except (TrainingFailed, NothingToKeep) as error:
            raise CannotFit(str(error)) from error

    def _fit_member(self, algorithm: str, params: Mapping[str, Any], train: Dataset) -> Recommender:
        spec = self.job.registry.spec(algorithm)
        job = replace(self.job, spec=spec, params=spec.params.parse(params))
        key = json.dumps([algorithm, job.params.to_dict()], sort_keys=True)
        # Only the hybrid knows how far it is; a member says what it is doing and leaves the bar where it stands.
        span = (self._reached, self._reached)
        learnt = self._members.get(key)
        phase = f"{self.phase} {algorithm}".strip()
        if not spec.capabilities.trains_in_epochs or learnt is not None:
            model = self._fitted_member(job, train, FitContext(job, self.run, span, phase=phase, learnt=learnt))
            self._members.setdefault(key, Learnt.of(model))
            return model
        if self._held_out is not None:
            context = FitContext(job, self.run, span, phase=phase, held_out=self._held_out, history=train)
            model = self._fitted_member(job, train, context)
        else:
            kept, held_out = set_aside(spec, train, job.seed)
            context = FitContext(job, self.run, span, phase=phase, held_out=held_out, history=kept)
            model = self._fitted_member(job, kept, context)
            if model.best_epoch_ is not None and not self.should_stop:
                context = FitContext(job, self.run, span, phase=phase, learnt=Learnt.of(model))
                model = self._fitted_member(job, train, context)
        if model.best_epoch_ is not None:
            self._members[key] = Learnt.of(model)
        return model

    def _fitted_member(self, job: FitJob, train: Dataset, context: FitContext) -> Recommender:
        model = _fitted(job, train, context)
        self.earlier_seconds += context.earlier_seconds
        return model


def validation_figure(
    model: Recommender,
    held_out: Dataset,
    history: Dataset,
    run: RunContext,
    check: Callable[[], None] = lambda: None,
) -> Validation:
    """A model's figure on held-out data, for people with this history: see `FitContext.validate`.

    check: called between blocks of people; what it raises ends the validation.
    """
    from recsys_desktop.evaluation import judge, rank_test_users, rmse
    from recsys_desktop.evaluation.ranking import ndcg

    part = sampled_users(held_out, VALIDATION_USERS, run)
    capabilities = model.spec.capabilities
    if capabilities.predicts_ratings and part.ratings is not None and history.feedback is Feedback.EXPLICIT:
        users, people = np.unique(part.users, return_inverse=True)
        predictions = predicted_pairs(model, Query.of_users(history, users), people, part.items, check)
        known = ~np.isnan(predictions)
        if known.any() or not capabilities.ranks:
            return Validation("rmse", rmse(predictions[known], part.ratings[known]), larger_is_better=False)
    ranked, _ = rank_test_users(model.score, history, part, VALIDATION_LENGTH, progress=lambda _done: check())
    figures = ndcg(judge(ranked.lists, ranked.relevant))
    value = float(np.nanmean(figures)) if len(figures) and not np.isnan(figures).all() else float("nan")
    return Validation(f"ndcg@{VALIDATION_LENGTH}", value)


def predicted_pairs(
    model: Recommender,
    query: Query,
    people: npt.NDArray[Any],
    items: npt.NDArray[Any],
    check: Callable[[], None] = lambda: None,
) -> Float32:
    """`Recommender.predict_pairs` for a few people at a time; check: called before each block."""
    predictions = np.empty(len(people), dtype=np.float32)
    order = np.argsort(people, kind="stable")
    in_order = people[order]
    for begin in range(0, len(query), PEOPLE_AT_ONCE):
        check()
        end = min(begin + PEOPLE_AT_ONCE, len(query))
        first, last = np.searchsorted(in_order, (begin, end))
        rows = order[first:last]
        if len(rows):
            predictions[rows] = model.predict_pairs(
                query.take(np.arange(begin, end)), people[rows] - begin, items[rows]
            )
    return predictions


def sampled_users(data: Dataset, most: int, run: RunContext) -> Dataset:
    """The interactions of at most `most` users, drawn by the run's seed; the data itself where it has no more."""
    present = np.flatnonzero(data.user_counts)
    if len(present) <= most:
        return data
    chosen = np.zeros(data.n_users, dtype=np.bool_)
    chosen[run.generator("validation users").choice(present, most, replace=False)] = True
    return data.subset(chosen[data.users])


def set_aside(spec: AlgorithmSpec, train: Dataset, seed: int) -> tuple[Dataset, Dataset]:
    """A tenth of each user's interactions held out for an algorithm, of some users' where they have few: (kept, held
    out).

    They are drawn at random; where the algorithm goes by the order of a history, they are the latest: what comes next
    is what it is for, and to know later choices would give earlier ones away.
    """
    latest = spec.capabilities.is_sequential
    return train.hold_out(HELD_OUT_SHARE, RunContext(seed).generator("held out"), latest=latest, within_fraction=True)


def combined(train: Dataset, validation: Dataset | None) -> Dataset:
    """Both parts as one Dataset over their common vocabulary, training rows first."""
    if validation is None or len(validation) == 0:
        return train

    def joined(name: str) -> Any:
        first, second = getattr(train, name), getattr(validation, name)
        return None if first is None or second is None else np.concatenate((first, second))

    names = ("users", "items", "ratings", "weights", "timestamps", "events")
    return replace(train, **{name: joined(name) for name in names})


def fit(
    job: FitJob,
    train: Dataset,
    run: EngineRun,
    *,
    validation: Dataset | None = None,
    hold_out: bool = False,
    span: tuple[float, float] = (0.0, 1.0),
) -> Fitted:
    """Fit one algorithm to `train` and, once it is known for how long to train, to `validation` as well.

    An algorithm that trains in epochs is first fitted without the validation part (where none is given, what
    `set_aside` makes), stops early by it, and is then refitted to everything for the best number of epochs.
    `hold_out` asks for that first fit of any algorithm, for calibration.

    Raises
    ------
    TrainingFailed: with the algorithm's reason. Cancelled: the run was asked to discard its result. NothingToKeep: it
    was asked to keep what it had before there was a model.
    """
    everything = combined(train, validation)
    if not (hold_out or job.spec.capabilities.trains_in_epochs):
        model, seconds, peak = _measured(job, everything, FitContext(job, run, span, phase="fit"))
        return Fitted(model, seconds, peak, _epochs(model), stopped_early=run.kept)
    kept, held_out = (train, validation) if validation is not None else set_aside(job.spec, train, job.seed)
    middle = span[0] + (span[1] - span[0]) * 0.55
    members: dict[str, Learnt] = {}
    context = FitContext(
        job,
        run,
        (span[0], middle),
        phase="fit",
        held_out=held_out if len(held_out) else None,
        history=kept,
        members=members,
    )
    trial, seconds, peak = _measured(job, kept, context)
    figure = _figure(trial, held_out, kept, context) if len(held_out) else None
    first = Fitted(trial, seconds, peak, _epochs(trial), figure, trial, held_out, kept, stopped_early=True)
    if run.kept:
        return first
    context = FitContext(job, run, (middle, span[1]), phase="refit", learnt=Learnt.of(trial), members=members)
    try:
        model, seconds, peak = _measured(job, everything, context)
    except (TrainingFailed, NothingToKeep):
        # A stop during the refit may leave it without a model; the trial's is there to keep.
        if run.kept:
            return first
        raise
    if run.kept:
        return first
    return Fitted(model, seconds, peak, _epochs(model) or _epochs(trial), figure, trial, held_out, kept)


def _epochs(model: Recommender) -> int | None:
    return model.best_epoch_


def _figure(trial: Recommender, held_out: Dataset, kept: Dataset, context: FitContext) -> Validation:
    try:
        return validation_figure(trial, held_out, kept, context, context.check)
    except Cancelled:
        raise
    except Exception as error:
        raise TrainingFailed(f"'{trial.spec.id}' was fitted but cannot answer: {_in_words(error)}") from error


class WarmUpContext(FitContext):
    """A fit whose model nobody wants: one epoch, for members of hybrids too, and nothing is told or validated.

    It stops when `run` does.
    """

    def __init__(self, job: FitJob, run: EngineRun, device: str) -> None:
        learnt = Learnt(1 if job.spec.capabilities.trains_in_epochs else None, None)
        super().__init__(job, run.unheard(device), (0.0, 1.0), phase="warm-up", learnt=learnt)

    def _fit_member(self, algorithm: str, params: Mapping[str, Any], train: Dataset) -> Recommender:
        spec = self.job.registry.spec(algorithm)
        job = replace(self.job, spec=spec, params=spec.params.parse(params))
        return spec.load()(job.params).fit(train, WarmUpContext(job, self.run, self.device))


def _measured(job: FitJob, train: Dataset, context: FitContext) -> tuple[Recommender, float, int]:
    """A fitted model, the seconds of its `fit`, and the peak of resident memory above the start of `fit`, in bytes.

    The seconds include those that went into what is taken up from the checkpoint of a killed run.
    Imports and compiled kernels are paid before, and whether the model can answer is tried after, so that the figures
    do not depend on what the process did earlier.
    """
    with _reasons(job, context):
        model = job.spec.load()(job.params)
        with limited_threads(job.threads):
            warm_up(
                job.spec,
                job.params,
                train,
                lambda part: job.spec.load()(job.params).fit(part, WarmUpContext(job, context.run, context.device)),
                context.run,
            )
            context.check()
            context.keep_checkpoints_of(train)
            with PeakMemory() as peak:
                start = time.perf_counter()
                model.fit(train, context)
                seconds = time.perf_counter() - start + context.earlier_seconds
            context.check()
            _try_out(model, train)
    return model, seconds, peak.bytes


def _fitted(job: FitJob, train: Dataset, context: FitContext) -> Recommender:
    """Run one `fit` that nobody measures."""
    with _reasons(job, context):
        model = job.spec.load()(job.params)
        with limited_threads(job.threads):
            context.keep_checkpoints_of(train)
            model.fit(train, context)
            context.check()
            _try_out(model, train)
    return model


@contextmanager
def _reasons(job: FitJob, context: FitContext) -> Iterator[None]:
    """Turn every failure of a fit into a reason; what is not the algorithm's own refusal is logged as it came."""
    name = job.spec.id
    try:
        yield
    except (Cancelled, TrainingFailed, InvalidParameter):
        raise
    except CannotFit as error:
        context.check()
        if context.run.kept:
            raise NothingToKeep from error
        raise TrainingFailed(str(error)) from error
    except MemoryError as error:
        raise TrainingFailed(
            f"'{name}' ran out of memory: use less data, or an algorithm that needs less (see its forecast)"
        ) from error
    except Exception as error:
        context.check()
        logger.warning("'%s' failed while it was fitted", name, exc_info=True)
        raise TrainingFailed(f"'{name}' failed: {_in_words(error)}") from error


def _try_out(model: Recommender, train: Dataset) -> None:
    """Ask for scores of people in the data until one has a finite score: a model that cannot answer is never saved.

    Raises
    ------
    TrainingFailed: scoring fails, or `TRIED_PEOPLE` people whom the model serves get only NaN or infinite scores.
    """
    name = model.spec.id
    active = np.flatnonzero(train.user_counts)
    people = active[np.unique(np.linspace(0, len(active) - 1, min(TRIED_PEOPLE, len(active))).astype(np.int64))]
    served = 0
    for user in people.tolist():
        query = Query.of_users(train, [user])
        try:
            scores = model.score(query)
            serves = bool(model._serves(query)[0])
        except Exception as error:
            logger.warning("'%s' failed in its first score", name, exc_info=True)
            raise TrainingFailed(f"'{name}' was fitted, but failed in score: {_in_words(error)}") from error
        if np.isfinite(scores).any():
            return
        served += serves
    if served:
        reason = (
            "its training may have diverged; try other parameters"
            if model.spec.capabilities.trains_in_epochs
            else "no score could be computed from these data"
        )
        raise TrainingFailed(
            f"'{name}' was fitted, but gives only NaN or infinite scores to each of the {served} people it was "
            f"tried on: {reason}"
        )


def _in_words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
