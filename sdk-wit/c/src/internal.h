/* What the parts of the SDK have of each other. */
#ifndef TAMIS_INTERNAL_H
#define TAMIS_INTERNAL_H

#include <stdio.h>
#include <stdlib.h>

/* A list or string as the interface lays it out; with the pointers of wasm32, this is its memory. */
typedef struct tamis_list_ {
    const void *ptr;
    size_t len;
} tamis_list_;

typedef struct tamis_texts_ {
    tamis_list_ presence, offsets, data;
} tamis_texts_;

typedef struct tamis_reals_ {
    tamis_list_ presence, values;
} tamis_reals_;

typedef struct tamis_leaves_ {
    tamis_list_ events, ids, kinds, paths, offsets, data, path_offsets, path_data, path_keys;
} tamis_leaves_;

/* The answers, as the interface has them. */
typedef struct tamis_verdicts_ {
    tamis_list_ verdicts, reasons;
} tamis_verdicts_;

typedef struct tamis_rates_ {
    tamis_list_ rates, decided_by, rules;
} tamis_rates_;

typedef struct tamis_edits_ {
    tamis_list_ leaf, op, start, end, text, rule, strings;
} tamis_edits_;

typedef struct tamis_fingerprints_ {
    tamis_list_ counts, kind, offsets, data, kinds;
} tamis_fingerprints_;

typedef struct tamis_init_result_ {
    uint8_t is_error;
    tamis_list_ message;
} tamis_init_result_;

/* Memory of the call, see memory.c. */
static void *tamis_alloc_(size_t size, size_t align);
static void tamis_forget_call_(void);
static tamis_str tamis_copy_(tamis_str text);
static tamis_str tamis_format_(const char *format, va_list args);
static void *tamis_keep_memory_(void *memory);

/* The host, over the interface or, in native tests, by `tamis plugin columns`. */
static uint32_t tamis_host_len_(void);
static tamis_texts_ tamis_host_strings_(tamis_str path);
static tamis_reals_ tamis_host_numbers_(tamis_str path);
static tamis_texts_ tamis_host_json_(tamis_str path);
static tamis_list_ tamis_host_counts_(tamis_str path);
/* The leaves of each selector; the same value has the same id in all of them. */
static void tamis_host_leaves_(const tamis_str *selectors, size_t len, tamis_leaves_ *out);
enum { TAMIS_LEVEL_ERROR_, TAMIS_LEVEL_WARN_, TAMIS_LEVEL_INFO_, TAMIS_LEVEL_DEBUG_ };
static void tamis_host_log_(int level, tamis_str message);

/* The batch. */
static void tamis_begin_batch_(void);

/* Edits of the current call. */
static void tamis_begin_edits_(void);
static const void *tamis_finish_edits_(void);

/* Reads the configuration; NULL if it is no JSON, with the reason refused as of tamis_config_fail. */
static tamis_config tamis_config_parse_(const char *json, size_t len);
/* What was refused, `ptr` NULL if nothing was. */
static tamis_str tamis_config_end_(void);

/* An array that grows in the memory of the call. */
typedef struct tamis_vec_ {
    void *ptr;
    size_t len, room;
} tamis_vec_;

/* Room for one more element. */
static void *tamis_push_(tamis_vec_ *vec, size_t size);

static inline tamis_list_ tamis_list_of_(tamis_vec_ vec) {
    /* A list without elements needs an address that is aligned all the same. */
    static const double nothing;
    tamis_list_ list = { vec.len ? vec.ptr : &nothing, vec.len };
    return list;
}

/* Texts that an answer names by number. */
typedef struct tamis_interner_ {
    tamis_vec_ texts;
    size_t last;
    uint32_t *table; /* of numbers + 1, once there are many texts; its size is a power of two */
    size_t table_size;
} tamis_interner_;

static uint32_t tamis_intern_(tamis_interner_ *interner, tamis_str text);

#endif
