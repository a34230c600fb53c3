"""Runs conformance cases against a server: `python -m tests.conformance.run --family store --serve`.

Rules: each failing case is told with what is wrong, and at the end how many passed and failed; the exit code is 1 when
one failed that is not known to, or passed that is known to fail. Families are the files under `cases/`.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import click

from tests.conformance.case import FOLDER, Case, read_cases
from tests.conformance.check import problems_of
from tests.conformance.own import own_targets
from tests.conformance.target import MakeTarget, remote_target

EXPECTED: Final = Path(__file__).with_name("expected.toml")


class Outcome(NamedTuple):
    """A case, and what was wrong."""

    case: Case
    problems: list[str]


def known_failures(family: str) -> dict[str, str]:
    """The cases that fail for a reason that is known, and the reason."""
    reasons: dict[str, str] = tomllib.loads(EXPECTED.read_text(encoding="utf-8")).get(family, {})
    return reasons


def run_cases(cases: Iterable[Case], make_target: MakeTarget) -> Iterator[Outcome]:
    """Run cases, each on an empty store."""
    for case in cases:
        with make_target(case) as target:
            yield Outcome(case, problems_of(case, target))


def families() -> list[str]:
    """What there are cases of."""
    return sorted(file.stem for file in FOLDER.glob("*.jsonl"))


def arguments_of(words: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.conformance.run", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--family", choices=families(), default="store", help="which API (default: store)")
    parser.add_argument("--serve", action="store_true", help="start a server of our own")
    parser.add_argument("--base", help="the URL of a server, with the path of its app")
    parser.add_argument("--key-file", type=Path, help="the file with an API key that may do everything")
    parser.add_argument("--only", default="", help="a regular expression that names of cases must hold")
    parser.add_argument("--json", action="store_true", help="one JSON object a case")
    parser.add_argument("cases", nargs="?", type=Path, help="a file of cases (default: the family's)")
    arguments = parser.parse_args(words)
    if arguments.serve == (arguments.base is not None) or (arguments.base and not arguments.key_file):
        parser.error("give --serve, or --base URL and --key-file FILE")
    return arguments


def main(words: Sequence[str]) -> int:
    """Run the command line; the exit code."""
    arguments = arguments_of(words)
    if arguments.serve:
        with own_targets() as make_target:
            return tell_all(arguments, make_target)
    key = arguments.key_file.read_text(encoding="utf-8").strip()
    return tell_all(arguments, remote_target(arguments.base, key))


def tell_all(arguments: argparse.Namespace, make_target: MakeTarget) -> int:
    """Run the cases that are asked for, and print what came of each."""
    path = arguments.cases or FOLDER / f"{arguments.family}.jsonl"
    cases = [case for case in read_cases(path) if re.search(arguments.only, case.name)]
    known = known_failures(arguments.family)
    failed = unknown = recovered = 0
    for case, problems in run_cases(cases, make_target):
        failed += bool(problems)
        unknown += bool(problems) and case.name not in known
        recovered += not problems and case.name in known
        tell(case, problems, known.get(case.name), as_json=arguments.json)
    if not arguments.json:
        click.echo(
            f"{len(cases) - failed} passed, {failed} failed" + (f", {failed - unknown} as known" if failed else "")
        )
    return int(unknown + recovered > 0)


def tell(case: Case, problems: list[str], reason: str | None, *, as_json: bool) -> None:
    """Print what came of a case."""
    if as_json:
        row = {"case": case.name, "passed": not problems, "problems": problems, "known": reason}
        click.echo(json.dumps(row))
    elif problems:
        click.echo(f"FAILED {case.api} {case.name}" + (f" (known: {reason})" if reason else ""))
        for problem in problems:
            click.echo(f"    {problem}")
    elif reason:
        click.echo(f"PASSED {case.api} {case.name}, which was known to fail: {reason}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
