
/*
 * What one alias contributes to a listing: pages of its origin put into the
 * clients' names.
 *
 *   ask --- the catalog, see ngx_http_sprox_list_catalog.c ---> ready
 *    |
 *   page, see ngx_http_sprox_list_page.c ------------> parser
 *    ^                                                   |
 *    |                                  item: invert, check, keep; teach
 *    |                                                   |
 *    +--- nothing visible, but more <------------------ end ---> ready
 *
 * Every page that is fetched teaches the catalog; one out of the cache
 * proves nothing and does not.
 */

#include "ngx_http_sprox_crawl.h"
#include "ngx_http_sprox_list_private.h"
#include "ngx_http_sprox_zone.h"


/* Pages without a visible line that one request may cost. */
#define NGX_HTTP_SPROX_PAGES_MAX     1000


static ngx_int_t ngx_http_sprox_stream_look(ngx_http_sprox_stream_t *s);
static ngx_int_t ngx_http_sprox_stream_rollup(ngx_http_sprox_stream_t *s,
    sprox_list_item_t *item);
static ngx_uint_t ngx_http_sprox_stream_visible(ngx_http_sprox_stream_t *s,
    const sprox_list_item_t *item);
static sprox_rc_t ngx_http_sprox_stream_keep(ngx_http_sprox_stream_t *s,
    const sprox_list_item_t *item);
static ngx_int_t ngx_http_sprox_stream_end(ngx_http_sprox_stream_t *s);
static int ngx_libc_cdecl ngx_http_sprox_stream_cmp(const void *one,
    const void *two);

static ngx_uint_t ngx_http_sprox_stream_absent(ngx_http_sprox_stream_t *s,
    ngx_http_sprox_fetch_t *f);
static ngx_int_t ngx_http_sprox_stream_empty(ngx_http_sprox_fetch_t *f);


ngx_int_t
ngx_http_sprox_stream_ask(ngx_http_sprox_stream_t *s)
{
    ngx_int_t            rc;
    ngx_http_request_t  *r;

    r = s->listing->request;

    for ( ;; ) {

        if (s->pool == NULL) {

            if (s->pages++ == NGX_HTTP_SPROX_PAGES_MAX) {
                ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                              "sprox: alias \"%V\": %d pages of the origin "
                              "held nothing that its template shows",
                              &s->alias->pattern, NGX_HTTP_SPROX_PAGES_MAX);
                return NGX_ERROR;
            }

            s->pool = ngx_create_pool(4096, r->connection->log);
            if (s->pool == NULL) {
                return NGX_ERROR;
            }

            ngx_http_sprox_mem_pool(&s->mem, s->pool);
            sprox_buf_init(&s->key, &s->mem);
            sprox_buf_init(&s->name, &s->mem);
            s->landings = 0;
        }

        if (s->policy.list == NGX_HTTP_SPROX_LIST_CATALOG && !s->declined) {

            rc = ngx_http_sprox_stream_catalog(s);

            if (rc != NGX_DECLINED) {
                return rc;
            }

            s->declined = 1;
        }

        rc = ngx_http_sprox_stream_look(s);

        if (rc == NGX_DECLINED || rc == NGX_ERROR) {

            if (ngx_http_sprox_stream_claim(s) == NGX_BUSY) {
                return NGX_AGAIN;
            }

            /* it may have landed between the look and the claim */

            if (rc == NGX_DECLINED) {
                rc = ngx_http_sprox_stream_look(s);
            }
        }

        if (rc == NGX_AGAIN) {
            continue;
        }

        if (rc == NGX_OK) {
            return NGX_OK;
        }

        if (ngx_http_sprox_stream_begin(s) != NGX_OK
            || ngx_http_sprox_stream_fetch(s) != NGX_OK)
        {
            return NGX_ERROR;
        }

        return NGX_AGAIN;
    }
}


/*
 * A page out of the cache.  NGX_OK: ready; NGX_AGAIN: it held nothing
 * visible, ask for the next one; NGX_DECLINED: there is none that holds;
 * NGX_ERROR: what is there cannot be used.
 */

static ngx_int_t
ngx_http_sprox_stream_look(ngx_http_sprox_stream_t *s)
{
    ngx_int_t  rc;

    if (!ngx_http_sprox_stream_shared(s)
        || (s->policy.list != NGX_HTTP_SPROX_LIST_CACHED && !s->landings))
    {
        return NGX_DECLINED;
    }

    ngx_memzero(&s->entry, sizeof(ngx_http_sprox_cache_entry_t));

    rc = ngx_http_sprox_stream_cached(s);

    if (rc == NGX_OK) {
        rc = ngx_http_sprox_stream_end(s);
    }

    if (rc != NGX_OK && rc != NGX_AGAIN) {
        ngx_http_sprox_stream_forget(s);
    }

    return rc;
}


ngx_int_t
ngx_http_sprox_stream_begin(ngx_http_sprox_stream_t *s)
{
    s->parser = sprox_list_parser_create(&s->mem, 1,
                                         ngx_http_sprox_stream_item, s);

    return s->parser ? NGX_OK : NGX_ERROR;
}


sprox_rc_t
ngx_http_sprox_stream_item(void *data, const sprox_list_item_t *item)
{
    sprox_rc_t                 rc;
    sprox_list_item_t          shown;
    ngx_http_sprox_stream_t   *s;
    ngx_http_sprox_listing_t  *l;

    s = data;
    l = s->listing;

    if (l->buckets) {
        return ngx_http_sprox_stream_keep(s, item);
    }

    if (s->sent && !item->is_prefix) {
        (void) ngx_http_sprox_list_teach(s->alias->origin,
                                         sprox_buf_get(&s->ask.bucket), item,
                                         s->sent);
    }

    shown = *item;
    s->name.len = 0;

    if (item->is_prefix) {
        rc = sprox_alias_invert_prefix(&s->alias->map, l->ctx->s3.bucket,
                                       item->key, &s->name);
    } else {
        rc = sprox_alias_invert(&s->alias->map, l->ctx->s3.bucket, item->key,
                                &s->name);
    }

    if (rc == SPROX_NOT_FOUND) {
        return SPROX_OK;
    }

    if (rc != SPROX_OK) {
        return rc;
    }

    shown.key = sprox_buf_get(&s->name);

    if (!sprox_str_starts(shown.key, l->req.prefix)) {
        return SPROX_OK;
    }

    if (!shown.is_prefix && !ngx_http_sprox_stream_visible(s, &shown)) {
        return SPROX_OK;
    }

    if (l->req.delimiter.len && !s->ask.pushdown) {
        if (ngx_http_sprox_stream_rollup(s, &shown) != NGX_OK) {
            return SPROX_OK;
        }
    }

    if (shown.is_prefix && !ngx_http_sprox_stream_visible(s, &shown)) {
        return SPROX_OK;
    }

    return ngx_http_sprox_stream_keep(s, &shown);
}


sprox_rc_t
ngx_http_sprox_list_teach(ngx_http_sprox_origin_t *origin,
    sprox_str_t bucket, const sprox_list_item_t *item, int64_t sent)
{
    sprox_object_t  object;

    if (item->key.len == 0 || item->key.len > SPROX_KEY_MAX
        || item->size > SPROX_OBJECT_SIZE_MAX)
    {
        return SPROX_LIMIT;
    }

    ngx_memzero(&object, sizeof(sprox_object_t));

    object.size = item->size;
    object.last_modified = item->last_modified;
    object.etag = item->etag;
    object.storage_class = item->storage_class;
    object.proved = sent;
    object.listed = 1;

    return ngx_http_sprox_zone_put(origin, bucket, item->key, &object);
}


/*
 * Clients' keys to common prefixes, where the origin cannot do it.  Keys
 * come in order, so all that share a prefix stand together.
 */

static ngx_int_t
ngx_http_sprox_stream_rollup(ngx_http_sprox_stream_t *s,
    sprox_list_item_t *item)
{
    size_t             at;
    sprox_list_req_t  *req;

    req = &s->listing->req;

    at = sprox_str_find(item->key, req->delimiter, req->prefix.len);

    if (at == (size_t) -1) {
        return NGX_OK;
    }

    item->key.len = at + req->delimiter.len;
    item->is_prefix = 1;

    if (s->nitems && s->items[s->nitems - 1].is_prefix
        && sprox_str_eq(s->items[s->nitems - 1].key, item->key))
    {
        return NGX_DECLINED;
    }

    return NGX_OK;
}


/*
 * Whether an item is listed: it comes after what was listed before, and
 * the clients' name leads to this alias and not to a more specific one.
 */

static ngx_uint_t
ngx_http_sprox_stream_visible(ngx_http_sprox_stream_t *s,
    const sprox_list_item_t *item)
{
    sprox_str_t                after;
    sprox_buf_t                bucket, key;
    ngx_http_sprox_alias_t    *alias;
    ngx_http_sprox_listing_t  *l;

    l = s->listing;
    after = l->req.after;

    if (after.len) {

        /*
         * Also a common prefix that start-after lies in: stores differ in
         * that, and one answer is given whatever the source
         */

        if (sprox_str_cmp(item->key, after) <= 0) {
            return 0;
        }

        /* a page that ended with a common prefix: what lies below it is out */

        if (l->req.delimiter.len && !item->is_prefix
            && after.len >= l->req.prefix.len + l->req.delimiter.len
            && sprox_str_ends(after, l->req.delimiter)
            && sprox_str_starts(item->key, after))
        {
            return 0;
        }
    }

    if (l->nstreams == 1 && l->mcf->aliases.nelts == 1) {
        return 1;
    }

    sprox_buf_init(&bucket, &s->mem);
    sprox_buf_init(&key, &s->mem);

    alias = ngx_http_sprox_alias_find(l->mcf, l->ctx->s3.bucket, item->key,
                                      &bucket, &key);

    sprox_buf_free(&bucket);
    sprox_buf_free(&key);

    if (alias == s->alias) {
        return 1;
    }

    /*
     * A prefix may end above this alias' pattern, and lead to none, or to a
     * less specific one: keys below it are this alias' all the same.
     */

    return item->is_prefix
           && (alias == NULL
               || sprox_alias_cmp(&alias->map, &s->alias->map) > 0);
}


static sprox_rc_t
ngx_http_sprox_stream_keep(ngx_http_sprox_stream_t *s,
    const sprox_list_item_t *item)
{
    size_t                     i;
    uint8_t                   *p;
    ngx_uint_t                 max;
    sprox_str_t               *strings[5];
    sprox_list_item_t         *kept;
    ngx_http_sprox_listing_t  *l;

    l = s->listing;
    max = SPROX_LIST_KEYS_MAX + 1;

    if (s->nitems == max) {
        s->more = 1;
        return SPROX_OK;
    }

    if (s->items == NULL) {
        s->items = ngx_palloc(l->request->pool,
                              max * sizeof(sprox_list_item_t));
        if (s->items == NULL) {
            return SPROX_NOMEM;
        }
    }

    kept = &s->items[s->nitems];
    *kept = *item;

    strings[0] = &kept->key;
    strings[1] = &kept->etag;
    strings[2] = &kept->storage_class;
    strings[3] = &kept->owner_id;
    strings[4] = &kept->owner_name;

    p = ngx_pnalloc(l->request->pool,
                    item->key.len + item->etag.len + item->storage_class.len
                    + item->owner_id.len + item->owner_name.len);
    if (p == NULL) {
        return SPROX_NOMEM;
    }

    for (i = 0; i < sizeof(strings) / sizeof(strings[0]); i++) {

        if (strings[i]->len) {
            ngx_memcpy(p, strings[i]->data, strings[i]->len);
        }

        strings[i]->data = p;
        p += strings[i]->len;
    }

    s->nitems++;

    return SPROX_OK;
}


/*
 * A page was parsed to its end.  NGX_OK: the stream is ready; NGX_AGAIN:
 * another page is to be asked for; NGX_ERROR.
 */

static ngx_int_t
ngx_http_sprox_stream_end(ngx_http_sprox_stream_t *s)
{
    sprox_rc_t                 rc;
    sprox_list_page_t          page;
    ngx_http_sprox_listing_t  *l;

    l = s->listing;

    rc = sprox_list_parser_done(s->parser, &page);

    if (rc != SPROX_OK || page.buckets != l->buckets) {
        ngx_http_sprox_stream_unreadable(s);
        return NGX_ERROR;
    }

    /* an origin sends keys first, then common prefixes */

    if (s->ask.pushdown && s->nitems) {
        ngx_qsort(s->items, s->nitems, sizeof(sprox_list_item_t),
                  ngx_http_sprox_stream_cmp);
    }

    if (page.truncated) {

        if (page.next.len == 0) {
            ngx_log_error(NGX_LOG_ERR, l->request->connection->log, 0,
                          "sprox: alias \"%V\": the origin \"%V\" sent a "
                          "truncated listing without a continuation token",
                          &s->alias->pattern, &s->alias->origin->name);
            return NGX_ERROR;
        }

        if (sprox_str_eq(page.next, s->token)) {
            ngx_log_error(NGX_LOG_ERR, l->request->connection->log, 0,
                          "sprox: alias \"%V\": the origin \"%V\" answered "
                          "with the same continuation token that it was "
                          "asked with", &s->alias->pattern,
                          &s->alias->origin->name);
            return NGX_ERROR;
        }

        s->more = 1;
        s->token = sprox_str_dup(&l->ctx->mem, page.next);

        if (s->token.data == NULL) {
            return NGX_ERROR;
        }
    }

    if (s->writer) {
        ngx_http_sprox_cache_commit(s->writer);
    }

    ngx_http_sprox_stream_drop(s);

    if (page.truncated && s->nitems == 0) {
        s->more = 0;
        return NGX_AGAIN;
    }

    return NGX_OK;
}


static int ngx_libc_cdecl
ngx_http_sprox_stream_cmp(const void *one, const void *two)
{
    const sprox_list_item_t  *a = one, *b = two;

    return sprox_str_cmp(a->key, b->key);
}


void
ngx_http_sprox_stream_unreadable(ngx_http_sprox_stream_t *s)
{
    ngx_log_t  *log;

    log = s->listing->request->connection->log;

    if (s->sent == 0) {
        ngx_log_error(NGX_LOG_ERR, log, 0,
                      "sprox: cached page \"%V\" is damaged; it is fetched "
                      "again", &s->entry.file.name);
        return;
    }

    ngx_log_error(NGX_LOG_ERR, log, 0,
                  "sprox: alias \"%V\": the origin \"%V\" sent a listing "
                  "that cannot be read", &s->alias->pattern,
                  &s->alias->origin->name);
}


void
ngx_http_sprox_stream_drop(ngx_http_sprox_stream_t *s)
{
    ngx_http_sprox_fetch_t  *f;

    f = s->fetch;

    if (f) {
        s->fetch = NULL;
        ngx_http_sprox_fetch_cancel(f);
    }

    if (s->parser) {
        sprox_list_parser_free(s->parser);
        s->parser = NULL;
    }

    if (s->writer) {
        ngx_http_sprox_cache_abort(s->writer);
        s->writer = NULL;
    }

    ngx_http_sprox_flight_release(&s->flight);

    ngx_http_sprox_stream_rest(s);

    if (s->pool) {
        ngx_destroy_pool(s->pool);
        s->pool = NULL;
    }
}


void
ngx_http_sprox_stream_ended(ngx_http_sprox_stream_t *s,
    ngx_http_sprox_fetch_t *f, ngx_int_t rc)
{
    if (rc == NGX_DECLINED && ngx_http_sprox_stream_absent(s, f)) {

        if (ngx_http_sprox_stream_empty(f) != NGX_OK) {
            return;
        }

    } else if (rc != NGX_OK) {
        ngx_http_sprox_listing_failed(s, f, rc, SPROX_ERR_NONE);
        return;

    } else if (s->wanted) {
        s->wanted = 0;
        (void) ngx_http_sprox_crawl_want(s->alias,
                                         sprox_buf_get(&s->ask.bucket));
    }

    rc = ngx_http_sprox_stream_end(s);

    if (rc == NGX_AGAIN) {
        rc = ngx_http_sprox_stream_ask(s);
    }

    ngx_http_sprox_stream_next(s, rc);
}


/* rc: of ask(). */

void
ngx_http_sprox_stream_next(ngx_http_sprox_stream_t *s, ngx_int_t rc)
{
    if (rc == NGX_AGAIN) {
        return;
    }

    if (rc == NGX_OK) {
        ngx_http_sprox_listing_ready(s);
        return;
    }

    ngx_http_sprox_listing_failed(s, NULL, NGX_ERROR, SPROX_ERR_BAD_GATEWAY);
}


/*
 * Beside "tblA/$year" an alias "$bucket" may serve the bucket tblA as well,
 * but it need not: that its origin has no such bucket is no error then.
 */

static ngx_uint_t
ngx_http_sprox_stream_absent(ngx_http_sprox_stream_t *s,
    ngx_http_sprox_fetch_t *f)
{
    return s->listing->named && s->alias->map.bucket_vars != 0
           && f->resp.status == NGX_HTTP_NOT_FOUND
           && sprox_str_eq(f->error.code, sprox_str_lit("NoSuchBucket"));
}


/* As if an empty page had come, which is kept like others. */

static ngx_int_t
ngx_http_sprox_stream_empty(ngx_http_sprox_fetch_t *f)
{
    static u_char  page[] = "<ListBucketResult><IsTruncated>false"
                            "</IsTruncated></ListBucketResult>";

    if (ngx_http_sprox_stream_header(f) != NGX_OK) {
        ngx_http_sprox_listing_failed(f->data, NULL, NGX_ERROR,
                                      SPROX_ERR_INTERNAL_ERROR);
        return NGX_ERROR;
    }

    return ngx_http_sprox_stream_body(f, page, sizeof(page) - 1);
}
