
/*
 * Files in nginx's cache, through nginx's own functions.
 *
 * Those functions take a request: they allocate in r->pool, log to
 * r->connection and find the entry in r->cache.  For a hit that is the
 * client's request, with r->pool exchanged for a pool of the slice, so that
 * descriptors and memory go when the slice was sent, not with the request.
 * For writing there is no client: a shell request with just these fields.
 */

#include "ngx_http_sprox_cache.h"
#include <ngx_md5.h>


/* Entries do not expire by themselves: the catalog decides. */
#define NGX_HTTP_SPROX_FAR_FUTURE   (10 * 365 * 24 * 3600)

/*
 * nginx's manager may look at a zone every ten seconds only: until then it
 * grows beyond max_size, here by no more than one part in so many.
 */
#define NGX_HTTP_SPROX_OVERSIZE     8


static ngx_http_file_cache_node_t *ngx_http_sprox_cache_lookup_locked(
    ngx_http_file_cache_t *cache, u_char *md5);
static ngx_uint_t ngx_http_sprox_cache_on_disk(ngx_http_file_cache_t *cache,
    u_char md5[NGX_HTTP_CACHE_KEY_LEN]);
static ngx_int_t ngx_http_sprox_cache_prepare(ngx_http_request_t *r,
    ngx_http_file_cache_t *cache, sprox_str_t key);
static void ngx_http_sprox_cache_unnote(void *data);
static void ngx_http_sprox_cache_shell(ngx_http_request_t *r,
    ngx_connection_t *c, ngx_pool_t *pool, ngx_log_t *log);
static ngx_int_t ngx_http_sprox_cache_begin(ngx_http_sprox_cache_writer_t *w,
    u_char *head, off_t base);


ngx_http_file_cache_t *
ngx_http_sprox_cache_zone(ngx_shm_zone_t *zone)
{
    return zone->data;
}


ngx_http_file_cache_t *
ngx_http_sprox_cache_last(ngx_array_t *zones)
{
    ngx_shm_zone_t  **zone;

    if (zones->nelts == 0) {
        return NULL;
    }

    zone = zones->elts;

    return ngx_http_sprox_cache_zone(zone[zones->nelts - 1]);
}


void
ngx_http_sprox_cache_md5(sprox_str_t key, u_char md5[NGX_HTTP_CACHE_KEY_LEN])
{
    ngx_md5_t  ctx;

    ngx_md5_init(&ctx);
    ngx_md5_update(&ctx, key.data, key.len);
    ngx_md5_final(md5, &ctx);
}


static ngx_http_file_cache_node_t *
ngx_http_sprox_cache_lookup_locked(ngx_http_file_cache_t *cache, u_char *md5)
{
    ngx_int_t                    rc;
    ngx_rbtree_key_t             key;
    ngx_rbtree_node_t           *node, *sentinel;
    ngx_http_file_cache_node_t  *fcn;

    ngx_memcpy((u_char *) &key, md5, sizeof(ngx_rbtree_key_t));

    node = cache->sh->rbtree.root;
    sentinel = cache->sh->rbtree.sentinel;

    while (node != sentinel) {

        if (key != node->key) {
            node = (key < node->key) ? node->left : node->right;
            continue;
        }

        fcn = (ngx_http_file_cache_node_t *) node;

        rc = ngx_memcmp(&md5[sizeof(ngx_rbtree_key_t)], fcn->key,
                        NGX_HTTP_CACHE_KEY_LEN - sizeof(ngx_rbtree_key_t));

        if (rc == 0) {
            return fcn;
        }

        node = (rc < 0) ? node->left : node->right;
    }

    return NULL;
}


ngx_uint_t
ngx_http_sprox_cache_exists(ngx_http_file_cache_t *cache,
    u_char md5[NGX_HTTP_CACHE_KEY_LEN])
{
    ngx_http_sprox_cache_use_t  use;

    return ngx_http_sprox_cache_peek(cache, md5, &use);
}


ngx_uint_t
ngx_http_sprox_cache_peek(ngx_http_file_cache_t *cache,
    u_char md5[NGX_HTTP_CACHE_KEY_LEN], ngx_http_sprox_cache_use_t *use)
{
    ngx_uint_t                   exists, cold;
    ngx_http_file_cache_node_t  *fcn;

    use->uses = 0;
    use->used = 0;

    ngx_shmtx_lock(&cache->shpool->mutex);

    fcn = ngx_http_sprox_cache_lookup_locked(cache, md5);
    exists = (fcn && fcn->exists && !fcn->deleting);

    if (exists) {
        use->uses = fcn->uses;
        use->used = fcn->expire - cache->inactive;
    }

    cold = cache->sh->cold;

    ngx_shmtx_unlock(&cache->shpool->mutex);

    if (!exists && cold) {
        return ngx_http_sprox_cache_on_disk(cache, md5);
    }

    return exists;
}


ngx_int_t
ngx_http_sprox_cache_touch(ngx_http_file_cache_t *cache,
    u_char md5[NGX_HTTP_CACHE_KEY_LEN], ngx_file_uniq_t uniq, ngx_uint_t use)
{
    ngx_int_t                    rc;
    ngx_http_file_cache_node_t  *fcn;

    rc = NGX_DECLINED;

    ngx_shmtx_lock(&cache->shpool->mutex);

    fcn = ngx_http_sprox_cache_lookup_locked(cache, md5);

    /* a node that the loader made does not know its file's number yet */

    if (fcn && fcn->exists && !fcn->deleting
        && (fcn->uniq == 0 || uniq == 0 || fcn->uniq == uniq))
    {
        rc = NGX_OK;

        if (use) {
            fcn->uses++;
            fcn->expire = ngx_time() + cache->inactive;

            ngx_queue_remove(&fcn->queue);
            ngx_queue_insert_head(&cache->sh->queue, &fcn->queue);
        }
    }

    ngx_shmtx_unlock(&cache->shpool->mutex);

    return rc;
}


void
ngx_http_sprox_cache_unuse(ngx_http_file_cache_t *cache,
    u_char md5[NGX_HTTP_CACHE_KEY_LEN])
{
    ngx_http_file_cache_node_t  *fcn;

    ngx_shmtx_lock(&cache->shpool->mutex);

    fcn = ngx_http_sprox_cache_lookup_locked(cache, md5);

    if (fcn && fcn->uses) {
        fcn->uses--;
    }

    ngx_shmtx_unlock(&cache->shpool->mutex);
}


ngx_uint_t
ngx_http_sprox_cache_full(ngx_http_file_cache_t *cache)
{
    off_t  size;

    ngx_shmtx_lock(&cache->shpool->mutex);
    size = cache->sh->size;
    ngx_shmtx_unlock(&cache->shpool->mutex);

    return size - cache->max_size / NGX_HTTP_SPROX_OVERSIZE
           >= cache->max_size;
}


/* Before the loader has seen all files, one may be there unknown. */

static ngx_uint_t
ngx_http_sprox_cache_on_disk(ngx_http_file_cache_t *cache,
    u_char md5[NGX_HTTP_CACHE_KEY_LEN])
{
    ngx_file_info_t  fi;
    u_char           name[NGX_MAX_PATH];

    return ngx_http_sprox_cache_name(cache, md5, name, NGX_MAX_PATH) != NULL
           && ngx_file_info(name, &fi) != NGX_FILE_ERROR && ngx_is_file(&fi);
}


u_char *
ngx_http_sprox_cache_name(ngx_http_file_cache_t *cache,
    u_char md5[NGX_HTTP_CACHE_KEY_LEN], u_char *name, size_t size)
{
    u_char      *p;
    ngx_path_t  *path;

    path = cache->path;

    if (path->name.len + 1 + path->len + 2 * NGX_HTTP_CACHE_KEY_LEN >= size) {
        return NULL;
    }

    p = ngx_cpymem(name, path->name.data, path->name.len);
    p += 1 + path->len;
    p = ngx_hex_dump(p, md5, NGX_HTTP_CACHE_KEY_LEN);
    *p = '\0';

    ngx_create_hashed_filename(path, name, p - name);

    return p;
}


static ngx_int_t
ngx_http_sprox_cache_prepare(ngx_http_request_t *r,
    ngx_http_file_cache_t *cache, sprox_str_t key)
{
    ngx_str_t         *name;
    ngx_http_cache_t  *c;

    if (ngx_http_file_cache_new(r) != NGX_OK) {
        return NGX_ERROR;
    }

    c = r->cache;

    name = ngx_array_push(&c->keys);
    if (name == NULL) {
        return NGX_ERROR;
    }

    *name = ngx_http_sprox_to_ngx(key);

    c->file_cache = cache;
    c->min_uses = 1;
    c->body_start = NGX_HTTP_SPROX_BODY_MAX;

    ngx_http_file_cache_create_key(r);

    return NGX_OK;
}


ngx_int_t
ngx_http_sprox_cache_open(ngx_http_request_t *r, ngx_pool_t *pool,
    ngx_http_file_cache_t *cache, sprox_str_t key,
    ngx_http_sprox_cache_entry_t *entry)
{
    ssize_t            room;
    uint32_t           length;
    ngx_int_t          rc;
    ngx_pool_t        *own;
    ngx_http_cache_t  *c;

    own = r->pool;
    r->pool = pool;

    if (entry->cache == NULL) {
        rc = ngx_http_sprox_cache_prepare(r, cache, key);

    } else {
        r->cache = entry->cache;
        rc = NGX_OK;
    }

    if (rc == NGX_OK) {
        rc = ngx_http_file_cache_open(r);
    }

    r->pool = own;

    c = r->cache;
    r->cache = NULL;
    r->cached = 0;

    if (c == NULL) {
        return NGX_ERROR;
    }

    entry->cache = c;

    switch (rc) {

    case NGX_OK:
    case NGX_AGAIN:
        break;

    case NGX_HTTP_CACHE_STALE:
    case NGX_HTTP_CACHE_UPDATING:
    case NGX_DECLINED:
        ngx_http_file_cache_free(c, NULL);
        return NGX_DECLINED;

    default:
        ngx_http_file_cache_free(c, NULL);
        return rc == NGX_ERROR ? NGX_ERROR : NGX_DECLINED;
    }

    if (rc == NGX_AGAIN) {

        /* nginx's thread handler looks for it there */

        r->cache = c;
        return NGX_AGAIN;
    }

    room = (ssize_t) c->body_start - (ssize_t) c->header_start
           - (ssize_t) sizeof(uint32_t);

    length = 0;

    if (room >= 0 && c->buf->last - c->buf->pos >= (ssize_t) c->body_start) {
        ngx_memcpy(&length, c->buf->pos + c->header_start, sizeof(uint32_t));
    }

    if (length == 0 || (ssize_t) length > room
        || c->length < (off_t) c->body_start)
    {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "sprox: cache file \"%s\" is cut short; "
                      "it is fetched again", c->file.name.data);
        ngx_http_file_cache_free(c, NULL);
        return NGX_DECLINED;
    }

    entry->file.fd = c->file.fd;
    entry->file.name = c->file.name;
    entry->file.log = r->connection->log;
    entry->base = c->body_start;
    entry->length = c->length - c->body_start;
    entry->block = sprox_str_make(c->buf->pos + c->header_start
                                  + sizeof(uint32_t), length);

    return NGX_OK;
}


ngx_int_t
ngx_http_sprox_cache_open_now(ngx_http_request_t *r, ngx_pool_t *pool,
    ngx_http_file_cache_t *cache, sprox_str_t key,
    ngx_http_sprox_cache_entry_t *entry)
{
    void                      **own, **conf;
    ngx_int_t                   rc;
    ngx_http_core_loc_conf_t   *clcf;

    own = r->loc_conf;

    conf = ngx_palloc(pool, ngx_http_max_module * sizeof(void *));
    clcf = ngx_palloc(pool, sizeof(ngx_http_core_loc_conf_t));

    if (conf == NULL || clcf == NULL) {
        return NGX_ERROR;
    }

    /* nginx asks the location how to read */

    *clcf = *(ngx_http_core_loc_conf_t *)
                 ngx_http_get_module_loc_conf(r, ngx_http_core_module);
    clcf->aio = NGX_HTTP_AIO_OFF;

    ngx_memcpy(conf, own, ngx_http_max_module * sizeof(void *));
    conf[ngx_http_core_module.ctx_index] = clcf;

    r->loc_conf = conf;

    rc = ngx_http_sprox_cache_open(r, pool, cache, key, entry);

    r->loc_conf = own;

    return rc;
}


static void
ngx_http_sprox_cache_shell(ngx_http_request_t *r, ngx_connection_t *c,
    ngx_pool_t *pool, ngx_log_t *log)
{
    ngx_memzero(r, sizeof(ngx_http_request_t));
    ngx_memzero(c, sizeof(ngx_connection_t));

    r->pool = pool;
    r->connection = c;
    r->main = r;
    c->log = log;
    c->pool = pool;
    c->fd = (ngx_socket_t) -1;
}


ngx_int_t
ngx_http_sprox_cache_create(ngx_http_sprox_cache_writer_t *w,
    ngx_pool_t *pool, ngx_log_t *log, ngx_http_file_cache_t *cache,
    sprox_str_t key, sprox_str_t block, time_t valid)
{
    u_char              *head;
    size_t               size;
    uint32_t             length;
    ngx_http_cache_t    *c;
    ngx_http_request_t  *r;

    w->open = 0;
    w->pool = pool;

    r = &w->request;
    ngx_http_sprox_cache_shell(r, &w->connection, pool, log);

    if (ngx_http_sprox_cache_prepare(r, cache, key) != NGX_OK) {
        return NGX_ERROR;
    }

    c = r->cache;

    size = ngx_align(c->header_start + sizeof(uint32_t) + block.len,
                     NGX_HTTP_SPROX_BODY_ALIGN);

    if (size > NGX_HTTP_SPROX_BODY_MAX) {
        ngx_log_error(NGX_LOG_ERR, log, 0,
                      "sprox: a cache entry's header of %uz bytes is too "
                      "large", size);
        return NGX_ERROR;
    }

    head = ngx_pcalloc(pool, size);

    if (head == NULL || ngx_http_file_cache_create(r) != NGX_OK) {
        return NGX_ERROR;
    }

    c->temp_file = 1;
    c->body_start = size;
    c->date = ngx_time();
    c->valid_sec = valid ? valid : ngx_time() + NGX_HTTP_SPROX_FAR_FUTURE;

    if (ngx_http_file_cache_set_header(r, head) != NGX_OK) {
        goto failed;
    }

    length = block.len;
    ngx_memcpy(head + c->header_start, &length, sizeof(uint32_t));
    ngx_memcpy(head + c->header_start + sizeof(uint32_t), block.data,
               block.len);

    if (ngx_http_sprox_cache_begin(w, head, size) != NGX_OK) {
        goto failed;
    }

    return NGX_OK;

failed:

    ngx_http_file_cache_free(c, NULL);

    return NGX_ERROR;
}


/* What the temporary file of the entry in w->request is to be. */

static ngx_int_t
ngx_http_sprox_cache_begin(ngx_http_sprox_cache_writer_t *w, u_char *head,
    off_t base)
{
    ngx_path_t          *path;
    ngx_http_cache_t    *c;
    ngx_pool_cleanup_t  *cln;

    c = w->request.cache;
    path = c->file_cache->path;

    /* always beside the entry: the rename stays within one file system */

    w->temp_file.file.fd = NGX_INVALID_FILE;
    w->temp_file.file.log = w->connection.log;
    w->temp_file.file.name = c->file.name;
    w->temp_file.path = path;
    w->temp_file.pool = w->pool;
    w->temp_file.persistent = 1;
    w->temp_file.clean = 1;

    /* before the file's own cleanup, to be called after it */

    cln = ngx_pool_cleanup_add(w->pool, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    w->temp = ngx_http_sprox_temp_add(c->key);
    cln->handler = ngx_http_sprox_cache_unnote;
    cln->data = w;

    w->head = head;
    w->base = base;
    w->open = 1;

    return NGX_OK;
}


ngx_int_t
ngx_http_sprox_cache_make(ngx_http_sprox_cache_writer_t *w, ngx_log_t *log)
{
    ngx_file_t  *file;

    file = &w->temp_file.file;
    file->log = log;

    if (ngx_create_temp_file(file, w->temp_file.path, w->pool, 1, 1,
                             NGX_FILE_OWNER_ACCESS)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_http_sprox_temp_named(w->temp, &file->name);

    if (w->head
        && ngx_write_file(file, w->head, w->base, 0) != (ssize_t) w->base)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_uint_t
ngx_http_sprox_cache_made(ngx_http_sprox_cache_writer_t *w)
{
    return w->temp_file.file.fd != NGX_INVALID_FILE;
}


ngx_int_t
ngx_http_sprox_cache_clone(ngx_http_sprox_cache_writer_t *w,
    ngx_pool_t *pool, ngx_log_t *log, ngx_http_file_cache_t *cache,
    sprox_str_t key, off_t base)
{
    ngx_http_cache_t    *c;
    ngx_http_request_t  *r;

    w->open = 0;
    w->pool = pool;

    r = &w->request;
    ngx_http_sprox_cache_shell(r, &w->connection, pool, log);

    if (ngx_http_sprox_cache_prepare(r, cache, key) != NGX_OK
        || ngx_http_file_cache_create(r) != NGX_OK)
    {
        return NGX_ERROR;
    }

    c = r->cache;

    c->temp_file = 1;
    c->body_start = base;

    if (ngx_http_sprox_cache_begin(w, NULL, base) != NGX_OK) {
        ngx_http_file_cache_free(c, NULL);
        return NGX_ERROR;
    }

    if (ngx_http_sprox_cache_make(w, log) != NGX_OK) {
        ngx_http_sprox_cache_abort(w);
        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_sprox_cache_write(ngx_http_sprox_cache_writer_t *w, u_char *p,
    size_t n, off_t offset)
{
    if (ngx_write_file(&w->temp_file.file, p, n, w->base + offset)
        != (ssize_t) n)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


void
ngx_http_sprox_cache_commit(ngx_http_sprox_cache_writer_t *w)
{
    ngx_pool_cleanup_t       *cln;
    ngx_pool_cleanup_file_t  *file;

    if (!w->open) {
        return;
    }

    w->open = 0;
    ngx_http_file_cache_update(&w->request, &w->temp_file);
    ngx_http_sprox_cache_unnote(w);

    /* the temporary name is gone, renamed or not: the pool only closes */

    for (cln = w->pool->cleanup; cln; cln = cln->next) {
        file = cln->data;

        if (cln->handler == ngx_pool_delete_file
            && file->fd == w->temp_file.file.fd)
        {
            cln->handler = ngx_pool_cleanup_file;
            break;
        }
    }
}


void
ngx_http_sprox_cache_close(ngx_http_sprox_cache_writer_t *w)
{
    ngx_pool_run_cleanup_file(w->pool, w->temp_file.file.fd);

    w->temp_file.file.fd = NGX_INVALID_FILE;
}


/* The temporary file is no more: it has its name, or its pool goes. */

static void
ngx_http_sprox_cache_unnote(void *data)
{
    ngx_http_sprox_cache_writer_t *w = data;

    ngx_http_sprox_temp_remove(w->temp);
    w->temp = NULL;
}


void
ngx_http_sprox_cache_abort(ngx_http_sprox_cache_writer_t *w)
{
    if (w->open) {
        w->open = 0;

        /* the pool's cleanup removes the file when its readers are gone */

        ngx_http_file_cache_free(w->request.cache, NULL);
    }
}


ngx_int_t
ngx_http_sprox_cache_delete(ngx_http_file_cache_t *cache, sprox_str_t key,
    ngx_log_t *log, off_t *bytes)
{
    ngx_int_t            rc;
    ngx_err_t            err;
    ngx_uint_t           exists;
    ngx_pool_t          *pool;
    ngx_file_info_t      fi;
    ngx_connection_t    *connection;
    ngx_http_cache_t    *c;
    ngx_http_request_t  *r;

    *bytes = 0;

    pool = ngx_create_pool(4096, log);
    if (pool == NULL) {
        return NGX_ERROR;
    }

    rc = NGX_ERROR;

    r = ngx_pcalloc(pool, sizeof(ngx_http_request_t));
    connection = ngx_pcalloc(pool, sizeof(ngx_connection_t));

    if (r == NULL || connection == NULL) {
        goto done;
    }

    ngx_http_sprox_cache_shell(r, connection, pool, log);

    if (ngx_http_sprox_cache_prepare(r, cache, key) != NGX_OK
        || ngx_http_file_cache_create(r) != NGX_OK)
    {
        goto done;
    }

    c = r->cache;

    ngx_shmtx_lock(&cache->shpool->mutex);

    /* what the cache manager is deleting it has taken off the size, too */

    exists = c->node->exists && !c->node->deleting;

    if (exists) {
        cache->sh->size -= c->node->fs_size;
        c->node->fs_size = 0;
        c->node->exists = 0;
        c->node->updating = 0;
    }

    ngx_shmtx_unlock(&cache->shpool->mutex);

    rc = NGX_DECLINED;

    /* before the loader has seen all files, one may be there unknown */

    if (exists || cache->sh->cold) {

        if (ngx_file_info(c->file.name.data, &fi) != NGX_FILE_ERROR
            && ngx_delete_file(c->file.name.data) != NGX_FILE_ERROR)
        {
            *bytes = ngx_file_size(&fi);
            rc = NGX_OK;

        } else {
            err = ngx_errno;

            if (err != NGX_ENOENT && err != NGX_ENOPATH) {
                ngx_log_error(NGX_LOG_CRIT, log, err,
                              ngx_delete_file_n " \"%s\" failed",
                              c->file.name.data);
                rc = NGX_ERROR;
            }
        }
    }

    ngx_http_file_cache_free(c, NULL);

done:

    ngx_destroy_pool(pool);

    return rc;
}
