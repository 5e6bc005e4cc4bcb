/* SPDX-License-Identifier: Apache-2.0 */
/* Standard base64 with padding (RFC 4648 4), as the JSON gateway wants it. */
#include "etcd_json.h"

#include "netd/util.h"

static const char b64_digits[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

char *etcd_b64_encode(const void *data, size_t len)
{
	const uint8_t *in = data;
	char *out = xzalloc((len + 2) / 3 * 4 + 1), *at = out;

	for (size_t i = 0; i < len; i += 3) {
		size_t n = MIN(len - i, 3);
		uint32_t v = (uint32_t)in[i] << 16;

		if (n > 1)
			v |= (uint32_t)in[i + 1] << 8;
		if (n > 2)
			v |= in[i + 2];
		*at++ = b64_digits[v >> 18 & 63];
		*at++ = b64_digits[v >> 12 & 63];
		*at++ = n > 1 ? b64_digits[v >> 6 & 63] : '=';
		*at++ = n > 2 ? b64_digits[v & 63] : '=';
	}
	return out;
}

static int b64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+')
		return 62;
	return c == '/' ? 63 : -1;
}

int etcd_b64_decode(const char *text, size_t len, char **ret, size_t *ret_len)
{
	AUTO(str_freep) char *out = NULL;
	size_t n = 0, pad = 0;

	if (len % 4)
		return -EPROTO;
	while (pad < 2 && len && text[len - 1] == '=') {
		pad++;
		len--;
	}
	out = xzalloc(len / 4 * 3 + 4);
	for (size_t i = 0; i < len; i += 4) {
		size_t have = MIN(len - i, 4);
		uint32_t v = 0;

		for (size_t j = 0; j < 4; j++) {
			int digit = j < have ? b64_value(text[i + j]) : 0;

			if (digit < 0)
				return -EPROTO;
			v = v << 6 | (uint32_t)digit;
		}
		for (size_t j = 0; j + 1 < have; j++)
			out[n++] = (char)(v >> (16 - 8 * j) & 0xff);
	}
	out[n] = 0;
	*ret = take_ptr(out);
	*ret_len = n;
	return 0;
}
