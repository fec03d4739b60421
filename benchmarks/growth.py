"""How time and memory of a fit grow with the data: made data of MovieLens-100K, -1M and -10M size, beside the forecast.

    python benchmarks/growth.py ease item-knn [--sizes 100k,1m,10m] [--set factors=64] [--threads 2] [--markdown]

Each fit runs in a process of its own (`recsys_desktop.api.testing.measure_fit`), after a small one that compiles.
Seconds are wall time and, beside it, processor time of all threads, which is the steadier on a busy machine. Memory is
the peak above the start of the fit. `--set` goes to every algorithm named.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.headless_run import installed_algorithms
from recsys_desktop.api import DataShape
from recsys_desktop.api.testing import Measurement, measure_fit

SIZES = {
    "100k": DataShape(943, 1682, 100_000),
    "1m": DataShape(6_040, 3_700, 1_000_000),
    "10m": DataShape(70_000, 10_700, 10_000_000),
}
PATIENCE_SECONDS = 3600.0


def main() -> None:
    """Read the arguments, measure, print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("algorithms", nargs="+", choices=sorted(installed_algorithms()))
    parser.add_argument("--sizes", default="100k,1m", help=f"some of {','.join(SIZES)}")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", dest="settings")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--markdown", action="store_true")
    arguments = parser.parse_args()
    if bad := [text for text in arguments.settings if "=" not in text]:
        parser.error(f"--set takes NAME=VALUE, not '{bad[0]}'")
    params = dict(text.split("=", 1) for text in arguments.settings)
    for algorithm in arguments.algorithms:
        for size in arguments.sizes.split(","):
            found = measure_fit(
                installed_algorithms()[algorithm],
                SIZES[size],
                params,
                threads=arguments.threads,
                time_limit=PATIENCE_SECONDS,
            )
            print(_line(algorithm, size, found, arguments.markdown), flush=True)


def _line(algorithm: str, size: str, found: Measurement, markdown: bool) -> str:
    cells = (
        algorithm,
        size,
        f"{found.seconds:.2f} s",
        f"{found.processor_seconds:.2f} s",
        f"{found.peak_bytes / 2**20:.0f} MiB",
        f"{found.forecast.seconds:.2f} s",
        f"{found.forecast.memory_bytes / 2**20:.0f} MiB",
    )
    return "| " + " | ".join(cells) + " |" if markdown else "  ".join(f"{cell:<16s}" for cell in cells)


if __name__ == "__main__":
    main()
