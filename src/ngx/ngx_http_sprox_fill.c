
/*
 * Fills: an origin's bytes into slices, and news to those who wait.
 *
 *   start ---> slices pending
 *     | header: checked against the version that is wanted
 *     v
 *   body ----> slice by slice: file begun, bytes gathered
 *     |          |
 *     |          v (ngx_http_sprox_fill_write.c)
 *     |        written, waiters woken, committed
 *     |
 *     +------> 412, another version, error: what is not whole fails
 *     +------> nobody reads: broken off, or after the slice at hand
 *
 * A fill holds one reference to each of its slices that is not whole.  It
 * comes to its end when its fetch has, and all that came is written.
 */

#include "ngx_http_sprox_fill_private.h"
#include "ngx_http_sprox_metrics.h"
#include "ngx_http_sprox_zone.h"
#include "sprox_plan.h"


#define NGX_HTTP_SPROX_FILL_POOL   1024

/*
 * The first bytes, which came with the header: as much as its buffer holds, at
 * least, and no room was asked for.  A small object is not worth a thread.
 */
#define NGX_HTTP_SPROX_FILL_FIRST  (32 * 1024)


static ngx_int_t ngx_http_sprox_fill_header(ngx_http_sprox_fetch_t *f);
static ngx_int_t ngx_http_sprox_fill_body(ngx_http_sprox_fetch_t *f,
    u_char *p, size_t n);
static void ngx_http_sprox_fill_done(ngx_http_sprox_fetch_t *f, ngx_int_t rc);
static ngx_int_t ngx_http_sprox_fill_ready(ngx_http_sprox_fetch_t *f);
static ngx_int_t ngx_http_sprox_fill_take(ngx_http_sprox_fill_t *fill,
    u_char **p, size_t *n);
static void ngx_http_sprox_fill_give_up(ngx_http_sprox_fill_t *fill,
    ngx_http_sprox_slice_t *s, ngx_http_sprox_slice_end_e how,
    sprox_error_code_t failure);
static ngx_http_sprox_slice_t *ngx_http_sprox_fill_slice(
    ngx_http_sprox_fill_t *fill);
static void ngx_http_sprox_fill_ask(ngx_http_sprox_fill_t *fill,
    off_t start, off_t end);
static void ngx_http_sprox_fill_uncount(ngx_http_sprox_fill_t *fill);
static void ngx_http_sprox_fill_head(ngx_http_sprox_fill_t *fill,
    ngx_http_sprox_slice_t *s);


static const ngx_http_sprox_fetch_handler_t  ngx_http_sprox_fill_handler = {
    ngx_http_sprox_fill_header,
    ngx_http_sprox_fill_body,
    ngx_http_sprox_fill_done
};


static ngx_uint_t  ngx_http_sprox_nfills;


void
ngx_http_sprox_fill_init(void)
{
    ngx_http_sprox_nfills = 0;

    ngx_http_sprox_slice_init();
    ngx_http_sprox_probe_init();
    ngx_http_sprox_fill_write_start();
}


ngx_uint_t
ngx_http_sprox_fills(void)
{
    return ngx_http_sprox_nfills;
}


ngx_http_sprox_fill_t *
ngx_http_sprox_fill_create(ngx_http_sprox_spec_t *spec, sprox_op_t op)
{
    sprox_mem_t              mem;
    ngx_pool_t              *pool;
    ngx_http_sprox_fill_t   *fill;
    ngx_http_sprox_fetch_t  *f;

    pool = ngx_create_pool(NGX_HTTP_SPROX_FILL_POOL, ngx_cycle->log);
    if (pool == NULL) {
        return NULL;
    }

    ngx_http_sprox_mem_pool(&mem, pool);

    f = ngx_http_sprox_fetch_create(spec->origin, ngx_cycle->log);
    if (f == NULL) {
        goto failed;
    }

    fill = ngx_pcalloc(pool, sizeof(ngx_http_sprox_fill_t));
    if (fill == NULL) {
        goto failed;
    }

    fill->pool = pool;
    fill->fetch = f;
    fill->spec = *spec;
    fill->spec.bucket = sprox_str_dup(&mem, spec->bucket);
    fill->spec.key = sprox_str_dup(&mem, spec->key);
    ngx_queue_init(&fill->slices);
    ngx_http_sprox_fill_write_init(fill);

    f->handler = &ngx_http_sprox_fill_handler;
    f->data = fill;
    f->ready = ngx_http_sprox_fill_ready;
    f->req.op = op;
    f->req.bucket = sprox_str_dup(&f->mem, spec->bucket);
    f->req.key = sprox_str_dup(&f->mem, spec->key);

    if (fill->spec.bucket.data == NULL || fill->spec.key.data == NULL
        || f->req.bucket.data == NULL || f->req.key.data == NULL)
    {
        goto failed;
    }

    return fill;

failed:

    if (f) {
        ngx_http_sprox_fetch_cancel(f);
    }

    ngx_destroy_pool(pool);

    return NULL;
}


void
ngx_http_sprox_fill_count(ngx_http_sprox_fill_t *fill)
{
    fill->counted = 1;
    fill->spec.origin->nfills++;
    ngx_http_sprox_nfills++;
    ngx_http_sprox_count_fills(1);
}


static void
ngx_http_sprox_fill_uncount(ngx_http_sprox_fill_t *fill)
{
    if (fill->counted) {
        fill->counted = 0;
        fill->spec.origin->nfills--;
        ngx_http_sprox_nfills--;
        ngx_http_sprox_count_fills(-1);

        if (ngx_http_sprox_nfills == 0) {
            ngx_http_sprox_fill_trim();
        }
    }
}


void
ngx_http_sprox_fill_end(ngx_http_sprox_fill_t *fill,
    ngx_http_sprox_slice_end_e how, sprox_error_code_t failure)
{
    ngx_http_sprox_fetch_t  *f;

    f = fill->fetch;

    if (f) {
        fill->fetch = NULL;
        ngx_http_sprox_fetch_cancel(f);
    }

    fill->how = how;
    fill->failure = failure;
    fill->write.full = 0;

    ngx_http_sprox_fill_leave(fill);

    if (!fill->write.running) {
        ngx_http_sprox_fill_free(fill);
    }
}


void
ngx_http_sprox_fill_free(ngx_http_sprox_fill_t *fill)
{
    ngx_http_sprox_fill_fail(fill, fill->how, fill->failure);
    ngx_http_sprox_fill_uncount(fill);

    if (fill->joined.posted) {
        ngx_delete_posted_event(&fill->joined);
    }

    ngx_destroy_pool(fill->pool);
}


void
ngx_http_sprox_fill_add(ngx_http_sprox_fill_t *fill,
    ngx_http_sprox_slice_t *s)
{
    s->refs++;
    s->fill = fill;
    ngx_queue_insert_tail(&fill->slices, &s->queue);
}


void
ngx_http_sprox_fill_start(ngx_http_sprox_spec_t *spec,
    const sprox_object_t *object, ngx_http_sprox_slice_t **ring,
    ngx_uint_t nring, uint64_t first, uint64_t last)
{
    uint64_t                 i;
    ngx_http_sprox_fill_t   *fill;
    ngx_http_sprox_slice_t  *s;

    fill = ngx_http_sprox_fill_create(spec, SPROX_OP_GET_OBJECT);

    if (fill
        && ngx_http_sprox_object_copy(fill->fetch->pool, &fill->object,
                                      object)
           != NGX_OK)
    {
        ngx_http_sprox_fill_end(fill, NGX_HTTP_SPROX_SLICE_FAILED,
                                SPROX_ERR_INTERNAL_ERROR);
        fill = NULL;
    }

    for (i = first; i <= last; i++) {
        s = ring[i % nring];

        if (fill) {
            ngx_http_sprox_fill_add(fill, s);

        } else {
            s->refs++;
            ngx_http_sprox_slice_fail(s, NGX_HTTP_SPROX_SLICE_FAILED,
                                      SPROX_ERR_INTERNAL_ERROR);
        }
    }

    if (fill) {
        /* until a reader comes to wait for one of them */

        fill->fetch->ahead = 1;

        s = ring[last % nring];
        ngx_http_sprox_fill_ask(fill, ring[first % nring]->start,
                                s->start + s->length);
    }
}


/* Asks for [start, end) of the version that is wanted. */

static void
ngx_http_sprox_fill_ask(ngx_http_sprox_fill_t *fill, off_t start, off_t end)
{
    ngx_http_sprox_fetch_t  *f;

    f = fill->fetch;

    fill->start = start;
    fill->offset = start;
    fill->end = end;

    f->req.range.kind = SPROX_RANGE_FROM_TO;
    f->req.range.first = start;
    f->req.range.last = end - 1;
    f->req.version = fill->object.version;

    if (fill->object.etag.len && fill->object.etag.data[0] == '"') {
        f->req.if_match = fill->object.etag;
    }

    ngx_http_sprox_fill_count(fill);
    ngx_http_sprox_fetch_start(f);
}


void
ngx_http_sprox_fill_unread(ngx_http_sprox_fill_t *fill)
{
    off_t                    there;
    ngx_uint_t               keep;
    ngx_queue_t             *q;
    ngx_http_sprox_slice_t  *s, *first;

    for (q = ngx_queue_head(&fill->slices);
         q != ngx_queue_sentinel(&fill->slices);
         q = ngx_queue_next(q))
    {
        s = ngx_queue_data(q, ngx_http_sprox_slice_t, queue);

        if (ngx_http_sprox_slice_read(s)) {
            return;
        }
    }

    /* those before have come already, and are being written */

    first = ngx_http_sprox_fill_slice(fill);

    if (first == NULL) {
        return;
    }

    there = fill->offset - first->start - first->from;

    if (fill->head) {
        there = fill->offset - first->start + first->length - first->from;
    }

    keep = first->used || sprox_plan_finish(there, first->length);

    do {
        s = ngx_queue_data(ngx_queue_last(&fill->slices),
                           ngx_http_sprox_slice_t, queue);

        if (s == first && keep) {
            return;
        }

        fill->cut = 1;
        fill->end = s->start;

        ngx_http_sprox_fill_give_up(fill, s, NGX_HTTP_SPROX_SLICE_FAILED,
                                    SPROX_ERR_SLOW_DOWN);
    } while (s != first);

    ngx_http_sprox_fill_end(fill, NGX_HTTP_SPROX_SLICE_FAILED,
                            SPROX_ERR_SLOW_DOWN);
}


/* The slice that the next byte is for; NULL: all came. */

static ngx_http_sprox_slice_t *
ngx_http_sprox_fill_slice(ngx_http_sprox_fill_t *fill)
{
    ngx_queue_t             *q;
    ngx_http_sprox_slice_t  *s;

    for (q = ngx_queue_head(&fill->slices);
         q != ngx_queue_sentinel(&fill->slices);
         q = ngx_queue_next(q))
    {
        s = ngx_queue_data(q, ngx_http_sprox_slice_t, queue);

        if (fill->offset < s->start + (fill->head ? s->from : s->length)) {
            return s;
        }
    }

    return NULL;
}


static ngx_int_t
ngx_http_sprox_fill_header(ngx_http_sprox_fetch_t *f)
{
    sprox_rc_t               rc;
    sprox_object_t           object;
    sprox_content_range_t    range;
    ngx_http_sprox_fill_t   *fill;

    fill = f->data;

    if (fill->probe) {
        return ngx_http_sprox_probe_header(f);
    }

    rc = ngx_http_sprox_object_of(f, &f->mem, &object, &range);

    if (rc == SPROX_OK && !sprox_object_same(&object, &fill->object)) {
        ngx_http_sprox_fetch_log(f, NGX_LOG_NOTICE, 0,
                                 "the object was replaced meanwhile");
        (void) ngx_http_sprox_zone_put(fill->spec.origin, fill->spec.bucket,
                                       fill->spec.key, &object);
        ngx_http_sprox_fill_end(fill, NGX_HTTP_SPROX_SLICE_CHANGED,
                                SPROX_ERR_INTERNAL_ERROR);
        return NGX_ERROR;
    }

    if (rc != SPROX_OK || (off_t) range.first != fill->offset
        || (off_t) range.last != fill->end - 1)
    {
        ngx_http_sprox_fetch_log(f, NGX_LOG_ERR, 0,
                      "the origin did not send the range that was asked for");
        ngx_http_sprox_fill_end(fill, NGX_HTTP_SPROX_SLICE_FAILED,
                                SPROX_ERR_BAD_GATEWAY);
        return NGX_ERROR;
    }

    if (!fill->head) {

        /* with the headers, which a listing may not have told */

        fill->object = object;
        ngx_http_sprox_fill_begin(fill);

        (void) ngx_http_sprox_zone_put(fill->spec.origin, fill->spec.bucket,
                                       fill->spec.key, &object);
    }

    return NGX_OK;
}


void
ngx_http_sprox_fill_begin(ngx_http_sprox_fill_t *fill)
{
    ngx_queue_t             *q;
    ngx_http_sprox_slice_t  *s;

    for (q = ngx_queue_head(&fill->slices);
         q != ngx_queue_sentinel(&fill->slices);
         q = ngx_queue_next(q))
    {
        s = ngx_queue_data(q, ngx_http_sprox_slice_t, queue);
        s->begun = 1;
    }
}


static ngx_int_t
ngx_http_sprox_fill_ready(ngx_http_sprox_fetch_t *f)
{
    return ngx_http_sprox_fill_room(f->data);
}


static ngx_int_t
ngx_http_sprox_fill_body(ngx_http_sprox_fetch_t *f, u_char *p, size_t n)
{
    ngx_int_t               rc;
    ngx_uint_t              at_once;
    ngx_http_sprox_fill_t  *fill;

    fill = f->data;

    at_once = fill->offset == fill->start && n <= NGX_HTTP_SPROX_FILL_FIRST
              && ((off_t) n >= fill->end - fill->start
                  || ngx_http_sprox_fill_crowded());

    rc = ngx_http_sprox_fill_take(fill, &p, &n);

    if (rc == NGX_ERROR) {
        ngx_http_sprox_fill_fail(fill, NGX_HTTP_SPROX_SLICE_UNKEPT,
                                 SPROX_ERR_INTERNAL_ERROR);

    } else {
        rc = ngx_http_sprox_fill_flush(fill, at_once);

        if (rc == NGX_ERROR) {
            return NGX_ERROR;
        }

        /* an origin without ranges sends more than is wanted */

        if (n == 0 && (!fill->cut || ngx_http_sprox_fill_slice(fill))) {
            return rc;
        }
    }

    ngx_http_sprox_fill_end(fill, NGX_HTTP_SPROX_SLICE_FAILED,
                            SPROX_ERR_BAD_GATEWAY);

    return NGX_ERROR;
}


/*
 * Bytes into slices.  NGX_OK: all of them, but those behind the last slice,
 * which are left in *p and *n; NGX_ERROR: they cannot be kept.
 */

static ngx_int_t
ngx_http_sprox_fill_take(ngx_http_sprox_fill_t *fill, u_char **p, size_t *n)
{
    off_t                    offset;
    size_t                   part;
    ngx_http_sprox_slice_t  *s;

    while (*n) {

        s = ngx_http_sprox_fill_slice(fill);

        if (s == NULL || fill->offset >= fill->end) {
            return NGX_OK;
        }

        offset = fill->offset - s->start;
        part = ngx_min((off_t) *n,
                       (fill->head ? s->from : s->length) - offset);

        if ((!s->ready
             && ngx_http_sprox_slice_ready(s, &fill->spec, &fill->object,
                                           fill->fetch->log)
                != NGX_OK)
            || ngx_http_sprox_fill_gather(fill, s, *p, part, offset)
               != NGX_OK)
        {
            return NGX_ERROR;
        }

        *p += part;
        *n -= part;
        fill->offset += part;
    }

    return NGX_OK;
}


void
ngx_http_sprox_fill_wrote(ngx_http_sprox_fill_t *fill,
    ngx_http_sprox_slice_t *s, size_t n)
{
    if (fill->head) {
        s->head += n;

    } else {
        s->tail += n;
    }

    if (s->head == s->from && s->tail == s->length) {
        ngx_http_sprox_slice_done(s, &fill->spec, ngx_cycle->log);
        return;
    }

    ngx_http_sprox_wake(&s->waiters);

    if (s->tail == s->length && !fill->head) {

        /* whole but for its head */

        ngx_http_sprox_fill_head(fill, s);
    }
}


/* What lies before the first byte of a suffix: a fill of its own. */

static void
ngx_http_sprox_fill_head(ngx_http_sprox_fill_t *fill,
    ngx_http_sprox_slice_t *s)
{
    ngx_http_sprox_fill_t  *head;

    head = ngx_http_sprox_fill_create(&fill->spec, SPROX_OP_GET_OBJECT);

    if (head == NULL
        || ngx_http_sprox_object_copy(head->fetch->pool, &head->object,
                                      &s->object)
           != NGX_OK)
    {
        if (head) {
            ngx_http_sprox_fill_end(head, NGX_HTTP_SPROX_SLICE_FAILED,
                                    SPROX_ERR_INTERNAL_ERROR);
        }

        ngx_http_sprox_slice_fail(s, NGX_HTTP_SPROX_SLICE_FAILED,
                                  SPROX_ERR_INTERNAL_ERROR);
        return;
    }

    ngx_queue_remove(&s->queue);
    ngx_queue_insert_tail(&head->slices, &s->queue);
    s->fill = head;

    head->head = 1;
    ngx_http_sprox_fill_ask(head, s->start, s->start + s->from);
}


static void
ngx_http_sprox_fill_done(ngx_http_sprox_fetch_t *f, ngx_int_t rc)
{
    sprox_object_t               absent;
    ngx_http_sprox_fill_t       *fill;
    ngx_http_sprox_slice_end_e   how;

    fill = f->data;
    fill->fetch = NULL;
    how = NGX_HTTP_SPROX_SLICE_FAILED;

    if (fill->probe) {
        ngx_http_sprox_probe_refused(f, rc);

    } else if (ngx_http_sprox_fill_slice(fill) == NULL) {

        /* all came, and is written, or will be */

    } else if (rc == NGX_DECLINED && (f->resp.status == 404
                               || f->resp.status == 410
                               || f->resp.status == 412
                               || f->resp.status == 416))
    {
        /*
         * The version is gone: 412 says so; 404 and 410 that there is no
         * other; 416 that what there is now is shorter.
         */

        ngx_memzero(&absent, sizeof(sprox_object_t));
        absent.absent = 1;
        absent.proved = f->sent;

        if (f->resp.status == 404 || f->resp.status == 410) {
            (void) ngx_http_sprox_zone_put(fill->spec.origin,
                                           fill->spec.bucket, fill->spec.key,
                                           &absent);
        } else {
            (void) ngx_http_sprox_zone_remove(fill->spec.origin,
                                              fill->spec.bucket,
                                              fill->spec.key);
        }

        how = NGX_HTTP_SPROX_SLICE_CHANGED;
        f->failure = SPROX_ERR_INTERNAL_ERROR;

    } else if (rc == NGX_OK) {
        ngx_http_sprox_fetch_log(f, NGX_LOG_ERR, 0,
                                 "the body is shorter than its range");
        f->failure = SPROX_ERR_BAD_GATEWAY;

    } else if (rc == NGX_DECLINED) {
        f->failure = f->resp.status == 403 ? SPROX_ERR_ACCESS_DENIED
                     : f->resp.status == 503 || f->resp.status == 429
                     ? SPROX_ERR_SLOW_DOWN : SPROX_ERR_BAD_GATEWAY;
    }

    ngx_http_sprox_fill_end(fill, how, f->failure);
}


void
ngx_http_sprox_fill_fail(ngx_http_sprox_fill_t *fill,
    ngx_http_sprox_slice_end_e how, sprox_error_code_t failure)
{
    ngx_queue_t  *q;

    while (!ngx_queue_empty(&fill->slices)) {
        q = ngx_queue_head(&fill->slices);
        ngx_http_sprox_fill_give_up(fill, ngx_queue_data(q,
                                                 ngx_http_sprox_slice_t,
                                                 queue),
                                    how, failure);
    }
}


static void
ngx_http_sprox_fill_give_up(ngx_http_sprox_fill_t *fill,
    ngx_http_sprox_slice_t *s, ngx_http_sprox_slice_end_e how,
    sprox_error_code_t failure)
{
    ngx_http_sprox_fill_forget(fill, s);
    ngx_http_sprox_slice_fail(s, how, failure);
}
