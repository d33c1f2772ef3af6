/* SPDX-License-Identifier: ISC */
#include "session_world.h"
#include "peerlink/pki.h"
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct tls *tls_of[4];
struct event_base *base;
uint16_t port;
static char dir[] = "/tmp/mclagd-peerlink-XXXXXX";
static struct event *heartbeat;

int64_t now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* --- an owner that writes down what happens -------------------------------------------------- */

static void note(struct leaf *leaf, const char *what)
{
	assert_false(leaf->calling);
	size_t used = strlen(leaf->trace);
	snprintf(leaf->trace + used, sizeof(leaf->trace) - used, "%s%s", used ? " " : "", what);
}

static struct leaf *leaf_of(struct peerlink_owner *owner)
{
	return (struct leaf *)((char *)owner - offsetof(struct leaf, owner));
}

static void on_opened(struct peerlink_owner *owner, int path)
{
	struct leaf *leaf = leaf_of(owner);
	char word[16];
	snprintf(word, sizeof(word), "+%d", path);
	note(leaf, word);
	assert_false(leaf->up);
	leaf->up = true;
	leaf->opened++;
	if (leaf->accept_all)
		CALL(leaf, peerlink_accept(leaf->p));
	if (leaf->close_on_open)
		CALL(leaf, peerlink_close(leaf->p, leaf->close_on_open));
}

static void on_closed(struct peerlink_owner *owner, enum peerlink_reason reason, const char *text)
{
	struct leaf *leaf = leaf_of(owner);
	static const char *const words[] = {
#define X(name, text) [name] = #name,
	    PEERLINK_REASONS(X)
#undef X
	};
	char word[64];
	snprintf(word, sizeof(word), "-%s", words[reason] + strlen("PEERLINK_"));
	note(leaf, word);
	assert_true(leaf->up);
	leaf->up = false;
	leaf->closed++;
	leaf->reason = reason;
	snprintf(leaf->text, sizeof(leaf->text), "%s", text);
	if (leaf->use_on_closed != -2)
		CALL(leaf, peerlink_use(leaf->p, leaf->use_on_closed));
}

static void on_frame(struct peerlink_owner *owner, const uint8_t *bytes, size_t len)
{
	struct leaf *leaf = leaf_of(owner);
	char word[32] = "(long)";
	assert_true(leaf->up);
	if (len < sizeof(word))
		snprintf(word, sizeof(word), "%.*s", (int)len, (const char *)bytes);
	note(leaf, word);
	leaf->frames++;
	leaf->bytes += len;
	if (leaf->close_on_frame)
		CALL(leaf, peerlink_close(leaf->p, leaf->close_on_frame));
}

static void on_writable(struct peerlink_owner *owner)
{
	struct leaf *leaf = leaf_of(owner);
	assert_false(leaf->calling);
	assert_true(peerlink_room(leaf->p) >= PEERLINK_QUEUE_HIGH - PEERLINK_QUEUE_LOW);
	leaf->writable++;
}

static void on_refused(struct peerlink_owner *owner, enum peerlink_reason reason, const char *text)
{
	struct leaf *leaf = leaf_of(owner);
	assert_false(leaf->calling);
	leaf->refused_at[leaf->refused % 16] = now_ms();
	leaf->refused++;
	leaf->reason = reason;
	snprintf(leaf->text, sizeof(leaf->text), "%s", text);
}

/* --- the world ------------------------------------------------------------------------------- */

void set_address(struct sockaddr_storage *address, const char *text)
{
	assert_int_equal(address_parse(text, address), 0);
}

void make_paths(struct path paths[PATHS], int node)
{
	memset(paths, 0, PATHS * sizeof(paths[0]));
	strcpy(paths[PEER_LINK].name, "peer link");
	set_address(&paths[PEER_LINK].local, node == 1 ? "127.0.0.1" : "127.0.0.2");
	set_address(&paths[PEER_LINK].remote, node == 1 ? "127.0.0.2" : "127.0.0.1");
	strcpy(paths[MGMT].name, "mgmt");
	set_address(&paths[MGMT].local, "::1");
	set_address(&paths[MGMT].remote, "::1");
	paths[PEER_LINK].port = paths[MGMT].port = port;
}

struct peerlink_config default_config(const struct path *paths, int node)
{
	return (struct peerlink_config){
	    .node = node,
	    .paths = paths,
	    .path_count = PATHS,
	    .tls = tls_of[node],
	    .greeting_limit = GREETING_LIMIT,
	    .frame_limit = FRAME_LIMIT,
	    .greeting_ms = DEADLINE_MS,
	    .connect_ms = DEADLINE_MS,
	    .backoff_min_ms = 2,
	    .backoff_max_ms = 20,
	};
}

void start(struct leaf *leaf, struct peerlink_config config)
{
	*leaf = (struct leaf){.accept_all = true, .use_on_closed = -2};
	leaf->owner = (struct peerlink_owner){.opened = on_opened,
					      .closed = on_closed,
					      .frame = on_frame,
					      .writable = on_writable,
					      .refused = on_refused};
	config.owner = &leaf->owner;
	CALL(leaf, leaf->p = peerlink_create(base, &config));
}

void start_plain(struct leaf *leaf, int node)
{
	struct path paths[PATHS];
	make_paths(paths, node);
	start(leaf, default_config(paths, node));
}

void stop(struct leaf *leaf)
{
	CALL(leaf, peerlink_destroy(leaf->p));
	leaf->p = NULL;
}

static void on_heartbeat(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what, (void)arg; /* only wakes the loop, for conditions outside of it */
}

int world_set_up(void **state)
{
	struct timeval often = {.tv_usec = 1000};
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1)};
	socklen_t size = sizeof(any);
	(void)state;
	base = event_base_new();
	heartbeat = event_new(base, -1, EV_PERSIST, on_heartbeat, NULL);
	event_add(heartbeat, &often);
	int fd = socket(AF_INET, SOCK_STREAM, 0); /* a port that is free now */
	assert_int_equal(bind(fd, (struct sockaddr *)&any, size), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&any, &size), 0);
	port = ntohs(any.sin_port);
	close(fd);
	return 0;
}

int world_tear_down(void **state)
{
	(void)state;
	event_free(heartbeat);
	event_base_free(base);
	return 0;
}

static void make_leaf_keys(int which, char key[64], char cert[64], struct pin *pin)
{
	char why[PKI_WHY_SIZE], name[16];
	snprintf(key, 64, "%s/%d.key", dir, which);
	snprintf(cert, 64, "%s/%d.pem", dir, which);
	snprintf(name, sizeof(name), "leaf%d", which);
	assert_int_equal(pki_make_identity(key, cert, name, 10, why, sizeof(why)), 0);
	assert_int_equal(pin_of_file(cert, pin, why, sizeof(why)), 0);
}

int world_keys(void **state)
{
	char key[4][64], cert[4][64], why[PKI_WHY_SIZE];
	struct pin pin[4];
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	if (!mkdtemp(dir))
		return -1;
	for (int i = 1; i <= 3; i++)
		make_leaf_keys(i, key[i], cert[i], &pin[i]);
	for (int i = 1; i <= 3; i++) {
		struct tls_config config = {
		    .cert_file = cert[i], .key_file = key[i], .pins = &pin[i == 2 ? 1 : 2], .pin_count = 1};
		assert_int_equal(tls_create(&config, &tls_of[i], why, sizeof(why)), 0);
	}
	return 0;
}

int world_drop_keys(void **state)
{
	char command[64];
	(void)state;
	for (int i = 1; i <= 3; i++)
		tls_destroy(tls_of[i]);
	snprintf(command, sizeof(command), "rm -r %s", dir);
	return system(command);
}

int send_text(struct leaf *leaf, const char *text)
{
	int room;
	CALL(leaf, room = peerlink_send(leaf->p, (const uint8_t *)text, strlen(text)));
	return room;
}

void connect_both(struct leaf *one, struct leaf *two, int path)
{
	CALL(one, peerlink_use(one->p, path));
	UNTIL(one->up && two->up);
}

/* --- a client of our own making -------------------------------------------------------------- */

struct raw raw_connect(const char *from)
{
	struct raw r = {.fd = socket(AF_INET, SOCK_STREAM, 0), .chunk = 1 << 16};
	struct sockaddr_storage address;
	int one = 1;
	set_address(&address, from);
	assert_int_equal(bind(r.fd, (struct sockaddr *)&address, sizeof(struct sockaddr_in)), 0);
	set_address(&address, "127.0.0.2");
	((struct sockaddr_in *)&address)->sin_port = htons(port);
	assert_int_equal(connect(r.fd, (struct sockaddr *)&address, sizeof(struct sockaddr_in)), 0);
	setsockopt(r.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	fcntl(r.fd, F_SETFL, O_NONBLOCK);
	return r;
}

struct raw raw_tls(const char *from, const struct tls *tls)
{
	struct raw r = raw_connect(from);
	r.ssl = tls_session(tls, true);
	SSL_set_bio(r.ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	return r;
}

void raw_pump(struct raw *r)
{
	char bytes[1 << 16];
	ssize_t got = r->deaf ? -1 : recv(r->fd, bytes, sizeof(bytes), 0);
	if (got == 0 || (got < 0 && !r->deaf && errno == ECONNRESET))
		r->gone = true;
	if (!r->ssl)
		return;
	if (got > 0)
		BIO_write(SSL_get_rbio(r->ssl), bytes, (int)got);
	if (!SSL_is_init_finished(r->ssl))
		SSL_do_handshake(r->ssl);
	ERR_clear_error();
	int ready = BIO_read(SSL_get_wbio(r->ssl), bytes, (int)r->chunk);
	if (ready > 0)
		assert_int_equal(send(r->fd, bytes, (size_t)ready, MSG_NOSIGNAL), ready);
}

void raw_bytes(const struct raw *r, const void *bytes, size_t size)
{
	assert_int_equal(send(r->fd, bytes, size, MSG_NOSIGNAL), (ssize_t)size);
}

void raw_write(struct raw *r, const void *bytes, size_t size)
{
	for (size_t done = 0; done < size;) {
		int n = SSL_write(r->ssl, (const uint8_t *)bytes + done, (int)(size - done));
		assert_true(n > 0);
		done += (size_t)n;
	}
}

void raw_frame(struct raw *r, const char *payload)
{
	uint8_t head[FRAME_HEAD];
	frame_head(head, strlen(payload));
	raw_write(r, head, sizeof(head));
	raw_write(r, payload, strlen(payload));
}

void raw_close(struct raw *r)
{
	SSL_free(r->ssl);
	close(r->fd);
	r->ssl = NULL;
	r->fd = -1;
}
