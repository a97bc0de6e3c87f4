/*
 * One look-up of a host name by the system's resolver, in the thread pool.
 * For _resolve.c, which decides when and keeps what was found.
 */

#ifndef _NGX_HTTP_SPROX_LOOKUP_H_INCLUDED_
#define _NGX_HTTP_SPROX_LOOKUP_H_INCLUDED_


#include "ngx_http_sprox_resolve.h"


#define NGX_HTTP_SPROX_NAME_MAX      255    /* RFC 1035, section 2.3.4 */
#define NGX_HTTP_SPROX_LOOKUPS_MAX   8      /* of a worker, at a time */


typedef struct ngx_http_sprox_lookup_s  ngx_http_sprox_lookup_t;

struct ngx_http_sprox_lookup_s {
    ngx_thread_task_t          task;
    ngx_queue_t                queue;       /* waits for its turn */

    /* of the event loop */
    void                     (*handler)(ngx_http_sprox_lookup_t *lookup);
    void                      *data;
    ngx_thread_pool_t         *pool;

    /* in */
    u_char                     name[NGX_HTTP_SPROX_NAME_MAX + 1];
    in_port_t                  port;

    /* out: addresses, or why there are none */
    ngx_http_sprox_addr_t      addrs[NGX_HTTP_SPROX_ADDRS_MAX];
    ngx_uint_t                 naddrs;
    const char                *reason;
    ngx_err_t                  err;         /* 0: reason says it all */
};


/*
 * handler is called from the event loop with the result, which it owns no
 * longer when it returns; never from within this function, and never when
 * the worker ends before.  name: up to NGX_HTTP_SPROX_NAME_MAX bytes, no
 * NUL.  NGX_ERROR: memory, or the pool takes no task; nothing is called.
 */
ngx_int_t ngx_http_sprox_lookup(ngx_thread_pool_t *pool, ngx_str_t *name,
    in_port_t port, void (*handler)(ngx_http_sprox_lookup_t *lookup),
    void *data);

/*
 * Adds an address, once, with the port set; those of other families, and
 * beyond NGX_HTTP_SPROX_ADDRS_MAX, are passed over.
 */
void ngx_http_sprox_addr_add(ngx_http_sprox_addr_t *addrs,
    ngx_uint_t *naddrs, struct sockaddr *sa, socklen_t socklen,
    in_port_t port);

/* Whether a name, in lower case, is this host's own: RFC 6761, 6.3. */
ngx_uint_t ngx_http_sprox_is_localhost(ngx_str_t *name);


#endif /* _NGX_HTTP_SPROX_LOOKUP_H_INCLUDED_ */
