"""The command line as a test calls it."""

from __future__ import annotations

import json
from typing import Any

from click.testing import CliRunner, Result

from crdtstore.cli.group import crdtstore


def run(*arguments: str, given: str | bytes | None = None, code: int | None = 0) -> Result:
    """Run a command with an input, and hold it to an exit code, if there is one; what was not foreseen is raised."""
    result = CliRunner().invoke(crdtstore, arguments, input=given, catch_exceptions=False, prog_name="crdtstore")
    assert code is None or result.exit_code == code, result.output
    return result


def lines(*documents: Any) -> str:
    """Write values as JSON Lines."""
    return "".join(json.dumps(document) + "\n" for document in documents)


def documents(result: Result) -> list[Any]:
    """Read what a command printed as JSON Lines."""
    return [json.loads(line) for line in result.stdout.splitlines()]


def error_of(result: Result) -> Any:
    """Read the error that a command printed as JSON."""
    return json.loads(result.stderr)["error"]


def upsert(identifier: Any, **fields: Any) -> dict[str, Any]:
    """Write a command for the collection `c`."""
    return {"method": "upsert", "collection": "c", "id": identifier, "value": fields}
