/*
 * What fills and probes (ngx_http_sprox_fill.c, ngx_http_sprox_probe.c)
 * share, and nobody else uses.
 */

#ifndef _NGX_HTTP_SPROX_FILL_PRIVATE_H_INCLUDED_
#define _NGX_HTTP_SPROX_FILL_PRIVATE_H_INCLUDED_


#include "ngx_http_sprox_fill.h"


struct ngx_http_sprox_fill_s {
    ngx_http_sprox_fetch_t   *fetch;
    ngx_http_sprox_spec_t     spec;      /* strings in the fetch's pool */
    sprox_object_t            object;    /* the version wanted */
    ngx_queue_t               slices;    /* not whole yet, in order */
    off_t                     offset;    /* of the object: the next byte */
    off_t                     end;       /* of this response */
    ngx_http_sprox_probe_t   *probe;     /* NULL once its header came */
    unsigned                  head:1;    /* completes the head of a slice */
    unsigned                  counted:1; /* among those in flight */
};


struct ngx_http_sprox_probe_s {
    ngx_str_node_t            node;      /* str: origin, bucket and key */
    ngx_pool_t               *pool;
    ngx_queue_t               waiters;
    sprox_object_t            known;     /* when has_known */
    unsigned                  has_known:1;
};


/* A fill with its fetch, the spec copied; not started.  NULL: memory. */
ngx_http_sprox_fill_t *ngx_http_sprox_fill_create(
    ngx_http_sprox_spec_t *spec, sprox_op_t op);

/*
 * A pending slice of fill->object, in the table and at the end of the
 * fill's queue.
 */
ngx_http_sprox_slice_t *ngx_http_sprox_slice_create(
    ngx_http_sprox_fill_t *fill, uint64_t index);

/* The object is known: the file is begun, readers may look at it. */
ngx_int_t ngx_http_sprox_slice_ready(ngx_http_sprox_fill_t *fill,
    ngx_http_sprox_slice_t *s, const sprox_object_t *object);

/* Fails all slices that are not whole. */
void ngx_http_sprox_fill_fail(ngx_http_sprox_fill_t *fill,
    sprox_error_code_t failure, ngx_uint_t changed);

/* The slice of that key is in flight. */
ngx_uint_t ngx_http_sprox_slice_in_flight(sprox_str_t key);

ngx_str_node_t *ngx_http_sprox_table_find(ngx_rbtree_t *table,
    sprox_str_t key);
void ngx_http_sprox_table_add(ngx_rbtree_t *table, ngx_str_node_t *node);

/* Posts the event of each waiter and empties the queue. */
void ngx_http_sprox_wake(ngx_queue_t *waiters);

/* For a fill that is still a probe: its header; its end without one. */
ngx_int_t ngx_http_sprox_probe_header(ngx_http_sprox_fetch_t *f);
void ngx_http_sprox_probe_refused(ngx_http_sprox_fetch_t *f, ngx_int_t rc);

void ngx_http_sprox_probe_init(void);


#endif /* _NGX_HTTP_SPROX_FILL_PRIVATE_H_INCLUDED_ */
