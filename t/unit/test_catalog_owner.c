/*
 * Whose the objects of a region are, as crawls tell it.
 */

#include "unit_region.h"


static sprox_owner_t
of(sprox_str_t id, sprox_str_t name)
{
    sprox_owner_t  owner;

    owner.id = id;
    owner.name = name;

    return owner;
}


/* A crawl that began then has seen an object of theirs. */

static sprox_rc_t
tell(sprox_catalog_t *cat, uint32_t s, uint32_t id, int64_t crawled,
    const char *who)
{
    sprox_rc_t     rc;
    sprox_owner_t  owner;

    owner = of(sprox_str_make(who, strlen(who)), S("name"));

    rc = sprox_catalog_region_owner_locked(cat, s, S("a/"), id, crawled,
                                           &owner);
    check(cat);

    return rc;
}


static void
complete(sprox_catalog_t *cat, uint32_t s, uint32_t id, int64_t crawled)
{
    assert_int_equal(sprox_catalog_region_complete_locked(cat, s, S("a/"), id,
                                                          crawled), SPROX_OK);
    check(cat);
}


/* NULL: nobody is known to be the owner of all. */

static void
assert_owner(sprox_catalog_t *cat, uint32_t s, const char *who)
{
    sprox_owner_t  owner;

    if (who == NULL) {
        assert_int_equal(sprox_catalog_owner_locked(cat, s, S("a/b"), &owner,
                                                    buf), SPROX_NOT_FOUND);
        return;
    }

    assert_int_equal(sprox_catalog_owner_locked(cat, s, S("a/b"), &owner,
                                                buf), SPROX_OK);
    assert_true(sprox_str_eq(owner.id, sprox_str_make(who, strlen(who))));
    assert_true(sprox_str_eq(owner.name, S("name")));
}


static void
test_one(void **state)
{
    uint32_t          s, id;
    sprox_catalog_t  *cat;

    (void) state;

    cat = make(SPROX_CATALOG_SIZE_MIN);
    s = space(cat, "s");

    assert_int_equal(tell(cat, s, 1, 10, "x"), SPROX_NOT_FOUND);
    assert_owner(cat, s, NULL);

    id = open_region(cat, s, "a/");
    assert_int_equal(tell(cat, s, id + 1, 10, "x"), SPROX_NOT_FOUND);
    assert_int_equal(tell(cat, s, id, 10, "x"), SPROX_OK);
    assert_int_equal(tell(cat, s, id, 10, "x"), SPROX_OK);
    assert_owner(cat, s, NULL);

    complete(cat, s, id, 10);
    assert_owner(cat, s, "x");

    /* the same by the next crawl, and then by one that saw nothing */

    assert_int_equal(tell(cat, s, id, 20, "x"), SPROX_OK);
    assert_int_equal(tell(cat, s, id, 10, "z"), SPROX_NOT_FOUND);
    assert_owner(cat, s, "x");
    complete(cat, s, id, 20);
    assert_owner(cat, s, "x");

    complete(cat, s, id, 30);
    assert_owner(cat, s, NULL);

    /* a region that is another opening, in memory that was used */

    assert_int_equal(tell(cat, s, id, 40, "x"), SPROX_OK);
    complete(cat, s, id, 40);
    assert_int_equal(sprox_catalog_region_drop_locked(cat, s, S("a/")),
                     SPROX_OK);
    assert_int_equal(sprox_catalog_release_locked(cat, 100), SPROX_DONE);
    id = open_region(cat, s, "a/");
    complete(cat, s, id, 50);
    assert_owner(cat, s, NULL);

    free(cat);
}


static void
test_several(void **state)
{
    uint32_t          s, id;
    sprox_catalog_t  *cat;

    (void) state;

    cat = make(SPROX_CATALOG_SIZE_MIN);
    s = space(cat, "s");
    id = open_region(cat, s, "a/");

    assert_int_equal(tell(cat, s, id, 10, "x"), SPROX_OK);
    assert_int_equal(tell(cat, s, id, 10, "y"), SPROX_DONE);
    assert_int_equal(tell(cat, s, id, 10, "x"), SPROX_DONE);
    complete(cat, s, id, 10);
    assert_owner(cat, s, NULL);

    /* one again: when all pages say so */

    assert_int_equal(tell(cat, s, id, 20, "y"), SPROX_OK);
    assert_owner(cat, s, NULL);
    complete(cat, s, id, 20);
    assert_owner(cat, s, "y");

    /* another one: from the first of his objects on */

    assert_int_equal(tell(cat, s, id, 30, "z"), SPROX_OK);
    assert_owner(cat, s, NULL);
    complete(cat, s, id, 30);
    assert_owner(cat, s, "z");

    /* a crawl that is overtaken tells nothing */

    assert_int_equal(tell(cat, s, id, 40, "z"), SPROX_OK);
    assert_int_equal(tell(cat, s, id, 50, "z"), SPROX_OK);
    complete(cat, s, id, 40);
    assert_owner(cat, s, NULL);
    complete(cat, s, id, 50);
    assert_owner(cat, s, "z");

    free(cat);
}


/* The same text in two ways, no owner, and the longest. */

static void
test_text(void **state)
{
    size_t            i;
    uint32_t          s, id;
    sprox_owner_t     owners[5], got;
    sprox_catalog_t  *cat;

    (void) state;

    cat = make(SPROX_CATALOG_SIZE_MIN);
    s = space(cat, "s");
    id = open_region(cat, s, "a/");

    owners[0] = of(S("ab"), S("c"));
    owners[1] = of(S("a"), S("bc"));
    owners[2] = of(sprox_str_null, sprox_str_null);
    owners[3] = of(S("abc"), sprox_str_null);
    owners[4] = of(filled('i', SPROX_OWNER_MAX), S("n"));

    for (i = 0; i < 5; i++) {
        assert_int_equal(sprox_catalog_region_owner_locked(cat, s, S("a/"),
                             id, 10 + i, &owners[i]), SPROX_OK);
        complete(cat, s, id, 10 + i);
        assert_int_equal(sprox_catalog_owner_locked(cat, s, S("a/"), &got,
                                                    buf), SPROX_OK);
        assert_true(sprox_str_eq(got.id, owners[i].id));
        assert_true(sprox_str_eq(got.name, owners[i].name));
    }

    owners[0] = of(S("a"), filled('n', SPROX_OWNER_MAX + 1));
    assert_int_equal(sprox_catalog_region_owner_locked(cat, s, S("a/"), id,
                                                       20, &owners[0]),
                     SPROX_DONE);
    assert_owner(cat, s, NULL);

    free(cat);
}


static void
test_bounds(void **state)
{
    char              who[16];
    size_t            i;
    uint32_t          s, id;
    sprox_catalog_t  *cat;

    (void) state;

    cat = make(SPROX_CATALOG_SIZE_MIN);
    s = space(cat, "s");
    id = open_region(cat, s, "a/");

    for (i = 0; i < SPROX_OWNERS_MAX; i++) {
        snprintf(who, sizeof(who), "o%zu", i);
        assert_int_equal(tell(cat, s, id, 10 + i, who), SPROX_OK);
    }

    assert_int_equal(tell(cat, s, id, 1000, "one more"), SPROX_DONE);
    assert_int_equal(tell(cat, s, id, 2000, "o7"), SPROX_OK);

    /* they are lost with the regions, and there is room again */

    sprox_zone_mark(cat);
    s = space(cat, "s");
    check(cat);
    assert_owner(cat, s, NULL);
    id = open_region(cat, s, "a/");
    assert_int_equal(tell(cat, s, id, 1000, "one more"), SPROX_OK);
    complete(cat, s, id, 1000);
    assert_owner(cat, s, "one more");

    free(cat);
}


/* A region without room for an owner. */

static void
test_no_room(void **state)
{
    char              name[16];
    uint32_t          s, n, id, other;
    sprox_catalog_t  *cat;

    (void) state;

    cat = make(SPROX_CATALOG_SIZE_MIN);
    s = space(cat, "s");
    id = open_region(cat, s, "a/");

    for (n = 0; n < 10000; n++) {
        snprintf(name, sizeof(name), "%u/", n);

        if (sprox_catalog_region_open_locked(cat, s,
                                  sprox_str_make(name, strlen(name)),
                                  &other)
            != SPROX_OK)
        {
            break;
        }
    }

    assert_int_not_equal(n, 10000);
    assert_int_equal(tell(cat, s, id, 10, "x"), SPROX_DONE);
    complete(cat, s, id, 10);
    assert_owner(cat, s, NULL);

    free(cat);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_one),
        cmocka_unit_test(test_several),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_no_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
