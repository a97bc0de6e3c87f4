/*
 * Bans as they lie in the catalog's memory.  Private to the catalog and its
 * tests.
 */

#ifndef SPROX_BAN_H
#define SPROX_BAN_H


#include "sprox_zone.h"


/* The memory of both tables: a part of the whole. */
#define SPROX_BANS_PART      32
#define SPROX_BANS_SIZE_MIN  (8 * 1024)
#define SPROX_BANS_SIZE_MAX  (256 * 1024)

/* No proof is older: nothing is banned everywhere. */
#define SPROX_BANS_NONE      INT64_MIN


/* A table: this, the offsets of its entries in their order, the entries. */

typedef struct {
    uint32_t  sum;                  /* CRC-32 of all that follows */
    uint32_t  used;                 /* bytes */
    uint32_t  n;
    uint32_t  spare;
    uint64_t  next_id;
    int64_t   all;                  /* what was proved before is banned in
                                       every space */
} sprox_bans_t;


/* Name and prefix follow. */

typedef struct {
    uint64_t  id;
    int64_t   time;
    uint16_t  name_len;
    uint16_t  prefix_len;
    uint32_t  spare;
} sprox_ban_entry_t;


/*
 * All of the following are in ban.c.
 *
 * sprox_ban_init: empty tables, in cat->bans_units units at cat->bans.
 * sprox_ban_recover: of a process that was killed, the whole table.
 * sprox_ban_covers: whether what was proved then of a key is banned.
 * sprox_ban_latest: the time of the last ban under which any key of the
 *     prefix falls, or SPROX_BANS_NONE.
 * sprox_ban_check: NULL, or what is wrong.
 */

void sprox_ban_init(sprox_catalog_t *cat);
void sprox_ban_recover(sprox_catalog_t *cat);
int sprox_ban_covers(sprox_catalog_t *cat, sprox_str_t name, sprox_str_t key,
    int64_t proved);
int64_t sprox_ban_latest(sprox_catalog_t *cat, sprox_str_t name,
    sprox_str_t prefix);
const char *sprox_ban_check(sprox_catalog_t *cat);


static inline int
sprox_zone_banned(sprox_catalog_t *cat, const sprox_record_t *record)
{
    return cat->bans_seq
           && sprox_ban_covers(cat,
                  sprox_node_key(&sprox_zone_space(cat, record->space)->node),
                  sprox_node_key(&record->node), record->proved);
}


#endif /* SPROX_BAN_H */
