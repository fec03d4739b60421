"""Collects the figures that a run logs and stores them in batches, losing none."""

import threading
import time
from types import TracebackType
from typing import TYPE_CHECKING

from recsys_desktop.workspace.records import RunValue

if TYPE_CHECKING:
    from recsys_desktop.workspace.record_store import RecordStore

_LARGEST_BATCH = 512
_LONGEST_WAIT_SECONDS = 0.5


class RunLog:
    """A buffer in front of ``RecordStore.append_run_values``; any thread may add.

    A batch is stored when it holds 512 values or when half a second has passed since the last one, at the next
    ``add``; the rest at ``flush`` or at the end of the ``with`` block. Values that could not be stored stay in the
    buffer and the error is raised.
    """

    def __init__(self, store: "RecordStore", run_id: str) -> None:
        self._store = store
        self._run_id = run_id
        self._values: list[RunValue] = []
        self._last_flush = time.monotonic()
        self._guard = threading.Lock()

    def add(self, step: int, **values: float) -> None:
        """Log the figures of one step, by name, at the present moment."""
        now = time.time()
        with self._guard:
            self._values.extend(RunValue(step, name, float(value), now) for name, value in values.items())
            waited = time.monotonic() - self._last_flush
            if len(self._values) >= _LARGEST_BATCH or waited >= _LONGEST_WAIT_SECONDS:
                self._flush()

    def flush(self) -> None:
        """Store what has not been stored yet."""
        with self._guard:
            self._flush()

    def _flush(self) -> None:
        if self._values:
            self._store.append_run_values(self._run_id, self._values)
            self._values = []
        self._last_flush = time.monotonic()

    def __enter__(self) -> "RunLog":
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.flush()
