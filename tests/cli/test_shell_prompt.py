"""The shell as a person uses it: keys go in, lines come out; once on a real pseudo-terminal."""

from __future__ import annotations

import os
import pty
import re
import select
import stat
import subprocess
import sys
from codecs import getincrementaldecoder
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Self

import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from crdtstore.cli.shell import history
from crdtstore.cli.shell.history import KeptHistory, history_path, open_history
from crdtstore.cli.shell.prompt import SessionNames, interact
from crdtstore.cli.shell.session import Session
from crdtstore.crdt.value import Value
from crdtstore.errors import InvalidQuery
from crdtstore.statement.answer import Executed
from tests.cli.running import run

CTRL_C, CTRL_D, ENTER, TAB, UP, BACKSPACE = "\x03", "\x04", "\r", "\t", "\x1b[A", "\x7f"
SECONDS_MAX = 60


class Fake:
    """A database that notes what is asked, and answers a row for each."""

    place = "nowhere"

    def __init__(self) -> None:
        self.asked: list[str] = []

    def execute(self, text: str, parameters: Mapping[str, Value]) -> Executed:
        self.asked.append(text)
        if "wait" in text:
            raise KeyboardInterrupt
        return Executed(7, (), (1, 2))

    def execute_together(self, texts: Sequence[str], parameters: Mapping[str, Value]) -> tuple[Executed, ...]:
        return tuple(self.execute(text, parameters) for text in texts)

    @contextmanager
    def stream(self, text: str, parameters: Mapping[str, Value]) -> Iterator[Iterator[bytes]]:
        self.asked.append(text)
        if "wait" in text:
            raise KeyboardInterrupt
        if "much" in text or "LIMIT" in text:
            raise InvalidQuery("That is too much.")
        yield iter([b'{"name":"cities","documents":2}' if "system:" in text else b'{"_id":1}'])


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep histories in the test's folder."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state"


def typed(keys: str) -> Fake:
    """Type keys into a shell until it ends; whether it ends by itself is theirs."""
    fake = Fake()
    with create_pipe_input() as pipe, create_app_session(input=pipe, output=DummyOutput()):
        pipe.send_text(keys)
        interact(Session(fake, "table", timing=True))
    return fake


def test_enter_runs_a_statement_that_has_ended_and_else_begins_a_line() -> None:
    assert typed(f"SELECT{ENTER}'a;{ENTER}';{ENTER}{CTRL_D}").asked == ["SELECT\n'a;\n'"]
    assert typed(f"SELECT 1; SELECT 2;{ENTER}{ENTER}{CTRL_D}").asked == ["SELECT 1", " SELECT 2"]


def test_ctrl_c_forgets_what_is_typed() -> None:
    assert typed(f"SELECT 1{CTRL_C}SELECT 2;{ENTER}{CTRL_D}").asked == ["SELECT 2"]


def test_ctrl_d_and_exit_leave() -> None:
    assert typed(CTRL_D).asked == []
    assert typed(f".exit{ENTER}SELECT 1;{ENTER}").asked == []


def test_a_failure_is_told_and_the_session_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    fake = typed(f"SELECT much; SELECT 1;{ENTER}.what{ENTER}SELECT 2;{ENTER}{CTRL_D}")
    assert fake.asked == ["SELECT much", "SELECT 2"]
    assert capsys.readouterr().err.splitlines() == [
        "Error: That is too much.",
        "Error: There is no command .what; .help lists them.",
    ]


def test_ctrl_c_stops_a_statement_and_says_what_that_means(capsys: pytest.CaptureFixture[str]) -> None:
    fake = typed(f"SELECT wait;{ENTER}UPDATE wait;{ENTER}SELECT 1;{ENTER}{CTRL_D}")
    assert fake.asked == ["SELECT wait", "UPDATE wait", "SELECT 1"]
    assert capsys.readouterr().err.splitlines() == [
        "",
        "Stopped.",
        "",
        "Not waited for any longer; it may still be done.",
    ]


def test_names_that_cannot_be_looked_up_are_not_offered() -> None:
    fake = Fake()
    names = SessionNames(Session(fake, "table"))
    assert list(names.fields("a`b")) == []
    assert list(names.fields("a`b")) == []
    assert fake.asked == ["SELECT * FROM `a``b` LIMIT 1000"]
    assert list(names.collections()) == ["cities"]


# --- the history ---


def test_the_history_is_its_user_s_alone(state: Path) -> None:
    path = state / "crdtstore" / "history"
    path.parent.mkdir(parents=True)
    path.write_text("\n# then\n+SELECT 1;\n", encoding="utf-8")
    path.chmod(0o644)
    assert list(open_history().load_history_strings()) == ["SELECT 1;"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.unlink()
    path.parent.rmdir()
    open_history()
    assert [stat.S_IMODE(made.stat().st_mode) for made in (path, path.parent)] == [0o600, 0o700]


def test_a_long_history_is_cut_between_statements(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "HISTORY_BYTES", 1_000)
    kept = open_history()
    for number in range(100):
        kept.store_string(f"SELECT\n{number};")
    found = list(open_history().load_history_strings())
    assert found == [f"SELECT\n{number};" for number in reversed(range(100 - len(found), 100))]
    assert 5 < len(found) < 20


def test_a_history_that_cannot_be_kept_is_no_error(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state.write_text("", encoding="utf-8")
    assert not isinstance(open_history(), KeptHistory)
    assert "not kept" in capsys.readouterr().err
    KeptHistory("/nowhere/history").store_string("SELECT 1;")


def test_a_relative_directory_of_state_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    for value in ("", "state"):
        monkeypatch.setenv("XDG_STATE_HOME", value)
        monkeypatch.setenv("HOME", "/home/me")
        assert history_path() == Path("/home/me/.local/state/crdtstore/history")


# --- a terminal ---


class Terminal:
    """A shell on a pseudo-terminal."""

    def __init__(self, *arguments: str) -> None:
        self.leader, follower = pty.openpty()
        settings = {"TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1", "COLUMNS": "60", "LINES": "24"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "crdtstore", *arguments],
            stdin=follower,
            stdout=follower,
            stderr=follower,
            env={**os.environ, **settings, "PYTHONPATH": str(Path(__file__).parents[2])},
            start_new_session=True,
        )
        os.close(follower)
        self.decoder = getincrementaldecoder("utf-8")()
        self.received = ""
        self.seen = ""
        self.at = 0

    def until(self, text: str) -> None:
        """Read until a text is seen, behind what was seen before."""
        end = monotonic() + SECONDS_MAX
        while (found := self.seen.find(text, self.at)) < 0:
            assert select.select([self.leader], [], [], max(end - monotonic(), 0))[0], self.seen
            # A letter, or a sequence of the terminal, may come in two parts.
            self.received += self.decoder.decode(os.read(self.leader, 65_536))
            self.seen = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", self.received)
        self.at = found + len(text)

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self.leader, keys.encode())

    def ask(self, keys: str, answer: str) -> None:
        """Press keys at the prompt, see the answer, and wait for the next prompt."""
        self.type(keys)
        self.until(answer)
        self.until("crdtstore>")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.leader)


def test_a_session_on_a_terminal(state: Path) -> None:
    run("init", "--store", "data")
    with Terminal("sql", "--store", "data") as terminal:
        terminal.until("Ctrl-D leaves")
        terminal.until("crdtstore>")
        terminal.type(f"INSERT INTO cities DOCUMENTS{ENTER}")
        terminal.until("...>")
        terminal.ask(
            f"({{'_id': 'basel', 'at': null, 'visits': 3}});{ENTER}",
            "1 document changed, transaction 1 (",
        )
        terminal.type(f".col{TAB}")
        terminal.until("lections")
        terminal.ask(ENTER, "cities  1\n")
        terminal.ask(
            f"SELECT * FORM cities;{ENTER}",
            "Error: 'FORM' cannot stand here; expected FROM (line 1, column 10)\n  SELECT * FORM cities\n",
        )
        terminal.ask(
            f"SELECT * FROM cities;{ENTER}",
            " _id   │ at   │ visits\n───────┼──────┼────────\n basel │ NULL │      3\n1 row (",
        )
        terminal.type("zz")
        terminal.until("zz")
        terminal.type(f"{BACKSPACE}{BACKSPACE}{UP}")
        terminal.until("SELECT * FROM cities;")
        terminal.ask(ENTER, "1 row (")
        terminal.ask(f"never run{CTRL_C}.timing{ENTER}", "timing on\n")
        terminal.type(CTRL_D)
        assert terminal.process.wait(SECONDS_MAX) == 0
    kept = (state / "crdtstore" / "history").read_text(encoding="utf-8")
    assert re.findall(r"^\+(.*)", kept, re.MULTILINE) == [
        "INSERT INTO cities DOCUMENTS",
        "({'_id': 'basel', 'at': null, 'visits': 3});",
        ".collections",
        "SELECT * FORM cities;",
        "SELECT * FROM cities;",
        ".timing",
    ]


def test_without_the_prompt_s_library_a_sentence_says_so() -> None:
    run("init", "--store", "data")
    program = "import sys; sys.modules['prompt_toolkit'] = None; from crdtstore.cli.main import main; main()"
    leader, follower = pty.openpty()
    try:
        done = subprocess.run(
            [sys.executable, "-c", program, "sql", "--store", "data"],
            stdin=follower,
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
            timeout=SECONDS_MAX,
            check=False,
        )
    finally:
        os.close(leader)
        os.close(follower)
    assert (done.returncode, done.stdout) == (1, "")
    assert "pip install 'crdtstore[shell]'" in done.stderr
