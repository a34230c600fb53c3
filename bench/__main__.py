"""`python -m bench S1 S2 S5`: measures the targets that are named, all of them if none is.

Rules: a row is printed as soon as its target was measured, whether its bound holds or not: the exit code is 0.
`--json` prints one object a line, else it is a table for people. Notes go to standard error. `python -m bench feeds` is
no target but a test of endurance with options of its own: see `feeds`.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence

from bench import (
    feeds,
    finds,
    growth,
    inserts,
    instructions,
    messages,
    one_field,
    point_read,
    recovery,
    served,
    sizes,
    sync,
    wakeup,
)
from bench.measure import Row

BENCHES: Mapping[str, Sequence[Callable[[int], list[Row]]]] = {
    "S1": (one_field.rows, instructions.rows),
    "S2": (messages.rows,),
    "S3": (sizes.disk_rows,),
    "S4": (sizes.heap_rows,),
    "S5": (point_read.rows,),
    "S6": (finds.indexed,),
    "S7": (finds.scanned,),
    "S8": (inserts.rows,),
    "S9": (served.rows,),
    "S11": (served.adapter_rows,),
    "S12": (wakeup.rows,),
    "S13": (sync.rows,),
    "S14": (growth.rows,),
    "recovery": (recovery.rows,),
}
ROUNDS_MIN = 5
ROUNDS_DEFAULT = 7


def main(arguments: Sequence[str] | None = None) -> None:
    """Run as a command."""
    given = sys.argv[1:] if arguments is None else arguments
    if given[:1] == ["feeds"]:
        sys.exit(feeds.main(given[1:]))
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure the speed targets.")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"{', '.join(BENCHES)}; all by default")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--rounds", type=int, default=ROUNDS_DEFAULT, metavar="N", help=f"at least {ROUNDS_MIN}")
    asked = parser.parse_args(given)
    unknown = sorted(set(asked.targets) - set(BENCHES))
    if unknown or asked.rounds < ROUNDS_MIN:
        parser.error(f"no target {unknown[0]}" if unknown else f"a median is of at least {ROUNDS_MIN} rounds")
    for target in asked.targets or BENCHES:
        for bench in BENCHES[target]:
            for row in bench(asked.rounds):
                print(json.dumps(row._asdict()) if asked.json else text_of(row), flush=True)
    print(f"Load average: {', '.join(f'{load:.1f}' for load in os.getloadavg())}.", file=sys.stderr)


def text_of(row: Row) -> str:
    """A row for people: what came out, and below it what was measured."""
    verdict = {True: "holds ", False: "MISSED", None: "      "}[row.holds]
    if row.ratio is None:
        result = f"{row.ours:,.0f} {row.unit}"
    elif row.unit == "bytes":
        result = f"{row.ours:,.0f} bytes; {row.peer}: {row.peer_value:,.0f}, {row.ratio:.2f} times as many"
    else:
        values = f"{row.ours:.3f} against {row.peer_value:.3f} {row.unit}"
        result = f"{row.ratio:.1f} times as fast as {row.peer}: {values}, {row.runs} rounds"
    return f"{verdict} {row.id:22} {result}\n{'':7}{row.what}"


if __name__ == "__main__":
    main()
