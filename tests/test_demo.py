"""The demo: the main job on real pictures."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from mmraw_protocol.cli import main
from mmraw_protocol.conformance.vectors import vectors_folder
from mmraw_protocol.demo import example_pictures
from mmraw_protocol.images import ImageSource
from mmraw_protocol.wire._generated.families import FAMILIES

README = Path(__file__).parent.parent / "README.md"


class Outline(HTMLParser):
    """Collects what a browser would load, and how many pictures it would draw."""

    def __init__(self) -> None:
        super().__init__()
        self.pictures = 0
        self.references: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.pictures += tag == "image"
        self.references += [value or "" for name, value in attrs if name in ("href", "src")]


def test_every_picture_comes_back_on_every_route(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo", "--json", "--out", str(tmp_path)]) == 0
    result = json.loads(capsys.readouterr().out)
    routes = {(j["family"], j["storage"], j["dialect"]) for j in result["journeys"]}
    assert len(routes) == 3 * len(FAMILIES)
    for journey in result["journeys"]:
        assert journey["turns"] == [3, 5]
        assert [step["identical"] for step in journey["steps"]] == [True] * 5
        ranges = [(s["placeholder_offset"], s["placeholder_length"]) for s in journey["steps"]]
        assert ranges == sorted(ranges)
    codes = [refusal["code"] for refusal in result["refused"]]
    assert codes == ["hash_mismatch", "invalid_raw_image_id", "grid_mismatch"]


def test_the_rows_are_the_same_in_every_folder_and_the_report_stands_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo", "--out", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    (row,) = re.findall(r"^    (coffee\.jpg .*)$", README.read_text("utf-8"), re.M)
    assert row in shown.splitlines()
    assert "135 of 135 images came back identical" in shown
    outline = Outline()
    outline.feed((tmp_path / "report.html").read_text())
    assert outline.pictures == 5 * len(FAMILIES)
    assert all(reference.startswith("data:image/") for reference in outline.references)


def test_one_picture_of_ones_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = vectors_folder() / "images" / "rgb_320x200.jpg"
    assert main(["demo", str(picture), "--out", str(tmp_path)]) == 0
    assert "27 of 27 images" in capsys.readouterr().out


def test_a_file_that_is_no_picture_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("not a picture")
    assert main(["demo", str(file), "--out", str(tmp_path)]) == 1
    assert "image_undecodable" in capsys.readouterr().err


def test_the_example_pictures_are_of_many_kinds() -> None:
    headers = [ImageSource.open(path).header for path in example_pictures()]
    assert {header.format for header in headers} == {"jpeg", "png", "webp", "gif"}
    assert "RGBA" in {header.mode for header in headers}
    assert sum(path.stat().st_size for path in example_pictures()) < 400_000
