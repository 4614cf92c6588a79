/** Milliseconds of a clock that is never set: the same in all threads of a process, which `performance.now` is not. */
export function monotonic(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
