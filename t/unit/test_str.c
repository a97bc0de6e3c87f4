/*
 * Strings and buffers.
 */

#include "unit.h"


static void
test_cmp(void **state)
{
    size_t  i;

    static const struct {
        const char  *a;
        const char  *b;
        int          sign;
    } rows[] = {
        { "", "", 0 }, { "", "a", -1 }, { "a", "", 1 }, { "a", "a", 0 },
        { "a", "b", -1 }, { "ab", "a", 1 }, { "a", "ab", -1 },
        { "a\xff", "a~", 1 }, { "a\x01", "a ", -1 }, { "A", "a", -1 }
    };

    (void) state;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int  rc = sprox_str_cmp(sprox_str_make(rows[i].a, strlen(rows[i].a)),
                                sprox_str_make(rows[i].b, strlen(rows[i].b)));

        assert_int_equal((rc > 0) - (rc < 0), rows[i].sign);
    }

    assert_int_equal(sprox_str_cmp(sprox_str_null, sprox_str_null), 0);
    assert_true(sprox_str_cmp(sprox_str_null, S("a")) < 0);
    assert_true(sprox_str_eq(sprox_str_null, S("")));
    assert_false(sprox_str_eq(S("a"), S("b")));
}


static void
test_case_eq(void **state)
{
    (void) state;

    assert_true(sprox_str_case_eq(S("Content-Type"), S("content-tYPE")));
    assert_false(sprox_str_case_eq(S("a"), S("ab")));
    assert_true(sprox_str_case_eq(sprox_str_null, S("")));

    /* only letters have a case: '@' and '`', '[' and '{' differ by a bit */
    assert_false(sprox_str_case_eq(S("@"), S("`")));
    assert_false(sprox_str_case_eq(S("["), S("{")));
    assert_false(sprox_str_case_eq(S("\xc4"), S("\xe4")));
}


static void
test_parts(void **state)
{
    (void) state;

    assert_true(sprox_str_starts(S("abc"), S("ab")));
    assert_true(sprox_str_starts(S("abc"), sprox_str_null));
    assert_false(sprox_str_starts(S("ab"), S("abc")));
    assert_true(sprox_str_ends(S("abc"), S("bc")));
    assert_true(sprox_str_ends(sprox_str_null, sprox_str_null));
    assert_false(sprox_str_ends(S("abc"), S("ab")));

    assert_str(sprox_str_from(S("abc"), 0), "abc");
    assert_str(sprox_str_from(S("abc"), 2), "c");
    assert_int_equal(sprox_str_from(S("abc"), 3).len, 0);
    assert_int_equal(sprox_str_from(S("abc"), 9).len, 0);
    assert_int_equal(sprox_str_from(sprox_str_null, 1).len, 0);
}


static void
test_find(void **state)
{
    size_t  i;

    static const struct {
        const char  *s;
        const char  *needle;
        size_t       off;
        size_t       at;
    } rows[] = {
        { "abcabc", "abc", 0, 0 }, { "abcabc", "abc", 1, 3 },
        { "abcabc", "abc", 4, (size_t) -1 }, { "aab", "ab", 0, 1 },
        { "abc", "", 0, 0 }, { "abc", "", 3, 3 }, { "abc", "", 4, (size_t) -1 },
        { "abc", "abcd", 0, (size_t) -1 }, { "", "", 0, 0 },
        { "", "a", 0, (size_t) -1 }, { "abc", "c", 2, 2 },
        { "abc", "a", (size_t) -1, (size_t) -1 },
        { "aaaa", "aab", 0, (size_t) -1 }
    };

    (void) state;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        sprox_str_t  s = sprox_str_make(rows[i].s, strlen(rows[i].s));
        sprox_str_t  n = sprox_str_make(rows[i].needle,
                                        strlen(rows[i].needle));

        assert_int_equal(sprox_str_find(s, n, rows[i].off), rows[i].at);
    }
}


static void
test_u64(void **state)
{
    size_t    i;
    uint64_t  n;

    static const struct {
        const char  *s;
        sprox_rc_t   rc;
        uint64_t     n;
    } rows[] = {
        { "0", SPROX_OK, 0 }, { "007", SPROX_OK, 7 },
        { "18446744073709551615", SPROX_OK, UINT64_MAX },
        { "018446744073709551615", SPROX_OK, UINT64_MAX },
        { "18446744073709551616", SPROX_LIMIT, 0 },
        { "18446744073709551620", SPROX_LIMIT, 0 },
        { "99999999999999999999999999", SPROX_LIMIT, 0 },
        { "99999999999999999999999999x", SPROX_INVALID, 0 },
        { "", SPROX_INVALID, 0 }, { "-1", SPROX_INVALID, 0 },
        { "+1", SPROX_INVALID, 0 }, { " 1", SPROX_INVALID, 0 },
        { "1 ", SPROX_INVALID, 0 }, { "0x1", SPROX_INVALID, 0 },
        { "1.", SPROX_INVALID, 0 }
    };

    (void) state;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        n = 42;

        assert_int_equal(sprox_str_u64(sprox_str_make(rows[i].s,
                                                      strlen(rows[i].s)), &n),
                         rows[i].rc);
        assert_int_equal(n, rows[i].rc == SPROX_OK ? rows[i].n : 42);
    }

    assert_int_equal(sprox_str_u64(sprox_str_null, &n), SPROX_INVALID);
}


static void
test_common(void **state)
{
    (void) state;

    assert_int_equal(sprox_str_common(S("abc"), S("abd")), 2);
    assert_int_equal(sprox_str_common(S("ab"), S("abd")), 2);
    assert_int_equal(sprox_str_common(S("abc"), S("abc")), 3);
    assert_int_equal(sprox_str_common(S("a\0b"), S("a\0c")), 2);
    assert_int_equal(sprox_str_common(S("abc"), S("xbc")), 0);
    assert_int_equal(sprox_str_common(S("abc"), sprox_str_null), 0);
    assert_int_equal(sprox_str_common(sprox_str_null, sprox_str_null), 0);
}


static void
test_trim(void **state)
{
    (void) state;

    assert_str(sprox_str_trim(S(" \ta b\t ")), "a b");
    assert_str(sprox_str_trim(S("a")), "a");
    assert_int_equal(sprox_str_trim(S(" \t ")).len, 0);
    assert_int_equal(sprox_str_trim(sprox_str_null).len, 0);
    assert_str(sprox_str_trim(S("\na\r")), "\na\r");
}


static sprox_rc_t
work_dup(const sprox_mem_t *mem, void *data)
{
    sprox_str_t  s;

    (void) data;

    s = sprox_str_dup(mem, S("abc"));
    if (s.data == NULL) {
        return SPROX_NOMEM;
    }

    assert_int_equal(s.data[3], '\0');
    assert_str(s, "abc");

    sprox_free(mem, (void *) s.data);

    return SPROX_OK;
}


static void
test_dup(void **state)
{
    unit_mem_t   um;
    sprox_str_t  s;

    (void) state;

    assert_int_equal(unit_each_alloc_fails(work_dup, NULL), 1);

    unit_mem_init(&um, 0);

    s = sprox_str_dup(&um.mem, sprox_str_null);
    assert_non_null(s.data);
    assert_int_equal(s.len, 0);
    assert_int_equal(s.data[0], '\0');
    sprox_free(&um.mem, (void *) s.data);
    assert_int_equal(um.live, 0);
}


static sprox_rc_t
work_buf(const sprox_mem_t *mem, void *data)
{
    size_t       i, len;
    sprox_rc_t   rc;
    sprox_buf_t  b;

    (void) data;

    sprox_buf_init(&b, mem);
    assert_int_equal(sprox_buf_get(&b).len, 0);

    len = 0;

    for (i = 0; i < 200; i++) {
        sprox_buf_char(&b, 'x');
        sprox_buf_text(&b, "yz");
        sprox_buf_u64(&b, i % 10);

        /* no hole: what is there is a beginning of the whole text */
        assert_true(b.len == len + 4 || sprox_buf_rc(&b) == SPROX_NOMEM);
        len = b.len;
    }

    rc = sprox_buf_rc(&b);

    if (rc == SPROX_OK) {
        assert_int_equal(b.len, 800);
        assert_memory_equal(b.data + 796, "xyz9", 4);
    }

    sprox_buf_wipe(&b);
    assert_null(b.data);
    assert_int_equal(sprox_buf_rc(&b), SPROX_OK);

    return rc;
}


static void
test_buf(void **state)
{
    unit_mem_t   um;
    sprox_buf_t  b;

    (void) state;

    assert_true(unit_each_alloc_fails(work_buf, NULL) > 2);

    unit_mem_init(&um, 0);
    sprox_buf_init(&b, &um.mem);

    sprox_buf_add(&b, NULL, 0);
    sprox_buf_str(&b, sprox_str_null);
    sprox_buf_text(&b, "");
    assert_int_equal(um.count, 0);

    sprox_buf_u64(&b, 0);
    sprox_buf_char(&b, ' ');
    sprox_buf_u64(&b, UINT64_MAX);
    assert_str(sprox_buf_get(&b), "0 18446744073709551615");

    assert_int_equal(sprox_buf_reserve(&b, SIZE_MAX), SPROX_NOMEM);
    assert_int_equal(sprox_buf_rc(&b), SPROX_NOMEM);
    sprox_buf_char(&b, 'x');
    assert_str(sprox_buf_get(&b), "0 18446744073709551615");

    sprox_buf_free(&b);
    sprox_buf_free(&b);
    sprox_buf_wipe(&b);
    assert_int_equal(um.live, 0);
}


static uint8_t  last_freed[64];


static void
remember_free(void *ctx, void *p)
{
    (void) ctx;

    if (p != NULL) {
        memcpy(last_freed, p, sizeof(last_freed));
    }

    free(p);
}


static void *
remember_alloc(void *ctx, size_t size)
{
    (void) ctx;

    return malloc(size < 64 ? 64 : size);
}


/* What a buffer leaves behind when it grows or is wiped holds nothing. */

static void
test_buf_wipes(void **state)
{
    sprox_buf_t    b;
    const uint8_t  zero[64] = { 0 };

    static const sprox_mem_t  mem = { remember_alloc, remember_free, NULL };

    (void) state;

    sprox_buf_init(&b, &mem);
    sprox_buf_text(&b, "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");

    memset(last_freed, 'x', sizeof(last_freed));
    assert_int_equal(sprox_buf_reserve(&b, 100), SPROX_OK);
    assert_memory_equal(last_freed, zero, 40);

    memset(last_freed, 'x', sizeof(last_freed));
    sprox_buf_wipe(&b);
    assert_memory_equal(last_freed, zero, 64);
}


static void
test_hex_value(void **state)
{
    int          c, value;
    const char  *p;

    static const char  digits[] = "0123456789abcdef";

    (void) state;

    for (c = 0; c < 256; c++) {
        p = c ? strchr(digits, (c >= 'A' && c <= 'F') ? c + 32 : c) : NULL;
        value = p ? (int) (p - digits) : -1;

        assert_int_equal(sprox_hex_value((uint8_t) c), value);
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_cmp),
        cmocka_unit_test(test_case_eq),
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_find),
        cmocka_unit_test(test_u64),
        cmocka_unit_test(test_common),
        cmocka_unit_test(test_trim),
        cmocka_unit_test(test_dup),
        cmocka_unit_test(test_buf),
        cmocka_unit_test(test_buf_wipes),
        cmocka_unit_test(test_hex_value)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
