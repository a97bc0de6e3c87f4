/*
 * The clock by which proofs, bans and crawls are ordered.  The system's may
 * be set back (NTP, a machine that was restored): what was proved before
 * would then lie in the future, look fresh for as long, and drive out what
 * is newer.  And a clock that stood still until the system's has caught up
 * would keep things fresh, too.  So it is
 *
 *   now = monotonic clock + ahead
 *
 * where ahead is the greatest difference to the system's clock that any
 * process has seen.  It is one number in shared memory, which is read by all
 * and written only when the system's clock has jumped forward: after a
 * machine has slept, too, things are as old as they are.  Where the two agree
 * it is the system's to the millisecond: the monotonic one is coarse, and
 * stores date their events by the other.
 *
 * So a clock that was wrong for a while may leave this one ahead of it.  What
 * is signed, or meant for others, goes by ngx_time().
 */

#include "ngx_http_sprox_clock.h"


/*
 * What clocks that agree may differ by, in ms: a tick of the coarse one, and
 * what comes between two looks.  Ticks come late where the machine is one of
 * several on a host: less than some ticks would be taken for a jump there,
 * and this clock would be ahead from then on.
 */
#define NGX_HTTP_SPROX_CLOCK_JUMP  50


static int64_t ngx_http_sprox_clock_at(int64_t wall, int64_t msec);


/* Of this process; its own, until there is a shared one. */
static ngx_http_sprox_clock_t   ngx_http_sprox_clock_own;
static ngx_http_sprox_clock_t  *ngx_http_sprox_clock =
                                                  &ngx_http_sprox_clock_own;


void
ngx_http_sprox_clock_init(ngx_http_sprox_clock_t *clock,
    const ngx_http_sprox_clock_t *before)
{
    *clock = ngx_http_sprox_wall() - (int64_t) ngx_current_msec;

    if (before && *before > *clock) {
        *clock = *before;
    }
}


void
ngx_http_sprox_clock_use(ngx_http_sprox_clock_t *clock)
{
    ngx_http_sprox_clock = clock ? clock : &ngx_http_sprox_clock_own;
}


int64_t
ngx_http_sprox_wall(void)
{
    ngx_time_t  *tp;

    tp = ngx_timeofday();

    return (int64_t) tp->sec * 1000 + (int64_t) tp->msec;
}


int64_t
ngx_http_sprox_now(void)
{
    return ngx_http_sprox_clock_at(ngx_http_sprox_wall(),
                                   (int64_t) ngx_current_msec);
}


int64_t
ngx_http_sprox_now_exact(void)
{
    struct timespec  wall, ts;

    /* in this order: what comes between the two must not count as a jump */

    (void) clock_gettime(CLOCK_REALTIME, &wall);
    (void) clock_gettime(CLOCK_MONOTONIC, &ts);

    return ngx_http_sprox_clock_at((int64_t) wall.tv_sec * 1000
                                   + wall.tv_nsec / 1000000,
                                   (int64_t) ts.tv_sec * 1000
                                   + ts.tv_nsec / 1000000);
}


static int64_t
ngx_http_sprox_clock_at(int64_t wall, int64_t msec)
{
    int64_t  ahead;

    for ( ;; ) {
        ahead = *ngx_http_sprox_clock;

        if (ahead == 0 || wall - msec - ahead >= NGX_HTTP_SPROX_CLOCK_JUMP) {

            if (!__sync_bool_compare_and_swap(ngx_http_sprox_clock, ahead,
                                              wall - msec))
            {
                continue;
            }

            return wall;
        }

        return wall - msec - ahead > -NGX_HTTP_SPROX_CLOCK_JUMP
               ? wall : msec + ahead;
    }
}
