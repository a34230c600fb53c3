"""The form of an account's name and password, and how both travel: HTTP Basic (RFC 7617), in UTF-8.

Rules: what is told apart by its bytes alone would not be by its looks, so both are taken in Unicode's form NFC. A name
has no space and none of `/ + $ :`, which other things of a request are told by; so the first colon ends it, and no API
key is taken for an account. Whatever is wrong with an account, it is refused as a key is.

Not here: which accounts a store knows (`api_key`), how they are managed (`accounts`).
"""

from __future__ import annotations

import binascii
import re
import unicodedata
from typing import Final

from crdtstore import limits
from crdtstore.auth.key_form import refuse
from crdtstore.errors import CallerError

ACCOUNT: Final = "account:"
"""What stands before an account's name where a key has its prefix: in rows of uses and changes, and in logs."""

NAME_FORM: Final = re.compile(rf"[^\s/+$:]{{1,{limits.ACCOUNT_NAME_CHARACTERS_MAX}}}")


def basic_text(encoded: bytes) -> str:
    """Read the name and the password behind `Basic`.

    Raises:
        Unauthenticated: They are not Base64 of UTF-8, or there is no colon.
    """
    if len(encoded) > 6 * limits.ACCOUNT_CHARACTERS_MAX:
        refuse()
    try:
        text = binascii.a2b_base64(encoded, strict_mode=True).decode()
    except ValueError:
        refuse()
    return unicodedata.normalize("NFC", text) if ":" in text else refuse()


def split_account(text: str) -> tuple[str, str]:
    """Take an account's name, with `account:` before it, and its password apart.

    Raises:
        Unauthenticated: It has not that form.
    """
    name, _, password = text.partition(":")
    if not is_name(name) or not is_password(password):
        refuse()
    return ACCOUNT + name, password


def is_name(name: str) -> bool:
    """Say whether an account may be called so."""
    return NAME_FORM.fullmatch(name) is not None and name.isprintable()


def is_password(password: str) -> bool:
    """Say whether an account may have such a password."""
    fits = limits.PASSWORD_CHARACTERS_MIN <= len(password) <= limits.PASSWORD_CHARACTERS_MAX
    return fits and password.isprintable()


def check_account(name: str, password: str) -> None:
    """Refuse what cannot be the name or password of an account; the password is not repeated.

    Raises:
        CallerError: It cannot.
    """
    if not is_name(name) or name != unicodedata.normalize("NFC", name):
        most = limits.ACCOUNT_NAME_CHARACTERS_MAX
        raise CallerError(f"An account's name is 1 to {most} printable characters, no space and none of / + $ :.")
    if not is_password(password) or password != unicodedata.normalize("NFC", password):
        least, most = limits.PASSWORD_CHARACTERS_MIN, limits.PASSWORD_CHARACTERS_MAX
        raise CallerError(f"A password has {least} to {most} printable characters.")
