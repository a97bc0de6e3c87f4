/*
 * The catalog outlives a restart in a file.
 *
 *   +------+-------+-------+-------+-----+-------+------+
 *   | head | space | block | block | ... | space | last |
 *   +------+-------+-------+-------+-----+-------+------+
 *
 * The head:
 *
 *       0  magic "SPXCATLG"
 *       8  format           4
 *      12  state            4    "open", "told" or "shut": changed in place
 *      16  id              16    random, of this file
 *      32  boot            16    of the running system
 *      48  time             8    when it was begun, in ms
 *      56  zeros            4
 *      60  CRC-32           4    of all above but the state
 *
 * A block:
 *
 *       0  type             4    1: space, 2: objects, 3: the last
 *       4  length           4    of what follows the 12 bytes
 *       8  CRC-32           4    of the block without these four bytes
 *      12  space:   its name
 *          objects: one or more, of the space before it
 *          last:    how many spaces and objects there were, 8 each
 *
 * An object; its key goes on from that of the one before it in the block:
 *
 *       0  flags            2    1 listed, 2 headed, 4 settled, 8 absent,
 *                                16 told by an event, 32 doubted
 *       2  shared           2    bytes of the key that are the same
 *       4  lengths, 2 each: rest of the key, ETag, version, headers, class,
 *          sequencer
 *      16  size             8
 *      24  last modified    8    ms
 *      32  proved           8    ms; doubted: since when it must be
 *      40  the strings, in the order of their lengths
 *
 * All numbers are in little endian.  Spaces come in the order of their names
 * and objects in that of their keys, so that a walk can go on from the last
 * one, whatever was changed since.
 */

#include "sprox_snapshot_file.h"
#include "sprox_digest.h"
#include "sprox_zone.h"


static const uint8_t  magic[8] = { 'S', 'P', 'X', 'C', 'A', 'T', 'L', 'G' };

static const char  *states[] = { "open", "told", "shut" };


typedef enum {
    STAGE_SPACE = 0,
    STAGE_OBJECTS
} stage_t;


const char *
sprox_snapshot_state(sprox_snapshot_state_t state)
{
    return states[state];
}


static uint32_t
head_sum(const uint8_t *head)
{
    uint32_t  crc;

    crc = sprox_crc32(0, head, SPROX_SNAPSHOT_STATE_AT);

    return sprox_crc32(crc, head + SPROX_SNAPSHOT_AT_ID,
                       SPROX_SNAPSHOT_AT_CRC - SPROX_SNAPSHOT_AT_ID);
}


void
sprox_snapshot_head_write(uint8_t out[SPROX_SNAPSHOT_HEAD],
    const sprox_snapshot_head_t *head)
{
    memset(out, 0, SPROX_SNAPSHOT_HEAD);

    memcpy(out, magic, sizeof(magic));
    memcpy(out + SPROX_SNAPSHOT_STATE_AT, states[head->state],
           SPROX_SNAPSHOT_STATE);
    memcpy(out + SPROX_SNAPSHOT_AT_ID, head->id, SPROX_SNAPSHOT_ID);
    memcpy(out + SPROX_SNAPSHOT_AT_BOOT, head->boot, SPROX_SNAPSHOT_ID);

    sprox_number_put(out + SPROX_SNAPSHOT_AT_FORMAT, SPROX_SNAPSHOT_FORMAT, 4);
    sprox_number_put(out + SPROX_SNAPSHOT_AT_TIME, (uint64_t) head->time, 8);
    sprox_number_put(out + SPROX_SNAPSHOT_AT_CRC, head_sum(out), 4);
}


/*
 * The format comes before the sum: the head of another one may be summed
 * otherwise.
 */

sprox_rc_t
sprox_snapshot_head_read(const uint8_t in[SPROX_SNAPSHOT_HEAD],
    sprox_snapshot_head_t *head, const char **error)
{
    uint64_t     format;
    unsigned     state;
    const char  *why;

    for (state = 0; state <= SPROX_SNAPSHOT_SHUT; state++) {
        if (memcmp(in + SPROX_SNAPSHOT_STATE_AT, states[state],
                   SPROX_SNAPSHOT_STATE)
            == 0)
        {
            break;
        }
    }

    format = sprox_number_get(in + SPROX_SNAPSHOT_AT_FORMAT, 4);

    if (memcmp(in, magic, sizeof(magic)) != 0) {
        why = "it is no snapshot of a catalog";

    } else if (format < SPROX_SNAPSHOT_FORMAT) {
        why = "it is of an older format";

    } else if (format > SPROX_SNAPSHOT_FORMAT) {
        why = "it is of a newer format";

    } else if (sprox_number_get(in + SPROX_SNAPSHOT_AT_CRC, 4)
               != head_sum(in)
               || sprox_number_get(in + SPROX_SNAPSHOT_AT_SPARE, 4) != 0
               || state > SPROX_SNAPSHOT_SHUT)
    {
        why = "its head is damaged";

    } else {
        head->state = state;
        head->time = (int64_t) sprox_number_get(in + SPROX_SNAPSHOT_AT_TIME,
                                                8);
        memcpy(head->id, in + SPROX_SNAPSHOT_AT_ID, SPROX_SNAPSHOT_ID);
        memcpy(head->boot, in + SPROX_SNAPSHOT_AT_BOOT, SPROX_SNAPSHOT_ID);

        return SPROX_OK;
    }

    if (error) {
        *error = why;
    }

    return SPROX_INVALID;
}


uint32_t
sprox_snapshot_sum(const uint8_t *block, size_t len)
{
    uint32_t  crc;

    crc = sprox_crc32(0, block, SPROX_SNAPSHOT_AT_SUM);

    return sprox_crc32(crc, block + SPROX_SNAPSHOT_PREFACE,
                       len - SPROX_SNAPSHOT_PREFACE);
}


/* Writes the preface of the block that begins at `from`. */

static void
seal(sprox_buf_t *out, size_t from, sprox_snapshot_type_t type)
{
    size_t    len;
    uint8_t  *p;

    p = out->data + from;
    len = out->len - from;

    sprox_number_put(p + SPROX_SNAPSHOT_AT_TYPE, type, 4);
    sprox_number_put(p + SPROX_SNAPSHOT_AT_LENGTH,
                     len - SPROX_SNAPSHOT_PREFACE, 4);
    sprox_number_put(p + SPROX_SNAPSHOT_AT_SUM, sprox_snapshot_sum(p, len), 4);
}


void
sprox_snapshot_begin_locked(sprox_snapshot_writer_t *w, sprox_catalog_t *cat)
{
    memset(w, 0, sizeof(sprox_snapshot_writer_t));

    w->epoch = sprox_catalog_epoch_locked(cat);
    w->stage = STAGE_SPACE;
}


/* The next space that holds something; looks at n of them. */

static sprox_rc_t
next_space(sprox_snapshot_writer_t *w, sprox_catalog_t *cat, size_t n,
    sprox_buf_t *out)
{
    size_t             from;
    uint8_t            numbers[SPROX_SNAPSHOT_PREFACE + SPROX_SNAPSHOT_END];
    uint32_t           ref;
    sprox_str_t        name;
    sprox_space_t     *space;
    sprox_map_path_t   path;

    from = out->len;

    ref = sprox_map_seek(cat, cat->spaces_root,
                         sprox_str_make(w->name, w->name_len), w->begun,
                         &path);

    for ( /* void */ ; ref; ref = sprox_map_next(cat, &path)) {
        space = sprox_unit(cat, ref);
        name = sprox_node_key(&space->node);

        memcpy(w->name, name.data, name.len);
        w->name_len = name.len;
        w->begun = 1;

        if (space->root) {
            memset(numbers, 0, SPROX_SNAPSHOT_PREFACE);
            sprox_buf_add(out, numbers, SPROX_SNAPSHOT_PREFACE);
            sprox_buf_str(out, name);
            seal(out, from, SPROX_SNAPSHOT_SPACE);

            w->counts.spaces++;
            w->stage = STAGE_OBJECTS;
            w->begun = 0;
            w->key_len = 0;

            return SPROX_AGAIN;
        }

        if (--n == 0) {
            return SPROX_AGAIN;
        }
    }

    memset(numbers, 0, SPROX_SNAPSHOT_PREFACE);
    sprox_number_put(numbers + SPROX_SNAPSHOT_PREFACE, w->counts.spaces, 8);
    sprox_number_put(numbers + SPROX_SNAPSHOT_PREFACE + 8, w->counts.objects,
                     8);
    sprox_buf_add(out, numbers, sizeof(numbers));
    seal(out, from, SPROX_SNAPSHOT_LAST);

    return SPROX_DONE;
}


/* The key goes on from w->key, of which `shared` bytes may be used. */

static void
write_object(sprox_snapshot_writer_t *w, sprox_str_t key, size_t shared,
    const sprox_object_t *o, sprox_buf_t *out)
{
    size_t   i;
    uint8_t  head[SPROX_SNAPSHOT_OBJECT];

    if (shared > key.len) {
        shared = key.len;
    }

    for (i = 0; i < shared && key.data[i] == w->key[i]; i++) { /* void */ }

    sprox_number_put(head, (o->listed ? SPROX_SNAPSHOT_LISTED : 0)
                           | (o->headed ? SPROX_SNAPSHOT_HEADED : 0)
                           | (o->settled ? SPROX_SNAPSHOT_SETTLED : 0)
                           | (o->told ? SPROX_SNAPSHOT_BY_EVENT : 0)
                           | (o->doubted ? SPROX_SNAPSHOT_DOUBTED : 0)
                           | (o->absent ? SPROX_SNAPSHOT_ABSENT : 0), 2);

    sprox_number_put(head + SPROX_SNAPSHOT_AT_SHARED, i, 2);
    sprox_number_put(head + SPROX_SNAPSHOT_AT_KEY, key.len - i, 2);
    sprox_number_put(head + SPROX_SNAPSHOT_AT_ETAG, o->etag.len, 2);
    sprox_number_put(head + SPROX_SNAPSHOT_AT_VERSION, o->version.len, 2);
    sprox_number_put(head + SPROX_SNAPSHOT_AT_HEADERS, o->headers.len, 2);
    sprox_number_put(head + SPROX_SNAPSHOT_AT_CLASS, o->storage_class.len, 2);
    sprox_number_put(head + SPROX_SNAPSHOT_AT_SEQUENCER, o->sequencer.len, 2);
    sprox_number_put(head + SPROX_SNAPSHOT_AT_SIZE, o->size, 8);
    sprox_number_put(head + SPROX_SNAPSHOT_AT_CHANGED,
                     (uint64_t) o->last_modified, 8);
    sprox_number_put(head + SPROX_SNAPSHOT_AT_PROVED, (uint64_t) o->proved, 8);

    sprox_buf_add(out, head, SPROX_SNAPSHOT_OBJECT);
    sprox_buf_str(out, sprox_str_from(key, i));
    sprox_buf_str(out, o->etag);
    sprox_buf_str(out, o->version);
    sprox_buf_str(out, o->headers);
    sprox_buf_str(out, o->storage_class);
    sprox_buf_str(out, o->sequencer);

    if (key.len > i) {
        memcpy(w->key + i, key.data + i, key.len - i);
    }

    w->key_len = key.len;
    w->counts.objects++;
}


static sprox_rc_t
next_objects(sprox_snapshot_writer_t *w, sprox_catalog_t *cat, size_t n,
    sprox_buf_t *out)
{
    size_t             from, shared;
    uint8_t            preface[SPROX_SNAPSHOT_PREFACE];
    uint8_t            buf[SPROX_OBJECT_BUF];
    uint32_t           ref;
    sprox_space_t     *space;
    sprox_object_t     object;
    sprox_record_t    *record;
    sprox_map_path_t   path;

    ref = sprox_map_find(cat, cat->spaces_root,
                         sprox_str_make(w->name, w->name_len), &path);
    space = sprox_unit(cat, ref);

    ref = sprox_map_seek(cat, space->root,
                         sprox_str_make(w->key, w->key_len), w->begun, &path);

    if (ref == 0) {
        w->stage = STAGE_SPACE;
        w->begun = 1;
        return SPROX_AGAIN;
    }

    from = out->len;
    memset(preface, 0, sizeof(preface));
    sprox_buf_add(out, preface, sizeof(preface));

    /* each block can be read without the one before it */

    shared = 0;

    do {
        record = sprox_record(cat, ref);
        sprox_record_read(cat, record, &object, buf);
        write_object(w, sprox_node_key(&record->node), shared, &object, out);

        shared = w->key_len;
        w->begun = 1;

        ref = sprox_map_next(cat, &path);

    } while (ref && --n
             && out->len - from
                <= SPROX_SNAPSHOT_BLOCK_MAX - SPROX_SNAPSHOT_OBJECT_MAX);

    seal(out, from, SPROX_SNAPSHOT_OBJECTS);

    return SPROX_AGAIN;
}


sprox_rc_t
sprox_snapshot_write_locked(sprox_snapshot_writer_t *w, sprox_catalog_t *cat,
    size_t n, sprox_buf_t *out)
{
    if (sprox_catalog_epoch_locked(cat) != w->epoch) {
        return SPROX_NOT_FOUND;
    }

    if (sprox_buf_reserve(out, SPROX_SNAPSHOT_BLOCK_MAX) != SPROX_OK) {
        return SPROX_NOMEM;
    }

    return w->stage == STAGE_SPACE ? next_space(w, cat, n, out)
                                   : next_objects(w, cat, n, out);
}
