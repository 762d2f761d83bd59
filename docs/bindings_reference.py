"""The public names of the bindings as Markdown, in the words of their own sources.

    python bindings_reference.py python SOURCES > python.md
    python bindings_reference.py csharp SOURCES > csharp.md
    python bindings_reference.py cpp HEADER > cpp.md

Nothing is imported or compiled: the Python package is read by `ast`, C# and C++ by the `///` comments before what
is public.
"""

from __future__ import annotations

import ast
import html
import inspect
import re
import sys
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Set, Tuple

from cpp_reference import cpp_page

# Read as modules of their own, beside what the package itself names.
MODULES = ["exceptions", "sandbox"]


Entry = Tuple[ast.AST, str]
"""A node, and its text: a docstring, or the string behind an assignment."""


def python_page(package: Path) -> str:
    lines = ["# Python", "", "`mfa_client`, as `__all__` names it; how to use it is on [the package's page]"
             "(../../bindings/python/README.md)."]
    trees = {file.stem: ast.parse(file.read_text("utf-8")) for file in sorted(package.glob("*.py"))}
    found: Dict[str, Entry] = {}
    for tree in trees.values():
        for node, text in entries(tree.body):
            found.setdefault(name_of(node), (node, text))
    public = {name for module in ["__init__", *MODULES] for name in all_names(trees[module])}
    for module in ["__init__", *MODULES]:
        title = "mfa_client" if module == "__init__" else f"mfa_client.{module}"
        lines += ["", f"## {title}"]
        for name in all_names(trees[module]):
            if name in trees:
                continue  # A module, which has a part of its own.
            node, text = found.get(name) or sys.exit(f"{title}.{name}: public, and defined nowhere")
            lines += python_item(name, node, text, inherited(node, found, public))
    return public_types("\n".join(lines) + "\n", found, public)


def public_types(page: str, found: Dict[str, Entry], public: Set[str]) -> str:
    """Bases that nobody can name are left out, and what is short for a type is written out."""
    for name, (node, _) in found.items():
        if name in public:
            continue
        page = re.sub(rf"^(class \w+\(){name}\b(?:, )?", r"\1", page, flags=re.M)
        if isinstance(node, ast.Assign) and re.match(r"(Union|Callable)\[", ast.unparse(node.value)):
            page = re.sub(rf"\[{name}\]|(?<=: ){name}\b", lambda at: at[0].replace(name, ast.unparse(node.value)), page)
    return re.sub(r"^(class \w+)\(\)$", r"\1", page, flags=re.M)


def all_names(tree: ast.Module) -> List[str]:
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets):
            return [str(name) for name in ast.literal_eval(node.value)]
    return [n.name for n in tree.body if isinstance(n, (ast.ClassDef, ast.FunctionDef)) and is_public(n.name)]


def is_public(name: str) -> bool:
    return bool(name) and not name.startswith("_")


def entries(body: List[ast.stmt]) -> Iterator[Entry]:
    for node, behind in zip(body, [*body[1:], None]):
        if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node, ast.get_docstring(node) or ""
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            text = getattr(getattr(behind, "value", None), "value", None) if isinstance(behind, ast.Expr) else None
            yield node, inspect.cleandoc(text) if isinstance(text, str) else ""


def name_of(node: ast.AST) -> str:
    """Of `self.x` as of `x`."""
    target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", node)
    return getattr(target, "name", "") or getattr(target, "id", "") or getattr(target, "attr", "")


def inherited(node: ast.AST, found: Dict[str, Entry], public: Set[str]) -> List[ast.AST]:
    """What a class has from bases that have no place of their own here."""
    members: List[ast.AST] = []
    for base in getattr(node, "bases", []):
        name = ast.unparse(base).split("[")[0]
        if name in found and name not in public:
            members += [*getattr(found[name][0], "body", []), *inherited(found[name][0], found, public)]
    return members


def python_item(name: str, node: ast.AST, text: str, inherited_members: List[ast.AST]) -> Iterator[str]:
    yield from ["", f"### {name}", "", "```python", declaration(name, node), "```", "", *words(name, text, node)]
    if not isinstance(node, ast.ClassDef):
        return
    members = list(entries([*node.body, *inherited_members]))
    is_enum = "Enum" in "".join(ast.unparse(base) for base in node.bases)
    init = next((member for member, _ in members if name_of(member) == "__init__"), None)
    own = [*members, *entries(init.body if init else [])]
    # Without a type it is a value of an enumeration, or a class's answer to what its base declares.
    kind = ast.Assign if is_enum else ast.AnnAssign
    fields = [(field, about) for field, about in own if isinstance(field, kind) and is_public(name_of(field))]
    for field, about in fields:
        shown = name_of(field) if is_enum else re.sub(r"^self\.(.*?) = .*| = field\(.*", r"\1", ast.unparse(field))
        yield from ["", f"- `{shown}`: " + " ".join(words(f"{name}.{name_of(field)}", about))]
    seen: Set[str] = set()
    made_first = lambda entry: name_of(entry[0]) != "__init__"
    for member, about in sorted(members, key=made_first):
        called = name_of(member)
        if not isinstance(member, (ast.FunctionDef, ast.AsyncFunctionDef)) or called in seen or is_overload(member):
            continue
        seen.add(called)
        if called == "__init__" and about:  # Without a text it is not for users to call.
            yield from ["", "```python", signature(member, name), "```", "", *words(name, about, member)]
        elif is_public(called):
            yield from ["", f"#### {name}.{called}", "", "```python", signature(member), "```", "",
                        *words(f"{name}.{called}", about, member)]


def declaration(name: str, node: ast.AST) -> str:
    if isinstance(node, ast.ClassDef):
        bases = ", ".join(ast.unparse(base) for base in node.bases if is_public(ast.unparse(base)))
        return f"class {name}({bases})" if bases else f"class {name}"
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return signature(node)
    return name if isinstance(node.value, ast.JoinedStr) else ast.unparse(node)


def is_overload(node: ast.AST) -> bool:
    return any("overload" in ast.unparse(d) or ".setter" in ast.unparse(d) for d in node.decorator_list)


def signature(node: ast.AST, name: str = "") -> str:
    returns = f" -> {ast.unparse(node.returns)}" if node.returns and not name else ""
    start = "async def " if isinstance(node, ast.AsyncFunctionDef) else "" if name else "def "
    kind = "@property\n" if any(ast.unparse(d) == "property" for d in node.decorator_list) else ""
    arguments = ast.unparse(node.args)
    arguments = re.sub(r"^self(: \w+)?(, )?", "", arguments)
    return f"{kind}{start}{name or node.name}({arguments}){returns}"


without_text: List[str] = []


def words(name: str, text: str, node: Optional[ast.AST] = None) -> List[str]:
    """The text; what looks like a heading or a tag in it is text. What it says of each argument is a list."""
    if not text.strip():
        without_text.append(name)
    lines: List[str] = []
    names = {argument.arg for argument in ast.walk(node) if isinstance(argument, ast.arg)} if node else set()
    in_list = False
    for line in text.strip().splitlines():
        said, colon, about = line.partition(": ")
        if colon and set(said.split(", ")) <= names:
            lines += [*([] if in_list else [""]), f"- `{said}`: {plain(about)}"]
            in_list = True
        elif in_list and line:
            lines.append("  " + plain(line.strip()))
        else:
            in_list = False
            lines.append(line if line.startswith("    ") else plain(line))
    return lines


def plain(text: str) -> str:
    """Outside of backquotes, what looks like a tag is text."""
    parts = text.split("`")
    return "`".join(part if at % 2 else html.escape(part, quote=False) for at, part in enumerate(parts))


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
            if not text:
                without_text.append(declaration)
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
    return plain(html.unescape(text)).strip()


def main() -> None:
    language, *sources = sys.argv[1:]
    files = [Path(source) for source in sources]
    pages = {"python": lambda: python_page(files[0]), "csharp": lambda: csharp_page(files),
             "cpp": lambda: cpp_page(files[0], plain)}
    page = pages[language]()
    if page.count("\n#") < 10:
        sys.exit(f"there is next to nothing public in {sources}: this program does not understand them any more")
    if without_text:
        sys.exit("public, and nothing is said of it:\n" + "\n".join(sorted(set(without_text))))
    sys.stdout.write(page)


main()
