
/*
 * The table of temporary files: a fixed number of places, without a lock.
 *
 *   free:    pid 0
 *     | compare and set: pid; then md5
 *   unnamed: pid, md5, number 0     there may be a file
 *     | number
 *   named:   pid, md5, number       there is
 *     | number 0, then pid 0
 *   free
 *
 * A place belongs to the process whose pid stands in it.  Who finds that
 * process dead makes the place its own first, so that only one deletes the
 * file.  What an unnamed place stands for is looked for in the folder of its
 * entry: temporary files of that entry that no living process has noted.
 * Since a file is noted before it is made, who sees it sees the note.
 */

#include "ngx_http_sprox_temp.h"
#include "ngx_http_sprox_cache.h"


#define NGX_HTTP_SPROX_TEMPS       4096

/* The digits that nginx puts behind the name of a temporary file. */
#define NGX_HTTP_SPROX_TEMP_DIGITS  10


struct ngx_http_sprox_temp_s {
    ngx_atomic_t             pid;
    ngx_atomic_t             number;
    u_char                   md5[NGX_HTTP_CACHE_KEY_LEN];
};


static ngx_int_t ngx_http_sprox_temp_zone(ngx_shm_zone_t *shm_zone,
    void *data);
static void ngx_http_sprox_temp_sweep(ngx_cycle_t *cycle,
    ngx_http_sprox_main_conf_t *mcf);
static ngx_uint_t ngx_http_sprox_temp_find(ngx_cycle_t *cycle,
    ngx_http_file_cache_t *cache, ngx_http_sprox_temp_t *temp);
static ngx_uint_t ngx_http_sprox_temp_noted(ngx_http_sprox_temp_t *temp,
    ngx_atomic_uint_t number);
static ngx_uint_t ngx_http_sprox_temp_delete(ngx_cycle_t *cycle,
    ngx_http_file_cache_t *cache, ngx_http_sprox_temp_t *temp,
    ngx_atomic_uint_t number);


/* Of this worker; NULL: nothing is noted. */
static ngx_http_sprox_temp_t  *ngx_http_sprox_temps;

/* Where the next place is looked for. */
static ngx_uint_t              ngx_http_sprox_temp_next;


ngx_int_t
ngx_http_sprox_temp_init(ngx_conf_t *cf, ngx_shm_zone_t **zone)
{
    size_t  size;

    static ngx_str_t  name = ngx_string("sprox_temps");

    /* the slab's own pages take less than an eighth */

    size = ngx_align(NGX_HTTP_SPROX_TEMPS * sizeof(ngx_http_sprox_temp_t)
                     / 8 * 9 + 8 * ngx_pagesize, ngx_pagesize);

    *zone = ngx_shared_memory_add(cf, &name, size, &ngx_http_sprox_module);
    if (*zone == NULL) {
        return NGX_ERROR;
    }

    (*zone)->init = ngx_http_sprox_temp_zone;

    return NGX_OK;
}


static ngx_int_t
ngx_http_sprox_temp_zone(ngx_shm_zone_t *shm_zone, void *data)
{
    ngx_slab_pool_t  *shpool;

    shpool = (ngx_slab_pool_t *) shm_zone->shm.addr;

    if (data) {
        shm_zone->data = data;
        return NGX_OK;
    }

    if (shm_zone->shm.exists) {
        shm_zone->data = shpool->data;
        return NGX_OK;
    }

    shpool->data = ngx_slab_calloc(shpool, NGX_HTTP_SPROX_TEMPS
                                           * sizeof(ngx_http_sprox_temp_t));
    if (shpool->data == NULL) {
        return NGX_ERROR;
    }

    shm_zone->data = shpool->data;

    return NGX_OK;
}


void
ngx_http_sprox_temp_start(ngx_cycle_t *cycle, ngx_http_sprox_main_conf_t *mcf)
{
    ngx_http_sprox_temps = NULL;
    ngx_http_sprox_temp_next = 0;

    if (mcf->temp_zone == NULL || ngx_process != NGX_PROCESS_WORKER) {
        return;
    }

    ngx_http_sprox_temps = mcf->temp_zone->data;
    ngx_http_sprox_temp_sweep(cycle, mcf);
}


static void
ngx_http_sprox_temp_sweep(ngx_cycle_t *cycle, ngx_http_sprox_main_conf_t *mcf)
{
    ngx_uint_t               i, k, n;
    ngx_atomic_uint_t        pid;
    ngx_http_sprox_temp_t   *temp;
    ngx_http_sprox_place_t  *place;
    ngx_http_file_cache_t   *cache;

    n = 0;
    place = mcf->places.elts;

    for (i = 0; i < NGX_HTTP_SPROX_TEMPS; i++) {
        temp = &ngx_http_sprox_temps[i];
        pid = temp->pid;

        /* an older process may have had the pid that is now this one's */

        if (pid == 0
            || (pid != (ngx_atomic_uint_t) ngx_pid
                && (kill((ngx_pid_t) pid, 0) != -1 || ngx_errno != ESRCH))
            || !ngx_atomic_cmp_set(&temp->pid, pid, ngx_pid))
        {
            continue;
        }

        /* which cache it was for is not noted: they are few */

        for (k = 0; k < mcf->places.nelts; k++) {
            cache = ngx_http_sprox_cache_zone(place[k].zone);

            if (temp->number) {
                n += ngx_http_sprox_temp_delete(cycle, cache, temp,
                                                temp->number);
            } else {
                n += ngx_http_sprox_temp_find(cycle, cache, temp);
            }
        }

        ngx_http_sprox_temp_remove(temp);
    }

    if (n) {
        ngx_log_error(NGX_LOG_NOTICE, cycle->log, 0,
                      "sprox: %ui temporary files of processes that died "
                      "were deleted", n);
    }
}


static ngx_uint_t
ngx_http_sprox_temp_find(ngx_cycle_t *cycle, ngx_http_file_cache_t *cache,
    ngx_http_sprox_temp_t *temp)
{
    u_char      *p;
    size_t       len;
    ngx_dir_t    dir;
    ngx_int_t    number;
    ngx_str_t    folder;
    ngx_uint_t   n;
    u_char       name[NGX_MAX_PATH];

    p = ngx_http_sprox_cache_name(cache, temp->md5, name, NGX_MAX_PATH);
    if (p == NULL) {
        return 0;
    }

    len = 2 * NGX_HTTP_CACHE_KEY_LEN;
    p -= len;

    folder.data = name;
    folder.len = p - 1 - name;
    name[folder.len] = '\0';

    if (ngx_open_dir(&folder, &dir) == NGX_ERROR) {
        return 0;
    }

    n = 0;

    while (ngx_read_dir(&dir) != NGX_ERROR) {

        if (ngx_de_namelen(&dir) != len + 1 + NGX_HTTP_SPROX_TEMP_DIGITS
            || ngx_memcmp(ngx_de_name(&dir), p, len) != 0)
        {
            continue;
        }

        number = ngx_atoi(ngx_de_name(&dir) + len + 1,
                          NGX_HTTP_SPROX_TEMP_DIGITS);

        if (number != NGX_ERROR && !ngx_http_sprox_temp_noted(temp, number)) {
            n += ngx_http_sprox_temp_delete(cycle, cache, temp, number);
        }
    }

    (void) ngx_close_dir(&dir);

    return n;
}


/* Another place has that file, or may have it. */

static ngx_uint_t
ngx_http_sprox_temp_noted(ngx_http_sprox_temp_t *temp,
    ngx_atomic_uint_t number)
{
    ngx_uint_t              i;
    ngx_http_sprox_temp_t  *other;

    for (i = 0; i < NGX_HTTP_SPROX_TEMPS; i++) {
        other = &ngx_http_sprox_temps[i];

        if (other != temp && other->pid
            && (other->number == 0 || other->number == number)
            && ngx_memcmp(other->md5, temp->md5, NGX_HTTP_CACHE_KEY_LEN) == 0)
        {
            return 1;
        }
    }

    return 0;
}


static ngx_uint_t
ngx_http_sprox_temp_delete(ngx_cycle_t *cycle, ngx_http_file_cache_t *cache,
    ngx_http_sprox_temp_t *temp, ngx_atomic_uint_t number)
{
    u_char  *p;
    u_char   name[NGX_MAX_PATH];

    p = ngx_http_sprox_cache_name(cache, temp->md5, name, NGX_MAX_PATH
                                  - NGX_HTTP_SPROX_TEMP_DIGITS - 2);
    if (p == NULL) {
        return 0;
    }

    (void) ngx_sprintf(p, ".%010uD%Z", (uint32_t) number);

    if (ngx_delete_file(name) != NGX_FILE_ERROR) {
        return 1;
    }

    if (ngx_errno != NGX_ENOENT && ngx_errno != NGX_ENOPATH) {
        ngx_log_error(NGX_LOG_CRIT, cycle->log, ngx_errno,
                      ngx_delete_file_n " \"%s\" failed", name);
    }

    return 0;
}


ngx_http_sprox_temp_t *
ngx_http_sprox_temp_add(u_char md5[NGX_HTTP_CACHE_KEY_LEN])
{
    ngx_uint_t              i;
    ngx_http_sprox_temp_t  *temp;

    if (ngx_http_sprox_temps == NULL) {
        return NULL;
    }

    for (i = 0; i < NGX_HTTP_SPROX_TEMPS; i++) {
        temp = &ngx_http_sprox_temps[ngx_http_sprox_temp_next++
                                     % NGX_HTTP_SPROX_TEMPS];

        if (temp->pid == 0 && ngx_atomic_cmp_set(&temp->pid, 0, ngx_pid)) {
            ngx_memcpy(temp->md5, md5, NGX_HTTP_CACHE_KEY_LEN);
            ngx_memory_barrier();

            return temp;
        }
    }

    return NULL;
}


void
ngx_http_sprox_temp_named(ngx_http_sprox_temp_t *temp, ngx_str_t *name)
{
    ngx_int_t  number;

    if (temp && name->len > NGX_HTTP_SPROX_TEMP_DIGITS) {
        number = ngx_atoi(name->data + name->len - NGX_HTTP_SPROX_TEMP_DIGITS,
                          NGX_HTTP_SPROX_TEMP_DIGITS);

        if (number != NGX_ERROR) {
            temp->number = number;
        }
    }
}


void
ngx_http_sprox_temp_remove(ngx_http_sprox_temp_t *temp)
{
    if (temp) {
        temp->number = 0;
        ngx_memory_barrier();
        temp->pid = 0;
    }
}
