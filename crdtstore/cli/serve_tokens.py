"""What `crdtstore serve` knows of access tokens and logins, by settings.

Rules: without a setting of them no token is taken, and what computes with them is not even loaded. Logins need a key to
sign with. A file that cannot be used keeps the server from starting, in a sentence.

Not here: the files (`crdtstore/auth/token_keys.py`, `crdtstore/http/login/providers.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

if TYPE_CHECKING:
    from crdtstore.auth.token import Tokens
    from crdtstore.http.login.login import Login
    from crdtstore.settings import Settings


class LetIn(NamedTuple):
    """Who is let in beside the bearers of keys, and the owners of accounts."""

    tokens: Tokens | None = None
    login: Login | None = None


def let_in(settings: Settings, directories: Sequence[Path]) -> LetIn:
    """Read the files that settings name.

    Args:
        settings: The settings.
        directories: Data directories, where no secret may lie.

    Raises:
        click.UsageError: Logins have no key to sign with.
        CallerError: A file is not as it must be.
        OSError: A file cannot be read.
    """
    from time import monotonic

    if settings.login_file is not None and settings.token_signing_key_file is None:
        raise click.UsageError(
            "A login gives out tokens that are signed: give --token-signing-key-file FILE; "
            "`crdtstore tokens make-key FILE` makes one."
        )
    named = (settings.token_keys_file, settings.token_signing_key_file)
    file, signing_file = (None if each is None else Path(each) for each in named)
    if file is None and signing_file is None:
        return LetIn()

    from crdtstore.auth.token import Tokens
    from crdtstore.auth.token_keys import TokenKeys
    from crdtstore.http.login.login import Login
    from crdtstore.http.login.providers import read_providers

    keys = TokenKeys(file, signing_file, directories, now=monotonic())
    tokens = Tokens(keys, seconds_max=settings.token_seconds_max, issuer=settings.token_issuer)
    if settings.login_file is None:
        return LetIn(tokens)
    return LetIn(tokens, Login(read_providers(Path(settings.login_file), directories), tokens))
