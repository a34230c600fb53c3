"""Backup, restore and compact, killed or failed at each call to the operating system, in forked children.

    python -m tests.storage.interrupted FOLDER OPERATION FAULT

Rules: one process without threads forks a child for each place; the place is counted in the interpreter's audit
events, which come before each opening, making, renaming and removing, and before each flush, which is counted
besides. A child that is killed has closed nothing. What is seen then is printed as one JSON value: for each place,
what `seen` says.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from crdtstore import Store
from crdtstore.errors import CrdtStoreError
from crdtstore.storage import environment
from crdtstore.storage.backup import back_up
from crdtstore.storage.compact import compact
from crdtstore.version.restore import restore

EVENTS = frozenset({"open", "os.rename", "os.mkdir", "os.rmdir", "os.remove", "shutil.rmtree", "subprocess.Popen"})
PLACES_MAX = 500
DONE, STOPPED = 0, 7


def work(operation: str, folder: Path) -> Path:
    """Run an operation; returns where its result is."""
    if operation == "backup":
        back_up(folder / "data", folder / "made", created=1)
        return folder / "made"
    if operation == "restore":
        restore(folder / "backup", folder / "made")
        return folder / "made"
    if operation == "unsafe":  # the positive control: built in place
        environment.put_in_place = lambda *_: None
        shutil.copytree(folder / "backup", folder / "made")
        return folder / "made"
    compact(folder / "data")
    return folder / "data"


def main(folder: Path, operation: str, fault: str) -> list[Any]:
    """Try each place until one run comes through undisturbed."""
    found: list[Any] = []
    for place in range(PLACES_MAX):
        case = folder / f"case-{place}"
        shutil.copytree(folder / "start", case)
        pid = os.fork()
        if pid == 0:
            run(operation, case, place, fault)
        _, status = os.waitpid(pid, 0)
        found.append(seen(case, operation))
        shutil.rmtree(case)
        if os.waitstatus_to_exitcode(status) == DONE:
            return found
    raise RuntimeError("It does not end.")


def run(operation: str, case: Path, place: int, fault: str) -> None:
    """Run an operation with a fault, and end this process."""
    try:
        arm(place, fault)
        work(operation, case)
    except (CrdtStoreError, OSError):
        os._exit(STOPPED)
    except BaseException as error:  # noqa: BLE001  no other error may come of a fault
        sys.stderr.write(f"{error!r}\n")
        os._exit(99)
    os._exit(DONE)


def arm(place: int, fault: str) -> None:
    """Let the call with this number kill the process, or fail."""
    count = [0]

    def strike() -> None:
        count[0] += 1
        if count[0] - 1 != place:
            return
        if fault == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        raise OSError(errno.ENOSPC, "No space left on device")

    def hook(event: str, _arguments: object) -> None:
        if event in EVENTS:
            strike()

    os.fsync = before(os.fsync, strike)
    sys.addaudithook(hook)


def before(call: Callable[..., Any], strike: Callable[[], None]) -> Callable[..., Any]:
    def called(*arguments: Any) -> Any:
        strike()
        return call(*arguments)

    return called


def seen(case: Path, operation: str) -> Any:
    """What is there: whether a result is, what it and the store hold, and whether the operation works again."""
    made = case / "data" if operation == "compact" else case / "made"
    first = content(made) if made.exists() else "absent"
    kept = content(case / "data")
    try:
        if operation == "compact" or not made.exists():
            work(operation, case)
    except CrdtStoreError as error:
        return [first, kept, error.code]
    return [first, kept, content(made)]


def content(path: Path) -> str:
    """The newest txn and the digest of a store that opens; the code of the error of one that does not."""
    try:
        with Store.open(path, create=False, read_only=True) as store:
            return f"{store.applied} {store.digest().hex()}"
    except CrdtStoreError as error:
        return error.code


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), *sys.argv[2:])))  # noqa: T201
