"""Generated from spec/ by `python -m codegen`; do not edit."""
