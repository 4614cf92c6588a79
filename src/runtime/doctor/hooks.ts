import { homedir } from 'node:os';
import { isAbsolute } from 'node:path';
import type { HookOutcome } from '../../protocol/hooks/alphabet.js';
import { type HookRole, type HookVariables, hookEnvironment } from '../../protocol/hooks/contract.js';
import type { Check } from './check.js';
import type { Computer } from './computer.js';
import { error, type Finding, findingsOf, foreign, warning } from './finding.js';

/** A hook of a configuration. */
export interface ConfiguredHook {
  /** `hooks.mn` */
  readonly key: string;
  readonly program: string | undefined;
  readonly role: HookRole;
  readonly stateDir: string;
  readonly interface?: string | undefined;
  /** The home agents that a hook may be asked to test; undefined: it has none. */
  readonly homeAgents?: (() => Promise<readonly HookVariables[]>) | undefined;
  /** Of the event `test`, beside the interface. */
  readonly variables?: HookVariables | undefined;
}

/** How much of a hook is read to see its interpreter and its events, in octets. */
const HEAD = 8_192;

/** The comment with which a hook declares that it takes the event `test`. */
const TAKES_TEST = /^# Events:.*\btest\b/m;

/** It is asked about each home agent. */
const TESTS_EACH = /^# Events:.*\btest of each home agent\b/m;

/** Limit of the home agents that are tested. */
const MAX_HOME_AGENTS = 50;

/** How long a hook may take for `test`, in milliseconds, and how long after SIGTERM. */
const TEST_TIME = 10_000;
const KILL_AFTER = 2_000;

/** Lines of output that are shown of a failed test. */
const SHOWN_LINES = 5;

const WRITE_BY_OTHERS = 0o002;

type Needs = Pick<Computer, 'files' | 'user' | 'hookProcesses' | 'host'>;

/** The checks of these hooks. */
export function hookChecks(hooks: readonly ConfiguredHook[], computer: Computer): Check[] {
  return [
    ...hooks.map((hook) => ({ name: hook.key, run: () => hookFindings(hook, computer) })),
    ...hooks.map((hook) => ({ name: `${hook.key} test`, isActive: true, run: () => hookTestFindings(hook, computer) })),
  ];
}

/** Checks that a hook is there and can be executed. */
async function hookFindings({ key, program }: ConfiguredHook, computer: Needs): Promise<Finding[]> {
  if (program === undefined) return [];
  const { files, user } = computer;
  if (!isAbsolute(program)) {
    return [error(key, `${program} is a relative path, and hooks run in /`, 'configure its absolute path')];
  }
  const found = await files.stat(program).catch((failure: unknown) => failure);
  if (found instanceof Error) {
    return findingsOf(found, key, 'correct the path; the shipped hooks are in /usr/local/share/pana-mip6/hooks').map(
      (one) => ({ ...one, where: key, what: `cannot run ${program}: ${(found as NodeJS.ErrnoException).code}` }),
    );
  }
  const { mode, isFile } = bound(found as Awaited<ReturnType<typeof files.stat>>);
  if (!isFile) return [error(key, `${program} is not a file`, 'configure the path of a program')];
  const open =
    (mode & WRITE_BY_OTHERS) === 0
      ? []
      : [error(key, `every user of this host can change ${program}`, `chmod o-w ${program}`)];
  if (!(await files.may(program, 'execute'))) {
    return [
      ...open,
      error(key, `${user} may not execute ${program}`, `chmod +x ${program}, unless its file system is mounted noexec`),
    ];
  }
  return [...open, ...(await contentFindings(key, program, computer))];
}

function bound(found: { readonly mode: number; isFile(): boolean }) {
  return { mode: found.mode, isFile: found.isFile() };
}

async function contentFindings(key: string, program: string, { files, user }: Needs): Promise<Finding[]> {
  if (!(await files.may(program, 'read'))) {
    return [error(key, `${user} may not read ${program}, which its interpreter needs`, `chmod a+r ${program}`)];
  }
  const octets = await files.head(program, HEAD);
  // An executable of the system.
  if (octets[0] === 0x7f) return [];
  const text = Buffer.from(octets).toString('utf8');
  const [, interpreter] = /^#! *([^\s]+)/.exec(text) ?? [];
  if (interpreter === undefined) {
    return [error(key, `${program} has no first line that names its interpreter`, 'begin it with #!/bin/sh')];
  }
  const [first = ''] = text.split('\n', 1);
  if (first.endsWith('\r')) {
    return [error(key, `the lines of ${program} end with CR LF`, `sed -i 's/\\r$//' ${program}`)];
  }
  if (!(await files.may(interpreter, 'execute'))) {
    return [error(key, `${program} needs ${foreign(interpreter)}, which cannot be executed`, 'install it')];
  }
  return [];
}

/** Runs a hook with the event `test` if it declares that: whether it has the programs and permissions that it needs. */
async function hookTestFindings(hook: ConfiguredHook, computer: Needs): Promise<Finding[]> {
  const { program } = hook;
  if (program === undefined || !isAbsolute(program) || !(await computer.files.may(program, 'execute'))) return [];
  const head = await computer.files.head(program, HEAD).catch(() => new Uint8Array());
  const text = Buffer.from(head).toString('utf8');
  if (!TAKES_TEST.test(text)) return [];
  const agents = TESTS_EACH.test(text) ? ((await hook.homeAgents?.()) ?? []) : [];
  const each = agents.length === 0 ? [{}] : agents.slice(0, MAX_HOME_AGENTS);
  const findings = await Promise.all(each.map((agent) => testFindings(hook, agent, program, computer)));
  // What all of them lack is reported once.
  const byText = new Map(findings.flat().map((finding) => [finding.what, finding]));
  return [...byText.values()];
}

async function testFindings(
  { key, role, stateDir, interface: access, variables: own }: ConfiguredHook,
  agent: HookVariables,
  program: string,
  computer: Needs,
): Promise<Finding[]> {
  const variables = { interface: access, ...own, ...agent };
  const environment = hookEnvironment('test', role, variables, { home: homedir(), stateDir });
  const { outcome, lines } = await tested(
    { program, event: 'test', environment, stateDir, input: undefined, psk: undefined },
    computer,
  );
  const said = lines.slice(-SHOWN_LINES).map((line) => foreign(line.replace(/^error: /, '')));
  if (!outcome.ok) {
    const why = said.length > 0 ? said.join('; ') : outcome.reason;
    return [error(key, `${program} test fails: ${why}`, 'correct what it names; hooks.conf is in hooks.state-dir')];
  }
  return lines
    .filter((line) => line.startsWith('warning: '))
    .map((line) => warning(key, foreign(line.slice('warning: '.length)), 'see docs/hooks.md'));
}

/** Runs the hook with a time limit. */
function tested(
  call: Parameters<Computer['hookProcesses']['start']>[0],
  { hookProcesses, host }: Needs,
): Promise<{ readonly outcome: HookOutcome; readonly lines: readonly string[] }> {
  return new Promise((resolve) => {
    const lines: string[] = [];
    let cancel: () => void = () => undefined;
    let isLate = false;
    const process = hookProcesses.start(call, {
      line: (line) => lines.push(line),
      ended: (outcome) => {
        cancel();
        const late = `it did not end within ${TEST_TIME / 1000} s`;
        resolve({
          outcome: isLate ? { ok: false, milliseconds: TEST_TIME, reason: late } : outcome,
          lines: isLate ? [] : lines,
        });
      },
      fault: () => undefined,
    });
    cancel = host.after(TEST_TIME, () => {
      isLate = true;
      process.kill('SIGTERM');
      cancel = host.after(KILL_AFTER, () => process.kill('SIGKILL'));
    });
  });
}
