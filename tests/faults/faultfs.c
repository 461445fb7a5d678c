/*
 * faultfs: makes a disk fail on demand, for a real, unchanged process.
 *
 *     cc -shared -fPIC -O2 -Wall -Wextra -o faultfs.so faultfs.c -ldl -lpthread
 *     LD_PRELOAD=faultfs.so FAULTFS_PREFIX=/data/ FAULTFS_CONTROL=/tmp/control process
 *
 * It stands between the process and its C library. Calls on files under FAULTFS_PREFIX fail as the rules say; all others,
 * and all calls while there are no rules, go through untouched. (A process that makes system calls without the C library
 * is not seen. Rust's std and everything in Tamis goes through it.)
 *
 * Environment
 *     FAULTFS_PREFIX    only paths that begin with this (after links are resolved) can fail; required.
 *     FAULTFS_RULES     rules, in force from the start as long as there is no control file.
 *     FAULTFS_CONTROL   a file of rules, read anew at every call: write it to begin, empty it to end. Replace it by rename,
 *                       else a half written rule may be read (which is ignored, with a message).
 *     FAULTFS_LOG       a file to which every injected failure appends a line "op errno path".
 *
 * Rules, one a line; the first that matches decides:
 *     OPS ERRNO [after=N] [times=M] [short=PERCENT] [path=TEXT]
 *     OPS       a comma separated list of: write (write, writev, pwrite, pwritev), fsync (fsync, fdatasync),
 *               truncate (ftruncate), create (open or openat with O_CREAT), rename, or all.
 *     ERRNO     ENOSPC, EIO, EDQUOT, EROFS, or a number.
 *     after=N   the first N matching calls still succeed.
 *     times=M   only M calls fail, then the rule has no effect. Without it, they fail for as long as the rule is there.
 *     short=P   a write that shall fail does P per cent of its bytes and returns short; the next on that file fails.
 *     path=T    only paths that contain T.
 * The counts of a rule begin anew when the text of the rules changes.
 *
 *     fsync EIO after=10          the 11th fsync and all that follow fail
 *     write ENOSPC short=50       every write is cut in half, then there is no space
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
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { OP_WRITE = 1, OP_FSYNC = 2, OP_TRUNCATE = 4, OP_CREATE = 8, OP_RENAME = 16, OP_ALL = 31 };
enum { RULES_MAX = 16, TEXT_BYTES_MAX = 4096, WORD_BYTES_MAX = 256 };

struct rule {
    int ops, error;
    long after, times, short_percent;
    int cut_fd; /* the file whose last write was cut short, so that its next fails; -1 if none */
    char path[WORD_BYTES_MAX];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct rule rules[RULES_MAX];
static int rule_count;
static char rules_text[TEXT_BYTES_MAX];

/* Our own files are read and written by system call, so that they are never subject to the rules. */
static ssize_t read_file(const char *path, char *text, size_t size) {
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0) return -1;
    size_t length = 0;
    ssize_t n;
    while (length < size - 1 && (n = syscall(SYS_read, fd, text + length, size - 1 - length)) > 0) length += (size_t)n;
    syscall(SYS_close, fd);
    text[length] = 0;
    return (ssize_t)length;
}

static void say(const char *path, const char *text) {
    int fd = path ? (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644) : 2;
    if (fd < 0) return;
    syscall(SYS_write, fd, text, strlen(text));
    if (path) syscall(SYS_close, fd);
}

static int parse_ops(char *word) {
    static const struct { const char *name; int op; } names[] = {
        {"write", OP_WRITE}, {"fsync", OP_FSYNC}, {"truncate", OP_TRUNCATE},
        {"create", OP_CREATE}, {"rename", OP_RENAME}, {"all", OP_ALL},
    };
    int ops = 0;
    char *rest = NULL;
    for (char *name = strtok_r(word, ",", &rest); name; name = strtok_r(NULL, ",", &rest)) {
        int op = 0;
        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
            if (!strcmp(name, names[i].name)) op = names[i].op;
        if (!op) return 0;
        ops |= op;
    }
    return ops;
}

static int parse_errno(const char *word) {
    if (!strcmp(word, "ENOSPC")) return ENOSPC;
    if (!strcmp(word, "EIO")) return EIO;
    if (!strcmp(word, "EDQUOT")) return EDQUOT;
    if (!strcmp(word, "EROFS")) return EROFS;
    return atoi(word);
}

static int parse_rule(char *line, struct rule *rule) {
    *rule = (struct rule){.times = LONG_MAX, .cut_fd = -1};
    char *rest = NULL;
    char *ops = strtok_r(line, " \t\r", &rest);
    char *error = strtok_r(NULL, " \t\r", &rest);
    if (!ops || !error) return 0;
    rule->ops = parse_ops(ops);
    rule->error = parse_errno(error);
    for (char *word; (word = strtok_r(NULL, " \t\r", &rest));) {
        if (!strncmp(word, "after=", 6)) rule->after = atol(word + 6);
        else if (!strncmp(word, "times=", 6)) rule->times = atol(word + 6);
        else if (!strncmp(word, "short=", 6)) rule->short_percent = atol(word + 6);
        else if (!strncmp(word, "path=", 5)) snprintf(rule->path, sizeof rule->path, "%s", word + 5);
        else return 0;
    }
    return rule->ops && rule->error > 0 && rule->short_percent >= 0 && rule->short_percent <= 100;
}

static void load_rules(void) {
    char text[TEXT_BYTES_MAX] = "";
    const char *control = getenv("FAULTFS_CONTROL");
    if (!control || read_file(control, text, sizeof text) < 0) {
        const char *fixed = getenv("FAULTFS_RULES");
        snprintf(text, sizeof text, "%s", fixed ? fixed : "");
    }
    if (!strcmp(text, rules_text)) return;
    memcpy(rules_text, text, sizeof text);
    rule_count = 0;
    char *rest = NULL;
    for (char *line = strtok_r(text, "\n;", &rest); line; line = strtok_r(NULL, "\n;", &rest)) {
        if (line[strspn(line, " \t\r")] == 0) continue;
        if (rule_count == RULES_MAX || !parse_rule(line, &rules[rule_count]))
            say(NULL, "faultfs: a rule can not be understood and is ignored\n");
        else
            rule_count++;
    }
}

/* The errno that this call shall fail with, or 0. If `percent` is not 0, it shall do so much, and the next shall fail. */
static int fault(int op, int fd, const char *path, long *percent) {
    static const char *const op_names[] = {[OP_WRITE] = "write", [OP_FSYNC] = "fsync", [OP_TRUNCATE] = "truncate",
                                           [OP_CREATE] = "create", [OP_RENAME] = "rename"};
    const char *prefix = getenv("FAULTFS_PREFIX");
    if (!prefix || !*prefix || strncmp(path, prefix, strlen(prefix))) return 0;
    int saved = errno, error = 0;
    pthread_mutex_lock(&lock);
    load_rules();
    for (int i = 0; i < rule_count; i++) {
        struct rule *rule = &rules[i];
        if (!(rule->ops & op) || !strstr(path, rule->path) || rule->times <= 0) continue;
        if (rule->after > 0) {
            rule->after--;
            break;
        }
        error = rule->error;
        if (op == OP_WRITE && rule->short_percent > 0 && rule->cut_fd != fd) {
            rule->cut_fd = fd;
            *percent = rule->short_percent;
            break;
        }
        rule->cut_fd = -1;
        if (rule->times != LONG_MAX) rule->times--;
        break;
    }
    pthread_mutex_unlock(&lock);
    const char *log = getenv("FAULTFS_LOG");
    if (error && log) {
        char line[PATH_MAX + 64];
        snprintf(line, sizeof line, "%s %d %s\n", op_names[op], error, path);
        say(log, line);
    }
    errno = saved;
    return error;
}

static int fault_fd(int op, int fd, long *percent) {
    char link[64], path[PATH_MAX];
    int saved = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    errno = saved;
    if (n <= 0) return 0;
    path[n] = 0;
    return fault(op, fd, path, percent);
}

static int fault_path(int op, int dir, const char *path) {
    char full[PATH_MAX], base[PATH_MAX];
    long percent = 0;
    int saved = errno;
    if (path[0] == '/') {
        snprintf(full, sizeof full, "%s", path);
    } else {
        char link[64];
        snprintf(link, sizeof link, dir == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", dir);
        ssize_t n = readlink(link, base, sizeof base - 1);
        if (n <= 0) n = 0;
        base[n] = 0;
        if ((size_t)snprintf(full, sizeof full, "%s/%s", base, path) >= sizeof full) {
            errno = saved;
            return 0;
        }
    }
    errno = saved;
    return fault(op, -1, full, &percent);
}

#define REAL(name) ((__typeof__(&name))real(#name))

static void *real(const char *name) {
    void *found = dlsym(RTLD_NEXT, name);
    if (!found) {
        say(NULL, "faultfs: the C library lacks a function that it stands for\n");
        _exit(127);
    }
    return found;
}

#define WRITE_FAULT(fd, size, act)                              \
    long percent = 0;                                           \
    int error = fault_fd(OP_WRITE, fd, &percent);               \
    if (error) {                                                \
        size_t part = (size) * (size_t)percent / 100;           \
        if (part > 0) return act;                               \
        errno = error;                                          \
        return -1;                                              \
    }

ssize_t write(int fd, const void *data, size_t size) {
    WRITE_FAULT(fd, size, REAL(write)(fd, data, part))
    return REAL(write)(fd, data, size);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at) {
    WRITE_FAULT(fd, size, REAL(pwrite)(fd, data, part, at))
    return REAL(pwrite)(fd, data, size, at);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) {
    WRITE_FAULT(fd, size, REAL(pwrite64)(fd, data, part, at))
    return REAL(pwrite64)(fd, data, size, at);
}

/* Vectored writes fail as a whole: a short one would have to cut the vector. */
#define PLAIN_FAULT(op, fd)                            \
    long percent = 0;                                  \
    int error = fault_fd(op, fd, &percent);            \
    if (error) { errno = error; return -1; }

ssize_t writev(int fd, const struct iovec *parts, int count) {
    PLAIN_FAULT(OP_WRITE, fd)
    return REAL(writev)(fd, parts, count);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at) {
    PLAIN_FAULT(OP_WRITE, fd)
    return REAL(pwritev)(fd, parts, count, at);
}

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t at) {
    PLAIN_FAULT(OP_WRITE, fd)
    return REAL(pwritev64)(fd, parts, count, at);
}

int fsync(int fd) {
    PLAIN_FAULT(OP_FSYNC, fd)
    return REAL(fsync)(fd);
}

int fdatasync(int fd) {
    PLAIN_FAULT(OP_FSYNC, fd)
    return REAL(fdatasync)(fd);
}

int ftruncate(int fd, off_t size) {
    PLAIN_FAULT(OP_TRUNCATE, fd)
    return REAL(ftruncate)(fd, size);
}

int ftruncate64(int fd, off64_t size) {
    PLAIN_FAULT(OP_TRUNCATE, fd)
    return REAL(ftruncate64)(fd, size);
}

#define OPEN_FAULT(dir)                                             \
    mode_t mode = 0;                                                \
    if (flags & (O_CREAT | O_TMPFILE)) {                            \
        va_list list;                                               \
        va_start(list, flags);                                      \
        mode = va_arg(list, mode_t);                                \
        va_end(list);                                               \
    }                                                               \
    if (flags & O_CREAT) {                                          \
        int error = fault_path(OP_CREATE, dir, path);               \
        if (error) { errno = error; return -1; }                    \
    }

int open(const char *path, int flags, ...) {
    OPEN_FAULT(AT_FDCWD)
    return REAL(open)(path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    OPEN_FAULT(AT_FDCWD)
    return REAL(open64)(path, flags, mode);
}

int openat(int dir, const char *path, int flags, ...) {
    OPEN_FAULT(dir)
    return REAL(openat)(dir, path, flags, mode);
}

int openat64(int dir, const char *path, int flags, ...) {
    OPEN_FAULT(dir)
    return REAL(openat64)(dir, path, flags, mode);
}

int rename(const char *from, const char *to) {
    int error = fault_path(OP_RENAME, AT_FDCWD, to);
    if (error) { errno = error; return -1; }
    return REAL(rename)(from, to);
}

int renameat(int from_dir, const char *from, int to_dir, const char *to) {
    int error = fault_path(OP_RENAME, to_dir, to);
    if (error) { errno = error; return -1; }
    return REAL(renameat)(from_dir, from, to_dir, to);
}
