/* SPDX-License-Identifier: ISC */
/*
 * isolation - what may pass the bridge.
 *
 * The whole table is one text, made from the configuration and from what each leg is to be (script_table),
 * and handed to libnftables as one transaction. Three ways to put it in: replace  delete the table and make
 * it: when nothing is to be kept, or what is there is not our shape; update   flush the chains and write the
 * rules anew, take out of the sets only what does not belong there: an element that stays is never out of its
 * set, so a forwarding leg loses no frame; change   elements only. "delete" of an absent element fails the
 * transaction, so each delete stands behind an "add" of the same element: both are idempotent, and nobody
 * sees the state between.
 *
 * Why the hooks are these (net/bridge/br_input.c, br_forward.c):
 *   prerouting   before br_handle_frame_finish() learns the source address; link-local group frames do not
 * come here; postrouting  bridged and locally made frames, but it does not know the input port: so the split
 * horizon stands in forward      which sees both ports, and bridged frames only: a closed peer link still
 * serves the leaf itself; output       the leaf's own frames, once per port when the bridge floods them.
 */
#include "netlink/isolation.h"
#include "netlink/internal.h"
#include "netlink/rtnetlink.h"
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <nftables/libnftables.h>
#include <stdio.h>
#include <string.h>

#define TABLE_NAME_SIZE 64

enum set {
	SET_LEGS,
	SET_FORWARDING,
	SET_ISOLATED,
};
#define SETS 3

static const char *const set_names[SETS] = {
    [SET_LEGS] = "legs", [SET_FORWARDING] = "forwarding", [SET_ISOLATED] = "isolated"};
static const char *const chain_names[] = {"ingress", "split", "egress", "control"};

struct isolation {
	struct nft_ctx *nft;
	char table[TABLE_NAME_SIZE];
	struct isolation_control control;
	struct isolation_leg *legs; /* in the order of the configuration, then the peer link; what is to be */
	size_t leg_count;           /* without the peer link, which is legs[leg_count] */
	bool adopted;
};

static bool in_set(const struct isolation *i, enum set set, size_t leg)
{
	switch (set) {
	case SET_LEGS:
		return leg < i->leg_count;
	case SET_FORWARDING:
		return i->legs[leg].forwarding;
	case SET_ISOLATED:
		return i->legs[leg].isolated;
	}
	abort();
}

/* Row of a name; leg_count for the peer link, leg_count + 1 for none. */
static size_t leg_find(const struct isolation *i, const char *ifname)
{
	size_t leg = 0;

	while (leg <= i->leg_count && strncmp(i->legs[leg].ifname, ifname, IFNAMSIZ) != 0)
		leg++;
	return leg;
}

/* --- talk to libnftables ------------------------------------------------------------------------ */

/* libnftables tells the reason in words only. */
static int error_number(const char *text)
{
	static const int known[] = {ENOENT, EPERM,  EACCES,  EOPNOTSUPP,  EBUSY,
				    EEXIST, ENOMEM, ENOBUFS, EAFNOSUPPORT};

	for (size_t n = 0; n < sizeof(known) / sizeof(known[0]); n++) {
		if (strstr(text, strerror(known[n])))
			return -known[n];
	}
	return -EIO;
}

static int run(const struct isolation *i, const char *script, char *err, size_t errlen)
{
	const char *text;
	int failed = nft_run_cmd_from_buffer(i->nft, script);

	text = nft_ctx_get_error_buffer(i->nft);
	if (!failed)
		return 0;
	netlink_explain(err, errlen, "nftables: %.*s", (int)strcspn(text, "\n"), text);
	return error_number(text);
}

struct script {
	FILE *out;
	char *text;
	size_t size;
};

static void script_begin(struct script *s)
{
	s->out = open_memstream(&s->text, &s->size);
	must(!s->out);
}

static int script_run(struct script *s, const struct isolation *i, char *err, size_t errlen)
{
	int error;

	must(fclose(s->out));
	error = run(i, s->text, err, errlen);
	free(s->text);
	return error;
}

/* --- the table as text -------------------------------------------------------------------------- */

static void script_set(FILE *out, const struct isolation *i, enum set set)
{
	const char *separator = "elements = {";

	fprintf(out, "set %s { type ifname; ", set_names[set]);
	for (size_t leg = 0; leg <= i->leg_count; leg++) {
		if (!in_set(i, set, leg))
			continue;
		fprintf(out, "%s \"%s\"", separator, i->legs[leg].ifname);
		separator = ",";
	}
	fprintf(out, "%s }\n", *separator == ',' ? " }" : "");
}

/* Drop the session and keepalives of `address` where `port` (a match on the interface) holds. */
static void script_address(FILE *out, const struct isolation *i, const char *port, const char *side,
			   const struct isolation_address *address)
{
	const struct isolation_control *c = &i->control;
	char text[INET6_ADDRSTRLEN];
	const char *family = address->v6 ? "ip6" : "ip";

	must(!inet_ntop(address->v6 ? AF_INET6 : AF_INET, address->bytes, text, sizeof(text)));
	for (size_t n = 0; n < 2; n++) {
		const char *end = n ? "sport" : "dport";

		fprintf(out, "%s %s %s %s tcp %s %u counter drop\n", port, family, side, text, end,
			c->session_port);
		fprintf(out, "%s %s %s %s udp %s %u counter drop\n", port, family, side, text, end,
			c->keepalive_port);
	}
}

/* The rules of one chain that confine control traffic: of our addresses, of the peer's too when asked. */
static void script_control(FILE *out, const struct isolation *i, const char *port, const char *side,
			   bool peer)
{
	const struct isolation_control *c = &i->control;
	char group[INET6_ADDRSTRLEN];

	if (!c->confine)
		return;
	for (size_t n = 0; n < c->own_count; n++)
		script_address(out, i, port, side, &c->own[n]);
	for (size_t n = 0; peer && n < c->peer_count; n++)
		script_address(out, i, port, side, &c->peer[n]);
	if (!c->discovery)
		return;
	must(!inet_ntop(c->discovery_group.v6 ? AF_INET6 : AF_INET, c->discovery_group.bytes, group,
			sizeof(group)));
	fprintf(out, "%s %s daddr %s udp dport %u counter drop\n", port, c->discovery_group.v6 ? "ip6" : "ip",
		group, c->discovery_port);
}

static void script_table(FILE *out, const struct isolation *i)
{
	const char *pl = i->legs[i->leg_count].ifname;
	char from_others[IFNAMSIZ + 16];
	char to_others[IFNAMSIZ + 16];

	(void)snprintf(from_others, sizeof(from_others), "iifname != \"%s\"", pl);
	(void)snprintf(to_others, sizeof(to_others), "oifname != \"%s\"", pl);
	fprintf(out, "table bridge %s {\n", i->table);
	script_set(out, i, SET_LEGS);
	script_set(out, i, SET_FORWARDING);
	script_set(out, i, SET_ISOLATED);

	fprintf(out, "chain ingress { type filter hook prerouting priority -400; policy accept;\n"
		     "iifname @legs iifname != @forwarding counter drop\n");
	script_control(out, i, from_others, "daddr", false);
	fprintf(out, "}\n");

	fprintf(out, "chain split { type filter hook forward priority -400; policy accept;\n");
	fprintf(out, "iifname \"%s\" oifname @isolated counter drop\n", pl);
	fprintf(out, "iifname \"%s\" iifname != @forwarding counter drop\n", pl);
	fprintf(out, "oifname \"%s\" oifname != @forwarding counter drop\n", pl);
	script_control(out, i, "", "daddr", true);
	fprintf(out, "}\n");

	fprintf(out, "chain egress { type filter hook postrouting priority 400; policy accept;\n"
		     "oifname @legs oifname != @forwarding counter drop\n}\n");

	fprintf(out, "chain control { type filter hook output priority -400; policy accept;\n");
	script_control(out, i, to_others, "saddr", false);
	fprintf(out, "}\n}\n");
}

static int table_replace(const struct isolation *i, char *err, size_t errlen)
{
	struct script s;

	script_begin(&s);
	/* "add" first: a delete alone fails when there is none */
	fprintf(s.out, "add table bridge %s\ndelete table bridge %s\n", i->table, i->table);
	script_table(s.out, i);
	return script_run(&s, i, err, errlen);
}

/* --- read the kernel back ----------------------------------------------------------------------- */

/* A walk over `nft list table`: one object at a depth of one tab, its content below. */
struct reader {
	struct isolation *i;
	struct isolation_leg *rows; /* what is found, by leg; NULL: not wanted */
	FILE *stale;                /* commands that take out what does not belong; NULL: not wanted */
	bool odd;                   /* something not of our shape */
	int set;                    /* enum set of the object we are in, or -1 */
};

static void reader_object(struct reader *r, const char *line)
{
	char kind[16];
	char name[TABLE_NAME_SIZE];

	r->set = -1;
	if (sscanf(line, "\t%15s %63s {", kind, name) != 2) {
		r->odd = true;
		return;
	}
	for (int set = 0; set < SETS && !strcmp(kind, "set"); set++) {
		if (!strcmp(name, set_names[set]))
			r->set = set;
	}
	if (r->set >= 0)
		return;
	for (size_t n = 0; n < sizeof(chain_names) / sizeof(chain_names[0]); n++) {
		if (!strcmp(kind, "chain") && !strcmp(name, chain_names[n]))
			return;
	}
	r->odd = true;
}

static void reader_element(struct reader *r, const char *ifname)
{
	size_t leg = leg_find(r->i, ifname);
	bool belongs = r->set == SET_FORWARDING ? leg <= r->i->leg_count : leg < r->i->leg_count;

	if (!belongs) {
		if (!netlink_ifname_valid(ifname))
			r->odd = true;
		else if (r->stale)
			fprintf(r->stale, "delete element bridge %s %s { \"%s\" }\n", r->i->table,
				set_names[r->set], ifname);
		return;
	}
	if (r->set == SET_FORWARDING)
		r->rows[leg].forwarding = true;
	if (r->set == SET_ISOLATED)
		r->rows[leg].isolated = true;
}

/* Element names are what stands in double quotes; libnftables puts none of its own there. */
static void reader_line(struct reader *r, char *line)
{
	char *open, *shut;

	if (line[0] == '\t' && line[1] != '\t') {
		if (line[1] == '}')
			r->set = -1;
		else
			reader_object(r, line);
		return;
	}
	while (r->set >= 0 && (open = strchr(line, '"')) && (shut = strchr(open + 1, '"'))) {
		*shut = '\0';
		reader_element(r, open + 1);
		line = shut + 1;
	}
}

/* Does the table exist? 1, 0, or -errno. */
static int table_exists(const struct isolation *i, char *err, size_t errlen)
{
	char wanted[TABLE_NAME_SIZE + 16];
	int error = run(i, "list tables bridge", err, errlen);

	if (error)
		return error;
	(void)snprintf(wanted, sizeof(wanted), "table bridge %s\n", i->table);
	return strstr(nft_ctx_get_output_buffer(i->nft), wanted) != NULL;
}

static int table_read(struct reader *r, char *err, size_t errlen)
{
	char command[TABLE_NAME_SIZE + 32];
	char *text, *line, *rest;
	int error;

	(void)snprintf(command, sizeof(command), "list table bridge %s", r->i->table);
	error = run(r->i, command, err, errlen);
	if (error)
		return error;
	text = strdup(nft_ctx_get_output_buffer(r->i->nft));
	must(!text);
	r->set = -1;
	for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		reader_line(r, line);
	free(text);
	return 0;
}

/* --- open --------------------------------------------------------------------------------------- */

/* Keep what the kernel's table says, and bring the rest to our shape. */
static int table_adopt(struct isolation *i, char *err, size_t errlen)
{
	struct reader r = {.i = i, .rows = i->legs};
	struct script s;
	int error;

	script_begin(&s);
	r.stale = s.out;
	error = table_read(&r, err, errlen);
	if (error) {
		must(fclose(s.out));
		free(s.text);
		return error;
	}
	i->adopted = true;
	for (size_t n = 0; n < sizeof(chain_names) / sizeof(chain_names[0]); n++)
		fprintf(s.out, "flush chain bridge %s %s\n", i->table, chain_names[n]);
	script_table(s.out, i);
	error = script_run(&s, i, NULL, 0);
	/* made by another version, or by hand: the same elements in a new table, in one transaction as well
	 */
	if (error || r.odd)
		error = table_replace(i, err, errlen);
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

int isolation_open(struct isolation **out, const struct isolation_config *config, char *err, size_t errlen)
{
	struct isolation *i;
	int error = config_check(config, err, errlen);

	if (error)
		return error;
	i = zalloc(sizeof(*i));
	error = names_copy(i, config, err, errlen);
	if (error)
		goto fail;
	i->nft = nft_ctx_new(NFT_CTX_DEFAULT);
	must(!i->nft || nft_ctx_buffer_output(i->nft) || nft_ctx_buffer_error(i->nft));
	error = config->adopt ? table_exists(i, err, errlen) : 0;
	if (error == 1)
		error = table_adopt(i, err, errlen);
	else if (error == 0)
		error = table_replace(i, err, errlen);
	if (error)
		goto fail;
	*out = i;
	return 0;
fail:
	isolation_close(i);
	return error;
}

void isolation_close(struct isolation *i)
{
	if (!i)
		return;
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
	return run(i, command, err, errlen);
}

bool isolation_was_adopted(const struct isolation *i)
{
	return i->adopted;
}

int isolation_adopted(struct isolation *i, struct isolation_leg *rows, char *err, size_t errlen)
{
	size_t size = (i->leg_count + 1) * sizeof(*rows);
	struct isolation_leg *found = zalloc(size);
	struct reader r = {.i = i, .rows = found};
	int error = table_exists(i, err, errlen);

	for (size_t leg = 0; leg <= i->leg_count; leg++)
		memcpy(found[leg].ifname, i->legs[leg].ifname, IFNAMSIZ);
	if (error == 0) {
		netlink_explain(err, errlen, "there is no table bridge %s", i->table);
		error = -ENOENT;
	} else if (error == 1) {
		error = table_read(&r, err, errlen);
	}
	if (!error)
		memcpy(rows, found, size);
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
				set_names[set]);
		fprintf(out, "%s \"%s\"", separator, i->legs[leg].ifname);
		separator = ",";
	}
	if (*separator)
		fprintf(out, " }\n");
}

static int wishes_run(struct isolation *i, const struct wishes *wishes, char *err, size_t errlen)
{
	struct script s;

	script_begin(&s);
	for (int set = SET_FORWARDING; set < SETS; set++) {
		script_elements(s.out, i, wishes, (enum set)set, false);
		script_elements(s.out, i, wishes, (enum set)set, true);
	}
	return script_run(&s, i, err, errlen);
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
	size_t leg = leg_find(i, ifname);

	if (leg > i->leg_count)
		return unknown_leg(ifname, err, errlen);
	return wish_one(i, SET_FORWARDING, leg, forward, err, errlen);
}

int isolation_isolate(struct isolation *i, const char *ifname, bool isolate, char *err, size_t errlen)
{
	size_t leg = leg_find(i, ifname);

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
		size_t leg = leg_find(i, rows[n].ifname);

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
