/* Native tests of plugins in C: the plugin, compiled by the host's compiler, over events that the host's own code reads.
 *
 *     #include "tamis_test.h"
 *
 *     TAMIS_TEST(noisy_releases_go) {
 *         tamis_answers *answers = tamis_try(TAMIS_JSON({"releases": ["1.0"]}), TAMIS_JSON([{"release": "1.0"}, {}]));
 *         TAMIS_EXPECT_DROP(answers, 0, "noisy-release");
 *         TAMIS_EXPECT_KEEP(answers, 1);
 *     }
 *
 *     cc -Isdk -o plugin_test tests/plugin_test.c src/plugin.c sdk/tamis.c && ./plugin_test
 *
 * Each test runs in a process of its own, with an instance of its own. What the plugin pulls comes from the `tamis` binary: the one that
 * the variable TAMIS names, else the one on PATH. Linux and macOS; there is no `main` to write. */
#ifndef TAMIS_TEST_H
#define TAMIS_TEST_H

#include "tamis.h"

#ifdef __cplusplus
extern "C" {
#endif

/* JSON without quotes around it and escapes in it. */
#define TAMIS_JSON(...) #__VA_ARGS__

#define TAMIS_TEST(name) \
    static void name(void); \
    __attribute__((constructor)) static void name##_is_a_test_(void) { tamis_test_add_(#name, name); } \
    static void name(void)

typedef struct tamis_tried_edit {
    size_t event;
    const char *path;
    const char *op; /* remove, replace, mask or hash */
    const char *found; /* what it covers */
    const char *with;
    const char *rule;
} tamis_tried_edit;

typedef struct tamis_tried_fingerprint {
    size_t event;
    const char *kind;
    const char *fingerprint;
} tamis_tried_fingerprint;

/* What the plugin answered; what is of other kinds of plugins is NULL. */
typedef struct tamis_answers {
    const char *error; /* why the configuration was refused; NULL if it was not */
    size_t events;
    const char **reasons; /* by event, NULL for kept */
    const double *rates;
    const char **rules; /* by event, NULL for no opinion */
    const tamis_tried_edit *edits;
    size_t edits_len;
    const tamis_tried_fingerprint *fingerprints;
    size_t fingerprints_len;
} tamis_answers;

/* Makes an instance with that configuration and gives it the events as one batch: JSON, one event or an array of them, each with `"$meta"`
 * and `"$trace"` for what the host knows beside it. The answers lie in memory of the test. */
tamis_answers *tamis_try(const char *config, const char *events);

#define TAMIS_EXPECT(condition) tamis_expect_((condition), __FILE__, __LINE__, "%s does not hold", #condition)
#define TAMIS_EXPECT_KEEP(answers, event) tamis_expect_verdict_(answers, event, NULL, __FILE__, __LINE__)
#define TAMIS_EXPECT_DROP(answers, event, reason) tamis_expect_verdict_(answers, event, reason, __FILE__, __LINE__)
#define TAMIS_EXPECT_RATE(answers, event, rate, rule) tamis_expect_rate_(answers, event, rate, rule, __FILE__, __LINE__)
/* The edit at `index`: of which value, what it does to which part of it, and which rule asked. */
#define TAMIS_EXPECT_EDIT(answers, index, path, op, found, rule) \
    tamis_expect_edit_(answers, index, path, op, found, rule, __FILE__, __LINE__)
/* The event's fingerprint at `index`. */
#define TAMIS_EXPECT_FINGERPRINT(answers, event, index, kind, fingerprint) \
    tamis_expect_fingerprint_(answers, event, index, kind, fingerprint, __FILE__, __LINE__)
/* The configuration is refused with a message that begins like this. */
#define TAMIS_EXPECT_ERROR(answers, begin) tamis_expect_error_(answers, begin, __FILE__, __LINE__)
/* The plugin, or the host in its place, ends the call with a message that has `part` in it. */
#define TAMIS_EXPECT_PANIC(config, events, part) tamis_expect_panic_(config, events, part, __FILE__, __LINE__)

void tamis_test_add_(const char *name, void (*run)(void));
__attribute__((format(printf, 4, 5))) void tamis_expect_(bool holds, const char *file, int line, const char *format, ...);
void tamis_expect_verdict_(const tamis_answers *answers, size_t event, const char *reason, const char *file, int line);
void tamis_expect_rate_(const tamis_answers *answers, size_t event, double rate, const char *rule, const char *file, int line);
void tamis_expect_edit_(const tamis_answers *answers, size_t index, const char *path, const char *op, const char *found,
    const char *rule, const char *file, int line);
void tamis_expect_fingerprint_(const tamis_answers *answers, size_t event, size_t index, const char *kind, const char *fingerprint,
    const char *file, int line);
void tamis_expect_panic_(const char *config, const char *events, const char *part, const char *file, int line);
void tamis_expect_error_(const tamis_answers *answers, const char *begin, const char *file, int line);

#ifdef __cplusplus
}
#endif
#endif
