/* SPDX-License-Identifier: ISC */
/*
 * netlab - a private piece of the real kernel for the tests of netlink/.
 */
#include "netlab.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ETHERTYPE 0x88b5 /* IEEE 802: local experimental */

const uint8_t lab_broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

void lab_require_root(void)
{
	if (geteuid() != 0)
		skip();
}

static void no_ipv6(void)
{
	int fd = open("/proc/sys/net/ipv6/conf/default/disable_ipv6", O_WRONLY | O_CLOEXEC);

	/* a kernel without IPv6 has nothing to switch off */
	if (fd < 0)
		return;
	assert_int_equal(write(fd, "1", 1), 1);
	close(fd);
}

int lab_setup(void **state)
{
	struct event_base *base = event_base_new();
	cpu_set_t first;

	if (!base || event_base_priority_init(base, 3))
		return -1;
	*state = base;
	if (geteuid() != 0)
		return 0;
	CPU_ZERO(&first);
	CPU_SET(0, &first);
	if (sched_setaffinity(0, sizeof(first), &first) || unshare(CLONE_NEWNET))
		return -1;
	no_ipv6();
	return 0;
}

int lab_teardown(void **state)
{
	event_base_free(*state);
	return 0;
}

static int __attribute__((format(printf, 1, 0))) run(const char *format, va_list args)
{
	char command[1024];

	assert_in_range(vsnprintf(command, sizeof(command), format, args), 1, sizeof(command) - 1);
	return system(command); /* NOLINT(cert-env33-c): a test's own words */
}

void lab_run(const char *format, ...)
{
	va_list args;
	int status;

	va_start(args, format);
	status = run(format, args);
	va_end(args);
	if (status)
		fail_msg("status %d: %s", status, format);
}

bool lab_try(const char *format, ...)
{
	va_list args;
	int status;

	va_start(args, format);
	status = run(format, args);
	va_end(args);
	return status == 0;
}

void lab_bridge(void)
{
	static const char *const pairs[][2] = {
	    {"p1", "h1"}, {"p2", "h2"}, {"o1", "q1"}, {"o2", "q2"}, {"pl", "far"}};

	lab_run("ip link add br0 type bridge mcast_snooping 0 && ip link set br0 up");
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		lab_run("ip link add %s type veth peer %s && ip link set %s up && ip link set %s up && "
			"ip link set %s master br0",
			pairs[i][0], pairs[i][1], pairs[i][1], pairs[i][0], pairs[i][0]);
	}
	/* the bridge hears of carrier from the kernel's link watch, some time later */
	lab_until(NULL, lab_try("test $(bridge link show | grep -c 'state forwarding') = 5"));
}

int lab_index(const char *ifname)
{
	unsigned index = if_nametoindex(ifname);

	assert_int_not_equal(index, 0);
	return (int)index;
}

void lab_mac(const char *ifname, uint8_t mac[6])
{
	struct ifreq request = {0};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	(void)snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", ifname);
	assert_int_equal(ioctl(fd, SIOCGIFHWADDR, &request), 0);
	close(fd);
	memcpy(mac, request.ifr_hwaddr.sa_data, 6);
}

uint64_t lab_now(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void lab_turn(struct event_base *base)
{
	const struct timespec pause = {.tv_nsec = 500000};

	if (base)
		assert_true(event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK) >= 0);
	(void)nanosleep(&pause, NULL); /* gives the kernel the CPU; the condition is asked again after it */
}

void lab_port_open_for(struct lab_port *port, const char *ifname, uint16_t ethertype)
{
	struct sockaddr_ll self = {
	    .sll_family = AF_PACKET, .sll_protocol = htons(ethertype), .sll_ifindex = lab_index(ifname)};
	const int room = 16 << 20; /* a stream overflows no socket */
	struct packet_mreq promiscuous = {.mr_ifindex = self.sll_ifindex, .mr_type = PACKET_MR_PROMISC};

	memset(port, 0, sizeof(*port));
	port->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_true(port->fd >= 0);
	assert_int_equal(bind(port->fd, (struct sockaddr *)&self, sizeof(self)), 0);
	assert_int_equal(
	    setsockopt(port->fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &promiscuous, sizeof(promiscuous)), 0);
	assert_int_equal(setsockopt(port->fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)), 0);
	lab_mac(ifname, port->mac);
}

void lab_port_open(struct lab_port *port, const char *ifname)
{
	lab_port_open_for(port, ifname, ETHERTYPE);
}

void lab_port_close(struct lab_port *port)
{
	close(port->fd);
}

void lab_send_raw(struct lab_port *port, const void *frame, size_t length)
{
	assert_int_equal(send(port->fd, frame, length, 0), length);
}

static void frame_make(uint8_t frame[ETH_ZLEN], const uint8_t from[6], const uint8_t to[6], uint8_t number)
{
	const uint16_t type = htons(ETHERTYPE);

	memset(frame, 0, ETH_ZLEN);
	memcpy(frame, to, ETH_ALEN);
	memcpy(frame + ETH_ALEN, from, ETH_ALEN);
	memcpy(frame + (size_t)2 * ETH_ALEN, &type, sizeof(type));
	frame[ETH_HLEN] = number;
}

void lab_send(struct lab_port *port, const uint8_t to[6], uint8_t number)
{
	uint8_t frame[ETH_ZLEN];

	frame_make(frame, port->mac, to, number);
	lab_send_raw(port, frame, sizeof(frame));
}

unsigned lab_seen_at(struct lab_port *port, uint8_t number, size_t offset)
{
	uint8_t frame[ETH_FRAME_LEN];
	struct sockaddr_ll from = {0};
	socklen_t size = sizeof(from);
	ssize_t n;

	while ((n = recvfrom(port->fd, frame, sizeof(frame), 0, (struct sockaddr *)&from, &size)) >= 0) {
		if (n > (ssize_t)offset && from.sll_pkttype != PACKET_OUTGOING)
			port->seen[frame[offset]]++;
		size = sizeof(from);
	}
	assert_int_equal(errno, EAGAIN);
	return port->seen[number];
}

unsigned lab_seen(struct lab_port *port, uint8_t number)
{
	return lab_seen_at(port, number, ETH_HLEN);
}

/* What the two processes share. */
struct lab_stream {
	atomic_bool stop;
	atomic_uint sent;
	pid_t sender;
};

static _Noreturn void stream_run(struct lab_stream *stream, const struct lab_port *port, uint8_t number)
{
	const struct timespec pause = {.tv_nsec = 20000};
	uint8_t frame[ETH_ZLEN];
	cpu_set_t any;

	memset(&any, 0xff, sizeof(any));
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails leaves nobody behind */
	(void)sched_setaffinity(0, sizeof(any), &any);
	frame_make(frame, port->mac, lab_broadcast, number);
	while (!atomic_load(&stream->stop)) {
		if (send(port->fd, frame, sizeof(frame), 0) == sizeof(frame))
			atomic_fetch_add(&stream->sent, 1);
		(void)nanosleep(&pause, NULL);
	}
	_exit(0);
}

struct lab_stream *lab_stream_start(const struct lab_port *port, uint8_t number)
{
	struct lab_stream *stream =
	    mmap(NULL, sizeof(*stream), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid;

	assert_true(stream != MAP_FAILED);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		stream_run(stream, port, number);
	stream->sender = pid;
	return stream;
}

unsigned lab_stream_stop(struct lab_stream *stream)
{
	unsigned sent;
	int status;

	atomic_store(&stream->stop, true);
	assert_int_equal(waitpid(stream->sender, &status, 0), stream->sender);
	assert_int_equal(status, 0);
	sent = atomic_load(&stream->sent);
	munmap(stream, sizeof(*stream));
	return sent;
}
