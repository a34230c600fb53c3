"""Every bound of the system, once, with its reason.

Rules: unit and bound stand last in the name; nothing else in the package writes such a number. A bound that
an operator may change is the default of a setting in `settings.py`.
"""

from __future__ import annotations

from typing import Final

# --- identity and time ---

ACTOR_BYTES: Final = 16
"""site (u64) and epoch (u64), big-endian: the client ID of the HTTP API."""

CLOCK_AHEAD_SECONDS_MAX: Final = 300
"""A record stamped further ahead of the local clock is not applied, and no store stamps one: a clock that
jumped years ahead would otherwise drag every store with it. Five minutes is what NTP-less machines drift."""

# --- documents ---

ID_BYTES_MAX: Final = 1_024
"""An `_id` in its key encoding, without its tag: long enough for a URL, short enough to be repeated in indexes."""

COLLECTION_BYTES_MAX: Final = 255
"""A collection's name in UTF-8."""

DOCUMENT_BYTES_WARN: Final = 256 * 1_024
"""A document of this size, bookkeeping included, is written with a warning: every change rewrites it."""

DOCUMENT_BYTES_MAX: Final = 5 * 1_024 * 1_024
"""A document beyond this size, bookkeeping included, is refused: one change must fit the group's budget."""

ATTACHMENT_ID_BYTES_MAX: Final = 256
"""An attachment's id in UTF-8: five times what a hash of its content takes as text."""

ATTACHMENT_TOKEN_BYTES_MAX: Final = 16 * 1_024
"""An attachment's token, encoded: metadata describes a file, and is not one."""

ATTACHMENT_BYTES_MAX: Final = 1_024 * 1_024 * 1_024
"""An attachment's file: a film of an hour. It is streamed, so this bounds the disk and no memory."""

ATTACHMENT_PIECE_BYTES: Final = 256 * 1_024
"""What is read or written at once of such a file, in one turn of a thread."""

ATTACHMENT_GRACE_SECONDS_DEFAULT: Final = 3_600.0
"""How long a file is kept that nobody refers to, from its upload on and from when that was first found: time enough to
write the document that refers to it, or for that to come from another store."""

UPLOAD_BYTES_MAX: Final = ATTACHMENT_BYTES_MAX + 64 * 1_024
"""The body of a request that brings a file: the file and the form around it."""

UPLOAD_FIELDS_MAX: Final = 8
"""Fields of such a form, of which one is the file."""

UPLOADS_MAX: Final = 64
"""Files of one store that come in several requests and are not whole."""

UPLOADS_BYTES_MAX: Final = 4 * ATTACHMENT_BYTES_MAX
"""What these take on the disk when they are whole."""

UPLOAD_SECONDS_MAX: Final = 86_400.0
"""How long such a file is kept while nothing comes of it: a device may be away for a night."""

FETCHES_MAX: Final = 16
FETCH_THREADS: Final = 4
"""Files that are fetched from other stores: those that wait are among the former, the latter run at a time."""

FETCH_MISSED_SECONDS: Final = 5.0
"""How long a file that no other store had is not asked for again."""

TRANSFERS_MAX: Final = 256
"""Files of one app on their way at the same time, in or out: each has a connection and a descriptor besides."""

TRANSFER_BYTES_A_SECOND_MIN: Final = 8 * 1_024
"""How fast a file must move on the whole, either way: a caller who drips it holds a connection and a descriptor."""

COLLECT_SECONDS: Final = 3_600.0
"""How often a server looks for files that nobody refers to: it reads all documents for it."""

COLLECT_PIECE: Final = 256
"""Files of which one commit decides whether they go: between two of them others have their turn."""

COLLECT_ENTRIES_MAX: Final = 256
"""Log entries that such a commit reads for new references: the writer waits for it. More are read before."""

COLLECT_ATTEMPTS: Final = 3
"""How often a collection begins anew because the log was trimmed under it, or a snapshot was joined."""

DOCUMENT_KEYS_MAX: Final = 10_000
"""Fields that one command may write into one document."""

DEPTH_MAX: Final = 64
"""Nesting of a value, and segments of a path: recursion over them stays far from the C stack's end."""

INT_MIN: Final = -(2**63)
INT_MAX: Final = 2**63 - 1
"""Integers are int64: the same on every store and in every index."""

FIELD_PATHS_KEPT_MAX: Final = 1_024
"""Paths of commands that are kept parsed: clients write the same few again and again."""

RECORD_BYTES_MAX: Final = 32 * 1_024 * 1_024
"""A transaction's record: it travels in one piece, and must fit a frame of the exchange."""

# --- interned names ---

COLLECTIONS_MAX: Final = 65_536
"""Collections of one store: their names are held in memory."""

PATHS_PER_COLLECTION_MAX: Final = 4_096
"""Paths interned for one collection. Documents whose keys are made of data would grow it for ever: beyond
the bound a path stands in the document's own heap."""

PATH_BYTES_MAX: Final = 4_096
"""A path in its encoding, interned or not."""

SHAPE_BYTES_MAX: Final = 16 * 1_024
SHAPES_BYTES_MAX: Final = 64 * 1_024 * 1_024
"""How documents of one shape are written as JSON is remembered: one shape, and all together. Shapes beyond are
written without help, at about a quarter of the speed; a shape of a dozen fields takes some 500 bytes."""

REPLICAS_MAX: Final = 1_048_576
"""(actor, origin) pairs of one store, 32 bytes each in memory: clients are to keep their ID."""

# --- storage ---

KEY_BYTES_MAX: Final = 511
"""LMDB's own bound on a key in format 0.9."""

KEY_PREFIX_BYTES: Final = 480
"""A longer document key keeps this many bytes (so ids stay in order) and a 16-byte hash of the whole id."""

MAP_BYTES_DEFAULT: Final = 2**40
"""Address space, not disk: LMDB grows its file as needed and must never be resized with readers about."""

FILE_ROOM_BYTES_MAX: Final = 1_024 * 1_024
"""The data file is made longer by so much ahead of its commits, at most: their flushes then need no journal, and what
this one writes takes a millisecond."""

FILE_ROOM_PART: Final = 2
"""It is made longer by half of what it has, so that a small store stays small."""

COPY_PIECE_BYTES: Final = 256 * 1_024
"""A backup goes through memory in pieces of this size: large enough to cost nothing, small enough for many at once."""

READERS_MAX: Final = 1_024
"""Reader slots: one for each thread or process that reads at the same time."""

SNAPSHOTS_KEPT_MAX: Final = 64
"""Ended read transactions kept for the next snapshot: each saves taking a reader slot, and keeps one."""

READER_CHECK_BATCHES: Final = 256
"""Commits between two looks for readers that died: what they held open would keep pages from being used again."""

GROUP_TRANSACTIONS_MAX: Final = 4_096
"""Transactions committed together: bounds the longest time that one commit takes."""

GROUP_BYTES_MAX: Final = 8 * 1_024 * 1_024
"""Record bytes committed together, for the same reason."""

HERE_SECONDS_MAX: Final = 0.000_5
"""How long a commit may take for an event loop to make the next one itself: about what handing it over and back takes,
and not more than requests that come meanwhile may wait."""

COMMAND_BYTES: Final = 512
"""What a command counts for GROUP_BYTES_MAX, since its record is made only when its group is: so two of the largest
write requests are one group, and a single write that comes behind them is in the next one."""

HERE_BYTES_MAX: Final = 128 * 1_024
"""What the commands of a group may count for an event loop to commit it itself: it works on it for a millisecond."""

QUEUE_TRANSACTIONS_MAX: Final = 65_536
"""Transactions waiting for the writer; further ones are refused as `Overloaded` rather than kept in memory."""

TRIM_ENTRIES_MAX: Final = 10_000
"""Log entries forgotten in one commit: writes wait for it."""

RANGE_LEAVES_MAX: Final = 8_192
"""Leaves of the range sums brought up to date in one commit, some 16 documents each: writes wait for it."""

RANGE_DOCUMENTS_AT_ONCE: Final = 1_024
"""Documents added up in one go of the compiled core, about a millisecond, before another thread has its turn."""

INDEXES_MAX: Final = 64
"""Indexes of one collection: every write of a document keeps all of them."""

INDEX_PATHS_MAX: Final = 4
"""Paths of one index: their columns and the id must fit a key of KEY_BYTES_MAX."""

INDEX_COLUMN_BYTES_MAX: Final = 100
"""A value in an index keeps this many bytes of its key: four of them and an id fit KEY_BYTES_MAX. Values that agree in
so many bytes are told apart by looking at their documents."""

INDEX_ID_BYTES_MAX: Final = 64
"""A longer id stands in an index as its hash, for the same reason."""

INDEX_ITEMS_MAX: Final = 1_000
"""Values that one document puts into an index because they stand in arrays: a document of more is looked at by every
search for such values instead, since each of its writes would have to compare all of them."""

INDEX_BUILD_DOCUMENTS: Final = 500
INDEX_BUILD_BYTES: Final = GROUP_BYTES_MAX
"""Documents put into a new index in one commit, and about how many bytes of them: writes wait for some milliseconds."""

INDEX_PAUSE_SECONDS: Final = 1.0
"""How long building in the background waits where the store is overloaded: writes go first."""

INDEX_DROP_ENTRIES: Final = 5_000
"""Entries of a dropped index that are removed in one commit, for the same reason."""

FINDINGS_MAX: Final = 1_000
"""Findings of one kind in one table that a verification keeps; the others are counted. A person acts on the first."""

# --- exchange between stores ---

MESSAGE_BYTES_MAX: Final = 64 * 1_024 * 1_024
"""A message of the exchange; it carries at most one frame, which holds at least one record."""

FRAME_BYTES_MAX: Final = 64 * 1_024 * 1_024
"""Entries of a frame, and its columns when they are inflated: what a receiver holds in memory at once. Twice a record,
so that a frame may end with the largest one."""

FRAME_ENTRIES_MAX: Final = 10_000
"""Entries of a frame: bounds the work between two looks at the time, and what a few bytes can be made to stand for."""

FRAME_BYTES_TARGET: Final = 1_024 * 1_024
"""Record bytes put into a frame before the next one is begun: large enough to compress well, small enough to be
applied in one commit beside other writes."""

ORIGINS_MAX: Final = 65_536
"""Origins in a vector that arrives: stores that ever wrote."""

BLOCK_BYTES_MAX: Final = FRAME_BYTES_MAX + 1_024
"""A block of a delta or of a backup on its way: the largest frame with its envelope, held in memory at once."""

RANGES_MAX: Final = 4_096
"""Key ranges of one message."""

RANGE_PARTS: Final = 16
"""Parts into which a range that differs is divided: more cost bytes, fewer cost round trips."""

RANGE_DOCUMENTS_MIN: Final = 8
"""A range with fewer documents is sent rather than divided further: sums would cost as much."""

JOIN_ATTEMPTS_MAX: Final = 8
"""How often a join compares documents anew because other stores gave records meanwhile; each time less differs."""

SPOOL_BYTES_MAX: Final = 64 * 1_024 * 1_024
"""A snapshot that arrives waits in memory up to this size, beyond in a file."""

DIGESTS_MAX: Final = 65_536
"""Chain digests of one message, 16 bytes each."""

SNAPSHOT_BLOCK_BYTES_MAX: Final = 48 * 1_024 * 1_024
"""A block of a snapshot's documents, inflated: holds the largest document, whose paths and replicas are spelled out
there, and fits a message even where it does not compress."""

SNAPSHOT_ENTRIES_MAX: Final = 1_048_576
"""Cells and totals of such a block, and entries of the author vectors in a snapshot's head: a document of
DOCUMENT_BYTES_MAX has at most half as many, a thousand stores that have all seen each other have as many. Bounds
what a few deflated bytes can be made to stand for."""

PINS_MAX: Final = 8
"""Snapshots pinned for joins in progress; each keeps the pages that are replaced meanwhile."""

PIN_SECONDS_MAX: Final = 60.0
"""How long such a snapshot is kept while its peer is silent."""

FOLLOW_WAIT_SECONDS: Final = 30.0
"""How long a store that follows another lets it hold a question while nothing is new: shorter than proxies cut off."""

FOLLOW_PAUSE_SECONDS_MIN: Final = 0.1
FOLLOW_PAUSE_SECONDS_MAX: Final = 10.0
"""Between two attempts to reach a peer; doubles from the one to the other, less a random part: peers that lost the
same server must not return to it all at once."""

CONNECT_SECONDS_MAX: Final = 5.0
"""How long connecting to a peer may take: it cannot be broken off, so it must be less than STOP_SECONDS_MAX."""

LOG_KEEP_DAYS_MAX: Final = 36_500.0
"""What an operator may set of ages: a hundred years, beyond which is meant what is left unset."""

TRIM_SECONDS: Final = 3_600.0
"""How often a server trims its log: a log is kept for days."""

PEERS_MAX: Final = 4_096
"""Peers that are remembered: who asks says which store it is, and must not be able to fill a table."""

PEER_SAVE_SECONDS: Final = 60
"""How often it is written down what a peer acknowledged: a commit for every exchange would cost more than it gives."""

PEER_GONE_SECONDS_DEFAULT: Final = 30 * 86_400
"""The log waits for a peer that long; then it may be trimmed, and the peer is given a snapshot when it returns."""

# --- versions ---

WAIT_SECONDS_DEFAULT: Final = 5.0
"""How long a read waits for a transaction before `VersionNotAvailable`."""

WAIT_SECONDS_MAX: Final = 3_600.0
"""What an operator may set that to: who waits for longer is gone, and its connection is held for nothing."""

WAITERS_MAX: Final = 10_000
"""Reads that wait at the same time."""

RETAINED_SECONDS_DEFAULT: Final = 60.0
RETAINED_SECONDS_MAX: Final = 120.0
"""How long a server keeps the newest version of each second readable, and the most an operator may set: every page
that is replaced meanwhile stays on the disk."""

RETAINED_VERSIONS_MAX: Final = 192
"""Versions that can be read beside the newest, pinned ones among them: each takes one of READERS_MAX slots."""

RETAINED_BYTES_MAX: Final = 256 * 1_024 * 1_024
"""Bytes of the data file that hold nothing of the newest version, beyond which it does not grow for the sake of older
ones: they go instead, from the half of it on, the oldest first, pinned or not. A forgotten pin must not fill a disk."""

PINNED_VERSIONS_MAX: Final = 64
"""Versions that callers keep at the same time."""

PIN_VERSION_SECONDS_MAX: Final = 600.0
"""How long a caller keeps a version: enough for a report that is made of many reads."""

# --- requests ---

BODY_BYTES_MAX: Final = 16 * 1_024 * 1_024
"""A request's body."""

PAYLOAD_BYTES_MAX: Final = 2 * 1_024 * 1_024
"""Bytes of a request's body from version 4 of the store API on, which documents this bound; what is larger is an
attachment."""

ARGUMENTS_MAX: Final = 64
"""Names in a query string; no route knows more than ten."""

BODY_SECONDS_MAX: Final = 30.0
"""A request's body must have arrived by then: a slow sender must not hold memory for ever."""

HEADER_BYTES_MAX: Final = 32 * 1_024
"""All header names and values of a request."""

HEADERS_MAX: Final = 100
"""Header fields of a request."""

KNOWN_HEADS_MAX: Final = 1_024
KNOWN_HEAD_BYTES_MAX: Final = 2 * 1_024
"""Different heads of requests that are kept with what they led to, and the bytes of one: some 8 MiB at most."""

TARGET_BYTES_MAX: Final = 8 * 1_024
"""Path and query string of a request."""

JSON_DEPTH_MAX: Final = DEPTH_MAX + 8
"""Nesting of a JSON body: a document's own depth and the envelope around it."""

JSON_BYTES_MAX: Final = 2**32 - 1
"""A JSON text scanned in one piece: the compiled scanner counts bytes, keys and elements in 32 bits."""

JSON_PLACE_CHARACTERS_MAX: Final = 256
"""A JSON path in an error: the caller chose the keys in it, and a message must not grow with them."""

HISTORY_ENTRIES_MAX: Final = 10_000
"""Entries of the log that one call for a document's history reads: some 20 ms."""

HISTORY_LIMIT_DEFAULT: Final = 100
HISTORY_LIMIT_MAX: Final = 1_000
"""Transactions of one answer of a document's history: the default and the most."""

IDEMPOTENCY_KEY_BYTES_MAX: Final = 255
"""An `Idempotency-Key`: clients draw some 36 characters."""

IDEMPOTENT_ANSWER_BYTES_MAX: Final = 64 * 1_024
"""An answer that is kept for a retry; of longer ones only that they were given is."""

IDEMPOTENT_CLIENT_MAX: Final = 256
"""Answers kept for one client: far more than one has on its way."""

IDEMPOTENT_ANSWERS_MAX: Final = 4_096
"""Answers kept for all clients: 256 MiB at the very most."""

COMMANDS_MAX: Final = 10_000
"""Commands of one write request."""

FIND_LIMIT_DEFAULT: Final = 1_000
FIND_LIMIT_MAX: Final = 10_000
"""Documents of one find: the default and the most a caller may ask for."""

QUERY_BYTES_MAX: Final = 64 * 1_024
"""A query's text."""

QUERY_DEPTH_MAX: Final = 64
"""Nesting of a query."""

QUERY_NODES_MAX: Final = 1_000
"""Nodes of a query's tree."""

QUERY_CACHE_MAX: Final = 256
"""Queries that are kept read, and filters made ready: more than an application has."""

QUERY_KEPT_BYTES_MAX: Final = 4 * 1_024
"""Encoded tree of a condition whose filter is kept: arguments may bring in a whole request's bytes, which a cache must
not hold on to."""

SEARCH_SIZE_DEFAULT: Final = 25
SEARCH_SIZE_MAX: Final = 200
"""Things of a page of things search: what is published."""

ORDER_KEYS_MAX: Final = 8
"""Keys of an order: each makes the sort key of a document up to SORT_KEY_BYTES_MAX longer."""

SORTED_DOCUMENTS_MAX: Final = 100_000
"""Documents that are kept while a page is sorted, those before it too; behind them a cursor goes on."""

DISTINCT_VALUES_MAX: Final = 10_000
"""Different values of one answer."""

DISTINCT_PATHS_MAX: Final = 64
DISTINCT_BYTES_MAX: Final = 16 * 1_024 * 1_024
"""Paths whose different values one answer has, and what texts among these may take, since they are all kept until the
last document was read."""

STATEMENT_SECONDS_DEFAULT: Final = 30.0
"""How long a statement may take unless its caller says otherwise: as long as a patient reader waits."""

STATEMENT_SECONDS_MIN: Final = 0.001
STATEMENT_SECONDS_MAX: Final = 3_600.0
"""What the time that a statement may take can be set to: any longer one would keep every page that is replaced
meanwhile."""

STATEMENT_EXAMINED_MAX: Final = 10_000_000
"""Documents that one statement looks at: some ten seconds of reading, unless
the system parameter of this name says otherwise."""

STATEMENT_ROWS_MAX: Final = 100_000
"""Rows of one answer, which are all kept until the last is there; a stream has no such bound."""

STATEMENT_CHANGED_MAX: Final = 100_000
"""Documents that one statement changes: they are kept until the last is, and their record must fit a frame."""

STATEMENTS_KEPT_MAX: Final = 256
"""Statements that are kept as they were read."""

JOINS_MAX: Final = 10
"""Joins of one statement."""

SORT_KEPT_BYTES_MAX: Final = 64 * 1_024 * 1_024
"""Rows of one statement that are sorted or grouped in memory; what is beyond waits in a temporary file."""

SORT_FIRST_MAX: Final = 10_000
"""Rows behind ORDER BY of which only the first so many are wanted: no others are kept."""

SPILL_BYTES_MAX: Final = 8 * 1_024 * 1_024 * 1_024
"""The temporary file of one sort: one statement must not fill a disk."""

SPILL_BLOCK_BYTES: Final = 64 * 1_024
"""What is read at once of each sorted run of that file: a hundred of them are a few mebibytes."""

AGGREGATED_VALUES_MAX: Final = 1_000_000
"""Values that MEDIAN and the DISTINCT aggregates of one statement keep together: some hundred mebibytes."""

EXECUTE_WARNINGS_MAX: Final = 10
"""Warnings that the answer to a statement tells, as the API has it; how many there were is told too."""

STATEMENT_KEPT_BYTES_MAX: Final = 16 * 1_024
"""Text of a statement that is kept: longer ones are few, mostly of values that should be parameters, and kept they
would be tens of megabytes."""

ADVISE_DOCUMENTS_MAX: Final = 2_000
"""Documents from which ADVISE tells what an index would hold: some tens of milliseconds for each that it thinks of."""

ADVISED_PATHS_MAX: Final = 8
"""Paths of a condition for which ADVISE thinks of indexes: it thinks of about twice as many."""

REQUEST_TEXT_CHARS_MAX: Final = 1_000
"""How much of a running statement's text `system:active_requests` shows."""

CURSOR_CHARS_MAX: Final = 32 * 1_024
"""A cursor: eight keys of SORT_KEY_BYTES_MAX, their columns and an id, in Base64, are less than half of it."""

PLAN_RANGES_MAX: Final = 1_000
"""Ranges of an index that one plan reads: each is a look of its own."""

STATISTICS_PARTS_MAX: Final = 256
"""Parts into which statistics divide an index: a share of a hundredth is told from two."""

STATISTICS_KEY_BYTES_MAX: Final = 64
"""How much of the key at a part's end is kept."""

QUERY_EXCERPT_CHARS_MAX: Final = 60
"""How much of a query the message of its syntax error shows: one line of a terminal, wherever the place is."""

SORT_KEY_BYTES_MAX: Final = 1_024
"""What one key of an order compares of a value: texts that share so long a beginning sort by id."""

SEARCH_REPEATS_MAX: Final = 4_194_304
"""Documents that a search remembers because its index entries may name one of them again, 16 bytes each in the compiled
core. A search of more is refused; a scan of the collection needs no memory."""

REGEX_MEMORY_BYTES_MAX: Final = 1_024 * 1_024
"""Memory of one compiled regular expression, program and automaton: refuses patterns that count far, which
would compile for tens of milliseconds and match at microseconds a byte. RE2's own default is eight times that."""

CHANGES_ENTRIES_MAX: Final = 1_000
"""Log entries read from one snapshot before it is renewed: a slow reader must not pin pages for ever."""

# --- HTTP connections ---

CONNECTIONS_MAX: Final = 4_096
"""Open connections: each costs some 20 kB and a descriptor. Further ones are answered 429 and closed."""

BACKLOG: Final = 2_048
"""Connections that the system takes before the server does: as many as clients open at once after a restart."""

HEAD_SECONDS_MAX: Final = 8.0
"""Request line and headers must have arrived by then, counted from the first byte or from the connection."""

KEEP_ALIVE_SECONDS: Final = 60
"""An idle connection is kept this long for the next request: longer than clients pause between two."""

FIXED_HEADERS_KEPT: Final = 256
"""Different headers of answers that are kept as they were written: most answers have one of a few."""

PIPELINE_MAX: Final = 256
"""Requests of one connection that were received and not yet answered; a sender of more is cut off."""

LINGER_SECONDS: Final = 2.0
"""After a refusal the rest of the body is read and dropped for so long before the connection is closed:
closing at once would reset it and destroy the answer that is still on its way."""

BODY_AHEAD_BYTES_MAX: Final = 64 * 1_024
"""Bytes of a body that are taken before they are asked for; then the sender waits."""

ANSWER_JOINED_BYTES_MAX: Final = 64 * 1_024
"""A longer answer is written beside its head, not behind it in one piece: copying it would cost more than one write."""

STALL_SECONDS_MAX: Final = 30.0
"""A reader that takes nothing of its answer for so long is cut off: the answer is memory."""

STOP_SECONDS_MAX: Final = 10
"""A stopping server lets requests in progress end for so long: more than a wait and a commit take."""

READ_THREADS: Final = 4
"""Threads that run finds, so that the event loop goes on; more only take turns at the interpreter's lock."""

LINES_PIECE_BYTES: Final = 64 * 1_024
"""Bytes of lines that are made before they are sent: as many as a socket takes, so that a listing of any length takes
little memory."""

LISTING_SECONDS_MAX: Final = 30.0
"""How long an answer of lines may take until it is read to its end: while it does, its snapshot keeps every page that
is replaced."""

FEED_RING_BYTES_MAX: Final = 64 * 1_024 * 1_024
FEED_RING_CHUNKS_MAX: Final = 4_096
"""Events of the change feed that a store keeps for its readers, each with their old and new documents, divided evenly
among the filters that are read; and the pieces of one filter. A reader who lags behind further is cut."""

FEED_FILTERS_MAX: Final = 256
"""Different filters that readers of the feed have at the same time: each judges every document that changes."""

FEED_ROUND_BYTES_MAX: Final = 64 * 1_024 * 1_024
"""Documents that the feed merges again for one round of transactions; of a round that takes more it tells that the
documents are to be read anew."""

FEED_REPLAY_BYTES_MAX: Final = 8 * 1_024 * 1_024
"""Documents that are merged again, from a retained version on, for a piece of the past: some 50 ms. What lies further
behind it is told by its operations."""

FEED_PAGE_SECONDS_MAX: Final = 1.0
"""How long such an answer looks for events in the log, where few are told of: it says how far it came."""

FEED_PAGE_BYTES_MAX: Final = 4 * 1_024 * 1_024
"""Events of one answer of the change feed that is no stream; the transaction that passes it is still in it."""

OPEN_STREAMS_MAX: Final = 2_048
"""Answers of a server that go on while something happens: half of CONNECTIONS_MAX, so that they leave room for others.
Each is a task of some 10 kB."""

STREAM_HEARTBEAT_SECONDS: Final = 15.0
"""How long such an answer is silent before it says that it is still there: proxies cut what is silent for a minute,
some for half of it."""

STREAM_RETRY_SECONDS: Final = 2.0
"""After how long readers of Server-Sent Events are asked to come back when they were cut off."""

APPS_MAX: Final = 64
"""Apps of one server: each that is open has a map of MAP_BYTES_DEFAULT, and the machine has addresses for some 127."""

BACKUPS_AT_ONCE_MAX: Final = 2
"""Backups that a server sends at the same time: each is a process that reads all of the store, and holds a snapshot."""

EXCHANGE_THREADS: Final = 2
"""Threads that answer other stores, apart from those of finds: a store that joins must hold up no reader."""

INLINE_BODY_BYTES_MAX: Final = 64 * 1_024
"""A larger body is parsed in a thread: on the event loop it would hold up every other connection."""

GARBAGE_OBJECTS: Final = 10_000
"""Objects that come and stay before the process of `serve` looks for cycles among them: Python's own 700 are what a
few requests on their way are made of."""

# --- time series ---

DISTINCT_SECONDS_DEFAULT: Final = 10.0
"""How long the different values of a series are looked for, unless the caller says so."""

EVENTS_PIECE: Final = 256
"""Events that are read, printed and sent at once while a series is streamed."""

EVENT_TTL_SECONDS_MAX: Final = 3_153_600_000
"""How long an event may live that is to expire: a hundred years, which no end of the calendar cuts short."""

EXPIRED_EVENTS_MAX: Final = 1_000
"""Expired events that one transaction removes: between two of them others have their turn."""

EXPIRY_SLEEP_SECONDS_MAX: Final = 3_600
"""What removes expired events looks at the clock again after so long: clocks are set."""

# --- live queries ---

LIVE_QUERIES_MAX: Final = 1_000
"""Different queries that are observed in a store: each judges every document of its collection that changes."""

OBSERVATIONS_MAX: Final = 10_000
"""Observers of a store: each is a place, and may keep the rows that it saw last alive."""

LIVE_ROWS_MAX: Final = 1_000_000
"""Rows that the live queries of a store have room for, all together: they are held in memory as they are shown."""

LIVE_SLACK_ROWS: Final = 100
"""Rows that a live query keeps behind those that it shows: so many may go before it has to be run again."""

LIVE_SEARCH_SECONDS_MAX: Final = 10
"""How long a live query may be searched for: others wait meanwhile, and one that takes longer ends."""

# --- write-ahead log ---

WAL_SEGMENT_BYTES: Final = 16 * 1_024 * 1_024
"""Of each of the two segments of a write-ahead log: both are applied in a second after a crash, and take room while
the store is open."""

WAL_ZEROS_BYTES: Final = 512 * 1_024
"""Of a segment that are written with zeros ahead of its frames: a commit that flushes them too takes a tenth of a
millisecond for it, and opening a store little more."""

WAL_COMMITS_MAX: Final = 1_000
"""Commits between two checkpoints: none of them uses a page again, some ten of 4 KiB each."""

WAL_SECONDS_MAX: Final = 10.0
"""The age of a checkpoint behind which something was written: a store at rest has little to apply."""

WAL_ALONE_SECONDS_MAX: Final = 10.0
"""How long recovering waits for processes that look at the directory: they are refused, and gone in milliseconds."""

WAL_REPLAY_BYTES: Final = 1_024 * 1_024
"""Frames that are applied in one batch after a crash: enough to share pages, few enough for memory."""

# --- API keys ---

API_KEY_BYTES_MAX: Final = 128
"""An API key. Longer ones are refused before anything is computed from them."""

ACCOUNT_NAME_CHARACTERS_MAX: Final = 64
"""The name of an account, which people type."""

PASSWORD_CHARACTERS_MIN: Final = 8
PASSWORD_CHARACTERS_MAX: Final = 256
"""A password: short ones are guessed, and nobody has longer ones than a sentence or a random text."""

ACCOUNT_CHARACTERS_MAX: Final = ACCOUNT_NAME_CHARACTERS_MAX + PASSWORD_CHARACTERS_MAX + 1
"""An account's name and password. Longer ones are refused before anything is computed from them."""

KEY_CACHE_ENTRIES_MAX: Final = 10_000
"""Verified keys, and apart from them refused ones, that are remembered: some 200 bytes each."""

KEY_CACHE_SECONDS: Final = 300.0
"""How long a verified key is taken without another scrypt (revoking acts at once all the same)."""

KEY_REFUSED_SECONDS: Final = 10.0
"""How long a refused key is refused without another scrypt: what a client in a retry loop does."""

SCRYPT_AT_ONCE_MAX: Final = 2
"""Keys hashed at the same time: each takes 32 MiB and a core for some 60 ms."""

SCRYPT_WAITING_MAX: Final = 64
"""Keys that wait to be hashed: about two seconds of work; further ones are refused as `Overloaded`."""

REFUSED_KEYS_MAX: Final = 50
"""Wrong keys that an address may have hashed at once: a client that is set up wrong sends one, again and again."""

REFUSED_KEYS_PER_SECOND: Final = 1.0
"""And how many from then on: a tenth of what the hashing of a core can do."""

RATE_NAMES_MAX: Final = 10_000
"""Keys or addresses whose requests are counted: some 200 bytes each."""

RATE_SECONDS: Final = 10.0
"""Requests of so much time may come at once, where they are bounded: who asks in bursts is let to."""

PREFLIGHT_SECONDS: Final = 600
"""For so long a browser need not ask again whether a page of another site may call: a settings change holds soon."""

RATE_PER_SECOND_MIN: Final = 0.01
"""The least that a setting takes for such a bound: one request in a hundred seconds."""

RATE_PER_SECOND_MAX: Final = 1_000_000.0
"""The most that a setting takes for such a bound: beyond it there is none."""

KEY_NAME_CHARACTERS_MAX: Final = 100
"""What people call a key: it stands in a line of a list."""

KEY_DESCRIPTION_CHARACTERS_MAX: Final = 1_000
"""What people say of a key."""

PERMISSION_COLLECTIONS_MAX: Final = 1_000
"""Collections that a permission names for one verb: it is read as one row."""

PERMISSION_QUERIES_MAX: Final = 256
"""Queries that a permission names for one verb, besides `true`: all of a collection are asked of each document."""

PERMISSION_QUERY_CHARACTERS_MAX: Final = 4_096
"""The length of one of them: it is compiled once, and stands in the row of the key."""

OLD_KEY_SECONDS_MAX: Final = 2_592_000
"""How long the old key may be taken beside the new one: thirty days, which is long to change a setting."""

OLD_KEY_SECONDS_DEFAULT: Final = 3_600
"""How long it is, where nobody says: an hour."""

KEY_USE_SECONDS: Final = 60.0
"""How much older than the last use of a key its note may be: one transaction for all keys in that time."""

KEY_CHANGES_MAX: Final = 1_000
"""What became of keys is kept so far back."""

# --- tokens and logins ---

TOKEN_BYTES_MAX: Final = 8_192
"""An access token. Longer ones are refused before anything is read in them; a header has room for it."""

TOKEN_HEADER_BYTES_MAX: Final = 512
"""What stands before its claims: three short names."""

TOKEN_SUBJECT_CHARACTERS_MAX: Final = 256
"""Whose it is, or the name of a key: it stands in lines of a log."""

TOKEN_SKEW_SECONDS: Final = 30
"""How far the clock of who made a token may be ahead of this one. One that has ended has ended."""

TOKEN_SECONDS_MAX: Final = 2_678_400
"""The most that a setting takes for the life of a token: a month, in which nothing that it may do can be taken back."""

TOKEN_SECONDS_DEFAULT: Final = 900
"""The life of a token: what its owner may do is asked again each quarter of an hour."""

TOKEN_CACHE_ENTRIES_MAX: Final = 10_000
"""Verified tokens that are remembered: some 300 bytes each."""

TOKENS_WAITING_MAX: Final = 1_000
"""Tokens that wait to be verified: some 0.2 seconds of work."""

TOKEN_KEYS_BYTES_MAX: Final = 262_144
"""A file of keys: some 500 of them."""

TOKEN_KEYS_SECONDS: Final = 5.0
"""How old the last look at the files of keys may be when a token is taken: a key that is taken out counts so long."""

TOKEN_KEY_UNKNOWN_SECONDS: Final = 1.0
"""How old it may be where a token names a key that is not known: one that was added is found so soon."""

RSA_BITS_MIN: Final = 2_048
RSA_BITS_MAX: Final = 8_192
"""A key of RSA: shorter ones are broken, longer ones take long to compute with."""

LOGIN_BYTES_MAX: Final = 16_384
"""What is sent to log in: the token of a provider may be one of ours."""

LOGIN_FILE_BYTES_MAX: Final = 1_048_576
"""The file of providers: some hundred of them, with permissions."""

LOGINS_AT_ONCE_MAX: Final = 32
"""Providers that are asked at the same time: each may take WEBHOOK_SECONDS_MAX, and a socket."""

LOGINS_MAX: Final = 20
LOGINS_PER_SECOND: Final = 1.0
"""Logins of an address: so many at once, and so many a second from then on."""

WEBHOOK_SECONDS_MAX: Final = 30.0
"""How long a provider may take to answer, all in all."""

WEBHOOK_ANSWER_BYTES_MAX: Final = 65_536
"""What a provider may answer: a permission is far shorter, or no token would hold it."""

TOKEN_SECRET_BYTES_MIN: Final = 32
"""A shared secret: as long as what it computes, and never a password."""

# --- command line ---

IMPORT_BATCH_DOCUMENTS_DEFAULT: Final = 100
"""Documents of one transaction of an import; COMMANDS_MAX is the most. More barely gains speed, and a document
that is refused takes all of its batch with it."""

IMPORT_BATCH_BYTES_MAX: Final = BODY_BYTES_MAX // 2
"""Input of such a transaction, if it has more than one document: with its envelope it must fit a request."""

IMPORT_BATCHES_MAX: Final = 32
"""Batches on their way to the store: enough to share each flush of the disk, few enough to be held in memory."""

IMPORT_ARRAY_BYTES_MAX: Final = 256 * 1_024 * 1_024
"""A JSON array to import is read whole; JSON Lines are not, and have no such bound."""

DISK_FREE_BYTES_MIN: Final = 256 * 1_024 * 1_024
"""Free space below which `crdtstore doctor` sees a problem: a few large commits, after which writes are refused."""

DESCRIPTORS_SPARE: Final = 64
"""Descriptors of a server besides its connections: the store's files, its log, connections to peers."""

PEER_SILENT_SECONDS: Final = 86_400
"""A peer that was not met for so long and keeps the log from being trimmed is named by `crdtstore doctor`."""

# --- simulator ---

WORLD_STORES_MAX: Final = 500
"""Stores of a simulated world: each keeps its own documents in memory."""

WORLD_OPERATIONS_MAX: Final = 10_000_000
"""Operations of a simulated world: its plan and its ledger are held in memory."""

SHRINK_RUNS_MAX: Final = 300
"""Worlds played to make a failing one small: most are done far sooner, and a person waits for it."""
