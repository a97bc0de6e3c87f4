/*
 * nginx resolves the names of its configuration once, and an origin's
 * addresses change while it runs: here they are asked for again.
 *
 *              resolve()                    an answer
 *   (unknown) ----------> looking up --------------------> known
 *       ^   waiters queue      |                          ^   |
 *       |                      | no answer                |   | expired, and
 *       | 1 s later            v                   answer |   v somebody asks
 *       +------------------ failed                     renewing
 *          waiters fail at once                  the addresses go on serving;
 *                                                no answer: again in 5 s
 *
 * A look-up is nginx's resolver's, or the system's (_lookup.c).  The latter
 * cannot be called back: when it takes longer than resolver_timeout its
 * waiters fail, and its answer is taken when it comes.
 *
 * Waiters are called from a posted event, never from within resolve(), and
 * in the next round of the event loop: one that asks again at once does not
 * make it spin.  While there are waiters a timer is set that keeps an
 * exiting worker alive.
 */

#include "ngx_http_sprox_lookup.h"


#define NGX_HTTP_SPROX_RENEW_RETRY     5000
#define NGX_HTTP_SPROX_RESOLVE_RETRY   1000   /* a failure is remembered */
#define NGX_HTTP_SPROX_TTL_MIN         1      /* seconds */
#define NGX_HTTP_SPROX_TTL_MAX         300


typedef struct {
    ngx_http_sprox_host_t     host;          /* what users see; the first */
    ngx_http_sprox_origin_t  *origin;
    ngx_resolver_ctx_t       *ctx;           /* nginx's resolver at work */
    ngx_event_t               wake;
    ngx_event_t               timer;
    ngx_msec_t                due;           /* no look-up before it */
    unsigned                  literal:1;     /* an address, not a name */
    unsigned                  failing:1;     /* so did the last look-up */
    unsigned                  waking:1;
    u_char                    text[NGX_HTTP_SPROX_NAME_MAX];
} ngx_http_sprox_name_t;


static ngx_http_sprox_name_t *ngx_http_sprox_resolve_name(
    ngx_http_sprox_origin_t *origin, ngx_str_t *text, in_port_t port,
    ngx_uint_t add);
static ngx_http_sprox_name_t *ngx_http_sprox_resolve_place(
    ngx_http_sprox_origin_t *origin, ngx_uint_t full);
static void ngx_http_sprox_resolve_literal(ngx_http_sprox_name_t *n);

static void ngx_http_sprox_resolve_start(ngx_http_sprox_name_t *n);
static void ngx_http_sprox_resolve_ask(ngx_http_sprox_name_t *n,
    ngx_http_sprox_main_conf_t *mcf);
static void ngx_http_sprox_resolve_answered(ngx_resolver_ctx_t *ctx);
static void ngx_http_sprox_resolve_localhost(ngx_http_sprox_name_t *n);
static void ngx_http_sprox_resolve_post(ngx_http_sprox_name_t *n,
    ngx_http_sprox_main_conf_t *mcf);
static void ngx_http_sprox_resolve_completed(
    ngx_http_sprox_lookup_t *lookup);

static void ngx_http_sprox_resolve_known(ngx_http_sprox_name_t *n,
    ngx_http_sprox_addr_t *addrs, ngx_uint_t naddrs, ngx_msec_t valid);
static void ngx_http_sprox_resolve_failed(ngx_http_sprox_name_t *n,
    ngx_err_t err, const char *reason);
static void ngx_http_sprox_resolve_settle(ngx_http_sprox_name_t *n);
static void ngx_http_sprox_resolve_guard(ngx_http_sprox_name_t *n);
static void ngx_http_sprox_resolve_timeout(ngx_event_t *ev);
static void ngx_http_sprox_resolve_wake(ngx_event_t *ev);


static ngx_inline ngx_http_sprox_main_conf_t *
ngx_http_sprox_resolve_conf(void)
{
    return ngx_http_cycle_get_module_main_conf(ngx_cycle,
                                               ngx_http_sprox_module);
}


/* http has a resolver without servers when nobody wrote one */

static ngx_inline ngx_uint_t
ngx_http_sprox_resolve_by_nginx(ngx_http_sprox_main_conf_t *mcf)
{
    return mcf->resolver != NULL && mcf->resolver->connections.nelts != 0;
}


ngx_int_t
ngx_http_sprox_resolve(ngx_http_sprox_origin_t *origin, ngx_str_t *name,
    in_port_t port, ngx_http_sprox_resolve_t *w, ngx_http_sprox_host_t **host)
{
    ngx_http_sprox_name_t  *n;

    n = ngx_http_sprox_resolve_name(origin, name, port, w != NULL);

    if (n == NULL) {
        return (w != NULL) ? NGX_ERROR : NGX_DECLINED;
    }

    if (w != NULL && !n->literal && !n->host.resolving
        && (ngx_msec_int_t) (n->due - ngx_current_msec) <= 0)
    {
        ngx_http_sprox_resolve_start(n);
    }

    if (n->host.naddrs != 0) {
        *host = &n->host;
        return NGX_OK;
    }

    if (w == NULL) {
        return NGX_DECLINED;
    }

    w->waiting = 1;
    w->host = &n->host;
    ngx_queue_insert_tail(&n->host.waiters, &w->queue);

    ngx_http_sprox_resolve_guard(n);

    if (!n->host.resolving) {
        /* it failed just now, or less than a second ago */
        ngx_post_event(&n->wake, &ngx_posted_next_events);
    }

    return NGX_AGAIN;
}


void
ngx_http_sprox_resolve_cancel(ngx_http_sprox_resolve_t *w)
{
    ngx_http_sprox_name_t  *n;

    if (!w->waiting) {
        return;
    }

    n = (ngx_http_sprox_name_t *) w->host;

    ngx_queue_remove(&w->queue);
    w->waiting = 0;

    if (ngx_queue_empty(&n->host.waiters)) {
        n->timer.cancelable = 1;
    }
}


static ngx_http_sprox_name_t *
ngx_http_sprox_resolve_name(ngx_http_sprox_origin_t *origin, ngx_str_t *text,
    in_port_t port, ngx_uint_t add)
{
    ngx_uint_t              count;
    ngx_queue_t            *q;
    ngx_http_sprox_host_t  *host;
    ngx_http_sprox_name_t  *n;

    if (origin->hosts.next == NULL) {
        ngx_queue_init(&origin->hosts);
    }

    count = 0;

    for (q = ngx_queue_head(&origin->hosts);
         q != ngx_queue_sentinel(&origin->hosts);
         q = ngx_queue_next(q))
    {
        host = ngx_queue_data(q, ngx_http_sprox_host_t, queue);
        count++;

        if (host->port == port
            && host->host.len == text->len
            && ngx_strncasecmp(host->host.data, text->data, text->len) == 0)
        {
            ngx_queue_remove(q);
            ngx_queue_insert_head(&origin->hosts, q);

            return (ngx_http_sprox_name_t *) host;
        }
    }

    if (!add) {
        return NULL;
    }

    if (text->len == 0 || text->len > NGX_HTTP_SPROX_NAME_MAX
        || memchr(text->data, '\0', text->len) != NULL)
    {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "sprox: origin \"%V\": a host name must have 1 to %d "
                      "bytes", &origin->name, NGX_HTTP_SPROX_NAME_MAX);
        return NULL;
    }

    n = ngx_http_sprox_resolve_place(origin,
                                     count >= NGX_HTTP_SPROX_HOSTS_MAX);
    if (n == NULL) {
        return NULL;
    }

    ngx_memzero(n, sizeof(ngx_http_sprox_name_t));

    /* lower case: nginx's resolver writes that into the name it is given */

    ngx_strlow(n->text, text->data, text->len);

    n->host.host.len = text->len;
    n->host.host.data = n->text;
    n->host.port = port;
    ngx_queue_init(&n->host.waiters);

    n->origin = origin;
    n->due = ngx_current_msec;

    n->wake.data = n;
    n->wake.handler = ngx_http_sprox_resolve_wake;
    n->wake.log = ngx_cycle->log;

    n->timer.data = n;
    n->timer.handler = ngx_http_sprox_resolve_timeout;
    n->timer.log = ngx_cycle->log;
    n->timer.cancelable = 1;

    ngx_http_sprox_resolve_literal(n);

    ngx_queue_insert_head(&origin->hosts, &n->host.queue);

    return n;
}


/*
 * Memory for one more host: in a full origin, that of the host which was
 * not used for the longest time and has nothing under way.
 */

static ngx_http_sprox_name_t *
ngx_http_sprox_resolve_place(ngx_http_sprox_origin_t *origin, ngx_uint_t full)
{
    ngx_queue_t            *q;
    ngx_http_sprox_name_t  *n;

    if (!full) {
        return ngx_alloc(sizeof(ngx_http_sprox_name_t), ngx_cycle->log);
    }

    for (q = ngx_queue_last(&origin->hosts);
         q != ngx_queue_sentinel(&origin->hosts);
         q = ngx_queue_prev(q))
    {
        n = (ngx_http_sprox_name_t *)
                ngx_queue_data(q, ngx_http_sprox_host_t, queue);

        if (n->host.resolving || n->waking || n->wake.posted
            || !ngx_queue_empty(&n->host.waiters))
        {
            continue;
        }

        if (n->timer.timer_set) {
            ngx_del_timer(&n->timer);
        }

        ngx_queue_remove(q);

        return n;
    }

    ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                  "sprox: origin \"%V\": %d host names are being resolved, "
                  "no room for one more",
                  &origin->name, NGX_HTTP_SPROX_HOSTS_MAX);

    return NULL;
}


static void
ngx_http_sprox_resolve_literal(ngx_http_sprox_name_t *n)
{
    in_addr_t             addr;
    ngx_str_t             s;
    struct sockaddr_in    sin;
#if (NGX_HAVE_INET6)
    struct sockaddr_in6   sin6;
#endif

    s = n->host.host;

    addr = ngx_inet_addr(s.data, s.len);

    if (addr != INADDR_NONE) {
        ngx_memzero(&sin, sizeof(struct sockaddr_in));
        sin.sin_family = AF_INET;
        sin.sin_addr.s_addr = addr;

        ngx_http_sprox_addr_add(n->host.addrs, &n->host.naddrs,
                                (struct sockaddr *) &sin,
                                sizeof(struct sockaddr_in), n->host.port);
    }

#if (NGX_HAVE_INET6)

    if (s.len > 2 && s.data[0] == '[' && s.data[s.len - 1] == ']') {
        s.data++;
        s.len -= 2;
    }

    ngx_memzero(&sin6, sizeof(struct sockaddr_in6));

    if (n->host.naddrs == 0
        && ngx_inet6_addr(s.data, s.len, sin6.sin6_addr.s6_addr) == NGX_OK)
    {
        sin6.sin6_family = AF_INET6;

        ngx_http_sprox_addr_add(n->host.addrs, &n->host.naddrs,
                                (struct sockaddr *) &sin6,
                                sizeof(struct sockaddr_in6), n->host.port);
    }

#endif

    if (n->host.naddrs != 0) {
        n->literal = 1;
        n->host.resolved = ngx_current_msec;
    }
}


static void
ngx_http_sprox_resolve_start(ngx_http_sprox_name_t *n)
{
    ngx_http_sprox_main_conf_t  *mcf;

    mcf = ngx_http_sprox_resolve_conf();

    n->host.resolving = 1;

    n->timer.cancelable = 1;
    ngx_add_timer(&n->timer, mcf->resolver_timeout);

    if (!ngx_http_sprox_resolve_by_nginx(mcf)) {
        ngx_http_sprox_resolve_post(n, mcf);

    } else if (ngx_http_sprox_is_localhost(&n->host.host)) {
        ngx_http_sprox_resolve_localhost(n);

    } else {
        ngx_http_sprox_resolve_ask(n, mcf);
    }
}


/*
 * The handler may be called before ngx_resolve_name() returns.  The time
 * limit is our timer's, as with getaddrinfo().
 */

static void
ngx_http_sprox_resolve_ask(ngx_http_sprox_name_t *n,
    ngx_http_sprox_main_conf_t *mcf)
{
    ngx_resolver_ctx_t  *ctx;

    ctx = ngx_resolve_start(mcf->resolver, NULL);

    if (ctx == NULL || ctx == NGX_NO_RESOLVER) {
        goto failed;
    }

    ctx->name = n->host.host;
    ctx->handler = ngx_http_sprox_resolve_answered;
    ctx->data = n;

    n->ctx = ctx;

    if (ngx_resolve_name(ctx) == NGX_OK) {
        return;
    }

    n->ctx = NULL;

failed:

    n->host.resolving = 0;
    ngx_http_sprox_resolve_failed(n, 0, "the resolver cannot be asked");
}


static void
ngx_http_sprox_resolve_answered(ngx_resolver_ctx_t *ctx)
{
    time_t                  ttl;
    ngx_int_t               state;
    ngx_uint_t              i, naddrs;
    ngx_http_sprox_name_t  *n;
    ngx_http_sprox_addr_t   addrs[NGX_HTTP_SPROX_ADDRS_MAX];

    n = ctx->data;
    state = ctx->state;

    naddrs = 0;

    if (state == NGX_OK) {
        for (i = 0; i < ctx->naddrs; i++) {
            ngx_http_sprox_addr_add(addrs, &naddrs, ctx->addrs[i].sockaddr,
                                    ctx->addrs[i].socklen, n->host.port);
        }
    }

    ttl = ctx->valid - ngx_time();

    if (ttl < NGX_HTTP_SPROX_TTL_MIN) {
        ttl = NGX_HTTP_SPROX_TTL_MIN;

    } else if (ttl > NGX_HTTP_SPROX_TTL_MAX) {
        ttl = NGX_HTTP_SPROX_TTL_MAX;
    }

    n->ctx = NULL;
    n->host.resolving = 0;

    ngx_resolve_name_done(ctx);

    if (naddrs != 0) {
        ngx_http_sprox_resolve_known(n, addrs, naddrs,
                                     (ngx_msec_t) ttl * 1000);
        return;
    }

    ngx_http_sprox_resolve_failed(n, 0,
                                  (state == NGX_OK) ? "it has no address"
                                            : ngx_resolver_strerror(state));
}


/*
 * A name server knows nothing of this host itself; the system's resolver,
 * which does, needs a thread pool that may not be there.
 */

static void
ngx_http_sprox_resolve_localhost(ngx_http_sprox_name_t *n)
{
    ngx_uint_t             naddrs;
    struct sockaddr_in     sin;
    ngx_http_sprox_addr_t  addrs[2];
#if (NGX_HAVE_INET6)
    struct sockaddr_in6    sin6;
#endif

    naddrs = 0;

    ngx_memzero(&sin, sizeof(struct sockaddr_in));
    sin.sin_family = AF_INET;
    sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);

    ngx_http_sprox_addr_add(addrs, &naddrs, (struct sockaddr *) &sin,
                            sizeof(struct sockaddr_in), n->host.port);

#if (NGX_HAVE_INET6)

    ngx_memzero(&sin6, sizeof(struct sockaddr_in6));
    sin6.sin6_family = AF_INET6;
    sin6.sin6_addr = in6addr_loopback;

    ngx_http_sprox_addr_add(addrs, &naddrs, (struct sockaddr *) &sin6,
                            sizeof(struct sockaddr_in6), n->host.port);

#endif

    n->host.resolving = 0;

    ngx_http_sprox_resolve_known(n, addrs, naddrs,
                                 NGX_HTTP_SPROX_RESOLVE_VALID);
}


static void
ngx_http_sprox_resolve_post(ngx_http_sprox_name_t *n,
    ngx_http_sprox_main_conf_t *mcf)
{
    if (ngx_http_sprox_lookup(mcf->thread_pool, &n->host.host, n->host.port,
                              ngx_http_sprox_resolve_completed, n)
        != NGX_OK)
    {
        n->host.resolving = 0;
        ngx_http_sprox_resolve_failed(n, 0, "no thread can be had");
    }
}


static void
ngx_http_sprox_resolve_completed(ngx_http_sprox_lookup_t *lookup)
{
    ngx_http_sprox_name_t  *n;

    n = lookup->data;
    n->host.resolving = 0;

    if (lookup->naddrs != 0) {
        ngx_http_sprox_resolve_known(n, lookup->addrs, lookup->naddrs,
                                     NGX_HTTP_SPROX_RESOLVE_VALID);
        return;
    }

    ngx_http_sprox_resolve_failed(n, lookup->err, lookup->reason);
}


/*
 * The new addresses take the place of the old; what users know of an
 * address (that it failed, that it is next) stays with it.
 */

static void
ngx_http_sprox_resolve_known(ngx_http_sprox_name_t *n,
    ngx_http_sprox_addr_t *addrs, ngx_uint_t naddrs, ngx_msec_t valid)
{
    ngx_uint_t              i, j, next;
    ngx_http_sprox_addr_t  *old;

    next = 0;

    for (i = 0; i < n->host.naddrs; i++) {
        old = &n->host.addrs[i];

        for (j = 0; j < naddrs; j++) {
            if (ngx_cmp_sockaddr((struct sockaddr *) &addrs[j].sockaddr,
                                 addrs[j].socklen,
                                 (struct sockaddr *) &old->sockaddr,
                                 old->socklen, 1)
                == NGX_OK)
            {
                addrs[j].failed = old->failed;

                if (i == n->host.next) {
                    next = j;
                }

                break;
            }
        }
    }

    ngx_memcpy(n->host.addrs, addrs, naddrs * sizeof(ngx_http_sprox_addr_t));
    n->host.naddrs = naddrs;
    n->host.next = next;
    n->host.resolved = ngx_current_msec;

    n->due = ngx_current_msec + valid;

    if (n->failing) {
        n->failing = 0;

        ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                      "sprox: origin \"%V\": host \"%V\" is resolved again",
                      &n->origin->name, &n->host.host);
    }

    ngx_http_sprox_resolve_settle(n);
}


static void
ngx_http_sprox_resolve_failed(ngx_http_sprox_name_t *n, ngx_err_t err,
    const char *reason)
{
    ngx_uint_t  level;

    if (n->host.naddrs != 0) {

        /* one line an outage, however long it lasts */

        level = NGX_LOG_WARN;

        if (n->failing) {
            level = NGX_LOG_INFO;
        }

        ngx_log_error(level, ngx_cycle->log, err,
                      "sprox: origin \"%V\": host \"%V\" could not be "
                      "resolved again (%s), its known addresses stay in use",
                      &n->origin->name, &n->host.host, reason);

        n->due = ngx_current_msec + NGX_HTTP_SPROX_RENEW_RETRY;

    } else {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, err,
                      "sprox: origin \"%V\": host \"%V\" could not be "
                      "resolved (%s)",
                      &n->origin->name, &n->host.host, reason);

        n->due = ngx_current_msec + NGX_HTTP_SPROX_RESOLVE_RETRY;
    }

    n->failing = 1;

    ngx_http_sprox_resolve_settle(n);
}


static void
ngx_http_sprox_resolve_settle(ngx_http_sprox_name_t *n)
{
    if (!ngx_queue_empty(&n->host.waiters)) {
        ngx_http_sprox_resolve_guard(n);
        ngx_post_event(&n->wake, &ngx_posted_next_events);
        return;
    }

    if (n->timer.timer_set) {
        ngx_del_timer(&n->timer);
    }
}


static void
ngx_http_sprox_resolve_guard(ngx_http_sprox_name_t *n)
{
    n->timer.cancelable = 0;

    if (!n->timer.timer_set) {
        ngx_add_timer(&n->timer,
                      ngx_http_sprox_resolve_conf()->resolver_timeout);
    }
}


static void
ngx_http_sprox_resolve_timeout(ngx_event_t *ev)
{
    ngx_http_sprox_name_t  *n;

    n = ev->data;

    if (!n->host.resolving) {
        /* it is over, the waiters are about to hear of it */
        return;
    }

    if (n->ctx != NULL) {
        ngx_resolve_name_done(n->ctx);
        n->ctx = NULL;
        n->host.resolving = 0;
    }

    ngx_http_sprox_resolve_failed(n, 0, "no answer in resolver_timeout");
}


static void
ngx_http_sprox_resolve_wake(ngx_event_t *ev)
{
    ngx_queue_t               waiters, *q;
    ngx_http_sprox_host_t     *host;
    ngx_http_sprox_name_t     *n;
    ngx_http_sprox_resolve_t  *w;

    n = ev->data;

    if (n->timer.timer_set) {
        ngx_del_timer(&n->timer);
    }

    ngx_queue_init(&waiters);

    if (!ngx_queue_empty(&n->host.waiters)) {
        ngx_queue_add(&waiters, &n->host.waiters);
        ngx_queue_init(&n->host.waiters);
    }

    host = (n->host.naddrs != 0) ? &n->host : NULL;

    /* a handler may wait again, cancel others, or ask for further hosts */

    n->waking = 1;

    while (!ngx_queue_empty(&waiters)) {
        q = ngx_queue_head(&waiters);
        ngx_queue_remove(q);

        w = ngx_queue_data(q, ngx_http_sprox_resolve_t, queue);
        w->waiting = 0;

        w->handler(w, host);
    }

    n->waking = 0;
}
