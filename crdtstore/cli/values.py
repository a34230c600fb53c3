"""Values in arguments: JSON where the text is JSON, else the text itself.

Rules: JSON is read as strictly as in a request; `42` is a number, `"42"` and `basel` are strings. What is a
number to JSON and too large for a store is a text here, as everything that is not JSON.
"""

from __future__ import annotations

from collections.abc import Sequence

import click
import msgspec

from crdtstore import core
from crdtstore.crdt.value import Value
from crdtstore.errors import LimitExceeded, MalformedJson
from crdtstore.limits import JSON_DEPTH_MAX


def json_or_text(text: str) -> Value:
    """Read an argument."""
    data = text.encode("utf-8", "surrogateescape")
    try:
        core.scan_json(data, JSON_DEPTH_MAX)
    except (MalformedJson, LimitExceeded):
        return text
    value: Value = msgspec.json.decode(data)
    return value


def named_values(pairs: Sequence[str], what: str = "An --arg", example: str = "limit=10") -> dict[str, Value]:
    """Read arguments of the form `name=value`; an error says what they are, and an example."""
    values: dict[str, Value] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not name or not equals:
            raise click.UsageError(f"{what} is name=value, such as {example}; got {pair!r}.")
        values[name] = json_or_text(text)
    return values
