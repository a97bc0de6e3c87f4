/*
 * Aliases by what their targets begin with: see sprox_reach.h.
 */

#include "sprox_reach.h"

#include <stdlib.h>


/* The literal that a template begins with; returns whether it is all of it. */

static int
head_of(const sprox_template_t *t, sprox_buf_t *head)
{
    unsigned  i;

    for (i = 0; i < t->n; i++) {
        if (t->tokens[i].var >= 0) {
            return 0;
        }

        sprox_buf_str(head, t->tokens[i].text);
    }

    return 1;
}


sprox_rc_t
sprox_reach_set(const sprox_mem_t *mem, sprox_reach_t *entry,
    const sprox_alias_t *alias, void *data)
{
    sprox_buf_t  head;

    sprox_buf_init(&head, mem);

    if (head_of(&alias->to_bucket, &head)) {
        sprox_buf_char(&head, '\0');
        (void) head_of(&alias->to_prefix, &head);
    }

    entry->head = sprox_buf_get(&head);
    entry->alias = alias;
    entry->data = data;

    return sprox_buf_rc(&head);
}


static int
by_head(const void *one, const void *two)
{
    const sprox_reach_t  *a = one, *b = two;

    return sprox_str_cmp(a->head, b->head);
}


void
sprox_reach_sort(sprox_reach_t *entries, size_t n)
{
    if (n) {
        qsort(entries, n, sizeof(sprox_reach_t), by_head);
    }
}


void
sprox_reach_walk(sprox_reach_walk_t *walk, const sprox_reach_t *entries,
    size_t n, sprox_str_t bucket, sprox_str_t key)
{
    walk->entries = entries;
    walk->n = n;
    walk->bucket = bucket;
    walk->key = key;
    walk->at = 0;
    walk->head = 0;
    walk->next = 0;

    if (bucket.len > SPROX_REACH_BUCKET_MAX || key.len > SPROX_REACH_KEY_MAX) {
        return;
    }

    if (bucket.len) {
        memcpy(walk->text, bucket.data, bucket.len);
    }

    walk->text[bucket.len] = '\0';

    if (key.len) {
        memcpy(walk->text + bucket.len + 1, key.data, key.len);
    }

    walk->next = bucket.len + 1 + key.len + 1;
}


/* How many heads are not greater. */

static size_t
not_greater(const sprox_reach_walk_t *walk, sprox_str_t text)
{
    size_t  low, high, middle;

    low = 0;
    high = walk->n;

    while (low < high) {
        middle = low + (high - low) / 2;

        if (sprox_str_cmp(walk->entries[middle].head, text) <= 0) {
            low = middle + 1;

        } else {
            high = middle;
        }
    }

    return low;
}


/*
 * The longest head that is a beginning of the text and shorter than
 * walk->next.  The greatest that is not greater than the text is one, or what
 * it has in common with the text is as long as any that is.
 */

static int
next_head(sprox_reach_walk_t *walk)
{
    size_t       same;
    sprox_str_t  text, head;

    while (walk->next) {
        text = sprox_str_make(walk->text, walk->next - 1);
        walk->at = not_greater(walk, text);

        if (walk->at == 0) {
            break;
        }

        head = walk->entries[walk->at - 1].head;
        same = sprox_str_common(head, text);

        if (same == head.len) {
            walk->head = same;
            walk->next = same;
            return 1;
        }

        walk->next = same + 1;
    }

    walk->next = 0;
    walk->at = 0;

    return 0;
}


const sprox_reach_t *
sprox_reach_next_head(sprox_reach_walk_t *walk)
{
    if (walk->at == 0
        || !sprox_str_eq(walk->entries[walk->at - 1].head,
                         sprox_str_make(walk->text, walk->head)))
    {
        if (!next_head(walk)) {
            return NULL;
        }
    }

    return &walk->entries[--walk->at];
}


const sprox_reach_t *
sprox_reach_next(sprox_reach_walk_t *walk)
{
    const sprox_reach_t  *entry;

    do {
        entry = sprox_reach_next_head(walk);

    } while (entry
             && !sprox_alias_reaches(entry->alias, walk->bucket, walk->key));

    return entry;
}
