/*
 * What the parts of the module share: the configuration as it stands after
 * it was read, and the context of a client's request.
 */

#ifndef _NGX_HTTP_SPROX_H_INCLUDED_
#define _NGX_HTTP_SPROX_H_INCLUDED_


#include "ngx_http_sprox_glue.h"
#include "sprox_alias.h"
#include "sprox_catalog.h"
#include "sprox_cond.h"
#include "sprox_cred.h"
#include "sprox_dialect.h"
#include "sprox_metric.h"
#include "sprox_op.h"
#include "sprox_range.h"
#include "sprox_reach.h"
#include "sprox_slice.h"
#include "sprox_time.h"


typedef struct ngx_http_sprox_origin_s   ngx_http_sprox_origin_t;
typedef struct ngx_http_sprox_alias_s    ngx_http_sprox_alias_t;
typedef struct ngx_http_sprox_fetch_s    ngx_http_sprox_fetch_t;
typedef struct ngx_http_sprox_ctx_s      ngx_http_sprox_ctx_t;
typedef struct ngx_http_sprox_object_s   ngx_http_sprox_object_t;


#define NGX_HTTP_SPROX_VALID_IMMUTABLE   (time_t) -2

#define NGX_HTTP_SPROX_LIST_ORIGIN       0
#define NGX_HTTP_SPROX_LIST_CACHED       1
#define NGX_HTTP_SPROX_LIST_OFF          2
#define NGX_HTTP_SPROX_LIST_CATALOG      3

#define NGX_HTTP_SPROX_HEAD_ORIGIN       0
#define NGX_HTTP_SPROX_HEAD_LISTING      1


/*
 * The policy words.  Each is unset (NGX_CONF_UNSET...) until something
 * sets it; the inner one wins: http, server, location, alias, object.
 */

typedef struct {
    ngx_array_t  *cache;            /* of ngx_shm_zone_t *, the tiers; with no
                                       element: off */
    time_t        valid;            /* seconds, or .._VALID_IMMUTABLE */
    time_t        valid_missing;
    time_t        stale;            /* 0: off */
    size_t        slice;
    size_t        fill;
    size_t        read_ahead;
    ngx_uint_t    list;
    time_t        list_valid;       /* of "cached TIME" */
    ngx_uint_t    head;
    time_t        reload;           /* 0: off */
    ngx_uint_t    reload_warm;
} ngx_http_sprox_policy_t;


/* Where slices may lie, and of what size: some policy has the two together. */

typedef struct {
    ngx_shm_zone_t           *zone;
    size_t                    slice;
    size_t                    fill;          /* the largest of those */
    ngx_array_t              *tiers;         /* that it is the last of: the
                                                longest; NULL: of none */
} ngx_http_sprox_place_t;


/*
 * Whether an origin may be asked: see _circuit.h.  In shared memory; each
 * field is changed by atomic operations.
 */

typedef struct {
    ngx_atomic_t              fails;         /* tries that failed in a row */
    ngx_atomic_t              until;         /* ngx_current_msec of the next
                                                try; 0: closed */
    ngx_atomic_t              prober;        /* pid of who tries; 0: none */
} ngx_http_sprox_circuit_t;


/* A zone of a chain of several, and how copying into it goes. */

typedef struct {
    ngx_shm_zone_t           *zone;
    ngx_uint_t                index;         /* row in the metrics */

    /* of this worker */
    ngx_msec_t                failed_at;     /* when failed */
    ngx_msec_t                said_at;       /* when said */
    unsigned                  failed:1;
    unsigned                  said:1;
} ngx_http_sprox_tier_t;


typedef struct {
#if (NGX_PCRE)
    ngx_regex_t              *regex;
#endif
    ngx_str_t                 glob;          /* when regex is NULL */
    ngx_http_sprox_policy_t   policy;
} ngx_http_sprox_rule_t;


struct ngx_http_sprox_alias_s {
    sprox_alias_t             map;
    ngx_str_t                 pattern;
    ngx_str_t                 target;
    ngx_http_sprox_origin_t  *origin;
    ngx_http_sprox_policy_t   policy;
    ngx_array_t               rules;         /* of ngx_http_sprox_rule_t */
    time_t                    reload;        /* the shortest of all locations;
                                                0: off */
    ngx_http_sprox_alias_t   *outer;         /* whose crawl covers this one's,
                                                see _crawl.h; NULL: none */
    ngx_uint_t                index;         /* row in the metrics */
    ngx_uint_t                rank;          /* 0: the most specific */
    ngx_str_t                 file;          /* where it was written */
    ngx_uint_t                line;
    unsigned                  crawl:1;       /* some location wants its region
                                                to be complete, */
    unsigned                  catalog:1;     /* for its listings */
    unsigned                  warm:1;        /* what changed is fetched */

    /* of this worker */
    ngx_uint_t                list_from;     /* see _list_private.h; 0: none */
    unsigned                  list_owners:1; /* it was said that owners come
                                                from the origin */
};


struct ngx_http_sprox_origin_s {
    ngx_str_t                 name;
    const sprox_dialect_t    *dialect;
    sprox_origin_addr_t       addr;
    ngx_str_t                 endpoint;      /* text; addr points into it */
    ngx_str_t                 region;        /* text; empty: the dialect's */
    ngx_str_t                 root;          /* file: absolute, no '/' at end */

    sprox_cred_kind_t         cred_kind;
    ngx_str_t                 access_key;    /* of "static" */
    ngx_str_t                 secret_key;
    ngx_str_t                 token;
    ngx_str_t                 profile;
    void                     *cred;          /* run-time state, see _cred.h */

    ngx_uint_t                keepalive;     /* idle connections a worker */
    ngx_msec_t                connect_timeout;
    ngx_msec_t                read_timeout;
    ngx_uint_t                retries;       /* after the first try */
    ngx_uint_t                max_connections;   /* a worker; 0: no limit */
    ngx_uint_t                max_fails;     /* 0: there is no circuit */
    ngx_msec_t                fail_timeout;
    ngx_flag_t                verify;
    ngx_str_t                 trusted_certificate;
    ngx_ssl_t                *ssl;           /* NULL: no TLS */
    ngx_thread_pool_t        *thread_pool;

    ngx_uint_t                index;         /* row in the metrics */
    sprox_reach_t            *reach;         /* its aliases, see _reach.h */
    ngx_uint_t                nreach;
    ngx_str_t                 file;
    ngx_uint_t                line;
    unsigned                  used:1;        /* some alias targets it */
    unsigned                  warm:1;        /* one that wants it warm */
    unsigned                  built_in:1;    /* no block: file and line are
                                                those of an alias */

    /* of this worker */
    ngx_queue_t               idle;          /* kept connections */
    ngx_uint_t                nidle;
    ngx_uint_t                nconns;        /* all, and the room for those
                                                that are about to be made */
    ngx_queue_t               waiting;       /* tries, for room */
    ngx_queue_t               waiting_ahead; /* those of read-ahead */
    ngx_uint_t                nwaiting;      /* in both */
    ngx_uint_t                nfills;        /* in flight; those that have
                                                just begun are no try yet */
    time_t                    told;          /* when want of connections was
                                                logged */
    ngx_http_sprox_circuit_t  circuit;       /* where no shared one is */
    unsigned                  closing:1;     /* worker_shutdown_timeout */
    ngx_queue_t               hosts;         /* see _resolve.h */
    ngx_queue_t               regions;       /* buckets found elsewhere */
    ngx_queue_t               sessions;      /* of TLS, by host */
};


typedef struct {
    ngx_array_t               origins;       /* of ngx_http_sprox_origin_t * */
    ngx_array_t               aliases;       /* of ngx_http_sprox_alias_t *,
                                                the most specific first */
    ngx_array_t               places;        /* of ngx_http_sprox_place_t */
    ngx_array_t               tiers;         /* of ngx_http_sprox_tier_t */
    ngx_array_t               domains;       /* of ngx_str_t */
    ngx_array_t               queues;        /* of .._queue_t * */
    ngx_array_t               topics;        /* of .._topic_t */
    ngx_array_t               tokens;        /* of u_char *: SHA-256 of those
                                                of sprox_admin */
    ngx_http_sprox_origin_t  *sns;           /* NULL: no topics */
    ngx_shm_zone_t           *catalog_zone;
    ngx_str_t                 catalog_file;
    ngx_msec_t                catalog_interval;
    ngx_shm_zone_t           *metrics_zone;
    ngx_shm_zone_t           *flight_zone;
    ngx_shm_zone_t           *temp_zone;
    ngx_shm_zone_t           *job_zone;
    ngx_shm_zone_t           *warm_zone;     /* NULL: no alias wants it */
    ngx_resolver_t           *resolver;      /* NULL: the system's */
    ngx_msec_t                resolver_timeout;
    ngx_thread_pool_t        *thread_pool;
    ngx_uint_t                enabled;       /* some location has sprox on */
    ngx_uint_t                told;          /* events may come */
} ngx_http_sprox_main_conf_t;


typedef struct {
    ngx_flag_t                enable;
    ngx_http_sprox_policy_t   policy;
    ngx_array_t              *control;       /* of ngx_cidr_t; NULL: default
                                                (loopback and unix) */
    u_char                   *token;         /* of sprox_admin: its SHA-256;
                                                NULL: none is asked for */
    unsigned                  admin:1;       /* has sprox_admin */
} ngx_http_sprox_loc_conf_t;


/*
 * A client's request.  pool: r->pool.
 */

struct ngx_http_sprox_ctx_s {
    ngx_http_request_t          *request;
    sprox_mem_t                  mem;           /* r->pool */
    sprox_s3_request_t           s3;
    ngx_http_sprox_alias_t      *alias;         /* NULL: none matched */
    ngx_http_sprox_policy_t      policy;        /* nothing unset */
    sprox_str_t                  bucket;        /* the origin's */
    sprox_str_t                  key;
    ngx_str_t                    access_key;    /* of the client's signature */
    u_char                       request_id[16];

    ngx_http_sprox_object_t     *object;        /* a read under way */

    /* for logs and metrics */
    const char                  *cache_status;  /* "HIT"; NULL: none */
    off_t                        bytes_hit;
    off_t                        bytes_fill;
    unsigned                     stale:1;
    unsigned                     counted:1;
};


extern ngx_module_t  ngx_http_sprox_module;


/* ngx_http_sprox_handler.c: the content handler of "sprox on". */
ngx_int_t ngx_http_sprox_handler(ngx_http_request_t *r);

/*
 * The query is a secret: it is kept out of $request and of what nginx adds
 * to lines of the error log.
 */
void ngx_http_sprox_hide_query(ngx_http_request_t *r);


#endif /* _NGX_HTTP_SPROX_H_INCLUDED_ */
