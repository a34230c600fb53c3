"""A process that has a store open read-only, asked line by line: one store is open once in a process.

Rules: a question is a line of JSON, `[method, arguments]`; so is the answer. The process ends when its input does.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import IO, Any, Self

from crdtstore.command.command import Upsert
from crdtstore.errors import CrdtStoreError
from crdtstore.store import Store

ROOT = Path(__file__).resolve().parents[2]


class Reader:
    """The process, and how to ask it."""

    def __init__(self, path: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, __file__, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            text=True,
        )

    def ask(self, method: str, *arguments: Any) -> Any:
        """One question and its answer."""
        questions, answers = self.process.stdin, self.process.stdout
        assert questions is not None
        assert answers is not None
        questions.write(json.dumps([method, arguments]) + "\n")
        questions.flush()
        return json.loads(answers.readline())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.communicate(timeout=60)


def answer(store: Store, method: str, arguments: list[Any]) -> Any:
    """What the store says."""
    match method:
        case "applied":
            return store.applied
        case "collections":
            return store.collections()
        case "get":
            document = store.get(*arguments)
            return None if document is None else document.fields
        case "json":
            return [printed and printed.decode() for printed in store.get_many_json(arguments[0], arguments[1])]
        case "find":
            return [document.id for document in store.find(*arguments).documents]
        case "changes":
            return [entry.record.hex() for entry in store.changes(*arguments)]
        case "stats":
            return store.stats().as_dict()
        case "at":
            return refusal(lambda: [document.id for document in store.find("c", at=arguments[0]).documents])
        case "pin":
            return refusal(store.pin)
        case "digest":
            return store.digest().hex()
        case "wait":
            return refusal(lambda: store.wait(*arguments))
        case "write":
            return refusal(lambda: store.write([Upsert("c", {}, id=1)]))
        case "apply":
            return refusal(lambda: store.apply([]))
        case "setting":
            return refusal(lambda: store.write_setting(b"k", b"v"))
    raise AssertionError(method)


def refusal(run: Any) -> Any:
    """What a call gives, or the code of its error."""
    try:
        return run()
    except CrdtStoreError as error:
        return error.code


def main(path: str, questions: IO[str]) -> None:
    """Answer until there are no more questions."""
    with Store.open(path, read_only=True) as store:
        for line in questions:
            method, arguments = json.loads(line)
            sys.stdout.write(json.dumps(answer(store, method, arguments)) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], sys.stdin)
