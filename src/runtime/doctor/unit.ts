import type { Computer, ServiceUnit } from './computer.js';

/** The properties that `systemctl show` is asked for. */
export const UNIT_PROPERTIES = [
  'LoadState',
  'User',
  'Group',
  'SupplementaryGroups',
  'AmbientCapabilities',
  'CapabilityBoundingSet',
  'Environment',
] as const;

/** Reads what `systemctl show` prints of a unit; undefined: the unit is not installed. */
export function unitOf(text: string): ServiceUnit | undefined {
  const values = new Map(
    text.split('\n').flatMap((line): [string, string][] => {
      const at = line.indexOf('=');
      return at < 0 ? [] : [[line.slice(0, at), line.slice(at + 1)]];
    }),
  );
  if (values.get('LoadState') !== 'loaded') return undefined;
  const user = values.get('User') || 'root';
  return {
    user,
    group: values.get('Group') || user,
    moreGroups: (values.get('SupplementaryGroups') ?? '').split(/\s+/).filter((name) => name !== ''),
    capabilities: capabilitiesOf(values.get('AmbientCapabilities')),
    bounds: capabilitiesOf(values.get('CapabilityBoundingSet')),
    environment: environmentOf(values.get('Environment') ?? ''),
  };
}

function capabilitiesOf(text = ''): string[] {
  return text.split(/\s+/).filter((name) => /^cap_[a-z_]+$/.test(name));
}

/** systemd separates assignments by blanks, and quotes those that contain one. */
function environmentOf(text: string): Record<string, string> {
  const words = text.match(/"(?:[^"\\]|\\.)*"|\S+/g) ?? [];
  const plain = words.map((word) => word.replace(/^"(.*)"$/s, '$1').replaceAll(/\\(.)/gs, '$1'));
  return Object.fromEntries(
    plain.flatMap((word): [string, string][] => {
      const at = word.indexOf('=');
      return at < 1 ? [] : [[word.slice(0, at), word.slice(at + 1)]];
    }),
  );
}

/** Variables that a service gets although its unit does not set them. */
const KEPT = ['PATH', 'LANG', 'TERM', 'COLUMNS'];

/**
 * The command with which root runs a program as the user of a service, with the same groups, capabilities and
 * environment (setpriv of util-linux).
 */
export function commandAs(
  unit: ServiceUnit,
  program: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): { readonly words: readonly string[]; readonly environment: Readonly<Record<string, string>> } {
  const capabilities = unit.capabilities.map((name) => `+${name.replace(/^cap_/, '')}`).join(',');
  const own = KEPT.flatMap((name): [string, string][] => {
    const value = environment[name];
    return value === undefined ? [] : [[name, value]];
  });
  return {
    words: [
      'setpriv',
      `--reuid=${unit.user}`,
      `--regid=${unit.group}`,
      '--init-groups',
      '--no-new-privs',
      `--bounding-set=-all${capabilities === '' ? '' : `,${capabilities}`}`,
      ...(capabilities === '' ? [] : [`--inh-caps=${capabilities}`, `--ambient-caps=${capabilities}`]),
      ...program,
    ],
    environment: { ...Object.fromEntries(own), ...unit.environment },
  };
}

/**
 * The computer as root sees it for the user of a service: which files that user may access. If that is root, or without
 * setpriv, it is as root sees it for itself.
 */
export async function computerFor(unit: ServiceUnit, computer: Computer): Promise<Computer> {
  if (unit.user === 'root') return { ...computer, service: unit };
  const asUser = (...program: readonly string[]) => {
    const { words } = commandAs(unit, program, computer.environment);
    const [command = '', ...rest] = words;
    return computer.output(command, rest);
  };
  const groups = await asUser('id', '-G');
  if (groups === undefined) return computer;
  const may = async (path: string, what: 'read' | 'write' | 'execute') =>
    (await asUser('test', { read: '-r', write: '-w', execute: '-x' }[what], path)) !== undefined;
  const files = { ...computer.files, may };
  return { ...computer, files, user: unit.user, groups: groups.trim().split(' ').map(Number), service: unit };
}
