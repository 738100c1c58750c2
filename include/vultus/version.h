/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VULTUS_VERSION_H
#define VULTUS_VERSION_H

/* The library's version; the soname follows VULTUS_VERSION_MAJOR. */
#define VULTUS_VERSION_MAJOR 0
#define VULTUS_VERSION_MINOR 1
#define VULTUS_VERSION_PATCH 0

#endif
