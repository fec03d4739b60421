"""The parts of which every page is built."""

from recsys_desktop.gui.widgets.bar import Bar, LabelledBar
from recsys_desktop.gui.widgets.buttons import (
    Choice,
    IconButton,
    NavigationButton,
    Stars,
    button,
    menu_button,
)
from recsys_desktop.gui.widgets.card import Card, PageFrame, expanding, row, scrolling
from recsys_desktop.gui.widgets.chip import Chip
from recsys_desktop.gui.widgets.contribution_chart import ContributionBar, ContributionChart
from recsys_desktop.gui.widgets.field_row import FieldRow
from recsys_desktop.gui.widgets.labels import (
    ElidedLabel,
    Paragraph,
    Tag,
    Tone,
    horizontal_line,
    restyle,
    text_label,
)
from recsys_desktop.gui.widgets.messages import EmptyState, IconLabel, InlineMessage, Toast
from recsys_desktop.gui.widgets.plots import BarPlot, Line, LinePlot, Point, ScatterPlot
from recsys_desktop.gui.widgets.recommendation_card import RecommendationCard, RecommendationView, emphasised
from recsys_desktop.gui.widgets.table import COPY_FORMATS, Cell, Column, DataTable, TableModel

__all__ = [
    "COPY_FORMATS",
    "Bar",
    "BarPlot",
    "Card",
    "Cell",
    "Chip",
    "Choice",
    "Column",
    "ContributionBar",
    "ContributionChart",
    "DataTable",
    "ElidedLabel",
    "EmptyState",
    "FieldRow",
    "IconButton",
    "IconLabel",
    "InlineMessage",
    "LabelledBar",
    "Line",
    "LinePlot",
    "NavigationButton",
    "PageFrame",
    "Paragraph",
    "Point",
    "RecommendationCard",
    "RecommendationView",
    "ScatterPlot",
    "Stars",
    "TableModel",
    "Tag",
    "Toast",
    "Tone",
    "button",
    "emphasised",
    "expanding",
    "horizontal_line",
    "menu_button",
    "restyle",
    "row",
    "scrolling",
    "text_label",
]
