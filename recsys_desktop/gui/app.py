"""Start the window: the application object, the theme, the last resort for errors, the event loop."""

from __future__ import annotations

import logging
import sys
import traceback
from pathlib import Path
from types import TracebackType

from PySide6.QtWidgets import QApplication

from recsys_desktop.gui.garbage import main_thread_collects_garbage
from recsys_desktop.gui.preferences import stored_theme
from recsys_desktop.gui.session import Session
from recsys_desktop.gui.theme import theme
from recsys_desktop.gui.window import MainWindow

logger = logging.getLogger(__name__)


def create_window(workspace: Path | None, *, safe_mode: bool = False) -> tuple[QApplication, MainWindow]:
    """Return the application and its window, not yet shown.

    ``workspace`` is the folder to work in; None means the default one, which opening the session finds.
    ``safe_mode`` leaves out the plugins of third parties.
    """
    application = QApplication.instance()
    if not isinstance(application, QApplication):
        application = QApplication(sys.argv[:1])
        application.setApplicationName("RecSys Desktop")
        application.setOrganizationName("RecSys Desktop")
    theme().install(application, stored_theme())
    window = MainWindow(Session(workspace, safe_mode=safe_mode))
    window.first_painted.connect(window.session.open_engine)
    return application, window


def run_window(workspace_path: Path | None = None, *, safe_mode: bool = False) -> int:
    """Open the window and return when it is closed; the result is the exit code of the process.

    ``safe_mode`` leaves out the plugins of third parties, as does the environment variable of the engine.
    """
    if sys.platform == "win32":
        # Imported after Qt, torch can fail to load its libraries on Windows.
        import torch  # noqa: F401
    application, window = create_window(workspace_path, safe_mode=safe_mode)
    before = sys.excepthook
    _show_unexpected_errors_in(window)
    with main_thread_collects_garbage(window, lambda: not window.session.jobs.is_idle):
        window.show()
        code = application.exec()
    sys.excepthook = before
    return code


def _show_unexpected_errors_in(window: MainWindow) -> None:
    """Log an error that nobody caught and say so in the window; the application goes on."""

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            window.close()
            return
        logger.critical("Unexpected error", exc_info=(kind, error, trace))
        last = traceback.extract_tb(trace)[-1] if trace is not None else None
        where = f"{kind.__name__} in {Path(last.filename).name}, line {last.lineno}" if last else kind.__name__
        window.show_error(
            f"Something unexpected happened: {error}",
            where,
            "Your data and models are safe. The details are in the log.",
        )

    sys.excepthook = hook
