"""Fetching a backup from a running server.

Rules: what comes is written as it comes, checked block by block, and is a backup only when its end block says that it
is whole. A connection that breaks leaves nothing: fetch it again.

Not here: the server's side (`crdtstore/http/admin/backup.py`), what is built of it (`crdtstore/storage/backup.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException, HTTPResponse
from typing import TYPE_CHECKING, Final, NamedTuple

from crdtstore.client.blocking import error_of
from crdtstore.errors import DamagedFile, PeerUnreachable
from crdtstore.storage.backup import COPY_MAGIC, FILES_MAGIC, SIZE, Copy, receive
from crdtstore.storage.blocks import BlockReader
from crdtstore.version.clock import steady_clock

if TYPE_CHECKING:
    from os import PathLike

    from crdtstore.client.blocking import Client

ROUTE: Final = "/admin/backup"
REFUSAL_BYTES_MAX: Final = 65_536


class Download(NamedTuple):
    """A copy that is coming: about how many bytes it has, and its data file in pieces."""

    size: int
    pieces: Iterator[bytes]


def fetch_backup(client: Client, destination: str | PathLike[str]) -> Copy:
    """Fetch a backup of a server's store.

    Args:
        client: With a key that may do everything.
        destination: Where the backup will be; its parent must exist, it must not.

    Raises:
        CrdtStoreError: What the server refused, or what making a backup does.
        PeerUnreachable: The network failed.
        DamagedFile: What came is not whole.
    """
    with download(client) as coming:
        return receive(coming.pieces, destination, created=steady_clock()())


@contextmanager
def download(client: Client) -> Iterator[Download]:
    """Ask for a copy; its pieces are read in the block."""
    try:
        with reaching():
            response = client.connection.send("GET", ROUTE, None, client.headers)
            refusal = b"" if response.status == 200 else response.read(REFUSAL_BYTES_MAX)
        if response.status != 200:
            raise error_of(response.status, refusal)
        payloads = BlockReader(Body(response)).payloads(COPY_MAGIC, FILES_MAGIC)
        first = next(payloads, b"")
        if len(first) != SIZE.size:
            raise DamagedFile("The file does not begin with its size: it is damaged up to byte 0.", byte=0)
        yield Download(SIZE.unpack(first)[0], payloads)
    finally:
        # Whatever was not read would be taken for the answer to the next call.
        client.connection.close()


class Body:
    """The body of an answer, read piece by piece; cut short, it just ends."""

    def __init__(self, response: HTTPResponse) -> None:
        """Read the body of an answer."""
        self.response = response

    def read(self, size: int) -> bytes:
        """Read some bytes."""
        with reaching():
            return self.response.read(size)


@contextmanager
def reaching() -> Iterator[None]:
    """Say in a sentence what the network did.

    Raises:
        PeerUnreachable: It failed.
    """
    try:
        yield
    except (OSError, HTTPException) as error:
        reason = getattr(error, "strerror", None) or str(error) or repr(error)
        raise PeerUnreachable(f"The server was not reached, or broke off: {reason.rstrip('.')}.") from error
