/** Turns of the event loop without background work after which it counts as quiet. */
const CALM = 5;

/** Names of requests to the thread pool: files and name look-ups. */
const WORK = /^FSReq|ReqWrap$/;

/**
 * Resolves when promises and work of the thread pool, such as file operations, have caused nothing new for some turns.
 */
export async function quiet(): Promise<void> {
  for (let calm = 0; calm < CALM; ) {
    await new Promise((resolve) => setImmediate(resolve));
    calm = process.getActiveResourcesInfo().some((name) => WORK.test(name)) ? 0 : calm + 1;
  }
}
