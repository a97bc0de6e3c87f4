/* The table of errors, their writer and their reader: s3/error*.c. */

#include "unit.h"
#include "sprox_error.h"


#define HEAD  "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"


static sprox_str_t
error_str(const char *text)
{
    return sprox_str_make(text, strlen(text));
}


static void
test_error_table(void **state)
{
    int                        i, j;
    const sprox_error_info_t  *a, *b;

    (void) state;

    for (i = SPROX_ERR_NONE + 1; i < SPROX_ERR_MAX; i++) {
        a = sprox_error_info((sprox_error_code_t) i);

        assert_true(a->code.len > 0);
        assert_true(a->message.len > 0);
        assert_in_range(a->status, 400, 599);

        for (j = i + 1; j < SPROX_ERR_MAX; j++) {
            b = sprox_error_info((sprox_error_code_t) j);
            assert_false(sprox_str_eq(a->code, b->code));
        }
    }

    a = sprox_error_info(SPROX_ERR_KEY_TOO_LONG);
    assert_str(a->code, "KeyTooLongError");
    assert_int_equal(a->status, 400);

    a = sprox_error_info(SPROX_ERR_INVALID_RANGE);
    assert_int_equal(a->status, 416);

    a = sprox_error_info(SPROX_ERR_BAD_GATEWAY);
    assert_str(a->code, "BadGateway");
    assert_int_equal(a->status, 502);
}


static void
test_error_write(void **state)
{
    size_t       i;
    unit_mem_t   um;
    sprox_buf_t  b;

    static const struct {
        const char  *code;
        const char  *message;
        const char  *bucket;
        const char  *key;
        const char  *xml;
    } cases[] = {
        { "NoSuchKey", "", "b1", "a/b",
          "<Error><Code>NoSuchKey</Code><Message>The specified key does not "
          "exist.</Message><Key>a/b</Key><Resource>/b1/a/b</Resource>"
          "<RequestId>R1</RequestId></Error>" },
        { "NoSuchBucket", "", "b1", "",
          "<Error><Code>NoSuchBucket</Code><Message>The specified bucket "
          "does not exist</Message><BucketName>b1</BucketName>"
          "<Resource>/b1</Resource><RequestId>R1</RequestId></Error>" },
        { "AccessDenied", "", "", "",
          "<Error><Code>AccessDenied</Code><Message>Access Denied</Message>"
          "<Resource>/</Resource><RequestId>R1</RequestId></Error>" },
        { "InvalidArgument", "<no> & \"no\"", "b", "<&>\"'\r\n\t]]>",
          "<Error><Code>InvalidArgument</Code><Message>&lt;no&gt; &amp; "
          "&quot;no&quot;</Message>"
          "<Key>&lt;&amp;&gt;&quot;'&#xD;\n\t]]&gt;</Key>"
          "<Resource>/b/&lt;&amp;&gt;&quot;'&#xD;\n\t]]&gt;</Resource>"
          "<RequestId>R1</RequestId></Error>" },
        { "Own", "m", "b", "\x01\x1f\x7f\xff\xc3\xa4\xc3",
          "<Error><Code>Own</Code><Message>m</Message>"
          "<Key>%01%1F\x7f%FF\xc3\xa4%C3</Key>"
          "<Resource>/b/%01%1F\x7f%FF\xc3\xa4%C3</Resource>"
          "<RequestId>R1</RequestId></Error>" },
        { "Own", "m", "b", "\xef\xbf\xbe\xef\xbf\xbf\xef\xbf\xbd\xed\xa0\x80",
          "<Error><Code>Own</Code><Message>m</Message>"
          "<Key>%EF%BF%BE%EF%BF%BF\xef\xbf\xbd%ED%A0%80</Key>"
          "<Resource>/b/%EF%BF%BE%EF%BF%BF\xef\xbf\xbd%ED%A0%80</Resource>"
          "<RequestId>R1</RequestId></Error>" },
        { "Unknown", "", "", "",
          "<Error><Code>Unknown</Code><Message></Message>"
          "<Resource>/</Resource><RequestId>R1</RequestId></Error>" },
    };

    (void) state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        unit_mem_init(&um, 0);
        sprox_buf_init(&b, &um.mem);

        sprox_error_write(&b, error_str(cases[i].code),
                          error_str(cases[i].message),
                          error_str(cases[i].bucket),
                          error_str(cases[i].key), S("R1"));

        assert_int_equal(sprox_buf_rc(&b), SPROX_OK);
        assert_true(sprox_str_starts(sprox_buf_get(&b), S(HEAD)));
        assert_str(sprox_str_from(sprox_buf_get(&b), sizeof(HEAD) - 1),
                   cases[i].xml);

        sprox_buf_free(&b);
    }
}


static void
test_error_parse(void **state)
{
    unit_mem_t     um;
    sprox_error_t  e;

    (void) state;

    unit_mem_init(&um, 0);

    assert_int_equal(sprox_error_parse(&um.mem, S(
        HEAD "<Error><Code>AuthorizationHeaderMalformed</Code>"
        "<Message>the region 'us-east-1' is wrong; expecting "
        "'eu-west-1'</Message><Region>eu-west-1</Region>"
        "<RequestId>X</RequestId><HostId>Y</HostId></Error>"), &e),
        SPROX_OK);
    assert_str(e.code, "AuthorizationHeaderMalformed");
    assert_str(e.message,
               "the region 'us-east-1' is wrong; expecting 'eu-west-1'");
    assert_str(e.region, "eu-west-1");
    assert_null(e.endpoint.data);
    assert_null(e.bucket.data);
    sprox_error_free(&um.mem, &e);
    assert_int_equal(um.live, 0);

    assert_int_equal(sprox_error_parse(&um.mem, S(
        "<Error><Code>PermanentRedirect</Code><Endpoint>b.s3.eu-west-1."
        "amazonaws.com</Endpoint><Bucket>b</Bucket></Error>"), &e),
        SPROX_OK);
    assert_str(e.endpoint, "b.s3.eu-west-1.amazonaws.com");
    assert_str(e.bucket, "b");
    sprox_error_free(&um.mem, &e);

    assert_int_equal(sprox_error_parse(&um.mem, S(
        "<Error xmlns='http://s3.amazonaws.com/doc/2006-03-01/'>"
        "<Code>A&#66;<![CDATA[.x]]></Code><Code>second</Code>"
        "<Message>A&amp;B&#65;<![CDATA[<x>]]></Message>"
        "<Extra><Code>deep</Code></Extra><BucketName>n</BucketName>"
        "</Error>"), &e),
        SPROX_OK);
    assert_str(e.code, "AB.x");
    assert_str(e.message, "A&BA<x>");
    assert_str(e.bucket, "n");
    sprox_error_free(&um.mem, &e);

    assert_int_equal(sprox_error_parse(&um.mem, S(
        "<ErrorResponse><Error><Type>Sender</Type><Code>ExpiredToken</Code>"
        "</Error><RequestId>x</RequestId></ErrorResponse>"), &e),
        SPROX_OK);
    assert_str(e.code, "ExpiredToken");
    sprox_error_free(&um.mem, &e);

    assert_int_equal(sprox_error_parse(&um.mem, S("<Error/>"), &e),
                     SPROX_OK);
    assert_null(e.code.data);
    sprox_error_free(&um.mem, &e);

    assert_int_equal(um.live, 0);
}


static void
test_error_parse_bad(void **state)
{
    size_t         i;
    sprox_rc_t     rc;
    unit_mem_t     um;
    sprox_error_t  e;

    static const char  *bad[] = {
        "",
        " ",
        "NoSuchKey",
        "<html><body>502</body></html>",
        "<Error>",
        "<Error><Code>x</Code>",
        "<Error><Code>x</Error>",
        "<Error><Code>x</Code></Error><Error/>",
        "<Error><Code>x</Code></Error>trailing",
        "<Error><Code>&undefined;</Code></Error>",
        "<Error><Code>&#0;</Code></Error>",
        "<Error><Code>&#x1;</Code></Error>",
        "<Error><Code>\xff</Code></Error>",
        "<Error><Message><![CDATA[\xc0\xab]]></Message></Error>",
        "<Error><Message><![CDATA[\xed\xa0\x80]]></Message></Error>",
        "<Error><Message><![CDATA[\xff]]></Message></Error>",
        "<Error><Code><x>a</x></Code></Error>",
        "<ErrorResponse/>",
        "<ListBucketResult/>",
        "<!DOCTYPE Error><Error><Code>x</Code></Error>",
        "<!DOCTYPE Error [<!ENTITY a 'b'>]><Error><Code>&a;</Code></Error>",
        "<!DOCTYPE Error SYSTEM 'file:///etc/passwd'><Error/>",
        "<!DOCTYPE a [<!ENTITY a 'xx'><!ENTITY b '&a;&a;'>]><Error/>",
        "<?xml version='1.0' encoding='UTF-16'?><Err",
        "\xff\xfe<\0E\0",
    };

    (void) state;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        unit_mem_init(&um, 0);

        rc = sprox_error_parse(&um.mem, error_str(bad[i]), &e);

        if (rc != SPROX_INVALID) {
            fail_msg("%s: %d", bad[i], (int) rc);
        }

        assert_null(e.code.data);
        assert_int_equal(um.live, 0);
    }

    unit_mem_init(&um, 0);
    assert_int_equal(sprox_error_parse(&um.mem, S("<\0E\0/\0>\0"), &e),
                     SPROX_INVALID);
    assert_int_equal(sprox_error_parse(&um.mem, S("<Error>\0</Error>"), &e),
                     SPROX_INVALID);
}


/* What is read becomes text of logs and answers. */

static void
test_error_forged(void **state)
{
    size_t         i;
    unit_mem_t     um;
    sprox_buf_t    b;
    sprox_error_t  e;

    static const char  *codes[] = {
        "A&#10;B", "A&#13;", "A B", "A&lt;B&gt;", "A&#x7f;", "\xc3\xa9",
        "A\"B", "A%s", "A/B"
    };

    (void) state;

    unit_mem_init(&um, 0);
    sprox_buf_init(&b, &um.mem);

    for (i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        b.len = 0;
        sprox_buf_text(&b, "<Error><Code>");
        sprox_buf_text(&b, codes[i]);
        sprox_buf_text(&b, "</Code><Region>r</Region></Error>");

        assert_int_equal(sprox_error_parse(&um.mem, sprox_buf_get(&b), &e),
                         SPROX_OK);
        assert_null(e.code.data);
        assert_str(e.region, "r");
        sprox_error_free(&um.mem, &e);
    }

    b.len = 0;
    sprox_buf_text(&b, "<Error><Code>");

    for (i = 0; i < SPROX_ERROR_CODE_MAX + 1; i++) {
        sprox_buf_char(&b, 'x');
    }

    sprox_buf_text(&b, "</Code><Code>Later</Code><Message>one&#10;two&#13;"
                       "&#9;three\x7f\xc2\x80</Message></Error>");

    assert_int_equal(sprox_error_parse(&um.mem, sprox_buf_get(&b), &e),
                     SPROX_OK);
    assert_str(e.code, "Later");
    assert_str(e.message, "one two  three \xc2\x80");
    sprox_error_free(&um.mem, &e);

    sprox_buf_free(&b);
    assert_int_equal(um.live, 0);
}


/* <Error> and more elements around nothing than may be, or as many. */

static sprox_rc_t
error_deep(size_t depth)
{
    size_t         i;
    sprox_rc_t     rc;
    unit_mem_t     um;
    sprox_buf_t    b;
    sprox_error_t  e;

    unit_mem_init(&um, 0);
    sprox_buf_init(&b, &um.mem);
    sprox_buf_text(&b, "<Error>");

    for (i = 1; i < depth; i++) {
        sprox_buf_text(&b, "<a>");
    }

    for (i = 1; i < depth; i++) {
        sprox_buf_text(&b, "</a>");
    }

    sprox_buf_text(&b, "</Error>");

    rc = sprox_error_parse(&um.mem, sprox_buf_get(&b), &e);

    sprox_buf_free(&b);
    assert_int_equal(um.live, 0);

    return rc;
}


static void
test_error_limits(void **state)
{
    unit_mem_t     um;
    sprox_buf_t    b;
    sprox_error_t  e;

    (void) state;

    assert_int_equal(error_deep(16), SPROX_OK);
    assert_int_equal(error_deep(17), SPROX_LIMIT);
    assert_int_equal(error_deep(5000), SPROX_LIMIT);

    unit_mem_init(&um, 0);
    sprox_buf_init(&b, &um.mem);
    sprox_buf_text(&b, "<Error><Message>");

    while (b.len < SPROX_ERROR_XML_MAX - 18) {
        sprox_buf_char(&b, 'x');
    }

    sprox_buf_text(&b, "</Message></Error>");
    assert_int_equal(b.len, SPROX_ERROR_XML_MAX);
    assert_int_equal(sprox_error_parse(&um.mem, sprox_buf_get(&b), &e),
                     SPROX_OK);
    assert_int_equal(e.message.len, SPROX_ERROR_XML_MAX - 34);
    sprox_error_free(&um.mem, &e);

    sprox_buf_char(&b, '\n');
    assert_int_equal(sprox_error_parse(&um.mem, sprox_buf_get(&b), &e),
                     SPROX_LIMIT);

    sprox_buf_free(&b);
    assert_int_equal(um.live, 0);
}


static sprox_rc_t
error_work(const sprox_mem_t *mem, void *data)
{
    sprox_rc_t     rc;
    sprox_buf_t    b;
    sprox_error_t  e;

    (void) data;

    sprox_buf_init(&b, mem);
    sprox_error_write(&b, S("NoSuchKey"), S("m"), S("b"), S("k"), S("r"));
    rc = sprox_buf_rc(&b);

    if (rc == SPROX_OK) {
        rc = sprox_error_parse(mem, sprox_buf_get(&b), &e);
    }

    if (rc == SPROX_OK) {
        assert_str(e.code, "NoSuchKey");
        assert_str(e.message, "m");
        sprox_error_free(mem, &e);
    }

    sprox_buf_free(&b);

    return rc;
}


static void
test_error_nomem(void **state)
{
    (void) state;

    assert_in_range(unit_each_alloc_fails(error_work, NULL), 4, 100);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_error_table),
        cmocka_unit_test(test_error_write),
        cmocka_unit_test(test_error_parse),
        cmocka_unit_test(test_error_parse_bad),
        cmocka_unit_test(test_error_forged),
        cmocka_unit_test(test_error_limits),
        cmocka_unit_test(test_error_nomem),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
