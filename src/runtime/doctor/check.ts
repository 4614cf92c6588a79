import { within } from '../system/within.js';
import type { Computer } from './computer.js';
import { type Finding, findingsOf, warning } from './finding.js';

/** One check of a configuration and its computer. */
export interface Check {
  /** What is checked, as `doctor` names it. */
  readonly name: string;
  /** Whether it opens sockets, runs programs, or asks other hosts. `check-config` leaves these out. */
  readonly isActive?: boolean;
  run(): Promise<readonly Finding[]> | readonly Finding[];
}

/** How long one check may take, in milliseconds. */
const CHECK_TIME = 20_000;

/** Runs all checks at the same time. Passes the findings of each to `onFindings`, in the order of the checks. */
export async function examine(
  checks: readonly Check[],
  computer: Pick<Computer, 'host'>,
  onFindings: (findings: readonly Finding[]) => void = () => undefined,
): Promise<Finding[]> {
  const all: Finding[] = [];
  for (const work of checks.map((check) => completed(check, computer))) {
    const findings = await work;
    onFindings(findings);
    all.push(...findings);
  }
  return all;
}

async function completed(check: Check, { host }: Pick<Computer, 'host'>): Promise<readonly Finding[]> {
  let findings: readonly Finding[] = [
    warning(
      check.name,
      `this check did not end within ${CHECK_TIME / 1000} s`,
      'look whether a file system or program hangs',
    ),
  ];
  const run = async () => {
    findings = await check.run();
  };
  await within(
    run().catch((failure: unknown) => {
      findings = failed(check, failure);
    }),
    CHECK_TIME,
    host,
  );
  return findings;
}

function failed({ name }: Check, failure: unknown): readonly Finding[] {
  try {
    return findingsOf(failure, name, 'correct this, and check again');
  } catch {
    const text = failure instanceof Error ? failure.message : String(failure);
    return [warning(name, `this check failed: ${text}`, 'report this as a fault of pana-mip6')];
  }
}
