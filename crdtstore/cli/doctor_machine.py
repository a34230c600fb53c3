"""What `crdtstore doctor` checks of the machine: versions, settings, descriptors, and the place where a store lies.

Rules: a check says what it found, and what to do where something is to be done. Nothing is changed and no store is
opened. What the system does not tell (another platform, no `/proc`) is said to be unknown, and is no problem.

Not here: the store itself (`doctor_store`).
"""

from __future__ import annotations

import difflib
import os
import platform
import resource
import shutil
import stat
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from crdtstore.errors import CallerError
from crdtstore.limits import CONNECTIONS_MAX, DESCRIPTORS_SPARE, DISK_FREE_BYTES_MIN, MAP_BYTES_DEFAULT, TRANSFERS_MAX
from crdtstore.settings import PREFIX, check, describe, read_file, split_lists, variable

OK, NOTICE, PROBLEM = "ok", "notice", "problem"

OTHER_VARIABLES: Final = frozenset({"CRDTSTORE_CONFIG", "CRDTSTORE_CORE", "CRDTSTORE_BUILD"})
"""Variables of this package that are no settings."""

MOUNTS: Final = Path("/proc/self/mountinfo")
NETWORK: Final = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "ceph", "glusterfs", "lustre", "afs"})
NETWORK_OVER_FUSE: Final = frozenset({"fuse.sshfs", "fuse.glusterfs", "fuse.s3fs", "fuse.rclone"})
MEMORY: Final = frozenset({"tmpfs", "ramfs"})
LAYERED: Final = frozenset({"overlay", "aufs"})


@dataclass(frozen=True, slots=True)
class Check:
    """What was checked, how it is (`ok`, `notice` or `problem`), what was found, and what to do."""

    name: str
    state: str
    found: str
    advice: str = ""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def check_versions() -> Iterator[Check]:
    """This package, Python, LMDB and the core."""
    import lmdb

    from crdtstore import core
    from crdtstore._version import __version__

    library = ".".join(map(str, lmdb.version()))
    found = f"crdtstore {__version__}, Python {platform.python_version()}, LMDB {library} (lmdb {lmdb.__version__})"
    yield Check("versions", OK, found)
    if core.CORE == "compiled" and core.lmdb_environment is not None:
        yield Check("core", OK, "compiled")
    elif core.CORE == "compiled":
        advice = "Install the wheel of lmdb for this platform: its library lends the compiled core its functions."
        yield Check("core", NOTICE, "compiled, but pages are read through the plain lmdb package", advice)
    elif os.environ.get("CRDTSTORE_CORE") == "plain":
        yield Check("core", NOTICE, "plain, since CRDTSTORE_CORE says so", "Unset it: the plain core is for tests.")
    else:
        advice = "Install a wheel, or build it: the plain core is far slower."
        yield Check("core", NOTICE, "plain, since the compiled core was not built", advice)


def check_settings(environment: Mapping[str, str], config: str | None) -> Iterator[Check]:
    """The variables and the configuration file: names that nobody reads, and values that are refused."""
    wrong = False
    for name in sorted(environment):
        if name.startswith(PREFIX) and name not in OTHER_VARIABLES:
            refused = refusal_of(name, environment[name])
            if refused is not None:
                wrong = True
                yield refused
    try:
        read_file(config)
    except (CallerError, OSError) as error:
        wrong = True
        message = error.message if isinstance(error, CallerError) else f"{error.filename}: {error.strerror}."
        yield Check("settings", PROBLEM, message, "Correct the configuration file: every command refuses it.")
    if not wrong:
        yield Check("settings", OK, "every variable and every line of the configuration file is known")


def refusal_of(name: str, value: str) -> Check | None:
    """What is wrong with a variable; None if nothing is."""
    known = {variable(setting): setting for setting in describe()}
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        meant = f"Did you mean {near[0]}? " if near else ""
        return Check("settings", NOTICE, f"nobody reads the variable {name}", f"{meant}Correct or unset it.")
    if not value:
        return None
    try:
        check(split_lists({known[name]: value}), variable)
    except CallerError as error:
        return Check("settings", PROBLEM, error.message, "Correct it: every command refuses it.")
    return None


def check_limits() -> Iterator[Check]:
    """What the system lets a process have: descriptors for connections, address space for the map."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CONNECTIONS_MAX + TRANSFERS_MAX + DESCRIPTORS_SPARE
    found = f"{soft:,} open files" if soft != resource.RLIM_INFINITY else "any number of open files"
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        yield Check("descriptors", OK, found)
    else:
        allowed = "any number" if hard == resource.RLIM_INFINITY else f"{hard:,}"
        advice = (
            f"A server may hold {CONNECTIONS_MAX:,} connections: set ulimit -n {wanted} (the system allows {allowed})."
        )
        yield Check("descriptors", PROBLEM if soft <= DESCRIPTORS_SPARE else NOTICE, found, advice)
    space = resource.getrlimit(resource.RLIMIT_AS)[0]
    if space != resource.RLIM_INFINITY and space < MAP_BYTES_DEFAULT:
        advice = f"A store maps {MAP_BYTES_DEFAULT:,} bytes of addresses, not of memory: set ulimit -v unlimited."
        yield Check("address space", PROBLEM, f"{space:,} bytes", advice)
    else:
        yield Check("address space", OK, "enough for the map")


# --- the place ---


def check_place(directory: Path) -> Iterator[Check]:
    """The directory's disk, file system, mode and owner."""
    yield check_disk(directory)
    yield check_file_system(*mount_of(directory))
    yield check_mode(directory)


def check_disk(directory: Path) -> Check:
    """Free space, against the size of the data."""
    free = shutil.disk_usage(directory).free
    data = directory / "data.mdb"
    size = data.stat().st_size if data.exists() else 0
    found = f"{free:,} bytes are free, the data file has {size:,}"
    if free < DISK_FREE_BYTES_MIN:
        return Check("disk", PROBLEM, found, "Free some space: writes are refused when the disk is full.")
    if free < size:
        return Check("disk", NOTICE, found, "Free some space: a copy of the store does not fit on this disk.")
    return Check("disk", OK, found)


def mount_of(directory: Path) -> tuple[str, frozenset[str]]:
    """The kind of file system in which a directory lies, and its mount options; empty where the system does not say."""
    if not MOUNTS.exists():
        return "", frozenset()
    best, found = -1, ("", frozenset[str]())
    for line in MOUNTS.read_text(encoding="utf-8", errors="replace").splitlines():
        before, _, behind = line.partition(" - ")
        point = before.split()[4].replace("\\040", " ")
        if directory.resolve().is_relative_to(point) and len(point) >= best:
            best, found = len(point), (behind.split()[0], frozenset(before.split()[5].split(",")))
    return found


def check_file_system(kind: str, options: frozenset[str]) -> Check:
    """Whether a file system keeps what it is given, and has the locks that LMDB needs."""
    if "ro" in options:
        advice = "Mount it for writing: a store there can only be read. Look for disk errors first."
        return Check("file system", PROBLEM, f"{kind}, mounted read-only", advice)
    if kind in NETWORK | NETWORK_OVER_FUSE:
        advice = "Move the store to a disk of this machine: LMDB's locks and maps do not work over a network."
        return Check("file system", PROBLEM, f"{kind}, over a network", advice)
    if kind in MEMORY:
        advice = "Move the store to a disk: here it is gone when the machine stops."
        return Check("file system", PROBLEM, f"{kind}, in memory", advice)
    if kind in LAYERED:
        advice = "In a container, put the store on a volume: this layer is gone with the container."
        return Check("file system", NOTICE, f"{kind}, a layer over others", advice)
    return Check("file system", OK, kind or "unknown to this system")


def check_mode(directory: Path) -> Check:
    """Who may read the store: keys and documents lie in it."""
    status = directory.stat()
    mode = stat.S_IMODE(status.st_mode)
    found = f"mode {mode:04o}, owner {status.st_uid}"
    if not os.access(directory, os.R_OK | os.W_OK | os.X_OK):
        return Check(
            "permissions", PROBLEM, f"{found}; this user may not write there", "Run as the owner, or chown it."
        )
    if mode & 0o077:
        return Check("permissions", NOTICE, f"{found}; others than the owner may enter it", f"chmod 700 {directory}")
    if status.st_uid != os.geteuid():
        return Check(
            "permissions", NOTICE, f"{found}; this is user {os.geteuid()}", "Run as the owner: new files are yours."
        )
    return Check("permissions", OK, found)
