/*
 * What the dialects share, private to src/core/origin: the writer of a
 * request head, and the reader of response header lines.
 */

#ifndef SPROX_ORIGIN_HEAD_H
#define SPROX_ORIGIN_HEAD_H


#include "sprox_dialect.h"


/* What is asked for, where: all encoded, as it is sent. */

typedef struct {
    sprox_buf_t   host;               /* value of the Host header */
    sprox_buf_t   path;
    sprox_buf_t   query;
} sprox_origin_target_t;


/* How a dialect differs from the others when it asks. */

typedef struct {
    sprox_str_t   service;            /* of the signature's scope */
    sprox_str_t   region;             /* when the origin names none */
    sprox_str_t   date_name;          /* "x-amz-date" */
    sprox_str_t   hash_name;          /* "x-amz-content-sha256" */
    sprox_str_t   token_name;         /* empty: session tokens are unknown */
    sprox_str_t   version_match;      /* header that pins a version, empty:
                                         there is none, the ETag pins */
    unsigned      goog:1;
    unsigned      never_sign:1;
    int         (*bucket_valid)(sprox_str_t bucket);

    /*
     * Of what is no object store: checks what is asked for, and writes it.
     * SPROX_OK, or what build() returns; memory is the caller's to look at.
     */
    sprox_rc_t  (*target)(sprox_origin_target_t *target,
                          const sprox_origin_addr_t *addr,
                          const sprox_origin_req_t *req);
} sprox_origin_scheme_t;


/* build() and host() of a dialect, given how it differs. */

sprox_rc_t sprox_origin_head(sprox_buf_t *out,
    const sprox_origin_scheme_t *scheme, const sprox_origin_addr_t *addr,
    const sprox_origin_req_t *req, const sprox_credential_t *cred,
    int64_t now);

sprox_rc_t sprox_origin_host(sprox_buf_t *out,
    const sprox_origin_scheme_t *scheme, const sprox_origin_addr_t *addr,
    sprox_str_t bucket);


/*
 * One response header that means something.  read() says whether the line
 * is kept for clients; no read(): it is, if keep_as is set.
 */

typedef enum {
    SPROX_HEADER_FIRST = 0,           /* a second one is passed over */
    SPROX_HEADER_ONCE,                /* a second one makes the answer bad */
    SPROX_HEADER_LIST                 /* each counts */
} sprox_header_repeat_t;


typedef struct {
    sprox_str_t             name;     /* lower case */
    sprox_header_repeat_t   repeat;
    int                   (*read)(sprox_origin_resp_t *resp,
                                  sprox_str_t value);
    sprox_str_t             keep_as;  /* empty: never kept */
} sprox_origin_header_t;


#define SPROX_ORIGIN_HEADERS_MAX   32 /* rows of one table */


/*
 * header() of a dialect: its own rows (at most SPROX_ORIGIN_HEADERS_MAX),
 * then those of HTTP.  meta: the prefix of user metadata besides x-amz-meta-,
 * or empty.
 */
void sprox_origin_header(sprox_origin_resp_t *resp,
    const sprox_origin_header_t *rows, size_t nrows, sprox_str_t meta,
    sprox_str_t name, sprox_str_t value);

/* One more argument of a query, unless it would say nothing; the new n. */
size_t sprox_origin_arg(sprox_sigv4_arg_t *args, size_t n, sprox_str_t name,
    sprox_str_t value);

/* The digits of a number, at the end of buf; empty: 0. */
#define SPROX_U32_DIGITS           10

sprox_str_t sprox_origin_digits(uint8_t buf[SPROX_U32_DIGITS], uint32_t n);


/* read() for the fields that more than one dialect has. */
int sprox_origin_read_version(sprox_origin_resp_t *resp, sprox_str_t value);
int sprox_origin_read_class(sprox_origin_resp_t *resp, sprox_str_t value);


extern const sprox_dialect_t  sprox_dialect_s3;
extern const sprox_dialect_t  sprox_dialect_gcs;
extern const sprox_dialect_t  sprox_dialect_file;


#endif /* SPROX_ORIGIN_HEAD_H */
