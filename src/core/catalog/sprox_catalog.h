/*
 * The catalog: an ordered map of objects and of what is known of each, in
 * memory that several processes share.  The core knows it as memory and a
 * lock: the caller takes the lock around each function that ends in
 * _locked, and nothing here blocks, logs or reads a clock.
 *
 * Everything inside is an offset from the start of the memory, so each
 * process may map it elsewhere, and the whole can be written to a file.
 *
 * A process may be killed in the middle of a change: changes are bracketed
 * by a mark, and whoever finds it set under the lock empties the catalog.
 */

#ifndef SPROX_CATALOG_H
#define SPROX_CATALOG_H


#include "sprox_dialect.h"


#define SPROX_CATALOG_SIZE_MIN    (256 * 1024)
#define SPROX_CATALOG_SPACES_MAX  65535

/* A buffer of this size holds the strings of any object. */
#define SPROX_OBJECT_BUF          (SPROX_HEADERS_MAX + 2048)


typedef struct sprox_catalog_s  sprox_catalog_t;   /* lives in the memory */


/* What is known of one object (or that there is none). */

typedef struct {
    uint64_t     size;
    int64_t      last_modified;     /* milliseconds */
    int64_t      proved;            /* milliseconds: when the request that
                                       told was sent */
    sprox_str_t  etag;              /* with quotes; empty if the store has none */
    sprox_str_t  storage_class;
    sprox_str_t  version;           /* version id or generation */
    sprox_str_t  headers;           /* "name: value\r\n" lines; see headed */
    unsigned     listed:1;          /* a listing told */
    unsigned     headed:1;          /* headers are known (may be empty) */
    unsigned     absent:1;          /* a 404 told; nothing else holds */
} sprox_object_t;


typedef struct {
    uint64_t  objects;              /* without the absent ones */
    uint64_t  absent;
    uint64_t  bytes_used;           /* of the memory */
    uint64_t  bytes_total;
    uint64_t  evicted;              /* since the start */
    uint64_t  emptied;              /* times a set mark was found */
} sprox_catalog_stats_t;


/*
 * Formats memory (16-byte aligned, of at least SPROX_CATALOG_SIZE_MIN) and
 * returns the catalog in it, or NULL when size is too small.
 */
sprox_catalog_t *sprox_catalog_create(void *memory, size_t size);

/* The catalog that create() made in this memory (another process, or after
   a reload); NULL when it is none or of another size. */
sprox_catalog_t *sprox_catalog_attach(void *memory, size_t size);

/*
 * The number of the space (one origin's bucket) of that name, made when
 * create is set.  Numbers hold until the catalog is emptied: callers name
 * the space again with each lock, or compare sprox_catalog_epoch_locked().
 * SPROX_OK, SPROX_NOT_FOUND, SPROX_FULL.
 */
sprox_rc_t sprox_catalog_space_locked(sprox_catalog_t *cat, sprox_str_t name,
    int create, uint32_t *space);

/* Changes whenever the catalog is emptied. */
uint64_t sprox_catalog_epoch_locked(sprox_catalog_t *cat);

/*
 * Looks up a key.  The strings of *object are copied into buf (at least
 * SPROX_OBJECT_BUF bytes).  It becomes the most recently used.  SPROX_OK or
 * SPROX_NOT_FOUND.
 */
sprox_rc_t sprox_catalog_get_locked(sprox_catalog_t *cat, uint32_t space,
    sprox_str_t key, sprox_object_t *object, uint8_t *buf);

/*
 * Puts what was learned.  Merges: what is older (proved) than what is known
 * and of another version is not taken (SPROX_DONE); the same version (ETag,
 * size, and last-modified to the second; version id where both have one)
 * keeps headers that the newer source lacks, and `listed` and `headed` add
 * up; another version replaces all.  The least recently used are evicted to
 * make room.  SPROX_OK, SPROX_DONE, SPROX_FULL (larger than the memory can
 * hold), SPROX_LIMIT (a string is longer than its limit).
 */
sprox_rc_t sprox_catalog_put_locked(sprox_catalog_t *cat, uint32_t space,
    sprox_str_t key, const sprox_object_t *object);

/* Whether two descriptions are of the same version, by the rule above. */
int sprox_object_same(const sprox_object_t *a, const sprox_object_t *b);

/* SPROX_OK, or SPROX_NOT_FOUND. */
sprox_rc_t sprox_catalog_remove_locked(sprox_catalog_t *cat, uint32_t space,
    sprox_str_t key);

/*
 * Objects of a space in byte order, with keys > after and of the prefix, at
 * most n; absent ones are passed over.  Calls on_object for each with
 * strings that point into the catalog: valid during the call only, and it
 * must not call back into the catalog.  A return other than SPROX_OK ends
 * the scan and is returned.  SPROX_AGAIN: n were visited, more may come;
 * SPROX_DONE: that was all.  *last_key is copied by the caller in the
 * callback to go on from.
 */
typedef sprox_rc_t (*sprox_catalog_visit_pt)(void *data, sprox_str_t key,
    const sprox_object_t *object);

sprox_rc_t sprox_catalog_scan_locked(sprox_catalog_t *cat, uint32_t space,
    sprox_str_t prefix, sprox_str_t after, size_t n,
    sprox_catalog_visit_pt visit, void *data);

void sprox_catalog_stats_locked(sprox_catalog_t *cat,
    sprox_catalog_stats_t *stats);


#endif /* SPROX_CATALOG_H */
