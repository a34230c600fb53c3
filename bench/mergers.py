"""Peers that merge one update into one stored document, each in the way that is its cheapest.

Rules: states and updates are made before anything is measured, and every round begins with the same states, so
that no peer carries a history that grows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import lmdb

from bench.workloads import FieldUpdate

ROOT = "fields"
MAP_BYTES = 1 << 30


class Merger(NamedTuple):
    """What a peer keeps of each document, the update for each, how one is merged into the other, how both are read."""

    states: Sequence[bytes]
    updates: Sequence[bytes]
    merge: Callable[[bytes, bytes], bytes]
    read: Callable[[bytes], Any]


def pycrdt_merger(documents: Sequence[Mapping[str, Any]], updates: Sequence[FieldUpdate]) -> Merger:
    """Merge encoded states without loading them, the cheapest that pycrdt has."""
    pycrdt = import_module("pycrdt")
    states = [pycrdt_document(fields).get_update() for fields in documents]
    made = []
    for number, path, value in updates:
        document = pycrdt.Doc()
        document.apply_update(states[number])
        before = document.get_state()
        pycrdt_set(document, path, value)
        made.append(document.get_update(before))

    def read(state: bytes) -> Any:
        document = pycrdt.Doc()
        document.apply_update(state)
        return document.get(ROOT, type=pycrdt.Map).to_py()

    return Merger(states, made, pycrdt.merge_updates, read)


def loro_merger(documents: Sequence[Mapping[str, Any]], updates: Sequence[FieldUpdate]) -> Merger:
    """Load a snapshot, import the update, write a snapshot."""
    loro = import_module("loro")
    snapshot = loro.ExportMode.Snapshot()
    states, made = [], []
    for number, fields in enumerate(documents):
        states.append(loro_document(fields, number).export(snapshot))
    for number, path, value in updates:
        document = loro.LoroDoc()
        document.import_(states[number])
        before = document.oplog_vv
        place = document.get_map(ROOT)
        for segment in path[:-1]:
            place = place.get(segment).container
        place.insert(path[-1], value)
        document.commit()
        made.append(document.export(loro.ExportMode.Updates(before)))

    def merge(state: bytes, update: bytes) -> bytes:
        document = loro.LoroDoc()
        document.import_(state)
        document.import_(update)
        merged: bytes = document.export(snapshot)
        return merged

    def read(state: bytes) -> Any:
        document = loro.LoroDoc()
        document.import_(state)
        return document.get_map(ROOT).get_deep_value()

    return Merger(states, made, merge, read)


MERGERS: Mapping[str, Callable[[Sequence[Mapping[str, Any]], Sequence[FieldUpdate]], Merger]] = {
    "pycrdt": pycrdt_merger,
    "loro": loro_merger,
}


def pycrdt_document(fields: Mapping[str, Any]) -> Any:
    """A document of pycrdt whose nested objects are maps of its own."""
    pycrdt = import_module("pycrdt")
    document = pycrdt.Doc()
    root = document.get(ROOT, type=pycrdt.Map)
    with document.transaction():
        for name, value in fields.items():
            root[name] = pycrdt.Map(value) if isinstance(value, dict) else value
    return document


def pycrdt_set(document: Any, path: tuple[str, ...], value: Any) -> None:
    """Set a field of a document of pycrdt."""
    place = document.get(ROOT, type=import_module("pycrdt").Map)
    for segment in path[:-1]:
        place = place[segment]
    place[path[-1]] = value


def loro_document(fields: Mapping[str, Any], number: int) -> Any:
    """A document of loro whose nested objects are maps of its own."""
    loro = import_module("loro")
    document = loro.LoroDoc()
    document.peer_id = number + 1
    root = document.get_map(ROOT)
    for name, value in fields.items():
        if isinstance(value, dict):
            nested = root.insert_container(name, loro.LoroMap())
            for inner, text in value.items():
                nested.insert(inner, text)
        else:
            root.insert(name, value)
    document.commit()
    return document


def merge_in_memory(merger: Merger) -> None:
    """Merge each update into its state, which stays what it was for the next round."""
    merge = merger.merge
    merged = dict(enumerate(merger.states))
    for number, update in enumerate(merger.updates):
        merged[number] = merge(merged[number], update)


class MergerInLmdb:
    """A peer's states in an LMDB environment of their own."""

    def __init__(self, merger: Merger, directory: Path) -> None:
        self.merger = merger
        self.environment = lmdb.open(str(directory), map_size=MAP_BYTES, sync=False, metasync=False, lock=False)
        self.keys = [number.to_bytes(8, "big") for number in range(len(merger.states))]

    def reset(self) -> None:
        """Put the states back to where a round begins."""
        with self.environment.begin(write=True) as transaction:
            for key, state in zip(self.keys, self.merger.states, strict=True):
                transaction.put(key, state)

    def merge(self) -> None:
        """Read, merge and write each document, in one transaction."""
        merge = self.merger.merge
        with self.environment.begin(write=True) as transaction:
            for key, update in zip(self.keys, self.merger.updates, strict=True):
                transaction.put(key, merge(transaction.get(key, b""), update))

    def close(self) -> None:
        """Close the environment."""
        self.environment.close()
