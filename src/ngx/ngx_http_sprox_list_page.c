
/*
 * Pages of an origin's listing: fetched, or out of the cache.
 *
 *   ask --- cached page -------------------------+
 *     |                                          v
 *     +--- claim --- fetch --- header, body --> parser
 *              \                 |
 *               \                +--> cache file
 *                another's: wait for it to land, ask again
 *
 * `list cached T` keeps the origin's pages as they came, as entries of the
 * alias's cache zone that hold for T, or until somebody tells of a change
 * below their prefix.
 *
 * A page that somebody fetches already, in whichever worker, is waited for
 * and then read out of the cache; it is kept there for that whatever the
 * policy.  `list origin` takes only a page that was asked for after its own
 * client had come: of many who come at once, one fetch serves those who came
 * before it was sent, and the next one all others.
 */

#include "ngx_http_sprox_list_private.h"
#include "ngx_http_sprox_zone.h"


/* What stands before the XML in a cached page; then when it was asked for. */
#define NGX_HTTP_SPROX_PAGE_MAGIC    "SPROX-LIST-1 "

#define NGX_HTTP_SPROX_PAGE_READ     (64 * 1024)

/* How many fetches of others are waited for before one's own. */
#define NGX_HTTP_SPROX_PAGE_LANDINGS 2

/* How long a page stands in the cache for those who waited, in seconds. */
#define NGX_HTTP_SPROX_PAGE_SHARED   10


static void ngx_http_sprox_stream_landed(void *data);
static ngx_int_t ngx_http_sprox_stream_age(ngx_http_sprox_stream_t *s);
static ngx_int_t ngx_http_sprox_stream_read(ngx_http_sprox_stream_t *s);
static uint32_t ngx_http_sprox_stream_max(ngx_http_sprox_stream_t *s);
static void ngx_http_sprox_stream_key(ngx_http_sprox_stream_t *s);
static void ngx_http_sprox_stream_done(ngx_http_sprox_fetch_t *f,
    ngx_int_t rc);


static const ngx_http_sprox_fetch_handler_t  ngx_http_sprox_stream_handler = {
    ngx_http_sprox_stream_header,
    ngx_http_sprox_stream_body,
    ngx_http_sprox_stream_done
};


/* There is a cache through which pages can be had by others. */

ngx_uint_t
ngx_http_sprox_stream_shared(ngx_http_sprox_stream_t *s)
{
    return s->policy.cache->nelts && !s->listing->buckets;
}


/* NGX_OK: the page is to be fetched here; NGX_BUSY: landed() will be called. */

ngx_int_t
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

    s->fresh = (s->flight.seq > s->listing->seq);

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
 * NGX_OK: read; NGX_DECLINED: it is not there, or too old; NGX_ERROR: it
 * cannot be used.  Never by a thread: a fetch that fails meanwhile, for
 * another alias, would end the request under it.
 */

ngx_int_t
ngx_http_sprox_stream_cached(ngx_http_sprox_stream_t *s)
{
    ngx_int_t               rc;
    ngx_http_file_cache_t  *cache;

    if (s->key.len == 0) {
        ngx_http_sprox_stream_key(s);

        if (sprox_buf_rc(&s->key) != SPROX_OK) {
            return NGX_ERROR;
        }
    }

    cache = ngx_http_sprox_cache_last(s->policy.cache);

    rc = ngx_http_sprox_cache_open_now(s->listing->request, s->pool, cache,
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
 * which pages hold: the page itself says when it was asked for.  That may be
 * later than this worker's turn began.
 */

static ngx_int_t
ngx_http_sprox_stream_age(ngx_http_sprox_stream_t *s)
{
    int64_t  now, sent;

    now = ngx_http_sprox_now_exact();
    sent = sprox_proof(ngx_http_sprox_list_page_sent(s->entry.block), now);

    if (sent == 0
        || ngx_http_sprox_zone_banned_below(s->alias->origin,
                                            sprox_buf_get(&s->ask.bucket),
                                            sprox_buf_get(&s->ask.prefix),
                                            sent)
        || ngx_http_sprox_told_since(s->alias->origin,
                                     sprox_buf_get(&s->ask.bucket),
                                     sprox_buf_get(&s->ask.prefix), sent))
    {
        return NGX_DECLINED;
    }

    if (s->policy.list == NGX_HTTP_SPROX_LIST_CACHED
        && now - sent <= (int64_t) s->policy.list_valid * 1000)
    {
        return NGX_OK;
    }

    return s->fresh && sent > s->listing->arrived ? NGX_OK : NGX_DECLINED;
}


int64_t
ngx_http_sprox_list_page_sent(sprox_str_t block)
{
    uint64_t     sent;
    sprox_str_t  magic;

    magic = sprox_str_lit(NGX_HTTP_SPROX_PAGE_MAGIC);

    if (!sprox_str_starts(block, magic)
        || sprox_str_u64(sprox_str_from(block, magic.len), &sent) != SPROX_OK
        || sent > INT64_MAX)
    {
        return 0;
    }

    return (int64_t) sent;
}


void
ngx_http_sprox_list_key_begin(sprox_buf_t *key, sprox_str_t origin,
    sprox_str_t bucket)
{
    sprox_buf_text(key, "sprox-list ");
    sprox_buf_str(key, origin);
    sprox_buf_char(key, ' ');
    sprox_uri_encode(key, bucket, 0);
    sprox_buf_char(key, ' ');
}


/* What came of a page that was of no use. */

void
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
            return NGX_ERROR;
        }

        rc = sprox_list_parser_feed(s->parser, buf, n);

        if (rc != SPROX_OK) {
            ngx_http_sprox_stream_unreadable(s);
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


ngx_int_t
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

    ngx_http_sprox_fetch_start(f);

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


sprox_str_t
ngx_http_sprox_stream_delimiter(ngx_http_sprox_stream_t *s)
{
    return s->ask.pushdown ? s->listing->req.delimiter : sprox_str_null;
}


static void
ngx_http_sprox_stream_key(ngx_http_sprox_stream_t *s)
{
    sprox_buf_t  *key;

    key = &s->key;

    ngx_http_sprox_list_key_begin(key,
                             ngx_http_sprox_to_core(s->alias->origin->name),
                             sprox_buf_get(&s->ask.bucket));
    sprox_buf_text(key, "prefix=");
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


ngx_int_t
ngx_http_sprox_stream_header(ngx_http_sprox_fetch_t *f)
{
    time_t                          valid;
    sprox_buf_t                     block;
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

    if (ngx_http_sprox_cache_create(w, s->pool, f->log,
                                    ngx_http_sprox_cache_last(s->policy.cache),
                                    sprox_buf_get(&s->key),
                                    sprox_buf_get(&block),
                                    f->sent / 1000 + valid)
        != NGX_OK)
    {
        return NGX_OK;
    }

    if (ngx_http_sprox_cache_make(w, f->log) != NGX_OK) {
        ngx_http_sprox_cache_abort(w);
        return NGX_OK;
    }

    s->writer = w;

    return NGX_OK;
}


ngx_int_t
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
