/* What the unit tests of src/core/event share. */

#ifndef SPROX_UNIT_EVENT_H
#define SPROX_UNIT_EVENT_H


#include "unit.h"
#include "sprox_event.h"


static void
event_field(sprox_buf_t *out, sprox_str_t s)
{
    sprox_buf_char(out, '|');
    sprox_buf_str(out, s);
}


/*
 * One line an event: sender kind name|bucket|key|etag|size|version|
 * sequencer|time, and "|marker" when there is one.
 */

static void
event_dump(sprox_buf_t *out, const sprox_event_doc_t *doc)
{
    size_t                i;
    const sprox_event_t  *e;

    for (i = 0; i < doc->nevents; i++) {
        e = &doc->events[i];

        sprox_buf_str(out, sprox_sender_name(e->sender));
        sprox_buf_char(out, ' ');
        sprox_buf_str(out, sprox_event_kind_name(e->kind));
        sprox_buf_char(out, ' ');
        sprox_buf_str(out, e->name);
        event_field(out, e->bucket);
        event_field(out, e->key);
        event_field(out, e->etag);
        sprox_buf_char(out, '|');

        if (e->has_size) {
            sprox_buf_u64(out, e->size);
        }

        event_field(out, e->version);
        event_field(out, e->sequencer);
        sprox_buf_char(out, '|');

        if (e->time != -1) {
            sprox_buf_u64(out, (uint64_t) e->time);
        }

        if (e->marker) {
            sprox_buf_text(out, "|marker");
        }

        sprox_buf_char(out, '\n');
    }
}


static void
event_check_str(sprox_str_t body, sprox_event_doc_kind_t kind,
    const char *dump)
{
    sprox_rc_t         rc;
    unit_mem_t         um;
    sprox_buf_t        out;
    sprox_event_doc_t  doc;

    unit_mem_init(&um, 0);
    sprox_buf_init(&out, &um.mem);

    rc = sprox_event_parse(&um.mem, body, &doc);

    if (rc != SPROX_OK) {
        fail_msg("%.*s: %.*s", (int) body.len, body.data, (int) doc.why.len,
                 doc.why.data);
    }

    assert_int_equal(doc.kind, kind);
    assert_int_equal(doc.why.len, 0);

    event_dump(&out, &doc);
    assert_str(sprox_buf_get(&out), dump);

    sprox_buf_free(&out);
    sprox_event_free(&doc);
    assert_int_equal(um.live, 0);
}


/* Expects the events of a message. */

static inline void
event_check(const char *body, const char *dump)
{
    event_check_str(sprox_str_make(body, strlen(body)),
                    SPROX_EVENT_DOC_RECORDS, dump);
}


/* Expects that it is refused, with nothing left of it, and why. */

static inline void
event_check_bad(const char *body, const char *why)
{
    sprox_rc_t         rc;
    unit_mem_t         um;
    sprox_event_doc_t  doc;

    unit_mem_init(&um, 0);

    rc = sprox_event_parse(&um.mem, sprox_str_make(body, strlen(body)), &doc);

    if (rc != SPROX_INVALID) {
        fail_msg("%s: %d", body, (int) rc);
    }

    assert_str(sprox_buf_get(&doc.why), why);
    assert_int_equal(doc.kind, SPROX_EVENT_DOC_NONE);
    assert_int_equal(doc.nevents, 0);
    assert_null(doc.events);
    assert_int_equal(doc.sns.type, SPROX_SNS_NONE);

    sprox_event_free(&doc);
    assert_int_equal(um.live, 0);
}


#endif /* SPROX_UNIT_EVENT_H */
