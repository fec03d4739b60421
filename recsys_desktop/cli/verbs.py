"""The verbs of the command line, put together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from recsys_desktop import __version__
from recsys_desktop.cli import answers, data_verbs, model_verbs, system_verbs, work_verbs
from recsys_desktop.cli.settings import (
    JsonOption,
    SafeModeOption,
    Settings,
    ThreadsOption,
    VerboseOption,
    WorkspaceOption,
)

HELP = """RecSys Desktop: from a file to explained recommendations, offline.

Without a verb the window opens. Start with: recsys-desktop demo"""


def application() -> Any:
    """The whole command line as one click command."""
    app = typer.Typer(
        name="recsys-desktop",
        help=HELP,
        no_args_is_help=False,
        add_completion=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    @app.callback(invoke_without_command=False)
    def common(
        context: typer.Context,
        workspace: WorkspaceOption = None,
        json: JsonOption = False,
        verbose: VerboseOption = False,
        threads: ThreadsOption = None,
        safe_mode: SafeModeOption = False,
        version: bool = typer.Option(False, "--version", help="Print the version and leave.", is_eager=True),
    ) -> None:
        if version:
            print(__version__)
            raise typer.Exit
        context.obj = Settings(Path(workspace) if workspace else None, json, verbose, threads, safe_mode)

    app.command("demo")(work_verbs.demo)
    app.add_typer(data_verbs.app(), name="data")
    app.command("algorithms")(system_verbs.algorithms)
    app.command("splits")(system_verbs.splits)
    app.command("train")(work_verbs.train)
    app.command("evaluate")(work_verbs.evaluate)
    app.command("recommend")(answers.recommend)
    app.command("predict")(answers.predict)
    app.command("explain")(answers.explain)
    app.command("similar")(answers.similar)
    app.add_typer(model_verbs.app(), name="models")
    app.command("doctor")(system_verbs.doctor)
    return typer.main.get_command(app)
