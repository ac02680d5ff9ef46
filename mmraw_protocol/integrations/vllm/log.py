"""Where the plugin logs."""

import logging

#: Below vLLM's own, which shows what is logged.
logger = logging.getLogger("vllm.mmraw")
