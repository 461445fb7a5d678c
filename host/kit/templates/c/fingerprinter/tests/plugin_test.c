#include "tamis_test.h"

TAMIS_TEST(type_and_function_decide) {
    tamis_answers *answers = tamis_try("{}", TAMIS_JSON([
        {"exception": {"values": [{"type": "A"}, {"type": "E", "value": "1", "stacktrace": {"frames": [{"function": "f"}, {"function": "g"}]}}]}},
        {"exception": {"values": [{"type": "E", "value": "2", "stacktrace": {"frames": [{"function": "g"}]}}]}},
        {"exception": {"values": [{"type": "E", "stacktrace": {"frames": [{"function": "f"}]}}]}},
        {"exception": {"values": [{"type": "E"}]}}]));
    TAMIS_EXPECT(answers->fingerprints_len == 3);
    TAMIS_EXPECT(strcmp(answers->fingerprints[0].fingerprint, answers->fingerprints[1].fingerprint) == 0);
    TAMIS_EXPECT(strcmp(answers->fingerprints[0].fingerprint, answers->fingerprints[2].fingerprint) != 0);
    TAMIS_EXPECT(strcmp(answers->fingerprints[0].kind, "app") == 0);
}

TAMIS_TEST(mistakes_are_named) {
    TAMIS_EXPECT_ERROR(tamis_try(TAMIS_JSON({"kind": 5}), "{}"), "kind: a number, where a text is expected");
}
