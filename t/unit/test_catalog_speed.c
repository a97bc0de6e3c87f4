/*
 * How fast the catalog is, and what an object takes: printed, and not judged.
 * Built with sanitizers, as the other unit tests are, it tells little; what
 * is said of it elsewhere comes from a build with -O2 -DOBJECTS=1000000.
 */

#include "unit_catalog.h"

#include <time.h>


#ifndef OBJECTS
#define OBJECTS   200000
#endif

#define PAGE      1000
#define PREFIXES  10


static double
seconds(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);

    return (double) ts.tv_sec + (double) ts.tv_nsec / 1e9;
}


/* Not in byte order, as a crawl's keys are but those of reads are not. */

static sprox_str_t
make_key(uint32_t i, uint32_t scatter)
{
    static char  key[64];

    i = (uint32_t) (i * (uint64_t) scatter % OBJECTS);

    return sprox_str_make(key, (size_t) snprintf(key, sizeof(key),
                                   "warehouse/year=%u/part-%010u.parquet",
                                   2016 + i / (OBJECTS / PREFIXES), i));
}


static size_t
put_all(sprox_catalog_t *cat, uint32_t s, uint32_t scatter)
{
    char            etag[35];
    size_t          bytes;
    uint32_t        i;
    sprox_str_t     key;
    sprox_object_t  o;

    memset(&o, 0, sizeof(o));
    o.storage_class = S("STANDARD");
    o.listed = 1;
    bytes = 0;

    for (i = 0; i < OBJECTS; i++) {
        key = make_key(i, scatter);
        snprintf(etag, sizeof(etag), "\"d41d8cd98f00b204e9800998%08x\"", i);
        o.etag = sprox_str_make(etag, 34);
        o.size = i;
        o.proved++;
        bytes += key.len;
        assert_int_equal(sprox_catalog_put_locked(cat, s, key, &o), SPROX_OK);
    }

    return bytes;
}


typedef struct {
    uint64_t  n;
    uint64_t  bytes;
} sum_t;


static sprox_rc_t
on_item(void *data, sprox_str_t key, const sprox_object_t *o)
{
    sum_t  *sum = data;

    sum->n++;
    sum->bytes += key.len + (o ? o->etag.len : 0);

    return SPROX_OK;
}


static void
list_all(sprox_catalog_t *cat, uint32_t s, sprox_str_t delimiter, sum_t *sum)
{
    sprox_rc_t              rc;
    sprox_catalog_cursor_t  cursor;

    memset(sum, 0, sizeof(sum_t));
    sprox_catalog_cursor_init(&cursor, S("warehouse/"), delimiter, S(""));

    do {
        rc = sprox_catalog_list_locked(cat, s, &cursor, PAGE, on_item, sum);
    } while (rc == SPROX_AGAIN);

    assert_int_equal(rc, SPROX_DONE);
}


static void
run(const char *what, uint32_t scatter, int held)
{
    void                    *memory;
    size_t                   size, bytes;
    sum_t                    sum;
    double                   t0, t1, t2, t3, t4;
    uint32_t                 i, s, id;
    sprox_object_t           o;
    sprox_region_t           region;
    sprox_catalog_t         *cat;
    sprox_catalog_stats_t    st, was;

    size = (size_t) 256 * 1024 * 1024;
    memory = malloc(size);
    memset(memory, 0, size);
    cat = sprox_catalog_create(memory, size);
    assert_non_null(cat);
    s = space(cat, "s");

    if (held) {
        assert_int_equal(sprox_catalog_region_open_locked(cat, s,
                             S("warehouse/"), &id), SPROX_OK);
    }

    sprox_catalog_stats_locked(cat, &was);

    t0 = seconds();
    bytes = put_all(cat, s, scatter);
    t1 = seconds();

    for (i = 0; i < OBJECTS; i++) {
        assert_int_equal(sprox_catalog_get_locked(cat, s,
                             make_key(i, scatter), &o, buf), SPROX_OK);
        assert_int_equal(o.size, i);
    }

    t2 = seconds();
    list_all(cat, s, S(""), &sum);
    t3 = seconds();

    assert_int_equal(sum.n, OBJECTS);
    assert_int_equal(sum.bytes, bytes + 34 * (uint64_t) OBJECTS);

    for (i = 0; i < 1000; i++) {
        list_all(cat, s, S("/"), &sum);
        assert_int_equal(sum.n, PREFIXES);
    }

    t4 = seconds();

    sprox_catalog_stats_locked(cat, &st);
    assert_int_equal(st.objects, OBJECTS);
    assert_int_equal(st.evicted, 0);

    print_message("%s: put %.2f us, get %.2f us, list %.3f us a key (%u a "
                  "step), %u of %u prefixes %.1f us, %.1f bytes an object "
                  "beside its key\n", what, (t1 - t0) / OBJECTS * 1e6,
                  (t2 - t1) / OBJECTS * 1e6, (t3 - t2) / OBJECTS * 1e6, PAGE,
                  PREFIXES, OBJECTS, (t4 - t3) / 1000 * 1e6,
                  ((double) (st.bytes_used - was.bytes_used)
                   - (double) bytes) / OBJECTS);

    if (held) {
        assert_int_equal(sprox_catalog_region_get_locked(cat, s,
                             S("warehouse/"), &region), SPROX_OK);
        assert_int_equal(region.objects, OBJECTS);
        assert_int_equal(region.overflow, 0);
    }

    check(cat);
    free(memory);
}


static void
test_scattered(void **state)
{
    (void) state;
    run("scattered", 618033989, 0);
}


static void
test_crawled(void **state)
{
    (void) state;
    run("crawled into a region", 1, 1);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_scattered),
        cmocka_unit_test(test_crawled),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
