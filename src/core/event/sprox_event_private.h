/*
 * What the readers of one kind of message each share: src/core/event only.
 *
 * Each reader adds the events of a document that has been recognised.  All
 * return SPROX_OK, SPROX_INVALID or SPROX_LIMIT with doc->why, or
 * SPROX_NOMEM.
 */

#ifndef SPROX_EVENT_PRIVATE_H
#define SPROX_EVENT_PRIVATE_H


#include "sprox_event.h"
#include "sprox_json.h"
#include "sprox_time.h"


/* The documents: event_s3.c, event_gcs.c, event_sns.c. */
sprox_rc_t sprox_event_records(sprox_event_doc_t *doc,
    const sprox_json_t *root);
sprox_rc_t sprox_event_bridge(sprox_event_doc_t *doc,
    const sprox_json_t *root);
sprox_rc_t sprox_event_gcs(sprox_event_doc_t *doc, const sprox_json_t *root);
sprox_rc_t sprox_event_sns(sprox_event_doc_t *doc, const sprox_json_t *root);

/*
 * A document of S3's, also out of an SNS message.  SPROX_NOT_FOUND: it is
 * none.
 */
sprox_rc_t sprox_event_of_s3(sprox_event_doc_t *doc,
    const sprox_json_t *root);


/*
 * The rest are in event.c.
 *
 * init: an empty event.  add: its strings are the document's already.
 */
void sprox_event_init(sprox_event_t *e, sprox_sender_t sender);
sprox_rc_t sprox_event_add(sprox_event_doc_t *doc, const sprox_event_t *e);

/* Memory that lives as long as the document; NULL: there is none. */
uint8_t *sprox_event_take(sprox_event_doc_t *doc, size_t len);
sprox_rc_t sprox_event_keep(sprox_event_doc_t *doc, sprox_str_t s,
    sprox_str_t *out);

/*
 * A member that is a line of text: visible characters and, with `spaces`,
 * spaces between; UTF-8, at most max bytes.  The first returns
 * SPROX_NOT_FOUND, and leaves *out, when there is none or it is empty.
 */
sprox_rc_t sprox_event_text(sprox_event_doc_t *doc,
    const sprox_json_t *parent, const char *name, size_t max, int spaces,
    sprox_str_t *out);
sprox_rc_t sprox_event_need_text(sprox_event_doc_t *doc,
    const sprox_json_t *parent, const char *name, size_t max, int spaces,
    sprox_str_t *out);

/* Members of an object, checked; only the bucket must be there. */
sprox_rc_t sprox_event_bucket(sprox_event_doc_t *doc,
    const sprox_json_t *parent, const char *name, sprox_str_t dialect,
    sprox_event_t *e);
sprox_rc_t sprox_event_version(sprox_event_doc_t *doc,
    const sprox_json_t *parent, const char *name, sprox_event_t *e);
sprox_rc_t sprox_event_etag(sprox_event_doc_t *doc,
    const sprox_json_t *parent, const char *name, sprox_event_t *e);
sprox_rc_t sprox_event_size(const sprox_json_t *parent, const char *name,
    sprox_event_t *e);
sprox_rc_t sprox_event_sequencer(sprox_event_doc_t *doc,
    const sprox_json_t *parent, sprox_event_t *e);
sprox_rc_t sprox_event_time(const sprox_json_t *parent, const char *name,
    int64_t *msec);

/*
 * A key that must be there; encoded: as S3 does it in its records.  The
 * bytes are the document's; json is the key's place.
 */
sprox_rc_t sprox_event_key(sprox_event_doc_t *doc, const sprox_json_t *parent,
    const char *name, int encoded, sprox_json_t *json, sprox_str_t *key);


#endif /* SPROX_EVENT_PRIVATE_H */
