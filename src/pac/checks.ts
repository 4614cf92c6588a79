import type { Check } from '../runtime/doctor/check.js';
import { clockFindings } from '../runtime/doctor/clock.js';
import type { Computer, RunningDaemon } from '../runtime/doctor/computer.js';
import { credentialFindings, identityFindings, namedFiles } from '../runtime/doctor/credentials.js';
import { error, type Finding, foreign, warning } from '../runtime/doctor/finding.js';
import { configurationFindings, folderFindings } from '../runtime/doctor/folders.js';
import { type ConfiguredHook, hookChecks } from '../runtime/doctor/hooks.js';
import { controlFindings, controlPlaces, listeningFindings } from '../runtime/doctor/listening.js';
import { webFindings } from '../runtime/doctor/web.js';
import { interfaceWarning } from '../runtime/net/interface-check.js';
import { readCredentials } from './credentials.js';
import { discoverPaas } from './discovery.js';
import { eapVariables } from './mobile-node.js';
import type { PacOptions } from './options.js';
import { paaFindings } from './paa-trial.js';

/** The checks of a PaC. `file`: where its configuration is from. */
export function pacChecks(options: PacOptions, file: string | undefined, computer: Computer): Check[] {
  const { pana, eap, tls, hooks, control, mobility } = options;
  const { host } = computer;
  const running = computer.running(control.socket);
  const stateDir = hooks['state-dir'];
  const mn: ConfiguredHook = {
    key: 'hooks.mn',
    program: hooks.mn,
    role: 'mn',
    stateDir,
    interface: pana.interface,
    variables: mobility['home-address'] === 'ikev2' || mobility.discovery !== 'pana' ? eapVariables(options) : {},
  };
  const places = controlPlaces(control);
  return [
    { name: 'configuration', run: () => configurationFindings(file, false, computer) },
    { name: 'pana', run: () => settingsFindings(options) },
    {
      name: 'certificates',
      run: () =>
        credentialFindings(
          namedFiles('tls', tls),
          async () => (await readCredentials(options, host)).used,
          computer,
          (used) => identityFindings(used, eap.identity),
        ),
    },
    {
      name: 'state-dir',
      run: () =>
        hooks.mn === undefined ? [] : folderFindings('hooks.state-dir', stateDir, computer, { isPrivate: true }),
    },
    { name: 'control socket', run: async () => controlFindings(control, await running, computer) },
    { name: 'web page', run: () => webFindings(control, computer) },
    ...hookChecks([mn, { key: 'hooks.services', program: hooks.services, role: 'mn', stateDir }], computer),
    { name: 'pana.interface', run: () => interfaceFindings(pana.interface, computer) },
    { name: 'ports', isActive: true, run: async () => listeningFindings(places, await running, computer) },
    { name: 'address', isActive: true, run: () => addressFindings(options, computer) },
    { name: 'authentication', isActive: true, run: async () => failureFindings(await running) },
    { name: 'clock', isActive: true, run: () => clockFindings(computer) },
    {
      name: 'PAA',
      isActive: true,
      // A PAA with which there is a session answers.
      run: async () => ((await running)?.state === 'OPEN' ? [] : allPaaFindings(options, computer)),
    },
  ];
}

/** Why the running daemon cannot authenticate: `doctor` itself does not try. */
function failureFindings(running: RunningDaemon | undefined): Finding[] {
  if (!running?.lastFailure) return [];
  const { reason, detail } = running.lastFailure;
  const why = foreign(detail ?? reason);
  if (reason === 'server-name') {
    return [
      error(
        'tls.server-name',
        `the last authentication failed: ${why}`,
        'correct it, or issue a certificate with this name for the AAA server: pana-mip6 pki issue NAME --server HOST',
      ),
    ];
  }
  const remedy = reason === 'refused' ? 'the log of pana-aaa says why' : 'see docs/troubleshooting.md';
  return [error('eap', `the last authentication failed (${foreign(reason)}): ${why}`, remedy)];
}

function interfaceFindings(name: string | undefined, { hasInterface }: Computer): Finding[] {
  const missing = interfaceWarning(name, hasInterface);
  return missing === undefined ? [] : [warning('pana.interface', missing, 'compare: ip link')];
}

function settingsFindings({ pana, hooks, mobility }: PacOptions): Finding[] {
  const lower = pana.paa.map((address) => address.toLowerCase());
  const findings: Finding[] = [];
  if (new Set(lower).size < lower.length) {
    findings.push(warning('pana.paa', 'an address is listed twice', 'list it once'));
  }
  if (!pana.initiate && pana['local-port'] === 0) {
    findings.push(
      warning('pana.local-port', 'the PAA has to begin, and cannot know the port', 'set it, usually to 716'),
    );
  }
  if (mobility.mode === 'required' && hooks.mn === undefined) {
    findings.push(error('hooks.mn', 'Mobile IPv6 is required, and no hook sets it up', 'set hooks.mn'));
  }
  if (mobility['home-address'] === 'ikev2' && mobility['home-agent'] !== 'home') {
    findings.push(
      error(
        'mobility.home-agent',
        `a ${mobility['home-agent']} home agent does not deliver home addresses by IKEv2`,
        'set it to home, or mobility.home-address to pana',
      ),
    );
  }
  if (mobility['home-address'] === 'ikev2' && !mobility.ike.includes('ikev2')) {
    findings.push(error('mobility.ike', 'mobility.home-address is ikev2, and mobility.ike does not have it', 'add it'));
  }
  return findings;
}

/** Whether the access link has an address. */
async function addressFindings({ pana }: PacOptions, { readAddresses, hasInterface }: Computer): Promise<Finding[]> {
  const { interface: access, 'local-address': local } = pana;
  const addresses = await readAddresses();
  if (local !== undefined && !addresses.some(({ address }) => address === local.split('%', 1)[0])) {
    return [error('pana.local-address', `this host does not have ${local}`, 'correct it, or add it to an interface')];
  }
  if (access === undefined || !hasInterface(access)) return [];
  const own = addresses.filter((one) => one.interface === access && one.unusable === undefined);
  if (own.length > 0) return [];
  return [error('pana.interface', `${access} has no usable address`, `compare: ip address show dev ${access}`)];
}

async function allPaaFindings(options: PacOptions, computer: Computer): Promise<Finding[]> {
  const { pana } = options;
  const paas = await discoverPaas({
    configured: pana.paa,
    file: pana['discovery-file'],
    defaultRouter: pana['default-router'],
    access: pana.interface,
  });
  if (paas.length === 0 && pana.initiate) {
    return [error('pana.paa', 'no PAA is configured or discovered, and there is no default router', 'set pana.paa')];
  }
  return (await Promise.all(paas.map((paa) => paaFindings(paa, options, computer)))).flat();
}
