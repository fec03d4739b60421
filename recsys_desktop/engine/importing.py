"""Importing: files looked at, read and kept; the samples that travel with the application."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recsys_desktop.api.dataset import Dataset
from recsys_desktop.api.extensions import Split
from recsys_desktop.engine.errors import Cancelled, UnknownName
from recsys_desktop.engine.plain import plain
from recsys_desktop.engine.plugins import Registry
from recsys_desktop.engine.recording import recorded
from recsys_desktop.engine.requests import EvaluateRequest, ImportRequest, InspectRequest
from recsys_desktop.engine.results import Inspection, Sample
from recsys_desktop.engine.runs import EngineRun
from recsys_desktop.engine.session import Session
from recsys_desktop.resources_path import bundled_folder
from recsys_desktop.workspace import ArtifactExists, DatasetRecord, NotWritable
from recsys_desktop.workspace.naming import check_name

if TYPE_CHECKING:
    from recsys_desktop.data import BuildRequest, CleaningOptions, FileSource, ImportReport, ReadOptions

logger = logging.getLogger(__name__)

PROBLEMS_FILE = "problems.csv"

_READ = 0.85


def samples() -> list[Sample]:
    """As `Engine.samples`: those whose files are here."""
    folder = bundled_folder("sample_data")
    movielens = folder / "movielens_small"
    courses = folder / "courses"
    known = [
        Sample(
            "movielens-small",
            "MovieLens small",
            "100,004 ratings of 9,125 films by 671 people, with titles, genres and tags",
            (movielens / "ratings.csv",),
            (movielens / "movies.csv", movielens / "tags.csv"),
            licence=str(movielens / "README.txt"),
        ),
        Sample(
            "courses",
            "Courses",
            "A made catalogue of courses with descriptions, levels and enrolments",
            (courses / "enrolments.csv",),
            (courses / "courses.csv",),
        ),
    ]
    return [sample for sample in known if all(path.is_file() for path in (*sample.interactions, *sample.items))]


def _sample(sample_id: str) -> Sample:
    found = {sample.id: sample for sample in samples()}
    try:
        return found[sample_id]
    except KeyError:
        raise UnknownName("sample", sample_id, found) from None


@contextmanager
def _stoppable(run: EngineRun) -> Iterator[None]:
    """A reading that was stopped is a cancelled run: there is no half of a data set to keep."""
    from recsys_desktop.data import ReadingStopped

    try:
        yield
    except ReadingStopped:
        raise Cancelled from None


def inspect(registry: Registry, request: InspectRequest, run: EngineRun) -> Inspection:
    """As `Engine.inspect`.

    Raises
    ------
    DataFileError: a file cannot be read at all. InvalidParameter: a role or an option is wrong.
    """
    from recsys_desktop.data import DataFileError, assign_files, build_dataset, describe, inspect_files

    cleaning = _cleaning(request.cleaning)
    sources = _sources([Path(file) for file in request.files], request.roles, request.options, {})
    readers = list(registry.readers.values())
    name = _guessed_name([Path(file) for file in request.files])
    with _stoppable(run):
        files = inspect_files(sources, run=run.part(0.0, 0.2), readers=readers)
        if not request.build:
            return Inspection(files, name=name)
        try:
            dataset, report = build_dataset(assign_files(files, cleaning, name), run.part(0.2, 0.9), readers)
        except DataFileError as error:
            return Inspection(files, problem=str(error), name=name)
    found = Inspection(files, report, describe(dataset), name=name)
    run.progress(1.0, "")
    run.flush()
    return found


def _guessed_name(files: Sequence[Path]) -> str:
    """The folder's name where it holds several of the files, else the file's."""
    first = files[0].absolute()
    return first.parent.name if len(files) > 1 and first.parent.name else first.name.split(".")[0]


def _sources(
    files: Sequence[Path],
    roles: Mapping[str, str],
    options: Mapping[str, Any],
    file_options: Mapping[str, Mapping[str, Any]],
) -> tuple[FileSource, ...]:
    from recsys_desktop.data import FileSource, ReadOptions, parse_role

    known = {column: parse_role(column, role) for column, role in roles.items()}
    return tuple(
        FileSource(file, known, ReadOptions.parse({**options, **file_options.get(str(file), {})})) for file in files
    )


def _cleaning(values: Mapping[str, Any]) -> CleaningOptions:
    from recsys_desktop.data import CleaningOptions

    return CleaningOptions.parse(values)


def import_data(session: Session, request: ImportRequest, run: EngineRun) -> DatasetRecord:
    """As `Engine.import_data`."""
    name = check_name(request.name)
    build = _build_request(request, name)
    source = ", ".join(str(Path(path).absolute()) for path in request.interactions)
    record, report = _import(session, build, request.to_dict(), source, {}, run)
    if request.problems is not None and report is not None:
        report.write_csv(Path(request.problems))
    return record


def _build_request(request: ImportRequest, name: str) -> BuildRequest:
    from recsys_desktop.data import BuildRequest

    def sources(files: Sequence[Path], options: Mapping[str, Any]) -> tuple[FileSource, ...]:
        return _sources([Path(file) for file in files], request.roles, options, request.file_options)

    return BuildRequest(
        sources(request.interactions, request.options),
        sources(request.items, {}),
        sources(request.users, {}),
        _cleaning(request.cleaning),
        name,
    )


def import_sample(session: Session, sample_id: str, run: EngineRun) -> DatasetRecord:
    """As `Engine.import_sample`."""
    from recsys_desktop.data import BuildRequest

    sample = _sample(sample_id)
    for record in session.workspace.datasets():
        if record.extra.get("sample") == sample.id:
            return record
    build = BuildRequest.of(sample.interactions, sample.items, sample.users, name=sample.name)
    source = f"the sample {sample.id}"
    record, _ = _import(session, build, {"sample": sample.id}, source, {"sample": sample.id}, run)
    return record


def _import(
    session: Session,
    build: BuildRequest,
    asked: Mapping[str, Any],
    source: str,
    extra: Mapping[str, Any],
    run: EngineRun,
) -> tuple[DatasetRecord, ImportReport | None]:
    """Read, then publish; the record of the same data where they are here already."""
    from recsys_desktop.data import build_dataset

    workspace = session.workspace
    if workspace.mode != "write":
        raise NotWritable(workspace.path)
    with recorded(session, run, "import", asked) as recording:
        with _stoppable(run):
            dataset, report = build_dataset(build, run.part(0.0, _READ), list(session.registry.readers.values()))
        run.check()
        run.progress(_READ, "Saving")
        fingerprint = dataset.fingerprint
        recording.dataset_fingerprint = fingerprint
        recording.result = {"dataset": fingerprint, "name": build.name}
        try:
            record = _publish(session, dataset, report, build.name, source, extra, run)
        except ArtifactExists as present:
            logger.info("%s", present)
            record = workspace.resolve_dataset(fingerprint)
        run.progress(1.0, f"{record.name}: {record.n_interactions:,} interactions")
    return record, report


def _publish(
    session: Session,
    dataset: Dataset,
    report: ImportReport,
    name: str,
    source: str,
    extra: Mapping[str, Any],
    run: EngineRun,
) -> DatasetRecord:
    from recsys_desktop.data import save_dataset

    with session.workspace.publish_dataset(
        dataset.fingerprint,
        name=name,
        n_users=dataset.n_users,
        n_items=dataset.n_items,
        n_interactions=len(dataset),
        source=source,
        extra={**extra, "report": plain(report.to_dict())},
    ) as publication:
        save_dataset(dataset, publication.folder)
        if report.problems:
            report.write_csv(publication.folder / PROBLEMS_FILE)
        run.check()
    return publication.record


def load_parts(session: Session, request: EvaluateRequest, run: EngineRun) -> Split:
    """The parts of a predefined split from the files of an evaluation, over one vocabulary."""
    from recsys_desktop.data import ReadOptions
    from recsys_desktop.data import load_parts as load

    assert request.train is not None and request.test is not None
    options: ReadOptions = ReadOptions.parse(request.options)
    with _stoppable(run):
        split, report = load(
            Path(request.train),
            Path(request.test),
            None if request.valid is None else Path(request.valid),
            [Path(path) for path in request.items],
            [Path(path) for path in request.users],
            roles=request.roles,
            options=options,
            cleaning=_cleaning(request.cleaning),
            name=Path(request.train).stem,
            readers=list(session.registry.readers.values()),
        )
    for problem in report.problems:
        logger.info("%s: %s", problem.file, problem.message)
    return split
