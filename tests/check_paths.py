#!/usr/bin/env python3
"""A path is resolved by the kernel only where this table says so, and why: no string that leads through a container's tree is given
to a system call anywhere else (security.md, I1; what is in such a tree is opened by sys/inroot). Calls whose path is a literal of
ours, and those on an open descriptor alone, are free. An entry that nothing needs any more is a fault too."""
import pathlib
import re
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parent.parent

# Each call and which of its arguments are paths.
BY_PATH = {name: (0,) for name in """open fopen freopen creat opendir scandir stat lstat access mkdir rmdir unlink remove realpath chmod chown lchown
    mknod mkfifo truncate umount umount2 chdir chroot statfs statvfs readlink getxattr lgetxattr setxattr lsetxattr listxattr llistxattr
    removexattr lremovexattr mkstemp mkdtemp mkostemp dlopen""".split()}
BY_PATH |= {"rename": (0, 1), "link": (0, 1), "symlink": (1,), "mount": (0, 1), "pivot_root": (0, 1), "inotify_add_watch": (1,)}
BELOW = {name: (1,) for name in """openat openat2 open_tree fstatat statx faccessat mkdirat unlinkat fchmodat fchownat mknodat mkfifoat readlinkat utimensat
    name_to_handle_at""".split()}
BELOW |= {"renameat": (1, 3), "renameat2": (1, 3), "linkat": (1, 3), "symlinkat": (2,), "move_mount": (1, 3)}
CALLS = BY_PATH | BELOW
CALL = re.compile(r"(?<![\w.>\"])(" + "|".join(sorted(CALLS, key=len, reverse=True)) + r")\(")

# Whole folders, by the calls that resolve a path from nowhere (BY_PATH) and those below an open folder (BELOW).
FOLDERS = {
    "cli": (BY_PATH | BELOW, "the user's own files, with the user's own rights"),
    "base": (BELOW, "small files of ours, below a folder that the caller has opened"),
    "engine": (BELOW, "entries of the data and run roots, named by IDs; a container's tree is never open here"),
    "holder": (BELOW, "entries of the run root, named by IDs"),
    "store": (BELOW, "entries of the store, named by digests and random numbers; what is inside of a layer is nobody's here"),
    "sys": (BELOW, "inroot is here; the others are given folders of ours"),
    "archive": (BELOW, "in a child that is shut into the one folder; names are taken apart and never followed (extract.c, pack.c)"),
    "musl": (BELOW, "the system calls themselves"),
    "worker": (BELOW, "in folders of a job, and in a child that is shut into the container's root"),
}

FILES = {
    "base/io.c": ("open", "/proc/self/fd/N of a descriptor that is held"),
    "engine/engine.c": ("open", "the roots, as the administrator gave them"),
    "engine/info.c": ("fopen", "procfs of the host"),
    "engine/settings.c": ("open", "the administrator's daemon.json"),
    "holder/cleanup.c": ("access", "the run root, as the administrator gave it"),
    "holder/folders.c": ("mkdir open unlink", "the roots, as the administrator gave them"),
    "holder/holder.c": ("unlink", "the sockets, as the administrator gave them"),
    "holder/programs.c": ("open", "our own programs"),
    "monitor/foreign.c": ("open", "the container's folder of the data root, which is not in its tree"),
    "monitor/hostproc.c": ("open", "procfs of the host, by number"),
    "monitor/logs.c": ("mkdir open", "the container's folder of the data root, which is not in its tree"),
    "monitor/logset.c": ("faccessat linkat openat renameat unlinkat", "the log's files, in that folder"),
    "monitor/monitor.c": ("open", "the container's folder of the run root"),
    "monitor/prepare_devices.c": ("open openat fstatat stat", "--device: a path of the host that the user named"),
    "monitor/names_files.c": ("fchmodat open openat", "hosts, hostname and resolv.conf, in the container's folder of the data root"),
    "monitor/prepare_files.c": ("faccessat openat", "the same files, of another container"),
    "monitor/resolve.c": ("mkdir open", "a network's folder of the run root, by its ID"),
    "monitor/prepare_joins.c": ("open", "the run folder of another container, by its ID"),
    "monitor/prepare_programs.c": ("mkdir open", "our own programs and compiled filters"),
    "monitor/prepare_sources.c": ("mkdir open openat stat", "-v: a path of the host that the user named, whose links count; a volume; a layer"),
    "library/config.c": ("realpath", "the root and the sources of binds, as the program that embeds us names them"),
    "network/cni.c": ("open", "the administrator's list of plugins; a container's folder of the data root, by its ID"),
    "network/cni_plugin.c": ("access", "plugins, in the administrator's folders"),
    "network/resolv_conf.c": ("open", "the host's resolv.conf, one of two paths"),
    "network/sysctls.c": ("open", "/proc/sys/net of the host's procfs"),
    "registry/session.c": ("open", "the administrator's certificates"),
    "runtime/child.c": ("chdir openat", "PID/ns/NAME of a procfs that sys/procfs opened; the working folder, as the container's user and in its root; getcwd afterwards (I7)"),
    "runtime/child_cgroup.c": ("mkdirat symlinkat", "names of hierarchies in a tmpfs that was just made"),
    "runtime/child_devices.c": ("mknodat openat symlinkat unlinkat", "single names below a /dev that inroot opened, with O_NOFOLLOW"),
    "runtime/child_mounts.c": ("open", "the root's own place on the host, as the document has it"),
    "runtime/command_bundle.c": ("mkdir open openat realpath", "the bundle and its config.json, as the caller named it"),
    "runtime/command_criu.c": ("fstatat mkdir openat open readlink realpath stat unlinkat", "/proc/self/fd/N of a descriptor that is held; bundle, image and work folders and namespaces, as the caller named them; the root of a process by its number"),
    "runtime/command_control.c": ("open", "resources.json, as the caller named it"),
    "runtime/command_exec.c": ("open", "process.json, as the caller named it"),
    "runtime/command_main.c": ("chmod mkdir open", "the log, as the caller named it; the state folder in XDG_RUNTIME_DIR"),
    "monitor/port_owner.c": ("openat", "the folders of the run root beside our own, named by IDs, and files of ours in them"),
    "doctor/folders.c": ("open faccessat", "the roots, as the administrator gave them, and databases in them"),
    "doctor/ports.c": ("open openat", "the run root, and in it what IDs name"),
    "doctor/rules.c": ("fopen", "procfs of the host"),
    "runtime/command_show.c": ("chdir", "the bundle for `spec`"),
    "runtime/command_state.c": ("mkdir mkdirat open openat opendir unlinkat", "the runtime's state folder, by checked IDs"),
    "runtime/container.c": ("openat access fstatat", "ns/NAME below a /proc/PID that sys/procfs opened; a folder of a cgroup hierarchy, where there are no links"),
    "runtime/lookup.c": ("faccessat stat", "the command, as the container's user and in its root: what execve will do"),
    "runtime/overlay.c": ("mount open readlink", "the layers' folder, of the store"),
    "runtime/plan_devices.c": ("fchmodat fchownat mknodat", "numbers in a tmpfs that was just made"),
    "runtime/plan_late.c": ("open", "sources of binds, as the document names them, with an ordinary user's rights"),
    "runtime/plan_mounts.c": ("openat readlinkat", "sources of binds that are symlinks, as the document names them"),
    "runtime/resources_devices.c": ("open", "a group of ours"),
    "runtime/rdt.c": ("access mkdir open rmdir", "resctrl, where the kernel says that it is mounted, by checked names: there are no links"),
    "runtime/rootfs.c": ("fstatat mkdir open", "the container's folder of the data root, and the layers' of the store"),
    "runtime/seccomp_cache.c": ("openat", "compiled filters, named by their digest"),
    "spec/defaults.c": ("access", "what of procfs the host's kernel has"),
    "store/db.c": ("open", "the log of a database"),
    "store/store.c": ("readlink", "/proc/self/fd/N of a descriptor that is held"),
    "runtime/scope.c": ("access", "a folder of a cgroup hierarchy, where there are no links"),
    "sys/cgroup.c": ("mkdir open rmdir", "groups, in the host's cgroup mounts"),
    "sys/cgroup_host.c": ("access open", "procfs of the host; folders of groups that are not made yet"),
    "sys/cgroup_v2.c": ("inotify_add_watch", "a group of ours"),
    "sys/mounts.c": ("mount umount2", "where this mount namespace, a copy of the host's, has its procfs and sysfs, as the kernel lists them"),
    "sys/namespaces.c": ("open", "a namespace that the caller of the runtime named; its kind is looked at"),
    "sys/sockets.c": ("open", "the folder of a socket that the administrator named"),
    "sys/spawn.c": ("chdir", "the folder of a program of the host's, a hook's bundle, as whoever starts it names it"),
    "worker/stage.c": ("open", "a volume's folder, or what its options name of the host; what lies in it, inroot finds"),
    "worker/worker.c": ("open", "the data root, as the holder gave it"),
}


def arguments(text, start):
    """The arguments of the call whose parenthesis opens before `start`."""
    depth, found, current, quoted = 1, [], "", False
    for at in range(start, len(text)):
        c = text[at]
        if c == '"' and text[at - 1] != "\\":
            quoted = not quoted
        if not quoted:
            depth += (c in "([{") - (c in ")]}")
            if depth == 0:
                return found + [current.strip()]
            if c == "," and depth == 1:
                found.append(current.strip())
                current = ""
                continue
        current += c
    return found


def literals(text):
    """Names in this file that stand for one text."""
    return set(re.findall(r"(?:static )?const char \*?(?:const )?(\w+)(?:\[\])? = \"", text)) | set(re.findall(r"#define (\w+)\s+\"", text))


def is_free(argument, constants):
    return argument.startswith('"') or argument in constants or argument == "NULL"


def found_in(path):
    text = re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.S)
    headers = [path.parent.parent / name for name in re.findall(r'#include "([^"]+)"', text)]
    constants = literals(text)
    for header in headers:
        if header.exists():
            constants |= literals(header.read_text())
    calls = set()
    for match in CALL.finditer(text):
        given = arguments(text, match.end())
        if not all(is_free(given[index], constants) for index in CALLS[match[1]] if index < len(given)):
            calls.add(match[1])
    return calls


def main():
    faults, needed = [], set()
    for name in subprocess.check_output(["git", "ls-files", "src/*.c"], cwd=TOP, text=True).split():
        file = name.removeprefix("src/")
        calls = found_in(TOP / name) - set(FOLDERS.get(file.split("/")[0], ({},))[0])
        listed = set(FILES.get(file, ("",))[0].split())
        faults += [f"{name}: {call} resolves a path here: open it by sys/inroot, or say in tests/check_paths.py why not" for call in sorted(calls - listed)]
        needed |= {(file, call) for call in calls & listed}
    faults += [f"tests/check_paths.py: {file} does not need {call}" for file, (calls, _) in FILES.items() for call in calls.split()
               if (file, call) not in needed]
    print("\n".join(faults), end="\n" if faults else "")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
