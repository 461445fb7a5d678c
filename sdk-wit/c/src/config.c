/* The configuration: JSON by cJSON (vendor/, MIT), read key by key. The first mistake is kept with its path. */

#define CJSON_HIDE_SYMBOLS
#define CJSON_NESTING_LIMIT 128
#include "../vendor/cJSON.h"
#include "../vendor/cJSON.c"

/* Marks beside cJSON's own in `type`. */
#define TAMIS_ASKED_ (1 << 20)  /* a member that something asked for */
#define TAMIS_OPENED_ (1 << 21) /* an object that was read key by key: members that nothing asked for are mistakes */

static cJSON *tamis_config_root_;
static char *tamis_config_mistake_;

/* ---- Paths and mistakes ---- */

typedef struct tamis_path_ {
    char text[512];
    size_t len;
} tamis_path_;

static void tamis_path_add_(tamis_path_ *path, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void tamis_path_add_(tamis_path_ *path, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int len = vsnprintf(path->text + path->len, sizeof path->text - path->len, format, args);
    va_end(args);
    if (len > 0) path->len += (size_t)len;
    if (path->len >= sizeof path->text) path->len = sizeof path->text - 1;
}

static void tamis_path_add_key_(tamis_path_ *path, const char *key) {
    tamis_path_add_(path, path->len ? ".%s" : "%s", key);
}

/* Writes the path of `wanted` below `node`; only mistakes need one, so that it is looked for. */
static bool tamis_path_to_(const cJSON *node, const cJSON *wanted, tamis_path_ *path) {
    if (node == wanted) return true;
    size_t index = 0, len = path->len;
    for (const cJSON *child = node->child; child; child = child->next, index++) {
        if (cJSON_IsArray(node)) {
            tamis_path_add_(path, "[%zu]", index);
        } else {
            tamis_path_add_key_(path, child->string);
        }
        if (tamis_path_to_(child, wanted, path)) return true;
        path->len = len;
        path->text[len] = 0;
    }
    return false;
}

static void tamis_config_mistake_at_(const cJSON *value, const char *key, const char *format, va_list args) {
    if (tamis_config_mistake_) return;
    tamis_path_ path = { { 0 }, 0 };
    if (tamis_config_root_ && value) tamis_path_to_(tamis_config_root_, value, &path);
    if (key) tamis_path_add_key_(&path, key);
    tamis_str message = tamis_format_(format, args);
    size_t room = path.len + message.len + 3;
    tamis_config_mistake_ = (char *)tamis_keep_memory_(malloc(room));
    snprintf(tamis_config_mistake_, room, "%s%s%s", path.text, path.len ? ": " : "", message.ptr);
}

void tamis_config_fail(tamis_config value, const char *key, const char *format, ...) {
    va_list args;
    va_start(args, format);
    tamis_config_mistake_at_((const cJSON *)value, key, format, args);
    va_end(args);
}

bool tamis_config_failed(void) { return tamis_config_mistake_ != NULL; }

/* ---- From the text to the end ---- */

/* \u0000 would cut a text of cJSON short. */
static bool tamis_has_zero_(const char *json, size_t len) {
    for (size_t at = 0; at + 1 < len; at++) {
        if (json[at] != '\\') continue;
        if (len - at >= 6 && memcmp(json + at, "\\u0000", 6) == 0) return true;
        at++;
    }
    return false;
}

static tamis_config tamis_config_parse_(const char *json, size_t len) {
    free(tamis_config_mistake_);
    tamis_config_mistake_ = NULL;
    tamis_config_root_ = NULL;
    bool is_blank = true;
    for (size_t at = 0; at < len; at++) is_blank = is_blank && strchr(" \t\r\n", json[at]);
    /* A zero behind the text, for cJSON to see that there is nothing else. */
    tamis_str text = tamis_copy_((tamis_str) { is_blank ? "{}" : json, is_blank ? 2 : len });
    const char *end = NULL;
    cJSON *root = cJSON_ParseWithLengthOpts(text.ptr, text.len + 1, &end, 1);
    if (!root) {
        tamis_config_fail(NULL, NULL, "no JSON, from byte %td on", end ? end - text.ptr : 0);
    } else if (tamis_has_zero_(text.ptr, text.len)) {
        tamis_config_fail(NULL, NULL, "a text with \\u0000 in it");
    } else if (cJSON_IsNull(root)) {
        root = cJSON_CreateObject();
    } else if (!cJSON_IsObject(root)) {
        tamis_config_fail(NULL, NULL, "no object");
    }
    tamis_config_root_ = root;
    if (!root || tamis_config_failed()) return NULL;
    root->type |= TAMIS_OPENED_;
    return (tamis_config)root;
}

static const cJSON *tamis_not_asked_(const cJSON *node) {
    for (const cJSON *child = node->child; child; child = child->next) {
        if (cJSON_IsObject(node) && (node->type & TAMIS_OPENED_) && !(child->type & TAMIS_ASKED_)) return child;
        const cJSON *deeper = tamis_not_asked_(child);
        if (deeper) return deeper;
    }
    return NULL;
}

static tamis_str tamis_config_end_(void) {
    if (!tamis_config_mistake_ && tamis_config_root_) {
        const cJSON *unknown = tamis_not_asked_(tamis_config_root_);
        if (unknown) tamis_config_fail((tamis_config)unknown, NULL, "unknown key");
    }
    return tamis_str_of(tamis_config_mistake_);
}

/* ---- Values ---- */

static const char *tamis_type_name_(const cJSON *value) {
    if (cJSON_IsString(value)) return "a text";
    if (cJSON_IsNumber(value)) return "a number";
    if (cJSON_IsBool(value)) return value->type & cJSON_True ? "true" : "false";
    if (cJSON_IsArray(value)) return "a list";
    return cJSON_IsObject(value) ? "an object" : "null";
}

/* The value under the key; none for null, as for a key that is missing. */
static cJSON *tamis_config_at_(tamis_config config, const char *key) {
    cJSON *value = (cJSON *)(uintptr_t)config;
    if (!value) return NULL;
    if (key) {
        if (!cJSON_IsObject(value)) {
            tamis_config_fail(config, NULL, "%s, where an object is expected", tamis_type_name_(value));
            return NULL;
        }
        value->type |= TAMIS_OPENED_;
        value = cJSON_GetObjectItemCaseSensitive(value, key);
    }
    if (!value) return NULL;
    value->type |= TAMIS_ASKED_;
    return cJSON_IsNull(value) ? NULL : value;
}

/* The value, if it is there and what it should be. */
static cJSON *tamis_config_want_(tamis_config config, const char *key, bool required, cJSON_bool (*is)(const cJSON *), const char *what) {
    cJSON *value = tamis_config_at_(config, key);
    if (!value && required && config) tamis_config_fail(config, key, "missing: %s is expected", what);
    if (value && !is(value)) {
        tamis_config_fail((tamis_config)value, NULL, "%s, where %s is expected", tamis_type_name_(value), what);
        return NULL;
    }
    return value;
}

bool tamis_config_has(tamis_config value, const char *key) { return tamis_config_at_(value, key) != NULL; }

tamis_str tamis_config_text(tamis_config value, const char *key) {
    cJSON *text = tamis_config_want_(value, key, true, cJSON_IsString, "a text");
    return tamis_str_of(text ? text->valuestring : "");
}

tamis_str tamis_config_text_or(tamis_config value, const char *key, const char *otherwise) {
    cJSON *text = tamis_config_want_(value, key, false, cJSON_IsString, "a text");
    return tamis_str_of(text ? text->valuestring : otherwise);
}

double tamis_config_number(tamis_config value, const char *key) {
    cJSON *number = tamis_config_want_(value, key, true, cJSON_IsNumber, "a number");
    return number ? number->valuedouble : 0;
}

double tamis_config_number_or(tamis_config value, const char *key, double otherwise) {
    cJSON *number = tamis_config_want_(value, key, false, cJSON_IsNumber, "a number");
    return number ? number->valuedouble : otherwise;
}

bool tamis_config_flag(tamis_config value, const char *key) {
    cJSON *flag = tamis_config_want_(value, key, true, cJSON_IsBool, "true or false");
    return flag && cJSON_IsTrue(flag);
}

bool tamis_config_flag_or(tamis_config value, const char *key, bool otherwise) {
    cJSON *flag = tamis_config_want_(value, key, false, cJSON_IsBool, "true or false");
    return flag ? cJSON_IsTrue(flag) : otherwise;
}

static tamis_strs tamis_config_texts_of_(cJSON *list) {
    tamis_strs texts = { NULL, 0 };
    size_t len = tamis_config_length((tamis_config)list);
    if (!len) return texts;
    tamis_str *items = (tamis_str *)tamis_keep_memory_(calloc(len, sizeof *items));
    for (tamis_config item = tamis_config_first((tamis_config)list); item; item = tamis_config_next(item))
        items[texts.len++] = tamis_config_text(item, NULL);
    texts.items = items;
    return texts;
}

tamis_strs tamis_config_texts(tamis_config value, const char *key) {
    return tamis_config_texts_of_(tamis_config_want_(value, key, true, cJSON_IsArray, "a list of texts"));
}

tamis_strs tamis_config_texts_or_none(tamis_config value, const char *key) {
    return tamis_config_texts_of_(tamis_config_want_(value, key, false, cJSON_IsArray, "a list of texts"));
}

tamis_config tamis_config_object(tamis_config value, const char *key) {
    cJSON *object = tamis_config_want_(value, key, true, cJSON_IsObject, "an object");
    if (object) object->type |= TAMIS_OPENED_;
    return (tamis_config)object;
}

tamis_config tamis_config_list(tamis_config value, const char *key) {
    return (tamis_config)tamis_config_want_(value, key, true, cJSON_IsArray, "a list");
}

static tamis_config tamis_config_item_(cJSON *item) {
    if (item) item->type |= TAMIS_ASKED_;
    return (tamis_config)item;
}

tamis_config tamis_config_first(tamis_config list) {
    return list ? tamis_config_item_(((cJSON *)(uintptr_t)list)->child) : NULL;
}

tamis_config tamis_config_next(tamis_config item) {
    return item ? tamis_config_item_(((cJSON *)(uintptr_t)item)->next) : NULL;
}

size_t tamis_config_length(tamis_config list) {
    size_t len = 0;
    for (const cJSON *item = list ? ((const cJSON *)list)->child : NULL; item; item = item->next) len++;
    return len;
}

tamis_str tamis_config_key(tamis_config member) {
    return tamis_str_of(member ? ((const cJSON *)member)->string : NULL);
}
