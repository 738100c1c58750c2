/* SPDX-License-Identifier: Apache-2.0 */
#include <netinet/in.h>
#include <string.h>

#include "fetch.h"

/* Prefixes that are not of the public internet: the special-purpose registries of IANA (RFC 6890 and its updates). */
static const struct {
    uint32_t network;
    int bits;
} private_v4[] = {{0x00000000, 8}, {0x0a000000, 8}, {0x64400000, 10}, {0x7f000000, 8}, {0xa9fe0000, 16},
    {0xac100000, 12}, {0xc0000000, 24}, {0xc0000200, 24}, {0xc0586300, 24}, {0xc0a80000, 16}, {0xc6120000, 15},
    {0xc6336400, 24}, {0xcb007100, 24}, {0xe0000000, 4}, {0xf0000000, 4}};

static bool is_public_v4(uint32_t address) {
    for (size_t i = 0; i < sizeof private_v4 / sizeof *private_v4; i++)
        if ((address ^ private_v4[i].network) >> (32 - private_v4[i].bits) == 0) return false;
    return true;
}

static uint32_t read_v4(const uint8_t *bytes) {
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

/* Only 2000::/3 is in use, and parts of it lead to IPv4 addresses or to documentation. */
static bool is_public_v6(const uint8_t a[16]) {
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    static const uint8_t nat64[12] = {0x00, 0x64, 0xff, 0x9b};
    if (memcmp(a, mapped, 12) == 0 || memcmp(a, nat64, 12) == 0) return is_public_v4(read_v4(a + 12));
    if (a[0] >> 5 != 1) return false;
    if (a[0] == 0x20 && a[1] == 0x02) return is_public_v4(read_v4(a + 2)); /* 6to4 */
    if (a[0] == 0x20 && a[1] == 0x01 && a[2] < 0x02) return false;         /* Teredo and protocol assignments */
    if (a[0] == 0x20 && a[1] == 0x01 && a[2] == 0x0d && a[3] == 0xb8) return false; /* documentation */
    return !(a[0] == 0x3f && a[1] == 0xff && a[2] < 0x10);                          /* documentation, RFC 9637 */
}

bool vt_is_public_address(const struct sockaddr *address) {
    if (address->sa_family == AF_INET)
        return is_public_v4(ntohl(((const struct sockaddr_in *)address)->sin_addr.s_addr));
    if (address->sa_family == AF_INET6) return is_public_v6(((const struct sockaddr_in6 *)address)->sin6_addr.s6_addr);
    return false;
}
