/* Fails the n-th call that a process makes on files below one directory; loaded with LD_PRELOAD.
 *
 * The process arms it (`fault_arm`) and asks it afterwards (`fault_calls`, `fault_fired`); forked children share what
 * was armed and counted. Unarmed it only looks on.
 *
 * It also keeps a model of the disk under one file (`fault_disk`): what the process wrote lies in the page cache, which
 * is the real file; a page gets into the copy, which is the disk, once it was flushed. So a flush can fail as real ones
 * do: the cache has the page and takes it for clean, and the disk does not have it. A power cut leaves the copy.
 *
 * And it records what the process does below the directory (`fault_record`): every write with its bytes, the beginning
 * and the end of every flush, every name that changes, and notes (`fault_note`). Of that all states can be built which
 * a power cut may leave.
 */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind { PASS, FAIL, SHORT, UNFLUSHED, FLUSHED, STOP, STOP_CACHED };
enum { PAGE = 4096, PAGES = 65536 };
enum { WRITTEN = 'W', FLUSHING = 'B', FLUSHED_NOW = 'E', RENAMED = 'R', REMOVED = 'U', NOTED = 'N' };

static struct state {
    char below[PATH_MAX];
    char file[PATH_MAX];
    int at, kind, code, sticky, calls, fired;
    int cache, disk, record, hurried;
    unsigned char dirty[PAGES];
} *state;

static __thread int inside; /* Calls of the shim itself are nobody's. */

__attribute__((constructor)) static void start(void) {
    state = mmap(NULL, sizeof *state, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (state == MAP_FAILED)
        abort();
    state->cache = state->disk = state->record = -1;
}

void fault_watch(const char *below) { snprintf(state->below, PATH_MAX, "%s/", below); }

void fault_arm(int at, int kind, int code, int sticky) {
    state->at = at, state->kind = kind, state->code = code, state->sticky = sticky;
    state->calls = state->fired = 0;
}

void fault_disarm(void) { state->at = 0; }

int fault_calls(void) { return state->calls; }
int fault_fired(void) { return state->fired; }

/* From now on flushes are recorded, and not done: for a disk that only the record knows. */
void fault_hurry(void) { state->hurried = 1; }

void fault_disk(const char *file, const char *copy) {
    inside++;
    snprintf(state->file, PATH_MAX, "%s", file);
    memset(state->dirty, 0, PAGES);
    if (state->cache >= 0)
        close(state->cache), close(state->disk);
    state->cache = open(file, O_RDONLY | O_CLOEXEC);
    state->disk = open(copy, O_RDWR | O_CLOEXEC);
    inside--;
}

static int path_of(int descriptor, char *path) {
    char link[64];
    ssize_t size;
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    size = readlink(link, path, PATH_MAX - 1);
    path[size < 0 ? 0 : size] = 0;
    return size > 0;
}

/* --- what is recorded --- */

static pthread_mutex_t recording = PTHREAD_MUTEX_INITIALIZER;

static void put(int kind, const char *path, const char *second, unsigned long number, const void *data, size_t size) {
    struct { unsigned kind, path, second, size; unsigned long number; } head =
        {kind, strlen(path), strlen(second), size, number};
    struct iovec parts[] = {
        {&head, sizeof head}, {(void *)path, head.path}, {(void *)second, head.second}, {(void *)data, size}};
    inside++;
    pthread_mutex_lock(&recording);
    if (((ssize_t(*)(int, const struct iovec *, int))dlsym(RTLD_NEXT, "writev"))(state->record, parts, 4) < 0)
        abort();
    pthread_mutex_unlock(&recording);
    inside--;
}

static int is_recorded(const char *path) {
    return state->record >= 0 && !inside && !strncmp(path, state->below, strlen(state->below) - 1);
}

static void record_call(int kind, int descriptor) {
    char path[PATH_MAX];
    if (state->record >= 0 && path_of(descriptor, path) && is_recorded(path))
        put(kind, path, "", 0, "", 0);
}

static void record_write(int descriptor, off_t at, ssize_t size) {
    char path[PATH_MAX], link[64];
    void *data;
    int file;
    if (state->record < 0 || size <= 0 || !path_of(descriptor, path) || !is_recorded(path))
        return;
    inside++;
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    file = open(link, O_RDONLY | O_CLOEXEC);
    data = malloc(size);
    if (file < 0 || !data || pread(file, data, size, at) != size)
        abort();
    close(file);
    inside--;
    put(WRITTEN, path, "", at, data, size);
    free(data);
    if (fcntl(descriptor, F_GETFL) & O_DSYNC) {
        put(FLUSHING, path, "", 0, "", 0);
        put(FLUSHED_NOW, path, "", 0, "", 0);
    }
}

void fault_note(const char *text) {
    if (state->record >= 0)
        put(NOTED, text, "", 0, "", 0);
}

void fault_record(const char *file) {
    inside++;
    if (state->record >= 0)
        close(state->record);
    state->record = *file ? open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
    inside--;
}

/* What is to happen to a call on a path. */
static int decide(const char *path) {
    int call;
    if (inside || !state->below[0] || strncmp(path, state->below, strlen(state->below)))
        return PASS;
    call = __sync_add_and_fetch(&state->calls, 1);
    if (!state->at || !(state->sticky ? call >= state->at : call == state->at))
        return PASS;
    state->fired = 1;
    if (state->kind == STOP)
        _exit(77);
    return call == state->at ? state->kind : FAIL;
}

static int decide_file(int descriptor) {
    char path[PATH_MAX];
    return path_of(descriptor, path) ? decide(path) : PASS;
}

static int failed(void) {
    errno = state->code;
    return -1;
}

/* --- the disk under the file --- */

static int is_modelled(int descriptor) {
    char path[PATH_MAX];
    return state->disk >= 0 && path_of(descriptor, path) && !strcmp(path, state->file);
}

static void flush(size_t first, size_t last, int reach) {
    static __thread char page[PAGE];
    for (size_t number = first; number <= last && number < PAGES; number++)
        if (state->dirty[number]) {
            state->dirty[number] = 0;
            inside++;
            if (reach && pread(state->cache, page, PAGE, number * PAGE) > 0
                    && pwrite(state->disk, page, PAGE, number * PAGE) != PAGE)
                abort();
            inside--;
        }
}

static void wrote(int descriptor, off_t at, ssize_t size, int reach) {
    if (size <= 0 || !is_modelled(descriptor))
        return;
    for (off_t number = at / PAGE; number <= (at + size - 1) / PAGE && number < PAGES; number++)
        state->dirty[number] = 1;
    if (fcntl(descriptor, F_GETFL) & O_DSYNC)
        flush(at / PAGE, (at + size - 1) / PAGE, reach);
}

/* --- the calls --- */

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static ssize_t finish_write(int descriptor, off_t at, ssize_t done, int kind) {
    if (kind == STOP_CACHED) {
        for (off_t number = at / PAGE; number <= (at + done - 1) / PAGE && number < PAGES; number++)
            state->dirty[number] = 1;
        _exit(77);
    }
    wrote(descriptor, at, done, kind != UNFLUSHED);
    record_write(descriptor, at, done);
    return kind == UNFLUSHED || kind == FLUSHED ? failed() : done;
}

#define WRITE(name, parameters, arguments, half, position)                        \
    ssize_t name parameters {                                                     \
        int kind = decide_file(descriptor);                                       \
        off_t start = (position);                                                 \
        if (kind == FAIL)                                                         \
            return failed();                                                      \
        if (kind == SHORT)                                                        \
            return finish_write(descriptor, start, half, PASS);                   \
        return finish_write(descriptor, start, REAL(name) arguments, kind);       \
    }

WRITE(write, (int descriptor, const void *data, size_t size), (descriptor, data, size),
      REAL(write)(descriptor, data, size / 2), lseek(descriptor, 0, SEEK_CUR))
WRITE(writev, (int descriptor, const struct iovec *data, int count), (descriptor, data, count),
      REAL(write)(descriptor, data[0].iov_base, data[0].iov_len / 2), lseek(descriptor, 0, SEEK_CUR))
WRITE(pwrite, (int descriptor, const void *data, size_t size, off_t at), (descriptor, data, size, at),
      REAL(pwrite)(descriptor, data, size / 2, at), at)
WRITE(pwrite64, (int descriptor, const void *data, size_t size, off64_t at), (descriptor, data, size, at),
      REAL(pwrite64)(descriptor, data, size / 2, at), at)
WRITE(pwritev, (int descriptor, const struct iovec *data, int count, off_t at), (descriptor, data, count, at),
      REAL(pwrite)(descriptor, data[0].iov_base, data[0].iov_len / 2, at), at)
WRITE(pwritev64, (int descriptor, const struct iovec *data, int count, off64_t at), (descriptor, data, count, at),
      REAL(pwrite64)(descriptor, data[0].iov_base, data[0].iov_len / 2, at), at)

#define FLUSH(name)                                        \
    int name(int descriptor) {                             \
        int kind = decide_file(descriptor);                \
        int modelled = is_modelled(descriptor);            \
        if (kind == STOP_CACHED)                           \
            _exit(77);                                     \
        if (modelled && kind != FAIL && kind != SHORT)     \
            flush(0, PAGES - 1, kind != UNFLUSHED);        \
        if (kind != PASS)                                  \
            return failed();                               \
        record_call(FLUSHING, descriptor);                 \
        kind = state->hurried ? 0 : REAL(name)(descriptor); \
        if (kind == 0)                                     \
            record_call(FLUSHED_NOW, descriptor);          \
        return kind;                                       \
    }

FLUSH(fsync)
FLUSH(fdatasync)

int msync(void *address, size_t size, int flags) {
    return decide(state->below) == PASS ? REAL(msync)(address, size, flags) : failed();
}

#define LENGTH(name, type)                                                                    \
    int name(int descriptor, type size) {                                                     \
        return decide_file(descriptor) == PASS ? REAL(name)(descriptor, size) : failed();     \
    }

LENGTH(ftruncate, off_t)
LENGTH(ftruncate64, off64_t)

static int decide_path(int directory, const char *path) {
    char full[PATH_MAX] = "";
    size_t used = 0;
    if (path[0] != '/' && directory != AT_FDCWD && path_of(directory, full))
        used = strlen(full), full[used++] = '/';
    snprintf(full + used, sizeof full - used, "%s", path);
    return decide(full);
}

#define OPEN(name)                                                        \
    int name(const char *path, int flags, ...) {                          \
        va_list rest;                                                     \
        va_start(rest, flags);                                            \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0; \
        va_end(rest);                                                     \
        return decide_path(AT_FDCWD, path) == PASS ? REAL(name)(path, flags, mode) : failed(); \
    }

#define OPENAT(name)                                                      \
    int name(int directory, const char *path, int flags, ...) {           \
        va_list rest;                                                     \
        va_start(rest, flags);                                            \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0; \
        va_end(rest);                                                     \
        return decide_path(directory, path) == PASS ? REAL(name)(directory, path, flags, mode) : failed(); \
    }

OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)

int rename(const char *from, const char *to) {
    int code = decide_path(AT_FDCWD, from) == PASS ? REAL(rename)(from, to) : failed();
    if (code == 0 && is_recorded(from))
        put(RENAMED, from, to, 0, "", 0);
    return code;
}

/* It never fails here: it is only recorded. */
int unlink(const char *path) {
    int code = REAL(unlink)(path);
    if (code == 0 && is_recorded(path))
        put(REMOVED, path, "", 0, "", 0);
    return code;
}
