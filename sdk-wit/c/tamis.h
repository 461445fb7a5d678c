/* Tamis plugins in C11, or in C++ from 17: functions for one event, and one macro that makes a component of them.
 *
 *     #include "tamis.h"
 *
 *     static tamis_strs releases;
 *
 *     static void init(tamis_config config) { releases = tamis_config_texts(config, "releases"); }
 *
 *     static tamis_verdict filter(tamis_event event) {
 *         tamis_str release = tamis_text(event, "release");
 *         for (size_t i = 0; i < releases.len; i++)
 *             if (tamis_equal(release, releases.items[i])) return tamis_drop("noisy-release");
 *         return tamis_keep();
 *     }
 *
 *     TAMIS_FILTER(init, filter)
 *
 * Compile it together with tamis.c, which is all of the SDK. Names that end in an underscore are its own.
 *
 * What is read of an event (texts above all) lies in the column that the host gave, without a copy, and is gone when the call
 * ends: copy what shall live longer. Texts of the configuration live as long as the instance, and have a zero behind
 * their end. */
#ifndef TAMIS_H
#define TAMIS_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#define TAMIS_NORETURN_ [[noreturn]]
#else
#define TAMIS_NORETURN_ _Noreturn
#endif
#define TAMIS_INLINE_ static inline __attribute__((always_inline, unused))
#define TAMIS_PRINTS_ __attribute__((format(printf, 1, 2)))

/* ---- Texts ------------------------------------------------------------------------------------------------------------ */

/* A text in UTF-8, without a zero at its end. `ptr` is NULL where there is none; `len` is 0 then. */
typedef struct tamis_str {
    const char *ptr;
    size_t len;
} tamis_str;

/* Several texts. */
typedef struct tamis_strs {
    const tamis_str *items;
    size_t len;
} tamis_strs;

/* For printf: tamis_info("release " TAMIS_FMT, TAMIS_ARG(release)). */
#define TAMIS_FMT "%.*s"
#define TAMIS_ARG(text) (int)(text).len, (text).ptr ? (text).ptr : ""

TAMIS_INLINE_ tamis_str tamis_str_of(const char *text) {
    tamis_str made = { text, text ? strlen(text) : 0 };
    return made;
}
/* Whether `len` bytes are equal. A call of memcmp goes byte by byte in WebAssembly; here the last words overlap the ones before, and with a
 * constant `len` and one side a literal there is nothing left to do but to compare constants. */
TAMIS_INLINE_ uint64_t tamis_word_(const char *at) {
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return word;
}
TAMIS_INLINE_ uint32_t tamis_half_word_(const char *at) {
    uint32_t word;
    memcpy(&word, at, sizeof word);
    return word;
}
TAMIS_INLINE_ bool tamis_same_(const char *a, const char *b, size_t len) {
    if (len >= 8) {
        for (size_t at = 0; at < len - 8; at += 8)
            if (tamis_word_(a + at) != tamis_word_(b + at)) return false;
        return tamis_word_(a + len - 8) == tamis_word_(b + len - 8);
    }
    if (len >= 4) return tamis_half_word_(a) == tamis_half_word_(b) && tamis_half_word_(a + len - 4) == tamis_half_word_(b + len - 4);
    for (size_t at = 0; at < len; at++)
        if (a[at] != b[at]) return false;
    return true;
}
/* Whether there is a text at all; an empty one is one. */
TAMIS_INLINE_ bool tamis_present(tamis_str text) { return text.ptr != NULL; }
/* Whether both are there and equal. */
TAMIS_INLINE_ bool tamis_equal(tamis_str a, tamis_str b) {
    return a.ptr && b.ptr && a.len == b.len && tamis_same_(a.ptr, b.ptr, b.len);
}
TAMIS_INLINE_ bool tamis_is(tamis_str text, const char *other) { return tamis_equal(text, tamis_str_of(other)); }
bool tamis_starts_with(tamis_str text, const char *prefix);
bool tamis_ends_with(tamis_str text, const char *suffix);
bool tamis_contains(tamis_str text, tamis_str part);

/* ---- Events ----------------------------------------------------------------------------------------------------------- */

/* An event, or an item of a list in one: its paths are relative to it. It is a cursor at the same time: a list is its first item,
 *
 *     for (tamis_item e = tamis_exceptions(event); tamis_more(e); e = tamis_next(e)) ...
 *
 * and behind the last one everything is absent. */
typedef struct tamis_item {
    const struct tamis_column_ *list;
    uint32_t row;
    uint32_t end;
} tamis_item;
typedef tamis_item tamis_event;

/* The texts under a path with stars, see tamis_texts. */
typedef struct tamis_cells {
    const struct tamis_column_ *column;
    uint32_t row;
    size_t len;
} tamis_cells;

/* The first use of a path pulls its values for the whole batch; then a value costs a few nanoseconds. Paths may be made at run time:
 * what counts is that there are few different ones. A path that can not be parsed, or that the stage was not granted, ends the call. */

/* The string, number or boolean under `path`, as text. Of a path with stars, the first there is. */
TAMIS_INLINE_ tamis_str tamis_text(tamis_item item, const char *path);
/* The number under `path`, or `otherwise`. A string is none, also if it looks like a number. NAN as `otherwise` tells absence. */
TAMIS_INLINE_ double tamis_number(tamis_item item, const char *path, double otherwise);
/* The boolean under `path`, or `otherwise`. */
TAMIS_INLINE_ bool tamis_flag(tamis_item item, const char *path, bool otherwise);
/* Whatever is under `path`, as JSON text. It costs more than the others: all of it is copied. */
tamis_str tamis_json(tamis_item item, const char *path);
/* The texts under a path with stars, such as `exception.values.*.type`: a cell for each value, absent where there is no text. */
tamis_cells tamis_texts(tamis_item item, const char *path);
tamis_str tamis_cell(tamis_cells cells, size_t index);
/* The number of elements of the list, or of members of the object, under `path`; 0 where there is neither. */
size_t tamis_count(tamis_item item, const char *path);
/* The tag with that key, whatever is in the key and in whichever form the client sent tags. */
TAMIS_INLINE_ tamis_str tamis_tag(tamis_item event, const char *key);

/* The items of the list (or the values of the object) under `path`; those of a path with stars follow each other. */
TAMIS_INLINE_ tamis_item tamis_items(tamis_item item, const char *path);
TAMIS_INLINE_ bool tamis_more(tamis_item item) { return item.row < item.end; }
TAMIS_INLINE_ tamis_item tamis_next(tamis_item item) {
    item.row++;
    return item;
}
/* How many items there are from this one on. */
TAMIS_INLINE_ size_t tamis_length(tamis_item item) { return item.row < item.end ? item.end - item.row : 0; }
/* The item at `index` from this one; a negative index counts from the end, -1 is the last. */
tamis_item tamis_nth(tamis_item item, ptrdiff_t index);

/* The exceptions in the order of the event: the last one was raised last. */
TAMIS_INLINE_ tamis_item tamis_exceptions(tamis_item event) { return tamis_items(event, "exception.values"); }
TAMIS_INLINE_ tamis_item tamis_threads(tamis_item event) { return tamis_items(event, "threads.values"); }
/* The frames of an exception's or thread's stack trace, the outermost call first. */
TAMIS_INLINE_ tamis_item tamis_frames(tamis_item exception) { return tamis_items(exception, "stacktrace.frames"); }

TAMIS_INLINE_ tamis_str tamis_user_id(tamis_item event) { return tamis_text(event, "user.id"); }
TAMIS_INLINE_ tamis_str tamis_user_email(tamis_item event) { return tamis_text(event, "user.email"); }
TAMIS_INLINE_ tamis_str tamis_user_ip_address(tamis_item event) { return tamis_text(event, "user.ip_address"); }
TAMIS_INLINE_ tamis_str tamis_user_username(tamis_item event) { return tamis_text(event, "user.username"); }

TAMIS_INLINE_ uint64_t tamis_project_id(tamis_item event) {
    return (uint64_t)tamis_number(event, "$meta.project_id", 0);
}
/* When the host received the event, in milliseconds since 1970-01-01 UTC. A plugin has no other clock. */
TAMIS_INLINE_ uint64_t tamis_received_at(tamis_item event) {
    return (uint64_t)tamis_number(event, "$meta.received_at", 0);
}

/* ---- Configuration ---------------------------------------------------------------------------------------------------- */

/* A value of the stage's configuration. `init` gets the object as a whole and reads it key by key. The first thing that is wrong is what
 * the operator is told, with its path (`rules[1].pattern: ...`); reading goes on with empty values behind it, so that `init` needs no
 * error handling. A key that nothing asked for is an error too. NULL as the key is the value itself, for the items of lists. */
typedef struct tamis_value_ const *tamis_config;

bool tamis_config_has(tamis_config value, const char *key);
tamis_str tamis_config_text(tamis_config value, const char *key);
tamis_str tamis_config_text_or(tamis_config value, const char *key, const char *otherwise);
double tamis_config_number(tamis_config value, const char *key);
double tamis_config_number_or(tamis_config value, const char *key, double otherwise);
bool tamis_config_flag(tamis_config value, const char *key);
bool tamis_config_flag_or(tamis_config value, const char *key, bool otherwise);
/* A list of texts; the second is empty where the key is missing. */
tamis_strs tamis_config_texts(tamis_config value, const char *key);
tamis_strs tamis_config_texts_or_none(tamis_config value, const char *key);
tamis_config tamis_config_object(tamis_config value, const char *key);
tamis_config tamis_config_list(tamis_config value, const char *key);
/* The first item of a list or member of an object, and the one behind it; NULL behind the last one. */
tamis_config tamis_config_first(tamis_config list);
tamis_config tamis_config_next(tamis_config item);
size_t tamis_config_length(tamis_config list);
/* The key of a member that tamis_config_first or tamis_config_next gave. */
tamis_str tamis_config_key(tamis_config member);
/* Refuses the configuration for what is under the key. The path is put in front of the message. */
__attribute__((format(printf, 3, 4))) void tamis_config_fail(tamis_config value, const char *key, const char *format, ...);
/* Whether anything was refused so far. */
bool tamis_config_failed(void);

/* ---- Answers ---------------------------------------------------------------------------------------------------------- */

typedef struct tamis_verdict {
    tamis_str reason;
} tamis_verdict;

/* The event goes on. */
TAMIS_INLINE_ tamis_verdict tamis_keep(void) {
    tamis_verdict verdict = { { NULL, 0 } };
    return verdict;
}
/* The event ends here. The reason is a short key such as `web-crawlers`, of 1 to 512 bytes; it stands in the event's outcome. */
TAMIS_INLINE_ tamis_verdict tamis_drop_for(tamis_str reason) {
    tamis_verdict verdict = { { reason.ptr ? reason.ptr : "", reason.len } };
    return verdict;
}
TAMIS_INLINE_ tamis_verdict tamis_drop(const char *reason) { return tamis_drop_for(tamis_str_of(reason)); }

typedef struct tamis_rate {
    double rate;
    tamis_str rule;
} tamis_rate;

/* No opinion: everything is kept. */
TAMIS_INLINE_ tamis_rate tamis_rate_keep(void) {
    tamis_rate rate = { 1.0, { NULL, 0 } };
    return rate;
}
/* A rate from 0 to 1 (what is outside is brought to the nearer end), and the rule that gave it. The host draws, by trace. */
TAMIS_INLINE_ tamis_rate tamis_rate_by_str(double rate, tamis_str rule) {
    tamis_rate made = { rate, { rule.ptr ? rule.ptr : "", rule.len } };
    return made;
}
TAMIS_INLINE_ tamis_rate tamis_rate_by(double rate, const char *rule) { return tamis_rate_by_str(rate, tamis_str_of(rule)); }

typedef enum tamis_leaf_kind {
    TAMIS_LEAF_STRING,
    TAMIS_LEAF_NUMBER,
    TAMIS_LEAF_BOOLEAN,
    TAMIS_LEAF_OBJECT,
    TAMIS_LEAF_ARRAY
} tamis_leaf_kind;

/* One value that a selector of a scrubber names. */
typedef struct tamis_leaf {
    tamis_event event;
    tamis_leaf_kind kind;
    /* With `*` for elements of arrays. */
    tamis_str path;
    /* A number for that path, the same in every batch of an instance: decide once per path, and keep it under this. */
    uint32_t path_key;
    /* A string without quotes and escapes, a number or boolean as in JSON, nothing for an object or array. */
    tamis_str text;
    /* The number that tamis_select gave. */
    size_t selector;
    uint32_t id_;
} tamis_leaf;

/* For `init` of a scrubber: which values it wants to see. `**` is every string. A value that several selectors name comes once for
 * each. The text is kept, not copied: a literal, or of the configuration. */
size_t tamis_select(const char *selector);
size_t tamis_select_str(tamis_str selector);

/* A range of bytes of a leaf's text, on character boundaries. Of a leaf that is not a string only the whole can be edited. */
typedef struct tamis_range {
    size_t start;
    size_t end;
} tamis_range;

TAMIS_INLINE_ tamis_range tamis_bytes(size_t start, size_t end) {
    tamis_range range = { start, end };
    return range;
}
TAMIS_INLINE_ tamis_range tamis_whole(void) { return tamis_bytes(0, SIZE_MAX); }

/* `rule` is what asks for the edit, as the event's `_meta` will show it: `@email:replace`. Where edits of one value overlap, the
 * earlier one is stretched over both: what any of them covers does not survive. Texts are copied. */

/* Takes the range out. Of a whole value, null stays. */
void tamis_remove(const tamis_leaf *leaf, tamis_range range, const char *rule);
void tamis_replace(const tamis_leaf *leaf, tamis_range range, const char *with, const char *rule);
/* Puts `with`, one character, in the place of each character. */
void tamis_mask(const tamis_leaf *leaf, tamis_range range, const char *with, const char *rule);
/* Puts the HMAC-SHA1 under `key` in its place, as 40 upper-case hexadecimal digits. */
void tamis_hash(const tamis_leaf *leaf, tamis_range range, const char *key, const char *rule);

/* For a fingerprinter: adds a fingerprint of 1 to 64 bytes, of a kind such as `app` or `system`. The first one decides the group. */
void tamis_fingerprint(const char *kind, tamis_str fingerprint);
/* The MD5 of texts, in hexadecimal: as long as the call. Each is followed by a zero byte, so that "a", "bc" is not "ab", "c". */
tamis_str tamis_hash_of(const tamis_str *parts, size_t len);

/* ---- The host's log --------------------------------------------------------------------------------------------------- */

/* Lines carry the stage and its generation, are cut at 4 KiB, and limited in number. */
TAMIS_PRINTS_ void tamis_error(const char *format, ...);
TAMIS_PRINTS_ void tamis_warn(const char *format, ...);
TAMIS_PRINTS_ void tamis_info(const char *format, ...);
TAMIS_PRINTS_ void tamis_debug(const char *format, ...);
/* Logs and ends the call with a trap: the host finds the event that did it and applies the stage's failure policy to it alone. A
 * failing assert and abort do the same. */
TAMIS_NORETURN_ TAMIS_PRINTS_ void tamis_panic(const char *format, ...);

/* The C library would write several fragments for the one and nothing for the other. Whatever order headers are included in, both the
 * declaration and the use have the new name. */
#ifdef __wasm__
#define abort tamis_abort_
#define __assert_fail tamis_assert_fail_
TAMIS_NORETURN_ void tamis_abort_(void);
TAMIS_NORETURN_ void tamis_assert_fail_(const char *condition, const char *file, int line, const char *function);
#endif

/* ---- Making a plugin -------------------------------------------------------------------------------------------------- */

typedef void (*tamis_init_)(tamis_config config);
typedef tamis_verdict (*tamis_filter_)(tamis_event event);
typedef tamis_rate (*tamis_sample_)(tamis_event event);
typedef void (*tamis_scrub_)(const tamis_leaf *leaf);
typedef void (*tamis_group_)(tamis_event event);

/* What a plugin is; exactly one function beside `init` is there. */
typedef struct tamis_plugin_ {
    tamis_init_ init;
    tamis_filter_ filter;
    tamis_sample_ sample;
    tamis_scrub_ scrub;
    tamis_group_ fingerprint;
} tamis_plugin_;
extern const tamis_plugin_ tamis_plugin;

/* One of these at the end of the plugin's source. `init` gets the configuration, the other function each event (or leaf). */
#define TAMIS_FILTER(init, filter) \
    TAMIS_PLUGIN_(init, filter, NULL, NULL, NULL) TAMIS_EXPORTS_("filtering", "filter", tamis_run_filter_)
#define TAMIS_SAMPLER(init, sample) \
    TAMIS_PLUGIN_(init, NULL, sample, NULL, NULL) TAMIS_EXPORTS_("sampling", "sample", tamis_run_sampler_)
#define TAMIS_SCRUBBER(init, scrub) \
    TAMIS_PLUGIN_(init, NULL, NULL, scrub, NULL) TAMIS_EXPORTS_("scrubbing", "scrub", tamis_run_scrubber_)
#define TAMIS_FINGERPRINTER(init, fingerprint) \
    TAMIS_PLUGIN_(init, NULL, NULL, NULL, fingerprint) TAMIS_EXPORTS_("fingerprinting", "fingerprint", tamis_run_fingerprinter_)

#ifdef __cplusplus
#define TAMIS_EXTERN_ extern "C"
#define TAMIS_PLUGIN_(...) extern "C" { extern const tamis_plugin_ tamis_plugin = { __VA_ARGS__ }; }
#else
#define TAMIS_EXTERN_
#define TAMIS_PLUGIN_(...) const tamis_plugin_ tamis_plugin = { __VA_ARGS__ };
#endif
#ifdef __wasm__
#define TAMIS_EXPORTS_(interface, name, run) \
    TAMIS_EXTERN_ __attribute__((export_name("tamis:plugin/" interface "@0.1.0#init"))) \
    const void *tamis_init_export_(const char *json, size_t len) { return tamis_run_init_(json, len); } \
    TAMIS_EXTERN_ __attribute__((export_name("tamis:plugin/" interface "@0.1.0#" name))) \
    const void *tamis_call_export_(void) { return run(); }
#else
#define TAMIS_EXPORTS_(interface, name, run) TAMIS_EXTERN_ const void *(*const tamis_run_plugin_)(void) = run;
extern const void *(*const tamis_run_plugin_)(void);
#endif

const void *tamis_run_init_(const char *json, size_t len);
const void *tamis_run_filter_(void);
const void *tamis_run_sampler_(void);
const void *tamis_run_scrubber_(void);
const void *tamis_run_fingerprinter_(void);

/* ---- How a value is found --------------------------------------------------------------------------------------------- */

/* A plugin asks for the same paths in the same order for every event: each column remembers which one was asked for after it, and
 * finding it is then one comparison of a short text, which the compiler makes of constants where the path is a literal. */

typedef enum tamis_kind_ {
    TAMIS_KIND_NONE_,
    TAMIS_KIND_TEXT_,
    TAMIS_KIND_TAG_,
    TAMIS_KIND_JSON_,
    TAMIS_KIND_NUMBER_,
    TAMIS_KIND_COUNT_,
    TAMIS_KIND_LIST_
} tamis_kind_;

typedef struct tamis_column_ {
    const struct tamis_column_ *list; /* the list whose items it is of; NULL for events */
    tamis_str path;
    tamis_kind_ kind;
    uint32_t rows;
    const uint8_t *presence;
    const uint32_t *offsets;
    const char *data;
    const double *values;
    const uint32_t *counts;
    const uint32_t *starts; /* where the rows of each row of `list` begin, if there may be several */
    tamis_str items;        /* of a list: the full path of its items */
    struct tamis_column_ *after; /* what was asked for after this one the last time */
    struct tamis_column_ *older;
} tamis_column_;

typedef struct tamis_batch_ {
    tamis_column_ *guess; /* never NULL */
    tamis_column_ *last;
    tamis_column_ *newest;
} tamis_batch_;
extern tamis_batch_ tamis_batch_now_;

const tamis_column_ *tamis_look_for_(tamis_item item, tamis_kind_ kind, tamis_str path);
tamis_str tamis_first_text_(const tamis_column_ *column, uint32_t row);
double tamis_first_number_(const tamis_column_ *column, uint32_t row, double otherwise);

TAMIS_INLINE_ const tamis_column_ *tamis_column_of_(tamis_item item, tamis_kind_ kind, const char *path) {
    tamis_column_ *guess = tamis_batch_now_.guess;
    size_t len = strlen(path);
    if (guess->kind != kind || guess->path.len != len || guess->list != item.list || !tamis_same_(guess->path.ptr, path, len)) {
        tamis_str text = { path, len };
        return tamis_look_for_(item, kind, text);
    }
    tamis_batch_now_.last = guess;
    tamis_batch_now_.guess = guess->after;
    return guess;
}

TAMIS_INLINE_ tamis_str tamis_text_in_(const tamis_column_ *column, tamis_item item) {
    tamis_str text = { NULL, 0 };
    if (item.row >= item.end) return text;
    if (column->starts) return tamis_first_text_(column, item.row);
    if (column->presence[item.row]) {
        text.ptr = column->data + column->offsets[item.row];
        text.len = column->offsets[item.row + 1] - column->offsets[item.row];
    }
    return text;
}

TAMIS_INLINE_ tamis_str tamis_text(tamis_item item, const char *path) {
    return tamis_text_in_(tamis_column_of_(item, TAMIS_KIND_TEXT_, path), item);
}

TAMIS_INLINE_ tamis_str tamis_tag(tamis_item event, const char *key) {
    return tamis_text_in_(tamis_column_of_(event, TAMIS_KIND_TAG_, key), event);
}

TAMIS_INLINE_ double tamis_number(tamis_item item, const char *path, double otherwise) {
    const tamis_column_ *column = tamis_column_of_(item, TAMIS_KIND_NUMBER_, path);
    if (item.row >= item.end) return otherwise;
    if (column->starts) return tamis_first_number_(column, item.row, otherwise);
    return column->presence[item.row] ? column->values[item.row] : otherwise;
}

TAMIS_INLINE_ bool tamis_flag(tamis_item item, const char *path, bool otherwise) {
    tamis_str text = tamis_text(item, path);
    return tamis_is(text, "true") || (otherwise && !tamis_is(text, "false"));
}

TAMIS_INLINE_ tamis_item tamis_items(tamis_item item, const char *path) {
    const tamis_column_ *column = tamis_column_of_(item, TAMIS_KIND_LIST_, path);
    tamis_item first = { column, 0, 0 };
    if (item.row < item.end) {
        first.row = column->starts[item.row];
        first.end = column->starts[item.row + 1];
    }
    return first;
}

#ifdef __cplusplus
}
#endif
#endif
