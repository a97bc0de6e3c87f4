/*
 * SNS's envelope ("Parsing Amazon SNS message formats"), as it comes by HTTP
 * and in the body of an SQS message:
 *
 *   {"Type": "Notification", "MessageId": ..., "TopicArn": ...,
 *    "Subject": "Amazon S3 Notification", "Message": "{\"Records\":[...]}",
 *    "Timestamp": ..., "SignatureVersion": "1", "Signature": ...,
 *    "SigningCertURL": ..., "UnsubscribeURL": ...}
 *
 * The confirmations have a Token and a SubscribeURL, and in Message a text
 * for people.
 */

#include "sprox_event_private.h"


#define SPROX_SNS_ALWAYS       1     /* a message has it */
#define SPROX_SNS_CONFIRM      2     /* a confirmation has it */


typedef struct {
    const char  *name;
    size_t       offset;             /* in sprox_sns_t */
    size_t       max;
    unsigned     needed;
    unsigned     spaces:1;
} sprox_sns_field_t;


static const sprox_sns_field_t  sprox_sns_fields[] = {
    { "MessageId", offsetof(sprox_sns_t, message_id), SPROX_SNS_TEXT_MAX,
      SPROX_SNS_ALWAYS, 0 },
    { "TopicArn", offsetof(sprox_sns_t, topic_arn), SPROX_SNS_ARN_MAX,
      SPROX_SNS_ALWAYS, 0 },
    { "Timestamp", offsetof(sprox_sns_t, timestamp), SPROX_SNS_TEXT_MAX,
      SPROX_SNS_ALWAYS, 0 },
    { "Subject", offsetof(sprox_sns_t, subject), SPROX_SNS_TEXT_MAX, 0, 1 },
    { "Token", offsetof(sprox_sns_t, token), SPROX_SNS_TOKEN_MAX,
      SPROX_SNS_CONFIRM, 0 },
    { "SubscribeURL", offsetof(sprox_sns_t, subscribe_url),
      SPROX_SNS_URL_MAX, SPROX_SNS_CONFIRM, 0 },
    { "SignatureVersion", offsetof(sprox_sns_t, signature_version),
      SPROX_SNS_TEXT_MAX, 0, 0 },
    { "Signature", offsetof(sprox_sns_t, signature),
      SPROX_SNS_SIGNATURE_MAX, 0, 0 },
    { "SigningCertURL", offsetof(sprox_sns_t, cert_url), SPROX_SNS_URL_MAX,
      0, 0 }
};

#define SPROX_SNS_FIELDS                                                      \
    (sizeof(sprox_sns_fields) / sizeof(sprox_sns_fields[0]))


static const struct {
    sprox_str_t             name;
    sprox_sns_type_t        type;
    sprox_event_doc_kind_t  kind;
} sprox_sns_types[] = {
    { sprox_str("Notification"), SPROX_SNS_NOTIFICATION,
      SPROX_EVENT_DOC_RECORDS },
    { sprox_str("SubscriptionConfirmation"), SPROX_SNS_SUBSCRIPTION,
      SPROX_EVENT_DOC_SUBSCRIBED },
    { sprox_str("UnsubscribeConfirmation"), SPROX_SNS_UNSUBSCRIPTION,
      SPROX_EVENT_DOC_UNSUBSCRIBED }
};

#define SPROX_SNS_TYPES                                                       \
    (sizeof(sprox_sns_types) / sizeof(sprox_sns_types[0]))


static sprox_rc_t
sprox_event_sns_type(sprox_event_doc_t *doc, const sprox_json_t *root)
{
    size_t        i;
    sprox_rc_t    rc;
    sprox_json_t  type;

    rc = sprox_json_need(root, "Type", SPROX_JSON_STRING, &type);
    if (rc != SPROX_OK) {
        return rc;
    }

    for (i = 0; i < SPROX_SNS_TYPES; i++) {

        if (sprox_str_eq(sprox_json_str(&type), sprox_sns_types[i].name)) {
            doc->sns.type = sprox_sns_types[i].type;
            doc->kind = sprox_sns_types[i].kind;
            return SPROX_OK;
        }
    }

    return sprox_json_bad(&type, "is none of SNS's");
}


static sprox_rc_t
sprox_event_sns_fields(sprox_event_doc_t *doc, const sprox_json_t *root)
{
    size_t                    i;
    unsigned                  needed;
    sprox_rc_t                rc;
    sprox_str_t              *out;
    const sprox_sns_field_t  *field;

    needed = SPROX_SNS_ALWAYS;

    if (doc->sns.type != SPROX_SNS_NOTIFICATION) {
        needed |= SPROX_SNS_CONFIRM;
    }

    for (i = 0; i < SPROX_SNS_FIELDS; i++) {

        field = &sprox_sns_fields[i];
        out = (sprox_str_t *) ((uint8_t *) &doc->sns + field->offset);

        if (field->needed & needed) {
            rc = sprox_event_need_text(doc, root, field->name, field->max,
                                       field->spaces, out);
        } else {
            rc = sprox_event_text(doc, root, field->name, field->max,
                                  field->spaces, out);
        }

        if (rc != SPROX_OK && rc != SPROX_NOT_FOUND) {
            return rc;
        }
    }

    return sprox_event_time(root, "Timestamp", &doc->sns.time);
}


static sprox_rc_t
sprox_event_sns_message(sprox_event_doc_t *doc, const sprox_json_t *message)
{
    sprox_rc_t    rc;
    sprox_json_t  inner;

    rc = sprox_json_load_max(&inner, sprox_json_str(message), message,
                             doc->values, &doc->why);
    if (rc != SPROX_OK) {
        return rc;
    }

    rc = sprox_event_of_s3(doc, &inner);

    if (rc == SPROX_NOT_FOUND) {
        rc = sprox_json_bad(message, "is no notification of S3's: it has no "
                                     "Records, detail-type or Event");
    }

    sprox_json_free(&inner);

    return rc;
}


sprox_rc_t
sprox_event_sns(sprox_event_doc_t *doc, const sprox_json_t *root)
{
    sprox_rc_t    rc;
    sprox_json_t  message;

    rc = sprox_event_sns_type(doc, root);

    if (rc == SPROX_OK) {
        rc = sprox_event_sns_fields(doc, root);
    }

    if (rc == SPROX_OK) {
        rc = sprox_json_need(root, "Message", SPROX_JSON_STRING, &message);
    }

    if (rc == SPROX_OK) {
        rc = sprox_event_keep(doc, sprox_json_str(&message),
                              &doc->sns.message);
    }

    if (rc == SPROX_OK && doc->sns.type == SPROX_SNS_NOTIFICATION) {
        rc = sprox_event_sns_message(doc, &message);
    }

    return rc;
}
