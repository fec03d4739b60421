"""Measure how smoothly the real window beats while every shipped algorithm trains, and how soon training is stopped.

    python benchmarks/heartbeat.py [--algorithms ease ncf ...] [--epochs N] [--workspace DIR] [--json FILE]

A timer fires every 5 ms; the budget for its gaps is p99 <= 25 ms and at most 100 ms. Each algorithm that trains for
longer than a second is trained a second time and cancelled in the middle, by the button; the budget is 1 s until the
run is over. The window is drawn off screen, with the train page shown and its curves redrawn as for a person. Without
--workspace the MovieLens sample is imported into a temporary one. Measure on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

INTERVAL_MS = 5
BUDGET_P99_MS, BUDGET_MOST_MS = 25.0, 100.0
PATIENCE_SECONDS = 300
SETTLING_SECONDS = 1.2
BUDGET_STOP_SECONDS = 1.0


def measure(workspace: Path, wanted: list[str], epochs: int | None) -> list[dict[str, object]]:
    """Train each algorithm in the window; returns one row each with its gaps in milliseconds."""
    from PySide6.QtCore import QEventLoop, Qt, QTimer

    from recsys_desktop.gui.app import create_window
    from recsys_desktop.gui.garbage import main_thread_collects_garbage

    window: Any = create_window(workspace)[1]
    session = window.session
    window.show()

    def wait(until: Callable[[], bool]) -> None:
        loop = QEventLoop()
        timer = QTimer()
        timer.setInterval(20)
        timer.timeout.connect(lambda: loop.quit() if until() else None)
        timer.start()
        QTimer.singleShot(PATIENCE_SECONDS * 1000, loop.quit)
        loop.exec()

    rows: list[dict[str, object]] = []
    with main_thread_collects_garbage(window, lambda: not session.jobs.is_idle):
        wait(lambda: session.is_open and session.jobs.is_idle)
        session.work(
            "Opening the sample", lambda engine, run: engine.import_sample("movielens-small", run), session.open_data
        )
        wait(lambda: session.data is not None and session.jobs.is_idle)
        window.show_page("train")
        workbench = window.page("train").workbench
        wait(lambda: session.jobs.is_idle)
        beats: list[float] = []
        heart = QTimer()
        heart.setTimerType(Qt.TimerType.PreciseTimer)
        heart.setInterval(INTERVAL_MS)
        heart.timeout.connect(lambda: beats.append(time.perf_counter()))
        heart.start()
        for algorithm in wanted or list(session.engine.registry.algorithms):
            workbench.choose(algorithm)
            if epochs is not None and "epochs" in workbench.form.rows:
                workbench.form.set_text("epochs", str(epochs))
            quiet = time.perf_counter() + SETTLING_SECONDS
            wait(partial(_is_quiet, session, quiet))
            beats.clear()
            job = workbench.train()
            if job is None:
                rows.append({"algorithm": algorithm, "state": "not run"})
                continue
            wait(partial(_is_over, job))
            gaps = sorted((after - before) * 1000 for before, after in pairwise(beats))
            rows.append(
                {
                    "algorithm": algorithm,
                    "state": job.state.value,
                    "seconds": round(job.seconds, 2),
                    "p99_ms": round(gaps[int(len(gaps) * 0.99)], 1),
                    "most_ms": round(gaps[-1], 1),
                    "beats": len(gaps),
                }
            )
            wait(lambda: session.jobs.is_idle)
            if job.seconds > 1.0:
                again = workbench.train()
                middle = time.perf_counter() + job.seconds / 2
                wait(partial(_is_later, middle))
                if not again.state.is_over:
                    begin = time.perf_counter()
                    workbench.run_panel.cancel_button.click()
                    wait(partial(_is_over, again))
                    rows[-1]["stop_seconds"] = round(time.perf_counter() - begin, 2)
                wait(lambda: session.jobs.is_idle)
            print(json.dumps(rows[-1]), flush=True)
        heart.stop()
        window.may_stop = lambda _title: True
        window.close()
        wait(lambda: not window.isVisible())
    return rows


def _is_quiet(session: Any, since: float) -> bool:
    return time.perf_counter() > since and session.jobs.is_idle


def _is_later(moment: float) -> bool:
    return time.perf_counter() > moment


def _is_over(job: Any) -> bool:
    return bool(job.state.is_over)


def main() -> int:
    """Print one line per algorithm; the exit code is 1 when one is over the budget."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--algorithms", nargs="*", default=[])
    parser.add_argument("--epochs", type=int, help="of those that train in epochs, instead of their default")
    parser.add_argument("--workspace", type=Path)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with TemporaryDirectory() as temporary:
        rows = measure(options.workspace or Path(temporary) / "workspace", options.algorithms, options.epochs)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2), encoding="utf-8")
    over = [
        row["algorithm"]
        for row in rows
        if float(str(row.get("p99_ms", 0))) > BUDGET_P99_MS
        or float(str(row.get("most_ms", 0))) > BUDGET_MOST_MS
        or float(str(row.get("stop_seconds", 0))) > BUDGET_STOP_SECONDS
    ]
    print(f"over the budget: {', '.join(map(str, over)) or 'none'}")
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
