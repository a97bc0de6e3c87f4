/*
 * Dates in and out, also against the C library's calendar.
 */

#include <time.h>

#include "unit.h"
#include "sprox_time.h"


typedef sprox_rc_t (*parse_pt)(sprox_str_t s, int64_t *t);


static void
check(parse_pt parse, const char *text, sprox_rc_t rc, int64_t expected)
{
    int64_t  t = 4242;

    if (parse(sprox_str_make(text, strlen(text)), &t) != rc) {
        fail_msg("\"%s\" should give %d", text, rc);
    }

    if (t != (rc == SPROX_OK ? expected : 4242)) {
        fail_msg("\"%s\" gave %lld", text, (long long) t);
    }
}


static void
test_http(void **state)
{
    size_t  i;

    static const char *const  bad[] = {
        "", "S", "Sun", "Sun,", "Xxx, 06 Nov 1994 08:49:37 GMT",
        "Sun, 6 Nov 1994 08:49:37 GMT", "Sun, 06 nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 94 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37 GMT ",
        "Sun, 31 Nov 1994 08:49:37 GMT", "Sun, 00 Nov 1994 08:49:37 GMT",
        "Sun, 29 Feb 1900 00:00:00 GMT", "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 1994 08:60:37 GMT", "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sunday, 06-Nov-1994 08:49:37 GMT", "Sunda, 06-Nov-94 08:49:37 GMT",
        "Monday, 06-Nov-94 08:49:37", "Sun Nov 6 08:49:37 1994",
        "Sun Nov  6 08:49:37 94", "Sun Nov  6 08:49:37 1994 GMT",
        "0", "784111777", "Sun, -6 Nov 1994 08:49:37 GMT"
    };

    (void) state;

    check(sprox_time_parse_http, "Sun, 06 Nov 1994 08:49:37 GMT", SPROX_OK,
          784111777);
    check(sprox_time_parse_http, "Sunday, 06-Nov-94 08:49:37 GMT", SPROX_OK,
          784111777);
    check(sprox_time_parse_http, "Wednesday, 06-Nov-94 08:49:37 GMT",
          SPROX_OK, 784111777);
    check(sprox_time_parse_http, "Sun Nov  6 08:49:37 1994", SPROX_OK,
          784111777);
    check(sprox_time_parse_http, "Wed Nov 16 08:49:37 1994", SPROX_OK,
          784975777);
    check(sprox_time_parse_http, "Thu, 01 Jan 1970 00:00:00 GMT", SPROX_OK,
          0);
    check(sprox_time_parse_http, "Wed, 31 Dec 1969 23:59:59 GMT", SPROX_OK,
          -1);
    check(sprox_time_parse_http, "Tue, 29 Feb 2000 00:00:00 GMT", SPROX_OK,
          951782400);
    check(sprox_time_parse_http, "Sat, 31 Dec 2016 23:59:60 GMT", SPROX_OK,
          1483228800);
    check(sprox_time_parse_http, "Thursday, 01-Jan-70 00:00:00 GMT",
          SPROX_OK, 0);
    check(sprox_time_parse_http, "Tuesday, 31-Dec-69 00:00:00 GMT",
          SPROX_OK, 3155673600);
    check(sprox_time_parse_http, "Fri, 31 Dec 9999 23:59:59 GMT", SPROX_OK,
          253402300799);

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        check(sprox_time_parse_http, bad[i], SPROX_INVALID, 0);
    }

    check(sprox_time_parse_http, "", SPROX_INVALID, 0);
}


static void
test_iso(void **state)
{
    size_t  i;

    static const char *const  bad[] = {
        "", "1994", "1994-11-06", "1994-11-06T08:49:37", "1994-11-06 08:49:37Z",
        "1994-11-06T08:49:37.Z", "1994-11-06T08:49:37.1234567890Z",
        "1994-11-06T08:49:37,5Z", "1994-11-06T08:49:37+01",
        "1994-11-06T08:49:37+0100", "1994-11-06T08:49:37+24:00",
        "1994-11-06T08:49:37+01:60", "1994-13-06T08:49:37Z",
        "1994-00-06T08:49:37Z", "94-11-06T08:49:37Z", "1994-11-06T08:49:37Zx",
        "1994-11-06T08:49:37.x", "1994-11-06T08:49:37.5"
    };

    (void) state;

    check(sprox_time_parse_iso, "1994-11-06T08:49:37.000Z", SPROX_OK,
          784111777000);
    check(sprox_time_parse_iso, "1994-11-06T08:49:37Z", SPROX_OK,
          784111777000);
    check(sprox_time_parse_iso, "1994-11-06T08:49:37.5Z", SPROX_OK,
          784111777500);
    check(sprox_time_parse_iso, "1994-11-06T08:49:37.123456789Z", SPROX_OK,
          784111777123);
    check(sprox_time_parse_iso, "1994-11-06T09:49:37.25+01:00", SPROX_OK,
          784111777250);
    check(sprox_time_parse_iso, "1994-11-06T03:19:37-05:30", SPROX_OK,
          784111777000);
    check(sprox_time_parse_iso, "1969-12-31T23:59:59.999Z", SPROX_OK, -1);
    check(sprox_time_parse_iso, "0000-01-01T00:00:00Z", SPROX_OK,
          -62167219200000);

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        check(sprox_time_parse_iso, bad[i], SPROX_INVALID, 0);
    }
}


static void
test_amz(void **state)
{
    size_t  i;

    static const char *const  bad[] = {
        "", "20130524T000000", "20130524T000000z", "20130524000000Z",
        "2013-05-24T00:00:00Z", "20130532T000000Z", "20130524T0000000Z",
        "2013052 T000000Z"
    };

    (void) state;

    check(sprox_time_parse_amz, "20130524T000000Z", SPROX_OK, 1369353600);
    check(sprox_time_parse_amz, "19941106T084937Z", SPROX_OK, 784111777);

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        check(sprox_time_parse_amz, bad[i], SPROX_INVALID, 0);
    }
}


/* Each day from the year 1 to 9999, and back again. */

static void
test_all_days(void **state)
{
    char       text[64];
    time_t     when;
    int64_t    t, back;
    uint8_t    out[SPROX_TIME_ISO_LEN + 1];
    struct tm  tm;

    (void) state;

    for (t = -62135596800; t <= 253402300799; t += 86400 * 3 + 3607) {
        when = (time_t) t;
        gmtime_r(&when, &tm);

        memset(out, 'x', sizeof(out));
        sprox_time_amz(t, out);
        assert_int_equal(out[SPROX_TIME_AMZ_LEN], 'x');
        snprintf(text, sizeof(text), "%04d%02d%02dT%02d%02d%02dZ",
                 tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
                 tm.tm_min, tm.tm_sec);
        assert_memory_equal(out, text, SPROX_TIME_AMZ_LEN);
        assert_int_equal(sprox_time_parse_amz(
                             sprox_str_make(out, SPROX_TIME_AMZ_LEN), &back),
                         SPROX_OK);
        assert_int_equal(back, t);
    }
}


static void
test_write(void **state)
{
    uint8_t  out[64];

    (void) state;

    memset(out, 'x', sizeof(out));
    sprox_time_http(784111777, out);
    assert_str(sprox_str_make(out, SPROX_TIME_HTTP_LEN),
               "Sun, 06 Nov 1994 08:49:37 GMT");
    assert_int_equal(out[SPROX_TIME_HTTP_LEN], 'x');

    memset(out, 'x', sizeof(out));
    sprox_time_iso(784111777123, out);
    assert_str(sprox_str_make(out, SPROX_TIME_ISO_LEN),
               "1994-11-06T08:49:37.123Z");
    assert_int_equal(out[SPROX_TIME_ISO_LEN], 'x');

    sprox_time_iso(-1, out);
    assert_str(sprox_str_make(out, SPROX_TIME_ISO_LEN),
               "1969-12-31T23:59:59.999Z");

    sprox_time_http(-86400, out);
    assert_str(sprox_str_make(out, SPROX_TIME_HTTP_LEN),
               "Wed, 31 Dec 1969 00:00:00 GMT");

    sprox_time_http(INT64_MAX, out);
    assert_str(sprox_str_make(out, SPROX_TIME_HTTP_LEN),
               "Fri, 31 Dec 9999 23:59:59 GMT");

    sprox_time_http(INT64_MIN, out);
    assert_str(sprox_str_make(out, SPROX_TIME_HTTP_LEN),
               "Sat, 01 Jan 0000 00:00:00 GMT");

    sprox_time_iso(INT64_MIN, out);
    sprox_time_iso(INT64_MAX, out);
    sprox_time_amz(INT64_MIN, out);
    sprox_time_amz(INT64_MAX, out);
}


/* What is known is never younger than just now, nor of the future. */

static void
test_age(void **state)
{
    size_t  i;

    static const struct {
        int64_t  proved;
        int64_t  proof;
        int64_t  age;
    } cases[] = {
        { 0, 0, 1000000 },
        { -5, -5, 1000005 },
        { 1, 1, 999999 },
        { 999999, 999999, 1 },
        { 1000000, 1000000, 0 },
        { 1000001, 0, 0 },
        { 1000000 + SPROX_TURN, 0, 0 },
        { 1000001 + SPROX_TURN, 0, 1000000 },
        { INT64_MAX, 0, 1000000 }
    };

    (void) state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(sprox_proof(cases[i].proved, 1000000),
                         cases[i].proof);
        assert_int_equal(sprox_age(cases[i].proved, 1000000), cases[i].age);
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_http),
        cmocka_unit_test(test_iso),
        cmocka_unit_test(test_amz),
        cmocka_unit_test(test_all_days),
        cmocka_unit_test(test_write),
        cmocka_unit_test(test_age)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
