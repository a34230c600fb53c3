"""Batches are the transactions of an import: made of lines, sent, and searched for what was refused.

Rules: a batch ends at its number of documents, or before it would pass IMPORT_BATCH_BYTES_MAX. At most
IMPORT_BATCHES_MAX are on their way. When one fails, those that were not begun are withdrawn, those that
were are waited for, and the error says how much was written. A store refuses a batch as a whole; the line
is found by trying the batch on an empty store in memory.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, wait
from typing import Any, BinaryIO, NamedTuple, TypeAlias

from crdtstore.cli.group import sentence
from crdtstore.cli.output import counted
from crdtstore.cli.progress import Advance
from crdtstore.cli.reader import Line, read_documents
from crdtstore.cli.target import Target
from crdtstore.command.command import Upsert
from crdtstore.command.result import Written
from crdtstore.errors import CallerError, CrdtStoreError, InvalidDocument, LimitExceeded
from crdtstore.limits import IMPORT_BATCH_BYTES_MAX, IMPORT_BATCHES_MAX
from crdtstore.store import Store


class Form(NamedTuple):
    """What every document of an import becomes: where it goes, which field is its id, what is typed."""

    collection: str
    id_field: str
    value_types: dict[str, str]


class Batch(NamedTuple):
    """One transaction: its commands, the lines of the input that they stand on, and their size there."""

    commands: Sequence[Upsert]
    lines: Sequence[int]
    bytes: int


class Sent(NamedTuple):
    """What was written."""

    documents: int
    transactions: int
    txn: int

    def plus(self, batch: Batch, written: Written) -> Sent:
        """Count one more transaction."""
        return Sent(self.documents + len(batch.commands), self.transactions + 1, max(self.txn, written.txn))


Waiting: TypeAlias = deque[tuple[Batch, Future[Written]]]
"""Batches on their way, the oldest first."""


def batches_of(stream: BinaryIO, form: Form, documents_max: int) -> Iterator[Batch]:
    """Read an input as batches.

    Raises:
        CallerError: What cannot be read; the message names the line.
    """
    lines: list[Line] = []
    size = 0
    for line in read_documents(stream):
        if lines and (len(lines) == documents_max or size + line.bytes > IMPORT_BATCH_BYTES_MAX):
            yield batch_of(lines, form, size)
            lines, size = [], 0
        lines.append(line)
        size += line.bytes
    if lines:
        yield batch_of(lines, form, size)


def batch_of(lines: Sequence[Line], form: Form, size: int) -> Batch:
    """Make the transaction of some lines."""
    return Batch([upsert_of(line, form) for line in lines], [line.number for line in lines], size)


def upsert_of(line: Line, form: Form) -> Upsert:
    """Make the command of a line.

    Raises:
        InvalidDocument: It has no id.
    """
    fields: dict[str, Any] = line.fields
    if form.id_field not in fields:
        message = f"Line {line.number} has no field {form.id_field}, which is to be its _id: see --id-field."
        raise InvalidDocument(message, line=line.number)
    identifier = fields.pop(form.id_field)
    return Upsert(form.collection, fields, id=identifier, value_types=form.value_types)


def send(target: Target, batches: Iterator[Batch], advance: Advance) -> Sent:
    """Write batches, in order, several of them on their way at a time.

    Raises:
        CrdtStoreError: An input or a batch is refused, or the store failed; says what was written.
        OSError: The input was not read or the server not reached; likewise.
    """
    sent = Sent(0, 0, 0)
    waiting: Waiting = deque()
    try:
        for batch in batches:
            waiting.append((batch, target.submit(batch.commands)))
            if len(waiting) >= IMPORT_BATCHES_MAX:
                sent = settle(waiting, sent, advance)
        while waiting:
            sent = settle(waiting, sent, advance)
    except (CrdtStoreError, OSError) as error:
        failed = next((batch for batch, future in waiting if raised(future) is error), None)
        if failed is not None:
            # The input went on after the batch that failed: what was not begun of that stays undone.
            withdraw(waiting)
        sent = drain(waiting, sent)
        if isinstance(error, OSError):
            raise OSError(f"{sentence(error)} {for_certain(sent)}") from error
        explain(error, failed, sent)
        raise
    return sent


def settle(waiting: Waiting, sent: Sent, advance: Advance) -> Sent:
    """Wait for the first batch on its way, and count it; one that failed stays in `waiting`."""
    batch, future = waiting[0]
    written = future.result()
    waiting.popleft()
    advance(len(batch.commands), batch.bytes)
    return sent.plus(batch, written)


def raised(future: Future[Written]) -> BaseException | None:
    """The error of a batch that has ended with one."""
    return future.exception() if future.done() and not future.cancelled() else None


def withdraw(waiting: Waiting) -> None:
    """Take back the batches that were not begun."""
    for _, future in waiting:
        future.cancel()


def drain(waiting: Waiting, sent: Sent) -> Sent:
    """Wait for the batches on their way, and count those that were written."""
    wait([future for _, future in waiting])
    for batch, future in waiting:
        if not future.cancelled() and future.exception() is None:
            sent = sent.plus(batch, future.result())
    return sent


def for_certain(sent: Sent) -> str:
    """Say what was written, where the outcome of a batch may be unknown."""
    return f"Written for certain: {counted(sent.documents, 'document')}."


def explain(error: CrdtStoreError, failed: Batch | None, sent: Sent) -> None:
    """Add to an error which line it is about, and what was written."""
    place, ending = "", for_certain(sent)
    if isinstance(error, CallerError):
        written = counted(sent.documents, "document")
        ending = f"Nothing of its batch was written. Written in all: {written}."
    if failed is not None and isinstance(error, InvalidDocument | LimitExceeded):
        first, last = refused_lines(failed)
        place = f"Line {first}: " if first == last else f"Lines {first} to {last}: "
        error.data["line"] = first
    error.data["documents"] = sent.documents
    error.message = f"{place}{error.message} {ending}"
    error.args = (error.message,)


def refused_lines(batch: Batch) -> tuple[int, int]:
    """The first and last line of what was refused: one line, if an empty store refuses it too."""

    def refused(count: int) -> bool:
        with Store.in_memory() as store:
            try:
                store.write(batch.commands[:count])
            except CallerError:
                return True
        return False

    if not refused(len(batch.commands)):
        return batch.lines[0], batch.lines[-1]
    # Commands run in order, so with the first that is refused all longer beginnings of the batch are.
    line = batch.lines[bisect_left(range(1, len(batch.lines) + 1), True, key=refused)]
    return line, line
