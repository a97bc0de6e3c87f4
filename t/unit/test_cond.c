/* Conditional requests: s3/cond.c. */

#include "unit.h"
#include "sprox_cond.h"


#define GO    SPROX_COND_PROCEED
#define N304  SPROX_COND_NOT_MODIFIED
#define N412  SPROX_COND_FAILED

/* the object: ETag "abc", modified at NOW */

#define NOW     784111777
#define AT      "Sun, 06 Nov 1994 08:49:37 GMT"
#define BEFORE  "Sun, 06 Nov 1994 08:49:36 GMT"
#define AFTER   "Sun, 06 Nov 1994 08:49:38 GMT"


typedef struct {
    const char           *match;
    const char           *none_match;
    const char           *since;          /* If-Modified-Since */
    const char           *unmodified;
    sprox_cond_result_t   result;
} cond_case_t;


static const cond_case_t  cond_cases[] = {
    { "", "", "", "", GO },

    /* tags */

    { "\"abc\"", "", "", "", GO },
    { "abc", "", "", "", GO },
    { "*", "", "", "", GO },
    { " * ", "", "", "", GO },
    { "\"x\"", "", "", "", N412 },
    { "\"abc", "", "", "", N412 },
    { "abc\"", "", "", "", N412 },
    { "\"ABC\"", "", "", "", N412 },
    { "\"\"", "", "", "", N412 },
    { ",", "", "", "", N412 },
    { " ", "", "", "", N412 },
    { "W/\"abc\"", "", "", "", N412 },
    { "\"x\", \"abc\"", "", "", "", GO },
    { "\"x\",abc", "", "", "", GO },
    { "\"x\" , \t\"abc\" ", "", "", "", GO },
    { ",,\"abc\",", "", "", "", GO },
    { "\"x,abc\"", "", "", "", N412 },
    { "\"x\",\"y\"", "", "", "", N412 },
    { "\"x\", *", "", "", "", N412 },

    { "", "\"abc\"", "", "", N304 },
    { "", "abc", "", "", N304 },
    { "", "W/\"abc\"", "", "", N304 },
    { "", "*", "", "", N304 },
    { "", "\"x\", W/\"abc\"", "", "", N304 },
    { "", "\"x\"", "", "", GO },

    /* dates */

    { "", "", AT, "", N304 },
    { "", "", AFTER, "", N304 },
    { "", "", BEFORE, "", GO },
    { "", "", "yesterday", "", GO },
    { "", "", "Sunday, 06-Nov-94 08:49:37 GMT", "", N304 },
    { "", "", "Sun Nov  6 08:49:37 1994", "", N304 },
    { "", "", "", AT, GO },
    { "", "", "", AFTER, GO },
    { "", "", "", BEFORE, N412 },
    { "", "", "", "yesterday", GO },
    { "", "", "", "0", GO },

    /* tags silence dates */

    { "\"abc\"", "", "", BEFORE, GO },
    { "\"x\"", "", "", AFTER, N412 },
    { "", "\"abc\"", BEFORE, "", N304 },
    { "", "\"x\"", AFTER, "", GO },
    { "\"abc\"", "\"abc\"", "", "", N304 },
    { "\"x\"", "\"abc\"", "", "", N412 },
    { "\"abc\"", "", AFTER, "", N304 },
    { "", "\"abc\"", "", BEFORE, N412 },
    { "", "\"abc\"", "", AFTER, N304 },
};


static sprox_str_t
cond_str(const char *text)
{
    return sprox_str_make(text, strlen(text));
}


static void
test_cond_cases(void **state)
{
    size_t               i;
    sprox_cond_t         cond;
    sprox_cond_result_t  result;

    (void) state;

    for (i = 0; i < sizeof(cond_cases) / sizeof(cond_cases[0]); i++) {
        memset(&cond, 0, sizeof(cond));
        cond.if_match = cond_str(cond_cases[i].match);
        cond.if_none_match = cond_str(cond_cases[i].none_match);
        cond.if_modified_since = cond_str(cond_cases[i].since);
        cond.if_unmodified_since = cond_str(cond_cases[i].unmodified);

        result = sprox_cond_check(&cond, S("\"abc\""), NOW);

        if (result != cond_cases[i].result) {
            fail_msg("case %d: %d", (int) i, (int) result);
        }
    }
}


static void
test_cond_weak_etag(void **state)
{
    sprox_cond_t  cond;

    (void) state;

    memset(&cond, 0, sizeof(cond));

    cond.if_match = S("W/\"abc\"");
    assert_int_equal(sprox_cond_check(&cond, S("W/\"abc\""), NOW), GO);

    cond.if_match = S("\"abc\"");
    assert_int_equal(sprox_cond_check(&cond, S("W/\"abc\""), NOW), N412);

    cond.if_match = sprox_str_null;
    cond.if_none_match = S("\"abc\"");
    assert_int_equal(sprox_cond_check(&cond, S("W/\"abc\""), NOW), N304);
}


static void
test_cond_unknown(void **state)
{
    sprox_cond_t  cond;

    (void) state;

    /* neither ETag nor time are known */

    memset(&cond, 0, sizeof(cond));
    cond.if_match = S("*");
    assert_int_equal(sprox_cond_check(&cond, sprox_str_null, -1), GO);

    cond.if_match = S("\"\"");
    assert_int_equal(sprox_cond_check(&cond, sprox_str_null, -1), N412);

    memset(&cond, 0, sizeof(cond));
    cond.if_modified_since = S(AFTER);
    cond.if_unmodified_since = S(BEFORE);
    assert_int_equal(sprox_cond_check(&cond, sprox_str_null, -1), GO);
}


static void
test_cond_range(void **state)
{
    size_t        i;
    sprox_cond_t  cond;

    static const struct {
        const char  *value;
        const char  *etag;
        int          honoured;
    } cases[] = {
        { "", "\"abc\"", 1 },
        { "\"abc\"", "\"abc\"", 1 },
        { " \"abc\" ", "\"abc\"", 1 },
        { "abc", "\"abc\"", 1 },
        { "\"x\"", "\"abc\"", 0 },
        { "W/\"abc\"", "\"abc\"", 0 },
        { "W/\"abc\"", "W/\"abc\"", 0 },
        { "\"abc\"", "W/\"abc\"", 0 },
        { "*", "\"abc\"", 0 },
        { "\"x\", \"abc\"", "\"abc\"", 0 },
        { AT, "\"abc\"", 1 },
        { BEFORE, "\"abc\"", 0 },
        { AFTER, "\"abc\"", 0 },
        { "\"abc\"", "", 0 },
    };

    (void) state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        memset(&cond, 0, sizeof(cond));
        cond.if_range = cond_str(cases[i].value);

        assert_int_equal(sprox_cond_range(&cond, cond_str(cases[i].etag),
                                          NOW),
                         cases[i].honoured);
    }
}


static void
test_etag_quote(void **state)
{
    size_t      i, len;
    uint8_t     out[32];
    sprox_rc_t  rc;

    static const struct {
        const char  *text;
        sprox_rc_t   rc;
        const char  *etag;
    } cases[] = {
        { "e", SPROX_OK, "\"e\"" },
        { "\"e\"", SPROX_OK, "\"e\"" },
        { "W/\"e\"", SPROX_OK, "W/\"e\"" },
        { "W/e", SPROX_OK, "\"W/e\"" },
        { "w/e", SPROX_OK, "\"w/e\"" },
        { "9b2c-3", SPROX_OK, "\"9b2c-3\"" },
        { "\xc3\xa9", SPROX_OK, "\"\xc3\xa9\"" },
        { "", SPROX_NOT_FOUND, "" },
        { "\"\"", SPROX_NOT_FOUND, "" },
        { "W/\"\"", SPROX_NOT_FOUND, "" },
        { "\"", SPROX_INVALID, "" },
        { "\"e", SPROX_INVALID, "" },
        { "e\"", SPROX_INVALID, "" },
        { "W/\"e", SPROX_INVALID, "" },
        { "w/\"e\"", SPROX_INVALID, "" },
        { "\"a\"b\"", SPROX_INVALID, "" },
        { "a b", SPROX_INVALID, "" },
        { "a\tb", SPROX_INVALID, "" },
        { "a\r\nb", SPROX_INVALID, "" },
        { "\"a\x7f\"", SPROX_INVALID, "" }
    };

    (void) state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        len = 0;
        memset(out, '.', sizeof(out));

        rc = sprox_etag_quote(cond_str(cases[i].text), out, &len);

        assert_int_equal(rc, cases[i].rc);
        assert_int_equal(len, strlen(cases[i].etag));
        assert_memory_equal(out, cases[i].etag, len);
        assert_int_equal(out[strlen(cases[i].text) + SPROX_ETAG_QUOTES], '.');
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_cond_cases),
        cmocka_unit_test(test_cond_weak_etag),
        cmocka_unit_test(test_cond_unknown),
        cmocka_unit_test(test_cond_range),
        cmocka_unit_test(test_etag_quote),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
