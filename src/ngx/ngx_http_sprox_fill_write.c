
/*
 * What fills write: bytes into slice files, by threads, since a disk may be
 * slower than the network, and a worker must not wait for it.  Two things are
 * written at once: small slices that came with their header, and, where pieces
 * are short, the first bytes of others, which came without having asked.
 *
 *   event loop                                     thread
 *
 *   body ---> gathered, in pieces of one slice
 *               | no task runs                     makes the file, writes
 *               +--------------------------------->+ them, in order
 *   body ---> gathered meanwhile; when that is     |
 *             enough, the fetch waits              |
 *               the slices are told <--------------+
 *               | what was gathered is the next task
 *
 * Readers do not wait for that: a piece is lent to them until it is written.
 * Then what a slow client has not taken of it comes from the file, so that
 * clients hold no memory.
 *
 * While a task runs, its pieces and the task are the thread's, and so are the
 * writers and the pools of their slices, which live on for pieces even when
 * the slices have failed; a fill is freed after its task has come back.
 *
 * A worker's pieces are bounded: beyond that, fetches stand in a line until
 * some are written.  Who is called from the line calls the next one, so that
 * all have their turn though not each finds bytes in its socket.  When no
 * fill is left, they go back to the system: in the heap, what is allocated
 * between them would keep them.
 */

#include "ngx_http_sprox_fill_private.h"
#include <sys/mman.h>


#define NGX_HTTP_SPROX_PIECE         (128 * 1024)

/*
 * One write.  Of a large one, a file system makes large folios, for which the
 * kernel takes memory that nobody used of late: in a virtual machine that
 * hands such back to its host, each page of it is then slow (13 us).
 */
#define NGX_HTTP_SPROX_WRITE         (16 * 1024)

/* Pieces of a worker: fewer than threads in nginx's pool. */
#define NGX_HTTP_SPROX_PIECES         24

/* What is read at once may take so many: it ends one, and spans slices. */
#define NGX_HTTP_SPROX_PIECES_READ   4

/* What is gathered while a task runs, before the fetch waits. */
#define NGX_HTTP_SPROX_GATHERED      (128 * 1024)

/* A write that takes longer does not keep a worker that is to exit, in ms. */
#define NGX_HTTP_SPROX_WRITE_TIMEOUT  60000


typedef struct {
    ngx_queue_t               queue;     /* in its fill, or of spare ones */
    ngx_queue_t               beside;    /* in its slice */
    ngx_queue_t               loans;
    ngx_http_sprox_slice_t   *slice;
    off_t                     offset;    /* in the slice */
    size_t                    size;
    ngx_uint_t                written;   /* the thread's */
    u_char                    data[NGX_HTTP_SPROX_PIECE];
} ngx_http_sprox_piece_t;


static ngx_http_sprox_piece_t *ngx_http_sprox_piece_create(
    ngx_http_sprox_fill_t *fill, ngx_http_sprox_slice_t *s, off_t offset);
static ngx_int_t ngx_http_sprox_piece_write(ngx_http_sprox_piece_t *piece,
    ngx_log_t *log);
static void ngx_http_sprox_piece_free(ngx_http_sprox_piece_t *piece);
static void ngx_http_sprox_piece_unmap(ngx_http_sprox_piece_t *piece);
static ngx_int_t ngx_http_sprox_fill_post(ngx_http_sprox_fill_t *fill);
static void ngx_http_sprox_fill_task(void *data, ngx_log_t *log);
static void ngx_http_sprox_fill_written(ngx_event_t *ev);
static ngx_int_t ngx_http_sprox_fill_account(ngx_http_sprox_fill_t *fill);
static void ngx_http_sprox_fill_next(void);


static ngx_uint_t   ngx_http_sprox_npieces;
static ngx_queue_t  ngx_http_sprox_spare_pieces;
static ngx_queue_t  ngx_http_sprox_fill_line;


void
ngx_http_sprox_fill_write_start(void)
{
    ngx_http_sprox_npieces = 0;
    ngx_queue_init(&ngx_http_sprox_spare_pieces);
    ngx_queue_init(&ngx_http_sprox_fill_line);
}


void
ngx_http_sprox_fill_write_init(ngx_http_sprox_fill_t *fill)
{
    ngx_http_sprox_fill_write_t  *w;

    w = &fill->write;

    ngx_queue_init(&w->gathered);
    ngx_queue_init(&w->writing);

    w->task.ctx = fill;
    w->task.handler = ngx_http_sprox_fill_task;
    w->task.event.handler = ngx_http_sprox_fill_written;
    w->task.event.data = fill;
    w->task.event.log = ngx_cycle->log;
}


ngx_int_t
ngx_http_sprox_fill_gather(ngx_http_sprox_fill_t *fill,
    ngx_http_sprox_slice_t *s, u_char *p, size_t n, off_t offset)
{
    size_t                        part;
    ngx_http_sprox_piece_t       *piece;
    ngx_http_sprox_fill_write_t  *w;

    w = &fill->write;
    piece = NULL;

    if (!ngx_queue_empty(&w->gathered)) {
        piece = ngx_queue_data(ngx_queue_last(&w->gathered),
                               ngx_http_sprox_piece_t, queue);
    }

    while (n) {

        if (piece == NULL || piece->slice != s
            || piece->size == NGX_HTTP_SPROX_PIECE)
        {
            piece = ngx_http_sprox_piece_create(fill, s, offset);

            if (piece == NULL) {
                return NGX_ERROR;
            }
        }

        part = ngx_min(n, NGX_HTTP_SPROX_PIECE - piece->size);

        ngx_memcpy(piece->data + piece->size, p, part);

        piece->size += part;
        s->came += part;
        w->size += part;

        p += part;
        n -= part;
        offset += part;
    }

    ngx_http_sprox_slice_came(s);

    return NGX_OK;
}


static ngx_http_sprox_piece_t *
ngx_http_sprox_piece_create(ngx_http_sprox_fill_t *fill,
    ngx_http_sprox_slice_t *s, off_t offset)
{
    ngx_queue_t             *q;
    ngx_http_sprox_piece_t  *piece;

    if (!ngx_queue_empty(&ngx_http_sprox_spare_pieces)) {
        q = ngx_queue_head(&ngx_http_sprox_spare_pieces);
        ngx_queue_remove(q);

        piece = ngx_queue_data(q, ngx_http_sprox_piece_t, queue);

    } else {
        piece = mmap(NULL, sizeof(ngx_http_sprox_piece_t),
                     PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0);

        if (piece == MAP_FAILED) {
            ngx_log_error(NGX_LOG_EMERG, ngx_cycle->log, ngx_errno,
                          "mmap(%uz) failed", sizeof(ngx_http_sprox_piece_t));
            return NULL;
        }
    }

    ngx_http_sprox_npieces++;

    piece->slice = s;
    piece->offset = offset;
    piece->size = 0;
    piece->written = 0;

    ngx_queue_init(&piece->loans);
    ngx_queue_insert_tail(&s->pieces, &piece->beside);
    ngx_queue_insert_tail(&fill->write.gathered, &piece->queue);

    return piece;
}


/* Off its queues, its loans called back.  The slice may go with it. */

static void
ngx_http_sprox_piece_free(ngx_http_sprox_piece_t *piece)
{
    ngx_queue_t            *q;
    ngx_http_sprox_loan_t  *loan;

    while (!ngx_queue_empty(&piece->loans)) {
        q = ngx_queue_head(&piece->loans);
        loan = ngx_queue_data(q, ngx_http_sprox_loan_t, queue);

        loan->recall(loan, piece->written);
        ngx_http_sprox_loan_return(loan);
    }

    ngx_queue_remove(&piece->queue);
    ngx_queue_remove(&piece->beside);
    ngx_http_sprox_slice_let(piece->slice);

    ngx_http_sprox_npieces--;

    if (ngx_http_sprox_fills()) {
        ngx_queue_insert_head(&ngx_http_sprox_spare_pieces, &piece->queue);

    } else {
        ngx_http_sprox_piece_unmap(piece);
    }

    ngx_http_sprox_fill_next();
}


static void
ngx_http_sprox_piece_unmap(ngx_http_sprox_piece_t *piece)
{
    if (munmap(piece, sizeof(ngx_http_sprox_piece_t)) == -1) {
        ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, ngx_errno,
                      "munmap(%p, %uz) failed", piece,
                      sizeof(ngx_http_sprox_piece_t));
    }
}


void
ngx_http_sprox_fill_trim(void)
{
    ngx_queue_t  *q;

    while (!ngx_queue_empty(&ngx_http_sprox_spare_pieces)) {
        q = ngx_queue_head(&ngx_http_sprox_spare_pieces);
        ngx_queue_remove(q);

        ngx_http_sprox_piece_unmap(ngx_queue_data(q, ngx_http_sprox_piece_t,
                                                  queue));
    }
}


size_t
ngx_http_sprox_slice_lend(ngx_http_sprox_slice_t *s, off_t offset,
    ngx_http_sprox_loan_t *loan)
{
    ngx_queue_t             *q;
    ngx_http_sprox_piece_t  *piece;

    if (!ngx_http_sprox_slice_lends(s)) {
        return 0;
    }

    for (q = ngx_queue_head(&s->pieces);
         q != ngx_queue_sentinel(&s->pieces);
         q = ngx_queue_next(q))
    {
        piece = ngx_queue_data(q, ngx_http_sprox_piece_t, beside);

        if (offset < piece->offset
            || offset >= piece->offset + (off_t) piece->size)
        {
            continue;
        }

        if (loan) {
            loan->p = piece->data + (offset - piece->offset);
            loan->offset = offset;
            ngx_queue_insert_tail(&piece->loans, &loan->queue);
        }

        return piece->size - (offset - piece->offset);
    }

    return 0;
}


void
ngx_http_sprox_loan_return(ngx_http_sprox_loan_t *loan)
{
    if (loan->p) {
        loan->p = NULL;
        ngx_queue_remove(&loan->queue);
    }
}


ngx_int_t
ngx_http_sprox_fill_flush(ngx_http_sprox_fill_t *fill, ngx_uint_t at_once)
{
    ngx_http_sprox_fill_write_t  *w;

    w = &fill->write;

    if (!w->running && w->size) {

        ngx_queue_add(&w->writing, &w->gathered);
        ngx_queue_init(&w->gathered);
        w->size = 0;

        if (at_once || ngx_http_sprox_fill_post(fill) != NGX_OK) {
            ngx_http_sprox_fill_task(fill, ngx_cycle->log);
            return ngx_http_sprox_fill_account(fill);
        }
    }

    if (w->size >= NGX_HTTP_SPROX_GATHERED) {
        w->full = 1;
        return NGX_AGAIN;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_sprox_fill_post(ngx_http_sprox_fill_t *fill)
{
    ngx_http_sprox_fill_write_t  *w;

    w = &fill->write;

    if (ngx_thread_task_post(fill->spec.origin->thread_pool, &w->task)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    w->running = 1;

    /* keeps a worker that is to exit until the task is back */

    ngx_add_timer(&w->task.event, NGX_HTTP_SPROX_WRITE_TIMEOUT);

    return NGX_OK;
}


static void
ngx_http_sprox_fill_task(void *data, ngx_log_t *log)
{
    ngx_http_sprox_fill_t *fill = data;

    ngx_queue_t             *q, *pieces;
    ngx_http_sprox_piece_t  *piece;

    pieces = &fill->write.writing;

    for (q = ngx_queue_head(pieces);
         q != ngx_queue_sentinel(pieces);
         q = ngx_queue_next(q))
    {
        piece = ngx_queue_data(q, ngx_http_sprox_piece_t, queue);

        if (ngx_http_sprox_piece_write(piece, log) != NGX_OK) {
            return;
        }

        piece->written = 1;
    }
}


static ngx_int_t
ngx_http_sprox_piece_write(ngx_http_sprox_piece_t *piece, ngx_log_t *log)
{
    size_t                          n, done;
    ngx_file_t                      file;
    ngx_http_sprox_cache_writer_t  *w;

    w = &piece->slice->writer;

    if (!ngx_http_sprox_cache_made(w)
        && ngx_http_sprox_cache_make(w, log) != NGX_OK)
    {
        return NGX_ERROR;
    }

    /* a copy: readers look at the other meanwhile */

    file = w->temp_file.file;
    file.log = log;

    for (done = 0; done < piece->size; done += n) {

        n = ngx_min(piece->size - done, NGX_HTTP_SPROX_WRITE);

        if (ngx_write_file(&file, piece->data + done, n,
                           w->base + piece->offset + done)
            != (ssize_t) n)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static void
ngx_http_sprox_fill_written(ngx_event_t *ev)
{
    ngx_http_sprox_fill_t *fill = ev->data;

    ngx_http_sprox_piece_t       *piece;
    ngx_http_sprox_fill_write_t  *w;

    w = &fill->write;

    if (ev->timedout) {
        ev->timedout = 0;

        piece = ngx_queue_data(ngx_queue_head(&w->writing),
                               ngx_http_sprox_piece_t, queue);

        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, NGX_ETIMEDOUT,
                      "sprox: writing to cache file \"%V\" hangs",
                      &piece->slice->writer.request.cache->file.name);
        return;
    }

    if (ev->timer_set) {
        ngx_del_timer(ev);
    }

    w->running = 0;

    if (ngx_http_sprox_fill_account(fill) == NGX_ERROR) {
        return;
    }

    if (ngx_http_sprox_fill_flush(fill, 0) == NGX_ERROR || w->running) {
        return;
    }

    if (fill->fetch == NULL) {
        ngx_http_sprox_fill_free(fill);
    }
}


/* After a task: the slices are told.  NGX_ERROR: the fill is gone. */

static ngx_int_t
ngx_http_sprox_fill_account(ngx_http_sprox_fill_t *fill)
{
    size_t                        n;
    ngx_uint_t                    failed;
    ngx_http_sprox_piece_t       *piece;
    ngx_http_sprox_slice_t       *s;
    ngx_http_sprox_fill_write_t  *w;

    w = &fill->write;
    failed = 0;

    while (!ngx_queue_empty(&w->writing)) {

        piece = ngx_queue_data(ngx_queue_head(&w->writing),
                               ngx_http_sprox_piece_t, queue);

        n = piece->size;
        s = piece->slice;

        if (!piece->written) {
            failed = 1;
        }

        /* given up meanwhile: perhaps it is here for this piece only */

        if (s->fill != fill) {
            s = NULL;
        }

        ngx_http_sprox_piece_free(piece);

        if (s && !failed) {
            ngx_http_sprox_fill_wrote(fill, s, n);
        }
    }

    if (failed) {
        ngx_http_sprox_fill_fail(fill, NGX_HTTP_SPROX_SLICE_UNKEPT,
                                 SPROX_ERR_INTERNAL_ERROR);
        ngx_http_sprox_fill_end(fill, NGX_HTTP_SPROX_SLICE_UNKEPT,
                                SPROX_ERR_INTERNAL_ERROR);
        return NGX_ERROR;
    }

    if (w->full) {
        w->full = 0;
        ngx_http_sprox_fetch_resume(fill->fetch);
    }

    return NGX_OK;
}


void
ngx_http_sprox_fill_forget(ngx_http_sprox_fill_t *fill,
    ngx_http_sprox_slice_t *s)
{
    ngx_queue_t                  *q, *prev;
    ngx_http_sprox_piece_t       *piece;
    ngx_http_sprox_fill_write_t  *w;

    w = &fill->write;

    for (q = ngx_queue_last(&w->gathered);
         q != ngx_queue_sentinel(&w->gathered);
         q = prev)
    {
        prev = ngx_queue_prev(q);
        piece = ngx_queue_data(q, ngx_http_sprox_piece_t, queue);

        if (piece->slice == s) {
            w->size -= piece->size;
            ngx_http_sprox_piece_free(piece);
        }
    }
}


ngx_uint_t
ngx_http_sprox_fill_crowded(void)
{
    return ngx_http_sprox_npieces + NGX_HTTP_SPROX_PIECES_READ
           > NGX_HTTP_SPROX_PIECES;
}


ngx_int_t
ngx_http_sprox_fill_room(ngx_http_sprox_fill_t *fill)
{
    ngx_http_sprox_fill_write_t  *w;

    w = &fill->write;

    if ((w->called || ngx_queue_empty(&ngx_http_sprox_fill_line))
        && !ngx_http_sprox_fill_crowded())
    {
        ngx_http_sprox_fill_leave(fill);
        return NGX_OK;
    }

    w->called = 0;
    w->waiting = 1;
    ngx_queue_insert_tail(&ngx_http_sprox_fill_line, &w->line);

    return NGX_AGAIN;
}


/* The first in the line is called when there is room. */

static void
ngx_http_sprox_fill_next(void)
{
    ngx_queue_t            *q;
    ngx_http_sprox_fill_t  *fill;

    if (ngx_queue_empty(&ngx_http_sprox_fill_line)
        || ngx_http_sprox_fill_crowded())
    {
        return;
    }

    q = ngx_queue_head(&ngx_http_sprox_fill_line);
    ngx_queue_remove(q);

    fill = ngx_queue_data(q, ngx_http_sprox_fill_t, write.line);

    fill->write.waiting = 0;
    fill->write.called = 1;

    ngx_http_sprox_fetch_resume(fill->fetch);
}


void
ngx_http_sprox_fill_leave(ngx_http_sprox_fill_t *fill)
{
    ngx_http_sprox_fill_write_t  *w;

    w = &fill->write;

    if (w->waiting) {
        w->waiting = 0;
        ngx_queue_remove(&w->line);
    }

    if (w->called) {
        w->called = 0;
        ngx_http_sprox_fill_next();
    }
}
