"""The SQL statements that make, delete and find rows, and the way from a row to its record."""

import json
import math
import secrets
import sqlite3
import time
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from recsys_desktop.workspace.errors import RecordNotFound
from recsys_desktop.workspace.records import (
    DatasetRecord,
    EvaluationRecord,
    MetricRecord,
    ModelRecord,
    RunRecord,
)

MODEL_QUERY = """
    SELECT models.*, models.version = model_names.active_version AS active
    FROM models JOIN model_names ON model_names.name = models.name
"""


def new_id() -> str:
    """A fresh identifier: 12 hexadecimal characters."""
    return secrets.token_hex(6)


def to_json(value: Any) -> str:
    """``value`` as JSON text; ``TypeError`` where it is made of something else than JSON's types."""
    return json.dumps(value, ensure_ascii=False, default=_plain_mapping)


def _plain_mapping(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{value!r} ({type(value).__name__}) cannot be kept as JSON")


def insert_dataset(
    connection: sqlite3.Connection,
    *,
    fingerprint: str,
    name: str,
    n_users: int,
    n_items: int,
    n_interactions: int,
    source: str,
    extra: Mapping[str, Any],
    size_bytes: int,
) -> DatasetRecord:
    """Insert the row of a published data set, or replace that of a damaged one."""
    connection.execute("DELETE FROM datasets WHERE fingerprint = ?", (fingerprint,))
    connection.execute(
        "INSERT INTO datasets (fingerprint, name, n_users, n_items, n_interactions, source, extra, size_bytes, "
        "created) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            fingerprint,
            name,
            int(n_users),
            int(n_items),
            int(n_interactions),
            source,
            to_json(extra),
            size_bytes,
            time.time(),
        ),
    )
    return find_dataset(connection, fingerprint)


def insert_model(
    connection: sqlite3.Connection,
    *,
    model_id: str,
    name: str,
    algorithm: str,
    params: Mapping[str, Any],
    seed: int | None,
    dataset_fingerprint: str | None,
    run_id: str | None,
    metrics: Mapping[str, Any],
    fit_seconds: float | None,
    peak_memory_bytes: int | None,
    note: str,
    activate: bool,
    size_bytes: int,
) -> ModelRecord:
    """Insert the row of a published model under the next version of its name."""
    connection.execute("INSERT OR IGNORE INTO model_names (name, last_version) VALUES (?, 0)", (name,))
    # A name's only version is active whether asked for or not.
    connection.execute(
        "UPDATE model_names SET last_version = last_version + 1, "
        "active_version = CASE WHEN ? OR active_version IS NULL THEN last_version + 1 ELSE active_version END "
        "WHERE name = ?",
        (activate, name),
    )
    connection.execute(
        "INSERT INTO models (id, name, version, algorithm, params, seed, dataset_fingerprint, run_id, metrics, "
        "fit_seconds, peak_memory_bytes, size_bytes, note, created) "
        "SELECT ?, name, last_version, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ? FROM model_names WHERE name = ?",
        (
            model_id,
            algorithm,
            to_json(params),
            seed,
            dataset_fingerprint,
            run_id,
            to_json(metrics),
            fit_seconds,
            peak_memory_bytes,
            size_bytes,
            note,
            time.time(),
            name,
        ),
    )
    return find_model(connection, model_id)


def insert_evaluation(
    connection: sqlite3.Connection,
    *,
    evaluation_id: str,
    run_id: str | None,
    dataset_fingerprint: str | None,
    split: Mapping[str, Any],
    seed: int | None,
    k: int | None,
    payload: Mapping[str, Any],
    metrics: Sequence[MetricRecord],
    size_bytes: int,
) -> EvaluationRecord:
    """Insert the rows of a published evaluation and of its figures."""
    connection.execute(
        "INSERT INTO evaluations (id, run_id, dataset_fingerprint, split, seed, k, payload, size_bytes, created) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            evaluation_id,
            run_id,
            dataset_fingerprint,
            to_json(split),
            seed,
            k,
            to_json(payload),
            size_bytes,
            time.time(),
        ),
    )
    connection.executemany(
        "INSERT INTO metrics (evaluation_id, algorithm, model_id, metric, k, value, low, high) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                evaluation_id,
                metric.algorithm,
                metric.model_id,
                metric.metric,
                metric.k,
                nan_to_null(metric.value),
                metric.low,
                metric.high,
            )
            for metric in metrics
        ],
    )
    return find_evaluation(connection, evaluation_id)


def delete_dataset(connection: sqlite3.Connection, record: DatasetRecord) -> None:
    """Delete a data set's row."""
    changed = connection.execute("DELETE FROM datasets WHERE fingerprint = ?", (record.fingerprint,))
    require_one(changed, "data set", record.name)


def delete_evaluation(connection: sqlite3.Connection, record: EvaluationRecord) -> None:
    """Delete an evaluation's row and its figures."""
    changed = connection.execute("DELETE FROM evaluations WHERE id = ?", (record.id,))
    require_one(changed, "evaluation", record.id)


def delete_model(connection: sqlite3.Connection, record: ModelRecord) -> None:
    """Delete a version's row; if it was the active one, the newest that remains becomes active."""
    changed = connection.execute("DELETE FROM models WHERE id = ?", (record.id,))
    require_one(changed, "model", record.label)
    connection.execute(
        "UPDATE model_names SET active_version = (SELECT max(version) FROM models WHERE name = ?1) "
        "WHERE name = ?1 AND active_version = ?2",
        (record.name, record.version),
    )


def move_activation(connection: sqlite3.Connection, missing: ModelRecord, newest: ModelRecord) -> None:
    """Let the newest version that is there stand in for an active one whose folder is gone."""
    connection.execute(
        "UPDATE model_names SET active_version = ? WHERE name = ? AND active_version = ?",
        (newest.version, missing.name, missing.version),
    )


def mark_died_runs(connection: sqlite3.Connection, resumable: Collection[str] = ()) -> list[RunRecord]:
    """Mark every running run as died, for the caller knows that no other writer is alive; returns them.

    ``resumable``: the ids of those that have left a checkpoint.
    """
    rows = connection.execute("SELECT id FROM runs WHERE state = 'running' ORDER BY sequence").fetchall()
    for row in rows:
        text = "The program stopped before this ended. Nothing of it was kept; start it again."
        if row["id"] in resumable:
            text = f"The program stopped before this ended. Resume it: recsys-desktop train --resume {row['id']}"
        connection.execute("UPDATE runs SET state = 'died', error = ? WHERE id = ?", (text, row["id"]))
    return [find_run(connection, row["id"]) for row in rows]


def recorded_artifacts(
    connection: sqlite3.Connection,
) -> list[DatasetRecord | ModelRecord | EvaluationRecord]:
    """Every record that should have a folder, whether it has one or not."""
    records: list[DatasetRecord | ModelRecord | EvaluationRecord] = []
    records += map(dataset_record, connection.execute("SELECT * FROM datasets ORDER BY sequence"))
    records += map(model_record, connection.execute(f"{MODEL_QUERY} ORDER BY models.sequence"))
    records += map(evaluation_record, connection.execute("SELECT * FROM evaluations ORDER BY sequence"))
    return records


def announce_artifact(connection: sqlite3.Connection, kind: str, name: str) -> None:
    """Note that the folder ``<kind>/<name>`` is about to appear or vanish; from now on a crash lets it be swept."""
    connection.execute("INSERT OR IGNORE INTO pending_artifacts (kind, name) VALUES (?, ?)", (kind, name))


def forget_artifact(connection: sqlite3.Connection, kind: str, name: str) -> None:
    """Note that the announced folder has reached its final state."""
    connection.execute("DELETE FROM pending_artifacts WHERE kind = ? AND name = ?", (kind, name))


def announced_artifacts(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    """Kind and name of every folder that was announced and not forgotten."""
    rows = connection.execute("SELECT kind, name FROM pending_artifacts ORDER BY kind, name").fetchall()
    return [(row["kind"], row["name"]) for row in rows]


def _find(connection: sqlite3.Connection, query: str, what: str, key: str) -> sqlite3.Row:
    row: sqlite3.Row | None = connection.execute(query, (key,)).fetchone()
    if row is None:
        raise RecordNotFound(f"There is no {what} {key} in the workspace.")
    return row


def find_dataset(connection: sqlite3.Connection, fingerprint: str) -> DatasetRecord:
    """The data set of this fingerprint, or ``RecordNotFound``."""
    return dataset_record(_find(connection, "SELECT * FROM datasets WHERE fingerprint = ?", "data set", fingerprint))


def find_run(connection: sqlite3.Connection, run_id: str) -> RunRecord:
    """The run of this id, or ``RecordNotFound``."""
    return run_record(_find(connection, "SELECT * FROM runs WHERE id = ?", "run", run_id))


def find_model(connection: sqlite3.Connection, model_id: str) -> ModelRecord:
    """The model version of this id, or ``RecordNotFound``."""
    return model_record(_find(connection, f"{MODEL_QUERY} WHERE models.id = ?", "model", model_id))


def find_evaluation(connection: sqlite3.Connection, evaluation_id: str) -> EvaluationRecord:
    """The evaluation of this id, or ``RecordNotFound``."""
    return evaluation_record(_find(connection, "SELECT * FROM evaluations WHERE id = ?", "evaluation", evaluation_id))


def require_one(cursor: sqlite3.Cursor, what: str, name: str) -> None:
    """``RecordNotFound`` unless the statement changed exactly one row."""
    if cursor.rowcount != 1:
        raise RecordNotFound(f"There is no {what} {name} in the workspace.")


def nan_to_null(value: float) -> float | None:
    """SQLite has no NaN: it is stored as NULL."""
    return None if math.isnan(value) else float(value)


def null_to_nan(value: float | None) -> float:
    """The inverse of ``nan_to_null``."""
    return math.nan if value is None else value


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def dataset_record(row: sqlite3.Row) -> DatasetRecord:
    """The record of a row."""
    return DatasetRecord(
        fingerprint=row["fingerprint"],
        name=row["name"],
        n_users=row["n_users"],
        n_items=row["n_items"],
        n_interactions=row["n_interactions"],
        source=row["source"],
        extra=json.loads(row["extra"]),
        size_bytes=row["size_bytes"],
        created=_moment(row["created"]),
    )


def run_record(row: sqlite3.Row) -> RunRecord:
    """The record of a row."""
    return RunRecord(
        id=row["id"],
        kind=row["kind"],
        state=row["state"],
        request=json.loads(row["request"]),
        result=json.loads(row["result"]),
        started=_moment(row["started"]),
        finished=None if row["finished"] is None else _moment(row["finished"]),
        error=row["error"],
        dataset_fingerprint=row["dataset_fingerprint"],
    )


def model_record(row: sqlite3.Row) -> ModelRecord:
    """The record of a row."""
    return ModelRecord(
        id=row["id"],
        name=row["name"],
        version=row["version"],
        algorithm=row["algorithm"],
        params=json.loads(row["params"]),
        seed=row["seed"],
        dataset_fingerprint=row["dataset_fingerprint"],
        run_id=row["run_id"],
        metrics=json.loads(row["metrics"]),
        fit_seconds=row["fit_seconds"],
        peak_memory_bytes=row["peak_memory_bytes"],
        size_bytes=row["size_bytes"],
        note=row["note"],
        active=bool(row["active"]),
        created=_moment(row["created"]),
    )


def evaluation_record(row: sqlite3.Row) -> EvaluationRecord:
    """The record of a row."""
    return EvaluationRecord(
        id=row["id"],
        run_id=row["run_id"],
        dataset_fingerprint=row["dataset_fingerprint"],
        split=json.loads(row["split"]),
        seed=row["seed"],
        k=row["k"],
        payload=json.loads(row["payload"]),
        size_bytes=row["size_bytes"],
        created=_moment(row["created"]),
    )


def metric_record(row: sqlite3.Row) -> MetricRecord:
    """The record of a row."""
    return MetricRecord(
        algorithm=row["algorithm"],
        metric=row["metric"],
        value=null_to_nan(row["value"]),
        k=row["k"],
        low=row["low"],
        high=row["high"],
        model_id=row["model_id"],
        evaluation_id=row["evaluation_id"],
    )
