/*
 * Reading a snapshot: a push parser that gathers one block at a time, checks
 * all of it, and holds no more than that.
 *
 *   head -> space -> objects ... -> space -> ... -> last -> (end of the file)
 *
 * Whatever the bytes are: a length is looked at before anything is taken by
 * it, and what is not in the order that the writer keeps is no snapshot.
 */

#include "sprox_snapshot_file.h"
#include "sprox_zone.h"


typedef enum {
    STAGE_HEAD = 0,
    STAGE_BLOCKS,           /* no space yet */
    STAGE_SPACE,            /* in one */
    STAGE_LAST,             /* the last block was read */
    STAGE_END,
    STAGE_BAD
} stage_t;


static const char  wrong[] = "it is damaged";


sprox_rc_t
sprox_snapshot_reader_init(sprox_snapshot_reader_t *r, const sprox_mem_t *mem)
{
    memset(r, 0, sizeof(sprox_snapshot_reader_t));

    r->mem = mem;
    r->block = sprox_alloc(mem, SPROX_SNAPSHOT_BLOCK_MAX);

    return r->block ? SPROX_OK : SPROX_NOMEM;
}


void
sprox_snapshot_reader_free(sprox_snapshot_reader_t *r)
{
    sprox_free(r->mem, r->block);
    r->block = NULL;
}


static sprox_rc_t
bad(sprox_snapshot_reader_t *r, const char *error)
{
    r->stage = STAGE_BAD;
    r->ready = 0;
    r->error = error;

    return SPROX_INVALID;
}


/* The bytes of the current block that are needed to go on; 0: too many. */

static size_t
needed(const sprox_snapshot_reader_t *r)
{
    uint64_t  len;

    if (r->stage == STAGE_HEAD) {
        return SPROX_SNAPSHOT_HEAD;
    }

    if (r->have < SPROX_SNAPSHOT_PREFACE) {
        return SPROX_SNAPSHOT_PREFACE;
    }

    len = sprox_number_get(r->block + SPROX_SNAPSHOT_AT_LENGTH, 4)
          + SPROX_SNAPSHOT_PREFACE;

    return len <= SPROX_SNAPSHOT_BLOCK_MAX ? (size_t) len : 0;
}


/*
 * The object at r->at, whose end becomes r->at; its key is made in r->key,
 * its strings point into the block.
 */

static sprox_rc_t
next_object(sprox_snapshot_reader_t *r, sprox_object_t *o)
{
    size_t          i, left, shared, lens[SPROX_SNAPSHOT_STRINGS];
    unsigned        flags;
    const uint8_t  *p;
    sprox_str_t     strings[SPROX_SNAPSHOT_STRINGS];

    p = r->block + r->at;
    left = r->have - r->at;

    if (left < SPROX_SNAPSHOT_OBJECT) {
        return SPROX_INVALID;
    }

    flags = (unsigned) sprox_number_get(p, 2);
    shared = (size_t) sprox_number_get(p + SPROX_SNAPSHOT_AT_SHARED, 2);

    for (i = 0; i < SPROX_SNAPSHOT_STRINGS; i++) {
        lens[i] = (size_t) sprox_number_get(p + SPROX_SNAPSHOT_AT_KEY + 2 * i,
                                            2);
    }

    o->size = sprox_number_get(p + SPROX_SNAPSHOT_AT_SIZE, 8);
    o->last_modified = (int64_t) sprox_number_get(p
                                              + SPROX_SNAPSHOT_AT_CHANGED, 8);
    o->proved = (int64_t) sprox_number_get(p + SPROX_SNAPSHOT_AT_PROVED, 8);

    p += SPROX_SNAPSHOT_OBJECT;
    left -= SPROX_SNAPSHOT_OBJECT;

    for (i = 0; i < SPROX_SNAPSHOT_STRINGS; i++) {
        if (lens[i] > left) {
            return SPROX_INVALID;
        }

        strings[i] = sprox_str_make(p, lens[i]);
        p += lens[i];
        left -= lens[i];
    }

    if ((flags & ~(unsigned) SPROX_SNAPSHOT_FLAGS) || shared > r->key_len
        || lens[0] > SPROX_KEY_MAX - shared)
    {
        return SPROX_INVALID;
    }

    if (lens[0]) {
        memcpy(r->key + shared, strings[0].data, lens[0]);
    }

    r->key_len = shared + lens[0];
    r->at = (size_t) (p - r->block);

    o->etag = strings[1];
    o->version = strings[2];
    o->headers = strings[3];
    o->storage_class = strings[4];
    o->sequencer = strings[5];
    o->listed = (flags & SPROX_SNAPSHOT_LISTED) != 0;
    o->headed = (flags & SPROX_SNAPSHOT_HEADED) != 0;
    o->settled = (flags & SPROX_SNAPSHOT_SETTLED) != 0;
    o->told = (flags & SPROX_SNAPSHOT_BY_EVENT) != 0;
    o->doubted = (flags & SPROX_SNAPSHOT_DOUBTED) != 0;
    o->absent = (flags & SPROX_SNAPSHOT_ABSENT) != 0;

    return sprox_object_check(o) == SPROX_OK ? SPROX_OK : SPROX_INVALID;
}


/*
 * All objects of a block.  Their keys grow: one that goes on after its
 * shared part with a byte that is not greater than that of the key before
 * is out of order.  first: the block is the first one of its space, and has
 * no key before it.
 */

static sprox_rc_t
check_objects(sprox_snapshot_reader_t *r, int first)
{
    size_t          last_len;
    uint8_t         last[SPROX_KEY_MAX];
    sprox_object_t  object;

    memcpy(last, r->key, r->key_len);
    last_len = r->key_len;
    r->key_len = 0;

    if (r->at == r->have) {
        return SPROX_INVALID;
    }

    do {
        if (next_object(r, &object) != SPROX_OK
            || (!first
                && sprox_str_cmp(sprox_str_make(last, last_len),
                                 sprox_str_make(r->key, r->key_len))
                   >= 0))
        {
            return SPROX_INVALID;
        }

        memcpy(last, r->key, r->key_len);
        last_len = r->key_len;

        first = 0;
        r->counts.objects++;

    } while (r->at < r->have);

    return SPROX_OK;
}


static sprox_rc_t
check_space(sprox_snapshot_reader_t *r)
{
    sprox_str_t  name, last;

    name = sprox_str_make(r->block + r->at, r->have - r->at);
    last = sprox_str_make(r->name, r->name_len);

    if (name.len > SPROX_CATALOG_NAME_MAX
        || (r->stage == STAGE_SPACE && sprox_str_cmp(last, name) >= 0))
    {
        return SPROX_INVALID;
    }

    if (name.len) {
        memcpy(r->name, name.data, name.len);
    }

    r->name_len = name.len;
    r->key_len = 0;
    r->fresh = 1;
    r->stage = STAGE_SPACE;
    r->counts.spaces++;

    return SPROX_OK;
}


static sprox_rc_t
check_last(sprox_snapshot_reader_t *r)
{
    const uint8_t  *p;

    p = r->block + r->at;

    if (r->have - r->at != SPROX_SNAPSHOT_END
        || sprox_number_get(p, 8) != r->counts.spaces
        || sprox_number_get(p + 8, 8) != r->counts.objects)
    {
        return SPROX_INVALID;
    }

    r->stage = STAGE_LAST;

    return SPROX_OK;
}


/* A block that is there with all its bytes. */

static sprox_rc_t
check_block(sprox_snapshot_reader_t *r)
{
    int         first;
    sprox_rc_t  rc;

    if (sprox_number_get(r->block + SPROX_SNAPSHOT_AT_SUM, 4)
        != sprox_snapshot_sum(r->block, r->have))
    {
        return SPROX_INVALID;
    }

    r->at = SPROX_SNAPSHOT_PREFACE;
    r->type = (unsigned) sprox_number_get(r->block + SPROX_SNAPSHOT_AT_TYPE,
                                          4);
    switch (r->type) {

    case SPROX_SNAPSHOT_SPACE:
        return check_space(r);

    case SPROX_SNAPSHOT_OBJECTS:

        if (r->stage != STAGE_SPACE) {
            return SPROX_INVALID;
        }

        first = r->fresh;
        r->fresh = 0;

        rc = check_objects(r, first);

        r->at = SPROX_SNAPSHOT_PREFACE;
        return rc;

    case SPROX_SNAPSHOT_LAST:
        return check_last(r);

    default:
        return SPROX_INVALID;
    }
}


static sprox_rc_t
end(sprox_snapshot_reader_t *r)
{
    if (r->stage == STAGE_LAST || r->stage == STAGE_END) {
        r->stage = STAGE_END;
        return SPROX_DONE;
    }

    if (r->stage == STAGE_HEAD && r->have == 0) {
        return bad(r, "it is empty");
    }

    return bad(r, "it is cut short");
}


sprox_rc_t
sprox_snapshot_read(sprox_snapshot_reader_t *r, sprox_str_t *in)
{
    size_t  need, n;

    if (r->stage == STAGE_BAD) {
        return SPROX_INVALID;
    }

    if (r->ready) {
        r->ready = 0;
        r->offset += r->have;
        r->have = 0;
    }

    if (in->len == 0) {
        return end(r);
    }

    if (r->stage == STAGE_LAST || r->stage == STAGE_END) {
        return bad(r, "something stands behind its end");
    }

    for ( ;; ) {
        need = needed(r);

        if (need == 0) {
            return bad(r, wrong);
        }

        if (r->have == need) {
            break;
        }

        if (in->len == 0) {
            return SPROX_AGAIN;
        }

        n = need - r->have < in->len ? need - r->have : in->len;

        memcpy(r->block + r->have, in->data, n);
        r->have += n;
        *in = sprox_str_from(*in, n);
    }

    r->ready = 1;

    if (r->stage == STAGE_HEAD) {
        r->type = SPROX_SNAPSHOT_NONE;
        r->stage = STAGE_BLOCKS;

        return sprox_snapshot_head_read(r->block, &r->head, &r->error)
               == SPROX_OK ? SPROX_OK : bad(r, r->error);
    }

    return check_block(r) == SPROX_OK ? SPROX_OK : bad(r, wrong);
}


/*
 * One that must be proved again, since `when`.  put() takes it for the oldest
 * there can be, so that it counts only where nothing else is known.
 */

static sprox_rc_t
put_doubted(sprox_catalog_t *cat, uint32_t number, sprox_str_t key,
    sprox_object_t *object, int64_t when)
{
    uint32_t           known;
    sprox_rc_t         rc;
    sprox_space_t     *space;
    sprox_map_path_t   path;

    space = sprox_zone_space(cat, number);
    known = sprox_map_find(cat, space->root, key, &path);

    object->doubted = 1;
    object->proved = 0;

    rc = sprox_catalog_put_locked(cat, number, key, object);

    if (rc == SPROX_OK && !known) {
        rc = sprox_catalog_doubt_locked(cat, number, key, when);
    }

    return rc;
}


/* since, now: see import(). */

static sprox_rc_t
put(sprox_catalog_t *cat, uint32_t number, sprox_str_t key,
    sprox_object_t *object, int64_t since, int64_t now)
{
    if (object->proved > now) {
        return put_doubted(cat, number, key, object, now);
    }

    if (object->proved < since) {
        return put_doubted(cat, number, key, object, since);
    }

    if (object->doubted) {
        return put_doubted(cat, number, key, object, object->proved);
    }

    return sprox_catalog_put_locked(cat, number, key, object);
}


sprox_rc_t
sprox_snapshot_import_locked(sprox_snapshot_reader_t *r, sprox_catalog_t *cat,
    size_t n, int64_t since, int64_t now)
{
    uint32_t        space;
    sprox_object_t  object;

    if (!r->ready || r->type != SPROX_SNAPSHOT_OBJECTS
        || sprox_catalog_space_locked(cat,
                                      sprox_str_make(r->name, r->name_len), 1,
                                      &space)
           != SPROX_OK)
    {
        return SPROX_OK;
    }

    /* the keys of a block begin anew */

    if (r->at == SPROX_SNAPSHOT_PREFACE) {
        r->key_len = 0;
    }

    for ( /* void */ ; r->at < r->have; n--) {

        if (n == 0) {
            return SPROX_AGAIN;
        }

        /* read() saw that it is sound */

        (void) next_object(r, &object);

        if (object.size > SPROX_OBJECT_SIZE_MAX) {
            continue;
        }

        if (put(cat, space, sprox_str_make(r->key, r->key_len), &object,
                since, now)
            == SPROX_OK)
        {
            r->imported++;
        }
    }

    return SPROX_OK;
}
