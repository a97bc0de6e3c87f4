
/*
 * HeadBucket and GetBucketLocation.
 *
 * That a bucket is there is kept in the catalog under the empty key, which
 * no object has: so it is renewed and forgotten as objects are.
 */

#include "ngx_http_sprox_bucket.h"
#include "ngx_http_sprox_conf.h"
#include "ngx_http_sprox_error.h"
#include "ngx_http_sprox_fetch.h"
#include "ngx_http_sprox_zone.h"


typedef struct {
    ngx_http_request_t      *request;
    ngx_http_sprox_ctx_t    *ctx;
    ngx_http_sprox_fetch_t  *fetch;
} ngx_http_sprox_bucket_t;


static ngx_int_t ngx_http_sprox_bucket_alias(ngx_http_request_t *r,
    ngx_http_sprox_ctx_t *ctx);
static sprox_str_t ngx_http_sprox_bucket_region(ngx_http_sprox_ctx_t *ctx);
static ngx_int_t ngx_http_sprox_bucket_head(ngx_http_request_t *r,
    ngx_http_sprox_ctx_t *ctx);
static ngx_int_t ngx_http_sprox_bucket_known(ngx_http_sprox_ctx_t *ctx);
static ngx_int_t ngx_http_sprox_bucket_found(ngx_http_request_t *r,
    ngx_http_sprox_ctx_t *ctx);
static ngx_int_t ngx_http_sprox_bucket_header(ngx_http_sprox_fetch_t *f);
static ngx_int_t ngx_http_sprox_bucket_body(ngx_http_sprox_fetch_t *f,
    u_char *p, size_t n);
static void ngx_http_sprox_bucket_done(ngx_http_sprox_fetch_t *f,
    ngx_int_t rc);
static void ngx_http_sprox_bucket_cleanup(void *data);


static const ngx_http_sprox_fetch_handler_t  ngx_http_sprox_bucket_fetch = {
    ngx_http_sprox_bucket_header,
    ngx_http_sprox_bucket_body,
    ngx_http_sprox_bucket_done
};


ngx_int_t
ngx_http_sprox_bucket_handler(ngx_http_request_t *r,
    ngx_http_sprox_ctx_t *ctx)
{
    sprox_buf_t  out;

    if (ngx_http_sprox_bucket_alias(r, ctx) != NGX_OK) {
        return ngx_http_sprox_send_error(r, SPROX_ERR_NO_SUCH_BUCKET, NULL);
    }

    if (ctx->s3.op == SPROX_OP_HEAD_BUCKET) {
        return ngx_http_sprox_bucket_head(r, ctx);
    }

    sprox_buf_init(&out, &ctx->mem);
    sprox_location_write(&out, ngx_http_sprox_bucket_region(ctx));

    if (sprox_buf_rc(&out) != SPROX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_sprox_send_body(r, NGX_HTTP_OK, "application/xml",
                                    sprox_buf_get(&out));
}


/*
 * The least specific alias stands for the whole virtual bucket; but one
 * that takes buckets by a variable only where no alias names the bucket.
 */

static ngx_int_t
ngx_http_sprox_bucket_alias(ngx_http_request_t *r, ngx_http_sprox_ctx_t *ctx)
{
    ngx_uint_t                    i;
    sprox_rc_t                    rc;
    ngx_uint_t                    named;
    sprox_alias_list_t            list;
    ngx_http_sprox_alias_t      **aliases;
    ngx_http_sprox_loc_conf_t    *slcf;
    ngx_http_sprox_main_conf_t   *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_sprox_module);
    slcf = ngx_http_get_module_loc_conf(r, ngx_http_sprox_module);
    aliases = mcf->aliases.elts;

    named = 0;

    for (i = 0; i < mcf->aliases.nelts; i++) {
        if (aliases[i]->map.bucket_vars == 0
            && sprox_alias_has_bucket(&aliases[i]->map, ctx->s3.bucket))
        {
            named = 1;
        }
    }

    for (i = mcf->aliases.nelts; i > 0; i--) {

        if (!sprox_alias_has_bucket(&aliases[i - 1]->map, ctx->s3.bucket)
            || (named && aliases[i - 1]->map.bucket_vars != 0))
        {
            continue;
        }

        sprox_buf_init(&list.bucket, &ctx->mem);
        sprox_buf_init(&list.prefix, &ctx->mem);
        sprox_buf_init(&list.after, &ctx->mem);

        rc = sprox_alias_list(&aliases[i - 1]->map, ctx->s3.bucket,
                              sprox_str_null, sprox_str_null, sprox_str_null,
                              &list);

        if (rc != SPROX_OK
            || !aliases[i - 1]->origin->dialect->bucket_valid(
                                              sprox_buf_get(&list.bucket)))
        {
            continue;
        }

        ctx->alias = aliases[i - 1];
        ctx->bucket = sprox_buf_get(&list.bucket);
        ngx_http_sprox_policy(slcf, ctx->alias, sprox_str_null, &ctx->policy);

        return NGX_OK;
    }

    return NGX_DECLINED;
}


static sprox_str_t
ngx_http_sprox_bucket_region(ngx_http_sprox_ctx_t *ctx)
{
    return ctx->alias->origin->addr.region;
}


static ngx_int_t
ngx_http_sprox_bucket_head(ngx_http_request_t *r, ngx_http_sprox_ctx_t *ctx)
{
    ngx_int_t                 rc;
    ngx_pool_cleanup_t       *cln;
    ngx_http_sprox_fetch_t   *f;
    ngx_http_sprox_bucket_t  *b;

    rc = ngx_http_sprox_bucket_known(ctx);

    if (rc == NGX_OK) {
        ctx->cache_status = "HIT";
        return ngx_http_sprox_bucket_found(r, ctx);
    }

    if (rc == NGX_DONE) {
        ctx->cache_status = "HIT";
        return ngx_http_sprox_send_error(r, SPROX_ERR_NO_SUCH_BUCKET, NULL);
    }

    ctx->cache_status = "MISS";

    b = ngx_pcalloc(r->pool, sizeof(ngx_http_sprox_bucket_t));
    cln = ngx_pool_cleanup_add(r->pool, 0);

    if (b == NULL || cln == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    f = ngx_http_sprox_fetch_create(ctx->alias->origin, ngx_cycle->log);
    if (f == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    b->request = r;
    b->ctx = ctx;
    b->fetch = f;

    cln->handler = ngx_http_sprox_bucket_cleanup;
    cln->data = b;

    f->handler = &ngx_http_sprox_bucket_fetch;
    f->data = b;
    f->req.op = SPROX_OP_HEAD_BUCKET;
    f->req.bucket = ctx->bucket;

    r->main->count++;
    r->read_event_handler = ngx_http_test_reading;

    ngx_http_sprox_fetch_start(f);

    return NGX_DONE;
}


/* NGX_OK: it is there; NGX_DONE: it is not; NGX_DECLINED: not known. */

static ngx_int_t
ngx_http_sprox_bucket_known(ngx_http_sprox_ctx_t *ctx)
{
    time_t          valid;
    int64_t         age;
    sprox_object_t  object;
    static uint8_t  buf[SPROX_OBJECT_BUF];

    if (ngx_http_sprox_zone_get(ctx->alias->origin, ctx->bucket,
                                sprox_str_null, &object, buf)
        != SPROX_OK)
    {
        return NGX_DECLINED;
    }

    valid = object.absent ? ctx->policy.valid_missing : ctx->policy.valid;
    age = sprox_age(object.proved, ngx_http_sprox_now());

    if (valid != NGX_HTTP_SPROX_VALID_IMMUTABLE
        && (valid == 0 || age > (int64_t) valid * 1000))
    {
        return NGX_DECLINED;
    }

    return object.absent ? NGX_DONE : NGX_OK;
}


static ngx_int_t
ngx_http_sprox_bucket_found(ngx_http_request_t *r, ngx_http_sprox_ctx_t *ctx)
{
    ngx_str_t  name;

    ngx_str_set(&name, "x-amz-bucket-region");

    if (ngx_http_sprox_add_header(r, name,
                    ngx_http_sprox_to_ngx(ngx_http_sprox_bucket_region(ctx)))
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_sprox_send_body(r, NGX_HTTP_OK, "application/xml",
                                    sprox_str_null);
}


static ngx_int_t
ngx_http_sprox_bucket_header(ngx_http_sprox_fetch_t *f)
{
    return NGX_OK;
}


static ngx_int_t
ngx_http_sprox_bucket_body(ngx_http_sprox_fetch_t *f, u_char *p, size_t n)
{
    return NGX_OK;
}


static void
ngx_http_sprox_bucket_done(ngx_http_sprox_fetch_t *f, ngx_int_t rc)
{
    sprox_object_t            object;
    ngx_connection_t         *c;
    ngx_http_request_t       *r;
    ngx_http_sprox_ctx_t     *ctx;
    ngx_http_sprox_bucket_t  *b;

    b = f->data;
    b->fetch = NULL;

    r = b->request;
    c = r->connection;
    ctx = b->ctx;

    ngx_http_set_log_request(c->log, r);

    if (rc == NGX_ERROR) {
        rc = ngx_http_sprox_send_error(r, f->failure, NULL);
        goto done;
    }

    ngx_memzero(&object, sizeof(sprox_object_t));
    object.proved = f->sent;
    object.headed = 1;

    if (rc == NGX_OK) {
        (void) ngx_http_sprox_zone_put(ctx->alias->origin, ctx->bucket,
                                       sprox_str_null, &object);
        rc = ngx_http_sprox_bucket_found(r, ctx);

    } else if (f->resp.status == 404) {
        object.absent = 1;
        (void) ngx_http_sprox_zone_put(ctx->alias->origin, ctx->bucket,
                                       sprox_str_null, &object);
        rc = ngx_http_sprox_send_error(r, SPROX_ERR_NO_SUCH_BUCKET, NULL);

    } else {
        rc = ngx_http_sprox_send_origin_error(r, f->resp.status, &f->error);
    }

done:

    ngx_http_finalize_request(r, rc);
    ngx_http_run_posted_requests(c);
}


static void
ngx_http_sprox_bucket_cleanup(void *data)
{
    ngx_http_sprox_bucket_t *b = data;

    ngx_http_sprox_fetch_t  *f;

    f = b->fetch;

    if (f) {
        b->fetch = NULL;
        ngx_http_sprox_fetch_cancel(f);
    }
}
