"""How long one person waits: for a list with its reasons, for a whole explanation, for a new list after one rating.

    python benchmarks/list_latency.py [--algorithms ease ials ...] [--people 200] [--workspace DIR]

Works on the MovieLens sample; each model is trained once and asked for different people, so that no answer comes from
the cache. Printed are the 95th percentiles in milliseconds of wall time and, in brackets, of processor time of all
threads, which a busy machine changes less. Budgets at 100,000 ratings: ranking 20 ms; explanations of models in closed
form 50 ms with the list; one new rating to the refreshed list 100 ms.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from recsys_desktop.api import Query
from recsys_desktop.engine import Engine, ExplainRequest, RecommendRequest, TrainRequest

ALGORITHMS = ("popularity", "item-knn", "ease", "ials", "content", "svd", "ncf", "weighted-hybrid")


def percentile(call: Callable[[str], object], people: list[str]) -> str:
    """The 95th percentile of wall and of processor milliseconds over people, the first three left out."""
    wall, processor = [], []
    for person in people:
        start, used = time.perf_counter(), time.process_time()
        call(person)
        wall.append(time.perf_counter() - start)
        processor.append(time.process_time() - used)
    return f"{1000 * np.percentile(wall[3:], 95):7.1f} ({1000 * np.percentile(processor[3:], 95):5.1f})"


def measure(engine: Engine, algorithm: str, fingerprint: str, people: list[str]) -> None:
    """Train one algorithm and print its line."""
    label = engine.train(TrainRequest(algorithm, fingerprint)).label
    served = engine.model(label)
    dataset = served.dataset
    codes = {person: dataset.user_vocabulary.code(person) for person in people}
    firsts: dict[str, str] = {}

    def ranking(person: str) -> None:
        served.rank(Query.of_users(dataset, [codes[person]]), 10)

    def listing(person: str) -> None:
        firsts[person] = engine.recommend(RecommendRequest(label, person)).items[0].item

    def explanation(person: str) -> None:
        engine.explain(ExplainRequest(label, firsts[person], person))

    def refreshed(person: str) -> None:
        items = dataset.items[dataset.users == codes[person]].tolist()
        history = [(dataset.item_vocabulary[item], 4.0, None) for item in items]
        engine.recommend(RecommendRequest(label, person, [*history, (firsts[person], 5.0, None)]))

    columns = [percentile(call, people) for call in (ranking, listing, explanation, refreshed)]
    print(f"{algorithm:18s}" + "  ".join(columns), flush=True)


def main() -> None:
    """Measure each algorithm."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--algorithms", nargs="*", default=list(ALGORITHMS))
    parser.add_argument("--people", type=int, default=200)
    parser.add_argument("--workspace", type=Path)
    arguments = parser.parse_args()
    with TemporaryDirectory() as temporary, Engine.open(arguments.workspace or temporary) as engine:
        data = engine.import_sample("movielens-small")
        vocabulary = engine.dataset(data.fingerprint).user_vocabulary
        chosen = np.random.default_rng(0).permutation(len(vocabulary))[: arguments.people]
        people = [vocabulary[int(code)] for code in chosen]
        print(f"{'':18s}{'ranking':>16s}{'list, reasons':>17s}{'explanation':>17s}{'new rating':>17s}")
        for algorithm in arguments.algorithms:
            measure(engine, algorithm, data.fingerprint, people)


if __name__ == "__main__":
    main()
