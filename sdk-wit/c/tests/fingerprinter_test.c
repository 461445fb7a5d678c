/* Fingerprints and their hashes. */
#include "tamis_test.h"

static void fingerprint(tamis_event event) {
    tamis_cells parts = tamis_texts(event, "parts.*");
    tamis_str texts[8];
    for (size_t i = 0; i < parts.len; i++) tamis_fingerprint(i % 2 ? "odd" : "even", texts[i] = tamis_cell(parts, i));
    if (parts.len) tamis_fingerprint("hash", tamis_hash_of(texts, parts.len));
}

TAMIS_FINGERPRINTER(NULL, fingerprint)

TAMIS_TEST(fingerprints_follow_each_other) {
    tamis_answers *answers = tamis_try("{}", TAMIS_JSON([{"parts": ["a", "bc"]}, {}, {"parts": ["ab", "c"]}]));
    TAMIS_EXPECT(answers->fingerprints_len == 6);
    TAMIS_EXPECT_FINGERPRINT(answers, 0, 0, "even", "a");
    TAMIS_EXPECT_FINGERPRINT(answers, 0, 1, "odd", "bc");
    TAMIS_EXPECT_FINGERPRINT(answers, 2, 1, "odd", "c");
    TAMIS_EXPECT(answers->fingerprints[3].event == 2);
    TAMIS_EXPECT(strcmp(answers->fingerprints[2].fingerprint, answers->fingerprints[5].fingerprint) != 0);
}

TAMIS_TEST(the_hash_is_md5) {
    tamis_answers *answers = tamis_try("{}", TAMIS_JSON([{"parts": ["a", "bc"]}, {"parts": ["0123456789012345678901234567890123456789012345678901234"]},
        {"parts": ["0123456789012345678901234567890123456789012345678901234567890123"]}]));
    TAMIS_EXPECT_FINGERPRINT(answers, 0, 2, "hash", "cc6180dcc9c3f1860fb5aa07fee9ea1a");
    TAMIS_EXPECT_FINGERPRINT(answers, 1, 1, "hash", "bc717ed482b8ef15d8abc36546fb9967");
    TAMIS_EXPECT_FINGERPRINT(answers, 2, 1, "hash", "a664cc715f92064808c340c6482e5a26");
}

TAMIS_TEST(a_fingerprint_has_a_length) {
    TAMIS_EXPECT_PANIC("{}", TAMIS_JSON({"parts": [""]}), "a fingerprint has 1 to 64 bytes, and this one has 0");
    TAMIS_EXPECT_PANIC("{}", TAMIS_JSON({"parts": ["01234567890123456789012345678901234567890123456789012345678901234"]}), "and this one has 65");
}
