"""Runs a job in a forked child, which says in a pipe what it saw.

Rules: the process that forks has one thread. The child ends when its job does, and never returns from here.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable

FAILED = 1
"""The exit code of a child whose job raised an error, which it printed."""


def forked(job: Callable[[int], None]) -> tuple[int, bytes]:
    """Run a job, which is given the pipe; returns its exit code (negative: a signal), and what it said."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        end(job, writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read()
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), said


def end(job: Callable[[int], None], pipe: int) -> None:
    """Do a job, and end the process whatever comes of it."""
    code = FAILED
    try:
        job(pipe)
        code = 0
    except Exception:  # noqa: BLE001  whatever it is, the parent must see the code
        traceback.print_exc()
    finally:
        os._exit(code)
