/*
 * The query of a request: names and values, decoded once.
 */

#ifndef SPROX_QUERY_H
#define SPROX_QUERY_H


#include "sprox_buf.h"


#define SPROX_QUERY_MAX        8192   /* raw bytes */
#define SPROX_QUERY_ARGS_MAX   64


typedef struct {
    sprox_str_t  name;
    sprox_str_t  value;             /* empty for "?name" and "?name=" */
} sprox_query_arg_t;


typedef struct {
    sprox_query_arg_t  *args;       /* in the order sent */
    size_t              nargs;
} sprox_query_t;


/*
 * raw: without the '?'.  Empty parts ("a=1&&b=2") are passed over.  From
 * mem: one block for all, which starts at query->args (NULL when there are
 * no arguments); the caller may free it.  SPROX_OK, SPROX_NOMEM,
 * SPROX_INVALID (bad escape), SPROX_LIMIT (one of the limits above); other
 * than SPROX_OK, the query is empty.
 */
sprox_rc_t sprox_query_parse(const sprox_mem_t *mem, sprox_str_t raw,
    sprox_query_t *query);

/* The first argument of that name (exact case), or NULL. */
const sprox_query_arg_t *sprox_query_get(const sprox_query_t *query,
    sprox_str_t name);


#endif /* SPROX_QUERY_H */
