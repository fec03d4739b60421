"""How long an epoch of the sequence recommenders takes, on made data of MovieLens-1M size (or another).

    python benchmarks/sequence_epochs.py [sasrec gru lstm] [--set NAME=VALUE]... [--threads 2] [--epochs 2]

The bar: SASRec with a length of 100 and 64 factors at most 25 s an epoch on two cores. Validation is not part of it.
Beside wall time it gives processor time, which says more where the machine is shared.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.headless_run import installed_algorithms
from recsys_desktop.api import Dataset, Query, RunContext
from recsys_desktop.data.synthetic import SyntheticParams, make_dataset

MOST_OCCLUDED = 200
"""As many entries of a history as the engine leaves out one by one to explain a list."""


class TimedRun(RunContext):
    """Trains so many epochs and keeps when each began and ended: (wall seconds, processor seconds)."""

    def __init__(self, epochs: int, threads: int) -> None:
        super().__init__(1, threads=threads, device="cpu", epochs=epochs)
        self.marks: list[tuple[float, float]] = []

    def progress(self, fraction: float, text: str = "") -> None:
        """Take the first step's end as the beginning, so that preparing the data is left out."""
        if not self.marks:
            self.marks.append((time.perf_counter(), time.process_time()))

    def log(self, step: int, **values: float) -> None:
        """The end of an epoch."""
        self.marks.append((time.perf_counter(), time.process_time()))


def main() -> None:
    """Read the arguments, make the data, fit, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("algorithms", nargs="*", default=["sasrec", "gru", "lstm"])
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", dest="settings")
    parser.add_argument("--users", type=int, default=6_040)
    parser.add_argument("--items", type=int, default=3_700)
    parser.add_argument("--interactions", type=int, default=1_000_000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=2)
    arguments = parser.parse_args()
    settings = {"length": "100", "factors": "64", **dict(text.split("=", 1) for text in arguments.settings)}
    data = make_dataset(
        SyntheticParams(users=arguments.users, items=arguments.items, interactions=arguments.interactions)
    )
    for algorithm in arguments.algorithms:
        print(f"{algorithm:8s} {_line(algorithm, settings, data, arguments.epochs, arguments.threads)}", flush=True)


def _line(algorithm: str, settings: dict[str, Any], data: Dataset, epochs: int, threads: int) -> str:
    spec = installed_algorithms()[algorithm]
    run = TimedRun(epochs, threads)
    model = spec.load()(spec.params.parse(settings)).fit(data, run)
    wall, processor = ((run.marks[-1][place] - run.marks[0][place]) / epochs for place in (0, 1))
    longest = Query.of_users(data, [int(np.argmax(data.user_counts))])
    start = time.perf_counter()
    for _ in range(20):
        model.score(longest)
    answer = (time.perf_counter() - start) / 20
    entries = min(MOST_OCCLUDED, int(longest.lengths[0]))
    copies = longest.take(np.zeros(entries, dtype=np.int64))
    kept = np.ones(len(copies.items), dtype=np.bool_)
    kept[copies.indptr[1:] - 1 - np.arange(entries)] = False
    without = copies.keep_entries(kept)
    start = time.perf_counter()
    model.score(without, np.arange(10))
    explanation = time.perf_counter() - start
    return (
        f"{wall:6.1f} s an epoch ({processor:.1f} s of processors), scores of one person {1e3 * answer:.1f} ms, "
        f"with each of {entries} entries left out {1e3 * explanation:.0f} ms"
    )


if __name__ == "__main__":
    main()
