/* SPDX-License-Identifier: ISC */
/*
 * What the daemon is made of: one pair of functions per room, and the list that says in which order. Each
 * close takes what its open left, also when that failed half-way.
 */
#include "mclagd/daemon_state.h"

#include "mclagd/lock.h"
#include "mclagd/setup.h"
#include "peerlink/tls.h"
#include "proto/message.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#define RING_LINES 4096

static int open_basics(struct daemon *d, char why[static SETUP_WHY_SIZE])
{
	while (d->boot_id == 0)
		if (getrandom(&d->boot_id, sizeof(d->boot_id), 0) != sizeof(d->boot_id)) {
			snprintf(why, SETUP_WHY_SIZE, "no random numbers: %s", strerror(errno));
			return -EIO;
		}
	d->legs = calloc(MCLAG_MAX_COUNT, sizeof(*d->legs));
	d->mclags = calloc(MCLAG_MAX_COUNT, sizeof(*d->mclags));
	if (!d->legs || !d->mclags)
		abort();
	d->ring = ring_create(RING_LINES);
	d->deadline = loop_timer_create(d->base, LOOP_URGENT, &d->deadline_handler);
	d->work = loop_timer_create(d->base, LOOP_TABLE, &d->work_handler);
	d->leave = loop_timer_create(d->base, LOOP_PEER, &d->leave_handler);
	d->saver = loop_timer_create(d->base, LOOP_PEER, &d->saver_handler);
	return 0;
}

static void close_basics(struct daemon *d)
{
	loop_timer_destroy(d->saver);
	loop_timer_destroy(d->leave);
	loop_timer_destroy(d->work);
	loop_timer_destroy(d->deadline);
	ring_destroy(d->ring);
	free(d->queue.events);
	free(d->mclags);
	free(d->legs);
}

static int open_lock(struct daemon *d, char why[static SETUP_WHY_SIZE])
{
	d->lock = -1;
	return lock_take(&d->lock, why, SETUP_WHY_SIZE);
}

static void close_lock(struct daemon *d)
{
	lock_release(d->lock);
}

/* A file that is not there may still come; one that says the wrong thing, or says it to everybody, stays
 * wrong until the operator has been there. */
static int open_keys(struct daemon *d, char why[static SETUP_WHY_SIZE])
{
	int error = setup_secret(&d->config->keys, &d->secret, why);
	if (!error)
		error = setup_tls(&d->config->keys, &d->tls, why);
	return error == -EINVAL || error == -EACCES ? -EKEYREJECTED : error;
}

static void close_keys(struct daemon *d)
{
	tls_destroy(d->tls);
	explicit_bzero(&d->secret, sizeof(d->secret));
}

/* What the last run knew. */
static int open_resume(struct daemon *d, char why[static SETUP_WHY_SIZE])
{
	d->origin = (struct resume_origin){
	    .domain = d->config->domain, .node = d->config->node, .system = d->config->system};
	int error = resume_origin_here(&d->origin, why);
	if (error)
		return error;
	error = resume_load(d->config->state_dir, &d->origin, &d->resume, why);
	if (error && error != -ENOENT)
		log_write(&d->log, CONFIG_LOG_WARNING, "daemon", 0, "starting fresh: %s", why);
	return 0;
}

static void close_resume(struct daemon *d)
{
	resume_clear(&d->resume);
}

/* What it knew, and what the dataplane still does, become one. */
static int open_switch(struct daemon *d, char why[static SETUP_WHY_SIZE])
{
	struct switch_leg legs[MCLAG_MAX_COUNT];
	bool resumes = d->resume.legs != NULL, peer_link_open;
	int error = switch_open(&d->sw, d->base, d->config, resumes, &d->switch_events, why, SETUP_WHY_SIZE);
	if (error || !resumes)
		return error;
	size_t count = switch_legs(d->sw, legs, MCLAG_MAX_COUNT, &peer_link_open);
	size_t forwarding = resume_confirm(&d->resume, legs, count, peer_link_open);
	log_write(&d->log, CONFIG_LOG_INFO, "daemon", 0, "resuming: %zu of %zu legs forward", forwarding,
		  d->config->mclag_count);
	for (size_t i = 0; i < d->resume.leg_count; i++)
		legs[i] = (struct switch_leg){.mclag = d->resume.legs[i].mclag,
					      .forwarding = d->resume.legs[i].forwarding,
					      .isolated = d->resume.legs[i].isolated};
	return switch_restore(d->sw, legs, d->resume.leg_count, d->resume.peer_link_open, why,
			      SETUP_WHY_SIZE);
}

static void close_switch(struct daemon *d)
{
	switch_close(d->sw);
}

/* What cannot be recorded does not keep the daemon from its work. */
static void open_journal(struct daemon *d, const struct domain_config *c)
{
	char why[JOURNAL_WHY_SIZE];
	struct timespec t;
	if (!d->config->journal.file[0])
		return;
	clock_gettime(CLOCK_REALTIME, &t);
	const struct journal_head head = {.version = MCLAGD_VERSION,
					  .wall_us = (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000,
					  .config = *c,
					  .resumes = d->resume.legs != NULL,
					  .resume = d->resume};
	if (journal_open(&d->journal, d->config->journal.file, (uint64_t)d->config->journal.size_mb << 20,
			 &head, &d->journal_owner, why))
		log_write(&d->log, CONFIG_LOG_WARNING, "journal", 0, "nothing is recorded: %s", why);
}

static int open_domain(struct daemon *d, char why[static SETUP_WHY_SIZE])
{
	struct switch_facts facts;
	struct domain_config c;
	switch_facts(d->sw, &facts);
	int error = setup_domain(d->config, &facts, d->boot_id, &c, d->mclags, why);
	if (error)
		return error;
	open_journal(d, &c);
	d->domain = domain_create(&c, d->resume.legs ? &d->resume : NULL);
	return 0;
}

static void close_domain(struct daemon *d)
{
	domain_destroy(d->domain);
	d->domain = NULL; /* run() has nobody to tell */
	step_release(&d->step);
	journal_close(d->journal);
}

static int open_peerlink(struct daemon *d, char why[static SETUP_WHY_SIZE])
{
	struct path paths[PATH_MAX_COUNT];
	why[0] = 0; /* cannot fail */
	const struct peerlink_config c = {.node = d->config->node,
					  .paths = paths,
					  .path_count =
					      setup_paths(d->config, d->config->session_port, paths),
					  .tls = d->tls,
					  .greeting_limit = MESSAGE_HELLO_LIMIT,
					  .frame_limit = MESSAGE_LIMIT,
					  .owner = &d->peerlink_owner};
	d->peerlink = peerlink_create(d->base, &c);
	return 0;
}

static void close_peerlink(struct daemon *d)
{
	peerlink_destroy(d->peerlink);
}

static int open_keepalive(struct daemon *d, char why[static SETUP_WHY_SIZE])
{
	struct path paths[PATH_MAX_COUNT];
	why[0] = 0; /* cannot fail */
	struct keepalive_config c = {.node = d->config->node,
				     .boot = d->boot_id,
				     .secret = d->secret,
				     .paths = paths,
				     .path_count = setup_paths(d->config, d->config->keepalive_port, paths),
				     .owner = &d->keepalive_owner};
	for (size_t i = 0; i < c.path_count; i++)
		c.interval_ms[i] = d->config->keepalive_interval_ms;
	d->keepalive = keepalive_create(d->base, &c);
	explicit_bzero(&c.secret, sizeof(c.secret));
	return 0;
}

static void close_keepalive(struct daemon *d)
{
	keepalive_destroy(d->keepalive);
}

static int open_control(struct daemon *d, char why[static SETUP_WHY_SIZE])
{
	return control_open(&d->control, d->base, d, d->config->control_socket, why, SETUP_WHY_SIZE);
}

static void close_control(struct daemon *d)
{
	control_close(d->control);
}

/* The start-up list; its mirror is the tear-down list. The lock before anything that another mclagd may use;
 * keys before the dataplane is touched; what the last run knew before the switch, which must not close what
 * goes on; the switch before the domain, which asks it for its facts; the operator's socket last. */
static const struct {
	const char *name;
	int (*open)(struct daemon *d, char why[static SETUP_WHY_SIZE]);
	void (*close)(struct daemon *d);
} rooms[] = {
    {"daemon", open_basics, close_basics},
    {"lock", open_lock, close_lock},
    {"keys", open_keys, close_keys},
    {"resume", open_resume, close_resume},
    {"switch", open_switch, close_switch},
    {"domain", open_domain, close_domain},
    {"session", open_peerlink, close_peerlink},
    {"keepalive", open_keepalive, close_keepalive},
    {"control", open_control, close_control},
};

int daemon_open_rooms(struct daemon *d, char *why, size_t size)
{
	while (d->rooms_open < sizeof(rooms) / sizeof(rooms[0])) {
		char text[SETUP_WHY_SIZE] = "";
		const char *name = rooms[d->rooms_open].name;
		int error = rooms[d->rooms_open++].open(d, text);
		if (error) { /* what it has begun is taken down, too */
			snprintf(why, size, "%s: %s", name, text);
			daemon_close_rooms(d);
			return error;
		}
	}
	return 0;
}

void daemon_close_rooms(struct daemon *d)
{
	while (d->rooms_open > 0)
		rooms[--d->rooms_open].close(d);
}
