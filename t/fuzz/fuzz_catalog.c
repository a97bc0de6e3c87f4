/*
 * Bytes as operations on a catalog of the smallest size, with everything in
 * it looked at after each.  An operation is four bytes: what (the low half)
 * in which space (the highest bit), which key, and two that shape it; keys
 * and strings are made of those, so that few bytes can fill the zone.
 */

#include <assert.h>
#include <stdlib.h>

#include "sprox_zone.h"


#define OPERATIONS_MAX  200


typedef struct {
    sprox_str_t  prefix;
    sprox_str_t  delimiter;
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

    assert(object == NULL ? scan->delimiter.len
                            && sprox_str_ends(key, scan->delimiter)
                          : !object->absent || object->doubted);
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
        o.told = b & 1;
        o.sequencer = sprox_str_make(text, a & 63);
    }

    return o;
}


static void
put(sprox_catalog_t *cat, uint32_t space, sprox_str_t name, sprox_str_t key,
    unsigned a, unsigned b)
{
    sprox_rc_t      rc;
    sprox_object_t  o, got;

    o = make_object(a, b);

    rc = sprox_catalog_put_locked(cat, space, key, &o);

    if (rc == SPROX_FULL) {

        /* only where what is held leaves holes that are too small */

        assert(cat->held);
        return;
    }

    if (sprox_catalog_banned_locked(cat, name, key, o.proved)) {
        assert(rc == SPROX_DONE);
        return;
    }

    assert(rc == SPROX_OK || rc == SPROX_DONE);
    assert(sprox_catalog_get_locked(cat, space, key, &got, buf) == SPROX_OK);

    if (rc == SPROX_DONE) {
        assert(got.doubted || got.proved > o.proved);
        assert(!sprox_object_same(&got, &o));
        return;
    }

    assert(sprox_object_same(&got, &o));
    assert(got.doubted || got.proved >= o.proved);

    if (!o.absent && o.headed) {
        assert(got.headed);
        assert(got.doubted || got.proved > o.proved
               || sprox_str_eq(got.headers, o.headers));
    }
}


static void
list(sprox_catalog_t *cat, uint32_t space, sprox_str_t prefix,
    const uint8_t *op)
{
    scan_t                  scan;
    uint8_t                 after_buf[SPROX_KEY_MAX];
    sprox_rc_t              rc;
    sprox_str_t             after;
    sprox_catalog_cursor_t  cursor;

    memset(&scan, 0, sizeof(scan));
    after = make_key(after_buf, op[2]);
    scan.prefix = prefix;

    if (op[0] & 64) {
        scan.delimiter = sprox_str_make("aaaa", 1 + (op[3] & 3));

    } else {

        /* a common prefix may be a beginning of where a listing starts */

        memcpy(scan.last, after.data, after.len);
        scan.last_len = after.len;
        scan.any = 1;
    }

    sprox_catalog_cursor_init(&cursor, prefix, scan.delimiter, after);

    rc = sprox_catalog_list_locked(cat, space, &cursor, op[3], on_object,
                                   &scan);
    assert((rc == SPROX_DONE || rc == SPROX_AGAIN) && scan.n <= op[3]);

    while (rc == SPROX_AGAIN) {
        rc = sprox_catalog_list_locked(cat, space, &cursor, 50, on_object,
                                       &scan);
    }
}


static void
sweep(sprox_catalog_t *cat, uint32_t space, sprox_str_t prefix,
    const uint8_t *op)
{
    uint64_t                removed;
    sprox_rc_t              rc;
    sprox_catalog_cursor_t  cursor;

    removed = 0;
    sprox_catalog_cursor_init(&cursor, prefix, sprox_str_null,
                              sprox_str_null);

    do {
        rc = sprox_catalog_sweep_locked(cat, space, &cursor, sprox_str_null,
                                        op[3] & 15, 1 + op[2], &removed);
    } while (rc == SPROX_AGAIN);

    assert(rc == SPROX_DONE);
}


static void
region(sprox_catalog_t *cat, uint32_t space, sprox_str_t prefix,
    const uint8_t *op)
{
    int64_t         crawled;
    uint32_t        id;
    sprox_rc_t      rc;
    sprox_region_t  r;

    switch (op[2] & 3) {

    case 0:
        rc = sprox_catalog_region_open_locked(cat, space, prefix, &id);
        assert(rc == SPROX_OK || rc == SPROX_FULL);
        return;

    case 1:
        rc = sprox_catalog_region_drop_locked(cat, space, prefix);
        assert(rc == SPROX_OK || rc == SPROX_NOT_FOUND);
        assert(sprox_catalog_region_get_locked(cat, space, prefix, &r)
               == SPROX_NOT_FOUND);
        return;

    case 2:
        (void) sprox_catalog_release_locked(cat, op[3]);
        return;
    }

    if (sprox_catalog_region_get_locked(cat, space, prefix, &r) != SPROX_OK) {
        return;
    }

    rc = sprox_catalog_region_complete_locked(cat, space, prefix, r.id,
                                              op[3] & 15);
    assert(!r.overflow || rc != SPROX_OK);

    rc = sprox_catalog_region_get_locked(cat, space, prefix, &r);
    assert(rc == SPROX_OK);

    rc = sprox_catalog_covered_locked(cat, space, prefix, &crawled);
    assert(!r.complete || (rc == SPROX_OK && crawled >= r.crawled));
}


static void
ban(sprox_catalog_t *cat, sprox_str_t name, sprox_str_t prefix,
    const uint8_t *op)
{
    uint64_t     id;
    sprox_rc_t   rc;
    sprox_ban_t  b;

    if (op[2] & 1) {
        (void) sprox_catalog_unban_locked(cat, op[3]);
        return;
    }

    memset(&b, 0, sizeof(b));
    b.name = name;
    b.prefix = prefix;
    b.time = op[3] & 15;
    b.all = op[2] == 254;

    rc = sprox_catalog_ban_locked(cat, &b, &id);
    assert(rc == SPROX_OK);
    assert(sprox_catalog_banned_locked(cat, name, prefix, b.time - 1));
}


static void
step(sprox_catalog_t *cat, const uint8_t *op)
{
    uint8_t         key_buf[SPROX_KEY_MAX];
    uint32_t        space;
    sprox_rc_t      rc;
    sprox_str_t     key, name;
    sprox_object_t  o;

    name = sprox_str_make(op[0] & 128 ? "b" : "a", 1);
    key = make_key(key_buf, op[1]);

    rc = sprox_catalog_space_locked(cat, name, 1, &space);
    assert(rc == SPROX_OK || rc == SPROX_FULL);

    if (rc != SPROX_OK) {
        return;
    }

    switch (op[0] & 15) {

    case 0: case 8:
        rc = sprox_catalog_remove_locked(cat, space, key);
        assert(rc == SPROX_OK || rc == SPROX_NOT_FOUND);
        rc = sprox_catalog_get_locked(cat, space, key, &o, buf);
        assert(rc == SPROX_NOT_FOUND
               || (o.doubted && !o.headed
                   && (o.absent ? cat->regions : cat->held)));
        return;

    case 1:
        list(cat, space, key, op);
        return;

    case 2:
        (void) sprox_catalog_get_locked(cat, space, key, &o, buf);
        return;

    case 3:
        rc = sprox_catalog_doubt_locked(cat, space, key, op[3] & 15);

        if (rc == SPROX_OK
            && sprox_catalog_get_locked(cat, space, key, &o, buf) == SPROX_OK)
        {
            assert(o.doubted && o.proved == 0);
        }

        return;

    case 4:
        sweep(cat, space, key, op);
        return;

    case 5:
        region(cat, space, key, op);
        return;

    case 6:
        ban(cat, name, key, op);
        return;

    case 7:
        if (op[2] == 7) {
            cat->oldest = op[3];
            cat->changing = 1;
            (void) sprox_catalog_epoch_locked(cat);
        }

        return;

    default:
        put(cat, space, name, key, op[2], op[3]);
    }
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t            i, n;
    void             *memory, *moved;
    sprox_catalog_t  *cat;

    memset(text, 'x', sizeof(text));

    memory = malloc(SPROX_CATALOG_SIZE_MIN);
    cat = sprox_catalog_create(memory, SPROX_CATALOG_SIZE_MIN);
    assert(cat);

    n = size / 4 < OPERATIONS_MAX ? size / 4 : OPERATIONS_MAX;

    for (i = 0; i < n; i++) {
        step(cat, data + 4 * i);
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
