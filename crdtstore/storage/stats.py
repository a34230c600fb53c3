"""What a store holds, in numbers, for people and for monitoring.

How they are found is not here: see `Store.stats`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Stats:
    """What a store holds; sizes in bytes.

    `oldest` is the first txn id that the log still has, `retained` the txn ids that can be read beside the newest,
    `attachments` the number of files; their bytes are not among those on disk.
    """

    origin: str
    applied: int
    documents: int
    collections: dict[str, int]
    paths: int
    replicas: int
    origins: int
    digest: str
    waiting_reads: int
    bytes_on_disk: int
    core: str
    read_only: bool
    scope: tuple[str, ...] | None
    oldest: int
    retained: tuple[int, ...] = ()
    attachments: int = 0

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        fields = {name: getattr(self, name) for name in self.__slots__}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in fields.items()}
