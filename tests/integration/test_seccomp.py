"""T-SC05: the filter that the kernel has of a container, taken out of it and asked about every system call there is, natively, as i386 and as
x32, against Docker's own profile, which this file evaluates by itself."""
import contextlib
import ctypes
import itertools
import json
import os
import pathlib
import re
import struct

import pytest

PROFILE = pathlib.Path(__file__).resolve().parents[3] / "shared/specs/docker-defaults/seccomp-default.head.json"
HEADERS = pathlib.Path("/usr/include/x86_64-linux-gnu/asm")
PTRACE_SEIZE, PTRACE_INTERRUPT, PTRACE_DETACH, PTRACE_SECCOMP_GET_FILTER = 0x4206, 0x4207, 17, 0x420c
ALLOW, ERRNO, KILL_PROCESS, KILL_THREAD = 0x7fff0000, 0x50000, 0x80000000, 0
ARCHES = {"x86_64": (0xc000003e, "unistd_64.h", 0), "i386": (0x40000003, "unistd_32.h", 0), "x32": (0xc000003e, "unistd_x32.h", 0x40000000)}
WORD = 2**32 - 1  # what the kernel looks at of i386's and x32's arguments, and of a family's number
# On i386 these are ways into other calls, and libseccomp filters what can be told apart behind them.
MULTIPLEXED = {"socketcall", "ipc", "socket"}
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long

pytestmark = [pytest.mark.skipif(not PROFILE.exists() or not HEADERS.exists(), reason="no profile to compare with, or another machine"),
              pytest.mark.slow]


def filters_of(pid):
    """The BPF programs of a process, the newest first."""
    def ptrace(request, address, data):
        done = libc.ptrace(request, pid, address, data)
        if done < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        return done
    ptrace(PTRACE_SEIZE, None, None)
    try:
        ptrace(PTRACE_INTERRUPT, None, None)
        os.waitpid(pid, 0x40000000)  # __WALL
        found = []
        with contextlib.suppress(FileNotFoundError):
            for index in itertools.count():
                buffer = ctypes.create_string_buffer(8 * ptrace(PTRACE_SECCOMP_GET_FILTER, index, None))
                ptrace(PTRACE_SECCOMP_GET_FILTER, index, ctypes.addressof(buffer))
                found.append([struct.unpack_from("HBBI", buffer, at) for at in range(0, len(buffer), 8)])
        return found
    finally:
        ptrace(PTRACE_DETACH, None, None)


def ask(program, arch, number, arguments):
    """What the filter returns, by the rules of classic BPF; only what filters are made of."""
    data = struct.pack("=IIQ6Q", number, arch, 0, *arguments)
    at = value = 0
    while True:
        code, if_true, if_false, k = program[at]
        at += 1
        kind = code & 7
        if kind == 0:  # BPF_LD, a word of the data
            value = struct.unpack_from("=I", data, k)[0]
        elif kind == 6:  # BPF_RET
            return k
        elif code == 0x05:  # BPF_JA
            at += k
        elif kind == 5:  # BPF_JMP: equal, greater, greater or equal, a bit set
            is_true = {0x10: value == k, 0x20: value > k, 0x30: value >= k, 0x40: value & k != 0}[code & 0xf0]
            at += if_true if is_true else if_false
        elif code == 0x54:  # BPF_ALU | BPF_AND
            value &= k
        else:
            raise ValueError(hex(code))


def numbers(header, bit):
    text = (HEADERS / header).read_text()
    found = re.findall(r"#define __NR_(\w+) (?:\(__X32_SYSCALL_BIT \+ )?(\d+)", text)
    return {name: int(number) + bit for name, number in found}


def applies(rule, capabilities):
    includes, excludes = rule.get("includes", {}), rule.get("excludes", {})
    return (all(cap in capabilities for cap in includes.get("caps", [])) and ("arches" not in includes or "amd64" in includes["arches"])
            and not any(cap in capabilities for cap in excludes.get("caps", [])) and "amd64" not in excludes.get("arches", []))


def matches(argument, arguments):
    value, wanted = arguments[argument["index"]], argument["value"]
    return {"SCMP_CMP_NE": value != wanted, "SCMP_CMP_LT": value < wanted, "SCMP_CMP_LE": value <= wanted, "SCMP_CMP_EQ": value == wanted,
            "SCMP_CMP_GE": value >= wanted, "SCMP_CMP_GT": value > wanted,
            "SCMP_CMP_MASKED_EQ": value & wanted == argument.get("valueTwo", 0)}[argument["op"]]


def expected(rules, arguments):
    for rule in rules:
        if all(matches(argument, arguments) for argument in rule.get("args", [])):
            return ALLOW if rule["action"] == "SCMP_ACT_ALLOW" else ERRNO | rule["errnoRet"]
    return ERRNO | 1


def samples(rules):
    """Argument lists around what the rules look at."""
    values = [{0, 2**32 - 1, 2**64 - 1} for _ in range(6)]
    for argument in itertools.chain.from_iterable(rule.get("args", []) for rule in rules):
        value = argument["value"]
        values[argument["index"]] |= {value, max(value - 1, 0), value + 1, value & -value, value | 2**32}
    looked_at = {argument["index"] for rule in rules for argument in rule.get("args", [])}
    chosen = [sorted(values[index]) if index in looked_at else [0] for index in range(6)]
    return [*itertools.product(*chosen), (2**64 - 1,) * 6]


@pytest.mark.parametrize("options, capabilities", [
    ([], {"CAP_SYS_CHROOT"}), (["--cap-add", "SYS_ADMIN", "--cap-add", "SYS_TIME"], {"CAP_SYS_CHROOT", "CAP_SYS_ADMIN", "CAP_SYS_TIME"}),
    (["--cap-drop", "ALL"], set())], ids=["default", "added", "dropped"])
def test_sc05_what_the_kernel_has_is_dockers_profile(engine, options, capabilities):
    engine.tare("run", "-d", "--name", "filtered", "--network", "none", *options, "busybox", "sleep", "1000")
    try:
        filters = filters_of(engine.api("GET", "/containers/filtered/json")[1]["State"]["Pid"])
    finally:
        engine.tare("rm", "-f", "filtered")
    assert len(filters) == 1
    rules = [rule for rule in json.loads(PROFILE.read_text())["syscalls"] if applies(rule, capabilities)]
    asked, wrong = 0, []
    for arch, (token, header, bit) in ARCHES.items():
        known = numbers(header, bit)
        assert len(known) > 300
        for name, number in known.items():
            of_name = [rule for rule in rules if name in rule["names"]]
            for given in samples(of_name) if arch != "i386" or name not in MULTIPLEXED else []:
                arguments = tuple(value & WORD for value in given) if arch != "x86_64" or name == "socket" else given
                if name == "socket" and arguments[0] >= 64:
                    continue  # no family: refused here already
                answer, asked = ask(filters[0], token, number, arguments if arch != "x86_64" else given), asked + 1
                if answer != expected(of_name, arguments):
                    wrong.append((arch, name, arguments, hex(answer), hex(expected(of_name, arguments))))
        # The headers may be older than the profile: calls of later kernels are left out.
        wrong += [(arch, number) for number in range(bit + 600, bit + 1200) if ask(filters[0], token, number, (0,) * 6) == ALLOW]
    foreign = [arch for arch in (0xc00000b7, 0x28, 0x16, 0) if ask(filters[0], arch, 0, (0,) * 6) in (ALLOW, ERRNO)]
    assert not wrong and not foreign and asked > 1000, (len(wrong), wrong[:20], foreign)


def test_sc05_what_a_program_meets(engine):
    script = "for try in 'unshare -U true' 'unshare -m true' 'mount -t tmpfs x /tmp'; do $try 2>&1 && echo done; done"
    done = engine.tare("run", "--rm", "--network", "none", "busybox", "sh", "-c", script, check=False)
    assert len(re.findall("Operation not permitted|permission denied", done.stdout)) == 3 and "done" not in done.stdout, done


def test_sc12_keyrings_are_each_containers_own(engine):
    look = "cat /proc/keys; cat /proc/key-users"
    outside = pathlib.Path("/proc/keys").read_text()
    inside = engine.tare("run", "--rm", "--network", "none", "busybox", "sh", "-c", look, check=False)
    names = {line.split()[0] for line in outside.splitlines() if "_ses" in line or "_uid" in line}
    assert not any(line.split()[0] in names for line in inside.stdout.splitlines() if line.strip()), (inside.stdout, outside)
