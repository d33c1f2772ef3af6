/* SPDX-License-Identifier: ISC */
/*
 * The session on real TCP and TLS over loopback: two peer links in one event loop, and beside them `raw`, a
 * client of our own making that does what no peer link would. Every wait is for a condition with a deadline.
 *
 * Two promises of the header are checked in all tests at once: `opened` and `closed` come strictly in turns,
 * and no callback comes from inside a call of the owner (`calling`).
 */
#include "peerlink/peerlink.h"
#include "peerlink/pki.h"
#include "peerlink/tls.h"
#include "proto/frame.h"
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define DEADLINE_MS 20000
#define LOOP_MS     5 /* libevent counts from the start of its turn, which may lie a little back */
#define GARBAGE     "GET / HTTP/1.1\r\nHost: leaf\r\n\r\n"

enum { PEER_LINK, MGMT, PATHS };

static char dir[] = "/tmp/mclagd-peerlink-XXXXXX";
static struct tls *tls_of[4]; /* 1 and 2: the leaves, knowing each other; 3: a stranger that knows leaf 2 */
static struct event_base *base;
static struct event *heartbeat;
static uint16_t port;

static int64_t now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* --- an owner that writes down what happens -------------------------------------------------- */

struct leaf {
	struct peerlink_owner owner;
	struct peerlink *p;
	bool calling;    /* inside a call of ours */
	bool up;         /* opened and not closed */
	bool accept_all; /* accept each session as it opens */
	const char *close_on_open, *close_on_frame;
	int use_on_closed; /* -2 = nothing */
	int opened, closed, writable, refused;
	enum peerlink_reason reason; /* of the last closed or refused */
	char text[700];
	char trace[4096]; /* "+0" opened on path 0, "-REASON" closed, small frames as they are */
	size_t frames, bytes;
	uint32_t next; /* expected number of the next numbered frame */
	int64_t refused_at[16];
};

static void note(struct leaf *leaf, const char *what)
{
	assert_false(leaf->calling);
	if (strlen(leaf->trace) + strlen(what) + 2 < sizeof(leaf->trace)) {
		strcat(leaf->trace, leaf->trace[0] ? " " : "");
		strcat(leaf->trace, what);
	}
}

static struct leaf *leaf_of(struct peerlink_owner *owner)
{
	return (struct leaf *)((char *)owner - offsetof(struct leaf, owner));
}

#define CALL(leaf, call)                                                                                     \
	do {                                                                                                 \
		bool outer = (leaf)->calling;                                                                \
		(leaf)->calling = true;                                                                      \
		call;                                                                                        \
		(leaf)->calling = outer;                                                                     \
	} while (0)

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

static void set_address(struct sockaddr_storage *address, const char *text)
{
	assert_int_equal(address_parse(text, address), 0);
}

/* Path 0 is IPv4, path 1 IPv6, so that everything runs over both. */
static void make_paths(struct path paths[PATHS], int node)
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

/* Times that are short where a test waits for them, and long where it must not meet them. */
static struct peerlink_config default_config(const struct path *paths, int node)
{
	return (struct peerlink_config){
	    .node = node,
	    .paths = paths,
	    .path_count = PATHS,
	    .tls = tls_of[node],
	    .greeting_ms = DEADLINE_MS,
	    .connect_ms = DEADLINE_MS,
	    .backoff_min_ms = 2,
	    .backoff_max_ms = 20,
	};
}

static void start(struct leaf *leaf, struct peerlink_config config)
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

static void start_plain(struct leaf *leaf, int node)
{
	struct path paths[PATHS];
	make_paths(paths, node);
	start(leaf, default_config(paths, node));
}

static void stop(struct leaf *leaf)
{
	CALL(leaf, peerlink_destroy(leaf->p));
	leaf->p = NULL;
}

static void on_heartbeat(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what, (void)arg; /* only wakes the loop, for conditions outside of it */
}

#define UNTIL(condition)                                                                                     \
	for (int64_t give_up = now_ms() + DEADLINE_MS; !(condition);) {                                      \
		if (now_ms() > give_up)                                                                      \
			fail_msg("not in time: %s", #condition);                                             \
		event_base_loop(base, EVLOOP_ONCE);                                                          \
	}

static int set_up(void **state)
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

static int tear_down(void **state)
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

static int make_keys(void **state)
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

static int drop_keys(void **state)
{
	char command[64];
	(void)state;
	for (int i = 1; i <= 3; i++)
		tls_destroy(tls_of[i]);
	snprintf(command, sizeof(command), "rm -r %s", dir);
	return system(command);
}

static int send_text(struct leaf *leaf, const char *text)
{
	int room;
	CALL(leaf, room = peerlink_send(leaf->p, (const uint8_t *)text, strlen(text)));
	return room;
}

static void connect_both(struct leaf *one, struct leaf *two, int path)
{
	CALL(one, peerlink_use(one->p, path));
	UNTIL(one->up && two->up);
}

/* --- a client of our own making -------------------------------------------------------------- */

struct raw {
	int fd;
	SSL *ssl;     /* NULL = plain TCP */
	size_t chunk; /* bytes per write */
	bool deaf;    /* does not read */
	bool gone;    /* the other end has closed */
};

static struct raw raw_connect(const char *from)
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

static struct raw raw_tls(const char *from, const struct tls *tls)
{
	struct raw r = raw_connect(from);
	r.ssl = tls_session(tls, true);
	SSL_set_bio(r.ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	return r;
}

static void raw_pump(struct raw *r)
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

/* Plain bytes, below TLS. */
static void raw_bytes(const struct raw *r, const void *bytes, size_t size)
{
	assert_int_equal(send(r->fd, bytes, size, MSG_NOSIGNAL), (ssize_t)size);
}

/* Bytes inside TLS, as raw_pump gets to send them. */
static void raw_write(struct raw *r, const void *bytes, size_t size)
{
	for (size_t done = 0; done < size;) {
		int n = SSL_write(r->ssl, (const uint8_t *)bytes + done, (int)(size - done));
		assert_true(n > 0);
		done += (size_t)n;
	}
}

static void raw_frame(struct raw *r, const char *payload)
{
	uint8_t frame[256];
	frame_head(frame, strlen(payload));
	memcpy(frame + FRAME_HEAD, payload, strlen(payload));
	raw_write(r, frame, FRAME_HEAD + strlen(payload));
}

static void raw_close(struct raw *r)
{
	SSL_free(r->ssl);
	close(r->fd);
	r->ssl = NULL;
	r->fd = -1;
}

#define PUMP_UNTIL(raw, condition) UNTIL((raw_pump(raw), (condition)))

/* --- sessions -------------------------------------------------------------------------------- */

static void dials_and_talks(void **state)
{
	struct leaf one, two;
	char why[700];
	(void)state;
	for (int path = 0; path < PATHS; path++) {
		start_plain(&one, 1);
		start_plain(&two, 2);
		assert_int_equal(send_text(&one, "nobody"), -ENOTCONN);
		assert_int_equal(peerlink_room(one.p), 0);
		connect_both(&one, &two, path);
		assert_int_equal(peerlink_path(one.p), path);
		assert_int_equal(peerlink_path(two.p), path);
		peerlink_why(one.p, why, sizeof(why));
		assert_string_equal(why, "");
		assert_true(send_text(&one, "hello") > 0);
		assert_true(send_text(&one, "again") > 0);
		assert_true(send_text(&two, "welcome") > 0);
		UNTIL(two.frames == 2 && one.frames == 1);
		assert_string_equal(one.trace, path ? "+1 welcome" : "+0 welcome");
		assert_string_equal(two.trace, path ? "+1 hello again" : "+0 hello again");
		const struct peerlink_counters *c = peerlink_counters(one.p);
		assert_int_equal(c->dialled, 1);
		assert_int_equal(c->opened, 1);
		assert_int_equal(c->accepted, 1);
		assert_int_equal(c->frames_out, 2);
		assert_int_equal(c->bytes_out, 10);
		assert_int_equal(c->frames_in, 1);
		assert_int_equal(c->bytes_in, 7);
		assert_int_equal(peerlink_counters(two.p)->arrived, 1);
		stop(&one);
		stop(&two);
	}
	peerlink_destroy(NULL);
}

static void sends_within_limits_only(void **state)
{
	struct leaf one, two;
	uint8_t *most = calloc(1, PEERLINK_FRAME_LIMIT + 1);
	(void)state;
	start_plain(&one, 1);
	start_plain(&two, 2);
	connect_both(&one, &two, PEER_LINK);
	assert_int_equal(peerlink_send(one.p, most, 0), -EMSGSIZE);
	assert_int_equal(peerlink_send(one.p, most, PEERLINK_FRAME_LIMIT + 1), -EMSGSIZE);
	assert_true(peerlink_send(one.p, most, PEERLINK_FRAME_LIMIT) >= 0);
	UNTIL(two.frames == 1);
	assert_int_equal(two.bytes, PEERLINK_FRAME_LIMIT);
	free(most);
	stop(&one);
	stop(&two);
}

static void a_close_is_said_and_flushed(void **state)
{
	struct leaf leaves[3], *one = &leaves[1], *two = &leaves[2];
	uint8_t *bulk = calloc(1, 200000);
	(void)state;
	for (int closer = 1; closer <= 2; closer++) {
		struct leaf *here = &leaves[closer], *there = &leaves[3 - closer];
		start_plain(one, 1);
		start_plain(two, 2);
		connect_both(one, two, PEER_LINK);
		/* a queue in both directions; the goodbye must come through behind ours, whatever is unread
		 * of theirs */
		assert_true(peerlink_send(here->p, bulk, 200000) >= 0);
		assert_true(peerlink_send(there->p, bulk, 200000) >= 0);
		assert_true(send_text(here, "goodbye") >= 0);
		CALL(here, peerlink_close(here->p, "restarting for an upgrade"));
		CALL(here, peerlink_close(here->p, "twice"));
		assert_int_equal(send_text(here, "late"), -ENOTCONN);
		assert_int_equal(peerlink_path(here->p), PATH_NONE);
		assert_true(here->up);
		CALL(one, peerlink_use(one->p, PATH_NONE));
		UNTIL(!one->up && !two->up);
		assert_string_equal(here->trace, "+0 -CLOSED_HERE");
		assert_string_equal(here->text, "restarting for an upgrade");
		assert_string_equal(there->trace, "+0 (long) goodbye -CLOSED_PEER");
		assert_int_equal(peerlink_counters(there->p)->ended[PEERLINK_CLOSED_PEER], 1);
		stop(one);
		stop(two);
	}
	free(bulk);
}

static void a_lost_session_is_dialled_again(void **state)
{
	struct leaf one, two;
	(void)state;
	start_plain(&one, 1);
	start_plain(&two, 2);
	connect_both(&one, &two, PEER_LINK);
	CALL(&two, peerlink_close(two.p, "go away"));
	UNTIL(one.opened == 2 && two.opened == 2);
	assert_string_equal(one.trace, "+0 -CLOSED_PEER +0");
	assert_string_equal(two.trace, "+0 -CLOSED_HERE +0");
	/* the other end vanishes without a word and comes back */
	stop(&two);
	UNTIL(!one.up);
	start_plain(&two, 2);
	UNTIL(one.up && two.up);
	/* told to stop, it stays down: a whole round of the other end's making passes without a dial */
	CALL(&one, peerlink_use(one.p, PATH_NONE));
	uint64_t dialled = peerlink_counters(one.p)->dialled;
	CALL(&two, peerlink_close(two.p, "go away"));
	UNTIL(!one.up && !two.up);
	struct raw r = raw_connect("127.0.0.9");
	raw_bytes(&r, GARBAGE, strlen(GARBAGE));
	PUMP_UNTIL(&r, two.refused == 1);
	assert_int_equal(peerlink_counters(one.p)->dialled, dialled);
	CALL(&one, peerlink_retry_now(one.p));
	assert_int_equal(peerlink_counters(one.p)->dialled, dialled);
	raw_close(&r);
	stop(&one);
	stop(&two);
}

static void the_session_moves_to_another_path(void **state)
{
	struct leaf one, two;
	(void)state;
	start_plain(&one, 1);
	start_plain(&two, 2);
	connect_both(&one, &two, PEER_LINK);
	CALL(&one, peerlink_use(one.p, MGMT));
	assert_int_equal(peerlink_path(one.p), PEER_LINK); /* until the new one is open */
	UNTIL(peerlink_path(one.p) == MGMT && peerlink_path(two.p) == MGMT && one.up && two.up);
	assert_true(send_text(&one, "over here") > 0);
	UNTIL(two.frames == 1);
	assert_string_equal(one.trace, "+0 -REPLACED +1");
	/* the old one's end and the new one's beginning race on the listening end; both are an end and a
	 * beginning */
	assert_true(strcmp(two.trace, "+0 -REPLACED +1 over here") == 0 ||
		    strcmp(two.trace, "+0 -CLOSED_PEER +1 over here") == 0);
	assert_non_null(strstr(one.text, "replaced by connect ::1 port"));
	/* a path that does not answer leaves the session where it is */
	struct sockaddr_storage nobody;
	set_address(&nobody, "127.0.0.77");
	CALL(&one, peerlink_set_remote(one.p, PEER_LINK, &nobody));
	CALL(&one, peerlink_use(one.p, PEER_LINK));
	UNTIL(one.refused >= 3);
	assert_true(one.up);
	assert_int_equal(peerlink_path(one.p), MGMT);
	/* and when it moves, the dialler follows */
	set_address(&nobody, "127.0.0.2");
	CALL(&one, peerlink_set_remote(one.p, PEER_LINK, &nobody));
	UNTIL(peerlink_path(one.p) == PEER_LINK && peerlink_path(two.p) == PEER_LINK);
	stop(&one);
	stop(&two);
}

static void a_newer_authenticated_session_replaces(void **state)
{
	struct leaf two;
	(void)state;
	start_plain(&two, 2);
	struct raw first = raw_tls("127.0.0.1", tls_of[1]), second = raw_tls("127.0.0.1", tls_of[1]);
	PUMP_UNTIL(&first, two.up);
	PUMP_UNTIL(&second, two.opened == 2);
	assert_string_equal(two.trace, "+0 -REPLACED +0");
	PUMP_UNTIL(&first, first.gone);
	raw_frame(&second, "mine");
	PUMP_UNTIL(&second, two.frames == 1);
	/* one that only begins, or is not the peer, replaces nothing */
	struct raw idle = raw_connect("127.0.0.1"), stranger = raw_tls("127.0.0.1", tls_of[3]);
	PUMP_UNTIL(&stranger, two.refused == 1);
	assert_int_equal(two.reason, PEERLINK_IDENTITY);
	assert_true(two.up);
	raw_close(&first);
	raw_close(&second);
	raw_close(&idle);
	raw_close(&stranger);
	stop(&two);
}

/* --- dialling -------------------------------------------------------------------------------- */

static void an_unreachable_peer_is_tried_with_growing_waits(void **state)
{
	struct leaf one, two;
	struct path paths[PATHS];
	char why[700];
	(void)state;
	make_paths(paths, 1);
	struct peerlink_config config = default_config(paths, 1);
	config.backoff_min_ms = 20;
	config.backoff_max_ms = 100;
	start(&one, config);
	CALL(&one, peerlink_use(one.p, PEER_LINK));
	CALL(&one, peerlink_use(one.p, PEER_LINK)); /* no second dial */
	assert_int_equal(peerlink_counters(one.p)->dialled, 1);
	UNTIL(one.refused == 6);
	assert_int_equal(one.reason, PEERLINK_UNREACHABLE);
	peerlink_why(one.p, why, sizeof(why));
	char expected[200];
	snprintf(expected, sizeof(expected),
		 "connect 127.0.0.2 port %u over peer link: Connection refused; next try in 0.", port);
	if (strncmp(why, expected, strlen(expected)) != 0)
		fail_msg("'%s' is not '%s'", why, expected);
	/* at least half of 20, 40, 80, 100, 100 */
	static const int64_t least[] = {10, 20, 40, 50, 50};
	for (int i = 0; i < 5; i++)
		assert_true(one.refused_at[i + 1] - one.refused_at[i] >= least[i] - LOOP_MS);
	/* once the peer is heard there is no waiting, and the back-off is small again after it is accepted */
	start_plain(&two, 2);
	uint64_t dialled = peerlink_counters(one.p)->dialled;
	CALL(&one, peerlink_retry_now(one.p));
	assert_int_equal(peerlink_counters(one.p)->dialled, dialled + 1);
	UNTIL(one.up && two.up);
	assert_int_equal(one.refused, 6);
	stop(&one);
	stop(&two);
}

static void a_peer_without_address_waits_for_discovery(void **state)
{
	struct leaf one, two;
	struct path paths[PATHS];
	struct sockaddr_storage found;
	(void)state;
	make_paths(paths, 1);
	paths[PEER_LINK].remote.ss_family = 0;
	start(&one, default_config(paths, 1));
	start_plain(&two, 2);
	CALL(&one, peerlink_use(one.p, PEER_LINK));
	UNTIL(one.refused == 1);
	assert_non_null(strstr(one.text, "the peer's address is not known yet"));
	set_address(&found, "127.0.0.2");
	CALL(&one, peerlink_set_remote(one.p, PEER_LINK, &found));
	UNTIL(one.up && two.up);
	stop(&one);
	stop(&two);
}

static void the_wrong_key_is_refused_and_backed_off(void **state)
{
	struct leaf one, two;
	struct path paths[PATHS];
	(void)state;
	make_paths(paths, 1);
	struct peerlink_config config = default_config(paths, 1);
	config.tls = tls_of[3];
	start(&one, config);
	one.accept_all = false; /* as the owner does without a Hello */
	start_plain(&two, 2);
	CALL(&one, peerlink_use(one.p, PEER_LINK));
	UNTIL(two.refused >= 2 && one.closed + one.refused >= 2);
	assert_int_equal(two.reason, PEERLINK_IDENTITY);
	assert_non_null(strstr(two.text, "its pin is not configured"));
	assert_int_equal(one.reason, PEERLINK_IDENTITY);
	assert_non_null(strstr(one.text, "the peer refuses our certificate"));
	assert_int_equal(two.opened, 0);
	/* the right key is loaded: no restart needed, and the old one is not used again */
	CALL(&one, peerlink_set_tls(one.p, tls_of[1]));
	UNTIL(one.up && two.up);
	stop(&one);
	stop(&two);
}

/* --- back-pressure --------------------------------------------------------------------------- */

static void a_peer_that_does_not_read_costs_bounded_memory(void **state)
{
	struct leaf two;
	static uint8_t frame[50000], got[1 << 16];
	(void)state;
	start_plain(&two, 2);
	struct raw r = raw_tls("127.0.0.1", tls_of[1]);
	PUMP_UNTIL(&r, two.up && SSL_is_init_finished(r.ssl));
	r.deaf = true;

	/* The room goes to 0 and stays there while nothing is read: run the loop until the kernel takes no
	 * more. */
	uint32_t sent = 0;
	int room = 1;
	for (size_t before = SIZE_MAX; room > 0 || peerlink_room(two.p) > 0 || before != sent;) {
		before = sent;
		while (peerlink_room(two.p) > 0) {
			memcpy(frame, &sent, sizeof(sent));
			CALL(&two, room = peerlink_send(two.p, frame, sizeof(frame)));
			assert_true(room >= 0);
			sent++;
		}
		for (int i = 0; i < 20; i++)
			event_base_loop(base, EVLOOP_ONCE);
	}
	assert_int_equal(peerlink_room(two.p), 0);
	/* urgent frames still go, up to the hard limit, which is the most that is ever held */
	uint32_t stalled_at = sent;
	int called = two.writable;
	do {
		memcpy(frame, &sent, sizeof(sent));
		CALL(&two, room = peerlink_send(two.p, frame, sizeof(frame)));
		sent += room >= 0;
	} while (room >= 0);
	assert_int_equal(room, -ENOBUFS);
	assert_true((sent - stalled_at) * sizeof(frame) <=
		    PEERLINK_QUEUE_HARD - PEERLINK_QUEUE_HIGH + sizeof(frame));
	for (int i = 0; i < 20; i++)
		event_base_loop(base, EVLOOP_ONCE);
	assert_int_equal(two.writable, called);

	/* It reads again: all of it comes, in order, and `writable` comes once. */
	uint32_t next = 0;
	size_t have = 0;
	r.deaf = false;
	static uint8_t stream[2 * (sizeof(frame) + FRAME_HEAD) + sizeof(got)];
	for (int64_t give_up = now_ms() + DEADLINE_MS; next < sent;) {
		assert_true(now_ms() < give_up);
		event_base_loop(base, EVLOOP_NONBLOCK);
		raw_pump(&r);
		for (int n; (n = SSL_read(r.ssl, got, sizeof(got))) > 0;) {
			struct frame cut;
			memcpy(stream + have, got, (size_t)n);
			have += (size_t)n;
			while (frame_cut(stream, have, sizeof(frame), &cut) == FRAME_READY) {
				assert_int_equal(cut.len, sizeof(frame));
				assert_memory_equal(cut.payload, &next, sizeof(next));
				next++;
				memmove(stream, stream + cut.whole, have -= cut.whole);
			}
		}
	}
	UNTIL(two.writable == called + 1);
	assert_int_equal(peerlink_room(two.p), PEERLINK_QUEUE_HIGH);
	raw_close(&r);
	UNTIL(!two.up);
	assert_int_equal(two.writable, called + 1);
	stop(&two);
}

static void a_goodbye_to_a_peer_that_does_not_read_ends_in_time(void **state)
{
	struct leaf two;
	static uint8_t frame[PEERLINK_FRAME_LIMIT];
	struct path paths[PATHS];
	(void)state;
	make_paths(paths, 2);
	struct peerlink_config config = default_config(paths, 2);
	config.linger_ms = 50;
	start(&two, config);
	struct raw r = raw_tls("127.0.0.1", tls_of[1]);
	PUMP_UNTIL(&r, two.up && SSL_is_init_finished(r.ssl));
	r.deaf = true;
	while (peerlink_send(two.p, frame, sizeof(frame)) >= 0)
		event_base_loop(base, EVLOOP_NONBLOCK);
	int64_t began = now_ms();
	CALL(&two, peerlink_close(two.p, "too slow"));
	UNTIL(!two.up);
	assert_true(now_ms() - began >= 50 - LOOP_MS);
	assert_int_equal(two.reason, PEERLINK_CLOSED_HERE);
	assert_string_equal(two.text, "too slow");
	raw_close(&r);
	stop(&two);
}

/* --- strangers ------------------------------------------------------------------------------- */

static void bytes_that_are_not_tls(void **state)
{
	static const struct {
		const char *bytes;
		size_t size;
		bool then_close;
		const char *text;
	} rows[] = {
	    {GARBAGE, sizeof(GARBAGE) - 1, false, "does not begin with a TLS ClientHello"},
	    {"\x16\x03\x01\x01\x00\x02\x00\x00\xfc", 9, false, "does not begin with a TLS ClientHello"},
	    {"\x16\x03\x01\xff\xff\x01\x01\xff\xff", 9, false,
	     "does not begin with a TLS ClientHello"}, /* 128 KiB */
	    {"\x16\x03\x01", 3, true, "closed before a TLS ClientHello"},
	    {"", 0, true, "closed before a TLS ClientHello"},
	    {"\x16\x03\x01\x00\x50\x01\x00\x00\x4c\x03\x03 and no more", 24, true, ""},
	    {"\x16\x03\x01\x00\x08\x01\x00\x00\x04\x7f\x7f\x7f\x7f", 13, false, ""},
	};
	struct leaf two;
	(void)state;
	start_plain(&two, 2);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct raw r = raw_connect("127.0.0.9");
		raw_bytes(&r, rows[i].bytes, rows[i].size);
		if (rows[i].then_close)
			shutdown(r.fd, SHUT_WR);
		PUMP_UNTIL(&r, two.refused == (int)i + 1 && r.gone);
		assert_int_equal(two.reason, PEERLINK_HANDSHAKE);
		assert_non_null(strstr(two.text, "connection from 127.0.0.9 port "));
		if (!strstr(two.text, rows[i].text))
			fail_msg("row %zu: %s", i, two.text);
		raw_close(&r);
	}
	assert_int_equal(peerlink_counters(two.p)->ended[PEERLINK_HANDSHAKE], sizeof(rows) / sizeof(rows[0]));
	assert_int_equal(two.opened, 0);
	stop(&two);
}

static void one_byte_at_a_time(void **state)
{
	struct leaf two;
	(void)state;
	start_plain(&two, 2);
	struct raw r = raw_tls("127.0.0.1", tls_of[1]);
	r.chunk = 1;
	PUMP_UNTIL(&r, two.up && SSL_is_init_finished(r.ssl));
	raw_frame(&r, "s");
	raw_frame(&r, "lowly");
	PUMP_UNTIL(&r, two.frames == 2);
	/* and each byte of a frame in a TLS record of its own */
	uint8_t frame[FRAME_HEAD + 3];
	frame_head(frame, 3);
	memcpy(frame + FRAME_HEAD, "abc", 3);
	for (size_t i = 0; i < sizeof(frame); i++)
		raw_write(&r, frame + i, 1);
	PUMP_UNTIL(&r, two.frames == 3);
	assert_string_equal(two.trace, "+0 s lowly abc");
	raw_close(&r);
	stop(&two);
}

static void frames_that_violate(void **state)
{
	static const struct {
		bool accepted;
		uint32_t announced;
		enum peerlink_reason reason;
	} rows[] = {
	    {false, PEERLINK_GREETING_LIMIT + 1, PEERLINK_OVERSIZE},
	    {false, 0, PEERLINK_EMPTY},
	    {false, UINT32_MAX, PEERLINK_OVERSIZE},
	    {true, PEERLINK_FRAME_LIMIT + 1, PEERLINK_OVERSIZE},
	    {true, 0, PEERLINK_EMPTY},
	};
	struct leaf two;
	(void)state;
	start_plain(&two, 2);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t head[FRAME_HEAD] = {(uint8_t)(rows[i].announced >> 24),
					    (uint8_t)(rows[i].announced >> 16),
					    (uint8_t)(rows[i].announced >> 8), (uint8_t)rows[i].announced};
		two.accept_all = rows[i].accepted;
		struct raw r = raw_tls("127.0.0.1", tls_of[1]);
		PUMP_UNTIL(&r, two.up && SSL_is_init_finished(r.ssl));
		raw_frame(&r, "fine");
		raw_write(&r, head, sizeof(head));
		PUMP_UNTIL(&r, two.closed == (int)i + 1 && r.gone);
		assert_int_equal(two.reason, rows[i].reason);
		assert_int_equal(two.frames, i + 1);
		raw_close(&r);
	}
	/* the largest that is allowed: before, and after the Hello is accepted */
	static uint8_t most[FRAME_HEAD + PEERLINK_GREETING_LIMIT + 1];
	two.accept_all = false;
	struct raw r = raw_tls("127.0.0.1", tls_of[1]);
	PUMP_UNTIL(&r, two.up && SSL_is_init_finished(r.ssl));
	two.frames = two.bytes = 0;
	frame_head(most, PEERLINK_GREETING_LIMIT);
	raw_write(&r, most, FRAME_HEAD + PEERLINK_GREETING_LIMIT);
	PUMP_UNTIL(&r, two.frames == 1);
	CALL(&two, peerlink_accept(two.p));
	frame_head(most, PEERLINK_GREETING_LIMIT + 1);
	raw_write(&r, most, sizeof(most));
	PUMP_UNTIL(&r, two.frames == 2);
	assert_int_equal(two.bytes, 2 * PEERLINK_GREETING_LIMIT + 1);
	raw_close(&r);
	stop(&two);
}

static void sessions_that_break(void **state)
{
	struct leaf two;
	(void)state;
	start_plain(&two, 2);
	enum { TORN, RESET, SAID, GARBLED, BREAKS };
	static const enum peerlink_reason reasons[BREAKS] = {PEERLINK_LOST, PEERLINK_LOST,
							     PEERLINK_CLOSED_PEER, PEERLINK_LOST};
	for (int how = 0; how < BREAKS; how++) {
		struct raw r = raw_tls("127.0.0.1", tls_of[1]);
		PUMP_UNTIL(&r, two.up && SSL_is_init_finished(r.ssl));
		raw_write(&r, "\0\0\0\x9half", 8); /* a frame that never ends */
		if (how == SAID)
			SSL_shutdown(r.ssl);
		raw_pump(&r);
		struct linger at_once = {.l_onoff = 1};
		if (how == RESET)
			setsockopt(r.fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
		if (how == GARBLED)
			raw_bytes(&r, "\x17\x03\x03\x00\x20 0123456789 0123456789 01234567", 37);
		else
			raw_close(&r);
		UNTIL(two.closed == how + 1);
		if (two.reason != reasons[how])
			fail_msg("%d: %s", how, two.text);
		if (how == GARBLED)
			raw_close(&r);
	}
	assert_int_equal(two.frames, 0);
	stop(&two);
}

static void strangers_are_few_and_do_not_keep_the_peer_out(void **state)
{
	struct leaf one, two;
	struct raw idle[PEERLINK_GREETERS + 3];
	(void)state;
	start_plain(&two, 2);
	for (int i = 0; i < PEERLINK_GREETERS + 3; i++)
		idle[i] = raw_connect("127.0.0.9");
	UNTIL(peerlink_counters(two.p)->arrived == PEERLINK_GREETERS + 3);
	assert_int_equal(peerlink_counters(two.p)->ended[PEERLINK_TOO_MANY], 3);
	assert_int_equal(two.refused, 3);
	for (int i = PEERLINK_GREETERS; i < PEERLINK_GREETERS + 3; i++)
		PUMP_UNTIL(&idle[i], idle[i].gone);
	/* the peer's own address takes the oldest stranger's place */
	start_plain(&one, 1);
	connect_both(&one, &two, PEER_LINK);
	assert_int_equal(peerlink_counters(two.p)->ended[PEERLINK_TOO_MANY], 4);
	PUMP_UNTIL(&idle[0], idle[0].gone);
	raw_pump(&idle[1]);
	assert_false(idle[1].gone);
	for (int i = 0; i < PEERLINK_GREETERS + 3; i++)
		raw_close(&idle[i]);
	stop(&one);
	stop(&two);
}

static void whoever_is_not_accepted_in_time_is_dropped(void **state)
{
	struct leaf two;
	struct path paths[PATHS];
	(void)state;
	make_paths(paths, 2);
	struct peerlink_config config = default_config(paths, 2);
	config.greeting_ms = 100;
	start(&two, config);
	two.accept_all = false;
	int64_t began = now_ms();
	struct raw silent = raw_connect("127.0.0.9"), half = raw_connect("127.0.0.9");
	raw_bytes(&half, "\x16\x03\x01\x00\x50\x01\x00\x00\x4c\x03\x03", 11);
	struct raw peer = raw_tls("127.0.0.1", tls_of[1]);
	PUMP_UNTIL(&peer, two.up);
	raw_frame(&peer, "not a Hello");
	PUMP_UNTIL(&peer, !two.up && two.refused == 2);
	assert_true(now_ms() - began >= 100 - LOOP_MS);
	assert_int_equal(peerlink_counters(two.p)->ended[PEERLINK_TIMEOUT], 3);
	assert_string_equal(two.trace, "+0 not a Hello -TIMEOUT");
	/* one that is accepted stays: it outlives another that came after it and is not */
	two.accept_all = true;
	struct raw kept = raw_tls("127.0.0.1", tls_of[1]);
	PUMP_UNTIL(&kept, two.up);
	struct raw late = raw_connect("127.0.0.9");
	PUMP_UNTIL(&kept, two.refused == 3);
	assert_true(two.up);
	raw_close(&silent);
	raw_close(&half);
	raw_close(&peer);
	raw_close(&kept);
	raw_close(&late);
	stop(&two);
}

static void a_direct_path_takes_neighbours_only(void **state)
{
	struct leaf leaves[3];
	(void)state;
	for (int node = 2; node >= 1; node--) {
		struct path paths[PATHS];
		make_paths(paths, node);
		paths[PEER_LINK].direct = paths[MGMT].direct = true;
		start(&leaves[node], default_config(paths, node));
	}
	/* hop limit 64: the kernel does not answer it; the neighbour that dials later is through before it */
	int far = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	struct sockaddr_storage to;
	set_address(&to, "127.0.0.2");
	((struct sockaddr_in *)&to)->sin_port = htons(port);
	assert_int_equal(connect(far, (struct sockaddr *)&to, sizeof(struct sockaddr_in)), -1);
	assert_int_equal(errno, EINPROGRESS);
	connect_both(&leaves[1], &leaves[2], PEER_LINK);
	struct pollfd poll_far = {.fd = far, .events = POLLOUT};
	assert_int_equal(poll(&poll_far, 1, 0), 0);
	assert_int_equal(peerlink_counters(leaves[2].p)->arrived, 1);
	close(far);
	CALL(&leaves[1], peerlink_use(leaves[1].p, MGMT));
	UNTIL(peerlink_path(leaves[1].p) == MGMT && peerlink_path(leaves[2].p) == MGMT);
	stop(&leaves[1]);
	stop(&leaves[2]);
}

/* --- callbacks that do things ---------------------------------------------------------------- */

static void callbacks_may_close_and_move(void **state)
{
	struct leaf one, two;
	(void)state;
	start_plain(&one, 1);
	start_plain(&two, 2);
	two.close_on_open = "not today";
	CALL(&one, peerlink_use(one.p, PEER_LINK));
	UNTIL(one.closed >= 2 && two.closed >= 2); /* opened, closed, dialled again */
	two.close_on_open = NULL;
	UNTIL(one.up && two.up);
	/* of two frames in one record only the first is handed on when its callback closes */
	two.close_on_frame = "enough";
	one.use_on_closed = MGMT;
	size_t before = two.frames;
	send_text(&one, "first");
	send_text(&one, "second");
	UNTIL(peerlink_path(one.p) == MGMT && peerlink_path(two.p) == MGMT);
	assert_int_equal(two.frames, before + 1);
	/* destroyed with a close under way */
	CALL(&one, peerlink_close(one.p, "bye"));
	stop(&one);
	stop(&two);
}

/* --- interfaces that come late --------------------------------------------------------------- */

static bool quietly(const char *command)
{
	return system(command) == 0;
}

static void listens_as_soon_as_the_interface_is_there(void **state)
{
	struct leaf two;
	struct path path = {.name = "peer link", .interface = "late0", .port = 5911};
	char why[700];
	(void)state;
	int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (unshare(CLONE_NEWNET) < 0) {
		close(home);
		skip();
	}
	assert_true(quietly("ip link set lo up"));
	set_address(&path.local, "192.0.2.2"); /* nobody has it yet either */
	struct peerlink_config config = default_config(&path, 2);
	config.path_count = 1;
	start(&two, config);
	peerlink_why(two.p, why, sizeof(why));
	assert_string_equal(
	    why, "waiting for the peer to connect; peer link: cannot bind to the interface: No such device");
	for (int round = 0; round < 2; round++) {
		assert_true(quietly("ip link add late0 type veth peer name far0 && ip link set late0 up && "
				    "ip addr add 192.0.2.2/24 dev late0"));
		UNTIL((peerlink_why(two.p, why, sizeof(why)), strstr(why, "cannot") == NULL));
		assert_true(quietly("ss -Hltn | grep -q '192.0.2.2%late0:5911'"));
		assert_true(quietly("ip link del late0"));
		UNTIL((peerlink_why(two.p, why, sizeof(why)), strstr(why, "No such device") != NULL));
	}
	stop(&two);
	assert_int_equal(setns(home, CLONE_NEWNET), 0);
	close(home);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(dials_and_talks),
	    TEST(sends_within_limits_only),
	    TEST(a_close_is_said_and_flushed),
	    TEST(a_lost_session_is_dialled_again),
	    TEST(the_session_moves_to_another_path),
	    TEST(a_newer_authenticated_session_replaces),
	    TEST(an_unreachable_peer_is_tried_with_growing_waits),
	    TEST(a_peer_without_address_waits_for_discovery),
	    TEST(the_wrong_key_is_refused_and_backed_off),
	    TEST(a_peer_that_does_not_read_costs_bounded_memory),
	    TEST(a_goodbye_to_a_peer_that_does_not_read_ends_in_time),
	    TEST(bytes_that_are_not_tls),
	    TEST(one_byte_at_a_time),
	    TEST(frames_that_violate),
	    TEST(sessions_that_break),
	    TEST(strangers_are_few_and_do_not_keep_the_peer_out),
	    TEST(whoever_is_not_accepted_in_time_is_dropped),
	    TEST(a_direct_path_takes_neighbours_only),
	    TEST(callbacks_may_close_and_move),
	    TEST(listens_as_soon_as_the_interface_is_there),
	};
	return cmocka_run_group_tests(tests, make_keys, drop_keys);
}
