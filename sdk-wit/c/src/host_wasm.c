/* The host as a component has it: the imports and exports of the canonical ABI, declared by hand. All lists are flat, so that they are
 * pointers and lengths in our memory, for which the host asks by cabi_realloc. */

#define TAMIS_IMPORT_(interface, name) \
    __attribute__((import_module("tamis:plugin/" interface "@0.1.0"), import_name(name))) extern

TAMIS_IMPORT_("batch", "len") uint32_t tamis_import_len_(void);
TAMIS_IMPORT_("batch", "strings") void tamis_import_strings_(const char *path, size_t len, tamis_texts_ *out);
TAMIS_IMPORT_("batch", "numbers") void tamis_import_numbers_(const char *path, size_t len, tamis_reals_ *out);
TAMIS_IMPORT_("batch", "json") void tamis_import_json_(const char *path, size_t len, tamis_texts_ *out);
TAMIS_IMPORT_("batch", "counts") void tamis_import_counts_(const char *path, size_t len, tamis_list_ *out);
TAMIS_IMPORT_("batch", "leaves") void tamis_import_leaves_(const char *selector, size_t len, tamis_leaves_ *out);
TAMIS_IMPORT_("log", "log") void tamis_import_log_(int32_t level, const char *message, size_t len);

_Static_assert(sizeof(void *) == 4 && sizeof(size_t) == 4, "the lists of the interface are laid out for wasm32");

static uint32_t tamis_host_len_(void) { return tamis_import_len_(); }

static tamis_texts_ tamis_host_strings_(tamis_str path) {
    tamis_texts_ texts;
    tamis_import_strings_(path.ptr, path.len, &texts);
    return texts;
}

static tamis_reals_ tamis_host_numbers_(tamis_str path) {
    tamis_reals_ reals;
    tamis_import_numbers_(path.ptr, path.len, &reals);
    return reals;
}

static tamis_texts_ tamis_host_json_(tamis_str path) {
    tamis_texts_ texts;
    tamis_import_json_(path.ptr, path.len, &texts);
    return texts;
}

static tamis_list_ tamis_host_counts_(tamis_str path) {
    tamis_list_ counts;
    tamis_import_counts_(path.ptr, path.len, &counts);
    return counts;
}

static void tamis_host_leaves_(const tamis_str *selectors, size_t len, tamis_leaves_ *out) {
    for (size_t i = 0; i < len; i++) tamis_import_leaves_(selectors[i].ptr, selectors[i].len, &out[i]);
}

static void tamis_host_log_(int level, tamis_str message) { tamis_import_log_(level, message.ptr, message.len); }

/* The host puts what it gives into the memory of the call. The configuration comes before `init`, which does not forget it. */
__attribute__((export_name("cabi_realloc"))) void *tamis_realloc_export_(void *old, size_t old_size, size_t align, size_t size) {
    void *memory = tamis_alloc_(size, align ? align : 1);
    if (old_size) memcpy(memory, old, old_size < size ? old_size : size);
    return memory;
}

_Noreturn void tamis_abort_(void) { tamis_panic("abort was called"); }

_Noreturn void tamis_assert_fail_(const char *condition, const char *file, int line, const char *function) {
    tamis_panic("assertion failed: %s (%s:%d, %s)", condition, file, line, function);
}
