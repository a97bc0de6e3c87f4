/*
 * Dialects: how each kind of object store is spoken to.  One table of
 * functions a dialect; the caller performs the network work.
 */

#ifndef SPROX_DIALECT_H
#define SPROX_DIALECT_H


#include "sprox_uri.h"
#include "sprox_op.h"
#include "sprox_range.h"
#include "sprox_list.h"
#include "sprox_sigv4.h"


#define SPROX_HEADERS_MAX       8192   /* kept headers of one object */
#define SPROX_ETAG_MAX          256
#define SPROX_REGION_MAX        64


/* What signs; never logged, wiped by its owner. */

typedef struct {
    unsigned     anonymous:1;          /* nothing is signed */
    sprox_str_t  access_key;
    sprox_str_t  secret_key;
    sprox_str_t  token;                /* session token, may be empty */
} sprox_credential_t;


typedef struct {
    sprox_endpoint_t  endpoint;
    sprox_str_t       region;
    unsigned          virtual_style:1; /* bucket.host instead of host/bucket;
                                          path style all the same for a bucket
                                          with a dot over TLS, and for a host
                                          that is an address or has no dot */
} sprox_origin_addr_t;


#define SPROX_LIST_ARG_MAX      2048   /* prefix, delimiter, start_after */
#define SPROX_ORIGIN_TOKEN_MAX  8192   /* an origin's continuation token */


/* A read, in the dialects' common words. */

typedef struct {
    sprox_op_t   op;           /* GET_OBJECT, HEAD_OBJECT, LIST_OBJECTS_V2,
                                  LIST_BUCKETS or HEAD_BUCKET; of what is no
                                  store, its own */
    sprox_str_t  bucket;
    sprox_str_t  key;          /* decoded bytes */

    /* objects */
    sprox_range_t  range;
    sprox_str_t    if_match;       /* ETag with its quotes */
    sprox_str_t    if_none_match;
    sprox_str_t    version;        /* GCS generation, pins instead of ETag */
    uint32_t       part_number;    /* 0: none */

    /* listings */
    sprox_str_t  prefix;
    sprox_str_t  delimiter;
    sprox_str_t  start_after;
    sprox_str_t  token;            /* the origin's own continuation token */
    uint32_t     max_keys;         /* 0: as many as the origin likes */
    unsigned     fetch_owner:1;

    /* what is no store: see sprox_dialect_sqs, sprox_dialect_sns */
    sprox_str_t  query;            /* encoded, as sent */
    uint32_t     wait;             /* seconds */
} sprox_origin_req_t;


/*
 * What an origin's response header says, in the dialects' common words.
 * Numbers are -1, strings empty, where it said nothing.  Strings point into
 * the values that header() was given, which must live as long.
 */

typedef struct {
    int          status;
    int64_t      content_length;
    sprox_str_t  content_range;
    sprox_str_t  etag;             /* with quotes (added where an origin
                                      sent none); W/ kept; empty when it is
                                      no ETag or passes SPROX_ETAG_MAX */
    int64_t      last_modified;    /* seconds */
    int64_t      date;             /* seconds: the origin's own clock */
    sprox_str_t  storage_class;
    sprox_str_t  version;          /* x-amz-version-id, GCS generation */
    sprox_str_t  bucket_region;    /* x-amz-bucket-region */
    sprox_str_t  location;
    sprox_str_t  content_encoding; /* any but identity */
    int64_t      retry_after;      /* seconds; only the delta form */
    int64_t      parts_count;      /* x-amz-mp-parts-count */
    unsigned     close:1;
    unsigned     chunked:1;
    unsigned     unknown_coding:1; /* a Transfer-Encoding but chunked */
    unsigned     bad:1;            /* a repeated or unreadable framing header */
    unsigned     keep_limit:1;     /* kept headers passed SPROX_HEADERS_MAX */
    unsigned     stored_coding:1;  /* gcs: the stored bytes are encoded; when
                                      content_encoding is empty, they were
                                      decoded on their way and what came is
                                      not the object */
    sprox_buf_t  keep;             /* "name: value\r\n" lines for clients;
                                      failed: memory ran out */

    /* private to the readers */
    uint64_t     seen;
    sprox_buf_t  quoted;
} sprox_origin_resp_t;


typedef struct sprox_dialect_s  sprox_dialect_t;

struct sprox_dialect_s {
    sprox_str_t   name;            /* "s3" */
    sprox_str_t   endpoint;        /* default, or empty; s3: with the region
                                      in place of '*' */
    sprox_str_t   region;          /* default */
    unsigned      network:1;       /* 0: file */
    unsigned      virtual_style:1; /* default style */
    unsigned      fixed:1;         /* no store: nothing is found elsewhere */

    /*
     * Appends a whole request head, "GET /b/k?x HTTP/1.1\r\nHost: ...
     * \r\n\r\n", signed for `now` (seconds).  Only what the request struct
     * says is sent, no header of any client; user-agent: sprox;
     * Accept-Encoding: identity.  An empty region is the dialect's default.
     * SPROX_OK, SPROX_NOMEM, SPROX_INVALID (an operation that is none of
     * the above; a bucket that breaks the naming rules; an object without a
     * key; a region with characters other than a-z 0-9 -; a credential
     * without one of its keys; a control character in a value that goes into
     * a header), SPROX_LIMIT (key, ETag, list argument or token too long).
     * Nothing is appended unless it is SPROX_OK.
     */
    sprox_rc_t  (*build)(sprox_buf_t *out, const sprox_origin_addr_t *addr,
                         const sprox_origin_req_t *req,
                         const sprox_credential_t *cred, int64_t now);

    /*
     * Appends the host name to connect to and to verify (without port or
     * brackets): endpoint host, or bucket.host in virtual style.  An empty
     * bucket: the endpoint's host.  SPROX_OK, SPROX_NOMEM, SPROX_INVALID.
     */
    sprox_rc_t  (*host)(sprox_buf_t *out, const sprox_origin_addr_t *addr,
                        sprox_str_t bucket);

    /*
     * Takes one response header line (name in any case) into resp.  Those
     * that clients should see are appended to resp->keep under the names
     * that S3 gives them (x-goog-meta-* becomes x-amz-meta-*); it is a list
     * of names.  Never kept: checksums, connection and framing headers,
     * dates, request ids, cookies, ETag, Last-Modified, Content-Length,
     * Content-Range.
     */
    void        (*header)(sprox_origin_resp_t *resp, sprox_str_t name,
                          sprox_str_t value);

    /* Whether a bucket may be called so: what build() and host() check. */
    int         (*bucket_valid)(sprox_str_t bucket);
};


/* By name; NULL when there is none.  s3, gcs, file. */
const sprox_dialect_t *sprox_dialect(sprox_str_t name);

/*
 * What is asked by the same means and is no store; no target names them.
 *
 * sqs: a queue, by its query API.  key: "ACCOUNT/QUEUE" (or any path).
 *     RECEIVE_MESSAGE: max_keys (of messages) and wait, for which it lets
 *     the request wait when there are none.  DELETE_MESSAGE: token, the
 *     message's receipt handle.
 * sns: whatever lies at https://BUCKET/KEY?QUERY, asked without a signature:
 *     bucket is the host, key is encoded, and stands in logs; query does
 *     not.  GET_CERTIFICATE, CONFIRM_SUBSCRIPTION.
 */
extern const sprox_dialect_t  sprox_dialect_sqs;
extern const sprox_dialect_t  sprox_dialect_sns;

/* Resets resp; keep grows in mem. */
void sprox_origin_resp_init(sprox_origin_resp_t *resp,
    const sprox_mem_t *mem);

/* Frees what the readers took (not needed for pools); resp is as reset. */
void sprox_origin_resp_free(sprox_origin_resp_t *resp);

/*
 * Whether last-modified tells this version from any later one: it has
 * seconds only, so an object may be replaced within the one it names.  When
 * the origin's own clock is so many seconds past it, it may not any more.
 */
#define SPROX_SETTLED_AFTER     5

int sprox_origin_settled(const sprox_origin_resp_t *resp);

/*
 * Where to ask instead, when the origin said that the bucket lives in
 * another region (301, 307, 400 AuthorizationHeaderMalformed with a
 * region): SPROX_OK with *region (checked: a-z 0-9 -) out of the headers
 * or the error document, into which it points; SPROX_NOT_FOUND: it is no
 * such answer.  error: NULL when there is none (HEAD).
 */
sprox_rc_t sprox_origin_redirect(const sprox_origin_resp_t *resp,
    const sprox_error_t *error, sprox_str_t *region);

/* Whether a status may be retried: 429, 500, 502, 503, 504. */
int sprox_origin_retriable(int status);

/*
 * The endpoint of s3 for a region ("https://s3.eu-west-1.amazonaws.com",
 * with .cn for China's); an endpoint that the operator wrote stays.
 * Appends text.
 */
void sprox_s3_endpoint(sprox_buf_t *out, sprox_str_t region);

/* a-z 0-9 - only, 1 to SPROX_REGION_MAX. */
int sprox_region_valid(sprox_str_t region);


#endif /* SPROX_DIALECT_H */
