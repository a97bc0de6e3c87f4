/*
 * Slices: their geometry, the name of a slice in the cache, and the block
 * that stands in a slice file between nginx's cache header and the bytes.
 */

#ifndef SPROX_SLICE_H
#define SPROX_SLICE_H


#include "sprox_catalog.h"


#define SPROX_SLICE_MIN        (64 * 1024)
#define SPROX_SLICE_MAX        (64 * 1024 * 1024)

/* The longest block. */
#define SPROX_SLICE_META_MAX   (SPROX_HEADERS_MAX + 2048)


/* Index of the slice that holds an offset; its start; its length in an
   object of that size (0 beyond the end). */
uint64_t sprox_slice_index(uint64_t offset, uint64_t slice);
uint64_t sprox_slice_start(uint64_t index, uint64_t slice);
uint64_t sprox_slice_length(uint64_t index, uint64_t slice, uint64_t size);
uint64_t sprox_slice_count(uint64_t slice, uint64_t size);

/* A power of two from SPROX_SLICE_MIN to SPROX_SLICE_MAX. */
int sprox_slice_valid(uint64_t slice);


/*
 * The cache key of a slice, as it also stands in the KEY line of its file
 * (so: one line, every byte outside 0x21..0x7e and '%' percent-encoded):
 *
 *   sprox ORIGIN BUCKET KEY VERSION SLICE INDEX
 *
 * VERSION pins the bytes, the first of these that there is, and the size:
 *
 *   "ETAG"-SIZE             a strong ETag, with its quotes
 *   #GENERATION-SIZE        a version of digits only (GCS): a listing may
 *                           not tell it, so it does not come before the ETag
 *   @LAST_MODIFIED-SIZE     in seconds: a listing and a header agree on them
 *
 * Different parts give different keys, whatever bytes they hold.  No
 * client's credential is part of it.
 */
void sprox_slice_key(sprox_buf_t *out, sprox_str_t origin,
    sprox_str_t bucket, sprox_str_t key, const sprox_object_t *object,
    uint64_t slice, uint64_t index);

/*
 * How the keys of all slices begin whose object's key has that prefix; no
 * other key begins so.
 */
void sprox_slice_key_begin(sprox_buf_t *out, sprox_str_t origin,
    sprox_str_t bucket, sprox_str_t prefix);

/*
 * Whether bytes of this object can be told from those of another version: a
 * strong ETag, a generation, or a settled last-modified.  Without, nothing
 * is kept.
 */
int sprox_object_pinned(const sprox_object_t *object);


/*
 * The block in a slice file: magic, format, check sum (CRC-32 of all else),
 * lengths, then numbers in little endian and the strings.  It repeats which
 * slice of which version the file is (the key stands in nginx's own header),
 * so that a damaged, foreign or misplaced file is found out, and carries the
 * object's headers so that they survive a restart.
 */

typedef struct {
    sprox_object_t  object;         /* of the whole object */
    uint64_t        slice;          /* slice size */
    uint64_t        index;
    uint64_t        length;         /* bytes in this file */
} sprox_slice_meta_t;

/*
 * Appends a block.  SPROX_OK, SPROX_NOMEM, SPROX_LIMIT (a string is longer
 * than the catalog takes), SPROX_INVALID (an absent object, no valid slice
 * size, an index beyond the end, a length that is not the slice's: an empty
 * object has slice 0 of length 0).
 */
sprox_rc_t sprox_slice_meta_write(sprox_buf_t *out,
    const sprox_slice_meta_t *meta);

/*
 * Reads a block, which must be exactly what was written; the strings point
 * into it.  SPROX_OK, or SPROX_INVALID: magic, format, check sum, lengths,
 * or a slice that write() would not take: not ours or damaged.
 */
sprox_rc_t sprox_slice_meta_read(sprox_str_t block, sprox_slice_meta_t *meta);


#endif /* SPROX_SLICE_H */
