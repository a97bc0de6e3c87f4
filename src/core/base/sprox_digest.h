/*
 * Digests (by OpenSSL), their text forms, and a check sum.
 */

#ifndef SPROX_DIGEST_H
#define SPROX_DIGEST_H


#include "sprox_buf.h"


#define SPROX_SHA256_LEN   32
#define SPROX_MD5_LEN      16


/*
 * SPROX_OK, or SPROX_NOMEM: OpenSSL could not (memory, or a policy that
 * forbids the digest).  sprox_hmac_sha256: SPROX_LIMIT for a key of 2 GiB.
 */
sprox_rc_t sprox_sha256(sprox_str_t s, uint8_t out[SPROX_SHA256_LEN]);
sprox_rc_t sprox_hmac_sha256(sprox_str_t key, sprox_str_t s,
    uint8_t out[SPROX_SHA256_LEN]);
sprox_rc_t sprox_md5(sprox_str_t s, uint8_t out[SPROX_MD5_LEN]);

/*
 * CRC-32 (IEEE 802.3) of what crc is the sum of (0: of nothing), and then
 * data.
 */
uint32_t sprox_crc32(uint32_t crc, const void *data, size_t len);

/* Lower-case hexadecimal. */
void sprox_hex(sprox_buf_t *out, const uint8_t *data, size_t len);

/* base64url (RFC 4648 section 5) without padding. */
void sprox_base64url(sprox_buf_t *out, sprox_str_t s);

/*
 * Strict: SPROX_OK, SPROX_INVALID (other characters, padding, bad bits;
 * nothing is appended then) or SPROX_NOMEM.
 */
sprox_rc_t sprox_base64url_decode(sprox_buf_t *out, sprox_str_t s);

/* base64 (RFC 4648 section 4), as strict, with all of its padding. */
sprox_rc_t sprox_base64_decode(sprox_buf_t *out, sprox_str_t s);

/* Overwrites memory that held a secret; never optimised away. */
void sprox_wipe(void *p, size_t len);


#endif /* SPROX_DIGEST_H */
