// Drops the events that uptime monitors cause: those whose client's User-Agent is that of a known probe.
//
// This is C++ on wit-bindgen's bindings alone, without an SDK of Tamis: what any language does that has no SDK. The host calls
// `filter` once for a batch; one column comes over for all events of it, and one number for each event goes back.
#include <stdlib.h>
#include <string.h>

#include "filter.h"

// What `tamis plugin inspect` shows, and `tamis plugin test` grants. An SDK would write it.
asm(R"(.section ".custom_section.tamis:plugin","",@
.ascii "{\"kind\":\"filter\",\"name\":\"drop-probes\",\"version\":\"0.1.0\",\"sdk\":\"none, C++\",\"reads\":[\"request.headers.User-Agent\"]}"
)");

namespace {

struct Text {
    const char *ptr;
    size_t len;

    bool contains(const Text &part) const {
        for (size_t at = 0; at + part.len <= len; at++)
            if (ptr[at] == part.ptr[0] && memcmp(ptr + at, part.ptr, part.len) == 0) return true;
        return false;
    }
};

template <size_t N>
constexpr Text text(const char (&literal)[N]) {
    return {literal, N - 1};
}

constexpr Text PROBES[] = {text("kube-probe/"), text("UptimeRobot/"), text("Pingdom.com_bot"), text("ELB-HealthChecker/"),
                           text("GoogleHC/"), text("StatusCake")};

bool is_probe(const Text &agent) {
    for (const Text &probe : PROBES)
        if (agent.contains(probe)) return true;
    return false;
}

// A column of the current batch. What the host gives belongs to the plugin, which frees it.
class Column {
public:
    explicit Column(const char *path) {
        filter_string_t name;
        filter_string_set(&name, path);
        tamis_plugin_batch_strings(&name, &texts);
    }
    ~Column() { tamis_plugin_batch_texts_free(&texts); }
    Column(const Column &) = delete;

    // Absent is empty: no probe is known by an empty name.
    Text operator[](size_t row) const {
        const uint32_t *offsets = texts.offsets.ptr;
        return {reinterpret_cast<const char *>(texts.data.ptr) + offsets[row], offsets[row + 1] - offsets[row]};
    }

private:
    tamis_plugin_batch_texts_t texts;
};

}  // namespace

extern "C" bool exports_tamis_plugin_filtering_init(filter_string_t *config, filter_string_t *error) {
    // The configuration is JSON. This plugin has none, and says so to an operator who thinks that it has.
    const bool fine = config->len == 2 && memcmp(config->ptr, "{}", 2) == 0;
    if (!fine) filter_string_dup(error, "drop-probes has no configuration");
    filter_string_free(config);
    return fine;
}

extern "C" void exports_tamis_plugin_filtering_filter(exports_tamis_plugin_filtering_verdicts_t *answer) {
    const size_t len = tamis_plugin_batch_len();
    // The agent of the client that the event is about, else that of the client that sent it.
    const Column of_request("request.headers.User-Agent"), of_sender("$meta.user_agent");
    // The answer belongs to the caller: the bindings free it afterwards, so nothing in it may be static.
    answer->verdicts.ptr = static_cast<uint32_t *>(malloc(len * sizeof(uint32_t)));
    answer->verdicts.len = len;
    for (size_t row = 0; row < len; row++) answer->verdicts.ptr[row] = is_probe(of_request[row]) || is_probe(of_sender[row]);
    answer->reasons.ptr = static_cast<filter_string_t *>(malloc(sizeof(filter_string_t)));
    answer->reasons.len = 1;
    filter_string_dup(answer->reasons.ptr, "uptime-probe");
}
