/*
 * The time that is the same for all workers and does not go back with the
 * system's, for what is compared with what they know; and the system's, for
 * all the world.  Less than 50 ms are no jump: by so much it follows the
 * system's clock back as well.
 */

#ifndef _NGX_HTTP_SPROX_CLOCK_H_INCLUDED_
#define _NGX_HTTP_SPROX_CLOCK_H_INCLUDED_


#include "ngx_http_sprox_compat.h"


/* In shared memory: how far the clock is ahead of ngx_current_msec, in ms. */
typedef volatile int64_t  ngx_http_sprox_clock_t;


/*
 * Sets a new one; it is not behind the one that it takes the place of, which
 * may be NULL.
 */
void ngx_http_sprox_clock_init(ngx_http_sprox_clock_t *clock,
    const ngx_http_sprox_clock_t *before);

/* From now on this process goes by that clock; NULL: by one of its own. */
void ngx_http_sprox_clock_use(ngx_http_sprox_clock_t *clock);

/*
 * Now, in milliseconds since 1970 or a little more, from nginx's cached time:
 * workers may differ by how long their turns take.  Takes no lock.
 */
int64_t ngx_http_sprox_now(void);

/* The same, not cached: for threads, and for what must not be before what
   another worker has seen. */
int64_t ngx_http_sprox_now_exact(void);

/* The system's time, cached, in milliseconds since 1970: it may go back. */
int64_t ngx_http_sprox_wall(void);


#endif /* _NGX_HTTP_SPROX_CLOCK_H_INCLUDED_ */
