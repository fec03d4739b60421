"""Reports: a comparison as files that scripts, people and this program read."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from recsys_desktop import __version__
from recsys_desktop.api.algorithm import Serves
from recsys_desktop.data.texts import counted
from recsys_desktop.engine.errors import EngineError
from recsys_desktop.engine.evaluating import Bench, Judged, conclusion
from recsys_desktop.engine.requests import EvaluateRequest
from recsys_desktop.engine.results import Comparison, ComparisonRow, Figure, MetricColumn
from recsys_desktop.engine.session import Session
from recsys_desktop.workspace import MetricRecord

METRICS_SCHEMA = "recsys-desktop/metrics"
METRICS_VERSION = 1
METRICS_FILE = "metrics.json"
PER_USER_FILE = "per_user.csv"
RECOMMENDATIONS_FOLDER = "recommendations"
PREDICTIONS_FOLDER = "predictions"

_NOTABLE_TIES = 0.05
"""Share of a personal algorithm's lists from which ties are worth a word; lists that are the same for all have them."""


class Report:
    """Writes what an evaluation found: into the workspace, and into the folder that was asked for."""

    def __init__(self, session: Session, request: EvaluateRequest, bench: Bench, source: Mapping[str, Any]) -> None:
        self._session = session
        self._request = request
        self._bench = bench
        self._source = source

    def write(self, judged: Sequence[Judged], run_id: str | None) -> Comparison:
        """Keep everything and return the comparison; without `run_id` only the folder of the request is written."""
        comparison = self._comparison(judged)
        out = None if self._request.out is None else Path(self._request.out)
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
            self._write_folder(out, comparison, judged, lists=self._request.lists)
        if run_id is None:
            return _placed(comparison, out, None)
        with self._session.workspace.publish_evaluation(
            split=dict(self._source),
            payload={"algorithms": [row.algorithm for row in comparison.rows], "conclusion": comparison.conclusion},
            metrics=_metric_records(comparison, self._bench.k),
            dataset_fingerprint=self._source.get("fingerprint"),
            seed=self._request.seed,
            k=self._bench.k,
            run_id=run_id,
        ) as publication:
            self._write_folder(publication.folder, comparison, judged, lists=self._request.lists and out is None)
        record = publication.record
        folder = out if out is not None else self._session.workspace.folder_of(record)
        return _placed(comparison, folder, record.id)

    def _comparison(self, judged: Sequence[Judged]) -> Comparison:
        bench = self._bench
        rows = tuple(result.row for result in judged)
        settings = {
            **self._source,
            "seed": self._request.seed,
            "k": bench.k,
            "threads": bench.threads,
            "train_interactions": len(bench.train),
            "validation_interactions": 0 if bench.validation is None else len(bench.validation),
            "test_interactions": len(bench.test),
            "known_test_interactions": len(bench.test) - len(bench.findable),
            "test_users": len(bench.users),
            "catalogue": bench.known.n_items,
            "ranking": "the whole catalogue without what the person has in training and validation",
            "version": __version__,
        }
        ids = bench.known.user_vocabulary.ids
        return Comparison(
            rows,
            bench.columns,
            settings,
            None,
            tuple(str(ids[user]) for user in bench.users.tolist()),
            conclusion=conclusion(rows, bench.columns),
            notices=(*_notices(rows, bench), *self._tie_notices(rows)),
        )

    def _tie_notices(self, rows: Sequence[ComparisonRow]) -> list[str]:
        specs = self._session.registry.algorithms
        return [
            f"{row.name}: ties in {counted(row.tied_lists, 'list')} were broken by item order"
            for row in rows
            if row.tied_lists > _NOTABLE_TIES * len(self._bench.users)
            and specs[row.algorithm].capabilities.serves is not Serves.EVERYONE
        ]

    def _write_folder(self, folder: Path, comparison: Comparison, judged: Sequence[Judged], lists: bool) -> None:
        text = json.dumps(metrics_document(comparison), indent=1, ensure_ascii=False, allow_nan=False)
        (folder / METRICS_FILE).write_text(text, encoding="utf-8")
        _write_per_user(folder / PER_USER_FILE, comparison)
        if not lists:
            return
        for result in judged:
            name = f"{result.row.algorithm}.csv"
            if result.lists.ranked is not None:
                (folder / RECOMMENDATIONS_FOLDER).mkdir(exist_ok=True)
                self._write_lists(folder / RECOMMENDATIONS_FOLDER / name, result.lists.ranked)
            if result.lists.predictions is not None:
                (folder / PREDICTIONS_FOLDER).mkdir(exist_ok=True)
                self._write_predictions(folder / PREDICTIONS_FOLDER / name, result.lists.predictions)

    def _write_lists(self, path: Path, ranked: Any) -> None:
        """Rows user,item,rank,score; the score is empty where popularity filled the place."""
        users, items = self._bench.known.user_vocabulary.ids, self._bench.known.item_vocabulary.ids
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("user", "item", "rank", "score"))
            for user, listed, scores in zip(
                ranked.users.tolist(), ranked.lists.tolist(), ranked.scores.tolist(), strict=True
            ):
                writer.writerows(
                    (users[user], items[item], rank, "" if score != score else repr(score))
                    for rank, (item, score) in enumerate(zip(listed, scores, strict=True), start=1)
                    if item >= 0
                )

    def _write_predictions(self, path: Path, predictions: npt.NDArray[np.float32]) -> None:
        """Rows user,item,rating,prediction, in the order of the test part."""
        test = self._bench.test
        users, items = test.user_vocabulary.ids, test.item_vocabulary.ids
        assert test.ratings is not None
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("user", "item", "rating", "prediction"))
            writer.writerows(
                (users[user], items[item], f"{rating:.7g}", repr(prediction))
                for user, item, rating, prediction in zip(
                    test.users.tolist(), test.items.tolist(), test.ratings.tolist(), predictions.tolist(), strict=True
                )
            )


def _placed(comparison: Comparison, folder: Path | None, evaluation_id: str | None) -> Comparison:
    from dataclasses import replace

    return replace(comparison, folder=folder, evaluation_id=evaluation_id)


def _notices(rows: Sequence[ComparisonRow], bench: Bench) -> list[str]:
    found = []
    ratings = counted(len(bench.test), "test rating")
    people = counted(len(bench.users), "person", "people")
    if already := len(bench.test) - len(bench.findable):
        found.append(
            f"{already:,} of {counted(len(bench.test), 'test interaction')} {'is' if already == 1 else 'are'} in "
            "training or validation too: no list can hold them, and ranking metrics do not count them as relevant"
        )
    for row in rows:
        if row.state != "done":
            found.append(f"{row.name} {row.state}: {row.reason}")
        if row.fallback_users:
            found.append(f"{row.name}: popularity answers for {row.fallback_users:,} of {people}")
        if row.fallback_predictions:
            found.append(f"{row.name}: means predict {row.fallback_predictions:,} of {ratings}")
    return found


def _metric_records(comparison: Comparison, k: int) -> list[MetricRecord]:
    ranking = {column.id for column in comparison.metrics} - {"rmse", "mae"}
    return [
        MetricRecord(row.algorithm, name, figure.value, k if name in ranking else None, figure.low, figure.high)
        for row in comparison.rows
        for name, figure in row.figures.items()
    ]


def metrics_document(comparison: Comparison) -> dict[str, Any]:
    """The content of `metrics.json`: see docs/json-schemas.md."""
    return {
        "schema": METRICS_SCHEMA,
        "version": METRICS_VERSION,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        **{name: value for name, value in comparison.to_dict().items() if name not in ("folder", "evaluation_id")},
    }


def _write_per_user(path: Path, comparison: Comparison) -> None:
    """Rows user,algorithm and one column a metric, empty where undefined."""
    names = [column.id for column in comparison.metrics if any(column.id in row.per_user for row in comparison.rows)]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("user", "algorithm", *names))
        for row in comparison.rows:
            if not row.per_user:
                continue
            columns = [
                row.per_user[name].tolist() if name in row.per_user else [float("nan")] * len(comparison.users)
                for name in names
            ]
            writer.writerows(
                (user, row.algorithm, *("" if value != value else repr(value) for value in values))
                for user, *values in zip(comparison.users, *columns, strict=True)
            )


def read_comparison(session: Session, evaluation_id: str) -> Comparison:
    """As `Engine.comparison`.

    Raises
    ------
    RecordNotFound, ArtifactDamaged. EngineError: the files were written by a newer version.
    """
    record = session.workspace.evaluation(evaluation_id)
    session.workspace.verify(record)
    folder = session.workspace.folder_of(record)
    content = json.loads((folder / METRICS_FILE).read_text(encoding="utf-8"))
    if content.get("schema") != METRICS_SCHEMA or content.get("version", 0) > METRICS_VERSION:
        raise EngineError(f"{folder / METRICS_FILE} was written by a newer version: update the application")
    users, vectors = _read_per_user(folder / PER_USER_FILE)
    rows = tuple(
        ComparisonRow(
            **{
                **row,
                "figures": {
                    name: Figure(*(_number(figure[bound]) for bound in ("value", "low", "high")))
                    for name, figure in row["figures"].items()
                },
            },
            per_user=vectors.get(row["algorithm"], {}),
        )
        for row in content["rows"]
    )
    return Comparison(
        rows,
        tuple(MetricColumn(**column) for column in content["metrics"]),
        content["settings"],
        folder,
        users,
        record.id,
        content["conclusion"],
        tuple(content["notices"]),
    )


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def _read_per_user(path: Path) -> tuple[tuple[str, ...], dict[str, dict[str, npt.NDArray[np.float64]]]]:
    users: dict[str, None] = {}
    columns: dict[str, list[list[float]]] = {}
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.reader(file)
        names = next(reader)[2:]
        for user, algorithm, *values in reader:
            users.setdefault(user)
            columns.setdefault(algorithm, []).append([float(value) if value else float("nan") for value in values])
    vectors = {}
    for algorithm, figures in columns.items():
        table = np.array(figures, dtype=np.float64)
        vectors[algorithm] = {
            name: table[:, place] for place, name in enumerate(names) if not np.isnan(table[:, place]).all()
        }
    return tuple(users), vectors
