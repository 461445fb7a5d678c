// Rates by environment, from 0 to 1; what has none is kept.

import { config, keep, rate, sampler } from "@tamis/plugin";

export default sampler({
  config: { rates: config.map(config.number({ min: 0, max: 1 })) },
  sample(event, { rates }) {
    const environment = event.text("environment");
    const known = environment === undefined ? undefined : rates.get(environment);
    return known === undefined ? keep : rate(known, environment);
  },
});
