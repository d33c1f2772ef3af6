/* SPDX-License-Identifier: ISC */
/*
 * The only place with TLS policy: TLS 1.3 alone, both ends always show a certificate, no tickets, no
 * resumption, no early data. The peer is accepted by one of (a) its pin (SHA-256 of its
 * SubjectPublicKeyInfo), one of a list; dates are then not looked at, for a leaf without a battery clock must
 * find its peer; (b) a CA file and its exact name (SAN DNS, no wildcards), dates checked.
 *
 * It opens no connection: it makes SSL objects for those who do, and puts OpenSSL's errors into words.
 */
#ifndef PEERLINK_TLS_H
#define PEERLINK_TLS_H

#include "peerlink/pki.h"
#include <stdbool.h>
#include <stddef.h>

struct ssl_st; /* OpenSSL's SSL */
struct tls;    /* certificate, key and how the peer is known */

struct tls_config {
	const char *cert_file; /* PEM; further certificates in it are sent as the chain */
	const char *key_file;  /* PEM; refused when others may read it (pki_private_file) */
	const struct pin *pins;
	size_t pin_count;      /* (a): 1 or more, and no ca_file */
	const char *ca_file;   /* (b): PEM, and */
	const char *peer_name; /* the peer's SAN DNS name */
};

/*
 * Load everything; nothing is read again later. Returns 0 with `*out` to be given to tls_destroy, or -errno
 * with `why` naming the file and what is wrong: -EINVAL for content, -EACCES for permissions, else the open
 * error.
 */
int tls_create(const struct tls_config *config, struct tls **out, char *why, size_t why_size);

/* Not while a handshake made from it is under way; finished sessions live on. Takes NULL. */
void tls_destroy(struct tls *tls);

/* A new session for one connection, as the dialling or the listening end; the caller owns it (SSL_free). */
struct ssl_st *tls_session(const struct tls *tls, bool dialer);

enum tls_fault {
	TLS_FAULT_HANDSHAKE, /* not TLS 1.3, no certificate, garbage, ... */
	TLS_FAULT_IDENTITY,  /* one end refused who the other is */
	TLS_FAULT_BROKEN,    /* the connection ended inside TLS */
};

/*
 * Why a session failed, after the failing call: `code` is the first of OpenSSL's queue for it (0 = none),
 * `error` the errno that came with it (0 = none). Puts one line into `why`, which names the code where nobody
 * has words for it.
 */
enum tls_fault tls_explain(const struct ssl_st *session, unsigned long code, int error, char *why,
			   size_t why_size);

#endif
