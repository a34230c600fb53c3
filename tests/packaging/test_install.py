"""What a user gets who installs a wheel: a store that works, compiled or plain.

Rules: a wheel is installed into an empty folder, which is searched before everything else, and run by a
Python of its own in another folder, so that nothing of the checkout is found.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.packaging

PROGRAM = """
import sys
import crdtstore
with crdtstore.Store.in_memory() as store:
    store.write([crdtstore.Upsert(collection="c", value={"a": 1}, id="x")])
    assert store.find("c", "a == 1").documents[0].id == "x"
print(crdtstore.__file__)
print("crdtstore._core" in sys.modules)
"""


def install(wheel: Path, target: Path) -> Path:
    """Install a wheel, without what it depends on, into a folder."""
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "-q",
        "--no-deps",
        "--no-index",
        "--target",
        str(target),
    ]
    subprocess.run([*command, str(wheel)], check=True, capture_output=True)
    return target


@pytest.fixture(scope="module")
def compiled_site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder into which the compiled wheel is installed."""
    return install(wheel, tmp_path_factory.mktemp("compiled") / "site")


@pytest.fixture(scope="module")
def pure_site(pure_wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder into which the pure wheel is installed."""
    return install(pure_wheel, tmp_path_factory.mktemp("pure") / "site")


def run(site: Path, *arguments: str, core: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run Python with that folder before all others, and with that choice of core."""
    environment = {key: value for key, value in os.environ.items() if key != "CRDTSTORE_CORE"}
    environment |= {"PYTHONPATH": str(site)} | ({"CRDTSTORE_CORE": core} if core else {})
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=site.parent, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("core", "loaded"), [(None, "True"), ("compiled", "True"), ("plain", "False")])
def test_a_compiled_wheel_takes_the_core_that_is_asked_for(compiled_site: Path, core: str | None, loaded: str) -> None:
    done = run(compiled_site, "-c", PROGRAM, core=core)
    assert done.stdout.split() == [str(compiled_site / "crdtstore" / "__init__.py"), loaded], done.stderr


@pytest.mark.parametrize("core", [None, "plain"])
def test_a_pure_wheel_runs_plain(pure_site: Path, core: str | None) -> None:
    done = run(pure_site, "-c", PROGRAM, core=core)
    assert done.stdout.split() == [str(pure_site / "crdtstore" / "__init__.py"), "False"], done.stderr


def test_a_pure_wheel_does_not_pretend_to_be_compiled(pure_site: Path) -> None:
    done = run(pure_site, "-c", PROGRAM, core="compiled")
    assert done.returncode != 0
    assert "CRDTSTORE_CORE" in done.stderr


def test_the_command_is_installed(compiled_site: Path) -> None:
    done = run(compiled_site, str(compiled_site / "bin" / "crdtstore"), "--help")
    assert done.returncode == 0, done.stderr
    assert "serve" in done.stdout
