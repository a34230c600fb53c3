"""A profile is a version of the statement language, and how strictly it takes the types of fields.

Rules: a strict profile takes a field as REGISTER unless the statement declares it otherwise, every time; one that is
not takes a field as what is there, and a new object as MAP. Whoever runs statements gives the profile as a value.

Not here: what is done with it (`words`, `tokens`, `evaluate`, `statement/declared.py`).
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple, TypeAlias

Profile: TypeAlias = Literal["v4", "v4-lenient", "v5", "v5-strict"]


class Rules(NamedTuple):
    """What a profile says."""

    version: Literal[4, 5]
    """In version 4 a text in double quotes is an identifier, in version 5 it is a string."""

    strict: bool


PROFILES: Final[dict[Profile, Rules]] = {
    "v4": Rules(4, strict=True),
    "v4-lenient": Rules(4, strict=False),
    "v5": Rules(5, strict=False),
    "v5-strict": Rules(5, strict=True),
}
"""Each version has the strictness under its own name that it has unless somebody says otherwise."""


def version_of(profile: Profile) -> Literal[4, 5]:
    """The version of the language."""
    return PROFILES[profile].version


def is_strict(profile: Profile) -> bool:
    """Whether undeclared fields are REGISTER."""
    return PROFILES[profile].strict


def with_strictness(profile: Profile, strict: bool) -> Profile:  # noqa: FBT001  a value, as ALTER SYSTEM gives it
    """The profile of the same version that is strict, or the one that is not."""
    wanted = Rules(version_of(profile), strict)
    return next(name for name, rules in PROFILES.items() if rules == wanted)
