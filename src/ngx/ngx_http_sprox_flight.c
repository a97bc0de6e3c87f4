
/*
 * The table of what is in flight, in shared memory, and the wake-up of other
 * workers.
 *
 *   sh:  fds[process slot]     an eventfd a process slot, made by the
 *                              master before it forks
 *        bucket [slot x 8]     by MD5; a slot is free or one claim:
 *        bucket [slot x 8]       key, seq, owner, waiters (a bit a
 *        ...                     process slot)
 *
 * A claim has a number of its own (seq), so that whoever remembers slot and
 * number can see without the lock that it is over.  A slot is claimed by
 * the store of its number and freed by the store of 0, both last: a worker
 * killed in between leaves nothing half-done.
 *
 * Workers of all generations share the table and the descriptors: they are
 * indexed by ngx_process_slot, which no two living processes share, unlike
 * ngx_worker.
 */

#include "ngx_http_sprox_flight.h"
#include <sys/eventfd.h>


#define NGX_HTTP_SPROX_FLIGHT_WAYS      8
#define NGX_HTTP_SPROX_FLIGHT_BUCKETS   2048

/* Process slots that take part; a multiple of 64. */
#define NGX_HTTP_SPROX_FLIGHT_WORKERS   256
#define NGX_HTTP_SPROX_FLIGHT_WORDS     (NGX_HTTP_SPROX_FLIGHT_WORKERS / 64)

/* Slots beside those of the workers of two generations: helpers, others. */
#define NGX_HTTP_SPROX_FLIGHT_SPARE     8

/* How often who waits looks whether the owner still lives. */
#define NGX_HTTP_SPROX_FLIGHT_CHECK     1000


struct ngx_http_sprox_flight_slot_s {
    volatile uint64_t              seq;         /* 0: free */
    u_char                         key[NGX_HTTP_SPROX_FLIGHT_KEY];
    uint32_t                       owner;       /* process slot */
    ngx_pid_t                      pid;
    uint64_t                       waiters[NGX_HTTP_SPROX_FLIGHT_WORDS];
};


typedef struct {
    volatile uint64_t              seq;         /* of the last claim */
    ngx_uint_t                     nfds;
    int                            fds[NGX_HTTP_SPROX_FLIGHT_WORKERS];
    ngx_http_sprox_flight_slot_t   slots[NGX_HTTP_SPROX_FLIGHT_BUCKETS
                                         * NGX_HTTP_SPROX_FLIGHT_WAYS];
} ngx_http_sprox_flight_sh_t;


typedef struct {
    ngx_http_sprox_flight_sh_t    *sh;
    ngx_slab_pool_t               *shpool;
} ngx_http_sprox_flights_t;


static ngx_int_t ngx_http_sprox_flight_zone(ngx_shm_zone_t *shm_zone,
    void *data);
static ngx_int_t ngx_http_sprox_flight_listen(ngx_cycle_t *cycle, int fd);
static void ngx_http_sprox_flight_read(ngx_event_t *ev);
static void ngx_http_sprox_flight_timer(ngx_event_t *ev);
static void ngx_http_sprox_flight_check(ngx_uint_t owners);
static void ngx_http_sprox_flight_rest(void);
static void ngx_http_sprox_flight_free(ngx_http_sprox_flight_slot_t *slot,
    uint64_t seq);
static void ngx_http_sprox_flight_inherit(void);


/*
 * How many descriptors there were when this process was forked: those that
 * the master made later are not open in it, or are something else.
 */
static ngx_uint_t                 ngx_http_sprox_flight_nfds;

/* Of this worker; NULL: nothing is shared. */
static ngx_http_sprox_flights_t  *ngx_http_sprox_flights;

static ngx_queue_t                ngx_http_sprox_flight_waits;
static ngx_event_t                ngx_http_sprox_flight_event;


ngx_int_t
ngx_http_sprox_flight_init(ngx_conf_t *cf, ngx_shm_zone_t **zone)
{
    size_t                     size;
    ngx_http_sprox_flights_t  *flights;

    static ngx_str_t  name = ngx_string("sprox_flights");

    flights = ngx_pcalloc(cf->pool, sizeof(ngx_http_sprox_flights_t));
    if (flights == NULL) {
        return NGX_ERROR;
    }

    /* the slab's own pages take less than an eighth */

    size = ngx_align(sizeof(ngx_http_sprox_flight_sh_t) / 8 * 9
                     + 8 * ngx_pagesize, ngx_pagesize);

    *zone = ngx_shared_memory_add(cf, &name, size, &ngx_http_sprox_module);
    if (*zone == NULL) {
        return NGX_ERROR;
    }

    (*zone)->init = ngx_http_sprox_flight_zone;
    (*zone)->data = flights;

    return NGX_OK;
}


static ngx_int_t
ngx_http_sprox_flight_zone(ngx_shm_zone_t *shm_zone, void *data)
{
    ngx_http_sprox_flights_t  *old = data;

    ngx_http_sprox_flights_t  *flights;

    flights = shm_zone->data;

    if (old) {
        flights->sh = old->sh;
        flights->shpool = old->shpool;
        return NGX_OK;
    }

    flights->shpool = (ngx_slab_pool_t *) shm_zone->shm.addr;

    if (shm_zone->shm.exists) {
        flights->sh = flights->shpool->data;
        return NGX_OK;
    }

    flights->sh = ngx_slab_calloc(flights->shpool,
                                  sizeof(ngx_http_sprox_flight_sh_t));
    if (flights->sh == NULL) {
        return NGX_ERROR;
    }

    flights->shpool->data = flights->sh;

    return NGX_OK;
}


ngx_int_t
ngx_http_sprox_flight_init_module(ngx_cycle_t *cycle, ngx_shm_zone_t *zone)
{
    int                          fd;
    ngx_uint_t                   n;
    ngx_core_conf_t             *ccf;
    ngx_http_sprox_flight_sh_t  *sh;

    if (zone == NULL) {
        return NGX_OK;
    }

    sh = ((ngx_http_sprox_flights_t *) zone->data)->sh;
    ccf = (ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_core_module);

    n = ngx_min(2 * (ngx_uint_t) ccf->worker_processes
                + NGX_HTTP_SPROX_FLIGHT_SPARE,
                NGX_HTTP_SPROX_FLIGHT_WORKERS);

    /* those of the cycles before stay: their workers may live yet */

    while (sh->nfds < n) {

        fd = eventfd(0, EFD_NONBLOCK|EFD_CLOEXEC);

        if (fd == -1) {
            ngx_log_error(NGX_LOG_EMERG, cycle->log, ngx_errno,
                          "sprox: eventfd() failed");
            return NGX_ERROR;
        }

        sh->fds[sh->nfds++] = fd;
    }

    ngx_http_sprox_flight_nfds = sh->nfds;

    return NGX_OK;
}


ngx_int_t
ngx_http_sprox_flight_start(ngx_cycle_t *cycle, ngx_shm_zone_t *zone)
{
    ngx_http_sprox_flights_t  *flights;

    ngx_http_sprox_flights = NULL;
    ngx_queue_init(&ngx_http_sprox_flight_waits);

    /* cache manager and loader start here as well; their slots matter */

    if (zone == NULL || ngx_process != NGX_PROCESS_WORKER) {
        return NGX_OK;
    }

    flights = zone->data;

    if ((ngx_uint_t) ngx_process_slot >= ngx_http_sprox_flight_nfds) {
        ngx_log_error(NGX_LOG_NOTICE, cycle->log, 0,
                      "sprox: too many worker processes: this one fetches "
                      "for itself alone");
        return NGX_OK;
    }

    ngx_http_sprox_flight_event.handler = ngx_http_sprox_flight_timer;
    ngx_http_sprox_flight_event.data = &ngx_http_sprox_no_connection;
    ngx_http_sprox_flight_event.log = cycle->log;

    if (ngx_http_sprox_flight_listen(cycle,
                                     flights->sh->fds[ngx_process_slot])
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_http_sprox_flights = flights;
    ngx_http_sprox_flight_inherit();

    return NGX_OK;
}


static ngx_int_t
ngx_http_sprox_flight_listen(ngx_cycle_t *cycle, int fd)
{
    ngx_event_t       *rev;
    ngx_connection_t  *c;

    c = ngx_get_connection(fd, cycle->log);
    if (c == NULL) {
        return NGX_ERROR;
    }

    c->pool = cycle->pool;
    c->read->log = cycle->log;
    c->write->log = cycle->log;

    rev = c->read;
    rev->handler = ngx_http_sprox_flight_read;

    /* as nginx's own channel: it is no leak when the worker exits */

    rev->channel = 1;
    c->write->channel = 1;

    if (ngx_add_event(rev, NGX_READ_EVENT,
                      (ngx_event_flags & NGX_USE_CLEAR_EVENT)
                      ? NGX_CLEAR_EVENT : NGX_LEVEL_EVENT)
        != NGX_OK)
    {
        ngx_free_connection(c);
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* What the process before this one in its slot had claimed. */

static void
ngx_http_sprox_flight_inherit(void)
{
    ngx_uint_t                     i;
    ngx_http_sprox_flight_slot_t  *slot;

    for (i = 0;
         i < NGX_HTTP_SPROX_FLIGHT_BUCKETS * NGX_HTTP_SPROX_FLIGHT_WAYS;
         i++)
    {
        slot = &ngx_http_sprox_flights->sh->slots[i];

        if (slot->seq && slot->owner == (uint32_t) ngx_process_slot) {
            ngx_http_sprox_flight_free(slot, slot->seq);
        }
    }
}


ngx_int_t
ngx_http_sprox_flight_claim(ngx_http_sprox_flight_t *f,
    const u_char key[NGX_HTTP_SPROX_FLIGHT_KEY])
{
    uint64_t                       hash;
    ngx_uint_t                     i;
    ngx_slab_pool_t               *shpool;
    ngx_http_sprox_flight_sh_t    *sh;
    ngx_http_sprox_flight_slot_t  *slot, *room;

    ngx_memzero(f, sizeof(ngx_http_sprox_flight_t));

    if (ngx_http_sprox_flights == NULL) {
        return NGX_OK;
    }

    sh = ngx_http_sprox_flights->sh;
    shpool = ngx_http_sprox_flights->shpool;

    ngx_memcpy(&hash, key, sizeof(uint64_t));

    slot = &sh->slots[hash % NGX_HTTP_SPROX_FLIGHT_BUCKETS
                      * NGX_HTTP_SPROX_FLIGHT_WAYS];
    room = NULL;

    ngx_shmtx_lock(&shpool->mutex);

    for (i = 0; i < NGX_HTTP_SPROX_FLIGHT_WAYS; i++) {

        if (slot[i].seq == 0) {
            room = &slot[i];
            continue;
        }

        if (ngx_memcmp(slot[i].key, key, NGX_HTTP_SPROX_FLIGHT_KEY) != 0) {
            continue;
        }

        slot[i].waiters[ngx_process_slot / 64] |= 1ULL << ngx_process_slot % 64;

        f->slot = &slot[i];
        f->seq = slot[i].seq;

        ngx_shmtx_unlock(&shpool->mutex);

        return NGX_BUSY;
    }

    if (room) {
        ngx_memcpy(room->key, key, NGX_HTTP_SPROX_FLIGHT_KEY);
        ngx_memzero(room->waiters, sizeof(room->waiters));
        room->owner = ngx_process_slot;
        room->pid = ngx_pid;

        ngx_memory_barrier();

        room->seq = ++sh->seq;

        f->slot = room;
        f->seq = room->seq;
        f->own = 1;
    }

    ngx_shmtx_unlock(&shpool->mutex);

    return NGX_OK;
}


void
ngx_http_sprox_flight_wait(ngx_http_sprox_flight_t *f,
    void (*landed)(void *data), void *data)
{
    f->landed = landed;
    f->data = data;
    f->waiting = 1;

    ngx_queue_insert_tail(&ngx_http_sprox_flight_waits, &f->queue);

    if (!ngx_http_sprox_flight_event.timer_set) {
        ngx_add_timer(&ngx_http_sprox_flight_event,
                      NGX_HTTP_SPROX_FLIGHT_CHECK);
    }
}


void
ngx_http_sprox_flight_release(ngx_http_sprox_flight_t *f)
{
    if (f->waiting) {
        f->waiting = 0;
        ngx_queue_remove(&f->queue);
        ngx_http_sprox_flight_rest();
    }

    if (f->own) {
        f->own = 0;
        ngx_http_sprox_flight_free(f->slot, f->seq);
    }

    f->slot = NULL;
}


void
ngx_http_sprox_flight_reap(ngx_http_sprox_flight_t *f)
{
    if (f->slot && f->slot->seq == f->seq
        && kill(f->slot->pid, 0) == -1 && ngx_errno == ESRCH)
    {
        ngx_http_sprox_flight_free(f->slot, f->seq);
    }

    f->slot = NULL;
}


ngx_uint_t
ngx_http_sprox_flight_claims(void)
{
    ngx_uint_t                     i, n;
    ngx_http_sprox_flight_slot_t  *slots;

    if (ngx_http_sprox_flights == NULL) {
        return 0;
    }

    slots = ngx_http_sprox_flights->sh->slots;
    n = 0;

    for (i = 0;
         i < NGX_HTTP_SPROX_FLIGHT_BUCKETS * NGX_HTTP_SPROX_FLIGHT_WAYS;
         i++)
    {
        n += (slots[i].seq != 0);
    }

    return n;
}


uint64_t
ngx_http_sprox_flight_seq(void)
{
    return ngx_http_sprox_flights ? ngx_http_sprox_flights->sh->seq : 0;
}


ngx_uint_t
ngx_http_sprox_flight_waited(ngx_http_sprox_flight_t *f)
{
    uint64_t    bits;
    ngx_uint_t  i;

    if (!f->own) {
        return 0;
    }

    bits = 0;

    for (i = 0; i < NGX_HTTP_SPROX_FLIGHT_WORDS; i++) {
        bits |= f->slot->waiters[i];
    }

    return bits != 0;
}


/* Frees the claim of that number, if it still stands, and wakes. */

static void
ngx_http_sprox_flight_free(ngx_http_sprox_flight_slot_t *slot, uint64_t seq)
{
    uint64_t                     one;
    ngx_uint_t                   i;
    ngx_slab_pool_t             *shpool;
    ngx_http_sprox_flight_sh_t  *sh;
    uint64_t                     waiters[NGX_HTTP_SPROX_FLIGHT_WORDS];

    sh = ngx_http_sprox_flights->sh;
    shpool = ngx_http_sprox_flights->shpool;

    ngx_shmtx_lock(&shpool->mutex);

    if (slot->seq != seq) {
        ngx_shmtx_unlock(&shpool->mutex);
        return;
    }

    ngx_memcpy(waiters, slot->waiters, sizeof(waiters));
    slot->seq = 0;

    ngx_shmtx_unlock(&shpool->mutex);

    one = 1;

    /* workers of later descriptors look by themselves, see _timer() */

    for (i = 0; i < ngx_http_sprox_flight_nfds; i++) {

        if ((waiters[i / 64] & (1ULL << i % 64)) == 0) {
            continue;
        }

        /* EAGAIN: it is readable already */

        if (write(sh->fds[i], &one, sizeof(uint64_t)) == -1
            && ngx_errno != NGX_EAGAIN)
        {
            ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, ngx_errno,
                          "sprox: write() to eventfd of process slot %ui "
                          "failed", i);
        }
    }
}


static void
ngx_http_sprox_flight_read(ngx_event_t *ev)
{
    uint64_t           n;
    ngx_connection_t  *c;

    c = ev->data;

    /* one read takes the whole count */

    if (read(c->fd, &n, sizeof(uint64_t)) == -1 && ngx_errno != NGX_EAGAIN) {
        ngx_log_error(NGX_LOG_ALERT, ev->log, ngx_errno,
                      "sprox: read() from eventfd failed");
    }

    ngx_http_sprox_flight_check(0);
}


static void
ngx_http_sprox_flight_timer(ngx_event_t *ev)
{
    ngx_http_sprox_flight_check(1);

    if (!ngx_queue_empty(&ngx_http_sprox_flight_waits)) {
        ngx_add_timer(ev, NGX_HTTP_SPROX_FLIGHT_CHECK);
    }
}


/* Tells those whose claim is over; owners: frees those of the dead. */

static void
ngx_http_sprox_flight_check(ngx_uint_t owners)
{
    ngx_queue_t              *q, *next, over;
    ngx_http_sprox_flight_t  *f;

    ngx_queue_init(&over);

    for (q = ngx_queue_head(&ngx_http_sprox_flight_waits);
         q != ngx_queue_sentinel(&ngx_http_sprox_flight_waits);
         q = next)
    {
        next = ngx_queue_next(q);
        f = ngx_queue_data(q, ngx_http_sprox_flight_t, queue);

        if (owners && f->slot->seq == f->seq
            && kill(f->slot->pid, 0) == -1 && ngx_errno == ESRCH)
        {
            ngx_http_sprox_flight_free(f->slot, f->seq);
        }

        if (f->slot->seq != f->seq) {
            ngx_queue_remove(q);
            ngx_queue_insert_tail(&over, q);
        }
    }

    /* one that has landed may release others that are over, too */

    while (!ngx_queue_empty(&over)) {
        q = ngx_queue_head(&over);
        f = ngx_queue_data(q, ngx_http_sprox_flight_t, queue);

        ngx_queue_remove(q);
        f->waiting = 0;
        f->slot = NULL;

        f->landed(f->data);
    }

    ngx_http_sprox_flight_rest();
}


/* The timer keeps a worker that is to exit while something is waited for. */

static void
ngx_http_sprox_flight_rest(void)
{
    if (ngx_queue_empty(&ngx_http_sprox_flight_waits)
        && ngx_http_sprox_flight_event.timer_set)
    {
        ngx_del_timer(&ngx_http_sprox_flight_event);
    }
}
