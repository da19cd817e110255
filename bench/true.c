/* What every start-up figure runs: the smallest program there is. */
int main(void)
{
	return 0;
}
