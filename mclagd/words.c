/* SPDX-License-Identifier: ISC */
/*
 * Milliseconds are rounded so that the core never believes more than was proven: the age of an echo goes up,
 * and the peer lived after that.
 */
#include "mclagd/words.h"

#define US_PER_MS 1000

enum reason words_reason(enum peerlink_reason reason)
{
	switch (reason) {
	case PEERLINK_REPLACED:
		return REASON_REPLACED;
	case PEERLINK_TIMEOUT:
		return REASON_TIMEOUT;
	case PEERLINK_OVERSIZE:
	case PEERLINK_EMPTY:
		return REASON_VIOLATION;
	case PEERLINK_CLOSED_HERE:
	case PEERLINK_CLOSED_PEER:
	case PEERLINK_LOST:
	case PEERLINK_UNREACHABLE:
	case PEERLINK_HANDSHAKE:
	case PEERLINK_IDENTITY:
	case PEERLINK_TOO_MANY:
	case PEERLINK_REASON_COUNT:
		break;
	}
	return REASON_TRANSPORT;
}

struct heard_event words_heard(int path, const struct keepalive_heard *h)
{
	return (struct heard_event){
	    .path = path,
	    .boot_id = h->boot,
	    .hears_us = h->hears_us,
	    .echo_ms = h->hears_us ? (h->age_us + US_PER_MS - 1) / US_PER_MS : WORDS_NO_ECHO_MS,
	};
}

enum config_log_level words_level(enum trace_level level)
{
	switch (level) {
	case TRACE_WARN:
		return CONFIG_LOG_WARNING;
	case TRACE_INFO:
		return CONFIG_LOG_INFO;
	case TRACE_DEBUG:
	case TRACE_LEVEL_COUNT:
		break;
	}
	return CONFIG_LOG_DEBUG;
}
