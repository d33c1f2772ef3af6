/* SPDX-License-Identifier: ISC */
/*
 * Keys of the pair: identities (EC P-256 key and self-signed certificate), pins, and the keepalive secret.
 *
 * A pin is the SHA-256 of a certificate's SubjectPublicKeyInfo (as in RFC 7469): it names the key and not the
 * certificate, so a certificate may be renewed for the same key. Its text is "sha256:" and 64 hex digits.
 *
 * Needs only OpenSSL, so that mclagctl can make keys without any word of sessions. Secrets are written to new
 * files of mode 0600, and an existing file is never overwritten. All functions return 0 or -errno with one
 * line in `why` that names the file and what is wrong; outputs are untouched on failure.
 */
#ifndef PEERLINK_PKI_H
#define PEERLINK_PKI_H

#include <stddef.h>
#include <stdint.h>

#define PIN_SIZE      32
#define PIN_TEXT_SIZE 72 /* "sha256:", 64 hex digits, NUL */
#define SECRET_SIZE   32
#define PKI_WHY_SIZE  320 /* any text of this room fits */

struct pin {
	uint8_t sha256[PIN_SIZE];
};

struct secret {
	uint8_t bytes[SECRET_SIZE];
};

struct x509_st; /* OpenSSL's X509 */

/* Returns 0, or -EINVAL when `text` is not "sha256:" and 64 hex digits of either case. */
int pin_parse(const char *text, struct pin *pin);
const char *pin_format(const struct pin *pin, char text[static PIN_TEXT_SIZE]);

/* The pin of a certificate in memory; aborts only when OpenSSL has no memory. */
void pin_of_certificate(const struct x509_st *certificate, struct pin *pin);

/* The pin of the first certificate in a PEM file. */
int pin_of_file(const char *cert_file, struct pin *pin, char *why, size_t why_size);

/*
 * Make a new key and a self-signed certificate for `name` (subject CN and SAN DNS), valid from a day ago for
 * `days` days, fit for both ends of a session. On failure neither file is left behind.
 */
int pki_make_identity(const char *key_file, const char *cert_file, const char *name, int days, char *why,
		      size_t why_size);

/* Write a new random secret: one line of 64 hex digits. */
int pki_make_secret(const char *file, char *why, size_t why_size);

/* Read a secret as pki_make_secret writes it. Refuses a file that pki_private_file refuses. */
int pki_read_secret(const char *file, struct secret *secret, char *why, size_t why_size);

/* Refuse (-EACCES) a secret's file that its group or others may write, or others may read: wider than 0640.
 */
int pki_private_file(const char *file, char *why, size_t why_size);

#endif
