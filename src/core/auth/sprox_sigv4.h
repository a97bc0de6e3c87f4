/*
 * AWS Signature Version 4 in its stages (S3 API reference, "Authenticating
 * requests"): canonical request, string to sign, signing key, signature.
 */

#ifndef SPROX_SIGV4_H
#define SPROX_SIGV4_H


#include "sprox_buf.h"


#define SPROX_SIGV4_HEADERS_MAX   32
#define SPROX_SIGV4_LEN           64   /* hexadecimal characters */

#define SPROX_EMPTY_SHA256                                                    \
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


typedef struct {
    sprox_str_t  name;              /* lower case */
    sprox_str_t  value;
} sprox_header_t;


typedef struct {
    sprox_str_t            method;
    sprox_str_t            path;          /* encoded once, as sent */
    sprox_str_t            query;         /* canonical: encoded and sorted */
    const sprox_header_t  *headers;       /* to be signed, any order; host,
                                             x-amz-date among them */
    size_t                 nheaders;
    sprox_str_t            payload_hash;  /* hex, or UNSIGNED-PAYLOAD */
    int64_t                time;          /* seconds */
    sprox_str_t            region;
    sprox_str_t            service;       /* "s3" */
    unsigned               goog:1;        /* Google's twin of the scheme, for
                                             its HMAC keys: GOOG4-HMAC-SHA256,
                                             x-goog-date, goog4_request */
} sprox_sigv4_t;


/*
 * Canonical query: encodes names and values and sorts by both (duplicates
 * stay); args are put into that order.
 */

typedef struct {
    sprox_str_t  name;
    sprox_str_t  value;
} sprox_sigv4_arg_t;

void sprox_sigv4_query(sprox_buf_t *out, sprox_sigv4_arg_t *args, size_t n);

/*
 * Canonical request: values trimmed, runs of spaces folded, headers sorted
 * by name, duplicates joined by ','.  SPROX_OK, SPROX_NOMEM, SPROX_LIMIT
 * (more than SPROX_SIGV4_HEADERS_MAX headers).
 */
sprox_rc_t sprox_sigv4_canonical(sprox_buf_t *out, const sprox_sigv4_t *sig);

/* Appends "host;x-amz-date;...": sorted, each name once.  As above. */
sprox_rc_t sprox_sigv4_signed_headers(sprox_buf_t *out,
    const sprox_sigv4_t *sig);

/* SPROX_OK or SPROX_NOMEM, and so the rest. */
sprox_rc_t sprox_sigv4_string_to_sign(sprox_buf_t *out,
    const sprox_sigv4_t *sig, sprox_str_t canonical);

/* The derived key; the caller wipes it (after a failure it is wiped). */
sprox_rc_t sprox_sigv4_key(const sprox_mem_t *mem, sprox_str_t secret,
    const sprox_sigv4_t *sig, uint8_t key[32]);

sprox_rc_t sprox_sigv4_signature(const uint8_t key[32],
    sprox_str_t string_to_sign, uint8_t hex[SPROX_SIGV4_LEN]);

/*
 * All stages: appends the value of an Authorization header,
 * "AWS4-HMAC-SHA256 Credential=..., SignedHeaders=..., Signature=...".
 * Intermediate secrets are wiped.
 */
sprox_rc_t sprox_sigv4_authorization(sprox_buf_t *out, sprox_str_t access_key,
    sprox_str_t secret, const sprox_sigv4_t *sig);


/*
 * The parts of a client's Authorization header or presigned query; the
 * strings point into the value.  Read for logs today; verification comes
 * with client identity.
 */

typedef struct {
    sprox_str_t  access_key;
    sprox_str_t  date;              /* yyyymmdd of the scope */
    sprox_str_t  region;
    sprox_str_t  service;
    sprox_str_t  signed_headers;
    sprox_str_t  signature;
} sprox_authz_t;

/*
 * "AWS4-HMAC-SHA256 Credential=..., SignedHeaders=..., Signature=...", the
 * three in any order; SPROX_OK or SPROX_INVALID (a part is missing, comes
 * twice, or breaks its grammar).  An access key may hold '/'.
 */
sprox_rc_t sprox_authz_parse(sprox_str_t value, sprox_authz_t *authz);

/*
 * The X-Amz-Credential of a presigned URL, decoded: access key and scope
 * only.  SPROX_OK or SPROX_INVALID.
 */
sprox_rc_t sprox_authz_credential(sprox_str_t value, sprox_authz_t *authz);


#endif /* SPROX_SIGV4_H */
