"""Write-ahead logs that are small, so that they go round often while a test lasts."""

from __future__ import annotations

from crdtstore.storage import wal

SEGMENT_BYTES = 24 * 1_024
ZEROS_BYTES = 5_000


def small_segments(segment_bytes: int = SEGMENT_BYTES) -> None:
    """Let every log of this process be small from now on."""
    defaults = wal.create_wal.__kwdefaults__
    assert defaults is not None
    defaults["segment_bytes"] = segment_bytes
    defaults["zeros_bytes"] = ZEROS_BYTES
