"""Every error that crdtstore raises, in one tree, split by who must act.

```
CrdtStoreError                    code, status, retryable, data
├─ CallerError                    the caller must change something
│  ├─ MalformedRequest            the bytes of a request cannot be read
│  │  ├─ MalformedJson            not strict JSON; names the byte and the place
│  │  ├─ MalformedClientId        not the Base64 of exactly 16 bytes
│  │  ├─ QuerySyntaxError         names line, column and what was expected
│  │  ├─ InvalidQuery             a query that can be read and asks for what there is not
│  │  ├─ InvalidCursor            a cursor that was not given out for this query
│  │  └─ RangeNotSatisfiable      bytes that lie behind the end of a file
│  ├─ Unauthenticated             no key, or one that is not known
│  ├─ Forbidden                   a known key without this right
│  ├─ UnsupportedPermission       a permission that could not be enforced
│  ├─ NotFound                    no such route or document
│  │  └─ UnknownAttachment        no file of this id
│  ├─ UploadConflict              a piece of a file that does not go on where the file ends
│  ├─ InvalidIndex                a definition that no index may have
│  │  ├─ IndexExists              an index of this name, or of these paths
│  │  └─ UnknownIndex             no index of this name
│  ├─ VersionNotRetained          a version of the past that was not kept
│  ├─ MethodNotAllowed            the route exists, the verb does not
│  ├─ UnsupportedMediaType        a body that is not JSON
│  ├─ InvalidDocument             what a document must not hold
│  │  ├─ InvalidId                an `_id` of a refused type or size
│  │  ├─ InvalidValue             a value outside the value model
│  │  ├─ TypeConflict             two types at one path in one transaction
│  │  ├─ DocumentBuried           this id was deleted permanently
│  │  └─ OutsideScope             a collection that this store does not hold
│  ├─ IdConflict                  a document of this id is there already
│  ├─ PreconditionFailed          a document is not as the caller took it to be
│  ├─ IdempotencyConflict         a key was used for another request
│  ├─ StatementTimeout            a statement was stopped at its deadline
│  └─ LimitExceeded               names the limit, the value and the bound
├─ RetryLater                     nobody erred; the same call may work later
│  ├─ VersionNotAvailable         the wait for a transaction ran out
│  ├─ Overloaded                  a bounded resource is used up for now
│  ├─ ProviderFailed              who was asked about a login did not say
│  ├─ FeedCut                     a reader of the feed was too slow; carries where to go on
│  └─ ClockBehind                  this machine's clock is behind what it has seen
├─ StoreError                     the machine or its operator must act
│  ├─ StoreClosed                 the store was closed
│  ├─ StoreLocked                 another process writes; carries its pid
│  ├─ StoreReadOnly               opened read-only
│  ├─ StoreFull                   the disk or the map is full
│  ├─ StoreFenced                 a commit's outcome is unknown; reopen
│  ├─ NotAStore                   the directory holds no store
│  ├─ NotRestored                 a backup is not written to; restore it
│  ├─ NotRecovered                its write-ahead log is to be applied; open it for writing
│  ├─ FormatTooNew                written by a newer version
│  ├─ Corrupted                   a stored value fails its seal; names table and key
│  └─ ForkedProcess               an environment was used after fork
└─ ReplicationError               what came from another store does not fit
   ├─ MalformedRecord             not a canonical record
   ├─ MalformedMessage            not a message, frame or snapshot of the exchange
   ├─ DamagedFile                 a delta, or a backup on its way, is cut short or altered
   ├─ PositionGap                 records between are missing
   ├─ NotCausal                   the record depends on one that was not applied
   ├─ RecordAhead                 stamped too far ahead of this clock
   ├─ LogTrimmed                  the log no longer reaches back that far
   ├─ ScopeMismatch               the two stores hold different collections
   ├─ PeerUnreachable             the other store does not answer
   ├─ Divergence                  two histories under one origin; both digests
   └─ Quarantined                 a peer that diverged; an operator must release it
```

Rules: `code` is a stable slug, `status` a hint for HTTP, `retryable` says whether the same call may work
later, `data` holds what a program would want to read. Messages are whole sentences that name the place and
the limit. How an error looks on the wire is not here: see `http/faults.py`.
"""

from __future__ import annotations

from typing import Any, ClassVar


class CrdtStoreError(Exception):
    """The root: every error of this package is one."""

    code: ClassVar[str] = "error"
    status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, **data: Any) -> None:
        super().__init__(message)
        self.message = message
        self.data: dict[str, Any] = data


class CallerError(CrdtStoreError):
    """The caller must change something before the call can work."""

    code = "caller"
    status = 400


class MalformedRequest(CallerError):
    """The bytes of a request cannot be read."""

    code = "malformed-request"


class MalformedJson(MalformedRequest):
    """A body is not strict JSON: `data` has `line`, `column`, `byte` and `reason`."""

    code = "malformed-json"


class MalformedClientId(MalformedRequest):
    """A client ID is not the Base64 of exactly 16 bytes."""

    code = "malformed-client-id"


class QuerySyntaxError(MalformedRequest):
    """A query cannot be parsed: `data` has `line`, `column` and `expected`."""

    code = "query-syntax"


class InvalidQuery(MalformedRequest):
    """A query that can be read and asks for what there is not: `data` has `reason`, a slug, and what it is about."""

    code = "invalid-query"


class InvalidCursor(MalformedRequest):
    """A cursor that this store did not give out for this query."""

    code = "invalid-cursor"


class RangeNotSatisfiable(MalformedRequest):
    """A range of bytes that lies behind the end of a file: `data` has its length, `len`."""

    code = "range-not-satisfiable"
    status = 416


class Unauthenticated(CallerError):
    """No credential, or one that is not known."""

    code = "unauthenticated"
    status = 401


class Forbidden(CallerError):
    """A known credential without the right that the call needs."""

    code = "forbidden"
    status = 403


class UnsupportedPermission(CallerError):
    """A permission that could not be enforced: `data` has the `verb` and the `collection` whose query it is."""

    code = "unsupported-permission"


class NotFound(CallerError):
    """No such route or document."""

    code = "not-found"
    status = 404


class UnknownAttachment(NotFound):
    """No file of this id is in the store, or none that the caller may read: `data` has the `id`."""

    code = "unknown-attachment"


class UploadConflict(CallerError):
    """A piece of a file that does not fit what came of it before: `data` has the bytes `received`."""

    code = "upload-conflict"
    status = 409


class InvalidIndex(CallerError):
    """A definition that no index may have."""

    code = "invalid-index"


class IndexExists(InvalidIndex):
    """The collection has an index of this name, or one of these paths: `data` has `name`."""

    code = "index-exists"
    status = 409


class UnknownIndex(InvalidIndex):
    """No index has this name: `data` has `name`."""

    code = "unknown-index"
    status = 404


class VersionNotRetained(CallerError):
    """A version that cannot be read any more: `data` has `asked`, and `nearest` and `oldest` of those that can be."""

    code = "version-not-retained"
    status = 410

    def __init__(self, asked: int, nearest: int, oldest: int) -> None:
        message = (
            f"Transaction {asked} is not retained: of the versions that can be read {nearest} is the nearest and "
            f"{oldest} the oldest. Read at one of these; pin a version before it is to be read for long."
        )
        super().__init__(message, asked=asked, nearest=nearest, oldest=oldest)


class MethodNotAllowed(CallerError):
    """The route exists, the verb does not."""

    code = "method-not-allowed"
    status = 405


class UnsupportedMediaType(CallerError):
    """A body in a representation that the route does not read."""

    code = "unsupported-media-type"
    status = 415


class InvalidDocument(CallerError):
    """Something that a document must not hold."""

    code = "invalid-document"


class InvalidId(InvalidDocument):
    """An `_id` of a refused type or size."""

    code = "invalid-id"


class InvalidValue(InvalidDocument):
    """A value outside the value model (NaN, integers beyond int64, keys that are not strings)."""

    code = "invalid-value"


class TypeConflict(InvalidDocument):
    """Two types at one path in one transaction."""

    code = "type-conflict"


class DocumentBuried(InvalidDocument):
    """A document was deleted permanently: what is written to its id would never be seen."""

    code = "document-buried"
    status = 409


class OutsideScope(InvalidDocument):
    """A collection outside of the scope that this store was made for: `data` has `collection` and `scope`."""

    code = "outside-scope"


class IdConflict(CallerError):
    """A document of this id is there already, and the statement does not say what then."""

    code = "id-conflict"
    status = 409


class PreconditionFailed(CallerError):
    """A document is not what the caller's condition says; nothing was written."""

    code = "precondition-failed"
    status = 412


class IdempotencyConflict(CallerError):
    """An `Idempotency-Key` that was used before, for another request or one whose answer was not kept."""

    code = "idempotency-conflict"
    status = 422


class StatementTimeout(CallerError):
    """A statement took longer than it may; nothing of it was applied."""

    code = "statement-timeout"
    status = 408


class LimitExceeded(CallerError):
    """A bound of `limits.py` was passed: `data` has `limit` (its name), `value` and `maximum`."""

    code = "limit-exceeded"
    status = 413

    def __init__(self, message: str, *, limit: str, value: int, maximum: int) -> None:
        super().__init__(message, limit=limit, value=value, maximum=maximum)


class RetryLater(CrdtStoreError):
    """Nobody erred: the same call may work later."""

    code = "retry-later"
    status = 503
    retryable = True


class VersionNotAvailable(RetryLater):
    """The wait for a transaction ran out: `asked` was not reached, `applied` is the newest."""

    code = "version-not-available"
    status = 404

    def __init__(self, asked: int, applied: int) -> None:
        message = f"Transaction {asked} is not available yet: the newest applied one is {applied}."
        super().__init__(message, asked=asked, applied=applied)
        self.asked = asked
        self.applied = applied


class Overloaded(RetryLater):
    """A bounded resource is used up for now."""

    code = "overloaded"
    status = 429


class ProviderFailed(RetryLater):
    """Who was asked about a login did not answer, or not as it must."""

    code = "provider-failed"
    status = 502


class ClockBehind(RetryLater):
    """This machine's clock is too far behind the timestamps it has seen to stamp a write."""

    code = "clock-behind"


class StoreError(CrdtStoreError):
    """The machine failed or its operator must act."""

    code = "store"


class StoreClosed(StoreError):
    """The store was closed."""

    code = "store-closed"
    status = 503


class StoreLocked(StoreError):
    """Another process writes to this store: `data` has its `pid` where known."""

    code = "store-locked"


class StoreReadOnly(StoreError):
    """A write on a store that was opened read-only."""

    code = "store-read-only"


class StoreFull(StoreError):
    """The disk or the memory map is full; reads go on."""

    code = "store-full"
    status = 507


class StoreFenced(StoreError):
    """A commit failed and its outcome is unknown: the store takes no write until it is reopened."""

    code = "store-fenced"


class NotAStore(StoreError):
    """The directory holds no store, or not one that can be read."""

    code = "not-a-store"


class NotRestored(StoreError):
    """A backup is not written to: restore it, and write to what comes of it."""

    code = "not-restored"


class NotRecovered(StoreError):
    """The store was not closed, and its write-ahead log waits to be applied: open it once for writing."""

    code = "not-recovered"


class FormatTooNew(StoreError):
    """The store was written by a newer version: `data` has `found` and `newest`."""

    code = "format-too-new"


class Corrupted(StoreError):
    """A stored value fails its seal. It is not served; `data` has `table` and `key` (hex)."""

    code = "corrupted"

    def __init__(self, table: str, key: bytes, reason: str = "its seal does not match") -> None:
        super().__init__(f"Value {key.hex()} of table {table} is damaged: {reason}.", table=table, key=key.hex())
        self.table = table
        self.key = key


class ForkedProcess(StoreError):
    """A store opened before fork() was used in the child; open it again there."""

    code = "forked-process"


class ReplicationError(CrdtStoreError):
    """What came from another store does not fit this one."""

    code = "replication"
    status = 409


class MalformedRecord(ReplicationError):
    """Bytes that are not a canonical transaction record."""

    code = "malformed-record"
    status = 400


class MalformedMessage(ReplicationError):
    """Bytes that are no message, frame or snapshot of the exchange; nothing of them was applied."""

    code = "malformed-message"
    status = 400


class DamagedFile(ReplicationError):
    """A delta, an ask or a backup on its way is cut short or altered: `data` has the `byte` of the stream."""

    code = "damaged-file"
    status = 400


class PositionGap(ReplicationError):
    """Records between are missing: `data` has `origin`, `expected` and `got`."""

    code = "position-gap"


class NotCausal(ReplicationError):
    """The record depends on a transaction that was not applied here: `data` has `origin`, `needs`, `has`."""

    code = "not-causal"


class RecordAhead(ReplicationError):
    """The record is stamped too far ahead of this machine's clock; nothing after it was applied."""

    code = "record-ahead"
    retryable = True


class Divergence(ReplicationError):
    """Two histories exist under one origin: `data` has `origin`, `position`, `ours` and `theirs`."""

    code = "divergence"


class LogTrimmed(ReplicationError):
    """The log no longer reaches back to what was asked for: `data` has `asked` and `first`, txn ids."""

    code = "log-trimmed"
    status = 410


class FeedCut(RetryLater):
    """A reader of the feed was too slow, and what it did not read is not kept: `data` has `next`, where to go on."""

    code = "feed-cut"
    status = 410


class ScopeMismatch(ReplicationError):
    """The two stores hold different collections, so that one cannot give what the other needs."""

    code = "scope-mismatch"


class PeerUnreachable(ReplicationError):
    """The other store does not answer, or what answers is not one."""

    code = "peer-unreachable"
    status = 502
    retryable = True


class Quarantined(ReplicationError):
    """This peer diverged before: nothing is exchanged until an operator releases it. `data` has `peer`."""

    code = "quarantined"
