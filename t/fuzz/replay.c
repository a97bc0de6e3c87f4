/*
 * Runs a fuzz target over the files of its corpus, without libFuzzer: what
 * `make test` does with each corpus under ASan and UBSan.
 */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


int
main(int argc, char **argv)
{
    int       i;
    FILE     *f;
    long      size;
    uint8_t  *data;

    if (argc < 2) {
        fprintf(stderr, "%s: no corpus given\n", argv[0]);
        return 2;
    }

    for (i = 1; i < argc; i++) {
        f = fopen(argv[i], "rb");
        if (f == NULL || fseek(f, 0, SEEK_END) != 0
            || (size = ftell(f)) < 0)
        {
            perror(argv[i]);
            return 2;
        }

        rewind(f);

        /* an exact allocation, so that ASan sees the first byte too many */
        data = malloc(size ? (size_t) size : 1);
        if (data == NULL || fread(data, 1, (size_t) size, f) != (size_t) size) {
            perror(argv[i]);
            return 2;
        }

        fclose(f);
        LLVMFuzzerTestOneInput(data, (size_t) size);
        free(data);
    }

    printf("%s: %d inputs\n", argv[0], argc - 1);

    return 0;
}
