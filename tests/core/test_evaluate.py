"""Queries on document bytes: the compiled evaluator gives the plain one's verdict, or asks for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice, product
from random import Random
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from crdtstore import _core, core
from crdtstore.crdt.document_bytes import merge_document
from crdtstore.crdt.identifier import decode_id, encode_id
from crdtstore.crdt.names import Names, Replicas
from crdtstore.crdt.path import encode_path
from crdtstore.errors import Corrupted, InvalidId
from crdtstore.query import tree
from crdtstore.query.instant import parse_instant
from crdtstore.query.lookup import walk
from crdtstore.query.match import compile_match
from crdtstore.query.pattern import compile_like
from crdtstore.query.program import compile_filter, compile_program
from crdtstore.query.tree import LEGACY, RQL, Comparison, Node
from tests.core.merging import Step, play
from tests.core.strategies import document
from tests.core.worlds import ALL_IDS, Written, pairs

PAIRS = 24_000
MANY_PAIRS = pytest.param(1, 20 * PAIRS, 0.1, marks=pytest.mark.slow)

Change = Callable[[Any], Any]


@pytest.fixture(autouse=True)
def compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever core was chosen, programs are the compiled one's."""
    monkeypatch.setattr(core, "Program", _core.Program)
    monkeypatch.setattr(core, "evaluate", _core.evaluate)


def run(program: Any, written: Written) -> Any:
    return _core.evaluate(program, written.data, written.encoded_id, written.paths, written.replicas)


def disagreements(
    seed: int, count: int, exotic: float, change: Change = lambda node: node
) -> Iterator[tuple[Node, Written, Any]]:
    """The pairs of which the core, given a changed tree, says something else than the plain evaluator."""
    for node, written, lookup in pairs(seed, count, exotic):
        verdict = run(compile_program(change(node)), written)
        if verdict is not NotImplemented and verdict is not compile_match(node)(lookup):
            yield node, written, verdict


@pytest.mark.parametrize(("seed", "count", "exotic"), [(0, PAIRS, 0.0), (2, PAIRS // 4, 0.2), MANY_PAIRS])
def test_the_core_agrees_with_the_plain_evaluator(seed: int, count: int, exotic: float) -> None:
    assert next(disagreements(seed, count, exotic), None) is None


def test_the_core_asks_rarely_and_every_verdict_is_met() -> None:
    verdicts = Counter(run(compile_program(node), written) for node, written, _ in pairs(3, PAIRS // 4))
    assert verdicts[NotImplemented] < 0.03 * verdicts.total()
    assert min(verdicts[True], verdicts[False], verdicts[None]) > 0.1 * verdicts.total()


# --- planted bugs ---


def rewrite(part: Any, change: Change) -> Any:
    """A tree with a change made to each of its nodes and rules: what a bug of the compiler does."""
    if isinstance(part, tuple):
        return tuple(rewrite(each, change) for each in part)
    if not isinstance(part, msgspec.Struct):
        return part
    return change(type(part)(**{name: rewrite(getattr(part, name), change) for name in part.__struct_fields__}))


def replaced(kind: type[Any], **new: Any) -> Change:
    """A change of some fields of each node of one kind."""
    return lambda part: msgspec.structs.replace(part, **new) if isinstance(part, kind) else part


def recalled(old: str, new: str) -> Change:
    """A change of one function to another."""
    return lambda part: (
        msgspec.structs.replace(part, function=new) if isinstance(part, tree.Call) and part.function == old else part
    )


PLANTED: dict[str, Change] = {
    "spread is forgotten": replaced(tree.Field, spread=False),
    "all is spread": replaced(tree.Field, spread=True),
    "missing is null": replaced(Comparison, missing="null"),
    "missing is false": replaced(Comparison, missing="false"),
    "missing is unknown": replaced(Comparison, missing="unknown"),
    "null is a value": replaced(Comparison, null="value"),
    "null is unknown": replaced(Comparison, null="unknown"),
    "other types are unequal": replaced(Comparison, mixed="unequal"),
    "other types are false": replaced(Comparison, mixed="false"),
    "other types are unknown": replaced(Comparison, mixed="unknown"),
    "dates are texts": replaced(Comparison, dates_are_instants=False),
    "texts are dates": replaced(Comparison, dates_are_instants=True),
    "less is less or equal": lambda part: (
        msgspec.structs.replace(part, operator={"<": "<=", ">": ">="}.get(part.operator, part.operator))
        if isinstance(part, tree.Compare)
        else part
    ),
    "not is forgotten": lambda part: part.operand if isinstance(part, tree.Not) else part,
    "or is and": lambda part: tree.And(part.operands) if isinstance(part, tree.Or) else part,
    "conflicts are anywhere": replaced(tree.Conflicted, path=()),
    "case matters": recalled("ilike", "like"),
    "case does not matter": recalled("like", "ilike"),
    "starts are ends": recalled("starts_with", "ends_with"),
    "no text is false": replaced(tree.Call, otherwise="false"),
    "null is missing": lambda part: (
        tree.IsType(part.operand, tuple("missing" if name == "null" else name for name in part.types))
        if isinstance(part, tree.IsType)
        else part
    ),
    "some is any array": lambda part: (
        tree.IsType(tree.Field(part.path), ("array", "object")) if isinstance(part, tree.Some) else part
    ),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_bug_is_found(name: str) -> None:
    change = PLANTED[name]
    found = list(islice(disagreements(0, PAIRS, 0.0, lambda node: rewrite(node, change)), 3))
    assert len(found) == 3, "The bug shows in so few pairs that a subtler one would slip through."


# --- texts ---


def holds(node: Node, fields: dict[tuple[str, ...], Any]) -> Any:
    """The core's verdict of a document of registers."""
    stored = document(fields)
    return _core.evaluate(compile_program(node), stored.data, encode_id("a"), stored.paths, stored.replicas)


ALPHABET = "aab\xe9\xdf\U0001f600AB"


def test_like_fits_what_the_plain_one_fits() -> None:
    random = Random(0)
    fitting = 0
    for _ in range(300):
        pattern = "".join(random.choices(ALPHABET + "**??\\", k=random.randrange(7)))
        name = random.choice(("like", "ilike"))
        program = compile_program(tree.Call(name, (tree.Field(("a",)), tree.Literal(pattern))))
        fits = compile_like(pattern, folded=name == "ilike")
        for _ in range(20):
            text = "".join(random.choices(ALPHABET, k=random.randrange(9)))
            stored = document({("a",): text})
            found = _core.evaluate(program, stored.data, b"\x20a", stored.paths, stored.replicas)
            assert found is fits(text), (name, pattern, text)
            fitting += found
    assert fitting > 400


DATE_PARTS = (
    ("2022-04-29", "2016-12-31", "2017-01-01", "2000-02-29", "1900-02-29", "0000-01-01", "9999-12-31", "2022-00-10"),
    ("T", "t", "T", " "),
    ("00:55:31", "23:59:60", "00:00:00", "24:00:00", "00:59:60", "23:60:00", "2:00:00"),
    ("", "", ".5", ".50", ".", ".123456789012345", ".000"),
    ("Z", "z", "+01:00", "-00:00", "-23:59", "+24:00", "+0100", "", "Z "),
)


def test_dates_are_the_instants_that_the_plain_reader_reads() -> None:
    random = Random(0)
    dates = ["".join(map(random.choice, DATE_PARTS)) for _ in range(600)]
    known = [text for text in dates if parse_instant(text) is not None]
    assert 50 < len(known) < 300
    for one, other in product(random.sample(dates, 30) + random.sample(known, 30), random.sample(known, 50)):
        operator: Any = random.choice(("==", "<", "<=", "!="))
        constant = tree.Compare(operator, tree.Field(("a",)), tree.Literal(other), LEGACY)
        fields = tree.Compare(operator, tree.Field(("a",)), tree.Field(("b",)), LEGACY)
        expected = compile_match(constant)(lambda _path, text=one: text)  # type: ignore[arg-type]
        document_fields: dict[tuple[str, ...], Any] = {("a",): one, ("b",): other}
        assert holds(constant, document_fields) is holds(fields, document_fields) is expected, (one, operator, other)


def test_a_pattern_that_python_has_to_test_is_tested() -> None:
    ilike = tree.Call("ilike", (tree.Field(("a",)), tree.Literal("STRASSE")))
    assert holds(ilike, {("a",): "stra\xdfe"}) is True
    regex = tree.Call("regex", (tree.Field(("a",)), tree.Literal("^stra.e$")))
    assert holds(regex, {("a",): "stra\xdfe"}) is True


# --- what is asked about, and what is not ---

FEATURES = {
    ("features", "lamp", "properties", "x"): 1,
    ("features", "fan", "properties", "x"): [2, 3],
    ("n",): {"x": 1},
}


@pytest.mark.parametrize("value", [1, 3, 4])
def test_some_goes_through_maps_without_asking(value: int) -> None:
    compare = tree.Compare("==", tree.Field(("properties", "x"), True), tree.Literal(value), RQL)
    assert holds(tree.Some(("features",), compare), FEATURES) is (value != 4)


@pytest.mark.parametrize(
    ("node", "verdict"),
    [
        (tree.Compare("==", tree.Field(("features",)), tree.Literal({}), RQL), NotImplemented),
        (tree.Compare("<", tree.Field(("features",)), tree.Literal({}), RQL), False),
        (tree.Compare("==", tree.Field(("features",)), tree.Literal(1), RQL), False),
        (tree.Compare("==", tree.Field(("n",)), tree.Literal({"x": 1.0}), RQL), True),
        (tree.Compare("==", tree.Field(("n", "x")), tree.Literal(10**30), RQL), NotImplemented),
        (tree.Compare("==", tree.Field(("n", "x")), tree.Literal(float("nan")), RQL), NotImplemented),
        (tree.Compare("==", tree.ArrayLiteral((tree.Field(("n",)),)), tree.Literal([1]), RQL), NotImplemented),
        (tree.And((tree.Literal(False), tree.Compare("==", tree.ArrayLiteral(()), tree.Literal([1]), RQL))), False),
        (tree.IsType(tree.Field(("features",)), ("object",)), True),
        (tree.Truth(tree.Field(("features", "lamp"))), True),
        (tree.Truth(tree.Field(("features", "\ud800"))), False),
        (tree.Compare("<", tree.Field(("n", "x")), tree.Literal("\ud800"), LEGACY), False),
    ],
)
def test_examples(node: Node, verdict: Any) -> None:
    assert holds(node, FEATURES) is verdict


def test_a_filter_decides_what_the_core_asks_about() -> None:
    stored = document({("a", "b"): 1})
    catalog: Any = SimpleNamespace(replicas=stored.replicas)
    collection: Any = SimpleNamespace(paths=stored.paths)
    for value, expected in (({"b": 1}, True), ({"b": 2}, False)):
        node = tree.Compare("==", tree.Field(("a",)), tree.Literal(value), LEGACY)
        assert compile_filter(node).matches(catalog, collection, encode_id(1), stored.data) is expected


def test_a_tree_that_is_too_deep_or_too_wide_is_left_to_the_plain_twin() -> None:
    deep: Node = tree.Conflicted(())
    for _ in range(1_000):
        deep = tree.Not(deep)
    assert holds(deep, {("a",): 1}) is NotImplemented
    wide = tree.Or(tuple(tree.Truth(tree.Field((f"f{number}",))) for number in range(1_100)))
    assert compile_program(wide) is None
    assert holds(tree.Truth(tree.Field(("a",) * 300)), {("a",): 1}) is NotImplemented


# --- ids ---


@pytest.mark.parametrize("id_", [*ALL_IDS, 2**63 - 1, -(2**63) + 1, 2**53 + 1, 1e300, 0.5, -1e-300, float(2**63)])
def test_ids_are_read_as_they_are_decoded(id_: Any) -> None:
    stored = document({("a",): 1})
    encoded = encode_id(id_)
    for path in ((), ("a",), ("a", "d"), ("a", 0), ("a", 1, "d"), ("\x00",), ("d", 0)):
        value = walk(decode_id(encoded), path)
        node: Node = tree.IsType(tree.Field(("_id", *path)), ("missing",))
        if isinstance(value, bool | int | float | str):
            node = tree.Compare("==", tree.Field(("_id", *path)), tree.Literal(value), RQL)
        verdict = _core.evaluate(compile_program(node), stored.data, encoded, stored.paths, stored.replicas)
        assert verdict is (not isinstance(value, dict | list | bytes)) or verdict is NotImplemented


# --- names ---


def test_names_that_were_taken_back_are_not_remembered() -> None:
    names, replicas = Names([b"a\x00"], 10), Replicas()
    written = document({("x",): 1, ("y",): 2})
    program = compile_program(tree.Compare("==", tree.Field(("y",)), tree.Literal(2), RQL))
    assert _core.evaluate(program, written.data, b"\x20a", written.paths, written.replicas) is True
    texts = written.paths.texts[:]
    written.paths.truncate(1)
    written.paths.intern(b"z\x00")
    assert _core.evaluate(program, written.data, b"\x20a", written.paths, written.replicas) is False
    written.paths.truncate(1)
    with pytest.raises(Corrupted):
        _core.evaluate(program, written.data, b"\x20a", written.paths, written.replicas)
    written.paths.intern(texts[1])
    assert _core.evaluate(program, written.data, b"\x20a", written.paths, written.replicas) is True
    assert _core.evaluate(program, b"", b"\x20a", names, replicas) is False


def test_there_may_be_thousands_of_names() -> None:
    place = encode_path(("a",))
    history = [Step(actor, 0, 1, (10**9,) * 3, (("write", place, actor),)) for actor in (0, 2, 1)]
    for crowd in (0, 4_094, 5_000):
        played = play(history, merge_document, crowd=crowd)
        stored = Written(played.documents[-1], encode_id(1), played.paths, played.replicas)
        newest = tree.Compare("==", tree.Field(("a",)), tree.Literal(1), RQL)
        assert run(compile_program(tree.And((newest, tree.Conflicted(("a",))))), stored) is True


# --- damage ---


def damaged(random: Random, data: bytes) -> bytes:
    """Bytes with one of them changed, or cut."""
    if not data or random.random() < 0.2:
        return data[: random.randrange(len(data) + 1)]
    changed = bytearray(data)
    changed[random.randrange(len(data))] ^= random.randrange(1, 256)
    return bytes(changed)


def test_damaged_documents_and_ids_are_refused_or_judged() -> None:
    random = Random(0)
    refused = 0
    for node, written, _ in pairs(4, PAIRS // 4):
        program = compile_program(node)
        for _ in range(2):
            spoiled = written._replace(data=damaged(random, written.data))
            if random.random() < 0.3:
                spoiled = spoiled._replace(encoded_id=damaged(random, written.encoded_id))
            try:
                run(program, spoiled)
            except (Corrupted, InvalidId):
                refused += 1
    assert refused > 100


def test_damaged_programs_are_refused_or_run() -> None:
    random = Random(0)
    refused = 0
    tests = (lambda _text: True,)
    constants = b"".join((b"\x01", b"\xa1a", b"\x93\xc4\x01a\xc4\x00\xc4\x01b", b"\x92\x01\xa1a", b"\xc0"))
    fields = ((1, ("a",)), (0, ("a", 0)), (2, ("_id", "a")))
    words = [random.randrange(17) for _ in range(40)]
    sample = next(pairs(0, 12))[1]
    for _ in range(20_000):
        size = random.randrange(1, 12)
        words = [random.choice((random.randrange(17), random.randrange(24), 0xFFFF_FFFF, 3)) for _ in range(size)]
        code = b"".join(word.to_bytes(4, "little") for word in words)
        spoiled = damaged(random, constants) if random.random() < 0.2 else constants
        try:
            program = _core.Program(code, fields, spoiled, tests)
        except ValueError:
            refused += 1
            continue
        assert run(program, sample) in (True, False, None, NotImplemented)
    assert 1_000 < refused < 19_900
