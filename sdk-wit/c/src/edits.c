/* What a scrubber wants changed. */

#define TAMIS_EDIT_WHOLE_ UINT32_MAX
#define TAMIS_EDITS_MAX_ 262144

typedef struct tamis_edit_ {
    uint32_t leaf, start, end, text, rule, number;
    uint8_t op;
} tamis_edit_;

static struct {
    tamis_vec_ edits;
    tamis_interner_ strings;
    bool in_order; /* leaves come in ascending order, so one look tells that no leaf was edited twice */
} tamis_edits_now_;

static void tamis_begin_edits_(void) {
    memset(&tamis_edits_now_, 0, sizeof tamis_edits_now_);
    tamis_edits_now_.in_order = true;
}

static bool tamis_is_boundary_(tamis_str text, size_t at) {
    return at == text.len || (at < text.len && ((uint8_t)text.ptr[at] & 0xc0) != 0x80);
}

static void tamis_check_range_(const tamis_leaf *leaf, tamis_range range) {
    const char *path = tamis_copy_(leaf->path).ptr;
    if (leaf->kind != TAMIS_LEAF_STRING) tamis_panic("%s is no string: only tamis_whole() of it can be edited", path);
    if (range.start > range.end || range.end > leaf->text.len)
        tamis_panic("%s has %zu bytes: there is no range %zu..%zu", path, leaf->text.len, range.start, range.end);
    if (!tamis_is_boundary_(leaf->text, range.start) || !tamis_is_boundary_(leaf->text, range.end))
        tamis_panic("the range %zu..%zu of %s begins or ends within a character", range.start, range.end, path);
}

static void tamis_edit_now_(const tamis_leaf *leaf, uint8_t op, tamis_range range, const char *text, const char *rule) {
    bool whole = range.start == 0 && range.end == SIZE_MAX;
    if (!whole) tamis_check_range_(leaf, range);
    size_t rule_len = strlen(rule);
    if (rule_len < 1 || rule_len > TAMIS_NAME_BYTES_MAX_)
        tamis_panic("the rule of an edit has 1 to %d bytes, and this one has %zu", TAMIS_NAME_BYTES_MAX_, rule_len);
    size_t len = tamis_edits_now_.edits.len;
    if (len == TAMIS_EDITS_MAX_) tamis_panic("a batch has at most %d edits", TAMIS_EDITS_MAX_);
    if (len && ((tamis_edit_ *)tamis_edits_now_.edits.ptr)[len - 1].leaf >= leaf->id_) tamis_edits_now_.in_order = false;
    tamis_edit_ *edit = (tamis_edit_ *)tamis_push_(&tamis_edits_now_.edits, sizeof *edit);
    edit->leaf = leaf->id_;
    edit->op = op;
    edit->start = (uint32_t)range.start;
    edit->end = whole ? TAMIS_EDIT_WHOLE_ : (uint32_t)range.end;
    edit->number = (uint32_t)len;
    edit->text = tamis_intern_(&tamis_edits_now_.strings, tamis_str_of(text));
    edit->rule = tamis_intern_(&tamis_edits_now_.strings, tamis_str_of(rule));
}

void tamis_remove(const tamis_leaf *leaf, tamis_range range, const char *rule) { tamis_edit_now_(leaf, 0, range, "", rule); }

void tamis_replace(const tamis_leaf *leaf, tamis_range range, const char *with, const char *rule) {
    tamis_edit_now_(leaf, 1, range, with, rule);
}

void tamis_mask(const tamis_leaf *leaf, tamis_range range, const char *with, const char *rule) {
    tamis_edit_now_(leaf, 2, range, with, rule);
}

void tamis_hash(const tamis_leaf *leaf, tamis_range range, const char *key, const char *rule) {
    tamis_edit_now_(leaf, 3, range, key, rule);
}

static int tamis_edit_order_(const void *left, const void *right) {
    const tamis_edit_ *a = (const tamis_edit_ *)left, *b = (const tamis_edit_ *)right;
    if (a->leaf != b->leaf) return a->leaf < b->leaf ? -1 : 1;
    if (a->start != b->start) return a->start < b->start ? -1 : 1;
    return a->number < b->number ? -1 : 1;
}

/* Stretches the earlier one of two edits that overlap over both, and gives how many are left. */
static size_t tamis_merge_edits_(tamis_edit_ *edits, size_t len) {
    size_t kept = 0;
    qsort(edits, len, sizeof *edits, tamis_edit_order_);
    for (size_t i = 0; i < len; i++) {
        tamis_edit_ next = edits[i], *last = kept ? &edits[kept - 1] : NULL;
        bool same_range = last && last->start == next.start && last->end == next.end;
        if (!last || last->leaf != next.leaf || (!same_range && next.start >= last->end)) {
            edits[kept++] = next;
            continue;
        }
        uint32_t start = last->start, end = last->end > next.end ? last->end : next.end;
        if (next.number < last->number) *last = next;
        last->start = start;
        last->end = end;
    }
    return kept;
}

static tamis_list_ tamis_column_of_edits_(const tamis_edit_ *edits, size_t len, size_t field) {
    uint32_t *values = (uint32_t *)tamis_alloc_(len * sizeof *values, sizeof *values);
    for (size_t i = 0; i < len; i++) memcpy(&values[i], (const char *)&edits[i] + field, sizeof *values);
    tamis_list_ list = { values, len };
    return list;
}

static const void *tamis_finish_edits_(void) {
    static tamis_edits_ answer;
    tamis_edit_ *edits = (tamis_edit_ *)tamis_edits_now_.edits.ptr;
    size_t len = tamis_edits_now_.edits.len;
    if (!tamis_edits_now_.in_order) len = tamis_merge_edits_(edits, len);
    uint8_t *ops = (uint8_t *)tamis_alloc_(len, 1);
    for (size_t i = 0; i < len; i++) ops[i] = edits[i].op;
    answer.op.ptr = ops;
    answer.op.len = len;
    answer.leaf = tamis_column_of_edits_(edits, len, offsetof(tamis_edit_, leaf));
    answer.start = tamis_column_of_edits_(edits, len, offsetof(tamis_edit_, start));
    answer.end = tamis_column_of_edits_(edits, len, offsetof(tamis_edit_, end));
    answer.text = tamis_column_of_edits_(edits, len, offsetof(tamis_edit_, text));
    answer.rule = tamis_column_of_edits_(edits, len, offsetof(tamis_edit_, rule));
    answer.strings = tamis_list_of_(tamis_edits_now_.strings.texts);
    return &answer;
}
