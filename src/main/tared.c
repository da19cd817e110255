#include "holder/holder.h"

int main(int argc, char **argv)
{
	return holder_main(argc, argv);
}
