# Twin of crdtstore/crdt/names.py for readers without the GIL: the texts of a dictionary as pointers and sizes.
#
# Rules: a NameTable grows with its dictionary and never moves what it has, so a reader copies its NameList under the
# GIL, keeps the table alive, and then needs no lock. Names are only added at the end as long as none is taken back, and
# `Names.truncate`, the only one to take back, drops the table: the next reader gets another one. Names that are not
# committed may stand in a table; no document of a snapshot has their numbers if the snapshot was taken BEFORE the
# table was asked for. So that is the order for everyone.
# Include after `document_bytes.pxi`.

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.list cimport PyList_GET_SIZE
from libc.stdint cimport uint32_t
from libc.stdlib cimport calloc, free, malloc

cdef enum:
    NAMES_SHIFT = 12
    NAMES_CHUNK = 1 << NAMES_SHIFT     # names that are kept in one piece

cdef struct NameText:
    const unsigned char *text
    size_t size

cdef struct NameList:
    NameText **chunks
    uint32_t count


@cython.final
cdef class NameTable:
    """The texts of a dictionary for C, as `Names.table` keeps them."""

    cdef NameList names
    cdef size_t room               # chunks that there may be
    cdef list held                 # the texts themselves

    def __cinit__(self, size_t maximum):
        self.room = maximum // NAMES_CHUNK + 1
        self.held = []
        self.names.chunks = <NameText **>calloc(self.room, sizeof(NameText *))
        if self.names.chunks == NULL:
            raise MemoryError

    def __dealloc__(self):
        cdef size_t chunk
        for chunk in range(self.room if self.names.chunks != NULL else 0):
            free(self.names.chunks[chunk])
        free(self.names.chunks)


cdef NameTable name_table(names):
    """The table of a dictionary (`Names`), with all that it holds now."""
    cdef list texts = names.texts
    cdef size_t count = PyList_GET_SIZE(texts)
    cdef NameTable table
    found = names.table
    if type(found) is NameTable:
        table = <NameTable>found
        if count == table.names.count:
            return table
        if count // NAMES_CHUNK < table.room:
            name_table_extend(table, texts, count)
            return table
    table = NameTable(max(<size_t>names.maximum, count))
    name_table_extend(table, texts, count)
    names.table = table
    return table


cdef int name_table_extend(NameTable table, list texts, size_t count) except -1:
    """Take the names behind those that the table has."""
    cdef NameText *chunk
    cdef bytes text
    while table.names.count < count:
        chunk = table.names.chunks[table.names.count >> NAMES_SHIFT]
        if chunk == NULL:
            chunk = <NameText *>malloc(NAMES_CHUNK * sizeof(NameText))
            if chunk == NULL:
                raise MemoryError
            table.names.chunks[table.names.count >> NAMES_SHIFT] = chunk
        text = texts[table.names.count]
        table.held.append(text)
        chunk += table.names.count & (NAMES_CHUNK - 1)
        chunk.text, chunk.size = <const unsigned char *>PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text)
        table.names.count += 1
    return 0


cdef inline const NameText *name_text(const NameList *names, uint32_t number) noexcept nogil:
    """The text of a number below the list's count."""
    return &names.chunks[number >> NAMES_SHIFT][number & (NAMES_CHUNK - 1)]
