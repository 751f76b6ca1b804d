/* The functions of libcuda.so.1 and libnvidia-ml.so.1 that kifabrik calls, on ordinary memory.
 *
 * A GPU is a file `memory-BUS` beside this library: its memory, kept between processes as a real one's is.
 * A file `fault` beside it says what goes wrong, one word in a line:
 *   init chatty hang memset alloc mig rows deaf     reserve=N (page N belongs to somebody)     busy=PID
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE (2u << 20)
#define PAGES 4096
#define GPUS 16

struct gpu { char bus[32]; unsigned char *memory; size_t pages; unsigned char used[PAGES]; };
static struct gpu gpus[GPUS];
static _Thread_local struct gpu *current;

static const char *folder(void) {
    static char path[4096];
    Dl_info info;
    dladdr((void *)folder, &info);
    strncpy(path, info.dli_fname, sizeof path - 1);
    return dirname(path);
}

/* Whether a fault is wished for; its number, or 1. */
static long fault(const char *name, int nth) {
    char path[4200], line[64];
    snprintf(path, sizeof path, "%s/fault", folder());
    FILE *file = fopen(path, "r");
    long found = 0;
    while (file && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = 0;
        char *value = strchr(line, '=');
        if (value) *value++ = 0;
        if (!strcmp(line, name) && nth-- == 0) { found = value ? atol(value) : 1; break; }
    }
    if (file) fclose(file);
    return found;
}

int cuInit(unsigned flags) {
    if (fault("chatty", 0)) { puts("cuda: a newer driver exists\n{\"a\": 1}\n[\"bus\"]"); fflush(stdout); }
    return fault("init", 0) ? 999 : 0;
}

int cuGetErrorName(int error, const char **name) {
    *name = error == 2 ? "CUDA_ERROR_OUT_OF_MEMORY" : error == 999 ? "CUDA_ERROR_UNKNOWN" : "CUDA_ERROR_INVALID";
    return 0;
}

int cuDeviceGetByPCIBusId(int *device, const char *bus) {
    char path[4200];
    struct stat status;
    snprintf(path, sizeof path, "%s/memory-%s", folder(), bus);
    int file = open(path, O_RDWR);
    if (file < 0) return 101;
    static int next;
    int mine = __sync_fetch_and_add(&next, 1);
    struct gpu *gpu = &gpus[mine];
    fstat(file, &status);
    gpu->pages = status.st_size / PAGE;
    gpu->memory = mmap(0, status.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    for (int nth = 0; fault("reserve", nth); nth++) gpu->used[fault("reserve", nth)] = 1;
    *device = mine;
    return 0;
}

int cuDevicePrimaryCtxRetain(void **context, int device) { *context = &gpus[device]; return 0; }
int cuDevicePrimaryCtxRelease_v2(int device) { return 0; }
int cuCtxSetCurrent(void *context) { current = context; return 0; }
int cuCtxSynchronize(void) { while (fault("hang", 0)) sleep(1); return 0; }

int cuMemGetInfo_v2(size_t *free, size_t *total) {
    *free = 0;
    for (size_t page = 0; page < current->pages; page++) *free += current->used[page] ? 0 : PAGE;
    *total = current->pages * PAGE;
    return 0;
}

int cuMemAlloc_v2(uint64_t *address, size_t size) {
    size_t wanted = (size + PAGE - 1) / PAGE, run = 0;
    if (fault("alloc", 0)) return 2;
    for (size_t page = 0; page < current->pages; page++) {
        run = current->used[page] ? 0 : run + 1;
        if (run == wanted) {
            memset(current->used + page + 1 - wanted, 1, wanted);
            *address = (uint64_t)(current->memory + (page + 1 - wanted) * PAGE);
            return 0;
        }
    }
    return 2;
}

int cuMemFree_v2(uint64_t address) { return 0; }
int cuMemsetD8_v2(uint64_t address, unsigned char value, size_t size) {
    if (!fault("memset", 0)) memset((void *)address, value, size);
    return 0;
}
int cuMemcpyDtoH_v2(void *target, uint64_t address, size_t size) {
    memcpy(target, (void *)address, size);
    return 0;
}

/* NVML. A handle is a number one above the GPU's place in the alphabet of files; here one answer serves all. */
struct process { unsigned pid; unsigned long long memory; unsigned instance, compute; };

int nvmlInitWithFlags(unsigned flags) { return fault("deaf", 0) ? 9 : 0; }
int nvmlInit_v2(void) { return nvmlInitWithFlags(0); }
int nvmlShutdown(void) { return 0; }
const char *nvmlErrorString(int error) { return "an error of the plain GPU"; }
int nvmlDeviceGetCount_v2(unsigned *count) { *count = 1; return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **handle) { *handle = (void *)1; return 0; }
int nvmlDeviceGetHandleByPciBusId_v2(const char *bus, void **handle) { *handle = (void *)1; return 0; }
int nvmlDeviceGetMinorNumber(void *handle, unsigned *minor) { *minor = 0; return 0; }
int nvmlDeviceGetMigMode(void *handle, unsigned *now, unsigned *then) {
    *now = *then = fault("mig", 0) != 0;
    return 0;
}
int nvmlDeviceGetRemappedRows(void *handle, unsigned *a, unsigned *b, unsigned *pending, unsigned *failed) {
    *a = *b = *pending = 0;
    *failed = fault("rows", 0) != 0;
    return 0;
}
int nvmlDeviceGetComputeRunningProcesses_v3(void *handle, unsigned *count, struct process *found) {
    long pid = fault("busy", 0);
    unsigned room = *count;
    *count = pid ? 1 : 0;
    if (!pid) return 0;
    if (!found || !room) return 7;
    memset(found, 0, sizeof *found);
    found->pid = pid;
    return 0;
}
