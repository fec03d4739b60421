"""Build a Dataset, or the parts of a split, from files."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from recsys_desktop.api.dataset import Dataset
from recsys_desktop.api.errors import InvalidParameter
from recsys_desktop.api.extensions import ReaderSpec, Split
from recsys_desktop.api.features import FeatureTable
from recsys_desktop.api.roles import Role
from recsys_desktop.api.run import RunContext
from recsys_desktop.api.vocabulary import Vocabulary
from recsys_desktop.data.checking import (
    PART_NAMES,
    check_coverage,
    check_names,
    check_overlaps,
    check_ratings,
    check_ties,
)
from recsys_desktop.data.errors import NoUsableRows, UnknownColumn
from recsys_desktop.data.findings import Findings
from recsys_desktop.data.interactions import OPTIONAL_ROLES, DayAndMonthSwapped, InteractionReader, Interactions
from recsys_desktop.data.joining import compact, extended, gather_features
from recsys_desktop.data.kinds import FileKind
from recsys_desktop.data.opening import OpenedFile, open_file
from recsys_desktop.data.report import FileSummary, ImportReport, ProblemKind
from recsys_desktop.data.request import BuildRequest, CleaningOptions, FileSource, ReadOptions
from recsys_desktop.data.row_cleaning import (
    apply_k_core,
    apply_strengths,
    decide_feedback,
    leave_out_mistaken_ratings,
    merge_repeats,
    rating_scale,
)
from recsys_desktop.data.side_tables import ATTRIBUTE_ROLES, SideTable, read_side_table
from recsys_desktop.data.table import check_stop
from recsys_desktop.data.texts import counted
from recsys_desktop.data.timestamps import TimeFormat

_SHARE_OF_READING = 0.75


def build_dataset(
    request: BuildRequest, run: RunContext | None = None, readers: Sequence[ReaderSpec] | None = None
) -> tuple[Dataset, ImportReport]:
    """Read, clean and join files into a Dataset, with the written report of what was left out or merged.

    Interactions keep their file order. Codes follow the first appearance of an id in the interactions; ids that only a
    side file has come after them, in that file's order. Of a repeated user-item pair the latest row stays (by time, the
    last in the file among ties); strengths of events are summed.

    Parameters
    ----------
    request: files, roles, options. A single file of items without users becomes a catalogue without interactions.
    run: progress, and the wish to stop, which is heeded between blocks and steps.
    readers: the file formats; those that come with the application where None.

    Raises
    ------
    DataFileError: a file cannot be read, or lacks a user or item column; its class and message say which and where.
    ReadingStopped: the run was asked to stop.
    """
    return _Builder(request, run or RunContext(), readers).dataset()


def load_parts(
    train: Iterable[Path | str] | Path | str,
    test: Iterable[Path | str] | Path | str,
    valid: Iterable[Path | str] | Path | str | None = None,
    items: Iterable[Path | str] | Path | str | None = None,
    users: Iterable[Path | str] | Path | str | None = None,
    *,
    roles: Mapping[str, Role | str] | None = None,
    options: ReadOptions | None = None,
    cleaning: CleaningOptions | None = None,
    name: str = "",
    run: RunContext | None = None,
    readers: Sequence[ReaderSpec] | None = None,
) -> tuple[Split, ImportReport]:
    """Read the predefined parts of a split from files into one vocabulary.

    Each part is cleaned on its own; a pair that is in several parts stays in each and is reported. Codes follow the
    first appearance in train, then validation, then test, then the side files. The rating scale is that of train and
    validation, so that nothing is learnt from test.

    Raises
    ------
    As `build_dataset`.
    """
    sources: list[FileSource] = []
    parts: list[int] = []
    for part, paths in enumerate((train, valid, test)):
        if paths is not None:
            found = BuildRequest.of(
                [paths] if isinstance(paths, str | Path) else paths, roles=roles, options=options
            ).interactions
            sources.extend(found)
            parts.extend([part] * len(found))
    side = BuildRequest.of((), items, users, roles=roles)
    request = BuildRequest(tuple(sources), side.items, side.users, cleaning or CleaningOptions(), name)
    return _Builder(request, run or RunContext(), readers, tuple(parts)).split()


@dataclass
class _Opened:
    """The files of a request, opened."""

    interactions: list[OpenedFile]
    items: list[OpenedFile]
    users: list[OpenedFile]

    def all(self) -> list[OpenedFile]:
        """Every file, interactions first."""
        return [*self.interactions, *self.items, *self.users]


@dataclass
class _Builder:
    """One build: opens, reads, cleans, joins, and remembers what to report."""

    request: BuildRequest
    run: RunContext
    readers: Sequence[ReaderSpec] | None
    parts: tuple[int, ...] | None = None
    findings: Findings = field(default_factory=Findings)

    @property
    def cleaning(self) -> CleaningOptions:
        """The cleaning options of the request."""
        return self.request.cleaning

    def dataset(self) -> tuple[Dataset, ImportReport]:
        """As `build_dataset`."""
        dataset, _ = self._build()
        return dataset, self.findings.report(dataset)

    def split(self) -> tuple[Split, ImportReport]:
        """As `load_parts`."""
        whole, parts = self._build()
        if parts is None:
            parts = np.zeros(len(whole), dtype=np.int8)
        train, validation, test = (
            whole.subset(parts == part, name=f"{whole.name} {label}".strip()) for part, label in enumerate(PART_NAMES)
        )
        has_validation = self.parts is not None and 1 in self.parts
        return Split(train, validation if has_validation else None, test), self.findings.report(whole)

    def _build(self) -> tuple[Dataset, npt.NDArray[np.int8] | None]:
        self.run.progress(0.0, "Looking at the files")
        self.cleaning.strengths()
        opened = self._open()
        rows = self._clean(opened) if opened.interactions else None
        self._step(0.9, "Joining items and people")
        self._note_provenance(opened)
        dataset = self._join(opened, rows)
        self.run.progress(1.0, counted(len(dataset), "interaction"))
        return dataset, None if rows is None else rows.parts

    def _open(self) -> _Opened:
        request = self.request
        alone = len(request.interactions) == 1 and not request.items and not request.users and self.parts is None
        interactions = [
            open_file(source, self.readers, None if alone else FileKind.INTERACTIONS) for source in request.interactions
        ]
        opened = _Opened(interactions, [], [])
        if alone and interactions[0].kind is FileKind.ITEMS:
            opened = _Opened([], interactions, [])
            self.findings.notes.append(
                f"{interactions[0].table.path.name} describes items and names no people: it is a catalogue."
            )
        elif alone and interactions[0].kind is FileKind.USERS:
            opened = _Opened([open_file(request.interactions[0], self.readers, FileKind.INTERACTIONS)], [], [])
        item_name = next((name for file in opened.interactions if (name := file.column(Role.ITEM))), None)
        user_name = next((name for file in opened.interactions if (name := file.column(Role.USER))), None)
        for source in request.items:
            opened.items.append(open_file(source, self.readers, FileKind.ITEMS, item_name=item_name))
        for source in request.users:
            opened.users.append(open_file(source, self.readers, FileKind.USERS, user_name=user_name))
        if not opened.all():
            raise InvalidParameter("files", "there are none: name at least one file of interactions or items")
        self._check_roles(opened)
        return opened

    def _pause(self) -> None:
        check_stop(self.run)

    def _step(self, fraction: float, text: str) -> None:
        check_stop(self.run)
        self.run.progress(fraction, text)

    def _check_roles(self, opened: _Opened) -> None:
        present = {name for file in opened.all() for name in file.roles}
        for file in opened.all():
            for name in file.source.roles:
                if name not in present:
                    raise UnknownColumn(
                        file.table.path,
                        "there is no such column",
                        column=name,
                        advice=f"The columns are: {', '.join(file.table.column_names())}",
                    )
        for file in opened.interactions:
            file.require(Role.USER, Role.ITEM)
        for file in opened.items:
            file.require(Role.ITEM)
        for file in opened.users:
            file.require(Role.USER)

    def _clean(self, opened: _Opened) -> Interactions:
        rows = self._read(opened.interactions)
        self.findings.rows_read = rows.rows_read
        self.findings.problems.extend(rows.problems)
        self._step(0.8, "Looking at the ratings")
        decide_feedback(rows, self.findings)
        leave_out_mistaken_ratings(rows, self.cleaning, self.findings)
        apply_strengths(rows, self.cleaning, self.findings)
        self._step(0.82, "Looking for repeated pairs")
        merge_repeats(rows, self.findings, self._pause)
        self._step(0.88, "Looking for people and items with few interactions")
        apply_k_core(rows, self.cleaning, self.findings)
        if not len(rows):
            path = opened.interactions[0].table.path
            raise NoUsableRows(
                path,
                "its only row cannot be used"
                if self.findings.rows_read == 1
                else f"none of the {self.findings.rows_read:,} rows can be used",
                advice=self.findings.main_problem(),
            )
        return rows

    def _read(self, files: Sequence[OpenedFile]) -> Interactions:
        roles = self._common_roles(files)
        formats: dict[str, TimeFormat] = {}
        while True:
            reader = self._reader(roles, formats)
            try:
                counts = self._read_all(reader, files)
            except DayAndMonthSwapped as swapped:
                formats[swapped.path] = swapped.time_format
                continue
            break
        for file, count in zip(files, counts, strict=True):
            self._summarise(file, count, roles)
        for path, used in reader.used_formats.items():
            self.findings.provenance["times"] = used.words
            if used.ambiguous:
                self.findings.notes.append(
                    f"{Path(path).name}: times were read as {used.words}; the values do not tell day and month apart."
                )
        self._step(_SHARE_OF_READING, "Numbering people and items")
        return reader.finish()

    def _reader(self, roles: frozenset[Role], formats: Mapping[str, TimeFormat]) -> InteractionReader:
        events = bool(roles & {Role.EVENT, Role.WEIGHT})
        keep_unrated = self.cleaning.feedback == "auto" and events
        return InteractionReader(roles, self.cleaning, self.run, keep_unrated, formats)

    def _read_all(self, reader: InteractionReader, files: Sequence[OpenedFile]) -> list[int]:
        sizes = [max(file.table.path.stat().st_size, 1) for file in files]
        edges = np.concatenate(([0], np.cumsum(sizes))) / sum(sizes) * _SHARE_OF_READING
        parts = self.parts or (0,) * len(files)
        return [
            reader.read(file, part, float(begin), float(end))
            for file, part, begin, end in zip(files, parts, edges[:-1], edges[1:], strict=True)
        ]

    def _common_roles(self, files: Sequence[OpenedFile]) -> frozenset[Role]:
        """The optional roles that every interaction file has a column for."""
        found = [{role for role in OPTIONAL_ROLES if file.column(role) is not None} for file in files]
        common = set.intersection(*found)
        for role in set.union(*found) - common:
            lacking = [file.table.path.name for file, has in zip(files, found, strict=True) if role not in has]
            self.findings.notes.append(f"The role '{role.value}' is not used: {', '.join(lacking)} has no such column.")
        if self.cleaning.feedback == "implicit":
            common.discard(Role.RATING)
        return frozenset(common)

    def _summarise(self, file: OpenedFile, rows: int, roles: Iterable[Role] | None = None) -> None:
        wanted = None if roles is None else {Role.USER, Role.ITEM, *roles, *ATTRIBUTE_ROLES}
        used: dict[str, Role] = {
            name: role
            for name, role in file.roles.items()
            if role is not Role.IGNORE and (wanted is None or role in wanted)
        }
        self.findings.files.append(
            FileSummary(
                file.table.path, file.kind.value, file.table.options.reader or "", rows, dict(file.table.layout), used
            )
        )
        self.findings.notes.extend(f"{file.table.path.name}: {warning}" for warning in file.table.warnings)

    def _join(self, opened: _Opened, rows: Interactions | None) -> Dataset:
        import pyarrow as pa

        empty = pa.array([], pa.string())
        user_ids, item_ids = (empty, empty) if rows is None else (compact(rows, "user"), compact(rows, "item"))
        item_tables = self._side_tables(opened.items, Role.ITEM)
        user_tables = self._side_tables(opened.users, Role.USER)
        check_coverage(rows, item_ids, item_tables, ProblemKind.ITEM_NOT_IN_FILE, "item", self.findings)
        check_coverage(rows, user_ids, user_tables, ProblemKind.USER_NOT_IN_FILE, "user", self.findings)
        if self.cleaning.minimum_item_interactions == 1:
            item_ids = extended(item_ids, item_tables)
        if self.cleaning.minimum_user_interactions == 1:
            user_ids = extended(user_ids, user_tables)
        item_tables.extend(rows.attributes if rows is not None else [])
        if rows is None and not len(item_ids):
            raise NoUsableRows(opened.all()[0].table.path, "none of its rows has an item id")
        users = Vocabulary(user_ids.to_numpy(zero_copy_only=False))
        items = Vocabulary(item_ids.to_numpy(zero_copy_only=False))
        check_names(users, items, self.findings)
        standardise = self.cleaning.standardise_categories
        user_features = FeatureTable(len(users), gather_features(user_tables, user_ids, standardise, self.findings))
        item_features = FeatureTable(len(items), gather_features(item_tables, item_ids, standardise, self.findings))
        name = self.request.name
        if rows is None:
            nobody = np.array([], dtype=np.int32)
            return Dataset(
                users,
                items,
                nobody,
                nobody,
                user_features=user_features,
                item_features=item_features,
                provenance=self.findings.provenance,
                name=name,
            )
        weights = rows.weights
        if weights is not None and (weights == 1).all():
            weights = None
        scale = rating_scale(rows, self.cleaning, self.findings)
        check_ratings(rows, scale, self.cleaning, self.findings)
        self._step(0.95, "Looking for tied times")
        check_ties(rows, self.findings, self._pause)
        check_overlaps(rows, self.findings)
        return Dataset(
            users,
            items,
            rows.users,
            rows.items,
            rows.ratings,
            None if weights is None else weights.astype(np.float32),
            rows.timestamps,
            rows.events,
            rows.event_names,
            user_features,
            item_features,
            scale,
            self.findings.provenance,
            name,
        )

    def _side_tables(self, files: Sequence[OpenedFile], owner: Role) -> list[SideTable]:
        tables = []
        for file in files:
            check_stop(self.run)
            table = read_side_table(file, owner, self.run)
            self._summarise(file, table.rows_read)
            tables.append(table)
        return tables

    def _note_provenance(self, opened: _Opened) -> None:
        for label, files in (("interactions", opened.interactions), ("items", opened.items), ("users", opened.users)):
            used = [
                f"{name}={role.value}" for file in files for name, role in file.roles.items() if role is not Role.IGNORE
            ]
            if used:
                self.findings.provenance[f"roles of {label}"] = ", ".join(used)
        defaults = CleaningOptions().to_dict()
        changed = {name: value for name, value in self.cleaning.to_dict().items() if value != defaults[name]}
        if changed:
            self.findings.provenance["cleaning"] = json.dumps(changed, sort_keys=True)
