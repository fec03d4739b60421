"""Draw every page of the window off screen, in both themes, at 1280x800 and at 150 % scale, into a folder.

    python benchmarks/screenshots.py FOLDER [--workspace DIR] [--pages start data ...]

Works on the MovieLens sample with real models: what the workspace lacks is imported, trained and compared first.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ALGORITHMS = ("popularity", "item-knn", "ease", "ials", "content", "ncf", "weighted-hybrid")
PAGES = ("start", "data", "import", "train", "compare", "recommend", "items", "models", "plugins", "settings")
PATIENCE_SECONDS = 60
SHOWN_MODEL, SHOWN_USER = "ease", "42"


def prepare(workspace: Path) -> None:
    """Import the sample, train a few models and compare them, as far as the workspace has none."""
    from recsys_desktop.engine import Engine, EngineError, EvaluateRequest, TrainRequest

    with Engine.open(workspace) as engine:
        data = engine.import_sample("movielens-small")
        trained = {model.algorithm for model in engine.models()}
        present = [algorithm for algorithm in ALGORITHMS if algorithm in engine.registry.algorithms]
        for algorithm in present:
            if algorithm not in trained:
                try:
                    engine.train(TrainRequest(algorithm, data.fingerprint))
                except EngineError as error:
                    print(f"{algorithm} is left out: {error}", file=sys.stderr)
        if not engine.evaluations():
            engine.evaluate(EvaluateRequest(present, data=data.fingerprint))


def draw(folder: Path, workspace: Path, theme_name: str, suffix: str, pages: list[str]) -> None:
    """Draw the pages with the theme and the scale of this process."""
    from PySide6.QtCore import QEventLoop, QTimer

    from recsys_desktop.gui.app import create_window
    from recsys_desktop.gui.theme import ThemeMode, theme
    from recsys_desktop.resources_path import bundled_folder

    application, made = create_window(workspace)
    window: Any = made
    theme().set_mode(ThemeMode(theme_name))
    window.show()
    session = window.session

    def wait(until: Callable[[], bool]) -> None:
        loop = QEventLoop()
        timer = QTimer()
        timer.setInterval(20)
        timer.timeout.connect(lambda: loop.quit() if until() else None)
        timer.start()
        QTimer.singleShot(PATIENCE_SECONDS * 1000, loop.quit)
        loop.exec()
        timer.stop()

    def settle() -> None:
        wait(lambda: session.jobs.is_idle)
        loop = QEventLoop()
        QTimer.singleShot(350, loop.quit)
        loop.exec()
        wait(lambda: session.jobs.is_idle)

    wait(lambda: session.is_open)
    settle()
    for page in pages:
        if page not in ("start", "import") and session.data is None:
            session.open_data(next(record for record in session.datasets if "movielens" in record.name.lower()))
            settle()
            shown = [model for model in session.models_of_data() if model.algorithm == SHOWN_MODEL]
            if shown:
                session.choose_model(shown[0])
        if page == "import":
            sample = bundled_folder("sample_data") / "movielens_small"
            window.show_page("data", [sample / name for name in ("ratings.csv", "movies.csv", "tags.csv")])
        else:
            if page == "data":
                window.page("data").show_open()
            window.show_page(page, SHOWN_USER if page == "recommend" else None)
        settle()
        if page == "train":
            workbench = window.page("train").workbench
            workbench.choose("ncf" if "ncf" in session.engine.registry.algorithms else "ease")
            settle()
            job = workbench.train()
            if job is not None:
                wait(partial(_is_well_under_way, job))
        window.grab().save(str(folder / f"{page}-{theme_name}{suffix}.png"))
        if page == "train":
            session.jobs.cancel_all()
            settle()
    window.may_stop = lambda _title: True
    window.close()
    application.processEvents()


def _is_well_under_way(job: Any) -> bool:
    return bool(job.fraction > 0.4 or job.state.is_over)


def main() -> int:
    """Start one process for each theme and scale: the scale of Qt is fixed when it starts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--workspace", type=Path)
    parser.add_argument("--pages", nargs="*", default=list(PAGES))
    parser.add_argument("--one", nargs=2, metavar=("THEME", "SUFFIX"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    if options.one:
        draw(options.folder, options.workspace, options.one[0], options.one[1], options.pages)
        return 0
    with TemporaryDirectory() as temporary:
        workspace = options.workspace or Path(temporary)
        prepare(workspace)
        for theme_name in ("light", "dark"):
            for scale, suffix in (("1", ""), ("1.5", "-150")):
                environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen", "QT_SCALE_FACTOR": scale}
                command = [sys.executable, __file__, str(options.folder), "--workspace", str(workspace)]
                command += ["--one", theme_name, suffix, "--pages", *options.pages]
                subprocess.run(command, env=environment, check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
