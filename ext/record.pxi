# Twin of decode_record in crdtstore/crdt/record.py: a record checked in place, and its head read.
#
# Rules: what passes here is canonical; what does not is given to the plain twin, which says what is wrong, or finds
# that it is one of the rare forms that are not worth a second check in C (ids that are objects, large objects).

cdef enum:
    RECORD_KEYS_MAX = 16               # of an object whose keys are compared each with each

from crdtstore.crdt.record import RecordHead, read_head as read_head_plain
from crdtstore.crdt.vector import Reached
from crdtstore.limits import COLLECTION_BYTES_MAX as record_collection_limit
from crdtstore.limits import DEPTH_MAX as record_depth_limit, ID_BYTES_MAX as record_id_limit
from crdtstore.limits import PATH_BYTES_MAX as record_path_limit

cdef size_t RECORD_COLLECTION_MAX = record_collection_limit
cdef size_t RECORD_ID_MAX = record_id_limit + 1     # behind its tag
cdef size_t RECORD_PATH_MAX = record_path_limit
cdef int RECORD_DEPTH_MAX = record_depth_limit
cdef dict RECORD_NOTHING_OBSERVED = {}

cdef struct RecordView:
    const unsigned char *origin
    const unsigned char *actor
    const unsigned char *observed      # the rows of the author vector's difference
    const unsigned char *changes       # behind the head of their array
    uint64_t position
    uint64_t timestamp
    uint32_t observed_count
    uint32_t changes_count
    size_t id_length_max
    bint one_collection                # all documents are of one


cdef bint is_utf8(const unsigned char *text, size_t length) noexcept nogil:
    """Whether bytes are UTF-8 as RFC 3629 has it: shortest forms, no surrogates, up to U+10FFFF."""
    cdef size_t at = 0, more
    cdef uint32_t point, least
    cdef unsigned char byte
    while at < length:
        byte = text[at]
        at += 1
        if byte < 0x80:
            continue
        if byte & 0xE0 == 0xC0:
            more = 1
            point = byte & 0x1F
            least = 0x80
        elif byte & 0xF0 == 0xE0:
            more = 2
            point = byte & 0x0F
            least = 0x800
        elif byte & 0xF8 == 0xF0:
            more = 3
            point = byte & 0x07
            least = 0x10000
        else:
            return False
        if length - at < more:
            return False
        while more:
            if text[at] & 0xC0 != 0x80:
                return False
            point = point << 6 | (text[at] & 0x3F)
            at += 1
            more -= 1
        if point < least or point > 0x10FFFF or 0xD800 <= point <= 0xDFFF:
            return False
    return True


cdef bint is_path_c(const unsigned char *path, size_t length) noexcept nogil:
    """path.is_path: terminated keys, escapes only where they are needed, within the bounds."""
    cdef size_t at
    cdef int keys = 0
    if length > RECORD_PATH_MAX or length and path[length - 1] != 0:
        return False
    for at in range(length):
        keys += path[at] == 0
    return keys <= RECORD_DEPTH_MAX and is_escaped(path, length) and is_utf8(path, length)


cdef bint is_escaped(const unsigned char *path, size_t length) noexcept nogil:
    """Whether every 0x01 begins an escape; 0x02 and 0x01 behind one belong to it."""
    cdef size_t at = 0
    while at < length:
        if path[at] == 1:
            if at + 1 >= length or path[at + 1] != 1 and path[at + 1] != 2:
                return False
            at += 1
        at += 1
    return True


cdef bint is_id_c(const unsigned char *id_, size_t length) noexcept nogil:
    """Whether an id is a canonical string, boolean or number within 2**53; others are for the plain twin."""
    cdef uint64_t bits
    cdef double number
    if length == 0 or length > RECORD_ID_MAX:
        return False
    if id_[0] == 0x20:
        return length > 1 and is_utf8(id_ + 1, length - 1)
    if id_[0] == 0x02 or id_[0] == 0x03:
        return length == 1
    if id_[0] != 0x10 or length != 11 or be16(id_ + 9) != 0x8000:
        return False
    bits = be64(id_ + 1)
    bits ^= <uint64_t>1 << 63 if bits >> 63 else ~<uint64_t>0
    memcpy(&number, &bits, 8)
    return -9007199254740992.0 < number < 9007199254740992.0 and bits != <uint64_t>1 << 63


cdef int check_packed(Cursor *cursor, int depth) noexcept nogil:
    """check_value on msgpack: passes over one value of the value model in canonical form; -1 otherwise."""
    cdef unsigned char head
    cdef uint32_t count, item
    cdef int kind
    cdef uint64_t slot
    cdef const unsigned char *start
    cdef size_t size
    if cursor.at >= cursor.end or depth < 0:
        return -1
    head = cursor.at[0]
    if head == 0xC0 or head == 0xC2 or head == 0xC3:
        cursor.at += 1
        return 0
    if head & 0xE0 == 0xA0 or 0xD9 <= head <= 0xDB:
        return -1 if read_string(cursor, &start, &size) or not is_utf8(start, size) else 0
    if 0xC4 <= head <= 0xC6:
        return read_binary(cursor, &start, &size)
    if head & 0xF0 == 0x90 or head == 0xDC or head == 0xDD:
        if read_array(cursor, &count):
            return -1
        for item in range(count):
            if check_packed(cursor, depth - 1):
                return -1
        return 0
    if head & 0xF0 == 0x80 or head == 0xDE or head == 0xDF:
        return check_packed_map(cursor, depth)
    if read_number(cursor, &kind, &slot):
        return -1
    return 0 if kind == KIND_INT or is_finite(slot) else -1


cdef int check_packed_map(Cursor *cursor, int depth) noexcept nogil:
    """check_packed for an object: no key twice."""
    cdef const unsigned char *keys[RECORD_KEYS_MAX]
    cdef size_t sizes[RECORD_KEYS_MAX]
    cdef uint32_t count, item, other
    if read_map(cursor, &count) or count > RECORD_KEYS_MAX:
        return -1
    for item in range(count):
        if read_string(cursor, &keys[item], &sizes[item]) or not is_utf8(keys[item], sizes[item]):
            return -1
        for other in range(item):
            if sizes[other] == sizes[item] and memcmp(keys[other], keys[item], sizes[item]) == 0:
                return -1
        if check_packed(cursor, depth - 1):
            return -1
    return 0


cdef inline bint is_finite(uint64_t bits) noexcept nogil:
    return bits >> 52 & 0x7FF != 0x7FF


cdef int check_amount(Cursor *cursor) noexcept nogil:
    """A counter's number: an int64 or a finite double."""
    cdef int kind
    cdef uint64_t slot
    if read_number(cursor, &kind, &slot):
        return -1
    return 0 if kind == KIND_INT or is_finite(slot) else -1


cdef int compare_bytes(const unsigned char *a, size_t a_length, const unsigned char *b, size_t b_length) noexcept nogil:
    """The order of byte strings."""
    cdef int order = memcmp(a, b, min(a_length, b_length))
    return order if order else (a_length > b_length) - (a_length < b_length)


cdef enum:
    # The codes of operations, a bit each. Attachments are not among them: their tokens are for the plain twin.
    RECORD_CODES = 0xBF | 1 << 9 | 1 << 10 | 1 << 12


cdef int check_operations(Cursor *cursor) noexcept nogil:
    """The operations of one document, in their canonical order; -1 otherwise."""
    cdef uint32_t count, fields, at
    cdef uint64_t code, types
    cdef const unsigned char *path
    cdef const unsigned char *before = NULL
    cdef size_t length, before_length = 0
    cdef int phase, phase_before = -1
    if read_array(cursor, &count) or count == 0:
        return -1
    for at in range(count):
        if read_array(cursor, &fields) or read_unsigned(cursor, &code) or code > 15 or not RECORD_CODES >> code & 1:
            return -1
        if read_binary(cursor, &path, &length) or not is_path_c(path, length):
            return -1
        phase = 0 if code == 0 else 2 if code == 5 else 1
        if phase < phase_before:
            return -1
        if phase == phase_before and compare_bytes(path, length, before, before_length) <= 0:
            return -1
        phase_before = phase
        before = path
        before_length = length
        code &= 7
        if code == 0:
            if fields != 3 or read_unsigned(cursor, &types) or types == 0 or types & ~<uint64_t>0x4E:
                return -1
        elif code == 1:
            if fields != 3 or check_packed(cursor, RECORD_DEPTH_MAX):
                return -1
        elif code == 2:
            if fields != 2:
                return -1
        elif code == 7:
            if fields != 2 or length or count > 1:
                return -1
        elif code == 5:
            if fields != 6 or check_instance(cursor) or check_amount(cursor):
                return -1
        elif fields != 3 or check_amount(cursor):
            return -1
    return 0


cdef int check_instance(Cursor *cursor) noexcept nogil:
    """The stamp that names a counter's instance."""
    cdef uint64_t timestamp
    cdef const unsigned char *name
    return -1 if read_unsigned(cursor, &timestamp) or read_name(cursor, &name) or read_name(cursor, &name) else 0


cdef inline int read_name(Cursor *cursor, const unsigned char **name) noexcept nogil:
    """An actor or origin."""
    cdef size_t length
    return -1 if read_binary(cursor, name, &length) or length != 16 else 0


cdef int check_changes(Cursor *cursor, RecordView *record) noexcept nogil:
    """The documents of a record, sorted by collection and id; -1 otherwise."""
    cdef uint32_t fields, at
    cdef const unsigned char *collection
    cdef const unsigned char *id_
    cdef const unsigned char *collection_before = NULL
    cdef const unsigned char *id_before = NULL
    cdef size_t length, id_length, length_before = 0, id_length_before = 0
    cdef int order
    record.one_collection = True
    record.id_length_max = 0
    for at in range(record.changes_count):
        if read_array(cursor, &fields) or fields != 3 or read_string(cursor, &collection, &length):
            return -1
        if length == 0 or length > RECORD_COLLECTION_MAX or not is_utf8(collection, length):
            return -1
        if memchr(collection, 0, length) != NULL:
            return -1
        if read_binary(cursor, &id_, &id_length) or not is_id_c(id_, id_length):
            return -1
        if at:
            order = compare_bytes(collection_before, length_before, collection, length)
            record.one_collection &= order == 0
            if order > 0 or order == 0 and compare_bytes(id_before, id_length_before, id_, id_length) >= 0:
                return -1
        record.id_length_max = max(record.id_length_max, id_length)
        collection_before = collection
        length_before = length
        id_before = id_
        id_length_before = id_length
        if check_operations(cursor):
            return -1
    return 0 if cursor.at == cursor.end else -1


cdef int check_observed(Cursor *cursor, RecordView *record) noexcept nogil:
    """The rows of the author vector's difference, sorted by origin."""
    cdef uint32_t fields, at
    cdef uint64_t number
    cdef const unsigned char *origin
    cdef const unsigned char *before = NULL
    cdef const unsigned char *digest
    if read_array(cursor, &record.observed_count):
        return -1
    record.observed = cursor.at
    for at in range(record.observed_count):
        if read_array(cursor, &fields) or fields != 4 or read_name(cursor, &origin):
            return -1
        if before != NULL and memcmp(before, origin, 16) >= 0:
            return -1
        if read_unsigned(cursor, &number) or number == 0 or read_unsigned(cursor, &number):
            return -1
        if read_name(cursor, &digest):
            return -1
        before = origin
    return 0


cdef int record_open(const unsigned char *data, size_t length, RecordView *record) noexcept nogil:
    """Check a record and point a view at it; -1 when the plain twin must look at it."""
    cdef Cursor cursor
    cdef uint32_t fields
    cdef uint64_t version
    cursor.at = data
    cursor.end = data + length
    if read_array(&cursor, &fields) or fields != 7 or read_unsigned(&cursor, &version) or version != 1:
        return -1
    if read_name(&cursor, &record.origin) or read_unsigned(&cursor, &record.position) or record.position == 0:
        return -1
    if read_name(&cursor, &record.actor) or read_unsigned(&cursor, &record.timestamp):
        return -1
    if check_observed(&cursor, record) or read_array(&cursor, &record.changes_count) or record.changes_count == 0:
        return -1
    record.changes = cursor.at
    return check_changes(&cursor, record)


cdef dict observed_dict(const RecordView *record, const unsigned char *end):
    """The author vector's difference as origin -> Reached."""
    cdef Cursor cursor
    cdef uint32_t fields = 0, at
    cdef uint64_t position = 0, timestamp = 0
    cdef const unsigned char *origin = NULL
    cdef const unsigned char *digest = NULL
    cdef dict observed = {}
    cursor.at = record.observed
    cursor.end = end
    for at in range(record.observed_count):
        read_array(&cursor, &fields)
        read_name(&cursor, &origin)
        read_unsigned(&cursor, &position)
        read_unsigned(&cursor, &timestamp)
        read_name(&cursor, &digest)
        observed[<bytes>origin[:16]] = Reached(position, timestamp, <bytes>digest[:16])
    return observed


def read_head(bytes data not None):
    """Check a record whole and read its head; see crdt/record.py."""
    cdef RecordView record
    cdef const unsigned char *start = <const unsigned char *>PyBytes_AS_STRING(data)
    if record_open(start, PyBytes_GET_SIZE(data), &record):
        return read_head_plain(data)
    return RecordHead(
        <bytes>record.origin[:16],
        record.position,
        <bytes>record.actor[:16],
        record.timestamp,
        observed_dict(&record, start + PyBytes_GET_SIZE(data)) if record.observed_count else RECORD_NOTHING_OBSERVED,
    )
