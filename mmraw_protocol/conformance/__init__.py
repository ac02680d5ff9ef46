"""The conformance protocol, version 1: any implementation, in any language, held by the same cases.

Source: spec/README.md, section "Conformance".
"""

from .harness import answer, implementation, serve

__all__ = ["answer", "implementation", "serve"]
