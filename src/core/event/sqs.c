/*
 * Queues of SQS: where they lie, and the messages in their answers.
 *
 *   ReceiveMessageResponse
 *     ReceiveMessageResult
 *       Message                       none to ten
 *         MessageId, ReceiptHandle, Body
 */

#include "sprox_sqs.h"
#include "sprox_dialect.h"
#include "sprox_xml.h"


enum {
    SPROX_SQS_NODE_RESPONSE = SPROX_XML_DOCUMENT + 1,
    SPROX_SQS_NODE_RESULT,
    SPROX_SQS_NODE_MESSAGE,
    SPROX_SQS_NODE_ID,
    SPROX_SQS_NODE_HANDLE,
    SPROX_SQS_NODE_BODY
};

#define SPROX_SQS_FIELD(node)   ((node) - SPROX_SQS_NODE_ID)
#define SPROX_SQS_FIELDS        (SPROX_SQS_FIELD(SPROX_SQS_NODE_BODY) + 1)


struct sprox_sqs_s {
    const sprox_mem_t   *mem;
    sprox_xml_t         *xml;
    sprox_sqs_visit_pt   visit;
    void                *data;
    sprox_buf_t          fields[SPROX_SQS_FIELDS];
    size_t               n;            /* messages */
};


static sprox_rc_t sprox_sqs_start(void *data, unsigned node);
static sprox_rc_t sprox_sqs_end(void *data, unsigned node, uint8_t *text,
    size_t len);
static sprox_rc_t sprox_sqs_message(sprox_sqs_t *sqs);


static const sprox_xml_rule_t  sprox_sqs_rules[] = {
    { SPROX_XML_DOCUMENT, SPROX_SQS_NODE_RESPONSE, 0,
      sprox_str("ReceiveMessageResponse") },
    { SPROX_SQS_NODE_RESPONSE, SPROX_SQS_NODE_RESULT, 0,
      sprox_str("ReceiveMessageResult") },
    { SPROX_SQS_NODE_RESULT, SPROX_SQS_NODE_MESSAGE, 0,
      sprox_str("Message") },
    { SPROX_SQS_NODE_MESSAGE, SPROX_SQS_NODE_ID, 1,
      sprox_str("MessageId") },
    { SPROX_SQS_NODE_MESSAGE, SPROX_SQS_NODE_HANDLE, 1,
      sprox_str("ReceiptHandle") },
    { SPROX_SQS_NODE_MESSAGE, SPROX_SQS_NODE_BODY, 1, sprox_str("Body") },
};


static const sprox_xml_spec_t  sprox_sqs_spec = {
    sprox_sqs_rules,
    sizeof(sprox_sqs_rules) / sizeof(sprox_sqs_rules[0]),
    SPROX_SQS_XML_MAX,
    SPROX_SQS_BODY_MAX,
    sprox_sqs_start,
    sprox_sqs_end
};


sprox_sqs_t *
sprox_sqs_create(const sprox_mem_t *mem, sprox_sqs_visit_pt visit,
    void *data)
{
    size_t        i;
    sprox_sqs_t  *sqs;

    sqs = sprox_alloc(mem, sizeof(sprox_sqs_t));
    if (sqs == NULL) {
        return NULL;
    }

    memset(sqs, 0, sizeof(sprox_sqs_t));

    sqs->mem = mem;
    sqs->visit = visit;
    sqs->data = data;

    for (i = 0; i < SPROX_SQS_FIELDS; i++) {
        sprox_buf_init(&sqs->fields[i], mem);
    }

    sqs->xml = sprox_xml_create(mem, &sprox_sqs_spec, sqs);

    if (sqs->xml == NULL) {
        sprox_free(mem, sqs);
        return NULL;
    }

    return sqs;
}


sprox_rc_t
sprox_sqs_feed(sprox_sqs_t *sqs, const void *p, size_t len)
{
    return sprox_xml_feed(sqs->xml, p, len);
}


sprox_rc_t
sprox_sqs_done(sprox_sqs_t *sqs)
{
    return sprox_xml_done(sqs->xml);
}


void
sprox_sqs_free(sprox_sqs_t *sqs)
{
    size_t  i;

    if (sqs == NULL) {
        return;
    }

    sprox_xml_free(sqs->xml);

    for (i = 0; i < SPROX_SQS_FIELDS; i++) {
        sprox_buf_free(&sqs->fields[i]);
    }

    sprox_free(sqs->mem, sqs);
}


static sprox_rc_t
sprox_sqs_start(void *data, unsigned node)
{
    size_t        i;
    sprox_sqs_t  *sqs = data;

    if (node == SPROX_SQS_NODE_MESSAGE) {

        if (sqs->n++ == SPROX_SQS_MESSAGES_MAX) {
            return SPROX_LIMIT;
        }

        for (i = 0; i < SPROX_SQS_FIELDS; i++) {
            sqs->fields[i].len = 0;
        }
    }

    return SPROX_OK;
}


static sprox_rc_t
sprox_sqs_end(void *data, unsigned node, uint8_t *text, size_t len)
{
    size_t        i;
    sprox_buf_t  *field;
    sprox_sqs_t  *sqs = data;

    switch (node) {

    case SPROX_SQS_NODE_MESSAGE:
        return sprox_sqs_message(sqs);

    case SPROX_SQS_NODE_ID:

        /* it must not forge lines of logs */

        for (i = 0; i < len; i++) {
            if (text[i] < 0x20 || text[i] == 0x7f) {
                text[i] = ' ';
            }
        }

        break;

    case SPROX_SQS_NODE_HANDLE:

        if (len > SPROX_SQS_HANDLE_MAX) {
            return SPROX_LIMIT;
        }

        break;

    case SPROX_SQS_NODE_BODY:
        break;

    default:
        return SPROX_OK;
    }

    field = &sqs->fields[SPROX_SQS_FIELD(node)];

    /* two of one name: which is meant? */

    if (field->len != 0) {
        return SPROX_INVALID;
    }

    sprox_buf_add(field, text, len);

    return sprox_buf_rc(field);
}


static sprox_rc_t
sprox_sqs_message(sprox_sqs_t *sqs)
{
    sprox_sqs_message_t  m;

    m.id = sprox_buf_get(
               &sqs->fields[SPROX_SQS_FIELD(SPROX_SQS_NODE_ID)]);
    m.handle = sprox_buf_get(
               &sqs->fields[SPROX_SQS_FIELD(SPROX_SQS_NODE_HANDLE)]);
    m.body = sprox_buf_get(
               &sqs->fields[SPROX_SQS_FIELD(SPROX_SQS_NODE_BODY)]);

    if (m.handle.len == 0) {
        return SPROX_INVALID;
    }

    return sqs->visit(sqs->data, &m);
}


/* The region in "sqs.REGION.amazonaws.com[.cn]". */

static sprox_str_t
sprox_sqs_region(sprox_str_t host)
{
    size_t       end;
    sprox_str_t  rest;

    if (!sprox_str_starts(host, sprox_str_lit("sqs."))) {
        return sprox_str_null;
    }

    host = sprox_str_from(host, sizeof("sqs.") - 1);
    end = sprox_str_find(host, sprox_str_lit("."), 0);

    if (end == (size_t) -1) {
        return sprox_str_null;
    }

    rest = sprox_str_from(host, end);
    host.len = end;

    if ((sprox_str_eq(rest, sprox_str_lit(".amazonaws.com"))
         || sprox_str_eq(rest, sprox_str_lit(".amazonaws.com.cn")))
        && sprox_region_valid(host))
    {
        return host;
    }

    return sprox_str_null;
}


sprox_rc_t
sprox_sqs_url(sprox_str_t text, sprox_sqs_url_t *url, const char **why)
{
    size_t       i, slash;
    sprox_str_t  rest;

    if (!sprox_str_starts(text, sprox_str_lit("sqs://"))) {
        *why = "it does not begin with sqs://";
        return SPROX_INVALID;
    }

    rest = sprox_str_from(text, sizeof("sqs://") - 1);

    for (i = 0; i < rest.len; i++) {
        if (rest.data[i] <= 0x20 || rest.data[i] >= 0x7f
            || rest.data[i] == '?' || rest.data[i] == '#'
            || rest.data[i] == '%' || rest.data[i] == '@')
        {
            *why = "there is a character in it that no queue's URL has";
            return SPROX_INVALID;
        }
    }

    slash = sprox_str_find(rest, sprox_str_lit("/"), 0);

    if (slash == (size_t) -1 || slash + 1 == rest.len) {
        *why = "the path of the queue is missing";
        return SPROX_INVALID;
    }

    url->authority = sprox_str_make(rest.data, slash);
    url->path = sprox_str_from(rest, slash + 1);
    url->region = sprox_sqs_region(url->authority);

    return SPROX_OK;
}
