"""Our algorithms beside the best library for each: same data, same machine, one run.

    python -m venv .venv-peers && .venv-peers/bin/pip install -r benchmarks/peers/requirements.txt
    python benchmarks/compare_peers.py --python .venv-peers/bin/python [--only irspack_ease] [--markdown]

Both are fitted to the train and validation parts of the frozen random split of MovieLens small, each a few times in a
process of its own, ours with its defaults or what the library's file says in OUR_PARAMS, one after the other; the
shortest wall time and the shortest processor time of each count. On a busy machine the latter, which sums all threads,
is the steadier. Compiled code is there before ours is timed. Both are scored here, on the test part, by the same code:
NDCG@10 over the whole catalogue without what was seen, or RMSE. A library is one file in `benchmarks/peers/libraries/`
(see `peers/run_peer.py`).
"""

from __future__ import annotations

import argparse
import ast
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.frozen_splits import final_split
from benchmarks.headless_run import HeadlessRun, installed_algorithms
from recsys_desktop.api import Query
from recsys_desktop.evaluation import RANKING_METRICS, rank_test_users, rmse

PEERS = Path(__file__).resolve().parent / "peers"


class Seconds(NamedTuple):
    """The shortest wall time of a fit, and the shortest processor time of all its threads."""

    wall: float
    processor: float


class Comparison(NamedTuple):
    """One row; versions: of the library's packages, as name and number."""

    library: str
    algorithm: str
    metric: str
    ours: Seconds
    theirs: Seconds
    our_figure: float
    their_figure: float
    versions: dict[str, str]


def main() -> None:
    """Read the arguments, compare, print a table."""
    libraries = sorted((PEERS / "libraries").glob("*.py"))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", type=Path, required=True, help="the interpreter of the peers' environment")
    parser.add_argument("--only", action="append", choices=[path.stem for path in libraries], default=[])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--markdown", action="store_true")
    arguments = parser.parse_args()
    chosen = [path for path in libraries if not arguments.only or path.stem in arguments.only]
    split = final_split("random")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        exchange = Path(folder) / "exchange.npz"
        np.savez(
            exchange,
            users=split.train.users,
            items=split.train.items,
            ratings=np.asarray(split.train.ratings),
            test_users=split.test.users,
            test_items=split.test.items,
            n_users=split.train.n_users,
            n_items=split.train.n_items,
        )
        for path in chosen:
            rows.append(_compare(path, exchange, Path(folder) / "answers.npy", split, arguments))
            print(_line(rows[-1], arguments.markdown), flush=True)
    versions = {name: version for row in rows for name, version in row.versions.items()}
    print("\n" + ", ".join(f"{name} {version}" for name, version in sorted(versions.items())))


def _compare(path: Path, exchange: Path, answers: Path, split: Any, arguments: argparse.Namespace) -> Comparison:
    algorithm = str(_declared(path, "OURS"))
    ours, our_figure, metric = _ours(algorithm, _declared(path, "OUR_PARAMS", {}), split, arguments)
    command = [arguments.python, PEERS / "run_peer.py", path, exchange, answers]
    command += ["--repeats", arguments.repeats, "--threads", arguments.threads]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{path.stem} failed in {arguments.python}:\n{done.stderr[-3000:]}")
    told = json.loads(done.stdout.splitlines()[-1])
    found = np.load(answers)
    their_figure = _rmse(found, split) if metric == "RMSE" else _ndcg(lambda query: found[query.users], split)
    theirs = Seconds(min(told["wall"]), min(told["processor"]))
    return Comparison(path.stem, algorithm, metric, ours, theirs, our_figure, their_figure, told["versions"])


def _ours(
    algorithm: str, params: dict[str, Any], split: Any, arguments: argparse.Namespace
) -> tuple[Seconds, float, str]:
    spec = installed_algorithms()[algorithm]
    wall, processor = [], []
    for _ in range(arguments.repeats + 1):
        model = spec.load()(spec.params(**params))
        start, start_processor = time.perf_counter(), time.process_time()
        model.fit(split.train, HeadlessRun(threads=arguments.threads))
        wall.append(time.perf_counter() - start)
        processor.append(time.process_time() - start_processor)
    seconds = Seconds(min(wall[1:]), min(processor[1:]))
    if spec.capabilities.predicts_ratings:
        everyone = Query.of_users(split.train, np.arange(split.train.n_users))
        predictions = model.predict_pairs(everyone, split.test.users, split.test.items)
        return seconds, _rmse(predictions, split), "RMSE"
    return seconds, _ndcg(model.score, split), "NDCG@10"


def _ndcg(score: Any, split: Any) -> float:
    ranked, _ = rank_test_users(score, split.train, split.test, 10)
    return float(np.nanmean(RANKING_METRICS["ndcg"].compute(ranked)))


def _rmse(predictions: Any, split: Any) -> float:
    return float(rmse(predictions, split.test.ratings))


def _declared(path: Path, name: str, default: Any = None) -> Any:
    """A constant of a module that cannot be imported here.

    Raises
    ------
    ValueError: the module does not say it, and there is no default.
    """
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == name:
            return ast.literal_eval(node.value)
    if default is not None:
        return default
    raise ValueError(f"{path} does not say {name}")


def _line(row: Comparison, markdown: bool) -> str:
    cells = (
        row.algorithm,
        row.library.replace("_", " "),
        f"{row.ours.wall:.3f}",
        f"{row.theirs.wall:.3f}",
        f"{row.theirs.wall / row.ours.wall:.1f}x",
        f"{row.ours.processor:.3f}",
        f"{row.theirs.processor:.3f}",
        f"{row.theirs.processor / row.ours.processor:.1f}x",
        f"{row.metric} {row.our_figure:.4f}",
        f"{row.their_figure:.4f}",
    )
    if markdown:
        return "| " + " | ".join(cells) + " |"
    return "  ".join(f"{cell:<15s}" for cell in cells)


if __name__ == "__main__":
    main()
