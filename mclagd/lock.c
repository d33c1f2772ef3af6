/* SPDX-License-Identifier: ISC */
/*
 * The lock is flock(2) on a file named after the network namespace, since what it protects is the namespace's. The file is
 * in a directory that only root may write, so nobody else can hold it; the lock itself ends with its process,
 * and a file that is left behind means nothing.
 */
#include "mclagd/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define DIRECTORY "/run/mclagd"
#define NAMESPACE "/proc/self/ns/net"

int lock_take(int *lock, char *why, size_t size)
{
	char path[sizeof(DIRECTORY) + 32];
	struct stat netns;
	int error;
	if (stat(NAMESPACE, &netns)) {
		error = errno;
		snprintf(why, size, NAMESPACE ": %s", strerror(error));
		return -error;
	}
	snprintf(path, sizeof(path), DIRECTORY "/lock-%" PRIuMAX, (uintmax_t)netns.st_ino);
	(void)mkdir(DIRECTORY, 0750); /* or it is there; else open() says what is wrong */
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0) {
		*lock = fd;
		return 0;
	}
	error = errno;
	if (fd >= 0)
		close(fd);
	if (error == EWOULDBLOCK) {
		snprintf(why, size,
			 "another mclagd works in this network namespace: stop it first (systemctl stop "
			 "mclagd, or end the process that `fuser %s` shows)",
			 path);
		return -EADDRINUSE;
	}
	snprintf(why, size, "%s: %s", path, strerror(error));
	return -error;
}

void lock_release(int lock)
{
	if (lock >= 0)
		close(lock);
}
