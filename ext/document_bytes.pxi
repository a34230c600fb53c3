# Twin of crdtstore/crdt/document_bytes.py: document bytes as columns that are read in place and written once.
#
# Rules: a DocumentView points into bytes that its caller keeps alive; it is opened once, with every column
# inside the buffer, and heap slots are checked where they are read. All numbers are little-endian and unaligned,
# so they are loaded by memcpy, which the compiler makes one instruction.
# Not here: what operations do to cells (merge.pxi), what a reader sees of them (json_output.pxi).

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

cdef extern from *:
    """
    #define DOCUMENT_FORMAT 1
    #define DOCUMENT_HEADER_BYTES 12
    #define DOCUMENT_LOCAL_FLAG 0x40
    #define DOCUMENT_LOCAL_PATH 0x80000000u
    """
    const int DOCUMENT_FORMAT
    const int DOCUMENT_HEADER_BYTES
    const int DOCUMENT_LOCAL_FLAG
    const uint32_t DOCUMENT_LOCAL_PATH

cdef enum:
    CODE_REGISTER = 1
    CODE_MAP = 2
    CODE_IMPLICIT = 3
    CODE_EXPLICIT = 4
    CODE_TOTAL = 5
    CODE_ATTACHMENT = 6
    CODE_GRAVE = 7
    CODE_INITIAL = 8                   # added to the code of an initial cell
    CODES_KNOWN = 0x56FE               # a bit for each code that an entry may have, those of initial cells too

cdef enum:
    KIND_NULL = 0
    KIND_FALSE = 1
    KIND_TRUE = 2
    KIND_INT = 3
    KIND_DOUBLE = 4
    KIND_SHORT = 5
    KIND_STRING = 6
    KIND_BINARY = 7
    KIND_ARRAY = 8
    KIND_OBJECT = 9

cdef struct DocumentView:
    uint32_t n                     # entries
    uint32_t m                     # stamps
    int path_width                 # log2 of the bytes of each number
    int stamp_width
    int replica_width
    uint32_t local_count
    const unsigned char *paths
    const unsigned char *types
    const unsigned char *stamps
    const unsigned char *slots
    const unsigned char *replicas
    const unsigned char *timestamps
    const unsigned char *local     # k x (offset, length)
    const unsigned char *heap
    size_t heap_length


cdef inline uint32_t load_u32(const unsigned char *at) noexcept nogil:
    cdef uint32_t number
    memcpy(&number, at, 4)
    return number


cdef inline uint64_t load_u64(const unsigned char *at) noexcept nogil:
    cdef uint64_t number
    memcpy(&number, at, 8)
    return number


cdef inline bint word_is_plain(uint64_t word) noexcept nogil:
    """Whether none of 8 bytes is 0 or 1, which paths and keys write as two."""
    return (word - 0x0202020202020202u) & ~word & 0x8080808080808080u == 0


cdef inline uint32_t load_number(const unsigned char *column, uint32_t row, int width) noexcept nogil:
    """One number of a column whose numbers take 1 << width bytes."""
    cdef uint16_t half
    if width == 0:
        return column[row]
    if width == 1:
        memcpy(&half, column + 2 * <size_t>row, 2)
        return half
    return load_u32(column + 4 * <size_t>row)


cdef inline void store_number(unsigned char *column, uint32_t row, int width, uint32_t number) noexcept nogil:
    cdef uint16_t half
    if width == 0:
        column[row] = <unsigned char>number
    elif width == 1:
        half = <uint16_t>number
        memcpy(column + 2 * <size_t>row, &half, 2)
    else:
        memcpy(column + 4 * <size_t>row, &number, 4)


cdef inline int width_for(uint32_t maximum) noexcept nogil:
    """log2 of the bytes that hold numbers up to `maximum`."""
    return 0 if maximum < 256 else 1 if maximum < 65536 else 2


cdef int document_open(const unsigned char *data, size_t length, DocumentView *view) noexcept nogil:
    """Point a view at document bytes; -1 when a column would leave them."""
    cdef size_t at = DOCUMENT_HEADER_BYTES
    cdef size_t n, m
    cdef int widths
    if length < DOCUMENT_HEADER_BYTES or data[0] != DOCUMENT_FORMAT:
        return -1
    widths = data[1]
    view.path_width = widths & 3
    view.stamp_width = (widths >> 2) & 3
    view.replica_width = (widths >> 4) & 3
    if view.path_width == 3 or view.stamp_width == 3 or view.replica_width == 3:
        return -1
    view.n = load_u32(data + 4)
    view.m = load_u32(data + 8)
    n = view.n
    m = view.m
    view.paths = data + at
    at += n << view.path_width
    view.types = data + at
    at += n
    view.stamps = data + at
    at += n << view.stamp_width
    view.slots = data + at
    at += 8 * n
    view.replicas = data + at
    at += m << view.replica_width
    view.timestamps = data + at
    at += 8 * m
    view.local = NULL
    view.local_count = 0
    if widths & DOCUMENT_LOCAL_FLAG:
        if at + 4 > length:
            return -1
        view.local_count = load_u32(data + at)
        view.local = data + at + 4
        at += 4 + 8 * <size_t>view.local_count
    if at > length:
        return -1
    view.heap = data + at
    view.heap_length = length - at
    return 0


cdef inline bint document_is_grave(const DocumentView *view) noexcept nogil:
    """Whether a document was buried: its one entry is a grave."""
    return view.n == 1 and view.types[0] & 15 == CODE_GRAVE


cdef inline int heap_read(
    const DocumentView *view, const unsigned char *slot, const unsigned char **start, size_t *size
) noexcept nogil:
    """The heap bytes that a slot names; -1 when they would leave the heap."""
    cdef size_t offset = load_u32(slot)
    cdef size_t length = load_u32(slot + 4)
    if offset + length > view.heap_length:
        return -1
    start[0] = view.heap + offset
    size[0] = length
    return 0


cdef int document_path(
    const DocumentView *view, uint32_t row, list texts, const unsigned char **start, size_t *size
) except -1:
    """The path of an entry: of the collection's dictionary, or of the document's own heap."""
    cdef uint32_t number = load_number(view.paths, row, view.path_width)
    cdef bytes text
    if number >= DOCUMENT_LOCAL_PATH:
        number ^= DOCUMENT_LOCAL_PATH
        if number >= view.local_count or heap_read(view, view.local + 8 * <size_t>number, start, size):
            raise damaged("a local path lies outside its heap")
        return 0
    if number >= <uint32_t>len(texts):
        raise damaged("a path number is unknown")
    text = <bytes>texts[number]
    start[0] = <const unsigned char *>text
    size[0] = len(text)
    return 0


cdef object damaged(str reason):
    """The error for document bytes that no pack has written."""
    from crdtstore.errors import Corrupted

    return Corrupted("documents", b"", reason)
