/*
 * Regions outlive who opened them: the catalog does not know for whom they
 * hold.  So it is asked for each whether anybody wants it still.
 */

#include "sprox_region.h"


static void
keep(sprox_catalog_t *cat, const sprox_space_t *space,
    sprox_catalog_wanted_pt wanted, void *data)
{
    uint32_t           ref;
    sprox_str_t        prefix;
    sprox_map_path_t   path;

    ref = sprox_map_seek(cat, space->regions, sprox_str_null, SPROX_MAP_FROM,
                         &path);

    while (ref) {
        prefix = sprox_node_key(&sprox_region(cat, ref)->node);

        if (wanted(data, sprox_node_key(&space->node), prefix)) {
            ref = sprox_map_next(cat, &path);
            continue;
        }

        /* it lies there until all is released, but the way to it is lost */

        (void) sprox_catalog_region_drop_locked(cat, space->number, prefix);

        ref = sprox_map_seek(cat, space->regions, prefix, SPROX_MAP_AFTER,
                             &path);
    }
}


sprox_rc_t
sprox_catalog_regions_keep_locked(sprox_catalog_t *cat, uint32_t *number,
    size_t n, sprox_catalog_wanted_pt wanted, void *data)
{
    sprox_zone_enter(cat);

    for ( /* void */ ; n && cat->regions && *number < cat->spaces_n; n--) {
        keep(cat, sprox_zone_space(cat, ++*number), wanted, data);
    }

    return cat->regions && *number < cat->spaces_n ? SPROX_AGAIN : SPROX_DONE;
}
