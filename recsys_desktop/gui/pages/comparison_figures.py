"""From a comparison to what its table and plots show. No Qt in here but the cells."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from recsys_desktop.gui import formats
from recsys_desktop.gui.widgets.labels import Tone
from recsys_desktop.gui.widgets.plots import Point
from recsys_desktop.gui.widgets.table import Cell, Column

if TYPE_CHECKING:
    from recsys_desktop.engine import Comparison, ComparisonRow, MetricColumn

_SHOWN_AT_FIRST = ("ndcg", "recall", "coverage", "catalogue-coverage", "catalogue_coverage", "novelty")
_OF_THE_LIST = ("novelty", "coverage", "catalogue-coverage", "popularity")
_BINS = 10
_NAME_WIDTH = 150


def _is_shown(metric: MetricColumn, place: int) -> bool:
    name = metric.id.split("@")[0].lower()
    return place == 0 or name in _SHOWN_AT_FIRST


def _figure_format(values: np.ndarray) -> Callable[[float], str]:
    """Choose one way of writing for a whole column, so that its decimals align."""
    finite = values[np.isfinite(values)]
    largest = float(np.abs(finite).max()) if len(finite) else 0.0
    if largest <= 1.0:
        return lambda value: formats.share(value, 4)
    digits = 3 if largest < 5 else 2 if largest < 100 else 0
    return lambda value: formats.decimal(value, digits)


def _optional(values: list[float | int | None]) -> np.ndarray:
    return np.array([np.nan if value is None else float(value) for value in values], dtype=np.float64)


def table_columns(comparison: Comparison) -> tuple[list[Column], dict[int, Cell]]:
    """Return the columns of the table, and the message of each row that has no figures."""
    rows = comparison.rows
    columns = [
        Column("name", "Model", [row.name for row in rows], strong=True, maximum_width=_NAME_WIDTH),
        Column("family", "Family", [row.family for row in rows], muted=True),
    ]
    for place, metric in enumerate(comparison.metrics):
        values = _optional([row.figures[metric.id].value if metric.id in row.figures else None for row in rows])
        if not np.isfinite(values).any() and place > 0:
            continue
        write = _figure_format(values)
        show: Callable[[float], str | Cell] = write
        if place == 0:
            show = _with_interval(comparison, metric, write)
        # Novelty and coverage are of the list as a whole; the length of the lists stands above the table.
        title = metric.name.split("@")[0] if metric.id.split("@")[0] in _OF_THE_LIST else metric.name
        columns.append(Column(metric.id, title, values, show, help=metric.formula, hidden=not _is_shown(metric, place)))
    columns += [
        Column(
            "fit", "Fit", _optional([row.fit_seconds for row in rows]), formats.duration, help="Seconds of the last fit"
        ),
        Column(
            "latency",
            "A list",
            _optional([None if row.score_seconds is None else row.score_seconds * 1000 for row in rows]),
            lambda value: f"{formats.decimal(value, 1)} ms" if np.isfinite(value) else formats.DASH,
            help="One person's list, median, one at a time",
            hidden=True,
        ),
        Column(
            "memory",
            "Memory",
            _optional([row.peak_memory_bytes for row in rows]),
            lambda value: formats.file_size(value) if np.isfinite(value) else formats.DASH,
            help="Peak above the start of the fit",
        ),
        Column(
            "best",
            "",
            ["as good as the best" if row.best else "" for row in rows],
            lambda text: Cell("", tag=text, tone=Tone.NEUTRAL) if text else "",
            sortable=False,
            stretch=True,
        ),
    ]
    messages = {
        place: Cell(row.reason, tag=row.state, tone=Tone.NEGATIVE)
        for place, row in enumerate(rows)
        if row.state != "done"
    }
    return columns, messages


def _with_interval(
    comparison: Comparison, metric: MetricColumn, write: Callable[[float], str]
) -> Callable[[float], str | Cell]:
    """Show the first figure with half the width of its interval, in bold where it is as good as the best."""
    by_value: dict[float, list[ComparisonRow]] = {}
    for row in comparison.rows:
        if metric.id in row.figures:
            by_value.setdefault(row.figures[metric.id].value, []).append(row)

    def show(value: float) -> str | Cell:
        rows = by_value.get(value, [])
        if not rows:
            return formats.DASH
        figure = rows[0].figures[metric.id]
        half = (figure.high - figure.low) / 2
        best = any(row.best for row in rows)
        interval = f"\u00b1{formats.share(half, 3)}" if half > 0 else ""
        return Cell(write(value), interval, strong=best, role="positive" if best else "text")

    return show


def per_person(row: ComparisonRow, metric: str) -> tuple[list[str], np.ndarray, list[tuple[str, str]]]:
    """Return edges and counts of a histogram of one figure over people, and what can be said of it in short."""
    values = np.asarray(row.per_user.get(metric, np.zeros(0)), dtype=np.float64)
    values = values[np.isfinite(values)]
    if not len(values):
        return [""], np.zeros(0), []
    top = 1.0 if values.max() <= 1.0 else float(values.max())
    counts, edges = np.histogram(values, bins=_BINS, range=(0.0, top))
    facts = [
        ("people", formats.integer(len(values))),
        ("median", formats.share(float(np.median(values)), 3)),
        ("nothing right", formats.percent(float((values == 0).mean()))),
        ("best tenth above", formats.share(float(np.quantile(values, 0.9)), 3)),
    ]
    return [formats.short(round(float(edge), 3)) for edge in edges], counts.astype(np.float64), facts


def accuracy_against_coverage(comparison: Comparison) -> list[Point]:
    """Return one point per algorithm that has both figures; families share a colour."""
    coverage = next((metric.id for metric in comparison.metrics if "coverage" in metric.id), None)
    if coverage is None or not comparison.metrics:
        return []
    first = comparison.metrics[0].id
    families: dict[str, int] = {}
    points = []
    for row in comparison.rows:
        if first in row.figures and coverage in row.figures:
            colour = families.setdefault(row.family, len(families))
            points.append(
                Point(row.name, row.figures[coverage].value, row.figures[first].value, colour, key=row.algorithm)
            )
    return points
