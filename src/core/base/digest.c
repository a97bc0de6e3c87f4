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
static int sprox_base64url_value(uint8_t c);


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
sprox_base64url_value(uint8_t c)
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

    if (c == '-') {
        return 62;
    }

    if (c == '_') {
        return 63;
    }

    return -1;
}


sprox_rc_t
sprox_base64url_decode(sprox_buf_t *out, sprox_str_t s)
{
    size_t    i;
    uint32_t  n, bits;

    /* all is checked before anything is appended */

    for (i = 0; i < s.len; i++) {
        if (sprox_base64url_value(s.data[i]) < 0) {
            return SPROX_INVALID;
        }
    }

    switch (s.len % 4) {

    case 1:
        return SPROX_INVALID;

    case 2:
        if (sprox_base64url_value(s.data[s.len - 1]) & 0xf) {
            return SPROX_INVALID;
        }

        break;

    case 3:
        if (sprox_base64url_value(s.data[s.len - 1]) & 0x3) {
            return SPROX_INVALID;
        }

        break;
    }

    n = 0;
    bits = 0;

    for (i = 0; i < s.len; i++) {

        n = (n << 6) | (uint32_t) sprox_base64url_value(s.data[i]);
        bits += 6;

        if (bits >= 8) {
            bits -= 8;
            sprox_buf_char(out, (int) ((n >> bits) & 0xff));
        }
    }

    return sprox_buf_rc(out);
}


void
sprox_wipe(void *p, size_t len)
{
    if (p != NULL && len != 0) {
        OPENSSL_cleanse(p, len);
    }
}
