"""Verbs about saved models: list, show, factors, activate, delete, export, import."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from recsys_desktop.cli.output import Output
from recsys_desktop.cli.settings import Settings, before_verb, everywhere
from recsys_desktop.cli.text import figure, percent, seconds, size, yes
from recsys_desktop.cli.work import opened
from recsys_desktop.engine import InterruptedRun, plain
from recsys_desktop.workspace import ModelRecord

ModelArgument = Annotated[str, typer.Argument(help="A name (its active version), NAME@VERSION, or an id.")]


def app() -> typer.Typer:
    """The verb `models` with what follows it."""
    verbs = typer.Typer(help="The saved versions of models.", no_args_is_help=True, rich_markup_mode=None)
    verbs.callback(help="The saved versions of models.")(before_verb)
    verbs.command("list")(list_models)
    verbs.command("show")(show)
    verbs.command("factors")(factors)
    verbs.command("activate")(activate)
    verbs.command("delete")(delete)
    verbs.command("export")(export)
    verbs.command("import")(import_model)
    return verbs


def describe_model(record: ModelRecord) -> dict[str, Any]:
    """A model's record as plain data."""
    return {**plain(record), "label": record.label}


@everywhere
def list_models(
    settings: Settings, name: Annotated[str | None, typer.Argument(help="Only the versions of this name.")] = None
) -> None:
    """List the saved versions, newest first; * marks the active one of each name."""
    output = Output(settings.json)
    with opened(settings, "read") as engine:
        records = engine.models(name)
        interrupted = engine.interrupted()
        output.document(
            "models", {"models": [describe_model(record) for record in records], "interrupted": interrupted}
        )
        if not records:
            output.say("There are no models yet. Train one: recsys-desktop train ALGORITHM --data DATA")
            say_interrupted(output, interrupted)
            return
        output.table(
            ["", "model", "algorithm", "validation", ("fit", "right"), ("size", "right"), "created", "id"],
            [
                (
                    "*" if record.active else "",
                    record.label,
                    record.algorithm,
                    _validation(record),
                    seconds(record.fit_seconds),
                    size(record.size_bytes),
                    f"{record.created.astimezone():%Y-%m-%d %H:%M}",
                    record.id[:8],
                )
                for record in records
            ],
        )
        say_interrupted(output, interrupted)


def say_interrupted(output: Output, runs: Sequence[InterruptedRun]) -> None:
    """Point out trainings that were killed and can be taken up."""
    for left in runs:
        where = f" in epoch {left.epoch}" if left.epoch else ""
        output.say(
            f"Note: a training of {left.algorithm_name} on {left.data} was interrupted{where}; resume it: "
            f"recsys-desktop train --resume {left.run_id}"
        )


def _validation(record: ModelRecord) -> str:
    validation = record.metrics.get("validation") or {}
    return f"{validation['name']} {figure(validation['value'])}" if "name" in validation else ""


@everywhere
def show(settings: Settings, model: ModelArgument) -> None:
    """Show all that is recorded of a version."""
    output = Output(settings.json)
    with opened(settings, "read") as engine:
        record = engine.model_record(model)
        output.document("model", {"model": describe_model(record)})
        rows = [
            ("model", record.label + (" (active)" if record.active else "")),
            ("id", record.id),
            ("algorithm", record.algorithm),
            ("data", _data_name(engine, record)),
            ("seed", yes(record.seed)),
            ("created", f"{record.created.astimezone():%Y-%m-%d %H:%M:%S}"),
            ("validation", _validation(record)),
            ("fit", seconds(record.fit_seconds)),
            ("peak memory", size(record.peak_memory_bytes)),
            ("size", size(record.size_bytes)),
            ("folder", str(engine.workspace.folder_of(record))),
            ("note", record.note),
        ]
        chosen = record.metrics.get("chosen", {})
        rows += [
            (f"  {name}", f"{yes(chosen[name])} (auto)" if name in chosen else yes(value))
            for name, value in record.params.items()
        ]
        calibration = record.metrics.get("calibration", {})
        if "error" in calibration:
            rows.append(("confidence", f"calibrated, expected error {calibration['error']:.3f}"))
        elif calibration:
            rows.append(("confidence", f"none: {calibration.get('reason', '')}"))
        output.table(["", ""], rows)


@everywhere
def factors(
    settings: Settings,
    model: ModelArgument,
    n: Annotated[int, typer.Option("-n", metavar="N", min=1, help="How many items of each.")] = 5,
) -> None:
    """Tell what the factors of a model stand for, the weightiest first, where they can be read (as those of nmf)."""
    output = Output(settings.json)
    with opened(settings, "read") as engine:
        record = engine.model_record(model)
        found = engine.factors(record.id)
    output.document("factors", {"model": record.label, "factors": found})
    output.table(
        ["factor", ("share", "right"), "categories", "items"],
        [
            (
                factor.name,
                percent(factor.share),
                ", ".join(factor.categories),
                ", ".join(item.title for item in factor.items[:n]),
            )
            for factor in found
        ],
    )


def _data_name(engine: Any, record: ModelRecord) -> str:
    for data in engine.datasets():
        if data.fingerprint == record.dataset_fingerprint:
            return str(data.name)
    return "not in this workspace"


@everywhere
def activate(settings: Settings, model: ModelArgument) -> None:
    """Make a version the one that its name stands for."""
    output = Output(settings.json)
    with opened(settings, "write") as engine:
        record = engine.activate(model)
        output.document("model", {"model": describe_model(record)})
        output.say(f"{record.label} is active.")


@everywhere
def delete(settings: Settings, model: ModelArgument) -> None:
    """Delete one version."""
    output = Output(settings.json)
    with opened(settings, "write") as engine:
        record = engine.delete(model)
        output.document("model", {"model": describe_model(record), "deleted": True})
        output.say(f"{record.label} ({record.id[:8]}) is deleted.")
        now = next((other for other in engine.models(record.name) if other.active), None)
        output.say(f"{now.label} is active." if now else f'There is no version of "{record.name}" left.')


@everywhere
def export(
    settings: Settings,
    model: ModelArgument,
    out: Annotated[Path, typer.Option("--out", "-o", help="The file to write.")],
) -> None:
    """Write a version as one file that another workspace can import."""
    output = Output(settings.json)
    with opened(settings, "read") as engine:
        record = engine.model_record(model)
        path = engine.export_model(record.id, out)
        output.document("export", {"model": describe_model(record), "path": path})
        output.say(f"{record.label} is in {path}.")


@everywhere
def import_model(
    settings: Settings, file: Annotated[Path, typer.Argument(help="A file that `models export` wrote.", exists=True)]
) -> None:
    """Take in an exported version as the next version of its name."""
    output = Output(settings.json)
    with opened(settings, "write") as engine:
        record = engine.import_model(file)
        output.document("model", {"model": describe_model(record)})
        output.say(f"{record.label} is in the workspace and active.")
