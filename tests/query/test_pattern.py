"""Regular expressions: RE2 with bounded memory, and a plain answer where it is not installed."""

from __future__ import annotations

import pytest

from crdtstore.errors import InvalidValue, QuerySyntaxError, StoreError
from crdtstore.limits import REGEX_MEMORY_BYTES_MAX
from crdtstore.query import pattern
from crdtstore.query.legacy import parse
from crdtstore.query.pattern import compile_pattern
from crdtstore.query.tree import Call


@pytest.mark.parametrize(
    ("expression", "text", "found"),
    [
        ("^Wave.*", "Wave rider", True),
        ("^Wave.*", "A Wave", False),
        ("Wave", "A Wave rider", True),
        ("e$", "Wave\n", False),
        ("", "", True),
        ("^([A-Za-z]|[0-9]|_)+$", "abc129_24A", True),
        ("^\\d+$", "42", True),
        ("^.$", "\U0001f600", True),
        ("(?i)WAVE", "wave", True),
    ],
)
def test_a_match_lies_anywhere(expression: str, text: str, found: bool) -> None:  # noqa: FBT001
    assert compile_pattern(expression)(text) is found


@pytest.mark.parametrize(
    "expression", ["(", "[", "*", r"(a)\1", "(?=a)", "(?<!a)b", "(x{500}){500}", r"\pL{100}", "a\x00("]
)
def test_what_re2_refuses_is_a_syntax_error_at_the_pattern(expression: str) -> None:
    with pytest.raises(InvalidValue, match="cannot be compiled"):
        compile_pattern(expression)
    with pytest.raises(QuerySyntaxError, match="RE2 refuses") as caught:
        parse("a == 1 && regex(b, $args.p)", {"p": expression})
    assert caught.value.data["column"] == 20


def test_nothing_is_written_to_standard_error(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InvalidValue):
        compile_pattern("(")
    # Counting back two hundred letters makes the automaton outgrow its memory; RE2 goes on without it.
    assert compile_pattern("a(a|b){200}c$")("ab" * 20_000) is False
    assert capfd.readouterr() == ("", "")


def test_memory_is_bounded() -> None:
    options = pattern.re2.Options()
    options.max_mem = 8 * REGEX_MEMORY_BYTES_MAX
    assert pattern.re2.compile(r"\pL{100}", options).search("a" * 100)
    with pytest.raises(InvalidValue):
        compile_pattern(r"\pL{100}")


def test_without_re2_the_error_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pattern, "re2", None)
    with pytest.raises(StoreError, match=r"crdtstore\[server\]") as caught:
        parse("regex(a, 'b')")
    assert caught.value.data == {"extra": "server", "package": "google-re2"}
    assert isinstance(parse("starts_with(a, 'b')"), Call)
