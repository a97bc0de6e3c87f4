/*
 * The numbers behind sprox_metrics: counters in shared memory, added to by
 * every worker, one row an alias, an origin and a tier, found by name so that
 * they survive a reload.
 */

#ifndef _NGX_HTTP_SPROX_METRICS_H_INCLUDED_
#define _NGX_HTTP_SPROX_METRICS_H_INCLUDED_


#include "ngx_http_sprox.h"
#include "sprox_event.h"


/* Configuration: the zone for all that has a row; after all is read. */
ngx_int_t ngx_http_sprox_metrics_init(ngx_conf_t *cf,
    ngx_http_sprox_main_conf_t *mcf);

/* A worker begins: where it counts; NULL: nowhere. */
void ngx_http_sprox_metrics_start(ngx_shm_zone_t *shm_zone);

/* The content handler of sprox_metrics. */
ngx_int_t ngx_http_sprox_metrics_handler(ngx_http_request_t *r);

/* alias NULL: a request that no alias matched (label alias=""). */
void ngx_http_sprox_count_request(ngx_http_sprox_alias_t *alias,
    sprox_op_t op, ngx_uint_t status);
void ngx_http_sprox_count_bytes(ngx_http_sprox_alias_t *alias, off_t hit,
    off_t fill);
void ngx_http_sprox_count_stale(ngx_http_sprox_alias_t *alias);

/* A part of a listing with "list catalog": from there, or from the origin. */
void ngx_http_sprox_count_listing(ngx_http_sprox_alias_t *alias,
    ngx_uint_t from_catalog);

/* A page of a crawl, and what was found in it. */
void ngx_http_sprox_count_crawl(ngx_http_sprox_alias_t *alias,
    uint64_t objects);

/* A slice that was fetched again; an object that was not. */
void ngx_http_sprox_count_warm(ngx_http_sprox_alias_t *alias, off_t bytes);
void ngx_http_sprox_count_unwarmed(ngx_http_sprox_alias_t *alias);

/* status 0: no answer (label status="error"). */
void ngx_http_sprox_count_origin(ngx_http_sprox_origin_t *origin,
    sprox_op_t op, ngx_uint_t status);
void ngx_http_sprox_count_origin_bytes(ngx_http_sprox_origin_t *origin,
    size_t n);
void ngx_http_sprox_count_retry(ngx_http_sprox_origin_t *origin);

/* The circuit that all workers share; NULL: there is no place for it. */
ngx_http_sprox_circuit_t *ngx_http_sprox_metrics_circuit(
    ngx_http_sprox_origin_t *origin);

void ngx_http_sprox_count_fills(ngx_int_t delta);      /* in flight */
void ngx_http_sprox_count_purged(ngx_uint_t slices);

/* See ngx_http_sprox_event_result_e. */
void ngx_http_sprox_count_event(sprox_sender_t sender, ngx_uint_t result);

/* A message of a queue; queue: what it is asked as. */
typedef enum {
    NGX_HTTP_SPROX_MESSAGE_RECEIVED = 0,
    NGX_HTTP_SPROX_MESSAGE_DELETED,
    NGX_HTTP_SPROX_MESSAGE_LEFT
} ngx_http_sprox_message_e;

void ngx_http_sprox_count_message(ngx_http_sprox_origin_t *queue,
    ngx_http_sprox_message_e what);

/* Bytes sent out of a zone; a slice copied into it, or not. */
void ngx_http_sprox_count_tier(ngx_http_sprox_tier_t *tier, off_t bytes);
void ngx_http_sprox_count_promotion(ngx_http_sprox_tier_t *tier,
    ngx_uint_t done);


#endif /* _NGX_HTTP_SPROX_METRICS_H_INCLUDED_ */
