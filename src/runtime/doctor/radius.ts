import { AddressSet } from '../../protocol/bytes/address-set.js';
import { readRadiusSecret, SHORT_SECRET } from '../radius/secret-file.js';
import type { Computer } from './computer.js';
import { error, type Finding, findingsOf, warning } from './finding.js';
import { hiddenFindings } from './folders.js';

const CLIENTS = 'radius.clients';

interface ClientSection {
  readonly name: string;
  readonly from: readonly string[];
  readonly 'secret-file'?: string | undefined;
}

interface RadiusSection {
  readonly listen: readonly string[];
  readonly clients: readonly ClientSection[];
}

type Needs = Pick<Computer, 'files' | 'user' | 'service'>;

/** Checks the clients of RADIUS and the files with their secrets. */
export async function radiusFindings({ listen, clients }: RadiusSection, computer: Needs): Promise<Finding[]> {
  const named = clients.map((client) => [keyOf(client), client['secret-file']] as const);
  const secrets = await Promise.all(clients.map((client) => secretFindings(client, computer)));
  return [...useFindings(listen, clients), ...overlaps(clients), ...hiddenFindings(named, computer), ...secrets.flat()];
}

function useFindings(listen: readonly string[], clients: readonly ClientSection[]): Finding[] {
  if (listen.length > 0 && clients.length === 0) {
    return [
      warning(CLIENTS, 'the server listens for RADIUS, but has no client', 'list the clients, or remove radius.listen'),
    ];
  }
  if (listen.length === 0 && clients.length > 0) {
    return [warning('radius.listen', 'RADIUS clients are listed, but the server does not listen', 'set radius.listen')];
  }
  return [];
}

/** Networks of one client within those of another: which secret applies is easily overlooked. */
function overlaps(clients: readonly ClientSection[]): Finding[] {
  return clients.flatMap(({ name, from }) =>
    clients
      .filter((other) => other.name !== name)
      .flatMap((other) => {
        const within = other.from.find((network) => from.some((wide) => contains(wide, network)));
        if (within === undefined) return [];
        const what = `${within} of ${other.name} is within a network of ${name}; there the secret of ${other.name} applies`;
        return [warning(`${CLIENTS}.${name}.from`, what, 'use networks that do not overlap, if this is not meant')];
      }),
  );
}

/** Whether a network contains another, narrower one. */
function contains(wide: string, narrow: string): boolean {
  const [, wideLength] = wide.split('/');
  const [address = '', length] = narrow.split('/');
  if (wideLength === undefined) return false;
  return (length === undefined || Number(length) > Number(wideLength)) && new AddressSet([wide]).has(address);
}

async function secretFindings(client: ClientSection, { files, user }: Needs): Promise<Finding[]> {
  const key = keyOf(client);
  const path = client['secret-file'];
  // Only RadSec.
  if (path === undefined) return [];
  const remedy = `openssl rand -hex 16 > ${path}`;
  const exists = await files.stat(path).then(
    () => true,
    ({ code }: NodeJS.ErrnoException) => code !== 'ENOENT',
  );
  if (exists && !(await files.may(path, 'read'))) {
    return [error(key, `${user} cannot read ${path}`, `chgrp ${user} ${path} && chmod 640 ${path}`)];
  }
  try {
    const secret = await readRadiusSecret(key, path);
    const { length } = secret;
    secret.wipe();
    if (length >= SHORT_SECRET) return [];
    return [warning(key, `the secret in ${path} has ${length} octets and can be found by trying`, remedy)];
  } catch (failure) {
    return findingsOf(failure, key, remedy);
  }
}

function keyOf({ name }: ClientSection): string {
  return `${CLIENTS}.${name}.secret-file`;
}
