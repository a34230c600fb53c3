"""API keys in files and on the command line.

Rules: a key's file holds the key and a line's end. It is made readable for its owner only, whole or not
at all, and never over another file. One that others may read is read with a warning.

Not here: what a key is and who knows it (`crdtstore/auth/api_key.py`).
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from crdtstore.cli.exposed import warn_of_others
from crdtstore.errors import MalformedRequest
from crdtstore.limits import API_KEY_BYTES_MAX


def check_key(key: str, place: str) -> str:
    """Return a key without the space around it.

    Raises:
        MalformedRequest: It cannot be a key; what it is instead is not repeated.
    """
    text = key.strip()
    if not text or len(text) > API_KEY_BYTES_MAX or not text.isascii() or not text.isprintable() or " " in text:
        raise MalformedRequest(f"{place} holds no API key: one word of at most {API_KEY_BYTES_MAX} characters.")
    return text


def read_key_file(path: str) -> str:
    """Read the key in a file.

    Raises:
        MalformedRequest: The file holds something else.
        OSError: The file cannot be read.
    """
    warn_of_others(path)
    with Path(path).open("rb") as file:
        # Enough to see that it is too long; a wrong path may name a file of any size.
        data = file.read(2 * API_KEY_BYTES_MAX)
    return check_key(data.decode("latin-1"), f"The file {path}")


def write_key_file(path: str, key: str) -> None:
    """Write a key to a new file.

    Raises:
        OSError: The file cannot be written, or exists.
    """
    unfinished = Path(f"{path}.new")
    with suppress(FileNotFoundError):
        unfinished.unlink()
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(f"{key}\n")
            file.flush()
            os.fsync(file.fileno())
        # Unlike a renaming, a link is refused where a file stands already.
        os.link(unfinished, path)
    finally:
        unfinished.unlink()
