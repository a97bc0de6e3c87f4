/* Pages of listings read: s3/list_xml.c, s3/xml_read.c. */

#include "unit.h"
#include "sprox_list.h"


#define BEGIN     "<ListBucketResult>"
#define END       "<IsTruncated>false</IsTruncated></ListBucketResult>"
#define DATE      "<LastModified>2026-01-02T03:04:05.000Z</LastModified>"
#define OBJ(key)  "<Contents><Key>" key "</Key>" DATE                         \
                  "<ETag>&quot;e&quot;</ETag><Size>1</Size></Contents>"
#define COMMON(prefix)                                                        \
    "<CommonPrefixes><Prefix>" prefix "</Prefix></CommonPrefixes>"


/* One line an item: key|size|time|etag|class|id|name, or key| for prefixes. */

typedef struct {
    sprox_buf_t  dump;
    size_t       n;
    size_t       stop_at;       /* the handler ends the parse; 0: never */
} sink_t;


static void
sink_str(sprox_buf_t *b, sprox_str_t s)
{
    sprox_buf_char(b, '|');
    sprox_buf_str(b, s);
}


static sprox_rc_t
sink_item(void *data, const sprox_list_item_t *item)
{
    sink_t  *s = data;

    sprox_buf_str(&s->dump, item->key);

    if (!item->is_prefix) {
        sprox_buf_char(&s->dump, '|');
        sprox_buf_u64(&s->dump, item->size);
        sprox_buf_char(&s->dump, '|');
        sprox_buf_u64(&s->dump, (uint64_t) item->last_modified);
        sink_str(&s->dump, item->etag);
        sink_str(&s->dump, item->storage_class);
        sink_str(&s->dump, item->owner_id);
        sink_str(&s->dump, item->owner_name);
    }

    sprox_buf_char(&s->dump, '\n');

    if (++s->n == s->stop_at) {
        return SPROX_FULL;
    }

    return sprox_buf_rc(&s->dump);
}


/* Parses in pieces of `piece` bytes; the dump ends with a dot. */

static sprox_rc_t
page_parse(const sprox_mem_t *mem, sprox_str_t xml, int url, size_t piece,
    sink_t *sink, sprox_list_page_t *page)
{
    size_t                i, n;
    sprox_rc_t            rc;
    sprox_list_parser_t  *p;

    sink->n = 0;
    sprox_buf_init(&sink->dump, mem);
    memset(page, 0, sizeof(sprox_list_page_t));

    p = sprox_list_parser_create(mem, url, sink_item, sink);
    if (p == NULL) {
        return SPROX_NOMEM;
    }

    rc = SPROX_OK;

    for (i = 0; i < xml.len && rc == SPROX_OK; i += n) {
        n = xml.len - i < piece ? xml.len - i : piece;
        rc = sprox_list_parser_feed(p, xml.data + i, n);
    }

    if (rc == SPROX_OK) {
        rc = sprox_list_parser_done(p, page);
    }

    if (rc != SPROX_OK) {
        /* errors stay */
        assert_int_equal(sprox_list_parser_feed(p, "<", 1), rc);
        assert_int_equal(sprox_list_parser_done(p, page), rc);
    }

    sprox_list_parser_free(p);
    sprox_buf_char(&sink->dump, '.');

    return rc;
}


static const size_t  pieces[] = { 1, 2, 3, 7, 64, 4095, 4096, 4097, 1000000 };


/* Expects items (or, with NULL, that error), however the page is cut. */

static void
page_check(const char *xml, int url, sprox_rc_t expected, const char *dump,
    const char *next)
{
    size_t             i;
    sprox_rc_t         rc;
    sink_t             sink;
    unit_mem_t         um;
    sprox_list_page_t  page;

    for (i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        unit_mem_init(&um, 0);
        sink.stop_at = 0;

        rc = page_parse(&um.mem, sprox_str_make(xml, strlen(xml)), url,
                        pieces[i], &sink, &page);

        if (rc != expected) {
            fail_msg("%s: %d", xml, (int) rc);
        }

        if (dump != NULL) {
            assert_str(sprox_buf_get(&sink.dump), dump);
        }

        if (next != NULL) {
            assert_true(page.truncated);
            assert_str(page.next, next);

        } else {
            assert_null(page.next.data);
        }

        sprox_free(&um.mem, (void *) page.next.data);
        sprox_buf_free(&sink.dump);
        assert_int_equal(um.live, 0);
    }
}


#define S3_V2                                                                 \
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"                            \
    "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"    \
    "<Name>b</Name><Prefix>a/</Prefix><StartAfter>a</StartAfter>"             \
    "<KeyCount>3</KeyCount><MaxKeys>3</MaxKeys><Delimiter>/</Delimiter>"      \
    "<EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>"         \
    "<NextContinuationToken>1ue+%/xY=</NextContinuationToken>"                \
    "<Contents><Key>a/x+y%2Bz%25</Key>"                                       \
    "<LastModified>2026-01-02T03:04:05.000Z</LastModified>"                   \
    "<ETag>&quot;d41d8&quot;</ETag>"                                          \
    "<ChecksumAlgorithm>CRC32</ChecksumAlgorithm>"                            \
    "<ChecksumAlgorithm>SHA1</ChecksumAlgorithm><Size>12</Size>"              \
    "<Owner><ID>id1</ID><DisplayName>me</DisplayName></Owner>"                \
    "<StorageClass>STANDARD</StorageClass>"                                   \
    "<RestoreStatus><IsRestoreInProgress>false</IsRestoreInProgress>"         \
    "</RestoreStatus></Contents>"                                             \
    "<Contents><Key>a/b</Key>"                                                \
    "<LastModified>2026-01-02T03:04:05.123Z</LastModified>"                   \
    "<ETag>\"raw-2\"</ETag><Size>9223372036854775807</Size></Contents>"       \
    "<CommonPrefixes><Prefix>a/c%2F/</Prefix></CommonPrefixes>"               \
    "</ListBucketResult>"


static void
test_page_v2(void **state)
{
    (void) state;

    page_check(S3_V2, 1, SPROX_OK,
               "a/x y+z%|12|1767323045000|\"d41d8\"|STANDARD|id1|me\n"
               "a/b|9223372036854775807|1767323045123|\"raw-2\"|||\n"
               "a/c//\n.",
               "1ue+%/xY=");

    /* the document decides, also when nothing was asked for */

    page_check(S3_V2, 0, SPROX_OK,
               "a/x y+z%|12|1767323045000|\"d41d8\"|STANDARD|id1|me\n"
               "a/b|9223372036854775807|1767323045123|\"raw-2\"|||\n"
               "a/c//\n.",
               "1ue+%/xY=");
}


static void
test_page_v1(void **state)
{
    (void) state;

    page_check(BEGIN "<Name>b</Name><Marker></Marker>"
               "<IsTruncated>true</IsTruncated>"
               "<NextMarker>a b&amp;c</NextMarker>" OBJ("k")
               "</ListBucketResult>",
               0, SPROX_OK, "k|1|1767323045000|\"e\"|||\n.", "a b&c");

    page_check(BEGIN "<EncodingType>url</EncodingType>"
               "<IsTruncated>true</IsTruncated>"
               "<NextMarker>a+b%26c</NextMarker></ListBucketResult>",
               1, SPROX_OK, ".", "a b&c");

    /* a marker comes before the encoding that it is in */

    page_check(BEGIN "<NextMarker>a+b%26c</NextMarker>"
               "<IsTruncated>true</IsTruncated>"
               "<EncodingType>url</EncodingType></ListBucketResult>",
               1, SPROX_OK, ".", "a b&c");

    page_check(BEGIN "<NextMarker>a+b%26c</NextMarker>"
               "<IsTruncated>true</IsTruncated></ListBucketResult>",
               1, SPROX_OK, ".", "a+b%26c");

    /* the token is the surer word */

    page_check(BEGIN "<NextMarker>m</NextMarker>"
               "<NextContinuationToken>t</NextContinuationToken>"
               "<IsTruncated>true</IsTruncated></ListBucketResult>",
               1, SPROX_OK, ".", "t");

    /* not truncated: there is no next */

    page_check(BEGIN "<NextMarker>m</NextMarker>" END, 1, SPROX_OK, ".",
               NULL);
}


static void
test_page_encoding(void **state)
{
    (void) state;

    /* versitygw: asked for, and ignored */

    page_check(BEGIN OBJ("a") OBJ("b%41+") OBJ("c") COMMON("d+/") END, 1,
               SPROX_OK,
               "a|1|1767323045000|\"e\"|||\nb%41+|1|1767323045000|\"e\"|||\n"
               "c|1|1767323045000|\"e\"|||\nd+/\n.", NULL);

    /* MinIO: said behind the keys; the order stays */

    page_check(BEGIN OBJ("a") OBJ("b%41+") OBJ("c") COMMON("d+/")
               "<EncodingType>url</EncodingType>" OBJ("e%42") END, 1,
               SPROX_OK,
               "a|1|1767323045000|\"e\"|||\nbA |1|1767323045000|\"e\"|||\n"
               "c|1|1767323045000|\"e\"|||\nd /\n"
               "eB|1|1767323045000|\"e\"|||\n.", NULL);

    /* not asked for, said too late: what went out was wrong */

    page_check(BEGIN OBJ("a") "<EncodingType>url</EncodingType>" OBJ("%42")
               END, 0, SPROX_OK,
               "a|1|1767323045000|\"e\"|||\nB|1|1767323045000|\"e\"|||\n.",
               NULL);
    page_check(BEGIN OBJ("%42") "<EncodingType>url</EncodingType>" END, 0,
               SPROX_INVALID, NULL, NULL);

    page_check(BEGIN "<EncodingType></EncodingType>" OBJ("a+") END, 1,
               SPROX_OK, "a+|1|1767323045000|\"e\"|||\n.", NULL);
    page_check(BEGIN "<EncodingType>base64</EncodingType>" END, 1,
               SPROX_INVALID, NULL, NULL);
    page_check(BEGIN "<EncodingType>url</EncodingType>" OBJ("a%4") END, 1,
               SPROX_INVALID, NULL, NULL);
    page_check(BEGIN OBJ("a%4") END, 1, SPROX_OK, NULL, NULL);
}


static void
test_page_text(void **state)
{
    (void) state;

    page_check(BEGIN OBJ("&lt;&amp;&gt;&quot;&apos;&#65;&#x42;&#xe4;") END,
               0, SPROX_OK,
               "<&>\"'AB\xc3\xa4|1|1767323045000|\"e\"|||\n.", NULL);
    page_check(BEGIN OBJ("a<![CDATA[<&]]>b<!-- c --><?p i?>c") END, 0,
               SPROX_OK, "a<&bc|1|1767323045000|\"e\"|||\n.", NULL);
    page_check(BEGIN OBJ(" ") OBJ("&#x9;&#xA;&#xD;") OBJ(" a ") END, 0,
               SPROX_OK,
               " |1|1767323045000|\"e\"|||\n"
               "\t\n\r|1|1767323045000|\"e\"|||\n"
               " a |1|1767323045000|\"e\"|||\n.", NULL);
    page_check("\xef\xbb\xbf\n" BEGIN "\n" OBJ("\xf0\x9f\x98\x80") "\n" END
               "\n<!-- end -->", 0, SPROX_OK,
               NULL, NULL);
    page_check("<s3:ListBucketResult xmlns:s3='u'><s3:IsTruncated> False "
               "</s3:IsTruncated></s3:ListBucketResult>", 0, SPROX_OK, ".",
               NULL);

    /* a declaration of another encoding is a mistake of the origin's */

    page_check("<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>" BEGIN
               OBJ("\xc3\xa4") END, 0, SPROX_OK,
               "\xc3\xa4|1|1767323045000|\"e\"|||\n.", NULL);
}


static void
test_page_fields(void **state)
{
    size_t       i;
    unit_mem_t   um;
    sprox_buf_t  b;

    static const struct {
        const char  *contents;
        const char  *dump;        /* NULL: SPROX_INVALID */
    } cases[] = {
        { "<Key>k</Key>" DATE "<Size> 7 </Size>",
          "k|7|1767323045000||||\n." },
        { "<Key>k</Key>" DATE "<Size>7</Size><ETag>e</ETag>",
          "k|7|1767323045000|\"e\"|||\n." },
        { "<Key>k</Key>" DATE "<Size>7</Size><ETag> W/\"e\" </ETag>",
          "k|7|1767323045000|W/\"e\"|||\n." },
        { "<Key>k</Key>" DATE "<Size>7</Size><ETag></ETag>",
          "k|7|1767323045000||||\n." },
        { "<Key>k</Key>" DATE "<Size>7</Size><ETag>\"\"</ETag>",
          "k|7|1767323045000||||\n." },
        { "<Key>k</Key>" DATE "<Size>7</Size><Owner/><StorageClass/>",
          "k|7|1767323045000||||\n." },
        { "<Key>k</Key>" DATE "<Size>7</Size><ETag>\"e</ETag>", NULL },
        { "<Key>k</Key>" DATE "<Size>7</Size><ETag>e\"f</ETag>", NULL },
        { "<Key>k</Key>" DATE "<Size>7</Size><ETag>e f</ETag>", NULL },
        { "<Key>k</Key>" DATE "<Size>7</Size><ETag>e&#13;f</ETag>", NULL },
        { "<Key>k</Key>" DATE "<Size>7</Size>"
          "<StorageClass>a&#10;</StorageClass>", NULL },
        { "<Key></Key>" DATE "<Size>7</Size>", NULL },
        { DATE "<Size>7</Size>", NULL },
        { "<Key>k</Key>" DATE, NULL },
        { "<Key>k</Key>" DATE "<Size></Size>", NULL },
        { "<Key>k</Key>" DATE "<Size>-1</Size>", NULL },
        { "<Key>k</Key>" DATE "<Size>1.5</Size>", NULL },
        { "<Key>k</Key>" DATE "<Size>9223372036854775808</Size>", NULL },
        { "<Key>k</Key>" DATE "<Size>99999999999999999999</Size>", NULL },
        { "<Key>k</Key><Size>7</Size>", NULL },
        { "<Key>k</Key><Size>7</Size><LastModified>now</LastModified>",
          NULL },
        { "<Key>k</Key><Key>l</Key>" DATE "<Size>7</Size>", NULL },
        { "<Key>k</Key>" DATE "<Size>7</Size><Size>8</Size>", NULL },
        { "<Key>k<b>l</b></Key>" DATE "<Size>7</Size>", NULL },
        { "<Sub><Key>k</Key></Sub>" DATE "<Size>7</Size>", NULL },
    };

    (void) state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        unit_mem_init(&um, 0);
        sprox_buf_init(&b, &um.mem);
        sprox_buf_text(&b, BEGIN "<Contents>");
        sprox_buf_text(&b, cases[i].contents);
        sprox_buf_text(&b, "</Contents>" END);
        sprox_buf_char(&b, '\0');

        page_check((const char *) b.data, 0,
                   cases[i].dump ? SPROX_OK : SPROX_INVALID,
                   cases[i].dump ? cases[i].dump : ".", NULL);

        sprox_buf_free(&b);
    }
}


static void
test_page_buckets(void **state)
{
    (void) state;

    page_check("<ListAllMyBucketsResult><Owner><ID>i</ID></Owner><Buckets>"
               "<Bucket><Name>b1</Name><CreationDate>2026-01-02T03:04:05Z"
               "</CreationDate></Bucket><Bucket><Name>b+%2</Name></Bucket>"
               "</Buckets></ListAllMyBucketsResult>",
               1, SPROX_OK, "b1|0|1767323045000||||\nb+%2|0|0||||\n.", NULL);
    page_check("<ListAllMyBucketsResult><Buckets/><ContinuationToken>t"
               "</ContinuationToken></ListAllMyBucketsResult>",
               0, SPROX_OK, ".", "t");
    page_check("<ListAllMyBucketsResult><Buckets><Bucket/></Buckets>"
               "</ListAllMyBucketsResult>",
               0, SPROX_INVALID, ".", NULL);
}


static void
test_page_bad(void **state)
{
    size_t  i;

    static const char  *bad[] = {
        "",
        "\n",
        "x",
        "<",
        "<html/>",
        "<Error><Code>AccessDenied</Code></Error>",
        "<Contents/>",
        BEGIN,
        BEGIN END "x",
        BEGIN END BEGIN END,
        BEGIN "<IsTruncated>false</IsTruncated>",
        BEGIN "</ListBucketResult>",
        BEGIN "<IsTruncated></IsTruncated></ListBucketResult>",
        BEGIN "<IsTruncated>maybe</IsTruncated></ListBucketResult>",
        BEGIN "<IsTruncated>true</IsTruncated>" END,
        BEGIN "<NextMarker>a</NextMarker><NextMarker>b</NextMarker>" END,
        BEGIN COMMON("") END,
        BEGIN "<Contents>" END,
        BEGIN "</Contents>" END,
        BEGIN OBJ("&nope;") END,
        BEGIN OBJ("&#0;") END,
        BEGIN OBJ("&#x1;") END,
        BEGIN OBJ("&#xFFFE;") END,
        BEGIN OBJ("&#xD800;") END,
        BEGIN OBJ("&#x110000;") END,
        BEGIN OBJ("\x01") END,
        BEGIN OBJ("\xff") END,
        BEGIN OBJ("<![CDATA[\xff]]>") END,
        BEGIN OBJ("<![CDATA[a\xc0\xaf]]>") END,
        BEGIN OBJ("<![CDATA[\xed\xa0\x80]]>") END,
        BEGIN OBJ("\xc3") END,
        BEGIN OBJ("a]]>b") END,
        BEGIN OBJ("a & b") END,
        "<ListBucketResult a='1' a='2'>" END,
        "<!DOCTYPE a>" BEGIN END,
        "<!DOCTYPE a [<!ENTITY x 'y'>]>" BEGIN OBJ("&x;") END,
        "<!DOCTYPE a [<!ENTITY amp 'y'>]>" BEGIN OBJ("&amp;") END,
        "<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]>" BEGIN
            OBJ("&x;") END,
        "<!DOCTYPE a SYSTEM 'http://127.0.0.1/x.dtd'>" BEGIN END,
        "<!DOCTYPE a [<!ENTITY % p SYSTEM 'file:///etc/passwd'> %p;]>" BEGIN
            END,
        "<!DOCTYPE ListBucketResult [<!ATTLIST Key a CDATA 'x'>]>" BEGIN END,
    };

    (void) state;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        page_check(bad[i], 0, SPROX_INVALID, NULL, NULL);
        page_check(bad[i], 1, SPROX_INVALID, NULL, NULL);
    }
}


static void
test_page_utf16(void **state)
{
    size_t             i;
    sink_t             sink;
    unit_mem_t         um;
    sprox_list_page_t  page;

    const sprox_str_t  docs[] = {
        sprox_str("\xff\xfe<\0L\0i\0s\0t\0"),
        sprox_str("\xfe\xff\0<\0L\0i\0s\0t"),
        sprox_str("<\0L\0i\0s\0t\0"),
        sprox_str("\0<\0L"),
        sprox_str("\x4c\x6f\xa7\x94\x93\x85"),
        sprox_str(BEGIN "\0" END),
        sprox_str(BEGIN END "\0"),
    };

    (void) state;

    for (i = 0; i < sizeof(docs) / sizeof(docs[0]); i++) {
        unit_mem_init(&um, 0);
        sink.stop_at = 0;

        assert_int_equal(page_parse(&um.mem, docs[i], 0, 3, &sink, &page),
                         SPROX_INVALID);
        sprox_buf_free(&sink.dump);
    }
}


static sprox_rc_t
page_key(size_t n, const char *unit, int url)
{
    size_t             i;
    sink_t             sink;
    sprox_rc_t         rc;
    unit_mem_t         um;
    sprox_buf_t        b;
    sprox_list_page_t  page;

    unit_mem_init(&um, 0);
    sprox_buf_init(&b, &um.mem);
    sprox_buf_text(&b, BEGIN "<EncodingType>url</EncodingType><Contents><Key>");

    for (i = 0; i < n; i++) {
        sprox_buf_text(&b, unit);
    }

    sprox_buf_text(&b, "</Key>" DATE "<Size>1</Size></Contents>" END);

    sink.stop_at = 0;
    rc = page_parse(&um.mem, sprox_buf_get(&b), url, 1000, &sink, &page);

    sprox_buf_free(&sink.dump);
    sprox_buf_free(&b);
    assert_int_equal(um.live, 0);

    return rc;
}


static void
test_page_long(void **state)
{
    (void) state;

    assert_int_equal(page_key(SPROX_KEY_MAX, "k", 1), SPROX_OK);
    assert_int_equal(page_key(SPROX_KEY_MAX, "%6B", 1), SPROX_OK);
    assert_int_equal(page_key(SPROX_KEY_MAX, "&#107;", 1), SPROX_OK);
    assert_int_equal(page_key(SPROX_KEY_MAX + 1, "k", 1), SPROX_LIMIT);
    assert_int_equal(page_key(SPROX_KEY_MAX + 1, "%6B", 1), SPROX_LIMIT);
    assert_int_equal(page_key(SPROX_LIST_TEXT_MAX + 1, "k", 1), SPROX_LIMIT);
    assert_int_equal(page_key(1000000, "k", 1), SPROX_LIMIT);
}


/* A long page whose items cross the reader's blocks at every offset. */

static void
test_page_blocks(void **state)
{
    size_t             i, shift;
    sink_t             one, two;
    unit_mem_t         um;
    sprox_buf_t        b;
    sprox_list_page_t  page;

    (void) state;

    for (shift = 0; shift < 300; shift += 7) {
        unit_mem_init(&um, 0);
        sprox_buf_init(&b, &um.mem);
        sprox_buf_text(&b, BEGIN);

        for (i = 0; i < 3800 + shift; i++) {
            sprox_buf_char(&b, ' ');
        }

        for (i = 0; i < 50; i++) {
            sprox_buf_text(&b, OBJ("a&amp;&#228;\xc3\xa4/%2B+"));
        }

        sprox_buf_text(&b, END);

        one.stop_at = 0;
        two.stop_at = 0;

        assert_int_equal(page_parse(&um.mem, sprox_buf_get(&b), 1, b.len,
                                    &one, &page), SPROX_OK);
        assert_int_equal(one.n, 50);
        assert_int_equal(page_parse(&um.mem, sprox_buf_get(&b), 1, 13, &two,
                                    &page), SPROX_OK);
        assert_true(sprox_str_eq(sprox_buf_get(&one.dump),
                                 sprox_buf_get(&two.dump)));
        assert_true(sprox_str_starts(sprox_buf_get(&one.dump),
                              S("a&\xc3\xa4\xc3\xa4/%2B+|1|")));

        sprox_buf_free(&one.dump);
        sprox_buf_free(&two.dump);
        sprox_buf_free(&b);
        assert_int_equal(um.live, 0);
    }
}


static void
test_page_size(void **state)
{
    size_t                n;
    sink_t                sink;
    unit_mem_t            um;
    sprox_rc_t            rc;
    sprox_list_parser_t  *p;

    static const char  begin[] = BEGIN;
    static const char  other[] =
        "<a>....................................................</a>";

    (void) state;

    unit_mem_init(&um, 0);
    sink.stop_at = 0;
    sink.n = 0;
    sprox_buf_init(&sink.dump, &um.mem);

    p = sprox_list_parser_create(&um.mem, 1, sink_item, &sink);
    assert_non_null(p);

    n = sizeof(begin) - 1;
    rc = sprox_list_parser_feed(p, begin, n);

    while (rc == SPROX_OK && n < 2 * SPROX_LIST_XML_MAX) {
        rc = sprox_list_parser_feed(p, other, sizeof(other) - 1);
        n += sizeof(other) - 1;
    }

    assert_int_equal(rc, SPROX_LIMIT);
    assert_true(n > SPROX_LIST_XML_MAX);
    assert_true(n < SPROX_LIST_XML_MAX + sizeof(other));
    sprox_list_parser_free(p);
    sprox_list_parser_free(NULL);

    sprox_buf_free(&sink.dump);
    assert_int_equal(um.live, 0);
}


/* What must be whole before it is read: no more than SPROX_XML_MARKUP_MAX. */

static void
test_page_markup(void **state)
{
    size_t                i, n;
    sink_t                sink;
    unit_mem_t            um;
    sprox_rc_t            rc;
    sprox_list_parser_t  *p;

    static const char  *begins[] = {
        "<a b='", "<!-- ", "<?pi ", "<", "</", "&", "&#x", "&#",
        "<IsTruncated>&#x"
    };
    static const char  block[] =
        "0000000000000000000000000000000000000000000000000000000000000000";

    (void) state;

    for (i = 0; i < sizeof(begins) / sizeof(begins[0]); i++) {
        unit_mem_init(&um, 0);
        sink.stop_at = 0;
        sink.n = 0;
        sprox_buf_init(&sink.dump, &um.mem);

        p = sprox_list_parser_create(&um.mem, 1, sink_item, &sink);
        assert_non_null(p);

        rc = sprox_list_parser_feed(p, BEGIN, sizeof(BEGIN) - 1);

        if (rc == SPROX_OK) {
            rc = sprox_list_parser_feed(p, begins[i], strlen(begins[i]));
        }

        for (n = 0; rc == SPROX_OK && n < 1024 * 1024; n += 64) {
            rc = sprox_list_parser_feed(p, block, 64);
        }

        if ((rc != SPROX_LIMIT && rc != SPROX_INVALID)
            || n > 64 * 1024 + 2 * 4096)
        {
            fail_msg("%s: %d after %zu", begins[i], (int) rc, n);
        }

        sprox_list_parser_free(p);
        sprox_buf_free(&sink.dump);
        assert_int_equal(um.live, 0);
    }
}


static void
test_page_deep(void **state)
{
    (void) state;

    page_check(BEGIN "<a><a><a><a><a><a><a><a><a><a><a><a><a><a><a>"
               "</a></a></a></a></a></a></a></a></a></a></a></a></a></a></a>"
               END, 0, SPROX_OK, ".", NULL);
    page_check(BEGIN "<a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a>"
               "</a></a></a></a></a></a></a></a></a></a></a></a></a></a></a>"
               "</a>" END, 0, SPROX_LIMIT, ".", NULL);
}


static void
test_page_stop(void **state)
{
    int                url;
    sink_t             sink;
    unit_mem_t         um;
    sprox_list_page_t  page;

    (void) state;

    /* from feed, and from done, where held items go out */

    for (url = 0; url <= 1; url++) {
        unit_mem_init(&um, 0);
        sink.stop_at = 2;

        assert_int_equal(page_parse(&um.mem,
                                    S(BEGIN OBJ("+1") OBJ("2") OBJ("3") END),
                                    url, 10, &sink, &page),
                         SPROX_FULL);
        assert_int_equal(sink.n, 2);

        sprox_buf_free(&sink.dump);
        assert_int_equal(um.live, 0);
    }
}


static sprox_rc_t
page_work(const sprox_mem_t *mem, void *data)
{
    sink_t             sink;
    sprox_rc_t         rc;
    sprox_list_page_t  page;

    (void) data;

    sink.stop_at = 0;

    rc = page_parse(mem,
                    S(BEGIN "<NextMarker>m</NextMarker>" OBJ("a") OBJ("b+")
                      OBJ("c") "<EncodingType>url</EncodingType>"
                      "<IsTruncated>true</IsTruncated></ListBucketResult>"),
                    1, 100, &sink, &page);

    if (rc == SPROX_OK) {
        rc = sprox_buf_rc(&sink.dump);
        sprox_free(mem, (void *) page.next.data);
    }

    sprox_buf_free(&sink.dump);

    return rc;
}


static void
test_page_nomem(void **state)
{
    (void) state;

    assert_in_range(unit_each_alloc_fails(page_work, NULL), 6, 100);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_page_v2),
        cmocka_unit_test(test_page_v1),
        cmocka_unit_test(test_page_encoding),
        cmocka_unit_test(test_page_text),
        cmocka_unit_test(test_page_fields),
        cmocka_unit_test(test_page_buckets),
        cmocka_unit_test(test_page_bad),
        cmocka_unit_test(test_page_utf16),
        cmocka_unit_test(test_page_long),
        cmocka_unit_test(test_page_blocks),
        cmocka_unit_test(test_page_size),
        cmocka_unit_test(test_page_markup),
        cmocka_unit_test(test_page_deep),
        cmocka_unit_test(test_page_stop),
        cmocka_unit_test(test_page_nomem),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
