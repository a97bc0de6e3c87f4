/*
 * What a message of SNS names to be asked for: its certificate, and the
 * confirmation of a subscription.  Which URLs may be asked at all is
 * sprox_sns.h's to say; here one is asked, without a signature:
 *
 *   GET /SimpleNotificationService-....pem HTTP/1.1
 *   Host: sns.eu-west-1.amazonaws.com
 */

#include "sprox_origin_head.h"


static sprox_rc_t sprox_sns_build(sprox_buf_t *out,
    const sprox_origin_addr_t *addr, const sprox_origin_req_t *req,
    const sprox_credential_t *cred, int64_t now);
static sprox_rc_t sprox_sns_host(sprox_buf_t *out,
    const sprox_origin_addr_t *addr, sprox_str_t bucket);
static void sprox_sns_header(sprox_origin_resp_t *resp, sprox_str_t name,
    sprox_str_t value);
static int sprox_sns_host_valid(sprox_str_t host);
static int sprox_sns_visible(sprox_str_t s);
static sprox_rc_t sprox_sns_target(sprox_origin_target_t *target,
    const sprox_origin_addr_t *addr, const sprox_origin_req_t *req);


static const sprox_origin_scheme_t  sprox_sns_scheme = {
    sprox_str(""),
    sprox_str("us-east-1"),
    sprox_str(""),
    sprox_str(""),
    sprox_str(""),
    sprox_str(""),
    0,
    1,
    sprox_sns_host_valid,
    sprox_sns_target
};


const sprox_dialect_t  sprox_dialect_sns = {
    sprox_str("sns"),
    sprox_str("https://sns.us-east-1.amazonaws.com"),
    sprox_str("us-east-1"),
    1,
    0,
    1,
    sprox_sns_build,
    sprox_sns_host,
    sprox_sns_header,
    sprox_sns_host_valid
};


static sprox_rc_t
sprox_sns_build(sprox_buf_t *out, const sprox_origin_addr_t *addr,
    const sprox_origin_req_t *req, const sprox_credential_t *cred,
    int64_t now)
{
    return sprox_origin_head(out, &sprox_sns_scheme, addr, req, cred, now);
}


static sprox_rc_t
sprox_sns_host(sprox_buf_t *out, const sprox_origin_addr_t *addr,
    sprox_str_t bucket)
{
    (void) addr;

    if (!sprox_sns_host_valid(bucket)) {
        return SPROX_INVALID;
    }

    sprox_buf_str(out, bucket);

    return sprox_buf_rc(out);
}


static void
sprox_sns_header(sprox_origin_resp_t *resp, sprox_str_t name,
    sprox_str_t value)
{
    sprox_origin_header(resp, NULL, 0, sprox_str_null, name, value);
}


static int
sprox_sns_host_valid(sprox_str_t host)
{
    size_t  i;

    for (i = 0; i < host.len; i++) {

        if (!((host.data[i] >= 'a' && host.data[i] <= 'z')
              || (host.data[i] >= '0' && host.data[i] <= '9')
              || host.data[i] == '.' || host.data[i] == '-'))
        {
            return 0;
        }
    }

    return host.len != 0;
}


/* What may stand in a request line. */

static int
sprox_sns_visible(sprox_str_t s)
{
    size_t  i;

    for (i = 0; i < s.len; i++) {
        if (s.data[i] <= 0x20 || s.data[i] >= 0x7f) {
            return 0;
        }
    }

    return 1;
}


static sprox_rc_t
sprox_sns_target(sprox_origin_target_t *target,
    const sprox_origin_addr_t *addr, const sprox_origin_req_t *req)
{
    (void) addr;

    if ((req->op != SPROX_OP_GET_CERTIFICATE
         && req->op != SPROX_OP_CONFIRM_SUBSCRIPTION)
        || !sprox_sns_host_valid(req->bucket)
        || !sprox_sns_visible(req->key) || !sprox_sns_visible(req->query))
    {
        return SPROX_INVALID;
    }

    sprox_buf_str(&target->host, req->bucket);

    sprox_buf_char(&target->path, '/');
    sprox_buf_str(&target->path, req->key);
    sprox_buf_str(&target->query, req->query);

    return SPROX_OK;
}
