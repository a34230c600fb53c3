"""Small bounds: the sizes at which the exchange divides its work, made so small that a small world meets all of them.

Rules: what is set here are how much goes into one frame, message, commit or part: any value must do, so half of the
worlds try tiny ones. Bounds that refuse something are left as they are, but for the pinned snapshots, whose refusal is
part of the protocol. The engine's modules are given their own values back at the end.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, Final

from crdtstore.replication import answer, exchange, joining, missing, peers, pins
from crdtstore.storage import range_refresh, range_stale
from crdtstore.version import trim

MODULES: Final[tuple[ModuleType, ...]] = (
    answer,
    exchange,
    joining,
    missing,
    peers,
    pins,
    range_refresh,
    range_stale,
    trim,
)
SMALL: Final = {
    "FRAME_BYTES_TARGET": 300,
    "FRAME_ENTRIES_MAX": 5,
    "RANGES_MAX": 2,
    "RANGE_PARTS": 2,
    "RANGE_DOCUMENTS_MIN": 1,
    "DIGESTS_MAX": 3,
    "PINS_MAX": 2,
    "PEER_SAVE_SECONDS": 1,
    "RANGE_LEAVES_MAX": 1,
    "TRIM_ENTRIES_MAX": 3,
}


@contextmanager
def small_bounds(*, wanted: bool) -> Iterator[None]:
    """Work with small bounds while the block runs, if they are wanted."""
    before = [(module, name, vars(module)[name]) for module in MODULES for name in SMALL if name in vars(module)]
    if wanted:
        set_bounds([(module, name, SMALL[name]) for module, name, _ in before])
    try:
        yield
    finally:
        set_bounds(before)


def set_bounds(bounds: list[tuple[ModuleType, str, Any]]) -> None:
    """Set names of modules."""
    for module, name, value in bounds:
        setattr(module, name, value)
