"""Trainings of NeuralCF on a data set "toy" in a process of their own, killed on the way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
REQUEST: dict[str, Any] = {"params": {"epochs": 12, "patience": 12, "factors": 8}, "seed": 5}
PAUSE_BEFORE_KILL = 0.6
"""Seconds that the epoch before the one in which a training is killed takes longer than it would."""

TRAINING = """
import sys, time
from recsys_desktop.engine import Engine, EngineRun, TrainRequest
from recsys_desktop.toolkit import checkpoints

checkpoints.INTERVAL_SECONDS, checkpoints.LARGEST_SHARE = 0.0, float("inf")
folder, phase, step = sys.argv[1], sys.argv[2], int(sys.argv[3])

class Run(EngineRun):
    def log_entry(self, entry):
        super().log_entry(entry)
        time.sleep({PAUSE} if (entry.phase, entry.step) == (phase, step - 1) else 0)
        if (entry.phase, entry.step) == (phase, step):
            print("there", flush=True)
            time.sleep(600)

with Engine.open(folder, threads=1) as engine:
    engine.train(TrainRequest("ncf", "toy", **{REQUEST}), Run(device="cpu"))
""".replace("{REQUEST}", repr(REQUEST)).replace("{PAUSE}", repr(PAUSE_BEFORE_KILL))


def kill_at(folder: Path, phase: str, step: int) -> None:
    """Train in a process of its own, and kill it when it has come to this epoch."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY)}
    child = subprocess.Popen(
        [sys.executable, "-c", TRAINING, str(folder), phase, str(step)],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "there\n"
    child.send_signal(signal.SIGTERM if os.name == "nt" else signal.SIGKILL)
    child.wait()
