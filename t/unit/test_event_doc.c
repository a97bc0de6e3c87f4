/*
 * What is around events: SNS's envelope, Pub/Sub's, limits, and memory that
 * fails: event/event.c, event_sns.c, event_gcs.c.
 */

#include "unit_event.h"
#include "sprox_digest.h"


#define RECORD                                                                \
    "{\"eventSource\":\"aws:s3\",\"eventName\":\"ObjectCreated:Put\","        \
    "\"eventTime\":\"2026-01-02T03:04:05.678Z\",\"s3\":{\"bucket\":"          \
    "{\"name\":\"bkt\"},\"object\":{\"key\":\"a+b\",\"size\":7,"              \
    "\"eTag\":\"e\",\"versionId\":\"v\",\"sequencer\":\"0A\"}}}"
#define RECORDS    "{\"Records\":[" RECORD "]}"
#define DUMP       "aws created ObjectCreated:Put|bkt|a b|\"e\"|7|v|0A|"      \
                   "1767323045678\n"


/* Appends "name":"value", escaped, with a comma before. */

static void
member(sprox_buf_t *out, const char *name, const char *value)
{
    sprox_buf_char(out, ',');
    sprox_buf_char(out, '"');
    sprox_buf_text(out, name);
    sprox_buf_text(out, "\":\"");

    for ( /* void */ ; *value; value++) {
        if (*value == '\n') {
            sprox_buf_text(out, "\\n");
            continue;
        }

        if (*value == '"' || *value == '\\') {
            sprox_buf_char(out, '\\');
        }

        sprox_buf_char(out, *value);
    }

    sprox_buf_char(out, '"');
}


#define ARN  "arn:aws:sns:eu-west-1:111122223333:lake"
#define URL  "https://sns.eu-west-1.amazonaws.com/"


/* As SNS sends it; what is NULL is left out. */

static void
envelope(sprox_buf_t *out, const char *type, const char *message,
    const char *leave_out)
{
    size_t  i;

    const struct {
        const char  *name;
        const char  *value;
    } members[] = {
        { "MessageId", "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324" },
        { "TopicArn", ARN },
        { "Subject", "Amazon S3 Notification" },
        { "Message", message },
        { "Timestamp", "2026-01-02T03:04:06.000Z" },
        { "SignatureVersion", "1" },
        { "Signature", "c2lnbmF0dXJl" },
        { "SigningCertURL", URL "SimpleNotificationService-0a1b.pem" },
        { "Token", "2336412f37" },
        { "SubscribeURL", URL "?Action=ConfirmSubscription&Token=2336412f37" }
    };

    sprox_buf_text(out, "{\"Type\":\"");
    sprox_buf_text(out, type);
    sprox_buf_char(out, '"');

    for (i = 0; i < sizeof(members) / sizeof(members[0]); i++) {

        if (leave_out == NULL || strcmp(members[i].name, leave_out) != 0) {
            member(out, members[i].name, members[i].value);
        }
    }

    sprox_buf_char(out, '}');
}


static void
test_notification(void **state)
{
    unit_mem_t         um;
    sprox_buf_t        body, dump;
    sprox_event_doc_t  doc;

    (void) state;

    unit_mem_init(&um, 0);
    sprox_buf_init(&body, &um.mem);
    sprox_buf_init(&dump, &um.mem);

    envelope(&body, "Notification", RECORDS, NULL);
    assert_int_equal(sprox_event_parse(&um.mem, sprox_buf_get(&body), &doc),
                     SPROX_OK);

    /* nothing points into the body any more */

    sprox_buf_wipe(&body);

    assert_int_equal(doc.kind, SPROX_EVENT_DOC_RECORDS);
    event_dump(&dump, &doc);
    assert_str(sprox_buf_get(&dump), DUMP);

    assert_int_equal(doc.sns.type, SPROX_SNS_NOTIFICATION);
    assert_str(doc.sns.message, RECORDS);
    assert_str(doc.sns.message_id, "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324");
    assert_str(doc.sns.topic_arn, ARN);
    assert_str(doc.sns.subject, "Amazon S3 Notification");
    assert_str(doc.sns.timestamp, "2026-01-02T03:04:06.000Z");
    assert_int_equal(doc.sns.time, 1767323046000);
    assert_str(doc.sns.signature_version, "1");
    assert_str(doc.sns.signature, "c2lnbmF0dXJl");
    assert_str(doc.sns.cert_url, URL "SimpleNotificationService-0a1b.pem");

    sprox_buf_free(&dump);
    sprox_event_free(&doc);
    assert_int_equal(um.live, 0);
}


static void
test_confirmations(void **state)
{
    size_t             i;
    unit_mem_t         um;
    sprox_buf_t        body;
    sprox_event_doc_t  doc;

    static const struct {
        const char              *type;
        sprox_event_doc_kind_t   kind;
        sprox_sns_type_t         sns;
    } rows[] = {
        { "SubscriptionConfirmation", SPROX_EVENT_DOC_SUBSCRIBED,
          SPROX_SNS_SUBSCRIPTION },
        { "UnsubscribeConfirmation", SPROX_EVENT_DOC_UNSUBSCRIBED,
          SPROX_SNS_UNSUBSCRIPTION }
    };

    (void) state;

    unit_mem_init(&um, 0);

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        sprox_buf_init(&body, &um.mem);
        envelope(&body, rows[i].type, "You have chosen\nto subscribe",
                 "Subject");

        assert_int_equal(sprox_event_parse(&um.mem, sprox_buf_get(&body),
                                           &doc), SPROX_OK);
        assert_int_equal(doc.kind, rows[i].kind);
        assert_int_equal(doc.nevents, 0);
        assert_int_equal(doc.sns.type, rows[i].sns);
        assert_str(doc.sns.message, "You have chosen\nto subscribe");
        assert_str(doc.sns.token, "2336412f37");
        assert_str(doc.sns.subscribe_url,
                   URL "?Action=ConfirmSubscription&Token=2336412f37");
        assert_null(doc.sns.subject.data);

        sprox_event_free(&doc);
        sprox_buf_free(&body);
    }

    assert_int_equal(um.live, 0);
}


static void
test_sns_refused(void **state)
{
    size_t             i;
    sprox_rc_t         rc;
    unit_mem_t         um;
    sprox_buf_t        body;
    sprox_event_doc_t  doc;

    static const struct {
        const char  *type;
        const char  *message;
        const char  *leave_out;
        const char  *why;            /* NULL: it is taken */
    } rows[] = {
        { "Notification", RECORDS, "Subject", NULL },
        { "Notification", RECORDS, "Token", NULL },
        { "Notification", RECORDS, "Signature", NULL },
        { "Notification", RECORDS, "SigningCertURL", NULL },
        { "Notification", RECORDS, "TopicArn", "TopicArn is missing" },
        { "Notification", RECORDS, "MessageId", "MessageId is missing" },
        { "Notification", RECORDS, "Timestamp", "Timestamp is missing" },
        { "Notification", RECORDS, "Message", "Message is missing" },
        { "SubscriptionConfirmation", "m", "Token", "Token is missing" },
        { "SubscriptionConfirmation", "m", "SubscribeURL",
          "SubscribeURL is missing" },
        { "Notify", "m", NULL, "Type is none of SNS's" },
        { "Notification", "{\"Records\":[{}]}", NULL,
          "Message.Records[0].eventName is missing" },
        { "Notification", "{\"detail-type\":\"x\"}", NULL,
          "Message.source is missing" },
        { "Notification", "{}", NULL, "Message is no notification of S3's: "
          "it has no Records, detail-type or Event" },

        /* one envelope in another, or another's in this one */

        { "Notification", "{\"Type\":\"Notification\"}", NULL,
          "Message is no notification of S3's: "
          "it has no Records, detail-type or Event" },
        { "Notification", "{\"message\":{}}", NULL,
          "Message is no notification of S3's: "
          "it has no Records, detail-type or Event" }
    };

    (void) state;

    unit_mem_init(&um, 0);

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        sprox_buf_init(&body, &um.mem);
        envelope(&body, rows[i].type, rows[i].message, rows[i].leave_out);

        rc = sprox_event_parse(&um.mem, sprox_buf_get(&body), &doc);

        if (rows[i].why == NULL) {
            assert_int_equal(rc, SPROX_OK);
            assert_int_equal(doc.nevents, 1);

        } else {
            assert_int_equal(rc, SPROX_INVALID);
            assert_str(sprox_buf_get(&doc.why), rows[i].why);
            assert_int_equal(doc.sns.type, SPROX_SNS_NONE);
        }

        sprox_event_free(&doc);
        sprox_buf_free(&body);
    }

    assert_int_equal(um.live, 0);
}


/* What SNS wraps, and what would let its signature be read otherwise. */

static void
test_sns_inner(void **state)
{
    unit_mem_t         um;
    sprox_buf_t        body;
    sprox_event_doc_t  doc;

    (void) state;

    unit_mem_init(&um, 0);
    sprox_buf_init(&body, &um.mem);

    envelope(&body, "Notification",
             "{\"Service\":\"Amazon S3\",\"Event\":\"s3:TestEvent\","
             "\"Time\":\"2026-01-02T03:04:05.000Z\",\"Bucket\":\"bkt\","
             "\"RequestId\":\"5582815E1AEA5ADF\",\"HostId\":\"8cLeGAmw\"}",
             NULL);
    event_check_str(sprox_buf_get(&body), SPROX_EVENT_DOC_TEST, "");
    sprox_buf_free(&body);

    envelope(&body, "Notification",
             "{\"detail-type\":\"Object Created\",\"source\":\"aws.s3\","
             "\"detail\":{\"bucket\":{\"name\":\"bkt\"},"
             "\"object\":{\"key\":\"a+b\"}}}", NULL);
    event_check_str(sprox_buf_get(&body), SPROX_EVENT_DOC_RECORDS,
                    "eventbridge created Object Created|bkt|a+b|||||\n");
    sprox_buf_free(&body);

    envelope(&body, "Notification", "Hello", NULL);
    assert_int_equal(sprox_event_parse(&um.mem, sprox_buf_get(&body), &doc),
                     SPROX_INVALID);
    assert_true(sprox_str_starts(sprox_buf_get(&doc.why),
                                 S("Message, byte 5: ")));
    sprox_event_free(&doc);
    sprox_buf_free(&body);

    event_check_bad("{\"Type\":\"Notification\",\"MessageId\":\"a\\nb\"}",
                    "MessageId has a control character");
    event_check_bad("{\"Type\":\"Notification\",\"MessageId\":\"m\","
                    "\"TopicArn\":\"a\\nb\"}",
                    "TopicArn has a control character");
    event_check_bad("{\"Type\":\"Notification\",\"MessageId\":\"m\","
                    "\"TopicArn\":\"t\",\"Timestamp\":\"a\\nb\"}",
                    "Timestamp has a control character");
    event_check_bad("{\"Type\":\"Notification\",\"MessageId\":\"m\","
                    "\"TopicArn\":\"t\",\"Timestamp\":\"a\","
                    "\"Subject\":\"a\\nb\"}",
                    "Subject has a control character");
    event_check_bad("{\"Type\":\"Notification\",\"MessageId\":\"m\","
                    "\"TopicArn\":\"t\",\"Timestamp\":\"a\"}",
                    "Timestamp is no time");
    event_check_bad("{\"Type\":\"Notification\",\"MessageId\":\"m\","
                    "\"TopicArn\":\"t\",\"Message\":{},"
                    "\"Timestamp\":\"2026-01-02T03:04:05Z\"}",
                    "Message is no string");
    event_check_bad("{\"Type\":[]}", "Type is no string");

    assert_int_equal(um.live, 0);
}


/* A push of Pub/Sub's; base64 is done here, with the one for URLs. */

static void
push(sprox_buf_t *out, const char *attributes, const char *data)
{
    size_t       i;
    unit_mem_t   um;
    sprox_buf_t  b;

    unit_mem_init(&um, 0);
    sprox_buf_init(&b, &um.mem);

    sprox_buf_text(out, "{\"message\":{\"attributes\":{");
    sprox_buf_text(out, attributes);
    sprox_buf_text(out, "},\"messageId\":\"2070443601311540\","
                        "\"publishTime\":\"2026-01-02T03:04:05.9Z\"");

    if (data != NULL) {
        sprox_base64url(&b, sprox_str_make(data, strlen(data)));

        while (b.len % 4 != 0) {
            sprox_buf_char(&b, '=');
        }

        for (i = 0; i < b.len; i++) {
            b.data[i] = (b.data[i] == '-') ? '+' : b.data[i];
            b.data[i] = (b.data[i] == '_') ? '/' : b.data[i];
        }

        sprox_buf_text(out, ",\"data\":\"");
        sprox_buf_str(out, sprox_buf_get(&b));
        sprox_buf_char(out, '"');
    }

    sprox_buf_text(out, "},\"subscription\":\"projects/p/subscriptions/s\"}");
    sprox_buf_free(&b);
}


#define OBJECT(type, more)                                                    \
    "\"notificationConfig\":\"projects/_/buckets/b_1.x/1\",\"eventType\":\""  \
    type "\",\"payloadFormat\":\"JSON_API_V1\",\"bucketId\":\"b_1.x\","       \
    "\"objectId\":\"a b+c%41\",\"objectGeneration\":\"1767323045678901\","    \
    "\"eventTime\":\"2026-01-02T03:04:05.678901Z\"" more

#define RESOURCE(more)                                                        \
    "{\"kind\":\"storage#object\",\"name\":\"a b+c%41\",\"bucket\":"          \
    "\"b_1.x\",\"generation\":\"1767323045678901\",\"size\":\"7\","           \
    "\"updated\":\"2026-01-02T03:04:05.678Z\",\"etag\":\"CPjD2Lz=\"" more "}"

#define MD5   ",\"md5Hash\":\"1B2M2Y8AsgTpgAmY7PhCfg==\""
#define NAME  "b_1.x|a b+c%41|"
#define TAIL  "1767323045678901||1767323045678\n"


static void
test_gcs(void **state)
{
    size_t       i;
    unit_mem_t   um;
    sprox_buf_t  body;

    static const struct {
        const char  *attributes;
        const char  *data;
        const char  *dump;
    } rows[] = {
        { OBJECT("OBJECT_FINALIZE", ""), RESOURCE(MD5),
          "gcs created OBJECT_FINALIZE|" NAME
          "\"d41d8cd98f00b204e9800998ecf8427e\"|7|" TAIL },
        { OBJECT("OBJECT_FINALIZE", ",\"overwroteGeneration\":\"17\""),
          RESOURCE(MD5), "gcs created OBJECT_FINALIZE|" NAME
          "\"d41d8cd98f00b204e9800998ecf8427e\"|7|" TAIL },

        /* composed, or encrypted with a key of the customer's */

        { OBJECT("OBJECT_FINALIZE", ""), RESOURCE(",\"componentCount\":2"),
          "gcs created OBJECT_FINALIZE|" NAME "|7|" TAIL },
        { OBJECT("OBJECT_FINALIZE", ""),
          RESOURCE(MD5 ",\"kmsKeyName\":\"projects/p/k\""),
          "gcs created OBJECT_FINALIZE|" NAME "|7|" TAIL },
        { OBJECT("OBJECT_FINALIZE", ""),
          RESOURCE(MD5 ",\"customerEncryption\":{}"),
          "gcs created OBJECT_FINALIZE|" NAME "|7|" TAIL },

        /* payloadFormat NONE */

        { OBJECT("OBJECT_FINALIZE", ""), NULL,
          "gcs created OBJECT_FINALIZE|" NAME "||" TAIL },
        { OBJECT("OBJECT_FINALIZE", ""), "",
          "gcs created OBJECT_FINALIZE|" NAME "||" TAIL },

        { OBJECT("OBJECT_METADATA_UPDATE", ""), RESOURCE(MD5),
          "gcs check OBJECT_METADATA_UPDATE|" NAME "||" TAIL },
        { OBJECT("OBJECT_DELETE", ""), RESOURCE(MD5),
          "gcs check OBJECT_DELETE|" NAME "||" TAIL },
        { OBJECT("OBJECT_DELETE", ",\"overwrittenByGeneration\":\"18\""),
          RESOURCE(MD5), "gcs ignored OBJECT_DELETE|||||||\n" },
        { OBJECT("OBJECT_ARCHIVE", ""), RESOURCE(MD5),
          "gcs removed OBJECT_ARCHIVE|" NAME "||" TAIL },
        { OBJECT("OBJECT_ARCHIVE", ",\"overwrittenByGeneration\":\"18\""),
          RESOURCE(MD5), "gcs ignored OBJECT_ARCHIVE|||||||\n" },
        { "\"eventType\":\"OBJECT_OTHER\"", NULL,
          "gcs ignored OBJECT_OTHER|||||||\n" },

        /* what is not needed is not looked at */

        { OBJECT("OBJECT_DELETE", ""), "no JSON",
          "gcs check OBJECT_DELETE|" NAME "||" TAIL }
    };

    (void) state;

    unit_mem_init(&um, 0);

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        sprox_buf_init(&body, &um.mem);
        push(&body, rows[i].attributes, rows[i].data);
        event_check_str(sprox_buf_get(&body), SPROX_EVENT_DOC_RECORDS,
                        rows[i].dump);
        sprox_buf_free(&body);
    }

    assert_int_equal(um.live, 0);
}


static void
test_gcs_refused(void **state)
{
    size_t             i;
    unit_mem_t         um;
    sprox_buf_t        body;
    sprox_event_doc_t  doc;

    static const struct {
        const char  *attributes;
        const char  *data;
        const char  *why;            /* its beginning */
    } rows[] = {
        { "", NULL, "message.attributes.eventType is missing" },
        { "\"eventType\":\"OBJECT_FINALIZE\"", NULL,
          "message.attributes.bucketId is missing" },
        { "\"eventType\":\"OBJECT_FINALIZE\",\"bucketId\":\"..\"", NULL,
          "message.attributes.bucketId is no name of a bucket" },
        { "\"eventType\":\"OBJECT_FINALIZE\",\"bucketId\":\"bkt\"", NULL,
          "message.attributes.objectId is missing" },
        { "\"eventType\":\"OBJECT_FINALIZE\",\"bucketId\":\"bkt\","
          "\"objectId\":\"k\",\"objectGeneration\":17", NULL,
          "message.attributes.objectGeneration is no string" },
        { "\"eventType\":\"OBJECT_FINALIZE\",\"bucketId\":\"bkt\","
          "\"objectId\":\"k\",\"eventTime\":\"now\"", NULL,
          "message.attributes.eventTime is no time" },
        { "\"eventType\":\"OBJECT_DELETE\",\"overwrittenByGeneration\":17",
          NULL,
          "message.attributes.overwrittenByGeneration is no string" },
        { OBJECT("OBJECT_FINALIZE", ""), "{\"size\":\"-1\"}",
          "message.data.size is no whole number from 0 to 2^63 - 1" },
        { OBJECT("OBJECT_FINALIZE", ""), "{\"md5Hash\":\"AAAA\"}",
          "message.data.md5Hash is no MD5" },
        { OBJECT("OBJECT_FINALIZE", ""), "{\"md5Hash\":\"?\"}",
          "message.data.md5Hash is no MD5" },
        { OBJECT("OBJECT_FINALIZE", ""), "{\"size\":1,\"size\":2}",
          "message.data, byte 16: duplicate object key" }
    };

    (void) state;

    unit_mem_init(&um, 0);

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        sprox_buf_init(&body, &um.mem);
        push(&body, rows[i].attributes, rows[i].data);

        assert_int_equal(sprox_event_parse(&um.mem, sprox_buf_get(&body),
                                           &doc), SPROX_INVALID);

        if (!sprox_str_starts(sprox_buf_get(&doc.why),
                              sprox_str_make(rows[i].why,
                                             strlen(rows[i].why))))
        {
            fail_msg("%s: %.*s", rows[i].why, (int) doc.why.len, doc.why.data);
        }

        sprox_event_free(&doc);
        sprox_buf_free(&body);
    }

    event_check_bad("{\"message\":7}", "message is no object");
    event_check_bad("{\"message\":{}}", "message.attributes is missing");
    event_check_bad("{\"message\":{\"attributes\":{\"eventType\":"
                    "\"OBJECT_FINALIZE\",\"bucketId\":\"bkt\",\"objectId\":"
                    "\"k\"},\"data\":\"e30\"}}", "message.data is no base64");

    assert_int_equal(um.live, 0);
}


/* n records in one message. */

static sprox_rc_t
parse_many(const sprox_mem_t *mem, size_t n, size_t spaces,
    sprox_event_doc_t *doc)
{
    size_t       i;
    sprox_rc_t   rc;
    sprox_buf_t  b;

    sprox_buf_init(&b, mem);
    sprox_buf_text(&b, "{\"Records\":[");

    for (i = 0; i < n; i++) {
        sprox_buf_text(&b, i ? "," RECORD : RECORD);
    }

    sprox_buf_text(&b, "]}");

    while (b.len < spaces) {
        sprox_buf_char(&b, ' ');
    }

    rc = sprox_event_parse(mem, sprox_buf_get(&b), doc);
    sprox_buf_free(&b);

    return rc;
}


static void
test_limits(void **state)
{
    size_t             i;
    unit_mem_t         um;
    sprox_event_doc_t  doc;

    (void) state;

    unit_mem_init(&um, 0);

    assert_int_equal(parse_many(&um.mem, SPROX_EVENT_RECORDS_MAX, 0, &doc),
                     SPROX_OK);
    assert_int_equal(doc.nevents, SPROX_EVENT_RECORDS_MAX);

    for (i = 0; i < doc.nevents; i++) {
        assert_str(doc.events[i].key, "a b");
        assert_str(doc.events[i].etag, "\"e\"");
    }

    sprox_event_free(&doc);

    assert_int_equal(parse_many(&um.mem, SPROX_EVENT_RECORDS_MAX + 1, 0,
                                &doc), SPROX_LIMIT);
    assert_str(sprox_buf_get(&doc.why), "Records are too many");
    assert_int_equal(doc.nevents, 0);
    sprox_event_free(&doc);

    assert_int_equal(parse_many(&um.mem, 1, SPROX_EVENT_BODY_MAX, &doc),
                     SPROX_OK);
    sprox_event_free(&doc);

    assert_int_equal(parse_many(&um.mem, 1, SPROX_EVENT_BODY_MAX + 1, &doc),
                     SPROX_LIMIT);
    assert_str(sprox_buf_get(&doc.why),
               "the message is longer than 1048576 bytes");
    sprox_event_free(&doc);

    assert_int_equal(sprox_event_parse(&um.mem, sprox_str_null, &doc),
                     SPROX_INVALID);
    assert_true(sprox_str_starts(sprox_buf_get(&doc.why), S("byte 0: ")));
    sprox_event_free(&doc);

    assert_int_equal(sprox_event_parse(&um.mem,
                                       S("{\"Records\":[" RECORD "],"
                                         "\"Records\":[]}"), &doc),
                     SPROX_INVALID);
    assert_true(sprox_str_find(sprox_buf_get(&doc.why), S("duplicate"), 0)
                != (size_t) -1);
    sprox_event_free(&doc);

    assert_int_equal(um.live, 0);
}


/* '{"a":[0,...,0]}', n values, as such or as an SNS message's Message. */

static void
many_values(sprox_buf_t *b, size_t n, int wrapped)
{
    size_t  i;

    sprox_buf_text(b, wrapped ? "{\"Type\":\"Notification\",\"MessageId\":"
                                "\"m\",\"TopicArn\":\"t\",\"Timestamp\":"
                                "\"2020-01-01T00:00:00.000Z\",\"Message\":"
                                "\"{\\\"a\\\":[0" : "{\"a\":[0");

    for (i = 2; i < n; i++) {
        sprox_buf_text(b, ",0");
    }

    sprox_buf_text(b, wrapped ? "]}\"}" : "]}");
    assert_int_equal(sprox_buf_rc(b), SPROX_OK);
}


static void
test_claims(void **state)
{
    size_t             i;
    unit_mem_t         um;
    sprox_rc_t         rc;
    sprox_buf_t        b;
    sprox_event_doc_t  doc;

    static const struct {
        size_t       values;
        int          wrapped;
        sprox_rc_t   rc;
        const char  *why;
    } rows[] = {
        { SPROX_EVENT_CLAIM_VALUES, 0, SPROX_INVALID, "none of the kinds" },
        { SPROX_EVENT_CLAIM_VALUES + 1, 0, SPROX_LIMIT, "too many values" },
        { SPROX_EVENT_CLAIM_MESSAGE, 1, SPROX_INVALID, "no notification" },
        { SPROX_EVENT_CLAIM_MESSAGE + 1, 1, SPROX_LIMIT, "too many values" }
    };

    (void) state;

    unit_mem_init(&um, 0);

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        sprox_buf_init(&b, &um.mem);
        many_values(&b, rows[i].values, rows[i].wrapped);

        rc = sprox_event_parse_claim(&um.mem, sprox_buf_get(&b), &doc);

        if (rc != rows[i].rc
            || sprox_str_find(sprox_buf_get(&doc.why),
                              sprox_str_make(rows[i].why,
                                             strlen(rows[i].why)), 0)
               == (size_t) -1)
        {
            fail_msg("%u: %d %.*s", (unsigned) i, rc, (int) doc.why.len,
                     doc.why.data);
        }

        sprox_event_free(&doc);

        /* of somebody who is known, it is read */

        assert_int_equal(sprox_event_parse(&um.mem, sprox_buf_get(&b), &doc),
                         SPROX_INVALID);
        sprox_event_free(&doc);
        sprox_buf_free(&b);
    }

    assert_int_equal(um.live, 0);
}


static sprox_rc_t
parse_work(const sprox_mem_t *mem, void *data)
{
    sprox_rc_t         rc;
    sprox_event_doc_t  doc;

    rc = sprox_event_parse(mem, *(sprox_str_t *) data, &doc);
    assert_true(rc == SPROX_OK || doc.nevents == 0);
    sprox_event_free(&doc);

    /* a refusal takes memory for its words */

    return rc == SPROX_INVALID || rc == SPROX_LIMIT ? SPROX_OK : rc;
}


static void
test_no_memory(void **state)
{
    size_t       i;
    unit_mem_t   um;
    sprox_buf_t  b[8];
    sprox_str_t  body;

    (void) state;

    unit_mem_init(&um, 0);

    for (i = 0; i < 8; i++) {
        sprox_buf_init(&b[i], &um.mem);
    }

    sprox_buf_text(&b[0], "{\"Records\":[" RECORD "," RECORD "]}");
    envelope(&b[1], "Notification", RECORDS, NULL);
    envelope(&b[2], "SubscriptionConfirmation", "m", NULL);
    envelope(&b[3], "Notification", "{", NULL);
    push(&b[4], OBJECT("OBJECT_FINALIZE", ""), RESOURCE(MD5));
    push(&b[5], OBJECT("OBJECT_FINALIZE", ""), "{\"md5Hash\":\"AAAA\"}");
    sprox_buf_text(&b[6], "{\"Records\":[{\"eventName\":\"ObjectCreated:Put\","
                          "\"s3\":{\"bucket\":{\"name\":\"bkt\"},\"object\":"
                          "{\"key\":\"a+b%zz\"}}},{\"eventName\":"
                          "\"ObjectCreated:Put\",\"s3\":{\"bucket\":"
                          "{\"name\":\"bkt\"},\"object\":{\"key\":\"a+b\"}}},"
                          "{}]}");
    sprox_buf_text(&b[7], "[]");

    for (i = 0; i < 8; i++) {
        body = sprox_buf_get(&b[i]);
        assert_true(unit_each_alloc_fails(parse_work, &body) > 0);
        sprox_buf_free(&b[i]);
    }

    body = sprox_str_make("", SPROX_EVENT_BODY_MAX + 1);
    assert_true(unit_each_alloc_fails(parse_work, &body) > 0);

    assert_int_equal(um.live, 0);
}


static void
test_names(void **state)
{
    (void) state;

    assert_str(sprox_event_kind_name(SPROX_EVENT_IGNORED), "ignored");
    assert_str(sprox_event_kind_name(SPROX_EVENT_CHECK), "check");
    assert_str(sprox_sender_name(SPROX_SENDER_OTHER), "other");
    assert_str(sprox_sender_name(SPROX_SENDER_VERSITYGW), "versitygw");
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_notification),
        cmocka_unit_test(test_confirmations),
        cmocka_unit_test(test_sns_refused),
        cmocka_unit_test(test_sns_inner),
        cmocka_unit_test(test_gcs),
        cmocka_unit_test(test_gcs_refused),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_claims),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_names)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
