"""Compares what the SGLang plugin uses of SGLang, in the wheels of several versions.

usage: python3 tests/environments/sglang_names.py [--write FILE] VERSION …

Each wheel is downloaded and read; nothing of it is installed or run. The table says for each name
the parameters that it has in the first version, and in which versions it has others, or is missing.
With a name that is missing anywhere, the exit status is 1.
"""

from __future__ import annotations

import argparse
import ast
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

#: Modules of sglang.srt, and the functions, methods, classes, fields and attributes that are used.
NAMES: dict[str, tuple[str, ...]] = {
    "plugins": ("GENERAL_PLUGINS_GROUP", "load_plugins"),
    "environ": ("Envs.SGLANG_PLUGINS",),
    "arg_groups.fields.parallel": ("Parallel.dp_size", "Parallel.tp_size"),
    "arg_groups.fields.serving": ("Serving.tokenizer_worker_num",),
    "plugins.hook_registry": ("HookRegistry.register", "HookType.AROUND"),
    "managers.multimodal_processor": ("get_mm_processor",),
    "managers.tokenizer_manager": ("TokenizerManager._tokenize_one_request",),
    "managers.io_struct": (
        "GenerateReqInput.audio_data",
        "GenerateReqInput.image_data",
        "GenerateReqInput.input_ids",
        "GenerateReqInput.mm_content_hashes",
        "GenerateReqInput.mm_hashes",
        "GenerateReqInput.received_time",
        "GenerateReqInput.rid",
        "GenerateReqInput.stream",
        "GenerateReqInput.text",
        "GenerateReqInput.video_data",
    ),
    "managers.schedule_batch": (
        "MultimodalDataItem.feature",
        "MultimodalDataItem.hash",
        "MultimodalDataItem.is_image",
        "MultimodalDataItem.model_specific_data",
        "MultimodalDataItem.offsets",
        "MultimodalDataItem.set_hash",
        "MultimodalProcessorOutput.input_ids",
        "MultimodalProcessorOutput.mm_items",
    ),
    "multimodal.cache.identity": (
        "MediaSnapshot.content_digest",
        "media_preprocess_kwargs",
        "snapshot_media",
    ),
    "multimodal.processors.base_processor": (
        "BaseMultimodalProcessor._processor",
        "BaseMultimodalProcessor._tokenizer",
        "BaseMultimodalProcessor.clear_preprocess_cache",
        "BaseMultimodalProcessor.image_config",
        "BaseMultimodalProcessor.process_mm_data_async",
        "MultimodalSpecialTokens.image_token",
    ),
    "multimodal.processors.internvl": (
        "InternVLProcessor.IMAGE_MAX_NUM",
        "InternVLProcessor.num_image_token",
    ),
    "multimodal.processors.llava": (
        "LlavaMultimodalProcessor.inner",
        "LlavaMultimodalProcessor.process_mm_data_async",
    ),
    "disaggregation.encoder.preprocessor": (
        "EncoderPreprocessor.__init__",
        "EncoderPreprocessor._load_single_item",
        "EncoderPreprocessor.image_processor",
        "EncoderPreprocessor.model_config",
        "EncoderPreprocessor.vision_config",
    ),
    "disaggregation.encoder.server": ("BadRequestError", "InternalError"),
    "runtime_context": ("publish",),
    "utils.common": ("ImageData.content_hash", "ImageData.url"),
}
MISSING = "missing"


def wheel_of(version: str, folder: Path) -> zipfile.ZipFile:
    """The wheel of a version, as the registry has it."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--only-binary", ":all:", "--dest", str(folder), f"sglang=={version}"]
    subprocess.run(command, check=True, stdout=sys.stderr)
    (path,) = folder.glob(f"sglang-{version}-*.whl")
    return zipfile.ZipFile(path)


def names_in(wheel: zipfile.ZipFile) -> Iterator[tuple[str, str]]:
    """Each name with what `found_in` says of it."""
    files = {*wheel.namelist()}
    for module, names in NAMES.items():
        path = f"sglang/srt/{module.replace('.', '/')}"
        path = f"{path}.py" if f"{path}.py" in files else f"{path}/__init__.py"
        tree = ast.parse(wheel.read(path)) if path in files else ast.Module([], [])
        for name in names:
            yield f"{module}.{name}", found_in(tree, name)


def found_in(tree: ast.AST, name: str) -> str:
    """Describes a definition by a name of one or two parts: parameters, a text, or the kind.

    The kinds are `class`, `field` (of a class or module), `attribute` (given to `self`), `missing`.
    """
    node: ast.AST | None = tree
    for part in name.split("."):
        owner = node
        node = next((child for child in ast.iter_child_nodes(owner) if _is(child, part)), None)
        if node is None:
            return "attribute" if _is_given(owner, part) else MISSING
    if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
        return repr(node.value.value)
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return f"({', '.join(_parameters(node.args))})"
    return "class" if isinstance(node, ast.ClassDef) else "field"


def _is(node: ast.AST, name: str) -> bool:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return node.name == name
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return any(isinstance(target, ast.Name) and target.id == name for target in targets)


def _is_given(owner: ast.AST, name: str) -> bool:
    """True if methods of a class give `self` an attribute."""
    methods = [node for node in ast.iter_child_nodes(owner) if isinstance(node, ast.FunctionDef)]
    targets = (
        target
        for method in methods
        for node in ast.walk(method)
        if isinstance(node, ast.Assign)
        for target in node.targets
    )
    return any(ast.unparse(target) == f"self.{name}" for target in targets)


def _parameters(arguments: ast.arguments) -> Iterator[str]:
    yield from (argument.arg for argument in [*arguments.posonlyargs, *arguments.args])
    if arguments.vararg is not None:
        yield f"*{arguments.vararg.arg}"
    elif arguments.kwonlyargs:
        yield "*"
    yield from (argument.arg for argument in arguments.kwonlyargs)
    if arguments.kwarg is not None:
        yield f"**{arguments.kwarg.arg}"


def table(found: Mapping[str, Mapping[str, str]]) -> str:
    """A page in Markdown."""
    first, *others = found
    versions = ", ".join(found)
    lines = [
        "# Versions of SGLang",
        "",
        f"What the [SGLang plugin](sglang.md) uses of SGLang, in the wheels of {versions}.",
        "`make sglang-names` writes this page; it reads the wheels, and runs nothing of them.",
        "",
        f"| name below `sglang.srt` | in {first} | elsewhere |",
        "|---|---|---|",
    ]
    for name, said in found[first].items():
        differ = [f"{v}: `{found[v][name]}`" for v in others if found[v][name] != said]
        lines.append(f"| `{name}` | `{said}` | {'; '.join(differ) or 'the same'} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Prints or writes the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("versions", nargs="+")
    parser.add_argument("--write", type=Path)
    args = parser.parse_args()
    found: dict[str, dict[str, str]] = {}
    for version in args.versions:
        with tempfile.TemporaryDirectory() as folder, wheel_of(version, Path(folder)) as wheel:
            found[version] = dict(names_in(wheel))
    text = table(found)
    if args.write is None:
        print(text)
    else:
        args.write.write_text(text, encoding="utf-8")
    return int(any(MISSING in names.values() for names in found.values()))


if __name__ == "__main__":
    sys.exit(main())
