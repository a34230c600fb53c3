"""Programs in C of this folder, made when they are needed: what they do costs next to nothing beside what is measured.

Rules: where there is no compiler there are no such programs, and rows that need one are left out.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from bench.children import ROOT


def compiled(name: str, folder: str) -> Path | None:
    """Compile a program into a folder; None where nothing compiles.

    Raises:
        CalledProcessError: It does not compile.
    """
    compiler = shutil.which("cc")
    if compiler is None:
        return None
    program = Path(folder) / name
    subprocess.run([compiler, "-O2", "-o", program, ROOT / "bench" / f"{name}.c"], check=True)
    return program
