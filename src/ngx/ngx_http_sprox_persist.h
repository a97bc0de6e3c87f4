/*
 * The catalog outlives nginx in a file: sprox_catalog file=PATH interval=T.
 * One worker, whichever holds the duty, reads the file at the start and
 * writes it every interval, in the thread pool; the master writes it once
 * more at its end.  Requests never wait for any of it.
 *
 * What a crash leaves behind is believed as it is, unless somebody told of a
 * change (PURGE, an event) after it was written: such a file says so by
 * itself, and each object in it is asked for again before it is believed.
 */

#ifndef _NGX_HTTP_SPROX_PERSIST_H_INCLUDED_
#define _NGX_HTTP_SPROX_PERSIST_H_INCLUDED_


#include "ngx_http_sprox.h"
#include "sprox_snapshot.h"


#define NGX_HTTP_SPROX_PERSIST_INTERVAL      60000    /* ms */
#define NGX_HTTP_SPROX_PERSIST_INTERVAL_MIN  100


/*
 * In the catalog's zone, zeroed when it is made.  Only who has the duty
 * writes, but for the first four.
 */

typedef struct {
    volatile int64_t          told;       /* ms: when somebody told last */
    ngx_atomic_t              marked;     /* somebody told since the last
                                             snapshot was begun */

    ngx_atomic_t              owed;       /* that could not be written: who
                                             has the duty tries again */

    ngx_atomic_t              soon;       /* the next one is wanted soon */

    ngx_atomic_t              owner;      /* pid of who has the duty, or 0 */
    ngx_atomic_t              beat;       /* ngx_current_msec: it lived */

    /* of the file at that path */
    u_char                    path[SPROX_SNAPSHOT_ID];    /* its MD5 */
    u_char                    id[SPROX_SNAPSHOT_ID];      /* last seen */
    uint64_t                  epoch;      /* of the catalog that has it */
    uint64_t                  changes;    /* of the catalog that is in it */
    ngx_atomic_t              ready;      /* nothing is left to be read */
    ngx_atomic_t              begun_at;   /* ngx_current_msec: the last
                                             snapshot was begun */

    /* for the metrics */
    ngx_atomic_t              loading;
    ngx_atomic_t              loaded;     /* objects */
    ngx_atomic_t              saved;      /* objects */
    ngx_atomic_t              saved_at;   /* ngx_current_msec; 0: never */
    ngx_atomic_t              saved_in;   /* ms */
    ngx_atomic_t              failures;
} ngx_http_sprox_persist_sh_t;


/* Configuration, when all is read: NGX_ERROR with its [emerg] line. */
ngx_int_t ngx_http_sprox_persist_check(ngx_cycle_t *cycle,
    ngx_http_sprox_main_conf_t *mcf);

/* A worker begins; after ngx_http_sprox_zone_start(). */
void ngx_http_sprox_persist_start(ngx_cycle_t *cycle,
    ngx_http_sprox_main_conf_t *mcf);

/* The master ends, and all workers are gone. */
void ngx_http_sprox_persist_exit(ngx_cycle_t *cycle,
    ngx_http_sprox_main_conf_t *mcf);

/*
 * Around a change that somebody tells of and that no proof or lifetime
 * bounds: tell() before the catalog is changed, mark() after it and before
 * the change is acknowledged.  mark() may write a few bytes, once between
 * two snapshots; what fails, a thread of who has the duty tries again and
 * again, and nobody else meanwhile.
 */
void ngx_http_sprox_persist_tell(void);
void ngx_http_sprox_persist_mark(void);

/* There was a change that a crash should not undo: it is written soon. */
void ngx_http_sprox_persist_soon(void);

/* Whether the file, if there is one, was read: what is not known by now has
   to be asked for. */
ngx_uint_t ngx_http_sprox_persist_ready(void);

/* For the metrics; NULL: there is no file. */
ngx_http_sprox_persist_sh_t *ngx_http_sprox_persist_state(void);


#endif /* _NGX_HTTP_SPROX_PERSIST_H_INCLUDED_ */
