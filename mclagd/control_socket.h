/* SPDX-License-Identifier: ISC */
/*
 * control_socket.h - a UNIX socket at a path: made with mode 0660, in place of one that nobody answers on,
 * and removed as long as it is ours.
 */
#ifndef MCLAGD_CONTROL_SOCKET_H
#define MCLAGD_CONTROL_SOCKET_H

#include <stddef.h>
#include <sys/stat.h>
#include <sys/un.h>

struct control_socket {
	struct sockaddr_un address;
	struct stat made; /* what we have made there */
};

/* A bound, non-blocking stream descriptor, the caller's. Or -errno with the reason in why: -EADDRINUSE when
 * somebody answers there, -EEXIST when it is no socket. Not for a process of several threads: it sets the
 * umask. */
int control_socket_open(struct control_socket *s, const char *path, char *why, size_t size);
/* Removes it from the path, unless something else is there by now. */
void control_socket_remove(const struct control_socket *s);

#endif
