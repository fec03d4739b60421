"""Line, bar and scatter plots in the colours of the theme; pyqtgraph is imported when a plot is first shown."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PySide6.QtCore import QPointF, Qt, QTimer, Signal
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QPen, QShowEvent
from PySide6.QtWidgets import QSizePolicy, QVBoxLayout, QWidget

from recsys_desktop.gui import formats
from recsys_desktop.gui.theme import interface_font, theme

REDRAW_INTERVAL_MS = 50
_WIDE_PEN_POINTS = 2000
_WIDE_PEN = 1.6


def _pyqtgraph() -> Any:
    """Import pyqtgraph and put back the exception hook that it replaces."""
    hook = sys.excepthook
    import pyqtgraph

    sys.excepthook = hook
    pyqtgraph.setConfigOptions(antialias=True)
    return pyqtgraph


def nice_ticks(low: float, high: float, count: int = 4) -> list[float]:
    """Return about ``count`` round numbers from at or above ``low`` to at or below ``high``."""
    if not (math.isfinite(low) and math.isfinite(high)) or high <= low:
        return [low] if math.isfinite(low) else []
    raw = (high - low) / max(1, count - 1)
    magnitude = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * magnitude for factor in (1, 2, 2.5, 5, 10) if factor * magnitude >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(place * step, 12) for place in range(first, last + 1)]


def _covering_ticks(low: float, high: float, count: int = 3) -> list[float]:
    """Return round numbers of which the first is at or below ``low`` and the last at or above ``high``."""
    if high <= low:
        high = low + (abs(low) or 1.0)
    raw = (high - low) / count
    magnitude = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * magnitude for factor in (1, 2, 2.5, 5, 10) if factor * magnitude >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(place * step, 12) for place in range(first, last + 1)]


class Plot(QWidget):
    """The frame of every plot: light horizontal lines, few labels, no axes; redrawn from a timer, never per value."""

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName(name)
        self.setMinimumSize(120, 90)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._view: Any = None
        self._grid: list[Any] = []
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(REDRAW_INTERVAL_MS)
        self._timer.timeout.connect(self._redraw_now)
        theme().changed.connect(self._recolour)

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802 - Qt's name
        super().showEvent(event)
        if self._view is None:
            self._build()
            self._redraw_now()

    def _build(self) -> None:
        pyqtgraph = _pyqtgraph()
        view = pyqtgraph.PlotWidget(self, background=None)
        view.setFrameShape(view.Shape.NoFrame)
        view.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        view.setMenuEnabled(False)
        view.setMouseEnabled(x=False, y=False)
        view.hideButtons()
        view.getPlotItem().setContentsMargins(0, 6, 14, 0)
        view.getViewBox().setDefaultPadding(0.0)
        for side in ("left", "bottom"):
            axis = view.getAxis(side)
            axis.setStyle(
                tickLength=0,
                tickAlpha=0,
                tickTextOffset=6,
                tickFont=interface_font(11),
                autoExpandTextSpace=False,
                hideOverlappingLabels=False,
            )
            axis.setPen(QColor(0, 0, 0, 0))
        view.getAxis("bottom").setHeight(20)
        self._layout.addWidget(view)
        self._view = view
        self._recolour()

    def _recolour(self) -> None:
        if self._view is None:
            return
        self._view.setBackground(theme().colour("surface"))
        for side in ("left", "bottom"):
            self._view.getAxis(side).setTextPen(theme().colour("muted"))
        self._draw()

    def _schedule(self) -> None:
        if self._view is not None and not self._timer.isActive():
            self._timer.start()

    def _redraw_now(self) -> None:
        if self._view is not None:
            self._draw()

    def _draw(self) -> None:
        raise NotImplementedError

    def _frame(
        self,
        x_range: tuple[float, float],
        y_range: tuple[float, float],
        x_ticks: Sequence[tuple[float, str]],
        y_ticks: Sequence[tuple[float, str]],
    ) -> None:
        """Set the ranges, the labels and the horizontal lines."""
        view = self._view
        pyqtgraph = _pyqtgraph()
        metrics = QFontMetricsF(interface_font(11))
        view.getAxis("left").setWidth(max((metrics.horizontalAdvance(text) for _, text in y_ticks), default=10) + 12)
        view.getAxis("left").setTicks([list(y_ticks)])
        view.getAxis("bottom").setTicks([list(x_ticks)])
        view.setXRange(*x_range, padding=0.0)
        view.setYRange(*y_range, padding=0.0)
        while len(self._grid) > len(y_ticks):
            view.removeItem(self._grid.pop())
        pen = QPen(theme().colour("border"), 0)
        for place, (value, _) in enumerate(y_ticks):
            if place == len(self._grid):
                line = pyqtgraph.InfiniteLine(value, angle=0, pen=pen)
                line.setZValue(-10)
                view.addItem(line, ignoreBounds=True)
                self._grid.append(line)
            elif self._grid[place].value() != value or self._grid[place].pen != pen:
                self._grid[place].setPen(pen)
                self._grid[place].setValue(value)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a plot: its points, its colour (a series number or a role) and whether it is dashed."""

    name: str
    x: np.ndarray
    y: np.ndarray
    colour: int | str = 0
    dashed: bool = False
    marked: int | None = None
    """The point that gets a dot, for example the best epoch."""


def line_colour(colour: int | str) -> QColor:
    """Return the colour of a series number, or of a role of the theme."""
    return theme().series(colour) if isinstance(colour, int) else theme().colour(colour)


class LinePlot(Plot):
    """Lines over a common axis; with ``logarithmic`` the vertical axis counts in powers of ten."""

    def __init__(
        self, name: str, *, from_zero: bool = False, name_ends: bool = False, parent: QWidget | None = None
    ) -> None:
        """``from_zero`` lets the vertical axis begin at 0; ``name_ends`` labels the first and the last point."""
        super().__init__(name, parent)
        self._name_ends = name_ends
        self._lines: list[Line] = []
        self._curves: list[Any] = []
        self._markers: list[Any] = []
        self._logarithmic = False
        self._from_zero = from_zero

    @property
    def logarithmic(self) -> bool:
        """Whether the vertical axis counts in powers of ten."""
        return self._logarithmic

    @property
    def lines(self) -> list[Line]:
        """What is shown."""
        return list(self._lines)

    def set_logarithmic(self, logarithmic: bool) -> None:
        """Choose the vertical axis."""
        self._logarithmic = logarithmic
        self._schedule()

    def set_lines(self, lines: Sequence[Line]) -> None:
        """Show other lines; drawn within 50 ms."""
        self._lines = list(lines)
        self._schedule()

    def _draw(self) -> None:
        drawn = []
        for line in self._lines:
            keep = np.isfinite(line.y) & ((line.y > 0) | (not self._logarithmic))
            drawn.append((line, line.x[keep], np.log10(line.y[keep]) if self._logarithmic else line.y[keep]))
        xs = np.concatenate([x for _, x, _ in drawn]) if drawn else np.zeros(0)
        ys = np.concatenate([y for _, _, y in drawn]) if drawn else np.zeros(0)
        self._frame_lines(xs, ys)
        for item in (*self._markers, *self._curves[len(drawn) :]):
            self._view.removeItem(item)
        self._markers, self._curves = [], self._curves[: len(drawn)]
        for place, (line, x, y) in enumerate(drawn):
            style = Qt.PenStyle.DashLine if line.dashed else Qt.PenStyle.SolidLine
            pen = QPen(line_colour(line.colour), self._width(len(x)), style)
            pen.setCosmetic(True)
            if place == len(self._curves):
                self._curves.append(self._new_curve())
            self._curves[place].setData(x, y, pen=pen)
            self._mark(line, len(x))

    def _width(self, points: int) -> float:
        """Wide enough to be seen on any screen where the points are few; one pixel is drawn ten times as fast."""
        return _WIDE_PEN * self.devicePixelRatioF() if points < _WIDE_PEN_POINTS else 1.0

    def _new_curve(self) -> Any:
        curve = _pyqtgraph().PlotDataItem()
        self._view.addItem(curve)
        # Only after the item has been added do these two take effect.
        curve.setDownsampling(auto=True, method="peak")
        curve.setClipToView(True)
        return curve

    def _mark(self, line: Line, points: int) -> None:
        """Draw a dot at the marked point, or at the only one, which a line would not show."""
        dot = line.marked if line.marked is not None else 0 if points == 1 else None
        if dot is None or dot >= len(line.x):
            return
        value = float(line.y[dot])
        if math.isfinite(value) and (value > 0 or not self._logarithmic):
            marker = _pyqtgraph().ScatterPlotItem(
                [line.x[dot]],
                [math.log10(value) if self._logarithmic else value],
                size=9,
                brush=line_colour(line.colour),
                pen=QPen(theme().colour("surface"), 0),
            )
            self._view.addItem(marker)
            self._markers.append(marker)

    def _frame_lines(self, xs: np.ndarray, ys: np.ndarray) -> None:
        if not len(xs):
            self._frame((0.0, 1.0), (0.0, 1.0), [], [])
            return
        left, right = float(xs.min()), float(xs.max())
        right = right if right > left else left + 1.0
        low, high = float(ys.min()), float(ys.max())
        if self._logarithmic:
            y_ticks = self._powers(low, high)
            low, high = min(low, y_ticks[0][0]), max(high, y_ticks[-1][0])
        else:
            values = _covering_ticks(0.0 if self._from_zero else low, high)
            y_ticks = [(value, formats.short(value)) for value in values]
            low, high = values[0], values[-1]
        if self._name_ends:
            x_ticks = [(value, formats.integer(value)) for value in (left, round((left + right) / 2), right)]
        else:
            x_ticks = [(value, formats.short(value)) for value in nice_ticks(left, right, 5) if value == round(value)]
        margin = (high - low) * 0.03 or 0.05
        self._frame((left, right + (right - left) * 0.01), (low - margin, high + margin), x_ticks, y_ticks)

    @staticmethod
    def _powers(low: float, high: float) -> list[tuple[float, str]]:
        """Ticks of a logarithmic axis; ``low`` and ``high`` are logarithms."""
        values = [
            digit * 10.0**power
            for power in range(math.floor(low) - 1, math.ceil(high) + 1)
            for digit in ((1, 2, 4) if high - low < 2 else (1,))
        ]
        inside = [value for value in values if low - 0.31 <= math.log10(value) <= high + 0.31]
        inside = inside or [10.0**low, 10.0 ** (high + 0.1)]
        every = max(1, math.ceil(len(inside) / 5))
        return [(math.log10(value), formats.short(value)) for value in inside[::every]]


class BarPlot(Plot):
    """Bars over named places; too many names are thinned out, so that those left can be read."""

    def __init__(self, name: str, colour: int = 0, parent: QWidget | None = None) -> None:
        super().__init__(name, parent)
        self._labels: list[str] = []
        self._values = np.zeros(0)
        self._colour = colour
        self._item: Any = None
        self._edges = False

    @property
    def values(self) -> np.ndarray:
        """The heights of the bars."""
        return self._values

    def set_bars(self, labels: Sequence[str], values: Sequence[float] | np.ndarray, *, edges: bool = False) -> None:
        """Show other bars. With ``edges``, the labels name the edges between the bars and are one more than they."""
        if len(labels) != len(values) + (1 if edges else 0):
            raise ValueError("A bar plot takes one label per bar, or one more with edges.")
        self._labels, self._values, self._edges = list(labels), np.asarray(values, dtype=np.float64), edges
        self._schedule()

    def _draw(self) -> None:
        pyqtgraph = _pyqtgraph()
        if self._item is not None:
            self._view.removeItem(self._item)
            self._item = None
        count = len(self._values)
        if not count:
            self._frame((0.0, 1.0), (0.0, 1.0), [], [])
            return
        places = np.arange(count)
        top = float(self._values.max()) or 1.0
        self._item = pyqtgraph.BarGraphItem(
            x=places, height=self._values, width=0.8, brush=theme().series(self._colour), pen=QPen(Qt.PenStyle.NoPen)
        )
        self._view.addItem(self._item)
        metrics = QFontMetricsF(interface_font(11))
        widest = max(metrics.horizontalAdvance(text) for text in self._labels) + 10
        room = max(40.0, self.width() - 50.0)
        every = max(1, math.ceil(len(self._labels) * widest / room))
        offset = -0.5 if self._edges else 0.0
        x_ticks = [(place + offset, self._labels[place]) for place in range(0, len(self._labels), every)]
        y_ticks = [(0.0, "0"), (top, formats.short(top))]
        self._frame((-0.6, count - 0.4), (0.0, top * 1.04), x_ticks, y_ticks)


@dataclass(frozen=True, slots=True)
class Point:
    """One point of a scatter plot."""

    name: str
    x: float
    y: float
    colour: int = 0
    key: str = ""


class ScatterPlot(Plot):
    """Named points; the names stand beside them where there is room, and in the tooltip always."""

    point_chosen = Signal(str)

    def __init__(
        self, name: str, x_format: Callable[[float], str] = formats.short, parent: QWidget | None = None
    ) -> None:
        super().__init__(name, parent)
        self._points: list[Point] = []
        self._items: list[Any] = []
        self._x_format = x_format
        self._chosen = ""

    @property
    def points(self) -> list[Point]:
        """What is shown."""
        return list(self._points)

    def set_points(self, points: Sequence[Point]) -> None:
        """Show other points."""
        self._points = [point for point in points if math.isfinite(point.x) and math.isfinite(point.y)]
        self._schedule()

    def choose(self, key: str) -> None:
        """Put a ring around the point with this key."""
        self._chosen = key
        self._schedule()

    def _draw(self) -> None:
        pyqtgraph = _pyqtgraph()
        for item in self._items:
            self._view.removeItem(item)
        self._items = []
        if not self._points:
            self._frame((0.0, 1.0), (0.0, 1.0), [], [])
            return
        x_values = _covering_ticks(0.0, max(point.x for point in self._points), 2)
        y_values = _covering_ticks(0.0, max(point.y for point in self._points), 2)
        width, height = x_values[-1] - x_values[0], y_values[-1] - y_values[0]
        self._frame(
            (x_values[0] - width * 0.02, x_values[-1] + width * 0.04),
            (y_values[0] - height * 0.03, y_values[-1] + height * 0.03),
            [(value, self._x_format(value)) for value in x_values],
            [(value, formats.short(value)) for value in y_values],
        )
        scatter = pyqtgraph.ScatterPlotItem(
            x=[point.x for point in self._points],
            y=[point.y for point in self._points],
            size=10,
            brush=[theme().series(point.colour) for point in self._points],
            pen=[QPen(theme().colour("text" if point.key == self._chosen else "surface"), 0) for point in self._points],
            data=[point.key for point in self._points],
            hoverable=True,
            tip=lambda x, y, data: self._tooltip(data, x, y),
        )
        scatter.sigClicked.connect(self._clicked)
        self._view.addItem(scatter)
        self._items.append(scatter)
        self._label_points(pyqtgraph, width, height)

    def _tooltip(self, key: str, x: float, y: float) -> str:
        name = next((point.name for point in self._points if point.key == key), key)
        return f"{name}: {formats.short(y)} at {formats.short(x)}"

    def _clicked(self, _item: object, spots: Sequence[Any], _event: object) -> None:
        if len(spots):
            self.point_chosen.emit(str(spots[0].data()))

    def _label_points(self, pyqtgraph: Any, width: float, height: float) -> None:
        """Write names beside points, leaving out those that would cover another name or point."""
        font = interface_font(11, QFont.Weight.Normal)
        metrics = QFontMetricsF(font)
        across = max(80.0, self.width() - 60.0) / (width * 1.06)
        down = max(60.0, self.height() - 40.0) / (height * 1.06)
        taken: list[tuple[float, float, float, float]] = [
            (point.x * across - 5, point.y * down - 5, point.x * across + 5, point.y * down + 5)
            for point in self._points
        ]
        right_edge = max(80.0, self.width() - 60.0)
        for place, point in enumerate(sorted(self._points, key=lambda point: point.key != self._chosen)):
            text_width = metrics.horizontalAdvance(point.name) + 4
            centre = QPointF(point.x * across, point.y * down)
            for side in (1, -1):
                start = centre.x() + 8 if side > 0 else centre.x() - 8 - text_width
                box = (start, centre.y() - 7, start + text_width, centre.y() + 7)
                if box[0] < 0 or box[2] > right_edge or any(_overlap(box, other) for other in taken):
                    continue
                label = pyqtgraph.TextItem(point.name, color=theme().colour("text"), anchor=(0 if side > 0 else 1, 0.5))
                label.setFont(font)
                label.setPos(point.x + side * 6 / across, point.y)
                label.setZValue(5 - place * 0.01)
                self._view.addItem(label, ignoreBounds=True)
                self._items.append(label)
                taken.append(box)
                break


def _overlap(first: tuple[float, float, float, float], second: tuple[float, float, float, float]) -> bool:
    return first[0] < second[2] and second[0] < first[2] and first[1] < second[3] and second[1] < first[3]
