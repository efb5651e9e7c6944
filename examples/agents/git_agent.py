"""Clones a repository, commits to a branch, merges it and pushes; every third merge is a real conflict."""

import os
import pathlib
import shutil
import subprocess

from ledger import Ledger, rounds

ORIGIN = pathlib.Path("/workspace/origin.git")
CLONE = pathlib.Path("/workspace/clone")

os.environ.update({
    "GIT_AUTHOR_NAME": "Sample Agent", "GIT_AUTHOR_EMAIL": "agent@example.com",
    "GIT_COMMITTER_NAME": "Sample Agent", "GIT_COMMITTER_EMAIL": "agent@example.com",
    "GIT_CONFIG_COUNT": "3",
    "GIT_CONFIG_KEY_0": "gc.auto", "GIT_CONFIG_VALUE_0": "0",              # no process in the background
    "GIT_CONFIG_KEY_1": "maintenance.auto", "GIT_CONFIG_VALUE_1": "false",
    "GIT_CONFIG_KEY_2": "init.defaultBranch", "GIT_CONFIG_VALUE_2": "main",
})


def first_commit():
    """Makes the repository that everything is cloned from. These commands are not tasks: the fleet ignores them."""
    seed = pathlib.Path("/workspace/seed")
    for command in (["git", "init", "-q", "--bare", ORIGIN], ["git", "init", "-q", seed]):
        subprocess.run(command, check=True)
    (seed / "plan.txt").write_text("owner: nobody\n" + "".join(f"step {i}\n" for i in range(200)))
    for command in (["add", "."], ["-c", "user.name=seed", "commit", "-q", "-m", "plan"], ["--git-dir=.git", "push", "-q", ORIGIN, "main"]):
        subprocess.run(["git", *command], cwd=seed, check=True)


def take_ownership(name):
    """Changes the line of the plan that everybody changes."""
    plan = CLONE / "plan.txt"
    lines = plan.read_text().splitlines()
    plan.write_text("\n".join([f"owner: {name}", *lines[1:]]) + "\n")


def one_round(ledger, number):
    """One piece of work, on a clone of its own."""
    shutil.rmtree(CLONE, ignore_errors=True)
    ledger.run("clone", "git", "clone", "-q", str(ORIGIN), str(CLONE))

    def git(task, *arguments):
        return ledger.run(task, "git", *arguments, cwd=CLONE)

    git("checkout", "checkout", "-q", "-b", "work")
    take_ownership(f"branch-{number}")
    git("commit", "commit", "-q", "-a", "-m", f"work {number}")
    git("checkout", "checkout", "-q", "main")
    if number % 3 == 2:
        take_ownership(f"somebody-else-{number}")
        git("commit", "commit", "-q", "-a", "-m", f"meanwhile {number}")
    if git("merge", "merge", "-q", "-m", f"merge {number}", "work") == 0:
        git("push", "push", "-q", "origin", "main")
    else:
        git("abort", "merge", "--abort")


def main():
    """All rounds, then idle."""
    ledger = Ledger()
    first_commit()
    for number in range(rounds()):
        one_round(ledger, number)
    ledger.settle()


main()
