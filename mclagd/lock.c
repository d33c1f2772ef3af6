/* SPDX-License-Identifier: ISC */
/*
 * The lock is an abstract AF_UNIX name (unix(7)): it belongs to the network namespace as what it protects
 * does, and leaves nothing behind that could be stale. It is bound and never listened on, so nobody can talk
 * to it.
 */
#include "mclagd/lock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define NAME "mclagd"

int lock_take(int *lock, char *why, size_t size)
{
	const struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "\0" NAME};
	const socklen_t length = offsetof(struct sockaddr_un, sun_path) + sizeof(NAME);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && bind(fd, (const struct sockaddr *)&address, length) == 0) {
		*lock = fd;
		return 0;
	}
	int error = errno;
	if (fd >= 0)
		close(fd);
	if (error == EADDRINUSE)
		snprintf(why, size,
			 "another mclagd works in this network namespace: stop it first (systemctl stop "
			 "mclagd, or end the process that `ss -xap | grep @" NAME "` shows)");
	else
		snprintf(why, size, "@" NAME ": %s", strerror(error));
	return -error;
}

void lock_release(int lock)
{
	if (lock >= 0)
		close(lock);
}
