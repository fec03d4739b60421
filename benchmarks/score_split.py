"""Score one installed algorithm on a frozen split of MovieLens small.

    python benchmarks/score_split.py ALGORITHM [--set name=value]... [--part valid|test] [--split random|last]

With `--part valid` (for choosing parameters) it is fitted on the train part and scored on the validation part; with
`--part test` (for figures) it is fitted on both and scored on the test part.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.frozen_splits import development_split, final_split
from benchmarks.headless_run import fit, installed_algorithms
from recsys_desktop.api import Query
from recsys_desktop.evaluation import (
    BEYOND_ACCURACY_METRICS,
    RANKING_METRICS,
    bootstrap_interval,
    catalogue_coverage,
    mae,
    rank_test_users,
    rmse,
)


def main() -> None:
    """Read the arguments, fit, score, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("algorithm")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", dest="settings")
    parser.add_argument("--part", choices=("valid", "test"), default="valid")
    parser.add_argument("--split", choices=("random", "last"), default="random")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--k", type=int, default=10)
    parser.add_argument("--verbose", action="store_true", help="print what the algorithm logs")
    arguments = parser.parse_args()
    algorithms = installed_algorithms()
    if arguments.algorithm not in algorithms:
        parser.error(f"unknown algorithm '{arguments.algorithm}'; installed: {', '.join(algorithms)}")
    if bad := [text for text in arguments.settings if "=" not in text]:
        parser.error(f"--set takes NAME=VALUE, not '{bad[0]}'")
    spec = algorithms[arguments.algorithm]
    params = dict(text.split("=", 1) for text in arguments.settings)
    split = (development_split if arguments.part == "valid" else final_split)(arguments.split)

    start = time.perf_counter()
    model = fit(spec, params, split.train, seed=arguments.seed, threads=arguments.threads, verbose=arguments.verbose)
    print(f"{spec.id} {model.params.to_dict()}")
    print(f"{arguments.split} {arguments.part}, fit {time.perf_counter() - start:.2f} s", end="")

    popular = split.train.item_counts.astype(np.float32)
    if spec.capabilities.ranks:
        start = time.perf_counter()
        ranked, report = rank_test_users(model.score, split.train, split.test, arguments.k, popular)
        seconds = time.perf_counter() - start
        print(f", lists {seconds:.2f} s ({len(ranked.users) / seconds:.0f} users/s)")
        for metric in (*RANKING_METRICS.values(), *BEYOND_ACCURACY_METRICS.values()):
            interval = bootstrap_interval(metric.compute(ranked))
            name = f"{metric.name}@{arguments.k}"
            print(f"  {name:14s} {interval.value:9.4f}   [{interval.low:.4f}, {interval.high:.4f}]")
        print(f"  {'Coverage':14s} {catalogue_coverage(ranked.lists, split.train.n_items):9.4f}")
        print(
            f"  {len(ranked.users)} users, {report.tied_lists} lists with ties, "
            f"{report.fallback_places} places in {report.fallback_lists} whole lists and short ones by fallback"
        )
    else:
        print()
    if spec.capabilities.predicts_ratings and split.test.ratings is not None:
        everyone = Query.of_users(split.train, np.arange(split.train.n_users))
        predictions = model.predict_pairs(everyone, split.test.users, split.test.items)
        missing = np.isnan(predictions)
        predictions[missing] = split.train.ratings.mean() if split.train.ratings is not None else np.nan
        print(
            f"  RMSE {rmse(predictions, split.test.ratings):.4f}  MAE {mae(predictions, split.test.ratings):.4f}",
            end="",
        )
        print(f"  ({missing.sum()} of {len(missing)} pairs by the overall mean)")


if __name__ == "__main__":
    main()
