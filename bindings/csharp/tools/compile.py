"""Compiles C# without an SDK: Roslyn as a library, driven through pythonnet.

Reads jobs as JSON from the standard input: {"roslyn": DIR, "dotnet": DIR, "runtime_config": FILE, "jobs": [JOB, ...]}, each
JOB a list of csc's own arguments. Prints what the compiler says; the exit status is 1 if a job failed.
"""

import json
import pathlib
import sys


def main() -> int:
    order = json.load(sys.stdin)
    load_runtime(order)
    from Microsoft.CodeAnalysis.CSharp import CSharpCommandLineParser

    failed = [job for job in order["jobs"] if not compile_one(CSharpCommandLineParser, job)]
    return 1 if failed else 0


def load_runtime(order: dict) -> None:
    import pythonnet
    from clr_loader import get_coreclr

    pythonnet.load(get_coreclr(runtime_config=order["runtime_config"], dotnet_root=order["dotnet"]))
    import clr

    for name in ("Microsoft.CodeAnalysis", "Microsoft.CodeAnalysis.CSharp"):
        clr.AddReference(str(pathlib.Path(order["roslyn"], name + ".dll")))


def compile_one(parser, arguments: list) -> bool:
    from Microsoft.CodeAnalysis import MetadataReference, MetadataReferenceProperties, SyntaxTree
    from Microsoft.CodeAnalysis.CSharp import CSharpCompilation, CSharpSyntaxTree
    from Microsoft.CodeAnalysis.Text import SourceText
    from System import Array, String
    from System.IO import File
    from System.Text import Encoding

    parsed = parser.Default.Parse(Array[String](arguments), "/", None)
    if tell(parsed.Errors):
        return False
    trees = []
    for source in parsed.SourceFiles:
        text = SourceText.From(File.ReadAllText(source.Path), Encoding.UTF8)
        trees.append(CSharpSyntaxTree.ParseText(text, parsed.ParseOptions, source.Path))
    references = [
        MetadataReference.CreateFromFile(reference.Reference, MetadataReferenceProperties.Assembly)
        for reference in parsed.MetadataReferences
    ]
    compilation = CSharpCompilation.Create(
        parsed.CompilationName,
        Array[SyntaxTree](trees),
        Array[MetadataReference](references),
        parsed.CompilationOptions,
    )
    assembly = File.Create(str(pathlib.Path(parsed.OutputDirectory, parsed.OutputFileName)))
    documentation = File.Create(parsed.DocumentationPath) if parsed.DocumentationPath else None
    result = compilation.Emit(assembly, None, documentation)
    for stream in (assembly, documentation):
        if stream is not None:
            stream.Dispose()
    tell(result.Diagnostics)
    return result.Success


def tell(diagnostics) -> bool:
    """Prints them; True if one is an error, which with /warnaserror+ each warning is."""
    from Microsoft.CodeAnalysis import DiagnosticSeverity

    errors = False
    for diagnostic in diagnostics:
        if diagnostic.Severity >= DiagnosticSeverity.Warning:
            print(diagnostic.ToString())
            errors = errors or diagnostic.Severity == DiagnosticSeverity.Error
    return errors


if __name__ == "__main__":
    sys.exit(main())
