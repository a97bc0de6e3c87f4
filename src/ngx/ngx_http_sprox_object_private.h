/*
 * A read of an object, shared by the files that drive it:
 * ngx_http_sprox_object.c (what is known and asked), _object_send.c (bytes
 * out of slices), _object_source.c (where slices come from),
 * _object_pass.c (bytes that are not cached).
 */

#ifndef _NGX_HTTP_SPROX_OBJECT_PRIVATE_H_INCLUDED_
#define _NGX_HTTP_SPROX_OBJECT_PRIVATE_H_INCLUDED_


#include "ngx_http_sprox_error.h"
#include "ngx_http_sprox_fill.h"
#include "ngx_http_sprox_object.h"
#include "ngx_http_sprox_open.h"
#include "sprox_plan.h"


/* How often a read starts again because the object changed meanwhile. */
#define NGX_HTTP_SPROX_RESTARTS     3

/* How often the fill that a response waits on may fail in its middle. */
#define NGX_HTTP_SPROX_REFILLS      2

/* How many probes of other workers are waited for before one's own. */
#define NGX_HTTP_SPROX_LANDINGS     2

/*
 * Fills in a worker beyond which nobody reads ahead; and those beyond which
 * ranges do not come in parts: who reads so much at once is parallel himself.
 */
#define NGX_HTTP_SPROX_AHEAD_FILLS  128
#define NGX_HTTP_SPROX_PART_FILLS   8


struct ngx_http_sprox_object_s {
    ngx_http_request_t             *request;
    ngx_http_sprox_ctx_t           *ctx;
    ngx_http_sprox_spec_t           spec;

    sprox_cond_t                    cond;
    sprox_range_t                   range;
    uint32_t                        part_number;
    uint64_t                        parts;      /* x-amz-mp-parts-count */
    sprox_object_t                  part_of;    /* whose part start and end
                                                   are, with part */

    ngx_http_sprox_probe_waiter_t   probe;
    int64_t                         proved;     /* when the catalog said so */
    ngx_uint_t                      landings;
    sprox_object_t                  object;     /* strings in r->pool */

    uint64_t                        start;      /* what is sent: half-open */
    uint64_t                        end;
    uint64_t                        pos;

    uint64_t                        fill_from;  /* what the probe fetched: */
    uint64_t                        fill_to;    /* half-open */
    ngx_uint_t                      before;     /* slices made before it */
    uint64_t                        late;       /* before this index, slices
                                                   were not whole when they
                                                   were looked at */

    /* the slices ahead that were in flight when they were looked at, by
       index modulo nring; with a reference */
    sprox_plan_t                    plan;
    ngx_http_sprox_slice_t        **ring;
    ngx_uint_t                      nring;

    /* where the bytes at pos come from: one of the two, or none */
    uint64_t                        index;      /* of the slice */
    ngx_http_sprox_slice_t         *slice;      /* in flight; a reference */
    ngx_http_sprox_waiter_t         waiter;
    ngx_http_sprox_loan_t           loan;       /* what buf is made of */
    ngx_http_sprox_cache_entry_t    entry;      /* in the cache */
    ngx_pool_t                     *entry_pool;
    ngx_event_t                     guard;      /* a thread reads entry */
    ngx_http_sprox_open_t          *open;       /* entry is out of this */
    uint64_t                        bans;       /* seq before it was checked */
    ngx_uint_t                      tier;       /* entry is in this */
    sprox_buf_t                     key;        /* of slice key_index, when */
    uint64_t                        key_index;  /* keyed */

    ngx_file_t                      file;
    ngx_buf_t                       buf;
    ngx_chain_t                     out;

    /* of reads that are not cached */
    ngx_http_sprox_fetch_t         *fetch;
    u_char                         *pass;

    ngx_uint_t                      restarts;
    ngx_uint_t                      refills;
    unsigned                        head:1;     /* HeadObject */
    unsigned                        known:1;    /* object holds */
    unsigned                        part:1;     /* start and end are a part's */
    unsigned                        opened:1;   /* entry holds */
    unsigned                        hot:1;      /* was, before it is opened */
    unsigned                        there:1;    /* slice had come before it
                                                   was looked at: a hit */
    unsigned                        own:1;      /* what is at index was fetched
                                                   for this read, and its file
                                                   closed since */
    unsigned                        sending:1;  /* body: header was sent */
    unsigned                        busy:1;     /* buf is not sent yet */
    unsigned                        keyed:1;
    unsigned                        planned:1;  /* plan holds */
    unsigned                        waited:1;   /* for the slice at pos */
    unsigned                        doubted:1;  /* the file of that slice */
    unsigned                        renewed:1;
    unsigned                        asked:1;    /* a probe was needed */
    unsigned                        passing:1;
    unsigned                        rest:1;     /* what slices began */
    unsigned                        pass_ended:1;
};


/* Looks at the catalog, probes, and goes on; finalises the request. */
void ngx_http_sprox_object_lookup(ngx_http_sprox_object_t *o);

/* The version is gone, and nothing was sent: what was asked, of the next. */
void ngx_http_sprox_object_again(ngx_http_sprox_object_t *o);

/* Asks the origin: known for a condition or NULL, get: by GET. */
void ngx_http_sprox_object_probe(ngx_http_sprox_object_t *o,
    const sprox_object_t *known, ngx_uint_t get);

/* The object is known, but for its headers: asks the origin. */
void ngx_http_sprox_object_unheaded(ngx_http_sprox_object_t *o);

/* The object is known: conditions, range, header, body. */
void ngx_http_sprox_object_answer(ngx_http_sprox_object_t *o);

/* Sends slices from pos on. */
void ngx_http_sprox_object_send(ngx_http_sprox_object_t *o);

/*
 * The slice at pos becomes the source, unless it is already: o->slice or
 * o->entry.  NGX_OK; NGX_AGAIN: the write event will come (aio threads);
 * NGX_ERROR.
 */
ngx_int_t ngx_http_sprox_object_source(ngx_http_sprox_object_t *o);

/* Reads ahead, as the plan says.  NGX_OK or NGX_ERROR (memory). */
ngx_int_t ngx_http_sprox_object_ahead(ngx_http_sprox_object_t *o);

/* What is read at pos was fetched for this read, and is no hit. */
ngx_uint_t ngx_http_sprox_object_own(ngx_http_sprox_object_t *o);

/* The source of the slice at pos is of no use: look for another. */
void ngx_http_sprox_object_lost(ngx_http_sprox_object_t *o);

/* Lets go of the source of bytes at pos; of those ahead as well. */
void ngx_http_sprox_object_drop(ngx_http_sprox_object_t *o);
void ngx_http_sprox_object_drop_all(ngx_http_sprox_object_t *o);

/*
 * Streams the object from the origin, past the cache; _rest: from pos on, of
 * the version that is known, because slices cannot be written.
 */
void ngx_http_sprox_object_pass(ngx_http_sprox_object_t *o);
void ngx_http_sprox_object_pass_rest(ngx_http_sprox_object_t *o);

/* Asks the origin where a part begins and ends, by HEAD. */
void ngx_http_sprox_object_part(ngx_http_sprox_object_t *o);

/* There is another version by now, with other parts: the same again. */
void ngx_http_sprox_object_part_moved(ngx_http_sprox_object_t *o);

/*
 * Conditions and range against the object: NGX_OK: start, end and *status
 * are set; NGX_DONE: the request was answered and finalised, or where its
 * part lies is asked again.
 */
ngx_int_t ngx_http_sprox_object_check(ngx_http_sprox_object_t *o,
    ngx_uint_t *status);

/* Sends the response header; NGX_OK to go on with a body, or NGX_DONE. */
ngx_int_t ngx_http_sprox_object_header(ngx_http_sprox_object_t *o);

/* Output is busy: waits until the client takes more. */
void ngx_http_sprox_object_block(ngx_http_sprox_object_t *o);

/* The write event: buf is out (NGX_OK), or not yet (NGX_AGAIN). */
ngx_int_t ngx_http_sprox_object_flush(ngx_http_sprox_object_t *o);

/* Puts buf out; NGX_OK: sent; NGX_AGAIN: busy; NGX_ERROR. */
ngx_int_t ngx_http_sprox_object_output(ngx_http_sprox_object_t *o);

void ngx_http_sprox_object_fail(ngx_http_sprox_object_t *o,
    sprox_error_code_t code, const char *message);
void ngx_http_sprox_object_finalize(ngx_http_sprox_object_t *o,
    ngx_int_t rc);


#endif /* _NGX_HTTP_SPROX_OBJECT_PRIVATE_H_INCLUDED_ */
