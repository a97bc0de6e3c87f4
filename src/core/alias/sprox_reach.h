/*
 * Which aliases lead to an origin's object: of very many the few whose
 * targets begin like it.
 *
 * A target's head is its bucket and prefix up to the first variable.  Heads
 * are sorted, and those that an object's name begins with are found as
 * beginnings of each other, the longest first:
 *
 *   "b\0"  "b\0some/"  "b\0some/where/"  "c\0"   for b, some/where/x: 3, 2, 1
 */

#ifndef SPROX_REACH_H
#define SPROX_REACH_H


#include "sprox_alias.h"


#define SPROX_REACH_BUCKET_MAX   255
#define SPROX_REACH_KEY_MAX      1024


typedef struct {
    sprox_str_t           head;
    const sprox_alias_t  *alias;
    void                 *data;     /* the caller's */
} sprox_reach_t;


/*
 * Fills in one entry: the head is from mem, the alias must outlive it.
 * SPROX_OK or SPROX_NOMEM.  When all are there, they are sorted.
 */
sprox_rc_t sprox_reach_set(const sprox_mem_t *mem, sprox_reach_t *entry,
    const sprox_alias_t *alias, void *data);
void sprox_reach_sort(sprox_reach_t *entries, size_t n);


typedef struct {
    const sprox_reach_t  *entries;
    sprox_str_t           bucket;
    sprox_str_t           key;
    size_t                at;       /* entries up to here may have the head */
    size_t                head;     /* its length in text */
    size_t                next;     /* one more than the next may be long */
    size_t                n;
    uint8_t               text[SPROX_REACH_BUCKET_MAX + 1
                               + SPROX_REACH_KEY_MAX];
} sprox_reach_walk_t;

/*
 * Begins a walk over the aliases that sprox_alias_reaches() this object;
 * entries, bucket and key must stay.  A name that is too long is nobody's.
 */
void sprox_reach_walk(sprox_reach_walk_t *walk, const sprox_reach_t *entries,
    size_t n, sprox_str_t bucket, sprox_str_t key);

/* The next one, each once; NULL: that was all. */
const sprox_reach_t *sprox_reach_next(sprox_reach_walk_t *walk);

/* The same, whether it reaches the object or has but a head that fits. */
const sprox_reach_t *sprox_reach_next_head(sprox_reach_walk_t *walk);


#endif /* SPROX_REACH_H */
