#include "registry/session.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include <netinet/in.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/io.h"
#include "registry/exchange.h"

#define CONNECT_MS          15000L
#define IDLE_S              30L
#define RECEIVE_BYTES       (512L * 1024)
#define CONNECTIONS         8L
#define WAIT_SLICE_MS       200
#define WAITS_MAX           (REGISTRY_FDS_MAX + 16)
#define CERTIFICATES_MAX    (1024 * 1024)
#define SYSTEM_CERTIFICATES "/etc/ssl/certs"
#define USER_AGENT          "tare/" TARE_VERSION

static int split_reference(struct registry *registry, const char *repository)
{
	const char *slash = strchr(repository, '/');

	registry->host = strndup(repository, slash ? (size_t)(slash - repository) : 0);
	registry->path = strdup(slash ? slash + 1 : "");
	return registry->host && registry->path ? 0 : -ENOMEM;
}

int registry_open(const struct registry_options *options, struct registry **ret, struct err **reterr)
{
	_autofree_(registry) struct registry *registry = calloc(1, sizeof(*registry));

	if (!registry)
		return err_oom(reterr);
	list_init(&registry->exchanges);
	registry->settings = options->settings;
	registry->cancelled = options->cancelled;
	registry->cancelled_user = options->cancelled_user;
	registry->pushes = options->pushes;
	registry->sources = options->sources;
	if (split_reference(registry, options->reference->repository) < 0)
		return err_oom(reterr);
	registry->login = options->login != NULL;
	int r = options->login ? credentials_copy(options->login, &registry->credentials, reterr)
			       : credentials_read(options->settings ? options->settings->auth : NULL,
					 &registry->credentials, reterr);
	if (r == 0)
		r = endpoints_of(registry->host, options->settings, &registry->endpoints, &registry->endpoint_count,
			reterr);
	if (r < 0)
		return r;
	registry->multi = curl_multi_init();
	if (!registry->multi)
		return err_oom(reterr);
	curl_multi_setopt(registry->multi, CURLMOPT_MAX_HOST_CONNECTIONS, CONNECTIONS);
	*ret = TAKE(registry);
	return 0;
}

static void session_drop_token(struct registry *registry)
{
	if (registry->token)
		explicit_bzero(registry->token, strlen(registry->token));
	free(registry->token);
	registry->token = NULL;
}

void registry_stop(struct registry *registry)
{
	struct exchange *exchange, *next;

	list_foreach_safe (exchange, next, &registry->exchanges, link)
		exchange_free(exchange);
}

void registry_close(struct registry *registry)
{
	if (!registry)
		return;
	registry_stop(registry);
	curl_multi_cleanup(registry->multi);
	credentials_finish(&registry->credentials);
	session_drop_token(registry);
	endpoints_free(registry->endpoints, registry->endpoint_count);
	origin_finish(&registry->origin);
	free(registry->host);
	free(registry->path);
	free(registry);
}

const char *registry_host(const struct registry *registry)
{
	return registry->host;
}

bool session_cancelled(const struct registry *registry)
{
	return registry->cancelled && registry->cancelled(registry->cancelled_user);
}

/* ---- TLS */

static bool ends_with(const char *text, const char *end)
{
	size_t len = strlen(text), end_len = strlen(end);
	return len > end_len && strcmp(text + len - end_len, end) == 0;
}

/* "client.cert" has its key in "client.key". */
static int use_client(CURL *easy, const char *folder, const char *name)
{
	_cleanup_free_ char *certificate = NULL, *key = NULL;
	int stem = (int)(strlen(name) - strlen(".cert"));

	if (asprintf(&certificate, "%s/%s", folder, name) < 0 || asprintf(&key, "%s/%.*s.key", folder, stem, name) < 0)
		return -ENOMEM;
	curl_easy_setopt(easy, CURLOPT_SSLCERT, certificate);
	curl_easy_setopt(easy, CURLOPT_SSLKEY, key);
	return 0;
}

static int read_folder(CURL *easy, const char *folder, struct buf *authorities)
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *list = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;
	int r = 0;

	if (!list) {
		r = errno == ENOENT ? 0 : -errno;
		fd_close(&fd);
		return r;
	}
	while (r == 0 && (entry = readdir(list)) != NULL) {
		if (ends_with(entry->d_name, ".crt")) {
			_cleanup_(buf_finish) struct buf text = BUF_INIT(CERTIFICATES_MAX);
			r = io_read_file(dirfd(list), entry->d_name, &text);
			if (r == 0)
				r = buf_printf(authorities, "%s\n", text.data ?: "");
		} else if (ends_with(entry->d_name, ".cert")) {
			r = use_client(easy, folder, entry->d_name);
		}
	}
	closedir(list);
	return r;
}

/* What the administrator put there for this host counts beside the system's own. */
static int use_certificates(const struct registry *registry, CURL *easy, const struct origin *origin,
	struct err **reterr)
{
	_cleanup_(buf_finish) struct buf authorities = BUF_INIT(CERTIFICATES_MAX);
	char *const *folder = registry->settings ? registry->settings->certificate_folders : NULL;

	for (; folder && *folder; folder++) {
		_cleanup_free_ char *plain = NULL, *with_port = NULL;
		if (asprintf(&plain, "%s/%s", *folder, origin->host) < 0 ||
			asprintf(&with_port, "%s/%s:%s", *folder, origin->host, origin->port) < 0)
			return err_oom(reterr);
		int r = read_folder(easy, with_port, &authorities);
		if (r == 0 && strcmp(origin->port, "443") == 0)
			r = read_folder(easy, plain, &authorities);
		if (r < 0)
			return err_errno(reterr, r, "cannot read the certificates for %s in %s", origin->host, *folder);
	}
	curl_easy_setopt(easy, CURLOPT_CAPATH, SYSTEM_CERTIFICATES);
	if (authorities.len > 0) {
		struct curl_blob blob = { authorities.data, authorities.len, CURL_BLOB_COPY };
		curl_easy_setopt(easy, CURLOPT_CAINFO_BLOB, &blob);
	}
	return 0;
}

int session_setup(struct registry *registry, CURL *easy, const char *url, bool verify, struct err **reterr)
{
	struct origin origin;

	if (origin_of(url, &origin) < 0)
		return err_set(reterr, ERR_INVALID, 0, "%s: not an http or https URL", registry->host);
	curl_easy_setopt(easy, CURLOPT_URL, url);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS);
	curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, IDLE_S);
	curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, RECEIVE_BYTES);
	curl_easy_setopt(easy, CURLOPT_USERAGENT, USER_AGENT);
	if (host_is_loopback(origin.host))
		curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
	int r = use_certificates(registry, easy, &origin, reterr);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, verify ? 1L : 0L);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, verify ? 2L : 0L);
	origin_finish(&origin);
	return r;
}

/* ---- connections */

static bool is_link_local(const struct sockaddr *addr)
{
	if (addr->sa_family == AF_INET)
		return ntohl(((const struct sockaddr_in *)(const void *)addr)->sin_addr.s_addr) >> 16 == 0xa9fe;
	return addr->sa_family == AF_INET6 &&
	       IN6_IS_ADDR_LINKLOCAL(&((const struct sockaddr_in6 *)(const void *)addr)->sin6_addr);
}

static curl_socket_t on_socket(void *user, curlsocktype purpose, struct curl_sockaddr *address)
{
	(void)user;
	(void)purpose;
	if (is_link_local(&address->addr))
		return CURL_SOCKET_BAD;
	return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

void session_refuse_link_local(CURL *easy)
{
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_socket);
}

/* ---- waiting */

static void reap(struct registry *registry)
{
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(registry->multi, &left))) {
		struct exchange *exchange = NULL;
		CURLcode code = message->data.result;
		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&exchange);
		exchange_finished(exchange, code);
	}
}

/* How long until the next thing is to be tried again. */
static int start_due(struct registry *registry, int timeout_ms)
{
	int64_t now = clock_monotonic_ms();
	struct exchange *exchange, *next;

	list_foreach_safe (exchange, next, &registry->exchanges, link) {
		if (!exchange->running && exchange->retry_at_ms > now && exchange->retry_at_ms - now < timeout_ms)
			timeout_ms = (int)(exchange->retry_at_ms - now);
		exchange_retry_if_due(exchange, now);
	}
	return timeout_ms;
}

/* What the caller waits for too, then uploads whose next bytes are still being made. More of them than there is room for are
 * looked at in their turn. */
struct waits {
	struct exchange *exchanges[WAITS_MAX];
	struct curl_waitfd fds[WAITS_MAX];
	unsigned count;
};

static void find_waits(struct registry *registry, const struct pollfd *fds, size_t count, struct waits *waits)
{
	struct exchange *exchange;

	waits->count = 0;
	for (size_t i = 0; i < count; i++) {
		waits->exchanges[waits->count] = NULL;
		waits->fds[waits->count++] = (struct curl_waitfd){
			.fd = fds[i].fd,
			.events = fds[i].events & POLLIN ? CURL_WAIT_POLLIN : CURL_WAIT_POLLOUT,
		};
	}
	list_foreach (exchange, &registry->exchanges, link) {
		int fd = exchange_waits_for(exchange);
		if (fd < 0 || waits->count == WAITS_MAX)
			continue;
		waits->exchanges[waits->count] = exchange;
		waits->fds[waits->count++] = (struct curl_waitfd){ .fd = fd, .events = CURL_WAIT_POLLIN };
	}
}

static int poll_once(struct registry *registry, const struct pollfd *fds, size_t count, int timeout_ms,
	struct err **reterr)
{
	struct waits waits;
	int running;

	find_waits(registry, fds, count, &waits);
	if (curl_multi_poll(registry->multi, waits.fds, waits.count, timeout_ms, NULL) != CURLM_OK)
		return err_set(reterr, ERR_INTERNAL, EIO, "%s: cannot wait for the network", registry->host);
	for (unsigned i = 0; i < waits.count; i++)
		if (waits.fds[i].revents && waits.exchanges[i])
			exchange_go_on(waits.exchanges[i]);
	if (curl_multi_perform(registry->multi, &running) != CURLM_OK)
		return err_set(reterr, ERR_INTERNAL, EIO, "%s: cannot wait for the network", registry->host);
	return 0;
}

int registry_wait_with(struct registry *registry, const struct pollfd *fds, size_t count, int timeout_ms,
	struct err **reterr)
{
	if (session_cancelled(registry))
		return err_set(reterr, ERR_INTERNAL, ECANCELED, "the client went away");
	int slice = start_due(registry, timeout_ms < 0 ? 0 : timeout_ms > WAIT_SLICE_MS ? WAIT_SLICE_MS : timeout_ms);
	int r = poll_once(registry, fds, count, slice, reterr);
	if (r == 0)
		reap(registry);
	return r;
}

int registry_wait(struct registry *registry, int timeout_ms, struct err **reterr)
{
	int64_t deadline = clock_monotonic_ms() + timeout_ms;
	uint64_t happened = registry->happened;

	for (;;) {
		int64_t left = deadline - clock_monotonic_ms();
		int r = registry_wait_with(registry, NULL, 0, (int)left, reterr);
		if (r < 0)
			return r;
		if (registry->happened != happened || left <= 0)
			return 0;
	}
}

/* ---- which endpoint */

struct probe {
	bool done;
	struct err *err;
	long status;
	bool redirected;
};

static void probe_done(struct exchange *exchange, const struct err *err)
{
	struct probe *probe = exchange->user;

	probe->done = true;
	probe->status = exchange->answer.status;
	probe->redirected = exchange->redirects > 0;
	if (err)
		err_set(&probe->err, err->kind, err->errnum, "%s", err_message(err));
}

static const struct exchange_sink probe_sink = { .data = exchange_ignore, .done = probe_done };

static int choose(struct registry *registry, size_t index, struct err **reterr)
{
	registry->chosen = index;
	origin_finish(&registry->origin);
	return origin_of(registry->endpoints[index].base, &registry->origin) < 0
		       ? err_set(reterr, ERR_INVALID, 0, "invalid registry address %s", registry->endpoints[index].base)
		       : 0;
}

/* How the registry's root answers. What HTTP says is in `probe`; on failure nothing is. */
static int ask_root(struct registry *registry, struct probe *probe, struct err **reterr)
{
	struct exchange *exchange;
	_cleanup_free_ char *url = NULL;

	if (asprintf(&url, "%s/v2/", registry->endpoints[registry->chosen].base) < 0) {
		url = NULL;
		return err_oom(reterr);
	}
	struct exchange_request request = { .url = url, .any_status = true };
	int r = exchange_start(registry, &request, &probe_sink, probe, &exchange, reterr);
	while (r == 0 && !probe->done) {
		r = registry_wait(registry, WAIT_SLICE_MS, reterr);
		if (r < 0)
			exchange_free(exchange);
	}
	return r;
}

/* Any answer over HTTP will do; what it says of rights is for those who ask for more. */
static int probe_one(struct registry *registry, struct err **reterr)
{
	struct probe probe = { 0 };
	int r = ask_root(registry, &probe, reterr);

	if (r == 0 && probe.err && probe.status == 0) {
		r = -probe.err->errnum;
		if (reterr)
			*reterr = TAKE(probe.err);
	}
	err_free(probe.err);
	return r;
}

int session_probe(struct registry *registry, struct err **reterr)
{
	_autofree_(err) struct err *first = NULL;

	for (size_t i = registry->chosen; !registry->probed && i < registry->endpoint_count; i++) {
		_autofree_(err) struct err *err = NULL;
		int r = choose(registry, i, &err);
		if (r == 0)
			r = probe_one(registry, &err);
		registry->probed = r == 0;
		if (r == -ECANCELED) {
			if (reterr)
				*reterr = TAKE(err);
			return r;
		}
		if (r < 0 && !first)
			first = TAKE(err);
	}
	if (registry->probed)
		return 0;
	int r = first ? -first->errnum : -EIO;
	if (reterr)
		*reterr = TAKE(first);
	return r;
}

int session_next_endpoint(struct registry *registry)
{
	if (!registry->endpoints[registry->chosen].is_mirror || registry->chosen + 1 >= registry->endpoint_count)
		return -ENOENT;
	registry->chosen++;
	registry->probed = false;
	registry->basic = false;
	session_drop_token(registry);
	return 0;
}

/* An answer from elsewhere, which has not seen the credentials, says nothing of them. */
int registry_login(struct registry *registry, struct err **reterr)
{
	struct probe probe = { 0 };
	int r = session_probe(registry, reterr);

	if (r == 0)
		r = ask_root(registry, &probe, reterr);
	if (r < 0)
		return r;
	if (probe.err) {
		r = -probe.err->errnum;
		if (reterr)
			*reterr = TAKE(probe.err);
		err_free(probe.err);
		return err_wrap(reterr, r, "login attempt to %s/v2/ failed",
			registry->endpoints[registry->chosen].base);
	}
	return probe.redirected
		       ? err_set(reterr, ERR_FORBIDDEN, 0,
				 "%s sends logins to another address: the password is not sent there", registry->host)
		       : 0;
}
