import { readDiameterTls, usedForDiameter } from '../runtime/diameter/setup.js';
import type { Check } from '../runtime/doctor/check.js';
import { clockFindings } from '../runtime/doctor/clock.js';
import type { Computer } from '../runtime/doctor/computer.js';
import { credentialFindings, hostFindings, namedFiles, serverFindings } from '../runtime/doctor/credentials.js';
import { diameterFindings } from '../runtime/doctor/diameter.js';
import { type Finding, findingsOf } from '../runtime/doctor/finding.js';
import { configurationFindings, folderFindings } from '../runtime/doctor/folders.js';
import { type ConfiguredHook, hookChecks } from '../runtime/doctor/hooks.js';
import { controlFindings, controlPlaces, listeningFindings, type Place } from '../runtime/doctor/listening.js';
import { peersCheck } from '../runtime/doctor/peers.js';
import { radiusFindings } from '../runtime/doctor/radius.js';
import { webFindings } from '../runtime/doctor/web.js';
import { readRadiusTls } from '../runtime/radius/tls.js';
import { isPostgresUrl } from '../store/backend.js';
import { checkStore } from '../store/postgres-url.js';
import type { AaaOptions } from './config/options.js';
import { readCredentials } from './credentials.js';
import { usedForRadSec } from './radius-clients.js';
import { hookTargets, storeFileFindings, storeFindings } from './store-findings.js';

/** The checks of an AAA server. `file`: where its configuration is from. */
export function aaaChecks(options: AaaOptions, file: string | undefined, computer: Computer): Check[] {
  const { diameter, tls, hooks, control, store } = options;
  const { host } = computer;
  const running = computer.running(control.socket);
  const stateDir = hooks['state-dir'];
  const homeAgents = () => hookTargets(store, computer);
  const all: readonly ConfiguredHook[] = [
    { key: 'hooks.ha', program: hooks.ha, role: 'ha', stateDir, homeAgents },
    { key: 'hooks.services', program: hooks.services, role: 'ha', stateDir },
    { key: 'hooks.probe', program: hooks.probe, role: 'ha', stateDir, homeAgents },
  ];
  const hasPassword = isPostgresUrl(store) && /^[^/]*\/\/[^/@]*:[^/@]+@/.test(store);
  const node = { host: diameter.host, realm: diameter.realm, vendorId: diameter['vendor-id'] };
  return [
    { name: 'configuration', run: () => configurationFindings(file, hasPassword, computer) },
    { name: 'diameter', run: () => diameterFindings({ ...diameter, hasRadius: options.radius.clients.length > 0 }) },
    {
      name: 'certificates of EAP',
      run: () =>
        credentialFindings(
          namedFiles('tls', tls),
          async () => [
            { ...(await readCredentials(options, host)), section: 'tls', files: tls, roles: ['server'] } as const,
          ],
          computer,
          serverFindings,
        ),
    },
    {
      name: 'certificates of Diameter',
      run: () =>
        credentialFindings(
          namedFiles('diameter.tls', diameter.tls),
          async () => usedForDiameter(diameter, await readDiameterTls(diameter, host)),
          computer,
          (used) => hostFindings(used, diameter.host),
        ),
    },
    { name: 'radius', run: () => radiusFindings(options.radius, computer) },
    {
      name: 'certificates of RadSec',
      run: () =>
        credentialFindings(
          namedFiles('radius.tls', options.radius.tls),
          async () => usedForRadSec(options.radius, await readRadiusTls(options.radius, host)),
          computer,
          serverFindings,
        ),
    },
    { name: 'store', run: () => locationFindings(store, computer) },
    { name: 'store file', run: () => storeFileFindings(store, computer) },
    { name: 'state-dir', run: () => folderFindings('hooks.state-dir', stateDir, computer, { isPrivate: true }) },
    { name: 'control socket', run: async () => controlFindings(control, await running, computer) },
    { name: 'web page', run: () => webFindings(control, computer) },
    ...hookChecks(all, computer),
    { name: 'store content', isActive: true, run: () => storeFindings(store, computer) },
    { name: 'ports', isActive: true, run: async () => listeningFindings(placesOf(options), await running, computer) },
    { name: 'clock', isActive: true, run: () => clockFindings(computer) },
    peersCheck(node, diameter, running, computer),
  ];
}

function locationFindings(store: string, { environment }: Computer): Finding[] {
  try {
    checkStore(store, environment);
    return [];
  } catch (failure) {
    return findingsOf(failure, 'store', 'correct the URL');
  }
}

function placesOf({ diameter, radius, control }: AaaOptions): Place[] {
  const { listen, port, plain, tls } = diameter;
  const tcp = (address: string, at: number) =>
    ({ key: 'diameter.listen', protocol: 'tcp', address, port: at }) as const;
  return [
    ...listen.flatMap((address) => [...(plain ? [tcp(address, port)] : []), ...(tls ? [tcp(address, tls.port)] : [])]),
    ...radius.listen.flatMap((address) =>
      [radius.port, radius['accounting-port']].map(
        (at) => ({ key: 'radius.listen', protocol: 'udp', address, port: at }) as const,
      ),
    ),
    ...controlPlaces(control),
  ];
}
