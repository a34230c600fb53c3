# Twin of crdtstore/storage/adapter.py: the pages of LMDB's file, their nodes, and where a key stands in a page.
#
# Rules: this knows the file of LMDB 0.9 (`docs/data-file.md`): pages of keys in order. Every page number, offset and
# size is checked before it is followed. Memory is waited for longer than anything is computed: where in a page a key
# stands is guessed from the keys around the page, and the memory there is asked for at once; a wrong guess costs time
# only. Include after `lmdb_library.pxi`.

cdef extern from *:
    """
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
        LMDB_REACH = 3,           /* a guess is mostly wrong by no more than so many keys */
        LMDB_LINE_BYTES = 64,     /* that memory gives at once */
        LMDB_OFFSETS_BYTES = 192, /* that mostly hold the offsets of a leaf */
        LMDB_AROUND_BYTES = 576,  /* where a value is guessed to stand */
        LMDB_BELOW = 1,           /* there is a page below */
        LMDB_UNWALKED = -31003    /* LMDB has to be asked */
    };

    /* The pages of a file, and what is known of one commit's trees. Without a map nothing is read here. */
    typedef struct {
        const unsigned char *map;
        size_t page_bytes;
        size_t pages;             /* that the file has */
        size_t commit;            /* whose roots these are */
        size_t roots[LMDB_TREES]; /* by table; 0: not looked up yet */
        int levels[LMDB_TREES];   /* of the trees whose roots are known: pages from root to leaf */
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
        if (common >= 8 && at < common) {
            uint64_t left = lmdb_load64(one + common - 8), right = lmdb_load64(other + common - 8);
            if (left != right)
                return __builtin_bswap64(left) < __builtin_bswap64(right) ? -1 : 1;
            at = common;
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

    /* gcc takes a function that only asks for memory for one without effect, and drops calls of it that it did not put
       in place before it looks. */
    #define LMDB_IN_PLACE static inline __attribute__((always_inline))

    /* Ask for memory: of a page's beginning, of a node as far as a small one reaches, and of what stands so far into a
       page that was filled in the order of its keys, which is from its end. */
    LMDB_IN_PLACE void lmdb_expect_bytes(const unsigned char *at, size_t size) {
        #pragma GCC unroll 16
        for (size_t line = 0; line < size; line += LMDB_LINE_BYTES)
            __builtin_prefetch(at + line);
    }
    LMDB_IN_PLACE void lmdb_expect(const lmdb_step *step, unsigned index) {
        const unsigned char *at = step->page + lmdb_load16(step->page + LMDB_HEADER_BYTES + 2 * index);
        __builtin_prefetch(at);
        __builtin_prefetch(at + LMDB_LINE_BYTES - 16);
    }
    LMDB_IN_PLACE void lmdb_expect_share(const lmdb_trees *trees, const unsigned char *page, double share) {
        size_t passed = (size_t)(share * (double)(trees->page_bytes - trees->page_bytes / 16));
        size_t middle = trees->page_bytes - LMDB_LINE_BYTES - passed;
        size_t start = middle > LMDB_AROUND_BYTES / 2 ? middle - LMDB_AROUND_BYTES / 2 : 0;
        lmdb_expect_bytes(page + start, LMDB_AROUND_BYTES);
    }

    /* The 8 bytes of a key, which has no fewer, from a place on; zeros behind its end. */
    static inline uint64_t lmdb_word(const unsigned char *key, size_t size, size_t at) {
        if (at + 8 <= size)
            return __builtin_bswap64(lmdb_load64(key + at));
        return at < size ? __builtin_bswap64(lmdb_load64(key + size - 8)) << 8 * (at + 8 - size) : 0;
    }

    /* A key that is looked for, and 16 bytes of it as two numbers that have its order: missing ones are zeros. */
    typedef struct {
        const unsigned char *key;
        size_t size;
        size_t shared;            /* bytes that all keys which are looked at begin with; the 16 follow */
        uint64_t first, second;
    } lmdb_wanted;

    static inline lmdb_wanted lmdb_wanted_of(const lmdb_value *key) {
        const unsigned char *at = (const unsigned char *)key->data;
        unsigned char word[8] = {0};
        if (key->size >= 8)
            return (lmdb_wanted){at, key->size, 0, lmdb_word(at, key->size, 0), lmdb_word(at, key->size, 8)};
        memcpy(word, at, key->size);
        return (lmdb_wanted){at, key->size, 0, __builtin_bswap64(lmdb_load64(word)), 0};
    }

    /* 1: a node stands before the wanted key, or `at` it too; 0: it does not; -1: it is not inside the page. */
    static int lmdb_is_before_whole(const lmdb_trees *trees, const lmdb_step *step, unsigned index,
                                    const lmdb_wanted *wanted, int at) {
        lmdb_node node;
        if (!lmdb_node_of(trees, step, index, &node))
            return -1;
        return lmdb_compare(node.key, node.size, wanted->key, wanted->size) < at;
    }
    LMDB_IN_PLACE int lmdb_is_before(const lmdb_trees *trees, const lmdb_step *step, unsigned index,
                                     const lmdb_wanted *wanted, int at) {
        size_t offset = lmdb_load16(step->page + LMDB_HEADER_BYTES + 2 * (size_t)index) + LMDB_NODE_BYTES, size;
        const unsigned char *key = step->page + offset;
        uint64_t word;
        if (offset + wanted->shared + 16 <= trees->page_bytes && (size = lmdb_load16(key - 2)) > wanted->shared + 8) {
            key += wanted->shared;
            size -= wanted->shared;
            word = __builtin_bswap64(lmdb_load64(key));
            if (word != wanted->first)
                return word < wanted->first;
            word = __builtin_bswap64(lmdb_load64(key + 8));
            if (size < 16)
                word &= ~(uint64_t)0 << (128 - 8 * size);
            if (word != wanted->second)
                return word < wanted->second;
        }
        return lmdb_is_before_whole(trees, step, index, wanted, at);
    }

    /* Part the nodes from `low` to before `high`, among which or behind which is the first that does not stand before a
       key, or `at` it, by one of them: what lmdb_is_before says of that. */
    LMDB_IN_PLACE int lmdb_part(const lmdb_trees *trees, const lmdb_step *step, unsigned middle,
                                const lmdb_wanted *wanted, int at, unsigned *low, unsigned *high) {
        int before = lmdb_is_before(trees, step, middle, wanted, at);
        if (before)
            *low = middle + 1;
        else
            *high = middle;
        return before;
    }

    /* That first node; -1: a node is not inside the page. */
    LMDB_IN_PLACE int lmdb_halve(const lmdb_trees *trees, const lmdb_step *step, unsigned low, unsigned high,
                                 const lmdb_wanted *wanted, int at) {
        while (low < high)
            if (lmdb_part(trees, step, (low + high) / 2, wanted, at, &low, &high) < 0)
                return -1;
        return (int)low;
    }

    /* Part them next to a guess among them, and further from it. */
    LMDB_IN_PLACE int lmdb_part_around(const lmdb_trees *trees, const lmdb_step *step, unsigned guess,
                                       const lmdb_wanted *wanted, int at, unsigned *low, unsigned *high) {
        int rises, before;
        guess = guess < *low ? *low : guess < *high ? guess : *high - 1;
        rises = before = lmdb_part(trees, step, guess, wanted, at, low, high);
        for (unsigned reach = 1; reach < LMDB_REACH && before == rises && *high - *low > reach; reach *= 2)
            before = lmdb_part(trees, step, rises ? *low + reach - 1 : *high - reach, wanted, at, low, high);
        return before;
    }

    /* In a leaf: of many keys those that part them in eight are asked for together, so that memory is waited for once.
       The pages above leaves are few and near. */
    static int lmdb_narrow(const lmdb_trees *trees, const lmdb_step *step, unsigned low, unsigned high,
                           const lmdb_wanted *wanted) {
        unsigned marks[LMDB_NARROW + 1], first, last, middle;
        while (high > low + LMDB_NARROW) {
            for (middle = 1; middle < LMDB_NARROW; middle++) {
                marks[middle] = low + (high - low) * middle / LMDB_NARROW;
                lmdb_expect(step, marks[middle]);
            }
            for (first = 1, last = LMDB_NARROW; first < last;) {
                int before;
                middle = (first + last) / 2;
                if ((before = lmdb_is_before(trees, step, marks[middle], wanted, 0)) < 0)
                    return -1;
                if (before)
                    first = middle + 1;
                else
                    last = middle;
            }
            low = first > 1 ? marks[first - 1] + 1 : low;
            high = first < LMDB_NARROW ? marks[first] : high;
        }
        for (middle = low; middle < high; middle++)
            lmdb_expect(step, middle);
        return lmdb_halve(trees, step, low, high, wanted, 0);
    }
    static int lmdb_search_leaf(const lmdb_trees *trees, const lmdb_step *step, const lmdb_wanted *wanted,
                                double share) {
        unsigned low = 0, high = step->count, guess = (unsigned)(share * high + 0.5), at;
        if (share < 0 || !high)
            return lmdb_narrow(trees, step, low, high, wanted);
        for (at = guess ? guess - 1 : 0; at <= guess + 1 && at < high; at++)
            lmdb_expect(step, at);
        if (lmdb_part_around(trees, step, guess, wanted, 0, &low, &high) < 0)
            return -1;
        return low == high ? (int)low : lmdb_narrow(trees, step, low, high, wanted);
    }
    static int lmdb_search_branch(const lmdb_trees *trees, const lmdb_step *step, const lmdb_wanted *wanted,
                                  double share) {
        unsigned low = 1, high = step->count;
        if (share >= 0 && low < high
                && lmdb_part_around(trees, step, (unsigned)(share * high + 0.5), wanted, 1, &low, &high) < 0)
            return -1;
        return lmdb_halve(trees, step, low, high, wanted, 1);
    }

    /* The keys of the tree that are known to stand around a page: none of it is lower than `low`, all are lower than
       `high`. */
    typedef struct {
        lmdb_node low, high;
    } lmdb_gap;

    /* Twice 4 bytes as decimal numbers, which are in their order: what is below the digits counts as 0, what is above
       them as 10. */
    static inline uint64_t lmdb_decimals(uint64_t word) {
        const uint64_t ones = 0x0101010101010101u, high = 0x80 * ones;
        uint64_t low = word & ~high, from = (low + 0x50 * ones) | word, above = (low + 0x46 * ones) | word;
        word = (word & ((from & ~above & high) >> 7) * 0x0F) | ((above & high) >> 7) * 10;
        word = (word >> 8 & 0x00FF00FF00FF00FFu) * 10 + (word & 0x00FF00FF00FF00FFu);
        return (word >> 16 & 0x0000FFFF0000FFFFu) * 100 + (word & 0x0000FFFF0000FFFFu);
    }
    static inline int lmdb_begins_with_digit(uint64_t word) {
        return (word >> 56) - '0' < 10;
    }

    /* How far between the keys around a page a wanted one stands, from 0 to 1, as the first 8 bytes tell in which they
       differ; below 0: it is not known. Numbers in texts lie densely, so digits are read as such. What the keys share
       is not looked at again. */
    static inline double lmdb_share(const lmdb_gap *gap, lmdb_wanted *wanted) {
        const lmdb_node *one = &gap->low, *other = &gap->high;
        size_t least = one->size < other->size ? one->size : other->size, at = wanted->shared;
        uint64_t low, high, key;
        if (least < 8 || wanted->size < 8)
            return -1;
        while (at + 8 <= least && lmdb_load64(one->key + at) == lmdb_load64(other->key + at))
            at += 8;
        low = lmdb_word(one->key, one->size, at);
        high = lmdb_word(other->key, other->size, at);
        if (low == high)
            return -1;
        at += (size_t)__builtin_clzll(low ^ high) / 8;
        low = lmdb_word(one->key, one->size, at);
        high = lmdb_word(other->key, other->size, at);
        key = lmdb_word(wanted->key, wanted->size, at);
        if (key < low || key > high)
            return -1;
        wanted->shared = at;
        wanted->first = key;
        wanted->second = lmdb_word(wanted->key, wanted->size, at + 8);
        if (lmdb_begins_with_digit(low) && lmdb_begins_with_digit(high)) {
            uint64_t both = lmdb_decimals((low & ~(uint64_t)0xFFFFFFFF) | high >> 32);
            low = both >> 32;
            high = (uint32_t)both;
            key = lmdb_decimals(key) >> 32;
            if (key <= low || key >= high)
                return key > low;
            return (double)(int64_t)(key - low) / (double)(int64_t)(high - low);
        }
        return (double)(int64_t)((key - low) >> 1) / (double)(int64_t)((high - low) >> 1 | 1);
    }
    """
