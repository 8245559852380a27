"""The calls to the kernel that a confined program may not make, as a seccomp filter.

A list of what is denied, not of what is allowed: numpy, scipy and the C library make other calls in each version. What
no numerical program has a use for kills the process, so that an attempt shows; what libraries try and can do without is
refused. The filter is the outermost of several layers and is meant to keep the kernel's rarely used parts out of reach.
"""

from __future__ import annotations

import errno
import os
import tempfile

from superalign.contracts.errors import SandboxError

KILLED = (
    # other processes, and the debugger's view of them
    "ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "kcmp", "pidfd_getfd", "pidfd_open",
    "pidfd_send_signal",
    # mounts and namespaces
    "mount", "umount2", "pivot_root", "chroot", "move_mount", "open_tree", "fsopen", "fsconfig", "fsmount", "fspick",
    "mount_setattr", "setns", "unshare", "name_to_handle_at", "open_by_handle_at", "fanotify_init", "quotactl",
    # the kernel itself
    "bpf", "perf_event_open", "userfaultfd", "kexec_load", "kexec_file_load", "init_module", "finit_module",
    "delete_module", "reboot", "swapon", "swapoff", "syslog", "acct", "iopl", "ioperm", "modify_ldt", "lookup_dcookie",
    # keys, clocks and names of the machine
    "add_key", "request_key", "keyctl", "settimeofday", "clock_settime", "clock_adjtime", "adjtimex", "sethostname",
    "setdomainname",
    # another user
    "setuid", "setgid", "setreuid", "setregid", "setresuid", "setresgid", "setgroups", "capset",
)  # fmt: skip

REFUSED = (
    # any socket at all, pairs included
    "socket", "socketpair", "connect", "bind", "listen", "accept", "accept4",
    # calls that reach the kernel by another way round this filter
    "io_uring_setup", "io_uring_enter", "io_uring_register",
    # a second process: limits hold for one
    "fork", "vfork",
    # memory that outlives or hides a program, messages between processes, devices
    "memfd_create", "memfd_secret", "personality", "shmget", "shmat", "msgget", "semget", "mq_open", "mknod", "mknodat",
)  # fmt: skip

_CLONE_THREAD = 0x00010000
_CLONE_NEW = 0x7E020080  # every CLONE_NEW flag: mount, cgroup, uts, ipc, user, pid, net, time
_TIOCSTI = 0x5412  # types into the terminal that the user sits at


def filter_file() -> int:
    """An open file with the filter's program, for bubblewrap to read. The caller closes it.

    SandboxError when libseccomp is missing.
    """
    try:
        import pyseccomp as seccomp
    except (ImportError, OSError, RuntimeError) as problem:
        raise SandboxError(
            "The sandbox needs pyseccomp and libseccomp, and they can't be loaded.",
            where=str(problem),
            fix="pip install 'superalign[research]'; on Debian also: apt-get install libseccomp2",
        ) from None
    rules = seccomp.SyscallFilter(defaction=seccomp.ALLOW)
    refuse = seccomp.ERRNO(errno.EPERM)
    for name in KILLED:
        _add(rules, seccomp.KILL_PROCESS, name)
    for name in REFUSED:
        _add(rules, refuse, name)
    # clone makes threads and nothing else. Its flags can't be seen in clone3, and the C library falls back from it.
    rules.add_rule(refuse, "clone", seccomp.Arg(0, seccomp.MASKED_EQ, _CLONE_THREAD, 0))
    for flag in (1 << bit for bit in range(32) if _CLONE_NEW >> bit & 1):
        rules.add_rule(refuse, "clone", seccomp.Arg(0, seccomp.MASKED_EQ, flag, flag))
    _add(rules, seccomp.ERRNO(errno.ENOSYS), "clone3")
    rules.add_rule(refuse, "ioctl", seccomp.Arg(1, seccomp.MASKED_EQ, 0xFFFFFFFF, _TIOCSTI))
    with tempfile.TemporaryFile() as file:
        rules.export_bpf(file)
        file.flush()
        os.lseek(file.fileno(), 0, os.SEEK_SET)
        return os.dup(file.fileno())


def _add(rules: object, action: object, name: str) -> None:
    """A call that this libseccomp or this processor does not know can't be made through either."""
    import pyseccomp as seccomp

    if seccomp.resolve_syscall(seccomp.Arch.NATIVE, name) >= 0:
        rules.add_rule(action, name)  # type: ignore[attr-defined]
