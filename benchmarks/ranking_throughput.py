"""How many users a second are ranked over a whole catalogue, and how much of it is the ranking itself.

    python benchmarks/ranking_throughput.py [--users 20000] [--items 4000] [--history 150]

`ranking alone` is handed ready scores; `factors` multiplies 64 of them a user; `linear` multiplies each history by
dense item weights, as EASE does. The budgets at 4,000 items are 10,000 users a second for factors and 6,000 for linear
models. The second figure counts processor seconds, which a busy machine does not change.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from recsys_desktop.api import Dataset, Query, Vocabulary
from recsys_desktop.evaluation import rank_users
from recsys_desktop.toolkit.products import SparseRows, sparse_times_dense


def random_histories(n_users: int, n_items: int, length: int, generator: np.random.Generator) -> Dataset:
    """Histories of about `length` different items each, popular items more often."""
    ranks = (generator.random(n_users * length) ** 2 * n_items).astype(np.int64)
    pairs = np.sort(np.repeat(np.arange(n_users, dtype=np.int64), length) * n_items + ranks)
    pairs = pairs[np.append(True, pairs[1:] != pairs[:-1])]
    return Dataset(
        Vocabulary(f"u{code}" for code in range(n_users)),
        Vocabulary(f"i{code}" for code in range(n_items)),
        (pairs // n_items).astype(np.int32),
        (pairs % n_items).astype(np.int32),
    )


def main() -> None:
    """Time each way of scoring, the best of three passes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=20_000)
    parser.add_argument("--items", type=int, default=4_000)
    parser.add_argument("--history", type=int, default=150)
    arguments = parser.parse_args()
    generator = np.random.default_rng(0)
    data = random_histories(arguments.users, arguments.items, arguments.history, generator)
    ready = generator.standard_normal((2048, arguments.items)).astype(np.float32)
    people = generator.standard_normal((arguments.users, 64)).astype(np.float32)
    items = generator.standard_normal((arguments.items, 64)).astype(np.float32)
    weights = generator.standard_normal((arguments.items, arguments.items)).astype(np.float32)

    def linear(query: Query) -> npt.NDArray[np.float32]:
        return sparse_times_dense(SparseRows.of(query.matrix(arguments.items)), weights)

    ways: dict[str, Callable[[Query], npt.NDArray[np.float32]]] = {
        "ranking alone": lambda query: ready[: len(query)],
        "factors": lambda query: people[query.users] @ items.T,
        "linear": linear,
    }
    everyone = np.arange(arguments.users)
    for name, score in ways.items():
        wall, processor = [], []
        for _ in range(3):
            start, used = time.perf_counter(), time.process_time()
            rank_users(score, data, everyone, 10)
            wall.append(time.perf_counter() - start)
            processor.append(time.process_time() - used)
        print(
            f"{name:14s} {arguments.users / min(wall):9.0f} users a second, "
            f"{arguments.users / min(processor):9.0f} a processor second"
        )


if __name__ == "__main__":
    main()
