/*
 * The catalog needs an allocator whose every byte lies in the shared memory,
 * that costs four bytes a block, and in which neighbours that are free are
 * always one: then evicting objects until a new one fits comes to an end.
 * nginx's slab allocator rounds to powers of two and would waste a third.
 *
 * Two-level segregated fit (Masmano and others, 2004): a list of free blocks
 * for each sixteenth of each power of two, with bit maps over the lists.
 * Taking, splitting, freeing and joining are all done in constant time.
 *
 *     used block                       free block
 *     +------+----------------------+  +------+------+------+-----+------+
 *     | head | the caller's         |  | head | next | prev | ... | size |
 *     +------+----------------------+  +------+------+------+-----+------+
 *
 *     head: size in units << 3 | TAG | PREV_FREE | FREE
 *
 * The size at the end of a free block is how the block behind it, told by
 * PREV_FREE, finds its start.  A free block of one unit just holds its four
 * words.  The arena ends in a used block of one unit.
 */

#include "sprox_arena.h"


#define FREE         1u
#define PREV_FREE    2u
#define TAG          4u
#define SIZE_SHIFT   3

/* words of a block */
#define HEAD         0
#define NEXT         1
#define PREV         2

#define SL_BITS      4


/*
 * Blocks are read and written as plain words, never as structs of this file:
 * the same bytes are other structs to the caller.
 */

static uint32_t *
block(void *base, uint32_t ref)
{
    return sprox_unit(base, ref);
}


static uint32_t
size_of(void *base, uint32_t ref)
{
    return block(base, ref)[HEAD] >> SIZE_SHIFT;
}


static void
class_of(uint32_t units, unsigned *fl, unsigned *sl)
{
    unsigned  log2;

    if (units < SPROX_ARENA_SL) {
        *fl = 0;
        *sl = units;
        return;
    }

    log2 = 31 - (unsigned) __builtin_clz(units);

    *fl = log2 - SL_BITS + 1;
    *sl = (units >> (log2 - SL_BITS)) & (SPROX_ARENA_SL - 1);
}


uint32_t
sprox_arena_fit(uint32_t units)
{
    unsigned  log2;

    if (units < SPROX_ARENA_SL) {
        return units;
    }

    log2 = 31 - (unsigned) __builtin_clz(units);

    return units + (1u << (log2 - SL_BITS)) - 1;
}


/* Writes a free block and enters it in its list. */

static void
enter(void *base, sprox_arena_t *arena, uint32_t ref, uint32_t units,
    uint32_t prev_free)
{
    uint32_t  *b, head;
    unsigned   fl, sl;

    class_of(units, &fl, &sl);

    head = arena->lists[fl][sl];

    b = block(base, ref);
    b[HEAD] = (units << SIZE_SHIFT) | prev_free | FREE;
    b[NEXT] = head;
    b[PREV] = 0;

    block(base, ref + units)[-1] = units;
    block(base, ref + units)[HEAD] |= PREV_FREE;

    if (head) {
        block(base, head)[PREV] = ref;
    }

    arena->lists[fl][sl] = ref;
    arena->sl_map[fl] |= (uint16_t) (1u << sl);
    arena->fl_map |= 1u << fl;
}


/* Takes a free block out of its list; its head is the caller's to change. */

static void
leave(void *base, sprox_arena_t *arena, uint32_t ref)
{
    uint32_t  *b;
    unsigned   fl, sl;

    b = block(base, ref);

    if (b[NEXT]) {
        block(base, b[NEXT])[PREV] = b[PREV];
    }

    if (b[PREV]) {
        block(base, b[PREV])[NEXT] = b[NEXT];
        return;
    }

    class_of(b[HEAD] >> SIZE_SHIFT, &fl, &sl);

    arena->lists[fl][sl] = b[NEXT];

    if (b[NEXT] == 0) {
        arena->sl_map[fl] &= (uint16_t) ~(1u << sl);

        if (arena->sl_map[fl] == 0) {
            arena->fl_map &= ~(1u << fl);
        }
    }
}


void
sprox_arena_init(void *base, sprox_arena_t *arena, uint32_t first,
    uint32_t end)
{
    uint32_t  ref, units, prev_free;

    memset(arena, 0, sizeof(sprox_arena_t));

    arena->first = first;
    arena->end = end;

    /* more than one block only where a head cannot say the size */

    prev_free = 0;

    for (ref = first; ref < end; ref += units) {
        units = end - ref;
        if (units > SPROX_ARENA_BLOCK_MAX) {
            units = SPROX_ARENA_BLOCK_MAX;
        }

        block(base, ref + units)[HEAD] = 1u << SIZE_SHIFT;
        enter(base, arena, ref, units, prev_free);

        prev_free = PREV_FREE;
    }
}


uint32_t
sprox_arena_alloc(void *base, sprox_arena_t *arena, uint32_t units,
    unsigned tag)
{
    uint32_t  ref, rest, bits, *b;
    unsigned  fl, sl;

    if (units == 0 || units > SPROX_ARENA_ALLOC_MAX) {
        return 0;
    }

    /* any block of the list that the rounded size falls in is large enough */

    class_of(sprox_arena_fit(units), &fl, &sl);

    bits = arena->sl_map[fl] & (~0u << sl);

    if (bits == 0) {
        bits = arena->fl_map & (~0u << (fl + 1));
        if (bits == 0) {
            return 0;
        }

        fl = (unsigned) __builtin_ctz(bits);
        bits = arena->sl_map[fl];
    }

    sl = (unsigned) __builtin_ctz(bits);
    ref = arena->lists[fl][sl];

    leave(base, arena, ref);

    b = block(base, ref);
    rest = (b[HEAD] >> SIZE_SHIFT) - units;

    b[HEAD] = (units << SIZE_SHIFT) | (b[HEAD] & PREV_FREE) | (tag ? TAG : 0);

    if (rest) {
        enter(base, arena, ref + units, rest, 0);

    } else {
        block(base, ref + units)[HEAD] &= ~PREV_FREE;
    }

    arena->used += units;

    return ref;
}


uint32_t
sprox_arena_free(void *base, sprox_arena_t *arena, uint32_t ref)
{
    uint32_t  prev, next, units, prev_free;

    units = size_of(base, ref);
    prev_free = block(base, ref)[HEAD] & PREV_FREE;
    next = ref + units;

    arena->used -= units;

    if ((block(base, next)[HEAD] & FREE)
        && units + size_of(base, next) <= SPROX_ARENA_BLOCK_MAX)
    {
        leave(base, arena, next);
        units += size_of(base, next);
    }

    if (prev_free) {
        prev = ref - block(base, ref)[-1];

        if (units + size_of(base, prev) <= SPROX_ARENA_BLOCK_MAX) {
            leave(base, arena, prev);
            units += size_of(base, prev);
            prev_free = block(base, prev)[HEAD] & PREV_FREE;
            ref = prev;
        }
    }

    enter(base, arena, ref, units, prev_free);

    return ref;
}


uint32_t
sprox_arena_next(void *base, const sprox_arena_t *arena, uint32_t ref)
{
    ref += size_of(base, ref);

    return ref == arena->end ? 0 : ref;
}


uint32_t
sprox_arena_units(void *base, uint32_t ref)
{
    return size_of(base, ref);
}


unsigned
sprox_arena_tag(void *base, uint32_t ref)
{
    return (block(base, ref)[HEAD] & TAG) != 0;
}


int
sprox_arena_is_free(void *base, uint32_t ref)
{
    return (block(base, ref)[HEAD] & FREE) != 0;
}


/* The lists: every entry free, of its class, linked both ways. */

static const char *
check_lists(void *base, const sprox_arena_t *arena, uint64_t *n)
{
    uint32_t  ref, prev;
    unsigned  fl, sl, i, j;

    for (i = 0; i < SPROX_ARENA_FL; i++) {
        if (((arena->fl_map >> i) & 1) != (arena->sl_map[i] != 0)) {
            return "arena: the map of rows is wrong";
        }

        for (j = 0; j < SPROX_ARENA_SL; j++) {
            if (((arena->sl_map[i] >> j) & 1u) != (arena->lists[i][j] != 0)) {
                return "arena: the map of lists is wrong";
            }

            prev = 0;

            for (ref = arena->lists[i][j]; ref; ref = block(base, ref)[NEXT]) {
                class_of(size_of(base, ref), &fl, &sl);

                if (!sprox_arena_is_free(base, ref) || fl != i || sl != j
                    || block(base, ref)[PREV] != prev
                    || *n > arena->end - arena->first)
                {
                    return "arena: a list is wrong";
                }

                prev = ref;
                (*n)++;
            }
        }
    }

    return NULL;
}


const char *
sprox_arena_check(void *base, const sprox_arena_t *arena)
{
    uint32_t     ref, units, last;
    uint64_t     used, nfree, listed;
    const char  *err;

    last = 0;
    used = 0;
    nfree = 0;
    listed = 0;

    for (ref = arena->first; ref != arena->end; ref += units) {
        units = size_of(base, ref);

        if (units == 0 || units > arena->end - ref) {
            return "arena: a block's size is wrong";
        }

        if (((block(base, ref)[HEAD] & PREV_FREE) != 0) != (last != 0)) {
            return "arena: a block is wrong on its neighbour";
        }

        if (!sprox_arena_is_free(base, ref)) {
            used += units;
            last = 0;
            continue;
        }

        if (block(base, ref + units)[-1] != units) {
            return "arena: the size at a block's end is wrong";
        }

        if (last && last + units <= SPROX_ARENA_BLOCK_MAX) {
            return "arena: free neighbours are not joined";
        }

        nfree++;
        last = units;
    }

    if (((block(base, ref)[HEAD] & PREV_FREE) != 0) != (last != 0)) {
        return "arena: its end is wrong on its neighbour";
    }

    err = check_lists(base, arena, &listed);
    if (err) {
        return err;
    }

    if (listed != nfree) {
        return "arena: a free block is in no list";
    }

    return used == arena->used ? NULL : "arena: the count of used is wrong";
}
