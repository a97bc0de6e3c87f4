/*
 * Events: what stores tell of their objects, out of the JSON that they send.
 *
 *   {"Records": [...]}                      S3, MinIO, versitygw, Ceph ...
 *   {"detail-type": ..., "detail": {...}}   S3 by EventBridge
 *   {"message": {"attributes": {...}}}      Cloud Storage by Pub/Sub push
 *   {"Event": "s3:TestEvent"}               a test, when a bucket is set up
 *   {"Type": "Notification", "Message": "..."}   SNS: one of S3's in a string
 *   {"Type": "SubscriptionConfirmation"}    SNS: see sprox_sns.h
 *
 * The body of an SQS message is one of these, and so is what SNS delivers
 * "raw".
 *
 * A document is taken whole or not at all: one record that is wrong, and
 * there are no events, but one line for the operator that says what and
 * where.
 *
 * What a message says is a claim.  That it comes from whom it says is the
 * caller's to know (a token, an address, sprox_sns_verify()); that events
 * come late, twice and out of order, too: see sprox_event_order().
 */

#ifndef SPROX_EVENT_H
#define SPROX_EVENT_H


#include "sprox_catalog.h"
#include "sprox_sns.h"


#define SPROX_EVENT_BODY_MAX      (1024 * 1024)  /* SNS, SQS: 256 KiB */
#define SPROX_EVENT_RECORDS_MAX   1024           /* in one message */
#define SPROX_EVENT_NAME_MAX      128

/* Values of a message that nobody vouches for yet: SNS's has ten or so, and
   S3's in it, which has 256 KiB at most, some thousands. */
#define SPROX_EVENT_CLAIM_VALUES  64
#define SPROX_EVENT_CLAIM_MESSAGE 16384


typedef enum {
    SPROX_EVENT_IGNORED = 0,        /* nothing that a list or GET shows: tags,
                                       ACLs, replication, an overwritten
                                       version ...; only `name` holds */
    SPROX_EVENT_CREATED,            /* a new current version */
    SPROX_EVENT_REMOVED,            /* no current version any more */
    SPROX_EVENT_CHECK,              /* something else was done to the key, or
                                       to one version of it: only the store
                                       can tell what is current now */
    SPROX_EVENT_KINDS
} sprox_event_kind_t;


typedef enum {
    SPROX_SENDER_OTHER = 0,         /* unknown, but speaks S3's records */
    SPROX_SENDER_AWS,               /* directly, or by SNS or SQS */
    SPROX_SENDER_EVENTBRIDGE,
    SPROX_SENDER_GCS,
    SPROX_SENDER_MINIO,
    SPROX_SENDER_VERSITYGW,
    SPROX_SENDERS
} sprox_sender_t;


typedef struct {
    sprox_event_kind_t  kind;
    sprox_sender_t      sender;
    sprox_str_t         name;       /* as sent, "ObjectCreated:Put" */
    sprox_str_t         bucket;     /* legal at its kind of store */
    sprox_str_t         key;        /* as the store has it, nothing encoded;
                                       1 to SPROX_KEY_MAX bytes, no NUL */
    sprox_str_t         etag;       /* CREATED: as sprox_object_t has it, with
                                       quotes; empty: not told */
    sprox_str_t         version;    /* version id or generation; empty: none */
    sprox_str_t         sequencer;  /* empty: none, or none that orders */
    uint64_t            size;       /* CREATED; at most
                                       SPROX_OBJECT_SIZE_MAX */
    int64_t             time;       /* milliseconds: when it happened, which
                                       is no object's last-modified; -1: not
                                       told */
    unsigned            has_size:1;
    unsigned            marker:1;   /* REMOVED by a delete marker */
} sprox_event_t;


typedef enum {
    SPROX_EVENT_DOC_NONE = 0,       /* it was refused */
    SPROX_EVENT_DOC_RECORDS,        /* events[0] to events[nevents - 1] */
    SPROX_EVENT_DOC_TEST,
    SPROX_EVENT_DOC_SUBSCRIBED,     /* SNS wants sns.subscribe_url asked */
    SPROX_EVENT_DOC_UNSUBSCRIBED    /* SNS: no more will come */
} sprox_event_doc_kind_t;


typedef struct sprox_event_block_s  sprox_event_block_t;

typedef struct {
    sprox_event_doc_kind_t  kind;
    const sprox_event_t    *events;
    size_t                  nevents;
    sprox_sns_t             sns;    /* sns.type is 0 without SNS */
    sprox_buf_t             why;    /* what is wrong, without a line feed */

    /* private to src/core/event */
    const sprox_mem_t      *mem;
    size_t                  values; /* of a document in another, at most */
    sprox_event_block_t    *blocks; /* what the strings point into */
    sprox_buf_t             array;  /* of events */
} sprox_event_doc_t;


/*
 * Reads a message; body is not kept.  SPROX_OK; SPROX_INVALID and SPROX_LIMIT
 * with doc->why; SPROX_NOMEM.  Whichever it is, the caller frees doc.
 *
 * Keys: S3's and MinIO's records have them URL-encoded, with '+' for a
 * space; all others write them as they are.  A sender that is not known may
 * do either: a key of his that can be read in two ways makes two events, one
 * for each, and both are CHECK.
 *
 * A removal that names a version, and not by a delete marker, has removed
 * that one only: CHECK.  So are all of versitygw's, which do not name it, and
 * a delete of GCS's, which may be of a noncurrent generation; one with
 * overwrittenByGeneration is IGNORED, for the new generation has an event of
 * its own.
 */
sprox_rc_t sprox_event_parse(const sprox_mem_t *mem, sprox_str_t body,
    sprox_event_doc_t *doc);

/*
 * The same of a message of which only its signature will say whose it is, so
 * that reading it must cost little: SPROX_LIMIT where it has more values than
 * SNS's have.
 */
sprox_rc_t sprox_event_parse_claim(const sprox_mem_t *mem, sprox_str_t body,
    sprox_event_doc_t *doc);

void sprox_event_free(sprox_event_doc_t *doc);

/* "created", "check" ...; "aws", "versitygw" ...: for metrics and logs. */
sprox_str_t sprox_event_kind_name(sprox_event_kind_t kind);
sprox_str_t sprox_sender_name(sprox_sender_t sender);


/*
 * Where event a of a key stands against event b of the same key: compared
 * without case, as hexadecimal digits, the shorter one filled up with zeros
 * on the right (S3, "Event message structure").  Only AWS's sequencers
 * order, and S3's own records and EventBridge's write them differently, so
 * both must have come the same way.  SAME: one event, told twice.
 */

typedef enum {
    SPROX_ORDER_UNKNOWN = 0,
    SPROX_ORDER_OLDER,              /* a happened before b */
    SPROX_ORDER_SAME,
    SPROX_ORDER_NEWER
} sprox_order_t;

sprox_order_t sprox_event_order(sprox_sender_t a_sender,
    sprox_str_t a_sequencer, sprox_sender_t b_sender, sprox_str_t b_sequencer);


#endif /* SPROX_EVENT_H */
