
/*
 * What one alias contributes to a listing: pages of its origin, asked for
 * or out of the cache, put into the clients' names.
 *
 *   ask --- cached page ---------+
 *     |                          v
 *     +--- fetch --- XML ---> parser ---> item: invert, check, keep
 *              \                 |
 *               cache file      end: something visible, or no more: ready
 *                                    nothing visible, but more: ask again
 *
 * `list cached T` keeps the origin's pages as they came, as entries of the
 * alias's cache zone that expire after T.
 *
 * A page that somebody fetches already, in whichever worker, is waited for
 * and then read out of the cache; it is kept there for that whatever the
 * policy.  `list origin` takes only a page that was asked for after its own
 * client had come: of many who come at once, one fetch serves those who came
 * before it was sent, and the next one all others.
 *
 * Every page that is fetched
 * teaches the catalog; one out of the cache proves nothing and does not.
 */

#include "ngx_http_sprox_list_private.h"
#include "ngx_http_sprox_zone.h"


/* What stands before the XML in a cached page; then when it was asked for. */
#define NGX_HTTP_SPROX_PAGE_MAGIC    "SPROX-LIST-1 "

#define NGX_HTTP_SPROX_PAGE_READ     (64 * 1024)

/* Pages without a visible line that one request may cost. */
#define NGX_HTTP_SPROX_PAGES_MAX     1000

/* How many fetches of others are waited for before one's own. */
#define NGX_HTTP_SPROX_PAGE_LANDINGS 2

/* How long a page stands in the cache for those who waited, in seconds. */
#define NGX_HTTP_SPROX_PAGE_SHARED   10


static ngx_uint_t ngx_http_sprox_stream_shared(ngx_http_sprox_stream_t *s);
static ngx_int_t ngx_http_sprox_stream_claim(ngx_http_sprox_stream_t *s);
static void ngx_http_sprox_stream_landed(void *data);
static void ngx_http_sprox_stream_next(ngx_http_sprox_stream_t *s,
    ngx_int_t rc);
static ngx_int_t ngx_http_sprox_stream_cached(ngx_http_sprox_stream_t *s);
static ngx_int_t ngx_http_sprox_stream_age(ngx_http_sprox_stream_t *s);
static void ngx_http_sprox_stream_forget(ngx_http_sprox_stream_t *s);
static ngx_int_t ngx_http_sprox_stream_read(ngx_http_sprox_stream_t *s);
static ngx_int_t ngx_http_sprox_stream_begin(ngx_http_sprox_stream_t *s);
static ngx_int_t ngx_http_sprox_stream_fetch(ngx_http_sprox_stream_t *s);
static void ngx_http_sprox_stream_key(ngx_http_sprox_stream_t *s);
static uint32_t ngx_http_sprox_stream_max(ngx_http_sprox_stream_t *s);
static sprox_str_t ngx_http_sprox_stream_delimiter(
    ngx_http_sprox_stream_t *s);
static sprox_rc_t ngx_http_sprox_stream_item(void *data,
    const sprox_list_item_t *item);
static void ngx_http_sprox_stream_teach(ngx_http_sprox_stream_t *s,
    const sprox_list_item_t *item);
static ngx_int_t ngx_http_sprox_stream_rollup(ngx_http_sprox_stream_t *s,
    sprox_list_item_t *item);
static ngx_uint_t ngx_http_sprox_stream_visible(ngx_http_sprox_stream_t *s,
    const sprox_list_item_t *item);
static sprox_rc_t ngx_http_sprox_stream_keep(ngx_http_sprox_stream_t *s,
    const sprox_list_item_t *item);
static ngx_int_t ngx_http_sprox_stream_end(ngx_http_sprox_stream_t *s);
static int ngx_libc_cdecl ngx_http_sprox_stream_cmp(const void *one,
    const void *two);
static void ngx_http_sprox_stream_unreadable(ngx_http_sprox_stream_t *s);

static ngx_int_t ngx_http_sprox_stream_header(ngx_http_sprox_fetch_t *f);
static ngx_int_t ngx_http_sprox_stream_body(ngx_http_sprox_fetch_t *f,
    u_char *p, size_t n);
static void ngx_http_sprox_stream_done(ngx_http_sprox_fetch_t *f,
    ngx_int_t rc);
static void ngx_http_sprox_stream_ended(ngx_http_sprox_stream_t *s,
    ngx_http_sprox_fetch_t *f, ngx_int_t rc);
static ngx_uint_t ngx_http_sprox_stream_absent(ngx_http_sprox_stream_t *s,
    ngx_http_sprox_fetch_t *f);
static ngx_int_t ngx_http_sprox_stream_empty(ngx_http_sprox_fetch_t *f);


static const ngx_http_sprox_fetch_handler_t  ngx_http_sprox_stream_handler = {
    ngx_http_sprox_stream_header,
    ngx_http_sprox_stream_body,
    ngx_http_sprox_stream_done
};


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
            ngx_memzero(&s->entry, sizeof(ngx_http_sprox_cache_entry_t));
            sprox_buf_init(&s->key, &s->mem);
            sprox_buf_init(&s->name, &s->mem);
            s->landings = 0;
        }

        if (ngx_http_sprox_stream_shared(s)
            && (s->policy.list == NGX_HTTP_SPROX_LIST_CACHED || s->landings))
        {
            rc = ngx_http_sprox_stream_cached(s);

            if (rc == NGX_AGAIN) {
                return NGX_BUSY;
            }

            if (rc == NGX_OK) {
                rc = ngx_http_sprox_stream_end(s);

                if (rc == NGX_AGAIN) {
                    continue;
                }

                if (rc == NGX_OK) {
                    return NGX_OK;
                }
            }

            ngx_http_sprox_stream_forget(s);
        }

        if (ngx_http_sprox_stream_claim(s) == NGX_BUSY) {
            return NGX_AGAIN;
        }

        if (ngx_http_sprox_stream_begin(s) != NGX_OK
            || ngx_http_sprox_stream_fetch(s) != NGX_OK)
        {
            return NGX_ERROR;
        }

        return NGX_AGAIN;
    }
}


/* There is a cache through which pages can be had by others. */

static ngx_uint_t
ngx_http_sprox_stream_shared(ngx_http_sprox_stream_t *s)
{
    return s->policy.cache->nelts && !s->listing->buckets;
}


/* NGX_OK: the page is to be fetched here; NGX_BUSY: landed() will be called. */

static ngx_int_t
ngx_http_sprox_stream_claim(ngx_http_sprox_stream_t *s)
{
    u_char  md5[NGX_HTTP_CACHE_KEY_LEN];

    if (!ngx_http_sprox_stream_shared(s)
        || s->landings >= NGX_HTTP_SPROX_PAGE_LANDINGS)
    {
        return NGX_OK;
    }

    if (s->key.len == 0) {
        ngx_http_sprox_stream_key(s);
    }

    if (sprox_buf_rc(&s->key) != SPROX_OK) {
        return NGX_OK;
    }

    ngx_http_sprox_cache_md5(sprox_buf_get(&s->key), md5);

    if (ngx_http_sprox_flight_claim(&s->flight, md5) != NGX_BUSY) {
        return NGX_OK;
    }

    ngx_http_sprox_flight_wait(&s->flight, ngx_http_sprox_stream_landed, s);

    return NGX_BUSY;
}


/* What somebody else fetched is in the cache, unless it failed. */

static void
ngx_http_sprox_stream_landed(void *data)
{
    ngx_http_sprox_stream_t *s = data;

    ngx_connection_t  *c;

    c = s->listing->request->connection;

    ngx_http_set_log_request(c->log, s->listing->request);

    s->landings++;
    ngx_memzero(&s->entry, sizeof(ngx_http_sprox_cache_entry_t));

    ngx_http_sprox_stream_next(s, ngx_http_sprox_stream_ask(s));

    ngx_http_run_posted_requests(c);
}


/*
 * NGX_OK: read; NGX_AGAIN: aio; else it is not there, or cannot be used: the
 * origin is asked.
 */

static ngx_int_t
ngx_http_sprox_stream_cached(ngx_http_sprox_stream_t *s)
{
    ngx_int_t                  rc;
    ngx_shm_zone_t           **zones;
    ngx_http_request_t        *r;
    ngx_http_core_loc_conf_t  *clcf;

    r = s->listing->request;
    zones = s->policy.cache->elts;

    if (s->key.len == 0) {
        ngx_http_sprox_stream_key(s);

        if (sprox_buf_rc(&s->key) != SPROX_OK) {
            return NGX_ERROR;
        }
    }

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    if (s->listing->running && clcf->aio != NGX_HTTP_AIO_OFF) {

        /* fetches that fail would end the request while a thread reads */

        return NGX_DECLINED;
    }

    rc = ngx_http_sprox_cache_open(r, s->pool,
                                   ngx_http_sprox_cache_zone(zones[0]),
                                   sprox_buf_get(&s->key), &s->entry);

    if (rc != NGX_OK) {
        return rc;
    }

    if (ngx_http_sprox_stream_age(s) != NGX_OK
        || ngx_http_sprox_stream_begin(s) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    return ngx_http_sprox_stream_read(s);
}


/*
 * The cache knows whole seconds, and a reload may have changed the time for
 * which pages hold: the page itself says when it was asked for.
 */

static ngx_int_t
ngx_http_sprox_stream_age(ngx_http_sprox_stream_t *s)
{
    int64_t      now;
    uint64_t     sent;
    sprox_str_t  block, magic;

    block = s->entry.block;
    magic = sprox_str_lit(NGX_HTTP_SPROX_PAGE_MAGIC);
    now = ngx_http_sprox_now();

    if (!sprox_str_starts(block, magic)
        || sprox_str_u64(sprox_str_from(block, magic.len), &sent) != SPROX_OK
        || sent > (uint64_t) now)
    {
        return NGX_DECLINED;
    }

    if (s->policy.list == NGX_HTTP_SPROX_LIST_CACHED
        && now - (int64_t) sent <= (int64_t) s->policy.list_valid * 1000)
    {
        return NGX_OK;
    }

    return (int64_t) sent > s->listing->arrived ? NGX_OK : NGX_DECLINED;
}


/* What came of a page that was of no use. */

static void
ngx_http_sprox_stream_forget(ngx_http_sprox_stream_t *s)
{
    if (s->parser) {
        sprox_list_parser_free(s->parser);
        s->parser = NULL;
    }

    s->nitems = 0;
    s->more = 0;
}


static ngx_int_t
ngx_http_sprox_stream_read(ngx_http_sprox_stream_t *s)
{
    off_t       off;
    u_char     *buf;
    ssize_t     n;
    sprox_rc_t  rc;

    buf = ngx_palloc(s->pool, NGX_HTTP_SPROX_PAGE_READ);
    if (buf == NULL) {
        return NGX_ERROR;
    }

    s->sent = 0;

    for (off = 0; off < s->entry.length; off += n) {

        n = ngx_read_file(&s->entry.file, buf,
                          ngx_min(NGX_HTTP_SPROX_PAGE_READ,
                                  s->entry.length - off),
                          s->entry.base + off);

        if (n <= 0) {
            return NGX_DECLINED;
        }

        rc = sprox_list_parser_feed(s->parser, buf, n);

        if (rc != SPROX_OK) {
            ngx_http_sprox_stream_unreadable(s);
            return NGX_DECLINED;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_sprox_stream_begin(ngx_http_sprox_stream_t *s)
{
    s->parser = sprox_list_parser_create(&s->mem, 1,
                                         ngx_http_sprox_stream_item, s);

    return s->parser ? NGX_OK : NGX_ERROR;
}


static ngx_int_t
ngx_http_sprox_stream_fetch(ngx_http_sprox_stream_t *s)
{
    ngx_http_sprox_fetch_t    *f;
    ngx_http_sprox_listing_t  *l;

    l = s->listing;
    l->asked = 1;

    f = ngx_http_sprox_fetch_create(s->alias->origin, ngx_cycle->log);
    if (f == NULL) {
        return NGX_ERROR;
    }

    s->fetch = f;
    f->handler = &ngx_http_sprox_stream_handler;
    f->data = s;

    if (l->buckets) {
        f->req.op = SPROX_OP_LIST_BUCKETS;

    } else {
        f->req.op = SPROX_OP_LIST_OBJECTS_V2;
        f->req.bucket = sprox_buf_get(&s->ask.bucket);
        f->req.prefix = sprox_buf_get(&s->ask.prefix);
        f->req.delimiter = ngx_http_sprox_stream_delimiter(s);
        f->req.max_keys = ngx_http_sprox_stream_max(s);
        f->req.fetch_owner = l->req.fetch_owner;

        if (s->token.len) {
            f->req.token = s->token;

        } else {
            f->req.start_after = sprox_buf_get(&s->ask.after);
        }
    }

    if (l->running) {
        ngx_http_sprox_fetch_start(f);
    }

    return NGX_OK;
}


/* One more than is wanted, for the item that the last page ended with. */

static uint32_t
ngx_http_sprox_stream_max(ngx_http_sprox_stream_t *s)
{
    sprox_list_req_t  *req;

    req = &s->listing->req;

    if (req->delimiter.len && !s->ask.pushdown) {
        return SPROX_LIST_KEYS_MAX;
    }

    return ngx_min(req->max_keys + 1, SPROX_LIST_KEYS_MAX);
}


static sprox_str_t
ngx_http_sprox_stream_delimiter(ngx_http_sprox_stream_t *s)
{
    return s->ask.pushdown ? s->listing->req.delimiter : sprox_str_null;
}


static void
ngx_http_sprox_stream_key(ngx_http_sprox_stream_t *s)
{
    sprox_buf_t  *key;

    key = &s->key;

    sprox_buf_text(key, "sprox-list ");
    sprox_buf_add(key, s->alias->origin->name.data,
                  s->alias->origin->name.len);
    sprox_buf_char(key, ' ');
    sprox_uri_encode(key, sprox_buf_get(&s->ask.bucket), 0);
    sprox_buf_text(key, " prefix=");
    sprox_uri_encode(key, sprox_buf_get(&s->ask.prefix), 0);
    sprox_buf_text(key, " delimiter=");
    sprox_uri_encode(key, ngx_http_sprox_stream_delimiter(s), 0);
    sprox_buf_text(key, " max=");
    sprox_buf_u64(key, ngx_http_sprox_stream_max(s));

    if (s->listing->req.fetch_owner) {
        sprox_buf_text(key, " owner");
    }

    if (s->token.len) {
        sprox_buf_text(key, " token=");
        sprox_uri_encode(key, s->token, 0);

    } else {
        sprox_buf_text(key, " after=");
        sprox_uri_encode(key, sprox_buf_get(&s->ask.after), 0);
    }
}


/* The parser's callback: a line of the origin's page. */

static sprox_rc_t
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
        ngx_http_sprox_stream_teach(s, item);
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


static void
ngx_http_sprox_stream_teach(ngx_http_sprox_stream_t *s,
    const sprox_list_item_t *item)
{
    sprox_object_t  object;

    if (item->key.len == 0 || item->key.len > SPROX_KEY_MAX
        || item->size > SPROX_OBJECT_SIZE_MAX)
    {
        return;
    }

    ngx_memzero(&object, sizeof(sprox_object_t));

    object.size = item->size;
    object.last_modified = item->last_modified;
    object.etag = item->etag;
    object.storage_class = item->storage_class;
    object.proved = s->sent;
    object.listed = 1;

    (void) ngx_http_sprox_zone_put(s->alias->origin,
                                   sprox_buf_get(&s->ask.bucket), item->key,
                                   &object);
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

        if (sprox_str_cmp(item->key, after) <= 0
            && !(item->is_prefix && after.len > item->key.len
                 && sprox_str_starts(after, item->key)))
        {
            return 0;
        }

        /* a page that ended with a common prefix: what lies below it is out */

        if (l->req.delimiter.len && !item->is_prefix
            && after.len > l->req.prefix.len
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

    /* a prefix above all its aliases leads to none: somebody lists it */

    return alias == s->alias || (alias == NULL && item->is_prefix);
}


static sprox_rc_t
ngx_http_sprox_stream_keep(ngx_http_sprox_stream_t *s,
    const sprox_list_item_t *item)
{
    ngx_uint_t                 max;
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

    kept->key = sprox_str_dup(&l->ctx->mem, item->key);
    kept->etag = sprox_str_dup(&l->ctx->mem, item->etag);
    kept->storage_class = sprox_str_dup(&l->ctx->mem, item->storage_class);
    kept->owner_id = sprox_str_dup(&l->ctx->mem, item->owner_id);
    kept->owner_name = sprox_str_dup(&l->ctx->mem, item->owner_name);

    if (kept->key.data == NULL || kept->etag.data == NULL
        || kept->storage_class.data == NULL || kept->owner_id.data == NULL
        || kept->owner_name.data == NULL)
    {
        return SPROX_NOMEM;
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


static void
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

    if (s->pool) {
        ngx_destroy_pool(s->pool);
        s->pool = NULL;
    }
}


static ngx_int_t
ngx_http_sprox_stream_header(ngx_http_sprox_fetch_t *f)
{
    time_t                          valid;
    sprox_buf_t                     block;
    ngx_shm_zone_t                **zones;
    ngx_http_sprox_stream_t        *s;
    ngx_http_sprox_cache_writer_t  *w;

    s = f->data;
    s->sent = f->sent;
    s->written = 0;

    if (s->key.len == 0
        || (s->policy.list != NGX_HTTP_SPROX_LIST_CACHED
            && !ngx_http_sprox_flight_waited(&s->flight)))
    {
        return NGX_OK;
    }

    valid = NGX_HTTP_SPROX_PAGE_SHARED;

    if (s->policy.list == NGX_HTTP_SPROX_LIST_CACHED) {
        valid = ngx_max(valid, s->policy.list_valid);
    }

    /* a page that cannot be kept is still listed */

    sprox_buf_init(&block, &s->mem);
    sprox_buf_text(&block, NGX_HTTP_SPROX_PAGE_MAGIC);
    sprox_buf_u64(&block, f->sent);

    w = ngx_pcalloc(s->pool, sizeof(ngx_http_sprox_cache_writer_t));

    if (w == NULL || sprox_buf_rc(&block) != SPROX_OK) {
        return NGX_OK;
    }

    zones = s->policy.cache->elts;

    if (ngx_http_sprox_cache_create(w, s->pool, f->log,
                                    ngx_http_sprox_cache_zone(zones[0]),
                                    sprox_buf_get(&s->key),
                                    sprox_buf_get(&block),
                                    f->sent / 1000 + valid)
        == NGX_OK)
    {
        s->writer = w;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_sprox_stream_body(ngx_http_sprox_fetch_t *f, u_char *p, size_t n)
{
    sprox_rc_t                rc;
    ngx_connection_t         *c;
    ngx_http_sprox_stream_t  *s;

    s = f->data;
    c = s->listing->request->connection;

    ngx_http_set_log_request(c->log, s->listing->request);

    rc = sprox_list_parser_feed(s->parser, p, n);

    if (rc != SPROX_OK) {
        ngx_http_sprox_fetch_log(f, NGX_LOG_ERR, 0,
                                 rc == SPROX_LIMIT
                                 ? "the listing passes a limit"
                                 : "the listing cannot be read");

        ngx_http_sprox_listing_failed(s, NULL, NGX_ERROR,
                                      rc == SPROX_NOMEM
                                      ? SPROX_ERR_INTERNAL_ERROR
                                      : SPROX_ERR_BAD_GATEWAY);
        ngx_http_run_posted_requests(c);

        return NGX_ERROR;
    }

    if (s->writer) {

        if (ngx_http_sprox_cache_write(s->writer, p, n, s->written)
            != NGX_OK)
        {
            ngx_http_sprox_cache_abort(s->writer);
            s->writer = NULL;
        }

        s->written += n;
    }

    return NGX_OK;
}


static void
ngx_http_sprox_stream_done(ngx_http_sprox_fetch_t *f, ngx_int_t rc)
{
    ngx_connection_t         *c;
    ngx_http_sprox_stream_t  *s;

    s = f->data;
    s->fetch = NULL;

    c = s->listing->request->connection;

    ngx_http_set_log_request(c->log, s->listing->request);

    ngx_http_sprox_stream_ended(s, f, rc);

    ngx_http_run_posted_requests(c);
}


static void
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
    }

    rc = ngx_http_sprox_stream_end(s);

    if (rc == NGX_AGAIN) {
        rc = ngx_http_sprox_stream_ask(s);
    }

    ngx_http_sprox_stream_next(s, rc);
}


/* rc: of ask(). */

static void
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
