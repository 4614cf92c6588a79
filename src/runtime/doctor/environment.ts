import { closest, distance } from 'fastest-levenshtein';
import type { z } from 'zod';
import { environmentName, optionKeys } from '../config/options.js';
import { type Finding, warning } from './finding.js';

/** Variables of the product that are no keys of a configuration. */
const OTHERS = ['CONFIG'];

/** The prefixes of all daemons. */
const DAEMONS = ['PANA_PAC', 'PANA_PAA', 'PANA_AAA'];

/** A name at most this many edits away is suggested. */
const NEAR = 4;

/** Environment variables that look like keys of this daemon's configuration and are none. */
export function environmentFindings(
  schema: z.ZodObject,
  prefix: string,
  environment: Readonly<Record<string, string | undefined>>,
): Finding[] {
  const known = [
    ...optionKeys(schema).map(({ name }) => environmentName(prefix, name)),
    ...OTHERS.map((name) => `${prefix}_${name}`),
  ];
  return Object.keys(environment)
    .filter((name) => environment[name] !== undefined && !known.includes(name) && isMeant(name, prefix))
    .map((name) => {
      const near = closest(name.toUpperCase().replaceAll(/[.-]/g, '_'), known);
      const isNear = distance(name.toUpperCase(), near) <= NEAR;
      const remedy = isNear ? `did you mean ${near}?` : `remove it; "run --help" lists the variables of this daemon`;
      return warning(name, 'this environment variable is no key of the configuration, and is ignored', remedy);
    });
}

/** Whether a variable seems to be meant for this daemon. Those of the other daemons may be in the same environment. */
function isMeant(name: string, prefix: string): boolean {
  const upper = name.toUpperCase().replaceAll(/[.-]/g, '_');
  if (!/^PANA_?(PAC|PAA|AAA|MIP6)?_/.test(upper)) return false;
  return !DAEMONS.some((other) => other !== prefix && upper.startsWith(`${other}_`));
}
