
/*
 * Probes: the first contact with an object, and the renewal of what is
 * known of it.
 *
 *                HEAD or GET [If-None-Match]
 *   none --------> in flight ----------------> 304: what was known holds
 *                  | | | |                     200, 206: an object; a GET's
 *      others join-+ | | |                          body is its first fill
 *                    | | |                     404, 410: absent
 *                    | | +-- 416: asked again by HEAD, for the size
 *                    | +---- another status: the origin's error
 *                    +------ no answer: failed
 *
 * The waiters get copies of the result in their own pools, so nothing of a
 * probe outlives its end.
 */

#include "ngx_http_sprox_fill_private.h"
#include "ngx_http_sprox_metrics.h"
#include "ngx_http_sprox_tier.h"
#include "ngx_http_sprox_zone.h"


static ngx_uint_t ngx_http_sprox_probe_missed(ngx_http_sprox_spec_t *spec,
    ngx_http_sprox_probe_waiter_t *w);
static void ngx_http_sprox_probe_landed(void *data);
static ngx_int_t ngx_http_sprox_probe_send(ngx_http_sprox_probe_t *probe,
    ngx_http_sprox_spec_t *spec, const sprox_range_t *get);
static void ngx_http_sprox_probe_range(ngx_http_sprox_spec_t *spec,
    const sprox_range_t *get, sprox_range_t *range);
static ngx_int_t ngx_http_sprox_probe_fill(ngx_http_sprox_fill_t *fill,
    const sprox_object_t *object, const sprox_content_range_t *range);
static ngx_int_t ngx_http_sprox_probe_missing(ngx_http_sprox_spec_t *spec,
    const sprox_object_t *object, uint64_t first, uint64_t *last,
    sprox_buf_t *key);
static void ngx_http_sprox_probe_joined(ngx_event_t *ev);
static void ngx_http_sprox_probe_end(ngx_http_sprox_probe_t *probe,
    ngx_http_sprox_probe_waiter_t *result);
static void ngx_http_sprox_probe_deliver(ngx_http_sprox_probe_waiter_t *w,
    ngx_http_sprox_probe_waiter_t *result);


static ngx_rbtree_t       ngx_http_sprox_probes;
static ngx_rbtree_node_t  ngx_http_sprox_probes_sentinel;


void
ngx_http_sprox_probe_init(void)
{
    ngx_rbtree_init(&ngx_http_sprox_probes, &ngx_http_sprox_probes_sentinel,
                    ngx_str_rbtree_insert_value);
}


ngx_int_t
ngx_http_sprox_probe(ngx_http_sprox_spec_t *spec,
    const sprox_object_t *known, const sprox_range_t *get,
    ngx_http_sprox_probe_waiter_t *w)
{
    u_char                  *p;
    ngx_str_t                name;
    ngx_pool_t              *pool;
    ngx_http_sprox_probe_t  *probe;
    u_char                   md5[NGX_HTTP_CACHE_KEY_LEN];

    pool = ngx_create_pool(2048, ngx_cycle->log);
    if (pool == NULL) {
        return NGX_ERROR;
    }

    name.len = spec->origin->name.len + 1 + spec->bucket.len + 1
               + spec->key.len;
    name.data = ngx_pnalloc(pool, name.len);

    if (name.data == NULL) {
        goto failed;
    }

    p = ngx_cpymem(name.data, spec->origin->name.data, spec->origin->name.len);
    *p++ = '\0';
    p = ngx_cpymem(p, spec->bucket.data, spec->bucket.len);
    *p++ = '\0';
    ngx_memcpy(p, spec->key.data, spec->key.len);

    w->result = NGX_HTTP_SPROX_PROBE_WAITING;

    probe = (ngx_http_sprox_probe_t *)
                ngx_http_sprox_table_find(&ngx_http_sprox_probes,
                                          ngx_http_sprox_to_core(name));

    if (probe) {
        ngx_destroy_pool(pool);
        goto join;
    }

    probe = ngx_pcalloc(pool, sizeof(ngx_http_sprox_probe_t));
    if (probe == NULL) {
        goto failed;
    }

    probe->pool = pool;
    probe->node.str = name;
    ngx_queue_init(&probe->waiters);

    if (known) {
        probe->has_known = 1;

        if (ngx_http_sprox_object_copy(pool, &probe->known, known)
            != NGX_OK)
        {
            goto failed;
        }
    }

    ngx_http_sprox_cache_md5(ngx_http_sprox_to_core(name), md5);

    if (!w->alone
        && ngx_http_sprox_flight_claim(&probe->flight, md5) == NGX_BUSY)
    {
        ngx_http_sprox_flight_wait(&probe->flight,
                                   ngx_http_sprox_probe_landed, probe);

    } else if (!w->alone && ngx_http_sprox_probe_missed(spec, w)) {

        ngx_http_sprox_flight_release(&probe->flight);
        ngx_destroy_pool(pool);

        w->result = NGX_HTTP_SPROX_PROBE_LANDED;
        ngx_post_event(&w->waiter.event, &ngx_posted_events);

        return NGX_OK;

    } else if (ngx_http_sprox_probe_send(probe, spec, get) != NGX_OK) {
        ngx_http_sprox_flight_release(&probe->flight);
        goto failed;
    }

    ngx_http_sprox_table_add(&ngx_http_sprox_probes, &probe->node);

join:

    ngx_queue_insert_tail(&probe->waiters, &w->waiter.queue);
    w->waiter.linked = 1;

    return NGX_OK;

failed:

    ngx_destroy_pool(pool);

    return NGX_ERROR;
}


/* Another worker's has landed between the look and the claim. */

static ngx_uint_t
ngx_http_sprox_probe_missed(ngx_http_sprox_spec_t *spec,
    ngx_http_sprox_probe_waiter_t *w)
{
    sprox_object_t  object;
    static uint8_t  buf[SPROX_OBJECT_BUF];

    return w->looked
           && ngx_http_sprox_zone_get(spec->origin, spec->bucket, spec->key,
                                      &object, buf)
              == SPROX_OK
           && object.proved != w->proved && !object.doubted;
}


/* Another worker's probe has ended: what it found is in the catalog. */

static void
ngx_http_sprox_probe_landed(void *data)
{
    ngx_http_sprox_probe_t *probe = data;

    ngx_http_sprox_probe_waiter_t  result;

    ngx_memzero(&result, sizeof(ngx_http_sprox_probe_waiter_t));
    result.result = NGX_HTTP_SPROX_PROBE_LANDED;

    ngx_http_sprox_probe_end(probe, &result);
}


/* One request of a probe: a GET of what is wanted, or a HEAD. */

static ngx_int_t
ngx_http_sprox_probe_send(ngx_http_sprox_probe_t *probe,
    ngx_http_sprox_spec_t *spec, const sprox_range_t *get)
{
    ngx_http_sprox_fill_t   *fill;
    ngx_http_sprox_fetch_t  *f;

    fill = ngx_http_sprox_fill_create(spec, get ? SPROX_OP_GET_OBJECT
                                                : SPROX_OP_HEAD_OBJECT);
    if (fill == NULL) {
        return NGX_ERROR;
    }

    fill->probe = probe;
    f = fill->fetch;

    if (get) {
        ngx_http_sprox_probe_range(spec, get, &f->req.range);
    }

    if (probe->has_known) {
        f->req.if_none_match = probe->known.etag;
        f->req.version = probe->known.version;
    }

    ngx_http_sprox_fetch_start(f);

    return NGX_OK;
}


/*
 * Whole slices that cover the beginning of what is wanted, one run at most.
 * Where a suffix begins is not known before its answer: it is asked for as
 * it is.
 */

static void
ngx_http_sprox_probe_range(ngx_http_sprox_spec_t *spec,
    const sprox_range_t *get, sprox_range_t *range)
{
    uint64_t  first, last;

    if (get->kind == SPROX_RANGE_SUFFIX) {
        *range = *get;
        return;
    }

    first = (get->kind == SPROX_RANGE_NONE) ? 0 : get->first;
    first = sprox_slice_start(sprox_slice_index(first, spec->slice),
                              spec->slice);

    last = first + spec->fill - 1;

    if (get->kind == SPROX_RANGE_FROM_TO && get->last < last) {
        last = sprox_slice_start(sprox_slice_index(get->last, spec->slice),
                                 spec->slice)
               + spec->slice - 1;
    }

    range->kind = SPROX_RANGE_FROM_TO;
    range->first = first;
    range->last = last;
}


ngx_int_t
ngx_http_sprox_probe_header(ngx_http_sprox_fetch_t *f)
{
    sprox_rc_t                      rc;
    ngx_uint_t                      stop, waited;
    sprox_object_t                  object;
    sprox_content_range_t           range;
    ngx_http_sprox_fill_t          *fill;
    ngx_http_sprox_probe_t         *probe;
    ngx_http_sprox_probe_waiter_t   result;

    fill = f->data;
    probe = fill->probe;
    fill->probe = NULL;

    ngx_memzero(&result, sizeof(ngx_http_sprox_probe_waiter_t));

    if (f->resp.status == 304 && probe->has_known) {
        result.result = NGX_HTTP_SPROX_PROBE_OBJECT;
        result.object = probe->known;
        result.object.proved = f->sent;
        result.pinned = sprox_object_pinned(&result.object);
        result.renewed = 1;

        (void) ngx_http_sprox_zone_put(fill->spec.origin, fill->spec.bucket,
                                       fill->spec.key, &result.object);

        ngx_http_sprox_probe_end(probe, &result);

        return NGX_OK;
    }

    rc = ngx_http_sprox_object_of(f, &f->mem, &object, &range);

    stop = 0;

    if (rc == SPROX_OK) {
        result.result = NGX_HTTP_SPROX_PROBE_OBJECT;
        result.object = object;
        result.pinned = sprox_object_pinned(&object);

        if (f->req.op == SPROX_OP_GET_OBJECT) {
            stop = !result.pinned || object.size == 0
                   || ngx_queue_empty(&probe->waiters)
                   || ngx_http_sprox_probe_fill(fill, &object, &range)
                      != NGX_OK;

            if (!stop) {
                result.from = fill->offset;
                result.to = fill->end;
            }
        }

        /* with its slices claimed: who finds it known would fetch them, too */

        (void) ngx_http_sprox_zone_put(fill->spec.origin, fill->spec.bucket,
                                       fill->spec.key, &object);

    } else {
        ngx_http_sprox_fetch_log(f, NGX_LOG_ERR, 0,
                      "the origin did not send the range that was asked for, "
                      "or no length");
        result.result = NGX_HTTP_SPROX_PROBE_FAILED;
        result.failure = SPROX_ERR_BAD_GATEWAY;
        stop = 1;
    }

    waited = ngx_http_sprox_flight_waited(&probe->flight);

    ngx_http_sprox_probe_end(probe, &result);

    if (stop) {
        ngx_http_sprox_fill_end(fill, NGX_HTTP_SPROX_SLICE_FAILED,
                                SPROX_ERR_INTERNAL_ERROR);
        return NGX_ERROR;
    }

    if (f->req.op != SPROX_OP_GET_OBJECT) {
        return NGX_OK;
    }

    ngx_http_sprox_fill_count(fill);

    /* who waited in other workers may come, and is not seen coming */

    if (!waited) {
        fill->joined.handler = ngx_http_sprox_probe_joined;
        fill->joined.data = fill;
        fill->joined.log = f->log;

        ngx_post_event(&fill->joined, &ngx_posted_next_events);
    }

    return NGX_OK;
}


/*
 * Those who waited have had the result: who wants the bytes reads them by
 * now.  Whose condition failed, or who asked by HEAD, does not.
 */

static void
ngx_http_sprox_probe_joined(ngx_event_t *ev)
{
    ngx_http_sprox_fill_t *fill = ev->data;

    if (!ngx_queue_empty(&fill->slices)) {
        ngx_http_sprox_fill_unread(fill);
    }
}


/*
 * The body that follows becomes a fill: slices for what its range covers,
 * up to the first that is in flight.  NGX_DECLINED: nothing to be filled
 * (all is cached or in flight).
 */

static ngx_int_t
ngx_http_sprox_probe_fill(ngx_http_sprox_fill_t *fill,
    const sprox_object_t *object, const sprox_content_range_t *range)
{
    off_t                    end;
    size_t                   slice;
    uint64_t                 i, first, last;
    ngx_int_t                rc;
    sprox_buf_t              key;
    ngx_http_sprox_spec_t   *spec;
    ngx_http_sprox_slice_t  *s;

    spec = &fill->spec;
    slice = spec->slice;
    fill->object = *object;

    first = sprox_slice_index(range->first, slice);
    last = sprox_slice_index(range->last, slice);

    /* a body that ends inside a slice of a longer object cannot make it */

    end = sprox_slice_start(last, slice)
          + sprox_slice_length(last, slice, object->size);

    if (end != (off_t) range->last + 1) {
        if (last == first) {
            return NGX_DECLINED;
        }

        last--;
    }

    /* an origin that knows no ranges sends everything */

    last = ngx_min(last, first + spec->fill / slice);

    sprox_buf_init(&key, &fill->fetch->mem);

    /* what is cached in between is written anew: its bytes pass anyway */

    rc = ngx_http_sprox_probe_missing(spec, object, first, &last, &key);

    if (rc != NGX_OK) {
        return rc;
    }

    for (i = first; i <= last; i++) {

        rc = ngx_http_sprox_slice_look(spec, object, i, 0, &key, &s);

        if (rc == NGX_ERROR) {
            return NGX_ERROR;
        }

        if (rc == NGX_OK) {
            ngx_http_sprox_slice_unref(s);
            break;
        }

        /* its readers come when they have seen the header */

        ngx_http_sprox_fill_add(fill, s);
        s->refs--;

        if (i == first) {
            s->from = range->first - s->start;
            s->tail = s->from;
        }

        fill->end = ngx_min(s->start + s->length, (off_t) range->last + 1);
    }

    fill->start = range->first;
    fill->offset = range->first;
    ngx_http_sprox_fill_begin(fill);

    return ngx_queue_empty(&fill->slices) ? NGX_DECLINED : NGX_OK;
}


/* *last: the last slice that is missing, before the first in flight. */

static ngx_int_t
ngx_http_sprox_probe_missing(ngx_http_sprox_spec_t *spec,
    const sprox_object_t *object, uint64_t first, uint64_t *last,
    sprox_buf_t *key)
{
    uint64_t   i, end;
    ngx_int_t  found;
    u_char     md5[NGX_HTTP_CACHE_KEY_LEN];

    end = *last;
    found = NGX_DECLINED;

    for (i = first; i <= end; i++) {
        key->len = 0;
        sprox_slice_key(key, ngx_http_sprox_to_core(spec->origin->name),
                        spec->bucket, spec->key, object, spec->slice, i);

        if (sprox_buf_rc(key) != SPROX_OK) {
            return NGX_ERROR;
        }

        if (ngx_http_sprox_slice_in_flight(sprox_buf_get(key))) {
            break;
        }

        ngx_http_sprox_cache_md5(sprox_buf_get(key), md5);

        if (!ngx_http_sprox_tier_exists(spec, md5)) {
            *last = i;
            found = NGX_OK;
        }
    }

    return found;
}


/* The probe's fetch ended without an answer that tells of an object. */

void
ngx_http_sprox_probe_refused(ngx_http_sprox_fetch_t *f, ngx_int_t rc)
{
    int                             status;
    sprox_object_t                  absent;
    ngx_http_sprox_fill_t          *fill;
    ngx_http_sprox_probe_t         *probe;
    ngx_http_sprox_probe_waiter_t   result;

    fill = f->data;
    probe = fill->probe;
    fill->probe = NULL;
    status = f->resp.status;

    ngx_memzero(&result, sizeof(ngx_http_sprox_probe_waiter_t));

    if (rc == NGX_ERROR) {
        result.result = NGX_HTTP_SPROX_PROBE_FAILED;
        result.failure = f->failure;
        result.outage = (f->failure != SPROX_ERR_INTERNAL_ERROR);

        ngx_http_sprox_probe_end(probe, &result);
        return;
    }

    if (status == 416 && f->req.op == SPROX_OP_GET_OBJECT) {

        /* beyond the end, or an empty object: a HEAD tells which */

        if (ngx_http_sprox_probe_send(probe, &fill->spec, NULL) == NGX_OK) {
            return;
        }

        result.result = NGX_HTTP_SPROX_PROBE_FAILED;
        result.failure = SPROX_ERR_INTERNAL_ERROR;

        ngx_http_sprox_probe_end(probe, &result);
        return;
    }

    if ((status == 404 || status == 410)
        && (f->error.code.len == 0
            || sprox_str_eq(f->error.code, sprox_str_lit("NoSuchKey"))
            || sprox_str_eq(f->error.code, sprox_str_lit("MethodNotAllowed"))))
    {
        ngx_memzero(&absent, sizeof(sprox_object_t));
        absent.absent = 1;
        absent.proved = f->sent;

        (void) ngx_http_sprox_zone_put(fill->spec.origin, fill->spec.bucket,
                                       fill->spec.key, &absent);

        result.result = NGX_HTTP_SPROX_PROBE_ABSENT;

    } else {
        result.result = NGX_HTTP_SPROX_PROBE_ERROR;
        result.status = status;
        result.error = f->error;
        result.outage = (status >= 500 || status == 429);
    }

    ngx_http_sprox_probe_end(probe, &result);
}


static void
ngx_http_sprox_probe_end(ngx_http_sprox_probe_t *probe,
    ngx_http_sprox_probe_waiter_t *result)
{
    ngx_queue_t  *q;

    ngx_rbtree_delete(&ngx_http_sprox_probes, &probe->node.node);

    /* the catalog knows by now */

    ngx_http_sprox_flight_release(&probe->flight);

    for (q = ngx_queue_head(&probe->waiters);
         q != ngx_queue_sentinel(&probe->waiters);
         q = ngx_queue_next(q))
    {
        ngx_http_sprox_probe_deliver(ngx_queue_data(q,
                                         ngx_http_sprox_probe_waiter_t,
                                         waiter.queue),
                                     result);
    }

    ngx_http_sprox_wake(&probe->waiters);

    ngx_destroy_pool(probe->pool);
}


static void
ngx_http_sprox_probe_deliver(ngx_http_sprox_probe_waiter_t *w,
    ngx_http_sprox_probe_waiter_t *result)
{
    sprox_mem_t  mem;

    w->result = result->result;
    w->pinned = result->pinned;
    w->renewed = result->renewed;
    w->outage = result->outage;
    w->status = result->status;
    w->failure = result->failure;
    w->from = result->from;
    w->to = result->to;

    ngx_http_sprox_mem_pool(&mem, w->pool);
    ngx_memzero(&w->error, sizeof(sprox_error_t));

    if (result->result == NGX_HTTP_SPROX_PROBE_OBJECT) {

        if (ngx_http_sprox_object_copy(w->pool, &w->object, &result->object)
            == NGX_OK)
        {
            return;
        }

    } else if (result->error.code.len) {
        w->error.code = sprox_str_dup(&mem, result->error.code);
        w->error.message = sprox_str_dup(&mem, result->error.message);

        if (w->error.code.data && w->error.message.data) {
            return;
        }

    } else {
        return;
    }

    w->result = NGX_HTTP_SPROX_PROBE_FAILED;
    w->failure = SPROX_ERR_INTERNAL_ERROR;
    w->outage = 0;
}


sprox_rc_t
ngx_http_sprox_object_of(ngx_http_sprox_fetch_t *f, const sprox_mem_t *mem,
    sprox_object_t *object, sprox_content_range_t *range)
{
    sprox_origin_resp_t  *resp;

    resp = &f->resp;

    ngx_memzero(object, sizeof(sprox_object_t));
    ngx_memzero(range, sizeof(sprox_content_range_t));

    if (resp->status == 206) {

        if (sprox_content_range_parse(resp->content_range, range) != SPROX_OK
            || !range->satisfied || !range->total_known
            || (resp->content_length >= 0
                && (uint64_t) resp->content_length
                   != range->last - range->first + 1))
        {
            return SPROX_INVALID;
        }

        if (f->req.range.kind == SPROX_RANGE_FROM_TO
            && (range->first != f->req.range.first
                || range->last != ngx_min(f->req.range.last,
                                          range->total - 1)))
        {
            return SPROX_INVALID;
        }

        if (f->req.range.kind == SPROX_RANGE_SUFFIX
            && (range->last != range->total - 1
                || range->last - range->first + 1
                   != ngx_min(f->req.range.last, range->total)))
        {
            return SPROX_INVALID;
        }

    } else {

        if (resp->status != 200 || resp->content_length < 0) {
            return SPROX_INVALID;
        }

        range->total = resp->content_length;
        range->last = range->total ? range->total - 1 : 0;
    }

    /* a size that is made up would keep a purge busy for days */

    if (range->total > SPROX_OBJECT_SIZE_MAX) {
        return SPROX_INVALID;
    }

    object->size = range->total;
    object->last_modified = resp->last_modified >= 0
                            ? resp->last_modified * 1000 : 0;
    object->proved = f->sent;
    object->etag = sprox_str_dup(mem, resp->etag);
    object->storage_class = sprox_str_dup(mem, resp->storage_class);
    object->version = sprox_str_dup(mem, resp->version);
    object->headers = sprox_str_dup(mem, sprox_buf_get(&resp->keep));
    object->headed = 1;
    object->settled = sprox_origin_settled(resp);

    if (object->etag.data == NULL || object->storage_class.data == NULL
        || object->version.data == NULL || object->headers.data == NULL)
    {
        return SPROX_NOMEM;
    }

    return SPROX_OK;
}


ngx_int_t
ngx_http_sprox_object_copy(ngx_pool_t *pool, sprox_object_t *to,
    const sprox_object_t *from)
{
    sprox_mem_t  mem;

    ngx_http_sprox_mem_pool(&mem, pool);

    *to = *from;

    /* what is put again leaves the catalog's own sequencer as it is */

    to->sequencer = sprox_str_null;
    to->etag = sprox_str_dup(&mem, from->etag);
    to->storage_class = sprox_str_dup(&mem, from->storage_class);
    to->version = sprox_str_dup(&mem, from->version);
    to->headers = sprox_str_dup(&mem, from->headers);

    if (to->etag.data == NULL || to->storage_class.data == NULL
        || to->version.data == NULL || to->headers.data == NULL)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}
