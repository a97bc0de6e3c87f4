/*
 * Writes the head of a request to an origin.  All dialects that speak S3's
 * words share it; what differs is in their sprox_origin_scheme_t.
 *
 *   GET /bucket/key?partNumber=1 HTTP/1.1          path style
 *   Host: s3.eu-west-1.amazonaws.com
 *   User-Agent: sprox
 *   Accept-Encoding: identity
 *   Connection: keep-alive
 *   Range: bytes=0-65535
 *   If-Match: "etag"
 *   x-amz-content-sha256: e3b0...                  from here on only when
 *   x-amz-date: 20130524T000000Z                   it is signed
 *   x-amz-security-token: ...
 *   Authorization: AWS4-HMAC-SHA256 ...
 *
 * Signed are the Host header and those of the store's own family, nothing
 * else: whatever stands between here and there may touch the others.
 */

#include "sprox_origin_head.h"
#include "sprox_time.h"


#define SPROX_LIST_ARGS        8
#define SPROX_SIGNED_HEADERS   5


typedef struct {
    sprox_origin_target_t  target;
    sprox_str_t            region;
} sprox_origin_head_t;


static sprox_rc_t sprox_origin_check(const sprox_origin_scheme_t *scheme,
    const sprox_origin_req_t *req, const sprox_credential_t *cred,
    sprox_str_t region);
static sprox_rc_t sprox_origin_check_credential(
    const sprox_origin_scheme_t *scheme, const sprox_credential_t *cred,
    sprox_str_t region);
static int sprox_origin_virtual(const sprox_origin_addr_t *addr,
    sprox_str_t bucket);
static void sprox_origin_store(sprox_origin_target_t *target,
    const sprox_origin_addr_t *addr, const sprox_origin_req_t *req);
static void sprox_origin_list_query(sprox_buf_t *out,
    const sprox_origin_req_t *req);
static void sprox_origin_write(sprox_buf_t *out,
    const sprox_origin_scheme_t *scheme, const sprox_origin_head_t *head,
    const sprox_origin_req_t *req);
static void sprox_origin_range(sprox_buf_t *out, const sprox_range_t *range);
static sprox_rc_t sprox_origin_sign(sprox_buf_t *out,
    const sprox_origin_scheme_t *scheme, const sprox_origin_head_t *head,
    const sprox_origin_req_t *req, const sprox_credential_t *cred,
    int64_t now);


static inline int
sprox_origin_is_object(const sprox_origin_req_t *req)
{
    return req->op == SPROX_OP_GET_OBJECT || req->op == SPROX_OP_HEAD_OBJECT;
}


static inline sprox_str_t
sprox_origin_method(const sprox_origin_req_t *req)
{
    return (req->op == SPROX_OP_HEAD_OBJECT || req->op == SPROX_OP_HEAD_BUCKET)
           ? sprox_str_lit("HEAD") : sprox_str_lit("GET");
}


static inline int
sprox_origin_pins_version(const sprox_origin_scheme_t *scheme,
    const sprox_origin_req_t *req)
{
    return sprox_origin_is_object(req) && req->if_match.len != 0
           && req->version.len != 0 && scheme->version_match.len != 0;
}


static inline void
sprox_origin_line(sprox_buf_t *out, sprox_str_t name, sprox_str_t value)
{
    sprox_buf_str(out, name);
    sprox_buf_text(out, ": ");
    sprox_buf_str(out, value);
    sprox_buf_text(out, "\r\n");
}


/* A value that cannot end its header line. */

static int
sprox_origin_field_valid(sprox_str_t s)
{
    size_t  i;

    for (i = 0; i < s.len; i++) {
        if (s.data[i] < 0x20 || s.data[i] == 0x7f) {
            return 0;
        }
    }

    return 1;
}


sprox_rc_t
sprox_origin_head(sprox_buf_t *out, const sprox_origin_scheme_t *scheme,
    const sprox_origin_addr_t *addr, const sprox_origin_req_t *req,
    const sprox_credential_t *cred, int64_t now)
{
    size_t                  start;
    sprox_rc_t              rc;
    sprox_origin_head_t     head;
    sprox_origin_target_t  *target;

    memset(&head, 0, sizeof(sprox_origin_head_t));

    head.region = (addr->region.len != 0) ? addr->region : scheme->region;

    rc = sprox_origin_check(scheme, req, cred, head.region);
    if (rc != SPROX_OK) {
        return rc;
    }

    start = out->len;

    target = &head.target;

    sprox_buf_init(&target->host, out->mem);
    sprox_buf_init(&target->path, out->mem);
    sprox_buf_init(&target->query, out->mem);

    if (scheme->target) {
        rc = scheme->target(target, addr, req);

    } else {
        sprox_origin_store(target, addr, req);
    }

    if (rc == SPROX_OK
        && (sprox_buf_rc(&target->host) != SPROX_OK
            || sprox_buf_rc(&target->path) != SPROX_OK
            || sprox_buf_rc(&target->query) != SPROX_OK))
    {
        rc = SPROX_NOMEM;
    }

    if (rc != SPROX_OK) {
        goto done;
    }

    sprox_origin_write(out, scheme, &head, req);

    if (!cred->anonymous && !scheme->never_sign) {

        rc = sprox_origin_sign(out, scheme, &head, req, cred, now);
        if (rc != SPROX_OK) {
            goto done;
        }
    }

    sprox_buf_text(out, "\r\n");

    rc = sprox_buf_rc(out);

done:

    if (rc != SPROX_OK) {
        out->len = start;
    }

    sprox_buf_free(&target->host);
    sprox_buf_free(&target->path);
    sprox_buf_free(&target->query);

    return rc;
}


static sprox_rc_t
sprox_origin_check(const sprox_origin_scheme_t *scheme,
    const sprox_origin_req_t *req, const sprox_credential_t *cred,
    sprox_str_t region)
{
    switch (req->op) {

    case SPROX_OP_LIST_BUCKETS:
        break;

    case SPROX_OP_GET_OBJECT:
    case SPROX_OP_HEAD_OBJECT:

        if (req->key.len == 0) {
            return SPROX_INVALID;
        }

        if (req->key.len > SPROX_KEY_MAX) {
            return SPROX_LIMIT;
        }

        /* fall through */

    case SPROX_OP_LIST_OBJECTS_V2:
    case SPROX_OP_HEAD_BUCKET:

        if (!scheme->bucket_valid(req->bucket)) {
            return SPROX_INVALID;
        }

        break;

    default:

        if (scheme->target == NULL) {
            return SPROX_INVALID;
        }
    }

    if (req->prefix.len > SPROX_LIST_ARG_MAX
        || req->delimiter.len > SPROX_LIST_ARG_MAX
        || req->start_after.len > SPROX_LIST_ARG_MAX
        || req->token.len > SPROX_ORIGIN_TOKEN_MAX
        || req->if_match.len > SPROX_ETAG_MAX
        || req->if_none_match.len > SPROX_ETAG_MAX
        || req->version.len > SPROX_ETAG_MAX)
    {
        return SPROX_LIMIT;
    }

    /* an ETag may come out of XML, where &#13;&#10; is legal */

    if (!sprox_origin_field_valid(req->if_match)
        || !sprox_origin_field_valid(req->if_none_match)
        || !sprox_origin_field_valid(req->version)
        || (req->range.kind == SPROX_RANGE_FROM_TO
            && req->range.last < req->range.first))
    {
        return SPROX_INVALID;
    }

    return sprox_origin_check_credential(scheme, cred, region);
}


static sprox_rc_t
sprox_origin_check_credential(const sprox_origin_scheme_t *scheme,
    const sprox_credential_t *cred, sprox_str_t region)
{
    if (cred->anonymous || scheme->never_sign) {
        return SPROX_OK;
    }

    if (cred->access_key.len == 0 || cred->secret_key.len == 0
        || !sprox_origin_field_valid(cred->access_key)
        || !sprox_origin_field_valid(cred->token)
        || !sprox_region_valid(region))
    {
        return SPROX_INVALID;
    }

    return SPROX_OK;
}


/*
 * Whether the bucket goes into the host name.  No certificate covers
 * a.b.s3.example.com by *.s3.example.com, and no name can be put in front
 * of an address or of the bare name of a container.
 */

static int
sprox_origin_virtual(const sprox_origin_addr_t *addr, sprox_str_t bucket)
{
    sprox_str_t  dot;

    dot = sprox_str_lit(".");

    if (!addr->virtual_style || bucket.len == 0
        || addr->endpoint.ipv4 || addr->endpoint.ipv6
        || sprox_str_find(addr->endpoint.host, dot, 0) == (size_t) -1)
    {
        return 0;
    }

    return !addr->endpoint.tls
           || sprox_str_find(bucket, dot, 0) == (size_t) -1;
}


sprox_rc_t
sprox_origin_host(sprox_buf_t *out, const sprox_origin_scheme_t *scheme,
    const sprox_origin_addr_t *addr, sprox_str_t bucket)
{
    if (bucket.len != 0 && !scheme->bucket_valid(bucket)) {
        return SPROX_INVALID;
    }

    if (sprox_origin_virtual(addr, bucket)) {
        sprox_buf_str(out, bucket);
        sprox_buf_char(out, '.');
    }

    sprox_buf_str(out, addr->endpoint.host);

    return sprox_buf_rc(out);
}


static void
sprox_origin_store(sprox_origin_target_t *target,
    const sprox_origin_addr_t *addr, const sprox_origin_req_t *req)
{
    int          in_host;
    sprox_str_t  bucket;

    bucket = (req->op == SPROX_OP_LIST_BUCKETS) ? sprox_str_null : req->bucket;
    in_host = sprox_origin_virtual(addr, bucket);

    if (in_host) {
        sprox_buf_str(&target->host, bucket);
        sprox_buf_char(&target->host, '.');
    }

    sprox_buf_str(&target->host, addr->endpoint.authority);

    sprox_buf_char(&target->path, '/');

    if (!in_host) {
        sprox_uri_encode(&target->path, bucket, 0);
    }

    if (sprox_origin_is_object(req)) {

        if (!in_host) {
            sprox_buf_char(&target->path, '/');
        }

        sprox_uri_encode(&target->path, req->key, 1);

        if (req->part_number != 0) {
            sprox_buf_text(&target->query, "partNumber=");
            sprox_buf_u64(&target->query, req->part_number);
        }

    } else if (req->op != SPROX_OP_HEAD_BUCKET) {
        sprox_origin_list_query(&target->query, req);
    }
}


size_t
sprox_origin_arg(sprox_sigv4_arg_t *args, size_t n, sprox_str_t name,
    sprox_str_t value)
{
    if (value.len == 0) {
        return n;
    }

    args[n].name = name;
    args[n].value = value;

    return n + 1;
}


sprox_str_t
sprox_origin_digits(uint8_t buf[SPROX_U32_DIGITS], uint32_t n)
{
    size_t  i;

    for (i = SPROX_U32_DIGITS; n != 0; n /= 10) {
        buf[--i] = (uint8_t) ('0' + n % 10);
    }

    return sprox_str_make(buf + i, SPROX_U32_DIGITS - i);
}


static void
sprox_origin_list_query(sprox_buf_t *out, const sprox_origin_req_t *req)
{
    size_t             n;
    uint8_t            digits[SPROX_U32_DIGITS];
    sprox_sigv4_arg_t  args[SPROX_LIST_ARGS];

    n = sprox_origin_arg(args, 0, sprox_str_lit("continuation-token"),
                         req->token);

    if (req->op == SPROX_OP_LIST_OBJECTS_V2) {

        n = sprox_origin_arg(args, n, sprox_str_lit("list-type"),
                             sprox_str_lit("2"));
        n = sprox_origin_arg(args, n, sprox_str_lit("encoding-type"),
                             sprox_str_lit("url"));
        n = sprox_origin_arg(args, n, sprox_str_lit("prefix"), req->prefix);
        n = sprox_origin_arg(args, n, sprox_str_lit("delimiter"),
                             req->delimiter);
        n = sprox_origin_arg(args, n, sprox_str_lit("start-after"),
                             req->start_after);
        n = sprox_origin_arg(args, n, sprox_str_lit("fetch-owner"),
                             req->fetch_owner ? sprox_str_lit("true")
                                              : sprox_str_null);
        n = sprox_origin_arg(args, n, sprox_str_lit("max-keys"),
                             sprox_origin_digits(digits, req->max_keys));
    }

    sprox_sigv4_query(out, args, n);
}


static void
sprox_origin_write(sprox_buf_t *out, const sprox_origin_scheme_t *scheme,
    const sprox_origin_head_t *head, const sprox_origin_req_t *req)
{
    sprox_buf_str(out, sprox_origin_method(req));
    sprox_buf_char(out, ' ');
    sprox_buf_str(out, sprox_buf_get(&head->target.path));

    if (head->target.query.len != 0) {
        sprox_buf_char(out, '?');
        sprox_buf_str(out, sprox_buf_get(&head->target.query));
    }

    sprox_buf_text(out, " HTTP/1.1\r\n");

    sprox_origin_line(out, sprox_str_lit("Host"),
                      sprox_buf_get(&head->target.host));

    sprox_buf_text(out, "User-Agent: sprox\r\n"
                        "Accept-Encoding: identity\r\n"
                        "Connection: keep-alive\r\n");

    if (!sprox_origin_is_object(req)) {
        return;
    }

    sprox_origin_range(out, &req->range);

    if (sprox_origin_pins_version(scheme, req)) {
        sprox_origin_line(out, scheme->version_match, req->version);

    } else if (req->if_match.len != 0) {
        sprox_origin_line(out, sprox_str_lit("If-Match"), req->if_match);
    }

    if (req->if_none_match.len != 0) {
        sprox_origin_line(out, sprox_str_lit("If-None-Match"),
                          req->if_none_match);
    }
}


static void
sprox_origin_range(sprox_buf_t *out, const sprox_range_t *range)
{
    if (range->kind == SPROX_RANGE_NONE) {
        return;
    }

    sprox_buf_text(out, "Range: bytes=");

    if (range->kind != SPROX_RANGE_SUFFIX) {
        sprox_buf_u64(out, range->first);
    }

    sprox_buf_char(out, '-');

    if (range->kind != SPROX_RANGE_FROM) {
        sprox_buf_u64(out, range->last);
    }

    sprox_buf_text(out, "\r\n");
}


/* Appends the headers of the signature, for what was written before. */

static sprox_rc_t
sprox_origin_sign(sprox_buf_t *out, const sprox_origin_scheme_t *scheme,
    const sprox_origin_head_t *head, const sprox_origin_req_t *req,
    const sprox_credential_t *cred, int64_t now)
{
    size_t          i, n;
    uint8_t         date[SPROX_TIME_AMZ_LEN];
    sprox_rc_t      rc;
    sprox_sigv4_t   sig;
    sprox_header_t  headers[SPROX_SIGNED_HEADERS];

    sprox_time_amz(now, date);

    n = 0;

    headers[n].name = scheme->hash_name;
    headers[n++].value = sprox_str_lit(SPROX_EMPTY_SHA256);

    headers[n].name = scheme->date_name;
    headers[n++].value = sprox_str_make(date, sizeof(date));

    if (cred->token.len != 0 && scheme->token_name.len != 0) {
        headers[n].name = scheme->token_name;
        headers[n++].value = cred->token;
    }

    for (i = 0; i < n; i++) {
        sprox_origin_line(out, headers[i].name, headers[i].value);
    }

    /* these are signed too, and were written above */

    headers[n].name = sprox_str_lit("host");
    headers[n++].value = sprox_buf_get(&head->target.host);

    if (sprox_origin_pins_version(scheme, req)) {
        headers[n].name = scheme->version_match;
        headers[n++].value = req->version;
    }

    memset(&sig, 0, sizeof(sprox_sigv4_t));

    sig.method = sprox_origin_method(req);
    sig.path = sprox_buf_get(&head->target.path);
    sig.query = sprox_buf_get(&head->target.query);
    sig.headers = headers;
    sig.nheaders = n;
    sig.payload_hash = sprox_str_lit(SPROX_EMPTY_SHA256);
    sig.time = now;
    sig.region = head->region;
    sig.service = scheme->service;
    sig.goog = scheme->goog;

    sprox_buf_text(out, "Authorization: ");

    rc = sprox_sigv4_authorization(out, cred->access_key, cred->secret_key,
                                   &sig);
    if (rc != SPROX_OK) {
        return rc;
    }

    sprox_buf_text(out, "\r\n");

    return SPROX_OK;
}
