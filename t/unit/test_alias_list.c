/*
 * Listings through aliases, case by case; test_alias_sim.c has the proof.
 */

#include "unit.h"
#include "sprox_alias.h"


static sprox_str_t
text(const char *s)
{
    return sprox_str_make(s, strlen(s));
}


/* An untouched buffer has no memory, which assert_str() cannot compare. */

static void
expect(const sprox_buf_t *b, const char *s)
{
    if (b->len != 0) {
        assert_str(sprox_buf_get(b), s);

    } else {
        assert_string_equal(s, "");
    }
}


static void
list_init(sprox_alias_list_t *list, const sprox_mem_t *mem)
{
    sprox_buf_init(&list->bucket, mem);
    sprox_buf_init(&list->prefix, mem);
    sprox_buf_init(&list->after, mem);
    list->pushdown = 0;
}


static void
list_free(sprox_alias_list_t *list)
{
    sprox_buf_free(&list->bucket);
    sprox_buf_free(&list->prefix);
    sprox_buf_free(&list->after);
}


static void
parse(const sprox_mem_t *mem, sprox_str_t pattern, sprox_str_t target,
    sprox_alias_t *alias)
{
    sprox_rc_t   rc;
    sprox_str_t  why;

    rc = sprox_alias_parse(mem, pattern, target, alias, &why);

    if (rc != SPROX_OK) {
        fail_msg("%.*s %.*s: %.*s", (int) pattern.len,
                 (const char *) pattern.data, (int) target.len,
                 (const char *) target.data, (int) why.len,
                 (const char *) why.data);
    }
}


#define P1  "tbl/$y/$m", "lake://bkt/some/y=$y/m=$m/"
#define P2  "tbl/$y/c/$m", "lake://bkt/$y/$m"
#define P3  "tbl/a/b/$y-$m", "lake://bkt/$y-/$m"
#define P4  "tbl/$y/c", "lake://bkt/$y"
#define P5  "tbl", "lake://bkt/p"
#define P6  "tbl", "lake://bkt"
#define P7  "tbl/$y-$m", "lake://bkt/$y-$m"
#define P8  "tbl/x", "lake://bkt/y/z"
#define P9  "tbl/$y/$m", "lake://bkt/$y/c/$m"

static const struct {
    const char  *pattern;
    const char  *target;
    const char  *prefix;
    const char  *delimiter;
    const char  *after;
    const char  *to_prefix;     /* NULL: nothing to list */
    const char  *to_after;
    unsigned     pushdown;
} lists[] = {

    /* the prefix */
    { P1, "", "", "", "some/y=", "", 0 },
    { P1, "", "/", "", "some/y=", "", 1 },
    { P1, "", "-", "", "some/y=", "", 0 },
    { P1, "20", "/", "", "some/y=20", "", 1 },
    { P1, "2026", "/", "", "some/y=2026", "", 1 },
    { P1, "2026/", "/", "", "some/y=2026/m=", "", 1 },
    { P1, "2026/1", "/", "", "some/y=2026/m=1", "", 1 },
    { P1, "2026/11/", "/", "", "some/y=2026/m=11/", "", 1 },
    { P1, "2026/11/a", "-", "", "some/y=2026/m=11/a", "", 1 },
    { P1, "2026/11/a/b", "", "", "some/y=2026/m=11/a/b", "", 0 },
    { P1, "/", "", "", NULL, NULL, 0 },
    { P1, "2026//", "", "", NULL, NULL, 0 },
    { P1, "2026//x", "", "", NULL, NULL, 0 },

    { P2, "", "/", "", "", "", 1 },
    { P2, "26", "/", "", "26", "", 1 },
    { P2, "26/", "/", "", "26/", "", 0 },
    { P2, "26/c", "/", "", "26/", "", 0 },
    { P2, "26/c/", "/", "", "26/", "", 1 },
    { P2, "26/c/1", "/", "", "26/1", "", 1 },
    { P2, "26/d", "/", "", NULL, NULL, 0 },
    { P2, "26/b", "/", "", NULL, NULL, 0 },
    { P2, "26/cc", "/", "", NULL, NULL, 0 },

    { P3, "", "/", "", "", "", 0 },
    { P3, "a", "/", "", "", "", 0 },
    { P3, "a/b", "/", "", "", "", 0 },
    { P3, "a/b/", "/", "", "", "", 0 },
    { P3, "a/b/26-", "/", "", "26-/", "", 1 },
    { P3, "a/b/26-1", "/", "", "26-/1", "", 1 },
    { P3, "b", "/", "", NULL, NULL, 0 },
    { P3, "a/b/26/", "/", "", NULL, NULL, 0 },

    { P4, "", "/", "", "", "", 1 },
    { P4, "26/", "/", "", "26/", "", 0 },
    { P4, "26/c", "/", "", "26/", "", 0 },
    { P4, "26/c/", "/", "", "26/", "", 1 },

    { P5, "", "/", "", "p/", "", 1 },
    { P5, "k/", "xy", "", "p/k/", "", 1 },
    { P6, "", "/", "", "", "", 1 },
    { P8, "", "/", "", "y/z/", "", 0 },
    { P8, "x", "/", "", "y/z/", "", 0 },
    { P8, "x/", "/", "", "y/z/", "", 1 },
    { P8, "xy", "/", "", NULL, NULL, 0 },
    { P7, "a-b", "/", "", "a-b", "", 1 },
    { P7, "a", "/", "", "a", "", 1 },
    { P7, "a/", "/", "", NULL, NULL, 0 },

    { P9, "", "/", "", "", "", 1 },
    { P9, "26/", "/", "", "26/c/", "", 1 },

    /* the key to go on after: outside of the prefix */
    { P1, "2026/", "", "2025", "some/y=2026/m=", "", 0 },
    { P1, "2026/", "", "2026", "some/y=2026/m=", "", 0 },
    { P1, "2026/", "", "2027", NULL, NULL, 0 },
    { P1, "2026/", "", "2026/", "some/y=2026/m=", "some/y=2026/m=", 0 },

    /* within it */
    { P1, "", "", "2026/11/x", "some/y=", "some/y=2026/m=11/x", 0 },
    { P1, "", "", "2026/11/", "some/y=", "some/y=2026/m=11/", 0 },
    { P1, "", "", "2026/11", "some/y=", "some/y=2026/m=11", 0 },
    { P1, "", "", "2026/", "some/y=", "some/y=2026/m=", 0 },
    { P1, "", "", "2026", "some/y=", "some/y=2026", 0 },
    { P1, "", "", "/x", "some/y=", "some/y=/", 0 },
    { P1, "", "", "2026//x", "some/y=", "some/y=2026/m=/", 0 },

    { P2, "", "", "26/c/1/x", "", "26/1/x", 0 },
    { P2, "", "", "26/c", "", "26/", 0 },
    { P2, "", "", "26/b", "", "26/", 0 },
    { P2, "", "", "26/d", "", "260", 0 },
    { P2, "", "", "26/ca", "", "260", 0 },
    { P2, "26", "", "26/d", "26", "260", 0 },
    { P2, "26/", "", "26/d", NULL, NULL, 0 },
    { P4, "", "", "26/b", "", "26", 0 },
    { P4, "", "", "26/c", "", "26", 0 },
    { P4, "", "", "26/c/", "", "26/", 0 },
    { P4, "", "", "26/d", "", "260", 0 },
    { P4, "26/", "", "26/b", "26/", "", 0 },

    { P3, "", "", "a/a", "", "", 0 },
    { P3, "", "", "a/c", NULL, NULL, 0 },
    { P3, "", "", "a", "", "", 0 },
    { P3, "", "", "a/b/26-1/x", "", "26-/1/x", 0 },
    { P3, "", "", "a/b/26/x", "", "26/", 0 },
    { P3, "", "", "a/b/26-/x", "", "26-//", 0 },

    { P5, "", "", "k", "p/", "p/k", 0 },
    { P5, "", "", "\xff", "p/", "p/\xff", 0 },
    { P8, "", "", "w", "y/z/", "", 0 },
    { P8, "", "", "x/a", "y/z/", "y/z/a", 0 },
    { P8, "", "", "y", NULL, NULL, 0 },
};


static void
test_list(void **state)
{
    size_t              i;
    sprox_rc_t          rc;
    unit_mem_t          um;
    sprox_alias_t       alias;
    sprox_alias_list_t  list;

    (void) state;

    for (i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        unit_mem_init(&um, 0);
        parse(&um.mem, text(lists[i].pattern), text(lists[i].target), &alias);
        list_init(&list, &um.mem);

        rc = sprox_alias_list(&alias, S("tbl"), text(lists[i].prefix),
                              text(lists[i].delimiter), text(lists[i].after),
                              &list);

        if (rc != (lists[i].to_prefix ? SPROX_OK : SPROX_NOT_FOUND)
            || (rc == SPROX_OK && lists[i].pushdown != list.pushdown))
        {
            fail_msg("%s prefix \"%s\" after \"%s\": rc %d, pushdown %d",
                     lists[i].pattern, lists[i].prefix, lists[i].after, rc,
                     list.pushdown);
        }

        if (rc == SPROX_OK) {
            assert_str(sprox_buf_get(&list.bucket), "bkt");
            expect(&list.prefix, lists[i].to_prefix);
            expect(&list.after, lists[i].to_after);
        }

        list_free(&list);
        sprox_alias_free(&um.mem, &alias);
        assert_int_equal(um.live, 0);
    }
}


static void
test_list_bucket(void **state)
{
    unit_mem_t          um;
    sprox_alias_t       alias;
    sprox_alias_list_t  list;

    (void) state;

    unit_mem_init(&um, 0);

    parse(&um.mem, S("t-$e/$y"), S("lake://b-$e/x/$e$y/"), &alias);
    list_init(&list, &um.mem);

    assert_int_equal(sprox_alias_list(&alias, S("t-dev"), S("26"), S("/"),
                                      S("26/k"), &list), SPROX_OK);
    assert_str(sprox_buf_get(&list.bucket), "b-dev");
    assert_str(sprox_buf_get(&list.prefix), "x/dev26");
    assert_str(sprox_buf_get(&list.after), "x/dev26/k");
    assert_int_equal(list.pushdown, 1);

    assert_int_equal(sprox_alias_list(&alias, S("u-dev"), S(""), S(""), S(""),
                                      &list), SPROX_NOT_FOUND);

    list_free(&list);
    sprox_alias_free(&um.mem, &alias);

    parse(&um.mem, S("tbl/$y/$m"), S("lake://bkt/$m/$y"), &alias);
    list_init(&list, &um.mem);

    assert_int_equal(sprox_alias_list(&alias, S("tbl"), S(""), S(""), S(""),
                                      &list), SPROX_INVALID);
    assert_int_equal(sprox_alias_invert_prefix(&alias, S("tbl"), S("1/"),
                                               &list.prefix),
                     SPROX_NOT_FOUND);

    list_free(&list);
    sprox_alias_free(&um.mem, &alias);
    assert_int_equal(um.live, 0);
}


static const struct {
    const char  *pattern;
    const char  *target;
    const char  *to_prefix;
    const char  *prefix;        /* NULL: none */
} prefixes[] = {

    { P1, "some/y=2026/", "2026/" },
    { P1, "some/y=2026/m=11/", "2026/11/" },
    { P1, "some/y=2026/m=11/a/", "2026/11/a/" },
    { P1, "some/y=2026/m=11/a-", "2026/11/a-" },
    { P1, "some/", NULL },
    { P1, "", NULL },
    { P1, "other/", NULL },
    { P1, "some/y=/", NULL },
    { P1, "some/y=2026/m", NULL },
    { P1, "some/y=2026/n=1/", NULL },
    { P1, "some/y=2026", NULL },
    { P2, "26/", "26/" },
    { P2, "26/1/", "26/c/1/" },
    { P2, "26/1/k/", "26/c/1/k/" },
    { P4, "26/", "26/" },
    { P4, "26/k/", "26/c/k/" },
    { P3, "26-/", NULL },
    { P3, "26-/1/", "a/b/26-1/" },
    { P3, "26-/1/k/", "a/b/26-1/k/" },
    { P5, "p/k/", "k/" },
    { P5, "p/", NULL },
    { P6, "k/", "k/" },
    { P7, "a-b/", "a-b/" },
    { P7, "ab/", NULL },
    { P9, "26/", "26/" },
    { P9, "26/c/", NULL },
    { P9, "26/c/1/", "26/1/" },

    /* a value that the pattern would read otherwise has no keys */
    { "tbl/$a-$b", "lake://bkt/$a-x-$b", "1-x-2/", "1-2/" },
    { "tbl/$a-$b", "lake://bkt/$a-x-$b", "1-2-x-2/", NULL },
};


static void
test_invert_prefix(void **state)
{
    size_t         i;
    sprox_rc_t     rc;
    unit_mem_t     um;
    sprox_buf_t    prefix;
    sprox_alias_t  alias;

    (void) state;

    for (i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
        unit_mem_init(&um, 0);
        parse(&um.mem, text(prefixes[i].pattern), text(prefixes[i].target),
              &alias);

        sprox_buf_init(&prefix, &um.mem);
        sprox_buf_text(&prefix, "+");

        rc = sprox_alias_invert_prefix(&alias, S("tbl"),
                                       text(prefixes[i].to_prefix), &prefix);

        if (rc != (prefixes[i].prefix ? SPROX_OK : SPROX_NOT_FOUND)) {
            fail_msg("%s: \"%s\": %d", prefixes[i].target,
                     prefixes[i].to_prefix, rc);
        }

        assert_str(sprox_str_from(sprox_buf_get(&prefix), 1),
                   prefixes[i].prefix ? prefixes[i].prefix : "");

        assert_int_equal(sprox_alias_invert_prefix(&alias, S("no"),
                                                   S("some/y=2026/"),
                                                   &prefix),
                         SPROX_NOT_FOUND);

        sprox_buf_free(&prefix);
        sprox_alias_free(&um.mem, &alias);
        assert_int_equal(um.live, 0);
    }
}


static sprox_rc_t
work_list(const sprox_mem_t *mem, void *data)
{
    sprox_rc_t           rc;
    sprox_buf_t          prefix;
    sprox_alias_t       *alias = data;
    sprox_alias_list_t   list;

    list_init(&list, mem);
    sprox_buf_init(&prefix, mem);

    rc = sprox_alias_list(alias, S("t-dev"), S("2026/"), S("/"),
                          S("2026/11/x"), &list);

    if (rc == SPROX_OK) {
        assert_str(sprox_buf_get(&list.after), "y=2026/m=11/x");

        rc = sprox_alias_invert_prefix(alias, S("t-dev"), S("y=2026/m=11/"),
                                       &prefix);
    }

    list_free(&list);
    sprox_buf_free(&prefix);

    return rc;
}


static void
test_memory(void **state)
{
    unit_mem_t     um;
    sprox_alias_t  alias;

    (void) state;

    unit_mem_init(&um, 0);
    parse(&um.mem, S("t-$e/$y/$m"), S("lake://bkt-$e/y=$y/m=$m"), &alias);

    assert_true(unit_each_alloc_fails(work_list, &alias) >= 4);

    sprox_alias_free(&um.mem, &alias);
    assert_int_equal(um.live, 0);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_list_bucket),
        cmocka_unit_test(test_invert_prefix),
        cmocka_unit_test(test_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
