/*
 * What regions of the catalog hold: that it stays, what becomes of it when
 * they are dropped, and when it is too much.
 */

#include "unit_region.h"


/* What is held stays, whatever else comes. */

static void
test_held(void **state)
{
    unsigned          i;
    uint32_t          s, s2;
    sprox_object_t    o;
    sprox_catalog_t  *cat;

    (void) state;

    cat = make(SPROX_CATALOG_SIZE_MIN);
    s = space(cat, "s");
    s2 = space(cat, "s2");
    (void) open_region(cat, s, "key/0");

    for (i = 0; i < 1000; i++) {
        o = object(MD5, 12, 1);
        assert_int_equal(sprox_catalog_put_locked(cat, s, numbered(i), &o),
                         SPROX_OK);
    }

    for (i = 0; i < 5000; i++) {
        o = object("", 12, 1);
        o.headed = i % 50 == 0;
        o.headers = filled('h', i % 5000);
        assert_int_equal(sprox_catalog_put_locked(cat, s2, numbered(i), &o),
                         SPROX_OK);
    }

    check(cat);
    assert_int_equal(region(cat, s, "key/0").objects, 1000);
    assert_int_equal(region(cat, s, "key/0").overflow, 0);

    for (i = 0; i < 1000; i++) {
        assert_int_equal(sprox_catalog_get_locked(cat, s, numbered(i), &o,
                                                  buf), SPROX_OK);
    }

    /* removed by name: listed on, not believed, its headers gone */

    o = object(MD5, 12, 2);
    o.headed = 1;
    o.headers = filled('h', 500);
    assert_int_equal(sprox_catalog_put_locked(cat, s, numbered(7), &o),
                     SPROX_OK);
    check(cat);
    assert_int_equal(sprox_catalog_remove_locked(cat, s, numbered(7)),
                     SPROX_OK);
    check(cat);
    assert_int_equal(sprox_catalog_get_locked(cat, s, numbered(7), &o, buf),
                     SPROX_OK);
    assert_true(o.doubted && !o.headed && o.headers.len == 0);
    assert_int_equal(region(cat, s, "key/0").objects, 1000);

    o = object(MD5, 12, 2);
    assert_int_equal(sprox_catalog_put_locked(cat, s, numbered(7), &o),
                     SPROX_OK);
    assert_int_equal(sprox_catalog_get_locked(cat, s, numbered(7), &o, buf),
                     SPROX_OK);
    assert_int_equal(o.doubted, 0);

    /* dropped: put() itself lets go, little by little, and they go first */

    assert_int_equal(sprox_catalog_region_drop_locked(cat, s, S("key/0")),
                     SPROX_OK);
    check(cat);
    assert_int_equal(held(cat), 1000);

    for (i = 0; held(cat); i++) {
        assert_true(i < 100);
        o = object(MD5, 12, 2);
        assert_int_equal(sprox_catalog_put_locked(cat, s2, numbered(i), &o),
                         SPROX_OK);
        check(cat);
    }

    assert_in_range(i, 1000 / 16, 1000 / 16 + 1);
    assert_int_equal(sprox_catalog_release_locked(cat, 0), SPROX_DONE);

    /* and what is removed now is gone */

    assert_int_equal(sprox_catalog_remove_locked(cat, s, numbered(0)),
                     SPROX_OK);
    assert_int_equal(sprox_catalog_get_locked(cat, s, numbered(0), &o, buf),
                     SPROX_NOT_FOUND);
    check(cat);

    free(cat);
}


/* Dropped regions in each other, walked one record at a time. */

static void
test_release(void **state)
{
    char              key[16];
    unsigned          i, steps;
    uint32_t          s;
    sprox_catalog_t  *cat;

    (void) state;

    cat = make(SPROX_CATALOG_SIZE_MIN);
    s = space(cat, "s");

    put_size(cat, s, "", 1, 1);
    (void) open_region(cat, s, "");
    (void) open_region(cat, s, "b");
    (void) open_region(cat, s, "b1");

    for (i = 0; i < 30; i++) {
        snprintf(key, sizeof(key), "%c%u", "abc"[i % 3], i / 3);
        put_size(cat, s, key, 1, 1);
    }

    assert_counts(cat, s, "", 30, 30);
    assert_counts(cat, s, "b", 10, 10);
    assert_counts(cat, s, "b1", 1, 1);

    assert_int_equal(sprox_catalog_region_drop_locked(cat, s, S("")),
                     SPROX_OK);
    assert_int_equal(held(cat), 30);

    for (steps = 0;
         sprox_catalog_release_locked(cat, 1) == SPROX_AGAIN;
         steps++)
    {
        check(cat);

        /* in the middle of the walk, and before it in part */

        if (steps == 15) {
            assert_int_equal(sprox_catalog_region_drop_locked(cat, s,
                                                              S("b")),
                             SPROX_OK);
            assert_in_range(held(cat), 15, 25);
        }
    }

    assert_in_range(steps, 39, 42);
    assert_int_equal(held(cat), 1);
    assert_counts(cat, s, "b1", 1, 1);

    /* their memory is used again */

    i = cat->spaces_next;
    (void) open_region(cat, s, "x");
    (void) open_region(cat, s, "");
    assert_int_equal(cat->spaces_next, i);
    (void) open_region(cat, s, "z");
    assert_int_not_equal(cat->spaces_next, i);

    free(cat);
}


/* More than regions may hold, and more than fits at all. */

static void
test_overflow(void **state)
{
    unsigned               i, n;
    int64_t                crawled;
    uint32_t               s, id, outer;
    sprox_rc_t             rc;
    sprox_object_t         o;
    sprox_catalog_t       *cat;
    sprox_catalog_stats_t  st;

    (void) state;

    cat = make(SPROX_CATALOG_SIZE_MIN);
    s = space(cat, "s");
    outer = open_region(cat, s, "");
    id = open_region(cat, s, "key/");
    (void) open_region(cat, s, "other/");
    put_size(cat, s, "other/1", 5, 1);
    assert_int_equal(sprox_catalog_region_complete_locked(cat, s, S("key/"),
                                                          id, 5), SPROX_OK);
    assert_int_equal(sprox_catalog_region_complete_locked(cat, s, S(""),
                                                          outer, 5), SPROX_OK);

    for (n = 0; !region(cat, s, "key/").overflow; n++) {
        assert_true(n < 3000);
        o = object(MD5, 12, 1);
        assert_int_equal(sprox_catalog_put_locked(cat, s, numbered(n), &o),
                         SPROX_OK);
    }

    check(cat);

    /* 96 bytes each, of seven eighths of the arena; nothing was evicted */

    sprox_catalog_stats_locked(cat, &st);
    assert_int_equal(st.evicted, 0);
    assert_int_equal(st.complete, 0);
    assert_in_range(n * 6, (cat->arena.end - cat->arena.first) / 8 * 7 - 12,
                    (cat->arena.end - cat->arena.first) / 8 * 7 + 12);
    assert_int_equal(region(cat, s, "").overflow, 1);
    assert_int_equal(region(cat, s, "").complete, 0);
    assert_int_equal(region(cat, s, "other/").overflow, 0);
    assert_counts(cat, s, "key/", 0, 0);
    assert_false(covered(cat, s, "key/", &crawled));
    assert_int_equal(sprox_catalog_region_complete_locked(cat, s, S("key/"),
                                                          id, 6), SPROX_FULL);
    assert_int_equal(open_region(cat, s, "key/"), id);

    /* it holds nothing any more: others may have the room */

    while (sprox_catalog_release_locked(cat, 100) == SPROX_AGAIN) {
        check(cat);
    }

    assert_int_equal(held(cat), 1);

    for (i = 0; i < 4000; i++) {
        o = object(MD5, 12, 1);
        rc = sprox_catalog_put_locked(cat, s, numbered(n + i), &o);
        assert_int_equal(rc, SPROX_OK);
    }

    assert_int_equal(held(cat), 1);
    assert_counts(cat, s, "other/", 1, 5);
    check(cat);

    /* once more, as a new one */

    assert_int_equal(sprox_catalog_region_drop_locked(cat, s, S("key/")),
                     SPROX_OK);
    assert_int_not_equal(open_region(cat, s, "key/"), id);
    assert_int_equal(region(cat, s, "key/").overflow, 0);
    put_size(cat, s, "key/1", 5, 1);
    assert_counts(cat, s, "key/", 1, 5);

    /* what cannot be put is missing */

    o = object(MD5, 1, 1);
    o.version = filled('v', SPROX_VERSION_MAX + 1);
    assert_int_equal(sprox_catalog_put_locked(cat, s, S("key/2"), &o),
                     SPROX_LIMIT);
    assert_int_equal(region(cat, s, "key/").overflow, 1);
    check(cat);

    free(cat);
}


/*
 * A catalog that is full of what two regions of the space hold, the second
 * one a part of the first.  The test has the eighth that regions may not
 * hold, and more: as chunks of what is never evicted.
 */

static sprox_catalog_t *
make_full(uint32_t *s, uint32_t *s2, const char *inner)
{
    unsigned          i, n;
    uint32_t          keep, ref;
    sprox_chunk_t    *chunk;
    sprox_object_t    o;
    sprox_catalog_t  *cat;

    cat = make(SPROX_CATALOG_SIZE_MIN);
    *s = space(cat, "s");
    *s2 = space(cat, "s2");

    put_size(cat, *s2, "keep", 5, 1);
    keep = cat->newest;
    (void) open_region(cat, *s2, "keep");
    put_size(cat, *s2, "keep", 5, 2);
    (void) open_region(cat, *s, "");
    (void) open_region(cat, *s, inner);

    for (n = 0; n < 40; n++) {
        ref = sprox_arena_alloc(cat, &cat->arena, 256, 0);
        assert_int_not_equal(ref, 0);
        chunk = sprox_unit(cat, ref);
        chunk->owner = keep;
    }

    for (i = 0; /* void */ ; i++) {
        ref = sprox_arena_alloc(cat, &cat->arena, 6, 0);
        if (ref == 0) {
            break;
        }

        (void) sprox_arena_free(cat, &cat->arena, ref);

        o = object(MD5, 12, 1);
        assert_int_equal(sprox_catalog_put_locked(cat, *s, numbered(i), &o),
                         SPROX_OK);
    }

    assert_in_range(i, 500, 1000);
    assert_int_equal(cat->oldest, 0);

    return cat;
}


/*
 * All of the memory held by what was dropped, and nobody called release():
 * a put finds room, and never evicts what it is writing.
 */

static void
test_dropped_full(void **state)
{
    unsigned          i;
    uint32_t          s, s2;
    sprox_object_t    o, got;
    sprox_catalog_t  *cat;

    (void) state;

    /* a put looks at 16 by itself, which another region holds; when there is
       no room, at 256 more */

    cat = make_full(&s, &s2, "key/000000");
    assert_int_equal(sprox_catalog_region_drop_locked(cat, s, S("")),
                     SPROX_OK);
    o = object(MD5, 12, 1);
    assert_int_equal(sprox_catalog_put_locked(cat, s2, S("new"), &o),
                     SPROX_OK);
    assert_int_equal(sprox_catalog_get_locked(cat, s2, S("new"), &got, buf),
                     SPROX_OK);
    assert_counts(cat, s, "key/000000", 100, 1200);
    free(cat);

    /* the last of these would be the first to go, and many must */

    for (i = 255; i < 275; i++) {
        cat = make_full(&s, &s2, "x");
        assert_int_equal(sprox_catalog_region_drop_locked(cat, s, S("")),
                         SPROX_OK);

        o = object(MD5, 12, 2);
        o.headed = 1;
        o.headers = filled('h', SPROX_HEADERS_MAX);
        assert_int_equal(sprox_catalog_put_locked(cat, s, numbered(i), &o),
                         SPROX_OK);
        assert_int_equal(sprox_catalog_get_locked(cat, s, numbered(i), &got,
                                                  buf), SPROX_OK);
        assert_int_equal(got.headers.len, SPROX_HEADERS_MAX);
        free(cat);
    }
}


static void
test_full(void **state)
{
    unsigned          i, n;
    uint32_t          s, s2;
    sprox_rc_t        rc;
    sprox_object_t    o, got;
    sprox_catalog_t  *cat;

    (void) state;

    cat = make_full(&s, &s2, "");
    i = (unsigned) region(cat, s, "").objects;

    do {
        o = object(MD5, 12, 1);
        rc = sprox_catalog_put_locked(cat, s, numbered(i++), &o);
    } while (rc == SPROX_OK);

    /* no room but what is held: it is told, and what is known stays right */

    assert_int_equal(rc, SPROX_FULL);
    assert_int_equal(region(cat, s, "").overflow, 1);
    assert_int_equal(sprox_catalog_get_locked(cat, s, numbered(i - 1), &o,
                                              buf), SPROX_NOT_FOUND);
    assert_int_equal(held(cat), i);

    /* an overflow lets go: the next put has room, also for a long one */

    o = object(MD5, 12, 2);
    o.version = filled('v', SPROX_VERSION_MAX);
    assert_int_equal(sprox_catalog_put_locked(cat, s, numbered(3), &o),
                     SPROX_OK);
    assert_int_equal(sprox_catalog_get_locked(cat, s, numbered(3), &got, buf),
                     SPROX_OK);
    assert_int_equal(got.version.len, SPROX_VERSION_MAX);

    for (n = 0; n < 200; n++) {
        o = object(MD5, 12, 2 + n);
        o.headed = 1;
        o.headers = filled('h', n * 20);
        assert_int_equal(sprox_catalog_put_locked(cat, n & 1 ? s : s2,
                                                  numbered(n % 7), &o),
                         SPROX_OK);
        assert_int_equal(sprox_catalog_get_locked(cat, n & 1 ? s : s2,
                                                  numbered(n % 7), &got, buf),
                         SPROX_OK);
        assert_int_equal(got.headers.len, n * 20);
    }

    free(cat);
}


/* Spaces and regions share their memory. */

static void
test_no_room(void **state)
{
    char                   prefix[32];
    unsigned               i;
    uint32_t               s, id;
    sprox_rc_t             rc;
    sprox_catalog_t       *cat;
    sprox_catalog_stats_t  st;

    (void) state;

    cat = make(SPROX_CATALOG_SIZE_MIN);
    s = space(cat, "s");

    for (i = 0; /* void */ ; i++) {
        snprintf(prefix, sizeof(prefix), "%u/", i);
        rc = sprox_catalog_region_open_locked(cat, s,
                          sprox_str_make(prefix, strlen(prefix)), &id);
        if (rc != SPROX_OK) {
            break;
        }
    }

    assert_int_equal(rc, SPROX_FULL);
    assert_in_range(i, 100, 300);
    check(cat);
    sprox_catalog_stats_locked(cat, &st);
    assert_int_equal(st.regions, i);

    put_size(cat, s, "7/x", 3, 1);
    assert_counts(cat, s, "7/", 1, 3);
    assert_counts(cat, s, "8/", 0, 0);

    /* a dropped one that holds nothing leaves its room at the next put */

    assert_int_equal(sprox_catalog_region_drop_locked(cat, s, S("8/")),
                     SPROX_OK);
    assert_int_equal(sprox_catalog_region_open_locked(cat, s, S("n/"), &id),
                     SPROX_FULL);
    assert_int_equal(sprox_catalog_release_locked(cat, 1), SPROX_DONE);
    (void) open_region(cat, s, "n/");

    free(cat);
}


/* What was asked for before a purge is not believed, known or not. */

static void
test_purge(void **state)
{
    uint32_t          s;
    sprox_object_t    o, got;
    sprox_catalog_t  *cat;

    (void) state;

    cat = make(SPROX_CATALOG_SIZE_MIN);
    s = space(cat, "s");
    (void) open_region(cat, s, "r/");

    assert_int_equal(sprox_catalog_purge_locked(cat, s + 1, S("k"), 20),
                     SPROX_NOT_FOUND);

    /* of what nothing is known: an answer of before tells nothing */

    assert_int_equal(sprox_catalog_purge_locked(cat, s, S("k"), 20),
                     SPROX_OK);
    assert_int_equal(sprox_catalog_get_locked(cat, s, S("k"), &got, buf),
                     SPROX_OK);
    assert_true(got.absent && got.doubted && got.proved == 0);

    o = object(MD5, 12, 19);
    assert_int_equal(sprox_catalog_put_locked(cat, s, S("k"), &o),
                     SPROX_DONE);
    o.absent = 1;
    assert_int_equal(sprox_catalog_put_locked(cat, s, S("k"), &o), SPROX_OK);
    assert_int_equal(sprox_catalog_get_locked(cat, s, S("k"), &got, buf),
                     SPROX_OK);
    assert_true(got.absent && got.doubted);

    /* one since does */

    o = object(MD5_B, 12, 20);
    assert_int_equal(sprox_catalog_put_locked(cat, s, S("k"), &o), SPROX_OK);
    assert_int_equal(sprox_catalog_get_locked(cat, s, S("k"), &got, buf),
                     SPROX_OK);
    assert_true(!got.doubted && got.proved == 20);
    assert_str(got.etag, MD5_B);

    /* what is known goes, and the same */

    assert_int_equal(sprox_catalog_purge_locked(cat, s, S("k"), 30),
                     SPROX_OK);
    assert_int_equal(sprox_catalog_get_locked(cat, s, S("k"), &got, buf),
                     SPROX_OK);
    assert_true(got.absent && got.doubted && got.etag.len == 0);

    /* what is held is listed on, its headers forgotten */

    o = object(MD5, 12, 25);
    o.headed = 1;
    o.headers = S("a: b\r\n");
    assert_int_equal(sprox_catalog_put_locked(cat, s, S("r/1"), &o),
                     SPROX_OK);
    assert_int_equal(sprox_catalog_purge_locked(cat, s, S("r/1"), 30),
                     SPROX_OK);
    assert_counts(cat, s, "r/", 1, 12);
    assert_int_equal(sprox_catalog_get_locked(cat, s, S("r/1"), &got, buf),
                     SPROX_OK);
    assert_true(!got.absent && got.doubted && !got.headed);
    o = object(MD5_B, 12, 29);
    assert_int_equal(sprox_catalog_put_locked(cat, s, S("r/1"), &o),
                     SPROX_DONE);

    /* a listing of before does not tell of it: whether it is there, is open */

    assert_int_equal(sprox_catalog_purge_locked(cat, s, S("r/2"), 30),
                     SPROX_OK);
    o.listed = 1;
    assert_int_equal(sprox_catalog_put_locked(cat, s, S("r/2"), &o),
                     SPROX_DONE);
    assert_int_equal(sprox_catalog_remove_locked(cat, s, S("r/2")),
                     SPROX_OK);
    assert_int_equal(sprox_catalog_get_locked(cat, s, S("r/2"), &got, buf),
                     SPROX_OK);
    assert_true(got.absent && got.doubted);
    check(cat);

    /* and what an event told stays: it beats what is late */

    o = object("", 0, 25);
    o.absent = 1;
    o.told = 1;
    o.sequencer = S("05");
    assert_int_equal(sprox_catalog_put_locked(cat, s, S("r/3"), &o),
                     SPROX_OK);
    assert_int_equal(sprox_catalog_purge_locked(cat, s, S("r/3"), 30),
                     SPROX_OK);
    assert_int_equal(sprox_catalog_get_locked(cat, s, S("r/3"), &got, buf),
                     SPROX_OK);
    assert_true(got.absent && got.doubted && got.told);
    assert_str(got.sequencer, "05");
    o = object(MD5, 12, 29);
    assert_int_equal(sprox_catalog_put_locked(cat, s, S("r/3"), &o),
                     SPROX_DONE);
    check(cat);

    free(cat);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_held),
        cmocka_unit_test(test_purge),
        cmocka_unit_test(test_release),
        cmocka_unit_test(test_overflow),
        cmocka_unit_test(test_dropped_full),
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_no_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
