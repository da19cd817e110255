/*
 * From some elements to others in one batch that does not touch what is in both. Of a set of concatenations with intervals,
 * kernels before 6.17 find neither for a moment if a transaction deletes an element and puts it again: what was deleted is
 * gone when the transaction is, and the copy of the set that has the new one comes into its place only later.
 */
#pragma once

#include "sys/nftables.h"

/* Starts as zero. */
struct nft_elements {
	struct nft_listed *items;
	size_t count, room;
	bool is_short; /* of memory: said by nft_put_changed */
};

/* Borrows the set, and the comment. */
void nft_elements_add(struct nft_elements *list, uint8_t family, const struct nft_set *set,
	const struct nft_element *element);
void nft_elements_finish(struct nft_elements *list);

/*
 * Those of `before` alone are put and deleted, which works whether they are there or not; then those of `after` are put. What
 * has a time is always put anew, or its time would not be. Sorts `after`. -ENOMEM.
 */
int nft_put_changed(struct nft_batch *batch, const struct nft_elements *before, struct nft_elements *after);
