"""Faults that are planted in statements are found by random ones.

Rules: each takes the place of one name of one module, for at most as many statements as one share of the normal run.
What is kept of statements is forgotten before and after. Conditions that the shared tree says have planted faults of
their own in `tests/query`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from operator import floordiv
from typing import Any, NamedTuple

import msgspec
import pytest

from crdtstore import Store
from crdtstore.command.upsert import write_fields
from crdtstore.query import plan
from crdtstore.query.dql import aggregates, evaluate, functions, values
from crdtstore.query.dql.expression import Missing
from crdtstore.query.tree import MISSING
from crdtstore.statement import group, insert, join, keys, project, remove, run, select, targets, update
from crdtstore.storage import index_build
from crdtstore.storage.index import Index
from tests.query.harness import Mode
from tests.query.test_planted import is_there
from tests.statement.harness import outcomes

RUNS_MAX = 9_000


class Fault(NamedTuple):
    """A fault: where it is planted, and what makes it of what stands there."""

    what: str
    place: Any
    name: str
    spoil: Callable[[Any], Any]
    mode: Mode = "plain"


def instead(fault: Any) -> Callable[[Any], Any]:
    """Whatever it was, it is this now."""
    return lambda _original: fault


def replaced(**changes: Any) -> Callable[[Any], Any]:
    """What it gives, with other fields."""
    return lambda original: lambda *arguments: original(*arguments)._replace(**changes)


def asked(**changes: Any) -> Callable[[Any], Any]:
    """The same for a statement, or a part of one, with other fields."""
    return lambda original: lambda part, *arguments: original(msgspec.structs.replace(part, **changes), *arguments)


def not_null(original: Any) -> Any:
    return lambda value: True if value is None else original(value)


def null_is_missing(original: Any) -> Any:
    return lambda parts: MISSING if (held := original(parts)) is None else held


def counts_false(original: Any) -> Any:
    return lambda count, value: original(count, 0 if value is False else value)


def at_first(original: Any) -> Any:
    return lambda rows, key, budget, first: original(islice(rows, first), key, budget, None)


def ascending(original: Any) -> Any:
    return lambda ranks, value, _descending: original(ranks, value, False)


def typed_key(original: Any) -> Any:
    return lambda value: repr(value).encode() if isinstance(value, int | float) else original(value)


def places_from_none(original: Any) -> Any:
    return lambda expression, number: original(expression, number - 1)


def as_before(original: Any) -> Any:
    def reader(*arguments: Any) -> Any:
        read = original(*arguments)
        known: dict[bytes, Any] = {}
        return lambda document: known.setdefault(document.id, read(document))

    return reader


def always(original: Any) -> Any:
    return lambda *arguments, **named: original(*arguments, **named) or True


def without_last(original: Any) -> Any:
    return lambda *arguments: original(*arguments)[:-1]


def unless_joined(original: Any) -> Any:
    def chunk(view: Any, rows: Any, *arguments: Any) -> Iterator[Any]:
        yield from original(view, rows[:-1] or rows, *arguments)

    return chunk


def missing_case(original: Any) -> Any:
    def compile_case(case: Any, context: Any) -> Any:
        otherwise = Missing() if case.otherwise is None else case.otherwise
        return original(msgspec.structs.replace(case, otherwise=otherwise), context)

    return compile_case


def of_one_more(original: Any) -> Any:
    def result(average: Any) -> Any:
        average.count += average.count > 1
        return original(average)

    return result


FAULTS = (
    Fault("NOT of null is true", values, "negate_truth", not_null),
    Fault("OR of null and missing is missing", evaluate.CONNECTED, "or", null_is_missing),
    Fault("AND of null is missing", evaluate.CONNECTED, "and", null_is_missing),
    Fault("a quotient is cut off downwards", values.INTEGER, "/", instead(floordiv)),
    Fault("a CASE without ELSE is missing", evaluate, "compile_case", missing_case),
    Fault("null counts as a value", functions.OPEN, "coalesce", instead(functions.ifmissing)),
    Fault("COUNT counts false", aggregates.Count, "add", counts_false),
    Fault("AVG is of one more", aggregates.Average, "result", of_one_more),
    Fault("MIN and MAX know types only", aggregates, "sort_key", lambda original: lambda value: (original(value)[0],)),
    Fault("aggregates are never of different values", group, "make_accumulator", asked(distinct=False)),
    Fault("1 and 1.0 are two groups", keys, "identity_key", typed_key),
    Fault("HAVING is ignored", select, "filter_rows", lambda _original: lambda rows, _tests: rows),
    Fault("LIMIT comes before ORDER BY", select, "sort_rows", at_first),
    Fault("DESC is ignored", keys, "key_part", ascending),
    Fault("OFFSET is ignored", select, "window_of", lambda original: lambda *given: (0, original(*given)[1])),
    Fault("DISTINCT is ignored", select, "read_select", replaced(distinct=False)),
    Fault("columns are counted from none", project, "column_name", places_from_none),
    Fault(
        "MISSING leaves out the whole field",
        project,
        "leave_out",
        lambda _original: lambda made, path: made.pop(path[0], None),
    ),
    Fault("LEFT JOIN drops what is unmatched", join, "read_join", replaced(keep=False)),
    Fault("a join looks up by its equality only", join, "read_join", replaced(test=lambda _row: True)),
    Fault("a join forgets a row of each chunk", join, "join_chunk", unless_joined),
    Fault("DO NOTHING updates", insert, "choose", asked(policy="update")),
    Fault("two documents of one id are written", insert, "check_unique", lambda _original: lambda given: given),
    Fault("what does not differ is listed", insert, "write_difference", always),
    Fault(
        "INITIAL writes win",
        insert,
        "initialize",
        lambda _original: lambda document, fields, kinds, *_: write_fields(document.fold, fields, kinds),
    ),
    Fault("UNSET does nothing", update, "unset", lambda _original: lambda _document, _path, _value: False),
    Fault("an object goes with its last field", update, "keep_parents", lambda _original: lambda *_: None),
    Fault("RETURNING shows what was before", update, "row_reader", as_before),
    Fault("what was not changed is listed", update, "change", always),
    Fault(
        "DELETE forgets its order",
        remove,
        "make_key",
        lambda original: lambda part, *given: original(msgspec.structs.replace(part, order=()), *given),
    ),
    Fault("DELETE leaves the last one", remove, "take", without_last),
    Fault(
        "a document of a transaction is changed unasked", targets, "passes", lambda _original: lambda _row, _tests: True
    ),
    Fault("what is being built is used", Index, "ready", instead(property(is_there)), "building"),
)


@pytest.fixture
def _forgotten(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing is kept of statements that ran before; indexes are looked into."""
    monkeypatch.setattr(plan, "LOOKUP_COST", 0)
    monkeypatch.setattr(index_build, "INDEX_BUILD_DOCUMENTS", 7)
    for keep in (run.kept, run.ready_kept):
        keep.cache_clear()
    yield
    for keep in (run.kept, run.ready_kept):
        keep.cache_clear()


@pytest.mark.usefixtures("_forgotten")
@pytest.mark.parametrize("fault", FAULTS, ids=[fault.what for fault in FAULTS])
def test_a_planted_fault_is_found(fault: Fault, monkeypatch: pytest.MonkeyPatch) -> None:
    if isinstance(fault.place, dict):
        monkeypatch.setitem(fault.place, fault.name, fault.spoil(fault.place[fault.name]))
    else:
        monkeypatch.setattr(fault.place, fault.name, fault.spoil(getattr(fault.place, fault.name)))
    with Store.in_memory() as store:
        found = next((each for each in outcomes(store, fault.mode, 100, RUNS_MAX) if each.difference), None)
    assert found is not None
