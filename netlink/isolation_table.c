/* SPDX-License-Identifier: ISC */
/*
 * isolation_table - the table as text, there and back.
 *
 * The whole table is one text, made from the configuration and from what each leg is to be (script_table), and
 * handed to libnftables as one transaction.
 *
 * Why the hooks are these (net/bridge/br_input.c, br_forward.c):
 *   prerouting   before br_handle_frame_finish() learns the source address; link-local group frames do not
 *                come here;
 *   postrouting  bridged and locally made frames, but it does not know the input port: so the split horizon
 *                stands in
 *   forward      which sees both ports, and bridged frames only: a closed peer link still serves the leaf itself;
 *   output       the leaf's own frames, once per port when the bridge floods them.
 */
#include "netlink/isolation_table.h"
#include "netlink/internal.h"
#include <arpa/inet.h>
#include <errno.h>
#include <nftables/libnftables.h>
#include <string.h>

const char *const table_set_names[SETS] = {
    [SET_LEGS] = "legs", [SET_FORWARDING] = "forwarding", [SET_ISOLATED] = "isolated"};
static const char *const chain_names[] = {"ingress", "split", "egress", "control"};

bool table_in_set(const struct isolation *i, enum set set, size_t leg)
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

size_t table_leg(const struct isolation *i, const char *ifname)
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

int table_run(const struct isolation *i, const char *script, char *err, size_t errlen)
{
	const char *text;
	int failed = nft_run_cmd_from_buffer(i->nft, script);

	text = nft_ctx_get_error_buffer(i->nft);
	if (!failed)
		return 0;
	netlink_explain(err, errlen, "nftables: %.*s", (int)strcspn(text, "\n"), text);
	return error_number(text);
}

void script_begin(struct script *s)
{
	s->out = open_memstream(&s->text, &s->size);
	must(!s->out);
}

int script_run(struct script *s, const struct isolation *i, char *err, size_t errlen)
{
	int error;

	must(fclose(s->out));
	error = table_run(i, s->text, err, errlen);
	free(s->text);
	return error;
}

/* --- the table as text -------------------------------------------------------------------------- */

static void script_set(FILE *out, const struct isolation *i, enum set set)
{
	const char *separator = "elements = {";

	fprintf(out, "set %s { type ifname; ", table_set_names[set]);
	for (size_t leg = 0; leg <= i->leg_count; leg++) {
		if (!table_in_set(i, set, leg))
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

void script_legs(FILE *out, const struct isolation *i)
{
	fprintf(out, "table bridge %s {\n", i->table);
	script_set(out, i, SET_LEGS);
	fprintf(out, "}\n");
}

void script_flush(FILE *out, const struct isolation *i)
{
	for (size_t n = 0; n < sizeof(chain_names) / sizeof(chain_names[0]); n++)
		fprintf(out, "flush chain bridge %s %s\n", i->table, chain_names[n]);
}

void script_table(FILE *out, const struct isolation *i)
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

int table_replace(const struct isolation *i, char *err, size_t errlen)
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
	const struct isolation *i;
	struct table_found *found;
	FILE *stale; /* NULL: not wanted */
	FILE *rules;
	int set; /* enum set of the object we are in, or -1 */
};

static void reader_object(struct reader *r, const char *line)
{
	char kind[16];
	char name[TABLE_NAME_SIZE];

	r->set = -1;
	if (sscanf(line, "\t%15s %63s {", kind, name) != 2) {
		r->found->odd = true;
		return;
	}
	for (int set = 0; set < SETS && !strcmp(kind, "set"); set++) {
		if (!strcmp(name, table_set_names[set]))
			r->set = set;
	}
	if (r->set >= 0)
		return;
	for (size_t n = 0; n < sizeof(chain_names) / sizeof(chain_names[0]); n++) {
		if (!strcmp(kind, "chain") && !strcmp(name, chain_names[n]))
			return;
	}
	r->found->odd = true;
}

static void reader_stranger(struct reader *r, const char *ifname)
{
	r->found->strangers++;
	if (!netlink_ifname_valid(ifname))
		r->found->odd = true;
	else if (r->stale)
		fprintf(r->stale, "delete element bridge %s %s { \"%s\" }\n", r->i->table,
			table_set_names[r->set], ifname);
}

static void reader_element(struct reader *r, const char *ifname)
{
	size_t leg = table_leg(r->i, ifname);
	bool belongs = r->set == SET_FORWARDING ? leg <= r->i->leg_count : leg < r->i->leg_count;

	if (!belongs)
		reader_stranger(r, ifname);
	else if (r->set == SET_FORWARDING)
		r->found->rows[leg].forwarding = true;
	else if (r->set == SET_ISOLATED)
		r->found->rows[leg].isolated = true;
	else
		r->found->members++;
}

/* Element names are what stands in double quotes; libnftables puts none of its own there. */
static void reader_line(struct reader *r, char *line)
{
	char *open, *shut;
	bool object = line[0] == '\t' && line[1] != '\t';

	if (object && line[1] == '}')
		r->set = -1;
	else if (object)
		reader_object(r, line);
	if (object || r->set < 0)
		fprintf(r->rules, "%s\n", line);
	while (!object && r->set >= 0 && (open = strchr(line, '"')) && (shut = strchr(open + 1, '"'))) {
		*shut = '\0';
		reader_element(r, open + 1);
		line = shut + 1;
	}
}

int table_exists(const struct isolation *i, char *err, size_t errlen)
{
	char wanted[TABLE_NAME_SIZE + 16];
	int error = table_run(i, "list tables bridge", err, errlen);

	if (error)
		return error;
	(void)snprintf(wanted, sizeof(wanted), "table bridge %s\n", i->table);
	return strstr(nft_ctx_get_output_buffer(i->nft), wanted) != NULL;
}

int table_read(const struct isolation *i, struct table_found *found, FILE *stale, char *err, size_t errlen)
{
	struct reader r = {.i = i, .found = found, .stale = stale, .set = -1};
	char command[TABLE_NAME_SIZE + 32];
	char *text, *line, *rest;
	size_t size;
	int error;

	(void)snprintf(command, sizeof(command), "list table bridge %s", i->table);
	error = table_run(i, command, err, errlen);
	if (error)
		return error;
	r.rules = open_memstream(&found->rules, &size);
	text = strdup(nft_ctx_get_output_buffer(i->nft));
	must(!text || !r.rules);
	for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		reader_line(&r, line);
	free(text);
	must(fclose(r.rules));
	return 0;
}
