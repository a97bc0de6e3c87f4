/*
 * Slices: their geometry, the name of a slice in the cache, and the block
 * that stands in a slice file between nginx's cache header and the bytes.
 */

#ifndef SPROX_SLICE_H
#define SPROX_SLICE_H


#include "sprox_catalog.h"


#define SPROX_SLICE_MIN        (64 * 1024)
#define SPROX_SLICE_MAX        (64 * 1024 * 1024)

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
 * VERSION pins the bytes: the ETag, or for objects without a strong ETag
 * size and last-modified ("@LAST_MODIFIED-SIZE"); for GCS the generation is
 * added.  The size is part of it in any case.  No client's credential is.
 */
void sprox_slice_key(sprox_buf_t *out, sprox_str_t origin,
    sprox_str_t bucket, sprox_str_t key, const sprox_object_t *object,
    uint64_t slice, uint64_t index);

/* Whether bytes of this object can be told from those of another version:
   a strong ETag, a generation, or size and last-modified. */
int sprox_object_pinned(const sprox_object_t *object);


/*
 * The block in a slice file: magic, format, check sum (CRC-32 of what
 * follows), lengths, then numbers in little endian and the strings.  It
 * repeats what the file is a slice of, so that a damaged, foreign or
 * misplaced file is found out, and carries the object's headers so that
 * they survive a restart.
 */

typedef struct {
    sprox_object_t  object;         /* of the whole object */
    uint64_t        slice;          /* slice size */
    uint64_t        index;
    uint64_t        length;         /* bytes in this file */
} sprox_slice_meta_t;

sprox_rc_t sprox_slice_meta_write(sprox_buf_t *out,
    const sprox_slice_meta_t *meta);

/*
 * Reads a block; the strings point into it.  SPROX_OK, SPROX_INVALID
 * (magic, format, check sum, lengths: not ours or damaged).
 */
sprox_rc_t sprox_slice_meta_read(sprox_str_t block, sprox_slice_meta_t *meta);


#endif /* SPROX_SLICE_H */
