/*
 * What slices, fills and probes (ngx_http_sprox_slice.c, _fill.c, _probe.c)
 * share, and nobody else uses.
 */

#ifndef _NGX_HTTP_SPROX_FILL_PRIVATE_H_INCLUDED_
#define _NGX_HTTP_SPROX_FILL_PRIVATE_H_INCLUDED_


#include "ngx_http_sprox_fill.h"


/* How a slice ended that is not whole. */

typedef enum {
    NGX_HTTP_SPROX_SLICE_FAILED = 0,   /* with an S3 error */
    NGX_HTTP_SPROX_SLICE_CHANGED,      /* the version is gone */
    NGX_HTTP_SPROX_SLICE_UNKEPT        /* its file cannot be written */
} ngx_http_sprox_slice_end_e;


struct ngx_http_sprox_fill_s {
    ngx_http_sprox_fetch_t   *fetch;
    ngx_http_sprox_spec_t     spec;      /* strings in the fetch's pool */
    sprox_object_t            object;    /* the version wanted */
    ngx_queue_t               slices;    /* not whole yet, in order */
    off_t                     offset;    /* of the object: the next byte */
    off_t                     end;       /* of this response */
    ngx_http_sprox_probe_t   *probe;     /* NULL once its header came */
    ngx_event_t               joined;    /* its readers have had their turn */
    unsigned                  head:1;    /* completes the head of a slice */
    unsigned                  cut:1;     /* ends before its response does */
    unsigned                  counted:1;
};


struct ngx_http_sprox_probe_s {
    ngx_str_node_t            node;      /* str: origin, bucket and key */
    ngx_http_sprox_flight_t   flight;
    ngx_pool_t               *pool;
    ngx_queue_t               waiters;
    sprox_object_t            known;     /* when has_known */
    unsigned                  has_known:1;
};


/* A fill with its fetch, the spec copied; not started.  NULL: memory. */
ngx_http_sprox_fill_t *ngx_http_sprox_fill_create(
    ngx_http_sprox_spec_t *spec, sprox_op_t op);

/* The fill is in flight. */
void ngx_http_sprox_fill_count(ngx_http_sprox_fill_t *fill);

/* Its header came, and is what was asked for. */
void ngx_http_sprox_fill_begin(ngx_http_sprox_fill_t *fill);

/* Breaks off its fetch; the fill is gone. */
void ngx_http_sprox_fill_stop(ngx_http_sprox_fill_t *fill);

/* A slice of the fill has lost its last reader. */
void ngx_http_sprox_fill_unread(ngx_http_sprox_fill_t *fill);

/* Fails all slices that are not whole. */
void ngx_http_sprox_fill_fail(ngx_http_sprox_fill_t *fill,
    ngx_http_sprox_slice_end_e end, sprox_error_code_t failure);

/* A slice that look() made becomes the last of the fill. */
void ngx_http_sprox_fill_add(ngx_http_sprox_fill_t *fill,
    ngx_http_sprox_slice_t *s);


/* The object is known: the file is begun, readers may look at it. */
ngx_int_t ngx_http_sprox_slice_ready(ngx_http_sprox_slice_t *s,
    ngx_http_sprox_spec_t *spec, const sprox_object_t *object,
    ngx_log_t *log);

/* The end, good or bad: off the table, its waiters woken. */
void ngx_http_sprox_slice_done(ngx_http_sprox_slice_t *s,
    ngx_http_sprox_spec_t *spec, ngx_log_t *log);
void ngx_http_sprox_slice_fail(ngx_http_sprox_slice_t *s,
    ngx_http_sprox_slice_end_e end, sprox_error_code_t failure);

/* Somebody reads it, here or in another worker. */
ngx_uint_t ngx_http_sprox_slice_read(ngx_http_sprox_slice_t *s);

/* The slice of that key is in flight. */
ngx_uint_t ngx_http_sprox_slice_in_flight(sprox_str_t key);

void ngx_http_sprox_slice_init(void);

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
