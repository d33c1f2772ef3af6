/* SPDX-License-Identifier: ISC */
/*
 * text - words in and out: reasons for the caller, names that will stand inside a command.
 */
#include "netlink/rtnetlink.h"
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void netlink_explain(char *err, size_t errlen, const char *format, ...)
{
	va_list args;

	if (!errlen)
		return;
	va_start(args, format);
	(void)vsnprintf(err, errlen, format, args);
	va_end(args);
}

bool netlink_ifname_valid(const char *name)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-+@";
	size_t length = strnlen(name, IFNAMSIZ);

	if (length == 0 || length >= IFNAMSIZ)
		return false;
	/* dev_valid_name(): these two are directories in sysfs */
	if (!strcmp(name, ".") || !strcmp(name, ".."))
		return false;
	return strspn(name, allowed) == length;
}
