
/*
 * Open descriptors of hot slices.
 *
 *   add ---> in the table, in the queue ---> get ... unref
 *                |          ^                  |
 *                | idle, deleted, cut short,   | once a second: the cache's
 *                | too many                    | node is touched, so that
 *                v                             | its LRU sees the use
 *              closed <---- last unref --------+
 *
 * The queue is in order of use: what is too many or idle is at its end.
 */

#include "ngx_http_sprox_open.h"
#include "ngx_http_sprox_zone.h"
#include <sys/resource.h>


#define NGX_HTTP_SPROX_OPEN_MAX      2048
#define NGX_HTTP_SPROX_OPEN_CHECK    1000    /* ms */
#define NGX_HTTP_SPROX_OPEN_IDLE     3000


static ngx_http_sprox_open_t *ngx_http_sprox_open_find(
    ngx_http_file_cache_t *cache, u_char *md5);
static void ngx_http_sprox_open_insert(ngx_rbtree_node_t *temp,
    ngx_rbtree_node_t *node, ngx_rbtree_node_t *sentinel);
static ngx_int_t ngx_http_sprox_open_check(ngx_http_sprox_open_t *o);
static ngx_int_t ngx_http_sprox_open_touch(ngx_http_sprox_open_t *o,
    ngx_uint_t use);
static void ngx_http_sprox_open_forget(ngx_http_sprox_open_t *o);
static void ngx_http_sprox_open_close(ngx_http_sprox_open_t *o);
static void ngx_http_sprox_open_sweep(ngx_event_t *ev);


static ngx_rbtree_t       ngx_http_sprox_opens;
static ngx_rbtree_node_t  ngx_http_sprox_opens_sentinel;
static ngx_queue_t        ngx_http_sprox_open_queue;
static ngx_uint_t         ngx_http_sprox_nopens;
static ngx_uint_t         ngx_http_sprox_open_max;
static ngx_event_t        ngx_http_sprox_open_event;


void
ngx_http_sprox_open_start(ngx_cycle_t *cycle)
{
    ngx_uint_t     room;
    struct rlimit  rlmt;

    ngx_rbtree_init(&ngx_http_sprox_opens, &ngx_http_sprox_opens_sentinel,
                    ngx_http_sprox_open_insert);
    ngx_queue_init(&ngx_http_sprox_open_queue);

    ngx_http_sprox_nopens = 0;
    ngx_http_sprox_open_max = 0;

    ngx_http_sprox_open_event.handler = ngx_http_sprox_open_sweep;
    ngx_http_sprox_open_event.data = &ngx_http_sprox_no_connection;
    ngx_http_sprox_open_event.log = cycle->log;
    ngx_http_sprox_open_event.cancelable = 1;

    /* connections come first, and each may need a file beside */

    if (getrlimit(RLIMIT_NOFILE, &rlmt) == 0
        && rlmt.rlim_cur > 2 * cycle->connection_n)
    {
        room = rlmt.rlim_cur - 2 * cycle->connection_n;
        ngx_http_sprox_open_max = ngx_min(room / 2, NGX_HTTP_SPROX_OPEN_MAX);
    }
}


static ngx_http_sprox_open_t *
ngx_http_sprox_open_find(ngx_http_file_cache_t *cache, u_char *md5)
{
    ngx_int_t               rc;
    ngx_rbtree_key_t        key;
    ngx_rbtree_node_t      *node, *sentinel;
    ngx_http_sprox_open_t  *o;

    ngx_memcpy((u_char *) &key, md5, sizeof(ngx_rbtree_key_t));

    node = ngx_http_sprox_opens.root;
    sentinel = ngx_http_sprox_opens.sentinel;

    while (node != sentinel) {

        if (key != node->key) {
            node = (key < node->key) ? node->left : node->right;
            continue;
        }

        o = (ngx_http_sprox_open_t *) node;

        rc = ngx_memcmp(md5, o->md5, NGX_HTTP_CACHE_KEY_LEN);

        if (rc == 0 && o->cache == cache) {
            return o;
        }

        node = (rc < 0 || (rc == 0 && cache < o->cache)) ? node->left
                                                         : node->right;
    }

    return NULL;
}


static void
ngx_http_sprox_open_insert(ngx_rbtree_node_t *temp, ngx_rbtree_node_t *node,
    ngx_rbtree_node_t *sentinel)
{
    ngx_int_t                rc;
    ngx_rbtree_node_t      **p;
    ngx_http_sprox_open_t   *a, *b;

    for ( ;; ) {

        if (node->key != temp->key) {
            p = (node->key < temp->key) ? &temp->left : &temp->right;

        } else {
            a = (ngx_http_sprox_open_t *) node;
            b = (ngx_http_sprox_open_t *) temp;

            rc = ngx_memcmp(a->md5, b->md5, NGX_HTTP_CACHE_KEY_LEN);

            p = (rc < 0 || (rc == 0 && a->cache < b->cache)) ? &temp->left
                                                             : &temp->right;
        }

        if (*p == sentinel) {
            break;
        }

        temp = *p;
    }

    *p = node;
    node->parent = temp;
    node->left = sentinel;
    node->right = sentinel;
    ngx_rbt_red(node);
}


ngx_http_sprox_open_t *
ngx_http_sprox_open_get(ngx_http_file_cache_t *cache,
    u_char md5[NGX_HTTP_CACHE_KEY_LEN])
{
    ngx_http_sprox_open_t  *o;

    o = ngx_http_sprox_open_find(cache, md5);

    if (o == NULL) {
        return NULL;
    }

    /* with each change of the bans the file itself is asked again */

    if (o->bans != ngx_http_sprox_zone_bans_seq()
        || ngx_http_sprox_open_check(o) != NGX_OK
        || (ngx_current_msec - o->checked >= NGX_HTTP_SPROX_OPEN_CHECK
            && ngx_http_sprox_open_touch(o, 1) != NGX_OK))
    {
        ngx_http_sprox_open_forget(o);
        return NULL;
    }

    o->refs++;
    o->used = ngx_current_msec;

    ngx_queue_remove(&o->queue);
    ngx_queue_insert_head(&ngx_http_sprox_open_queue, &o->queue);

    return o;
}


void
ngx_http_sprox_open_unref(ngx_http_sprox_open_t *o)
{
    o->refs--;

    if (o->refs == 0 && o->gone) {
        ngx_http_sprox_open_close(o);
    }
}


void
ngx_http_sprox_open_add(ngx_http_file_cache_t *cache,
    u_char md5[NGX_HTTP_CACHE_KEY_LEN], ngx_http_sprox_cache_entry_t *entry,
    ngx_uint_t uses, uint64_t bans)
{
    ngx_queue_t            *q;
    ngx_file_info_t         fi;
    ngx_http_sprox_open_t  *o;

    if (ngx_http_sprox_open_max == 0
        || ngx_http_sprox_open_find(cache, md5) != NULL)
    {
        return;
    }

    if (ngx_http_sprox_nopens == ngx_http_sprox_open_max) {
        q = ngx_queue_last(&ngx_http_sprox_open_queue);
        ngx_http_sprox_open_forget(ngx_queue_data(q, ngx_http_sprox_open_t,
                                                  queue));
    }

    o = ngx_alloc(sizeof(ngx_http_sprox_open_t), ngx_cycle->log);
    if (o == NULL) {
        return;
    }

    ngx_memzero(o, sizeof(ngx_http_sprox_open_t));

    /* nginx closes its own with the entry */

    o->fd = fcntl(entry->file.fd, F_DUPFD_CLOEXEC, 0);

    if (o->fd == NGX_INVALID_FILE) {
        ngx_free(o);
        return;
    }

    if (ngx_fd_info(o->fd, &fi) == NGX_FILE_ERROR) {
        (void) ngx_close_file(o->fd);
        ngx_free(o);
        return;
    }

    o->changed = fi.st_ctim;

    ngx_memcpy(o->md5, md5, NGX_HTTP_CACHE_KEY_LEN);
    ngx_memcpy((u_char *) &o->node.key, md5, sizeof(ngx_rbtree_key_t));

    o->cache = cache;
    o->uniq = entry->cache->uniq;
    o->base = entry->base;
    o->length = entry->length;
    o->uses = uses;
    o->bans = bans;
    o->used = ngx_current_msec;
    o->told = ngx_current_msec;
    o->checked = ngx_current_msec;

    ngx_rbtree_insert(&ngx_http_sprox_opens, &o->node);
    ngx_queue_insert_head(&ngx_http_sprox_open_queue, &o->queue);
    ngx_http_sprox_nopens++;

    if (!ngx_http_sprox_open_event.timer_set) {
        ngx_add_timer(&ngx_http_sprox_open_event, NGX_HTTP_SPROX_OPEN_CHECK);
    }
}


/* NGX_OK: nobody has touched the file. */

static ngx_int_t
ngx_http_sprox_open_check(ngx_http_sprox_open_t *o)
{
    ngx_file_info_t  fi;

    if (ngx_fd_info(o->fd, &fi) == NGX_FILE_ERROR
        || fi.st_ctim.tv_nsec != o->changed.tv_nsec
        || fi.st_ctim.tv_sec != o->changed.tv_sec
        || ngx_file_size(&fi) != o->base + o->length)
    {
        return NGX_DECLINED;
    }

    return NGX_OK;
}


/* NGX_OK: the cache still has it. */

static ngx_int_t
ngx_http_sprox_open_touch(ngx_http_sprox_open_t *o, ngx_uint_t use)
{
    o->checked = ngx_current_msec;

    return ngx_http_sprox_cache_touch(o->cache, o->md5, o->uniq, use);
}


static void
ngx_http_sprox_open_forget(ngx_http_sprox_open_t *o)
{
    ngx_rbtree_delete(&ngx_http_sprox_opens, &o->node);
    ngx_queue_remove(&o->queue);
    ngx_http_sprox_nopens--;

    o->gone = 1;

    if (o->refs == 0) {
        ngx_http_sprox_open_close(o);
    }
}


static void
ngx_http_sprox_open_close(ngx_http_sprox_open_t *o)
{
    if (ngx_close_file(o->fd) == NGX_FILE_ERROR) {
        ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, ngx_errno,
                      "sprox: " ngx_close_file_n " of a slice failed");
    }

    ngx_free(o);
}


static void
ngx_http_sprox_open_sweep(ngx_event_t *ev)
{
    ngx_queue_t            *q, *prev;
    ngx_http_sprox_open_t  *o;

    for (q = ngx_queue_last(&ngx_http_sprox_open_queue);
         q != ngx_queue_sentinel(&ngx_http_sprox_open_queue);
         q = prev)
    {
        prev = ngx_queue_prev(q);
        o = ngx_queue_data(q, ngx_http_sprox_open_t, queue);

        if (ngx_current_msec - o->checked < NGX_HTTP_SPROX_OPEN_CHECK / 2) {
            continue;
        }

        if ((o->refs == 0
             && ngx_current_msec - o->used >= NGX_HTTP_SPROX_OPEN_IDLE)
            || ngx_http_sprox_open_check(o) != NGX_OK
            || ngx_http_sprox_open_touch(o, 0) != NGX_OK)
        {
            ngx_http_sprox_open_forget(o);
        }
    }

    if (ngx_http_sprox_nopens) {
        ngx_add_timer(ev, NGX_HTTP_SPROX_OPEN_CHECK);
    }
}
