"""The real window with the real engine: the way from a file to an explained recommendation."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QDropEvent, QGuiApplication

from recsys_desktop.engine import ImportRequest
from recsys_desktop.gui.jobs import JobState
from recsys_desktop.gui.widgets.labels import ElidedLabel
from recsys_desktop.gui.widgets.messages import InlineMessage
from recsys_desktop.gui.window import MainWindow
from tests.killed_training import kill_at

PATIENCE = 60_000


def _settle(qtbot, window: MainWindow) -> None:
    """Wait until nothing runs and the delayed questions (forecast, search while typing) have been asked."""
    for _ in range(2):
        qtbot.waitUntil(lambda: window.session.jobs.is_idle, timeout=PATIENCE)
        qtbot.wait(320)
    qtbot.waitUntil(lambda: window.session.jobs.is_idle, timeout=PATIENCE)


@pytest.fixture
def ratings_file(tmp_path: Path) -> Path:
    """Forty people who like one half of thirty items each; the column names give nothing away."""
    generator = np.random.default_rng(5)
    path = tmp_path / "loans.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["who", "what", "stars", "level"])
        for person in range(40):
            for item in range(30):
                likes = (item < 15) == (person < 20)
                if generator.random() < (0.7 if likes else 0.1):
                    stars = generator.integers(4, 6) if likes else generator.integers(1, 3)
                    writer.writerow([f"p{person:03d}", f"{item:05d}", stars, generator.integers(1, 4)])
    return path


@pytest.fixture
def small(window: MainWindow, ratings_file: Path, qtbot) -> MainWindow:
    """The window with that file imported and open."""
    window.show_page("data", [ratings_file])
    view = window.page("data").import_view
    qtbot.waitUntil(lambda: view.inspection is not None, timeout=PATIENCE)
    for column, role in (("who", "user"), ("what", "item"), ("stars", "rating"), ("level", "ignore")):
        view.roles[column] = role
    view.set_role("who", "user")
    qtbot.waitUntil(view.import_button.isEnabled, timeout=PATIENCE)
    view.start_import()
    qtbot.waitUntil(lambda: window.session.data is not None, timeout=PATIENCE)
    _settle(qtbot, window)
    return window


def _train(qtbot, window: MainWindow, algorithm: str):
    window.show_page("train", algorithm)
    workbench = window.page("train").workbench
    _settle(qtbot, window)
    job = workbench.train()
    assert job is not None
    qtbot.waitUntil(lambda: job.state.is_over, timeout=PATIENCE)
    assert job.state is JobState.DONE, job.error
    _settle(qtbot, window)
    return job.result


def test_from_the_sample_to_an_explained_recommendation(window: MainWindow, qtbot) -> None:
    start = window.page("start")
    assert start.recent_buttons == []
    qtbot.waitUntil(start.movielens.button.isEnabled, timeout=PATIENCE)
    qtbot.mouseClick(start.movielens.button, Qt.MouseButton.LeftButton)
    assert not start.movielens.button.isEnabled()
    qtbot.waitUntil(lambda: window.session.data is not None, timeout=PATIENCE)
    assert window.current_page == "data"
    _settle(qtbot, window)
    facts = dict(window.page("data").dataset_view.statistics.facts.facts)
    assert facts["people"] == "671"
    assert facts["ratings"] == "100,004"
    assert len(window.page("data").dataset_view.statistics.ratings.values) == 10

    popularity = _train(qtbot, window, "popularity")
    ease = _train(qtbot, window, "ease")
    assert (popularity.version, ease.version) == (1, 1)
    assert window.session.model.id == ease.id

    window.show_page("compare")
    compare = window.page("compare").workbench
    _settle(qtbot, window)
    compare.choose(["popularity", "ease"])
    job = compare.compare()
    assert compare.main.currentWidget() is compare.running_card
    qtbot.waitUntil(lambda: job.state.is_over, timeout=PATIENCE)
    assert job.state is JobState.DONE, job.error
    _settle(qtbot, window)
    titles, rows = compare.table.contents()
    assert [row[0] for row in rows] == ["EASE", "Popularity"]
    assert titles[2].upper().startswith("NDCG@10")
    assert "\u00b1" in rows[0][2]
    assert "as good as the best" in rows[0][-1]
    assert len(compare.scatter.points) == 2
    assert compare.person_plot.values.sum() > 500

    window.show_page("recommend", "42")
    recommend = window.page("recommend").workbench
    _settle(qtbot, window)
    cards = recommend.first_list.cards
    assert len(cards) == 10
    assert recommend.person.user == "42"
    seen = {entry.item for entry in recommend.person.history}
    assert not seen & {entry.item for entry in recommend.first_list.items}
    pane = recommend.pane
    assert not pane.chart.isHidden()
    assert pane.title.plain.startswith("Why ")
    assert pane.sentence.plain
    assert pane.exact_tag.text() == "exact"
    bars = sum(bar.value for bar in pane.chart.bars)
    view = recommend.explanation
    assert view.base + bars == pytest.approx(pane.chart.score, rel=2e-3)
    cards[3].chosen.emit()
    _settle(qtbot, window)
    assert recommend.explained.item == recommend.first_list.items[3].item
    assert recommend.explanation.item == recommend.first_list.items[3].item


def test_a_file_is_imported_with_a_corrected_role(window: MainWindow, ratings_file: Path, qtbot) -> None:
    window.show_page("data", [ratings_file])
    view = window.page("data").import_view
    qtbot.waitUntil(lambda: view.inspection is not None, timeout=PATIENCE)
    _settle(qtbot, window)
    assert view.preview.table_model.rowCount() > 100
    assert view.preview.table_model.index(0, 1).data().startswith("000"), "ids are text: leading zeros stay"
    buttons = {entry.column: entry for entry in view.preview.header.role_buttons}
    assert list(buttons) == ["who", "what", "stars", "level"]
    for column, role in (("who", "user"), ("what", "item"), ("stars", "rating"), ("level", "ignore")):
        entry = next(entry for entry in view.preview.header.role_buttons if entry.column == column)
        action = next((action for action in entry.menu_actions() if action.data() == role), None)
        assert action is not None, f"{column} cannot become {role}"
        action.trigger()
        _settle(qtbot, window)
    shown = {entry.column: entry.role for entry in view.preview.header.role_buttons}
    assert shown == {"who": "user", "what": "item", "stars": "rating", "level": "ignore"}
    facts = dict(view.statistics.facts.facts)
    assert facts["people"] == "40"
    assert view.import_button.text().startswith("Import ")
    qtbot.mouseClick(view.import_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: window.session.data is not None, timeout=PATIENCE)
    _settle(qtbot, window)
    assert window.session.data.n_users == 40
    assert window.page("data").currentWidget() is window.page("data").dataset_view


def test_a_file_that_cannot_be_read_says_what_and_where(window: MainWindow, tmp_path: Path, qtbot) -> None:
    empty = tmp_path / "empty.csv"
    empty.write_bytes(b"")
    window.show_page("data", [empty])
    view = window.page("data").import_view
    _settle(qtbot, window)
    assert not view.import_button.isEnabled()
    said = " ".join(
        widget.accessibleName()
        for place in range(view.notices.count())
        if (widget := view.notices.itemAt(place).widget()) is not None
    )
    assert "empty.csv" in said
    assert "Empty.csv" not in said


def test_nothing_of_the_files_before_is_left_when_others_are_looked_at(
    window: MainWindow, ratings_file: Path, tmp_path: Path, qtbot
) -> None:
    view = _inspected(qtbot, window, [ratings_file])
    assert view._file_rows.count() == 1
    assert view.rows_label.text()
    window.show_page("data", [tmp_path / "missing.csv"])
    _settle(qtbot, window)
    assert view._file_rows.count() == 0
    assert view.rows_label.text() == view.reading_label.text() == ""
    assert view.layout_chips["delimiter"].accessibleName() == "Delimiter"


def test_files_without_the_roles_they_need_are_not_imported(window: MainWindow, ratings_file: Path, qtbot) -> None:
    view = _inspected(qtbot, window, [ratings_file])
    view.set_role("what", "ignore")
    _settle(qtbot, window)
    assert view.inspection.problem
    assert not view.import_button.isEnabled()
    view.start_import()
    _settle(qtbot, window)
    assert window.session.data is None
    assert not view.import_button.isEnabled()


def _inspected(qtbot, window: MainWindow, files: list[Path]):
    window.show_page("data", files)
    view = window.page("data").import_view
    qtbot.waitUntil(lambda: view.inspection is not None, timeout=PATIENCE)
    _settle(qtbot, window)
    return view


def test_files_can_be_dropped_on_the_start_page(window: MainWindow, ratings_file: Path, qtbot) -> None:
    card = window.page("start").own_data
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(ratings_file))])
    card.dropEvent(
        QDropEvent(
            QPointF(10, 10),
            Qt.DropAction.CopyAction,
            mime,
            Qt.MouseButton.LeftButton,
            Qt.KeyboardModifier.NoModifier,
        )
    )
    assert window.current_page == "data"
    assert window.page("data").import_view.files == [ratings_file]
    _settle(qtbot, window)


def test_a_catalogue_alone_has_its_count_its_years_and_no_empty_figures(
    window: MainWindow, small: MainWindow, tmp_path: Path, qtbot
) -> None:
    assert small.page("data").dataset_view.statistics.isVisibleTo(small.page("data").dataset_view)
    path = tmp_path / "books.csv"
    rows = [f"{item},The book number {item},{1990 + item}.0,{item / 4}" for item in range(30)]
    path.write_text("\n".join(["item_id,title,year,price", *rows]) + "\n")
    engine = window.session.engine
    window.session.open_data(engine.import_data(ImportRequest([], "books", [path])))
    window.show_page("data")
    _settle(qtbot, window)
    view = window.page("data").dataset_view
    assert not view.statistics.isVisibleTo(view)
    assert view.items_card.accessibleName() == "30 items"
    shown = view.items.copied_text("TSV").splitlines()
    assert any("The book number 9" in line and "1999" in line and "2.25" in line for line in shown)
    window.show_page("items")
    _settle(qtbot, window)
    explorer = window.page("items").workbench
    assert ("year", str(1990 + int(explorer.chosen.item))) in explorer.attributes.facts


def test_every_algorithm_of_the_registry_is_listed_with_a_form_of_its_parameters(small: MainWindow, qtbot) -> None:
    small.show_page("train")
    workbench = small.page("train").workbench
    algorithms = small.session.engine.registry.algorithms
    assert list(workbench.algorithms.rows) == list(algorithms)
    for key, spec in algorithms.items():
        workbench.choose(key)
        assert list(workbench.form.rows) == [field.name for field in spec.params.describe()]
        assert workbench.form.values() == spec.params().to_dict()
    _settle(qtbot, small)


def test_a_wrong_parameter_is_refused_under_its_field(small: MainWindow, qtbot) -> None:
    small.show_page("train", "ease")
    workbench = small.page("train").workbench
    workbench.choose("ease")
    workbench.form.set_text("regularisation", "-5")
    row = workbench.form.rows["regularisation"]
    assert row.error
    assert workbench.train() is None
    workbench.form.set_text("regularisation", "many")
    assert "number" in row.error
    workbench.form.reset()
    assert row.error == ""
    _settle(qtbot, small)


def test_training_can_be_stopped_and_kept_or_cancelled(small: MainWindow, qtbot) -> None:
    epochs = [
        key for key, spec in small.session.engine.registry.algorithms.items() if spec.capabilities.trains_in_epochs
    ]
    assert epochs, "no algorithm trains in epochs"
    small.show_page("train", epochs[0])
    workbench = small.page("train").workbench
    _settle(qtbot, small)
    name = next((name for name in workbench.form.rows if "epoch" in name), None)
    assert name is not None
    workbench.form.set_text(name, str(int(workbench.form.fields[name].maximum or 500)))
    for other in workbench.form.rows:
        if "patience" in other:
            workbench.form.set_text(other, str(int(workbench.form.fields[other].maximum or 100)))
    first, second = workbench.train(), workbench.train()
    panel = workbench.run_panel
    assert panel.job is first
    qtbot.waitUntil(lambda: any(label.isVisible() for label in panel.queue_card.findChildren(ElidedLabel)))
    qtbot.waitUntil(lambda: len(first.values) > 2, timeout=PATIENCE)
    qtbot.mouseClick(panel.keep_button, Qt.MouseButton.LeftButton)
    assert panel.detail_label.text() == "Stopping\u2026"
    qtbot.waitUntil(lambda: first.state.is_over, timeout=PATIENCE)
    assert first.state is JobState.DONE, first.error
    qtbot.waitUntil(lambda: panel.job is second and len(second.values) > 2, timeout=PATIENCE)
    qtbot.waitUntil(lambda: bool(panel.loss_plot.lines or panel.validation_plot.lines), timeout=PATIENCE)
    qtbot.mouseClick(panel.cancel_button, Qt.MouseButton.LeftButton)
    assert panel.detail_label.text() == "Stopping\u2026"
    qtbot.waitUntil(lambda: second.state.is_over, timeout=PATIENCE)
    assert second.state is JobState.CANCELLED
    _settle(qtbot, small)
    assert [model.version for model in small.session.models] == [1]


def test_what_is_said_of_curves_follows_the_steps_that_were_logged(small: MainWindow, qtbot) -> None:
    panel = small.page("train").workbench.run_panel
    _train(qtbot, small, "ease")
    assert "This algorithm is solved in one step: it has no curve." in panel.loss_empty.text()
    assert "It is judged once, at the end, on data set aside." in panel.validation_empty.text()
    _train(qtbot, small, "svd")
    assert panel.loss_plot.lines and "curve" not in panel.loss_empty.text()
    assert "It is judged once, at the end, on data set aside." in panel.validation_empty.text()


def test_stop_and_keep_before_there_is_a_model_is_shown_as_stopped(small: MainWindow, qtbot) -> None:
    import time

    from recsys_desktop.engine import NothingToKeep

    spec = small.session.engine.registry.spec("ease")

    def tries(engine, run) -> None:
        while not run.should_stop:
            time.sleep(0.01)
        raise NothingToKeep

    small.show_page("train", "ease")
    panel = small.page("train").workbench.run_panel
    job = small.page("train").workbench._begin(spec, tries)
    qtbot.waitUntil(lambda: job.state is JobState.RUNNING, timeout=PATIENCE)
    qtbot.mouseClick(panel.keep_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: job.state.is_over, timeout=PATIENCE)
    assert panel.state_tag.text() == "stopped"
    assert panel.detail_label.text() == "Stopped before there was a model to keep."
    _settle(qtbot, small)


def test_a_person_built_on_screen_gets_a_list_that_follows_each_change(small: MainWindow, qtbot) -> None:
    _train(qtbot, small, "ease")
    small.show_page("recommend")
    workbench = small.page("recommend").workbench
    _settle(qtbot, small)
    workbench.build_person()
    assert workbench.person.is_new
    workbench.add_item("00003", "00003", 5.0)
    _settle(qtbot, small)
    first = [entry.item for entry in workbench.first_list.items]
    assert first
    assert "00003" not in first
    assert all(int(item) < 15 for item in first[:5]), "who likes the first half is shown the first half"
    rated = workbench.first_list.items[0]
    workbench.first_list.cards[0].rated.emit(5.0)
    _settle(qtbot, small)
    assert rated.item in {entry.item for entry in workbench.person.history}
    assert rated.item not in {entry.item for entry in workbench.first_list.items}
    gone = workbench.first_list.items[0]
    workbench.first_list.cards[0].dismissed.emit()
    _settle(qtbot, small)
    assert gone.item not in {entry.item for entry in workbench.first_list.items}


def test_the_person_of_other_data_is_forgotten(small: MainWindow, tmp_path: Path, qtbot) -> None:
    from recsys_desktop.engine import ImportRequest

    _train(qtbot, small, "popularity")
    small.show_page("recommend")
    workbench = small.page("recommend").workbench
    _settle(qtbot, small)
    assert workbench.person.history
    catalogue = tmp_path / "catalogue.csv"
    catalogue.write_text("item,title,genre\n1,One,Drama\n2,Two,Comedy\n3,Three,Drama\n", encoding="utf-8")
    small.session.work(
        "Importing",
        lambda engine, run: engine.import_data(ImportRequest([], "catalogue", [catalogue]), run),
        small.session.open_data,
    )
    _settle(qtbot, small)
    assert small.session.data.name == "catalogue"
    assert workbench.person.is_new
    assert workbench.person.history == ()
    assert workbench.person_chip.value == "new"


def test_two_models_are_shown_side_by_side(small: MainWindow, qtbot) -> None:
    _train(qtbot, small, "popularity")
    _train(qtbot, small, "ease")
    small.show_page("recommend")
    workbench = small.page("recommend").workbench
    _settle(qtbot, small)
    other = next(model for model in small.session.models if model.algorithm == "popularity")
    workbench.show_second(other)
    _settle(qtbot, small)
    assert workbench.second_list.isVisible()
    assert len(workbench.second_list.cards) == len(workbench.first_list.cards) > 0
    workbench.show_second(None)
    _settle(qtbot, small)
    assert not workbench.second_list.isVisible()


def test_similar_items_are_those_of_the_same_half(small: MainWindow, qtbot) -> None:
    _train(qtbot, small, "ease")
    small.show_page("items")
    explorer = small.page("items").workbench
    _settle(qtbot, small)
    explorer.search.setText("00003")
    _settle(qtbot, small)
    assert explorer.chosen.item == "00003"
    assert explorer.similar
    assert all(int(entry.item) < 15 for entry in explorer.similar[:3])


def test_versions_are_activated_deleted_with_undo_exported_and_imported(
    small: MainWindow, tmp_path: Path, qtbot
) -> None:
    _train(qtbot, small, "popularity")
    _train(qtbot, small, "popularity")
    small.show_page("models")
    page = small.page("models")
    _settle(qtbot, small)
    versions = {model.version: model for model in small.session.models}
    assert versions[2].active
    assert not versions[1].active
    page.table.choose_row([model.version for model in page._shown].index(1))
    qtbot.mouseClick(page.activate_button, Qt.MouseButton.LeftButton)
    _settle(qtbot, small)
    assert {model.version for model in small.session.models if model.active} == {1}
    page.table.choose_row([model.version for model in page._shown].index(2))
    qtbot.mouseClick(page.delete_button, Qt.MouseButton.LeftButton)
    assert page.table.table_model.rowCount() == 1
    qtbot.mouseClick(small._toast_shown.undo_button, Qt.MouseButton.LeftButton)
    _settle(qtbot, small)
    assert page.table.table_model.rowCount() == 2
    page.table.choose_row([model.version for model in page._shown].index(2))
    qtbot.mouseClick(page.delete_button, Qt.MouseButton.LeftButton)
    small._toast_shown.expire_now()
    _settle(qtbot, small)
    assert [model.version for model in small.session.models] == [1]
    target = tmp_path / "popularity.zip"
    page.ask_where = lambda name: target.with_name(name + target.suffix)
    page.export_model()
    _settle(qtbot, small)
    written = [path for path in tmp_path.iterdir() if path.name.startswith("popularity")]
    assert len(written) == 1
    page.ask_which = lambda: written[0]
    page.import_model()
    _settle(qtbot, small)
    assert len(small.session.models) == 2


def test_the_table_of_a_comparison_is_copied_with_headers(small: MainWindow, qtbot) -> None:
    small.show_page("compare")
    compare = small.page("compare").workbench
    _settle(qtbot, small)
    compare.choose(["popularity"])
    job = compare.compare()
    qtbot.waitUntil(lambda: job.state.is_over, timeout=PATIENCE)
    assert job.state is JobState.DONE, job.error
    _settle(qtbot, small)
    compare.copy_button.menu().actions()[1].trigger()
    copied = list(csv.reader(io.StringIO(QGuiApplication.clipboard().text())))
    assert copied[0][:2] == ["Model", "Family"]
    assert copied[1][0] == "Popularity"
    small._toast_shown.discard()


def test_the_command_box_finds_and_runs(window: MainWindow, qtbot) -> None:
    box = window.context_bar.command_box
    box.begin()
    qtbot.keyClicks(box, "setti")
    assert [command.name for command in box.found] == ["Settings"]
    qtbot.keyClick(box, Qt.Key.Key_Return)
    assert window.current_page == "settings"
    _settle(qtbot, window)


def test_every_page_opens_without_data_and_names_its_controls(window: MainWindow, qtbot) -> None:
    from PySide6.QtWidgets import QAbstractButton, QComboBox, QLineEdit

    for key in ("start", "data", "train", "compare", "recommend", "items", "models", "plugins", "settings"):
        window.show_page(key)
        _settle(qtbot, window)
        page = window.page(key)
        for kind in (QAbstractButton, QLineEdit, QComboBox):
            for control in page.findChildren(kind):
                if control.isVisible():
                    named = control.accessibleName() or getattr(control, "text", lambda: "")()
                    assert named, f"{type(control).__name__} on {key} has no name for a screen reader"


def test_the_device_and_the_number_of_threads_are_kept(window: MainWindow, qtbot) -> None:
    window.show_page("settings")
    page = window.page("settings")
    _settle(qtbot, window)
    assert page.device_choice.currentData() == "auto"
    page.device_choice.setCurrentIndex(page.device_choice.findData("cpu"))
    page.threads_choice.setCurrentIndex(page.threads_choice.findData(1))
    _settle(qtbot, window)
    assert window.session.engine.workspace.setting("device") == "cpu"
    assert window.session.engine.workspace.setting("threads") == 1
    window._toast_shown.discard()


def test_a_training_that_was_killed_is_offered_and_resumed(
    own_workspace: Path, ratings_file: Path, qtbot, request
) -> None:
    from recsys_desktop.engine import Engine, ImportRequest

    with Engine.open(own_workspace / "workspace", threads=1) as engine:
        engine.import_data(
            ImportRequest([ratings_file], "toy", roles={"who": "user", "what": "item", "stars": "rating"})
        )
    kill_at(own_workspace / "workspace", "fit", 4)
    window = request.getfixturevalue("window")
    _settle(qtbot, window)
    (message,) = window.findChildren(InlineMessage)
    assert "The training of NeuralCF on toy was interrupted after epoch 4." in message.what_label.text()
    qtbot.mouseClick(message.action, Qt.MouseButton.LeftButton)
    assert window.current_page == "train"
    assert window.session.data.name == "toy"
    job = window.page("train").workbench.run_panel.job
    qtbot.waitUntil(lambda: job.state.is_over, timeout=PATIENCE)
    assert job.state is JobState.DONE, job.error
    _settle(qtbot, window)
    assert window.findChildren(InlineMessage) == []
    assert [model.label for model in window.session.models] == ["ncf@1"]
    assert window.session.engine.interrupted() == []


def test_a_second_window_is_told_and_can_look(window: MainWindow, own_workspace: Path, qtbot) -> None:
    from recsys_desktop.gui.app import create_window

    _, second = create_window(own_workspace / "workspace")
    second.show()
    qtbot.waitUntil(lambda: second.session.is_open, timeout=PATIENCE)
    qtbot.waitUntil(lambda: second.session.jobs.is_idle, timeout=PATIENCE)
    assert second.session.read_only
    assert not second.page("start").own_data.button.isEnabled()
    second.close()
    second.deleteLater()


def test_closing_while_training_asks_stops_and_waits(small: MainWindow, qtbot, monkeypatch) -> None:
    import time

    def work(engine, run) -> None:
        while not run.should_stop:
            time.sleep(0.01)

    job = small.session.work("A long job", work)
    asked = []
    monkeypatch.setattr(small, "may_stop", lambda title: asked.append(title) or False)
    small.close()
    assert asked == ["A long job"]
    assert small.isVisible()
    assert job.state is JobState.RUNNING
    monkeypatch.setattr(small, "may_stop", lambda _title: True)
    small.close()
    qtbot.waitUntil(lambda: not small.isVisible(), timeout=PATIENCE)
    assert job.state is JobState.CANCELLED


def test_an_unexpected_error_is_shown_and_the_window_goes_on(window: MainWindow, qtbot, caplog) -> None:
    def breaks(engine, run) -> None:
        raise ZeroDivisionError("by the way")

    window.session.ask("Something", breaks)
    _settle(qtbot, window)
    messages = [
        widget.accessibleName()
        for place in range(window._messages.count())
        if (widget := window._messages.itemAt(place).widget()) is not None
    ]
    assert any("Something" in message and "by the way" in message for message in messages)
    assert "'Something' failed" in caplog.text
