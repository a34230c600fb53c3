# Twin of crdtstore/storage/adapter_snapshot.py: rows found in LMDB pages, where a read view needs no more than that.
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

    /* Ask for the memory of the page below a branch, and for that of the value there where it is guessed to stand. */
    LMDB_IN_PLACE void lmdb_expect_page(const lmdb_trees *trees, size_t number, double share) {
        const unsigned char *page = trees->map + number * trees->page_bytes;
        if (number >= trees->pages)
            return;
        lmdb_expect_bytes(page, LMDB_OFFSETS_BYTES);
        if (share >= 0)
            lmdb_expect_share(trees, page, share);
    }

    /* A way down that is under way: the page that comes next, and what is known of the wanted key's place in it. */
    typedef struct {
        lmdb_wanted words;
        lmdb_gap gap;
        double share;
        size_t number;
        int depth;
        int code;                 /* LMDB_BELOW: there is a page below; 0: it came to its end, or LMDB_UNWALKED */
    } lmdb_descent;

    LMDB_IN_PLACE void lmdb_descent_begin(size_t root, const lmdb_value *wanted, lmdb_descent *way, lmdb_path *path) {
        way->words = lmdb_wanted_of(wanted);
        way->gap = (lmdb_gap){{NULL, NULL, 0}, {NULL, NULL, 0}};
        way->share = -1;
        way->number = root;
        way->code = LMDB_BELOW;
        path->depth = -1;
        way->depth = 0;
    }

    /* Pass a page; in a leaf the path leads to the first key that is not lower. `valued`: the key's value is wanted. */
    LMDB_IN_PLACE int lmdb_descent_pass(const lmdb_trees *trees, int valued, lmdb_descent *way, lmdb_path *path) {
        lmdb_step *step = &path->steps[way->depth];
        unsigned kind = way->depth < LMDB_LEVELS ? lmdb_page(trees, way->number, step) : 0;
        int leaf = kind == LMDB_LEAF, index;
        lmdb_node node;
        if (!kind)
            return LMDB_UNWALKED;
        index = leaf ? lmdb_search_leaf(trees, step, &way->words, way->share)
            : lmdb_search_branch(trees, step, &way->words, way->share);
        if (index < 0)
            return LMDB_UNWALKED;
        step->index = (unsigned)index - !leaf;
        if (leaf) {
            path->depth = way->depth;
            return 0;
        }
        if (!lmdb_node_of(trees, step, step->index, &node)
                || ((unsigned)index < step->count && !lmdb_node_of(trees, step, (unsigned)index, &way->gap.high)))
            return LMDB_UNWALKED;
        if (step->index)
            way->gap.low = node;
        way->number = lmdb_child(&node);
        way->depth++;
        way->share = lmdb_share(&way->gap, &way->words);
        lmdb_expect_page(trees, way->number, valued ? way->share : -1);
        return LMDB_BELOW;
    }

    /* Go down to the leaf in which a key stands, or would. */
    static int lmdb_descend(const lmdb_trees *trees, size_t root, const lmdb_value *wanted, int valued,
                            lmdb_path *path) {
        lmdb_descent way;
        lmdb_descent_begin(root, wanted, &way, path);
        while ((way.code = lmdb_descent_pass(trees, valued, &way, path)) == LMDB_BELOW);
        return way.code;
    }

    /* Go down to above the leaf, whose memory is asked for; and the rest. */
    static void lmdb_descend_above(const lmdb_trees *trees, size_t root, int levels, const lmdb_value *wanted,
                                   lmdb_descent *way, lmdb_path *path) {
        lmdb_descent_begin(root, wanted, way, path);
        while (way->code == LMDB_BELOW && way->depth + 1 < levels)
            way->code = lmdb_descent_pass(trees, 1, way, path);
    }
    static int lmdb_descend_rest(const lmdb_trees *trees, lmdb_descent *way, lmdb_path *path) {
        while (way->code == LMDB_BELOW)
            way->code = lmdb_descent_pass(trees, 1, way, path);
        return way->code;
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

    /* The leaf behind that of a path, if it stands below the same branch. */
    static inline const unsigned char *lmdb_leaf_ahead(const lmdb_trees *trees, const lmdb_path *path) {
        const lmdb_step *above = path->steps + path->depth - 1;
        lmdb_node node;
        if (path->depth < 1 || above->index + 1 >= above->count || !lmdb_node_of(trees, above, above->index + 1, &node)
                || lmdb_child(&node) >= trees->pages)
            return NULL;
        return trees->map + lmdb_child(&node) * trees->page_bytes;
    }

    /* Ask for the memory of the leaf ahead, a share of it at each row of this one: at the first one for where it begins
       to be read, then from its end on, as a page is filled. */
    LMDB_IN_PLACE void lmdb_expect_ahead(const lmdb_trees *trees, const unsigned char *ahead, const lmdb_step *step) {
        size_t lines = trees->page_bytes / LMDB_LINE_BYTES;
        size_t end = lines - step->index * lines / step->count;
        if (step->index == 0)
            __builtin_prefetch(ahead);
        for (size_t line = lines - (step->index + 1) * lines / step->count; line < end; line++)
            __builtin_prefetch(ahead + line * LMDB_LINE_BYTES);
    }

    /* Whether a key stands in the leaf of a path, or would: between two of its keys; the path leads to its place. */
    static int lmdb_is_near(const lmdb_trees *trees, const lmdb_value *wanted, lmdb_path *path) {
        lmdb_wanted words;
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
        words = lmdb_wanted_of(wanted);
        if (!step->count || lmdb_is_before(trees, step, 0, &words, 1) != 1
                || lmdb_is_before(trees, step, step->count - 1, &words, 0) != 0)
            return 0;
        index = lmdb_search_leaf(trees, step, &words, -1);
        if (index < 0)
            return 0;
        step->index = (unsigned)index;
        return 1;
    }

    /* Find the root of a table for the transaction's commit; LMDB_ROOT_NONE: it is left to LMDB. */
    static size_t lmdb_find_root(lmdb_txn *txn, unsigned number, const char *name, lmdb_trees *trees) {
        lmdb_value key = {strlen(name), (void *)name}, value;
        lmdb_information information;
        const unsigned char *tree;
        size_t root;
        if (lmdb.get(txn, LMDB_MAIN, &key, &value) || value.size != LMDB_TREE_BYTES)
            return LMDB_ROOT_NONE;
        tree = (const unsigned char *)value.data;
        root = lmdb_load64(tree + 40);
        trees->levels[number] = (int)lmdb_load16(tree + 6);
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
            trees->roots[number] = lmdb_find_root(txn, number, name, trees);
        return trees->roots[number];
    }

    /* The value of a key to whose leaf a path leads. */
    static inline int lmdb_take_value(const lmdb_trees *trees, const lmdb_path *path, const lmdb_value *key,
                                      lmdb_value *value) {
        const lmdb_step *step = &path->steps[path->depth];
        lmdb_node node;
        if (step->index == step->count)
            return LMDB_NOTFOUND;
        if (!lmdb_node_of(trees, step, step->index, &node) || !lmdb_value_of(trees, step, &node, value))
            return LMDB_UNWALKED;
        lmdb_expect_bytes((const unsigned char *)value->data, value->size < 1024 ? value->size : 1024);
        return lmdb_compare(node.key, node.size, (const unsigned char *)key->data, key->size) ? LMDB_NOTFOUND : 0;
    }

    /* The value of a key in pages, from near where the last one was found if there is a path of the same commit. */
    static int lmdb_read_pages(const lmdb_trees *trees, size_t root, lmdb_path *path, const lmdb_value *key,
                               lmdb_value *value) {
        if (!lmdb_is_near(trees, key, path) && lmdb_descend(trees, root, key, 1, path))
            return LMDB_UNWALKED;
        return lmdb_take_value(trees, path, key, value);
    }
    static int lmdb_read(lmdb_txn *txn, unsigned number, lmdb_table table, const char *name, lmdb_trees *trees,
                         lmdb_path *path, const lmdb_value *key, lmdb_value *value) {
        size_t root = lmdb_root(txn, number, table, name, trees);
        int code = root == LMDB_ROOT_NONE ? LMDB_UNWALKED : lmdb_read_pages(trees, root, path, key, value);
        lmdb_value wanted = *key;
        if (code != LMDB_UNWALKED)
            return code;
        path->depth = -1;
        return table == LMDB_ABSENT ? LMDB_NOTFOUND : lmdb.get(txn, table, &wanted, value);
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
        const unsigned char *ahead;
        size_t bytes = 0;
        int ordered, many = range->wanted == LMDB_ROWS, code = lmdb_descend(trees, root, &range->start, 0, &path);
        ahead = code || !many ? NULL : lmdb_leaf_ahead(trees, &path);
        while (!code) {
            lmdb_step *step = &path.steps[path.depth];
            lmdb_node node;
            if (step->index == step->count) {
                code = lmdb_next_leaf(trees, &path);
                ahead = code || !many ? NULL : lmdb_leaf_ahead(trees, &path);
                continue;
            }
            if (ahead)
                lmdb_expect_ahead(trees, ahead, step);
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
        int *levels
    ctypedef struct lmdb_path:
        int depth
    int lmdb_read_guarded(lmdb_txn *txn, unsigned int number, lmdb_table table, const char *name, uint32_t seal,
                          lmdb_trees *trees, lmdb_path *path, const lmdb_value *key, lmdb_value *value) nogil
    int lmdb_fetch(lmdb_txn *txn, unsigned int number, lmdb_table table, const char *name, uint32_t seal,
                   lmdb_trees *trees, lmdb_range *range) nogil
    int lmdb_map_of(lmdb_txn *txn, const char *name, lmdb_trees *trees) nogil
    void lmdb_take_trees(lmdb_txn *txn, const lmdb_trees *known, lmdb_trees *trees) nogil
