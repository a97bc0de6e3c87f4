/*
 * S3's events: records, which S3 itself and the stores that follow it send,
 * and EventBridge's form of them.
 *
 * How the senders of records are told from one another, and how they differ
 * (versitygw: s3event/event.go; MinIO: cmd/event-notification.go):
 *
 *   sender      eventSource  eventName           key          sequencer
 *   S3          aws:s3       ObjectCreated:Put   URL-encoded  orders
 *   MinIO       minio:s3     s3:ObjectCreated... URL-encoded  a time; does not
 *   versitygw   aws:s3       s3:ObjectCreated... as it is     a counter from 1
 *                                                             at each start
 *   others      ceph:s3 ...  either              either       not known
 *
 * versitygw's configurationId ends in "-global", whatever the transport.  It
 * tells a size of 0 of what was copied or put together from parts, and of a
 * removal does not tell whether it was of one version only.
 */

#include "sprox_event_private.h"


typedef struct {
    sprox_str_t         name;         /* what it begins with */
    sprox_event_kind_t  kind;
    unsigned            marker:1;
    unsigned            one:1;        /* with a version id, of that one only */
} sprox_event_rule_t;


/* The first that fits; what none fits is ignored. */

static const sprox_event_rule_t  sprox_event_rules[] = {
    { sprox_str("ObjectCreated:PutTagging"), SPROX_EVENT_IGNORED, 0, 0 },
    { sprox_str("ObjectCreated:DeleteTagging"), SPROX_EVENT_IGNORED, 0, 0 },
    { sprox_str("ObjectCreated:PutRetention"), SPROX_EVENT_IGNORED, 0, 0 },
    { sprox_str("ObjectCreated:PutLegalHold"), SPROX_EVENT_IGNORED, 0, 0 },
    { sprox_str("ObjectCreated:"), SPROX_EVENT_CREATED, 0, 0 },
    { sprox_str("ObjectRemoved:DeleteMarkerCreated"), SPROX_EVENT_REMOVED,
      1, 0 },
    { sprox_str("ObjectRemoved:DeleteAllVersions"), SPROX_EVENT_REMOVED,
      0, 0 },
    { sprox_str("ObjectRemoved:NoOP"), SPROX_EVENT_CHECK, 0, 0 },
    { sprox_str("ObjectRemoved:"), SPROX_EVENT_REMOVED, 0, 1 },
    { sprox_str("LifecycleExpiration:DeleteMarkerCreated"),
      SPROX_EVENT_REMOVED, 1, 0 },
    { sprox_str("LifecycleExpiration:"), SPROX_EVENT_REMOVED, 0, 1 },
    { sprox_str("LifecycleTransition"), SPROX_EVENT_CHECK, 0, 0 },
    { sprox_str("ObjectTransition:Complete"), SPROX_EVENT_CHECK, 0, 0 },
    { sprox_str("ObjectRestore:"), SPROX_EVENT_CHECK, 0, 0 },
    { sprox_str("ReducedRedundancyLostObject"), SPROX_EVENT_CHECK, 0, 0 },

    /* Ceph's: lifecycle, and what came from another zone */
    { sprox_str("ObjectLifecycle:"), SPROX_EVENT_CHECK, 0, 0 },
    { sprox_str("ObjectSynced:"), SPROX_EVENT_CHECK, 0, 0 }
};

static const sprox_event_rule_t  sprox_event_bridge_rules[] = {
    { sprox_str("Object Created"), SPROX_EVENT_CREATED, 0, 0 },
    { sprox_str("Object Deleted"), SPROX_EVENT_REMOVED, 0, 1 },
    { sprox_str("Object Restore "), SPROX_EVENT_CHECK, 0, 0 },
    { sprox_str("Object Storage Class Changed"), SPROX_EVENT_CHECK, 0, 0 }
};

#define sprox_event_nelts(array)  (sizeof(array) / sizeof((array)[0]))


static const sprox_str_t  sprox_event_s3_prefix = sprox_str("s3:");


static void
sprox_event_rule(const sprox_event_rule_t *rules, size_t n, sprox_str_t name,
    sprox_event_rule_t *rule)
{
    size_t  i;

    for (i = 0; i < n; i++) {
        if (sprox_str_starts(name, rules[i].name)) {
            *rule = rules[i];
            return;
        }
    }

    memset(rule, 0, sizeof(sprox_event_rule_t));
}


static void
sprox_event_apply(const sprox_event_rule_t *rule, sprox_event_t *e)
{
    e->kind = rule->kind;
    e->marker = rule->marker;

    /*
     * Which version is the current one after a version is gone, and whether
     * any is, the event does not say.
     */

    if (rule->one && !rule->marker
        && (e->version.len != 0 || e->sender == SPROX_SENDER_VERSITYGW))
    {
        e->kind = SPROX_EVENT_CHECK;
    }
}


static sprox_rc_t
sprox_event_record_sender(const sprox_json_t *record, sprox_str_t name,
    sprox_sender_t *sender)
{
    sprox_rc_t    rc;
    sprox_str_t   source;
    sprox_json_t  json, s3;

    *sender = SPROX_SENDER_OTHER;

    rc = sprox_json_get(record, "eventSource", SPROX_JSON_STRING, &json);
    if (rc != SPROX_OK) {
        return rc == SPROX_NOT_FOUND ? SPROX_OK : rc;
    }

    source = sprox_json_str(&json);

    if (sprox_str_eq(source, sprox_str_lit("minio:s3"))) {
        *sender = SPROX_SENDER_MINIO;
        return SPROX_OK;
    }

    if (!sprox_str_eq(source, sprox_str_lit("aws:s3"))) {
        return SPROX_OK;
    }

    if (!sprox_str_starts(name, sprox_event_s3_prefix)) {
        *sender = SPROX_SENDER_AWS;
        return SPROX_OK;
    }

    rc = sprox_json_get(record, "s3", SPROX_JSON_OBJECT, &s3);

    if (rc == SPROX_OK) {
        rc = sprox_json_get(&s3, "configurationId", SPROX_JSON_STRING, &json);
    }

    if (rc == SPROX_OK
        && sprox_str_ends(sprox_json_str(&json), sprox_str_lit("-global")))
    {
        *sender = SPROX_SENDER_VERSITYGW;
    }

    return rc == SPROX_NOT_FOUND ? SPROX_OK : rc;
}


/* What all but the key say of an object, in the words of records. */

static sprox_rc_t
sprox_event_record_object(sprox_event_doc_t *doc, const sprox_json_t *object,
    const sprox_event_rule_t *rule, sprox_event_t *e)
{
    sprox_rc_t  rc;

    rc = sprox_event_version(doc, object, "versionId", e);

    if (rc == SPROX_OK) {
        rc = sprox_event_sequencer(doc, object, e);
    }

    if (rc == SPROX_OK && rule->kind == SPROX_EVENT_CREATED) {
        rc = sprox_event_etag(doc, object, "eTag", e);
    }

    if (rc == SPROX_OK && rule->kind == SPROX_EVENT_CREATED) {
        rc = sprox_event_size(object, "size", e);
    }

    if (e->sender == SPROX_SENDER_VERSITYGW && e->size == 0) {
        e->has_size = 0;
    }

    return rc;
}


/*
 * The key of a sender who may write it in either way.  When both are keys,
 * and not the same, each is one that something may have happened to.
 */

static sprox_rc_t
sprox_event_record_either(sprox_event_doc_t *doc, const sprox_json_t *object,
    sprox_event_t *e)
{
    sprox_rc_t    rc, decoded_rc;
    sprox_str_t   decoded;
    sprox_json_t  json;

    decoded = sprox_str_null;

    decoded_rc = sprox_event_key(doc, object, "key", 1, &json, &decoded);
    if (decoded_rc == SPROX_NOMEM) {
        return SPROX_NOMEM;
    }

    rc = sprox_event_key(doc, object, "key", 0, &json, &e->key);

    if (rc == SPROX_NOMEM || (rc != SPROX_OK && decoded_rc != SPROX_OK)) {
        return rc;
    }

    sprox_buf_free(&doc->why);

    if (rc == SPROX_OK && decoded_rc == SPROX_OK
        && !sprox_str_eq(e->key, decoded))
    {
        e->kind = SPROX_EVENT_CHECK;
        e->marker = 0;

        rc = sprox_event_add(doc, e);
        if (rc != SPROX_OK) {
            return rc;
        }
    }

    if (decoded_rc == SPROX_OK) {
        e->key = decoded;
    }

    return sprox_event_add(doc, e);
}


static sprox_rc_t
sprox_event_record_add(sprox_event_doc_t *doc, const sprox_json_t *object,
    sprox_event_t *e)
{
    int           encoded;
    sprox_rc_t    rc;
    sprox_json_t  json;

    if (e->sender == SPROX_SENDER_OTHER) {
        return sprox_event_record_either(doc, object, e);
    }

    encoded = (e->sender != SPROX_SENDER_VERSITYGW);

    rc = sprox_event_key(doc, object, "key", encoded, &json, &e->key);

    return rc == SPROX_OK ? sprox_event_add(doc, e) : rc;
}


static sprox_rc_t
sprox_event_record_rule(sprox_event_doc_t *doc, const sprox_json_t *record,
    sprox_event_t *e, sprox_event_rule_t *rule)
{
    sprox_rc_t   rc;
    sprox_str_t  name;

    rc = sprox_event_need_text(doc, record, "eventName", SPROX_EVENT_NAME_MAX,
                               0, &e->name);
    if (rc != SPROX_OK) {
        return rc;
    }

    name = e->name;

    if (sprox_str_starts(name, sprox_event_s3_prefix)) {
        name = sprox_str_from(name, sprox_event_s3_prefix.len);
    }

    sprox_event_rule(sprox_event_rules, sprox_event_nelts(sprox_event_rules),
                     name, rule);

    return sprox_event_record_sender(record, e->name, &e->sender);
}


static sprox_rc_t
sprox_event_record(sprox_event_doc_t *doc, const sprox_json_t *record)
{
    sprox_rc_t          rc;
    sprox_json_t        s3, bucket, object;
    sprox_event_t       e;
    sprox_event_rule_t  rule;

    sprox_event_init(&e, SPROX_SENDER_OTHER);

    rc = sprox_event_record_rule(doc, record, &e, &rule);

    if (rc != SPROX_OK || rule.kind == SPROX_EVENT_IGNORED) {
        return rc == SPROX_OK ? sprox_event_add(doc, &e) : rc;
    }

    rc = sprox_json_need(record, "s3", SPROX_JSON_OBJECT, &s3);

    if (rc == SPROX_OK) {
        rc = sprox_json_need(&s3, "bucket", SPROX_JSON_OBJECT, &bucket);
    }

    if (rc == SPROX_OK) {
        rc = sprox_event_bucket(doc, &bucket, "name", sprox_str_lit("s3"), &e);
    }

    if (rc == SPROX_OK) {
        rc = sprox_json_need(&s3, "object", SPROX_JSON_OBJECT, &object);
    }

    if (rc == SPROX_OK) {
        rc = sprox_event_record_object(doc, &object, &rule, &e);
    }

    if (rc == SPROX_OK) {
        rc = sprox_event_time(record, "eventTime", &e.time);
    }

    if (rc != SPROX_OK) {
        return rc;
    }

    sprox_event_apply(&rule, &e);

    return sprox_event_record_add(doc, &object, &e);
}


sprox_rc_t
sprox_event_records(sprox_event_doc_t *doc, const sprox_json_t *root)
{
    size_t        i, n;
    sprox_rc_t    rc;
    sprox_json_t  records, record;

    rc = sprox_json_need(root, "Records", SPROX_JSON_ARRAY, &records);
    if (rc != SPROX_OK) {
        return rc;
    }

    n = sprox_json_count(&records);

    if (n > SPROX_EVENT_RECORDS_MAX) {
        rc = sprox_json_bad(&records, "are too many");
        return rc == SPROX_INVALID ? SPROX_LIMIT : rc;
    }

    for (i = 0; i < n; i++) {

        rc = sprox_json_item(&records, i, SPROX_JSON_OBJECT, &record);

        if (rc == SPROX_OK) {
            rc = sprox_event_record(doc, &record);
        }

        if (rc != SPROX_OK) {
            return rc;
        }
    }

    return SPROX_OK;
}


static sprox_rc_t
sprox_event_bridge_object(sprox_event_doc_t *doc, const sprox_json_t *detail,
    const sprox_event_rule_t *rule, sprox_event_t *e)
{
    sprox_rc_t    rc;
    sprox_json_t  bucket, object, json;

    rc = sprox_json_need(detail, "bucket", SPROX_JSON_OBJECT, &bucket);

    if (rc == SPROX_OK) {
        rc = sprox_event_bucket(doc, &bucket, "name", sprox_str_lit("s3"), e);
    }

    if (rc == SPROX_OK) {
        rc = sprox_json_need(detail, "object", SPROX_JSON_OBJECT, &object);
    }

    if (rc == SPROX_OK) {
        rc = sprox_event_key(doc, &object, "key", 0, &json, &e->key);
    }

    if (rc == SPROX_OK) {
        rc = sprox_event_version(doc, &object, "version-id", e);
    }

    if (rc == SPROX_OK) {
        rc = sprox_event_sequencer(doc, &object, e);
    }

    if (rc == SPROX_OK && rule->kind == SPROX_EVENT_CREATED) {
        rc = sprox_event_etag(doc, &object, "etag", e);
    }

    if (rc == SPROX_OK && rule->kind == SPROX_EVENT_CREATED) {
        rc = sprox_event_size(&object, "size", e);
    }

    return rc;
}


static sprox_rc_t
sprox_event_bridge_rule(const sprox_json_t *detail, sprox_str_t name,
    sprox_event_rule_t *rule)
{
    sprox_rc_t    rc;
    sprox_json_t  json;

    sprox_event_rule(sprox_event_bridge_rules,
                     sprox_event_nelts(sprox_event_bridge_rules), name, rule);

    if (rule->kind != SPROX_EVENT_REMOVED) {
        return SPROX_OK;
    }

    rc = sprox_json_get(detail, "deletion-type", SPROX_JSON_STRING, &json);

    if (rc == SPROX_OK) {
        rule->marker = sprox_str_eq(sprox_json_str(&json),
                                    sprox_str_lit("Delete Marker Created"));
    }

    return rc == SPROX_NOT_FOUND ? SPROX_OK : rc;
}


sprox_rc_t
sprox_event_bridge(sprox_event_doc_t *doc, const sprox_json_t *root)
{
    sprox_rc_t          rc;
    sprox_json_t        source, detail;
    sprox_event_t       e;
    sprox_event_rule_t  rule;

    sprox_event_init(&e, SPROX_SENDER_EVENTBRIDGE);

    rc = sprox_json_need(root, "source", SPROX_JSON_STRING, &source);
    if (rc != SPROX_OK) {
        return rc;
    }

    if (!sprox_str_eq(sprox_json_str(&source), sprox_str_lit("aws.s3"))) {
        return sprox_json_bad(&source, "is not aws.s3");
    }

    rc = sprox_event_need_text(doc, root, "detail-type", SPROX_EVENT_NAME_MAX,
                               1, &e.name);

    if (rc == SPROX_OK) {
        rc = sprox_json_need(root, "detail", SPROX_JSON_OBJECT, &detail);
    }

    if (rc == SPROX_OK) {
        rc = sprox_event_bridge_rule(&detail, e.name, &rule);
    }

    if (rc == SPROX_OK && rule.kind != SPROX_EVENT_IGNORED) {

        rc = sprox_event_bridge_object(doc, &detail, &rule, &e);

        if (rc == SPROX_OK) {
            rc = sprox_event_time(root, "time", &e.time);
        }

        sprox_event_apply(&rule, &e);
    }

    return rc == SPROX_OK ? sprox_event_add(doc, &e) : rc;
}
