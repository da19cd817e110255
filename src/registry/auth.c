/*
 * Who we are to a registry: user and password (Basic), or a token that its token server gives for them, or for nobody
 * (Bearer). The token server is named by the registry, in a header that anybody between could have written if the
 * connection was plain: so the credentials go there only if it is the registry itself or of the same registrable domain,
 * and over https unless the registry itself is spoken to without.
 */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/strv.h"
#include "codec/base64.h"
#include "registry/session.h"

#define TOKEN_BYTES      (1024 * 1024)
#define TOKEN_LIFE_S     60 /* where the answer does not say */
#define TOKEN_LIFE_MAX_S 86400
#define TOKEN_MARGIN_MS  5000
#define SECRET_MAX       (64 * 1024)
#define CLIENT_ID        "tare"

static const struct json_field credentials_fields[] = {
	JSON_FIELD(struct credentials, username, "username", JSON_STRING_FIELD),
	JSON_FIELD(struct credentials, password, "password", JSON_STRING_FIELD),
	JSON_FIELD(struct credentials, auth, "auth", JSON_STRING_FIELD),
	JSON_FIELD(struct credentials, identity_token, "identitytoken", JSON_STRING_FIELD),
	JSON_FIELD(struct credentials, registry_token, "registrytoken", JSON_STRING_FIELD),
};
static const struct json_table credentials_table = JSON_TABLE(struct credentials, credentials_fields);

struct token_answer {
	char *token;
	char *access_token;
	struct json_opt_int expires_in;
};
static const struct json_field token_answer_fields[] = {
	JSON_FIELD(struct token_answer, token, "token", JSON_STRING_FIELD),
	JSON_FIELD(struct token_answer, access_token, "access_token", JSON_STRING_FIELD),
	JSON_FIELD(struct token_answer, expires_in, "expires_in", JSON_OPT_INT),
};
static const struct json_table token_answer_table = JSON_TABLE(struct token_answer, token_answer_fields);

static void wipe(char *secret)
{
	if (secret)
		explicit_bzero(secret, strlen(secret));
}

static void free_secret(char **secret)
{
	wipe(*secret);
	free(*secret);
}
#define _cleanup_secret_ __attribute__((cleanup(free_secret)))

/* "user:password" in base64 */
static int split_auth(struct credentials *credentials)
{
	char *text = NULL;
	size_t len;

	if (!credentials->auth || !*credentials->auth || credentials->username)
		return 0;
	int r = base64_decode(credentials->auth, strlen(credentials->auth), &text, &len);
	if (r < 0)
		return r;
	char *colon = strchr(text, ':');
	if (!colon || strlen(text) != len) {
		r = -EINVAL;
	} else {
		credentials->username = strndup(text, (size_t)(colon - text));
		credentials->password = strdup(colon + 1);
		r = credentials->username && credentials->password ? 0 : -ENOMEM;
	}
	wipe(text);
	free(text);
	return r;
}

int credentials_read(const char *header, struct credentials *out, struct err **reterr)
{
	_cleanup_secret_ char *text = NULL;
	size_t len;

	memset(out, 0, sizeof(*out));
	if (!header || !*header)
		return 0;
	int r = base64_decode(header, strlen(header), &text, &len);
	/* Without the parser's own words, which may quote what it read. */
	if (r == 0 && len > 0)
		r = json_parse(&credentials_table, text, len, out, NULL);
	if (r == 0)
		r = split_auth(out);
	if (r < 0)
		credentials_finish(out);
	if (r == -ENOMEM)
		return err_oom(reterr);
	return r < 0 ? err_set(reterr, ERR_INVALID, 0, "invalid X-Registry-Auth header") : 0;
}

int credentials_copy(const struct handover_auth *login, struct credentials *out, struct err **reterr)
{
	*out = (struct credentials){
		.username = strdup(login->username ?: ""),
		.password = strdup(login->password ?: ""),
		.identity_token = strdup(login->identity_token ?: ""),
	};
	if (out->username && out->password && out->identity_token)
		return 0;
	credentials_finish(out);
	return err_oom(reterr);
}

void credentials_finish(struct credentials *credentials)
{
	wipe(credentials->password);
	wipe(credentials->auth);
	wipe(credentials->identity_token);
	wipe(credentials->registry_token);
	json_finish(&credentials_table, credentials);
}

static bool has_password(const struct credentials *credentials)
{
	return credentials->username && *credentials->username && credentials->password;
}

static bool has(const char *text)
{
	return text && *text;
}

/* ---- the header */

static int basic_header(const struct credentials *credentials, char **ret)
{
	_cleanup_secret_ char *plain = NULL;
	_cleanup_(buf_finish) struct buf text = BUF_INIT(SECRET_MAX);

	if (asprintf(&plain, "%s:%s", credentials->username, credentials->password) < 0) {
		plain = NULL;
		return -ENOMEM;
	}
	int r = buf_puts(&text, "Authorization: Basic ");
	if (r == 0)
		r = base64_encode(&text, plain, strlen(plain), false);
	if (r == 0)
		*ret = buf_take(&text);
	return r;
}

int auth_header(const struct registry *registry, char **ret)
{
	const char *token = has(registry->credentials.registry_token) ? registry->credentials.registry_token
								      : registry->token;
	*ret = NULL;
	if (registry->basic && has_password(&registry->credentials))
		return basic_header(&registry->credentials, ret);
	if (!has(token))
		return 0;
	if (asprintf(ret, "Authorization: Bearer %s", token) < 0) {
		*ret = NULL;
		return -ENOMEM;
	}
	return 0;
}

/* ---- the token */

struct token_request {
	const struct registry *registry;
	struct buf answer;
};

static size_t on_token_body(char *data, size_t one, size_t len, void *user)
{
	struct token_request *request = user;
	(void)one;
	return buf_append(&request->answer, data, len) < 0 ? 0 : len;
}

static int on_progress(void *user, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	const struct token_request *request = user;
	(void)a, (void)b, (void)c, (void)d;
	return session_cancelled(request->registry);
}

static int append_parameter(CURL *easy, struct buf *out, const char *name, const char *value)
{
	if (!has(value))
		return 0;
	char *escaped = curl_easy_escape(easy, value, 0);
	int r = escaped ? buf_printf(out, "%s%s=%s", out->len > 0 ? "&" : "", name, escaped) : -ENOMEM;
	wipe(escaped);
	curl_free(escaped);
	return r;
}

/* All that the session will need; in a query one parameter each, in a form one of all, parted by blanks. */
static int append_scopes(const struct registry *registry, CURL *easy, bool form, struct buf *out)
{
	_cleanup_(buf_finish) struct buf scope = BUF_INIT(SECRET_MAX);
	int r = buf_printf(&scope, "repository:%s:%s", registry->path, registry->pushes ? "pull,push" : "pull");

	strv_foreach (source, registry->sources) {
		if (r == 0 && !form)
			r = append_parameter(easy, out, "scope", scope.data);
		if (!form)
			buf_reset(&scope);
		if (r == 0)
			r = buf_printf(&scope, "%srepository:%s:pull", form ? " " : "", *source);
	}
	return r < 0 ? r : append_parameter(easy, out, "scope", scope.data);
}

/* May the realm see user and password? */
static bool is_trusted_realm(const struct registry *registry, const struct origin *realm)
{
	bool secure = strcmp(realm->scheme, "https") == 0 || strcmp(registry->origin.scheme, "http") == 0;

	return secure && !registry->endpoints[registry->chosen].is_mirror &&
	       host_is_related(realm->host, registry->origin.host);
}

static int take_token(struct registry *registry, const struct buf *body, struct err **reterr)
{
	struct token_answer answer = { 0 };

	if (json_parse(&token_answer_table, body->data ?: "", body->len, &answer, NULL) < 0 ||
		(!has(answer.token) && !has(answer.access_token))) {
		json_finish(&token_answer_table, &answer);
		return err_set(reterr, ERR_UNAVAILABLE, EPROTO, "%s: its token server's answer has no token",
			registry->host);
	}
	int64_t life_s = answer.expires_in.set ? answer.expires_in.value : TOKEN_LIFE_S;
	if (life_s < TOKEN_LIFE_S)
		life_s = TOKEN_LIFE_S;
	if (life_s > TOKEN_LIFE_MAX_S)
		life_s = TOKEN_LIFE_MAX_S;
	wipe(registry->token);
	free(registry->token);
	registry->token = has(answer.token) ? TAKE(answer.token) : TAKE(answer.access_token);
	registry->token_until_ms = clock_monotonic_ms() + life_s * 1000 - TOKEN_MARGIN_MS;
	registry->token_number++;
	json_finish(&token_answer_table, &answer);
	for (const char *c = registry->token; *c; c++)
		if ((unsigned char)*c <= ' ' || (unsigned char)*c >= 0x7f) {
			*registry->token = '\0';
			return err_set(reterr, ERR_UNAVAILABLE, EPROTO, "%s: its token server's token is damaged",
				registry->host);
		}
	return 0;
}

static int perform(struct registry *registry, CURL *easy, struct token_request *request, struct err **reterr)
{
	long status = 0;

	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_token_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, request);
	curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, on_progress);
	curl_easy_setopt(easy, CURLOPT_XFERINFODATA, request);
	CURLcode code = curl_easy_perform(easy);
	curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
	if (code == CURLE_ABORTED_BY_CALLBACK)
		return err_set(reterr, ERR_INTERNAL, ECANCELED, "the client went away");
	if (code == CURLE_WRITE_ERROR)
		return err_set(reterr, ERR_TOO_LARGE, 0, "%s: its token server's answer is too large", registry->host);
	if (code != CURLE_OK)
		return err_set(reterr, ERR_UNAVAILABLE, ECONNREFUSED, "%s: its token server: %s", registry->host,
			curl_easy_strerror(code));
	if (status == 401 || status == 403)
		return err_set(reterr, ERR_UNAUTHORIZED, 0, "unauthorized: incorrect username or password");
	if (status != 200)
		return err_set(reterr, ERR_UNAVAILABLE, EPROTO, "%s: its token server answered with HTTP status %ld",
			registry->host, status);
	return take_token(registry, &request->answer, reterr);
}

/* GET with Basic; or, for an identity token, POST as OAuth2. */
static int prepare(const struct registry *registry, CURL *easy, const struct challenge *challenge, bool trusted,
	struct buf *parameters)
{
	const struct credentials *credentials = &registry->credentials;
	int r = append_parameter(easy, parameters, "service", challenge->service);

	if (r == 0 && !registry->login)
		r = append_scopes(registry, easy, trusted && has(credentials->identity_token), parameters);
	if (r < 0 || !trusted)
		return r;
	if (has(credentials->identity_token)) {
		r = append_parameter(easy, parameters, "client_id", CLIENT_ID);
		if (r == 0)
			r = append_parameter(easy, parameters, "grant_type", "refresh_token");
		if (r == 0)
			r = append_parameter(easy, parameters, "refresh_token", credentials->identity_token);
		if (r == 0)
			curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, parameters->data);
	} else if (has_password(credentials)) {
		r = append_parameter(easy, parameters, "account", credentials->username);
		curl_easy_setopt(easy, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
		curl_easy_setopt(easy, CURLOPT_USERNAME, credentials->username);
		curl_easy_setopt(easy, CURLOPT_PASSWORD, credentials->password);
	}
	return r;
}

static int fetch_token(struct registry *registry, const struct challenge *challenge, const struct origin *realm,
	struct err **reterr)
{
	struct token_request request = { registry, BUF_INIT(TOKEN_BYTES) };
	_cleanup_(buf_finish) struct buf parameters = BUF_INIT(SECRET_MAX);
	_cleanup_free_ char *url = NULL;
	bool trusted = is_trusted_realm(registry, realm);
	bool posts = trusted && has(registry->credentials.identity_token);
	CURL *easy = curl_easy_init();
	int r = easy ? session_setup(registry, easy, challenge->realm,
			       !origin_equal(realm, &registry->origin) || registry->endpoints[registry->chosen].verify,
			       reterr)
		     : err_oom(reterr);

	if (r == 0 && prepare(registry, easy, challenge, trusted, &parameters) < 0)
		r = err_oom(reterr);
	if (r == 0)
		session_refuse_link_local(easy);
	if (r == 0 && !posts && parameters.len > 0) {
		if (asprintf(&url, "%s%c%s", challenge->realm, strchr(challenge->realm, '?') ? '&' : '?',
			    parameters.data) < 0) {
			url = NULL;
			r = err_oom(reterr);
		} else {
			curl_easy_setopt(easy, CURLOPT_URL, url);
		}
	}
	if (r == 0)
		r = perform(registry, easy, &request, reterr);
	if (parameters.data)
		explicit_bzero(parameters.data, parameters.len);
	if (request.answer.data)
		explicit_bzero(request.answer.data, request.answer.len);
	buf_finish(&request.answer);
	curl_easy_cleanup(easy);
	return r;
}

static int answer_bearer(struct registry *registry, const struct challenge *challenge, unsigned token_number,
	struct err **reterr)
{
	struct origin realm;

	if (token_number != registry->token_number && clock_monotonic_ms() < registry->token_until_ms)
		return 0; /* another request has fetched one meanwhile */
	int r = origin_of(challenge->realm, &realm);
	if (r == -ENOMEM)
		return err_oom(reterr);
	if (r < 0)
		return err_set(reterr, ERR_UNAVAILABLE, EPROTO,
			"%s: its token server's address is not an http or https URL", registry->host);
	if (strcmp(realm.scheme, "http") == 0 && strcmp(registry->origin.scheme, "https") == 0 &&
		!host_is_loopback(registry->origin.host))
		r = err_set(reterr, ERR_FORBIDDEN, 0, "%s: its token server is to be asked over plain http",
			registry->host);
	else if (registry->login && !is_trusted_realm(registry, &realm))
		r = err_set(reterr, ERR_FORBIDDEN, 0,
			"%s: its token server %s is of another domain: the password is not sent there", registry->host,
			realm.host);
	else
		r = fetch_token(registry, challenge, &realm, reterr);
	origin_finish(&realm);
	return r;
}

int auth_answer(struct registry *registry, const struct challenge *challenge, unsigned token_number,
	struct err **reterr)
{
	if (challenge->bearer && !has(registry->credentials.registry_token))
		return answer_bearer(registry, challenge, token_number, reterr);
	if (challenge->basic && has_password(&registry->credentials) && !registry->basic) {
		registry->basic = true;
		return 0;
	}
	if (!challenge->basic)
		return err_set(reterr, ERR_UNAUTHORIZED, 0, "unauthorized: authentication required");
	return err_set(reterr, ERR_UNAUTHORIZED, 0,
		has_password(&registry->credentials) ? "unauthorized: incorrect username or password"
						     : "no basic auth credentials");
}
