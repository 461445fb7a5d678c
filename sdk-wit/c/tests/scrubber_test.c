/* Leaves and edits. The configuration says what is done to which range of each leaf. */
#include <stdio.h>

#include "tamis_test.h"

static tamis_config edits_now;

static void init(tamis_config config) {
    tamis_strs selectors = tamis_config_texts(config, "selectors");
    for (size_t i = 0; i < selectors.len; i++) tamis_select_str(selectors.items[i]);
    edits_now = tamis_config_list(config, "edits");
    for (tamis_config edit = tamis_config_first(edits_now); edit; edit = tamis_config_next(edit)) {
        tamis_config_text(edit, "op");
        tamis_config_text(edit, "rule");
        tamis_config_number_or(edit, "start", 0);
        tamis_config_number_or(edit, "end", -1);
    }
}

static void scrub(const tamis_leaf *leaf) {
    for (tamis_config edit = tamis_config_first(edits_now); edit; edit = tamis_config_next(edit)) {
        double end = tamis_config_number_or(edit, "end", -1);
        tamis_range range = end < 0 ? tamis_whole() : tamis_bytes((size_t)tamis_config_number_or(edit, "start", 0), (size_t)end);
        const char *rule = tamis_config_text(edit, "rule").ptr;
        switch (*tamis_config_text(edit, "op").ptr) {
        case 'm': tamis_mask(leaf, range, "#", rule); break;
        case 'h': tamis_hash(leaf, range, "key", rule); break;
        case 'p': tamis_replace(leaf, range, "[x]", rule); break;
        default: tamis_remove(leaf, range, rule);
        }
    }
}

TAMIS_SCRUBBER(init, scrub)

TAMIS_TEST(edits_name_their_leaves) {
    tamis_answers *answers = tamis_try(TAMIS_JSON({"selectors": ["user.email", "n && $number"], "edits": [{"op": "mask", "rule": "@a"}]}),
        TAMIS_JSON([{"user": {"email": "a@b"}, "n": 5}, {"user": {"email": "c"}}]));
    TAMIS_EXPECT(answers->edits_len == 3);
    TAMIS_EXPECT_EDIT(answers, 0, "user.email", "mask", "a@b", "@a");
    TAMIS_EXPECT(answers->edits[0].event == 0);
    TAMIS_EXPECT(strcmp(answers->edits[0].with, "#") == 0);
    TAMIS_EXPECT_EDIT(answers, 1, "n", "mask", "5", "@a");
    TAMIS_EXPECT_EDIT(answers, 2, "user.email", "mask", "c", "@a");
    TAMIS_EXPECT(answers->edits[2].event == 1);
}

TAMIS_TEST(edits_that_overlap_are_stretched) {
    static const struct {
        const char *edits, *first, *second; /* what is found, "" for none */
    } cases[] = {
        { "{\"op\":\"r\",\"rule\":\"1\",\"start\":0,\"end\":2},{\"op\":\"r\",\"rule\":\"2\",\"start\":4,\"end\":6}", "01", "45" },
        { "{\"op\":\"r\",\"rule\":\"1\",\"start\":0,\"end\":2},{\"op\":\"r\",\"rule\":\"2\",\"start\":2,\"end\":4}", "01", "23" },
        { "{\"op\":\"r\",\"rule\":\"1\",\"start\":3,\"end\":8},{\"op\":\"r\",\"rule\":\"2\",\"start\":0,\"end\":5}", "01234567", "" },
        { "{\"op\":\"r\",\"rule\":\"1\",\"start\":3,\"end\":5},{\"op\":\"r\",\"rule\":\"2\"}", "0123456789", "" },
        { "{\"op\":\"r\",\"rule\":\"1\"},{\"op\":\"r\",\"rule\":\"2\"}", "0123456789", "" },
        { "{\"op\":\"r\",\"rule\":\"1\",\"start\":4,\"end\":6},{\"op\":\"r\",\"rule\":\"2\",\"start\":0,\"end\":1}", "0", "45" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char config[512];
        snprintf(config, sizeof config, "{\"selectors\": [\"a\"], \"edits\": [%s]}", cases[i].edits);
        tamis_answers *answers = tamis_try(config, TAMIS_JSON({"a": "0123456789"}));
        bool merged = !*cases[i].second, turned = i == 5;
        TAMIS_EXPECT(answers->edits_len == (merged ? 1 : 2));
        TAMIS_EXPECT_EDIT(answers, 0, "a", "remove", cases[i].first, turned ? "2" : "1");
        if (!merged) TAMIS_EXPECT_EDIT(answers, 1, "a", "remove", cases[i].second, turned ? "1" : "2");
    }
}

TAMIS_TEST(all_operations) {
    tamis_answers *answers = tamis_try(
        TAMIS_JSON({"selectors": ["a"], "edits": [{"op": "r", "rule": "1", "start": 0, "end": 2}, {"op": "p", "rule": "2", "start": 2, "end": 4},
            {"op": "m", "rule": "3", "start": 4, "end": 5}, {"op": "h", "rule": "4", "start": 5, "end": 6}]}),
        TAMIS_JSON({"a": "é123456"}));
    TAMIS_EXPECT_EDIT(answers, 0, "a", "remove", "é", "1");
    TAMIS_EXPECT_EDIT(answers, 1, "a", "replace", "12", "2");
    TAMIS_EXPECT_EDIT(answers, 2, "a", "mask", "3", "3");
    TAMIS_EXPECT_EDIT(answers, 3, "a", "hash", "4", "4");
    TAMIS_EXPECT(strcmp(answers->edits[3].with, "key") == 0);
}

#define EDIT(edit) "{\"selectors\": [\"**\", \"$number\"], \"edits\": [" edit "]}"

TAMIS_TEST(edits_that_the_host_would_refuse_are_panics) {
    static const struct {
        const char *config, *event, *part;
    } cases[] = {
        { EDIT("{\"op\":\"r\",\"rule\":\"1\",\"start\":2,\"end\":4}"), "{\"a\":\"123\"}", "a has 3 bytes: there is no range 2..4" },
        { EDIT("{\"op\":\"r\",\"rule\":\"1\",\"start\":2,\"end\":1}"), "{\"a\":\"123\"}", "a has 3 bytes: there is no range 2..1" },
        { EDIT("{\"op\":\"r\",\"rule\":\"1\",\"start\":0,\"end\":1}"), "{\"a\":\"\u00e9\"}", "the range 0..1 of a begins or ends within a character" },
        { EDIT("{\"op\":\"r\",\"rule\":\"1\",\"start\":0,\"end\":1}"), "{\"a\":57}", "a is no string: only tamis_whole() of it can be edited" },
        { EDIT("{\"op\":\"r\",\"rule\":\"\"}"), "{\"a\":\"b\"}", "the rule of an edit has 1 to 512 bytes, and this one has 0" },
        { "{\"selectors\": [\"a &&\"], \"edits\": []}", "{}", "the host ends the call: selector" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) TAMIS_EXPECT_PANIC(cases[i].config, cases[i].event, cases[i].part);
}
