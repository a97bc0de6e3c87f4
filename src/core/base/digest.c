/*
 * Digests by OpenSSL's EVP, and how they are written as text.
 *
 * OpenSSL takes its own memory for a digest; that this or a policy (MD5 in
 * FIPS mode) makes it fail is told as SPROX_NOMEM, the one failure that
 * callers of the core must expect anywhere.
 */

#include <limits.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "sprox_digest.h"


static sprox_rc_t sprox_digest(const EVP_MD *md, sprox_str_t s, uint8_t *out);
static int sprox_base64_value(uint8_t c, int url);
static sprox_rc_t sprox_base64_read(sprox_buf_t *out, sprox_str_t s, int url);


static const uint8_t  sprox_base64url_chars[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";


static sprox_rc_t
sprox_digest(const EVP_MD *md, sprox_str_t s, uint8_t *out)
{
    const void  *data;

    data = (s.len == 0) ? "" : (const void *) s.data;

    if (EVP_Digest(data, s.len, out, NULL, md, NULL) != 1) {
        return SPROX_NOMEM;
    }

    return SPROX_OK;
}


sprox_rc_t
sprox_sha256(sprox_str_t s, uint8_t out[SPROX_SHA256_LEN])
{
    return sprox_digest(EVP_sha256(), s, out);
}


sprox_rc_t
sprox_md5(sprox_str_t s, uint8_t out[SPROX_MD5_LEN])
{
    return sprox_digest(EVP_md5(), s, out);
}


sprox_rc_t
sprox_hmac_sha256(sprox_str_t key, sprox_str_t s,
    uint8_t out[SPROX_SHA256_LEN])
{
    unsigned int          len;
    const void           *k;
    const unsigned char  *data;

    if (key.len > INT_MAX) {
        return SPROX_LIMIT;
    }

    /* a NULL key would mean "the key of before" */

    k = (key.len == 0) ? "" : (const void *) key.data;
    data = (s.len == 0) ? (const unsigned char *) "" : s.data;

    if (HMAC(EVP_sha256(), k, (int) key.len, data, s.len, out, &len) == NULL) {
        return SPROX_NOMEM;
    }

    return SPROX_OK;
}


void
sprox_hex(sprox_buf_t *out, const uint8_t *data, size_t len)
{
    size_t  i;

    static const uint8_t  hex[] = "0123456789abcdef";

    for (i = 0; i < len; i++) {
        sprox_buf_char(out, hex[data[i] >> 4]);
        sprox_buf_char(out, hex[data[i] & 0xf]);
    }
}


void
sprox_base64url(sprox_buf_t *out, sprox_str_t s)
{
    size_t    i, left;
    uint32_t  n;

    for (i = 0; i < s.len; i += 3) {

        left = s.len - i;

        n = (uint32_t) s.data[i] << 16;

        if (left > 1) {
            n |= (uint32_t) s.data[i + 1] << 8;
        }

        if (left > 2) {
            n |= s.data[i + 2];
        }

        sprox_buf_char(out, sprox_base64url_chars[n >> 18]);
        sprox_buf_char(out, sprox_base64url_chars[(n >> 12) & 0x3f]);

        if (left > 1) {
            sprox_buf_char(out, sprox_base64url_chars[(n >> 6) & 0x3f]);
        }

        if (left > 2) {
            sprox_buf_char(out, sprox_base64url_chars[n & 0x3f]);
        }
    }
}


static int
sprox_base64_value(uint8_t c, int url)
{
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }

    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }

    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }

    if (c == (url ? '-' : '+')) {
        return 62;
    }

    if (c == (url ? '_' : '/')) {
        return 63;
    }

    return -1;
}


/* Either alphabet; the padding is off already. */

static sprox_rc_t
sprox_base64_read(sprox_buf_t *out, sprox_str_t s, int url)
{
    size_t    i;
    uint32_t  n, bits;

    /* all is checked before anything is appended */

    for (i = 0; i < s.len; i++) {
        if (sprox_base64_value(s.data[i], url) < 0) {
            return SPROX_INVALID;
        }
    }

    switch (s.len % 4) {

    case 1:
        return SPROX_INVALID;

    case 2:
        if (sprox_base64_value(s.data[s.len - 1], url) & 0xf) {
            return SPROX_INVALID;
        }

        break;

    case 3:
        if (sprox_base64_value(s.data[s.len - 1], url) & 0x3) {
            return SPROX_INVALID;
        }

        break;
    }

    n = 0;
    bits = 0;

    for (i = 0; i < s.len; i++) {

        n = (n << 6) | (uint32_t) sprox_base64_value(s.data[i], url);
        bits += 6;

        if (bits >= 8) {
            bits -= 8;
            sprox_buf_char(out, (int) ((n >> bits) & 0xff));
        }
    }

    return sprox_buf_rc(out);
}


sprox_rc_t
sprox_base64url_decode(sprox_buf_t *out, sprox_str_t s)
{
    return sprox_base64_read(out, s, 1);
}


sprox_rc_t
sprox_base64_decode(sprox_buf_t *out, sprox_str_t s)
{
    unsigned  padding;

    if (s.len % 4 != 0) {
        return SPROX_INVALID;
    }

    for (padding = 0; padding < 2 && s.len != 0; padding++) {

        if (s.data[s.len - 1] != '=') {
            break;
        }

        s.len--;
    }

    return sprox_base64_read(out, s, 0);
}


/*
 * Four bytes at a time, each as two halves: t[k][n] is the sum of the half
 * byte n with k halves of zeros behind it.
 */

uint32_t
sprox_crc32(uint32_t crc, const void *data, size_t len)
{
    const uint8_t  *p = data;

    static const uint32_t  t[8][16] = {
        {
            0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac,
            0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
            0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
            0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c
        },
        {
            0x00000000, 0x77073096, 0xee0e612c, 0x990951ba,
            0x076dc419, 0x706af48f, 0xe963a535, 0x9e6495a3,
            0x0edb8832, 0x79dcb8a4, 0xe0d5e91e, 0x97d2d988,
            0x09b64c2b, 0x7eb17cbd, 0xe7b82d07, 0x90bf1d91
        },
        {
            0x00000000, 0x4ac21251, 0x958424a2, 0xdf4636f3,
            0xf0794f05, 0xbabb5d54, 0x65fd6ba7, 0x2f3f79f6,
            0x3b83984b, 0x71418a1a, 0xae07bce9, 0xe4c5aeb8,
            0xcbfad74e, 0x8138c51f, 0x5e7ef3ec, 0x14bce1bd
        },
        {
            0x00000000, 0x191b3141, 0x32366282, 0x2b2d53c3,
            0x646cc504, 0x7d77f445, 0x565aa786, 0x4f4196c7,
            0xc8d98a08, 0xd1c2bb49, 0xfaefe88a, 0xe3f4d9cb,
            0xacb54f0c, 0xb5ae7e4d, 0x9e832d8e, 0x87981ccf
        },
        {
            0x00000000, 0x1c26a370, 0x384d46e0, 0x246be590,
            0x709a8dc0, 0x6cbc2eb0, 0x48d7cb20, 0x54f16850,
            0xe1351b80, 0xfd13b8f0, 0xd9785d60, 0xc55efe10,
            0x91af9640, 0x8d893530, 0xa9e2d0a0, 0xb5c473d0
        },
        {
            0x00000000, 0x01c26a37, 0x0384d46e, 0x0246be59,
            0x0709a8dc, 0x06cbc2eb, 0x048d7cb2, 0x054f1685,
            0x0e1351b8, 0x0fd13b8f, 0x0d9785d6, 0x0c55efe1,
            0x091af964, 0x08d89353, 0x0a9e2d0a, 0x0b5c473d
        },
        {
            0x00000000, 0x5019579f, 0xa032af3e, 0xf02bf8a1,
            0x9b14583d, 0xcb0d0fa2, 0x3b26f703, 0x6b3fa09c,
            0xed59b63b, 0xbd40e1a4, 0x4d6b1905, 0x1d724e9a,
            0x764dee06, 0x2654b999, 0xd67f4138, 0x866616a7
        },
        {
            0x00000000, 0xb8bc6765, 0xaa09c88b, 0x12b5afee,
            0x8f629757, 0x37def032, 0x256b5fdc, 0x9dd738b9,
            0xc5b428ef, 0x7d084f8a, 0x6fbde064, 0xd7018701,
            0x4ad6bfb8, 0xf26ad8dd, 0xe0df7733, 0x58631056
        }
    };

    crc = ~crc;

    for ( /* void */ ; len >= 4; len -= 4, p += 4) {
        crc ^= (uint32_t) sprox_number_get(p, 4);

        crc = t[7][crc & 15] ^ t[6][crc >> 4 & 15]
              ^ t[5][crc >> 8 & 15] ^ t[4][crc >> 12 & 15]
              ^ t[3][crc >> 16 & 15] ^ t[2][crc >> 20 & 15]
              ^ t[1][crc >> 24 & 15] ^ t[0][crc >> 28];
    }

    for ( /* void */ ; len; len--) {
        crc ^= *p++;
        crc = (crc >> 4) ^ t[0][crc & 15];
        crc = (crc >> 4) ^ t[0][crc & 15];
    }

    return ~crc;
}


void
sprox_wipe(void *p, size_t len)
{
    if (p != NULL && len != 0) {
        OPENSSL_cleanse(p, len);
    }
}
