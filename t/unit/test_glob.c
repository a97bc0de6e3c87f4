/*
 * Globs: what matches, what does not, and what is refused.
 */

#include "unit.h"
#include "sprox_glob.h"


typedef struct {
    const char  *glob;
    const char  *text;
    int          match;
} glob_case_t;


static sprox_str_t
text(const char *s)
{
    return sprox_str_make(s, strlen(s));
}


static void
test_match(void **state)
{
    size_t       i;
    const char  *why;

    static const glob_case_t  cases[] = {
        { "*", "a", 1 },
        { "*", "a/b/c", 1 },
        { "*.parquet", "x.parquet", 1 },
        { "*.parquet", "year=2026/month=1/x.parquet", 1 },
        { "*.parquet", "x.parquet.crc", 0 },
        { "*.parquet", "parquet", 0 },
        { "_delta_log/*.json", "_delta_log/00000.json", 1 },
        { "_delta_log/*.json", "t/_delta_log/00000.json", 0 },
        { "*/_delta_log/*", "t/_delta_log/00000.json", 1 },
        { "a", "a", 1 },
        { "a", "ab", 0 },
        { "ab", "a", 0 },
        { "?", "a", 1 },
        { "?", "", 0 },
        { "?", "ab", 0 },
        { "a?c", "a/c", 1 },
        { "**", "", 1 },
        { "a**b", "ab", 1 },
        { "*a*b*c", "xaxbxbxc", 1 },
        { "*a*b*c", "xaxcxb", 0 },
        { "*aab", "aaaaab", 1 },
        { "[abc]", "b", 1 },
        { "[abc]", "d", 0 },
        { "[a-c]x", "bx", 1 },
        { "[a-cx-z]", "y", 1 },
        { "[!a-c]", "d", 1 },
        { "[^a-c]", "b", 0 },
        { "[]]", "]", 1 },
        { "[!]]", "]", 0 },
        { "[!]]", "a", 1 },
        { "[a-]", "-", 1 },
        { "[-a]", "-", 1 },
        { "[a-]", "b", 0 },
        { "part-[0-9][0-9].bin", "part-07.bin", 1 },
        { "part-[0-9][0-9].bin", "part-7.bin", 0 },
        { "*[0-9]", "a1b2", 1 },
        { "*[0-9]", "a1b", 0 },
        { "\\*", "*", 1 },
        { "\\*", "a", 0 },
        { "a\\?c", "a?c", 1 },
        { "a\\?c", "abc", 0 },
        { "\\\\", "\\", 1 },
        { "\xc3\xa9*", "\xc3\xa9t\xc3\xa9", 1 }
    };

    (void) state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {

        assert_int_equal(sprox_glob_check(text(cases[i].glob), &why),
                         SPROX_OK);

        if (sprox_glob_match(text(cases[i].glob), text(cases[i].text))
            != cases[i].match)
        {
            fail_msg("\"%s\" on \"%s\"", cases[i].glob, cases[i].text);
        }
    }
}


static void
test_refused(void **state)
{
    size_t       i;
    const char  *why;

    static const char  *const globs[] = {
        "", "[", "[]", "[!", "[!]", "[^]", "[a", "a[b-", "[z-a]", "*[9-0]x",
        "\\", "a\\", "[]a", "x[a-"
    };

    (void) state;

    for (i = 0; i < sizeof(globs) / sizeof(globs[0]); i++) {
        why = NULL;

        if (sprox_glob_check(text(globs[i]), &why) != SPROX_INVALID
            || why == NULL)
        {
            fail_msg("\"%s\" was taken", globs[i]);
        }

        /* what nobody checked must not read beyond its end */

        (void) sprox_glob_match(text(globs[i]), text("abcdef"));
    }
}


/* Many stars over a text that never matches: quadratic, not exponential. */

static void
test_hostile(void **state)
{
    size_t       i;
    static char  glob[257], s[4097];

    (void) state;

    for (i = 0; i < 256; i += 2) {
        glob[i] = '*';
        glob[i + 1] = 'a';
    }

    glob[255] = 'b';
    memset(s, 'a', 4096);

    assert_int_equal(sprox_glob_match(text(glob), text(s)), 0);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_match),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_hostile)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
