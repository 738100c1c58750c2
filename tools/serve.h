/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_TOOLS_SERVE_H
#define VT_TOOLS_SERVE_H

#include <stdio.h>

/* `vultus serve` and `vultus config`, whose options are the keys of src/config/keys.h. Both return the exit code. */
int vt_cli_serve(int argc, char **argv);
int vt_cli_config(int argc, char **argv);

void vt_print_keys_usage(const char *command, FILE *stream);

#endif
