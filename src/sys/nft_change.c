#include "sys/nft_change.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct nft_listed {
	const struct nft_set *set;
	uint8_t family;
	struct nft_element element;
};

void nft_elements_add(struct nft_elements *list, uint8_t family, const struct nft_set *set,
	const struct nft_element *element)
{
	if (list->count == list->room) {
		size_t room = list->room ? list->room * 2 : 32;
		struct nft_listed *grown = reallocarray(list->items, room, sizeof(*grown));
		list->is_short = list->is_short || !grown;
		if (!grown)
			return;
		list->items = grown;
		list->room = room;
	}
	list->items[list->count++] = (struct nft_listed){ set, family, *element };
}

void nft_elements_finish(struct nft_elements *list)
{
	free(list->items);
	*list = (struct nft_elements){ 0 };
}

static int compare_values(const struct nft_value *a, const struct nft_value *b)
{
	return a->len != b->len ? (a->len < b->len ? -1 : 1) : memcmp(a->bytes, b->bytes, a->len);
}

static int compare(const void *left, const void *right)
{
	const struct nft_listed *a = left, *b = right;
	if (a->set != b->set)
		return a->set < b->set ? -1 : 1;
	int r = compare_values(&a->element.key, &b->element.key);
	if (r == 0)
		r = compare_values(&a->element.last, &b->element.last);
	return r ? r : compare_values(&a->element.data, &b->element.data);
}

static bool stays(const struct nft_listed *one, const struct nft_elements *after)
{
	const struct nft_listed *same = after->count == 0 ? NULL
							  : bsearch(one, after->items, after->count,
								    sizeof(*after->items), compare);
	return same && one->element.timeout_ms == 0 && same->element.timeout_ms == 0;
}

typedef void put_fn(struct nft_batch *batch, const struct nft_set *set, const struct nft_element *elements,
	size_t count);

static void put_all(struct nft_batch *batch, const struct nft_elements *list, const struct nft_elements *but,
	put_fn *put)
{
	for (size_t i = 0; i < list->count; i++) {
		const struct nft_listed *one = &list->items[i];
		if (but && stays(one, but))
			continue;
		batch->family = one->family;
		put(batch, one->set, &one->element, 1);
	}
}

int nft_put_changed(struct nft_batch *batch, const struct nft_elements *before, struct nft_elements *after)
{
	if (before->is_short || after->is_short)
		return -ENOMEM;
	if (after->count > 0)
		qsort(after->items, after->count, sizeof(*after->items), compare);
	put_all(batch, before, after, nft_put_elements);
	put_all(batch, before, after, nft_put_elements_delete);
	put_all(batch, after, NULL, nft_put_elements);
	return 0;
}
