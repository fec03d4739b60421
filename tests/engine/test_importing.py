"""Importing: what is kept, what is refused and where, and files that are not what they should be."""

from __future__ import annotations

import csv
import threading
from pathlib import Path

import pytest

from recsys_desktop.api import InvalidParameter, RecSysError
from recsys_desktop.engine import (
    Cancelled,
    Engine,
    EngineRun,
    ImportRequest,
    InspectRequest,
    RecommendRequest,
    TrainingFailed,
    TrainRequest,
    UnknownName,
    inspect_files,
    plugins_of,
)
from recsys_desktop.workspace import NotWritable
from tests.engine import toys


def test_a_data_set_is_kept_with_its_ids_titles_and_report(engine: Engine) -> None:
    record = engine.dataset_record("toy")
    data = engine.dataset("toy")
    assert (record.n_users, record.n_items, record.n_interactions) == (60, 24, 480)
    assert "00" in data.user_vocabulary and "000" in data.item_vocabulary
    assert data.item_features.titles is not None
    assert engine.dataset(record.fingerprint) is data
    assert engine.statistics("toy").interactions == 480
    report = engine.import_report("toy")
    assert report["rows_read"] == report["rows_kept"] == 480
    run = engine.runs()[-1]
    assert run.kind == "import" and run.state == "done" and run.dataset_fingerprint == record.fingerprint


def test_importing_the_same_data_again_gives_the_record_that_is_there(
    engine: Engine, toy_files: tuple[Path, Path]
) -> None:
    again = engine.import_data(ImportRequest([toy_files[0]], "another name", [toy_files[1]]))
    assert again.fingerprint == engine.dataset_record("toy").fingerprint
    assert len(engine.datasets()) == 1


def test_roles_and_cleaning_are_heeded_and_wrong_ones_refused(engine: Engine, tmp_path: Path) -> None:
    path = tmp_path / "odd.csv"
    path.write_text("a,b,c\n1,x,5\n1,y,3\n2,x,4\n2,z,9\n3,y,1\n")
    roles = {"a": "user", "b": "item", "c": "rating"}
    record = engine.import_data(ImportRequest([path], "odd", roles=roles, cleaning={"rating_maximum": "5"}))
    assert record.n_interactions == 4
    problems = engine.import_report("odd")["problems"]
    assert problems[0]["kind"] == "rating out of range" and problems[0]["examples"][0]["line"] == 5
    assert (engine.workspace.folder_of(record) / "problems.csv").is_file()
    with pytest.raises(InvalidParameter, match="person"):
        engine.import_data(ImportRequest([path], "odd", roles={"a": "person"}))
    with pytest.raises(InvalidParameter, match="rating_top"):
        engine.import_data(ImportRequest([path], "odd", cleaning={"rating_top": 5}))


def test_every_problem_row_can_be_written_to_a_file(engine: Engine, tmp_path: Path) -> None:
    path, problems = tmp_path / "bad.csv", tmp_path / "problems.csv"
    path.write_text("user,item,rating\na,x,5\nb,y,good\nc,,3\na,z,nan\nb,z,inf\nb,x,4\n")
    engine.import_data(ImportRequest([path], "bad", problems=problems))
    with problems.open(newline="") as file:
        lines = {int(row["line"]) for row in csv.DictReader(file)}
    assert lines == {3, 4, 5, 6}


BAD_FILES = {
    "empty.csv": (b"", "empty"),
    "header.csv": (b"user,item,rating\n", "header"),
    "binary.csv": (bytes(range(256)) * 40, ""),
    "no_items.csv": (b"user,rating\na,5\nb,4\n", "item"),
    "cut.parquet": (b"PAR1\x15\x04\x15", "parquet"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_file_that_cannot_be_read_is_refused_by_name_and_nothing_is_kept(
    engine: Engine, tmp_path: Path, name: str
) -> None:
    content, word = BAD_FILES[name]
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(RecSysError) as caught:
        engine.import_data(ImportRequest([path], "bad"))
    assert name in str(caught.value) and word in str(caught.value).lower()
    assert [record.name for record in engine.datasets()] == ["toy"]
    assert engine.runs()[0].state == "failed"


def test_one_user_or_one_item_imports_and_is_refused_by_the_algorithm(engine: Engine, tmp_path: Path) -> None:
    for name, text in (("one-user", "a,x\na,y\n"), ("one-item", "a,x\nb,x\n")):
        path = tmp_path / f"{name}.csv"
        path.write_text("user,item\n" + text)
        engine.import_data(ImportRequest([path], name))
        with pytest.raises(TrainingFailed, match="at least 2 users with 2 items"):
            engine.train(TrainRequest("toy-popular", name))


def test_a_user_without_history_and_an_item_never_seen_are_served(engine: Engine, tmp_path: Path) -> None:
    ratings, items, users = tmp_path / "r.csv", tmp_path / "i.csv", tmp_path / "u.csv"
    ratings.write_text("user,item\na,x\na,y\nb,x\nb,z\nc,y\nc,z\n")
    items.write_text("item,title\nx,X\ny,Y\nz,Z\nnever,Never\n")
    users.write_text("user,age\na,1\nb,2\nc,3\nquiet,4\n")
    engine.import_data(ImportRequest([ratings], "small", [items], [users]))
    engine.train(TrainRequest("toy-together", "small"))
    assert "never" in engine.dataset("small").item_vocabulary
    for user in engine.dataset("small").user_vocabulary:
        answer = engine.recommend(RecommendRequest("toy-together", user))
        assert "never" not in [item.item for item in answer.items]
    if "quiet" in engine.dataset("small").user_vocabulary:
        answer = engine.recommend(RecommendRequest("toy-together", "quiet"))
        assert {item.served_by for item in answer.items} == {"popularity"}


def test_inspecting_needs_no_workspace_and_writes_nothing(tmp_path: Path, toy_files: tuple[Path, Path]) -> None:
    nowhere = tmp_path / "nowhere"
    found = inspect_files(plugins_of(nowhere), InspectRequest(list(toy_files)), EngineRun())
    assert not nowhere.exists()
    kinds = {file.path.name: file.kind.value for file in found.files}
    assert kinds == {"ratings.csv": "interactions", "items.csv": "items"}
    roles = {column.name: column.role.value for column in found.files[0].columns}
    assert roles == {"user": "user", "item": "item", "rating": "rating", "timestamp": "timestamp"}
    assert found.statistics is not None and found.statistics.interactions == 480
    assert found.report is not None and found.problem == ""


def test_inspecting_files_that_make_no_data_says_why(tmp_path: Path) -> None:
    path = tmp_path / "odd.csv"
    path.write_text("user,rating\na,5\nb,4\n")
    found = inspect_files(plugins_of(tmp_path / "no"), InspectRequest([path]), EngineRun())
    assert found.problem and found.statistics is None and found.files[0].columns


def test_samples_import_once(engine: Engine) -> None:
    ids = [sample.id for sample in engine.samples()]
    assert "movielens-small" in ids
    with pytest.raises(UnknownName, match="movielens-small"):
        engine.import_sample("movielens-smal")


def test_cancelling_an_import_keeps_nothing(engine: Engine, tmp_path: Path) -> None:
    path = tmp_path / "large.csv"
    with path.open("w") as file:
        file.write("user,item,rating\n")
        file.writelines(f"{row % 997},{row % 4999},{row % 5 + 1}\n" for row in range(400_000))
    run = EngineRun()
    run._on_progress = lambda fraction, text: threading.Thread(target=run.stop, args=("discard",)).run()
    with pytest.raises(Cancelled):
        engine.import_data(ImportRequest([path], "large"), run)
    assert [record.name for record in engine.datasets()] == ["toy"]
    assert engine.runs()[0].state == "cancelled"


def test_a_workspace_that_is_only_read_imports_nothing(engine: Engine, toy_files: tuple[Path, Path]) -> None:
    reader = Engine.open(engine.workspace.path, mode="read", plugins={"toys": toys})
    with reader, pytest.raises(NotWritable):
        reader.import_data(ImportRequest([toy_files[0]], "again"))


def test_deleting_a_data_set_leaves_its_models_which_say_so(engine: Engine) -> None:
    engine.train(TrainRequest("toy-together", "toy"))
    engine.delete_dataset("toy")
    assert engine.datasets() == []
    answer = engine.recommend(RecommendRequest("toy-together", history=[("000", 5.0, None)]))
    assert any("not in this workspace" in notice for notice in answer.notices)


def test_searching_finds_by_id_and_title_the_most_used_first(engine: Engine) -> None:
    counts = engine.dataset("toy").item_counts
    found = engine.search_items("toy", "title 1")
    assert {item.title for item in found} == {"Title 1", *(f"Title {number}" for number in range(10, 20))}
    assert [item.n_interactions for item in found] == sorted((item.n_interactions for item in found), reverse=True)
    assert engine.search_items("toy", "005")[0].item == "005"
    assert [item.n_interactions for item in engine.search_items("toy", "", 3)] == sorted(counts, reverse=True)[:3]
    assert engine.search_users("toy", "05", 3)[0].user == "05"
    assert all("5" in user.user for user in engine.search_users("toy", "5"))
    history = engine.history("toy", "00")
    assert len(history) == 8 and [entry.timestamp for entry in history] == sorted(
        (entry.timestamp or 0 for entry in history), reverse=True
    )
    columns = {column.name: column for column in engine.filter_columns("toy")}
    assert columns["genres"].choices[0] == "All" and columns["year"].low == 1990
