"""Logging to a rotating file in the workspace and, when asked, to the terminal."""

import logging
import sys
from logging.handlers import RotatingFileHandler
from pathlib import Path

LOG_FILE = "recsys-desktop.log"
LOGS_FOLDER = "logs"

_LARGEST_FILE_BYTES = 2_000_000
_KEPT_FILES = 5
_FORMAT = "%(asctime)s %(levelname)-7s %(process)d %(threadName)s %(name)s: %(message)s"


class WorkspaceLogHandler(RotatingFileHandler):
    """A rotating file that never disturbs the program: where the disk refuses, it says so once and falls silent.

    A file that another process holds open cannot be renamed on Windows; it then grows until it can.
    """

    _complained = False

    def rotate(self, source: str, dest: str) -> None:
        """Rename a full file, if nobody else has it open."""
        try:
            super().rotate(source, dest)
        except PermissionError:
            return

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (the name is logging's)
        """Report a storage failure once on the terminal; leave programming errors to logging itself."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
        elif not self._complained:
            self._complained = True
            sys.stderr.write(f"The log {self.baseFilename} can no longer be written: {error}\n")


class _TerminalHandler(logging.StreamHandler):  # type: ignore[type-arg]
    """The handler of ``--verbose``, a type of its own so that configuring again can find and replace it."""


def configure_logging(workspace: Path | None, verbose: bool = False) -> Path | None:
    """Log everything from INFO up to ``logs/recsys-desktop.log`` in the workspace folder; returns that file.

    With ``verbose`` the same goes to standard error, and the application's own loggers speak at DEBUG. ``workspace``
    None (nothing to write to) or a folder that refuses leaves only the terminal. The file keeps at most 2 MB and five
    earlier ones beside it. Calling again replaces what the last call set up. Call it after the workspace was opened
    for writing: it creates ``logs/``.
    """
    root = logging.getLogger()
    for handler in list(root.handlers):
        if isinstance(handler, WorkspaceLogHandler | _TerminalHandler):
            root.removeHandler(handler)
            handler.close()
    root.setLevel(logging.INFO)
    logging.getLogger("recsys_desktop").setLevel(logging.DEBUG if verbose else logging.INFO)
    formatter = logging.Formatter(_FORMAT)
    if verbose:
        terminal = _TerminalHandler()
        terminal.setFormatter(formatter)
        root.addHandler(terminal)
    if workspace is None:
        return None
    file = workspace / LOGS_FOLDER / LOG_FILE
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handler = WorkspaceLogHandler(file, maxBytes=_LARGEST_FILE_BYTES, backupCount=_KEPT_FILES, encoding="utf-8")
    except OSError as error:
        logging.getLogger(__name__).warning("No log is written: %s", error)
        return None
    handler.setFormatter(formatter)
    root.addHandler(handler)
    return file
