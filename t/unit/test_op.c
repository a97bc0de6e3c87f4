/* Operations and names of buckets: s3/op.c, s3/bucket.c. */

#include "unit.h"
#include "sprox_op.h"


typedef struct {
    const char          *method;
    const char          *target;
    const char          *vhost;
    sprox_op_t           op;
    sprox_error_code_t   err;
    const char          *bucket;
    const char          *key;
} op_case_t;


#define NONE      SPROX_OP_NONE
#define OK        SPROX_ERR_NONE
#define BUCKETS   SPROX_OP_LIST_BUCKETS
#define HEADB     SPROX_OP_HEAD_BUCKET
#define LOCATION  SPROX_OP_GET_BUCKET_LOCATION
#define LIST      SPROX_OP_LIST_OBJECTS
#define LIST2     SPROX_OP_LIST_OBJECTS_V2
#define HEAD      SPROX_OP_HEAD_OBJECT
#define GET       SPROX_OP_GET_OBJECT
#define PURGE     SPROX_OP_PURGE
#define NOTIMPL   SPROX_ERR_NOT_IMPLEMENTED
#define NOTALLOW  SPROX_ERR_METHOD_NOT_ALLOWED
#define BADURI    SPROX_ERR_INVALID_URI
#define BADNAME   SPROX_ERR_INVALID_BUCKET_NAME
#define BADARG    SPROX_ERR_INVALID_ARGUMENT


static const op_case_t  op_cases[] = {

    /* levels */

    { "GET", "/", "", BUCKETS, OK, "", "" },
    { "GET", "/?x-id=ListBuckets", "", BUCKETS, OK, "", "" },
    { "GET", "/?max-buckets=7&prefix=x", "", BUCKETS, OK, "", "" },
    { "GET", "/?location", "", BUCKETS, OK, "", "" },
    { "HEAD", "/", "", NONE, NOTALLOW, "", "" },
    { "GET", "/b1", "", LIST, OK, "b1", "" },
    { "GET", "/b1/", "", LIST, OK, "b1", "" },
    { "GET", "/b1?", "", LIST, OK, "b1", "" },
    { "GET", "/b1/?", "", LIST, OK, "b1", "" },
    { "GET", "/b1?prefix=a%2F&delimiter=", "", LIST, OK, "b1", "" },
    { "GET", "/b1?list-type=2", "", LIST2, OK, "b1", "" },
    { "GET", "/b1/?prefix=x&list-type=2", "", LIST2, OK, "b1", "" },
    { "GET", "/b1?list%2Dtype=%32", "", LIST2, OK, "b1", "" },
    { "GET", "/b1?list-type=1", "", NONE, BADARG, "b1", "" },
    { "GET", "/b1?list-type=", "", NONE, BADARG, "b1", "" },
    { "GET", "/b1?list-type=22", "", NONE, BADARG, "b1", "" },
    { "GET", "/b1?location", "", LOCATION, OK, "b1", "" },
    { "GET", "/b1/?location=", "", LOCATION, OK, "b1", "" },
    { "HEAD", "/b1", "", HEADB, OK, "b1", "" },
    { "HEAD", "/b1/", "", HEADB, OK, "b1", "" },
    { "HEAD", "/b1/?list-type=9", "", HEADB, OK, "b1", "" },
    { "GET", "/b1/k", "", GET, OK, "b1", "k" },
    { "HEAD", "/b1/k", "", HEAD, OK, "b1", "k" },
    { "PURGE", "/b1/k", "", PURGE, OK, "b1", "k" },
    { "PURGE", "/b1/", "", PURGE, OK, "b1", "" },
    { "PURGE", "/", "", NONE, NOTALLOW, "", "" },

    /* keys are bytes */

    { "GET", "/b1//k", "", GET, OK, "b1", "/k" },
    { "GET", "/b1/a//b/", "", GET, OK, "b1", "a//b/" },
    { "GET", "/b1/../b2/x", "", GET, OK, "b1", "../b2/x" },
    { "GET", "/b1/.", "", GET, OK, "b1", "." },
    { "GET", "/b1/%2e%2E%2f", "", GET, OK, "b1", "../" },
    { "GET", "/b1/a+b%2Bc%20d", "", GET, OK, "b1", "a+b+c d" },
    { "GET", "/b1/%25", "", GET, OK, "b1", "%" },
    { "GET", "/b1/%2525", "", GET, OK, "b1", "%25" },
    { "GET", "/b1/a%3Fb", "", GET, OK, "b1", "a?b" },
    { "GET", "/b1/a%0d%0ab", "", GET, OK, "b1", "a\r\nb" },
    { "GET", "/b1/\xff\xfe", "", GET, OK, "b1", "\xff\xfe" },
    { "GET", "/b1/k?a?b", "", GET, OK, "b1", "k" },
    { "GET", "/b1/a%00b", "", NONE, BADURI, "b1", NULL },
    { "GET", "/b1/a%", "", NONE, BADURI, "b1", "" },
    { "GET", "/b1/a%2", "", NONE, BADURI, "b1", "" },
    { "GET", "/b1/a%xy", "", NONE, BADURI, "b1", "" },
    { "GET", "/b1/k?a=%", "", NONE, BADURI, "b1", "k" },
    { "GET", "/b1/k#", "", NONE, BADURI, "", "" },
    { "GET", "/b1/a#/../k?x", "", NONE, BADURI, "", "" },
    { "GET", "#", "", NONE, BADURI, "", "" },
    { "GET", "/b1/a%23b?x#y", "", GET, OK, "b1", "a#b" },

    /* buckets */

    { "GET", "/tblA/k", "", GET, OK, "tblA", "k" },
    { "GET", "/my%2Dbucket/k", "", GET, OK, "my-bucket", "k" },
    { "GET", "/_x.y-z/k", "", GET, OK, "_x.y-z", "k" },
    { "GET", "//k", "", NONE, BADNAME, "", "" },
    { "GET", "//", "", NONE, BADNAME, "", "" },
    { "GET", "/../etc/passwd", "", NONE, BADNAME, "..", "etc/passwd" },
    { "GET", "/./x", "", NONE, BADNAME, ".", "x" },
    { "GET", "/-b/x", "", NONE, BADNAME, "-b", "x" },
    { "GET", "/b%2Fc/x", "", NONE, BADNAME, "b/c", "x" },
    { "GET", "/b%20c", "", NONE, BADNAME, "b c", "" },
    { "GET", "/b%00c/x", "", NONE, BADNAME, NULL, "x" },
    { "GET", "/b%c3%a4r/x", "", NONE, BADNAME, "b\xc3\xa4r", "x" },
    { "GET", "/%zz/x", "", NONE, BADURI, "", "" },

    /* virtual-hosted */

    { "GET", "/", "b1", LIST, OK, "b1", "" },
    { "GET", "/?list-type=2", "b1", LIST2, OK, "b1", "" },
    { "HEAD", "/", "b1", HEADB, OK, "b1", "" },
    { "GET", "/b1/k", "b1", GET, OK, "b1", "b1/k" },
    { "GET", "//k", "b1", GET, OK, "b1", "/k" },
    { "GET", "/k", "b*", NONE, BADNAME, "b*", "k" },

    /* absolute targets */

    { "GET", "http://h/b1/k", "", GET, OK, "b1", "k" },
    { "GET", "HTTPS://h:1/b1/k?a=1", "", GET, OK, "b1", "k" },
    { "GET", "http://h/k", "b1", GET, OK, "b1", "k" },
    { "GET", "http://h", "", BUCKETS, OK, "", "" },
    { "GET", "http://h?list-type=2", "b1", LIST2, OK, "b1", "" },
    { "GET", "http://h/", "", BUCKETS, OK, "", "" },
    { "GET", "http:///b1/k", "", GET, OK, "b1", "k" },
    { "GET", "ftp://h/b1/k", "", NONE, BADURI, "", "" },
    { "GET", "http://", "", NONE, BADURI, "", "" },
    { "GET", "", "", NONE, BADURI, "", "" },
    { "GET", "*", "", NONE, BADURI, "", "" },
    { "GET", "b1/k", "", NONE, BADURI, "", "" },
    { "GET", "?list-type=2", "", NONE, BADURI, "", "" },

    /* methods */

    { "PUT", "/b1/k", "", NONE, NOTIMPL, "b1", "k" },
    { "PUT", "/b1", "", NONE, NOTIMPL, "b1", "" },
    { "POST", "/b1?delete", "", NONE, NOTIMPL, "b1", "" },
    { "DELETE", "/b1/k", "", NONE, NOTIMPL, "b1", "k" },
    { "OPTIONS", "/b1/k", "", NONE, NOTALLOW, "b1", "k" },
    { "OPTIONS", "*", "", NONE, NOTALLOW, "", "" },
    { "PATCH", "/b1/k", "", NONE, NOTALLOW, "b1", "k" },
    { "TRACE", "/", "", NONE, NOTALLOW, "", "" },
    { "CONNECT", "h:1", "", NONE, NOTALLOW, "", "" },
    { "get", "/b1/k", "", NONE, NOTALLOW, "b1", "k" },
    { "", "/b1/k", "", NONE, NOTALLOW, "b1", "k" },
    { "GETX", "/b1/k", "", NONE, NOTALLOW, "b1", "k" },

    /* sub-resources and words that are ignored */

    { "GET", "/b1?acl", "", NONE, NOTIMPL, "b1", "" },
    { "GET", "/b1?acl=", "", NONE, NOTIMPL, "b1", "" },
    { "GET", "/b1?versions&prefix=a", "", NONE, NOTIMPL, "b1", "" },
    { "GET", "/b1?list-type=2&versions", "", NONE, NOTIMPL, "b1", "" },
    { "GET", "/b1?uploads", "", NONE, NOTIMPL, "b1", "" },
    { "GET", "/b1?policyStatus", "", NONE, NOTIMPL, "b1", "" },
    { "GET", "/b1?policystatus", "", LIST, OK, "b1", "" },
    { "GET", "/b1?session", "", NONE, NOTIMPL, "b1", "" },
    { "HEAD", "/b1?versioning", "", NONE, NOTIMPL, "b1", "" },
    { "GET", "/b1/k?acl", "", NONE, NOTIMPL, "b1", "k" },
    { "GET", "/b1/k?tagging", "", NONE, NOTIMPL, "b1", "k" },
    { "GET", "/b1/k?attributes", "", NONE, NOTIMPL, "b1", "k" },
    { "GET", "/b1/k?uploadId=x", "", NONE, NOTIMPL, "b1", "k" },
    { "HEAD", "/b1/k?retention", "", NONE, NOTIMPL, "b1", "k" },
    { "GET", "/b1/k?versionId=abc", "", NONE, NOTIMPL, "b1", "k" },
    { "GET", "/b1/k?versionId=null", "", GET, OK, "b1", "k" },
    { "GET", "/b1/k?versionId=", "", GET, OK, "b1", "k" },
    { "GET", "/b1/k?versionId", "", GET, OK, "b1", "k" },
    { "GET", "/b1/k?versions", "", GET, OK, "b1", "k" },
    { "GET", "/b1/k?location", "", GET, OK, "b1", "k" },
    { "GET", "/b1/k?list-type=2", "", GET, OK, "b1", "k" },
    { "GET", "/b1/k?x-id=GetObject", "", GET, OK, "b1", "k" },
    { "GET", "/b1/k?partNumber=1", "", GET, OK, "b1", "k" },
    { "HEAD", "/b1/k?partNumber=1", "", HEAD, OK, "b1", "k" },
    { "GET", "/b1/k?response-content-type=a/b", "", GET, OK, "b1", "k" },
    { "GET", "/b1/k?cachebust=1&foo", "", GET, OK, "b1", "k" },
};


static sprox_str_t
op_str(const char *text)
{
    return sprox_str_make(text, strlen(text));
}


static void
test_op_cases(void **state)
{
    size_t               i;
    sprox_rc_t           rc;
    unit_mem_t           um;
    const op_case_t     *c;
    sprox_s3_request_t   req;
    sprox_error_code_t   err;

    (void) state;

    for (i = 0; i < sizeof(op_cases) / sizeof(op_cases[0]); i++) {
        c = &op_cases[i];
        unit_mem_init(&um, 0);
        err = SPROX_ERR_NONE;

        rc = sprox_s3_parse(&um.mem, op_str(c->method), op_str(c->target),
                            op_str(c->vhost), &req, &err);

        if (err != c->err || req.op != c->op) {
            print_error("%s %s: op %d, error %d\n", c->method, c->target,
                        (int) req.op, (int) err);
        }

        assert_int_equal(rc, c->err == OK ? SPROX_OK : SPROX_INVALID);
        assert_int_equal(err, c->err);
        assert_int_equal(req.op, c->op);

        if (c->bucket != NULL) {
            assert_true(sprox_str_eq(req.bucket, op_str(c->bucket)));
        }

        if (c->key != NULL) {
            assert_true(sprox_str_eq(req.key, op_str(c->key)));
        }

        sprox_s3_request_free(&um.mem, &req);
        assert_int_equal(um.live, 0);
    }
}


static sprox_error_code_t
op_long(size_t nkey, const char *unit)
{
    size_t              i;
    sprox_rc_t          rc;
    unit_mem_t          um;
    sprox_buf_t         b;
    sprox_s3_request_t  req;
    sprox_error_code_t  err;

    unit_mem_init(&um, 0);
    sprox_buf_init(&b, &um.mem);
    sprox_buf_text(&b, "/b1/");
    err = SPROX_ERR_NONE;

    for (i = 0; i < nkey; i++) {
        sprox_buf_text(&b, unit);
    }

    rc = sprox_s3_parse(&um.mem, S("GET"), sprox_buf_get(&b), S(""), &req,
                        &err);

    assert_int_equal(rc, err == OK ? SPROX_OK : SPROX_INVALID);

    if (rc == SPROX_OK) {
        assert_int_equal(req.key.len, nkey);
    }

    sprox_s3_request_free(&um.mem, &req);
    sprox_buf_free(&b);
    assert_int_equal(um.live, 0);

    return err;
}


static void
test_op_long_keys(void **state)
{
    (void) state;

    assert_int_equal(op_long(SPROX_KEY_MAX, "k"), OK);
    assert_int_equal(op_long(SPROX_KEY_MAX, "%6B"), OK);
    assert_int_equal(op_long(SPROX_KEY_MAX + 1, "k"),
                     SPROX_ERR_KEY_TOO_LONG);
    assert_int_equal(op_long(SPROX_KEY_MAX + 1, "%6B"),
                     SPROX_ERR_KEY_TOO_LONG);
    assert_int_equal(op_long(SPROX_PATH_MAX, "k"), SPROX_ERR_KEY_TOO_LONG);
    assert_int_equal(op_long(100 * SPROX_PATH_MAX, "k"),
                     SPROX_ERR_KEY_TOO_LONG);
}


static void
test_op_long_query(void **state)
{
    size_t              i;
    unit_mem_t          um;
    sprox_buf_t         b;
    sprox_s3_request_t  req;
    sprox_error_code_t  err;

    (void) state;

    unit_mem_init(&um, 0);
    sprox_buf_init(&b, &um.mem);
    sprox_buf_text(&b, "/b1/k?");

    for (i = 0; i <= SPROX_QUERY_ARGS_MAX; i++) {
        sprox_buf_text(&b, "a&");
    }

    assert_int_equal(sprox_s3_parse(&um.mem, S("GET"), sprox_buf_get(&b),
                                    S(""), &req, &err),
                     SPROX_INVALID);
    assert_int_equal(err, SPROX_ERR_REQUEST_HEADER_TOO_LARGE);
    assert_str(req.key, "k");

    sprox_s3_request_free(&um.mem, &req);
    sprox_buf_free(&b);
}


static void
test_op_signed(void **state)
{
    size_t              i;
    unit_mem_t          um;
    sprox_s3_request_t  req;
    sprox_error_code_t  err;

    static const struct {
        const char  *target;
        unsigned     is_signed;
    } cases[] = {
        { "/b1/k", 0 },
        { "/b1/k?X-Amz-Signature=ab", 1 },
        { "/b1/k?x-amz-signature=ab", 1 },
        { "/b1/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=", 1 },
        { "/b1/k?X-Amz-Date=1", 0 },
        { "/b1/k?AWSAccessKeyId=a&Expires=1&Signature=b", 1 },
        { "/b1/k?Signature=b", 0 },
    };

    (void) state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        unit_mem_init(&um, 0);
        assert_int_equal(sprox_s3_parse(&um.mem, S("GET"),
                                        op_str(cases[i].target), S(""), &req,
                                        &err),
                         SPROX_OK);
        assert_int_equal(req.signed_query, cases[i].is_signed);
        sprox_s3_request_free(&um.mem, &req);
    }
}


static void
test_op_names(void **state)
{
    int  op;

    (void) state;

    assert_str(sprox_op_name(SPROX_OP_GET_OBJECT), "GetObject");
    assert_str(sprox_op_name(SPROX_OP_LIST_OBJECTS_V2), "ListObjectsV2");

    for (op = SPROX_OP_NONE; op < SPROX_OP_MAX; op++) {
        assert_true(sprox_op_name((sprox_op_t) op).len > 0);
    }
}


static sprox_rc_t
op_work(const sprox_mem_t *mem, void *data)
{
    sprox_rc_t          rc;
    sprox_s3_request_t  req;
    sprox_error_code_t  err;

    (void) data;

    rc = sprox_s3_parse(mem, S("GET"), S("/b1/k?a=1"), S(""), &req, &err);

    if (rc == SPROX_OK) {
        assert_str(req.key, "k");
        sprox_s3_request_free(mem, &req);

    } else {
        assert_int_equal(err, SPROX_ERR_INTERNAL_ERROR);
        assert_int_equal(req.bucket.len, 0);
    }

    return rc;
}


static void
test_op_nomem(void **state)
{
    (void) state;

    assert_int_equal(unit_each_alloc_fails(op_work, NULL), 2);
}


static void
test_bucket_valid(void **state)
{
    size_t  i;

    static const char  *good[] = {
        "abc", "a-b", "a.b", "123", "my.bucket-1", "0a0", "a--b", "a.-b",
        "1.2.3", "1.2.3.4.5", "1.2.3.4a", "1234.1.1.1", "a1.2.3.4",
        "abcdefghijklmnopqrstuvwxyz0123456789-abcdefghijklmnopqrstuvwxyz"
    };
    static const char  *bad[] = {
        "", "a", "ab", "Abc", "aBc", "a_b", "-ab", "ab-", ".ab", "ab.",
        "a..b", "a b", "a/b", "a\xc3\xa4", "192.168.5.4", "1.2.3.4", "...",
        "a\nb",
        "abcdefghijklmnopqrstuvwxyz0123456789-abcdefghijklmnopqrstuvwxyz0"
    };

    (void) state;

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        if (!sprox_bucket_valid(op_str(good[i]))) {
            fail_msg("refused: %s", good[i]);
        }
    }

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (sprox_bucket_valid(op_str(bad[i]))) {
            fail_msg("taken: %s", bad[i]);
        }
    }

    assert_false(sprox_bucket_valid(sprox_str_make("a\0b", 3)));
    assert_false(sprox_bucket_valid(sprox_str_null));
}


static void
test_vhost(void **state)
{
    size_t       i;
    sprox_rc_t   rc;
    sprox_str_t  bucket;

    static const struct {
        const char  *host;
        const char  *domain;
        const char  *bucket;      /* NULL: not found */
    } cases[] = {
        { "b.s3.example.com", "s3.example.com", "b" },
        { "b.s3.example.com:9000", "s3.example.com", "b" },
        { "b.s3.example.com.", "s3.example.com", "b" },
        { "b.s3.example.com.:9000", "s3.example.com", "b" },
        { "b.s3.example.com:", "s3.example.com", "b" },
        { "my.log.b.s3.example.com", "s3.example.com", "my.log.b" },
        { "B.S3.Example.COM", "s3.example.com", "B" },
        { "b.localhost:9000", "localhost", "b" },
        { "b.s3.example.com:x", "s3.example.com", NULL },
        { "s3.example.com", "s3.example.com", NULL },
        { "s3.example.com:9000", "s3.example.com", NULL },
        { ".s3.example.com", "s3.example.com", NULL },
        { "bs3.example.com", "s3.example.com", NULL },
        { "b.s3.example.org", "s3.example.com", NULL },
        { "example.com", "s3.example.com", NULL },
        { "b.s3.example.com..", "s3.example.com", NULL },
        { "[::1]:9000", "s3.example.com", NULL },
        { "127.0.0.1:9000", "s3.example.com", NULL },
        { "9000", "s3.example.com", NULL },
        { ":9000", "s3.example.com", NULL },
        { "", "s3.example.com", NULL },
        { "b.s3", "", NULL },
        { "b.", "", NULL },
    };

    (void) state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        rc = sprox_vhost_bucket(op_str(cases[i].host),
                                op_str(cases[i].domain), &bucket);

        if (cases[i].bucket == NULL) {
            assert_int_equal(rc, SPROX_NOT_FOUND);

        } else {
            assert_int_equal(rc, SPROX_OK);
            assert_str(bucket, cases[i].bucket);
        }
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_op_cases),
        cmocka_unit_test(test_op_long_keys),
        cmocka_unit_test(test_op_long_query),
        cmocka_unit_test(test_op_signed),
        cmocka_unit_test(test_op_names),
        cmocka_unit_test(test_op_nomem),
        cmocka_unit_test(test_bucket_valid),
        cmocka_unit_test(test_vhost),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
