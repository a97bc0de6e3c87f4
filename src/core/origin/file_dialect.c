/*
 * The file dialect: a directory whose sub-directories are buckets.
 *
 * Nothing goes over a network, so that the caller reads the files itself;
 * but its fetches have the same shape as all others.  What is built here is
 * the plain request that a local server of such a directory understands,
 * without a signature, and what is read is what it answers: S3's headers.
 */

#include "sprox_origin_head.h"


static sprox_rc_t sprox_file_build(sprox_buf_t *out,
    const sprox_origin_addr_t *addr, const sprox_origin_req_t *req,
    const sprox_credential_t *cred, int64_t now);
static sprox_rc_t sprox_file_host(sprox_buf_t *out,
    const sprox_origin_addr_t *addr, sprox_str_t bucket);
static void sprox_file_header(sprox_origin_resp_t *resp, sprox_str_t name,
    sprox_str_t value);
static void sprox_file_addr(sprox_origin_addr_t *local,
    const sprox_origin_addr_t *addr);


static const sprox_origin_scheme_t  sprox_file_scheme = {
    sprox_str(""),
    sprox_str("us-east-1"),
    sprox_str(""),
    sprox_str(""),
    sprox_str(""),
    sprox_str(""),
    0,
    1,
    sprox_bucket_valid,
    NULL
};


const sprox_dialect_t  sprox_dialect_file = {
    sprox_str("file"),
    sprox_str(""),
    sprox_str("us-east-1"),
    0,
    0,
    0,
    sprox_file_build,
    sprox_file_host,
    sprox_file_header,
    sprox_bucket_valid
};


/* HTTP/1.1 wants a host, and a directory has none. */

static void
sprox_file_addr(sprox_origin_addr_t *local, const sprox_origin_addr_t *addr)
{
    *local = *addr;

    if (local->endpoint.host.len == 0) {
        local->endpoint.host = sprox_str_lit("localhost");
        local->endpoint.authority = sprox_str_lit("localhost");
    }
}


static sprox_rc_t
sprox_file_build(sprox_buf_t *out, const sprox_origin_addr_t *addr,
    const sprox_origin_req_t *req, const sprox_credential_t *cred,
    int64_t now)
{
    sprox_origin_addr_t  local;

    sprox_file_addr(&local, addr);

    return sprox_origin_head(out, &sprox_file_scheme, &local, req, cred, now);
}


static sprox_rc_t
sprox_file_host(sprox_buf_t *out, const sprox_origin_addr_t *addr,
    sprox_str_t bucket)
{
    sprox_origin_addr_t  local;

    sprox_file_addr(&local, addr);

    return sprox_origin_host(out, &sprox_file_scheme, &local, bucket);
}


static void
sprox_file_header(sprox_origin_resp_t *resp, sprox_str_t name,
    sprox_str_t value)
{
    sprox_dialect_s3.header(resp, name, value);
}
