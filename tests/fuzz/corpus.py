"""The kept cases: each was wrong once, or is at an edge, and is run again in every run.

Rules: `corpus/<target>/<name>` holds the bytes of one case. A case that is kept was made smaller first: parts are left
out and bytes made zero as long as it fails in the same way.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path

from tests.fuzz.engine import Finding, Target, replay

FOLDER = Path(__file__).parent / "corpus"
ATTEMPTS_MAX = 2_000
"""How many smaller cases are tried; each takes a process."""


def kept(target: Target) -> dict[str, bytes]:
    """The kept cases of a target, by name."""
    return {path.name: path.read_bytes() for path in sorted((FOLDER / target.name).glob("*"))}


def keep(finding: Finding) -> Path:
    """Write a case down."""
    words = re.sub(r"[^a-z]+", "-", finding.what.partition(":")[0].lower()).strip("-")[:30]
    folder = FOLDER / finding.target
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{words}-{hashlib.sha256(finding.data).hexdigest()[:8]}"
    path.write_bytes(finding.data)
    return path


def alike(what: str) -> str:
    """What is the same in cases that fail in the same way: everything but the words behind the place."""
    return ":".join(what.split(":", 2)[:2]) if ":" in what[:60] else what


def shrink(target: Target, finding: Finding) -> Finding:
    """Make a case smaller."""

    def fails(data: bytes) -> bool:
        again = replay(target, [data]).finding
        return again is not None and alike(again.what) == alike(finding.what)

    if not fails(finding.data):
        return finding  # It depends on the cases before it: kept as it is.
    data = smaller(finding.data, fails)
    again = replay(target, [data]).finding
    return again or finding


def smaller(data: bytes, fails: Callable[[bytes], bool]) -> bytes:
    """Leave parts out, the large ones first, then make bytes zero."""
    attempts = 0
    size = len(data) // 2
    while size and attempts < ATTEMPTS_MAX:
        at = 0
        while at < len(data) and attempts < ATTEMPTS_MAX:
            tried = data[:at] + data[at + size :]
            attempts += 1
            if fails(tried):
                data = tried
            else:
                at += size
        size //= 2
    for at in range(min(len(data), ATTEMPTS_MAX - attempts)):
        tried = data[:at] + b"\0" + data[at + 1 :]
        if tried != data and fails(tried):
            data = tried
    return data
