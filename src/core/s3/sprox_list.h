/*
 * Listings: the request's parameters, the pages that origins send, the
 * pages that clients get, and continuation tokens.  (S3 API: ListObjects,
 * ListObjectsV2, ListBuckets.)
 */

#ifndef SPROX_LIST_H
#define SPROX_LIST_H


#include "sprox_op.h"


#define SPROX_LIST_KEYS_MAX     1000               /* per page, as S3 */
#define SPROX_LIST_XML_MAX      (16 * 1024 * 1024) /* bytes of one page */
#define SPROX_LIST_TEXT_MAX     8192               /* bytes of one field */
#define SPROX_TOKEN_MAX         2048               /* characters */


typedef struct {
    unsigned     version;           /* 1 or 2 */
    sprox_str_t  prefix;            /* decoded */
    sprox_str_t  delimiter;
    sprox_str_t  after;             /* list what is > after: from marker,
                                       start-after or the token; from
                                       mem when token.len, to be freed */
    uint32_t     max_keys;          /* 0 to SPROX_LIST_KEYS_MAX */
    unsigned     url:1;             /* encoding-type=url */
    unsigned     fetch_owner:1;     /* always in version 1 */
    unsigned     delimiter_sent:1;
    /* as sent, for the echo in the answer: */
    sprox_str_t  marker;
    sprox_str_t  start_after;
    sprox_str_t  token;
    unsigned     token_sent:1;
    unsigned     start_after_sent:1;
} sprox_list_req_t;


/* One line of a page: an object, or a common prefix. */

typedef struct {
    sprox_str_t  key;               /* decoded bytes */
    unsigned     is_prefix:1;       /* only key holds */
    uint64_t     size;
    int64_t      last_modified;     /* milliseconds */
    sprox_str_t  etag;              /* with quotes, unescaped */
    sprox_str_t  storage_class;     /* may be empty */
    sprox_str_t  owner_id;          /* may be empty */
    sprox_str_t  owner_name;
} sprox_list_item_t;


/*
 * Parameters of ListObjects or ListObjectsV2 out of a query; strings point
 * into the query or come from mem.  SPROX_OK (*err is not touched),
 * SPROX_NOMEM (*err is InternalError), or SPROX_INVALID with *err and, when
 * it helps, *why (static text, else NULL): max-keys that is no number,
 * negative or above 2^31 - 1, encoding-type other than url, a token that is
 * none of ours, names longer than SPROX_KEY_MAX.
 *
 * max-keys above the maximum is cut, as S3 does.  Empty max-keys,
 * encoding-type and continuation-token are as if they were not sent (but
 * token_sent is set, for the echo).
 */
sprox_rc_t sprox_list_req_parse(const sprox_mem_t *mem,
    const sprox_query_t *query, unsigned version, sprox_list_req_t *req,
    sprox_error_code_t *err, const char **why);

/*
 * A continuation token for "what comes after key": base64url of a format
 * byte and the key; opaque to clients, holds across restarts, the same in
 * every worker.  key is that of the last item, which may be a common prefix.
 */
void sprox_list_token(sprox_buf_t *out, sprox_str_t key);

/*
 * Reads a page of an origin (ListBucketResult of either version, or
 * ListAllMyBucketsResult) with libxml2's push parser.
 *
 *   p = sprox_list_parser_create(mem, url, on_item, data);
 *   sprox_list_parser_feed(p, bytes, len);   as often as bytes come
 *   sprox_list_parser_done(p, &page);
 *   sprox_list_parser_free(p);
 *
 * on_item is called for each Contents, CommonPrefixes and Bucket in the
 * order of the document, from feed() or done(); the item's strings hold
 * only during the call; what it returns other than SPROX_OK ends the parse
 * and is returned.
 *
 * url: the origin was asked for encoding-type=url.  Whether it did encode,
 * only the document says (<EncodingType>url; versitygw ignores the wish),
 * and MinIO says so after the Contents: from the first key on for which it
 * matters (one with '%' or '+'), items are held back until it is known.
 * Without url a page that turns out to be encoded is SPROX_INVALID when
 * such a key was already given out.
 *
 * An ETag without quotes is given them, a missing one stays empty; Key,
 * Size, LastModified and IsTruncated must be there.
 *
 * Errors: SPROX_INVALID (not XML, wrong root, DTD or entity, a required
 * field is missing or unreadable), SPROX_LIMIT (depth, size, key length),
 * SPROX_NOMEM.  After an error only free() may be called.  mem must outlive
 * the parser.
 */

typedef struct sprox_list_parser_s  sprox_list_parser_t;

typedef sprox_rc_t (*sprox_list_item_pt)(void *data,
    const sprox_list_item_t *item);

typedef struct {
    unsigned     truncated:1;
    unsigned     buckets:1;         /* it was ListAllMyBucketsResult */
    sprox_str_t  next;              /* NextContinuationToken or NextMarker
                                       (decoded), from mem, to be freed; may
                                       be empty (v1 without a delimiter: the
                                       caller takes the last key) */
} sprox_list_page_t;

sprox_list_parser_t *sprox_list_parser_create(const sprox_mem_t *mem,
    int url, sprox_list_item_pt on_item, void *data);
sprox_rc_t sprox_list_parser_feed(sprox_list_parser_t *p, const void *data,
    size_t len);
sprox_rc_t sprox_list_parser_done(sprox_list_parser_t *p,
    sprox_list_page_t *page);
void sprox_list_parser_free(sprox_list_parser_t *p);

/*
 * Writes a ListBucketResult.  items: objects and common prefixes mixed, in
 * byte order; next: key of the last item (becomes the token or NextMarker)
 * when truncated.  Literal shapes that clients search for: <Contents>,
 * <Key>, <Prefix> without attributes; Contents first, CommonPrefixes after,
 * as S3 does.  Without encoding-type=url, a key with characters that XML
 * 1.0 cannot carry is written as a numeric reference as S3 does (&#x1;);
 * parsers may refuse it, which is why clients ask for url.  Bytes that are
 * no UTF-8 are then U+FFFD.  LastModified is cut to the second, as the
 * Last-Modified header of the same object is.
 */
void sprox_list_write(sprox_buf_t *out, sprox_str_t bucket,
    const sprox_list_req_t *req, const sprox_list_item_t *items, size_t n,
    int truncated, sprox_str_t next);

/* ListAllMyBucketsResult; last_modified is the creation date. */
void sprox_buckets_write(sprox_buf_t *out, const sprox_list_item_t *buckets,
    size_t n);

/* LocationConstraint; us-east-1 is written empty, as S3 does. */
void sprox_location_write(sprox_buf_t *out, sprox_str_t region);


#endif /* SPROX_LIST_H */
