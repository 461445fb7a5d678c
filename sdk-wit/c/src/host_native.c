/* The host on the author's machine: `tamis plugin columns - --pull ... --raw`, one process for each pull, so that paths and selectors
 * mean exactly what they mean in production. What it writes is little-endian, as this machine must be. */

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "native tests read the host's columns on a little-endian machine"
#endif

/* A file with the events, that has no name any more; -1 while there is no batch. */
static int tamis_events_file_ = -1;

typedef struct tamis_answer_ {
    const char *at, *end;
} tamis_answer_;

static void tamis_exec_(const char **pulls, size_t len, int out) {
    const char **argv = (const char **)calloc(2 * len + 6, sizeof *argv);
    const char *tamis = getenv("TAMIS");
    size_t n = 0;
    if (!argv) _exit(126);
    argv[n++] = tamis && *tamis ? tamis : "tamis";
    argv[n++] = "plugin";
    argv[n++] = "columns";
    argv[n++] = "-";
    argv[n++] = "--raw";
    for (size_t i = 0; i < len; i++) {
        argv[n++] = "--pull";
        argv[n++] = pulls[i];
    }
    lseek(tamis_events_file_, 0, SEEK_SET);
    dup2(tamis_events_file_, STDIN_FILENO);
    dup2(out, STDOUT_FILENO);
    execvp(argv[0], (char *const *)(uintptr_t)argv);
    fprintf(stderr, "%s can not be run (%s): put the tamis binary on PATH, or name it in the variable TAMIS\n", argv[0], strerror(errno));
    _exit(127);
}

static tamis_answer_ tamis_read_all_(int from) {
    size_t len = 0, room = 1 << 16;
    char *text = (char *)tamis_keep_memory_(malloc(room));
    for (;;) {
        ssize_t got = read(from, text + len, room - len);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        len += (size_t)got;
        if (len == room) text = (char *)tamis_keep_memory_(realloc(text, room *= 2));
    }
    tamis_answer_ answer = { text, text + len };
    return answer;
}

static tamis_answer_ tamis_columns_(const char **pulls, size_t len) {
    int ends[2], status = 0;
    if (tamis_events_file_ < 0) tamis_panic("there is no batch now: events are there when the plugin is asked for its answer");
    if (pipe(ends) != 0) tamis_panic("no pipe to the tamis binary: %s", strerror(errno));
    fflush(NULL);
    pid_t child = fork();
    if (child < 0) tamis_panic("no process for the tamis binary: %s", strerror(errno));
    if (child == 0) {
        close(ends[0]);
        tamis_exec_(pulls, len, ends[1]);
    }
    close(ends[1]);
    tamis_answer_ answer = tamis_read_all_(ends[0]);
    close(ends[0]);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {}
    if (!WIFEXITED(status) || answer.at == answer.end) tamis_panic("tamis plugin columns gave no columns of the events");
    return answer;
}

static tamis_list_ tamis_take_(tamis_answer_ *answer, size_t size) {
    uint32_t count;
    size_t left = (size_t)(answer->end - answer->at);
    if (left < sizeof count) tamis_panic("tamis plugin columns ended too early");
    memcpy(&count, answer->at, sizeof count);
    answer->at += sizeof count;
    if ((left - sizeof count) / size < count) tamis_panic("tamis plugin columns ended too early");
    tamis_list_ list = { tamis_alloc_(count * size + 1, 8), count };
    if (count) memcpy((void *)(uintptr_t)list.ptr, answer->at, count * size);
    answer->at += count * size;
    return list;
}

/* Where the host would end the call with a trap, so does this. */
static void tamis_take_status_(tamis_answer_ *answer) {
    if (answer->at == answer->end) tamis_panic("tamis plugin columns ended too early");
    if (*answer->at++ == 0) return;
    tamis_list_ message = tamis_take_(answer, 1);
    tamis_panic("the host ends the call: %.*s", (int)message.len, (const char *)message.ptr);
}

static tamis_answer_ tamis_pull_one_(const char *op, tamis_str path) {
    tamis_str pull = tamis_copy_(path);
    char *text = (char *)tamis_alloc_(pull.len + strlen(op) + 2, 1);
    const char *pulls[] = { text };
    sprintf(text, "%s:%s", op, pull.ptr);
    tamis_answer_ answer = tamis_columns_(pulls, 1);
    tamis_take_status_(&answer);
    return answer;
}

static uint32_t tamis_host_len_(void) {
    tamis_answer_ answer = tamis_pull_one_("len", tamis_str_of(""));
    return *(const uint32_t *)tamis_take_(&answer, 4).ptr;
}

static tamis_texts_ tamis_take_texts_(const char *op, tamis_str path) {
    tamis_answer_ answer = tamis_pull_one_(op, path);
    tamis_texts_ texts;
    texts.presence = tamis_take_(&answer, 1);
    texts.offsets = tamis_take_(&answer, 4);
    texts.data = tamis_take_(&answer, 1);
    return texts;
}

static tamis_texts_ tamis_host_strings_(tamis_str path) { return tamis_take_texts_("strings", path); }
static tamis_texts_ tamis_host_json_(tamis_str path) { return tamis_take_texts_("json", path); }

static tamis_reals_ tamis_host_numbers_(tamis_str path) {
    tamis_answer_ answer = tamis_pull_one_("numbers", path);
    tamis_reals_ reals;
    reals.presence = tamis_take_(&answer, 1);
    reals.values = tamis_take_(&answer, 8);
    return reals;
}

static tamis_list_ tamis_host_counts_(tamis_str path) {
    tamis_answer_ answer = tamis_pull_one_("counts", path);
    return tamis_take_(&answer, 4);
}

/* All in one process: ids are of one. */
static void tamis_host_leaves_(const tamis_str *selectors, size_t len, tamis_leaves_ *out) {
    if (!len || tamis_events_file_ < 0) return;
    const char **pulls = (const char **)tamis_alloc_(len * sizeof *pulls, 8);
    for (size_t i = 0; i < len; i++) {
        char *text = (char *)tamis_alloc_(selectors[i].len + 8, 1);
        sprintf(text, "leaves:%.*s", (int)selectors[i].len, selectors[i].ptr);
        pulls[i] = text;
    }
    tamis_answer_ answer = tamis_columns_(pulls, len);
    for (size_t i = 0; i < len; i++) {
        tamis_take_status_(&answer);
        out[i].events = tamis_take_(&answer, 4);
        out[i].ids = tamis_take_(&answer, 4);
        out[i].kinds = tamis_take_(&answer, 1);
        out[i].paths = tamis_take_(&answer, 4);
        out[i].offsets = tamis_take_(&answer, 4);
        out[i].data = tamis_take_(&answer, 1);
        out[i].path_offsets = tamis_take_(&answer, 4);
        out[i].path_data = tamis_take_(&answer, 1);
        out[i].path_keys = tamis_take_(&answer, 4);
    }
}

static void tamis_host_log_(int level, tamis_str message) {
    static const char *const names[] = { "error", "warn", "info", "debug" };
    fprintf(stderr, "%s: %.*s\n", names[level], (int)message.len, message.ptr);
}
