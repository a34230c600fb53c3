"""File systems of one's own: small ones that fill up, and ones whose power can be cut.

Rules: root only, and in a mount namespace of one's own (`command`): what is mounted there goes with the process, and
no other process can keep a file system alive that was shut down. `why_absent` says what is missing.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from unittest import SkipTest

SHUTDOWN: Final = 0x8004587D
"""FS_IOC_SHUTDOWN: the file system does nothing more, as if the machine had lost its power."""

NO_LOG_FLUSH: Final = 2
IMAGE_BYTES: Final = {"ext4": 64 * 2**20, "xfs": 320 * 2**20}
NAMESPACE: Final = ["unshare", "-m", "--propagation", "private"]


def need(*programs: str) -> None:
    """Leave a test out, with the reason, where it cannot run.

    Raises:
        SkipTest: This is not root, or a program is missing.
    """
    missing = [program for program in ("unshare", "mount", *programs) if shutil.which(program) is None]
    if os.geteuid():
        missing.append("root")
    if not missing and subprocess.run([*NAMESPACE, "true"], capture_output=True, check=False).returncode:
        missing.append("the right to mount")
    if missing:
        raise SkipTest(f"not there: {', '.join(missing)}")


def run(*command: object) -> str:
    """Run a program; returns what it printed."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"{command} failed: {done.stderr}")
    return done.stdout.strip()


def mount_memory(folder: Path, size: str) -> None:
    """Mount a file system in memory of so many bytes, as `mount` writes them."""
    folder.mkdir()
    run("mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder)


def remount(folder: Path, options: str) -> None:
    """Change what a file system was mounted with."""
    run("mount", "-o", f"remount,{options}", folder)


class Disk:
    """A file system on a loop device."""

    def __init__(self, device: str, folder: Path) -> None:
        self.device = device
        self.folder = folder

    def mount(self) -> None:
        """Mount it; its journal is replayed."""
        run("mount", self.device, self.folder)

    def unmount(self) -> None:
        """Unmount it."""
        run("umount", self.folder)

    def cut_power(self) -> None:
        """Let nothing more reach the device."""
        descriptor = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
        finally:
            os.close(descriptor)


@contextmanager
def new_disk(folder: Path, kind: str) -> Iterator[Disk]:
    """Make a file system in a file and mount it; unmounted, and its device freed, at the end.

    Raises:
        OSError: There is no free loop device, or the file system cannot be made.
    """
    image, mounted = folder / f"{kind}.img", folder / kind
    with image.open("wb") as file:
        file.truncate(IMAGE_BYTES[kind])
    mounted.mkdir()
    device = run("losetup", "--find", "--show", image)
    try:
        run(f"mkfs.{kind}", "-q", device)
        disk = Disk(device, mounted)
        disk.mount()
        try:
            yield disk
        finally:
            disk.unmount()
    finally:
        run("losetup", "--detach", device)
