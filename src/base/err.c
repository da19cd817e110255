#include "base/err.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <string.h>

static const struct {
	const char *name;
	int errnum;
} kinds[ERR_KIND_COUNT] = {
	[ERR_INTERNAL] = { "internal", EIO },
	[ERR_INVALID] = { "invalid", EINVAL },
	[ERR_NOT_FOUND] = { "not-found", ENOENT },
	[ERR_CONFLICT] = { "conflict", EEXIST },
	[ERR_FORBIDDEN] = { "forbidden", EPERM },
	[ERR_UNAUTHORIZED] = { "unauthorized", EACCES },
	[ERR_UNAVAILABLE] = { "unavailable", EAGAIN },
	[ERR_UNSUPPORTED] = { "unsupported", EOPNOTSUPP },
	[ERR_NOT_MODIFIED] = { "not-modified", EALREADY },
	[ERR_TOO_LARGE] = { "too-large", EFBIG },
	[ERR_CMD_NOT_FOUND] = { "command-not-found", ENOENT },
	[ERR_CMD_NOT_EXEC] = { "command-not-executable", EACCES },
};

static struct err out_of_memory = { ERR_INTERNAL, ENOMEM, (char *)"out of memory" };

static enum err_kind kind_of_errno(int errnum)
{
	switch (errnum) {
	case ENOENT:
	case ESRCH: return ERR_NOT_FOUND;
	case EINVAL:
	case ENAMETOOLONG: return ERR_INVALID;
	case EEXIST:
	case EBUSY:
	case ENOTEMPTY: return ERR_CONFLICT;
	case EPERM:
	case EACCES: return ERR_FORBIDDEN;
	case EAGAIN:
	case ETIMEDOUT: return ERR_UNAVAILABLE;
	case EOPNOTSUPP:
	case ENOSYS: return ERR_UNSUPPORTED;
	case EFBIG:
	case E2BIG:
	case EMSGSIZE: return ERR_TOO_LARGE;
	default: return ERR_INTERNAL;
	}
}

int err_oom(struct err **reterr)
{
	if (reterr)
		*reterr = &out_of_memory;
	return -ENOMEM;
}

static int err_take(struct err **reterr, enum err_kind kind, int errnum, char *message)
{
	if (!reterr) {
		free(message);
		return -errnum;
	}
	struct err *err = message ? malloc(sizeof *err) : NULL;
	if (!err) {
		free(message);
		*reterr = &out_of_memory;
		return -errnum;
	}
	*err = (struct err){ .kind = kind, .errnum = errnum, .message = message };
	*reterr = err;
	return -errnum;
}

int err_set(struct err **reterr, enum err_kind kind, int errnum, const char *format, ...)
{
	char *message = NULL;
	va_list args;

	if (!errnum)
		errnum = err_kind_errno(kind);
	if (reterr) {
		va_start(args, format);
		if (vasprintf(&message, format, args) < 0)
			message = NULL;
		va_end(args);
	}
	return err_take(reterr, kind, errnum, message);
}

int err_errno(struct err **reterr, int ret, const char *format, ...)
{
	assert(ret < 0);
	if (ret == -ENOMEM)
		return err_oom(reterr);
	if (!reterr)
		return ret;

	_cleanup_free_ char *sentence = NULL;
	char *message = NULL;
	va_list args;
	va_start(args, format);
	if (vasprintf(&sentence, format, args) < 0)
		sentence = NULL;
	va_end(args);
	const char *reason = strerrordesc_np(-ret) ?: "unknown error";
	if (!sentence || asprintf(&message, "%s: %c%s", sentence, tolower((unsigned char)*reason), reason + 1) < 0)
		message = NULL;
	return err_take(reterr, kind_of_errno(-ret), -ret, message);
}

int err_wrap(struct err **reterr, int ret, const char *format, ...)
{
	if (!reterr || !*reterr || *reterr == &out_of_memory)
		return ret;

	struct err *err = *reterr;
	_cleanup_free_ char *sentence = NULL;
	char *message = NULL;
	va_list args;
	va_start(args, format);
	if (vasprintf(&sentence, format, args) < 0)
		sentence = NULL;
	va_end(args);
	if (sentence && asprintf(&message, "%s: %s", sentence, err->message) >= 0) {
		free(err->message);
		err->message = message;
	}
	return -err->errnum;
}

void err_free(struct err *err)
{
	if (!err || err == &out_of_memory)
		return;
	free(err->message);
	free(err);
}

const char *err_kind_name(enum err_kind kind)
{
	return kinds[kind].name;
}

enum err_kind err_kind_from_name(const char *name)
{
	for (int i = 0; i < ERR_KIND_COUNT; i++)
		if (strcmp(kinds[i].name, name) == 0)
			return i;
	return ERR_INTERNAL;
}

int err_kind_errno(enum err_kind kind)
{
	return kinds[kind].errnum;
}

const char *err_message(const struct err *err)
{
	return err ? err->message : "unknown error";
}
