"""The project's own rules, read from its sources: what no single unit test can see."""

from __future__ import annotations

import ast
import functools
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "stoker"
MAX_FILE_LINES = 350
MAX_FUNCTION_LINES = 60

LONG_FILES: dict[str, str] = {
    "native/src/step.cpp": "the whole decoder step, top to bottom, in the order it runs",
}
"""Files over the limit, each with its reason. At most five."""

CODE_FROM_DATA = {
    "cloudpickle", "code", "codeop", "dill", "imp", "joblib", "marshal", "pickle", "shelve",
    "torch", "yaml",
}  # fmt: skip
CODE_CALLS = {"eval", "exec", "compile", "__import__", "execfile"}
PROCESS_CALLS = {"os.system", "os.popen", "subprocess.getoutput", "torch.load"}
YAML_CALLS = {"yaml.parse"}
"""All that may be called of the YAML library, in config/yaml_text.py: it makes no objects."""
VAGUE_NAMES = {"common", "helper", "helpers", "manager", "misc", "util", "utils"}

PRIVATE_TEXT = [
    r"/(?:work|root|home|opt)/[a-z]",
    r"/tmp/[a-z]",
    r"pypi" + r"\.org",
    r"pythonhosted" + r"\.org",
    r"registry\.npmjs",
    r"crates" + r"\.io",
    r"proxy\.golang",
]


def python_files(folder: Path = PACKAGE) -> list[Path]:
    return sorted(path for path in folder.rglob("*.py") if "__pycache__" not in path.parts)


@functools.cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def where(path: Path, node: ast.AST) -> str:
    return f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 1)}"


def nodes() -> Iterator[tuple[Path, ast.AST]]:
    for path in python_files():
        for node in ast.walk(tree(path)):
            yield path, node


def imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module:
        return [f"{node.module}.{alias.name}" for alias in node.names]
    return []


def dotted(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


@functools.cache
def tracked() -> list[Path]:
    """Files that are, or are about to be, in the repository."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return [path for name in listing.splitlines() if (path := ROOT / name).is_file()]


def test_nothing_imports_a_way_to_run_data() -> None:
    found = [
        f"{where(path, node)} imports {name}"
        for path, node in nodes()
        for name in imported(node)
        if name.split(".")[0] in CODE_FROM_DATA
        and "torch" not in path.stem  # executors for torch import torch, but never torch.load
        and not (name.split(".")[0] == "yaml" and path.stem == "yaml_text")
    ]
    assert not found


def test_yaml_is_parsed_and_never_loaded() -> None:
    path = PACKAGE / "config" / "yaml_text.py"
    calls = {dotted(node.func) for node in ast.walk(tree(path)) if isinstance(node, ast.Call)}
    assert {name for name in calls if name.startswith("yaml.")} == YAML_CALLS


def test_nothing_calls_a_way_to_run_data() -> None:
    found = [
        f"{where(path, node)} calls {name}"
        for path, node in nodes()
        if isinstance(node, ast.Call) and (name := dotted(node.func)) in CODE_CALLS | PROCESS_CALLS
    ]
    assert not found


def test_no_shell_is_started() -> None:
    found = [
        where(path, node)
        for path, node in nodes()
        if isinstance(node, ast.keyword)
        and node.arg == "shell"
        and not (isinstance(node.value, ast.Constant) and node.value.value is False)
    ]
    assert not found


def test_templates_run_only_in_the_sandbox() -> None:
    found = [
        where(path, node)
        for path, node in nodes()
        if any(name in ("jinja2.Environment", "jinja2.Template") for name in imported(node))
        or dotted(node) in ("jinja2.Environment", "jinja2.Template")
    ]
    assert not found


def test_only_config_reads_the_environment() -> None:
    names = {"os.environ", "os.environb", "os.getenv", "os.putenv"}
    found = [
        where(path, node)
        for path, node in nodes()
        if "config" not in path.relative_to(PACKAGE).parts
        and (dotted(node) in names or names & set(imported(node)))
    ]
    assert not found


def test_environment_variables_stay_few() -> None:
    from stoker.config.environment import CONFIG_FILE, VARIABLES

    assert len({CONFIG_FILE, *VARIABLES}) <= 6


BEING_WIRED = {"edge.mode"}
"""Keys that need not do something yet."""


def test_every_configuration_key_does_something() -> None:
    from stoker.config.setting import fields, lists

    sources = "".join(
        path.read_text(encoding="utf-8")
        for path in python_files()
        if "config" not in path.relative_to(PACKAGE).parts
    )
    loaders = "".join(path.read_text(encoding="utf-8") for path in python_files(PACKAGE / "config"))
    entries = [
        f"{name}.{field.name}"
        for name, kind in lists().items()
        for field in msgspec.structs.fields(kind)
    ]
    found = [
        key
        for key in [*fields(), *entries]
        if key not in BEING_WIRED
        and not re.search(rf"\.{key.partition('.')[2]}\b", sources)
        and not re.search(rf"(model|server|backend)\.{key.partition('.')[2]}\b", loaders)
    ]
    assert not found


def test_only_the_kernel_layer_and_its_executor_touch_the_native_core() -> None:
    found = [
        where(path, node)
        for path, node in nodes()
        if any("_native" in name.split(".") for name in imported(node))
        and path.parent.name != "kernels"
        and path.relative_to(PACKAGE).as_posix() != "executor/native.py"
    ]
    assert not found


def test_assert_is_only_for_invariant_checks() -> None:
    """Input from outside never reaches an assert: these stand in functions named check, or in
    one whose docstring says which invariant it guards."""
    found = []
    for path in python_files():
        checks = {
            inner
            for outer in ast.walk(tree(path))
            if isinstance(outer, ast.FunctionDef)
            and (
                "check" in outer.name.split("_")
                or re.search(r"invariant I\d\d", ast.get_docstring(outer) or "")
            )
            for inner in ast.walk(outer)
        }
        found += [
            where(path, node)
            for node in ast.walk(tree(path))
            if isinstance(node, ast.Assert) and node not in checks
        ]
    assert not found


def test_files_are_short() -> None:
    found = [
        f"{name}: {lines} lines"
        for path in [*python_files(), *sorted((ROOT / "native").rglob("*.[ch]*"))]
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > MAX_FILE_LINES
        and (name := path.relative_to(ROOT).as_posix()) not in LONG_FILES
    ]
    assert not found
    assert len(LONG_FILES) <= 5


def test_functions_are_short() -> None:
    found = [
        f"{where(path, node)} {node.name}: {node.end_lineno - node.lineno + 1} lines"
        for path, node in nodes()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno >= MAX_FUNCTION_LINES
    ]
    assert not found


def test_every_module_says_what_it_is_for() -> None:
    found = [
        str(path.relative_to(ROOT))
        for path in python_files()
        if tree(path).body and ast.get_docstring(tree(path)) is None
    ]
    assert not found


def test_names_say_something() -> None:
    found = [
        str(path.relative_to(ROOT))
        for path in python_files()
        if VAGUE_NAMES & set(path.stem.split("_")) or VAGUE_NAMES & set(path.parent.parts[-1:])
    ]
    assert not found


def test_no_unfinished_business_in_the_sources() -> None:
    pattern = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in python_files()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if pattern.search(line)
    ]
    assert not found


def test_every_silenced_warning_names_its_rule() -> None:
    pattern = re.compile(r"#\s*(type: ignore(?!\[)|noqa(?!: ))")
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in python_files()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if pattern.search(line)
    ]
    assert not found


def test_no_registry_host_or_path_of_one_machine() -> None:
    pattern = re.compile("|".join(PRIVATE_TEXT))
    found = []
    for path in tracked():
        if path == Path(__file__) or path.suffix in (".png", ".gguf", ".bin"):
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        found += [
            f"{path.relative_to(ROOT)}:{number}: {match.group()}"
            for number, line in enumerate(text.splitlines(), 1)
            if (match := pattern.search(line))
        ]
    assert not found


def test_no_file_is_big() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {path.stat().st_size} bytes"
        for path in tracked()
        if path.stat().st_size > 1024 * 1024
    ]
    assert not found


def test_tables_in_the_pages_say_what_was_measured() -> None:
    finished = subprocess.run(
        [sys.executable, "benchmarks/tables.py", "--check"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr


def test_the_page_of_behaviour_lists_every_error_a_client_can_see() -> None:
    from stoker import errors

    def leaves(kind: type[errors.StokerError]) -> Iterator[type[errors.StokerError]]:
        for below in kind.__subclasses__():
            yield from leaves(below) if below.__subclasses__() else [below]

    text = (ROOT / "docs" / "behaviour.md").read_text(encoding="utf-8")
    rows = set(re.findall(r"^\| (\d{3}) \| `(\w+)` \|", text, re.MULTILINE))
    assert rows == {
        (str(kind.status), kind.code)
        for kind in leaves(errors.StokerError)
        if not issubclass(kind, errors.SetupError)
    }


TEST_NAME = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")


def test_every_promise_names_a_test_that_exists() -> None:
    text = (ROOT / "docs" / "behaviour.md").read_text(encoding="utf-8")
    names = TEST_NAME.findall(text)
    missing = [
        f"{file}::{function}"
        for file, function in names
        if not (ROOT / file).is_file()
        or (function and not re.search(rf"def {function}\b|class {function}\b",
                                       (ROOT / file).read_text(encoding="utf-8")))
    ]  # fmt: skip
    assert names
    assert not missing


@pytest.mark.parametrize(
    "page",
    [path for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")] if path.is_file()],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    missing = [link for link in links if not (page.parent / link).exists()]
    assert not missing
