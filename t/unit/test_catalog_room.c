/*
 * The catalog without room, at another address, after a killed process, and
 * larger than 4 GiB.
 */

#include "unit_catalog.h"

#include <sys/mman.h>


static sprox_rc_t
on_object(void *data, sprox_str_t key, const sprox_object_t *o)
{
    size_t  *n = data;

    assert_int_equal(o->size, key.len);
    (*n)++;

    return SPROX_OK;
}


/* The least recently used goes; get and put use, a scan does not. */

static void
test_evict(void **state)
{
    size_t                 seen;
    unsigned               i, n;
    uint32_t               s, s2;
    sprox_object_t         o;
    sprox_catalog_t       *cat;
    sprox_catalog_stats_t  st;

    (void) state;

    cat = make(SPROX_CATALOG_SIZE_MIN);
    s = space(cat, "s");
    s2 = space(cat, "s2");

    for (n = 0; /* void */ ; n++) {
        o = object(MD5, 12, 1);
        sprox_catalog_put_locked(cat, n & 1 ? s2 : s, numbered(n), &o);
        sprox_catalog_stats_locked(cat, &st);

        if (st.evicted) {
            break;
        }
    }

    assert_in_range(n, 2000, 3000);
    assert_int_equal(st.evicted, 1);
    assert_int_equal(sprox_catalog_get_locked(cat, s, numbered(0), &o, buf),
                     SPROX_NOT_FOUND);

    /* 1 is got, 2 is put, 3 is only scanned */

    assert_int_equal(sprox_catalog_get_locked(cat, s2, numbered(1), &o, buf),
                     SPROX_OK);
    o = object(MD5, 12, 0);
    assert_int_equal(sprox_catalog_put_locked(cat, s, numbered(2), &o),
                     SPROX_OK);
    seen = 0;
    walk(cat, s2, numbered(3), S(""), 1, on_object, &seen);
    assert_int_equal(seen, 1);

    for (i = 1; i <= 100; i++) {
        o = object(MD5, 12, 1);
        assert_int_equal(sprox_catalog_put_locked(cat, s, numbered(n + i),
                                                  &o), SPROX_OK);
    }

    check(cat);
    sprox_catalog_stats_locked(cat, &st);
    assert_int_equal(st.evicted, 101);

    assert_int_equal(sprox_catalog_get_locked(cat, s2, numbered(1), &o, buf),
                     SPROX_OK);
    assert_int_equal(sprox_catalog_get_locked(cat, s, numbered(2), &o, buf),
                     SPROX_OK);

    for (i = 3; i <= 102; i++) {
        assert_int_equal(sprox_catalog_get_locked(cat, i & 1 ? s2 : s,
                                                  numbered(i), &o, buf),
                         SPROX_NOT_FOUND);
    }

    assert_int_equal(sprox_catalog_get_locked(cat, s2, numbered(103), &o,
                                              buf), SPROX_OK);

    free(cat);
}


/*
 * A long record in a zone of short ones, whose oldest lie anywhere: it must
 * fit, and must not cost the zone.
 */

static void
test_evict_long(void **state)
{
    unsigned               i, n, seed;
    uint32_t               s;
    uint64_t               before;
    sprox_object_t         o;
    sprox_catalog_t       *cat;
    sprox_catalog_stats_t  st;

    (void) state;

    cat = make(1024 * 1024);
    s = space(cat, "s");
    seed = 1;

    for (n = 0; n < 50000; n++) {
        seed = seed * 1103515245 + 12345;
        o = object(n % 3 ? MD5 : "", 12, 1);
        sprox_catalog_put_locked(cat, s, numbered((seed >> 8) % 100000), &o);
    }

    for (i = 0; i < 50; i++) {
        seed = seed * 1103515245 + 12345;

        sprox_catalog_stats_locked(cat, &st);
        before = st.evicted;

        o = object("", 1, 1);
        o.etag = filled('e', SPROX_ETAG_MAX);
        o.headers = filled('e', SPROX_HEADERS_MAX);
        o.headed = 1;
        assert_int_equal(sprox_catalog_put_locked(cat, s,
                             filled('a' + (int) (i % 26),
                                    SPROX_KEY_MAX - i / 26), &o), SPROX_OK);
        check(cat);

        /* 9.6 KB in the place of records of 80 and 96 bytes: about 110 */

        sprox_catalog_stats_locked(cat, &st);
        assert_true(st.evicted - before < 1000);

        o = object(MD5, 12, 1);
        sprox_catalog_put_locked(cat, s, numbered((seed >> 8) % 100000), &o);
    }

    free(cat);
}


/* Only the largest of records, in the smallest of zones. */

static void
test_full(void **state)
{
    unsigned          i;
    uint32_t          s;
    sprox_object_t    o;
    sprox_catalog_t  *cat;

    (void) state;

    cat = make(SPROX_CATALOG_SIZE_MIN);
    s = space(cat, "s");

    for (i = 0; i < 500; i++) {
        o = object("", i, i);
        o.etag = filled('e', i * 37 % (SPROX_ETAG_MAX + 1));
        o.headers = filled('h', SPROX_HEADERS_MAX - i % 7);
        o.version = filled('v', SPROX_VERSION_MAX - i % 3);
        o.headed = 1;

        assert_int_equal(sprox_catalog_put_locked(cat, s,
                             filled((int) (i % 60), SPROX_KEY_MAX), &o),
                         SPROX_OK);
        assert_int_equal(sprox_catalog_get_locked(cat, s,
                             filled((int) (i % 60), SPROX_KEY_MAX), &o, buf),
                         SPROX_OK);
        assert_int_equal(o.size, i);
        check(cat);
    }

    free(cat);
}


/*
 * What cannot fit, which takes an arena that is smaller than any real one:
 * the test holds most of it.
 */

static void
test_no_room(void **state)
{
    unsigned          i, n;
    uint32_t          s, used, rest, held[64];
    sprox_object_t    o, got;
    sprox_catalog_t  *cat;

    (void) state;

    cat = make(SPROX_CATALOG_SIZE_MIN);
    s = space(cat, "s");

    for (n = 0; n < 64; n++) {
        held[n] = sprox_arena_alloc(cat, &cat->arena, 256, 0);
        if (held[n] == 0) {
            break;
        }
    }

    assert_in_range(n, 50, 63);

    o = object(MD5, 1, 10);
    o.headed = 1;
    o.headers = S("a: b\r\n");
    assert_int_equal(sprox_catalog_put_locked(cat, s, S("k"), &o), SPROX_OK);
    assert_int_equal(sprox_catalog_put_locked(cat, s, S("l"), &o), SPROX_OK);

    /* the same version: what was known stays; all others went */

    o.proved = 20;
    o.version = filled('v', SPROX_VERSION_MAX);
    o.headers = filled('h', SPROX_HEADERS_MAX);
    assert_int_equal(sprox_catalog_put_locked(cat, s, S("k"), &o),
                     SPROX_FULL);
    assert_int_equal(sprox_catalog_get_locked(cat, s, S("k"), &got, buf),
                     SPROX_OK);
    assert_int_equal(got.proved, 10);
    assert_int_equal(got.version.len, 0);
    assert_str(got.headers, "a: b\r\n");
    assert_int_equal(sprox_catalog_get_locked(cat, s, S("l"), &got, buf),
                     SPROX_NOT_FOUND);

    /* the same, where the record itself is written anew */

    o.storage_class = filled('c', SPROX_CLASS_MAX);
    assert_int_equal(sprox_catalog_put_locked(cat, s, S("k"), &o),
                     SPROX_FULL);
    assert_int_equal(sprox_catalog_get_locked(cat, s, S("k"), &got, buf),
                     SPROX_OK);
    assert_int_equal(got.storage_class.len, 0);

    /* another version: it is forgotten; then one that is new */

    o.size = 2;
    assert_int_equal(sprox_catalog_put_locked(cat, s, S("k"), &o),
                     SPROX_FULL);
    assert_int_equal(sprox_catalog_get_locked(cat, s, S("k"), &got, buf),
                     SPROX_NOT_FOUND);
    assert_int_equal(sprox_catalog_put_locked(cat, s, S("k"), &o),
                     SPROX_FULL);
    assert_int_equal(sprox_catalog_get_locked(cat, s, S("k"), &got, buf),
                     SPROX_NOT_FOUND);

    /* not even room for a record */

    rest = 0;
    used = cat->arena.used;

    while (sprox_arena_alloc(cat, &cat->arena, 1, 0)) {
        rest++;
    }

    assert_int_equal(used, n * 256);
    assert_int_equal(used + rest, cat->arena.end - cat->arena.first);

    o = object(MD5, 1, 10);
    assert_int_equal(sprox_catalog_put_locked(cat, s, S("k"), &o),
                     SPROX_FULL);

    for (i = 0; i < n; i++) {
        assert_int_equal(sprox_arena_units(cat, held[i]), 256);
        (void) sprox_arena_free(cat, &cat->arena, held[i]);
    }

    assert_null(sprox_arena_check(cat, &cat->arena));

    assert_int_equal(sprox_catalog_put_locked(cat, s, S("k"), &o), SPROX_OK);

    free(cat);
}


/* Another process has the memory elsewhere. */

static void
test_move(void **state)
{
    size_t            size = SPROX_CATALOG_SIZE_MIN;
    unsigned          i;
    uint32_t          s;
    sprox_object_t    o;
    sprox_catalog_t  *cat, *moved;

    (void) state;

    cat = make(size);
    s = space(cat, "s");

    for (i = 0; i < 5000; i++) {
        o = object(MD5, i, 1);
        o.headed = 1;
        o.headers = filled('h', i % 400);
        assert_int_equal(sprox_catalog_put_locked(cat, s, numbered(i), &o),
                         SPROX_OK);

        if (i % 1000 == 999) {
            moved = malloc(size);
            memcpy(moved, cat, size);
            memset(cat, 0xee, size);
            free(cat);

            cat = sprox_catalog_attach(moved, size);
            assert_non_null(cat);
            check(cat);
            assert_int_equal(sprox_catalog_get_locked(cat, s, numbered(i), &o,
                                                      buf), SPROX_OK);
            assert_int_equal(o.size, i);
            assert_int_equal(o.headers.len, i % 400);
        }
    }

    free(cat);
}


/* Each entry finds the mark, and empties the catalog before it does more. */

static void
test_mark(void **state)
{
    unsigned               i, n;
    uint32_t               s;
    uint64_t               epoch;
    sprox_object_t         o;
    sprox_catalog_t       *cat;
    sprox_catalog_stats_t  st;

    (void) state;

    cat = make(SPROX_CATALOG_SIZE_MIN);
    epoch = sprox_catalog_epoch_locked(cat);

    for (i = 0; i < 7; i++) {
        s = space(cat, "s");

        for (n = 0; n < 100; n++) {
            o = object(MD5, 1, 1);
            assert_int_equal(sprox_catalog_put_locked(cat, s, numbered(n),
                                                      &o), SPROX_OK);
        }

        /* as a killed process leaves it */

        sprox_record(cat, cat->newest)->node.link[0] = 0xdeadbeef;
        cat->arena.lists[3][3] = 0xdeadbeef;
        cat->arena.sl_map[3] = 0xffff;
        cat->oldest = 0xdeadbeef;
        cat->changing = 1;

        switch (i) {

        case 0:
            assert_int_equal(sprox_catalog_get_locked(cat, s, numbered(1), &o,
                                                      buf), SPROX_NOT_FOUND);
            break;

        case 1:
            assert_int_equal(sprox_catalog_put_locked(cat, s, numbered(1),
                                                      &o), SPROX_NOT_FOUND);
            break;

        case 2:
            assert_int_equal(sprox_catalog_remove_locked(cat, s, numbered(1)),
                             SPROX_NOT_FOUND);
            break;

        case 3:
            assert_int_equal(walk(cat, s, S(""), S(""), 9, on_object, NULL),
                             SPROX_NOT_FOUND);
            break;

        case 4:
            assert_int_equal(sprox_catalog_space_locked(cat, S("s"), 0, &s),
                             SPROX_NOT_FOUND);
            break;

        case 5:
            sprox_catalog_stats_locked(cat, &st);
            assert_int_equal(st.objects, 0);
            break;

        default:
            (void) sprox_catalog_epoch_locked(cat);
        }

        check(cat);
        assert_int_equal(sprox_catalog_epoch_locked(cat), epoch + i + 1);

        sprox_catalog_stats_locked(cat, &st);
        assert_int_equal(st.objects, 0);
        assert_int_equal(st.emptied, i + 1);
    }

    free(cat);
}


/* Refs beyond 4 GiB, and more memory than one block can say. */

static void
test_huge(void **state)
{
    void             *m;
    size_t            size;
    unsigned          i;
    uint32_t          s;
    sprox_object_t    o;
    sprox_catalog_t  *cat;

    (void) state;

    size = (size_t) 70 * 1024 * 1024 * 1024;

    m = mmap(NULL, size, PROT_READ|PROT_WRITE,
             MAP_PRIVATE|MAP_ANONYMOUS|MAP_NORESERVE, -1, 0);
    if (m == MAP_FAILED) {
        skip();
    }

    cat = sprox_catalog_create(m, size);
    assert_non_null(cat);
    s = space(cat, "s");
    check(cat);

    for (i = 0; i < 1000; i++) {
        o = object(MD5, i, 1);
        assert_int_equal(sprox_catalog_put_locked(cat, s, numbered(i), &o),
                         SPROX_OK);
    }

    check(cat);

    /* the list's first free block is its last */
    assert_true((size_t) cat->newest * SPROX_UNIT > (size_t) 1 << 32);

    for (i = 0; i < 1000; i++) {
        assert_int_equal(sprox_catalog_get_locked(cat, s, numbered(i), &o,
                                                  buf), SPROX_OK);
        assert_int_equal(o.size, i);
        assert_int_equal(sprox_catalog_remove_locked(cat, s, numbered(i)),
                         SPROX_OK);
    }

    check(cat);
    munmap(m, size);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_evict),
        cmocka_unit_test(test_evict_long),
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_no_room),
        cmocka_unit_test(test_move),
        cmocka_unit_test(test_mark),
        cmocka_unit_test(test_huge),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
