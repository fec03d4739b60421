"""Verbs about data: inspect, import, list, show, delete, sample."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from recsys_desktop.cli.output import Output
from recsys_desktop.cli.settings import Settings, before_verb, everywhere
from recsys_desktop.cli.text import counted, figure, size
from recsys_desktop.cli.values import pairs
from recsys_desktop.cli.work import opened, running
from recsys_desktop.engine import ImportRequest, InspectRequest, inspect_files, plain, plugins_of
from recsys_desktop.workspace import DatasetRecord, configure_logging

FilesArgument = Annotated[
    list[Path], typer.Argument(metavar="FILE...", help="Files of one data set.", exists=True, dir_okay=False)
]
RoleOption = Annotated[
    list[str] | None,
    typer.Option("--role", metavar="COLUMN=ROLE", help="What a column is; corrects the guess. May be repeated."),
]
LayoutOption = Annotated[
    list[str] | None,
    typer.Option("--layout", metavar="NAME=VALUE", help="reader, encoding, delimiter, header, decimal or quoting."),
]
CleanOption = Annotated[
    list[str] | None,
    typer.Option("--clean", metavar="NAME=VALUE", help="A cleaning option, such as rating_minimum=1."),
]
DataArgument = Annotated[str, typer.Argument(help="Name or fingerprint of a data set.")]


def app() -> typer.Typer:
    """The verb `data` with what follows it."""
    verbs = typer.Typer(help="Data sets: look, import, list.", no_args_is_help=True, rich_markup_mode=None)
    verbs.callback(help="Data sets: look, import, list.")(before_verb)
    verbs.command("inspect")(inspect)
    verbs.command("import")(import_files)
    verbs.command("sample")(sample)
    verbs.command("list")(list_data)
    verbs.command("show")(show)
    verbs.command("delete")(delete)
    return verbs


@everywhere
def inspect(
    settings: Settings,
    files: FilesArgument,
    role: RoleOption = None,
    layout: LayoutOption = None,
    clean: CleanOption = None,
) -> int:
    """Look at files without importing them: layout, guessed roles, statistics, quality report.

    The exit code is 1 where the files do not make a data set.
    """
    output = Output(settings.json)
    configure_logging(None, settings.verbose)
    request = InspectRequest(
        files, pairs(role or (), "--role"), pairs(layout or (), "--layout"), pairs(clean or (), "--clean")
    )
    registry = plugins_of(settings.workspace, settings.safe_mode)
    with running(settings) as run:
        found = inspect_files(registry, request, run)
    output.document("inspect", found)
    for file in found.files:
        about = ", ".join(f"{name} {value}" for name, value in file.layout.items())
        rows = counted(file.rows, "row") if file.rows_exact else f"about {counted(file.rows, 'row')}"
        output.say(f"{file.path}: {file.kind.value}, {file.reader_name}, {rows} ({about})")
        output.table(
            ["column", "role", "why", "examples"],
            [
                (column.name, column.role.value, column.reason, "  ".join(column.examples[:4]))
                for column in file.columns
            ],
        )
        for warning in file.warnings:
            output.say(f"Note: {warning}")
    if found.report is not None:
        _show_report(output, plain(found.report))
    if found.statistics is not None:
        _show_statistics(output, plain(found.statistics))
    if found.problem:
        output.say(f"These files cannot be imported as they are: {found.problem}")
    return 1 if found.problem else 0


@everywhere
def import_files(
    settings: Settings,
    files: FilesArgument,
    name: Annotated[str, typer.Option("--name", "-n", help="What to call the data set.")],
    items: Annotated[
        list[Path] | None, typer.Option("--items", metavar="FILE", help="An item file.", exists=True)
    ] = None,
    users: Annotated[
        list[Path] | None, typer.Option("--users", metavar="FILE", help="A user file.", exists=True)
    ] = None,
    role: RoleOption = None,
    layout: LayoutOption = None,
    clean: CleanOption = None,
    problems: Annotated[
        Path | None, typer.Option("--problems", metavar="FILE", help="Write every problem row to this CSV file.")
    ] = None,
) -> None:
    """Bring files into the workspace as a data set."""
    output = Output(settings.json)
    request = ImportRequest(
        files,
        name,
        items or (),
        users or (),
        roles=pairs(role or (), "--role"),
        options=pairs(layout or (), "--layout"),
        cleaning=pairs(clean or (), "--clean"),
        problems=problems,
    )
    with opened(settings, "write") as engine, running(settings) as run:
        before = engine.datasets()
        record = engine.import_data(request, run)
        report = engine.import_report(record.fingerprint)
        notices = _about_names(record, request.name.strip(), before)
    output.document("import", {"data": plain(record), "report": report, "notices": notices})
    _show_report(output, dict(report))
    output.say(_imported(record))
    for notice in notices:
        output.say(f"Note: {notice}.")


def _imported(record: DatasetRecord) -> str:
    return (
        f'"{record.name}": {counted(record.n_interactions, "interaction")} of {counted(record.n_users, "user")} with '
        f"{counted(record.n_items, 'item')} ({record.fingerprint[:12]})"
    )


def _about_names(record: DatasetRecord, wanted: str, before: list[DatasetRecord]) -> list[str]:
    """What must be said of the name of an imported data set. before: the data sets of the workspace, newest first."""
    if any(other.fingerprint == record.fingerprint for other in before):
        meant = next(other for other in before if other.name == record.name)
        reference = record.name if meant.fingerprint == record.fingerprint else record.fingerprint[:12]
        kept = "" if record.name == wanted else f', and keep that name: there is no "{wanted}"'
        if any(other.name == wanted for other in before) and record.name != wanted:
            kept = f', and keep that name: "{wanted}" is still the other data set'
        return [f'these data are already here as "{record.name}"{kept}. To use them: --data "{reference}"']
    earlier = [other for other in before if other.name == wanted]
    if not earlier:
        return []
    listed = ", ".join(other.fingerprint[:12] for other in earlier)
    return [f'"{wanted}" now means these data; what had the name before is found by its fingerprint, {listed}']


@everywhere
def sample(
    settings: Settings, sample: Annotated[str | None, typer.Argument(help="Its id; all are listed without.")] = None
) -> None:
    """Import a data set that comes with the application, or list them."""
    output = Output(settings.json)
    if sample is None:
        from recsys_desktop.engine import samples

        found = samples()
        output.document("samples", {"samples": found})
        output.table(["sample", "name", "what it is"], [(one.id, one.name, one.description) for one in found])
        return
    with opened(settings, "write") as engine, running(settings) as run:
        record = engine.import_sample(sample, run)
    report = record.extra.get("report", {})
    output.document("import", {"data": plain(record), "report": report, "notices": []})
    output.say(_imported(record))


@everywhere
def list_data(settings: Settings) -> None:
    """List the data sets of the workspace, newest first."""
    output = Output(settings.json)
    with opened(settings, "read") as engine:
        records = engine.datasets()
    # The first of a name is the newest, which the name stands for.
    meant: dict[str, str] = {}
    for record in records:
        meant.setdefault(record.name, record.fingerprint)
    output.document("datasets", {"datasets": [plain(record) for record in records]})
    if not records:
        output.say("There is no data yet. Import a file: recsys-desktop data import FILE --name NAME")
        return
    output.table(
        ["name", ("users", "right"), ("items", "right"), ("interactions", "right"), ("size", "right"), "fingerprint"],
        [
            (
                record.name if meant[record.name] == record.fingerprint else f"{record.name} (earlier)",
                f"{record.n_users:,}",
                f"{record.n_items:,}",
                f"{record.n_interactions:,}",
                size(record.size_bytes),
                record.fingerprint[:12],
            )
            for record in records
        ],
    )
    if len(meant) < len(records):
        output.say("A name stands for the newest of its data sets; an earlier one is found by its fingerprint.")


@everywhere
def show(settings: Settings, data: DataArgument) -> None:
    """Show the statistics and the import report of a data set."""
    output = Output(settings.json)
    with opened(settings, "read") as engine:
        record = engine.dataset_record(data)
        statistics = plain(engine.statistics(record.fingerprint))
        report = dict(engine.import_report(record.fingerprint))
    output.document("dataset", {"data": plain(record), "statistics": statistics, "report": report})
    output.say(_imported(record))
    _show_statistics(output, statistics)
    _show_report(output, report)


@everywhere
def delete(settings: Settings, data: DataArgument) -> None:
    """Delete a data set; models trained on it stay."""
    output = Output(settings.json)
    with opened(settings, "write") as engine:
        record = engine.delete_dataset(data)
        models = [model.label for model in engine.models() if model.dataset_fingerprint == record.fingerprint]
    output.document("delete", {"data": plain(record), "deleted": True, "models": models})
    output.say(f'"{record.name}" ({record.fingerprint[:12]}) is deleted.')
    if models:
        output.say(
            f"Note: trained on it: {', '.join(models)}. Without it they answer only for a history that is given; "
            "import the data again to ask them for its users."
        )


def _show_report(output: Output, report: dict[str, Any]) -> None:
    if not report:
        return
    output.say(f"{counted(report['rows_read'], 'row')} read, {counted(report['rows_kept'], 'interaction')} kept.")
    for file in report["files"]:
        roles = ", ".join(f"{column} = {role}" for column, role in file["roles"].items())
        output.say(f"  {Path(file['path']).name}: {roles or 'no column used'}")
    for note in report["notes"]:
        output.say(f"  {note}")
    for problem in report["problems"]:
        lines = ", ".join(str(place["line"]) for place in problem["examples"] if place["line"])
        more = "…" if problem["count"] > len(problem["examples"]) else ""
        where = f" ({problem['file']}, line {lines}{more})" if lines else ""
        advice = f" {problem['advice']}" if problem["advice"] else ""
        output.say(f"  {problem['message'].rstrip('.')}{where}.{advice}")
    for check in report["checks"]:
        output.say(f"  {'ok  ' if check['state'] == 'ok' else 'note'}  {check['text']}")


def _show_statistics(output: Output, statistics: dict[str, Any]) -> None:
    if not statistics["interactions"]:
        output.table(["", ""], [("items", f"{statistics['items_in_vocabulary']:,}"), ("interactions", "none")])
        output.say("Nobody has chosen anything here: algorithms that work by content serve a history or interests.")
        for warning in statistics["warnings"]:
            output.say(f"Note: {warning}")
        return
    per_user, per_item = statistics["per_user"], statistics["per_item"]
    rows = [
        ("users", f"{statistics['users']:,}"),
        ("items", f"{statistics['items']:,}"),
        ("interactions", f"{statistics['interactions']:,}"),
        ("density", f"{statistics['density']:.3%}"),
        ("feedback", statistics["feedback"]),
        ("per user", f"median {per_user['median']:g}, from {per_user['minimum']:,} to {per_user['maximum']:,}"),
        ("per item", f"median {per_item['median']:g}, from {per_item['minimum']:,} to {per_item['maximum']:,}"),
        ("most used tenth of items", f"{statistics['top_tenth_share']:.0%} of the interactions"),
    ]
    if statistics["rating_mean"] is not None:
        rows.append(("mean rating", figure(statistics["rating_mean"], 2)))
    output.table(["", ""], rows)
    for warning in statistics["warnings"]:
        output.say(f"Note: {warning}")
