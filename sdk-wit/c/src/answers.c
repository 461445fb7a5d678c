/* One call of a plugin: every event is asked, and what it says becomes the flat lists of the interface. */

#define TAMIS_NAME_BYTES_MAX_ 512
#define TAMIS_FINGERPRINT_BYTES_MAX_ 64
#define TAMIS_FINGERPRINTS_MAX_ 64
/* Texts up to this many are compared one by one, which for a handful is faster than any table. */
#define TAMIS_SCANNED_TEXTS_ 12

static uint32_t tamis_text_hash_(tamis_str text) {
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (size_t i = 0; i < text.len; i++) hash = (hash ^ (uint8_t)text.ptr[i]) * 16777619u;
    return hash;
}

static uint32_t *tamis_interned_place_(const tamis_interner_ *interner, tamis_str text) {
    const tamis_str *texts = (const tamis_str *)interner->texts.ptr;
    uint32_t at = tamis_text_hash_(text);
    for (;; at++) {
        uint32_t *place = &interner->table[at & (interner->table_size - 1)];
        if (*place == 0 || tamis_equal(texts[*place - 1], text)) return place;
    }
}

static void tamis_grow_table_(tamis_interner_ *interner) {
    const tamis_str *texts = (const tamis_str *)interner->texts.ptr;
    interner->table_size = interner->table_size ? interner->table_size * 2 : 64;
    interner->table = (uint32_t *)tamis_alloc_(interner->table_size * sizeof *interner->table, sizeof *interner->table);
    memset(interner->table, 0, interner->table_size * sizeof *interner->table);
    for (size_t i = 0; i < interner->texts.len; i++) *tamis_interned_place_(interner, texts[i]) = (uint32_t)i + 1;
}

/* The number of the text, from 0. */
static uint32_t tamis_intern_(tamis_interner_ *interner, tamis_str text) {
    const tamis_str *texts = (const tamis_str *)interner->texts.ptr;
    size_t len = interner->texts.len;
    if (len && tamis_equal(texts[interner->last], text)) return (uint32_t)interner->last;
    for (size_t i = 0; i < len && i < TAMIS_SCANNED_TEXTS_; i++)
        if (tamis_equal(texts[i], text)) return (uint32_t)(interner->last = i);
    if (len >= TAMIS_SCANNED_TEXTS_) {
        if (interner->table_size < 2 * (len + 1)) tamis_grow_table_(interner);
        uint32_t *place = tamis_interned_place_(interner, text);
        if (*place) return (uint32_t)(interner->last = *place - 1);
        *place = (uint32_t)len + 1;
    }
    *(tamis_str *)tamis_push_(&interner->texts, sizeof text) = tamis_copy_(text);
    return (uint32_t)(interner->last = len);
}

/* A name in an answer. What the host would refuse for the whole batch, this refuses with the words of the one that did it. */
static uint32_t tamis_intern_name_(tamis_interner_ *interner, tamis_str name, const char *what) {
    if (name.len < 1 || name.len > TAMIS_NAME_BYTES_MAX_)
        tamis_panic("%s has 1 to %d bytes, and this one has %zu: \"%.64s\"", what, TAMIS_NAME_BYTES_MAX_, name.len, tamis_copy_(name).ptr);
    return tamis_intern_(interner, name);
}

/* ---- What a scrubber wants to see ---- */

static struct {
    tamis_str *selectors;
    size_t len, room;
} tamis_selected_;

size_t tamis_select_str(tamis_str selector) {
    if (tamis_selected_.len == tamis_selected_.room) {
        tamis_selected_.room = tamis_selected_.room ? tamis_selected_.room * 2 : 8;
        void *grown = realloc(tamis_selected_.selectors, tamis_selected_.room * sizeof selector);
        tamis_selected_.selectors = (tamis_str *)tamis_keep_memory_(grown);
    }
    tamis_selected_.selectors[tamis_selected_.len] = selector;
    return tamis_selected_.len++;
}

size_t tamis_select(const char *selector) { return tamis_select_str(tamis_str_of(selector)); }

static void tamis_begin_selectors_(void) { tamis_selected_.len = 0; }

static tamis_leaves_ *tamis_pull_leaves_(void) {
    size_t len = tamis_selected_.len;
    tamis_leaves_ *lists = (tamis_leaves_ *)tamis_alloc_((len ? len : 1) * sizeof *lists, 8);
    tamis_host_leaves_(tamis_selected_.selectors, len, lists);
    return lists;
}

/* ---- Calls ---- */

const void *tamis_run_init_(const char *json, size_t len) {
    static tamis_init_result_ result;
    tamis_begin_batch_();
    tamis_config config = tamis_config_parse_(json, len);
    tamis_begin_selectors_();
    if (config && tamis_plugin.init) tamis_plugin.init(config);
    tamis_str message = tamis_config_end_();
    /* The batch is empty now: this is for the host to refuse a bad selector at the start and not with every batch. */
    if (!tamis_present(message) && tamis_plugin.scrub) tamis_pull_leaves_();
    result.is_error = tamis_present(message);
    result.message.ptr = message.ptr;
    result.message.len = message.len;
    return &result;
}

static uint32_t tamis_begin_call_(void) {
    tamis_forget_call_();
    tamis_begin_batch_();
    return tamis_host_len_();
}

static tamis_event tamis_event_at_(uint32_t row) {
    tamis_event event = { NULL, row, row + 1 };
    return event;
}

const void *tamis_run_filter_(void) {
    static tamis_verdicts_ answer;
    uint32_t len = tamis_begin_call_();
    uint32_t *verdicts = (uint32_t *)tamis_alloc_(len * sizeof *verdicts, sizeof *verdicts);
    tamis_interner_ reasons = { 0 };
    for (uint32_t row = 0; row < len; row++) {
        tamis_verdict verdict = tamis_plugin.filter(tamis_event_at_(row));
        verdicts[row] = verdict.reason.ptr ? tamis_intern_name_(&reasons, verdict.reason, "the reason of a filter") + 1 : 0;
    }
    answer.verdicts.ptr = verdicts;
    answer.verdicts.len = len;
    answer.reasons = tamis_list_of_(reasons.texts);
    return &answer;
}

const void *tamis_run_sampler_(void) {
    static tamis_rates_ answer;
    uint32_t len = tamis_begin_call_();
    double *rates = (double *)tamis_alloc_(len * sizeof *rates, sizeof *rates);
    uint32_t *decided_by = (uint32_t *)tamis_alloc_(len * sizeof *decided_by, sizeof *decided_by);
    tamis_interner_ rules = { 0 };
    for (uint32_t row = 0; row < len; row++) {
        tamis_rate rate = tamis_plugin.sample(tamis_event_at_(row));
        /* What is no number keeps all. */
        rates[row] = rate.rate < 0 ? 0 : rate.rate <= 1 ? rate.rate : 1;
        decided_by[row] = rate.rule.ptr ? tamis_intern_name_(&rules, rate.rule, "the rule of a sampler") + 1 : 0;
    }
    answer.rates.ptr = rates;
    answer.decided_by.ptr = decided_by;
    answer.rates.len = answer.decided_by.len = len;
    answer.rules = tamis_list_of_(rules.texts);
    return &answer;
}

/* ---- Fingerprints ---- */

static struct {
    tamis_vec_ kind, offsets, data;
    tamis_interner_ kinds;
    size_t of_event;
} tamis_fingerprints_now_;

static void tamis_append_(tamis_vec_ *data, tamis_str text) {
    for (size_t i = 0; i < text.len; i++) *(char *)tamis_push_(data, 1) = text.ptr[i];
}

void tamis_fingerprint(const char *kind, tamis_str fingerprint) {
    if (fingerprint.len < 1 || fingerprint.len > TAMIS_FINGERPRINT_BYTES_MAX_)
        tamis_panic("a fingerprint has 1 to %d bytes, and this one has %zu: \"%.80s\"", TAMIS_FINGERPRINT_BYTES_MAX_, fingerprint.len,
            tamis_copy_(fingerprint).ptr);
    if (++tamis_fingerprints_now_.of_event > TAMIS_FINGERPRINTS_MAX_)
        tamis_panic("an event has at most %d fingerprints", TAMIS_FINGERPRINTS_MAX_);
    uint32_t number = tamis_intern_name_(&tamis_fingerprints_now_.kinds, tamis_str_of(kind), "the kind of a fingerprint");
    *(uint32_t *)tamis_push_(&tamis_fingerprints_now_.kind, sizeof number) = number;
    tamis_append_(&tamis_fingerprints_now_.data, fingerprint);
    *(uint32_t *)tamis_push_(&tamis_fingerprints_now_.offsets, sizeof number) = (uint32_t)tamis_fingerprints_now_.data.len;
}

const void *tamis_run_fingerprinter_(void) {
    static tamis_fingerprints_ answer;
    uint32_t len = tamis_begin_call_();
    uint32_t *counts = (uint32_t *)tamis_alloc_(len * sizeof *counts, sizeof *counts);
    memset(&tamis_fingerprints_now_, 0, sizeof tamis_fingerprints_now_);
    *(uint32_t *)tamis_push_(&tamis_fingerprints_now_.offsets, sizeof *counts) = 0;
    for (uint32_t row = 0; row < len; row++) {
        tamis_fingerprints_now_.of_event = 0;
        tamis_plugin.fingerprint(tamis_event_at_(row));
        counts[row] = (uint32_t)tamis_fingerprints_now_.of_event;
    }
    answer.counts.ptr = counts;
    answer.counts.len = len;
    answer.kind = tamis_list_of_(tamis_fingerprints_now_.kind);
    answer.offsets = tamis_list_of_(tamis_fingerprints_now_.offsets);
    answer.data = tamis_list_of_(tamis_fingerprints_now_.data);
    answer.kinds = tamis_list_of_(tamis_fingerprints_now_.kinds.texts);
    return &answer;
}

/* ---- Leaves ---- */

static void tamis_scrub_selector_(const tamis_leaves_ *list, size_t selector) {
    const uint32_t *events = (const uint32_t *)list->events.ptr, *paths = (const uint32_t *)list->paths.ptr;
    const uint32_t *offsets = (const uint32_t *)list->offsets.ptr, *path_offsets = (const uint32_t *)list->path_offsets.ptr;
    for (size_t i = 0; i < list->ids.len; i++) {
        uint32_t path = paths[i];
        tamis_leaf leaf = {
            tamis_event_at_(events[i]),
            (tamis_leaf_kind)((const uint8_t *)list->kinds.ptr)[i],
            { (const char *)list->path_data.ptr + path_offsets[path], path_offsets[path + 1] - path_offsets[path] },
            ((const uint32_t *)list->path_keys.ptr)[path],
            { (const char *)list->data.ptr + offsets[i], offsets[i + 1] - offsets[i] },
            selector,
            ((const uint32_t *)list->ids.ptr)[i],
        };
        tamis_plugin.scrub(&leaf);
    }
}

const void *tamis_run_scrubber_(void) {
    tamis_begin_call_();
    tamis_begin_edits_();
    const tamis_leaves_ *lists = tamis_pull_leaves_();
    for (size_t i = 0; i < tamis_selected_.len; i++) tamis_scrub_selector_(&lists[i], i);
    return tamis_finish_edits_();
}
