import { expect, it } from 'vitest';
import { pacSchema } from '../../src/pac/options.js';
import { sessionConfig } from '../../src/pac/session-config.js';
import { capabilityNames } from '../../src/protocol/mip6/assignment.js';

const NODE = {
  eap: { identity: '@home.example' },
  tls: { ca: '/ca', certificate: '/c', key: '/k', 'server-name': 'aaa.home.example' },
};

/** The options of a node with these settings. */
function optionsOf(more: object) {
  return pacSchema.parse({ ...NODE, ...more });
}

it.each([
  [{}, ['HOME_HA', 'HOA_ASSIGN', 'IKEV1_PSK', 'IKEV2_PSK', 'MIP6']],
  [{ 'home-agent': 'local' }, ['LOCAL_HA', 'HOA_ASSIGN', 'IKEV1_PSK', 'IKEV2_PSK', 'MIP6']],
  [{ 'home-agent': 'any' }, ['HOA_ASSIGN', 'IKEV1_PSK', 'IKEV2_PSK', 'MIP6']],
  [{ ike: ['ikev1'] }, ['HOME_HA', 'HOA_ASSIGN', 'IKEV1_PSK', 'MIP6']],
  [{ ike: ['ikev2'] }, ['HOME_HA', 'HOA_ASSIGN', 'IKEV2_PSK', 'MIP6']],
  [{ 'home-address': 'ikev2' }, ['HOME_HA', 'IKEV2_PSK', 'MIP6']],
  [{ 'home-address': 'ikev2', 'psk-root': 'emsk' }, ['HOME_HA', 'IKEV2_PSK', 'PSK_FROM_EMSK', 'MIP6']],
  [{ privacy: 'wanted' }, ['HOME_HA', 'HOA_ASSIGN', 'IKEV1_PSK', 'IKEV2_PSK', 'PSK_FROM_EMSK', 'SEALED', 'MIP6']],
  [{ 'home-address': 'ikev2', privacy: 'wanted' }, ['HOME_HA', 'IKEV2_PSK', 'PSK_FROM_EMSK', 'SEALED', 'MIP6']],
  [{ 'psk-root': 'emsk' }, ['HOME_HA', 'HOA_ASSIGN', 'IKEV1_PSK', 'IKEV2_PSK', 'PSK_FROM_EMSK', 'MIP6']],
])('A node with the mobility settings %j asks for %j', (mobility, names) => {
  const { mobility: asked } = sessionConfig(optionsOf({ mobility }), 'none', false);
  expect(capabilityNames(asked?.wish ?? 0).sort()).toEqual([...names].sort());
});

it('A node asks for no home agent if mobility is off, and states whether it needs one', () => {
  const asked = (mode: string) => sessionConfig(optionsOf({ mobility: { mode } }), 'none', false).mobility?.mode;
  expect(['off', 'wanted', 'required'].map(asked)).toEqual([undefined, 'wanted', 'required']);
});

it('A node that requires privacy asks nothing of a PAA that does not offer it', () => {
  const sealed = (privacy: string) =>
    sessionConfig(optionsOf({ mobility: { privacy } }), 'none', false).mobility?.sealed;
  expect(['off', 'wanted', 'required'].map(sealed)).toEqual([false, false, true]);
});

it.each([
  [
    { 'psk-root': 'msk' },
    'mobility.psk-root: msk: the access network has the MSK; mobility.privacy: required needs emsk',
  ],
  [
    { 'home-agent': 'local' },
    'mobility.home-agent: local: the access network knows its own home agent; mobility.privacy: required hides none',
  ],
])('A node that requires privacy cannot have %j', (mobility, message) => {
  const problems = (privacy: string) => {
    const read = pacSchema.safeParse({ ...NODE, mobility: { ...mobility, privacy } });
    return read.error?.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
  };
  expect(problems('off')).toBeUndefined();
  expect(problems('required')).toEqual([message]);
  expect(problems('wanted')).toHaveLength(1);
});

it.each(['dns', 'dhcpv6'])('A node that requires privacy takes no home agent from %s', (discovery) => {
  const problems = (privacy: string) =>
    pacSchema.safeParse({ ...NODE, mobility: { discovery, privacy } }).error?.issues;
  expect([problems('off'), problems('wanted')]).toEqual([undefined, undefined]);
  expect(problems('required')).toMatchObject([
    { path: ['mobility', 'discovery'], message: expect.stringContaining('the access network sees this home agent') },
  ]);
});

it.each([
  [0, 'none', 0],
  [0, 'usual', 10_000],
  [0, 'short', 1_500],
  ['3s', 'none', 3_000],
  ['3s', 'usual', 3_000],
] as const)('With pci-limit %s and the time limit %s, the node tries a PAA for %i ms', (setting, limit, duration) => {
  expect(sessionConfig(optionsOf({ pana: { 'pci-limit': setting } }), limit, false).pci.mrd).toBe(duration);
});

it('A node cannot require encryption of sessions that cannot have it', () => {
  const encryption = (pana: object) => sessionConfig(optionsOf({ pana }), 'none', false).encryption;
  expect(encryption({})).toBe('wanted');
  expect(encryption({ encryption: 'required' })).toBe('required');
  expect(() => encryption({ encryption: 'required', sa: 'optional' })).toThrow('it needs pana.sa: required');
});
