"""What requests and answers about files look like, as types: the documents of the API are made of them."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import msgspec

from crdtstore.http.store.answers import Natural

Bytes: TypeAlias = Annotated[str, msgspec.Meta(extra_json_schema={"format": "binary"})]
"""What is no text at all, as a schema says it."""


class UploadForm(msgspec.Struct):
    """The form that brings a file."""

    file: Bytes


class PutAnswer(msgspec.Struct):
    """The file is there: its id, and its length in bytes."""

    id: str
    len: Natural


class ReceivedAnswer(PutAnswer):
    """A part of the file is there: how many bytes of it. With as many as it has it is put."""

    received: Natural


class AttachmentArguments(msgspec.Struct):
    """A document that refers to the file, for a key that may not read the whole store."""

    collection: str | msgspec.UnsetType = msgspec.UNSET
    document: str | msgspec.UnsetType = msgspec.UNSET
    local: Literal["true"] | msgspec.UnsetType = msgspec.UNSET
    """Whether a file that is not here is not asked of other stores."""
