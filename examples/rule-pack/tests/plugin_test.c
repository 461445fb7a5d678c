#include <stdio.h>

#include "tamis_test.h"

#define PACK TAMIS_JSON({"rules": [ \
    {"field": "exception.values.*.value", "pattern": "^connection (reset|refused)", "reason": "connection"}, \
    {"field": "request.headers.User-Agent", "pattern": "bot|crawl(er|ing)", "ignore_case": true, "reason": "crawler"}, \
    {"field": "message", "pattern": "^caf.$", "reason": "coffee"}]})

TAMIS_TEST(the_first_rule_that_matches_decides) {
    tamis_answers *answers = tamis_try(PACK, TAMIS_JSON([
        {"exception": {"values": [{"value": "x"}, {"value": "connection refused by peer"}]}, "message": "cafe"},
        {"exception": {"values": [{"type": "E"}, {"value": "no connection reset"}]}},
        {"request": {"headers": [["user-agent", "GoogleBOT/2"]]}},
        {}]));
    TAMIS_EXPECT_DROP(answers, 0, "connection");
    TAMIS_EXPECT_KEEP(answers, 1);
    TAMIS_EXPECT_DROP(answers, 2, "crawler");
    TAMIS_EXPECT_KEEP(answers, 3);
}

TAMIS_TEST(a_dot_is_a_character_also_where_it_has_two_bytes) {
    tamis_answers *answers = tamis_try(PACK, TAMIS_JSON([{"message": "café"}, {"message": "cafés"}]));
    TAMIS_EXPECT_DROP(answers, 0, "coffee");
    TAMIS_EXPECT_KEEP(answers, 1);
}

/* The copy for the engine is cut before a character that would not fit, and has no zero within. */
TAMIS_TEST(long_texts_are_looked_at_up_to_a_bound) {
    static char event[3 * 8192];
    size_t at = (size_t)sprintf(event, "[{\"message\": \"");
    for (int i = 0; i < 8191; i++) event[at++] = 'a';
    sprintf(event + at, "éend\"}, {\"message\": \"a\\u0000end\"}]");
    tamis_answers *answers = tamis_try(TAMIS_JSON({"rules": [{"field": "message", "pattern": "end", "reason": "r"}]}), event);
    TAMIS_EXPECT_KEEP(answers, 0);
    TAMIS_EXPECT_DROP(answers, 1, "r");
    answers = tamis_try(TAMIS_JSON({"rules": [{"field": "message", "pattern": "^a*$", "reason": "r"}]}), event);
    TAMIS_EXPECT_DROP(answers, 0, "r");
}

TAMIS_TEST(mistakes_are_named_by_their_path) {
    TAMIS_EXPECT_ERROR(tamis_try("{}", "{}"), "rules: missing");
    TAMIS_EXPECT_ERROR(tamis_try(TAMIS_JSON({"rules": [{"field": "a", "pattern": "a", "reason": "r"}, {"field": "a", "pattern": "(b", "reason": "r"}]}),
        "{}"), "rules[1].pattern: ");
    TAMIS_EXPECT_ERROR(tamis_try(TAMIS_JSON({"rules": [{"field": "a", "pattern": "", "reason": "r"}]}), "{}"),
        "rules[0].pattern: a pattern has 1 to 512 bytes");
    TAMIS_EXPECT_ERROR(tamis_try(TAMIS_JSON({"rules": [{"field": "", "pattern": "a", "reason": "r"}]}), "{}"), "rules[0].field: it is empty");
    TAMIS_EXPECT_ERROR(tamis_try(TAMIS_JSON({"rules": [{"field": "a", "pattern": "a", "reason": ""}]}), "{}"), "rules[0].reason: a reason has");
    TAMIS_EXPECT_ERROR(tamis_try(TAMIS_JSON({"rules": [{"field": "a", "pattern": "a", "reason": "r", "flags": "i"}]}), "{}"),
        "rules[0].flags: unknown key");
}
