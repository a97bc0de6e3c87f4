/*
 * Geometry, the names of slices, and the block in their files.
 */

#include "unit.h"
#include "sprox_slice.h"


#define KIB  1024ULL


static sprox_object_t
object(const char *etag, uint64_t size, int64_t lm, const char *version)
{
    sprox_object_t  o;

    memset(&o, 0, sizeof(o));
    o.etag = sprox_str_make(etag, strlen(etag));
    o.version = sprox_str_make(version, strlen(version));
    o.size = size;
    o.last_modified = lm;

    return o;
}


static void
test_geometry(void **state)
{
    size_t  i;

    static const struct {
        uint64_t  offset, slice, size;
        uint64_t  index, start, length, count;
    } cases[] = {
        { 0, 64 * KIB, 0, 0, 0, 0, 0 },
        { 0, 64 * KIB, 1, 0, 0, 1, 1 },
        { 65535, 64 * KIB, 65536, 0, 0, 65536, 1 },
        { 65536, 64 * KIB, 65536, 1, 65536, 0, 1 },
        { 65536, 64 * KIB, 65537, 1, 65536, 1, 2 },
        { 1000000, 512 * KIB, 1000001, 1, 524288, 475713, 2 },
        { 5ULL << 40, 64 * KIB * KIB, (5ULL << 40) + 9, 5 << 14, 5ULL << 40,
          9, (5 << 14) + 1 },
        { UINT64_MAX, 64 * KIB, UINT64_MAX, UINT64_MAX >> 16,
          UINT64_MAX & ~65535ULL, 65535, 1ULL << 48 },
    };

    (void) state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(sprox_slice_index(cases[i].offset, cases[i].slice),
                         cases[i].index);
        assert_int_equal(sprox_slice_start(cases[i].index, cases[i].slice),
                         cases[i].start);
        assert_int_equal(sprox_slice_length(cases[i].index, cases[i].slice,
                                            cases[i].size), cases[i].length);
        assert_int_equal(sprox_slice_count(cases[i].slice, cases[i].size),
                         cases[i].count);
    }

    /* an index that no object reaches does not wrap */

    assert_int_equal(sprox_slice_length(UINT64_MAX, 64 * KIB, UINT64_MAX), 0);
    assert_int_equal(sprox_slice_length(1ULL << 48, 64 * KIB, 1000), 0);
}


static void
test_valid(void **state)
{
    (void) state;

    assert_true(sprox_slice_valid(SPROX_SLICE_MIN));
    assert_true(sprox_slice_valid(512 * KIB));
    assert_true(sprox_slice_valid(SPROX_SLICE_MAX));

    assert_false(sprox_slice_valid(0));
    assert_false(sprox_slice_valid(SPROX_SLICE_MIN / 2));
    assert_false(sprox_slice_valid(SPROX_SLICE_MIN + 1));
    assert_false(sprox_slice_valid(3 * SPROX_SLICE_MIN));
    assert_false(sprox_slice_valid(2 * SPROX_SLICE_MAX));
    assert_false(sprox_slice_valid(1ULL << 63));
}


typedef struct {
    const char  *etag;
    uint64_t     size;
    int64_t      lm;
    const char  *version;
    int          settled;
    int          pinned;
    const char  *text;          /* of the version in the key */
} pin_t;


static const pin_t  pins[] = {
    { "\"abc\"", 9, 5000, "", 0, 1, "\"abc\"-9" },
    { "\"abc\"", 9, 5000, "123", 0, 1, "\"abc\"-9" },
    { "\"a b%\n\"", 9, 0, "", 0, 1, "\"a%20b%25%0A\"-9" },
    { "\"abc-9\"", 1, 0, "", 0, 1, "\"abc-9\"-1" },
    { "W/\"abc\"", 9, 5999, "", 1, 1, "@5-9" },
    { "W/\"abc\"", 9, 5999, "", 0, 0, "@5-9" },
    { "", 9, 5000, "", 1, 1, "@5-9" },
    { "", 9, 5000, "", 0, 0, "@5-9" },
    { "", 9, 0, "", 1, 0, "@0-9" },
    { "", 9, -5000, "", 1, 0, "@0-9" },
    { "\"\"", 9, 0, "", 0, 0, "@0-9" },
    { "\"", 9, 0, "", 0, 0, "@0-9" },
    { "abc", 9, 0, "", 0, 0, "@0-9" },
    { "\"abc", 9, 0, "", 0, 0, "@0-9" },
    { "", 9, 0, "1360887697105000", 0, 1, "#1360887697105000-9" },
    { "W/\"x\"", 9, 77000, "1360887697105000", 0, 1,
      "#1360887697105000-9" },
    { "", 9, 0, "null", 0, 0, "@0-9" },
    { "", 9, 0, "3/L4kqtJlcpXroDTDmJ+rmSpXd3dIbrHY+MTRCxf3vjVBH40", 0, 0,
      "@0-9" },
    { "\"\xc3\xa9\"", 18446744073709551615ULL, 0, "", 0, 1,
      "\"%C3%A9\"-18446744073709551615" },
};


static void
test_pinned(void **state)
{
    char            text[256];
    size_t          i;
    unit_mem_t      um;
    sprox_buf_t     b;
    sprox_object_t  o;

    (void) state;

    unit_mem_init(&um, 0);
    sprox_buf_init(&b, &um.mem);

    for (i = 0; i < sizeof(pins) / sizeof(pins[0]); i++) {
        o = object(pins[i].etag, pins[i].size, pins[i].lm, pins[i].version);
        o.settled = pins[i].settled;
        assert_int_equal(sprox_object_pinned(&o), pins[i].pinned);

        b.len = 0;
        sprox_slice_key(&b, S("lake"), S("bkt"), S("k"), &o, 65536, 3);
        snprintf(text, sizeof(text), "sprox lake bkt k %s 65536 3",
                 pins[i].text);
        assert_str(sprox_buf_get(&b), text);

        o.absent = 1;
        assert_false(sprox_object_pinned(&o));
    }

    sprox_buf_free(&b);
    assert_int_equal(um.live, 0);
}


/* One line of printable characters, and no two names alike. */

static void
test_key(void **state)
{
    size_t          i, j, n;
    unit_mem_t      um;
    sprox_buf_t     b[2];
    sprox_object_t  o;

    static const sprox_str_t  keys[] = {
        sprox_str("a"), sprox_str(" "), sprox_str("%20"), sprox_str("a b"),
        sprox_str("a%20b"), sprox_str("a\nb"), sprox_str("a\0b"),
        sprox_str("a//../b"), sprox_str("\xff\x7f\x80"), sprox_str("%"),
        sprox_str("%25"), sprox_str("+"), sprox_str("\r\n\r\n"),
        sprox_str("a \"e\"-1 65536 0"), sprox_str(""),
    };

    (void) state;

    n = sizeof(keys) / sizeof(keys[0]);
    o = object("\"e\"", 1, 0, "");

    unit_mem_init(&um, 0);
    sprox_buf_init(&b[0], &um.mem);
    sprox_buf_init(&b[1], &um.mem);

    sprox_slice_key(&b[0], S("l"), S("b"), S("a b/%\n\xff~!.x"), &o, 65536,
                    10);
    assert_str(sprox_buf_get(&b[0]),
               "sprox l b a%20b/%25%0A%FF~!.x \"e\"-1 65536 10");

    for (i = 0; i < n * n; i++) {
        b[0].len = 0;
        sprox_slice_key(&b[0], keys[i % n], keys[i / n], S("k"), &o, 65536,
                        0);

        for (j = 0; j < b[0].len; j++) {
            assert_in_range(b[0].data[j], 0x20, 0x7e);
        }

        for (j = 0; j < i; j++) {
            b[1].len = 0;
            sprox_slice_key(&b[1], keys[j % n], keys[j / n], S("k"), &o,
                            65536, 0);
            assert_false(sprox_str_eq(sprox_buf_get(&b[0]),
                                      sprox_buf_get(&b[1])));
        }
    }

    sprox_buf_free(&b[0]);
    sprox_buf_free(&b[1]);
    assert_int_equal(um.live, 0);
}


static sprox_slice_meta_t
meta(void)
{
    sprox_slice_meta_t  m;

    memset(&m, 0, sizeof(m));
    m.object = object("\"abc\"", 200000, 1700000000123, "v1");
    m.object.storage_class = S("STANDARD");
    m.object.headers = S("content-type: text/plain\r\n");
    m.object.headed = 1;
    m.object.listed = 1;
    m.object.proved = -1;
    m.slice = 65536;
    m.index = 3;
    m.length = 200000 - 3 * 65536;

    return m;
}


static void
test_meta(void **state)
{
    size_t               i;
    uint8_t             *copy;
    unit_mem_t           um;
    sprox_buf_t          b;
    sprox_str_t          block;
    sprox_slice_meta_t   m, got;

    (void) state;

    unit_mem_init(&um, 0);
    sprox_buf_init(&b, &um.mem);
    sprox_buf_text(&b, "before");

    m = meta();
    assert_int_equal(sprox_slice_meta_write(&b, &m), SPROX_OK);

    block = sprox_str_from(sprox_buf_get(&b), 6);
    assert_int_equal(block.len, 88 + 5 + 2 + 8 + 26);
    assert_int_equal(sprox_slice_meta_read(block, &got), SPROX_OK);

    assert_int_equal(got.slice, 65536);
    assert_int_equal(got.index, 3);
    assert_int_equal(got.length, 3392);
    assert_int_equal(got.object.size, 200000);
    assert_true(got.object.last_modified == 1700000000123);
    assert_true(got.object.proved == -1);
    assert_int_equal(got.object.listed, 1);
    assert_int_equal(got.object.headed, 1);
    assert_int_equal(got.object.absent, 0);
    assert_str(got.object.etag, "\"abc\"");
    assert_str(got.object.version, "v1");
    assert_str(got.object.storage_class, "STANDARD");
    assert_str(got.object.headers, "content-type: text/plain\r\n");

    /* the format does not change unseen: the CRC is that of zlib */

    assert_memory_equal(block.data, "SPXSLICE\1\0\0\0\x9a\x6e\x50\x16"
                        "\x81\0\0\0\3\0\0\0\0\0\1\0\0\0\0\0", 32);

    /* each byte counts, and so does each length */

    copy = malloc(block.len + 1);

    for (i = 0; i < block.len * 8; i++) {
        memcpy(copy, block.data, block.len);
        copy[i / 8] ^= (uint8_t) (1 << i % 8);
        assert_int_equal(sprox_slice_meta_read(sprox_str_make(copy,
                             block.len), &got), SPROX_INVALID);
    }

    free(copy);

    for (i = 0; i < block.len; i++) {
        copy = malloc(i ? i : 1);
        memcpy(copy, block.data, i);
        assert_int_equal(sprox_slice_meta_read(sprox_str_make(copy, i), &got),
                         SPROX_INVALID);
        free(copy);
    }

    copy = malloc(block.len + 1);
    memcpy(copy, block.data, block.len);
    copy[block.len] = 0;
    assert_int_equal(sprox_slice_meta_read(sprox_str_make(copy,
                         block.len + 1), &got), SPROX_INVALID);
    free(copy);

    sprox_buf_free(&b);
    assert_int_equal(um.live, 0);
}


static void
test_meta_limits(void **state)
{
    unsigned            i;
    unit_mem_t          um;
    sprox_buf_t         b;
    static uint8_t      text[SPROX_HEADERS_MAX + 1];
    sprox_slice_meta_t  m, got;

    (void) state;

    unit_mem_init(&um, 0);
    sprox_buf_init(&b, &um.mem);

    for (i = 0; i < 13; i++) {
        m = meta();

        switch (i) {
        case 0: m.object.etag = sprox_str_make(text, 257); break;
        case 1: m.object.version = sprox_str_make(text, 1025); break;
        case 2: m.object.storage_class = sprox_str_make(text, 65); break;
        case 3: m.object.headers = sprox_str_make(text, 8193); break;
        case 4: m.object.absent = 1; break;
        case 5: m.object.headed = 0; break;
        case 6: m.slice = 65537; break;
        case 7: m.slice = 0; break;
        case 8: m.index = 4; break;
        case 9: m.index = UINT64_MAX; break;
        case 10: m.length++; break;
        case 11: m.object.size = 0; break;
        default: m.index = 4; m.length = 0; break;
        }

        assert_int_equal(sprox_slice_meta_write(&b, &m),
                         i < 4 ? SPROX_LIMIT : SPROX_INVALID);
        assert_int_equal(b.len, 0);
    }

    /* the longest */

    m = meta();
    m.object.etag = sprox_str_make(text, SPROX_ETAG_MAX);
    m.object.version = sprox_str_make(text, SPROX_VERSION_MAX);
    m.object.storage_class = sprox_str_make(text, SPROX_CLASS_MAX);
    m.object.headers = sprox_str_make(text, SPROX_HEADERS_MAX);

    assert_int_equal(sprox_slice_meta_write(&b, &m), SPROX_OK);
    assert_true(b.len <= SPROX_SLICE_META_MAX);
    assert_int_equal(sprox_slice_meta_read(sprox_buf_get(&b), &got), SPROX_OK);

    /* the slice of an empty object */

    b.len = 0;
    memset(&m, 0, sizeof(m));
    m.slice = 65536;
    assert_int_equal(sprox_slice_meta_write(&b, &m), SPROX_OK);
    assert_int_equal(sprox_slice_meta_read(sprox_buf_get(&b), &got), SPROX_OK);

    sprox_buf_free(&b);
    assert_int_equal(um.live, 0);
}


static sprox_rc_t
work(const sprox_mem_t *mem, void *data)
{
    sprox_rc_t          rc;
    sprox_buf_t         b;
    sprox_slice_meta_t  m;

    (void) data;

    m = meta();
    sprox_buf_init(&b, mem);
    sprox_slice_key(&b, S("o"), S("b"), S("k"), &m.object, 65536, 1);
    (void) sprox_slice_meta_write(&b, &m);
    rc = sprox_buf_rc(&b);
    sprox_buf_free(&b);

    return rc;
}


static sprox_rc_t
work_meta(const sprox_mem_t *mem, void *data)
{
    sprox_rc_t          rc;
    sprox_buf_t         b;
    sprox_slice_meta_t  m;

    (void) data;

    m = meta();
    sprox_buf_init(&b, mem);
    rc = sprox_slice_meta_write(&b, &m);
    sprox_buf_free(&b);

    return rc;
}


static void
test_nomem(void **state)
{
    (void) state;

    assert_true(unit_each_alloc_fails(work, NULL) > 0);
    assert_true(unit_each_alloc_fails(work_meta, NULL) > 0);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_geometry),
        cmocka_unit_test(test_valid),
        cmocka_unit_test(test_pinned),
        cmocka_unit_test(test_key),
        cmocka_unit_test(test_meta),
        cmocka_unit_test(test_meta_limits),
        cmocka_unit_test(test_nomem),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
