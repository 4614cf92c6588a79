import { describe, expect, it } from 'vitest';
import { paaRoutes } from '../../src/paa/control-routes.js';
import type { NasInput, NasSessionView } from '../../src/protocol/nas/alphabet.js';
import type { Nas } from '../../src/protocol/nas/nas.js';
import type { ControlCall } from '../../src/runtime/service/control.js';

const VIEW: NasSessionView = {
  sessionId: 0xab,
  peer: { address: '192.0.2.7', port: 49_152, local: 'lo4' },
  state: 'OPEN',
  preAuthenticated: false,
  encryption: undefined,
  remaining: 59_600,
  nai: 'mn@home.example',
  assignment: undefined,
  diameterSession: 'paa;1;2',
};

/** The routes of a PAA with one session that listens on IPv4 only, and the inputs of its NAS. */
function routes(view = VIEW) {
  const fed: NasInput[] = [];
  const nas = { has: (id: number) => id === VIEW.sessionId, list: () => [view] } as unknown as Nas;
  const all = paaRoutes({
    nas,
    feed: (input) => fed.push(input),
    socketOf: (family) => (family === 4 ? 'lo4' : undefined),
    now: () => 0,
    status: () => Promise.resolve({}),
  });
  const call = (route: string, body?: unknown) => all[route]?.({ query: new URLSearchParams(), body } as ControlCall);
  return { fed, call };
}

describe('paaRoutes', () => {
  it('lists sessions with readable values', () => {
    expect(routes().call('GET /sessions')).toEqual([
      {
        session: '000000ab',
        address: '192.0.2.7',
        port: 49_152,
        state: 'OPEN',
        encryption: 'none',
        remainingSeconds: 60,
        nai: 'mn@home.example',
        homeAgent: undefined,
        homeAddress: undefined,
        diameterSession: 'paa;1;2',
      },
    ]);
  });

  it('names the state of a client that has not come yet', () => {
    const view = { ...VIEW, preAuthenticated: true };
    expect(routes(view).call('GET /sessions')).toMatchObject([{ state: 'PRE_AUTHENTICATED' }]);
    const half = { ...view, state: 'WAIT_EAP_MSG' };
    expect(routes(half).call('GET /sessions')).toMatchObject([{ state: 'WAIT_EAP_MSG' }]);
  });

  it.each([1, 716, 65_535])('starts a session with a PaC that listens on port %i', (port) => {
    const { fed, call } = routes();
    expect(call('POST /session/start', { address: '192.0.2.9', port })).toEqual({ invited: `192.0.2.9 port ${port}` });
    expect(fed).toEqual([{ type: 'invite', peer: { address: '192.0.2.9', port, local: 'lo4' } }]);
  });

  it('starts a session on port 716 by default', () => {
    const { fed, call } = routes();
    call('POST /session/start', { address: '192.0.2.9' });
    expect(fed).toMatchObject([{ peer: { port: 716 } }]);
  });

  it.each([
    [{ address: '192.0.2.9', port: 0 }, '0 is not a port'],
    [{ address: '192.0.2.9', port: 65_536 }, '65536 is not a port'],
    [{ address: '192.0.2.9', port: 1.5 }, '1.5 is not a port'],
    [{ address: '192.0.2.9', port: '716' }, '716 is not a port'],
    [{ address: 'host' }, 'host is not an IP address'],
    [undefined, 'undefined is not an IP address'],
    [{ address: 'fe80::1%lo' }, 'this PAA does not listen on an IPv6 address'],
  ])('rejects the start of a session with %j', (body, problem) => {
    const { fed, call } = routes();
    expect(() => call('POST /session/start', body)).toThrow(problem);
    expect(fed).toEqual([]);
  });

  it.each([
    ['end', 'terminate'],
    ['reauth', 'reauthenticate'],
    ['ping', 'ping'],
  ])('passes command %s on to a session', (route, command) => {
    const { fed, call } = routes();
    expect(call(`POST /session/${route}`, { session: '000000AB' })).toEqual({ asked: command });
    expect(fed).toEqual([{ type: 'command', sessionId: 0xab, command }]);
  });

  it.each([undefined, {}, { session: 171 }, { session: 'ac' }, { session: '0000000ab' }, { session: 'ab ' }])(
    'finds no session for %j',
    (body) => {
      const { fed, call } = routes();
      expect(() => call('POST /session/end', body)).toThrow('no session');
      expect(fed).toEqual([]);
    },
  );
});
