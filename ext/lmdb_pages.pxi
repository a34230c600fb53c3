# Twin of crdtstore/storage/adapter.py: rows found and read in LMDB's pages, where a read view needs no more than that.
#
# Rules: this knows the file of LMDB 0.9 (`docs/data-file.md`): pages of keys in order, below each other. It saves what
# LMDB does for a key beyond walking down, and asks for the memory of several keys of a page at once. Pages that a read
# transaction sees do not change. Every page number, offset and size is checked before it is followed; whatever is
# not as it should be, and a file whose pages are not the machine's, is left to LMDB, which then says what is wrong.
# A batch is never read here: what it wrote is not in the map. Include after `lmdb_library.pxi`.

from libc.stdint cimport uint32_t

cdef extern from *:
    """
    #include <sys/mman.h>
    #include <unistd.h>

    enum {
        LMDB_MAIN = 1,            /* LMDB's own table of the tables */
        LMDB_HEADER_BYTES = 16,   /* of a page: number u64, u16, kind u16, end of the offsets u16, u16; offsets u16 */
        LMDB_NODE_BYTES = 8,      /* of a node: number or size in three u16, size of the key u16; then key and value */
        LMDB_TREE_BYTES = 48,     /* what the table of the tables holds: u32, flags u16, u16, counts, root u64 */
        LMDB_KINDS = 0x6F,        /* the bits that tell the kind of a page */
        LMDB_BRANCH = 1,
        LMDB_LEAF = 2,
        LMDB_BIG = 1,             /* flag of a node: its value stands in pages of its own */
        LMDB_LEVELS = 16,         /* of a tree that is followed */
        LMDB_TREES = 16,          /* tables with the lowest numbers, whose roots are remembered */
        LMDB_ROOT_NONE = 1,       /* stands for a root that is left to LMDB; no root has this number */
        LMDB_NARROW = 8,          /* so many keys are asked for at once */
        LMDB_UNWALKED = -31003    /* LMDB has to be asked */
    };

    /* The pages of a file, and what is known of one commit's trees. Without a map nothing is read here. */
    typedef struct {
        const unsigned char *map;
        size_t page_bytes;
        size_t pages;             /* that the file has */
        size_t commit;            /* whose roots these are */
        size_t roots[LMDB_TREES]; /* by table; 0: not looked up yet */
    } lmdb_trees;

    typedef struct {
        const unsigned char *page;
        unsigned index, count;    /* of its nodes */
    } lmdb_step;

    /* From the root to a leaf; `depth` is the leaf's, -1 before anything was found. */
    typedef struct {
        int depth;
        lmdb_step steps[LMDB_LEVELS];
    } lmdb_path;

    typedef struct {
        const unsigned char *at;
        const unsigned char *key;
        size_t size;              /* of the key */
    } lmdb_node;

    static inline unsigned lmdb_load16(const unsigned char *at) {
        uint16_t number;
        memcpy(&number, at, 2);
        return number;
    }

    static inline uint64_t lmdb_load64(const unsigned char *at) {
        uint64_t number;
        memcpy(&number, at, 8);
        return number;
    }

    /* LMDB's order of keys: byte by byte, a beginning first. */
    static inline int lmdb_compare(const unsigned char *one, size_t size, const unsigned char *other,
                                   size_t other_size) {
        size_t common = size < other_size ? size : other_size, at = 0;
        int order;
        for (; common - at >= 8; at += 8) {
            uint64_t left = lmdb_load64(one + at), right = lmdb_load64(other + at);
            if (left != right)
                return __builtin_bswap64(left) < __builtin_bswap64(right) ? -1 : 1;
        }
        for (; at < common; at++)
            if ((order = one[at] - other[at]) != 0)
                return order;
        return (size > other_size) - (size < other_size);
    }

    static inline int lmdb_compare_values(const lmdb_value *one, const lmdb_value *other) {
        const unsigned char *left = (const unsigned char *)one->data, *right = (const unsigned char *)other->data;
        return lmdb_compare(left, one->size, right, other->size);
    }

    /* Open a page: its kind, or 0 if it is none that is followed. */
    static inline unsigned lmdb_page(const lmdb_trees *trees, size_t number, lmdb_step *step) {
        unsigned kind, end;
        if (number >= trees->pages)
            return 0;
        step->page = trees->map + number * trees->page_bytes;
        __builtin_prefetch(step->page + 64);
        __builtin_prefetch(step->page + 128);
        kind = lmdb_load16(step->page + 10) & LMDB_KINDS;
        end = lmdb_load16(step->page + 12);
        if (end < LMDB_HEADER_BYTES || end > trees->page_bytes)
            return 0;
        step->index = 0;
        step->count = (end - LMDB_HEADER_BYTES) / 2;
        return kind == LMDB_LEAF || (kind == LMDB_BRANCH && step->count) ? kind : 0;
    }

    /* A node of a page, below its count; 0: it is not inside the page. */
    static inline int lmdb_node_of(const lmdb_trees *trees, const lmdb_step *step, unsigned index, lmdb_node *node) {
        size_t offset = lmdb_load16(step->page + LMDB_HEADER_BYTES + 2 * index);
        if (offset + LMDB_NODE_BYTES > trees->page_bytes)
            return 0;
        node->at = step->page + offset;
        node->key = node->at + LMDB_NODE_BYTES;
        node->size = lmdb_load16(node->at + 6);
        return offset + LMDB_NODE_BYTES + node->size <= trees->page_bytes;
    }

    static inline size_t lmdb_child(const lmdb_node *node) {
        return lmdb_load16(node->at) | (size_t)lmdb_load16(node->at + 2) << 16
            | (size_t)lmdb_load16(node->at + 4) << 32;
    }

    /* Where a leaf's node has its value; 0: not inside the file. */
    static inline int lmdb_value_of(const lmdb_trees *trees, const lmdb_step *step, const lmdb_node *node,
                                    lmdb_value *value) {
        const unsigned char *data = node->key + node->size, *end = step->page + trees->page_bytes;
        unsigned flags = lmdb_load16(node->at + 4);
        size_t number;
        value->size = lmdb_load16(node->at) | (size_t)lmdb_load16(node->at + 2) << 16;
        value->data = (void *)data;
        if (flags == 0)
            return value->size <= (size_t)(end - data);
        if (flags != LMDB_BIG || end - data < 8)
            return 0;
        number = lmdb_load64(data);
        value->data = (void *)(trees->map + number * trees->page_bytes + LMDB_HEADER_BYTES);
        return number < trees->pages
            && value->size + LMDB_HEADER_BYTES <= (trees->pages - number) * trees->page_bytes;
    }

    static inline void lmdb_expect(const lmdb_step *step, unsigned index) {
        __builtin_prefetch(step->page + lmdb_load16(step->page + LMDB_HEADER_BYTES + 2 * index));
    }

    /* 1: a node stands before the wanted key, or `at` it too; 0: it does not; -1: it is not inside the page. */
    static inline int lmdb_is_before(const lmdb_trees *trees, const lmdb_step *step, unsigned index,
                                     const lmdb_value *wanted, int at) {
        lmdb_node node;
        if (!lmdb_node_of(trees, step, index, &node))
            return -1;
        return lmdb_compare(node.key, node.size, (const unsigned char *)wanted->data, wanted->size) < at;
    }

    /* The first node from `low` on that does not stand before a key, or `at` it; -1: a node is not inside the page.
       Of many in a leaf the keys that part them in eight are asked for together, so that memory is waited for once;
       the pages above leaves are few and near. */
    static int lmdb_search(const lmdb_trees *trees, const lmdb_step *step, unsigned low, const lmdb_value *wanted,
                           int at) {
        unsigned high = step->count, marks[LMDB_NARROW + 1], first, last, middle;
        int before;
        while (!at && high > low + LMDB_NARROW) {
            for (middle = 1; middle < LMDB_NARROW; middle++) {
                marks[middle] = low + (high - low) * middle / LMDB_NARROW;
                lmdb_expect(step, marks[middle]);
            }
            for (first = 1, last = LMDB_NARROW; first < last;) {
                middle = (first + last) / 2;
                if ((before = lmdb_is_before(trees, step, marks[middle], wanted, at)) < 0)
                    return -1;
                if (before)
                    first = middle + 1;
                else
                    last = middle;
            }
            low = first > 1 ? marks[first - 1] + 1 : low;
            high = first < LMDB_NARROW ? marks[first] : high;
        }
        for (middle = low; !at && middle < high; middle++)
            lmdb_expect(step, middle);
        while (low < high) {
            middle = (low + high) / 2;
            if ((before = lmdb_is_before(trees, step, middle, wanted, at)) < 0)
                return -1;
            if (before)
                low = middle + 1;
            else
                high = middle;
        }
        return (int)low;
    }

    /* Go down to the leaf in which a key stands, or would: 0, and the path leads to the first key that is not lower. */
    static int lmdb_descend(const lmdb_trees *trees, size_t root, const lmdb_value *wanted, lmdb_path *path) {
        size_t number = root;
        path->depth = -1;
        for (int depth = 0; depth < LMDB_LEVELS; depth++) {
            lmdb_step *step = &path->steps[depth];
            unsigned kind = lmdb_page(trees, number, step);
            int leaf = kind == LMDB_LEAF, index;
            lmdb_node node;
            if (!kind || (index = lmdb_search(trees, step, !leaf, wanted, !leaf)) < 0)
                return LMDB_UNWALKED;
            step->index = (unsigned)index - !leaf;
            if (leaf) {
                path->depth = depth;
                return 0;
            }
            if (!lmdb_node_of(trees, step, step->index, &node))
                return LMDB_UNWALKED;
            number = lmdb_child(&node);
        }
        return LMDB_UNWALKED;
    }

    /* Go on to the beginning of the next leaf; LMDB_NOTFOUND: there is none. */
    static int lmdb_next_leaf(const lmdb_trees *trees, lmdb_path *path) {
        int depth = path->depth;
        lmdb_node node;
        while (depth > 0 && path->steps[depth - 1].index + 1 >= path->steps[depth - 1].count)
            depth--;
        if (depth == 0)
            return LMDB_NOTFOUND;
        path->steps[depth - 1].index++;
        for (; depth <= path->depth; depth++) {
            lmdb_step *above = &path->steps[depth - 1], *step = &path->steps[depth];
            unsigned wanted = depth == path->depth ? LMDB_LEAF : LMDB_BRANCH;
            /* A leaf without a row is none of LMDB's: whoever went on over such ones might never end. */
            if (!lmdb_node_of(trees, above, above->index, &node)
                    || lmdb_page(trees, lmdb_child(&node), step) != wanted || !step->count)
                return LMDB_UNWALKED;
        }
        return 0;
    }

    /* Whether a key stands in the leaf of a path, or would: between two of its keys; the path leads to its place. */
    static int lmdb_is_near(const lmdb_trees *trees, const lmdb_value *wanted, lmdb_path *path) {
        lmdb_step *step;
        lmdb_node node;
        int index;
        if (path->depth < 0)
            return 0;
        step = &path->steps[path->depth];
        if (step->index + 1 < step->count && lmdb_node_of(trees, step, step->index + 1, &node)
                && !lmdb_compare(node.key, node.size, (const unsigned char *)wanted->data, wanted->size)) {
            step->index++;
            return 1;
        }
        if (!step->count || lmdb_is_before(trees, step, 0, wanted, 1) != 1
                || lmdb_is_before(trees, step, step->count - 1, wanted, 0) != 0)
            return 0;
        index = lmdb_search(trees, step, 0, wanted, 0);
        if (index < 0)
            return 0;
        step->index = (unsigned)index;
        return 1;
    }

    /* Find the root of a table for the transaction's commit; LMDB_ROOT_NONE: it is left to LMDB. */
    static size_t lmdb_find_root(lmdb_txn *txn, const char *name, lmdb_trees *trees) {
        lmdb_value key = {strlen(name), (void *)name}, value;
        lmdb_information information;
        const unsigned char *tree;
        size_t root;
        if (lmdb.get(txn, LMDB_MAIN, &key, &value) || value.size != LMDB_TREE_BYTES)
            return LMDB_ROOT_NONE;
        tree = (const unsigned char *)value.data;
        root = lmdb_load64(tree + 40);
        if (lmdb.env_info(lmdb.txn_env(txn), &information))
            return LMDB_ROOT_NONE;
        trees->pages = information.map_bytes / trees->page_bytes;
        if (information.last_page < trees->pages)
            trees->pages = information.last_page + 1;
        return lmdb_load16(tree + 4) == 0 && root > 1 && root < trees->pages ? root : LMDB_ROOT_NONE;
    }

    static inline size_t lmdb_root(lmdb_txn *txn, unsigned number, lmdb_table table, const char *name,
                                   lmdb_trees *trees) {
        if (!trees->map || number >= LMDB_TREES || table == LMDB_ABSENT)
            return LMDB_ROOT_NONE;
        if (!trees->roots[number])
            trees->roots[number] = lmdb_find_root(txn, name, trees);
        return trees->roots[number];
    }

    /* The value of a key, from near where the last one was found if there is a path of the same commit. */
    static int lmdb_read(lmdb_txn *txn, unsigned number, lmdb_table table, const char *name, lmdb_trees *trees,
                         lmdb_path *path, const lmdb_value *key, lmdb_value *value) {
        size_t root = lmdb_root(txn, number, table, name, trees);
        const lmdb_step *step;
        lmdb_node node;
        int code = root == LMDB_ROOT_NONE ? LMDB_UNWALKED : 0;
        if (!code && !lmdb_is_near(trees, key, path))
            code = lmdb_descend(trees, root, key, path);
        if (!code) {
            step = &path->steps[path->depth];
            if (step->index == step->count)
                return LMDB_NOTFOUND;
            if (!lmdb_node_of(trees, step, step->index, &node) || !lmdb_value_of(trees, step, &node, value))
                code = LMDB_UNWALKED;
            else if (lmdb_compare(node.key, node.size, (const unsigned char *)key->data, key->size))
                return LMDB_NOTFOUND;
        }
        if (code) {
            lmdb_value wanted = *key;
            path->depth = -1;
            return table == LMDB_ABSENT ? LMDB_NOTFOUND : lmdb.get(txn, table, &wanted, value);
        }
        for (size_t at = 0; at < value->size && at < 1024; at += 64)
            __builtin_prefetch((const unsigned char *)value->data + at);
        return 0;
    }
    static int lmdb_read_sealed(lmdb_txn *txn, unsigned number, lmdb_table table, const char *name, uint32_t seal,
                                lmdb_trees *trees, lmdb_path *path, const lmdb_value *key, lmdb_value *value) {
        int code = lmdb_read(txn, number, table, name, trees, path, key, value);
        return code ? code : lmdb_unseal(seal, key, value);
    }
    static int lmdb_read_guarded(lmdb_txn *txn, unsigned number, lmdb_table table, const char *name, uint32_t seal,
                                 lmdb_trees *trees, lmdb_path *path, const lmdb_value *key, lmdb_value *value) {
        LMDB_GUARDED(lmdb_read_sealed(txn, number, table, name, seal, trees, path, key, value));
    }

    /* lmdb_walk without a cursor, for ranges that are read from their beginning. Rows before something that LMDB has
       to be asked about are given; the next fetch begins there. */
    static int lmdb_walk_pages(const lmdb_trees *trees, size_t root, uint32_t seal, lmdb_range *range) {
        lmdb_path path;
        lmdb_row *row = range->rows;
        size_t bytes = 0;
        int ordered, code = lmdb_descend(trees, root, &range->start, &path);
        while (!code) {
            lmdb_step *step = &path.steps[path.depth];
            lmdb_node node;
            if (step->index == step->count) {
                code = lmdb_next_leaf(trees, &path);
                continue;
            }
            if (!lmdb_node_of(trees, step, step->index, &node)
                    || !lmdb_value_of(trees, step, &node, &row->value))
                return range->count ? 0 : LMDB_UNWALKED;
            step->index++;
            row->key.data = (void *)node.key;
            row->key.size = node.size;
            if (range->passed && !range->count && row->key.size == range->start.size
                    && !memcmp(row->key.data, range->start.data, row->key.size))
                continue;
            if (range->count)
                ordered = lmdb_compare_values(&row[-1].key, &row->key) < 0;
            else
                ordered = lmdb_ordered(range, &row->key);
            range->damage = ordered ? 0 : LMDB_UNORDERED;
            if (ordered && range->bounded && lmdb_compare_values(&row->key, &range->end) >= 0)
                break;
            bytes += row->value.size;
            if (!range->damage)
                range->damage = lmdb_unseal(seal, &row->key, &row->value);
            if (range->damage || ++range->count == range->wanted || bytes >= LMDB_ROWS_BYTES)
                return 0;
            row++;
        }
        if (code == LMDB_UNWALKED)
            return range->count ? 0 : code;
        range->exhausted = 1;
        return 0;
    }
    static int lmdb_fetch_walking(lmdb_txn *txn, unsigned number, lmdb_table table, const char *name, uint32_t seal,
                                  lmdb_trees *trees, lmdb_range *range) {
        size_t root = range->back ? LMDB_ROOT_NONE : lmdb_root(txn, number, table, name, trees);
        int code = root == LMDB_ROOT_NONE ? LMDB_UNWALKED : lmdb_walk_pages(trees, root, seal, range);
        return code == LMDB_UNWALKED ? lmdb_fetch_rows(txn, table, seal, range) : code;
    }
    static int lmdb_fetch(lmdb_txn *txn, unsigned number, lmdb_table table, const char *name, uint32_t seal,
                          lmdb_trees *trees, lmdb_range *range) {
        range->count = range->damage = 0;
        LMDB_GUARDED(lmdb_fetch_walking(txn, number, table, name, seal, trees, range));
    }

    /* Where the file is mapped: a page that LMDB gave tells its own number. Nothing is believed that the first page
       of the file does not confirm; no map then. */
    static void lmdb_find_map(lmdb_txn *txn, const char *name, lmdb_trees *trees) {
        long page_bytes = sysconf(_SC_PAGESIZE);
        lmdb_value key = {strlen(name), (void *)name}, value;
        lmdb_statistics statistics;
        lmdb_information information;
        const unsigned char *page;
        unsigned char present;
        uint32_t magic[2] = {0, 0};
        memset(trees, 0, sizeof *trees);
    #if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ && UINTPTR_MAX == UINT64_MAX
        if (page_bytes <= 0 || lmdb.stat(txn, LMDB_MAIN, &statistics) || statistics.page_bytes != page_bytes
                || lmdb.env_info(lmdb.txn_env(txn), &information) || lmdb.get(txn, LMDB_MAIN, &key, &value))
            return;
        page = (const unsigned char *)((uintptr_t)value.data & ~((uintptr_t)page_bytes - 1));
        if (lmdb_load64(page) >= information.map_bytes / (size_t)page_bytes)
            return;
        page -= lmdb_load64(page) * (size_t)page_bytes;
        if (mincore((void *)page, (size_t)page_bytes, &present) == 0)
            memcpy(magic, page + LMDB_HEADER_BYTES, 8);
        if (magic[0] != 0xBEEFC0DE || magic[1] != 1 || lmdb_load64(page) != 0)
            return;
        trees->map = page;
        trees->page_bytes = (size_t)page_bytes;
    #endif
    }
    static int lmdb_map_of(lmdb_txn *txn, const char *name, lmdb_trees *trees) {
        LMDB_GUARDED((lmdb_find_map(txn, name, trees), 0));
    }

    /* Begin with what is known of the transaction's commit. */
    static inline void lmdb_take_trees(lmdb_txn *txn, const lmdb_trees *known, lmdb_trees *trees) {
        *trees = *known;
        if (known->map && lmdb.txn_id(txn) != known->commit) {
            memset(trees->roots, 0, sizeof trees->roots);
            trees->commit = lmdb.txn_id(txn);
        }
    }
    """
    ctypedef struct lmdb_trees:
        const unsigned char *map
        size_t commit
    ctypedef struct lmdb_path:
        int depth
    int lmdb_read_guarded(lmdb_txn *txn, unsigned int number, lmdb_table table, const char *name, uint32_t seal,
                          lmdb_trees *trees, lmdb_path *path, const lmdb_value *key, lmdb_value *value) nogil
    int lmdb_fetch(lmdb_txn *txn, unsigned int number, lmdb_table table, const char *name, uint32_t seal,
                   lmdb_trees *trees, lmdb_range *range) nogil
    int lmdb_map_of(lmdb_txn *txn, const char *name, lmdb_trees *trees) nogil
    void lmdb_take_trees(lmdb_txn *txn, const lmdb_trees *known, lmdb_trees *trees) nogil
