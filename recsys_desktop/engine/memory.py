"""Memory and threads: forecasts held against what is free, the measured peak of a fit, and thread limits."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from recsys_desktop.api.algorithm import AlgorithmSpec
from recsys_desktop.api.dataset import DataShape
from recsys_desktop.api.forecast import Forecast
from recsys_desktop.api.params import Params
from recsys_desktop.api.resident_memory import give_freed_pages_back, resident_bytes
from recsys_desktop.engine.errors import DoesNotFit
from recsys_desktop.engine.plugins import Registry
from recsys_desktop.engine.results import ForecastAnswer

logger = logging.getLogger(__name__)

_SAMPLE_SECONDS = 0.005
_CONTROL_GROUP = Path("/sys/fs/cgroup")


def free_memory() -> int:
    """Bytes that this process may still take: what the machine has available, or less where a control group says so."""
    import psutil

    available = int(psutil.virtual_memory().available)
    limit, used = (_control_group_bytes(name) for name in ("memory.max", "memory.current"))
    if limit is not None and used is not None:
        return max(0, min(available, limit - used))
    return available


def _control_group_bytes(name: str) -> int | None:
    try:
        return int((_CONTROL_GROUP / name).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def readable_bytes(count: float) -> str:
    """A size for a sentence: "512 MB", "3.2 GB"."""
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            value = count / size
            return f"{value:.1f} {unit}" if value < 10 else f"{value:.0f} {unit}"
    return f"{count:.0f} bytes"


def forecast(
    registry: Registry, algorithm: str, params: Mapping[str, Any], shape: DataShape, free: int | None = None
) -> ForecastAnswer:
    """What a fit will need beside what is free, and where that is too much which algorithm to use instead.

    Raises
    ------
    UnknownName, InvalidParameter.
    """
    spec = registry.spec(algorithm)
    answer = estimate(spec, spec.params.parse(params), shape)
    free_bytes = free_memory() if free is None else free
    if answer.memory_bytes <= free_bytes:
        return ForecastAnswer(algorithm, answer, free_bytes, True)
    need = f"'{algorithm}' needs about {readable_bytes(answer.memory_bytes)} for this data"
    have = f"{readable_bytes(free_bytes)} are free"
    cheaper = _cheaper(registry, spec, answer, shape, free_bytes)
    if cheaper is None:
        return ForecastAnswer(algorithm, answer, free_bytes, False, f"{need}, but {have}: use less data")
    advice = f"{need}, but {have}: use '{cheaper.id}' ({cheaper.name}), which fits"
    return ForecastAnswer(algorithm, answer, free_bytes, False, advice)


def require_memory(registry: Registry, algorithm: str, params: Mapping[str, Any], shape: DataShape) -> None:
    """Raise `DoesNotFit` where the forecast exceeds the free memory."""
    answer = forecast(registry, algorithm, params, shape)
    if not answer.fits:
        raise DoesNotFit(answer.advice)


def estimate(spec: AlgorithmSpec, params: Params, shape: DataShape) -> Forecast:
    """The forecast of an algorithm with these parameters."""
    return spec.load()(params).estimate(shape)


def _cheaper(
    registry: Registry, spec: AlgorithmSpec, answer: Forecast, shape: DataShape, free_bytes: int
) -> AlgorithmSpec | None:
    """The algorithm that the forecast names, or the next of the same use that fits."""
    asked = {spec.id}
    named = answer.cheaper
    while named and named not in asked and named in registry.algorithms:
        asked.add(named)
        candidate = _estimated(registry.algorithms[named], shape)
        if candidate is None:
            break
        if candidate.memory_bytes <= free_bytes:
            return registry.algorithms[named]
        named = candidate.cheaper
    wanted = spec.capabilities
    for other in registry.algorithms.values():
        same_use = other.capabilities.ranks if wanted.ranks else other.capabilities.predicts_ratings
        if other.id in asked or not same_use:
            continue
        candidate = _estimated(other, shape)
        if candidate is not None and candidate.memory_bytes <= free_bytes:
            return other
    return None


def _estimated(spec: AlgorithmSpec, shape: DataShape) -> Forecast | None:
    try:
        return estimate(spec, spec.params(), shape)
    except Exception:
        logger.warning("The forecast of '%s' failed", spec.id, exc_info=True)
        return None


class PeakMemory:
    """Samples the resident memory of this process while a `with` block runs.

    Attributes
    ----------
    bytes: the largest sample above the start, at least 0. The sampling thread pauses while a library holds the
        interpreter, and takes one more sample at the end, so a peak inside one such call can be missed.
    """

    def __init__(self) -> None:
        self.bytes = 0

    def __enter__(self) -> PeakMemory:
        give_freed_pages_back()
        self._start = resident_bytes()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sample, name="peak-memory", daemon=True)
        self._thread.start()
        return self

    def _sample(self) -> None:
        while not self._ended.wait(_SAMPLE_SECONDS):
            self._look()

    def _look(self) -> None:
        self.bytes = max(self.bytes, resident_bytes() - self._start)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._look()
        self._ended.set()
        self._thread.join()


@contextmanager
def limited_threads(threads: int) -> Iterator[None]:
    """Let BLAS, OpenMP and, where it is loaded already, torch use at most `threads` threads inside the block."""
    from threadpoolctl import threadpool_limits

    torch = sys.modules.get("torch")
    before = torch.get_num_threads() if torch is not None else None
    with threadpool_limits(threads):
        if torch is not None:
            torch.set_num_threads(threads)
        try:
            yield
        finally:
            if torch is not None and before is not None:
                torch.set_num_threads(before)
