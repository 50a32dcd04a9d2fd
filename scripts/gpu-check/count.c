/* Counts what a program asks of the CUDA runtime, when it is preloaded; at the end, a line of JSON goes to the file that
   GENGS_COUNT names. Kernels that libraries launch through the driver are not among them. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

static unsigned long launches, to_host, to_device, other_copies, waits;

__attribute__((destructor)) static void report(void) {
    const char *path = getenv("GENGS_COUNT");
    FILE *file = path ? fopen(path, "w") : NULL;
    if (!file)
        return;
    fprintf(file, "{\"launches\": %lu, \"copies_to_host\": %lu, \"copies_to_device\": %lu, \"other_copies\": %lu, \"waits\": %lu}\n",
            launches, to_host, to_device, other_copies, waits);
    fclose(file);
}

static void copied(int kind) {
    if (kind == 2)
        __atomic_add_fetch(&to_host, 1, __ATOMIC_RELAXED);
    else if (kind == 1)
        __atomic_add_fetch(&to_device, 1, __ATOMIC_RELAXED);
    else
        __atomic_add_fetch(&other_copies, 1, __ATOMIC_RELAXED);
}

/* The function of the same name in the library that would have been called. */
#define NEXT(name) \
    static __typeof__(&name) next; \
    if (!next) \
        next = (__typeof__(&name))dlsym(RTLD_NEXT, #name); \
    if (!next) \
        return 999; /* cudaErrorUnknown */

struct dim3 {
    unsigned x, y, z;
};

int cudaLaunchKernel(const void *f, struct dim3 grid, struct dim3 block, void **arguments, size_t shared, void *stream) {
    NEXT(cudaLaunchKernel)
    __atomic_add_fetch(&launches, 1, __ATOMIC_RELAXED);
    return next(f, grid, block, arguments, shared, stream);
}

int cudaLaunchKernelExC(const void *config, const void *f, void **arguments) {
    NEXT(cudaLaunchKernelExC)
    __atomic_add_fetch(&launches, 1, __ATOMIC_RELAXED);
    return next(config, f, arguments);
}

int cudaMemcpyAsync(void *to, const void *from, size_t count, int kind, void *stream) {
    NEXT(cudaMemcpyAsync)
    copied(kind);
    return next(to, from, count, kind, stream);
}

int cudaMemcpy(void *to, const void *from, size_t count, int kind) {
    NEXT(cudaMemcpy)
    copied(kind);
    return next(to, from, count, kind);
}

int cudaStreamSynchronize(void *stream) {
    NEXT(cudaStreamSynchronize)
    __atomic_add_fetch(&waits, 1, __ATOMIC_RELAXED);
    return next(stream);
}

int cudaDeviceSynchronize(void) {
    NEXT(cudaDeviceSynchronize)
    __atomic_add_fetch(&waits, 1, __ATOMIC_RELAXED);
    return next();
}
