"""Where a setting comes from, and what is said of one that is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from crdtstore.errors import CallerError
from crdtstore.settings import Settings, describe, flag, read_layers, settle, strongest, variable

SAMPLES: dict[str, tuple[Any, Any, Any]] = {
    "store": ("a", "b", "c"),
    "url": ("http://a", "http://b", "http://c"),
    "key": ("a", "b", "c"),
    "key_file": ("a", "b", "c"),
    "app": (("a=b", "c=d"), "e", ["f=g"]),
    "apps": ("a", "b", "c"),
    "apps_on_first_use": (True, "false", True),
    "listen": ("a:1", "b:2", "c:3"),
    "server": ("builtin", "uvicorn", "builtin"),
    "token_keys_file": ("a", "b", "c"),
    "token_signing_key_file": ("a", "b", "c"),
    "token_issuer": ("a", "b", "c"),
    "token_seconds_max": ("1", "2", 3.5),
    "login_file": ("a", "b", "c"),
    "allow_remote": (True, "false", True),
    "tls_certificate_file": ("a", "b", "c"),
    "tls_key_file": ("a", "b", "c"),
    "host_names": ("a,b", "c", ["d", "e"]),
    "allow_origins": ("https://a.example,https://b.example", "c", ["d", "e"]),
    "key_requests_per_second": ("1.5", "2", 3),
    "address_requests_per_second": ("1.5", "2", 3),
    "root_key_file": ("a", "b", "c"),
    "durability": ("none", "sync", "none"),
    "wait_seconds": ("1.5", "2", 3),
    "error_form": ("error", "message", "both"),
    "retained_seconds": ("1.5", "2", 3),
    "peers": (("http://a,http://b", "http://c"), "http://c", ["http://d"]),
    "peer_key_file": ("a", "b", "c"),
    "log_keep_days": ("1.5", "2", 3),
    "log_keep_transactions": ("0", "2", 3),
    "peer_gone_days": ("1.5", "2", 3),
    "log_level": ("debug", "info", "error"),
}
"""Setting -> a value for each layer: flag, variable, file."""

EXPECTED: dict[tuple[str, int], Any] = {
    ("app", 1): ("e",),
    ("app", 2): ("f=g",),
    ("apps_on_first_use", 1): False,
    ("allow_remote", 1): False,
    ("host_names", 0): ("a", "b"),
    ("host_names", 1): ("c",),
    ("host_names", 2): ("d", "e"),
    ("allow_origins", 0): ("https://a.example", "https://b.example"),
    ("allow_origins", 1): ("c",),
    ("allow_origins", 2): ("d", "e"),
    ("key_requests_per_second", 0): 1.5,
    ("key_requests_per_second", 1): 2.0,
    ("key_requests_per_second", 2): 3.0,
    ("address_requests_per_second", 0): 1.5,
    ("address_requests_per_second", 1): 2.0,
    ("address_requests_per_second", 2): 3.0,
    ("token_seconds_max", 0): 1.0,
    ("token_seconds_max", 1): 2.0,
    ("wait_seconds", 0): 1.5,
    ("wait_seconds", 1): 2.0,
    ("wait_seconds", 2): 3.0,
    ("retained_seconds", 0): 1.5,
    ("retained_seconds", 1): 2.0,
    ("retained_seconds", 2): 3.0,
    ("peers", 0): ("http://a", "http://b", "http://c"),
    ("peers", 1): ("http://c",),
    ("peers", 2): ("http://d",),
    ("log_keep_days", 0): 1.5,
    ("log_keep_days", 1): 2.0,
    ("log_keep_days", 2): 3.0,
    ("log_keep_transactions", 0): 0,
    ("log_keep_transactions", 1): 2,
    ("peer_gone_days", 0): 1.5,
    ("peer_gone_days", 1): 2.0,
    ("peer_gone_days", 2): 3.0,
}
"""What such a value is read as, where it is not itself."""


def toml(value: Any) -> str:
    """Write a value as TOML has it, which for these is as JSON has it."""
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else repr(value)


def expected(name: str, layer: int) -> Any:
    return EXPECTED.get((name, layer), SAMPLES[name][layer])


def test_every_setting_has_a_sample() -> None:
    assert set(SAMPLES) == set(describe()) == set(Settings.__struct_fields__)


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("strongest_layer", [0, 1, 2])
def test_the_strongest_layer_holds(name: str, strongest_layer: int) -> None:
    in_flag, in_variable, in_file = SAMPLES[name]
    Path("crdtstore.toml").write_text(f"{name} = {toml(in_file)}\n", encoding="utf-8")
    flags = {name: in_flag} if strongest_layer == 0 else {name: None}
    environment = {variable(name): in_variable} if strongest_layer <= 1 else {variable(name): ""}
    settings = settle(read_layers(flags, environment, None))
    assert getattr(settings, name) == expected(name, strongest_layer)


def test_without_anything_the_defaults_hold() -> None:
    unset = {"allow_remote": False, "peers": ()}
    assert settle(read_layers(unset, {"CRDTSTORE_STORE": "", "OTHER": "x"}, None)) == Settings()


def test_a_named_file_is_read_and_must_exist() -> None:
    Path("mine.toml").write_text("wait_seconds = 7\n", encoding="utf-8")
    assert settle(read_layers({}, {}, "mine.toml")).wait_seconds == 7
    with pytest.raises(FileNotFoundError):
        read_layers({}, {}, "none.toml")


@pytest.mark.parametrize(
    ("flags", "environment", "file", "said"),
    [
        ({"wait_seconds": "soon"}, {}, "", "--wait-seconds takes a number from 0 to 3600; got 'soon'"),
        ({"wait_seconds": "nan"}, {}, "", "--wait-seconds"),
        ({}, {"CRDTSTORE_WAIT_SECONDS": "-1"}, "", "CRDTSTORE_WAIT_SECONDS takes"),
        ({"log_keep_days": "inf"}, {}, "", "--log-keep-days takes a number from 0 to 36500; got 'inf'"),
        ({"log_keep_transactions": "-1"}, {}, "", "--log-keep-transactions takes a whole number from 0 on; got '-1'"),
        ({}, {}, "log_keep_transactions = 1.5", "log_keep_transactions in crdtstore.toml takes a whole number"),
        ({}, {"CRDTSTORE_WAIT_SECONDS": "3601"}, "", "CRDTSTORE_WAIT_SECONDS takes"),
        ({}, {"CRDTSTORE_ALLOW_REMOTE": "maybe"}, "", "takes true or false; got 'maybe'"),
        ({}, {"CRDTSTORE_DURABILITY": "off"}, "", "takes sync or wal or none; got 'off'"),
        ({}, {}, 'wait_seconds = "5"', "wait_seconds in crdtstore.toml takes"),
        ({}, {}, "store = 5", "store in crdtstore.toml takes a text; got 5"),
        ({}, {}, 'stores = "x"', "There is no setting stores in crdtstore.toml"),
        ({"store": ""}, {}, "", "--store takes a text; got ''"),
        ({}, {}, 'store = ""', "store in crdtstore.toml takes a text; got ''"),
        ({}, {}, "store = ", "is not TOML"),
    ],
)
def test_a_value_that_is_refused_is_named_with_its_place(
    flags: dict[str, Any], environment: dict[str, str], file: str, said: str
) -> None:
    Path("crdtstore.toml").write_text(file, encoding="utf-8")
    with pytest.raises(CallerError) as raised:
        read_layers(flags, environment, None)
    assert said in raised.value.message


def test_a_file_of_other_bytes_is_not_toml() -> None:
    Path("crdtstore.toml").write_bytes(b"store = '\xff'")
    with pytest.raises(CallerError, match="not TOML in UTF-8"):
        read_layers({}, {}, None)


def test_of_settings_that_exclude_each_other_the_strongest_counts() -> None:
    both = ("store", "url")
    assert strongest(read_layers({}, {}, None), both) is None
    assert strongest(read_layers({"url": "x"}, {"CRDTSTORE_STORE": "y"}, None), both) == "url"
    with pytest.raises(CallerError, match="--store and --url"):
        strongest(read_layers({}, {"CRDTSTORE_STORE": "y", "CRDTSTORE_URL": "x"}, None), both)


def test_names_are_written_as_their_place_has_them() -> None:
    assert (flag("key_file"), variable("key_file")) == ("--key-file", "CRDTSTORE_KEY_FILE")
    assert (flag("peers"), variable("peers")) == ("--peer", "CRDTSTORE_PEERS")
