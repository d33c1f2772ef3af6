/* SPDX-License-Identifier: ISC */
/*
 * A socket belongs for ever to the namespace it was made in: enter, make the sockets, return. Port numbers:
 * flow i of a UDP endpoint uses `port + i` on both ends; a broadcast is sent to `port` from `port + 1 +
 * flow`, so that a hash over addresses and ports spreads the flows.
 */
#include "endpoint.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/sock_diag.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define RECEIVE_BUFFER (16 << 20)

/* Ethernet, IPv4 and UDP header of a broadcast, as they go on the wire. */
struct headers {
	struct ethhdr ether;
	struct iphdr ip;
	struct udphdr udp;
} __attribute__((packed));

struct endpoint {
	uint32_t count;
	int *fds;
	int raw;                 /* packet socket, not UDP */
	uint16_t port;           /* raw: destination port */
	struct headers template; /* raw */
	struct sockaddr_ll to;   /* raw */
};

/* Enter a namespace and return an fd of the one left, or -1 with the reason. */
static int enter(const char *netns, char *why, size_t why_size)
{
	char path[256];
	int back, there;

	snprintf(path, sizeof(path), strchr(netns, '/') ? "%s" : "/run/netns/%s", netns);
	back = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	there = open(path, O_RDONLY | O_CLOEXEC);
	if (back < 0 || there < 0 || setns(there, CLONE_NEWNET) < 0) {
		snprintf(why, why_size, "namespace %s: %s", path, strerror(errno));
		if (back >= 0)
			close(back);
		back = -1;
	}
	if (there >= 0)
		close(there);
	return back;
}

static void leave(int back)
{
	if (setns(back, CLONE_NEWNET) < 0)
		abort();
	close(back);
}

static struct endpoint *endpoint_new(uint32_t count)
{
	struct endpoint *endpoint = calloc(1, sizeof(*endpoint));

	if (!endpoint || !(endpoint->fds = malloc(count * sizeof(int))))
		abort();
	endpoint->count = count;
	for (uint32_t i = 0; i < count; i++)
		endpoint->fds[i] = -1;
	return endpoint;
}

void endpoint_close(struct endpoint *endpoint)
{
	if (!endpoint)
		return;
	for (uint32_t i = 0; i < endpoint->count; i++)
		if (endpoint->fds[i] >= 0)
			close(endpoint->fds[i]);
	free(endpoint->fds);
	free(endpoint);
}

static int large_buffer(int fd)
{
	int size = RECEIVE_BUFFER;

	return setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
}

/* An address and port of either family. */
union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

static socklen_t parse_address(union address *address, const char *text, uint16_t port)
{
	memset(address, 0, sizeof(*address));
	if (inet_pton(AF_INET, text, &address->v4.sin_addr) == 1) {
		address->v4.sin_family = AF_INET;
		address->v4.sin_port = htons(port);
		return sizeof(address->v4);
	}
	if (inet_pton(AF_INET6, text, &address->v6.sin6_addr) == 1) {
		address->v6.sin6_family = AF_INET6;
		address->v6.sin6_port = htons(port);
		return sizeof(address->v6);
	}
	return 0;
}

static int udp_socket(const char *address, const char *peer, uint16_t port)
{
	union address from, to;
	socklen_t length = parse_address(&from, address, port);
	int fd, saved;

	if (length == 0 || parse_address(&to, peer, port) != length) {
		errno = EINVAL;
		return -1;
	}
	fd = socket(from.any.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	if (large_buffer(fd) < 0 || bind(fd, &from.any, length) < 0 || connect(fd, &to.any, length) < 0) {
		saved = errno;
		close(fd);
		errno = saved;
		return -1;
	}
	return fd;
}

struct endpoint *endpoint_udp(const char *netns, const char *address, const char *peer, uint16_t port,
			      uint32_t flows, char *why, size_t why_size)
{
	struct endpoint *endpoint;
	int back = enter(netns, why, why_size);

	if (back < 0)
		return NULL;
	endpoint = endpoint_new(flows);
	for (uint32_t i = 0; i < flows; i++) {
		endpoint->fds[i] = udp_socket(address, peer, (uint16_t)(port + i));
		if (endpoint->fds[i] < 0) {
			snprintf(why, why_size, "%s: %s to %s, port %u: %s", netns, address, peer, port + i,
				 strerror(errno));
			endpoint_close(endpoint);
			endpoint = NULL;
			break;
		}
	}
	leave(back);
	return endpoint;
}

/* Only broadcast UDP to our port comes in; frames the host sends itself never do (bound to one protocol). */
static int filter(int fd, uint16_t port)
{
	struct sock_filter program[] = {
	    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0xffffffff, 0, 8),
	    BPF_STMT(BPF_LD | BPF_B | BPF_ABS, ETH_HLEN + 9),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_UDP, 0, 6),
	    BPF_STMT(BPF_LD | BPF_B | BPF_ABS, ETH_HLEN),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x45, 0, 4),
	    BPF_STMT(BPF_LD | BPF_H | BPF_ABS, ETH_HLEN + 20 + 2),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, port, 0, 2),
	    BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0),
	    BPF_STMT(BPF_RET | BPF_A, 0),
	    BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog attach = {.len = sizeof(program) / sizeof(program[0]), .filter = program};

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &attach, sizeof(attach));
}

static int raw_socket(struct endpoint *endpoint, const char *iface, uint16_t port)
{
	struct ifreq hardware = {0}, address = {0};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	endpoint->fds[0] = fd;
	endpoint->to = (struct sockaddr_ll){
	    .sll_family = AF_PACKET,
	    .sll_protocol = htons(ETH_P_IP),
	    .sll_ifindex = (int)if_nametoindex(iface),
	};
	snprintf(hardware.ifr_name, sizeof(hardware.ifr_name), "%s", iface);
	snprintf(address.ifr_name, sizeof(address.ifr_name), "%s", iface);
	if (endpoint->to.sll_ifindex == 0 || large_buffer(fd) < 0 || filter(fd, port) < 0 ||
	    bind(fd, (struct sockaddr *)&endpoint->to, sizeof(endpoint->to)) < 0 ||
	    ioctl(fd, SIOCGIFHWADDR, &hardware) < 0)
		return -1;
	/* A cable that is only listened to has no address: it stays 0.0.0.0 then. */
	(void)ioctl(fd, SIOCGIFADDR, &address);
	memset(endpoint->template.ether.h_dest, 0xff, ETH_ALEN);
	memcpy(endpoint->template.ether.h_source, hardware.ifr_hwaddr.sa_data, ETH_ALEN);
	endpoint->template.ether.h_proto = htons(ETH_P_IP);
	endpoint->template.ip = (struct iphdr){
	    .version = 4,
	    .ihl = 5,
	    .ttl = 64,
	    .protocol = IPPROTO_UDP,
	    .saddr = ((struct sockaddr_in *)&address.ifr_addr)->sin_addr.s_addr,
	    .daddr = INADDR_BROADCAST,
	};
	return 0;
}

struct endpoint *endpoint_raw(const char *netns, const char *iface, uint16_t port, char *why, size_t why_size)
{
	struct endpoint *endpoint;
	int back = enter(netns, why, why_size);

	if (back < 0)
		return NULL;
	endpoint = endpoint_new(1);
	endpoint->raw = 1;
	endpoint->port = port;
	if (raw_socket(endpoint, iface, port) < 0) {
		snprintf(why, why_size, "%s: interface %s: %s", netns, iface, strerror(errno));
		endpoint_close(endpoint);
		endpoint = NULL;
	}
	leave(back);
	return endpoint;
}

uint32_t endpoint_count(const struct endpoint *endpoint)
{
	return endpoint->count;
}

int endpoint_fd(const struct endpoint *endpoint, uint32_t socket)
{
	return endpoint->fds[socket];
}

static uint16_t ip_checksum(const struct iphdr *ip)
{
	const unsigned char *bytes = (const unsigned char *)ip;
	uint32_t sum = 0;

	for (size_t i = 0; i < sizeof(*ip); i += 2)
		sum += (uint32_t)(bytes[i] << 8 | bytes[i + 1]);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

int endpoint_send(const struct endpoint *endpoint, uint32_t flow, const struct mark *mark, size_t size)
{
	unsigned char frame[sizeof(struct headers) + ENDPOINT_PAYLOAD_MAX] = {0};
	struct headers *headers = (struct headers *)frame;
	struct iphdr ip;
	ssize_t sent;

	memcpy(frame + sizeof(*headers), mark, sizeof(*mark));
	if (!endpoint->raw) {
		sent = send(endpoint->fds[flow], frame + sizeof(*headers), size, 0);
		return sent < 0 ? -errno : 0;
	}
	*headers = endpoint->template;
	ip = endpoint->template.ip;
	ip.tot_len = htons((uint16_t)(sizeof(ip) + sizeof(headers->udp) + size));
	ip.check = ip_checksum(&ip);
	headers->ip = ip;
	headers->udp.source = htons((uint16_t)(endpoint->port + 1 + flow));
	headers->udp.dest = htons(endpoint->port);
	headers->udp.len = htons((uint16_t)(sizeof(headers->udp) + size));
	sent = sendto(endpoint->fds[0], frame, sizeof(*headers) + size, 0,
		      (const struct sockaddr *)&endpoint->to, sizeof(endpoint->to));
	return sent < 0 ? -errno : 0;
}

uint32_t endpoint_receive(const struct endpoint *endpoint, uint32_t socket, struct mark marks[ENDPOINT_BATCH],
			  int *more)
{
	unsigned char data[ENDPOINT_BATCH][sizeof(struct headers) + sizeof(struct mark)];
	struct mmsghdr messages[ENDPOINT_BATCH] = {0};
	struct iovec parts[ENDPOINT_BATCH];
	size_t skip = endpoint->raw ? sizeof(struct headers) : 0;
	uint32_t found = 0;
	int got;

	for (size_t i = 0; i < ENDPOINT_BATCH; i++) {
		parts[i] = (struct iovec){.iov_base = data[i], .iov_len = sizeof(data[i])};
		messages[i].msg_hdr = (struct msghdr){.msg_iov = &parts[i], .msg_iovlen = 1};
	}
	got = recvmmsg(endpoint->fds[socket], messages, ENDPOINT_BATCH, MSG_DONTWAIT, NULL);
	*more = got == ENDPOINT_BATCH || (got < 0 && errno != EAGAIN);
	for (int i = 0; i < got; i++) {
		if (messages[i].msg_len < skip + sizeof(struct mark))
			continue;
		memcpy(&marks[found], data[i] + skip, sizeof(struct mark));
		if (marks[found].magic == MARK_MAGIC)
			found++;
	}
	return found;
}

uint64_t endpoint_dropped(const struct endpoint *endpoint)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < endpoint->count; i++) {
		uint32_t memory[SK_MEMINFO_VARS] = {0};
		socklen_t length = sizeof(memory);

		if (getsockopt(endpoint->fds[i], SOL_SOCKET, SO_MEMINFO, memory, &length) == 0)
			sum += memory[SK_MEMINFO_DROPS];
	}
	return sum;
}
