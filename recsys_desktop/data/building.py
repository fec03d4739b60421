"""Build a Dataset, or the parts of a split, from files."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from recsys_desktop.api.dataset import Dataset, RatingScale
from recsys_desktop.api.errors import InvalidParameter
from recsys_desktop.api.extensions import ReaderSpec, Split
from recsys_desktop.api.features import Column, FeatureTable
from recsys_desktop.api.roles import Role
from recsys_desktop.api.run import RunContext
from recsys_desktop.api.vocabulary import Vocabulary
from recsys_desktop.data.cleaning import RepeatedPairs, guess_scale, infer_range, k_core, repeated_pairs, tied_times
from recsys_desktop.data.errors import NoUsableRows, UnknownColumn
from recsys_desktop.data.interactions import (
    OPTIONAL_ROLES,
    DayAndMonthSwapped,
    InteractionReader,
    Interactions,
    counted,
)
from recsys_desktop.data.kinds import FileKind
from recsys_desktop.data.opening import OpenedFile, open_file
from recsys_desktop.data.report import Action, Check, FileSummary, ImportReport, Problem, ProblemKind
from recsys_desktop.data.request import BuildRequest, CleaningOptions, FileSource, ReadOptions
from recsys_desktop.data.side_tables import ATTRIBUTE_ROLES, SideTable, feature_columns, read_side_table
from recsys_desktop.data.table import check_stop
from recsys_desktop.data.texts import ArrowTexts, PairTexts
from recsys_desktop.data.timestamps import TimeFormat
from recsys_desktop.data.values import MISSING_TEXTS

if TYPE_CHECKING:
    import pyarrow as pa

_SHARE_OF_READING = 0.75

PART_NAMES = ("train", "validation", "test")


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
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    summaries: list[FileSummary] = field(default_factory=list)
    provenance: dict[str, str] = field(default_factory=dict)
    rows_read: int = 0

    @property
    def cleaning(self) -> CleaningOptions:
        """The cleaning options of the request."""
        return self.request.cleaning

    def dataset(self) -> tuple[Dataset, ImportReport]:
        """As `build_dataset`."""
        dataset, _ = self._build()
        return dataset, self._report(dataset)

    def split(self) -> tuple[Split, ImportReport]:
        """As `load_parts`."""
        whole, parts = self._build()
        if parts is None:
            parts = np.zeros(len(whole), dtype=np.int8)
        train, validation, test = (
            whole.subset(parts == part, name=f"{whole.name} {label}".strip()) for part, label in enumerate(PART_NAMES)
        )
        has_validation = self.parts is not None and 1 in self.parts
        return Split(train, validation if has_validation else None, test), self._report(whole)

    def _report(self, dataset: Dataset) -> ImportReport:
        return ImportReport(
            tuple(self.summaries),
            self.rows_read,
            len(dataset),
            dataset.n_users,
            dataset.n_items,
            tuple(self.problems),
            tuple(self.notes),
            tuple(self.checks),
        )

    def _build(self) -> tuple[Dataset, npt.NDArray[np.int8] | None]:
        self.run.progress(0.0, "Looking at the files")
        self.cleaning.strengths()
        opened = self._open()
        rows = self._clean(opened) if opened.interactions else None
        self._step(0.9, "Joining items and people")
        self._note_provenance(opened)
        dataset = self._join(opened, rows)
        self.run.progress(1.0, f"{len(dataset):,} interactions")
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
            self.notes.append(
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
        self.rows_read = rows.rows_read
        self.problems.extend(rows.problems)
        self._step(0.8, "Looking at the ratings")
        self._decide_feedback(rows)
        self._leave_out_mistaken_ratings(rows)
        self._apply_strengths(rows)
        self._step(0.82, "Looking for repeated pairs")
        self._merge_repeats(rows)
        self._step(0.88, "Looking for people and items with few interactions")
        self._apply_k_core(rows)
        if not len(rows):
            path = opened.interactions[0].table.path
            raise NoUsableRows(path, f"none of the {self.rows_read:,} rows can be used", advice=self._main_problem())
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
            self.provenance["times"] = used.words
            if used.ambiguous:
                self.notes.append(
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
            self.notes.append(f"The role '{role.value}' is not used: {', '.join(lacking)} has no such column.")
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
        self.summaries.append(
            FileSummary(
                file.table.path, file.kind.value, file.table.options.reader or "", rows, dict(file.table.layout), used
            )
        )
        self.notes.extend(f"{file.table.path.name}: {warning}" for warning in file.table.warnings)

    def _decide_feedback(self, rows: Interactions) -> None:
        """Where events and ratings come together, rows without a rating count only if ratings are the minority."""
        if rows.ratings is None:
            return
        unrated = np.isnan(rows.ratings)
        count = int(unrated.sum())
        if count == 0:
            return
        if count > len(rows) / 2:
            rows.ratings = None
            self.notes.append(
                f"{count:,} of {len(rows):,} rows have an event and no rating: ratings are not used, events count."
            )
            return
        self._note_rows(rows, np.flatnonzero(unrated), ProblemKind.MISSING_RATING, Role.RATING, Action.LEFT_OUT)
        rows.keep(~unrated)

    def _leave_out_mistaken_ratings(self, rows: Interactions) -> None:
        cleaning = self.cleaning
        if rows.ratings is None or cleaning.rating_minimum is not None or cleaning.rating_maximum is not None:
            return
        values, counts = distinct_values(rows.ratings)
        found = infer_range(values, counts)
        if found is None:
            return
        low, high = found
        wrong = (rows.ratings < low) | (rows.ratings > high)
        self._note_rows(rows, np.flatnonzero(wrong), ProblemKind.RATING_OUT_OF_RANGE, Role.RATING, Action.LEFT_OUT)
        self.notes.append(
            f"Ratings outside {low:g} to {high:g} were taken for mistakes; give the lowest and highest rating to keep "
            "them."
        )
        rows.keep(~wrong)

    def _apply_strengths(self, rows: Interactions) -> None:
        """Strength of a row: its weight times the strength of its event, 1 where it has neither."""
        if rows.events is None:
            return
        table = self.cleaning.strengths()
        other = self.cleaning.unknown_event_strength
        strengths = np.array([table.get(name.casefold(), other) for name in rows.event_names], dtype=np.float64)
        by_row = strengths[rows.events]
        rows.weights = by_row if rows.weights is None else rows.weights * by_row
        present = np.unique(rows.events)
        rule = ", ".join(f"{rows.event_names[code] or '(none)'}={strengths[code]:g}" for code in present)
        self.provenance["events"] = rule
        self.notes.append(f"Events count as {rule}.")

    def _merge_repeats(self, rows: Interactions) -> None:
        repeats = repeated_pairs(rows.users, rows.items, rows.timestamps, rows.parts, self._pause)
        if repeats is None:
            self.checks.append(Check("ok", "no repeated user-item pairs"))
            return
        given_way = np.flatnonzero(~repeats.kept)
        explicit = rows.ratings is not None
        if rows.weights is not None or not explicit:
            each = np.ones(len(rows)) if rows.weights is None else rows.weights
            rows.weights = each.copy()
            rows.weights[repeats.survivors] = repeats.sums(each)
            if rows.events is not None:
                rows.events = _strongest_events(rows, repeats, each)
        done = "the latest rating stays" if explicit else "their strengths are added up"
        self._note_rows(rows, given_way, ProblemKind.REPEATED_PAIR, None, Action.MERGED, done)
        self.checks.append(Check("warning", f"repeated user-item pairs: {done}", len(given_way)))
        rows.keep(repeats.kept)

    def _apply_k_core(self, rows: Interactions) -> None:
        users, items = self.cleaning.minimum_user_interactions, self.cleaning.minimum_item_interactions
        if users == 1 and items == 1:
            return
        kept = k_core(rows.users, rows.items, users, items)
        if not kept.all():
            words = f"of people with fewer than {users} or items with fewer than {items} interactions"
            self._note_rows(rows, np.flatnonzero(~kept), ProblemKind.TOO_FEW_INTERACTIONS, None, Action.LEFT_OUT, words)
        rows.keep(kept)

    def _note_rows(
        self,
        rows: Interactions,
        positions: npt.NDArray[np.int64],
        kind: ProblemKind,
        role: Role | None,
        action: Action,
        words: str = "",
    ) -> None:
        """Report rows that are in `rows` now, file by file."""
        for file, (within, lines) in rows.located(positions).items():
            chosen = positions[within]
            if role is Role.RATING and rows.ratings is not None:
                values: Sequence[str] = [f"{value:g}" for value in rows.ratings[chosen].tolist()]
            else:
                values = PairTexts(rows.users[chosen], rows.items[chosen], rows.user_ids, rows.item_ids)
            message = counted(kind, len(lines)) + (f": {words}" if words else "")
            self.problems.append(Problem(kind, action, file, lines, message, role.value if role else "", values))

    def _main_problem(self) -> str:
        if not self.problems:
            return ""
        return "Mostly: " + max(self.problems, key=lambda problem: problem.count).message

    def _join(self, opened: _Opened, rows: Interactions | None) -> Dataset:
        import pyarrow as pa

        empty = pa.array([], pa.string())
        user_ids, item_ids = (empty, empty) if rows is None else (_compact(rows, "user"), _compact(rows, "item"))
        item_tables = self._side_tables(opened.items, Role.ITEM)
        user_tables = self._side_tables(opened.users, Role.USER)
        self._check_coverage(rows, item_ids, item_tables, ProblemKind.ITEM_NOT_IN_FILE, "item")
        self._check_coverage(rows, user_ids, user_tables, ProblemKind.USER_NOT_IN_FILE, "user")
        item_tables.extend(rows.attributes if rows is not None else [])
        if self.cleaning.minimum_item_interactions == 1:
            item_ids = _extended(item_ids, item_tables)
        if self.cleaning.minimum_user_interactions == 1:
            user_ids = _extended(user_ids, user_tables)
        if rows is None and not len(item_ids):
            raise NoUsableRows(opened.all()[0].table.path, "none of its rows has an item id")
        users = Vocabulary(user_ids.to_numpy(zero_copy_only=False))
        items = Vocabulary(item_ids.to_numpy(zero_copy_only=False))
        self._warn_of_missing_words(users, items)
        user_features = FeatureTable(len(users), self._features(user_tables, user_ids))
        item_features = FeatureTable(len(items), self._features(item_tables, item_ids))
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
                provenance=self.provenance,
                name=name,
            )
        weights = rows.weights
        if weights is not None and (weights == 1).all():
            weights = None
        scale = self._scale(rows)
        self._check_ratings(rows, scale)
        self._step(0.95, "Looking for tied times")
        self._check_ties(rows)
        self._check_overlaps(rows)
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
            self.provenance,
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

    def _features(self, tables: Sequence[SideTable], ids: pa.Array) -> dict[str, Column]:
        import pyarrow.compute as pc

        columns: dict[str, Column] = {}
        for table in tables:
            codes = pc.fill_null(pc.index_in(table.ids, value_set=ids), -1).to_numpy().astype(np.int32)
            found, problems = feature_columns(table, codes, len(ids), self.cleaning.standardise_categories)
            self.problems.extend((*table.problems, *problems))
            for name, column in found.items():
                chosen = name if name not in columns else f"{name} ({Path(table.name).stem})"
                columns[chosen] = column
        return columns

    def _check_coverage(
        self, rows: Interactions | None, ids: pa.Array, tables: Sequence[SideTable], kind: ProblemKind, word: str
    ) -> None:
        """Report ids of the interactions that no file of descriptions knows."""
        import pyarrow as pa
        import pyarrow.compute as pc

        full = [table for table in tables if not all(table.roles[name] is Role.TAGS for name in table.columns)]
        if rows is None or not full:
            return
        known = pc.is_in(ids, value_set=pa.concat_arrays([table.ids for table in full]).unique())
        missing = np.flatnonzero(~known.to_numpy(zero_copy_only=False))
        names = " and ".join(table.name for table in full)
        plural = {"item": "items", "user": "people"}[word]
        if not len(missing):
            self.checks.append(Check("ok", f"all {plural} of the interactions are in {names}"))
            return
        codes = rows.items if word == "item" else rows.users
        first = np.full(len(ids), -1, dtype=np.int64)
        first[codes[::-1]] = np.arange(len(codes))[::-1]
        for file, (within, lines) in rows.located(first[missing]).items():
            chosen = missing[within]
            message = f"{len(chosen):,} {word if len(chosen) == 1 else plural} of the interactions not in {names}"
            values = ArrowTexts([ids.take(pa.array(chosen))])
            self.problems.append(Problem(kind, Action.KEPT, file, lines, message, values=values))
        self.checks.append(Check("warning", f"{plural} of the interactions that are not in {names}", len(missing)))

    def _warn_of_missing_words(self, users: Vocabulary, items: Vocabulary) -> None:
        for word, vocabulary in (("user", users), ("item", items)):
            found = [text for text in ("NULL", "null", "NA", "N/A", "nan", "NaN", "None", "none") if text in vocabulary]
            if found and found[0].casefold() in MISSING_TEXTS:
                self.checks.append(Check("warning", f"a {word} is called '{found[0]}': is it a missing value?"))

    def _scale(self, rows: Interactions) -> RatingScale | None:
        if rows.ratings is None:
            return None
        seen = rows.ratings if rows.parts is None else rows.ratings[rows.parts < 2]
        values, _ = distinct_values(seen if len(seen) else rows.ratings)
        scale = guess_scale(values, self.cleaning.rating_minimum, self.cleaning.rating_maximum)
        steps = f" in steps of {scale.step:g}" if scale.step else ""
        if len(values) == 1:
            self.notes.append(f"All ratings are {values[0]:g}: they are read as implicit feedback.")
        else:
            self.notes.append(
                f"Ratings run from {scale.minimum:g} to {scale.maximum:g}{steps}, read as explicit feedback."
            )
        return scale

    def _check_ratings(self, rows: Interactions, scale: RatingScale | None) -> None:
        if scale is None:
            return
        outside = sum(problem.count for problem in self.problems if problem.kind is ProblemKind.RATING_OUT_OF_RANGE)
        words = f"{scale.minimum:g} to {scale.maximum:g}"
        if outside:
            self.checks.append(Check("warning", f"ratings outside {words}, left out", outside))
        else:
            self.checks.append(Check("ok", f"every rating within {words}"))

    def _check_ties(self, rows: Interactions) -> None:
        if rows.timestamps is None:
            return
        tied = tied_times(rows.users, rows.timestamps, self._pause)
        if tied:
            text = f"{tied / len(rows):.0%} of times are tied within a person: leave-last-out keeps file order"
            self.checks.append(Check("warning", text, tied))
        else:
            self.checks.append(Check("ok", "no two times of a person are the same"))

    def _check_overlaps(self, rows: Interactions) -> None:
        """Pairs that stand in two parts: a model that has seen them in training is not tested by them."""
        if rows.parts is None:
            return
        keys = rows.users.astype(np.int64) * (int(rows.items.max()) + 1) + rows.items
        for later in (1, 2):
            within = np.flatnonzero(rows.parts == later)
            shared = within[np.isin(keys[within], keys[rows.parts < later])]
            if len(shared):
                words = f"{PART_NAMES[later]} pairs that are in an earlier part too; they cannot be recommended again"
                self._note_rows(rows, shared, ProblemKind.OVERLAP_OF_PARTS, None, Action.KEPT, words)
                self.checks.append(Check("warning", words, len(shared)))

    def _note_provenance(self, opened: _Opened) -> None:
        for label, files in (("interactions", opened.interactions), ("items", opened.items), ("users", opened.users)):
            used = [
                f"{name}={role.value}" for file in files for name, role in file.roles.items() if role is not Role.IGNORE
            ]
            if used:
                self.provenance[f"roles of {label}"] = ", ".join(used)
        defaults = CleaningOptions().to_dict()
        changed = {name: value for name, value in self.cleaning.to_dict().items() if value != defaults[name]}
        if changed:
            self.provenance["cleaning"] = json.dumps(changed, sort_keys=True)


def distinct_values(values: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Distinct values in rising order and how often each occurs, without sorting all of them."""
    import pyarrow as pa
    import pyarrow.compute as pc

    counted_values = pc.value_counts(pa.array(values))
    distinct = counted_values.field("values").to_numpy(zero_copy_only=False).astype(np.float64)
    counts = counted_values.field("counts").to_numpy(zero_copy_only=False)
    order = np.argsort(distinct)
    return distinct[order], counts[order]


def _strongest_events(
    rows: Interactions, repeats: RepeatedPairs, strengths: npt.NDArray[np.float64]
) -> npt.NDArray[np.int32]:
    """The events with the strongest one of each repeated pair at its surviving row; the latest among equals."""
    assert rows.events is not None
    group = np.repeat(np.arange(len(repeats.starts)), np.diff(np.append(repeats.starts, len(repeats.members))))
    order = np.lexsort((np.arange(len(group)), strengths[repeats.members], group))
    last = np.append(repeats.starts[1:], len(group)) - 1
    events = rows.events.copy()
    events[repeats.survivors] = rows.events[repeats.members[order[last]]]
    return events


def _compact(rows: Interactions, side: str) -> pa.Array:
    """Renumber the codes of one side without gaps, in order, and return the ids that are left."""
    import pyarrow as pa

    codes = rows.users if side == "user" else rows.items
    ids = rows.user_ids if side == "user" else rows.item_ids
    used = np.zeros(len(ids), dtype=np.bool_)
    used[codes] = True
    if used.all():
        return ids
    renumbered = (np.cumsum(used) - 1).astype(np.int32)
    if side == "user":
        rows.users = renumbered[codes]
    else:
        rows.items = renumbered[codes]
    return ids.filter(pa.array(used))


def _extended(ids: pa.Array, tables: Sequence[SideTable]) -> pa.Array:
    """`ids`, then the ids that only the side tables have, in their order."""
    import pyarrow as pa

    return pa.concat_arrays([ids, *(table.ids for table in tables)]).unique() if tables else ids
