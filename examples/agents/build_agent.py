"""Compiles C programs and runs them: most work, some do not compile, some crash."""

import pathlib

from ledger import Ledger, rounds

SOURCE = pathlib.Path("/workspace/program.c")
PROGRAM = pathlib.Path("/workspace/program")

SUM = """#include <stdio.h>
int main(void) {{
    unsigned long sum = 0;
    for (unsigned long i = 0; i < {size}000000UL; i++) sum += i ^ (sum >> 3);
    printf("%lu\\n", sum);
    return {code};
}}
"""
BROKEN = "int main(void) { return missing; }\n"
CRASH = "int main(void) { volatile int *nowhere = 0; return *nowhere; }\n"


def main():
    """All rounds, then idle."""
    ledger = Ledger()
    for number in range(rounds()):
        kind = number % 4
        SOURCE.write_text({1: BROKEN, 2: CRASH}.get(kind, SUM.format(size=number + 1, code=3 if kind == 3 else 0)))
        if ledger.run("compile", "tcc", "-o", str(PROGRAM), str(SOURCE)) == 0:
            ledger.run("run", str(PROGRAM))
    ledger.settle()


main()
