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


/* Visits what a record stands for in the listing; *key is cut to that. */

static sprox_rc_t
show(sprox_catalog_t *cat, const sprox_catalog_cursor_t *cursor,
    const sprox_record_t *record, sprox_catalog_visit_pt visit, void *data,
    sprox_str_t *key, int *rolled)
{
    uint8_t         buf[SPROX_OBJECT_BUF];
    sprox_object_t  object;

    *rolled = roll_up(cursor, key);

    if (*rolled) {
        return visit(data, *key, NULL);
    }

    sprox_record_tell(cat, record, &object, buf);

    return visit(data, *key, &object);
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
    sprox_space_t     *space;
    sprox_record_t    *record;
    sprox_map_path_t   path;

    sprox_zone_enter(cat);

    space = sprox_zone_space(cat, number);
    if (space == NULL) {
        return SPROX_NOT_FOUND;
    }

    rc = SPROX_OK;
    past = cursor->past;
    done = sprox_str_make(cursor->after, cursor->after_len);

    ref = seek(cat, space, cursor, &path);

    while (ref) {
        record = sprox_record(cat, ref);
        key = sprox_node_key(&record->node);

        if (!sprox_str_starts(key, cursor->prefix)) {
            break;
        }

        if (n-- == 0) {
            rc = SPROX_AGAIN;
            break;
        }

        rolled = 0;

        if (!(record->node.flags & SPROX_RECORD_ABSENT)
            && !sprox_zone_banned(cat, record))
        {
            rc = show(cat, cursor, record, visit, data, &key, &rolled);
            if (rc != SPROX_OK) {
                break;
            }
        }

        done = key;
        past = rolled;

        ref = rolled ? sprox_map_seek(cat, space->root, key, SPROX_MAP_PAST,
                                      &path)
                     : sprox_map_next(cat, &path);
    }

    move_on(cursor, done, past);

    return rc == SPROX_OK ? SPROX_DONE : rc;
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

        if ((record->node.flags & SPROX_RECORD_ABSENT) || key.len == 0
            || record->proved >= before)
        {
            hold(cat, ref);

            done = key;
            ref = sprox_map_next(cat, &path);
            continue;
        }

        /* the way through the map is another one then */

        move_on(cursor, key, 0);
        done = sprox_str_make(cursor->after, cursor->after_len);

        sprox_zone_mark(cat);
        sprox_zone_drop(cat, ref);
        sprox_zone_unmark(cat);

        (*removed)++;

        ref = seek(cat, space, cursor, &path);
    }

    move_on(cursor, done, cursor->past && done.data == cursor->after);

    return rc;
}
