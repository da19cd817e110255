/*
 * An intrusive doubly linked list. A head is a `struct list` that points at itself; a member embeds one.
 *
 *	struct list sessions = LIST_INIT(sessions);
 *	list_append(&sessions, &session->link);
 *	list_foreach(session, &sessions, link) ...
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct list {
	struct list *prev;
	struct list *next;
};

#define LIST_INIT(head)            \
 {                                 \
  .prev = &(head), .next = &(head) \
 }

#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#define list_foreach(item, head, member)                                                     \
 for (item = container_of((head)->next, __typeof__(*item), member); &item->member != (head); \
	 item = container_of(item->member.next, __typeof__(*item), member))

/* `item` may be removed and freed in the body; no other member may. */
#define list_foreach_safe(item, following, head, member)                     \
 for (item = container_of((head)->next, __typeof__(*item), member),          \
     following = container_of(item->member.next, __typeof__(*item), member); \
	 &item->member != (head);                                            \
	 item = following, following = container_of(following->member.next, __typeof__(*item), member))

static inline void list_init(struct list *list)
{
	list->prev = list->next = list;
}

static inline bool list_is_empty(const struct list *head)
{
	return head->next == head;
}

static inline void list_append(struct list *head, struct list *item)
{
	item->prev = head->prev;
	item->next = head;
	head->prev->next = item;
	head->prev = item;
}

static inline void list_prepend(struct list *head, struct list *item)
{
	list_append(head->next, item);
}

/* Leaves `item` as an empty list, so removing twice is harmless. */
static inline void list_remove(struct list *item)
{
	item->prev->next = item->next;
	item->next->prev = item->prev;
	list_init(item);
}
