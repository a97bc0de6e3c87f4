/*
 * Metrics, shared by their files: ngx_http_sprox_metrics.c (where they are
 * kept, and counting), _metrics_text.c (what sprox_metrics answers).
 */

#ifndef _NGX_HTTP_SPROX_METRICS_PRIVATE_H_INCLUDED_
#define _NGX_HTTP_SPROX_METRICS_PRIVATE_H_INCLUDED_


#include "ngx_http_sprox_metrics.h"
#include "ngx_http_sprox_events.h"


#define NGX_HTTP_SPROX_STATUSES        21
#define NGX_HTTP_SPROX_STATUS_NONE     0
#define NGX_HTTP_SPROX_STATUS_OTHER    (NGX_HTTP_SPROX_STATUSES - 1)


typedef enum {
    NGX_HTTP_SPROX_ROW_ALIAS = 0,
    NGX_HTTP_SPROX_ROW_ORIGIN,
    NGX_HTTP_SPROX_ROW_TIER
} ngx_http_sprox_row_kind_e;


/* What a row counts beside its requests. */

typedef enum {
    NGX_HTTP_SPROX_N_HIT = 0,           /* alias, tier */
    NGX_HTTP_SPROX_N_FILL,
    NGX_HTTP_SPROX_N_STALE,
    NGX_HTTP_SPROX_N_PAGES,
    NGX_HTTP_SPROX_N_OBJECTS,
    NGX_HTTP_SPROX_N_FROM_CATALOG,
    NGX_HTTP_SPROX_N_FROM_ORIGIN,
    NGX_HTTP_SPROX_N_WARMED,
    NGX_HTTP_SPROX_N_WARM_BYTES,
    NGX_HTTP_SPROX_N_UNWARMED,
    NGX_HTTP_SPROX_N_RECEIVED,          /* origin */
    NGX_HTTP_SPROX_N_RETRIES,
    NGX_HTTP_SPROX_N_MESSAGES,          /* a queue's: see .._message_e */
    NGX_HTTP_SPROX_N_DELETED,
    NGX_HTTP_SPROX_N_LEFT,
    NGX_HTTP_SPROX_N_PROMOTED,          /* tier */
    NGX_HTTP_SPROX_N_UNPROMOTED,
    NGX_HTTP_SPROX_N_MAX
} ngx_http_sprox_row_n_e;


typedef struct ngx_http_sprox_row_s  ngx_http_sprox_row_t;

typedef struct {
    ngx_atomic_t            requests[SPROX_OP_MAX][NGX_HTTP_SPROX_STATUSES];
    ngx_atomic_t            n[NGX_HTTP_SPROX_N_MAX];
} ngx_http_sprox_counts_t;

struct ngx_http_sprox_row_s {
    ngx_http_sprox_row_t     *next;
    ngx_http_sprox_row_kind_e kind;
    size_t                    len;
    ngx_http_sprox_counts_t   counts;
    ngx_http_sprox_circuit_t  circuit;          /* of an origin */
    u_char                    name[1];
};


typedef struct {
    ngx_atomic_t              pid;
    ngx_atomic_t              fills;
} ngx_http_sprox_slot_t;


/* In shared memory. */

typedef struct {
    ngx_http_sprox_row_t     *rows;
    ngx_atomic_t              purged;
    ngx_atomic_t              events[SPROX_SENDERS]
                                    [NGX_HTTP_SPROX_EVENT_RESULTS];
    ngx_http_sprox_slot_t     slots[NGX_MAX_PROCESSES];
} ngx_http_sprox_metrics_sh_t;


/* Of a cycle; the zone's data. */

typedef struct {
    ngx_http_sprox_metrics_sh_t  *sh;
    ngx_slab_pool_t              *shpool;
    ngx_http_sprox_main_conf_t   *mcf;
    ngx_http_sprox_row_t         *none;       /* no alias matched */
    ngx_http_sprox_row_t        **aliases;    /* by index */
    ngx_http_sprox_row_t        **origins;
    ngx_http_sprox_row_t        **tiers;
} ngx_http_sprox_metrics_t;


/* The first stands for no answer, the last for all others. */
extern ngx_uint_t  ngx_http_sprox_statuses[NGX_HTTP_SPROX_STATUSES];

/* Of this worker; NULL: nothing is counted. */
extern ngx_http_sprox_metrics_t  *ngx_http_sprox_metrics;


#endif /* _NGX_HTTP_SPROX_METRICS_PRIVATE_H_INCLUDED_ */
