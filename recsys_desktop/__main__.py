"""Entry point of `recsys-desktop` and `python -m recsys_desktop`."""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command line; without a verb it opens the window. Returns the exit code."""
    from recsys_desktop.cli.app import run

    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
