/*
 * AWS Signature Version 4, stage by stage, so that each can be compared
 * with the published examples:
 *
 *   method, path, query, headers, payload hash
 *        |  sprox_sigv4_canonical()
 *   canonical request ------------ SHA-256 --+
 *                                            |  sprox_sigv4_string_to_sign()
 *   algorithm, time, scope -------- string to sign
 *                                            |
 *   secret, date, region, service            |  sprox_sigv4_key()
 *        | HMAC, HMAC, HMAC, HMAC            |
 *   signing key ------------------- HMAC ----+  sprox_sigv4_signature()
 *                                    |
 *                                signature
 *
 * Google's scheme for HMAC keys is the same with other constants.
 */

#include "sprox_sigv4.h"
#include "sprox_digest.h"
#include "sprox_time.h"
#include "sprox_uri.h"


#define SPROX_SIGV4_DATE_LEN   8       /* yyyymmdd */


typedef struct {
    sprox_str_t  algorithm;
    sprox_str_t  key_prefix;
    sprox_str_t  terminator;
} sprox_sigv4_scheme_t;


/* The signed headers in the order of their names. */

typedef struct {
    size_t                 n;
    const sprox_header_t  *header[SPROX_SIGV4_HEADERS_MAX];
} sprox_sigv4_sorted_t;


static const sprox_sigv4_scheme_t  sprox_sigv4_aws = {
    sprox_str("AWS4-HMAC-SHA256"),
    sprox_str("AWS4"),
    sprox_str("aws4_request")
};

static const sprox_sigv4_scheme_t  sprox_sigv4_goog = {
    sprox_str("GOOG4-HMAC-SHA256"),
    sprox_str("GOOG4"),
    sprox_str("goog4_request")
};


static int sprox_sigv4_encoded_cmp(sprox_str_t a, sprox_str_t b);
static int sprox_sigv4_arg_cmp(const sprox_sigv4_arg_t *a,
    const sprox_sigv4_arg_t *b);
static sprox_rc_t sprox_sigv4_sort(sprox_sigv4_sorted_t *sorted,
    const sprox_sigv4_t *sig);
static void sprox_sigv4_value(sprox_buf_t *out, sprox_str_t value);
static void sprox_sigv4_names(sprox_buf_t *out,
    const sprox_sigv4_sorted_t *sorted);
static void sprox_sigv4_scope(sprox_buf_t *out, const sprox_sigv4_t *sig,
    const uint8_t *date);


static inline const sprox_sigv4_scheme_t *
sprox_sigv4_scheme(const sprox_sigv4_t *sig)
{
    return sig->goog ? &sprox_sigv4_goog : &sprox_sigv4_aws;
}


static inline int
sprox_sigv4_plain(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
           || (c >= '0' && c <= '9')
           || c == '-' || c == '.' || c == '_' || c == '~';
}


/*
 * The order of two strings once they are encoded: '%' sorts before every
 * character that stays as it is, and upper-case hex digits sort as numbers.
 */

static int
sprox_sigv4_encoded_cmp(sprox_str_t a, sprox_str_t b)
{
    int     plain_a, plain_b;
    size_t  i;

    for (i = 0; i < a.len && i < b.len; i++) {

        if (a.data[i] == b.data[i]) {
            continue;
        }

        plain_a = sprox_sigv4_plain(a.data[i]);
        plain_b = sprox_sigv4_plain(b.data[i]);

        if (plain_a != plain_b) {
            return plain_a ? 1 : -1;
        }

        return (a.data[i] < b.data[i]) ? -1 : 1;
    }

    if (a.len == b.len) {
        return 0;
    }

    return (a.len < b.len) ? -1 : 1;
}


static int
sprox_sigv4_arg_cmp(const sprox_sigv4_arg_t *a, const sprox_sigv4_arg_t *b)
{
    int  rc;

    rc = sprox_sigv4_encoded_cmp(a->name, b->name);

    return (rc != 0) ? rc : sprox_sigv4_encoded_cmp(a->value, b->value);
}


void
sprox_sigv4_query(sprox_buf_t *out, sprox_sigv4_arg_t *args, size_t n)
{
    size_t             i, j;
    sprox_sigv4_arg_t  arg;

    for (i = 1; i < n; i++) {

        arg = args[i];

        for (j = i; j > 0 && sprox_sigv4_arg_cmp(&args[j - 1], &arg) > 0; j--)
        {
            args[j] = args[j - 1];
        }

        args[j] = arg;
    }

    for (i = 0; i < n; i++) {

        if (i != 0) {
            sprox_buf_char(out, '&');
        }

        sprox_uri_encode(out, args[i].name, 0);
        sprox_buf_char(out, '=');
        sprox_uri_encode(out, args[i].value, 0);
    }
}


/* Stable: duplicates keep the order in which they were given. */

static sprox_rc_t
sprox_sigv4_sort(sprox_sigv4_sorted_t *sorted, const sprox_sigv4_t *sig)
{
    size_t                 i, j;
    const sprox_header_t  *h;

    if (sig->nheaders > SPROX_SIGV4_HEADERS_MAX) {
        return SPROX_LIMIT;
    }

    sorted->n = sig->nheaders;

    for (i = 0; i < sig->nheaders; i++) {

        h = &sig->headers[i];

        for (j = i;
             j > 0 && sprox_str_cmp(sorted->header[j - 1]->name, h->name) > 0;
             j--)
        {
            sorted->header[j] = sorted->header[j - 1];
        }

        sorted->header[j] = h;
    }

    return SPROX_OK;
}


static void
sprox_sigv4_value(sprox_buf_t *out, sprox_str_t value)
{
    size_t  i, from;

    value = sprox_str_trim(value);
    from = 0;

    for (i = 1; i < value.len; i++) {

        if (value.data[i] != ' ' || value.data[i - 1] != ' ') {
            continue;
        }

        /* the second space of a run: leave it and what follows of the run */

        sprox_buf_add(out, value.data + from, i - from);

        while (value.data[i] == ' ') {
            i++;
        }

        from = i;
    }

    if (value.len != from) {
        sprox_buf_add(out, value.data + from, value.len - from);
    }
}


static void
sprox_sigv4_names(sprox_buf_t *out, const sprox_sigv4_sorted_t *sorted)
{
    size_t  i;

    for (i = 0; i < sorted->n; i++) {

        if (i != 0) {

            if (sprox_str_eq(sorted->header[i - 1]->name,
                             sorted->header[i]->name))
            {
                continue;
            }

            sprox_buf_char(out, ';');
        }

        sprox_buf_str(out, sorted->header[i]->name);
    }
}


sprox_rc_t
sprox_sigv4_signed_headers(sprox_buf_t *out, const sprox_sigv4_t *sig)
{
    sprox_rc_t            rc;
    sprox_sigv4_sorted_t  sorted;

    rc = sprox_sigv4_sort(&sorted, sig);
    if (rc != SPROX_OK) {
        return rc;
    }

    sprox_sigv4_names(out, &sorted);

    return sprox_buf_rc(out);
}


sprox_rc_t
sprox_sigv4_canonical(sprox_buf_t *out, const sprox_sigv4_t *sig)
{
    size_t                i;
    sprox_rc_t            rc;
    const sprox_header_t  *h;
    sprox_sigv4_sorted_t  sorted;

    rc = sprox_sigv4_sort(&sorted, sig);
    if (rc != SPROX_OK) {
        return rc;
    }

    sprox_buf_str(out, sig->method);
    sprox_buf_char(out, '\n');

    if (sig->path.len == 0) {
        sprox_buf_char(out, '/');
    }

    sprox_buf_str(out, sig->path);
    sprox_buf_char(out, '\n');
    sprox_buf_str(out, sig->query);

    for (i = 0; i < sorted.n; i++) {

        h = sorted.header[i];

        if (i != 0 && sprox_str_eq(sorted.header[i - 1]->name, h->name)) {
            sprox_buf_char(out, ',');

        } else {
            sprox_buf_char(out, '\n');
            sprox_buf_str(out, h->name);
            sprox_buf_char(out, ':');
        }

        sprox_sigv4_value(out, h->value);
    }

    sprox_buf_text(out, "\n\n");
    sprox_sigv4_names(out, &sorted);
    sprox_buf_char(out, '\n');
    sprox_buf_str(out, sig->payload_hash);

    return sprox_buf_rc(out);
}


/* yyyymmdd/region/service/aws4_request; date may be longer than a day. */

static void
sprox_sigv4_scope(sprox_buf_t *out, const sprox_sigv4_t *sig,
    const uint8_t *date)
{
    sprox_buf_add(out, date, SPROX_SIGV4_DATE_LEN);
    sprox_buf_char(out, '/');
    sprox_buf_str(out, sig->region);
    sprox_buf_char(out, '/');
    sprox_buf_str(out, sig->service);
    sprox_buf_char(out, '/');
    sprox_buf_str(out, sprox_sigv4_scheme(sig)->terminator);
}


sprox_rc_t
sprox_sigv4_string_to_sign(sprox_buf_t *out, const sprox_sigv4_t *sig,
    sprox_str_t canonical)
{
    uint8_t     date[SPROX_TIME_AMZ_LEN], hash[SPROX_SHA256_LEN];
    sprox_rc_t  rc;

    rc = sprox_sha256(canonical, hash);
    if (rc != SPROX_OK) {
        return rc;
    }

    sprox_time_amz(sig->time, date);

    sprox_buf_str(out, sprox_sigv4_scheme(sig)->algorithm);
    sprox_buf_char(out, '\n');
    sprox_buf_add(out, date, sizeof(date));
    sprox_buf_char(out, '\n');
    sprox_sigv4_scope(out, sig, date);
    sprox_buf_char(out, '\n');
    sprox_hex(out, hash, sizeof(hash));

    return sprox_buf_rc(out);
}


sprox_rc_t
sprox_sigv4_key(const sprox_mem_t *mem, sprox_str_t secret,
    const sprox_sigv4_t *sig, uint8_t key[32])
{
    size_t                       i;
    uint8_t                      date[SPROX_TIME_AMZ_LEN];
    uint8_t                      next[SPROX_SHA256_LEN];
    sprox_rc_t                   rc;
    sprox_buf_t                  first;
    sprox_str_t                  part[4];
    const sprox_sigv4_scheme_t  *scheme;

    scheme = sprox_sigv4_scheme(sig);

    sprox_time_amz(sig->time, date);

    part[0] = sprox_str_make(date, SPROX_SIGV4_DATE_LEN);
    part[1] = sig->region;
    part[2] = sig->service;
    part[3] = scheme->terminator;

    sprox_buf_init(&first, mem);
    sprox_buf_str(&first, scheme->key_prefix);
    sprox_buf_str(&first, secret);

    rc = sprox_buf_rc(&first);

    if (rc == SPROX_OK) {
        rc = sprox_hmac_sha256(sprox_buf_get(&first), part[0], key);
    }

    for (i = 1; rc == SPROX_OK && i < 4; i++) {

        rc = sprox_hmac_sha256(sprox_str_make(key, SPROX_SHA256_LEN), part[i],
                               next);
        if (rc == SPROX_OK) {
            memcpy(key, next, SPROX_SHA256_LEN);
        }
    }

    if (rc != SPROX_OK) {
        sprox_wipe(key, SPROX_SHA256_LEN);
    }

    sprox_wipe(next, sizeof(next));
    sprox_buf_wipe(&first);

    return rc;
}


sprox_rc_t
sprox_sigv4_signature(const uint8_t key[32], sprox_str_t string_to_sign,
    uint8_t hex[SPROX_SIGV4_LEN])
{
    size_t      i;
    uint8_t     mac[SPROX_SHA256_LEN];
    sprox_rc_t  rc;

    static const uint8_t  digits[] = "0123456789abcdef";

    rc = sprox_hmac_sha256(sprox_str_make(key, SPROX_SHA256_LEN),
                           string_to_sign, mac);
    if (rc != SPROX_OK) {
        return rc;
    }

    for (i = 0; i < SPROX_SHA256_LEN; i++) {
        hex[i * 2] = digits[mac[i] >> 4];
        hex[i * 2 + 1] = digits[mac[i] & 0xf];
    }

    return SPROX_OK;
}


sprox_rc_t
sprox_sigv4_authorization(sprox_buf_t *out, sprox_str_t access_key,
    sprox_str_t secret, const sprox_sigv4_t *sig)
{
    uint8_t      key[SPROX_SHA256_LEN], hex[SPROX_SIGV4_LEN];
    uint8_t      date[SPROX_TIME_AMZ_LEN];
    sprox_rc_t   rc;
    sprox_buf_t  canonical, to_sign;

    sprox_buf_init(&canonical, out->mem);
    sprox_buf_init(&to_sign, out->mem);

    rc = sprox_sigv4_canonical(&canonical, sig);
    if (rc != SPROX_OK) {
        goto done;
    }

    rc = sprox_sigv4_string_to_sign(&to_sign, sig, sprox_buf_get(&canonical));
    if (rc != SPROX_OK) {
        goto done;
    }

    rc = sprox_sigv4_key(out->mem, secret, sig, key);
    if (rc != SPROX_OK) {
        goto done;
    }

    rc = sprox_sigv4_signature(key, sprox_buf_get(&to_sign), hex);

    sprox_wipe(key, sizeof(key));

    if (rc != SPROX_OK) {
        goto done;
    }

    sprox_time_amz(sig->time, date);

    sprox_buf_str(out, sprox_sigv4_scheme(sig)->algorithm);
    sprox_buf_text(out, " Credential=");
    sprox_buf_str(out, access_key);
    sprox_buf_char(out, '/');
    sprox_sigv4_scope(out, sig, date);
    sprox_buf_text(out, ", SignedHeaders=");
    (void) sprox_sigv4_signed_headers(out, sig);
    sprox_buf_text(out, ", Signature=");
    sprox_buf_add(out, hex, sizeof(hex));

    rc = sprox_buf_rc(out);

done:

    /* a session token is among the signed headers */

    sprox_buf_wipe(&canonical);
    sprox_buf_wipe(&to_sign);

    return rc;
}
