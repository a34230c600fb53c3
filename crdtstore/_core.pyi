"""Types of the compiled core; what each name does stands at its plain twin."""  # noqa: PYI021  every file says what it is

from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import NotImplementedType
from typing import Any, Literal, Protocol, Self, TypeAlias, final

from crdtstore.crdt.names import Names, Replicas
from crdtstore.crdt.operation import Mark, Operation, Write
from crdtstore.crdt.record import RecordHead
from crdtstore.crdt.value import Value
from crdtstore.storage.wal import Wal

class Lock(Protocol):
    def release(self) -> None: ...

class Table(Protocol):
    def get(self, table: int, key: bytes) -> bytes | None: ...
    def put(self, table: int, key: bytes, value: bytes) -> None: ...
    def delete(self, table: int, key: bytes) -> bool: ...

Bytes: TypeAlias = bytes | bytearray | memoryview
Source: TypeAlias = tuple[int, tuple[tuple[bytes, bytes], ...], bool, bool, tuple[bytes, bytes] | None, Any]

def crc32c(data: Bytes, value: int = 0) -> int: ...
def crc32c_portable(data: Bytes, value: int = 0) -> int: ...
def siphash128(key: bytes, data: Bytes, published: bool = False) -> bytes: ...
def siphash128_sum_of(key: bytes, messages: list[bytes], wide: bool) -> bytes: ...
def blake2b128(first: bytes, second: bytes) -> bytes: ...
def chain_digest(previous: bytes, record: bytes) -> bytes: ...
def value_key(value: Value) -> bytes: ...
def scan_json(data: Bytes, depth_max: int) -> None: ...
def digest_key(collection: str, encoded_id: bytes) -> bytes: ...
def merge_document(
    document: bytes,
    operations: bytes,
    timestamp: int,
    replica: int,
    coverage: array[int],
    paths: Names,
    replicas: Replicas,
    key: bytes,
    digest_sum: bytearray,
) -> bytes: ...
def document_digest(document: bytes, paths: Names, replicas: Replicas, key: bytes) -> bytes: ...
def is_canonical(document: bytes, paths: Names, replicas: Replicas) -> bool: ...
def read_head(data: bytes) -> RecordHead: ...
def flatten(fields: Mapping[str, Value], path: bytes, depth: int = 1) -> list[Write | Mark]: ...
def encode_operations(operations: Sequence[Operation]) -> bytes: ...
def document_json(document: bytes, paths: Names, replicas: Replicas) -> bytes: ...
def whole_json(encoded_id: bytes, printed: bytes) -> bytes: ...
def visible_document(document: bytes, paths: Names, replicas: Replicas) -> dict[str, Value] | None: ...
def read_field(document: bytes, path: tuple[str | int, ...], paths: Names, replicas: Replicas) -> Value: ...
def evaluate(
    program: Program, document: bytes, encoded_id: bytes, paths: Names, replicas: Replicas
) -> bool | NotImplementedType | None: ...

@final
class Program:
    tests: tuple[Callable[[Any], bool], ...]
    def __init__(
        self,
        code: bytes,
        fields: tuple[tuple[int, tuple[str | int, ...]], ...],
        constants: bytes,
        tests: tuple[Callable[[Any], bool], ...],
    ) -> None: ...

def apply_changes(batch: Table, catalog: Any, data: bytes, replica: int, coverage: array[int], table: int) -> bool: ...
def deliver_run(
    batch: Batch,
    catalog: Any,
    head: Any,
    records: Sequence[bytes],
    start: int,
    timestamp_max: int,
    documents_table: int,
    log_table: int,
    positions_table: int,
) -> int: ...

@final
class Staged:
    results: tuple[Any, ...]
    @property
    def names(self) -> tuple[str, ...]: ...
    def encoded(self) -> bytes: ...
    def put(self) -> None: ...
    def documents(self) -> list[tuple[Any, bytes, dict[str, Value]]]: ...
    def take_back(self) -> None: ...

def stage_upserts(
    batch: Batch,
    catalog: Any,
    commands: tuple[Any, ...],
    kind: Any,
    result: Any,
    new_id: Callable[[], str],
    unset: object,
    timestamp: int,
    replica: int,
    coverage: array[int],
    table: int,
) -> Staged | None: ...
def sequence_upserts(
    batch: Batch,
    catalog: Any,
    head: Any,
    writes: list[Any],
    start: int,
    timestamp_least: int,
    timestamp_max: int,
    tables: tuple[int, int, int],
    kinds: tuple[Any, ...],
) -> list[Any]: ...
def index_entry(
    index: Any, encoded_id: bytes, document: bytes, paths: Names, replicas: Replicas
) -> tuple[list[bytes], bytes, bool] | Literal[False] | None: ...
def change_entries(
    batch: Batch, collection: Any, catalog: Any, encoded_id: bytes, before: bytes, after: bytes, table: int
) -> bool: ...
def read_json(
    environment: Environment, table: int, prefix: bytes, id_: Value, paths: Names, replicas: Replicas
) -> bytes | Literal[False] | None: ...
def read_json_many(
    snapshot: Snapshot, table: int, prefix: bytes, ids: Sequence[Value], paths: Names, replicas: Replicas
) -> list[bytes | Literal[False] | None]: ...
def sum_documents(
    snapshot: Snapshot,
    table: int,
    collection: Any,
    replicas: Replicas,
    start: bytes,
    end: bytes,
    modulus: int,
    documents_max: int,
) -> tuple[list[tuple[bytes, int, bytes]], bytes | None]: ...
def search_count(
    snapshot: Snapshot,
    documents: int,
    collection: Any,
    replicas: Replicas,
    source: Source,
    filter_: Any,
    look: Any,
    deadline: float,
) -> tuple[int, int, int]: ...
def search_json(
    snapshot: Snapshot,
    documents: int,
    collection: Any,
    replicas: Replicas,
    source: Source,
    filter_: Any,
    look: Any,
    skip: int,
    limit: int,
    deadline: float,
) -> tuple[list[tuple[bytes, bytes]], int, int]: ...
def search_keys(
    snapshot: Snapshot,
    documents: int,
    collection: Any,
    replicas: Replicas,
    source: Source,
    filter_: Any,
    look: Any,
    order: Any,
    sort: Any,
    keep: int,
    after: bytes | None,
    deadline: float,
) -> tuple[list[bytes], bytes | None, int, int, int]: ...
def search_lines(
    snapshot: Snapshot,
    documents: int,
    collection: Any,
    replicas: Replicas,
    source: Source,
    filter_: Any,
    look: Any,
    skip: int,
    limit: int,
    bytes_max: int,
    deadline: float,
) -> tuple[bytes, int, int, int, int, tuple[bytes, bytes] | None, Any]: ...
def search_top(
    snapshot: Snapshot,
    documents: int,
    collection: Any,
    replicas: Replicas,
    source: Source,
    filter_: Any,
    look: Any,
    order: Any,
    sort: Any,
    keep: int,
    after: bytes | None,
    skip: int,
    deadline: float,
) -> tuple[list[tuple[bytes, bytes, bytes]], int, int, int]: ...
def search_fields(
    snapshot: Snapshot,
    documents: int,
    collection: Any,
    replicas: Replicas,
    source: Source,
    filter_: Any,
    look: Any,
    names: tuple[str, ...] | None,
    limit: int,
    rows_max: int,
    deadline: float,
) -> tuple[list[dict[str, Value]], int, int, int, tuple[bytes, bytes] | None, Any]: ...
def load_liblmdb(path: str) -> bool: ...

@final
class Environment:
    path: str
    read_only: bool
    wal: Wal | None
    def __new__(
        cls,
        path: str,
        lock: Lock,
        tables: tuple[str, ...],
        *,
        added: int,
        map_bytes: int,
        readers_max: int,
        read_only: bool,
        durable: bool,
    ) -> Self: ...
    def snapshot(self) -> Snapshot: ...
    def batch(self) -> Batch: ...
    def reader_check(self) -> None: ...
    def sync(self) -> None: ...
    def bytes_on_disk(self) -> int: ...
    def bytes_unused(self) -> int: ...
    def close(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *_failure: object) -> None: ...

class Snapshot:
    def __init__(self, *args: object, **kwargs: object) -> None: ...
    def get(self, table: int, key: bytes) -> bytes | None: ...
    def scan(self, table: int, start: bytes = ..., end: bytes | None = None) -> Iterator[tuple[bytes, bytes]]: ...
    def scan_back(self, table: int, start: bytes = ..., end: bytes | None = None) -> Iterator[tuple[bytes, bytes]]: ...
    def first(self, table: int) -> tuple[bytes, bytes] | None: ...
    def last(self, table: int) -> tuple[bytes, bytes] | None: ...
    def last_key(self, table: int) -> bytes | None: ...
    def count(self, table: int) -> int: ...
    def close(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *_failure: object) -> None: ...

@final
class Scan(Iterator[tuple[bytes, bytes]]):
    def __init__(self, *args: object, **kwargs: object) -> None: ...
    def __next__(self) -> tuple[bytes, bytes]: ...

@final
class Batch(Snapshot):
    @property
    def committed(self) -> bool: ...
    @property
    def dropped(self) -> bool: ...
    def put(self, table: int, key: bytes, value: bytes) -> None: ...
    def delete(self, table: int, key: bytes) -> bool: ...
    def commit(self) -> None: ...
    def abort(self) -> None: ...

@final
class Look:
    def __new__(
        cls,
        environment: Environment,
        documents: int,
        table: int,
        sequencer: Any,
        catalog: Any,
        collection: Any,
        index: Any,
        look: tuple[bytes, tuple[bytes | str, ...], tuple[tuple[str, bytes | str], ...], int],
        limit: int,
    ) -> Self: ...
    def find_json(self, args: dict[str, Any]) -> list[bytes] | None: ...

@final
class Finder:
    look: Look | None
    def __new__(cls, otherwise: Callable[[dict[str, Any]], list[bytes]]) -> Self: ...
    @property
    def find_json(self) -> Callable[..., list[bytes]]: ...
