/* The query of a request: s3/query.c. */

#include "unit.h"
#include "sprox_query.h"


typedef struct {
    const char  *raw;
    const char  *dump;        /* [name=value]... and a dot; NULL: invalid */
} query_case_t;


static const query_case_t  query_cases[] = {
    { "", "." },
    { "&", "." },
    { "&&&", "." },
    { "a", "[a=]." },
    { "a=", "[a=]." },
    { "a=1", "[a=1]." },
    { "a=1&b=2", "[a=1][b=2]." },
    { "a=1&&b=2&", "[a=1][b=2]." },
    { "&a=1", "[a=1]." },
    { "b=2&a=1&b=3", "[b=2][a=1][b=3]." },
    { "a=b=c", "[a=b=c]." },
    { "a==", "[a==]." },
    { "=v", "[=v]." },
    { "=", "[=]." },
    { "a=x+y%2Bz%20", "[a=x y+z ]." },
    { "a%3Db=c%26d", "[a=b=c&d]." },
    { "%61=%62", "[a=b]." },
    { "a=%2525", "[a=%25]." },
    { "a=\xff", "[a=\xff]." },
    { "list-type=2&prefix=", "[list-type=2][prefix=]." },
    { "a=%", NULL },
    { "a=%4", NULL },
    { "a=%4g", NULL },
    { "%zz=1", NULL },
    { "ok=1&b=%", NULL },
};


static void
query_dump(sprox_buf_t *b, const sprox_query_t *q)
{
    size_t  i;

    for (i = 0; i < q->nargs; i++) {
        sprox_buf_char(b, '[');
        sprox_buf_str(b, q->args[i].name);
        sprox_buf_char(b, '=');
        sprox_buf_str(b, q->args[i].value);
        sprox_buf_char(b, ']');
    }

    sprox_buf_char(b, '.');
}


static void
test_query_cases(void **state)
{
    size_t         i;
    sprox_rc_t     rc;
    unit_mem_t     um;
    sprox_buf_t    b;
    sprox_query_t  q;

    (void) state;

    for (i = 0; i < sizeof(query_cases) / sizeof(query_cases[0]); i++) {
        unit_mem_init(&um, 0);
        sprox_buf_init(&b, &um.mem);

        rc = sprox_query_parse(&um.mem,
                               sprox_str_make(query_cases[i].raw,
                                              strlen(query_cases[i].raw)),
                               &q);

        if (query_cases[i].dump == NULL) {
            assert_int_equal(rc, SPROX_INVALID);
            assert_null(q.args);
            assert_int_equal(q.nargs, 0);

        } else {
            assert_int_equal(rc, SPROX_OK);
            query_dump(&b, &q);
            assert_str(sprox_buf_get(&b), query_cases[i].dump);
        }

        sprox_free(&um.mem, q.args);
        sprox_buf_free(&b);
        assert_int_equal(um.live, 0);
    }
}


static void
test_query_get(void **state)
{
    unit_mem_t                um;
    sprox_query_t             q;
    const sprox_query_arg_t  *arg;

    (void) state;

    unit_mem_init(&um, 0);
    assert_int_equal(sprox_query_parse(&um.mem, S("a=1&b&a=2&Key=x"), &q),
                     SPROX_OK);

    arg = sprox_query_get(&q, S("a"));
    assert_non_null(arg);
    assert_str(arg->value, "1");

    arg = sprox_query_get(&q, S("b"));
    assert_non_null(arg);
    assert_int_equal(arg->value.len, 0);

    assert_null(sprox_query_get(&q, S("key")));
    assert_null(sprox_query_get(&q, S("")));
    assert_null(sprox_query_get(&q, S("ab")));

    sprox_free(&um.mem, q.args);
}


static void
test_query_nul(void **state)
{
    unit_mem_t     um;
    sprox_query_t  q;

    (void) state;

    unit_mem_init(&um, 0);
    assert_int_equal(sprox_query_parse(&um.mem, S("a=x%00y"), &q), SPROX_OK);
    assert_int_equal(q.args[0].value.len, 3);
    assert_memory_equal(q.args[0].value.data, "x\0y", 3);

    sprox_free(&um.mem, q.args);
}


static void
test_query_limits(void **state)
{
    size_t         i;
    unit_mem_t     um;
    sprox_buf_t    b;
    sprox_query_t  q;

    (void) state;

    unit_mem_init(&um, 0);
    sprox_buf_init(&b, &um.mem);

    for (i = 0; i < SPROX_QUERY_ARGS_MAX; i++) {
        sprox_buf_text(&b, "&a=1");
    }

    assert_int_equal(sprox_query_parse(&um.mem, sprox_buf_get(&b), &q),
                     SPROX_OK);
    assert_int_equal(q.nargs, SPROX_QUERY_ARGS_MAX);
    sprox_free(&um.mem, q.args);

    sprox_buf_text(&b, "&b");
    assert_int_equal(sprox_query_parse(&um.mem, sprox_buf_get(&b), &q),
                     SPROX_LIMIT);
    assert_null(q.args);

    sprox_buf_free(&b);

    while (b.len < SPROX_QUERY_MAX) {
        sprox_buf_char(&b, 'x');
    }

    assert_int_equal(sprox_query_parse(&um.mem, sprox_buf_get(&b), &q),
                     SPROX_OK);
    sprox_free(&um.mem, q.args);

    sprox_buf_char(&b, 'x');
    assert_int_equal(sprox_query_parse(&um.mem, sprox_buf_get(&b), &q),
                     SPROX_LIMIT);

    sprox_buf_free(&b);
    assert_int_equal(um.live, 0);
}


static sprox_rc_t
query_work(const sprox_mem_t *mem, void *data)
{
    sprox_rc_t     rc;
    sprox_query_t  q;

    (void) data;

    rc = sprox_query_parse(mem, S("a=1&b=2"), &q);

    if (rc == SPROX_OK) {
        sprox_free(mem, q.args);
    }

    return rc;
}


static void
test_query_nomem(void **state)
{
    (void) state;

    assert_int_equal(unit_each_alloc_fails(query_work, NULL), 1);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_query_cases),
        cmocka_unit_test(test_query_get),
        cmocka_unit_test(test_query_nul),
        cmocka_unit_test(test_query_limits),
        cmocka_unit_test(test_query_nomem),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
