"""One source distribution, one compiled wheel and one pure wheel, built once for all tests of this folder.

Rules: the checkout is copied first, so that a build neither writes into it nor finds what an earlier one
left. Both wheels are built from the unpacked source distribution: what is missing there shows. Nothing is
fetched.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LEFT_OUT = shutil.ignore_patterns(".*", "*.egg-info", "*.so", "__pycache__", "build", "dist", "venv")
BUILD_SECONDS_MAX = 300


def build(source: Path, kind: str, out: Path, mode: str = "release") -> Path:
    """Build a wheel or a source distribution with the tools of this environment and return its path."""
    command = [
        sys.executable,
        "-m",
        "build",
        f"--{kind}",
        "--no-isolation",
        "--outdir",
        str(out),
        str(source),
    ]
    environment = {**os.environ, "CRDTSTORE_BUILD": mode}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, timeout=BUILD_SECONDS_MAX
    )
    assert done.returncode == 0, done.stdout[-4_000:] + done.stderr[-4_000:]
    (product,) = out.iterdir()
    return product


@pytest.fixture(scope="session")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the source distribution, built from a copy of the checkout."""
    copy = tmp_path_factory.mktemp("checkout") / "crdtstore"
    shutil.copytree(ROOT, copy, ignore=LEFT_OUT)
    return build(copy, "sdist", tmp_path_factory.mktemp("sdist"))


@pytest.fixture(scope="session")
def unpacked(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder that the source distribution holds."""
    target = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(sdist) as archive:
        # Python 3.11 has the filter from 3.11.4 on.
        archive.extraction_filter = getattr(tarfile, "data_filter", lambda member, _: member)
        archive.extractall(target)
    (folder,) = target.iterdir()
    return folder


@pytest.fixture(scope="session")
def wheel(unpacked: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the wheel with the compiled core, which the first process of a run builds for all of them."""
    alone = "PYTEST_XDIST_WORKER" not in os.environ
    folder = tmp_path_factory.getbasetemp() if alone else tmp_path_factory.getbasetemp().parent
    with (folder / "wheel.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "wheel").exists():
            # What it holds is the same when the compiler does not optimize, which takes most of the time.
            build(unpacked, "wheel", folder / "wheel.new", "debug")
            (folder / "wheel.new").rename(folder / "wheel")
    (product,) = (folder / "wheel").iterdir()
    return product


@pytest.fixture(scope="session")
def pure_wheel(unpacked: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the wheel without it."""
    return build(unpacked, "wheel", tmp_path_factory.mktemp("pure"), "pure")
