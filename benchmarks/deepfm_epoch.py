"""Time an epoch of DeepFM, or of the factorisation machine, on made data of the size of MovieLens 1M.

    python benchmarks/deepfm_epoch.py [--algorithm deepfm|fm] [--rows 1000000] [--threads 1] [--epochs 4]

The data are random: 6,040 people with three attributes, 3,706 items with genres, a year and a text, ratings and
timestamps. Prints wall and processor seconds of each epoch but the first, which warms up.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from recsys_desktop.api import (
    CategoryColumn,
    Dataset,
    FeatureTable,
    NumericColumn,
    RatingScale,
    RunContext,
    TagsColumn,
    TextColumn,
    Vocabulary,
)
from recsys_neural.factorization_machine_specs import DEEP_FM, FACTORIZATION_MACHINE

N_USERS, N_ITEMS, N_GENRES = 6040, 3706, 18


class TimedRun(RunContext):
    """Notes wall and processor time at the end of every epoch."""

    def __init__(self, threads: int, epochs: int) -> None:
        super().__init__(threads=threads, device="cpu", epochs=epochs)
        self.marks: list[tuple[float, float]] = []

    def log(self, step: int, **values: float) -> None:
        self.marks.append((time.perf_counter(), time.process_time()))


def made_ratings(rows: int, seed: int = 0) -> Dataset:
    """Random ratings with a long tail of items and of people, and every kind of feature."""
    generator = np.random.default_rng(seed)
    users = np.minimum(generator.exponential(N_USERS / 4, rows), N_USERS - 1).astype(np.int32)
    items = np.minimum(generator.exponential(N_ITEMS / 5, rows), N_ITEMS - 1).astype(np.int32)
    words = np.array([f"word{code}" for code in range(2000)], dtype=object)
    texts = np.array([" ".join(words[generator.integers(0, 2000, 30)]) for _ in range(N_ITEMS)], dtype=object)

    def category(size: int, count: int) -> CategoryColumn:
        return CategoryColumn(
            generator.integers(0, count, size).astype(np.int32), tuple(f"value{code}" for code in range(count))
        )

    per_item = generator.integers(1, 4, N_ITEMS)
    genres = TagsColumn(
        np.concatenate(([0], np.cumsum(per_item))).astype(np.int64),
        generator.integers(0, N_GENRES, per_item.sum()).astype(np.int32),
        tuple(f"genre{code}" for code in range(N_GENRES)),
    )
    years = NumericColumn(generator.integers(1930, 2001, N_ITEMS).astype(np.float32), "year")
    people = {"gender": category(N_USERS, 2), "age": category(N_USERS, 7), "occupation": category(N_USERS, 21)}
    return Dataset(
        Vocabulary(f"u{code}" for code in range(N_USERS)),
        Vocabulary(f"i{code}" for code in range(N_ITEMS)),
        users,
        items,
        generator.integers(1, 6, rows).astype(np.float32),
        timestamps=generator.integers(10**9, 11 * 10**8, rows),
        user_features=FeatureTable(N_USERS, people),
        item_features=FeatureTable(N_ITEMS, {"genres": genres, "released": years, "about": TextColumn(texts)}),
        rating_scale=RatingScale(1, 5, 1),
    )


def main() -> None:
    """Read the arguments, fit, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--algorithm", choices=("deepfm", "fm"), default="deepfm")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", dest="settings")
    arguments = parser.parse_args()
    spec = {spec.id: spec for spec in (DEEP_FM, FACTORIZATION_MACHINE)}[arguments.algorithm]
    run = TimedRun(arguments.threads, arguments.epochs)
    spec.load()(spec.params.parse(dict(text.split("=", 1) for text in arguments.settings))).fit(
        made_ratings(arguments.rows), run
    )
    steps = np.diff(np.array(run.marks), axis=0)
    print(f"{spec.id}, {arguments.rows} rows an epoch, {arguments.threads} thread(s), load {os.getloadavg()[0]:.1f}")
    print(f"  wall      {np.median(steps[:, 0]):.2f} s (from {steps[:, 0].min():.2f} to {steps[:, 0].max():.2f})")
    print(f"  processor {np.median(steps[:, 1]):.2f} s (from {steps[:, 1].min():.2f} to {steps[:, 1].max():.2f})")


if __name__ == "__main__":
    main()
