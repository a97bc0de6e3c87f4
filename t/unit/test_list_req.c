/* Parameters of listings, and tokens: s3/list_req.c. */

#include "unit.h"
#include "sprox_list.h"


typedef struct {
    unit_mem_t          um;
    sprox_query_t       query;
    sprox_list_req_t    req;
    sprox_error_code_t  err;
    const char         *why;
    sprox_rc_t          rc;
} req_t;


static void
req_open(req_t *r, const char *query, unsigned version)
{
    unit_mem_init(&r->um, 0);
    assert_int_equal(sprox_query_parse(&r->um.mem,
                                       sprox_str_make(query, strlen(query)),
                                       &r->query),
                     SPROX_OK);

    r->err = SPROX_ERR_NONE;
    r->rc = sprox_list_req_parse(&r->um.mem, &r->query, version, &r->req,
                                 &r->err, &r->why);
}


static void
req_close(req_t *r)
{
    if (r->rc == SPROX_OK && r->req.token.len) {
        sprox_free(&r->um.mem, (void *) r->req.after.data);
    }

    sprox_free(&r->um.mem, r->query.args);
    assert_int_equal(r->um.live, 0);
}


static void
test_req_defaults(void **state)
{
    req_t  r;

    (void) state;

    req_open(&r, "list-type=2", 2);
    assert_int_equal(r.rc, SPROX_OK);
    assert_int_equal(r.err, SPROX_ERR_NONE);
    assert_null(r.why);
    assert_int_equal(r.req.version, 2);
    assert_int_equal(r.req.max_keys, 1000);
    assert_int_equal(r.req.prefix.len, 0);
    assert_int_equal(r.req.delimiter.len, 0);
    assert_int_equal(r.req.after.len, 0);
    assert_false(r.req.url);
    assert_false(r.req.fetch_owner);
    assert_false(r.req.delimiter_sent);
    assert_false(r.req.token_sent);
    assert_false(r.req.start_after_sent);
    req_close(&r);

    req_open(&r, "", 1);
    assert_int_equal(r.rc, SPROX_OK);
    assert_true(r.req.fetch_owner);
    req_close(&r);
}


static void
test_req_all(void **state)
{
    req_t  r;

    (void) state;

    req_open(&r, "prefix=a%2Fb+c&delimiter=%2F&start-after=a%2Fb+cd&"
             "max-keys=7&encoding-type=url&fetch-owner=true&list-type=2&"
             "marker=no", 2);
    assert_int_equal(r.rc, SPROX_OK);
    assert_str(r.req.prefix, "a/b c");
    assert_str(r.req.delimiter, "/");
    assert_true(r.req.delimiter_sent);
    assert_str(r.req.start_after, "a/b cd");
    assert_true(r.req.start_after_sent);
    assert_str(r.req.after, "a/b cd");
    assert_int_equal(r.req.marker.len, 0);
    assert_int_equal(r.req.max_keys, 7);
    assert_true(r.req.url);
    assert_true(r.req.fetch_owner);
    req_close(&r);

    req_open(&r, "marker=m&start-after=no&continuation-token=no&delimiter=",
             1);
    assert_int_equal(r.rc, SPROX_OK);
    assert_str(r.req.marker, "m");
    assert_str(r.req.after, "m");
    assert_true(r.req.delimiter_sent);
    assert_int_equal(r.req.delimiter.len, 0);
    assert_false(r.req.token_sent);
    req_close(&r);
}


static void
test_req_numbers(void **state)
{
    size_t  i;
    req_t   r;

    static const struct {
        const char  *query;
        int          max_keys;      /* -1: InvalidArgument */
    } cases[] = {
        { "max-keys=0", 0 },
        { "max-keys=1", 1 },
        { "max-keys=999", 999 },
        { "max-keys=1000", 1000 },
        { "max-keys=1001", 1000 },
        { "max-keys=2147483647", 1000 },
        { "max-keys=", 1000 },
        { "max-keys=2147483648", -1 },
        { "max-keys=99999999999999999999", -1 },
        { "max-keys=-1", -1 },
        { "max-keys=%2B1", -1 },
        { "max-keys=1x", -1 },
        { "max-keys=+1", -1 },
        { "max-keys=blah", -1 },
    };

    (void) state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        req_open(&r, cases[i].query, 2);

        if (cases[i].max_keys < 0) {
            assert_int_equal(r.rc, SPROX_INVALID);
            assert_int_equal(r.err, SPROX_ERR_INVALID_ARGUMENT);
            assert_non_null(r.why);

        } else {
            assert_int_equal(r.rc, SPROX_OK);
            assert_int_equal(r.req.max_keys, cases[i].max_keys);
        }

        req_close(&r);
    }
}


static void
test_req_invalid(void **state)
{
    size_t  i;
    req_t   r;

    static const char  *bad[] = {
        "encoding-type=base64",
        "encoding-type=urls",
        "continuation-token=%21",
        "continuation-token=A",            /* no whole byte */
        "continuation-token=AmE",          /* format 2 */
        "continuation-token=AWE%3D",       /* padding */
        "continuation-token=AWF",          /* bits left over */
        "continuation-token=1ueGcxLPRx1Tr/XYExHnhbYLgveDs2J/wm36Hy4vbOwM=",
    };

    (void) state;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        req_open(&r, bad[i], 2);

        if (r.rc != SPROX_INVALID) {
            fail_msg("%s", bad[i]);
        }

        assert_int_equal(r.err, SPROX_ERR_INVALID_ARGUMENT);
        assert_non_null(r.why);
        req_close(&r);
    }

    req_open(&r, "encoding-type=URL&continuation-token=", 2);
    assert_int_equal(r.rc, SPROX_OK);
    assert_true(r.req.url);
    assert_true(r.req.token_sent);
    assert_int_equal(r.req.after.len, 0);
    req_close(&r);
}


static void
test_req_long(void **state)
{
    size_t       i, n;
    req_t        r;
    char         query[SPROX_KEY_MAX + 32];

    static const char  *names[] = {
        "prefix=", "delimiter=", "start-after="
    };

    (void) state;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        n = strlen(names[i]);

        memcpy(query, names[i], n);
        memset(query + n, 'k', SPROX_KEY_MAX);
        query[n + SPROX_KEY_MAX] = '\0';

        req_open(&r, query, 2);
        assert_int_equal(r.rc, SPROX_OK);
        req_close(&r);

        query[n + SPROX_KEY_MAX] = 'k';
        query[n + SPROX_KEY_MAX + 1] = '\0';

        req_open(&r, query, 2);
        assert_int_equal(r.rc, SPROX_INVALID);
        assert_int_equal(r.err, SPROX_ERR_INVALID_ARGUMENT);
        req_close(&r);
    }
}


/* A token of n bytes of key, read back through a query. */

static sprox_rc_t
req_token(const uint8_t *key, size_t n)
{
    req_t        r;
    sprox_rc_t   rc;
    unit_mem_t   um;
    sprox_buf_t  b;

    unit_mem_init(&um, 0);
    sprox_buf_init(&b, &um.mem);

    sprox_buf_text(&b, "start-after=zzz&continuation-token=");
    sprox_list_token(&b, sprox_str_make(key, n));
    assert_int_equal(sprox_buf_rc(&b), SPROX_OK);
    assert_true(b.len <= SPROX_TOKEN_MAX || n > SPROX_KEY_MAX);
    sprox_buf_char(&b, '\0');

    req_open(&r, (const char *) b.data, 2);
    rc = r.rc;

    if (rc == SPROX_OK) {
        assert_true(r.req.token_sent);
        assert_true(r.req.start_after_sent);
        assert_true(sprox_str_eq(r.req.after, sprox_str_make(key, n)));
    }

    req_close(&r);
    sprox_buf_free(&b);

    return rc;
}


static void
test_token(void **state)
{
    size_t       i;
    uint8_t      key[SPROX_KEY_MAX + 1];
    unit_mem_t   um;
    sprox_buf_t  b;

    (void) state;

    for (i = 0; i < sizeof(key); i++) {
        key[i] = (uint8_t) (255 - i);
    }

    for (i = 0; i < 40; i++) {
        assert_int_equal(req_token(key, i), SPROX_OK);
    }

    assert_int_equal(req_token(key, SPROX_KEY_MAX), SPROX_OK);
    assert_int_equal(req_token(key, SPROX_KEY_MAX + 1), SPROX_INVALID);

    /* the format: tokens are kept by clients across restarts */

    unit_mem_init(&um, 0);
    sprox_buf_init(&b, &um.mem);
    sprox_list_token(&b, S("a/b.parquet"));
    assert_str(sprox_buf_get(&b), "AWEvYi5wYXJxdWV0");
    sprox_buf_free(&b);
}


static sprox_rc_t
req_work(const sprox_mem_t *mem, void *data)
{
    const char          *why;
    sprox_rc_t           rc;
    sprox_list_req_t     req;
    sprox_error_code_t   err;

    rc = sprox_list_req_parse(mem, data, 2, &req, &err, &why);

    if (rc == SPROX_OK) {
        assert_str(req.after, "a/b.parquet");
        sprox_free(mem, (void *) req.after.data);

    } else {
        assert_int_equal(err, SPROX_ERR_INTERNAL_ERROR);
    }

    return rc;
}


static void
test_req_nomem(void **state)
{
    unit_mem_t     um;
    sprox_query_t  query;

    (void) state;

    unit_mem_init(&um, 0);
    assert_int_equal(sprox_query_parse(&um.mem,
                              S("continuation-token=AWEvYi5wYXJxdWV0"),
                              &query),
                     SPROX_OK);

    assert_in_range(unit_each_alloc_fails(req_work, &query), 1, 10);

    sprox_free(&um.mem, query.args);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_req_defaults),
        cmocka_unit_test(test_req_all),
        cmocka_unit_test(test_req_numbers),
        cmocka_unit_test(test_req_invalid),
        cmocka_unit_test(test_req_long),
        cmocka_unit_test(test_token),
        cmocka_unit_test(test_req_nomem),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
