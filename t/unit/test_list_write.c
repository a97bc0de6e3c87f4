/* Answers to listings: s3/list_write.c, and back through s3/list_xml.c. */

#include "unit.h"
#include "sprox_list.h"


#define HEAD  "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"                   \
              "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/"        \
              "2006-03-01/\">"
#define TIME  1767323045678LL
#define DATE  "<LastModified>2026-01-02T03:04:05.000Z</LastModified>"


static void
write_req(sprox_list_req_t *req, unsigned version)
{
    memset(req, 0, sizeof(sprox_list_req_t));
    req->version = version;
    req->max_keys = 1000;
}


static void
write_object(sprox_list_item_t *item, sprox_str_t key)
{
    memset(item, 0, sizeof(sprox_list_item_t));
    item->key = key;
    item->size = 42;
    item->last_modified = TIME;
    item->etag = S("\"e1\"");
}


static void
write_check(const sprox_list_req_t *req, const sprox_list_item_t *items,
    size_t n, int truncated, sprox_str_t next, const char *xml)
{
    unit_mem_t   um;
    sprox_buf_t  b;

    unit_mem_init(&um, 0);
    sprox_buf_init(&b, &um.mem);

    sprox_list_write(&b, S("b1"), req, items, n, truncated, next);
    assert_int_equal(sprox_buf_rc(&b), SPROX_OK);
    assert_str(sprox_buf_get(&b), xml);

    sprox_buf_free(&b);
    assert_int_equal(um.live, 0);
}


static void
test_write_empty(void **state)
{
    sprox_list_req_t  req;

    (void) state;

    write_req(&req, 2);
    write_check(&req, NULL, 0, 0, sprox_str_null,
                HEAD "<Name>b1</Name><Prefix></Prefix><KeyCount>0</KeyCount>"
                "<MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated>"
                "</ListBucketResult>");

    write_req(&req, 1);
    req.max_keys = 0;
    write_check(&req, NULL, 0, 0, sprox_str_null,
                HEAD "<Name>b1</Name><Prefix></Prefix><Marker></Marker>"
                "<MaxKeys>0</MaxKeys><IsTruncated>false</IsTruncated>"
                "</ListBucketResult>");
}


static void
test_write_v2(void **state)
{
    sprox_list_req_t   req;
    sprox_list_item_t  items[3];

    (void) state;

    write_req(&req, 2);
    req.prefix = S("a/");
    req.delimiter = S("/");
    req.delimiter_sent = 1;
    req.start_after = S("a");
    req.start_after_sent = 1;
    req.token = S("AWE");
    req.token_sent = 1;
    req.max_keys = 3;

    write_object(&items[0], S("a/b"));
    items[0].storage_class = S("GLACIER");
    items[0].owner_id = S("id");

    memset(&items[1], 0, sizeof(items[1]));
    items[1].key = S("a/c/");
    items[1].is_prefix = 1;

    write_object(&items[2], S("a/d&<>"));
    items[2].etag = sprox_str_null;

    write_check(&req, items, 3, 1, S("a/d&<>"),
                HEAD "<Name>b1</Name><Prefix>a/</Prefix>"
                "<StartAfter>a</StartAfter>"
                "<ContinuationToken>AWE</ContinuationToken>"
                "<KeyCount>3</KeyCount><MaxKeys>3</MaxKeys>"
                "<Delimiter>/</Delimiter><IsTruncated>true</IsTruncated>"
                "<NextContinuationToken>AWEvZCY8Pg</NextContinuationToken>"
                "<Contents><Key>a/b</Key>" DATE "<ETag>&quot;e1&quot;</ETag>"
                "<Size>42</Size><StorageClass>GLACIER</StorageClass>"
                "</Contents>"
                "<Contents><Key>a/d&amp;&lt;&gt;</Key>" DATE
                "<Size>42</Size><StorageClass>STANDARD</StorageClass>"
                "</Contents>"
                "<CommonPrefixes><Prefix>a/c/</Prefix></CommonPrefixes>"
                "</ListBucketResult>");
}


static void
test_write_url(void **state)
{
    sprox_list_req_t   req;
    sprox_list_item_t  items[2];

    (void) state;

    write_req(&req, 2);
    req.url = 1;
    req.prefix = S("a b/\xc3\xa4");
    req.delimiter = S("|");
    req.start_after = S("a+b");

    write_object(&items[0], S("a b/+~-._%&\x01\xff"));

    memset(&items[1], 0, sizeof(items[1]));
    items[1].key = S("  ");
    items[1].is_prefix = 1;

    write_check(&req, items, 2, 0, sprox_str_null,
                HEAD "<Name>b1</Name><Prefix>a+b/%C3%A4</Prefix>"
                "<StartAfter>a%2Bb</StartAfter><KeyCount>2</KeyCount>"
                "<MaxKeys>1000</MaxKeys><Delimiter>%7C</Delimiter>"
                "<EncodingType>url</EncodingType>"
                "<IsTruncated>false</IsTruncated>"
                "<Contents><Key>a+b/%2B~-._%25%26%01%FF</Key>" DATE
                "<ETag>&quot;e1&quot;</ETag><Size>42</Size>"
                "<StorageClass>STANDARD</StorageClass></Contents>"
                "<CommonPrefixes><Prefix>++</Prefix></CommonPrefixes>"
                "</ListBucketResult>");
}


static void
test_write_v1(void **state)
{
    sprox_list_req_t   req;
    sprox_list_item_t  item;

    (void) state;

    write_req(&req, 1);
    req.url = 1;
    req.marker = S("m n");

    write_object(&item, S("k"));
    item.owner_id = S("id&");
    item.owner_name = S("me");

    write_check(&req, &item, 1, 1, S("k l"),
                HEAD "<Name>b1</Name><Prefix></Prefix><Marker>m+n</Marker>"
                "<NextMarker>k+l</NextMarker><MaxKeys>1000</MaxKeys>"
                "<EncodingType>url</EncodingType>"
                "<IsTruncated>true</IsTruncated>"
                "<Contents><Key>k</Key>" DATE "<ETag>&quot;e1&quot;</ETag>"
                "<Size>42</Size><Owner><ID>id&amp;</ID>"
                "<DisplayName>me</DisplayName></Owner>"
                "<StorageClass>STANDARD</StorageClass></Contents>"
                "</ListBucketResult>");
}


static void
test_write_hostile(void **state)
{
    sprox_list_req_t   req;
    sprox_list_item_t  item;

    (void) state;

    write_req(&req, 2);
    write_object(&item, S("\x01\r\n\t\xff\xef\xbf\xbf\xc0\x80"));

    write_check(&req, &item, 1, 0, sprox_str_null,
                HEAD "<Name>b1</Name><Prefix></Prefix><KeyCount>1</KeyCount>"
                "<MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated>"
                "<Contents><Key>&#x1;&#xD;\n\t\xef\xbf\xbd&#xFFFF;"
                "\xef\xbf\xbd\xef\xbf\xbd</Key>" DATE
                "<ETag>&quot;e1&quot;</ETag><Size>42</Size>"
                "<StorageClass>STANDARD</StorageClass></Contents>"
                "</ListBucketResult>");
}


static void
test_write_others(void **state)
{
    unit_mem_t         um;
    sprox_buf_t        b;
    sprox_list_item_t  items[2];

    (void) state;

    unit_mem_init(&um, 0);
    sprox_buf_init(&b, &um.mem);

    memset(items, 0, sizeof(items));
    items[0].key = S("b1");
    items[0].last_modified = TIME;
    items[1].key = S("b<2");
    items[1].last_modified = -1;

    sprox_buckets_write(&b, items, 2);
    assert_str(sprox_buf_get(&b),
               "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
               "<ListAllMyBucketsResult xmlns=\"http://s3.amazonaws.com/doc/"
               "2006-03-01/\"><Owner><ID>sprox</ID>"
               "<DisplayName>sprox</DisplayName></Owner><Buckets>"
               "<Bucket><Name>b1</Name>"
               "<CreationDate>2026-01-02T03:04:05.000Z</CreationDate>"
               "</Bucket><Bucket><Name>b&lt;2</Name>"
               "<CreationDate>1969-12-31T23:59:59.000Z</CreationDate>"
               "</Bucket></Buckets></ListAllMyBucketsResult>");
    sprox_buf_free(&b);

    sprox_location_write(&b, S("eu-west-1"));
    assert_str(sprox_buf_get(&b),
               "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
               "<LocationConstraint xmlns=\"http://s3.amazonaws.com/doc/"
               "2006-03-01/\">eu-west-1</LocationConstraint>");
    sprox_buf_free(&b);

    sprox_location_write(&b, S("us-east-1"));
    assert_true(sprox_str_ends(sprox_buf_get(&b),
                               S("2006-03-01/\"></LocationConstraint>")));
    sprox_buf_free(&b);
    assert_int_equal(um.live, 0);
}


/* What was written is read again: each item must be the one expected. */

typedef struct {
    const sprox_list_item_t  *items;
    size_t                    n;
    size_t                    i;
} back_t;


static sprox_rc_t
back_item(void *data, const sprox_list_item_t *item)
{
    back_t                   *back = data;
    const sprox_list_item_t  *want;

    assert_true(back->i < back->n);
    want = &back->items[back->i++];

    assert_true(sprox_str_eq(item->key, want->key));
    assert_int_equal(item->is_prefix, want->is_prefix);

    if (!want->is_prefix) {
        assert_true(item->size == want->size);
        assert_true(item->last_modified
                    == want->last_modified - want->last_modified % 1000);
        assert_true(sprox_str_eq(item->etag, want->etag));
    }

    return SPROX_OK;
}


static void
back_check(const sprox_list_req_t *req, sprox_list_item_t *items, size_t n)
{
    back_t                back;
    unit_mem_t            um;
    sprox_buf_t           b;
    sprox_list_page_t     page;
    sprox_list_parser_t  *p;

    unit_mem_init(&um, 0);
    sprox_buf_init(&b, &um.mem);

    sprox_list_write(&b, S("b1"), req, items, n, 1, items[n - 1].key);
    assert_int_equal(sprox_buf_rc(&b), SPROX_OK);

    back.items = items;
    back.n = n;
    back.i = 0;

    p = sprox_list_parser_create(&um.mem, req->url, back_item, &back);
    assert_non_null(p);
    assert_int_equal(sprox_list_parser_feed(p, b.data, b.len), SPROX_OK);
    assert_int_equal(sprox_list_parser_done(p, &page), SPROX_OK);
    assert_int_equal(back.i, n);
    assert_true(page.truncated);

    if (req->version == 1) {
        assert_true(sprox_str_eq(page.next, items[n - 1].key));
    }

    sprox_free(&um.mem, (void *) page.next.data);
    sprox_list_parser_free(p);
    sprox_buf_free(&b);
    assert_int_equal(um.live, 0);
}


static void
test_round_trip(void **state)
{
    size_t             i, n;
    unsigned           version;
    sprox_list_req_t   req;
    sprox_list_item_t  items[64];

    static const sprox_str_t  keys[] = {
        sprox_str(" "),
        sprox_str("  a  "),
        sprox_str("+"),
        sprox_str("%"),
        sprox_str("%2B+%20"),
        sprox_str("&amp;"),
        sprox_str("&#x41;"),
        sprox_str("<Key>k</Key>"),
        sprox_str("]]>"),
        sprox_str("<![CDATA[x]]>"),
        sprox_str("<!-- x -->"),
        sprox_str("\"'"),
        sprox_str("a\tb\nc\rd\r\ne"),
        sprox_str("//a//.././/"),
        sprox_str("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"),
        sprox_str("\x7f\xc2\x80\xc2\x85"),
        sprox_str("\xef\xbf\xbd"),
        sprox_str("\xee\x80\x80"),

        /* XML cannot carry these: with encoding-type=url only */

        sprox_str("\x01\x02\x1f"),
        sprox_str("\xff\xfe"),
        sprox_str("\xc3"),
        sprox_str("\xed\xa0\x80"),
        sprox_str("\xef\xbf\xbf"),
        sprox_str("a\0b"),
    };

    (void) state;

    n = sizeof(keys) / sizeof(keys[0]);

    for (i = 0; i < n; i++) {
        write_object(&items[i], keys[i]);
        items[i].size = i * 1234567890123ULL;
    }

    for (version = 1; version <= 2; version++) {
        write_req(&req, version);
        req.url = 1;
        items[n - 1].is_prefix = 1;
        back_check(&req, items, n);

        req.url = 0;
        back_check(&req, items, n - 6);
        items[n - 7].is_prefix = 1;
        back_check(&req, items, n - 6);
        items[n - 7].is_prefix = 0;
    }
}


static sprox_rc_t
write_work(const sprox_mem_t *mem, void *data)
{
    uint8_t            key[SPROX_KEY_MAX];
    sprox_rc_t         rc;
    sprox_buf_t        b;
    sprox_list_req_t   req;
    sprox_list_item_t  item;

    (void) data;

    write_req(&req, 2);
    req.url = 1;

    /* three times as long when it is encoded: more than was reserved */

    memset(key, '%', sizeof(key));
    write_object(&item, sprox_str_make(key, sizeof(key)));

    sprox_buf_init(&b, mem);
    sprox_list_write(&b, S("b1"), &req, &item, 1, 1, S("a b/c"));
    sprox_buckets_write(&b, &item, 1);
    sprox_location_write(&b, S("eu-west-1"));
    rc = sprox_buf_rc(&b);
    sprox_buf_free(&b);

    return rc;
}


static void
test_write_nomem(void **state)
{
    (void) state;

    assert_in_range(unit_each_alloc_fails(write_work, NULL), 2, 50);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_write_empty),
        cmocka_unit_test(test_write_v2),
        cmocka_unit_test(test_write_url),
        cmocka_unit_test(test_write_v1),
        cmocka_unit_test(test_write_hostile),
        cmocka_unit_test(test_write_others),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_write_nomem),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
