/* SPDX-License-Identifier: Apache-2.0 */
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cpu.h"

#define MOST_PROCESSORS 65536
#define CGROUPS "/sys/fs/cgroup"

static int affinity_count(void) {
    /* The kernel refuses a mask smaller than its own, so grow until it fits. */
    for (int processors = 1024; processors <= MOST_PROCESSORS; processors *= 4) {
        cpu_set_t *set = CPU_ALLOC((size_t)processors);
        if (!set) break;
        size_t bytes = CPU_ALLOC_SIZE((size_t)processors);
        int count = sched_getaffinity(0, bytes, set) == 0 ? CPU_COUNT_S(bytes, set) : 0;
        CPU_FREE(set);
        if (count > 0) return count;
    }
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (int)online : 1;
}

/* How many numbers the file starts with, at most two. */
static int read_numbers(const char *directory, const char *file, long long numbers[2]) {
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/%s", directory, file) >= (int)sizeof path) return 0;
    FILE *stream = fopen(path, "re");
    if (!stream) return 0;
    int found = fscanf(stream, "%lld %lld", &numbers[0], &numbers[1]);
    fclose(stream);
    return found;
}

int vt_cpu_quota(const char *cgroup_directory) {
    long long quota[2] = {0};
    /* Microseconds of a period; cpu.max says "max" and version 1 says -1 when there is no quota. */
    if (read_numbers(cgroup_directory, "cpu.max", quota) != 2) {
        long long period[2] = {0};
        if (read_numbers(cgroup_directory, "cpu.cfs_quota_us", quota) < 1) return 0;
        if (read_numbers(cgroup_directory, "cpu.cfs_period_us", period) < 1) return 0;
        quota[1] = period[0];
    }
    if (quota[0] <= 0 || quota[1] <= 0 || quota[0] / quota[1] >= MOST_PROCESSORS) return 0;
    return (int)(quota[0] / quota[1]) + (quota[0] % quota[1] != 0);
}

/* The least quota of this process's cgroup (version 2) and of those around it; `most` without any. */
static int cgroup_count(int most) {
    char line[PATH_MAX], directory[PATH_MAX + sizeof CGROUPS];
    FILE *stream = fopen("/proc/self/cgroup", "re");
    bool found = false;
    while (stream && !found && fgets(line, sizeof line, stream)) found = strncmp(line, "0::/", 4) == 0;
    if (stream) fclose(stream);
    snprintf(directory, sizeof directory, CGROUPS "%s", found ? line + 3 : "/");
    directory[strcspn(directory, "\n")] = '\0';
    for (char *slash; (slash = strrchr(directory, '/')) && strlen(directory) >= strlen(CGROUPS); *slash = '\0') {
        int quota = vt_cpu_quota(directory);
        if (quota > 0 && quota < most) most = quota;
    }
    int quota = vt_cpu_quota(CGROUPS "/cpu"); /* version 1, as containers see it */
    return quota > 0 && quota < most ? quota : most;
}

int vt_cpu_count(void) { return cgroup_count(affinity_count()); }
