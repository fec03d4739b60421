"""Writers that are really killed, a few times; the benchmark of the same name does it more often, and to commands."""

import importlib.util
import random
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from recsys_desktop.workspace import ModelRecord, Workspace

Publish = Callable[..., ModelRecord]


@pytest.fixture(scope="module")
def kill_workspace() -> ModuleType:
    """The benchmark as a module."""
    path = Path(__file__).resolve().parents[2] / "benchmarks" / "kill_workspace.py"
    spec = importlib.util.spec_from_file_location("kill_workspace_benchmark", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_killed_writers_lose_nothing_and_leave_nothing_half_done(kill_workspace: ModuleType, tmp_path: Path) -> None:
    tally = kill_workspace.Tally("writer")
    kill_workspace.kill_writer(tmp_path / "workspace", 8, random.Random(7), tally)
    assert tally.violations == []
    assert tally.kills == 8
    assert tally.ended_first == 0
    assert tally.published > 0, "the kills came before anything was done"
    assert tally.hit_unfinished > 0, "no kill came while something was being written"
    assert tally.died_runs > 0


@pytest.mark.slow
@pytest.mark.parametrize("scenario", ["import", "train"])
def test_killed_commands_lose_nothing_and_leave_nothing_half_done(
    kill_workspace: ModuleType, tmp_path: Path, scenario: str
) -> None:
    tally = kill_workspace.Tally(scenario)
    getattr(kill_workspace, f"kill_{scenario}")(tmp_path / "workspace", 4, random.Random(3), tally)
    assert tally.violations == []
    assert tally.kills == 4
    assert tally.died_runs + tally.published > 0, "every kill came before the work had begun"


def test_the_examination_sees_what_must_never_happen(
    kill_workspace: ModuleType, workspace: Workspace, publish: Publish, folder: Path
) -> None:
    """An examination that finds nothing must be able to find something."""
    records = [publish(workspace) for _ in range(3)]
    run = workspace.end_run(workspace.start_run("train", {}).id, "done")
    workspace.close()
    before = kill_workspace.look(folder)
    tally = kill_workspace.Tally("writer")
    assert list(kill_workspace.examine(folder, before, tally)) == []

    shutil.rmtree(folder / "models" / records[0].id)
    (folder / "models" / records[1].id / "manifest.json").write_text("{}")
    (folder / "models" / "nobody").mkdir()
    with Workspace.open(folder) as broken:
        broken.delete_run(run.id)
    found = "\n".join(kill_workspace.examine(folder, before, tally))
    for said in (
        f"model ease@1 {records[0].id} is lost",
        f"a reader was shown model ease@2 {records[1].id}",
        f"model ease@2 {records[1].id} is no longer what it was",
        f"run {run.id} was done and is None",
        "nobody is known to no record",
    ):
        assert said in found, said


def test_the_writers_word_is_held_against_the_workspace(
    kill_workspace: ModuleType, workspace: Workspace, publish: Publish, folder: Path, tmp_path: Path
) -> None:
    record, run = publish(workspace), workspace.start_run("train", {})
    workspace.close()
    key = kill_workspace.key_of(record)
    journal_file = tmp_path / "journal.jsonl"
    journal_file.write_text(
        f'{{"published": "{key}", "digest": "other"}}\n'
        '{"published": "model ease@2 bbbbbbbbbbbb", "digest": "d"}\n'
        '{"published": "model ease@2 cccccccccccc", "digest": "d"}\n'
        f'{{"values": "{run.id}", "count": 10}}\n{{"ended": "{run.id}"}}\n{{"counter": 3}}\n{{"deleted": "{key}"}}\n'
        '{"published": "model ease@9 cut sho'
    )
    journal = kill_workspace.Journal.read(journal_file)
    assert len(journal.published) == 3
    found = "\n".join(kill_workspace.examine_writer(folder, journal, kill_workspace.Known({}, {})))
    for said in (
        f"{key} is not what was published",
        "model ease@2 bbbbbbbbbbbb was published and is lost",
        f"{key} was deleted and is back",
        f"run {run.id} had ended and is running",
        f"run {run.id} had logged 10 values and has 0",
        "the setting was 3 and is 0",
        "a version number was given twice",
    ):
        assert said in found, said
