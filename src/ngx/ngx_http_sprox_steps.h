/*
 * Work for a request that takes longer than other requests should wait: it is
 * done in steps, a few of them in one turn of the event loop.
 */

#ifndef _NGX_HTTP_SPROX_STEPS_H_INCLUDED_
#define _NGX_HTTP_SPROX_STEPS_H_INCLUDED_


#include "ngx_http_sprox.h"


/* One turn has no more steps, and begins none after that time, in us. */
#define NGX_HTTP_SPROX_STEPS       64
#define NGX_HTTP_SPROX_STEPS_TURN  2000


/* One step.  NGX_AGAIN: there is more; or what a content handler returns. */
typedef ngx_int_t (*ngx_http_sprox_step_pt)(ngx_http_request_t *r,
    void *data);


/*
 * Takes the steps from the event loop, the first one after `past` (ms since
 * 1970; 0: at once), so that whoever has the answer asks in a later
 * millisecond; then finalizes the request.  It goes on when the client
 * leaves.  Returns what a content handler returns: NGX_DONE, or that there
 * is no memory.
 */
ngx_int_t ngx_http_sprox_steps(ngx_http_request_t *r,
    ngx_http_sprox_step_pt step, void *data, int64_t past);

/* How long a turn takes, in us: nginx's own time stands still within one. */
uint64_t ngx_http_sprox_steps_clock(void);


#endif /* _NGX_HTTP_SPROX_STEPS_H_INCLUDED_ */
