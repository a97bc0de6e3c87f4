
/*
 * PURGE of a prefix or of a bucket.
 *
 * What is named is the clients' bucket and prefix; what is banned are the
 * names of origins that aliases make of them.  A template may make of a
 * prefix something wider: then more is forgotten than was asked for, which
 * costs a fetch, and never less.
 */

#include "ngx_http_sprox_ban.h"
#include "ngx_http_sprox_conf.h"
#include "ngx_http_sprox_crawl.h"
#include "ngx_http_sprox_error.h"
#include "ngx_http_sprox_list.h"
#include "ngx_http_sprox_steps.h"
#include "ngx_http_sprox_zone.h"


/* Beyond the time that an origin has for an answer, in ms. */
#define NGX_HTTP_SPROX_BAN_MARGIN   10000


typedef struct {
    ngx_http_request_t    *request;
    ngx_http_sprox_ctx_t  *ctx;
    sprox_str_t            prefix;      /* the clients' */
    int64_t                time;
    sprox_buf_t            body;
    ngx_uint_t             n;           /* of jobs */
    ngx_uint_t             i;           /* the next alias */
} ngx_http_sprox_ban_t;


static ngx_int_t ngx_http_sprox_ban_step(ngx_http_request_t *r, void *data);
static ngx_int_t ngx_http_sprox_ban_alias(ngx_http_sprox_ban_t *b,
    ngx_http_sprox_alias_t *alias);
static ngx_int_t ngx_http_sprox_ban_place(ngx_http_sprox_ban_t *b,
    ngx_http_sprox_alias_t *alias, sprox_str_t *bucket, sprox_str_t *prefix);
static ngx_int_t ngx_http_sprox_ban_add(ngx_http_sprox_ban_t *b,
    ngx_http_sprox_alias_t *alias, sprox_str_t bucket, sprox_str_t prefix);
static void ngx_http_sprox_ban_look(ngx_http_sprox_origin_t *origin,
    sprox_str_t bucket, sprox_str_t prefix, uint64_t id, int64_t time);


ngx_uint_t
ngx_http_sprox_ban_asked(ngx_http_request_t *r, ngx_http_sprox_ctx_t *ctx)
{
    u_char     *query;
    ngx_str_t   path;

    if (!sprox_str_ends(ctx->s3.key, sprox_str_lit("*"))
        || !r->valid_unparsed_uri)
    {
        return 0;
    }

    path = r->unparsed_uri;
    query = ngx_strlchr(path.data, path.data + path.len, '?');

    if (query) {
        path.len = query - path.data;
    }

    return path.len && path.data[path.len - 1] == '*';
}


ngx_int_t
ngx_http_sprox_ban_handler(ngx_http_request_t *r, ngx_http_sprox_ctx_t *ctx)
{
    ngx_http_sprox_ban_t        *b;
    ngx_http_sprox_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_sprox_module);

    if (!ngx_http_sprox_list_has_bucket(mcf, ctx->s3.bucket)) {
        return ngx_http_sprox_send_error(r, SPROX_ERR_NO_SUCH_BUCKET, NULL);
    }

    b = ngx_pcalloc(r->pool, sizeof(ngx_http_sprox_ban_t));
    if (b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    b->request = r;
    b->ctx = ctx;
    b->prefix = ctx->s3.key;

    if (b->prefix.len) {
        b->prefix.len--;
    }

    /*
     * What was asked for in this very millisecond is older, too, and what
     * another worker asked for since this turn of the event loop began.
     */

    b->time = ngx_http_sprox_now_exact() + 1;

    sprox_buf_init(&b->body, &ctx->mem);
    sprox_buf_text(&b->body, "{\"jobs\": [");

    /* who purges and leaves wants it purged all the same */

    r->read_event_handler = ngx_http_block_reading;

    return ngx_http_sprox_steps(r, ngx_http_sprox_ban_step, b, b->time - 1);
}


/* One alias: a ban takes its time where there are many, and so does a job. */

static ngx_int_t
ngx_http_sprox_ban_step(ngx_http_request_t *r, void *data)
{
    ngx_http_sprox_ban_t *b = data;

    ngx_int_t                     rc;
    ngx_http_sprox_alias_t      **aliases, *alias;
    ngx_http_sprox_main_conf_t   *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_sprox_module);

    if (b->i < mcf->aliases.nelts) {
        aliases = mcf->aliases.elts;
        alias = aliases[b->i++];

        if (!sprox_alias_has_bucket(&alias->map, b->ctx->s3.bucket)) {
            return NGX_AGAIN;
        }

        rc = ngx_http_sprox_ban_alias(b, alias);

        if (rc == NGX_ABORT) {
            return ngx_http_sprox_send_error(r, SPROX_ERR_NOT_IMPLEMENTED,
                       "An alias of this bucket cannot be listed: purge its "
                       "objects by name");
        }

        return rc == NGX_OK ? NGX_AGAIN
                            : ngx_http_sprox_send_error(r,
                                             SPROX_ERR_INTERNAL_ERROR, NULL);
    }

    sprox_buf_text(&b->body, "]}" CRLF);

    if (sprox_buf_rc(&b->body) != SPROX_OK) {
        return ngx_http_sprox_send_error(r, SPROX_ERR_INTERNAL_ERROR, NULL);
    }

    return ngx_http_sprox_send_body(r, NGX_HTTP_OK, "application/json",
                                    sprox_buf_get(&b->body));
}


static ngx_int_t
ngx_http_sprox_ban_alias(ngx_http_sprox_ban_t *b,
    ngx_http_sprox_alias_t *alias)
{
    ngx_int_t    rc;
    sprox_str_t  bucket, prefix;

    rc = ngx_http_sprox_ban_place(b, alias, &bucket, &prefix);

    if (rc != NGX_OK) {
        return rc == NGX_DECLINED ? NGX_OK : rc;
    }

    /* neither has a key that could be known */

    if (!alias->origin->dialect->bucket_valid(bucket)
        || prefix.len > SPROX_KEY_MAX)
    {
        return NGX_OK;
    }

    if (b->ctx->alias == NULL) {
        b->ctx->alias = alias;
    }

    return ngx_http_sprox_ban_add(b, alias, bucket, prefix);
}


/*
 * The origin's bucket and prefix.  NGX_DECLINED: the alias has nothing there;
 * NGX_ABORT: it may be in any bucket.
 */

static ngx_int_t
ngx_http_sprox_ban_place(ngx_http_sprox_ban_t *b,
    ngx_http_sprox_alias_t *alias, sprox_str_t *bucket, sprox_str_t *prefix)
{
    sprox_rc_t          rc;
    sprox_alias_list_t  ask;

    sprox_buf_init(&ask.bucket, &b->ctx->mem);
    sprox_buf_init(&ask.prefix, &b->ctx->mem);
    sprox_buf_init(&ask.after, &b->ctx->mem);

    rc = sprox_alias_list(&alias->map, b->ctx->s3.bucket, b->prefix,
                          sprox_str_null, sprox_str_null, &ask);

    if (rc == SPROX_NOT_FOUND) {
        return NGX_DECLINED;
    }

    if (rc == SPROX_OK) {
        *bucket = sprox_buf_get(&ask.bucket);
        *prefix = sprox_buf_get(&ask.prefix);
        return NGX_OK;
    }

    if (rc != SPROX_INVALID) {
        return NGX_ERROR;
    }

    /* it cannot be listed: all that its target may mean */

    if (ngx_http_sprox_region_bucket(alias, bucket) == NGX_OK
        && ngx_http_sprox_region(alias, *bucket, prefix) == NGX_OK)
    {
        return NGX_OK;
    }

    return NGX_ABORT;
}


static ngx_int_t
ngx_http_sprox_ban_add(ngx_http_sprox_ban_t *b,
    ngx_http_sprox_alias_t *alias, sprox_str_t bucket, sprox_str_t prefix)
{
    uint64_t                     id;
    ngx_http_sprox_job_spec_t    spec;
    ngx_http_sprox_job_info_t   *info;

    if (ngx_http_sprox_zone_ban(alias->origin, bucket, prefix, b->time, &id)
        != SPROX_OK)
    {
        return NGX_ERROR;
    }

    info = ngx_palloc(b->request->pool, sizeof(ngx_http_sprox_job_info_t));
    if (info == NULL) {
        return NGX_ERROR;
    }

    spec.kind = NGX_HTTP_SPROX_JOB_PURGE;
    spec.alias = alias;
    spec.origin = alias->origin;
    spec.bucket = bucket;
    spec.prefix = prefix;

    info->id = 0;

    /* too many jobs: the ban holds, and its deletion is queued later */

    (void) ngx_http_sprox_job_add(&spec, 0, info);

    if (info->id) {
        sprox_buf_text(&b->body, b->n++ ? ", " : "");
        sprox_buf_u64(&b->body, info->id);
    }

    return NGX_OK;
}


void
ngx_http_sprox_ban_resume(ngx_http_sprox_main_conf_t *mcf)
{
    ngx_http_sprox_zone_bans(mcf, ngx_http_sprox_ban_look);
}


/*
 * A ban is lifted when all behind it is deleted and no answer can be on its
 * way that was asked for before it: such a one would be believed again.
 */

static void
ngx_http_sprox_ban_look(ngx_http_sprox_origin_t *origin, sprox_str_t bucket,
    sprox_str_t prefix, uint64_t id, int64_t time)
{
    int64_t                     late;
    ngx_http_sprox_job_info_t   info;
    ngx_http_sprox_job_spec_t   spec;

    spec.kind = NGX_HTTP_SPROX_JOB_PURGE;
    spec.alias = NULL;
    spec.origin = origin;
    spec.bucket = bucket;
    spec.prefix = prefix;

    if (ngx_http_sprox_job_last(&spec, &info) != NGX_OK
        || info.state != NGX_HTTP_SPROX_JOB_DONE || info.ended <= time)
    {
        (void) ngx_http_sprox_job_add(&spec, 1, NULL);
        return;
    }

    late = time + (int64_t) (origin->connect_timeout + origin->read_timeout)
           + NGX_HTTP_SPROX_BAN_MARGIN;

    if (ngx_http_sprox_now() > late) {
        (void) ngx_http_sprox_zone_unban(id);
    }
}
