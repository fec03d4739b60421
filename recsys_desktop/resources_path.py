"""Find the folders that travel with the application: icons and templates, and the sample data."""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path

_REPOSITORY = Path(__file__).resolve().parent.parent


@cache
def bundled_folder(name: str) -> Path:
    """Return the folder ``resources`` or ``sample_data``, wherever this installation keeps it.

    A wheel maps both into the package (``recsys_desktop.resources``); an editable installation and a checkout
    have them beside the package. Raises ``FileNotFoundError`` naming both places when neither exists.
    """
    places = [_REPOSITORY / name]
    specification = importlib.util.find_spec(f"recsys_desktop.{name}")
    if specification is not None and specification.submodule_search_locations:
        places = [Path(place) for place in specification.submodule_search_locations] + places
    for place in places:
        if place.is_dir():
            return place
    looked = " nor ".join(str(place) for place in places)
    raise FileNotFoundError(f"The folder '{name}' of RecSys Desktop is neither in {looked}. Install it again.")


def resource_path(*parts: str) -> Path:
    """Return the path of one file inside ``resources``, for example ``resource_path("icons", "start.svg")``."""
    return bundled_folder("resources").joinpath(*parts)
