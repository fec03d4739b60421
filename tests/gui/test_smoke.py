"""Known hazards of the toolkit: lost references, and slow starts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from PySide6.QtWidgets import QLabel

HEAVY = ("torch", "sklearn", "sentence_transformers", "numba", "pyqtgraph", "scipy", "pandas", "pyarrow")

FIRST_PAINT = """
import json, sys, time
began = time.perf_counter()
from recsys_desktop.gui.app import create_window
application, window = create_window(None)
def painted():
    json.dump({"seconds": time.perf_counter() - began, "modules": sorted(sys.modules)}, sys.stdout)
    sys.stdout.flush()
    window.close()
window.first_painted.connect(painted)
window.show()
application.exec()
"""


def test_thirty_thousand_void_calls_keep_the_reference_count_of_none(qapp) -> None:
    # PySide6 6.12.0 loses one reference to None per void call on Python <= 3.11 and aborts after some thousands.
    label = QLabel()
    before = sys.getrefcount(None)
    for number in range(30_000):
        label.setNum(number)
    if sys.version_info < (3, 12):
        assert sys.getrefcount(None) > before - 3000
    assert label.text() == "29999"
    label.deleteLater()


def test_first_paint_imports_nothing_heavy(tmp_path: Path) -> None:
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen", "RECSYS_DESKTOP_WORKSPACE": str(tmp_path / "w")}
    done = subprocess.run(
        [sys.executable, "-c", FIRST_PAINT], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    loaded = [name for name in HEAVY if name in said["modules"]]
    assert loaded == [], f"imported before the first paint: {loaded}"
