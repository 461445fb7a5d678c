// Groups errors by the type of the last exception and the function that raised it; `kind` is how the fingerprint is called.

import { config, fingerprinter, hashOf } from "@tamis/plugin";

export default fingerprinter({
  config: { kind: config.text().or("app") },
  fingerprint(event, out, { kind }) {
    const exception = event.exceptions().at(-1);
    const type = exception?.text("type");
    const raisedIn = exception?.frames().at(-1)?.text("function");
    if (type !== undefined && raisedIn !== undefined) out.push(kind, hashOf(type, raisedIn));
  },
});
