
/*
 * The content handler of "sprox on": from the request line to an operation
 * of S3 and an alias, and on to whoever serves it.
 */

#include "ngx_http_sprox.h"
#include "ngx_http_sprox_conf.h"
#include "ngx_http_sprox_error.h"
#include "ngx_http_sprox_list.h"
#include "ngx_http_sprox_metrics.h"
#include "ngx_http_sprox_object.h"
#include "ngx_http_sprox_purge.h"
#include "ngx_http_sprox_ban.h"


static ngx_http_sprox_ctx_t *ngx_http_sprox_create_ctx(
    ngx_http_request_t *r);
static ngx_uint_t ngx_http_sprox_presigned(ngx_http_request_t *r);
static sprox_str_t ngx_http_sprox_target(ngx_http_request_t *r,
    ngx_http_sprox_ctx_t *ctx);
static sprox_str_t ngx_http_sprox_vhost(ngx_http_request_t *r,
    ngx_http_sprox_main_conf_t *mcf);
static ngx_int_t ngx_http_sprox_check(ngx_http_request_t *r,
    ngx_http_sprox_ctx_t *ctx, sprox_error_code_t *code,
    const char **message);
static ngx_int_t ngx_http_sprox_purge(ngx_http_request_t *r,
    ngx_http_sprox_ctx_t *ctx);
static ngx_int_t ngx_http_sprox_object(ngx_http_request_t *r,
    ngx_http_sprox_ctx_t *ctx);
static void ngx_http_sprox_access_key(ngx_http_request_t *r,
    ngx_http_sprox_ctx_t *ctx);
static void ngx_http_sprox_count(void *data);


ngx_int_t
ngx_http_sprox_handler(ngx_http_request_t *r)
{
    sprox_rc_t                   rc;
    const char                  *message;
    sprox_str_t                  target;
    sprox_error_code_t           code;
    ngx_http_sprox_ctx_t        *ctx;
    ngx_http_sprox_main_conf_t  *mcf;

    /* a body of a GET says nothing; that of a write is not wanted */

    if (ngx_http_discard_request_body(r) != NGX_OK) {
        return NGX_HTTP_BAD_REQUEST;
    }

    ctx = ngx_http_sprox_create_ctx(r);
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_http_sprox_presigned(r)) {
        ngx_http_sprox_hide_query(r);
    }

    mcf = ngx_http_get_module_main_conf(r, ngx_http_sprox_module);

    target = ngx_http_sprox_target(r, ctx);
    if (target.data == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    message = NULL;
    code = SPROX_ERR_INTERNAL_ERROR;

    rc = sprox_s3_parse(&ctx->mem, ngx_http_sprox_to_core(r->method_name),
                        target, ngx_http_sprox_vhost(r, mcf), &ctx->s3,
                        &code);

    if (rc != SPROX_OK
        || ngx_http_sprox_check(r, ctx, &code, &message) != NGX_OK)
    {
        return ngx_http_sprox_send_error(r, code, message);
    }

    ngx_http_sprox_access_key(r, ctx);

    switch (ctx->s3.op) {

    case SPROX_OP_PURGE:
        return ngx_http_sprox_purge(r, ctx);

    case SPROX_OP_GET_OBJECT:
    case SPROX_OP_HEAD_OBJECT:
        return ngx_http_sprox_object(r, ctx);

    default:
        return ngx_http_sprox_list_handler(r, ctx);
    }
}


static ngx_http_sprox_ctx_t *
ngx_http_sprox_create_ctx(ngx_http_request_t *r)
{
    ngx_http_cleanup_t    *cln;
    ngx_http_sprox_ctx_t  *ctx;

    ctx = ngx_pcalloc(r->pool, sizeof(ngx_http_sprox_ctx_t));
    cln = ngx_http_cleanup_add(r, 0);

    if (ctx == NULL || cln == NULL) {
        return NULL;
    }

    ctx->request = r;
    ngx_http_sprox_mem_pool(&ctx->mem, r->pool);

    (void) ngx_sprintf(ctx->request_id, "%08XD%08XD", (uint32_t) ngx_random(),
                       (uint32_t) ngx_random());

    cln->handler = ngx_http_sprox_count;
    cln->data = ctx;

    ngx_http_set_ctx(r, ctx, ngx_http_sprox_module);

    return ctx;
}


/*
 * A presigned query lets whoever reads it do what it signs, until it
 * expires.
 */

static ngx_uint_t
ngx_http_sprox_presigned(ngx_http_request_t *r)
{
    u_char  *last;

    last = r->args.data + r->args.len;

    return r->args.len != 0
           && (ngx_strlcasestrn(r->args.data, last, (u_char *) "signature",
                                sizeof("signature") - 2)
               != NULL
               || ngx_strlcasestrn(r->args.data, last,
                                   (u_char *) "security-token",
                                   sizeof("security-token") - 2)
                  != NULL);
}


void
ngx_http_sprox_hide_query(ngx_http_request_t *r)
{
    u_char     *p, *query;
    ngx_str_t   line;

    p = r->request_line.data;
    query = ngx_strlchr(p, p + r->request_line.len, '?');

    if (query == NULL) {
        return;
    }

    line.len = query - p;
    line.data = ngx_pnalloc(r->pool, line.len + 1 + r->http_protocol.len);

    if (line.data == NULL) {
        line.len = 0;

    } else if (r->http_protocol.len) {
        p = ngx_cpymem(line.data, p, line.len);
        *p++ = ' ';
        p = ngx_cpymem(p, r->http_protocol.data, r->http_protocol.len);
        line.len = p - line.data;

    } else {
        ngx_memcpy(line.data, p, line.len);
    }

    r->request_line = line;
}


/*
 * What a client asks for is in its own line, where nothing was decoded yet.
 * What nginx asks for (a rewrite, an internal redirect, a subrequest) is in
 * the URI alone.  NULL: memory.
 */

static sprox_str_t
ngx_http_sprox_target(ngx_http_request_t *r, ngx_http_sprox_ctx_t *ctx)
{
    sprox_buf_t  target;

    if (r->valid_unparsed_uri) {
        return ngx_http_sprox_to_core(r->unparsed_uri);
    }

    sprox_buf_init(&target, &ctx->mem);
    sprox_uri_encode(&target, ngx_http_sprox_to_core(r->uri), 1);

    if (r->args.len) {
        sprox_buf_char(&target, '?');
        sprox_buf_add(&target, r->args.data, r->args.len);
    }

    return sprox_buf_rc(&target) == SPROX_OK ? sprox_buf_get(&target)
                                             : sprox_str_null;
}


/* The bucket that the Host header names, or nothing: path style. */

static sprox_str_t
ngx_http_sprox_vhost(ngx_http_request_t *r, ngx_http_sprox_main_conf_t *mcf)
{
    ngx_str_t    *domain;
    ngx_uint_t    i;
    sprox_str_t   host, bucket;

    if (mcf->domains.nelts == 0 || r->headers_in.host == NULL) {
        return sprox_str_null;
    }

    /* as sent: nginx's own copy is in lower case, virtual buckets may not be */

    host = ngx_http_sprox_to_core(r->headers_in.host->value);
    domain = mcf->domains.elts;

    for (i = 0; i < mcf->domains.nelts; i++) {
        if (sprox_vhost_bucket(host, ngx_http_sprox_to_core(domain[i]),
                               &bucket)
            == SPROX_OK)
        {
            return bucket;
        }
    }

    return sprox_str_null;
}


/* What is wrong with a request beyond its line. */

static ngx_int_t
ngx_http_sprox_check(ngx_http_request_t *r, ngx_http_sprox_ctx_t *ctx,
    sprox_error_code_t *code, const char **message)
{
    size_t                    i;
    ngx_uint_t                n;
    const sprox_query_arg_t  *arg;

    /* values of response-* become headers */

    for (n = 0; n < ctx->s3.query.nargs; n++) {
        arg = &ctx->s3.query.args[n];

        if (!sprox_str_starts(arg->name, sprox_str_lit("response-"))) {
            continue;
        }

        for (i = 0; i < arg->value.len; i++) {
            if (arg->value.data[i] < 0x20 || arg->value.data[i] == 0x7f) {
                *code = SPROX_ERR_INVALID_ARGUMENT;
                *message = "A response-* value holds control characters";
                return NGX_ERROR;
            }
        }
    }

    return NGX_OK;
}


/* Of one object, of all below a prefix, or of a bucket. */

static ngx_int_t
ngx_http_sprox_purge(ngx_http_request_t *r, ngx_http_sprox_ctx_t *ctx)
{
    if (!ngx_http_sprox_purge_allowed(r)) {
        return ngx_http_sprox_send_error(r, SPROX_ERR_ACCESS_DENIED,
                                         "PURGE is not allowed from this "
                                         "address");
    }

    if (ctx->s3.key.len == 0 || ngx_http_sprox_ban_asked(r, ctx)) {
        return ngx_http_sprox_ban_handler(r, ctx);
    }

    return ngx_http_sprox_object(r, ctx);
}


/* Operations on one object: to its alias, policy and target. */

static ngx_int_t
ngx_http_sprox_object(ngx_http_request_t *r, ngx_http_sprox_ctx_t *ctx)
{
    sprox_buf_t                  bucket, key;
    ngx_http_sprox_loc_conf_t   *slcf;
    ngx_http_sprox_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_sprox_module);
    slcf = ngx_http_get_module_loc_conf(r, ngx_http_sprox_module);

    sprox_buf_init(&bucket, &ctx->mem);
    sprox_buf_init(&key, &ctx->mem);

    ctx->alias = ngx_http_sprox_alias_find(mcf, ctx->s3.bucket, ctx->s3.key,
                                           &bucket, &key);

    if (sprox_buf_rc(&bucket) != SPROX_OK || sprox_buf_rc(&key) != SPROX_OK) {
        return ngx_http_sprox_send_error(r, SPROX_ERR_INTERNAL_ERROR, NULL);
    }

    if (ctx->alias == NULL) {
        return ngx_http_sprox_send_error(r,
                   ngx_http_sprox_list_has_bucket(mcf, ctx->s3.bucket)
                   ? SPROX_ERR_NO_SUCH_KEY : SPROX_ERR_NO_SUCH_BUCKET, NULL);
    }

    ctx->bucket = sprox_buf_get(&bucket);
    ctx->key = sprox_buf_get(&key);

    if (!ctx->alias->origin->dialect->bucket_valid(ctx->bucket)) {
        return ngx_http_sprox_send_error(r, SPROX_ERR_NO_SUCH_BUCKET, NULL);
    }

    if (ctx->key.len > SPROX_KEY_MAX) {
        return ngx_http_sprox_send_error(r, SPROX_ERR_KEY_TOO_LONG, NULL);
    }

    /* what the alias does not show is not asked for, by whatever name */

    if (sprox_alias_leaves(&ctx->alias->map, ctx->key)) {
        return ngx_http_sprox_send_error(r, SPROX_ERR_INVALID_URI,
                              "The key leads out of its place by \"..\"");
    }

    ngx_http_sprox_policy(slcf, ctx->alias, ctx->s3.key, &ctx->policy);

    if (ctx->s3.op == SPROX_OP_PURGE) {
        return ngx_http_sprox_purge_handler(r, ctx);
    }

    return ngx_http_sprox_object_handler(r, ctx);
}


/* Who signed: for logs; the signature itself is not verified. */

static void
ngx_http_sprox_access_key(ngx_http_request_t *r, ngx_http_sprox_ctx_t *ctx)
{
    sprox_authz_t             authz;
    const sprox_query_arg_t  *arg;

    if (r->headers_in.authorization) {

        if (sprox_authz_parse(ngx_http_sprox_to_core(
                                  r->headers_in.authorization->value),
                              &authz)
            == SPROX_OK)
        {
            ctx->access_key = ngx_http_sprox_to_ngx(authz.access_key);
        }

        return;
    }

    arg = sprox_query_get(&ctx->s3.query, sprox_str_lit("X-Amz-Credential"));

    if (arg && sprox_authz_credential(arg->value, &authz) == SPROX_OK) {
        ctx->access_key = ngx_http_sprox_to_ngx(authz.access_key);
    }
}


/* At the end of the request. */

static void
ngx_http_sprox_count(void *data)
{
    ngx_uint_t             status;
    ngx_http_request_t    *r;
    ngx_http_sprox_ctx_t  *ctx;

    ctx = data;
    r = ctx->request;

    status = r->err_status ? r->err_status : r->headers_out.status;

    if (!r->header_sent) {
        status = NGX_HTTP_CLIENT_CLOSED_REQUEST;
    }

    ngx_http_sprox_count_request(ctx->alias, ctx->s3.op, status);

    if (ctx->bytes_hit || ctx->bytes_fill) {
        ngx_http_sprox_count_bytes(ctx->alias, ctx->bytes_hit,
                                   ctx->bytes_fill);
    }
}
