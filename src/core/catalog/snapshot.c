/*
 * The catalog outlives a restart in a file.
 *
 *   +------+------+-------+---------+---------+-------+-------+-----+------+
 *   | head | bans | space | regions | objects | whole | space | ... | last |
 *   +------+------+-------+---------+---------+-------+-------+-----+------+
 *
 * Each but head, space and last may be left out, or be several.
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
 *       0  type             4    1 bans, 2 space, 3 regions, 4 objects,
 *                                5 whole, 6 last
 *       4  length           4    of what follows the 12 bytes
 *       8  CRC-32           4    of the block without these four bytes
 *      12  bans:    one or more
 *          space:   its name
 *          regions: one or more, those of the space that are complete when
 *                   the walk through its objects begins
 *          objects: one or more, of the space
 *          whole:   the regions again, when that walk has ended: only one
 *                   that stands in both, the same, can be complete
 *          last:    how many bans, spaces, whole regions and objects there
 *                   were, 8 each
 *
 * A ban; the one of all spaces is the first, and has no name:
 *
 *       0  flags            2    1 all
 *       2  lengths: name 2, prefix 2
 *       6  time             8    ms
 *      14  name, prefix
 *
 * A region:
 *
 *       0  length of the prefix 2
 *       2  id               4    of its opening
 *       6  crawled          8    ms
 *      14  owners           2    1: the one that follows, of all objects
 *      16  lengths: owner's id 2, name 2
 *      20  prefix, id, name
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
 * All numbers are in little endian.  Spaces come in the order of their names,
 * objects in that of their keys, regions and bans in that of their prefixes,
 * so that a walk can go on from the last one, whatever was changed since.
 */

#include "sprox_snapshot_file.h"
#include "sprox_digest.h"
#include "sprox_zone.h"


static const uint8_t  magic[8] = { 'S', 'P', 'X', 'C', 'A', 'T', 'L', 'G' };

static const char  *states[] = { "open", "told", "shut" };

static const sprox_owner_t  no_owner;


typedef enum {
    STAGE_BANS = 0,
    STAGE_SPACE,
    STAGE_REGIONS,
    STAGE_OBJECTS,
    STAGE_WHOLE
} stage_t;


/* A block of bans or regions, while it is written. */

typedef struct {
    sprox_snapshot_writer_t  *w;
    sprox_buf_t              *out;
    size_t                    from;
    size_t                    left;     /* entries that it may still have */
} block_t;


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


/* A block without its preface, as yet. */

static void
open_block(block_t *block, sprox_snapshot_writer_t *w, sprox_buf_t *out,
    size_t n)
{
    uint8_t  preface[SPROX_SNAPSHOT_PREFACE];

    block->w = w;
    block->out = out;
    block->from = out->len;
    block->left = n;

    memset(preface, 0, sizeof(preface));
    sprox_buf_add(out, preface, sizeof(preface));
}


/* One with nothing in it is taken back. */

static void
close_block(block_t *block, sprox_snapshot_type_t type)
{
    if (block->out->len == block->from + SPROX_SNAPSHOT_PREFACE) {
        block->out->len = block->from;

    } else {
        seal(block->out, block->from, type);
    }
}


/* Counts an entry that is to be written; 0: the block is full. */

static int
room(block_t *block)
{
    if (block->left == 0
        || block->out->len - block->from
           > SPROX_SNAPSHOT_BLOCK_MAX - SPROX_SNAPSHOT_OBJECT_MAX)
    {
        return 0;
    }

    block->left--;

    return 1;
}


static void
remember(uint8_t *to, size_t *to_len, sprox_str_t s)
{
    if (s.len) {
        memcpy(to, s.data, s.len);
    }

    *to_len = s.len;
}


/* The walk has done with what stands in w->key. */

static void
stage(sprox_snapshot_writer_t *w, stage_t next)
{
    w->stage = next;
    w->begun = 0;
    w->key_len = 0;
}


void
sprox_snapshot_begin_locked(sprox_snapshot_writer_t *w, sprox_catalog_t *cat)
{
    memset(w, 0, sizeof(sprox_snapshot_writer_t));

    w->epoch = sprox_catalog_epoch_locked(cat);
    w->stage = STAGE_BANS;
}


/* The order of bans: see sprox_catalog_bans_locked(). */

static sprox_rc_t
write_ban(void *data, const sprox_ban_t *ban)
{
    int                       order;
    uint8_t                   head[SPROX_SNAPSHOT_BAN];
    block_t                  *block = data;
    sprox_snapshot_writer_t  *w;

    w = block->w;

    if (w->begun) {

        if (ban->all) {
            return SPROX_OK;
        }

        order = sprox_str_cmp(ban->name, sprox_str_make(w->name,
                                                        w->name_len));
        if (order == 0) {
            order = sprox_str_cmp(ban->prefix, sprox_str_make(w->key,
                                                              w->key_len));
        }

        if (order < 0 || (order == 0 && w->spaced)) {
            return SPROX_OK;
        }
    }

    if (!room(block)) {
        return SPROX_AGAIN;
    }

    sprox_number_put(head, ban->all ? SPROX_SNAPSHOT_ALL : 0, 2);
    sprox_number_put(head + SPROX_SNAPSHOT_AT_NAME, ban->name.len, 2);
    sprox_number_put(head + SPROX_SNAPSHOT_AT_BANNED, ban->prefix.len, 2);
    sprox_number_put(head + SPROX_SNAPSHOT_AT_WHEN, (uint64_t) ban->time, 8);

    sprox_buf_add(block->out, head, sizeof(head));
    sprox_buf_str(block->out, ban->name);
    sprox_buf_str(block->out, ban->prefix);

    /* behind that of all there may be one without name and prefix */

    remember(w->name, &w->name_len, ban->name);
    remember(w->key, &w->key_len, ban->prefix);
    w->begun = 1;
    w->spaced = !ban->all;

    w->counts.bans++;

    return SPROX_OK;
}


static sprox_rc_t
next_bans(sprox_snapshot_writer_t *w, sprox_catalog_t *cat, size_t n,
    sprox_buf_t *out)
{
    block_t     block;
    sprox_rc_t  rc;

    open_block(&block, w, out, n);

    rc = sprox_catalog_bans_locked(cat, write_ban, &block);

    close_block(&block, SPROX_SNAPSHOT_BANS);

    if (rc == SPROX_DONE) {
        stage(w, STAGE_SPACE);
        w->spaced = 0;
        w->name_len = 0;
    }

    return SPROX_AGAIN;
}


static sprox_rc_t
write_region(void *data, sprox_str_t prefix, const sprox_region_t *region)
{
    uint8_t                   head[SPROX_SNAPSHOT_REGION];
    block_t                  *block = data;
    sprox_owner_t             owner;
    sprox_snapshot_writer_t  *w;

    w = block->w;

    if (!region->complete
        || (w->begun
            && sprox_str_cmp(prefix, sprox_str_make(w->key, w->key_len))
               <= 0))
    {
        return SPROX_OK;
    }

    if (!room(block)) {
        return SPROX_AGAIN;
    }

    sprox_number_put(head + SPROX_SNAPSHOT_AT_PREFIX, prefix.len, 2);
    sprox_number_put(head + SPROX_SNAPSHOT_AT_REGION, region->id, 4);
    sprox_number_put(head + SPROX_SNAPSHOT_AT_CRAWLED,
                     (uint64_t) region->crawled, 8);

    owner = no_owner;

    if (region->owned) {
        owner = region->owner;
    }

    sprox_number_put(head + SPROX_SNAPSHOT_AT_OWNERS, region->owned, 2);
    sprox_number_put(head + SPROX_SNAPSHOT_AT_OWNER, owner.id.len, 2);
    sprox_number_put(head + SPROX_SNAPSHOT_AT_OWNERS_NAME, owner.name.len, 2);

    sprox_buf_add(block->out, head, sizeof(head));
    sprox_buf_str(block->out, prefix);
    sprox_buf_str(block->out, owner.id);
    sprox_buf_str(block->out, owner.name);

    remember(w->key, &w->key_len, prefix);
    w->begun = 1;

    if (w->stage == STAGE_WHOLE) {
        w->counts.regions++;
    }

    return SPROX_OK;
}


static sprox_rc_t
next_regions(sprox_snapshot_writer_t *w, sprox_catalog_t *cat, size_t n,
    sprox_buf_t *out)
{
    block_t     block;
    uint32_t    number;
    sprox_rc_t  rc;

    (void) sprox_catalog_space_locked(cat, sprox_str_make(w->name,
                                                          w->name_len),
                                      0, &number);

    open_block(&block, w, out, n);

    rc = sprox_catalog_regions_locked(cat, number, write_region, &block);

    close_block(&block, w->stage == STAGE_REGIONS ? SPROX_SNAPSHOT_REGIONS
                                                  : SPROX_SNAPSHOT_WHOLE);

    if (rc == SPROX_DONE) {
        stage(w, w->stage == STAGE_REGIONS ? STAGE_OBJECTS : STAGE_SPACE);
    }

    return SPROX_AGAIN;
}


/* The next space that holds something; looks at n of them. */

static sprox_rc_t
next_space(sprox_snapshot_writer_t *w, sprox_catalog_t *cat, size_t n,
    sprox_buf_t *out)
{
    block_t            block;
    uint8_t            numbers[SPROX_SNAPSHOT_END];
    uint32_t           ref;
    sprox_str_t        name;
    sprox_space_t     *space;
    sprox_map_path_t   path;

    ref = sprox_map_seek(cat, cat->spaces_root,
                         sprox_str_make(w->name, w->name_len),
                         w->spaced ? SPROX_MAP_AFTER : SPROX_MAP_FROM, &path);

    for ( /* void */ ; ref; ref = sprox_map_next(cat, &path)) {

        if (n-- == 0) {
            return SPROX_AGAIN;
        }

        space = sprox_unit(cat, ref);
        name = sprox_node_key(&space->node);

        remember(w->name, &w->name_len, name);
        w->spaced = 1;

        if (space->root || space->regions) {
            open_block(&block, w, out, 1);
            sprox_buf_str(out, name);
            seal(out, block.from, SPROX_SNAPSHOT_SPACE);

            w->counts.spaces++;
            stage(w, STAGE_REGIONS);

            return SPROX_AGAIN;
        }
    }

    sprox_number_put(numbers, w->counts.bans, 8);
    sprox_number_put(numbers + 8, w->counts.spaces, 8);
    sprox_number_put(numbers + 16, w->counts.regions, 8);
    sprox_number_put(numbers + 24, w->counts.objects, 8);

    open_block(&block, w, out, 1);
    sprox_buf_add(out, numbers, sizeof(numbers));
    seal(out, block.from, SPROX_SNAPSHOT_LAST);

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
    size_t             shared;
    block_t            block;
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
                         sprox_str_make(w->key, w->key_len),
                         w->begun ? SPROX_MAP_AFTER : SPROX_MAP_FROM, &path);

    open_block(&block, w, out, n);

    /* each block can be read without the one before it */

    shared = 0;

    for ( /* void */ ; ref && room(&block); ref = sprox_map_next(cat, &path)) {
        record = sprox_record(cat, ref);
        sprox_record_read(cat, record, &object, buf);
        write_object(w, sprox_node_key(&record->node), shared, &object, out);

        shared = w->key_len;
        w->begun = 1;
    }

    close_block(&block, SPROX_SNAPSHOT_OBJECTS);

    if (ref == 0) {
        stage(w, STAGE_WHOLE);
    }

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

    switch (w->stage) {

    case STAGE_BANS:
        return next_bans(w, cat, n, out);

    case STAGE_SPACE:
        return next_space(w, cat, n, out);

    case STAGE_OBJECTS:
        return next_objects(w, cat, n, out);

    default:
        return next_regions(w, cat, n, out);
    }
}
