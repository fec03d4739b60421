"""What a face asks of the engine: one frozen dataclass a use case."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from recsys_desktop.api.query import ConstraintValue
from recsys_desktop.engine.plain import PlainData

HistoryEntry: TypeAlias = tuple[str, float | None, int | None]
"""One thing that a person did: (item id, rating or None, timestamp in seconds or None)."""


@dataclass(frozen=True)
class InspectRequest(PlainData):
    """Look at files without importing them.

    files: the files of one data set; which of them hold interactions, items or users is guessed. roles: column -> role,
    corrections of the guess, for every file that has the column. options: corrections of the layout (see `ReadOptions`
    of the data room: reader, encoding, delimiter, header, decimal, quoting), for every file. cleaning: as
    `ImportRequest`. build: also read the files whole, for the report and the statistics.
    """

    files: Sequence[Path]
    roles: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    cleaning: Mapping[str, Any] = field(default_factory=dict)
    build: bool = True


@dataclass(frozen=True)
class ImportRequest(PlainData):
    """Bring files into the workspace as a data set.

    interactions: one or more files of one layout. items, users: side tables. roles, options: as in `InspectRequest`.
    file_options: path -> options for that file alone, over `options`. cleaning: options of the data room's cleaning
    (see its `CleaningOptions`); its defaults where absent. problems: a CSV file to write every problem row to.
    """

    interactions: Sequence[Path]
    name: str
    items: Sequence[Path] = ()
    users: Sequence[Path] = ()
    file_options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    roles: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    cleaning: Mapping[str, Any] = field(default_factory=dict)
    problems: Path | None = None


@dataclass(frozen=True)
class TrainRequest(PlainData):
    """Fit one algorithm to a whole data set and save it as a new version.

    algorithm: id. data: name or fingerprint of an imported data set. params: name -> value (typed, or text as on a
    command line). name: of the model; the algorithm's id where None. calibrate: also learn what a score is worth as a
    probability. force: fit even where the forecast says that memory will not do.
    """

    algorithm: str
    data: str
    params: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 42
    name: str | None = None
    calibrate: bool = True
    force: bool = False
    note: str = ""


@dataclass(frozen=True)
class EvaluateRequest(PlainData):
    """Compare algorithms on one split: either `data` (with `split`) or files `train` and `test` (and `valid`).

    split: id of a splitter, the first one where None; split_params: its parameters. items, users: side tables for
    files. params: algorithm id -> parameters. k: length of the lists judged. out: a folder for the report; the
    workspace's `reports/` where None. lists: also write recommendations/A.csv and predictions/A.csv. metrics: ids to
    compute, all where empty.
    """

    algorithms: Sequence[str]
    data: str | None = None
    split: str | None = None
    split_params: Mapping[str, Any] = field(default_factory=dict)
    train: Path | None = None
    test: Path | None = None
    valid: Path | None = None
    items: Sequence[Path] = ()
    users: Sequence[Path] = ()
    roles: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    cleaning: Mapping[str, Any] = field(default_factory=dict)
    params: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    metrics: Sequence[str] = ()
    seed: int = 42
    k: int = 10
    out: Path | None = None
    lists: bool = True
    force: bool = False


@dataclass(frozen=True)
class RecommendRequest(PlainData):
    """A list for one person: a user of the data, or somebody described by a history.

    model: name, `name@version` or id. user: external id. history: what a person not in the data did, or, beside `user`,
    what that person did instead of what the data says (a what-if). n: length. exclude_seen: leave out what is in the
    history. filters: item column -> allowed value, several values, or (low, high). interests: stated interests for
    algorithms that use them. as_of: the moment of asking, seconds. explain: give each item its explanation (sentences
    and chips are always given).
    """

    model: str
    user: str | None = None
    history: Sequence[HistoryEntry] | None = None
    n: int = 10
    exclude_seen: bool = True
    filters: Mapping[str, ConstraintValue] = field(default_factory=dict)
    interests: Sequence[str] = ()
    as_of: int | None = None
    explain: bool = False


@dataclass(frozen=True)
class ExplainRequest(PlainData):
    """Why one item (external id) has its place for one person; `user`, `history` and `filters` as `RecommendRequest`.

    counterfactual: also search for the fewest history entries without which another item would be first.
    """

    model: str
    item: str
    user: str | None = None
    history: Sequence[HistoryEntry] | None = None
    filters: Mapping[str, ConstraintValue] = field(default_factory=dict)
    interests: Sequence[str] = ()
    as_of: int | None = None
    counterfactual: bool = True
