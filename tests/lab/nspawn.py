"""How systemd-nspawn is called, and what it leaves on this machine when it is killed."""

from pathlib import Path

CAPABILITIES = "CAP_NET_ADMIN,CAP_IPC_LOCK,CAP_SYSLOG"
# Its own cgroup2 tree for the host whatever this machine uses, and /proc/sys/net writable for sysctl and firewalls.
ENVIRONMENT = {"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1", "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "network"}
LOCKS = Path("/run/systemd/nspawn/locks")
PER_MACHINE = (Path("/run/systemd/nspawn/propagate"), Path("/run/systemd/nspawn/unix-export"))


def boot_command(root: Path, machine: str, hostname: str, namespace: Path) -> list[str]:
    """Boot the system in `root` as `machine`, without asking this machine's systemd for anything."""
    return [
        *("systemd-nspawn", "--quiet", f"--directory={root}", f"--machine={machine}", f"--hostname={hostname}"),
        *("--boot", "--register=no", "--keep-unit", f"--network-namespace-path={namespace}"),
        *(f"--capability={CAPABILITIES}", "--bind=/dev/net/tun", "--resolv-conf=off", "--timezone=off"),
        *("--link-journal=no", "--kill-signal=SIGRTMIN+3", "--console=pipe"),
    ]


def remove_lock(root: Path) -> None:
    """Remove the lock file of a system that was killed; nspawn names it after the root's device and inode."""
    status = root.stat()
    (LOCKS / f"inode-{status.st_dev}:{status.st_ino}").unlink(missing_ok=True)


def remove_leftovers(prefix: str) -> None:
    """Remove the folders of machines whose names begin with `prefix`."""
    for directory in PER_MACHINE:
        for path in directory.glob(f"{prefix}*"):
            path.rmdir()
