"""Records: what is written is what is read; versions; how models are named."""

import math
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from recsys_desktop.workspace import (
    DatasetRecord,
    InteractionRecord,
    InvalidName,
    MetricRecord,
    ModelRecord,
    RecordNotFound,
    RunValue,
    Workspace,
)

Publish = Callable[..., ModelRecord]


def publish_dataset(workspace: Workspace, fingerprint: str, name: str) -> DatasetRecord:
    with workspace.publish_dataset(
        fingerprint,
        name=name,
        n_users=610,
        n_items=9724,
        n_interactions=100_836,
        source="ratings.csv",
        extra={"cleaning": {"min_rating": None}},
    ) as publication:
        (publication.folder / "interactions.parquet").write_bytes(b"PAR1")
    return publication.record


def test_dataset_record_holds_what_was_given(workspace: Workspace) -> None:
    record = publish_dataset(workspace, "ab12cd34", " movies ")
    assert workspace.datasets() == [record]
    assert (record.fingerprint, record.name, record.source) == ("ab12cd34", "movies", "ratings.csv")
    assert (record.n_users, record.n_items, record.n_interactions) == (610, 9724, 100_836)
    assert record.extra == {"cleaning": {"min_rating": None}}
    assert record.size_bytes == sum(file.stat().st_size for file in workspace.folder_of(record).iterdir())
    assert abs(datetime.now(UTC) - record.created) < timedelta(minutes=1)


def test_datasets_are_found_by_name_newest_first_and_by_fingerprint(workspace: Workspace) -> None:
    older = publish_dataset(workspace, "aaaaaaaa11", "movies")
    newer = publish_dataset(workspace, "bbbbbbbb22", "movies")
    assert workspace.resolve_dataset("movies") == newer
    assert workspace.resolve_dataset("aaaaaaaa11") == older
    assert workspace.resolve_dataset("aaaaaa") == older
    renamed = workspace.rename_dataset(newer, "films")
    assert workspace.resolve_dataset("films") == renamed
    assert workspace.resolve_dataset("movies") == older
    with pytest.raises(RecordNotFound, match=r'Did you mean "movies"\? There is: films, movies\.'):
        workspace.resolve_dataset("movis")


def test_empty_workspace_says_what_to_do_first(workspace: Workspace) -> None:
    with pytest.raises(RecordNotFound, match="import one first"):
        workspace.resolve_dataset("movies")
    with pytest.raises(RecordNotFound, match="train one first"):
        workspace.resolve_model("ease")


def test_deleted_dataset_is_gone_and_can_be_imported_again(workspace: Workspace) -> None:
    record = publish_dataset(workspace, "aaaaaaaa11", "movies")
    workspace.delete_dataset(record)
    assert workspace.datasets() == []
    assert list((workspace.path / "datasets").iterdir()) == []
    with pytest.raises(RecordNotFound):
        workspace.delete_dataset(record)
    assert publish_dataset(workspace, "aaaaaaaa11", "movies") in workspace.datasets()


def test_run_goes_from_running_to_one_end(workspace: Workspace) -> None:
    run = workspace.start_run("import", {"files": ["ratings.csv"], "sheet": None})
    assert workspace.run(run.id) == run
    assert (run.state, run.finished, run.error) == ("running", None, None)
    ended = workspace.end_run(run.id, "done", result={"dataset": "ab12"}, dataset_fingerprint="ab12")
    assert (ended.state, ended.request, ended.result) == ("done", run.request, {"dataset": "ab12"})
    assert ended.dataset_fingerprint == "ab12"
    assert ended.finished is not None
    assert ended.finished >= ended.started
    with pytest.raises(RecordNotFound, match="running run"):
        workspace.end_run(run.id, "failed")
    assert workspace.run(run.id).state == "done"


def test_runs_are_listed_newest_first_by_state_and_kind(workspace: Workspace) -> None:
    first = workspace.start_run("train", {})
    second = workspace.start_run("evaluate", {})
    third = workspace.start_run("train", {})
    workspace.end_run(second.id, "failed", error="ValueError: no")
    assert [run.id for run in workspace.runs()] == [third.id, second.id, first.id]
    assert [run.id for run in workspace.runs(state="running", kind="train")] == [third.id, first.id]
    assert [run.error for run in workspace.runs(state="failed")] == ["ValueError: no"]
    assert [run.id for run in workspace.runs(limit=1)] == [third.id]
    with pytest.raises(ValueError, match="does not end"):
        workspace.end_run(first.id, "running")


def test_run_values_keep_their_order_and_what_is_not_finite(workspace: Workspace) -> None:
    run = workspace.start_run("train", {})
    values = [
        RunValue(2, "loss", 0.5, 100.0),
        RunValue(1, "loss", math.inf, 101.0),
        RunValue(1, "loss", math.nan, 102.0),
        RunValue(1, "ndcg@10", 0.1, 103.0),
    ]
    workspace.append_run_values(run.id, values[:2])
    workspace.append_run_values(run.id, values[2:])
    stored = workspace.run_values(run.id)
    assert [(value.step, value.name, value.time) for value in stored] == [(v.step, v.name, v.time) for v in values]
    assert math.isnan(stored[2].value)
    assert [stored[0].value, stored[1].value] == [0.5, math.inf]
    assert workspace.run_values(run.id, "ndcg@10") == [values[3]]


def test_deleting_a_run_keeps_its_model(workspace: Workspace, publish: Publish) -> None:
    run = workspace.start_run("train", {})
    workspace.append_run_values(run.id, [RunValue(1, "loss", 1.0, 0.0)])
    model = publish(workspace, run_id=run.id)
    with pytest.raises(RecordNotFound):
        workspace.delete_run(run.id)
    workspace.end_run(run.id, "done")
    workspace.delete_run(run.id)
    assert workspace.runs() == []
    assert workspace.run_values(run.id) == []
    assert [(record.id, record.run_id) for record in workspace.models()] == [(model.id, None)]


def test_model_record_holds_what_was_given(workspace: Workspace, publish: Publish) -> None:
    run = workspace.start_run("train", {})
    record = publish(
        workspace,
        "EASE on films",
        params={"l2": 500.0, "layers": [64, 32]},
        seed=7,
        dataset_fingerprint="ab12",
        run_id=run.id,
        metrics={"ndcg@10": 0.262},
        fit_seconds=1.25,
        peak_memory_bytes=300_000_000,
        note="baseline",
    )
    assert workspace.models() == [record]
    assert (record.name, record.version, record.algorithm, record.active) == ("EASE on films", 1, "ease", True)
    assert (record.params, record.seed) == ({"l2": 500.0, "layers": [64, 32]}, 7)
    assert (record.dataset_fingerprint, record.run_id) == ("ab12", run.id)
    assert (record.metrics, record.fit_seconds) == ({"ndcg@10": 0.262}, 1.25)
    assert (record.peak_memory_bytes, record.note) == (300_000_000, "baseline")
    assert workspace.set_model_note(record, "better").note == "better"
    assert workspace.set_model_metrics(record, {"ndcg@10": 0.3}).metrics == {"ndcg@10": 0.3}


def test_versions_count_per_name_and_are_never_given_twice(workspace: Workspace, publish: Publish) -> None:
    labels = [publish(workspace, name).label for name in ("ease", "als", "ease", "ease")]
    assert labels == ["ease@1", "als@1", "ease@2", "ease@3"]
    workspace.delete_model(workspace.resolve_model("ease@3"))
    workspace.delete_model(workspace.resolve_model("ease@1"))
    assert publish(workspace).label == "ease@4"
    for record in workspace.models("ease"):
        workspace.delete_model(record)
    assert publish(workspace).label == "ease@5"
    assert [record.label for record in workspace.models()] == ["ease@5", "als@1"]


def active_labels(workspace: Workspace) -> list[str]:
    return [record.label for record in workspace.models() if record.active]


def test_exactly_one_version_of_a_name_is_active(workspace: Workspace, publish: Publish) -> None:
    for _ in range(3):
        publish(workspace)
    assert active_labels(workspace) == ["ease@3"]
    rolled_back = workspace.activate_model(workspace.resolve_model("ease@1"))
    assert rolled_back.active
    assert active_labels(workspace) == ["ease@1"]
    publish(workspace, activate=False)
    assert active_labels(workspace) == ["ease@1"]
    workspace.delete_model(workspace.resolve_model("ease@2"))
    assert active_labels(workspace) == ["ease@1"]
    workspace.delete_model(rolled_back)
    assert active_labels(workspace) == ["ease@4"]
    with pytest.raises(RecordNotFound):
        workspace.activate_model(rolled_back)
    assert active_labels(workspace) == ["ease@4"]


def test_first_version_is_active_even_when_not_asked_for(workspace: Workspace, publish: Publish) -> None:
    publish(workspace, activate=False)
    assert active_labels(workspace) == ["ease@1"]


def test_models_resolve_by_name_version_and_id(workspace: Workspace, publish: Publish) -> None:
    first, second, other = publish(workspace), publish(workspace), publish(workspace, "my ease")
    workspace.activate_model(first)
    assert workspace.resolve_model("ease").id == first.id
    for text in ("ease@2", "ease v2", " ease @ v2 ", second.id, second.id[:8]):
        assert workspace.resolve_model(text).id == second.id, text
    assert workspace.resolve_model("my ease v1").id == other.id


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("ease@7", r'Model "ease" has no version 7; it has v1, v2 active\.'),
        (
            "eaze",
            r'There is no model "eaze"\. Did you mean "ease"\? There is: ease \(v1, v2 active\), als \(v1 active\)\.',
        ),
        ("qqq@1", r'There is no model "qqq@1"\. There is: ease'),
    ],
)
def test_unknown_model_lists_what_there_is(workspace: Workspace, publish: Publish, wanted: str, said: str) -> None:
    for name in ("ease", "ease", "als"):
        publish(workspace, name)
    with pytest.raises(RecordNotFound, match=said):
        workspace.resolve_model(wanted)


@pytest.mark.parametrize("name", ["", "   ", "a\nb", "a\x00b", "x" * 201, "ease@3", "ease v3"])
def test_names_that_cannot_be_shown_or_told_from_a_version_are_refused(
    workspace: Workspace, publish: Publish, name: str
) -> None:
    with pytest.raises(InvalidName):
        publish(workspace, name)
    assert workspace.models() == []
    assert list((workspace.path / "models").iterdir()) == []


def test_data_sets_have_no_versions_so_their_names_may_look_like_one(workspace: Workspace) -> None:
    record = publish_dataset(workspace, "aaaaaaaa11", "MovieLens v2")
    assert workspace.resolve_dataset("MovieLens v2") == record


@pytest.mark.parametrize("fingerprint", ["", "..", "a/b", "a\\b", "x" * 129, "ü", ".partial-a"])
def test_fingerprints_that_cannot_name_a_folder_are_refused(workspace: Workspace, fingerprint: str) -> None:
    with pytest.raises(InvalidName):
        publish_dataset(workspace, fingerprint, "movies")
    assert workspace.datasets() == []


def test_evaluation_keeps_figures_files_and_intervals(workspace: Workspace) -> None:
    metrics = [
        MetricRecord("ease", "ndcg", 0.262, k=10, low=0.25, high=0.27, model_id="aaaaaaaaaaaa"),
        MetricRecord("bias", "rmse", 0.87),
        MetricRecord("bias", "ndcg", math.nan, k=10),
    ]
    with workspace.publish_evaluation(
        dataset_fingerprint="ab12",
        split={"kind": "random", "fraction": 0.2},
        seed=42,
        k=10,
        payload={"users": 610},
        metrics=metrics,
    ) as publication:
        (publication.folder / "per_user.csv").write_text("user,ndcg@10\n1,0.5\n")
    record = publication.record
    assert workspace.evaluations() == [record]
    assert workspace.evaluation(record.id[:6]) == record
    assert (record.split, record.seed, record.k) == ({"kind": "random", "fraction": 0.2}, 42, 10)
    assert record.payload == {"users": 610}
    stored = workspace.metrics(record)
    assert [(m.algorithm, m.metric, m.k, m.low, m.high, m.model_id) for m in stored] == [
        (m.algorithm, m.metric, m.k, m.low, m.high, m.model_id) for m in metrics
    ]
    assert {m.evaluation_id for m in stored} == {record.id}
    assert stored[0].value == 0.262
    assert math.isnan(stored[2].value)
    assert (workspace.folder_of(record) / "per_user.csv").read_text().endswith("1,0.5\n")
    workspace.delete_evaluation(record)
    assert workspace.evaluations() == []
    assert workspace.metrics(record) == []
    with pytest.raises(RecordNotFound, match="compare algorithms first"):
        workspace.evaluation(record.id)


def test_interactions_are_kept_in_time_order_and_filtered(workspace: Workspace) -> None:
    now = time.time()
    given = [
        InteractionRecord("u1", "i1", "rate", 4.5, now + 1, "ab12"),
        InteractionRecord("u1", "i2", "dwell", 12.0, now, "ab12"),
        InteractionRecord("u2", "i1", "like", None, now + 2, None),
        InteractionRecord("u1", "i1", "dismiss", None, now + 1, "ab12"),
    ]
    workspace.add_interactions(given)
    assert workspace.interactions() == [given[1], given[0], given[3], given[2]]
    assert workspace.interactions(person="u1", kind="rate") == [given[0]]
    assert workspace.interactions(item="i1", since=now + 2) == [given[2]]
    assert workspace.interactions(dataset_fingerprint="ab12", since=now + 1) == [given[0], given[3]]
    with pytest.raises(ValueError, match="'stare' is no interaction"):
        workspace.add_interactions([given[0], InteractionRecord("u", "i", "stare", None, now)])  # type: ignore[arg-type]
    assert len(workspace.interactions()) == 4


def test_settings_keep_any_json(workspace: Workspace, folder: Path) -> None:
    workspace.set_setting("threads", 2)
    workspace.set_setting("window", {"size": [1280, 800], "theme": "dark", "ü": None})
    workspace.set_setting("threads", 4)
    assert workspace.setting("threads") == 4
    assert workspace.setting("unknown", "default") == "default"
    workspace.close()
    with Workspace.open(folder) as reopened:
        assert reopened.settings() == {"threads": 4, "window": {"size": [1280, 800], "theme": "dark", "ü": None}}
        reopened.delete_setting("threads")
        reopened.delete_setting("threads")
        assert reopened.setting("threads") is None
    with pytest.raises(TypeError, match="cannot be kept as JSON"), Workspace.open(folder) as reopened:
        reopened.set_setting("bad", object())
