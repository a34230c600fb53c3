"""The public names are imported when they are first asked for, and are what a type checker takes them for."""

from __future__ import annotations

import ast
from importlib import import_module
from pathlib import Path

import pytest

import crdtstore

HERE = {"errors", "__version__"}
"""What is imported at once."""


def checked_places() -> dict[str, str]:
    """Where a type checker finds each name."""
    tree = ast.parse(Path(crdtstore.__file__).read_text(encoding="utf-8"))
    imports = [node for block in tree.body if isinstance(block, ast.If) for node in block.body]
    return {name.name: str(node.module) for node in imports if isinstance(node, ast.ImportFrom) for name in node.names}


def test_a_name_stands_where_a_type_checker_finds_it() -> None:
    assert checked_places() == crdtstore.PLACES
    assert sorted({*crdtstore.PLACES, *HERE}) == sorted(crdtstore.__all__)


def test_every_name_is_there() -> None:
    assert set(crdtstore.__all__) <= set(dir(crdtstore))
    for name, place in crdtstore.PLACES.items():
        assert getattr(crdtstore, name) is getattr(import_module(place), name)


def test_other_names_are_not() -> None:
    with pytest.raises(AttributeError, match="module 'crdtstore' has no attribute 'Stores'"):
        getattr(crdtstore, "Stores")  # noqa: B009  a type checker would refuse the name
