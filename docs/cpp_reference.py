"""The page of C++: what is public in a header, under its sections, in the words of its own comments.

Read as text, so that the site needs no compiler: `///` before a declaration and `///<` behind one. A test compares
the page's names with those that a compiler sees.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Callable, Dict, List, NamedTuple, Tuple

# What a declaration consists of; what is in quotes or comments has no say in where it ends.
TOKENS = re.compile(r'''
    (?P<behind>///<[^\n]*) | (?P<text>///[^\n]*) | /\*\s(?P<title>[^\n*]*?)\s-+\s\*/ |
    (?P<skip>//[^\n]*|/\*.*?\*/|^\#(?:[^\n]*\\\n)*[^\n]*|\s+) |
    (?P<code>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])'|\w+|.)''', re.VERBOSE | re.DOTALL | re.MULTILINE)
SCOPE = re.compile(r"^(?:template <.*> )?(?:(?:inline )?namespace|class|struct|enum class)\b")
SPECIAL = re.compile(r"~\w+\(|= (?:default|delete)$")
WIDTH = 100


class Entry(NamedTuple):
    """A declaration and its text; `members` are those of a class, and the values of an enumeration."""
    name: str
    declaration: str
    text: List[str]
    members: List["Entry"]


class Section(NamedTuple):
    title: str
    entries: List[Entry]


class Reader:
    def __init__(self, source: str) -> None:
        self.source = source
        self.tokens = [m for m in TOKENS.finditer(source) if m.lastgroup != "skip"]
        self.at = 0
        self.sections: List[Section] = [Section("", [])]

    def read(self) -> List[Section]:
        self.scope("", [], public=True)
        return [section for section in self.sections if section.entries]

    def scope(self, owner: str, entries: List[Entry], public: bool) -> None:
        """Up to its closing brace. A namespace's entries join the section, a type's are its own."""
        text: List[str] = []
        while self.at < len(self.tokens):
            token = self.tokens[self.at]
            word = token.group("code")
            if word == "}":
                self.at += 1
                return
            if token.group("title") is not None:
                self.sections.append(Section(token.group("title"), []))
            if not word:
                text += [token.group("text")[3:].removeprefix(" ")] if token.group("text") else []
                self.at += 1
            elif word in ("public", "private", "protected") and self.code(self.at + 1) == ":":
                public = word == "public"
                self.at += 2
            else:
                self.declaration(owner, text, entries if owner else self.sections[-1].entries, public)
                text = []

    def declaration(self, owner: str, text: List[str], entries: List[Entry], public: bool) -> None:
        begin, end = self.at, self.end_of_declaration()
        source = self.source[self.tokens[begin].start():self.tokens[end].start()]
        words = " ".join(TOKENS.sub(lambda m: "" if m.group("skip", "text").count(None) < 2 and m.group().strip()
                                    else m.group(), source).split())
        self.at = end + 1
        opens = self.code(end) == "{"
        if opens and SCOPE.match(words):
            self.type_or_namespace(words, owner, text, entries, public)
            return
        if opens:
            self.skip_braces()
        while self.at < len(self.tokens) and self.tokens[self.at].group("behind"):
            text = [self.tokens[self.at].group("behind")[4:].strip()]
            self.at += 1
        if words and public and not SPECIAL.search(words) and not words.startswith("static_assert"):
            entries.append(Entry(joined(owner, name_of(words)), words, text, []))

    def type_or_namespace(self, words: str, owner: str, text: List[str], entries: List[Entry], public: bool) -> None:
        if re.match(r"(?:inline )?namespace\b", words):
            if words.endswith(" detail"):
                self.skip_braces()
            else:
                self.scope("", [], public=True)
            return
        name, members = joined(owner, name_of_type(words)), []
        is_enum = words.startswith("enum")
        if public:
            entries.append(Entry(name, words, text, members))
        self.values(name, members) if is_enum else self.scope(name, members, words.split()[0] == "struct")

    def values(self, owner: str, members: List[Entry]) -> None:
        """An enumeration's, up to its closing brace: before or behind the comma is the text of the value."""
        depth, value, text = 0, "", []
        while self.code(self.at) != "}":
            token = self.tokens[self.at]
            word = token.group("code")
            if word and depth == 0 and not value:
                value = word
                members.append(Entry(joined(owner, value), value, text, []))
                text = []
            elif word == ",":
                value = ""
            elif token.group("behind") and members:
                members[-1].text.append(token.group("behind")[4:].strip())
            elif token.group("text"):
                text.append(token.group("text")[3:].strip())
            self.at += 1
        self.at += 1

    def end_of_declaration(self) -> int:
        """Where its `;` or its body's `{` is."""
        depth = 0
        for at in range(self.at, len(self.tokens)):
            word = self.code(at)
            depth += (word in ("(", "[")) - (word in (")", "]"))
            if depth == 0 and word in ("{", ";"):
                return at
        raise ValueError(f"a declaration without an end: {self.source[self.tokens[self.at].start():][:80]}")

    def skip_braces(self) -> None:
        depth = 1
        while depth:
            depth += (self.code(self.at) == "{") - (self.code(self.at) == "}")
            self.at += 1

    def code(self, at: int) -> str:
        return self.tokens[at].group("code") or ""


def joined(owner: str, name: str) -> str:
    return f"{owner}::{name}" if owner else name


def name_of_type(words: str) -> str:
    return re.search(r"(?:class|struct) (?:\[\[\w+\]\] )?(\w+)", plain_words(words)).group(1)


def name_of(words: str) -> str:
    """What stands before its parameters, its value or its end."""
    words = plain_words(re.sub(r"\[\[\w+\]\]", "", words))
    if alias := re.match(r"using (\w+) =", words):
        return alias.group(1)
    before = re.split(r" = |\(", words)[0]
    return re.findall(r"\w+", before)[-1] if before.strip() else words


def plain_words(words: str) -> str:
    """Without what is a template's."""
    return without_angles(re.sub(r"^template <", "<", words))


def without_angles(words: str) -> str:
    depth, kept = 0, ""
    for at, char in enumerate(words):
        closes = char == ">" and words[at - 1] != "-"
        depth += char == "<"
        kept += char if depth == 0 else ""
        depth -= closes and depth > 0
    return kept


def split(words: str, start: int) -> Tuple[List[str], int]:
    """What stands between commas from `start` up to the bracket that closes it, and where that is."""
    depth, parts = 0, [""]
    for at in range(start, len(words)):
        char = words[at]
        if depth == 0 and (char in ")}" or (char == ">" and words[at - 1] != "-")):
            return [part.strip() for part in parts], at
        depth += (char in "(<{") - (char in ")}" or (char == ">" and words[at - 1] != "-"))
        if char == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += char
    return parts, len(words)


def shown(words: str) -> str:
    """A declaration as its caller needs it."""
    words = re.sub(r"\[\[\w+\]\] |\binline |\bexplicit ", "", words)
    template = ""
    if words.startswith("template <"):
        parameters, end = split(words, len("template <"))
        # What has no name only says which types fit.
        named = [it for it in parameters if re.match(r"(?:class|typename) \w+", it)]
        template, words = f"template <{', '.join(named)}>\n", words[end + 1:].strip()
    opening = words.find("(")
    is_function = opening > 0 and "=" not in words[:opening] and not re.match(r"(?:class|struct|enum) ", words)
    if not is_function or words.startswith("using "):
        return template + words
    parameters, end = split(words, opening + 1)
    # A constructor's initialisers are none of the caller's.
    behind = re.split(r" : ", words[end:])[0]
    if len(words[:opening]) + sum(map(len, parameters)) + len(behind) <= WIDTH:
        return f"{template}{words[:opening]}({', '.join(parameters)}{behind}"
    return f"{template}{words[:opening]}(\n    " + ",\n    ".join(parameters) + behind


def overloads(entries: List[Entry]) -> Dict[str, List[Entry]]:
    by_name: Dict[str, List[Entry]] = {}
    for entry in entries:
        by_name.setdefault(entry.name, []).append(entry)
    return by_name


def has_values(entry: Entry) -> bool:
    return entry.declaration.startswith("enum")


def is_field(entry: Entry) -> bool:
    return "(" not in without_angles(entry.declaration)


def prose(lines: List[str]) -> List[str]:
    """Code in it, which is indented by four blanks or more, is between fences."""
    made, in_code = [], False
    for line in lines:
        is_code = line.startswith("    ") if in_code or not made or made[-1] == "" else False
        if is_code != in_code:
            made.append("```cpp" if is_code else "```")
        made.append(line[4:] if is_code else line)
        in_code = is_code
    return made + ["```"] if in_code else made


def cell(lines: List[str]) -> str:
    return " ".join(lines).replace("|", "\\|")


class Page:
    def __init__(self, plain: Callable[[str], str], names: List[str]) -> None:
        self.plain = plain
        self.names = set(names)
        self.lines: List[str] = []

    def heading(self, level: int, title: str) -> None:
        self.lines += ["", "#" * level + f" {title}", ""]

    def words(self, lines: List[str], owner: str) -> None:
        in_code = False
        for line in prose(lines):
            is_fence = line.startswith("```")
            in_code ^= is_fence
            self.lines.append(line if in_code or is_fence else self.linked(line, owner))

    def linked(self, line: str, owner: str) -> str:
        parts = self.plain(line).split("`")
        return "".join(part if at % 2 == 0 else self.link(part, owner) for at, part in enumerate(parts))

    def link(self, name: str, owner: str) -> str:
        if name.startswith("MFA_ERR_") and not name.endswith(("_", "…", "...")):
            return f"[`{name}`](../codes.md)"
        bare = re.sub(r"\(.*\)$", "", name.replace("().", "::")).removeprefix("mfa::")
        # A field's and a value's place is that of their type.
        for full in (f"{owner}::{bare}", bare, bare.rpartition("::")[0]):
            if full in self.names and full != owner:
                return f"[`{name}`](#{full.replace('::', '').lower()})"
        return f"`{name}`"

    def entry(self, level: int, name: str, group: List[Entry]) -> None:
        self.heading(level, name)
        owner = name if group[0].members else name.rpartition("::")[0]
        at = 0
        while at < len(group):
            same = 1
            # An overload that says nothing of its own is as the one before it.
            while at + same < len(group) and not group[at + same].text:
                same += 1
            self.lines += ["```cpp", *(shown(it.declaration) for it in group[at:at + same]), "```", ""]
            self.words(group[at].text, owner)
            self.lines.append("")
            at += same
        for entry in group:
            self.members(level + 1, entry)

    def members(self, level: int, entry: Entry) -> None:
        if has_values(entry):
            self.lines += ["| value | meaning |", "|---|---|"]
            for value in entry.members:
                self.lines.append(f"| `{value.declaration}` | {self.linked(cell(value.text), entry.name)} |")
            return
        fields = [member for member in entry.members if is_field(member)]
        if fields:
            self.lines += ["| field | type and default | meaning |", "|---|---|---|"]
        for field in fields:
            name = field.name.rpartition("::")[2]
            kind, _, default = field.declaration.partition(" = ")
            kind = kind.removesuffix(name).strip() + (f" = {default}" if default else "")
            self.lines.append(f"| `{name}` | `{cell([kind])}` | {self.linked(cell(field.text), entry.name)} |")
        for name, group in overloads([it for it in entry.members if it not in fields]).items():
            self.entry(level, name, group)


def opening(source: str) -> List[str]:
    """The file's own comment, without its first line."""
    comment = re.match(r"/\*\*\n \* @file[^\n]*\n(.*?)\n \*/", source, re.DOTALL)
    return [line[2:].removeprefix(" ") for line in comment.group(1).splitlines()] if comment else []


def without_text(entries: List[Entry]) -> List[str]:
    silent = [name for name, group in overloads(entries).items() if not group[0].text]
    return silent + [name for entry in entries for name in without_text(entry.members)]


def all_names(entries: List[Entry]) -> List[str]:
    """Those that have a heading."""
    return [name for entry in entries for name in
            [entry.name, *([] if has_values(entry) else all_names([it for it in entry.members if not is_field(it)]))]]


def cpp_page(header: Path, plain: Callable[[str], str]) -> str:
    source = header.read_text("utf-8")
    sections = Reader(source).read()
    entries = [entry for section in sections for entry in section.entries]
    if silent := without_text(entries):
        sys.exit(f"{header}: without a word on what it is: {', '.join(silent)}")
    page = Page(plain, all_names(entries))
    page.lines += ["# C++", "", f"Everything in `{header.name}`, in its words; how to use it is on "
                   "[the examples' page](../../examples/cpp/README.md).", ""]
    page.words(opening(source), "")
    for section in sections:
        page.heading(2, section.title)
        for name, group in overloads(section.entries).items():
            page.entry(3, name, group)
    return re.sub(r"\n{3,}", "\n\n", "\n".join(page.lines)) + "\n"
