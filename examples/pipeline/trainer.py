"""The trainer's side: rollouts in, verified pixels beside their tokens out."""

import argparse
import json
from collections.abc import Iterator
from typing import Any

from tokens import PAD

from mmraw_protocol import Materializer, MMRawError, open_store, parse_features
from mmraw_protocol.conversation.placeholders import check_placeholders


def batches(rollouts: str, materializer: Materializer) -> Iterator[dict[str, Any]]:
    """One batch a line: tokens, and for each picture its pixels and where its tokens stand."""
    with open(rollouts) as file:
        for line in file:
            row = json.loads(line)
            features = parse_features(row["features"])
            for modality, places in features.mm_placeholders.items():
                check_placeholders(row["prompt_ids"], places, pad_token_id=PAD, modality=modality)
            images = [
                (slot.placeholder, materializer.materialize(slot.ref, mm_hash=slot.mm_hash))
                for slot in features.slots()
            ]
            yield {"prompt_ids": row["prompt_ids"], "images": images, "answer": row["answer"]}


def main() -> int:
    """Prints what each batch holds; 1 where a rollout is refused."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rollouts")
    parser.add_argument("--store", required=True)
    args = parser.parse_args()
    materializer = Materializer(open_store(args.store, run_id="exp42", create=False))
    try:
        for batch in batches(args.rollouts, materializer):
            sizes = [f"{image.width}x{image.height}" for _, image in batch["images"]]
            print(f"{len(batch['prompt_ids'])} tokens, {', '.join(sizes)}, {batch['answer']}")
    except MMRawError as error:
        print(f"refused: {error}")
        return 1
    stats = materializer.stats()
    print(f"{stats.misses} pictures decoded, {stats.hits} from the cache")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
