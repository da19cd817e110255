#!/usr/bin/env python3
"""Fails on an #include that the layer drawing of docs/architecture.md does not have, and on headers that include each other in
a cycle."""
import pathlib
import re
import sys

# folder -> what it may include besides itself
DRAWING = {
    "base": [],
    "sys": ["base"],
    "codec": ["base"],
    "archive": ["base", "sys", "codec"],
    "spec": ["base", "sys", "codec"],
    "holder": ["base", "sys", "spec"],
    "runtime": ["base", "sys", "codec", "spec"],
    "store": ["base", "sys", "codec", "spec"],
    "network": ["base", "sys", "codec", "spec"],
    "doctor": ["base", "sys", "codec", "spec", "network"],
    "registry": ["base", "sys", "codec", "spec"],
    "monitor": ["base", "sys", "codec", "spec", "runtime", "network"],
    "worker": ["base", "sys", "codec", "archive", "spec", "runtime", "store", "registry"],
    "build": ["base", "sys", "codec", "spec", "store", "runtime", "registry"],
    "engine": ["base", "sys", "codec", "spec", "store", "network"],
    "api": ["base", "sys", "codec", "spec", "store", "doctor", "engine"],
    "cli": ["base", "sys", "codec", "archive", "spec", "doctor"],
    "library": ["base", "sys", "codec", "spec"],
    "musl": [],
    "main": ["base", "sys", "codec", "spec", "holder", "runtime", "store", "network", "monitor", "worker", "engine", "api", "cli"],
}

INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)


def find_cycle(includes):
    """A list of headers that lead back to the first, or None. `includes`: header -> headers it includes."""
    done = set()

    def walk(header, path):
        if header in path:
            return path[path.index(header):] + [header]
        if header in done:
            return None
        for target in includes.get(header, []):
            cycle = walk(target, path + [header])
            if cycle:
                return cycle
        done.add(header)
        return None
    for header in includes:
        cycle = walk(header, [])
        if cycle:
            return cycle
    return None


def main():
    source = pathlib.Path(__file__).resolve().parent.parent / "src"
    faults = []
    headers = {}
    for path in sorted(source.rglob("*.[ch]")):
        folder = path.relative_to(source).parts[0]
        if folder not in DRAWING:
            faults.append(f"{path}: folder {folder}/ is not in the drawing")
            continue
        text = path.read_text()
        if path.suffix == ".h":
            headers[str(path.relative_to(source))] = INCLUDE.findall(text)
        for include in INCLUDE.findall(text):
            target = include.split("/")[0]
            if "/" not in include:
                faults.append(f"{path}: include {include} by its folder")
            elif target != folder and target not in DRAWING[folder]:
                faults.append(f"{path}: {folder} may not include {include}")
        if path.suffix == ".h" and "#pragma once" not in text:
            faults.append(f"{path}: no #pragma once")
    cycle = find_cycle(headers)
    if cycle:
        faults.append("headers in a cycle: " + " -> ".join(cycle))
    for fault in faults:
        print(fault, file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
