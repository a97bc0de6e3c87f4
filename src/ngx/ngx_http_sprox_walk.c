
/*
 * A walk over all files of a cache zone, by threads.
 *
 *   next() --> thread: some files of the folders, as they come --> found()
 *     ^                                                                |
 *     +----------------------------------------------------------------+
 *
 * A folder may hold all files of a zone (one without `levels`), so it is read
 * entry by entry, and stays open from one task to the next: what a walk keeps
 * is one folder of each level.
 *
 * Only one task of a walk runs at a time, so that what it keeps (the place in
 * the folders) needs no lock.  A walk that is freed while its task runs is
 * destroyed by the event that says that the task is over.
 */

#include "ngx_http_sprox_walk.h"

#include <dirent.h>


/* A walk that hangs (a dead disk) does not keep a worker that is to exit. */
#define NGX_HTTP_SPROX_WALK_TIMEOUT  60000

/* Entries of folders for one task, whether they are files of ours or not. */
#define NGX_HTTP_SPROX_WALK_ENTRIES  4096

/* Digits of a folder's name, by nginx's own rule. */
#define NGX_HTTP_SPROX_WALK_DIGITS   2

#define NGX_HTTP_SPROX_WALK_KEY      "\nKEY: "


struct ngx_http_sprox_walk_s {
    ngx_thread_task_t               task;
    ngx_pool_t                     *pool;
    ngx_log_t                      *log;
    ngx_thread_pool_t              *threads;
    ngx_http_file_cache_t          *cache;
    ngx_http_sprox_walk_match_pt    match;
    ngx_http_sprox_walk_pt          found;
    void                           *data;
    void                           *sought;
    ngx_pool_t                     *texts;     /* keys of this task's files */

    /* the thread's */
    DIR                            *folders[NGX_MAX_PATH_LEVEL + 1];
    ngx_uint_t                      depth;     /* of those, open */
    ngx_uint_t                      n;
    ngx_int_t                       rc;
    ngx_err_t                       err;
    ngx_http_sprox_walk_file_t      files[NGX_HTTP_SPROX_WALK_FILES];
    u_char                          head[NGX_HTTP_SPROX_BODY_MAX];

    ngx_uint_t                      begun;

    unsigned                        running:1;
    unsigned                        freed:1;
};


static void ngx_http_sprox_walk_task(void *data, ngx_log_t *log);
static ngx_int_t ngx_http_sprox_walk_entry(ngx_http_sprox_walk_t *walk);
static ngx_int_t ngx_http_sprox_walk_folder(ngx_http_sprox_walk_t *walk,
    int in, const char *name);
static ngx_uint_t ngx_http_sprox_walk_hex(const char *name, size_t min,
    size_t max);
static ngx_int_t ngx_http_sprox_walk_file(ngx_http_sprox_walk_t *walk,
    const char *name);
static sprox_str_t ngx_http_sprox_walk_key(ngx_http_sprox_walk_t *walk,
    size_t n);
static sprox_str_t ngx_http_sprox_walk_block(ngx_http_sprox_walk_t *walk,
    size_t n);
static void ngx_http_sprox_walk_done(ngx_event_t *ev);
static void ngx_http_sprox_walk_destroy(ngx_http_sprox_walk_t *walk);


ngx_http_sprox_walk_t *
ngx_http_sprox_walk_create(ngx_log_t *log, ngx_thread_pool_t *tp,
    ngx_http_file_cache_t *cache, ngx_http_sprox_walk_match_pt match,
    ngx_http_sprox_walk_pt found)
{
    ngx_pool_t             *pool;
    ngx_http_sprox_walk_t  *walk;

    pool = ngx_create_pool(4096, log);
    if (pool == NULL) {
        return NULL;
    }

    walk = ngx_pcalloc(pool, sizeof(ngx_http_sprox_walk_t));
    if (walk == NULL) {
        ngx_destroy_pool(pool);
        return NULL;
    }

    walk->pool = pool;
    walk->log = log;
    walk->threads = tp;
    walk->cache = cache;
    walk->match = match;
    walk->found = found;

    walk->task.ctx = walk;
    walk->task.handler = ngx_http_sprox_walk_task;
    walk->task.event.handler = ngx_http_sprox_walk_done;
    walk->task.event.data = walk;
    walk->task.event.log = log;

    return walk;
}


ngx_pool_t *
ngx_http_sprox_walk_pool(ngx_http_sprox_walk_t *walk)
{
    return walk->pool;
}


void
ngx_http_sprox_walk_set(ngx_http_sprox_walk_t *walk, void *data, void *sought)
{
    walk->data = data;
    walk->sought = sought;
}


ngx_int_t
ngx_http_sprox_walk_next(ngx_http_sprox_walk_t *walk)
{
    if (walk->texts) {
        ngx_destroy_pool(walk->texts);
    }

    walk->n = 0;
    walk->texts = ngx_create_pool(4096, walk->log);

    if (walk->texts == NULL
        || ngx_thread_task_post(walk->threads, &walk->task) != NGX_OK)
    {
        return NGX_ERROR;
    }

    walk->running = 1;

    /* keeps a worker that is to exit until the task has its end */

    ngx_add_timer(&walk->task.event, NGX_HTTP_SPROX_WALK_TIMEOUT);

    return NGX_OK;
}


static void
ngx_http_sprox_walk_task(void *data, ngx_log_t *log)
{
    ngx_http_sprox_walk_t *walk = data;

    ngx_uint_t  i;

    walk->rc = NGX_AGAIN;

    if (!walk->begun) {
        walk->begun = 1;

        if (ngx_http_sprox_walk_folder(walk, AT_FDCWD,
                                       (char *) walk->cache->path->name.data)
            != NGX_OK)
        {
            walk->rc = NGX_ERROR;
            return;
        }
    }

    for (i = 0; i < NGX_HTTP_SPROX_WALK_ENTRIES; i++) {

        if (walk->n == NGX_HTTP_SPROX_WALK_FILES) {
            return;
        }

        if (walk->depth == 0) {
            walk->rc = NGX_DONE;
            return;
        }

        if (ngx_http_sprox_walk_entry(walk) != NGX_OK) {
            walk->rc = NGX_ERROR;
            return;
        }
    }
}


/* The next one of the folder that it is in: a file, a folder, or its end. */

static ngx_int_t
ngx_http_sprox_walk_entry(ngx_http_sprox_walk_t *walk)
{
    DIR            *folder;
    struct dirent  *entry;

    folder = walk->folders[walk->depth - 1];

    ngx_set_errno(0);
    entry = readdir(folder);

    if (entry == NULL) {
        walk->err = ngx_errno;

        (void) closedir(folder);
        walk->depth--;

        return walk->err ? NGX_ERROR : NGX_OK;
    }

    if (ngx_http_sprox_walk_hex(entry->d_name, 2 * NGX_HTTP_CACHE_KEY_LEN,
                                2 * NGX_HTTP_CACHE_KEY_LEN))
    {
        return ngx_http_sprox_walk_file(walk, entry->d_name);
    }

    if (walk->depth <= NGX_MAX_PATH_LEVEL
        && ngx_http_sprox_walk_hex(entry->d_name, 1,
                                   NGX_HTTP_SPROX_WALK_DIGITS))
    {
        return ngx_http_sprox_walk_folder(walk, dirfd(folder), entry->d_name);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_sprox_walk_folder(ngx_http_sprox_walk_t *walk, int in,
    const char *name)
{
    DIR       *folder;
    ngx_fd_t   fd;

    /* the zone's own may be a link */

    fd = openat(in, name, O_RDONLY|O_DIRECTORY|O_CLOEXEC
                          |(walk->depth ? O_NOFOLLOW : 0));

    folder = (fd != NGX_INVALID_FILE) ? fdopendir(fd) : NULL;

    if (folder == NULL) {
        walk->err = ngx_errno;

        if (fd != NGX_INVALID_FILE) {
            (void) close(fd);
            return NGX_ERROR;
        }

        /* it went meanwhile, or is none */

        return walk->err == NGX_ENOENT || walk->err == NGX_ENOTDIR
               || walk->err == NGX_ELOOP
               ? NGX_OK : NGX_ERROR;
    }

    walk->folders[walk->depth++] = folder;

    return NGX_OK;
}


/* As nginx names files by their keys, and folders; not the temporary ones. */

static ngx_uint_t
ngx_http_sprox_walk_hex(const char *name, size_t min, size_t max)
{
    size_t  i;

    for (i = 0; name[i] != '\0' && i <= max; i++) {
        if (!((name[i] >= '0' && name[i] <= '9')
              || (name[i] >= 'a' && name[i] <= 'f')))
        {
            return 0;
        }
    }

    return i >= min && i <= max;
}


/* One that went meanwhile, or cannot be read, is no more anybody's. */

static ngx_int_t
ngx_http_sprox_walk_file(ngx_http_sprox_walk_t *walk, const char *name)
{
    int                          folder;
    ssize_t                      n;
    ngx_fd_t                     fd;
    sprox_str_t                  key;
    ngx_http_sprox_walk_file_t  *file;

    folder = dirfd(walk->folders[walk->depth - 1]);

    fd = openat(folder, name, O_RDONLY|O_NONBLOCK|O_NOFOLLOW
                              |O_CLOEXEC|O_NOATIME);

    if (fd == NGX_INVALID_FILE && ngx_errno == NGX_EPERM) {
        fd = openat(folder, name, O_RDONLY|O_NONBLOCK|O_NOFOLLOW|O_CLOEXEC);
    }

    if (fd == NGX_INVALID_FILE) {
        return NGX_OK;
    }

    n = pread(fd, walk->head, sizeof(walk->head), 0);
    (void) close(fd);

    if (n <= 0) {
        return NGX_OK;
    }

    key = ngx_http_sprox_walk_key(walk, n);

    if (key.len == 0
        || !walk->match(walk->sought, key,
                        ngx_http_sprox_walk_block(walk, n)))
    {
        return NGX_OK;
    }

    file = &walk->files[walk->n];

    file->key.len = key.len;
    file->key.data = ngx_pnalloc(walk->texts, key.len);

    if (file->key.data == NULL) {
        walk->err = NGX_ENOMEM;
        return NGX_ERROR;
    }

    ngx_memcpy((void *) file->key.data, key.data, key.len);
    walk->n++;

    return NGX_OK;
}


/* The KEY line, where nginx writes it. */

static sprox_str_t
ngx_http_sprox_walk_key(ngx_http_sprox_walk_t *walk, size_t n)
{
    u_char                        *p, *end;
    ngx_http_file_cache_header_t  *h;

    h = (ngx_http_file_cache_header_t *) walk->head;
    p = walk->head + sizeof(ngx_http_file_cache_header_t);
    end = p + sizeof(NGX_HTTP_SPROX_WALK_KEY) - 1;

    if (n <= (size_t) (end - walk->head)
        || h->version != NGX_HTTP_CACHE_VERSION
        || ngx_memcmp(p, NGX_HTTP_SPROX_WALK_KEY, end - p) != 0)
    {
        return sprox_str_null;
    }

    p = end;
    end = ngx_strlchr(p, walk->head + n, LF);

    return end ? sprox_str_make(p, end - p) : sprox_str_null;
}


static sprox_str_t
ngx_http_sprox_walk_block(ngx_http_sprox_walk_t *walk, size_t n)
{
    uint32_t                       length;
    ngx_http_file_cache_header_t  *h;

    h = (ngx_http_file_cache_header_t *) walk->head;

    if (h->header_start + sizeof(uint32_t) > h->body_start
        || h->body_start > n)
    {
        return sprox_str_null;
    }

    ngx_memcpy(&length, walk->head + h->header_start, sizeof(uint32_t));

    if (length > h->body_start - h->header_start - sizeof(uint32_t)) {
        return sprox_str_null;
    }

    return sprox_str_make(walk->head + h->header_start + sizeof(uint32_t),
                          length);
}


static void
ngx_http_sprox_walk_done(ngx_event_t *ev)
{
    ngx_http_sprox_walk_t *walk = ev->data;

    if (ev->timedout) {
        ev->timedout = 0;

        ngx_log_error(NGX_LOG_ERR, walk->log, NGX_ETIMEDOUT,
                      "sprox: the walk over cache \"%V\" hangs",
                      &walk->cache->path->name);
        return;
    }

    if (ev->timer_set) {
        ngx_del_timer(ev);
    }

    walk->running = 0;

    if (walk->freed) {
        ngx_http_sprox_walk_destroy(walk);
        return;
    }

    if (walk->rc == NGX_ERROR) {
        ngx_log_error(NGX_LOG_ERR, walk->log, walk->err,
                      "sprox: reading the folders of cache \"%V\" failed",
                      &walk->cache->path->name);
    }

    walk->found(walk->data, walk->files, walk->n, walk->rc);
}


void
ngx_http_sprox_walk_free(ngx_http_sprox_walk_t *walk)
{
    if (walk->running) {
        walk->freed = 1;
        return;
    }

    ngx_http_sprox_walk_destroy(walk);
}


static void
ngx_http_sprox_walk_destroy(ngx_http_sprox_walk_t *walk)
{
    while (walk->depth) {
        (void) closedir(walk->folders[--walk->depth]);
    }

    if (walk->texts) {
        ngx_destroy_pool(walk->texts);
    }

    ngx_destroy_pool(walk->pool);
}
