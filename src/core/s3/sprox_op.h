/*
 * What a client asks for: S3's operations, from method, path and query, by
 * one table (S3 API reference, "Actions").
 */

#ifndef SPROX_OP_H
#define SPROX_OP_H


#include "sprox_query.h"
#include "sprox_error.h"


#define SPROX_KEY_MAX          1024   /* bytes; S3: KeyTooLongError */
#define SPROX_BUCKET_MIN       3
#define SPROX_BUCKET_MAX       63
#define SPROX_VBUCKET_MAX      255    /* a virtual bucket's name */
#define SPROX_PATH_MAX         4096   /* raw bytes of a request path */


typedef enum {
    SPROX_OP_NONE = 0,           /* none that sprox serves: see the error */
    SPROX_OP_LIST_BUCKETS,
    SPROX_OP_HEAD_BUCKET,
    SPROX_OP_GET_BUCKET_LOCATION,
    SPROX_OP_LIST_OBJECTS,
    SPROX_OP_LIST_OBJECTS_V2,
    SPROX_OP_HEAD_OBJECT,
    SPROX_OP_GET_OBJECT,
    SPROX_OP_PURGE,              /* sprox's own: PURGE /bucket/key */

    /* what sprox asks of others, and no client of it */
    SPROX_OP_RECEIVE_MESSAGE,
    SPROX_OP_DELETE_MESSAGE,
    SPROX_OP_GET_CERTIFICATE,
    SPROX_OP_CONFIRM_SUBSCRIPTION,
    SPROX_OP_MAX
} sprox_op_t;


typedef struct {
    sprox_op_t       op;
    sprox_str_t      bucket;     /* empty for the service itself */
    sprox_str_t      key;        /* decoded bytes; empty for a bucket */
    sprox_query_t    query;
    unsigned         signed_query:1;   /* was a presigned URL */
    uint8_t         *names;      /* what bucket and key point into; from mem */
} sprox_s3_request_t;


/* The operation's name as in the S3 API ("GetObject"); for logs, metrics. */
sprox_str_t sprox_op_name(sprox_op_t op);

/*
 * Reads a request.  method: as sent.  target: path and query as sent in the
 * request line, nothing decoded or normalised ('//', '.', '..' are legal in
 * keys).  vhost: the bucket that the Host header named (virtual-hosted
 * style; points to the caller's memory), or empty for path style.  The key
 * and query are allocated from mem: see sprox_s3_request_free().
 *
 * SPROX_OK: *req is filled in, and *err is not touched.  SPROX_NOMEM: *req
 * is empty, and *err is InternalError.  SPROX_INVALID: *err is the S3 error
 * to answer with (MethodNotAllowed, NotImplemented, InvalidURI,
 * KeyTooLongError, InvalidBucketName, InvalidArgument ...); req->bucket and
 * req->key hold what was understood.
 *
 * The bucket here is a virtual one, that aliases name freely ("tblA"): 1 to
 * SPROX_VBUCKET_MAX of A-Z a-z 0-9 . - _, the first a letter, a digit or
 * '_'.  Whether an origin's bucket may be called so, sprox_bucket_valid()
 * tells.
 *
 * A sub-resource that is not served (?acl, ?tagging, ?uploads, ?versionId
 * ...) is NotImplemented, and so is every write; a method that S3 does not
 * know is MethodNotAllowed.  Parameters that S3 ignores are ignored
 * (x-id=, X-Amz-*, unknown words without meaning).
 */
sprox_rc_t sprox_s3_parse(const sprox_mem_t *mem, sprox_str_t method,
    sprox_str_t target, sprox_str_t vhost, sprox_s3_request_t *req,
    sprox_error_code_t *err);

/* Frees what sprox_s3_parse() took (after SPROX_OK or SPROX_INVALID). */
void sprox_s3_request_free(const sprox_mem_t *mem, sprox_s3_request_t *req);

/*
 * S3's rules for bucket names ("Bucket naming rules"): 3 to 63 of a-z 0-9 .
 * -, first and last a letter or digit, no "..", not an IPv4 address.
 */
int sprox_bucket_valid(sprox_str_t bucket);

/* Four groups of digits with dots between, which no store takes for a name. */
int sprox_bucket_ipv4(sprox_str_t s);

/*
 * The bucket of a virtual-hosted Host header, given one domain of
 * sprox_domain: "b.s3.example.com:9000" and "s3.example.com" give "b".
 * Case of the domain is ignored, and so are the host's port and one final
 * dot; domain has neither.  SPROX_NOT_FOUND: not below this domain (or the
 * domain itself: path style).  bucket points into host, and is not checked.
 */
sprox_rc_t sprox_vhost_bucket(sprox_str_t host, sprox_str_t domain,
    sprox_str_t *bucket);


#endif /* SPROX_OP_H */
