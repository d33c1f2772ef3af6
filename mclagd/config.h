/* SPDX-License-Identifier: ISC */
/*
 * config.h - the configuration of one leaf, as mclagd.yaml(5) describes it: read, checked, complete.
 *
 * What config_load() returns is valid in itself: every value is in its range, every default is filled in, and
 * no two keys contradict each other. Whether the interfaces and files it names exist is found out by those
 * who use them. Texts are "" where the file does not say.
 */
#ifndef MCLAGD_CONFIG_H
#define MCLAGD_CONFIG_H

#include "mclagd/source.h"
#include "proto/types.h"
#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define CONFIG_MCLAGS_MAX       512
#define CONFIG_BACKUP_PATHS_MAX 3
#define CONFIG_PINS_MAX         8
#define CONFIG_NAME_SIZE        32
#define CONFIG_ADDRESS_SIZE     46 /* INET6_ADDRSTRLEN */
#define CONFIG_PIN_SIZE         72 /* "sha256:" and 64 hex digits */
#define CONFIG_FILE_SIZE        256
#define CONFIG_SOCKET_SIZE      108 /* sun_path */

/* A way to reach the peer. address and peer: both or neither; backup paths have both. */
struct config_path {
	char name[CONFIG_NAME_SIZE];
	char interface[IFNAMSIZ];
	char address[CONFIG_ADDRESS_SIZE]; /* ours */
	char peer[CONFIG_ADDRESS_SIZE];
};

/* The peer is known by exactly one of pins, pins_file, and ca with peer_name. */
struct config_keys {
	char certificate[CONFIG_FILE_SIZE];
	char key[CONFIG_FILE_SIZE];
	char pins[CONFIG_PINS_MAX][CONFIG_PIN_SIZE];
	size_t pin_count;
	char pins_file[CONFIG_FILE_SIZE];
	char ca[CONFIG_FILE_SIZE];
	char peer_name[CONFIG_FILE_SIZE];
	char keepalive_secret[CONFIG_FILE_SIZE];
};

struct config_mclag {
	uint16_t id;
	char port[IFNAMSIZ];
	enum speaker lacp;
	bool active; /* LACP activity */
	bool fast;   /* ask for the short timeout */
	uint16_t port_priority;
};

enum config_log_level { CONFIG_LOG_ERROR, CONFIG_LOG_WARNING, CONFIG_LOG_INFO, CONFIG_LOG_DEBUG };
enum config_log_target { CONFIG_LOG_AUTO, CONFIG_LOG_JOURNAL, CONFIG_LOG_STDERR };

struct config {
	uint16_t domain;
	uint8_t node; /* 1 or 2, configured or derived from the addresses of the first path that has both */
	uint16_t priority;
	struct mac system;
	uint16_t system_priority;
	struct mac own_system; /* zero = the bridge's address */
	char bridge[IFNAMSIZ];
	char peer_link[IFNAMSIZ]; /* the bridge port */
	struct config_path via;   /* over the peer link; interface = the L3 interface that rides it */
	size_t backup_path_count;
	struct config_path backup_paths[CONFIG_BACKUP_PATHS_MAX];
	struct config_keys keys;
	uint16_t session_port;   /* TCP */
	uint16_t keepalive_port; /* UDP */
	uint32_t keepalive_interval_ms;
	uint32_t keepalive_multiplier;
	uint32_t session_timeout_ms;
	uint32_t alone_s; /* 0 = never */
	uint32_t ceiling_s;
	uint32_t grace_s;
	enum split_policy on_split;
	uint32_t entry_limit;
	size_t mclag_count;
	struct config_mclag mclags[CONFIG_MCLAGS_MAX]; /* ascending by id */
	char control_socket[CONFIG_SOCKET_SIZE];
	char state_dir[CONFIG_FILE_SIZE];
	struct {
		enum config_log_level level;
		enum config_log_target target;
	} log;
	struct {
		char file[CONFIG_FILE_SIZE]; /* "" = nothing is recorded */
		uint32_t size_mb;
	} journal;
};

/* From a text; name stands for it in errors. The result is given to config_free(). 0, or -EINVAL with why
 * "NAME:LINE: KEY: what is wrong". */
int config_parse(struct config **c, const char *name, const char *text, size_t size,
		 char why[static SOURCE_WHY_SIZE]);
/* From a file, named in errors by the last part of its path. Also -errno of reading it, named in why. */
int config_load(struct config **c, const char *file, char why[static SOURCE_WHY_SIZE]);
void config_free(struct config *c);

/* The canonical form: every key that has a value, defaults too. Parses to the same configuration. */
void config_write(const struct config *c, FILE *file);
bool config_equal(const struct config *a, const struct config *b);

/* "error", "warning", "info", "debug". 0 or -EINVAL. */
int config_log_level_parse(const char *text, enum config_log_level *level);

#endif
