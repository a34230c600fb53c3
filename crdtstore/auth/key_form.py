"""The form of an API key: 11 characters, `_cs1_`, 32 characters, all of base 62 and from a cryptographic generator.

Rules: whatever is wrong with a key, it is refused in one way. Keys of the first version, of 12 and 33 characters, have
this form too, and so have longer ones that an operator drew.

Not here: which keys a store knows (`api_key`).
"""

from __future__ import annotations

import re
import secrets
import string
from typing import Final, NoReturn

from crdtstore import limits
from crdtstore.errors import MalformedRequest, Unauthenticated

ALPHABET: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
FIXED_PART: Final = "_cs1_"
PREFIX_LENGTH: Final = 11
SUFFIX_LENGTH: Final = 32

PREFIX_FORM: Final = re.compile(rf"[0-9A-Za-z]{{{PREFIX_LENGTH},12}}")
FORM: Final = re.compile(rf"({PREFIX_FORM.pattern}){FIXED_PART}([0-9A-Za-z]{{{SUFFIX_LENGTH},}})")

REFUSAL: Final = "The credential is missing or not known: send `Authorization: Bearer <API key>`."
"""Said for a missing header, another scheme, an unknown prefix, a wrong suffix and a key that expired alike."""


def draw_key() -> str:
    """Draw a key, which no store knows yet."""
    return random_text(PREFIX_LENGTH) + FIXED_PART + random_text(SUFFIX_LENGTH)


def split(token: str) -> tuple[str, str]:
    """Take a key apart into prefix and suffix.

    Raises:
        Unauthenticated: It has not the form of a key.
    """
    match = FORM.fullmatch(token) if len(token) <= limits.API_KEY_BYTES_MAX else None
    return (match[1], match[2]) if match else refuse()


def check_form(token: str) -> None:
    """Refuse what is no key, where an operator brings one.

    Raises:
        MalformedRequest: It has not the form of a key.
    """
    try:
        split(token)
    except Unauthenticated:
        message = f"A key is 11 or 12 letters or digits, `{FIXED_PART}` and at least 32 more."
        raise MalformedRequest(message) from None


def refuse() -> NoReturn:
    """Refuse a key, in the one way in which keys are refused."""
    raise Unauthenticated(REFUSAL)


def random_text(length: int) -> str:
    """Draw `length` characters of the alphabet."""
    return "".join(secrets.choice(ALPHABET) for _ in range(length))
