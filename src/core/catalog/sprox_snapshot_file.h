/*
 * What stands in a snapshot.  Private to its writer, its reader and its
 * tests; drawn in snapshot.c.
 */

#ifndef SPROX_SNAPSHOT_FILE_H
#define SPROX_SNAPSHOT_FILE_H


#include "sprox_snapshot.h"


/* The head. */

#define SPROX_SNAPSHOT_AT_FORMAT   8
#define SPROX_SNAPSHOT_AT_ID       16
#define SPROX_SNAPSHOT_AT_BOOT     32
#define SPROX_SNAPSHOT_AT_TIME     48
#define SPROX_SNAPSHOT_AT_SPARE    56
#define SPROX_SNAPSHOT_AT_CRC      60

/* What each block begins with: type, length of the rest, CRC-32. */

#define SPROX_SNAPSHOT_AT_TYPE     0
#define SPROX_SNAPSHOT_AT_LENGTH   4
#define SPROX_SNAPSHOT_AT_SUM      8
#define SPROX_SNAPSHOT_PREFACE     12

/* An object. */

#define SPROX_SNAPSHOT_AT_SHARED   2
#define SPROX_SNAPSHOT_AT_KEY      4
#define SPROX_SNAPSHOT_AT_ETAG     6
#define SPROX_SNAPSHOT_AT_VERSION  8
#define SPROX_SNAPSHOT_AT_HEADERS  10
#define SPROX_SNAPSHOT_AT_CLASS    12
#define SPROX_SNAPSHOT_AT_SEQUENCER 14
#define SPROX_SNAPSHOT_AT_SIZE     16
#define SPROX_SNAPSHOT_AT_CHANGED  24
#define SPROX_SNAPSHOT_AT_PROVED   32
#define SPROX_SNAPSHOT_OBJECT      40
#define SPROX_SNAPSHOT_STRINGS     6           /* with the key's rest */

#define SPROX_SNAPSHOT_OBJECT_MAX  (SPROX_SNAPSHOT_OBJECT + SPROX_KEY_MAX     \
                                    + SPROX_OBJECT_BUF)

/* A ban. */

#define SPROX_SNAPSHOT_AT_NAME     2
#define SPROX_SNAPSHOT_AT_BANNED   4           /* length of the prefix */
#define SPROX_SNAPSHOT_AT_WHEN     6
#define SPROX_SNAPSHOT_BAN         14
#define SPROX_SNAPSHOT_ALL         1           /* its only flag */

/* A region. */

#define SPROX_SNAPSHOT_AT_PREFIX   0
#define SPROX_SNAPSHOT_AT_REGION   2
#define SPROX_SNAPSHOT_AT_CRAWLED  6
#define SPROX_SNAPSHOT_AT_OWNERS   14
#define SPROX_SNAPSHOT_AT_OWNER    16          /* length of the id */
#define SPROX_SNAPSHOT_AT_OWNERS_NAME 18
#define SPROX_SNAPSHOT_REGION      20

/* The end. */

#define SPROX_SNAPSHOT_END         32


typedef enum {
    SPROX_SNAPSHOT_NONE = 0,    /* the head, of reading */
    SPROX_SNAPSHOT_BANS,
    SPROX_SNAPSHOT_SPACE,
    SPROX_SNAPSHOT_REGIONS,
    SPROX_SNAPSHOT_OBJECTS,
    SPROX_SNAPSHOT_WHOLE,
    SPROX_SNAPSHOT_LAST
} sprox_snapshot_type_t;


#define SPROX_SNAPSHOT_LISTED      1
#define SPROX_SNAPSHOT_HEADED      2
#define SPROX_SNAPSHOT_SETTLED     4
#define SPROX_SNAPSHOT_ABSENT      8
#define SPROX_SNAPSHOT_BY_EVENT    16
#define SPROX_SNAPSHOT_DOUBTED     32
#define SPROX_SNAPSHOT_FLAGS       63


/*
 * sprox_snapshot_sum: what a block says, or ought to say.  In snapshot.c.
 *
 * The others read what stands at r->at, which moves behind it; strings point
 * into the block, but for an object's key, which is made in r->key.  SPROX_OK
 * or SPROX_INVALID.  In snapshot_read.c.
 */

uint32_t sprox_snapshot_sum(const uint8_t *block, size_t len);

sprox_rc_t sprox_snapshot_next_object(sprox_snapshot_reader_t *r,
    sprox_object_t *o);
sprox_rc_t sprox_snapshot_next_ban(sprox_snapshot_reader_t *r,
    sprox_ban_t *ban);
sprox_rc_t sprox_snapshot_next_region(sprox_snapshot_reader_t *r,
    sprox_str_t *prefix, sprox_region_t *region);


#endif /* SPROX_SNAPSHOT_FILE_H */
