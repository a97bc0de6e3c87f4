/*
 * What the unit tests share: memory that can be told to fail, and a loop
 * that fails each allocation of a piece of work in turn.
 */

#ifndef SPROX_UNIT_H
#define SPROX_UNIT_H


#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <stdio.h>
#include <cmocka.h>

#include "sprox_base.h"
#include "sprox_buf.h"


#define S(text)  sprox_str_lit(text)


typedef struct {
    sprox_mem_t  mem;       /* hand out &um.mem */
    long         count;     /* allocations so far */
    long         fail_at;   /* this one (1-based) fails, and all after; 0: none */
    long         live;      /* blocks not freed yet */
} unit_mem_t;


void unit_mem_init(unit_mem_t *um, long fail_at);

/*
 * Calls work(mem, data) with the first, second, ... allocation failing
 * until it ends with SPROX_OK; each earlier end must be SPROX_NOMEM, and
 * each must free all that it took.  Returns how many were failed.
 */
long unit_each_alloc_fails(sprox_rc_t (*work)(const sprox_mem_t *mem,
    void *data), void *data);

/* Compares bytes and prints both when they differ. */
#define assert_str(s, text)  unit_assert_str((s), (text), __FILE__, __LINE__)
void unit_assert_str(sprox_str_t s, const char *text, const char *file,
    int line);


#endif /* SPROX_UNIT_H */
