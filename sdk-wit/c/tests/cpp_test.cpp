// The SDK from C++: a plugin and its test in one file.
#include "tamis_test.h"

namespace {

struct Rules {
    tamis_strs releases;
} rules;

void init(tamis_config config) { rules.releases = tamis_config_texts(config, "releases"); }

tamis_verdict filter(tamis_event event) {
    auto release = tamis_text(event, "release");
    for (size_t i = 0; i < rules.releases.len; i++)
        if (tamis_equal(release, rules.releases.items[i])) return tamis_drop("noisy-release");
    return tamis_keep();
}

}

TAMIS_FILTER(init, filter)

TAMIS_TEST(noisy_releases_go) {
    tamis_answers *answers = tamis_try(TAMIS_JSON({"releases": ["1.0"]}), TAMIS_JSON([{"release": "1.0"}, {"release": 2}]));
    TAMIS_EXPECT_DROP(answers, 0, "noisy-release");
    TAMIS_EXPECT_KEEP(answers, 1);
}
