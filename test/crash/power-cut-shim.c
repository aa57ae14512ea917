/*
 * Preloaded into a server (LD_PRELOAD), it writes down what becomes of the database: every write and
 * truncation of the file and of its log, with the data, and every sync. Where a power cut would have
 * left the two files can be worked out from that.
 *
 * TRACED_DATABASE is the path of the database, TRACE the file to write to. A record is a header and,
 * for a write, the data. It is written once the call has returned; that of a sync says how long the
 * trace was when the sync began: what stands before that is covered, what came later need not be.
 * What changes through a memory map is not seen: the index of the log is, and is made anew.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

enum { WRITE = 1, TRUNCATE = 2, SYNC = 3, UNEXPECTED = 4 };
enum { NONE = 0, DATABASE = 1, LOG = 2 };

struct header {
	uint8_t kind;
	uint8_t file;
	uint16_t unused;
	uint32_t length;
	/* Of the data in the file; of a truncation, the new size; of a sync, the trace's length before. */
	uint64_t offset;
};

#define DESCRIPTORS 65536
static uint8_t file_of[DESCRIPTORS];
static char database[4096];
static int trace = -1;
static uint64_t traced;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

__attribute__((constructor)) static void start(void) {
	const char *path = getenv("TRACED_DATABASE"), *to = getenv("TRACE");
	if (!path || !to || strlen(path) >= sizeof database) abort();
	strcpy(database, path);
	trace = REAL(open)(to, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (trace < 0) abort();
}

static int which(const char *path) {
	size_t length = strlen(database);
	if (!path || strncmp(path, database, length) != 0) return NONE;
	if (path[length] == 0) return DATABASE;
	return strcmp(path + length, "-wal") == 0 ? LOG : NONE;
}

static int file(int descriptor) {
	return descriptor < 0 || descriptor >= DESCRIPTORS ? NONE : file_of[descriptor];
}

static void put(int kind, int which_file, uint64_t offset, const void *data, size_t length) {
	struct header header = {kind, which_file, 0, (uint32_t)length, offset};
	struct iovec parts[2] = {{&header, sizeof header}, {(void *)data, length}};
	pthread_mutex_lock(&lock);
	if (writev(trace, parts, 2) != (ssize_t)(sizeof header + length)) abort();
	traced += sizeof header + length;
	pthread_mutex_unlock(&lock);
}

static uint64_t traced_by_now(void) {
	pthread_mutex_lock(&lock);
	uint64_t length = traced;
	pthread_mutex_unlock(&lock);
	return length;
}

static int opened(int descriptor, const char *path) {
	if (descriptor >= 0 && descriptor < DESCRIPTORS) file_of[descriptor] = which(path);
	return descriptor;
}

#define OPEN(name)                                                                                 \
	int name(const char *path, int flags, ...) {                                               \
		va_list rest;                                                                      \
		va_start(rest, flags);                                                             \
		mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;            \
		va_end(rest);                                                                      \
		return opened(REAL(name)(path, flags, mode), path);                                \
	}
#define OPEN_AT(name)                                                                              \
	int name(int directory, const char *path, int flags, ...) {                                \
		va_list rest;                                                                      \
		va_start(rest, flags);                                                             \
		mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;            \
		va_end(rest);                                                                      \
		return opened(REAL(name)(directory, path, flags, mode), path);                     \
	}
OPEN(open)
OPEN(open64)
OPEN_AT(openat)
OPEN_AT(openat64)

int close(int descriptor) {
	if (file(descriptor)) file_of[descriptor] = NONE;
	return REAL(close)(descriptor);
}

#define PWRITE(name)                                                                               \
	ssize_t name(int descriptor, const void *data, size_t length, off_t offset) {              \
		ssize_t done = REAL(name)(descriptor, data, length, offset);                       \
		int of = file(descriptor);                                                         \
		if (of && done > 0) put(WRITE, of, offset, data, done);                            \
		return done;                                                                       \
	}
PWRITE(pwrite)
PWRITE(pwrite64)

ssize_t write(int descriptor, const void *data, size_t length) {
	if (file(descriptor)) put(UNEXPECTED, file(descriptor), 0, NULL, 0);
	return REAL(write)(descriptor, data, length);
}

#define TRUNCATION(name)                                                                           \
	int name(int descriptor, off_t size) {                                                     \
		int result = REAL(name)(descriptor, size), of = file(descriptor);                  \
		if (of && result == 0) put(TRUNCATE, of, size, NULL, 0);                           \
		return result;                                                                     \
	}
TRUNCATION(ftruncate)
TRUNCATION(ftruncate64)

/* The server syncs the log on a descriptor that the runtime opened without libc. */
static int file_synced(int descriptor) {
	char link[64], path[4097];
	if (file(descriptor)) return file(descriptor);
	snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
	ssize_t length = readlink(link, path, sizeof path - 1);
	if (length < 0) return NONE;
	path[length] = 0;
	return which(path);
}

#define SYNCING(name)                                                                              \
	int name(int descriptor) {                                                                 \
		uint64_t before = traced_by_now();                                                 \
		int result = REAL(name)(descriptor), of = file_synced(descriptor);                 \
		if (of && result == 0) put(SYNC, of, before, NULL, 0);                             \
		return result;                                                                     \
	}
SYNCING(fsync)
SYNCING(fdatasync)

int unlink(const char *path) {
	int result = REAL(unlink)(path), of = which(path);
	/* SQLite takes an emptied log away with its last connection, and reads none as an empty one. */
	if (result == 0 && of) put(of == LOG ? TRUNCATE : UNEXPECTED, of, 0, NULL, 0);
	return result;
}

int rename(const char *from, const char *to) {
	int result = REAL(rename)(from, to), of = which(from) ? which(from) : which(to);
	if (result == 0 && of) put(UNEXPECTED, of, 0, NULL, 0);
	return result;
}
