/*
 * The order of the catalog: objects are looked up by key and listed in byte
 * order, so that a hash will not do.  An AVL tree: of the balanced trees it
 * is the lowest, and a look-up in a million keys that do not fit in the
 * processor's cache costs what its height is.  There are no parent links
 * (four bytes for each object): changes go by the path of a look-up.
 *
 *              [ m ]
 *             /     \
 *         [ c ]     [ t ]         link[0]: smaller keys, link[1]: greater
 *             \
 *             [ f ]               balance of c: 1, of m: -1, of the others: 0
 */

#include "sprox_map.h"


static sprox_node_t *
node_at(void *base, uint32_t ref)
{
    return sprox_unit(base, ref);
}


static int
sign(unsigned side)
{
    return side ? 1 : -1;
}


/* Where the ref of the node below path level n stands. */

static uint32_t *
link_to(void *base, uint32_t *root, const sprox_map_path_t *path, unsigned n)
{
    return n ? &node_at(base, path->ref[n - 1])->link[path->side[n - 1]]
             : root;
}


static void
push(sprox_map_path_t *path, uint32_t ref, unsigned side)
{
    path->ref[path->n] = ref;
    path->side[path->n] = (uint8_t) side;
    path->n++;
}


uint32_t
sprox_map_find(void *base, uint32_t root, sprox_str_t key,
    sprox_map_path_t *path)
{
    int            rc;
    uint32_t       ref;
    sprox_node_t  *node;

    path->n = 0;

    for (ref = root; ref && path->n < SPROX_MAP_DEPTH; /* void */ ) {
        node = node_at(base, ref);

        rc = sprox_str_cmp(key, sprox_node_key(node));
        if (rc == 0) {
            return ref;
        }

        push(path, ref, rc > 0);
        ref = node->link[rc > 0];
    }

    return 0;
}


/*
 * Mends a node whose heavy side is two higher, by one turn or two; returns
 * what stands in its place.  With s the heavy side and o the other:
 *
 *       n                 c             n                   g
 *      / \               / \           / \                /   \
 *     o   c     ->      n   s         o   c      ->      n     c
 *        / \           / \               / \            / \   / \
 *       o   s         o   o             g   s          o   o s   s
 */

static uint32_t
turn(void *base, uint32_t ref)
{
    int            heavy;
    unsigned       s, o;
    uint32_t       cref, gref;
    sprox_node_t  *n, *c, *g;

    n = node_at(base, ref);
    s = n->balance > 0;
    o = !s;
    heavy = sign(s);

    cref = n->link[s];
    c = node_at(base, cref);

    if (c->balance != -heavy) {
        n->link[s] = c->link[o];
        c->link[o] = ref;

        n->balance = (int8_t) (c->balance ? 0 : heavy);
        c->balance = (int8_t) (c->balance ? 0 : -heavy);

        return cref;
    }

    gref = c->link[o];
    g = node_at(base, gref);

    c->link[o] = g->link[s];
    g->link[s] = cref;
    n->link[s] = g->link[o];
    g->link[o] = ref;

    n->balance = (int8_t) (g->balance == heavy ? -heavy : 0);
    c->balance = (int8_t) (g->balance == -heavy ? heavy : 0);
    g->balance = 0;

    return gref;
}


void
sprox_map_insert(void *base, uint32_t *root, uint32_t ref,
    sprox_map_path_t *path)
{
    unsigned       i;
    sprox_node_t  *node;

    node = node_at(base, ref);
    node->link[0] = 0;
    node->link[1] = 0;
    node->balance = 0;

    *link_to(base, root, path, path->n) = ref;

    for (i = path->n; i-- > 0; /* void */ ) {
        node = node_at(base, path->ref[i]);
        node->balance = (int8_t) (node->balance + sign(path->side[i]));

        if (node->balance == 0) {
            return;
        }

        if (node->balance == 2 || node->balance == -2) {
            *link_to(base, root, path, i) = turn(base, path->ref[i]);
            return;
        }
    }
}


/*
 * A node with two children changes places with the one after it, which has
 * no smaller child; path then leads to where that one stood.
 */

static void
take_successor(void *base, uint32_t *root, uint32_t ref,
    sprox_map_path_t *path)
{
    uint32_t       next, child;
    unsigned       at;
    sprox_node_t  *node, *succ;

    node = node_at(base, ref);
    at = path->n;

    push(path, ref, 1);
    next = node->link[1];

    while ((child = node_at(base, next)->link[0]) != 0) {
        push(path, next, 0);
        next = child;
    }

    succ = node_at(base, next);

    /* when it is the child of ref, this changes ref's link, read below */
    *link_to(base, root, path, path->n) = succ->link[1];

    succ->link[0] = node->link[0];
    succ->link[1] = node->link[1];
    succ->balance = node->balance;

    *link_to(base, root, path, at) = next;
    path->ref[at] = next;
}


void
sprox_map_remove(void *base, uint32_t *root, uint32_t ref,
    sprox_map_path_t *path)
{
    uint32_t       top;
    unsigned       i;
    sprox_node_t  *node;

    node = node_at(base, ref);

    if (node->link[0] && node->link[1]) {
        take_successor(base, root, ref, path);

    } else {
        *link_to(base, root, path, path->n) = node->link[node->link[0] == 0];
    }

    for (i = path->n; i-- > 0; /* void */ ) {
        node = node_at(base, path->ref[i]);
        node->balance = (int8_t) (node->balance - sign(path->side[i]));

        if (node->balance == 1 || node->balance == -1) {
            return;
        }

        if (node->balance == 0) {
            continue;
        }

        top = turn(base, path->ref[i]);
        *link_to(base, root, path, i) = top;

        if (node_at(base, top)->balance) {
            return;
        }
    }
}


void
sprox_map_replace(void *base, uint32_t *root, uint32_t old, uint32_t ref,
    const sprox_map_path_t *path)
{
    sprox_node_t  *from, *to;

    from = node_at(base, old);
    to = node_at(base, ref);

    to->link[0] = from->link[0];
    to->link[1] = from->link[1];
    to->balance = from->balance;

    *link_to(base, root, path, path->n) = ref;
}


uint32_t
sprox_map_before(const sprox_map_path_t *path)
{
    unsigned  i;

    for (i = path->n; i-- > 0; /* void */ ) {
        if (path->side[i]) {
            return path->ref[i];
        }
    }

    return 0;
}


/* The top of the path is where a smaller side was taken last: the answer. */

static uint32_t
unwind(sprox_map_path_t *path)
{
    while (path->n && path->side[path->n - 1]) {
        path->n--;
    }

    return path->n ? path->ref[path->n - 1] : 0;
}


uint32_t
sprox_map_seek(void *base, uint32_t root, sprox_str_t key,
    sprox_map_seek_t to, sprox_map_path_t *path)
{
    int           rc;
    unsigned      side;
    uint32_t      ref;
    sprox_str_t   at;

    path->n = 0;

    for (ref = root; ref && path->n < SPROX_MAP_DEPTH; /* void */ ) {
        at = sprox_node_key(node_at(base, ref));

        rc = sprox_str_cmp(key, at);
        side = rc > 0 || (rc == 0 && to != SPROX_MAP_FROM)
               || (to == SPROX_MAP_PAST && sprox_str_starts(at, key));

        push(path, ref, side);
        ref = node_at(base, ref)->link[side];
    }

    return unwind(path);
}


uint32_t
sprox_map_next(void *base, sprox_map_path_t *path)
{
    uint32_t  ref;

    /* the present one is the top; all of its smaller side has been */

    path->side[path->n - 1] = 1;
    ref = node_at(base, path->ref[path->n - 1])->link[1];

    while (ref && path->n < SPROX_MAP_DEPTH) {
        push(path, ref, 0);
        ref = node_at(base, ref)->link[0];
    }

    return unwind(path);
}


/*
 * Walks the tree with the heights of what is done: a node is left for good
 * when both of its sides are known.
 */

const char *
sprox_map_check(void *base, uint32_t root, uint64_t *n)
{
    int               height[SPROX_MAP_DEPTH][2], h;
    uint32_t          ref;
    sprox_str_t       last;
    sprox_node_t     *node;
    sprox_map_path_t  path;

    *n = 0;
    h = 0;
    ref = root;
    path.n = 0;
    last = sprox_str_null;

    for ( ;; ) {
        if (ref) {
            if (path.n == SPROX_MAP_DEPTH) {
                return "map: too deep";
            }

            push(&path, ref, 0);
            ref = node_at(base, ref)->link[0];
            continue;
        }

        for (h = 0; path.n; path.n--) {
            node = node_at(base, path.ref[path.n - 1]);
            height[path.n - 1][path.side[path.n - 1]] = h;

            if (path.side[path.n - 1] == 0) {
                break;
            }

            if (height[path.n - 1][1] - height[path.n - 1][0]
                != node->balance || node->balance > 1 || node->balance < -1)
            {
                return "map: a node's balance is wrong";
            }

            h = 1 + (height[path.n - 1][node->balance > 0]);
        }

        if (path.n == 0) {
            return NULL;
        }

        node = node_at(base, path.ref[path.n - 1]);

        if (*n && sprox_str_cmp(last, sprox_node_key(node)) >= 0) {
            return "map: the order is wrong";
        }

        last = sprox_node_key(node);
        (*n)++;

        path.side[path.n - 1] = 1;
        ref = node->link[1];
    }
}
