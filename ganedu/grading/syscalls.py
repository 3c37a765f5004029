"""The system calls that a sandbox refuses, as a seccomp filter: what namespaces leave open.

None is needed by Python, torch or matplotlib. Refused are new namespaces (a submission would be root in its
own), memory that belongs to no process and so escapes a count (memfd, System V), keyrings, tracing, eBPF,
io_uring, mounting, and sockets of kinds that a network namespace does not separate (vsock reaches a host).
"""

from __future__ import annotations

import errno
import platform
import struct

# By machine: the audit number of its architecture, and the numbers of its calls (asm/unistd.h).
X86_64 = 0xC000003E, {
    "ptrace": 101, "process_vm_readv": 310, "process_vm_writev": 311, "kcmp": 312,
    "add_key": 248, "request_key": 249, "keyctl": 250,
    "unshare": 272, "setns": 308, "mount": 165, "umount2": 166, "pivot_root": 155, "chroot": 161,
    "open_by_handle_at": 304,
    "shmget": 29, "semget": 64, "msgget": 68, "mq_open": 240, "memfd_create": 319,
    "bpf": 321, "userfaultfd": 323, "perf_event_open": 298, "syslog": 103,
    "clone": 56, "socket": 41,
}  # fmt: skip
AARCH64 = 0xC00000B7, {
    "ptrace": 117, "process_vm_readv": 270, "process_vm_writev": 271, "kcmp": 272,
    "add_key": 217, "request_key": 218, "keyctl": 219,
    "unshare": 97, "setns": 268, "mount": 40, "umount2": 39, "pivot_root": 41, "chroot": 51,
    "open_by_handle_at": 265,
    "shmget": 194, "semget": 190, "msgget": 186, "mq_open": 180, "memfd_create": 279,
    "bpf": 280, "userfaultfd": 282, "perf_event_open": 241, "syslog": 116,
    "clone": 220, "socket": 198,
}  # fmt: skip
BOTH = {
    "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427,
    "open_tree": 428, "move_mount": 429, "fsopen": 430, "fsconfig": 431, "fsmount": 432, "fspick": 433,
    "mount_setattr": 442, "memfd_secret": 447, "clone3": 435,
}  # fmt: skip
MACHINES = {"x86_64": X86_64, "aarch64": AARCH64}
JUDGED = ("clone", "clone3", "socket")  # refused for some arguments, or with an error of their own

NEW_NAMESPACES = 0x7E020000  # every CLONE_NEW* flag
FAMILIES = (1, 2, 10, 16)  # AF_UNIX, AF_INET, AF_INET6, AF_NETLINK: what a network namespace separates
X32 = 0x40000000  # a second table of calls on x86_64

LOAD, EQUAL, ANY_BIT, AT_LEAST, RETURN = 0x20, 0x15, 0x45, 0x35, 0x06
NUMBER, ARCHITECTURE, FIRST_ARGUMENT = 0, 4, 16  # offsets in the kernel's struct seccomp_data
ALLOW, KILL, REFUSE = 0x7FFF0000, 0x80000000, 0x00050000


def seccomp_filter(machine: str | None = None) -> bytes | None:
    """The filter for `machine` (by default this one) as bubblewrap takes it; None for one we do not know."""
    if (machine or platform.machine()) not in MACHINES:
        return None
    architecture, calls = MACHINES[machine or platform.machine()]
    calls = calls | BOTH
    refuse = REFUSE | errno.EPERM
    lines = [_line(LOAD, ARCHITECTURE), _line(EQUAL, architecture, 1, 0), _line(RETURN, KILL)]
    lines += [_line(LOAD, NUMBER), _line(AT_LEAST, X32, 0, 1), _line(RETURN, refuse)]
    for name, number in calls.items():
        if name not in JUDGED:
            lines += [_line(EQUAL, number, 0, 1), _line(RETURN, refuse)]
    # Its flags lie in memory, where a filter cannot look; the C library falls back on clone.
    lines += [_line(EQUAL, calls["clone3"], 0, 1), _line(RETURN, REFUSE | errno.ENOSYS)]
    lines += [_line(EQUAL, calls["clone"], 0, 4), _line(LOAD, FIRST_ARGUMENT)]
    lines += [_line(ANY_BIT, NEW_NAMESPACES, 0, 1), _line(RETURN, refuse), _line(RETURN, ALLOW)]
    lines += [_line(EQUAL, calls["socket"], 0, len(FAMILIES) + 2), _line(LOAD, FIRST_ARGUMENT)]
    lines += [_line(EQUAL, family, len(FAMILIES) - i, 0) for i, family in enumerate(FAMILIES)]
    lines += [_line(RETURN, REFUSE | errno.EAFNOSUPPORT), _line(RETURN, ALLOW)]
    return b"".join(lines)


def _line(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    """One instruction of classic BPF; the jumps count the instructions to leave out."""
    return struct.pack("=HBBI", code, if_true, if_false, value)
