"""Fit one other library on exchanged data and write down its answers; runs in the peers' own environment.

    python run_peer.py LIBRARY_FILE EXCHANGE.npz ANSWERS.npy --repeats 3 --threads 2

Prints one line of JSON: wall and processor seconds of each repetition's fit, and the versions. LIBRARY_FILE is a module
of `libraries/` that says in OURS which algorithm of ours it is beside, in OUR_PARAMS (if at all) with which parameters,
in PACKAGES what it rests on, and has two functions:

    fit(train, threads, seed)    -> a model; train is an Exchange
    answers(model, train)        -> float32 scores (n_users, n_items), or predicted ratings of the test pairs (m,)

It imports nothing of the application, which is not installed there.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import json
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np


class Exchange(NamedTuple):
    """Training interactions and test pairs in codes, as `compare_peers.py` wrote them.

    users, items: int32 (n,). ratings: float32 (n,). test_users, test_items: int32 (m,).
    """

    users: Any
    items: Any
    ratings: Any
    test_users: Any
    test_items: Any
    n_users: int
    n_items: int

    def matrix(self) -> Any:
        """Interactions that count 1 each, CSR float32 (n_users, n_items)."""
        from scipy.sparse import csr_matrix

        ones = np.ones(len(self.users), dtype=np.float32)
        return csr_matrix((ones, (self.users, self.items)), shape=(self.n_users, self.n_items))


def main() -> None:
    """Read the arguments, fit as often as asked, write and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("library", type=Path)
    parser.add_argument("exchange", type=Path)
    parser.add_argument("answers", type=Path)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=42)
    arguments = parser.parse_args()
    library = _load(arguments.library)
    with np.load(arguments.exchange) as stored:
        arrays = {name: stored[name] for name in stored.files}
    train = Exchange(**{name: int(array) if array.ndim == 0 else array for name, array in arrays.items()})
    wall, processor = [], []
    for _ in range(arguments.repeats):
        start, start_processor = time.perf_counter(), time.process_time()
        model = library.fit(train, arguments.threads, arguments.seed)
        wall.append(time.perf_counter() - start)
        processor.append(time.process_time() - start_processor)
    np.save(arguments.answers, np.asarray(library.answers(model, train), dtype=np.float32))
    versions = {name: importlib.metadata.version(name) for name in library.PACKAGES}
    print(json.dumps({"wall": wall, "processor": processor, "versions": versions}))


def _load(path: Path) -> Any:
    found = importlib.util.spec_from_file_location(path.stem, path)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main()
