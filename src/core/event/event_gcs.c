/*
 * Cloud Storage's events, as Pub/Sub pushes them ("Pub/Sub notifications for
 * Cloud Storage"; "Receive messages from push subscriptions"):
 *
 *   {"message": {"attributes": {"eventType": "OBJECT_FINALIZE",
 *                               "bucketId": "b", "objectId": "a/b c",
 *                               "objectGeneration": "1700000000000001",
 *                               "eventTime": "2026-01-02T03:04:05.678901Z",
 *                               "payloadFormat": "JSON_API_V1"},
 *                "data": base64 of the object's resource},
 *    "subscription": "projects/p/subscriptions/s"}
 *
 * The resource's own "etag" is not what reads have: that is the MD5, in
 * hexadecimal digits, of an object that is not composed of others and whose
 * bytes no key of the customer's encrypts.
 */

#include "sprox_event_private.h"
#include "sprox_digest.h"


typedef struct {
    sprox_str_t         type;
    sprox_event_kind_t  kind;
    unsigned            over:1;      /* not, when a new generation came */
} sprox_event_gcs_rule_t;


static const sprox_event_gcs_rule_t  sprox_event_gcs_rules[] = {
    { sprox_str("OBJECT_FINALIZE"), SPROX_EVENT_CREATED, 0 },
    { sprox_str("OBJECT_METADATA_UPDATE"), SPROX_EVENT_CHECK, 0 },

    /* of the current generation, or of one that was not */
    { sprox_str("OBJECT_DELETE"), SPROX_EVENT_CHECK, 1 },

    /* the current generation became a noncurrent one */
    { sprox_str("OBJECT_ARCHIVE"), SPROX_EVENT_REMOVED, 1 }
};

#define SPROX_EVENT_GCS_RULES                                                 \
    (sizeof(sprox_event_gcs_rules) / sizeof(sprox_event_gcs_rules[0]))


static sprox_rc_t
sprox_event_gcs_kind(const sprox_json_t *attributes, sprox_event_t *e)
{
    size_t                         i;
    sprox_rc_t                     rc;
    sprox_json_t                   by;
    const sprox_event_gcs_rule_t  *rule;

    e->kind = SPROX_EVENT_IGNORED;

    for (i = 0; i < SPROX_EVENT_GCS_RULES; i++) {

        rule = &sprox_event_gcs_rules[i];

        if (!sprox_str_eq(e->name, rule->type)) {
            continue;
        }

        rc = sprox_json_get(attributes, "overwrittenByGeneration",
                            SPROX_JSON_STRING, &by);

        if (rc == SPROX_NOT_FOUND || (rc == SPROX_OK && !rule->over)) {
            e->kind = rule->kind;
            return SPROX_OK;
        }

        return rc;
    }

    return SPROX_OK;
}


static sprox_rc_t
sprox_event_gcs_md5(sprox_event_doc_t *doc, const sprox_json_t *json,
    sprox_event_t *e)
{
    sprox_rc_t   rc;
    sprox_buf_t  md5, tag;

    sprox_buf_init(&md5, doc->mem);
    sprox_buf_init(&tag, doc->mem);

    rc = sprox_base64_decode(&md5, sprox_json_str(json));

    if (rc == SPROX_OK && md5.len != SPROX_MD5_LEN) {
        rc = SPROX_INVALID;
    }

    if (rc == SPROX_INVALID) {
        rc = sprox_json_bad(json, "is no MD5");
    }

    if (rc == SPROX_OK) {
        sprox_buf_char(&tag, '"');
        sprox_hex(&tag, md5.data, md5.len);
        sprox_buf_char(&tag, '"');

        rc = sprox_buf_rc(&tag);
    }

    if (rc == SPROX_OK) {
        rc = sprox_event_keep(doc, sprox_buf_get(&tag), &e->etag);
    }

    sprox_buf_free(&md5);
    sprox_buf_free(&tag);

    return rc;
}


static sprox_rc_t
sprox_event_gcs_etag(sprox_event_doc_t *doc, const sprox_json_t *resource,
    sprox_event_t *e)
{
    sprox_rc_t    rc;
    sprox_json_t  md5, key;

    rc = sprox_json_get(resource, "md5Hash", SPROX_JSON_STRING, &md5);
    if (rc != SPROX_OK) {
        return rc == SPROX_NOT_FOUND ? SPROX_OK : rc;
    }

    if (sprox_json_get(resource, "kmsKeyName", SPROX_JSON_ANY, &key)
        == SPROX_OK
        || sprox_json_get(resource, "customerEncryption", SPROX_JSON_ANY, &key)
           == SPROX_OK)
    {
        return SPROX_OK;
    }

    return sprox_event_gcs_md5(doc, &md5, e);
}


static sprox_rc_t
sprox_event_gcs_resource(sprox_event_doc_t *doc, const sprox_json_t *data,
    sprox_event_t *e)
{
    sprox_rc_t    rc;
    sprox_buf_t   text;
    sprox_json_t  resource;

    sprox_buf_init(&text, doc->mem);

    rc = sprox_base64_decode(&text, sprox_json_str(data));
    if (rc == SPROX_INVALID) {
        rc = sprox_json_bad(data, "is no base64");
    }

    if (rc == SPROX_OK) {
        rc = sprox_json_load_max(&resource, sprox_buf_get(&text), data,
                                 doc->values, &doc->why);
    }

    sprox_buf_free(&text);

    if (rc != SPROX_OK) {
        return rc;
    }

    rc = sprox_event_size(&resource, "size", e);

    if (rc == SPROX_OK) {
        rc = sprox_event_gcs_etag(doc, &resource, e);
    }

    sprox_json_free(&resource);

    return rc;
}


static sprox_rc_t
sprox_event_gcs_attributes(sprox_event_doc_t *doc,
    const sprox_json_t *attributes, sprox_event_t *e)
{
    sprox_rc_t    rc;
    sprox_json_t  json;

    rc = sprox_event_bucket(doc, attributes, "bucketId", sprox_str_lit("gcs"),
                            e);

    if (rc == SPROX_OK) {
        rc = sprox_event_key(doc, attributes, "objectId", 0, &json, &e->key);
    }

    if (rc == SPROX_OK) {
        rc = sprox_event_version(doc, attributes, "objectGeneration", e);
    }

    if (rc == SPROX_OK) {
        rc = sprox_event_time(attributes, "eventTime", &e->time);
    }

    return rc;
}


sprox_rc_t
sprox_event_gcs(sprox_event_doc_t *doc, const sprox_json_t *root)
{
    sprox_rc_t     rc;
    sprox_json_t   message, attributes, data;
    sprox_event_t  e;

    doc->kind = SPROX_EVENT_DOC_RECORDS;

    sprox_event_init(&e, SPROX_SENDER_GCS);

    rc = sprox_json_need(root, "message", SPROX_JSON_OBJECT, &message);

    if (rc == SPROX_OK) {
        rc = sprox_json_need(&message, "attributes", SPROX_JSON_OBJECT,
                             &attributes);
    }

    if (rc == SPROX_OK) {
        rc = sprox_event_need_text(doc, &attributes, "eventType",
                                   SPROX_EVENT_NAME_MAX, 0, &e.name);
    }

    if (rc == SPROX_OK) {
        rc = sprox_event_gcs_kind(&attributes, &e);
    }

    if (rc == SPROX_OK && e.kind != SPROX_EVENT_IGNORED) {
        rc = sprox_event_gcs_attributes(doc, &attributes, &e);
    }

    if (rc == SPROX_OK && e.kind == SPROX_EVENT_CREATED) {

        rc = sprox_json_get(&message, "data", SPROX_JSON_STRING, &data);

        if (rc == SPROX_NOT_FOUND
            || (rc == SPROX_OK && sprox_json_str(&data).len == 0))
        {
            /* payloadFormat is NONE */
            rc = SPROX_OK;

        } else if (rc == SPROX_OK) {
            rc = sprox_event_gcs_resource(doc, &data, &e);
        }
    }

    return rc == SPROX_OK ? sprox_event_add(doc, &e) : rc;
}
