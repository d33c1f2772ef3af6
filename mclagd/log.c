/* SPDX-License-Identifier: ISC */
/*
 * Two targets, one line each. The journal is spoken to in its own protocol, because libsystemd's functions
 * wait for a journald that is stuck, and a keepalive must not; what it does not take is counted and lost here
 * (the ring still has it). What goes into a line may stem from the network (a peer's reason, OpenSSL's
 * words), so control characters are replaced: nobody outside starts a new line.
 */
#include "mclagd/log.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

#define LINE_SIZE   640
#define LIMIT_BURST 10
#define LIMIT_MS    1000 /* one more line each */

static const char *const level_names[] = {"error", "warning", "info", "debug"};
static const int level_priorities[] = {LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG};

/* systemd.exec(5): JOURNAL_STREAM is "device:inode" of the stream; it counts only if stderr is that stream.
 */
static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat st;
	return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
	       fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device && st.st_ino == inode;
}

/* systemd.journal-native(7) */
static int connect_journal(void)
{
	static const struct sockaddr_un journal = {.sun_family = AF_UNIX,
						   .sun_path = "/run/systemd/journal/socket"};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 && connect(fd, (const struct sockaddr *)&journal, sizeof(journal)) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

void log_open(struct log *l, enum config_log_level level, enum config_log_target target)
{
	bool journal = target == CONFIG_LOG_JOURNAL || (target == CONFIG_LOG_AUTO && stderr_is_journal());
	*l = (struct log){.level = level, .journal = journal ? connect_journal() : -1};
}

void log_close(struct log *l)
{
	if (l->journal >= 0)
		close(l->journal);
	l->journal = -1;
}

static void send_journal(struct log *l, enum config_log_level level, const char *room, uint16_t mclag,
			 const char *line)
{
	char record[LINE_SIZE + 160], lost[64] = "", about[24] = "";
	if (l->lost)
		snprintf(lost, sizeof(lost), " (%llu lines before it are lost)", (unsigned long long)l->lost);
	if (mclag)
		snprintf(about, sizeof(about), "MCLAG=%u\n", mclag);
	int size = snprintf(record, sizeof(record),
			    "MESSAGE=%s: %s%s\nPRIORITY=%d\nSYSLOG_IDENTIFIER=mclagd\nROOM=%s\n%s", room,
			    line, lost, level_priorities[level], room, about);
	if (size < 0 || send(l->journal, record, (size_t)size, MSG_NOSIGNAL) < 0)
		l->lost++;
	else
		l->lost = 0;
}

static void write_line(struct log *l, enum config_log_level level, const char *room, uint16_t mclag,
		       char *line)
{
	for (char *c = line; *c; c++)
		if (iscntrl((unsigned char)*c))
			*c = '?';
	if (l->journal >= 0)
		send_journal(l, level, room, mclag, line);
	else if (mclag)
		fprintf(stderr, "mclagd: %s: %s: mclag %u: %s\n", level_names[level], room, mclag, line);
	else
		fprintf(stderr, "mclagd: %s: %s: %s\n", level_names[level], room, line);
}

void log_write(struct log *l, enum config_log_level level, const char *room, uint16_t mclag,
	       const char *format, ...)
{
	char line[LINE_SIZE];
	va_list ap;
	if (level > l->level)
		return;
	va_start(ap, format);
	vsnprintf(line, sizeof(line), format, ap);
	va_end(ap);
	write_line(l, level, room, mclag, line);
}

bool log_allowed(struct log_limit *limit, struct msec now)
{
	int64_t back = msec_since(now, limit->refilled) / LIMIT_MS;
	if (back > 0) {
		limit->spent = limit->spent > back ? limit->spent - (int)back : 0;
		limit->refilled = limit->spent ? msec_after(limit->refilled, back * LIMIT_MS) : now;
	}
	if (limit->spent == LIMIT_BURST) {
		limit->suppressed++;
		return false;
	}
	limit->spent++;
	return true;
}

void log_limited(struct log *l, struct log_limit *limit, struct msec now, enum config_log_level level,
		 const char *room, const char *format, ...)
{
	char line[LINE_SIZE];
	va_list ap;
	if (level > l->level || !log_allowed(limit, now))
		return;
	va_start(ap, format);
	vsnprintf(line, sizeof(line), format, ap);
	va_end(ap);
	if (limit->suppressed) {
		size_t used = strnlen(line, sizeof(line) - 48);
		snprintf(line + used, sizeof(line) - used, " (%llu like it not shown)",
			 (unsigned long long)limit->suppressed);
		limit->suppressed = 0;
	}
	write_line(l, level, room, 0, line);
}
