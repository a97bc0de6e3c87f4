/*
 * What must hold in the catalog's memory between any two calls, looked at
 * as a whole: the unit tests and the fuzz target ask after each step, so
 * that a wrong link is found where it is made.
 */

#include "sprox_zone.h"


typedef struct {
    uint64_t  objects;
    uint64_t  absent;
    uint64_t  units;             /* of records and chunks */
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


/* A record as the order of use names it: found under its key, whole. */

static const char *
check_record(sprox_catalog_t *cat, uint32_t ref, sprox_tally_t *tally)
{
    uint8_t                buf[SPROX_OBJECT_BUF];
    uint32_t              *table;
    const char            *err;
    sprox_str_t            key;
    sprox_space_t         *space;
    sprox_object_t         object;
    sprox_map_path_t       path;
    const sprox_record_t  *record;

    if (sprox_arena_is_free(cat, ref) || !sprox_arena_tag(cat, ref)) {
        return "catalog: a record is no record";
    }

    record = sprox_record(cat, ref);

    if (record->space == 0 || record->space > cat->spaces_n) {
        return "catalog: a record's space is none";
    }

    table = sprox_unit(cat, cat->spaces_table);
    space = sprox_unit(cat, table[record->space]);
    key = sprox_node_key(&record->node);

    if (key.len > SPROX_KEY_MAX
        || sprox_map_find(cat, space->root, key, &path) != ref)
    {
        return "catalog: a record is not found by its key";
    }

    err = check_chain(cat, record->version, ref, SPROX_VERSION_MAX, tally);
    if (err == NULL) {
        err = check_chain(cat, record->headers, ref, SPROX_HEADERS_MAX, tally);
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


static const char *
check_use(sprox_catalog_t *cat, sprox_tally_t *tally)
{
    uint32_t     ref, newer;
    uint64_t     n;
    const char  *err;

    n = 0;
    newer = 0;

    for (ref = cat->newest; ref; ref = sprox_record(cat, ref)->older) {
        if (sprox_record(cat, ref)->newer != newer) {
            return "catalog: the order of use is not linked both ways";
        }

        if (++n > cat->objects + cat->absent) {
            return "catalog: the order of use is too long";
        }

        err = check_record(cat, ref, tally);
        if (err) {
            return err;
        }

        newer = ref;
    }

    if (newer != cat->oldest) {
        return "catalog: the order of use ends elsewhere";
    }

    return NULL;
}


static const char *
check_spaces(sprox_catalog_t *cat, sprox_tally_t *tally)
{
    uint32_t        i, *table;
    uint64_t        n;
    const char     *err;
    sprox_space_t  *space;

    err = sprox_map_check(cat, cat->spaces_root, &n);
    if (err) {
        return err;
    }

    if (n != cat->spaces_n) {
        return "catalog: the count of spaces is wrong";
    }

    table = sprox_unit(cat, cat->spaces_table);

    for (i = 1; i <= cat->spaces_n; i++) {
        space = sprox_unit(cat, table[i]);

        if (space->number != i) {
            return "catalog: a space's number is wrong";
        }

        err = sprox_map_check(cat, space->root, &n);
        if (err) {
            return err;
        }

        if (n != space->objects + space->absent) {
            return "catalog: a space's counts are wrong";
        }

        tally->objects += space->objects;
        tally->absent += space->absent;
    }

    return NULL;
}


const char *
sprox_catalog_check_locked(sprox_catalog_t *cat)
{
    const char     *err;
    sprox_tally_t   used, known;

    if (cat->changing) {
        return "catalog: the mark is set";
    }

    memset(&used, 0, sizeof(sprox_tally_t));
    memset(&known, 0, sizeof(sprox_tally_t));

    err = sprox_arena_check(cat, &cat->arena);
    if (err == NULL) {
        err = check_spaces(cat, &known);
    }

    if (err == NULL) {
        err = check_use(cat, &used);
    }

    if (err) {
        return err;
    }

    if (used.objects != cat->objects || used.absent != cat->absent
        || known.objects != cat->objects || known.absent != cat->absent)
    {
        return "catalog: the counts are wrong";
    }

    if (used.units != cat->arena.used) {
        return "catalog: memory was lost";
    }

    return NULL;
}
