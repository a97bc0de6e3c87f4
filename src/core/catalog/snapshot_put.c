/*
 * Putting what a snapshot says into a catalog that is in use: at a start it
 * is nearly empty, but clients do not wait; and where two nginx share the
 * file, each knows what the other does not.  What was proved last counts.
 *
 * A region is opened before its objects come, so that they are held, and is
 * complete when they all are there.
 */

#include "sprox_snapshot_file.h"
#include "sprox_zone.h"


/* A region that was opened; its prefix follows. */

typedef struct {
    uint32_t  file_id;
    uint32_t  id;
    int64_t   crawled;
    size_t    len;
} opened_t;


/* A ban of a clock that was ahead must not meet what is proved from now on. */

static void
import_ban(sprox_snapshot_reader_t *r, sprox_catalog_t *cat, int64_t now)
{
    uint64_t     id;
    sprox_ban_t  ban;

    (void) sprox_snapshot_next_ban(r, &ban);

    if (ban.time > now) {
        ban.time = now;
    }

    /* one that is there already may be somebody's, who ends it by its id */

    if (ban.time > INT64_MIN
        && !sprox_catalog_banned_locked(cat, ban.name, ban.prefix,
                                        ban.time - 1))
    {
        (void) sprox_catalog_ban_locked(cat, &ban, &id);
    }
}


/* One that cannot be remembered will not be complete. */

static void
import_region(sprox_snapshot_reader_t *r, sprox_catalog_t *cat,
    uint32_t space, const sprox_snapshot_import_t *how)
{
    opened_t        opened;
    sprox_str_t     prefix;
    sprox_region_t  region;

    (void) sprox_snapshot_next_region(r, &prefix, &region);

    if ((how->wanted
         && !how->wanted(how->data, sprox_str_make(r->name, r->name_len),
                         prefix))
        || sprox_catalog_region_open_locked(cat, space, prefix, &opened.id)
           != SPROX_OK
        || sprox_buf_reserve(&r->regions, sizeof(opened_t) + prefix.len)
           != SPROX_OK)
    {
        return;
    }

    opened.file_id = region.id;
    opened.crawled = region.crawled;
    opened.len = prefix.len;

    sprox_buf_add(&r->regions, &opened, sizeof(opened_t));
    sprox_buf_str(&r->regions, prefix);
}


/* The id of a region that was opened, if it was the same one; or 0. */

static uint32_t
opened_id(sprox_snapshot_reader_t *r, sprox_str_t prefix,
    const sprox_region_t *region)
{
    size_t       at;
    opened_t     opened;
    sprox_str_t  s;

    for (at = 0; at < r->regions.len; at += sizeof(opened_t) + opened.len) {
        memcpy(&opened, r->regions.data + at, sizeof(opened_t));

        s = sprox_str_make(r->regions.data + at + sizeof(opened_t),
                           opened.len);

        if (sprox_str_eq(s, prefix)) {
            return opened.file_id == region->id
                   && opened.crawled == region->crawled ? opened.id : 0;
        }
    }

    return 0;
}


/*
 * All that was below the region is put.  What is older than its crawl and
 * was put by others has vanished.  SPROX_AGAIN: call again.
 */

static sprox_rc_t
import_whole(sprox_snapshot_reader_t *r, sprox_catalog_t *cat,
    uint32_t space, size_t n, const sprox_snapshot_import_t *how)
{
    size_t          at;
    uint32_t        id;
    uint64_t        removed;
    sprox_str_t     prefix;
    sprox_region_t  region, known;

    at = r->at;
    (void) sprox_snapshot_next_region(r, &prefix, &region);

    id = opened_id(r, prefix, &region);

    if (id == 0 || how->doubted || region.crawled > how->now
        || sprox_catalog_region_get_locked(cat, space, prefix, &known)
           != SPROX_OK
        || (known.complete && known.crawled >= region.crawled))
    {
        r->sweeping = 0;
        return SPROX_OK;
    }

    if (!r->sweeping) {
        sprox_catalog_cursor_init(&r->cursor, prefix, sprox_str_null,
                                  sprox_str_null);
        r->sweeping = 1;
    }

    removed = 0;

    if (sprox_catalog_sweep_locked(cat, space, &r->cursor, sprox_str_null,
                                   region.crawled, n, &removed)
        == SPROX_AGAIN)
    {
        r->at = at;
        return SPROX_AGAIN;
    }

    r->sweeping = 0;

    if (region.owned) {
        (void) sprox_catalog_region_owner_locked(cat, space, prefix, id,
                                                 region.crawled,
                                                 &region.owner);
    }

    (void) sprox_catalog_region_complete_locked(cat, space, prefix, id,
                                                region.crawled);
    return SPROX_OK;
}


/*
 * One that was not known, and must be proved again since `when`.  Without a
 * proof it is doubted from the first moment on, and would be banned by any
 * ban: by its own proof it may not be.
 */

static sprox_rc_t
put_doubted(sprox_catalog_t *cat, uint32_t number, sprox_str_t key,
    sprox_object_t *o, int64_t when)
{
    int64_t     proved;
    sprox_rc_t  rc;

    proved = o->proved;

    o->doubted = 1;
    o->proved = 0;

    rc = sprox_catalog_put_locked(cat, number, key, o);

    if (rc == SPROX_DONE) {
        o->proved = proved < when ? proved : when - 1;
        rc = sprox_catalog_put_locked(cat, number, key, o);
    }

    return rc == SPROX_OK ? sprox_catalog_doubt_locked(cat, number, key, when)
                          : rc;
}


/*
 * What is known here, somebody has looked at since: a doubt of before is none
 * of it.  But one that the file says, is of the object itself.
 */

static sprox_rc_t
put_one(sprox_catalog_t *cat, uint32_t number, sprox_str_t key,
    sprox_object_t *o, const sprox_snapshot_import_t *how)
{
    uint32_t           known;
    sprox_map_path_t   path;

    if (!o->doubted && o->proved >= how->since && o->proved <= how->now) {
        return sprox_catalog_put_locked(cat, number, key, o);
    }

    known = sprox_map_find(cat, sprox_zone_space(cat, number)->root, key,
                           &path);

    if (o->doubted) {

        if (known == 0) {
            return put_doubted(cat, number, key, o,
                               o->proved > how->since ? o->proved
                                                      : how->since);
        }

        return sprox_record(cat, known)->proved < o->proved
               ? sprox_catalog_doubt_locked(cat, number, key, o->proved)
               : SPROX_DONE;
    }

    if (known == 0) {
        return put_doubted(cat, number, key, o,
                           how->since > 0 ? how->since : 1);
    }

    if (o->proved > how->now) {
        o->proved = 0;
    }

    return sprox_catalog_put_locked(cat, number, key, o);
}


static void
import_object(sprox_snapshot_reader_t *r, sprox_catalog_t *cat,
    uint32_t space, const sprox_snapshot_import_t *how)
{
    int64_t         crawled;
    sprox_str_t     key;
    sprox_object_t  o;

    (void) sprox_snapshot_next_object(r, &o);

    key = sprox_str_make(r->key, r->key_len);

    if (o.size > SPROX_OBJECT_SIZE_MAX
        || (cat->complete
            && sprox_catalog_covered_locked(cat, space, key, &crawled)
               == SPROX_OK
            && o.proved < crawled))
    {
        return;
    }

    if (put_one(cat, space, key, &o, how) == SPROX_OK) {
        r->imported++;
    }
}


sprox_rc_t
sprox_snapshot_import_locked(sprox_snapshot_reader_t *r, sprox_catalog_t *cat,
    size_t n, const sprox_snapshot_import_t *how)
{
    uint32_t  space;

    if (!r->ready || r->type == SPROX_SNAPSHOT_NONE
        || r->type == SPROX_SNAPSHOT_LAST)
    {
        return SPROX_OK;
    }

    if (r->type == SPROX_SNAPSHOT_SPACE) {
        r->regions.len = 0;
        return SPROX_OK;
    }

    space = 0;

    if (r->type != SPROX_SNAPSHOT_BANS
        && sprox_catalog_space_locked(cat,
                                      sprox_str_make(r->name, r->name_len), 1,
                                      &space)
           != SPROX_OK)
    {
        return SPROX_OK;
    }

    /* the keys of a block begin anew; read() saw that all is sound */

    if (r->type == SPROX_SNAPSHOT_OBJECTS && r->at == SPROX_SNAPSHOT_PREFACE) {
        r->key_len = 0;
    }

    for ( /* void */ ; r->at < r->have; n--) {

        if (n == 0) {
            return SPROX_AGAIN;
        }

        switch (r->type) {

        case SPROX_SNAPSHOT_BANS:
            import_ban(r, cat, how->now);
            break;

        case SPROX_SNAPSHOT_REGIONS:
            import_region(r, cat, space, how);
            break;

        case SPROX_SNAPSHOT_WHOLE:
            if (import_whole(r, cat, space, n, how) == SPROX_AGAIN) {
                return SPROX_AGAIN;
            }

            break;

        default:
            import_object(r, cat, space, how);
        }
    }

    return SPROX_OK;
}
