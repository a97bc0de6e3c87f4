/*
 * SNS's signatures.
 *
 *   Message\n{...}\nMessageId\n...\nSubject\n...\nTimestamp\n...\n
 *   TopicArn\n...\nType\nNotification\n
 *
 * is what is signed: names and values, each with a line feed behind it, in
 * the order of the names; SubscribeURL and Token for the confirmations.  No
 * value but Message has a line feed (event_sns.c sees to it), so that it
 * can be cut in one way only, from its end.
 */

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "sprox_sns.h"
#include "sprox_digest.h"


static const char *const  sprox_sns_names[] = {
    "", "Notification", "SubscriptionConfirmation", "UnsubscribeConfirmation"
};


static void
sprox_sns_line(sprox_buf_t *out, const char *name, sprox_str_t value)
{
    sprox_buf_text(out, name);
    sprox_buf_char(out, '\n');
    sprox_buf_str(out, value);
    sprox_buf_char(out, '\n');
}


sprox_rc_t
sprox_sns_canonical(sprox_buf_t *out, const sprox_sns_t *sns)
{
    int  confirmation;

    confirmation = (sns->type != SPROX_SNS_NOTIFICATION);

    sprox_sns_line(out, "Message", sns->message);
    sprox_sns_line(out, "MessageId", sns->message_id);

    if (confirmation) {
        sprox_sns_line(out, "SubscribeURL", sns->subscribe_url);

    } else if (sns->subject.data != NULL) {
        sprox_sns_line(out, "Subject", sns->subject);
    }

    sprox_sns_line(out, "Timestamp", sns->timestamp);

    if (confirmation) {
        sprox_sns_line(out, "Token", sns->token);
    }

    sprox_sns_line(out, "TopicArn", sns->topic_arn);

    sprox_buf_text(out, "Type\n");
    sprox_buf_text(out, sprox_sns_names[sns->type]);
    sprox_buf_char(out, '\n');

    return sprox_buf_rc(out);
}


/* A password is never asked for: OpenSSL's own way is the terminal. */

static int
sprox_sns_no_password(char *buf, int size, int writing, void *data)
{
    (void) buf;
    (void) size;
    (void) writing;
    (void) data;

    return 0;
}


/* The key of the first certificate; NULL and *why: it will not do. */

static EVP_PKEY *
sprox_sns_key(sprox_str_t pem, int64_t now, const char **why)
{
    BIO       *bio;
    X509      *cert;
    time_t     at;
    EVP_PKEY  *key;

    *why = "the certificate is none";

    if (pem.len == 0 || pem.len > SPROX_SNS_PEM_MAX) {
        return NULL;
    }

    bio = BIO_new_mem_buf(pem.data, (int) pem.len);
    if (bio == NULL) {
        return NULL;
    }

    cert = PEM_read_bio_X509(bio, NULL, sprox_sns_no_password, NULL);
    BIO_free(bio);

    if (cert == NULL) {
        return NULL;
    }

    key = NULL;
    at = (time_t) now;

    if (X509_cmp_time(X509_get0_notBefore(cert), &at) >= 0
        || X509_cmp_time(X509_get0_notAfter(cert), &at) <= 0)
    {
        *why = "the certificate is not valid now";
        goto done;
    }

    key = X509_get_pubkey(cert);

    if (key == NULL || EVP_PKEY_base_id(key) != EVP_PKEY_RSA
        || EVP_PKEY_bits(key) < SPROX_SNS_KEY_BITS_MIN)
    {
        *why = "the certificate's key is no RSA key of 2048 bits or more";
        EVP_PKEY_free(key);
        key = NULL;
    }

done:

    X509_free(cert);

    return key;
}


sprox_rc_t
sprox_sns_cert_check(sprox_str_t pem, int64_t now, const char **why)
{
    EVP_PKEY  *key;

    key = sprox_sns_key(pem, now, why);

    EVP_PKEY_free(key);
    ERR_clear_error();

    return key ? SPROX_OK : SPROX_INVALID;
}


static const EVP_MD *
sprox_sns_digest(const sprox_sns_t *sns, const char **why)
{
    if (sns->signature_version.len == 0 || sns->signature.len == 0) {
        *why = "the message is not signed";
        return NULL;
    }

    if (sprox_str_eq(sns->signature_version, sprox_str_lit("1"))) {
        return EVP_sha1();
    }

    if (sprox_str_eq(sns->signature_version, sprox_str_lit("2"))) {
        return EVP_sha256();
    }

    *why = "the signature's version is not known";

    return NULL;
}


static sprox_rc_t
sprox_sns_check(const EVP_MD *md, EVP_PKEY *key, sprox_str_t signature,
    sprox_str_t text, const char **why)
{
    int          ok;
    EVP_MD_CTX  *ctx;

    ctx = EVP_MD_CTX_new();
    if (ctx == NULL) {
        return SPROX_NOMEM;
    }

    ok = EVP_DigestVerifyInit(ctx, NULL, md, NULL, key);

    if (ok != 1) {
        *why = "OpenSSL does not allow the signature's digest";

    } else {
        ok = EVP_DigestVerify(ctx, signature.data, signature.len, text.data,
                              text.len);
        *why = "the signature is of another message or another key";
    }

    EVP_MD_CTX_free(ctx);

    return ok == 1 ? SPROX_OK : SPROX_INVALID;
}


sprox_rc_t
sprox_sns_verify(const sprox_mem_t *mem, const sprox_sns_t *sns,
    sprox_str_t pem, int64_t now, const char **why)
{
    EVP_PKEY      *key;
    sprox_rc_t     rc;
    sprox_buf_t    text, signature;
    const EVP_MD  *md;

    md = sprox_sns_digest(sns, why);
    if (md == NULL) {
        return SPROX_INVALID;
    }

    key = sprox_sns_key(pem, now, why);

    sprox_buf_init(&text, mem);
    sprox_buf_init(&signature, mem);

    rc = (key == NULL) ? SPROX_INVALID
                       : sprox_base64_decode(&signature, sns->signature);

    if (rc == SPROX_INVALID && key != NULL) {
        *why = "the signature is no base64";
    }

    if (rc == SPROX_OK) {
        rc = sprox_sns_canonical(&text, sns);
    }

    if (rc == SPROX_OK) {
        rc = sprox_sns_check(md, key, sprox_buf_get(&signature),
                             sprox_buf_get(&text), why);
    }

    EVP_PKEY_free(key);

    sprox_buf_free(&text);
    sprox_buf_free(&signature);

    /* what is left in the queue, the next user of OpenSSL would wonder at */

    ERR_clear_error();

    return rc;
}
