/*
 * Sets a part of the extended state of a process, as user-mode Linux does. Prints the size of the whole state, whether the part was
 * accepted, and an octet of register XMM0 before and after. Argument: the length of the part in octets.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define XSTATE (void *)0x202
#define XMM0 160
#define XSTATE_BV 512

static unsigned char state[65536], after[65536];

int main(int count, char **arguments)
{
	size_t length = count > 1 ? strtoul(arguments[1], NULL, 10) : 0;
	pid_t child = fork();
	if (child == 0) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		_exit(0);
	}
	waitpid(child, NULL, 0);
	struct iovec whole = { state, sizeof state };
	ptrace(PTRACE_GETREGSET, child, XSTATE, &whole);
	unsigned char other = state[XMM0] ^ 0x5a;
	state[XMM0] = other;
	state[XSTATE_BV] |= 2;
	struct iovec part = { state, length };
	int accepted = ptrace(PTRACE_SETREGSET, child, XSTATE, &part) == 0;
	struct iovec read = { after, sizeof after };
	ptrace(PTRACE_GETREGSET, child, XSTATE, &read);
	printf("%zu %s %s\n", whole.iov_len, accepted ? "accepted" : "refused", after[XMM0] == other ? "set" : "unset");
	kill(child, SIGKILL);
	return 0;
}
