import { isArray, isObject } from "./values.js";

/** What a container holds, keys apart; null for a leaf. */
export function children(value: unknown): readonly unknown[] | null {
  if (isArray(value)) return value;
  return isObject(value) ? Object.values(value) : null;
}

/** Every value below `value` with its depth, without recursion. */
export function* walk(value: unknown): Generator<{ item: unknown; depth: number }> {
  const stack = [{ item: value, depth: 1 }];
  for (let top = stack.pop(); top !== undefined; top = stack.pop()) {
    yield top;
    for (const child of children(top.item) ?? []) stack.push({ item: child, depth: top.depth + 1 });
  }
}
