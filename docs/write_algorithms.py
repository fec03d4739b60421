"""Write docs/algorithms.md, the reference of the algorithms that are shipped, from what they declare of themselves.

    python docs/write_algorithms.py

Ids, summaries, capabilities and parameters come from the specifications, formulas from the docstrings of the
implementations. A test fails while the page lacks an algorithm or a parameter, or has one that is gone.
"""

from __future__ import annotations

import importlib.metadata
import inspect
import re
from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from recsys_desktop.api import AlgorithmSpec, Family, ParamField, Serves

PAGE = Path(__file__).with_name("algorithms.md")

_INTRODUCTION = """\
# Algorithms

Every algorithm that is shipped: what it is good for, how it computes, what it can do, and its parameters. Names in
`code` are what the command line takes: `recsys-desktop train ID --set NAME=VALUE`. How well and how fast they do is in
[benchmarks](benchmarks.md).

This page is written by `python docs/write_algorithms.py` from the algorithms themselves.
"""

_SERVES = {
    Serves.EVERYONE: "everyone, alike",
    Serves.HISTORY: "anybody with a history, newcomers too",
    Serves.FOLD_IN: "people met in training, and newcomers with a history approximately",
    Serves.KNOWN_USERS: "people met in training",
}
_ABILITIES = {
    "ranks": "ranks",
    "predicts_ratings": "predicts ratings",
    "uses_ratings": "uses the value of ratings",
    "uses_text": "reads texts",
    "uses_features": "reads features",
    "uses_timestamps": "reads timestamps",
    "trains_in_epochs": "trains in epochs",
    "scores_new_items": "scores new items by their features",
    "explains": "explains itself",
    "additive": "explanations add up to the score",
    "faithful_to_removal": "an item's contribution is what its removal takes away",
    "updates_live": "learns live",
    "similar_items": "finds similar items",
    "item_embeddings": "has item embeddings",
    "user_embeddings": "has user embeddings",
    "randomised": "depends on the seed",
}


def shipped_algorithms() -> list[AlgorithmSpec]:
    """The algorithms of this distribution's own plugins, by family and then in the order in which they are listed."""
    found: list[AlgorithmSpec] = []
    for entry in importlib.metadata.distribution("recsys-desktop").entry_points.select(group="recsys_desktop"):
        if hook := getattr(entry.load(), "recsys_desktop_algorithms", None):
            found.extend(hook())
    order = list(Family)
    return sorted(found, key=lambda spec: order.index(spec.family))


def page() -> str:
    """The whole page."""
    parts = [_INTRODUCTION]
    family = None
    for spec in shipped_algorithms():
        if spec.family is not family:
            family = spec.family
            parts.append(f"## {family.value}\n")
        parts.append(_section(spec))
    return "\n".join(parts)


def described(text: str) -> dict[str, list[str]]:
    """The ids that a page has sections for, each with the names in its table of parameters."""
    sections = re.split(r"^### .*\(`([a-z0-9-]+)`\)$", text, flags=re.MULTILINE)[1:]
    return {
        name: re.findall(r"^\| `(\w+)`", body, flags=re.MULTILINE)
        for name, body in zip(sections[::2], sections[1::2], strict=True)
    }


def _section(spec: AlgorithmSpec) -> str:
    lines = [f"### {spec.name} (`{spec.id}`)", "", spec.summary, "", *_how(spec), ""]
    lines += [f"- Serves {_SERVES[spec.capabilities.serves]}; {', '.join(_abilities(spec.capabilities))}."]
    if spec.paper:
        lines += [f"- {spec.paper}"]
    described_fields = spec.params.describe()
    if described_fields:
        lines += ["", *_table(described_fields)]
    return "\n".join([*lines, ""])


def _how(spec: AlgorithmSpec) -> list[str]:
    """The docstring of the implementation, and of the base class where it refers to that, without what is stored."""
    implementation = spec.load()
    text = inspect.getdoc(implementation) or ""
    if "base class" in text:
        base = implementation.__mro__[1]
        text += f"\n\nThe base class, `{base.__name__}`: {inspect.getdoc(base)}"
    paragraphs = re.split(r"\n\s*\n", text)
    kept = [part for part in paragraphs if not re.match(r"Fitted\b", part)]
    return "\n\n".join(kept).splitlines()


def _abilities(capabilities: Any) -> Iterator[str]:
    for field in fields(capabilities):
        if field.name != "serves" and getattr(capabilities, field.name):
            yield _ABILITIES.get(field.name, field.name.replace("_", " "))


def _table(described_fields: Sequence[ParamField]) -> list[str]:
    """Parameters, the ones that are rarely changed last."""
    rows = ["| parameter | default | valid | |", "|---|---|---|---|"]
    for field in sorted(described_fields, key=lambda field: field.advanced):
        empty = "empty" if field.empty == "none" else field.empty
        default = empty if field.default is None or field.default == () else _in_text(field.default)
        unit = f" {field.unit}" if field.unit and field.default is not None else ""
        help_text = field.help.replace("|", "\\|")
        rows.append(f"| `{field.name}` | {default}{unit} | {field.bounds_text} | {help_text} |")
    return rows


def _in_text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"{PAGE}: {len(described(PAGE.read_text(encoding='utf-8')))} algorithms")
