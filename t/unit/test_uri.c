/*
 * Percent-coding and endpoints.
 */

#include "unit.h"
#include "sprox_uri.h"


static void
test_encode(void **state)
{
    size_t       i;
    unit_mem_t   um;
    sprox_buf_t  b;

    static const struct {
        sprox_str_t  s;
        int          slash;
        const char  *out;
    } rows[] = {
        { sprox_str("a/b c"), 1, "a/b%20c" },
        { sprox_str("a/b"), 0, "a%2Fb" },
        { sprox_str("AZaz09-._~"), 0, "AZaz09-._~" },
        { sprox_str("!*'();:@&=+$,?#[]"), 0,
          "%21%2A%27%28%29%3B%3A%40%26%3D%2B%24%2C%3F%23%5B%5D" },
        { sprox_str("//./../x"), 1, "//./../x" },
        { sprox_str("100%"), 0, "100%25" },
        { sprox_str("%41"), 0, "%2541" },
        { sprox_str("\xc3\xa9\xff"), 0, "%C3%A9%FF" },
        { sprox_str("a\0b\x7f"), 0, "a%00b%7F" }
    };

    (void) state;

    unit_mem_init(&um, 0);

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        sprox_buf_init(&b, &um.mem);
        sprox_uri_encode(&b, rows[i].s, rows[i].slash);
        assert_str(sprox_buf_get(&b), rows[i].out);
        sprox_buf_free(&b);
    }

    sprox_buf_init(&b, &um.mem);
    sprox_uri_encode(&b, sprox_str_null, 0);
    assert_int_equal(b.len, 0);
    assert_int_equal(um.live, 0);
}


static void
test_decode(void **state)
{
    size_t   i, len;
    uint8_t  dst[64];

    static const struct {
        sprox_str_t  s;
        int          plus;
        const char  *out;           /* NULL: SPROX_INVALID */
    } rows[] = {
        { sprox_str("a%20b"), 0, "a b" }, { sprox_str("a+b"), 0, "a+b" },
        { sprox_str("a+b"), 1, "a b" }, { sprox_str("a%2Bb"), 1, "a+b" },
        { sprox_str("%2f%2F"), 0, "//" }, { sprox_str("%2541"), 0, "%41" },
        { sprox_str("%"), 0, NULL }, { sprox_str("a%2"), 0, NULL },
        { sprox_str("%zz"), 0, NULL }, { sprox_str("%4g"), 0, NULL },
        { sprox_str("%%41"), 0, NULL }, { sprox_str("%u0041"), 0, NULL },
        { sprox_str("plain"), 0, "plain" }
    };

    (void) state;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {

        sprox_rc_t  rc = sprox_uri_decode(rows[i].s, rows[i].plus, dst, &len);

        if (rows[i].out == NULL) {
            assert_int_equal(rc, SPROX_INVALID);
            continue;
        }

        assert_int_equal(rc, SPROX_OK);
        assert_str(sprox_str_make(dst, len), rows[i].out);
    }

    assert_int_equal(sprox_uri_decode(sprox_str_null, 0, dst, &len), SPROX_OK);
    assert_int_equal(len, 0);

    /* in place */
    memcpy(dst, "x%00%ffy", 8);
    assert_int_equal(sprox_uri_decode(sprox_str_make(dst, 8), 0, dst, &len),
                     SPROX_OK);
    assert_int_equal(len, 4);
    assert_memory_equal(dst, "x\0\xffy", 4);
}


static void
test_endpoint(void **state)
{
    size_t            i;
    const char       *why;
    sprox_endpoint_t  ep;

    static const struct {
        const char  *text;
        int          tls;
        const char  *host;
        unsigned     port;
        const char  *authority;
        int          v4;
        int          v6;
    } rows[] = {
        { "https://s3.eu-west-1.amazonaws.com", 1,
          "s3.eu-west-1.amazonaws.com", 443, "s3.eu-west-1.amazonaws.com",
          0, 0 },
        { "HTTP://minio:9000/", 0, "minio", 9000, "minio:9000", 0, 0 },
        { "http://h:80", 0, "h", 80, "h", 0, 0 },
        { "https://h:443/", 1, "h", 443, "h", 0, 0 },
        { "https://h:80", 1, "h", 80, "h:80", 0, 0 },
        { "http://h:443", 0, "h", 443, "h:443", 0, 0 },
        { "http://127.0.0.1:7070", 0, "127.0.0.1", 7070, "127.0.0.1:7070",
          1, 0 },
        { "http://[::1]:9000", 0, "::1", 9000, "[::1]:9000", 0, 1 },
        { "https://[2001:db8::a]", 1, "2001:db8::a", 443, "[2001:db8::a]",
          0, 1 },
        { "http://[::]", 0, "::", 80, "[::]", 0, 1 },
        { "http://[1:2:3:4:5:6:7:8]:65535", 0, "1:2:3:4:5:6:7:8", 65535,
          "[1:2:3:4:5:6:7:8]:65535", 0, 1 },
        { "http://[::ffff:10.0.0.1]", 0, "::ffff:10.0.0.1", 80,
          "[::ffff:10.0.0.1]", 0, 1 },
        { "http://[1:2:3:4:5:6:1.2.3.4]", 0, "1:2:3:4:5:6:1.2.3.4", 80,
          "[1:2:3:4:5:6:1.2.3.4]", 0, 1 },
        { "http://[1::]", 0, "1::", 80, "[1::]", 0, 1 },
        { "http://store_1:1", 0, "store_1", 1, "store_1:1", 0, 0 },
        { "http://3com.example", 0, "3com.example", 80, "3com.example", 0, 0 },
        { "http://1.2.3.x4", 0, "1.2.3.x4", 80, "1.2.3.x4", 0, 0 }
    };

    static const char *const  bad[] = {
        "", "h", "ftp://h", "http:/h", "http://", "https://", "http:///",
        "http://:80", "http://h:", "http://h:0", "http://h:65536",
        "http://h:080", "http://h:80x", "http://h:99999999999999999999",
        "http://h/p", "http://h//", "http://h?x", "http://h#x",
        "http://u@h", "http://u:p@h", "http://h h", "http://h\n",
        "http://.h", "http://h.", "http://a..b", "http://-a", "http://a-",
        "http://a-.b", "http://a.-b", "http://1.2.3", "http://1.2.3.4.5",
        "http://1.2.3.256", "http://01.2.3.4", "http://12345", "http://a%41",
        "http://[::1", "http://[]", "http://[:]", "http://[:::]",
        "http://[1::2::3]", "http://[1:2:3:4:5:6:7]",
        "http://[1:2:3:4:5:6:7:8:9]", "http://[1:2:3:4:5:6:7::8]x",
        "http://[::1%25eth0]", "http://[12345::]", "http://[1:]",
        "http://[:1]", "http://[::1.2.3]", "http://[1.2.3.4]",
        "http://[1:2:3:4:5:6:7:1.2.3.4]", "http://[::g]", "http://[::1]9",
        "http://h\xc3\xa9",
        "http://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
        "a"
    };

    (void) state;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(sprox_endpoint_parse(
                             sprox_str_make(rows[i].text,
                                            strlen(rows[i].text)), &ep, &why),
                         SPROX_OK);
        assert_int_equal(ep.tls, rows[i].tls);
        assert_int_equal(ep.port, rows[i].port);
        assert_int_equal(ep.ipv4, rows[i].v4);
        assert_int_equal(ep.ipv6, rows[i].v6);
        assert_str(ep.host, rows[i].host);
        assert_str(ep.authority, rows[i].authority);
    }

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        why = NULL;

        if (sprox_endpoint_parse(sprox_str_make(bad[i], strlen(bad[i])), &ep,
                                 &why) != SPROX_INVALID)
        {
            fail_msg("taken: %s", bad[i]);
        }

        assert_non_null(why);
    }
}


static void
test_endpoint_long(void **state)
{
    char              text[300];
    size_t            i;
    const char       *why;
    sprox_endpoint_t  ep;

    (void) state;

    /* 253 characters of host are the most */
    memcpy(text, "http://", 7);

    for (i = 0; i < 254; i++) {
        text[7 + i] = (i % 50 == 49) ? '.' : 'a';
    }

    assert_int_equal(sprox_endpoint_parse(sprox_str_make(text, 7 + 253), &ep,
                                          &why), SPROX_OK);
    assert_int_equal(sprox_endpoint_parse(sprox_str_make(text, 7 + 254), &ep,
                                          &why), SPROX_INVALID);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_encode),
        cmocka_unit_test(test_decode),
        cmocka_unit_test(test_endpoint),
        cmocka_unit_test(test_endpoint_long)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
