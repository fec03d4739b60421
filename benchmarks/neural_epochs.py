"""Seconds per epoch of each neural model, with how many examples an epoch has.

    python benchmarks/neural_epochs.py [ALGORITHM ...] [--epochs 3] [--threads 1]

Each is fitted to the train and validation parts of the frozen random split of MovieLens small, with its defaults, for
so many epochs; the epochs after the first are counted, by wall time and by the processor time of all threads (the
steadier one on a busy machine). An example is an interaction with the items drawn against it (`ncf`), a rating, a
person's whole history (autoencoders), or an interaction against all items (`lightgcn`).
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.frozen_splits import final_split
from benchmarks.headless_run import installed_algorithms
from recsys_desktop.api import RunContext

MODELS = ("ncf", "ncf-rating", "autoencoder", "denoising-autoencoder", "mult-vae", "lightgcn")


class Timed(RunContext):
    """Keeps wall and processor time at the end of each epoch."""

    def __init__(self, epochs: int, threads: int) -> None:
        super().__init__(epochs=epochs, threads=threads, device="cpu")
        self.ends: list[tuple[float, float]] = []

    def log(self, step: int, **values: float) -> None:
        """One line is one epoch."""
        self.ends.append((time.perf_counter(), time.process_time()))


def main() -> None:
    """Read the arguments, fit, print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("algorithms", nargs="*", default=MODELS, metavar="ALGORITHM")
    parser.add_argument("--epochs", type=int, default=4, help="at least 2; the first is not counted")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    if arguments.epochs < 2:
        parser.error("--epochs is at least 2")
    train = final_split("random").train
    print(f"{len(train)} interactions of {train.n_users} people, {arguments.threads} thread(s)")
    for name in arguments.algorithms:
        spec = installed_algorithms()[name]
        run = Timed(arguments.epochs, arguments.threads)
        model = spec.load()(spec.params()).fit(train, run)
        negatives = model.params.to_dict().get("negatives", 0)
        by_person = name.endswith("autoencoder") or name == "mult-vae"
        examples = train.n_users if by_person else len(train) * (1 + negatives)
        counted = len(run.ends) - 1
        wall, processor = ((after - before) / counted for before, after in zip(run.ends[0], run.ends[-1], strict=True))
        print(f"{name:24s} {wall:7.3f} s wall {processor:7.3f} s processor an epoch of {examples} examples", flush=True)


if __name__ == "__main__":
    main()
