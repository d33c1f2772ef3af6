/* SPDX-License-Identifier: ISC */
/*
 * TLS policy. One SSL_CTX serves both ends. In pin mode the whole of X.509 path validation is replaced by one
 * comparison (verify_pin): the handshake itself proves that the peer holds the key (RFC 8446 4.4.3), and
 * nothing else in the certificate is believed. In CA mode OpenSSL validates, with the name as part of it.
 *
 * verify_pin reads struct tls, so it must outlive the handshakes made from it; finished sessions keep what
 * they need.
 */
#include "peerlink/tls.h"
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CIPHERS        "TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256"
#define GROUPS         "X25519:P-256:P-384"
#define MAX_CHAIN      (16 * 1024) /* bytes of the peer's certificates: strangers send these too */
#define MAX_PINS       16
#define MAX_CHAIN_DEEP 4

struct tls {
	SSL_CTX *context;
	struct pin pins[MAX_PINS];
	size_t pin_count; /* 0 in CA mode */
};

static int said(int error, const char *subject, const char *what, char *why, size_t why_size)
{
	snprintf(why, why_size, "%s: %s", subject, what);
	return -error;
}

/* The file's own error when it cannot be opened, else what OpenSSL found in it. */
static int said_file(const char *file, const char *what, char *why, size_t why_size)
{
	unsigned long error = ERR_peek_error();
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());
	int rc = -EINVAL;
	if (ERR_SYSTEM_ERROR(error)) {
		rc = -ERR_GET_REASON(error);
		snprintf(why, why_size, "%s: %s", file, strerror(ERR_GET_REASON(error)));
	} else {
		snprintf(why, why_size, "%s: %s%s%s", file, what, reason ? ": " : "", reason ? reason : "");
	}
	ERR_clear_error();
	return rc;
}

/* --- who is the peer ------------------------------------------------------------------------- */

static int verify_pin(X509_STORE_CTX *store, void *arg)
{
	const struct tls *tls = arg;
	const X509 *certificate = X509_STORE_CTX_get0_cert(store);
	struct pin pin;
	if (!certificate) {
		X509_STORE_CTX_set_error(store, X509_V_ERR_UNSPECIFIED);
		return 0;
	}
	pin_of_certificate(certificate, &pin);
	for (size_t i = 0; i < tls->pin_count; i++) {
		if (memcmp(&pin, &tls->pins[i], sizeof(pin)) == 0) {
			X509_STORE_CTX_set_error(store, X509_V_OK);
			return 1;
		}
	}
	X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_REJECTED); /* the peer reads: bad certificate */
	return 0;
}

static int trust_pins(struct tls *tls, const struct tls_config *config, char *why, size_t why_size)
{
	if (config->pin_count > MAX_PINS)
		return said(EINVAL, "pins", "more than 16", why, why_size);
	memcpy(tls->pins, config->pins, config->pin_count * sizeof(tls->pins[0]));
	tls->pin_count = config->pin_count;
	SSL_CTX_set_cert_verify_callback(tls->context, verify_pin, tls);
	return 0;
}

static int trust_ca(struct tls *tls, const struct tls_config *config, char *why, size_t why_size)
{
	if (!config->peer_name || !config->peer_name[0])
		return said(EINVAL, config->ca_file, "needs the peer's name beside it", why, why_size);
	if (SSL_CTX_load_verify_locations(tls->context, config->ca_file, NULL) != 1)
		return said_file(config->ca_file, "no usable CA certificate in it", why, why_size);
	X509_VERIFY_PARAM *param = SSL_CTX_get0_param(tls->context);
	X509_VERIFY_PARAM_set_hostflags(param,
					X509_CHECK_FLAG_NO_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
	if (X509_VERIFY_PARAM_set1_host(param, config->peer_name, 0) != 1)
		return said_file(config->peer_name, "not usable as the peer's name", why, why_size);
	X509_VERIFY_PARAM_set_depth(param, MAX_CHAIN_DEEP);
	return 0;
}

/* --- who are we ------------------------------------------------------------------------------ */

static int load_identity(struct tls *tls, const struct tls_config *config, char *why, size_t why_size)
{
	if (SSL_CTX_use_certificate_chain_file(tls->context, config->cert_file) != 1)
		return said_file(config->cert_file, "no usable PEM certificate in it", why, why_size);
	int rc = pki_private_file(config->key_file, why, why_size);
	if (rc)
		return rc;
	if (SSL_CTX_use_PrivateKey_file(tls->context, config->key_file, SSL_FILETYPE_PEM) != 1) {
		bool other = ERR_GET_REASON(ERR_peek_last_error()) == X509_R_KEY_VALUES_MISMATCH;
		return said_file(config->key_file,
				 other ? "not the key of the certificate" : "no usable PEM key in it", why,
				 why_size);
	}
	if (SSL_CTX_check_private_key(tls->context) != 1)
		return said_file(config->key_file, "not the key of the certificate", why, why_size);
	return 0;
}

/* --- policy ---------------------------------------------------------------------------------- */

static void set_policy(SSL_CTX *context)
{
	/* A refusal here is a libssl that cannot do what this program needs at all. */
	if (SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) != 1 ||
	    SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION) != 1 ||
	    SSL_CTX_set_ciphersuites(context, CIPHERS) != 1 ||
	    SSL_CTX_set1_groups_list(context, GROUPS) != 1 || SSL_CTX_set_num_tickets(context, 0) != 1)
		abort();
	SSL_CTX_set_options(context, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_max_early_data(context, 0);
	SSL_CTX_set_max_cert_list(context, MAX_CHAIN);
	SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE);
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
}

int tls_create(const struct tls_config *config, struct tls **out, char *why, size_t why_size)
{
	if ((config->pin_count > 0) == (config->ca_file != NULL))
		return said(EINVAL, "peer identity", "needs either pins or a CA file", why, why_size);
	struct tls *tls = calloc(1, sizeof(*tls));
	if (!tls || !(tls->context = SSL_CTX_new(TLS_method())))
		abort();
	set_policy(tls->context);
	ERR_clear_error();
	int rc = load_identity(tls, config, why, why_size);
	if (!rc)
		rc = config->pin_count ? trust_pins(tls, config, why, why_size)
				       : trust_ca(tls, config, why, why_size);
	if (rc)
		tls_destroy(tls);
	else
		*out = tls;
	return rc;
}

void tls_destroy(struct tls *tls)
{
	if (!tls)
		return;
	SSL_CTX_free(tls->context);
	free(tls);
}

struct ssl_st *tls_session(const struct tls *tls, bool dialer)
{
	SSL *session = SSL_new(tls->context);
	if (!session)
		abort();
	if (dialer)
		SSL_set_connect_state(session);
	else
		SSL_set_accept_state(session);
	return session;
}

/* --- errors in words ------------------------------------------------------------------------- */

/* Alerts by which the peer says that it does not accept our certificate. */
static bool refuses_us(int reason)
{
	static const int alerts[] = {
	    SSL_R_SSLV3_ALERT_BAD_CERTIFICATE,         SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED,
	    SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED,     SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN,
	    SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE, SSL_R_TLSV1_ALERT_UNKNOWN_CA,
	    SSL_R_TLSV1_ALERT_ACCESS_DENIED,
	};
	for (size_t i = 0; i < sizeof(alerts) / sizeof(alerts[0]); i++) {
		if (alerts[i] == reason)
			return true;
	}
	return false;
}

/* OpenSSL has words for most codes, but not for each alert a peer can send. */
static void explain_code(unsigned long code, int error, char *why, size_t why_size)
{
	const char *text = ERR_reason_error_string(code), *library = ERR_lib_error_string(code);
	if (text)
		snprintf(why, why_size, "%s", text);
	else
		snprintf(why, why_size, "TLS error 0x%08lx%s%s%s%s", code, library ? " of " : "",
			 library ? library : "", error ? ": " : "", error ? strerror(error) : "");
}

/* The connection ended below TLS, or without a word of it. */
static bool is_broken(unsigned long code)
{
	return code == 0 || ERR_SYSTEM_ERROR(code) ||
	       (ERR_GET_LIB(code) == ERR_LIB_SSL &&
		ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING);
}

enum tls_fault tls_explain(const struct ssl_st *session, unsigned long code, int error, char *why,
			   size_t why_size)
{
	int reason = ERR_GET_REASON(code);
	long verdict = SSL_get_verify_result(session);
	bool ssl = ERR_GET_LIB(code) == ERR_LIB_SSL;
	if (ssl && reason == SSL_R_CERTIFICATE_VERIFY_FAILED) {
		bool pin = verdict == X509_V_ERR_CERT_REJECTED;
		snprintf(why, why_size, "the peer's certificate is refused: %s",
			 pin ? "its pin is not configured" : X509_verify_cert_error_string(verdict));
		return TLS_FAULT_IDENTITY;
	}
	if (ssl && refuses_us(reason)) {
		snprintf(why, why_size, "the peer refuses our certificate: %s",
			 ERR_reason_error_string(code));
		return TLS_FAULT_IDENTITY;
	}
	if (is_broken(code)) {
		if (code != 0 && ERR_SYSTEM_ERROR(code))
			error = reason;
		else if (code != 0)
			error = 0;
		snprintf(why, why_size, "%s",
			 error ? strerror(error) : "connection ended without a TLS close");
		return TLS_FAULT_BROKEN;
	}
	explain_code(code, error, why, why_size);
	return TLS_FAULT_HANDSHAKE;
}
