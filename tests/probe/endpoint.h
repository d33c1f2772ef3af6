/* SPDX-License-Identifier: ISC */
/*
 * A place in one network namespace where the probe sends and receives: either connected UDP sockets, one per
 * flow (so the host's own stack resolves, sends and delivers), or one packet socket that sends UDP broadcast
 * frames and sees every copy that comes in, also of its own. Knows nothing of streams and accounting.
 */
#ifndef PROBE_ENDPOINT_H
#define PROBE_ENDPOINT_H

#include <stddef.h>
#include <stdint.h>

#define ENDPOINT_PAYLOAD_MIN 32
#define ENDPOINT_PAYLOAD_MAX 1400
#define ENDPOINT_BATCH       32

/* What every payload starts with, in host order: both ends are this process. */
struct mark {
	uint32_t magic;
	uint32_t run; /* random per process: frames of another run are not ours */
	uint32_t epoch;
	uint32_t stream;
	uint64_t index;
};

#define MARK_MAGIC 0x6d6c6170u

struct endpoint;

/*
 * `netns` is a name below /run/netns or a path with a slash. On failure the functions return NULL with
 * the reason in `why`. endpoint_close() takes NULL.
 */
struct endpoint *endpoint_udp(const char *netns, const char *address, const char *peer, uint16_t port,
			      uint32_t flows, char *why, size_t why_size);
struct endpoint *endpoint_raw(const char *netns, const char *iface, uint16_t port, char *why,
			      size_t why_size);
void endpoint_close(struct endpoint *endpoint);

/* The sockets to poll: 0 .. count-1. */
uint32_t endpoint_count(const struct endpoint *endpoint);
int endpoint_fd(const struct endpoint *endpoint, uint32_t socket);

/* Send a payload of `size` bytes, mark first, in the flow. Never blocks. 0 or -errno. */
int endpoint_send(const struct endpoint *endpoint, uint32_t flow, const struct mark *mark, size_t size);

/*
 * Read up to ENDPOINT_BATCH marks that are waiting at one socket; returns how many are in `marks`, and in
 * `more` whether it is worth asking again. What is not a frame of the probe is skipped.
 */
uint32_t endpoint_receive(const struct endpoint *endpoint, uint32_t socket, struct mark marks[ENDPOINT_BATCH],
			  int *more);

/* How many frames the kernel dropped because the probe did not read in time, since the start. */
uint64_t endpoint_dropped(const struct endpoint *endpoint);

#endif
