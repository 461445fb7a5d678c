/* The memory of a call: blocks that are filled from front to back and forgotten as a whole when the next call begins. What the host hands
 * over (cabi_realloc) and what the SDK makes of it lie here, so that nothing is freed one by one and nothing leaks. */

typedef struct tamis_block_ {
    struct tamis_block_ *older;
    size_t size, used;
} tamis_block_;

static tamis_block_ *tamis_block_now_;

/* A batch of 256 events and three columns needs less. */
#define TAMIS_BLOCK_BYTES_MIN_ ((size_t)64 << 10)

static tamis_block_ *tamis_new_block_(size_t size, tamis_block_ *older) {
    tamis_block_ *block = (tamis_block_ *)malloc(sizeof *block + size);
    if (!block) tamis_panic("out of memory: %zu bytes more are not to be had", size);
    block->older = older;
    block->size = size;
    block->used = 0;
    return block;
}

static void *tamis_alloc_(size_t size, size_t align) {
    tamis_block_ *block = tamis_block_now_;
    if (block) {
        uintptr_t begin = (uintptr_t)(block + 1), at = (begin + block->used + align - 1) & ~(uintptr_t)(align - 1);
        size_t before = (size_t)(at - begin);
        if (before <= block->size && size <= block->size - before) {
            block->used = before + size;
            return (void *)at;
        }
    }
    if (size > SIZE_MAX / 2) tamis_panic("out of memory: %zu bytes are not to be had", size);
    size_t next = block ? block->size * 2 : TAMIS_BLOCK_BYTES_MIN_;
    tamis_block_now_ = tamis_new_block_(size + align > next ? size + align : next, block);
    return tamis_alloc_(size, align);
}

/* Keeps one block that has room for all that the call before needed: after a few calls nothing is allocated any more. */
static void tamis_forget_call_(void) {
    tamis_block_ *block = tamis_block_now_;
    if (!block) return;
    if (block->older) {
        size_t total = 0;
        while (block) {
            tamis_block_ *older = block->older;
            total += block->size;
            free(block);
            block = older;
        }
        tamis_block_now_ = NULL; /* a panic for want of memory logs by allocating */
        block = tamis_block_now_ = tamis_new_block_(total, NULL);
    }
    block->used = 0;
}

static void *tamis_push_(tamis_vec_ *vec, size_t size) {
    if (vec->len == vec->room) {
        size_t room = vec->room ? vec->room * 2 : 64;
        void *grown = tamis_alloc_(room * size, 8);
        if (vec->len) memcpy(grown, vec->ptr, vec->len * size);
        vec->ptr = grown;
        vec->room = room;
    }
    return (char *)vec->ptr + size * vec->len++;
}

static tamis_str tamis_copy_(tamis_str text) {
    char *copy = (char *)tamis_alloc_(text.len + 1, 1);
    if (text.len) memcpy(copy, text.ptr, text.len);
    copy[text.len] = 0;
    tamis_str copied = { copy, text.len };
    return copied;
}

static tamis_str tamis_format_(const char *format, va_list args) {
    va_list again;
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    char *text = (char *)tamis_alloc_(len < 0 ? 1 : (size_t)len + 1, 1);
    text[0] = 0;
    if (len > 0) vsnprintf(text, (size_t)len + 1, format, again);
    va_end(again);
    tamis_str formatted = { text, len < 0 ? 0 : (size_t)len };
    return formatted;
}

/* Memory that lives as long as the instance. */
static void *tamis_keep_memory_(void *memory) {
    if (!memory) tamis_panic("out of memory");
    return memory;
}

/* ---- Texts ---- */

bool tamis_starts_with(tamis_str text, const char *prefix) {
    size_t len = strlen(prefix);
    return text.ptr && text.len >= len && memcmp(text.ptr, prefix, len) == 0;
}

bool tamis_ends_with(tamis_str text, const char *suffix) {
    size_t len = strlen(suffix);
    return text.ptr && text.len >= len && memcmp(text.ptr + text.len - len, suffix, len) == 0;
}

bool tamis_contains(tamis_str text, tamis_str part) {
    if (!text.ptr || !part.ptr || part.len > text.len) return false;
    if (part.len == 0) return true;
    const char *at = text.ptr, *last = text.ptr + (text.len - part.len);
    while (at <= last && (at = (const char *)memchr(at, part.ptr[0], (size_t)(last - at) + 1))) {
        if (memcmp(at, part.ptr, part.len) == 0) return true;
        at++;
    }
    return false;
}

/* ---- The host's log ---- */

static void tamis_log_(int level, const char *format, va_list args) {
    tamis_host_log_(level, tamis_format_(format, args));
}

#define TAMIS_LOG_FUNCTION_(name, level) \
    void name(const char *format, ...) { \
        va_list args; \
        va_start(args, format); \
        tamis_log_(level, format, args); \
        va_end(args); \
    }
TAMIS_LOG_FUNCTION_(tamis_error, TAMIS_LEVEL_ERROR_)
TAMIS_LOG_FUNCTION_(tamis_warn, TAMIS_LEVEL_WARN_)
TAMIS_LOG_FUNCTION_(tamis_info, TAMIS_LEVEL_INFO_)
TAMIS_LOG_FUNCTION_(tamis_debug, TAMIS_LEVEL_DEBUG_)

void tamis_panic(const char *format, ...) {
    /* Not in the memory of the call: there may be none left. */
    static char line[4096];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    tamis_host_log_(TAMIS_LEVEL_ERROR_, tamis_str_of(line));
#ifdef __wasm__
    __builtin_trap();
#else
    abort();
#endif
}
