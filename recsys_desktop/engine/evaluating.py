"""Evaluating: algorithms on one split, judged alike: fit, rank, predict, measure, compare, write down."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from recsys_desktop.api.algorithm import AlgorithmSpec
from recsys_desktop.api.dataset import Dataset, Float32
from recsys_desktop.api.errors import RecSysError
from recsys_desktop.api.extensions import MetricSpec, RankedLists, Split
from recsys_desktop.api.params import Params
from recsys_desktop.api.query import Query
from recsys_desktop.api.recommender import Recommender
from recsys_desktop.engine.errors import Cancelled, EngineError, Misuse, NothingToKeep, UnknownName
from recsys_desktop.engine.fallback import Fallback, RatingSource
from recsys_desktop.engine.fitting import FitJob, checked_params, combined, fit, predicted_pairs
from recsys_desktop.engine.memory import limited_threads, require_memory
from recsys_desktop.engine.recording import recorded
from recsys_desktop.engine.requests import EvaluateRequest
from recsys_desktop.engine.results import Comparison, ComparisonRow, Figure, MetricColumn
from recsys_desktop.engine.runs import EngineRun, LogEntry
from recsys_desktop.engine.sentences import enumeration
from recsys_desktop.engine.session import Session

logger = logging.getLogger(__name__)

TIMED_USERS = 30
MANY_USERS = 50_000

RATING_COLUMNS = (
    MetricColumn("rmse", "RMSE", "Square root of the mean squared error over all test ratings", False),
    MetricColumn("mae", "MAE", "Mean absolute error over all test ratings", False),
)
NO_RATINGS = "the data have no ratings"
COVERAGE = MetricColumn("coverage", "Coverage", "Share of the catalogue that is in any list (Ge et al. 2010)")


@dataclass(frozen=True)
class Candidate:
    """An algorithm to be judged, with its parameters."""

    spec: AlgorithmSpec
    params: Params


@dataclass(frozen=True)
class Lists:
    """What an algorithm answered for the test part, for the files of the report.

    ranked: None where it does not rank. predictions: float32, one for each test interaction, or None.
    """

    ranked: RankedLists | None = None
    predictions: Float32 | None = None


@dataclass(frozen=True)
class Judged:
    """One finished row with what goes into files."""

    row: ComparisonRow
    lists: Lists


@dataclass(frozen=True)
class Bench:
    """What every algorithm is judged on.

    train, validation, test: the parts. known: train and validation together, which is what a model may know at the end.
    histories: `known` and what else the split tells of test users when a model is asked, though not when it is fitted;
    it is not listed again. findable: `test` without the pairs in `histories`, which no list can hold. users: int32
    (n,), the test users. columns: ranking metrics by id.
    """

    train: Dataset
    validation: Dataset | None
    test: Dataset
    known: Dataset
    histories: Dataset
    findable: Dataset
    users: npt.NDArray[np.int32]
    metrics: Mapping[str, MetricSpec]
    columns: tuple[MetricColumn, ...]
    fallback: Fallback
    k: int
    seed: int
    threads: int

    @property
    def resamples(self) -> int:
        """Bootstrap draws: fewer where so many users make the intervals narrow anyway."""
        return 2000 if len(self.users) <= MANY_USERS else 400


def evaluate(session: Session, request: EvaluateRequest, run: EngineRun) -> Comparison:
    """As `Engine.evaluate`."""
    from recsys_desktop.engine.reports import Report

    run.require_device()
    candidates = _candidates(session, request)
    if request.k < 1:
        raise Misuse(f"k is the length of the lists and at least 1, not {request.k}")
    metrics = ranking_metrics(session, request.metrics)
    keeps = session.workspace.mode == "write"
    if not keeps and request.out is None:
        raise Misuse("the workspace is open for reading only: name a folder for the report")
    run.progress(0.0, "Preparing the split")
    split, source = _split(session, request, run)
    bench = _bench(split, metrics, request, run.threads_or(session.threads))
    report = Report(session, request, bench, source)
    if not keeps:
        comparison = report.write(_judge_all(session, candidates, bench, request, run), None)
        run.flush()
        return comparison
    with recorded(session, run, "evaluate", request.to_dict(), source.get("fingerprint")) as recording:
        comparison = report.write(_judge_all(session, candidates, bench, request, run), recording.id)
        recording.result = {"evaluation": comparison.evaluation_id, "folder": str(comparison.folder)}
        run.progress(1.0, f"Saved in {comparison.folder}")
    return comparison


def _candidates(session: Session, request: EvaluateRequest) -> list[Candidate]:
    """Every name and parameter checked before anything is begun."""
    names = list(dict.fromkeys(request.algorithms))
    if not names:
        raise Misuse("name at least one algorithm to evaluate")
    specs = [session.registry.spec(name) for name in names]
    strangers = [name for name in request.params if name not in names]
    if strangers:
        raise Misuse(f"parameters are given for '{strangers[0]}', which is not among: {', '.join(names)}")
    return [Candidate(spec, checked_params(session.registry, spec, request.params.get(spec.id, {}))) for spec in specs]


def ranking_metrics(session: Session, wanted: Sequence[str] = ()) -> dict[str, MetricSpec]:
    """The ranking metrics by id, the application's own first, then those of plugins.

    Raises
    ------
    UnknownName: one of `wanted` is no metric.
    """
    everything = session.registry.metrics
    others = {column.id for column in (*RATING_COLUMNS, COVERAGE)}
    for name in wanted:
        if name not in everything and name not in others:
            raise UnknownName("metric", name, [*everything, *others])
    return {name: metric for name, metric in everything.items() if not wanted or name in wanted}


def _split(session: Session, request: EvaluateRequest, run: EngineRun) -> tuple[Split, dict[str, Any]]:
    """The parts, and where they come from in plain data."""
    from recsys_desktop.engine.importing import load_parts

    if request.data is not None:
        if request.train is not None or request.test is not None or request.valid is not None:
            raise Misuse("give either a data set and a split, or files for training and test, not both")
        record = session.workspace.resolve_dataset(request.data)
        name = request.split or next(iter(session.registry.splitters))
        split = session.split(session.dataset(record.fingerprint), name, request.split_params, request.seed)
        return split, {
            "data": record.name,
            "fingerprint": record.fingerprint,
            "split": name,
            "split_params": dict(request.split_params),
        }
    if request.train is None or request.test is None:
        raise Misuse("say what to evaluate on: a data set (and a split), or a training and a test file")
    if request.split is not None:
        raise Misuse("a split divides a data set; with files for training and test there is nothing to divide")
    split = load_parts(session, request, run)
    files = {"train": str(request.train), "test": str(request.test)}
    if request.valid is not None:
        files["valid"] = str(request.valid)
    return split, {"data": split.train.name, "split": "predefined", "files": files}


def _bench(split: Split, metrics: Mapping[str, MetricSpec], request: EvaluateRequest, threads: int) -> Bench:
    from recsys_desktop.evaluation import test_users

    if len(split.test) == 0:
        raise EngineError("the test part is empty: nothing can be judged; choose another split or another test file")
    known = combined(split.train, split.validation)
    histories = combined(known, split.history)
    findable = _findable(histories, split.test)
    if len(findable) == 0:
        raise EngineError(
            "every interaction of the test part is in training, validation or the histories too: nothing is left to be "
            "found; choose another test part"
        )
    columns = tuple(
        MetricColumn(name, f"{metric.name}@{request.k}", metric.formula, metric.larger_is_better)
        for name, metric in metrics.items()
    )
    wanted = set(request.metrics)
    more = [column for column in (COVERAGE, *RATING_COLUMNS) if not wanted or column.id in wanted]
    if split.test.ratings is None or split.train.ratings is None:
        more = [column for column in more if column not in RATING_COLUMNS]
    return Bench(
        split.train,
        split.validation,
        split.test,
        known,
        histories,
        findable,
        test_users(split.test),
        metrics,
        (*columns, *more),
        Fallback.of(known),
        request.k,
        request.seed,
        threads,
    )


def _findable(known: Dataset, test: Dataset) -> Dataset:
    """`test` without the user-item pairs that are known; itself where there are none."""
    pairs, known_pairs = (
        part.users.astype(np.int64) * known.n_items + part.items.astype(np.int64) for part in (test, known)
    )
    already = np.isin(pairs, known_pairs)
    return test.subset(~already) if already.any() else test


def _judge_all(
    session: Session,
    candidates: Sequence[Candidate],
    bench: Bench,
    request: EvaluateRequest,
    run: EngineRun,
) -> list[Judged]:
    done: list[Judged] = []
    for number, candidate in enumerate(candidates):
        span = (number / len(candidates), (number + 1) / len(candidates))
        if run.kept:
            done.append(Judged(_empty_row(candidate, "not run", "stopped before its turn"), Lists()))
        else:
            done.append(_judge(session, candidate, bench, request, run, span))
    run.progress(1.0, "Comparing")
    rows = compared([judged.row for judged in done], bench, run.check)
    return [replace(judged, row=row) for judged, row in zip(done, rows, strict=True)]


def _judge(
    session: Session,
    candidate: Candidate,
    bench: Bench,
    request: EvaluateRequest,
    run: EngineRun,
    span: tuple[float, float],
) -> Judged:
    spec = candidate.spec
    reason = _unconcerned(spec, bench)
    if reason:
        return Judged(_empty_row(candidate, "not run", reason), Lists())
    run.progress(span[0], f"{spec.name}: training")
    fitted_at = span[0] + (span[1] - span[0]) * 0.8
    try:
        if not request.force:
            require_memory(session.registry, spec.id, candidate.params.to_dict(), bench.known.shape)
        job = FitJob(session.registry, spec, candidate.params, bench.seed, bench.threads, device=session.device)
        fitted = fit(job, bench.train, run, validation=bench.validation, span=(span[0], fitted_at))
        run.check()
        run.progress(fitted_at, f"{spec.name}: judging")
        row = ComparisonRow(
            spec.id,
            spec.name,
            spec.family.value,
            "done",
            reason="stopped early" if fitted.stopped_early else "",
            params=fitted.model.params.to_dict(),
            chosen=fitted.model.chosen_ or {},
            fit_seconds=fitted.fit_seconds,
            peak_memory_bytes=fitted.peak_memory_bytes,
            size_bytes=state_bytes(fitted.model),
            epochs=fitted.epochs,
        )
        with limited_threads(bench.threads):
            judged = _figures(fitted.model, row, bench, run.check)
        figures = {name: figure.value for name, figure in judged.row.figures.items()}
        run.log_entry(LogEntry(0, figures, spec.id))
        return judged
    except NothingToKeep:
        return Judged(_empty_row(candidate, "not run", "stopped before there was a model to judge"), Lists())
    except (Cancelled, KeyboardInterrupt):
        raise
    except RecSysError as error:
        reason = str(error)
    except Exception as error:
        reason = f"'{spec.id}' failed while it was judged: {type(error).__name__}: {error}"
        logger.warning("'%s' failed while it was judged", spec.id, exc_info=True)
    run.check()
    return Judged(_empty_row(candidate, "failed", reason), Lists())


def _unconcerned(spec: AlgorithmSpec, bench: Bench) -> str:
    """Why no column says anything of an algorithm; empty where some does."""
    if spec.needs.ratings and bench.train.ratings is None:
        return NO_RATINGS
    of_ratings = {column.id for column in bench.columns} & {column.id for column in RATING_COLUMNS}
    if spec.capabilities.ranks and len(bench.columns) > len(of_ratings):
        return ""
    if spec.capabilities.predicts_ratings and of_ratings:
        return ""
    if spec.capabilities.predicts_ratings and bench.test.ratings is None:
        return NO_RATINGS if bench.train.ratings is None else "the test part has no ratings"
    if spec.capabilities.predicts_ratings:
        return "it only predicts ratings, and ratings are not judged here"
    return "it predicts no ratings, and only ratings are judged here"


def _empty_row(candidate: Candidate, state: str, reason: str) -> ComparisonRow:
    spec = candidate.spec
    return ComparisonRow(spec.id, spec.name, spec.family.value, state, reason=reason, params=candidate.params.to_dict())


def _figures(model: Recommender, row: ComparisonRow, bench: Bench, check: Callable[[], None]) -> Judged:
    """Lists and predictions of a fitted model, and every figure on them."""
    capabilities = model.spec.capabilities
    figures: dict[str, Figure] = {}
    per_user: dict[str, npt.NDArray[np.float64]] = {}
    ranked = predictions = None
    if capabilities.ranks:
        ranked, counts = _ranked(model, bench, check)
        row = replace(
            row,
            fallback_users=counts["fallback"],
            tied_lists=counts["tied"],
            score_seconds=_median_seconds(model, bench),
        )
        _ranking_figures(ranked, bench, figures, per_user, check)
    check()
    if capabilities.predicts_ratings and bench.test.ratings is not None and bench.train.ratings is not None:
        predictions, filled = _predictions(model, bench, check)
        row = replace(row, fallback_predictions=filled)
        _rating_figures(predictions, bench, figures, per_user, check)
    return Judged(replace(row, figures=figures, per_user=per_user), Lists(ranked, predictions))


def _ranked(model: Recommender, bench: Bench, check: Callable[[], None]) -> tuple[RankedLists, dict[str, int]]:
    from recsys_desktop.evaluation import rank_test_users, relevant_items

    ranked, report = rank_test_users(
        model.score,
        bench.known,
        bench.test,
        bench.k,
        bench.fallback.popularity,
        history=bench.histories,
        progress=lambda _: check(),
    )
    if bench.findable is not bench.test:
        ranked = ranked._replace(relevant=relevant_items(bench.findable, ranked.users), test=bench.findable)
    return ranked, {"fallback": report.fallback_lists, "tied": report.tied_lists}


def _ranking_figures(
    ranked: RankedLists,
    bench: Bench,
    figures: dict[str, Figure],
    per_user: dict[str, npt.NDArray[np.float64]],
    check: Callable[[], None],
) -> None:
    from recsys_desktop.evaluation import catalogue_coverage
    from recsys_desktop.evaluation.significance import bootstrap_intervals

    for name, metric in bench.metrics.items():
        check()
        values = np.asarray(metric.compute(ranked), dtype=np.float64)
        if values.shape != (len(bench.users),):
            raise EngineError(f"the metric '{name}' gave {values.shape} figures for {len(bench.users)} users")
        per_user[name] = values
    intervals = bootstrap_intervals(per_user, resamples=bench.resamples, seed=bench.seed, check=check)
    figures.update((name, _figure(*interval)) for name, interval in intervals.items())
    if any(column.id == COVERAGE.id for column in bench.columns):
        coverage = catalogue_coverage(ranked.lists, bench.known.n_items)
        figures[COVERAGE.id] = Figure(coverage, coverage, coverage)


def _figure(value: float, low: float, high: float) -> Figure:
    return Figure(value, value if np.isnan(low) else low, value if np.isnan(high) else high)


def _median_seconds(model: Recommender, bench: Bench) -> float:
    """The median time from a person's query to a top-k list, one person at a time."""
    from recsys_desktop.evaluation import top_k

    seconds = []
    for user in bench.users[:TIMED_USERS].tolist():
        start = time.perf_counter()
        query = Query.of_users(bench.histories, [user])
        scores = model.score(query)
        scores[0, query.items] = np.nan
        top_k(scores, bench.k)
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds))


def _predictions(model: Recommender, bench: Bench, check: Callable[[], None]) -> tuple[Float32, int]:
    """A prediction for every test interaction; what the model cannot, the means answer. Also how many those were."""
    users, people = np.unique(bench.test.users, return_inverse=True)
    query = Query.of_users(bench.histories, users)
    predictions = predicted_pairs(model, query, people, bench.test.items, check)
    filled, sources = bench.fallback.fill(predictions, query, people, bench.test.items)
    return filled, int((sources != RatingSource.MODEL).sum())


def _rating_figures(
    predictions: Float32,
    bench: Bench,
    figures: dict[str, Figure],
    per_user: dict[str, npt.NDArray[np.float64]],
    check: Callable[[], None],
) -> None:
    from recsys_desktop.evaluation import bootstrap_interval, user_errors

    drawing: dict[str, Any] = {"resamples": bench.resamples, "seed": bench.seed, "check": check}

    wanted = {column.id for column in bench.columns}
    ratings = bench.test.ratings
    assert ratings is not None
    position = np.searchsorted(bench.users, bench.test.users)
    errors = user_errors(predictions, ratings, position, len(bench.users))
    if "rmse" in wanted:
        per_user["rmse"] = errors.rmse
        figures["rmse"] = _figure(*bootstrap_interval(errors.rmse**2, errors.counts, np.sqrt, **drawing))
    if "mae" in wanted:
        per_user["mae"] = errors.mae
        figures["mae"] = _figure(*bootstrap_interval(errors.mae, errors.counts, **drawing))


def deciding_metric(rows: Sequence[ComparisonRow], columns: Sequence[MetricColumn]) -> MetricColumn | None:
    """The first column that some finished row has per-user figures for; ranking before rating."""
    for column in columns:
        if any(column.id in row.per_user for row in rows):
            return column
    return None


def compared(rows: list[ComparisonRow], bench: Bench, check: Callable[[], None]) -> list[ComparisonRow]:
    """The rows with those marked that cannot be told from the best: paired bootstrap over users, Holm-corrected.

    check: called between draws; what it raises ends the comparison.
    """
    from recsys_desktop.evaluation import indistinguishable_from_best

    column = deciding_metric(rows, bench.columns)
    if column is None:
        return rows
    vectors = {row.algorithm: row.per_user[column.id] for row in rows if column.id in row.per_user}
    if _nothing_found(rows, column):
        return rows
    best = indistinguishable_from_best(
        vectors, column.larger_is_better, resamples=bench.resamples, seed=bench.seed, check=check
    )
    return [replace(row, best=row.algorithm in best) for row in rows]


def _nothing_found(rows: Sequence[ComparisonRow], column: MetricColumn) -> bool:
    """Whether the deciding metric counts hits and every finished row is without one."""
    from recsys_desktop.evaluation import RANKING_METRICS

    if column.id not in RANKING_METRICS:
        return False
    return not any(np.nan_to_num(row.per_user[column.id]).any() for row in rows if column.id in row.per_user)


def conclusion(rows: Sequence[ComparisonRow], columns: Sequence[MetricColumn]) -> str:
    """Which algorithms are best by the deciding metric, and which cannot be told from the best."""
    column = deciding_metric(rows, columns)
    if column is None:
        return "No algorithm could be judged."
    if _nothing_found(rows, column):
        return f"No algorithm found any test item: {column.name} is 0 for all of them."
    judged = [row for row in rows if column.id in row.figures]
    sign = -1 if column.larger_is_better else 1
    best = min(judged, key=lambda row: sign * row.figures[column.id].value)
    others = [row.name for row in judged if row.best and row is not best]
    text = f"{best.name} has the best {column.name} ({best.figures[column.id].value:.4f})"
    if len(judged) == 1:
        return text + "."
    if not others:
        return text + "; every other algorithm is significantly worse."
    return f"{text}; {enumeration(others)} cannot be told from it on this test part."


def state_bytes(model: Recommender) -> int:
    """Bytes of the arrays in a model's fitted state, nested models included."""
    return _bytes(model.fitted_state())


def _bytes(value: Any) -> int:
    if isinstance(value, np.ndarray):
        return int(value.nbytes)
    if isinstance(value, Recommender):
        return state_bytes(value)
    if isinstance(value, Mapping):
        return sum(_bytes(part) for part in value.values())
    if isinstance(value, list | tuple):
        return sum(_bytes(part) for part in value)
    if getattr(value, "format", None) == "csr":
        return int(value.data.nbytes + value.indices.nbytes + value.indptr.nbytes)
    if hasattr(value, "element_size") and hasattr(value, "nelement"):
        return int(value.element_size() * value.nelement())
    return 0
