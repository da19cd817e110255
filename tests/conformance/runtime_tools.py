"""opencontainers/runtime-tools: a program for each subject (make runtimetest validation-executables), whose lines are asserts in TAP."""
from .suite import Suite, count_tap


def find(folder):
    if (folder / "runtimetest").is_file() and (folder / "validation/util").is_dir():
        return RuntimeTools(folder)
    return None


class RuntimeTools(Suite):
    name = "runtime-tools"
    counts_asserts = True
    plain_v1 = True

    def __init__(self, folder):
        self.folder = folder
        self.version = (folder / "VERSION").read_text().strip()

    def cases(self):
        return sorted(path.parent.name for path in self.folder.glob("validation/*/*.t"))

    def command(self, case, program):
        return [f"validation/{case}/{case}.t"], {"RUNTIME": program}, self.folder

    def judge(self, output, status):
        result = count_tap(output)
        if status:
            result.verdict = "fail"
        elif not result.bad and not result.good:  # some assert nothing, and say an error only if there is one
            result.verdict = "fail" if '"error"' in output else "pass"
        return result
