"""Starts the processes in which faults happen, and reads their answers.

Rules: a fault never happens in the process of the tests. Every such process is a module of this folder that prints one
JSON value; it ends by itself, and a hang ends at SECONDS_MAX.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
SECONDS_MAX = 550


def run(
    module: str, *arguments: object, environment: Mapping[str, str] | None = None, before: Sequence[str] = ()
) -> Any:
    """Run a module of this folder to its end; returns what it printed. `before`: what starts it."""
    command = [*before, sys.executable, "-m", f"tests.faults.{module}", *map(str, arguments)]
    variables = {**os.environ, **(environment or {})}
    done = subprocess.run(
        command, cwd=ROOT, env=variables, capture_output=True, text=True, timeout=SECONDS_MAX, check=False
    )
    assert done.returncode == 0, (done.returncode, done.stdout[-2_000:], done.stderr[-4_000:])
    return json.loads(done.stdout)
