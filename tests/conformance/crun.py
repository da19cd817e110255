"""crun's tests: Python over a small static program that is PID 1, which is compiled here. Each test is a case of its own."""
import pathlib
import re
import subprocess
import sys
import tempfile

from .suite import Suite, count_tap

STAND_INS = pathlib.Path(__file__).resolve().parent / "stand_ins"
LIST = "import sys, importlib; print('\\n'.join('=' + name for name in importlib.import_module(sys.argv[1]).all_tests))"


def find(folder):
    if (folder / "crun.1").is_file() and (folder / "tests/tests_utils.py").is_file():
        return Crun(folder)
    return None


class Crun(Suite):
    name = "crun"
    plain_v1 = True
    needs = ("cc",)

    def __init__(self, folder):
        self.folder = folder
        self.version = re.search(r"(\d[\d.]+)", (folder / "NEWS").read_text())[1]
        self.work = tempfile.TemporaryDirectory(prefix="conformance-crun-")
        pathlib.Path(self.work.name).chmod(0o755)
        (pathlib.Path(self.work.name) / "config.h").write_text(
            "#define HAVE_SECCOMP 1\n#define HAVE_ERROR_H 1\n#define HAVE_LINUX_IOPRIO_H 1\n")
        subprocess.run(["cc", "-static", "-w", "-D_GNU_SOURCE", "-I", self.work.name, folder / "tests/init.c",
                        "-o", f"{self.work.name}/init", "-lseccomp"], check=True)

    def environment(self):
        return {"INIT": f"{self.work.name}/init", "PYTHONPATH": f"{self.folder}/tests:{STAND_INS}", "PYTHONDONTWRITEBYTECODE": "1"}

    def cases(self):
        found = []
        for path in sorted(self.folder.glob("tests/test_*.py")):
            said = subprocess.run([sys.executable, "-c", LIST, path.stem], stdout=subprocess.PIPE, text=True,
                                  cwd=self.work.name, env={"PATH": "/usr/bin:/bin", **self.environment()}).stdout
            found += [f"{path.stem}/{line[1:]}" for line in said.splitlines() if line.startswith("=")]
        return found

    def command(self, case, program):
        module, test = case.split("/", 1)
        return ([sys.executable, self.folder / f"tests/{module}.py"],
                {**self.environment(), "OCI_RUNTIME": self.called("crun", program), "RUN_TESTS": test}, None)

    def judge(self, output, status):
        return count_tap(re.sub(r"^start(?=(not )?ok)", "", output, flags=re.M))  # one of its tests ends no line

    def close(self):
        self.work.cleanup()
