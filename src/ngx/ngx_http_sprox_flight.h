/*
 * What is in flight, over all workers: a table in shared memory of things
 * that one worker fetches for all (slices, probes, pages), by MD5.  Who
 * claims a thing fetches it; who finds it claimed is woken when it has
 * landed, and then looks where such things land: cache, catalog.
 *
 * A worker that dies leaves claims behind.  Its successor in the process
 * slot frees them; so does a waiter that finds the process gone.
 *
 * The table never refuses work: when it has no room, or outside of a worker
 * process, claims are granted and simply not shared.
 */

#ifndef _NGX_HTTP_SPROX_FLIGHT_H_INCLUDED_
#define _NGX_HTTP_SPROX_FLIGHT_H_INCLUDED_


#include "ngx_http_sprox.h"


#define NGX_HTTP_SPROX_FLIGHT_KEY   16


typedef struct ngx_http_sprox_flight_slot_s  ngx_http_sprox_flight_slot_t;


/* A claim, or another's that is waited for.  Zeroed by its owner at first. */

typedef struct {
    ngx_http_sprox_flight_slot_t   *slot;    /* NULL: not shared */
    uint64_t                        seq;
    ngx_queue_t                     queue;
    void                          (*landed)(void *data);
    void                           *data;
    unsigned                        own:1;
    unsigned                        waiting:1;
} ngx_http_sprox_flight_t;


/* Configuration: the zone.  NGX_OK or NGX_ERROR. */
ngx_int_t ngx_http_sprox_flight_init(ngx_conf_t *cf, ngx_shm_zone_t **zone);

/* The master, before it forks: the descriptors that wake workers. */
ngx_int_t ngx_http_sprox_flight_init_module(ngx_cycle_t *cycle,
    ngx_shm_zone_t *zone);

/* A worker begins. */
ngx_int_t ngx_http_sprox_flight_start(ngx_cycle_t *cycle,
    ngx_shm_zone_t *zone);

/*
 * NGX_OK: the thing is the caller's to fetch, until release().  NGX_BUSY:
 * somebody else fetches it, in this worker or another: call wait(), or
 * forget f.
 */
ngx_int_t ngx_http_sprox_flight_claim(ngx_http_sprox_flight_t *f,
    const u_char key[NGX_HTTP_SPROX_FLIGHT_KEY]);

/* After NGX_BUSY: landed(data) is called, once, from the event loop. */
void ngx_http_sprox_flight_wait(ngx_http_sprox_flight_t *f,
    void (*landed)(void *data), void *data);

/* Lets go of a claim (its waiters are woken) or of a wait. */
void ngx_http_sprox_flight_release(ngx_http_sprox_flight_t *f);

/* After NGX_BUSY, instead of waiting: a claim whose owner died is free. */
void ngx_http_sprox_flight_reap(ngx_http_sprox_flight_t *f);

/* A claim with a higher seq was made after this call. */
uint64_t ngx_http_sprox_flight_seq(void);

/* Claims of all workers that stand. */
ngx_uint_t ngx_http_sprox_flight_claims(void);

/* Whether other workers wait for this claim, or did. */
ngx_uint_t ngx_http_sprox_flight_waited(ngx_http_sprox_flight_t *f);


#endif /* _NGX_HTTP_SPROX_FLIGHT_H_INCLUDED_ */
