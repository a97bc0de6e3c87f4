/*
 * How an object is written in the catalog's memory.  Size decides how many
 * objects a zone holds, so what nearly every object has is written short:
 * an ETag of 34 characters takes 16 bytes, a storage class one, and a
 * version id, headers or a sequencer take nothing when there are none.
 *
 *     +--------+---------+-----+--------+-------+-----------+
 *     |  node  | numbers | key |  ETag  | class | sequencer |   one block
 *     +--------+--|---|--+-----+--------+-------+-----------+
 *                 |   |
 *                 |   +---> [ 240 bytes ] -> [ 240 bytes ] -> ...   headers
 *                 +-------> [ 32 bytes ]                            version
 *
 * Headers lie in chunks because a long block could be had only by evicting
 * most of the zone, once its free space lies between small objects.
 */

#include "sprox_region.h"
#include "sprox_ban.h"


#define HEX_LEN      32          /* of an MD5 */
#define MD5_LEN      (HEX_LEN / 2)
#define PARTS_MAX    65535       /* S3: 10,000 */


_Static_assert(sizeof(sprox_record_t) == SPROX_NODE_SIZE, "key's place");
_Static_assert(sizeof(sprox_space_t) == SPROX_NODE_SIZE, "name's place");
_Static_assert(sizeof(sprox_region_node_t) == SPROX_NODE_SIZE,
               "prefix's place");
_Static_assert(sizeof(sprox_bans_t) % 8 == 0
               && sizeof(sprox_ban_entry_t) % 8 == 0, "alignment");
_Static_assert(sizeof(sprox_chunk_t) == SPROX_UNIT, "a chunk's bytes");


/* Written into zones and snapshots: append only.  0 is no class. */

static const sprox_str_t  classes[] = {
    sprox_str(""),
    sprox_str("STANDARD"),
    sprox_str("STANDARD_IA"),
    sprox_str("ONEZONE_IA"),
    sprox_str("INTELLIGENT_TIERING"),
    sprox_str("GLACIER"),
    sprox_str("GLACIER_IR"),
    sprox_str("DEEP_ARCHIVE"),
    sprox_str("REDUCED_REDUNDANCY"),
    sprox_str("EXPRESS_ONEZONE"),
    sprox_str("OUTPOSTS"),
    sprox_str("SNOW"),
    sprox_str("FSX_OPENZFS"),
    sprox_str("NEARLINE"),
    sprox_str("COLDLINE"),
    sprox_str("ARCHIVE"),
    sprox_str("MULTI_REGIONAL"),
    sprox_str("REGIONAL"),
    sprox_str("DURABLE_REDUCED_AVAILABILITY"),
    sprox_str("Hot"),
    sprox_str("Cool"),
    sprox_str("Cold"),
    sprox_str("Archive")
};


static uint8_t
class_number(sprox_str_t s)
{
    uint8_t  i;

    for (i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
        if (sprox_str_eq(s, classes[i])) {
            return i;
        }
    }

    return SPROX_CLASS_OTHER;
}


/*
 * Lower case hexadecimal digits; upper case would be changed.  Without
 * branches: nobody can foretell them, and there are many.
 */

static int
is_hex(uint8_t c)
{
    return ((uint8_t) (c - '0') < 10) | ((uint8_t) (c - 'a') < 6);
}


static int
hex_digit(uint8_t c)
{
    return (c & 15) + 9 * (c >> 6);
}


/*
 * What an ETag is; only what can be written back byte for byte is anything
 * but text.
 */

static sprox_etag_kind_t
etag_kind(sprox_str_t etag, uint16_t *number)
{
    int       hex;
    size_t    i;
    uint32_t  parts;

    *number = (uint16_t) etag.len;

    if (etag.len == 0) {
        return SPROX_ETAG_NONE;
    }

    if (etag.len < HEX_LEN + 2
        || etag.data[0] != '"' || etag.data[etag.len - 1] != '"')
    {
        return SPROX_ETAG_TEXT;
    }

    hex = 1;

    for (i = 1; i <= HEX_LEN; i++) {
        hex &= is_hex(etag.data[i]);
    }

    if (!hex) {
        return SPROX_ETAG_TEXT;
    }

    if (i == etag.len - 1) {
        return SPROX_ETAG_MD5;
    }

    /* -N, without leading zeros */

    if (etag.data[i] != '-' || i + 2 >= etag.len || etag.data[i + 1] == '0') {
        return SPROX_ETAG_TEXT;
    }

    parts = 0;

    for (i++; i < etag.len - 1; i++) {
        if (etag.data[i] < '0' || etag.data[i] > '9') {
            return SPROX_ETAG_TEXT;
        }

        parts = parts * 10 + (etag.data[i] - '0');

        if (parts > PARTS_MAX) {
            return SPROX_ETAG_TEXT;
        }
    }

    *number = (uint16_t) parts;

    return SPROX_ETAG_PARTS;
}


static size_t
etag_size(sprox_etag_kind_t kind, uint16_t number)
{
    switch (kind) {

    case SPROX_ETAG_MD5:
    case SPROX_ETAG_PARTS:
        return MD5_LEN;

    case SPROX_ETAG_TEXT:
        return number;

    default:
        return 0;
    }
}


uint32_t
sprox_record_units(sprox_str_t key, const sprox_object_t *object)
{
    size_t             size;
    uint16_t           number;
    sprox_etag_kind_t  kind;

    kind = etag_kind(object->etag, &number);

    size = sizeof(sprox_record_t) + key.len + etag_size(kind, number);

    if (class_number(object->storage_class) == SPROX_CLASS_OTHER) {
        size += object->storage_class.len;
    }

    size += object->sequencer.len;

    return (uint32_t) SPROX_UNITS(size);
}


void
sprox_record_write(sprox_record_t *record, sprox_str_t key,
    const sprox_object_t *object)
{
    uint8_t   *p;
    size_t     i;

    record->node.key_len = (uint16_t) key.len;
    record->node.flags = (uint8_t)
                         ((object->listed ? SPROX_RECORD_LISTED : 0)
                          | (object->headed ? SPROX_RECORD_HEADED : 0)
                          | (object->settled ? SPROX_RECORD_SETTLED : 0)
                          | (object->told ? SPROX_RECORD_TOLD : 0)
                          | (object->doubted ? SPROX_RECORD_DOUBTED : 0)
                          | (object->absent ? SPROX_RECORD_ABSENT : 0));
    record->size = object->size;
    record->last_modified = object->last_modified;
    record->proved = object->proved;
    record->etag_kind = (uint8_t) etag_kind(object->etag,
                                            &record->etag_number);
    record->class = class_number(object->storage_class);
    record->class_len = 0;
    record->sequencer_len = (uint8_t) object->sequencer.len;

    p = (uint8_t *) record + sizeof(sprox_record_t);

    if (key.len) {
        memcpy(p, key.data, key.len);
        p += key.len;
    }

    if (record->etag_kind == SPROX_ETAG_TEXT) {
        memcpy(p, object->etag.data, object->etag.len);
        p += object->etag.len;

    } else if (record->etag_kind != SPROX_ETAG_NONE) {
        for (i = 1; i <= HEX_LEN; i += 2) {
            *p++ = (uint8_t) (hex_digit(object->etag.data[i]) << 4
                              | hex_digit(object->etag.data[i + 1]));
        }
    }

    if (record->class == SPROX_CLASS_OTHER) {
        record->class_len = (uint8_t) object->storage_class.len;
        memcpy(p, object->storage_class.data, object->storage_class.len);
        p += object->storage_class.len;
    }

    if (object->sequencer.len) {
        memcpy(p, object->sequencer.data, object->sequencer.len);
    }
}


static uint8_t *
etag_text(const sprox_record_t *record, const uint8_t *from, uint8_t *p)
{
    size_t    i;
    uint8_t   digits[5];
    unsigned  n;

    static const uint8_t  hex[] = "0123456789abcdef";

    if (record->etag_kind == SPROX_ETAG_NONE) {
        return p;
    }

    if (record->etag_kind == SPROX_ETAG_TEXT) {
        memcpy(p, from, record->etag_number);
        return p + record->etag_number;
    }

    *p++ = '"';

    for (i = 0; i < MD5_LEN; i++) {
        *p++ = hex[from[i] >> 4];
        *p++ = hex[from[i] & 15];
    }

    if (record->etag_kind == SPROX_ETAG_PARTS) {
        *p++ = '-';

        i = 0;

        for (n = record->etag_number; n; n /= 10) {
            digits[i++] = (uint8_t) ('0' + n % 10);
        }

        while (i) {
            *p++ = digits[--i];
        }
    }

    *p++ = '"';

    return p;
}


static uint8_t *
chain_text(sprox_catalog_t *cat, uint32_t ref, uint8_t *p)
{
    sprox_chunk_t  *chunk;

    for ( /* void */ ; ref; ref = chunk->next) {
        chunk = sprox_unit(cat, ref);

        memcpy(p, chunk + 1, chunk->len);
        p += chunk->len;
    }

    return p;
}


void
sprox_record_read(sprox_catalog_t *cat, const sprox_record_t *record,
    sprox_object_t *object, uint8_t *buf)
{
    uint8_t        *p;
    const uint8_t  *tail;

    object->size = record->size;
    object->last_modified = record->last_modified;
    object->proved = record->proved;
    object->listed = (record->node.flags & SPROX_RECORD_LISTED) != 0;
    object->headed = (record->node.flags & SPROX_RECORD_HEADED) != 0;
    object->settled = (record->node.flags & SPROX_RECORD_SETTLED) != 0;
    object->told = (record->node.flags & SPROX_RECORD_TOLD) != 0;
    object->doubted = (record->node.flags & SPROX_RECORD_DOUBTED) != 0;
    object->absent = (record->node.flags & SPROX_RECORD_ABSENT) != 0;

    tail = (const uint8_t *) (record + 1) + record->node.key_len;

    p = etag_text(record, tail, buf);
    object->etag = sprox_str_make(buf, (size_t) (p - buf));
    tail += etag_size(record->etag_kind, record->etag_number);

    if (record->class == SPROX_CLASS_OTHER) {
        memcpy(p, tail, record->class_len);
        object->storage_class = sprox_str_make(p, record->class_len);
        p += record->class_len;
        tail += record->class_len;

    } else {
        object->storage_class = classes[record->class];
    }

    memcpy(p, tail, record->sequencer_len);
    object->sequencer = sprox_str_make(p, record->sequencer_len);
    p += record->sequencer_len;

    buf = p;
    p = chain_text(cat, record->version, p);
    object->version = sprox_str_make(buf, (size_t) (p - buf));

    buf = p;
    p = chain_text(cat, record->headers, p);
    object->headers = sprox_str_make(buf, (size_t) (p - buf));
}


void
sprox_record_tell(sprox_catalog_t *cat, const sprox_record_t *record,
    sprox_object_t *object, uint8_t *buf)
{
    sprox_record_read(cat, record, object, buf);

    if (object->doubted) {
        object->proved = 0;
    }
}


sprox_rc_t
sprox_object_check(const sprox_object_t *object)
{
    if (object->etag.len > SPROX_ETAG_MAX
        || object->storage_class.len > SPROX_CLASS_MAX
        || object->version.len > SPROX_VERSION_MAX
        || object->sequencer.len > SPROX_SEQUENCER_MAX
        || object->headers.len > SPROX_HEADERS_MAX)
    {
        return SPROX_LIMIT;
    }

    return SPROX_OK;
}


sprox_object_t
sprox_object_plain(const sprox_object_t *object)
{
    sprox_object_t  plain;

    if (object->absent) {
        memset(&plain, 0, sizeof(sprox_object_t));
        plain.proved = object->proved;
        plain.sequencer = object->sequencer;
        plain.last_modified = object->told ? object->last_modified : 0;
        plain.told = object->told;
        plain.doubted = object->doubted;
        plain.absent = 1;

    } else {
        plain = *object;

        if (!plain.headed) {
            plain.headers = sprox_str_null;
        }
    }

    /* what was doubted when the caller got it, and proved since, is not */

    if (plain.proved) {
        plain.doubted = 0;
    }

    return plain;
}


/* Rounded down, also before 1970: a header tells seconds only. */

static int64_t
seconds(int64_t msec)
{
    return msec / 1000 - (msec % 1000 < 0);
}


int
sprox_etag_strong(sprox_str_t etag)
{
    return etag.len > 2 && etag.data[0] == '"'
           && etag.data[etag.len - 1] == '"';
}


/* An event's time stands in for last-modified, and may not be the same. */

static int
same_time(const sprox_object_t *a, const sprox_object_t *b)
{
    return seconds(a->last_modified) == seconds(b->last_modified)
           || ((a->told || b->told) && sprox_etag_strong(a->etag));
}


int
sprox_object_same(const sprox_object_t *a, const sprox_object_t *b)
{
    if (a->absent || b->absent) {
        return a->absent && b->absent;
    }

    return a->size == b->size
           && sprox_str_eq(a->etag, b->etag)
           && same_time(a, b)
           && (a->version.len == 0 || b->version.len == 0
               || sprox_str_eq(a->version, b->version));
}


/* The store's own time, where one of the two has it, with milliseconds. */

static void
merge_time(const sprox_object_t *a, const sprox_object_t *b,
    sprox_object_t *merged)
{
    if (a->told != b->told) {
        merged->last_modified = a->told ? b->last_modified : a->last_modified;
        merged->settled = a->told ? b->settled : a->settled;
        merged->told = 0;
        return;
    }

    /* a listing may tell milliseconds, a header never does */

    if (a->last_modified % 1000 == 0
        && seconds(a->last_modified) == seconds(b->last_modified))
    {
        merged->last_modified = b->last_modified;
    }

    if (b->settled) {
        merged->settled = 1;
    }
}


sprox_object_t
sprox_object_merge(const sprox_object_t *a, const sprox_object_t *b)
{
    sprox_object_t  merged;

    merged = *a;

    if (a->sequencer.len == 0) {
        merged.sequencer = b->sequencer;
    }

    if (a->absent) {

        /* told: whether it was an event, or the store has said so since */

        return merged;
    }

    merge_time(a, b, &merged);

    if (!a->headed && b->headed) {
        merged.headed = 1;
        merged.headers = b->headers;
    }

    if (b->listed) {
        merged.listed = 1;
    }

    if (a->storage_class.len == 0) {
        merged.storage_class = b->storage_class;
    }

    if (a->version.len == 0) {
        merged.version = b->version;
    }

    return merged;
}
