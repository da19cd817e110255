#!/usr/bin/env python3
"""embed.py IN.json OUT.h NAME: a JSON file, without its white space, as a C array."""
import json
import sys

source, target, name = sys.argv[1:]
text = json.dumps(json.load(open(source)), separators=(",", ":")).encode()
rows = [", ".join(str(byte) for byte in text[at:at + 24]) for at in range(0, len(text), 24)]
with open(target, "w") as out:
    out.write("/* Made from %s by embed.py. */\n#pragma once\n\n" % source.rsplit("/", 1)[-1])
    out.write("static const unsigned char %s[] = {\n\t%s\n};\n" % (name, ",\n\t".join(rows)))
