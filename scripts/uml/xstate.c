/*
 * Preloaded into user-mode Linux on processors whose extended state is larger than the kernel of the guest expects, such as those
 * with AMX (XTILE data: 8 KiB). Kernels before 6.13 save at most 2,696 octets of the state of a process. The host accepts the whole
 * area only, so PTRACE_SETREGSET of NT_X86_XSTATE fails with EFAULT. Here a short area is completed: the part that the guest
 * gives replaces the beginning of the present state, and components that lie outside of it return to their initial state.
 *
 * Build: cc -shared -fPIC -O2 -o xstate.so xstate.c
 */
#define _GNU_SOURCE
#include <cpuid.h>
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define XSTATE 0x202 /* NT_X86_XSTATE */
/* XSTATE_BV: the first 8 octets of the header, which follows the 512 octets of FXSAVE (Intel SDM volume 1, 13.4.2). */
#define XSTATE_BV 512
#define FIRST_EXTENDED 2
#define LAST_EXTENDED 62
#define LARGEST 65536

static long plain(long request, long process, void *address, void *data)
{
	return syscall(SYS_ptrace, request, process, address, data);
}

/* The components whose data lies within the first `length` octets of the area, as bits. */
static uint64_t within(size_t length)
{
	/* CPUID is slow in a virtual machine, and the guest always gives the same length. */
	static size_t known_length;
	static uint64_t known;
	uint64_t components = 3; /* x87 and SSE */

	if (length == known_length)
		return known;
	for (int i = FIRST_EXTENDED; i <= LAST_EXTENDED; i++) {
		unsigned int size = 0, offset = 0, c = 0, d = 0;
		if (!__get_cpuid_count(0xd, i, &size, &offset, &c, &d) || size == 0)
			continue;
		if ((size_t)offset + size <= length)
			components |= UINT64_C(1) << i;
	}
	known_length = length;
	known = components;
	return components;
}

static long set_xstate(long process, const struct iovec *given)
{
	static char area[LARGEST] __attribute__((aligned(64)));
	struct iovec whole = { area, sizeof area };
	uint64_t components;

	if (plain(PTRACE_GETREGSET, process, (void *)XSTATE, &whole) < 0)
		return -1;
	if (given->iov_len < XSTATE_BV + sizeof components || given->iov_len >= whole.iov_len)
		return plain(PTRACE_SETREGSET, process, (void *)XSTATE, (void *)given);
	memcpy(area, given->iov_base, given->iov_len);
	memcpy(&components, area + XSTATE_BV, sizeof components);
	components &= within(given->iov_len);
	memcpy(area + XSTATE_BV, &components, sizeof components);
	return plain(PTRACE_SETREGSET, process, (void *)XSTATE, &whole);
}

long ptrace(enum __ptrace_request request, ...)
{
	va_list arguments;
	va_start(arguments, request);
	long process = va_arg(arguments, int);
	void *address = va_arg(arguments, void *);
	void *data = va_arg(arguments, void *);
	va_end(arguments);

	/* The C library's function returns what these requests read. */
	if (request == PTRACE_PEEKTEXT || request == PTRACE_PEEKDATA || request == PTRACE_PEEKUSER) {
		long value = 0;
		if (plain(request, process, address, &value) < 0)
			return -1;
		errno = 0;
		return value;
	}
	if (request == PTRACE_SETREGSET && (long)address == XSTATE)
		return set_xstate(process, data);
	return plain(request, process, address, data);
}
