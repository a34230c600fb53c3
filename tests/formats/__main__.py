"""`python -m tests.formats NAME`: keep what this version writes, in `tests/formats/kept/NAME`.

Rules: it is run once for a version of the formats, before it is released. A folder that is there is never written
again: from then on `test_kept.py` reads it, whatever the code has become.
"""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from crdtstore import Store
from crdtstore.replication.delta import write_ask, write_delta
from crdtstore.storage.backup import back_up
from crdtstore.storage.environment import DATA_NAME
from tests.formats.sample import Talk, clock_of, contents, entropy, talk, write_here, write_there

KEPT = Path(__file__).with_name("kept")
START = 1_700_000_000_000


def main() -> None:
    """Make the folder that is named."""
    folder = KEPT / sys.argv[1]
    folder.mkdir(parents=True)
    with TemporaryDirectory() as temporary:
        keep(folder, Path(temporary))


def keep(folder: Path, temporary: Path) -> None:
    """Write all files of one version."""
    there = Store.in_memory(clock=clock_of(START + 500), origin=bytes(15) + b"\2", entropy=entropy())
    write_there(there)
    with Store.open(temporary / "store", clock=clock_of(START)) as here:
        write_here(here)
        write_json(folder / "records.json", [entry.record.hex() for entry in here.changes()])
        back_up(temporary / "store", temporary / "backup", created=START)
        fresh = Store.in_memory(clock=clock_of(START + 700), origin=bytes(15) + b"\3", entropy=entropy())
        keep_talk(folder / "pull.json", talk(fresh, here), fresh)
        keep_talk(folder / "push.json", talk(there, here), there)
        ask = b"".join(write_ask(fresh))
        keep_delta(folder, ask, b"".join(write_delta(here)), here)
        here.trim(here.applied - 2)
        late = Store.in_memory(clock=clock_of(START + 800), origin=bytes(15) + b"\4", entropy=entropy())
        keep_talk(folder / "join.json", talk(late, here), late)
        talk(there, here)
        expected = contents(here)
    for name in ("store", "backup"):
        data = (temporary / name / DATA_NAME).read_bytes()
        (folder / f"{name}.mdb.gz").write_bytes(gzip.compress(data, mtime=0))
    write_json(folder / "store.json", expected)


def keep_delta(folder: Path, ask: bytes, delta: bytes, store: Store) -> None:
    """Write what an empty store asks for, and everything that another one holds, as files."""
    write_json(folder / "delta.json", {"ask": ask.hex(), "delta": delta.hex(), "digest": store.digest().hex()})


def keep_talk(path: Path, said: Talk, store: Store) -> None:
    """Write what was said, and what the store that started it held then."""
    write_json(path, {"said": [[ask.hex(), given.hex()] for ask, given in said], "then": contents(store)})


def write_json(path: Path, value: object) -> None:
    """Write a value as text."""
    path.write_text(json.dumps(value, indent=1, ensure_ascii=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
