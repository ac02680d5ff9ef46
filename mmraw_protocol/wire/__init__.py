"""The wire: refs, envelopes, features and the texts they are made of. Needs msgspec alone."""
