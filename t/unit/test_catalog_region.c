/*
 * Regions of the catalog: what they count and cover, and sweeps.
 * test_catalog_held.c is about the room that they take, test_catalog_model.c
 * has them at random.
 */

#include "unit_region.h"


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


typedef struct {
    const char  *text;               /* NAME:PREFIX,... */
    unsigned     asked;
} wants_t;


static int
wants(void *data, sprox_str_t name, sprox_str_t prefix)
{
    char      text[32];
    wants_t  *w = data;

    w->asked++;

    snprintf(text, sizeof(text), "%.*s:%.*s,", (int) name.len, name.data,
             (int) prefix.len, prefix.data);

    return strstr(w->text, text) != NULL;
}


/* What nobody wants goes, with what it held; and its memory is used again. */

static void
test_keep(void **state)
{
    unsigned               i;
    uint32_t               s, t, steps;
    uint64_t               used;
    wants_t                w;
    sprox_catalog_t       *cat;
    sprox_catalog_keep_t   at;

    (void) state;

    cat = make(SPROX_CATALOG_SIZE_MIN);
    s = space(cat, "s");
    (void) space(cat, "none");
    t = space(cat, "t");
    used = 0;

    w.text = "s:a/,t:,t:b/c,";

    for (i = 0; i < 200; i++) {
        w.asked = 0;

        (void) open_region(cat, s, "");
        (void) open_region(cat, s, "a/");
        (void) open_region(cat, s, "b/");
        (void) open_region(cat, t, "");
        (void) open_region(cat, t, "b/");
        put_size(cat, s, "a/1", 3, 1);
        put_size(cat, s, "b/1", 3, 1);
        put_size(cat, s, "c/1", 3, 1);
        put_size(cat, t, "b/1", 3, 1);
        assert_int_equal(cat->held, 4);

        memset(&at, 0, sizeof(at));

        for (steps = 1; sprox_catalog_regions_keep_locked(cat, &at, 1, wants,
                                                          &w) == SPROX_AGAIN;
             steps++)
        {
            check(cat);
        }

        assert_int_equal(steps, 5);
        assert_int_equal(w.asked, 5);
        assert_int_equal(cat->regions, 2);

        while (sprox_catalog_release_locked(cat, 2) == SPROX_AGAIN) {
            check(cat);
        }

        check(cat);
        assert_int_equal(cat->held, 2);
        assert_counts(cat, s, "a/", 1, 3);
        assert_counts(cat, t, "", 1, 3);

        if (i == 1) {
            used = cat->spaces_next;

        } else if (i > 1) {
            assert_int_equal(cat->spaces_next, used);
        }
    }

    free(cat);
}


/* Of very many in one space, a few each time: each once, half of them go. */

static int
wants_odd(void *data, sprox_str_t name, sprox_str_t prefix)
{
    wants_t  *w = data;

    (void) name;

    w->asked++;

    return prefix.len && (prefix.data[prefix.len - 1] & 1);
}


static void
test_keep_in_steps(void **state)
{
    char                   prefix[8];
    uint32_t               s, t, i, all, left;
    wants_t                w;
    sprox_rc_t             rc;
    sprox_catalog_t       *cat;
    sprox_catalog_keep_t   at;

    (void) state;

    cat = make(32 * SPROX_CATALOG_SIZE_MIN);
    s = space(cat, "s");
    t = space(cat, "t");

    for (i = 0; i < 1000; i++) {
        snprintf(prefix, sizeof(prefix), "%04u", i);
        (void) open_region(cat, s, prefix);
    }

    (void) open_region(cat, s, "");
    (void) open_region(cat, t, "1");
    assert_int_equal(cat->regions, 1002);

    memset(&at, 0, sizeof(at));
    all = 0;

    do {
        w.asked = 0;
        rc = sprox_catalog_regions_keep_locked(cat, &at, 16, wants_odd, &w);

        all += w.asked;
        left = 1002 - all;

        assert_int_equal(w.asked, rc == SPROX_AGAIN ? 16 : 1002 % 16);
        assert_int_equal(rc, left ? SPROX_AGAIN : SPROX_DONE);
        check(cat);

    } while (rc == SPROX_AGAIN);

    assert_int_equal(cat->regions, 501);
    assert_int_equal(sprox_catalog_regions_keep_locked(cat, &at, 16,
                                                       wants_odd, &w),
                     SPROX_DONE);
    assert_int_equal(w.asked, 1002 % 16);

    /* who was killed while it moved begins the space again */

    at.spaces = 0;
    at.len = 0;
    w.asked = 0;

    while (sprox_catalog_regions_keep_locked(cat, &at, 16, wants_odd, &w)
           == SPROX_AGAIN)
    { /* void */ }

    assert_int_equal(w.asked, 501);
    assert_int_equal(cat->regions, 501);

    while (sprox_catalog_release_locked(cat, 16) == SPROX_AGAIN) {
        check(cat);
    }

    check(cat);
    free(cat);
}


/* Behind a common prefix: nothing below it, and all behind it. */

static void
test_sweep_past(void **state)
{
    uint32_t                 s;
    uint64_t                 removed;
    sprox_object_t           o;
    sprox_catalog_t         *cat;
    sprox_catalog_cursor_t   cursor;

    (void) state;

    cat = make(SPROX_CATALOG_SIZE_MIN);
    s = space(cat, "s");
    put_size(cat, s, "a/1", 1, 1);
    put_size(cat, s, "b", 1, 9);
    put_size(cat, s, "b1", 1, 1);

    removed = 0;
    sprox_catalog_cursor_init(&cursor, S(""), S("/"), S("a/"));
    assert_int_equal(sprox_catalog_sweep_locked(cat, s, &cursor, S(""), 5, 0,
                                                &removed), SPROX_AGAIN);
    assert_int_equal(sprox_catalog_sweep_locked(cat, s, &cursor, S(""), 5, 1,
                                                &removed), SPROX_AGAIN);
    assert_int_equal(removed, 0);
    assert_int_equal(sprox_catalog_sweep_locked(cat, s, &cursor, S(""), 5, 1,
                                                &removed), SPROX_DONE);
    assert_int_equal(removed, 1);
    assert_int_equal(sprox_catalog_get_locked(cat, s, S("a/1"), &o, buf),
                     SPROX_OK);
    check(cat);

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


/* What a sweep leaves is held and counted by regions that came after it. */

static void
test_sweep_holds(void **state)
{
    uint32_t                 s;
    uint64_t                 removed;
    sprox_catalog_t         *cat;
    sprox_catalog_cursor_t   cursor;

    (void) state;

    cat = make(SPROX_CATALOG_SIZE_MIN);
    s = space(cat, "s");

    put_size(cat, s, "a/1", 5, 10);
    (void) open_region(cat, s, "a/");
    put_size(cat, s, "a/2", 7, 10);
    (void) open_region(cat, s, "");
    put_size(cat, s, "b", 11, 10);

    assert_counts(cat, s, "a/", 1, 7);
    assert_counts(cat, s, "", 1, 11);
    assert_int_equal(held(cat), 2);

    removed = 0;
    sprox_catalog_cursor_init(&cursor, S("a/"), S(""), S(""));
    assert_int_equal(sprox_catalog_sweep_locked(cat, s, &cursor, S(""), 10,
                                                100, &removed), SPROX_DONE);
    check(cat);
    assert_int_equal(removed, 0);
    assert_int_equal(held(cat), 3);
    assert_counts(cat, s, "a/", 2, 12);
    assert_counts(cat, s, "", 3, 23);

    free(cat);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_covered),
        cmocka_unit_test(test_cover),
        cmocka_unit_test(test_visit),
        cmocka_unit_test(test_keep),
        cmocka_unit_test(test_keep_in_steps),
        cmocka_unit_test(test_sweep_past),
        cmocka_unit_test(test_sweep),
        cmocka_unit_test(test_sweep_holds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
