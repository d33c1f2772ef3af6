/* SPDX-License-Identifier: ISC */
/*
 * TLS policy and keys, by real handshakes over a socket pair: who is let in, who is not, and what the two
 * ends say about it. An end is happy when a byte of the other has reached it, because in TLS 1.3 the dialling
 * end is through its handshake before the listening one has judged it.
 */
#include "peerlink/pki.h"
#include "peerlink/tls.h"
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define PATH_SIZE 128
#define WHY       400
#define DAY       (24L * 60 * 60)

/* --- files ----------------------------------------------------------------------------------- */

static char dir[] = "/tmp/mclagd-tls-XXXXXX";

static int make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	char command[64];
	(void)state;
	snprintf(command, sizeof(command), "rm -r %s", dir);
	return system(command);
}

static const char *in_dir(const char *name)
{
	static char paths[8][PATH_SIZE];
	static unsigned turn;
	char *path = paths[turn++ % 8];
	snprintf(path, PATH_SIZE, "%s/%s", dir, name);
	return path;
}

static void write_file(const char *path, const char *text, mode_t mode)
{
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	assert_int_equal(chmod(path, mode), 0);
}

/* An identity of its own kind: signed by `ca` (NULL = itself), for the SAN `san`, valid from..to days from
 * now. */
struct identity {
	char key_file[PATH_SIZE], cert_file[PATH_SIZE];
	struct pin pin;
	EVP_PKEY *key;
	X509 *certificate;
};

static void issue(struct identity *id, const char *name, const struct identity *ca, const char *san,
		  long from, long to)
{
	X509V3_CTX context;
	id->key = EVP_EC_gen("P-256");
	id->certificate = X509_new();
	X509 *x = id->certificate;
	X509_set_version(x, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(x), random() | 1);
	X509_gmtime_adj(X509_getm_notBefore(x), from * DAY);
	X509_gmtime_adj(X509_getm_notAfter(x), to * DAY);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC, (const unsigned char *)name,
				   -1, -1, 0);
	X509_set_issuer_name(x, X509_get_subject_name(ca ? ca->certificate : x));
	X509_set_pubkey(x, id->key);
	X509V3_set_ctx_nodb(&context);
	X509V3_set_ctx(&context, ca ? ca->certificate : x, x, NULL, NULL, 0);
	X509_EXTENSION *e =
	    X509V3_EXT_conf_nid(NULL, &context, NID_basic_constraints, ca ? "CA:FALSE" : "critical,CA:TRUE");
	X509_add_ext(x, e, -1);
	X509_EXTENSION_free(e);
	e = X509V3_EXT_conf_nid(NULL, &context, NID_subject_alt_name, san);
	X509_add_ext(x, e, -1);
	X509_EXTENSION_free(e);
	assert_true(X509_sign(x, ca ? ca->key : id->key, EVP_sha256()) > 0);

	snprintf(id->key_file, PATH_SIZE, "%s/%s.key", dir, name);
	snprintf(id->cert_file, PATH_SIZE, "%s/%s.pem", dir, name);
	FILE *file = fopen(id->key_file, "w");
	PEM_write_PrivateKey(file, id->key, NULL, NULL, 0, NULL, NULL);
	fclose(file);
	chmod(id->key_file, 0600);
	file = fopen(id->cert_file, "w");
	PEM_write_X509(file, x);
	fclose(file);
	pin_of_certificate(x, &id->pin);
}

static void drop(struct identity *id)
{
	EVP_PKEY_free(id->key);
	X509_free(id->certificate);
}

/* --- handshakes ------------------------------------------------------------------------------ */

struct end {
	SSL *ssl;
	bool through, happy, dead;
	enum tls_fault fault;
	char why[WHY];
};

static void step(struct end *e)
{
	char byte = 'x';
	ERR_clear_error();
	int rc = e->through ? SSL_read(e->ssl, &byte, 1) : SSL_do_handshake(e->ssl);
	if (rc == 1 && e->through) {
		e->happy = true;
	} else if (rc == 1) {
		e->through = true;
		SSL_write(e->ssl, &byte, 1);
	} else {
		int error = SSL_get_error(e->ssl, rc);
		if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
			return;
		e->dead = true;
		e->fault = tls_explain(e->ssl, ERR_get_error(), 0, e->why, sizeof(e->why));
		shutdown(SSL_get_fd(e->ssl), SHUT_WR);
	}
}

/* Run both ends until each is happy or dead; takes the two sessions. */
static void converse(struct end *dialer, struct end *listener)
{
	int fds[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	SSL_set_fd(dialer->ssl, fds[0]);
	SSL_set_fd(listener->ssl, fds[1]);
	struct end *ends[2] = {dialer, listener};
	for (int i = 0; i < 1000; i++) {
		struct end *e = ends[i % 2];
		if (!e->happy && !e->dead)
			step(e);
	}
	assert_true(dialer->happy || dialer->dead);
	assert_true(listener->happy || listener->dead);
	SSL_free(dialer->ssl);
	SSL_free(listener->ssl);
	close(fds[0]);
	close(fds[1]);
}

static struct tls *load(const struct tls_config *config)
{
	struct tls *tls = NULL;
	char why[WHY] = "";
	int rc = tls_create(config, &tls, why, sizeof(why));
	if (rc)
		fail_msg("%s", why);
	return tls;
}

static struct tls *pinned(const struct identity *me, const struct pin *pins, size_t count)
{
	return load(&(struct tls_config){
	    .cert_file = me->cert_file, .key_file = me->key_file, .pins = pins, .pin_count = count});
}

static struct tls *named(const struct identity *me, const struct identity *ca, const char *name)
{
	return load(&(struct tls_config){.cert_file = me->cert_file,
					 .key_file = me->key_file,
					 .ca_file = ca->cert_file,
					 .peer_name = name});
}

/* One handshake of two loaded ends; destroys them. */
static void meet(struct tls *one, struct tls *two, struct end *dialer, struct end *listener)
{
	*dialer = (struct end){.ssl = tls_session(one, true)};
	*listener = (struct end){.ssl = tls_session(two, false)};
	converse(dialer, listener);
	tls_destroy(one);
	tls_destroy(two);
}

/* --- pins ------------------------------------------------------------------------------------ */

static void the_right_pin_is_accepted(void **state)
{
	struct identity leaf1, leaf2;
	struct end dialer, listener;
	(void)state;
	issue(&leaf1, "leaf1", NULL, "DNS:leaf1", -1, 10);
	issue(&leaf2, "leaf2", NULL, "DNS:leaf2", -1, 10);
	meet(pinned(&leaf1, &leaf2.pin, 1), pinned(&leaf2, &leaf1.pin, 1), &dialer, &listener);
	assert_true(dialer.happy && listener.happy);
	/* one of several pins: the key before and the key after a rotation */
	struct pin both[2] = {leaf2.pin, leaf1.pin};
	meet(pinned(&leaf1, both, 2), pinned(&leaf2, both, 2), &dialer, &listener);
	assert_true(dialer.happy && listener.happy);
	drop(&leaf1);
	drop(&leaf2);
}

static void dates_do_not_matter_to_a_pin(void **state)
{
	struct identity past, future;
	struct end dialer, listener;
	(void)state;
	issue(&past, "past", NULL, "DNS:past", -20, -10);
	issue(&future, "future", NULL, "DNS:future", 10, 20);
	meet(pinned(&past, &future.pin, 1), pinned(&future, &past.pin, 1), &dialer, &listener);
	assert_true(dialer.happy && listener.happy);
	drop(&past);
	drop(&future);
}

static void a_wrong_pin_is_refused_by_either_end(void **state)
{
	struct identity leaf1, leaf2, other;
	struct end dialer, listener;
	(void)state;
	issue(&leaf1, "leaf1", NULL, "DNS:leaf1", -1, 10);
	issue(&leaf2, "leaf2", NULL, "DNS:leaf2", -1, 10);
	issue(&other, "other", NULL, "DNS:leaf1", -1, 10); /* same name, other key */
	meet(pinned(&leaf1, &leaf2.pin, 1), pinned(&leaf2, &other.pin, 1), &dialer, &listener);
	assert_true(listener.dead && dialer.dead);
	assert_int_equal(listener.fault, TLS_FAULT_IDENTITY);
	assert_string_equal(listener.why, "the peer's certificate is refused: its pin is not configured");
	assert_int_equal(dialer.fault, TLS_FAULT_IDENTITY);
	assert_non_null(strstr(dialer.why, "the peer refuses our certificate"));

	meet(pinned(&leaf1, &other.pin, 1), pinned(&leaf2, &leaf1.pin, 1), &dialer, &listener);
	assert_int_equal(dialer.fault, TLS_FAULT_IDENTITY);
	assert_int_equal(listener.fault, TLS_FAULT_IDENTITY);
	assert_true(dialer.dead && listener.dead);
	drop(&leaf1);
	drop(&leaf2);
	drop(&other);
}

/* --- a CA and a name ------------------------------------------------------------------------- */

static void a_name_under_the_ca(void **state)
{
	static const struct {
		const char *san; /* what the dialling leaf shows */
		const char *expected;
		long from, to;
		bool own_ca;
		const char *refusal; /* NULL = accepted */
	} rows[] = {
	    {"DNS:leaf1.example", "leaf1.example", -1, 10, true, NULL},
	    {"DNS:a.example,DNS:leaf1.example", "leaf1.example", -1, 10, true, NULL},
	    {"DNS:leaf1.example", "leaf9.example", -1, 10, true, "hostname mismatch"},
	    {"DNS:*.pair.example", "leaf1.pair.example", -1, 10, true, "hostname mismatch"},
	    {"IP:192.0.2.1", "cn-only", -1, 10, true, "hostname mismatch"},
	    {"DNS:leaf1.example", "leaf1.example", -20, -10, true, "certificate has expired"},
	    {"DNS:leaf1.example", "leaf1.example", 10, 20, true, "certificate is not yet valid"},
	    {"DNS:leaf1.example", "leaf1.example", -1, 10, false, "unable to get local issuer certificate"},
	};
	struct identity ca, other_ca, leaf2;
	(void)state;
	issue(&ca, "ca", NULL, "DNS:ca", -100, 100);
	issue(&other_ca, "other-ca", NULL, "DNS:ca", -100, 100);
	issue(&leaf2, "leaf2", &ca, "DNS:leaf2.example", -1, 10);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct identity leaf1;
		struct end dialer, listener;
		issue(&leaf1, "cn-only", rows[i].own_ca ? &ca : &other_ca, rows[i].san, rows[i].from,
		      rows[i].to);
		meet(named(&leaf1, &ca, "leaf2.example"), named(&leaf2, &ca, rows[i].expected), &dialer,
		     &listener);
		if (rows[i].refusal) {
			assert_true(dialer.dead && listener.dead);
			assert_int_equal(listener.fault, TLS_FAULT_IDENTITY);
			assert_int_equal(dialer.fault, TLS_FAULT_IDENTITY);
			if (!strstr(listener.why, rows[i].refusal))
				fail_msg("row %zu: '%s' not in '%s'", i, rows[i].refusal, listener.why);
		} else {
			assert_true(dialer.happy && listener.happy);
		}
		drop(&leaf1);
	}
	drop(&ca);
	drop(&other_ca);
	drop(&leaf2);
}

/* --- clients that are not ours --------------------------------------------------------------- */

static void strangers_are_refused(void **state)
{
	struct identity leaf1, leaf2;
	struct end dialer, listener;
	(void)state;
	issue(&leaf1, "leaf1", NULL, "DNS:leaf1", -1, 10);
	issue(&leaf2, "leaf2", NULL, "DNS:leaf2", -1, 10);
	struct tls *ours = pinned(&leaf2, &leaf1.pin, 1);

	/* TLS 1.2, with the right certificate */
	SSL_CTX *old = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_max_proto_version(old, TLS1_2_VERSION);
	SSL_CTX_use_certificate_file(old, leaf1.cert_file, SSL_FILETYPE_PEM);
	SSL_CTX_use_PrivateKey_file(old, leaf1.key_file, SSL_FILETYPE_PEM);
	dialer = (struct end){.ssl = SSL_new(old)};
	SSL_set_connect_state(dialer.ssl);
	listener = (struct end){.ssl = tls_session(ours, false)};
	converse(&dialer, &listener);
	assert_true(dialer.dead && listener.dead);
	assert_int_equal(listener.fault, TLS_FAULT_HANDSHAKE);
	assert_string_equal(listener.why, "unsupported protocol");
	SSL_CTX_free(old);

	/* TLS 1.3 without a certificate */
	SSL_CTX *anonymous = SSL_CTX_new(TLS_client_method());
	dialer = (struct end){.ssl = SSL_new(anonymous)};
	SSL_set_connect_state(dialer.ssl);
	listener = (struct end){.ssl = tls_session(ours, false)};
	converse(&dialer, &listener);
	assert_true(dialer.dead && listener.dead);
	assert_int_equal(listener.fault, TLS_FAULT_HANDSHAKE);
	assert_string_equal(listener.why, "peer did not return a certificate");
	SSL_CTX_free(anonymous);
	tls_destroy(ours);
	drop(&leaf1);
	drop(&leaf2);
}

static int count_session(SSL *ssl, SSL_SESSION *session)
{
	int *tickets = SSL_get_app_data(ssl);
	(void)session;
	++*tickets;
	return 0;
}

static void no_tickets_are_given(void **state)
{
	struct identity leaf1, leaf2;
	int tickets = 0;
	(void)state;
	issue(&leaf1, "leaf1", NULL, "DNS:leaf1", -1, 10);
	issue(&leaf2, "leaf2", NULL, "DNS:leaf2", -1, 10);
	struct tls *ours = pinned(&leaf2, &leaf1.pin, 1);
	/* a client that would take and keep them */
	SSL_CTX *client = SSL_CTX_new(TLS_client_method());
	SSL_CTX_use_certificate_file(client, leaf1.cert_file, SSL_FILETYPE_PEM);
	SSL_CTX_use_PrivateKey_file(client, leaf1.key_file, SSL_FILETYPE_PEM);
	SSL_CTX_set_session_cache_mode(client, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(client, count_session);
	struct end dialer = {.ssl = SSL_new(client)}, listener = {.ssl = tls_session(ours, false)};
	SSL_set_connect_state(dialer.ssl);
	SSL_set_app_data(dialer.ssl, &tickets);
	converse(&dialer, &listener);
	assert_true(dialer.happy && listener.happy);
	assert_int_equal(tickets, 0);
	SSL_CTX_free(client);
	tls_destroy(ours);
	drop(&leaf1);
	drop(&leaf2);
}

/* --- files that cannot be used --------------------------------------------------------------- */

static void loading_names_the_file_and_the_fault(void **state)
{
	struct identity leaf1, leaf2;
	(void)state;
	issue(&leaf1, "leaf1", NULL, "DNS:leaf1", -1, 10);
	issue(&leaf2, "leaf2", NULL, "DNS:leaf2", -1, 10);
	const char *garbage = in_dir("garbage.pem"), *missing = in_dir("missing.pem"),
		   *open_key = in_dir("open.key");
	write_file(garbage, "-----BEGIN NONSENSE-----\n", 0600);
	char copy[PATH_SIZE * 3];
	snprintf(copy, sizeof(copy), "cp %s %s", leaf1.key_file, open_key);
	assert_int_equal(system(copy), 0);

	const char *cert = leaf1.cert_file, *key = leaf1.key_file;
	const struct pin *pin = &leaf2.pin;
	const struct {
		struct tls_config config;
		mode_t key_mode; /* of open_key */
		int rc;
		const char *file, *fault;
	} rows[] = {
	    {{missing, key, pin, 1, NULL, NULL}, 0600, -ENOENT, missing, "No such file"},
	    {{garbage, key, pin, 1, NULL, NULL}, 0600, -EINVAL, garbage, "no usable PEM certificate"},
	    {{cert, missing, pin, 1, NULL, NULL}, 0600, -ENOENT, missing, "No such file"},
	    {{cert, garbage, pin, 1, NULL, NULL}, 0600, -EINVAL, garbage, "no usable PEM key"},
	    {{cert, leaf2.key_file, pin, 1, NULL, NULL},
	     0600,
	     -EINVAL,
	     leaf2.key_file,
	     "not the key of the certificate"},
	    {{cert, open_key, pin, 1, NULL, NULL}, 0644, -EACCES, open_key, "mode 0644"},
	    {{cert, open_key, pin, 1, NULL, NULL}, 0660, -EACCES, open_key, "chmod 0600 or 0640"},
	    {{cert, open_key, pin, 1, NULL, NULL}, 0640, 0, NULL, NULL},
	    {{cert, key, NULL, 0, NULL, NULL}, 0600, -EINVAL, "peer identity", "either pins or a CA file"},
	    {{cert, key, pin, 1, cert, "x"}, 0600, -EINVAL, "peer identity", "either pins or a CA file"},
	    {{cert, key, NULL, 0, missing, "x"}, 0600, -ENOENT, missing, "No such file"},
	    {{cert, key, NULL, 0, garbage, "x"}, 0600, -EINVAL, garbage, "no usable CA certificate"},
	    {{cert, key, NULL, 0, cert, NULL}, 0600, -EINVAL, cert, "needs the peer's name"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct tls *tls = NULL;
		char why[WHY] = "";
		assert_int_equal(chmod(open_key, rows[i].key_mode), 0);
		int rc = tls_create(&rows[i].config, &tls, why, sizeof(why));
		if (rc != rows[i].rc)
			fail_msg("row %zu: %d, %s", i, rc, why);
		if (rc && (!strstr(why, rows[i].file) || !strstr(why, rows[i].fault)))
			fail_msg("row %zu: '%s'", i, why);
		assert_true(rc ? tls == NULL : tls != NULL);
		tls_destroy(tls);
	}
	tls_destroy(NULL);
	drop(&leaf1);
	drop(&leaf2);
}

/* --- keys ------------------------------------------------------------------------------------ */

static void made_identities_work(void **state)
{
	struct identity leaf1 = {0}, leaf2 = {0};
	struct end dialer, listener;
	struct stat st;
	char why[WHY];
	(void)state;
	struct identity *leaves[2] = {&leaf1, &leaf2};
	for (int i = 0; i < 2; i++) {
		snprintf(leaves[i]->key_file, PATH_SIZE, "%s/made%d.key", dir, i);
		snprintf(leaves[i]->cert_file, PATH_SIZE, "%s/made%d.pem", dir, i);
		assert_int_equal(pki_make_identity(leaves[i]->key_file, leaves[i]->cert_file, "leaf.example",
						   3650, why, sizeof(why)),
				 0);
		assert_int_equal(pin_of_file(leaves[i]->cert_file, &leaves[i]->pin, why, sizeof(why)), 0);
		assert_int_equal(stat(leaves[i]->key_file, &st), 0);
		assert_int_equal(st.st_mode & 07777, 0600);
	}
	meet(pinned(&leaf1, &leaf2.pin, 1), pinned(&leaf2, &leaf1.pin, 1), &dialer, &listener);
	assert_true(dialer.happy && listener.happy);
	/* they also stand as their own CA, with the name they were made for */
	meet(named(&leaf1, &leaf2, "leaf.example"), named(&leaf2, &leaf1, "leaf.example"), &dialer,
	     &listener);
	assert_true(dialer.happy && listener.happy);

	/* an existing key is never overwritten, and no half pair is left */
	assert_int_equal(pki_make_identity(leaf1.key_file, in_dir("new.pem"), "x", 10, why, sizeof(why)),
			 -EEXIST);
	assert_non_null(strstr(why, leaf1.key_file));
	assert_int_equal(access(in_dir("new.pem"), F_OK), -1);
	assert_int_equal(pki_make_identity(in_dir("new.key"), leaf1.cert_file, "x", 10, why, sizeof(why)),
			 -EEXIST);
	assert_int_equal(access(in_dir("new.key"), F_OK), -1);
	assert_int_equal(
	    pki_make_identity(in_dir("new.key"), in_dir("new.pem"), "a,DNS:b", 10, why, sizeof(why)),
	    -EINVAL);
	assert_int_equal(pki_make_identity(in_dir("new.key"), in_dir("new.pem"), "", 10, why, sizeof(why)),
			 -EINVAL);
}

static void pins_as_text(void **state)
{
	struct pin pin, back = {{7}};
	char text[PIN_TEXT_SIZE];
	(void)state;
	for (int i = 0; i < PIN_SIZE; i++)
		pin.sha256[i] = (uint8_t)(i * 37);
	assert_int_equal(strlen(pin_format(&pin, text)), PIN_TEXT_SIZE - 1);
	assert_int_equal(strncmp(text, "sha256:00254a6f94", 17), 0);
	assert_int_equal(pin_parse(text, &back), 0);
	assert_memory_equal(&pin, &back, sizeof(pin));
	static const char *const wrong[] = {
	    "",
	    "sha256:",
	    "sha256:00",
	    "sha1:0000000000000000000000000000000000000000000000000000000000000000",
	    "sha256:000000000000000000000000000000000000000000000000000000000000000g",
	    "sha256:00000000000000000000000000000000000000000000000000000000000000000",
	};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(pin_parse(wrong[i], &back), -EINVAL);
	assert_memory_equal(&pin, &back, sizeof(pin));
}

static void secrets(void **state)
{
	struct secret secret = {{1}}, again;
	const char *file = in_dir("secret"), *bad = in_dir("bad-secret");
	char why[WHY];
	(void)state;
	assert_int_equal(pki_make_secret(file, why, sizeof(why)), 0);
	assert_int_equal(pki_make_secret(file, why, sizeof(why)), -EEXIST);
	assert_int_equal(pki_read_secret(file, &secret, why, sizeof(why)), 0);
	assert_int_equal(pki_read_secret(file, &again, why, sizeof(why)), 0);
	assert_memory_equal(&secret, &again, sizeof(secret));
	assert_int_equal(chmod(file, 0604), 0);
	assert_int_equal(pki_read_secret(file, &again, why, sizeof(why)), -EACCES);
	static const char *const wrong[] = {
	    "", "\n", "00\n", "0000000000000000000000000000000000000000000000000000000000000000\n\n",
	    "000000000000000000000000000000000000000000000000000000000000000x\n"};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		write_file(bad, wrong[i], 0600);
		assert_int_equal(pki_read_secret(bad, &again, why, sizeof(why)), -EINVAL);
		assert_non_null(strstr(why, bad));
	}
	assert_memory_equal(&secret, &again, sizeof(secret));
	assert_int_equal(pki_read_secret(in_dir("none"), &again, why, sizeof(why)), -ENOENT);
}

/* A peer may send any alert number, and a provider may fail without words of its own. */
static void what_has_no_words_is_told_by_its_code(void **state)
{
	char why[WHY];
	(void)state;
	SSL_CTX *context = SSL_CTX_new(TLS_method());
	SSL *ssl = SSL_new(context);
	unsigned long alert = ERR_PACK(ERR_LIB_SSL, 0, SSL_AD_REASON_OFFSET + 99);
	assert_null(ERR_reason_error_string(alert));
	assert_int_equal(tls_explain(ssl, alert, 0, why, sizeof(why)), TLS_FAULT_HANDSHAKE);
	assert_string_equal(why, "TLS error 0x0a00044b of SSL routines");
	assert_int_equal(tls_explain(ssl, alert, ECONNRESET, why, sizeof(why)), TLS_FAULT_HANDSHAKE);
	assert_string_equal(why, "TLS error 0x0a00044b of SSL routines: Connection reset by peer");
	assert_int_equal(tls_explain(ssl, 0, ECONNRESET, why, sizeof(why)), TLS_FAULT_BROKEN);
	assert_string_equal(why, "Connection reset by peer");
	assert_int_equal(tls_explain(ssl, 0, 0, why, sizeof(why)), TLS_FAULT_BROKEN);
	assert_string_equal(why, "connection ended without a TLS close");
	SSL_free(ssl);
	SSL_CTX_free(context);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_right_pin_is_accepted),
	    cmocka_unit_test(dates_do_not_matter_to_a_pin),
	    cmocka_unit_test(a_wrong_pin_is_refused_by_either_end),
	    cmocka_unit_test(a_name_under_the_ca),
	    cmocka_unit_test(strangers_are_refused),
	    cmocka_unit_test(no_tickets_are_given),
	    cmocka_unit_test(loading_names_the_file_and_the_fault),
	    cmocka_unit_test(made_identities_work),
	    cmocka_unit_test(pins_as_text),
	    cmocka_unit_test(secrets),
	    cmocka_unit_test(what_has_no_words_is_told_by_its_code),
	};
	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
