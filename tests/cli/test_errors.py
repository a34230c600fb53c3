"""Every error ends a command with its exit code and one sentence; nothing foreseen shows a traceback."""

from __future__ import annotations

import errno

import pytest
from click.testing import CliRunner

from crdtstore import Store, errors
from crdtstore.cli.group import crdtstore, exit_code_of
from crdtstore.errors import CallerError, CrdtStoreError, Divergence, Quarantined
from tests.cli.running import error_of, run


def tree(kind: type[CrdtStoreError]) -> list[type[CrdtStoreError]]:
    """List an error and all below it."""
    return [kind, *(lower for below in kind.__subclasses__() for lower in tree(below))]


@pytest.mark.parametrize("kind", tree(CrdtStoreError), ids=lambda kind: kind.__name__)
def test_the_exit_code_says_who_must_act(kind: type[CrdtStoreError]) -> None:
    diverged = issubclass(kind, Divergence | Quarantined)
    code = 3 if issubclass(kind, CallerError) else 4 if kind.retryable else 5 if diverged else 1
    assert exit_code_of(kind.__new__(kind)) == code


def failing(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Let the next command fail."""

    def stats(_: Store) -> None:
        raise error

    Store.open("crdtstore-data").close()
    monkeypatch.setattr(Store, "stats", stats)


@pytest.mark.parametrize(
    ("error", "code", "name", "message"),
    [
        (errors.NotFound("No."), 3, "not-found", "No."),
        (errors.VersionNotAvailable(2, 1), 4, "version-not-available", None),
        (errors.Corrupted("documents", b"\x01"), 1, "corrupted", None),
        (errors.Divergence("No.", ours=b"\xff"), 5, "divergence", "No."),
        (OSError(errno.EIO, "Input/output error", "data"), 1, "system", "data: Input/output error."),
        (ConnectionError("Gone."), 1, "system", "Gone."),
    ],
)
def test_an_error_is_a_sentence_or_an_object(
    monkeypatch: pytest.MonkeyPatch, error: Exception, code: int, name: str, message: str | None
) -> None:
    failing(monkeypatch, error)
    said = str(error) if message is None else message
    result = run("stats", code=code)
    assert (result.stdout, result.stderr) == ("", f"Error: {said}\n")
    told = error_of(run("stats", "--json", code=code))
    assert (told["code"], told["message"]) == (name, said)
    assert isinstance(told["data"], dict)


def test_an_interrupt_has_its_own_code(monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, KeyboardInterrupt())
    assert run("stats", code=130).stderr == "\n"


def test_a_reader_that_went_away_is_told_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, BrokenPipeError(errno.EPIPE, "Broken pipe"))
    result = CliRunner().invoke(crdtstore, ["stats"])
    assert (result.exit_code, result.stderr) == (1, "")


def test_what_was_not_foreseen_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        run("stats")
