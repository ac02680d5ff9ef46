"""Files of the wire, and the tests that guard them."""

WIRE = "mmraw_protocol/wire"
SCAN, JSON, CHECK, BASE64 = (
    f"{WIRE}/json_scan.py",
    f"{WIRE}/json.py",
    f"{WIRE}/check.py",
    f"{WIRE}/base64.py",
)
URL, OPAQUE, ITEM = f"{WIRE}/data_url.py", f"{WIRE}/check.py", f"{WIRE}/item.py"
READ, WRITE, STREAM = f"{WIRE}/ref_read.py", f"{WIRE}/ref_write.py", f"{WIRE}/ref_stream.py"
MODEL, BATCH = f"{WIRE}/features_model.py", f"{WIRE}/features_batch.py"
BUILD, BODY = f"{WIRE}/features_build.py", f"{WIRE}/features_read.py"
CHECKS, DIALECTS = f"{WIRE}/_generated/checks.py", f"{WIRE}/_generated/dialects.py"

MODALITY = "tests/test_modality.py"
STRICT = "tests/test_strict_json.py"
REFUSES = "tests/test_codec.py -k strict_json_refuses"
UNWRITTEN = "tests/test_codec.py -k never_written"
COUNTED = "tests/test_codec.py -k values_are_counted"
BASE = "tests/test_codec.py -k base64"
LIMITS = "tests/test_limits.py"
SPELLING = "tests/test_spelling.py"
WRITING = "tests/test_writing.py"
PAYLOADS = "tests/test_spelling.py -k rules_of_their_family"
READERS = "tests/test_canonical_readers.py"
FAULTS = "tests/test_features.py -k fault_is_named"

DEVICE = "|[Cc][Oo][Mm][1-9]"
LPT = "|[Ll][Pp][Tt][1-9])"
TENSORS = "tests/test_refs.py -k processed_tensors"
