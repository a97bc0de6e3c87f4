/*
 * Templates: literals and variables in turn, over names.  What is here
 * knows nothing of buckets, origins or listings; sprox_alias.h does.
 *
 * What a variable matches: one byte or more, none of them '/', up to the
 * first place where the literal behind it stands (the shortest match).  A
 * literal counts whole, with its '/' and what follows them.  Nothing is
 * tried twice, and nothing needs to be: a longer value never matches where
 * the shortest one fails.  Only in a whole match (of a bucket) is the last
 * literal looked for at the very end.
 */

#ifndef SPROX_TEMPLATE_H
#define SPROX_TEMPLATE_H


#include "sprox_buf.h"


#define SPROX_ALIAS_VARS_MAX     16
#define SPROX_ALIAS_TOKENS_MAX   40
#define SPROX_ALIAS_TEXT_MAX     1024


typedef struct {
    sprox_str_t  text;              /* literal bytes; empty for a variable */
    int          var;               /* index of the variable, -1: literal */
} sprox_alias_token_t;


typedef struct {
    sprox_alias_token_t  tokens[SPROX_ALIAS_TOKENS_MAX];
    unsigned             n;
} sprox_template_t;


/*
 * What is known of the variables.  A variable that is set when a match or a
 * walk begins is a constant there.  The texts point into what was matched.
 */

typedef struct {
    sprox_str_t  value[SPROX_ALIAS_VARS_MAX];
    unsigned     set;               /* bit mask */
} sprox_template_values_t;


/*
 * Where a text leaves a template.  `token` is the first token that it does
 * not fill, `at` where that token begins in the text; variables before it
 * are set.
 */

typedef enum {
    SPROX_WALK_BEYOND,      /* all tokens are filled, at: the rest */
    SPROX_WALK_LITERAL,     /* the text ends before or within a literal */
    SPROX_WALK_VARIABLE,    /* it ends before or within a variable, or in
                               the literal behind it, before any '/' */
    SPROX_WALK_LESS,        /* it differs from a literal: a lesser byte */
    SPROX_WALK_GREATER,     /* likewise: a greater byte */
    SPROX_WALK_MISFIT       /* its '/' ends what can be no value */
} sprox_walk_state_t;


typedef struct {
    sprox_walk_state_t  state;
    unsigned            token;
    size_t              at;
} sprox_walk_t;


/*
 * 1: s matches; with whole, up to its end, else *end is where the rest
 * begins.  0: no match, values->value and ->set are then without meaning.
 */
int sprox_template_match(const sprox_template_t *t, sprox_str_t s, int whole,
    sprox_template_values_t *values, size_t *end);

/* How far s goes along t; any bytes are allowed. */
void sprox_template_walk(const sprox_template_t *t, sprox_str_t s,
    sprox_template_values_t *values, sprox_walk_t *walk);

/* Appends the first n tokens; their variables must be set. */
void sprox_template_expand(const sprox_template_t *t, unsigned n,
    const sprox_template_values_t *values, sprox_buf_t *out);

/* Number of tokens before the first variable that is not in the mask. */
unsigned sprox_template_known(const sprox_template_t *t, unsigned set);

/* Index of the first token that is this variable; t->n: none is. */
unsigned sprox_template_find(const sprox_template_t *t, int var);

/* Length of a literal up to and with its first '/'; 0: it has none. */
size_t sprox_template_cut(sprox_str_t literal);

/* Mask of the variables in t. */
unsigned sprox_template_vars(const sprox_template_t *t);

/* Whether the variables of the mask have the same values in both. */
int sprox_template_same(const sprox_template_values_t *a,
    const sprox_template_values_t *b, unsigned mask);

/*
 * Whether some text matches both: to its end, or with `open` with any rest
 * behind either.
 */
int sprox_template_overlap(const sprox_template_t *a,
    const sprox_template_t *b, int open);


#endif /* SPROX_TEMPLATE_H */
