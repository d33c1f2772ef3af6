/* SPDX-License-Identifier: ISC */
/*
 * Keys, certificates and secrets as files. Whatever is secret is written through private_new: a file that is
 * new and 0600 from its first byte, so that there is no moment at which others could have opened it. Texts of
 * errors come from OpenSSL's queue where it says more than errno.
 */
#include "peerlink/pki.h"
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIN_PREFIX "sha256:"
#define DAY        (24 * 60 * 60)
#define HEX(size)  (2 * (size))

/* --- hex ------------------------------------------------------------------------------------- */

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Exactly 2 * size digits; the caller looks at what follows them. */
static bool hex_read(const char *text, uint8_t *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		int high = hex_digit(text[2 * i]);
		int low = high < 0 ? -1 : hex_digit(text[2 * i + 1]);
		if (low < 0)
			return false;
		bytes[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

static void hex_write(const uint8_t *bytes, size_t size, char *text)
{
	for (size_t i = 0; i < size; i++)
		snprintf(text + 2 * i, 3, "%02x", bytes[i]);
}

/* --- files ----------------------------------------------------------------------------------- */

static int said(int error, const char *file, const char *what, char *why, size_t why_size)
{
	snprintf(why, why_size, "%s: %s", file, what);
	return -error;
}

/* What OpenSSL complained about, in its words; its queue is empty afterwards. */
static int said_openssl(const char *file, const char *what, char *why, size_t why_size)
{
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());
	snprintf(why, why_size, "%s: %s%s%s", file, what, reason ? ": " : "", reason ? reason : "");
	ERR_clear_error();
	return -EINVAL;
}

static int private_new(const char *file, char *why, size_t why_size)
{
	int fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return said(errno, file,
			    errno == EEXIST ? "exists already, not overwritten" : strerror(errno), why,
			    why_size);
	return fd;
}

/* Write `bytes` to a new private file; nothing is left behind on failure. */
static int write_new(const char *file, const void *bytes, size_t size, char *why, size_t why_size)
{
	int fd = private_new(file, why, why_size);
	if (fd < 0)
		return fd;
	ssize_t done = write(fd, bytes, size);
	int error = done == (ssize_t)size ? 0 : done < 0 ? errno : ENOSPC;
	if (!error && fsync(fd) < 0)
		error = errno;
	if (close(fd) < 0 && !error)
		error = errno;
	if (!error)
		return 0;
	unlink(file);
	return said(error, file, strerror(error), why, why_size);
}

int pki_private_file(const char *file, char *why, size_t why_size)
{
	struct stat st;
	if (stat(file, &st) < 0)
		return said(errno, file, strerror(errno), why, why_size);
	if (!S_ISREG(st.st_mode))
		return said(EINVAL, file, "not a regular file", why, why_size);
	if (!(st.st_mode & (S_IWGRP | S_IXGRP | S_IRWXO)))
		return 0;
	snprintf(why, why_size, "%s: mode %04o lets others at the secret; chmod 0600 or 0640", file,
		 (unsigned)st.st_mode & 07777);
	return -EACCES;
}

/* --- pins ------------------------------------------------------------------------------------ */

int pin_parse(const char *text, struct pin *pin)
{
	struct pin parsed;
	size_t prefix = strlen(PIN_PREFIX);
	if (strncmp(text, PIN_PREFIX, prefix) != 0 || strlen(text) != prefix + HEX(PIN_SIZE) ||
	    !hex_read(text + prefix, parsed.sha256, PIN_SIZE))
		return -EINVAL;
	*pin = parsed;
	return 0;
}

const char *pin_format(const struct pin *pin, char text[static PIN_TEXT_SIZE])
{
	int prefix = snprintf(text, PIN_TEXT_SIZE, "%s", PIN_PREFIX);
	hex_write(pin->sha256, PIN_SIZE, text + prefix);
	return text;
}

void pin_of_certificate(const struct x509_st *certificate, struct pin *pin)
{
	unsigned char *der = NULL;
	int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der);
	if (len <= 0 || EVP_Digest(der, (size_t)len, pin->sha256, NULL, EVP_sha256(), NULL) != 1)
		abort();
	OPENSSL_free(der);
}

int pin_of_file(const char *cert_file, struct pin *pin, char *why, size_t why_size)
{
	FILE *file = fopen(cert_file, "re");
	if (!file)
		return said(errno, cert_file, strerror(errno), why, why_size);
	X509 *certificate = PEM_read_X509(file, NULL, NULL, NULL);
	fclose(file);
	if (!certificate)
		return said_openssl(cert_file, "no PEM certificate in it", why, why_size);
	pin_of_certificate(certificate, pin);
	X509_free(certificate);
	return 0;
}

/* --- identities ------------------------------------------------------------------------------ */

static bool add_extension(X509 *certificate, int nid, const char *value)
{
	X509V3_CTX context;
	X509V3_set_ctx_nodb(&context);
	X509V3_set_ctx(&context, certificate, certificate, NULL, NULL, 0);
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	bool ok = extension && X509_add_ext(certificate, extension, -1) == 1;
	X509_EXTENSION_free(extension);
	return ok;
}

/* `name` goes into OpenSSL's extension language, where a comma would start another name. */
static bool plain_name(const char *name)
{
	size_t len = strlen(name);
	return len > 0 && len <= 64 &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_") == len;
}

static X509 *self_signed(EVP_PKEY *key, const char *name, int days)
{
	char san[80];
	uint8_t serial[16];
	snprintf(san, sizeof(san), "DNS:%s", name);
	if (RAND_bytes(serial, sizeof(serial)) != 1)
		return NULL;
	serial[0] = (uint8_t)((serial[0] & 0x7f) | 0x40); /* positive and of full length (RFC 5280 4.1.2.2) */
	X509 *certificate = X509_new();
	BIGNUM *number = BN_bin2bn(serial, sizeof(serial), NULL);
	if (!certificate || !number)
		abort();
	X509_NAME *subject = X509_get_subject_name(certificate);
	/* A day of the past for clocks that are a little off; RSA-free, so no key encipherment. */
	bool ok = X509_set_version(certificate, X509_VERSION_3) == 1 &&
		  BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) &&
		  X509_gmtime_adj(X509_getm_notBefore(certificate), -DAY) &&
		  X509_gmtime_adj(X509_getm_notAfter(certificate), (long)days * DAY) &&
		  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1,
					     0) == 1 &&
		  X509_set_issuer_name(certificate, subject) == 1 && X509_set_pubkey(certificate, key) == 1 &&
		  add_extension(certificate, NID_basic_constraints, "critical,CA:FALSE") &&
		  add_extension(certificate, NID_key_usage, "critical,digitalSignature") &&
		  add_extension(certificate, NID_ext_key_usage, "serverAuth,clientAuth") &&
		  add_extension(certificate, NID_subject_alt_name, san) &&
		  X509_sign(certificate, key, EVP_sha256()) > 0;
	BN_free(number);
	if (ok)
		return certificate;
	X509_free(certificate);
	return NULL;
}

static int write_pem(const char *file, const EVP_PKEY *key, const X509 *certificate, char *why,
		     size_t why_size)
{
	BIO *memory = BIO_new(BIO_s_secmem());
	if (!memory)
		abort();
	int ok = key ? PEM_write_bio_PrivateKey(memory, key, NULL, NULL, 0, NULL, NULL)
		     : PEM_write_bio_X509(memory, certificate);
	char *text;
	long size = BIO_get_mem_data(memory, &text);
	int rc = ok == 1 ? write_new(file, text, (size_t)size, why, why_size)
			 : said_openssl(file, "cannot encode", why, why_size);
	BIO_free(memory);
	return rc;
}

int pki_make_identity(const char *key_file, const char *cert_file, const char *name, int days, char *why,
		      size_t why_size)
{
	if (!plain_name(name) || days < 1 || days > 100 * 366)
		return said(EINVAL, cert_file, "needs a plain host name and 1..36600 days", why, why_size);
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *certificate = key ? self_signed(key, name, days) : NULL;
	int rc = certificate ? 0 : said_openssl(cert_file, "cannot make a certificate", why, why_size);
	if (rc)
		goto out;
	rc = write_pem(key_file, key, NULL, why, why_size);
	if (rc)
		goto out;
	rc = write_pem(cert_file, NULL, certificate, why, why_size);
	if (rc)
		unlink(key_file);
	else if (chmod(cert_file, 0644) < 0) /* it is public; the mode is a convenience */
		errno = 0;
out:
	X509_free(certificate);
	EVP_PKEY_free(key);
	return rc;
}

/* --- the keepalive secret -------------------------------------------------------------------- */

int pki_make_secret(const char *file, char *why, size_t why_size)
{
	struct secret secret;
	char line[HEX(SECRET_SIZE) + 2];
	if (RAND_priv_bytes(secret.bytes, SECRET_SIZE) != 1)
		return said_openssl(file, "no randomness", why, why_size);
	hex_write(secret.bytes, SECRET_SIZE, line);
	line[HEX(SECRET_SIZE)] = '\n';
	int rc = write_new(file, line, HEX(SECRET_SIZE) + 1, why, why_size);
	OPENSSL_cleanse(&secret, sizeof(secret));
	OPENSSL_cleanse(line, sizeof(line));
	return rc;
}

int pki_read_secret(const char *file, struct secret *secret, char *why, size_t why_size)
{
	int rc = pki_private_file(file, why, why_size);
	if (rc)
		return rc;
	FILE *stream = fopen(file, "re");
	if (!stream)
		return said(errno, file, strerror(errno), why, why_size);
	char line[HEX(SECRET_SIZE) + 3] = "";
	struct secret read;
	size_t len = fread(line, 1, sizeof(line) - 1, stream);
	fclose(stream);
	if (len > 0 && line[len - 1] == '\n')
		line[--len] = '\0';
	if (len == HEX(SECRET_SIZE) && hex_read(line, read.bytes, SECRET_SIZE))
		*secret = read;
	else
		rc = said(EINVAL, file, "not one line of 64 hex digits", why, why_size);
	OPENSSL_cleanse(line, sizeof(line));
	OPENSSL_cleanse(&read, sizeof(read));
	return rc;
}
