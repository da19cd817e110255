#include "network/cleanup.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "network/sysctls.h"
#include "network/table.h"
#include "sys/links.h"

struct cleaning {
	char owner[LEASE_OWNER_SIZE];
	struct netlink_request request;
};

static int take_link(const struct link_info *link, void *user)
{
	struct cleaning *cleaning = user;
	if ((link->flags & IFF_LOOPBACK) && link->segment > LEASE_SEGMENT_USUAL)
		printf("left as it is: %s lets through segments of %u bytes\n", link->name, link->segment);
	if (strcmp(link->alias, cleaning->owner) != 0)
		return 0;
	link_put_delete(&cleaning->request, link->index);
	printf("removed interface %s\n", link->name);
	return 0;
}

static int remove_links(const char *exec_root, struct err **reterr)
{
	_cleanup_(netlink_close) struct netlink netlink = NETLINK_NONE;
	struct cleaning cleaning = { .request = NETLINK_REQUEST };
	lease_owner(exec_root, cleaning.owner);
	int r = netlink_open(&netlink, NETLINK_ROUTE);
	if (r == 0)
		r = links_each(&netlink, take_link, &cleaning);
	if (r == 0 && cleaning.request.count > 0)
		r = netlink_transact(&netlink, &cleaning.request);
	netlink_request_finish(&cleaning.request);
	return r < 0 && r != -ENODEV ? err_errno(reterr, r, "cannot remove the networks' interfaces") : 0;
}

/* Put and deleted: it works whether it is there or not. */
static int remove_table(struct netlink *netlink, uint8_t family, const char *name)
{
	_cleanup_(nft_batch_finish) struct nft_batch batch;
	nft_batch_begin(&batch, family, name);
	nft_put_table(&batch);
	nft_put_table_delete(&batch);
	return nft_batch_commit(&batch, netlink);
}

static int remove_tables(const char *exec_root, struct err **reterr)
{
	_cleanup_(netlink_close) struct netlink netlink = NETLINK_NONE;
	const uint8_t families[] = { NFPROTO_INET, NFPROTO_BRIDGE };
	char name[TABLE_NAME_SIZE];
	table_name(exec_root, name);
	int r = netlink_open(&netlink, NETLINK_NETFILTER);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(families); i++)
		r = remove_table(&netlink, families[i], name);
	if (r == -EOPNOTSUPP || r == -EPROTONOSUPPORT)
		return 0; /* a kernel that has none of them */
	if (r == 0)
		printf("removed the tables %s of nf_tables\n", name);
	return r < 0 ? err_errno(reterr, r, "cannot remove the tables %s of nf_tables", name) : 0;
}

static void tell_forwarding(void)
{
	if (sysctls_get("ipv4", "all", "forwarding") == 1)
		puts("left as it is: net.ipv4.ip_forward is 1");
	if (sysctls_get("ipv6", "all", "forwarding") == 1)
		puts("left as it is: net.ipv6.conf.all.forwarding is 1");
}

int cleanup_networks(const char *exec_root, struct err **reterr)
{
	int r = remove_links(exec_root, reterr);
	if (r == 0)
		r = remove_tables(exec_root, reterr);
	if (r == 0)
		tell_forwarding();
	return r;
}
