/* SPDX-License-Identifier: ISC */
/*
 * Two targets, one line each. What goes into a line may stem from the network (a peer's reason, OpenSSL's
 * words), so control characters are replaced: nobody outside starts a new line.
 */
#define SD_JOURNAL_SUPPRESS_LOCATION /* the room says more than file and line */
#include "mclagd/log.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <systemd/sd-journal.h>
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

struct log log_open(enum config_log_level level, enum config_log_target target)
{
	bool journal = target == CONFIG_LOG_JOURNAL || (target == CONFIG_LOG_AUTO && stderr_is_journal());
	return (struct log){.level = level, .journal = journal};
}

static void write_line(const struct log *l, enum config_log_level level, const char *room, uint16_t mclag,
		       char *line)
{
	for (char *c = line; *c; c++)
		if (iscntrl((unsigned char)*c))
			*c = '?';
	if (l->journal && mclag)
		sd_journal_send("MESSAGE=%s: %s", room, line, "PRIORITY=%i", level_priorities[level],
				"ROOM=%s", room, "MCLAG=%u", mclag, NULL);
	else if (l->journal)
		sd_journal_send("MESSAGE=%s: %s", room, line, "PRIORITY=%i", level_priorities[level],
				"ROOM=%s", room, NULL);
	else if (mclag)
		fprintf(stderr, "mclagd: %s: %s: mclag %u: %s\n", level_names[level], room, mclag, line);
	else
		fprintf(stderr, "mclagd: %s: %s: %s\n", level_names[level], room, line);
}

void log_write(const struct log *l, enum config_log_level level, const char *room, uint16_t mclag,
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

void log_limited(const struct log *l, struct log_limit *limit, struct msec now, enum config_log_level level,
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
