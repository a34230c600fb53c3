"""The page of the budget says what a get, a find and a durable write over HTTP take of the system.

Rules: counts of calls and of bytes, so a busy machine changes nothing. They are written anew with
`python -m bench.budget --write`.
"""

from __future__ import annotations

import subprocess
from collections import Counter
from unittest import SkipTest

from bench.budget import (
    BEGIN,
    END,
    FIRST,
    INSTRUCTED,
    LAST,
    PAGE,
    TIMES,
    Cost,
    between,
    by_name,
    counted,
    differences,
    instructions_table,
    measure,
    table,
)
from bench.instructions import CASES
from tests.bench.needs import need

LINES = """
10 write(1<pipe:[7]>, ""..., 3) = 3
10 read(0<pipe:[6]>,  <unfinished ...>
11 pwrite64(5</a/data.mdb>, ""..., 8192, 4096) = 8192
12 writev(6</a/wal-1>, [{""...}], 1 <unfinished ...>
11 futex(0x1, FUTEX_WAIT) = 0
11 fdatasync(5</a/data.mdb>) = 0
12 <... writev resumed>) = 800
11 write(9<socket:[8]>, ""..., 500) = 500
10 <... read resumed>""..., 10) = 4
10 write(1<pipe:[7]>, ""..., 3) = 3
11 fdatasync(5</a/data.mdb>) = 0
"""


def can_watch() -> bool:
    """Whether this process may watch another one."""
    return (
        subprocess.run(["strace", "-qq", "-o", "/dev/null", "true"], capture_output=True, check=False).returncode == 0
    )


def test_the_page_says_what_is_counted() -> None:
    need("strace", "uvloop", "httptools")
    if not can_watch():
        raise SkipTest("strace may not watch processes here")
    assert list(differences(measure(), PAGE.read_text(encoding="utf-8"))) == []


def test_the_page_has_the_committed_counts_of_instructions() -> None:
    assert FIRST + instructions_table() + LAST in PAGE.read_text(encoding="utf-8")
    assert set(INSTRUCTED) == set(CASES)


def test_calls_are_read() -> None:
    cost = counted(between(LINES.strip(), 0))
    assert cost == (5 / TIMES, 1 / TIMES, 2 / TIMES, 800 / TIMES, Counter(cost.names))
    assert cost.names == {"pwrite64": 1, "writev": 1, "futex": 1, "fdatasync": 1, "write": 1, "read": 1}


def test_a_difference_is_found() -> None:
    cost = Cost(10, 1, 10, 900, Counter(write=TIMES * 2, lseek=1))
    page = f"# A page\n{BEGIN}{table({'write': cost})}{END}More.\n"
    assert list(differences({"write": cost}, page)) == []
    assert list(differences({"write": cost._replace(flushes=2, pages=10.4)}, page)) == [
        "write: flushes is 2.00, the page says 1"
    ]
    assert by_name(cost) == "2.0 write"
