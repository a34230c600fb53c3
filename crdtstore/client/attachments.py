"""The client of another store's attachments: asks its server for one file.

Rules: each file has a connection of its own, so several threads may ask. The other store is asked for what it has
itself (`local=true`), and does not ask others in turn. A file must come as fast on the whole as one that is served must
go. Whatever the network does is `PeerUnreachable`.

Not here: which files are asked for, and what becomes of them (`crdtstore/attachments/fetching.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from http.client import HTTPException
from time import monotonic
from typing import Final

from crdtstore import limits
from crdtstore.client.blocking import SECONDS_DEFAULT, error_of
from crdtstore.client.connection import Connection
from crdtstore.errors import PeerUnreachable

ROUTE: Final = "/api/v4/attachments/"
REFUSAL_BYTES_MAX: Final = 65_536


class PeerFiles:
    """The files of another store."""

    def __init__(self, url: str, key: str, seconds: float = SECONDS_DEFAULT) -> None:
        """Know where they are; nothing is asked yet.

        Args:
            url: Where the server is; see `Connection`.
            key: An API key that may read the whole store there.
            seconds: How long the network may be silent.

        Raises:
            ValueError: The URL is not one of HTTP.
        """
        Connection(url, seconds)
        self.url = url
        self.headers = {"Authorization": f"Bearer {key}"}
        self.seconds = seconds

    def fetch(self, id: str, take: Callable[[bytes], object]) -> bool:
        """Give the bytes of a file, piece by piece; False where the other store does not have it.

        Raises:
            PeerUnreachable: It was not reached, broke off, or is too slow.
            CrdtStoreError: What it refused.
        """
        connection = Connection(self.url, self.seconds)
        try:
            return self.read(connection, id, take)
        except (OSError, HTTPException) as error:
            reason = getattr(error, "strerror", None) or str(error) or repr(error)
            message = f"The peer {self.url} was not reached: {reason.rstrip('.')}."
            raise PeerUnreachable(message, peer=self.url) from error
        finally:
            connection.close()

    def read(self, connection: Connection, id: str, take: Callable[[bytes], object]) -> bool:
        """Ask, and read the answer."""
        begun, size = monotonic(), 0
        response = connection.send("GET", f"{ROUTE}{id}?local=true", None, self.headers)
        if response.status == 404:
            return False
        if response.status != 200:
            raise error_of(response.status, response.read(REFUSAL_BYTES_MAX))
        while piece := response.read(limits.ATTACHMENT_PIECE_BYTES):
            size += len(piece)
            if monotonic() - begun > self.seconds + size / limits.TRANSFER_BYTES_A_SECOND_MIN:
                raise TimeoutError("it sends too slowly")
            take(piece)
        if response.length:
            raise ConnectionError("the file was cut short")
        return True
