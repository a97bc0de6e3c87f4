/*
 * Reads an origin's response header, line by line, by tables.
 *
 *   name: value
 *     |
 *     +-- rows of the dialect, then rows of HTTP -- read() into the response
 *     |                                        `--- keep_as: a line for
 *     |                                             clients
 *     +-- x-amz-meta-*, or the dialect's own prefix: a line for clients
 *     |
 *     `-- anything else is passed over
 *
 * What frames the body may come once only: a second Content-Length, or one
 * beside a Transfer-Encoding, is how two readers are made to see two
 * different messages, and makes the answer bad.
 */

#include "sprox_origin_head.h"
#include "sprox_cond.h"
#include "sprox_time.h"


#define SPROX_TOKEN_CHARS   "!#$%&'*+-.^_`|~"


static int sprox_origin_read_length(sprox_origin_resp_t *resp,
    sprox_str_t value);
static int sprox_origin_read_range(sprox_origin_resp_t *resp,
    sprox_str_t value);
static int sprox_origin_read_transfer(sprox_origin_resp_t *resp,
    sprox_str_t value);
static int sprox_origin_read_connection(sprox_origin_resp_t *resp,
    sprox_str_t value);
static int sprox_origin_read_etag(sprox_origin_resp_t *resp,
    sprox_str_t value);
static int sprox_origin_read_modified(sprox_origin_resp_t *resp,
    sprox_str_t value);
static int sprox_origin_read_date(sprox_origin_resp_t *resp,
    sprox_str_t value);
static int sprox_origin_read_retry(sprox_origin_resp_t *resp,
    sprox_str_t value);
static int sprox_origin_read_location(sprox_origin_resp_t *resp,
    sprox_str_t value);
static int sprox_origin_read_coding(sprox_origin_resp_t *resp,
    sprox_str_t value);
static int sprox_origin_value_valid(sprox_str_t value);
static int sprox_origin_token_valid(sprox_str_t name);
static void sprox_origin_row(sprox_origin_resp_t *resp,
    const sprox_origin_header_t *row, unsigned bit, sprox_str_t value);
static void sprox_origin_keep(sprox_origin_resp_t *resp, sprox_str_t prefix,
    sprox_str_t rest, sprox_str_t value);
static void sprox_origin_meta(sprox_origin_resp_t *resp, sprox_str_t meta,
    sprox_str_t name, sprox_str_t value);


static const sprox_origin_header_t  sprox_origin_http[] = {
    { sprox_str("content-length"), SPROX_HEADER_ONCE,
      sprox_origin_read_length, sprox_str("") },
    { sprox_str("content-range"), SPROX_HEADER_ONCE,
      sprox_origin_read_range, sprox_str("") },
    { sprox_str("transfer-encoding"), SPROX_HEADER_ONCE,
      sprox_origin_read_transfer, sprox_str("") },
    { sprox_str("connection"), SPROX_HEADER_LIST,
      sprox_origin_read_connection, sprox_str("") },
    { sprox_str("etag"), SPROX_HEADER_ONCE,
      sprox_origin_read_etag, sprox_str("") },
    { sprox_str("last-modified"), SPROX_HEADER_FIRST,
      sprox_origin_read_modified, sprox_str("") },
    { sprox_str("date"), SPROX_HEADER_FIRST,
      sprox_origin_read_date, sprox_str("") },
    { sprox_str("retry-after"), SPROX_HEADER_FIRST,
      sprox_origin_read_retry, sprox_str("") },
    { sprox_str("location"), SPROX_HEADER_FIRST,
      sprox_origin_read_location, sprox_str("") },
    { sprox_str("content-encoding"), SPROX_HEADER_FIRST,
      sprox_origin_read_coding, sprox_str("Content-Encoding") },
    { sprox_str("content-type"), SPROX_HEADER_FIRST,
      NULL, sprox_str("Content-Type") },
    { sprox_str("content-language"), SPROX_HEADER_FIRST,
      NULL, sprox_str("Content-Language") },
    { sprox_str("content-disposition"), SPROX_HEADER_FIRST,
      NULL, sprox_str("Content-Disposition") },
    { sprox_str("cache-control"), SPROX_HEADER_FIRST,
      NULL, sprox_str("Cache-Control") },
    { sprox_str("expires"), SPROX_HEADER_FIRST,
      NULL, sprox_str("Expires") }
};

#define SPROX_ORIGIN_HTTP                                                     \
    (sizeof(sprox_origin_http) / sizeof(sprox_origin_http[0]))


void
sprox_origin_resp_init(sprox_origin_resp_t *resp, const sprox_mem_t *mem)
{
    memset(resp, 0, sizeof(sprox_origin_resp_t));

    resp->content_length = -1;
    resp->last_modified = -1;
    resp->date = -1;
    resp->retry_after = -1;
    resp->parts_count = -1;

    sprox_buf_init(&resp->keep, mem);
    sprox_buf_init(&resp->quoted, mem);
}


void
sprox_origin_resp_free(sprox_origin_resp_t *resp)
{
    const sprox_mem_t  *mem;

    mem = resp->keep.mem;

    sprox_buf_free(&resp->keep);
    sprox_buf_free(&resp->quoted);

    sprox_origin_resp_init(resp, mem);
}


int
sprox_origin_settled(const sprox_origin_resp_t *resp)
{
    return resp->last_modified > 0
           && resp->date - resp->last_modified >= SPROX_SETTLED_AFTER;
}


void
sprox_origin_header(sprox_origin_resp_t *resp,
    const sprox_origin_header_t *rows, size_t nrows, sprox_str_t meta,
    sprox_str_t name, sprox_str_t value)
{
    size_t  i;

    value = sprox_str_trim(value);

    for (i = 0; i < nrows; i++) {
        if (sprox_str_case_eq(name, rows[i].name)) {
            sprox_origin_row(resp, &rows[i],
                             (unsigned) i + SPROX_ORIGIN_HEADERS_MAX, value);
            return;
        }
    }

    for (i = 0; i < SPROX_ORIGIN_HTTP; i++) {
        if (sprox_str_case_eq(name, sprox_origin_http[i].name)) {
            sprox_origin_row(resp, &sprox_origin_http[i], (unsigned) i, value);
            return;
        }
    }

    sprox_origin_meta(resp, sprox_str_lit("x-amz-meta-"), name, value);

    if (meta.len != 0) {
        sprox_origin_meta(resp, meta, name, value);
    }
}


/* Takes the value as the row says. */

static void
sprox_origin_row(sprox_origin_resp_t *resp, const sprox_origin_header_t *row,
    unsigned bit, sprox_str_t value)
{
    if (row->repeat != SPROX_HEADER_LIST) {

        if (resp->seen & ((uint64_t) 1 << bit)) {

            if (row->repeat == SPROX_HEADER_ONCE) {
                resp->bad = 1;
            }

            return;
        }

        resp->seen |= (uint64_t) 1 << bit;
    }

    if (!sprox_origin_value_valid(value)) {

        if (row->repeat == SPROX_HEADER_ONCE) {
            resp->bad = 1;
        }

        return;
    }

    if (row->read != NULL && !row->read(resp, value)) {
        return;
    }

    if (row->keep_as.len != 0) {
        sprox_origin_keep(resp, row->keep_as, sprox_str_null, value);
    }
}


static void
sprox_origin_meta(sprox_origin_resp_t *resp, sprox_str_t meta,
    sprox_str_t name, sprox_str_t value)
{
    sprox_str_t  rest;

    if (name.len <= meta.len
        || !sprox_str_case_eq(sprox_str_make(name.data, meta.len), meta))
    {
        return;
    }

    rest = sprox_str_from(name, meta.len);

    if (sprox_origin_token_valid(rest) && sprox_origin_value_valid(value)) {
        sprox_origin_keep(resp, sprox_str_lit("x-amz-meta-"), rest, value);
    }
}


/*
 * One line for clients, or none of it.  S3 writes names of user metadata in
 * lower case, whatever the case they were sent in; other stores do not.
 */

static void
sprox_origin_keep(sprox_origin_resp_t *resp, sprox_str_t prefix,
    sprox_str_t rest, sprox_str_t value)
{
    size_t   i, len;
    uint8_t  c;

    len = sizeof(": \r\n") - 1;

    /* in steps, so that no sum can overflow */

    if (value.len > SPROX_HEADERS_MAX || rest.len > SPROX_HEADERS_MAX
        || len + prefix.len + rest.len + value.len
           > SPROX_HEADERS_MAX - resp->keep.len)
    {
        resp->keep_limit = 1;
        return;
    }

    if (sprox_buf_reserve(&resp->keep,
                          len + prefix.len + rest.len + value.len)
        != SPROX_OK)
    {
        return;
    }

    sprox_buf_str(&resp->keep, prefix);

    for (i = 0; i < rest.len; i++) {
        c = rest.data[i];
        sprox_buf_char(&resp->keep,
                       (c >= 'A' && c <= 'Z') ? (c | 0x20) : c);
    }

    sprox_buf_text(&resp->keep, ": ");
    sprox_buf_str(&resp->keep, value);
    sprox_buf_text(&resp->keep, "\r\n");
}


/* No control character but the tab. */

static int
sprox_origin_value_valid(sprox_str_t value)
{
    size_t  i;

    for (i = 0; i < value.len; i++) {
        if ((value.data[i] < 0x20 && value.data[i] != '\t')
            || value.data[i] == 0x7f)
        {
            return 0;
        }
    }

    return 1;
}


static int
sprox_origin_token_valid(sprox_str_t name)
{
    size_t   i;
    uint8_t  c;

    for (i = 0; i < name.len; i++) {

        c = name.data[i];

        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
            || (c >= '0' && c <= '9'))
        {
            continue;
        }

        if (c == '\0' || strchr(SPROX_TOKEN_CHARS, c) == NULL) {
            return 0;
        }
    }

    return name.len != 0;
}


static int
sprox_origin_read_length(sprox_origin_resp_t *resp, sprox_str_t value)
{
    uint64_t  n;

    if (sprox_str_u64(value, &n) != SPROX_OK || n > INT64_MAX
        || resp->chunked || resp->unknown_coding)
    {
        resp->bad = 1;
        return 0;
    }

    resp->content_length = (int64_t) n;

    return 0;
}


static int
sprox_origin_read_range(sprox_origin_resp_t *resp, sprox_str_t value)
{
    resp->content_range = value;

    return 0;
}


static int
sprox_origin_read_transfer(sprox_origin_resp_t *resp, sprox_str_t value)
{
    if (resp->content_length != -1) {
        resp->bad = 1;
    }

    if (sprox_str_case_eq(value, sprox_str_lit("chunked"))) {
        resp->chunked = 1;

    } else {
        resp->unknown_coding = 1;
    }

    return 0;
}


static int
sprox_origin_read_connection(sprox_origin_resp_t *resp, sprox_str_t value)
{
    size_t       end;
    sprox_str_t  token;

    while (value.len != 0) {

        end = sprox_str_find(value, sprox_str_lit(","), 0);

        if (end == (size_t) -1) {
            end = value.len;
        }

        token = sprox_str_trim(sprox_str_make(value.data, end));

        if (sprox_str_case_eq(token, sprox_str_lit("close"))) {
            resp->close = 1;
        }

        value = sprox_str_from(value, end + 1);
    }

    return 0;
}


static int
sprox_origin_read_etag(sprox_origin_resp_t *resp, sprox_str_t value)
{
    size_t  n;

    if (sprox_buf_reserve(&resp->quoted, value.len + SPROX_ETAG_QUOTES)
        != SPROX_OK)
    {
        resp->keep.failed = 1;
        return 0;
    }

    if (sprox_etag_quote(value, resp->quoted.data, &n) == SPROX_OK
        && n <= SPROX_ETAG_MAX)
    {
        resp->quoted.len = n;
        resp->etag = sprox_buf_get(&resp->quoted);
    }

    return 0;
}


static int
sprox_origin_read_modified(sprox_origin_resp_t *resp, sprox_str_t value)
{
    int64_t  sec;

    if (sprox_time_parse_http(value, &sec) == SPROX_OK && sec >= 0) {
        resp->last_modified = sec;
    }

    return 0;
}


static int
sprox_origin_read_date(sprox_origin_resp_t *resp, sprox_str_t value)
{
    int64_t  sec;

    if (sprox_time_parse_http(value, &sec) == SPROX_OK && sec >= 0) {
        resp->date = sec;
    }

    return 0;
}


static int
sprox_origin_read_retry(sprox_origin_resp_t *resp, sprox_str_t value)
{
    uint64_t  n;

    if (sprox_str_u64(value, &n) == SPROX_OK && n <= INT32_MAX) {
        resp->retry_after = (int64_t) n;
    }

    return 0;
}


static int
sprox_origin_read_location(sprox_origin_resp_t *resp, sprox_str_t value)
{
    resp->location = value;

    return 0;
}


static int
sprox_origin_read_coding(sprox_origin_resp_t *resp, sprox_str_t value)
{
    /* aws-chunked was of the upload; some stores forget to take it off */

    if (value.len == 0
        || sprox_str_case_eq(value, sprox_str_lit("identity"))
        || sprox_str_case_eq(value, sprox_str_lit("aws-chunked")))
    {
        return 0;
    }

    resp->content_encoding = value;

    return 1;
}


int
sprox_origin_read_version(sprox_origin_resp_t *resp, sprox_str_t value)
{
    resp->version = value;

    return 1;
}


int
sprox_origin_read_class(sprox_origin_resp_t *resp, sprox_str_t value)
{
    resp->storage_class = value;

    return 1;
}
