/* Runs while the project is built, with glibc: writes its words for errors and signals as the tables of words.c. */
#include <stdio.h>
#include <string.h>

#define ERRORS_MAX  256
#define SIGNALS_MAX 65

static void write_table(const char *name, const char *(*words_of)(int number), int end)
{
	printf("static const char *const %s[] = {\n", name);
	for (int number = 0; number < end; number++)
		if (words_of(number))
			printf("\t[%d] = \"%s\",\n", number, words_of(number));
	printf("};\n");
}

int main(void)
{
	write_table("error_words", strerrordesc_np, ERRORS_MAX);
	write_table("signal_words", sigdescr_np, SIGNALS_MAX);
	return 0;
}
