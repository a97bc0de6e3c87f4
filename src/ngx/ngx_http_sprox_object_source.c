
/*
 * Where the bytes of a response come from: slices in the cache, slices in
 * flight, fills that are started; and how far ahead of the client.
 *
 *   plan: LOOK at a slice --- cached, in flight ---> nothing to do
 *                         \-- missing -------------> FILL, with those behind
 *
 * What is in flight is held in the ring until the response comes to it, so
 * that a fill knows whether somebody reads it.  What was cached, or was closed
 * since it came, is opened when its turn comes, and looked at again if it is
 * gone by then.
 */

#include "ngx_http_sprox_object_private.h"
#include "ngx_http_sprox_tier.h"
#include "ngx_http_sprox_zone.h"


/* How often who waits for a thread says that it still does. */
#define NGX_HTTP_SPROX_GUARD   60000


static sprox_plan_spare_e ngx_http_sprox_object_spare(
    ngx_http_sprox_object_t *o);
static ngx_int_t ngx_http_sprox_object_plan(ngx_http_sprox_object_t *o,
    ngx_uint_t look);
static ngx_int_t ngx_http_sprox_object_look(ngx_http_sprox_object_t *o,
    uint64_t index, ngx_uint_t look);
static ngx_int_t ngx_http_sprox_object_key(ngx_http_sprox_object_t *o,
    uint64_t index);
static ngx_http_sprox_slice_t *ngx_http_sprox_object_take(
    ngx_http_sprox_object_t *o, uint64_t index);
static ngx_int_t ngx_http_sprox_object_use(ngx_http_sprox_object_t *o);
static ngx_int_t ngx_http_sprox_object_open(ngx_http_sprox_object_t *o);
static void ngx_http_sprox_object_guard(ngx_http_sprox_object_t *o,
    ngx_uint_t on);
static void ngx_http_sprox_object_guarded(ngx_event_t *ev);
static ngx_int_t ngx_http_sprox_object_open_tier(ngx_http_sprox_object_t *o,
    u_char *md5);
static ngx_int_t ngx_http_sprox_object_opened(ngx_http_sprox_object_t *o,
    ngx_http_file_cache_t *cache, u_char *md5);
static void ngx_http_sprox_object_hit(ngx_http_sprox_object_t *o,
    ngx_http_file_cache_t *cache, u_char *md5);
static ngx_uint_t ngx_http_sprox_object_valid(ngx_http_sprox_object_t *o,
    uint64_t index, int64_t *proved);


ngx_int_t
ngx_http_sprox_object_source(ngx_http_sprox_object_t *o)
{
    uint64_t   index;
    ngx_int_t  rc;

    index = sprox_slice_index(o->pos, o->spec.slice);

    if (o->slice || o->opened) {

        if (index == o->index) {
            return NGX_OK;
        }

        ngx_http_sprox_object_drop(o);
        o->refills = 0;
    }

    if (!o->planned) {
        o->planned = 1;
        sprox_plan_init(&o->plan, o->spec.slice, o->spec.fill,
                        o->ctx->policy.read_ahead, o->pos, o->end,
                        o->part || o->range.kind == SPROX_RANGE_FROM_TO
                        || o->range.kind == SPROX_RANGE_SUFFIX);

        if (o->pos >= o->fill_from && o->pos < o->fill_to) {
            sprox_plan_coming(&o->plan, o->fill_to);
        }
    }

    sprox_plan_sent(&o->plan, o->pos);

    if (index != o->index) {
        o->own = 0;
    }

    o->index = index;

    /*
     * In the cache; or, if memory errs about that, missing after all: what
     * was doubted once is not believed again when a thread has read the file
     * and this is called anew.
     */

    for ( ;; ) {

        o->slice = ngx_http_sprox_object_take(o, index);

        if (o->slice && ngx_http_sprox_object_use(o) == NGX_OK) {
            o->waited = 0;
            o->doubted = 0;
            return NGX_OK;
        }

        rc = ngx_http_sprox_object_open(o);

        if (rc == NGX_AGAIN) {
            return rc;
        }

        if (rc != NGX_DECLINED) {
            o->doubted = 0;

            if (rc == NGX_OK && index == o->plan.ahead) {
                sprox_plan_seen(&o->plan, 0);
            }

            return rc;
        }

        ngx_http_sprox_object_drop(o);
        sprox_plan_lost(&o->plan, index);

        if (ngx_http_sprox_object_plan(o, !o->doubted) != NGX_OK) {
            return NGX_ERROR;
        }

        if (o->doubted && o->ring[index % o->nring] == NULL) {
            return NGX_ERROR;
        }

        o->doubted = 1;
    }
}


ngx_int_t
ngx_http_sprox_object_ahead(ngx_http_sprox_object_t *o)
{
    return ngx_http_sprox_object_plan(o, 1);
}


/* Parts that would wait for a connection take longer than one run. */

static sprox_plan_spare_e
ngx_http_sprox_object_spare(ngx_http_sprox_object_t *o)
{
    ngx_uint_t                n, max, busy;
    ngx_http_sprox_origin_t  *origin;

    n = ngx_http_sprox_fills();

    if (n >= NGX_HTTP_SPROX_AHEAD_FILLS) {
        return SPROX_PLAN_NONE;
    }

    /* what is kept idle is as good as room */

    origin = o->spec.origin;
    max = origin->max_connections;

    busy = origin->nconns - origin->nidle + origin->nwaiting;
    busy = ngx_max(busy, origin->nfills);

    if (n >= NGX_HTTP_SPROX_PART_FILLS
        || (max && busy + SPROX_PLAN_SPLIT > max))
    {
        return SPROX_PLAN_RUNS;
    }

    return SPROX_PLAN_PARTS;
}


/* look: whether the slice at pos may be in the cache. */

static ngx_int_t
ngx_http_sprox_object_plan(ngx_http_sprox_object_t *o, ngx_uint_t look)
{
    ngx_int_t            rc;
    sprox_plan_spare_e   spare;
    sprox_plan_action_t  action;

    spare = ngx_http_sprox_object_spare(o);

    for ( ;; ) {
        action = sprox_plan_next(&o->plan, spare);

        switch (action.kind) {

        case SPROX_PLAN_LOOK:

            rc = ngx_http_sprox_object_look(o, action.first,
                                            look || action.first != o->index);
            if (rc == NGX_ERROR) {

                /* what stands in the table already must come to an end */

                if (o->plan.run != o->plan.run_end) {
                    ngx_http_sprox_fill_start(&o->spec, &o->object, o->ring,
                                              o->nring, o->plan.run,
                                              o->plan.run_end - 1);
                    sprox_plan_lost(&o->plan, o->plan.run);
                }

                return NGX_ERROR;
            }

            sprox_plan_seen(&o->plan, rc == NGX_AGAIN);
            break;

        case SPROX_PLAN_FILL:
            ngx_http_sprox_fill_start(&o->spec, &o->object, o->ring, o->nring,
                                      action.first, action.last);
            break;

        default:
            return NGX_OK;
        }
    }
}


static ngx_int_t
ngx_http_sprox_object_look(ngx_http_sprox_object_t *o, uint64_t index,
    ngx_uint_t look)
{
    ngx_int_t                rc;
    ngx_http_sprox_slice_t  *s, **place;

    if (o->ring == NULL) {

        /* the window, and a run that starts at its end */

        o->nring = (o->ctx->policy.read_ahead + o->spec.fill) / o->spec.slice
                   + 2;
        o->ring = ngx_pcalloc(o->request->pool,
                              o->nring * sizeof(ngx_http_sprox_slice_t *));
        if (o->ring == NULL) {
            return NGX_ERROR;
        }
    }

    place = &o->ring[index % o->nring];

    if (*place) {

        /* looked at again, from a lost one on */

        s = *place;

        if (!s->failed && !s->shut && (!s->remote || !s->done)) {
            return NGX_OK;
        }

        *place = NULL;
        ngx_http_sprox_slice_unref(s);
    }

    o->keyed = 0;

    rc = ngx_http_sprox_slice_look(&o->spec, &o->object, index, look,
                                   &o->key, &s);

    if (rc == NGX_OK || rc == NGX_AGAIN) {
        *place = s;

        if (s->came != s->length) {
            o->late = ngx_max(o->late, index + 1);
        }
    }

    return rc;
}


/* o->key: of that slice. */

static ngx_int_t
ngx_http_sprox_object_key(ngx_http_sprox_object_t *o, uint64_t index)
{
    if (o->keyed && o->key_index == index) {
        return NGX_OK;
    }

    o->key.len = 0;
    sprox_slice_key(&o->key, ngx_http_sprox_to_core(o->spec.origin->name),
                    o->spec.bucket, o->spec.key, &o->object, o->spec.slice,
                    index);

    if (sprox_buf_rc(&o->key) != SPROX_OK) {
        return NGX_ERROR;
    }

    o->keyed = 1;
    o->key_index = index;

    return NGX_OK;
}


/* The slice at pos if it is, or was, in flight: with a reference. */

static ngx_http_sprox_slice_t *
ngx_http_sprox_object_take(ngx_http_sprox_object_t *o, uint64_t index)
{
    ngx_http_sprox_slice_t  *s;

    s = NULL;

    if (index < o->plan.ahead) {

        if (o->ring) {
            s = o->ring[index % o->nring];
            o->ring[index % o->nring] = NULL;
        }

        return s;
    }

    if (o->entry_pool == NULL
        && ngx_http_sprox_object_key(o, index) == NGX_OK)
    {
        s = ngx_http_sprox_slice_find(sprox_buf_get(&o->key));

        if (s) {
            sprox_plan_seen(&o->plan, 0);
        }
    }

    return s;
}


/* NGX_DECLINED: it is in the cache by now, and no hit, if it was none. */

static ngx_int_t
ngx_http_sprox_object_use(ngx_http_sprox_object_t *o)
{
    ngx_http_sprox_slice_t  *s;

    s = o->slice;

    o->there = (s->number <= o->before && o->index >= o->late
                && s->came == s->length);

    if (ngx_http_sprox_slice_use(s) == NGX_OK) {
        return NGX_OK;
    }

    o->own = !o->there;
    o->slice = NULL;
    ngx_http_sprox_slice_unref(s);

    return NGX_DECLINED;
}


/* In the first tier that has it whole. */

static ngx_int_t
ngx_http_sprox_object_open(ngx_http_sprox_object_t *o)
{
    ngx_int_t  rc;
    u_char     md5[NGX_HTTP_CACHE_KEY_LEN];

    if (ngx_http_sprox_object_key(o, o->index) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_sprox_cache_md5(sprox_buf_get(&o->key), md5);

    if (o->entry_pool == NULL) {
        o->tier = 0;
    }

    for ( ;; ) {

        rc = ngx_http_sprox_object_open_tier(o, md5);

        if (rc == NGX_OK || rc == NGX_AGAIN
            || o->tier + 1 == ngx_http_sprox_tiers(&o->spec))
        {
            return rc;
        }

        if (o->entry_pool) {
            ngx_destroy_pool(o->entry_pool);
            o->entry_pool = NULL;
        }

        o->tier++;
    }
}


static ngx_int_t
ngx_http_sprox_object_open_tier(ngx_http_sprox_object_t *o, u_char *md5)
{
    off_t                        bytes;
    int64_t                      proved;
    ngx_int_t                    rc;
    ngx_uint_t                   several;
    ngx_http_request_t          *r;
    ngx_http_file_cache_t       *cache;
    ngx_http_sprox_cache_use_t   use;

    r = o->request;
    cache = ngx_http_sprox_tier_cache(&o->spec, o->tier);
    several = ngx_http_sprox_tiers(&o->spec) > 1;

    if (o->entry_pool == NULL) {

        if (ngx_http_sprox_object_opened(o, cache, md5) == NGX_OK) {
            return NGX_OK;
        }

        if (several) {

            if (!ngx_http_sprox_cache_peek(cache, md5, &use)) {
                return NGX_DECLINED;
            }

            o->hot = sprox_tier_hot(use.uses, use.used, ngx_time());
        }

        o->entry_pool = ngx_create_pool(4096, r->connection->log);
        if (o->entry_pool == NULL) {
            return NGX_ERROR;
        }

        ngx_memzero(&o->entry, sizeof(ngx_http_sprox_cache_entry_t));
    }

    rc = ngx_http_sprox_cache_open(r, o->entry_pool, cache,
                                   sprox_buf_get(&o->key), &o->entry);

    ngx_http_sprox_object_guard(o, rc == NGX_AGAIN);

    o->bans = ngx_http_sprox_zone_bans_seq();

    if (rc == NGX_OK && !ngx_http_sprox_object_valid(o, o->index, &proved)) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "sprox: cache file \"%V\" does not hold what it should; "
                      "it is fetched again", &o->entry.file.name);
        rc = NGX_DECLINED;
    }

    if (rc == NGX_OK
        && ngx_http_sprox_zone_banned(o->spec.origin, o->spec.bucket,
                                      o->spec.key, proved))
    {
        rc = NGX_DECLINED;
    }

    if (rc == NGX_OK) {
        o->opened = 1;
        ngx_http_sprox_object_hit(o, cache, md5);
        return NGX_OK;
    }

    if (rc == NGX_DECLINED && o->tier + 1 < ngx_http_sprox_tiers(&o->spec)
        && ngx_http_sprox_cache_exists(cache, md5))
    {
        /*
         * Not evicted just now: damaged, or removed by somebody.  No fill
         * will write it anew, as it does in the last tier.
         */

        (void) ngx_http_sprox_cache_delete(cache, sprox_buf_get(&o->key),
                                           r->connection->log, &bytes);
    }

    return rc;
}


/*
 * A worker that is to exit goes when no timer is left, and nginx sets none
 * for a thread that reads: this one keeps the worker until the thread is back.
 */

static void
ngx_http_sprox_object_guard(ngx_http_sprox_object_t *o, ngx_uint_t on)
{
    if (on) {
        o->guard.handler = ngx_http_sprox_object_guarded;
        o->guard.data = o;
        o->guard.log = ngx_cycle->log;

        ngx_add_timer(&o->guard, NGX_HTTP_SPROX_GUARD);

    } else if (o->guard.timer_set) {
        ngx_del_timer(&o->guard);
    }
}


static void
ngx_http_sprox_object_guarded(ngx_event_t *ev)
{
    ngx_add_timer(ev, NGX_HTTP_SPROX_GUARD);
}


/* The slice is open already; its block, with the headers, is not at hand. */

static ngx_int_t
ngx_http_sprox_object_opened(ngx_http_sprox_object_t *o,
    ngx_http_file_cache_t *cache, u_char *md5)
{
    static ngx_str_t  name = ngx_string("slice");

    if (!o->object.headed) {
        return NGX_DECLINED;
    }

    o->open = ngx_http_sprox_open_get(cache, md5);

    if (o->open == NULL) {
        return NGX_DECLINED;
    }

    ngx_memzero(&o->entry, sizeof(ngx_http_sprox_cache_entry_t));

    o->entry.file.fd = o->open->fd;
    o->entry.file.name = name;
    o->entry.base = o->open->base;
    o->entry.length = o->open->length;
    o->opened = 1;

    ngx_http_sprox_object_hit(o, cache, md5);

    return NGX_OK;
}


/*
 * The entry is read.  What this very response has fetched, and is in the cache
 * before it was sent, is no use of the cache.
 */

static void
ngx_http_sprox_object_hit(ngx_http_sprox_object_t *o,
    ngx_http_file_cache_t *cache, u_char *md5)
{
    ngx_uint_t                 own;
    ngx_http_sprox_tier_hit_t  hit;

    own = ngx_http_sprox_object_own(o);

    if (o->open) {
        o->hot = (o->open->uses != 0);
        o->open->uses += !own;

    } else {
        ngx_http_sprox_open_add(cache, md5, &o->entry, !own, o->bans);

        if (own && ngx_http_sprox_tiers(&o->spec) > 1) {
            ngx_http_sprox_cache_unuse(cache, md5);
        }
    }

    hit.spec = &o->spec;
    hit.tier = o->tier;
    hit.key = sprox_buf_get(&o->key);
    hit.md5 = md5;
    hit.entry = &o->entry;
    hit.open = o->open;
    hit.hot = o->hot && !own;

    ngx_http_sprox_tier_hit(&hit);
}


/* The block in the file says that it holds this slice of this version. */

static ngx_uint_t
ngx_http_sprox_object_valid(ngx_http_sprox_object_t *o, uint64_t index,
    int64_t *proved)
{
    uint64_t            length;
    sprox_slice_meta_t  meta;

    if (sprox_slice_meta_read(o->entry.block, &meta) != SPROX_OK) {
        return 0;
    }

    length = sprox_slice_length(index, o->spec.slice, o->object.size);

    if (meta.index != index || meta.slice != o->spec.slice
        || meta.length != length || (uint64_t) o->entry.length != length
        || meta.object.size != o->object.size
        || !sprox_str_eq(meta.object.etag, o->object.etag))
    {
        return 0;
    }

    *proved = meta.object.proved;

    return 1;
}


ngx_uint_t
ngx_http_sprox_object_own(ngx_http_sprox_object_t *o)
{
    return o->own || (o->pos >= o->fill_from && o->pos < o->fill_to);
}


void
ngx_http_sprox_object_lost(ngx_http_sprox_object_t *o)
{
    ngx_http_sprox_object_drop(o);
    sprox_plan_lost(&o->plan, o->index);
}


void
ngx_http_sprox_object_drop(ngx_http_sprox_object_t *o)
{
    ngx_http_sprox_slice_t  *s;

    if (o->slice) {
        s = o->slice;
        o->slice = NULL;
        ngx_http_sprox_loan_return(&o->loan);
        ngx_http_sprox_waiter_unlink(&o->waiter);
        ngx_http_sprox_slice_unuse(s);
        ngx_http_sprox_slice_unref(s);
    }

    if (o->open) {
        ngx_http_sprox_open_unref(o->open);
        o->open = NULL;
    }

    if (o->entry_pool) {
        ngx_destroy_pool(o->entry_pool);
        o->entry_pool = NULL;
    }

    o->opened = 0;
    ngx_http_sprox_object_guard(o, 0);
}


void
ngx_http_sprox_object_drop_all(ngx_http_sprox_object_t *o)
{
    ngx_uint_t               i;
    ngx_http_sprox_slice_t  *s;

    ngx_http_sprox_object_drop(o);

    for (i = 0; i < o->nring; i++) {
        s = o->ring[i];

        if (s) {
            o->ring[i] = NULL;
            ngx_http_sprox_slice_unref(s);
        }
    }

    o->planned = 0;
    o->keyed = 0;
    o->own = 0;
}
