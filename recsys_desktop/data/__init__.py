"""Files to Datasets: readers, roles, cleaning, splits, statistics, synthetic data.

Importing this package is light; each name is loaded from its module when it is first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recsys_desktop.data.building import build_dataset, load_parts
    from recsys_desktop.data.errors import DataFileError, ReadingStopped
    from recsys_desktop.data.inspection import (
        ColumnGuess,
        FileInspection,
        assign_files,
        inspect_files,
    )
    from recsys_desktop.data.kinds import FileKind
    from recsys_desktop.data.report import Check, ImportReport, Problem
    from recsys_desktop.data.request import BuildRequest, CleaningOptions, FileSource, ReadOptions, parse_role
    from recsys_desktop.data.splits import describe_split
    from recsys_desktop.data.statistics import DatasetStatistics, describe
    from recsys_desktop.data.storage import load_dataset, save_dataset

_HOMES = {
    "building": ("build_dataset", "load_parts"),
    "errors": ("DataFileError", "ReadingStopped"),
    "inspection": ("ColumnGuess", "FileInspection", "assign_files", "inspect_files"),
    "kinds": ("FileKind",),
    "report": ("Check", "ImportReport", "Problem"),
    "request": ("BuildRequest", "CleaningOptions", "FileSource", "ReadOptions", "parse_role"),
    "splits": ("describe_split",),
    "statistics": ("DatasetStatistics", "describe"),
    "storage": ("load_dataset", "save_dataset"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "BuildRequest",
    "Check",
    "CleaningOptions",
    "ColumnGuess",
    "DataFileError",
    "DatasetStatistics",
    "FileInspection",
    "FileKind",
    "FileSource",
    "ImportReport",
    "Problem",
    "ReadOptions",
    "ReadingStopped",
    "assign_files",
    "build_dataset",
    "describe",
    "describe_split",
    "inspect_files",
    "load_dataset",
    "load_parts",
    "parse_role",
    "save_dataset",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
