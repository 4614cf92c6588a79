import type { HomeOperations } from '../protocol/home/alphabet.js';
import type { Lease } from '../protocol/home/records.js';
import type { UpkeepOperations } from '../protocol/home/upkeep.js';
import { newMark, termOf } from './duties.js';
import type { Dated, Stored } from './operation.js';
import type { Context } from './rows.js';

type EndSession = Dated<HomeOperations['endSession']>;
type Expire = Dated<UpkeepOperations['expire']>;

/** What pana_duty and pana_write_duty need: `marks` are those of the hooks `down`. Without marks no duties are stored. */
export function dutyArguments(context: Context, now: number, marks: number) {
  const { holder } = context;
  return {
    marks: holder?.hooks === true ? Array.from({ length: marks }, () => newMark(context)) : [],
    server: holder?.server,
    run: holder?.run,
    heldUntil: holder && now + termOf(holder),
  };
}

/** The operation `endSession` by pana_end_session. */
export const storedEndSession: Stored<EndSession[0], EndSession[1]> = {
  function: 'pana_end_session',
  request({ sessionId, origin, unconfirmed, now = undefined }, context) {
    const present = now ?? context.now();
    return {
      session: sessionId,
      origin: origin?.toLowerCase(),
      now: present,
      mark: unconfirmed === true && context.holder ? newMark(context) : undefined,
      ...dutyArguments(context, present, 1),
    };
  },
  result: (answer) => answer as EndSession[1],
};

/** The operation `expire` by pana_expire. */
export const storedExpire: Stored<Expire[0], Expire[1]> = {
  function: 'pana_expire',
  request({ limit, now }, context) {
    const present = now ?? context.now();
    return { now: present, limit, ...dutyArguments(context, present, limit) };
  },
  result: (answer) => answer as Lease[],
};
