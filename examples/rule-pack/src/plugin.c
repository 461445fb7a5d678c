/* Drops events by a pack of rules: a field, a pattern (a POSIX extended regular expression), a reason. The first rule that matches decides.
 *
 * The engine is that of the C library, <regex.h>; in the component that is TRE, by way of musl. It follows all alternatives at once and
 * knows no back-references in extended expressions, so that nothing backtracks: a match costs at most the length of the text times the
 * states of the pattern. Lengths are bounded here. States are many only with counted repeats within counted repeats, `(a{255}){255}`:
 * 0.15 s for one text of 8 KiB, which the deadline of the stage (`call_time_max`) catches if a batch has several of them; and one
 * level more finds no memory and is refused at the start. */
#include <locale.h>
#include <regex.h>
#include <stdlib.h>

#include "tamis.h"

/* What is behind these bytes of a text is not looked at. */
#define TEXT_BYTES_MAX 8192
#define PATTERN_BYTES_MAX 512
#define REASON_BYTES_MAX 512

typedef struct rule {
    const char *field;
    regex_t pattern;
    tamis_str reason;
} rule;

static rule *rules;
static size_t rules_len;

static void read_rule(tamis_config config, rule *out) {
    out->field = tamis_config_text(config, "field").ptr;
    out->reason = tamis_config_text(config, "reason");
    tamis_str pattern = tamis_config_text(config, "pattern");
    int flags = REG_EXTENDED | REG_NOSUB | (tamis_config_flag_or(config, "ignore_case", false) ? REG_ICASE : 0);
    if (!tamis_config_failed() && !*out->field) tamis_config_fail(config, "field", "it is empty");
    if (out->reason.len < 1 || out->reason.len > REASON_BYTES_MAX)
        tamis_config_fail(config, "reason", "a reason has 1 to %d bytes", REASON_BYTES_MAX);
    if (pattern.len < 1 || pattern.len > PATTERN_BYTES_MAX)
        tamis_config_fail(config, "pattern", "a pattern has 1 to %d bytes", PATTERN_BYTES_MAX);
    if (tamis_config_failed()) return;
    int wrong = regcomp(&out->pattern, pattern.ptr, flags);
    if (wrong) {
        char why[128];
        regerror(wrong, &out->pattern, why, sizeof why);
        tamis_config_fail(config, "pattern", "%s", why);
    }
}

static void init(tamis_config config) {
    /* So that `.` is a character and not a byte. */
    setlocale(LC_CTYPE, "C.UTF-8");
    tamis_config list = tamis_config_list(config, "rules");
    rules_len = tamis_config_length(list);
    rules = calloc(rules_len ? rules_len : 1, sizeof *rules);
    if (!rules) tamis_panic("out of memory for %zu rules", rules_len);
    rule *next = rules;
    for (tamis_config item = tamis_config_first(list); item; item = tamis_config_next(item)) read_rule(item, next++);
}

/* The engine wants a zero behind a text and none within. */
static const char *terminated(tamis_str text) {
    static char copy[TEXT_BYTES_MAX + 1];
    size_t len = text.len < TEXT_BYTES_MAX ? text.len : TEXT_BYTES_MAX;
    /* Not in the middle of a character. */
    while (len < text.len && len > 0 && ((unsigned char)text.ptr[len] & 0xc0) == 0x80) len--;
    memcpy(copy, text.ptr, len);
    for (char *zero = copy; (zero = memchr(zero, 0, (size_t)(copy + len - zero)));) *zero = ' ';
    copy[len] = 0;
    return copy;
}

static bool matches(const rule *rule, tamis_event event) {
    tamis_cells texts = tamis_texts(event, rule->field);
    for (size_t i = 0; i < texts.len; i++) {
        tamis_str text = tamis_cell(texts, i);
        if (tamis_present(text) && regexec(&rule->pattern, terminated(text), 0, NULL, 0) == 0) return true;
    }
    return false;
}

static tamis_verdict filter(tamis_event event) {
    for (size_t i = 0; i < rules_len; i++)
        if (matches(&rules[i], event)) return tamis_drop_for(rules[i].reason);
    return tamis_keep();
}

TAMIS_FILTER(init, filter)
