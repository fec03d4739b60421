"""The folders in which running work keeps what it needs to resume; those of killed runs stay until they are resumed."""

from collections.abc import Collection
from pathlib import Path

from recsys_desktop.workspace.artifacts import check_folder_name, discard
from recsys_desktop.workspace.durable import rename
from recsys_desktop.workspace.errors import storage_errors

CHECKPOINTS_FOLDER = "checkpoints"

KEPT_CHECKPOINTS = 3
"""Of how many killed runs the checkpoints are kept, the latest ones."""


class CheckpointFolders:
    """``<parent>/<run id>`` for each run that keeps checkpoints. What lies in one is the run's own affair."""

    def __init__(self, parent: Path) -> None:
        self.parent = parent

    def create(self, run_id: str) -> Path:
        """Make the folder of a run. Raises ``WorkspaceFull`` or ``WorkspaceReadOnly`` where the disk refuses."""
        folder = self._folder(run_id)
        with storage_errors(folder):
            folder.mkdir(parents=True)
        return folder

    def hand_over(self, from_run: str, to_run: str) -> Path:
        """Let a run take over the folder of the one that it resumes."""
        folder = self._folder(to_run)
        with storage_errors(folder):
            rename(self._folder(from_run), folder)
        return folder

    def holds(self, run_id: str) -> bool:
        """Whether a run has left a checkpoint."""
        return any(path.is_file() for path in self._folder(run_id).rglob("*"))

    def discard(self, run_id: str) -> None:
        """Remove the folder of a run, where it has one."""
        discard(self._folder(run_id))

    def sweep(self, kept: Collection[str]) -> list[Path]:
        """Remove every folder but those of these runs, and say which."""
        if not self.parent.is_dir():
            return []
        doomed = sorted(path for path in self.parent.iterdir() if path.name not in kept)
        for path in doomed:
            discard(path)
        return doomed

    def _folder(self, run_id: str) -> Path:
        return self.parent / check_folder_name(run_id)
