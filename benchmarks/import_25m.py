"""Import 25 million ratings from CSV: seconds, peak memory, the longest silence, and how soon it stops when asked.

    python benchmarks/import_25m.py [--rows 25e6] [--threads 2] [--folder /path/with/space]

The file is made (162,541 people and 59,047 items, as in MovieLens 25M), measured in a process of its own, and deleted.
Peak memory is the sampled resident set above what the process held before the import began.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from recsys_desktop.api import RunContext

USERS, ITEMS = 162_541, 59_047
BUDGET = {"import seconds": 20.0, "import peak MB": 3000.0, "stops after seconds": 1.0}

_SAMPLING_SECONDS = 0.01


class Watched(RunContext):
    """Notes when progress was heard, and asks to stop at a share of the import."""

    def __init__(self, threads: int, stop_at: float = 2.0) -> None:
        super().__init__(threads=threads)
        self.heard: list[float] = [time.perf_counter()]
        self.asked: float | None = None
        self._stop_at = stop_at

    @property
    def should_stop(self) -> bool:
        return self.asked is not None

    def progress(self, fraction: float, text: str = "") -> None:
        self.heard.append(time.perf_counter())
        if fraction >= self._stop_at and self.asked is None:
            self.asked = time.perf_counter()


class PeakMemory:
    """The largest resident set, in bytes, above that of the beginning, sampled by a thread."""

    def __init__(self) -> None:
        import psutil

        self._process = psutil.Process()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.peak = 0

    def __enter__(self) -> PeakMemory:
        self._before = self._process.memory_info().rss
        self._thread.start()
        return self

    def __exit__(self, *problem: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(_SAMPLING_SECONDS):
            self.peak = max(self.peak, self._process.memory_info().rss - self._before)


def measure_import(path: Path, threads: int, folder: Path) -> dict[str, float]:
    """Import, save and load once; figures by name."""
    from recsys_desktop.data import BuildRequest, build_dataset, load_dataset, save_dataset

    run = Watched(threads)
    cpu = time.process_time()
    begin = time.perf_counter()
    with PeakMemory() as memory:
        dataset, report = build_dataset(BuildRequest.of([path]), run)
    figures = {
        "rows": float(report.rows_kept),
        "import seconds": time.perf_counter() - begin,
        "import CPU seconds": time.process_time() - cpu,
        "import peak MB": memory.peak / 1e6,
        "longest silence seconds": max(after - before for before, after in zip(run.heard, run.heard[1:], strict=False)),
    }
    begin = time.perf_counter()
    fingerprint = dataset.fingerprint
    figures["fingerprint seconds"] = time.perf_counter() - begin
    begin = time.perf_counter()
    save_dataset(dataset, folder)
    figures["save seconds"] = time.perf_counter() - begin
    figures["stored MB"] = sum(file.stat().st_size for file in folder.iterdir()) / 1e6
    begin = time.perf_counter()
    loaded = load_dataset(folder)
    figures["load seconds"] = time.perf_counter() - begin
    assert loaded.fingerprint == fingerprint
    return figures


def measure_stop(path: Path, threads: int, stop_at: float) -> dict[str, float]:
    """Ask to stop at a share of the import; how long until it has stopped."""
    from recsys_desktop.data import BuildRequest, ReadingStopped, build_dataset

    run = Watched(threads, stop_at)
    try:
        build_dataset(BuildRequest.of([path]), run)
    except ReadingStopped:
        assert run.asked is not None
        return {f"stops after seconds, at {stop_at:.0%}": time.perf_counter() - run.asked}
    raise AssertionError("the import did not stop")


def in_own_process(*arguments: str) -> dict[str, float]:
    """Run one measurement of this file in a process of its own."""
    answer = subprocess.run([sys.executable, __file__, *arguments], check=True, capture_output=True, text=True)
    figures: dict[str, float] = json.loads(answer.stdout.splitlines()[-1])
    return figures


def main() -> None:
    """Make the file, measure, print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=float, default=25e6)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="where the file is made; the system's temporary folder by default")
    parser.add_argument("--measure", choices=("import", "stop"), help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--stop-at", type=float, default=0.5, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.measure == "import":
        print(json.dumps(measure_import(chosen.file, chosen.threads, chosen.file.parent / "stored")))
        return
    if chosen.measure == "stop":
        print(json.dumps(measure_stop(chosen.file, chosen.threads, chosen.stop_at)))
        return

    from recsys_desktop.data.synthetic import SyntheticParams, write_ratings_csv

    rows = int(chosen.rows)
    scale = rows / 25e6
    params = SyntheticParams(
        users=max(2, round(USERS * scale)), items=max(4, round(ITEMS * scale**0.5)), interactions=rows, categories=20
    )
    with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
        path = Path(folder) / "ratings.csv"
        begin = time.perf_counter()
        write_ratings_csv(path, params, seed=0)
        print(f"made {rows:,} rows, {path.stat().st_size / 1e6:.0f} MB, in {time.perf_counter() - begin:.0f} s")
        threads = ("--threads", str(chosen.threads), "--file", str(path))
        figures = in_own_process("--measure", "import", *threads)
        for share in ("0.4", "0.8"):
            figures |= in_own_process("--measure", "stop", "--stop-at", share, *threads)
    for name, value in figures.items():
        limit = next((limit for budget, limit in BUDGET.items() if name.startswith(budget)), None)
        told = "" if limit is None else f"   budget {limit:g}: {'kept' if value <= limit else 'MISSED'}"
        print(f"{name:32} {value:14,.2f}{told}")


if __name__ == "__main__":
    main()
