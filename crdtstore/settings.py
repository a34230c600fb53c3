"""Every setting of the command line, once: its name, type, default and text.

Rules: a setting comes from its flag, else from the environment (`CRDTSTORE_` and its name in capitals), else
from the configuration file, else it has its default. Flags, environment and file know the same names (a flag
that is given once for each of a list has the singular); an unknown name in the file is refused, an empty variable
counts as unset. A value is checked where it comes from, so that an error names the place. The help texts and
`docs/settings.md` are made from this table.

Not here: what a setting does, and bounds that nobody may change (`limits.py`).
"""

from __future__ import annotations

import tomllib
from collections import ChainMap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Final, Literal, NamedTuple, TypeAlias, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta

from crdtstore.errors import CallerError
from crdtstore.limits import (
    LOG_KEEP_DAYS_MAX,
    PEER_GONE_SECONDS_DEFAULT,
    RATE_PER_SECOND_MAX,
    RATE_PER_SECOND_MIN,
    RETAINED_SECONDS_DEFAULT,
    RETAINED_SECONDS_MAX,
    TOKEN_SECONDS_DEFAULT,
    TOKEN_SECONDS_MAX,
    WAIT_SECONDS_DEFAULT,
    WAIT_SECONDS_MAX,
)

CONFIG_DEFAULT: Final = "crdtstore.toml"
"""The configuration file that is read, where there is one, if none is named."""

PREFIX: Final = "CRDTSTORE_"
LIST: Final = "texts, separated by commas"
SINGULAR: Final = {"allow_origins": "allow_origin", "peers": "peer"}


Days: TypeAlias = Annotated[float, Meta(ge=0, le=LOG_KEEP_DAYS_MAX)]
Rate: TypeAlias = Annotated[float, Meta(ge=RATE_PER_SECOND_MIN, le=RATE_PER_SECOND_MAX)]
Count: TypeAlias = Annotated[int, Meta(ge=0)]


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All settings; each field's annotation holds its text."""

    store: Annotated[str | None, Meta(description="Directory of the store.")] = None
    url: Annotated[str | None, Meta(description="URL of a server, in place of a directory.")] = None
    key: Annotated[
        str | None,
        Meta(description="API key for that server. Others may see it in a command line: prefer a file."),
    ] = None
    key_file: Annotated[str | None, Meta(description="File that holds that API key.")] = None
    app: Annotated[
        tuple[str, ...],
        Meta(description="ID=DIR: an app and its directory, once for each. ID alone: the id of a server's one store."),
    ] = ()
    apps: Annotated[
        str | None,
        Meta(description="Directory of apps: each folder that holds a store is one, under the folder's name."),
    ] = None
    apps_on_first_use: Annotated[
        bool,
        Meta(description="Make an app there when a request with the root key names one that is not there yet."),
    ] = False
    listen: Annotated[
        str,
        Meta(description="Address and port to listen on; port 0 takes a free one."),
    ] = "127.0.0.1:8080"
    server: Annotated[
        Literal["builtin", "uvicorn"],
        Meta(description="Which HTTP server: the built-in one, or uvicorn. Both keep the same bounds."),
    ] = "builtin"
    allow_remote: Annotated[
        bool,
        Meta(description="Allow an address that other machines reach without TLS; needs a reverse proxy that has it."),
    ] = False
    tls_certificate_file: Annotated[
        str | None,
        Meta(description="File with the server's certificate and those above it, in PEM: the server speaks HTTPS."),
    ] = None
    tls_key_file: Annotated[
        str | None,
        Meta(description="File with the certificate's private key, in PEM."),
    ] = None
    host_names: Annotated[
        tuple[str, ...],
        Meta(description="Names, besides the address, under which clients call the server or its proxy."),
    ] = ()
    allow_origins: Annotated[
        tuple[str, ...],
        Meta(description="Origins, such as https://shop.example, whose pages may call the server from a browser."),
    ] = ()
    key_requests_per_second: Annotated[
        Rate | None,
        Meta(description="Requests that one API key may send in each second; 10 seconds' worth at once."),
    ] = None
    address_requests_per_second: Annotated[
        Rate | None,
        Meta(description="Requests that may come from one address in each second; not behind a proxy, which is one."),
    ] = None
    token_keys_file: Annotated[
        str | None,
        Meta(
            description="File of JSON Web Keys: access tokens that they signed are taken. Read again when it changes."
        ),
    ] = None
    token_signing_key_file: Annotated[
        str | None,
        Meta(description="File with the key that signs access tokens at a login; crdtstore tokens make-key makes one."),
    ] = None
    token_issuer: Annotated[
        str | None,
        Meta(description="What iss of a token must be whose key is not the one that signs; any, or none, without."),
    ] = None
    token_seconds_max: Annotated[
        float,
        Meta(ge=1, le=TOKEN_SECONDS_MAX, description="How long an access token lasts at most, in seconds."),
    ] = TOKEN_SECONDS_DEFAULT
    login_file: Annotated[
        str | None,
        Meta(description="File of providers of logins, in TOML: who may log in, and with what permission."),
    ] = None
    root_key_file: Annotated[
        str | None,
        Meta(description="File with a key that may do everything; made, for you alone, if it is missing."),
    ] = None
    durability: Annotated[
        Literal["sync", "wal", "none"] | None,
        Meta(
            description="sync, wal: what was answered is on disk; wal by a write-ahead log, in fewer flushes. "
            "none: a power cut may destroy the store. By default wal, or sync where no log can be made and "
            "for several apps."
        ),
    ] = None
    wait_seconds: Annotated[
        float,
        Meta(ge=0, le=WAIT_SECONDS_MAX, description="How long a read waits for a transaction, in seconds."),
    ] = WAIT_SECONDS_DEFAULT
    error_form: Annotated[
        Literal["both", "error", "message"],
        Meta(description="Where an error of the store API stands from version 2 on: in error, in message, or in both."),
    ] = "both"
    retained_seconds: Annotated[
        float,
        Meta(
            ge=0,
            le=RETAINED_SECONDS_MAX,
            description="How long the newest version of each second stays readable; 0 for not at all.",
        ),
    ] = RETAINED_SECONDS_DEFAULT
    peers: Annotated[
        tuple[str, ...],
        Meta(description="URLs of other servers that this one keeps equal with, in both directions."),
    ] = ()
    peer_key_file: Annotated[
        str | None,
        Meta(description="File that holds an API key of these servers, the same for all."),
    ] = None
    log_keep_days: Annotated[
        Days | None,
        Meta(description="Trim log entries that are older."),
    ] = None
    log_keep_transactions: Annotated[
        Count | None,
        Meta(description="Trim log entries behind which there are so many newer ones."),
    ] = None
    peer_gone_days: Annotated[
        Days,
        Meta(description="Keep entries that a peer lacks until it was away for so long."),
    ] = PEER_GONE_SECONDS_DEFAULT / 86_400
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Meta(description="What is logged, to standard error: debug, info, warning or error."),
    ] = "warning"


class Described(NamedTuple):
    """A setting for people: what it takes, its default and its text."""

    kind: str
    default: Any
    text: str


Layers: TypeAlias = "ChainMap[str, Any]"
"""What was set: flags, environment, file, the strongest first."""


def describe() -> dict[str, Described]:
    """The table of settings, in order, by name."""
    hints = get_type_hints(Settings, include_extras=True)
    defaults = msgspec.to_builtins(Settings())
    return {
        name: Described(kind_of(hint.__origin__, hint.__metadata__), defaults[name], hint.__metadata__[-1].description)
        for name, hint in hints.items()
    }


def kind_of(hint: Any, metas: Sequence[Meta]) -> str:
    """Say which values a type takes; the first of what is noted beside it has its bounds."""
    inner = get_args(hint)[0] if NoneType in get_args(hint) else hint
    if get_origin(inner) is Annotated:
        return kind_of(inner.__origin__, inner.__metadata__)
    if get_origin(inner) is Literal:
        return " or ".join(get_args(inner))
    if get_origin(hint) is tuple:
        return LIST
    if hint is float:
        return f"a number from {metas[0].ge:g} to {metas[0].le:g}"
    if hint is int:
        return f"a whole number from {metas[0].ge:g} on"
    return "true or false" if hint is bool else "a text"


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return PREFIX + name.upper()


def flag(name: str) -> str:
    """The flag of a setting."""
    return "--" + SINGULAR.get(name, name).replace("_", "-")


def read_layers(flags: Mapping[str, Any], environment: Mapping[str, str], config: str | None) -> Layers:
    """Collect what was set, and check it.

    Args:
        flags: By the names of settings; None, False and () say that a flag was not given.
        environment: The environment.
        config: The configuration file; None for CONFIG_DEFAULT if it exists.

    Raises:
        CallerError: A value or name that is refused; the message says where it was set.
        OSError: The file cannot be read.
    """
    given = {name: value for name, value in flags.items() if value not in (None, False, ())}
    variables = {name: environment[variable(name)] for name in describe() if environment.get(variable(name))}
    return ChainMap(
        check(split_lists(given), flag),
        check(split_lists(variables), variable),
        read_file(config),
    )


def read_file(config: str | None) -> dict[str, Any]:
    """Read the configuration file; without a name, it may be missing."""
    path = Path(config or CONFIG_DEFAULT)
    if config is None and not path.exists():
        return {}
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CallerError(f"The configuration file {path} is not TOML in UTF-8: {error}.") from None
    return check(values, lambda name: f"{name} in {path}", strict=True)


def split_lists(values: Mapping[str, Any]) -> dict[str, Any]:
    """Split the settings that are lists at their commas: a variable is one text, a flag one each time it is given."""
    lists = {name for name, described in describe().items() if described.kind == LIST}
    return {name: split(value) if name in lists else value for name, value in values.items()}


def split(value: str | Sequence[str]) -> list[str]:
    """Split one or more texts at their commas."""
    texts = [value] if isinstance(value, str) else value
    return [part for text in texts for part in text.split(",")]


def check(values: dict[str, Any], place: Callable[[str], str], *, strict: bool = False) -> dict[str, Any]:
    """Check the values of one layer; `place` says how a name is written there.

    Raises:
        CallerError: A value or name that is refused.
    """
    table = describe()
    for name, value in values.items():
        if name not in table:
            raise CallerError(f"There is no setting {place(name)}.", setting=name)
        refusal = CallerError(f"The setting {place(name)} takes {table[name].kind}; got {value!r}.", setting=name)
        if value == "":
            raise refusal
        try:
            msgspec.convert({name: value}, Settings, strict=strict)
        except msgspec.ValidationError:
            raise refusal from None
    return values


def settle(layers: Layers) -> Settings:
    """The settings that hold."""
    return msgspec.convert(dict(layers), Settings, strict=False)


def strongest(layers: Layers, names: Sequence[str]) -> str | None:
    """Choose among settings that exclude each other the one that the strongest layer names, or None.

    Raises:
        CallerError: One layer names two.
    """
    for layer in layers.maps:
        named = [name for name in names if name in layer]
        if len(named) > 1:
            raise CallerError(f"Only one of {' and '.join(map(flag, named))} can be given.")
        if named:
            return named[0]
    return None
