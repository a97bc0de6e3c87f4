/*
 * What the catalog's tests share.
 */

#ifndef SPROX_UNIT_CATALOG_H
#define SPROX_UNIT_CATALOG_H


#include "unit.h"
#include "sprox_zone.h"


#define MD5      "\"d41d8cd98f00b204e9800998ecf8427e\""
#define MD5_B    "\"0cc175b9c0f1b6a831c399e269772661\""
#define PARTS    "\"d41d8cd98f00b204e9800998ecf8427e-12\""


/* what a get() copies into */
static uint8_t  buf[SPROX_OBJECT_BUF];


static inline sprox_catalog_t *
make(size_t size)
{
    void             *memory;
    sprox_catalog_t  *cat;

    memory = malloc(size);
    assert_non_null(memory);
    memset(memory, 0xa5, size);

    cat = sprox_catalog_create(memory, size);
    assert_non_null(cat);

    return cat;
}


static inline uint32_t
space(sprox_catalog_t *cat, const char *name)
{
    uint32_t  n;

    assert_int_equal(sprox_catalog_space_locked(cat,
                         sprox_str_make(name, strlen(name)), 1, &n), SPROX_OK);

    return n;
}


static inline void
check(sprox_catalog_t *cat)
{
    const char  *err;

    err = sprox_catalog_check_locked(cat);
    if (err) {
        fail_msg("%s", err);
    }
}


/* One step of a listing without a delimiter. */

static inline sprox_rc_t
walk(sprox_catalog_t *cat, uint32_t s, sprox_str_t prefix, sprox_str_t after,
    size_t n, sprox_catalog_visit_pt visit, void *data)
{
    sprox_catalog_cursor_t  cursor;

    sprox_catalog_cursor_init(&cursor, prefix, sprox_str_null, after);

    return sprox_catalog_list_locked(cat, s, &cursor, n, visit, data);
}


static inline sprox_object_t
object(const char *etag, uint64_t size, int64_t proved)
{
    sprox_object_t  o;

    memset(&o, 0, sizeof(o));
    o.etag = sprox_str_make(etag, strlen(etag));
    o.size = size;
    o.last_modified = 1700000000000;
    o.proved = proved;

    return o;
}


static inline sprox_str_t
filled(int c, size_t len)
{
    static uint8_t  text[16384];

    memset(text, c, sizeof(text));

    return sprox_str_make(text, len);
}


static inline sprox_str_t
numbered(unsigned n)
{
    static char  text[32];

    return sprox_str_make(text, (size_t) snprintf(text, sizeof(text),
                                                  "key/%08u", n));
}


#endif /* SPROX_UNIT_CATALOG_H */
