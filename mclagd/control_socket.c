/* SPDX-License-Identifier: ISC */
/*
 * control_socket.c - a daemon that was killed leaves its socket behind: connecting tells whether anybody is
 * there.
 */
#include "mclagd/control_socket.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int refuse(int error, const char *path, const char *what, char *why, size_t size)
{
	snprintf(why, size, "%s: %s", path, what != NULL ? what : strerror(error));
	return -error;
}

static int stream_socket(void)
{
	return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

/* 0 when nothing is at the path now. */
static int remove_stale(const struct sockaddr_un *address, char *why, size_t size)
{
	const char *path = address->sun_path;
	struct stat there;

	if (lstat(path, &there) < 0)
		return errno == ENOENT ? 0 : refuse(errno, path, NULL, why, size);
	if (!S_ISSOCK(there.st_mode))
		return refuse(EEXIST, path, "is there already and is no socket", why, size);
	int fd = stream_socket();

	if (fd < 0)
		return refuse(errno, path, NULL, why, size);
	int error = connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 ? errno : 0;

	close(fd);
	if (error != ECONNREFUSED)
		return refuse(EADDRINUSE, path, "another mclagd answers there", why, size);
	if (unlink(path) < 0 && errno != ENOENT)
		return refuse(errno, path, NULL, why, size);
	return 0;
}

int control_socket_open(struct control_socket *s, const char *path, char *why, size_t size)
{
	struct control_socket new = {.address = {.sun_family = AF_UNIX}};

	if (strlen(path) >= sizeof(new.address.sun_path))
		return refuse(ENAMETOOLONG, path, NULL, why, size);
	memcpy(new.address.sun_path, path, strlen(path) + 1);
	int error = remove_stale(&new.address, why, size);

	if (error < 0)
		return error;
	int fd = stream_socket();

	if (fd < 0)
		return refuse(errno, path, NULL, why, size);
	mode_t mask = umask(0117); /* leaves 0660, from the first moment on */

	if (bind(fd, (const struct sockaddr *)&new.address, sizeof(new.address)) < 0 ||
	    lstat(path, &new.made) < 0)
		error = errno;
	umask(mask);
	if (error != 0) {
		close(fd);
		return refuse(error, path, NULL, why, size);
	}
	*s = new;
	return fd;
}

void control_socket_remove(const struct control_socket *s)
{
	struct stat there;

	if (lstat(s->address.sun_path, &there) == 0 && there.st_ino == s->made.st_ino &&
	    there.st_dev == s->made.st_dev)
		unlink(s->address.sun_path);
}
