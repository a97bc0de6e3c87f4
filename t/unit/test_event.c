/* S3's events: records and EventBridge's form of them: event/event_s3.c. */

#include "unit_event.h"
#include "sprox_op.h"


/* A record as S3 sends it, with what the tests vary. */

#define RECORD(source, name, object)                                          \
    "{\"eventVersion\":\"2.1\",\"eventSource\":\"" source "\","               \
    "\"awsRegion\":\"eu-west-1\","                                            \
    "\"eventTime\":\"2026-01-02T03:04:05.678Z\","                             \
    "\"eventName\":\"" name "\","                                             \
    "\"userIdentity\":{\"principalId\":\"AWS:AROAEXAMPLE:role\"},"            \
    "\"requestParameters\":{\"sourceIPAddress\":\"192.0.2.1\"},"              \
    "\"responseElements\":{\"x-amz-request-id\":\"C3D13FE58DE4C810\","        \
    "\"x-amz-id-2\":\"FMyUVURIY8/IgAtTv8xRjskZQpcIZ9KG4V5Wp6S7S/JRWeUWer\"}," \
    "\"s3\":{\"s3SchemaVersion\":\"1.0\",\"configurationId\":\"sprox\","      \
    "\"bucket\":{\"name\":\"acme-lake\",\"ownerIdentity\":"                   \
    "{\"principalId\":\"A3NL1KOZZKExample\"},"                                \
    "\"arn\":\"arn:aws:s3:::acme-lake\"},"                                    \
    "\"object\":{" object "}}}"

#define RECORDS(list)  "{\"Records\":[" list "]}"
#define AWS(name, object)  RECORDS(RECORD("aws:s3", name, object))

#define SEQ  "\"sequencer\":\"0065A3F1C2B4D5E6F7\""
#define PUT  "\"size\":1024,\"eTag\":\"d41d8cd98f00b204e9800998ecf8427e\","

#define TIME   "1767323045678"
#define ETAG   "\"d41d8cd98f00b204e9800998ecf8427e\""


static void
test_aws(void **state)
{
    (void) state;

    event_check(AWS("ObjectCreated:Put", "\"key\":\"a/b.parquet\"," PUT SEQ),
                "aws created ObjectCreated:Put|acme-lake|a/b.parquet|" ETAG
                "|1024||0065A3F1C2B4D5E6F7|" TIME "\n");

    event_check(AWS("ObjectCreated:CompleteMultipartUpload",
                    "\"key\":\"k\",\"size\":0,\"eTag\":\"ab-17\","
                    "\"versionId\":\"096fKKXTRTtl3on89fVO.nfljtsv6qko\"," SEQ),
                "aws created ObjectCreated:CompleteMultipartUpload|acme-lake|k|"
                "\"ab-17\"|0|096fKKXTRTtl3on89fVO.nfljtsv6qko"
                "|0065A3F1C2B4D5E6F7|" TIME "\n");

    /* nothing but the key is told */

    event_check(RECORDS("{\"eventName\":\"ObjectCreated:Copy\","
                        "\"eventSource\":\"aws:s3\",\"s3\":{\"bucket\":"
                        "{\"name\":\"bkt\"},\"object\":{\"key\":\"k\"}}}"),
                "aws created ObjectCreated:Copy|bkt|k|||||\n");

    event_check(RECORDS(RECORD("aws:s3", "ObjectCreated:Post", "\"key\":\"1\"")
                        ","
                        RECORD("aws:s3", "ObjectRemoved:Delete",
                               "\"key\":\"2\"," SEQ)),
                "aws created ObjectCreated:Post|acme-lake|1|||||" TIME "\n"
                "aws removed ObjectRemoved:Delete|acme-lake|2||||"
                "0065A3F1C2B4D5E6F7|" TIME "\n");

    event_check(RECORDS(""), "");
}


/* How a name of S3's is understood, without and with a version id. */

static void
test_kinds(void **state)
{
    size_t             i;
    unit_mem_t         um;
    sprox_buf_t        body;
    sprox_event_doc_t  doc;

    static const struct {
        const char  *name;
        const char  *kind;
        const char  *versioned;
        int          marker;
    } rows[] = {
        { "ObjectCreated:Put", "created", "created", 0 },
        { "ObjectCreated:SomethingNew", "created", "created", 0 },
        { "ObjectCreated:PutTagging", "ignored", "ignored", 0 },
        { "ObjectCreated:DeleteTagging", "ignored", "ignored", 0 },
        { "ObjectCreated:PutRetention", "ignored", "ignored", 0 },
        { "ObjectCreated:PutLegalHold", "ignored", "ignored", 0 },
        { "ObjectRemoved:Delete", "removed", "check", 0 },
        { "ObjectRemoved:DeleteMarkerCreated", "removed", "removed", 1 },
        { "ObjectRemoved:DeleteAllVersions", "removed", "removed", 0 },
        { "ObjectRemoved:NoOP", "check", "check", 0 },
        { "LifecycleExpiration:Delete", "removed", "check", 0 },
        { "LifecycleExpiration:DeleteMarkerCreated", "removed", "removed", 1 },
        { "LifecycleTransition", "check", "check", 0 },
        { "ObjectTransition:Complete", "check", "check", 0 },
        { "ObjectTransition:Failed", "ignored", "ignored", 0 },
        { "ObjectRestore:Post", "check", "check", 0 },
        { "ObjectRestore:Completed", "check", "check", 0 },
        { "ObjectRestore:Delete", "check", "check", 0 },
        { "ReducedRedundancyLostObject", "check", "check", 0 },
        { "ObjectTagging:Put", "ignored", "ignored", 0 },
        { "ObjectAcl:Put", "ignored", "ignored", 0 },
        { "IntelligentTiering", "ignored", "ignored", 0 },
        { "Replication:OperationFailedReplication", "ignored", "ignored", 0 },
        { "ObjectAccessed:Get", "ignored", "ignored", 0 },
        { "BucketCreated:*", "ignored", "ignored", 0 },
        { "ObjectLifecycle:Expiration:Current", "check", "check", 0 },
        { "ObjectSynced:Create", "check", "check", 0 },
        { "Unheard:Of", "ignored", "ignored", 0 }
    };

    (void) state;

    unit_mem_init(&um, 0);

    for (i = 0; i < 4 * sizeof(rows) / sizeof(rows[0]); i++) {
        sprox_buf_init(&body, &um.mem);
        sprox_buf_text(&body, "{\"Records\":[{\"eventSource\":\"aws:s3\","
                              "\"eventName\":\"");
        sprox_buf_text(&body, i % 4 > 1 ? "s3:" : "");
        sprox_buf_text(&body, rows[i / 4].name);
        sprox_buf_text(&body, "\",\"s3\":{\"bucket\":{\"name\":\"bkt\"},"
                              "\"object\":{\"key\":\"k\",\"versionId\":\"");
        sprox_buf_text(&body, i % 2 ? "v1" : "");
        sprox_buf_text(&body, "\"}}}]}");

        assert_int_equal(sprox_event_parse(&um.mem, sprox_buf_get(&body),
                                           &doc), SPROX_OK);
        assert_int_equal(doc.nevents, 1);
        assert_str(sprox_event_kind_name(doc.events[0].kind),
                   i % 2 ? rows[i / 4].versioned : rows[i / 4].kind);
        assert_int_equal(doc.events[0].marker, rows[i / 4].marker);
        assert_int_equal(doc.events[0].sender,
                         i % 4 > 1 ? SPROX_SENDER_OTHER : SPROX_SENDER_AWS);

        sprox_event_free(&doc);
        sprox_buf_free(&body);
    }

    assert_int_equal(um.live, 0);
}


/* An event that is ignored need not name anything. */

static void
test_ignored(void **state)
{
    (void) state;

    event_check(RECORDS("{\"eventName\":\"s3:BucketCreated:*\","
                        "\"eventSource\":\"minio:s3\"}"),
                "minio ignored s3:BucketCreated:*|||||||\n");
    event_check(RECORDS("{\"eventName\":\"ObjectTagging:Put\",\"s3\":"
                        "{\"bucket\":{\"name\":\"No Bucket\"}}},"
                        RECORD("aws:s3", "ObjectCreated:Put", "\"key\":\"k\"")),
                "other ignored ObjectTagging:Put|||||||\n"
                "aws created ObjectCreated:Put|acme-lake|k|||||" TIME "\n");
}


#define KEY(source, name, key)                                                \
    RECORDS(RECORD(source, name, "\"key\":\"" key "\""))
#define CREATED(sender, name, key)                                            \
    sender " created " name "|acme-lake|" key "|||||" TIME "\n"
#define CHECK(name, key)                                                      \
    "other check " name "|acme-lake|" key "|||||" TIME "\n"


static void
test_keys(void **state)
{
    (void) state;

    /* S3 and MinIO encode */

    event_check(KEY("aws:s3", "ObjectCreated:Put",
                    "a%2Fb+c%2Bd%25%C3%A4/%F0%9F%98%80"),
                CREATED("aws", "ObjectCreated:Put",
                        "a/b c+d%\xc3\xa4/\xf0\x9f\x98\x80"));
    event_check(KEY("minio:s3", "s3:ObjectCreated:Put", "a%2fb+c%2541"),
                CREATED("minio", "s3:ObjectCreated:Put", "a/b c%41"));
    event_check(KEY("aws:s3", "ObjectCreated:Put", "%FF%FE"),
                CREATED("aws", "ObjectCreated:Put", "\xff\xfe"));
    event_check(KEY("aws:s3", "ObjectCreated:Put", "a\\/\\u00e4\\\"\\\\"),
                CREATED("aws", "ObjectCreated:Put", "a/\xc3\xa4\"\\"));

    /* a sender that may do either */

    event_check(KEY("ceph:s3", "ObjectCreated:Put", "a/b"),
                CREATED("other", "ObjectCreated:Put", "a/b"));
    event_check(KEY("ceph:s3", "ObjectCreated:Put", "a b%41"),
                CHECK("ObjectCreated:Put", "a b%41")
                CHECK("ObjectCreated:Put", "a bA"));
    event_check(KEY("aws:s3", "s3:ObjectCreated:Put", "a+b"),
                CHECK("s3:ObjectCreated:Put", "a+b")
                CHECK("s3:ObjectCreated:Put", "a b"));
    event_check(KEY("ceph:s3", "ObjectRemoved:DeleteMarkerCreated", "a+b"),
                CHECK("ObjectRemoved:DeleteMarkerCreated", "a+b")
                CHECK("ObjectRemoved:DeleteMarkerCreated", "a b"));
    event_check(KEY("ceph:s3", "ObjectCreated:Put", "50%"),
                CREATED("other", "ObjectCreated:Put", "50%"));
    event_check(KEY("ceph:s3", "ObjectCreated:Put", "a%00"),
                CREATED("other", "ObjectCreated:Put", "a%00"));
    event_check(RECORDS("{\"eventName\":\"ObjectRemoved:Delete\",\"s3\":"
                        "{\"bucket\":{\"name\":\"bkt\"},"
                        "\"object\":{\"key\":\"a+b\"}}}"),
                "other check ObjectRemoved:Delete|bkt|a+b|||||\n"
                "other check ObjectRemoved:Delete|bkt|a b|||||\n");
}


/* A key of n times `text`, from a sender. */

static sprox_rc_t
parse_long_key(const sprox_mem_t *mem, const char *source, const char *text,
    size_t n, sprox_event_doc_t *doc)
{
    sprox_rc_t   rc;
    sprox_buf_t  b;

    sprox_buf_init(&b, mem);
    sprox_buf_text(&b, "{\"Records\":[{\"eventName\":\"ObjectCreated:Put\","
                       "\"s3\":{\"bucket\":{\"name\":\"bkt\"},\"object\":"
                       "{\"key\":\"");

    while (n--) {
        sprox_buf_text(&b, text);
    }

    sprox_buf_text(&b, "\"}},\"eventSource\":\"");
    sprox_buf_text(&b, source);
    sprox_buf_text(&b, "\"}]}");

    rc = sprox_event_parse(mem, sprox_buf_get(&b), doc);
    sprox_buf_free(&b);

    return rc;
}


static void
test_long_keys(void **state)
{
    size_t             i;
    sprox_rc_t         rc;
    unit_mem_t         um;
    sprox_event_doc_t  doc;

    static const struct {
        const char  *source;
        const char  *text;
        size_t       n;
        size_t       len;            /* of the key; 0: it is refused */
    } rows[] = {
        { "aws:s3", "k", SPROX_KEY_MAX, SPROX_KEY_MAX },
        { "aws:s3", "k", SPROX_KEY_MAX + 1, 0 },
        { "aws:s3", "%C3%A4", SPROX_KEY_MAX / 2, SPROX_KEY_MAX },
        { "aws:s3", "%C3%A4", SPROX_KEY_MAX / 2 + 1, 0 },
        { "ceph:s3", "k", SPROX_KEY_MAX, SPROX_KEY_MAX },
        { "ceph:s3", "k", SPROX_KEY_MAX + 1, 0 },

        /* only one of the two readings is a key */

        { "ceph:s3", "%C3%A4", SPROX_KEY_MAX / 2, SPROX_KEY_MAX },
        { "ceph:s3", "%C3%A4", SPROX_KEY_MAX / 2 + 1, 0 }
    };

    (void) state;

    unit_mem_init(&um, 0);

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        rc = parse_long_key(&um.mem, rows[i].source, rows[i].text, rows[i].n,
                            &doc);

        if (rows[i].len == 0) {
            assert_int_equal(rc, SPROX_INVALID);
            assert_str(sprox_buf_get(&doc.why),
                       "Records[0].s3.object.key is longer than a key may be");

        } else {
            assert_int_equal(rc, SPROX_OK);
            assert_int_equal(doc.nevents, 1);
            assert_int_equal(doc.events[0].key.len, rows[i].len);
            assert_int_equal(doc.events[0].kind, SPROX_EVENT_CREATED);
        }

        sprox_event_free(&doc);
    }

    assert_int_equal(um.live, 0);
}


/* As versitygw 1.7.0 sends them. */

#define VERSITY(name, object)                                                 \
    "{\"Records\":[{\"eventVersion\":\"2.2\",\"eventSource\":\"aws:s3\","     \
    "\"awsRegion\":\"us-east-1\",\"eventTime\":\"2026-01-02T04:04:05+01:00\","\
    "\"eventName\":\"" name "\",\"userIdentity\":{\"PrincipalId\":\"ak\"},"   \
    "\"requestParameters\":{\"sourceIPAddress\":\"127.0.0.1\"},"              \
    "\"responseElements\":{\"x-amz-request-id\":\"\",\"x-amz-id-2\":\"\"},"   \
    "\"s3\":{\"s3SchemaVersion\":\"1.0\","                                    \
    "\"configurationId\":\"webhook-global\",\"bucket\":{\"name\":\"bkt\","    \
    "\"ownerIdentity\":{\"PrincipalId\":\"ak\"},"                             \
    "\"arn\":\"arn:aws:s3:::/bkt/k\"},\"object\":{" object "}},"              \
    "\"glacierEventData\":{\"restoreEventData\":"                             \
    "{\"lifecycleRestorationExpiryTime\":\"\","                               \
    "\"lifecycleRestoreStorageClass\":\"\"}}}]}"


static void
test_versitygw(void **state)
{
    (void) state;

    event_check(VERSITY("s3:ObjectCreated:Put",
                        "\"key\":\"a b+c%41/\xc3\xbc\\u0026\\u003c.txt\","
                        "\"size\":5,\"eTag\":\"\\\"5d41\\\"\","
                        "\"versionId\":null,\"sequencer\":\"1A\""),
                "versitygw created s3:ObjectCreated:Put|bkt|"
                "a b+c%41/\xc3\xbc&<.txt|\"5d41\"|5||1A|1767323045000\n");

    /* no size of what is copied or put together */

    event_check(VERSITY("s3:ObjectCreated:Copy",
                        "\"key\":\"k\",\"size\":0,\"eTag\":\"\\\"e\\\"\","
                        "\"versionId\":\"\",\"sequencer\":\"4\""),
                "versitygw created s3:ObjectCreated:Copy|bkt|k|\"e\"|||4|"
                "1767323045000\n");

    /* whether one version was removed, or the object, it does not say */

    event_check(VERSITY("s3:ObjectRemoved:Delete",
                        "\"key\":\"k\",\"size\":0,\"eTag\":null,"
                        "\"versionId\":null,\"sequencer\":\"6\""),
                "versitygw check s3:ObjectRemoved:Delete|bkt|k||||6|"
                "1767323045000\n");
    event_check(VERSITY("s3:ObjectRemoved:DeleteObjects",
                        "\"key\":\"k+\",\"size\":0,\"eTag\":null,"
                        "\"versionId\":null,\"sequencer\":\"7\""),
                "versitygw check s3:ObjectRemoved:DeleteObjects|bkt|k+||||7|"
                "1767323045000\n");

    event_check(VERSITY("s3:ObjectTagging:Put",
                        "\"key\":\"k\",\"size\":0,\"eTag\":null,"
                        "\"versionId\":null,\"sequencer\":\"9\""),
                "versitygw ignored s3:ObjectTagging:Put|||||||\n");

    /* a form's upload names no key */

    event_check_bad(VERSITY("s3:ObjectCreated:Post", "\"key\":\"\""),
                    "Records[0].s3.object.key is empty");

    event_check_str(S("{\"Bucket\":\"Test-Bucket\",\"Event\":"
                      "\"s3:TestEvent\",\"Service\":\"S3\","
                      "\"Time\":\"2026-01-02T03:04:05Z\"}"),
                    SPROX_EVENT_DOC_TEST, "");
}


static void
test_minio(void **state)
{
    (void) state;

    event_check("{\"EventName\":\"s3:ObjectCreated:Put\","
                "\"Key\":\"data/a b+c.parquet\",\"Records\":["
                "{\"eventVersion\":\"2.0\",\"eventSource\":\"minio:s3\","
                "\"awsRegion\":\"\",\"eventTime\":\"2026-01-02T03:04:05.678Z\","
                "\"eventName\":\"s3:ObjectCreated:Put\",\"userIdentity\":"
                "{\"principalId\":\"minioadmin\"},\"requestParameters\":"
                "{\"principalId\":\"minioadmin\",\"region\":\"\","
                "\"sourceIPAddress\":\"127.0.0.1\"},\"responseElements\":"
                "{\"content-length\":\"0\",\"x-minio-deployment-id\":\"d\"},"
                "\"s3\":{\"s3SchemaVersion\":\"1.0\",\"configurationId\":"
                "\"Config\",\"bucket\":{\"name\":\"data\",\"ownerIdentity\":"
                "{\"principalId\":\"minioadmin\"},\"arn\":"
                "\"arn:aws:s3:::data\"},\"object\":{\"key\":"
                "\"a+b%2Bc.parquet\",\"size\":7,\"eTag\":\"9a03-1\","
                "\"contentType\":\"binary/octet-stream\",\"userMetadata\":"
                "{\"content-type\":\"binary/octet-stream\"},\"versionId\":"
                "\"null\",\"sequencer\":\"17A0B1C2D3E4F506\"}},\"source\":"
                "{\"host\":\"127.0.0.1\",\"port\":\"\",\"userAgent\":"
                "\"MinIO (linux; amd64) minio-go/v7\"}}]}",
                "minio created s3:ObjectCreated:Put|data|a b+c.parquet|"
                "\"9a03-1\"|7|null|17A0B1C2D3E4F506|" TIME "\n");
}


static void
test_etags(void **state)
{
    (void) state;

#define TAG(etag)  AWS("ObjectCreated:Put", "\"key\":\"k\",\"eTag\":" etag)
#define TAGGED(etag)                                                          \
    "aws created ObjectCreated:Put|acme-lake|k|" etag "||||" TIME "\n"

    event_check(TAG("\"e\""), TAGGED("\"e\""));
    event_check(TAG("\"\\\"e\\\"\""), TAGGED("\"e\""));
    event_check(TAG("\"W/\\\"e\\\"\""), TAGGED("W/\"e\""));
    event_check(TAG("\"\""), TAGGED(""));
    event_check(TAG("\"\\\"\\\"\""), TAGGED(""));
    event_check(TAG("null"), TAGGED(""));

    event_check_bad(TAG("\"\\\"e\""), "Records[0].s3.object.eTag is no ETag");
    event_check_bad(TAG("\"a\\\"b\""), "Records[0].s3.object.eTag is no ETag");
    event_check_bad(TAG("\"e f\""), "Records[0].s3.object.eTag has a space");
    event_check_bad(TAG("\"e\\r\\nx: y\""),
                    "Records[0].s3.object.eTag has a control character");
    event_check_bad(TAG("\"e\\u0000\""),
                    "Records[0].s3.object.eTag has a control character");
    event_check_bad(TAG("7"), "Records[0].s3.object.eTag is no string");

    /* what was removed has none */

    event_check(AWS("ObjectRemoved:Delete",
                    "\"key\":\"k\",\"eTag\":\"e\",\"size\":7"),
                "aws removed ObjectRemoved:Delete|acme-lake|k|||||" TIME "\n");
}


static void
test_sequencers(void **state)
{
    (void) state;

#define SEQUENCER(text)  AWS("ObjectRemoved:Delete",                          \
                             "\"key\":\"k\",\"sequencer\":" text)
#define SEQUENCED(text)                                                       \
    "aws removed ObjectRemoved:Delete|acme-lake|k||||" text "|" TIME "\n"

    event_check(SEQUENCER("\"00aF\""), SEQUENCED("00aF"));
    event_check(SEQUENCER("\"\""), SEQUENCED(""));
    event_check(SEQUENCER("null"), SEQUENCED(""));

    /* what cannot order is not kept */

    event_check(SEQUENCER("\"12G4\""), SEQUENCED(""));
    event_check(SEQUENCER("\"12 4\""), SEQUENCED(""));
    event_check(SEQUENCER("\"0123456789012345678901234567890123456789"
                          "0123456789012345678901234\""), SEQUENCED(""));
    event_check_bad(SEQUENCER("12"),
                    "Records[0].s3.object.sequencer is no string");
}


/* One that is wrong, and nothing of the whole message is taken. */

#define BAD(record, why)  { RECORDS(RECORD("aws:s3", "ObjectCreated:Put",     \
                            "\"key\":\"good\"") "," record), why }
#define TEXT_43   "0123456789012345678901234567890123456789012"
#define TEXT_129  TEXT_43 TEXT_43 TEXT_43
#define OBJECT(object)  RECORD("aws:s3", "ObjectCreated:Put", object)
#define IN(bucket)                                                            \
    "{\"eventName\":\"ObjectCreated:Put\",\"s3\":{\"bucket\":" bucket ","     \
    "\"object\":{\"key\":\"k\"}}}"


static void
test_bad_records(void **state)
{
    size_t  i;

    static const struct {
        const char  *body;
        const char  *why;
    } rows[] = {
        BAD("7", "Records[1] is no object"),
        BAD("{}", "Records[1].eventName is missing"),
        BAD("{\"eventName\":\"\"}", "Records[1].eventName is empty"),
        BAD("{\"eventName\":[]}", "Records[1].eventName is no string"),
        BAD("{\"eventName\":\"a b\"}", "Records[1].eventName has a space"),
        BAD("{\"eventName\":\"" TEXT_129 "\"}",
            "Records[1].eventName is too long"),
        BAD("{\"eventName\":\"ObjectCreated:Put\"}",
            "Records[1].s3 is missing"),
        BAD("{\"eventName\":\"ObjectCreated:Put\",\"s3\":[]}",
            "Records[1].s3 is no object"),
        BAD("{\"eventName\":\"ObjectCreated:Put\",\"s3\":{}}",
            "Records[1].s3.bucket is missing"),
        BAD(IN("{}"), "Records[1].s3.bucket.name is missing"),
        BAD(IN("{\"name\":\"\"}"),
            "Records[1].s3.bucket.name is no name of a bucket"),
        BAD(IN("{\"name\":\"../etc\"}"),
            "Records[1].s3.bucket.name is no name of a bucket"),
        BAD(IN("{\"name\":\"bkt\\u0000\"}"),
            "Records[1].s3.bucket.name is no name of a bucket"),
        BAD(IN("{\"name\":7}"), "Records[1].s3.bucket.name is no string"),
        BAD("{\"eventName\":\"ObjectCreated:Put\",\"s3\":{\"bucket\":"
            "{\"name\":\"bkt\"}}}", "Records[1].s3.object is missing"),
        BAD("{\"eventName\":\"ObjectCreated:Put\",\"eventSource\":7}",
            "Records[1].eventSource is no string"),
        BAD("{\"eventName\":\"s3:ObjectCreated:Put\",\"eventSource\":"
            "\"aws:s3\",\"s3\":{\"configurationId\":7}}",
            "Records[1].s3.configurationId is no string"),
        BAD("{\"eventName\":\"ObjectCreated:Put\",\"eventTime\":\"now\","
            "\"s3\":{\"bucket\":{\"name\":\"bkt\"},\"object\":"
            "{\"key\":\"k\"}}}", "Records[1].eventTime is no time"),
        BAD("{\"eventName\":\"ObjectCreated:Put\",\"eventTime\":"
            "\"1969-12-31T23:59:59Z\",\"s3\":{\"bucket\":{\"name\":\"bkt\"},"
            "\"object\":{\"key\":\"k\"}}}", "Records[1].eventTime is no time"),
        BAD(OBJECT(""), "Records[1].s3.object.key is missing"),
        BAD(OBJECT("\"key\":\"\""), "Records[1].s3.object.key is empty"),
        BAD(OBJECT("\"key\":null"), "Records[1].s3.object.key is missing"),
        BAD(OBJECT("\"key\":7"), "Records[1].s3.object.key is no string"),
        BAD(OBJECT("\"key\":\"a%\""),
            "Records[1].s3.object.key has a '%' that starts no code"),
        BAD(OBJECT("\"key\":\"a%zz\""),
            "Records[1].s3.object.key has a '%' that starts no code"),
        BAD(OBJECT("\"key\":\"a%00b\""),
            "Records[1].s3.object.key has a NUL"),
        BAD(OBJECT("\"key\":\"a\\u0000b\""),
            "Records[1].s3.object.key has a NUL"),
        BAD(OBJECT("\"key\":\"k\",\"size\":-1"), "Records[1].s3.object.size "
            "is no whole number from 0 to 2^63 - 1"),
        BAD(OBJECT("\"key\":\"k\",\"size\":1.5"), "Records[1].s3.object.size "
            "is no whole number from 0 to 2^63 - 1"),
        BAD(OBJECT("\"key\":\"k\",\"size\":\"many\""),
            "Records[1].s3.object.size "
            "is no whole number from 0 to 2^63 - 1"),
        BAD(OBJECT("\"key\":\"k\",\"size\":70368744177665"),
            "Records[1].s3.object.size is larger than any object"),
        BAD(OBJECT("\"key\":\"k\",\"versionId\":\"a\\nb\""),
            "Records[1].s3.object.versionId has a control character"),
        BAD(OBJECT("\"key\":\"k\",\"versionId\":{}"),
            "Records[1].s3.object.versionId is no string"),
        { "{\"Records\":{}}", "Records is no array" },
        { "{\"Records\":null}", "the document is of none of the kinds that "
          "stores send: it has no Records, Type, detail-type, message or "
          "Event" },
        { "[]", "the document is no object" },
        { "{\"Event\":\"s3:OtherEvent\"}", "Event is not s3:TestEvent" },
        { "{\"Event\":7}", "Event is no string" }
    };

    (void) state;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        event_check_bad(rows[i].body, rows[i].why);
    }
}


/* Numbers as strings, as some of those who follow S3 send them. */

static void
test_size_in_string(void **state)
{
    (void) state;

    event_check(AWS("ObjectCreated:Put", "\"key\":\"k\",\"size\":\"1024\""),
                "aws created ObjectCreated:Put|acme-lake|k||1024|||" TIME
                "\n");
}


#define BRIDGE(type, detail)                                                  \
    "{\"version\":\"0\",\"id\":\"17793124-05d4-b198-2fde-7ededc63b103\","     \
    "\"detail-type\":\"" type "\",\"source\":\"aws.s3\","                     \
    "\"account\":\"111122223333\",\"time\":\"2026-01-02T03:04:05Z\","         \
    "\"region\":\"ca-central-1\",\"resources\":[\"arn:aws:s3:::bkt\"],"       \
    "\"detail\":{\"version\":\"0\",\"bucket\":{\"name\":\"bkt\"},"            \
    "\"object\":{\"key\":\"a b+c%41\"" detail                                 \
    "\"request-id\":\"N4N7GDK58NMKJ12R\",\"requester\":\"111122223333\"}}"

#define BSEQ    "\"sequencer\":\"617f08299329d189\""
#define BTIME   "1767323045000"


static void
test_eventbridge(void **state)
{
    (void) state;

    event_check(BRIDGE("Object Created",
                       ",\"size\":5,\"etag\":\"b1946ac9\","
                       "\"version-id\":\"IYV3p45BT0ac\"," BSEQ "},"
                       "\"reason\":\"PutObject\","),
                "eventbridge created Object Created|bkt|a b+c%41|"
                "\"b1946ac9\"|5|IYV3p45BT0ac|617f08299329d189|" BTIME "\n");
    event_check(BRIDGE("Object Deleted",
                       "," BSEQ "},\"reason\":\"DeleteObject\","
                       "\"deletion-type\":\"Permanently Deleted\","),
                "eventbridge removed Object Deleted|bkt|a b+c%41||||"
                "617f08299329d189|" BTIME "\n");
    event_check(BRIDGE("Object Deleted",
                       ",\"version-id\":\"v\"," BSEQ "},"
                       "\"reason\":\"DeleteObject\","
                       "\"deletion-type\":\"Permanently Deleted\","),
                "eventbridge check Object Deleted|bkt|a b+c%41|||v|"
                "617f08299329d189|" BTIME "\n");
    event_check(BRIDGE("Object Deleted",
                       ",\"version-id\":\"1QW9\"," BSEQ "},"
                       "\"reason\":\"Lifecycle Expiration\","
                       "\"deletion-type\":\"Delete Marker Created\","),
                "eventbridge removed Object Deleted|bkt|a b+c%41|||1QW9|"
                "617f08299329d189|" BTIME "|marker\n");
    event_check(BRIDGE("Object Restore Completed", ",\"size\":5},"),
                "eventbridge check Object Restore Completed|bkt|a b+c%41|||||"
                BTIME "\n");
    event_check(BRIDGE("Object Storage Class Changed", "},"),
                "eventbridge check Object Storage Class Changed|bkt|a b+c%41"
                "|||||" BTIME "\n");
    event_check(BRIDGE("Object Tags Added", "},"),
                "eventbridge ignored Object Tags Added|||||||\n");
    event_check("{\"source\":\"aws.s3\",\"detail\":{},\"detail-type\":"
                "\"AWS API Call via CloudTrail\"}",
                "eventbridge ignored AWS API Call via CloudTrail|||||||\n");

    event_check_bad("{\"source\":\"aws.ec2\",\"detail-type\":\"x\"}",
                    "source is not aws.s3");
    event_check_bad("{\"detail-type\":\"Object Created\"}",
                    "source is missing");
    event_check_bad("{\"source\":\"aws.s3\",\"detail-type\":7}",
                    "detail-type is no string");
    event_check_bad("{\"source\":\"aws.s3\",\"detail-type\":\"a\\nb\"}",
                    "detail-type has a control character");
    event_check_bad("{\"source\":\"aws.s3\",\"detail-type\":"
                    "\"Object Created\"}", "detail is missing");
    event_check_bad("{\"source\":\"aws.s3\",\"detail-type\":"
                    "\"Object Created\",\"detail\":{\"bucket\":{\"name\":"
                    "\"bkt\"},\"object\":{}}}",
                    "detail.object.key is missing");
}


static void
test_order(void **state)
{
    size_t  i;

    static const struct {
        const char     *a;
        const char     *b;
        sprox_order_t   order;
    } rows[] = {
        { "0055AED6DCD90281E5", "0055AED6DCD90281E5", SPROX_ORDER_SAME },
        { "0055AED6DCD90281E5", "0055AED6DCD90281E6", SPROX_ORDER_OLDER },
        { "0155", "0055AED6DCD90281E5", SPROX_ORDER_NEWER },
        { "12", "1200", SPROX_ORDER_SAME },
        { "12", "1201", SPROX_ORDER_OLDER },
        { "13", "1299", SPROX_ORDER_NEWER },
        { "1300", "129", SPROX_ORDER_NEWER },
        { "0a", "0A", SPROX_ORDER_SAME },
        { "0b", "0A", SPROX_ORDER_NEWER },
        { "0a", "0B", SPROX_ORDER_OLDER },
        { "9", "a", SPROX_ORDER_OLDER },
        { "", "", SPROX_ORDER_UNKNOWN },
        { "", "1", SPROX_ORDER_UNKNOWN },
        { "1", "", SPROX_ORDER_UNKNOWN },
        { "1", "2g", SPROX_ORDER_UNKNOWN },
        { "-1", "2", SPROX_ORDER_UNKNOWN },
        { "1 ", "1", SPROX_ORDER_UNKNOWN }
    };

    (void) state;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {

#define ORDER(from, to)                                                       \
    sprox_event_order(from, sprox_str_make(rows[i].a, strlen(rows[i].a)),     \
                      to, sprox_str_make(rows[i].b, strlen(rows[i].b)))

        assert_int_equal(ORDER(SPROX_SENDER_AWS, SPROX_SENDER_AWS),
                         rows[i].order);
        assert_int_equal(ORDER(SPROX_SENDER_EVENTBRIDGE,
                               SPROX_SENDER_EVENTBRIDGE), rows[i].order);
        assert_int_equal(ORDER(SPROX_SENDER_AWS, SPROX_SENDER_EVENTBRIDGE),
                         SPROX_ORDER_UNKNOWN);
        assert_int_equal(ORDER(SPROX_SENDER_MINIO, SPROX_SENDER_MINIO),
                         SPROX_ORDER_UNKNOWN);
        assert_int_equal(ORDER(SPROX_SENDER_VERSITYGW, SPROX_SENDER_VERSITYGW),
                         SPROX_ORDER_UNKNOWN);
        assert_int_equal(ORDER(SPROX_SENDER_GCS, SPROX_SENDER_GCS),
                         SPROX_ORDER_UNKNOWN);
        assert_int_equal(ORDER(SPROX_SENDER_OTHER, SPROX_SENDER_OTHER),
                         SPROX_ORDER_UNKNOWN);
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_aws),
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_ignored),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_long_keys),
        cmocka_unit_test(test_versitygw),
        cmocka_unit_test(test_minio),
        cmocka_unit_test(test_etags),
        cmocka_unit_test(test_sequencers),
        cmocka_unit_test(test_bad_records),
        cmocka_unit_test(test_size_in_string),
        cmocka_unit_test(test_eventbridge),
        cmocka_unit_test(test_order)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
