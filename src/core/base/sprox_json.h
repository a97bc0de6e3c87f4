/*
 * JSON in, for documents that others write: a reader over jansson that says
 * in one line what is wrong and where, as a path:
 *
 *   byte 1742: invalid escape near '"a\x'
 *   Records[3].s3.object.key is missing
 *   Message.Records[0].eventTime is no time
 *
 *   sprox_json_t  root, object, key;
 *
 *   rc = sprox_json_load(&root, body, NULL, &why);
 *   rc = sprox_json_need(&root, "object", SPROX_JSON_OBJECT, &object);
 *   rc = sprox_json_need(&object, "key", SPROX_JSON_STRING, &key);
 *   ... sprox_json_str(&key) ...
 *   sprox_json_free(&root);
 *
 * UTF-8 only; a member that comes twice, a number beyond 64 bits and a
 * document beyond the limits are errors.  jansson takes its own memory.
 */

#ifndef SPROX_JSON_H
#define SPROX_JSON_H


#include "sprox_buf.h"


#define SPROX_JSON_DEPTH_MAX    32       /* objects and arrays in another */
#define SPROX_JSON_VALUES_MAX   65536    /* each takes 100 bytes or so */


typedef enum {
    SPROX_JSON_ANY = 0,
    SPROX_JSON_OBJECT,
    SPROX_JSON_ARRAY,
    SPROX_JSON_STRING
} sprox_json_kind_t;


/*
 * A place in a document.  It is the caller's, on the stack, and must live
 * as long as those that were got through it.
 */

typedef struct sprox_json_s  sprox_json_t;

struct sprox_json_s {
    void                *value;      /* jansson's; the root's to free */
    const sprox_json_t  *parent;
    const char          *name;       /* of a member; NULL: see index */
    size_t               index;      /* in an array */
    sprox_buf_t         *why;        /* where errors are told */
};


/*
 * Reads a whole document, an object or an array.  text is not kept.  parent:
 * NULL, or the place of the string that text came out of, for the path.
 *
 * SPROX_OK: the caller frees root.  SPROX_INVALID, SPROX_LIMIT: *why says
 * it, and nothing is to be freed.  SPROX_NOMEM.
 */
sprox_rc_t sprox_json_load(sprox_json_t *root, sprox_str_t text,
    const sprox_json_t *parent, sprox_buf_t *why);

/* The same of `max` values at most: what a stranger sends may be short. */
sprox_rc_t sprox_json_load_max(sprox_json_t *root, sprox_str_t text,
    const sprox_json_t *parent, size_t max, sprox_buf_t *why);

void sprox_json_free(sprox_json_t *root);

/*
 * A member of an object, which lives as long as the root; name is a literal.
 * A null counts as no member.  get(): SPROX_NOT_FOUND when there is none;
 * need(): SPROX_INVALID and *why then.  Of another kind: SPROX_INVALID and
 * *why.  SPROX_NOMEM: no memory for *why.
 */
sprox_rc_t sprox_json_get(const sprox_json_t *parent, const char *name,
    sprox_json_kind_t kind, sprox_json_t *child);
sprox_rc_t sprox_json_need(const sprox_json_t *parent, const char *name,
    sprox_json_kind_t kind, sprox_json_t *child);

/* An array's length, and its items, from 0; as need(). */
size_t sprox_json_count(const sprox_json_t *array);
sprox_rc_t sprox_json_item(const sprox_json_t *array, size_t i,
    sprox_json_kind_t kind, sprox_json_t *child);

sprox_json_kind_t sprox_json_kind(const sprox_json_t *json);

/* A string's bytes, in the document's memory; there may be NULs. */
sprox_str_t sprox_json_str(const sprox_json_t *string);

/*
 * A whole number from 0 to 2^63 - 1, written as one or, as stores that fear
 * for its precision do, as a string of digits.  SPROX_OK, or SPROX_INVALID
 * and *why, SPROX_NOMEM.
 */
sprox_rc_t sprox_json_u64(const sprox_json_t *json, uint64_t *n);

/*
 * Says in *why that this place `is` ("is no time", "is missing").
 * SPROX_INVALID, or SPROX_NOMEM.
 */
sprox_rc_t sprox_json_bad(const sprox_json_t *json, const char *is);


#endif /* SPROX_JSON_H */
