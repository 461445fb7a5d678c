/* MD5 (RFC 1321), for fingerprints: what Sentry's own are. It keeps nothing secret. */

static const uint8_t tamis_md5_shifts_[16] = { 7, 12, 17, 22, 5, 9, 14, 20, 4, 11, 16, 23, 6, 10, 15, 21 };
/* floor(2^32 * abs(sin(i + 1))) */
static const uint32_t tamis_md5_sines_[64] = {
    0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501,
    0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821,
    0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8,
    0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a,
    0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70,
    0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665,
    0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1,
    0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391,
};

typedef struct tamis_md5_ {
    uint32_t state[4];
    uint8_t block[64];
    uint64_t len;
} tamis_md5_;

static void tamis_md5_block_(tamis_md5_ *md5) {
    uint32_t words[16], a = md5->state[0], b = md5->state[1], c = md5->state[2], d = md5->state[3];
    for (int i = 0; i < 16; i++) {
        const uint8_t *at = md5->block + 4 * i;
        words[i] = (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
    }
    for (int i = 0; i < 64; i++) {
        uint32_t mixed = i < 16 ? (b & c) | (~b & d) : i < 32 ? (d & b) | (~d & c) : i < 48 ? b ^ c ^ d : c ^ (b | ~d);
        int word = (i < 16 ? i : i < 32 ? 5 * i + 1 : i < 48 ? 3 * i + 5 : 7 * i) % 16;
        uint32_t sum = a + mixed + tamis_md5_sines_[i] + words[word];
        int shift = tamis_md5_shifts_[i / 16 * 4 + i % 4];
        a = d;
        d = c;
        c = b;
        b += sum << shift | sum >> (32 - shift);
    }
    md5->state[0] += a;
    md5->state[1] += b;
    md5->state[2] += c;
    md5->state[3] += d;
}

static void tamis_md5_add_(tamis_md5_ *md5, const void *data, size_t len) {
    for (size_t i = 0; i < len; i++) {
        md5->block[md5->len++ % 64] = ((const uint8_t *)data)[i];
        if (md5->len % 64 == 0) tamis_md5_block_(md5);
    }
}

static tamis_str tamis_md5_end_(tamis_md5_ *md5) {
    uint64_t bits = md5->len * 8;
    tamis_md5_add_(md5, "\x80", 1);
    while (md5->len % 64 != 56) tamis_md5_add_(md5, "", 1);
    for (int i = 0; i < 8; i++) {
        uint8_t byte = (uint8_t)(bits >> (8 * i));
        tamis_md5_add_(md5, &byte, 1);
    }
    char *text = (char *)tamis_alloc_(33, 1);
    for (int i = 0; i < 16; i++) snprintf(text + 2 * i, 3, "%02x", (unsigned)(md5->state[i / 4] >> (8 * (i % 4)) & 0xff));
    tamis_str hash = { text, 32 };
    return hash;
}

static tamis_md5_ tamis_md5_begin_(void) {
    tamis_md5_ md5 = { { 0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476 }, { 0 }, 0 };
    return md5;
}

tamis_str tamis_hash_of(const tamis_str *parts, size_t len) {
    tamis_md5_ md5 = tamis_md5_begin_();
    for (size_t i = 0; i < len; i++) {
        tamis_md5_add_(&md5, parts[i].ptr, parts[i].len);
        tamis_md5_add_(&md5, "", 1);
    }
    return tamis_md5_end_(&md5);
}
