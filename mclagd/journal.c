/* SPDX-License-Identifier: ISC */
/*
 * Records gather in `pending` and go into a pipe that never blocks; what it does not take stays, up to
 * BACKLOG_MAX. At the other end sits the scribe, a child with nothing but the pipe and the file: it outlives a
 * daemon that crashes by as long as it takes to write the rest, and does not heed the signals of a service
 * manager that stops the whole group.
 *
 * An error of the scribe comes back as a number in an eventfd, written before it ends; the daemon sees that
 * the pipe is broken and looks.
 */
#include "mclagd/journal.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PIPE_SIZE   (1024 * 1024)
#define BACKLOG_MAX (8 * 1024 * 1024)
#define CLOSE_MS    500 /* for what is pending, and for the scribe */
#define END_ROOM    64  /* more than the record of an end takes */
#define PATH_SIZE   512

struct journal {
	struct journal_owner *owner;
	pid_t scribe;
	int pipe;     /* to it; -1 = nothing is recorded any more */
	int complain; /* eventfd: its errno */
	struct journal_bytes pending;
	size_t sent; /* of pending */
	uint64_t limit;
	struct msec last; /* event */
	struct journal_counters counters;
};

/* --- the scribe -------------------------------------------------------------------------------------- */

static int write_all(int to, const uint8_t *bytes, size_t size)
{
	while (size > 0) {
		ssize_t n = write(to, bytes, size);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			bytes += n;
			size -= (size_t)n;
		}
	}
	return 0;
}

/* In the child. What the daemon has open is not kept open here. */
static _Noreturn void scribe(int from, int to, int complain)
{
	static const int unheeded[] = {SIGTERM, SIGINT, SIGHUP, SIGPIPE, SIGXFSZ};
	uint8_t bytes[65536];
	ssize_t n;
	int error = 0;
	for (size_t i = 0; i < sizeof(unheeded) / sizeof(unheeded[0]); i++)
		signal(unheeded[i], SIG_IGN);
	prctl(PR_SET_NAME, "mclagd-journal");
	if (dup2(from, 0) < 0 || dup2(to, 1) < 0 || dup2(complain, 2) < 0 || close_range(3, ~0u, 0) < 0)
		_exit(1);
	while (!error && ((n = read(0, bytes, sizeof(bytes))) > 0 || (n < 0 && errno == EINTR)))
		if (n > 0)
			error = write_all(1, bytes, (size_t)n);
	if (error)
		eventfd_write(2, (eventfd_t)-error);
	_exit(error != 0);
}

/* --- the end ----------------------------------------------------------------------------------------- */

static void end(struct journal *j, const char *why)
{
	close(j->pipe);
	j->pipe = -1;
	j->counters.recording = false;
	journal_bytes_free(&j->pending);
	j->sent = 0;
	j->owner->ended(j->owner, why);
}

static void end_broken(struct journal *j)
{
	char why[JOURNAL_WHY_SIZE];
	eventfd_t error;
	bool told = eventfd_read(j->complain, &error) == 0;
	snprintf(why, sizeof(why), "the journal cannot be written: %s",
		 told ? strerror((int)error) : "its process has died");
	end(j, why);
}

static void push(struct journal *j)
{
	size_t left = j->pending.size - j->sent;
	if (left == 0)
		return;
	ssize_t n = write(j->pipe, j->pending.data + j->sent, left);
	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		end_broken(j);
		return;
	}
	j->sent += n > 0 ? (size_t)n : 0;
	if (j->sent * 2 >=
	    j->pending.size) { /* what has left makes room, or a writer a little behind costs ever more */
		memmove(j->pending.data, j->pending.data + j->sent, j->pending.size - j->sent);
		j->pending.size -= j->sent;
		j->sent = 0;
	}
	if (j->pending.size - j->sent > BACKLOG_MAX)
		end(j, "the journal is written too slowly");
}

/* What was put since `before` counts, unless it exceeds the bound: then the end takes its place. */
static bool take(struct journal *j, size_t before)
{
	char why[JOURNAL_WHY_SIZE];
	size_t more = j->pending.size - before;
	if (j->counters.bytes + more + END_ROOM <= j->limit) {
		j->counters.bytes += more;
		return true;
	}
	j->pending.size = before;
	journal_put_end(&j->pending, JOURNAL_FULL);
	push(j);
	if (j->pipe < 0)
		return false;
	snprintf(why, sizeof(why), "the journal is full: the first %" PRIu64 " events are in it",
		 j->counters.events);
	end(j, why);
	return false;
}

/* --- recording --------------------------------------------------------------------------------------- */

void journal_before(struct journal *j, struct msec now, const struct event *e)
{
	if (!j)
		return;
	if (j->pipe < 0) {
		j->counters.missed++;
		return;
	}
	assert(now.ms >= j->last.ms);
	size_t before = j->pending.size;
	journal_put_event(&j->pending, (uint64_t)msec_since(now, j->last), e);
	if (!take(j, before)) {
		j->counters.missed++;
		return;
	}
	j->counters.events++;
	j->last = now;
	push(j);
}

void journal_after(struct journal *j, const struct step *s)
{
	if (!j || j->pipe < 0)
		return;
	size_t before = j->pending.size;
	journal_put_outcome(&j->pending, s);
	take(j, before);
}

void journal_flush(struct journal *j)
{
	if (j && j->pipe >= 0)
		push(j);
}

void journal_counters(const struct journal *j, struct journal_counters *c)
{
	*c = j->counters;
}

/* --- life -------------------------------------------------------------------------------------------- */

/* A new file in the place of the one that is there. The descriptor, or -errno with the reason. */
static int make_file(const char *file, char why[static JOURNAL_WHY_SIZE])
{
	char old[PATH_SIZE];
	struct stat st;
	bool is_there = lstat(file, &st) == 0;
	if (is_there && !S_ISREG(st.st_mode)) {
		snprintf(why, JOURNAL_WHY_SIZE, "%.200s is no regular file", file);
		return -EINVAL;
	}
	snprintf(old, sizeof(old), "%.500s.1", file);
	int fd = -1;
	if (!is_there || rename(file, old) == 0)
		fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd >= 0)
		return fd;
	int error = -errno;
	snprintf(why, JOURNAL_WHY_SIZE, "%.200s: %s", file, strerror(-error));
	return error;
}

/* Starts the scribe on the file. 0 or -errno. */
static int start_scribe(struct journal *j, int file)
{
	int ends[2] = {-1, -1}, error = 0;
	j->complain = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (j->complain < 0 || pipe2(ends, O_CLOEXEC) < 0)
		goto failed;
	(void)fcntl(ends[1], F_SETPIPE_SZ, PIPE_SIZE); /* a smaller one does, too */
	if (fcntl(ends[1], F_SETFL, O_NONBLOCK) < 0)
		goto failed;
	j->scribe = fork();
	if (j->scribe == 0)
		scribe(ends[0], file, j->complain);
	if (j->scribe < 0)
		goto failed;
	close(ends[0]);
	j->pipe = ends[1];
	return 0;
failed:
	error = -errno;
	for (size_t i = 0; i < 2; i++)
		if (ends[i] >= 0)
			close(ends[i]);
	if (j->complain >= 0)
		close(j->complain);
	return error;
}

int journal_open(struct journal **j, const char *file, uint64_t limit, const struct journal_head *head,
		 struct journal_owner *owner, char why[static JOURNAL_WHY_SIZE])
{
	int fd = make_file(file, why);
	if (fd < 0)
		return fd;
	struct journal *n = calloc(1, sizeof(*n));
	if (!n)
		abort();
	*n = (struct journal){.owner = owner, .pipe = -1, .limit = limit, .counters = {.recording = true}};
	int error = start_scribe(n, fd);
	close(fd);
	if (error) {
		snprintf(why, JOURNAL_WHY_SIZE, "no process to write it: %s", strerror(-error));
		free(n);
		return error;
	}
	journal_put_head(&n->pending, head);
	n->counters.bytes = n->pending.size;
	*j = n;
	return 0;
}

/* The rest has gone into the pipe, or cannot within the time. */
static void drain(struct journal *j)
{
	journal_put_end(&j->pending, JOURNAL_STOPPED);
	push(j);
	while (j->pipe >= 0 && j->pending.size > 0) {
		struct pollfd room = {.fd = j->pipe, .events = POLLOUT};
		if (poll(&room, 1, CLOSE_MS) <= 0)
			return;
		push(j);
	}
}

static void await_scribe(pid_t pid)
{
	int fd = pidfd_open(pid, 0);
	struct pollfd gone = {.fd = fd, .events = POLLIN};
	if (fd >= 0) {
		poll(&gone, 1, CLOSE_MS);
		close(fd);
	}
	waitpid(pid, NULL, WNOHANG); /* else it ends as a child of somebody else */
}

void journal_close(struct journal *j)
{
	if (!j)
		return;
	if (j->pipe >= 0)
		drain(j);
	if (j->pipe >= 0)
		close(j->pipe);
	await_scribe(j->scribe);
	close(j->complain);
	journal_bytes_free(&j->pending);
	free(j);
}
