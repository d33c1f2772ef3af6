/* SPDX-License-Identifier: ISC */
/*
 * lacpdu - the slow protocols of one port.
 *
 * SOCK_RAW, so that the source address of a frame that came is seen and that of a frame that goes is the
 * port's. The kernel filters: the subtype, and frames this leaf sent itself. Membership of the group outlives
 * a port that goes down; the socket only tells ENETDOWN once and works again by itself when the port is up.
 */
#include "netlink/lacpdu.h"
#include "netlink/internal.h"
#include "netlink/rtnetlink.h"
#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SUBTYPE_LACP   1 /* IEEE 802.3 Annex 57A.4 */
#define SUBTYPE_MARKER 2
#define FRAMES_A_TURN  16

static const uint8_t group[ETH_ALEN] = {0x01, 0x80, 0xc2, 0x00, 0x00, 0x02};

struct lacpdu_socket {
	struct lacpdu_handler *handler;
	struct lacpdu_counters counters;
	struct event *event;
	int fd;
	uint8_t mac[ETH_ALEN];
	uint8_t frame[ETH_HLEN + LACPDU_MAX];
};

static void lacpdu_frame(struct lacpdu_socket *l, size_t length)
{
	const struct ethhdr *header = (const void *)l->frame;

	if (length <= ETH_HLEN || length > sizeof(l->frame)) {
		l->counters.refused++;
		return;
	}
	l->counters.received++;
	l->handler->received(l->handler, header->h_source, l->frame + ETH_HLEN, length - ETH_HLEN);
}

static void lacpdu_readable(evutil_socket_t fd, short what, void *arg)
{
	struct lacpdu_socket *l = arg;

	(void)what;
	for (int i = 0; i < FRAMES_A_TURN; i++) {
		/* MSG_TRUNC: the length the frame had, so that one cut short is seen */
		ssize_t n = TEMP_FAILURE_RETRY(recv(fd, l->frame, sizeof(l->frame), MSG_TRUNC));

		if (n >= 0) {
			lacpdu_frame(l, (size_t)n);
		} else if (errno == EAGAIN) {
			return;
		} else {
			l->counters.errors++;
			l->handler->down(l->handler, -errno);
			return;
		}
	}
}

static int filter_attach(int fd)
{
	/* offsets count from the Ethernet header; loads past a frame's end refuse it */
	struct sock_filter code[] = {
	    BPF_STMT(BPF_LD | BPF_B | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_PKTTYPE)),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PACKET_OUTGOING, 4, 0),
	    BPF_STMT(BPF_LD | BPF_B | BPF_ABS, ETH_HLEN),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SUBTYPE_LACP, 1, 0),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SUBTYPE_MARKER, 0, 1),
	    BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
	    BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog program = {.len = sizeof(code) / sizeof(code[0]), .filter = code};

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
}

/* The filter goes on before bind(): no frame of another kind or port is ever queued. */
static int socket_prepare(int fd, int ifindex)
{
	struct sockaddr_ll self = {
	    .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_SLOW), .sll_ifindex = ifindex};
	struct packet_mreq member = {
	    .mr_ifindex = ifindex, .mr_type = PACKET_MR_MULTICAST, .mr_alen = ETH_ALEN};

	memcpy(member.mr_address, group, ETH_ALEN);
	if (filter_attach(fd) || bind(fd, (struct sockaddr *)&self, sizeof(self)) ||
	    setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &member, sizeof(member)))
		return -errno;
	return 0;
}

int lacpdu_open(struct lacpdu_socket **out, struct event_base *base, int ifindex, const uint8_t mac[6],
		struct lacpdu_handler *handler, char *err, size_t errlen)
{
	struct lacpdu_socket *l;
	int error;
	int fd;

	if (event_base_get_npriorities(base) < NETLINK_PRIORITIES) {
		netlink_explain(err, errlen, "the event base has not %d priorities", NETLINK_PRIORITIES);
		return -EINVAL;
	}
	/* protocol 0: hears nothing until it is bound */
	fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	error = fd < 0 ? -errno : socket_prepare(fd, ifindex);
	if (error) {
		netlink_explain(err, errlen, "slow protocols on interface %d: %s", ifindex, strerror(-error));
		if (fd >= 0)
			close(fd);
		return error;
	}
	l = zalloc(sizeof(*l));
	l->handler = handler;
	l->fd = fd;
	lacpdu_set_source(l, mac);
	l->event = event_new(base, fd, EV_READ | EV_PERSIST, lacpdu_readable, l);
	must(!l->event || event_priority_set(l->event, NETLINK_PRIORITY_LINK) || event_add(l->event, NULL));
	*out = l;
	return 0;
}

void lacpdu_close(struct lacpdu_socket *l)
{
	if (!l)
		return;
	event_free(l->event);
	close(l->fd);
	free(l);
}

void lacpdu_set_source(struct lacpdu_socket *l, const uint8_t mac[6])
{
	memcpy(l->mac, mac, sizeof(l->mac));
}

int lacpdu_send(struct lacpdu_socket *l, const uint8_t *payload, size_t length)
{
	uint8_t frame[ETH_HLEN + LACPDU_MAX] = {0};
	struct ethhdr *header = (void *)frame;
	size_t size = ETH_HLEN + length;

	if (length == 0 || length > LACPDU_MAX)
		return -EMSGSIZE;
	memcpy(header->h_dest, group, ETH_ALEN);
	memcpy(header->h_source, l->mac, ETH_ALEN);
	header->h_proto = htons(ETH_P_SLOW);
	memcpy(frame + ETH_HLEN, payload, length);
	if (size < ETH_ZLEN)
		size = ETH_ZLEN;
	if (TEMP_FAILURE_RETRY(send(l->fd, frame, size, 0)) < 0) {
		l->counters.errors++;
		return -errno;
	}
	l->counters.sent++;
	return 0;
}

struct lacpdu_counters lacpdu_counters(const struct lacpdu_socket *l)
{
	return l->counters;
}
