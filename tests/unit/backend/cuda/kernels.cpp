/* SPDX-License-Identifier: Apache-2.0
 *
 * One kernel source (KERNELS names it) compiled for the emulation.
 */
#include KERNELS
