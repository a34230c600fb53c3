"""Access tokens: those of known keys are taken until they end; every attack of the list is refused in one way."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crdtstore import limits
from crdtstore.auth import token as token_module
from crdtstore.auth.credential import Caller
from crdtstore.auth.key_form import REFUSAL
from crdtstore.auth.permission import Permission
from crdtstore.auth.permission_form import PermissionForm, Rules
from crdtstore.auth.token import Tokens
from crdtstore.auth.token_form import Token
from crdtstore.auth.token_keys import TokenKey
from crdtstore.errors import CallerError, Overloaded, Unauthenticated
from tests.auth.tokens import (
    KINDS,
    NOW,
    Clock,
    claims,
    hmac_signed,
    part,
    signed,
    tokens_of,
    with_signature,
    write_keys,
)


@pytest.fixture
def time() -> Clock:
    return Clock()


@pytest.fixture
def tokens(tmp_path: Path, time: Clock) -> Iterator[Tokens]:
    made = tokens_of(tmp_path, time)
    yield made
    made.close()


def ask(tokens: Tokens, text: str, app: str | None = "app") -> Caller:
    return asyncio.run(tokens.authenticate(text, app))


def refused(tokens: Tokens, text: str, app: str | None = "app") -> bool:
    try:
        ask(tokens, text, app)
    except Unauthenticated as error:
        said = error.message
    else:
        return False
    assert said == REFUSAL
    return True


@pytest.mark.parametrize("algorithm", KINDS)
def test_a_token_of_a_known_key_is_taken(tokens: Tokens, algorithm: str) -> None:
    caller = ask(tokens, signed(algorithm))
    assert (caller.who, caller.permission.read, caller.permission.write) == ("token:alice", None, None)
    assert ask(tokens, signed(algorithm, typ=None)).who == "token:alice"
    assert ask(tokens, signed(algorithm, typ="at+JWT"), None).who == "token:alice"
    assert ask(tokens, signed(algorithm, claims(aud="sync", exp=NOW + 600.5))).who == "token:alice"


def test_a_token_of_our_own_is_taken_until_it_ends(tokens: Tokens, time: Clock) -> None:
    form = PermissionForm(read=Rules(False, {"c": ["true"]}))
    issued = tokens.sign("bob", "app", form, 60)
    assert issued.until == NOW + 60
    time.seconds += 59.9
    assert ask(tokens, issued.text) == Caller(Permission(read=frozenset({"c"})), "token:bob")
    time.seconds += 0.1
    assert refused(tokens, issued.text)
    assert issued.text not in repr(issued)


def test_no_token_lasts_longer_than_tokens_may(tokens: Tokens) -> None:
    assert tokens.sign("bob", "app", PermissionForm(), 10**9).until == NOW + limits.TOKEN_SECONDS_DEFAULT
    latest = NOW + limits.TOKEN_SECONDS_DEFAULT + limits.TOKEN_SKEW_SECONDS
    assert not refused(tokens, signed("EdDSA", claims(exp=latest)))
    assert refused(tokens, signed("EdDSA", claims(exp=latest + 1)))


def public_of(algorithm: str) -> bytes:
    """A public key, as one would find it."""
    return bytes(KINDS[algorithm].as_pem(private=False))


def der_of(algorithm: str) -> bytes:
    return bytes(KINDS[algorithm].as_der(private=False))


def jwk_of(algorithm: str) -> bytes:
    return json.dumps(KINDS[algorithm].as_dict(private=False)).encode()


def confused(secret: Callable[[str], bytes], algorithm: str = "RS256") -> str:
    """A token that is signed with a public key as if it were a shared secret."""
    head = {"alg": "HS256", "kid": KINDS[algorithm].kid, "typ": "JWT"}
    return hmac_signed(head, claims(), secret(algorithm))


def duplicated(text: str) -> str:
    """A token whose claims have a name twice."""
    return with_signature("EdDSA", part({"alg": "EdDSA", "kid": "ed"}), part(text.encode()))


def changed_end(text: str) -> list[str]:
    """Other ways to write a signature of the same bytes."""
    last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    place = last.index(text[-1])
    return [text[:-1] + last[place ^ 1], text + "=", text + "==", text + "\n", "\n" + text, text + " ", text + "."]


def each(*values: Any) -> tuple[Any, ...]:
    """Values of several types."""
    return values


GOOD = signed("EdDSA")
HEAD, BODY, SIGNATURE = GOOD.split(".")
SAID = json.dumps(claims())

ATTACKS: dict[str, str | list[str]] = {
    "alg none": [
        f"{part({'alg': name, 'kid': 'ed'})}.{BODY}.{end}"
        for name in ("none", "None", "NONE", "")
        for end in ("", SIGNATURE)
    ],
    "public key as a secret": [
        confused(secret, algorithm)
        for secret in (public_of, der_of, jwk_of)
        for algorithm in ("RS256", "ES256", "EdDSA")
    ],
    "another algorithm than the key's": [
        signed("HS256", kid="ed"),
        signed("RS256", alg="RS512"),
        signed("HS256", alg="HS512"),
    ],
    "another key than the one that is named": [signed("EdDSA", kid="ec"), signed("RS256", kid="ed")],
    "addresses and keys in the header": [
        signed("EdDSA", **{name: value})
        for name, value in {
            "jku": "http://127.0.0.1:9/keys",
            "x5u": "http://127.0.0.1:9/cert",
            "jwk": KINDS["EdDSA"].as_dict(private=False),
            "x5c": ["a"],
            "x5t": "a",
            "cty": "JWT",
        }.items()
    ],
    "crit, b64, zip": [
        signed("EdDSA", crit=["exp"]),
        signed("EdDSA", crit=["b64"], b64=False),
        signed("EdDSA", b64=False),
        signed("EdDSA", zip="DEF"),
    ],
    "names of keys": [
        signed("EdDSA", kid=name)
        for name in ("../../dev/null", "/dev/null", "' OR '1'='1", "ed\x00", "ED", "", None, "x" * 400, ["ed"], 1)
    ],
    "types": [signed("EdDSA", typ=name) for name in ("JWE", "", "dpop+jwt", 5, ["JWT"])],
    "no end, or none that is a time": [
        signed("EdDSA", claims(exp=value))
        for value in each(None, str(NOW + 600), True, [NOW], {}, -1, 0, NOW, 10**30, 1e300)
    ],
    "an end that is no number": [
        duplicated(SAID.replace(str(NOW + 600), text))
        for text in ("Infinity", "NaN", "1e999", f"{NOW}_600", "0x7fffffff")
    ],
    "not yet": [
        signed("EdDSA", claims(**{name: value}))
        for name in ("nbf", "iat")
        for value in each(NOW + 31, NOW + 10**6, "soon", True, [0])
    ],
    "for others": [
        signed("EdDSA", claims(aud=value))
        for value in each(None, "app", [], ["other"], ["syn"], "sync2", "SYNC", {"sync": 1}, [["sync"]], 5)
    ],
    "for another app": [
        signed("EdDSA", claims(app=value)) for value in each(None, "", "ap", "app2", "APP", ["app"], 5)
    ],
    "of nobody": [signed("EdDSA", claims(sub=value)) for value in each(None, "", "a\nb", "x" * 257, 5, ["alice"], {})],
    "no permission": [
        signed("EdDSA", claims(perm=value))
        for value in each(
            None, "all", True, [], {"read": True}, {"read": {}}, {"admin": True}, {"read": {"everything": 1}}
        )
    ],
    "a language that is none": [signed("EdDSA", claims(qlv=value)) for value in each(2, -1, "0", True)],
    "a name twice": [
        duplicated(SAID[:-1] + f', "{name}": {json.dumps(value)}}}') for name, value in {"exp": 0, "sub": "eve"}.items()
    ]
    + [
        with_signature("EdDSA", part(text), BODY)
        for text in (b'{"alg":"EdDSA","kid":"ec","kid":"ed"}', b'{"alg":"none","alg":"EdDSA","kid":"ed"}')
    ],
    "no JSON": [
        with_signature("EdDSA", HEAD, part(text))
        for text in (b"", b"{", b"null", b"[]", b"\xff", b"{} {}", b"\xef\xbb\xbf" + SAID.encode(), b"[" * 5_000)
    ]
    + [with_signature("EdDSA", part(text), BODY) for text in (b"[]", b'"EdDSA"', b"[" * 300 + b"]" * 300)],
    "another way to write the same": [
        *changed_end(GOOD),
        f"{HEAD}=.{BODY}.{SIGNATURE}",
        GOOD.replace(".", "..", 1),
        GOOD.replace("-", "+").replace("_", "/") + "+",
        f" {GOOD}",
    ],
    "parts": [f"{HEAD}.{BODY}", f"{HEAD}.{BODY}.", f".{BODY}.{SIGNATURE}", f"{HEAD}..{SIGNATURE}", "..", "a.b.c"],
    "five parts": f"{part({'alg': 'dir', 'enc': 'A256GCM', 'zip': 'DEF', 'kid': 'oct'})}..{BODY}.{BODY}.{SIGNATURE}",
    "nested header": with_signature("EdDSA", part(b'{"alg":' + b"[" * 100_000), BODY),
    "a mebibyte": [signed("EdDSA", claims(pad="x" * 2**20)), "x" * 2**20, f"{HEAD}.{'a' * 2**20}.{SIGNATURE}"],
    "too long by little": signed("EdDSA", claims(pad="x" * 6_000)),
    "letters beyond ASCII": [GOOD[:-2] + "éé", "é." + BODY + "." + SIGNATURE],
}


@pytest.mark.parametrize("name", ATTACKS)
def test_every_attack_is_refused_in_one_way(tokens: Tokens, name: str) -> None:
    attacks = ATTACKS[name]
    for text in [attacks] if isinstance(attacks, str) else attacks:
        assert refused(tokens, text), text[:300]
    assert not refused(tokens, GOOD)


def test_nothing_is_asked_of_an_address_in_a_token(tokens: Tokens, monkeypatch: pytest.MonkeyPatch) -> None:
    connected: list[object] = []
    monkeypatch.setattr("socket.socket.connect", lambda *to: connected.append(to))
    for text in ATTACKS["addresses and keys in the header"]:
        assert refused(tokens, text)
    assert connected == []


def test_an_issuer_is_compared_whole(tmp_path: Path, time: Clock) -> None:
    tokens = tokens_of(tmp_path, time, issuer="https://a.example")
    for issuer in (None, "", "https://a.example.evil", "https://a", "https://a.example/", ["https://a.example"]):
        assert refused(tokens, signed("EdDSA", claims(iss=issuer)))
    assert not refused(tokens, signed("EdDSA", claims(iss="https://a.example")))
    assert not refused(tokens, tokens.sign("bob", "app", PermissionForm(), 60).text), (
        "of our own keys nobody else signs"
    )
    tokens.close()


def mutants(text: str) -> st.SearchStrategy[str]:
    """A token with some characters changed, left out, doubled or put elsewhere."""
    letters = st.sampled_from("ABCdef019-_.=+/ \n%é")
    places = st.integers(0, len(text) - 1)
    changed = st.builds(lambda at, by: text[:at] + by + text[at + 1 :], places, letters)
    longer = st.builds(lambda at, by: text[:at] + by + text[at:], places, letters)
    shorter = st.builds(lambda at, by: text[:at] + text[by:], places, places)
    return st.one_of(changed, longer, shorter)


FORGERS = st.fixed_dictionaries(
    {},
    optional={
        "alg": st.sampled_from(["none", "HS256", "RS256", "ES256", "EdDSA", "Ed25519", "HS384"]),
        "kid": st.sampled_from(["ed", "ec", "rsa", "oct", "own", "unknown"]),
        "typ": st.sampled_from(["JWT", "JWE"]),
    },
)


@st.composite
def forged(draw: st.DrawFn) -> str:
    """A token that somebody without a key makes: a good one's parts changed, or signed with what everybody knows."""
    algorithm = draw(st.sampled_from(sorted(KINDS)))
    if draw(st.booleans()):
        text = signed(algorithm)
        mutant = draw(mutants(text))
        return mutant if mutant != text else text + "A"
    head = {"alg": algorithm, "kid": KINDS[algorithm].kid, **draw(FORGERS)}
    public = draw(st.sampled_from(["RS256", "ES256", "EdDSA"]))
    secret = draw(st.sampled_from([b"", b"secret", public_of(public), der_of(public), jwk_of(public)]))
    if draw(st.booleans()):
        return hmac_signed(head, claims(), secret)
    return f"{part(head)}.{part(claims())}." + draw(st.sampled_from(["", signed(algorithm).split(".")[2], part(b"x")]))


SHARED = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)


def is_forgery(text: str) -> bool:
    """Whether it is none of the good tokens; a signature of RSA and EdDSA is the same each time."""
    return all(text != signed(algorithm) for algorithm in KINDS)


@SHARED
@given(text=forged())
def test_what_nobody_signed_is_never_taken(tokens: Tokens, text: str) -> None:
    assert refused(tokens, text) or not is_forgery(text)


def trusting(token: Token, key: TokenKey) -> None:
    """A planted verifier: it does as the header says, with whatever key is named."""
    head, body, signature = token.text.split(".")
    if token.header.alg == "none":
        return
    if token.header.alg.startswith("HS"):
        secrets = [public_of(name) for name in ("RS256", "ES256", "EdDSA") if KINDS[name].kid == key.kid]
        if any(hmac_signed_parts(head, body, secret) == signature for secret in secrets):
            return
    raise Unauthenticated(REFUSAL)


def hmac_signed_parts(head: str, body: str, secret: bytes) -> str:
    return part(hmac.digest(secret, f"{head}.{body}".encode(), hashlib.sha256))


@pytest.mark.parametrize("name", ["alg none", "public key as a secret"])
def test_a_verifier_that_trusts_the_header_is_found(tokens: Tokens, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_module, "check_signature", trusting)
    assert not all(refused(tokens, text) for text in ATTACKS[name])

    @settings(SHARED, database=None)
    @given(text=forged())
    def property(text: str) -> None:
        assert refused(tokens, text) or not is_forgery(text)

    with pytest.raises(AssertionError):
        property()


def test_a_verified_token_is_remembered_until_it_ends(
    tokens: Tokens, time: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[bool] = []
    check = token_module.check_signature

    def counted(token: Token, key: TokenKey) -> None:
        threads.append(threading.current_thread() is threading.main_thread())
        check(token, key)

    monkeypatch.setattr(token_module, "check_signature", counted)
    for _ in range(3):
        assert not refused(tokens, GOOD)
    assert threads == [False], "once, and not on the event loop"
    assert refused(tokens, GOOD, "other"), "it is remembered for one app"
    time.seconds = NOW + 600
    assert refused(tokens, GOOD)
    assert GOOD.encode() not in repr(tokens.verified).encode()


def test_what_is_verified_again_may_do_the_same(tokens: Tokens, time: Clock) -> None:
    ruled = {"read": {"everything": False, "queriesByCollection": {"c": ["n > 1", "_id == 'a'"]}}}
    text = signed("EdDSA", claims(perm=ruled))
    before = ask(tokens, text)
    time.seconds += limits.TOKEN_KEYS_SECONDS
    assert ask(tokens, text) == before, "or streams would end"


def test_so_many_are_remembered_and_wait(tokens: Tokens, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "TOKEN_CACHE_ENTRIES_MAX", 2)
    for name in "abc":
        ask(tokens, signed("EdDSA", claims(sub=name)))
    assert len(tokens.verified) == 2
    monkeypatch.setattr(limits, "TOKENS_WAITING_MAX", 0)
    with pytest.raises(Overloaded):
        ask(tokens, signed("EdDSA", claims(sub="d")))


def test_keys_are_read_again_when_the_file_changes(
    tmp_path: Path, tokens: Tokens, time: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "crdtstore.keys")
    file = tmp_path / "keys.json"
    assert not refused(tokens, GOOD)
    rewrite(file, "ES256")
    assert not refused(tokens, GOOD), "the last look is not old enough"
    time.seconds += limits.TOKEN_KEYS_SECONDS
    assert refused(tokens, GOOD)
    assert not refused(tokens, signed("ES256"))
    rewrite(file, "ES256", "EdDSA")
    assert refused(tokens, GOOD), "nor for a key that is not known"
    time.seconds += limits.TOKEN_KEY_UNKNOWN_SECONDS
    assert not refused(tokens, GOOD)
    said = [record.getMessage() for record in caplog.records]
    assert said == [
        "The keys of tokens were read again; new: []; gone: ['ed', 'oct', 'rsa'].",
        "The keys of tokens were read again; new: ['ed']; gone: [].",
    ]


def rewrite(file: Path, *algorithms: str) -> None:
    """Put another file in the place of one."""
    write_keys(file.with_suffix(".new"), *algorithms)
    file.with_suffix(".new").replace(file)


def test_a_broken_file_leaves_the_keys_and_is_told_of_once(
    tmp_path: Path, tokens: Tokens, time: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "keys.json"
    file.write_text('{"keys": [')
    for _ in range(3):
        time.seconds += limits.TOKEN_KEYS_SECONDS
        assert not refused(tokens, GOOD)
    file.unlink()
    for _ in range(3):
        time.seconds += limits.TOKEN_KEYS_SECONDS
        assert not refused(tokens, GOOD)
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR"]
    write_keys(file, "EdDSA")
    time.seconds += limits.TOKEN_KEYS_SECONDS
    assert refused(tokens, signed("RS256"))


def test_what_makes_no_token_is_not_signed(tokens: Tokens) -> None:
    long = PermissionForm(read=Rules(False, {f"collection-{number}": ["true"] for number in range(500)}))
    for subject, form in (("", PermissionForm()), ("a\nb", PermissionForm()), ("a", long)):
        with pytest.raises(CallerError, match="bytes"):
            tokens.sign(subject, "app", form, 60)
    tokens.keys.signing = None
    with pytest.raises(CallerError, match="no key"):
        tokens.sign("a", "app", PermissionForm(), 60)
