#include "store/sha256.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/handle.h"

struct sha256 {
	EVP_MD_CTX *context;
};

struct sha256 *sha256_new(void)
{
	_autofree_(sha256) struct sha256 *hash = calloc(1, sizeof(*hash));

	if (!hash)
		return NULL;
	hash->context = EVP_MD_CTX_new();
	if (!hash->context || !EVP_DigestInit_ex(hash->context, EVP_sha256(), NULL))
		return NULL;
	return TAKE(hash);
}

void sha256_free(struct sha256 *hash)
{
	if (!hash)
		return;
	EVP_MD_CTX_free(hash->context);
	free(hash);
}

void sha256_update(struct sha256 *hash, const void *data, size_t len)
{
	/* Fails for a context that was not initialised only. */
	(void)EVP_DigestUpdate(hash->context, data, len);
}

void sha256_digest(struct sha256 *hash, char *out)
{
	unsigned char value[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	(void)EVP_DigestFinal_ex(hash->context, value, &len);
	(void)EVP_DigestInit_ex(hash->context, NULL, NULL);
	out += sprintf(out, DIGEST_PREFIX);
	for (unsigned i = 0; i < len; i++)
		out += sprintf(out, "%02x", value[i]);
}
