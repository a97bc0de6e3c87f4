/*
 * Who keeps the catalog's file, and when.
 *
 *   every worker, each second:  is the duty free, or its owner dead?
 *
 *   the owner:      +-----------------------------+
 *                   v                             |
 *        idle -> look -> the known one, or none --+-> due? -> write
 *          ^       |                                            |
 *          |       +---> another one: read it ------------------+
 *          +----------------------------------------------------+
 *
 * look, read and write are steps of a thread; between two the event loop
 * sees whether the worker shall leave, and tells that the owner lives.  A
 * file is another one at the start, when an nginx of another binary has
 * written it, and when the catalog was emptied since it was read: then what
 * was written last comes back.  A mark that could not be written when
 * somebody told is a step of its own, before the look.
 *
 * The duty is a pid in shared memory.  Whoever takes it over begins anew:
 * what is put twice stays the same, and nothing half-written has the name.
 */

#include "ngx_http_sprox_persist.h"
#include "ngx_http_sprox_persist_file.h"
#include "ngx_http_sprox_zone.h"

#include "sprox_digest.h"


/* How often the duty looks, in ms. */
#define NGX_HTTP_SPROX_PERSIST_TICK     1000

/* An owner that was silent for so long has lost the duty, in ms. */
#define NGX_HTTP_SPROX_PERSIST_SILENCE  30000

/* After a failure, in ms, or the interval; and to the next line about one. */
#define NGX_HTTP_SPROX_PERSIST_PAUSE    60000

/* How long the master waits for another nginx that writes, in ms. */
#define NGX_HTTP_SPROX_PERSIST_WAIT     10000
#define NGX_HTTP_SPROX_PERSIST_POLL     10

#define NGX_HTTP_SPROX_PERSIST_ROUNDS   5

/* Where one is wanted soon: the pause, in times of what writing took. */
#define NGX_HTTP_SPROX_PERSIST_SOON     10

#define NGX_HTTP_SPROX_BOOT_FILE        "/proc/sys/kernel/random/boot_id"


typedef ngx_int_t (*ngx_http_sprox_persist_step_pt)(
    ngx_http_sprox_persist_file_t *f);

typedef struct {
    ngx_thread_task_t                task;
    ngx_event_t                      timer;
    ngx_http_sprox_main_conf_t      *mcf;
    ngx_http_sprox_persist_sh_t     *sh;
    ngx_http_sprox_persist_file_t    file;
    ngx_http_sprox_persist_step_pt   step;
    ngx_int_t                        rc;        /* of the step */
    ngx_msec_t                       failed_at; /* 0: it did not */
    ngx_msec_t                       said_at;
    unsigned                         busy:1;    /* a thread is at it */
} ngx_http_sprox_persist_t;


static ngx_int_t ngx_http_sprox_persist_open(ngx_cycle_t *cycle,
    ngx_http_sprox_main_conf_t *mcf);
static void ngx_http_sprox_persist_boot(u_char *boot);
static void ngx_http_sprox_persist_adopt(ngx_http_sprox_persist_t *p);
static ngx_uint_t ngx_http_sprox_persist_claim(ngx_http_sprox_persist_t *p);
static void ngx_http_sprox_persist_release(ngx_http_sprox_persist_t *p);
static void ngx_http_sprox_persist_tick(ngx_event_t *ev);
static void ngx_http_sprox_persist_post(ngx_http_sprox_persist_t *p,
    ngx_http_sprox_persist_step_pt step);
static void ngx_http_sprox_persist_thread(void *data, ngx_log_t *log);
static void ngx_http_sprox_persist_done(ngx_event_t *ev);
static ngx_http_sprox_persist_step_pt ngx_http_sprox_persist_next(
    ngx_http_sprox_persist_t *p);
static ngx_http_sprox_persist_step_pt ngx_http_sprox_persist_doubted(
    ngx_http_sprox_persist_t *p);
static ngx_http_sprox_persist_step_pt ngx_http_sprox_persist_looked(
    ngx_http_sprox_persist_t *p);
static void ngx_http_sprox_persist_begin(ngx_http_sprox_persist_sh_t *sh);
static void ngx_http_sprox_persist_loaded(ngx_http_sprox_persist_t *p);
static void ngx_http_sprox_persist_saved(ngx_http_sprox_persist_t *p,
    ngx_uint_t level);
static void ngx_http_sprox_persist_fail(ngx_http_sprox_persist_t *p,
    const char *what);
static ngx_int_t ngx_http_sprox_persist_last(ngx_http_sprox_persist_t *p);


/* Of this process. */
static ngx_http_sprox_persist_t  ngx_http_sprox_persist;


/* Finds the names, and what the zone keeps; for a worker or the master. */

static ngx_int_t
ngx_http_sprox_persist_open(ngx_cycle_t *cycle,
    ngx_http_sprox_main_conf_t *mcf)
{
    u_char                         *p;
    size_t                          len;
    ngx_http_sprox_persist_t       *persist;
    ngx_http_sprox_persist_file_t  *f;

    persist = &ngx_http_sprox_persist;

    ngx_memzero(persist, sizeof(ngx_http_sprox_persist_t));

    if (mcf->catalog_zone == NULL || mcf->catalog_file.len == 0) {
        return NGX_DECLINED;
    }

    persist->mcf = mcf;
    persist->sh = ngx_http_sprox_zone_persist();

    f = &persist->file;
    ngx_http_sprox_persist_file_init(f, persist->sh);
    ngx_http_sprox_persist_boot(f->boot);
    f->mcf = mcf;

    len = mcf->catalog_file.len;

    p = ngx_pnalloc(cycle->pool, 4 * (len + sizeof(".tmp")));
    if (p == NULL) {
        ngx_memzero(persist, sizeof(ngx_http_sprox_persist_t));
        return NGX_ERROR;
    }

    f->path = p;
    p = ngx_sprintf(p, "%V%Z", &mcf->catalog_file);
    f->temp = p;
    p = ngx_sprintf(p, "%V.tmp%Z", &mcf->catalog_file);
    f->bad = p;
    p = ngx_sprintf(p, "%V.bad%Z", &mcf->catalog_file);
    f->folder = p;
    (void) ngx_sprintf(p, "%V%Z", &mcf->catalog_file);

    ngx_http_sprox_persist_folder(f->folder);

    return NGX_OK;
}


/* Which start of the system this is; zeros where it does not say. */

static void
ngx_http_sprox_persist_boot(u_char *boot)
{
    u_char      text[64];
    ssize_t     n;
    ngx_fd_t    fd;
    ngx_int_t   digit;
    ngx_uint_t  i, k;

    ngx_memzero(boot, SPROX_SNAPSHOT_ID);

    fd = open(NGX_HTTP_SPROX_BOOT_FILE, O_RDONLY|O_CLOEXEC);

    if (fd == NGX_INVALID_FILE) {
        return;
    }

    n = read(fd, text, sizeof(text));
    (void) ngx_close_file(fd);

    for (i = 0, k = 0; (ssize_t) i < n && k < 2 * SPROX_SNAPSHOT_ID; i++) {
        digit = ngx_hextoi(&text[i], 1);

        if (digit != NGX_ERROR) {
            boot[k / 2] = (u_char) (boot[k / 2] << 4 | digit);
            k++;
        }
    }
}


void
ngx_http_sprox_persist_start(ngx_cycle_t *cycle,
    ngx_http_sprox_main_conf_t *mcf)
{
    ngx_http_sprox_persist_t  *p;

    /* cache manager and loader start here as well */

    if ((ngx_process != NGX_PROCESS_WORKER
         && ngx_process != NGX_PROCESS_SINGLE)
        || ngx_http_sprox_persist_open(cycle, mcf) != NGX_OK)
    {
        return;
    }

    p = &ngx_http_sprox_persist;

    p->task.handler = ngx_http_sprox_persist_thread;
    p->task.ctx = p;
    p->task.event.handler = ngx_http_sprox_persist_done;
    p->task.event.data = p;
    p->task.event.log = cycle->log;

    p->timer.handler = ngx_http_sprox_persist_tick;
    p->timer.data = p;
    p->timer.log = cycle->log;
    p->timer.cancelable = 1;

    ngx_add_timer(&p->timer, 1);
}


/*
 * What the zone says is about the file at another path, after a reload:
 * nothing was read yet.
 */

static void
ngx_http_sprox_persist_adopt(ngx_http_sprox_persist_t *p)
{
    u_char                        md5[SPROX_MD5_LEN];
    ngx_http_sprox_persist_sh_t  *sh;

    sh = p->sh;

    ngx_memzero(md5, SPROX_MD5_LEN);
    (void) sprox_md5(ngx_http_sprox_to_core(p->mcf->catalog_file), md5);

    if (ngx_memcmp(sh->path, md5, SPROX_MD5_LEN) != 0) {
        ngx_memcpy(sh->path, md5, SPROX_MD5_LEN);
        ngx_memzero(sh->id, SPROX_SNAPSHOT_ID);
        sh->epoch = 0;
        sh->ready = 0;
        sh->marked = 0;
        sh->owed = 0;
    }
}


static ngx_uint_t
ngx_http_sprox_persist_claim(ngx_http_sprox_persist_t *p)
{
    ngx_atomic_uint_t             owner;
    ngx_http_sprox_persist_sh_t  *sh;

    sh = p->sh;
    owner = sh->owner;

    if (owner != (ngx_atomic_uint_t) ngx_pid) {

        if (owner
            && (kill((ngx_pid_t) owner, 0) != -1 || ngx_errno != ESRCH)
            && (ngx_msec_int_t) (ngx_current_msec - sh->beat)
               < NGX_HTTP_SPROX_PERSIST_SILENCE)
        {
            return 0;
        }

        sh->beat = ngx_current_msec;

        if (!ngx_atomic_cmp_set(&sh->owner, owner, ngx_pid)) {
            return 0;
        }

        sh->loading = 0;
        ngx_http_sprox_persist_adopt(p);
    }

    sh->beat = ngx_current_msec;

    return 1;
}


static void
ngx_http_sprox_persist_release(ngx_http_sprox_persist_t *p)
{
    ngx_http_sprox_persist_close(&p->file);

    (void) ngx_atomic_cmp_set(&p->sh->owner, ngx_pid, 0);
}


static void
ngx_http_sprox_persist_tick(ngx_event_t *ev)
{
    ngx_http_sprox_persist_t  *p = ev->data;

    if (ngx_exiting) {
        if (!p->busy) {
            ngx_http_sprox_persist_release(p);
        }

        return;
    }

    ngx_add_timer(ev, ngx_min(NGX_HTTP_SPROX_PERSIST_TICK,
                              p->mcf->catalog_interval));

    if (!ngx_http_sprox_persist_claim(p) || p->busy) {
        return;
    }

    if (p->failed_at
        && ngx_current_msec - p->failed_at
           < ngx_min(NGX_HTTP_SPROX_PERSIST_PAUSE,
                     p->mcf->catalog_interval))
    {
        return;
    }

    ngx_http_sprox_persist_post(p, p->sh->owed ? ngx_http_sprox_persist_doubt
                                               : ngx_http_sprox_persist_look);
}


static void
ngx_http_sprox_persist_post(ngx_http_sprox_persist_t *p,
    ngx_http_sprox_persist_step_pt step)
{
    p->step = step;

    if (ngx_thread_task_post(p->mcf->thread_pool, &p->task) != NGX_OK) {

        /* the pool has said why */

        ngx_http_sprox_persist_close(&p->file);
        return;
    }

    p->busy = 1;
}


static void
ngx_http_sprox_persist_thread(void *data, ngx_log_t *log)
{
    ngx_http_sprox_persist_t *p = data;

    p->rc = p->step(&p->file);
}


static void
ngx_http_sprox_persist_done(ngx_event_t *ev)
{
    ngx_http_sprox_persist_t *p = ev->data;

    ngx_http_sprox_persist_step_pt  step;

    p->busy = 0;

    step = ngx_http_sprox_persist_next(p);

    if (ngx_exiting) {
        ngx_http_sprox_persist_release(p);
        return;
    }

    /* or somebody took this one for dead */

    if (step && ngx_http_sprox_persist_claim(p)) {
        ngx_http_sprox_persist_post(p, step);
        return;
    }

    ngx_http_sprox_persist_close(&p->file);
}


/* What comes after p->step ended with p->rc; NULL: the next look. */

static ngx_http_sprox_persist_step_pt
ngx_http_sprox_persist_next(ngx_http_sprox_persist_t *p)
{
    if (p->rc == NGX_AGAIN) {
        return p->step;
    }

    if (p->step == ngx_http_sprox_persist_doubt) {
        return ngx_http_sprox_persist_doubted(p);
    }

    if (p->step == ngx_http_sprox_persist_look) {
        return ngx_http_sprox_persist_looked(p);
    }

    if (p->step == ngx_http_sprox_persist_load) {
        ngx_http_sprox_persist_loaded(p);
        return NULL;
    }

    if (p->rc == NGX_ERROR) {
        ngx_http_sprox_persist_fail(p, "written");
        return NULL;
    }

    if (p->rc != NGX_OK) {
        return NULL;
    }

    if (p->step == ngx_http_sprox_persist_create) {
        return ngx_http_sprox_persist_save;
    }

    ngx_http_sprox_persist_saved(p, NGX_LOG_INFO);

    return NULL;
}


/* The mark that could not be written when somebody told. */

static ngx_http_sprox_persist_step_pt
ngx_http_sprox_persist_doubted(ngx_http_sprox_persist_t *p)
{
    if (p->rc != NGX_OK) {
        ngx_http_sprox_persist_fail(p, "marked");
        return NULL;
    }

    p->sh->marked = 1;
    p->sh->owed = 0;

    ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                  "sprox: the catalog's file \"%s\" is marked by now",
                  p->file.path);

    return ngx_http_sprox_persist_look;
}


static ngx_http_sprox_persist_step_pt
ngx_http_sprox_persist_looked(ngx_http_sprox_persist_t *p)
{
    ngx_msec_t                      wait;
    ngx_http_sprox_persist_sh_t    *sh;
    ngx_http_sprox_persist_file_t  *f;

    sh = p->sh;
    f = &p->file;

    switch (p->rc) {

    case NGX_ERROR:
        ngx_http_sprox_persist_fail(p, "read");
        return NULL;

    case NGX_OK:
        sh->loading = 1;
        sh->loaded = 0;
        f->state = SPROX_SNAPSHOT_OPEN;

        ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                      "sprox: reading the catalog from \"%s\"", f->path);

        return ngx_http_sprox_persist_load;

    case NGX_DONE:

        if (!sh->ready) {
            ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                          "sprox: there is no \"%s\" yet: the catalog begins "
                          "empty", f->path);
        }

        /* also where it was lost after it was read */

        sh->epoch = f->epoch;
        break;
    }

    ngx_http_sprox_persist_begin(sh);

    /* nothing changed, and it is there */

    if (p->rc == NGX_DECLINED && f->changes == sh->changes) {
        return NULL;
    }

    wait = p->mcf->catalog_interval;

    if (sh->soon) {
        wait = ngx_min(wait, NGX_HTTP_SPROX_PERSIST_SOON * sh->saved_in);
    }

    return ngx_current_msec - sh->begun_at < wait
           ? NULL : ngx_http_sprox_persist_create;
}


/* Nothing is left to be read: the first interval begins. */

static void
ngx_http_sprox_persist_begin(ngx_http_sprox_persist_sh_t *sh)
{
    if (!sh->ready) {
        sh->begun_at = ngx_current_msec;
        sh->ready = 1;
    }
}


static void
ngx_http_sprox_persist_loaded(ngx_http_sprox_persist_t *p)
{
    ngx_http_sprox_persist_sh_t    *sh;
    ngx_http_sprox_persist_file_t  *f;

    sh = p->sh;
    f = &p->file;

    sh->loading = 0;

    if (p->rc == NGX_ERROR) {
        ngx_http_sprox_persist_fail(p, "read");
        return;
    }

    sh->epoch = f->epoch;
    ngx_http_sprox_persist_begin(sh);

    if (p->rc == NGX_DECLINED) {
        sh->failures++;

        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, f->rename_err,
                      "sprox: the catalog's file \"%s\" is not used: %s, at "
                      "byte %uL; it %s \"%s\"", f->path, f->why, f->at,
                      f->rename_err ? "could not be renamed to"
                                    : "was renamed to", f->bad);
        return;
    }

    ngx_memcpy(sh->id, f->id, SPROX_SNAPSHOT_ID);

    sh->saved = f->objects;
    sh->saved_at = ngx_current_msec - (ngx_msec_t) f->age;

    ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                  "sprox: %uL objects read from \"%s\" in %M ms%s", f->objects,
                  f->path, f->took,
                  f->doubted ? "; nginx did not end well: each is asked for "
                               "before it is believed" : "");
}


static void
ngx_http_sprox_persist_saved(ngx_http_sprox_persist_t *p, ngx_uint_t level)
{
    ngx_http_sprox_persist_sh_t    *sh;
    ngx_http_sprox_persist_file_t  *f;

    sh = p->sh;
    f = &p->file;

    ngx_memcpy(sh->id, f->id, SPROX_SNAPSHOT_ID);

    sh->changes = f->changes;
    sh->begun_at = ngx_current_msec - f->took;
    sh->saved_at = ngx_current_msec;
    sh->saved = f->objects;
    sh->saved_in = f->took;

    p->failed_at = 0;

    ngx_log_error(level, ngx_cycle->log, 0,
                  "sprox: %uL objects written to \"%s\" in %M ms", f->objects,
                  f->path, f->took);
}


static void
ngx_http_sprox_persist_fail(ngx_http_sprox_persist_t *p, const char *what)
{
    ngx_http_sprox_persist_file_t  *f;

    f = &p->file;

    p->sh->failures++;
    p->failed_at = ngx_current_msec;

    /* what cannot be read is not waited for, and never written over */

    ngx_http_sprox_persist_begin(p->sh);

    if (p->said_at
        && ngx_current_msec - p->said_at < NGX_HTTP_SPROX_PERSIST_PAUSE)
    {
        return;
    }

    p->said_at = ngx_current_msec;

    ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, f->err,
                  "sprox: the catalog's file \"%s\" could not be %s: %s "
                  "failed; said once a minute", f->path, what, f->failed);
}


void
ngx_http_sprox_persist_exit(ngx_cycle_t *cycle,
    ngx_http_sprox_main_conf_t *mcf)
{
    ngx_uint_t                 i;
    ngx_core_conf_t           *ccf;
    ngx_http_sprox_persist_t  *p;

    p = &ngx_http_sprox_persist;

    /* without a master, this was the worker; its threads have ended */

    if (p->sh) {
        ngx_http_sprox_persist_close(&p->file);
    }

    if (ngx_http_sprox_zone_start(cycle, mcf) != NGX_OK
        || ngx_http_sprox_persist_open(cycle, mcf) != NGX_OK)
    {
        return;
    }

    ngx_http_sprox_persist_adopt(p);

    ccf = (ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_core_module);

    if (geteuid() == 0) {
        p->file.user = ccf->user;
        p->file.group = ccf->group;
    }

    p->file.state = SPROX_SNAPSHOT_SHUT;

    /* again where another nginx has put its own there meanwhile */

    for (i = 0; i < NGX_HTTP_SPROX_PERSIST_ROUNDS; i++) {
        if (ngx_http_sprox_persist_last(p) != NGX_AGAIN) {
            break;
        }
    }

    ngx_http_sprox_persist_close(&p->file);
}


/* All that a worker does in steps. */

static ngx_int_t
ngx_http_sprox_persist_last(ngx_http_sprox_persist_t *p)
{
    ngx_msec_t                      waited;
    ngx_http_sprox_persist_file_t  *f;

    f = &p->file;

    p->rc = ngx_http_sprox_persist_look(f);

    if (p->rc == NGX_DONE) {
        p->sh->epoch = f->epoch;
    }

    if (p->rc == NGX_OK) {
        do {
            p->rc = ngx_http_sprox_persist_load(f);
        } while (p->rc == NGX_AGAIN);

        ngx_http_sprox_persist_loaded(p);

    } else if (p->rc == NGX_ERROR) {
        ngx_http_sprox_persist_fail(p, "read");
    }

    if (p->rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    waited = 0;

    while ((p->rc = ngx_http_sprox_persist_create(f)) == NGX_BUSY
           && waited < NGX_HTTP_SPROX_PERSIST_WAIT)
    {
        ngx_msleep(NGX_HTTP_SPROX_PERSIST_POLL);
        waited += NGX_HTTP_SPROX_PERSIST_POLL;
    }

    if (p->rc == NGX_OK) {
        do {
            p->rc = ngx_http_sprox_persist_save(f);
        } while (p->rc == NGX_AGAIN);
    }

    switch (p->rc) {

    case NGX_OK:
        ngx_http_sprox_persist_saved(p, NGX_LOG_NOTICE);
        return NGX_OK;

    case NGX_ERROR:
        ngx_http_sprox_persist_fail(p, "written");
        return NGX_ERROR;

    default:
        return NGX_AGAIN;
    }
}


void
ngx_http_sprox_persist_tell(void)
{
    ngx_http_sprox_persist_sh_t  *sh;

    sh = ngx_http_sprox_persist.sh;

    if (sh == NULL) {
        return;
    }

    /* the cached time may be older than a proof of another worker's */

    sh->told = ngx_http_sprox_now_exact();
}


void
ngx_http_sprox_persist_mark(void)
{
    ngx_http_sprox_persist_file_t  f;
    ngx_http_sprox_persist_sh_t   *sh;

    sh = ngx_http_sprox_persist.sh;

    if (sh == NULL || sh->marked || sh->owed) {
        return;
    }

    ngx_http_sprox_persist_file_init(&f, sh);
    f.path = ngx_http_sprox_persist.file.path;
    f.temp = ngx_http_sprox_persist.file.temp;

    /* only then: who sees it set does not wait for the files */

    if (ngx_http_sprox_persist_doubt(&f) == NGX_OK) {
        sh->marked = 1;

    } else {
        sh->owed = 1;
        sh->failures++;

        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, f.err,
                      "sprox: the catalog's file \"%s\" could not be marked: "
                      "%s failed; after a crash it would be believed, until "
                      "a thread has marked it", f.path, f.failed);
    }
}


void
ngx_http_sprox_persist_soon(void)
{
    if (ngx_http_sprox_persist.sh) {
        ngx_http_sprox_persist.sh->soon = 1;
    }
}


ngx_uint_t
ngx_http_sprox_persist_ready(void)
{
    return ngx_http_sprox_persist.sh == NULL
           || ngx_http_sprox_persist.sh->ready;
}


ngx_http_sprox_persist_sh_t *
ngx_http_sprox_persist_state(void)
{
    return ngx_http_sprox_persist.sh;
}
