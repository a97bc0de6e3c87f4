/*
 * Fills: fetches that bring slices of one object into the cache, and those
 * who wait for them.
 *
 * Two tables, of this worker: slices in flight by their cache key, and
 * probes in flight by object.  Whoever needs what is in flight joins it.
 * What another worker fetches stands in them as well, as `remote`: it is
 * waited for here, and lands in the cache or the catalog.
 *
 * A probe is the first contact with an object, or the renewal of what is
 * known of it: a HEAD, or a GET whose response's header tells what the
 * object is and whose body is at once the fill of the slices that its
 * starter wants.
 */

#ifndef _NGX_HTTP_SPROX_FILL_H_INCLUDED_
#define _NGX_HTTP_SPROX_FILL_H_INCLUDED_


#include "ngx_http_sprox_cache.h"
#include "ngx_http_sprox_fetch.h"
#include "ngx_http_sprox_flight.h"


typedef struct ngx_http_sprox_fill_s    ngx_http_sprox_fill_t;
typedef struct ngx_http_sprox_slice_s   ngx_http_sprox_slice_t;
typedef struct ngx_http_sprox_probe_s   ngx_http_sprox_probe_t;


/* What is read, and into which cache.  The strings are the caller's. */

typedef struct {
    ngx_http_sprox_origin_t    *origin;
    sprox_str_t                 bucket;
    sprox_str_t                 key;
    ngx_array_t                *zones;      /* of ngx_shm_zone_t *: the
                                               tiers, in their order */
    ngx_http_file_cache_t      *cache;      /* the last, which is written to;
                                               NULL: none, only for probes by
                                               HEAD */
    size_t                      slice;
    size_t                      fill;
} ngx_http_sprox_spec_t;


/*
 * Somebody who waits, on a slice or a probe.  The event is posted when there
 * is news; its handler and data are the owner's.  Linked at most once.
 */

typedef struct {
    ngx_queue_t                 queue;
    ngx_event_t                 event;
    unsigned                    linked:1;
    unsigned                    borrows:1;  /* takes loans */
} ngx_http_sprox_waiter_t;

/*
 * Bytes of a slice, lent to a reader before they are in its file.  They are
 * called back when they are, or never will be.
 */

typedef struct ngx_http_sprox_loan_s  ngx_http_sprox_loan_t;

struct ngx_http_sprox_loan_s {
    ngx_queue_t                 queue;
    u_char                     *p;          /* NULL: nothing is lent */
    off_t                       offset;     /* of p, in the slice */

    /*
     * The reader's: after it, p is not looked at any more.  written: the
     * bytes are in the file; else what is still wanted is copied now.
     */
    void                      (*recall)(ngx_http_sprox_loan_t *loan,
                                        ngx_uint_t written);
};

/* Off the list, and its posted event taken back. */
void ngx_http_sprox_waiter_unlink(ngx_http_sprox_waiter_t *w);


/*
 * A slice in flight.  Readers hold references; those that have come to it use
 * it, and the descriptor lives as long as they do.  Of what is done and waits
 * for its readers only so much is kept open.  A fill that has no reader left
 * ends early, but what somebody was sent a part of is made whole.
 * A remote slice has no file here: when it is done, the cache has it, or it
 * is to be looked for again.  Bytes come in two parts when a fill starts
 * inside of it (a suffix range of an unknown object): first those from `from`
 * on, then those before.
 *
 *   0 ........ from ....... length
 *   |--head--> |---tail--->
 */

struct ngx_http_sprox_slice_s {
    ngx_str_node_t                 node;     /* str: the cache key */
    ngx_queue_t                    queue;    /* in its fill */
    ngx_http_sprox_fill_t         *fill;     /* NULL: none, or over */
    ngx_http_sprox_flight_t        flight;
    ngx_pool_t                    *pool;
    ngx_uint_t                     refs;
    ngx_uint_t                     users;    /* responses that are at it */
    ngx_queue_t                    pieces;   /* not written yet, in order */
    ngx_uint_t                     number;   /* in the order of their making */
    off_t                          came;     /* of its bytes, written or not */
    off_t                          start;    /* in the object */
    off_t                          length;
    off_t                          from;
    off_t                          head;     /* bytes from 0 on, written */
    off_t                          tail;     /* up to here, after from */
    ngx_http_sprox_cache_writer_t  writer;
    sprox_object_t                 object;   /* when ready; in pool */
    ngx_queue_t                    waiters;
    sprox_error_code_t             failure;  /* when failed */
    unsigned                       in_table:1;
    unsigned                       remote:1; /* another worker's */
    unsigned                       used:1;   /* somebody was sent of it */
    unsigned                       begun:1;  /* its fill's header came */
    unsigned                       ready:1;  /* object holds, file open */
    unsigned                       done:1;
    unsigned                       cached:1; /* done, and in the cache */
    unsigned                       kept:1;   /* cached, open, not used */
    unsigned                       shut:1;   /* cached, the file closed */
    unsigned                       failed:1;
    unsigned                       changed:1;  /* failed: another version */
    unsigned                       unkept:1; /* failed: cannot be written */
};


/* The slice in flight of that key, with a reference for the caller, or NULL. */
ngx_http_sprox_slice_t *ngx_http_sprox_slice_find(sprox_str_t key);

/*
 * Looks for slice `index` of an object that is not in the cache, or, with
 * look, may be.  key: scratch.  NGX_DECLINED: it is in the cache (as far as
 * memory tells); NGX_OK: it is in flight; NGX_AGAIN: it is missing and
 * stands in the table from now on, for the caller to pass to fill_start();
 * NGX_ERROR (memory).  *slice for NGX_OK and NGX_AGAIN: with a reference.
 */
ngx_int_t ngx_http_sprox_slice_look(ngx_http_sprox_spec_t *spec,
    const sprox_object_t *object, uint64_t index, ngx_uint_t look,
    sprox_buf_t *key, ngx_http_sprox_slice_t **slice);

/*
 * A response comes to a slice that it refers to, and leaves it: in between,
 * the slice's file is not closed.  NGX_OK; NGX_DECLINED: it was closed before,
 * and the cache has it, unless it was evicted or purged meanwhile.
 */
ngx_int_t ngx_http_sprox_slice_use(ngx_http_sprox_slice_t *s);
void ngx_http_sprox_slice_unuse(ngx_http_sprox_slice_t *s);

/* Lets go of a slice; a fill that has no reader left is broken off. */
void ngx_http_sprox_slice_unref(ngx_http_sprox_slice_t *s);

/* How many slices this worker has made: the number of the latest. */
ngx_uint_t ngx_http_sprox_slices_made(void);

/* How many bytes may be read from the file at an offset of the slice now. */
off_t ngx_http_sprox_slice_available(ngx_http_sprox_slice_t *s, off_t offset);

/*
 * Lends bytes that came for an offset of the slice, and are not written yet:
 * how many, or 0.  loan: nothing is lent by it, recall is set; NULL: only
 * tells.  The caller keeps its reference until the loan is returned or called
 * back.
 */
size_t ngx_http_sprox_slice_lend(ngx_http_sprox_slice_t *s, off_t offset,
    ngx_http_sprox_loan_t *loan);

/* What was lent is not needed any more.  Nothing, if nothing is lent. */
void ngx_http_sprox_loan_return(ngx_http_sprox_loan_t *loan);

/*
 * The waiter's event is posted when there is news.  wait: a client waits,
 * and what is read ahead gives way to it; watch: nobody does.
 */
void ngx_http_sprox_slice_wait(ngx_http_sprox_slice_t *s,
    ngx_http_sprox_waiter_t *w);
void ngx_http_sprox_slice_watch(ngx_http_sprox_slice_t *s,
    ngx_http_sprox_waiter_t *w);


/*
 * Starts a fill of missing slices of a known object: those of index first
 * to last, as slice_look() made them, in ring[index % nring].  What goes
 * wrong, even at once, is told by the slices: they fail.
 */
void ngx_http_sprox_fill_start(ngx_http_sprox_spec_t *spec,
    const sprox_object_t *object, ngx_http_sprox_slice_t **ring,
    ngx_uint_t nring, uint64_t first, uint64_t last);

/* Fills in flight in this worker. */
ngx_uint_t ngx_http_sprox_fills(void);


/* How a probe ended; in the memory of the waiter's pool. */

typedef enum {
    NGX_HTTP_SPROX_PROBE_WAITING = 0,
    NGX_HTTP_SPROX_PROBE_OBJECT,      /* object holds */
    NGX_HTTP_SPROX_PROBE_ABSENT,      /* the origin says so */
    NGX_HTTP_SPROX_PROBE_LANDED,      /* another worker's: see the catalog */
    NGX_HTTP_SPROX_PROBE_ERROR,       /* status and error: the origin's */
    NGX_HTTP_SPROX_PROBE_FAILED       /* failure: no answer */
} ngx_http_sprox_probe_result_e;


typedef struct {
    ngx_http_sprox_waiter_t        waiter;
    ngx_pool_t                    *pool;     /* the owner's, for the result */

    ngx_http_sprox_probe_result_e  result;
    sprox_object_t                 object;
    uint64_t                       from;     /* what its body fills: */
    uint64_t                       to;       /* half-open, may be empty */
    unsigned                       pinned:1; /* may be read in slices */
    unsigned                       renewed:1;/* 304: what was known holds */
    unsigned                       outage:1; /* ERROR or FAILED: `stale` may
                                                bridge it */
    unsigned                       alone:1;  /* the caller's: other workers'
                                                probes are not waited for */
    unsigned                       looked:1; /* the caller's, with proved: it
                                                has seen this proof in the
                                                catalog, 0 for none, and looks
                                                again if there is another */
    int64_t                        proved;
    int                            status;
    sprox_error_t                  error;
    sprox_error_code_t             failure;
} ngx_http_sprox_probe_waiter_t;


/*
 * Joins the probe of an object, starting it if there is none.  known: what
 * is known (for a conditional request), or NULL.  get: the starter will
 * read from this range, so ask by GET and fill; else by HEAD.  w->pool,
 * w->waiter.event are set by the caller.  Results are put into the catalog.
 * NGX_OK: w's event will be posted; NGX_ERROR (memory).
 */
ngx_int_t ngx_http_sprox_probe(ngx_http_sprox_spec_t *spec,
    const sprox_object_t *known, const sprox_range_t *get,
    ngx_http_sprox_probe_waiter_t *w);


/*
 * What a response's header says about its object.  headers: with those
 * that clients see.  The strings are copied into mem.  SPROX_OK;
 * SPROX_INVALID: no size can be known, or the range is not what it says;
 * SPROX_NOMEM.
 */
sprox_rc_t ngx_http_sprox_object_of(ngx_http_sprox_fetch_t *f,
    const sprox_mem_t *mem, sprox_object_t *object,
    sprox_content_range_t *range);

/* A copy of an object's strings in another pool. */
ngx_int_t ngx_http_sprox_object_copy(ngx_pool_t *pool, sprox_object_t *to,
    const sprox_object_t *from);

/* Once a worker, before the first use. */
void ngx_http_sprox_fill_init(void);


#endif /* _NGX_HTTP_SPROX_FILL_H_INCLUDED_ */
