/* SPDX-License-Identifier: ISC */
/*
 * ctl/client.c - a frame out, frames in. The daemon is trusted no more than needed: the length of a frame is
 * limited before memory is taken for it, and an answer to another question is refused.
 *
 * A daemon that has too many clients says so and closes without reading: sending fails then, and the Error is
 * there to be read. So a failed send is only the answer when nothing can be read.
 */
#include "ctl/client.h"

#include "proto/frame.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define RESPONSE_LIMIT (1024 * 1024) /* as control.proto says */

static const char *advice(int error)
{
	switch (error) {
	case ENOENT:
	case ECONNREFUSED:
		return "; is the daemon running? systemctl status mclagd";
	case EACCES:
		return "; the socket is for root and the members of its group";
	case ETIMEDOUT:
		return "; the daemon is there and does not answer: journalctl -u mclagd";
	case ECONNRESET:
	case EPIPE:
		return "; the daemon closed the connection: journalctl -u mclagd";
	default:
		return "";
	}
}

static int cannot(char *why, const char *path, int error)
{
	snprintf(why, CLIENT_WHY_SIZE, "cannot ask mclagd at %s: %s%s", path, strerror(error), advice(error));
	return -error;
}

static int cannot_understand(char *why, const char *path, const char *what)
{
	snprintf(why, CLIENT_WHY_SIZE,
		 "cannot understand mclagd at %s: %s; are mclagctl and mclagd of one version?", path, what);
	return -EBADMSG;
}

/* A connected descriptor or -errno. */
static int connect_to(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const struct timeval timeout = {.tv_sec = CLIENT_TIMEOUT_MS / 1000};

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
		int error = errno;

		close(fd);
		return -error;
	}
	return fd;
}

static int send_request(int fd, const Mclag__Control__Request *request)
{
	size_t size = mclag__control__request__get_packed_size(request), sent = 0;
	uint8_t *bytes = malloc(FRAME_HEAD + size);
	int result = 0;

	if (bytes == NULL)
		abort();
	frame_head(bytes, size);
	mclag__control__request__pack(request, bytes + FRAME_HEAD);
	while (sent < FRAME_HEAD + size && result == 0) {
		ssize_t n = send(fd, bytes + sent, FRAME_HEAD + size - sent, MSG_NOSIGNAL);

		if (n >= 0)
			sent += (size_t)n;
		else if (errno != EINTR)
			result = errno == EAGAIN ? -ETIMEDOUT : -errno;
	}
	free(bytes);
	return result;
}

/* Exactly `size` bytes. -ECONNRESET when the stream ends before. */
static int receive_bytes(int fd, uint8_t *bytes, size_t size)
{
	while (size > 0) {
		ssize_t n = recv(fd, bytes, size, 0);

		if (n == 0)
			return -ECONNRESET;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		bytes += n;
		size -= (size_t)n;
	}
	return 0;
}

/* One Response, to be freed by the caller. -EBADMSG with *what set, or another -errno. */
static int receive_response(int fd, Mclag__Control__Response **response, const char **what)
{
	uint8_t head[FRAME_HEAD];
	struct frame frame;
	int error = receive_bytes(fd, head, sizeof(head));

	if (error != 0)
		return error;
	enum frame_status status = frame_cut(head, sizeof(head), RESPONSE_LIMIT, &frame);

	if (status != FRAME_MORE) {
		*what = frame_status_text(status);
		return -EBADMSG;
	}
	uint8_t *bytes = malloc(frame.len);

	if (bytes == NULL)
		abort();
	error = receive_bytes(fd, bytes, frame.len);
	if (error == 0) {
		*response = mclag__control__response__unpack(NULL, frame.len, bytes);
		if (*response == NULL) {
			*what = "its answer is no control message";
			error = -EBADMSG;
		}
	}
	free(bytes);
	return error;
}

/* Each question's number in the oneof Request.ask, and its answer's in Response.answer. */
static bool answers(const Mclag__Control__Request *request, const Mclag__Control__Response *response)
{
	switch (request->ask_case) {
	case MCLAG__CONTROL__REQUEST__ASK_STATUS:
		return response->answer_case == MCLAG__CONTROL__RESPONSE__ANSWER_STATUS;
	case MCLAG__CONTROL__REQUEST__ASK_PORTS:
		return response->answer_case == MCLAG__CONTROL__RESPONSE__ANSWER_PORTS;
	case MCLAG__CONTROL__REQUEST__ASK_MAC:
		return response->answer_case == MCLAG__CONTROL__RESPONSE__ANSWER_MAC;
	case MCLAG__CONTROL__REQUEST__ASK_EVENTS:
		return response->answer_case == MCLAG__CONTROL__RESPONSE__ANSWER_EVENTS;
	case MCLAG__CONTROL__REQUEST__ASK_COUNTERS:
		return response->answer_case == MCLAG__CONTROL__RESPONSE__ANSWER_COUNTERS;
	case MCLAG__CONTROL__REQUEST__ASK_WHAT_IF:
		return response->answer_case == MCLAG__CONTROL__RESPONSE__ANSWER_WHAT_IF;
	case MCLAG__CONTROL__REQUEST__ASK__NOT_SET:
	case _MCLAG__CONTROL__REQUEST__ASK__CASE_IS_INT_SIZE:
		return false;
	}
	return false;
}

/* One Response to the reader. *more says whether another follows. */
static int take_answer(int fd, const char *path, const Mclag__Control__Request *request,
		       struct client_reader *reader, bool *more, char *why)
{
	Mclag__Control__Response *response = NULL;
	const char *what = "";
	int result = receive_response(fd, &response, &what);

	if (result == -EBADMSG)
		return cannot_understand(why, path, what);
	if (result != 0)
		return cannot(why, path, -result);
	if (response->answer_case == MCLAG__CONTROL__RESPONSE__ANSWER_ERROR) {
		snprintf(why, CLIENT_WHY_SIZE, "mclagd: %s", response->error->text);
		result = -EREMOTEIO;
	} else if (!answers(request, response)) {
		result = cannot_understand(why, path, "it answered another question");
	} else {
		*more = response->more;
		result = reader->answer(reader, response);
	}
	mclag__control__response__free_unpacked(response, NULL);
	return result;
}

int client_ask(const char *socket_path, const Mclag__Control__Request *request, struct client_reader *reader,
	       char why[static CLIENT_WHY_SIZE])
{
	bool follow = request->ask_case == MCLAG__CONTROL__REQUEST__ASK_EVENTS && request->events->follow;
	const struct timeval timeout = {.tv_sec = CLIENT_TIMEOUT_MS / 1000};
	int fd = connect_to(socket_path);

	if (fd < 0)
		return cannot(why, socket_path, -fd);
	if (!follow)
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	int result = send_request(fd, request);
	bool more = true;

	if (result == 0 || result == -EPIPE || result == -ECONNRESET)
		while (more && (result = take_answer(fd, socket_path, request, reader, &more, why)) == 0)
			;
	else
		result = cannot(why, socket_path, -result);
	close(fd);
	return result;
}
