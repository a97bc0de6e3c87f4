/*
 * SigV4 against the examples that AWS publishes (S3 API reference,
 * "Authenticating requests: using the Authorization header" and "using
 * query parameters"), stage by stage; and clients' Authorization headers.
 */

#include "unit.h"
#include "sprox_sigv4.h"
#include "sprox_digest.h"


#define ACCESS_KEY  S("AKIAIOSFODNN7EXAMPLE")
#define SECRET_KEY  S("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
#define HOST        sprox_str("examplebucket.s3.amazonaws.com")
#define DATE        sprox_str("20130524T000000Z")
#define TIME        1369353600


typedef struct {
    const char      *name;
    sprox_str_t      method;
    sprox_str_t      path;
    sprox_str_t      query;
    sprox_header_t   headers[6];
    size_t           nheaders;
    sprox_str_t      payload;
    const char      *hash;           /* of the canonical request */
    const char      *signed_headers;
    const char      *signature;
} vector_t;


static const vector_t  vectors[] = {
    {
        "GET object with a range",
        sprox_str("GET"), sprox_str("/test.txt"), sprox_str(""),
        {
            { sprox_str("x-amz-date"), DATE },
            { sprox_str("range"), sprox_str("bytes=0-9") },
            { sprox_str("host"), HOST },
            { sprox_str("x-amz-content-sha256"),
              sprox_str(SPROX_EMPTY_SHA256) }
        },
        4, sprox_str(SPROX_EMPTY_SHA256),
        "7344ae5b7ee6c3e7e6b0fe0640412a37625d1fbfff95c48bbb2dc43964946972",
        "host;range;x-amz-content-sha256;x-amz-date",
        "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
    },
    {
        "PUT object",
        sprox_str("PUT"), sprox_str("/test%24file.text"), sprox_str(""),
        {
            { sprox_str("date"), sprox_str("Fri, 24 May 2013 00:00:00 GMT") },
            { sprox_str("host"), HOST },
            { sprox_str("x-amz-content-sha256"),
              sprox_str("44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8"
                        "b803f8b072") },
            { sprox_str("x-amz-date"), DATE },
            { sprox_str("x-amz-storage-class"),
              sprox_str("REDUCED_REDUNDANCY") }
        },
        5,
        sprox_str("44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8"
                  "b072"),
        "9e0e90d9c76de8fa5b200d8c849cd5b8dc7a3be3951ddb7f6a76b4158342019d",
        "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
        "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"
    },
    {
        "GET bucket lifecycle",
        sprox_str("GET"), sprox_str("/"), sprox_str("lifecycle="),
        {
            { sprox_str("host"), HOST },
            { sprox_str("x-amz-content-sha256"),
              sprox_str(SPROX_EMPTY_SHA256) },
            { sprox_str("x-amz-date"), DATE }
        },
        3, sprox_str(SPROX_EMPTY_SHA256),
        "9766c798316ff2757b517bc739a67f6213b4ab36dd5da2f94eaebf79c77395ca",
        "host;x-amz-content-sha256;x-amz-date",
        "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"
    },
    {
        "list objects",
        sprox_str("GET"), sprox_str(""), sprox_str("max-keys=2&prefix=J"),
        {
            { sprox_str("x-amz-content-sha256"),
              sprox_str(SPROX_EMPTY_SHA256) },
            { sprox_str("x-amz-date"), DATE },
            { sprox_str("host"), HOST }
        },
        3, sprox_str(SPROX_EMPTY_SHA256),
        "df57d21db20da04d7fa30298dd4488ba3a2b47ca3a489c74750e0f1e7df1b9b7",
        "host;x-amz-content-sha256;x-amz-date",
        "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"
    },
    {
        "presigned URL",
        sprox_str("GET"), sprox_str("/test.txt"),
        sprox_str("X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFOD"
                  "NN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-"
                  "Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeader"
                  "s=host"),
        { { sprox_str("host"), HOST } },
        1, sprox_str("UNSIGNED-PAYLOAD"),
        "3bfa292879f6447bbcda7001decf97f4a54dc650c8942174ae0a9121cf58ad04",
        "host",
        "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
    }
};


static void
vector_sig(const vector_t *v, sprox_sigv4_t *sig)
{
    memset(sig, 0, sizeof(sprox_sigv4_t));

    sig->method = v->method;
    sig->path = v->path;
    sig->query = v->query;
    sig->headers = v->headers;
    sig->nheaders = v->nheaders;
    sig->payload_hash = v->payload;
    sig->time = TIME;
    sig->region = S("us-east-1");
    sig->service = S("s3");
}


static void
test_vectors(void **state)
{
    char           expected[512];
    size_t         i;
    uint8_t        hash[SPROX_SHA256_LEN];
    unit_mem_t     um;
    sprox_buf_t    b, hex;
    sprox_sigv4_t  sig;

    (void) state;

    unit_mem_init(&um, 0);

    for (i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        vector_sig(&vectors[i], &sig);

        sprox_buf_init(&b, &um.mem);
        sprox_buf_init(&hex, &um.mem);

        assert_int_equal(sprox_sigv4_canonical(&b, &sig), SPROX_OK);
        assert_int_equal(sprox_sha256(sprox_buf_get(&b), hash), SPROX_OK);
        sprox_hex(&hex, hash, sizeof(hash));
        assert_str(sprox_buf_get(&hex), vectors[i].hash);
        sprox_buf_free(&hex);
        sprox_buf_free(&b);

        assert_int_equal(sprox_sigv4_signed_headers(&b, &sig), SPROX_OK);
        assert_str(sprox_buf_get(&b), vectors[i].signed_headers);
        sprox_buf_free(&b);

        assert_int_equal(sprox_sigv4_authorization(&b, ACCESS_KEY, SECRET_KEY,
                                                   &sig), SPROX_OK);
        snprintf(expected, sizeof(expected),
                 "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/"
                 "us-east-1/s3/aws4_request, SignedHeaders=%s, Signature=%s",
                 vectors[i].signed_headers, vectors[i].signature);
        assert_str(sprox_buf_get(&b), expected);
        sprox_buf_free(&b);
    }

    assert_int_equal(um.live, 0);
}


/* "Deriving the signing key" of the AWS general reference. */

static void
test_key(void **state)
{
    uint8_t        key[32];
    unit_mem_t     um;
    sprox_buf_t    hex;
    sprox_sigv4_t  sig;

    (void) state;

    unit_mem_init(&um, 0);
    sprox_buf_init(&hex, &um.mem);
    memset(&sig, 0, sizeof(sig));

    sig.time = 1329264000;
    sig.region = S("us-east-1");
    sig.service = S("iam");

    assert_int_equal(sprox_sigv4_key(&um.mem,
                         S("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"), &sig,
                         key), SPROX_OK);
    sprox_hex(&hex, key, sizeof(key));
    assert_str(sprox_buf_get(&hex),
        "f4780e2d9f65fa895f9c67b32ce1baf0b0d8a43505a000a1a9e090d414db404d");
    sprox_buf_free(&hex);
}


static void
test_google(void **state)
{
    unit_mem_t     um;
    sprox_buf_t    b;
    sprox_sigv4_t  sig;

    static const sprox_header_t  headers[] = {
        { sprox_str("host"), sprox_str("example.com") },
        { sprox_str("x-goog-date"), sprox_str("20241121T023539Z") },
        { sprox_str("x-goog-content-sha256"), sprox_str("UNSIGNED-PAYLOAD") }
    };

    (void) state;

    unit_mem_init(&um, 0);
    sprox_buf_init(&b, &um.mem);
    memset(&sig, 0, sizeof(sig));

    sig.goog = 1;
    sig.method = S("GET");
    sig.path = S("/foo/bar");
    sig.headers = headers;
    sig.nheaders = 3;
    sig.payload_hash = S("UNSIGNED-PAYLOAD");
    sig.time = 1732156539;
    sig.region = S("auto");
    sig.service = S("storage");

    assert_int_equal(sprox_sigv4_authorization(&b, S("XXXXX"), S("YYYYY"),
                                               &sig), SPROX_OK);
    assert_str(sprox_buf_get(&b),
        "GOOG4-HMAC-SHA256 Credential=XXXXX/20241121/auto/storage/"
        "goog4_request, SignedHeaders=host;x-goog-content-sha256;x-goog-date, "
        "Signature=528346f587a0b46433f92d583f3148b88a5117bf26131f328553789feb43"
        "3028");
    sprox_buf_free(&b);
}


static void
test_canonical(void **state)
{
    size_t          i;
    unit_mem_t      um;
    sprox_buf_t     b;
    sprox_sigv4_t   sig;
    sprox_header_t  many[SPROX_SIGV4_HEADERS_MAX + 1];

    static const sprox_header_t  headers[] = {
        { sprox_str("x-b"), sprox_str("  two   words  and more ") },
        { sprox_str("x-a"), sprox_str("2") },
        { sprox_str("host"), sprox_str("h") },
        { sprox_str("x-a"), sprox_str(" 1 ") },
        { sprox_str("x-c"), sprox_str("   ") },
        { sprox_str("x-a-b"), sprox_str("") },
        { sprox_str("x-d"), sprox_str("a  b  c") }
    };

    (void) state;

    unit_mem_init(&um, 0);
    sprox_buf_init(&b, &um.mem);
    memset(&sig, 0, sizeof(sig));

    sig.method = S("GET");
    sig.path = S("//a/../.");
    sig.headers = headers;
    sig.nheaders = sizeof(headers) / sizeof(headers[0]);
    sig.payload_hash = S("P");

    assert_int_equal(sprox_sigv4_canonical(&b, &sig), SPROX_OK);
    assert_str(sprox_buf_get(&b),
               "GET\n//a/../.\n\nhost:h\nx-a:2,1\nx-a-b:\n"
               "x-b:two words and more\nx-c:\nx-d:a b c\n\n"
               "host;x-a;x-a-b;x-b;x-c;x-d\nP");
    sprox_buf_free(&b);

    for (i = 0; i < SPROX_SIGV4_HEADERS_MAX + 1; i++) {
        many[i].name = S("h");
        many[i].value = S("v");
    }

    sig.headers = many;
    sig.nheaders = SPROX_SIGV4_HEADERS_MAX;
    assert_int_equal(sprox_sigv4_canonical(&b, &sig), SPROX_OK);
    sprox_buf_free(&b);

    sig.nheaders++;
    assert_int_equal(sprox_sigv4_canonical(&b, &sig), SPROX_LIMIT);
    assert_int_equal(sprox_sigv4_signed_headers(&b, &sig), SPROX_LIMIT);
    assert_int_equal(sprox_sigv4_authorization(&b, S("a"), S("b"), &sig),
                     SPROX_LIMIT);
    assert_int_equal(b.len, 0);
    sprox_buf_free(&b);
    assert_int_equal(um.live, 0);
}


static void
test_query(void **state)
{
    unit_mem_t         um;
    sprox_buf_t        b;
    sprox_sigv4_arg_t  args[] = {
        { sprox_str("prefix"), sprox_str("a b/\xc3\xa9") },
        { sprox_str("a"), sprox_str("2") },
        { sprox_str("a"), sprox_str("10") },
        { sprox_str("a"), sprox_str("") },
        { sprox_str("ab"), sprox_str("0") },
        { sprox_str("a:"), sprox_str("0") },
        { sprox_str("a-"), sprox_str("0") },
        { sprox_str("B"), sprox_str("/") },
        { sprox_str("B"), sprox_str("-") },
        { sprox_str("B"), sprox_str("\xff") },
        { sprox_str("a"), sprox_str("2") }
    };

    (void) state;

    unit_mem_init(&um, 0);
    sprox_buf_init(&b, &um.mem);

    sprox_sigv4_query(&b, args, sizeof(args) / sizeof(args[0]));

    /* '/' and 0xff sort before '-' as %2F and %FF do; ':' before '-' */
    assert_str(sprox_buf_get(&b),
               "B=%2F&B=%FF&B=-&a=&a=10&a=2&a=2&a%3A=0&a-=0&ab=0&"
               "prefix=a%20b%2F%C3%A9");
    sprox_buf_free(&b);

    sprox_sigv4_query(&b, NULL, 0);
    assert_int_equal(b.len, 0);
    assert_int_equal(um.live, 0);
}


static sprox_rc_t
work_authorization(const sprox_mem_t *mem, void *data)
{
    sprox_rc_t     rc;
    sprox_buf_t    b;
    sprox_sigv4_t  sig;

    (void) data;

    vector_sig(&vectors[1], &sig);
    sprox_buf_init(&b, mem);
    rc = sprox_sigv4_authorization(&b, ACCESS_KEY, SECRET_KEY, &sig);
    sprox_buf_free(&b);

    return rc;
}


static sprox_rc_t
work_key(const sprox_mem_t *mem, void *data)
{
    uint8_t        key[32];
    sprox_rc_t     rc;
    sprox_sigv4_t  sig;

    const uint8_t  zero[32] = { 0 };

    (void) data;

    memset(key, 'x', sizeof(key));
    vector_sig(&vectors[0], &sig);
    rc = sprox_sigv4_key(mem, SECRET_KEY, &sig, key);

    if (rc != SPROX_OK) {
        assert_memory_equal(key, zero, sizeof(key));
    }

    return rc;
}


static void
test_alloc(void **state)
{
    (void) state;

    assert_true(unit_each_alloc_fails(work_authorization, NULL) > 3);
    assert_true(unit_each_alloc_fails(work_key, NULL) >= 1);
}


#define SIG64                                                                 \
    "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
#define CRED  "AKID/20130524/us-east-1/s3/aws4_request"


static void
test_authz(void **state)
{
    size_t         i;
    sprox_authz_t  a;

    static const char *const  good[] = {
        "AWS4-HMAC-SHA256 Credential=" CRED ", SignedHeaders=host;range, "
        "Signature=" SIG64,
        "AWS4-HMAC-SHA256 Credential=" CRED ",SignedHeaders=host;range,"
        "Signature=" SIG64,
        " AWS4-HMAC-SHA256   Signature=" SIG64 ",\tSignedHeaders=host;range ,"
        " Credential=" CRED " "
    };

    static const char *const  bad[] = {
        "", "AWS4-HMAC-SHA256", "AWS4-HMAC-SHA256 ", "AWS AKID:sig",
        "Bearer x", "AWS4-HMAC-SHA256,Credential=" CRED,
        "AWS4-HMAC-SHA256Credential=" CRED ", SignedHeaders=host, Signature="
        SIG64,
        "aws4-hmac-sha256 Credential=" CRED ", SignedHeaders=host, Signature="
        SIG64,
        "AWS4-HMAC-SHA256 Credential=" CRED ", SignedHeaders=host",
        "AWS4-HMAC-SHA256 Credential=" CRED ", Credential=" CRED
        ", SignedHeaders=host, Signature=" SIG64,
        "AWS4-HMAC-SHA256 Credential=" CRED ", SignedHeaders=host, Signature="
        SIG64 ", Extra=1",
        "AWS4-HMAC-SHA256 Credential=" CRED ", SignedHeaders=host, Signature",
        "AWS4-HMAC-SHA256 Credential=" CRED ", SignedHeaders=host, Signature=",
        "AWS4-HMAC-SHA256 Credential=" CRED ", SignedHeaders=host, Signature="
        SIG64 "0",
        "AWS4-HMAC-SHA256 Credential=" CRED ", SignedHeaders=host, Signature="
        "F0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        "AWS4-HMAC-SHA256 Credential=" CRED ", SignedHeaders=, Signature="
        SIG64,
        "AWS4-HMAC-SHA256 Credential=" CRED ", SignedHeaders=;host, Signature="
        SIG64,
        "AWS4-HMAC-SHA256 Credential=" CRED ", SignedHeaders=host;, Signature="
        SIG64,
        "AWS4-HMAC-SHA256 Credential=" CRED ", SignedHeaders=a;;b, Signature="
        SIG64,
        "AWS4-HMAC-SHA256 Credential=" CRED ", SignedHeaders=Host, Signature="
        SIG64,
        "AWS4-HMAC-SHA256 Credential=x, SignedHeaders=host, Signature=" SIG64
    };

    static const char *const  bad_credential[] = {
        "", "AKID", "/20130524/us-east-1/s3/aws4_request",
        "AKID/20130524/us-east-1/s3", "AKID/20130524/us-east-1/s3/aws3_request",
        "AKID/2013052/us-east-1/s3/aws4_request",
        "AKID/2013052x/us-east-1/s3/aws4_request",
        "AKID/20130524//s3/aws4_request",
        "AKID/20130524/us-east-1//aws4_request",
        "AKID/20130524/us-east-1/s3/aws4_request/", "20130524/us-east-1/s3/"
        "aws4_request", "A B/20130524/us-east-1/s3/aws4_request",
        "A\x01/20130524/us-east-1/s3/aws4_request"
    };

    (void) state;

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_int_equal(sprox_authz_parse(sprox_str_make(good[i],
                                                          strlen(good[i])),
                                           &a), SPROX_OK);
        assert_str(a.access_key, "AKID");
        assert_str(a.date, "20130524");
        assert_str(a.region, "us-east-1");
        assert_str(a.service, "s3");
        assert_str(a.signed_headers, "host;range");
        assert_str(a.signature, SIG64);
    }

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (sprox_authz_parse(sprox_str_make(bad[i], strlen(bad[i])), &a)
            != SPROX_INVALID)
        {
            fail_msg("taken: %s", bad[i]);
        }
    }

    for (i = 0; i < sizeof(bad_credential) / sizeof(bad_credential[0]); i++) {
        if (sprox_authz_credential(sprox_str_make(bad_credential[i],
                                                  strlen(bad_credential[i])),
                                   &a) != SPROX_INVALID)
        {
            fail_msg("taken: %s", bad_credential[i]);
        }
    }

    memset(&a, 0, sizeof(a));
    assert_int_equal(sprox_authz_credential(
                         S("team/a/20130524/auto/s3/aws4_request"), &a),
                     SPROX_OK);
    assert_str(a.access_key, "team/a");
    assert_str(a.region, "auto");
    assert_int_equal(a.signature.len, 0);

    assert_int_equal(sprox_authz_parse(sprox_str_null, &a), SPROX_INVALID);
    assert_int_equal(sprox_authz_credential(sprox_str_null, &a),
                     SPROX_INVALID);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_key),
        cmocka_unit_test(test_google),
        cmocka_unit_test(test_canonical),
        cmocka_unit_test(test_query),
        cmocka_unit_test(test_alloc),
        cmocka_unit_test(test_authz)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
