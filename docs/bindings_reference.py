"""The public names of the two bindings as Markdown, in the words of their own sources.

    python bindings_reference.py python SOURCES > python.md
    python bindings_reference.py csharp SOURCES > csharp.md

Nothing is imported or compiled: the Python package is read by `ast`, and C# by the `///` comments before what
is public. A public name without words is an error.
"""

from __future__ import annotations

import ast
import html
import re
import sys
from pathlib import Path
from typing import Iterator, List, Tuple

# Read as modules of their own, beside what the package itself names.
MODULES = ["exceptions", "sandbox"]


def python_page(package: Path) -> str:
    lines = ["# Python", "", "`mfa_client`, as `__all__` names it; how to use it is on [the package's page]"
             "(../../bindings/python/README.md)."]
    trees = {file.stem: ast.parse(file.read_text("utf-8")) for file in sorted(package.glob("*.py"))}
    found = {}
    for tree in trees.values():
        for node in tree.body:
            if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
                found.setdefault(node.name, node)
    for module in ["__init__", *MODULES]:
        title = "mfa_client" if module == "__init__" else f"mfa_client.{module}"
        lines += ["", f"## {title}"]
        for name in all_names(trees[module]):
            if name in found:
                lines += python_item(found[name])
    return "\n".join(lines) + "\n"


def all_names(tree: ast.Module) -> List[str]:
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets):
            return [str(name) for name in ast.literal_eval(node.value)]
    return [n.name for n in tree.body if isinstance(n, (ast.ClassDef, ast.FunctionDef)) and not n.name.startswith("_")]


def python_item(node: ast.AST) -> Iterator[str]:
    yield from ["", f"### {node.name}", ""]
    if isinstance(node, ast.ClassDef):
        bases = ", ".join(ast.unparse(base) for base in node.bases)
        yield from ["```python", f"class {node.name}({bases})" if bases else f"class {node.name}", "```", ""]
    else:
        yield from ["```python", signature(node), "```", ""]
    yield from words(node)
    if not isinstance(node, ast.ClassDef):
        return
    values = [member.targets[0].id for member in node.body
              if isinstance(member, ast.Assign) and isinstance(member.targets[0], ast.Name)]
    if "Enum" in "".join(ast.unparse(base) for base in node.bases) and values:
        yield from ["", "Values: " + ", ".join(f"`{value}`" for value in values if not value.startswith("_")) + "."]
    fields = [member for member in node.body if isinstance(member, ast.AnnAssign)]
    if fields and any("dataclass" in ast.unparse(d) for d in node.decorator_list):
        yield from ["", "```python", *(ast.unparse(field) for field in fields if not private(field)), "```"]
    for member in node.body:
        if not isinstance(member, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        if member.name == "__init__":
            yield from ["", "```python", signature(member, node.name), "```", "", *words(member)]
        elif not member.name.startswith("_") and not is_overload(member):
            yield from ["", f"#### {node.name}.{member.name}", "", "```python", signature(member), "```", "",
                        *words(member)]


def private(field: ast.AnnAssign) -> bool:
    return ast.unparse(field.target).startswith("_")


def is_overload(node: ast.AST) -> bool:
    return any("overload" in ast.unparse(d) or ".setter" in ast.unparse(d) for d in node.decorator_list)


def signature(node: ast.AST, name: str = "") -> str:
    returns = f" -> {ast.unparse(node.returns)}" if node.returns and not name else ""
    start = "async def " if isinstance(node, ast.AsyncFunctionDef) else "" if name else "def "
    kind = "@property\n" if any(ast.unparse(d) == "property" for d in node.decorator_list) else ""
    arguments = ast.unparse(node.args)
    arguments = re.sub(r"^self(, )?", "", arguments)
    return f"{kind}{start}{name or node.name}({arguments}){returns}"


def words(node: ast.AST) -> List[str]:
    """The docstring; what looks like a heading or a tag in it is text."""
    text = ast.get_docstring(node) or ""
    return [html.escape(line, quote=False) if not line.startswith("    ") else line for line in text.splitlines()]


def csharp_page(folders: List[Path]) -> str:
    lines = ["# C#", "", "The public types of `MfaClient` and `MfaClient.Testing`; how to use them is on [the package's "
             "page](../../bindings/csharp/README.md)."]
    types = {}
    for folder in folders:
        for file in sorted(folder.glob("*.cs")):
            for owner, declaration, text in csharp_members(file.read_text("utf-8")):
                types.setdefault(owner, []).append((declaration, text))
    for owner in sorted(types):
        lines += ["", f"## {owner}"]
        for declaration, text in types[owner]:
            lines += ["", "```csharp", declaration, "```", "", text]
    return "\n".join(lines) + "\n"


TYPE = re.compile(r"\bpublic\b.*\b(?:class|struct|enum|interface|delegate)\s+")


def csharp_members(source: str) -> Iterator[Tuple[str, str, str]]:
    owner, in_enum, comment = "", False, []
    lines = iter(source.splitlines())
    for line in lines:
        line = line.strip()
        if line.startswith("///"):
            comment.append(line[3:].strip())
            continue
        if not comment:
            continue
        if line.startswith("[") and line.endswith("]"):
            continue
        if not line.startswith("public ") and not (in_enum and re.match(r"\w+( = |,|$)", line)):
            comment = []
            continue
        while line.count("(") > line.count(")"):
            line += ("" if line.endswith("(") else " ") + next(lines).strip()
        declaration = re.split(r"\s*(?:\{|=>|;)", line)[0].rstrip(",")
        named = TYPE.search(line)
        if named and "delegate" not in line:
            owner = re.split(r"[\s:<({]", line[named.end():])[0]
            in_enum = " enum " in line
        yield owner, declaration, summary(" ".join(comment))
        comment = []


def summary(text: str) -> str:
    """XML documentation as Markdown."""
    text = re.sub(r'<inheritdoc cref="([^"(]*)[^"]*"\s*/>', r"See `\1`.", text)
    text = re.sub(r'<(?:see|seealso|paramref|typeparamref)\s+(?:cref|langword|name|href)="(?:[A-Z]:)?([^"]*)"\s*/>', r"`\1`", text)
    text = re.sub(r'<param name="([^"]*)">', r"\n\n`\1`: ", text)
    text = re.sub(r'<exception cref="([^"]*)">', r"\n\nThrows `\1`: ", text)
    text = re.sub(r"<returns>", "\n\nReturns: ", text)
    text = re.sub(r"</?c>", "`", text)
    text = re.sub(r"<(?:para|remarks|br)\s*/?>", "\n\n", text)
    text = re.sub(r"<[^>]*>", "", text)
    return html.escape(html.unescape(text), quote=False).strip()


def main() -> None:
    language, *sources = sys.argv[1:]
    page = python_page(Path(sources[0])) if language == "python" else csharp_page([Path(s) for s in sources])
    if page.count("\n#") < 10:
        sys.exit(f"there is next to nothing public in {sources}: this program does not understand them any more")
    sys.stdout.write(page)


main()
