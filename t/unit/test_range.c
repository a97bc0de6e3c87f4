/* Range and Content-Range: s3/range.c. */

#include "unit.h"
#include "sprox_range.h"


#define NONE      SPROX_RANGE_NONE
#define FROM_TO   SPROX_RANGE_FROM_TO
#define FROM      SPROX_RANGE_FROM
#define SUFFIX    SPROX_RANGE_SUFFIX
#define INFINITE  SPROX_RANGE_INFINITE


typedef struct {
    const char          *value;
    sprox_range_kind_t   kind;
    uint64_t             first;
    uint64_t             last;
} range_case_t;


static const range_case_t  range_cases[] = {
    { "bytes=0-0", FROM_TO, 0, 0 },
    { "bytes=0-499", FROM_TO, 0, 499 },
    { "bytes=007-08", FROM_TO, 7, 8 },
    { "bytes=5-", FROM, 5, 0 },
    { "bytes=-5", SUFFIX, 0, 5 },
    { "bytes=-0", SUFFIX, 0, 0 },
    { "BYTES=1-2", FROM_TO, 1, 2 },
    { "Bytes=1-2", FROM_TO, 1, 2 },
    { " bytes=1-2\t", FROM_TO, 1, 2 },
    { "bytes = 1 - 2 ", FROM_TO, 1, 2 },
    { "bytes= -7", SUFFIX, 0, 7 },
    { "bytes=0-9223372036854775806", FROM_TO, 0, INT64_MAX - 1 },
    { "bytes=0-9223372036854775807", FROM_TO, 0, INFINITE },
    { "bytes=0-9223372036854775808", FROM_TO, 0, INFINITE },
    { "bytes=0-18446744073709551616", FROM_TO, 0, INFINITE },
    { "bytes=0-99999999999999999999999999", FROM_TO, 0, INFINITE },
    { "bytes=99999999999999999999-", FROM, INFINITE, 0 },
    { "bytes=-99999999999999999999", SUFFIX, 0, INFINITE },
    { "bytes=99999999999999999999-99999999999999999999", FROM_TO, INFINITE,
      INFINITE },

    /* what S3 ignores */

    { "", NONE, 0, 0 },
    { "bytes", NONE, 0, 0 },
    { "bytes=", NONE, 0, 0 },
    { "bytes=-", NONE, 0, 0 },
    { "bytes=--5", NONE, 0, 0 },
    { "bytes=5", NONE, 0, 0 },
    { "bytes=2-1", NONE, 0, 0 },
    { "bytes=0-1,3-4", NONE, 0, 0 },
    { "bytes=0-1,", NONE, 0, 0 },
    { "bytes=,0-1", NONE, 0, 0 },
    { "bytes=0-1 2", NONE, 0, 0 },
    { "bytes=0-1x", NONE, 0, 0 },
    { "bytes=x0-1", NONE, 0, 0 },
    { "bytes=+0-1", NONE, 0, 0 },
    { "bytes=0x0-1", NONE, 0, 0 },
    { "bytes=1 0-20", NONE, 0, 0 },
    { "byte=0-1", NONE, 0, 0 },
    { "bytess=0-1", NONE, 0, 0 },
    { "items=0-1", NONE, 0, 0 },
    { "0-1", NONE, 0, 0 },
    { "=0-1", NONE, 0, 0 },
};


static sprox_str_t
range_str(const char *text)
{
    return sprox_str_make(text, strlen(text));
}


static void
test_range_parse(void **state)
{
    size_t               i;
    sprox_range_t        r;
    const range_case_t  *c;

    (void) state;

    for (i = 0; i < sizeof(range_cases) / sizeof(range_cases[0]); i++) {
        c = &range_cases[i];
        sprox_range_parse(range_str(c->value), &r);

        if (r.kind != c->kind || r.first != c->first || r.last != c->last) {
            fail_msg("\"%s\": kind %d, %llu-%llu", c->value, (int) r.kind,
                     (unsigned long long) r.first,
                     (unsigned long long) r.last);
        }
    }
}


static void
test_range_long(void **state)
{
    char           text[SPROX_RANGE_HEADER_MAX + 1];
    sprox_range_t  r;

    (void) state;

    memset(text, '0', sizeof(text));
    memcpy(text, "bytes=", 6);
    text[sizeof(text) - 2] = '-';

    sprox_range_parse(sprox_str_make(text, sizeof(text) - 1), &r);
    assert_int_equal(r.kind, FROM);

    sprox_range_parse(sprox_str_make(text, sizeof(text)), &r);
    assert_int_equal(r.kind, NONE);
}


static void
test_range_resolve(void **state)
{
    size_t         i;
    uint64_t       start, end;
    sprox_rc_t     rc;
    sprox_range_t  r;

    static const struct {
        const char  *value;
        uint64_t     size;
        int          ok;
        uint64_t     start;
        uint64_t     end;
    } cases[] = {
        { "", 10, 1, 0, 10 },
        { "", 0, 1, 0, 0 },
        { "bytes=0-0", 10, 1, 0, 1 },
        { "bytes=0-9", 10, 1, 0, 10 },
        { "bytes=0-10", 10, 1, 0, 10 },
        { "bytes=3-4", 10, 1, 3, 5 },
        { "bytes=9-9", 10, 1, 9, 10 },
        { "bytes=9-", 10, 1, 9, 10 },
        { "bytes=10-", 10, 0, 0, 0 },
        { "bytes=10-20", 10, 0, 0, 0 },
        { "bytes=0-99999999999999999999", 10, 1, 0, 10 },
        { "bytes=99999999999999999999-", 10, 0, 0, 0 },
        { "bytes=-1", 10, 1, 9, 10 },
        { "bytes=-10", 10, 1, 0, 10 },
        { "bytes=-11", 10, 1, 0, 10 },
        { "bytes=-99999999999999999999", 10, 1, 0, 10 },
        { "bytes=-0", 10, 0, 0, 0 },
        { "bytes=0-0", 0, 0, 0, 0 },
        { "bytes=0-", 0, 0, 0, 0 },
        { "bytes=-1", 0, 0, 0, 0 },
        { "bytes=-0", 0, 0, 0, 0 },
        { "bytes=5-1", 10, 1, 0, 10 },
        { "bytes=0-1,3-4", 10, 1, 0, 10 },
        { "bytes=0-", INT64_MAX, 1, 0, INT64_MAX },
        { "bytes=-1", UINT64_MAX, 1, UINT64_MAX - 1, UINT64_MAX },
    };

    (void) state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        sprox_range_parse(range_str(cases[i].value), &r);
        rc = sprox_range_resolve(&r, cases[i].size, &start, &end);

        assert_int_equal(rc, cases[i].ok ? SPROX_OK : SPROX_INVALID);

        if (cases[i].ok) {
            assert_true(start == cases[i].start);
            assert_true(end == cases[i].end);
        }
    }

    /* a struct that no parser made */

    r.kind = FROM_TO;
    r.first = 5;
    r.last = 4;
    assert_int_equal(sprox_range_resolve(&r, 10, &start, &end),
                     SPROX_INVALID);

    r.first = 0;
    r.last = UINT64_MAX;
    assert_int_equal(sprox_range_resolve(&r, UINT64_MAX, &start, &end),
                     SPROX_OK);
    assert_true(end == UINT64_MAX);
}


static void
test_content_range(void **state)
{
    size_t                 i;
    sprox_rc_t             rc;
    sprox_content_range_t  cr;

    static const struct {
        const char  *value;
        int          ok;
        unsigned     satisfied;
        unsigned     known;
        uint64_t     first;
        uint64_t     last;
        uint64_t     total;
    } cases[] = {
        { "bytes 0-9/10", 1, 1, 1, 0, 9, 10 },
        { "bytes 3-4/10", 1, 1, 1, 3, 4, 10 },
        { " Bytes  3-4/10 ", 1, 1, 1, 3, 4, 10 },
        { "bytes 3-4/*", 1, 1, 0, 3, 4, 0 },
        { "bytes */10", 1, 0, 1, 0, 0, 10 },
        { "bytes */0", 1, 0, 1, 0, 0, 0 },
        { "bytes 0-9223372036854775805/9223372036854775806", 1, 1, 1, 0,
          INT64_MAX - 2, INT64_MAX - 1 },

        { "", 0, 0, 0, 0, 0, 0 },
        { "bytes", 0, 0, 0, 0, 0, 0 },
        { "bytes ", 0, 0, 0, 0, 0, 0 },
        { "bytes */*", 0, 0, 0, 0, 0, 0 },
        { "bytes=0-9/10", 0, 0, 0, 0, 0, 0 },
        { "bytes0-9/10", 0, 0, 0, 0, 0, 0 },
        { "bytes 0-9", 0, 0, 0, 0, 0, 0 },
        { "bytes 0-9/", 0, 0, 0, 0, 0, 0 },
        { "bytes 0-/10", 0, 0, 0, 0, 0, 0 },
        { "bytes -9/10", 0, 0, 0, 0, 0, 0 },
        { "bytes 0-10/10", 0, 0, 0, 0, 0, 0 },
        { "bytes 0-0/0", 0, 0, 0, 0, 0, 0 },
        { "bytes 5-4/10", 0, 0, 0, 0, 0, 0 },
        { "bytes 0 - 9/10", 0, 0, 0, 0, 0, 0 },
        { "bytes 0-9/10x", 0, 0, 0, 0, 0, 0 },
        { "bytes 0-9/*x", 0, 0, 0, 0, 0, 0 },
        { "bytes 0-9/10, 11-12/20", 0, 0, 0, 0, 0, 0 },
        { "bytes 0-9/9223372036854775807", 0, 0, 0, 0, 0, 0 },
        { "bytes 0-9/99999999999999999999", 0, 0, 0, 0, 0, 0 },
        { "bytes 0-99999999999999999999/*", 0, 0, 0, 0, 0, 0 },
        { "items 0-9/10", 0, 0, 0, 0, 0, 0 },
    };

    (void) state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        rc = sprox_content_range_parse(range_str(cases[i].value), &cr);

        if (rc != (cases[i].ok ? SPROX_OK : SPROX_INVALID)) {
            fail_msg("\"%s\": %d", cases[i].value, (int) rc);
        }

        if (cases[i].ok) {
            assert_int_equal(cr.satisfied, cases[i].satisfied);
            assert_int_equal(cr.total_known, cases[i].known);
            assert_true(cr.first == cases[i].first);
            assert_true(cr.last == cases[i].last);
            assert_true(cr.total == cases[i].total);
        }
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_range_parse),
        cmocka_unit_test(test_range_long),
        cmocka_unit_test(test_range_resolve),
        cmocka_unit_test(test_content_range),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
