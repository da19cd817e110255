/* What every start-up figure runs: the smallest program there is. Given an argument, it stays. */
#include <unistd.h>

int main(int argc, char **argv)
{
	(void)argv;
	return argc > 1 ? pause() : 0;
}
