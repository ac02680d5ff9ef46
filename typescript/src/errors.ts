import { HTTP_STATUS } from "./generated/errors.js";
import type { ErrorCode } from "./generated/errors.js";

/** The one error that refused input gives. Its message never repeats the input. */
export class MMRawError extends Error {
  override readonly name = "MMRawError";

  /**
   * @param code One of the codes of `urn:mmraw:errors:v1`.
   * @param reason At most 200 printable ASCII characters that help a person.
   * @param path Where in the document, in the form `$.kwargs_data.image[0]`; `$` is the whole.
   */
  constructor(
    readonly code: ErrorCode,
    readonly reason: string,
    readonly path: string = "$",
  ) {
    super(`${code} at ${path}: ${reason}`);
  }

  /** The HTTP status that a server answers with. */
  get httpStatus(): number {
    return HTTP_STATUS[this.code];
  }

  /** The same error, with `prefix` before its path. */
  withPathPrefix(prefix: string): MMRawError {
    return new MMRawError(this.code, this.reason, prefix + this.path.replace(/^\$/, ""));
  }
}

/** Runs `work`; an MMRawError that it throws is seen from `prefix`. */
export function within<T>(prefix: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw error instanceof MMRawError && prefix !== "$" ? error.withPathPrefix(prefix) : error;
  }
}
