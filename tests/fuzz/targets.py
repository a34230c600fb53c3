"""The table of all targets: every decoder of bytes that come from elsewhere or from the disk, and every parser."""

from __future__ import annotations

from tests.fuzz import bodies, documents, queries, records, rows, runs, statements, texts
from tests.fuzz.engine import Target

TARGETS: dict[str, Target] = {
    target.name: target
    for module in (documents, records, rows, texts, bodies, queries, statements, runs)
    for target in module.TARGETS
}
