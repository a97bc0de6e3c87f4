/*
 * What must hold in the catalog's memory between any two calls, looked at
 * as a whole: the unit tests and the fuzz target ask after each step, so
 * that a wrong link is found where it is made.
 */

#include "sprox_region.h"
#include "sprox_ban.h"


typedef struct {
    uint64_t  objects;
    uint64_t  absent;
    uint64_t  units;             /* of records and chunks */
    uint64_t  held;
    uint64_t  held_units;
    uint64_t  regions;
    uint64_t  complete;
} sprox_tally_t;


static const char *
check_chain(sprox_catalog_t *cat, uint32_t ref, uint32_t owner, size_t max,
    sprox_tally_t *tally)
{
    size_t                len;
    const sprox_chunk_t  *chunk;

    for (len = 0; ref; ref = chunk->next) {
        chunk = sprox_unit(cat, ref);

        if (sprox_arena_is_free(cat, ref) || sprox_arena_tag(cat, ref)) {
            return "catalog: a chunk is no chunk";
        }

        if (chunk->owner != owner) {
            return "catalog: a chunk has another owner";
        }

        if (chunk->len == 0 || chunk->len > SPROX_CHUNK_BYTES
            || sprox_arena_units(cat, ref)
               != SPROX_UNITS(sizeof(sprox_chunk_t) + chunk->len))
        {
            return "catalog: a chunk's length is wrong";
        }

        len += chunk->len;
        if (len > max) {
            return "catalog: a chain is too long";
        }

        tally->units += sprox_arena_units(cat, ref);
    }

    return NULL;
}


/* Whether a walk that lets go what dropped regions held will come by. */

static int
is_awaited(sprox_catalog_t *cat, const sprox_record_t *record)
{
    uint32_t              ref;
    sprox_str_t           key;
    sprox_region_node_t  *region;

    key = sprox_node_key(&record->node);

    for (ref = cat->releasing; ref; ref = region->next) {
        region = sprox_region(cat, ref);

        if (region->space == record->space
            && sprox_str_starts(key, sprox_node_key(&region->node))
            && (ref != cat->releasing
                || sprox_str_cmp(key, sprox_str_make(cat->release_after,
                                                     cat->release_len)) > 0))
        {
            return 1;
        }
    }

    return 0;
}


static const char *
check_held(sprox_catalog_t *cat, const sprox_space_t *space, uint32_t ref,
    sprox_tally_t *tally)
{
    size_t                 n;
    uint32_t               cover;
    sprox_str_t            key;
    const sprox_record_t  *record;

    record = sprox_record(cat, ref);
    key = sprox_node_key(&record->node);

    if ((record->node.flags & SPROX_RECORD_ABSENT) || key.len == 0) {
        return "catalog: what is no object is held";
    }

    if (record->newer > cat->openings || record->older) {
        return "catalog: a held record has links";
    }

    n = key.len + 1;

    do {
        cover = sprox_region_cover(cat, space, key, &n);
    } while (cover && (sprox_region(cat, cover)->node.flags
                       & SPROX_REGION_OVERFLOW));

    if (cover == 0 && !is_awaited(cat, record)) {
        return "catalog: a record is held by nothing";
    }

    tally->held++;
    tally->held_units += sprox_zone_units(cat, ref);

    return NULL;
}


/* A record as its space's map names it: whole. */

static const char *
check_record(sprox_catalog_t *cat, const sprox_space_t *space, uint32_t ref,
    sprox_tally_t *tally)
{
    uint8_t                buf[SPROX_OBJECT_BUF];
    const char            *err;
    sprox_str_t            key;
    sprox_object_t         object;
    const sprox_record_t  *record;

    if (sprox_arena_is_free(cat, ref) || !sprox_arena_tag(cat, ref)) {
        return "catalog: a record is no record";
    }

    record = sprox_record(cat, ref);
    key = sprox_node_key(&record->node);

    if (record->space != space->number) {
        return "catalog: a record's space is another one";
    }

    if (key.len > SPROX_KEY_MAX) {
        return "catalog: a key is too long";
    }

    err = check_chain(cat, record->version, ref, SPROX_VERSION_MAX, tally);
    if (err == NULL) {
        err = check_chain(cat, record->headers, ref, SPROX_HEADERS_MAX, tally);
    }

    if (err == NULL && (record->node.flags & SPROX_RECORD_HELD)) {
        err = check_held(cat, space, ref, tally);
    }

    if (err) {
        return err;
    }

    sprox_record_read(cat, record, &object, buf);

    if (sprox_record_units(key, &object) != sprox_arena_units(cat, ref)) {
        return "catalog: a record's size is wrong";
    }

    tally->units += sprox_arena_units(cat, ref);

    if (object.absent || key.len == 0) {
        tally->absent++;

    } else {
        tally->objects++;
    }

    return NULL;
}


/* The order of use: all records but those that are held. */

static const char *
check_use(sprox_catalog_t *cat, const sprox_tally_t *tally)
{
    uint32_t               ref, newer;
    uint64_t               n;
    sprox_space_t         *space;
    sprox_map_path_t       path;
    const sprox_record_t  *record;

    n = 0;
    newer = 0;

    for (ref = cat->newest; ref; ref = record->older) {
        record = sprox_record(cat, ref);
        space = sprox_zone_space(cat, record->space);

        if (space == NULL
            || sprox_map_find(cat, space->root, sprox_node_key(&record->node),
                              &path) != ref)
        {
            return "catalog: a record is not found by its key";
        }

        if (record->node.flags & SPROX_RECORD_HELD) {
            return "catalog: a held record is in the order of use";
        }

        if (record->newer != newer) {
            return "catalog: the order of use is not linked both ways";
        }

        if (++n > tally->objects + tally->absent) {
            return "catalog: the order of use is too long";
        }

        newer = ref;
    }

    if (newer != cat->oldest) {
        return "catalog: the order of use ends elsewhere";
    }

    if (n + tally->held != tally->objects + tally->absent) {
        return "catalog: a record is neither held nor in the order of use";
    }

    return NULL;
}


/* What a region counts against what lies below it. */

static const char *
check_region(sprox_catalog_t *cat, const sprox_space_t *space,
    const sprox_region_node_t *region, sprox_tally_t *tally)
{
    uint32_t               ref;
    uint64_t               objects, bytes;
    sprox_str_t            prefix;
    sprox_map_path_t       path;
    const sprox_record_t  *record;

    if (region->space != space->number || region->opened > cat->openings
        || (region->node.flags & SPROX_REGION_DROPPED))
    {
        return "catalog: a region is none";
    }

    objects = 0;
    bytes = 0;
    prefix = sprox_node_key(&region->node);

    ref = sprox_map_seek(cat, space->root, prefix, SPROX_MAP_FROM, &path);

    for ( /* void */ ; ref; ref = sprox_map_next(cat, &path)) {
        record = sprox_record(cat, ref);

        if (!sprox_str_starts(sprox_node_key(&record->node), prefix)) {
            break;
        }

        if ((record->node.flags & SPROX_RECORD_HELD)
            && record->newer >= region->opened)
        {
            objects++;
            bytes += record->size;
        }
    }

    if (region->node.flags & SPROX_REGION_OVERFLOW) {
        objects = 0;
        bytes = 0;
    }

    if (region->objects != objects || region->bytes != bytes) {
        return "catalog: the counts of a region are wrong";
    }

    if (!sprox_owner_valid(cat, sprox_region_owner(region)->owner)
        || !sprox_owner_valid(cat, sprox_region_owner(region)->seen))
    {
        return "catalog: the owner of a region is none";
    }

    if (region->node.flags & SPROX_REGION_COMPLETE) {
        tally->complete++;

        if (region->node.flags & SPROX_REGION_OVERFLOW) {
            return "catalog: what did not fit is complete";
        }
    }

    tally->regions++;

    return NULL;
}


static const char *
check_space(sprox_catalog_t *cat, const sprox_space_t *space,
    sprox_tally_t *tally)
{
    uint32_t           ref;
    uint64_t           n;
    const char        *err;
    sprox_map_path_t   path;

    err = sprox_map_check(cat, space->root, &n);
    if (err) {
        return err;
    }

    if (n != space->objects + space->absent) {
        return "catalog: a space's counts are wrong";
    }

    ref = sprox_map_seek(cat, space->root, sprox_str_null, SPROX_MAP_FROM,
                         &path);

    for ( /* void */ ; ref && !err; ref = sprox_map_next(cat, &path)) {
        err = check_record(cat, space, ref, tally);
    }

    if (err == NULL) {
        err = sprox_map_check(cat, space->regions, &n);
    }

    if (err) {
        return err;
    }

    ref = sprox_map_seek(cat, space->regions, sprox_str_null, SPROX_MAP_FROM,
                         &path);

    for ( /* void */ ; ref && !err; ref = sprox_map_next(cat, &path)) {
        err = check_region(cat, space, sprox_region(cat, ref), tally);
    }

    return err;
}


static const char *
check_spaces(sprox_catalog_t *cat, sprox_tally_t *tally)
{
    uint32_t        i, *table;
    uint64_t        n, objects, absent;
    const char     *err;
    sprox_space_t  *space;

    err = sprox_map_check(cat, cat->spaces_root, &n);
    if (err) {
        return err;
    }

    if (n != cat->spaces_n) {
        return "catalog: the count of spaces is wrong";
    }

    objects = 0;
    absent = 0;
    table = sprox_unit(cat, cat->spaces_table);

    for (i = 1; i <= cat->spaces_n; i++) {
        space = sprox_unit(cat, table[i]);

        if (space->number != i) {
            return "catalog: a space's number is wrong";
        }

        err = check_space(cat, space, tally);
        if (err) {
            return err;
        }

        objects += space->objects;
        absent += space->absent;
    }

    if (objects != tally->objects || absent != tally->absent
        || objects != cat->objects || absent != cat->absent)
    {
        return "catalog: the counts are wrong";
    }

    return NULL;
}


const char *
sprox_catalog_check_locked(sprox_catalog_t *cat)
{
    const char     *err;
    sprox_tally_t   tally;

    if (cat->changing) {
        return "catalog: the mark is set";
    }

    memset(&tally, 0, sizeof(sprox_tally_t));

    err = sprox_ban_check(cat);
    if (err == NULL) {
        err = sprox_arena_check(cat, &cat->arena);
    }

    if (err == NULL) {
        err = check_spaces(cat, &tally);
    }

    if (err == NULL) {
        err = check_use(cat, &tally);
    }

    if (err) {
        return err;
    }

    if (tally.held != cat->held || tally.held_units != cat->held_units
        || tally.regions != cat->regions || tally.complete != cat->complete)
    {
        return "catalog: the counts of regions are wrong";
    }

    if (tally.units != cat->arena.used) {
        return "catalog: memory was lost";
    }

    return NULL;
}
