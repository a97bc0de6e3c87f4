/*
 * Regions: what a crawl has told the whole of, so that listings can be
 * answered from it.  An object below a region is held: it is in no order of
 * use, and is never evicted.
 *
 *     regions of a space, a map by prefix:   ""  "a/"  "a/b/"  "c/"
 *
 *     the key a/b/1 lies in "a/b/", "a/" and ""; a/c in "a/" and "".
 *
 * To find them, the greatest prefix that is not greater than the key is
 * looked up: any other that the key starts with is a beginning of that, so
 * the search goes on with what the two have in common.
 *
 * A region counts what it holds without ever walking it: openings are
 * numbered, and a held record (which has no use for its links) keeps the
 * number of the last one when it was put.  A region counts the records that
 * were put after it was opened: after a crawl, all.
 *
 * A region that is dropped, or in which something did not fit, lets go what
 * it holds in steps: it waits in a list, and the walk through the first of
 * them remembers its place by key.
 */

#include "sprox_region.h"
#include "sprox_ban.h"


static const sprox_str_t  no_text = sprox_str("");


uint32_t
sprox_region_cover(sprox_catalog_t *cat, const sprox_space_t *space,
    sprox_str_t key, size_t *n)
{
    size_t             same;
    uint32_t           ref;
    sprox_str_t        prefix;
    sprox_map_path_t   path;

    if (space->regions == 0) {
        return 0;
    }

    while (*n) {
        key.len = *n - 1;

        ref = sprox_map_find(cat, space->regions, key, &path);
        if (ref == 0) {
            ref = sprox_map_before(&path);
        }

        if (ref == 0) {
            return 0;
        }

        prefix = sprox_node_key(&sprox_region(cat, ref)->node);
        same = sprox_str_common(prefix, key);

        if (same == prefix.len) {
            *n = same;
            return ref;
        }

        *n = same + 1;
    }

    return 0;
}


/* The next region that holds what it covers. */

static sprox_region_node_t *
holder(sprox_catalog_t *cat, const sprox_space_t *space, sprox_str_t key,
    size_t *n)
{
    uint32_t              ref;
    sprox_region_node_t  *region;

    for ( ;; ) {
        ref = sprox_region_cover(cat, space, key, n);
        if (ref == 0) {
            return NULL;
        }

        region = sprox_region(cat, ref);

        if (!(region->node.flags & SPROX_REGION_OVERFLOW)) {
            return region;
        }
    }
}


/* A record's part in the counts of the regions that count it. */

static void
count(sprox_catalog_t *cat, uint32_t ref, int n)
{
    size_t                len;
    sprox_str_t           key;
    sprox_space_t        *space;
    sprox_record_t       *record;
    sprox_region_node_t  *region;

    record = sprox_record(cat, ref);
    key = sprox_node_key(&record->node);
    space = sprox_zone_space(cat, record->space);

    len = key.len + 1;

    for ( ;; ) {
        region = holder(cat, space, key, &len);
        if (region == NULL) {
            break;
        }

        if (region->opened <= record->newer) {
            region->objects += (uint64_t) (int64_t) n;
            region->bytes += (uint64_t) (int64_t) n * record->size;
        }
    }

    cat->held += (uint64_t) (int64_t) n;
    cat->held_units += (uint64_t) (int64_t) n * sprox_zone_units(cat, ref);
}


int
sprox_region_hold(sprox_catalog_t *cat, uint32_t ref)
{
    size_t           len;
    uint64_t         max;
    sprox_str_t      key;
    sprox_space_t   *space;
    sprox_record_t  *record;

    record = sprox_record(cat, ref);
    key = sprox_node_key(&record->node);
    space = sprox_zone_space(cat, record->space);

    len = key.len + 1;

    if ((record->node.flags & SPROX_RECORD_ABSENT) || key.len == 0
        || holder(cat, space, key, &len) == NULL)
    {
        return 0;
    }

    max = (uint64_t) (cat->arena.end - cat->arena.first)
          * SPROX_HELD_EIGHTHS / 8;

    if (cat->held_units + sprox_zone_units(cat, ref) > max) {
        sprox_region_overflow(cat, space, key);
        return 0;
    }

    record->node.flags |= SPROX_RECORD_HELD;
    record->newer = cat->openings;
    record->older = 0;

    count(cat, ref, 1);

    return 1;
}


void
sprox_region_let_go(sprox_catalog_t *cat, uint32_t ref)
{
    count(cat, ref, -1);

    sprox_record(cat, ref)->node.flags &= (uint8_t) ~SPROX_RECORD_HELD;
}


static void
set_complete(sprox_catalog_t *cat, sprox_region_node_t *region, int complete)
{
    if (complete != ((region->node.flags & SPROX_REGION_COMPLETE) != 0)) {
        region->node.flags ^= SPROX_REGION_COMPLETE;
        cat->complete += complete ? 1 : (uint32_t) -1;
    }
}


/*
 * Behind the first of those that wait, the walk through which has begun; the
 * others are in no order.
 */

static void
release_later(sprox_catalog_t *cat, uint32_t ref)
{
    uint32_t             *link;
    sprox_region_node_t  *region;

    region = sprox_region(cat, ref);

    if (region->node.flags & SPROX_REGION_RELEASING) {
        return;
    }

    link = &cat->releasing;

    if (*link) {
        link = &sprox_region(cat, *link)->next;
    }

    region->node.flags |= SPROX_REGION_RELEASING;
    region->next = *link;
    *link = ref;
}


void
sprox_region_overflow(sprox_catalog_t *cat, const sprox_space_t *space,
    sprox_str_t key)
{
    size_t                len;
    uint32_t              ref;
    sprox_region_node_t  *region;

    len = key.len + 1;

    for ( ;; ) {
        ref = sprox_region_cover(cat, space, key, &len);
        if (ref == 0) {
            return;
        }

        region = sprox_region(cat, ref);

        if (region->node.flags & SPROX_REGION_OVERFLOW) {
            continue;
        }

        set_complete(cat, region, 0);

        region->node.flags |= SPROX_REGION_OVERFLOW;
        region->objects = 0;
        region->bytes = 0;

        release_later(cat, ref);
    }
}


void
sprox_region_lost(sprox_catalog_t *cat, const sprox_space_t *space,
    sprox_str_t key, int64_t before)
{
    size_t                len;
    uint32_t              ref;
    sprox_region_node_t  *region;

    len = key.len + 1;

    for ( ;; ) {
        ref = sprox_region_cover(cat, space, key, &len);
        if (ref == 0) {
            return;
        }

        region = sprox_region(cat, ref);

        if (region->outdated < before) {
            region->outdated = before;
        }

        if (region->crawled < before) {
            set_complete(cat, region, 0);
        }
    }
}


/* The walk through the first of those that wait is over. */

static void
released(sprox_catalog_t *cat)
{
    uint32_t              ref;
    sprox_region_node_t  *region;

    ref = cat->releasing;
    region = sprox_region(cat, ref);

    cat->releasing = region->next;
    cat->release_len = 0;

    region->node.flags &= (uint8_t) ~SPROX_REGION_RELEASING;

    if (region->node.flags & SPROX_REGION_DROPPED) {
        region->next = cat->regions_free;
        cat->regions_free = ref;
    }
}


/*
 * Some steps of the walk through one region.  What it let go is the next to
 * be evicted: nobody knows when it was used.
 */

static sprox_rc_t
release_some(sprox_catalog_t *cat, const sprox_region_node_t *region,
    size_t *n)
{
    size_t             len;
    uint32_t           ref;
    sprox_str_t        prefix, key, after;
    sprox_space_t     *space;
    sprox_map_path_t   path;

    prefix = sprox_node_key(&region->node);
    space = sprox_zone_space(cat, region->space);
    after = sprox_str_make(cat->release_after, cat->release_len);

    /* what lies under the empty key is no object: no place to begin at */

    if (after.len == 0 && prefix.len) {
        ref = sprox_map_seek(cat, space->root, prefix, SPROX_MAP_FROM, &path);

    } else {
        ref = sprox_map_seek(cat, space->root, after, SPROX_MAP_AFTER, &path);
    }

    key = no_text;

    for ( /* void */ ; ref; ref = sprox_map_next(cat, &path)) {

        if (!sprox_str_starts(sprox_node_key(&sprox_record(cat, ref)->node),
                              prefix))
        {
            return SPROX_DONE;
        }

        if (*n == 0) {
            memcpy(cat->release_after, key.data, key.len);
            cat->release_len = key.len ? (uint32_t) key.len
                                       : cat->release_len;
            return SPROX_AGAIN;
        }

        (*n)--;

        key = sprox_node_key(&sprox_record(cat, ref)->node);
        len = key.len + 1;

        if ((sprox_record(cat, ref)->node.flags & SPROX_RECORD_HELD)
            && holder(cat, space, key, &len) == NULL)
        {
            sprox_region_let_go(cat, ref);
            sprox_zone_use_last(cat, ref);
        }
    }

    return SPROX_DONE;
}


sprox_rc_t
sprox_region_release(sprox_catalog_t *cat, size_t n)
{
    while (cat->releasing) {
        if (release_some(cat, sprox_region(cat, cat->releasing), &n)
            == SPROX_AGAIN)
        {
            return SPROX_AGAIN;
        }

        released(cat);
    }

    return SPROX_DONE;
}


sprox_rc_t
sprox_catalog_release_locked(sprox_catalog_t *cat, size_t n)
{
    sprox_rc_t  rc;

    sprox_zone_enter(cat);

    /* asked each second, it must not count as a change each second */

    if (cat->releasing == 0) {
        return SPROX_DONE;
    }

    sprox_zone_mark(cat);
    rc = sprox_region_release(cat, n);
    sprox_zone_unmark(cat);

    return rc;
}


/* Memory of a region: one that was dropped, or new; 0: there is none. */

static uint32_t
take(sprox_catalog_t *cat, uint32_t units)
{
    uint32_t   ref, *link;

    for (link = &cat->regions_free; *link;
         link = &sprox_region(cat, *link)->next)
    {
        ref = *link;

        if (sprox_region(cat, ref)->units >= units) {
            *link = sprox_region(cat, ref)->next;
            return ref;
        }
    }

    if (units > cat->spaces_end - cat->spaces_next) {
        return 0;
    }

    ref = cat->spaces_next;
    cat->spaces_next += units;
    sprox_region(cat, ref)->units = units;

    return ref;
}


sprox_rc_t
sprox_catalog_region_open_locked(sprox_catalog_t *cat, uint32_t number,
    sprox_str_t prefix, uint32_t *id)
{
    uint32_t              ref, units;
    sprox_space_t        *space;
    sprox_map_path_t      path;
    sprox_region_node_t  *region;

    sprox_zone_enter(cat);

    space = sprox_zone_space(cat, number);
    if (space == NULL) {
        return SPROX_NOT_FOUND;
    }

    ref = sprox_map_find(cat, space->regions, prefix, &path);
    if (ref) {
        *id = sprox_region(cat, ref)->opened;
        return SPROX_OK;
    }

    if (prefix.len > SPROX_KEY_MAX) {
        return SPROX_LIMIT;
    }

    units = (uint32_t) SPROX_UNITS(sizeof(sprox_region_node_t) + prefix.len
                                   + sizeof(sprox_region_owner_t));

    sprox_zone_mark(cat);

    ref = take(cat, units);
    if (ref == 0) {
        sprox_zone_unmark(cat);
        return SPROX_FULL;
    }

    region = sprox_region(cat, ref);
    units = region->units;

    memset(region, 0, sizeof(sprox_region_node_t));
    region->outdated = INT64_MIN;
    region->node.key_len = (uint16_t) prefix.len;
    region->units = units;
    region->space = number;
    region->opened = ++cat->openings;

    memset(sprox_region_owner(region), 0, sizeof(sprox_region_owner_t));

    if (prefix.len) {
        memcpy(region + 1, prefix.data, prefix.len);
    }

    sprox_map_insert(cat, &space->regions, ref, &path);
    cat->regions++;

    sprox_zone_unmark(cat);

    *id = region->opened;

    return SPROX_OK;
}


sprox_region_node_t *
sprox_region_of(sprox_catalog_t *cat, uint32_t number, sprox_str_t prefix)
{
    uint32_t           ref;
    sprox_space_t     *space;
    sprox_map_path_t   path;

    sprox_zone_enter(cat);

    space = sprox_zone_space(cat, number);
    if (space == NULL) {
        return NULL;
    }

    ref = sprox_map_find(cat, space->regions, prefix, &path);

    return ref ? sprox_region(cat, ref) : NULL;
}


/* One that is complete but for a ban is not. */

static void
describe(sprox_catalog_t *cat, const sprox_region_node_t *node,
    sprox_region_t *region)
{
    sprox_space_t  *space;

    space = sprox_zone_space(cat, node->space);

    region->id = node->opened;
    region->crawled = node->crawled;
    region->objects = node->objects;
    region->bytes = node->bytes;
    region->complete = (node->node.flags & SPROX_REGION_COMPLETE)
                       && node->crawled
                          >= sprox_ban_latest(cat,
                                              sprox_node_key(&space->node),
                                              sprox_node_key(&node->node));
    region->overflow = (node->node.flags & SPROX_REGION_OVERFLOW) != 0;
    region->owned = sprox_owner_of(cat, node, &region->owner) != 0;
}


sprox_rc_t
sprox_catalog_region_get_locked(sprox_catalog_t *cat, uint32_t number,
    sprox_str_t prefix, sprox_region_t *region)
{
    sprox_region_node_t  *node;

    node = sprox_region_of(cat, number, prefix);
    if (node == NULL) {
        return SPROX_NOT_FOUND;
    }

    describe(cat, node, region);

    return SPROX_OK;
}


sprox_rc_t
sprox_catalog_regions_locked(sprox_catalog_t *cat, uint32_t number,
    sprox_catalog_region_pt visit, void *data)
{
    uint32_t              ref;
    sprox_rc_t            rc;
    sprox_space_t        *space;
    sprox_region_t        region;
    sprox_map_path_t      path;
    sprox_region_node_t  *node;

    sprox_zone_enter(cat);

    space = sprox_zone_space(cat, number);
    if (space == NULL) {
        return SPROX_NOT_FOUND;
    }

    ref = sprox_map_seek(cat, space->regions, no_text, SPROX_MAP_FROM, &path);

    for ( /* void */ ; ref; ref = sprox_map_next(cat, &path)) {
        node = sprox_region(cat, ref);
        describe(cat, node, &region);

        rc = visit(data, sprox_node_key(&node->node), &region);
        if (rc != SPROX_OK) {
            return rc;
        }
    }

    return SPROX_DONE;
}


sprox_rc_t
sprox_catalog_region_complete_locked(sprox_catalog_t *cat, uint32_t number,
    sprox_str_t prefix, uint32_t id, int64_t crawled)
{
    sprox_region_node_t  *region;

    region = sprox_region_of(cat, number, prefix);

    if (region == NULL || region->opened != id
        || crawled < region->outdated)
    {
        return SPROX_NOT_FOUND;
    }

    if (region->node.flags & SPROX_REGION_OVERFLOW) {
        return SPROX_FULL;
    }

    sprox_zone_mark(cat);

    if (!(region->node.flags & SPROX_REGION_COMPLETE)
        || region->crawled < crawled)
    {
        region->crawled = crawled;
        sprox_owner_done(region, crawled);
    }

    set_complete(cat, region, 1);

    sprox_zone_unmark(cat);

    return SPROX_OK;
}


sprox_rc_t
sprox_catalog_region_incomplete_locked(sprox_catalog_t *cat, uint32_t number,
    sprox_str_t prefix)
{
    sprox_region_node_t  *region;

    region = sprox_region_of(cat, number, prefix);
    if (region == NULL) {
        return SPROX_NOT_FOUND;
    }

    sprox_zone_mark(cat);
    set_complete(cat, region, 0);
    sprox_zone_unmark(cat);

    return SPROX_OK;
}


void
sprox_region_outdated(sprox_catalog_t *cat, sprox_str_t name,
    sprox_str_t prefix, int64_t before)
{
    uint32_t              ref;
    sprox_str_t           own;
    sprox_space_t        *space;
    sprox_map_path_t      path;
    sprox_region_node_t  *region;

    ref = sprox_map_find(cat, cat->spaces_root, name, &path);
    if (ref == 0) {
        return;
    }

    space = sprox_unit(cat, ref);

    ref = sprox_map_seek(cat, space->regions, no_text, SPROX_MAP_FROM, &path);

    for ( /* void */ ; ref; ref = sprox_map_next(cat, &path)) {
        region = sprox_region(cat, ref);
        own = sprox_node_key(&region->node);

        if (!sprox_str_starts(own, prefix) && !sprox_str_starts(prefix, own)) {
            continue;
        }

        if (region->outdated < before) {
            region->outdated = before;
        }

        if (region->crawled < before) {
            set_complete(cat, region, 0);
        }
    }
}


sprox_rc_t
sprox_catalog_region_drop_locked(sprox_catalog_t *cat, uint32_t number,
    sprox_str_t prefix)
{
    uint32_t              ref;
    sprox_space_t        *space;
    sprox_map_path_t      path;
    sprox_region_node_t  *region;

    sprox_zone_enter(cat);

    space = sprox_zone_space(cat, number);
    if (space == NULL) {
        return SPROX_NOT_FOUND;
    }

    ref = sprox_map_find(cat, space->regions, prefix, &path);
    if (ref == 0) {
        return SPROX_NOT_FOUND;
    }

    region = sprox_region(cat, ref);

    sprox_zone_mark(cat);

    set_complete(cat, region, 0);
    sprox_map_remove(cat, &space->regions, ref, &path);
    cat->regions--;

    region->node.flags |= SPROX_REGION_DROPPED;
    release_later(cat, ref);

    sprox_zone_unmark(cat);

    return SPROX_OK;
}


sprox_region_node_t *
sprox_region_known(sprox_catalog_t *cat, uint32_t number, sprox_str_t prefix)
{
    size_t                len;
    int64_t               banned;
    sprox_space_t        *space;
    sprox_region_node_t  *region, *known;

    space = sprox_zone_space(cat, number);
    if (space == NULL) {
        return NULL;
    }

    banned = sprox_ban_latest(cat, sprox_node_key(&space->node), prefix);

    known = NULL;
    len = prefix.len + 1;

    for ( ;; ) {
        region = holder(cat, space, prefix, &len);
        if (region == NULL) {
            return known;
        }

        if ((region->node.flags & SPROX_REGION_COMPLETE)
            && region->crawled >= banned
            && (known == NULL || region->crawled > known->crawled))
        {
            known = region;
        }
    }
}


sprox_rc_t
sprox_catalog_covered_locked(sprox_catalog_t *cat, uint32_t number,
    sprox_str_t prefix, int64_t *crawled)
{
    sprox_region_node_t  *region;

    sprox_zone_enter(cat);

    region = sprox_region_known(cat, number, prefix);
    if (region == NULL) {
        return SPROX_NOT_FOUND;
    }

    *crawled = region->crawled;

    return SPROX_OK;
}
