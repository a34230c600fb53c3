# Twin of the reading half of crdtstore/crdt/document_bytes.py and of canonical_parts in crdtstore/crdt/document.py.
#
# Rows are a document's entries while they are merged, with what the canonical form hashes of each.
#
# Rules: rows point into the document and the operations, which outlive the merge; the GIL is held, so the scratch
# below serves one merge at a time.

from cpython.array cimport array
from cpython.bytearray cimport PyByteArray_AS_STRING
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_GetItemWithError
from cpython.list cimport PyList_GET_ITEM, PyList_GET_SIZE
from cpython.object cimport PyObject
from libc.stdlib cimport qsort, realloc
from libc.string cimport memchr, memcmp, memmove, memset

cdef extern from *:
    """
    #include <float.h>
    #include <math.h>
    #define UNRESOLVED 0xFFFFFFFFu
    #define STAMP_NEW 0xFFFFFFFFu
    #define PATCH_STAMPS_MAX 255u
    static inline int add_overflows(int64_t a, int64_t b, int64_t *sum) { return __builtin_add_overflow(a, b, sum); }
    static inline double wide_sum(int64_t a, int64_t b) { return (double)((__int128)a + b); }
    static inline double finite_amount(double v) { return isinf(v) ? copysign(DBL_MAX, v) : v; }
    """
    const uint32_t UNRESOLVED          # a path that has no number yet
    const uint32_t STAMP_NEW
    const uint32_t PATCH_STAMPS_MAX
    bint add_overflows(int64_t a, int64_t b, int64_t *sum) noexcept nogil
    double wide_sum(int64_t a, int64_t b) noexcept nogil
    double finite_amount(double v) noexcept nogil

cdef struct Row:
    uint64_t cell_timestamp        # of the cell: a total's instance
    uint64_t timestamp             # of the entry
    uint64_t slot                  # inline value
    const unsigned char *heap      # value in a heap
    const unsigned char *text      # path, while it has no number
    uint32_t heap_length
    uint32_t text_length
    uint32_t path
    uint32_t cell_replica
    uint32_t replica
    uint32_t stamp                 # in the document's table; of the transaction: STAMP_NEW
    uint8_t code
    uint8_t kind
    uint8_t dead

cdef struct Merge:
    # One transaction's view of one document: the same for every operation on it.
    uint64_t timestamp
    uint32_t replica
    uint32_t replica_count
    const uint64_t *coverage
    size_t covered
    const unsigned int *origin_numbers
    const unsigned char *key
    uint64_t digest_low
    uint64_t digest_high

cdef struct MergeScratch:
    Row *rows
    size_t rows_size
    size_t count
    uint32_t *places               # of the document's stamps in the new table
    size_t places_size
    unsigned char *out
    size_t out_size
    size_t out_length
    unsigned char *message
    size_t message_size

cdef MergeScratch scratch
memset(&scratch, 0, sizeof(MergeScratch))


cdef int grow(void **block, size_t *size, size_t needed) except -1:
    """Make a scratch block at least `needed` bytes."""
    cdef void *larger
    if needed <= size[0]:
        return 0
    needed += needed >> 1
    larger = realloc(block[0], needed)
    if larger == NULL:
        raise MemoryError
    block[0] = larger
    size[0] = needed
    return 0


cdef Row *add_row() except NULL:
    """A new row at the end, cleared."""
    cdef Row *row
    grow(<void **>&scratch.rows, &scratch.rows_size, (scratch.count + 1) * sizeof(Row))
    row = scratch.rows + scratch.count
    memset(row, 0, sizeof(Row))
    row.stamp = STAMP_NEW
    scratch.count += 1
    return row


# --- paths ---


cdef extern from *:
    """
    /* A guess which number a path has, by its bytes; whoever asks compares the text. */
    #define GUESSES 1024
    static uint32_t path_guesses[GUESSES];
    static inline uint32_t *path_guess(const unsigned char *text, size_t length) {
        uint64_t mixed = length * 0x9E3779B97F4A7C15u;
        for (; length >= 8; text += 8, length -= 8) {
            uint64_t word;
            memcpy(&word, text, 8);
            mixed = (mixed ^ word) * 0x9E3779B97F4A7C15u;
        }
        for (; length; text++, length--)
            mixed = (mixed ^ *text) * 0x100000001B3u;
        return &path_guesses[(mixed ^ mixed >> 32) % GUESSES];
    }
    """
    uint32_t *path_guess(const unsigned char *text, size_t length) noexcept nogil


cdef inline uint32_t find_path(dict numbers, list texts, const unsigned char *text, size_t length) except? 0xFFFFFFFE:
    """The number of a path in the collection's dictionary, or UNRESOLVED."""
    cdef uint32_t *guess = path_guess(text, length)
    cdef PyObject *number
    cdef bytes key
    if guess[0] < <uint32_t>PyList_GET_SIZE(texts):
        key = <bytes>PyList_GET_ITEM(texts, guess[0])
        if <size_t>PyBytes_GET_SIZE(key) == length and memcmp(PyBytes_AS_STRING(key), text, length) == 0:
            return guess[0]
    key = PyBytes_FromStringAndSize(<const char *>text, length)
    number = PyDict_GetItemWithError(numbers, key)
    if number == NULL:
        return UNRESOLVED
    guess[0] = <uint32_t><object>number
    return guess[0]


cdef inline int row_text(const Row *row, list texts, const unsigned char **text, size_t *length) except -1:
    """The path of a row, spelled out."""
    if row.path == UNRESOLVED:
        text[0] = row.text
        length[0] = row.text_length
        return 0
    if row.path >= <uint32_t>PyList_GET_SIZE(texts):
        raise damaged("a path number is unknown")
    text[0] = <const unsigned char *>PyBytes_AS_STRING(<object>PyList_GET_ITEM(texts, row.path))
    length[0] = PyBytes_GET_SIZE(<object>PyList_GET_ITEM(texts, row.path))
    return 0


cdef inline bint same_path(const Row *row, uint32_t path, const unsigned char *text, size_t length) noexcept:
    if row.path != UNRESOLVED or path != UNRESOLVED:
        return row.path == path
    return row.text_length == length and memcmp(row.text, text, length) == 0


cdef inline bint is_observed(const Merge *merge, uint64_t timestamp, uint32_t replica) noexcept:
    """Whether the author vector covers a stamp."""
    cdef size_t origin = merge.origin_numbers[replica]
    return origin < merge.covered and timestamp <= merge.coverage[origin]


# --- digest ---


cdef inline size_t digest_room(const Row *row) noexcept nogil:
    """How many bytes the canonical form of a row with its text takes at most."""
    return row.text_length + row.heap_length + 128


cdef inline size_t digest_write(const Row *row, const unsigned char *text, size_t length, list replica_texts,
                                unsigned char *out) noexcept:
    """A row's canonical form, of its path and all else; canonical_parts in crdt/document.py. Returns its bytes."""
    cdef size_t size = 2 + length
    out[0] = <unsigned char>length
    out[1] = <unsigned char>(length >> 8)
    memcpy(out + 2, text, length)
    out[size] = row.code
    put64(out + size + 1, row.timestamp)
    memcpy(out + size + 9, PyBytes_AS_STRING(<object>PyList_GET_ITEM(replica_texts, row.replica)), 32)
    size += 41
    if row.code == CODE_TOTAL:
        put64(out + size, row.cell_timestamp)
        memcpy(out + size + 8, PyBytes_AS_STRING(<object>PyList_GET_ITEM(replica_texts, row.cell_replica)), 32)
        size += 40
    if row.code & 7 != CODE_MAP and row.code != CODE_GRAVE:
        size += write_row_value(out + size, row)
    return size


cdef inline void digest_add(Merge *merge, const uint64_t *words) noexcept nogil:
    """Add a hash to the change of the digest."""
    merge.digest_low += words[0]
    merge.digest_high += words[1] + (merge.digest_low < words[0])


cdef int digest_row(Merge *merge, const Row *row, list texts, list replica_texts, bint added) except -1:
    """Add a row's hash to the change of the digest, or take it away."""
    cdef const unsigned char *text
    cdef size_t length, size
    cdef uint64_t words[2]
    cdef uint64_t before = merge.digest_low
    row_text(row, texts, &text, &length)
    grow(<void **>&scratch.message, &scratch.message_size, length + row.heap_length + 128)
    size = digest_write(row, text, length, replica_texts, scratch.message)
    siphash128_c(merge.key, scratch.message, size, words)
    if added:
        digest_add(merge, words)
    else:
        merge.digest_low -= words[0]
        merge.digest_high -= words[1] + (merge.digest_low > before)
    return 0


cdef int digest_new(Merge *merge, list texts, list replica_texts) except -1:
    """Add the hashes of all rows, whose texts are set: many at a time."""
    cdef const unsigned char *messages[SIP_LANES]
    cdef size_t lengths[SIP_LANES]
    cdef uint64_t words[2]
    cdef size_t at = 0, lane, count, room
    cdef const Row *row
    cdef unsigned char *out
    while at < scratch.count:
        row, room = scratch.rows + at, 0
        count = min(<size_t>SIP_LANES, scratch.count - at)
        for lane in range(count):
            room += digest_room(row + lane) + SIP_END_BYTES
        grow(<void **>&scratch.message, &scratch.message_size, room)
        out = scratch.message
        for lane in range(count):
            messages[lane] = out
            lengths[lane] = digest_write(row + lane, row[lane].text, row[lane].text_length, replica_texts, out)
            out += sip_end(out, lengths[lane])
        siphash128_sum(merge.key, messages, lengths, count, True, words)
        digest_add(merge, words)
        at += count
    return 0


cdef inline size_t write_row_value(unsigned char *out, const Row *row) noexcept nogil:
    """A row's value as msgpack; returns its bytes."""
    cdef size_t head
    if row.kind <= KIND_TRUE:
        out[0] = 0xC0 if row.kind == KIND_NULL else 0xC2 if row.kind == KIND_FALSE else 0xC3
        return 1
    if row.kind == KIND_INT:
        return write_int(out, <int64_t>row.slot)
    if row.kind == KIND_DOUBLE:
        return write_double(out, row.slot)
    if row.kind == KIND_SHORT:
        head = row.slot & 0xFF
        out[0] = <unsigned char>(0xA0 | head)
        memcpy(out + 1, <const unsigned char *>&row.slot + 1, 7)
        return 1 + head
    head = 0
    if row.kind <= KIND_BINARY:
        head = write_bytes_head(out, row.heap_length, row.kind == KIND_STRING)
    memcpy(out + head, row.heap, row.heap_length)
    return head + row.heap_length


# --- reading ---


cdef int read_row_value(Cursor *cursor, Row *row) noexcept nogil:
    """A msgpack value into a row; -1 when there is none. The bytes stay where they are."""
    cdef const unsigned char *start
    cdef size_t size
    cdef unsigned char head
    cdef unsigned char short_text[8]
    cdef int kind
    if cursor.at >= cursor.end:
        return -1
    head = cursor.at[0]
    row.slot = 0
    row.heap_length = 0
    if head == 0xC0 or head == 0xC2 or head == 0xC3:
        row.kind = KIND_NULL if head == 0xC0 else KIND_FALSE if head == 0xC2 else KIND_TRUE
        cursor.at += 1
        return 0
    if head & 0xE0 == 0xA0 or 0xD9 <= head <= 0xDB:
        if read_string(cursor, &start, &size):
            return -1
        if size <= 7:
            memset(short_text, 0, 8)
            short_text[0] = <unsigned char>size
            memcpy(short_text + 1, start, size)
            memcpy(&row.slot, short_text, 8)
            row.kind = KIND_SHORT
        else:
            row.kind = KIND_STRING
            row.heap = start
            row.heap_length = <uint32_t>size
        return 0
    if 0xC4 <= head <= 0xC6:
        if read_binary(cursor, &start, &size):
            return -1
        row.kind = KIND_BINARY
        row.heap = start
        row.heap_length = <uint32_t>size
        return 0
    if head & 0xE0 == 0x80 or 0xDC <= head <= 0xDF:
        start = cursor.at
        if skip_value(cursor, 0):
            return -1
        row.kind = KIND_ARRAY if head & 0xF0 == 0x90 or head == 0xDC or head == 0xDD else KIND_OBJECT
        row.heap = start
        row.heap_length = <uint32_t>(cursor.at - start)
        return 0
    if read_number(cursor, &kind, &row.slot):
        return -1
    row.kind = <uint8_t>kind
    return 0


cdef int load_row(const DocumentView *view, uint32_t number, uint32_t replica_count, Row *row) except -1:
    """One entry as a row; its cell's stamp is its own."""
    cdef uint32_t stamp = load_number(view.stamps, number, view.stamp_width)
    cdef const unsigned char *slot = view.slots + 8 * <size_t>number
    cdef size_t length
    if stamp >= view.m:
        raise damaged("a stamp index is unknown")
    row.stamp = stamp
    row.path = load_number(view.paths, number, view.path_width)
    row.code = view.types[number] & 15
    row.kind = view.types[number] >> 4
    row.timestamp = load_u64(view.timestamps + 8 * <size_t>stamp)
    row.replica = load_number(view.replicas, stamp, view.replica_width)
    row.cell_timestamp = row.timestamp
    row.cell_replica = row.replica
    row.heap_length = 0
    row.dead = 0
    if row.replica >= replica_count:
        raise damaged("a replica number is unknown")
    if not CODES_KNOWN >> row.code & 1 or row.kind > KIND_OBJECT:
        raise damaged("an entry is of no known kind")
    if row.code == CODE_GRAVE and view.n != 1:
        raise damaged("a grave stands beside other cells")
    if row.kind < KIND_STRING:
        row.slot = load_u64(slot)
        if row.kind == KIND_SHORT and slot[0] > 7:
            raise damaged("a short string is longer than its slot")
    else:
        if heap_read(view, slot, &row.heap, &length):
            raise damaged("a value lies outside its heap")
        row.heap_length = <uint32_t>length
    return 0


cdef int load_rows(const DocumentView *view, Merge *merge, list texts) except -1:
    """All entries as rows; a total gets the stamp of its instance."""
    cdef uint32_t number
    cdef Row *row
    cdef Row *instance = NULL
    cdef size_t length
    grow(<void **>&scratch.rows, &scratch.rows_size, (<size_t>view.n + 8) * sizeof(Row))
    for number in range(view.n):
        row = scratch.rows + number
        load_row(view, number, merge.replica_count, row)
        if row.path >= DOCUMENT_LOCAL_PATH:
            document_path(view, number, texts, &row.text, &length)
            row.text_length = <uint32_t>length
            row.path = UNRESOLVED
        if row.code != CODE_TOTAL:
            instance = row
        elif instance == NULL:
            raise damaged("a total stands before its counter")
        elif instance.code < CODE_IMPLICIT or not same_path(instance, row.path, row.text, row.text_length):
            raise damaged("a total belongs to no counter")
        else:
            row.cell_timestamp = instance.timestamp
            row.cell_replica = instance.replica
    scratch.count = view.n
    return 0


cdef void digest_key_c(const unsigned char *name, size_t name_length, const unsigned char *id_, size_t id_length,
                       unsigned char *key) noexcept nogil:
    """The key under which a document's cells are hashed; both lengths are within their limits."""
    cdef unsigned char message[2048]
    cdef uint64_t words[2]
    message[0] = <unsigned char>name_length
    message[1] = <unsigned char>(name_length >> 8)
    memcpy(message + 2, name, name_length)
    memcpy(message + 2 + name_length, id_, id_length)
    siphash128_c(<const unsigned char *>b"crdtstore digest", message, 2 + name_length + id_length, words)
    sip_store(key, words[0])
    sip_store(key + 8, words[1])


def digest_key(str collection not None, bytes encoded_id not None):
    """The key under which a document's cells are hashed; see crdt/document.py."""
    cdef bytes name = collection.encode()
    cdef unsigned char key[16]
    if len(name) > 512 or len(encoded_id) > 1025:
        raise ValueError("A collection's name or an id is beyond its bound.")
    digest_key_c(
        <const unsigned char *>PyBytes_AS_STRING(name), len(name),
        <const unsigned char *>PyBytes_AS_STRING(encoded_id), len(encoded_id), key,
    )
    return <bytes>key[:16]
