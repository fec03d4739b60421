"""The data table: sorting inside the model, rows that stay last, columns, and copies with headers."""

from __future__ import annotations

import csv
import io
import time

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QSortFilterProxyModel, Qt
from PySide6.QtGui import QGuiApplication

from recsys_desktop.gui.widgets.labels import Tone
from recsys_desktop.gui.widgets.table import Cell, Column, DataTable, sorted_order, table_text


def _table(qtbot, **more: object) -> DataTable:
    table = DataTable("Models")
    qtbot.addWidget(table)
    columns = [
        Column("name", "Model", ["EASE", "iALS", "Popularity, weighted", "Semantic"], strong=True),
        Column("ndcg", "NDCG@10", np.array([0.2688, 0.2541, 0.11, np.nan]), lambda value: f"{value:.4f}".lstrip("0")),
        Column("seconds", "Fit", np.array([0.1, 0.2, 0.0, np.nan]), lambda value: f"{value:.1f} s"),
    ]
    messages = {3: Cell("needs item text", tag="not run", tone=Tone.NEGATIVE)}
    table.set_columns(columns, messages, **more)
    return table


def _names(table: DataTable) -> list[str]:
    return [table.table_model.index(row, 0).data() for row in range(table.table_model.rowCount())]


def test_a_click_on_a_header_sorts_and_another_turns_the_order(qtbot) -> None:
    table = _table(qtbot)
    table.resize(600, 300)
    table.show()
    header = table.horizontalHeader()
    at = QPoint(header.sectionViewportPosition(1) + 10, 10)
    qtbot.mouseClick(header.viewport(), Qt.MouseButton.LeftButton, pos=at)
    assert _names(table) == ["EASE", "iALS", "Popularity, weighted", "Semantic"]
    qtbot.mouseClick(header.viewport(), Qt.MouseButton.LeftButton, pos=at)
    assert _names(table) == ["Popularity, weighted", "iALS", "EASE", "Semantic"]
    assert (table.table_model.sort_key, table.table_model.descending) == ("ndcg", False)
    table.close()


def test_rows_without_figures_stay_last_and_say_why(qtbot) -> None:
    table = _table(qtbot)
    for descending in (True, False):
        table.table_model.sort_by("name", descending=descending)
        assert _names(table)[-1] == "Semantic"
    _, rows = table.contents()
    assert rows[-1] == ["Semantic", "not run: needs item text", ""]


def test_selection_follows_its_row_through_a_sort(qtbot) -> None:
    table = _table(qtbot)
    table.choose_row(2)
    table.table_model.sort_by("ndcg", descending=False)
    assert [index.row() for index in table.selectionModel().selectedRows()] == [0]
    assert table.table_model.source_row(table.currentIndex().row()) == 2


def test_order_is_stable_and_puts_missing_values_last() -> None:
    values = np.array([2.0, np.nan, 1.0, 2.0])
    assert sorted_order(values, descending=False).tolist() == [2, 0, 3, 1]
    assert sorted_order(values, descending=True).tolist() == [0, 3, 2, 1]
    assert sorted_order(["b", None, "A", "b"], descending=False).tolist() == [2, 0, 3, 1]
    assert sorted_order([3, None, 1], descending=True).tolist() == [0, 2, 1]


def test_a_hundred_thousand_rows_sort_in_the_model(qtbot) -> None:
    count = 100_000
    generator = np.random.default_rng(3)
    table = DataTable("Ratings")
    qtbot.addWidget(table)
    values = generator.normal(size=count)
    table.set_columns(
        [Column("item", "Item", np.arange(count).astype(str)), Column("value", "Value", values, "{:.3f}".format)]
    )
    assert not isinstance(table.model(), QSortFilterProxyModel)
    began = time.perf_counter()
    table.table_model.sort_by("value", descending=True)
    numbers = time.perf_counter() - began
    assert table.table_model.index(0, 1).data() == f"{values.max():.3f}"
    began = time.perf_counter()
    table.table_model.sort_by("item", descending=False)
    texts = time.perf_counter() - began
    # A proxy model takes more than ten seconds for this; an argsort some hundredths.
    assert numbers < 0.5
    assert texts < 2.0


@pytest.mark.parametrize(("style", "delimiter"), [("TSV", "\t"), ("CSV", ",")])
def test_delimited_copies_read_back_as_they_were(qtbot, style: str, delimiter: str) -> None:
    table = _table(qtbot)
    read = list(csv.reader(io.StringIO(table.copied_text(style)), delimiter=delimiter))
    assert read[0] == ["Model", "NDCG@10", "Fit"]
    assert read[3] == ["Popularity, weighted", ".1100", "0.0 s"]
    assert len(read) == 5


def test_markdown_and_latex_copies_escape_and_align() -> None:
    markdown = table_text(["Model", "P|k"], [["A_b", "5 %"]], [False, True], "Markdown")
    assert markdown.splitlines() == ["| Model | P\\|k |", "| --- | ---: |", "| A_b | 5 % |"]
    latex = table_text(["Model", "Share"], [["A_b & c", "5 %"]], [False, True], "LaTeX")
    assert r"\begin{tabular}{lr}" in latex
    assert r"A\_b \& c & 5 \% \\" in latex
    with pytest.raises(ValueError, match="choose one of"):
        table_text([], [], [], "HTML")


def test_hidden_columns_are_not_copied(qtbot) -> None:
    table = _table(qtbot)
    menu = table.column_menu()
    menu.actions()[2].setChecked(False)
    assert table.contents()[0] == ["Model", "NDCG@10"]
    assert not menu.actions()[0].isEnabled()
    menu.deleteLater()


def test_control_c_copies_with_headers(qtbot) -> None:
    table = _table(qtbot)
    table.show()
    table.setFocus()
    table.selectAll()
    table.copy("TSV")
    assert QGuiApplication.clipboard().text().startswith("Model\tNDCG@10\tFit\nEASE\t")
    table.close()


def test_a_theme_change_repaints_the_cells(qtbot) -> None:
    from recsys_desktop.gui.theme import DARK, ThemeMode, theme

    table = _table(qtbot)
    table.resize(500, 220)
    table.choose_row(0)
    theme().set_mode(ThemeMode.DARK)
    colours = {table.grab().toImage().pixelColor(x, 48).name().upper() for x in range(0, 500, 3)}
    assert DARK.weak_accent in colours
