/*
 * What slices, fills and probes (ngx_http_sprox_slice.c, _fill.c,
 * _fill_write.c, _probe.c) share, and nobody else uses.
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


/* Bytes on their way into files, see ngx_http_sprox_fill_write.c. */

typedef struct {
    ngx_queue_t               gathered;  /* pieces, in order, for the next
                                            task */
    size_t                    size;      /* of those */
    ngx_queue_t               writing;   /* the task's pieces */
    ngx_thread_task_t         task;
    ngx_queue_t               line;      /* of fills, for room */
    unsigned                  running:1; /* the task: writing is its own */
    unsigned                  full:1;    /* the fetch waits for the task */
    unsigned                  waiting:1; /* in the line */
    unsigned                  called:1;  /* from the line */
} ngx_http_sprox_fill_write_t;


/*
 * A fill outlives its fetch until what came is written.  Of the fetch's pool
 * are only the strings of object.
 */

struct ngx_http_sprox_fill_s {
    ngx_pool_t               *pool;
    ngx_http_sprox_fetch_t   *fetch;     /* NULL: no more bytes come */
    ngx_http_sprox_spec_t     spec;      /* strings in pool */
    sprox_object_t            object;    /* the version wanted */
    ngx_queue_t               slices;    /* not whole yet, in order */
    off_t                     start;     /* of this response, in the object */
    off_t                     offset;    /* the next byte that comes */
    off_t                     end;
    ngx_http_sprox_fill_write_t  write;
    ngx_http_sprox_probe_t   *probe;     /* NULL once its header came */
    ngx_event_t               joined;    /* its readers have had their turn */

    /* when there is no fetch: how what is not whole in the end fails */
    ngx_http_sprox_slice_end_e  how;
    sprox_error_code_t        failure;

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


/*
 * A fill with its fetch, the spec copied; not started.  NULL: memory.  Its
 * end: fill_end(), or that of its fetch.
 */
ngx_http_sprox_fill_t *ngx_http_sprox_fill_create(
    ngx_http_sprox_spec_t *spec, sprox_op_t op);

/* The fill is in flight. */
void ngx_http_sprox_fill_count(ngx_http_sprox_fill_t *fill);

/* Its header came, and is what was asked for. */
void ngx_http_sprox_fill_begin(ngx_http_sprox_fill_t *fill);

/*
 * No more bytes come: the fetch is broken off.  When what came is written,
 * now or later, the slices that are not whole fail, and the fill is gone.
 */
void ngx_http_sprox_fill_end(ngx_http_sprox_fill_t *fill,
    ngx_http_sprox_slice_end_e how, sprox_error_code_t failure);

/* A slice of the fill has lost its last reader. */
void ngx_http_sprox_fill_unread(ngx_http_sprox_fill_t *fill);

/* Fails all slices that are not whole, and forgets what came for them. */
void ngx_http_sprox_fill_fail(ngx_http_sprox_fill_t *fill,
    ngx_http_sprox_slice_end_e how, sprox_error_code_t failure);

/* Bytes that came for the slice were written. */
void ngx_http_sprox_fill_wrote(ngx_http_sprox_fill_t *fill,
    ngx_http_sprox_slice_t *s, size_t n);

/* What came was written; there is no fetch.  The fill is gone. */
void ngx_http_sprox_fill_free(ngx_http_sprox_fill_t *fill);

/* A slice that look() made becomes the last of the fill. */
void ngx_http_sprox_fill_add(ngx_http_sprox_fill_t *fill,
    ngx_http_sprox_slice_t *s);


/* _fill_write.c */

void ngx_http_sprox_fill_write_init(ngx_http_sprox_fill_t *fill);

/* Once a worker. */
void ngx_http_sprox_fill_write_start(void);

/*
 * Takes bytes for an offset of a slice that is ready.  They are written from
 * the next flush() on, in order.  NGX_OK or NGX_ERROR (memory).
 */
ngx_int_t ngx_http_sprox_fill_gather(ngx_http_sprox_fill_t *fill,
    ngx_http_sprox_slice_t *s, u_char *p, size_t n, off_t offset);

/*
 * What was gathered is written, after what is being written; at_once: now,
 * if nothing is.  NGX_OK; NGX_AGAIN: the fetch has to wait, and is resumed;
 * NGX_ERROR: that failed, and the fill has come to its end.
 */
ngx_int_t ngx_http_sprox_fill_flush(ngx_http_sprox_fill_t *fill,
    ngx_uint_t at_once);

/* The worker has no room for bytes that nobody asked room for. */
ngx_uint_t ngx_http_sprox_fill_crowded(void);

/* NGX_OK: bytes may come; NGX_AGAIN: the fetch is resumed when they may. */
ngx_int_t ngx_http_sprox_fill_room(ngx_http_sprox_fill_t *fill);

/* Forgets what was gathered for a slice. */
void ngx_http_sprox_fill_forget(ngx_http_sprox_fill_t *fill,
    ngx_http_sprox_slice_t *s);

/* Out of the line. */
void ngx_http_sprox_fill_leave(ngx_http_sprox_fill_t *fill);

/* No fill is left in this worker, nor are buffers. */
void ngx_http_sprox_fill_trim(void);


/* The object is known: its file may be made, readers may look at it. */
ngx_int_t ngx_http_sprox_slice_ready(ngx_http_sprox_slice_t *s,
    ngx_http_sprox_spec_t *spec, const sprox_object_t *object,
    ngx_log_t *log);

/* The end, good or bad: off the table, its waiters woken. */
void ngx_http_sprox_slice_done(ngx_http_sprox_slice_t *s,
    ngx_http_sprox_spec_t *spec, ngx_log_t *log);
void ngx_http_sprox_slice_fail(ngx_http_sprox_slice_t *s,
    ngx_http_sprox_slice_end_e end, sprox_error_code_t failure);

/* One of its pieces was taken off: the slice may go with it. */
void ngx_http_sprox_slice_let(ngx_http_sprox_slice_t *s);

/* Whether readers may borrow, and news for those who wait to. */
ngx_uint_t ngx_http_sprox_slice_lends(ngx_http_sprox_slice_t *s);
void ngx_http_sprox_slice_came(ngx_http_sprox_slice_t *s);

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
