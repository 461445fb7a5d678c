#include "tamis_test.h"

TAMIS_TEST(rates_are_by_environment) {
    tamis_answers *answers = tamis_try(TAMIS_JSON({"rates": {"staging": 0.1}}),
        TAMIS_JSON([{"environment": "staging"}, {"environment": "production"}, {}]));
    TAMIS_EXPECT_RATE(answers, 0, 0.1, "staging");
    TAMIS_EXPECT_RATE(answers, 1, 1, NULL);
    TAMIS_EXPECT_RATE(answers, 2, 1, NULL);
}

TAMIS_TEST(mistakes_are_named) {
    TAMIS_EXPECT_ERROR(tamis_try("{}", "{}"), "rates: missing");
    TAMIS_EXPECT_ERROR(tamis_try(TAMIS_JSON({"rates": {"staging": 7}}), "{}"), "rates.staging: 7 is not from 0 to 1");
}
