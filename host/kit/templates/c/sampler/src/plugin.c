/* Rates by environment. Configuration: `rates`, an object of numbers from 0 to 1 by environment; what is not in it is kept. */
#include <stdlib.h>

#include "tamis.h"

typedef struct rate {
    tamis_str environment;
    double rate;
} rate;

static rate *rates;
static size_t rates_len;

static void init(tamis_config config) {
    tamis_config of_environments = tamis_config_object(config, "rates");
    rates = calloc(tamis_config_length(of_environments) + 1, sizeof *rates);
    if (!rates) tamis_panic("out of memory");
    rates_len = 0;
    for (tamis_config item = tamis_config_first(of_environments); item; item = tamis_config_next(item)) {
        rate *next = &rates[rates_len++];
        next->environment = tamis_config_key(item);
        next->rate = tamis_config_number(item, NULL);
        if (next->rate < 0 || next->rate > 1) tamis_config_fail(item, NULL, "%g is not from 0 to 1", next->rate);
    }
}

static tamis_rate sample(tamis_event event) {
    tamis_str environment = tamis_text(event, "environment");
    for (size_t i = 0; i < rates_len; i++)
        if (tamis_equal(environment, rates[i].environment)) return tamis_rate_by_str(rates[i].rate, environment);
    return tamis_rate_keep();
}

TAMIS_SAMPLER(init, sample)
