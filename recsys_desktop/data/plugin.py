"""What the data room brings as a plugin of the application itself: readers and splitters."""

from __future__ import annotations

from collections.abc import Sequence

from recsys_desktop.api.extensions import ReaderSpec, SplitterSpec
from recsys_desktop.api.hooks import hookimpl
from recsys_desktop.data.readers.built_in import BUILT_IN_READERS
from recsys_desktop.data.splits import SPLITTERS


@hookimpl
def recsys_desktop_readers() -> Sequence[ReaderSpec]:
    """The file formats of the data room."""
    return BUILT_IN_READERS


@hookimpl
def recsys_desktop_splitters() -> Sequence[SplitterSpec]:
    """The splits of the data room."""
    return SPLITTERS
