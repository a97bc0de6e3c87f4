/*
 * An ordered map over nodes in the catalog's memory.  Private to the
 * catalog.
 *
 * A node stands at the start of a record; its key follows the record's
 * SPROX_NODE_SIZE bytes, whatever else the record holds.  The root is a ref
 * that the caller keeps, 0 for an empty map.
 */

#ifndef SPROX_MAP_H
#define SPROX_MAP_H


#include "sprox_arena.h"


#define SPROX_NODE_SIZE   64

/* an AVL tree of 2^32 nodes is not higher than 46 */
#define SPROX_MAP_DEPTH   48


typedef struct {
    uint32_t  head;                 /* the arena's */
    uint32_t  link[2];              /* smaller, greater */
    uint16_t  key_len;
    int8_t    balance;              /* height of greater less that of smaller */
    uint8_t   flags;                /* the record's */
} sprox_node_t;


/* The way down from the root: refs, and the side taken at each. */

typedef struct {
    uint32_t  ref[SPROX_MAP_DEPTH];
    uint8_t   side[SPROX_MAP_DEPTH];
    unsigned  n;
} sprox_map_path_t;


static inline sprox_str_t
sprox_node_key(const sprox_node_t *node)
{
    return sprox_str_make((const uint8_t *) node + SPROX_NODE_SIZE,
                          node->key_len);
}


/* The node of that key, or 0; path: the way to it, or to where it belongs. */
uint32_t sprox_map_find(void *base, uint32_t root, sprox_str_t key,
    sprox_map_path_t *path);

/*
 * These three take the path of a find() that nothing has changed since:
 * insert() puts in a node that was not found, remove() takes out one that
 * was, replace() puts another node of the same key in its place.
 */
void sprox_map_insert(void *base, uint32_t *root, uint32_t ref,
    sprox_map_path_t *path);
void sprox_map_remove(void *base, uint32_t *root, uint32_t ref,
    sprox_map_path_t *path);
void sprox_map_replace(void *base, uint32_t *root, uint32_t old, uint32_t ref,
    const sprox_map_path_t *path);

/* The node before the place where a find() that found none ended, or 0. */
uint32_t sprox_map_before(const sprox_map_path_t *path);

/* Where seek() goes to. */

typedef enum {
    SPROX_MAP_FROM = 0,             /* the first key that is not less */
    SPROX_MAP_AFTER,                /* the first that is greater */
    SPROX_MAP_PAST                  /* and does not start with the given one */
} sprox_map_seek_t;

/* That node, and the one after it, or 0.  The map must not change between. */
uint32_t sprox_map_seek(void *base, uint32_t root, sprox_str_t key,
    sprox_map_seek_t to, sprox_map_path_t *path);
uint32_t sprox_map_next(void *base, sprox_map_path_t *path);

/* NULL, or what is wrong with the map; *n: its nodes.  For tests. */
const char *sprox_map_check(void *base, uint32_t root, uint64_t *n);


#endif /* SPROX_MAP_H */
