"""Make the virtual environment that every `make` target uses, or leave it as it is.

    python tools/environment.py [--venv FOLDER] [--torch-index cpu|ADDRESS] [--asked]

This file runs under whatever Python is at hand, so that a Python that is too old or too new hears
one sentence, and not a page of errors from an installer. It must therefore keep to what old
Pythons can read: no f-strings, no annotations.

The environment is kept while its stamp names the same requirements. It is made anew when it does
not start, when it holds a Python that the course does not support, and, with `--asked`, when it
holds another Python than the one that runs this file.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys

SUPPORTED = ((3, 11), (3, 12), (3, 13), (3, 14))
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
NEEDS = ("requirements.txt", "requirements.lock", "pyproject.toml")
TORCH_INDEX = "https://download.pytorch.org/whl/"  # + cpu, cu126 and so on: torch's own builds


def names(versions):
    """((3, 11), (3, 12)) -> "3.11 or 3.12"."""
    words = [".".join(map(str, version)) for version in versions]
    return ", ".join(words[:-1]) + " or " + words[-1]


def refuse_a_wrong_python():
    """End with one sentence unless this Python is one that the course supports."""
    if sys.version_info[:2] not in SUPPORTED:
        sys.exit(
            "This course needs Python " + names(SUPPORTED) + "; " + sys.executable + " is "
            "Python " + sys.version.split()[0] + ". Name another one, as in: "
            "make book PYTHON=python3.12"
        )


def python_in(venv):
    """Where an environment keeps its Python on this system."""
    windows = os.path.join(venv, "Scripts", "python.exe")
    return windows if os.name == "nt" else os.path.join(venv, "bin", "python")


def version_in(venv):
    """(3, 12) of the environment's Python; None when there is none or it does not start."""
    ask = "import sys, pip; print(*sys.version_info[:2])"
    try:
        answer = subprocess.check_output([python_in(venv), "-c", ask], stderr=subprocess.DEVNULL)
        major, minor = answer.split()
        return int(major), int(minor)
    except (OSError, ValueError, subprocess.CalledProcessError):
        return None


def stamp(torch_index):
    """What the environment must hold: changes with the files that say so, and with the index."""
    digest = hashlib.sha256(torch_index.encode("utf-8"))
    for name in NEEDS:
        with open(os.path.join(ROOT, name), "rb") as file:
            digest.update(file.read().replace(b"\r\n", b"\n"))
    return digest.hexdigest()


def read(path):
    """The text of a small file; empty when it is not there."""
    if not os.path.exists(path):
        return ""
    with open(path) as file:
        return file.read()


def make(venv):
    """An empty environment of this Python in place of whatever was there."""
    if os.path.exists(venv):
        print("making " + venv + " anew")
        shutil.rmtree(venv)
    try:
        subprocess.check_call([sys.executable, "-m", "venv", venv])
    except (OSError, subprocess.CalledProcessError) as error:
        sys.exit(
            "The environment could not be made in " + venv + " (" + str(error) + "). "
            "Another place can be named, as in: make book VENV=/tmp/course"
        )


def install(venv, torch_index):
    """What requirements.txt names, in the versions of requirements.lock, and mechlib itself."""

    def pip(*arguments):
        command = [python_in(venv), "-m", "pip", "install", "--quiet"]
        command.append("--disable-pip-version-check")
        command.extend(arguments)
        if subprocess.call(command, cwd=ROOT):
            sys.exit("The installation stopped; the same command goes on where it ended.")

    if torch_index:
        with open(os.path.join(ROOT, "requirements.txt")) as file:
            torch = next(line.strip() for line in file if line.startswith("torch=="))
        address = torch_index if ":" in torch_index else TORCH_INDEX + torch_index
        # only torch comes from there; a build such as 2.13.0+cpu then stands for 2.13.0
        pip("--no-deps", "--index-url", address, torch)
    pip("-r", "requirements.txt", "-c", "requirements.lock")
    pip("--no-deps", "--no-build-isolation", "--editable", ".")


def main():
    parser = argparse.ArgumentParser(description="Make the environment of the course.")
    parser.add_argument("--venv", default=os.path.join(ROOT, ".venv"))
    parser.add_argument("--torch-index", default="", help="cpu, or the address of an index")
    parser.add_argument("--asked", action="store_true", help="this Python and no other")
    given = parser.parse_args()
    if sys.version_info < (3, 3):  # noqa: UP036 - this file is read by them, too
        refuse_a_wrong_python()  # too old even for the look at what is there

    found, ready = version_in(given.venv), os.path.join(given.venv, ".ready")
    wrong = found not in SUPPORTED or (given.asked and found != tuple(sys.version_info[:2]))
    # an environment keeps the build of torch that it was made with until another one is named
    known = read(ready).split("\n") if not wrong else []
    torch_index = given.torch_index or (known[1] if len(known) > 1 else "")
    if known and known[0] == stamp(torch_index):
        return
    if wrong:
        refuse_a_wrong_python()
        make(given.venv)
    elif len(known) > 1 and known[1] != torch_index:
        refuse_a_wrong_python()
        make(given.venv)  # another build of torch
    print("installing the packages of requirements.txt into " + given.venv)
    install(given.venv, torch_index)
    with open(ready, "w") as file:
        file.write(stamp(torch_index) + "\n" + torch_index)


if __name__ == "__main__":
    main()
