/*
 * Aliases as the operator writes them: what is an error, what can be listed,
 * and which of several is tried first.
 */

#include "unit.h"
#include "sprox_alias.h"


typedef struct {
    unit_mem_t     um;
    sprox_alias_t  alias;
} fixture_t;


static sprox_str_t
text(const char *s)
{
    return sprox_str_make(s, strlen(s));
}


static void
open_alias(fixture_t *f, const char *pattern, const char *target)
{
    sprox_rc_t   rc;
    sprox_str_t  why;

    unit_mem_init(&f->um, 0);

    rc = sprox_alias_parse(&f->um.mem, text(pattern), text(target), &f->alias,
                           &why);

    if (rc != SPROX_OK) {
        fail_msg("%s %s: %.*s", pattern, target, (int) why.len,
                 (const char *) why.data);
    }
}


static void
close_alias(fixture_t *f)
{
    sprox_alias_free(&f->um.mem, &f->alias);
    assert_int_equal(f->um.live, 0);
}


/* parsing */

static void
test_parse_fields(void **state)
{
    fixture_t      f;
    sprox_alias_t  *a = &f.alias;

    (void) state;

    open_alias(&f, "tblA-$env/y-$y/${m}x", "lake://b-$env/some/y=$y/m=${m}x/");

    assert_str(a->pattern, "tblA-$env/y-$y/${m}x");
    assert_str(a->origin, "lake");
    assert_int_equal(a->nvars, 3);
    assert_str(a->vars[0], "env");
    assert_str(a->vars[1], "y");
    assert_str(a->vars[2], "m");
    assert_int_equal(a->bucket_vars, 1);

    assert_int_equal(a->bucket.n, 2);
    assert_str(a->bucket.tokens[0].text, "tblA-");
    assert_int_equal(a->bucket.tokens[1].var, 0);

    assert_int_equal(a->prefix.n, 5);
    assert_str(a->prefix.tokens[0].text, "y-");
    assert_int_equal(a->prefix.tokens[0].var, -1);
    assert_int_equal(a->prefix.tokens[1].var, 1);
    assert_int_equal(a->prefix.tokens[1].text.len, 0);
    assert_str(a->prefix.tokens[2].text, "/");
    assert_int_equal(a->prefix.tokens[3].var, 2);
    assert_str(a->prefix.tokens[4].text, "x/");

    assert_str(a->to_prefix.tokens[0].text, "some/y=");
    assert_str(a->to_prefix.tokens[2].text, "/m=");
    assert_str(a->to_prefix.tokens[4].text, "x/");

    assert_int_equal(a->listable, 1);
    assert_null(a->why);

    close_alias(&f);
}


static void
test_parse_slash(void **state)
{
    size_t     i;
    fixture_t  f;

    static const char  *pairs[][2] = {
        { "tbl/x", "lake://buck/y" },
        { "tbl/x/", "lake://buck/y" },
        { "tbl/x", "lake://buck/y/" },
        { "tbl/x/", "lake://buck/y/" },
    };

    (void) state;

    for (i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        open_alias(&f, pairs[i][0], pairs[i][1]);

        assert_int_equal(f.alias.prefix.n, 1);
        assert_str(f.alias.prefix.tokens[0].text, "x/");
        assert_int_equal(f.alias.to_prefix.n, 1);
        assert_str(f.alias.to_prefix.tokens[0].text, "y/");

        close_alias(&f);
    }

    open_alias(&f, "tbl/", "lake://buck/");
    assert_int_equal(f.alias.prefix.n, 0);
    assert_int_equal(f.alias.to_prefix.n, 0);
    assert_int_equal(f.um.count, 0);
    close_alias(&f);
}


static const struct {
    const char  *pattern;
    const char  *target;
    const char  *why;           /* a part of the line */
} bad[] = {

    { "", "lake://buck", "the pattern is empty; write bucket" },
    { "tbl", "", "the target is empty; write origin://" },
    { "tbl", "buck/x", "the target names no origin; write origin://" },
    { "tbl", "://buck/x", "names no origin" },
    { "tbl", "lake:/buck/x", "names no origin" },
    { "tbl", "$o://buck/x", "\"$o\" is no name of an origin" },
    { "tbl", "a/b://buck", "\"a/b\" is no name of an origin" },
    { "tbl", "la ke://buck", "is no name of an origin" },
    { "tbl\n", "lake://buck", "the pattern holds a control character" },
    { "tbl", "lake://buck/\x7f", "the target holds a control character" },
    { "tbl/$", "lake://buck", "a '$' in the pattern has no variable name" },
    { "tbl/$-", "lake://buck", "a '$' in the pattern has no variable name" },
    { "tbl/$$x", "lake://buck", "a '$' in the pattern has no variable name" },
    { "tbl", "lake://buck/${}", "a '$' in the target has no variable name" },
    { "tbl/${a", "lake://buck", "variable ${a is not closed" },
    { "tbl/${a-b}", "lake://buck", "variable ${a is not closed" },
    { "tbl/${a/b}", "lake://buck", "variable ${a is not closed" },
    { "tbl/$a/$a", "lake://buck/$a", "variable $a is twice in the pattern" },
    { "$a-b/$a", "lake://$a-b", "variable $a is twice in the pattern" },
    { "tbl/$a$b", "lake://buck/$a/$b", "before variable $b" },
    { "tbl/${a}${b}", "lake://buck/$a/$b", "put a literal between" },
    { "tbl/$y", "lake://buck/$y/$day",
      "variable $day in the target is not in the pattern; add it to the "
      "pattern or remove it" },
    { "tbl/$y", "lake://b-$day/$y", "variable $day in the target" },
    { "/x", "lake://buck/", "bucket \"\" in the pattern" },
    { "/", "lake://buck/", "bucket \"\" in the pattern" },
    { "ab", "lake://buck/", "bucket \"ab\" in the pattern" },
    { "tbl:x", "lake://buck/", "bucket \"tbl:x\" in the pattern" },
    { "tbl..x", "lake://buck/", "bucket \"tbl..x\" in the pattern" },
    { "-tbl", "lake://buck/", "bucket \"-tbl\" in the pattern" },
    { "tbl-", "lake://buck/", "bucket \"tbl-\" in the pattern" },
    { "10.0.0.1", "lake://buck/", "bucket \"10.0.0.1\" in the pattern" },
    { "-$x", "lake://buck/", "bucket \"-$x\" in the pattern" },
    { "a0123456789012345678901234567890123456789012345678901234567890"
      "12-$x", "lake://buck/", "in the pattern breaks S3's rules" },
    { "tbl", "lake://", "bucket \"\" in the target" },
    { "tbl", "lake:///x", "bucket \"\" in the target" },
    { "tbl", "lake://Buck", "bucket \"Buck\" in the target" },
    { "tbl", "lake://bK", "bucket \"bK\" in the target" },
    { "x-$t", "lake://B$t", "bucket \"B$t\" in the target" },
    { "tbl//x", "lake://buck/", "the pattern has an empty segment" },
    { "tbl/x//", "lake://buck/", "the pattern has an empty segment" },
    { "tbl//", "lake://buck/", "the pattern has an empty segment" },
    { "tbl/x", "lake://buck//x", "the target has an empty segment" },
    { "tbl/x", "lake://buck/x//y", "the target has an empty segment" },
    { "tbl/x", "lake://buck/x//", "the target has an empty segment" },
};


static void
test_parse_bad(void **state)
{
    size_t         i, j;
    sprox_rc_t     rc;
    unit_mem_t     um;
    sprox_str_t    why;
    sprox_alias_t  alias;

    (void) state;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        unit_mem_init(&um, 0);

        rc = sprox_alias_parse(&um.mem, text(bad[i].pattern),
                               text(bad[i].target), &alias, &why);

        if (rc != SPROX_INVALID
            || sprox_str_find(why, text(bad[i].why), 0) == (size_t) -1)
        {
            fail_msg("%s %s: %d, \"%.*s\"", bad[i].pattern, bad[i].target,
                     (int) rc, (int) why.len, (const char *) why.data);
        }

        /* one line that says the way out */

        assert_true(sprox_str_find(why, S("; "), 0) != (size_t) -1);

        for (j = 0; j < why.len; j++) {
            assert_true(why.data[j] >= 0x20);
        }

        sprox_free(&um.mem, (void *) why.data);
        assert_int_equal(um.live, 0);
    }
}


static void
expect_limit(const char *pattern, const char *target)
{
    sprox_rc_t     rc;
    unit_mem_t     um;
    sprox_str_t    why;
    sprox_alias_t  alias;

    unit_mem_init(&um, 0);

    rc = sprox_alias_parse(&um.mem, text(pattern), text(target), &alias, &why);

    assert_int_equal(rc, SPROX_LIMIT);
    assert_true(why.len != 0);

    sprox_free(&um.mem, (void *) why.data);
    assert_int_equal(um.live, 0);
}


static void
test_parse_limits(void **state)
{
    int        i;
    char       long_text[SPROX_ALIAS_TEXT_MAX + 2], vars[256], many[512];
    char      *p;
    fixture_t  f;

    (void) state;

    memset(long_text, 'x', sizeof(long_text) - 1);
    memcpy(long_text, "tbl/", 4);
    long_text[SPROX_ALIAS_TEXT_MAX + 1] = '\0';

    expect_limit(long_text, "lake://buck");
    expect_limit("tbl", long_text);

    /* the longest, in all that walks over it */

    long_text[SPROX_ALIAS_TEXT_MAX] = '\0';
    open_alias(&f, long_text, "lake://buck");
    assert_int_equal(sprox_alias_cmp(&f.alias, &f.alias), 0);
    close_alias(&f);

    p = vars + sprintf(vars, "tbl");
    for (i = 0; i < SPROX_ALIAS_VARS_MAX; i++) {
        p += sprintf(p, "/$v%d", i);
    }

    open_alias(&f, vars, "lake://buck");
    assert_int_equal(f.alias.nvars, SPROX_ALIAS_VARS_MAX);
    assert_int_equal(sprox_alias_cmp(&f.alias, &f.alias), 0);
    close_alias(&f);

    sprintf(p, "/$one_more");
    expect_limit(vars, "lake://buck");

    p = many + sprintf(many, "lake://buck");
    for (i = 0; i < SPROX_ALIAS_TOKENS_MAX; i++) {
        p += sprintf(p, "/$y");
    }

    expect_limit("tbl/$y", many);
}


static const struct {
    const char  *pattern;
    const char  *target;
    const char  *why;           /* NULL: listable */
} listable[] = {

    /* the design's own */
    { "tblA/$year/$month/$day",
      "lake://somebucket/somepath/$year/$month/$day", NULL },
    { "tblB", "lake://somebucket/anotherpath/", NULL },
    { "tblD", "s3://yeesh/", NULL },
    { "$bucket", "lake://$bucket/", NULL },
    { "tblA/$y/$m", "lake://buck/some/y=$y/m=$m/", NULL },

    /* constants anywhere, also nowhere */
    { "t-$e/$y", "lake://buck/$e$y/$e/", NULL },
    { "t-$e/$y", "lake://buck-$e/$y/", NULL },
    { "t-$e/$y", "lake://buck/$y/", NULL },
    { "$a-$b/$y", "lake://$b-$a/$b/$a/$y/", NULL },

    /* what follows */
    { "tbl/$y-$m", "lake://buck/$y-$m", NULL },
    { "tbl/$y-$m", "lake://buck/$y-x-$m", NULL },
    { "tbl/$y-$m", "lake://buck/$y-/$m", NULL },
    { "tbl/$y-x/$m", "lake://buck/$y-x/z/m=$m", NULL },
    { "tbl/$y/c/$m", "lake://buck/$y/$m", NULL },
    { "tbl/$y/$m", "lake://buck/$y/$y/$m", NULL },
    { "tbl/$y/$m", "lake://buck/$y/$m/$y", NULL },
    { "tbl/$y-x/$m", "lake://buck/$y-y/$m", "something else behind it" },
    { "tbl/$y-x/$m", "lake://buck/$y-/$m", "something else behind it" },
    { "tbl/$y-x/$m", "lake://buck/$y/$m", "something else behind it" },
    { "tbl/$y/$m", "lake://buck/$y-$m", "something else behind it" },
    { "tbl/$y/$m", "lake://buck/$y.x/$m", "something else behind it" },
    { "tbl/$y-xy-$m", "lake://buck/$y-x-$m", "something else behind it" },
    { "t-$e/$y", "lake://buck/$y$e/", "something else behind it" },
    { "tbl/$y/$m", "lake://buck/$y$m", "something else behind it" },
    { "tbl/$y/$m", "lake://buck/$y$y/$m", "something else behind it" },

    { "tbl/$y/$m", "lake://buck/$m/$y", "another order" },
    { "tbl/$y/$m", "lake://buck/$y", "not in the target" },
    { "tbl/$y", "lake://buck", "not in the target" },
    { "tbl/$y", "lake://b-$y/$y", "in the target's bucket" },
    { "tbl/$y/$m", "lake://b-$y/$m", "in the target's bucket" },
};


static void
test_listable(void **state)
{
    size_t       i;
    fixture_t    f;
    const char  *why;

    (void) state;

    for (i = 0; i < sizeof(listable) / sizeof(listable[0]); i++) {
        open_alias(&f, listable[i].pattern, listable[i].target);

        why = listable[i].why;

        if (f.alias.listable != (why == NULL)
            || (why != NULL && strstr(f.alias.why, why) == NULL))
        {
            fail_msg("%s %s: %s", listable[i].pattern, listable[i].target,
                     f.alias.why ? f.alias.why : "listable");
        }

        if (why != NULL) {
            assert_non_null(strstr(f.alias.why, "; "));
        }

        close_alias(&f);
    }
}


/* which one is tried first */

static const struct {
    const char  *a;
    const char  *b;
    int          order;         /* -1: a first; 0: a tie; 2: only not a tie */
} order[] = {

    { "tbl", "tbl", 0 },
    { "tbl", "tbl/", 0 },
    { "tbl/x", "tbl/x/", 0 },
    { "tbl", "tbm", 2 },
    { "tbl", "$b", -1 },
    { "tbl", "tb$b", -1 },
    { "tbl", "xx-$b/a/b/c/d", -1 },
    { "tb$b", "t$b", -1 },
    { "t$b", "$b", -1 },
    { "t$b", "$b/x/y", -1 },
    { "tbl/x", "tbl", -1 },
    { "tbl/$x", "tbl", -1 },
    { "tbl/$x/$y", "tbl/x", -1 },
    { "tbl/x", "tbl/$x", -1 },
    { "tbl/x", "tbl/x$x", -1 },
    { "tbl/x$x", "tbl/$x", -1 },
    { "tbl/x/$x", "tbl/$x/y", -1 },
    { "tbl/x-$x", "tbl/x$x", -1 },
    { "tbl/a$x/$y", "tbl/$x/c", -1 },
    { "tbl/x", "tbl/y", 2 },
    { "tbl/x", "tbl/xy", 2 },

    { "$b", "$c", 0 },
    { "${b}", "$b", 0 },
    { "abc/$x", "abc/$y", 0 },
    { "abc/$x/c", "abc/$y/c", 0 },
    { "abc/$x/c", "abc/$y/d", 2 },
    { "x-$a", "$b-y", 0 },
    { "x-$a", "y-$b", 2 },
    { "$a-x", "$b-y", 2 },
    { "$a-$b", "$c-$d", 0 },
    { "$a-$b", "$a.$b", 0 },
    { "x$a", "${b}y", 0 },
    { "tbl/x-$a", "tbl/$b-y", 0 },
    { "tbl/x-$a", "tbl/y-$b", 2 },
    { "tbl/x$a", "tbl/$b/", -1 },
    { "tbl/$a-x/$b", "tbl/$a-y/$b", 2 },
    { "tbl/$a-x/$b", "tbl/$ax-/$b", 2 },
    { "tbl/$a-x/$b", "tbl/x-$a/$b", 0 },
    { "tbl/ab$a", "tbl/$a-c", 0 },
    { "x-$a/p", "$b-y/q", 2 },
    { "x-$a/$p", "$b-y/$q", 0 },
    { "ab$a", "${b}bc", 0 },
};


static int
sign(int n)
{
    return (n > 0) - (n < 0);
}


static void
test_order(void **state)
{
    int        rc;
    size_t     i;
    fixture_t  a, b;

    (void) state;

    for (i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
        open_alias(&a, order[i].a, "lake://buck");
        open_alias(&b, order[i].b, "lake://buck");

        rc = sign(sprox_alias_cmp(&a.alias, &b.alias));

        if (rc != -sign(sprox_alias_cmp(&b.alias, &a.alias))
            || (order[i].order == 2 ? rc == 0 : rc != order[i].order))
        {
            fail_msg("%s, %s: %d", order[i].a, order[i].b, rc);
        }

        close_alias(&a);
        close_alias(&b);
    }
}


static int
cmp_pointers(const void *a, const void *b)
{
    return sprox_alias_cmp(*(sprox_alias_t *const *) a,
                           *(sprox_alias_t *const *) b);
}


/* Whatever the order to begin with, one order comes out. */

static void
test_sort(void **state)
{
    size_t          i, j, k, n;
    fixture_t       f[11];
    sprox_alias_t  *sorted[11];

    static const char  *names[] = {
        "tbl/x/y", "tbl/x/$y", "tbl/$x/$y", "tbl/x", "tbl/y", "tbl/x$x",
        "tbl", "tb$b/x", "tb$b", "x$b", "$b"
    };

    static const char  *want[] = {
        "tbl/x/y", "tbl/x/$y", "tbl/$x/$y", "tbl/x", "tbl/y", "tbl/x$x",
        "tbl", "tb$b/x", "tb$b", "x$b", "$b"
    };

    (void) state;

    n = sizeof(names) / sizeof(names[0]);

    for (i = 0; i < n; i++) {
        open_alias(&f[i], names[i], "lake://buck");
    }

    for (k = 0; k < n; k++) {
        for (i = 0; i < n; i++) {
            sorted[i] = &f[(i * 7 + k) % n].alias;
        }

        qsort(sorted, n, sizeof(sorted[0]), cmp_pointers);

        for (i = 0; i < n; i++) {
            assert_str(sorted[i]->pattern, want[i]);

            for (j = i + 1; j < n; j++) {
                assert_true(sprox_alias_cmp(sorted[i], sorted[j]) < 0);
            }
        }
    }

    for (i = 0; i < n; i++) {
        close_alias(&f[i]);
    }
}


/* memory */

typedef struct {
    const char  *pattern;
    const char  *target;
    sprox_rc_t   rc;
} parse_work_t;


static sprox_rc_t
work_parse(const sprox_mem_t *mem, void *data)
{
    sprox_rc_t     rc;
    sprox_str_t    why;
    parse_work_t  *w = data;
    sprox_alias_t  alias;

    rc = sprox_alias_parse(mem, text(w->pattern), text(w->target), &alias,
                           &why);

    if (rc == SPROX_NOMEM) {
        assert_int_equal(why.len, 0);
        return rc;
    }

    assert_int_equal(rc, w->rc);

    if (rc == SPROX_OK) {
        sprox_alias_free(mem, &alias);

    } else {
        sprox_free(mem, (void *) why.data);
    }

    return SPROX_OK;
}


static void
test_memory(void **state)
{
    size_t  i;

    static parse_work_t  works[] = {
        { "tbl/x", "lake://bkt/y", SPROX_OK },
        { "tbl/$x", "lake://bkt/$y", SPROX_INVALID },
        { "tbl/$x", "bkt/$x", SPROX_INVALID },
        { "t", "lake://bkt/y", SPROX_INVALID },
    };

    (void) state;

    for (i = 0; i < sizeof(works) / sizeof(works[0]); i++) {
        assert_true(unit_each_alloc_fails(work_parse, &works[i]) >= 1);
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_parse_fields),
        cmocka_unit_test(test_parse_slash),
        cmocka_unit_test(test_parse_bad),
        cmocka_unit_test(test_parse_limits),
        cmocka_unit_test(test_listable),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_sort),
        cmocka_unit_test(test_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
