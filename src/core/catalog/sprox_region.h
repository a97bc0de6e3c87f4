/*
 * Regions as they lie in the catalog's memory.  Private to the catalog and
 * its tests.
 */

#ifndef SPROX_REGION_H
#define SPROX_REGION_H


#include "sprox_zone.h"


/* Marks in node.flags. */

#define SPROX_REGION_COMPLETE   1
#define SPROX_REGION_OVERFLOW   2    /* holds nothing (any more) */
#define SPROX_REGION_RELEASING  4    /* in the list of cat->releasing */
#define SPROX_REGION_DROPPED    8    /* in no map; freed when released */

/* Of the memory for objects regions hold no more, so that what belongs to
   none has room. */
#define SPROX_HELD_EIGHTHS      7


/*
 * A region; its prefix follows, and in the last of its units whose the
 * objects are.  A node of its space's map of regions.
 */

typedef struct {
    sprox_node_t  node;

    uint32_t      next;             /* in the list that it is in */
    uint32_t      units;
    uint32_t      opened;           /* which opening of all; see region.c */
    uint32_t      space;
    int64_t       crawled;
    uint64_t      objects;
    uint64_t      bytes;
    int64_t       outdated;         /* a crawl that began before does not
                                       tell all */
} sprox_region_node_t;


/* Refs of owners, or: */

#define SPROX_OWNER_UNKNOWN     0    /* there was no object */
#define SPROX_OWNER_SEVERAL     1    /* a ref that no owner has */

typedef struct {
    uint32_t      owner;            /* by the last crawl that completed */
    uint32_t      seen;             /* so far, by the one that began then: */
    int64_t       crawl;
} sprox_region_owner_t;


static inline sprox_region_node_t *
sprox_region(sprox_catalog_t *cat, uint32_t ref)
{
    return sprox_unit(cat, ref);
}


static inline sprox_region_owner_t *
sprox_region_owner(const sprox_region_node_t *region)
{
    return sprox_unit((void *) region, region->units - 1);
}


/*
 * All of the following are in region.c; the mark is set around those that
 * change something.
 *
 * sprox_region_of: the one of that very prefix, or NULL.
 * sprox_region_known: the complete one that covers a prefix, and whose crawl
 *     was the latest of those, or NULL.
 * sprox_region_cover: the longest region that a key lies in and that is
 *     shorter than *n, which becomes its length; start with key.len + 1 to
 *     get them all.  0: there is none.
 * sprox_region_hold: holds a record that is in no order of use, if a region
 *     covers it; returns whether it does.
 * sprox_region_let_go: the opposite; the record is then in no order.
 * sprox_region_overflow: what cover the key could not keep it.
 * sprox_region_lost: of a key, what was told then is forgotten: only a crawl
 *     that began later tells all.
 * sprox_region_outdated: a ban of that time over a prefix is lifted.
 * sprox_region_release: looks at n records of those that dropped regions
 *     held.  SPROX_AGAIN or SPROX_DONE.
 */

sprox_region_node_t *sprox_region_of(sprox_catalog_t *cat, uint32_t number,
    sprox_str_t prefix);
sprox_region_node_t *sprox_region_known(sprox_catalog_t *cat, uint32_t number,
    sprox_str_t prefix);
uint32_t sprox_region_cover(sprox_catalog_t *cat, const sprox_space_t *space,
    sprox_str_t key, size_t *n);
int sprox_region_hold(sprox_catalog_t *cat, uint32_t ref);
void sprox_region_let_go(sprox_catalog_t *cat, uint32_t ref);
void sprox_region_overflow(sprox_catalog_t *cat, const sprox_space_t *space,
    sprox_str_t key);
void sprox_region_lost(sprox_catalog_t *cat, const sprox_space_t *space,
    sprox_str_t key, int64_t before);
void sprox_region_outdated(sprox_catalog_t *cat, sprox_str_t name,
    sprox_str_t prefix, int64_t before);
sprox_rc_t sprox_region_release(sprox_catalog_t *cat, size_t n);

/*
 * In owner.c; the mark is set around the first.
 *
 * sprox_owner_done: a crawl that began then has completed the region.
 * sprox_owner_of: of the region's objects, in the catalog's memory; 0: there
 *     are several, or nobody told of any.
 * sprox_owner_valid: for the checker: what a region says is one.
 */

void sprox_owner_done(const sprox_region_node_t *region, int64_t crawled);
int sprox_owner_of(sprox_catalog_t *cat, const sprox_region_node_t *region,
    sprox_owner_t *owner);
int sprox_owner_valid(sprox_catalog_t *cat, uint32_t owner);


#endif /* SPROX_REGION_H */
