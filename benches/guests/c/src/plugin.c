/* A filter that looks at three texts of every event: the yardstick for what a plugin in C costs. */
#include "tamis.h"

static tamis_verdict filter(tamis_event event) {
    if (tamis_is(tamis_text(event, "release"), "0.0.0") || tamis_is(tamis_text(event, "environment"), "sandbox") ||
        tamis_is(tamis_text(event, "transaction"), "/never"))
        return tamis_drop("bench");
    return tamis_keep();
}

TAMIS_FILTER(NULL, filter)
