/* The tags of a repository, page by page. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/strv.h"
#include "codec/json.h"
#include "registry/content.h"

#define PAGE_BYTES_MAX (4 * 1024 * 1024)
#define PAGE_TAGS      "1000"

struct page {
	char **tags;
};

static const struct json_field page_fields[] = {
	JSON_FIELD(struct page, tags, "tags", JSON_STRV),
};
static const struct json_table page_table = JSON_TABLE(struct page, page_fields);

static int take_page(const struct registry *registry, const struct buf *text, char ***tags, struct err **reterr)
{
	struct page page = { 0 };
	int r = json_parse(&page_table, text->data ?: "", text->len, &page, reterr);

	if (r < 0)
		return err_wrap(reterr, r, "%s: invalid list of tags", registry->host);
	if (strv_count(page.tags) + strv_count(*tags) > REGISTRY_TAGS_MAX)
		r = err_set(reterr, ERR_TOO_LARGE, 0, "%s: more than %d tags", registry->host, REGISTRY_TAGS_MAX);
	else if (strv_extend(tags, page.tags) < 0)
		r = err_oom(reterr);
	json_finish(&page_table, &page);
	return r;
}

/* Whatever the registry names next is a path of its own. Takes `next`; *path becomes it, NULL after the last page. */
static int turn_page(const struct registry *registry, char *next, char **path, struct err **reterr)
{
	const char *base = registry->endpoints[registry->chosen].base;
	_cleanup_free_ char *here = NULL, *url = NULL, *link = next;
	size_t len = strlen(base);
	int r = -ENOMEM;

	if (link && asprintf(&here, "%s%s", base, *path) < 0)
		here = NULL;
	if (here)
		r = origin_resolve(here, link, &url);
	free(*path);
	*path = NULL;
	if (!link)
		return 0;
	if (r == -ENOMEM)
		return err_oom(reterr);
	if (r < 0 || strncmp(url, base, len) != 0 || strncmp(url + len, "/v2/", 4) != 0)
		return err_set(reterr, ERR_FORBIDDEN, 0, "%s: the list of tags goes on at another address",
			registry->host);
	*path = strdup(url + len);
	return *path ? 0 : err_oom(reterr);
}

static int read_pages(struct registry *registry, char **path, char ***tags, struct err **reterr)
{
	unsigned pages = 0;

	while (*path) {
		_cleanup_(buf_finish) struct buf text = BUF_INIT(PAGE_BYTES_MAX);
		char *next = NULL;
		int r = ++pages > REGISTRY_TAG_PAGES_MAX
				? err_set(reterr, ERR_TOO_LARGE, 0, "%s: the list of tags has more than %d pages",
					  registry->host, REGISTRY_TAG_PAGES_MAX)
				: content_page(registry, *path, &text, &next, reterr);
		if (r == 0)
			r = take_page(registry, &text, tags, reterr);
		if (r < 0) {
			free(next);
			return r;
		}
		r = turn_page(registry, next, path, reterr);
		if (r < 0)
			return r;
	}
	return 0;
}

int registry_tags(struct registry *registry, char ***ret, struct err **reterr)
{
	_autofree_(strv) char **tags = NULL;
	_cleanup_free_ char *path = NULL;
	int r = session_probe(registry, reterr);

	if (r < 0)
		return r;
	if (asprintf(&path, "/v2/%s/tags/list?n=" PAGE_TAGS, registry->path) < 0) {
		path = NULL;
		return err_oom(reterr);
	}
	r = read_pages(registry, &path, &tags, reterr);
	if (r < 0)
		return r;
	*ret = TAKE(tags);
	return 0;
}
