/*
 * The plan of a response; the picture is in the header.
 *
 *   no run -- seen(missing) --> open run -- seen(missing) --> longer run
 *     ^  ^                        |  |                           |
 *     |  +-- seen(present) --+    |  +--- full, or at the end ---+
 *     |                      |    | seen(present): closed        |
 *     +---- next(): FILL ----+----+------------------------------+
 */

#include "sprox_plan.h"


static uint64_t sprox_plan_part(const sprox_plan_t *plan);
static uint64_t sprox_plan_window(const sprox_plan_t *plan);
static int sprox_plan_wanted(const sprox_plan_t *plan,
    sprox_plan_spare_e spare);


void
sprox_plan_init(sprox_plan_t *plan, uint64_t slice, uint64_t fill,
    uint64_t read_ahead, uint64_t start, uint64_t end, int bounded)
{
    memset(plan, 0, sizeof(sprox_plan_t));

    plan->slice = slice;
    plan->fill = fill;
    plan->read_ahead = read_ahead;
    plan->start = start;
    plan->end = end;
    plan->pos = start;
    plan->ahead = sprox_slice_index(start, slice);
    plan->bounded = (bounded != 0);
    plan->part = sprox_plan_part(plan);
}


static uint64_t
sprox_plan_part(const sprox_plan_t *plan)
{
    uint64_t  length, n, least, part;

    length = plan->end - plan->start;

    if (!plan->bounded || length <= SPROX_PLAN_PART
        || length > plan->read_ahead)
    {
        return plan->fill;
    }

    n = sprox_slice_index(plan->end - 1, plan->slice) - plan->ahead + 1;

    part = (n + SPROX_PLAN_SPLIT - 1) / SPROX_PLAN_SPLIT;
    least = (SPROX_PLAN_PART + plan->slice - 1) / plan->slice;
    part = (part > least ? part : least) * plan->slice;

    return part < plan->fill ? part : plan->fill;
}


static uint64_t
sprox_plan_window(const sprox_plan_t *plan)
{
    uint64_t  taken;

    taken = plan->pos - plan->start;

    if (plan->bounded || taken > plan->read_ahead / SPROX_PLAN_TRUST) {
        return plan->read_ahead;
    }

    return taken * SPROX_PLAN_TRUST;
}


/* The slice at `ahead` is to be looked at now. */

static int
sprox_plan_wanted(const sprox_plan_t *plan, sprox_plan_spare_e spare)
{
    uint64_t  start, most;

    start = sprox_slice_start(plan->ahead, plan->slice);

    if (start >= plan->end) {
        return 0;
    }

    if (plan->run != plan->run_end) {
        most = (spare == SPROX_PLAN_PARTS) ? plan->part : plan->fill;

        return !plan->closed
               && (plan->run_end - plan->run + 1) * plan->slice <= most;
    }

    if (start <= plan->pos || start < plan->coming) {
        return plan->pos < plan->end;
    }

    return spare != SPROX_PLAN_NONE
           && start - plan->pos < sprox_plan_window(plan);
}


sprox_plan_action_t
sprox_plan_next(sprox_plan_t *plan, sprox_plan_spare_e spare)
{
    sprox_plan_action_t  action;

    memset(&action, 0, sizeof(action));

    if (sprox_plan_wanted(plan, spare)) {
        action.kind = SPROX_PLAN_LOOK;
        action.first = plan->ahead;
        action.last = plan->ahead;

        return action;
    }

    if (plan->run != plan->run_end) {
        action.kind = SPROX_PLAN_FILL;
        action.first = plan->run;
        action.last = plan->run_end - 1;

        plan->run = plan->run_end;
        plan->closed = 0;
    }

    return action;
}


void
sprox_plan_coming(sprox_plan_t *plan, uint64_t end)
{
    plan->coming = end;
}


void
sprox_plan_seen(sprox_plan_t *plan, int missing)
{
    if (!missing) {
        plan->closed = (plan->run != plan->run_end);

    } else if (plan->run == plan->run_end) {
        plan->run = plan->ahead;
        plan->run_end = plan->ahead + 1;

    } else {
        plan->run_end++;
    }

    plan->ahead++;
}


void
sprox_plan_sent(sprox_plan_t *plan, uint64_t pos)
{
    if (pos > plan->pos) {
        plan->pos = (pos < plan->end) ? pos : plan->end;
    }
}


void
sprox_plan_lost(sprox_plan_t *plan, uint64_t index)
{
    if (index >= plan->ahead) {
        return;
    }

    plan->ahead = index;

    /* an open run behind it will be found missing again */

    plan->run = 0;
    plan->run_end = 0;
    plan->closed = 0;
}


int
sprox_plan_finish(uint64_t there, uint64_t length)
{
    return there > length / 2;
}
