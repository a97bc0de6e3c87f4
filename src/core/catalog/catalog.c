/*
 * The catalog in shared memory: what is known of objects outlives requests
 * and is the same in each worker.  nginx's slab pool and its rbtree would
 * do neither the order of keys nor a bound by eviction, and hold pointers.
 *
 *   +--------+------+------------------+----------------------------------+
 *   | header | bans | spaces           | arena                            |
 *   +--------+------+------------------+----------------------------------+
 *     |   |           | table by number   ^ records and chunks, see record.c
 *     |   |           | space: root ------+ map of the space's objects
 *     |   +---------> |        regions ->   map of its regions, see region.c
 *     |
 *     +-- newest <-> ... <-> oldest, through all records of all spaces
 *
 * Spaces, regions and owners (see owner.c) are not evicted and therefore lie
 * apart: immovable blocks in the arena would keep it from ever joining into
 * one.  Bans, see ban.c, outlive everything else.
 *
 * The mark: `changing` is 1 while links are not whole.  A process that is
 * killed then leaves it so (what it stored before, it stored in order: a
 * compiler's barrier will do), and the next to come empties the catalog.
 */

#include "sprox_region.h"
#include "sprox_ban.h"


#define SIZE_MAX_USED      ((uint64_t) 0xffffffff * SPROX_UNIT)

#define SPACES_PART        16            /* of the memory */
#define SPACES_SIZE_MAX    (24 * 1024 * 1024)
#define SPACE_SIZE_TYPICAL 128           /* decides how many numbers */
#define MAYBE_PART         2             /* of spaces: for what may be none */

/* Records that a put looks at, while regions that were dropped still hold. */
#define RELEASE_STEP       16


/* Lays out an empty catalog; epoch, counters and bans stay. */

static void
format(sprox_catalog_t *cat)
{
    size_t    size, table;
    uint32_t  first, units, spaces;

    size = cat->size < SIZE_MAX_USED ? cat->size : SIZE_MAX_USED;

    units = (uint32_t) (size / SPROX_UNIT);
    first = cat->bans + cat->bans_units;

    size /= SPACES_PART;
    if (size > SPACES_SIZE_MAX) {
        size = SPACES_SIZE_MAX;
    }

    spaces = (uint32_t) (size / SPROX_UNIT);

    cat->spaces_n = 0;
    cat->spaces_root = 0;
    cat->spaces_max = (uint32_t) (size / SPACE_SIZE_TYPICAL);

    if (cat->spaces_max > SPROX_CATALOG_SPACES_MAX) {
        cat->spaces_max = SPROX_CATALOG_SPACES_MAX;
    }

    table = (cat->spaces_max + 1) * sizeof(uint32_t);

    cat->spaces_table = first;
    cat->spaces_next = first + (uint32_t) SPROX_UNITS(table);
    cat->spaces_end = first + spaces;

    cat->objects = 0;
    cat->absent = 0;
    cat->newest = 0;
    cat->oldest = 0;

    cat->held = 0;
    cat->held_units = 0;
    cat->regions = 0;
    cat->complete = 0;
    cat->regions_free = 0;
    cat->releasing = 0;
    cat->release_len = 0;

    cat->owners_root = 0;
    cat->owners_n = 0;

    sprox_arena_init(cat, &cat->arena, cat->spaces_end, units - 1);
}


sprox_catalog_t *
sprox_catalog_create(void *memory, size_t size)
{
    sprox_catalog_t  *cat = memory;

    if (size < SPROX_CATALOG_SIZE_MIN || (uintptr_t) memory % SPROX_UNIT) {
        return NULL;
    }

    /* an attach() that comes too early must find nothing */

    cat->magic = 0;
    sprox_zone_mark(cat);

    cat->format = SPROX_CATALOG_FORMAT;
    cat->size = size;
    cat->epoch = 1;
    cat->emptied = 0;
    cat->evicted = 0;
    cat->changes = 0;
    cat->openings = 0;

    size /= SPROX_BANS_PART;

    if (size < SPROX_BANS_SIZE_MIN) {
        size = SPROX_BANS_SIZE_MIN;
    }

    if (size > SPROX_BANS_SIZE_MAX) {
        size = SPROX_BANS_SIZE_MAX;
    }

    cat->bans = SPROX_UNITS(sizeof(sprox_catalog_t));
    cat->bans_units = (uint32_t) (size / SPROX_UNIT) & ~1u;
    sprox_ban_init(cat);

    format(cat);
    sprox_zone_unmark(cat);

    cat->magic = SPROX_CATALOG_MAGIC;

    return cat;
}


sprox_catalog_t *
sprox_catalog_attach(void *memory, size_t size)
{
    sprox_catalog_t  *cat = memory;

    if (size < SPROX_CATALOG_SIZE_MIN || (uintptr_t) memory % SPROX_UNIT
        || cat->magic != SPROX_CATALOG_MAGIC
        || cat->format != SPROX_CATALOG_FORMAT || cat->size != size)
    {
        return NULL;
    }

    return cat;
}


void
sprox_zone_empty(sprox_catalog_t *cat)
{
    /* the mark stays set until all is whole: this may be killed as well */

    cat->emptied++;
    cat->epoch++;

    sprox_ban_recover(cat);
    format(cat);
    sprox_zone_unmark(cat);
}


sprox_rc_t
sprox_catalog_space_locked(sprox_catalog_t *cat, sprox_str_t name, int create,
    uint32_t *space)
{
    uint32_t           ref, units, *table;
    sprox_space_t     *s;
    sprox_map_path_t   path;

    sprox_zone_enter(cat);

    ref = sprox_map_find(cat, cat->spaces_root, name, &path);

    if (ref) {
        s = sprox_unit(cat, ref);
        *space = s->number;
        return SPROX_OK;
    }

    if (!create) {
        return SPROX_NOT_FOUND;
    }

    if (name.len > SPROX_CATALOG_NAME_MAX) {
        return SPROX_LIMIT;
    }

    ref = cat->spaces_next;
    units = (uint32_t) SPROX_UNITS(sizeof(sprox_space_t) + name.len);

    if (units > cat->spaces_end - ref || cat->spaces_n == cat->spaces_max) {
        return SPROX_FULL;
    }

    if (create == SPROX_SPACE_MAYBE
        && (ref - cat->spaces_table
            > (cat->spaces_end - cat->spaces_table) / MAYBE_PART
            || cat->spaces_n >= cat->spaces_max / MAYBE_PART))
    {
        return SPROX_FULL;
    }

    sprox_zone_mark(cat);

    cat->spaces_next += units;
    cat->spaces_n++;

    table = sprox_unit(cat, cat->spaces_table);
    table[cat->spaces_n] = ref;

    s = sprox_unit(cat, ref);
    memset(s, 0, sizeof(sprox_space_t));
    s->number = cat->spaces_n;
    s->node.key_len = (uint16_t) name.len;

    if (name.len) {
        memcpy(s + 1, name.data, name.len);
    }

    sprox_map_insert(cat, &cat->spaces_root, ref, &path);

    sprox_zone_unmark(cat);

    *space = s->number;

    return SPROX_OK;
}


uint64_t
sprox_catalog_epoch_locked(sprox_catalog_t *cat)
{
    sprox_zone_enter(cat);

    return cat->epoch;
}


sprox_rc_t
sprox_catalog_put_locked(sprox_catalog_t *cat, uint32_t number,
    sprox_str_t key, const sprox_object_t *object)
{
    int                same;
    uint8_t            buf[SPROX_OBJECT_BUF];
    sprox_rc_t         rc;
    sprox_put_t        put;
    sprox_space_t     *space;
    sprox_object_t     known, plain;
    sprox_map_path_t   path;

    sprox_zone_enter(cat);

    space = sprox_zone_space(cat, number);
    if (space == NULL) {
        return SPROX_NOT_FOUND;
    }

    rc = sprox_object_check(object);

    sprox_zone_mark(cat);

    if (rc != SPROX_OK || key.len > SPROX_KEY_MAX) {
        sprox_region_overflow(cat, space, key);
        sprox_zone_unmark(cat);
        return SPROX_LIMIT;
    }

    if (cat->releasing) {
        (void) sprox_region_release(cat, RELEASE_STEP);
    }

    plain = sprox_object_plain(object);

    if (cat->bans_seq && sprox_ban_covers(cat, sprox_node_key(&space->node),
                                          key, plain.proved))
    {
        sprox_zone_unmark(cat);
        return SPROX_DONE;
    }

    same = 0;
    put.ref = 0;
    put.old = sprox_map_find(cat, space->root, key, &path);

    if (put.old) {
        sprox_zone_use(cat, put.old);

        /* what is held stays so: it is not let go while this goes on */

        if (cat->releasing) {
            sprox_zone_rejoin(cat, put.old);
        }

        sprox_record_read(cat, sprox_record(cat, put.old), &known, buf);

        /* what is banned tells nothing of what comes */

        same = !sprox_zone_banned(cat, sprox_record(cat, put.old))
               && sprox_object_same(&plain, &known);

        if (same) {
            plain = plain.proved >= known.proved
                    ? sprox_object_merge(&plain, &known)
                    : sprox_object_merge(&known, &plain);

        } else if (plain.proved < known.proved) {
            sprox_zone_rejoin(cat, put.old);
            sprox_zone_unmark(cat);
            return SPROX_DONE;
        }
    }

    rc = sprox_zone_store(cat, number, key, &plain, &known, &put);

    /* better nothing than what is known to be another version */

    if (rc == SPROX_FULL) {
        sprox_region_overflow(cat, space, key);

        if (put.old && !same) {
            sprox_zone_drop(cat, put.old);
        }
    }

    sprox_zone_unmark(cat);

    return rc;
}


sprox_rc_t
sprox_catalog_get_locked(sprox_catalog_t *cat, uint32_t number,
    sprox_str_t key, sprox_object_t *object, uint8_t *buf)
{
    uint32_t           ref;
    sprox_space_t     *space;
    sprox_map_path_t   path;

    sprox_zone_enter(cat);

    space = sprox_zone_space(cat, number);
    if (space == NULL) {
        return SPROX_NOT_FOUND;
    }

    ref = sprox_map_find(cat, space->root, key, &path);

    if (ref == 0 || sprox_zone_banned(cat, sprox_record(cat, ref))) {
        return SPROX_NOT_FOUND;
    }

    sprox_record_tell(cat, sprox_record(cat, ref), object, buf);

    sprox_zone_mark(cat);
    sprox_zone_use(cat, ref);
    sprox_zone_unmark(cat);

    /* what is known stayed as it was */

    cat->changes--;

    return SPROX_OK;
}


/*
 * Nothing is known of a key of a region, but that there may be something: so
 * listings of the region are not to say that there is none.
 */

static sprox_rc_t
suspect(sprox_catalog_t *cat, sprox_space_t *space, sprox_str_t key,
    int64_t when)
{
    size_t          len;
    sprox_rc_t      rc;
    sprox_put_t     put;
    sprox_object_t  object;

    len = key.len + 1;

    if (key.len == 0 || key.len > SPROX_KEY_MAX
        || sprox_region_cover(cat, space, key, &len) == 0)
    {
        return SPROX_NOT_FOUND;
    }

    memset(&put, 0, sizeof(sprox_put_t));
    memset(&object, 0, sizeof(sprox_object_t));

    object.proved = when;
    object.absent = 1;
    object.doubted = 1;

    sprox_zone_mark(cat);

    rc = sprox_zone_store(cat, space->number, key, &object, &object, &put);

    if (rc == SPROX_FULL) {
        sprox_region_overflow(cat, space, key);
    }

    sprox_zone_unmark(cat);

    return rc == SPROX_OK ? SPROX_OK : SPROX_NOT_FOUND;
}


sprox_rc_t
sprox_catalog_doubt_locked(sprox_catalog_t *cat, uint32_t number,
    sprox_str_t key, int64_t when)
{
    uint32_t           ref;
    sprox_space_t     *space;
    sprox_record_t    *record;
    sprox_map_path_t   path;

    sprox_zone_enter(cat);

    space = sprox_zone_space(cat, number);
    if (space == NULL) {
        return SPROX_NOT_FOUND;
    }

    ref = sprox_map_find(cat, space->root, key, &path);
    if (ref == 0) {
        return suspect(cat, space, key, when);
    }

    record = sprox_record(cat, ref);

    cat->changes++;

    /* in this order: killed between the two, it is not believed too long */

    record->node.flags |= SPROX_RECORD_DOUBTED;

    if (record->proved < when) {
        record->proved = when;
    }

    return SPROX_OK;
}


sprox_rc_t
sprox_catalog_remove_locked(sprox_catalog_t *cat, uint32_t number,
    sprox_str_t key)
{
    uint32_t           ref;
    sprox_space_t     *space;
    sprox_record_t    *record;
    sprox_map_path_t   path;

    sprox_zone_enter(cat);

    space = sprox_zone_space(cat, number);
    if (space == NULL) {
        return SPROX_NOT_FOUND;
    }

    ref = sprox_map_find(cat, space->root, key, &path);
    if (ref == 0) {
        return SPROX_NOT_FOUND;
    }

    /* regions need it, and so does a purge: answers are on their way */

    if (sprox_record_suspected(sprox_record(cat, ref))) {
        return SPROX_OK;
    }

    sprox_zone_mark(cat);

    sprox_zone_rejoin(cat, ref);
    record = sprox_record(cat, ref);

    if (record->node.flags & SPROX_RECORD_HELD) {
        sprox_zone_forget(cat, ref);

    } else {
        sprox_zone_drop(cat, ref);
    }

    sprox_zone_unmark(cat);

    return SPROX_OK;
}


sprox_rc_t
sprox_catalog_purge_locked(sprox_catalog_t *cat, uint32_t number,
    sprox_str_t key, int64_t when)
{
    uint32_t           ref;
    sprox_rc_t         rc;
    sprox_space_t     *space;
    sprox_object_t     none;
    sprox_map_path_t   path;

    sprox_zone_enter(cat);

    space = sprox_zone_space(cat, number);
    if (space == NULL) {
        return SPROX_NOT_FOUND;
    }

    /* what an event told of one that is gone, is still needed */

    ref = sprox_map_find(cat, space->root, key, &path);

    if (ref && !(sprox_record(cat, ref)->node.flags & SPROX_RECORD_ABSENT)) {
        (void) sprox_catalog_remove_locked(cat, number, key);
    }

    if (sprox_catalog_doubt_locked(cat, number, key, when) == SPROX_OK) {
        return SPROX_OK;
    }

    memset(&none, 0, sizeof(sprox_object_t));
    none.absent = 1;
    none.proved = when;

    rc = sprox_catalog_put_locked(cat, number, key, &none);

    return rc == SPROX_OK ? sprox_catalog_doubt_locked(cat, number, key, when)
                          : rc;
}


void
sprox_catalog_stats_locked(sprox_catalog_t *cat, sprox_catalog_stats_t *stats)
{
    sprox_zone_enter(cat);

    stats->objects = cat->objects;
    stats->absent = cat->absent;
    stats->evicted = cat->evicted;
    stats->emptied = cat->emptied;
    stats->changes = cat->changes + cat->bans_changes;
    stats->held = cat->held;
    stats->regions = cat->regions;
    stats->complete = cat->complete;
    stats->bytes_total = cat->size;
    stats->bytes_used = ((uint64_t) cat->spaces_next + cat->arena.used)
                        * SPROX_UNIT;
}
