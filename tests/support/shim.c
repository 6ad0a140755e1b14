/* Stands between regstorm and the C library, and does to it what a host may do: a clock that is
 * set, a suspended machine, stamps of another clock, a disk that takes nothing, memory that grows,
 * a call that breaks its promise, a kernel without memory. Loaded with LD_PRELOAD; what happens is in a file that the test
 * writes while the program runs (struct control), so that nothing depends on timing. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct control {
    volatile int64_t wall_ns;  /* added to the calendar, and to the kernel's stamps */
    volatile int64_t boot_ns;  /* added to the time since boot: how long it was suspended */
    volatile int64_t stamp_ns; /* added to the kernel's stamps alone */
    volatile int64_t grow;     /* bytes that each write to a file costs in memory */
    volatile int64_t breaks;   /* 1: the next thread that receives datagrams gets more than it asked for */
    volatile int64_t hung;     /* 1: no write to a file ends */
    volatile int64_t scarce;   /* so many reads fail, the kernel has no memory for them */
};

static struct control none;
/* Where it can be seen from elsewhere, so that no compiler leaves the writing out. */
void *volatile kept;

static struct control *control(void) {
    static struct control *volatile known;
    if (!known) {
        const char *path = getenv("SHIM_CONTROL");
        int file = path ? open(path, O_RDWR) : -1;
        void *map = file < 0 ? MAP_FAILED : mmap(0, sizeof none, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        known = map == MAP_FAILED ? &none : map;
    }
    return known;
}

static void add(struct timespec *at, int64_t ns) {
    int64_t sum = at->tv_nsec + ns % 1000000000;
    at->tv_sec += ns / 1000000000 + (sum >= 1000000000) - (sum < 0);
    at->tv_nsec = sum >= 1000000000 ? sum - 1000000000 : sum < 0 ? sum + 1000000000 : sum;
}

int clock_gettime(clockid_t clock, struct timespec *at) {
    static int (*next)(clockid_t, struct timespec *);
    if (!next) next = dlsym(RTLD_NEXT, "clock_gettime");
    int done = next(clock, at);
    if (!done && clock == CLOCK_REALTIME) add(at, control()->wall_ns);
    if (!done && clock == CLOCK_BOOTTIME) add(at, control()->boot_ns);
    return done;
}

/* Moves the kernel's stamp of one message. */
static void shift(struct msghdr *head, int64_t ns) {
    for (struct cmsghdr *part = CMSG_FIRSTHDR(head); part; part = CMSG_NXTHDR(head, part)) {
        if (part->cmsg_level == SOL_SOCKET && part->cmsg_type == SCM_TIMESTAMPNS) {
            struct timespec at;
            memcpy(&at, CMSG_DATA(part), sizeof at);
            add(&at, ns);
            memcpy(CMSG_DATA(part), &at, sizeof at);
        }
    }
}

/* Datagrams. */
int recvmmsg(int socket, struct mmsghdr *to, unsigned length, int flags, struct timespec *until) {
    static int (*next)(int, struct mmsghdr *, unsigned, int, struct timespec *);
    if (!next) next = dlsym(RTLD_NEXT, "recvmmsg");
    struct control *now = control();
    if (now->scarce > 0) {
        int64_t left = __sync_fetch_and_sub(&now->scarce, 1);
        if (left > 0) {
            errno = left % 2 ? ENOMEM : ENOBUFS;
            return -1;
        }
    }
    int taken = next(socket, to, length, flags, until);
    int64_t by = now->wall_ns + now->stamp_ns;
    for (int n = 0; by && n < taken; n++) shift(&to[n].msg_hdr, by);
    if (length && __sync_bool_compare_and_swap(&now->breaks, 1, 0)) return 1 << 20;
    return taken;
}

/* Connections. */
ssize_t recvmsg(int socket, struct msghdr *to, int flags) {
    static ssize_t (*next)(int, struct msghdr *, int);
    if (!next) next = dlsym(RTLD_NEXT, "recvmsg");
    ssize_t taken = next(socket, to, flags);
    struct control *now = control();
    int64_t by = now->wall_ns + now->stamp_ns;
    if (flags & MSG_ERRQUEUE || taken <= 0) return taken;
    if (by) shift(to, by);
    return taken;
}

ssize_t write(int file, const void *bytes, size_t length) {
    static ssize_t (*next)(int, const void *, size_t);
    if (!next) next = dlsym(RTLD_NEXT, "write");
    struct stat about;
    if (!fstat(file, &about) && S_ISREG(about.st_mode)) {
        struct control *now = control();
        struct timespec moment = {0, 5000000};
        while (now->hung) nanosleep(&moment, 0);
        if (now->grow) memset(kept = malloc(now->grow), 1, now->grow);
    }
    return next(file, bytes, length);
}
