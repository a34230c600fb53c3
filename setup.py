"""The compiled core `crdtstore._core`, and nothing else: all other facts stand in `pyproject.toml`.

Rules: `CRDTSTORE_BUILD` says what is built. `release` (the default) is what a wheel holds; `debug` checks
every index, keeps assertions and is not optimised; `sanitize` keeps assertions and lets gcc's sanitizers
watch every access and every operation without a defined result (`docs/fuzzing.md` says how it is run); `pure`
builds no core, which gives a wheel for any platform. What runs is chosen later, by `CRDTSTORE_CORE`: see
`crdtstore/core.py`.
"""

from __future__ import annotations

import os
from pathlib import Path

from Cython.Distutils import Extension
from setuptools import setup

MODES = ("release", "debug", "sanitize", "pure")
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"]
FLAGS = {
    "release": ["-O2", "-g1"],
    "debug": ["-O0", "-g"],
    "sanitize": ["-O1", "-g", "-fno-omit-frame-pointer", *SANITIZERS],
}
MODE = os.environ.get("CRDTSTORE_BUILD") or "release"


def core_extension(mode: str) -> Extension:
    """Describe the one compiled module: `ext/_core.pyx` and the fragments that it includes."""
    checked = mode != "release"
    return Extension(
        "crdtstore._core",
        ["ext/_core.pyx"],
        cython_include_dirs=["ext"],
        cython_c_in_temp=True,
        cython_directives={
            "language_level": 3,
            "binding": True,
            "auto_pickle": False,
            "wraparound": False,
            "boundscheck": mode == "debug",
            "initializedcheck": False,
            "cdivision": True,
        },
        define_macros=[] if checked else [("CYTHON_WITHOUT_ASSERTIONS", "1")],
        undef_macros=["NDEBUG"] if checked else [],
        extra_compile_args=[] if os.name == "nt" else FLAGS[mode],
        extra_link_args=SANITIZERS if mode == "sanitize" else [],
        depends=[*sorted(str(path) for path in Path("ext").glob("*.pxi")), mark_mode()],
    )


def mark_mode() -> str:
    """Note the build's mode in a file that the core depends on, so that another mode compiles it anew."""
    mark = Path("build", "core-mode.txt")
    if not mark.exists() or mark.read_text(encoding="ascii") != MODE:
        mark.parent.mkdir(exist_ok=True)
        mark.write_text(MODE, encoding="ascii")
    return str(mark)


if MODE not in MODES:
    raise SystemExit(f"CRDTSTORE_BUILD is {MODE!r}; it must be one of {', '.join(MODES)}.")

setup(
    ext_modules=[] if MODE == "pure" else [core_extension(MODE)],
    # Each mode has its own place for the generated C: one must not be taken for another.
    options={"build": {"build_base": f"build/{MODE}"}},
)
