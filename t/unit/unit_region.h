/*
 * What the tests of regions share.
 */

#ifndef SPROX_UNIT_REGION_H
#define SPROX_UNIT_REGION_H


#include "unit_catalog.h"
#include "sprox_region.h"


static inline uint32_t
open_region(sprox_catalog_t *cat, uint32_t s, const char *prefix)
{
    uint32_t  id;

    assert_int_equal(sprox_catalog_region_open_locked(cat, s,
                         sprox_str_make(prefix, strlen(prefix)), &id),
                     SPROX_OK);
    check(cat);

    return id;
}


static inline void
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


static inline sprox_region_t
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


static inline uint64_t
held(sprox_catalog_t *cat)
{
    sprox_catalog_stats_t  st;

    sprox_catalog_stats_locked(cat, &st);

    return st.held;
}


static inline int
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


#endif /* SPROX_UNIT_REGION_H */
