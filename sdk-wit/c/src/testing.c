/* The runner of native tests, see tamis_test.h. */

#include "../tamis_test.h"

#define TAMIS_TESTS_MAX_ 1024

static struct {
    const char *name;
    void (*run)(void);
} tamis_tests_[TAMIS_TESTS_MAX_];
static size_t tamis_tests_len_;
static bool tamis_test_failed_;

void tamis_test_add_(const char *name, void (*run)(void)) {
    if (tamis_tests_len_ == TAMIS_TESTS_MAX_) tamis_panic("more than %d tests", TAMIS_TESTS_MAX_);
    tamis_tests_[tamis_tests_len_].name = name;
    tamis_tests_[tamis_tests_len_++].run = run;
}

/* ---- Trying a plugin ---- */

static const char *tamis_named_(tamis_list_ names, uint32_t number) {
    return tamis_copy_(((const tamis_str *)names.ptr)[number]).ptr;
}

static const char **tamis_named_all_(tamis_list_ numbers, tamis_list_ names) {
    const char **named = (const char **)tamis_alloc_((numbers.len + 1) * sizeof *named, 8);
    for (size_t i = 0; i < numbers.len; i++) {
        uint32_t number = ((const uint32_t *)numbers.ptr)[i];
        named[i] = number ? tamis_named_(names, number - 1) : NULL;
    }
    return named;
}

static tamis_str tamis_cut_(tamis_list_ data, tamis_list_ offsets, size_t at) {
    const uint32_t *bounds = (const uint32_t *)offsets.ptr + at;
    tamis_str cut = { (const char *)data.ptr + bounds[0], bounds[1] - bounds[0] };
    return cut;
}

/* The leaf of that id, in the lists as they are pulled again. */
static void tamis_describe_leaf_(tamis_tried_edit *edit, const tamis_leaves_ *lists, uint32_t id, uint32_t start, uint32_t end) {
    for (size_t list = 0; list < tamis_selected_.len; list++) {
        const tamis_leaves_ *leaves = &lists[list];
        for (size_t i = 0; i < leaves->ids.len; i++) {
            if (((const uint32_t *)leaves->ids.ptr)[i] != id) continue;
            tamis_str text = tamis_cut_(leaves->data, leaves->offsets, i);
            edit->event = ((const uint32_t *)leaves->events.ptr)[i];
            edit->path = tamis_copy_(tamis_cut_(leaves->path_data, leaves->path_offsets, ((const uint32_t *)leaves->paths.ptr)[i])).ptr;
            if (end != TAMIS_EDIT_WHOLE_) {
                text.ptr += start;
                text.len = end - start;
            }
            edit->found = tamis_copy_(text).ptr;
            return;
        }
    }
}

static void tamis_describe_edits_(tamis_answers *answers, const tamis_edits_ *flat) {
    static const char *const ops[] = { "remove", "replace", "mask", "hash" };
    const tamis_leaves_ *lists = tamis_pull_leaves_();
    tamis_tried_edit *edits = (tamis_tried_edit *)tamis_alloc_((flat->leaf.len + 1) * sizeof *edits, 8);
    for (size_t i = 0; i < flat->leaf.len; i++) {
        memset(&edits[i], 0, sizeof edits[i]);
        edits[i].op = ops[((const uint8_t *)flat->op.ptr)[i]];
        edits[i].with = tamis_named_(flat->strings, ((const uint32_t *)flat->text.ptr)[i]);
        edits[i].rule = tamis_named_(flat->strings, ((const uint32_t *)flat->rule.ptr)[i]);
        tamis_describe_leaf_(&edits[i], lists, ((const uint32_t *)flat->leaf.ptr)[i], ((const uint32_t *)flat->start.ptr)[i],
            ((const uint32_t *)flat->end.ptr)[i]);
    }
    answers->edits = edits;
    answers->edits_len = flat->leaf.len;
}

static void tamis_describe_fingerprints_(tamis_answers *answers, const tamis_fingerprints_ *flat) {
    tamis_tried_fingerprint *all = (tamis_tried_fingerprint *)tamis_alloc_((flat->kind.len + 1) * sizeof *all, 8);
    size_t at = 0;
    for (size_t event = 0; event < flat->counts.len; event++) {
        for (size_t end = at + ((const uint32_t *)flat->counts.ptr)[event]; at < end; at++) {
            all[at].event = event;
            all[at].kind = tamis_named_(flat->kinds, ((const uint32_t *)flat->kind.ptr)[at]);
            all[at].fingerprint = tamis_copy_(tamis_cut_(flat->data, flat->offsets, at)).ptr;
        }
    }
    answers->fingerprints = all;
    answers->fingerprints_len = at;
}

static void tamis_ask_(tamis_answers *answers) {
    const void *flat = tamis_run_plugin_();
    answers->events = tamis_host_len_();
    if (tamis_plugin.filter) {
        const tamis_verdicts_ *verdicts = (const tamis_verdicts_ *)flat;
        answers->reasons = tamis_named_all_(verdicts->verdicts, verdicts->reasons);
    } else if (tamis_plugin.sample) {
        const tamis_rates_ *rates = (const tamis_rates_ *)flat;
        answers->rates = (const double *)rates->rates.ptr;
        answers->rules = tamis_named_all_(rates->decided_by, rates->rules);
    } else if (tamis_plugin.scrub) {
        tamis_describe_edits_(answers, (const tamis_edits_ *)flat);
    } else {
        tamis_describe_fingerprints_(answers, (const tamis_fingerprints_ *)flat);
    }
}

tamis_answers *tamis_try(const char *config, const char *events) {
    tamis_answers *answers = (tamis_answers *)tamis_keep_memory_(calloc(1, sizeof *answers));
    const tamis_init_result_ *made = (const tamis_init_result_ *)tamis_run_init_(config, strlen(config));
    if (made->is_error) {
        answers->error = (const char *)made->message.ptr;
        return answers;
    }
    FILE *file = tmpfile();
    size_t len = strlen(events);
    if (!file || fwrite(events, 1, len, file) != len || fflush(file) != 0) tamis_panic("no file for the events: %s", strerror(errno));
    tamis_events_file_ = fileno(file);
    tamis_ask_(answers);
    tamis_events_file_ = -1;
    fclose(file);
    tamis_block_now_ = NULL; /* the answers lie there: the next call gets memory of its own */
    return answers;
}

/* ---- Expectations ---- */

void tamis_expect_(bool holds, const char *file, int line, const char *format, ...) {
    if (holds) return;
    va_list args;
    tamis_test_failed_ = true;
    fprintf(stderr, "%s:%d: ", file, line);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

static bool tamis_same_text_(const char *a, const char *b) { return a && b ? strcmp(a, b) == 0 : a == b; }

/* Whether there is an answer of that kind for the event. */
static bool tamis_has_answer_(const tamis_answers *answers, const void *of_kind, size_t event, const char *file, int line) {
    tamis_expect_(!answers->error, file, line, "the configuration is refused: %s", answers->error ? answers->error : "");
    if (answers->error) return false;
    tamis_expect_(of_kind != NULL, file, line, "the plugin is of another kind");
    tamis_expect_(event < answers->events, file, line, "there is no event %zu: there are %zu", event, answers->events);
    return of_kind && event < answers->events;
}

void tamis_expect_verdict_(const tamis_answers *answers, size_t event, const char *reason, const char *file, int line) {
    if (!tamis_has_answer_(answers, answers->reasons, event, file, line)) return;
    const char *got = answers->reasons[event];
    tamis_expect_(tamis_same_text_(got, reason), file, line, "event %zu: expected %s%s, got %s%s", event, reason ? "drop for " : "keep",
        reason ? reason : "", got ? "drop for " : "keep", got ? got : "");
}

void tamis_expect_rate_(const tamis_answers *answers, size_t event, double rate, const char *rule, const char *file, int line) {
    if (!tamis_has_answer_(answers, answers->rates, event, file, line)) return;
    const char *got = answers->rules[event];
    tamis_expect_(answers->rates[event] == rate && tamis_same_text_(got, rule), file, line, "event %zu: expected %g by %s, got %g by %s", event,
        rate, rule ? rule : "none", answers->rates[event], got ? got : "none");
}

void tamis_expect_edit_(const tamis_answers *answers, size_t index, const char *path, const char *op, const char *found,
    const char *rule, const char *file, int line) {
    if (!tamis_has_answer_(answers, answers->edits, 0, file, line)) return;
    tamis_expect_(index < answers->edits_len, file, line, "there is no edit %zu: there are %zu", index, answers->edits_len);
    if (index >= answers->edits_len) return;
    const tamis_tried_edit *got = &answers->edits[index];
    bool same = tamis_same_text_(got->path, path) && tamis_same_text_(got->op, op) && tamis_same_text_(got->found, found) && tamis_same_text_(got->rule, rule);
    tamis_expect_(same, file, line, "edit %zu: expected %s of \"%s\" in %s by %s, got %s of \"%s\" in %s by %s", index, op, found, path, rule,
        got->op, got->found, got->path, got->rule);
}

void tamis_expect_fingerprint_(const tamis_answers *answers, size_t event, size_t index, const char *kind, const char *fingerprint,
    const char *file, int line) {
    if (!tamis_has_answer_(answers, answers->fingerprints, event, file, line)) return;
    for (size_t i = 0; i < answers->fingerprints_len; i++) {
        const tamis_tried_fingerprint *got = &answers->fingerprints[i];
        if (got->event != event || index-- > 0) continue;
        bool same = tamis_same_text_(got->kind, kind) && tamis_same_text_(got->fingerprint, fingerprint);
        tamis_expect_(same, file, line, "event %zu: expected %s %s, got %s %s", event, kind, fingerprint, got->kind, got->fingerprint);
        return;
    }
    tamis_expect_(false, file, line, "event %zu has no such fingerprint", event);
}

void tamis_expect_error_(const tamis_answers *answers, const char *begin, const char *file, int line) {
    const char *got = answers->error;
    tamis_expect_(got && strncmp(got, begin, strlen(begin)) == 0, file, line, "expected a refusal that begins with \"%s\", got %s", begin,
        got ? got : "none");
}

/* In a process of its own, since a panic ends it. */
void tamis_expect_panic_(const char *config, const char *events, const char *part, const char *file, int line) {
    int ends[2], status = 0;
    if (pipe(ends) != 0) tamis_panic("no pipe to a test: %s", strerror(errno));
    fflush(NULL);
    pid_t child = fork();
    if (child < 0) tamis_panic("no process for a test: %s", strerror(errno));
    if (child == 0) {
        close(ends[0]);
        dup2(ends[1], STDERR_FILENO);
        tamis_try(config, events);
        _exit(0);
    }
    close(ends[1]);
    tamis_answer_ said = tamis_read_all_(ends[0]);
    close(ends[0]);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {}
    tamis_str text = { said.at, (size_t)(said.end - said.at) };
    bool ended = WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
    tamis_expect_(ended && tamis_contains(text, tamis_str_of(part)), file, line, "expected a panic with \"%s\", got %s: " TAMIS_FMT, part,
        ended ? "another" : "none", TAMIS_ARG(text));
}

/* ---- Running ---- */

static bool tamis_run_test_(size_t index) {
    int status = 0;
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        tamis_tests_[index].run();
        fflush(NULL);
        _exit(tamis_test_failed_ ? 1 : 0);
    }
    if (child < 0) tamis_panic("no process for a test: %s", strerror(errno));
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {}
    bool passed = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    const char *how = WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "";
    printf("%s %s%s%s\n", passed ? "ok    " : "FAILED", tamis_tests_[index].name, *how ? ": " : "", how);
    return passed;
}

/* Weak, for whoever has a main of their own. */
__attribute__((weak)) int main(void) {
    size_t failed = 0;
    for (size_t i = 0; i < tamis_tests_len_; i++) failed += tamis_run_test_(i) ? 0 : 1;
    printf("%zu passed, %zu failed\n", tamis_tests_len_ - failed, failed);
    if (!tamis_tests_len_) fprintf(stderr, "there is no TAMIS_TEST\n");
    return failed || !tamis_tests_len_ ? 1 : 0;
}
