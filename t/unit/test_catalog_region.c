/*
 * Regions of the catalog: what they hold, count, cover, lose and let go.
 * test_catalog_model.c has them at random.
 */

#include "unit_catalog.h"
#include "sprox_region.h"


static uint32_t
open_region(sprox_catalog_t *cat, uint32_t s, const char *prefix)
{
    uint32_t  id;

    assert_int_equal(sprox_catalog_region_open_locked(cat, s,
                         sprox_str_make(prefix, strlen(prefix)), &id),
                     SPROX_OK);
    check(cat);

    return id;
}


static void
put_size(sprox_catalog_t *cat, uint32_t s, const char *key, uint64_t size,
    int64_t proved)
{
    sprox_object_t  o;

    o = object(MD5, size, proved);
    o.absent = size == 0;
    assert_int_equal(sprox_catalog_put_locked(cat, s,
                         sprox_str_make(key, strlen(key)), &o), SPROX_OK);
    check(cat);
}


static sprox_region_t
region(sprox_catalog_t *cat, uint32_t s, const char *prefix)
{
    sprox_region_t  r;

    assert_int_equal(sprox_catalog_region_get_locked(cat, s,
                         sprox_str_make(prefix, strlen(prefix)), &r),
                     SPROX_OK);

    return r;
}


#define assert_counts(cat, s, prefix, n, b)                                   \
    do {                                                                      \
        assert_int_equal(region(cat, s, prefix).objects, n);                  \
        assert_int_equal(region(cat, s, prefix).bytes, b);                    \
    } while (0)


static uint64_t
held(sprox_catalog_t *cat)
{
    sprox_catalog_stats_t  st;

    sprox_catalog_stats_locked(cat, &st);

    return st.held;
}


static void
test_counts(void **state)
{
    uint32_t               s, s2, id;
    sprox_region_t         r;
    sprox_catalog_t       *cat;
    sprox_catalog_stats_t  st;

    (void) state;

    cat = make(SPROX_CATALOG_SIZE_MIN);
    s = space(cat, "s");
    s2 = space(cat, "s2");

    assert_int_equal(sprox_catalog_region_open_locked(cat, s2 + 1, S("a"),
                                                      &id), SPROX_NOT_FOUND);
    assert_int_equal(sprox_catalog_region_open_locked(cat, s,
                         filled('a', SPROX_KEY_MAX + 1), &id), SPROX_LIMIT);
    assert_int_equal(sprox_catalog_region_get_locked(cat, s, S("a/"), &r),
                     SPROX_NOT_FOUND);

    put_size(cat, s, "a/0", 7, 1);
    id = open_region(cat, s, "a/");
    assert_int_equal(open_region(cat, s, "a/"), id);
    assert_int_equal(region(cat, s, "a/").id, id);
    assert_int_not_equal(open_region(cat, s2, "a/"), id);

    /* of what was known before it is known when it is put again */

    assert_counts(cat, s, "a/", 0, 0);
    put_size(cat, s, "a/0", 7, 2);
    assert_counts(cat, s, "a/", 1, 7);

    put_size(cat, s, "a/1", 10, 1);
    put_size(cat, s, "a/", 100, 1);
    put_size(cat, s, "a", 1000, 1);
    put_size(cat, s, "b", 1000, 1);
    put_size(cat, s2, "a/2", 1, 1);
    assert_counts(cat, s, "a/", 3, 117);
    assert_counts(cat, s2, "a/", 1, 1);
    assert_int_equal(held(cat), 4);

    /* another version, the same, one of before, one that is gone */

    put_size(cat, s, "a/1", 20, 2);
    assert_counts(cat, s, "a/", 3, 127);
    put_size(cat, s, "a/1", 20, 3);
    assert_counts(cat, s, "a/", 3, 127);
    put_size(cat, s, "a/0", 0, 5);
    assert_counts(cat, s, "a/", 2, 120);
    put_size(cat, s, "a/0", 9, 6);
    assert_counts(cat, s, "a/", 3, 129);

    /* one in the other: each counts from its opening on */

    (void) open_region(cat, s, "");
    (void) open_region(cat, s, "a/1");
    assert_counts(cat, s, "", 0, 0);
    put_size(cat, s, "a/1", 20, 4);
    put_size(cat, s, "a/11", 30, 4);
    put_size(cat, s, "b", 1000, 4);
    assert_counts(cat, s, "", 3, 1050);
    assert_counts(cat, s, "a/", 4, 159);
    assert_counts(cat, s, "a/1", 2, 50);

    /* what an older proof does not change is counted as if it was put */

    {
        sprox_object_t  o = object(MD5_B, 5, 0);

        assert_int_equal(sprox_catalog_put_locked(cat, s, S("a/"), &o),
                         SPROX_DONE);
        check(cat);
    }

    assert_counts(cat, s, "", 4, 1150);

    sprox_catalog_stats_locked(cat, &st);
    assert_int_equal(st.regions, 4);
    assert_int_equal(st.complete, 0);
    assert_int_equal(st.held, 6);

    free(cat);
}


static int
covered(sprox_catalog_t *cat, uint32_t s, const char *prefix,
    int64_t *crawled)
{
    sprox_rc_t  rc;

    *crawled = -1;
    rc = sprox_catalog_covered_locked(cat, s,
                             sprox_str_make(prefix, strlen(prefix)), crawled);
    assert_true(rc == SPROX_OK || rc == SPROX_NOT_FOUND);

    return rc == SPROX_OK;
}


static void
test_covered(void **state)
{
    int64_t                crawled;
    uint32_t               s, id, inner;
    sprox_catalog_t       *cat;
    sprox_catalog_stats_t  st;

    (void) state;

    cat = make(SPROX_CATALOG_SIZE_MIN);
    s = space(cat, "s");

    assert_false(covered(cat, s + 1, "", &crawled));
    assert_false(covered(cat, s, "", &crawled));

    id = open_region(cat, s, "a/b");
    assert_false(covered(cat, s, "a/b", &crawled));

    /* not of that opening */

    assert_int_equal(sprox_catalog_region_complete_locked(cat, s, S("a/b"),
                                                          id + 1, 5),
                     SPROX_NOT_FOUND);
    assert_int_equal(sprox_catalog_region_complete_locked(cat, s, S("a/"),
                                                          id, 5),
                     SPROX_NOT_FOUND);
    assert_int_equal(sprox_catalog_region_complete_locked(cat, s, S("a/b"),
                                                          id, 5), SPROX_OK);
    assert_int_equal(region(cat, s, "a/b").crawled, 5);
    assert_int_equal(region(cat, s, "a/b").complete, 1);

    assert_true(covered(cat, s, "a/b", &crawled));
    assert_int_equal(crawled, 5);
    assert_true(covered(cat, s, "a/b/c", &crawled));
    assert_false(covered(cat, s, "a/", &crawled));
    assert_false(covered(cat, s, "a/a", &crawled));
    assert_false(covered(cat, s, "a/c", &crawled));
    assert_false(covered(cat, s, "", &crawled));

    /* the later crawl of two; one that began before changes nothing */

    inner = open_region(cat, s, "a/b/c");
    assert_int_equal(sprox_catalog_region_complete_locked(cat, s, S("a/b/c"),
                                                          inner, 3),
                     SPROX_OK);
    assert_true(covered(cat, s, "a/b/c/d", &crawled));
    assert_int_equal(crawled, 5);
    assert_int_equal(sprox_catalog_region_complete_locked(cat, s, S("a/b/c"),
                                                          inner, 9),
                     SPROX_OK);
    assert_int_equal(sprox_catalog_region_complete_locked(cat, s, S("a/b/c"),
                                                          inner, 8),
                     SPROX_OK);
    assert_true(covered(cat, s, "a/b/c", &crawled));
    assert_int_equal(crawled, 9);
    assert_true(covered(cat, s, "a/b/", &crawled));
    assert_int_equal(crawled, 5);

    sprox_catalog_stats_locked(cat, &st);
    assert_int_equal(st.complete, 2);
    check(cat);

    assert_int_equal(sprox_catalog_region_incomplete_locked(cat, s, S("a/b")),
                     SPROX_OK);
    assert_int_equal(sprox_catalog_region_incomplete_locked(cat, s, S("a/x")),
                     SPROX_NOT_FOUND);
    assert_false(covered(cat, s, "a/b/", &crawled));
    assert_true(covered(cat, s, "a/b/c", &crawled));
    check(cat);

    /* dropped and opened again: known no more */

    assert_int_equal(sprox_catalog_region_drop_locked(cat, s, S("a/b/c")),
                     SPROX_OK);
    assert_int_equal(sprox_catalog_region_drop_locked(cat, s, S("a/b/c")),
                     SPROX_NOT_FOUND);
    assert_false(covered(cat, s, "a/b/c", &crawled));
    assert_int_not_equal(open_region(cat, s, "a/b/c"), inner);
    assert_false(covered(cat, s, "a/b/c", &crawled));

    /* emptying loses them, and a crawl of before completes nothing */

    cat->changing = 1;
    s = space(cat, "s");
    assert_false(covered(cat, s, "a/b", &crawled));
    assert_int_not_equal(open_region(cat, s, "a/b"), id);
    assert_int_equal(sprox_catalog_region_complete_locked(cat, s, S("a/b"),
                                                          id, 10),
                     SPROX_NOT_FOUND);
    check(cat);

    free(cat);
}


/* Which regions a key lies in, against all of them, one by one. */

static void
test_cover(void **state)
{
    size_t            i, j, n, len, last;
    uint32_t          s, ref, seed, id;
    sprox_str_t       key, prefixes[40];
    sprox_catalog_t  *cat;
    static uint8_t    text[40][6];

    (void) state;

    cat = make(SPROX_CATALOG_SIZE_MIN);
    s = space(cat, "s");
    seed = 7;

    for (i = 0; i < 40; i++) {
        seed = seed * 1103515245 + 12345;
        prefixes[i].data = text[i];
        prefixes[i].len = (seed >> 16) % 6;

        for (j = 0; j < 6; j++) {
            seed = seed * 1103515245 + 12345;
            text[i][j] = (uint8_t) "a/b\xff"[(seed >> 16) % 4];
        }

        assert_int_equal(sprox_catalog_region_open_locked(cat, s, prefixes[i],
                                                          &id), SPROX_OK);
    }

    for (i = 0; i < 3000; i++) {
        uint8_t  k[8];

        for (j = 0; j < 8; j++) {
            seed = seed * 1103515245 + 12345;
            k[j] = (uint8_t) "a/b\xff"[(seed >> 16) % 4];
        }

        key = sprox_str_make(k, (seed >> 20) % 9);
        n = key.len + 1;

        for (last = key.len + 1; last-- > 0; /* void */ ) {
            for (j = 0; j < 40; j++) {
                if (prefixes[j].len == last
                    && sprox_str_starts(key, prefixes[j]))
                {
                    break;
                }
            }

            if (j == 40) {
                continue;
            }

            ref = sprox_region_cover(cat, sprox_zone_space(cat, s), key, &n);
            assert_int_not_equal(ref, 0);
            len = sprox_region(cat, ref)->node.key_len;
            assert_int_equal(len, last);
            assert_int_equal(n, len);
        }

        assert_int_equal(sprox_region_cover(cat, sprox_zone_space(cat, s),
                                            key, &n), 0);
    }

    check(cat);
    free(cat);
}


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
 * All of the memory held by what was dropped, and nobody called release():
 * a put finds room, and never evicts what it is writing.
 */

static void
test_full(void **state)
{
    unsigned          i, n;
    uint32_t          s, s2, keep, ref;
    sprox_rc_t        rc;
    sprox_chunk_t    *chunk;
    sprox_object_t    o, got;
    sprox_catalog_t  *cat;

    (void) state;

    cat = make(SPROX_CATALOG_SIZE_MIN);
    s = space(cat, "s");
    s2 = space(cat, "s2");

    put_size(cat, s2, "keep", 5, 1);
    keep = cat->newest;
    (void) open_region(cat, s2, "keep");
    put_size(cat, s2, "keep", 5, 2);
    (void) open_region(cat, s, "");

    /* the test has the eighth that regions may not hold, and more: as chunks
       of what is never evicted */

    for (n = 0; n < 40; n++) {
        ref = sprox_arena_alloc(cat, &cat->arena, 256, 0);
        assert_int_not_equal(ref, 0);
        chunk = sprox_unit(cat, ref);
        chunk->owner = keep;
    }

    i = 0;

    do {
        o = object(MD5, 12, 1);
        rc = sprox_catalog_put_locked(cat, s, numbered(i++), &o);
    } while (rc == SPROX_OK);

    /* no room but what is held: it is told, and what is known stays right */

    assert_int_equal(rc, SPROX_FULL);
    assert_in_range(i, 500, 1000);
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


static sprox_rc_t
on_region(void *data, sprox_str_t prefix, const sprox_region_t *r)
{
    char  *text = data;

    sprintf(text + strlen(text), "%.*s:%u,", (int) prefix.len, prefix.data,
            (unsigned) r->objects);

    return prefix.len == 3 ? SPROX_LIMIT : SPROX_OK;
}


static void
test_visit(void **state)
{
    char              text[64];
    uint32_t          s;
    sprox_catalog_t  *cat;

    (void) state;

    cat = make(SPROX_CATALOG_SIZE_MIN);
    s = space(cat, "s");
    text[0] = '\0';
    assert_int_equal(sprox_catalog_regions_locked(cat, s, on_region, text),
                     SPROX_DONE);
    (void) open_region(cat, s, "b/");
    (void) open_region(cat, s, "a/");
    (void) open_region(cat, s, "");
    put_size(cat, s, "b/1", 3, 1);
    assert_int_equal(sprox_catalog_regions_locked(cat, s, on_region, text),
                     SPROX_DONE);
    assert_string_equal(text, ":1,a/:0,b/:1,");

    (void) open_region(cat, s, "a/a");
    text[0] = '\0';
    assert_int_equal(sprox_catalog_regions_locked(cat, s, on_region, text),
                     SPROX_LIMIT);
    assert_string_equal(text, ":1,a/:0,a/a:0,");
    assert_int_equal(sprox_catalog_regions_locked(cat, s + 1, on_region,
                                                  text), SPROX_NOT_FOUND);

    free(cat);
}


/* What a page did not confirm is gone; what was told since is not. */

static void
test_sweep(void **state)
{
    char                     key[16];
    unsigned                 i, n;
    uint32_t                 s;
    uint64_t                 removed;
    sprox_object_t           o;
    sprox_catalog_t         *cat;
    sprox_catalog_cursor_t   cursor;

    (void) state;

    for (n = 1; n < 100; n += 9) {
        cat = make(SPROX_CATALOG_SIZE_MIN);
        s = space(cat, "s");
        (void) open_region(cat, s, "a/");

        for (i = 0; i < 40; i++) {
            snprintf(key, sizeof(key), "%c/%02u", "ab"[i % 2], i / 2);
            put_size(cat, s, key, 1, 10 + i % 3);
        }

        put_size(cat, s, "", 1, 1);
        put_size(cat, s, "a/05x", 0, 1);
        put_size(cat, s, "a/06x", 1, 1);
        assert_int_equal(sprox_catalog_doubt_locked(cat, s, S("a/06x"), 20),
                         SPROX_OK);

        /* a/ from behind 03 to 15: i = 8, 10, ... 30, without i % 3 == 2 */

        removed = 0;
        sprox_catalog_cursor_init(&cursor, S("a/"), S(""), S("a/03"));

        while (sprox_catalog_sweep_locked(cat, s, &cursor, S("a/15"), 12, n,
                                          &removed) == SPROX_AGAIN)
        {
            check(cat);
        }

        assert_int_equal(removed, 8);
        assert_counts(cat, s, "a/", 13, 13);
        check(cat);

        for (i = 0; i < 20; i++) {
            snprintf(key, sizeof(key), "a/%02u", i);
            assert_int_equal(sprox_catalog_get_locked(cat, s,
                                 sprox_str_make(key, 4), &o, buf),
                             i > 3 && i <= 15 && 2 * i % 3 != 2
                             ? SPROX_NOT_FOUND : SPROX_OK);
        }

        /* all, but what is doubted since, absent, or no object */

        removed = 0;
        sprox_catalog_cursor_init(&cursor, S(""), S(""), S(""));

        while (sprox_catalog_sweep_locked(cat, s, &cursor, S(""), 20, n,
                                          &removed) == SPROX_AGAIN)
        {
            check(cat);
        }

        assert_int_equal(removed, 32);
        assert_counts(cat, s, "a/", 1, 1);
        assert_int_equal(sprox_catalog_get_locked(cat, s, S("a/05x"), &o,
                                                  buf), SPROX_OK);
        assert_int_equal(sprox_catalog_get_locked(cat, s, S(""), &o, buf),
                         SPROX_OK);
        check(cat);
        assert_int_equal(sprox_catalog_sweep_locked(cat, s + 1, &cursor,
                                                    S(""), 20, n, &removed),
                         SPROX_NOT_FOUND);
        free(cat);
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_covered),
        cmocka_unit_test(test_cover),
        cmocka_unit_test(test_held),
        cmocka_unit_test(test_release),
        cmocka_unit_test(test_overflow),
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_no_room),
        cmocka_unit_test(test_visit),
        cmocka_unit_test(test_sweep),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
