"""What the project's pages tell people to type, and what they say comes of it."""

import dataclasses
import re

LANGUAGES = ("console", "swift", "yaml", "")


@dataclasses.dataclass
class Command:
    """A command line in a page. `shown` is the output that the page shows; None: it shows none."""

    page: str
    line: int
    text: str
    shown: list | None = None

    def __str__(self):
        return f"{self.page}:{self.line}: {self.text}"


@dataclasses.dataclass
class Page:
    """A page, taken apart. `blocks` are commands that stand together, to be run in that order;
    `inline` are the code spans of its text, commands or not; `code` is (language, line, text)."""

    name: str
    blocks: list
    inline: list
    code: list
    links: list


def read(name, text):
    """Takes a page apart. Raises ValueError on a block whose language nobody knows how to test."""
    page = Page(name, [], [], [], [])
    prose, fence, indented = [], None, []

    def end_of_indented():
        if indented:
            page.blocks.append([Command(name, at, _uncommented(line)) for at, line in indented])
            indented.clear()

    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith(("```", "~~~")):
            if not line.startswith("```"):
                raise ValueError(f"{name}:{number}: a block that is not fenced with ``` at the margin")
            end_of_indented()
            if fence is None:
                fence = (line[3:].strip(), number, [])
                if fence[0] not in LANGUAGES:
                    raise ValueError(f"{name}:{number}: a block in '{fence[0]}': how is that tested?")
            else:
                _block(page, *fence)
                fence = None
            prose.append("")
        elif fence is not None:
            fence[2].append(line)
            prose.append("")
        elif line.startswith("    ") and (indented or not prose or not prose[-1]):
            indented.append((number, line.strip()))
            prose.append("")
        else:
            if line.strip():
                end_of_indented()
            prose.append(line)
    end_of_indented()
    if fence is not None:
        raise ValueError(f"{name}:{fence[1]}: a block without an end")
    whole = "\n".join(prose)
    for span in re.finditer(r"`([^`]+)`", whole):
        line = whole.count("\n", 0, span.start()) + 1
        page.inline.append(Command(name, line, " ".join(span.group(1).split())))
    page.links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", whole)
    return page


def _uncommented(line):
    return re.split(r"\s+# ", line)[0].strip()


def _block(page, language, start, lines):
    if language != "console":
        # A figure may stand without a language; what can be typed may not.
        if language == "" and any(re.match(r"[$#] ", line) for line in lines):
            raise ValueError(f"{page.name}:{start}: a prompt in a block that is not 'console'")
        page.code.append((language, start, "\n".join(lines) + "\n"))
        return
    block = []
    for number, line in enumerate(lines, start + 1):
        if line.startswith("$ "):
            block.append(Command(page.name, number, line[2:], []))
        elif not block:
            raise ValueError(f"{page.name}:{number}: output before the first command")
        else:
            block[-1].shown.append(line)
    page.blocks.append(block)


# What differs from run to run, and what it may be then; never nothing. The first that fits wins.
BAR = "█▉▊▋▌▍▎▏"
PLACEHOLDERS = [
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"),
    (r"[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \S+", r"[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \S+"),
    (r"\d\d:\d\d:\d\d\.\d{3}", r"\d\d:\d\d:\d\d\.\d{3}"),
    (r"\b[0-9a-f]{32}\b", r"[0-9a-f]{32}"),
    (r"\b[0-9a-f]{8}\b", r"[0-9a-f]{8}"),
    (r"\d[\d.,]* (?:ns|µs|ms|s|min|h)\b", r"\d[\d.,]* (?:ns|µs|ms|s|min|h)"),
    (r"\d[\d.,]* (?:[KMGT]i)?B\b", r"\d[\d.,]* (?:[KMGT]i)?B"),
    (r"\d+(?:[.,]\d+)*", r"\d+(?:[.,]\d+)*"),
    (rf"[{BAR}]+", rf"[{BAR}]+"),
    (r" +", r" +"),
]
_ANY = re.compile("|".join(f"(?P<p{index}>{what})" for index, (what, _) in enumerate(PLACEHOLDERS)))


def shape(line):
    """The expression that a line of shown output stands for."""
    pattern, end = "", 0
    for found in _ANY.finditer(line):
        pattern += re.escape(line[end : found.start()])
        pattern += PLACEHOLDERS[int(found.lastgroup[1:])][1]
        end = found.end()
    return pattern + re.escape(line[end:])


def difference(shown, printed, ordered=True):
    """How the output differs from what a page shows; None if it has its shape. A line `…` stands for
    any lines. `ordered`: false where lines come in the order in which processes were heard."""
    got = [line.rstrip() for line in printed.splitlines()]
    if not ordered:
        for line in shown:
            wanted = re.compile(shape(line.rstrip()))
            found = next((each for each in got if wanted.fullmatch(each)), None)
            if found is None:
                return f"shown, but not printed: {line}"
            got.remove(found)
        return f"printed, but not shown: {got[0]}" if got else None
    at, gap = 0, False
    for line in shown:
        if line.strip() == "…":
            gap = True
            continue
        wanted = re.compile(shape(line.rstrip()))
        while gap and at < len(got) and not wanted.fullmatch(got[at]):
            at += 1
        if at >= len(got):
            return f"shown, but not printed: {line}"
        if not wanted.fullmatch(got[at]):
            return f"shown:   {line}\nprinted: {got[at]}"
        at, gap = at + 1, False
    if at < len(got) and not gap:
        return f"printed, but not shown: {got[at]}"
    return None
