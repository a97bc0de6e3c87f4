/* SNS's signatures, and the URLs that may be asked: event/sns.c, sns_url.c. */

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "unit.h"
#include "sprox_sns.h"


#define NOW  1767323046


static const sprox_sns_t  notification = {
    .type = SPROX_SNS_NOTIFICATION,
    .message = sprox_str("{\"Records\":\n[]}"),
    .message_id = sprox_str("22b80b92"),
    .subject = sprox_str("Amazon S3 Notification"),
    .timestamp = sprox_str("2026-01-02T03:04:06.000Z"),
    .topic_arn = sprox_str("arn:aws:sns:eu-west-1:111122223333:lake"),
    .signature_version = sprox_str("1")
};

static const sprox_sns_t  subscription = {
    .type = SPROX_SNS_SUBSCRIPTION,
    .message = sprox_str("You have chosen"),
    .message_id = sprox_str("165545c9"),
    .timestamp = sprox_str("2026-01-02T03:04:06.000Z"),
    .topic_arn = sprox_str("arn:aws:sns:eu-west-1:111122223333:lake"),
    .token = sprox_str("2336412f37"),
    .subscribe_url = sprox_str("https://sns/?a=b"),
    .signature_version = sprox_str("2")
};


static void
test_canonical(void **state)
{
    sprox_sns_t  sns;
    unit_mem_t   um;
    sprox_buf_t  b;

    (void) state;

    unit_mem_init(&um, 0);
    sprox_buf_init(&b, &um.mem);

    sns = notification;
    assert_int_equal(sprox_sns_canonical(&b, &sns), SPROX_OK);
    assert_str(sprox_buf_get(&b),
               "Message\n{\"Records\":\n[]}\nMessageId\n22b80b92\n"
               "Subject\nAmazon S3 Notification\n"
               "Timestamp\n2026-01-02T03:04:06.000Z\n"
               "TopicArn\narn:aws:sns:eu-west-1:111122223333:lake\n"
               "Type\nNotification\n");
    sprox_buf_free(&b);

    sns.subject = sprox_str_null;
    assert_int_equal(sprox_sns_canonical(&b, &sns), SPROX_OK);
    assert_str(sprox_buf_get(&b),
               "Message\n{\"Records\":\n[]}\nMessageId\n22b80b92\n"
               "Timestamp\n2026-01-02T03:04:06.000Z\n"
               "TopicArn\narn:aws:sns:eu-west-1:111122223333:lake\n"
               "Type\nNotification\n");
    sprox_buf_free(&b);

    sns = subscription;
    sns.subject = S("never signed here");
    assert_int_equal(sprox_sns_canonical(&b, &sns), SPROX_OK);
    assert_str(sprox_buf_get(&b),
               "Message\nYou have chosen\nMessageId\n165545c9\n"
               "SubscribeURL\nhttps://sns/?a=b\n"
               "Timestamp\n2026-01-02T03:04:06.000Z\nToken\n2336412f37\n"
               "TopicArn\narn:aws:sns:eu-west-1:111122223333:lake\n"
               "Type\nSubscriptionConfirmation\n");
    sprox_buf_free(&b);

    sns.type = SPROX_SNS_UNSUBSCRIPTION;
    assert_int_equal(sprox_sns_canonical(&b, &sns), SPROX_OK);
    assert_true(sprox_str_ends(sprox_buf_get(&b),
                               S("\nType\nUnsubscribeConfirmation\n")));
    sprox_buf_free(&b);

    assert_int_equal(um.live, 0);
}


/* A key with its certificate, valid from NOW - 100 to NOW + 100. */

typedef struct {
    EVP_PKEY  *key;
    char       pem[8192];
} signer_t;


static void
signer_init(signer_t *s, EVP_PKEY *key)
{
    int         n;
    BIO        *bio;
    X509       *cert;
    ASN1_TIME  *at;

    assert_non_null(key);

    s->key = key;
    cert = X509_new();
    at = ASN1_TIME_new();

    assert_int_equal(X509_set_version(cert, X509_VERSION_3), 1);
    assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(cert), 1), 1);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
                               (const uint8_t *) "sns.amazonaws.com", -1, -1,
                               0);
    assert_int_equal(X509_set_issuer_name(cert, X509_get_subject_name(cert)),
                     1);
    assert_int_equal(X509_set_pubkey(cert, key), 1);
    assert_non_null(ASN1_TIME_set(at, NOW - 100));
    assert_int_equal(X509_set1_notBefore(cert, at), 1);
    assert_non_null(ASN1_TIME_set(at, NOW + 100));
    assert_int_equal(X509_set1_notAfter(cert, at), 1);
    assert_true(X509_sign(cert, key, EVP_sha256()) > 0);

    bio = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_X509(bio, cert), 1);
    n = BIO_read(bio, s->pem, sizeof(s->pem) - 1);
    assert_true(n > 0);
    s->pem[n] = '\0';

    BIO_free(bio);
    X509_free(cert);
    ASN1_TIME_free(at);
}


/* The base64 of a signature; into text, of at least 1,024 bytes. */

static sprox_str_t
sign(signer_t *s, const sprox_sns_t *sns, const EVP_MD *md, uint8_t *text)
{
    size_t       len;
    uint8_t      sig[512];
    unit_mem_t   um;
    sprox_buf_t  b;
    EVP_MD_CTX  *ctx;

    unit_mem_init(&um, 0);
    sprox_buf_init(&b, &um.mem);
    assert_int_equal(sprox_sns_canonical(&b, sns), SPROX_OK);

    len = sizeof(sig);
    ctx = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestSignInit(ctx, NULL, md, NULL, s->key), 1);
    assert_int_equal(EVP_DigestSign(ctx, sig, &len, b.data, b.len), 1);
    EVP_MD_CTX_free(ctx);
    sprox_buf_free(&b);

    return sprox_str_make(text, EVP_EncodeBlock(text, sig, (int) len));
}


static signer_t  aws;


static int
make_signer(void **state)
{
    (void) state;

    signer_init(&aws, EVP_RSA_gen(2048));

    return 0;
}


static int
free_signer(void **state)
{
    (void) state;

    EVP_PKEY_free(aws.key);

    return 0;
}


/* NULL, or why the signature is refused. */

static const char *
verify(const sprox_sns_t *sns, const char *pem, int64_t now)
{
    sprox_rc_t   rc;
    unit_mem_t   um;
    const char  *why;

    unit_mem_init(&um, 0);
    why = NULL;

    rc = sprox_sns_verify(&um.mem, sns, sprox_str_make(pem, strlen(pem)), now,
                          &why);

    assert_int_equal(um.live, 0);

    if (rc == SPROX_OK) {
        return NULL;
    }

    assert_int_equal(rc, SPROX_INVALID);
    assert_non_null(why);

    return why;
}


#define OTHER  "the signature is of another message or another key"


static void
test_verify(void **state)
{
    uint8_t      text[1024];
    sprox_sns_t  sns;

    (void) state;

    sns = notification;
    sns.signature = sign(&aws, &sns, EVP_sha1(), text);
    assert_null(verify(&sns, aws.pem, NOW));

    sns.signature_version = S("2");
    assert_string_equal(verify(&sns, aws.pem, NOW), OTHER);
    sns.signature = sign(&aws, &sns, EVP_sha256(), text);
    assert_null(verify(&sns, aws.pem, NOW));

    /* each field that is signed is */

    sns.message = S("{\"Records\":\n[7]}");
    assert_string_equal(verify(&sns, aws.pem, NOW), OTHER);
    sns.message = notification.message;
    sns.message_id = S("22b80b93");
    assert_string_equal(verify(&sns, aws.pem, NOW), OTHER);
    sns.message_id = notification.message_id;
    sns.subject = sprox_str_null;
    assert_string_equal(verify(&sns, aws.pem, NOW), OTHER);
    sns.subject = notification.subject;
    sns.topic_arn = S("arn:aws:sns:eu-west-1:111122223333:other");
    assert_string_equal(verify(&sns, aws.pem, NOW), OTHER);
    sns.topic_arn = notification.topic_arn;
    sns.timestamp = S("2027-01-02T03:04:06.000Z");
    assert_string_equal(verify(&sns, aws.pem, NOW), OTHER);
    sns.timestamp = notification.timestamp;
    assert_null(verify(&sns, aws.pem, NOW));

    sns = subscription;
    sns.signature = sign(&aws, &sns, EVP_sha256(), text);
    assert_null(verify(&sns, aws.pem, NOW));
    sns.token = S("2336412f38");
    assert_string_equal(verify(&sns, aws.pem, NOW), OTHER);
    sns.token = subscription.token;
    sns.subscribe_url = S("https://sns/?a=c");
    assert_string_equal(verify(&sns, aws.pem, NOW), OTHER);
    sns.subscribe_url = subscription.subscribe_url;
    sns.type = SPROX_SNS_UNSUBSCRIPTION;
    assert_string_equal(verify(&sns, aws.pem, NOW), OTHER);
}


static void
test_signatures(void **state)
{
    size_t       i;
    uint8_t      text[1024];
    sprox_sns_t  sns;

    static const struct {
        const char  *version;
        const char  *signature;
        const char  *why;
    } rows[] = {
        { "", "", "the message is not signed" },
        { "1", "", "the message is not signed" },
        { "", "AAAA", "the message is not signed" },
        { "3", "AAAA", "the signature's version is not known" },
        { "01", "AAAA", "the signature's version is not known" },
        { "1", "AAA", "the signature is no base64" },
        { "1", "****", "the signature is no base64" },
        { "1", "AAAA", OTHER },
        { "2", "AAAA", OTHER }
    };

    (void) state;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        sns = notification;
        sns.signature_version = sprox_str_make(rows[i].version,
                                               strlen(rows[i].version));
        sns.signature = sprox_str_make(rows[i].signature,
                                       strlen(rows[i].signature));

        assert_string_equal(verify(&sns, aws.pem, NOW), rows[i].why);
    }

    /* one bit */

    sns = notification;
    sns.signature = sign(&aws, &sns, EVP_sha1(), text);
    text[100] ^= (text[100] == 'A') ? 'A' ^ 'B' : text[100] ^ 'A';
    assert_string_equal(verify(&sns, aws.pem, NOW), OTHER);
}


#define NOT_VALID  "the certificate is not valid now"
#define NO_CERT    "the certificate is none"
#define NO_KEY     "the certificate's key is no RSA key of 2048 bits or more"


static void
test_certificates(void **state)
{
    char         pem[2 * sizeof(aws.pem)], *big;
    uint8_t      text[1024], other_text[1024];
    signer_t     other;
    sprox_sns_t  sns;

    (void) state;

    sns = notification;
    sns.signature = sign(&aws, &sns, EVP_sha1(), text);

    assert_null(verify(&sns, aws.pem, NOW - 99));
    assert_null(verify(&sns, aws.pem, NOW + 99));
    assert_string_equal(verify(&sns, aws.pem, NOW - 101), NOT_VALID);
    assert_string_equal(verify(&sns, aws.pem, NOW + 101), NOT_VALID);
    assert_string_equal(verify(&sns, aws.pem, 0), NOT_VALID);

    assert_string_equal(verify(&sns, "", NOW), NO_CERT);
    assert_string_equal(verify(&sns, "<html>", NOW), NO_CERT);
    assert_string_equal(verify(&sns, "-----BEGIN CERTIFICATE-----\nAAAA\n"
                                     "-----END CERTIFICATE-----\n", NOW),
                        NO_CERT);

    /* a PEM that asks for a password gets none */

    assert_string_equal(verify(&sns, "-----BEGIN CERTIFICATE-----\n"
                                     "Proc-Type: 4,ENCRYPTED\n"
                                     "DEK-Info: AES-256-CBC,"
                                     "00112233445566778899AABBCCDDEEFF\n\n"
                                     "AAAAAAAAAAAAAAAAAAAAAA==\n"
                                     "-----END CERTIFICATE-----\n", NOW),
                        NO_CERT);

    /* the first one counts, whatever follows */

    signer_init(&other, EVP_RSA_gen(2048));
    (void) sign(&other, &sns, EVP_sha1(), other_text);
    assert_string_equal(verify(&sns, other.pem, NOW), OTHER);

    (void) snprintf(pem, sizeof(pem), "%s%s", aws.pem, other.pem);
    assert_null(verify(&sns, pem, NOW));
    (void) snprintf(pem, sizeof(pem), "%s%s", other.pem, aws.pem);
    assert_string_equal(verify(&sns, pem, NOW), OTHER);
    EVP_PKEY_free(other.key);

    signer_init(&other, EVP_RSA_gen(1024));
    sns.signature = sign(&other, &sns, EVP_sha1(), text);
    assert_string_equal(verify(&sns, other.pem, NOW), NO_KEY);
    EVP_PKEY_free(other.key);

    signer_init(&other, EVP_EC_gen("P-256"));
    sns.signature = sign(&other, &sns, EVP_sha1(), text);
    assert_string_equal(verify(&sns, other.pem, NOW), NO_KEY);
    EVP_PKEY_free(other.key);

    big = malloc(SPROX_SNS_PEM_MAX + 2);
    assert_non_null(big);
    memset(big, '\n', SPROX_SNS_PEM_MAX + 1);
    memcpy(big, aws.pem, strlen(aws.pem));
    big[SPROX_SNS_PEM_MAX + 1] = '\0';
    sns.signature = sign(&aws, &sns, EVP_sha1(), text);
    assert_string_equal(verify(&sns, big, NOW), NO_CERT);
    big[SPROX_SNS_PEM_MAX] = '\0';
    assert_null(verify(&sns, big, NOW));
    free(big);
}


static sprox_rc_t
verify_work(const sprox_mem_t *mem, void *data)
{
    const char  *why;

    return sprox_sns_verify(mem, data, sprox_str_make(aws.pem,
                                                      strlen(aws.pem)),
                            NOW, &why);
}


static void
test_no_memory(void **state)
{
    uint8_t      text[1024];
    sprox_sns_t  sns;

    (void) state;

    sns = notification;
    sns.signature = sign(&aws, &sns, EVP_sha1(), text);

    assert_true(unit_each_alloc_fails(verify_work, &sns) >= 2);
}


#define PEM  "/SimpleNotificationService-0a1b.pem"
#define ASK  "/?Action=ConfirmSubscription&TopicArn=arn:aws:sns:x&Token=23"


static void
test_urls(void **state)
{
    size_t           i;
    sprox_rc_t       rc;
    sprox_str_t      s;
    sprox_sns_url_t  url;

    static const struct {
        const char  *url;
        int          cert;
        const char  *host;           /* NULL: it is refused */
        const char  *region;
    } rows[] = {
        { "https://sns.eu-west-1.amazonaws.com" PEM, 1,
          "sns.eu-west-1.amazonaws.com", "eu-west-1" },
        { "https://sns.eu-west-1.amazonaws.com:443" PEM, 1,
          "sns.eu-west-1.amazonaws.com", "eu-west-1" },
        { "https://sns.us-gov-west-1.amazonaws.com/a/b.pem", 1,
          "sns.us-gov-west-1.amazonaws.com", "us-gov-west-1" },
        { "https://sns.cn-north-1.amazonaws.com.cn" PEM, 1,
          "sns.cn-north-1.amazonaws.com.cn", "cn-north-1" },
        { "https://sns.eu-west-1.amazonaws.com" ASK, 0,
          "sns.eu-west-1.amazonaws.com", "eu-west-1" },
        { "https://sns.cn-north-1.amazonaws.com.cn:443" ASK, 0,
          "sns.cn-north-1.amazonaws.com.cn", "cn-north-1" },

        /* each is asked for what it is for */

        { "https://sns.eu-west-1.amazonaws.com" ASK, 1, NULL, NULL },
        { "https://sns.eu-west-1.amazonaws.com" PEM, 0, NULL, NULL },
        { "https://sns.eu-west-1.amazonaws.com/?Action=Publish&.pem", 1,
          NULL, NULL },
        { "https://sns.eu-west-1.amazonaws.com/?Action=Publish&Token=1", 0,
          NULL, NULL },
        { "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription",
          0, NULL, NULL },
        { "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscriptions&",
          0, NULL, NULL },
        { "https://sns.eu-west-1.amazonaws.com" ASK "&Action=Unsubscribe", 0,
          NULL, NULL },
        { "https://sns.eu-west-1.amazonaws.com/x" ASK, 0, NULL, NULL },

        /* not over TLS */

        { "http://sns.eu-west-1.amazonaws.com" PEM, 1, NULL, NULL },
        { "HTTPS://sns.eu-west-1.amazonaws.com" PEM, 1, NULL, NULL },
        { "https:/sns.eu-west-1.amazonaws.com" PEM, 1, NULL, NULL },
        { "file:///etc/ssl/cert.pem", 1, NULL, NULL },
        { "//sns.eu-west-1.amazonaws.com" PEM, 1, NULL, NULL },
        { " https://sns.eu-west-1.amazonaws.com" PEM, 1, NULL, NULL },

        /* another host */

        { "https://example.com" PEM, 1, NULL, NULL },
        { "https://127.0.0.1" PEM, 1, NULL, NULL },
        { "https://[::1]" PEM, 1, NULL, NULL },
        { "https://localhost" PEM, 1, NULL, NULL },
        { "https://amazonaws.com" PEM, 1, NULL, NULL },
        { "https://sns.amazonaws.com" PEM, 1, NULL, NULL },
        { "https://sns..amazonaws.com" PEM, 1, NULL, NULL },
        { "https://sns.s3.eu-west-1.amazonaws.com" PEM, 1, NULL, NULL },
        { "https://evil.sns.eu-west-1.amazonaws.com" PEM, 1, NULL, NULL },
        { "https://xsns.eu-west-1.amazonaws.com" PEM, 1, NULL, NULL },
        { "https://snsxeu-west-1.amazonaws.com" PEM, 1, NULL, NULL },
        { "https://sns.eu-west-1xamazonaws.com" PEM, 1, NULL, NULL },
        { "https://sns.eu-west-1.amazonaws.com.example.com" PEM, 1, NULL,
          NULL },
        { "https://sns.eu-west-1.amazonaws.comx" PEM, 1, NULL, NULL },
        { "https://sns.eu-west-1.amazonaws.com." PEM, 1, NULL, NULL },
        { "https://sns.eu-west-1.amazonaws.com.cn" PEM, 1, NULL, NULL },
        { "https://sns.cn-north-1.amazonaws.com" PEM, 1, NULL, NULL },
        { "https://SNS.eu-west-1.amazonaws.com" PEM, 1, NULL, NULL },
        { "https://sns.EU-WEST-1.amazonaws.com" PEM, 1, NULL, NULL },
        { "https://sns.eu_west.amazonaws.com" PEM, 1, NULL, NULL },
        { "https://s3.amazonaws.com/bucket/sns.eu-west-1.amazonaws.com/x.pem",
          1, NULL, NULL },

        /* what another reader may take for another host */

        { "https://sns.eu-west-1.amazonaws.com@example.com" PEM, 1, NULL,
          NULL },
        { "https://example.com@sns.eu-west-1.amazonaws.com" PEM, 1, NULL,
          NULL },
        { "https://user:pw@sns.eu-west-1.amazonaws.com" PEM, 1, NULL, NULL },
        { "https://example.com#sns.eu-west-1.amazonaws.com" PEM, 1, NULL,
          NULL },
        { "https://example.com?sns.eu-west-1.amazonaws.com" PEM, 1, NULL,
          NULL },
        { "https://example.com\\sns.eu-west-1.amazonaws.com" PEM, 1, NULL,
          NULL },
        { "https://sns.eu-west-1.amazonaws.com\\@example.com" PEM, 1, NULL,
          NULL },
        { "https://sns.eu-west-1.amazonaws.com%2f" PEM, 1, NULL, NULL },
        { "https://sns.eu-west-1.amazonaws.com\r\nHost: x" PEM, 1, NULL,
          NULL },
        { "https://sns.eu-west-1.amazonaws.com\t" PEM, 1, NULL, NULL },
        { "https://sns.eu-west-1.amazonaws.com/a b.pem", 1, NULL, NULL },
        { "https://sns.eu-west-1.amazonaws.com/\xc3\xa4.pem", 1, NULL, NULL },
        { "https://sns.eu-west-1.amazonaws.com/a#.pem", 1, NULL, NULL },
        { "https://sns.eu-west-1.amazonaws.com/a?.pem", 1, NULL, NULL },

        /* another port */

        { "https://sns.eu-west-1.amazonaws.com:444" PEM, 1, NULL, NULL },
        { "https://sns.eu-west-1.amazonaws.com:22" PEM, 1, NULL, NULL },
        { "https://sns.eu-west-1.amazonaws.com:" PEM, 1, NULL, NULL },
        { "https://sns.eu-west-1.amazonaws.com:0443" PEM, 1, NULL, NULL },
        { "https://sns.eu-west-1.amazonaws.com:443:443" PEM, 1, NULL, NULL },
        { "https://sns.eu-west-1.amazonaws.com:65979" PEM, 1, NULL, NULL },

        { "https://sns.eu-west-1.amazonaws.com/x.pem.exe", 1, NULL, NULL },
        { "https://sns.eu-west-1.amazonaws.com/x", 1, NULL, NULL },
        { "https://sns.eu-west-1.amazonaws.com", 1, NULL, NULL },
        { "https://.pem", 1, NULL, NULL },
        { "https://", 1, NULL, NULL },
        { "", 1, NULL, NULL },
        { "", 0, NULL, NULL }
    };

    (void) state;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        s = sprox_str_make(rows[i].url, strlen(rows[i].url));
        rc = rows[i].cert ? sprox_sns_cert_url(s, &url)
                          : sprox_sns_subscribe_url(s, &url);

        if (rc != (rows[i].host ? SPROX_OK : SPROX_INVALID)) {
            fail_msg("%s: %d", rows[i].url, (int) rc);
        }

        if (rows[i].host != NULL) {
            assert_str(url.host, rows[i].host);
            assert_str(url.region, rows[i].region);
            assert_true(sprox_str_ends(s, url.target));
            assert_int_equal(url.target.data[0], '/');
        }
    }
}


static void
test_long_url(void **state)
{
    size_t           i;
    char             url[SPROX_SNS_URL_MAX + 2];
    sprox_sns_url_t  out;

    static const char  begin[] = "https://sns.eu-west-1.amazonaws.com/";

    (void) state;

    memset(url, 'a', sizeof(url));
    memcpy(url, begin, sizeof(begin) - 1);

    for (i = SPROX_SNS_URL_MAX; i <= SPROX_SNS_URL_MAX + 1; i++) {
        memcpy(url + i - 4, ".pem", 4);
        assert_int_equal(sprox_sns_cert_url(sprox_str_make(url, i), &out),
                         i == SPROX_SNS_URL_MAX ? SPROX_OK : SPROX_INVALID);
    }
}


static void
test_url_of(void **state)
{
    size_t           i;
    sprox_sns_url_t  url;

    static const struct {
        const char  *arn;
        int          same;
    } rows[] = {
        { "arn:aws:sns:eu-west-1:123456789012:topic", 1 },
        { "arn:aws:sns:eu-west-1:", 1 },
        { "arn:aws:sns:eu-west-1", 0 },
        { "arn:aws:sns:eu-west-10:123456789012:topic", 0 },
        { "arn:aws:sns:eu-west-:123456789012:topic", 0 },
        { "arn:aws:sns::eu-west-1:topic", 0 },
        { "arn:aws:sns:us-east-1:123456789012:eu-west-1", 0 },
        { "arn:aws:sns", 0 },
        { "", 0 }
    };

    (void) state;

    assert_int_equal(sprox_sns_cert_url(
                         S("https://sns.eu-west-1.amazonaws.com/a.pem"), &url),
                     SPROX_OK);

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (sprox_sns_url_of(&url, sprox_str_make(rows[i].arn,
                                                  strlen(rows[i].arn)))
            != rows[i].same)
        {
            fail_msg("%s", rows[i].arn);
        }
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_canonical),
        cmocka_unit_test(test_verify),
        cmocka_unit_test(test_signatures),
        cmocka_unit_test(test_certificates),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_urls),
        cmocka_unit_test(test_long_url),
        cmocka_unit_test(test_url_of)
    };

    return cmocka_run_group_tests(tests, make_signer, free_signer);
}
