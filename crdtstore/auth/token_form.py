"""The form of an access token: a JSON Web Token (RFC 7519), signed, in three parts; read strictly, before anything.

Rules:

- A token is bounded, has exactly three parts, each in Base64url as it is written and no other way, and a header with
  `alg`, `kid` and perhaps `typ`: whatever else a header could ask for is refused with it. Names stand once.
- Claims are read after the signature, as strictly. `sub`, `app`, `aud`, `exp` and `perm` must be there.
- Whatever is wrong, a token is refused as an unknown key is.

Not here: the signature, and which claims are taken (`token`).
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final, Literal, NamedTuple, TypeVar

import msgspec

from crdtstore import core, limits
from crdtstore.auth.key_form import refuse
from crdtstore.auth.permission_form import PermissionForm
from crdtstore.errors import CrdtStoreError

Part = TypeVar("Part", bound=msgspec.Struct)

FORM: Final = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")
AUDIENCE: Final = "sync"
TYPES: Final = frozenset({"jwt", "at+jwt"})


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What stands before the claims."""

    alg: str
    kid: str
    typ: str = "JWT"


class Claims(msgspec.Struct, frozen=True):
    """What a token says; times are in seconds since 1970. Names that are not here mean nothing."""

    sub: str
    app: str
    aud: str | list[str]
    exp: int | float
    perm: PermissionForm
    qlv: Literal[0, 1] | None = None
    nbf: int | float | None = None
    iat: int | float | None = None
    iss: str | None = None


class Token(NamedTuple):
    """A token whose form is that of one; nobody has looked at its signature yet."""

    header: Header
    claims: bytes
    text: str

    def __repr__(self) -> str:
        """Nothing of it: it is a secret."""
        return f"Token({self.header.kid!r})"


def read_token(text: str) -> Token:
    """Take a token apart.

    Raises:
        Unauthenticated: It has not the form of one.
    """
    match = FORM.fullmatch(text) if len(text) <= limits.TOKEN_BYTES_MAX else None
    if match is None:
        refuse()
    head, claims, _signature = map(decoded, match.groups())
    if len(head) > limits.TOKEN_HEADER_BYTES_MAX:
        refuse()
    header = strictly(head, Header)
    return Token(header, claims, text) if header.typ.lower() in TYPES else refuse()


def decoded(part: str) -> bytes:
    """Read a part, which is written in the one way that it can be."""
    data = part.encode()
    try:
        value = urlsafe_b64decode(data + b"=" * (-len(data) % 4))
    except ValueError:
        refuse()
    return value if encoded(value) == data else refuse()


def encoded(value: bytes) -> bytes:
    """Write a part."""
    return urlsafe_b64encode(value).rstrip(b"=")


def strictly(data: bytes, kind: type[Part]) -> Part:
    """Read JSON with each name once, as one of this type."""
    try:
        core.scan_json(data, limits.JSON_DEPTH_MAX)
        return msgspec.json.decode(data, type=kind)
    except (CrdtStoreError, msgspec.MsgspecError):
        refuse()
