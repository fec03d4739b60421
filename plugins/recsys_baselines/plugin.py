"""What this package brings: its algorithms as light specifications."""

from collections.abc import Sequence

from recsys_desktop.api import AlgorithmSpec, hookimpl


@hookimpl
def recsys_desktop_algorithms() -> Sequence[AlgorithmSpec]:
    """The algorithms of this package."""
    return ()
