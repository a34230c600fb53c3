"""A credential as a request carries it, told apart by its form: an API key, an account with its password, or a token.

Rules: the form alone decides what a credential is taken for, and each is verified in one way. `Bearer` is a key, or a
token where there are dots; `Basic` is an account. Whatever else it is, it is refused as an unknown key is.

Not here: whether it is known (`api_key`, `token`).
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple, Protocol, TypeAlias

import msgspec

from crdtstore.auth.account_form import ACCOUNT, basic_text
from crdtstore.auth.api_key import KeyRing
from crdtstore.auth.key_form import FIXED_PART, refuse
from crdtstore.auth.permission import Permission

SUBJECT: Final = "token:"
"""What stands before the subject of a token where a key has its prefix."""

Kind: TypeAlias = Literal["key", "account", "token"]


class Credential(NamedTuple):
    """What a request carries, which nobody has looked at yet."""

    kind: Kind
    text: str

    def __repr__(self) -> str:
        """Nothing of it: it is a secret."""
        return f"Credential({self.kind!r})"


class Caller(msgspec.Struct, frozen=True):
    """Who asks, and what he may do.

    `who` is no secret: the prefix of a key, `account:` and the name of an account, `token:` and the subject of a token.
    """

    permission: Permission
    who: str


class TakesTokens(Protocol):
    """What verifies tokens. Servers without any do without the library for it."""

    async def authenticate(self, text: str, app: str | None) -> Caller:
        """Find out whom a token lets in, in an app."""


def read_credential(header: bytes) -> Credential:
    """Read the header `Authorization`; the scheme's case does not matter.

    Raises:
        Unauthenticated: It holds no credential.
    """
    scheme, _, rest = header.partition(b" ")
    kind = scheme.lower()
    if kind == b"bearer":
        text = rest.strip(b" ").decode("latin-1")
        return refuse() if ":" in text else Credential("token" if "." in text else "key", text)
    return Credential("account", basic_text(rest.strip(b" "))) if kind == b"basic" else refuse()


async def authenticate(
    keyring: KeyRing,
    credential: Credential,
    address: str = "",
    tokens: TakesTokens | None = None,
    app: str | None = None,
) -> Caller:
    """Find out who asks, without holding up the event loop.

    Args:
        keyring: The keys and accounts of the store.
        credential: What he brings.
        address: From where he comes.
        tokens: What verifies tokens; None where none are taken.
        app: The id of the app, if it has one.

    Raises:
        Unauthenticated: He is not known; always with the same message.
        Overloaded: That cannot be told now.
    """
    if credential.kind == "token":
        return await tokens.authenticate(credential.text, app) if tokens is not None else refuse()
    permission = await keyring.authenticate(credential.text, address)
    return Caller(permission, named(credential))


def named(credential: Credential) -> str:
    """What of a verified key or account is no secret."""
    if credential.kind == "key":
        return credential.text.partition(FIXED_PART)[0]
    return ACCOUNT + credential.text.partition(":")[0]
