"""Keys and tokens of tests: made with the library, and by hand where no library would."""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import urlsafe_b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

from joserfc import jwk

from crdtstore.auth.token import Registry, Tokens
from crdtstore.auth.token_keys import TokenKeys

NOW = 1_700_000_000
EVERYTHING = {"everything": True, "queriesByCollection": {}}
FULL = {"read": EVERYTHING, "write": EVERYTHING}
KINDS: dict[str, Any] = {
    "EdDSA": jwk.OKPKey.generate_key("Ed25519", {"kid": "ed"}),
    "ES256": jwk.ECKey.generate_key("P-256", {"kid": "ec"}),
    "RS256": jwk.RSAKey.generate_key(2_048, {"kid": "rsa"}),
    "HS256": jwk.OctKey.generate_key(256, {"kid": "oct"}),
}
"""One key of each kind, by its algorithm."""


def claims(**more: Any) -> dict[str, Any]:
    """What a good token says; None leaves a claim out."""
    said = {"sub": "alice", "app": "app", "aud": ["sync"], "exp": NOW + 600, "iat": NOW, "perm": FULL, "qlv": 0, **more}
    return {name: value for name, value in said.items() if value is not None}


def part(value: Any) -> str:
    """Write a part of a token."""
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def signed(algorithm: str, said: Any = None, **header: Any) -> str:
    """A token as the key of an algorithm signs it; `header` is what stands there besides, or None for without."""
    key = KINDS[algorithm]
    named = {"alg": algorithm, "kid": key.kid, "typ": "JWT", **header}
    head = {name: value for name, value in named.items() if value is not None}
    return with_signature(algorithm, part(head), part(claims() if said is None else said))


def with_signature(algorithm: str, head: str, body: str) -> str:
    """Sign two parts, whatever is in them."""
    text = f"{head}.{body}".encode()
    model = Registry(algorithms=[algorithm]).get_alg(algorithm)
    return f"{head}.{body}.{part(model.sign(text, KINDS[algorithm]))}"


def hmac_signed(head: dict[str, Any], said: Any, secret: bytes) -> str:
    """A token that is signed with a secret of one's own choice."""
    text = f"{part(head)}.{part(said)}"
    return f"{text}.{part(hmac.digest(secret, text.encode(), hashlib.sha256))}"


def write_keys(path: Path, *algorithms: str, private: bool = False, mode: int = 0o600) -> Path:
    """Write a file of keys; secrets are shared ones, and others where that is asked for."""
    keys = [KINDS[name].as_dict(private=private or name == "HS256") for name in algorithms]
    path.write_text(json.dumps({"keys": keys}))
    path.chmod(mode)
    return path


class Clock:
    """A clock that a test moves, in seconds."""

    def __init__(self, seconds: float = NOW) -> None:
        self.seconds = seconds

    def __call__(self) -> float:
        return self.seconds


def tokens_of(folder: Path, clock: Callable[[], float], **more: Any) -> Tokens:
    """What takes tokens of all kinds of keys, and signs with one of its own."""
    own = folder / "own.json"
    if not own.exists():
        own.write_text(
            json.dumps({"keys": [{**jwk.OKPKey.generate_key("Ed25519").as_dict(private=True), "kid": "own"}]})
        )
        own.chmod(0o600)
    keys = TokenKeys(write_keys(folder / "keys.json", *KINDS), own, now=clock())
    return Tokens(keys, monotonic=clock, clock=clock, **more)
