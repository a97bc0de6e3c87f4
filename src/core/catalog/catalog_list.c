/*
 * Walks over the keys of a space in byte order: what listings are answered
 * from.  A walk may be longer than the lock should be held, so it goes in
 * steps, and between two of them anything may change; it goes on by key.
 *
 * With a delimiter, here "/", and no prefix:
 *
 *     a/1  a/2  a/3  ...  a/999999  b  c/1  c/2
 *     |                             |  |
 *     visited as "a/"               b  "c/"
 *     +---- seek past "a/" -------->|  +---- seek past "c/" ---> done
 *
 * Whether there is such a common prefix, one key that is not in doubt says:
 * those in doubt before it are walked over.
 */

#include "sprox_ban.h"


void
sprox_catalog_cursor_init(sprox_catalog_cursor_t *cursor, sprox_str_t prefix,
    sprox_str_t delimiter, sprox_str_t after)
{
    cursor->prefix = prefix;
    cursor->delimiter = delimiter;

    /* no key is longer: what is greater than the rest is greater than all */

    if (after.len > SPROX_KEY_MAX) {
        after.len = SPROX_KEY_MAX;
    }

    if (after.len) {
        memcpy(cursor->after, after.data, after.len);
    }

    cursor->after_len = after.len;
    cursor->past = delimiter.len && after.len >= prefix.len + delimiter.len
                   && sprox_str_ends(after, delimiter);
}


static uint32_t
seek(sprox_catalog_t *cat, const sprox_space_t *space,
    const sprox_catalog_cursor_t *cursor, sprox_map_path_t *path)
{
    sprox_str_t  after;

    after = sprox_str_make(cursor->after, cursor->after_len);

    if (sprox_str_cmp(after, cursor->prefix) < 0) {
        return sprox_map_seek(cat, space->root, cursor->prefix,
                              SPROX_MAP_FROM, path);
    }

    return sprox_map_seek(cat, space->root, after,
                          cursor->past ? SPROX_MAP_PAST : SPROX_MAP_AFTER,
                          path);
}


/* done is `after` itself, or lies in a record. */

static void
move_on(sprox_catalog_cursor_t *cursor, sprox_str_t done, int past)
{
    if (done.data != cursor->after && done.len) {
        memcpy(cursor->after, done.data, done.len);
    }

    cursor->after_len = done.len;
    cursor->past = past != 0;
}


/* Cuts the key to the common prefix that it rolls up into, if it does. */

static int
roll_up(const sprox_catalog_cursor_t *cursor, sprox_str_t *key)
{
    size_t  at;

    if (cursor->delimiter.len == 0) {
        return 0;
    }

    at = sprox_str_find(*key, cursor->delimiter, cursor->prefix.len);
    if (at == (size_t) -1) {
        return 0;
    }

    key->len = at + cursor->delimiter.len;

    return 1;
}


/* What listings pass over: there is none, and that is beyond doubt. */

static int
hidden(sprox_catalog_t *cat, const sprox_record_t *record)
{
    return (record->node.flags & (SPROX_RECORD_ABSENT | SPROX_RECORD_DOUBTED))
           == SPROX_RECORD_ABSENT
           || sprox_zone_banned(cat, record);
}


static sprox_rc_t
show(sprox_catalog_t *cat, const sprox_record_t *record,
    sprox_catalog_visit_pt visit, void *data)
{
    uint8_t         buf[SPROX_OBJECT_BUF];
    sprox_object_t  object;

    sprox_record_tell(cat, record, &object, buf);

    return visit(data, sprox_node_key(&record->node), &object);
}


/*
 * Looks for the next record to be visited, from *ref on: a common prefix is
 * that of its first record that is not in doubt, or else of its first one.
 * `key` becomes what it stands for in the listing; *done is moved over what
 * is passed.  SPROX_OK; SPROX_DONE: there is none; SPROX_AGAIN: nor within n.
 */

static sprox_rc_t
find(sprox_catalog_t *cat, const sprox_catalog_cursor_t *cursor,
    sprox_map_path_t *path, uint32_t *ref, size_t *n, sprox_str_t *done,
    sprox_str_t *key, int *rolled)
{
    uint32_t         doubt;
    sprox_str_t      own;
    sprox_record_t  *record;

    doubt = 0;

    for ( /* void */ ; *ref; *ref = sprox_map_next(cat, path)) {
        record = sprox_record(cat, *ref);
        own = sprox_node_key(&record->node);

        if (!sprox_str_starts(own, cursor->prefix)
            || (doubt && !sprox_str_starts(own, *key)))
        {
            break;
        }

        if (*n == 0) {

            /* so many are in doubt that it would come to no end */

            if (doubt && done->data == cursor->after) {
                break;
            }

            return SPROX_AGAIN;
        }

        (*n)--;

        if (hidden(cat, record)) {
            *done = doubt ? *done : own;
            continue;
        }

        if (!doubt) {
            *key = own;
            *rolled = roll_up(cursor, key);
        }

        if (!*rolled || !(record->node.flags & SPROX_RECORD_DOUBTED)) {
            return SPROX_OK;
        }

        doubt = doubt ? doubt : *ref;
    }

    *ref = doubt;

    return doubt ? SPROX_OK : SPROX_DONE;
}


sprox_rc_t
sprox_catalog_list_locked(sprox_catalog_t *cat, uint32_t number,
    sprox_catalog_cursor_t *cursor, size_t n, sprox_catalog_visit_pt visit,
    void *data)
{
    int                past, rolled;
    uint32_t           ref;
    sprox_rc_t         rc;
    sprox_str_t        key, done;
    const void        *last;
    sprox_space_t     *space;
    sprox_record_t    *record;
    sprox_map_path_t   path;

    sprox_zone_enter(cat);

    space = sprox_zone_space(cat, number);
    if (space == NULL) {
        return SPROX_NOT_FOUND;
    }

    past = cursor->past;
    rolled = 0;
    key = sprox_str_null;
    done = sprox_str_make(cursor->after, cursor->after_len);

    ref = seek(cat, space, cursor, &path);

    for ( ;; ) {
        last = done.data;

        rc = find(cat, cursor, &path, &ref, &n, &done, &key, &rolled);

        if (done.data != last) {
            past = 0;
        }

        if (rc != SPROX_OK) {
            break;
        }

        record = sprox_record(cat, ref);

        if (rolled && !(record->node.flags & SPROX_RECORD_DOUBTED)) {
            rc = visit(data, key, NULL);

        } else {
            rc = show(cat, record, visit, data);
        }

        if (rc != SPROX_OK) {
            break;
        }

        done = key;
        past = rolled;

        ref = rolled ? sprox_map_seek(cat, space->root, key, SPROX_MAP_PAST,
                                      &path)
                     : sprox_map_next(cat, &path);
    }

    move_on(cursor, done, past);

    return rc;
}


/*
 * What was put before its region was opened is not held, or not counted, by
 * it yet.
 */

static void
hold(sprox_catalog_t *cat, uint32_t ref)
{
    sprox_record_t  *record;

    record = sprox_record(cat, ref);

    if (cat->regions && record->node.key_len
        && !(record->node.flags & SPROX_RECORD_ABSENT)
        && (!(record->node.flags & SPROX_RECORD_HELD)
            || record->newer != cat->openings))
    {
        sprox_zone_mark(cat);
        sprox_zone_rejoin(cat, ref);
        sprox_zone_unmark(cat);
    }
}


/* Absence of which nobody doubts is no object: it goes with its age. */

static int
outdated(const sprox_record_t *record, int64_t before)
{
    return record->node.key_len && record->proved < before
           && (record->node.flags
               & (SPROX_RECORD_ABSENT | SPROX_RECORD_DOUBTED))
              != SPROX_RECORD_ABSENT;
}


sprox_rc_t
sprox_catalog_sweep_locked(sprox_catalog_t *cat, uint32_t number,
    sprox_catalog_cursor_t *cursor, sprox_str_t upto, int64_t before,
    size_t n, uint64_t *removed)
{
    uint32_t           ref;
    sprox_rc_t         rc;
    sprox_str_t        key, done;
    sprox_space_t     *space;
    sprox_record_t    *record;
    sprox_map_path_t   path;

    sprox_zone_enter(cat);

    space = sprox_zone_space(cat, number);
    if (space == NULL) {
        return SPROX_NOT_FOUND;
    }

    rc = SPROX_DONE;
    done = sprox_str_make(cursor->after, cursor->after_len);

    ref = seek(cat, space, cursor, &path);

    while (ref) {
        record = sprox_record(cat, ref);
        key = sprox_node_key(&record->node);

        if (!sprox_str_starts(key, cursor->prefix)
            || (upto.len && sprox_str_cmp(key, upto) > 0))
        {
            break;
        }

        if (n-- == 0) {
            rc = SPROX_AGAIN;
            break;
        }

        if (!outdated(record, before)) {
            hold(cat, ref);

            done = key;
            ref = sprox_map_next(cat, &path);
            continue;
        }

        /* the way through the map is another one then */

        move_on(cursor, key, 0);
        done = sprox_str_make(cursor->after, cursor->after_len);

        *removed += !(record->node.flags & SPROX_RECORD_ABSENT);

        sprox_zone_mark(cat);
        sprox_zone_drop(cat, ref);
        sprox_zone_unmark(cat);

        ref = seek(cat, space, cursor, &path);
    }

    move_on(cursor, done, cursor->past && done.data == cursor->after);

    return rc;
}
