"""`crdtstore sim run` and `crdtstore sim replay`."""

from __future__ import annotations

import json
import re

import pytest

from tests.cli.running import documents, run
from tests.sim.planted import receiver_decides_what_was_observed

SMALL = ("--operations", "60")


def test_a_run_counts_what_happened() -> None:
    result = run("sim", "run", "--worlds", "4", "--seed", "1", "--processes", "1", *SMALL)
    assert re.search(r"4 worlds, [\d,]+ events, [\d,]+ faults injected", result.stdout)
    assert re.search(r"\d  acknowledged\n", result.stdout)
    assert result.stderr == ""


def test_a_run_for_programs_says_the_same_whoever_plays() -> None:
    alone = run("sim", "run", "--worlds", "6", "--processes", "1", "--json", *SMALL)
    together = run("sim", "run", "--worlds", "6", "--processes", "2", "--json", *SMALL)
    assert documents(alone) == documents(together)
    [facts] = documents(alone)
    assert (facts["worlds"], facts["broken"], facts["failures"]) == (6, 0, [])
    assert facts["injected"] == sum(facts["faults"].values()) > 0


def test_a_broken_promise_ends_with_the_commands_that_show_it(monkeypatch: pytest.MonkeyPatch) -> None:
    receiver_decides_what_was_observed(monkeypatch)
    result = run("sim", "run", "--worlds", "3", "--processes", "1", "--operations", "100", "--json", code=1)
    [facts] = documents(result)
    first = facts["failures"][0]
    assert first["replay"] == f"crdtstore sim replay {first['seed']} --operations 100"
    assert first["shrunk_actions"] < 20
    replayed = run(*first["shrunk"].split()[1:], code=1)
    assert f"Broken: {first['promise']}" in replayed.stderr
    told = run("sim", "run", "--worlds", "3", "--processes", "1", "--operations", "100", code=1)
    assert first["shrunk"] in told.stderr


def test_a_replay_tells_every_event() -> None:
    text = run("sim", "replay", "3", *SMALL).stdout
    assert "store 0: client 0 writes (action 0): Upsert(" in text
    assert re.search(r"\d+ events, trace [0-9a-f]{32}\n$", text)
    *notes, end = [json.loads(line) for line in run("sim", "replay", "3", "--json", *SMALL).stdout.splitlines()]
    assert end["trace"] in text
    assert end["violation"] is None
    assert len(notes) == text.count("\n") - 1


def test_a_replay_of_some_actions_plays_only_them() -> None:
    text = run("sim", "replay", "3", "--only", "0,5", *SMALL).stdout
    assert text.count(" writes (action ") <= 2
    assert "is no list of actions" in run("sim", "replay", "3", "--only", "five", code=3).stderr
