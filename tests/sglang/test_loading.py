"""The plugin by SGLang's own loading of plugins, and what stops a start."""

# pyright: reportMissingImports=false

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from checkpoints import make_nemotron
from engine import Engine, images_of, manager_of, variables

from mmraw_protocol import MMRawError, get_adapter
from mmraw_protocol.integrations.sglang import model, plugin


def test_load_plugins_hooks_every_name(plugins: set[str]) -> None:
    assert plugins == {*plugin.TARGETS}


def test_names_that_were_imported_before_are_bound_to_the_hooks(plugins: set[str]) -> None:
    from sglang.srt.managers import multimodal_processor, tokenizer_manager

    assert tokenizer_manager.get_mm_processor is multimodal_processor.get_mm_processor
    assert tokenizer_manager.get_mm_processor.__wrapped__ is not None


@pytest.mark.parametrize("named", ["", "another"])
def test_without_its_name_in_sglang_plugins_it_does_nothing(
    named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SGLANG_PLUGINS", named)
    monkeypatch.setattr(plugin, "TARGETS", {"no.such.name": "processor.made"})
    plugin.register()


def test_a_name_that_is_not_there_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = {"sglang.srt.plugins.no_such_name": "processor.made"}
    monkeypatch.setattr(plugin, "TARGETS", missing)
    with pytest.raises(SystemExit, match=r"no_such_name.*0\.5\.20 to 0\.5\.23"):
        plugin.register()


def test_an_old_sglang_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sglang.__version__", "0.5.19")
    with pytest.raises(SystemExit, match=r"0\.5\.20 to 0\.5\.23"):
        plugin.register()


def test_the_process_of_an_old_sglang_ends_in_load_plugins(tmp_path: Path) -> None:
    """SGLang itself only logs what a plugin raises."""
    program = (
        "import sglang; sglang.__version__ = '0.5.1'\n"
        "from sglang.srt.plugins import load_plugins\n"
        "load_plugins(); print('started')\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    ended = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True
    )
    assert ended.returncode == 1
    assert "mmraw cannot start in SGLang" in ended.stderr
    assert "started" not in ended.stdout


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"MMRAW_FAMILY": "kimi_k25"}, "invalid_config"),
        ({"MMRAW_FAMILIES": "kimi_k25"}, "unsupported_option"),
        ({"MMRAW_STORE": "/no/such/store"}, "store_invalid"),
        ({"MMRAW_IDENTITY": "mm_hash"}, "unsupported_option"),
        ({"MMRAW_NO_SUCH": "1"}, "unsupported_option"),
    ],
)
def test_what_stops_a_start(qwen: Engine, settings: dict[str, str], code: str) -> None:
    with variables(settings), pytest.raises(MMRawError) as caught:
        manager_of(qwen.folder)
    assert caught.value.code == code


def test_a_model_that_sglang_lays_out_otherwise_stops_a_start(tmp_path: Path) -> None:
    """Nemotron-H Omni: SGLang rounds to other sizes than Transformers and vLLM."""
    with variables({}), pytest.raises(MMRawError, match="trial image") as caught:
        manager_of(make_nemotron(tmp_path / "nemotron"))
    assert caught.value.code in ("grid_mismatch", "placeholder_mismatch")


def test_a_processor_that_counts_otherwise_stops_a_start(
    qwen: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = get_adapter("qwen_vl", {"min_pixels": 1024})
    monkeypatch.setattr(model, "server_adapter", lambda *_: other)
    with variables({}), pytest.raises(MMRawError, match="trial image of 64x48") as caught:
        manager_of(qwen.folder)
    assert caught.value.code == "grid_mismatch"


@pytest.mark.parametrize(
    ("role", "options"),
    [
        ("tokenizer", {"tokenizer_worker_num": 2}),
        ("encoder", {"encoder_only": True, "tp_size": 2}),
        ("encoder", {"encoder_only": True, "dp_size": 2}),
    ],
)
def test_processes_without_plugins_stop_a_start(
    qwen: Engine, role: str, options: dict[str, Any]
) -> None:
    """SGLang loads no plugins into them, so refs would be refused in its own words."""
    from sglang.srt import runtime_context
    from sglang.srt.server_args import ServerArgs

    arguments = ServerArgs(model_path=str(qwen.folder), device="cpu", **options)
    with pytest.raises(MMRawError, match="loads no plugins") as caught:
        runtime_context.publish(arguments, role=role)
    assert caught.value.code == "unsupported_option"


def test_an_encoder_of_several_workers_stops_before_it_starts_them(qwen: Engine) -> None:
    """By SGLang's own way from the command to its workers."""
    from sglang.srt.disaggregation.encoder import http_server
    from sglang.srt.server_args import ServerArgs

    arguments = ServerArgs(model_path=str(qwen.folder), device="cpu", encoder_only=True, dp_size=2)
    with pytest.raises(MMRawError, match="--dp-size"):
        http_server.launch_server(arguments)


def test_a_schedulers_own_processor_stays_as_it_is(
    qwen: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sglang.srt.managers.multimodal_processor import get_mm_processor

    monkeypatch.setenv("MMRAW_STORE", "/no/such/store")
    made = get_mm_processor(
        qwen.processor.hf_config,
        qwen.manager.server_args,
        qwen.processor._processor,
        "default",
        skip_mm_pool=True,
    )
    assert "process_mm_data_async" not in vars(made)


def test_layout_parameters_of_the_command_line_count(qwen: Engine) -> None:
    options = {"mm_process_config": {"image": {"max_pixels": 65536 * 2}}}
    with variables({}):
        manager = manager_of(qwen.folder, **options)
    expected = get_adapter("qwen_vl", {"max_pixels": 65536 * 2})
    assert images_of(manager).adapter.fingerprint() == expected.fingerprint()
