#include "tamis_test.h"

TAMIS_TEST(noisy_releases_go) {
    tamis_answers *answers = tamis_try(TAMIS_JSON({"releases": ["1.0"]}), TAMIS_JSON([{"release": "1.0"}, {"release": "1.1"}, {}]));
    TAMIS_EXPECT_DROP(answers, 0, "noisy-release");
    TAMIS_EXPECT_KEEP(answers, 1);
    TAMIS_EXPECT_KEEP(answers, 2);
}

TAMIS_TEST(mistakes_are_named) {
    TAMIS_EXPECT_ERROR(tamis_try("{}", "{}"), "releases: missing");
    TAMIS_EXPECT_ERROR(tamis_try(TAMIS_JSON({"releases": ["1.0", 2]}), "{}"), "releases[1]: a number, where a text is expected");
}
