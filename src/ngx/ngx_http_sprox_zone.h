/*
 * The catalog's shared-memory zone: the core's catalog under nginx's lock.
 * Every function takes the lock (the zone's slab mutex, which nginx frees
 * when its holder is killed) for one short critical section.
 */

#ifndef _NGX_HTTP_SPROX_ZONE_H_INCLUDED_
#define _NGX_HTTP_SPROX_ZONE_H_INCLUDED_


#include "ngx_http_sprox.h"
#include "ngx_http_sprox_persist.h"
#include "ngx_http_sprox_told.h"
#include "sprox_apply.h"


/* Smallest zone: the slab's own pages and the core's minimum. */
#define NGX_HTTP_SPROX_ZONE_MIN   (512 * 1024)

/* Records that are looked at in one holding of the lock, at most. */
#define NGX_HTTP_SPROX_ZONE_STEP  256

/* Bans that are looked at in one go. */
#define NGX_HTTP_SPROX_ZONE_BANS  64


/* Configuration: makes the zone; NULL: an [emerg] line was written. */
ngx_shm_zone_t *ngx_http_sprox_zone_add(ngx_conf_t *cf, ngx_str_t *name,
    size_t size);

/* A worker begins: the functions below are about this cycle's zone. */
ngx_int_t ngx_http_sprox_zone_start(ngx_cycle_t *cycle,
    ngx_http_sprox_main_conf_t *mcf);

/*
 * Looks up an origin's object.  Strings are copied into buf, of at least
 * SPROX_OBJECT_BUF bytes.  SPROX_OK or SPROX_NOT_FOUND.
 */
sprox_rc_t ngx_http_sprox_zone_get(ngx_http_sprox_origin_t *origin,
    sprox_str_t bucket, sprox_str_t key, sprox_object_t *object,
    uint8_t *buf);

/* Puts what was learned; see sprox_catalog_put_locked(). */
sprox_rc_t ngx_http_sprox_zone_put(ngx_http_sprox_origin_t *origin,
    sprox_str_t bucket, sprox_str_t key, const sprox_object_t *object);

sprox_rc_t ngx_http_sprox_zone_remove(ngx_http_sprox_origin_t *origin,
    sprox_str_t bucket, sprox_str_t key);

/* See sprox_catalog_purge_locked(). */
sprox_rc_t ngx_http_sprox_zone_purge(ngx_http_sprox_origin_t *origin,
    sprox_str_t bucket, sprox_str_t key, int64_t when);

/* See sprox_event_apply_locked() and sprox_event_settle_locked(). */
sprox_rc_t ngx_http_sprox_zone_event(ngx_http_sprox_origin_t *origin,
    sprox_str_t bucket, const sprox_event_t *e, int64_t when);
sprox_rc_t ngx_http_sprox_zone_settle(ngx_http_sprox_origin_t *origin,
    sprox_str_t bucket, const sprox_event_t *e, int64_t when);

/* See sprox_catalog_doubt_locked(). */
sprox_rc_t ngx_http_sprox_zone_doubt(ngx_http_sprox_origin_t *origin,
    sprox_str_t bucket, sprox_str_t key, int64_t when);

/*
 * One step of a listing; see sprox_catalog_list_locked().  Looks at
 * NGX_HTTP_SPROX_ZONE_STEP records at most.  Without a zone, or an object of
 * that bucket, SPROX_NOT_FOUND.
 */
sprox_rc_t ngx_http_sprox_zone_list(ngx_http_sprox_origin_t *origin,
    sprox_str_t bucket, sprox_catalog_cursor_t *cursor, size_t n,
    sprox_catalog_visit_pt visit, void *data);

/*
 * Regions; see sprox_catalog_region_open_locked() and what follows it.  They
 * are named by an origin's bucket and a prefix in it.  Without a zone,
 * SPROX_FULL for open(), SPROX_NOT_FOUND for the others.
 */
sprox_rc_t ngx_http_sprox_zone_region_open(ngx_http_sprox_origin_t *origin,
    sprox_str_t bucket, sprox_str_t prefix, uint32_t *id);
sprox_rc_t ngx_http_sprox_zone_region_get(ngx_http_sprox_origin_t *origin,
    sprox_str_t bucket, sprox_str_t prefix, sprox_region_t *region);
sprox_rc_t ngx_http_sprox_zone_region_complete(
    ngx_http_sprox_origin_t *origin, sprox_str_t bucket, sprox_str_t prefix,
    uint32_t id, int64_t crawled);
sprox_rc_t ngx_http_sprox_zone_region_incomplete(
    ngx_http_sprox_origin_t *origin, sprox_str_t bucket, sprox_str_t prefix);
sprox_rc_t ngx_http_sprox_zone_region_drop(ngx_http_sprox_origin_t *origin,
    sprox_str_t bucket, sprox_str_t prefix);
sprox_rc_t ngx_http_sprox_zone_covered(ngx_http_sprox_origin_t *origin,
    sprox_str_t bucket, sprox_str_t prefix, int64_t *crawled);

/* See sprox_catalog_region_owner_locked() and sprox_catalog_owner_locked(). */
sprox_rc_t ngx_http_sprox_zone_region_owner(ngx_http_sprox_origin_t *origin,
    sprox_str_t bucket, sprox_str_t prefix, uint32_t id, int64_t crawled,
    const sprox_owner_t *owner);
sprox_rc_t ngx_http_sprox_zone_owner(ngx_http_sprox_origin_t *origin,
    sprox_str_t bucket, sprox_str_t prefix, sprox_owner_t *owner,
    uint8_t *buf);

/* A step of NGX_HTTP_SPROX_ZONE_STEP records at most. */
sprox_rc_t ngx_http_sprox_zone_sweep(ngx_http_sprox_origin_t *origin,
    sprox_str_t bucket, sprox_catalog_cursor_t *cursor, sprox_str_t upto,
    int64_t before, size_t n, uint64_t *removed);

/*
 * Some steps, now and then, of what a reload leaves to be done: regions that
 * no alias of this worker's configuration, which is of that generation, lists
 * are dropped once, and what they held is let go.
 */
void ngx_http_sprox_zone_tidy(ngx_uint_t generation);

/*
 * Bans, of what is known and of slices, whose blocks say when they were
 * proved; see sprox_catalog_ban_locked().  Without a zone ban() is
 * SPROX_FULL.  bans_seq() takes no lock, banned() only when there are bans.
 */
sprox_rc_t ngx_http_sprox_zone_ban(ngx_http_sprox_origin_t *origin,
    sprox_str_t bucket, sprox_str_t prefix, int64_t time, uint64_t *id);
sprox_rc_t ngx_http_sprox_zone_unban(uint64_t id);
ngx_uint_t ngx_http_sprox_zone_banned(ngx_http_sprox_origin_t *origin,
    sprox_str_t bucket, sprox_str_t key, int64_t proved);
uint64_t ngx_http_sprox_zone_bans_seq(void);

/* The ban of exactly that prefix.  SPROX_OK or SPROX_NOT_FOUND. */
sprox_rc_t ngx_http_sprox_zone_ban_of(ngx_http_sprox_origin_t *origin,
    sprox_str_t bucket, sprox_str_t prefix, int64_t *time);

/* Whether something below the prefix, as it was then, is banned. */
ngx_uint_t ngx_http_sprox_zone_banned_below(ngx_http_sprox_origin_t *origin,
    sprox_str_t bucket, sprox_str_t prefix, int64_t proved);

/*
 * Calls back, without the lock, for bans of origins of this configuration;
 * of more than NGX_HTTP_SPROX_ZONE_BANS, for some.  The strings hold during
 * the call.
 */
typedef void (*ngx_http_sprox_zone_ban_pt)(ngx_http_sprox_origin_t *origin,
    sprox_str_t bucket, sprox_str_t prefix, uint64_t id, int64_t time);

void ngx_http_sprox_zone_bans(ngx_http_sprox_main_conf_t *mcf,
    ngx_http_sprox_zone_ban_pt visit);

/*
 * The catalog itself, locked, for what works on all of it; only where there
 * is one.  Also for threads: the lock is a word in shared memory.
 */
sprox_catalog_t *ngx_http_sprox_zone_lock(void);
void ngx_http_sprox_zone_unlock(void);

/*
 * Unlocks, and lets others go first if they wait: for a thread that is about
 * to lock it again.  The lock is not a fair one.
 */
void ngx_http_sprox_zone_share(void);

/* Whether a space of that name is a bucket of the origin, which it is then. */
ngx_uint_t ngx_http_sprox_zone_bucket(ngx_http_sprox_origin_t *origin,
    sprox_str_t name, sprox_str_t *bucket);

/* What lies beside the catalog; only where there is one. */
ngx_http_sprox_persist_sh_t *ngx_http_sprox_zone_persist(void);

/* See _told.h; NULL: there is no catalog. */
ngx_http_sprox_told_sh_t *ngx_http_sprox_zone_told(void);

void ngx_http_sprox_zone_stats(sprox_catalog_stats_t *stats);

/* What the space of an origin's bucket is called; SPROX_OK or SPROX_LIMIT. */
sprox_rc_t ngx_http_sprox_zone_name(ngx_http_sprox_origin_t *origin,
    sprox_str_t bucket, u_char buf[SPROX_CATALOG_NAME_MAX],
    sprox_str_t *name);


#endif /* _NGX_HTTP_SPROX_ZONE_H_INCLUDED_ */
