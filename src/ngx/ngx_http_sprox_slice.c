
/*
 * Slices in flight: the table of this worker, and those who read along.
 *
 *   look ---> missing ---> pending ---> ready ---> done: in the cache
 *     |       (its first    (in a fill,  (file      ^
 *     |        reader's)     no file)     open)     |
 *     |          |              |           |       |
 *     |          +--------------+-----------+-------+--> failed
 *     |                                             |
 *     +-----> remote: another worker's -------------+
 *
 * What is done stays open for those who read it, and some of it for those who
 * have not come to it yet; the rest of these open it in the cache.
 *
 * A slice's pool (name, descriptor, temporary file) goes with the last
 * reference: one of each reader, one of its fill; of a remote slice, one of
 * the wait for the other worker.  Pieces that a thread writes are no readers,
 * but the pool, and in it the descriptor, waits for them.
 */

#include "ngx_http_sprox_fill_private.h"
#include "ngx_http_sprox_tier.h"
#include "ngx_http_sprox_zone.h"


#define NGX_HTTP_SPROX_SLICE_POOL   1024


static ngx_http_sprox_slice_t *ngx_http_sprox_slice_create(
    ngx_http_sprox_spec_t *spec, const sprox_object_t *object,
    uint64_t index, sprox_str_t key);
static void ngx_http_sprox_slice_landed(void *data);
static void ngx_http_sprox_slice_keep(ngx_http_sprox_slice_t *s);
static void ngx_http_sprox_slice_leave(ngx_http_sprox_slice_t *s);
static void ngx_http_sprox_slice_forget(ngx_http_sprox_slice_t *s);


/*
 * Readers of a slice that bytes are lent to: for a crowd, sending a file's
 * pages costs less than copying.
 */
#define NGX_HTTP_SPROX_BORROWERS    4

/*
 * Files of a worker that are whole and wait for their readers: beyond that,
 * slow clients would take all its descriptors for what was read ahead.
 */
#define NGX_HTTP_SPROX_SLICES_KEPT  64


static ngx_rbtree_t       ngx_http_sprox_slices;
static ngx_rbtree_node_t  ngx_http_sprox_slices_sentinel;
static ngx_uint_t         ngx_http_sprox_nslices;
static ngx_uint_t         ngx_http_sprox_nkept;


void
ngx_http_sprox_slice_init(void)
{
    ngx_rbtree_init(&ngx_http_sprox_slices, &ngx_http_sprox_slices_sentinel,
                    ngx_str_rbtree_insert_value);
    ngx_http_sprox_nslices = 0;
    ngx_http_sprox_nkept = 0;
}


ngx_uint_t
ngx_http_sprox_slices_made(void)
{
    return ngx_http_sprox_nslices;
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


ngx_int_t
ngx_http_sprox_slice_look(ngx_http_sprox_spec_t *spec,
    const sprox_object_t *object, uint64_t index, ngx_uint_t look,
    sprox_buf_t *key, ngx_http_sprox_slice_t **slice)
{
    ngx_http_sprox_slice_t  *s;
    u_char                   md5[NGX_HTTP_CACHE_KEY_LEN];

    key->len = 0;
    sprox_slice_key(key, ngx_http_sprox_to_core(spec->origin->name),
                    spec->bucket, spec->key, object, spec->slice, index);

    if (sprox_buf_rc(key) != SPROX_OK) {
        return NGX_ERROR;
    }

    s = ngx_http_sprox_slice_find(sprox_buf_get(key));

    if (s) {
        *slice = s;
        return NGX_OK;
    }

    ngx_http_sprox_cache_md5(sprox_buf_get(key), md5);

    if (look && ngx_http_sprox_tier_exists(spec, md5)) {
        return NGX_DECLINED;
    }

    s = ngx_http_sprox_slice_create(spec, object, index, sprox_buf_get(key));
    if (s == NULL) {
        return NGX_ERROR;
    }

    *slice = s;

    if (ngx_http_sprox_flight_claim(&s->flight, md5) == NGX_BUSY) {
        s->remote = 1;
        s->refs++;
        ngx_http_sprox_flight_wait(&s->flight, ngx_http_sprox_slice_landed,
                                   s);
        return NGX_OK;
    }

    /* it may have landed between the look and the claim */

    if (look && ngx_http_sprox_tier_exists(spec, md5)) {
        ngx_http_sprox_slice_unref(s);
        return NGX_DECLINED;
    }

    return NGX_AGAIN;
}


static ngx_http_sprox_slice_t *
ngx_http_sprox_slice_create(ngx_http_sprox_spec_t *spec,
    const sprox_object_t *object, uint64_t index, sprox_str_t key)
{
    ngx_str_t                name;
    ngx_pool_t              *pool;
    ngx_http_sprox_slice_t  *s;

    pool = ngx_create_pool(NGX_HTTP_SPROX_SLICE_POOL, ngx_cycle->log);
    if (pool == NULL) {
        return NULL;
    }

    name = ngx_http_sprox_to_ngx(key);

    s = ngx_pcalloc(pool, sizeof(ngx_http_sprox_slice_t));

    if (s) {
        s->node.str.len = name.len;
        s->node.str.data = ngx_pstrdup(pool, &name);
    }

    if (s == NULL || s->node.str.data == NULL) {
        ngx_destroy_pool(pool);
        return NULL;
    }

    s->pool = pool;
    s->refs = 1;
    s->number = ++ngx_http_sprox_nslices;
    s->start = sprox_slice_start(index, spec->slice);
    s->length = sprox_slice_length(index, spec->slice, object->size);
    ngx_queue_init(&s->waiters);
    ngx_queue_init(&s->pieces);

    s->in_table = 1;
    ngx_http_sprox_table_add(&ngx_http_sprox_slices, &s->node);

    return s;
}


static void
ngx_http_sprox_slice_landed(void *data)
{
    ngx_http_sprox_slice_t *s = data;

    s->done = 1;
    ngx_http_sprox_slice_leave(s);
}


void
ngx_http_sprox_slice_unref(ngx_http_sprox_slice_t *s)
{
    s->refs--;

    if (s->refs == 0) {
        ngx_http_sprox_slice_forget(s);
        ngx_http_sprox_nkept -= s->kept;

        if (ngx_queue_empty(&s->pieces)) {
            ngx_destroy_pool(s->pool);
        }

        return;
    }

    if (s->refs > 1) {
        return;
    }

    if (s->fill) {
        ngx_http_sprox_fill_unread(s->fill);

    } else if (s->remote && !s->done) {
        ngx_http_sprox_slice_leave(s);
    }
}


ngx_int_t
ngx_http_sprox_slice_use(ngx_http_sprox_slice_t *s)
{
    if (s->shut) {
        return NGX_DECLINED;
    }

    ngx_http_sprox_nkept -= s->kept;
    s->kept = 0;
    s->users++;

    return NGX_OK;
}


void
ngx_http_sprox_slice_unuse(ngx_http_sprox_slice_t *s)
{
    s->users--;
    ngx_http_sprox_slice_keep(s);
}


/* A file that is whole, and in the cache, and that nobody uses. */

static void
ngx_http_sprox_slice_keep(ngx_http_sprox_slice_t *s)
{
    if (!s->cached || s->users) {
        return;
    }

    if (ngx_http_sprox_nkept < NGX_HTTP_SPROX_SLICES_KEPT) {
        ngx_http_sprox_nkept++;
        s->kept = 1;
        return;
    }

    s->shut = 1;
    ngx_http_sprox_cache_close(&s->writer);
}


void
ngx_http_sprox_slice_let(ngx_http_sprox_slice_t *s)
{
    if (ngx_queue_empty(&s->pieces) && s->refs == 0) {
        ngx_destroy_pool(s->pool);
    }
}


ngx_uint_t
ngx_http_sprox_slice_lends(ngx_http_sprox_slice_t *s)
{
    return s->refs <= 1 + NGX_HTTP_SPROX_BORROWERS;
}


void
ngx_http_sprox_slice_came(ngx_http_sprox_slice_t *s)
{
    ngx_queue_t              *q, *next;
    ngx_http_sprox_waiter_t  *w;

    if (!ngx_http_sprox_slice_lends(s)) {
        return;
    }

    for (q = ngx_queue_head(&s->waiters);
         q != ngx_queue_sentinel(&s->waiters);
         q = next)
    {
        next = ngx_queue_next(q);
        w = ngx_queue_data(q, ngx_http_sprox_waiter_t, queue);

        if (w->borrows) {
            ngx_queue_remove(q);
            w->linked = 0;

            ngx_post_event(&w->event, &ngx_posted_events);
        }
    }
}


/* Off both tables: who comes now starts anew, or finds it in the cache. */

static void
ngx_http_sprox_slice_forget(ngx_http_sprox_slice_t *s)
{
    if (s->in_table) {
        s->in_table = 0;
        ngx_rbtree_delete(&ngx_http_sprox_slices, &s->node.node);
    }

    ngx_http_sprox_flight_release(&s->flight);
}


/* Its fill, or the wait for another worker, lets go of it. */

static void
ngx_http_sprox_slice_leave(ngx_http_sprox_slice_t *s)
{
    ngx_http_sprox_slice_forget(s);

    if (s->fill) {
        s->fill = NULL;
        ngx_queue_remove(&s->queue);
    }

    ngx_http_sprox_wake(&s->waiters);
    ngx_http_sprox_slice_unref(s);
}


/*
 * What a PURGE in any worker has forgotten meanwhile must not stay: the next
 * one would not know of it.  The catalog is asked when the file is in its
 * place, so that either this or the PURGE deletes it.
 */

void
ngx_http_sprox_slice_done(ngx_http_sprox_slice_t *s,
    ngx_http_sprox_spec_t *spec, ngx_log_t *log)
{
    off_t           bytes;
    sprox_object_t  object;
    static uint8_t  buf[SPROX_OBJECT_BUF];

    s->done = 1;
    ngx_http_sprox_cache_commit(&s->writer);

    if (ngx_http_sprox_zone_get(spec->origin, spec->bucket, spec->key,
                                &object, buf)
        != SPROX_OK
        || object.absent || object.doubted)
    {
        (void) ngx_http_sprox_cache_delete(spec->cache,
                                       ngx_http_sprox_to_core(s->node.str),
                                       log, &bytes);

    } else {
        s->cached = 1;
        ngx_http_sprox_slice_keep(s);
    }

    ngx_http_sprox_slice_leave(s);
}


void
ngx_http_sprox_slice_fail(ngx_http_sprox_slice_t *s,
    ngx_http_sprox_slice_end_e end, sprox_error_code_t failure)
{
    s->failed = 1;
    s->failure = failure;
    s->changed = (end == NGX_HTTP_SPROX_SLICE_CHANGED);
    s->unkept = (end == NGX_HTTP_SPROX_SLICE_UNKEPT);

    ngx_http_sprox_cache_abort(&s->writer);
    ngx_http_sprox_slice_leave(s);
}


ngx_uint_t
ngx_http_sprox_slice_read(ngx_http_sprox_slice_t *s)
{
    return s->refs > 1 || ngx_http_sprox_flight_waited(&s->flight);
}


off_t
ngx_http_sprox_slice_available(ngx_http_sprox_slice_t *s, off_t offset)
{
    if (!s->ready) {
        return 0;
    }

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
    ngx_http_sprox_slice_watch(s, w);

    if (s->fill && s->fill->fetch) {
        ngx_http_sprox_fetch_hurry(s->fill->fetch);
    }
}


void
ngx_http_sprox_slice_watch(ngx_http_sprox_slice_t *s,
    ngx_http_sprox_waiter_t *w)
{
    if (!w->linked) {
        w->linked = 1;
        ngx_queue_insert_tail(&s->waiters, &w->queue);
    }
}


ngx_int_t
ngx_http_sprox_slice_ready(ngx_http_sprox_slice_t *s,
    ngx_http_sprox_spec_t *spec, const sprox_object_t *object,
    ngx_log_t *log)
{
    sprox_buf_t         block;
    sprox_mem_t         mem;
    sprox_slice_meta_t  meta;

    if (ngx_http_sprox_object_copy(s->pool, &s->object, object) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_memzero(&meta, sizeof(sprox_slice_meta_t));

    meta.object = s->object;
    meta.slice = spec->slice;
    meta.index = sprox_slice_index(s->start, spec->slice);
    meta.length = s->length;

    ngx_http_sprox_mem_pool(&mem, s->pool);
    sprox_buf_init(&block, &mem);

    if (sprox_slice_meta_write(&block, &meta) != SPROX_OK) {
        return NGX_ERROR;
    }

    if (ngx_http_sprox_cache_create(&s->writer, s->pool, log, spec->cache,
                                    ngx_http_sprox_to_core(s->node.str),
                                    sprox_buf_get(&block), 0)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    s->ready = 1;

    return NGX_OK;
}
