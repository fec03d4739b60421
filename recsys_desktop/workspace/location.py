"""Where the workspace is: an explicit folder, else the environment, else the platform's user data folder."""

import os
from pathlib import Path

ENVIRONMENT_VARIABLE = "RECSYS_DESKTOP_WORKSPACE"
APPLICATION_FOLDER = "recsys-desktop"


def workspace_folder(explicit: str | os.PathLike[str] | None = None) -> Path:
    """The absolute path of the workspace folder; nothing is created.

    An explicit folder wins over the environment variable ``RECSYS_DESKTOP_WORKSPACE``, which wins over the platform's
    user data folder. ``~`` is expanded; an empty text counts as not given.
    """
    chosen = os.fspath(explicit) if explicit is not None else ""
    chosen = chosen or os.environ.get(ENVIRONMENT_VARIABLE, "")
    if not chosen.strip():
        import platformdirs

        chosen = platformdirs.user_data_dir(APPLICATION_FOLDER, appauthor=False)
    return Path(chosen).expanduser().absolute()
