/*
 * getaddrinfo() knows /etc/hosts, search domains and whatever else the
 * system's administrator set up, but it blocks: it runs in a thread.
 *
 *   lookup() -> [queue: a turn] -> thread: getaddrinfo() -> handler
 *
 * It cannot be called back, and with a dead name server takes as long as
 * resolv.conf says.  So not more than NGX_HTTP_SPROX_LOOKUPS_MAX run at a
 * time, which leaves the other threads of the pool to the file I/O; further
 * ones wait for their turn.  A thread sees nothing but its look-up, which
 * is its own memory: no pool of nginx's may go away under it.
 */

#include "ngx_http_sprox_lookup.h"

#include <netdb.h>


static ngx_int_t ngx_http_sprox_lookup_post(ngx_http_sprox_lookup_t *lookup);
static void ngx_http_sprox_lookup_thread(void *data, ngx_log_t *log);
static void ngx_http_sprox_lookup_completed(ngx_event_t *ev);


/* of this worker: how many run, and which wait for a turn */

static ngx_uint_t   ngx_http_sprox_lookups;
static ngx_queue_t  ngx_http_sprox_lookup_queue = {
    &ngx_http_sprox_lookup_queue,
    &ngx_http_sprox_lookup_queue
};


ngx_int_t
ngx_http_sprox_lookup(ngx_thread_pool_t *pool, ngx_str_t *name,
    in_port_t port, void (*handler)(ngx_http_sprox_lookup_t *lookup),
    void *data)
{
    ngx_http_sprox_lookup_t  *lookup;

    if (pool == NULL || name->len > NGX_HTTP_SPROX_NAME_MAX) {
        return NGX_ERROR;
    }

    lookup = ngx_calloc(sizeof(ngx_http_sprox_lookup_t), ngx_cycle->log);
    if (lookup == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(lookup->name, name->data, name->len);
    lookup->port = port;
    lookup->pool = pool;
    lookup->handler = handler;
    lookup->data = data;

    lookup->task.ctx = lookup;
    lookup->task.handler = ngx_http_sprox_lookup_thread;
    lookup->task.event.data = lookup;
    lookup->task.event.handler = ngx_http_sprox_lookup_completed;
    lookup->task.event.log = ngx_cycle->log;

    if (ngx_http_sprox_lookups >= NGX_HTTP_SPROX_LOOKUPS_MAX) {
        ngx_queue_insert_tail(&ngx_http_sprox_lookup_queue, &lookup->queue);
        return NGX_OK;
    }

    if (ngx_http_sprox_lookup_post(lookup) != NGX_OK) {
        ngx_free(lookup);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_sprox_lookup_post(ngx_http_sprox_lookup_t *lookup)
{
    if (ngx_thread_task_post(lookup->pool, &lookup->task) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_sprox_lookups++;

    return NGX_OK;
}


static void
ngx_http_sprox_lookup_thread(void *data, ngx_log_t *log)
{
    ngx_http_sprox_lookup_t  *lookup = data;

    int               rc;
    ngx_str_t         name;
    struct addrinfo   hints, *res, *ai;

    name.data = lookup->name;
    name.len = ngx_strlen(lookup->name);

    ngx_memzero(&hints, sizeof(struct addrinfo));
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;

    /* AI_ADDRCONFIG does not count the loopback interface */

    if (!ngx_http_sprox_is_localhost(&name)) {
        hints.ai_flags = AI_ADDRCONFIG;
    }

    res = NULL;

    rc = getaddrinfo((char *) lookup->name, NULL, &hints, &res);

    if (rc != 0) {
        lookup->err = (rc == EAI_SYSTEM) ? ngx_errno : 0;
        lookup->reason = gai_strerror(rc);
        return;
    }

    for (ai = res; ai != NULL; ai = ai->ai_next) {
        ngx_http_sprox_addr_add(lookup->addrs, &lookup->naddrs,
                                ai->ai_addr, ai->ai_addrlen, lookup->port);
    }

    freeaddrinfo(res);

    if (lookup->naddrs == 0) {
        lookup->reason = "it has no address";
    }
}


static void
ngx_http_sprox_lookup_completed(ngx_event_t *ev)
{
    ngx_queue_t              *q;
    ngx_http_sprox_lookup_t  *lookup;

    lookup = ev->data;

    ngx_http_sprox_lookups--;

    lookup->handler(lookup);
    ngx_free(lookup);

    while (ngx_http_sprox_lookups < NGX_HTTP_SPROX_LOOKUPS_MAX
           && !ngx_queue_empty(&ngx_http_sprox_lookup_queue))
    {
        q = ngx_queue_head(&ngx_http_sprox_lookup_queue);
        ngx_queue_remove(q);

        lookup = ngx_queue_data(q, ngx_http_sprox_lookup_t, queue);

        if (ngx_http_sprox_lookup_post(lookup) != NGX_OK) {
            lookup->reason = "no thread can be had";
            lookup->handler(lookup);
            ngx_free(lookup);
        }
    }
}


void
ngx_http_sprox_addr_add(ngx_http_sprox_addr_t *addrs, ngx_uint_t *naddrs,
    struct sockaddr *sa, socklen_t socklen, in_port_t port)
{
    ngx_uint_t              i;
    ngx_http_sprox_addr_t  *addr;

    if (*naddrs == NGX_HTTP_SPROX_ADDRS_MAX
        || socklen > (socklen_t) sizeof(struct sockaddr_storage))
    {
        return;
    }

    switch (sa->sa_family) {

    case AF_INET:
#if (NGX_HAVE_INET6)
    case AF_INET6:
#endif
        break;

    default:
        return;
    }

    addr = &addrs[*naddrs];

    ngx_memzero(addr, sizeof(ngx_http_sprox_addr_t));
    ngx_memcpy(&addr->sockaddr, sa, socklen);
    addr->socklen = socklen;

    ngx_inet_set_port((struct sockaddr *) &addr->sockaddr, port);

    for (i = 0; i < *naddrs; i++) {
        if (ngx_cmp_sockaddr((struct sockaddr *) &addrs[i].sockaddr,
                             addrs[i].socklen,
                             (struct sockaddr *) &addr->sockaddr,
                             addr->socklen, 1)
            == NGX_OK)
        {
            return;
        }
    }

    (*naddrs)++;
}


ngx_uint_t
ngx_http_sprox_is_localhost(ngx_str_t *name)
{
    size_t             len;
    static const char  localhost[] = ".localhost";

    len = sizeof(localhost) - 1;

    if (name->len == len - 1) {
        return ngx_memcmp(name->data, localhost + 1, len - 1) == 0;
    }

    return name->len > len
           && ngx_memcmp(name->data + name->len - len, localhost, len) == 0;
}
