/*
 * Digests against published vectors (FIPS 180, RFC 1321, 4231, 4648).
 */

#include "unit.h"
#include "sprox_digest.h"


static void
assert_hex(const uint8_t *data, size_t len, const char *hex)
{
    unit_mem_t   um;
    sprox_buf_t  b;

    unit_mem_init(&um, 0);
    sprox_buf_init(&b, &um.mem);
    sprox_hex(&b, data, len);
    assert_str(sprox_buf_get(&b), hex);
    sprox_buf_free(&b);
}


static void
test_digests(void **state)
{
    uint8_t  out[SPROX_SHA256_LEN];

    (void) state;

    assert_int_equal(sprox_sha256(S("abc"), out), SPROX_OK);
    assert_hex(out, 32, "ba7816bf8f01cfea414140de5dae2223"
                        "b00361a396177a9cb410ff61f20015ad");

    assert_int_equal(sprox_sha256(sprox_str_null, out), SPROX_OK);
    assert_hex(out, 32, "e3b0c44298fc1c149afbf4c8996fb924"
                        "27ae41e4649b934ca495991b7852b855");

    assert_int_equal(sprox_md5(S("message digest"), out), SPROX_OK);
    assert_hex(out, 16, "f96b697d7cb7938d525a2f31aaf161d0");

    assert_int_equal(sprox_md5(sprox_str_null, out), SPROX_OK);
    assert_hex(out, 16, "d41d8cd98f00b204e9800998ecf8427e");

    assert_int_equal(sprox_hmac_sha256(S("Jefe"),
                                       S("what do ya want for nothing?"),
                                       out), SPROX_OK);
    assert_hex(out, 32, "5bdcc146bf60754e6a042426089575c7"
                        "5a003f089d2739839dec58b964ec3843");

    assert_int_equal(sprox_hmac_sha256(sprox_str_null, sprox_str_null, out),
                     SPROX_OK);
    assert_hex(out, 32, "b613679a0814d9ec772f95d778c35fc5"
                        "ff1697c493715653c6c712144292c5ad");
}


static void
test_crc32(void **state)
{
    size_t    i, k;
    uint8_t   data[67];
    uint32_t  crc;
    unsigned  bit;

    (void) state;

    assert_int_equal(sprox_crc32(0, "123456789", 9), 0xcbf43926);
    assert_int_equal(sprox_crc32(0, "", 0), 0);

    for (i = 0; i < sizeof(data); i++) {
        data[i] = (uint8_t) (i * 37 + 200);
    }

    for (i = 0; i <= sizeof(data); i++) {

        /* bit by bit, and in two pieces */

        crc = 0xffffffff;

        for (k = 0; k < i; k++) {
            crc ^= data[k];

            for (bit = 0; bit < 8; bit++) {
                crc = crc & 1 ? (crc >> 1) ^ 0xedb88320 : crc >> 1;
            }
        }

        crc = ~crc;
        assert_int_equal(sprox_crc32(0, data, i), crc);

        for (k = 0; k <= i; k++) {
            assert_int_equal(sprox_crc32(sprox_crc32(0, data, k), data + k,
                                         i - k), crc);
        }
    }
}


static void
test_base64url(void **state)
{
    size_t       i;
    unit_mem_t   um;
    sprox_buf_t  b;

    static const struct {
        sprox_str_t  s;
        const char  *text;
    } rows[] = {
        { sprox_str("f"), "Zg" }, { sprox_str("fo"), "Zm8" },
        { sprox_str("foo"), "Zm9v" }, { sprox_str("foob"), "Zm9vYg" },
        { sprox_str("fooba"), "Zm9vYmE" }, { sprox_str("foobar"), "Zm9vYmFy" },
        { sprox_str("\xff\xef\xbe"), "_---" }, { sprox_str("\0"), "AA" }
    };

    static const char *const  bad[] = {
        "A", "AAAAA", "Zg==", "Zg=", "Zh", "Zm9", "Z g", "+/AA", "AA\n",
        "AA.A", "\xff\xff"
    };

    (void) state;

    unit_mem_init(&um, 0);

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        sprox_buf_init(&b, &um.mem);
        sprox_base64url(&b, rows[i].s);
        assert_str(sprox_buf_get(&b), rows[i].text);
        sprox_buf_free(&b);

        assert_int_equal(sprox_base64url_decode(
                             &b, sprox_str_make(rows[i].text,
                                                strlen(rows[i].text))),
                         SPROX_OK);
        assert_true(sprox_str_eq(sprox_buf_get(&b), rows[i].s));
        sprox_buf_free(&b);
    }

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        sprox_buf_init(&b, &um.mem);
        assert_int_equal(sprox_base64url_decode(
                             &b, sprox_str_make(bad[i], strlen(bad[i]))),
                         SPROX_INVALID);
        assert_int_equal(b.len, 0);
        sprox_buf_free(&b);
    }

    sprox_buf_init(&b, &um.mem);
    assert_int_equal(sprox_base64url_decode(&b, sprox_str_null), SPROX_OK);
    assert_int_equal(b.len, 0);
    assert_int_equal(um.live, 0);
}


static void
test_base64(void **state)
{
    size_t       i;
    unit_mem_t   um;
    sprox_buf_t  b;

    static const struct {
        sprox_str_t  s;
        const char  *text;
    } rows[] = {
        { sprox_str(""), "" }, { sprox_str("f"), "Zg==" },
        { sprox_str("fo"), "Zm8=" }, { sprox_str("foo"), "Zm9v" },
        { sprox_str("foob"), "Zm9vYg==" }, { sprox_str("foobar"), "Zm9vYmFy" },
        { sprox_str("\xff\xef\xbe"), "/+++" }
    };

    static const char *const  bad[] = {
        "Zg", "Zg=", "Zg===", "Zm8", "Zm9v====", "=", "==", "====", "Z===",
        "Zh==", "Zm9=", "Zg==Zg==", "Zm8=\n", "_---", "Zm 9v", "Zm9v\n\n\n\n"
    };

    (void) state;

    unit_mem_init(&um, 0);

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        sprox_buf_init(&b, &um.mem);
        assert_int_equal(sprox_base64_decode(
                             &b, sprox_str_make(rows[i].text,
                                                strlen(rows[i].text))),
                         SPROX_OK);
        assert_true(sprox_str_eq(sprox_buf_get(&b), rows[i].s));
        sprox_buf_free(&b);
    }

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        sprox_buf_init(&b, &um.mem);
        assert_int_equal(sprox_base64_decode(
                             &b, sprox_str_make(bad[i], strlen(bad[i]))),
                         SPROX_INVALID);
        assert_int_equal(b.len, 0);
        sprox_buf_free(&b);
    }

    assert_int_equal(um.live, 0);
}


static sprox_rc_t
work_decode(const sprox_mem_t *mem, void *data)
{
    sprox_rc_t   rc;
    sprox_buf_t  b;

    (void) data;

    sprox_buf_init(&b, mem);
    rc = sprox_base64url_decode(&b, S("Zm9vYmFy"));
    sprox_buf_free(&b);

    return rc;
}


static void
test_alloc(void **state)
{
    (void) state;

    assert_int_equal(unit_each_alloc_fails(work_decode, NULL), 1);
}


static void
test_wipe(void **state)
{
    uint8_t  secret[4] = { 1, 2, 3, 4 };

    (void) state;

    sprox_wipe(secret, 3);
    assert_memory_equal(secret, "\0\0\0\4", 4);
    sprox_wipe(NULL, 0);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_digests),
        cmocka_unit_test(test_crc32),
        cmocka_unit_test(test_base64url),
        cmocka_unit_test(test_base64),
        cmocka_unit_test(test_alloc),
        cmocka_unit_test(test_wipe)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
