"""Guards of a server's settings, of its start and of what it logs."""

from guard import Guard

SHARED = "mmraw_protocol/integrations/serving"
SETTINGS = f"{SHARED}/settings.py"
VARIABLES = f"{SHARED}/environment.py"
ENGINE = f"{SHARED}/engine.py"
PLUGIN = "mmraw_protocol/integrations/vllm/plugin.py"
LOG = f"{SHARED}/log.py"
SET = "tests/test_serving_settings.py"
START = "tests/test_vllm_start.py"
SEEN = "tests/test_vllm_operations.py"

GUARDS = [
    Guard(
        "names that are no settings stop the start",
        VARIABLES,
        "if word not in words:",
        "if False:",
        f"{SET} -k another_name",
    ),
    Guard(
        "a store that is missing is not made",
        SETTINGS,
        '"create": self.store_create}',
        '"create": True}',
        f"{SET} -k on_demand",
    ),
    Guard(
        "a run's folder that is missing stops the start",
        SETTINGS,
        "if not self.store_create:",
        "if False:",
        f"{SET} -k runs_that",
    ),
    Guard(
        "limits below 1 stop the start",
        SETTINGS,
        "msgspec.structs.astuple(self.limits))) < 1:",
        "msgspec.structs.astuple(self.limits))) < -9:",
        f"{SET} -k cannot_be_meant",
    ),
    Guard(
        "families that do not exist stop the start",
        SETTINGS,
        "if named and named - {*families()}:",
        "if False:",
        f"{SET} -k families_that",
    ),
    Guard(
        "the model's family is an allowed one",
        SETTINGS,
        "if self.families is not None and family not in self.families:",
        "if False:",
        f"{SET} -k not_allowed",
    ),
    Guard(
        "the largest image fits into what all may hold",
        SETTINGS,
        "if need > self.inflight_bytes - files:",
        "if False:",
        f"{SET} -k largest_one",
    ),
    Guard(
        "a server whose largest image never fits does not start",
        "mmraw_protocol/integrations/vllm/endpoint.py",
        "served.images.check_room(served.most_tokens)",
        "pass",
        f"{START} -k never_read",
    ),
    Guard(
        "no epoch where names are hashes",
        SETTINGS,
        'if found.identity == "mm_hash" and found.epoch:',
        "if False:",
        f"{SET} -k contradict",
    ),
    Guard(
        "an older vLLM does not start",
        ENGINE,
        "if numbers < self.oldest:",
        "if False:",
        f"{START} -k too_old",
    ),
    Guard(
        "who did not ask for the plugin gets vLLM without it",
        PLUGIN,
        'if NAME in os.environ.get(PLUGINS_ENV, "").split(","):',
        "if True:",
        f"{START} -k did_not_ask",
    ),
    Guard(
        "what a client calls its request forges no line",
        LOG,
        '_ID.sub("?", request_id or "-")',
        '(request_id or "-")',
        f"{SEEN} -k forge",
    ),
    Guard(
        "refusals fill no log",
        LOG,
        "if self._written >= _MOST:",
        "if False:",
        f"{SEEN} -k flood",
    ),
]
