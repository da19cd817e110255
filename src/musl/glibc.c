/*
 * What libraries that were compiled for glibc (jansson, libseccomp, libarchive: Debian has no others) call by glibc's names; the
 * rest of the ABI is the same.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sys/sysmacros.h>
#include <sys/types.h>

/* The compiler has put the room that there really is beside the room that the caller told of. */
static void must_fit(size_t told, size_t room)
{
	if (told > room)
		abort();
}

int __vsnprintf_chk(char *out, size_t size, int flag, size_t room, const char *format, va_list args)
{
	(void)flag;
	must_fit(size, room);
	return vsnprintf(out, size, format, args);
}

int __snprintf_chk(char *out, size_t size, int flag, size_t room, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	int len = __vsnprintf_chk(out, size, flag, room, format, args);
	va_end(args);
	return len;
}

int __fprintf_chk(FILE *file, int flag, const char *format, ...)
{
	va_list args;

	(void)flag;
	va_start(args, format);
	int len = vfprintf(file, format, args);
	va_end(args);
	return len;
}

char *__strncpy_chk(char *out, const char *text, size_t len, size_t room)
{
	must_fit(len, room);
	return strncpy(out, text, len);
}

unsigned gnu_dev_major(dev_t device);
unsigned gnu_dev_minor(dev_t device);

unsigned gnu_dev_major(dev_t device)
{
	return major(device);
}

unsigned gnu_dev_minor(dev_t device)
{
	return minor(device);
}
