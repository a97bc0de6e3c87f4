/*
 * Names through aliases, forward and back.
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


/* names */

static const struct {
    const char  *pattern;
    const char  *target;
    const char  *bucket;
    const char  *key;
    const char  *to_bucket;     /* NULL: no match */
    const char  *to_key;
} names[] = {

    { "tblA/$y/$m", "lake://bkt/some/y=$y/m=$m/", "tblA",
      "2026/11/x.parquet", "bkt", "some/y=2026/m=11/x.parquet" },
    { "tblA/$y/$m", "lake://bkt/some/y=$y/m=$m/", "tblA", "2026/11/",
      "bkt", "some/y=2026/m=11/" },
    { "tblA/$y/$m", "lake://bkt/some/y=$y/m=$m/", "tblA", "2026/11//x",
      "bkt", "some/y=2026/m=11//x" },
    { "tblA/$y/$m", "lake://bkt/y=$y/", "tblA", "2026/11", NULL, NULL },
    { "tblA/$y/$m", "lake://bkt/y=$y/", "tblA", "2026//x", NULL, NULL },
    { "tblA/$y/$m", "lake://bkt/y=$y/", "tblA", "/11/x", NULL, NULL },
    { "tblA/$y/$m", "lake://bkt/y=$y/", "tblB", "2026/11/x", NULL, NULL },
    { "tblA/$y/$m", "lake://bkt/y=$y/", "tblAA", "2026/11/x", NULL, NULL },
    { "tblA/$y/$m", "lake://bkt/y=$y/", "tblA", "", NULL, NULL },

    { "tblB/x", "lake://bkt/p", "tblB", "x/k", "bkt", "p/k" },
    { "tblB/x", "lake://bkt/p", "tblB", "x/", "bkt", "p/" },
    { "tblB/x", "lake://bkt/p", "tblB", "x", NULL, NULL },
    { "tblB/x", "lake://bkt/p", "tblB", "xy", NULL, NULL },
    { "tblB/x", "lake://bkt/p", "tblB", "xy/k", NULL, NULL },
    { "tblB/x", "lake://bkt/", "tblB", "x/k", "bkt", "k" },
    { "tblB/x", "lake://bkt/", "tblB", "x/", NULL, NULL },
    { "tblB", "lake://bkt/p", "tblB", "k", "bkt", "p/k" },
    { "tblB", "lake://bkt/p", "tblB", "/k", "bkt", "p//k" },
    { "tblB", "lake://bkt/p", "tblB", "../k", "bkt", "p/../k" },
    { "tblB", "lake://bkt", "tblB", "k", "bkt", "k" },

    { "$b", "lake://$b/", "any-thing", "k", "any-thing", "k" },
    { "$b", "lake://$b/", "", "k", NULL, NULL },
    { "$b", "lake://$b/", "a/b", "k", NULL, NULL },
    { "t-$e", "lake://b-$e/$e/", "t-dev", "k", "b-dev", "dev/k" },
    { "t-$e", "lake://b-$e/$e/", "t-", "k", NULL, NULL },
    { "$e-t", "lake://b-$e/", "p-t-t", "k", "b-p-t", "k" },
    { "$e-t", "lake://b-$e/", "p-t-u", "k", NULL, NULL },
    { "$a-$b", "lake://$b-$a/", "p-q-r", "k", "q-r-p", "k" },
    { "$a-$b", "lake://$b-$a/", "--q", "k", "q--", "k" },
    { "$a-$b.x", "lake://$b-$a/", "p-q.x.x", "k", "q.x-p", "k" },

    /* the shortest match, of a literal with all that belongs to it */
    { "tbl/$a-$b", "lake://bkt/$a/$b", "tbl", "1-2-3/k", "bkt", "1/2-3/k" },
    { "tbl/$a-$b", "lake://bkt/$a/$b", "tbl", "-1-2/k", "bkt", "-1/2/k" },
    { "tbl/$a-$b", "lake://bkt/$a/$b", "tbl", "1-/k", NULL, NULL },
    { "tbl/$a-$b", "lake://bkt/$a/$b", "tbl", "1--/k", "bkt", "1/-/k" },
    { "tbl/$a-$b", "lake://bkt/$a/$b", "tbl", "12/3-4/k", NULL, NULL },
    { "tbl/$a-x", "lake://bkt/$a", "tbl", "1-x-x/k", "bkt", "1-x/k" },
    { "tbl/$a-x", "lake://bkt/$a", "tbl", "1-x-y/k", NULL, NULL },
    { "tbl/$a/c/$b", "lake://bkt/$a/$b", "tbl", "1/c/2/k", "bkt", "1/2/k" },
    { "tbl/$a/c/$b", "lake://bkt/$a/$b", "tbl", "1/d/c/2/k", NULL, NULL },
    { "tbl/$a/c/$b", "lake://bkt/$a/$b", "tbl", "c/c/c/k", "bkt", "c/c/k" },

    /* not for listings, still for names */
    { "tbl/$y/$m", "lake://b-$y/$m/$m", "tbl", "1/2/k", "b-1", "2/2/k" },
    { "tbl/$y/$m", "lake://bkt/$m$y", "tbl", "1/2/k", "bkt", "21/k" },
    { "tbl/$y/$m", "lake://bkt/", "tbl", "1/2/k", "bkt", "k" },
    { "tbl/$y/$m", "lake://bkt/", "tbl", "1/2/", NULL, NULL },
};


static void
test_map(void **state)
{
    size_t       i;
    fixture_t    f;
    sprox_rc_t   rc;
    sprox_buf_t  to_bucket, to_key, key;

    (void) state;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        open_alias(&f, names[i].pattern, names[i].target);
        sprox_buf_init(&to_bucket, &f.um.mem);
        sprox_buf_init(&to_key, &f.um.mem);
        sprox_buf_init(&key, &f.um.mem);

        rc = sprox_alias_map(&f.alias, text(names[i].bucket),
                             text(names[i].key), &to_bucket, &to_key);

        if (names[i].to_bucket == NULL) {
            if (rc != SPROX_NOT_FOUND) {
                fail_msg("%s: %s matches", names[i].pattern, names[i].key);
            }

            assert_int_equal(to_bucket.len, 0);
            assert_int_equal(to_key.len, 0);

        } else {
            if (rc != SPROX_OK) {
                fail_msg("%s: %s: %d", names[i].pattern, names[i].key, rc);
            }

            assert_str(sprox_buf_get(&to_bucket), names[i].to_bucket);
            assert_str(sprox_buf_get(&to_key), names[i].to_key);
            assert_true(sprox_alias_has_bucket(&f.alias,
                                               text(names[i].bucket)));
        }

        if (rc == SPROX_OK && f.alias.listable) {
            sprox_buf_text(&key, "before:");

            rc = sprox_alias_invert(&f.alias, text(names[i].bucket),
                                    sprox_buf_get(&to_key), &key);

            assert_int_equal(rc, SPROX_OK);
            assert_str(sprox_str_from(sprox_buf_get(&key), 7), names[i].key);
        }

        sprox_buf_free(&to_bucket);
        sprox_buf_free(&to_key);
        sprox_buf_free(&key);
        close_alias(&f);
    }
}


/* the key of a bucket itself */

static void
test_map_empty_key(void **state)
{
    fixture_t    f;
    sprox_buf_t  to_bucket, to_key;

    (void) state;

    open_alias(&f, "tbl", "lake://bkt/p");
    sprox_buf_init(&to_bucket, &f.um.mem);
    sprox_buf_init(&to_key, &f.um.mem);

    assert_int_equal(sprox_alias_map(&f.alias, S("tbl"), sprox_str_null,
                                     &to_bucket, &to_key), SPROX_OK);
    assert_str(sprox_buf_get(&to_bucket), "bkt");
    assert_str(sprox_buf_get(&to_key), "p/");

    assert_int_equal(sprox_alias_map(&f.alias, sprox_str_null, S("x"),
                                     &to_bucket, &to_key), SPROX_NOT_FOUND);
    assert_int_equal(sprox_alias_has_bucket(&f.alias, sprox_str_null), 0);

    sprox_buf_free(&to_bucket);
    sprox_buf_free(&to_key);
    close_alias(&f);
}


static const struct {
    const char  *pattern;
    const char  *target;
    const char  *bucket;
    const char  *to_key;
    const char  *key;           /* NULL: invisible */
} back[] = {

    { "tblA/$y/$m", "lake://bkt/some/y=$y/m=$m/", "tblA",
      "some/y=2026/m=11/x", "2026/11/x" },
    { "tblA/$y/$m", "lake://bkt/some/y=$y/m=$m/", "tblA",
      "some/y=2026/n=11/x", NULL },
    { "tblA/$y/$m", "lake://bkt/some/y=$y/m=$m/", "tblA",
      "some/y=2026/m=/x", NULL },
    { "tblA/$y/$m", "lake://bkt/some/y=$y/m=$m/", "tblA",
      "some/y=2026/m=11", NULL },
    { "tblA/$y/$m", "lake://bkt/some/y=$y/m=$m/", "tblB",
      "some/y=2026/m=11/x", NULL },
    { "tblA/$y/$m", "lake://bkt/some/y=$y/m=$m/", "tblA", "", NULL },

    /* nothing has an empty name */
    { "tblB", "lake://bkt/p", "tblB", "p/k", "k" },
    { "tblB", "lake://bkt/p", "tblB", "p/", NULL },
    { "tblB", "lake://bkt/p", "tblB", "p", NULL },
    { "tblB", "lake://bkt", "tblB", "k", "k" },
    { "tblB", "lake://bkt", "tblB", "", NULL },
    { "tblB/x", "lake://bkt", "tblB", "", NULL },
    { "tblB/x", "lake://bkt", "tblB", "k", "x/k" },
    { "tblB/x", "lake://bkt/p", "tblB", "p/", "x/" },

    /* values that the pattern would read otherwise */
    { "tbl/$a-$b", "lake://bkt/$a-x-$b", "tbl", "1-x-3/k", "1-3/k" },
    { "tbl/$a-$b", "lake://bkt/$a-x-$b", "tbl", "1-2-x-3/k", NULL },
    { "tbl/$a-$b", "lake://bkt/$a-x-$b", "tbl", "-x-x-3/k", "-x-3/k" },

    /* constants, repeated variables */
    { "t-$e/$y", "lake://bkt/$e$y/", "t-dev", "dev26/k", "26/k" },
    { "t-$e/$y", "lake://bkt/$e$y/", "t-dev", "prd26/k", NULL },
    { "tbl/$y", "lake://bkt/$y/$y/", "tbl", "26/26/k", "26/k" },
    { "tbl/$y", "lake://bkt/$y/$y/", "tbl", "26/27/k", NULL },
    { "tbl/$y", "lake://bkt/$y/$y/", "tbl", "26/265/k", NULL },

    /* not listable: what can be, is */
    { "tbl/$y/$m", "lake://bkt/$m/$y", "tbl", "2/1/k", "1/2/k" },
    { "tbl/$y/$m", "lake://bkt/$m", "tbl", "2/k", NULL },
    { "tbl/$y", "lake://b-$y/", "tbl", "k", NULL },
    { "tbl/$y/$m", "lake://bkt/$y$m", "tbl", "12/k", NULL },
};


static void
test_invert(void **state)
{
    size_t       i;
    fixture_t    f;
    sprox_rc_t   rc;
    sprox_buf_t  key;

    (void) state;

    for (i = 0; i < sizeof(back) / sizeof(back[0]); i++) {
        open_alias(&f, back[i].pattern, back[i].target);
        sprox_buf_init(&key, &f.um.mem);
        sprox_buf_text(&key, "+");

        rc = sprox_alias_invert(&f.alias, text(back[i].bucket),
                                text(back[i].to_key), &key);

        if (rc != (back[i].key ? SPROX_OK : SPROX_NOT_FOUND)) {
            fail_msg("%s: %s: %d", back[i].target, back[i].to_key, rc);
        }

        assert_str(sprox_str_from(sprox_buf_get(&key), 1),
                   back[i].key ? back[i].key : "");

        sprox_buf_free(&key);
        close_alias(&f);
    }
}


/* ".." */

static const struct {
    const char  *pattern;
    const char  *target;
    const char  *to_key;
    int          leaves;
} climbs[] = {
    { "tblB", "lake://bkt", "k", 0 },
    { "tblB", "lake://bkt", "..", 1 },
    { "tblB", "lake://bkt", "../k", 1 },
    { "tblB", "lake://bkt", "a/../k", 0 },
    { "tblB", "lake://bkt", "a/..", 0 },
    { "tblB", "lake://bkt", "a/../../k", 1 },
    { "tblB", "lake://bkt", "a/../../a/k", 1 },
    { "tblB", "lake://bkt", "a//../../k", 1 },
    { "tblB", "lake://bkt", "a/./../../k", 1 },
    { "tblB", "lake://bkt", "/../k", 1 },
    { "tblB", "lake://bkt", "./../k", 1 },
    { "tblB", "lake://bkt", "...", 0 },
    { "tblB", "lake://bkt", "..a/a../.../k..", 0 },
    { "tblB", "lake://bkt", "a/b/c/../../../k", 0 },
    { "tblB", "lake://bkt", "a/b/c/../../../../k", 1 },

    { "tblB", "lake://bkt/p/q", "p/q/k", 0 },
    { "tblB", "lake://bkt/p/q", "p/q/../k", 1 },
    { "tblB", "lake://bkt/p/q", "p/q/..", 1 },
    { "tblB", "lake://bkt/p/q", "p/q/../q/k", 1 },
    { "tblB", "lake://bkt/p/q", "p/q/a/../k", 0 },
    { "tblB", "lake://bkt/p/q", "p/q//../k", 1 },
    { "tblB/x", "lake://bkt/p", "p/../k", 1 },

    /* a variable may be ".." too, or made into it */
    { "tblB/$y/$m", "lake://bkt/p/$y/$m", "p/a/../k", 0 },
    { "tblB/$y/$m", "lake://bkt/p/$y/$m", "p/../a/k", 1 },
    { "tblB/$y/$m", "lake://bkt/p/$y/$m", "p/../../k", 1 },
    { "tblB/$y", "lake://bkt/p/.$y", "p/../k", 1 },
    { "tblB/$y", "lake://bkt/p/y=$y", "p/y=../k", 0 },
    { "tblB/$y", "lake://bkt/p/y=$y", "p/y=1/../../k", 1 },
    { "tblB/$y", "lake://bkt/$y", "../k", 1 },
};


static void
test_leaves(void **state)
{
    size_t     i;
    fixture_t  f;

    (void) state;

    for (i = 0; i < sizeof(climbs) / sizeof(climbs[0]); i++) {
        open_alias(&f, climbs[i].pattern, climbs[i].target);

        if (sprox_alias_leaves(&f.alias, text(climbs[i].to_key))
            != climbs[i].leaves)
        {
            fail_msg("%s: %s", climbs[i].target, climbs[i].to_key);
        }

        close_alias(&f);
    }
}


/* Where clients' names may lead to. */

typedef struct {
    const char  *pattern;
    const char  *target;
    const char  *to_bucket;
    const char  *to_key;
    int          reaches;
} reach_case_t;

static const reach_case_t  reaches[] = {
    { "tbl", "o://bucket/", "bucket", "any/key", 1 },
    { "tbl", "o://bucket/", "bucket2", "any/key", 0 },
    { "tbl", "o://bucket/a/b", "bucket", "a/b/c", 1 },
    { "tbl", "o://bucket/a/b", "bucket", "a/b", 0 },
    { "tbl", "o://bucket/a/b", "bucket", "a/c/c", 0 },
    { "tbl/$y", "o://bucket/y=$y/", "bucket", "y=26/x", 1 },
    { "tbl/$y", "o://bucket/y=$y/", "bucket", "y=/x", 0 },
    { "tbl/$y", "o://bucket/y=$y/", "bucket", "y=26", 0 },
    { "$b", "o://$b/", "whatever", "key", 1 },
    { "in-$b", "o://many-$b/$b/", "many-x", "x/key", 1 },
    { "in-$b", "o://many-$b/$b/", "many-x", "y/key", 0 },
    { "in-$b", "o://many-$b/$b/", "any-x", "x/key", 0 },
};


static void
test_reaches(void **state)
{
    size_t     i;
    fixture_t  f;

    (void) state;

    for (i = 0; i < sizeof(reaches) / sizeof(reaches[0]); i++) {
        open_alias(&f, reaches[i].pattern, reaches[i].target);

        if (sprox_alias_reaches(&f.alias, text(reaches[i].to_bucket),
                                text(reaches[i].to_key))
            != reaches[i].reaches)
        {
            fail_msg("%s: %s", reaches[i].target, reaches[i].to_key);
        }

        close_alias(&f);
    }
}


/* memory */

static sprox_rc_t
work_names(const sprox_mem_t *mem, void *data)
{
    sprox_rc_t      rc;
    sprox_buf_t     to_bucket, to_key, key;
    sprox_alias_t  *alias = data;

    sprox_buf_init(&to_bucket, mem);
    sprox_buf_init(&to_key, mem);
    sprox_buf_init(&key, mem);

    rc = sprox_alias_map(alias, S("t-dev"), S("2026/11/x"), &to_bucket,
                         &to_key);

    if (rc == SPROX_OK) {
        rc = sprox_alias_invert(alias, S("t-dev"), sprox_buf_get(&to_key),
                                &key);
    }

    sprox_buf_free(&to_bucket);
    sprox_buf_free(&to_key);
    sprox_buf_free(&key);

    return rc;
}


static void
test_memory(void **state)
{
    fixture_t  f;

    (void) state;

    open_alias(&f, "t-$e/$y/$m", "lake://bkt-$e/y=$y/m=$m");
    assert_true(unit_each_alloc_fails(work_names, &f.alias) >= 3);
    close_alias(&f);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_map),
        cmocka_unit_test(test_map_empty_key),
        cmocka_unit_test(test_invert),
        cmocka_unit_test(test_leaves),
        cmocka_unit_test(test_reaches),
        cmocka_unit_test(test_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
