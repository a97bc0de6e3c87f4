/*
 * Keys of a region of which nothing is known but that there may be something:
 * what listings, sweeps, removals and eviction make of them.
 */

#include "unit_region.h"


typedef struct {
    char  text[512];
} told_t;


/* "key," of what is there, "prefix*,", "?key," of what is in doubt. */

static sprox_rc_t
on_item(void *data, sprox_str_t key, const sprox_object_t *o)
{
    told_t  *told = data;

    strcat(told->text, o && o->doubted ? "?" : "");
    strncat(told->text, (const char *) key.data, key.len);
    strcat(told->text, o ? "," : "*,");

    return SPROX_OK;
}


static const char *
list(sprox_catalog_t *cat, uint32_t s, const char *delimiter, size_t n)
{
    size_t                   steps;
    sprox_rc_t               rc;
    sprox_catalog_cursor_t   cursor;
    static told_t            told;

    memset(&told, 0, sizeof(told));
    sprox_catalog_cursor_init(&cursor, S(""),
                              sprox_str_make(delimiter, strlen(delimiter)),
                              S(""));
    steps = 0;

    do {
        rc = sprox_catalog_list_locked(cat, s, &cursor, n, on_item, &told);
        assert_true(++steps < 100);
    } while (rc == SPROX_AGAIN);

    assert_int_equal(rc, SPROX_DONE);

    return told.text;
}


static sprox_rc_t
doubt(sprox_catalog_t *cat, uint32_t s, const char *key, int64_t when)
{
    sprox_rc_t  rc;

    rc = sprox_catalog_doubt_locked(cat, s,
                                    sprox_str_make(key, strlen(key)), when);
    check(cat);

    return rc;
}


static void
test_listed(void **state)
{
    size_t            n;
    uint32_t          s;
    sprox_catalog_t  *cat;

    (void) state;

    cat = make(SPROX_CATALOG_SIZE_MIN);
    s = space(cat, "s");

    (void) open_region(cat, s, "a");
    put_size(cat, s, "a/3", 1, 10);
    put_size(cat, s, "a/9", 1, 10);
    put_size(cat, s, "ab/1", 1, 10);
    put_size(cat, s, "ac", 1, 10);
    put_size(cat, s, "ad/gone", 0, 10);
    put_size(cat, s, "ad/x", 0, 10);

    assert_int_equal(doubt(cat, s, "b", 20), SPROX_NOT_FOUND);
    assert_int_equal(doubt(cat, s, "", 20), SPROX_NOT_FOUND);
    assert_int_equal(doubt(cat, s, "a/1", 20), SPROX_OK);
    assert_int_equal(doubt(cat, s, "a/2", 20), SPROX_OK);
    assert_int_equal(doubt(cat, s, "a/9", 20), SPROX_OK);
    assert_int_equal(doubt(cat, s, "ab/1", 20), SPROX_OK);
    assert_int_equal(doubt(cat, s, "ab/2", 20), SPROX_OK);
    assert_int_equal(doubt(cat, s, "ad/x", 20), SPROX_OK);
    assert_counts(cat, s, "a", 4, 4);

    for (n = 1; n < 20; n++) {
        assert_string_equal(list(cat, s, "", n),
                            "?a/1,?a/2,a/3,?a/9,?ab/1,?ab/2,ac,?ad/x,");
    }

    /* one that is sure is enough for a common prefix, wherever it stands */

    for (n = 3; n < 20; n++) {
        assert_string_equal(list(cat, s, "/", n), "a/*,?ab/1,ac,?ad/x,");
    }

    /* steps that are too short to know say that it is in doubt */

    assert_string_equal(list(cat, s, "/", 1), "?a/1,?ab/1,ac,?ad/x,");

    /* an answer to a later request settles it */

    put_size(cat, s, "a/1", 0, 19);
    assert_string_equal(list(cat, s, "", 99),
                        "?a/1,?a/2,a/3,?a/9,?ab/1,?ab/2,ac,?ad/x,");
    put_size(cat, s, "a/1", 0, 20);
    put_size(cat, s, "a/2", 7, 20);
    put_size(cat, s, "ad/x", 0, 21);
    assert_string_equal(list(cat, s, "", 99),
                        "a/2,a/3,?a/9,?ab/1,?ab/2,ac,");
    assert_counts(cat, s, "a", 5, 11);

    free(cat);
}


static void
test_swept_and_removed(void **state)
{
    uint32_t                 s;
    uint64_t                 removed;
    sprox_object_t           o;
    sprox_catalog_t         *cat;
    sprox_catalog_cursor_t   cursor;

    (void) state;

    cat = make(SPROX_CATALOG_SIZE_MIN);
    s = space(cat, "s");

    (void) open_region(cat, s, "");
    put_size(cat, s, "b", 1, 10);
    assert_int_equal(doubt(cat, s, "a", 20), SPROX_OK);
    assert_int_equal(doubt(cat, s, "c", 30), SPROX_OK);

    /* to forget what is known does not take the doubt away */

    assert_int_equal(sprox_catalog_remove_locked(cat, s, S("c")), SPROX_OK);
    assert_int_equal(sprox_catalog_get_locked(cat, s, S("c"), &o, buf),
                     SPROX_OK);
    assert_true(o.absent && o.doubted && o.proved == 0);

    /* a crawl that began after the doubt has seen that there is none */

    removed = 0;
    sprox_catalog_cursor_init(&cursor, S(""), S(""), S(""));
    assert_int_equal(sprox_catalog_sweep_locked(cat, s, &cursor, S(""), 25,
                                                99, &removed), SPROX_DONE);
    assert_int_equal(removed, 1);
    check(cat);
    assert_string_equal(list(cat, s, "", 99), "?c,");

    /* nor without its region: an answer may be on its way */

    assert_int_equal(sprox_catalog_region_drop_locked(cat, s, S("")),
                     SPROX_OK);
    assert_int_equal(sprox_catalog_remove_locked(cat, s, S("c")), SPROX_OK);
    assert_string_equal(list(cat, s, "", 99), "?c,");
    check(cat);

    free(cat);
}


/* Of two requests of before a purge one tells that its version is gone. */

static void
test_purged_and_removed(void **state)
{
    uint32_t          s;
    sprox_object_t    o;
    sprox_catalog_t  *cat;

    (void) state;

    cat = make(SPROX_CATALOG_SIZE_MIN);
    s = space(cat, "s");

    assert_int_equal(sprox_catalog_purge_locked(cat, s, S("k"), 100),
                     SPROX_OK);
    assert_int_equal(sprox_catalog_remove_locked(cat, s, S("k")), SPROX_OK);
    check(cat);

    o = object(MD5, 1, 99);
    assert_int_equal(sprox_catalog_put_locked(cat, s, S("k"), &o),
                     SPROX_DONE);
    assert_int_equal(sprox_catalog_get_locked(cat, s, S("k"), &o, buf),
                     SPROX_OK);
    assert_true(o.absent && o.doubted && o.proved == 0);

    /* one of a request of after it is believed, and forgotten as ever */

    o = object(MD5, 1, 100);
    assert_int_equal(sprox_catalog_put_locked(cat, s, S("k"), &o), SPROX_OK);
    assert_int_equal(sprox_catalog_remove_locked(cat, s, S("k")), SPROX_OK);
    assert_int_equal(sprox_catalog_get_locked(cat, s, S("k"), &o, buf),
                     SPROX_NOT_FOUND);
    check(cat);

    free(cat);
}


static void
test_evicted(void **state)
{
    int64_t           crawled;
    unsigned          i;
    uint32_t          s, id;
    sprox_object_t    o;
    sprox_catalog_t  *cat;

    (void) state;

    cat = make(SPROX_CATALOG_SIZE_MIN);
    s = space(cat, "s");

    id = open_region(cat, s, "a/");
    (void) open_region(cat, s, "b/");
    assert_int_equal(sprox_catalog_region_complete_locked(cat, s, S("a/"), id,
                                                          10), SPROX_OK);
    assert_int_equal(doubt(cat, s, "a/1", 20), SPROX_OK);
    assert_true(covered(cat, s, "a/", &crawled));

    for (i = 0; i < 20000; i++) {
        o = object(MD5, 1, 100);
        assert_int_equal(sprox_catalog_put_locked(cat, s, numbered(i), &o),
                         SPROX_OK);
    }

    assert_int_equal(sprox_catalog_get_locked(cat, s, S("a/1"), &o, buf),
                     SPROX_NOT_FOUND);
    check(cat);
    assert_false(covered(cat, s, "a/", &crawled));
    assert_false(region(cat, s, "a/").overflow);

    /* a crawl that began before it does not tell all */

    assert_int_equal(sprox_catalog_region_complete_locked(cat, s, S("a/"), id,
                                                          19),
                     SPROX_NOT_FOUND);
    assert_int_equal(sprox_catalog_region_complete_locked(cat, s, S("a/"), id,
                                                          20), SPROX_OK);
    assert_true(covered(cat, s, "a/", &crawled));

    free(cat);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_listed),
        cmocka_unit_test(test_swept_and_removed),
        cmocka_unit_test(test_purged_and_removed),
        cmocka_unit_test(test_evicted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
