/*
 * The input is lines: a URL, a signature's version, a signature, a message;
 * the rest is a certificate.  A URL that is taken names SNS's host, told in
 * another way; no certificate or signature does any harm.
 */

#include "fuzz_s3.h"
#include "sprox_sns.h"


#define NOW  1800000000


/* The characters after the first n of s that are no more than these. */

static size_t
span(const char *s, size_t n, const char *set)
{
    return n + strspn(s + n, set);
}


static void
check_url(sprox_str_t url, const sprox_sns_url_t *out, int cert)
{
    char         s[SPROX_SNS_URL_MAX + 1];
    size_t       n;
    const char  *rest;

    static const char  https[] = "https://sns.";
    static const char  ask[] = "/?Action=ConfirmSubscription&";

    assert(url.len < sizeof(s));
    memcpy(s, url.data, url.len);
    s[url.len] = '\0';

    assert(strlen(s) == url.len);
    assert(strncmp(s, https, sizeof(https) - 1) == 0);

    n = span(s, sizeof(https) - 1, "abcdefghijklmnopqrstuvwxyz0123456789-");
    assert(n > sizeof(https) - 1);
    assert(n - (sizeof(https) - 1) == out->region.len);

    rest = s + n;
    assert(strncmp(rest, ".amazonaws.com", 14) == 0);
    rest += 14;

    if (strncmp(rest, ".cn", 3) == 0) {
        assert(strncmp(s + sizeof(https) - 1, "cn-", 3) == 0);
        rest += 3;
    }

    assert((size_t) (rest - s) - 8 == out->host.len);

    if (strncmp(rest, ":443", 4) == 0) {
        rest += 4;
    }

    assert(*rest == '/');
    assert(strlen(rest) == out->target.len);
    assert(rest[strcspn(rest, " #\\\r\n\t")] == '\0');

    if (cert) {
        assert(strcmp(s + url.len - 4, ".pem") == 0);
        assert(strchr(rest, '?') == NULL);

    } else {
        assert(strncmp(rest, ask, sizeof(ask) - 1) == 0);
    }
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sprox_rc_t       rc;
    sprox_str_t      rest, url;
    sprox_sns_t      sns;
    const char      *why;
    sprox_sns_url_t  out;

    rest = sprox_str_make(data, size);
    url = fuzz_line(&rest);

    if (sprox_sns_cert_url(url, &out) == SPROX_OK) {
        check_url(url, &out, 1);
    }

    if (sprox_sns_subscribe_url(url, &out) == SPROX_OK) {
        check_url(url, &out, 0);
    }

    memset(&sns, 0, sizeof(sns));
    sns.type = SPROX_SNS_NOTIFICATION;
    sns.signature_version = fuzz_line(&rest);
    sns.signature = fuzz_line(&rest);
    sns.message = fuzz_line(&rest);

    why = NULL;
    rc = sprox_sns_verify(&fuzz_mem, &sns, rest, NOW, &why);
    assert(rc == SPROX_OK || (rc == SPROX_INVALID && why != NULL));

    return 0;
}
