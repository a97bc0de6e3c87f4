/*
 * What lies in the catalog's memory.  Private to the catalog, its checker
 * and its tests.
 */

#ifndef SPROX_ZONE_H
#define SPROX_ZONE_H


#include <stdatomic.h>

#include "sprox_catalog.h"
#include "sprox_map.h"


#define SPROX_CATALOG_MAGIC    0x676f6c6174786f72ULL   /* "roxtalog" */
#define SPROX_CATALOG_FORMAT   3

#define SPROX_CLASS_OTHER      255   /* the record holds the text */

/* One chunk of a chain; larger ones would be hard to find room for. */
#define SPROX_CHUNK_BYTES      240


/* Marks in node.flags. */

#define SPROX_RECORD_LISTED    1
#define SPROX_RECORD_HEADED    2
#define SPROX_RECORD_ABSENT    4
#define SPROX_RECORD_SETTLED   8
#define SPROX_RECORD_TOLD      16
#define SPROX_RECORD_DOUBTED   32
#define SPROX_RECORD_HELD      64    /* by a region; in no order of use */


typedef enum {
    SPROX_ETAG_NONE = 0,
    SPROX_ETAG_MD5,             /* "32 of 0-9a-f": 16 bytes */
    SPROX_ETAG_PARTS,           /* "32 of 0-9a-f-N": 16 bytes, N in number */
    SPROX_ETAG_TEXT             /* as it came, its length in number */
} sprox_etag_kind_t;


/*
 * An object: these 64 bytes, the key, the ETag, the storage class when it is
 * none of the known, and the sequencer.
 */

typedef struct {
    sprox_node_t  node;

    uint32_t      newer;        /* used more recently; 0: none */
    uint32_t      older;        /* when held: the last opening, and 0 */
    uint32_t      version;      /* chains; 0: empty */
    uint32_t      headers;

    uint64_t      size;
    int64_t       last_modified;
    int64_t       proved;

    uint16_t      space;
    uint16_t      etag_number;
    uint8_t       etag_kind;
    uint8_t       class;
    uint8_t       class_len;    /* of SPROX_CLASS_OTHER */
    uint8_t       sequencer_len;
} sprox_record_t;


/* A piece of a longer string. */

typedef struct {
    uint32_t  head;             /* the arena's */
    uint32_t  next;             /* 0: the last */
    uint32_t  owner;            /* the record */
    uint32_t  len;
} sprox_chunk_t;


/* A space; its name follows. */

typedef struct {
    sprox_node_t  node;

    uint32_t      root;         /* the map of its objects */
    uint32_t      number;
    uint64_t      objects;
    uint64_t      absent;
    uint32_t      regions;      /* the map of its regions */
    uint32_t      spare[5];
} sprox_space_t;


struct sprox_catalog_s {
    uint64_t           magic;
    uint32_t           format;
    volatile uint32_t  changing;      /* the mark */
    uint64_t           size;          /* of the memory */

    /* these outlive emptying */
    uint64_t           epoch;
    uint64_t           emptied;
    uint64_t           evicted;
    uint64_t           changes;       /* of what is known */
    uint32_t           openings;      /* of regions, so far */

    uint32_t           bans;          /* the tables of bans, see ban.c */
    uint32_t           bans_units;
    volatile uint32_t  bans_active;
    volatile uint64_t  bans_seq;      /* 0: there is none */
    uint64_t           bans_changes;

    uint64_t           objects;
    uint64_t           absent;
    uint32_t           newest;        /* ends of the order of use */
    uint32_t           oldest;

    uint64_t           held;          /* records that regions hold */
    uint64_t           held_units;    /* of the arena */
    uint32_t           regions;
    uint32_t           complete;      /* of the regions */
    uint32_t           regions_free;  /* lists of regions */
    uint32_t           releasing;
    uint32_t           release_len;   /* how far the first one's walk is */
    uint8_t            release_after[SPROX_KEY_MAX];

    uint32_t           owners_root;   /* map by id and name, see owner.c */
    uint32_t           owners_n;

    uint32_t           spaces_root;   /* map by name */
    uint32_t           spaces_n;
    uint32_t           spaces_max;
    uint32_t           spaces_table;  /* refs by number; [0] is not used */
    uint32_t           spaces_next;   /* the first free unit */
    uint32_t           spaces_end;

    sprox_arena_t      arena;         /* objects and chunks */
};


static inline sprox_record_t *
sprox_record(sprox_catalog_t *cat, uint32_t ref)
{
    return sprox_unit(cat, ref);
}


/* Nothing is known of it, but that there may be something. */

static inline int
sprox_record_suspected(const sprox_record_t *record)
{
    return (~record->node.flags
            & (SPROX_RECORD_ABSENT | SPROX_RECORD_DOUBTED))
           == 0;
}


/* Around each change, so that whoever comes next knows of one unfinished. */

static inline void
sprox_zone_mark(sprox_catalog_t *cat)
{
    cat->changes++;
    cat->changing = 1;
    atomic_signal_fence(memory_order_seq_cst);
}


static inline void
sprox_zone_unmark(sprox_catalog_t *cat)
{
    atomic_signal_fence(memory_order_seq_cst);
    cat->changing = 0;
}


/* The mark was found set: begins anew.  In catalog.c. */
void sprox_zone_empty(sprox_catalog_t *cat);

/* First in each function that holds the lock. */

static inline void
sprox_zone_enter(sprox_catalog_t *cat)
{
    if (cat->changing) {
        sprox_zone_empty(cat);
    }
}


/* A put that is under way; eviction must leave its records alone. */

typedef struct {
    uint32_t  old;               /* what is known, or 0 */
    uint32_t  ref;               /* what is being written, or 0 */
} sprox_put_t;


/*
 * All of the following are in zone.c; the mark is set around them.
 *
 * sprox_zone_space: NULL when there is none of that number.
 * sprox_zone_units: of a record, with its chains.
 * sprox_zone_use: makes a record the most recently used, unless it is held.
 * sprox_zone_use_last: puts one in no order in as the least recently used.
 * sprox_zone_rejoin: is it held, by what the regions are now?
 * sprox_zone_forget: of a held record, all that listings do not tell; it is
 *     doubted.
 * sprox_zone_drop: takes a record out of everything and frees it.
 * sprox_zone_store: writes an object over what is known of it (put->old,
 *     known), or as a new one.  Evicts.  SPROX_OK or SPROX_FULL.
 */

sprox_space_t *sprox_zone_space(sprox_catalog_t *cat, uint32_t number);
uint32_t sprox_zone_units(sprox_catalog_t *cat, uint32_t ref);
void sprox_zone_use(sprox_catalog_t *cat, uint32_t ref);
void sprox_zone_use_last(sprox_catalog_t *cat, uint32_t ref);
void sprox_zone_rejoin(sprox_catalog_t *cat, uint32_t ref);
void sprox_zone_forget(sprox_catalog_t *cat, uint32_t ref);
void sprox_zone_drop(sprox_catalog_t *cat, uint32_t ref);
sprox_rc_t sprox_zone_store(sprox_catalog_t *cat, uint32_t number,
    sprox_str_t key, const sprox_object_t *object,
    const sprox_object_t *known, sprox_put_t *put);

/*
 * All of the following are in record.c.
 *
 * sprox_record_units: of a record for that object.
 * sprox_record_write: all but node.head, links, order of use, space and
 *     chains; the record must be of sprox_record_units().
 * sprox_record_read: strings are copied into buf (SPROX_OBJECT_BUF).
 * sprox_record_tell: the same for callers: what is doubted has no proof.
 * sprox_object_check: SPROX_OK or SPROX_LIMIT.
 * sprox_object_plain: without the fields that do not hold.
 * sprox_object_merge: two descriptions of the same version in one, which
 *     points into both; a is the newer.
 */

uint32_t sprox_record_units(sprox_str_t key, const sprox_object_t *object);
void sprox_record_write(sprox_record_t *record, sprox_str_t key,
    const sprox_object_t *object);
void sprox_record_read(sprox_catalog_t *cat, const sprox_record_t *record,
    sprox_object_t *object, uint8_t *buf);
void sprox_record_tell(sprox_catalog_t *cat, const sprox_record_t *record,
    sprox_object_t *object, uint8_t *buf);

sprox_rc_t sprox_object_check(const sprox_object_t *object);
sprox_object_t sprox_object_plain(const sprox_object_t *object);
sprox_object_t sprox_object_merge(const sprox_object_t *a,
    const sprox_object_t *b);


#endif /* SPROX_ZONE_H */
