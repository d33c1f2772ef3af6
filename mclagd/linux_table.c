/* SPDX-License-Identifier: ISC */
/*
 * The bridge's MAC table, in both directions.
 *
 * Inwards: which port an entry stands on makes its place; how it was made tells who made it. What we put
 * there ourselves comes back as an event like everything else, and is how the core learns that it is really
 * there.
 *
 *	port            kind in the kernel               sighting
 *	leg, orphan     dynamic                          learned
 *	leg, orphan     static, activity asked for       active or inactive (ours)
 *	leg, orphan     static or external               fixed (somebody else's)
 *	peer link       static, activity asked for       present (ours; learning is off, its activity tells nothing)
 *	peer link       anything else                    not told: left over from before learning was off
 *	the bridge, or "permanent"                       not told: an address of this leaf itself
 *
 * Ours are static with activity wherever they stand: a replacement on another port keeps the kernel's marks. So
 * an external entry would stay external on a leg, and never tell of activity again; and one that was marked
 * inactive cannot be marked active, which is why an owner that we see is active on the peer link too.
 *
 * A dump and the changes that happen meanwhile never mix: netlink/fdb.h holds changes back until the dump is
 * told, so what follows a dump is newer than it. Our own writes that still wait are done before a dump is
 * asked for, so that it cannot miss them; what is programmed while it runs is told by a change behind it.
 */
#include "mclagd/linux.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DUMP_RETRY_MS 1000

#define DRIVER_OF(pointer, member)                                                                           \
	((struct switch_driver *)(void *)((char *)(pointer)-offsetof(struct switch_driver, member)))

/* --- from the kernel --------------------------------------------------------------------------------- */

/* False: not for the core. */
static bool place_of(const struct switch_driver *sw, const struct fdb_entry *f, struct place *place)
{
	if (f->state == FDB_LOCAL || f->bridge != sw->bridge || f->ifindex == sw->bridge)
		return false;
	const struct port *port = linux_port_by_index(sw, f->ifindex);
	if (port)
		*place = port->place;
	else
		*place = (struct place){.kind = PLACE_ORPHAN, .port = f->ifindex};
	return place->kind != PLACE_PEER_LINK || (f->state == FDB_STATIC && f->activity != FDB_ACTIVITY_NONE);
}

static enum sighting sighting_of(const struct fdb_entry *f, enum place_kind kind)
{
	if (kind == PLACE_PEER_LINK)
		return SIGHTING_PRESENT;
	if (f->ext_learned)
		return SIGHTING_FIXED;
	if (f->state == FDB_DYNAMIC)
		return SIGHTING_LEARNED;
	switch (f->activity) {
	case FDB_ACTIVITY_ACTIVE:
		return SIGHTING_ACTIVE;
	case FDB_ACTIVITY_INACTIVE:
		return SIGHTING_INACTIVE;
	case FDB_ACTIVITY_NONE:
		break;
	}
	return SIGHTING_FIXED;
}

static void tell(const struct switch_driver *sw, enum fdb_change change, const struct fdb_entry *f)
{
	struct event e = {.kind = EVENT_ENTRY, .entry = {.vlan = f->vlan}};
	if (!place_of(sw, f, &e.entry.place))
		return;
	memcpy(e.entry.mac.byte, f->mac, sizeof(f->mac));
	e.entry.sighting = change == FDB_GONE ? SIGHTING_GONE : sighting_of(f, e.entry.place.kind);
	linux_event(sw, &e);
}

static void changed(struct fdb_handler *handler, enum fdb_change change, const struct fdb_entry *f)
{
	const struct switch_driver *sw = DRIVER_OF(handler, fdb_handler);
	if (sw->started)
		tell(sw, change, f);
}

static void overrun(struct fdb_handler *handler)
{
	struct switch_driver *sw = DRIVER_OF(handler, fdb_handler);
	linux_notice(sw, "changes of the MAC table came faster than they were read: reading all of it");
	if (sw->started)
		linux_table_dump(sw);
}

static void dump_begin(struct fdb_handler *handler)
{
	linux_event(DRIVER_OF(handler, fdb_handler), &(struct event){.kind = EVENT_DUMP_BEGIN});
}

static void dump_entry(struct fdb_handler *handler, const struct fdb_entry *f)
{
	tell(DRIVER_OF(handler, fdb_handler), FDB_NEW, f);
}

static void dump_end(struct fdb_handler *handler, int status, const char *text)
{
	struct switch_driver *sw = DRIVER_OF(handler, fdb_handler);
	if (status == 0) {
		linux_event(sw, &(struct event){.kind = EVENT_DUMP_END});
		return;
	}
	linux_notice(sw, "%s: cannot read the MAC table: %s; again in %d ms", sw->config->bridge, text,
		     DUMP_RETRY_MS);
	loop_timer_set(sw->dump_retry, DUMP_RETRY_MS);
}

static void dump_again(struct loop_timer_handler *handler)
{
	linux_table_dump(DRIVER_OF(handler, dump_retry_handler));
}

/* --- to the kernel ----------------------------------------------------------------------------------- */

static void failed(const struct switch_driver *sw, struct mac mac, uint16_t vlan, struct place place)
{
	struct event e = {.kind = EVENT_PROGRAM_FAILED, .entry = {.mac = mac, .vlan = vlan, .place = place}};
	linux_event(sw, &e);
}

static void refused(struct fdb_handler *handler, enum fdb_write write, const struct fdb_entry *f, int error,
		    const char *text)
{
	const struct switch_driver *sw = DRIVER_OF(handler, fdb_handler);
	const struct port *port = linux_port_by_index(sw, f->ifindex);
	struct mac mac;
	char name[MAC_TEXT_SIZE];
	memcpy(mac.byte, f->mac, sizeof(mac.byte));
	linux_notice(sw, "%s vlan %u on %s (%d): cannot be %s: %s (%d)", mac_format(mac, name), f->vlan,
		     port ? port->name : "an orphan port", f->ifindex, write == FDB_ADD ? "set" : "deleted",
		     text, error);
	if (write == FDB_ADD)
		failed(sw, mac, f->vlan,
		       port ? port->place : (struct place){.kind = PLACE_ORPHAN, .port = f->ifindex});
}

static void written(struct fdb_handler *handler)
{
	struct switch_driver *sw = DRIVER_OF(handler, fdb_handler);
	if (sw->dump_wanted)
		linux_table_dump(sw);
}

/* The kernel's entry for what the core asks; ifindex 0 when the port is not there. */
static struct fdb_entry entry_for(const struct switch_driver *sw, const struct program_action *p)
{
	struct fdb_entry f = {.vlan = p->vlan, .state = FDB_DYNAMIC};
	const struct port *port = linux_port_by_place(sw, p->place);
	memcpy(f.mac, p->mac.byte, sizeof(f.mac));
	f.ifindex = !port ? p->place.port : port->there ? port->ifindex : 0;
	switch (p->place.kind) {
	case PLACE_LEG:
	case PLACE_PEER_LINK:
		f.state = FDB_STATIC;
		f.activity = p->active ? FDB_ACTIVITY_ACTIVE : FDB_ACTIVITY_INACTIVE;
		break;
	case PLACE_ORPHAN:
		break;
	case PLACE_NONE:
	case PLACE_KIND_COUNT:
		f.ifindex = 0;
		break;
	}
	return f;
}

void linux_table_program(struct switch_driver *sw, const struct program_action *p)
{
	const struct fdb_entry f = entry_for(sw, p);
	if (f.ifindex == 0 || fdb_add(sw->fdb, &f))
		failed(sw, p->mac, p->vlan, p->place);
}

/* On a port that is gone there is nothing to delete. */
void linux_table_unprogram(struct switch_driver *sw, const struct program_action *p)
{
	const struct fdb_entry f = entry_for(sw, p);
	if (f.ifindex != 0 && fdb_delete(sw->fdb, &f))
		linux_notice(sw, "an entry cannot be deleted: too many writes are waiting");
}

/* A few are written at once; a table goes out piece by piece, from the loop, so that nothing waits for it. */
void linux_table_flush(struct switch_driver *sw)
{
	size_t pending = fdb_pending(sw->fdb);
	if (pending > 0 && pending <= FDB_BATCH)
		fdb_flush(sw->fdb);
}

void linux_table_dump(struct switch_driver *sw)
{
	char why[LINUX_WHY_SIZE];
	loop_timer_stop(sw->dump_retry);
	sw->dump_wanted = fdb_pending(sw->fdb) > 0; /* then written() comes back here */
	if (sw->dump_wanted || sw->bridge == 0)     /* without a bridge: asked again when it is back */
		return;
	if (fdb_dump(sw->fdb, sw->bridge, why, sizeof(why)))
		dump_end(&sw->fdb_handler, -EIO, why);
}

int linux_table_open(struct switch_driver *sw, char *why, size_t size)
{
	sw->fdb_handler = (struct fdb_handler){.changed = changed,
					       .overrun = overrun,
					       .dump_begin = dump_begin,
					       .dump_entry = dump_entry,
					       .dump_end = dump_end,
					       .refused = refused,
					       .written = written};
	sw->dump_retry_handler.due = dump_again;
	sw->dump_retry = loop_timer_create(sw->base, LOOP_TABLE, &sw->dump_retry_handler);
	return fdb_open(&sw->fdb, sw->base, &(struct fdb_config){0}, &sw->fdb_handler, why, size);
}

void linux_table_close(struct switch_driver *sw)
{
	if (sw->fdb) {
		fdb_flush(sw->fdb); /* what the core believes is in the kernel is there when we come back */
		fdb_close(sw->fdb);
	}
	loop_timer_destroy(sw->dump_retry);
}
