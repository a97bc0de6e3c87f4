/*
 * The gcs dialect: the XML API of Google Cloud Storage with HMAC keys.
 *
 * It is S3's API but for three things:
 *
 *   - a version is a generation, and pinned by x-goog-if-generation-match;
 *     there is no such header for "not this generation", If-None-Match with
 *     the ETag is what reads have
 *   - a request that has both x-goog-* and x-amz-* headers is refused
 *     (ExcessHeaderValues), so that a pinned read must not be signed as AWS
 *     does: the same keys sign GOOG4-HMAC-SHA256, whose headers are x-goog-*
 *   - names of buckets may hold '_' and be longer
 */

#include "sprox_origin_head.h"


#define SPROX_GCS_BUCKET_MAX   222
#define SPROX_GCS_LABEL_MAX    63


static sprox_rc_t sprox_gcs_build(sprox_buf_t *out,
    const sprox_origin_addr_t *addr, const sprox_origin_req_t *req,
    const sprox_credential_t *cred, int64_t now);
static sprox_rc_t sprox_gcs_host(sprox_buf_t *out,
    const sprox_origin_addr_t *addr, sprox_str_t bucket);
static void sprox_gcs_header(sprox_origin_resp_t *resp, sprox_str_t name,
    sprox_str_t value);
static int sprox_gcs_bucket_valid(sprox_str_t bucket);
static int sprox_gcs_read_stored(sprox_origin_resp_t *resp,
    sprox_str_t value);


static const sprox_origin_scheme_t  sprox_gcs_scheme = {
    sprox_str("storage"),
    sprox_str("auto"),
    sprox_str("x-goog-date"),
    sprox_str("x-goog-content-sha256"),
    sprox_str(""),
    sprox_str("x-goog-if-generation-match"),
    1,
    0,
    sprox_gcs_bucket_valid,
    NULL
};


const sprox_dialect_t  sprox_dialect_gcs = {
    sprox_str("gcs"),
    sprox_str("https://storage.googleapis.com"),
    sprox_str("auto"),
    1,
    0,
    0,
    sprox_gcs_build,
    sprox_gcs_host,
    sprox_gcs_header,
    sprox_gcs_bucket_valid
};


static const sprox_origin_header_t  sprox_gcs_headers[] = {
    { sprox_str("x-goog-generation"), SPROX_HEADER_FIRST,
      sprox_origin_read_version, sprox_str("") },
    { sprox_str("x-goog-storage-class"), SPROX_HEADER_FIRST,
      sprox_origin_read_class, sprox_str("x-amz-storage-class") },
    { sprox_str("x-goog-stored-content-encoding"), SPROX_HEADER_FIRST,
      sprox_gcs_read_stored, sprox_str("") }
};

#define SPROX_GCS_HEADERS                                                     \
    (sizeof(sprox_gcs_headers) / sizeof(sprox_gcs_headers[0]))


static sprox_rc_t
sprox_gcs_build(sprox_buf_t *out, const sprox_origin_addr_t *addr,
    const sprox_origin_req_t *req, const sprox_credential_t *cred,
    int64_t now)
{
    return sprox_origin_head(out, &sprox_gcs_scheme, addr, req, cred, now);
}


static sprox_rc_t
sprox_gcs_host(sprox_buf_t *out, const sprox_origin_addr_t *addr,
    sprox_str_t bucket)
{
    return sprox_origin_host(out, &sprox_gcs_scheme, addr, bucket);
}


static void
sprox_gcs_header(sprox_origin_resp_t *resp, sprox_str_t name,
    sprox_str_t value)
{
    sprox_origin_header(resp, sprox_gcs_headers, SPROX_GCS_HEADERS,
                        sprox_str_lit("x-goog-meta-"), name, value);
}


static int
sprox_gcs_read_stored(sprox_origin_resp_t *resp, sprox_str_t value)
{
    if (value.len != 0
        && !sprox_str_case_eq(value, sprox_str_lit("identity")))
    {
        resp->stored_coding = 1;
    }

    return 0;
}


/*
 * Google's "Bucket naming guidelines": 3 to 63 of a-z 0-9 - _ between
 * letters or digits; with dots up to 222 in all and 63 between the dots; no
 * IPv4 address.
 */

static int
sprox_gcs_bucket_valid(sprox_str_t bucket)
{
    size_t   i, label;
    uint8_t  c;

    if (bucket.len < SPROX_BUCKET_MIN || bucket.len > SPROX_GCS_BUCKET_MAX) {
        return 0;
    }

    label = 0;

    for (i = 0; i < bucket.len; i++) {

        c = bucket.data[i];

        if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) {

            if (i - label >= SPROX_GCS_LABEL_MAX) {
                return 0;
            }

            continue;
        }

        /* all others stand between */

        if (i == 0 || i + 1 == bucket.len) {
            return 0;
        }

        if (c == '.') {

            if (i == label) {
                return 0;
            }

            label = i + 1;
            continue;
        }

        if ((c != '-' && c != '_') || i - label >= SPROX_GCS_LABEL_MAX) {
            return 0;
        }
    }

    return !sprox_bucket_ipv4(bucket);
}
