/* The columns that the plugin has pulled of the current batch, and the reading that is not inline. */

/* Stands for no column: it is found under no path. */
static tamis_column_ tamis_no_column_;
tamis_batch_ tamis_batch_now_ = { &tamis_no_column_, &tamis_no_column_, NULL };

static void tamis_begin_batch_(void) {
    tamis_no_column_.after = &tamis_no_column_;
    tamis_batch_now_.guess = tamis_batch_now_.last = &tamis_no_column_;
    tamis_batch_now_.newest = NULL;
}

static tamis_str tamis_joined_(tamis_str front, tamis_str back) {
    if (!front.len) return tamis_copy_(back);
    if (!back.len) return tamis_copy_(front);
    char *text = (char *)tamis_alloc_(front.len + back.len + 2, 1);
    memcpy(text, front.ptr, front.len);
    text[front.len] = '.';
    memcpy(text + front.len + 1, back.ptr, back.len);
    tamis_str joined = { text, front.len + 1 + back.len };
    return joined;
}

/* A tag's key as a path, whatever is in it. */
static tamis_str tamis_tag_path_(tamis_str key) {
    static const char before[] = "tags.'";
    char *text = (char *)tamis_alloc_(sizeof before + 2 * key.len + 1, 1), *end = text;
    memcpy(end, before, sizeof before - 1);
    end += sizeof before - 1;
    for (size_t i = 0; i < key.len; i++) {
        if (key.ptr[i] == '\'' || key.ptr[i] == '\\') *end++ = '\\';
        *end++ = key.ptr[i];
    }
    *end++ = '\'';
    tamis_str path = { text, (size_t)(end - text) };
    return path;
}

/* The path of the list whose items the last star stands for; none if there is no star. */
static tamis_str tamis_starred_list_(tamis_str path) {
    bool quoted = false, escaped = false;
    tamis_str list = { NULL, 0 };
    for (size_t at = 0; at < path.len; at++) {
        char c = path.ptr[at];
        if (escaped) {
            escaped = false;
        } else if (quoted && c == '\\') {
            escaped = true;
        } else if (c == '\'') {
            quoted = !quoted;
        } else if (c == '*' && !quoted) {
            list.ptr = path.ptr;
            list.len = at > 0 && path.ptr[at - 1] == '.' ? at - 1 : at;
        }
    }
    return list;
}

static tamis_item tamis_in_(const tamis_column_ *list) {
    tamis_item item = { list, 0, 0 };
    return item;
}

/* The items of the list under the path; with a star in it, the items of all those lists in a row. */
static void tamis_pull_list_(tamis_column_ *column, tamis_str full) {
    tamis_list_ counts = tamis_host_counts_(full);
    uint32_t *starts = (uint32_t *)tamis_alloc_((counts.len + 1) * sizeof *starts, sizeof *starts), next = 0;
    for (size_t i = 0; i < counts.len; i++) {
        starts[i] = next;
        next += ((const uint32_t *)counts.ptr)[i];
    }
    starts[counts.len] = next;
    column->starts = starts;
    column->rows = (uint32_t)counts.len;
    column->items = tamis_joined_(full, tamis_str_of("*"));
    tamis_str outer_path = tamis_starred_list_(column->path);
    if (!outer_path.ptr) return;
    const tamis_column_ *outer = tamis_look_for_(tamis_in_(column->list), TAMIS_KIND_LIST_, outer_path);
    uint32_t *outer_starts = (uint32_t *)tamis_alloc_((outer->rows + 1) * sizeof *starts, sizeof *starts);
    for (uint32_t row = 0; row <= outer->rows; row++) outer_starts[row] = starts[outer->starts[row]];
    column->starts = outer_starts;
    column->rows = outer->rows;
}

static void tamis_pull_texts_(tamis_column_ *column, tamis_texts_ texts) {
    column->presence = (const uint8_t *)texts.presence.ptr;
    column->offsets = (const uint32_t *)texts.offsets.ptr;
    column->data = (const char *)texts.data.ptr;
    column->rows = (uint32_t)texts.presence.len;
}

static void tamis_pull_(tamis_column_ *column) {
    tamis_str within = column->list ? column->list->items : tamis_str_of("");
    tamis_str path = column->kind == TAMIS_KIND_TAG_ ? tamis_tag_path_(column->path) : column->path;
    tamis_str full = tamis_joined_(within, path);
    switch (column->kind) {
    case TAMIS_KIND_NONE_: tamis_panic("a column of no kind: this is a mistake of the SDK");
    case TAMIS_KIND_TEXT_:
    case TAMIS_KIND_TAG_: tamis_pull_texts_(column, tamis_host_strings_(full)); break;
    case TAMIS_KIND_JSON_: tamis_pull_texts_(column, tamis_host_json_(full)); break;
    case TAMIS_KIND_NUMBER_: {
        tamis_reals_ reals = tamis_host_numbers_(full);
        column->presence = (const uint8_t *)reals.presence.ptr;
        column->values = (const double *)reals.values.ptr;
        column->rows = (uint32_t)reals.presence.len;
        break;
    }
    case TAMIS_KIND_COUNT_: {
        tamis_list_ counts = tamis_host_counts_(full);
        column->counts = (const uint32_t *)counts.ptr;
        column->rows = (uint32_t)counts.len;
        break;
    }
    case TAMIS_KIND_LIST_:
        tamis_pull_list_(column, full);
        return;
    }
    tamis_str list = tamis_starred_list_(path);
    if (list.ptr) {
        const tamis_column_ *starred = tamis_look_for_(tamis_in_(column->list), TAMIS_KIND_LIST_, list);
        column->starts = starred->starts;
    }
}

const tamis_column_ *tamis_look_for_(tamis_item item, tamis_kind_ kind, tamis_str path) {
    tamis_column_ *before = tamis_batch_now_.last, *found = tamis_batch_now_.newest;
    while (found && !(found->kind == kind && found->list == item.list && tamis_equal(found->path, path))) found = found->older;
    if (!found) {
        found = (tamis_column_ *)tamis_alloc_(sizeof *found, 8);
        memset(found, 0, sizeof *found);
        found->list = item.list;
        found->kind = kind;
        found->path = tamis_copy_(path);
        found->after = &tamis_no_column_;
        tamis_pull_(found);
        found->older = tamis_batch_now_.newest;
        tamis_batch_now_.newest = found;
    }
    before->after = found;
    tamis_batch_now_.last = found;
    tamis_batch_now_.guess = found->after;
    return found;
}

/* ---- Reading ---- */

static tamis_str tamis_row_text_(const tamis_column_ *column, uint32_t row) {
    tamis_str text = { NULL, 0 };
    if (!column->presence[row]) return text;
    text.ptr = column->data + column->offsets[row];
    text.len = column->offsets[row + 1] - column->offsets[row];
    return text;
}

tamis_str tamis_first_text_(const tamis_column_ *column, uint32_t row) {
    tamis_str none = { NULL, 0 };
    for (uint32_t at = column->starts[row]; at < column->starts[row + 1]; at++)
        if (column->presence[at]) return tamis_row_text_(column, at);
    return none;
}

double tamis_first_number_(const tamis_column_ *column, uint32_t row, double otherwise) {
    for (uint32_t at = column->starts[row]; at < column->starts[row + 1]; at++)
        if (column->presence[at]) return column->values[at];
    return otherwise;
}

tamis_str tamis_json(tamis_item item, const char *path) {
    return tamis_text_in_(tamis_column_of_(item, TAMIS_KIND_JSON_, path), item);
}

tamis_cells tamis_texts(tamis_item item, const char *path) {
    const tamis_column_ *column = tamis_column_of_(item, TAMIS_KIND_TEXT_, path);
    tamis_cells cells = { column, item.row, item.row < item.end ? 1 : 0 };
    if (cells.len && column->starts) {
        cells.row = column->starts[item.row];
        cells.len = column->starts[item.row + 1] - cells.row;
    }
    return cells;
}

tamis_str tamis_cell(tamis_cells cells, size_t index) {
    if (index >= cells.len) tamis_panic("tamis_cell: index %zu, and there are %zu", index, cells.len);
    return tamis_row_text_(cells.column, cells.row + (uint32_t)index);
}

size_t tamis_count(tamis_item item, const char *path) {
    const tamis_column_ *column = tamis_column_of_(item, TAMIS_KIND_COUNT_, path);
    if (item.row >= item.end) return 0;
    if (!column->starts) return column->counts[item.row];
    size_t sum = 0;
    for (uint32_t at = column->starts[item.row]; at < column->starts[item.row + 1]; at++) sum += column->counts[at];
    return sum;
}

tamis_item tamis_nth(tamis_item item, ptrdiff_t index) {
    size_t len = tamis_length(item);
    if (index < 0) index += (ptrdiff_t)len;
    bool within = index >= 0 && (size_t)index < len;
    item.row = within ? item.row + (uint32_t)index : item.end;
    if (within) item.end = item.row + 1;
    return item;
}
