"""Installs a wheel, or a source distribution, into an environment of its own and tries it as a stranger would.

    python release/smoke.py dist/limen-0.1.0-py3-none-any.whl
    python release/smoke.py --core dist/limen-0.1.0.tar.gz      (without the extra demo)

The same on Linux, macOS and Windows. Nothing of the clone is used but the archive. Ends with exit code 1 and the
command that failed.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

# What is asked for without the extra that it needs: exit code 1, and one line that names the extra.
REMEDIES = (
    (("measure", "--images", "demo", "--observer", "demo", "--out", "a"), "'.[demo]'"),
    (("measure", "--images", "demo", "--observer", "local:some/model", "--out", "b"), "'.[local]'"),
    (("measure", "--images", "scene=room", "--observer", "simulated", "--limit", "1", "--out", "c"), "'.[scene]'"),
    (("report", "run", "--out", "report.html"), "'.[report]'"),
    (("export", "run", "--to", "parquet", "--out", "tables"), "'.[parquet]'"),
    (("feature", "splits", "demo:resnet"), "'.[feature]'"),
)
MEASURE = (
    "measure",
    "--images",
    "demo",
    "--observer",
    "simulated",
    "--distortion",
    "blur,jpeg",
    "--limit",
    "2",
    "--out",
    "run",
)


class Trial:
    """An environment with nothing but the archive, and a folder to work in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "work"
        self.folder.mkdir()
        venv.create(folder / "env", with_pip=True)
        self._bin = folder / "env" / ("Scripts" if os.name == "nt" else "bin")
        # A stranger's environment knows neither our paths nor our settings.
        self._env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "LIMEN", "COVERAGE"))}
        self._env |= {"PYTHONUTF8": "1", "COLUMNS": "80"}

    def run(self, *command: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment, and stop where it does not end with the exit code expected."""
        words = [str(self._bin / command[0]), *command[1:]]
        done = subprocess.run(words, cwd=self.folder, env=self._env, capture_output=True, text=True, encoding="utf-8")
        if done.returncode != code:
            sys.exit(f"{' '.join(command)}: exit code {done.returncode}, not {code}\n{done.stdout}{done.stderr}")
        return done

    def limen(self, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        """Run `limen`."""
        print("  limen", *arguments, flush=True)
        return self.run("limen", *arguments, code=code)


def expect(what: bool, sentence: str) -> None:
    """Stop with a sentence where something is not as it should be."""
    if not what:
        sys.exit(sentence)


def core(trial: Trial, archive: Path) -> None:
    """Try what works without an extra, and what is said where one is missing."""
    trial.run("python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", str(archive))
    version = archive.name.removesuffix(".tar.gz").split("-")[1]
    told = trial.limen("--version").stdout
    expect(version in told, f"limen --version says {told.strip()!r}, and the archive is called {archive.name}")
    listed = trial.limen("list").stdout
    expect(all(word in listed for word in ("blur", "simulated", "direct", "skip", "folder")), "limen list is too short")
    trial.limen(*MEASURE)
    table = trial.limen(*MEASURE, "--offline").stdout
    expect("blur" in table and "jpeg" in table, f"limen measure --offline printed\n{table}")
    trial.limen("fit", "run")
    for arguments, extra in REMEDIES:
        said = trial.limen(*arguments, code=1).stderr.strip()
        one = [line for line in said.splitlines() if line.startswith("limen: ")]
        expect(
            len(one) == 1 and extra in one[0], f"limen {' '.join(arguments)} does not say {extra} in one line:\n{said}"
        )
    where = "import limen, pathlib; print(pathlib.Path(limen.__file__).parent.joinpath('py.typed').is_file())"
    expect(trial.run("python", "-c", where).stdout.strip() == "True", "py.typed is missing: type checkers see nothing")


def demo(trial: Trial, archive: Path) -> None:
    """Try the embedded model and the report."""
    trial.run("python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", f"{archive}[demo]")
    trial.limen("demo", "--out", "demo", "--report", "demo.html")
    page = (trial.folder / "demo.html").read_text(encoding="utf-8")
    expect(len(page) > 100_000 and "</html>" in page, f"demo.html has {len(page)} characters")
    trial.limen("report", "run", "--out", "report.html")


def main() -> None:
    """Try an archive."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archive", type=Path)
    parser.add_argument("--core", action="store_true", help="leave out what needs the extra demo")
    given = parser.parse_args()
    archive = given.archive.resolve(strict=True)
    with tempfile.TemporaryDirectory(prefix="limen-smoke-", ignore_cleanup_errors=True) as folder:
        trial = Trial(Path(folder))
        core(trial, archive)
        if not given.core:
            demo(trial, archive)
    print(f"{archive.name} works on Python {sys.version.split()[0]}, {sys.platform}")


if __name__ == "__main__":
    main()
