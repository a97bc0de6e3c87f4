/*
 * The allocator inside the catalog's memory.  Private to the catalog.
 *
 * Everything is counted in units of 16 bytes and named by a ref: the unit's
 * number from the start of the memory (the base), so that 32 bits reach
 * 64 GiB and each process may map the memory elsewhere.  Ref 0 is none.
 */

#ifndef SPROX_ARENA_H
#define SPROX_ARENA_H


#include "sprox_base.h"


#define SPROX_UNIT             16
#define SPROX_UNITS(bytes)     (((bytes) + SPROX_UNIT - 1) / SPROX_UNIT)

#define SPROX_ARENA_FL         26          /* powers of two of sizes */
#define SPROX_ARENA_SL         16          /* lists for each */
#define SPROX_ARENA_BLOCK_MAX  ((1u << 29) - 1)
#define SPROX_ARENA_ALLOC_MAX  (1u << 20)  /* units of one allocation */


typedef struct {
    uint32_t  first;                       /* the first block */
    uint32_t  end;                         /* the block that closes it */
    uint32_t  used;                        /* units in used blocks */
    uint32_t  fl_map;                      /* rows that have free blocks */
    uint16_t  sl_map[SPROX_ARENA_FL];      /* lists that have, by row */
    uint32_t  lists[SPROX_ARENA_FL][SPROX_ARENA_SL];
} sprox_arena_t;


static inline void *
sprox_unit(void *base, uint32_t ref)
{
    return (uint8_t *) base + (size_t) ref * SPROX_UNIT;
}


/*
 * Makes [first, end) one free space; the unit `end` belongs to the arena
 * too and closes it.  end - first must be 1 at least.
 */
void sprox_arena_init(void *base, sprox_arena_t *arena, uint32_t first,
    uint32_t end);

/*
 * A block of that many units, or 0.  Its first four bytes are the arena's,
 * the others the caller's.  tag: a bit that the block keeps for the caller.
 */
uint32_t sprox_arena_alloc(void *base, sprox_arena_t *arena, uint32_t units,
    unsigned tag);

/* Frees a block; returns the free block that it has become (a part of). */
uint32_t sprox_arena_free(void *base, sprox_arena_t *arena, uint32_t ref);

/* How large a free block must be for alloc() to be sure to find it. */
uint32_t sprox_arena_fit(uint32_t units);

/* The block after ref, or 0 at the end. */
uint32_t sprox_arena_next(void *base, const sprox_arena_t *arena,
    uint32_t ref);

uint32_t sprox_arena_units(void *base, uint32_t ref);
unsigned sprox_arena_tag(void *base, uint32_t ref);
int sprox_arena_is_free(void *base, uint32_t ref);

/* NULL, or what is wrong with the arena; for tests. */
const char *sprox_arena_check(void *base, const sprox_arena_t *arena);


#endif /* SPROX_ARENA_H */
