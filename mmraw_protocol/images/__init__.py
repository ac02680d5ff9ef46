"""Images: where their bytes come from, what their headers say, how they are decoded.

Source: spec/README.md, section "Images".
"""

from .decode import decode_rgb
from .header import ImageHeader, extension_of, read_header
from .pixels import DecodedImage
from .source import ImageSource

__all__ = [
    "DecodedImage",
    "ImageHeader",
    "ImageSource",
    "decode_rgb",
    "extension_of",
    "read_header",
]
