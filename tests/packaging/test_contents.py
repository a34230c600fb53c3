"""What the wheels and the source distribution hold, and what they must not.

Rules: a wheel has every module of the package, its types and data, and nothing else; the source distribution
builds both wheels (they are built from it).
"""

from __future__ import annotations

import email
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

from crdtstore._version import __version__
from tests.packaging.conftest import ROOT

pytestmark = pytest.mark.packaging


def names(wheel: Path) -> set[str]:
    """List what a wheel holds apart from its metadata."""
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}


def metadata(wheel: Path, name: str) -> str:
    """Read a file of a wheel's metadata."""
    with zipfile.ZipFile(wheel) as archive:
        (path,) = (path for path in archive.namelist() if path.endswith(f".dist-info/{name}"))
        return archive.read(path).decode()


def sources() -> set[str]:
    """List the modules of the checkout and the data that belongs to the package."""
    package = ROOT / "crdtstore"
    page = package / "http" / "openapi" / "page"
    paths = [*package.rglob("*.py"), *package.glob("*.pyi"), package / "py.typed", page / "page.css", page / "page.js"]
    return {str(path.relative_to(ROOT)) for path in paths}


def test_the_wheel_holds_the_package_and_the_core(wheel: Path) -> None:
    extra = names(wheel) - sources()
    assert sources() <= names(wheel)
    assert len(extra) == 1, extra
    assert extra.pop().startswith("crdtstore/_core.cpython-")


def test_the_pure_wheel_holds_the_package_only(pure_wheel: Path) -> None:
    assert names(pure_wheel) == sources()
    assert pure_wheel.name == f"crdtstore-{__version__}-py3-none-any.whl"


def test_the_wheel_says_what_it_is(wheel: Path, pure_wheel: Path) -> None:
    for built in (wheel, pure_wheel):
        facts = email.message_from_string(metadata(built, "METADATA"))
        assert (facts["Name"], facts["Version"]) == ("crdtstore", __version__)
        assert (facts["License-Expression"], facts["License-File"]) == ("Apache-2.0", "LICENSE")
        assert facts["Requires-Python"] == ">=3.11"
        assert metadata(built, "licenses/LICENSE") == (ROOT / "LICENSE").read_text(encoding="utf-8")
        assert "crdtstore = crdtstore.cli.main:main" in metadata(built, "entry_points.txt")


def test_the_sdist_holds_what_a_build_needs(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        found = {name.partition("/")[2] for name in archive.getnames()}
    fragments = {str(path.relative_to(ROOT)) for path in (ROOT / "ext").glob("*.p[yx][xi]")}
    needed = {"LICENSE", "CHANGELOG.md", "README.md", "pyproject.toml", "setup.py", "ext/README.md"}
    assert needed | fragments | sources() <= found
    assert fragments
    assert not [name for name in found if name.endswith((".c", ".so")) or name.startswith(("tests", "build"))]


def test_the_version_stands_in_one_place() -> None:
    places = [ROOT / "pyproject.toml", ROOT / "setup.py", *(ROOT / "crdtstore").rglob("*.py")]
    holders = [path.name for path in places if f'"{__version__}"' in path.read_text(encoding="utf-8")]
    assert holders == ["_version.py"]
    assert tomllib.loads(places[0].read_text(encoding="utf-8"))["project"]["dynamic"] == ["version"]
