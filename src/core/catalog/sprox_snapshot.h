/*
 * The catalog in a file: written in steps while others use the catalog, read
 * in chunks of any size.  How the file looks is drawn in snapshot.c.
 *
 * A snapshot is fuzzy: each object in it is as it was at some moment between
 * the first step and the last.  A walk goes on by name and key, so changes
 * in between do not matter.
 *
 * Nothing that a file says is trusted, and nothing of a bad file is believed:
 * it is read twice, first to its end to see whether it is whole, then to put
 * what it holds.
 */

#ifndef SPROX_SNAPSHOT_H
#define SPROX_SNAPSHOT_H


#include "sprox_buf.h"
#include "sprox_catalog.h"


#define SPROX_SNAPSHOT_FORMAT     1

#define SPROX_SNAPSHOT_ID         16
#define SPROX_SNAPSHOT_HEAD       64           /* bytes that a file begins
                                                  with */
#define SPROX_SNAPSHOT_BLOCK_MAX  (48 * 1024)  /* bytes of one block */


/*
 * What became of the catalog after the file was written.  It stands in the
 * head apart from all sums, so that it can be changed in place.
 */

typedef enum {
    SPROX_SNAPSHOT_OPEN = 0,    /* nothing but what proofs and lifetimes
                                   bound */
    SPROX_SNAPSHOT_TOLD,        /* somebody told of changes that the file does
                                   not have: each proof in it is in doubt */
    SPROX_SNAPSHOT_SHUT         /* nothing: it was the end */
} sprox_snapshot_state_t;


typedef struct {
    uint8_t                 id[SPROX_SNAPSHOT_ID];     /* random */
    uint8_t                 boot[SPROX_SNAPSHOT_ID];   /* of the system that
                                                          was running */
    int64_t                 time;                      /* ms: was begun */
    sprox_snapshot_state_t  state;
} sprox_snapshot_head_t;


typedef struct {
    uint64_t                bans;
    uint64_t                spaces;
    uint64_t                regions;    /* that were complete */
    uint64_t                objects;    /* all records, absent ones too */
} sprox_snapshot_counts_t;


void sprox_snapshot_head_write(uint8_t out[SPROX_SNAPSHOT_HEAD],
    const sprox_snapshot_head_t *head);

/* SPROX_OK, SPROX_INVALID (with *error, if not NULL: static text). */
sprox_rc_t sprox_snapshot_head_read(const uint8_t in[SPROX_SNAPSHOT_HEAD],
    sprox_snapshot_head_t *head, const char **error);

/* The bytes of a state and where they stand in a file. */
#define SPROX_SNAPSHOT_STATE_AT   12
#define SPROX_SNAPSHOT_STATE      4
const char *sprox_snapshot_state(sprox_snapshot_state_t state);


/* Writing.  The caller writes the head; what follows comes from here. */

typedef struct {
    sprox_snapshot_counts_t  counts;    /* so far */
    uint64_t                 epoch;
    unsigned                 stage;
    unsigned                 begun:1;   /* key, or what stands there, was
                                           written */
    unsigned                 spaced:1;  /* and name */
    size_t                   name_len;
    size_t                   key_len;
    uint8_t                  name[SPROX_CATALOG_NAME_MAX];
    uint8_t                  key[SPROX_KEY_MAX];   /* or a prefix */
} sprox_snapshot_writer_t;


void sprox_snapshot_begin_locked(sprox_snapshot_writer_t *w,
    sprox_catalog_t *cat);

/*
 * Appends one block of at most n (1 at least) objects, or none.  out has room
 * for SPROX_SNAPSHOT_BLOCK_MAX bytes, or gets it (under the lock).
 * SPROX_AGAIN: there is more; SPROX_DONE: that was the end; SPROX_NOMEM:
 * nothing was appended; SPROX_NOT_FOUND: the catalog was emptied since it was
 * begun, so what was written is worth nothing.
 */
sprox_rc_t sprox_snapshot_write_locked(sprox_snapshot_writer_t *w,
    sprox_catalog_t *cat, size_t n, sprox_buf_t *out);


/* Reading. */

typedef struct {
    sprox_snapshot_head_t    head;
    sprox_snapshot_counts_t  counts;    /* of the blocks so far */
    uint64_t                 imported;  /* objects that were new, or newer */

    /* after SPROX_INVALID */
    const char              *error;     /* static text */
    uint64_t                 offset;    /* of the block that is bad */

    const sprox_mem_t       *mem;
    uint8_t                 *block;
    size_t                   have;      /* bytes of it */
    size_t                   at;        /* where import() goes on */
    unsigned                 stage;
    unsigned                 type;      /* of the block */
    unsigned                 ready:1;   /* it is whole */
    unsigned                 fresh:1;   /* no object of the space was read */
    size_t                   name_len;
    size_t                   key_len;
    uint8_t                  name[SPROX_CATALOG_NAME_MAX];
    uint8_t                  key[SPROX_KEY_MAX];   /* or a prefix */

    sprox_buf_t              regions;   /* of the space, that were opened */
    unsigned                 sweeping:1;
    sprox_catalog_cursor_t   cursor;
} sprox_snapshot_reader_t;


/* Takes SPROX_SNAPSHOT_BLOCK_MAX bytes from mem.  SPROX_OK, SPROX_NOMEM. */
sprox_rc_t sprox_snapshot_reader_init(sprox_snapshot_reader_t *r,
    const sprox_mem_t *mem);
void sprox_snapshot_reader_free(sprox_snapshot_reader_t *r);

/*
 * Reads on, up to the end of a block; *in becomes what follows.  An empty
 * *in says that the file ends here.
 *
 * SPROX_OK: there is a block, checked in all that it says (import() may be
 * called, or read() again); SPROX_AGAIN: give more; SPROX_DONE: the file is
 * whole and ends; SPROX_INVALID: it is not, see error and offset.
 */
sprox_rc_t sprox_snapshot_read(sprox_snapshot_reader_t *r, sprox_str_t *in);

/* How a snapshot is put: all of it alike. */

typedef struct {
    int64_t                   since;    /* ms; 0: believe all proofs */
    int64_t                   now;
    unsigned                  doubted:1;    /* what the file lacks, it does
                                               not tell */
    sprox_catalog_wanted_pt   wanted;   /* NULL: every region is; one that
                                           is wanted is opened, and what is
                                           below it held */
    void                     *data;
} sprox_snapshot_import_t;

/*
 * Puts at most n objects of the block.  What is known by a later proof stays.
 * Doubted, as by sprox_catalog_doubt_locked(), are objects whose proof lies
 * before since, or after now.  What does not fit is passed over, and so is
 * what a region that was crawled later does not know.
 *
 * A region that was complete is so again, unless the file is doubted: when
 * its objects are there, what it knows to have vanished is swept.
 *
 * SPROX_AGAIN: there is more; SPROX_OK: that was the block.
 */
sprox_rc_t sprox_snapshot_import_locked(sprox_snapshot_reader_t *r,
    sprox_catalog_t *cat, size_t n, const sprox_snapshot_import_t *how);


#endif /* SPROX_SNAPSHOT_H */
