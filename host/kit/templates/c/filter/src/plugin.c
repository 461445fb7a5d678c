/* Drops events of noisy releases. Configuration: `releases`, a list of texts. */
#include "tamis.h"

static tamis_strs releases;

static void init(tamis_config config) { releases = tamis_config_texts(config, "releases"); }

static tamis_verdict filter(tamis_event event) {
    tamis_str release = tamis_text(event, "release");
    for (size_t i = 0; i < releases.len; i++)
        if (tamis_equal(release, releases.items[i])) return tamis_drop("noisy-release");
    return tamis_keep();
}

TAMIS_FILTER(init, filter)
