"""Engine: one object through which every face, and every script, asks for everything."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

from recsys_desktop.engine.plugins import PluginInfo, Registry
from recsys_desktop.engine.requests import (
    EvaluateRequest,
    ExplainRequest,
    HistoryEntry,
    ImportRequest,
    InspectRequest,
    RecommendRequest,
    TrainRequest,
)
from recsys_desktop.engine.results import (
    Check,
    Comparison,
    ExplanationView,
    FactorView,
    FilterColumn,
    ForecastAnswer,
    HistoryItem,
    Inspection,
    InterruptedRun,
    ItemMatch,
    RecommendationList,
    Sample,
    SimilarItem,
    UserMatch,
    WrittenLists,
    WrittenPredictions,
)
from recsys_desktop.engine.runs import EngineRun
from recsys_desktop.engine.session import Session
from recsys_desktop.workspace import DatasetRecord, EvaluationRecord, ModelRecord, RunRecord, RunValue, Workspace

if TYPE_CHECKING:
    from recsys_desktop.api.dataset import Dataset
    from recsys_desktop.api.extensions import Split
    from recsys_desktop.data import DatasetStatistics
    from recsys_desktop.engine.demo import DemoRequest, DemoResult
    from recsys_desktop.engine.serving import ServedModel


class Engine:
    """The use cases over one workspace. Every method may be called from any thread.

    Methods that take long take a `run` (`EngineRun`), tell it how far they are and stop when it says so; without one
    they run silently to the end. `Cancelled` is raised when a run was asked to discard its result.
    `NothingToKeep`, a kind of it, is raised when a run was asked to stop and keep before there was a model.

    Errors are `recsys_desktop.api.RecSysError` (the engine's own among them: `Misuse`, `UnknownName`, `DoesNotFit`,
    `TrainingFailed`, ...) and `recsys_desktop.workspace.WorkspaceError`; their text is meant to be shown as it is.

    Attributes
    ----------
    workspace: what is kept on disk. registry: what the plugins bring.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    @classmethod
    def open(
        cls,
        workspace: Path | str | None = None,
        mode: Literal["write", "read"] = "write",
        safe_mode: bool = False,
        threads: int | None = None,
        plugins: Mapping[str, Any] | None = None,
    ) -> Engine:
        """Open a workspace (by default the person's own) and discover the plugins; no data is loaded.

        mode: "read" works beside another process that writes; saving then raises `NotWritable`.
        safe_mode: without plugins of third parties. threads: the most that any work may use; where None the workspace's
        setting "threads", else what the machine has (at most 8). plugins: name -> plugin object, for tests and scripts.

        Raises
        ------
        WorkspaceError: the workspace cannot be opened; the message says why.
        """
        return cls(Session.open(workspace, mode, safe_mode, threads, plugins))

    def close(self) -> None:
        """Let go of loaded data and models, and close the workspace."""
        self._session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def workspace(self) -> Workspace:
        """What is kept on disk."""
        return self._session.workspace

    @property
    def registry(self) -> Registry:
        """What the plugins bring: algorithms, metrics, readers, splitters, panels, observers."""
        return self._session.registry

    @property
    def threads(self) -> int:
        """The most threads that any work uses."""
        return self._session.threads

    def set_plugin_enabled(self, name: str, enabled: bool) -> PluginInfo:
        """Switch a plugin on or off; takes effect when the workspace is opened next. Returns it as it is now."""
        return self._session.set_plugin_enabled(name, enabled)

    @property
    def device(self) -> str:
        """What neural models are trained on where a run does not say: "auto", "cpu", "cuda", "cuda:N" or "mps"."""
        return self._session.device

    def set_device(self, name: str) -> None:
        """Keep in the workspace what neural models are trained on. Raises `InvalidParameter` for no such name."""
        self._session.set_device(name)

    # Data

    def samples(self) -> list[Sample]:
        """The data sets that travel with the application."""
        from recsys_desktop.engine.importing import samples

        return samples()

    def inspect(self, request: InspectRequest, run: EngineRun | None = None) -> Inspection:
        """Look at files: layout, guessed roles, first rows, checks and statistics. Writes nothing."""
        from recsys_desktop.engine.importing import inspect

        return inspect(self.registry, request, run or EngineRun())

    def import_data(self, request: ImportRequest, run: EngineRun | None = None) -> DatasetRecord:
        """Read files, clean them, and keep the data set; the record of the same data where they are here already."""
        from recsys_desktop.engine.importing import import_data

        return import_data(self._session, request, run or EngineRun())

    def import_sample(self, sample_id: str, run: EngineRun | None = None) -> DatasetRecord:
        """Import a sample; returns the existing record where it was imported before."""
        from recsys_desktop.engine.importing import import_sample

        return import_sample(self._session, sample_id, run or EngineRun())

    def datasets(self) -> list[DatasetRecord]:
        """The imported data sets, newest first."""
        return self.workspace.datasets()

    def dataset_record(self, reference: str) -> DatasetRecord:
        """The record of a data set by name or fingerprint. Raises `RecordNotFound`, which lists what there is."""
        return self.workspace.resolve_dataset(reference)

    def dataset(self, reference: str) -> Dataset:
        """The data set itself, by name or fingerprint; loaded once, the last few stay in memory."""
        return self._session.dataset(reference)

    def delete_dataset(self, reference: str) -> DatasetRecord:
        """Delete a data set; models trained on it stay, but cannot be served without it."""
        return self._session.delete_dataset(reference)

    def statistics(self, reference: str) -> DatasetStatistics:
        """Counts, density, long tail, rating histogram, activity over time and warnings of a data set."""
        return self._session.statistics(reference)

    def import_report(self, reference: str) -> Mapping[str, Any]:
        """The cleaning report that was written when the data set was imported, as plain data."""
        return dict(self.workspace.resolve_dataset(reference).extra.get("report", {}))

    def split(self, reference: str, splitter: str, params: Mapping[str, Any] | None = None, seed: int = 42) -> Split:
        """Divide a data set by a splitter's id.

        Raises
        ------
        UnknownName, InvalidParameter. InvalidData: the data cannot be divided this way.
        """
        return self._session.split(self.dataset(reference), splitter, params or {}, seed)

    def filter_columns(self, reference: str) -> list[FilterColumn]:
        """The item columns by which a list can be filtered, with their values."""
        from recsys_desktop.engine.catalogue import filter_columns

        return filter_columns(self.dataset(reference))

    def search_items(self, reference: str, text: str, n: int = 20) -> list[ItemMatch]:
        """Items of a data set whose id or title contains `text`, those with most interactions first."""
        from recsys_desktop.engine.catalogue import search_items

        return search_items(self.dataset(reference), text, n)

    def search_users(self, reference: str, text: str, n: int = 20) -> list[UserMatch]:
        """Users of a data set whose id contains `text`; an exact and a leading match first."""
        from recsys_desktop.engine.catalogue import search_users

        return search_users(self.dataset(reference), text, n)

    def history(self, reference: str, user: str) -> list[HistoryItem]:
        """What a user of a data set did, latest first. Raises `UnknownName`."""
        from recsys_desktop.engine.catalogue import history

        return history(self.dataset(reference), user)

    # Training and models

    def forecast(
        self, algorithm: str, params: Mapping[str, Any] | None = None, reference: str | Dataset = ""
    ) -> ForecastAnswer:
        """What fitting an algorithm to a data set (reference, or the data itself) will need beside what is free."""
        from recsys_desktop.engine.memory import forecast

        data = self.dataset(reference) if isinstance(reference, str) else reference
        return forecast(self.registry, algorithm, params or {}, data.shape)

    def train(self, request: TrainRequest, run: EngineRun | None = None) -> ModelRecord:
        """Fit an algorithm and save it as the next version of its name, which becomes the active one.

        `run.stop("keep")` saves the best model so far; `run.stop("discard")` saves nothing.

        Raises
        ------
        UnknownName, InvalidParameter, DoesNotFit, TrainingFailed, Cancelled, WorkspaceError.
        """
        from recsys_desktop.engine.training import train

        return train(self._session, request, run or EngineRun())

    def interrupted(self) -> list[InterruptedRun]:
        """Trainings that were killed with their process and have left a checkpoint, newest first."""
        from recsys_desktop.engine.interrupted import interrupted_runs

        return interrupted_runs(self.workspace, self._session.registry)

    def resume(self, run_id: str, run: EngineRun | None = None) -> ModelRecord:
        """Take up a training that was killed; as `train` with the same request.

        run_id: the id of its run, the start of it, or "latest" for the one that was killed last.
        With the same threads and device the model has the same weights as one that was never interrupted.

        Raises
        ------
        UnknownName, Misuse: no such run has left a checkpoint, or several ids begin like this. Else as `train`.
        """
        from recsys_desktop.engine.training import resume

        return resume(self._session, run_id, run or EngineRun())

    def discard_interrupted(self, run_id: str) -> InterruptedRun:
        """Delete the checkpoint of a training that was killed; returns what it was. Raises as `resume`."""
        from recsys_desktop.engine.interrupted import discard_interrupted

        return discard_interrupted(self._session, run_id)

    def models(self, name: str | None = None) -> list[ModelRecord]:
        """The saved versions, newest first; those of one name where given."""
        return self.workspace.models(name)

    def model_record(self, reference: str) -> ModelRecord:
        """The record of a model by name (its active version), `name@version` or id. Raises `RecordNotFound`."""
        return self.workspace.resolve_model(reference)

    def model(self, reference: str) -> ServedModel:
        """A model ready to answer: loaded, aligned with its data, with its fallbacks. The last few stay in memory.

        Where the version is damaged the last good one of the same name answers, and `notices` says so.
        """
        return self._session.served(reference)

    def activate(self, reference: str) -> ModelRecord:
        """Make a version the one that its name stands for."""
        return self._session.activate(reference)

    def delete(self, reference: str) -> ModelRecord:
        """Delete a version; returns what its record was."""
        return self._session.delete_model(reference)

    def export_model(self, reference: str, path: Path) -> Path:
        """Write a version as one file that another workspace can import; returns the file's path."""
        return self._session.export_model(reference, Path(path))

    def import_model(self, path: Path) -> ModelRecord:
        """Take in a file written by `export_model` as the next version of its name."""
        return self._session.import_model(Path(path))

    # Evaluation

    def evaluate(self, request: EvaluateRequest, run: EngineRun | None = None) -> Comparison:
        """Fit algorithms to the training part of one split and judge them on its test part.

        An algorithm that fails gets a row that says why; the rest go on. `run.stop("keep")` ends with what is done.
        """
        from recsys_desktop.engine.evaluating import evaluate

        return evaluate(self._session, request, run or EngineRun())

    def evaluations(self) -> list[EvaluationRecord]:
        """The comparisons of this workspace, newest first."""
        return self.workspace.evaluations()

    def comparison(self, evaluation_id: str) -> Comparison:
        """An earlier comparison, per-user vectors included."""
        from recsys_desktop.engine.reports import read_comparison

        return read_comparison(self._session, evaluation_id)

    # Recommending and explaining

    def recommend(self, request: RecommendRequest, run: EngineRun | None = None) -> RecommendationList:
        """A ranked list for one person. Where the model cannot answer, a fallback does and every item says so."""
        from recsys_desktop.engine.recommending import recommend

        return recommend(self._session, request, run or EngineRun())

    def recommend_all(
        self, reference: str, out: Path, n: int = 10, exclude_seen: bool = True, run: EngineRun | None = None
    ) -> WrittenLists:
        """Write the lists of every user of the model's data to a CSV file: user,item,rank,score."""
        from recsys_desktop.engine.recommending import recommend_all

        return recommend_all(self._session, reference, Path(out), n, exclude_seen, run or EngineRun())

    def predict(self, reference: str, pairs: Path, out: Path, run: EngineRun | None = None) -> WrittenPredictions:
        """Predict ratings for the rows of a file (users, items, perhaps ratings): user,item,rating,prediction,source.

        Its layout and columns are found as those of a data file; columns named as in the model's data have their roles.
        The source of a prediction is the model's label, or "item mean", "user mean" or "global mean" in its place.

        Raises
        ------
        Misuse: the model predicts no ratings, or the file cannot be read. ServingFailed: it predicts none of the rows.
        """
        from recsys_desktop.engine.recommending import predict

        return predict(self._session, reference, Path(pairs), Path(out), run or EngineRun())

    def read_history(self, reference: str, path: Path) -> list[HistoryEntry]:
        """The history of a person from a file, to ask a model with; read as `predict` reads its file.

        Raises `Misuse`, with line and column, also for a rating outside the scale of the model's data.
        """
        from recsys_desktop.engine.recommending import history_from

        return history_from(self._session, reference, Path(path))

    def explain(self, request: ExplainRequest, run: EngineRun | None = None) -> ExplanationView:
        """Why an item has its place for a person: contributions, sentence, and what would have to be different."""
        from recsys_desktop.engine.explaining import explain

        return explain(self._session, request, run or EngineRun())

    def similar_items(self, reference: str, item: str, n: int = 10) -> list[SimilarItem]:
        """The items most like one item, by the model, or by who chose them where the model does not compare items."""
        from recsys_desktop.engine.recommending import similar_items

        return similar_items(self._session, reference, item, n)

    def factors(self, reference: str) -> list[FactorView]:
        """What the dimensions of a model stand for, the weightiest first.

        Raises
        ------
        CannotServe: the algorithm has no dimensions that can be read on their own.
        """
        from recsys_desktop.engine.recommending import factors

        return factors(self._session, reference)

    def demo(
        self,
        request: DemoRequest,
        run: EngineRun | None = None,
        announce: Callable[[str, object], None] = lambda stage, value: None,
    ) -> DemoResult:
        """Take the sample from file to explained recommendations; `announce` is told of each stage as it ends."""
        from recsys_desktop.engine.demo import run_demo

        return run_demo(self._session, request, run or EngineRun(), announce)

    # Runs and health

    def runs(self) -> list[RunRecord]:
        """What was done in this workspace, newest first."""
        return self.workspace.runs()

    def run_values(self, run_id: str) -> list[RunValue]:
        """The figures that a run logged."""
        return self.workspace.run_values(run_id)

    def doctor(self) -> Sequence[Check]:
        """The health of environment, plugins and workspace, line by line."""
        from recsys_desktop.engine.doctor import doctor

        return doctor(self._session)
