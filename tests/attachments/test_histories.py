"""Files that are referred to stay, whatever happens at the same time; and the histories notice where they do not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from crdtstore.attachments import attachments, collecting
from crdtstore.attachments.attachments import Attachments
from crdtstore.attachments.collecting import Collector, Marks
from crdtstore.attachments.placing import remove_file
from crdtstore.storage import attachment_files
from crdtstore.storage.attachment_files import folder_of
from crdtstore.storage.attachments import GENERATION_BYTES, Attachment, read_attachment
from tests.attachments.histories import play

HISTORIES = 80
PLANTED_HISTORIES = 1_000


def test_no_history_loses_a_file() -> None:
    for seed in range(HISTORIES):
        assert play(seed) == [], seed


def removed_before_the_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files go before their rows are gone for sure."""
    remove_piece = Collector.remove_piece

    def early(self: Collector, marks: Marks, piece: tuple[bytes, ...], grace: int) -> tuple[Attachment, ...]:
        with self.store.storage.snapshot() as snapshot:
            rows = [row for id_ in piece if (row := read_attachment(snapshot, id_)) is not None]
        for row in rows:
            if row.idle and row.id not in marks.live and self.store.clock() - max(row.used, row.idle) >= grace:
                remove_file(folder_of(self.store.storage), row)
        return remove_piece(self, marks, piece, grace)

    monkeypatch.setattr(Collector, "remove_piece", early)


def log_not_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """References that came after the documents were read count for nothing."""
    monkeypatch.setattr(Marks, "catch_up", lambda *_: True)


def no_generation(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of one id have one name."""
    plain = attachment_files.name_of

    def name_of(attachment: Attachment) -> str:
        return plain(attachment._replace(generation=bytes(GENERATION_BYTES)))

    for module in (attachment_files, attachments, collecting):
        monkeypatch.setattr(module, "name_of", name_of)


def acknowledged_before_the_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file counts as put when it has its name."""

    def place(self: Attachments, path: Path, fresh: Attachment, _broken: Attachment | None) -> None:
        path.rename(self.folder / attachment_files.name_of(fresh))

    monkeypatch.setattr(Attachments, "place", place)


def files_on_their_way_swept(monkeypatch: pytest.MonkeyPatch) -> None:
    """What has no row yet is taken for left over."""
    begin = Collector.__init__
    monkeypatch.setattr(Collector, "__init__", lambda self, store, _, lock: begin(self, store, set(), lock))


PLANTED = (
    removed_before_the_commit,
    log_not_read_again,
    no_generation,
    acknowledged_before_the_row,
    files_on_their_way_swept,
)


@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.__name__)
def test_a_planted_bug_is_found(plant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    assert any(play(seed) for seed in range(PLANTED_HISTORIES))
