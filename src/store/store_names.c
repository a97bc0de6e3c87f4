
/*
 * The smallest of very many names, in little memory: a heap whose greatest
 * name is at the top, so that one comparison passes over most names once it
 * is full; then a sorted array.
 */

#include "sprox_store_walk.h"


static int sprox_store_names_cmp(const sprox_store_name_t *a,
    const sprox_store_name_t *b);
static sprox_rc_t sprox_store_names_grow(sprox_store_names_t *batch,
    const sprox_mem_t *mem);
static void sprox_store_names_down(sprox_store_name_t **heap, size_t n,
    size_t i);
static void sprox_store_names_up(sprox_store_name_t **heap, size_t i);


sprox_rc_t
sprox_store_names_keep(sprox_store_names_t *batch, const sprox_mem_t *mem,
    sprox_str_t name)
{
    sprox_store_name_t  *copy;

    if (batch->n == batch->max) {
        batch->more = 1;

        if (sprox_str_cmp(name, sprox_store_name(batch->names[0])) >= 0) {
            return SPROX_OK;
        }

    } else if (batch->n == batch->cap
               && sprox_store_names_grow(batch, mem) != SPROX_OK)
    {
        return SPROX_NOMEM;
    }

    copy = sprox_alloc(mem, sizeof(sprox_store_name_t) + name.len);
    if (copy == NULL) {
        return SPROX_NOMEM;
    }

    copy->len = name.len;
    memcpy(copy->text, name.data, name.len);

    if (batch->n == batch->max) {
        sprox_free(mem, batch->names[0]);
        batch->names[0] = copy;
        sprox_store_names_down(batch->names, batch->n, 0);
        return SPROX_OK;
    }

    batch->names[batch->n] = copy;
    sprox_store_names_up(batch->names, batch->n++);

    return SPROX_OK;
}


static sprox_rc_t
sprox_store_names_grow(sprox_store_names_t *batch, const sprox_mem_t *mem)
{
    size_t                cap;
    sprox_store_name_t  **names;

    cap = batch->cap ? batch->cap * 2 : SPROX_STORE_NAMES_MIN;

    names = sprox_alloc(mem, cap * sizeof(sprox_store_name_t *));
    if (names == NULL) {
        return SPROX_NOMEM;
    }

    if (batch->n) {
        memcpy(names, batch->names, batch->n * sizeof(sprox_store_name_t *));
    }

    sprox_free(mem, batch->names);

    batch->names = names;
    batch->cap = cap;

    return SPROX_OK;
}


void
sprox_store_names_free(sprox_store_names_t *batch, const sprox_mem_t *mem)
{
    size_t  i;

    for (i = 0; i < batch->n; i++) {
        sprox_free(mem, batch->names[i]);
    }

    sprox_free(mem, batch->names);

    memset(batch, 0, sizeof(sprox_store_names_t));
}


static int
sprox_store_names_cmp(const sprox_store_name_t *a,
    const sprox_store_name_t *b)
{
    return sprox_str_cmp(sprox_store_name(a), sprox_store_name(b));
}


static void
sprox_store_names_down(sprox_store_name_t **heap, size_t n, size_t i)
{
    size_t               child;
    sprox_store_name_t  *name;

    name = heap[i];

    for ( ;; ) {
        child = 2 * i + 1;

        if (child >= n) {
            break;
        }

        if (child + 1 < n
            && sprox_store_names_cmp(heap[child], heap[child + 1]) < 0)
        {
            child++;
        }

        if (sprox_store_names_cmp(heap[child], name) <= 0) {
            break;
        }

        heap[i] = heap[child];
        i = child;
    }

    heap[i] = name;
}


static void
sprox_store_names_up(sprox_store_name_t **heap, size_t i)
{
    size_t               up;
    sprox_store_name_t  *name;

    name = heap[i];

    while (i) {
        up = (i - 1) / 2;

        if (sprox_store_names_cmp(heap[up], name) >= 0) {
            break;
        }

        heap[i] = heap[up];
        i = up;
    }

    heap[i] = name;
}


void
sprox_store_names_sort(sprox_store_names_t *batch)
{
    size_t                n;
    sprox_store_name_t   *greatest, **heap;

    n = batch->n;
    heap = batch->names;

    while (n > 1) {
        n--;

        greatest = heap[0];
        heap[0] = heap[n];
        heap[n] = greatest;

        sprox_store_names_down(heap, n, 0);
    }
}
