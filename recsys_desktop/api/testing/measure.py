"""How much memory and time a fit really takes, in a process of its own.

The peak is resident memory above what the process had at the start of `fit`. The process first fits a small data set,
so that imports, compilation and the buffers of linear algebra are there before the start. Where the operating system
keeps the high-water mark and can reset it (Linux), that is read; elsewhere resident memory is sampled from outside,
which works while the fit holds the interpreter's lock. Pages that the allocator keeps are given back before the start
as far as it lets us (glibc); the rest may put a figure off by `ALLOCATOR_NOISE`. What fragments the heap while a fit
runs differs from run to run, by as much as the fit itself where torch is at work; a measurement can leave that out.
"""

from __future__ import annotations

import gc
import importlib
import importlib.util
import inspect
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import IO, Any, NamedTuple

import numpy as np

from recsys_desktop.api.algorithm import AlgorithmSpec
from recsys_desktop.api.dataset import DataShape
from recsys_desktop.api.forecast import Forecast
from recsys_desktop.api.query import Query
from recsys_desktop.api.recommender import Recommender
from recsys_desktop.api.resident_memory import give_freed_pages_back, resident_bytes
from recsys_desktop.api.testing import made_data
from recsys_desktop.api.testing.kit_run import KitRun

ALLOCATOR_NOISE = 8 * 2**20
"""Bytes by which two measurements of the same fit may differ."""

_SAMPLE_SECONDS = 0.002
_STEADY_HEAP = {"MALLOC_MMAP_THRESHOLD_": "131072", "MALLOC_TRIM_THRESHOLD_": "131072"}
"""Settings of the GNU C library's heap under which freed blocks go back to the system at once; others ignore them."""
_EPOCHS = 2


class Measurement(NamedTuple):
    """What one fit took: peak memory above its start in bytes, wall seconds, the forecast, and the data's own shape.

    processor_seconds: of all threads together. packages: the top-level modules that its process had imported by then.
    """

    peak_bytes: int
    seconds: float
    forecast: Forecast
    shape: DataShape
    processor_seconds: float
    packages: frozenset[str] = frozenset()


def measure_fits(
    spec: AlgorithmSpec,
    shapes: Sequence[DataShape],
    params: Mapping[str, Any] | None = None,
    members: Sequence[AlgorithmSpec] = (),
    *,
    threads: int = 1,
    time_limit: float = 240.0,
    sample: bool = False,
    steady_heap: bool = False,
) -> list[Measurement]:
    """Fit random data of about each of `shapes`, one after the other in one fresh process, and measure every fit.

    What trains in epochs is given two, for a further one takes time and no more memory.

    params: as `Params.parse`. members: the algorithms that a hybrid fits. time_limit: seconds for all of it.
    sample: sample resident memory even where the operating system keeps a high-water mark. steady_heap: count what the
    fit holds and not what fragments its heap (GNU C library); the same in every run, while the fit takes longer.

    Raises
    ------
    RuntimeError: the process failed; the message ends with what it said. TimeoutError: it took too long.
    """
    job = {
        "algorithm": _where(spec),
        "members": [_where(member) for member in members],
        "params": dict(params or {}),
        "shapes": [list(shape) for shape in shapes],
        "threads": threads,
        "sample": sample,
    }
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    if steady_heap:
        environment |= _STEADY_HEAP
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
        environment[name] = str(threads)
    with subprocess.Popen(
        [sys.executable, "-m", __name__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env=environment,
    ) as process:
        killer = threading.Timer(time_limit, process.kill)
        killer.start()
        errors: list[str] = []
        reader = threading.Thread(target=_drain, args=(process.stderr, errors))
        reader.start()
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(json.dumps(job) + "\n")
            process.stdin.flush()
            found = [_listen(process.pid, process.stdout) for _ in shapes]
        finally:
            in_time = killer.is_alive()
            killer.cancel()
            process.kill()
            reader.join()
    measured = [measurement for measurement in found if measurement is not None]
    if len(measured) == len(shapes):
        return measured
    if not in_time:
        raise TimeoutError(f"fitting '{spec.id}' on {shapes} took more than {time_limit:.0f} s")
    raise RuntimeError(f"fitting '{spec.id}' on {shapes[len(measured)]} failed:\n{''.join(errors)[-4000:]}")


def measure_fit(spec: AlgorithmSpec, shape: DataShape, *arguments: Any, **options: Any) -> Measurement:
    """Fit random data of about `shape` in a fresh process and measure it; further arguments as `measure_fits`."""
    return measure_fits(spec, [shape], *arguments, **options)[0]


def _listen(pid: int, stdout: IO[str]) -> Measurement | None:
    """What the process says of its next fit, or None where it ended instead."""
    sampled = _sample(pid, stdout) if stdout.readline() else 0
    if not (answer := stdout.readline()):
        return None
    found = json.loads(answer)
    peak = found["peak_bytes"] if found["peak_bytes"] is not None else max(0, sampled - found["start_bytes"])
    forecast, shape = Forecast(*found["forecast"]), DataShape(*found["shape"])
    packages = frozenset(found["packages"])
    return Measurement(peak, found["seconds"], forecast, shape, found["processor_seconds"], packages)


def _where(spec: AlgorithmSpec) -> dict[str, str]:
    """Where another process finds an implementation: module, class, and the file for a module outside the path."""
    implementation = spec.load()
    return {
        "module": implementation.__module__,
        "class": implementation.__qualname__,
        "file": inspect.getfile(implementation),
    }


def _drain(stream: IO[str] | None, lines: list[str]) -> None:
    if stream is not None:
        lines.extend(stream)


def _sample(pid: int, stdout: IO[str]) -> int:
    """The largest resident size of a process until it says that it has done, in bytes."""
    import psutil

    done = threading.Event()

    def wait() -> None:
        stdout.readline()
        done.set()

    waiter = threading.Thread(target=wait)
    waiter.start()
    largest = 0
    try:
        process = psutil.Process(pid)
        while not done.wait(_SAMPLE_SECONDS):
            largest = max(largest, process.memory_info().rss)
    except psutil.Error:
        largest = 0
    waiter.join()
    return largest


def load(place: Mapping[str, str]) -> type[Recommender]:
    """The implementation at a place given by `_where`, imported by name or, outside the path, from its file."""
    try:
        module = importlib.import_module(place["module"])
    except ModuleNotFoundError:
        module = _load_file(place["module"], Path(place["file"]))
    implementation: type[Recommender] = getattr(module, place["class"])
    return implementation


def _load_file(name: str, path: Path) -> ModuleType:
    found = importlib.util.spec_from_file_location(name, path)
    if found is None or found.loader is None:
        raise ModuleNotFoundError(f"no module '{name}' in {path}")
    module = importlib.util.module_from_spec(found)
    sys.modules[name] = module
    found.loader.exec_module(module)
    return module


def _status_bytes(field: str) -> int | None:
    """A field of /proc/self/status that is given in kB, or None where there is no such file."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(field + ":")), None)


def _reset_high_water_mark() -> bool:
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return False
    now, peak = _status_bytes("VmRSS"), _status_bytes("VmHWM")
    return now is not None and peak is not None and peak <= now + 2**20


def _warm_up_linear_algebra() -> None:
    square = np.eye(512, dtype=np.float32)
    np.linalg.cholesky(square @ square)
    if "scipy" in sys.modules:
        from scipy.linalg import cho_factor

        cho_factor(square)


def _fit_small(job: Mapping[str, Any]) -> Recommender:
    """Fit the kit's small data in this process. job: "algorithm" and "members" as `_where` gives them, and "params"."""
    implementation = load(job["algorithm"])
    specs = [implementation.spec, *(load(place).spec for place in job["members"])]
    train = made_data.communities().train
    model = implementation(implementation.spec.params.parse(job["params"]))
    model.fit(train, KitRun(threads=int(job.get("threads", 1)), members=specs))
    model.score(Query.of_users(train, [0]))
    return model


def _main() -> None:
    job = json.loads(sys.stdin.readline())
    warm = _fit_small(job)
    _warm_up_linear_algebra()
    for shape in job["shapes"]:
        _measure(type(warm)(warm.params), DataShape(*shape), job)


def _measure(subject: Recommender, shape: DataShape, job: Mapping[str, Any]) -> None:
    capabilities = subject.spec.capabilities
    content = capabilities.uses_text or capabilities.uses_features or subject.spec.needs.item_content
    data = made_data.of_shape(shape, content)
    forecast = subject.estimate(data.shape)
    run = KitRun(
        threads=job["threads"],
        epochs=_EPOCHS if capabilities.trains_in_epochs else None,
        members=[subject.spec, *(load(place).spec for place in job["members"])],
    )
    gc.collect()
    give_freed_pages_back()
    exact = not job["sample"] and _reset_high_water_mark()
    start_bytes = _status_bytes("VmRSS") if exact else resident_bytes()
    print("start", flush=True)
    start, start_processor = time.perf_counter(), time.process_time()
    subject.fit(data, run)
    seconds, processor_seconds = time.perf_counter() - start, time.process_time() - start_processor
    peak = _status_bytes("VmHWM") if exact else None
    print("done", flush=True)
    answer = {
        "peak_bytes": None if peak is None or start_bytes is None else max(0, peak - start_bytes),
        "start_bytes": start_bytes,
        "seconds": seconds,
        "processor_seconds": processor_seconds,
        "forecast": list(forecast),
        "shape": list(data.shape),
        "packages": sorted({name.partition(".")[0] for name in list(sys.modules)}),
    }
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    _main()
