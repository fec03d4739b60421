"""The options that every command takes, before or after the verb."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

PANEL = "Everywhere"

Command = TypeVar("Command", bound=Callable[..., Any])

WorkspaceOption = Annotated[
    Path | None,
    typer.Option(
        "--workspace",
        "-w",
        metavar="DIR",
        help="Folder of the workspace; else RECSYS_DESKTOP_WORKSPACE, else your user data folder.",
        rich_help_panel=PANEL,
        show_default=False,
    ),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON document, and nothing else, on stdout.", rich_help_panel=PANEL)
]
VerboseOption = Annotated[
    bool, typer.Option("--verbose", "-v", help="Show the log and tracebacks on stderr.", rich_help_panel=PANEL)
]
ThreadsOption = Annotated[
    int | None,
    typer.Option(
        "--threads", metavar="N", min=1, help="The most threads to use.", rich_help_panel=PANEL, show_default=False
    ),
]
SafeModeOption = Annotated[
    bool, typer.Option("--safe-mode", help="Without plugins of third parties.", rich_help_panel=PANEL)
]

_OPTIONS: dict[str, tuple[Any, Any]] = {
    "workspace": (WorkspaceOption, None),
    "json": (JsonOption, False),
    "verbose": (VerboseOption, False),
    "threads": (ThreadsOption, None),
    "safe_mode": (SafeModeOption, False),
}


@dataclass(frozen=True)
class Settings:
    """What the common options say."""

    workspace: Path | None = None
    json: bool = False
    verbose: bool = False
    threads: int | None = None
    safe_mode: bool = False

    def overridden(self, values: dict[str, Any]) -> Settings:
        """With the options that were given after the verb."""
        return replace(self, **{name: value for name, value in values.items() if value not in (None, False)})


def before_verb(
    context: typer.Context,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
    verbose: VerboseOption = False,
    threads: ThreadsOption = None,
    safe_mode: SafeModeOption = False,
) -> None:
    """Take the common options between a group of verbs and its verb."""
    given = {"workspace": workspace, "json": json, "verbose": verbose, "threads": threads, "safe_mode": safe_mode}
    context.obj = (context.find_object(Settings) or Settings()).overridden(given)


def everywhere(function: Command) -> Command:
    """Give a command the common options; its first parameter receives the `Settings` that came of both places."""

    @wraps(function)
    def command(context: typer.Context, **values: Any) -> Any:
        own = {name: values.pop(name) for name in _OPTIONS}
        before = context.find_object(Settings) or Settings()
        settings = before.overridden(own)
        return function(settings, **values)

    signature = inspect.signature(function, eval_str=True)
    context = inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
    parameters = [context, *list(signature.parameters.values())[1:]]
    parameters += [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
        for name, (annotation, default) in _OPTIONS.items()
    ]
    command.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    del command.__wrapped__
    return command  # type: ignore[return-value]
