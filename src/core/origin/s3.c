/*
 * The s3 dialect: AWS and what speaks its API (MinIO, Ceph, R2 and others).
 * Authenticated by SigV4; a version is pinned by its ETag.
 */

#include "sprox_origin_head.h"


static sprox_rc_t sprox_s3_build(sprox_buf_t *out,
    const sprox_origin_addr_t *addr, const sprox_origin_req_t *req,
    const sprox_credential_t *cred, int64_t now);
static sprox_rc_t sprox_s3_host(sprox_buf_t *out,
    const sprox_origin_addr_t *addr, sprox_str_t bucket);
static void sprox_s3_header(sprox_origin_resp_t *resp, sprox_str_t name,
    sprox_str_t value);
static int sprox_s3_read_region(sprox_origin_resp_t *resp, sprox_str_t value);
static int sprox_s3_read_parts(sprox_origin_resp_t *resp, sprox_str_t value);


static const sprox_origin_scheme_t  sprox_s3_scheme = {
    sprox_str("s3"),
    sprox_str("us-east-1"),
    sprox_str("x-amz-date"),
    sprox_str("x-amz-content-sha256"),
    sprox_str("x-amz-security-token"),
    sprox_str(""),
    0,
    0,
    sprox_bucket_valid,
    NULL
};


const sprox_dialect_t  sprox_dialect_s3 = {
    sprox_str("s3"),
    sprox_str("https://s3.*.amazonaws.com"),
    sprox_str("us-east-1"),
    1,
    1,
    0,
    sprox_s3_build,
    sprox_s3_host,
    sprox_s3_header,
    sprox_bucket_valid
};


/* x-amz-mp-parts-count is told by the answer to ?partNumber= only. */

static const sprox_origin_header_t  sprox_s3_headers[] = {
    { sprox_str("x-amz-version-id"), SPROX_HEADER_FIRST,
      sprox_origin_read_version, sprox_str("x-amz-version-id") },
    { sprox_str("x-amz-storage-class"), SPROX_HEADER_FIRST,
      sprox_origin_read_class, sprox_str("x-amz-storage-class") },
    { sprox_str("x-amz-bucket-region"), SPROX_HEADER_FIRST,
      sprox_s3_read_region, sprox_str("") },
    { sprox_str("x-amz-mp-parts-count"), SPROX_HEADER_FIRST,
      sprox_s3_read_parts, sprox_str("") },
    { sprox_str("x-amz-server-side-encryption"), SPROX_HEADER_FIRST,
      NULL, sprox_str("x-amz-server-side-encryption") },
    { sprox_str("x-amz-server-side-encryption-aws-kms-key-id"),
      SPROX_HEADER_FIRST,
      NULL, sprox_str("x-amz-server-side-encryption-aws-kms-key-id") },
    { sprox_str("x-amz-server-side-encryption-bucket-key-enabled"),
      SPROX_HEADER_FIRST,
      NULL, sprox_str("x-amz-server-side-encryption-bucket-key-enabled") },
    { sprox_str("x-amz-expiration"), SPROX_HEADER_FIRST,
      NULL, sprox_str("x-amz-expiration") },
    { sprox_str("x-amz-restore"), SPROX_HEADER_FIRST,
      NULL, sprox_str("x-amz-restore") },
    { sprox_str("x-amz-replication-status"), SPROX_HEADER_FIRST,
      NULL, sprox_str("x-amz-replication-status") },
    { sprox_str("x-amz-object-lock-mode"), SPROX_HEADER_FIRST,
      NULL, sprox_str("x-amz-object-lock-mode") },
    { sprox_str("x-amz-object-lock-retain-until-date"), SPROX_HEADER_FIRST,
      NULL, sprox_str("x-amz-object-lock-retain-until-date") },
    { sprox_str("x-amz-object-lock-legal-hold"), SPROX_HEADER_FIRST,
      NULL, sprox_str("x-amz-object-lock-legal-hold") },
    { sprox_str("x-amz-tagging-count"), SPROX_HEADER_FIRST,
      NULL, sprox_str("x-amz-tagging-count") },
    { sprox_str("x-amz-missing-meta"), SPROX_HEADER_FIRST,
      NULL, sprox_str("x-amz-missing-meta") },
    { sprox_str("x-amz-website-redirect-location"), SPROX_HEADER_FIRST,
      NULL, sprox_str("x-amz-website-redirect-location") }
};

#define SPROX_S3_HEADERS                                                      \
    (sizeof(sprox_s3_headers) / sizeof(sprox_s3_headers[0]))


static sprox_rc_t
sprox_s3_build(sprox_buf_t *out, const sprox_origin_addr_t *addr,
    const sprox_origin_req_t *req, const sprox_credential_t *cred,
    int64_t now)
{
    return sprox_origin_head(out, &sprox_s3_scheme, addr, req, cred, now);
}


static sprox_rc_t
sprox_s3_host(sprox_buf_t *out, const sprox_origin_addr_t *addr,
    sprox_str_t bucket)
{
    return sprox_origin_host(out, &sprox_s3_scheme, addr, bucket);
}


static void
sprox_s3_header(sprox_origin_resp_t *resp, sprox_str_t name,
    sprox_str_t value)
{
    sprox_origin_header(resp, sprox_s3_headers, SPROX_S3_HEADERS,
                        sprox_str_null, name, value);
}


static int
sprox_s3_read_region(sprox_origin_resp_t *resp, sprox_str_t value)
{
    resp->bucket_region = value;

    return 0;
}


static int
sprox_s3_read_parts(sprox_origin_resp_t *resp, sprox_str_t value)
{
    uint64_t  n;

    if (sprox_str_u64(value, &n) == SPROX_OK && n <= INT32_MAX) {
        resp->parts_count = (int64_t) n;
    }

    return 0;
}


void
sprox_s3_endpoint(sprox_buf_t *out, sprox_str_t region)
{
    size_t       star;
    sprox_str_t  text;

    text = sprox_dialect_s3.endpoint;
    star = sprox_str_find(text, sprox_str_lit("*"), 0);

    sprox_buf_add(out, text.data, star);
    sprox_buf_str(out, region);
    sprox_buf_str(out, sprox_str_from(text, star + 1));

    if (sprox_str_starts(region, sprox_str_lit("cn-"))) {
        sprox_buf_text(out, ".cn");
    }
}
