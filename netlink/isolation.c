/* SPDX-License-Identifier: ISC */
/*
 * isolation - what may pass the bridge: making the table, changing it, keeping it.
 *
 * Three ways to put it in, each one transaction:
 *   replace  delete the table and make it: when nothing is to be kept, or what is there is not our shape;
 *   update   flush the chains and write the rules anew, take out of the sets only what does not belong there:
 *            an element that stays is never out of its set, so a forwarding leg loses no frame;
 *   change   elements only. "delete" of an absent element fails the transaction, so each delete stands behind
 *            an "add" of the same element: both are idempotent, and nobody sees the state between.
 *
 * Others may touch the table: "nft flush ruleset" is the first line of many a firewall's configuration. The
 * kernel tells of every change in its nftables group, our own included, and does not say whose it was in a
 * way that could be trusted. So whatever it tells of our table, the table is read back and compared with what
 * it should be: the elements by leg, everything else with what the kernel told right after we had made it.
 * If it differs it is replaced. Somebody who keeps destroying it gets REPAIRS_AT_ONCE answers at once and as
 * many per AGAIN_MS after that, so that the two of us cannot keep the daemon from its other work.
 */
#include "netlink/isolation.h"
#include "netlink/internal.h"
#include "netlink/isolation_table.h"
#include <ctype.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <nftables/libnftables.h>
#include <string.h>

#define WATCH_BUFFER    (1 << 20) /* bytes; a flush of some thousand rules. Past that we look all the same */
#define WATCH_BUDGET    256
#define REPAIRS_AT_ONCE 8
#define AGAIN_MS        100

/* --- keep it ------------------------------------------------------------------------------------ */

/* 1: the table is as it is to be, and `rules` is what it says besides its elements. 0: it is not, or there is
 * none. Or -errno. */
static int table_as_wished(const struct isolation *i, char **rules, char *err, size_t errlen)
{
	struct table_found found = {.rows = zalloc((i->leg_count + 1) * sizeof(*found.rows))};
	int error = table_read(i, &found, NULL, err, errlen);
	int so = !error && !found.odd && found.strangers == 0 && found.members == i->leg_count;

	if (error && error != -ENOENT)
		so = error;
	for (size_t leg = 0; so == 1 && leg <= i->leg_count; leg++) {
		so = found.rows[leg].forwarding == i->legs[leg].forwarding &&
		     found.rows[leg].isolated == i->legs[leg].isolated;
	}
	free(found.rows);
	if (so == 1)
		*rules = found.rules;
	else
		free(found.rules);
	return so;
}

/* Remember how the kernel tells our rules; when somebody was faster than we are, the next look finds it. */
static void rules_take(struct isolation *i)
{
	free(i->rules);
	i->rules = NULL;
	if (table_as_wished(i, &i->rules, NULL, 0) != 1)
		i->suspect = true;
}

static int table_repair(struct isolation *i, char *err, size_t errlen)
{
	int error = table_replace(i, err, errlen);

	if (error) {
		i->counters.failures++;
		return error;
	}
	i->counters.repairs++;
	rules_take(i);
	i->handler->repaired(i->handler);
	return 0;
}

static void watch_again(struct isolation *i)
{
	const struct timeval later = {.tv_usec = AGAIN_MS * 1000};

	must(event_add(i->again, &later));
}

static void watch_look(struct isolation *i)
{
	char text[256] = "";
	char *rules = NULL;
	int so;

	if (!i->suspect || i->burst >= REPAIRS_AT_ONCE)
		return;
	i->suspect = false;
	i->counters.looks++;
	so = table_as_wished(i, &rules, text, sizeof(text));
	if (so == 1 && (!i->rules || strcmp(rules, i->rules) != 0))
		so = 0;
	free(rules);
	if (so == 1)
		return;
	if (i->burst++ == 0)
		watch_again(i);
	if (so == 0)
		so = table_repair(i, text, sizeof(text));
	if (so < 0) {
		i->suspect = true;
		i->burst = REPAIRS_AT_ONCE; /* not before `again` is due */
		i->handler->failed(i->handler, so, text);
	}
}

static void watch_again_due(evutil_socket_t fd, short what, void *arg)
{
	struct isolation *i = arg;

	(void)fd;
	(void)what;
	i->burst = 0;
	watch_look(i);
}

/* The first attribute of every nftables message that is about a table names it. */
_Static_assert(NFTA_TABLE_NAME == 1 && NFTA_CHAIN_TABLE == 1 && NFTA_RULE_TABLE == 1 && NFTA_SET_TABLE == 1 &&
		   NFTA_SET_ELEM_LIST_TABLE == 1,
	       "the table's name is attribute 1");

static void watch_message(struct netlink_listener_handler *heard, const struct nlmsghdr *header)
{
	struct isolation *i = OWNER_OF(heard, struct isolation, heard);
	const struct nfgenmsg *message = (const void *)((const uint8_t *)header + NLMSG_HDRLEN);
	const struct nlattr *name;

	if (NFNL_SUBSYS_ID(header->nlmsg_type) != NFNL_SUBSYS_NFTABLES ||
	    header->nlmsg_len < NLMSG_HDRLEN + sizeof(*message) || message->nfgen_family != NFPROTO_BRIDGE)
		return;
	name = nla_find(nlmsg_attrdata(header, sizeof(*message)), nlmsg_attrlen(header, sizeof(*message)),
			NFTA_TABLE_NAME);
	if (!name || nla_len(name) <= 0 || strncmp(nla_data(name), i->table, (size_t)nla_len(name)) != 0)
		return;
	i->suspect = true;
}

static void watch_turn(struct netlink_listener_handler *heard)
{
	watch_look(OWNER_OF(heard, struct isolation, heard));
}

static void watch_overrun(struct netlink_listener_handler *heard)
{
	struct isolation *i = OWNER_OF(heard, struct isolation, heard);

	i->counters.overruns++;
	i->suspect = true;
	watch_look(i);
}

static void watch_end(struct isolation *i)
{
	netlink_listener_close(i->listener);
	if (i->again)
		event_free(i->again);
	free(i->rules);
	i->listener = NULL;
	i->again = NULL;
	i->rules = NULL;
	i->handler = NULL;
}

int isolation_watch(struct isolation *i, struct event_base *base, struct isolation_handler *handler,
		    char *err, size_t errlen)
{
	static const struct netlink_listener_config config = {.protocol = NETLINK_NETFILTER,
							      .group = NFNLGRP_NFTABLES,
							      .priority = NETLINK_PRIORITY_LINK,
							      .receive_buffer = WATCH_BUFFER,
							      .budget = WATCH_BUDGET};
	int error;

	i->heard = (struct netlink_listener_handler){
	    .message = watch_message, .turn = watch_turn, .overrun = watch_overrun};
	error = netlink_listener_open(&i->listener, base, &config, &i->heard, err, errlen);
	if (error)
		return error;
	i->handler = handler;
	i->again = event_new(base, -1, 0, watch_again_due, i);
	must(!i->again || event_priority_set(i->again, NETLINK_PRIORITY_LINK));
	rules_take(i);
	if (i->suspect)
		watch_again(i); /* told from the loop */
	return 0;
}

struct isolation_counters isolation_counters(const struct isolation *i)
{
	return i->counters;
}

/* --- open --------------------------------------------------------------------------------------- */

/* Keep what the kernel's table says, and bring the rest to our shape. */
static int table_adopt(struct isolation *i, char *err, size_t errlen)
{
	struct table_found found = {.rows = i->legs};
	struct script s;
	int error;

	script_begin(&s);
	error = table_read(i, &found, s.out, err, errlen);
	if (error) {
		must(fclose(s.out));
		free(s.text);
		return error;
	}
	i->adopted = true;
	script_flush(s.out, i);
	script_table(s.out, i);
	error = script_run(&s, i, NULL, 0);
	/* made by another version, or by hand: the same elements in a new table, in one transaction as well
	 */
	if (error || found.odd)
		error = table_replace(i, err, errlen);
	free(found.rules);
	return error;
}

static bool table_name_valid(const char *name)
{
	size_t length = strnlen(name, TABLE_NAME_SIZE);

	if (length == 0 || length >= TABLE_NAME_SIZE || !isalpha((unsigned char)name[0]))
		return false;
	for (size_t n = 0; n < length; n++) {
		if (!isalnum((unsigned char)name[n]) && name[n] != '_')
			return false;
	}
	return true;
}

static int config_check(const struct isolation_config *config, char *err, size_t errlen)
{
	const struct isolation_control *c = &config->control;

	if (!table_name_valid(config->table)) {
		netlink_explain(err, errlen, "not a name for an nftables table");
		return -EINVAL;
	}
	if (config->leg_count > ISOLATION_LEGS_MAX) {
		netlink_explain(err, errlen, "more than %d legs", ISOLATION_LEGS_MAX);
		return -EINVAL;
	}
	if (!c->confine)
		return 0;
	if (c->own_count == 0 || c->own_count > ISOLATION_ADDRESSES_MAX ||
	    c->peer_count > ISOLATION_ADDRESSES_MAX || !c->session_port || !c->keepalive_port ||
	    (c->discovery && !c->discovery_port)) {
		netlink_explain(err, errlen, "control traffic to confine needs 1..%d addresses and its ports",
				ISOLATION_ADDRESSES_MAX);
		return -EINVAL;
	}
	return 0;
}

static int leg_name(struct isolation *i, size_t leg, const char *ifname, char *err, size_t errlen)
{
	if (!netlink_ifname_valid(ifname)) {
		netlink_explain(err, errlen, "not an interface name: leg %zu of %zu", leg + 1, i->leg_count);
		return -EINVAL;
	}
	for (size_t n = 0; n < leg; n++) {
		if (!strcmp(i->legs[n].ifname, ifname)) {
			netlink_explain(err, errlen, "%s is there twice", ifname);
			return -EINVAL;
		}
	}
	memcpy(i->legs[leg].ifname, ifname, strlen(ifname));
	return 0;
}

static int names_copy(struct isolation *i, const struct isolation_config *config, char *err, size_t errlen)
{
	int error = 0;

	memcpy(i->table, config->table, strlen(config->table));
	i->control = config->control;
	i->leg_count = config->leg_count;
	i->legs = zalloc((config->leg_count + 1) * sizeof(*i->legs));
	for (size_t leg = 0; !error && leg < config->leg_count; leg++)
		error = leg_name(i, leg, config->legs[leg], err, errlen);
	return error ? error : leg_name(i, config->leg_count, config->peer_link, err, errlen);
}

static int isolation_make(struct isolation **out, const struct isolation_config *config, char *err,
			  size_t errlen)
{
	struct isolation *i;
	int error = config_check(config, err, errlen);

	if (error)
		return error;
	i = zalloc(sizeof(*i));
	error = names_copy(i, config, err, errlen);
	if (error) {
		isolation_close(i);
		return error;
	}
	i->nft = nft_ctx_new(NFT_CTX_DEFAULT);
	must(!i->nft || nft_ctx_buffer_output(i->nft) || nft_ctx_buffer_error(i->nft));
	/* no counters in what is read back: they change */
	nft_ctx_output_set_flags(i->nft, NFT_CTX_OUTPUT_STATELESS);
	*out = i;
	return 0;
}

int isolation_open(struct isolation **out, const struct isolation_config *config, char *err, size_t errlen)
{
	struct isolation *i;
	int error = isolation_make(&i, config, err, errlen);

	if (error)
		return error;
	error = config->adopt ? table_exists(i, err, errlen) : 0;
	if (error == 1)
		error = table_adopt(i, err, errlen);
	else if (error == 0)
		error = table_replace(i, err, errlen);
	if (error) {
		isolation_close(i);
		return error;
	}
	*out = i;
	return 0;
}

int isolation_guard(const struct isolation_config *config, char *err, size_t errlen)
{
	struct isolation *i;
	struct script s;
	int error = isolation_make(&i, config, err, errlen);

	if (error)
		return error;
	error = config->adopt ? table_exists(i, err, errlen) : 0;
	if (error == 1) {
		script_begin(&s);
		script_legs(s.out, i);
		error = script_run(&s, i, err, errlen);
	} else if (error == 0) {
		error = table_replace(i, err, errlen);
	}
	isolation_close(i);
	return error;
}

void isolation_close(struct isolation *i)
{
	if (!i)
		return;
	watch_end(i);
	if (i->nft)
		nft_ctx_free(i->nft);
	free(i->legs);
	free(i);
}

int isolation_remove(struct isolation *i, char *err, size_t errlen)
{
	char command[2 * TABLE_NAME_SIZE + 64];

	(void)snprintf(command, sizeof(command), "add table bridge %s\ndelete table bridge %s\n", i->table,
		       i->table);
	watch_end(i);
	return table_run(i, command, err, errlen);
}

bool isolation_was_adopted(const struct isolation *i)
{
	return i->adopted;
}

int isolation_adopted(struct isolation *i, struct isolation_leg *rows, char *err, size_t errlen)
{
	size_t size = (i->leg_count + 1) * sizeof(*rows);
	struct isolation_leg *found = zalloc(size);
	struct table_found r = {.rows = found};
	int error = table_exists(i, err, errlen);

	for (size_t leg = 0; leg <= i->leg_count; leg++)
		memcpy(found[leg].ifname, i->legs[leg].ifname, IFNAMSIZ);
	if (error == 0) {
		netlink_explain(err, errlen, "there is no table bridge %s", i->table);
		error = -ENOENT;
	} else if (error == 1) {
		error = table_read(i, &r, NULL, err, errlen);
	}
	if (!error)
		memcpy(rows, found, size);
	free(r.rules);
	free(found);
	return error;
}

/* --- change ------------------------------------------------------------------------------------- */

/* What is to become of one leg in one set. */
enum wish {
	WISH_NONE,
	WISH_IN,
	WISH_OUT,
};

struct wishes {
	enum wish in[SETS];
};

/* Names of the legs with a wish for `set`, as elements: those to leave only, or all. */
static void script_elements(FILE *out, const struct isolation *i, const struct wishes *wishes, enum set set,
			    bool leaving)
{
	const char *separator = "";

	for (size_t leg = 0; leg <= i->leg_count; leg++) {
		enum wish wish = wishes[leg].in[set];

		if (wish == WISH_NONE || (leaving && wish != WISH_OUT))
			continue;
		if (!*separator)
			fprintf(out, "%s element bridge %s %s {", leaving ? "delete" : "add", i->table,
				table_set_names[set]);
		fprintf(out, "%s \"%s\"", separator, i->legs[leg].ifname);
		separator = ",";
	}
	if (*separator)
		fprintf(out, " }\n");
}

/* What is wished is what is to be from now on. */
static void wishes_keep(struct isolation *i, const struct wishes *wishes)
{
	for (size_t leg = 0; leg <= i->leg_count; leg++) {
		if (wishes[leg].in[SET_FORWARDING] != WISH_NONE)
			i->legs[leg].forwarding = wishes[leg].in[SET_FORWARDING] == WISH_IN;
		if (wishes[leg].in[SET_ISOLATED] != WISH_NONE)
			i->legs[leg].isolated = wishes[leg].in[SET_ISOLATED] == WISH_IN;
	}
}

/* Somebody took the table away, and we have not yet been told: make it as it is to be with this change. */
static int wishes_remake(struct isolation *i, const struct wishes *wishes, char *err, size_t errlen)
{
	size_t size = (i->leg_count + 1) * sizeof(*i->legs);
	struct isolation_leg *before = zalloc(size);
	int error;

	memcpy(before, i->legs, size);
	wishes_keep(i, wishes);
	error = table_repair(i, err, errlen);
	if (error)
		memcpy(i->legs, before, size);
	free(before);
	return error;
}

static int wishes_run(struct isolation *i, const struct wishes *wishes, char *err, size_t errlen)
{
	struct script s;
	int error;

	script_begin(&s);
	for (int set = SET_FORWARDING; set < SETS; set++) {
		script_elements(s.out, i, wishes, (enum set)set, false);
		script_elements(s.out, i, wishes, (enum set)set, true);
	}
	error = script_run(&s, i, err, errlen);
	if (error == -ENOENT && i->handler)
		return wishes_remake(i, wishes, err, errlen);
	if (!error)
		wishes_keep(i, wishes);
	return error;
}

static int unknown_leg(const char *ifname, char *err, size_t errlen)
{
	netlink_explain(err, errlen, "%.*s is not a leg of the configuration", IFNAMSIZ, ifname);
	return -ENODEV;
}

static int wish_one(struct isolation *i, enum set set, size_t leg, bool in, char *err, size_t errlen)
{
	struct wishes *wishes = zalloc((i->leg_count + 1) * sizeof(*wishes));
	int error;

	wishes[leg].in[set] = in ? WISH_IN : WISH_OUT;
	error = wishes_run(i, wishes, err, errlen);
	free(wishes);
	return error;
}

int isolation_forward(struct isolation *i, const char *ifname, bool forward, char *err, size_t errlen)
{
	size_t leg = table_leg(i, ifname);

	if (leg > i->leg_count)
		return unknown_leg(ifname, err, errlen);
	return wish_one(i, SET_FORWARDING, leg, forward, err, errlen);
}

int isolation_isolate(struct isolation *i, const char *ifname, bool isolate, char *err, size_t errlen)
{
	size_t leg = table_leg(i, ifname);

	if (leg >= i->leg_count)
		return unknown_leg(ifname, err, errlen);
	return wish_one(i, SET_ISOLATED, leg, isolate, err, errlen);
}

int isolation_set(struct isolation *i, const struct isolation_leg *rows, size_t count, char *err,
		  size_t errlen)
{
	struct wishes *wishes = zalloc((i->leg_count + 1) * sizeof(*wishes));
	int error = 0;

	for (size_t n = 0; !error && n < count; n++) {
		size_t leg = table_leg(i, rows[n].ifname);

		if (leg > i->leg_count || (leg == i->leg_count && rows[n].isolated)) {
			error = unknown_leg(rows[n].ifname, err, errlen);
			break;
		}
		wishes[leg].in[SET_FORWARDING] = rows[n].forwarding ? WISH_IN : WISH_OUT;
		if (leg < i->leg_count)
			wishes[leg].in[SET_ISOLATED] = rows[n].isolated ? WISH_IN : WISH_OUT;
	}
	if (!error && count)
		error = wishes_run(i, wishes, err, errlen);
	free(wishes);
	return error;
}
