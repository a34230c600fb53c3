"""Files of keys of tokens: what is taken in them, and where those with secrets may lie."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import Any

import pytest

from crdtstore.auth.token_keys import TokenKeys, draw_signing_key, public_part, read_key_file
from crdtstore.errors import CallerError
from tests.auth.tokens import KINDS, write_keys

WEAK = urlsafe_b64encode(b"x" * 31).decode().rstrip("=")
SECRET = urlsafe_b64encode(b"0123456789abcdef" * 2).decode().rstrip("=")
OCT = {"kty": "oct", "kid": "a", "k": SECRET}
ED = KINDS["EdDSA"].as_dict(private=False)


def write(folder: Path, value: Any, mode: int = 0o600) -> Path:
    file = folder / "file.json"
    file.write_bytes(value if isinstance(value, bytes) else json.dumps(value).encode())
    file.chmod(mode)
    return file


def test_keys_of_each_kind_have_one_algorithm(tmp_path: Path) -> None:
    read = read_key_file(write_keys(tmp_path / "keys.json", *KINDS), ())
    assert {key.kid: key.algorithm for key in read} == {"ed": "EdDSA", "ec": "ES256", "rsa": "RS256", "oct": "HS256"}
    assert [key.is_secret for key in read] == [False, False, False, True]
    [longer] = read_key_file(write(tmp_path, {**OCT, "alg": "HS512"}), ())
    assert (longer.algorithm, SECRET in repr(longer)) == ("HS512", False)


@pytest.mark.parametrize(
    "key",
    [
        {**OCT, "k": WEAK},
        {**OCT, "k": urlsafe_b64encode(b"-----BEGIN PUBLIC KEY-----\n" + b"x" * 40).decode()},
        {**OCT, "alg": "none"},
        {**OCT, "alg": "RS256"},
        {**OCT, "use": "enc"},
        {**OCT, "kid": ""},
        {**OCT, "kid": "a\nb"},
        {"kty": "oct", "k": SECRET},
        {"kty": "oct", "kid": "a"},
        {**OCT, "k": 5},
        {**ED, "alg": "HS256"},
        {**ED, "crv": "Ed448"},
        {**ED, "x": "AAAA"},
        {**KINDS["ES256"].as_dict(private=False), "crv": "P-384"},
        {**KINDS["RS256"].as_dict(private=False), "n": urlsafe_b64encode(b"\xff" * 255).decode()},
        {"kty": "new", "kid": "a"},
        [],
        "key",
    ],
    ids=lambda key: "key",
)
def test_what_is_no_key_for_tokens_is_refused(tmp_path: Path, key: Any) -> None:
    with pytest.raises(CallerError) as refusal:
        read_key_file(write(tmp_path, {"keys": [OCT, key]}), ())
    assert SECRET not in refusal.value.message


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b'{"keys": {}}', b'{"keys": [], "keys": []}', b"\xff", b" " * 300_000]
)
def test_what_is_no_file_of_keys_is_refused(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(CallerError):
        read_key_file(write(tmp_path, data), ())


def test_two_keys_have_two_names(tmp_path: Path) -> None:
    with pytest.raises(CallerError, match="'a'"):
        TokenKeys(write(tmp_path, {"keys": [OCT, OCT]}), None)


def test_a_file_with_a_secret_is_for_its_owner_and_outside_of_the_data(tmp_path: Path) -> None:
    for mode in (0o640, 0o604, 0o660):
        with pytest.raises(CallerError, match="chmod 600"):
            TokenKeys(write_keys(tmp_path / "keys.json", "HS256", mode=mode), None)
        TokenKeys(write_keys(tmp_path / "keys.json", "EdDSA", mode=mode), None)
    data = tmp_path / "data"
    (data / "in").mkdir(parents=True)
    (tmp_path / "link").symlink_to(data)
    for place in (data / "keys.json", data / "in" / "keys.json", tmp_path / "link" / "keys.json"):
        with pytest.raises(CallerError, match="lies in the data directory"):
            TokenKeys(write_keys(place, "HS256"), None, [data])
    TokenKeys(write_keys(data / "keys.json", "EdDSA"), None, [data])


def test_the_first_key_of_its_file_signs(tmp_path: Path) -> None:
    keys = TokenKeys(None, write_keys(tmp_path / "own.json", "ES256", "EdDSA", private=True))
    assert keys.signing is not None
    assert (keys.signing.kid, sorted(keys.keys)) == ("ec", ["ec", "ed"])
    with pytest.raises(CallerError, match="no secret"):
        TokenKeys(None, write_keys(tmp_path / "own.json", "ES256"))


def test_a_key_that_is_drawn_can_sign_and_its_public_part_cannot(tmp_path: Path) -> None:
    drawn = [draw_signing_key("mine") for _ in range(2)]
    assert drawn[0] != drawn[1]
    read = read_key_file(write(tmp_path, drawn[0]), ())
    told = public_part([*read, *read_key_file(write(tmp_path, OCT), ())])
    assert [sorted(key) for key in told["keys"]] == [["alg", "crv", "kid", "kty", "use", "x"]]
    [public] = read_key_file(write(tmp_path, told), ())
    assert (public.kid, public.is_secret) == ("mine", False)
