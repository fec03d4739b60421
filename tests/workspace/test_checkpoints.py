"""The folders of running work: whose stay when a process is killed, and when they go."""

from pathlib import Path

from recsys_desktop.workspace import Workspace
from recsys_desktop.workspace.checkpoints import KEPT_CHECKPOINTS


def interrupted(workspace: Workspace, content: bytes | None = b"state") -> str:
    """A run that has begun to keep checkpoints and is not ended; with None it has not written one yet."""
    run = workspace.start_run("train", {"algorithm": "ncf"})
    folder = workspace.checkpoints.create(run.id)
    if content is not None:
        (folder / "fit").mkdir()
        (folder / "fit" / "training.safetensors").write_bytes(content)
    return run.id


def test_a_killed_run_can_be_resumed_where_it_left_a_checkpoint(workspace: Workspace, folder: Path) -> None:
    left = interrupted(workspace)
    empty = interrupted(workspace, None)
    workspace.close()
    with Workspace.open(folder) as reopened:
        assert [run.id for run in reopened.resumable_runs()] == [left]
        assert f"train --resume {left}" in (reopened.run(left).error or "")
        assert "start it again" in (reopened.run(empty).error or "")
        assert [path.name for path in (folder / "checkpoints").iterdir()] == [left]


def test_a_reader_tells_a_killed_run_from_one_at_work(workspace: Workspace, folder: Path) -> None:
    left = interrupted(workspace)
    with Workspace.open(folder, "read") as reader:
        assert reader.resumable_runs() == [] == workspace.resumable_runs()
        workspace.close()
        assert [run.id for run in reader.resumable_runs()] == [left]
        with Workspace.open(folder) as writer:
            at_work = interrupted(writer)
            assert [run.id for run in reader.resumable_runs()] == [left]
            assert [run.id for run in writer.resumable_runs()] == [left]
        assert [run.id for run in reader.resumable_runs()] == [at_work, left]


def test_a_resuming_run_takes_the_folder_over(workspace: Workspace, folder: Path) -> None:
    left = interrupted(workspace)
    workspace.close()
    with Workspace.open(folder) as reopened:
        next_run = reopened.start_run("train", {"algorithm": "ncf", "resumes": left})
        place = reopened.checkpoints.hand_over(left, next_run.id)
        reopened.note_resumed(left, next_run.id)
        assert (place / "fit" / "training.safetensors").read_bytes() == b"state"
        assert reopened.resumable_runs() == []
        assert next_run.id in (reopened.run(left).error or "")
        reopened.checkpoints.discard(next_run.id)
        assert not place.exists()


def test_what_belongs_to_no_killed_run_is_swept_at_opening(workspace: Workspace, folder: Path) -> None:
    ended = interrupted(workspace)
    workspace.end_run(ended, "done")
    (folder / "checkpoints" / "0123456789ab").mkdir()
    workspace.close()
    with Workspace.open(folder) as reopened:
        assert list((folder / "checkpoints").iterdir()) == []
        assert len(reopened.recovery.swept) == 2


def test_only_the_latest_killed_runs_keep_their_checkpoints(workspace: Workspace, folder: Path) -> None:
    left = [interrupted(workspace) for _ in range(KEPT_CHECKPOINTS + 2)]
    workspace.close()
    with Workspace.open(folder) as reopened:
        assert [run.id for run in reopened.resumable_runs()] == left[:1:-1]
