/*
 * What the tests of events into the catalog share: events of one key.
 */

#ifndef SPROX_UNIT_APPLY_H
#define SPROX_UNIT_APPLY_H


#include "unit_catalog.h"
#include "sprox_apply.h"


#define SIZE     (1024 * 1024)
#define NOW      1700000000000LL             /* ms */


static inline sprox_event_t
event(sprox_event_kind_t kind, sprox_sender_t sender, const char *sequencer,
    int64_t time)
{
    sprox_event_t  e;

    memset(&e, 0, sizeof(sprox_event_t));

    e.kind = kind;
    e.sender = sender;
    e.bucket = S("bucket");
    e.key = S("key");
    e.sequencer = sprox_str_make(sequencer, strlen(sequencer));
    e.time = time;

    return e;
}


static inline sprox_event_t
created(sprox_sender_t sender, const char *sequencer, int64_t time,
    const char *etag, uint64_t size)
{
    sprox_event_t  e;

    e = event(SPROX_EVENT_CREATED, sender, sequencer, time);
    e.etag = sprox_str_make(etag, strlen(etag));
    e.size = size;
    e.has_size = 1;

    return e;
}


static inline sprox_event_t
removed(sprox_sender_t sender, const char *sequencer, int64_t time)
{
    return event(SPROX_EVENT_REMOVED, sender, sequencer, time);
}


/* What a request to the store told. */

static inline void
told(sprox_catalog_t *cat, uint32_t n, const char *etag, uint64_t size,
    int64_t modified, int64_t proved)
{
    sprox_rc_t      rc;
    sprox_object_t  o;

    memset(&o, 0, sizeof(sprox_object_t));

    o.proved = proved;
    o.absent = (etag == NULL);

    if (etag) {
        o.etag = sprox_str_make(etag, strlen(etag));
        o.size = size;
        o.last_modified = modified;
        o.headed = 1;
    }

    rc = sprox_catalog_put_locked(cat, n, S("key"), &o);
    assert_true(rc == SPROX_OK || rc == SPROX_DONE);
}


static inline sprox_rc_t
apply(sprox_catalog_t *cat, uint32_t n, const sprox_event_t *e, int64_t when)
{
    return sprox_event_apply_locked(cat, n, e, when, 0);
}


/* "none", "absent", "doubt", or the ETag without its quotes. */

static inline const char *
state(sprox_catalog_t *cat, uint32_t n)
{
    static char     text[64];
    sprox_object_t  o;

    if (sprox_catalog_get_locked(cat, n, S("key"), &o, buf) != SPROX_OK) {
        return "none";
    }

    if (o.doubted) {
        assert_int_equal(o.proved, 0);
        return "doubt";
    }

    if (o.absent) {
        return "absent";
    }

    assert_true(o.etag.len > 2 && o.etag.len < sizeof(text));
    memcpy(text, o.etag.data + 1, o.etag.len - 2);
    text[o.etag.len - 2] = '\0';

    return text;
}


#endif /* SPROX_UNIT_APPLY_H */
