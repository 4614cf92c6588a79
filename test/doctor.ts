import { writeFile } from 'node:fs/promises';
import { stringify } from 'yaml';
import { aaaChecks } from '../dist/aaa/checks.js';
import { aaaSchema } from '../dist/aaa/config/options.js';
import { paaChecks } from '../dist/paa/checks.js';
import { paaSchema } from '../dist/paa/options.js';
import { pacChecks } from '../dist/pac/checks.js';
import { pacSchema } from '../dist/pac/options.js';
import { preChecks } from '../dist/pre/checks.js';
import { preSchema } from '../dist/pre/options.js';
import { diagnose } from '../dist/runtime/cli/doctor-command.js';
import { type Computer, type Files, systemComputer } from '../dist/runtime/doctor/computer.js';
import { type Finding, lineOf } from '../dist/runtime/doctor/finding.js';
import type { Network, Tree } from './mistakes.js';

const DAEMONS = {
  'pana-aaa': { prefix: 'PANA_AAA', schema: aaaSchema, checks: aaaChecks },
  'pana-paa': { prefix: 'PANA_PAA', schema: paaSchema, checks: paaChecks },
  'pana-pre': { prefix: 'PANA_PRE', schema: preSchema, checks: preChecks },
  'pana-pac': { prefix: 'PANA_PAC', schema: pacSchema, checks: pacChecks },
} as const;

/** Parts of the computer in place of the real ones. */
export type Parts = Partial<Omit<Computer, 'files'>> & { readonly files?: Partial<Files> };

/** What `doctor` finds with the configuration of a network, changed by `over`, on this computer with other `parts`. */
export async function findings(
  network: Network,
  daemon: keyof typeof DAEMONS,
  over: Tree = {},
  parts: Parts = {},
): Promise<Finding[]> {
  const config = network.path(`${daemon}-doctor.yaml`);
  await writeFile(config, stringify(network.tree(daemon, over)));
  return findingsIn(config, daemon, parts);
}

/** The same for a file. */
export function findingsIn(config: string, daemon: keyof typeof DAEMONS, parts: Parts = {}): Promise<Finding[]> {
  const system = systemComputer();
  const own: Parts = { environment: {}, user: 'pana', output: () => Promise.resolve(undefined), ...parts };
  const computer = { ...system, ...own, files: { ...system.files, ...own.files } } as Computer;
  const program = DAEMONS[daemon];
  return diagnose({ config }, { name: daemon, ...program } as unknown as Parameters<typeof diagnose>[1], computer);
}

/** The findings as `doctor` prints them. */
export async function lines(...given: Parameters<typeof findings>): Promise<string[]> {
  return (await findings(...given)).map(lineOf);
}
