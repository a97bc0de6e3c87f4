
/*
 * Listings and what else is asked of buckets.
 *
 * A virtual bucket may be made of several aliases: each is a stream of
 * names in byte order, and a page is their ordered merge, as far as every
 * stream is known:
 *
 *   alias data          a  b  raw/..hidden..  |  z     <- more
 *   alias data/raw         raw/1  raw/2                <- at its end
 *   page                a  b  raw/1  raw/2    |
 *
 * A stream that has more than it showed ends the page: it may be shorter
 * than max-keys, as S3 allows.  The next page starts after its last line
 * (the token says so), whichever aliases, templates or origins are behind.
 */

#include "ngx_http_sprox_list_private.h"
#include "ngx_http_sprox_bucket.h"


static ngx_int_t ngx_http_sprox_list_objects(ngx_http_request_t *r,
    ngx_http_sprox_ctx_t *ctx);
static ngx_int_t ngx_http_sprox_list_streams(ngx_http_sprox_listing_t *l,
    sprox_error_code_t *code, const char **message);
static ngx_int_t ngx_http_sprox_list_stream(ngx_http_sprox_listing_t *l,
    ngx_http_sprox_alias_t *alias, ngx_uint_t *off);
static ngx_uint_t ngx_http_sprox_list_covers(ngx_http_sprox_listing_t *l,
    ngx_http_sprox_alias_t *alias);
static ngx_int_t ngx_http_sprox_list_buckets(ngx_http_request_t *r,
    ngx_http_sprox_ctx_t *ctx);
static ngx_http_sprox_listing_t *ngx_http_sprox_listing_create(
    ngx_http_request_t *r, ngx_http_sprox_ctx_t *ctx);
static ngx_int_t ngx_http_sprox_listing_start(ngx_http_sprox_listing_t *l);
static void ngx_http_sprox_listing_go(ngx_http_sprox_listing_t *l);
static void ngx_http_sprox_listing_finalize(ngx_http_sprox_listing_t *l,
    ngx_int_t rc);
static void ngx_http_sprox_listing_cleanup(void *data);
static void ngx_http_sprox_listing_merge(ngx_http_sprox_listing_t *l);
static ngx_http_sprox_stream_t *ngx_http_sprox_listing_least(
    ngx_http_sprox_listing_t *l);
static void ngx_http_sprox_listing_buckets(ngx_http_sprox_listing_t *l);
static int ngx_libc_cdecl ngx_http_sprox_bucket_cmp(const void *one,
    const void *two);


ngx_int_t
ngx_http_sprox_list_handler(ngx_http_request_t *r, ngx_http_sprox_ctx_t *ctx)
{
    ngx_http_sprox_main_conf_t  *mcf;

    if (ctx->s3.op == SPROX_OP_LIST_BUCKETS) {
        return ngx_http_sprox_list_buckets(r, ctx);
    }

    mcf = ngx_http_get_module_main_conf(r, ngx_http_sprox_module);

    if (!ngx_http_sprox_list_has_bucket(mcf, ctx->s3.bucket)) {
        return ngx_http_sprox_send_error(r, SPROX_ERR_NO_SUCH_BUCKET, NULL);
    }

    if (ctx->s3.op == SPROX_OP_HEAD_BUCKET
        || ctx->s3.op == SPROX_OP_GET_BUCKET_LOCATION)
    {
        return ngx_http_sprox_bucket_handler(r, ctx);
    }

    return ngx_http_sprox_list_objects(r, ctx);
}


ngx_uint_t
ngx_http_sprox_list_has_bucket(ngx_http_sprox_main_conf_t *mcf,
    sprox_str_t bucket)
{
    ngx_uint_t                i;
    ngx_http_sprox_alias_t  **aliases;

    aliases = mcf->aliases.elts;

    for (i = 0; i < mcf->aliases.nelts; i++) {
        if (sprox_alias_has_bucket(&aliases[i]->map, bucket)) {
            return 1;
        }
    }

    return 0;
}


static ngx_http_sprox_listing_t *
ngx_http_sprox_listing_create(ngx_http_request_t *r,
    ngx_http_sprox_ctx_t *ctx)
{
    ngx_pool_cleanup_t        *cln;
    ngx_http_sprox_listing_t  *l;

    l = ngx_pcalloc(r->pool, sizeof(ngx_http_sprox_listing_t));
    cln = ngx_pool_cleanup_add(r->pool, 0);

    if (l == NULL || cln == NULL) {
        return NULL;
    }

    l->request = r;
    l->arrived = ngx_http_sprox_now_exact();
    l->seq = ngx_http_sprox_flight_seq();
    l->ctx = ctx;
    l->mcf = ngx_http_get_module_main_conf(r, ngx_http_sprox_module);

    l->streams = ngx_pcalloc(r->pool, l->mcf->aliases.nelts
                                      * sizeof(ngx_http_sprox_stream_t));
    if (l->streams == NULL) {
        return NULL;
    }

    cln->handler = ngx_http_sprox_listing_cleanup;
    cln->data = l;

    return l;
}


static ngx_int_t
ngx_http_sprox_list_objects(ngx_http_request_t *r, ngx_http_sprox_ctx_t *ctx)
{
    sprox_rc_t                 rc;
    const char                *message;
    sprox_error_code_t         code;
    ngx_http_sprox_listing_t  *l;

    l = ngx_http_sprox_listing_create(r, ctx);
    if (l == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    message = NULL;
    code = SPROX_ERR_INTERNAL_ERROR;

    rc = sprox_list_req_parse(&ctx->mem, &ctx->s3.query,
                              ctx->s3.op == SPROX_OP_LIST_OBJECTS ? 1 : 2,
                              &l->req, &code, &message);

    if (rc != SPROX_OK
        || ngx_http_sprox_list_streams(l, &code, &message) != NGX_OK)
    {
        return ngx_http_sprox_send_error(r, code, message);
    }

    return ngx_http_sprox_listing_start(l);
}


/* A stream for each alias that may have something to show. */

static ngx_int_t
ngx_http_sprox_list_streams(ngx_http_sprox_listing_t *l,
    sprox_error_code_t *code, const char **message)
{
    ngx_uint_t                i, off;
    ngx_http_sprox_ctx_t     *ctx;
    ngx_http_sprox_alias_t  **aliases;

    ctx = l->ctx;
    aliases = l->mcf->aliases.elts;
    off = 0;

    for (i = 0; i < l->mcf->aliases.nelts; i++) {

        if (!sprox_alias_has_bucket(&aliases[i]->map, ctx->s3.bucket)) {
            continue;
        }

        if (aliases[i]->map.bucket_vars == 0) {
            l->named = 1;
        }

        if (ngx_http_sprox_list_stream(l, aliases[i], &off) != NGX_OK) {
            *code = SPROX_ERR_INTERNAL_ERROR;
            return NGX_ERROR;
        }

        if (ngx_http_sprox_list_covers(l, aliases[i])) {
            break;
        }
    }

    if (ctx->alias == NULL && off) {
        *code = SPROX_ERR_ACCESS_DENIED;
        *message = "Listing is off for this bucket";
        return NGX_ERROR;
    }

    if (l->nowhere && l->nstreams == 0 && !l->named) {
        *code = SPROX_ERR_NO_SUCH_BUCKET;
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_sprox_list_stream(ngx_http_sprox_listing_t *l,
    ngx_http_sprox_alias_t *alias, ngx_uint_t *off)
{
    sprox_rc_t                  rc;
    ngx_http_sprox_ctx_t       *ctx;
    ngx_http_sprox_stream_t    *s;
    ngx_http_sprox_loc_conf_t  *slcf;

    ctx = l->ctx;
    slcf = ngx_http_get_module_loc_conf(l->request, ngx_http_sprox_module);

    s = &l->streams[l->nstreams];

    s->listing = l;
    s->alias = alias;
    ngx_http_sprox_policy(slcf, alias, sprox_str_null, &s->policy);

    if (s->policy.list == NGX_HTTP_SPROX_LIST_OFF) {
        (*off)++;
        return NGX_OK;
    }

    if (ctx->alias == NULL) {
        ctx->alias = alias;
    }

    sprox_buf_init(&s->ask.bucket, &ctx->mem);
    sprox_buf_init(&s->ask.prefix, &ctx->mem);
    sprox_buf_init(&s->ask.after, &ctx->mem);

    rc = sprox_alias_list(&alias->map, ctx->s3.bucket, l->req.prefix,
                          l->req.delimiter, l->req.after, &s->ask);

    if (rc == SPROX_NOT_FOUND || rc == SPROX_INVALID) {
        return NGX_OK;
    }

    if (rc != SPROX_OK) {
        return NGX_ERROR;
    }

    if (!alias->origin->dialect->bucket_valid(sprox_buf_get(&s->ask.bucket))) {
        l->nowhere = 1;
        return NGX_OK;
    }

    /* no key is that long: nothing there, or nothing after it */

    if (s->ask.prefix.len > SPROX_KEY_MAX) {
        return NGX_OK;
    }

    if (s->ask.after.len > SPROX_KEY_MAX) {
        s->ask.after.len = SPROX_KEY_MAX;
    }

    l->nstreams++;

    return NGX_OK;
}


/*
 * Whether all names that the listing may show lead to this alias or to a
 * more specific one: those behind it need not be asked.
 */

static ngx_uint_t
ngx_http_sprox_list_covers(ngx_http_sprox_listing_t *l,
    ngx_http_sprox_alias_t *alias)
{
    sprox_rc_t   rc;
    sprox_buf_t  bucket, key;

    if (alias->map.prefix.n == 0) {
        return 1;
    }

    sprox_buf_init(&bucket, &l->ctx->mem);
    sprox_buf_init(&key, &l->ctx->mem);

    rc = sprox_alias_map(&alias->map, l->ctx->s3.bucket, l->req.prefix,
                         &bucket, &key);

    sprox_buf_free(&bucket);
    sprox_buf_free(&key);

    return rc == SPROX_OK;
}


static ngx_int_t
ngx_http_sprox_listing_start(ngx_http_sprox_listing_t *l)
{
    ngx_http_request_t  *r;

    r = l->request;

    r->main->count++;
    r->read_event_handler = ngx_http_test_reading;

    if (!l->buckets && l->req.max_keys == 0) {
        l->nstreams = 0;
    }

    l->waiting = l->nstreams;

    ngx_http_sprox_listing_go(l);

    return NGX_DONE;
}


/* Asks the streams one after the other; their fetches run together. */

static void
ngx_http_sprox_listing_go(ngx_http_sprox_listing_t *l)
{
    ngx_uint_t                i;
    ngx_http_sprox_stream_t  *s;

    for (i = 0; i < l->nstreams; i++) {

        s = &l->streams[i];

        switch (ngx_http_sprox_stream_ask(s)) {

        case NGX_OK:
            l->waiting--;
            break;

        case NGX_AGAIN:
            break;

        default:
            ngx_http_sprox_listing_failed(s, NULL, NGX_ERROR,
                                          SPROX_ERR_BAD_GATEWAY);
            return;
        }
    }

    if (l->waiting == 0) {
        ngx_http_sprox_listing_merge(l);
    }
}


void
ngx_http_sprox_listing_ready(ngx_http_sprox_stream_t *s)
{
    ngx_http_sprox_listing_t  *l;

    l = s->listing;
    l->waiting--;

    if (l->waiting == 0) {
        ngx_http_sprox_listing_merge(l);
    }
}


void
ngx_http_sprox_listing_failed(ngx_http_sprox_stream_t *s,
    ngx_http_sprox_fetch_t *f, ngx_int_t rc, sprox_error_code_t code)
{
    ngx_http_request_t        *r;
    ngx_http_sprox_listing_t  *l;

    l = s->listing;
    r = l->request;

    l->ctx->alias = s->alias;

    /* nothing half-written is left when the client hears of it */

    ngx_http_sprox_listing_cleanup(l);

    if (f == NULL) {
        rc = ngx_http_sprox_send_error(r, code, NULL);

    } else if (rc == NGX_DECLINED) {
        rc = ngx_http_sprox_send_origin_error(r, f->resp.status, &f->error);

    } else {
        rc = ngx_http_sprox_send_error(r, f->failure, NULL);
    }

    ngx_http_sprox_listing_finalize(l, rc);
}


static void
ngx_http_sprox_listing_finalize(ngx_http_sprox_listing_t *l, ngx_int_t rc)
{
    ngx_http_request_t  *r;

    r = l->request;

    l->ctx->cache_status = l->asked ? "MISS" : "HIT";

    ngx_http_sprox_listing_cleanup(l);
    ngx_http_finalize_request(r, rc);
}


static void
ngx_http_sprox_listing_cleanup(void *data)
{
    ngx_http_sprox_listing_t *l = data;

    ngx_uint_t  i;

    for (i = 0; i < l->nstreams; i++) {
        ngx_http_sprox_stream_drop(&l->streams[i]);
    }
}


/* All streams are ready: a page out of what they have. */

static void
ngx_http_sprox_listing_merge(ngx_http_sprox_listing_t *l)
{
    size_t                    n;
    sprox_buf_t               out;
    sprox_str_t               next;
    ngx_uint_t                i, truncated;
    sprox_list_item_t        *items, *item;
    ngx_http_sprox_stream_t  *s;

    if (l->buckets) {
        ngx_http_sprox_listing_buckets(l);
        return;
    }

    n = 0;
    items = ngx_palloc(l->request->pool,
                       (l->req.max_keys + 1) * sizeof(sprox_list_item_t));

    if (items == NULL) {
        ngx_http_sprox_listing_finalize(l, NGX_HTTP_INTERNAL_SERVER_ERROR);
        return;
    }

    while (n < l->req.max_keys) {

        s = ngx_http_sprox_listing_least(l);

        if (s == NULL) {
            break;
        }

        item = &s->items[s->next++];

        /* several aliases below one common prefix */

        if (n == 0 || !sprox_str_eq(items[n - 1].key, item->key)) {
            items[n++] = *item;
        }
    }

    truncated = 0;

    for (i = 0; i < l->nstreams; i++) {
        s = &l->streams[i];

        while (n && s->next < s->nitems
               && sprox_str_eq(s->items[s->next].key, items[n - 1].key))
        {
            s->next++;
        }

        if (s->more || s->next < s->nitems) {
            truncated = 1;
        }
    }

    if (l->req.max_keys == 0) {
        truncated = 0;
    }

    next = truncated && n ? items[n - 1].key : sprox_str_null;

    sprox_buf_init(&out, &l->ctx->mem);
    sprox_list_write(&out, l->ctx->s3.bucket, &l->req, items, n, truncated,
                     next);

    if (sprox_buf_rc(&out) != SPROX_OK) {
        ngx_http_sprox_listing_finalize(l, NGX_HTTP_INTERNAL_SERVER_ERROR);
        return;
    }

    ngx_http_sprox_listing_finalize(l,
                  ngx_http_sprox_send_body(l->request, NGX_HTTP_OK,
                                           "application/xml",
                                           sprox_buf_get(&out)));
}


/*
 * The stream whose next line is the least; NULL when there is none, or one
 * that has more to show than is known stands at its end.
 */

static ngx_http_sprox_stream_t *
ngx_http_sprox_listing_least(ngx_http_sprox_listing_t *l)
{
    ngx_uint_t                i;
    ngx_http_sprox_stream_t  *s, *least;

    least = NULL;

    for (i = 0; i < l->nstreams; i++) {
        s = &l->streams[i];

        if (s->next == s->nitems) {

            if (s->more) {
                return NULL;
            }

            continue;
        }

        if (least == NULL
            || sprox_str_cmp(s->items[s->next].key,
                             least->items[least->next].key)
               < 0)
        {
            least = s;
        }
    }

    return least;
}


/*
 * ListBuckets: the buckets that aliases name, and those of the origins
 * whose buckets an alias takes over by a variable.
 */

static ngx_int_t
ngx_http_sprox_list_buckets(ngx_http_request_t *r, ngx_http_sprox_ctx_t *ctx)
{
    ngx_uint_t                  i;
    ngx_http_sprox_alias_t    **aliases;
    ngx_http_sprox_stream_t    *s;
    ngx_http_sprox_listing_t   *l;
    ngx_http_sprox_loc_conf_t  *slcf;

    l = ngx_http_sprox_listing_create(r, ctx);
    if (l == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    l->buckets = 1;
    slcf = ngx_http_get_module_loc_conf(r, ngx_http_sprox_module);
    aliases = l->mcf->aliases.elts;

    for (i = 0; i < l->mcf->aliases.nelts; i++) {

        s = &l->streams[l->nstreams];

        s->listing = l;
        s->alias = aliases[i];
        ngx_http_sprox_policy(slcf, s->alias, sprox_str_null, &s->policy);

        if (s->policy.list == NGX_HTTP_SPROX_LIST_OFF
            || s->alias->map.to_bucket.n != 1
            || s->alias->map.to_bucket.tokens[0].var < 0
            || s->alias->map.bucket.n != 1
            || s->alias->map.bucket.tokens[0].var
               != s->alias->map.to_bucket.tokens[0].var)
        {
            ngx_memzero(s, sizeof(ngx_http_sprox_stream_t));
            continue;
        }

        l->nstreams++;
    }

    return ngx_http_sprox_listing_start(l);
}


static void
ngx_http_sprox_listing_buckets(ngx_http_sprox_listing_t *l)
{
    size_t                     n, total;
    sprox_buf_t                out;
    ngx_uint_t                 i, j;
    sprox_list_item_t         *items;
    ngx_http_sprox_alias_t   **aliases;
    ngx_http_sprox_stream_t   *s;

    aliases = l->mcf->aliases.elts;
    total = l->mcf->aliases.nelts;

    for (i = 0; i < l->nstreams; i++) {
        total += l->streams[i].nitems;
    }

    items = ngx_pcalloc(l->request->pool,
                        (total + 1) * sizeof(sprox_list_item_t));
    if (items == NULL) {
        ngx_http_sprox_listing_finalize(l, NGX_HTTP_INTERNAL_SERVER_ERROR);
        return;
    }

    n = 0;

    for (i = 0; i < l->mcf->aliases.nelts; i++) {
        if (aliases[i]->map.bucket.n == 1
            && aliases[i]->map.bucket.tokens[0].var < 0)
        {
            items[n++].key = aliases[i]->map.bucket.tokens[0].text;
        }
    }

    for (i = 0; i < l->nstreams; i++) {
        s = &l->streams[i];

        for (j = 0; j < s->nitems; j++) {
            items[n++] = s->items[j];
        }
    }

    ngx_qsort(items, n, sizeof(sprox_list_item_t), ngx_http_sprox_bucket_cmp);

    total = n;
    n = 0;

    for (i = 0; i < total; i++) {
        if (n == 0 || !sprox_str_eq(items[n - 1].key, items[i].key)) {
            items[n++] = items[i];
        }
    }

    sprox_buf_init(&out, &l->ctx->mem);
    sprox_buckets_write(&out, items, n);

    if (sprox_buf_rc(&out) != SPROX_OK) {
        ngx_http_sprox_listing_finalize(l, NGX_HTTP_INTERNAL_SERVER_ERROR);
        return;
    }

    ngx_http_sprox_listing_finalize(l,
                  ngx_http_sprox_send_body(l->request, NGX_HTTP_OK,
                                           "application/xml",
                                           sprox_buf_get(&out)));
}


/* By name; of equal ones, that with a date (the origin's) first. */

static int ngx_libc_cdecl
ngx_http_sprox_bucket_cmp(const void *one, const void *two)
{
    int                       rc;
    const sprox_list_item_t  *a = one, *b = two;

    rc = sprox_str_cmp(a->key, b->key);

    if (rc == 0) {
        return a->last_modified < b->last_modified ? 1 : -1;
    }

    return rc;
}
