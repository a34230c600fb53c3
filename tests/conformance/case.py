"""A case: requests that make a state, one more, and what its answer must be.

Rules: `${name}` in a text is replaced by what was captured under the name, and `${name+1}` by that number plus one; a
text that is nothing else becomes the value itself. `{"$repeat": ["x", 3]}` is the text `xxx`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

VARIABLE: Final = re.compile(r"\$\{(\w+)(?:\+(\d+))?\}")
STEP: Final = re.compile(r"\.(\w+)|\[(\d+)\]")
FOLDER: Final = Path(__file__).with_name("cases")


class Case(NamedTuple):
    """One line of a file of cases."""

    name: str
    api: str
    setup: tuple[dict[str, Any], ...]
    request: dict[str, Any]
    expect: dict[str, Any]


def read_cases(path: Path) -> Iterator[Case]:
    """The cases of a file."""
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        yield Case(row["name"], row["api"], tuple(row.get("setup", ())), row["request"], row["expect"])


def fill(value: Any, known: Mapping[str, Any]) -> Any:
    """Put what is known in the place of variables."""
    if isinstance(value, str):
        whole = VARIABLE.fullmatch(value)
        return known_value(whole, known) if whole else VARIABLE.sub(lambda found: str(known_value(found, known)), value)
    if isinstance(value, list):
        return [fill(item, known) for item in value]
    if isinstance(value, dict):
        if "$repeat" in value:
            text, times = value["$repeat"]
            return text * times
        return {key: fill(item, known) for key, item in value.items()}
    return value


def known_value(found: re.Match[str], known: Mapping[str, Any]) -> Any:
    """What one variable stands for."""
    value = known[found[1]]
    return int(value) + int(found[2]) if found[2] else value


def captured(answer: Any, path: str) -> Any:
    """The value at a simple path, such as `$.results[0].transactionId`."""
    for key, index in STEP.findall(path):
        answer = answer[key] if key else answer[int(index)]
    return answer
