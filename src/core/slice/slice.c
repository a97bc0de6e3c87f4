/*
 * A cache of whole objects would read a gigabyte for a footer of 64 KiB, a
 * cache of what was asked for would hold each byte several times: objects
 * are kept as slices of one size, each aligned to it, each a cache file.
 *
 *     object     |0 .......|1 .......|2 .......|3 ...|      size
 *     range                     [---------)                 slices 1, 2
 *
 * The name of a slice holds the version of the object, so that the bytes of
 * two versions never meet and a new version needs no purge to be right.
 */

#include "sprox_slice.h"


uint64_t
sprox_slice_index(uint64_t offset, uint64_t slice)
{
    return offset / slice;
}


/* An index so large that its start is none is beyond the end of any object. */

uint64_t
sprox_slice_start(uint64_t index, uint64_t slice)
{
    return index > UINT64_MAX / slice ? UINT64_MAX : index * slice;
}


uint64_t
sprox_slice_length(uint64_t index, uint64_t slice, uint64_t size)
{
    uint64_t  start;

    start = sprox_slice_start(index, slice);

    if (start >= size) {
        return 0;
    }

    return size - start < slice ? size - start : slice;
}


uint64_t
sprox_slice_count(uint64_t slice, uint64_t size)
{
    return size / slice + (size % slice != 0);
}


int
sprox_slice_valid(uint64_t slice)
{
    return slice >= SPROX_SLICE_MIN && slice <= SPROX_SLICE_MAX
           && (slice & (slice - 1)) == 0;
}


/*
 * A space ends a part and a line feed the key, so neither may stand in one;
 * the percent sign may not, lest two parts be written alike.
 */

static void
add_part(sprox_buf_t *out, sprox_str_t s)
{
    size_t    i;
    uint8_t   c, escape[3];

    static const uint8_t  hex[] = "0123456789ABCDEF";

    for (i = 0; i < s.len; i++) {
        c = s.data[i];

        if (c > 0x20 && c < 0x7f && c != '%') {
            sprox_buf_char(out, c);
            continue;
        }

        escape[0] = '%';
        escape[1] = hex[c >> 4];
        escape[2] = hex[c & 15];

        sprox_buf_add(out, escape, sizeof(escape));
    }
}


static int
is_generation(sprox_str_t version)
{
    size_t  i;

    for (i = 0; i < version.len; i++) {
        if (version.data[i] < '0' || version.data[i] > '9') {
            return 0;
        }
    }

    return version.len != 0;
}


int
sprox_object_pinned(const sprox_object_t *object)
{
    return !object->absent
           && (sprox_etag_strong(object->etag) || is_generation(object->version)
               || (object->last_modified > 0 && object->settled));
}


/*
 * The first byte tells the three forms apart; the size is what follows the
 * last '-'.
 */

static void
add_version(sprox_buf_t *out, const sprox_object_t *object)
{
    if (sprox_etag_strong(object->etag)) {
        add_part(out, object->etag);

    } else if (is_generation(object->version)) {
        sprox_buf_char(out, '#');
        add_part(out, object->version);

    } else {
        sprox_buf_char(out, '@');
        sprox_buf_u64(out, object->last_modified > 0
                           ? (uint64_t) object->last_modified / 1000 : 0);
    }

    sprox_buf_char(out, '-');
    sprox_buf_u64(out, object->size);
}


void
sprox_slice_key_begin(sprox_buf_t *out, sprox_str_t origin,
    sprox_str_t bucket, sprox_str_t prefix)
{
    sprox_buf_text(out, "sprox ");
    add_part(out, origin);
    sprox_buf_char(out, ' ');
    add_part(out, bucket);
    sprox_buf_char(out, ' ');
    add_part(out, prefix);
}


void
sprox_slice_key(sprox_buf_t *out, sprox_str_t origin, sprox_str_t bucket,
    sprox_str_t key, const sprox_object_t *object, uint64_t slice,
    uint64_t index)
{
    sprox_slice_key_begin(out, origin, bucket, key);
    sprox_buf_char(out, ' ');
    add_version(out, object);
    sprox_buf_char(out, ' ');
    sprox_buf_u64(out, slice);
    sprox_buf_char(out, ' ');
    sprox_buf_u64(out, index);
}
