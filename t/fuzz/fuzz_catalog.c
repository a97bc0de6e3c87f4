/*
 * Bytes as operations on a catalog of the smallest size, with everything in
 * it looked at after each.  An operation is four bytes: what, which key, and
 * two that shape it; keys and strings are made of those, so that few bytes
 * can fill the zone.
 */

#include <assert.h>
#include <stdlib.h>

#include "sprox_zone.h"


#define OPERATIONS_MAX  200


typedef struct {
    sprox_str_t  prefix;
    uint8_t      last[SPROX_KEY_MAX];
    size_t       last_len;
    int          any;
    size_t       n;
} scan_t;


static uint8_t  text[SPROX_HEADERS_MAX];
static uint8_t  buf[SPROX_OBJECT_BUF];

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


static sprox_rc_t
on_object(void *data, sprox_str_t key, const sprox_object_t *object)
{
    scan_t  *scan = data;

    assert(!object->absent);
    assert(sprox_str_starts(key, scan->prefix));
    assert(!scan->any
           || sprox_str_cmp(sprox_str_make(scan->last, scan->last_len), key)
              < 0);

    memcpy(scan->last, key.data, key.len);
    scan->last_len = key.len;
    scan->any = 1;
    scan->n++;

    return SPROX_OK;
}


/* 256 keys: short ones, long ones, prefixes of each other. */

static sprox_str_t
make_key(uint8_t *p, unsigned n)
{
    size_t  len;

    len = n < 16 ? n : n < 240 ? 20 : 64 * (n - 239);
    len = len < SPROX_KEY_MAX ? len : SPROX_KEY_MAX;

    memset(p, n < 16 ? 'a' : (int) n, len);

    if (n >= 16 && n & 1) {
        p[0] = 'a';
    }

    return sprox_str_make(p, len);
}


static sprox_object_t
make_object(unsigned a, unsigned b)
{
    sprox_object_t  o;

    static const char  *etags[] = {
        "", "\"d41d8cd98f00b204e9800998ecf8427e\"",
        "\"d41d8cd98f00b204e9800998ecf8427e-31\"", "W/\"x\""
    };

    memset(&o, 0, sizeof(o));

    o.etag = sprox_str_make(etags[a & 3], strlen(etags[a & 3]));
    o.size = a >> 2 & 3;
    o.proved = a >> 4;
    o.last_modified = b & 1 ? 1500 : 1000;
    o.listed = b >> 1 & 1;
    o.headed = b >> 2 & 1;
    o.absent = (b >> 3 & 7) == 7;
    o.headers = sprox_str_make(text, (b >> 3) * (b >> 3) * 8);
    o.version = sprox_str_make(text, (b >> 6) * 200);

    if (b & 64) {
        o.storage_class = sprox_str_make("A_CLASS_OF_ITS_OWN", b >> 4);
    }

    if (b & 128) {
        o.etag = sprox_str_make(text, a);
    }

    return o;
}


static void
put(sprox_catalog_t *cat, uint32_t space, sprox_str_t key, unsigned a,
    unsigned b)
{
    sprox_rc_t      rc;
    sprox_object_t  o, got;

    o = make_object(a, b);

    rc = sprox_catalog_put_locked(cat, space, key, &o);
    assert(rc == SPROX_OK || rc == SPROX_DONE);

    assert(sprox_catalog_get_locked(cat, space, key, &got, buf) == SPROX_OK);

    if (rc == SPROX_DONE) {
        assert(got.proved > o.proved && !sprox_object_same(&got, &o));
        return;
    }

    assert(sprox_object_same(&got, &o) && got.proved >= o.proved);

    if (!o.absent && o.headed) {
        assert(got.headed);
        assert(got.proved > o.proved || sprox_str_eq(got.headers, o.headers));
    }
}


static void
step(sprox_catalog_t *cat, const uint32_t spaces[2], const uint8_t *op)
{
    scan_t          scan;
    uint8_t         key_buf[SPROX_KEY_MAX], after_buf[SPROX_KEY_MAX];
    uint32_t        space;
    sprox_rc_t      rc;
    sprox_str_t     key, after;
    sprox_object_t  o;

    sprox_catalog_cursor_t  cursor;

    space = spaces[op[0] >> 7];
    key = make_key(key_buf, op[1]);

    switch (op[0] & 7) {

    case 0:
        rc = sprox_catalog_remove_locked(cat, space, key);
        assert(rc == SPROX_OK || rc == SPROX_NOT_FOUND);
        assert(sprox_catalog_get_locked(cat, space, key, &o, buf)
               == SPROX_NOT_FOUND);
        return;

    case 1:
        memset(&scan, 0, sizeof(scan));
        after = make_key(after_buf, op[2]);
        scan.prefix = key;
        memcpy(scan.last, after.data, after.len);
        scan.last_len = after.len;
        scan.any = 1;

        sprox_catalog_cursor_init(&cursor, key, sprox_str_null, after);
        rc = sprox_catalog_list_locked(cat, space, &cursor, op[3], on_object,
                                       &scan);
        assert((rc == SPROX_DONE || rc == SPROX_AGAIN) && scan.n <= op[3]);
        return;

    case 2:
        (void) sprox_catalog_get_locked(cat, space, key, &o, buf);
        return;

    default:
        put(cat, space, key, op[2], op[3]);
    }
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t            i, n;
    void             *memory, *moved;
    uint32_t          spaces[2];
    sprox_rc_t        rc;
    sprox_catalog_t  *cat;

    memset(text, 'x', sizeof(text));

    memory = malloc(SPROX_CATALOG_SIZE_MIN);
    cat = sprox_catalog_create(memory, SPROX_CATALOG_SIZE_MIN);
    assert(cat);

    rc = sprox_catalog_space_locked(cat, sprox_str_lit("a"), 1, &spaces[0]);
    assert(rc == SPROX_OK);
    rc = sprox_catalog_space_locked(cat, sprox_str_lit("b"), 1, &spaces[1]);
    assert(rc == SPROX_OK);

    n = size / 4 < OPERATIONS_MAX ? size / 4 : OPERATIONS_MAX;

    for (i = 0; i < n; i++) {
        step(cat, spaces, data + 4 * i);
        assert(sprox_catalog_check_locked(cat) == NULL);
    }

    moved = malloc(SPROX_CATALOG_SIZE_MIN);
    memcpy(moved, memory, SPROX_CATALOG_SIZE_MIN);
    free(memory);

    cat = sprox_catalog_attach(moved, SPROX_CATALOG_SIZE_MIN);
    assert(cat && sprox_catalog_check_locked(cat) == NULL);
    free(moved);

    return 0;
}
