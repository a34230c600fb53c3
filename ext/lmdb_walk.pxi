# Twin of crdtstore/storage/adapter_snapshot.py: rows one behind the other in pages of a commit whose trees are known.
#
# Rules: nothing here asks LMDB. Whatever is not as it mostly is, a tree that was not looked up yet, a page that is left
# to LMDB, damage, is answered by LMDB_UNWALKED, and the caller has it read by a fetch, which says what is wrong. All of
# it runs as work of lmdb_guard: a guard for each row would take a tenth of the time. Include after `lmdb_pages.pxi`.

cdef extern from *:
    """
    /* The root of a table in a commit that was looked up before; 0: it was not, or is left to LMDB. */
    static inline size_t lmdb_known_root(const lmdb_trees *trees, unsigned number) {
        size_t root = trees->map && number < LMDB_TREES ? trees->roots[number] : 0;
        return root == LMDB_ROOT_NONE ? 0 : root;
    }

    /* The next row of a range without LMDB, the first one where the path leads nowhere yet; `row` is the one before.
       LMDB_NOTFOUND: there is none; LMDB_UNWALKED: a fetch has to tell, also of what is damaged. */
    static int lmdb_next_row(const lmdb_trees *trees, size_t root, uint32_t seal, lmdb_path *path,
                             const lmdb_value *start, const lmdb_value *end, lmdb_row *row) {
        int first = path->depth < 0, code = first ? lmdb_descend(trees, root, start, 0, path) : 0;
        lmdb_value before = first ? *start : row->key;
        lmdb_step *step;
        lmdb_node node;
        if (code)
            return code;
        step = &path->steps[path->depth];
        if (step->index == step->count && (code = lmdb_next_leaf(trees, path)))
            return code;
        if (!lmdb_node_of(trees, step, step->index, &node) || !lmdb_value_of(trees, step, &node, &row->value))
            return LMDB_UNWALKED;
        step->index++;
        row->key.data = (void *)node.key;
        row->key.size = node.size;
        if (lmdb_compare_values(&before, &row->key) >= first)
            return LMDB_UNWALKED;
        if (lmdb_compare_values(&row->key, end) >= 0)
            return LMDB_NOTFOUND;
        return lmdb_unseal(seal, &row->key, &row->value) ? LMDB_UNWALKED : 0;
    }

    /* Begin to look for a key without LMDB, as lmdb_find_end goes on: meanwhile memory is fetched. */
    static void lmdb_find_begin(const lmdb_trees *trees, size_t root, int levels, const lmdb_value *key,
                                lmdb_descent *way, lmdb_path *path) {
        const lmdb_step *step;
        way->code = 0;
        if (!lmdb_is_near(trees, key, path)) {
            lmdb_descend_above(trees, root, levels, key, way, path);
            return;
        }
        step = &path->steps[path->depth];
        lmdb_expect_bytes(step->page + lmdb_load16(step->page + LMDB_HEADER_BYTES + 2 * step->index), 320);
    }
    /* The value of the key; LMDB_UNWALKED: LMDB has to be asked. */
    static int lmdb_find_end(const lmdb_trees *trees, uint32_t seal, const lmdb_value *key, lmdb_descent *way,
                             lmdb_path *path, lmdb_value *value) {
        return lmdb_descend_rest(trees, way, path) || lmdb_take_value(trees, path, key, value)
            || lmdb_unseal(seal, key, value) ? LMDB_UNWALKED : 0;
    }

    /* Do work that reads pages, and may make Python objects of what is in them. LMDB_ASSERTED: a page cannot be read;
       objects that were on their way are lost, and stay. */
    typedef int (*lmdb_work)(void *context);
    static int lmdb_guard(lmdb_work work, void *context) {
        LMDB_GUARDED(work(context));
    }
    """
    ctypedef int (*lmdb_work)(void *context) except -1
    int lmdb_guard(lmdb_work work, void *context) except -1
    ctypedef struct lmdb_descent:
        pass
    size_t lmdb_known_root(const lmdb_trees *trees, unsigned int number) nogil
    int lmdb_next_row(const lmdb_trees *trees, size_t root, uint32_t seal, lmdb_path *path, const lmdb_value *start,
                      const lmdb_value *end, lmdb_row *row) nogil
    void lmdb_find_begin(const lmdb_trees *trees, size_t root, int levels, const lmdb_value *key, lmdb_descent *way,
                         lmdb_path *path) nogil
    int lmdb_find_end(const lmdb_trees *trees, uint32_t seal, const lmdb_value *key, lmdb_descent *way,
                      lmdb_path *path, lmdb_value *value) nogil
