"""Verbs about the installation: algorithms, splits, doctor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from recsys_desktop.cli.output import Output
from recsys_desktop.cli.settings import Settings, everywhere
from recsys_desktop.cli.text import counted, yes
from recsys_desktop.engine import Check, examine, plugins_of

if TYPE_CHECKING:
    from recsys_desktop.api.algorithm import AlgorithmSpec
    from recsys_desktop.api.params import ParamField


@everywhere
def algorithms(
    settings: Settings,
    algorithm: Annotated[str | None, typer.Argument(help="Show one algorithm with its parameters.")] = None,
) -> None:
    """List the algorithms that the plugins bring; with an id, its capabilities and parameters."""
    output = Output(settings.json)
    registry = plugins_of(settings.workspace, settings.safe_mode)
    specs = list(registry.algorithms.values()) if algorithm is None else [registry.spec(algorithm)]
    output.document(
        "algorithms",
        {
            "algorithms": [describe_algorithm(spec) for spec in specs],
            "plugins": registry.plugins,
        },
    )
    if algorithm is not None:
        _show_algorithm(output, specs[0])
        return
    output.table(
        ["id", "family", "name", "good for"], [(spec.id, spec.family.value, spec.name, spec.summary) for spec in specs]
    )
    for plugin in registry.plugins:
        if plugin.error:
            output.say(f"Plugin {plugin.name} is broken: {plugin.error}")


def describe_algorithm(spec: AlgorithmSpec) -> dict[str, Any]:
    """An AlgorithmSpec as plain data: identity, capabilities, needs and parameters."""
    return {
        "id": spec.id,
        "name": spec.name,
        "family": spec.family,
        "summary": spec.summary,
        "paper": spec.paper,
        "capabilities": spec.capabilities,
        "needs": spec.needs,
        "params": [describe_param(field) for field in spec.params.describe()],
    }


def describe_param(field: ParamField) -> dict[str, Any]:
    """A parameter as plain data."""
    return {
        "name": field.name,
        "label": field.label,
        "kind": field.kind,
        "default": field.default,
        "optional": field.optional,
        "empty": field.empty,
        "choices": field.choices,
        "minimum": field.minimum,
        "maximum": field.maximum,
        "exclusive_minimum": field.exclusive_minimum,
        "exclusive_maximum": field.exclusive_maximum,
        "unit": field.unit,
        "help": field.help,
        "advanced": field.advanced,
    }


def _show_algorithm(output: Output, spec: AlgorithmSpec) -> None:
    output.say(f"{spec.name} ({spec.id}), {spec.family.value}")
    output.say(spec.summary)
    if spec.paper:
        output.say(f"Paper: {spec.paper}")
    promises = [
        name.replace("_", " ") for name, value in vars(spec.capabilities).items() if value is True and name != "serves"
    ]
    output.say(f"Serves: {spec.capabilities.serves.value}. Also: {', '.join(promises) or 'nothing more'}.")
    rows = [
        (
            field.name,
            yes(field.default, field.empty),
            " ".join(filter(None, (field.bounds_text, field.unit))),
            field.help,
        )
        for field in spec.params.describe()
    ]
    if rows:
        output.table(["parameter", "default", "valid", "what it does"], rows)
    else:
        output.say("It has no parameters.")


@everywhere
def splits(settings: Settings) -> None:
    """List the ways to divide data into training, validation and test parts, with their parameters."""
    output = Output(settings.json)
    splitters = plugins_of(settings.workspace, settings.safe_mode).splitters.values()
    output.document(
        "splits",
        {
            "splits": [
                {
                    "id": spec.id,
                    "name": spec.name,
                    "summary": spec.summary,
                    "params": [describe_param(field) for field in spec.params.describe()],
                }
                for spec in splitters
            ]
        },
    )
    rows = []
    for spec in splitters:
        params = ", ".join(f"{field.name}={yes(field.default, field.empty)}" for field in spec.params.describe())
        rows.append((spec.id, spec.summary, params))
    output.table(["split", "what it does", "parameters (--split-set)"], rows)


@everywhere
def doctor(settings: Settings) -> int:
    """Examine environment, plugins and workspace; the exit code is 1 where something is broken."""
    output = Output(settings.json)
    checks = examine(settings.workspace, settings.safe_mode, settings.threads)
    broken = any(check.state == "error" for check in checks)
    output.document("doctor", {"healthy": not broken, "checks": checks})
    marks = {"ok": "ok", "warning": "note", "error": "ERROR"}
    output.table(
        ["", "what", "found", "what to do"],
        [(marks[check.state], check.name, check.detail, check.advice) for check in checks],
    )
    output.say(_verdict(checks))
    return 1 if broken else 0


def _verdict(checks: list[Check]) -> str:
    errors = sum(check.state == "error" for check in checks)
    return "Everything works." if not errors else f"{counted(errors, 'thing is', 'things are')} broken."
