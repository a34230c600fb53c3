# Twin of crdtstore/storage/adapter.py: LMDB's functions, taken from the `lmdb` wheel at run time.
#
# The wheel exports LMDB's functions under a prefix and ships no header: what is used of the interface of LMDB
# 0.9 is declared here, and found by name.
#
# Two things would end the process where a file is damaged: an assertion of LMDB that fails, and SIGBUS, which
# is how the kernel says that a mapped page cannot be read or lies behind the end of the file. Whatever may
# meet one of them runs between `lmdb_rescue` being set and put back, and answers LMDB_ASSERTED. LMDB's memory
# is then as that left it: a read transaction may still be aborted, because its cursors are tracked nowhere; a
# write transaction may not, because it tracks cursors on the stack that was just left. A SIGBUS from
# elsewhere goes to the handler that was there before.

from libc.stdint cimport uint32_t

import os

cdef extern from *:
    """
    #include <dlfcn.h>
    #include <errno.h>
    #include <pthread.h>
    #include <setjmp.h>
    #include <signal.h>
    #include <stddef.h>
    #include <stdio.h>
    #include <string.h>

    /* Stands for a table that a store has not: it is empty. */
    #define LMDB_ABSENT 0xFFFFFFFFu

    /* The part of LMDB 0.9's interface that is used; the wheel ships no header. */

    typedef struct MDB_env lmdb_env;
    typedef struct MDB_txn lmdb_txn;
    typedef struct MDB_cursor lmdb_cursor;
    typedef unsigned int lmdb_table;
    typedef struct { size_t size; void *data; } lmdb_value;
    typedef struct {
        unsigned int page_bytes, depth;
        size_t branch_pages, leaf_pages, overflow_pages, entries;
    } lmdb_statistics;

    typedef struct {
        void *address;
        size_t map_bytes, last_page, last_commit;
        unsigned int readers_max, readers;
    } lmdb_information;

    enum {
        LMDB_NOSYNC = 0x10000, LMDB_RDONLY = 0x20000, LMDB_NOTLS = 0x200000,
        LMDB_RESERVE = 0x10000, LMDB_CURRENT = 0x40, LMDB_APPEND = 0x20000, LMDB_CREATE = 0x40000,
        LMDB_FIRST = 0, LMDB_LAST = 6, LMDB_NEXT = 8, LMDB_PREV = 12, LMDB_SET = 15, LMDB_SET_RANGE = 17,
        LMDB_KEYEXIST = -30799,
        LMDB_NOTFOUND = -30798, LMDB_PAGE_NOTFOUND = -30797, LMDB_CORRUPTED = -30796, LMDB_PANIC = -30795,
        LMDB_VERSION_MISMATCH = -30794, LMDB_INVALID = -30793, LMDB_MAP_FULL = -30792,
        LMDB_READERS_FULL = -30790, LMDB_TXN_FULL = -30788, LMDB_BAD_TXN = -30782,
        LMDB_ASSERTED = -31000,  /* ours: LMDB cannot go on with this file */
        LMDB_UNSEALED = -31001,  /* ours: the seal of a value does not match */
        LMDB_UNORDERED = -31002, /* ours: a row stands out of order */
        LMDB_SPARES = 64,        /* room for read transactions that are kept for the next snapshot */
        LMDB_ROWS = 128,         /* rows that a scan fetches at most at a time */
        LMDB_ROWS_FIRST = 8,     /* and at first: who wants one row does not pay for many */
        LMDB_KEY_BYTES = 511,    /* the longest key that LMDB looks for */
        LMDB_ROWS_BYTES = 262144 /* and in bytes of values: all seals are checked before the first is given */
    };

    static struct {
        char *(*version)(int *major, int *minor, int *patch);
        char *(*strerror)(int code);
        int (*env_create)(lmdb_env **env);
        int (*env_set_mapsize)(lmdb_env *env, size_t size);
        int (*env_set_maxdbs)(lmdb_env *env, lmdb_table count);
        int (*env_set_maxreaders)(lmdb_env *env, unsigned int count);
        int (*env_set_assert)(lmdb_env *env, void (*handler)(lmdb_env *, const char *));
        int (*env_open)(lmdb_env *env, const char *path, unsigned int flags, unsigned int mode);
        int (*env_sync)(lmdb_env *env, int force);
        void (*env_close)(lmdb_env *env);
        int (*env_info)(lmdb_env *env, lmdb_information *information);
        int (*env_stat)(lmdb_env *env, lmdb_statistics *statistics);
        int (*env_get_fd)(lmdb_env *env, int *file);
        int (*reader_check)(lmdb_env *env, int *dead);
        int (*txn_begin)(lmdb_env *env, lmdb_txn *parent, unsigned int flags, lmdb_txn **txn);
        int (*txn_commit)(lmdb_txn *txn);
        void (*txn_abort)(lmdb_txn *txn);
        void (*txn_reset)(lmdb_txn *txn);
        int (*txn_renew)(lmdb_txn *txn);
        size_t (*txn_id)(lmdb_txn *txn);
        lmdb_env *(*txn_env)(lmdb_txn *txn);
        int (*dbi_open)(lmdb_txn *txn, const char *name, unsigned int flags, lmdb_table *table);
        int (*stat)(lmdb_txn *txn, lmdb_table table, lmdb_statistics *statistics);
        int (*get)(lmdb_txn *txn, lmdb_table table, lmdb_value *key, lmdb_value *value);
        int (*put)(lmdb_txn *txn, lmdb_table table, lmdb_value *key, lmdb_value *value, unsigned int flags);
        int (*del)(lmdb_txn *txn, lmdb_table table, lmdb_value *key, lmdb_value *value);
        int (*cursor_open)(lmdb_txn *txn, lmdb_table table, lmdb_cursor **cursor);
        void (*cursor_close)(lmdb_cursor *cursor);
        int (*cursor_get)(lmdb_cursor *cursor, lmdb_value *key, lmdb_value *value, int operation);
        int (*cursor_put)(lmdb_cursor *cursor, lmdb_value *key, lmdb_value *value, unsigned int flags);
    } lmdb;

    static int lmdb_symbol(void *library, const char *prefix, const char *name, void *slot) {
        char full[64];
        void *found;
        snprintf(full, sizeof full, "%s%s", prefix, name);
        found = dlsym(library, full);
        if (found)
            memcpy(slot, &found, sizeof found);
        return found != NULL;
    }

    #define LMDB_SYMBOL(name) lmdb_symbol(library, prefix, #name, &lmdb.name)
    static int lmdb_symbols(void *library, const char *prefix) {
        return LMDB_SYMBOL(version) && LMDB_SYMBOL(strerror) && LMDB_SYMBOL(env_create)
            && LMDB_SYMBOL(env_set_mapsize) && LMDB_SYMBOL(env_set_maxdbs) && LMDB_SYMBOL(env_set_maxreaders)
            && LMDB_SYMBOL(env_set_assert) && LMDB_SYMBOL(env_open) && LMDB_SYMBOL(env_sync)
            && LMDB_SYMBOL(env_close) && LMDB_SYMBOL(reader_check) && LMDB_SYMBOL(txn_begin)
            && LMDB_SYMBOL(txn_commit) && LMDB_SYMBOL(txn_abort) && LMDB_SYMBOL(txn_reset)
            && LMDB_SYMBOL(txn_renew) && LMDB_SYMBOL(txn_id) && LMDB_SYMBOL(txn_env) && LMDB_SYMBOL(env_info)
            && LMDB_SYMBOL(env_stat) && LMDB_SYMBOL(env_get_fd) && LMDB_SYMBOL(dbi_open) && LMDB_SYMBOL(stat)
            && LMDB_SYMBOL(get) && LMDB_SYMBOL(put) && LMDB_SYMBOL(del) && LMDB_SYMBOL(cursor_open)
            && LMDB_SYMBOL(cursor_close) && LMDB_SYMBOL(cursor_get) && LMDB_SYMBOL(cursor_put);
    }

    /* Forks seen from the child's side: what was opened at another count is not ours to touch. */
    static unsigned int lmdb_forks;
    static void lmdb_forked(void) { lmdb_forks++; }

    static __thread jmp_buf *lmdb_rescue;
    static __thread char lmdb_assertion[256];

    static void lmdb_assert_failed(lmdb_env *env, const char *text) {
        (void)env;
        snprintf(lmdb_assertion, sizeof lmdb_assertion, "%s", text);
        if (lmdb_rescue)
            longjmp(*lmdb_rescue, 1);
    }

    static struct sigaction lmdb_bus_before;

    static void lmdb_bus_error(int number, siginfo_t *info, void *context) {
        if (lmdb_rescue) {
            strcpy(lmdb_assertion, "a page of the file cannot be read");
            longjmp(*lmdb_rescue, 1);
        }
        if (lmdb_bus_before.sa_flags & SA_SIGINFO)
            lmdb_bus_before.sa_sigaction(number, info, context);
        else if (lmdb_bus_before.sa_handler != SIG_DFL && lmdb_bus_before.sa_handler != SIG_IGN)
            lmdb_bus_before.sa_handler(number);
        else
            sigaction(SIGBUS, &lmdb_bus_before, NULL);  /* What faulted runs again, and ends the process. */
    }

    /* The signal is not held back in its own handler: that would outlast the jump out of it. */
    static int lmdb_catch_bus_error(void) {
        struct sigaction action;
        memset(&action, 0, sizeof action);
        action.sa_sigaction = lmdb_bus_error;
        action.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK;
        sigemptyset(&action.sa_mask);
        return sigaction(SIGBUS, &action, &lmdb_bus_before) == 0;
    }

    /* The library stays loaded for the process's life: its functions are held here. */
    static int lmdb_loaded;
    static int lmdb_load(const char *path) {
        void *library;
        int major, minor, patch;
        if (lmdb_loaded)
            return 1;
        library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        if (!library)
            return 0;
        if (!lmdb_symbols(library, "mdb09_") && !lmdb_symbols(library, "mdb_"))
            return 0;
        lmdb.version(&major, &minor, &patch);
        if (major != 0 || minor != 9)
            return 0;
        return lmdb_loaded = pthread_atfork(NULL, NULL, lmdb_forked) == 0 && lmdb_catch_bus_error();
    }

    /* Returns the call's code, or LMDB_ASSERTED. `_setjmp` saves no signal mask, so it costs nanoseconds. */
    #define LMDB_GUARDED(call)                    \\
        do {                                      \\
            jmp_buf here, *around = lmdb_rescue;  \\
            int code = LMDB_ASSERTED;             \\
            if (_setjmp(here) == 0) {             \\
                lmdb_rescue = &here;              \\
                code = (call);                    \\
                lmdb_rescue = around;             \\
                return code;                      \\
            }                                     \\
            lmdb_rescue = around;                 \\
            return LMDB_ASSERTED;                 \\
        } while (0)

    static int lmdb_prepare(lmdb_env *env, const char *path, size_t map_bytes, unsigned int tables,
                            unsigned int readers, unsigned int flags) {
        int code;
        if ((code = lmdb.env_set_mapsize(env, map_bytes)) || (code = lmdb.env_set_maxdbs(env, tables))
                || (code = lmdb.env_set_maxreaders(env, readers))
                || (code = lmdb.env_set_assert(env, lmdb_assert_failed)))
            return code;
        return lmdb.env_open(env, path, flags | LMDB_NOTLS, 0600);
    }

    static int lmdb_open(lmdb_env *env, const char *path, size_t map_bytes, unsigned int tables,
                         unsigned int readers, unsigned int flags) {
        LMDB_GUARDED(lmdb_prepare(env, path, map_bytes, tables, readers, flags));
    }
    static int lmdb_begin(lmdb_env *env, unsigned int flags, lmdb_txn **txn) {
        LMDB_GUARDED(lmdb.txn_begin(env, NULL, flags, txn));
    }
    static int lmdb_open_table(lmdb_txn *txn, const char *name, unsigned int flags, lmdb_table *table) {
        LMDB_GUARDED(lmdb.dbi_open(txn, name, flags, table));
    }
    static int lmdb_commit(lmdb_txn *txn) {
        LMDB_GUARDED(lmdb.txn_commit(txn));
    }
    static int lmdb_abort(lmdb_txn *txn) {
        LMDB_GUARDED((lmdb.txn_abort(txn), 0));
    }
    static int lmdb_stat(lmdb_txn *txn, lmdb_table table, lmdb_statistics *statistics) {
        if (table == LMDB_ABSENT) {
            memset(statistics, 0, sizeof *statistics);
            return 0;
        }
        LMDB_GUARDED(lmdb.stat(txn, table, statistics));
    }
    static int lmdb_put(lmdb_txn *txn, lmdb_table table, lmdb_value *key, lmdb_value *value,
                        unsigned int flags) {
        LMDB_GUARDED(lmdb.put(txn, table, key, value, flags));
    }
    static int lmdb_delete(lmdb_txn *txn, lmdb_table table, lmdb_value *key) {
        LMDB_GUARDED(lmdb.del(txn, table, key, NULL));
    }

    /* Seals: CRC-32C over the table's number, the key and the value, little-endian behind the value. */
    static inline void lmdb_write_seal(unsigned char *at, uint32_t seal) {
        at[0] = (unsigned char)seal;
        at[1] = (unsigned char)(seal >> 8);
        at[2] = (unsigned char)(seal >> 16);
        at[3] = (unsigned char)(seal >> 24);
    }
    /* Checks a stored value and cuts its seal off; `start` is the checksum of the table's number. */
    static inline int lmdb_unseal(uint32_t start, const lmdb_value *key, lmdb_value *value) {
        const unsigned char *at;
        if (value->size < 4)
            return LMDB_UNSEALED;
        value->size -= 4;
        at = (const unsigned char *)value->data + value->size;
        start = crc32c_update(start, (const unsigned char *)key->data, key->size);
        start = crc32c_update(start, (const unsigned char *)value->data, value->size);
        return start == (at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24)
            ? 0 : LMDB_UNSEALED;
    }

    static int lmdb_move(lmdb_txn *txn, lmdb_table table, uint32_t seal, int operation, lmdb_value *key,
                         lmdb_value *value) {
        lmdb_cursor *cursor;
        int code = table == LMDB_ABSENT ? LMDB_NOTFOUND : lmdb.cursor_open(txn, table, &cursor);
        if (code)
            return code;
        code = lmdb.cursor_get(cursor, key, value, operation);
        lmdb.cursor_close(cursor);
        return code ? code : lmdb_unseal(seal, key, value);
    }
    /* The row at an end of the table. */
    static int lmdb_edge(lmdb_txn *txn, lmdb_table table, uint32_t seal, int operation, lmdb_value *key,
                         lmdb_value *value) {
        LMDB_GUARDED(lmdb_move(txn, table, seal, operation, key, value));
    }

    typedef struct { lmdb_value key, value; } lmdb_row;
    typedef struct {
        lmdb_value start;  /* the first key that is wanted, or the last one given; empty: the first of all */
        lmdb_value end;    /* the first key that is not wanted */
        int passed;        /* `start` itself was given already */
        int bounded;       /* there is an `end` */
        int back;          /* from the last row before `end` down to `start`; the last one given becomes `end` */
        int exhausted;     /* set when there is no further row */
        int wanted;        /* rows to fetch at most */
        int count;         /* rows fetched, checked and without their seals */
        int damage;        /* why the row behind them is not one of them; 0: it is not known to be damaged */
        lmdb_row *rows;    /* room for LMDB_ROWS + 1 */
    } lmdb_range;

    static int lmdb_before(const lmdb_value *left, const lmdb_value *right) {
        int order = memcmp(left->data, right->data, left->size < right->size ? left->size : right->size);
        return order ? order < 0 : left->size < right->size;
    }

    /* A row stands behind the one before: among damaged pages a scan could go round for ever. */
    static int lmdb_ordered(const lmdb_range *range, const lmdb_value *key) {
        const lmdb_value *before = range->count ? &range->rows[range->count - 1].key : NULL;
        if (range->back)
            return before ? lmdb_before(key, before) : !range->bounded || lmdb_before(key, &range->end);
        if (before)
            return lmdb_before(before, key);
        return range->passed ? lmdb_before(&range->start, key) : !lmdb_before(key, &range->start);
    }

    static int lmdb_place(lmdb_cursor *cursor, const lmdb_range *range, lmdb_value *key, lmdb_value *value) {
        int code;
        *key = range->start;
        code = lmdb.cursor_get(cursor, key, value, key->size ? LMDB_SET_RANGE : LMDB_FIRST);
        if (!code && range->passed && key->size == range->start.size
                && !memcmp(key->data, range->start.data, key->size))
            code = lmdb.cursor_get(cursor, key, value, LMDB_NEXT);
        return code;
    }

    /* No key is longer than LMDB_KEY_BYTES, so what is behind the beginning of a longer `end` is behind `end`. */
    static int lmdb_place_back(lmdb_cursor *cursor, const lmdb_range *range, lmdb_value *key, lmdb_value *value) {
        int code = LMDB_NOTFOUND;
        if (range->bounded && !range->end.size)
            return code;
        if (range->bounded) {
            *key = range->end;
            if (key->size > LMDB_KEY_BYTES)
                key->size = LMDB_KEY_BYTES;
            code = lmdb.cursor_get(cursor, key, value, LMDB_SET_RANGE);
            if (!code && !lmdb_before(key, &range->end))
                return lmdb.cursor_get(cursor, key, value, LMDB_PREV);
        }
        return code == LMDB_NOTFOUND ? lmdb.cursor_get(cursor, key, value, LMDB_LAST) : code;
    }

    static int lmdb_outside(const lmdb_range *range, const lmdb_value *key) {
        return range->back ? lmdb_before(key, &range->start) : range->bounded && !lmdb_before(key, &range->end);
    }

    static int lmdb_walk(lmdb_cursor *cursor, uint32_t seal, lmdb_range *range) {
        lmdb_row *row = range->rows;
        size_t bytes = 0;
        int code = (range->back ? lmdb_place_back : lmdb_place)(cursor, range, &row->key, &row->value);
        while (!code) {
            range->damage = lmdb_ordered(range, &row->key) ? 0 : LMDB_UNORDERED;
            if (!range->damage && lmdb_outside(range, &row->key))
                break;
            bytes += row->value.size;
            if (!range->damage)
                range->damage = lmdb_unseal(seal, &row->key, &row->value);
            if (range->damage || ++range->count == range->wanted || bytes >= LMDB_ROWS_BYTES)
                return 0;
            row++;
            code = lmdb.cursor_get(cursor, &row->key, &row->value, range->back ? LMDB_PREV : LMDB_NEXT);
        }
        range->exhausted = 1;
        return code == LMDB_NOTFOUND ? 0 : code;
    }

    /* A cursor lives for one fetch only: none dangles when the transaction ends between two. Finding the
       place again costs one descent for up to LMDB_ROWS rows. */
    static int lmdb_fetch_rows(lmdb_txn *txn, lmdb_table table, uint32_t seal, lmdb_range *range) {
        lmdb_cursor *cursor;
        int code;
        if (table == LMDB_ABSENT) {
            range->exhausted = 1;
            return 0;
        }
        code = lmdb.cursor_open(txn, table, &cursor);
        if (code)
            return code;
        code = lmdb_walk(cursor, seal, range);
        lmdb.cursor_close(cursor);
        return code;
    }
    /* A cursor of a batch finds a row and replaces it without looking for it again. */
    static int lmdb_open_cursor(lmdb_txn *txn, lmdb_table table, lmdb_cursor **cursor) {
        LMDB_GUARDED(lmdb.cursor_open(txn, table, cursor));
    }
    static int lmdb_seek_unsealed(lmdb_cursor *cursor, uint32_t seal, lmdb_value *key, lmdb_value *value) {
        int code = lmdb.cursor_get(cursor, key, value, LMDB_SET);
        return code ? code : lmdb_unseal(seal, key, value);
    }
    static int lmdb_seek(lmdb_cursor *cursor, uint32_t seal, lmdb_value *key, lmdb_value *value) {
        LMDB_GUARDED(lmdb_seek_unsealed(cursor, seal, key, value));
    }
    static int lmdb_put_near(lmdb_cursor *cursor, lmdb_value *key, lmdb_value *value, unsigned int flags) {
        LMDB_GUARDED(lmdb.cursor_put(cursor, key, value, flags | LMDB_RESERVE));
    }

    /* These have no assertion on their way. */
    static void lmdb_close_cursor(lmdb_cursor *cursor) { lmdb.cursor_close(cursor); }
    static int lmdb_create(lmdb_env **env) { return lmdb.env_create(env); }
    static int lmdb_sync(lmdb_env *env) { return lmdb.env_sync(env, 1); }
    static void lmdb_close(lmdb_env *env) { lmdb.env_close(env); }
    static int lmdb_reap(lmdb_env *env) { int dead; return lmdb.reader_check(env, &dead); }
    static void lmdb_reset(lmdb_txn *txn) { lmdb.txn_reset(txn); }
    static int lmdb_renew(lmdb_txn *txn) { return lmdb.txn_renew(txn); }
    static const char *lmdb_text(int code) {
        return code == LMDB_ASSERTED ? lmdb_assertion : lmdb.strerror(code);
    }
    """
    ctypedef struct lmdb_env
    ctypedef struct lmdb_txn
    ctypedef struct lmdb_cursor
    ctypedef unsigned int lmdb_table
    ctypedef struct lmdb_value:
        size_t size
        void *data
    ctypedef struct lmdb_statistics:
        unsigned int page_bytes
        size_t branch_pages, leaf_pages, overflow_pages, entries
    ctypedef struct lmdb_row:
        lmdb_value key
        lmdb_value value
    ctypedef struct lmdb_range:
        lmdb_value start
        lmdb_value end
        bint passed
        bint bounded
        bint back
        bint exhausted
        int wanted
        int count
        int damage
        lmdb_row *rows
    enum:
        LMDB_NOSYNC
        LMDB_RDONLY
        LMDB_RESERVE
        LMDB_CURRENT
        LMDB_APPEND
        LMDB_CREATE
        LMDB_FIRST
        LMDB_LAST
        LMDB_KEYEXIST
        LMDB_NOTFOUND
        LMDB_PAGE_NOTFOUND
        LMDB_CORRUPTED
        LMDB_PANIC
        LMDB_VERSION_MISMATCH
        LMDB_INVALID
        LMDB_MAP_FULL
        LMDB_READERS_FULL
        LMDB_TXN_FULL
        LMDB_BAD_TXN
        LMDB_ASSERTED
        LMDB_UNSEALED
        LMDB_UNORDERED
        LMDB_SPARES
        LMDB_ROWS
        LMDB_ROWS_FIRST
        EDQUOT
        EIO
        ENOSPC
    unsigned int lmdb_forks
    int lmdb_loaded
    int lmdb_load(const char *path) nogil
    int lmdb_create(lmdb_env **env) nogil
    int lmdb_open(lmdb_env *env, const char *path, size_t map_bytes, unsigned int tables,
                  unsigned int readers, unsigned int flags) nogil
    int lmdb_sync(lmdb_env *env) nogil
    void lmdb_close(lmdb_env *env) nogil
    int lmdb_reap(lmdb_env *env) nogil
    int lmdb_begin(lmdb_env *env, unsigned int flags, lmdb_txn **txn) nogil
    int lmdb_commit(lmdb_txn *txn) nogil
    int lmdb_abort(lmdb_txn *txn) nogil
    void lmdb_reset(lmdb_txn *txn) nogil
    int lmdb_renew(lmdb_txn *txn) nogil
    const lmdb_table LMDB_ABSENT
    int lmdb_open_table(lmdb_txn *txn, const char *name, unsigned int flags, lmdb_table *table) nogil
    int lmdb_stat(lmdb_txn *txn, lmdb_table table, lmdb_statistics *statistics) nogil
    int lmdb_put(lmdb_txn *txn, lmdb_table table, lmdb_value *key, lmdb_value *value,
                 unsigned int flags) nogil
    int lmdb_delete(lmdb_txn *txn, lmdb_table table, lmdb_value *key) nogil
    int lmdb_edge(lmdb_txn *txn, lmdb_table table, uint32_t seal, int operation, lmdb_value *key,
                  lmdb_value *value) nogil
    int lmdb_open_cursor(lmdb_txn *txn, lmdb_table table, lmdb_cursor **cursor) nogil
    void lmdb_close_cursor(lmdb_cursor *cursor) nogil
    int lmdb_seek(lmdb_cursor *cursor, uint32_t seal, lmdb_value *key, lmdb_value *value) nogil
    int lmdb_put_near(lmdb_cursor *cursor, lmdb_value *key, lmdb_value *value, unsigned int flags) nogil
    const char *lmdb_text(int code) nogil
    void lmdb_write_seal(unsigned char *at, uint32_t seal) nogil
    # The thread's number, as Python gives it.
    unsigned long PyThread_get_thread_ident() nogil


def load_liblmdb(str path not None):
    """Take LMDB's functions from a shared library; say whether it has them, in a version of format 0.9."""
    cdef bytes name = os.fsencode(path)
    return bool(lmdb_load(name))
