/*
 * A crawl under way, shared by ngx_http_sprox_crawl_job.c (the job, and how
 * it is shared out) and _crawl_lane.c (pages of the origin).
 */

#ifndef _NGX_HTTP_SPROX_CRAWL_PRIVATE_H_INCLUDED_
#define _NGX_HTTP_SPROX_CRAWL_PRIVATE_H_INCLUDED_


#include "ngx_http_sprox_crawl.h"
#include "ngx_http_sprox_fetch.h"
#include "ngx_http_sprox_persist.h"
#include "ngx_http_sprox_zone.h"


/* A place between two lanes is not longer, so that a cursor has its bounds. */
#define NGX_HTTP_SPROX_CRAWL_PLACE   255

/* Pages of a lane before it is looked into whether it can be shared out. */
#define NGX_HTTP_SPROX_CRAWL_SHARE   4


typedef struct ngx_http_sprox_crawl_s  ngx_http_sprox_crawl_t;


/*
 * A part of the region, > after and <= upto, that is listed page by page.
 *
 *   after                   last               upto
 *     |---- page ------------|-------------------|
 *     |<- is put, and swept: |
 */

typedef struct {
    ngx_http_sprox_crawl_t     *crawl;
    size_t                      after_len;
    size_t                      last_len;
    size_t                      upto_len;      /* 0: to the region's end */
    u_char                      after[SPROX_KEY_MAX];
    u_char                      last[SPROX_KEY_MAX];
    u_char                      upto[NGX_HTTP_SPROX_CRAWL_PLACE];
    sprox_buf_t                 token;         /* the origin's, after `after` */
    ngx_uint_t                  pages;         /* since it was shared out */
    ngx_uint_t                  share;         /* at so many the next time */
    ngx_uint_t                  idle;          /* the last, without a key */
    unsigned                    busy:1;        /* it is a part */
    unsigned                    probe:1;       /* asks for places */
    unsigned                    over:1;        /* the page ends it */
    unsigned                    disorder:1;    /* the page is not sorted */

    /* of the page under way */
    ngx_pool_t                 *pool;
    sprox_mem_t                 mem;
    sprox_list_parser_t        *parser;
    ngx_http_sprox_fetch_t     *fetch;
    ngx_event_t                 event;
    sprox_catalog_cursor_t      sweep;
    sprox_rc_t                  rc;            /* of the catalog */
    int64_t                     sent;
    uint64_t                    objects;
    size_t                      level;         /* of a probe: of `after` */
    ngx_uint_t                  depth;         /* levels that were probed */
    ngx_array_t                 places;        /* of sprox_str_t */
} ngx_http_sprox_crawl_lane_t;


struct ngx_http_sprox_crawl_s {
    ngx_http_sprox_job_t       *job;
    ngx_event_t                 event;
    uint32_t                    region;        /* id of its opening */
    int64_t                     began;         /* ms since 1970 */
    uint64_t                    done;          /* objects */
    uint64_t                    total;         /* 0: not known */
    uint64_t                    pages;
    uint64_t                    removed;
    sprox_owner_t               owner;         /* that was told last */
    u_char                      owner_buf[SPROX_OWNER_BUF];
    unsigned                    owned:1;       /* one was told */
    unsigned                    owners:1;      /* there are several */
    sprox_buf_t                 cursor;        /* scratch */
    ngx_http_sprox_crawl_lane_t lanes[NGX_HTTP_SPROX_CRAWL_LANES];
};


/*
 * Asks for the next page of a lane; then _page() is called, or the crawl
 * ends.  NGX_OK or NGX_ERROR (memory).
 */
ngx_int_t ngx_http_sprox_crawl_lane_ask(ngx_http_sprox_crawl_lane_t *lane);

/*
 * Asks for places where what is left of a lane may be cut: common prefixes
 * behind the one that it is in, at the uppermost level that has any.  Then
 * _places() is called, or the crawl ends.  NGX_OK or NGX_ERROR (memory).
 */
ngx_int_t ngx_http_sprox_crawl_lane_probe(ngx_http_sprox_crawl_lane_t *lane);

/* Lets go of what is under way. */
void ngx_http_sprox_crawl_lane_drop(ngx_http_sprox_crawl_lane_t *lane);


/* Calls of _crawl_lane.c; after each the lane may be gone. */

/* A page was put and swept, up to `after`. */
void ngx_http_sprox_crawl_page(ngx_http_sprox_crawl_lane_t *lane);

/* Places were found, or none, in lane->pool. */
void ngx_http_sprox_crawl_places(ngx_http_sprox_crawl_lane_t *lane);

/* An object cannot be put: the region will not be complete. */
void ngx_http_sprox_crawl_full(ngx_http_sprox_crawl_t *crawl, sprox_rc_t rc);


#endif /* _NGX_HTTP_SPROX_CRAWL_PRIVATE_H_INCLUDED_ */
