/*
 * Reads the error documents of origins.
 *
 *   Error                          ErrorResponse     (STS)
 *     Code, Message                  Error
 *     Region     wrong region          Code, Message
 *     Endpoint   redirects
 *     Bucket, BucketName
 */

#include "sprox_error.h"
#include "sprox_xml.h"


enum {
    SPROX_ERROR_NODE_RESPONSE = SPROX_XML_DOCUMENT + 1,
    SPROX_ERROR_NODE_ERROR,
    SPROX_ERROR_NODE_CODE,
    SPROX_ERROR_NODE_MESSAGE,
    SPROX_ERROR_NODE_REGION,
    SPROX_ERROR_NODE_ENDPOINT,
    SPROX_ERROR_NODE_BUCKET
};


typedef struct {
    const sprox_mem_t  *mem;
    sprox_error_t      *error;
    unsigned            found:1;      /* an Error element */
} sprox_error_ctx_t;


static const sprox_xml_rule_t  sprox_error_rules[] = {
    { SPROX_XML_DOCUMENT, SPROX_ERROR_NODE_RESPONSE, 0,
      sprox_str("ErrorResponse") },
    { SPROX_XML_DOCUMENT, SPROX_ERROR_NODE_ERROR, 0, sprox_str("Error") },
    { SPROX_ERROR_NODE_RESPONSE, SPROX_ERROR_NODE_ERROR, 0,
      sprox_str("Error") },
    { SPROX_ERROR_NODE_ERROR, SPROX_ERROR_NODE_CODE, 1, sprox_str("Code") },
    { SPROX_ERROR_NODE_ERROR, SPROX_ERROR_NODE_MESSAGE, 1,
      sprox_str("Message") },
    { SPROX_ERROR_NODE_ERROR, SPROX_ERROR_NODE_REGION, 1,
      sprox_str("Region") },
    { SPROX_ERROR_NODE_ERROR, SPROX_ERROR_NODE_ENDPOINT, 1,
      sprox_str("Endpoint") },
    { SPROX_ERROR_NODE_ERROR, SPROX_ERROR_NODE_BUCKET, 1,
      sprox_str("Bucket") },
    { SPROX_ERROR_NODE_ERROR, SPROX_ERROR_NODE_BUCKET, 1,
      sprox_str("BucketName") },
};


/* A code goes into logs and answers as it is. */

static int
sprox_error_code_valid(const uint8_t *text, size_t len)
{
    size_t   i;
    uint8_t  c;

    if (len > SPROX_ERROR_CODE_MAX) {
        return 0;
    }

    for (i = 0; i < len; i++) {

        c = text[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
              || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-'))
        {
            return 0;
        }
    }

    return 1;
}


static sprox_rc_t
sprox_error_end(void *data, unsigned node, uint8_t *text, size_t len)
{
    size_t              i;
    sprox_str_t        *s;
    sprox_error_ctx_t  *ctx = data;

    switch (node) {

    case SPROX_ERROR_NODE_ERROR:
        ctx->found = 1;
        return SPROX_OK;

    case SPROX_ERROR_NODE_CODE:
        s = &ctx->error->code;

        if (!sprox_error_code_valid(text, len)) {
            return SPROX_OK;
        }

        break;

    case SPROX_ERROR_NODE_MESSAGE:
        s = &ctx->error->message;

        /* it must not forge lines of logs */

        for (i = 0; i < len; i++) {
            if (text[i] < 0x20 || text[i] == 0x7f) {
                text[i] = ' ';
            }
        }

        break;

    case SPROX_ERROR_NODE_REGION:
        s = &ctx->error->region;
        break;

    case SPROX_ERROR_NODE_ENDPOINT:
        s = &ctx->error->endpoint;
        break;

    case SPROX_ERROR_NODE_BUCKET:
        s = &ctx->error->bucket;
        break;

    default:
        return SPROX_OK;
    }

    /* the first one counts */

    if (s->data != NULL || len == 0) {
        return SPROX_OK;
    }

    *s = sprox_str_dup(ctx->mem, sprox_str_make(text, len));

    return s->data != NULL ? SPROX_OK : SPROX_NOMEM;
}


static const sprox_xml_spec_t  sprox_error_spec = {
    sprox_error_rules,
    sizeof(sprox_error_rules) / sizeof(sprox_error_rules[0]),
    SPROX_ERROR_XML_MAX,
    SPROX_ERROR_XML_MAX,
    NULL,
    sprox_error_end
};


sprox_rc_t
sprox_error_parse(const sprox_mem_t *mem, sprox_str_t xml,
    sprox_error_t *error)
{
    sprox_rc_t          rc;
    sprox_xml_t        *x;
    sprox_error_ctx_t   ctx;

    memset(error, 0, sizeof(sprox_error_t));

    if (xml.len > SPROX_ERROR_XML_MAX) {
        return SPROX_LIMIT;
    }

    ctx.mem = mem;
    ctx.error = error;
    ctx.found = 0;

    x = sprox_xml_create(mem, &sprox_error_spec, &ctx);
    if (x == NULL) {
        return SPROX_NOMEM;
    }

    rc = sprox_xml_feed(x, xml.data, xml.len);

    if (rc == SPROX_OK) {
        rc = sprox_xml_done(x);
    }

    if (rc == SPROX_OK && !ctx.found) {
        rc = SPROX_INVALID;
    }

    if (rc != SPROX_OK) {
        sprox_error_free(mem, error);
    }

    sprox_xml_free(x);

    return rc;
}


void
sprox_error_free(const sprox_mem_t *mem, sprox_error_t *error)
{
    size_t  i;

    sprox_str_t  *strings[] = {
        &error->code, &error->message, &error->region, &error->endpoint,
        &error->bucket
    };

    for (i = 0; i < sizeof(strings) / sizeof(strings[0]); i++) {
        sprox_free(mem, (void *) strings[i]->data);
        *strings[i] = sprox_str_null;
    }
}
