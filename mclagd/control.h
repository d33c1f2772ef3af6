/* SPDX-License-Identifier: ISC */
/*
 * control.h - the UNIX socket on which mclagctl asks. proto/control.proto is its protocol. Read-only: nothing
 * that comes in here changes the daemon.
 *
 * Who may open the socket may ask; its mode is 0660. Limits, for whatever a client does: CONTROL_CLIENTS at
 * once, CONTROL_REQUEST_LIMIT bytes per request, about CONTROL_OUTPUT_HIGH and one answer of output per
 * client, and CONTROL_SNAPSHOT_MAX entries of the MAC table for all of them together. A client that does not
 * read for CONTROL_WRITE_S or, with nothing asked, does not write for CONTROL_IDLE_S, is dropped.
 *
 * The process must ignore SIGPIPE.
 */
#ifndef MCLAGD_CONTROL_H
#define MCLAGD_CONTROL_H

#include <stddef.h>

#define CONTROL_CLIENTS        32
#define CONTROL_REQUEST_LIMIT  1024 /* as control.proto says */
#define CONTROL_RESPONSE_LIMIT (1024 * 1024)
#define CONTROL_OUTPUT_HIGH    (64 * 1024) /* bytes not sent yet past which no further answer is made */
#define CONTROL_OUTPUT_LOW     (16 * 1024) /* and at which the next one is */
#define CONTROL_BATCH          256         /* entries or events in one Response */
#define CONTROL_SNAPSHOT_MAX   (1 << 20)   /* about 40 MB */
#define CONTROL_WRITE_S        10
#define CONTROL_IDLE_S         60

struct event_base;
struct daemon;
struct control;

/*
 * Listens on `path`, whose directory must exist. A socket that nobody answers on is replaced. Everything that
 * is asked is answered from the read-only accessors of daemon.h, until control_close(). 0, or -errno with the
 * reason in why: -EADDRINUSE when another daemon answers there, -EEXIST when the path is no socket.
 */
int control_open(struct control **control, struct event_base *base, struct daemon *daemon, const char *path,
		 char *why, size_t size);
/* Drops all clients and removes the socket, unless it is another's by now. Takes NULL. Not from a callback.
 */
void control_close(struct control *control);

#endif
