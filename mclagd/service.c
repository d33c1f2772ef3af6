/* SPDX-License-Identifier: ISC */
/*
 * One datagram per call, to the socket that the environment names (sd_notify(3), sd_watchdog_enabled(3)).
 */
#include "mclagd/service.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define TEXT_SIZE 256

bool service_notify(const char *format, ...)
{
	const char *name = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	char text[TEXT_SIZE];
	va_list ap;
	if (!name || (name[0] != '/' && name[0] != '@') || strlen(name) >= sizeof(to.sun_path))
		return true;
	memcpy(to.sun_path, name, strlen(name));
	if (name[0] == '@') /* an abstract name */
		to.sun_path[0] = 0;
	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name));
	bool taken =
	    sendto(fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&to, length) >= 0;
	close(fd);
	return taken;
}

int64_t service_watchdog_ms(void)
{
	const char *us = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	if (!us || (pid && strtoll(pid, NULL, 10) != getpid()))
		return 0;
	long long value = strtoll(us, NULL, 10) / 1000;
	return value > 0 ? value : 0;
}
