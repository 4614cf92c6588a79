/** Turns of the event loop without work in the background before it counts as quiet. */
const CALM = 5;

/** Names of what runs in the thread pool: files and name look-ups. */
const WORK = /^FSReq|ReqWrap$/;

/** Resolves when promises, and files and other work of the thread pool, have led to nothing more for some turns. */
export async function quiet(): Promise<void> {
  for (let calm = 0; calm < CALM; ) {
    await new Promise((resolve) => setImmediate(resolve));
    calm = process.getActiveResourcesInfo().some((name) => WORK.test(name)) ? 0 : calm + 1;
  }
}
