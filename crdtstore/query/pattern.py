"""Patterns of queries: regular expressions by RE2 only, so that each takes linear time and bounded memory; and `like`.

Rules: RE2 syntax (no back-references, no look-around); a match may lie anywhere in the text; `^` and `$` are
the text's ends. RE2 comes with the extra `server`: a store without it answers every other query.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from crdtstore.errors import InvalidValue, StoreError
from crdtstore.limits import REGEX_MEMORY_BYTES_MAX

try:
    re2: Any = importlib.import_module("re2")
except ImportError:
    re2 = None


def compile_pattern(pattern: str) -> Callable[[str], bool]:
    """Make the test whether a text holds a match.

    Raises:
        InvalidValue: Not in RE2's syntax, or compiled it would take more than REGEX_MEMORY_BYTES_MAX.
        StoreError: RE2 is not installed; `data` has `extra`.
    """
    if re2 is None:
        message = "Regular expressions need RE2, which is not installed: install crdtstore[server]."
        raise StoreError(message, extra="server", package="google-re2")
    options = re2.Options()
    options.max_mem = REGEX_MEMORY_BYTES_MAX
    options.never_capture = True
    options.log_errors = False
    try:
        # The module keeps the last 128 patterns, so parsing and matching compile each once.
        search = re2.compile(pattern, options).search
    except re2.error as error:
        reason = error.args[0] if error.args else "unknown reason"
        text = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        raise InvalidValue(f"The regular expression cannot be compiled: {text}.", reason=text) from None
    return lambda text: search(text) is not None


def compile_like(pattern: str, *, folded: bool) -> Callable[[str], bool]:
    """Make the test whether a whole text fits a pattern of `like`: see `tree.Call`.

    The text is walked once for each run of the pattern: to the leftmost place where the part behind a `*` fits.
    """
    parts = like_parts(pattern.casefold() if folded else pattern)
    fits = like_test(parts)
    return (lambda text: fits(text.casefold())) if folded else fits


def like_parts(pattern: str) -> list[tuple[str | None, ...]]:
    """The characters between the stars of a pattern; None stands for any one."""
    parts: list[list[str | None]] = [[]]
    characters = iter(pattern)
    for character in characters:
        if character == "*":
            parts.append([])
        elif character == "\\":
            parts[-1].append(next(characters, "\\"))
        else:
            parts[-1].append(None if character == "?" else character)
    return [tuple(part) for part in parts]


def like_test(parts: list[tuple[str | None, ...]]) -> Callable[[str], bool]:
    """Make the test for a pattern that was taken apart."""

    def is_at(text: str, part: tuple[str | None, ...], at: int) -> bool:
        return all(each is None or text[at + index] == each for index, each in enumerate(part))

    first, *rest = parts

    def test(text: str) -> bool:
        if len(text) < sum(map(len, parts)) or not is_at(text, first, 0):
            return False
        if not rest:
            return len(text) == len(first)
        at = len(first)
        end = len(text) - len(rest[-1])
        for part in rest[:-1]:
            while at + len(part) <= end and not is_at(text, part, at):
                at += 1
            if at + len(part) > end:
                return False
            at += len(part)
        return at <= end and is_at(text, rest[-1], end)

    return test
