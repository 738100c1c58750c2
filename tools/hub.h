/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_TOOLS_HUB_H
#define VT_TOOLS_HUB_H

#include "hub/hub.h"
#include "options.h"

/* What is shown on stderr of a download. Zeroed before use; must outlive the hub. */
struct vt_cli_download {
    uint64_t start_ns, last_ns, start_bytes;
    bool running, shown; /* shown: on a terminal the line is open */
};

/* The models folder of the options. `ask`: whether a terminal is asked for licences. On failure says why and returns
 * NULL. */
struct vt_hub *vt_cli_hub_open(const struct vt_options *options, bool ask, struct vt_cli_download *shown);
/* Ends the line of a download on a terminal. */
void vt_cli_download_end(struct vt_cli_download *shown);

#endif
