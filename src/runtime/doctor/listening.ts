import { constants } from 'node:fs';
import { isIP } from 'node:net';
import { dirname } from 'node:path';
import { unguarded } from '../service/barrier.js';
import { groupNumber } from '../system/user-group.js';
import type { Computer, RunningDaemon } from './computer.js';
import { error, type Finding, findingsOf } from './finding.js';
import { folderFindings } from './folders.js';

const { S_IFMT, S_IFSOCK } = constants;

/** An address and port that a daemon listens on. */
export interface Place {
  readonly key: string;
  readonly protocol: 'udp' | 'tcp';
  readonly address: string;
  /** 0: any free one. */
  readonly port: number;
}

type Needs = Pick<Computer, 'udp' | 'transport' | 'readAddresses' | 'user'>;

/** Checks that addresses and ports can be listened on, by opening and closing them, or that the daemon has them. */
export async function listeningFindings(
  places: readonly Place[],
  running: RunningDaemon | undefined,
  computer: Needs,
): Promise<Finding[]> {
  const findings: Finding[] = [];
  const seen = new Set<string>();
  for (const place of places) {
    const { key, address, port, protocol } = place;
    const name = `${address} port ${port}`;
    if (seen.has(`${protocol} ${name}`)) {
      findings.push(error(key, `${name} is listed twice`, 'list it once'));
      continue;
    }
    seen.add(`${protocol} ${name}`);
    if (running?.listening?.includes(name)) continue;
    try {
      await tried(place, computer);
    } catch (failure) {
      findings.push(...(await explained(place, failure, running, computer)));
    }
  }
  return findings;
}

async function tried({ protocol, address, port }: Place, { udp, transport }: Needs): Promise<void> {
  if (protocol === 'udp') {
    const socket = await udp.open({ address, port }, () => undefined);
    await socket.close();
    return;
  }
  const onIncoming = (_from: string, drop: () => void) => {
    drop();
    return { accepted: (made: { reset(): void }) => made.reset(), closed: () => undefined };
  };
  const listener = await transport.listen({ address, port }, onIncoming, unguarded);
  await listener.close();
}

async function explained(
  { key, protocol, address, port }: Place,
  failure: unknown,
  running: RunningDaemon | undefined,
  { readAddresses, user }: Needs,
): Promise<Finding[]> {
  const place = `${address} port ${port}`;
  switch ((failure as NodeJS.ErrnoException).code) {
    case 'EADDRINUSE': {
      // The daemon that runs does not tell its status to this user, and to nobody where its metrics and page are.
      if (running && (running.listening === undefined || key.startsWith('control.'))) return [];
      const tool = `ss -l${protocol === 'udp' ? 'u' : 't'}np 'sport = :${port}'`;
      return [error(key, `another program has ${place}`, `find it with ${tool}`)];
    }
    case 'EADDRNOTAVAIL': {
      const family = isIP(address.split('%', 1)[0] ?? '');
      const own = (await readAddresses()).filter((one) => isIP(one.address) === family).map((one) => one.address);
      const has = own.length > 0 ? `it has ${own.slice(0, 8).join(', ')}` : 'it has none of this family';
      return [error(key, `this host does not have ${address}; ${has}`, 'correct it, or add it to an interface')];
    }
    case 'EACCES':
    case 'EPERM':
      return [
        error(
          key,
          `${user} may not open ${place}`,
          'a port below 1024 needs root or CAP_NET_BIND_SERVICE, which the systemd unit gives',
        ),
      ];
    default:
      return findingsOf(failure, key, 'correct the address').map((one) => ({ ...one, where: key }));
  }
}

/** The places of the metrics and of the web page: `127.0.0.1:9108`, `[::1]:9108`. */
export function controlPlaces({
  metrics,
  web,
}: {
  readonly metrics?: string | undefined;
  readonly web?: string | undefined;
}): Place[] {
  return [...placesAt('control.metrics', metrics), ...placesAt('control.web', web)];
}

function placesAt(key: string, text: string | undefined): Place[] {
  if (text === undefined) return [];
  const colon = text.lastIndexOf(':');
  const address = text.slice(0, colon).replaceAll(/[[\]]/g, '');
  return [{ key, protocol: 'tcp', address, port: Number(text.slice(colon + 1)) }];
}

/** Checks that the control socket can be created, unless the daemon that runs has it, and given to its group. */
export async function controlFindings(
  { socket, group }: { readonly socket: string; readonly group?: string | undefined },
  running: RunningDaemon | undefined,
  computer: Pick<Computer, 'files' | 'user' | 'groups' | 'service'>,
): Promise<Finding[]> {
  return [...(await groupFindings(group, computer)), ...(await socketFindings(socket, running, computer))];
}

/** A process may give a file to its own groups, and root to any, unless its service has not the capability. */
async function groupFindings(
  group: string | undefined,
  { user, groups, service }: Pick<Computer, 'user' | 'groups' | 'service'>,
): Promise<Finding[]> {
  if (group === undefined) return [];
  let number: number;
  try {
    number = await groupNumber(group, 'control.group');
  } catch {
    return [error('control.group', `there is no group ${group} in /etc/group`, `groupadd --system ${group}`)];
  }
  const given = service ? [service.group, ...service.moreGroups] : [];
  const isRoot = user === 'root' && (!service || service.bounds.includes('cap_chown'));
  if (isRoot || groups.includes(number) || given.includes(group) || given.includes(String(number))) return [];
  const remedy = service ? 'install the drop-in operators.conf' : `usermod --append --groups ${group} ${user}`;
  return [error('control.group', `${user} is not in the group ${group}, and may not give it the socket`, remedy)];
}

async function socketFindings(
  socket: string,
  running: RunningDaemon | undefined,
  computer: Pick<Computer, 'files' | 'user' | 'service'>,
): Promise<Finding[]> {
  if (running) return [];
  const folder = await folderFindings('control.socket', dirname(socket), computer, { isPrivate: false });
  if (folder.length > 0) return folder;
  const found = await computer.files.stat(socket).catch(() => undefined);
  if (!found || (found.mode & S_IFMT) === S_IFSOCK) return [];
  return [error('control.socket', `${socket} exists and is not a socket`, 'configure another path, or move it away')];
}
