"""Kill a process again and again while it writes to a workspace, and check that nothing earlier is ever lost.

    python benchmarks/kill_workspace.py [--kills 60] [--scenarios writer,import,train] [--seed 1] [--keep FOLDER]

Three processes are killed (SIGKILL, or TerminateProcess on Windows), the kills shared out evenly:

- `writer` does nothing but publish and delete data sets and models of many small files, log figures and keep settings,
  and notes in a journal outside the workspace what was done;
- `import` is `recsys-desktop data import` of a new file each time;
- `train` is `recsys-desktop train popularity` on data imported before.

Half of the kills come at a moment drawn from the whole life of the process, half within 100 ms of the first sight of a
folder in the making. After each kill the workspace is opened for reading (everything listed must be whole, before
anything was cleared up) and for writing (what was there before must still be there, the dead run must be marked, at
most the one artifact in the making may have been added, nothing half-written may remain). Prints a table; exits with 1
if anything was violated.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

from recsys_desktop.workspace import (  # noqa: E402 (the script also runs from a checkout that is not installed)
    DatasetRecord,
    ModelRecord,
    RecordNotFound,
    RunValue,
    Workspace,
    WorkspaceError,
    WorkspaceNotFound,
)

Record = DatasetRecord | ModelRecord

SCENARIOS = ("writer", "import", "train")
ARTIFACT_FOLDERS = ("datasets", "models", "reports")
UNFINISHED = (".partial-", ".deleting-")
LONGEST_AIM_SECONDS = 0.1
LONGEST_LIFE_SECONDS = 120.0


@dataclass
class Tally:
    """What one scenario has seen."""

    scenario: str
    kills: int = 0
    ended_first: int = 0
    hit_unfinished: int = 0
    died_runs: int = 0
    swept: int = 0
    published: int = 0
    violations: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Known:
    """What is in a workspace, each artifact with the digests of its files, independent of its own checksums."""

    artifacts: dict[str, str]
    ended_runs: dict[str, str]


def key_of(record: Record) -> str:
    """One text for any artifact, the same before and after a kill."""
    if isinstance(record, DatasetRecord):
        return f"data set {record.fingerprint}"
    return f"model {record.label} {record.id}"


def digest_of(folder: Path) -> str:
    """A digest over names and contents of all files of a folder."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def listed(workspace: Workspace) -> list[Record]:
    """Every data set and model that the workspace shows."""
    return [*workspace.datasets(), *workspace.models()]


def look(folder: Path) -> Known:
    """What is known of a workspace between two kills; nothing, where there is none yet."""
    try:
        with Workspace.open(folder, mode="read") as workspace:
            return Known(
                {key_of(record): digest_of(workspace.folder_of(record)) for record in listed(workspace)},
                {run.id: run.state for run in workspace.runs() if run.state != "running"},
            )
    except WorkspaceNotFound:
        return Known({}, {})


def examine_as_found(folder: Path) -> Iterator[str]:
    """What a reader who comes before any writer must not see: an artifact that is listed and not whole."""
    try:
        with Workspace.open(folder, mode="read") as workspace:
            for record in listed(workspace):
                try:
                    workspace.verify(record)
                except WorkspaceError as error:
                    yield f"a reader was shown {key_of(record)}, but {error}"
    except WorkspaceNotFound:
        return


def examine(folder: Path, before: Known, tally: Tally, may_vanish: frozenset[str] = frozenset()) -> Iterator[str]:
    """Open as the next start would, and say everything that is wrong.

    before: what was there when the killed process started. may_vanish: what it may rightly have deleted.
    """
    yield from examine_as_found(folder)
    with Workspace.open(folder) as workspace:
        recovery = workspace.recovery
        tally.died_runs += len(recovery.died_runs)
        tally.swept += len(recovery.swept)
        now = {key_of(record): digest_of(workspace.folder_of(record)) for record in listed(workspace)}
        for key, digest in before.artifacts.items():
            if key not in now:
                if key not in may_vanish:
                    yield f"{key} is lost"
            elif now[key] != digest:
                yield f"{key} is no longer what it was"
        if len(recovery.died_runs) > 1:
            yield f"{len(recovery.died_runs)} runs died where one process was killed"
        if workspace.runs(state="running"):
            yield "a run of a dead process is still called running"
        states = {run.id: run.state for run in workspace.runs()}
        for run_id, state in before.ended_runs.items():
            if states.get(run_id) != state:
                yield f"run {run_id} was {state} and is {states.get(run_id)}"
        for description in (*recovery.missing, *recovery.unlisted):
            yield f"missing or unlisted: {description}"
        yield from workspace.check().problems
        for kind in ARTIFACT_FOLDERS:
            for path in (folder / kind).iterdir():
                if path.name.startswith(UNFINISHED):
                    yield f"{path} was left behind"
        for name in {record.name for record in workspace.models()}:
            versions = workspace.models(name)
            if sum(record.active for record in versions) != 1:
                yield f"{sum(record.active for record in versions)} versions of {name} are active"


def unfinished_folders(folder: Path) -> bool:
    """Whether an artifact is in the making or being removed at this moment."""
    for kind in ARTIFACT_FOLDERS:
        try:
            if any(name.startswith(UNFINISHED) for name in os.listdir(folder / kind)):  # noqa: PTH208 (speed)
                return True
        except FileNotFoundError:
            continue
    return False


def environment() -> dict[str, str]:
    """The environment of a child: the checkout first, one thread."""
    path = os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "plugins"), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}


def kill_at_random(
    command: Sequence[str], folder: Path, life_seconds: float, randomness: random.Random, tally: Tally
) -> int | None:
    """Start a process, kill it at a random moment; its exit code where it ended by itself before, else None."""
    aimed = randomness.random() < 0.5
    deadline = time.monotonic() + (LONGEST_LIFE_SECONDS if aimed else randomness.uniform(0, life_seconds))
    delay = LONGEST_AIM_SECONDS * randomness.random() ** 2  # most of them early, before a small model is in its place
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environment())
        while time.monotonic() < deadline and process.poll() is None:
            if aimed and unfinished_folders(folder):
                time.sleep(delay)
                break
            time.sleep(0.0005)
        process.kill()
        code = process.wait()
        if code > 0:
            output.seek(0)
            tally.violations.append(f"{' '.join(command[1:])} failed: {output.read().decode()[-2000:]}")
    tally.kills += 1
    tally.hit_unfinished += unfinished_folders(folder)
    if code == 0:
        tally.ended_first += 1
        return 0
    return code if code > 0 else None


def run_writer(folder: Path, journal: Path, seed: int) -> None:
    """The process of the scenario `writer`: works until it is killed; the journal says what has been done."""
    randomness = random.Random(seed)
    descriptor = os.open(journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def note(**entry: Any) -> None:
        os.write(descriptor, json.dumps(entry).encode() + b"\n")

    def write_files(target: Path) -> None:
        for part in range(randomness.randint(3, 12)):
            (target / f"part{part % 3}").mkdir(exist_ok=True)
            with (target / f"part{part % 3}" / f"{part}.bin").open("wb", buffering=0) as file:
                for _ in range(randomness.randint(1, 20)):
                    file.write(randomness.randbytes(2000))

    os.write(descriptor, b"\n")
    with Workspace.open(folder) as workspace:
        counter = int(workspace.setting("counter", 0))
        while True:
            counter += 1
            run = workspace.start_run("train", {"counter": counter})
            for step in range(3):
                workspace.append_run_values(run.id, [RunValue(step, "loss", 1 / (step + 1), time.time())] * 10)
                note(values=run.id, count=10 * (step + 1))
            with workspace.publish_dataset(
                f"{seed:08x}-{counter:08x}", name="data", n_users=1, n_items=1, n_interactions=1
            ) as data:
                write_files(data.folder)
            note(published=key_of(data.record), digest=digest_of(data.folder))
            with workspace.publish_model(f"model{counter % 2}", algorithm="none", params={}, run_id=run.id) as model:
                write_files(model.folder)
            note(published=key_of(model.record), digest=digest_of(model.folder))
            workspace.end_run(run.id, "done")
            note(ended=run.id)
            workspace.set_setting("counter", counter)
            note(counter=counter)
            for old in workspace.models()[4:]:
                note(deleting=key_of(old))
                workspace.delete_model(old)
                note(deleted=key_of(old))
            for old_data in workspace.datasets()[3:]:
                note(deleting=key_of(old_data))
                workspace.delete_dataset(old_data)
                note(deleted=key_of(old_data))


@dataclass
class Journal:
    """What the writer says it has done, over all its lives."""

    published: dict[str, str] = field(default_factory=dict)
    deleting: set[str] = field(default_factory=set)
    deleted: set[str] = field(default_factory=set)
    ended: set[str] = field(default_factory=set)
    values: dict[str, int] = field(default_factory=dict)
    counter: int = 0

    @classmethod
    def read(cls, path: Path) -> Journal:
        """Read the file. A line that a kill cut short was not said; the next life began a new line."""
        journal = cls()
        for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
            if not line.endswith("}"):
                continue
            entry = json.loads(line)
            if "published" in entry:
                journal.published[entry["published"]] = entry["digest"]
            elif "deleting" in entry:
                journal.deleting.add(entry["deleting"])
            elif "deleted" in entry:
                journal.deleted.add(entry["deleted"])
            elif "ended" in entry:
                journal.ended.add(entry["ended"])
            elif "values" in entry:
                journal.values[entry["values"]] = entry["count"]
            else:
                journal.counter = entry["counter"]
        return journal


def examine_writer(folder: Path, journal: Journal, before: Known) -> Iterator[str]:
    """Compare the workspace with what its writer had been told was done."""
    with Workspace.open(folder, mode="read") as workspace:
        now = {key_of(record): digest_of(workspace.folder_of(record)) for record in listed(workspace)}
        for key, digest in journal.published.items():
            if key not in journal.deleting and key not in now:
                yield f"{key} was published and is lost"
            if key in now and now[key] != digest:
                yield f"{key} is not what was published"
        yield from (f"{key} was deleted and is back" for key in sorted(journal.deleted & now.keys()))
        unsaid = sorted(now.keys() - journal.published.keys() - before.artifacts.keys())
        if len(unsaid) > 1:
            yield f"several artifacts appeared that nobody had finished: {', '.join(unsaid)}"
        for run_id in journal.ended:
            if workspace.run(run_id).state != "done":
                yield f"run {run_id} had ended and is {workspace.run(run_id).state}"
        for run_id, count in journal.values.items():
            try:
                stored = len(workspace.run_values(run_id))
            except RecordNotFound:
                stored = 0
            if stored < count:
                yield f"run {run_id} had logged {count} values and has {stored}"
        counter = int(workspace.setting("counter", 0))
        if not journal.counter <= counter <= journal.counter + 1:
            yield f"the setting was {journal.counter} and is {counter}"
        labels = [key.split(" ")[1] for key in journal.published if key.startswith("model ")]
        if len(set(labels)) != len(labels):
            yield "a version number was given twice"


def kill_writer(folder: Path, kills: int, randomness: random.Random, tally: Tally) -> None:
    """The scenario `writer`: one workspace through all the kills."""
    journal_file = folder.with_name(f"{folder.name}-journal.jsonl")
    for _ in range(kills):
        before = look(folder)
        command = [
            sys.executable,
            __file__,
            "--writer",
            str(folder),
            str(journal_file),
            str(randomness.getrandbits(32)),
        ]
        kill_at_random(command, folder, 1.5, randomness, tally)
        journal = Journal.read(journal_file)
        tally.published = len(journal.published)
        if not (folder / "workspace.lock").exists():
            continue
        tally.violations += examine(folder, before, tally, frozenset(journal.deleting))
        tally.violations += examine_writer(folder, journal, before)


def write_ratings(path: Path, randomness: random.Random, n_rows: int = 30_000) -> None:
    """A file of ratings unlike any other."""
    with path.open("w", encoding="utf-8") as file:
        file.write("user_id,item_id,rating,timestamp\n")
        for row in range(n_rows):
            user, item = int(randomness.paretovariate(0.5)) % 997, int(randomness.paretovariate(0.4)) % 1999
            file.write(f"u{user},i{item},{randomness.randint(1, 10) / 2},{1_600_000_000 + row * 60}\n")


def command_line(folder: Path, *arguments: str) -> list[str]:
    """A call of the program on a workspace."""
    return [sys.executable, "-m", "recsys_desktop", "--workspace", str(folder), *arguments]


def timed(command: Sequence[str]) -> float:
    """Run a command to its end; seconds it took. Ends the benchmark where the command fails."""
    start = time.monotonic()
    finished = subprocess.run(command, capture_output=True, text=True, env=environment(), check=False)
    if finished.returncode:
        raise SystemExit(f"{' '.join(command[1:])} does not work:\n{finished.stdout}{finished.stderr}")
    return time.monotonic() - start


def kill_command(
    folder: Path, kills: int, randomness: random.Random, tally: Tally, next_command: Callable[[int], list[str]]
) -> None:
    """Kill a command of the program `kills` times; each call that ends by itself must have added one artifact."""
    life_seconds = timed(next_command(-1))
    for kill in range(kills):
        before = look(folder)
        code = kill_at_random(next_command(kill), folder, 1.1 * life_seconds, randomness, tally)
        tally.violations += examine(folder, before, tally)
        added = look(folder).artifacts.keys() - before.artifacts.keys()
        tally.published += len(added)
        if len(added) > 1 or (code == 0 and len(added) != 1):
            tally.violations.append(f"{len(added)} artifacts were added by one command that ended with {code}")


def kill_import(folder: Path, kills: int, randomness: random.Random, tally: Tally) -> None:
    """The scenario `import`."""
    source = folder.with_name("ratings.csv")

    def next_command(kill: int) -> list[str]:
        write_ratings(source, randomness)
        return command_line(folder, "data", "import", str(source), "--name", f"data {kill}")

    kill_command(folder, kills, randomness, tally, next_command)


def kill_train(folder: Path, kills: int, randomness: random.Random, tally: Tally) -> None:
    """The scenario `train`."""
    source = folder.with_name("ratings.csv")
    write_ratings(source, randomness)
    timed(command_line(folder, "data", "import", str(source), "--name", "ratings"))
    kill_command(
        folder,
        kills,
        randomness,
        tally,
        lambda _: command_line(folder, "train", "popularity", "--data", "ratings"),
    )


def print_table(tallies: Sequence[Tally]) -> None:
    """The outcome, a line for each scenario."""
    columns = ("scenario", "kills", "mid-write", "ended first", "published", "died runs", "swept", "violations")
    print(" ".join(f"{column:>11}" for column in columns))
    for tally in tallies:
        row = (
            tally.scenario,
            tally.kills,
            tally.hit_unfinished,
            tally.ended_first,
            tally.published,
            tally.died_runs,
            tally.swept,
            len(tally.violations),
        )
        print(" ".join(f"{cell:>11}" for cell in row))
    for tally in tallies:
        for violation in tally.violations:
            print(f"VIOLATION ({tally.scenario}): {violation}")


@contextmanager
def working_folder(keep: Path | None) -> Iterator[Path]:
    """Where the workspaces are: a folder that is removed afterwards, or one to look at."""
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        yield keep
        return
    folder = Path(tempfile.mkdtemp(prefix="recsys-desktop-kill-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the scenarios and print the table; 1 where something was violated, else 0."""
    if arguments is None and sys.argv[1:2] == ["--writer"]:
        run_writer(Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=60, help="how many processes to kill in all")
    parser.add_argument("--scenarios", default=",".join(SCENARIOS), help="which of them, separated by commas")
    parser.add_argument("--seed", type=int, default=1, help="for the moments of the kills")
    parser.add_argument("--keep", type=Path, help="work in this folder and leave it")
    options = parser.parse_args(arguments)
    chosen = options.scenarios.split(",")
    if unknown := sorted(set(chosen) - set(SCENARIOS)):
        parser.error(f"unknown scenario '{unknown[0]}'; there are {', '.join(SCENARIOS)}")
    logging.getLogger("recsys_desktop").setLevel(logging.ERROR)  # each death is counted, not told
    scenarios = {"writer": kill_writer, "import": kill_import, "train": kill_train}
    tallies = []
    with working_folder(options.keep) as folder:
        for position, name in enumerate(chosen):
            tally = Tally(name)
            tallies.append(tally)
            share = options.kills // len(chosen) + (position < options.kills % len(chosen))
            (folder / name).mkdir()
            scenarios[name](folder / name / "workspace", share, random.Random(f"{options.seed} {name}"), tally)
    print_table(tallies)
    return int(any(tally.violations for tally in tallies))


if __name__ == "__main__":
    sys.exit(main())
