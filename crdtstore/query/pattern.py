"""Regular expressions of queries: by RE2 only, so that every pattern takes linear time and bounded memory.

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
