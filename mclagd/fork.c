/* SPDX-License-Identifier: ISC */
/*
 * fork.c - the answer comes through a pipe, the end through a pidfd: the loop watches both, and only the end
 * counts. So there is one way out for a copy that answered, failed, hung, wrote too much or was killed from
 * outside, and no SIGCHLD that anybody else could take away.
 */
#include "mclagd/fork.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define PRIORITY_LOWEST 19
#define PRIORITY_LOOP   1 /* after keepalives, as the control socket */

struct fork {
	struct fork_owner *owner;
	struct fork_limits limits;
	pid_t pid;
	int end, answer; /* pidfd; the pipe */
	struct event *ended, *answered, *late;
	struct evbuffer *bytes;
	const char *why; /* NULL = nothing is wrong so far */
};

/* --- the copy ---------------------------------------------------------------------------------------- */

/* Signals are the original's: libevent's handlers would tell its loop through a descriptor that both have. */
static void forget_signals(const sigset_t *mask)
{
	for (int number = 1; number < NSIG; number++)
		signal(number, SIG_DFL);
	sigprocmask(SIG_SETMASK, mask, NULL);
}

static _Noreturn void be_the_copy(struct fork_owner *owner, int fd, pid_t original, const sigset_t *mask)
{
	forget_signals(mask);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != original)
		_exit(EXIT_FAILURE); /* it was faster */
	setpriority(PRIO_PROCESS, 0, PRIORITY_LOWEST);
	owner->think(owner, fd);
	_exit(EXIT_SUCCESS);
}

void fork_write(int fd, const uint8_t *bytes, size_t size)
{
	while (size > 0) {
		ssize_t n = write(fd, bytes, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			_exit(EXIT_FAILURE);
		bytes += n;
		size -= (size_t)n;
	}
}

/* --- the original ------------------------------------------------------------------------------------ */

static void release(struct fork *f)
{
	if (f->answered != NULL)
		event_free(f->answered);
	if (f->ended != NULL)
		event_free(f->ended);
	if (f->late != NULL)
		event_free(f->late);
	if (f->bytes != NULL)
		evbuffer_free(f->bytes);
	close(f->answer);
	if (f->end >= 0)
		close(f->end);
	free(f);
}

/* Its end comes back as any other. */
static void give_up(struct fork *f, const char *why)
{
	if (f->why == NULL)
		f->why = why;
	event_del(f->answered);
	kill(f->pid, SIGKILL); /* not reaped yet: the number is still its own */
}

/* False when there is nothing more now. */
static bool read_some(struct fork *f)
{
	uint8_t bytes[16384];
	ssize_t n = read(f->answer, bytes, sizeof(bytes));

	if (n < 0 && errno == EINTR)
		return true;
	if (n <= 0) {
		if (n == 0)
			event_del(f->answered);
		return false;
	}
	if (evbuffer_get_length(f->bytes) + (size_t)n > f->limits.size) {
		give_up(f, "its answer is too long");
		return false;
	}
	if (evbuffer_add(f->bytes, bytes, (size_t)n) < 0)
		abort();
	return true;
}

static void on_answer(evutil_socket_t fd, short what, void *argument)
{
	(void)fd;
	(void)what;
	read_some(argument); /* once: the loop has other things to do */
}

static void on_late(evutil_socket_t fd, short what, void *argument)
{
	(void)fd;
	(void)what;
	give_up(argument, "it took too long");
}

static void on_end(evutil_socket_t fd, short what, void *argument)
{
	struct fork *f = argument;
	struct fork_owner *owner = f->owner;
	siginfo_t end = {0};

	(void)fd;
	(void)what;
	if (waitid(P_PID, (id_t)f->pid, &end, WEXITED | WNOHANG) == 0 && end.si_pid == 0)
		return; /* not yet */
	while (f->why == NULL && read_some(f))
		;
	if (f->why == NULL && (end.si_code != CLD_EXITED || end.si_status != EXIT_SUCCESS))
		f->why = "it died";
	struct evbuffer *bytes = f->bytes;
	const char *why = f->why;

	f->bytes = NULL;
	release(f);
	if (why == NULL)
		owner->done(owner, evbuffer_pullup(bytes, -1), evbuffer_get_length(bytes), NULL);
	else
		owner->done(owner, NULL, 0, why);
	evbuffer_free(bytes);
}

static void listen_to(struct fork *f, struct event_base *base)
{
	const struct timeval late = {.tv_sec = f->limits.ms / 1000, .tv_usec = f->limits.ms % 1000 * 1000};

	f->bytes = evbuffer_new();
	f->answered = event_new(base, f->answer, EV_READ | EV_PERSIST, on_answer, f);
	f->ended = event_new(base, f->end, EV_READ | EV_PERSIST, on_end, f);
	f->late = evtimer_new(base, on_late, f);
	if (f->bytes == NULL || f->answered == NULL || f->ended == NULL || f->late == NULL ||
	    event_priority_set(f->answered, PRIORITY_LOOP) < 0 ||
	    event_priority_set(f->ended, PRIORITY_LOOP) < 0 || event_add(f->answered, NULL) < 0 ||
	    event_add(f->ended, NULL) < 0 || event_add(f->late, &late) < 0)
		abort();
}

/* The copy's number, or -errno. */
static pid_t make_copy(struct fork_owner *owner, int fd)
{
	pid_t original = getpid(), pid;
	sigset_t all, mask;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &mask); /* until the copy has its own ways with them */
	pid = fork();
	if (pid == 0)
		be_the_copy(owner, fd, original, &mask);
	if (pid < 0)
		pid = -errno;
	sigprocmask(SIG_SETMASK, &mask, NULL);
	return pid;
}

static void end_copy(pid_t pid)
{
	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

int fork_start(struct fork **f, struct event_base *base, const struct fork_limits *limits,
	       struct fork_owner *owner)
{
	int ends[2];
	struct fork *new;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	pid_t pid = make_copy(owner, ends[1]);

	close(ends[1]);
	if (pid < 0) {
		close(ends[0]);
		return pid;
	}
	new = calloc(1, sizeof(*new));
	if (new == NULL)
		abort();
	*new = (struct fork){.owner = owner, .limits = *limits, .pid = pid, .answer = ends[0]};
	new->end = pidfd_open(pid, 0);
	if (new->end < 0) {
		int error = -errno;

		end_copy(pid);
		release(new);
		return error;
	}
	listen_to(new, base);
	*f = new;
	return 0;
}

void fork_destroy(struct fork *f)
{
	if (f == NULL)
		return;
	end_copy(f->pid);
	release(f);
}
