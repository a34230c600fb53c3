"""The sanitizing build is a mode of `setup.py`: it is known, and says what it must to the compiler."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest
import setuptools

from tests.sanitize.__main__ import PROJECT, control


def extension_of(mode: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What `setup.py` would build in a mode."""
    told: dict[str, Any] = {}
    monkeypatch.setattr(setuptools, "setup", told.update)
    monkeypatch.setenv("CRDTSTORE_BUILD", mode)
    monkeypatch.chdir(folder)  # The mark of the mode is not to be left in the project.
    runpy.run_path(str(PROJECT / "setup.py"))
    return told["ext_modules"][0] if told["ext_modules"] else None


def test_what_the_modes_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = {mode: extension_of(mode, tmp_path, monkeypatch) for mode in ("release", "debug", "sanitize", "pure")}
    sanitized = made["sanitize"]
    assert {"-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"} <= set(
        sanitized.extra_compile_args
    )
    assert "-fsanitize=address,undefined" in sanitized.extra_link_args
    assert (sanitized.define_macros, sanitized.undef_macros) == ([], ["NDEBUG"])
    assert made["release"].define_macros == [("CYTHON_WITHOUT_ASSERTIONS", "1")]
    assert not any("sanitize" in flag for mode in ("release", "debug") for flag in made[mode].extra_compile_args)
    assert made["pure"] is None


def test_another_mode_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit, match="release, debug, sanitize, pure"):
        extension_of("sanitise", tmp_path, monkeypatch)


@pytest.mark.slow
def test_planted_faults_are_stopped(tmp_path: Path) -> None:
    assert control(tmp_path) == []
