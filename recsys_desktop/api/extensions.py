"""What a plugin may bring besides algorithms: metrics, readers, splitters, panels and run observers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from recsys_desktop.api.dataset import Dataset
from recsys_desktop.api.params import Params

if TYPE_CHECKING:
    import pandas as pd


class RankedLists(NamedTuple):
    """Top-k lists to be judged, one row for each test user.

    lists: int32 (n, k) item codes, -1 where a list is short. scores: float32 (n, k). users: int32 (n,) codes.
    relevant: (indptr int64 (n + 1,), items int32) held-out items of each user. train, test: the data.
    """

    lists: npt.NDArray[np.int32]
    scores: npt.NDArray[np.float32]
    users: npt.NDArray[np.int32]
    relevant: tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]
    train: Dataset
    test: Dataset


@dataclass(frozen=True)
class MetricSpec:
    """A ranking metric: one figure for each test user.

    compute: function of `RankedLists` giving float64 (n,), NaN where undefined. formula: how it is computed, with its
    source. larger_is_better: the direction of good.
    """

    id: str
    name: str
    formula: str
    compute: Callable[[RankedLists], npt.NDArray[np.float64]]
    larger_is_better: bool = True


@dataclass(frozen=True)
class ReaderSpec:
    """A file format.

    extensions: lower-case file endings with their dot. sniff: how sure the reader is, 0 to 1, from path and first 64
    KiB.
    read: path and options to a table of text and numbers.
    """

    id: str
    name: str
    extensions: tuple[str, ...]
    sniff: Callable[[Path, bytes], float]
    read: Callable[[Path, Mapping[str, Any]], pd.DataFrame]


class Split(NamedTuple):
    """Parts of one Dataset over one vocabulary; `validation` may be None.

    history: what test users did that a model may see when it is asked for them, and never when it is fitted (strong
    generalisation), or None.
    """

    train: Dataset
    validation: Dataset | None
    test: Dataset
    history: Dataset | None = None


@dataclass(frozen=True)
class SplitterSpec:
    """A way to divide data. split: function of the data, the parameters and a seed."""

    id: str
    name: str
    summary: str
    params: type[Params]
    split: Callable[[Dataset, Params, int], Split]


@dataclass(frozen=True)
class PanelSpec:
    """A page of the window.

    implementation: `"module:Class"` of a QWidget that takes a `recsys_desktop.gui.public.Host`.
    """

    id: str
    title: str
    implementation: str
    icon: str = "plugins"


class RunObserver(Protocol):
    """Told of every run; called on the run's own thread, an error in it is recorded and the run goes on."""

    def run_started(self, run: str, kind: str, request: Mapping[str, Any]) -> None:
        """A run has begun. run: its id; kind: "train", "evaluate", "import"."""

    def run_logged(self, run: str, step: int, values: Mapping[str, float]) -> None:
        """Figures of one step."""

    def run_finished(self, run: str, state: str, result: Mapping[str, Any]) -> None:
        """A run has ended. state: "done", "failed" or "cancelled"."""
