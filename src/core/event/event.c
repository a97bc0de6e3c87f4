/*
 * Messages of events: which kind of document one is, and what the readers
 * of all kinds share.
 *
 *   body --> JSON --> "Type"         event_sns.c --> Message --> JSON --+
 *                     "Records"      event_s3.c  <----------------------+
 *                     "detail-type"  event_s3.c  <----------------------+
 *                     "Event"        a test      <----------------------+
 *                     "message"      event_gcs.c
 *
 * The JSON is gone when a document is read; what events need of it is
 * copied into blocks that the document owns.
 */

#include "sprox_event_private.h"
#include "sprox_cond.h"


#define SPROX_EVENT_BLOCK      4096


struct sprox_event_block_s {
    sprox_event_block_t  *next;
    size_t                len;
    size_t                size;
    uint8_t               data[];
};


static const sprox_str_t  sprox_event_kinds[SPROX_EVENT_KINDS] = {
    sprox_str("ignored"), sprox_str("created"), sprox_str("removed"),
    sprox_str("check")
};

static const sprox_str_t  sprox_senders[SPROX_SENDERS] = {
    sprox_str("other"), sprox_str("aws"), sprox_str("eventbridge"),
    sprox_str("gcs"), sprox_str("minio"), sprox_str("versitygw")
};


static sprox_rc_t sprox_event_read(const sprox_mem_t *mem, sprox_str_t body,
    size_t values, size_t inner, sprox_event_doc_t *doc);
static sprox_rc_t sprox_event_document(sprox_event_doc_t *doc,
    const sprox_json_t *root);
static sprox_rc_t sprox_event_line(const sprox_json_t *json, size_t max,
    int spaces);
static int sprox_sequencer_digit(sprox_str_t s, size_t i);


sprox_str_t
sprox_event_kind_name(sprox_event_kind_t kind)
{
    return sprox_event_kinds[kind];
}


sprox_str_t
sprox_sender_name(sprox_sender_t sender)
{
    return sprox_senders[sender];
}


sprox_rc_t
sprox_event_parse(const sprox_mem_t *mem, sprox_str_t body,
    sprox_event_doc_t *doc)
{
    return sprox_event_read(mem, body, SPROX_JSON_VALUES_MAX,
                            SPROX_JSON_VALUES_MAX, doc);
}


sprox_rc_t
sprox_event_parse_claim(const sprox_mem_t *mem, sprox_str_t body,
    sprox_event_doc_t *doc)
{
    return sprox_event_read(mem, body, SPROX_EVENT_CLAIM_VALUES,
                            SPROX_EVENT_CLAIM_MESSAGE, doc);
}


static sprox_rc_t
sprox_event_read(const sprox_mem_t *mem, sprox_str_t body, size_t values,
    size_t inner, sprox_event_doc_t *doc)
{
    sprox_rc_t    rc;
    sprox_json_t  root;

    memset(doc, 0, sizeof(sprox_event_doc_t));

    doc->mem = mem;
    doc->values = inner;
    sprox_buf_init(&doc->why, mem);
    sprox_buf_init(&doc->array, mem);

    if (body.len > SPROX_EVENT_BODY_MAX) {
        sprox_buf_text(&doc->why, "the message is longer than ");
        sprox_buf_u64(&doc->why, SPROX_EVENT_BODY_MAX);
        sprox_buf_text(&doc->why, " bytes");

        return sprox_buf_rc(&doc->why) == SPROX_OK ? SPROX_LIMIT
                                                   : SPROX_NOMEM;
    }

    rc = sprox_json_load_max(&root, body, NULL, values, &doc->why);
    if (rc != SPROX_OK) {
        return rc;
    }

    rc = sprox_event_document(doc, &root);

    sprox_json_free(&root);

    if (rc != SPROX_OK) {
        doc->kind = SPROX_EVENT_DOC_NONE;
        doc->sns.type = SPROX_SNS_NONE;
        return rc;
    }

    doc->events = (const sprox_event_t *) doc->array.data;
    doc->nevents = doc->array.len / sizeof(sprox_event_t);

    return SPROX_OK;
}


static sprox_rc_t
sprox_event_document(sprox_event_doc_t *doc, const sprox_json_t *root)
{
    sprox_rc_t    rc;
    sprox_json_t  member;

    if (sprox_json_kind(root) != SPROX_JSON_OBJECT) {
        return sprox_json_bad(root, "is no object");
    }

    if (sprox_json_get(root, "Type", SPROX_JSON_ANY, &member) == SPROX_OK) {
        return sprox_event_sns(doc, root);
    }

    rc = sprox_event_of_s3(doc, root);
    if (rc != SPROX_NOT_FOUND) {
        return rc;
    }

    if (sprox_json_get(root, "message", SPROX_JSON_ANY, &member) == SPROX_OK) {
        return sprox_event_gcs(doc, root);
    }

    return sprox_json_bad(root, "is of none of the kinds that stores send: it "
                                "has no Records, Type, detail-type, message "
                                "or Event");
}


sprox_rc_t
sprox_event_of_s3(sprox_event_doc_t *doc, const sprox_json_t *root)
{
    sprox_rc_t    rc;
    sprox_json_t  member;

    doc->kind = SPROX_EVENT_DOC_RECORDS;

    rc = sprox_json_get(root, "Records", SPROX_JSON_ANY, &member);
    if (rc == SPROX_OK) {
        return sprox_event_records(doc, root);
    }

    rc = sprox_json_get(root, "detail-type", SPROX_JSON_ANY, &member);
    if (rc == SPROX_OK) {
        return sprox_event_bridge(doc, root);
    }

    doc->kind = SPROX_EVENT_DOC_TEST;

    rc = sprox_json_get(root, "Event", SPROX_JSON_STRING, &member);
    if (rc == SPROX_OK
        && !sprox_str_eq(sprox_json_str(&member),
                         sprox_str_lit("s3:TestEvent")))
    {
        return sprox_json_bad(&member, "is not s3:TestEvent");
    }

    return rc;
}


void
sprox_event_free(sprox_event_doc_t *doc)
{
    sprox_event_block_t  *block;

    while (doc->blocks != NULL) {
        block = doc->blocks;
        doc->blocks = block->next;
        sprox_free(doc->mem, block);
    }

    sprox_buf_free(&doc->array);
    sprox_buf_free(&doc->why);

    doc->kind = SPROX_EVENT_DOC_NONE;
    doc->events = NULL;
    doc->nevents = 0;

    memset(&doc->sns, 0, sizeof(sprox_sns_t));
}


void
sprox_event_init(sprox_event_t *e, sprox_sender_t sender)
{
    memset(e, 0, sizeof(sprox_event_t));

    e->sender = sender;
    e->time = -1;
}


sprox_rc_t
sprox_event_add(sprox_event_doc_t *doc, const sprox_event_t *e)
{
    sprox_buf_add(&doc->array, e, sizeof(sprox_event_t));

    return sprox_buf_rc(&doc->array);
}


uint8_t *
sprox_event_take(sprox_event_doc_t *doc, size_t len)
{
    size_t                size;
    uint8_t              *p;
    sprox_event_block_t  *block;

    block = doc->blocks;

    if (block == NULL || block->size - block->len < len) {

        size = (len > SPROX_EVENT_BLOCK) ? len : SPROX_EVENT_BLOCK;

        block = sprox_alloc(doc->mem, sizeof(sprox_event_block_t) + size);
        if (block == NULL) {
            return NULL;
        }

        block->next = doc->blocks;
        block->len = 0;
        block->size = size;

        doc->blocks = block;
    }

    p = block->data + block->len;
    block->len += len;

    return p;
}


sprox_rc_t
sprox_event_keep(sprox_event_doc_t *doc, sprox_str_t s, sprox_str_t *out)
{
    uint8_t  *p;

    p = sprox_event_take(doc, s.len);
    if (p == NULL) {
        return SPROX_NOMEM;
    }

    if (s.len != 0) {
        memcpy(p, s.data, s.len);
    }

    *out = sprox_str_make(p, s.len);

    return SPROX_OK;
}


static sprox_rc_t
sprox_event_line(const sprox_json_t *json, size_t max, int spaces)
{
    size_t       i;
    sprox_str_t  s;

    s = sprox_json_str(json);

    if (s.len > max) {
        return sprox_json_bad(json, "is too long");
    }

    for (i = 0; i < s.len; i++) {

        if (s.data[i] < ' ' || s.data[i] == 0x7f) {
            return sprox_json_bad(json, "has a control character");
        }

        if (s.data[i] == ' ' && !spaces) {
            return sprox_json_bad(json, "has a space");
        }
    }

    return SPROX_OK;
}


sprox_rc_t
sprox_event_text(sprox_event_doc_t *doc, const sprox_json_t *parent,
    const char *name, size_t max, int spaces, sprox_str_t *out)
{
    sprox_rc_t    rc;
    sprox_json_t  json;

    rc = sprox_json_get(parent, name, SPROX_JSON_STRING, &json);

    if (rc == SPROX_OK && sprox_json_str(&json).len == 0) {
        return SPROX_NOT_FOUND;
    }

    if (rc == SPROX_OK) {
        rc = sprox_event_line(&json, max, spaces);
    }

    return rc == SPROX_OK ? sprox_event_keep(doc, sprox_json_str(&json), out)
                          : rc;
}


sprox_rc_t
sprox_event_need_text(sprox_event_doc_t *doc, const sprox_json_t *parent,
    const char *name, size_t max, int spaces, sprox_str_t *out)
{
    sprox_rc_t    rc;
    sprox_json_t  json;

    rc = sprox_event_text(doc, parent, name, max, spaces, out);
    if (rc != SPROX_NOT_FOUND) {
        return rc;
    }

    rc = sprox_json_need(parent, name, SPROX_JSON_ANY, &json);

    return rc == SPROX_OK ? sprox_json_bad(&json, "is empty") : rc;
}


sprox_rc_t
sprox_event_bucket(sprox_event_doc_t *doc, const sprox_json_t *parent,
    const char *name, sprox_str_t dialect, sprox_event_t *e)
{
    sprox_rc_t    rc;
    sprox_json_t  json;

    rc = sprox_json_need(parent, name, SPROX_JSON_STRING, &json);
    if (rc != SPROX_OK) {
        return rc;
    }

    if (!sprox_dialect(dialect)->bucket_valid(sprox_json_str(&json))) {
        return sprox_json_bad(&json, "is no name of a bucket");
    }

    return sprox_event_keep(doc, sprox_json_str(&json), &e->bucket);
}


sprox_rc_t
sprox_event_key(sprox_event_doc_t *doc, const sprox_json_t *parent,
    const char *name, int encoded, sprox_json_t *json, sprox_str_t *key)
{
    size_t        len;
    uint8_t      *p;
    sprox_rc_t    rc;
    sprox_str_t   s;

    rc = sprox_json_need(parent, name, SPROX_JSON_STRING, json);
    if (rc != SPROX_OK) {
        return rc;
    }

    s = sprox_json_str(json);

    p = sprox_event_take(doc, s.len);
    if (p == NULL) {
        return SPROX_NOMEM;
    }

    len = s.len;

    if (!encoded) {
        memcpy(p, s.data, s.len);

    } else if (sprox_uri_decode(s, 1, p, &len) != SPROX_OK) {
        return sprox_json_bad(json, "has a '%' that starts no code");
    }

    if (len == 0) {
        return sprox_json_bad(json, "is empty");
    }

    if (len > SPROX_KEY_MAX) {
        return sprox_json_bad(json, "is longer than a key may be");
    }

    /* no client can ask for such a one: see sprox_s3_parse() */

    if (memchr(p, '\0', len) != NULL) {
        return sprox_json_bad(json, "has a NUL");
    }

    *key = sprox_str_make(p, len);

    return SPROX_OK;
}


sprox_rc_t
sprox_event_version(sprox_event_doc_t *doc, const sprox_json_t *parent,
    const char *name, sprox_event_t *e)
{
    sprox_rc_t  rc;

    rc = sprox_event_text(doc, parent, name, SPROX_VERSION_MAX, 0,
                          &e->version);

    return rc == SPROX_NOT_FOUND ? SPROX_OK : rc;
}


/* With quotes, whichever way it came; a weak one stays weak. */

sprox_rc_t
sprox_event_etag(sprox_event_doc_t *doc, const sprox_json_t *parent,
    const char *name, sprox_event_t *e)
{
    size_t         n;
    uint8_t       *p;
    sprox_rc_t     rc;
    sprox_str_t    tag;
    sprox_json_t   json;

    rc = sprox_json_get(parent, name, SPROX_JSON_STRING, &json);
    if (rc != SPROX_OK) {
        return rc == SPROX_NOT_FOUND ? SPROX_OK : rc;
    }

    rc = sprox_event_line(&json, SPROX_ETAG_MAX - 2, 0);
    if (rc != SPROX_OK) {
        return rc;
    }

    tag = sprox_json_str(&json);
    p = sprox_event_take(doc, tag.len + SPROX_ETAG_QUOTES);
    if (p == NULL) {
        return SPROX_NOMEM;
    }

    rc = sprox_etag_quote(tag, p, &n);

    if (rc == SPROX_INVALID) {
        return sprox_json_bad(&json, "is no ETag");
    }

    if (rc == SPROX_OK) {
        e->etag = sprox_str_make(p, n);
    }

    return SPROX_OK;
}


sprox_rc_t
sprox_event_size(const sprox_json_t *parent, const char *name,
    sprox_event_t *e)
{
    sprox_rc_t    rc;
    sprox_json_t  json;

    rc = sprox_json_get(parent, name, SPROX_JSON_ANY, &json);
    if (rc != SPROX_OK) {
        return rc == SPROX_NOT_FOUND ? SPROX_OK : rc;
    }

    rc = sprox_json_u64(&json, &e->size);
    if (rc != SPROX_OK) {
        return rc;
    }

    if (e->size > SPROX_OBJECT_SIZE_MAX) {
        return sprox_json_bad(&json, "is larger than any object");
    }

    e->has_size = 1;

    return SPROX_OK;
}


sprox_rc_t
sprox_event_sequencer(sprox_event_doc_t *doc, const sprox_json_t *parent,
    sprox_event_t *e)
{
    size_t        i;
    sprox_rc_t    rc;
    sprox_str_t   s;
    sprox_json_t  json;

    rc = sprox_json_get(parent, "sequencer", SPROX_JSON_STRING, &json);
    if (rc != SPROX_OK) {
        return rc == SPROX_NOT_FOUND ? SPROX_OK : rc;
    }

    s = sprox_json_str(&json);

    if (s.len > SPROX_SEQUENCER_MAX) {
        return SPROX_OK;
    }

    for (i = 0; i < s.len; i++) {
        if (sprox_sequencer_digit(s, i) < 0) {
            return SPROX_OK;
        }
    }

    return sprox_event_keep(doc, s, &e->sequencer);
}


sprox_rc_t
sprox_event_time(const sprox_json_t *parent, const char *name, int64_t *msec)
{
    sprox_rc_t    rc;
    sprox_json_t  json;

    rc = sprox_json_get(parent, name, SPROX_JSON_STRING, &json);
    if (rc != SPROX_OK) {
        return rc == SPROX_NOT_FOUND ? SPROX_OK : rc;
    }

    if (sprox_time_parse_iso(sprox_json_str(&json), msec) != SPROX_OK
        || *msec < 0)
    {
        return sprox_json_bad(&json, "is no time");
    }

    return SPROX_OK;
}


/* The digit at i, zero behind the end; -1: it is none. */

static int
sprox_sequencer_digit(sprox_str_t s, size_t i)
{
    return (i < s.len) ? sprox_hex_value(s.data[i]) : 0;
}


sprox_order_t
sprox_event_order(sprox_sender_t a_sender, sprox_str_t a_sequencer,
    sprox_sender_t b_sender, sprox_str_t b_sequencer)
{
    int            a, b;
    size_t         i, n;
    sprox_order_t  order;

    if (a_sender != b_sender
        || (a_sender != SPROX_SENDER_AWS
            && a_sender != SPROX_SENDER_EVENTBRIDGE)
        || a_sequencer.len == 0 || b_sequencer.len == 0)
    {
        return SPROX_ORDER_UNKNOWN;
    }

    order = SPROX_ORDER_SAME;
    n = (a_sequencer.len > b_sequencer.len) ? a_sequencer.len
                                            : b_sequencer.len;

    for (i = 0; i < n; i++) {

        a = sprox_sequencer_digit(a_sequencer, i);
        b = sprox_sequencer_digit(b_sequencer, i);

        if (a < 0 || b < 0) {
            return SPROX_ORDER_UNKNOWN;
        }

        if (order == SPROX_ORDER_SAME && a != b) {
            order = (a < b) ? SPROX_ORDER_OLDER : SPROX_ORDER_NEWER;
        }
    }

    return order;
}
