/*
 * Room in the catalog: the order in which records were used, what goes when
 * a new one does not fit, and how one is written over another.
 *
 * Small objects fill a zone evenly, and when the oldest of them go, holes of
 * their size come about all over it.  A longer record could wait for most of
 * the zone to be evicted before two holes happen to be neighbours; so after
 * a few of the oldest, what lies behind the last hole goes as well:
 *
 *     | d | hole | a | b | c |           newest -> b d ... c a
 *         |<- needed ->|                 a goes, though b is not the oldest
 */

#include "sprox_region.h"


/*
 * After so many of the least recently used went and there is still no hole
 * that is large enough, neighbours go.
 */
#define EVICT_TRIES        16

/*
 * When nothing may be evicted, so many records are looked at of those that
 * dropped regions still hold.
 */
#define RELEASE_TRIES      256


sprox_space_t *
sprox_zone_space(sprox_catalog_t *cat, uint32_t number)
{
    uint32_t  *table;

    if (number == 0 || number > cat->spaces_n) {
        return NULL;
    }

    table = sprox_unit(cat, cat->spaces_table);

    return sprox_unit(cat, table[number]);
}


/* The order of use. */

static void
use_unlink(sprox_catalog_t *cat, sprox_record_t *record)
{
    if (record->newer) {
        sprox_record(cat, record->newer)->older = record->older;

    } else {
        cat->newest = record->older;
    }

    if (record->older) {
        sprox_record(cat, record->older)->newer = record->newer;

    } else {
        cat->oldest = record->newer;
    }
}


static void
use_link(sprox_catalog_t *cat, uint32_t ref)
{
    sprox_record_t  *record;

    record = sprox_record(cat, ref);
    record->newer = 0;
    record->older = cat->newest;

    if (cat->newest) {
        sprox_record(cat, cat->newest)->newer = ref;

    } else {
        cat->oldest = ref;
    }

    cat->newest = ref;
}


void
sprox_zone_use(sprox_catalog_t *cat, uint32_t ref)
{
    if (cat->newest != ref
        && !(sprox_record(cat, ref)->node.flags & SPROX_RECORD_HELD))
    {
        use_unlink(cat, sprox_record(cat, ref));
        use_link(cat, ref);
    }
}


void
sprox_zone_use_last(sprox_catalog_t *cat, uint32_t ref)
{
    sprox_record_t  *record;

    record = sprox_record(cat, ref);
    record->older = 0;
    record->newer = cat->oldest;

    if (cat->oldest) {
        sprox_record(cat, cat->oldest)->older = ref;

    } else {
        cat->newest = ref;
    }

    cat->oldest = ref;
}


/* A whole record: held, or in the order of use; and out of both. */

static void
join(sprox_catalog_t *cat, uint32_t ref)
{
    if (!sprox_region_hold(cat, ref)) {
        use_link(cat, ref);
    }
}


static void
part(sprox_catalog_t *cat, uint32_t ref)
{
    sprox_record_t  *record;

    record = sprox_record(cat, ref);

    if (record->node.flags & SPROX_RECORD_HELD) {
        sprox_region_let_go(cat, ref);

    } else {
        use_unlink(cat, record);
    }
}


void
sprox_zone_rejoin(sprox_catalog_t *cat, uint32_t ref)
{
    part(cat, ref);
    join(cat, ref);
}


static uint32_t
chain_units(sprox_catalog_t *cat, uint32_t ref)
{
    uint32_t        units;
    sprox_chunk_t  *chunk;

    units = 0;

    for ( /* void */ ; ref; ref = chunk->next) {
        chunk = sprox_unit(cat, ref);
        units += sprox_arena_units(cat, ref);
    }

    return units;
}


uint32_t
sprox_zone_units(sprox_catalog_t *cat, uint32_t ref)
{
    const sprox_record_t  *record;

    record = sprox_record(cat, ref);

    return sprox_arena_units(cat, ref) + chain_units(cat, record->version)
           + chain_units(cat, record->headers);
}


/* What lies under the empty key is known, but no object. */

static void
count(sprox_catalog_t *cat, const sprox_record_t *record, int n)
{
    sprox_space_t  *space;

    space = sprox_zone_space(cat, record->space);

    if ((record->node.flags & SPROX_RECORD_ABSENT)
        || record->node.key_len == 0)
    {
        space->absent += (uint64_t) (int64_t) n;
        cat->absent += (uint64_t) (int64_t) n;

    } else {
        space->objects += (uint64_t) (int64_t) n;
        cat->objects += (uint64_t) (int64_t) n;
    }
}


/*
 * Frees a block.  *hole is a place that the caller watches: when it is now
 * in a free block, *hole becomes the start of that.
 */

static void
give_back(sprox_catalog_t *cat, uint32_t ref, uint32_t *hole)
{
    ref = sprox_arena_free(cat, &cat->arena, ref);

    if (ref <= *hole && *hole - ref < sprox_arena_units(cat, ref)) {
        *hole = ref;
    }
}


static void
free_chain(sprox_catalog_t *cat, uint32_t ref, uint32_t *hole)
{
    uint32_t        next;
    sprox_chunk_t  *chunk;

    for ( /* void */ ; ref; ref = next) {
        chunk = sprox_unit(cat, ref);
        next = chunk->next;
        give_back(cat, ref, hole);
    }
}


/* Takes a record out of everything and frees it. */

static void
drop(sprox_catalog_t *cat, uint32_t ref, uint32_t *hole)
{
    sprox_space_t     *space;
    sprox_record_t    *record;
    sprox_map_path_t   path;

    record = sprox_record(cat, ref);
    space = sprox_zone_space(cat, record->space);

    part(cat, ref);

    (void) sprox_map_find(cat, space->root, sprox_node_key(&record->node),
                          &path);
    sprox_map_remove(cat, &space->root, ref, &path);

    count(cat, record, -1);

    free_chain(cat, record->version, hole);
    free_chain(cat, record->headers, hole);
    give_back(cat, ref, hole);
}


void
sprox_zone_drop(sprox_catalog_t *cat, uint32_t ref)
{
    uint32_t  hole = 0;

    drop(cat, ref, &hole);
}


void
sprox_zone_forget(sprox_catalog_t *cat, uint32_t ref)
{
    uint32_t         hole = 0;
    sprox_record_t  *record;

    record = sprox_record(cat, ref);

    part(cat, ref);

    free_chain(cat, record->headers, &hole);
    record->headers = 0;
    record->node.flags &= (uint8_t) ~SPROX_RECORD_HEADED;
    record->node.flags |= SPROX_RECORD_DOUBTED;

    join(cat, ref);
}


/*
 * Where listings are to know that there may be something, they are not to be
 * answered without that.
 */

static void
evict(sprox_catalog_t *cat, uint32_t ref, uint32_t *hole)
{
    sprox_record_t  *record;

    record = sprox_record(cat, ref);

    if (sprox_record_suspected(record)) {
        sprox_region_lost(cat, sprox_zone_space(cat, record->space),
                          sprox_node_key(&record->node), record->proved);
    }

    drop(cat, ref, hole);
    cat->evicted++;
}


/*
 * Evicts what lies behind a hole until it is large enough, or what may not
 * go lies there.
 */

static void
widen(sprox_catalog_t *cat, const sprox_put_t *put, uint32_t hole,
    uint32_t units)
{
    uint32_t              ref;
    const sprox_chunk_t  *chunk;

    units = sprox_arena_fit(units);

    while (sprox_arena_units(cat, hole) < units) {
        ref = sprox_arena_next(cat, &cat->arena, hole);

        if (ref == 0 || sprox_arena_is_free(cat, ref)) {
            return;
        }

        /* records are tagged; a chunk goes with its record */

        if (!sprox_arena_tag(cat, ref)) {
            chunk = sprox_unit(cat, ref);
            ref = chunk->owner;
        }

        if (ref == put->old || ref == put->ref
            || (sprox_record(cat, ref)->node.flags & SPROX_RECORD_HELD))
        {
            return;
        }

        evict(cat, ref, &hole);
    }
}


/* A block of the arena, or 0 when all that may be evicted is too little. */

static uint32_t
take(sprox_catalog_t *cat, const sprox_put_t *put, uint32_t units,
    unsigned is_record)
{
    uint32_t  ref, hole;
    unsigned  n;

    for (n = 1; /* void */ ; n++) {
        ref = sprox_arena_alloc(cat, &cat->arena, units, is_record);
        if (ref) {
            return ref;
        }

        /* what is being put is the newest, or not in the order (yet) */

        if ((cat->oldest == 0 || cat->oldest == put->old) && cat->releasing) {
            (void) sprox_region_release(cat, RELEASE_TRIES);
        }

        hole = cat->oldest;
        if (hole == 0 || hole == put->old) {
            return 0;
        }

        evict(cat, hole, &hole);

        if (n >= EVICT_TRIES) {
            widen(cat, put, hole, units);
        }
    }
}


/* Writes a string in chunks; they are freed when there is no room. */

static sprox_rc_t
make_chain(sprox_catalog_t *cat, const sprox_put_t *put, sprox_str_t s,
    uint32_t *first)
{
    size_t          len;
    uint32_t        ref, hole, *link;
    sprox_chunk_t  *chunk;

    *first = 0;
    link = first;

    while (s.len) {
        len = s.len < SPROX_CHUNK_BYTES ? s.len : SPROX_CHUNK_BYTES;

        ref = take(cat, put,
                   (uint32_t) SPROX_UNITS(sizeof(sprox_chunk_t) + len), 0);
        if (ref == 0) {
            hole = 0;
            free_chain(cat, *first, &hole);
            *first = 0;
            return SPROX_FULL;
        }

        chunk = sprox_unit(cat, ref);
        chunk->next = 0;
        chunk->owner = put->ref;
        chunk->len = (uint32_t) len;
        memcpy(chunk + 1, s.data, len);

        *link = ref;
        link = &chunk->next;

        s = sprox_str_from(s, len);
    }

    return SPROX_OK;
}


static void
own_chain(sprox_catalog_t *cat, uint32_t ref, uint32_t owner)
{
    sprox_chunk_t  *chunk;

    for ( /* void */ ; ref; ref = chunk->next) {
        chunk = sprox_unit(cat, ref);
        chunk->owner = owner;
    }
}


/*
 * Puts the record put->ref, still without its fields, in the place of
 * put->old, whose chains that are not the new ones are freed.
 */

static void
supersede(sprox_catalog_t *cat, const sprox_put_t *put, sprox_str_t key,
    uint32_t version, uint32_t headers)
{
    uint32_t           hole;
    sprox_space_t     *space;
    sprox_record_t    *old;
    sprox_map_path_t   path;

    hole = 0;
    old = sprox_record(cat, put->old);

    part(cat, put->old);
    count(cat, old, -1);

    if (old->version != version) {
        free_chain(cat, old->version, &hole);
    }

    if (old->headers != headers) {
        free_chain(cat, old->headers, &hole);
    }

    if (put->ref == put->old) {
        return;
    }

    space = sprox_zone_space(cat, old->space);

    (void) sprox_map_find(cat, space->root, key, &path);
    sprox_map_replace(cat, &space->root, put->old, put->ref, &path);

    own_chain(cat, version, put->ref);
    own_chain(cat, headers, put->ref);

    give_back(cat, put->old, &hole);
}


/*
 * Everything that may fail, or evict, comes first; ways through the map are
 * looked up after it.
 */

sprox_rc_t
sprox_zone_store(sprox_catalog_t *cat, uint32_t number, sprox_str_t key,
    const sprox_object_t *object, const sprox_object_t *known,
    sprox_put_t *put)
{
    uint32_t           units, version, headers, hole;
    sprox_space_t     *space;
    sprox_record_t    *old, *record;
    sprox_map_path_t   path;

    version = 0;
    old = put->old ? sprox_record(cat, put->old) : NULL;
    units = sprox_record_units(key, object);

    put->ref = put->old;

    if (old == NULL || sprox_arena_units(cat, put->old) != units) {
        put->ref = take(cat, put, units, 1);
        if (put->ref == 0) {
            return SPROX_FULL;
        }
    }

    if (old && sprox_str_eq(object->version, known->version)) {
        version = old->version;

    } else if (make_chain(cat, put, object->version, &version) != SPROX_OK) {
        goto full;
    }

    if (old && sprox_str_eq(object->headers, known->headers)) {
        headers = old->headers;

    } else if (make_chain(cat, put, object->headers, &headers) != SPROX_OK) {
        goto full;
    }

    if (old) {
        supersede(cat, put, key, version, headers);

    } else {
        space = sprox_zone_space(cat, number);

        (void) sprox_map_find(cat, space->root, key, &path);
        sprox_map_insert(cat, &space->root, put->ref, &path);
    }

    record = sprox_record(cat, put->ref);
    sprox_record_write(record, key, object);

    record->space = (uint16_t) number;
    record->version = version;
    record->headers = headers;

    count(cat, record, 1);
    join(cat, put->ref);

    return SPROX_OK;

full:

    hole = 0;

    if (old == NULL || old->version != version) {
        free_chain(cat, version, &hole);
    }

    if (put->ref != put->old) {
        give_back(cat, put->ref, &hole);
    }

    return SPROX_FULL;
}
