/*
 * Regions outlive who opened them: the catalog does not know for whom they
 * hold.  So it is asked for each whether anybody wants it still.
 */

#include "sprox_region.h"


/* Spaces that are looked into in one go, which may have no region at all. */
#define SPROX_KEEP_SPACES  256


/*
 * The last that was looked at.  Who is killed in here has looked at none of
 * the space: it is begun again.
 */

static void
looked_at(sprox_catalog_keep_t *at, sprox_str_t prefix)
{
    at->len = 0;
    __sync_synchronize();

    if (prefix.len) {
        memcpy(at->prefix, prefix.data, prefix.len);
    }

    __sync_synchronize();
    at->len = (uint32_t) prefix.len + 1;
}


/* n: how many may still be looked at.  SPROX_AGAIN: the space has more. */

static sprox_rc_t
keep(sprox_catalog_t *cat, const sprox_space_t *space,
    sprox_catalog_keep_t *at, size_t *n, sprox_catalog_wanted_pt wanted,
    void *data)
{
    uint32_t           ref;
    sprox_str_t        prefix;
    sprox_map_path_t   path;

    prefix = at->len ? sprox_str_make(at->prefix, at->len - 1)
                     : sprox_str_null;

    ref = sprox_map_seek(cat, space->regions, prefix,
                         at->len ? SPROX_MAP_AFTER : SPROX_MAP_FROM, &path);

    while (ref) {
        if (*n == 0) {
            return SPROX_AGAIN;
        }

        (*n)--;

        prefix = sprox_node_key(&sprox_region(cat, ref)->node);

        looked_at(at, prefix);

        if (wanted(data, sprox_node_key(&space->node), prefix)) {
            ref = sprox_map_next(cat, &path);
            continue;
        }

        /* it lies there until all is released, but the way to it is lost */

        (void) sprox_catalog_region_drop_locked(cat, space->number, prefix);

        ref = sprox_map_seek(cat, space->regions, prefix, SPROX_MAP_AFTER,
                             &path);
    }

    return SPROX_DONE;
}


sprox_rc_t
sprox_catalog_regions_keep_locked(sprox_catalog_t *cat,
    sprox_catalog_keep_t *at, size_t n, sprox_catalog_wanted_pt wanted,
    void *data)
{
    size_t  spaces;

    sprox_zone_enter(cat);

    spaces = SPROX_KEEP_SPACES;

    while (cat->regions && at->spaces < cat->spaces_n) {

        if (spaces-- == 0
            || keep(cat, sprox_zone_space(cat, at->spaces + 1), at, &n,
                    wanted, data)
               == SPROX_AGAIN)
        {
            return SPROX_AGAIN;
        }

        at->len = 0;
        __sync_synchronize();
        at->spaces++;
    }

    return SPROX_DONE;
}
