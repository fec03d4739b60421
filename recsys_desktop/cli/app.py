"""The command line: every verb, how errors are said, and what the exit code means (0 done, 1 failed, 2 misuse)."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

DONE, FAILED, MISUSE = 0, 1, 2

logger = logging.getLogger(__name__)


def run(argv: Sequence[str]) -> int:
    """Carry out one command line (without the program's name) and return the exit code."""
    try:
        return _run_command(list(argv))
    except BrokenPipeError:
        # Whoever read our output has left; a closed stdout must not raise again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED


def _run_command(arguments: list[str]) -> int:
    import typer

    from recsys_desktop.api.errors import InvalidParameter, RecSysError
    from recsys_desktop.cli.output import complain, print_document
    from recsys_desktop.cli.verbs import application
    from recsys_desktop.engine import Cancelled, Misuse, NothingToKeep
    from recsys_desktop.workspace import InvalidName, RecordNotFound, WorkspaceError, configure_logging, storage_error

    verbose = "--verbose" in arguments or "-v" in arguments
    as_json = "--json" in arguments
    configure_logging(None, verbose)
    # Without any handler logging would print warnings and tracebacks on stderr, where one clear message belongs.
    if not logging.getLogger().handlers:
        logging.getLogger().addHandler(logging.NullHandler())
    # Newer releases of typer carry a click of their own, so its base class is found through typer.
    usage_error: Any = next(base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException")

    def failed(code: int, text: str, kind: str) -> int:
        logger.debug("Failed", exc_info=True)
        if as_json:
            print_document("error", {"error": text, "kind": kind, "exit_code": code})
        complain(text)
        return code

    try:
        code = application()(arguments, standalone_mode=False, prog_name="recsys-desktop")
        sys.stdout.flush()
        return code if isinstance(code, int) else DONE
    except typer.Exit as request:
        return request.exit_code
    except usage_error as error:
        context = getattr(error, "ctx", None)
        hint = f" (see: {context.command_path} --help)" if context is not None else ""
        return failed(MISUSE, f"{error.format_message()}{hint}", "misuse")
    except NothingToKeep as error:
        return failed(FAILED, str(error), "cancelled")
    except (typer.Abort, KeyboardInterrupt, Cancelled):
        return failed(FAILED, "cancelled; nothing of this run was kept", "cancelled")
    except (Misuse, InvalidParameter, RecordNotFound, InvalidName) as error:
        return failed(MISUSE, str(error), "misuse")
    except (RecSysError, WorkspaceError) as error:
        logger.info("Failed: %s", error)
        return failed(FAILED, str(error), "failed")
    except BrokenPipeError:
        raise
    except MemoryError:
        return failed(FAILED, "there is not enough memory: use less data or an algorithm that needs less", "failed")
    except Exception as error:
        logger.exception("Unexpected error")
        typed = storage_error(error, Path.cwd())
        if typed is not None:
            return failed(FAILED, str(typed), "failed")
        log = _log_file()
        where = f"; the details are in {log}" if log else "; run it again with --verbose for the details"
        return failed(FAILED, f"unexpected {type(error).__name__}: {error}{where}", "failed")


def _log_file() -> str | None:
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.FileHandler):
            return handler.baseFilename
    return None
