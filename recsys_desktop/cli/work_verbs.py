"""Verbs that fit models: train, evaluate, demo."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from recsys_desktop.cli.answers import show_list
from recsys_desktop.cli.model_verbs import describe_model, say_interrupted
from recsys_desktop.cli.output import Output
from recsys_desktop.cli.settings import Settings, everywhere
from recsys_desktop.cli.text import NOTHING, counted, figure, following, seconds, size
from recsys_desktop.cli.values import algorithm_params, pairs, read_config, table
from recsys_desktop.cli.work import opened, running
from recsys_desktop.engine import (
    Comparison,
    ComparisonRow,
    DemoRequest,
    Engine,
    EvaluateRequest,
    Misuse,
    TrainRequest,
)
from recsys_desktop.workspace import ModelRecord, WorkspaceBusy

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="TOML or JSON with the names of the flags; parameters are a table, params; flags win.",
    ),
]
SeedOption = Annotated[int | None, typer.Option("--seed", metavar="N", min=0, help="Every random draw comes from it.")]
DeviceOption = Annotated[
    str | None,
    typer.Option(
        "--device",
        metavar="NAME",
        help="What neural models are trained on: auto (CUDA or Apple MPS where there is one), cpu, cuda, cuda:N, mps.",
        show_default=False,
    ),
]
ForceOption = Annotated[bool, typer.Option("--force", help="Fit even where the forecast says that memory will not do.")]

_TRAIN_SETTINGS: dict[str, Any] = {
    "data": str,
    "params": dict,
    "set": dict,
    "seed": int,
    "name": str,
    "calibrate": bool,
    "device": str,
    "force": bool,
    "note": str,
}
_EVALUATE_SETTINGS: dict[str, Any] = {
    "algorithms": (str, list),
    "data": str,
    "split": str,
    "split_params": dict,
    "train": str,
    "test": str,
    "valid": str,
    "items": (str, list),
    "users": (str, list),
    "roles": dict,
    "options": dict,
    "cleaning": dict,
    "params": dict,
    "set": dict,
    "metrics": list,
    "seed": int,
    "k": int,
    "out": str,
    "lists": bool,
    "device": str,
    "force": bool,
}


@everywhere
def train(
    settings: Settings,
    algorithm: Annotated[
        str | None, typer.Argument(help="Its id; see: recsys-desktop algorithms", show_default=False)
    ] = None,
    data: Annotated[
        str | None, typer.Option("--data", "-d", help="Name or fingerprint of an imported data set.")
    ] = None,
    set: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A parameter; may be repeated.")
    ] = None,
    config: ConfigOption = None,
    seed: SeedOption = None,
    name: Annotated[str | None, typer.Option("--name", help="Of the model; the algorithm's id by default.")] = None,
    calibrate: Annotated[
        bool | None,
        typer.Option("--calibrate/--no-calibrate", help="Learn what a score is worth as a probability (default: yes)."),
    ] = None,
    force: ForceOption = False,
    note: Annotated[str | None, typer.Option("--note", help="A remark to keep with the version.")] = None,
    device: DeviceOption = None,
    resume: Annotated[
        str | None,
        typer.Option(
            "--resume",
            metavar="RUN",
            help='Instead of an algorithm: take up a training that was killed, by its run\'s id or as "latest".',
        ),
    ] = None,
    discard: Annotated[
        str | None,
        typer.Option("--discard", metavar="RUN", help="Or give one up: delete what is left of it."),
    ] = None,
) -> None:
    """Fit an algorithm to a data set and save it as the next version of its name."""
    output = Output(settings.json)
    asked = any(value is not None for value in (algorithm, data, set, config, seed, name, calibrate, note))
    if discard is not None:
        if asked or force or device is not None or resume is not None:
            raise Misuse("--discard RUN deletes what a killed training has left: give nothing else")
        _discard(settings, output, discard)
        return
    if resume is not None:
        if asked:
            raise Misuse("--resume RUN repeats what that run was asked for: give nothing else but --device, --threads")
        with opened(settings, "write") as engine, running(settings, device) as run:
            _say_trained(settings, output, engine, engine.resume(resume, run))
        return
    if algorithm is None:
        raise Misuse("say which algorithm to train, by its id (see: recsys-desktop algorithms)")
    given = read_config(config, _TRAIN_SETTINGS)
    params = table(given, "params") | table(given, "set") | pairs(set or (), "--set")
    wanted = _overridden(
        {name: value for name, value in given.items() if name not in ("params", "set")},
        data=data,
        seed=seed,
        name=name,
        calibrate=calibrate,
        force=force or None,
        note=note,
        device=device,
    )
    device = wanted.pop("device", None)
    if "data" not in wanted:
        raise Misuse("say which data set to train on: --data NAME (see: recsys-desktop data list)")
    request = TrainRequest(algorithm, params=params, **wanted)
    with opened(settings, "write") as engine, running(settings, device) as run:
        _say_trained(settings, output, engine, engine.train(request, run))


def _discard(settings: Settings, output: Output, reference: str) -> None:
    with opened(settings, "write") as engine:
        left = engine.discard_interrupted(reference)
        output.document("discard", {"discarded": left, "interrupted": engine.interrupted()})
        output.say(f"Nothing is left of the training of {left.algorithm_name} on {left.data} (run {left.run_id}).")


def _say_trained(settings: Settings, output: Output, engine: Engine, record: ModelRecord) -> None:
    folder = engine.workspace.folder_of(record)
    nobody = record.dataset_fingerprint and engine.dataset_record(record.dataset_fingerprint).n_users == 0
    whom = "--history FILE" if nobody else "--user USER"
    interrupted = engine.interrupted()
    output.document("train", {"model": describe_model(record), "folder": folder, "interrupted": interrupted})
    output.say(f"Saved {record.label} in {folder}")
    output.say(f"Fit {seconds(record.fit_seconds)}, peak memory {size(record.peak_memory_bytes)}.")
    validation = record.metrics.get("validation")
    if validation:
        output.say(f"On held-out data: {validation['name']} {figure(validation['value'])}.")
    calibration = record.metrics.get("calibration", {})
    if "reason" in calibration:
        output.say(f"Its scores have no confidence ({calibration['reason'].rstrip('.')}).")
    say_interrupted(output, interrupted)
    output.say(following(settings.workspace, f'recommend "{record.name}" {whom}'))


def _overridden(config: dict[str, Any], **flags: Any) -> dict[str, Any]:
    return config | {name: value for name, value in flags.items() if value is not None}


@everywhere
def evaluate(
    settings: Settings,
    algorithms: Annotated[str | None, typer.Option("--algorithms", "-a", metavar="A[,B…]", help="Their ids.")] = None,
    data: Annotated[
        str | None, typer.Option("--data", "-d", help="Name or fingerprint of an imported data set.")
    ] = None,
    split: Annotated[str | None, typer.Option("--split", help="How to divide it; see: recsys-desktop splits")] = None,
    split_set: Annotated[
        list[str] | None, typer.Option("--split-set", metavar="NAME=VALUE", help="A parameter of the split.")
    ] = None,
    train: Annotated[
        Path | None, typer.Option("--train", help="Instead of --data: a training file.", exists=True)
    ] = None,
    test: Annotated[Path | None, typer.Option("--test", help="And a test file.", exists=True)] = None,
    valid: Annotated[Path | None, typer.Option("--valid", help="And a validation file.", exists=True)] = None,
    items: Annotated[
        list[Path] | None, typer.Option("--items", metavar="FILE", help="With files: an item file.", exists=True)
    ] = None,
    users: Annotated[
        list[Path] | None, typer.Option("--users", metavar="FILE", help="With files: a user file.", exists=True)
    ] = None,
    role: Annotated[
        list[str] | None, typer.Option("--role", metavar="COLUMN=ROLE", help="With files: what a column is.")
    ] = None,
    set: Annotated[
        list[str] | None, typer.Option("--set", metavar="A.NAME=VALUE", help="A parameter of an algorithm.")
    ] = None,
    config: ConfigOption = None,
    seed: SeedOption = None,
    k: Annotated[
        int | None, typer.Option("--k", "-k", metavar="N", min=1, help="Length of the lists (default: 10).")
    ] = None,
    metric: Annotated[
        list[str] | None, typer.Option("--metric", metavar="METRIC", help="Only these metrics; may be repeated.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", metavar="DIR", help="Folder for the files.")] = None,
    device: DeviceOption = None,
    force: ForceOption = False,
) -> int:
    """Fit algorithms to the training part of one split and judge them on its test part.

    The exit code is 1 where no algorithm could be judged.
    """
    output = Output(settings.json)
    given = read_config(config, _EVALUATE_SETTINGS)
    wanted = _overridden(
        given,
        algorithms=None if algorithms is None else [name.strip() for name in algorithms.split(",") if name.strip()],
        data=data,
        split=split,
        train=train,
        test=test,
        valid=valid,
        items=items or None,
        users=users or None,
        seed=seed,
        k=k,
        metrics=metric or None,
        out=out,
        device=device,
        force=force or None,
    )
    names = wanted.get("algorithms") or []
    if isinstance(names, str):
        names = [name.strip() for name in names.split(",")]
    if not names:
        raise Misuse("say which algorithms: --algorithms A,B (see: recsys-desktop algorithms)")
    tables = table(given, "params") | table(given, "set")
    params = {name: table(tables, name) for name in tables}
    wanted.pop("set", None)
    device = wanted.pop("device", None)
    for name, values in algorithm_params(set or (), names).items():
        params[name] = params.get(name, {}) | values
    wanted |= {
        "algorithms": names,
        "params": params,
        "split_params": table(given, "split_params") | pairs(split_set or (), "--split-set"),
        "roles": table(given, "roles") | pairs(role or (), "--role"),
    }
    for name in ("train", "test", "valid", "out"):
        if isinstance(wanted.get(name), str):
            wanted[name] = Path(wanted[name])
    for name in ("items", "users"):
        value = wanted.get(name, ())
        wanted[name] = [Path(value)] if isinstance(value, str) else [Path(path) for path in value]
    comparison = _evaluate(settings, EvaluateRequest(**wanted), device)
    output.document("evaluate", comparison)
    show_comparison(output, comparison)
    return 0 if any(row.state == "done" for row in comparison.rows) else 1


def _evaluate(settings: Settings, request: EvaluateRequest, device: str | None) -> Comparison:
    """Beside an open window nothing can be recorded; files in a folder of one's own can be written all the same."""
    try:
        with opened(settings, "write") as engine, running(settings, device) as run:
            return engine.evaluate(request, run)
    except WorkspaceBusy:
        if request.out is None:
            raise
    with opened(settings, "read") as engine, running(settings, device) as run:
        return engine.evaluate(request, run)


def show_comparison(output: Output, comparison: Comparison) -> None:
    """The comparison table for people, best first; the figures that do not fit on a line are in the files."""
    present = [column for column in comparison.metrics if any(column.id in row.figures for row in comparison.rows)]
    columns = [column for column in present if column.id in _SHOWN_METRICS] or present[:6]
    order = sorted(comparison.rows, key=lambda row: _place(row, comparison))
    settings = comparison.settings
    output.table(
        [
            "",
            "algorithm",
            *((column.name, "right") for column in columns),
            ("fit", "right"),
            ("one list", "right"),
            ("memory", "right"),
        ],
        [
            (
                "*" if row.best else "",
                row.name if row.state == "done" else f"{row.name} ({row.state})",
                *(_cell(row, column.id) for column in columns),
                seconds(row.fit_seconds),
                seconds(row.score_seconds),
                size(row.peak_memory_bytes),
            )
            for row in order
        ],
        title=f"{settings['data']}, split {settings['split']}, {counted(settings['test_users'], 'test user')}",
    )
    output.say(("* " if any(row.best for row in comparison.rows) else "") + comparison.conclusion)
    for notice in comparison.notices:
        output.say(f"Note: {notice.rstrip('.')}.")
    if comparison.folder is not None:
        output.say(f"Saved in {comparison.folder}")


_SHOWN_METRICS = ("ndcg", "recall", "hit-rate", "novelty", "coverage", "rmse")


def _cell(row: ComparisonRow, metric: str) -> str:
    if metric not in row.figures:
        return NOTHING
    value = row.figures[metric].value
    return figure(value, 4 if abs(value) < 10 else 1)


def _place(row: ComparisonRow, comparison: Comparison) -> tuple[int, float]:
    for column in comparison.metrics:
        if column.id in row.figures:
            value = row.figures[column.id].value
            ranking = 0 if column.id not in ("rmse", "mae") else 1
            return ranking, -value if column.larger_is_better else value
    return 2, 0.0


@everywhere
def demo(
    settings: Settings,
    algorithms: Annotated[
        str | None,
        typer.Option("--algorithms", "-a", metavar="A[,B…]", help="Instead of one algorithm of every family."),
    ] = None,
    user: Annotated[str | None, typer.Option("--user", "-u", help="For whom to recommend.")] = None,
    seed: SeedOption = None,
) -> None:
    """Take the MovieLens sample from file to explained recommendations, and keep everything in the workspace."""
    output = Output(settings.json)
    names = [name.strip() for name in algorithms.split(",") if name.strip()] if algorithms else []
    request = DemoRequest(names, user, 42 if seed is None else seed)

    def announce(stage: str, value: Any) -> None:
        if stage == "data":
            output.say(
                f"{value.name}: {value.n_interactions:,} ratings of {value.n_items:,} items by {value.n_users:,} people"
            )
        elif stage == "algorithms":
            output.say(f"Comparing {len(value)} algorithms: {', '.join(value)}")
        elif stage == "comparison":
            show_comparison(output, value)
        elif stage == "model":
            output.say(f"Trained {value.label} on all of the data.")
        elif stage == "recommendations":
            show_list(output, value)
        if not output.json:
            sys.stdout.flush()

    with opened(settings, "write") as engine, running(settings) as run:
        result = engine.demo(request, run, announce)
    output.document("demo", result)
    output.say(f"{result.chosen}.")
    output.say()
    output.say(f"Everything is kept in the workspace {result.workspace}")
    output.say(f"  the comparison   {result.report}")
    output.say(f"  the model        {result.model_folder}  ({result.model})")
    output.say(f"This took {seconds(result.seconds)}.")
    answer = result.recommendations
    if answer.items and answer.person.user is not None:
        user, item = shlex.quote(answer.person.user), shlex.quote(answer.items[0].item)
        output.say(following(settings.workspace, f"explain {result.model} --user {user} --item {item}"))
    output.say("Without a verb the window opens.")
