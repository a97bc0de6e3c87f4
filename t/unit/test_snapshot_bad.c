/*
 * Snapshots that were cut, changed or made up are refused, to the last byte.
 */

#include "unit_snapshot.h"


static void
refused(sprox_str_t text, const char *error, uint64_t offset)
{
    sprox_snapshot_reader_t  r;

    assert_int_equal(verify(&r, text), SPROX_INVALID);
    assert_string_equal(r.error, error);
    assert_int_equal(r.offset, offset);
}


/* A file with some of everything, as small as may be. */

static void
save_small(void)
{
    uint32_t          id;
    sprox_ban_t       ban;
    sprox_object_t    o;
    sprox_catalog_t  *cat;

    cat = make(SIZE);

    o = object(MD5, 12345, NOW);
    o.listed = 1;
    put(cat, "one", "dir/a", &o);

    o.headed = 1;
    o.headers = S("content-type: text/plain\r\n");
    o.version = S("v1");
    o.storage_class = S("STANDARD");
    o.sequencer = S("00A5");
    put(cat, "one", "dir/b", &o);

    memset(&o, 0, sizeof(o));
    o.proved = NOW;
    o.absent = 1;
    put(cat, "two", "", &o);

    assert_int_equal(sprox_catalog_region_open_locked(cat, space(cat, "one"),
                                                      S("dir/"), &id),
                     SPROX_OK);
    assert_int_equal(sprox_catalog_region_complete_locked(cat,
                         space(cat, "one"), S("dir/"), id, NOW), SPROX_OK);

    ban.name = S("one");
    ban.prefix = S("other/");
    ban.time = NOW;
    ban.all = 0;
    assert_int_equal(sprox_catalog_ban_locked(cat, &ban, &ban.id), SPROX_OK);

    save(cat, 1);
    free(cat);
}


static void
test_cut(void **state)
{
    size_t                   len;
    sprox_snapshot_reader_t  r;

    (void) state;

    save_small();
    refused(sprox_str_null, "it is empty", 0);

    for (len = 1; len < file.len; len++) {
        assert_int_equal(load(&r, sprox_str_make(file.data, len), 1 + len % 9,
                              NULL, 0), SPROX_INVALID);
        assert_string_equal(r.error, "it is cut short");
        assert_in_range(r.offset, 0, len);
    }

    sprox_buf_char(&file, 0);
    refused(sprox_buf_get(&file), "something stands behind its end",
            file.len - 1);
}


static void
test_each_byte_damaged(void **state)
{
    size_t                   i, k;
    sprox_snapshot_reader_t  r;

    static const uint8_t  damage[] = { 0x01, 0x80, 0xff, 0x20 };

    (void) state;

    save_small();
    assert_int_equal(verify(&r, sprox_buf_get(&file)), SPROX_DONE);

    for (i = 0; i < file.len; i++) {
        for (k = 0; k < sizeof(damage); k++) {
            file.data[i] ^= damage[k];

            assert_int_equal(verify(&r, sprox_buf_get(&file)), SPROX_INVALID);
            assert_in_range(r.offset, 0, i);

            file.data[i] ^= damage[k];
        }
    }

    assert_int_equal(verify(&r, sprox_buf_get(&file)), SPROX_DONE);
}


static void
test_foreign(void **state)
{
    (void) state;

    save_small();
    file.data[SPROX_SNAPSHOT_AT_FORMAT] = SPROX_SNAPSHOT_FORMAT + 1;
    refused(sprox_buf_get(&file), "it is of a newer format", 0);

    file.data[SPROX_SNAPSHOT_AT_FORMAT] = 0;
    refused(sprox_buf_get(&file), "it is of an older format", 0);

    refused(filled('\0', 4096), "it is no snapshot of a catalog", 0);
    refused(filled('<', 4096), "it is no snapshot of a catalog", 0);
}


/* A liar, who knows the sums. */

static void
lie(sprox_snapshot_type_t type, const void *data, size_t len)
{
    size_t    from;
    uint8_t  *p, preface[SPROX_SNAPSHOT_PREFACE];

    from = file.len;
    memset(preface, 0, sizeof(preface));
    sprox_buf_add(&file, preface, sizeof(preface));
    sprox_buf_add(&file, data, len);

    p = file.data + from;
    sprox_number_put(p + SPROX_SNAPSHOT_AT_TYPE, type, 4);
    sprox_number_put(p + SPROX_SNAPSHOT_AT_LENGTH, len, 4);
    sprox_number_put(p + SPROX_SNAPSHOT_AT_SUM,
                     sprox_snapshot_sum(p, file.len - from), 4);
}


static void
lie_object(uint8_t *p, unsigned flags, unsigned shared, unsigned key,
    unsigned etag)
{
    memset(p, 0, SPROX_SNAPSHOT_OBJECT);

    sprox_number_put(p, flags, 2);
    sprox_number_put(p + SPROX_SNAPSHOT_AT_SHARED, shared, 2);
    sprox_number_put(p + SPROX_SNAPSHOT_AT_KEY, key, 2);
    sprox_number_put(p + SPROX_SNAPSHOT_AT_ETAG, etag, 2);

    memset(p + SPROX_SNAPSHOT_OBJECT, 'k', key + etag);
}


static void
lie_begin(void)
{
    file.len = 0;
    write_head(SPROX_SNAPSHOT_OPEN);
    lie(SPROX_SNAPSHOT_SPACE, "s", 1);
}


static void
assert_lie(int good)
{
    uint8_t                  numbers[SPROX_SNAPSHOT_END];
    sprox_snapshot_reader_t  r;

    assert_int_equal(verify(&r, sprox_buf_get(&file)), SPROX_INVALID);
    assert_string_equal(r.error, good ? "it is cut short" : "it is damaged");

    sprox_number_put(numbers, r.counts.bans, 8);
    sprox_number_put(numbers + 8, r.counts.spaces, 8);
    sprox_number_put(numbers + 16, r.counts.regions, 8);
    sprox_number_put(numbers + 24, r.counts.objects, 8);
    lie(SPROX_SNAPSHOT_LAST, numbers, sizeof(numbers));

    assert_int_equal(verify(&r, sprox_buf_get(&file)),
                     good ? SPROX_DONE : SPROX_INVALID);
}


static void
test_objects_of_a_liar(void **state)
{
    size_t    i;
    uint8_t   one[4096];

    static const struct {
        unsigned  flags;
        unsigned  shared;
        unsigned  key;
        unsigned  etag;
        size_t    less;         /* bytes that are missing at the end */
        int       good;
    } cases[] = {
        { 0, 0, 5, 0, 0, 1 },
        { 0, 0, 0, 0, 0, 1 },
        { SPROX_SNAPSHOT_FLAGS, 0, 5, 0, 0, 1 },
        { SPROX_SNAPSHOT_FLAGS + 1, 0, 5, 0, 0, 0 },
        { 0x8000, 0, 5, 0, 0, 0 },
        { 0, 1, 5, 0, 0, 0 },                   /* nothing to share */
        { 0, 0xffff, 5, 0, 0, 0 },
        { 0, 0, 5, 0, 1, 0 },
        { 0, 0, 5, 0, 6, 0 },
        { 0, 0, SPROX_KEY_MAX, 0, 0, 1 },
        { 0, 0, SPROX_KEY_MAX + 1, 0, 0, 0 },
        { 0, 0, 1, SPROX_ETAG_MAX, 0, 1 },
        { 0, 0, 1, SPROX_ETAG_MAX + 1, 0, 0 }
    };

    (void) state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        lie_begin();
        lie_object(one, cases[i].flags, cases[i].shared, cases[i].key,
                   cases[i].etag);
        lie(SPROX_SNAPSHOT_OBJECTS, one, SPROX_SNAPSHOT_OBJECT + cases[i].key
                                         + cases[i].etag - cases[i].less);
        assert_lie(cases[i].good);
    }

    /* lengths that reach beyond the block */

    for (i = SPROX_SNAPSHOT_AT_KEY; i <= SPROX_SNAPSHOT_AT_SEQUENCER; i += 2) {
        lie_begin();
        lie_object(one, 0, 0, 1, 0);
        sprox_number_put(one + i, 0xffff, 2);
        lie(SPROX_SNAPSHOT_OBJECTS, one, SPROX_SNAPSHOT_OBJECT + 1);
        assert_lie(0);
    }
}


static void
test_order_of_a_liar(void **state)
{
    size_t                    i;
    uint8_t                   two[2 * SPROX_SNAPSHOT_OBJECT + 200];
    sprox_object_t            found;
    sprox_catalog_t          *cat;
    sprox_snapshot_reader_t   r;

    static const struct {
        const char  *first;
        unsigned     shared;
        const char  *rest;
        int          good;
    } cases[] = {
        { "b", 0, "c", 1 },
        { "b", 0, "b", 0 },
        { "b", 0, "a", 0 },
        { "b", 1, "", 0 },
        { "b", 1, "a", 1 },
        { "bcd", 2, "c", 0 },
        { "bcd", 2, "e", 1 },
        { "bcd", 4, "e", 0 },
        { "", 0, "e", 1 },
        { "", 0, "", 0 }
    };

    (void) state;

    cat = make(SIZE);

    for (i = 0; i < 2 * sizeof(cases) / sizeof(cases[0]); i++) {
        const size_t  k = i / 2, n = strlen(cases[k].first);
        const size_t  m = strlen(cases[k].rest);

        lie_object(two, 0, 0, (unsigned) n, 0);
        memcpy(two + SPROX_SNAPSHOT_OBJECT, cases[k].first, n);
        lie_object(two + SPROX_SNAPSHOT_OBJECT + n, 0, cases[k].shared,
                   (unsigned) m, 0);
        memcpy(two + 2 * SPROX_SNAPSHOT_OBJECT + n, cases[k].rest, m);

        lie_begin();

        if (i % 2 == 0) {
            lie(SPROX_SNAPSHOT_OBJECTS, two, 2 * SPROX_SNAPSHOT_OBJECT + n + m);
            assert_lie(cases[k].good);
            continue;
        }

        /* in two blocks, the second of which shares nothing */

        lie(SPROX_SNAPSHOT_OBJECTS, two, SPROX_SNAPSHOT_OBJECT + n);
        lie(SPROX_SNAPSHOT_OBJECTS, two + SPROX_SNAPSHOT_OBJECT + n,
            SPROX_SNAPSHOT_OBJECT + m);
        assert_lie(cases[k].good && cases[k].shared == 0);
    }

    /* a size that no object has is passed over; the rest is taken */

    lie_begin();
    lie_object(two, 0, 0, 1, 0);
    sprox_number_put(two + SPROX_SNAPSHOT_AT_SIZE, UINT64_MAX, 8);
    lie_object(two + SPROX_SNAPSHOT_OBJECT + 1, 0, 1, 1, 0);
    lie(SPROX_SNAPSHOT_OBJECTS, two, 2 * SPROX_SNAPSHOT_OBJECT + 2);
    assert_lie(1);
    assert_int_equal(load(&r, sprox_buf_get(&file), ALL, cat, ALL),
                     SPROX_DONE);
    assert_int_equal(cat->objects, 1);
    assert_int_equal(sprox_catalog_get_locked(cat, space(cat, "s"), str("kk"),
                                              &found, buf), SPROX_OK);

    free(cat);
}


static void
test_blocks_of_a_liar(void **state)
{
    size_t   i;
    uint8_t  one[SPROX_SNAPSHOT_OBJECT + 1];

    static uint8_t  big[SPROX_SNAPSHOT_BLOCK_MAX];

    (void) state;

    lie_object(one, 0, 0, 1, 0);

    /* objects before any space */

    file.len = 0;
    write_head(SPROX_SNAPSHOT_OPEN);
    lie(SPROX_SNAPSHOT_OBJECTS, one, sizeof(one));
    assert_lie(0);

    lie_begin();
    lie(SPROX_SNAPSHOT_OBJECTS, one, 0);
    assert_lie(0);

    lie_begin();
    lie(SPROX_SNAPSHOT_SPACE, "s", 1);
    assert_lie(0);

    lie_begin();
    lie(SPROX_SNAPSHOT_SPACE, "", 0);
    assert_lie(0);

    lie_begin();
    lie(SPROX_SNAPSHOT_SPACE, "s2", 2);
    assert_lie(1);

    lie_begin();
    lie(SPROX_SNAPSHOT_SPACE, filled('t', SPROX_CATALOG_NAME_MAX).data,
        SPROX_CATALOG_NAME_MAX);
    assert_lie(1);

    lie_begin();
    lie(SPROX_SNAPSHOT_SPACE, filled('t', SPROX_CATALOG_NAME_MAX + 1).data,
        SPROX_CATALOG_NAME_MAX + 1);
    assert_lie(0);

    for (i = 0; i < 6; i++) {
        static const unsigned  types[] = { 0, 7, 8, 255, 256, 0x80000000 };

        lie_begin();
        lie(types[i], one, sizeof(one));
        assert_lie(0);
    }

    lie_begin();
    lie(SPROX_SNAPSHOT_SPACE, big, sizeof(big) - SPROX_SNAPSHOT_PREFACE + 1);
    assert_lie(0);

    /* counts */

    for (i = 0; i < SPROX_SNAPSHOT_END; i++) {
        uint8_t  numbers[SPROX_SNAPSHOT_END];

        memset(numbers, 0, sizeof(numbers));
        numbers[8] = 1;
        numbers[i] ^= 2;

        lie_begin();
        lie(SPROX_SNAPSHOT_LAST, numbers, sizeof(numbers));
        assert_lie(0);
    }
}


static size_t
lie_ban(uint8_t *p, unsigned flags, const char *name, const char *prefix)
{
    size_t  n, m;

    n = strlen(name);
    m = strlen(prefix);

    sprox_number_put(p, flags, 2);
    sprox_number_put(p + SPROX_SNAPSHOT_AT_NAME, n, 2);
    sprox_number_put(p + SPROX_SNAPSHOT_AT_BANNED, m, 2);
    sprox_number_put(p + SPROX_SNAPSHOT_AT_WHEN, NOW, 8);
    memcpy(p + SPROX_SNAPSHOT_BAN, name, n);
    memcpy(p + SPROX_SNAPSHOT_BAN + n, prefix, m);

    return SPROX_SNAPSHOT_BAN + n + m;
}


static void
test_bans_of_a_liar(void **state)
{
    size_t   i, n, m;
    uint8_t  two[200];

    static const struct {
        unsigned     flags[2];
        const char  *names[2];
        const char  *prefixes[2];
        int          good;
    } cases[] = {
        { { 0, 0 }, { "a", "a" }, { "x", "y" }, 1 },
        { { 0, 0 }, { "a", "b" }, { "y", "x" }, 1 },
        { { 0, 0 }, { "a", "a" }, { "y", "y" }, 0 },
        { { 0, 0 }, { "a", "a" }, { "y", "x" }, 0 },
        { { 0, 0 }, { "b", "a" }, { "x", "y" }, 0 },
        { { 1, 0 }, { "", "" }, { "", "" }, 1 },
        { { 1, 0 }, { "", "a" }, { "", "y" }, 1 },
        { { 1, 0 }, { "a", "a" }, { "", "y" }, 0 },
        { { 1, 0 }, { "", "a" }, { "x", "y" }, 0 },
        { { 1, 1 }, { "", "" }, { "", "" }, 0 },
        { { 0, 1 }, { "", "" }, { "", "" }, 0 },
        { { 2, 0 }, { "", "a" }, { "", "y" }, 0 }
    };

    (void) state;

    for (i = 0; i < 2 * sizeof(cases) / sizeof(cases[0]); i++) {
        n = lie_ban(two, cases[i / 2].flags[0], cases[i / 2].names[0],
                    cases[i / 2].prefixes[0]);
        m = lie_ban(two + n, cases[i / 2].flags[1], cases[i / 2].names[1],
                    cases[i / 2].prefixes[1]);

        file.len = 0;
        write_head(SPROX_SNAPSHOT_OPEN);

        if (i % 2) {
            lie(SPROX_SNAPSHOT_BANS, two, n);
            lie(SPROX_SNAPSHOT_BANS, two + n, m);

        } else {
            lie(SPROX_SNAPSHOT_BANS, two, n + m);
        }

        lie(SPROX_SNAPSHOT_SPACE, "s", 1);
        assert_lie(cases[i / 2].good);
    }

    /* lengths that reach beyond the block, or that no name or key has */

    for (i = SPROX_SNAPSHOT_AT_NAME; i <= SPROX_SNAPSHOT_AT_BANNED; i += 2) {
        n = lie_ban(two, 0, "a", "x");
        sprox_number_put(two + i, 2, 2);

        file.len = 0;
        write_head(SPROX_SNAPSHOT_OPEN);
        lie(SPROX_SNAPSHOT_BANS, two, n);
        assert_lie(0);
    }

    /* they come before all spaces */

    n = lie_ban(two, 0, "a", "x");
    lie_begin();
    lie(SPROX_SNAPSHOT_BANS, two, n);
    assert_lie(0);
}


static size_t
lie_region(uint8_t *p, const char *prefix, unsigned less)
{
    size_t  n;

    n = strlen(prefix);

    memset(p, 0, SPROX_SNAPSHOT_REGION);
    sprox_number_put(p + SPROX_SNAPSHOT_AT_PREFIX, n, 2);
    memcpy(p + SPROX_SNAPSHOT_REGION, prefix, n);

    return SPROX_SNAPSHOT_REGION + n - less;
}


static void
test_owners_of_a_liar(void **state)
{
    size_t   i, n;
    uint8_t  region[SPROX_SNAPSHOT_REGION + 1 + SPROX_OWNER_BUF + 8];

    static const struct {
        unsigned  owned;
        size_t    id;
        size_t    name;
        int       more;             /* bytes that are there, against those */
        int       good;
    } cases[] = {
        { 0, 0, 0, 0, 1 },
        { 1, 0, 0, 0, 1 },
        { 1, SPROX_OWNER_MAX, SPROX_OWNER_MAX, 0, 1 },
        { 1, SPROX_OWNER_MAX + 1, 1, 0, 0 },
        { 1, 1, SPROX_OWNER_MAX + 1, 0, 0 },
        { 1, 5, 5, -1, 0 },
        { 1, 5, 5, 1, 0 },
        { 1, 0xffff, 0xffff, 0, 0 },
        { 0, 1, 0, 0, 0 },
        { 0, 0, 1, 0, 0 },
        { 2, 1, 1, 0, 0 }
    };

    (void) state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        memset(region, 'o', sizeof(region));
        n = lie_region(region, "a", 0);
        sprox_number_put(region + SPROX_SNAPSHOT_AT_OWNERS, cases[i].owned, 2);
        sprox_number_put(region + SPROX_SNAPSHOT_AT_OWNER, cases[i].id, 2);
        sprox_number_put(region + SPROX_SNAPSHOT_AT_OWNERS_NAME,
                         cases[i].name, 2);

        n += (cases[i].id + cases[i].name) % 1000 + (size_t) cases[i].more;
        assert_in_range(n, 1, sizeof(region));

        lie_begin();
        lie(SPROX_SNAPSHOT_WHOLE, region, n);
        assert_lie(cases[i].good);
    }
}


static void
test_regions_of_a_liar(void **state)
{
    size_t    i, n, m;
    uint8_t   two[200], object[SPROX_SNAPSHOT_OBJECT + 1];
    unsigned  type;

    static const struct {
        const char  *first;
        const char  *second;
        unsigned     less;
        int          good;
    } cases[] = {
        { "", "a", 0, 1 },
        { "a", "a/", 0, 1 },
        { "a", "a", 0, 0 },
        { "b", "a", 0, 0 },
        { "", "", 0, 0 },
        { "a", "b", 1, 0 }
    };

    (void) state;

    for (type = SPROX_SNAPSHOT_REGIONS; type <= SPROX_SNAPSHOT_WHOLE;
         type += SPROX_SNAPSHOT_WHOLE - SPROX_SNAPSHOT_REGIONS)
    {
        for (i = 0; i < 2 * sizeof(cases) / sizeof(cases[0]); i++) {
            n = lie_region(two, cases[i / 2].first, 0);
            m = lie_region(two + n, cases[i / 2].second, cases[i / 2].less);

            lie_begin();

            if (i % 2) {
                lie(type, two, n);
                lie(type, two + n, m);

            } else {
                lie(type, two, n + m);
            }

            assert_lie(cases[i / 2].good);
        }
    }

    /* the order of blocks in a space */

    lie_object(object, 0, 0, 1, 0);
    n = lie_region(two, "a", 0);

    for (i = 0; i < 8; i++) {
        lie_begin();

        if (i & 1) {
            lie(SPROX_SNAPSHOT_REGIONS, two, n);
        }

        if (i & 2) {
            lie(SPROX_SNAPSHOT_OBJECTS, object, sizeof(object));
        }

        if (i & 4) {
            lie(SPROX_SNAPSHOT_WHOLE, two, n);
        }

        lie(SPROX_SNAPSHOT_SPACE, "t", 1);
        assert_lie(1);

        lie_begin();
        lie(SPROX_SNAPSHOT_WHOLE, two, n);
        lie(i & 1 ? SPROX_SNAPSHOT_REGIONS : SPROX_SNAPSHOT_OBJECTS,
            i & 1 ? two : object, i & 1 ? n : sizeof(object));
        assert_lie(0);
    }

    lie_begin();
    lie(SPROX_SNAPSHOT_OBJECTS, object, sizeof(object));
    lie(SPROX_SNAPSHOT_REGIONS, two, n);
    assert_lie(0);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        test(test_cut),
        test(test_each_byte_damaged),
        test(test_foreign),
        test(test_objects_of_a_liar),
        test(test_order_of_a_liar),
        test(test_blocks_of_a_liar),
        test(test_bans_of_a_liar),
        test(test_owners_of_a_liar),
        test(test_regions_of_a_liar)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
