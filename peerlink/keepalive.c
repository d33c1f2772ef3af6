/* SPDX-License-Identifier: ISC */
/*
 * Keepalives on sockets and timers. Each path is a lane: one UDP socket, one timerfd, one stream (stream.c,
 * which judges).
 *
 * The schedule is the kernel's: an absolute periodic timerfd does not drift however late the loop is, and
 * reading it says how many ticks were missed. Those are counted and not made up for.
 *
 * What strangers can cause is capped by three rates: datagrams read, answers to probes, and challenges. The
 * two kinds of sending have rates of their own, so that recordings, which can only cause challenges, do not
 * use up the answers.
 *
 * A lane's socket is opened by its ticks, and opened anew when its interface was made anew under the same
 * name.
 */
#include "peerlink/keepalive.h"
#include "peerlink/stream.h"
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define HOPS           255
#define READ_PER_WAKE  64
#define PAUSE_US       10000
#define HELLO_EVERY_US 5000000 /* multicast beside unicast, once the peer is known */
#define UPKEEP_US      1000000

/* At most one per `spacing_us` in the long run, and `burst` at once. */
struct rate {
	int64_t spacing_us, burst;
	int64_t spent_until_us;
};

struct lane {
	struct keepalive *k;
	int index;
	struct path path;
	bool discovers; /* no configured remote address */
	struct stream stream;
	struct keepalive_stats stats; /* but what the stream counts */

	int fd;                 /* -1 = not open */
	unsigned interface;     /* index it is bound to, 0 = none */
	struct event *readable; /* NULL = not open */
	struct event *resume;   /* ends a pause under a flood */
	struct rate reads, answers, challenges;

	int timer_fd;
	struct event *tick;
	int64_t interval_us;
	int64_t due_us;              /* the next tick */
	int64_t upkeep_us, hello_us; /* when these are due */
};

struct keepalive {
	struct event_base *base;
	struct keepalive_owner *owner;
	struct secret secret;
	uint8_t node;
	uint8_t payload[KEEPALIVE_PAYLOAD_MAX];
	uint16_t payload_len;
	size_t lane_count;
	struct lane lanes[PATH_MAX_COUNT];
};

static int64_t now_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static bool allowed(struct rate *rate, int64_t now)
{
	int64_t oldest = now - rate->spacing_us * rate->burst;
	if (rate->spent_until_us < oldest)
		rate->spent_until_us = oldest;
	if (rate->spent_until_us + rate->spacing_us > now)
		return false;
	rate->spent_until_us += rate->spacing_us;
	return true;
}

/* --- sending --------------------------------------------------------------------------------- */

static struct sockaddr_storage group_address(const struct lane *lane)
{
	struct sockaddr_in6 group = {.sin6_family = AF_INET6, .sin6_scope_id = lane->interface};
	struct sockaddr_storage address = {0};
	inet_pton(AF_INET6, KEEPALIVE_GROUP, &group.sin6_addr);
	memcpy(&address, &group, sizeof(group));
	return path_toward(&lane->path, &address);
}

/* Send one datagram to `to`. `answered`: the datagram of an unproven boot id that is challenged by this, or
 * NULL. */
static void send_to(struct lane *lane, uint8_t flags, const struct keepalive_datagram *answered,
		    const struct sockaddr_storage *to)
{
	const struct keepalive *k = lane->k;
	uint8_t bytes[KEEPALIVE_MAX];
	struct keepalive_datagram datagram = {
	    .node = k->node,
	    .path = (uint8_t)lane->index,
	    .flags = flags,
	    .payload_len = k->payload_len,
	};
	if (lane->fd < 0)
		return;
	memcpy(datagram.payload, k->payload, k->payload_len);
	stream_next(&lane->stream, now_us(), answered, &datagram);
	size_t len = keepalive_encode(&datagram, &k->secret, bytes);
	if (sendto(lane->fd, bytes, len, MSG_NOSIGNAL, (const struct sockaddr *)to, address_length(to)) < 0) {
		lane->stats.error = errno;
		lane->stats.send_errors++;
	} else {
		lane->stats.error = 0;
		lane->stats.sent++;
	}
}

/* To the peer where its address is known, to the group where it is not. */
static void send_out(struct lane *lane, uint8_t flags)
{
	struct sockaddr_storage to = lane->stats.known ? lane->stats.remote : group_address(lane);
	send_to(lane, flags, NULL, &to);
}

/* --- receiving ------------------------------------------------------------------------------- */

struct arrival {
	uint8_t bytes[KEEPALIVE_MAX];
	size_t len;
	bool oversize;
	int hops; /* -1 = not told */
	struct sockaddr_storage from;
};

static int hops_of(struct msghdr *message)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
		int hops;
		bool told = (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TTL) ||
			    (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_HOPLIMIT);
		if (!told || c->cmsg_len < CMSG_LEN(sizeof(hops)))
			continue;
		memcpy(&hops, CMSG_DATA(c), sizeof(hops));
		return hops;
	}
	return -1;
}

/* False when there is nothing (more) to read. */
static bool receive(int fd, struct arrival *arrival)
{
	char control[CMSG_SPACE(sizeof(int)) + CMSG_SPACE(64)];
	struct iovec space = {.iov_base = arrival->bytes, .iov_len = sizeof(arrival->bytes)};
	arrival->from = (struct sockaddr_storage){0};
	struct msghdr message = {.msg_name = &arrival->from,
				 .msg_namelen = sizeof(arrival->from),
				 .msg_iov = &space,
				 .msg_iovlen = 1,
				 .msg_control = control,
				 .msg_controllen = sizeof(control)};
	ssize_t got = recvmsg(fd, &message, 0);
	if (got < 0)
		return false;
	arrival->len = (size_t)got;
	arrival->oversize = (message.msg_flags & MSG_TRUNC) != 0;
	arrival->hops = hops_of(&message);
	return true;
}

/* Everything that is checked before a datagram counts, cheapest first; challenges what is only not proven
 * yet. */
static enum keepalive_drop judge(struct lane *lane, const struct arrival *a,
				 struct keepalive_datagram *datagram, struct keepalive_heard *heard)
{
	if (a->oversize)
		return KEEPALIVE_OVERSIZE;
	if (lane->path.direct && a->hops != HOPS)
		return KEEPALIVE_BAD_HOPS;
	if (!lane->discovers && !address_same_host(&a->from, &lane->path.remote))
		return KEEPALIVE_BAD_ADDRESS;
	enum keepalive_drop drop = keepalive_decode(a->bytes, a->len, &lane->k->secret, datagram);
	if (drop != KEEPALIVE_FINE)
		return drop;
	if (datagram->path != lane->index)
		return KEEPALIVE_BAD_PATH;
	int64_t now = now_us();
	drop = stream_judge(&lane->stream, datagram, now, heard);
	if (drop == KEEPALIVE_STALE_BOOT && allowed(&lane->challenges, now))
		send_to(lane, KEEPALIVE_PROBE, datagram, &a->from);
	return drop;
}

static void learn_remote(struct lane *lane, const struct sockaddr_storage *from)
{
	if (!lane->discovers || (lane->stats.known && address_same_host(from, &lane->stats.remote)))
		return;
	lane->stats.remote = path_toward(&lane->path, from);
	lane->stats.known = true;
	lane->k->owner->discovered(lane->k->owner, lane->index, &lane->stats.remote);
}

static void on_arrival(struct lane *lane, const struct arrival *arrival)
{
	struct keepalive *k = lane->k;
	struct keepalive_datagram datagram;
	struct keepalive_heard heard;
	enum keepalive_drop drop = judge(lane, arrival, &datagram, &heard);
	bool conflict = drop == KEEPALIVE_FINE && datagram.node == k->node;
	lane->stats.dropped[conflict ? KEEPALIVE_CONFLICT : drop]++;
	if (drop != KEEPALIVE_FINE)
		return;
	if (!conflict)
		learn_remote(lane, &arrival->from);
	if ((datagram.flags & KEEPALIVE_PROBE) && allowed(&lane->answers, now_us()))
		send_to(lane, 0, NULL, &arrival->from);
	if (conflict)
		k->owner->conflict(k->owner, lane->index, &heard);
	else
		k->owner->heard(k->owner, lane->index, &heard);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct lane *lane = arg;
	struct arrival arrival;
	(void)what;
	for (int i = 0; i < READ_PER_WAKE; i++) {
		if (!allowed(&lane->reads, now_us())) {
			struct timeval pause = {.tv_usec = PAUSE_US};
			lane->stats.throttled++;
			event_del(lane->readable);
			event_add(lane->resume, &pause);
			return;
		}
		if (!receive(fd, &arrival))
			return;
		on_arrival(lane, &arrival);
	}
}

static void on_resume(evutil_socket_t fd, short what, void *arg)
{
	struct lane *lane = arg;
	(void)fd, (void)what;
	if (lane->readable)
		event_add(lane->readable, NULL);
}

/* --- sockets --------------------------------------------------------------------------------- */

static void close_lane(struct lane *lane)
{
	if (lane->fd < 0)
		return;
	event_free(lane->readable);
	close(lane->fd);
	lane->readable = NULL;
	lane->fd = -1;
}

static int join_group(const struct lane *lane, int fd)
{
	struct ipv6_mreq group = {.ipv6mr_interface = lane->interface};
	int interface = (int)lane->interface, hops = HOPS, loop = 0;
	inet_pton(AF_INET6, KEEPALIVE_GROUP, &group.ipv6mr_multiaddr);
	if (setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, &interface, sizeof(interface)) < 0 ||
	    setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, &hops, sizeof(hops)) < 0 ||
	    setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, &loop, sizeof(loop)) < 0 ||
	    setsockopt(fd, IPPROTO_IPV6, IPV6_JOIN_GROUP, &group, sizeof(group)) < 0)
		return -errno;
	return 0;
}

static void open_lane(struct lane *lane)
{
	char why[256]; /* the statistics carry the errno of it */
	lane->interface = lane->path.interface[0] ? if_nametoindex(lane->path.interface) : 0;
	int fd = path_socket(&lane->path, SOCK_DGRAM, lane->path.port, why, sizeof(why));
	int rc = fd < 0 ? fd : lane->discovers ? join_group(lane, fd) : 0;
	if (rc < 0) {
		lane->stats.error = -rc;
		if (fd >= 0)
			close(fd);
		return;
	}
	lane->stats.error = 0;
	lane->fd = fd;
	lane->readable = event_new(lane->k->base, fd, EV_READ | EV_PERSIST, on_readable, lane);
	if (!lane->readable || event_priority_set(lane->readable, 0) < 0 ||
	    event_add(lane->readable, NULL) < 0)
		abort();
}

static void upkeep(struct lane *lane, int64_t now)
{
	if (now < lane->upkeep_us)
		return;
	lane->upkeep_us = now + UPKEEP_US;
	if (lane->fd >= 0 && lane->interface && if_nametoindex(lane->path.interface) != lane->interface)
		close_lane(lane);
	if (lane->fd < 0)
		open_lane(lane);
}

/* --- the schedule ---------------------------------------------------------------------------- */

static void count_lateness(struct lane *lane, int64_t late_us)
{
	static const int64_t below_us[KEEPALIVE_LATE_BUCKETS - 1] = {1000,  2000,  5000,  10000,
								     20000, 50000, 100000};
	int bucket = 0;
	while (bucket < KEEPALIVE_LATE_BUCKETS - 1 && late_us >= below_us[bucket])
		bucket++;
	lane->stats.late[bucket]++;
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct lane *lane = arg;
	uint64_t ticks;
	int64_t now = now_us();
	(void)what;
	if (read(fd, &ticks, sizeof(ticks)) != (ssize_t)sizeof(ticks))
		return;
	lane->stats.missed += ticks - 1;
	lane->due_us += (int64_t)ticks * lane->interval_us;
	count_lateness(lane, now - (lane->due_us - lane->interval_us));
	upkeep(lane, now);
	send_out(lane, 0);
	if (lane->discovers && lane->stats.known && now >= lane->hello_us) {
		struct sockaddr_storage group = group_address(lane);
		lane->hello_us = now + HELLO_EVERY_US;
		send_to(lane, 0, NULL, &group);
	}
}

static void start_schedule(struct lane *lane, unsigned interval_ms)
{
	assert(interval_ms >= KEEPALIVE_INTERVAL_MIN_MS && interval_ms <= KEEPALIVE_INTERVAL_MAX_MS);
	lane->interval_us = (int64_t)interval_ms * 1000;
	lane->due_us = now_us();
	struct itimerspec when = {
	    .it_value = {.tv_sec = lane->due_us / 1000000, .tv_nsec = lane->due_us % 1000000 * 1000},
	    .it_interval = {.tv_sec = interval_ms / 1000, .tv_nsec = (long)(interval_ms % 1000) * 1000000},
	};
	if (timerfd_settime(lane->timer_fd, TFD_TIMER_ABSTIME, &when, NULL) < 0)
		abort();
}

/* --- what the owner calls -------------------------------------------------------------------- */

static void create_lane(struct keepalive *k, int index, const struct keepalive_config *config)
{
	struct lane *lane = &k->lanes[index];
	lane->k = k;
	lane->index = index;
	lane->path = config->paths[index];
	lane->discovers = !lane->path.remote.ss_family;
	lane->fd = -1;
	lane->reads = (struct rate){.spacing_us = 500, .burst = 256};
	lane->answers = (struct rate){.spacing_us = 10000, .burst = 10};
	lane->challenges = (struct rate){.spacing_us = 50000, .burst = 5};
	stream_init(&lane->stream, config->boot);
	if (lane->discovers) { /* multicast does not reach a socket bound to a host's address */
		lane->path.local = (struct sockaddr_storage){.ss_family = AF_INET6};
	} else {
		lane->stats.remote = path_toward(&lane->path, &lane->path.remote);
		lane->stats.known = true;
	}
	lane->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	lane->tick = event_new(k->base, lane->timer_fd, EV_READ | EV_PERSIST, on_tick, lane);
	lane->resume = event_new(k->base, -1, 0, on_resume, lane);
	if (lane->timer_fd < 0 || !lane->tick || !lane->resume || event_priority_set(lane->tick, 0) < 0 ||
	    event_add(lane->tick, NULL) < 0)
		abort();
	start_schedule(lane, config->interval_ms[index]);
}

struct keepalive *keepalive_create(struct event_base *base, const struct keepalive_config *config)
{
	assert(config->path_count >= 1 && config->path_count <= PATH_MAX_COUNT);
	assert(config->boot != 0 && (config->node == 1 || config->node == 2));
	struct keepalive *k = calloc(1, sizeof(*k));
	if (!k)
		abort();
	k->base = base;
	k->owner = config->owner;
	k->secret = config->secret;
	k->node = config->node;
	k->lane_count = config->path_count;
	for (size_t i = 0; i < k->lane_count; i++)
		create_lane(k, (int)i, config);
	return k;
}

void keepalive_destroy(struct keepalive *k)
{
	if (!k)
		return;
	for (size_t i = 0; i < k->lane_count; i++) {
		struct lane *lane = &k->lanes[i];
		close_lane(lane);
		event_free(lane->resume);
		event_free(lane->tick);
		close(lane->timer_fd);
	}
	explicit_bzero(&k->secret, sizeof(k->secret));
	free(k);
}

static struct lane *lane_at(struct keepalive *k, int path)
{
	assert(path >= 0 && (size_t)path < k->lane_count);
	return &k->lanes[path];
}

void keepalive_set_payload(struct keepalive *k, const uint8_t *payload, size_t len)
{
	assert(len <= KEEPALIVE_PAYLOAD_MAX);
	if (len)
		memcpy(k->payload, payload, len);
	k->payload_len = (uint16_t)len;
}

void keepalive_probe(struct keepalive *k, int path)
{
	send_out(lane_at(k, path), KEEPALIVE_PROBE);
}

void keepalive_send_now(struct keepalive *k)
{
	for (size_t i = 0; i < k->lane_count; i++)
		send_out(&k->lanes[i], 0);
}

void keepalive_stats(const struct keepalive *k, int path, struct keepalive_stats *stats)
{
	assert(path >= 0 && (size_t)path < k->lane_count);
	const struct lane *lane = &k->lanes[path];
	*stats = lane->stats;
	stats->heard = lane->stats.dropped[KEEPALIVE_FINE];
	stats->dropped[KEEPALIVE_FINE] = 0;
	stats->lost = lane->stream.lost;
	stats->rtt_us = lane->stream.rtt_us;
	stats->jitter_us = lane->stream.jitter_us;
}
