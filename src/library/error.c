#include "library/error.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "base/err.h"

static int usual_errno(enum tare_code code)
{
	static const int numbers[] = { [TARE_INTERNAL] = EIO,
		[TARE_INVALID] = EINVAL,
		[TARE_NOT_FOUND] = ENOENT,
		[TARE_CONFLICT] = EEXIST,
		[TARE_FORBIDDEN] = EPERM,
		[TARE_UNAVAILABLE] = EAGAIN,
		[TARE_UNSUPPORTED] = EOPNOTSUPP,
		[TARE_TOO_LARGE] = E2BIG,
		[TARE_COMMAND_NOT_FOUND] = ENOENT,
		[TARE_COMMAND_NOT_EXEC] = EACCES,
		[TARE_HELPER_LOST] = EPIPE };

	return numbers[code] ? numbers[code] : EIO;
}

int error_set(struct tare_error *error, enum tare_code code, int errnum, const char *format, ...)
{
	va_list args;

	if (!error)
		return -1;
	*error = (struct tare_error){ .code = code, .errnum = errnum ? errnum : usual_errno(code) };
	va_start(args, format);
	vsnprintf(error->message, sizeof(error->message), format, args);
	va_end(args);
	return -1;
}

int error_errno(struct tare_error *error, int r, const char *format, ...)
{
	va_list args;
	char text[64];

	if (!error)
		return -1;
	*error = (struct tare_error){ .code = -r == EACCES || -r == EPERM ? TARE_FORBIDDEN : TARE_INTERNAL,
		.errnum = -r };
	va_start(args, format);
	int len = vsnprintf(error->message, sizeof(error->message), format, args);
	va_end(args);
	if (len >= 0 && (size_t)len < sizeof(error->message))
		snprintf(error->message + len, sizeof(error->message) - (size_t)len, ": %s",
			strerror_r(-r, text, sizeof(text)));
	return -1;
}

int error_kind(struct tare_error *error, int kind, int errnum, const char *message)
{
	static const enum tare_code codes[ERR_KIND_COUNT] = { [ERR_INTERNAL] = TARE_INTERNAL,
		[ERR_INVALID] = TARE_INVALID,
		[ERR_NOT_FOUND] = TARE_NOT_FOUND,
		[ERR_CONFLICT] = TARE_CONFLICT,
		[ERR_FORBIDDEN] = TARE_FORBIDDEN,
		[ERR_UNAUTHORIZED] = TARE_FORBIDDEN,
		[ERR_UNAVAILABLE] = TARE_UNAVAILABLE,
		[ERR_UNSUPPORTED] = TARE_UNSUPPORTED,
		[ERR_NOT_MODIFIED] = TARE_CONFLICT,
		[ERR_TOO_LARGE] = TARE_TOO_LARGE,
		[ERR_CMD_NOT_FOUND] = TARE_COMMAND_NOT_FOUND,
		[ERR_CMD_NOT_EXEC] = TARE_COMMAND_NOT_EXEC };
	/* One that only a newer runtime knows. */
	enum tare_code code = kind >= 0 && kind < ERR_KIND_COUNT ? codes[kind] : TARE_INTERNAL;

	return error_set(error, code, errnum, "%s", message);
}
