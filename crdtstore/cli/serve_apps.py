"""`crdtstore serve --app` and `--apps`: several apps behind one address, each in a directory of its own.

Rules: the root key may do everything in every app, so there is one, in a file. The store of an app is opened when it is
first asked for, and its log is trimmed from then on, where settings say so.

Not here: which app a request is for (`crdtstore/http/apps.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

if TYPE_CHECKING:
    from crdtstore.auth.api_key import KeyRing
    from crdtstore.http.apps import Apps
    from crdtstore.settings import Settings
    from crdtstore.store import Store


class Named(NamedTuple):
    """What settings say of apps: the id of the one store, if it has one, and the directories of several."""

    only: str | None
    directories: Mapping[str, Path]


def named_apps(settings: Settings) -> Named:
    """Read which apps there are.

    Raises:
        click.UsageError: The settings contradict each other, or something is missing.
    """
    pairs = [text.partition("=") for text in settings.app]
    directories = {name: Path(directory) for name, equals, directory in pairs if equals}
    alone = [name for name, equals, _ in pairs if not equals]
    several = bool(directories) or settings.apps is not None
    if len(directories) + len(alone) < len(pairs):
        raise click.UsageError("Two directories are named for one app: give --app ID=DIR once for each ID.")
    if len(alone) > 1 or (alone and several):
        raise click.UsageError("An id alone is that of a server's one store; give --app ID=DIR for each of several.")
    if settings.apps_on_first_use and settings.apps is None:
        raise click.UsageError("Apps that are made on first use need a place: give --apps DIR.")
    if several:
        check_several(settings)
    return Named(alone[0] if alone else None, directories)


def check_several(settings: Settings) -> None:
    """Refuse settings that mean nothing where there are several apps, or that are missing then."""
    if settings.root_key_file is None:
        raise click.UsageError("Several apps have one root key: give --root-key-file FILE, which is made if missing.")
    if settings.store is not None:
        raise click.UsageError("--store names the store of a server with one; with several apps give --app ID=DIR.")
    if settings.peers:
        raise click.UsageError("--peer is for a server of one store: serve an app that follows peers by itself.")


def is_several(settings: Settings, named: Named) -> bool:
    """Say whether a server has several apps."""
    return bool(named.directories) or settings.apps is not None


def apps_of(settings: Settings, named: Named) -> Apps:
    """The apps of a server of several.

    Raises:
        CallerError: Something that should name an app does not.
        MalformedRequest: The file holds no key.
        OSError: A file cannot be read or written.
    """
    from crdtstore.auth.key_form import check_form, draw_key
    from crdtstore.cli.key_file import read_key_file, write_key_file
    from crdtstore.http.apps import Apps

    file = str(settings.root_key_file)
    if not Path(file).exists():
        write_key_file(file, draw_key())
    key = read_key_file(file)
    check_form(key)
    opened = partial(open_app, root_key=key, settings=settings)
    made_in = Path(settings.apps).resolve() if settings.apps and settings.apps_on_first_use else None
    return Apps(directories_of(settings, named), opened, root_key=key, made_in=made_in)


def directories_of(settings: Settings, named: Named) -> dict[str, Path]:
    """The directories of apps that are named, and those below a directory that hold a store."""
    from crdtstore.http.apps import is_id
    from crdtstore.storage.environment import DATA_NAME

    found: dict[str, Path] = {}
    if settings.apps is not None:
        place = Path(settings.apps).resolve()
        if settings.apps_on_first_use:
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not place.is_dir():
            raise click.UsageError(f"--apps: there is no directory {place}.")
        stores = sorted(path.parent for path in place.glob(f"*/{DATA_NAME}"))
        found = {each.name: each for each in stores if is_id(each.name)}
    return {**found, **{name: directory.resolve() for name, directory in named.directories.items()}}


@contextmanager
def open_app(directory: Path, root_key: str, settings: Settings) -> Iterator[tuple[Store, KeyRing]]:
    """Open the store of an app, as `crdtstore serve` opens its one."""
    from crdtstore.auth.api_key import KeyRing
    from crdtstore.auth.permission import Permission
    from crdtstore.cli.exposed import warn_of_others
    from crdtstore.cli.serve import ROOT_KEY_NAME, background
    from crdtstore.store import Store

    warn_of_others(directory)
    # A log takes some 100 MB of each store, and a thread.
    with Store.open(
        directory, durability=settings.durability or "sync", retained_seconds=settings.retained_seconds
    ) as store:
        keyring = KeyRing(store)
        keyring.adopt(root_key, ROOT_KEY_NAME, Permission.full())
        store.indexes.start()
        store.expiry.start()
        store.attachments.start()
        with background(store, {}, settings):
            yield store, keyring
