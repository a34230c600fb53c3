"""`crdtstore images`: which collections keep images of their changes."""

from __future__ import annotations

import json

from crdtstore import Store
from tests.cli.running import error_of, run

DATA = ("--store", "data")


def test_images_are_set_and_listed() -> None:
    Store.open("data").close()
    assert run("images", *DATA).stdout == ""
    assert run("images", "cities", "both", *DATA).stdout == "cities  both\n"
    run("images", "rivers", "new", *DATA)
    assert run("images", *DATA).stdout == "cities  both\nrivers  new\n"
    set_ = json.loads(run("images", "cities", "none", *DATA, "--json").stdout)
    assert set_ == {"collections": {"rivers": "new"}}


def test_what_is_kept_is_to_be_said() -> None:
    Store.open("data").close()
    assert "none, new or both" in run("images", "cities", *DATA, code=2).stderr
    assert error_of(run("images", "", "both", *DATA, "--json", code=3))["code"] == "invalid-document"
