/*
 * What a listing asks for, and the tokens by which it goes on.
 *
 *   token    base64url( 01 | key of the last item )
 *
 * A token holds nothing but a name: it needs no memory anywhere, outlives
 * restarts, means the same in every worker, and asks for nothing that
 * start-after could not.  The first byte leaves room for other formats.
 */

#include "sprox_list.h"
#include "sprox_digest.h"


#define SPROX_TOKEN_FORMAT      1
#define SPROX_MAX_KEYS_LIMIT    INT32_MAX      /* S3's own */


typedef struct {
    const sprox_query_t  *query;
    sprox_list_req_t     *req;
    const char           *why;
} sprox_list_req_ctx_t;


/* Copies a parameter; 0: it was not sent. */

static int
sprox_list_arg(const sprox_query_t *query, sprox_str_t name,
    sprox_str_t *value)
{
    const sprox_query_arg_t  *arg;

    *value = sprox_str_lit("");
    arg = sprox_query_get(query, name);

    if (arg == NULL) {
        return 0;
    }

    *value = arg->value;

    return 1;
}


static sprox_rc_t
sprox_list_max_keys(sprox_list_req_ctx_t *ctx)
{
    uint64_t     n;
    sprox_rc_t   rc;
    sprox_str_t  value;

    ctx->req->max_keys = SPROX_LIST_KEYS_MAX;

    sprox_list_arg(ctx->query, sprox_str_lit("max-keys"), &value);

    if (value.len == 0) {
        return SPROX_OK;
    }

    rc = sprox_str_u64(value, &n);

    if (rc == SPROX_OK && n <= SPROX_MAX_KEYS_LIMIT) {

        if (n < SPROX_LIST_KEYS_MAX) {
            ctx->req->max_keys = (uint32_t) n;
        }

        return SPROX_OK;
    }

    if (value.data[0] == '-') {
        ctx->why = "Argument maxKeys must be an integer between 0 and "
                   "2147483647";
    } else {
        ctx->why = "Provided max-keys not an integer or within integer "
                   "range";
    }

    return SPROX_INVALID;
}


static sprox_rc_t
sprox_list_encoding(sprox_list_req_ctx_t *ctx)
{
    sprox_str_t  value;

    sprox_list_arg(ctx->query, sprox_str_lit("encoding-type"), &value);

    if (value.len == 0) {
        return SPROX_OK;
    }

    if (!sprox_str_case_eq(value, sprox_str_lit("url"))) {
        ctx->why = "Invalid Encoding Method specified in Request";
        return SPROX_INVALID;
    }

    ctx->req->url = 1;

    return SPROX_OK;
}


/* Names that no key reaches are refused, before any is compared to them. */

static sprox_rc_t
sprox_list_names(sprox_list_req_ctx_t *ctx)
{
    sprox_list_req_t  *req = ctx->req;

    sprox_list_arg(ctx->query, sprox_str_lit("prefix"), &req->prefix);

    req->delimiter_sent = sprox_list_arg(ctx->query,
                                         sprox_str_lit("delimiter"),
                                         &req->delimiter);

    req->marker = sprox_str_lit("");
    req->start_after = sprox_str_lit("");

    if (req->version == 1) {
        sprox_list_arg(ctx->query, sprox_str_lit("marker"), &req->marker);
        req->after = req->marker;

    } else {
        req->start_after_sent = sprox_list_arg(ctx->query,
                                               sprox_str_lit("start-after"),
                                               &req->start_after);
        req->after = req->start_after;
    }

    if (req->prefix.len > SPROX_KEY_MAX
        || req->delimiter.len > SPROX_KEY_MAX
        || req->after.len > SPROX_KEY_MAX)
    {
        ctx->why = "A prefix, delimiter or marker is longer than a key may "
                   "be";
        return SPROX_INVALID;
    }

    return SPROX_OK;
}


static sprox_rc_t
sprox_list_token_parse(const sprox_mem_t *mem, sprox_str_t token,
    sprox_str_t *key)
{
    sprox_rc_t   rc;
    sprox_buf_t  b;

    if (token.len > SPROX_TOKEN_MAX) {
        return SPROX_INVALID;
    }

    sprox_buf_init(&b, mem);

    rc = sprox_base64url_decode(&b, token);

    if (rc == SPROX_OK) {
        rc = sprox_buf_rc(&b);
    }

    if (rc != SPROX_OK) {
        goto failed;
    }

    if (b.len < 1 || b.len > SPROX_KEY_MAX + 1
        || b.data[0] != SPROX_TOKEN_FORMAT)
    {
        rc = SPROX_INVALID;
        goto failed;
    }

    memmove(b.data, b.data + 1, b.len - 1);

    *key = sprox_str_make(b.data, b.len - 1);

    return SPROX_OK;

failed:

    sprox_buf_free(&b);

    return rc;
}


static sprox_rc_t
sprox_list_continue(const sprox_mem_t *mem, sprox_list_req_ctx_t *ctx)
{
    sprox_rc_t         rc;
    sprox_str_t        value;
    sprox_list_req_t  *req = ctx->req;

    req->token = sprox_str_lit("");

    if (req->version == 1) {
        req->fetch_owner = 1;
        return SPROX_OK;
    }

    sprox_list_arg(ctx->query, sprox_str_lit("fetch-owner"), &value);
    req->fetch_owner = sprox_str_case_eq(value, sprox_str_lit("true"));

    req->token_sent = sprox_list_arg(ctx->query,
                                     sprox_str_lit("continuation-token"),
                                     &req->token);

    if (req->token.len == 0) {
        return SPROX_OK;
    }

    /* start-after was for the first page: the token is further on */

    rc = sprox_list_token_parse(mem, req->token, &req->after);

    if (rc == SPROX_INVALID) {
        ctx->why = "The continuation token provided is incorrect";
    }

    return rc;
}


sprox_rc_t
sprox_list_req_parse(const sprox_mem_t *mem, const sprox_query_t *query,
    unsigned version, sprox_list_req_t *req, sprox_error_code_t *err,
    const char **why)
{
    sprox_rc_t            rc;
    sprox_list_req_ctx_t  ctx;

    memset(req, 0, sizeof(sprox_list_req_t));

    req->version = version;

    ctx.query = query;
    ctx.req = req;
    ctx.why = NULL;

    rc = sprox_list_max_keys(&ctx);

    if (rc == SPROX_OK) {
        rc = sprox_list_encoding(&ctx);
    }

    if (rc == SPROX_OK) {
        rc = sprox_list_names(&ctx);
    }

    /* the last, as it alone takes memory */

    if (rc == SPROX_OK) {
        rc = sprox_list_continue(mem, &ctx);
    }

    /* what a caller has put there for its own later errors stays */

    if (rc != SPROX_OK) {
        *err = rc == SPROX_NOMEM ? SPROX_ERR_INTERNAL_ERROR
                                 : SPROX_ERR_INVALID_ARGUMENT;
    }

    *why = ctx.why;

    return rc;
}


void
sprox_list_token(sprox_buf_t *out, sprox_str_t key)
{
    size_t   n;
    uint8_t  head[3];

    /*
     * Three bytes are four characters, with nothing left over: the head and
     * the rest, encoded one after the other, are the encoding of the whole.
     */

    n = key.len < 2 ? key.len : 2;

    head[0] = SPROX_TOKEN_FORMAT;

    if (n != 0) {
        memcpy(head + 1, key.data, n);
    }

    sprox_base64url(out, sprox_str_make(head, n + 1));

    if (key.len > 2) {
        sprox_base64url(out, sprox_str_from(key, 2));
    }
}
