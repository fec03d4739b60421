"""Reading and writing records by the methods that the workspace shows: data sets, runs, models, evaluations, ..."""

import json
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from recsys_desktop.workspace.artifacts import is_complete
from recsys_desktop.workspace.database import Database
from recsys_desktop.workspace.errors import RecordNotFound
from recsys_desktop.workspace.naming import by_prefix, check_name, not_found, split_version, version_label
from recsys_desktop.workspace.records import (
    ENDED_STATES,
    INTERACTION_KINDS,
    DatasetRecord,
    EvaluationRecord,
    InteractionKind,
    InteractionRecord,
    MetricRecord,
    ModelRecord,
    RunRecord,
    RunState,
    RunValue,
)
from recsys_desktop.workspace.rows import (
    MODEL_QUERY,
    dataset_record,
    evaluation_record,
    find_dataset,
    find_model,
    find_run,
    metric_record,
    model_record,
    nan_to_null,
    new_id,
    null_to_nan,
    require_one,
    run_record,
    to_json,
)

DATASETS_FOLDER = "datasets"
MODELS_FOLDER = "models"
REPORTS_FOLDER = "reports"


class RecordStore:
    """Typed records over the database of the workspace in ``path``.

    Data sets, models and evaluations are listed only while their folder is there. Every method may be called from any
    thread. Methods that change something raise ``NotWritable`` on a workspace opened for reading, and
    ``WorkspaceFull`` or ``WorkspaceReadOnly`` where the disk refuses.
    """

    def __init__(self, path: Path, database: Database) -> None:
        self.path = path
        self._database = database

    def datasets(self) -> list[DatasetRecord]:
        """All data sets, newest first."""
        with self._database.reading() as connection:
            rows = connection.execute("SELECT * FROM datasets ORDER BY sequence DESC").fetchall()
        return [record for record in map(dataset_record, rows) if is_complete(self.folder_of(record))]

    def resolve_dataset(self, text: str) -> DatasetRecord:
        """The data set of this name (the newest, if several have it), fingerprint, or start of a fingerprint.

        Raises ``RecordNotFound``, which lists the data sets there are.
        """
        records = self.datasets()
        wanted = text.strip()
        for record in records:
            if record.name == wanted:
                return record
        by_fingerprint = by_prefix(records, wanted, lambda record: record.fingerprint)
        if by_fingerprint is not None:
            return by_fingerprint
        names = list(dict.fromkeys(record.name for record in records))
        raise RecordNotFound(not_found("data set", wanted, names, "import one first: recsys-desktop data import"))

    def rename_dataset(self, record: DatasetRecord, name: str) -> DatasetRecord:
        """Give a data set another name; names need not be unique."""
        name = check_name(name)
        with self._database.writing() as connection:
            changed = connection.execute(
                "UPDATE datasets SET name = ? WHERE fingerprint = ?", (name, record.fingerprint)
            )
            require_one(changed, "data set", record.fingerprint)
            return find_dataset(connection, record.fingerprint)

    def start_run(self, kind: str, request: Mapping[str, Any], *, dataset_fingerprint: str | None = None) -> RunRecord:
        """Record that a use case has begun; end it with ``end_run``. ``request`` must be representable as JSON."""
        run_id = new_id()
        with self._database.writing() as connection:
            connection.execute(
                "INSERT INTO runs (id, kind, state, request, result, started, dataset_fingerprint) "
                "VALUES (?, ?, 'running', ?, '{}', ?, ?)",
                (run_id, kind, to_json(request), time.time(), dataset_fingerprint),
            )
            return find_run(connection, run_id)

    def end_run(
        self,
        run_id: str,
        state: RunState,
        *,
        error: str | None = None,
        result: Mapping[str, Any] | None = None,
        dataset_fingerprint: str | None = None,
    ) -> RunRecord:
        """Record how a run ended: "done", "failed" (with the error's text), "cancelled".

        ``dataset_fingerprint`` replaces the one given at the start (an import learns it only at the end). Raises
        ``RecordNotFound`` where the run is unknown or has ended before.
        """
        if state not in ENDED_STATES:
            raise ValueError(f"a run does not end as {state!r}; use one of {', '.join(ENDED_STATES)}")
        with self._database.writing() as connection:
            changed = connection.execute(
                "UPDATE runs SET state = ?, error = ?, result = ?, finished = ?, "
                "dataset_fingerprint = coalesce(?, dataset_fingerprint) WHERE id = ? AND state = 'running'",
                (state, error, to_json(result or {}), time.time(), dataset_fingerprint, run_id),
            )
            require_one(changed, "running run", run_id)
            return find_run(connection, run_id)

    def note_resumed(self, run_id: str, by_run: str) -> None:
        """Say in the record of a killed run which run has taken it up."""
        with self._database.writing() as connection:
            changed = connection.execute(
                "UPDATE runs SET error = ? WHERE id = ? AND state = 'died'",
                (f"The program stopped before this ended. Run {by_run} has taken it up.", run_id),
            )
            require_one(changed, "killed run", run_id)

    def runs(
        self, *, state: RunState | None = None, kind: str | None = None, limit: int | None = None
    ) -> list[RunRecord]:
        """Runs, newest first; of one state or kind where given."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT * FROM runs WHERE (?1 IS NULL OR state = ?1) AND (?2 IS NULL OR kind = ?2) "
                "ORDER BY sequence DESC LIMIT ?3",
                (state, kind, -1 if limit is None else limit),
            ).fetchall()
        return [run_record(row) for row in rows]

    def run(self, run_id: str) -> RunRecord:
        """One run by its id; ``RecordNotFound`` where there is none."""
        with self._database.reading() as connection:
            return find_run(connection, run_id)

    def append_run_values(self, run_id: str, values: Iterable[RunValue]) -> None:
        """Store figures that a run logged, all or none, in the given order. NaN is kept as NaN."""
        rows = [(run_id, value.step, value.name, nan_to_null(value.value), value.time) for value in values]
        with self._database.writing() as connection:
            connection.executemany(
                "INSERT INTO run_values (run_id, step, name, value, time) VALUES (?, ?, ?, ?, ?)", rows
            )

    def run_values(self, run_id: str, name: str | None = None) -> list[RunValue]:
        """The figures of a run in the order they were logged; of one name where given."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT step, name, value, time FROM run_values WHERE run_id = ?1 AND (?2 IS NULL OR name = ?2) "
                "ORDER BY sequence",
                (run_id, name),
            ).fetchall()
        return [RunValue(row["step"], row["name"], null_to_nan(row["value"]), row["time"]) for row in rows]

    def delete_run(self, run_id: str) -> None:
        """Forget an ended run and its figures; models and evaluations it made stay."""
        with self._database.writing() as connection:
            changed = connection.execute("DELETE FROM runs WHERE id = ? AND state <> 'running'", (run_id,))
            require_one(changed, "ended run", run_id)

    def models(self, name: str | None = None, *, dataset_fingerprint: str | None = None) -> list[ModelRecord]:
        """Model versions, newest first; of one name, or trained on one data set, where given."""
        with self._database.reading() as connection:
            rows = connection.execute(
                f"{MODEL_QUERY} WHERE (?1 IS NULL OR models.name = ?1) "
                "AND (?2 IS NULL OR models.dataset_fingerprint = ?2) ORDER BY models.sequence DESC",
                (name, dataset_fingerprint),
            ).fetchall()
        return [record for record in map(model_record, rows) if is_complete(self.folder_of(record))]

    def resolve_model(self, text: str) -> ModelRecord:
        """The model that ``text`` means: a name (its active version), ``name@3`` or ``name v3``, an id or its start.

        Raises ``RecordNotFound``, which lists the models there are.
        """
        wanted = text.strip()
        active = self._active_model(wanted)
        if active is not None:
            return active
        records = self.models()
        by_id = by_prefix(records, wanted, lambda record: record.id)
        if by_id is not None:
            return by_id
        versioned = split_version(wanted)
        if versioned is not None:
            name, version = versioned
            versions = [record for record in records if record.name == name]
            for record in versions:
                if record.version == version:
                    return record
            if versions:
                there = ", ".join(version_label(record) for record in reversed(versions))
                raise RecordNotFound(f'Model "{name}" has no version {version}; it has {there}.')
        by_name: dict[str, list[str]] = {}
        for record in reversed(records):
            by_name.setdefault(record.name, []).append(version_label(record))
        labels = {name: f"{name} ({', '.join(versions)})" for name, versions in by_name.items()}
        raise RecordNotFound(not_found("model", wanted, labels, "train one first: recsys-desktop train"))

    def _active_model(self, name: str) -> ModelRecord | None:
        """The active version of a name, or the newest that is there where the active one's folder is gone."""
        with self._database.reading() as connection:
            rows = connection.execute(
                f"{MODEL_QUERY} WHERE models.name = ? ORDER BY active DESC, models.version DESC", (name,)
            )
            return next((record for record in map(model_record, rows) if is_complete(self.folder_of(record))), None)

    def activate_model(self, record: ModelRecord) -> ModelRecord:
        """Make this version the one that its name means; activating an older one is a rollback."""
        with self._database.writing() as connection:
            find_model(connection, record.id)
            connection.execute(
                "UPDATE model_names SET active_version = ? WHERE name = ?", (record.version, record.name)
            )
            return find_model(connection, record.id)

    def set_model_note(self, record: ModelRecord, note: str) -> ModelRecord:
        """Replace the note of a model version."""
        with self._database.writing() as connection:
            find_model(connection, record.id)
            connection.execute("UPDATE models SET note = ? WHERE id = ?", (note, record.id))
            return find_model(connection, record.id)

    def set_model_metrics(self, record: ModelRecord, metrics: Mapping[str, Any]) -> ModelRecord:
        """Replace the figures of a model version."""
        with self._database.writing() as connection:
            find_model(connection, record.id)
            connection.execute("UPDATE models SET metrics = ? WHERE id = ?", (to_json(metrics), record.id))
            return find_model(connection, record.id)

    def evaluations(self, *, dataset_fingerprint: str | None = None) -> list[EvaluationRecord]:
        """Evaluations, newest first; on one data set where given."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT * FROM evaluations WHERE ?1 IS NULL OR dataset_fingerprint = ?1 ORDER BY sequence DESC",
                (dataset_fingerprint,),
            ).fetchall()
        return [record for record in map(evaluation_record, rows) if is_complete(self.folder_of(record))]

    def evaluation(self, evaluation_id: str) -> EvaluationRecord:
        """One evaluation by its id or the start of it; ``RecordNotFound`` lists those there are."""
        records = self.evaluations()
        found = by_prefix(records, evaluation_id.strip(), lambda record: record.id)
        if found is None:
            ids = [record.id for record in records]
            hint = "compare algorithms first: recsys-desktop evaluate"
            raise RecordNotFound(not_found("evaluation", evaluation_id, ids, hint))
        return found

    def metrics(self, record: EvaluationRecord) -> list[MetricRecord]:
        """The figures of an evaluation in the order they were given."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT * FROM metrics WHERE evaluation_id = ? ORDER BY sequence", (record.id,)
            ).fetchall()
        return [metric_record(row) for row in rows]

    def add_interactions(self, interactions: Iterable[InteractionRecord]) -> None:
        """Store what people did, all or none, in the given order."""
        rows = []
        for interaction in interactions:
            if interaction.kind not in INTERACTION_KINDS:
                raise ValueError(f"{interaction.kind!r} is no interaction; use one of {', '.join(INTERACTION_KINDS)}")
            rows.append(
                (
                    interaction.dataset_fingerprint,
                    interaction.person,
                    interaction.item,
                    interaction.kind,
                    interaction.value,
                    interaction.time,
                )
            )
        with self._database.writing() as connection:
            connection.executemany(
                "INSERT INTO interactions (dataset_fingerprint, person, item, kind, value, time) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                rows,
            )

    def interactions(
        self,
        *,
        person: str | None = None,
        item: str | None = None,
        kind: InteractionKind | None = None,
        dataset_fingerprint: str | None = None,
        since: float | None = None,
    ) -> list[InteractionRecord]:
        """Interactions in the order of their time (ties as stored); ``since`` is inclusive Unix seconds."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT * FROM interactions WHERE (?1 IS NULL OR person = ?1) AND (?2 IS NULL OR item = ?2) "
                "AND (?3 IS NULL OR kind = ?3) AND (?4 IS NULL OR dataset_fingerprint = ?4) "
                "AND (?5 IS NULL OR time >= ?5) ORDER BY time, sequence",
                (person, item, kind, dataset_fingerprint, since),
            ).fetchall()
        return [
            InteractionRecord(
                person=row["person"],
                item=row["item"],
                kind=row["kind"],
                value=row["value"],
                time=row["time"],
                dataset_fingerprint=row["dataset_fingerprint"],
            )
            for row in rows
        ]

    def settings(self) -> dict[str, Any]:
        """All settings by key."""
        with self._database.reading() as connection:
            rows = connection.execute("SELECT key, value FROM settings ORDER BY key").fetchall()
        return {row["key"]: json.loads(row["value"]) for row in rows}

    def setting(self, key: str, default: Any = None) -> Any:
        """The value of one setting, or ``default`` where it was never set."""
        with self._database.reading() as connection:
            row = connection.execute("SELECT value FROM settings WHERE key = ?", (key,)).fetchone()
        return default if row is None else json.loads(row["value"])

    def set_setting(self, key: str, value: Any) -> None:
        """Keep any JSON value under ``key``."""
        with self._database.writing() as connection:
            connection.execute(
                "INSERT INTO settings (key, value) VALUES (?, ?) "
                "ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                (key, to_json(value)),
            )

    def delete_setting(self, key: str) -> None:
        """Forget a setting; one that was never set is no error."""
        with self._database.writing() as connection:
            connection.execute("DELETE FROM settings WHERE key = ?", (key,))

    def folder_of(self, record: DatasetRecord | ModelRecord | EvaluationRecord) -> Path:
        """The folder that holds a record's files."""
        if isinstance(record, DatasetRecord):
            return self.path / DATASETS_FOLDER / record.fingerprint
        parent = MODELS_FOLDER if isinstance(record, ModelRecord) else REPORTS_FOLDER
        return self.path / parent / record.id
