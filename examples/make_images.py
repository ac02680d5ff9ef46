"""Makes examples/images from the picture files of scikit-image.

usage: python examples/make_images.py FOLDER    (FOLDER holds coffee.png, chelsea.png, rocket.jpg,
camera.png, horse.png: skimage/data of a scikit-image 0.26 wheel)
"""

import sys
from pathlib import Path

from PIL import Image, ImageDraw

TARGET = Path(__file__).parent / "images"
EXIF_ORIENTATION = 0x0112


def main(folder: Path) -> None:
    """One file of each kind that a reader of images must get right."""
    coffee = Image.open(folder / "coffee.png").convert("RGB")
    coffee.save(TARGET / "coffee.jpg", quality=80)

    cat = Image.open(folder / "chelsea.png").convert("RGB").resize((226, 150))
    mask = Image.new("L", cat.size, 0)
    ImageDraw.Draw(mask).ellipse((13, 3, 213, 147), fill=255)
    cat.putalpha(mask)
    cat.save(TARGET / "cat_alpha.png", optimize=True)

    Image.open(folder / "rocket.jpg").convert("RGB").save(TARGET / "rocket.webp", quality=70)

    # Stored lying on its side; a viewer that applies EXIF shows it upright.
    camera = Image.open(folder / "camera.png").convert("L").crop((0, 0, 512, 384))
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = 6
    camera.rotate(90, expand=True).save(TARGET / "camera_exif6.jpg", quality=80, exif=exif)

    Image.open(folder / "horse.png").convert("1").save(TARGET / "horse.gif")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
