/*
 * Bans and regions in snapshots: what was complete is so again, where that
 * is true, and what was banned stays so.
 */

#include "unit_snapshot.h"


#define CRAWLED  (NOW - 1000)


static sprox_region_t
region(sprox_catalog_t *cat, const char *name, const char *prefix)
{
    sprox_region_t  r;

    assert_int_equal(sprox_catalog_region_get_locked(cat, space(cat, name),
                                                     str(prefix), &r),
                     SPROX_OK);
    return r;
}


static uint32_t
open_region(sprox_catalog_t *cat, const char *name, const char *prefix)
{
    uint32_t  id;

    assert_int_equal(sprox_catalog_region_open_locked(cat, space(cat, name),
                                                      str(prefix), &id),
                     SPROX_OK);
    return id;
}


static void
complete(sprox_catalog_t *cat, const char *name, const char *prefix,
    int64_t crawled)
{
    assert_int_equal(sprox_catalog_region_complete_locked(cat,
                         space(cat, name), str(prefix),
                         open_region(cat, name, prefix), crawled), SPROX_OK);
}


static void
put_keys(sprox_catalog_t *cat, const char *name, const char *prefix,
    unsigned n, int64_t proved)
{
    char            key[64];
    unsigned        i;
    sprox_object_t  o;

    o = object(MD5, 10, proved);
    o.listed = 1;

    for (i = 0; i < n; i++) {
        snprintf(key, sizeof(key), "%s%05u", prefix, i);
        put(cat, name, key, &o);
    }
}


static int
is_covered(sprox_catalog_t *cat, const char *name, const char *prefix)
{
    int64_t  crawled;

    return sprox_catalog_covered_locked(cat, space(cat, name), str(prefix),
                                        &crawled) == SPROX_OK;
}


static void
load_all(sprox_catalog_t *cat)
{
    sprox_snapshot_reader_t  r;

    assert_int_equal(load(&r, sprox_buf_get(&file), 1000, cat, 7),
                     SPROX_DONE);
    check(cat);
}


static void
ban(sprox_catalog_t *cat, const char *name, const char *prefix, int64_t time)
{
    uint64_t     id;
    sprox_ban_t  b;

    memset(&b, 0, sizeof(b));
    b.time = time;

    if (name == NULL) {
        b.all = 1;

    } else {
        b.name = str(name);
        b.prefix = str(prefix);
    }

    assert_int_equal(sprox_catalog_ban_locked(cat, &b, &id), SPROX_OK);
}


typedef struct {
    char      text[4096];
    uint64_t  ids[64];
    unsigned  n;
} bans_t;


static sprox_rc_t
on_ban(void *data, const sprox_ban_t *b)
{
    size_t   len;
    bans_t  *bans = data;

    len = strlen(bans->text);
    snprintf(bans->text + len, sizeof(bans->text) - len, "%d %.*s %.*s %ld\n",
             b->all, (int) b->name.len, (const char *) b->name.data,
             (int) b->prefix.len, (const char *) b->prefix.data,
             (long) b->time);
    bans->ids[bans->n++] = b->id;

    return SPROX_OK;
}


static void
list_bans(sprox_catalog_t *cat, bans_t *bans)
{
    memset(bans, 0, sizeof(bans_t));
    assert_int_equal(sprox_catalog_bans_locked(cat, on_ban, bans),
                     SPROX_DONE);
}


static void
test_bans(void **state)
{
    size_t            n;
    bans_t            want, got;
    sprox_object_t    o;
    sprox_catalog_t  *a, *b;

    static const size_t  steps[] = { 1, 2, 5, ALL };

    (void) state;

    a = make(SIZE);

    put_keys(a, "s", "a/", 20, NOW - 6);
    put_keys(a, "s", "b/", 20, NOW - 6);

    ban(a, "s", "a/", NOW - 5);
    ban(a, "s", "a", NOW - 7);
    ban(a, "s", "", NOW - 9);
    ban(a, "", "", NOW - 4);
    ban(a, "", "b", NOW - 3);
    ban(a, "t", "\xff", NOW - 4);
    ban(a, NULL, NULL, NOW - 20);

    list_bans(a, &want);
    assert_int_equal(want.n, 7);

    for (n = 0; n < sizeof(steps) / sizeof(steps[0]); n++) {
        b = make(SIZE);

        assert_int_equal(save(a, steps[n]).bans, 7);
        load_all(b);
        list_bans(b, &got);
        assert_string_equal(got.text, want.text);
        assert_int_equal(b->objects, 20);
        assert_int_equal(sprox_catalog_get_locked(b, space(b, "s"),
                             S("a/00001"), &o, buf), SPROX_NOT_FOUND);

        /* once more: they stay whose they are */

        want = got;
        load_all(b);
        list_bans(b, &got);
        assert_memory_equal(&got, &want, sizeof(got));

        free(b);
    }

    free(a);
}


/* Of a clock that was ahead: it is one of now, and no later. */

static void
test_bans_of_the_future(void **state)
{
    sprox_object_t    o;
    sprox_catalog_t  *a, *b;

    (void) state;

    a = make(SIZE);
    b = make(SIZE);

    ban(a, "s", "a/", NOW + 5000);
    put_keys(b, "s", "a/", 1, NOW - 1);

    save(a, ALL);
    load_all(b);

    assert_int_equal(sprox_catalog_get_locked(b, space(b, "s"), S("a/00000"),
                                              &o, buf), SPROX_NOT_FOUND);

    put_keys(b, "s", "a/", 1, NOW);
    assert_int_equal(sprox_catalog_get_locked(b, space(b, "s"), S("a/00000"),
                                              &o, buf), SPROX_OK);

    free(a);
    free(b);
}


static void
test_bans_of_a_live_catalog(void **state)
{
    bans_t            bans;
    sprox_catalog_t  *a, *b;

    (void) state;

    a = make(SIZE);
    b = make(SIZE);

    ban(a, "s", "later/", NOW - 1);
    ban(a, "s", "earlier/", NOW - 5);
    ban(a, "s", "inside/x/", NOW - 5);
    ban(a, "s", "new/", NOW - 5);
    put_keys(b, "s", "new/", 3, NOW - 6);
    put_keys(b, "s", "newer/", 3, NOW - 6);
    ban(b, "s", "later/", NOW - 5);
    ban(b, "s", "earlier/", NOW - 1);
    ban(b, "s", "inside/", NOW - 5);

    save(a, ALL);
    load_all(b);
    list_bans(b, &bans);

    assert_string_equal(bans.text, "0 s earlier/ 1799999999999\n"
                                   "0 s inside/ 1799999999995\n"
                                   "0 s later/ 1799999999999\n"
                                   "0 s new/ 1799999999995\n");
    assert_int_equal(sprox_catalog_banned_locked(b, S("s"), S("new/1"),
                                                 NOW - 6), 1);
    free(a);
    free(b);
}


static void
fill_regions(sprox_catalog_t *cat)
{
    open_region(cat, "s", "a/");
    open_region(cat, "s", "a/b/");
    open_region(cat, "t", "");
    open_region(cat, "t", "not/");
    open_region(cat, "void", "x/");

    put_keys(cat, "s", "a/", 30, CRAWLED);
    put_keys(cat, "s", "a/b/", 40, CRAWLED + 1);
    put_keys(cat, "s", "c/", 50, CRAWLED - 1);
    put_keys(cat, "t", "", 60, CRAWLED + 7);

    complete(cat, "s", "a/", CRAWLED);
    complete(cat, "s", "a/b/", CRAWLED + 1);
    complete(cat, "t", "", CRAWLED + 7);
    complete(cat, "void", "x/", CRAWLED);
}


static void
test_regions(void **state)
{
    size_t                    n;
    sprox_region_t            r;
    sprox_catalog_t          *a, *b;
    sprox_snapshot_counts_t   counts;

    static const size_t  steps[] = { 1, 3, ALL };

    (void) state;

    for (n = 0; n < sizeof(steps) / sizeof(steps[0]); n++) {
        a = make(SIZE);
        b = make(SIZE);
        fill_regions(a);

        counts = save(a, steps[n]);
        assert_int_equal(counts.regions, 4);
        assert_int_equal(counts.spaces, 3);

        load_all(b);

        r = region(b, "s", "a/");
        assert_int_equal(r.complete, 1);
        assert_int_equal(r.crawled, CRAWLED);
        assert_int_equal(r.objects, 70);
        assert_int_equal(r.bytes, 700);

        r = region(b, "s", "a/b/");
        assert_int_equal(r.complete, 1);
        assert_int_equal(r.crawled, CRAWLED + 1);
        assert_int_equal(r.objects, 40);

        assert_int_equal(region(b, "t", "").objects, 60);
        assert_int_equal(region(b, "void", "x/").complete, 1);
        assert_int_equal(region(b, "void", "x/").objects, 0);
        assert_int_equal(b->regions, 4);
        assert_int_equal(b->held, 130);
        assert_int_equal(b->objects, 180);

        assert_true(is_covered(b, "s", "a/b/c"));
        assert_false(is_covered(b, "s", "c/"));

        free(a);
        free(b);
    }
}


static sprox_rc_t
tell_owner(sprox_catalog_t *cat, const char *name, const char *prefix,
    const char *id, const char *owner)
{
    sprox_owner_t  o;

    o.id = str(id);
    o.name = str(owner);

    return sprox_catalog_region_owner_locked(cat, space(cat, name),
                                             str(prefix),
                                             open_region(cat, name, prefix),
                                             CRAWLED, &o);
}


/* id NULL: there is not one. */

static void
assert_owner(sprox_catalog_t *cat, const char *name, const char *prefix,
    const char *id, const char *owner)
{
    uint8_t        text[SPROX_OWNER_BUF];
    sprox_rc_t     rc;
    sprox_owner_t  o;

    rc = sprox_catalog_owner_locked(cat, space(cat, name), str(prefix), &o,
                                    text);

    assert_int_equal(rc, id ? SPROX_OK : SPROX_NOT_FOUND);

    if (id) {
        assert_true(sprox_str_eq(o.id, str(id)));
        assert_true(sprox_str_eq(o.name, str(owner)));
    }
}


static void
test_owners(void **state)
{
    sprox_catalog_t  *a, *b;

    (void) state;

    a = make(SIZE);
    b = make(SIZE);

    assert_int_equal(tell_owner(a, "s", "a/", "f00d", "F00D"), SPROX_OK);
    assert_int_equal(tell_owner(a, "s", "b/", "f00d", ""), SPROX_OK);
    assert_int_equal(tell_owner(a, "s", "b/", "cafe", ""), SPROX_DONE);
    assert_int_equal(tell_owner(a, "t", "", "", ""), SPROX_OK);

    complete(a, "s", "a/", CRAWLED);
    complete(a, "s", "b/", CRAWLED);
    complete(a, "s", "c/", CRAWLED);
    complete(a, "t", "", CRAWLED);

    assert_int_equal(save(a, 1).regions, 4);
    load_all(b);

    assert_owner(b, "s", "a/", "f00d", "F00D");
    assert_owner(b, "s", "b/", NULL, NULL);
    assert_owner(b, "s", "c/", NULL, NULL);
    assert_owner(b, "t", "", "", "");
    assert_int_equal(region(b, "s", "c/").complete, 1);

    /* where another crawl is under way, it tells */

    free(b);
    b = make(SIZE);
    assert_int_equal(sprox_catalog_region_owner_locked(b, space(b, "s"),
                         S("a/"), open_region(b, "s", "a/"), CRAWLED + 1,
                         &(sprox_owner_t) { S("cafe"), S("") }), SPROX_OK);
    load_all(b);
    assert_int_equal(region(b, "s", "a/").complete, 1);
    assert_owner(b, "s", "a/", NULL, NULL);
    complete(b, "s", "a/", CRAWLED + 1);
    assert_owner(b, "s", "a/", "cafe", "");

    free(a);
    free(b);
}


static int
wants(void *data, sprox_str_t name, sprox_str_t prefix)
{
    (*(unsigned *) data)++;

    return sprox_str_eq(name, S("s")) && sprox_str_eq(prefix, S("a/"));
}


static void
test_regions_that_nobody_wants(void **state)
{
    unsigned          asked;
    sprox_catalog_t  *a, *b;

    (void) state;

    a = make(SIZE);
    b = make(SIZE);
    fill_regions(a);
    save(a, ALL);

    asked = 0;
    how.wanted = wants;
    how.data = &asked;
    load_all(b);
    how.wanted = NULL;

    assert_int_equal(asked, 4);
    assert_int_equal(b->regions, 1);
    assert_int_equal(b->held, 70);
    assert_int_equal(region(b, "s", "a/").complete, 1);
    assert_int_equal(b->objects, 180);

    free(a);
    free(b);
}


/* What somebody told of since is not known: another crawl has to tell. */

static void
test_doubted_regions(void **state)
{
    sprox_catalog_t  *a, *b;

    (void) state;

    a = make(SIZE);
    b = make(SIZE);
    fill_regions(a);
    save(a, ALL);

    how.doubted = 1;
    how.since = NOW;
    load_all(b);
    how.doubted = 0;

    assert_int_equal(b->regions, 4);
    assert_int_equal(b->complete, 0);
    assert_int_equal(b->held, 130);
    free(b);

    /* what somebody tells while it is read, is known here */

    b = make(SIZE);
    load_all(b);
    how.since = 0;

    assert_int_equal(b->complete, 4);
    assert_int_equal(b->held, 130);
    free(b);

    /* one that was crawled in the future was not */

    b = make(SIZE);
    how.now = CRAWLED;
    load_all(b);
    how.now = NOW;
    assert_int_equal(region(b, "s", "a/").complete, 1);
    assert_int_equal(region(b, "s", "a/b/").complete, 0);
    free(b);

    free(a);
}


/*
 * A region must be the same, and complete, before its objects are walked
 * through and after that.
 */

static void
test_regions_that_change_meanwhile(void **state)
{
    unsigned                  i;
    sprox_rc_t                rc;
    sprox_catalog_t          *a, *b;
    sprox_snapshot_writer_t   w;

    (void) state;

    for (i = 0; i < 7; i++) {
        a = make(SIZE);
        b = make(SIZE);

        open_region(a, "s", "a/");
        put_keys(a, "s", "a/", 30, CRAWLED);

        if (i != 5) {
            complete(a, "s", "a/", CRAWLED);
        }

        file.len = 0;
        write_head(SPROX_SNAPSHOT_OPEN);
        sprox_snapshot_begin_locked(&w, a);

        do {
            rc = sprox_snapshot_write_locked(&w, a, 10, &file);

            if (w.counts.objects == 10) {
                switch (i) {

                case 1:
                    sprox_catalog_region_incomplete_locked(a, space(a, "s"),
                                                           S("a/"));
                    break;

                case 2:
                    sprox_catalog_region_drop_locked(a, space(a, "s"),
                                                     S("a/"));
                    break;

                case 3:
                    sprox_catalog_region_drop_locked(a, space(a, "s"),
                                                     S("a/"));
                    complete(a, "s", "a/", CRAWLED);
                    break;

                case 4:
                    complete(a, "s", "a/", CRAWLED + 1);
                    break;

                case 5:
                    complete(a, "s", "a/", CRAWLED);
                    break;

                case 6:
                    ban(a, "s", "a/0", NOW - 1);
                }
            }

        } while (rc == SPROX_AGAIN);

        assert_int_equal(rc, SPROX_DONE);

        load_all(b);
        assert_int_equal(is_covered(b, "s", "a/"), i == 0);
        assert_int_equal(b->objects, 30);

        free(a);
        free(b);
    }
}


/* What a client or an event told before the region was opened is held. */

static void
test_objects_that_were_there_before(void **state)
{
    sprox_object_t    o;
    sprox_catalog_t  *a, *b;

    (void) state;

    a = make(SIZE);
    b = make(SIZE);
    fill_regions(a);
    save(a, ALL);

    put_keys(b, "s", "a/new", 3, NOW - 1);
    put_keys(b, "s", "a/0000", 1, NOW - 1);
    put_keys(b, "s", "a/gone", 2, CRAWLED - 1);

    memset(&o, 0, sizeof(o));
    o.proved = NOW - 1;
    o.absent = 1;
    put(b, "s", "a/00001", &o);

    load_all(b);

    assert_int_equal(region(b, "s", "a/").complete, 1);
    assert_int_equal(region(b, "s", "a/").objects, 70 - 1 + 3 + 1);
    assert_int_equal(b->held, 130 - 1 + 3 + 1);

    free(a);
    free(b);
}


/* The old nginx has crawled once more: what it did not find has vanished. */

static void
test_merge_of_a_later_crawl(void **state)
{
    sprox_region_t    r;
    sprox_catalog_t  *a, *b;

    (void) state;

    a = make(SIZE);
    b = make(SIZE);

    open_region(b, "s", "a/");
    put_keys(b, "s", "a/", 30, CRAWLED);
    put_keys(b, "s", "a/new", 5, CRAWLED + 200);
    put_keys(b, "s", "b/", 5, CRAWLED);
    complete(b, "s", "a/", CRAWLED);

    open_region(a, "s", "a/");
    put_keys(a, "s", "a/", 20, CRAWLED + 100);
    complete(a, "s", "a/", CRAWLED + 100);

    save(a, ALL);
    load_all(b);

    r = region(b, "s", "a/");
    assert_int_equal(r.complete, 1);
    assert_int_equal(r.crawled, CRAWLED + 100);
    assert_int_equal(r.objects, 25);
    assert_int_equal(b->objects, 30);

    free(a);
    free(b);
}


/* This nginx has crawled since: what the file alone knows has vanished. */

static void
test_merge_of_an_earlier_crawl(void **state)
{
    sprox_region_t    r;
    sprox_catalog_t  *a, *b;

    (void) state;

    a = make(SIZE);
    b = make(SIZE);

    open_region(a, "s", "a/");
    put_keys(a, "s", "a/", 30, CRAWLED);
    put_keys(a, "s", "a/new", 5, CRAWLED + 200);
    put_keys(a, "s", "b/", 5, CRAWLED);
    complete(a, "s", "a/", CRAWLED);

    open_region(b, "s", "a/");
    put_keys(b, "s", "a/", 20, CRAWLED + 100);
    complete(b, "s", "a/", CRAWLED + 100);

    save(a, ALL);
    load_all(b);

    r = region(b, "s", "a/");
    assert_int_equal(r.complete, 1);
    assert_int_equal(r.crawled, CRAWLED + 100);
    assert_int_equal(r.objects, 25);
    assert_int_equal(b->objects, 30);

    free(a);
    free(b);
}


static void
test_region_that_does_not_fit(void **state)
{
    sprox_catalog_t  *a, *b;

    (void) state;

    a = make(8 * SIZE);
    b = make(SPROX_CATALOG_SIZE_MIN);

    open_region(a, "s", "");
    put_keys(a, "s", "k", 20000, CRAWLED);
    complete(a, "s", "", CRAWLED);

    save(a, 256);
    load_all(b);

    assert_int_equal(region(b, "s", "").complete, 0);
    assert_int_equal(region(b, "s", "").overflow, 1);
    assert_false(is_covered(b, "s", ""));

    free(a);
    free(b);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        test(test_bans),
        test(test_bans_of_the_future),
        test(test_bans_of_a_live_catalog),
        test(test_regions),
        test(test_owners),
        test(test_regions_that_nobody_wants),
        test(test_doubted_regions),
        test(test_regions_that_change_meanwhile),
        test(test_objects_that_were_there_before),
        test(test_merge_of_a_later_crawl),
        test(test_merge_of_an_earlier_crawl),
        test(test_region_that_does_not_fit)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
