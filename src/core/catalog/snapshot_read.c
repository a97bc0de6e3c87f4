/*
 * Reading a snapshot: a push parser that gathers one block at a time, checks
 * all of it, and holds no more than that.
 *
 *   head -> bans ... -> space -> regions ... -> objects ... -> whole ...
 *                         ^                                       |
 *                         +---------------------------------------+-> last
 *
 * Whatever the bytes are: a length is looked at before anything is taken by
 * it, and what is not in the order that the writer keeps is no snapshot.
 */

#include "sprox_snapshot_file.h"
#include "sprox_zone.h"


/* What was read last; beyond the head, in the order in which blocks come. */

typedef enum {
    STAGE_HEAD = 0,         /* nothing */
    STAGE_BANS,             /* the head, or bans */
    STAGE_SPACE,
    STAGE_REGIONS,
    STAGE_OBJECTS,
    STAGE_WHOLE,
    STAGE_LAST,
    STAGE_END,              /* and nothing stood behind it */
    STAGE_BAD
} stage_t;


static const char  wrong[] = "it is damaged";


sprox_rc_t
sprox_snapshot_reader_init(sprox_snapshot_reader_t *r, const sprox_mem_t *mem)
{
    memset(r, 0, sizeof(sprox_snapshot_reader_t));

    r->mem = mem;
    sprox_buf_init(&r->regions, mem);

    r->block = sprox_alloc(mem, SPROX_SNAPSHOT_BLOCK_MAX);

    return r->block ? SPROX_OK : SPROX_NOMEM;
}


void
sprox_snapshot_reader_free(sprox_snapshot_reader_t *r)
{
    sprox_buf_free(&r->regions);
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


sprox_rc_t
sprox_snapshot_next_object(sprox_snapshot_reader_t *r, sprox_object_t *o)
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


sprox_rc_t
sprox_snapshot_next_ban(sprox_snapshot_reader_t *r, sprox_ban_t *ban)
{
    size_t          name, prefix, left;
    uint64_t        flags;
    const uint8_t  *p;

    p = r->block + r->at;
    left = r->have - r->at;

    if (left < SPROX_SNAPSHOT_BAN) {
        return SPROX_INVALID;
    }

    flags = sprox_number_get(p, 2);
    name = (size_t) sprox_number_get(p + SPROX_SNAPSHOT_AT_NAME, 2);
    prefix = (size_t) sprox_number_get(p + SPROX_SNAPSHOT_AT_BANNED, 2);
    left -= SPROX_SNAPSHOT_BAN;

    if (flags > SPROX_SNAPSHOT_ALL || name > left || prefix > left - name
        || name > SPROX_CATALOG_NAME_MAX || prefix > SPROX_KEY_MAX
        || (flags && name + prefix))
    {
        return SPROX_INVALID;
    }

    memset(ban, 0, sizeof(sprox_ban_t));
    ban->all = flags != 0;
    ban->time = (int64_t) sprox_number_get(p + SPROX_SNAPSHOT_AT_WHEN, 8);

    p += SPROX_SNAPSHOT_BAN;
    ban->name = sprox_str_make(p, name);
    ban->prefix = sprox_str_make(p + name, prefix);

    r->at += SPROX_SNAPSHOT_BAN + name + prefix;

    return SPROX_OK;
}


sprox_rc_t
sprox_snapshot_next_region(sprox_snapshot_reader_t *r,
    sprox_str_t *prefix, sprox_region_t *region)
{
    size_t          len, id, name, owned;
    const uint8_t  *p;

    p = r->block + r->at;

    if (r->have - r->at < SPROX_SNAPSHOT_REGION) {
        return SPROX_INVALID;
    }

    len = (size_t) sprox_number_get(p + SPROX_SNAPSHOT_AT_PREFIX, 2);
    owned = (size_t) sprox_number_get(p + SPROX_SNAPSHOT_AT_OWNERS, 2);
    id = (size_t) sprox_number_get(p + SPROX_SNAPSHOT_AT_OWNER, 2);
    name = (size_t) sprox_number_get(p + SPROX_SNAPSHOT_AT_OWNERS_NAME, 2);

    if (len > SPROX_KEY_MAX || owned > 1
        || id > (owned ? SPROX_OWNER_MAX : 0)
        || name > (owned ? SPROX_OWNER_MAX : 0)
        || len + id + name > r->have - r->at - SPROX_SNAPSHOT_REGION)
    {
        return SPROX_INVALID;
    }

    region->id = (uint32_t) sprox_number_get(p + SPROX_SNAPSHOT_AT_REGION, 4);
    region->crawled = (int64_t) sprox_number_get(p
                                              + SPROX_SNAPSHOT_AT_CRAWLED, 8);
    region->owned = owned != 0;

    p += SPROX_SNAPSHOT_REGION;

    *prefix = sprox_str_make(p, len);
    region->owner.id = sprox_str_make(p + len, id);
    region->owner.name = sprox_str_make(p + len + id, name);

    r->at += SPROX_SNAPSHOT_REGION + len + id + name;

    return SPROX_OK;
}


/*
 * Names and keys, in the order in which they must come: what came last
 * stands in r->name and r->key.  first: nothing came yet.
 */

static int
in_order(sprox_snapshot_reader_t *r, int first, sprox_str_t key)
{
    int  order;

    order = first ? -1 : sprox_str_cmp(sprox_str_make(r->key, r->key_len),
                                       key);
    if (key.len) {
        memcpy(r->key, key.data, key.len);
    }

    r->key_len = key.len;

    return order < 0;
}


static sprox_rc_t
check_bans(sprox_snapshot_reader_t *r, int first)
{
    int          order;
    sprox_ban_t  ban;

    do {
        if (sprox_snapshot_next_ban(r, &ban) != SPROX_OK
            || (ban.all && r->counts.bans))
        {
            return SPROX_INVALID;
        }

        order = first ? -1 : sprox_str_cmp(sprox_str_make(r->name,
                                                          r->name_len),
                                           ban.name);
        if (order > 0 || (!in_order(r, first, ban.prefix) && order == 0)) {
            return SPROX_INVALID;
        }

        if (ban.name.len) {
            memcpy(r->name, ban.name.data, ban.name.len);
        }

        r->name_len = ban.name.len;
        r->counts.bans++;

        /* that of all has no place in the order */

        first = ban.all;

    } while (r->at < r->have);

    r->fresh = first;

    return SPROX_OK;
}


static sprox_rc_t
check_regions(sprox_snapshot_reader_t *r, int first)
{
    sprox_str_t     prefix;
    sprox_region_t  region;

    do {
        if (sprox_snapshot_next_region(r, &prefix, &region) != SPROX_OK
            || !in_order(r, first, prefix))
        {
            return SPROX_INVALID;
        }

        first = 0;
        r->counts.regions += r->stage == STAGE_WHOLE;

    } while (r->at < r->have);

    return SPROX_OK;
}


/* The first key of a block shares nothing with the one before it. */

static sprox_rc_t
check_objects(sprox_snapshot_reader_t *r, int first)
{
    size_t          last_len;
    uint8_t         last[SPROX_KEY_MAX];
    sprox_object_t  object;

    memcpy(last, r->key, r->key_len);
    last_len = r->key_len;
    r->key_len = 0;

    do {
        if (sprox_snapshot_next_object(r, &object) != SPROX_OK
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
        || (r->counts.spaces && sprox_str_cmp(last, name) >= 0))
    {
        return SPROX_INVALID;
    }

    if (name.len) {
        memcpy(r->name, name.data, name.len);
    }

    r->name_len = name.len;
    r->counts.spaces++;

    return SPROX_OK;
}


static sprox_rc_t
check_last(sprox_snapshot_reader_t *r)
{
    const uint8_t  *p;

    p = r->block + r->at;

    if (r->have - r->at != SPROX_SNAPSHOT_END
        || sprox_number_get(p, 8) != r->counts.bans
        || sprox_number_get(p + 8, 8) != r->counts.spaces
        || sprox_number_get(p + 16, 8) != r->counts.regions
        || sprox_number_get(p + 24, 8) != r->counts.objects)
    {
        return SPROX_INVALID;
    }

    return SPROX_OK;
}


/*
 * Whether a block of that type may come now, and what comes with it is the
 * first of its kind (*first): stages and types go the same way, and only
 * another space goes back.
 */

static int
may_come(sprox_snapshot_reader_t *r, int *first)
{
    stage_t  next;

    if (r->type < SPROX_SNAPSHOT_BANS || r->type > SPROX_SNAPSHOT_LAST) {
        return 0;
    }

    next = STAGE_BANS + (r->type - SPROX_SNAPSHOT_BANS);

    *first = next != r->stage;

    switch (next) {

    case STAGE_BANS:
        *first = r->fresh;
        break;

    case STAGE_SPACE:
    case STAGE_LAST:
        r->stage = next;
        return 1;

    default:
        if (r->stage < STAGE_SPACE) {
            return 0;
        }
    }

    if (next < r->stage) {
        return 0;
    }

    r->stage = next;

    return 1;
}


/* A block that is there with all its bytes. */

static sprox_rc_t
check_block(sprox_snapshot_reader_t *r)
{
    int         first;
    sprox_rc_t  rc;

    r->at = SPROX_SNAPSHOT_PREFACE;
    r->type = (unsigned) sprox_number_get(r->block + SPROX_SNAPSHOT_AT_TYPE,
                                          4);

    if (sprox_number_get(r->block + SPROX_SNAPSHOT_AT_SUM, 4)
        != sprox_snapshot_sum(r->block, r->have)
        || !may_come(r, &first))
    {
        return SPROX_INVALID;
    }

    if (r->type == SPROX_SNAPSHOT_SPACE) {
        rc = check_space(r);

    } else if (r->type == SPROX_SNAPSHOT_LAST) {
        rc = check_last(r);

    } else if (r->at == r->have) {
        rc = SPROX_INVALID;

    } else if (r->type == SPROX_SNAPSHOT_BANS) {
        rc = check_bans(r, first);

    } else if (r->type == SPROX_SNAPSHOT_OBJECTS) {
        rc = check_objects(r, first);

    } else {
        rc = check_regions(r, first);
    }

    r->at = SPROX_SNAPSHOT_PREFACE;

    return rc;
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
        r->stage = STAGE_BANS;
        r->fresh = 1;

        return sprox_snapshot_head_read(r->block, &r->head, &r->error)
               == SPROX_OK ? SPROX_OK : bad(r, r->error);
    }

    return check_block(r) == SPROX_OK ? SPROX_OK : bad(r, wrong);
}
