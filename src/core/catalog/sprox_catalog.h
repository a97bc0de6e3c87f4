/*
 * The catalog: an ordered map of objects and of what is known of each, in
 * memory that several processes share.  The core knows it as memory and a
 * lock: the caller takes the lock around each function that ends in
 * _locked, and nothing here blocks, logs or reads a clock.
 *
 * No object has the empty key.  What a caller keeps under it (that a bucket
 * is there) is got, put and removed like an object, but is not counted as
 * one, and no listing visits it.
 *
 * Everything inside is an offset from the start of the memory, so each
 * process may map it elsewhere, and the whole can be written to a file.
 *
 * A process may be killed in the middle of a change: changes are bracketed
 * by a mark, and whoever finds it set under the lock empties the catalog.
 */

#ifndef SPROX_CATALOG_H
#define SPROX_CATALOG_H


#include "sprox_dialect.h"


#define SPROX_CATALOG_SIZE_MIN    (256 * 1024)
#define SPROX_CATALOG_SPACES_MAX  65535
#define SPROX_CATALOG_NAME_MAX    336    /* bytes of a space's name */

/* 64 TiB: no store has more */
#define SPROX_OBJECT_SIZE_MAX     70368744177664

#define SPROX_CLASS_MAX           64     /* bytes of a storage class */
#define SPROX_VERSION_MAX         1024   /* of a version id; S3's own limit */
#define SPROX_SEQUENCER_MAX       64     /* of an event's sequencer */

#define SPROX_OWNER_MAX           256    /* of an owner's id, and of its name */
#define SPROX_OWNERS_MAX          64     /* different ones of all regions */

/* A buffer of this size holds the strings of any owner. */
#define SPROX_OWNER_BUF           (2 * SPROX_OWNER_MAX)

/* A buffer of this size holds the strings of any object. */
#define SPROX_OBJECT_BUF          (SPROX_HEADERS_MAX + 2048)


typedef struct sprox_catalog_s  sprox_catalog_t;   /* lives in the memory */


/* What is known of one object (or that there is none). */

typedef struct {
    uint64_t     size;
    int64_t      last_modified;     /* milliseconds */
    int64_t      proved;            /* milliseconds: when the request that
                                       told was sent */
    sprox_str_t  etag;              /* with quotes; empty: there is none */
    sprox_str_t  storage_class;
    sprox_str_t  version;           /* version id or generation */
    sprox_str_t  headers;           /* "name: value\r\n" lines; see headed */
    sprox_str_t  sequencer;         /* of the event that told last, or empty */
    unsigned     listed:1;          /* a listing told */
    unsigned     headed:1;          /* headers are known (may be empty) */
    unsigned     settled:1;         /* no later version has this
                                       last_modified */
    unsigned     told:1;            /* an event told: last_modified is its
                                       time, which may be another one than
                                       the store's */
    unsigned     doubted:1;         /* of a get(): not to be believed for
                                       however short a time; proved is 0 */
    unsigned     absent:1;          /* there is none; of all else only what
                                       events tell holds: sequencer, and,
                                       when the last to tell was one, told
                                       and with it last_modified */
} sprox_object_t;


typedef struct {
    uint64_t  objects;              /* without the absent ones */
    uint64_t  absent;               /* and what lies under empty keys */
    uint64_t  bytes_used;           /* of the memory */
    uint64_t  bytes_total;
    uint64_t  evicted;              /* since the start */
    uint64_t  emptied;              /* times a set mark was found */
    uint64_t  changes;              /* the same: so is what is known */
    uint64_t  held;                 /* objects that regions hold */
    uint64_t  regions;
    uint64_t  complete;             /* of the regions */
} sprox_catalog_stats_t;


/*
 * Formats memory (16-byte aligned, of at least SPROX_CATALOG_SIZE_MIN; what
 * is above 64 GiB is not used) and returns the catalog in it, or NULL when
 * size is too small.
 */
sprox_catalog_t *sprox_catalog_create(void *memory, size_t size);

/* The catalog that create() made in this memory (another process, or after
   a reload); NULL when it is none, or of another size or format. */
sprox_catalog_t *sprox_catalog_attach(void *memory, size_t size);

/* Whether a space is made. */

#define SPROX_SPACE_FIND    0
#define SPROX_SPACE_MAKE    1
#define SPROX_SPACE_MAYBE   2

/*
 * The number of the space (one origin's bucket) of that name, made when
 * create says so.  Numbers hold until the catalog is emptied: callers name
 * the space again with each lock, or compare sprox_catalog_epoch_locked().
 * SPROX_OK, SPROX_NOT_FOUND, SPROX_LIMIT (name), SPROX_FULL: spaces are
 * never evicted, and a sixteenth of the memory is theirs (about one space
 * for 2 KiB of memory, SPROX_CATALOG_SPACES_MAX at most).  So a space is
 * made when there is an object to put, not when a client names one; and for
 * what is known not to be there, whose bucket may be none, only while less
 * than half of that memory is used: SPROX_SPACE_MAYBE.
 *
 * In all functions below, a space that is none is SPROX_NOT_FOUND.
 */
sprox_rc_t sprox_catalog_space_locked(sprox_catalog_t *cat, sprox_str_t name,
    int create, uint32_t *space);

/* Changes whenever the catalog is emptied. */
uint64_t sprox_catalog_epoch_locked(sprox_catalog_t *cat);

/*
 * Looks up a key.  The strings of *object are copied into buf (at least
 * SPROX_OBJECT_BUF bytes) or are static.  It becomes the most recently used.
 * SPROX_OK (look at object->absent) or SPROX_NOT_FOUND.
 */
sprox_rc_t sprox_catalog_get_locked(sprox_catalog_t *cat, uint32_t space,
    sprox_str_t key, sprox_object_t *object, uint8_t *buf);

/*
 * Puts what was learned.  Merges: what is older (proved) than what is known
 * and of another version is not taken (SPROX_DONE); the same version (ETag,
 * size, and last-modified to the second; version id where both have one)
 * keeps headers, storage class, version id and the milliseconds of
 * last-modified that the newer source lacks, `listed`, `headed` and `settled`
 * add up, and the later proof counts, in whichever order they come; another
 * version replaces all.  Absence is a version of its own.
 *
 * An event tells its own time, not last-modified: where one side is told and
 * the ETags are strong, last-modified is not compared, and the other side's
 * holds.  The sequencer stays until another comes, or another version.
 *
 * The least recently used are evicted to make room, and where a hole that is
 * large enough does not come about so, the neighbours of one of them.
 *
 * SPROX_OK, SPROX_DONE, SPROX_LIMIT (a string is longer than its limit),
 * SPROX_FULL (larger than the memory can hold; what was known of another
 * version is then forgotten).
 */
sprox_rc_t sprox_catalog_put_locked(sprox_catalog_t *cat, uint32_t space,
    sprox_str_t key, const sprox_object_t *object);

/* Whether two descriptions are of the same version, by the rule above. */
int sprox_object_same(const sprox_object_t *a, const sprox_object_t *b);

/* Whether an ETag names bytes: W/"..." names what only means the same. */
int sprox_etag_strong(sprox_str_t etag);

/*
 * What is known of a key is not believed any more until it is proved by a
 * request that was sent at `when` (milliseconds) or later: get() and list()
 * tell it as doubted, and put() does not take another version of an earlier
 * proof.  Of a key of a region of which nothing is known, that is known from
 * then on: it is absent, and doubted.  When there is no room for that, or
 * later needs its room, the region is not complete.  SPROX_OK, or
 * SPROX_NOT_FOUND.
 */
sprox_rc_t sprox_catalog_doubt_locked(sprox_catalog_t *cat, uint32_t space,
    sprox_str_t key, int64_t when);

/*
 * Forgets what is known of a key.  An object that a region holds goes on to
 * be listed (that it is gone, an absent one or a sweep says): it is doubted,
 * and its headers are forgotten.  One whose absence is doubted stays so,
 * wherever it lies.  SPROX_OK, or SPROX_NOT_FOUND.
 */
sprox_rc_t sprox_catalog_remove_locked(sprox_catalog_t *cat, uint32_t space,
    sprox_str_t key);

/*
 * The same, and another version of which a request tells that was sent before
 * `when` (milliseconds) is not put either: of any key there is something to
 * be doubted then, be it that it is absent.  SPROX_OK, SPROX_NOT_FOUND (no
 * such space), or as for put(), when there is no room for that.
 */
sprox_rc_t sprox_catalog_purge_locked(sprox_catalog_t *cat, uint32_t space,
    sprox_str_t key, int64_t when);


/*
 * Where a walk over a space's keys of a prefix, in byte order, has come to:
 * what is greater than `after` is still to come.  Each step moves it on, so
 * that the lock may be let go between two.
 */

typedef struct {
    sprox_str_t  prefix;            /* both are the caller's, who keeps them */
    sprox_str_t  delimiter;         /* of listings; empty: none */
    size_t       after_len;
    unsigned     past:1;            /* what starts with `after` is done too */
    uint8_t      after[SPROX_KEY_MAX];
} sprox_catalog_cursor_t;

/*
 * Begins a walk behind `after`, which may be empty.  One that ends with the
 * delimiter, and not within the prefix, is the common prefix with which a
 * page ended: what lies below it is passed over.
 */
void sprox_catalog_cursor_init(sprox_catalog_cursor_t *cursor,
    sprox_str_t prefix, sprox_str_t delimiter, sprox_str_t after);

/*
 * Gets the key and the object, or a common prefix and NULL; strings hold
 * during the call only.  It must not call back into the catalog.
 */
typedef sprox_rc_t (*sprox_catalog_visit_pt)(void *data, sprox_str_t key,
    const sprox_object_t *object);

/*
 * Lists a space: calls visit for each object that is there, or whose absence
 * is doubted, in byte order.  With a delimiter, keys that have it behind the
 * prefix are visited once for all that share what comes before it, and jumped
 * over, not walked; where all that do are doubted, the first of them is
 * visited instead.
 *
 * A return of visit other than SPROX_OK ends the step and is returned; that
 * item counts as not visited.  Looks at n records at most; absent ones are
 * among them, so that fewer may be visited.  SPROX_AGAIN: more may come;
 * SPROX_DONE: that was all.  Nothing becomes more recently used.
 */
sprox_rc_t sprox_catalog_list_locked(sprox_catalog_t *cat, uint32_t space,
    sprox_catalog_cursor_t *cursor, size_t n, sprox_catalog_visit_pt visit,
    void *data);

/*
 * Removes the objects of a range of which no later request told: those
 * behind the cursor and not greater than upto (empty: all of the prefix)
 * whose proof is older than before, in milliseconds.  Those that stay are
 * held and counted by the regions that there are now, as if they were put.
 * Looks at n records at most, adds to *removed.  SPROX_AGAIN, SPROX_DONE.
 */
sprox_rc_t sprox_catalog_sweep_locked(sprox_catalog_t *cat, uint32_t space,
    sprox_catalog_cursor_t *cursor, sprox_str_t upto, int64_t before,
    size_t n, uint64_t *removed);


/*
 * Whose objects are: listings tell it when they are asked to.  It is kept
 * once for a region, of which most have one owner.  What others than crawls
 * tell of is taken for that owner's as well, until the next crawl.
 */

typedef struct {
    sprox_str_t  id;                /* empty: the store tells none */
    sprox_str_t  name;              /* may be empty */
} sprox_owner_t;


/*
 * A region: a prefix of a space of which all is to be known.  From its
 * opening on, each object that is put below it is held: it is not evicted.
 * Regions may lie in each other.  They are lost when the catalog is emptied.
 */

typedef struct {
    uint32_t  id;                   /* of this opening */
    int64_t   crawled;              /* milliseconds: when the crawl that
                                       completed it began */
    uint64_t  objects;              /* that are held and were put since */
    uint64_t  bytes;                /* of these objects */
    sprox_owner_t  owner;           /* of a visit: whose they all are, in the
                                       catalog's memory */
    unsigned  complete:1;
    unsigned  overflow:1;           /* something did not fit */
    unsigned  owned:1;              /* there is owner */
} sprox_region_t;

/*
 * Opens a region, or finds it as it is.  SPROX_OK, SPROX_LIMIT (longer than a
 * key), SPROX_FULL (regions share the memory of spaces).
 *
 * Of the memory for objects, regions hold seven eighths at most.  An object
 * that is too much for that is put all the same, and not held; one that
 * cannot be put (SPROX_FULL, SPROX_LIMIT) is not even known.  In both cases
 * the regions that it lies in are `overflow` from then on: not complete, and
 * they hold nothing any more.  Whoever fills a region looks now and then.
 * To try once more: drop it, and open it again.
 */
sprox_rc_t sprox_catalog_region_open_locked(sprox_catalog_t *cat,
    uint32_t space, sprox_str_t prefix, uint32_t *id);

/* SPROX_OK, or SPROX_NOT_FOUND: no region has that very prefix. */
sprox_rc_t sprox_catalog_region_get_locked(sprox_catalog_t *cat,
    uint32_t space, sprox_str_t prefix, sprox_region_t *region);

/*
 * All below it is known now: a crawl that began at `crawled`, after open()
 * gave that id, has put what there is, and swept what there is not.
 * SPROX_OK; SPROX_NOT_FOUND: it is another opening, or a ban since has come
 * and gone, so that this crawl does not tell all; SPROX_FULL: `overflow`.
 */
sprox_rc_t sprox_catalog_region_complete_locked(sprox_catalog_t *cat,
    uint32_t space, sprox_str_t prefix, uint32_t id, int64_t crawled);
sprox_rc_t sprox_catalog_region_incomplete_locked(sprox_catalog_t *cat,
    uint32_t space, sprox_str_t prefix);

/*
 * Ends a region.  What it held and no other one covers may be evicted as
 * soon as release() came by, which put() calls as well: it looks at n
 * records at most.  SPROX_AGAIN, SPROX_DONE.
 */
sprox_rc_t sprox_catalog_region_drop_locked(sprox_catalog_t *cat,
    uint32_t space, sprox_str_t prefix);
sprox_rc_t sprox_catalog_release_locked(sprox_catalog_t *cat, size_t n);

/* The regions of a space, in byte order; as list(), but in one step. */
typedef sprox_rc_t (*sprox_catalog_region_pt)(void *data, sprox_str_t prefix,
    const sprox_region_t *region);

sprox_rc_t sprox_catalog_regions_locked(sprox_catalog_t *cat, uint32_t space,
    sprox_catalog_region_pt visit, void *data);

/*
 * Whether somebody wants a region, in the space of that name.  It must not
 * call back into the catalog.
 */
typedef int (*sprox_catalog_wanted_pt)(void *data, sprox_str_t name,
    sprox_str_t prefix);

/*
 * A place among all regions; zeroed, before the first.  It may lie in memory
 * that is shared, and outlives who is killed while it moves.
 */
typedef struct {
    volatile uint32_t  spaces;      /* so many were looked through */
    volatile uint32_t  len;         /* of the last one in the next space, and
                                       one more; 0: none yet */
    uint8_t            prefix[SPROX_KEY_MAX];
} sprox_catalog_keep_t;

/*
 * Drops those that nobody wants, of the next n regions.  SPROX_AGAIN, or
 * SPROX_DONE: those were the last.
 */
sprox_rc_t sprox_catalog_regions_keep_locked(sprox_catalog_t *cat,
    sprox_catalog_keep_t *at, size_t n, sprox_catalog_wanted_pt wanted,
    void *data);

/*
 * Whether all objects of a prefix are known: SPROX_OK when a complete region
 * covers it, *crawled is the latest such crawl; or SPROX_NOT_FOUND, also when
 * a key below it was banned since.
 */
sprox_rc_t sprox_catalog_covered_locked(sprox_catalog_t *cat, uint32_t space,
    sprox_str_t prefix, int64_t *crawled);


/*
 * A crawl of the region, which began at `crawled` after open() gave that id,
 * has found an object of that owner, and will put it.  With complete() this
 * is what is known of the region's owner; one that is another than what was
 * known by then makes them several at once.
 *
 * SPROX_OK; SPROX_DONE: this crawl has found several, or one that cannot be
 * kept, and need not tell of any more; SPROX_NOT_FOUND: it is another
 * opening, or a later crawl tells.
 */
sprox_rc_t sprox_catalog_region_owner_locked(sprox_catalog_t *cat,
    uint32_t space, sprox_str_t prefix, uint32_t id, int64_t crawled,
    const sprox_owner_t *owner);

/*
 * The owner of all objects of a prefix that is covered().  Its strings are
 * copied into buf (at least SPROX_OWNER_BUF bytes).  SPROX_OK, or
 * SPROX_NOT_FOUND: there are several, or nobody told of any.
 */
sprox_rc_t sprox_catalog_owner_locked(sprox_catalog_t *cat, uint32_t space,
    sprox_str_t prefix, sprox_owner_t *owner, uint8_t *buf);


/*
 * A ban: what was proved before (not at) a moment counts for nothing.  get()
 * and list() pass it over, covered() does not count it, and put() of a proof
 * of before is SPROX_DONE.  Bans outlive emptying.
 */

typedef struct {
    uint64_t     id;
    sprox_str_t  name;              /* of a space, which need not be there */
    sprox_str_t  prefix;
    int64_t      time;              /* milliseconds */
    unsigned     all:1;             /* of every space: no name, no prefix */
} sprox_ban_t;

/*
 * Bans, and gives the id by which that is ended (ban->id is not looked at).
 * There is always room: when it runs out, two bans become a wider one, and
 * that stays; so does one of `all` (id 0).  SPROX_OK, or SPROX_LIMIT (a name
 * or prefix that no space or key can have).
 */
sprox_rc_t sprox_catalog_ban_locked(sprox_catalog_t *cat,
    const sprox_ban_t *ban, uint64_t *id);

/*
 * Everything that the ban is about was deleted.  Regions that were crawled
 * before it, and lie below or above, are not complete from then on.
 * SPROX_OK; SPROX_NOT_FOUND: a later or wider ban took its place.
 */
sprox_rc_t sprox_catalog_unban_locked(sprox_catalog_t *cat, uint64_t id);

/* Whether what was proved then is banned: for what lies elsewhere. */
int sprox_catalog_banned_locked(sprox_catalog_t *cat, sprox_str_t name,
    sprox_str_t key, int64_t proved);

/* All bans, the one of `all` first; as list(), but in one step. */
typedef sprox_rc_t (*sprox_catalog_ban_pt)(void *data,
    const sprox_ban_t *ban);

sprox_rc_t sprox_catalog_bans_locked(sprox_catalog_t *cat,
    sprox_catalog_ban_pt visit, void *data);

/* 0: there is no ban; else a number that changes with them.  Needs no lock. */
uint64_t sprox_catalog_bans_seq(const sprox_catalog_t *cat);


void sprox_catalog_stats_locked(sprox_catalog_t *cat,
    sprox_catalog_stats_t *stats);

/*
 * Looks at everything in the catalog: order and balance of the maps, the
 * order of use, the accounts of the allocator.  NULL, or what is wrong.  For
 * tests: it takes time with the number of objects.
 */
const char *sprox_catalog_check_locked(sprox_catalog_t *cat);


#endif /* SPROX_CATALOG_H */
