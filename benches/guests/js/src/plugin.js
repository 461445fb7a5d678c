// A filter that looks at three strings of every event: the yardstick for what a plugin costs.

import { config, drop, filter, keep } from "@tamis/plugin";

export default filter({
  config: config.any(),
  filter(event) {
    if (event.text("release") === "0.0.0") return drop("bench");
    if (event.text("environment") === "sandbox") return drop("bench");
    if (event.text("transaction") === "/never") return drop("bench");
    return keep;
  },
});
