/*
 * A listing under way, shared by ngx_http_sprox_list.c (operations, merge,
 * answer), _list_stream.c (what one alias contributes) and _list_page.c (pages
 * of its origin).
 */

#ifndef _NGX_HTTP_SPROX_LIST_PRIVATE_H_INCLUDED_
#define _NGX_HTTP_SPROX_LIST_PRIVATE_H_INCLUDED_


#include "ngx_http_sprox_cache.h"
#include "ngx_http_sprox_conf.h"
#include "ngx_http_sprox_error.h"
#include "ngx_http_sprox_fetch.h"
#include "ngx_http_sprox_flight.h"
#include "ngx_http_sprox_list.h"


/* Where the last listing of an alias came from: alias->list_from. */

#define NGX_HTTP_SPROX_LIST_FROM_CATALOG  1
#define NGX_HTTP_SPROX_LIST_INCOMPLETE    2     /* the origin, and why */
#define NGX_HTTP_SPROX_LIST_OLD           3
#define NGX_HTTP_SPROX_LIST_OWNERS        4


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
    unsigned                       fresh:1;    /* the last began after us */

    /* out of the catalog */
    sprox_catalog_cursor_t        *walk;
    ngx_event_t                    again;
    unsigned                       declined:1; /* not this time */
    unsigned                       wanted:1;   /* a crawl, when the origin
                                                  has such a bucket */
} ngx_http_sprox_stream_t;


struct ngx_http_sprox_listing_s {
    ngx_http_request_t            *request;
    ngx_http_sprox_ctx_t          *ctx;
    ngx_http_sprox_main_conf_t    *mcf;
    sprox_list_req_t               req;
    ngx_http_sprox_stream_t       *streams;
    ngx_uint_t                     nstreams;
    ngx_uint_t                     waiting;    /* streams under way */
    int64_t                        arrived;    /* ms */
    uint64_t                       seq;        /* of claims, then */
    unsigned                       buckets:1;  /* ListBuckets */
    unsigned                       named:1;    /* an alias names the bucket,
                                                  without a variable */
    unsigned                       nowhere:1;  /* an alias makes of it a name
                                                  that no bucket can have */
    unsigned                       asked:1;    /* an origin was */
};


/*
 * Asks for a page of a stream, out of the cache or from the origin.
 * NGX_OK: the stream has all it needs; NGX_AGAIN: it will call, from the
 * event loop, ngx_http_sprox_listing_ready() or _failed(); NGX_ERROR.
 */
ngx_int_t ngx_http_sprox_stream_ask(ngx_http_sprox_stream_t *s);

/* Between _list_stream.c and _list_page.c */

/* There is a cache through which pages can be had by others. */
ngx_uint_t ngx_http_sprox_stream_shared(ngx_http_sprox_stream_t *s);

/*
 * The page out of the cache, into the parser.  NGX_OK: read; else it is not
 * there, or cannot be used: forget() it, ask the origin.
 */
ngx_int_t ngx_http_sprox_stream_cached(ngx_http_sprox_stream_t *s);
void ngx_http_sprox_stream_forget(ngx_http_sprox_stream_t *s);

/*
 * As ask(), out of the catalog.  NGX_DECLINED: the origin is to be asked, for
 * all of it.
 */
ngx_int_t ngx_http_sprox_stream_catalog(ngx_http_sprox_stream_t *s);

/* Its walk over the catalog has no next turn. */
void ngx_http_sprox_stream_rest(ngx_http_sprox_stream_t *s);

/* A line of the origin's page, or of the catalog: shown where it is to be. */
sprox_rc_t ngx_http_sprox_stream_item(void *data,
    const sprox_list_item_t *item);

/* What the origin, or the catalog, is asked to roll up. */
sprox_str_t ngx_http_sprox_stream_delimiter(ngx_http_sprox_stream_t *s);

/*
 * NGX_OK: the page is to be fetched here; NGX_BUSY: somebody else does, and
 * the stream will be asked again.
 */
ngx_int_t ngx_http_sprox_stream_claim(ngx_http_sprox_stream_t *s);
ngx_int_t ngx_http_sprox_stream_fetch(ngx_http_sprox_stream_t *s);

/* As a fetch calls them. */
ngx_int_t ngx_http_sprox_stream_header(ngx_http_sprox_fetch_t *f);
ngx_int_t ngx_http_sprox_stream_body(ngx_http_sprox_fetch_t *f, u_char *p,
    size_t n);

/* The parser of a page. */
ngx_int_t ngx_http_sprox_stream_begin(ngx_http_sprox_stream_t *s);

/* The log line of a page that cannot be read. */
void ngx_http_sprox_stream_unreadable(ngx_http_sprox_stream_t *s);

/* The fetch is over; goes on by what ask() returned. */
void ngx_http_sprox_stream_ended(ngx_http_sprox_stream_t *s,
    ngx_http_sprox_fetch_t *f, ngx_int_t rc);
void ngx_http_sprox_stream_next(ngx_http_sprox_stream_t *s, ngx_int_t rc);


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
