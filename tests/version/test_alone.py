"""A transaction that fails before it wrote fails alone, whatever its error."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

import pytest

from crdtstore import Store, Upsert
from crdtstore.errors import Corrupted
from crdtstore.version.sequencer import Job
from crdtstore.version.transaction import sequence


@pytest.mark.parametrize("error", [RuntimeError("a bug"), Corrupted("documents", b"key")])
def test_an_error_of_any_kind_is_the_jobs_own(error: Exception) -> None:
    """The job before and the job behind it are committed, and the store goes on."""
    with Store.in_memory() as store:

        def job(name: str, fails: bool) -> Job:  # noqa: FBT001
            def evaluate(draft: Any) -> None:
                collection = draft.catalog.intern(name)
                if fails:
                    raise error
                document = draft.document(collection, b"\x20" + name.encode())
                document.fold.remove(b"")
                document.changed()

            def run(batch: Any, catalog: Any, head: Any) -> Any:
                now = store.clock()
                return sequence(batch, catalog, head, b"a" * 16, evaluate, clock_milliseconds=now, after=None)

            return Job(run, Future(), 0)

        jobs = [job("before", fails=False), job("broken", fails=True), job("behind", fails=False)]
        store.sequencer.commit_group(jobs)
        assert [job.future.exception() for job in jobs] == [None, error, None]
        assert "broken" not in store.sequencer.catalog.by_name
        assert store.write([Upsert("c", {"a": 1}, id=1)]).txn == 1
