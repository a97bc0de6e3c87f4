/*
 * A queue of SQS, by its query API (SQS API reference, "Making Query API
 * requests"), which takes GET as well as POST:
 *
 *   GET /ACCOUNT/QUEUE?Action=ReceiveMessage&...  HTTP/1.1
 *
 * It is no store, but is signed, sent and answered as one.
 */

#include "sprox_origin_head.h"


#define SPROX_SQS_VERSION   "2012-11-05"
#define SPROX_SQS_ARGS      4


static sprox_rc_t sprox_sqs_build(sprox_buf_t *out,
    const sprox_origin_addr_t *addr, const sprox_origin_req_t *req,
    const sprox_credential_t *cred, int64_t now);
static sprox_rc_t sprox_sqs_host(sprox_buf_t *out,
    const sprox_origin_addr_t *addr, sprox_str_t bucket);
static void sprox_sqs_header(sprox_origin_resp_t *resp, sprox_str_t name,
    sprox_str_t value);
static int sprox_sqs_bucket_valid(sprox_str_t bucket);
static sprox_rc_t sprox_sqs_target(sprox_origin_target_t *target,
    const sprox_origin_addr_t *addr, const sprox_origin_req_t *req);


static const sprox_origin_scheme_t  sprox_sqs_scheme = {
    sprox_str("sqs"),
    sprox_str("us-east-1"),
    sprox_str("x-amz-date"),
    sprox_str("x-amz-content-sha256"),
    sprox_str("x-amz-security-token"),
    sprox_str(""),
    0,
    0,
    sprox_sqs_bucket_valid,
    sprox_sqs_target
};


const sprox_dialect_t  sprox_dialect_sqs = {
    sprox_str("sqs"),
    sprox_str(""),
    sprox_str("us-east-1"),
    1,
    0,
    1,
    sprox_sqs_build,
    sprox_sqs_host,
    sprox_sqs_header,
    sprox_sqs_bucket_valid
};


static sprox_rc_t
sprox_sqs_build(sprox_buf_t *out, const sprox_origin_addr_t *addr,
    const sprox_origin_req_t *req, const sprox_credential_t *cred,
    int64_t now)
{
    return sprox_origin_head(out, &sprox_sqs_scheme, addr, req, cred, now);
}


static sprox_rc_t
sprox_sqs_host(sprox_buf_t *out, const sprox_origin_addr_t *addr,
    sprox_str_t bucket)
{
    if (bucket.len != 0) {
        return SPROX_INVALID;
    }

    sprox_buf_str(out, addr->endpoint.host);

    return sprox_buf_rc(out);
}


static void
sprox_sqs_header(sprox_origin_resp_t *resp, sprox_str_t name,
    sprox_str_t value)
{
    sprox_origin_header(resp, NULL, 0, sprox_str_null, name, value);
}


/* It has none. */

static int
sprox_sqs_bucket_valid(sprox_str_t bucket)
{
    return bucket.len == 0;
}


static sprox_rc_t
sprox_sqs_target(sprox_origin_target_t *target,
    const sprox_origin_addr_t *addr, const sprox_origin_req_t *req)
{
    size_t             n;
    uint8_t            max[SPROX_U32_DIGITS], wait[SPROX_U32_DIGITS];
    sprox_str_t        action;
    sprox_sigv4_arg_t  args[SPROX_SQS_ARGS];

    if (req->key.len == 0) {
        return SPROX_INVALID;
    }

    switch (req->op) {

    case SPROX_OP_RECEIVE_MESSAGE:
        break;

    case SPROX_OP_DELETE_MESSAGE:

        if (req->token.len == 0) {
            return SPROX_INVALID;
        }

        break;

    default:
        return SPROX_INVALID;
    }

    sprox_buf_str(&target->host, addr->endpoint.authority);

    sprox_buf_char(&target->path, '/');
    sprox_uri_encode(&target->path, req->key, 1);

    action = sprox_op_name(req->op);

    n = sprox_origin_arg(args, 0, sprox_str_lit("Action"), action);
    n = sprox_origin_arg(args, n, sprox_str_lit("Version"),
                         sprox_str_lit(SPROX_SQS_VERSION));

    if (req->op == SPROX_OP_DELETE_MESSAGE) {
        n = sprox_origin_arg(args, n, sprox_str_lit("ReceiptHandle"),
                             req->token);

    } else {
        n = sprox_origin_arg(args, n, sprox_str_lit("MaxNumberOfMessages"),
                             sprox_origin_digits(max, req->max_keys));
        n = sprox_origin_arg(args, n, sprox_str_lit("WaitTimeSeconds"),
                             sprox_origin_digits(wait, req->wait));
    }

    sprox_sigv4_query(&target->query, args, n);

    return SPROX_OK;
}
