"""Messages: what is read is what was written, and nothing else is read."""

from __future__ import annotations

import inspect
from contextlib import suppress

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtstore import errors
from crdtstore.errors import CrdtStoreError, Divergence, MalformedMessage, VersionNotAvailable
from crdtstore.replication import message
from crdtstore.replication.answer import answer
from crdtstore.replication.message import (
    Answer,
    Fault,
    Hello,
    Pull,
    Request,
    decode_answer,
    decode_request,
    encode,
    fault_of,
)
from crdtstore.replication.pins import Pins
from tests.replication.worlds import make, put, rows, state

ORIGIN = b"o" * 16
KINDS = [kind for _, kind in inspect.getmembers(message, inspect.isclass) if kind.__module__ == message.__name__]
REQUESTS = [kind for kind in KINDS if issubclass(kind, Request) and kind is not Request]
ANSWERS = [kind for kind in KINDS if issubclass(kind, Answer) and kind not in (Answer, Fault)]

names = st.binary(min_size=16, max_size=16)
numbers = st.integers(0, 2**63 - 1)


@given(st.one_of(names.map(lambda origin: Hello(1, ("a", "b"), origin, ORIGIN, ORIGIN, 2.5)), st.builds(
    lambda at, digest, whole: Pull(1, None, ORIGIN, ((ORIGIN, at + 1, digest, whole),), at),
    st.integers(0, 2**62), names, st.booleans(),
)))  # fmt: skip
def test_read_as_written(request_: Request) -> None:
    assert decode_request(encode(request_)) == request_


def test_every_message_has_a_number_of_its_own() -> None:
    kinds: list[type[msgspec.Struct]] = [*REQUESTS, *ANSWERS, Fault]
    tags = [kind.__struct_config__.tag for kind in kinds]
    assert len(set(tags)) == len(tags) == 19


def test_another_format_is_named() -> None:
    with pytest.raises(MalformedMessage, match="format 1 of the exchange, not 2"):
        decode_request(msgspec.msgpack.encode([1, 2, "of the future"]))


@pytest.mark.parametrize("data", [b"", b"\xc1", b"\x90", b"\x91\x01", b"{}", encode(Fault("a", "b", {}))])
def test_what_is_no_request(data: bytes) -> None:
    with pytest.raises(MalformedMessage):
        answer(make(1), data, Pins())


@pytest.mark.parametrize(
    "request_",
    [
        Pull(1, None, b"short", (), 0),
        Pull(1, (), ORIGIN, (), 0),
        Pull(1, None, ORIGIN, ((ORIGIN, 0, ORIGIN, True),), 0),
        Pull(1, None, ORIGIN, (), -1),
        Hello(1, None, ORIGIN, ORIGIN, ORIGIN, 1e9),
    ],
)
def test_fields_are_checked(request_: Request) -> None:
    with pytest.raises(MalformedMessage):
        decode_request(encode(request_))


def test_too_long_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(message, "MESSAGE_BYTES_MAX", 10)
    with pytest.raises(MalformedMessage, match="at most 10 bytes"):
        decode_request(b"\0" * 11)


@given(st.binary(max_size=60), st.integers(0, 200), st.integers(0, 255))
def test_altered_bytes_are_refused_or_answered(noise: bytes, at: int, byte: int) -> None:
    """Nothing but a message or MalformedMessage comes of any bytes, and nothing is changed by them."""
    store, pins = make(1), Pins()
    put(store, 1, x=1)
    before = rows(store), state(store)
    data = bytearray(encode(Pull(1, None, ORIGIN, ((b"p" * 16, 3, ORIGIN, True),), 1_000)))
    data[at % len(data)] = byte
    for tried in (bytes(data), noise, bytes(data) + noise):
        try:
            given_ = answer(store, tried, pins)
        except MalformedMessage:
            continue
        if isinstance(given_, bytes):
            with suppress(CrdtStoreError):
                decode_answer(given_)
    assert (rows(store), state(store)) == before


def test_an_error_is_raised_as_what_it_was() -> None:
    error = Divergence("Two histories.", origin="o", position=3, ours="a", theirs="b")
    with pytest.raises(Divergence, match="The other store says: Two histories") as raised:
        decode_answer(encode(fault_of(error)))
    assert raised.value.data == error.data


def test_every_error_can_travel() -> None:
    for name, kind in inspect.getmembers(errors, inspect.isclass):
        if not issubclass(kind, CrdtStoreError) or "__init__" in vars(kind):
            continue
        with pytest.raises(kind, match="sentence"):
            decode_answer(encode(fault_of(kind("A sentence.", name=name, more=object()))))


def test_an_error_of_other_arguments_travels_as_its_root() -> None:
    with pytest.raises(CrdtStoreError, match="not available"):
        decode_answer(encode(fault_of(VersionNotAvailable(3, 2))))
