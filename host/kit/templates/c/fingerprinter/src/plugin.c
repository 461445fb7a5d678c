/* Groups errors by the type of the last exception and the function that raised it. Configuration: `kind`, how the fingerprint is called (`app`). */
#include "tamis.h"

static const char *kind;

static void init(tamis_config config) { kind = tamis_config_text_or(config, "kind", "app").ptr; }

static void fingerprint(tamis_event event) {
    tamis_item exception = tamis_nth(tamis_exceptions(event), -1);
    tamis_item frame = tamis_nth(tamis_frames(exception), -1);
    tamis_str parts[] = { tamis_text(exception, "type"), tamis_text(frame, "function") };
    if (tamis_present(parts[0]) && tamis_present(parts[1])) tamis_fingerprint(kind, tamis_hash_of(parts, 2));
}

TAMIS_FINGERPRINTER(init, fingerprint)
