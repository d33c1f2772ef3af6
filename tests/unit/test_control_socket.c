/* SPDX-License-Identifier: ISC */
/*
 * test_control_socket.c - the path of the control socket: what may be there already, and who removes what.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mclagd/control_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

static char directory[64], path[96], why[256];

static int make_directory(void **state)
{
	(void)state;
	snprintf(directory, sizeof(directory), "/tmp/mclagd-socket-XXXXXX");
	snprintf(why, sizeof(why), "untouched");
	if (mkdtemp(directory) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/s", directory);
	return 0;
}

/* Fails when a test has left anything behind. */
static int remove_directory(void **state)
{
	(void)state;
	return rmdir(directory);
}

static void assert_refused(const char *where, int error, const char *text)
{
	struct control_socket s;
	char expected[256];

	assert_int_equal(control_socket_open(&s, where, why, sizeof(why)), error);
	snprintf(expected, sizeof(expected), "%s: %s", where, text);
	assert_string_equal(why, expected);
}

static void made_and_removed(void **state)
{
	struct control_socket s;
	struct stat there;
	mode_t mask = umask(0);
	int fd = control_socket_open(&s, path, why, sizeof(why));

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(umask(mask), 0); /* put back */
	assert_int_equal(lstat(path, &there), 0);
	assert_true(S_ISSOCK(there.st_mode));
	assert_int_equal(there.st_mode & 07777, 0660);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	control_socket_remove(&s);
	assert_int_equal(lstat(path, &there), -1);
	control_socket_remove(&s); /* nothing there: nothing happens */
	close(fd);
}

/* A daemon that was killed has left its socket. */
static void stale(void **state)
{
	struct control_socket old, new;
	int fd = control_socket_open(&old, path, why, sizeof(why));

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	fd = control_socket_open(&new, path, why, sizeof(why));
	assert_true(fd >= 0);
	control_socket_remove(&new);
	close(fd);
}

static void in_use(void **state)
{
	struct control_socket s;
	struct stat there;
	int fd = control_socket_open(&s, path, why, sizeof(why));

	(void)state;
	assert_int_equal(listen(fd, 1), 0);
	assert_refused(path, -EADDRINUSE, "another mclagd answers there");
	assert_int_equal(lstat(path, &there), 0);
	assert_int_equal(there.st_ino, s.made.st_ino); /* it is left alone */
	/* Also when its queue is full. */
	int clients[8];

	for (int i = 0; i < 8; i++) {
		clients[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
		if (connect(clients[i], (const struct sockaddr *)&s.address, sizeof(s.address)) < 0)
			assert_int_equal(errno, EAGAIN);
	}
	assert_refused(path, -EADDRINUSE, "another mclagd answers there");
	for (int i = 0; i < 8; i++)
		close(clients[i]);
	control_socket_remove(&s);
	close(fd);
}

/* What another daemon has put there since is not ours to remove. */
static void replaced(void **state)
{
	struct control_socket mine, theirs;
	struct stat there;
	int fd = control_socket_open(&mine, path, why, sizeof(why));
	char aside[112];

	(void)state;
	snprintf(aside, sizeof(aside), "%s.aside", path); /* keeps the inode in use */
	assert_int_equal(rename(path, aside), 0);
	int other = control_socket_open(&theirs, path, why, sizeof(why));

	assert_true(fd >= 0 && other >= 0);
	control_socket_remove(&mine);
	assert_int_equal(lstat(path, &there), 0);
	control_socket_remove(&theirs);
	assert_int_equal(unlink(aside), 0);
	close(fd);
	close(other);
}

static void no_socket(void **state)
{
	char link[112], text[8] = "";
	int fd = open(path, O_CREAT | O_WRONLY, 0600);

	(void)state;
	assert_int_equal(write(fd, "keep", 4), 4);
	close(fd);
	assert_refused(path, -EEXIST, "is there already and is no socket");
	fd = open(path, O_RDONLY);
	assert_int_equal(read(fd, text, sizeof(text)), 4);
	assert_string_equal(text, "keep");
	close(fd);
	snprintf(link, sizeof(link), "%s.link", path);
	assert_int_equal(symlink(path, link), 0);
	assert_refused(link, -EEXIST, "is there already and is no socket");
	unlink(link);
	unlink(path);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_refused(path, -EEXIST, "is there already and is no socket");
	rmdir(path);
}

static void nowhere(void **state)
{
	char where[160];

	(void)state;
	snprintf(where, sizeof(where), "%s/missing/s", directory);
	assert_refused(where, -ENOENT, "No such file or directory");
	memset(where, 'x', sizeof(where) - 1);
	where[sizeof(where) - 1] = '\0';
	assert_refused(where, -ENAMETOOLONG, "File name too long");
}

int main(void)
{
#define IN_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, make_directory, remove_directory)
	const struct CMUnitTest tests[] = {
	    IN_DIRECTORY(made_and_removed), IN_DIRECTORY(stale),     IN_DIRECTORY(in_use),
	    IN_DIRECTORY(replaced),         IN_DIRECTORY(no_socket), IN_DIRECTORY(nowhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
