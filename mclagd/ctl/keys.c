/* SPDX-License-Identifier: ISC */
/*
 * ctl/keys.c - the files of both leaves, made on one machine and copied apart. Each leaf's peer.pin names the
 * other leaf's key; the keepalive secret is one and the same.
 */
#include "ctl/keys.h"

#include "peerlink/pki.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CERTIFICATE_DAYS 3650 /* a pinned certificate is accepted whatever the date */
#define LEAVES           2

static const char *const LEAF[LEAVES] = {"leaf1", "leaf2"};
static const char *const FILES[] = {"cert.pem", "key.pem", "peer.pin", "keepalive.secret"};

static int refuse(int error, const char *file, char *why, size_t size)
{
	snprintf(why, size, "%s: %s", file,
		 error == EEXIST ? "is there already, not overwritten" : strerror(error));
	return -error;
}

/* "DIR/leaf1/cert.pem", or "DIR/leaf1" without a file. keys_init() has checked that it fits. */
static const char *place(char text[static PATH_MAX], const char *directory, int leaf, const char *file)
{
	int n = snprintf(text, PATH_MAX, "%s/%s%s%s", directory, LEAF[leaf], file != NULL ? "/" : "",
			 file != NULL ? file : "");

	return n < PATH_MAX ? text : "";
}

static int write_file(const char *file, mode_t mode, const char *bytes, size_t count, char *why, size_t size)
{
	int fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);

	if (fd < 0)
		return refuse(errno, file, why, size);
	ssize_t n = write(fd, bytes, count);
	int error = n == (ssize_t)count ? 0 : n < 0 ? errno : ENOSPC;

	if (close(fd) < 0 && error == 0)
		error = errno;
	return error == 0 ? 0 : refuse(error, file, why, size);
}

/* The secret is made once, for leaf 1, and copied byte by byte. */
static int copy_secret(const char *directory, char *why, size_t size)
{
	char from[PATH_MAX], to[PATH_MAX], line[2 * SECRET_SIZE + 2];
	int fd = open(place(from, directory, 0, "keepalive.secret"), O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return refuse(errno, from, why, size);
	ssize_t n = read(fd, line, sizeof(line));
	int error = n < 0 ? errno : EIO;

	close(fd);
	if (n <= 0)
		return refuse(error, from, why, size);
	error = write_file(place(to, directory, 1, "keepalive.secret"), 0600, line, (size_t)n, why, size);
	explicit_bzero(line, sizeof(line));
	return error;
}

static int make_identity(const char *directory, int leaf, char *why, size_t size)
{
	char key[PATH_MAX], certificate[PATH_MAX];

	return pki_make_identity(place(key, directory, leaf, "key.pem"),
				 place(certificate, directory, leaf, "cert.pem"), LEAF[leaf],
				 CERTIFICATE_DAYS, why, size);
}

/* Into the leaf's peer.pin, the pin of the other one. */
static int write_pin(const char *directory, int leaf, char *why, size_t size)
{
	char certificate[PATH_MAX], file[PATH_MAX], text[PIN_TEXT_SIZE], line[PIN_TEXT_SIZE + 1];
	struct pin pin;
	int error = pin_of_file(place(certificate, directory, 1 - leaf, "cert.pem"), &pin, why, size);

	if (error < 0)
		return error;
	int n = snprintf(line, sizeof(line), "%s\n", pin_format(&pin, text));

	return write_file(place(file, directory, leaf, "peer.pin"), 0644, line, (size_t)n, why, size);
}

static int make_files(const char *directory, char *why, size_t size)
{
	char file[PATH_MAX];
	int error = 0;

	for (int leaf = 0; leaf < LEAVES && error == 0; leaf++)
		error = make_identity(directory, leaf, why, size);
	for (int leaf = 0; leaf < LEAVES && error == 0; leaf++)
		error = write_pin(directory, leaf, why, size);
	if (error == 0)
		error = pki_make_secret(place(file, directory, 0, "keepalive.secret"), why, size);
	return error == 0 ? copy_secret(directory, why, size) : error;
}

/* Takes away what this run has made in a leaf's directory, and it. */
static void remove_leaf(const char *directory, int leaf)
{
	char file[PATH_MAX];

	for (size_t i = 0; i < sizeof(FILES) / sizeof(FILES[0]); i++)
		unlink(place(file, directory, leaf, FILES[i]));
	rmdir(place(file, directory, leaf, NULL));
}

static void explain(const char *directory, FILE *out)
{
	for (int leaf = 0; leaf < LEAVES; leaf++)
		fprintf(out, "copy %s/%s/* to /etc/mclagd/ on leaf %d\n", directory, LEAF[leaf], leaf + 1);
	fprintf(
	    out,
	    "\nthen in /etc/mclagd/mclagd.yaml on both:\n\n"
	    "keys:\n"
	    "  certificate: /etc/mclagd/cert.pem\n"
	    "  key: /etc/mclagd/key.pem\n"
	    "  peer-pins-file: /etc/mclagd/peer.pin\n"
	    "  keepalive-secret: /etc/mclagd/keepalive.secret\n\n"
	    "key.pem and keepalive.secret are secrets: keep them readable by mclagd alone, and remove %s\n"
	    "when both leaves have theirs.\n",
	    directory);
}

int keys_init(const char *directory, FILE *out, char *why, size_t size)
{
	char file[PATH_MAX];
	int made = 0, error = 0;

	if (strlen(directory) + sizeof("/leaf1/keepalive.secret") > sizeof(file))
		return refuse(ENAMETOOLONG, directory, why, size);
	if (mkdir(directory, 0700) < 0 && errno != EEXIST)
		return refuse(errno, directory, why, size);
	for (; made < LEAVES && error == 0; made += error == 0)
		if (mkdir(place(file, directory, made, NULL), 0700) < 0)
			error = refuse(errno, file, why, size);
	if (error == 0)
		error = make_files(directory, why, size);
	if (error == 0)
		explain(directory, out);
	else
		while (made > 0)
			remove_leaf(directory, --made);
	return error;
}
