/* SPDX-License-Identifier: ISC */
/*
 * lacp_host.h - what Open vSwitch, Linux bonding and teamd do with LACP, as far as a partner can see: small
 * models of a host with one port of a bond, written from their observable behaviour and not from our
 *machines.
 *
 *	Open vSwitch  in sync as long as it knows a partner; Collecting and Distributing always; carries data
 *when the partner is in sync; answers a PDU that has its activity, timeout, sync, aggregation or identity
 *wrong. teamd         the same, but answers a PDU that has anything of it wrong. bonding       works every
 *100 ms; waits 2 s before it announces sync; sets Collecting and Distributing when the partner is in sync and
 *has its identity right; stays in sync when the partner leaves it; three PDUs a second.
 */
#ifndef TESTS_UNIT_LACP_HOST_H
#define TESTS_UNIT_LACP_HOST_H

#include "core/lacpdu.h"

#define HOST_KINDS(X) X(HOST_OVS, "ovs", "") X(HOST_TEAMD, "teamd", "") X(HOST_BONDING, "bonding", "")
TYPES_DECLARE(host_kind, HOST_KINDS, HOST_KIND_COUNT)

enum host_status { HOST_DEFAULTED, HOST_EXPIRED, HOST_CURRENT };

struct lacp_host {
	enum host_kind kind;
	bool active, fast, individual;
	enum host_status status;
	struct lacp_info us, them;
	int64_t lost_at, send_at;
	bool owes; /* a PDU */
	/* bonding only */
	bool selected, matched;
	int64_t attach_at; /* 0 = not waiting */
	bool attached, carries;
	int64_t budget_at;
	int budget;
};

/* The port comes up. */
void host_start(struct lacp_host *h, int64_t now);
void host_receive(struct lacp_host *h, int64_t now, const struct lacpdu *pdu);
/* Call every millisecond. True: *pdu leaves. */
bool host_run(struct lacp_host *h, int64_t now, struct lacpdu *pdu);
/* The bond sends and receives data on this port. */
bool host_carries(const struct lacp_host *h);

#endif
