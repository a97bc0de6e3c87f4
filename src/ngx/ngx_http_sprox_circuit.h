/*
 * The circuit of an origin: when max_fails tries in a row have failed, it is
 * asked no more but by one try at a time, the first after fail_timeout,
 * until one is answered.
 *
 *            max_fails in a row            fail_timeout, one try
 *   closed ----------------------> open -----------------------> half-open
 *     ^                             ^                               |  |
 *     |                             +------------ failed -----------+  |
 *     +---------------------------------------- answered --------------+
 *
 * A try has failed without an answer from the origin, and with 429 or 5xx
 * (but for 501); any other status is an answer.  All workers share one
 * circuit.  Opening and closing write a line to the log each, refusals none.
 */

#ifndef _NGX_HTTP_SPROX_CIRCUIT_H_INCLUDED_
#define _NGX_HTTP_SPROX_CIRCUIT_H_INCLUDED_


#include "ngx_http_sprox_fetch.h"


/*
 * Before a try.  NGX_OK, now and for this try from now on if it is the one
 * that may be made (f->probing); NGX_DECLINED: with f's failure set.
 */
ngx_int_t ngx_http_sprox_circuit_admit(ngx_http_sprox_fetch_t *f);

/* How the try ended; released: it told nothing of its origin. */
void ngx_http_sprox_circuit_answered(ngx_http_sprox_fetch_t *f);
void ngx_http_sprox_circuit_failed(ngx_http_sprox_fetch_t *f);
void ngx_http_sprox_circuit_released(ngx_http_sprox_fetch_t *f);


#endif /* _NGX_HTTP_SPROX_CIRCUIT_H_INCLUDED_ */
