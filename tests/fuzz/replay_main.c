/* SPDX-License-Identifier: Apache-2.0
 * Feeds files, and the files of directories, to a fuzz target once each: what libFuzzer does without a fuzzer.
 */
#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_directory(const char *path) {
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

/* Copies the file to memory of its own size, so that sanitizers see reads past its end. */
static int replay_file(const char *path) {
    struct vultus_error error;
    uint8_t *read, *exact;
    size_t size;
    if (vt_read_file(path, SIZE_MAX, &read, &size, &error)) {
        fprintf(stderr, "%s\n", error.text);
        return -1;
    }
    exact = realloc(read, size ? size : 1);
    LLVMFuzzerTestOneInput(exact ? exact : read, size);
    free(exact ? exact : read);
    return 1;
}

/* How many files were replayed, -1 after a failure. */
static int replay(const char *path) {
    if (!is_directory(path)) return replay_file(path);
    DIR *directory = opendir(path);
    if (!directory) {
        perror(path);
        return -1;
    }
    int count = 0;
    for (struct dirent *entry; count >= 0 && (entry = readdir(directory));) {
        if (entry->d_name[0] == '.') continue;
        char *name = vt_path_join(path, entry->d_name);
        int replayed = name ? replay(name) : -1;
        count = replayed < 0 ? -1 : count + replayed;
        free(name);
    }
    closedir(directory);
    return count;
}

int main(int argc, char **argv) {
    int total = 0;
    for (int i = 1; i < argc; i++) {
        int replayed = replay(argv[i]);
        if (replayed < 0) return 1;
        total += replayed;
    }
    printf("%d inputs replayed\n", total);
    return total > 0 ? 0 : 1;
}
