/* SPDX-License-Identifier: ISC */
/*
 * One JSON object: who it is for, a checksum, and the state. The checksum is FNV-1a over the compact text of
 * "state" with sorted keys: it finds a damaged file, and is no protection against root. Numbers that need 64
 * bits are hex strings, since a JSON number is not that wide everywhere.
 *
 * The text is made in memory and written in one call: jansson itself writes token by token.
 *
 * No fsync: the file lives in /run, and a kernel that has rebooted has lost the dataplane the file describes.
 */
#include "mclagd/resume.h"

#include "mclagd/switch.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_SIZE_MAX (1024 * 1024)
#define PATH_SIZE     512
#define HEX_SIZE      17

/* --- origin ------------------------------------------------------------------------------------------ */

int resume_origin_here(struct resume_origin *o, char why[static RESUME_WHY_SIZE])
{
	static const char boot_file[] = "/proc/sys/kernel/random/boot_id", netns_file[] = "/proc/self/ns/net";
	char text[RESUME_BOOT_SIZE] = "";
	struct stat st;
	FILE *f = fopen(boot_file, "re");
	bool read = f && fgets(text, sizeof(text), f) && strlen(text) == RESUME_BOOT_SIZE - 1;
	if (f)
		fclose(f);
	if (!read || stat(netns_file, &st) < 0) {
		int error = errno ? errno : EIO;
		snprintf(why, RESUME_WHY_SIZE, "%s: %s", read ? netns_file : boot_file, strerror(error));
		return -error;
	}
	memcpy(o->kernel_boot, text, sizeof(text));
	o->netns = st.st_ino;
	return 0;
}

/* --- writing ----------------------------------------------------------------------------------------- */

static const char *hex(uint64_t value, char text[static HEX_SIZE])
{
	snprintf(text, HEX_SIZE, "%016" PRIx64, value);
	return text;
}

static uint64_t checksum(json_t *state)
{
	char *text = json_dumps(state, JSON_COMPACT | JSON_SORT_KEYS);
	uint64_t sum = 0xcbf29ce484222325u;
	if (!text)
		abort();
	for (const char *c = text; *c; c++)
		sum = (sum ^ (uint8_t)*c) * 0x100000001b3u;
	free(text);
	return sum;
}

static json_t *pack_leg(const struct leg_resume *l)
{
	char system[MAC_TEXT_SIZE];
	const struct lacp_info *p = &l->partner;
	return json_pack("{s:i, s:b, s:b, s:i, s:{s:i, s:s, s:i, s:i, s:i, s:i}}", "mclag", l->mclag,
			 "forwarding", l->forwarding, "isolated", l->isolated, "actor_state", l->actor_state,
			 "partner", "system_priority", p->system_priority, "system",
			 mac_format(p->system, system), "key", p->key, "port_priority", p->port_priority,
			 "port", p->port, "state", p->state);
}

static json_t *pack_state(const struct resume *r)
{
	char epoch[HEX_SIZE];
	json_t *legs = json_array();
	for (size_t i = 0; i < r->leg_count; i++)
		if (json_array_append_new(legs, pack_leg(&r->legs[i])))
			abort();
	json_t *state = json_pack("{s:s, s:s, s:s, s:b, s:o}", "verdict", verdict_name(r->verdict), "role",
				  role_name(r->role), "epoch", hex(r->epoch, epoch), "peer_link_open",
				  r->peer_link_open, "legs", legs);
	if (!state)
		abort();
	return state;
}

static json_t *pack(const struct resume_origin *o, const struct resume *r)
{
	char netns[HEX_SIZE], sum[HEX_SIZE], system[MAC_TEXT_SIZE];
	json_t *state = pack_state(r);
	json_t *root = json_pack("{s:i, s:s, s:s, s:i, s:i, s:s, s:s, s:o}", "version", RESUME_VERSION,
				 "kernel_boot", o->kernel_boot, "netns", hex(o->netns, netns), "domain",
				 o->domain, "node", o->node, "system", mac_format(o->system, system),
				 "checksum", hex(checksum(state), sum), "state", state);
	if (!root)
		abort();
	return root;
}

/* 0 or -errno; a short write is a disk that is full. */
static int write_text(const char *file, const char *text)
{
	size_t size = strlen(text);
	/* The umask may only narrow 0600. A file left by a crash is overwritten. */
	int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	ssize_t written = write(fd, text, size);
	int error = written < 0 ? -errno : (size_t)written < size ? -ENOSPC : 0;
	if (close(fd) < 0 && !error)
		error = -errno;
	return error;
}

int resume_save(const char *dir, const struct resume_origin *o, const struct resume *r,
		char why[static RESUME_WHY_SIZE])
{
	char file[PATH_SIZE], fresh[PATH_SIZE];
	snprintf(file, sizeof(file), "%s/" RESUME_FILE, dir);
	snprintf(fresh, sizeof(fresh), "%s/" RESUME_FILE ".new", dir);
	json_t *root = pack(o, r);
	char *text = json_dumps(root, JSON_COMPACT);
	if (!text)
		abort();
	int error = write_text(fresh, text);
	if (!error && rename(fresh, file) < 0)
		error = -errno;
	if (error) {
		snprintf(why, RESUME_WHY_SIZE, "%.200s: %s", fresh, strerror(-error));
		unlink(fresh);
	}
	free(text);
	json_decref(root);
	return error;
}

/* --- reading ----------------------------------------------------------------------------------------- */

static bool read_u64(const char *text, uint64_t *value)
{
	if (strlen(text) != HEX_SIZE - 1 || strspn(text, "0123456789abcdef") != HEX_SIZE - 1)
		return false;
	*value = strtoull(text, NULL, 16);
	return true;
}

static bool in_range(json_int_t value, json_int_t min, json_int_t max)
{
	return value >= min && value <= max;
}

static bool unpack_leg(json_t *object, struct leg_resume *l)
{
	json_int_t mclag, actor, system_priority, key, port_priority, port, state;
	const char *system;
	int forwarding, isolated;
	if (json_unpack(object, "{s:I, s:b, s:b, s:I, s:{s:I, s:s, s:I, s:I, s:I, s:I}}", "mclag", &mclag,
			"forwarding", &forwarding, "isolated", &isolated, "actor_state", &actor, "partner",
			"system_priority", &system_priority, "system", &system, "key", &key, "port_priority",
			&port_priority, "port", &port, "state", &state) != 0)
		return false;
	if (!in_range(mclag, 1, MCLAG_MAX) || !in_range(actor, 0, UINT8_MAX) ||
	    !in_range(system_priority, 0, UINT16_MAX) || !in_range(key, 0, UINT16_MAX) ||
	    !in_range(port_priority, 0, UINT16_MAX) || !in_range(port, 0, UINT16_MAX) ||
	    !in_range(state, 0, UINT8_MAX) || mac_parse(system, &l->partner.system))
		return false;
	l->mclag = (uint16_t)mclag;
	l->forwarding = forwarding;
	l->isolated = isolated;
	l->actor_state = (uint8_t)actor;
	l->partner.system_priority = (uint16_t)system_priority;
	l->partner.key = (uint16_t)key;
	l->partner.port_priority = (uint16_t)port_priority;
	l->partner.port = (uint16_t)port;
	l->partner.state = (uint8_t)state;
	return true;
}

static bool unpack_state(json_t *state, struct resume *r)
{
	const char *verdict, *role, *epoch;
	json_t *legs;
	int open;
	if (json_unpack(state, "{s:s, s:s, s:s, s:b, s:o}", "verdict", &verdict, "role", &role, "epoch",
			&epoch, "peer_link_open", &open, "legs", &legs) != 0 ||
	    verdict_parse(verdict, &r->verdict) || role_parse(role, &r->role) ||
	    !read_u64(epoch, &r->epoch) || !json_is_array(legs) || json_array_size(legs) > MCLAG_MAX_COUNT)
		return false;
	r->peer_link_open = open;
	for (size_t i = 0; i < json_array_size(legs); i++) {
		if (!unpack_leg(json_array_get(legs, i), &r->legs[i]) ||
		    (i > 0 && r->legs[i].mclag <= r->legs[i - 1].mclag))
			return false;
		r->leg_count++;
	}
	return true;
}

/* NULL, or why the file is not for us. */
static const char *judge(json_t *root, const struct resume_origin *o, struct resume *r)
{
	int version;
	json_int_t domain, node;
	const char *boot, *netns, *system, *sum;
	uint64_t netns_value, sum_value;
	struct mac mac;
	json_t *state;
	if (json_unpack(root, "{s:i}", "version", &version) != 0)
		return "is damaged";
	if (version != RESUME_VERSION)
		return "is of another version";
	if (json_unpack(root, "{s:s, s:s, s:I, s:I, s:s, s:s, s:o}", "kernel_boot", &boot, "netns", &netns,
			"domain", &domain, "node", &node, "system", &system, "checksum", &sum, "state",
			&state) != 0 ||
	    !read_u64(netns, &netns_value) || !read_u64(sum, &sum_value) || mac_parse(system, &mac))
		return "is damaged";
	if (strcmp(boot, o->kernel_boot) != 0)
		return "is from before the kernel booted";
	if (netns_value != o->netns)
		return "is of another network namespace";
	if (domain != o->domain || node != o->node || !mac_equal(mac, o->system))
		return "is of another domain, node or system MAC";
	if (checksum(state) != sum_value || !unpack_state(state, r))
		return "is damaged";
	return NULL;
}

int resume_load(const char *dir, const struct resume_origin *o, struct resume *r,
		char why[static RESUME_WHY_SIZE])
{
	char file[PATH_SIZE];
	snprintf(file, sizeof(file), "%s/" RESUME_FILE, dir);
	struct resume found = {.legs = calloc(MCLAG_MAX_COUNT, sizeof(*found.legs))};
	json_t *root = NULL;
	const char *wrong = NULL;
	struct stat st;
	int error = 0;
	if (!found.legs)
		abort();
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || fstat(fd, &st) < 0) {
		error = -errno;
		wrong = strerror(errno);
	} else if (!S_ISREG(st.st_mode) || st.st_size > FILE_SIZE_MAX) {
		wrong = "is no file of ours";
	} else {
		root = json_loadfd(fd, JSON_REJECT_DUPLICATES, NULL);
		wrong = root ? judge(root, o, &found) : "is damaged";
	}
	if (fd >= 0)
		close(fd);
	json_decref(root);
	if (wrong) {
		snprintf(why, RESUME_WHY_SIZE, "%.200s %s", file, wrong);
		resume_clear(&found);
		return error ? error : -EINVAL;
	}
	*r = found;
	return 0;
}

void resume_clear(struct resume *r)
{
	free(r->legs);
	*r = (struct resume){0};
}

size_t resume_confirm(struct resume *r, const struct switch_leg *legs, size_t count, bool peer_link_open)
{
	size_t kept = 0, forwarding = 0;
	for (size_t i = 0; i < r->leg_count; i++)
		for (size_t j = 0; j < count; j++) {
			struct leg_resume leg = r->legs[i];
			if (legs[j].mclag != leg.mclag)
				continue;
			leg.forwarding = leg.forwarding && legs[j].forwarding;
			leg.isolated = legs[j].isolated;
			forwarding += leg.forwarding;
			r->legs[kept++] = leg;
			break;
		}
	r->leg_count = kept;
	r->peer_link_open = r->peer_link_open && peer_link_open;
	return forwarding;
}
