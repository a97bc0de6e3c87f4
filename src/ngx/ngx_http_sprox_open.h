/*
 * Descriptors of hot slices, kept open by this worker, so that a hit costs
 * neither an open nor a read of the file's header.
 *
 * A slice file never changes once it has its name: whatever becomes of the
 * name, an open descriptor holds the right bytes of its version.  Each use
 * looks at the inode's change time, which tells of deletion, truncation and
 * damage; about once a second the cache is told of the use, or, when there
 * is none, asked whether it still has the file.
 */

#ifndef _NGX_HTTP_SPROX_OPEN_H_INCLUDED_
#define _NGX_HTTP_SPROX_OPEN_H_INCLUDED_


#include "ngx_http_sprox_cache.h"


typedef struct {
    ngx_rbtree_node_t        node;
    ngx_queue_t              queue;      /* the latest used first */
    u_char                   md5[NGX_HTTP_CACHE_KEY_LEN];
    ngx_http_file_cache_t   *cache;
    ngx_fd_t                 fd;
    ngx_file_uniq_t          uniq;
    struct timespec          changed;    /* the inode */
    off_t                    base;       /* where the bytes start */
    off_t                    length;     /* of the bytes */
    ngx_uint_t               refs;       /* readers */
    ngx_msec_t               used;
    ngx_msec_t               checked;
    ngx_msec_t               told;       /* lower tiers, of its use */
    ngx_uint_t               uses;       /* of those that count as such */
    uint64_t                 bans;       /* when it was found to be right */
    unsigned                 gone:1;     /* off the table: its last reader
                                            closes it */
} ngx_http_sprox_open_t;


/* Once a worker. */
void ngx_http_sprox_open_start(ngx_cycle_t *cycle);

/* The open descriptor of an entry, with a reference, or NULL. */
ngx_http_sprox_open_t *ngx_http_sprox_open_get(ngx_http_file_cache_t *cache,
    u_char md5[NGX_HTTP_CACHE_KEY_LEN]);

void ngx_http_sprox_open_unref(ngx_http_sprox_open_t *o);

/*
 * Keeps the descriptor of an entry that was opened and found to be right; it
 * is duplicated.  uses: how often it was used so far; bans: what zone_bans_seq()
 * said before it was found to be right.  Nothing happens when there is no room
 * or no memory.
 */
void ngx_http_sprox_open_add(ngx_http_file_cache_t *cache,
    u_char md5[NGX_HTTP_CACHE_KEY_LEN], ngx_http_sprox_cache_entry_t *entry,
    ngx_uint_t uses, uint64_t bans);


#endif /* _NGX_HTTP_SPROX_OPEN_H_INCLUDED_ */
