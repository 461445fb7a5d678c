/* Rates, and names that answers refer to by number. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "tamis_test.h"

static tamis_rate sample(tamis_event event) {
    tamis_str rule = tamis_text(event, "rule");
    double rate = tamis_number(event, "rate", NAN);
    return tamis_present(rule) ? tamis_rate_by_str(rate, rule) : tamis_rate_keep();
}

TAMIS_SAMPLER(NULL, sample)

TAMIS_TEST(rates_are_brought_into_range) {
    tamis_answers *answers = tamis_try("{}", TAMIS_JSON([{"rule": "a", "rate": 0.25}, {"rule": "b", "rate": -1}, {"rule": "c", "rate": 7},
        {"rule": "d"}, {}]));
    TAMIS_EXPECT_RATE(answers, 0, 0.25, "a");
    TAMIS_EXPECT_RATE(answers, 1, 0, "b");
    TAMIS_EXPECT_RATE(answers, 2, 1, "c");
    TAMIS_EXPECT_RATE(answers, 3, 1, "d");
    TAMIS_EXPECT_RATE(answers, 4, 1, NULL);
}

/* More names than are compared one by one, and more than the first table has room for; each of them twice. */
TAMIS_TEST(many_rules_keep_their_numbers) {
    enum { RULES = 300 };
    char *events = malloc(64 * 2 * RULES), *end = events, rule[32];
    *end++ = '[';
    for (int i = 0; i < 2 * RULES; i++) end += sprintf(end, "%s{\"rule\": \"rule %d\", \"rate\": 0.5}", i ? ", " : "", i % RULES);
    strcpy(end, "]");
    tamis_answers *answers = tamis_try("{}", events);
    for (int i = 0; i < 2 * RULES; i++) {
        sprintf(rule, "rule %d", i % RULES);
        TAMIS_EXPECT_RATE(answers, (size_t)i, 0.5, rule);
    }
    free(events);
}

TAMIS_TEST(a_configuration_that_nothing_reads_is_refused) {
    TAMIS_EXPECT_ERROR(tamis_try(TAMIS_JSON({"rate": 1}), "{}"), "rate: unknown key");
}

TAMIS_TEST(a_rule_has_a_name) {
    TAMIS_EXPECT_PANIC("{}", TAMIS_JSON({"rule": ""}), "the rule of a sampler has 1 to 512 bytes, and this one has 0");
}
