"""Staging runs a whole transaction of plain upserts in the compiled core, which leaves all others to `execute`.

Rules: plain means: no declared types, not initial, each of another document, none buried or large, and no rule to
hold the transaction to. What is staged is what `upsert` would have done, to the last byte of the record and of the
documents; where the core finds anything else, it leaves no trace and the commands run one by one, so that every error
is theirs (`tests/core/test_stage.py`).

Compiled: `ext/stage.pxi`; there is no plain twin but `upsert` itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from crdtstore import core
from crdtstore.command.command import Upsert
from crdtstore.command.result import Upserted
from crdtstore.command.upsert import new_id
from crdtstore.storage.documents import DOCUMENTS

if TYPE_CHECKING:
    from crdtstore.command.command import Command
    from crdtstore.storage.draft import Draft


def stage(commands: tuple[Command, ...], draft: Draft) -> tuple[Upserted, ...] | None:
    """Stage commands on a draft; None where they must run one by one."""
    compiled = core.Batch is not None and isinstance(draft.batch, core.Batch)
    if not compiled or not draft.is_empty or (draft.rules is not None and draft.rules.write):
        return None
    staged = core.stage_upserts(
        draft.batch,
        draft.catalog,
        commands,
        Upsert,
        Upserted,
        new_id,
        msgspec.UNSET,
        draft.stamp.timestamp,
        draft.replica,
        draft.coverage,
        DOCUMENTS,
    )
    if staged is None:
        return None
    draft.stage(staged)
    results: tuple[Upserted, ...] = staged.results
    return results
