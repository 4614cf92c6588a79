import { expect, it } from 'vitest';
import { nasConfig, nasOrigin } from '../../src/paa/nas-config.js';
import { paaSchema } from '../../src/paa/options.js';
import { CAPABILITY } from '../../src/protocol/mip6/assignment.js';

const LOCAL = { prefix: '2001:db8:a::/64', address: '2001:db8:a::1', host: 'ha.access.example' };

/** The options of a PAA with these settings. */
function optionsOf({ pana, ...more }: { readonly pana?: object; readonly [section: string]: unknown } = {}) {
  const peers = [{ host: 'aaa.home.example', address: '192.0.2.1' }];
  return paaSchema.parse({
    diameter: { host: 'paa.access.example', realm: 'access.example', peers },
    pana: { listen: ['127.0.0.1'], prf: ['sha256', 'sha1'], integrity: ['sha256', 'sha1'], ...pana },
    ...more,
  });
}

it('The PAA offers a local home agent only if it has one, and no mobility if `mobility.offer` is false', () => {
  const offer = (more: Record<string, unknown>) => nasConfig(optionsOf(more)).paa.mobility;
  expect((offer({}) ?? 0) & CAPABILITY.LOCAL_HA).toBe(0);
  expect((offer({}) ?? 0) & CAPABILITY.HOME_HA).toBe(CAPABILITY.HOME_HA);
  const hooks = { ha: '/ha' };
  expect((offer({ 'local-home-agent': LOCAL, hooks }) ?? 0) & CAPABILITY.LOCAL_HA).toBe(CAPABILITY.LOCAL_HA);
  expect(offer({ mobility: { offer: false } })).toBeUndefined();
});

it('The PAA offers SHA-1 first if `pana.peers` is legacy', () => {
  const { paa } = nasConfig(optionsOf({ pana: { peers: 'legacy' } }));
  expect([paa.prf, paa.integrity]).toEqual([
    [2, 5],
    [7, 12],
  ]);
  const { paa: usual } = nasConfig(optionsOf());
  expect([usual.prf, usual.integrity]).toEqual([
    [5, 2],
    [12, 7],
  ]);
});

it('The NAS runs a hook for its enforcement point, exports keys, and begins EAP in PAR[S] only if so configured', () => {
  const plain = nasConfig(optionsOf());
  expect([plain.enforcement, plain.paa.exportKeys]).toEqual([undefined, false]);
  expect(nasConfig(optionsOf({ hooks: { ep: '/ep' } })).enforcement).toBeDefined();
  expect(nasConfig(optionsOf({ 'key-log': '/keys' })).paa.exportKeys).toBe(true);
  const first = (value: boolean) => nasConfig(optionsOf({ pana: { 'optimised-start': value } })).paa.firstRequest;
  expect([first(true) === undefined, first(false) === undefined]).toEqual([false, true]);
});

it('The NAS-Identifier is the Diameter host unless configured', () => {
  expect(nasOrigin(optionsOf(), 7)).toMatchObject({ nasIdentifier: 'paa.access.example', stateId: 7 });
  expect(nasOrigin(optionsOf({ nas: { identifier: 'nas7' } }), 7)).toMatchObject({ nasIdentifier: 'nas7' });
});

it('Framed-MTU is what the interface carries unless configured', () => {
  const framedMtu = (more: Record<string, object>) => nasOrigin(optionsOf(more), 7).framedMtu;
  expect(framedMtu({ pana: { interface: 'nosuch0' } })).toBe(1100);
  if (process.platform === 'linux') expect(framedMtu({ pana: { interface: 'lo' } })).toBe(1400);
  expect(framedMtu({ pana: { interface: 'lo' }, nas: { 'framed-mtu': 1000 } })).toBe(1000);
});

it('A PAA cannot require encryption of old clients or of sessions without a PANA SA', () => {
  const encryption = (pana: object) => nasConfig(optionsOf({ pana })).paa.encryption;
  expect(encryption({ encryption: 'required' })).toBe('required');
  expect(() => encryption({ encryption: 'required', peers: 'legacy' })).toThrow('old clients, which cannot encrypt');
  expect(() => encryption({ encryption: 'required', sa: 'optional' })).toThrow('it needs pana.sa: required');
});
