/*
 * S3's errors: one table for codes, statuses and texts; the writer of the
 * XML that clients see and the reader of the XML that origins send.
 * (S3 API reference, "Error responses".)
 */

#ifndef SPROX_ERROR_H
#define SPROX_ERROR_H


#include "sprox_buf.h"


#define SPROX_ERROR_XML_MAX     (64 * 1024)   /* bytes read of an origin's */
#define SPROX_ERROR_CODE_MAX    128           /* bytes of its code */


typedef enum {
    SPROX_ERR_NONE = 0,
    SPROX_ERR_ACCESS_DENIED,
    SPROX_ERR_AUTHORIZATION_HEADER_MALFORMED,
    SPROX_ERR_BAD_DIGEST,
    SPROX_ERR_INTERNAL_ERROR,
    SPROX_ERR_INVALID_ARGUMENT,
    SPROX_ERR_INVALID_BUCKET_NAME,
    SPROX_ERR_INVALID_PART_NUMBER,      /* 416 */
    SPROX_ERR_INVALID_RANGE,            /* 416 */
    SPROX_ERR_INVALID_REQUEST,
    SPROX_ERR_INVALID_URI,
    SPROX_ERR_KEY_TOO_LONG,             /* KeyTooLongError */
    SPROX_ERR_METADATA_TOO_LARGE,
    SPROX_ERR_METHOD_NOT_ALLOWED,
    SPROX_ERR_NO_SUCH_BUCKET,
    SPROX_ERR_NO_SUCH_KEY,
    SPROX_ERR_NO_SUCH_VERSION,
    SPROX_ERR_NOT_IMPLEMENTED,
    SPROX_ERR_PRECONDITION_FAILED,
    SPROX_ERR_REQUEST_HEADER_TOO_LARGE, /* RequestHeaderSectionTooLarge */
    SPROX_ERR_SERVICE_UNAVAILABLE,      /* 503 */
    SPROX_ERR_SLOW_DOWN,                /* 503 */
    SPROX_ERR_BAD_GATEWAY,              /* 502: the origin cannot be reached
                                           or trusted, or broke its word */
    SPROX_ERR_GATEWAY_TIMEOUT,          /* 504 */
    SPROX_ERR_MAX
} sprox_error_code_t;


typedef struct {
    sprox_str_t  code;              /* "NoSuchKey" */
    int          status;
    sprox_str_t  message;
} sprox_error_info_t;


/* The row of the table; code must be in range. */
const sprox_error_info_t *sprox_error_info(sprox_error_code_t code);

/*
 * Appends <?xml ...><Error><Code>..</Code><Message>..</Message>[<Key> or
 * <BucketName>]<Resource>/bucket/key</Resource><RequestId>..</RequestId>
 * </Error>.  Key when there is a key, BucketName when there is only a
 * bucket.  message: empty for the table's own.  Characters that XML 1.0
 * cannot carry, and bytes that are no UTF-8, are percent-encoded.
 */
void sprox_error_write(sprox_buf_t *out, sprox_str_t code,
    sprox_str_t message, sprox_str_t bucket, sprox_str_t key,
    sprox_str_t request_id);


/*
 * What is used of an origin's error; the strings are from mem, and data is
 * NULL in those that the document did not have.
 */

typedef struct {
    sprox_str_t  code;              /* letters, digits, '.', '_', '-' */
    sprox_str_t  message;           /* control characters are spaces */
    sprox_str_t  region;            /* AuthorizationHeaderMalformed,
                                       redirects */
    sprox_str_t  endpoint;          /* PermanentRedirect */
    sprox_str_t  bucket;
} sprox_error_t;

/*
 * Reads an S3 error document (also one in an ErrorResponse, as STS sends).
 * SPROX_OK; SPROX_INVALID: not XML, no Error element, a DTD; SPROX_LIMIT:
 * too deep, or larger than SPROX_ERROR_XML_MAX; SPROX_NOMEM.  Other than
 * SPROX_OK, *error is empty.  libxml2, no network, no DTD, no entities.  A
 * code that is none (other characters, SPROX_ERROR_CODE_MAX) is passed over.
 */
sprox_rc_t sprox_error_parse(const sprox_mem_t *mem, sprox_str_t xml,
    sprox_error_t *error);

/* Frees the strings of sprox_error_parse(). */
void sprox_error_free(const sprox_mem_t *mem, sprox_error_t *error);


#endif /* SPROX_ERROR_H */
