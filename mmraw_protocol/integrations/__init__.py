"""Other software speaks mmraw: one module for each, importing it only where it is used.

`renderers` and `client` stand on the renderer's side, `vllm` on the server's, `transformers` on the
trainer's.
"""
