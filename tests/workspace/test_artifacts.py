"""Artifacts appear whole or not at all, damage is named, and a crash leaves nothing half done."""

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from recsys_desktop.workspace import (
    ArtifactDamaged,
    ArtifactExists,
    ModelRecord,
    RecordNotFound,
    Workspace,
    WorkspaceFull,
    WorkspaceReadOnly,
    artifacts,
    durable,
    rows,
)
from recsys_desktop.workspace import store as store_module

Publish = Callable[..., ModelRecord]


def visible(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def publish_dataset(workspace: Workspace, fingerprint: str = "ab12cd34", content: bytes = b"PAR1" * 100) -> None:
    with workspace.publish_dataset(fingerprint, name="movies", n_users=1, n_items=1, n_interactions=1) as publication:
        (publication.folder / "interactions.parquet").write_bytes(content)


def test_nothing_is_listed_before_the_block_has_ended(workspace: Workspace, folder: Path) -> None:
    with (
        Workspace.open(folder, mode="read") as reader,
        workspace.publish_model("ease", algorithm="ease", params={}) as publication,
    ):
        (publication.folder / "weights").write_bytes(b"1234")
        assert workspace.models() == reader.models() == []
        with pytest.raises(RuntimeError, match="not been published"):
            _ = publication.record
    assert workspace.models() == [publication.record]
    assert publication.folder == workspace.folder_of(publication.record)
    assert visible(publication.folder) == ["checksums.json", "weights"]


def test_raising_block_leaves_nothing(workspace: Workspace) -> None:
    def publish_half() -> None:
        with workspace.publish_model("ease", algorithm="ease", params={}) as publication:
            (publication.folder / "weights").write_bytes(b"1234")
            raise KeyError("the model cannot be saved")

    with pytest.raises(KeyError):
        publish_half()
    assert workspace.models() == []
    assert visible(workspace.path / "models") == []
    with pytest.raises(RecordNotFound):
        workspace.resolve_model("ease")


def test_same_data_are_published_once(workspace: Workspace) -> None:
    publish_dataset(workspace)
    with pytest.raises(ArtifactExists, match='already in the workspace, as "movies"'):
        publish_dataset(workspace)
    assert len(workspace.datasets()) == 1


def test_damaged_data_are_replaced_by_publishing_them_again(workspace: Workspace) -> None:
    publish_dataset(workspace)
    (record,) = workspace.datasets()
    file = workspace.folder_of(record) / "interactions.parquet"
    file.write_bytes(b"PAR1")
    publish_dataset(workspace)
    (replaced,) = workspace.datasets()
    workspace.verify(replaced)
    assert file.stat().st_size == 400
    assert visible(workspace.path / "datasets") == ["ab12cd34"]


@pytest.mark.parametrize("file", ["manifest.json", "member/weights.safetensors", "checksums.json"])
def test_every_damage_is_found_and_the_file_named(workspace: Workspace, publish: Publish, file: str) -> None:
    record = publish(workspace)
    path = workspace.folder_of(record) / file
    workspace.verify(record)
    original = path.read_bytes()
    path.write_bytes(original[: len(original) // 2])
    for contents in (True, False):
        with pytest.raises(ArtifactDamaged) as damage:
            workspace.verify(record, contents=contents)
        assert damage.value.path == path
        assert str(path) in str(damage.value)
    path.unlink()
    with pytest.raises(ArtifactDamaged, match="it is missing"):
        workspace.verify(record)
    path.write_bytes(original)
    workspace.verify(record)


def test_one_flipped_bit_is_found_by_its_digest(workspace: Workspace, publish: Publish) -> None:
    record = publish(workspace)
    path = workspace.folder_of(record) / "member" / "weights.safetensors"
    content = bytearray(path.read_bytes())
    content[5000] ^= 1
    path.write_bytes(content)
    workspace.verify(record, contents=False)
    with pytest.raises(ArtifactDamaged, match=r"weights\.safetensors is damaged: its contents"):
        workspace.verify(record)


def test_good_versions_skip_the_damaged(workspace: Workspace, publish: Publish) -> None:
    records = [publish(workspace) for _ in range(3)]
    publish(workspace, "other")
    (workspace.folder_of(records[2]) / "manifest.json").write_text("{")
    shutil.rmtree(workspace.folder_of(records[0]))
    assert [record.label for record in workspace.good_versions("ease")] == ["ease@2"]


@pytest.mark.skipif(os.name == "nt", reason="making links needs rights on Windows")
def test_links_are_refused_because_no_checksum_protects_them(workspace: Workspace) -> None:
    def publish_link() -> None:
        with workspace.publish_model("ease", algorithm="ease", params={}) as publication:
            (publication.folder / "weights").symlink_to("/etc/hostname")

    with pytest.raises(ValueError, match="plain files and folders only"):
        publish_link()
    assert workspace.models() == []
    assert Path("/etc/hostname").exists()


def write_model(publication: store_module.Publication[ModelRecord]) -> None:
    for part in range(4):
        (publication.folder / f"part{part}").write_bytes(b"x" * 1000)


def full_in_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    written = Path.write_bytes

    def write_bytes(path: Path, content: bytes) -> int:
        if path.name == "part2":
            written(path, content[:100])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return written(path, content)

    monkeypatch.setattr(Path, "write_bytes", write_bytes)


def full_in_a_library_of_its_own_type(monkeypatch: pytest.MonkeyPatch) -> None:
    class SafetensorError(Exception):
        pass

    def write_bytes(path: Path, content: bytes) -> int:
        raise SafetensorError('Error while serializing: IoError(Os { code: 28, kind: StorageFull, message: "..." })')

    monkeypatch.setattr(Path, "write_bytes", write_bytes)


def full_at_the_checksums(monkeypatch: pytest.MonkeyPatch) -> None:
    def write_checksums(listing: Path, checksums: object) -> None:
        listing.write_text("{")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(artifacts, "write_checksums", write_checksums)


def full_at_the_flush(monkeypatch: pytest.MonkeyPatch) -> None:
    def fsync(descriptor: int) -> None:
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    monkeypatch.setattr(os, "fsync", fsync)


def full_at_the_record(monkeypatch: pytest.MonkeyPatch) -> None:
    def insert_model(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(rows, "insert_model", insert_model)


@pytest.mark.parametrize(
    "break_disk",
    [
        full_in_the_block,
        full_in_a_library_of_its_own_type,
        full_at_the_checksums,
        full_at_the_flush,
        full_at_the_record,
    ],
)
def test_full_disk_anywhere_leaves_nothing_listed_and_nothing_lost(
    workspace: Workspace,
    publish: Publish,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    break_disk: Callable[[pytest.MonkeyPatch], None],
) -> None:
    earlier = publish(workspace)

    def publish_another() -> None:
        with workspace.publish_model("ease", algorithm="ease", params={}) as publication:
            write_model(publication)

    with monkeypatch.context() as full:
        break_disk(full)
        with pytest.raises(WorkspaceFull, match="Free some space") as raised:
            publish_another()
        assert str(folder) in str(raised.value)
    assert workspace.models() == [earlier]
    assert visible(folder / "models") == [earlier.id]
    workspace.verify(earlier)
    publish_another()
    assert workspace.resolve_model("ease").label == "ease@2"
    workspace.close()
    with Workspace.open(folder) as reopened:
        assert reopened.recovery.swept == reopened.recovery.missing == reopened.recovery.unlisted == ()
        assert [record.label for record in reopened.models()] == ["ease@2", "ease@1"]


def test_unwritable_file_inside_is_read_only_but_one_elsewhere_is_not_ours(workspace: Workspace) -> None:
    def refuse(path: Path) -> None:
        with workspace.publish_model("ease", algorithm="ease", params={}) as publication:
            raise PermissionError(errno.EACCES, "Permission denied", str(publication.folder / path))

    with pytest.raises(WorkspaceReadOnly, match=r"weights cannot be written to"):
        refuse(Path("weights"))
    with pytest.raises(PermissionError, match="ratings"):
        refuse(Path("/home/somebody/ratings.csv"))


def copy_workspace(folder: Path, target: Path) -> Path:
    """What a process killed at this moment would leave: the files as they are, with nobody holding the lock."""
    shutil.copytree(folder, target)
    return target


def test_death_at_any_step_of_a_publication_leaves_it_whole_or_absent(
    workspace: Workspace, publish: Publish, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    earlier = publish(workspace)
    moments: list[Path] = []

    def remember(function: Callable[..., object]) -> Callable[..., object]:
        def wrapped(*arguments: object, **keywords: object) -> object:
            moments.append(copy_workspace(folder, tmp_path / f"moment{len(moments)}"))
            result = function(*arguments, **keywords)
            moments.append(copy_workspace(folder, tmp_path / f"moment{len(moments)}"))
            return result

        return wrapped

    for module, name in (
        (artifacts, "seal"),
        (artifacts, "write_checksums"),
        (rows, "announce_artifact"),
        (rows, "insert_model"),
        (rows, "forget_artifact"),
        (store_module, "rename"),
    ):
        monkeypatch.setattr(module, name, remember(getattr(module, name)))
    later = publish(workspace)
    monkeypatch.undo()
    assert len(moments) == 12
    for moment in moments:
        with Workspace.open(moment, mode="read") as reader:
            assert reader.models() == [earlier], moment
        with Workspace.open(moment) as reopened:
            assert reopened.models() == [earlier], moment
            assert visible(moment / "models") == [earlier.id], moment
            assert reopened.recovery.unlisted == reopened.recovery.missing == ()
            assert publish(reopened).label == "ease@2"
            assert reopened.check().problems == ()
    assert workspace.models() == [later, workspace.resolve_model("ease@1")]


def test_death_at_any_step_of_a_deletion_removes_it_or_keeps_it_whole(
    workspace: Workspace, publish: Publish, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = publish(workspace), publish(workspace)
    moments: list[Path] = []

    def remember(function: Callable[..., object]) -> Callable[..., object]:
        def wrapped(*arguments: object, **keywords: object) -> object:
            moments.append(copy_workspace(folder, tmp_path / f"moment{len(moments)}"))
            return function(*arguments, **keywords)

        return wrapped

    for module, name in (
        (rows, "delete_model"),
        (rows, "announce_artifact"),
        (artifacts, "discard"),
        (artifacts, "rename"),
        (shutil, "rmtree"),
        (rows, "forget_artifact"),
    ):
        monkeypatch.setattr(module, name, remember(getattr(module, name)))
    workspace.delete_model(second)
    monkeypatch.undo()
    assert len(moments) == 6
    counts = []
    for moment in moments:
        with Workspace.open(moment) as reopened:
            counts.append(len(reopened.models()))
            for record in reopened.models():
                reopened.verify(record)
            assert reopened.resolve_model("ease").version == counts[-1]
            assert len(visible(moment / "models")) == counts[-1]
            assert reopened.recovery.unlisted == reopened.recovery.missing == ()
    assert counts == [2, 2, 1, 1, 1, 1]
    assert [record.id for record in workspace.models()] == [first.id]


def test_half_written_and_half_removed_folders_are_swept_at_the_next_start(workspace: Workspace, folder: Path) -> None:
    workspace.close()
    leftovers = [folder / "models" / ".partial-aa-bb", folder / "datasets" / ".deleting-cc-dd"]
    for leftover in leftovers:
        leftover.mkdir()
        (leftover / "weights").write_bytes(b"half")
    with Workspace.open(folder, mode="read") as reader:
        assert not reader.models() and not reader.datasets()
    assert all(leftover.exists() for leftover in leftovers), "a reader must not sweep"
    with Workspace.open(folder) as reopened:
        assert sorted(reopened.recovery.swept) == sorted(map(str, leftovers))
    assert not any(leftover.exists() for leftover in leftovers)


def test_a_folder_that_nobody_announced_is_neither_listed_nor_removed(
    workspace: Workspace, publish: Publish, folder: Path
) -> None:
    """Losing the database must not make the next start delete every model."""
    record = publish(workspace)
    publish_dataset(workspace)
    workspace.close()
    for file in folder.glob("workspace.sqlite*"):
        file.unlink()
    with Workspace.open(folder) as reopened:
        assert not reopened.models() and not reopened.datasets()
        assert len(reopened.recovery.unlisted) == 2
        assert (folder / "models" / record.id / "manifest.json").is_file()
        assert any(record.id in problem for problem in reopened.check().problems)
        publish_dataset(reopened, content=b"again")
        (aside,) = (folder / "datasets").glob(".unlisted-*")
        assert (aside / "interactions.parquet").read_bytes() == b"PAR1" * 100
        assert len(reopened.datasets()) == 1


def test_record_without_its_folder_is_not_listed_and_another_version_takes_over(
    workspace: Workspace, publish: Publish, folder: Path
) -> None:
    records = [publish(workspace) for _ in range(3)]
    shutil.rmtree(workspace.folder_of(records[2]))
    assert [record.label for record in workspace.models()] == ["ease@2", "ease@1"]
    assert workspace.resolve_model("ease").label == "ease@2"
    workspace.close()
    with Workspace.open(folder) as reopened:
        assert len(reopened.recovery.missing) == 1
        assert "ease@3" in reopened.recovery.missing[0]
        assert [record.label for record in reopened.models() if record.active] == ["ease@2"]
        assert any("ease@3" in problem for problem in reopened.check().problems)
        assert publish(reopened).label == "ease@4"


def test_run_whose_process_died_is_marked_at_the_next_writing_start(workspace: Workspace, folder: Path) -> None:
    died = workspace.start_run("train", {"algorithm": "ease"})
    done = workspace.end_run(workspace.start_run("import", {}).id, "done")
    workspace.close()
    with Workspace.open(folder, mode="read") as reader:
        assert reader.run(died.id).state == "running"
        assert reader.recovery.died_runs == ()
    with Workspace.open(folder) as reopened:
        (marked,) = reopened.recovery.died_runs
        assert (marked.id, marked.state, marked.finished) == (died.id, "died", None)
        assert "stopped before" in (marked.error or "")
        assert reopened.run(done.id) == done
    with Workspace.open(folder) as again:
        assert again.recovery.died_runs == ()


def test_folder_that_cannot_be_removed_yet_is_removed_at_the_next_start(
    workspace: Workspace, publish: Publish, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On Windows a model that is open elsewhere keeps its folder in place."""
    record = publish(workspace)

    def in_use(source: Path, target: Path) -> None:
        raise PermissionError(errno.EACCES, "used by another process", str(source))

    with monkeypatch.context() as windows:
        windows.setattr(artifacts, "rename", in_use)
        workspace.delete_model(record)
    assert workspace.models() == []
    assert visible(folder / "models") == [record.id]
    workspace.close()
    with Workspace.open(folder) as reopened:
        assert reopened.recovery.swept == (str(folder / "models" / record.id),)
        assert visible(folder / "models") == []


def test_rename_waits_for_whoever_holds_a_fresh_file_open_on_windows(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    pauses: list[float] = []
    refusals = iter([PermissionError(13, "in use"), PermissionError(13, "in use"), None])

    def rename_once(source: Path, target: Path) -> None:
        refusal = next(refusals)
        if refusal is not None:
            raise refusal
        source.rename(target)

    durable.rename(tmp_path / "a", tmp_path / "b", patient=True, rename_once=rename_once, pause=pauses.append)
    assert visible(tmp_path) == ["b"]
    assert pauses == [0.01, 0.02]

    def always_refused(source: Path, target: Path) -> None:
        raise PermissionError(13, "in use")

    pauses.clear()
    with pytest.raises(PermissionError):
        durable.rename(tmp_path / "b", tmp_path / "c", patient=True, rename_once=always_refused, pause=pauses.append)
    assert 4 < sum(pauses) < 12
    with pytest.raises(PermissionError):
        durable.rename(tmp_path / "b", tmp_path / "c", patient=False, rename_once=always_refused, pause=pauses.append)
    assert len(pauses) == 9


def test_health_counts_and_names_every_problem(workspace: Workspace, publish: Publish) -> None:
    record = publish(workspace)
    publish_dataset(workspace)
    health = workspace.check()
    assert health.healthy
    assert (health.n_models, health.n_datasets, health.n_evaluations, health.schema_version) == (1, 1, 0, 1)
    assert health.size_bytes > record.size_bytes
    assert health.free_bytes > 0
    weights = workspace.folder_of(record) / "member" / "weights.safetensors"
    weights.write_bytes(b"cut")
    (problem,) = workspace.check().problems
    assert str(weights) in problem
    assert "ease@1" in problem
