"""What a plugin's panel may import: the theme, the parts of a page, and the host that it is given."""

from recsys_desktop.gui.jobs import Job, JobState, Lane
from recsys_desktop.gui.session import Session as Host
from recsys_desktop.gui.theme import Colours, Theme, fixed_font, interface_font, theme
from recsys_desktop.gui.widgets.bar import Bar, LabelledBar
from recsys_desktop.gui.widgets.buttons import Choice, IconButton, button, menu_button
from recsys_desktop.gui.widgets.card import Card, PageFrame, row, scrolling
from recsys_desktop.gui.widgets.chip import Chip
from recsys_desktop.gui.widgets.contribution_chart import ContributionBar, ContributionChart
from recsys_desktop.gui.widgets.field_row import FieldRow
from recsys_desktop.gui.widgets.labels import ElidedLabel, Paragraph, Tag, Tone, text_label
from recsys_desktop.gui.widgets.messages import EmptyState, InlineMessage
from recsys_desktop.gui.widgets.plots import BarPlot, Line, LinePlot, Point, ScatterPlot
from recsys_desktop.gui.widgets.table import Cell, Column, DataTable

__all__ = [
    "Bar",
    "BarPlot",
    "Card",
    "Cell",
    "Chip",
    "Choice",
    "Colours",
    "Column",
    "ContributionBar",
    "ContributionChart",
    "DataTable",
    "ElidedLabel",
    "EmptyState",
    "FieldRow",
    "Host",
    "IconButton",
    "InlineMessage",
    "Job",
    "JobState",
    "LabelledBar",
    "Lane",
    "Line",
    "LinePlot",
    "PageFrame",
    "Paragraph",
    "Point",
    "ScatterPlot",
    "Tag",
    "Theme",
    "Tone",
    "button",
    "fixed_font",
    "interface_font",
    "menu_button",
    "row",
    "scrolling",
    "text_label",
    "theme",
]
