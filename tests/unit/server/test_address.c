/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>

#include "server/fetch.h"

static bool is_public(const char *text) {
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1) return vt_is_public_address((struct sockaddr *)&v4);
    assert_int_equal(inet_pton(AF_INET6, text, &v6.sin6_addr), 1);
    return vt_is_public_address((struct sockaddr *)&v6);
}

/* Addresses of IANA's special-purpose registries, at both ends of their ranges, and neighbours of these. */
static void registries(void **state) {
    (void)state;
    static const char *const private_ones[] = {"0.0.0.0", "0.255.255.255", "10.0.0.0", "10.255.255.255", "100.64.0.0",
        "100.127.255.255", "127.0.0.1", "127.255.255.255", "169.254.0.0", "169.254.169.254", "172.16.0.0",
        "172.31.255.255", "192.0.0.8", "192.0.2.1", "192.168.0.0", "192.168.255.255", "198.18.0.0", "198.19.255.255",
        "198.51.100.7", "203.0.113.9", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "::", "::1",
        "::ffff:127.0.0.1", "::ffff:10.1.2.3", "::7f00:1", "64:ff9b::a00:1", "fe80::1", "fc00::1", "fdff::1", "ff02::1",
        "fec0::1", "2001:db8::1", "2001::1", "2002:7f00:1::", "2002:a00:1::1", "3fff::1", "4000::1"};
    static const char *const public_ones[] = {"1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0",
        "126.255.255.255", "128.0.0.0", "169.253.255.255", "172.15.255.255", "172.32.0.0", "192.167.255.255",
        "192.169.0.0", "198.17.255.255", "198.20.0.0", "223.255.255.255", "::ffff:8.8.8.8", "64:ff9b::808:808",
        "2606:4700::1", "2001:4860::8888", "2002:808:808::1", "2a00::1"};
    for (size_t i = 0; i < sizeof private_ones / sizeof *private_ones; i++) assert_false(is_public(private_ones[i]));
    for (size_t i = 0; i < sizeof public_ones / sizeof *public_ones; i++) assert_true(is_public(public_ones[i]));
    struct sockaddr other = {.sa_family = AF_UNIX};
    assert_false(vt_is_public_address(&other));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(registries)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
