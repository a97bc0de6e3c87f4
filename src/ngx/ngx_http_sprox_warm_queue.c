
/*
 * Changed objects that wait to be fetched again, in shared memory, so that
 * it does not matter which worker found one, and whether it is alive.
 *
 *   sh:  ids [id x 1024]      0: free
 *        slot [text]          origin, bucket, key, and what named the slices
 *        ...                  of the version that was known
 *
 * A slot is made by the store of its id, last, and freed by the store of 0.
 * An object stays in it until it is fetched: one whose worker was killed is
 * begun anew, and finds what is cached by then.
 */

#include "ngx_http_sprox_warm_private.h"


typedef struct {
    uint64_t                    size;
    int64_t                     last_modified;
    ngx_uint_t                  tries;
    size_t                      origin;    /* lengths, in text one after
                                              the other */
    size_t                      bucket;
    size_t                      key;
    size_t                      etag;
    size_t                      version;
    u_char                      text[NGX_HTTP_SPROX_WARM_TEXT_MAX];
} ngx_http_sprox_warm_slot_t;


/* In shared memory. */

typedef struct {
    uint64_t                    id;        /* the last that was given */
    uint64_t                    ids[NGX_HTTP_SPROX_WARM_ITEMS];
    ngx_http_sprox_warm_slot_t  slots[NGX_HTTP_SPROX_WARM_ITEMS];
} ngx_http_sprox_warm_sh_t;


/* Of a cycle; the zone's data. */

typedef struct {
    ngx_http_sprox_warm_sh_t   *sh;
    ngx_slab_pool_t            *shpool;
} ngx_http_sprox_warm_queue_t;


static ngx_int_t ngx_http_sprox_warm_queue_zone(ngx_shm_zone_t *shm_zone,
    void *data);
static ngx_uint_t ngx_http_sprox_warm_queue_find_locked(uint64_t id);
static void ngx_http_sprox_warm_queue_copy_locked(ngx_uint_t n,
    ngx_http_sprox_warm_item_t *item);


/* Of this worker; NULL: nothing is queued. */
static ngx_http_sprox_warm_queue_t  *ngx_http_sprox_warm_queue;


ngx_int_t
ngx_http_sprox_warm_queue_init(ngx_conf_t *cf, ngx_shm_zone_t **zone)
{
    size_t                        size;
    ngx_http_sprox_warm_queue_t  *queue;

    static ngx_str_t  name = ngx_string("sprox_warm");

    queue = ngx_pcalloc(cf->pool, sizeof(ngx_http_sprox_warm_queue_t));
    if (queue == NULL) {
        return NGX_ERROR;
    }

    /* the slab's own pages take less than an eighth */

    size = ngx_align(sizeof(ngx_http_sprox_warm_sh_t) / 8 * 9
                     + 8 * ngx_pagesize, ngx_pagesize);

    *zone = ngx_shared_memory_add(cf, &name, size, &ngx_http_sprox_module);
    if (*zone == NULL) {
        return NGX_ERROR;
    }

    (*zone)->init = ngx_http_sprox_warm_queue_zone;
    (*zone)->data = queue;

    return NGX_OK;
}


static ngx_int_t
ngx_http_sprox_warm_queue_zone(ngx_shm_zone_t *shm_zone, void *data)
{
    ngx_http_sprox_warm_queue_t  *old = data;

    ngx_http_sprox_warm_queue_t  *queue;

    queue = shm_zone->data;

    if (old) {
        queue->sh = old->sh;
        queue->shpool = old->shpool;
        return NGX_OK;
    }

    queue->shpool = (ngx_slab_pool_t *) shm_zone->shm.addr;

    if (shm_zone->shm.exists) {
        queue->sh = queue->shpool->data;
        return NGX_OK;
    }

    queue->sh = ngx_slab_alloc(queue->shpool,
                               sizeof(ngx_http_sprox_warm_sh_t));
    if (queue->sh == NULL) {
        return NGX_ERROR;
    }

    /* pages of slots that were never used are not touched */

    queue->sh->id = 0;
    ngx_memzero(queue->sh->ids, sizeof(queue->sh->ids));

    queue->shpool->data = queue->sh;

    return NGX_OK;
}


void
ngx_http_sprox_warm_queue_start(ngx_shm_zone_t *zone)
{
    ngx_http_sprox_warm_queue = zone ? zone->data : NULL;
}


ngx_uint_t
ngx_http_sprox_warm_queue_there(void)
{
    return ngx_http_sprox_warm_queue != NULL;
}


ngx_int_t
ngx_http_sprox_warm_queue_add(ngx_http_sprox_origin_t *origin,
    sprox_str_t bucket, sprox_str_t key, const sprox_object_t *was)
{
    u_char                      *p;
    ngx_uint_t                   n;
    ngx_http_sprox_warm_sh_t    *sh;
    ngx_http_sprox_warm_slot_t  *slot;

    if (origin->name.len > NGX_HTTP_SPROX_JOB_NAME_MAX
        || bucket.len > NGX_HTTP_SPROX_JOB_NAME_MAX
        || key.len > SPROX_KEY_MAX || was->etag.len > SPROX_ETAG_MAX
        || was->version.len > NGX_HTTP_SPROX_WARM_VERSION_MAX)
    {
        return NGX_ERROR;
    }

    sh = ngx_http_sprox_warm_queue->sh;

    ngx_shmtx_lock(&ngx_http_sprox_warm_queue->shpool->mutex);

    n = ngx_http_sprox_warm_queue_find_locked(0);

    if (n == NGX_HTTP_SPROX_WARM_ITEMS) {
        ngx_shmtx_unlock(&ngx_http_sprox_warm_queue->shpool->mutex);
        return NGX_BUSY;
    }

    slot = &sh->slots[n];

    slot->size = was->size;
    slot->last_modified = was->last_modified;
    slot->tries = 0;
    slot->origin = origin->name.len;
    slot->bucket = bucket.len;
    slot->key = key.len;
    slot->etag = was->etag.len;
    slot->version = was->version.len;

    p = ngx_cpymem(slot->text, origin->name.data, origin->name.len);
    p = ngx_cpymem(p, bucket.data, bucket.len);
    p = ngx_cpymem(p, key.data, key.len);
    p = ngx_cpymem(p, was->etag.data, was->etag.len);
    ngx_memcpy(p, was->version.data, was->version.len);

    ngx_memory_barrier();

    sh->ids[n] = ++sh->id;

    ngx_shmtx_unlock(&ngx_http_sprox_warm_queue->shpool->mutex);

    return NGX_OK;
}


/* The slot of that id, of 0 a free one; .._WARM_ITEMS: there is none. */

static ngx_uint_t
ngx_http_sprox_warm_queue_find_locked(uint64_t id)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_HTTP_SPROX_WARM_ITEMS; i++) {
        if (ngx_http_sprox_warm_queue->sh->ids[i] == id) {
            break;
        }
    }

    return i;
}


ngx_int_t
ngx_http_sprox_warm_queue_next(ngx_http_sprox_origin_t *origin,
    sprox_str_t bucket, uint64_t above, ngx_http_sprox_warm_item_t *item)
{
    uint64_t                    *ids;
    ngx_uint_t                   i, first;
    ngx_http_sprox_warm_slot_t  *slot;

    /* a job of a configuration that had a queue */

    if (ngx_http_sprox_warm_queue == NULL) {
        return NGX_DECLINED;
    }

    ids = ngx_http_sprox_warm_queue->sh->ids;
    first = NGX_HTTP_SPROX_WARM_ITEMS;

    ngx_shmtx_lock(&ngx_http_sprox_warm_queue->shpool->mutex);

    for (i = 0; i < NGX_HTTP_SPROX_WARM_ITEMS; i++) {
        slot = &ngx_http_sprox_warm_queue->sh->slots[i];

        if (ids[i] > above
            && (first == NGX_HTTP_SPROX_WARM_ITEMS || ids[i] < ids[first])
            && sprox_str_eq(sprox_str_make(slot->text, slot->origin),
                            ngx_http_sprox_to_core(origin->name))
            && sprox_str_eq(sprox_str_make(slot->text + slot->origin,
                                           slot->bucket),
                            bucket))
        {
            first = i;
        }
    }

    if (first != NGX_HTTP_SPROX_WARM_ITEMS) {
        ngx_http_sprox_warm_queue_copy_locked(first, item);
    }

    ngx_shmtx_unlock(&ngx_http_sprox_warm_queue->shpool->mutex);

    return first == NGX_HTTP_SPROX_WARM_ITEMS ? NGX_DECLINED : NGX_OK;
}


static void
ngx_http_sprox_warm_queue_copy_locked(ngx_uint_t n,
    ngx_http_sprox_warm_item_t *item)
{
    u_char                      *p;
    ngx_http_sprox_warm_slot_t  *slot;

    slot = &ngx_http_sprox_warm_queue->sh->slots[n];

    ngx_memcpy(item->text, slot->text,
               slot->origin + slot->bucket + slot->key + slot->etag
               + slot->version);

    ngx_memzero(&item->was, sizeof(sprox_object_t));

    p = item->text;

    item->id = ngx_http_sprox_warm_queue->sh->ids[n];

    item->origin = sprox_str_make(p, slot->origin);
    p += slot->origin;

    item->bucket = sprox_str_make(p, slot->bucket);
    p += slot->bucket;

    item->key = sprox_str_make(p, slot->key);
    p += slot->key;

    item->was.etag = sprox_str_make(p, slot->etag);
    p += slot->etag;

    item->was.version = sprox_str_make(p, slot->version);
    item->was.size = slot->size;
    item->was.last_modified = slot->last_modified;
}


ngx_int_t
ngx_http_sprox_warm_queue_at(ngx_uint_t n, ngx_http_sprox_warm_item_t *item)
{
    ngx_int_t  rc;

    /* most of the time all are free: that needs no lock to be seen */

    if (ngx_http_sprox_warm_queue->sh->ids[n] == 0) {
        return NGX_DECLINED;
    }

    rc = NGX_DECLINED;

    ngx_shmtx_lock(&ngx_http_sprox_warm_queue->shpool->mutex);

    if (ngx_http_sprox_warm_queue->sh->ids[n]) {
        ngx_http_sprox_warm_queue_copy_locked(n, item);
        rc = NGX_OK;
    }

    ngx_shmtx_unlock(&ngx_http_sprox_warm_queue->shpool->mutex);

    return rc;
}


void
ngx_http_sprox_warm_queue_remove(uint64_t id)
{
    ngx_uint_t  n;

    ngx_shmtx_lock(&ngx_http_sprox_warm_queue->shpool->mutex);

    n = ngx_http_sprox_warm_queue_find_locked(id);

    if (n != NGX_HTTP_SPROX_WARM_ITEMS) {
        ngx_http_sprox_warm_queue->sh->ids[n] = 0;
    }

    ngx_shmtx_unlock(&ngx_http_sprox_warm_queue->shpool->mutex);
}


ngx_int_t
ngx_http_sprox_warm_queue_again(uint64_t id, ngx_uint_t max)
{
    ngx_int_t                  rc;
    ngx_uint_t                 n;
    ngx_http_sprox_warm_sh_t  *sh;

    sh = ngx_http_sprox_warm_queue->sh;
    rc = NGX_DECLINED;

    ngx_shmtx_lock(&ngx_http_sprox_warm_queue->shpool->mutex);

    n = ngx_http_sprox_warm_queue_find_locked(id);

    if (n != NGX_HTTP_SPROX_WARM_ITEMS) {

        if (++sh->slots[n].tries < max) {
            sh->ids[n] = ++sh->id;
            rc = NGX_OK;

        } else {
            sh->ids[n] = 0;
        }
    }

    ngx_shmtx_unlock(&ngx_http_sprox_warm_queue->shpool->mutex);

    return rc;
}
