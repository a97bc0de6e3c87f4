
/*
 * What one alias contributes to a listing, out of the catalog: only where
 * that is complete for the prefix, that is, where a crawl has seen all of it
 * and events or reloads have kept it so.
 *
 *   covered --- take some keys under the lock ---> items, without the lock
 *      |                 ^                           |
 *      | no              +----- more are wanted -----+---> ready
 *      v
 *   the origin is asked, and the crawl for it
 *
 * A walk that shows little of what it looks at (a template that hides, a
 * delimiter that cannot be pushed down) goes on in the next turn of the event
 * loop after a while.
 */

#include "ngx_http_sprox_crawl.h"
#include "ngx_http_sprox_events.h"
#include "ngx_http_sprox_list_private.h"
#include "ngx_http_sprox_metrics.h"
#include "ngx_http_sprox_zone.h"


/* Keys under one holding of the lock, and holdings in one turn. */
#define NGX_HTTP_SPROX_LIST_STEP    128
#define NGX_HTTP_SPROX_LIST_STEPS   64

/*
 * While a walk goes on it has a timer, which keeps a worker that is to exit;
 * in ms.  A turn never takes that long.
 */
#define NGX_HTTP_SPROX_LIST_GUARD   60000

/* With `reload T`, a crawl may be so many times T ago: the next may fail. */
#define NGX_HTTP_SPROX_LIST_RELOADS 2


/* What was read under the lock; strings stand in text one after the other. */

typedef struct {
    sprox_list_item_t  items[NGX_HTTP_SPROX_LIST_STEP];
    ngx_uint_t         n;
    sprox_buf_t        text;
    size_t             doubt_len;
    u_char             doubt[SPROX_KEY_MAX];     /* a key that is in doubt */
} ngx_http_sprox_list_step_t;


static ngx_int_t ngx_http_sprox_stream_decline(ngx_http_sprox_stream_t *s);
static sprox_str_t ngx_http_sprox_stream_after(ngx_http_sprox_stream_t *s);
static ngx_int_t ngx_http_sprox_stream_covered(ngx_http_sprox_stream_t *s);
static void ngx_http_sprox_stream_declined(ngx_http_sprox_stream_t *s,
    ngx_uint_t reason);
static ngx_int_t ngx_http_sprox_stream_walk(ngx_http_sprox_stream_t *s,
    sprox_rc_t *rc);
static sprox_rc_t ngx_http_sprox_stream_visit(void *data, sprox_str_t key,
    const sprox_object_t *object);
static ngx_int_t ngx_http_sprox_stream_show(ngx_http_sprox_stream_t *s);
static ngx_int_t ngx_http_sprox_stream_owners(ngx_http_sprox_stream_t *s);
static void ngx_http_sprox_stream_again(ngx_event_t *ev);


/* Of this worker: emptied with each step. */
static ngx_http_sprox_list_step_t  ngx_http_sprox_list_step;


/* By alias->list_from. */

static const char  *ngx_http_sprox_list_reasons[] = {
    NULL,
    NULL,
    "it is not complete yet",
    "its last crawl is too long ago for \"reload\"",
    "it does not know one owner of all objects"
};


ngx_int_t
ngx_http_sprox_stream_catalog(ngx_http_sprox_stream_t *s)
{
    ngx_int_t   rc;
    ngx_uint_t  n;
    sprox_rc_t  walked;

    if (s->walk == NULL) {

        s->walk = ngx_palloc(s->listing->request->pool,
                             sizeof(sprox_catalog_cursor_t));
        if (s->walk == NULL) {
            return NGX_ERROR;
        }

        sprox_catalog_cursor_init(s->walk, sprox_buf_get(&s->ask.prefix),
                                  ngx_http_sprox_stream_delimiter(s),
                                  ngx_http_sprox_stream_after(s));
    }

    for (n = 0; n < NGX_HTTP_SPROX_LIST_STEPS; n++) {

        /* a crawl may find out at any time that there is no room */

        if (ngx_http_sprox_stream_covered(s) != NGX_OK) {
            return ngx_http_sprox_stream_decline(s);
        }

        rc = ngx_http_sprox_stream_walk(s, &walked);

        if (rc == NGX_DECLINED) {

            /* in doubt: what is shown must be what GET serves */

            ngx_http_sprox_count_listing(s->alias, 0);
            return ngx_http_sprox_stream_decline(s);
        }

        if (rc != NGX_OK) {
            return rc;
        }

        if (walked != SPROX_AGAIN || s->nitems > s->listing->req.max_keys) {
            s->more |= (walked == SPROX_AGAIN);
            break;
        }
    }

    if (n == NGX_HTTP_SPROX_LIST_STEPS) {
        s->again.handler = ngx_http_sprox_stream_again;
        s->again.data = s;
        s->again.log = ngx_cycle->log;

        ngx_add_timer(&s->again, NGX_HTTP_SPROX_LIST_GUARD);
        ngx_post_event(&s->again, &ngx_posted_next_events);

        return NGX_AGAIN;
    }

    rc = ngx_http_sprox_stream_owners(s);

    if (rc == NGX_DECLINED) {
        return ngx_http_sprox_stream_decline(s);
    }

    if (rc == NGX_OK) {
        ngx_http_sprox_count_listing(s->alias, 1);
    }

    return rc;
}


static ngx_int_t
ngx_http_sprox_stream_decline(ngx_http_sprox_stream_t *s)
{
    ngx_http_sprox_stream_forget(s);
    s->walk = NULL;

    return NGX_DECLINED;
}


/* A common prefix that is not after `after` is passed over with a jump. */

static sprox_str_t
ngx_http_sprox_stream_after(ngx_http_sprox_stream_t *s)
{
    size_t       at;
    sprox_str_t  after, delimiter;

    after = sprox_buf_get(&s->ask.after);
    delimiter = ngx_http_sprox_stream_delimiter(s);

    if (delimiter.len
        && sprox_str_starts(after, sprox_buf_get(&s->ask.prefix)))
    {
        at = sprox_str_find(after, delimiter, s->ask.prefix.len);

        if (at != (size_t) -1) {
            after.len = at + delimiter.len;
        }
    }

    return after;
}


/* NGX_OK; NGX_DECLINED: the origin is to be asked. */

static ngx_int_t
ngx_http_sprox_stream_covered(ngx_http_sprox_stream_t *s)
{
    int64_t      age, crawled, reload;
    sprox_str_t  bucket, own;

    bucket = sprox_buf_get(&s->ask.bucket);

    if (ngx_http_sprox_zone_covered(s->alias->origin, bucket,
                                    sprox_buf_get(&s->ask.prefix), &crawled)
        != SPROX_OK)
    {
        /* one that a client has named may be none: the origin tells first */

        if (ngx_http_sprox_region_bucket(s->alias, &own) == NGX_OK) {
            (void) ngx_http_sprox_crawl_want(s->alias, bucket);

        } else {
            s->wanted = 1;
        }

        ngx_http_sprox_stream_declined(s, NGX_HTTP_SPROX_LIST_INCOMPLETE);
        return NGX_DECLINED;
    }

    reload = (int64_t) s->policy.reload * 1000;
    age = sprox_age(crawled, ngx_http_sprox_now());

    /* of a bucket that a variable names, nobody else knows when it is due */

    if (reload && age >= reload) {
        (void) ngx_http_sprox_crawl_want(s->alias, bucket);
    }

    if (reload && age > reload * NGX_HTTP_SPROX_LIST_RELOADS) {
        ngx_http_sprox_stream_declined(s, NGX_HTTP_SPROX_LIST_OLD);
        return NGX_DECLINED;
    }

    s->alias->list_from = NGX_HTTP_SPROX_LIST_FROM_CATALOG;

    return NGX_OK;
}


/*
 * One line for each time that the source changes, not for each listing; and
 * one in all for those that tell owners: others may come from elsewhere.
 */

static void
ngx_http_sprox_stream_declined(ngx_http_sprox_stream_t *s, ngx_uint_t reason)
{
    ngx_http_sprox_count_listing(s->alias, 0);

    if (reason == NGX_HTTP_SPROX_LIST_OWNERS) {

        if (s->alias->list_owners) {
            return;
        }

        s->alias->list_owners = 1;

    } else {

        if (s->alias->list_from == reason) {
            return;
        }

        s->alias->list_from = reason;
    }

    ngx_log_error(NGX_LOG_NOTICE, s->listing->request->connection->log, 0,
                  "sprox: alias \"%V\": %s come from the origin and not "
                  "from the catalog: %s", &s->alias->pattern,
                  reason == NGX_HTTP_SPROX_LIST_OWNERS
                  ? "listings with owners" : "listings",
                  ngx_http_sprox_list_reasons[reason]);
}


/*
 * Some keys, taken under the lock and shown without it.  NGX_DECLINED: one
 * of them is in doubt.
 */

static ngx_int_t
ngx_http_sprox_stream_walk(ngx_http_sprox_stream_t *s, sprox_rc_t *rc)
{
    ngx_http_sprox_list_step_t  *step;

    step = &ngx_http_sprox_list_step;

    if (step->text.mem == NULL) {
        sprox_buf_init(&step->text, &ngx_http_sprox_mem_heap);
    }

    step->n = 0;
    step->text.len = 0;

    *rc = ngx_http_sprox_zone_list(s->alias->origin,
                                   sprox_buf_get(&s->ask.bucket), s->walk,
                                   NGX_HTTP_SPROX_LIST_STEP,
                                   ngx_http_sprox_stream_visit, step);

    if (sprox_buf_rc(&step->text) != SPROX_OK) {
        sprox_buf_free(&step->text);
        return NGX_ERROR;
    }

    if (*rc == SPROX_INVALID) {
        ngx_http_sprox_events_recheck(s->alias->origin,
                                      sprox_buf_get(&s->ask.bucket),
                                      sprox_str_make(step->doubt,
                                                     step->doubt_len));
        return NGX_DECLINED;
    }

    /* a space that is none: nothing was ever found there */

    if (*rc != SPROX_AGAIN && *rc != SPROX_DONE && *rc != SPROX_NOT_FOUND) {
        return NGX_ERROR;
    }

    return ngx_http_sprox_stream_show(s);
}


/*
 * SPROX_INVALID: in doubt.  The text may move while it grows: strings are
 * lengths until the end.
 */

static sprox_rc_t
ngx_http_sprox_stream_visit(void *data, sprox_str_t key,
    const sprox_object_t *object)
{
    ngx_http_sprox_list_step_t *step = data;

    sprox_list_item_t  *item;

    if (object && object->doubted) {
        step->doubt_len = key.len;
        ngx_memcpy(step->doubt, key.data, key.len);

        return SPROX_INVALID;
    }

    item = &step->items[step->n++];
    ngx_memzero(item, sizeof(sprox_list_item_t));

    sprox_buf_str(&step->text, key);
    item->key.len = key.len;

    if (object == NULL) {
        item->is_prefix = 1;
        return SPROX_OK;
    }

    sprox_buf_str(&step->text, object->etag);
    sprox_buf_str(&step->text, object->storage_class);

    item->etag.len = object->etag.len;
    item->storage_class.len = object->storage_class.len;
    item->size = object->size;
    item->last_modified = object->last_modified;

    return SPROX_OK;
}


static ngx_int_t
ngx_http_sprox_stream_show(ngx_http_sprox_stream_t *s)
{
    uint8_t                     *p;
    ngx_uint_t                   i;
    sprox_list_item_t           *item;
    ngx_http_sprox_list_step_t  *step;

    step = &ngx_http_sprox_list_step;
    p = step->text.data;

    for (i = 0; i < step->n; i++) {
        item = &step->items[i];

        item->key.data = p;
        p += item->key.len;

        item->etag.data = p;
        p += item->etag.len;

        item->storage_class.data = p;
        p += item->storage_class.len;

        if (ngx_http_sprox_stream_item(s, item) != SPROX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/*
 * Whose the objects are, where the listing is to tell it.  NGX_OK;
 * NGX_DECLINED: not all are the same one's.
 */

static ngx_int_t
ngx_http_sprox_stream_owners(ngx_http_sprox_stream_t *s)
{
    u_char         buf[SPROX_OWNER_BUF];
    ngx_uint_t     i;
    sprox_mem_t   *mem;
    sprox_owner_t  owner;

    if (!s->listing->req.fetch_owner) {
        return NGX_OK;
    }

    for (i = 0; i < s->nitems && s->items[i].is_prefix; i++) { /* void */ }

    if (i == s->nitems) {
        return NGX_OK;
    }

    if (ngx_http_sprox_zone_owner(s->alias->origin,
                                  sprox_buf_get(&s->ask.bucket),
                                  sprox_buf_get(&s->ask.prefix), &owner, buf)
        != SPROX_OK)
    {
        ngx_http_sprox_stream_declined(s, NGX_HTTP_SPROX_LIST_OWNERS);
        return NGX_DECLINED;
    }

    mem = &s->listing->ctx->mem;

    owner.id = sprox_str_dup(mem, owner.id);
    owner.name = sprox_str_dup(mem, owner.name);

    if (owner.id.data == NULL || owner.name.data == NULL) {
        return NGX_ERROR;
    }

    for ( /* void */ ; i < s->nitems; i++) {
        s->items[i].owner_id = owner.id;
        s->items[i].owner_name = owner.name;
    }

    return NGX_OK;
}


static void
ngx_http_sprox_stream_again(ngx_event_t *ev)
{
    ngx_connection_t         *c;
    ngx_http_sprox_stream_t  *s;

    s = ev->data;
    c = s->listing->request->connection;

    ngx_http_sprox_stream_rest(s);

    ngx_http_set_log_request(c->log, s->listing->request);

    ngx_http_sprox_stream_next(s, ngx_http_sprox_stream_ask(s));

    ngx_http_run_posted_requests(c);
}


void
ngx_http_sprox_stream_rest(ngx_http_sprox_stream_t *s)
{
    if (s->again.timer_set) {
        ngx_del_timer(&s->again);
    }

    if (s->again.posted) {
        ngx_delete_posted_event(&s->again);
    }
}
