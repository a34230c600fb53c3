"""`crdtstore serve`: a store behind HTTP, until SIGINT or SIGTERM.

Rules:

- The first line on standard output is `listening on http://HOST:PORT`, written once connections are taken:
  programs that start a server wait for it. What follows is for people. That they stop reading ends nothing.
- A store that knows no key gets one: into the root key file where one is named, else onto the screen, once.
- Several apps are served where settings name them; see `serve_apps`.
- Peers are followed and the log is trimmed while the server runs, where settings say so.
- Without a certificate there is no TLS, so an address that other machines reach is refused unless it is allowed
  expressly.
- A graceful stop exits with 0.

Not here: what is served (`crdtstore/http/`).
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import click

from crdtstore.cli.options import STORE_DEFAULT, Documented, with_settings
from crdtstore.settings import Layers, Settings, settle

if TYPE_CHECKING:
    from ssl import SSLContext

    from crdtstore.auth.api_key import KeyRing
    from crdtstore.cli.serve_apps import Named
    from crdtstore.client.attachments import PeerFiles
    from crdtstore.client.exchange import PeerClient
    from crdtstore.store import Store

ROOT_KEY_NAME: Final = "root"

COMMANDS: Final = (
    '{"commands": [{"method": "upsert", "collection": "cities", "id": "basel", "value": {"name": "Basel"}}]}'
)
"""A request that is worth to be tried first."""


@click.command("serve", cls=Documented, example="crdtstore serve --store cities-data --listen 127.0.0.1:8080")
@with_settings(
    "store",
    "app",
    "apps",
    "apps_on_first_use",
    "listen",
    "server",
    "root_key_file",
    "allow_remote",
    "tls_certificate_file",
    "tls_key_file",
    "host_names",
    "allow_origins",
    "token_keys_file",
    "token_signing_key_file",
    "token_issuer",
    "token_seconds_max",
    "login_file",
    "key_requests_per_second",
    "address_requests_per_second",
    "durability",
    "wait_seconds",
    "error_form",
    "retained_seconds",
    "peers",
    "peer_key_file",
    "log_keep_days",
    "log_keep_transactions",
    "peer_gone_days",
    "log_level",
)
def command(layers: Layers) -> None:
    """Serve a store over HTTP.

    Creates the store if there is none (./crdtstore-data without --store), and an API key if the store has
    none; the key is printed once, or written to --root-key-file. Ctrl-C ends the server when requests in
    progress are answered.

    With --app ID=DIR, or --apps, it serves several apps, each with a store and keys of its own: at /ID/api/..., and at
    ID.NAME for each name of the server.

    Indexes that are half made or half dropped are finished meanwhile.

    With --peer it is kept equal with other servers: what either writes is moved at once, both ways. With
    --log-keep-days or --log-keep-transactions its log is trimmed once an hour.

    The first line that is printed is "listening on http://HOST:PORT", when connections are taken.
    """
    import logging

    from crdtstore.cli.serve_apps import is_several, named_apps

    settings = settle(layers)
    host, port = address_of(settings.listen)
    tls = context_of(settings)
    check_reach(host, allow_remote=settings.allow_remote or tls is not None)
    logging.basicConfig(level=settings.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    named = named_apps(settings)
    if is_several(settings, named):
        serve_several(settings, named, host, port, tls)
    else:
        serve_one(settings, named.only, host, port, tls)


@contextmanager
def listening(listen: str) -> Iterator[None]:
    """Make the process one that serves, and say in a sentence that an address cannot be listened on."""
    from crdtstore.http.serving.garbage import settle_garbage

    settle_garbage()
    try:
        yield
    except OSError as error:
        raise click.ClickException(f"Cannot listen on {listen}: {reason_of(error)}.") from error


def serve_several(settings: Settings, named: Named, host: str, port: int, tls: SSLContext | None) -> None:
    """Serve several apps until a signal comes."""
    from crdtstore.cli.serve_apps import apps_of
    from crdtstore.cli.serve_tokens import let_in
    from crdtstore.http.listen import listener_of
    from crdtstore.http.server import Application, Rates

    with apps_of(settings, named) as apps:
        hosts = names_of(host, settings.host_names)
        rates = Rates(settings.key_requests_per_second, settings.address_requests_per_second)
        places = [*apps.directories.values(), *([Path(settings.apps)] if settings.apps else [])]
        others = let_in(settings, places)
        served = Application(
            apps,
            hosts=hosts,
            origins=settings.allow_origins,
            wait_seconds=settings.wait_seconds,
            error_form=settings.error_form,
            rates=rates,
            tokens=others.tokens,
            login=others.login,
        )
        key = RootKey(None, settings.root_key_file)
        with listening(settings.listen):
            listener_of(
                served,
                host,
                port,
                server=settings.server,
                tls=tls,
                on_listening=lambda host, port: announce_apps(origin_of(host, port, tls), apps.directories, key),
            ).run()


def serve_one(settings: Settings, app: str | None, host: str, port: int, tls: SSLContext | None) -> None:
    """Serve a store until a signal comes."""
    from crdtstore.auth.api_key import KeyRing
    from crdtstore.cli.exposed import warn_of_others
    from crdtstore.cli.serve_tokens import let_in
    from crdtstore.http.listen import serve
    from crdtstore.http.server import Rates
    from crdtstore.store import Store

    directory = Path(settings.store or STORE_DEFAULT).resolve()
    warn_of_others(directory)
    others = let_in(settings, [directory])
    with Store.open(directory, durability=settings.durability, retained_seconds=settings.retained_seconds) as store:
        keyring = KeyRing(store)
        key = root_key(store, keyring, settings.root_key_file)
        store.indexes.start()
        store.expiry.start()
        store.attachments.start()
        with background(store, peers_of(settings), settings), listening(settings.listen):
            serve(
                store,
                keyring,
                host,
                port,
                hosts=names_of(host, settings.host_names),
                origins=settings.allow_origins,
                wait_seconds=settings.wait_seconds,
                app=app,
                error_form=settings.error_form,
                rates=Rates(settings.key_requests_per_second, settings.address_requests_per_second),
                server=settings.server,
                tokens=others.tokens,
                login=others.login,
                tls=tls,
                on_listening=lambda host, port: announce(origin_of(host, port, tls), directory, key),
            )


def peers_of(settings: Settings) -> Mapping[str, Callable[[], PeerClient]]:
    """The peers to follow: their URLs, and what connects to each. Their key may be the root key that was just made.

    Raises:
        click.UsageError: There is no key for them.
        MalformedRequest: The file holds no key.
        OSError: The file cannot be read.
    """
    from crdtstore.cli.key_file import read_key_file
    from crdtstore.cli.target import client_of_peer
    from crdtstore.limits import FOLLOW_WAIT_SECONDS

    if not settings.peers:
        return {}
    if settings.peer_key_file is None:
        raise click.UsageError("Peers ask for an API key: give --peer-key-file FILE.")
    key = read_key_file(settings.peer_key_file)
    return {url: partial(client_of_peer, url, key, FOLLOW_WAIT_SECONDS) for url in settings.peers}


def sources_of(settings: Settings) -> Sequence[PeerFiles]:
    """The peers that are asked for files: those that are followed."""
    from crdtstore.cli.key_file import read_key_file
    from crdtstore.client.attachments import PeerFiles

    if not settings.peers or settings.peer_key_file is None:
        return ()
    key = read_key_file(settings.peer_key_file)
    return [PeerFiles(url, key) for url in settings.peers]


@contextmanager
def background(store: Store, peers: Mapping[str, Callable[[], PeerClient]], settings: Settings) -> Iterator[None]:
    """Follow peers, which are asked for files too, and trim the log while the block runs."""
    from crdtstore.cli.trim import policy_of
    from crdtstore.replication.follow import Follower, Logged, following
    from crdtstore.replication.retention import trimming

    policy = policy_of(settings)
    followers = [Follower(store, connect, Logged(url)) for url, connect in peers.items()]
    store.attachments.fetcher.sources = sources_of(settings)
    with nullcontext() if policy is None else trimming(store, policy), following(followers):
        yield


def reason_of(error: OSError) -> str:
    """Say what keeps an address from being listened on; the error's own text may repeat the address."""
    own = error.strerror or str(error)
    return os.strerror(error.errno) if error.errno and error.errno > 0 else own


def address_of(listen: str) -> tuple[str, int]:
    """Read `HOST:PORT`; an IPv6 address stands in brackets."""
    host, colon, port = listen.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        host = ""
    if not host or not colon or not port.isascii() or not port.isdigit() or int(port) > 65_535:
        raise click.UsageError(
            f"An address to listen on is HOST:PORT, such as 127.0.0.1:8080 or [::1]:8080; got {listen!r}."
        )
    return host, int(port)


def check_reach(host: str, *, allow_remote: bool) -> None:
    """Refuse an address that other machines may reach, unless that is wanted."""
    if allow_remote or is_loopback(host):
        return
    raise click.UsageError(
        f"Other machines can reach {host}, and this server has no TLS: keys would travel in the clear. "
        "Give --tls-certificate-file and --tls-key-file, listen on 127.0.0.1 behind a reverse proxy with TLS, or give "
        "--allow-remote."
    )


def context_of(settings: Settings) -> SSLContext | None:
    """What TLS is spoken with, from version 1.2 on; None where there is no certificate.

    Raises:
        click.UsageError: One of the two files is named without the other.
        click.ClickException: They cannot be read, or do not belong together.
    """
    import ssl

    from crdtstore.cli.exposed import warn_of_others

    certificate, key = settings.tls_certificate_file, settings.tls_key_file
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise click.UsageError("TLS needs both: give --tls-certificate-file FILE and --tls-key-file FILE.")
    warn_of_others(key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        # A password would be asked for at the terminal: a server has none.
        context.load_cert_chain(certificate, key, password="")
    except OSError as error:
        raise click.ClickException(f"TLS: {certificate} and {key} cannot be used: {error}.") from None
    return context


def is_loopback(host: str) -> bool:
    """Say whether only this machine reaches an address."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def names_of(host: str, names: tuple[str, ...]) -> frozenset[str] | None:
    """The names that a Host header may have; None leaves it to the server: the loopback's and the address."""
    from crdtstore.http.request import LOOPBACK_NAMES

    return LOOPBACK_NAMES | {bracketed(host), *names} if names else None


class RootKey(NamedTuple):
    """A key that may do everything: its text if it is known, and the file that holds it if one does."""

    text: str | None
    file: str | None


def root_key(store: Store, keyring: KeyRing, file: str | None) -> RootKey:
    """See that the store knows a key.

    Raises:
        MalformedRequest: The file holds no key.
        Forbidden: The store knows another key with the same public half.
        OSError: The file cannot be read or written.
    """
    from crdtstore.auth.key_form import FIXED_PART
    from crdtstore.auth.permission import Permission
    from crdtstore.auth.stored_key import SETTING_PREFIX
    from crdtstore.cli.key_file import read_key_file, write_key_file

    if file is not None and Path(file).exists():
        key = read_key_file(file)
        keyring.adopt(key, ROOT_KEY_NAME, Permission.full())
        return RootKey(key, file)
    if file is None and store.scan_settings(SETTING_PREFIX):
        return RootKey(None, None)
    key = keyring.create(ROOT_KEY_NAME, Permission.full())
    if file is not None:
        try:
            write_key_file(file, key)
        except OSError:
            keyring.revoke(key.partition(FIXED_PART)[0])
            raise
    return RootKey(key, file)


def bracketed(host: str) -> str:
    """Write an address as a URL has it."""
    return f"[{host}]" if ":" in host else host


class Origin(NamedTuple):
    """Where a server is: what it speaks, its address and port."""

    scheme: str
    host: str
    port: int

    def url(self) -> str:
        """The address as it is listened on."""
        return f"{self.scheme}://{bracketed(self.host)}:{self.port}"

    def reachable(self) -> str:
        """The address as it can be called from this machine."""
        if ip_address(self.host).is_unspecified:
            return self._replace(host="::1" if ":" in self.host else "127.0.0.1").url()
        return self.url()


def origin_of(host: str, port: int, tls: SSLContext | None) -> Origin:
    """Where a server is that listens."""
    return Origin("http" if tls is None else "https", host, port)


def announce_apps(origin: Origin, directories: Mapping[str, Path], key: RootKey) -> None:
    """Say where the server is, which apps it has, and how one is called."""
    apps = [f"app {name}: {directory}" for name, directory in directories.items()]
    say(origin, apps, key, f"/{next(iter(directories), 'my-app')}")


def announce(origin: Origin, directory: Path, key: RootKey) -> None:
    """Say where the server is and how it is called."""
    say(origin, [f"store: {directory}"], key)


def say(origin: Origin, what: Sequence[str], key: RootKey, prefix: str = "") -> None:
    """Say where the server is, what it serves, and how it is called; paths begin with a prefix."""
    lines = [f"listening on {origin.url()}", *what]
    if key.file is not None:
        lines.append(f"key: in {key.file}")
    elif key.text is not None:
        lines.append(f"key: {key.text}  (all rights; keep it, it is not shown again)")
    lines += ["", "Try it:", example(origin, key, prefix), "", "Ctrl-C stops the server."]
    try:
        # In one piece: whoever waits for the first line may close the pipe as soon as it is there.
        click.echo("\n".join(lines))
    except BrokenPipeError:
        # Nobody reads; Python would fail once more when it flushes its buffer at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def example(origin: Origin, key: RootKey, prefix: str = "") -> str:
    """Write a command to paste: it writes a document."""
    from crdtstore.cli.target import actor_of
    from crdtstore.crdt.actor import format_actor

    bearer = f"$(cat {shlex.quote(key.file)})" if key.file else key.text or "$CRDTSTORE_KEY"
    actor = format_actor(actor_of(key.text or ROOT_KEY_NAME))
    return (
        f"curl {origin.reachable()}{prefix}/api/v3/store/write \\\n"
        f'  -H "Authorization: Bearer {bearer}" \\\n'
        f"  -H 'X-DITTO-CLIENT-ID: {actor}' -H 'Content-Type: application/json' \\\n"
        f"  -d '{COMMANDS}'"
    )
