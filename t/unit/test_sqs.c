/*
 * What is asked by the means of stores and is none: queues of SQS, and what
 * messages of SNS name.  The signatures were computed by another program.
 */

#include "unit.h"
#include "sprox_dialect.h"
#include "sprox_sqs.h"


#define NOW     1369353600                   /* 20130524T000000Z */
#define SECRET  "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"

#define COMMON                                                                \
    "User-Agent: sprox\r\nAccept-Encoding: identity\r\n"                      \
    "Connection: keep-alive\r\n"

#define AMZ                                                                   \
    "x-amz-content-sha256: " SPROX_EMPTY_SHA256 "\r\n"                        \
    "x-amz-date: 20130524T000000Z\r\n"


static const sprox_credential_t  keys = {
    0, sprox_str("AKID"), sprox_str(SECRET), sprox_str("")
};

static const sprox_credential_t  keys_token = {
    0, sprox_str("AKID"), sprox_str(SECRET), sprox_str("TOK==")
};

static const sprox_credential_t  nobody = {
    1, sprox_str(""), sprox_str(""), sprox_str("")
};


static void
addr_init(sprox_origin_addr_t *addr, const char *endpoint,
    const char *region)
{
    const char  *why = NULL;

    memset(addr, 0, sizeof(sprox_origin_addr_t));

    assert_int_equal(sprox_endpoint_parse(sprox_str_make(endpoint,
                                                         strlen(endpoint)),
                                          &addr->endpoint, &why), SPROX_OK);

    addr->region = sprox_str_make(region, strlen(region));
}


static void
object(sprox_origin_req_t *req, sprox_op_t op, sprox_str_t bucket,
    sprox_str_t key)
{
    memset(req, 0, sizeof(sprox_origin_req_t));

    req->op = op;
    req->bucket = bucket;
    req->key = key;
}


static void
check(const sprox_dialect_t *d, const sprox_origin_addr_t *addr,
    const sprox_origin_req_t *req, const sprox_credential_t *cred,
    const char *expected, const char *file, int line)
{
    unit_mem_t   um;
    sprox_buf_t  b;

    unit_mem_init(&um, 0);
    sprox_buf_init(&b, &um.mem);

    assert_int_equal(d->build(&b, addr, req, cred, NOW), SPROX_OK);
    unit_assert_str(sprox_buf_get(&b), expected, file, line);

    sprox_buf_free(&b);
    assert_int_equal(um.live, 0);
}

#define check_head(dialect, addr, req, cred, expected)                        \
    check(dialect, addr, req, cred, expected, __FILE__, __LINE__)


static void
test_queue(void **state)
{
    unit_mem_t           um;
    sprox_buf_t          b;
    sprox_origin_req_t   req;
    sprox_origin_addr_t  addr;

    (void) state;

    addr_init(&addr, "https://sqs.eu-west-1.amazonaws.com", "eu-west-1");
    object(&req, SPROX_OP_RECEIVE_MESSAGE, S(""), S("123456789012/events"));
    req.max_keys = 10;
    req.wait = 20;

    check_head(&sprox_dialect_sqs, &addr, &req, &keys,
        "GET /123456789012/events?Action=ReceiveMessage&"
        "MaxNumberOfMessages=10&Version=2012-11-05&WaitTimeSeconds=20 "
        "HTTP/1.1\r\nHost: sqs.eu-west-1.amazonaws.com\r\n" COMMON AMZ
        "Authorization: AWS4-HMAC-SHA256 Credential=AKID/20130524/eu-west-1/"
        "sqs/aws4_request, SignedHeaders=host;x-amz-content-sha256;"
        "x-amz-date, Signature="
        "e9a914bc9bfeacd33fcf3a63009c83d400b9df6b99edc890d83220c29d770581"
        "\r\n\r\n");

    object(&req, SPROX_OP_DELETE_MESSAGE, S(""), S("123456789012/events"));
    req.token = S("AQEB+x/y==");

    check_head(&sprox_dialect_sqs, &addr, &req, &keys_token,
        "GET /123456789012/events?Action=DeleteMessage&"
        "ReceiptHandle=AQEB%2Bx%2Fy%3D%3D&Version=2012-11-05 "
        "HTTP/1.1\r\nHost: sqs.eu-west-1.amazonaws.com\r\n" COMMON AMZ
        "x-amz-security-token: TOK==\r\n"
        "Authorization: AWS4-HMAC-SHA256 Credential=AKID/20130524/eu-west-1/"
        "sqs/aws4_request, SignedHeaders=host;x-amz-content-sha256;"
        "x-amz-date;x-amz-security-token, Signature="
        "6be72c7e101fc39127bbaf0b837858113dc77bde80282fbffff938d03af95983"
        "\r\n\r\n");

    unit_mem_init(&um, 0);
    sprox_buf_init(&b, &um.mem);

    req.token = sprox_str_null;
    assert_int_equal(sprox_dialect_sqs.build(&b, &addr, &req, &keys, NOW),
                     SPROX_INVALID);

    req.op = SPROX_OP_GET_OBJECT;
    req.token = S("x");
    assert_int_equal(sprox_dialect_sqs.build(&b, &addr, &req, &keys, NOW),
                     SPROX_INVALID);

    req.op = SPROX_OP_RECEIVE_MESSAGE;
    req.key = sprox_str_null;
    assert_int_equal(sprox_dialect_sqs.build(&b, &addr, &req, &keys, NOW),
                     SPROX_INVALID);

    /* and a store takes no messages */

    object(&req, SPROX_OP_RECEIVE_MESSAGE, S("bucket"), S("k"));
    assert_int_equal(sprox_dialect(S("s3"))->build(&b, &addr, &req, &keys,
                                                   NOW),
                     SPROX_INVALID);

    assert_int_equal(sprox_dialect_sqs.host(&b, &addr, S("")), SPROX_OK);
    assert_str(sprox_buf_get(&b), "sqs.eu-west-1.amazonaws.com");
    assert_int_equal(sprox_dialect_sqs.host(&b, &addr, S("bucket")),
                     SPROX_INVALID);

    assert_null(sprox_dialect(S("sqs")));
    assert_null(sprox_dialect(S("sns")));

    sprox_buf_free(&b);
    assert_int_equal(um.live, 0);
}


static void
test_sns(void **state)
{
    size_t               i;
    unit_mem_t           um;
    sprox_buf_t          b;
    sprox_origin_req_t   req;
    sprox_origin_addr_t  addr;

    static const sprox_str_t  hosts[] = {
        sprox_str(""), sprox_str("sns.eu\r\nx: y"), sprox_str("a/b"),
        sprox_str("a:80"), sprox_str("u@a"), sprox_str("A")
    };

    (void) state;

    addr_init(&addr, "https://sns.us-east-1.amazonaws.com", "us-east-1");
    object(&req, SPROX_OP_CONFIRM_SUBSCRIPTION,
           S("sns.eu-west-1.amazonaws.com"), S(""));
    req.query = S("Action=ConfirmSubscription&TopicArn=arn:aws:sns:x&Token=1");

    check_head(&sprox_dialect_sns, &addr, &req, &keys,
        "GET /?Action=ConfirmSubscription&TopicArn=arn:aws:sns:x&Token=1 "
        "HTTP/1.1\r\nHost: sns.eu-west-1.amazonaws.com\r\n" COMMON "\r\n");

    req.op = SPROX_OP_GET_CERTIFICATE;
    req.key = S("SimpleNotificationService-1.pem");
    req.query = S("");

    check_head(&sprox_dialect_sns, &addr, &req, &nobody,
        "GET /SimpleNotificationService-1.pem HTTP/1.1\r\n"
        "Host: sns.eu-west-1.amazonaws.com\r\n" COMMON "\r\n");

    unit_mem_init(&um, 0);
    sprox_buf_init(&b, &um.mem);

    req.query = S("a b");
    assert_int_equal(sprox_dialect_sns.build(&b, &addr, &req, &keys, NOW),
                     SPROX_INVALID);

    req.query = S("");
    req.key = S("a\r\nb");
    assert_int_equal(sprox_dialect_sns.build(&b, &addr, &req, &keys, NOW),
                     SPROX_INVALID);

    req.key = S("a");
    req.op = SPROX_OP_GET_OBJECT;
    assert_int_equal(sprox_dialect_sns.build(&b, &addr, &req, &keys, NOW),
                     SPROX_INVALID);

    req.op = SPROX_OP_GET_CERTIFICATE;

    for (i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        req.bucket = hosts[i];
        assert_int_equal(sprox_dialect_sns.build(&b, &addr, &req, &keys,
                                                 NOW),
                         SPROX_INVALID);
        assert_int_equal(sprox_dialect_sns.host(&b, &addr, hosts[i]),
                         SPROX_INVALID);
    }

    sprox_buf_free(&b);
    assert_int_equal(um.live, 0);
}


/* The messages of an answer, as "id handle body|...". */

static sprox_rc_t
visit(void *data, const sprox_sqs_message_t *m)
{
    sprox_buf_t  *out = data;

    sprox_buf_str(out, m->id);
    sprox_buf_char(out, ' ');
    sprox_buf_str(out, m->handle);
    sprox_buf_char(out, ' ');
    sprox_buf_str(out, m->body);
    sprox_buf_char(out, '|');

    return sprox_buf_rc(out);
}


/* Read in pieces of n bytes. */

static sprox_rc_t
messages(const sprox_mem_t *mem, sprox_str_t xml, size_t n, sprox_buf_t *out)
{
    size_t        i, len;
    sprox_rc_t    rc;
    sprox_sqs_t  *sqs;

    sqs = sprox_sqs_create(mem, visit, out);
    if (sqs == NULL) {
        return SPROX_NOMEM;
    }

    rc = SPROX_OK;

    for (i = 0; i < xml.len && rc == SPROX_OK; i += n) {
        len = xml.len - i < n ? xml.len - i : n;
        rc = sprox_sqs_feed(sqs, xml.data + i, len);
    }

    if (rc == SPROX_OK) {
        rc = sprox_sqs_done(sqs);
    }

    sprox_sqs_free(sqs);

    return rc;
}


#define ANSWER(text)                                                          \
    "<?xml version=\"1.0\"?><ReceiveMessageResponse xmlns=\"http://queue."     \
    "amazonaws.com/doc/2012-11-05/\"><ReceiveMessageResult>" text             \
    "</ReceiveMessageResult><ResponseMetadata><RequestId>b6633655</RequestId>"\
    "</ResponseMetadata></ReceiveMessageResponse>"

#define MESSAGE(id, handle, body)                                             \
    "<Message><MessageId>" id "</MessageId><ReceiptHandle>" handle             \
    "</ReceiptHandle><MD5OfBody>fafb</MD5OfBody><Body>" body "</Body>"         \
    "<Attribute><Name>SentTimestamp</Name><Value>1238099229000</Value>"        \
    "</Attribute></Message>"


typedef struct {
    const char   *xml;
    sprox_rc_t    rc;
    const char   *messages;
} answer_case_t;


static const answer_case_t  answers[] = {

    { ANSWER(""), SPROX_OK, "" },
    { "<ReceiveMessageResponse><ReceiveMessageResult/>"
      "</ReceiveMessageResponse>", SPROX_OK, "" },
    { ANSWER(MESSAGE("m1", "AQEB+x/y==",
                     "{&quot;Records&quot;:[&#13;\n&lt;&amp;]}")),
      SPROX_OK, "m1 AQEB+x/y== {\"Records\":[\r\n<&]}|" },
    { ANSWER(MESSAGE("m1", "h1", "b1") MESSAGE("m2", "h2", "")),
      SPROX_OK, "m1 h1 b1|m2 h2 |" },
    { ANSWER("<Message><ReceiptHandle>h</ReceiptHandle></Message>"),
      SPROX_OK, " h |" },
    { ANSWER(MESSAGE("a&#10;b", "h", "x")), SPROX_OK, "a b h x|" },

    { ANSWER(MESSAGE("m", "", "x")), SPROX_INVALID, "" },
    { ANSWER(MESSAGE("m", "h", "x</Body><Body>y")), SPROX_INVALID, "" },
    { ANSWER(MESSAGE("m", "h", "<b>x</b>")), SPROX_INVALID, "" },
    { "<ListQueuesResponse/>", SPROX_INVALID, "" },
    { "", SPROX_INVALID, "" },
    { "<ReceiveMessageResponse>", SPROX_INVALID, "" },
    { "<!DOCTYPE a><ReceiveMessageResponse/>", SPROX_INVALID, "" },
};


static void
test_answers(void **state)
{
    size_t                i, n;
    unit_mem_t            um;
    sprox_buf_t           out;
    const answer_case_t  *c;

    (void) state;

    for (i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        c = &answers[i];

        for (n = 1; n < 4096; n *= 7) {
            unit_mem_init(&um, 0);
            sprox_buf_init(&out, &um.mem);

            assert_int_equal(messages(&um.mem,
                                      sprox_str_make(c->xml, strlen(c->xml)),
                                      n, &out),
                             c->rc);

            if (c->rc == SPROX_OK) {
                assert_str(sprox_buf_get(&out), c->messages);
            }

            sprox_buf_free(&out);
            assert_int_equal(um.live, 0);
        }
    }
}


static sprox_rc_t
answer_work(const sprox_mem_t *mem, void *data)
{
    sprox_rc_t   rc;
    sprox_buf_t  out;

    (void) data;

    sprox_buf_init(&out, mem);

    rc = messages(mem, S(ANSWER(MESSAGE("m1", "h1", "b1")
                                MESSAGE("m2", "h2", "b2"))), 64, &out);

    sprox_buf_free(&out);

    return rc;
}


static void
test_limits(void **state)
{
    size_t       i, n;
    unit_mem_t   um;
    sprox_buf_t  xml, out;

    (void) state;

    unit_mem_init(&um, 0);

    /* so many messages, and one more */

    for (n = SPROX_SQS_MESSAGES_MAX; n <= SPROX_SQS_MESSAGES_MAX + 1; n++) {
        sprox_buf_init(&xml, &um.mem);
        sprox_buf_init(&out, &um.mem);

        sprox_buf_text(&xml, "<ReceiveMessageResponse>"
                             "<ReceiveMessageResult>");

        for (i = 0; i < n; i++) {
            sprox_buf_text(&xml, MESSAGE("m", "h", "b"));
        }

        sprox_buf_text(&xml, "</ReceiveMessageResult>"
                             "</ReceiveMessageResponse>");

        assert_int_equal(messages(&um.mem, sprox_buf_get(&xml), xml.len,
                                  &out),
                         n == SPROX_SQS_MESSAGES_MAX ? SPROX_OK
                                                     : SPROX_LIMIT);
        sprox_buf_free(&xml);
        sprox_buf_free(&out);
    }

    /* a handle, and a body, of so many bytes, and one more */

    for (n = 0; n < 4; n++) {
        sprox_buf_init(&xml, &um.mem);
        sprox_buf_init(&out, &um.mem);

        sprox_buf_text(&xml, "<ReceiveMessageResponse>"
                             "<ReceiveMessageResult><Message><Body>");

        for (i = 0; n >= 2 && i < SPROX_SQS_BODY_MAX + n - 2; i++) {
            sprox_buf_char(&xml, 'b');
        }

        sprox_buf_text(&xml, "</Body><ReceiptHandle>h");

        for (i = 1; n < 2 && i < SPROX_SQS_HANDLE_MAX + n; i++) {
            sprox_buf_char(&xml, 'h');
        }

        sprox_buf_text(&xml, "</ReceiptHandle></Message>"
                             "</ReceiveMessageResult>"
                             "</ReceiveMessageResponse>");

        assert_int_equal(messages(&um.mem, sprox_buf_get(&xml), 4096, &out),
                         n % 2 ? SPROX_LIMIT : SPROX_OK);
        sprox_buf_free(&xml);
        sprox_buf_free(&out);
    }

    assert_int_equal(um.live, 0);
    assert_true(unit_each_alloc_fails(answer_work, NULL) > 3);
}


typedef struct {
    const char  *text;
    const char  *authority;            /* NULL: it is none */
    const char  *path;
    const char  *region;
} url_case_t;


static const url_case_t  urls[] = {
    { "sqs://sqs.eu-west-1.amazonaws.com/123456789012/events",
      "sqs.eu-west-1.amazonaws.com", "123456789012/events", "eu-west-1" },
    { "sqs://sqs.cn-north-1.amazonaws.com.cn/1/e",
      "sqs.cn-north-1.amazonaws.com.cn", "1/e", "cn-north-1" },
    { "sqs://localhost:9324/queue/events", "localhost:9324", "queue/events",
      "" },
    { "sqs://eu-west-1.queue.amazonaws.com/1/e",
      "eu-west-1.queue.amazonaws.com", "1/e", "" },
    { "sqs://sqs.eu-west-1.amazonaws.com:443/1/e",
      "sqs.eu-west-1.amazonaws.com:443", "1/e", "" },
    { "sqs://sqs.Eu.amazonaws.com/1/e", "sqs.Eu.amazonaws.com", "1/e", "" },
    { "sqs://sqs.amazonaws.com/1/e", "sqs.amazonaws.com", "1/e", "" },
    { "https://sqs.eu-west-1.amazonaws.com/1/e", NULL, NULL, NULL },
    { "sqs://host", NULL, NULL, NULL },
    { "sqs://host/", NULL, NULL, NULL },
    { "sqs://host/a?b", NULL, NULL, NULL },
    { "sqs://host/a#b", NULL, NULL, NULL },
    { "sqs://host/a%20b", NULL, NULL, NULL },
    { "sqs://user@host/a", NULL, NULL, NULL },
    { "sqs://host/a b", NULL, NULL, NULL },
    { "", NULL, NULL, NULL }
};


static void
test_urls(void **state)
{
    size_t            i;
    const char       *why;
    sprox_str_t       text;
    sprox_sqs_url_t   url;

    (void) state;

    for (i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        text = sprox_str_make(urls[i].text, strlen(urls[i].text));
        why = NULL;

        if (urls[i].authority == NULL) {
            assert_int_equal(sprox_sqs_url(text, &url, &why), SPROX_INVALID);
            assert_non_null(why);
            continue;
        }

        assert_int_equal(sprox_sqs_url(text, &url, &why), SPROX_OK);
        assert_str(url.authority, urls[i].authority);
        assert_str(url.path, urls[i].path);
        assert_str(url.region, urls[i].region);
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_queue),
        cmocka_unit_test(test_sns),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_urls)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
