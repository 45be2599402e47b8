"""Who may import whom: every import statement of src/uyan is read, lazy ones and those for type checking too."""

import ast
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import uyan

SOURCE = Path(uyan.__file__).parent

MAY_IMPORT = {
    # layer       its own files and those of
    "errors": "",
    "files": "",
    "protobuf": "",
    "torch_threads": "",
    "freed_memory": "",
    "ranks": "errors",
    "audio": "errors files",
    "storage": "errors",
    "audio_file": "errors files audio storage",
    "frontend": "errors files audio",
    "decision": "errors files audio frontend",
    "frontend_onnx": "errors files protobuf audio frontend",
    "container": "errors files protobuf audio frontend",
    "bundle": "errors files audio frontend decision container",
    "hop_scorer": "errors files audio frontend decision container bundle",
    "detector": "errors files audio frontend decision container bundle hop_scorer",
    "runtime": "errors files audio storage audio_file frontend frontend_onnx decision container bundle "
    "hop_scorer detector",
    "engine": "errors files freed_memory storage",
    "data": "errors files torch_threads audio storage audio_file frontend engine",
    "voices": "errors files audio storage audio_file frontend engine data",
    "model": "errors",
    "training": "errors files torch_threads ranks audio storage audio_file frontend engine data model",
    "evaluation": "errors files torch_threads audio storage audio_file frontend decision container bundle hop_scorer "
    "detector engine data",
    "report": "errors files audio storage audio_file frontend decision data evaluation",
    "export": "errors files audio frontend decision container bundle model evaluation",
    "search": "errors",
    "recipe": "errors files audio storage audio_file frontend decision data model training search",
    "pipeline": "errors files freed_memory ranks audio storage audio_file frontend frontend_onnx decision container "
    "bundle hop_scorer detector runtime engine data voices model training evaluation report export search recipe uyan",
    "cli": "errors files freed_memory ranks audio storage audio_file frontend frontend_onnx decision container "
    "bundle hop_scorer detector runtime engine data voices model training evaluation report export search recipe "
    "pipeline uyan",
    "uyan": "errors bundle detector",
}
"""A layer is a module or a package directly below src/uyan; "uyan" is `__init__.py` itself."""

RUNTIME = [
    "errors",
    "files",
    "protobuf",
    "audio",
    "storage",
    "audio_file",
    "frontend",
    "frontend_onnx",
    "decision",
    "container",
    "bundle",
    "hop_scorer",
    "detector",
    "runtime",
    "uyan",
]
RUNTIME_PACKAGES = {"numpy", "onnxruntime", "soundfile", "soxr"}
"""All that `pip install uyan` needs to listen (the command line, in `cli`, adds its own)."""
ADAPTER_PACKAGES = {
    "uyan.storage.remote": {"fsspec"},
    "uyan.storage.web": {"fsspec"},
    "uyan.storage.local_copies": {"filelock"},
    "uyan.runtime.devices": {"sounddevice"},
    "uyan.runtime.wyoming_events": {"wyoming"},
    "uyan.runtime.wyoming_stream": {"wyoming"},
    "uyan.runtime.wyoming_server": {"wyoming"},
    "uyan.runtime.announcement": {"zeroconf"},
}
"""What an extra brings, for the files that are nothing without it."""

Imports = dict[str, set[str]]
"""Module → the modules it imports; "uyan.data.cache" for our own, "torch" for a package of others."""


def module_name(file: Path, source: Path) -> str:
    parts = file.relative_to(source.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def read_imports(source: Path) -> Imports:
    """Every import statement below the folder, wherever it stands in its file."""
    files = {module_name(file, source): file for file in sorted(source.rglob("*.py"))}
    return {name: set(_imported(file, name, files)) for name, file in files.items()}


def _imported(file: Path, name: str, files: dict[str, Path]) -> Iterator[str]:
    package = name.split(".") if file.name == "__init__.py" else name.split(".")[:-1]
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            # `from uyan.cli import data` names a module, `from uyan.bundle import load` what is in one.
            targets = [f"{base}.{alias.name}" if f"{base}.{alias.name}" in files else base for alias in node.names]
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("importlib.import_module", "__import__"):
            targets = [ast.literal_eval(node.args[0])]
        else:
            continue
        yield from (target if _is_ours(target) else target.split(".")[0] for target in targets)


def _is_ours(module: str) -> bool:
    return module.split(".")[0] == "uyan"


def layer(module: str) -> str:
    return module.split(".")[1] if "." in module else module


def forbidden(imports: Imports) -> list[str]:
    """Imports of our own modules that the table does not allow."""
    return [
        f"{module} imports {target}"
        for module, targets in imports.items()
        for target in sorted(targets)
        if _is_ours(target) and layer(target) not in (layer(module), *MAY_IMPORT.get(layer(module), "").split())
    ]


def foreign(imports: Imports) -> list[str]:
    """Packages of others that a runtime layer imports beyond the four and those of an adapter's extra."""
    allowed = RUNTIME_PACKAGES | set(sys.stdlib_module_names)
    return [
        f"{module} imports {target}"
        for module, targets in imports.items()
        for target in sorted(targets)
        if layer(module) in RUNTIME and not _is_ours(target)
        if target not in allowed | ADAPTER_PACKAGES.get(module, set())
    ]


def cycle(imports: Imports) -> list[str]:
    """One cycle of files, or nothing."""
    ours = {module: {target for target in targets if _is_ours(target)} for module, targets in imports.items()}
    try:
        TopologicalSorter(ours).prepare()
    except CycleError as found:
        return list(found.args[1])
    return []


@pytest.fixture(scope="module")
def imports() -> Imports:
    return read_imports(SOURCE)


def test_the_table_has_a_row_for_every_layer_and_no_other(imports: Imports) -> None:
    assert {layer(module) for module in imports} == set(MAY_IMPORT)


def test_the_table_itself_goes_only_leftwards() -> None:
    assert cycle({f"uyan.{row}": {f"uyan.{other}" for other in MAY_IMPORT[row].split()} for row in MAY_IMPORT}) == []


def test_imports_go_only_where_the_table_allows(imports: Imports) -> None:
    assert forbidden(imports) == []


def test_nothing_imports_the_command_line(imports: Imports) -> None:
    outside = {module: targets for module, targets in imports.items() if layer(module) != "cli"}
    assert [m for m, targets in outside.items() if any(layer(t) == "cli" for t in targets if _is_ours(t))] == []


def test_no_file_imports_itself_by_a_detour(imports: Imports) -> None:
    assert cycle(imports) == []


def test_the_runtime_needs_four_packages_and_no_more(imports: Imports) -> None:
    assert foreign(imports) == []
    used = {target for module, targets in imports.items() if layer(module) in RUNTIME for target in targets}
    assert used >= RUNTIME_PACKAGES


def test_every_module_named_in_an_import_exists(imports: Imports) -> None:
    assert {target for targets in imports.values() for target in targets if _is_ours(target)} <= set(imports)


PLANTED = {
    "__init__.py": "from uyan.bundle import load\nfrom . import audio\n",
    "errors.py": "def lazily():\n    from uyan.cli import main\n",
    "audio.py": "import typing\nif typing.TYPE_CHECKING:\n    from uyan.frontend import log_mel\n",
    "frontend.py": "import uyan.audio\nimport numpy.fft\n",
    "bundle.py": "import json\ndef lazily():\n    import torch.nn\n",
    "cli/__init__.py": "",
    "cli/main.py": "import typer\nfrom uyan.errors import UyanError\n",
    "data/__init__.py": "",
    "data/cache.py": "from ..model import network\nfrom .manifest import rows\nfrom ..frontend import log_mel\n",
    "data/manifest.py": "import importlib\nimportlib.import_module('uyan.detector')\n",
    "model/__init__.py": "",
    "model/network.py": "import torch\ntry:\n    from uyan import bundle\nexcept ImportError:\n    pass\n",
    "detector.py": "",
}


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Imports:
    source = tmp_path_factory.mktemp("planted") / "uyan"
    for name, text in PLANTED.items():
        file = source / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return read_imports(source)


def test_planted_violations_are_found_however_they_are_written(planted: Imports) -> None:
    assert sorted(forbidden(planted)) == [
        "uyan imports uyan.audio",
        "uyan.audio imports uyan.frontend",
        "uyan.data.cache imports uyan.model.network",
        "uyan.data.manifest imports uyan.detector",
        "uyan.errors imports uyan.cli.main",
        "uyan.model.network imports uyan.bundle",
    ]


def test_planted_packages_are_found(planted: Imports) -> None:
    assert foreign(planted) == ["uyan.bundle imports torch"]


def test_a_planted_cycle_is_found(planted: Imports) -> None:
    found = cycle(planted)
    assert found[0] == found[-1]
    assert set(found) in ({"uyan.audio", "uyan.frontend"}, {"uyan.errors", "uyan.cli.main"})
