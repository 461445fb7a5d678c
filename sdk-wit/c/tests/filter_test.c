/* Reading events and configurations, natively. The plugin answers with what it reads. */
#include <math.h>
#include <stdio.h>

#include "tamis_test.h"

static tamis_str what;
static tamis_strs paths;

static void init(tamis_config config) {
    what = tamis_config_text_or(config, "what", "text");
    paths = tamis_config_texts_or_none(config, "paths");
    if (tamis_config_has(config, "limits")) {
        tamis_config limits = tamis_config_object(config, "limits");
        if (tamis_config_number(limits, "low") > tamis_config_number_or(limits, "high", 10)) tamis_config_fail(limits, "low", "above high");
        if (tamis_config_flag_or(limits, "strict", false)) tamis_config_flag(limits, "sure");
    }
    if (!tamis_config_has(config, "rules")) return;
    for (tamis_config rule = tamis_config_first(tamis_config_list(config, "rules")); rule; rule = tamis_config_next(rule))
        tamis_config_text(rule, "name");
}

static char said[4096];

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void say(const char *format, ...) {
    va_list args;
    size_t len = strlen(said);
    va_start(args, format);
    vsnprintf(said + len, sizeof said - len, format, args);
    va_end(args);
}

static void say_text(tamis_str text) {
    say(tamis_present(text) ? "[" TAMIS_FMT "]" : "-", TAMIS_ARG(text));
}

static void say_lists(tamis_event event) {
    for (tamis_item e = tamis_exceptions(event); tamis_more(e); e = tamis_next(e)) {
        say_text(tamis_text(e, "type"));
        for (tamis_item f = tamis_frames(e); tamis_more(f); f = tamis_next(f)) {
            say_text(tamis_text(f, "function"));
            say("%g", tamis_number(f, "lineno", -1));
        }
        say_text(tamis_text(tamis_nth(tamis_frames(e), -1), "function"));
        say_text(tamis_text(tamis_nth(tamis_frames(e), 7), "function"));
        say("(%zu)", tamis_count(e, "stacktrace.frames"));
    }
    say("%zu %zu", tamis_length(tamis_exceptions(event)), tamis_count(event, "exception.values.*.stacktrace.frames"));
    tamis_cells types = tamis_texts(event, "exception.values.*.stacktrace.frames.*.function");
    for (size_t i = 0; i < types.len; i++) say_text(tamis_cell(types, i));
    say_text(tamis_text(event, "exception.values.*.type"));
    say("%g", tamis_number(event, "exception.values.*.stacktrace.frames.*.lineno", -1));
    say("%zu", tamis_length(tamis_items(event, "exception.values.*.stacktrace.frames")));
}

static tamis_verdict filter(tamis_event event) {
    said[0] = 0;
    for (size_t i = 0; i < paths.len; i++) {
        const char *path = paths.items[i].ptr;
        if (tamis_is(what, "text")) say_text(tamis_text(event, path));
        if (tamis_is(what, "buffer")) {
            static char buffer[64]; /* the same address with another path in it */
            snprintf(buffer, sizeof buffer, "%s", path);
            say_text(tamis_text(event, buffer));
        }
        if (tamis_is(what, "json")) say_text(tamis_json(event, path));
        if (tamis_is(what, "tag")) say_text(tamis_tag(event, path));
        if (tamis_is(what, "number")) say("%g ", tamis_number(event, path, NAN));
        if (tamis_is(what, "flag")) say("%d%d ", tamis_flag(event, path, false), tamis_flag(event, path, true));
        if (tamis_is(what, "count")) say("%zu ", tamis_count(event, path));
    }
    if (tamis_is(what, "lists")) say_lists(event);
    if (tamis_is(what, "known")) say("%d %d", (int)tamis_project_id(event), (int)tamis_received_at(event));
    if (tamis_is(what, "user")) {
        say_text(tamis_user_id(event));
        say_text(tamis_user_email(event));
        say_text(tamis_user_ip_address(event));
        say_text(tamis_user_username(event));
    }
    return said[0] ? tamis_drop(said) : tamis_keep();
}

TAMIS_FILTER(init, filter)

#define EVENTS TAMIS_JSON([ \
    {"release": "1.0", "n": 1.5, "yes": true, "tags": {"a'b.\\c": "x", "k": "v"}, "$meta": {"project_id": 7, "received_at": 99}, \
     "exception": {"values": [ \
        {"type": "A", "stacktrace": {"frames": [{"function": "f", "lineno": 1}, {"function": "g"}]}}, \
        {"stacktrace": {"frames": []}}, \
        {"type": "C", "stacktrace": {"frames": [{"lineno": 3}]}}]}}, \
    {"release": "", "n": "1.5", "yes": "no", "tags": [["k", "w"]], "user": {"id": 5, "email": "e", "ip_address": "i", "username": "u"}}])

TAMIS_TEST(texts_are_read) {
    tamis_answers *answers = tamis_try(TAMIS_JSON({"paths": ["release", "n", "yes", "none"]}), EVENTS);
    TAMIS_EXPECT_DROP(answers, 0, "[1.0][1.5][true]-");
    TAMIS_EXPECT_DROP(answers, 1, "[][1.5][no]-");
}

TAMIS_TEST(other_types_are_read) {
    TAMIS_EXPECT_DROP(tamis_try(TAMIS_JSON({"what": "number", "paths": ["n", "release"]}), EVENTS), 0, "1.5 nan ");
    TAMIS_EXPECT_DROP(tamis_try(TAMIS_JSON({"what": "number", "paths": ["n"]}), EVENTS), 1, "nan ");
    TAMIS_EXPECT_DROP(tamis_try(TAMIS_JSON({"what": "flag", "paths": ["yes", "none"]}), EVENTS), 0, "11 01 ");
    TAMIS_EXPECT_DROP(tamis_try(TAMIS_JSON({"what": "json", "paths": ["tags", "none"]}), EVENTS), 1, "[[[\"k\", \"w\"]]]-");
    TAMIS_EXPECT_DROP(tamis_try(TAMIS_JSON({"what": "count", "paths": ["tags", "none"]}), EVENTS), 0, "2 0 ");
}

TAMIS_TEST(tags_are_read_by_any_key) {
    tamis_answers *answers = tamis_try(TAMIS_JSON({"what": "tag", "paths": ["k", "a'b.\\c"]}), EVENTS);
    TAMIS_EXPECT_DROP(answers, 0, "[v][x]");
    TAMIS_EXPECT_DROP(answers, 1, "[w]-");
}

TAMIS_TEST(lists_are_walked) {
    tamis_answers *answers = tamis_try(TAMIS_JSON({"what": "lists"}), EVENTS);
    TAMIS_EXPECT_DROP(answers, 0, "[A][f]1[g]-1[g]-(2)---(0)[C]-3--(1)3 3[f][g]-[A]13");
    TAMIS_EXPECT_DROP(answers, 1, "0 0--10");
}

TAMIS_TEST(the_host_and_the_user_are_known) {
    TAMIS_EXPECT_DROP(tamis_try(TAMIS_JSON({"what": "known"}), EVENTS), 0, "7 99");
    TAMIS_EXPECT_DROP(tamis_try(TAMIS_JSON({"what": "user"}), EVENTS), 0, "----");
    TAMIS_EXPECT_DROP(tamis_try(TAMIS_JSON({"what": "user"}), EVENTS), 1, "[5][e][i][u]");
}

TAMIS_TEST(a_path_in_one_buffer_is_read_by_what_it_says) {
    tamis_answers *answers = tamis_try(TAMIS_JSON({"what": "buffer", "paths": ["release", "tags.*", "release"]}), EVENTS);
    TAMIS_EXPECT_DROP(answers, 0, "[1.0][x][1.0]");
}

TAMIS_TEST(mistakes_of_the_configuration_are_named) {
    static const struct {
        const char *config, *error;
    } cases[] = {
        { "[1]", "no object" },
        { "{", "no JSON, from byte 1 on" },
        { "{} x", "no JSON, from byte 3 on" },
        { "{\"what\": \"a\\u0000b\"}", "a text with \\u0000 in it" },
        { "{\"what\": 5}", "what: a number, where a text is expected" },
        { "{\"paths\": [\"a\", 5]}", "paths[1]: a number, where a text is expected" },
        { "{\"wat\": 5}", "wat: unknown key" },
        { "{\"limits\": {\"low\": 11}}", "limits.low: above high" },
        { "{\"limits\": {\"high\": 11}}", "limits.low: missing: a number is expected" },
        { "{\"limits\": {\"low\": 1, \"hi\": 11}}", "limits.hi: unknown key" },
        { "{\"limits\": {\"low\": 1, \"strict\": true, \"sure\": 0}}", "limits.sure: a number, where true or false is expected" },
        { "{\"limits\": 5}", "limits: a number, where an object is expected" },
        { "{\"rules\": {}}", "rules: an object, where a list is expected" },
        { "{\"rules\": [{\"name\": \"a\"}, 5]}", "rules[1]: a number, where an object is expected" },
        { "{\"rules\": [{\"name\": \"a\"}, {\"name\": \"b\", \"nam\": 1}]}", "rules[1].nam: unknown key" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tamis_answers *answers = tamis_try(cases[i].config, "{}");
        TAMIS_EXPECT(answers->error != NULL);
        if (answers->error) tamis_expect_(strcmp(answers->error, cases[i].error) == 0, __FILE__, __LINE__, "%s: %s", cases[i].config, answers->error);
    }
    TAMIS_EXPECT_KEEP(tamis_try("", "{}"), 0);
    TAMIS_EXPECT_KEEP(tamis_try("null", "{}"), 0);
    TAMIS_EXPECT_KEEP(tamis_try("{\"what\": null}", "{}"), 0);
}

TAMIS_TEST(what_the_host_would_refuse_is_a_panic) {
    TAMIS_EXPECT_PANIC(TAMIS_JSON({"paths": ["a..b"]}), "{}", "the host ends the call: path \"a..b\": a segment is empty");
    TAMIS_EXPECT_PANIC("{}", "[{]", "tamis plugin columns gave no columns of the events");
}
