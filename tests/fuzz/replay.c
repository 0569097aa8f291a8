/* SPDX-License-Identifier: MIT */
/*
 * Runs a fuzz target over files, so that what the fuzzer has once found stays tested without it.
 *
 * replay_TARGET [FILE | DIRECTORY]...: without arguments the corpus in the source tree.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fuzz.h"

#define FILE_MAX (1u << 20)

static unsigned files;

static int replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data = malloc(FILE_MAX);
    uint8_t *exact = NULL;
    size_t size;
    int failed = 1;

    if (file == NULL || data == NULL) {
        perror(path);
        goto out;
    }
    size = fread(data, 1, FILE_MAX, file);
    exact = malloc(size + 1); /* so that a sanitizer sees reads behind the end */
    if (exact == NULL || ferror(file)) {
        perror(path);
        goto out;
    }
    memcpy(exact + 1, data, size);
    fprintf(stderr, "%s\n", path); /* the last one named is the one that crashed */
    LLVMFuzzerTestOneInput(exact + 1, size);
    files++;
    failed = 0;
out:
    if (file != NULL)
        fclose(file);
    free(exact);
    free(data);
    return failed;
}

static int replay_directory(const char *path)
{
    struct dirent **entries;
    int n = scandir(path, &entries, NULL, alphasort);
    int failed = n < 0;

    if (n < 0)
        perror(path);
    for (int i = 0; i < n; i++) {
        char file[4096];

        if (entries[i]->d_name[0] != '.') {
            snprintf(file, sizeof file, "%s/%s", path, entries[i]->d_name);
            failed |= replay_file(file);
        }
        free(entries[i]);
    }
    if (n >= 0)
        free(entries);
    return failed;
}

static int replay(const char *path)
{
    struct stat st;

    if (stat(path, &st) != 0) {
        perror(path);
        return 1;
    }
    return S_ISDIR(st.st_mode) ? replay_directory(path) : replay_file(path);
}

int main(int argc, char **argv)
{
    const char *source = getenv("top_srcdir");
    char corpus[4096];
    int failed = 0;

    snprintf(corpus, sizeof corpus, "%s/tests/fuzz/corpus/%s", source != NULL ? source : ".",
             fuzz_corpus);
    if (argc == 1)
        failed = replay(corpus);
    for (int i = 1; i < argc; i++)
        failed |= replay(argv[i]);
    printf("%u files\n", files);
    return failed != 0 || files == 0;
}
