import { describe, expect, it } from 'vitest';
import { HookValueError, type HookVariables, hookEnvironment, hookLine } from '../../../src/protocol/hooks/contract.js';

const PLACES = { home: '/var/lib/pana', stateDir: '/var/lib/pana/hooks' };

const VARIABLES = {
  mnId: 'mn@home.example',
  session: 'host;1;2',
  homeAgent: '2001:db8:1::1',
  homeAgentHost: 'ha.home.example',
  homeAgentId: 'ha1',
  homeAgentTarget: '[2001:db8::9]:22',
  homeAddress: '2001:db8:1::1234',
  prefix: '2001:db8:1::',
  prefixLength: 64,
  lifetime: 3600,
  ike: 'ikev1',
  careOfAddress: 'fe80::1%eth0',
  formerAddress: '2001:db8::5',
  interface: 'eth0',
} as const;

const environment = (variables: HookVariables) => hookEnvironment('up', 'mn', variables, PLACES);

describe('the environment of a hook', () => {
  it("contains the values, and nothing of the daemon's environment", () => {
    expect(environment(VARIABLES)).toEqual({
      PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      HOME: '/var/lib/pana',
      LANG: 'C',
      MIP6_EVENT: 'up',
      MIP6_ROLE: 'mn',
      MIP6_STATE_DIR: '/var/lib/pana/hooks',
      MIP6_MN_ID: 'mn@home.example',
      MIP6_SESSION: 'host;1;2',
      MIP6_HA: '2001:db8:1::1',
      MIP6_HA_HOST: 'ha.home.example',
      MIP6_HA_ID: 'ha1',
      MIP6_HA_TARGET: '[2001:db8::9]:22',
      MIP6_HOA: '2001:db8:1::1234',
      MIP6_PREFIX: '2001:db8:1::',
      MIP6_PREFIX_LEN: '64',
      MIP6_LIFETIME: '3600',
      MIP6_IKE: 'ikev1',
      MIP6_COA: 'fe80::1%eth0',
      MIP6_COA_OLD: '2001:db8::5',
      MIP6_INTERFACE: 'eth0',
    });
  });

  it('has no variables for undefined values', () => {
    const names = Object.keys(environment({ mnId: undefined, interface: 'eth0' }));
    expect(names.filter((name) => name.startsWith('MIP6_'))).toEqual([
      'MIP6_EVENT',
      'MIP6_ROLE',
      'MIP6_STATE_DIR',
      'MIP6_INTERFACE',
    ]);
  });

  it('on standard input is one line with the event and the values', () => {
    expect(hookLine('permit', { session: '0000abcd', careOfAddress: '2001:db8::5', lifetime: 60 })).toBe(
      'permit MIP6_SESSION=0000abcd MIP6_LIFETIME=60 MIP6_COA=2001:db8::5',
    );
  });
});

describe('an unsafe value', () => {
  const NAMES = ['a"b', "a'b", 'a\nb', '$(reboot)', 'a;b', '`a`', '-rf', '.hidden', '..', 'a..b', 'a/b', ''];

  it.each([
    ...[...NAMES, 'ä'].map((mnId) => ({ mnId })),
    { homeAddress: '2001:DB8::1' },
    { homeAddress: '2001:db8::1 ; reboot' },
    { homeAddress: '::1' },
    { homeAddress: '0.0.0.0' },
    { homeAgent: 'ha.home.example' },
    { homeAgent: 'ff02::1' },
    { prefix: 'fe80::' },
    { homeAgentHost: 'ha home' },
    { homeAgentId: '../x' },
    { homeAgentTarget: '-oProxyCommand=x' },
    { prefixLength: -1 },
    { lifetime: 1.5 },
    { lifetime: 1e21 },
    { careOfAddress: '2001:db8::1%$(x)' },
    { careOfAddress: 'fe80::1%eth0%eth1' },
    { formerAddress: 'x' },
    { interface: 'eth0;x' },
    { interface: '-eth0' },
    { session: 'a b' },
    { session: '' },
  ] satisfies HookVariables[])('is refused for the environment and for standard input: %j', (more) => {
    expectRefused(more);
  });

  it('is refused if it has 300 characters', () => {
    expectRefused({ mnId: 'x'.repeat(300) });
  });

  function expectRefused(more: HookVariables): void {
    const variables: HookVariables = { ...VARIABLES, ...more };
    expect(() => environment(variables)).toThrow(HookValueError);
    expect(() => hookLine('permit', variables)).toThrow(HookValueError);
    // Only this value is changed, to show that no other value causes the refusal.
    expect(() => environment(more)).toThrow(HookValueError);
  }
});
