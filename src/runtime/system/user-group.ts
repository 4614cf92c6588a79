import { readFile } from 'node:fs/promises';
import { OperatorError } from './failure.js';

/** The system's list of groups. */
const GROUPS = '/etc/group';

/**
 * The number of a group that is given by its number or by its name in /etc/group. `option`: the configuration key, for the
 * message. Rejects with OperatorError if there is no such group.
 */
export async function groupNumber(group: string, option: string, file = GROUPS): Promise<number> {
  if (/^\d{1,9}$/.test(group)) return Number(group);
  const lines = (await readFile(file, 'utf8')).split('\n').map((line) => line.split(':'));
  const number = lines.find(([name]) => name === group)?.[2];
  if (number !== undefined && /^\d{1,10}$/.test(number)) return Number(number);
  throw new OperatorError(
    `${option}: no group ${group} in ${file}: create it, or give the number of a group of another directory`,
  );
}
