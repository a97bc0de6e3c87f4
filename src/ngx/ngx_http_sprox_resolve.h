/*
 * Names to addresses, again and again while running: by nginx's resolver
 * when the http block has one, else by the system's (getaddrinfo() in a
 * thread pool: /etc/hosts and search domains count).  Addresses are asked
 * for again after NGX_HTTP_SPROX_RESOLVE_VALID milliseconds, or when the
 * answer that nginx's resolver gave expires (1 s to 5 minutes).  Known
 * addresses go on serving while they are renewed, and when renewing fails.
 */

#ifndef _NGX_HTTP_SPROX_RESOLVE_H_INCLUDED_
#define _NGX_HTTP_SPROX_RESOLVE_H_INCLUDED_


#include "ngx_http_sprox.h"


#define NGX_HTTP_SPROX_RESOLVE_VALID   30000
#define NGX_HTTP_SPROX_ADDRS_MAX       32
#define NGX_HTTP_SPROX_HOSTS_MAX       1000   /* of one origin in a worker */


typedef struct {
    struct sockaddr_storage  sockaddr;      /* with the port */
    socklen_t                socklen;
    ngx_msec_t               failed;        /* ngx_current_msec of the last
                                               failed connect; 0: none */
} ngx_http_sprox_addr_t;


/*
 * Users read addrs and write failed and next; both stay with their address
 * when a host is resolved again.
 */

typedef struct {
    ngx_queue_t              queue;         /* in origin->hosts, the one used
                                               last in front */
    ngx_str_t                host;
    in_port_t                port;
    ngx_http_sprox_addr_t    addrs[NGX_HTTP_SPROX_ADDRS_MAX];
    ngx_uint_t               naddrs;
    ngx_uint_t               next;          /* the address to try next */
    ngx_msec_t               resolved;
    ngx_queue_t              waiters;
    unsigned                 resolving:1;
} ngx_http_sprox_host_t;


typedef struct ngx_http_sprox_resolve_s  ngx_http_sprox_resolve_t;

/* Embedded by whoever waits; linked only while waiting. */

struct ngx_http_sprox_resolve_s {
    ngx_queue_t              queue;
    void                   (*handler)(ngx_http_sprox_resolve_t *w,
                                      ngx_http_sprox_host_t *host);
                                            /* host NULL: not resolved; the
                                               log line was written */
    void                    *data;
    ngx_http_sprox_host_t   *host;          /* private: what it waits for */
    unsigned                 waiting:1;
};


/*
 * The addresses of host:port, for this origin in this worker.  *host is
 * valid until the next return to the event loop: when an origin has
 * NGX_HTTP_SPROX_HOSTS_MAX hosts, a new one takes the place of the one that
 * was not used for the longest time.  To say later that an address failed,
 * or did not, ask again with w NULL and compare addresses.
 *
 * NGX_OK: *host has at least one address now (an IP address is never looked
 * up; stale addresses are renewed behind the scenes).  NGX_AGAIN:
 * w->handler will be called, from the event loop.  NGX_ERROR: memory, or a
 * name that cannot be one; a log line was written.
 *
 * With w NULL nothing is looked up: NGX_OK, or NGX_DECLINED when no address
 * is known.
 */
ngx_int_t ngx_http_sprox_resolve(ngx_http_sprox_origin_t *origin,
    ngx_str_t *name, in_port_t port, ngx_http_sprox_resolve_t *w,
    ngx_http_sprox_host_t **host);

/* No longer interested. */
void ngx_http_sprox_resolve_cancel(ngx_http_sprox_resolve_t *w);


#endif /* _NGX_HTTP_SPROX_RESOLVE_H_INCLUDED_ */
