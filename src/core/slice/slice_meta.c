/*
 * A slice file must say by itself what it holds: nginx's cache header knows
 * a key and a date, but after a restart the catalog may be empty, and the
 * headers of the object are then nowhere but here.  A file that was cut, was
 * overwritten or lies under a wrong name must be found out before a byte of
 * it is sent.
 *
 *       0  magic "SPXSLICE"
 *       8  format           4
 *      12  CRC-32           4    of the block without these four bytes
 *      16  length           4    of the whole block
 *      20  flags            4    1: listed, 2: headed
 *      24  slice size       8
 *      32  index            8
 *      40  length in file   8
 *      48  object size      8
 *      56  last modified    8    milliseconds
 *      64  proved           8    milliseconds
 *      72  lengths of ETag, class, version, headers: 4 each
 *      88  the four strings
 *
 * All numbers are in little endian.  What is read is what would be written:
 * there are no other spellings of a block.
 */

#include "sprox_slice.h"
#include "sprox_digest.h"


#define META_FORMAT     1

#define AT_FORMAT       8
#define AT_CRC          12
#define AT_LENGTH       16
#define AT_FLAGS        20
#define AT_NUMBERS      24
#define AT_LENGTHS      72
#define AT_STRINGS      88

#define META_STRINGS    4

#define META_LISTED     1
#define META_HEADED     2
#define META_TOLD       4


static const uint8_t  magic[8] = { 'S', 'P', 'X', 'S', 'L', 'I', 'C', 'E' };


static uint32_t
block_crc(const uint8_t *block, size_t len)
{
    uint32_t  crc;

    crc = sprox_crc32(0, block, AT_CRC);

    return sprox_crc32(crc, block + AT_LENGTH, len - AT_LENGTH);
}


/* What both writing and reading demand of a block. */

static sprox_rc_t
check(const sprox_slice_meta_t *meta)
{
    const sprox_object_t  *o = &meta->object;

    if (o->etag.len > SPROX_ETAG_MAX
        || o->storage_class.len > SPROX_CLASS_MAX
        || o->version.len > SPROX_VERSION_MAX
        || o->headers.len > SPROX_HEADERS_MAX)
    {
        return SPROX_LIMIT;
    }

    if (o->absent || (o->headers.len && !o->headed)
        || !sprox_slice_valid(meta->slice)
        || meta->length != sprox_slice_length(meta->index, meta->slice,
                                              o->size)
        || (meta->length == 0 && (o->size || meta->index)))
    {
        return SPROX_INVALID;
    }

    return SPROX_OK;
}


sprox_rc_t
sprox_slice_meta_write(sprox_buf_t *out, const sprox_slice_meta_t *meta)
{
    size_t                 i, len;
    uint8_t                head[AT_STRINGS], *block;
    sprox_rc_t             rc;
    const sprox_object_t  *o = &meta->object;
    const sprox_str_t      strings[META_STRINGS] = {
        o->etag, o->storage_class, o->version, o->headers
    };

    rc = check(meta);
    if (rc != SPROX_OK) {
        return rc;
    }

    len = AT_STRINGS;

    for (i = 0; i < META_STRINGS; i++) {
        sprox_number_put(head + AT_LENGTHS + 4 * i, strings[i].len, 4);
        len += strings[i].len;
    }

    memcpy(head, magic, sizeof(magic));
    sprox_number_put(head + AT_FORMAT, META_FORMAT, 4);
    sprox_number_put(head + AT_CRC, 0, 4);
    sprox_number_put(head + AT_LENGTH, len, 4);
    sprox_number_put(head + AT_FLAGS, (o->listed ? META_LISTED : 0)
                                | (o->headed ? META_HEADED : 0)
                                | (o->told ? META_TOLD : 0), 4);
    sprox_number_put(head + AT_NUMBERS, meta->slice, 8);
    sprox_number_put(head + AT_NUMBERS + 8, meta->index, 8);
    sprox_number_put(head + AT_NUMBERS + 16, meta->length, 8);
    sprox_number_put(head + AT_NUMBERS + 24, o->size, 8);
    sprox_number_put(head + AT_NUMBERS + 32, (uint64_t) o->last_modified, 8);
    sprox_number_put(head + AT_NUMBERS + 40, (uint64_t) o->proved, 8);

    if (sprox_buf_reserve(out, len) != SPROX_OK) {
        return SPROX_NOMEM;
    }

    sprox_buf_add(out, head, sizeof(head));

    for (i = 0; i < META_STRINGS; i++) {
        sprox_buf_str(out, strings[i]);
    }

    if (sprox_buf_rc(out) != SPROX_OK) {
        return SPROX_NOMEM;
    }

    block = out->data + out->len - len;
    sprox_number_put(block + AT_CRC, block_crc(block, len), 4);

    return SPROX_OK;
}


sprox_rc_t
sprox_slice_meta_read(sprox_str_t block, sprox_slice_meta_t *meta)
{
    size_t           i, len, at;
    uint64_t         flags;
    const uint8_t   *p = block.data;
    sprox_object_t  *o = &meta->object;
    sprox_str_t     *strings[META_STRINGS];

    if (block.len < AT_STRINGS || block.len > SPROX_SLICE_META_MAX
        || memcmp(p, magic, sizeof(magic)) != 0
        || sprox_number_get(p + AT_FORMAT, 4) != META_FORMAT
        || sprox_number_get(p + AT_LENGTH, 4) != block.len
        || sprox_number_get(p + AT_CRC, 4) != block_crc(p, block.len))
    {
        return SPROX_INVALID;
    }

    memset(o, 0, sizeof(sprox_object_t));

    strings[0] = &o->etag;
    strings[1] = &o->storage_class;
    strings[2] = &o->version;
    strings[3] = &o->headers;

    at = AT_STRINGS;

    for (i = 0; i < META_STRINGS; i++) {
        len = (size_t) sprox_number_get(p + AT_LENGTHS + 4 * i, 4);

        if (len > block.len - at) {
            return SPROX_INVALID;
        }

        *strings[i] = sprox_str_make(p + at, len);
        at += len;
    }

    flags = sprox_number_get(p + AT_FLAGS, 4);

    if (at != block.len
        || (flags & ~(uint64_t) (META_LISTED | META_HEADED | META_TOLD)))
    {
        return SPROX_INVALID;
    }

    o->listed = (flags & META_LISTED) != 0;
    o->headed = (flags & META_HEADED) != 0;
    o->told = (flags & META_TOLD) != 0;

    meta->slice = sprox_number_get(p + AT_NUMBERS, 8);
    meta->index = sprox_number_get(p + AT_NUMBERS + 8, 8);
    meta->length = sprox_number_get(p + AT_NUMBERS + 16, 8);
    o->size = sprox_number_get(p + AT_NUMBERS + 24, 8);
    o->last_modified = (int64_t) sprox_number_get(p + AT_NUMBERS + 32, 8);
    o->proved = (int64_t) sprox_number_get(p + AT_NUMBERS + 40, 8);

    return check(meta) == SPROX_OK ? SPROX_OK : SPROX_INVALID;
}
