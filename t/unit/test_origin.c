/*
 * Dialects: request heads, response headers, redirects.  The signatures
 * were computed by another program.
 */

#include "unit.h"
#include "sprox_dialect.h"


#define NOW     1369353600                   /* 20130524T000000Z */
#define SECRET  "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"

#define COMMON                                                                \
    "User-Agent: sprox\r\nAccept-Encoding: identity\r\n"                      \
    "Connection: keep-alive\r\n"

#define AMZ                                                                   \
    "x-amz-content-sha256: " SPROX_EMPTY_SHA256 "\r\n"                        \
    "x-amz-date: 20130524T000000Z\r\n"


static const sprox_credential_t  keys = {
    0, sprox_str("AKID"), sprox_str(SECRET), sprox_str("")
};

static const sprox_credential_t  keys_token = {
    0, sprox_str("AKID"), sprox_str(SECRET), sprox_str("TOK==")
};

static const sprox_credential_t  nobody = {
    1, sprox_str(""), sprox_str(""), sprox_str("")
};


static void
addr_init(sprox_origin_addr_t *addr, const char *endpoint, const char *region,
    int virtual_style)
{
    const char  *why = NULL;

    memset(addr, 0, sizeof(sprox_origin_addr_t));

    if (endpoint[0] != '\0') {
        assert_int_equal(sprox_endpoint_parse(
                             sprox_str_make(endpoint, strlen(endpoint)),
                             &addr->endpoint, &why), SPROX_OK);
    }

    addr->region = sprox_str_make(region, strlen(region));
    addr->virtual_style = virtual_style ? 1 : 0;
}


static void
object(sprox_origin_req_t *req, sprox_op_t op, sprox_str_t bucket,
    sprox_str_t key)
{
    memset(req, 0, sizeof(sprox_origin_req_t));

    req->op = op;
    req->bucket = bucket;
    req->key = key;
}


static void
check(const char *dialect, const sprox_origin_addr_t *addr,
    const sprox_origin_req_t *req, const sprox_credential_t *cred,
    const char *expected, const char *file, int line)
{
    unit_mem_t              um;
    sprox_buf_t             b;
    const sprox_dialect_t  *d;

    d = sprox_dialect(sprox_str_make(dialect, strlen(dialect)));
    assert_non_null(d);

    unit_mem_init(&um, 0);
    sprox_buf_init(&b, &um.mem);

    assert_int_equal(d->build(&b, addr, req, cred, NOW), SPROX_OK);
    unit_assert_str(sprox_buf_get(&b), expected, file, line);

    sprox_buf_free(&b);
    assert_int_equal(um.live, 0);
}

#define check_head(dialect, addr, req, cred, expected)                        \
    check(dialect, addr, req, cred, expected, __FILE__, __LINE__)


static void
test_get(void **state)
{
    sprox_origin_req_t   req;
    sprox_origin_addr_t  addr;

    (void) state;

    addr_init(&addr, "https://s3.eu-west-1.amazonaws.com", "eu-west-1", 0);
    object(&req, SPROX_OP_GET_OBJECT, S("my-bucket"),
           S("a/b c//../\xc3\xa9+"));

    req.part_number = 3;
    req.range.kind = SPROX_RANGE_FROM_TO;
    req.range.first = 0;
    req.range.last = 65535;
    req.if_match = S("\"abc-2\"");
    req.version = S("ignored");

    check_head("s3", &addr, &req, &keys_token,
        "GET /my-bucket/a/b%20c//../%C3%A9%2B?partNumber=3 HTTP/1.1\r\n"
        "Host: s3.eu-west-1.amazonaws.com\r\n" COMMON
        "Range: bytes=0-65535\r\nIf-Match: \"abc-2\"\r\n" AMZ
        "x-amz-security-token: TOK==\r\n"
        "Authorization: AWS4-HMAC-SHA256 Credential=AKID/20130524/eu-west-1/"
        "s3/aws4_request, SignedHeaders=host;x-amz-content-sha256;x-amz-date;"
        "x-amz-security-token, Signature="
        "4948a09131f9add6f6ea8943b067ae2f984652485f11571e2b12e98d5e7a9ed2"
        "\r\n\r\n");

    check_head("s3", &addr, &req, &nobody,
        "GET /my-bucket/a/b%20c//../%C3%A9%2B?partNumber=3 HTTP/1.1\r\n"
        "Host: s3.eu-west-1.amazonaws.com\r\n" COMMON
        "Range: bytes=0-65535\r\nIf-Match: \"abc-2\"\r\n\r\n");
}


static void
test_virtual(void **state)
{
    sprox_origin_req_t   req;
    sprox_origin_addr_t  addr;

    (void) state;

    addr_init(&addr, "https://s3.eu-west-1.amazonaws.com", "eu-west-1", 1);
    object(&req, SPROX_OP_HEAD_OBJECT, S("my-bucket"), S("k"));

    req.if_none_match = S("\"e\"");

    check_head("s3", &addr, &req, &keys,
        "HEAD /k HTTP/1.1\r\nHost: my-bucket.s3.eu-west-1.amazonaws.com\r\n"
        COMMON "If-None-Match: \"e\"\r\n" AMZ
        "Authorization: AWS4-HMAC-SHA256 Credential=AKID/20130524/eu-west-1/"
        "s3/aws4_request, SignedHeaders=host;x-amz-content-sha256;x-amz-date, "
        "Signature="
        "8099c0c4dabdb9de97d19d67e052df5b00faa0acaf8bfcaf73706c1cb10a7f16"
        "\r\n\r\n");

    /* in path style: no certificate, no name, no bucket */

    req.if_none_match = sprox_str_null;
    req.bucket = S("my.bucket");
    check_head("s3", &addr, &req, &nobody,
        "HEAD /my.bucket/k HTTP/1.1\r\nHost: s3.eu-west-1.amazonaws.com\r\n"
        COMMON "\r\n");

    addr_init(&addr, "http://s3.local:9000", "x", 1);
    check_head("s3", &addr, &req, &nobody,
        "HEAD /k HTTP/1.1\r\nHost: my.bucket.s3.local:9000\r\n" COMMON
        "\r\n");

    addr_init(&addr, "http://minio:9000", "x", 1);
    check_head("s3", &addr, &req, &nobody,
        "HEAD /my.bucket/k HTTP/1.1\r\nHost: minio:9000\r\n" COMMON "\r\n");

    addr_init(&addr, "http://[::1]:9000", "x", 1);
    check_head("s3", &addr, &req, &nobody,
        "HEAD /my.bucket/k HTTP/1.1\r\nHost: [::1]:9000\r\n" COMMON "\r\n");

    addr_init(&addr, "http://10.0.0.1", "x", 1);
    check_head("s3", &addr, &req, &nobody,
        "HEAD /my.bucket/k HTTP/1.1\r\nHost: 10.0.0.1\r\n" COMMON "\r\n");
}


static void
test_list(void **state)
{
    sprox_origin_req_t   req;
    sprox_origin_addr_t  addr;

    (void) state;

    addr_init(&addr, "http://127.0.0.1:9000", "", 0);
    object(&req, SPROX_OP_LIST_OBJECTS_V2, S("my-bucket"), sprox_str_null);

    check_head("s3", &addr, &req, &nobody,
        "GET /my-bucket?encoding-type=url&list-type=2 HTTP/1.1\r\n"
        "Host: 127.0.0.1:9000\r\n" COMMON "\r\n");

    req.prefix = S("a b/");
    req.delimiter = S("/");
    req.start_after = S("a b/c");
    req.token = S("t/+=");
    req.max_keys = 1000;
    req.fetch_owner = 1;

    /* what is of objects only says nothing here */
    req.if_match = S("\"x\"");
    req.range.kind = SPROX_RANGE_FROM;

    check_head("s3", &addr, &req, &keys,
        "GET /my-bucket?continuation-token=t%2F%2B%3D&delimiter=%2F"
        "&encoding-type=url&fetch-owner=true&list-type=2&max-keys=1000"
        "&prefix=a%20b%2F&start-after=a%20b%2Fc HTTP/1.1\r\n"
        "Host: 127.0.0.1:9000\r\n" COMMON AMZ
        "Authorization: AWS4-HMAC-SHA256 Credential=AKID/20130524/us-east-1/"
        "s3/aws4_request, SignedHeaders=host;x-amz-content-sha256;x-amz-date, "
        "Signature="
        "7910f943567cea948d4cdf553e4b64bd90ce14cac157c3639343709709f1002e"
        "\r\n\r\n");

    addr_init(&addr, "http://s3.local", "", 1);
    object(&req, SPROX_OP_LIST_OBJECTS_V2, S("my-bucket"), sprox_str_null);
    req.max_keys = UINT32_MAX;

    check_head("s3", &addr, &req, &nobody,
        "GET /?encoding-type=url&list-type=2&max-keys=4294967295 HTTP/1.1\r\n"
        "Host: my-bucket.s3.local\r\n" COMMON "\r\n");

    req.op = SPROX_OP_HEAD_BUCKET;
    check_head("s3", &addr, &req, &nobody,
        "HEAD / HTTP/1.1\r\nHost: my-bucket.s3.local\r\n" COMMON "\r\n");

    req.op = SPROX_OP_LIST_BUCKETS;
    check_head("s3", &addr, &req, &nobody,
        "GET / HTTP/1.1\r\nHost: s3.local\r\n" COMMON "\r\n");

    addr.virtual_style = 0;
    req.op = SPROX_OP_HEAD_BUCKET;
    check_head("s3", &addr, &req, &nobody,
        "HEAD /my-bucket HTTP/1.1\r\nHost: s3.local\r\n" COMMON "\r\n");
}


static void
test_ranges(void **state)
{
    sprox_origin_req_t   req;
    sprox_origin_addr_t  addr;

    (void) state;

    addr_init(&addr, "http://h", "", 0);
    object(&req, SPROX_OP_GET_OBJECT, S("bkt"), S("k"));

    req.range.kind = SPROX_RANGE_FROM;
    req.range.first = 7;
    req.range.last = 9;
    check_head("s3", &addr, &req, &nobody, "GET /bkt/k HTTP/1.1\r\nHost: h\r\n"
               COMMON "Range: bytes=7-\r\n\r\n");

    req.range.kind = SPROX_RANGE_SUFFIX;
    req.range.last = UINT64_MAX;
    check_head("s3", &addr, &req, &nobody, "GET /bkt/k HTTP/1.1\r\nHost: h\r\n"
               COMMON "Range: bytes=-18446744073709551615\r\n\r\n");
}


static void
test_gcs(void **state)
{
    sprox_origin_req_t   req;
    sprox_origin_addr_t  addr;

    (void) state;

    addr_init(&addr, "https://storage.googleapis.com", "", 0);
    object(&req, SPROX_OP_GET_OBJECT, S("my_bucket"), S("k"));

    req.if_match = S("\"e\"");
    req.version = S("1699999999999999");

    /* never a header of the x-amz family beside one of x-goog */

    check_head("gcs", &addr, &req, &keys_token,
        "GET /my_bucket/k HTTP/1.1\r\nHost: storage.googleapis.com\r\n" COMMON
        "x-goog-if-generation-match: 1699999999999999\r\n"
        "x-goog-content-sha256: " SPROX_EMPTY_SHA256 "\r\n"
        "x-goog-date: 20130524T000000Z\r\n"
        "Authorization: GOOG4-HMAC-SHA256 Credential=AKID/20130524/auto/"
        "storage/goog4_request, SignedHeaders=host;x-goog-content-sha256;"
        "x-goog-date;x-goog-if-generation-match, Signature="
        "4bbf9e72643fa13970c55ed00ec837f151bbbded51da88be229be586389b4a1b"
        "\r\n\r\n");

    req.version = sprox_str_null;
    req.if_none_match = S("\"f\"");
    check_head("gcs", &addr, &req, &nobody,
        "GET /my_bucket/k HTTP/1.1\r\nHost: storage.googleapis.com\r\n" COMMON
        "If-Match: \"e\"\r\nIf-None-Match: \"f\"\r\n\r\n");
}


static void
test_gcs_bucket(void **state)
{
    char                    name[256];
    size_t                  i;
    unit_mem_t              um;
    sprox_buf_t             b;
    sprox_origin_addr_t     addr;
    const sprox_dialect_t  *d;

    static const struct {
        const char  *name;
        sprox_rc_t   rc;
    } rows[] = {
        { "abc", SPROX_OK }, { "a_b-c.d9", SPROX_OK }, { "ab", SPROX_INVALID },
        { "-abc", SPROX_INVALID }, { "abc-", SPROX_INVALID },
        { "_abc", SPROX_INVALID }, { "abc_", SPROX_INVALID },
        { ".abc", SPROX_INVALID }, { "abc.", SPROX_INVALID },
        { "a..b", SPROX_INVALID }, { "Abc", SPROX_INVALID },
        { "a/b", SPROX_INVALID }, { "a b", SPROX_INVALID },
        { "a\r\nb", SPROX_INVALID }, { "127.0.0.1", SPROX_INVALID },
        { "127.0.0.a", SPROX_OK }
    };

    (void) state;

    unit_mem_init(&um, 0);
    sprox_buf_init(&b, &um.mem);
    addr_init(&addr, "https://storage.googleapis.com", "", 0);
    d = sprox_dialect(S("gcs"));

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(d->host(&b, &addr,
                                 sprox_str_make(rows[i].name,
                                                strlen(rows[i].name))),
                         rows[i].rc);
    }

    memset(name, 'a', sizeof(name));
    assert_int_equal(d->host(&b, &addr, sprox_str_make(name, 63)), SPROX_OK);
    assert_int_equal(d->host(&b, &addr, sprox_str_make(name, 64)),
                     SPROX_INVALID);

    for (i = 60; i < sizeof(name); i += 61) {
        name[i] = '.';
    }

    assert_int_equal(d->host(&b, &addr, sprox_str_make(name, 222)), SPROX_OK);
    assert_int_equal(d->host(&b, &addr, sprox_str_make(name, 223)),
                     SPROX_INVALID);

    sprox_buf_free(&b);
}


static void
test_file(void **state)
{
    sprox_origin_req_t      req;
    sprox_origin_addr_t     addr;
    const sprox_dialect_t  *d;

    (void) state;

    d = sprox_dialect(S("file"));
    assert_non_null(d);
    assert_int_equal(d->network, 0);
    assert_int_equal(d->endpoint.len, 0);

    addr_init(&addr, "", "", 0);
    object(&req, SPROX_OP_GET_OBJECT, S("bkt"), S("a b"));

    check_head("file", &addr, &req, &keys,
               "GET /bkt/a%20b HTTP/1.1\r\nHost: localhost\r\n" COMMON
               "\r\n");
}


static void
test_table(void **state)
{
    unit_mem_t   um;
    sprox_buf_t  b;

    (void) state;

    assert_int_equal(sprox_dialect(S("s3"))->network, 1);
    assert_int_equal(sprox_dialect(S("gcs"))->network, 1);
    assert_str(sprox_dialect(S("gcs"))->region, "auto");
    assert_null(sprox_dialect(S("azure")));
    assert_null(sprox_dialect(S("S3")));
    assert_null(sprox_dialect(sprox_str_null));

    unit_mem_init(&um, 0);
    sprox_buf_init(&b, &um.mem);

    sprox_s3_endpoint(&b, S("eu-west-1"));
    assert_str(sprox_buf_get(&b), "https://s3.eu-west-1.amazonaws.com");
    sprox_buf_free(&b);

    sprox_s3_endpoint(&b, S("cn-north-1"));
    assert_str(sprox_buf_get(&b), "https://s3.cn-north-1.amazonaws.com.cn");
    sprox_buf_free(&b);

    assert_int_equal(um.live, 0);
}


static void
test_host(void **state)
{
    unit_mem_t              um;
    sprox_buf_t             b;
    sprox_origin_addr_t     addr;
    const sprox_dialect_t  *d;

    (void) state;

    unit_mem_init(&um, 0);
    sprox_buf_init(&b, &um.mem);
    d = sprox_dialect(S("s3"));

    addr_init(&addr, "http://s3.local:9000", "", 1);
    assert_int_equal(d->host(&b, &addr, S("my-bucket")), SPROX_OK);
    assert_str(sprox_buf_get(&b), "my-bucket.s3.local");
    sprox_buf_free(&b);

    assert_int_equal(d->host(&b, &addr, sprox_str_null), SPROX_OK);
    assert_str(sprox_buf_get(&b), "s3.local");
    sprox_buf_free(&b);

    assert_int_equal(d->host(&b, &addr, S("evil.com/")), SPROX_INVALID);
    assert_int_equal(b.len, 0);

    addr_init(&addr, "https://[::1]:9000", "", 1);
    assert_int_equal(d->host(&b, &addr, S("my-bucket")), SPROX_OK);
    assert_str(sprox_buf_get(&b), "::1");
    sprox_buf_free(&b);

    assert_int_equal(um.live, 0);
}


static void
expect(const sprox_origin_req_t *req, const sprox_origin_addr_t *addr,
    const sprox_credential_t *cred, sprox_rc_t rc)
{
    unit_mem_t   um;
    sprox_buf_t  b;

    unit_mem_init(&um, 0);
    sprox_buf_init(&b, &um.mem);
    sprox_buf_text(&b, "before");

    assert_int_equal(sprox_dialect(S("s3"))->build(&b, addr, req, cred, NOW),
                     rc);

    if (rc != SPROX_OK) {
        assert_str(sprox_buf_get(&b), "before");
    }

    sprox_buf_free(&b);
    assert_int_equal(um.live, 0);
}


static void
test_refused(void **state)
{
    size_t                i;
    static uint8_t        text[SPROX_ORIGIN_TOKEN_MAX + 1];
    sprox_credential_t    cred;
    sprox_origin_req_t    req;
    sprox_origin_addr_t   addr;

    static const char *const  regions[] = {
        "EU", "eu west", "eu/west", "a\r\nb", "a.b", "a_b"
    };

    (void) state;

    memset(text, 'a', sizeof(text));

    addr_init(&addr, "http://h", "us-east-1", 0);
    object(&req, SPROX_OP_GET_OBJECT, S("bkt"), S("k"));
    expect(&req, &addr, &keys, SPROX_OK);

    for (i = 0; i < sizeof(regions) / sizeof(regions[0]); i++) {
        addr.region = sprox_str_make(regions[i], strlen(regions[i]));
        expect(&req, &addr, &keys, SPROX_INVALID);
    }

    addr.region = sprox_str_make(text, SPROX_REGION_MAX + 1);
    expect(&req, &addr, &keys, SPROX_INVALID);
    addr.region = sprox_str_make(text, SPROX_REGION_MAX);
    expect(&req, &addr, &keys, SPROX_OK);

    req.op = SPROX_OP_LIST_OBJECTS;
    expect(&req, &addr, &keys, SPROX_INVALID);
    req.op = SPROX_OP_NONE;
    expect(&req, &addr, &keys, SPROX_INVALID);
    req.op = SPROX_OP_PURGE;
    expect(&req, &addr, &keys, SPROX_INVALID);

    object(&req, SPROX_OP_GET_OBJECT, S("BKT"), S("k"));
    expect(&req, &addr, &keys, SPROX_INVALID);
    req.bucket = sprox_str_null;
    expect(&req, &addr, &keys, SPROX_INVALID);
    req.bucket = S("bkt");
    req.key = sprox_str_null;
    expect(&req, &addr, &keys, SPROX_INVALID);
    req.key = sprox_str_make(text, SPROX_KEY_MAX);
    expect(&req, &addr, &keys, SPROX_OK);
    req.key = sprox_str_make(text, SPROX_KEY_MAX + 1);
    expect(&req, &addr, &keys, SPROX_LIMIT);

    object(&req, SPROX_OP_GET_OBJECT, S("bkt"), S("k"));
    req.if_match = S("\"a\r\nX: y\"");
    expect(&req, &addr, &keys, SPROX_INVALID);
    req.if_match = sprox_str_null;
    req.if_none_match = S("\"a\0\"");
    expect(&req, &addr, &keys, SPROX_INVALID);
    req.if_none_match = sprox_str_make(text, SPROX_ETAG_MAX + 1);
    expect(&req, &addr, &keys, SPROX_LIMIT);
    req.if_none_match = sprox_str_null;
    req.range.kind = SPROX_RANGE_FROM_TO;
    req.range.first = 2;
    req.range.last = 1;
    expect(&req, &addr, &keys, SPROX_INVALID);

    object(&req, SPROX_OP_LIST_OBJECTS_V2, S("bkt"), sprox_str_null);
    req.token = sprox_str_make(text, SPROX_ORIGIN_TOKEN_MAX + 1);
    expect(&req, &addr, &keys, SPROX_LIMIT);
    req.token.len--;
    expect(&req, &addr, &keys, SPROX_OK);
    req.prefix = sprox_str_make(text, SPROX_LIST_ARG_MAX + 1);
    expect(&req, &addr, &keys, SPROX_LIMIT);

    object(&req, SPROX_OP_GET_OBJECT, S("bkt"), S("k"));
    cred = keys;
    cred.secret_key = sprox_str_null;
    expect(&req, &addr, &cred, SPROX_INVALID);
    cred = keys;
    cred.access_key = S("A\r\nX: y");
    expect(&req, &addr, &cred, SPROX_INVALID);
    cred = keys;
    cred.token = S("a\nb");
    expect(&req, &addr, &cred, SPROX_INVALID);
}


static sprox_rc_t
work_build(const sprox_mem_t *mem, void *data)
{
    sprox_rc_t           rc;
    sprox_buf_t          b;
    sprox_origin_req_t   req;
    sprox_origin_addr_t  addr;

    addr_init(&addr, "http://s3.local:9000", "eu-west-1", 1);
    object(&req, SPROX_OP_LIST_OBJECTS_V2, S("my-bucket"), sprox_str_null);
    req.prefix = S("a");
    req.if_match = S("\"e\"");
    req.version = S("1");

    sprox_buf_init(&b, mem);
    rc = sprox_dialect(S("s3"))->build(&b, &addr, &req, data, NOW);
    assert_true(rc == SPROX_OK || b.len == 0);
    sprox_buf_free(&b);

    return rc;
}


static sprox_rc_t
work_resp(const sprox_mem_t *mem, void *data)
{
    sprox_rc_t           rc;
    sprox_origin_resp_t  resp;

    (void) data;

    sprox_origin_resp_init(&resp, mem);
    sprox_dialect(S("s3"))->header(&resp, S("etag"), S("abc"));
    sprox_dialect(S("s3"))->header(&resp, S("content-type"), S("text/plain"));
    rc = sprox_buf_rc(&resp.keep);
    sprox_origin_resp_free(&resp);

    return rc;
}


static void
test_alloc(void **state)
{
    (void) state;

    assert_true(unit_each_alloc_fails(work_build, (void *) &keys_token) > 8);
    assert_true(unit_each_alloc_fails(work_build, (void *) &nobody) > 3);
    assert_int_equal(unit_each_alloc_fails(work_resp, NULL), 2);
}


static void
feed(sprox_origin_resp_t *resp, const char *dialect, const char *name,
    const char *value)
{
    sprox_dialect(sprox_str_make(dialect, strlen(dialect)))->header(resp,
        sprox_str_make(name, strlen(name)),
        sprox_str_make(value, strlen(value)));
}


/* Last-modified tells versions apart once the origin's clock left it. */

static void
test_settled(void **state)
{
    size_t               i;
    sprox_origin_resp_t  r;

    static const struct {
        int64_t  modified, date;
        int      settled;
    } cases[] = {
        { 1000, 1005, 1 }, { 1000, 1004, 0 }, { 1000, 1000, 0 },
        { 1000, 999, 0 }, { 1000, -1, 0 }, { -1, 1000, 0 }, { -1, -1, 0 },
        { 0, 1000, 0 }, { 1, INT64_MAX, 1 }, { INT64_MAX, 1, 0 },
        { INT64_MAX, -1, 0 },
    };

    (void) state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        memset(&r, 0, sizeof(r));
        r.last_modified = cases[i].modified;
        r.date = cases[i].date;
        assert_int_equal(sprox_origin_settled(&r), cases[i].settled);
    }
}


static void
test_headers_s3(void **state)
{
    unit_mem_t           um;
    sprox_origin_resp_t  r;

    (void) state;

    unit_mem_init(&um, 0);
    sprox_origin_resp_init(&r, &um.mem);

    assert_int_equal(r.content_length, -1);
    assert_int_equal(r.last_modified, -1);
    assert_int_equal(r.date, -1);
    assert_int_equal(r.retry_after, -1);
    assert_int_equal(r.parts_count, -1);

    feed(&r, "s3", "CONTENT-length", "1048576");
    feed(&r, "s3", "Content-Range", "bytes 0-1048575/134217728");
    feed(&r, "s3", "ETag", "\"9b2cf535f27731c974343645a3985328-3\"");
    feed(&r, "s3", "Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT");
    feed(&r, "s3", "Date", "Sun, 06 Nov 1994 08:49:41 GMT");
    feed(&r, "s3", "Content-Type", "application/x-parquet");
    feed(&r, "s3", "content-type", "text/html");
    feed(&r, "s3", "X-Amz-Meta-Owner", "Ann");
    feed(&r, "s3", "x-amz-meta-", "nameless");
    feed(&r, "s3", "x-amz-meta-a b", "no token");
    feed(&r, "s3", "x-amz-meta-a:b", "no token");
    feed(&r, "s3", "x-amz-meta-split", "a\rb");
    feed(&r, "s3", "x-goog-meta-other", "x");
    feed(&r, "s3", "x-amz-version-id", "v1");
    feed(&r, "s3", "x-amz-storage-class", "GLACIER_IR");
    feed(&r, "s3", "x-amz-checksum-crc32", "AAAAAA==");
    feed(&r, "s3", "Content-MD5", "AAAAAA==");
    feed(&r, "s3", "x-amz-request-id", "R");
    feed(&r, "s3", "x-amz-id-2", "I");
    feed(&r, "s3", "Set-Cookie", "a=b");
    feed(&r, "s3", "x-amz-bucket-region", "eu-west-1");
    feed(&r, "s3", "x-amz-mp-parts-count", "3");
    feed(&r, "s3", "Connection", "Keep-Alive, Close");
    feed(&r, "s3", "Keep-Alive", "timeout=5");
    feed(&r, "s3", "Retry-After", "3");
    feed(&r, "s3", "Content-Encoding", " gzip ");
    feed(&r, "s3", "Cache-Control", "no-cache");
    feed(&r, "s3", "Server", "AmazonS3");
    feed(&r, "s3", "Accept-Ranges", "bytes");
    feed(&r, "s3", "Location", "http://elsewhere/");

    assert_int_equal(r.content_length, 1048576);
    assert_str(r.content_range, "bytes 0-1048575/134217728");
    assert_str(r.etag, "\"9b2cf535f27731c974343645a3985328-3\"");
    assert_int_equal(r.last_modified, 784111777);
    assert_int_equal(r.date, 784111781);
    assert_str(r.version, "v1");
    assert_str(r.storage_class, "GLACIER_IR");
    assert_str(r.bucket_region, "eu-west-1");
    assert_int_equal(r.parts_count, 3);
    assert_int_equal(r.retry_after, 3);
    assert_str(r.content_encoding, "gzip");
    assert_str(r.location, "http://elsewhere/");
    assert_int_equal(r.close, 1);
    assert_int_equal(r.bad, 0);
    assert_int_equal(r.chunked, 0);
    assert_int_equal(r.stored_coding, 0);

    assert_str(sprox_buf_get(&r.keep),
               "Content-Type: application/x-parquet\r\n"
               "x-amz-meta-owner: Ann\r\n"
               "x-amz-version-id: v1\r\n"
               "x-amz-storage-class: GLACIER_IR\r\n"
               "Content-Encoding: gzip\r\n"
               "Cache-Control: no-cache\r\n");

    sprox_origin_resp_free(&r);
    assert_int_equal(um.live, 0);
}


static void
test_headers_gcs(void **state)
{
    unit_mem_t           um;
    sprox_origin_resp_t  r;

    (void) state;

    unit_mem_init(&um, 0);
    sprox_origin_resp_init(&r, &um.mem);

    feed(&r, "gcs", "x-goog-generation", "1699999999999999");
    feed(&r, "gcs", "x-goog-metageneration", "1");
    feed(&r, "gcs", "x-goog-stored-content-encoding", "identity");
    feed(&r, "gcs", "x-goog-stored-content-length", "10");
    feed(&r, "gcs", "x-goog-hash", "crc32c=AAAAAA==");
    feed(&r, "gcs", "x-goog-storage-class", "NEARLINE");
    feed(&r, "gcs", "X-GUploader-UploadID", "u");
    feed(&r, "gcs", "X-Goog-Meta-Owner", "Ann");
    feed(&r, "gcs", "x-amz-meta-also", "yes");
    feed(&r, "gcs", "ETag", "\"e\"");
    feed(&r, "gcs", "Content-Type", "text/plain");

    assert_str(r.version, "1699999999999999");
    assert_str(r.storage_class, "NEARLINE");
    assert_int_equal(r.stored_coding, 0);
    assert_str(sprox_buf_get(&r.keep),
               "x-amz-storage-class: NEARLINE\r\nx-amz-meta-owner: Ann\r\n"
               "x-amz-meta-also: yes\r\nContent-Type: text/plain\r\n");

    sprox_origin_resp_free(&r);

    feed(&r, "gcs", "x-goog-stored-content-encoding", "gzip");
    assert_int_equal(r.stored_coding, 1);

    sprox_origin_resp_free(&r);
    assert_int_equal(um.live, 0);
}


static void
test_framing(void **state)
{
    size_t               i;
    unit_mem_t           um;
    sprox_origin_resp_t  r;

    static const struct {
        const char  *a[2];
        const char  *b[2];
        int          bad;
        int          chunked;
        int          unknown;
        int64_t      length;
    } rows[] = {
        { { "Content-Length", "5" }, { NULL, NULL }, 0, 0, 0, 5 },
        { { "Content-Length", " 5 " }, { NULL, NULL }, 0, 0, 0, 5 },
        { { "Content-Length", "5" }, { "content-length", "5" }, 1, 0, 0, 5 },
        { { "Content-Length", "5" }, { "content-length", "6" }, 1, 0, 0, 5 },
        { { "Content-Length", "-5" }, { NULL, NULL }, 1, 0, 0, -1 },
        { { "Content-Length", "5,5" }, { NULL, NULL }, 1, 0, 0, -1 },
        { { "Content-Length", "" }, { NULL, NULL }, 1, 0, 0, -1 },
        { { "Content-Length", "9223372036854775807" }, { NULL, NULL }, 0, 0, 0,
          INT64_MAX },
        { { "Content-Length", "9223372036854775808" }, { NULL, NULL }, 1, 0, 0,
          -1 },
        { { "Content-Length", "5\v" }, { NULL, NULL }, 1, 0, 0, -1 },
        { { "Transfer-Encoding", "Chunked" }, { NULL, NULL }, 0, 1, 0, -1 },
        { { "Transfer-Encoding", "gzip, chunked" }, { NULL, NULL }, 0, 0, 1,
          -1 },
        { { "Transfer-Encoding", "identity" }, { NULL, NULL }, 0, 0, 1, -1 },
        { { "Transfer-Encoding", "chunked" },
          { "Transfer-Encoding", "chunked" }, 1, 1, 0, -1 },
        { { "Transfer-Encoding", "chunked" }, { "Content-Length", "5" }, 1, 1,
          0, -1 },
        { { "Content-Length", "5" }, { "Transfer-Encoding", "chunked" }, 1, 1,
          0, 5 },
        { { "Content-Range", "bytes 0-4/5" }, { "Content-Range",
          "bytes 0-4/6" }, 1, 0, 0, -1 },
        { { "ETag", "\"a\"" }, { "ETag", "\"b\"" }, 1, 0, 0, -1 },
        { { "Content-Type", "a" }, { "Content-Type", "b" }, 0, 0, 0, -1 },
        { { "Connection", "x" }, { "Connection", "y" }, 0, 0, 0, -1 }
    };

    (void) state;

    unit_mem_init(&um, 0);

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        sprox_origin_resp_init(&r, &um.mem);
        feed(&r, "s3", rows[i].a[0], rows[i].a[1]);

        if (rows[i].b[0] != NULL) {
            feed(&r, "s3", rows[i].b[0], rows[i].b[1]);
        }

        if (r.bad != (unsigned) rows[i].bad
            || r.chunked != (unsigned) rows[i].chunked
            || r.unknown_coding != (unsigned) rows[i].unknown
            || r.content_length != rows[i].length)
        {
            fail_msg("row %zu: bad %d, chunked %d, unknown %d, length %lld",
                     i, r.bad, r.chunked, r.unknown_coding,
                     (long long) r.content_length);
        }

        sprox_origin_resp_free(&r);
    }
}


static void
test_etag(void **state)
{
    char                 text[SPROX_ETAG_MAX + 2];
    size_t               i;
    unit_mem_t           um;
    sprox_origin_resp_t  r;

    static const struct {
        const char  *value;
        const char  *etag;
    } rows[] = {
        { "\"abc\"", "\"abc\"" }, { "W/\"abc\"", "W/\"abc\"" },
        { "\"\"", "" }, { "abc", "\"abc\"" }, { "", "" }, { "\"", "" },
        { "\"abc", "" }, { "abc\"", "" }, { "W/\"\"", "" },
        { "W/abc", "\"W/abc\"" }, { "\"a\x7f\"", "" },
        { "\"a\"b\"", "" }, { "\"a b\"", "" }, { "a b", "" },
        { "\"a\tb\"", "" }, { "w/\"abc\"", "" }
    };

    (void) state;

    unit_mem_init(&um, 0);

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        sprox_origin_resp_init(&r, &um.mem);
        feed(&r, "s3", "etag", rows[i].value);

        if (rows[i].etag[0] == '\0') {
            assert_int_equal(r.etag.len, 0);

        } else {
            assert_str(r.etag, rows[i].etag);
        }

        sprox_origin_resp_free(&r);
    }

    /* the limit holds with the quotes that are added, too */

    for (i = SPROX_ETAG_MAX - 3; i <= SPROX_ETAG_MAX + 1; i++) {
        memset(text, 'a', sizeof(text));
        sprox_origin_resp_init(&r, &um.mem);
        sprox_dialect(S("s3"))->header(&r, S("etag"), sprox_str_make(text, i));
        assert_int_equal(r.etag.len, i + 2 <= SPROX_ETAG_MAX ? i + 2 : 0);
        sprox_origin_resp_free(&r);

        text[0] = '"';
        text[i - 1] = '"';
        sprox_origin_resp_init(&r, &um.mem);
        sprox_dialect(S("s3"))->header(&r, S("etag"), sprox_str_make(text, i));
        assert_int_equal(r.etag.len, i <= SPROX_ETAG_MAX ? i : 0);
        sprox_origin_resp_free(&r);
    }

    assert_int_equal(um.live, 0);
}


static void
test_small(void **state)
{
    unit_mem_t           um;
    sprox_origin_resp_t  r;

    (void) state;

    unit_mem_init(&um, 0);
    sprox_origin_resp_init(&r, &um.mem);

    feed(&r, "s3", "Last-Modified", "yesterday");
    feed(&r, "s3", "Retry-After", "Sun, 06 Nov 1994 08:49:37 GMT");
    feed(&r, "s3", "Content-Encoding", "aws-chunked");
    feed(&r, "s3", "x-amz-mp-parts-count", "many");
    feed(&r, "s3", "Connection", ",, closed ,x-close");
    sprox_dialect(S("s3"))->header(&r, sprox_str_null, sprox_str_null);
    sprox_dialect(S("gcs"))->header(&r, S("x-amz-meta-e"), sprox_str_null);

    assert_int_equal(r.last_modified, -1);
    assert_int_equal(r.retry_after, -1);
    assert_int_equal(r.content_encoding.len, 0);
    assert_int_equal(r.parts_count, -1);
    assert_int_equal(r.close, 0);
    assert_int_equal(r.bad, 0);
    assert_str(sprox_buf_get(&r.keep), "x-amz-meta-e: \r\n");

    sprox_origin_resp_free(&r);
    assert_int_equal(um.live, 0);
}


static void
test_keep_limit(void **state)
{
    static char          text[SPROX_HEADERS_MAX + 1];
    unit_mem_t           um;
    sprox_origin_resp_t  r;

    (void) state;

    memset(text, 'a', sizeof(text));
    unit_mem_init(&um, 0);
    sprox_origin_resp_init(&r, &um.mem);

    /* "Content-Type: " and "\r\n" are 16 */
    sprox_dialect(S("s3"))->header(&r, S("content-type"),
                            sprox_str_make(text, SPROX_HEADERS_MAX - 16));
    assert_int_equal(r.keep.len, SPROX_HEADERS_MAX);
    assert_int_equal(r.keep_limit, 0);

    feed(&r, "s3", "expires", "");
    assert_int_equal(r.keep_limit, 1);
    assert_int_equal(r.keep.len, SPROX_HEADERS_MAX);
    sprox_origin_resp_free(&r);

    sprox_dialect(S("s3"))->header(&r, S("content-type"),
                            sprox_str_make(text, SPROX_HEADERS_MAX - 15));
    assert_int_equal(r.keep.len, 0);
    assert_int_equal(r.keep_limit, 1);
    sprox_origin_resp_free(&r);
    assert_int_equal(um.live, 0);
}


static void
test_redirect(void **state)
{
    size_t               i;
    unit_mem_t           um;
    sprox_str_t          region;
    sprox_error_t        e;
    sprox_origin_resp_t  r;

    static const struct {
        int          status;
        const char  *header;       /* x-amz-bucket-region */
        const char  *location;
        const char  *code;         /* NULL: no document */
        const char  *in_xml;       /* Region */
        const char  *endpoint;
        const char  *region;       /* NULL: none */
    } rows[] = {
        { 301, "eu-west-1", "", NULL, "", "", "eu-west-1" },
        { 301, "", "", "PermanentRedirect", "eu-west-2", "", "eu-west-2" },
        { 301, "", "", "PermanentRedirect", "",
          "b.s3.eu-west-3.amazonaws.com", "eu-west-3" },
        { 301, "", "", "PermanentRedirect", "",
          "b.s3-us-west-2.amazonaws.com", "us-west-2" },
        { 301, "", "", "PermanentRedirect", "", "s3-us-west-2.amazonaws.com",
          "us-west-2" },
        { 301, "", "", "PermanentRedirect", "", "foos3.bar.amazonaws.com",
          NULL },
        { 301, "", "", "PermanentRedirect", "", "b.s3.amazonaws.com", NULL },
        { 301, "", "", "PermanentRedirect", "", "s3.amazonaws.com", NULL },
        { 307, "", "https://b.s3.dualstack.eu-north-1.amazonaws.com/k?x",
          NULL, "", "", "eu-north-1" },
        { 307, "", "https://s3.eu-north-1.amazonaws.com/b/k", NULL, "", "",
          "eu-north-1" },
        { 307, "", "https://b.s3.cn-north-1.amazonaws.com.cn/", NULL, "", "",
          "cn-north-1" },
        { 307, "", "https://evil.example/", NULL, "", "", NULL },
        { 307, "", ".amazonaws.com", NULL, "", "", NULL },
        { 400, "", "", "AuthorizationHeaderMalformed", "eu-west-1", "",
          "eu-west-1" },
        { 400, "eu-west-1", "", "AuthorizationHeaderMalformed", "", "",
          "eu-west-1" },
        { 400, "eu-west-1", "", NULL, "", "", "eu-west-1" },
        { 400, "eu-west-1", "", "InvalidRequest", "eu-west-1", "", NULL },
        { 400, "", "", NULL, "", "", NULL },
        { 301, "EU WEST", "", NULL, "", "", NULL },
        { 301, "x/../y", "", "PermanentRedirect", "a.b", "", NULL },
        { 403, "eu-west-1", "", NULL, "", "", NULL },
        { 200, "eu-west-1", "", NULL, "", "", NULL },
        { 302, "eu-west-1", "", NULL, "", "", NULL }
    };

    (void) state;

    unit_mem_init(&um, 0);

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        sprox_origin_resp_init(&r, &um.mem);
        memset(&e, 0, sizeof(e));

        r.status = rows[i].status;
        r.bucket_region = sprox_str_make(rows[i].header,
                                         strlen(rows[i].header));
        r.location = sprox_str_make(rows[i].location,
                                    strlen(rows[i].location));

        if (rows[i].code != NULL) {
            e.code = sprox_str_make(rows[i].code, strlen(rows[i].code));
            e.region = sprox_str_make(rows[i].in_xml, strlen(rows[i].in_xml));
            e.endpoint = sprox_str_make(rows[i].endpoint,
                                        strlen(rows[i].endpoint));
        }

        region = sprox_str_null;

        if (sprox_origin_redirect(&r, rows[i].code ? &e : NULL, &region)
            != (rows[i].region ? SPROX_OK : SPROX_NOT_FOUND))
        {
            fail_msg("row %zu", i);
        }

        if (rows[i].region != NULL) {
            assert_str(region, rows[i].region);
        }
    }
}


static void
test_retriable(void **state)
{
    int  status, n;

    (void) state;

    n = 0;

    for (status = 100; status < 600; status++) {
        n += sprox_origin_retriable(status);
    }

    assert_int_equal(n, 5);
    assert_true(sprox_origin_retriable(429) && sprox_origin_retriable(500)
                && sprox_origin_retriable(502) && sprox_origin_retriable(503)
                && sprox_origin_retriable(504));
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_get),
        cmocka_unit_test(test_virtual),
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_gcs),
        cmocka_unit_test(test_gcs_bucket),
        cmocka_unit_test(test_file),
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_host),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_alloc),
        cmocka_unit_test(test_settled),
        cmocka_unit_test(test_headers_s3),
        cmocka_unit_test(test_headers_gcs),
        cmocka_unit_test(test_framing),
        cmocka_unit_test(test_etag),
        cmocka_unit_test(test_small),
        cmocka_unit_test(test_keep_limit),
        cmocka_unit_test(test_redirect),
        cmocka_unit_test(test_retriable)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
