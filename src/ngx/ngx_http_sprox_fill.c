
/*
 * Fills: an origin's bytes into slice files, and news to those who wait.
 *
 *   start ---> slices pending (in the table, no file yet)
 *     | header: checked against the version that is wanted
 *     v
 *   slices ready (files open) --- body ---> bytes written, waiters woken
 *     |                                        |
 *     |  412, another version, error           | slice whole
 *     v                                        v
 *   failed: off the table, waiters woken     committed: off the table
 *
 * A fill holds one reference to each of its slices, so do their readers; a
 * slice's pool (name, descriptor, temporary file) goes with the last.
 */

#include "ngx_http_sprox_fill_private.h"
#include "ngx_http_sprox_metrics.h"
#include "ngx_http_sprox_zone.h"


static void ngx_http_sprox_slice_done(ngx_http_sprox_slice_t *s);
static void ngx_http_sprox_slice_fail(ngx_http_sprox_slice_t *s,
    sprox_error_code_t failure, ngx_uint_t changed);
static void ngx_http_sprox_slice_leave(ngx_http_sprox_slice_t *s);

static ngx_int_t ngx_http_sprox_fill_header(ngx_http_sprox_fetch_t *f);
static ngx_int_t ngx_http_sprox_fill_body(ngx_http_sprox_fetch_t *f,
    u_char *p, size_t n);
static void ngx_http_sprox_fill_done(ngx_http_sprox_fetch_t *f, ngx_int_t rc);
static void ngx_http_sprox_fill_head(ngx_http_sprox_fill_t *fill,
    ngx_http_sprox_slice_t *s);


static const ngx_http_sprox_fetch_handler_t  ngx_http_sprox_fill_handler = {
    ngx_http_sprox_fill_header,
    ngx_http_sprox_fill_body,
    ngx_http_sprox_fill_done
};


static ngx_rbtree_t       ngx_http_sprox_slices;
static ngx_rbtree_node_t  ngx_http_sprox_slices_sentinel;


void
ngx_http_sprox_fill_init(void)
{
    ngx_rbtree_init(&ngx_http_sprox_slices, &ngx_http_sprox_slices_sentinel,
                    ngx_str_rbtree_insert_value);
    ngx_http_sprox_probe_init();
}


ngx_str_node_t *
ngx_http_sprox_table_find(ngx_rbtree_t *table, sprox_str_t key)
{
    ngx_str_t  name;

    name = ngx_http_sprox_to_ngx(key);

    return ngx_str_rbtree_lookup(table, &name,
                                 ngx_crc32_long(name.data, name.len));
}


void
ngx_http_sprox_table_add(ngx_rbtree_t *table, ngx_str_node_t *node)
{
    node->node.key = ngx_crc32_long(node->str.data, node->str.len);
    ngx_rbtree_insert(table, &node->node);
}


void
ngx_http_sprox_waiter_unlink(ngx_http_sprox_waiter_t *w)
{
    if (w->linked) {
        w->linked = 0;
        ngx_queue_remove(&w->queue);
    }

    if (w->event.posted) {
        ngx_delete_posted_event(&w->event);
    }
}


void
ngx_http_sprox_wake(ngx_queue_t *waiters)
{
    ngx_queue_t              *q;
    ngx_http_sprox_waiter_t  *w;

    while (!ngx_queue_empty(waiters)) {
        q = ngx_queue_head(waiters);
        ngx_queue_remove(q);

        w = ngx_queue_data(q, ngx_http_sprox_waiter_t, queue);
        w->linked = 0;

        ngx_post_event(&w->event, &ngx_posted_events);
    }
}


/* Slices */


ngx_http_sprox_slice_t *
ngx_http_sprox_slice_find(sprox_str_t key)
{
    ngx_http_sprox_slice_t  *s;

    s = (ngx_http_sprox_slice_t *)
            ngx_http_sprox_table_find(&ngx_http_sprox_slices, key);

    if (s) {
        s->refs++;
    }

    return s;
}


ngx_uint_t
ngx_http_sprox_slice_in_flight(sprox_str_t key)
{
    return ngx_http_sprox_table_find(&ngx_http_sprox_slices, key) != NULL;
}


void
ngx_http_sprox_slice_unref(ngx_http_sprox_slice_t *s)
{
    if (--s->refs == 0) {
        ngx_destroy_pool(s->pool);
    }
}


off_t
ngx_http_sprox_slice_available(ngx_http_sprox_slice_t *s, off_t offset)
{
    if (s->head == s->from) {
        return s->tail - offset;
    }

    if (offset >= s->from) {
        return ngx_max(s->tail - offset, 0);
    }

    return ngx_max(s->head - offset, 0);
}


void
ngx_http_sprox_slice_wait(ngx_http_sprox_slice_t *s,
    ngx_http_sprox_waiter_t *w)
{
    if (!w->linked) {
        w->linked = 1;
        ngx_queue_insert_tail(&s->waiters, &w->queue);
    }
}


ngx_http_sprox_slice_t *
ngx_http_sprox_slice_create(ngx_http_sprox_fill_t *fill, uint64_t index)
{
    sprox_buf_t              key;
    sprox_mem_t              mem;
    ngx_pool_t              *pool;
    ngx_http_sprox_spec_t   *spec;
    ngx_http_sprox_slice_t  *s;

    spec = &fill->spec;

    pool = ngx_create_pool(4096, fill->fetch->log);
    if (pool == NULL) {
        return NULL;
    }

    s = ngx_pcalloc(pool, sizeof(ngx_http_sprox_slice_t));
    if (s == NULL) {
        goto failed;
    }

    ngx_http_sprox_mem_pool(&mem, pool);
    sprox_buf_init(&key, &mem);

    sprox_slice_key(&key, ngx_http_sprox_to_core(spec->origin->name),
                    spec->bucket, spec->key, &fill->object, spec->slice,
                    index);

    if (sprox_buf_rc(&key) != SPROX_OK) {
        goto failed;
    }

    s->node.str = ngx_http_sprox_to_ngx(sprox_buf_get(&key));
    s->pool = pool;
    s->refs = 1;
    s->start = sprox_slice_start(index, spec->slice);
    s->length = sprox_slice_length(index, spec->slice, fill->object.size);
    ngx_queue_init(&s->waiters);

    s->in_table = 1;
    ngx_http_sprox_table_add(&ngx_http_sprox_slices, &s->node);

    ngx_queue_insert_tail(&fill->slices, &s->queue);

    return s;

failed:

    ngx_destroy_pool(pool);

    return NULL;
}


ngx_int_t
ngx_http_sprox_slice_ready(ngx_http_sprox_fill_t *fill,
    ngx_http_sprox_slice_t *s, const sprox_object_t *object)
{
    sprox_buf_t         block;
    sprox_mem_t         mem;
    sprox_slice_meta_t  meta;

    if (ngx_http_sprox_object_copy(s->pool, &s->object, object) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_memzero(&meta, sizeof(sprox_slice_meta_t));

    meta.object = s->object;
    meta.slice = fill->spec.slice;
    meta.index = sprox_slice_index(s->start, fill->spec.slice);
    meta.length = s->length;

    ngx_http_sprox_mem_pool(&mem, s->pool);
    sprox_buf_init(&block, &mem);

    if (sprox_slice_meta_write(&block, &meta) != SPROX_OK) {
        return NGX_ERROR;
    }

    if (ngx_http_sprox_cache_create(&s->writer, s->pool, fill->fetch->log,
                                    fill->spec.cache,
                                    ngx_http_sprox_to_core(s->node.str),
                                    sprox_buf_get(&block), 0)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    s->ready = 1;

    return NGX_OK;
}


/* Off the table and out of the fill, which lets go of it. */

static void
ngx_http_sprox_slice_leave(ngx_http_sprox_slice_t *s)
{
    if (s->in_table) {
        s->in_table = 0;
        ngx_rbtree_delete(&ngx_http_sprox_slices, &s->node.node);
    }

    ngx_queue_remove(&s->queue);

    ngx_http_sprox_wake(&s->waiters);
    ngx_http_sprox_slice_unref(s);
}


static void
ngx_http_sprox_slice_done(ngx_http_sprox_slice_t *s)
{
    s->done = 1;
    ngx_http_sprox_cache_commit(&s->writer);
    ngx_http_sprox_slice_leave(s);
}


static void
ngx_http_sprox_slice_fail(ngx_http_sprox_slice_t *s,
    sprox_error_code_t failure, ngx_uint_t changed)
{
    s->failed = 1;
    s->failure = failure;
    s->changed = changed;
    ngx_http_sprox_cache_abort(&s->writer);
    ngx_http_sprox_slice_leave(s);
}


/* Fills */


ngx_http_sprox_fill_t *
ngx_http_sprox_fill_create(ngx_http_sprox_spec_t *spec, sprox_op_t op)
{
    ngx_http_sprox_fill_t   *fill;
    ngx_http_sprox_fetch_t  *f;

    f = ngx_http_sprox_fetch_create(spec->origin, ngx_cycle->log);
    if (f == NULL) {
        return NULL;
    }

    fill = ngx_pcalloc(f->pool, sizeof(ngx_http_sprox_fill_t));
    if (fill == NULL) {
        goto failed;
    }

    fill->fetch = f;
    fill->spec = *spec;
    fill->spec.bucket = sprox_str_dup(&f->mem, spec->bucket);
    fill->spec.key = sprox_str_dup(&f->mem, spec->key);
    ngx_queue_init(&fill->slices);

    if (fill->spec.bucket.data == NULL || fill->spec.key.data == NULL) {
        goto failed;
    }

    f->handler = &ngx_http_sprox_fill_handler;
    f->data = fill;
    f->req.op = op;
    f->req.bucket = fill->spec.bucket;
    f->req.key = fill->spec.key;

    return fill;

failed:

    ngx_http_sprox_fetch_cancel(f);

    return NULL;
}


ngx_int_t
ngx_http_sprox_fill_start(ngx_http_sprox_spec_t *spec,
    const sprox_object_t *object, uint64_t index, uint64_t end, uint64_t *to)
{
    off_t                    limit;
    uint64_t                 i, last;
    sprox_buf_t              key;
    ngx_http_sprox_fill_t   *fill;
    ngx_http_sprox_fetch_t  *f;
    u_char                   md5[NGX_HTTP_CACHE_KEY_LEN];

    fill = ngx_http_sprox_fill_create(spec, SPROX_OP_GET_OBJECT);
    if (fill == NULL) {
        return NGX_ERROR;
    }

    f = fill->fetch;

    if (ngx_http_sprox_object_copy(f->pool, &fill->object, object) != NGX_OK) {
        goto failed;
    }

    end = ngx_min(end, object->size);
    last = sprox_slice_index(end - 1, spec->slice);
    last = ngx_min(last, index + spec->fill / spec->slice - 1);

    sprox_buf_init(&key, &f->mem);

    for (i = index; i <= last; i++) {

        if (i != index) {
            key.len = 0;
            sprox_slice_key(&key, ngx_http_sprox_to_core(spec->origin->name),
                            spec->bucket, spec->key, object, spec->slice, i);

            if (sprox_buf_rc(&key) != SPROX_OK) {
                goto failed;
            }

            ngx_http_sprox_cache_md5(sprox_buf_get(&key), md5);

            if (ngx_http_sprox_slice_in_flight(sprox_buf_get(&key))
                || ngx_http_sprox_cache_exists(spec->cache, md5))
            {
                break;
            }
        }

        if (ngx_http_sprox_slice_create(fill, i) == NULL) {
            goto failed;
        }
    }

    limit = ngx_min(sprox_slice_start(i, spec->slice), object->size);

    fill->offset = sprox_slice_start(index, spec->slice);
    fill->end = limit;
    *to = limit;

    f->req.range.kind = SPROX_RANGE_FROM_TO;
    f->req.range.first = fill->offset;
    f->req.range.last = limit - 1;
    f->req.version = fill->object.version;

    if (fill->object.etag.len && fill->object.etag.data[0] == '"') {
        f->req.if_match = fill->object.etag;
    }

    fill->counted = 1;
    ngx_http_sprox_count_fills(1);
    ngx_http_sprox_fetch_start(f);

    return NGX_OK;

failed:

    while (!ngx_queue_empty(&fill->slices)) {
        ngx_http_sprox_slice_fail(ngx_queue_data(
                                      ngx_queue_head(&fill->slices),
                                      ngx_http_sprox_slice_t, queue),
                                  SPROX_ERR_INTERNAL_ERROR, 0);
    }

    ngx_http_sprox_fetch_cancel(f);

    return NGX_ERROR;
}


static ngx_int_t
ngx_http_sprox_fill_header(ngx_http_sprox_fetch_t *f)
{
    sprox_rc_t               rc;
    ngx_queue_t             *q;
    sprox_object_t           object;
    sprox_content_range_t    range;
    ngx_http_sprox_fill_t   *fill;
    ngx_http_sprox_slice_t  *s;

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
        ngx_http_sprox_fill_fail(fill, SPROX_ERR_INTERNAL_ERROR, 1);
        ngx_http_sprox_count_fills(-1);
        ngx_http_sprox_fetch_cancel(f);
        return NGX_ERROR;
    }

    if (rc != SPROX_OK || (off_t) range.first != fill->offset
        || (off_t) range.last != fill->end - 1)
    {
        ngx_http_sprox_fetch_log(f, NGX_LOG_ERR, 0,
                      "the origin did not send the range that was asked for");
        goto failed;
    }

    if (!fill->head) {
        (void) ngx_http_sprox_zone_put(fill->spec.origin, fill->spec.bucket,
                                       fill->spec.key, &object);

        for (q = ngx_queue_head(&fill->slices);
             q != ngx_queue_sentinel(&fill->slices);
             q = ngx_queue_next(q))
        {
            s = ngx_queue_data(q, ngx_http_sprox_slice_t, queue);

            if (ngx_http_sprox_slice_ready(fill, s, &object) != NGX_OK) {
                goto failed;
            }

            ngx_http_sprox_wake(&s->waiters);
        }
    }

    return NGX_OK;

failed:

    ngx_http_sprox_fill_fail(fill, SPROX_ERR_BAD_GATEWAY, 0);
    ngx_http_sprox_count_fills(-1);
    ngx_http_sprox_fetch_cancel(f);

    return NGX_ERROR;
}


static ngx_int_t
ngx_http_sprox_fill_body(ngx_http_sprox_fetch_t *f, u_char *p, size_t n)
{
    off_t                    off;
    size_t                   part;
    ngx_http_sprox_fill_t   *fill;
    ngx_http_sprox_slice_t  *s;

    fill = f->data;

    while (n) {

        if (ngx_queue_empty(&fill->slices) || fill->offset >= fill->end) {

            /* an origin without ranges sends more than is wanted */

            ngx_http_sprox_count_fills(-1);
            ngx_http_sprox_fetch_cancel(f);
            return NGX_ERROR;
        }

        s = ngx_queue_data(ngx_queue_head(&fill->slices),
                           ngx_http_sprox_slice_t, queue);

        off = fill->offset - s->start;
        part = ngx_min((off_t) n, (fill->head ? s->from : s->length) - off);

        if (ngx_http_sprox_cache_write(&s->writer, p, part, off) != NGX_OK) {
            ngx_http_sprox_fill_fail(fill, SPROX_ERR_INTERNAL_ERROR, 0);
            ngx_http_sprox_count_fills(-1);
            ngx_http_sprox_fetch_cancel(f);
            return NGX_ERROR;
        }

        p += part;
        n -= part;
        fill->offset += part;

        if (fill->head) {
            s->head += part;

        } else {
            s->tail += part;
        }

        if (s->head == s->from && s->tail == s->length) {
            ngx_http_sprox_slice_done(s);
            continue;
        }

        ngx_http_sprox_wake(&s->waiters);

        if (s->tail == s->length && !fill->head) {

            /* whole but for its head */

            ngx_http_sprox_fill_head(fill, s);
        }
    }

    return NGX_OK;
}


/* What lies before the first byte of a suffix: a fill of its own. */

static void
ngx_http_sprox_fill_head(ngx_http_sprox_fill_t *fill,
    ngx_http_sprox_slice_t *s)
{
    ngx_http_sprox_fill_t   *head;
    ngx_http_sprox_fetch_t  *f;

    ngx_queue_remove(&s->queue);

    head = ngx_http_sprox_fill_create(&fill->spec, SPROX_OP_GET_OBJECT);

    if (head == NULL
        || ngx_http_sprox_object_copy(head->fetch->pool, &head->object,
                                      &s->object)
           != NGX_OK)
    {
        if (head) {
            ngx_http_sprox_fetch_cancel(head->fetch);
        }

        ngx_queue_insert_head(&fill->slices, &s->queue);
        ngx_http_sprox_slice_fail(s, SPROX_ERR_INTERNAL_ERROR, 0);
        return;
    }

    ngx_queue_insert_tail(&head->slices, &s->queue);

    head->head = 1;
    head->offset = s->start;
    head->end = s->start + s->from;

    f = head->fetch;
    f->req.range.kind = SPROX_RANGE_FROM_TO;
    f->req.range.first = head->offset;
    f->req.range.last = head->end - 1;
    f->req.version = head->object.version;

    if (head->object.etag.len && head->object.etag.data[0] == '"') {
        f->req.if_match = head->object.etag;
    }

    head->counted = 1;
    ngx_http_sprox_count_fills(1);
    ngx_http_sprox_fetch_start(f);
}


static void
ngx_http_sprox_fill_done(ngx_http_sprox_fetch_t *f, ngx_int_t rc)
{
    sprox_object_t          absent;
    ngx_http_sprox_fill_t  *fill;

    fill = f->data;

    if (fill->probe) {
        ngx_http_sprox_probe_refused(f, rc);
        return;
    }

    if (fill->counted) {
        ngx_http_sprox_count_fills(-1);
    }

    if (ngx_queue_empty(&fill->slices)) {
        return;
    }

    if (rc == NGX_DECLINED && (f->resp.status == 404
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

        ngx_http_sprox_fill_fail(fill, SPROX_ERR_INTERNAL_ERROR, 1);
        return;
    }

    if (rc == NGX_OK) {
        ngx_http_sprox_fetch_log(f, NGX_LOG_ERR, 0,
                                 "the body is shorter than its range");
        f->failure = SPROX_ERR_BAD_GATEWAY;

    } else if (rc == NGX_DECLINED) {
        f->failure = f->resp.status == 403 ? SPROX_ERR_ACCESS_DENIED
                     : f->resp.status == 503 || f->resp.status == 429
                     ? SPROX_ERR_SLOW_DOWN : SPROX_ERR_BAD_GATEWAY;
    }

    ngx_http_sprox_fill_fail(fill, f->failure, 0);
}


void
ngx_http_sprox_fill_fail(ngx_http_sprox_fill_t *fill,
    sprox_error_code_t failure, ngx_uint_t changed)
{
    ngx_queue_t  *q;

    while (!ngx_queue_empty(&fill->slices)) {
        q = ngx_queue_head(&fill->slices);
        ngx_http_sprox_slice_fail(ngx_queue_data(q, ngx_http_sprox_slice_t,
                                                 queue),
                                  failure, changed);
    }
}
