"""Guards of images: headers, memory, workers."""

from guard import HANGS, Guard

DECODE = "mmraw_protocol/images/pixels.py"
FAULTS = "mmraw_protocol/images/faults.py"
HEADER = "mmraw_protocol/images/header.py"
ISOLATION = "mmraw_protocol/images/isolation.py"
MEMORY = "mmraw_protocol/images/memory.py"
NOTEBOOK = "mmraw_protocol/materialize/notebook.py"
SOURCE = "mmraw_protocol/images/source.py"
WORKER = "mmraw_protocol/images/worker.py"

GUARDS = [
    Guard(
        "frames",
        DECODE,
        'if header.frames != 1 and frames != "first":',
        "if False:",
        "tests/test_images.py -k frame",
    ),
    Guard(
        "pixels before decoding",
        HEADER,
        "if width * height > limits.image_pixels:",
        "if False:",
        "tests/test_images.py -k limits_are_held",
    ),
    Guard(
        "sides before decoding",
        HEADER,
        "if max(width, height) > limits.image_side:",
        "if False:",
        "tests/test_images.py -k limits_are_held",
    ),
    Guard(
        "checksums and ends",
        DECODE,
        "check_whole(data, header.format, limits, path)",
        "pass",
        "tests/test_images.py -k verdict",
    ),
    Guard(
        "memory of pixels",
        MEMORY,
        "_WEBP = 16",
        "_WEBP = 8",
        "tests/test_decoding_memory.py -k lossless",
    ),
    Guard(
        "memory of coefficients",
        MEMORY,
        "max(_coefficients(data, head), converted)",
        "converted",
        "tests/test_decoding_memory.py -k CMYK",
    ),
    Guard(
        "memory of scans that stand apart",
        MEMORY,
        "and in_scan >= frame[5]:",
        "and True:",
        "tests/test_decoding_memory.py -k separate",
    ),
    Guard(
        "memory of unpacked texts",
        MEMORY,
        "growth += 12 * length + 5 * unpacked",
        "growth += 12 * length",
        "tests/test_decoding_memory.py -k many",
    ),
    Guard(
        "workers for what takes too much",
        "mmraw_protocol/images/decode.py",
        '(isolation == "auto" and fits_bound(data, limits))',
        'isolation == "auto"',
        "tests/test_isolation.py -k needs_a_worker",
    ),
    Guard(
        "memory in a worker",
        WORKER,
        "is_own_bound = _bound_memory(base, request.memory_bytes)",
        "is_own_bound = True",
        "tests/test_isolation.py -k memory",
    ),
    Guard(
        "time in a worker",
        ISOLATION,
        "elif left <= _LOOK_SECONDS or is_abandoned():",
        "elif is_abandoned():",
        "tests/test_isolation.py -k sleep",
        seconds=HANGS,
    ),
    Guard(
        "a worker that decodes for nobody is ended",
        "mmraw_protocol/materialize/awaited.py",
        "given_up.set()",
        "pass",
        "tests/test_awaited_cache.py -k nobody_wants",
        seconds=HANGS,
    ),
    Guard(
        "sizes a worker gives",
        ISOLATION,
        "if not 0 < size <= 3 * job.limits.image_pixels:",
        "if False:",
        "tests/test_isolation.py -k lie",
    ),
    Guard(
        "pixels a worker gives",
        ISOLATION,
        "if len(rgb) != size:",
        "if False:",
        "tests/test_isolation.py -k short",
    ),
    Guard(
        "workers end with their parent",
        WORKER,
        "    _end_with_parent(setup.life)\n",
        "",
        "tests/test_isolation.py -k outlives",
    ),
    Guard(
        "faults of the system are not the image's",
        FAULTS,
        "return error.errno is not None",
        "return False",
        "tests/test_machine_faults.py -k limit",
    ),
    Guard(
        "faults of memory are not the image's",
        FAULTS,
        "_MACHINES = (MemoryError, RecursionError, ImportError)",
        "_MACHINES = ()",
        "tests/test_machine_faults.py -k only_what",
    ),
    Guard(
        "other code's exceptions are not the image's",
        FAULTS,
        " and not _is_foreign(error)",
        "",
        "tests/test_machine_faults.py -k other_code",
    ),
    Guard(
        "a killed worker is not the image's fault",
        ISOLATION,
        "if code in _CRASHES:",
        "if True:",
        "tests/test_isolation.py -k crash_is_one",
    ),
    Guard(
        "Pillow with settings of our own",
        HEADER,
        "from .own_pillow import GifImagePlugin,",
        "from PIL import GifImagePlugin,",
        "tests/test_other_code_settings.py -k verdict",
    ),
    Guard(
        "sources are read to their end",
        SOURCE,
        "while most > 0 and (part := file.read(most)):",
        "if most > 0 and (part := file.read(most)):",
        "tests/test_machine_faults.py -k its_end",
    ),
    Guard(
        "notebooks show a text as text",
        NOTEBOOK,
        "return escape(text if",
        "return (text if",
        "tests/test_notebooks.py -k escaped",
    ),
    Guard(
        "notebooks show no other picture than a ref names",
        NOTEBOOK,
        "from ..stores.verify import read_verified\n",
        "read_verified = lambda ref: __import__('base64').b64decode(ref.raw_uri.split(',')[1])\n",
        "tests/test_notebooks.py -k another_image",
    ),
]
