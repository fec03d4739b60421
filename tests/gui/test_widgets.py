"""The parts of a page: what they show, what they say to a screen reader, and what they do for the keyboard."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QFont, QFontMetrics
from PySide6.QtWidgets import QWidget

from recsys_desktop.gui import formats
from recsys_desktop.gui.session import sentence
from recsys_desktop.gui.theme import interface_font, theme
from recsys_desktop.gui.widgets.bar import Bar
from recsys_desktop.gui.widgets.buttons import CheckBox, Stars
from recsys_desktop.gui.widgets.chip import Chip
from recsys_desktop.gui.widgets.contribution_chart import ContributionBar, ContributionChart
from recsys_desktop.gui.widgets.labels import ElidedLabel, Paragraph, elision
from recsys_desktop.gui.widgets.messages import Toast
from recsys_desktop.gui.widgets.plots import BarPlot, Line, LinePlot, Point, ScatterPlot, nice_ticks
from recsys_desktop.gui.widgets.recommendation_card import (
    CARD_HEIGHT,
    RecommendationCard,
    RecommendationView,
    emphasised,
)


def test_elided_text_keeps_the_whole_in_its_tooltip(qtbot) -> None:
    label = ElidedLabel("The Lord of the Rings: The Return of the King (2003)")
    qtbot.addWidget(label)
    label.resize(90, 18)
    label.show()
    assert label.toolTip() == label.accessibleName() == "The Lord of the Rings: The Return of the King (2003)"
    label.resize(600, 18)
    assert label.toolTip() == ""


def test_a_chip_is_as_wide_as_its_text_and_says_it(qtbot) -> None:
    chip = Chip("data", "MovieLens small", "\u00b7 3f9c1a")
    qtbot.addWidget(chip)
    assert chip.accessibleName() == "data MovieLens small \u00b7 3f9c1a"
    assert chip.focusPolicy() is Qt.FocusPolicy.NoFocus
    narrow = chip.sizeHint().width()
    taken = []
    chip.set_choices([("one", 1), ("two", 2)], taken.append)
    assert chip.sizeHint().width() > narrow
    assert chip.focusPolicy() is Qt.FocusPolicy.StrongFocus
    chip.menu_actions()[1].trigger()
    assert taken == [2]


def test_a_bar_says_its_share(qtbot) -> None:
    bar = Bar("Confidence", 0.46)
    qtbot.addWidget(bar)
    assert bar.accessibleName().startswith("Confidence: 46")
    bar.set_share(None)
    assert bar.accessibleName() == "Confidence: unknown"
    bar.set_share(7.0)
    assert bar.share == 1.0


@pytest.mark.parametrize(
    ("scale", "expected"),
    [((1.0, 5.0, 1.0), [1, 2, 3, 4, 5]), ((0.5, 5.0, 0.5), [1, 2, 3, 4, 5]), ((0.0, 10.0, 1.0), [0, 2, 5, 8, 10])],
)
def test_stars_rate_on_the_scale_of_the_data(qtbot, scale: tuple[float, float, float], expected: list[float]) -> None:
    stars = Stars(scale)
    qtbot.addWidget(stars)
    given: list[float] = []
    stars.rated.connect(given.append)
    for star in range(5):
        qtbot.mouseClick(stars, Qt.MouseButton.LeftButton, pos=stars.rect().topLeft() + _at(star, stars))
    assert given == expected


def _at(star: int, stars: Stars):
    from PySide6.QtCore import QPoint

    return QPoint(round((star + 0.5) * stars.sizeHint().width() / 5), 8)


def test_stars_can_be_given_by_the_keyboard(qtbot) -> None:
    stars = Stars()
    qtbot.addWidget(stars)
    given: list[float] = []
    stars.rated.connect(given.append)
    for key in (Qt.Key.Key_Right, Qt.Key.Key_Right, Qt.Key.Key_Right, Qt.Key.Key_Left, Qt.Key.Key_Return):
        qtbot.keyClick(stars, key)
    assert given == [2.0]


def test_a_check_box_answers_over_its_whole_width(qtbot) -> None:
    box = CheckBox("NeuralCF")
    qtbot.addWidget(box)
    box.resize(box.sizeHint())
    qtbot.mouseClick(box, Qt.MouseButton.LeftButton, pos=box.rect().center())
    assert box.isChecked()


def test_a_recommendation_card_answers_mouse_and_keyboard(qtbot) -> None:
    view = RecommendationView(1, "Se7en (1995)", "Crime", "Because you chose Heat", ("Heat",), confidence=0.46)
    card = RecommendationCard(view)
    qtbot.addWidget(card)
    said: list[str] = []
    card.chosen.connect(lambda: said.append("chosen"))
    card.dismissed.connect(lambda: said.append("dismissed"))
    qtbot.mouseClick(card, Qt.MouseButton.LeftButton)
    qtbot.keyClick(card, Qt.Key.Key_Return)
    qtbot.keyClick(card, Qt.Key.Key_Delete)
    assert said == ["chosen", "chosen", "dismissed"]
    assert card.accessibleName() == "1. Se7en (1995)"


def test_what_a_recommendation_card_shows_stays_in_its_place_when_it_is_chosen(qtbot) -> None:
    view = RecommendationView(1, "Se7en (1995)", "Crime", "Because you chose Heat", ("Heat",), confidence=0.46)
    host = QWidget()
    qtbot.addWidget(host)
    card = RecommendationCard(view, host)
    card.resize(550, CARD_HEIGHT)
    with qtbot.waitExposed(host):
        host.show()
    qtbot.wait(50)
    before = card.reason.geometry()
    card.set_selected(True)
    qtbot.wait(20)
    assert card.reason.geometry() == before


def test_six_recommendation_cards_fit_under_each_other_at_1280_by_800() -> None:
    assert 6 * CARD_HEIGHT + 5 * 8 <= 646


def test_the_title_of_a_compact_card_has_the_room_of_the_confidence_too(qtbot) -> None:
    titles = []
    for compact in (False, True):
        card = RecommendationCard(
            RecommendationView(1, "Forrest Gump (1994)", "Comedy", confidence=0.46, compact=compact)
        )
        qtbot.addWidget(card)
        card.resize(265, card.height())
        card.show()
        titles.append(next(label for label in card.findChildren(ElidedLabel) if "Gump" in label.text()).width())
    assert titles[1] > titles[0] + 40


def test_a_name_without_spaces_is_cut_in_the_middle() -> None:
    assert elision("isbn-978-3-16-148410-065") is Qt.TextElideMode.ElideMiddle
    assert elision("Lord of the Rings, The") is Qt.TextElideMode.ElideRight


def test_a_sentence_begins_with_a_capital_but_never_renames_a_file() -> None:
    assert sentence("no column has the role 'item'") == "No column has the role 'item'."
    assert sentence("ratings.csv, line 2: no number") == "ratings.csv, line 2: no number."


def test_what_comes_from_data_is_never_read_as_marks() -> None:
    assert emphasised("Because of <b>&", ["<b>"]) == "Because of <b>&lt;b&gt;</b>&amp;"
    paragraph = Paragraph("1 < 2 & 3")
    assert paragraph.plain == "1 < 2 & 3"
    paragraph.deleteLater()


def test_a_contribution_chart_says_its_parts_and_its_sum(qtbot) -> None:
    chart = ContributionChart()
    qtbot.addWidget(chart)
    bars = [ContributionBar("Se7en", 0.31), ContributionBar("Titanic", -0.05)]
    chart.set_contributions(bars, 0.1, 0.36)
    assert chart.accessibleName() == (
        "What adds up to the score: base 0.10, Se7en +0.31, Titanic \u22120.05; score 0.36"
    )
    chart.resize(320, chart.sizeHint().height())
    picture = chart.grab().toImage()
    colours = {picture.pixelColor(x, y).name() for x in range(picture.width()) for y in (13, 39)}
    assert theme().colour("accent").name() in colours
    assert theme().colour("negative").name() in colours


def test_plots_import_pyqtgraph_when_shown_and_leave_the_exception_hook_alone(qtbot) -> None:
    hook = sys.excepthook
    plot = LinePlot("Loss")
    qtbot.addWidget(plot)
    plot.set_lines([Line("training", np.arange(5.0), np.array([0.8, 0.4, 0.2, np.nan, 0.1]), marked=4)])
    plot.resize(400, 200)
    plot.show()
    qtbot.waitExposed(plot)
    assert "pyqtgraph" in sys.modules
    assert sys.excepthook is hook
    plot.set_logarithmic(True)
    qtbot.wait(120)
    picture = plot.grab().toImage()
    colours = {picture.pixelColor(x, y).name() for x in range(400) for y in range(200)}
    assert theme().series(0).name() in colours
    plot.hide()


def test_bars_and_points_take_their_colours_from_the_theme(qtbot) -> None:
    bars, points = BarPlot("Ratings", colour=2), ScatterPlot("Accuracy against coverage")
    for plot in (bars, points):
        qtbot.addWidget(plot)
        plot.resize(320, 220)
        plot.show()
    bars.set_bars(["1", "2"], [3, 8])
    points.set_points([Point("EASE", 0.1, 0.27, 0, "ease"), Point("nowhere", float("nan"), 0.1, 1, "x")])
    assert [point.name for point in points.points] == ["EASE"]
    qtbot.wait(120)
    picture = bars.grab().toImage()
    colours = {picture.pixelColor(x, y).name() for x in range(320) for y in range(220)}
    assert theme().series(2).name() in colours
    with pytest.raises(ValueError, match="one label per bar"):
        bars.set_bars(["1"], [1, 2])
    for plot in (bars, points):
        plot.hide()


def test_ticks_are_round_and_inside() -> None:
    assert nice_ticks(0, 37, 5) == [0, 10, 20, 30]
    assert nice_ticks(3, 3) == [3]
    assert all(0.1 <= tick <= 0.9 for tick in nice_ticks(0.1, 0.9))


def test_a_toast_is_undone_or_expires_once(qtbot) -> None:
    host = QWidget()
    qtbot.addWidget(host)
    host.resize(600, 400)
    said: list[str] = []
    toast = Toast(host, "EASE v3 is deleted.", lambda: said.append("undone"))
    toast.expired.connect(lambda: said.append("expired"))
    qtbot.mouseClick(toast.undo_button, Qt.MouseButton.LeftButton)
    assert said == ["undone"]
    other = Toast(host, "EASE v2 is deleted.", lambda: said.append("undone"))
    other.expired.connect(lambda: said.append("expired"))
    other.expire_now()
    assert said == ["undone", "expired"]


def test_figures_in_the_interface_font_have_one_width(qapp) -> None:
    metrics = QFontMetrics(interface_font(13))
    assert len({metrics.horizontalAdvance(digit * 6) for digit in "0123456789"}) == 1
    assert interface_font(13, QFont.Weight.DemiBold).weight() == QFont.Weight.DemiBold


def test_numbers_are_written_for_people() -> None:
    assert formats.share(0.2702) == ".2702"
    assert formats.share(-0.05, 2) == "-.05"
    assert formats.share(1.0, 2) == "1.00"
    assert formats.integer(100004) == "100,004"
    assert formats.signed(-0.05) == "\u22120.05"
    assert formats.signed(0.0) == "0.00"
    assert formats.decimal(float("nan")) == formats.DASH
    assert formats.duration(0.2) == "0.2 s"
    assert formats.duration(0.0477) == "48 ms"
    assert formats.duration(0.0001) == "1 ms"
    assert formats.duration(0) == "0.0 s"
    assert formats.duration(3725) == "1 h 02 min"
    assert formats.file_size(2_338_261) == "2.3 MB"
    assert formats.short(29_400) == "29.4k"
    assert formats.short(0.15) == ".15"
    assert [formats.attribute(value) for value in (1995.0, -3.0, 12_000.0, 1_234_567.0, 7.25)] == [
        "1995",
        "-3",
        "12,000",
        "1,234,567",
        "7.25",
    ]
    assert formats.attribute(float("nan")) == formats.DASH
    assert formats.plural(1, "person", "people") == "1 person"
    assert formats.confidence(0.013) == f"1.3{formats.THIN_SPACE}%"
    assert formats.confidence(0.0002) == f"<{formats.THIN_SPACE}0.1{formats.THIN_SPACE}%"
