/*
 * A listing under way, shared by ngx_http_sprox_list.c (operations, merge,
 * answer) and _list_stream.c (what one alias contributes).
 */

#ifndef _NGX_HTTP_SPROX_LIST_PRIVATE_H_INCLUDED_
#define _NGX_HTTP_SPROX_LIST_PRIVATE_H_INCLUDED_


#include "ngx_http_sprox_cache.h"
#include "ngx_http_sprox_conf.h"
#include "ngx_http_sprox_error.h"
#include "ngx_http_sprox_fetch.h"
#include "ngx_http_sprox_flight.h"
#include "ngx_http_sprox_list.h"


typedef struct ngx_http_sprox_listing_s  ngx_http_sprox_listing_t;


/*
 * What one alias contributes to a page.  Pages of the origin are asked for
 * until one line of them is visible or there are no more.
 */

typedef struct {
    ngx_http_sprox_listing_t      *listing;
    ngx_http_sprox_alias_t        *alias;
    ngx_http_sprox_policy_t        policy;

    sprox_alias_list_t             ask;
    sprox_str_t                    token;      /* the origin's, for more */
    ngx_uint_t                     pages;

    sprox_list_item_t             *items;      /* visible; clients' names */
    ngx_uint_t                     nitems;
    ngx_uint_t                     next;       /* for the merge */
    unsigned                       more:1;     /* beyond the items */
    unsigned                       waiting:1;
    unsigned                       failed:1;

    /* of the page under way */
    ngx_pool_t                    *pool;
    sprox_mem_t                    mem;
    sprox_list_parser_t           *parser;
    ngx_http_sprox_fetch_t        *fetch;
    ngx_http_sprox_cache_entry_t   entry;
    ngx_http_sprox_cache_writer_t *writer;     /* NULL: not kept */
    off_t                          written;
    sprox_buf_t                    key;        /* of the page in the cache */
    sprox_buf_t                    name;       /* scratch */
    int64_t                        sent;       /* 0: out of the cache */
    ngx_http_sprox_flight_t        flight;
    ngx_uint_t                     landings;   /* others' fetches waited for */
} ngx_http_sprox_stream_t;


struct ngx_http_sprox_listing_s {
    ngx_http_request_t            *request;
    ngx_http_sprox_ctx_t          *ctx;
    ngx_http_sprox_main_conf_t    *mcf;
    sprox_list_req_t               req;
    ngx_http_sprox_stream_t       *streams;
    ngx_uint_t                     nstreams;
    ngx_uint_t                     waiting;    /* streams under way */
    ngx_http_sprox_stream_t       *reading;    /* aio threads: this one */
    ngx_uint_t                     started;
    int64_t                        arrived;    /* ms */
    unsigned                       buckets:1;  /* ListBuckets */
    unsigned                       named:1;    /* an alias names the bucket,
                                                  without a variable */
    unsigned                       running:1;  /* fetches were started */
    unsigned                       nowhere:1;  /* an alias makes of it a name
                                                  that no bucket can have */
    unsigned                       asked:1;    /* an origin was */
};


/*
 * Asks for a page of a stream, out of the cache or from the origin.
 * NGX_OK: the stream has all it needs; NGX_AGAIN: when the listing's fetches
 * run it will call ngx_http_sprox_listing_ready() or _failed(); NGX_BUSY,
 * before they do: waits for the thread pool, call again from the write
 * handler; NGX_ERROR.
 */
ngx_int_t ngx_http_sprox_stream_ask(ngx_http_sprox_stream_t *s);

/* Lets go of the page under way. */
void ngx_http_sprox_stream_drop(ngx_http_sprox_stream_t *s);

/* The stream has all it needs. */
void ngx_http_sprox_listing_ready(ngx_http_sprox_stream_t *s);

/*
 * The stream cannot: f NULL: code; else by how the fetch ended.  The
 * request is finalised.
 */
void ngx_http_sprox_listing_failed(ngx_http_sprox_stream_t *s,
    ngx_http_sprox_fetch_t *f, ngx_int_t rc, sprox_error_code_t code);


#endif /* _NGX_HTTP_SPROX_LIST_PRIVATE_H_INCLUDED_ */
