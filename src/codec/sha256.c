#include "codec/sha256.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdlib.h>

struct sha256 {
	EVP_MD_CTX *context;
	bool failed; /* told by finish */
};

struct sha256 *sha256_new(void)
{
	_autofree_(sha256) struct sha256 *sha256 = calloc(1, sizeof *sha256);
	if (!sha256)
		return NULL;
	sha256->context = EVP_MD_CTX_new();
	if (!sha256->context || !EVP_DigestInit_ex(sha256->context, EVP_sha256(), NULL))
		return NULL;
	return TAKE(sha256);
}

void sha256_free(struct sha256 *sha256)
{
	if (!sha256)
		return;
	EVP_MD_CTX_free(sha256->context);
	free(sha256);
}

void sha256_update(struct sha256 *sha256, const void *data, size_t len)
{
	if (!EVP_DigestUpdate(sha256->context, data, len))
		sha256->failed = true;
}

int sha256_finish(struct sha256 *sha256, struct digest *ret)
{
	unsigned char bytes[EVP_MAX_MD_SIZE];
	bool ok = EVP_DigestFinal_ex(sha256->context, bytes, NULL) && !sha256->failed;
	sha256->failed = !EVP_DigestInit_ex(sha256->context, EVP_sha256(), NULL);
	if (!ok)
		return -EIO;
	digest_from_bytes(bytes, ret);
	return 0;
}

void sha256_digest(struct sha256 *sha256, char out[static DIGEST_SIZE])
{
	struct digest digest;
	*out = '\0';
	if (sha256_finish(sha256, &digest) == 0)
		digest_format(&digest, out);
}

int sha256_of(const void *data, size_t len, struct digest *ret)
{
	_autofree_(sha256) struct sha256 *sha256 = sha256_new();
	if (!sha256)
		return -ENOMEM;
	sha256_update(sha256, data, len);
	return sha256_finish(sha256, ret);
}
