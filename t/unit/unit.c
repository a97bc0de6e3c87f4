
#include "unit.h"


static void *
unit_alloc(void *ctx, size_t size)
{
    void        *p;
    unit_mem_t  *um = ctx;

    um->count++;

    if (um->fail_at && um->count >= um->fail_at) {
        return NULL;
    }

    p = malloc(size ? size : 1);
    if (p) {
        um->live++;
    }

    return p;
}


static void
unit_free(void *ctx, void *p)
{
    unit_mem_t  *um = ctx;

    if (p) {
        um->live--;
        free(p);
    }
}


void
unit_mem_init(unit_mem_t *um, long fail_at)
{
    um->mem.alloc = unit_alloc;
    um->mem.free = unit_free;
    um->mem.ctx = um;
    um->count = 0;
    um->fail_at = fail_at;
    um->live = 0;
}


long
unit_each_alloc_fails(sprox_rc_t (*work)(const sprox_mem_t *mem, void *data),
    void *data)
{
    long        n;
    sprox_rc_t  rc;
    unit_mem_t  um;

    for (n = 1; n < 100000; n++) {
        unit_mem_init(&um, n);

        rc = work(&um.mem, data);

        assert_int_equal(um.live, 0);

        if (um.count < n) {
            assert_int_equal(rc, SPROX_OK);
            return n - 1;
        }

        assert_int_equal(rc, SPROX_NOMEM);
    }

    fail_msg("the work never ends with success");

    return -1;
}


void
unit_assert_str(sprox_str_t s, const char *text, const char *file, int line)
{
    if (!sprox_str_eq(s, sprox_str_make(text, strlen(text)))) {
        print_error("%s:%d: got \"%.*s\", expected \"%s\"\n", file, line,
                    (int) s.len, (const char *) s.data, text);
        _fail(file, line);
    }
}
