"""What a test of the benches needs, and what is missing where it cannot run."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from unittest import SkipTest

from crdtstore import core


def need(*names: str) -> None:
    """Leave a test out, with the reason, where the compiled core, a package or a program is missing.

    Raises:
        SkipTest: Something is.
    """
    missing = [name for name in names if find_spec(name) is None and shutil.which(name) is None]
    if core.CORE != "compiled":
        missing.append("the compiled core")
    if missing:
        raise SkipTest(f"not installed: {', '.join(missing)}")
