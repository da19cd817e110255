/* The small ones: base64, digests and their hash, names. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../unit.h"
#include "codec/base64.h"
#include "codec/digest.h"
#include "codec/names.h"
#include "codec/names_list.h"
#include "codec/sha256.h"

#define HEX_ABC "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

static void base64_goes_round(void **state)
{
	(void)state;
	static const char *const plain[] = { "", "f", "fo", "foo", "foob", "fooba", "foobar", "\xff\xfe\xfb" };
	static const char *const coded[] = { "", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy", "//77" };
	for (size_t i = 0; i < ARRAY_SIZE(plain); i++) {
		_cleanup_(buf_finish) struct buf out = BUF_INIT(64);
		_cleanup_free_ char *back = NULL;
		size_t len, unpadded = strcspn(coded[i], "=");
		assert_int_equal(base64_encode(&out, plain[i], strlen(plain[i]), false), 0);
		assert_string_equal(out.data ?: "", coded[i]);
		assert_int_equal(base64_decode(coded[i], strlen(coded[i]), &back, &len), 0);
		assert_int_equal(len, strlen(plain[i]));
		assert_string_equal(back, plain[i]);
		free(TAKE(back));
		assert_int_equal(base64_decode(coded[i], unpadded, &back, &len), 0);
		assert_string_equal(back, plain[i]);
	}
	_cleanup_(buf_finish) struct buf out = BUF_INIT(64);
	assert_int_equal(base64_encode(&out, "\xff\xfe\xfb", 3, true), 0);
	assert_string_equal(out.data, "__77");
	_cleanup_free_ char *back = NULL;
	size_t len;
	assert_int_equal(base64_decode("__77", 4, &back, &len), 0);
	assert_string_equal(back, "\xff\xfe\xfb");
}

static void base64_refuses_the_rest(void **state)
{
	(void)state;
	static const char *const texts[] = { "Z", "Zg=", "Zg===", "=",
		"====", "Zh==", "Zm9=", "Zg==Zg==", "Z g=", "Zm9v\n", "Zm9v=" };
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		char *back = NULL;
		size_t len;
		if (base64_decode(texts[i], strlen(texts[i]), &back, &len) != -EINVAL)
			fail_msg("accepted: %s", texts[i]);
	}
}

static void digests_fit_the_grammar(void **state)
{
	(void)state;
	struct digest digest = { 0 }, other;
	char text[DIGEST_SIZE];
	assert_false(digest_is_set(&digest));
	assert_int_equal(digest_parse("sha256:" HEX_ABC, &digest), 0);
	assert_true(digest_is_set(&digest));
	digest_format(&digest, text);
	assert_string_equal(text, "sha256:" HEX_ABC);
	assert_int_equal(digest_parse_hex(HEX_ABC, &other), 0);
	assert_true(digest_equal(&digest, &other));
	static const char *const broken[] = { "", ":", "sha256", "sha256:", HEX_ABC, "sha256:" HEX_ABC "0",
		"sha256: " HEX_ABC, "sha256:ba78",
		"sha256:BA7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", "SHA256:" HEX_ABC,
		"sha256:" HEX_ABC "\n", "sha256:../../etc/passwd", "sha512+:aa", "sha++b:aa", "sha512:a/b", "sha512:" };
	for (size_t i = 0; i < ARRAY_SIZE(broken); i++)
		assert_int_equal(digest_parse(broken[i], &other), -EINVAL);
	assert_int_equal(digest_parse("sha512:aaaa", &other), -EOPNOTSUPP);
	assert_int_equal(digest_parse("multihash+base58:QmRZxt2b1FVZPNqd8hsiykDL3TdBDeTSPX9Kv46HmX4Gx8", &other),
		-EOPNOTSUPP);
}

static void sha256_is_the_standards(void **state)
{
	(void)state;
	struct digest digest;
	assert_int_equal(sha256_of("abc", 3, &digest), 0);
	assert_string_equal(digest.hex, HEX_ABC);
	_autofree_(sha256) struct sha256 *sha256 = sha256_new();
	for (int round = 0; round < 2; round++) {
		char text[DIGEST_SIZE];
		sha256_update(sha256, "a", 1);
		sha256_update(sha256, "bc", 2);
		sha256_digest(sha256, text);
		assert_string_equal(text, "sha256:" HEX_ABC);
	}
	assert_int_equal(sha256_finish(sha256, &digest), 0);
	assert_string_equal(digest.hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

static bool long_name_is_valid(size_t len)
{
	char name[NAME_LEN_MAX + 2];
	memset(name, 'a', len);
	name[len] = '\0';
	return name_is_valid(name);
}

static void names_fit_the_grammar(void **state)
{
	(void)state;
	static const char *const good[] = { "ab", "0_", "a.-", "Web-1.2_x" };
	static const char *const bad[] = { "", "a", "_a", ".a", "-a", "a b", "a/b", "/a", "a\n", "a:b",
		"\xc3\xa9\xc3\xa9", ".." };
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_true(name_is_valid(good[i]));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(name_is_valid(bad[i]));
	assert_true(long_name_is_valid(NAME_LEN_MAX - 1));
	assert_true(long_name_is_valid(NAME_LEN_MAX));
	assert_false(long_name_is_valid(NAME_LEN_MAX + 1));
}

static void the_words_make_names(void **state)
{
	(void)state;
	for (size_t i = 0; i < name_adjective_count; i++) {
		for (size_t j = 0; j < name_surname_count; j++) {
			char name[NAME_GENERATED_SIZE];
			assert_true((size_t)snprintf(name, sizeof name, "%s_%s9", name_adjectives[i],
					    name_surnames[j]) < sizeof name);
			assert_true(name_is_valid(name));
		}
	}
	char first[NAME_GENERATED_SIZE], name[NAME_GENERATED_SIZE];
	name_generate(first, 0);
	bool differs = false;
	for (unsigned i = 0; i < 100; i++) {
		name_generate(name, i);
		assert_true(name_is_valid(name));
		assert_int_equal(name[strlen(name) - 1] <= '9', i > 0);
		differs |= strcmp(name, first) != 0;
	}
	assert_true(differs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(base64_goes_round),
		cmocka_unit_test(base64_refuses_the_rest),
		cmocka_unit_test(digests_fit_the_grammar),
		cmocka_unit_test(sha256_is_the_standards),
		cmocka_unit_test(names_fit_the_grammar),
		cmocka_unit_test(the_words_make_names),
	};
	return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
