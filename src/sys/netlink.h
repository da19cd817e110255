/*
 * Netlink: sockets, messages with nested attributes, acknowledged requests and dumps. What the messages say is the
 * business of sys/links (routes, addresses, interfaces) and sys/nftables.
 *
 * A request is built in memory and carries its own error, so that building needs no checks in between:
 *
 *	_cleanup_(netlink_request_finish) struct netlink_request request = NETLINK_REQUEST;
 *	netlink_begin(&request, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &info, sizeof(info));
 *	netlink_put_text(&request, IFLA_IFNAME, "eth0");
 *	size_t nest = netlink_nest(&request, IFLA_LINKINFO);
 *	netlink_put_text(&request, IFLA_INFO_KIND, "dummy");
 *	netlink_nest_end(&request, nest);
 *	r = netlink_transact(&socket, &request);
 *
 * Several messages may be begun in one request; they are sent together and each one is acknowledged. rtnetlink goes on
 * after a message that failed; nf_tables takes a batch whole or not at all.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/netlink.h>

#include "base/buf.h"

/* Ceiling of a request: 1,000 published ports are some 100 kB. */
#define NETLINK_REQUEST_MAX (4 * 1024 * 1024)
/* Answers are read in pieces of this size; the kernel makes no larger ones. */
#define NETLINK_ANSWER_MAX 65536

struct netlink {
	int fd;
	uint32_t sequence;
	unsigned failed;     /* which message of the last batch that failed, from 0 */
	char complaint[160]; /* the kernel's own words about the last request that failed; "" if it had none */
};
#define NETLINK_NONE \
 {                   \
  .fd = -1           \
 }

struct netlink_request {
	struct buf data;
	size_t message; /* offset of the one that is being built */
	unsigned count;
	int error;
};
#define NETLINK_REQUEST                 \
 {                                      \
  .data = BUF_INIT(NETLINK_REQUEST_MAX) \
 }

/* `protocol`: NETLINK_ROUTE, NETLINK_NETFILTER. In the caller's network namespace. */
int netlink_open(struct netlink *netlink, int protocol);
/* In another one: the caller (of one thread) goes there and back. -ENOTRECOVERABLE: it could not come back and must end. */
int netlink_open_in(struct netlink *netlink, int protocol, int netns_fd);
void netlink_close(struct netlink *netlink);

/* --- building --- */

/* A message of `type` with the family's header. NLM_F_REQUEST is added, the length and number are filled in later. */
void netlink_begin(struct netlink_request *request, uint16_t type, uint16_t flags, const void *header, size_t len);
void netlink_put(struct netlink_request *request, uint16_t type, const void *data, size_t len);
void netlink_put_u8(struct netlink_request *request, uint16_t type, uint8_t value);
void netlink_put_u16(struct netlink_request *request, uint16_t type, uint16_t value);
void netlink_put_u32(struct netlink_request *request, uint16_t type, uint32_t value);
void netlink_put_u64(struct netlink_request *request, uint16_t type, uint64_t value);
void netlink_put_be16(struct netlink_request *request, uint16_t type, uint16_t value);
void netlink_put_be32(struct netlink_request *request, uint16_t type, uint32_t value);
void netlink_put_be64(struct netlink_request *request, uint16_t type, uint64_t value);
/* With its NUL. */
void netlink_put_text(struct netlink_request *request, uint16_t type, const char *text);
/* Bytes without an attribute around them (a header inside a nest). */
void netlink_put_raw(struct netlink_request *request, const void *data, size_t len);
/* What is put until netlink_nest_end(request, the value returned) lies inside. */
size_t netlink_nest(struct netlink_request *request, uint16_t type);
void netlink_nest_end(struct netlink_request *request, size_t nest);
void netlink_request_finish(struct netlink_request *request);

/* --- talking --- */

/* Sends it and waits for every message's acknowledgement. The first error, else 0; `complaint` goes with it. */
int netlink_transact(struct netlink *netlink, struct netlink_request *request);
/* The same; each message's own result comes in `results`, which holds request->count: how rtnetlink does several things
 * at the price of one. Returns 0 unless the socket itself failed. */
int netlink_transact_each(struct netlink *netlink, struct netlink_request *request, int *results);
/* Sends a batch of nf_tables': only the messages with NLM_F_ACK are answered, and errors of any. The first error, else 0. */
int netlink_transact_batch(struct netlink *netlink, struct netlink_request *request);
/* One message that asks for a dump (NLM_F_DUMP is added) or for one object (`single`); `fn` gets each answer's payload.
 * Non-zero from `fn` is what is returned, after the rest was read. -EINTR: it changed meanwhile, ask again. */
typedef int netlink_answer_fn(const struct nlmsghdr *message, void *user);
int netlink_dump(struct netlink *netlink, struct netlink_request *request, netlink_answer_fn *fn, void *user);
int netlink_get(struct netlink *netlink, struct netlink_request *request, netlink_answer_fn *fn, void *user);

/* What has arrived without having been asked for (of a socket in groups); one read that does not wait. -EAGAIN: nothing;
 * -ENOBUFS: some was lost. */
int netlink_read(struct netlink *netlink, netlink_answer_fn *fn, void *user);

/* --- reading --- */

/* Sorts the attributes of `len` bytes at `data` into table[0..max]; absent ones are NULL, unknown ones left out. The last
 * one counts. -EBADMSG if they don't fit. */
int netlink_attributes(const void *data, size_t len, const struct nlattr **table, size_t max);
/* Those behind the family's header of `header_len` bytes. */
int netlink_message_attributes(const struct nlmsghdr *message, size_t header_len, const struct nlattr **table,
	size_t max);
const void *netlink_data(const struct nlattr *attribute);
size_t netlink_len(const struct nlattr *attribute);
/* `otherwise` if it is absent or too short. */
uint32_t netlink_u32(const struct nlattr *attribute, uint32_t otherwise);
/* NULL unless it is text with its NUL. Borrows. */
const char *netlink_text(const struct nlattr *attribute);
