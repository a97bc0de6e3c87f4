/*
 * What a queue of SQS answers to ReceiveMessage.
 */

#ifndef SPROX_SQS_H
#define SPROX_SQS_H


#include "sprox_buf.h"


#define SPROX_SQS_MESSAGES_MAX  10                 /* of one answer */
#define SPROX_SQS_XML_MAX       (16 * 1024 * 1024) /* bytes of it */
#define SPROX_SQS_BODY_MAX      (1024 * 1024)      /* of a message's body */
#define SPROX_SQS_HANDLE_MAX    2048
#define SPROX_SQS_WAIT_MAX      20                 /* seconds */


typedef struct {
    sprox_str_t  id;                /* for logs; control characters are
                                       spaces; may be empty */
    sprox_str_t  handle;            /* what deletes it; never empty */
    sprox_str_t  body;
} sprox_sqs_message_t;


typedef struct sprox_sqs_s  sprox_sqs_t;


/*
 * visit is called for each message, with strings that hold during the call;
 * what it returns other than SPROX_OK ends the reading.  mem and data must
 * outlive the reader.  NULL: no memory.
 *
 * feed() and done(): SPROX_OK; SPROX_INVALID (not such a document, a message
 * without a handle), SPROX_LIMIT, SPROX_NOMEM, or what visit returned.
 */
typedef sprox_rc_t (*sprox_sqs_visit_pt)(void *data,
    const sprox_sqs_message_t *message);

sprox_sqs_t *sprox_sqs_create(const sprox_mem_t *mem,
    sprox_sqs_visit_pt visit, void *data);
sprox_rc_t sprox_sqs_feed(sprox_sqs_t *sqs, const void *p, size_t len);
sprox_rc_t sprox_sqs_done(sprox_sqs_t *sqs);
void sprox_sqs_free(sprox_sqs_t *sqs);


/*
 * Where a queue lies: "sqs://HOST[:PORT]/ACCOUNT/QUEUE".  The strings point
 * into the text; authority is HOST[:PORT], path has no '/' in front.
 * region: that of a host of AWS, else empty.  SPROX_OK, or SPROX_INVALID
 * with *why, a static text.
 */

typedef struct {
    sprox_str_t  authority;
    sprox_str_t  path;
    sprox_str_t  region;
} sprox_sqs_url_t;

sprox_rc_t sprox_sqs_url(sprox_str_t text, sprox_sqs_url_t *url,
    const char **why);


#endif /* SPROX_SQS_H */
