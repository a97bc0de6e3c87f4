/*
 * Credentials at run time: performs what the core's provider state machines
 * (sprox_cred.h) ask for, keeps the result per origin and worker, and reads
 * the files again when they change (times, size or inode, looked at no more
 * often than every second, in the thread pool after the first time).
 *
 * Variables of the environment are those of the process that read the
 * configuration: nginx clears the workers' environment.  Without HOME the
 * home directory comes from the user database.
 */

#ifndef _NGX_HTTP_SPROX_CRED_H_INCLUDED_
#define _NGX_HTTP_SPROX_CRED_H_INCLUDED_


#include "ngx_http_sprox.h"


/*
 * At configuration time, for each origin used: checks that credentials can
 * be had, reads them (as the master, which may read files that workers may
 * not), and sets origin->cred.  NGX_OK, or NGX_ERROR with one [emerg] line
 * that names the origin and what to do.  An anonymous origin needs nothing.
 * "chain" that finds nothing is an error: it would sign nothing.
 *
 * "shared" and "chain" need the main configuration's thread_pool at run
 * time; without one the files are never read again.
 */
ngx_int_t ngx_http_sprox_cred_init(ngx_conf_t *cf,
    ngx_http_sprox_origin_t *origin);

/*
 * The region that came with the credentials (AWS_REGION, the profile);
 * empty: none.  After cred_init(), at configuration time.
 */
ngx_str_t ngx_http_sprox_cred_region(ngx_http_sprox_origin_t *origin);

/*
 * The credential to sign with now; never NULL; valid until the next return
 * to the event loop.  May start a look at the files behind the scenes, whose
 * result serves the next caller.  A file that cannot be read any more, or
 * holds nothing, leaves the old credential in place, with one log line.
 */
const sprox_credential_t *ngx_http_sprox_cred_get(
    ngx_http_sprox_origin_t *origin, ngx_log_t *log);

/*
 * The origin refused the credential (ExpiredToken, InvalidAccessKeyId):
 * look at the sources again now.
 */
void ngx_http_sprox_cred_refused(ngx_http_sprox_origin_t *origin);


#endif /* _NGX_HTTP_SPROX_CRED_H_INCLUDED_ */
