"""The keys of access tokens: JSON Web Keys (RFC 7517) in files of the operator, read again when those change.

Rules:

- A key has one algorithm, which stands in it or follows from its type; what a token says of algorithms chooses none.
  Shared secrets are for HMAC alone, and no other key is.
- Each key has a name of its own, `kid`, by which it is looked up, byte by byte. No address in a token is ever asked.
- A file that holds what is secret is readable by its owner only, and lies outside of every data directory: backups
  hold those. One that is otherwise is refused.
- The files are looked at when a token comes, not in between: if the last look is TOKEN_KEYS_SECONDS old, and for a key
  that is not known if it is TOKEN_KEY_UNKNOWN_SECONDS old. What changed is read; a file that is broken by then leaves
  the keys as they were, and is told of once.
- What is told of a key is its name, never what is in it.

Not here: what a token says (`token_form`), who it lets in (`token`).
"""

from __future__ import annotations

import logging
from base64 import urlsafe_b64decode
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
from joserfc import jwk
from joserfc.errors import JoseError

from crdtstore import core, limits
from crdtstore.auth.secret_file import check_place, read_bounded
from crdtstore.errors import CallerError, CrdtStoreError

logger = logging.getLogger("crdtstore.keys")

ALGORITHMS: Final[Mapping[str, tuple[str, ...]]] = {
    "OKP": ("EdDSA",),
    "EC": ("ES256",),
    "RSA": ("RS256",),
    "oct": ("HS256", "HS384", "HS512"),
}
"""By the type of a key, those that it may be for; the first where it does not say."""

CURVES: Final = {"OKP": "Ed25519", "EC": "P-256"}


class TokenKey(NamedTuple):
    """A key: what tokens are verified with, and signed where it is secret."""

    kid: str
    algorithm: str
    key: jwk.Key
    is_secret: bool

    def __repr__(self) -> str:
        """Nothing of what is in it."""
        return f"TokenKey({self.kid!r}, {self.algorithm!r})"


class JsonWebKey(msgspec.Struct, frozen=True):
    """What of a key is looked at here; the rest is the library's."""

    kty: str
    kid: str
    alg: str | None = None
    use: str | None = None
    crv: str | None = None
    k: str | None = None
    n: str | None = None
    d: str | None = None

    def __repr__(self) -> str:
        """Nothing of what is in it."""
        return f"JsonWebKey({self.kid!r})"


class JsonWebKeys(msgspec.Struct, frozen=True):
    """A set of keys."""

    keys: list[msgspec.Raw]


class TokenKeys:
    """The keys of some files, and the first one of the file of the store's own, which signs.

    Safe to use from several threads; `look` reads files, so it is called in one.
    """

    def __init__(
        self, file: Path | None, signing_file: Path | None, directories: Sequence[Path] = (), *, now: float = 0.0
    ) -> None:
        """Read the keys.

        Args:
            file: The keys of others, and of older ones of this store.
            signing_file: The store's own.
            directories: Where no secret may lie.
            now: The monotonic clock.

        Raises:
            CallerError: A file is not as it must be; the message says what is wrong.
            OSError: It cannot be read.
        """
        self.files = [each for each in (signing_file, file) if each is not None]
        self.signing_file = signing_file
        self.directories = [each.resolve() for each in directories]
        self.looked = now
        self.stamps = [stamp_of(each) for each in self.files]
        self.keys, self.signing = self.read()
        self.generation = 0
        logger.info("Tokens are verified with the keys %s.", sorted(self.keys))

    def is_due(self, kid: str, now: float) -> bool:
        """Whether the files are to be looked at before a token with this key is taken."""
        is_unknown = kid not in self.keys and now - self.looked >= limits.TOKEN_KEY_UNKNOWN_SECONDS
        return is_unknown or self.is_stale(now)

    def is_stale(self, now: float) -> bool:
        """Whether the files are to be looked at before any token is taken."""
        return now - self.looked >= limits.TOKEN_KEYS_SECONDS

    def look(self, now: float) -> None:
        """Read the files again if they have changed."""
        self.looked = now
        try:
            stamps: list[Any] = [stamp_of(each) for each in self.files]
        except OSError as error:
            stamps = [error.errno]
        if stamps == self.stamps:
            return
        self.stamps = stamps
        try:
            keys, signing = self.read()
        except (CrdtStoreError, OSError) as error:
            logger.error("The keys of tokens stay as they were: %s", error)  # noqa: TRY400  without the traceback
            return
        come, gone = sorted(keys.keys() - self.keys.keys()), sorted(self.keys.keys() - keys.keys())
        self.keys, self.signing = keys, signing
        self.generation += 1
        logger.info("The keys of tokens were read again; new: %s; gone: %s.", come, gone)

    def read(self) -> tuple[dict[str, TokenKey], TokenKey | None]:
        """Read the files."""
        found: dict[str, TokenKey] = {}
        signing = None
        for file in self.files:
            for each in read_key_file(file, self.directories):
                if each.kid in found:
                    raise CallerError(f"Two keys of tokens are called {each.kid!r}; {file} has the second.")
                found[each.kid] = each
                if file == self.signing_file and signing is None:
                    signing = each
        if signing is not None and not signing.is_secret:
            raise CallerError(f"The first key of {self.signing_file} signs tokens, and holds no secret to sign with.")
        return found, signing


def stamp_of(file: Path) -> tuple[int, int, int]:
    """What changes with a file."""
    status = file.stat()
    return status.st_mtime_ns, status.st_ino, status.st_size


def read_key_file(file: Path, directories: Sequence[Path]) -> list[TokenKey]:
    """Read a file of keys: a set of them, or one alone.

    Raises:
        CallerError: It is none, or holds secrets and lies where others can read them.
        OSError: It cannot be read.
    """
    data, mode = read_bounded(file, limits.TOKEN_KEYS_BYTES_MAX)
    keys = [key_of(text, file) for text in texts_of(data, file)]
    if any(each.is_secret for each in keys):
        check_place(file, mode, directories)
    return keys


def texts_of(data: bytes, file: Path) -> list[bytes]:
    """The keys of a file, each as the JSON that it is."""
    try:
        core.scan_json(data, limits.JSON_DEPTH_MAX)
        if "keys" in msgspec.json.decode(data, type=dict[str, msgspec.Raw]):
            return [bytes(each) for each in msgspec.json.decode(data, type=JsonWebKeys).keys]
    except (CrdtStoreError, msgspec.MsgspecError):
        raise CallerError(f"{file} is no file of keys: JSON with a list `keys`, or one key (RFC 7517).") from None
    return [data]


def key_of(text: bytes, file: Path) -> TokenKey:
    """Read a key.

    Raises:
        CallerError: It is none that is taken.
    """
    try:
        said = msgspec.json.decode(text, type=JsonWebKey)
    except msgspec.MsgspecError:
        raise CallerError(f"A key of {file} lacks `kty` or `kid`, or one of its members is no text.") from None
    algorithms = ALGORITHMS.get(said.kty, ())
    algorithm = said.alg or next(iter(algorithms), "")
    fits = algorithm in algorithms and said.use in {None, "sig"} and said.crv == CURVES.get(said.kty)
    named = 1 <= len(said.kid) <= limits.TOKEN_SUBJECT_CHARACTERS_MAX and said.kid.isprintable()
    if not fits or not named or is_weak(said):
        raise CallerError(
            f"The key {said.kid!r:.80} of {file} is not taken: EdDSA with Ed25519, ES256 with P-256, RS256, and HS256, "
            f"HS384 or HS512 with a random secret of {limits.TOKEN_SECRET_BYTES_MIN} bytes are; RSA from "
            f"{limits.RSA_BITS_MIN} bits on."
        )
    try:
        key = jwk.import_key(msgspec.json.decode(text))
    except (JoseError, ValueError, TypeError, LookupError):
        # What the library says of it may repeat what is in it.
        raise CallerError(f"The key {said.kid!r:.80} of {file} cannot be read as {said.kty}.") from None
    return TokenKey(said.kid, algorithm, key, said.kty == "oct" or said.d is not None)


def is_weak(key: JsonWebKey) -> bool:
    """Whether a key is too short, or a shared secret is a key of another kind in disguise."""
    try:
        secret, modulus = (urlsafe_b64decode((text or "").encode() + b"==") for text in (key.k, key.n))
    except ValueError:
        return True
    if key.n is not None:
        return not limits.RSA_BITS_MIN <= int.from_bytes(modulus).bit_length() <= limits.RSA_BITS_MAX
    disguised = b"BEGIN " in secret or secret.startswith((b"ssh-", b"ecdsa-"))
    return key.k is not None and (disguised or len(secret) < limits.TOKEN_SECRET_BYTES_MIN)


def draw_signing_key(kid: str) -> dict[str, Any]:
    """Draw a set with one key to sign with, of Ed25519."""
    key = jwk.OKPKey.generate_key("Ed25519", {"kid": kid, "alg": "EdDSA", "use": "sig"})
    return {"keys": [key.as_dict(private=True)]}


def public_part(keys: Sequence[TokenKey]) -> dict[str, Any]:
    """What of keys is no secret, to verify with elsewhere; shared secrets are left out."""
    told = [each for each in keys if each.key.key_type != "oct"]
    return {"keys": [each.key.as_dict(private=False) | {"kid": each.kid, "alg": each.algorithm} for each in told]}
