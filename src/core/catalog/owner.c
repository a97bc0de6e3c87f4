/*
 * Whose the objects of a region are.  A listing of S3's first version always
 * tells it, and one of the second when it is asked to.
 *
 * Nearly every bucket has one owner, so it is kept for a region and not for
 * each object, and one that has several says no more than that.
 *
 *                 another one        any
 *   unknown ----> one ----> several -----+
 *            one                ^        |
 *                               +--------+
 *
 * A crawl gathers what it sees apart from what is known, and it counts when
 * the crawl is complete: the first page of the next one tells only of some
 * objects.  But an owner that it finds besides the known one counts at once,
 * for his object is listed at once.
 *
 * Owners are few: each is kept once, in the memory of spaces, by its id and
 * its name with a NUL between them, which no document can hold.  Both are
 * empty for a store that tells of none.
 */

#include "sprox_region.h"


#define OWNER_TEXT_MAX  (2 * SPROX_OWNER_MAX + 1)


/* Its text follows.  A node of the map of owners. */

typedef struct {
    sprox_node_t  node;

    uint32_t      id_len;
    uint32_t      spare[11];
} owner_node_t;


/* The ref of an owner, which becomes known; what cannot be kept is several. */

static uint32_t
intern(sprox_catalog_t *cat, const sprox_owner_t *owner)
{
    size_t             len;
    uint8_t            text[OWNER_TEXT_MAX];
    uint32_t           ref, units;
    owner_node_t      *node;
    sprox_map_path_t   path;

    if (owner->id.len > SPROX_OWNER_MAX || owner->name.len > SPROX_OWNER_MAX) {
        return SPROX_OWNER_SEVERAL;
    }

    len = owner->id.len;

    if (len) {
        memcpy(text, owner->id.data, len);
    }

    text[len++] = '\0';

    if (owner->name.len) {
        memcpy(text + len, owner->name.data, owner->name.len);
        len += owner->name.len;
    }

    ref = sprox_map_find(cat, cat->owners_root, sprox_str_make(text, len),
                         &path);
    if (ref) {
        return ref;
    }

    ref = cat->spaces_next;
    units = (uint32_t) SPROX_UNITS(sizeof(owner_node_t) + len);

    if (units > cat->spaces_end - ref || cat->owners_n == SPROX_OWNERS_MAX) {
        return SPROX_OWNER_SEVERAL;
    }

    cat->spaces_next += units;
    cat->owners_n++;

    node = sprox_unit(cat, ref);
    memset(node, 0, sizeof(owner_node_t));
    node->node.key_len = (uint16_t) len;
    node->id_len = (uint32_t) owner->id.len;
    memcpy(node + 1, text, len);

    sprox_map_insert(cat, &cat->owners_root, ref, &path);

    return ref;
}


sprox_rc_t
sprox_catalog_region_owner_locked(sprox_catalog_t *cat, uint32_t number,
    sprox_str_t prefix, uint32_t id, int64_t crawled,
    const sprox_owner_t *owner)
{
    uint32_t               ref;
    sprox_region_node_t   *region;
    sprox_region_owner_t  *of;

    region = sprox_region_of(cat, number, prefix);

    if (region == NULL || region->opened != id) {
        return SPROX_NOT_FOUND;
    }

    of = sprox_region_owner(region);

    if (crawled < of->crawl) {
        return SPROX_NOT_FOUND;
    }

    sprox_zone_mark(cat);

    ref = intern(cat, owner);

    if (crawled > of->crawl) {
        of->crawl = crawled;
        of->seen = SPROX_OWNER_UNKNOWN;
    }

    if (of->seen == SPROX_OWNER_UNKNOWN) {
        of->seen = ref;

    } else if (of->seen != ref) {
        of->seen = SPROX_OWNER_SEVERAL;
    }

    if (of->owner != SPROX_OWNER_UNKNOWN && of->owner != ref) {
        of->owner = SPROX_OWNER_SEVERAL;
    }

    sprox_zone_unmark(cat);

    return of->seen == SPROX_OWNER_SEVERAL ? SPROX_DONE : SPROX_OK;
}


void
sprox_owner_done(const sprox_region_node_t *region, int64_t crawled)
{
    sprox_region_owner_t  *of;

    of = sprox_region_owner(region);
    of->owner = of->crawl == crawled ? of->seen : SPROX_OWNER_UNKNOWN;
}


int
sprox_owner_of(sprox_catalog_t *cat, const sprox_region_node_t *region,
    sprox_owner_t *owner)
{
    uint32_t       ref;
    sprox_str_t    text;
    owner_node_t  *node;

    ref = sprox_region_owner(region)->owner;

    if (ref == SPROX_OWNER_UNKNOWN || ref == SPROX_OWNER_SEVERAL) {
        return 0;
    }

    node = sprox_unit(cat, ref);
    text = sprox_node_key(&node->node);

    owner->id = sprox_str_make(text.data, node->id_len);
    owner->name = sprox_str_from(text, node->id_len + 1);

    return 1;
}


sprox_rc_t
sprox_catalog_owner_locked(sprox_catalog_t *cat, uint32_t number,
    sprox_str_t prefix, sprox_owner_t *owner, uint8_t *buf)
{
    sprox_region_node_t  *region;

    sprox_zone_enter(cat);

    region = sprox_region_known(cat, number, prefix);

    if (region == NULL || !sprox_owner_of(cat, region, owner)) {
        return SPROX_NOT_FOUND;
    }

    memcpy(buf, owner->id.data, owner->id.len);
    owner->id.data = buf;
    buf += owner->id.len;

    memcpy(buf, owner->name.data, owner->name.len);
    owner->name.data = buf;

    return SPROX_OK;
}


int
sprox_owner_valid(sprox_catalog_t *cat, uint32_t owner)
{
    sprox_map_path_t  path;

    return owner == SPROX_OWNER_UNKNOWN || owner == SPROX_OWNER_SEVERAL
           || (owner < cat->spaces_next
               && sprox_map_find(cat, cat->owners_root,
                        sprox_node_key(sprox_unit(cat, owner)), &path)
                  == owner);
}
