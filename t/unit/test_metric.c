/*
 * The table of metrics, and what is written of it.
 */

#include "unit.h"
#include "sprox_metric.h"


static int
is_name(const char *s)
{
    return *s && s[strspn(s, "abcdefghijklmnopqrstuvwxyz_")] == '\0';
}


/* Prometheus' conventions, and no name twice. */

static void
test_table(void **state)
{
    size_t                      len;
    unsigned                    i, j;
    const sprox_metric_info_t  *m;

    (void) state;

    for (i = 0; i < SPROX_METRIC_MAX; i++) {
        m = sprox_metric_info((sprox_metric_t) i);

        assert_non_null(m->name);
        assert_true(is_name(m->name));
        assert_int_equal(strncmp(m->name, "sprox_", 6), 0);

        len = strlen(m->name);

        if (strcmp(m->type, "counter") == 0) {
            assert_string_equal(m->name + len - 6, "_total");

        } else {
            assert_string_equal(m->type, "gauge");
            assert_null(strstr(m->name, "_total"));
        }

        assert_int_equal(m->help[strlen(m->help) - 1], '.');
        assert_null(m->labels[3]);

        for (j = 0; m->labels[j]; j++) {
            assert_true(is_name(m->labels[j]));
        }

        for (j = 0; j < i; j++) {
            assert_string_not_equal(m->name,
                sprox_metric_info((sprox_metric_t) j)->name);
        }
    }
}


static void
test_write(void **state)
{
    unit_mem_t   um;
    sprox_buf_t  b;

    const sprox_str_t  values[] = {
        S("a\\b\"c\nd\t{}=,"), S("GetObject"), S("")
    };
    const sprox_str_t  text = S("\xc3\xa9%");
    const sprox_str_t  bytes = S("tbl/\xe9\"%");

    (void) state;

    unit_mem_init(&um, 0);
    sprox_buf_init(&b, &um.mem);

    sprox_metric_head(&b, SPROX_METRIC_REQUESTS);
    sprox_metric_sample(&b, SPROX_METRIC_REQUESTS, values, UINT64_MAX);
    sprox_metric_sample(&b, SPROX_METRIC_ORIGIN_BYTES, values + 1, 7);
    sprox_metric_sample(&b, SPROX_METRIC_ORIGIN_BYTES, &text, 8);
    sprox_metric_sample(&b, SPROX_METRIC_ORIGIN_BYTES, &bytes, 9);
    sprox_metric_head(&b, SPROX_METRIC_FILLS_IN_FLIGHT);
    sprox_metric_sample(&b, SPROX_METRIC_FILLS_IN_FLIGHT, NULL, 0);

    assert_str(sprox_buf_get(&b),
        "# HELP sprox_requests_total Requests of clients, by alias, "
        "S3 operation and HTTP status.\n"
        "# TYPE sprox_requests_total counter\n"
        "sprox_requests_total{alias=\"a\\\\b\\\"c\\nd\t{}=,\","
        "operation=\"GetObject\",status=\"\"} 18446744073709551615\n"
        "sprox_origin_bytes_total{origin=\"GetObject\"} 7\n"
        "sprox_origin_bytes_total{origin=\"\xc3\xa9%\"} 8\n"
        "sprox_origin_bytes_total{origin=\"tbl/%E9%22%25\"} 9\n"
        "# HELP sprox_fills_in_flight Fills that are under way.\n"
        "# TYPE sprox_fills_in_flight gauge\n"
        "sprox_fills_in_flight 0\n");

    sprox_buf_free(&b);
    assert_int_equal(um.live, 0);
}


static sprox_rc_t
work(const sprox_mem_t *mem, void *data)
{
    unsigned           i;
    sprox_rc_t         rc;
    sprox_buf_t        b;
    const sprox_str_t  values[] = { S("a"), S("b"), S("c") };

    (void) data;

    sprox_buf_init(&b, mem);

    for (i = 0; i < SPROX_METRIC_MAX; i++) {
        sprox_metric_head(&b, (sprox_metric_t) i);
        sprox_metric_sample(&b, (sprox_metric_t) i, values, i);
    }

    rc = sprox_buf_rc(&b);
    sprox_buf_free(&b);

    return rc;
}


static void
test_nomem(void **state)
{
    (void) state;

    assert_true(unit_each_alloc_fails(work, NULL) > 0);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_write),
        cmocka_unit_test(test_nomem),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
