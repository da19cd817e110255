/* musl says some errors in words of its own; these are glibc's, written down by a program of the build (make_words.c). */
#include <string.h>
#include <words.h> /* made by make_words.c */

const char *strerrordesc_np(int errnum)
{
	return errnum >= 0 && (size_t)errnum < sizeof(error_words) / sizeof(*error_words) ? error_words[errnum] : NULL;
}

const char *sigdescr_np(int signo)
{
	return signo > 0 && (size_t)signo < sizeof(signal_words) / sizeof(*signal_words) ? signal_words[signo] : NULL;
}
