/*
 * The input is a message.  What is taken of it can be given to the catalog
 * and to logs as it is; what is refused leaves nothing but one line; and
 * what SNS has signed can be cut in one way only.
 */

#include "fuzz_s3.h"
#include "sprox_dialect.h"
#include "sprox_event.h"
#include "sprox_op.h"


static void
line(sprox_str_t s)
{
    size_t  i;

    for (i = 0; i < s.len; i++) {
        assert(s.data[i] >= ' ' && s.data[i] != 0x7f);
    }
}


static void
check_etag(sprox_str_t tag)
{
    if (tag.len == 0) {
        return;
    }

    line(tag);
    assert(tag.len <= SPROX_ETAG_MAX);

    if (sprox_str_starts(tag, sprox_str_lit("W/"))) {
        tag = sprox_str_from(tag, 2);
    }

    assert(tag.len > 2 && tag.data[0] == '"' && tag.data[tag.len - 1] == '"');
    assert(memchr(tag.data + 1, '"', tag.len - 2) == NULL);
}


static void
check_event(const sprox_event_t *e)
{
    const sprox_dialect_t  *dialect;

    assert(e->kind < SPROX_EVENT_KINDS && e->sender < SPROX_SENDERS);
    assert(e->name.len != 0 && e->name.len <= SPROX_EVENT_NAME_MAX);
    line(e->name);

    if (e->kind == SPROX_EVENT_IGNORED) {
        assert(e->key.len == 0 && e->bucket.len == 0);
        return;
    }

    dialect = sprox_dialect(e->sender == SPROX_SENDER_GCS
                            ? sprox_str_lit("gcs") : sprox_str_lit("s3"));

    assert(dialect->bucket_valid(e->bucket));
    assert(e->key.len != 0 && e->key.len <= SPROX_KEY_MAX);
    assert(memchr(e->key.data, '\0', e->key.len) == NULL);
    assert(e->time >= -1);
    assert(e->sequencer.len <= SPROX_SEQUENCER_MAX);
    assert(!e->has_size || e->size <= SPROX_OBJECT_SIZE_MAX);
    assert(!e->marker || e->kind == SPROX_EVENT_REMOVED);

    line(e->version);
    line(e->sequencer);
    check_etag(e->etag);
}


static void
check_order(const sprox_event_t *a, const sprox_event_t *b)
{
    sprox_order_t  ab, ba;

    ab = sprox_event_order(a->sender, a->sequencer, b->sender, b->sequencer);
    ba = sprox_event_order(b->sender, b->sequencer, a->sender, a->sequencer);

    assert((ab == SPROX_ORDER_OLDER) == (ba == SPROX_ORDER_NEWER));
    assert((ab == SPROX_ORDER_NEWER) == (ba == SPROX_ORDER_OLDER));
    assert((ab == SPROX_ORDER_SAME) == (ba == SPROX_ORDER_SAME));
}


/* Takes "name\nvalue\n" off the end, the value without a line feed. */

static void
cut(sprox_str_t *text, const char *name, sprox_str_t value)
{
    size_t  i, n;

    n = strlen(name);

    assert(text->len != 0 && text->data[text->len - 1] == '\n');
    text->len--;

    for (i = text->len; i > 0 && text->data[i - 1] != '\n'; i--) { /* void */ }

    assert(sprox_str_eq(sprox_str_from(*text, i), value));
    text->len = i;

    assert(text->len > n && text->data[text->len - 1] == '\n');
    text->len -= n + 1;

    assert(memcmp(text->data + text->len, name, n) == 0);
}


static void
check_sns(const sprox_sns_t *sns)
{
    sprox_buf_t  b;
    sprox_str_t  text;

    sprox_buf_init(&b, &fuzz_mem);
    assert(sprox_sns_canonical(&b, sns) == SPROX_OK);
    text = sprox_buf_get(&b);

    cut(&text, "Type", sns->type == SPROX_SNS_NOTIFICATION
                       ? sprox_str_lit("Notification")
                       : sns->type == SPROX_SNS_SUBSCRIPTION
                         ? sprox_str_lit("SubscriptionConfirmation")
                         : sprox_str_lit("UnsubscribeConfirmation"));
    cut(&text, "TopicArn", sns->topic_arn);

    if (sns->type != SPROX_SNS_NOTIFICATION) {
        cut(&text, "Token", sns->token);
    }

    cut(&text, "Timestamp", sns->timestamp);

    if (sns->type != SPROX_SNS_NOTIFICATION) {
        cut(&text, "SubscribeURL", sns->subscribe_url);

    } else if (sns->subject.data != NULL) {
        cut(&text, "Subject", sns->subject);
    }

    cut(&text, "MessageId", sns->message_id);

    assert(text.len == sns->message.len + sizeof("Message\n\n") - 1);
    sprox_buf_free(&b);

    line(sns->signature);
    line(sns->signature_version);
    line(sns->cert_url);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t             i;
    sprox_rc_t         rc;
    sprox_event_doc_t  doc;

    rc = sprox_event_parse(&fuzz_mem, sprox_str_make(data, size), &doc);

    if (rc != SPROX_OK) {
        assert(rc == SPROX_INVALID || rc == SPROX_LIMIT);
        assert(doc.nevents == 0 && doc.kind == SPROX_EVENT_DOC_NONE
               && doc.sns.type == SPROX_SNS_NONE && doc.why.len != 0);
        line(sprox_buf_get(&doc.why));
        sprox_event_free(&doc);
        return 0;
    }

    assert(doc.kind != SPROX_EVENT_DOC_NONE && doc.why.len == 0);
    assert(doc.nevents <= 2 * SPROX_EVENT_RECORDS_MAX);
    assert(doc.nevents == 0 || doc.kind == SPROX_EVENT_DOC_RECORDS);

    for (i = 0; i < doc.nevents; i++) {
        check_event(&doc.events[i]);
        check_order(&doc.events[0], &doc.events[i]);
    }

    if (doc.sns.type != SPROX_SNS_NONE) {
        check_sns(&doc.sns);
    }

    sprox_event_free(&doc);

    return 0;
}
