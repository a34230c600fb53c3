"""`crdtstore serve` with apps: what settings name is served, what they cannot mean is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from crdtstore import Store
from tests.cli.running import documents, run
from tests.cli.test_serve import paste, served


def test_apps_are_served_each_from_its_directory() -> None:
    with served("--app", "one=first", "--app", "two=second", "--root-key-file", "key") as server:
        assert Path("key").stat().st_mode & 0o777 == 0o600
        assert f"app one: {Path('first').resolve()}" in server.said
        assert paste(server.said)[0] == 200
        assert "/one/api/v3/store/write" in server.said
        assert server.stop() == 0
        assert server.errors == ""
    with Store.open("first", create=False) as store:
        assert store.stats().collections == {"cities": 1}
    assert not Path("second").exists()


def test_apps_are_found_below_a_directory_and_made_there() -> None:
    for name in ("old", "Not-an-id"):
        Path("apps").mkdir(exist_ok=True)
        Store.open(f"apps/{name}").close()
    Path("apps/empty").mkdir()
    with served("--apps", "apps", "--apps-on-first-use", "--root-key-file", "key") as server:
        apps = [line for line in server.said.splitlines() if line.startswith("app ")]
        assert apps == [f"app old: {Path('apps/old').resolve()}"]
        assert paste(server.said.replace("/old/", "/new/"))[0] == 200
        assert server.stop() == 0
    assert len(documents(run("find", "cities", "--store", "apps/new"))) == 1


def test_the_one_store_has_an_id() -> None:
    with served("--store", "a", "--root-key-file", "key", "--app", "mine") as server:
        assert [paste(server.said.replace("/api/", f"{prefix}/api/"))[0] for prefix in ("", "/mine", "/other")] == [
            200,
            200,
            404,
        ]
        assert server.stop() == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("--app a=x", "--root-key-file"),
        ("--apps .", "--root-key-file"),
        ("--app a=x --store y --root-key-file key", "--store"),
        ("--app a=x --peer http://x --peer-key-file k --root-key-file key", "--peer"),
        ("--app a=x --app a=y --root-key-file key", "Two directories"),
        ("--app a=x --app b --root-key-file key", "--app ID=DIR"),
        ("--app a --app b", "--app ID=DIR"),
        ("--apps-on-first-use", "--apps DIR"),
        ("--apps missing --root-key-file key", "no directory"),
        ("--app api=x --root-key-file key", "app id"),
        ("--app A", "app id"),
        ("--app a=x --app b=x --root-key-file key", "one directory"),
        ("--app a=x --root-key-file bad", "A key is 11"),
    ],
)
def test_what_settings_cannot_mean_is_refused(arguments: str, said: str) -> None:
    Path("bad").write_text("short\n", encoding="ascii")
    done = run("serve", *arguments.split(), code=None)
    assert done.exit_code in {2, 3}
    assert said in done.stderr
